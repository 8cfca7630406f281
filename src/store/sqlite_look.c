// SPDX-License-Identifier: Apache-2.0
/* Looking: remediations, guards' inputs, the log. Leader's thread inside the run_ functions. Long
 * lists are read in pieces, so that writers get in between. */
#include "store/sqlite_internal.h"

#include "base/ensure.h"

#define LIST_ROWS_A_JOB 2000 // rows looked at before others get their turn

/* ---- remediations ---- */

static bool read_remediation(sqlite3_stmt *stmt, struct arena *arena, struct remediation *ret,
                             struct error *err)
{
    struct remediation r = {.id = sqlite3_column_int64(stmt, 0),
                            .kind = str_eq(sql_text(stmt, 1), STR("rollback"))
                                        ? REMEDIATION_ROLLBACK
                                        : REMEDIATION_REPAIR,
                            .step = sqlite3_column_int(stmt, 3),
                            .version = sqlite3_column_int64(stmt, 4),
                            .epoch = sqlite3_column_int64(stmt, 5),
                            .sequence = sqlite3_column_int64(stmt, 6),
                            .sequence_seen = sqlite3_column_int64(stmt, 7),
                            .created_ms = sqlite3_column_int64(stmt, 8),
                            .updated_ms = sqlite3_column_int64(stmt, 9),
                            .due_ms = sqlite3_column_int64(stmt, 10),
                            .policy = sql_copy(stmt, 11, arena),
                            .policy_hash = sql_copy(stmt, 12, arena),
                            .resource = sql_copy(stmt, 13, arena),
                            .region = sql_copy(stmt, 14, arena),
                            .reason = sql_copy(stmt, 15, arena),
                            .settled_ms = sqlite3_column_int64(stmt, 16)};
    if (!state_parse(sql_text(stmt, 2), &r.state))
        return error_set(err, "S0003", "remediation r%lld is in a state that does not exist",
                         (long long)r.id);
    if (!r.policy.ptr || !r.policy_hash.ptr || !r.resource.ptr || !r.region.ptr || !r.reason.ptr)
        return error_set(err, "S0006", "out of memory reading a remediation");
    if (!store_detail(arena, sql_text(stmt, 17), sql_text(stmt, 18), &r.detail, err))
        return false;
    *ret = r;
    return true;
}

struct get_args {
    int64_t id;
    struct arena *arena;
    struct remediation *ret;
};

static enum store_result run_get(struct sqlite_store *store, void *arg, struct error *err)
{
    struct get_args *args = arg;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_GET, err);
    bool row;
    if (!stmt)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, args->id);
    if (!sql_row(store, stmt, &row, err))
        return STORE_ERROR;
    bool ok = !row || read_remediation(stmt, args->arena, args->ret, err);
    sqlite3_reset(stmt);
    return !ok ? STORE_ERROR : row ? STORE_OK : STORE_ABSENT;
}

