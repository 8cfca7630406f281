// SPDX-License-Identifier: Apache-2.0
/* Permits, outcomes and breakers, within the transaction of the transition that takes, ends or
 * meets them. Leader's thread.
 *
 *   intent ─► check every key ─► a permit row a key ...... end ─► a result a key ─► rows go
 *                                                                 └► trips the breaker, or not */
#include "store/sqlite_internal.h"

/* The breaker in the first columns of a row; zeroed where they are NULL. */
static struct breaker_state read_breaker(sqlite3_stmt *stmt)
{
    return (struct breaker_state){.opened_ms = sqlite3_column_int64(stmt, 0),
                                  .open_for_ms = sqlite3_column_int64(stmt, 1),
                                  .tripped_ms = sqlite3_column_int64(stmt, 2),
                                  .probes_good = sqlite3_column_int(stmt, 3),
                                  .probes_bad = sqlite3_column_int(stmt, 4),
                                  .slow_until_ms = sqlite3_column_int64(stmt, 5)};
}

static bool load_breaker(struct sqlite_store *store, struct str key, struct breaker_state *ret,
                         int64_t *ret_results_after, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_BREAKER, err, "t", key);
    bool row;
    *ret = (struct breaker_state){0};
    *ret_results_after = 0;
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    if (row) {
        *ret = read_breaker(stmt);
        *ret_results_after = sqlite3_column_int64(stmt, 6);
    }
    sqlite3_reset(stmt);
    return true;
}

/* `forget`: what ended until now does not count any more. */
static bool write_breaker(struct sqlite_store *store, struct str key, const struct breaker_state *b,
                          bool forget, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_BREAKER_SET, err, "tiiiiiii", key, b->opened_ms,
                                  b->open_for_ms, b->tripped_ms, (int64_t)b->probes_good,
                                  (int64_t)b->probes_bad, b->slow_until_ms, (int64_t)forget);
    return stmt && sql_done(store, stmt, err);
}

static bool tell_breaker(struct sqlite_store *store, struct str key, struct str reason,
                         const struct breaker_state *b, int64_t now, struct error *err)
{
    int64_t open_for = b->opened_ms ? b->open_for_ms : 0;
    struct leaf_parts leaf = {.at_ms = now,
                              .kind = STR("breaker"),
                              .body = leaf_breaker_body(&store->scratch, key, reason, open_for)};
    return (leaf.body.ptr || error_set(err, "S0006", "out of memory writing a record")) &&
           sql_leaf(store, &leaf, err);
}

bool sqlite_load_meter(struct sqlite_store *store, const struct permit *permit, int64_t now,
                       struct key_meter *ret, struct error *err)
{
    int64_t since = permit->per_hour_max ? (now - STORE_HOUR_MS) / 60000 : 0; // 0 = not asked
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_METER, err, "ti", permit->key, since);
    bool row;
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    *ret = (struct key_meter){.breaker = read_breaker(stmt),
                              .at_once = sqlite3_column_int(stmt, 6),
                              .probes = sqlite3_column_int(stmt, 7),
                              .per_hour = sqlite3_column_int(stmt, 8)};
    sqlite3_reset(stmt);
    return true;
}

enum store_result sqlite_check_permits(struct sqlite_store *store, const struct permit *permits,
                                       size_t count, bool holds, int64_t now, bool *ret_probe,
                                       struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct key_meter meter;
        int64_t wait;
        if (!sqlite_load_meter(store, &permits[i], now, &meter, err))
            return STORE_ERROR;
        if (holds) // its own
            meter.at_once = meter.probes = 0;
        if (permit_check(&permits[i], &meter, now, &wait) != PERMIT_FREE)
            return STORE_LIMITED;
        ret_probe[i] = permits[i].rule.open_ms && breaker_is_half_open(&meter.breaker, now);
    }
    return STORE_OK;
}

