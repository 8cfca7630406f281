// SPDX-License-Identifier: Apache-2.0
/* What is due is handed out, and leases end. Leader's thread inside the run_ functions. */
#include "store/sqlite_internal.h"

#include <stdio.h>

#include "base/ensure.h"

/* The last owner is proven dead (the file's lock is ours) and sends nothing more: a moment is
 * enough, where a worker that is only silent could use its signatures until the whole grace is
 * over. */
#define DEAD_OWNER_GRACE_MS 1000

struct claim_args {
    size_t count, taken;
    int64_t lease_ms, grace_ms;
    struct store_claim *claims;
    int64_t next_due_ms;
    bool more; // is due than is wanted
    bool lost; // nothing is claimed: `lost_error` tells of writes that nobody waited for
    struct error lost_error;
};

static void note_next(struct claim_args *args, int64_t due_ms)
{
    if (due_ms < args->next_due_ms)
        args->next_due_ms = due_ms;
}

static int64_t next_epoch(const struct sqlite_store *store, int64_t epoch)
{
    return (epoch > store->epoch_floor ? epoch : store->epoch_floor) + 1;
}

static void take(struct sqlite_store *store, struct claim_args *args, int64_t id, int64_t epoch)
{
    args->claims[args->taken++] = (struct store_claim){id, next_epoch(store, epoch)};
}

/* After a roll back: the leases of the last commit. */
static bool remember_leases(struct sqlite_store *store, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_LEASED, err);
    bool row, ok;
    if (!stmt)
        return false;
    while ((ok = sql_row(store, stmt, &row, err)) && row) {
        struct lease lease = {sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
                              sqlite3_column_int64(stmt, 2)};
        if (!lease_set(&store->leases, lease))
            return error_set(err, "S0006", "out of memory for a lease");
    }
    sqlite3_reset(stmt);
    store->leases_lost = !ok;
    return ok;
}

/* A row whose lease this process gave and sees run out. */
static bool take_again(struct sqlite_store *store, struct claim_args *args, int64_t id, int64_t now,
                       struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_LEASE_OVER, err, "i", id);
    bool row;
    if (!stmt || !sql_row(store, stmt, &row, err))
        return false;
    int64_t due = row ? sqlite3_column_int64(stmt, 1) : INT64_MAX;
    if (due > now || args->taken == args->count)
        note_next(args, due);
    else
        take(store, args, id, sqlite3_column_int64(stmt, 0));
    sqlite3_reset(stmt);
    return true;
}

static bool collect_leased(struct sqlite_store *store, struct claim_args *args, int64_t now,
                           struct error *err)
{
    const struct lease_table *leases = &store->leases;
    if (store->leases_lost && !remember_leases(store, err))
        return false;
    for (size_t i = 0; i < leases->cap; i++) {
        struct lease lease = leases->slots[i];
        if (lease.id && lease.end_ms > now)
            note_next(args, lease.end_ms);
        else if (lease.id && !take_again(store, args, lease.id, now, err))
            return false;
    }
    return true;
}

/* What the last owner sent just before it died may still arrive. */
static int64_t claimable_ms(const struct sqlite_store *store, const struct claim_args *args,
                            sqlite3_stmt *stmt, int64_t due)
{
    enum state state;
    bool known = state_parse(sql_text(stmt, 2), &state);
    ENSURE(known);
    int64_t by = sqlite3_column_int64(stmt, 3);
    if ((state != STATE_CALLING && state != STATE_UNKNOWN && state != STATE_UNDOING) || by == 0 ||
        by == store->instance)
        return due;
    int64_t grace = args->grace_ms < DEAD_OWNER_GRACE_MS ? args->grace_ms : DEAD_OWNER_GRACE_MS;
    int64_t over = sqlite3_column_int64(stmt, 4) + grace;
    return over > due ? over : due;
}

