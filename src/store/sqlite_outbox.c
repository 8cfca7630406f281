// SPDX-License-Identifier: Apache-2.0
/* The outbox: notices wait by channel, and a channel is one sender's at a time. Leader's thread
 * inside the run_ functions.
 *
 *   transition ──► outbox row (waits) ──take──► sender ──give──► sent | waits again | given up
 *
 * Within a thread no notice is due before an earlier one: who comes later makes the earlier ones
 * due too, and one that has to wait makes those behind it wait. */
#include "store/sqlite_internal.h"

/* ---- putting ---- */

static bool put_one(struct sqlite_store *store, int64_t remediation,
                    const struct store_notice *notice, int64_t now, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_CHANNEL_PUT, err);
    if (!stmt)
        return false;
    sql_bind(stmt, 1, notice->channel);
    if (!sql_done(store, stmt, err) || !(stmt = sql_get(store, STATEMENT_NOTICE_HURRY, err)))
        return false;
    int64_t due = notice->due_ms > now ? notice->due_ms : now;
    sql_bind(stmt, 1, notice->channel);
    sql_bind(stmt, 2, notice->thread);
    sqlite3_bind_int64(stmt, 3, due);
    if (!sql_done(store, stmt, err) || !(stmt = sql_get(store, STATEMENT_NOTICE_PUT, err)))
        return false;
    sqlite3_bind_int64(stmt, 1, remediation);
    sql_bind(stmt, 2, notice->channel);
    sql_bind(stmt, 3, notice->kind);
    sql_bind(stmt, 4, notice->thread);
    sql_bind(stmt, 5, notice->body.len ? notice->body : STR("{}"));
    sqlite3_bind_int64(stmt, 6, now);
    sqlite3_bind_int64(stmt, 7, due);
    return sql_done(store, stmt, err);
}

bool sqlite_put_notices(struct sqlite_store *store, int64_t remediation,
                        const struct store_notice *notices, size_t count, int64_t now,
                        struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!put_one(store, remediation, &notices[i], now, err))
            return false;
    return true;
}

struct tell_args {
    int64_t remediation;
    const struct store_notice *notices;
    size_t count;
};

