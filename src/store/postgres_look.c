// SPDX-License-Identifier: Apache-2.0
/* Verbs that look: remediations, guards' inputs, the log. Times are the database's. Any
 * thread. */
#include "store/postgres_internal.h"

#include <stdio.h>

/* ---- remediations ---- */

static bool read_remediation(const struct postgres_rows *rows, int row, struct arena *arena,
                             struct remediation *ret, struct error *err)
{
    struct remediation r = {.id = postgres_int(rows, row, 0),
                            .kind = str_is(postgres_str(rows, row, 1), "rollback")
                                        ? REMEDIATION_ROLLBACK
                                        : REMEDIATION_REPAIR,
                            .step = (int)postgres_int(rows, row, 3),
                            .version = postgres_int(rows, row, 4),
                            .epoch = postgres_int(rows, row, 5),
                            .sequence = postgres_int(rows, row, 6),
                            .sequence_seen = postgres_int(rows, row, 7),
                            .created_ms = postgres_int(rows, row, 8),
                            .updated_ms = postgres_int(rows, row, 9),
                            .due_ms = postgres_int(rows, row, 10),
                            .policy = postgres_copy(rows, row, 11, arena),
                            .policy_hash = postgres_copy(rows, row, 12, arena),
                            .resource = postgres_copy(rows, row, 13, arena),
                            .region = postgres_copy(rows, row, 14, arena),
                            .reason = postgres_copy(rows, row, 15, arena),
                            .settled_ms = postgres_int(rows, row, 16)};
    if (!state_parse(postgres_str(rows, row, 2), &r.state))
        return error_set(err, "S0003", "remediation r%lld is in a state that does not exist",
                         (long long)r.id);
    if (!r.policy.ptr || !r.policy_hash.ptr || !r.resource.ptr || !r.region.ptr || !r.reason.ptr)
        return error_set(err, "S0006", "out of memory reading a remediation");
    if (!store_detail(arena, postgres_str(rows, row, 17), postgres_str(rows, row, 18), &r.detail,
                      err))
        return false;
    *ret = r;
    return true;
}

enum store_result postgres_verb_get(struct store *base, int64_t id, struct arena *arena,
                                    struct remediation *ret, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, id);
    if (!postgres_call(store, POSTGRES_GET, &args, &rows, err))
        return STORE_ERROR;
    if (rows.count == 0)
        return STORE_ABSENT;
    return read_remediation(&rows, 0, arena, ret, err) ? STORE_OK : STORE_ERROR;
}

/* A glob as a pattern of LIKE over bytes: `*` any run, `?` one byte. */
static struct str like_pattern(struct arena *arena, struct str glob)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < glob.len; i++) {
        char c = glob.ptr[i];
        if (c == '%' || c == '_' || c == '\\')
            buf_add_byte(&out, '\\');
        buf_add_byte(&out, c == '*' ? '%' : c == '?' ? '_' : c);
    }
    return buf_str(&out);
}

enum store_result postgres_verb_list(struct store *base, const struct store_filter *filter,
                                     struct arena *arena, struct remediation **ret,
                                     size_t *ret_count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    const char *state = filter->state >= 0 ? state_name((enum state)filter->state) : "";
    postgres_add_int(&args, filter->before_id ? filter->before_id : INT64_MAX);
    postgres_add_text(&args, filter->policy);
    postgres_add_text(&args, str_from(state));
    postgres_add_text(&args, filter->account);
    postgres_add_bytes(&args, like_pattern(&args.arena, filter->resource));
    postgres_add_int(&args, (int64_t)filter->limit);
    if (!postgres_call(store, filter->active_only ? POSTGRES_LIST_ACTIVE : POSTGRES_LIST, &args,
                       &rows, err))
        return STORE_ERROR;
    struct remediation *found = ARENA_ARRAY(arena, struct remediation, (size_t)rows.count);
    if (!found) {
        error_set(err, "S0006", "out of memory listing remediations");
        return STORE_ERROR;
    }
    for (int i = 0; i < rows.count; i++)
        if (!read_remediation(&rows, i, arena, &found[i], err))
            return STORE_ERROR;
    *ret = found;
    *ret_count = (size_t)rows.count;
    return STORE_OK;
}

enum store_result postgres_verb_counts(struct store *base, int64_t *ret, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    int64_t counts[STATE_COUNT] = {0};
    if (!postgres_call(store, POSTGRES_COUNTS, NULL, &rows, err))
        return STORE_ERROR;
    for (int i = 0; i < rows.count; i++) {
        enum state state;
        if (state_parse(postgres_str(&rows, i, 0), &state))
            counts[state] += postgres_int(&rows, i, 1);
    }
    memcpy(ret, counts, sizeof counts);
    return STORE_OK;
}

/* ---- the log ---- */

static bool read_leaf(const struct postgres_rows *rows, int row, struct arena *arena,
                      struct store_leaf *ret, struct error *err)
{
    struct str hash = postgres_str(rows, row, 2);
    *ret = (struct store_leaf){.index = postgres_int(rows, row, 0),
                               .text = postgres_copy(rows, row, 1, arena)};
    if (hash.len == HASH_SHA256_SIZE) // else it stays zero, which no leaf hashes to
        memcpy(ret->hash.bytes, hash.ptr, hash.len);
    return ret->text.ptr || error_set(err, "S0006", "out of memory reading the audit log");
}

/* Who looks at the log sees all of it: what is still without a position gets one first. */
static bool sequenced(struct postgres_store *store, struct error *err)
{
    return store->to_look || postgres_sequence(store, true, false, err);
}

enum store_result postgres_verb_leaves(struct store *base, int64_t remediation, int64_t from,
                                       size_t limit, struct arena *arena, struct store_leaf **ret,
                                       size_t *ret_count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, from);
    postgres_add_int(&args, (int64_t)limit);
    if (remediation)
        postgres_add_int(&args, remediation);
    if (!sequenced(store, err) ||
        !postgres_call(store, remediation ? POSTGRES_LEAVES_OF : POSTGRES_LEAVES, &args, &rows,
                       err))
        return STORE_ERROR;
    struct store_leaf *leaves = ARENA_ARRAY(arena, struct store_leaf, (size_t)rows.count);
    if (!leaves) {
        error_set(err, "S0006", "out of memory reading the audit log");
        return STORE_ERROR;
    }
    for (int i = 0; i < rows.count; i++)
        if (!read_leaf(&rows, i, arena, &leaves[i], err))
            return STORE_ERROR;
    *ret = leaves;
    *ret_count = (size_t)rows.count;
    return STORE_OK;
}

enum store_result postgres_verb_checkpoint(struct store *base, struct store_checkpoint *ret,
                                           struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    if (!sequenced(store, err) || !postgres_call(store, POSTGRES_CHECKPOINT, NULL, &rows, err))
        return STORE_ERROR;
    struct str root = rows.count ? postgres_str(&rows, 0, 1) : (struct str){0};
    if (root.len != HASH_SHA256_SIZE) {
        error_set(err, "S0003", "%s is damaged: its log has no head", store->label);
        return STORE_ERROR;
    }
    *ret = (struct store_checkpoint){.size = postgres_int(&rows, 0, 0),
                                     .at_ms = postgres_int(&rows, 0, 2)};
    memcpy(ret->root.bytes, root.ptr, root.len);
    return STORE_OK;
}