enum store_result sqlite_verb_get(struct store *base, int64_t id, struct arena *arena,
                                  struct remediation *ret, struct error *err)
{
    struct get_args args = {id, arena, ret};
    struct sqlite_job job = SQLITE_JOB(run_get, &args, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

struct list_args {
    const struct store_filter *filter;
    struct arena *arena;
    struct remediation *found;
    size_t count;
    int64_t before_id; // goes down from job to job
    bool over;
};

/* Looks at one row; *before_id moves on. */
static bool list_row(struct list_args *args, sqlite3_stmt *stmt, struct error *err)
{
    enum state state;
    args->before_id = sqlite3_column_int64(stmt, 0);
    if (!state_parse(sql_text(stmt, 2), &state) ||
        !store_filter_matches(args->filter, sql_text(stmt, 11), sql_text(stmt, 13), state))
        return true;
    return read_remediation(stmt, args->arena, &args->found[args->count++], err);
}

static enum store_result run_list(struct sqlite_store *store, void *arg, struct error *err)
{
    struct list_args *args = arg;
    sqlite3_stmt *stmt =
        sql_get(store, args->filter->active_only ? STATEMENT_LIST_ACTIVE : STATEMENT_LIST, err);
    bool row = true, ok = stmt != NULL;
    if (!ok)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, args->before_id);
    for (int looked = 0; ok && looked < LIST_ROWS_A_JOB && args->count < args->filter->limit;
         looked++) {
        ok = sql_row(store, stmt, &row, err);
        if (!ok || !row)
            break;
        ok = list_row(args, stmt, err);
    }
    args->over = !row || args->count >= args->filter->limit;
    sqlite3_reset(stmt);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_list(struct store *base, const struct store_filter *filter,
                                   struct arena *arena, struct remediation **ret, size_t *ret_count,
                                   struct error *err)
{
    struct list_args args = {.filter = filter,
                             .arena = arena,
                             .found = ARENA_ARRAY(arena, struct remediation, filter->limit),
                             .before_id = filter->before_id ? filter->before_id : INT64_MAX,
                             .over = filter->limit == 0};
    if (!args.found) {
        error_set(err, "S0006", "out of memory listing remediations");
        return STORE_ERROR;
    }
    while (!args.over) {
        struct sqlite_job job = SQLITE_JOB(run_list, &args, .err = err);
        if (sqlite_submit((struct sqlite_store *)base, &job) != STORE_OK)
            return STORE_ERROR;
    }
    *ret = args.found;
    *ret_count = args.count;
    return STORE_OK;
}

static enum store_result run_counts(struct sqlite_store *store, void *arg, struct error *err)
{
    (void)err;
    memcpy(arg, store->counts, sizeof store->counts);
    return STORE_OK;
}

enum store_result sqlite_verb_counts(struct store *base, int64_t *ret, struct error *err)
{
    struct sqlite_job job = SQLITE_JOB(run_counts, ret, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

/* ---- guards ---- */

static bool load_history(struct sqlite_store *store, const struct store_guard_query *query,
                         int64_t now, struct store_guards *ret, struct error *err)
{
    static const enum sqlite_statement both[] = {STATEMENT_HEALED, STATEMENT_LAST_HEALED};
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *stmt = sql_get(store, both[i], err);
        bool row;
        if (!stmt)
            return false;
        sql_bind(stmt, 1, query->resource);
        sql_bind(stmt, 2, query->policy);
        if (both[i] == STATEMENT_HEALED)
            sqlite3_bind_int64(stmt, 3, now - STORE_DAY_MS);
        if (!sql_row(store, stmt, &row, err))
            return false;
        if (both[i] == STATEMENT_HEALED)
            ret->reversals = sqlite3_column_int(stmt, 0);
        ret->last_healed_ms = sqlite3_column_int64(stmt, i ? 0 : 1);
        sqlite3_reset(stmt);
        if (ret->last_healed_ms)
            break;
    }
    return true;
}

static bool load_lock(struct sqlite_store *store, struct str resource, struct store_guards *ret,
                      struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_LOCK_GET, err);
    bool row;
    if (!stmt)
        return false;
    sql_bind(stmt, 1, resource);
    if (!sql_row(store, stmt, &row, err))
        return false;
    ret->locked_by = row ? sqlite3_column_int64(stmt, 0) : 0;
    ret->frozen = row && sqlite3_column_int(stmt, 1);
    sqlite3_reset(stmt);
    return true;
}

struct guards_args {
    const struct store_guard_query *query;
    struct arena *arena;
    struct store_guards guards;
};

static bool load_record(struct sqlite_store *store, struct str key, struct store_guards *ret,
                        struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_RECORD_OF, err, "t", key);
    bool row;
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    ret->past_bad = sqlite3_column_int(stmt, 0);
    ret->past_total = sqlite3_column_int(stmt, 1);
    sqlite3_reset(stmt);
    return true;
}

static enum store_result run_guards(struct sqlite_store *store, void *arg, struct error *err)
{
    struct guards_args *args = arg;
    const struct store_guard_query *q = args->query;
    struct store_guards *g = &args->guards;
    int64_t now = sql_now(store);
    for (size_t i = 0; i < q->permit_count; i++)
        if (!sqlite_load_meter(store, &q->permits[i], now, &g->meters[i], err))
            return STORE_ERROR;
    if (q->permit_count && !load_record(store, q->permits[0].key, g, err))
        return STORE_ERROR;
    bool ok = load_lock(store, q->resource, g, err) && load_history(store, q, now, g, err) &&
              sqlite_look_rollout(store, q->policy, q->resource, args->arena, &g->rollout, err) &&
              sqlite_look_numbers(store, q->policy, now, g, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_guards(struct store *base, const struct store_guard_query *query,
                                     struct arena *arena, struct store_guards *ret,
                                     struct error *err)
{
    struct guards_args args = {.query = query, .arena = arena};
    struct sqlite_job job = SQLITE_JOB(run_guards, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret = args.guards;
    return result;
}

/* ---- the log ---- */

struct leaves_args {
    int64_t remediation, from;
    size_t limit, count;
    struct arena *arena;
    struct store_leaf *leaves;
};

static bool read_leaf(sqlite3_stmt *stmt, struct arena *arena, struct store_leaf *ret,
                      struct error *err)
{
    struct str hash = {sqlite3_column_blob(stmt, 2), (size_t)sqlite3_column_bytes(stmt, 2)};
    ret->index = sqlite3_column_int64(stmt, 0);
    ret->hash = (struct sha256){0};
    if (hash.ptr && hash.len == HASH_SHA256_SIZE) // else it stays zero, which no leaf hashes to
        memcpy(ret->hash.bytes, hash.ptr, hash.len);
    ret->text = sql_copy(stmt, 1, arena);
    return ret->text.ptr || error_set(err, "S0006", "out of memory reading the audit log");
}

static enum store_result run_leaves(struct sqlite_store *store, void *arg, struct error *err)
{
    struct leaves_args *args = arg;
    int at = 1;
    sqlite3_stmt *stmt =
        sql_get(store, args->remediation ? STATEMENT_LEAVES_OF : STATEMENT_LEAVES, err);
    if (!stmt)
        return STORE_ERROR;
    if (args->remediation)
        sqlite3_bind_int64(stmt, at++, args->remediation);
    sqlite3_bind_int64(stmt, at++, args->from);
    sqlite3_bind_int64(stmt, at, (int64_t)args->limit);
    bool row, ok;
    while ((ok = sql_row(store, stmt, &row, err)) && row) {
        if (!(ok = read_leaf(stmt, args->arena, &args->leaves[args->count], err)))
            break;
        args->count++;
    }
    sqlite3_reset(stmt);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_leaves(struct store *base, int64_t remediation, int64_t from,
                                     size_t limit, struct arena *arena, struct store_leaf **ret,
                                     size_t *ret_count, struct error *err)
{
    struct leaves_args args = {.remediation = remediation,
                               .from = from,
                               .limit = limit,
                               .arena = arena,
                               .leaves = ARENA_ARRAY(arena, struct store_leaf, limit)};
    if (!args.leaves) {
        error_set(err, "S0006", "out of memory reading the audit log");
        return STORE_ERROR;
    }
    struct sqlite_job job = SQLITE_JOB(run_leaves, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK) {
        *ret = args.leaves;
        *ret_count = args.count;
    }
    return result;
}

static enum store_result run_checkpoint(struct sqlite_store *store, void *arg, struct error *err)
{
    (void)err;
    struct store_checkpoint *ret = arg;
    *ret = (struct store_checkpoint){.size = (int64_t)store->tree_committed.size,
                                     .root = store->root_committed,
                                     .at_ms = store->committed_ms};
    return STORE_OK;
}

enum store_result sqlite_verb_checkpoint(struct store *base, struct store_checkpoint *ret,
                                         struct error *err)
{
    struct sqlite_job job = SQLITE_JOB(run_checkpoint, ret, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}
