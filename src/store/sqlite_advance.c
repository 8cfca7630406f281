// SPDX-License-Identifier: Apache-2.0
/* Transitions and free records; approvals are asked and used here (votes: sqlite_votes.c). Leader's
 * thread inside the run_ functions.
 *
 * A transition first checks every condition, then writes: lock, permit, approval, breaker result,
 * leaf. So a condition that fails needs no undoing. The row is loaded once and written once for all
 * transitions of one call; between them it changes in memory:
 *
 *   load row ─► [check, effects, leaf] ─► [check, effects, leaf] ─► ... ─► write row, detail,
 *                                                                          successor */
#include "store/sqlite_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ensure.h"

/* The row as it is; texts live in the scratch arena. */
struct current {
    enum remediation_kind kind;
    enum state state;
    int64_t version, epoch, sequence, sequence_seen, lease_ms, released_ms, due_ms, settled_ms;
    int holds;
    struct str policy, policy_hash, resource, region;
    bool frozen; // terminal, and its lock is kept
    /* Set by the transitions only. */
    int step;
    int64_t lease_end_ms, healed_ms; // 0 = none
    struct str reason, detail;       // detail empty = unchanged
};

static enum store_result load_current(struct sqlite_store *store, int64_t id, struct current *ret,
                                      struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_CONDITIONS, err);
    bool row;
    if (!stmt)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, id);
    if (!sql_row(store, stmt, &row, err))
        return STORE_ERROR;
    if (!row) {
        sqlite3_reset(stmt);
        return STORE_ABSENT;
    }
    struct arena *arena = &store->scratch;
    bool rollback = str_eq(sql_text(stmt, 0), STR("rollback"));
    *ret = (struct current){.kind = rollback ? REMEDIATION_ROLLBACK : REMEDIATION_REPAIR,
                            .version = sqlite3_column_int64(stmt, 2),
                            .epoch = sqlite3_column_int64(stmt, 3),
                            .sequence = sqlite3_column_int64(stmt, 4),
                            .sequence_seen = sqlite3_column_int64(stmt, 5),
                            .lease_ms = sqlite3_column_int64(stmt, 6),
                            .released_ms = sqlite3_column_int64(stmt, 7),
                            .holds = sqlite3_column_int(stmt, 8),
                            .policy = sql_copy(stmt, 9, arena),
                            .policy_hash = sql_copy(stmt, 10, arena),
                            .resource = sql_copy(stmt, 11, arena),
                            .region = sql_copy(stmt, 12, arena),
                            .due_ms = sqlite3_column_int64(stmt, 13),
                            .settled_ms = sqlite3_column_int64(stmt, 14)};
    bool known = state_parse(sql_text(stmt, 1), &ret->state);
    ENSURE(known);
    sqlite3_reset(stmt);
    if (!ret->policy.ptr || !ret->policy_hash.ptr || !ret->resource.ptr || !ret->region.ptr) {
        error_set(err, "S0006", "out of memory reading a remediation");
        return STORE_ERROR;
    }
    return STORE_OK;
}

static bool load_lock(struct sqlite_store *store, struct str resource, int64_t *ret_by,
                      bool *ret_frozen, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_LOCK_GET, err);
    bool row;
    if (!stmt)
        return false;
    sql_bind(stmt, 1, resource);
    if (!sql_row(store, stmt, &row, err))
        return false;
    *ret_by = row ? sqlite3_column_int64(stmt, 0) : 0;
    *ret_frozen = row && sqlite3_column_int64(stmt, 1);
    sqlite3_reset(stmt);
    return true;
}

static bool run_id_statement(struct sqlite_store *store, enum sqlite_statement which, int64_t id,
                             struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, which, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    return sql_done(store, stmt, err);
}

static bool run_text_statement(struct sqlite_store *store, enum sqlite_statement which,
                               struct str text, int64_t number, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, which, err);
    if (!stmt)
        return false;
    sql_bind(stmt, 1, text);
    sqlite3_bind_int64(stmt, 2, number);
    return sql_done(store, stmt, err);
}

/* ---- conditions ---- */

