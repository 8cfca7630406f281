// SPDX-License-Identifier: Apache-2.0
/* Permits, breakers, a policy's state: what postgres_permits.sql does, asked for and read. Any
 * thread. */
#include "store/postgres_internal.h"

#include "base/ensure.h"

/* ---- an intent's permits ---- */

void postgres_add_permits(struct postgres_args *args, const struct store_transition *list,
                          size_t count)
{
    static const struct store_transition none;
    const struct store_transition *t = &none;
    int64_t at = 0;
    struct postgres_array keys = postgres_array(args, POSTGRES_TEXT),
                          units = postgres_array(args, POSTGRES_TEXT),
                          at_once = postgres_array(args, POSTGRES_INT4),
                          per_hour = postgres_array(args, POSTGRES_INT4),
                          rules = postgres_array(args, POSTGRES_INT8);
    for (size_t i = 0; i < count; i++) {
        if (list[i].permit_count == 0 && list[i].cohort.hash.len == 0)
            continue;
        ENSURE(at == 0);
        at = (int64_t)i + 1;
        t = &list[i];
    }
    for (size_t i = 0; i < t->permit_count; i++) {
        const struct permit *p = &t->permits[i];
        postgres_push_text(&keys, p->key);
        postgres_push_text(&units, p->unit);
        postgres_push_int4(&at_once, p->at_once_max);
        postgres_push_int4(&per_hour, p->per_hour_max);
        postgres_push_int8(&rules, p->rule.in_a_row);
        postgres_push_int8(&rules, p->rule.percent);
        postgres_push_int8(&rules, p->rule.of);
        postgres_push_int8(&rules, p->rule.window_ms);
        postgres_push_int8(&rules, p->rule.open_ms);
    }
    postgres_add_int(args, at);
    postgres_add_array(args, &keys);
    postgres_add_array(args, &units);
    postgres_add_array(args, &at_once);
    postgres_add_array(args, &per_hour);
    postgres_add_array(args, &rules);
    postgres_add_text(args, t->cohort.hash);
    postgres_add_int(args, t->cohort.stage);
    postgres_add_int(args, t->cohort.seats);
    postgres_add_bool(args, t->cohort.counts);
}

/* ---- a policy's state ---- */

static bool read_rollout(const struct postgres_rows *rows, int row, struct arena *arena,
                         struct rollout *ret, struct error *err)
{
    bool paused = postgres_int(rows, row, 4), done = postgres_int(rows, row, 5);
    *ret = (struct rollout){.state = paused ? ROLLOUT_PAUSED
                                     : done ? ROLLOUT_DONE
                                            : ROLLOUT_RUNNING,
                            .hash = postgres_copy(rows, row, 1, arena),
                            .stage = (int)postgres_int(rows, row, 3),
                            .since_ms = postgres_int(rows, row, 6),
                            .good = (int)postgres_int(rows, row, 7),
                            .waived_ms = postgres_int(rows, row, 8),
                            .by = postgres_copy(rows, row, 9, arena),
                            .reason = postgres_copy(rows, row, 10, arena),
                            .seats = (int)postgres_int(rows, row, 11)};
    return (ret->hash.ptr && ret->by.ptr && ret->reason.ptr) ||
           error_set(err, "S0006", "out of memory reading a policy's state");
}

static bool look_rollout(struct postgres_store *store, const struct store_guard_query *query,
                         struct arena *arena, struct rollout *ret, struct error *err)
{
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    unsigned char secret[STORE_SECRET_SIZE] = {0};
    *ret = (struct rollout){0};
    postgres_add_text(&args, query->policy);
    postgres_add_text(&args, query->resource);
    postgres_add_text(&args, store_account_of(query->resource));
    if (!postgres_call(store, POSTGRES_ROLLOUT, &args, &rows, err))
        return false;
    if (rows.count == 0)
        return true;
    if (!read_rollout(&rows, 0, arena, ret, err))
        return false;
    struct str bytes = postgres_str(&rows, 0, 2);
    if (bytes.len == sizeof secret)
        memcpy(secret, bytes.ptr, sizeof secret);
    ret->place = store_place(secret, query->resource);
    ret->member = postgres_int(&rows, 0, 12);
    ret->refused_here = postgres_int(&rows, 0, 13);
    return true;
}