static bool collect_free(struct sqlite_store *store, struct claim_args *args, int64_t now,
                         struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_FREE, err);
    bool row, ok;
    if (!stmt)
        return false;
    while ((ok = sql_row(store, stmt, &row, err)) && row) {
        int64_t due = sqlite3_column_int64(stmt, 5);
        if (due >= args->next_due_ms)
            break;
        int64_t at = claimable_ms(store, args, stmt, due);
        if (at > now || args->taken == args->count) {
            note_next(args, at);
            args->more |= at <= now;
            if (due > now)
                break;
            continue;
        }
        take(store, args, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1));
    }
    sqlite3_reset(stmt);
    return ok;
}

/* ---- shares: what is taken when more is due than is wanted ----
 *
 *   due order   a a a a a a a a a a a b a c ...    a: a flood
 *   taken       a a a a │ b c │ a a                half in due order, each account's share, and
 *                                                  what is left in due order again
 */

static bool is_taken(const struct claim_args *args, int64_t id)
{
    for (size_t i = 0; i < args->taken; i++)
        if (args->claims[i].id == id)
            return true;
    return false;
}

/* The next account after store->claimed_after, round and round. *ret_due: has it something due? */
static bool next_account(struct sqlite_store *store, int64_t now, bool *ret_due, struct error *err)
{
    bool row = false;
    for (int turn = 0; turn < 2 && !row; turn++) {
        sqlite3_stmt *stmt = sql_get(store, STATEMENT_WHOSE, err);
        if (!stmt)
            return false;
        sql_bind(stmt, 1, str_from(store->claimed_after));
        if (!sql_row(store, stmt, &row, err))
            return false;
        store->claimed_after[0] = 0;
        if (row)
            snprintf(store->claimed_after, sizeof store->claimed_after, "%.*s",
                     STR_FMT(sql_text(stmt, 0)));
        *ret_due = row && sqlite3_column_int64(stmt, 1) <= now;
        sqlite3_reset(stmt);
    }
    return true;
}

/* Accounts with something due, up to `max` of them, each once. */
static bool find_accounts(struct sqlite_store *store, int64_t now, size_t max, struct str *ret,
                          size_t *ret_count, struct error *err)
{
    char first[STORE_WHOSE_SIZE] = "";
    *ret_count = 0;
    for (int visits = 0; visits < STORE_WHOSE_VISITS && *ret_count < max; visits++) {
        bool due;
        if (!next_account(store, now, &due, err))
            return false;
        if (strcmp(first, store->claimed_after) == 0)
            break; // all round
        if (visits == 0)
            memcpy(first, store->claimed_after, sizeof first);
        struct str whose = str_from(store->claimed_after);
        if (due && !(ret[(*ret_count)++] = str_copy(&store->scratch, whose)).ptr)
            return error_set(err, "S0006", "out of memory claiming");
    }
    return true;
}

static bool take_share(struct sqlite_store *store, struct claim_args *args, struct str whose,
                       size_t share, int64_t now, struct error *err)
{
    sqlite3_stmt *stmt = sql_with(store, STATEMENT_FREE_OF, err, "tii", whose, now, (int64_t)share);
    bool row, ok;
    if (!stmt)
        return false;
    while ((ok = sql_row(store, stmt, &row, err)) && row && args->taken < args->count)
        if (claimable_ms(store, args, stmt, sqlite3_column_int64(stmt, 5)) <= now &&
            !is_taken(args, sqlite3_column_int64(stmt, 0)))
            take(store, args, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1));
    sqlite3_reset(stmt);
    return ok;
}

static bool share_out(struct sqlite_store *store, struct claim_args *args, int64_t now,
                      struct error *err)
{
    size_t kept = args->count / 2, left = args->count - kept, accounts;
    struct store_claim *rest = ARENA_ARRAY(&store->scratch, struct store_claim, left);
    struct str *whose = ARENA_ARRAY(&store->scratch, struct str, left);
    if (!rest || !whose)
        return error_set(err, "S0006", "out of memory claiming");
    memcpy(rest, args->claims + kept, left * sizeof *rest);
    args->taken = kept;
    if (!find_accounts(store, now, left, whose, &accounts, err))
        return false;
    for (size_t i = 0; i < accounts; i++)
        if (!take_share(store, args, whose[i], left / accounts, now, err))
            return false;
    for (size_t i = 0; i < left && args->taken < args->count; i++)
        if (!is_taken(args, rest[i].id))
            args->claims[args->taken++] = rest[i];
    return true;
}

