// SPDX-License-Identifier: Apache-2.0
/* A policy's state: paused or not, how far its rollout is, who belongs to its cohort; what exists
 * and what was found. Leader's thread inside the run_ functions. */
#include "store/sqlite_internal.h"

#define WAKE_SPREAD_MS 2000 // all that is held of a policy becomes due within this time

static void read_rollout(sqlite3_stmt *stmt, struct arena *arena, struct sqlite_rollout *ret)
{
    bool paused = sqlite3_column_int(stmt, 3), done = sqlite3_column_int(stmt, 4);
    *ret = (struct sqlite_rollout){.known = true,
                                   .paused = paused,
                                   .done = done,
                                   .undo = sqlite3_column_int(stmt, 5),
                                   .rollout = {.state = paused ? ROLLOUT_PAUSED
                                                        : done ? ROLLOUT_DONE
                                                               : ROLLOUT_RUNNING,
                                               .hash = sql_copy(stmt, 0, arena),
                                               .stage = sqlite3_column_int(stmt, 2),
                                               .since_ms = sqlite3_column_int64(stmt, 6),
                                               .good = sqlite3_column_int(stmt, 7),
                                               .waived_ms = sqlite3_column_int64(stmt, 8),
                                               .by = sql_copy(stmt, 9, arena),
                                               .reason = sql_copy(stmt, 10, arena),
                                               .seats = sqlite3_column_int(stmt, 11)}};
    if (sqlite3_column_bytes(stmt, 1) == STORE_SECRET_SIZE)
        memcpy(ret->secret, sqlite3_column_blob(stmt, 1), STORE_SECRET_SIZE);
}

static bool is_whole(const struct sqlite_rollout *r, struct error *err)
{
    const struct rollout *rollout = &r->rollout;
    return (rollout->hash.ptr && rollout->by.ptr && rollout->reason.ptr) ||
           error_set(err, "S0006", "out of memory reading a policy's state");
}

bool sqlite_load_rollout(struct sqlite_store *store, struct str policy, struct arena *arena,
                         struct sqlite_rollout *ret, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_ROLLOUT, err, "t", policy);
    bool row;
    *ret = (struct sqlite_rollout){0};
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    if (row)
        read_rollout(stmt, arena, ret);
    sqlite3_reset(stmt);
    return !row || is_whole(ret, err);
}

static bool write_rollout(struct sqlite_store *store, struct str policy,
                          const struct sqlite_rollout *r, struct error *err)
{
    const struct rollout *o = &r->rollout;
    struct str secret = {(const char *)r->secret, STORE_SECRET_SIZE};
    sqlite3_stmt *stmt =
        sql_with(store, STATEMENT_ROLLOUT_SET, err, "ttbiiiiiiitt", policy, o->hash, secret,
                 (int64_t)o->stage, (int64_t)r->paused, (int64_t)r->done, (int64_t)r->undo,
                 o->since_ms, (int64_t)o->good, o->waived_ms, o->by, o->reason);
    return stmt && sql_done(store, stmt, err);
}

static bool tell(struct sqlite_store *store, struct str policy, const char *what,
                 const struct rollout *r, int64_t now, struct error *err)
{
    struct leaf_parts leaf = {.at_ms = now,
                              .kind = STR("policy"),
                              .body = leaf_policy_body(&store->scratch, policy, str_from(what), r)};
    return (leaf.body.ptr || error_set(err, "S0006", "out of memory writing a record")) &&
           sql_leaf(store, &leaf, err);
}

static bool load_seat(struct sqlite_store *store, struct str policy, struct str resource,
                      bool *ret_seat, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_SEAT, err, "tt", policy, resource);
    bool row;
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    *ret_seat = row && sqlite3_column_int(stmt, 0);
    sqlite3_reset(stmt);
    return true;
}

static bool load_refused(struct sqlite_store *store, struct str policy, struct str resource,
                         int stage, bool *ret, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_REFUSED_HERE, err, "tti", policy,
                                  store_account_of(resource), (int64_t)stage);
    if (!stmt || !sql_row(store, stmt, ret, err))
        return false;
    sqlite3_reset(stmt);
    return true;
}

bool sqlite_look_rollout(struct sqlite_store *store, struct str policy, struct str resource,
                         struct arena *arena, struct rollout *ret, struct error *err)
{
    struct sqlite_rollout r;
    if (!sqlite_load_rollout(store, policy, arena, &r, err))
        return false;
    *ret = r.rollout;
    if (!r.known)
        return true;
    ret->place = store_place(r.secret, resource);
    return load_seat(store, policy, resource, &ret->member, err) &&
           load_refused(store, policy, resource, ret->stage, &ret->refused_here, err);
}