enum store_result postgres_verb_policies(struct store *base, struct arena *arena,
                                         struct store_policy **ret, size_t *ret_count,
                                         struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    if (!postgres_call(store, POSTGRES_POLICIES, NULL, &rows, err))
        return STORE_ERROR;
    struct store_policy *found = ARENA_ARRAY(arena, struct store_policy, (size_t)rows.count + 1);
    if (!found) {
        error_set(err, "S0006", "out of memory listing policies");
        return STORE_ERROR;
    }
    for (int i = 0; i < rows.count; i++) {
        found[i].policy = postgres_copy(&rows, i, 0, arena);
        if (!read_rollout(&rows, i, arena, &found[i].rollout, err))
            return STORE_ERROR;
    }
    *ret = found;
    *ret_count = (size_t)rows.count;
    return STORE_OK;
}

enum store_result postgres_verb_rollout_set(struct store *base,
                                            const struct store_rollout_change *c, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    unsigned char secret[STORE_SECRET_SIZE];
    clock_random(store->clock, secret, sizeof secret);
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, c->what);
    postgres_add_text(&args, c->policy);
    postgres_add_text(&args, c->hash);
    postgres_add_int(&args, c->stage);
    postgres_add_bool(&args, c->undo);
    postgres_add_bool(&args, c->staged);
    postgres_add_int(&args, c->waive_ms);
    postgres_add_text(&args, c->by);
    postgres_add_text(&args, c->reason);
    postgres_add_bytes(&args, (struct str){(const char *)secret, sizeof secret});
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_ROLLOUT_SET, &args, &rows, err))
        return STORE_ERROR;
    postgres_note_leaf(store);
    return (enum store_result)postgres_int(&rows, 0, 0);
}

/* ---- guards ---- */

static struct key_meter read_meter(const struct postgres_rows *rows, int row)
{
    return (struct key_meter){.at_once = (int)postgres_int(rows, row, 10),
                              .probes = (int)postgres_int(rows, row, 11),
                              .per_hour = (int)postgres_int(rows, row, 12),
                              .breaker = {.opened_ms = postgres_int(rows, row, 13),
                                          .open_for_ms = postgres_int(rows, row, 14),
                                          .tripped_ms = postgres_int(rows, row, 15),
                                          .probes_good = (int)postgres_int(rows, row, 16),
                                          .probes_bad = (int)postgres_int(rows, row, 17),
                                          .slow_until_ms = postgres_int(rows, row, 18)}};
}

enum store_result postgres_verb_guards(struct store *base, const struct store_guard_query *query,
                                       struct arena *arena, struct store_guards *ret,
                                       struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    struct postgres_array keys = postgres_array(&args, POSTGRES_TEXT),
                          per_hour = postgres_array(&args, POSTGRES_INT4);
    for (size_t i = 0; i < query->permit_count; i++) {
        postgres_push_text(&keys, query->permits[i].key);
        postgres_push_int4(&per_hour, query->permits[i].per_hour_max);
    }
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, query->policy);
    postgres_add_text(&args, query->resource);
    postgres_add_array(&args, &keys);
    postgres_add_array(&args, &per_hour);
    if (!postgres_call(store, POSTGRES_GUARDS, &args, &rows, err))
        return STORE_ERROR;
    struct store_guards g = {.locked_by = postgres_int(&rows, 0, 0),
                             .frozen = postgres_int(&rows, 0, 1),
                             .reversals = (int)postgres_int(&rows, 0, 2),
                             .last_healed_ms = postgres_int(&rows, 0, 3),
                             .past_bad = (int)postgres_int(&rows, 0, 19),
                             .past_total = (int)postgres_int(&rows, 0, 20),
                             .population = postgres_int(&rows, 0, 4),
                             .counted_ms = postgres_int(&rows, 0, 5),
                             .found_today = postgres_int(&rows, 0, 6),
                             .found_past = postgres_int(&rows, 0, 7),
                             .found_days = (int)postgres_int(&rows, 0, 8)};
    for (int i = 0; i < rows.count && postgres_int(&rows, i, 9); i++)
        g.meters[i] = read_meter(&rows, i);
    if (!look_rollout(store, query, arena, &g.rollout, err))
        return STORE_ERROR;
    *ret = g;
    return STORE_OK;
}

enum store_result postgres_verb_breaker_set(struct store *base, struct str key, int64_t open_ms,
                                            struct str reason, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, key);
    postgres_add_int(&args, open_ms);
    postgres_add_text(&args, reason);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_BREAKER_SET, &args, NULL, err))
        return STORE_ERROR;
    postgres_note_leaf(store);
    return STORE_OK;
}

enum store_result postgres_verb_counted(struct store *base, struct str policy, struct str place,
                                        int64_t count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, policy);
    postgres_add_text(&args, place);
    postgres_add_int(&args, count);
    bool ok =
        postgres_may_write(store, err) && postgres_call(store, POSTGRES_COUNTED, &args, NULL, err);
    return ok ? STORE_OK : STORE_ERROR;
}