static enum store_result check_approval(struct sqlite_store *store,
                                        const struct store_transition *t, struct error *err)
{
    struct sqlite_approval approval;
    if (t->approval_hash.len == 0)
        return STORE_OK;
    if (!sqlite_load_approval(store, t->id, &approval, err))
        return STORE_ERROR;
    bool good = approval.plan_hash.ptr && approval.decided && approval.yes && !approval.consumed &&
                store->wall_max < approval.expires_ms &&
                str_eq(approval.plan_hash, t->approval_hash);
    return good ? STORE_OK : STORE_VOID;
}

/* A person may clear what is frozen: the same terminal state again, without freeze. */
static bool clears_frozen(const struct store_transition *t, const struct current *row)
{
    return t->epoch == 0 && row->frozen && t->to == row->state && !t->freeze;
}

static enum store_result check(struct sqlite_store *store, const struct store_transition *t,
                               struct current *row, int64_t now, bool *ret_probe, struct error *err)
{
    int64_t locked_by = 0;
    bool frozen = false;
    if (row->version != t->version || (t->epoch && row->epoch != t->epoch) ||
        (t->sequence_unchanged && row->sequence != row->sequence_seen))
        return STORE_CONFLICT;
    if ((t->lock || t->freeze || state_is_terminal(row->state)) &&
        !load_lock(store, row->resource, &locked_by, &frozen, err))
        return STORE_ERROR;
    row->frozen = frozen && locked_by == t->id;
    if (state_is_terminal(row->state))
        return clears_frozen(t, row) ? STORE_OK : STORE_CONFLICT;
    if ((t->lock || t->freeze) && locked_by && locked_by != t->id)
        return STORE_LOCKED;
    enum store_result result = sqlite_check_permits(store, t->permits, t->permit_count,
                                                    row->holds & HOLDS_PERMIT, now, ret_probe, err);
    if (result == STORE_OK)
        result = sqlite_check_cohort(store, &t->cohort, row->policy, row->resource, err);
    return result == STORE_OK ? check_approval(store, t, err) : result;
}

/* ---- effects ---- */

static bool write_row(struct sqlite_store *store, int64_t id, const struct current *row,
                      int64_t now, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_ADVANCE, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    sql_bind(stmt, 2, str_from(state_name(row->state)));
    sqlite3_bind_int(stmt, 3, row->step);
    sqlite3_bind_int64(stmt, 4, row->version);
    sqlite3_bind_int64(stmt, 5, row->due_ms);
    sqlite3_bind_int64(stmt, 6, now);
    sql_bind(stmt, 7, row->reason);
    sqlite3_bind_int64(stmt, 8, row->lease_end_ms);
    sqlite3_bind_int64(stmt, 9, row->released_ms);
    sqlite3_bind_int(stmt, 10, row->holds);
    sqlite3_bind_int64(stmt, 11, row->sequence_seen);
    return sql_done(store, stmt, err);
}

static bool write_finish(struct sqlite_store *store, int64_t id, const struct current *row,
                         int64_t now, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_FINISH, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    sql_bind(stmt, 2, str_from(state_name(row->state)));
    sqlite3_bind_int(stmt, 3, row->step);
    sqlite3_bind_int64(stmt, 4, row->version);
    sqlite3_bind_int64(stmt, 5, now);
    sql_bind(stmt, 6, row->reason);
    if (row->healed_ms)
        sqlite3_bind_int64(stmt, 7, row->healed_ms);
    else
        sqlite3_bind_null(stmt, 7);
    return sql_done(store, stmt, err);
}

/* What this process remembers of the lease. */
static bool keep_lease(struct sqlite_store *store, int64_t id, const struct current *row,
                       struct error *err)
{
    struct lease lease;
    if (!row->lease_end_ms) {
        lease_remove(&store->leases, id);
        return true;
    }
    if (!lease_get(&store->leases, id, &lease) || lease.epoch != row->epoch)
        return true;
    lease.end_ms = row->lease_end_ms;
    return lease_set(&store->leases, lease) || error_set(err, "S0006", "out of memory for a lease");
}