/* ---- in a transition ---- */

enum store_result sqlite_check_cohort(struct sqlite_store *store, const struct store_cohort *c,
                                      struct str policy, struct str resource, struct error *err)
{
    struct sqlite_rollout r;
    bool seat;
    if (c->hash.len == 0)
        return STORE_OK;
    if (!sqlite_load_rollout(store, policy, &store->scratch, &r, err))
        return STORE_ERROR;
    if (!r.known)
        return c->stage < 0 ? STORE_OK : STORE_LIMITED;
    if (r.paused)
        return STORE_LIMITED;
    if (c->stage < 0)
        return STORE_OK;
    if (!str_eq(r.rollout.hash, c->hash) || (!r.done && r.rollout.stage < c->stage))
        return STORE_LIMITED;
    if (r.done || c->seats <= 0 || r.rollout.seats < c->seats)
        return STORE_OK;
    if (!load_seat(store, policy, resource, &seat, err))
        return STORE_ERROR;
    return seat ? STORE_OK : STORE_LIMITED;
}

bool sqlite_take_seat(struct sqlite_store *store, const struct store_cohort *c, int64_t id,
                      struct str policy, struct str resource, struct error *err)
{
    struct sqlite_rollout r;
    if (c->hash.len == 0 || !c->counts)
        return true;
    if (!sqlite_load_rollout(store, policy, &store->scratch, &r, err))
        return false;
    if (!r.known || r.done)
        return true;
    sqlite3_stmt *stmt =
        sql_with(store, STATEMENT_SEAT_TAKE, err, "tttiii", policy, resource,
                 store_account_of(resource), (int64_t)r.rollout.stage, (int64_t)(c->seats > 0), id);
    return stmt && sql_done(store, stmt, err);
}

struct healed {
    struct healed *next;
    int64_t id;
    struct str resource, region, hash;
};

static bool load_healed(struct sqlite_store *store, struct str policy, int stage,
                        struct healed **ret, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_STAGE_HEALED, err, "ti", policy, (int64_t)stage);
    bool row = false, ok = stmt != NULL;
    struct arena *arena = &store->scratch;
    *ret = NULL;
    while (ok && (ok = sql_row(store, stmt, &row, err)) && row) {
        struct healed *h = ARENA_NEW(arena, struct healed);
        if (!h) {
            ok = error_set(err, "S0006", "out of memory taking a stage back");
            break;
        }
        *h = (struct healed){*ret, sqlite3_column_int64(stmt, 0), sql_copy(stmt, 1, arena),
                             sql_copy(stmt, 2, arena), sql_copy(stmt, 3, arena)};
        *ret = h;
    }
    if (stmt)
        sqlite3_reset(stmt);
    return ok;
}

/* A rollback of each repair that the stage has healed, in this very transaction. */
static bool undo_stage(struct sqlite_store *store, struct str policy, int stage, int64_t now,
                       struct error *err)
{
    struct healed *all;
    if (!load_healed(store, policy, stage, &all, err))
        return false;
    for (struct healed *h = all; h; h = h->next) {
        int64_t id;
        struct arena_mark mark = arena_mark(&store->scratch);
        if (!sqlite_find_active(store, REMEDIATION_ROLLBACK, policy, h->resource, &id, err))
            return false;
        if (id)
            continue;
        struct str detail = leaf_stage_undo(&store->scratch, h->id);
        struct sqlite_new row = {.kind = REMEDIATION_ROLLBACK,
                                 .policy = policy,
                                 .policy_hash = h->hash,
                                 .resource = h->resource,
                                 .region = h->region,
                                 .detail = detail,
                                 .due_ms = now};
        if (!detail.ptr || !sqlite_insert(store, &row, now, &id, err))
            return detail.ptr != NULL || error_set(err, "S0006", "out of memory");
        struct leaf_parts leaf = {.at_ms = now,
                                  .id = id,
                                  .kind = STR("create"),
                                  .policy = policy,
                                  .resource = h->resource,
                                  .reason = STR("its rollout's stage is taken back"),
                                  .state = STATE_RECEIVED,
                                  .version = 1,
                                  .body = detail};
        if (!sql_leaf(store, &leaf, err))
            return false;
        arena_rewind(&store->scratch, mark);
    }
    return true;
}

static bool pause_rollout(struct sqlite_store *store, struct str policy, struct sqlite_rollout *r,
                          bool undo, int64_t now, struct error *err)
{
    r->paused = true;
    r->rollout.waived_ms = 0;
    return write_rollout(store, policy, r, err) &&
           tell(store, policy, "pause", &r->rollout, now, err) &&
           (!undo || undo_stage(store, policy, r->rollout.stage, now, err));
}