bool sqlite_take_permits(struct sqlite_store *store, int64_t id, const struct permit *permits,
                         size_t count, const bool *probe, int64_t now, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct permit *p = &permits[i];
        const struct breaker_rule *r = &p->rule;
        sqlite3_stmt *stmt = sql_with(
            store, STATEMENT_PERMIT, err, "ittiiiiii", id, p->key, p->unit, (int64_t)probe[i],
            (int64_t)r->in_a_row, (int64_t)r->percent, (int64_t)r->of, r->window_ms, r->open_ms);
        if (!stmt || !sql_done(store, stmt, err))
            return false;
        if (p->per_hour_max == 0)
            continue;
        stmt = sql_with(store, STATEMENT_BEGUN, err, "ti", p->key, now / 60000);
        if (!stmt || !sql_done(store, stmt, err))
            return false;
    }
    return true;
}

bool sqlite_give_permits(struct sqlite_store *store, int64_t id, struct str policy, int64_t now,
                         struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_PERMITS_GIVE, err, "i", id);
    if (!stmt || !sql_done(store, stmt, err))
        return false;
    stmt = sql_with(store, STATEMENT_WAKE_ONE, err, "ti", policy, now);
    return stmt && sql_done(store, stmt, err);
}

/* ---- outcomes ---- */

struct held_permit {
    struct permit permit;
    bool probe;
};

/* All that the remediation holds, in the scratch arena. */
static bool load_held(struct sqlite_store *store, int64_t id, struct held_permit *ret,
                      size_t *ret_count, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_PERMITS_OF, err, "i", id);
    bool row = false, ok = stmt != NULL;
    *ret_count = 0;
    while (ok && (ok = sql_row(store, stmt, &row, err)) && row && *ret_count < PERMITS_MAX) {
        struct held_permit *h = &ret[(*ret_count)++];
        *h = (struct held_permit){.permit = {.key = sql_copy(stmt, 0, &store->scratch),
                                             .unit = sql_copy(stmt, 1, &store->scratch),
                                             .rule = {.in_a_row = sqlite3_column_int(stmt, 3),
                                                      .percent = sqlite3_column_int(stmt, 4),
                                                      .of = sqlite3_column_int(stmt, 5),
                                                      .window_ms = sqlite3_column_int64(stmt, 6),
                                                      .open_ms = sqlite3_column_int64(stmt, 7)}},
                                  .probe = sqlite3_column_int(stmt, 2)};
        if (!h->permit.key.ptr || !h->permit.unit.ptr)
            ok = error_set(err, "S0006", "out of memory reading permits");
    }
    if (stmt)
        sqlite3_reset(stmt);
    return ok;
}

/* Has the unit been seen? They are few: a breaker trips early. */
static bool note_distinct(struct sqlite_store *store, struct str unit, struct str *seen,
                          size_t *seen_count)
{
    for (size_t i = 0; i < *seen_count; i++)
        if (str_eq(seen[i], unit))
            return false;
    struct str copy = str_copy(&store->scratch, unit);
    if (copy.ptr)
        seen[(*seen_count)++] = copy; // else counted twice at worst, which trips earlier
    return true;
}

/* Newest first, the newest of each unit. */
static bool judge_results(struct sqlite_store *store, const struct permit *p, int64_t after,
                          int64_t now, bool *ret_trips, struct error *err)
{
    const struct breaker_rule *r = &p->rule;
    int64_t oldest = r->window_ms > 0 ? now - r->window_ms : INT64_MIN;
    struct str *seen = ARENA_ARRAY(&store->scratch, struct str, STORE_RESULTS_MAX);
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_RESULTS, err, "tiii", p->key, after, oldest,
                                  (int64_t)STORE_RESULTS_MAX);
    bool row, ok, unbroken = true;
    int in_a_row = 0, bad = 0, total = 0;
    size_t seen_count = 0;
    if (!stmt || !seen)
        return stmt && error_set(err, "S0006", "out of memory reading results");
    while ((ok = sql_row(store, stmt, &row, err)) && row && (unbroken || total < r->of)) {
        bool is_bad = sqlite3_column_int(stmt, 1);
        if (!note_distinct(store, sql_text(stmt, 0), seen, &seen_count))
            continue;
        unbroken = unbroken && is_bad;
        in_a_row += unbroken;
        if (total < r->of) {
            total++;
            bad += is_bad;
        }
    }
    sqlite3_reset(stmt);
    *ret_trips = breaker_rule_trips(r, in_a_row, bad, total);
    return ok;
}

static bool is_call(const struct permit *p)
{
    return str_starts(p->key, STR(CALL_KEY_PREFIX));
}