/* Lock and permit of a transition; *holds becomes what the row holds after it. */
static bool write_holds(struct sqlite_store *store, const struct store_transition *t,
                        const struct current *row, const bool *probe, int64_t now, int *holds,
                        struct error *err)
{
    bool terminal = state_is_terminal(t->to), ok = true;
    bool permit = *holds & HOLDS_PERMIT, lock = *holds & HOLDS_LOCK;
    bool working = state_flags(t->to) & STATE_LOCKED;
    if (t->permit_count) {
        ok = sqlite_take_permits(store, t->id, t->permits, t->permit_count, probe, now, err);
        *holds |= HOLDS_PERMIT;
    } else if (!working && permit) { // at its end, or decided again
        ok = sqlite_give_permits(store, t->id, row->policy, now, err);
        *holds &= ~HOLDS_PERMIT;
    }
    if (ok && t->freeze)
        return run_text_statement(store, STATEMENT_LOCK_FREEZE, row->resource, t->id, err);
    if (ok && !working && (lock || (terminal && row->frozen))) {
        *holds &= ~HOLDS_LOCK;
        return run_text_statement(store, STATEMENT_UNLOCK, row->resource, t->id, err);
    }
    if (ok && !terminal && t->lock && !lock) {
        ok = run_text_statement(store, STATEMENT_LOCK, row->resource, t->id, err);
        *holds |= HOLDS_LOCK;
    }
    return ok;
}

/* Opens the approval, unless this very plan is asked or decided already. *due becomes now when the
 * decision is there: a vote that came while the row was leased is not slept over. */
static bool write_ask(struct sqlite_store *store, const struct store_transition *t, int64_t now,
                      int64_t *due, struct error *err)
{
    struct sqlite_approval approval;
    if (t->to != STATE_ASKING)
        return true;
    if (!sqlite_load_approval(store, t->id, &approval, err))
        return false;
    bool open =
        approval.plan_hash.ptr && !approval.consumed && store->wall_max < approval.expires_ms;
    if (open && (t->ask_hash.len == 0 || str_eq(approval.plan_hash, t->ask_hash))) {
        if (approval.decided && *due > now)
            *due = now;
        return true;
    }
    if (t->ask_hash.len == 0)
        return true;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_ASK, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, t->id);
    sql_bind(stmt, 2, t->ask_hash);
    sqlite3_bind_int64(stmt, 3, now);
    sqlite3_bind_int64(stmt, 4, t->ask_expires_ms);
    sql_bind(stmt, 5, t->ask_id);
    sqlite3_bind_int(stmt, 6, t->ask_need > 1 ? t->ask_need : 1);
    sql_bind(stmt, 7, t->ask_via);
    return sql_done(store, stmt, err);
}

/* What its end says to breakers and rollout, before its permits are given back. */
static bool write_outcome(struct sqlite_store *store, const struct store_transition *t,
                          const struct current *row, int64_t now, struct error *err)
{
    struct sqlite_ended ended = {t->id, row->policy, row->resource, t->outcome};
    if (t->throttled_ms > 0 && !sqlite_slow_calls(store, t->id, now + t->throttled_ms, err))
        return false;
    if (t->found && !sqlite_note_found(store, row->policy, now, err))
        return false;
    bool over =
        t->outcome != OUTCOME_NONE || (state_is_terminal(t->to) && row->kind == REMEDIATION_REPAIR);
    return !over || (sqlite_count_outcome(store, t->id, t->outcome, now, err) &&
                     sqlite_end_seat(store, &ended, now, err));
}

static bool write_detail(struct sqlite_store *store, int64_t id, struct str detail,
                         struct error *err)
{
    if (detail.len == 0)
        return true;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_DETAIL_SET, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    sql_bind(stmt, 2, detail);
    return sql_done(store, stmt, err);
}

/* An event came that the ended one never looked at: a new one starts with the newest event, once
 * that has settled. */