/* The end of a repair that counted for a stage. */
bool sqlite_end_seat(struct sqlite_store *store, const struct sqlite_ended *e, int64_t now,
                     struct error *err)
{
    struct sqlite_rollout r;
    sqlite3_stmt *stmt =
        sql_with(store, STATEMENT_SEAT_OF, err, "tti", e->policy, e->resource, e->id);
    bool row;
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    int stage = row ? sqlite3_column_int(stmt, 0) : 0;
    sqlite3_reset(stmt);
    if (!row)
        return true;
    if (e->outcome == OUTCOME_NONE) {
        stmt = sql_with(store, STATEMENT_SEAT_FREE, err, "tti", e->policy, e->resource, e->id);
        return stmt && sql_done(store, stmt, err);
    }
    struct str outcome = e->outcome == OUTCOME_GOOD      ? STR("good")
                         : e->outcome == OUTCOME_REFUSED ? STR("refused")
                                                         : STR("bad");
    stmt = sql_with(store, STATEMENT_SEAT_END, err, "ttt", e->policy, e->resource, outcome);
    if (!stmt || !sql_done(store, stmt, err))
        return false;
    if (e->outcome == OUTCOME_GOOD) {
        stmt = sql_with(store, STATEMENT_ROLLOUT_GOOD, err, "ti", e->policy, (int64_t)stage);
        return stmt && sql_done(store, stmt, err);
    }
    if (e->outcome == OUTCOME_REFUSED)
        return true;
    if (!sqlite_load_rollout(store, e->policy, &store->scratch, &r, err))
        return false;
    if (!r.known || r.paused || r.done)
        return true;
    r.rollout.by = STR(STORE_ITSELF);
    r.rollout.reason = str_from(
        arena_printf(&store->scratch, "r%lld of its rollout did not help", (long long)e->id));
    return r.rollout.reason.ptr ? pause_rollout(store, e->policy, &r, r.undo, now, err)
                                : error_set(err, "S0006", "out of memory pausing a policy");
}

/* ---- a change of it ---- */

static enum store_result begin(struct sqlite_store *store, const struct store_rollout_change *c,
                               struct sqlite_rollout *r, int64_t now, struct error *err)
{
    bool person = r->paused && !str_is(r->rollout.by, STORE_ITSELF);
    if (r->known && str_eq(r->rollout.hash, c->hash))
        return STORE_OK;
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_SEATS_FREE, err, "t", c->policy);
    if (!stmt || !sql_done(store, stmt, err))
        return STORE_ERROR;
    clock_random(store->clock, r->secret, sizeof r->secret);
    r->paused = person;
    r->done = !c->staged;
    r->undo = c->undo;
    r->rollout.hash = c->hash;
    r->rollout.stage = r->rollout.good = 0;
    r->rollout.waived_ms = 0;
    r->rollout.since_ms = now;
    if (!person) {
        r->rollout.by = c->by;
        r->rollout.reason = c->reason;
    }
    return write_rollout(store, c->policy, r, err) &&
                   tell(store, c->policy, "begin", &r->rollout, now, err)
               ? STORE_OK
               : STORE_ERROR;
}

/* What waits for any change of the rollout, or for a step of it that is reached. */
static bool wake(struct sqlite_store *store, struct str policy, const struct sqlite_rollout *r,
                 int64_t now, struct error *err)
{
    sqlite3_stmt *stmt =
        sql_with(store, STATEMENT_WAKE_POLICY, err, "tiiiit", policy, now, (int64_t)WAKE_SPREAD_MS,
                 (int64_t)r->rollout.stage, (int64_t)r->done, r->rollout.hash);
    return stmt && sql_done(store, stmt, err);
}

static enum store_result go_on(struct sqlite_store *store, const struct store_rollout_change *c,
                               struct sqlite_rollout *r, int64_t now, struct error *err)
{
    bool resume = c->what == ROLLOUT_RESUME;
    if (!r->known)
        return STORE_ABSENT;
    if (!resume && (r->rollout.stage != c->stage || r->done))
        return STORE_CONFLICT;
    r->paused = false;
    r->done = r->done || c->what == ROLLOUT_FINISH;
    r->rollout.stage += c->what == ROLLOUT_PROMOTE;
    r->rollout.good = 0;
    r->rollout.since_ms = now;
    r->rollout.waived_ms = c->waive_ms ? now + c->waive_ms : r->rollout.waived_ms;
    r->rollout.by = c->by;
    r->rollout.reason = c->reason;
    return write_rollout(store, c->policy, r, err) &&
                   tell(store, c->policy,
                        resume    ? "resume"
                        : r->done ? "finish"
                                  : "promote",
                        &r->rollout, now, err) &&
                   wake(store, c->policy, r, now, err)
               ? STORE_OK
               : STORE_ERROR;
}