/* Does what came of a repair count under a key? Refusals are the calls' only. RESULT_EACH writes
 * results by the same rule. */
static bool counts_under(const struct permit *p, enum store_outcome outcome)
{
    return p->rule.open_ms > 0 && (outcome != OUTCOME_REFUSED || is_call(p));
}

/* What a result under one key, which is written already, does to its breaker. */
static bool judge_result(struct sqlite_store *store, const struct held_permit *h,
                         enum store_outcome outcome, int64_t now, struct error *err)
{
    const struct permit *p = &h->permit;
    bool bad = outcome != OUTCOME_GOOD, trips = false, changed = false, at_once = false;
    struct breaker_state b;
    int64_t after;
    if (!counts_under(p, outcome) || (!bad && !h->probe))
        return true;
    if (!load_breaker(store, p->key, &b, &after, err))
        return false;
    at_once = outcome == OUTCOME_FROZEN && is_call(p);
    bool open = b.opened_ms && !breaker_is_half_open(&b, now);
    if (at_once && !open)
        trips = true;
    else if (h->probe && b.opened_ms && !open)
        changed = breaker_take_probe(&b, bad, p->rule.open_ms, now);
    else if (bad && !b.opened_ms && !judge_results(store, p, after, now, &trips, err))
        return false;
    if (trips)
        breaker_trip(&b, p->rule.open_ms, now);
    if (!trips && !h->probe)
        return true;
    if (!write_breaker(store, p->key, &b, trips || changed, err))
        return false;
    struct str reason = at_once          ? STR("what was changed could not be taken back")
                        : trips          ? STR("too many repairs failed")
                        : changed && bad ? STR("a probe failed")
                        : changed        ? STR("the probes were good")
                                         : (struct str){0};
    return reason.len == 0 || tell_breaker(store, p->key, reason, &b, now, err);
}

bool sqlite_count_outcome(struct sqlite_store *store, int64_t id, enum store_outcome outcome,
                          int64_t now, struct error *err)
{
    struct held_permit held[PERMITS_MAX];
    size_t count;
    if (outcome == OUTCOME_NONE)
        return true;
    sqlite3_stmt *stmt =
        sql_with(store, STATEMENT_RESULT_EACH, err, "iiii", id, now,
                 (int64_t)(outcome != OUTCOME_GOOD), (int64_t)(outcome != OUTCOME_REFUSED));
    if (!stmt || !sql_done(store, stmt, err) || !load_held(store, id, held, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!judge_result(store, &held[i], outcome, now, err))
            return false;
    return true;
}

bool sqlite_slow_calls(struct sqlite_store *store, int64_t id, int64_t until_ms, struct error *err)
{
    struct held_permit held[PERMITS_MAX];
    size_t count;
    if (!load_held(store, id, held, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct breaker_state b;
        int64_t ignored;
        if (!is_call(&held[i].permit))
            continue;
        if (!load_breaker(store, held[i].permit.key, &b, &ignored, err))
            return false;
        if (b.slow_until_ms >= until_ms)
            continue;
        b.slow_until_ms = until_ms;
        if (!write_breaker(store, held[i].permit.key, &b, false, err))
            return false;
    }
    return true;
}

/* ---- by hand ---- */

struct breaker_args {
    struct str key, reason;
    int64_t open_ms;
};

static enum store_result run_breaker(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct breaker_args *args = arg;
    struct breaker_state b;
    int64_t now = sql_now(store), ignored;
    if (!load_breaker(store, args->key, &b, &ignored, err))
        return STORE_ERROR;
    if (args->open_ms && b.opened_ms && !breaker_is_half_open(&b, now))
        return STORE_OK; // two saw the same trip; it counts once
    if (args->open_ms)
        breaker_trip(&b, args->open_ms, now);
    else
        b.opened_ms = b.probes_good = b.probes_bad = 0;
    bool ok = sqlite_begin(store, err) && write_breaker(store, args->key, &b, true, err) &&
              tell_breaker(store, args->key, args->reason, &b, now, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_breaker_set(struct store *base, struct str key, int64_t open_ms,
                                          struct str reason, struct error *err)
{
    struct breaker_args args = {key, reason, open_ms};
    struct sqlite_job job =
        SQLITE_JOB(run_breaker, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}