static bool write_successor(struct sqlite_store *store, int64_t ended, const struct current *row,
                            int64_t now, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_DETAIL_NEWEST, err);
    bool found;
    int64_t id;
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, ended);
    if (!sql_row(store, stmt, &found, err))
        return false;
    struct sqlite_new new_row = {.kind = REMEDIATION_REPAIR,
                                 .policy = row->policy,
                                 .policy_hash = row->policy_hash,
                                 .resource = row->resource,
                                 .region = row->region,
                                 .due_ms = row->settled_ms > now ? row->settled_ms : now};
    if (found) {
        new_row.detail = sql_copy(stmt, 0, &store->scratch);
        struct str hash = sql_copy(stmt, 1, &store->scratch);
        if (hash.len)
            new_row.policy_hash = hash;
    }
    sqlite3_reset(stmt);
    char parent[REMEDIATION_ID_SIZE], body[64];
    remediation_id_format(ended, parent);
    snprintf(body, sizeof body, "{\"after\":\"%s\"}", parent);
    if (!sqlite_insert(store, &new_row, now, &id, err))
        return false;
    struct leaf_parts leaf = {.at_ms = now,
                              .id = id,
                              .kind = STR("successor"),
                              .policy = row->policy,
                              .resource = row->resource,
                              .reason = STR("an event came while the one before was at work"),
                              .state = STATE_RECEIVED,
                              .version = 1,
                              .body = str_from(body)};
    return sql_leaf(store, &leaf, err);
}

static bool write_own_call(struct sqlite_store *store, const struct store_transition *t,
                           int64_t now, struct error *err)
{
    if (t->request_id.len == 0)
        return true;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_OWN_CALL_SET, err);
    if (!stmt)
        return false;
    sql_bind(stmt, 1, t->request_id);
    sqlite3_bind_int64(stmt, 2, t->id);
    sqlite3_bind_int64(stmt, 3, now);
    return sql_done(store, stmt, err);
}

/* Once it is used, an older copy of the store must not make it good again: the lock file, which no
 * backup of the store brings back, remembers how long the log has to be. */
static bool consume(struct sqlite_store *store, int64_t id, struct error *err)
{
    return run_id_statement(store, STATEMENT_CONSUME, id, err) && sqlite_anchor(store, err);
}

static bool effects(struct sqlite_store *store, const struct store_transition *t,
                    struct current *row, const bool *probe, int64_t now, struct error *err)
{
    row->due_ms = t->due_ms;
    return write_outcome(store, t, row, now, err) &&
           write_holds(store, t, row, probe, now, &row->holds, err) &&
           sqlite_take_seat(store, &t->cohort, t->id, row->policy, row->resource, err) &&
           write_ask(store, t, now, &row->due_ms, err) &&
           (!t->approval_hash.len || consume(store, t->id, err)) &&
           write_own_call(store, t, now, err) &&
           sqlite_put_notices(store, t->id, t->notices, t->notice_count, now, err);
}

/* The row, in memory, as the transition leaves it. */
static void move(const struct store_transition *t, struct current *row, int64_t now)
{
    bool keep = t->keep_lease && t->epoch && !state_is_terminal(t->to);
    row->state = t->to;
    row->step = t->step;
    row->version++;
    row->reason = t->reason;
    row->lease_end_ms = keep ? now + row->lease_ms : 0;
    row->released_ms = keep ? row->released_ms : now;
    if (t->detail.len)
        row->detail = t->detail;
    if (row->sequence_seen < t->sequence_seen)
        row->sequence_seen = t->sequence_seen < row->sequence ? t->sequence_seen : row->sequence;
    if (t->to == STATE_HEALED && row->kind == REMEDIATION_REPAIR)
        row->healed_ms = now;
}

static enum store_result apply(struct sqlite_store *store, const struct store_transition *t,
                               struct current *row, int64_t now, struct error *err)
{
    bool probe[PERMITS_MAX] = {0};
    enum store_result result = check(store, t, row, now, probe, err);
    if (result != STORE_OK)
        return result;
    if (!sqlite_begin(store, err) || !effects(store, t, row, probe, now, err))
        return STORE_ERROR;
    store->counts[row->state]--;
    store->counts[t->to]++;
    move(t, row, now);
    struct leaf_parts leaf = {.at_ms = now,
                              .id = t->id,
                              .kind = STR("transition"),
                              .policy = row->policy,
                              .resource = row->resource,
                              .reason = t->reason,
                              .state = t->to,
                              .step = t->step,
                              .version = row->version,
                              .body = t->record};
    return sql_leaf(store, &leaf, err) ? STORE_OK : STORE_ERROR;
}