static enum store_result run_rollout(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct store_rollout_change *c = arg;
    struct sqlite_rollout r;
    int64_t now = sql_now(store);
    if (!sqlite_begin(store, err) ||
        !sqlite_load_rollout(store, c->policy, &store->scratch, &r, err))
        return STORE_ERROR;
    if (c->what == ROLLOUT_BEGIN)
        return begin(store, c, &r, now, err);
    if (c->what != ROLLOUT_PAUSE)
        return go_on(store, c, &r, now, err);
    if (!r.known) {
        r.done = !c->staged;
        r.rollout.hash = c->hash;
        r.rollout.since_ms = now;
        clock_random(store->clock, r.secret, sizeof r.secret);
    }
    r.rollout.by = c->by;
    r.rollout.reason = c->reason;
    return pause_rollout(store, c->policy, &r, c->undo && !r.paused && !r.done, now, err)
               ? STORE_OK
               : STORE_ERROR;
}

enum store_result sqlite_verb_rollout_set(struct store *base,
                                          const struct store_rollout_change *change,
                                          struct error *err)
{
    struct store_rollout_change args = *change;
    struct sqlite_job job =
        SQLITE_JOB(run_rollout, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

struct policies_args {
    struct arena *arena;
    struct store_policy *found;
    size_t count, cap;
};

static bool grow(struct policies_args *args)
{
    size_t cap = args->cap ? args->cap * 2 : 16;
    struct store_policy *found = ARENA_ARRAY(args->arena, struct store_policy, cap);
    if (!found)
        return false;
    if (args->count)
        memcpy(found, args->found, args->count * sizeof *found);
    args->found = found;
    args->cap = cap;
    return true;
}

static enum store_result run_policies(struct sqlite_store *store, void *arg, struct error *err)
{
    struct policies_args *args = arg;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_ROLLOUTS, err);
    bool row = false, ok = stmt != NULL;
    while (ok && (ok = sql_row(store, stmt, &row, err)) && row) {
        struct sqlite_rollout r;
        if (args->count == args->cap && !grow(args)) {
            ok = error_set(err, "S0006", "out of memory listing policies");
            break;
        }
        read_rollout(stmt, args->arena, &r);
        args->found[args->count++] =
            (struct store_policy){sql_copy(stmt, 12, args->arena), r.rollout};
        ok = is_whole(&r, err);
    }
    if (stmt)
        sqlite3_reset(stmt);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_policies(struct store *base, struct arena *arena,
                                       struct store_policy **ret, size_t *ret_count,
                                       struct error *err)
{
    struct policies_args args = {.arena = arena};
    struct sqlite_job job = SQLITE_JOB(run_policies, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    *ret = args.found;
    *ret_count = args.count;
    return result;
}

/* ---- what exists ---- */

struct counted_args {
    struct str policy, place;
    int64_t count;
};

static enum store_result run_counted(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct counted_args *args = arg;
    int64_t now = sql_now(store);
    sqlite3_stmt *stmt = sqlite_begin(store, err)
                             ? sql_with(store, STATEMENT_COUNTED, err, "ttii", args->policy,
                                        args->place, args->count, now)
                             : NULL;
    return stmt && sql_done(store, stmt, err) ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_counted(struct store *base, struct str policy, struct str place,
                                      int64_t count, struct error *err)
{
    struct counted_args args = {policy, place, count};
    struct sqlite_job job =
        SQLITE_JOB(run_counted, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

bool sqlite_note_found(struct sqlite_store *store, struct str policy, int64_t now,
                       struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_FOUND, err, "ti", policy, now / STORE_DAY_MS);
    return stmt && sql_done(store, stmt, err);
}

bool sqlite_look_numbers(struct sqlite_store *store, struct str policy, int64_t now,
                         struct store_guards *ret, struct error *err)
{
    bool row;
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_POPULATION, err, "t", policy);
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    ret->population = sqlite3_column_int64(stmt, 0);
    ret->counted_ms = sqlite3_column_int64(stmt, 1);
    sqlite3_reset(stmt);
    stmt = sql_with(store, STATEMENT_FOUND_LOOK, err, "ti", policy, now / STORE_DAY_MS);
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    ret->found_today = sqlite3_column_int64(stmt, 0);
    ret->found_past = sqlite3_column_int64(stmt, 1);
    ret->found_days = sqlite3_column_int(stmt, 2);
    sqlite3_reset(stmt);
    return true;
}