static bool write_claim(struct sqlite_store *store, const struct claim_args *args,
                        const struct store_claim *claim, int64_t now, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_CLAIM, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, claim->id);
    sqlite3_bind_int64(stmt, 2, claim->epoch);
    sqlite3_bind_int64(stmt, 3, args->lease_ms);
    sqlite3_bind_int64(stmt, 4, now + args->lease_ms);
    sqlite3_bind_int64(stmt, 5, store->instance);
    if (!sql_done(store, stmt, err))
        return false;
    if (claim->epoch > store->epoch_given)
        store->epoch_given = claim->epoch;
    struct lease lease = {claim->id, claim->epoch, now + args->lease_ms};
    return lease_set(&store->leases, lease) || error_set(err, "S0006", "out of memory for a lease");
}

static enum store_result run_claim(struct sqlite_store *store, void *arg, struct error *err)
{
    struct claim_args *args = arg;
    int64_t now = sql_now(store);
    if ((args->lost = sqlite_tell_lost(store, &args->lost_error)))
        return STORE_OK; // an error would roll back what others wrote since
    if (!collect_leased(store, args, now, err) || !collect_free(store, args, now, err))
        return STORE_ERROR;
    if (args->more && !share_out(store, args, now, err))
        return STORE_ERROR;
    if (args->taken && !sqlite_begin(store, err))
        return STORE_ERROR;
    for (size_t i = 0; i < args->taken; i++)
        if (!write_claim(store, args, &args->claims[i], now, err))
            return STORE_ERROR;
    return STORE_OK;
}

enum store_result sqlite_verb_claim(struct store *base, size_t count, int64_t lease_ms,
                                    int64_t grace_ms, struct store_claim *ret, size_t *ret_count,
                                    int64_t *ret_next_due_ms, struct error *err)
{
    struct claim_args args = {.count = count,
                              .lease_ms = lease_ms,
                              .grace_ms = grace_ms,
                              .claims = ret,
                              .next_due_ms = INT64_MAX};
    struct sqlite_job job = SQLITE_JOB(run_claim, &args, .writes = true, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (args.lost) {
        *err = args.lost_error;
        return STORE_ERROR;
    }
    if (result == STORE_OK) {
        *ret_count = args.taken;
        *ret_next_due_ms = args.next_due_ms;
    }
    return result;
}

struct end_args {
    const struct store_claim *held;
    size_t held_count;
};

/* What this process remembers of the leases that end is overwritten when their rows are claimed. */
static enum store_result run_end_leases(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct end_args *args = arg;
    struct buf held = {.arena = &store->scratch};
    buf_add_byte(&held, '[');
    for (size_t i = 0; i < args->held_count; i++) {
        buf_add_cstr(&held, i ? "," : "");
        buf_add_int(&held, args->held[i].id);
    }
    buf_add_byte(&held, ']');
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_END_LEASES, err);
    if (!stmt || !sqlite_begin(store, err))
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, sql_now(store));
    sql_bind(stmt, 2, buf_str(&held));
    return sql_done(store, stmt, err) ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_end_leases(struct store *base, const struct store_claim *held,
                                         size_t held_count, struct error *err)
{
    struct end_args args = {held, held_count};
    struct sqlite_job job = SQLITE_JOB(run_end_leases, &args, .writes = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

bool sqlite_verb_owns(struct store *base, int64_t id, int64_t epoch)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct lease lease;
    return lease_get(&store->leases, id, &lease) && lease.epoch == epoch &&
           lease.end_ms > clock_wall_ms(store->clock);
}