static bool write_all(struct sqlite_store *store, int64_t id, const struct current *row,
                      bool was_terminal, int64_t now, struct error *err)
{
    bool terminal = state_is_terminal(row->state);
    if (!(terminal ? write_finish : write_row)(store, id, row, now, err) ||
        !keep_lease(store, id, row, err) || !write_detail(store, id, row->detail, err))
        return false;
    bool unseen = terminal && !was_terminal && row->sequence > row->sequence_seen;
    return !unseen || write_successor(store, id, row, now, err);
}

/* Some transitions of one row; what is queued for later has its texts behind it in one block. An
 * intent waits for the disk, so that permits are never copied. */
struct advance_args {
    size_t count, applied;
    struct store_transition list[STORE_ADVANCE_MAX];
};

static enum store_result run_advance(struct sqlite_store *store, void *arg, struct error *err)
{
    struct advance_args *args = arg;
    struct current row;
    int64_t now = sql_now(store), id = args->list[0].id;
    enum store_result result = load_current(store, id, &row, err);
    if (result != STORE_OK)
        return result;
    bool was_terminal = state_is_terminal(row.state);
    for (args->applied = 0; args->applied < args->count; args->applied++)
        if ((result = apply(store, &args->list[args->applied], &row, now, err)) != STORE_OK)
            break;
    if (result == STORE_ERROR ||
        (args->applied && !write_all(store, id, &row, was_terminal, now, err)))
        return STORE_ERROR;
    return result;
}

static void *copy_advance(const void *arg)
{
    const struct advance_args *args = arg;
    size_t head = offsetof(struct advance_args, list) + args->count * sizeof *args->list;
    size_t size = head;
    for (size_t i = 0; i < args->count; i++) {
        const struct store_transition *t = &args->list[i];
        size += t->reason.len + t->detail.len + t->record.len + t->approval_hash.len +
                t->ask_hash.len + t->request_id.len + t->ask_id.len + t->ask_via.len;
    }
    char *block = malloc(size);
    if (!block)
        return NULL;
    memcpy(block, args, head);
    struct advance_args *copy = (struct advance_args *)(void *)block;
    char *at = block + head;
    for (size_t i = 0; i < args->count; i++) {
        struct store_transition *t = &copy->list[i];
        struct str *texts[] = {&t->reason,   &t->detail,     &t->record, &t->approval_hash,
                               &t->ask_hash, &t->request_id, &t->ask_id, &t->ask_via};
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            if (texts[j]->len)
                memcpy(at, texts[j]->ptr, texts[j]->len);
            texts[j]->ptr = at;
            at += texts[j]->len;
        }
    }
    return block;
}

enum store_result sqlite_verb_advance(struct store *base, const struct store_transition *list,
                                      size_t count, bool wait, size_t *ret_applied,
                                      struct error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct advance_args args = {.count = count, .applied = count};
    memcpy(args.list, list, count * sizeof *list);
    enum store_result result;
    if (wait) {
        struct sqlite_job job =
            SQLITE_JOB(run_advance, &args, .writes = true, .durable = true, .err = err);
        result = sqlite_submit(store, &job);
    } else {
        result = sqlite_submit_later(store, run_advance, &args, copy_advance, err);
    }
    *ret_applied = result == STORE_ERROR ? 0 : args.applied;
    return result;
}

/* ---- records of their own ---- */

struct record_args {
    struct str kind, body;
};

static enum store_result run_record(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct record_args *args = arg;
    struct leaf_parts leaf = {.at_ms = sql_now(store), .kind = args->kind, .body = args->body};
    bool ok = sqlite_begin(store, err) && sql_leaf(store, &leaf, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_record(struct store *base, struct str kind, struct str body,
                                     struct error *err)
{
    struct record_args args = {kind, body};
    struct sqlite_job job =
        SQLITE_JOB(run_record, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}