static enum store_result run_tell(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct tell_args *args = arg;
    int64_t now = sql_now(store);
    bool ok = sqlite_begin(store, err) &&
              sqlite_put_notices(store, args->remediation, args->notices, args->count, now, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_tell(struct store *base, int64_t remediation,
                                   const struct store_notice *notices, size_t count,
                                   struct error *err)
{
    struct tell_args args = {remediation, notices, count};
    struct sqlite_job job =
        SQLITE_JOB(run_tell, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

/* ---- taking ---- */

static enum notice_state parse_state(struct str name)
{
    enum notice_state state = NOTICE_WAITS;
    while (state < NOTICE_GIVEN_UP && !str_is(name, notice_state_name(state)))
        state++;
    return state;
}

/* Columns as NOTICE_COLUMNS has them. */
static bool read_notice(sqlite3_stmt *stmt, struct arena *arena, struct store_notice_row *ret)
{
    *ret = (struct store_notice_row){.id = sqlite3_column_int64(stmt, 0),
                                     .remediation = sqlite3_column_int64(stmt, 1),
                                     .notice = {.channel = sql_copy(stmt, 2, arena),
                                                .kind = sql_copy(stmt, 3, arena),
                                                .thread = sql_copy(stmt, 4, arena),
                                                .body = sql_copy(stmt, 5, arena),
                                                .due_ms = sqlite3_column_int64(stmt, 7)},
                                     .created_ms = sqlite3_column_int64(stmt, 6),
                                     .attempts = sqlite3_column_int(stmt, 8),
                                     .state = parse_state(sql_text(stmt, 9)),
                                     .error = sql_copy(stmt, 10, arena),
                                     .reference = sql_copy(stmt, 11, arena)};
    return ret->notice.channel.ptr && ret->notice.body.ptr && ret->error.ptr && ret->reference.ptr;
}

/* All rows of a statement whose parameters are bound, at most `max`. */
static bool read_notices(struct sqlite_store *store, sqlite3_stmt *stmt, struct arena *arena,
                         size_t max, struct store_notice_row **ret, size_t *ret_count,
                         struct error *err)
{
    size_t count = 0;
    bool row = true, ok = true;
    struct store_notice_row *rows = ARENA_ARRAY(arena, struct store_notice_row, max + 1);
    bool memory = rows != NULL;
    while (ok && memory && count < max && (ok = sql_row(store, stmt, &row, err)) && row)
        memory = read_notice(stmt, arena, &rows[count++]);
    sqlite3_reset(stmt);
    if (!memory)
        return error_set(err, "S0006", "out of memory reading notices");
    *ret = rows;
    *ret_count = count;
    return ok;
}

struct take_args {
    int64_t lease_ms;
    struct arena *arena;
    struct store_sending sending;
};

/* The channel that has waited longest among those that may send now; else when the next one may. */
static bool find_channel(struct sqlite_store *store, struct take_args *args, int64_t now,
                         struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_CHANNELS, err);
    bool row, ok;
    int64_t best = INT64_MAX;
    if (!stmt)
        return false;
    while ((ok = sql_row(store, stmt, &row, err)) && row) {
        int64_t free_ms = sqlite3_column_int64(stmt, 1), due = sqlite3_column_int64(stmt, 3);
        int64_t at = free_ms > due ? free_ms : due;
        if (at <= now && due < best) {
            best = due;
            args->sending.channel = sql_copy(stmt, 0, args->arena);
            args->sending.epoch = sqlite3_column_int64(stmt, 2) + 1;
        }
        if (at < args->sending.next_due_ms)
            args->sending.next_due_ms = at;
    }
    sqlite3_reset(stmt);
    return ok;
}

static enum store_result run_take(struct sqlite_store *store, void *arg, struct error *err)
{
    struct take_args *args = arg;
    int64_t now = sql_now(store);
    args->sending = (struct store_sending){.next_due_ms = INT64_MAX};
    if (!find_channel(store, args, now, err))
        return STORE_ERROR;
    if (!args->sending.channel.len)
        return STORE_OK;
    sqlite3_stmt *stmt =
        sqlite_begin(store, err) ? sql_get(store, STATEMENT_CHANNEL_TAKE, err) : NULL;
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->sending.channel);
    sqlite3_bind_int64(stmt, 2, now + args->lease_ms);
    sqlite3_bind_int64(stmt, 3, args->sending.epoch);
    if (!sql_done(store, stmt, err) || !(stmt = sql_get(store, STATEMENT_NOTICES_DUE, err)))
        return STORE_ERROR;
    sql_bind(stmt, 1, args->sending.channel);
    sqlite3_bind_int64(stmt, 2, now);
    sqlite3_bind_int64(stmt, 3, STORE_SENDING_MAX);
    return read_notices(store, stmt, args->arena, STORE_SENDING_MAX, &args->sending.rows,
                        &args->sending.count, err)
               ? STORE_OK
               : STORE_ERROR;
}

enum store_result sqlite_verb_take_notices(struct store *base, int64_t lease_ms,
                                           struct arena *arena, struct store_sending *ret,
                                           struct error *err)
{
    struct take_args args = {.lease_ms = lease_ms, .arena = arena};
    struct sqlite_job job =
        SQLITE_JOB(run_take, &args, .writes = true, .durable = true, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret = args.sending;
    return result;
}

/* ---- giving back ---- */

struct give_args {
    const struct store_sending *sending;
    int64_t free_ms;
    const struct store_sent *sent;
    size_t count;
};

static bool write_leaf(struct sqlite_store *store, struct str channel,
                       const struct store_sent *sent, int64_t now, struct error *err)
{
    struct leaf_parts leaf = {.at_ms = now,
                              .kind = STR("notice"),
                              .body = leaf_notice_body(&store->scratch, channel, sent)};
    if (sent->state == NOTICE_WAITS)
        return true;
    return (leaf.body.ptr || error_set(err, "S0006", "out of memory recording a notice")) &&
           sql_leaf(store, &leaf, err);
}

static bool end_one(struct sqlite_store *store, struct str channel, const struct store_sent *sent,
                    int64_t now, struct error *err)
{
    bool waits = sent->state == NOTICE_WAITS;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_NOTICE_END, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, sent->id);
    sql_bind(stmt, 2, str_from(notice_state_name(sent->state)));
    sqlite3_bind_int(stmt, 4, sent->failed);
    sql_bind(stmt, 5, sent->reference);
    sql_bind(stmt, 6, sent->error);
    if (waits) {
        sqlite3_bind_int64(stmt, 3, sent->due_ms);
        sqlite3_bind_null(stmt, 7);
    } else {
        sqlite3_bind_null(stmt, 3);
        sqlite3_bind_int64(stmt, 7, now);
    }
    if (!sql_done(store, stmt, err))
        return false;
    if (!waits)
        return write_leaf(store, channel, sent, now, err);
    if (!(stmt = sql_get(store, STATEMENT_NOTICE_PUSH, err)))
        return false;
    sqlite3_bind_int64(stmt, 1, sent->id);
    sqlite3_bind_int64(stmt, 2, sent->due_ms);
    return sql_done(store, stmt, err);
}

static enum store_result run_give(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct give_args *args = arg;
    int64_t now = sql_now(store);
    sqlite3_stmt *stmt =
        sqlite_begin(store, err) ? sql_get(store, STATEMENT_CHANNEL_GIVE, err) : NULL;
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->sending->channel);
    sqlite3_bind_int64(stmt, 2, args->free_ms);
    sqlite3_bind_int64(stmt, 3, args->sending->epoch);
    if (!sql_done(store, stmt, err))
        return STORE_ERROR;
    if (sqlite3_changes(store->db) == 0)
        return STORE_CONFLICT;
    for (size_t i = 0; i < args->count; i++)
        if (!end_one(store, args->sending->channel, &args->sent[i], now, err))
            return STORE_ERROR;
    return STORE_OK;
}

enum store_result sqlite_verb_give_notices(struct store *base, const struct store_sending *sending,
                                           int64_t free_ms, const struct store_sent *sent,
                                           size_t count, struct error *err)
{
    struct give_args args = {sending, free_ms, sent, count};
    struct sqlite_job job =
        SQLITE_JOB(run_give, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

/* ---- looking ---- */

struct notices_args {
    const struct store_notice_filter *filter;
    struct arena *arena;
    struct store_notice_row *rows;
    size_t count;
};

static enum store_result run_notices(struct sqlite_store *store, void *arg, struct error *err)
{
    struct notices_args *args = arg;
    const struct store_notice_filter *filter = args->filter;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_NOTICES, err);
    if (!stmt)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, filter->before_id);
    sql_bind(stmt, 2,
             filter->state >= 0 ? str_from(notice_state_name((enum notice_state)filter->state))
                                : (struct str){0});
    sqlite3_bind_int64(stmt, 3, filter->remediation);
    sqlite3_bind_int64(stmt, 4, (int64_t)filter->limit);
    return read_notices(store, stmt, args->arena, filter->limit, &args->rows, &args->count, err)
               ? STORE_OK
               : STORE_ERROR;
}

enum store_result sqlite_verb_notices(struct store *base, const struct store_notice_filter *filter,
                                      struct arena *arena, struct store_notice_row **ret,
                                      size_t *ret_count, struct error *err)
{
    struct notices_args args = {.filter = filter, .arena = arena};
    struct sqlite_job job = SQLITE_JOB(run_notices, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK) {
        *ret = args.rows;
        *ret_count = args.count;
    }
    return result;
}
