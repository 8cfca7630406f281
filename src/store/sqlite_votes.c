// SPDX-License-Identifier: Apache-2.0
/* What people say, and when it does not count any more. Leader's thread inside the run_ functions.
 */
#include "store/sqlite_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* ---- reading ---- */

bool sqlite_load_approval(struct sqlite_store *store, int64_t id, struct sqlite_approval *ret,
                          struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_APPROVAL, err);
    bool row, ok = true;
    *ret = (struct sqlite_approval){0};
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    if (!sql_row(store, stmt, &row, err))
        return false;
    if (row) {
        *ret = (struct sqlite_approval){.plan_hash = sql_copy(stmt, 0, &store->scratch),
                                        .expires_ms = sqlite3_column_int64(stmt, 1),
                                        .decided = sqlite3_column_int(stmt, 2),
                                        .yes = sqlite3_column_int(stmt, 3),
                                        .consumed = sqlite3_column_int(stmt, 6),
                                        .ask = sql_copy(stmt, 7, &store->scratch),
                                        .need = sqlite3_column_int(stmt, 8),
                                        .votes = sql_copy(stmt, 10, &store->scratch)};
        ok = (ret->plan_hash.ptr && ret->ask.ptr && ret->votes.ptr) ||
             error_set(err, "S0006", "out of memory reading an approval");
    }
    sqlite3_reset(stmt);
    return ok;
}

struct approval_args {
    int64_t id;
    struct arena *arena;
    struct store_approval approval;
};

static bool read_approval(sqlite3_stmt *stmt, struct arena *arena, struct store_approval *ret,
                          struct error *err)
{
    *ret = (struct store_approval){.plan_hash = sql_copy(stmt, 0, arena),
                                   .expires_ms = sqlite3_column_int64(stmt, 1),
                                   .decided = sqlite3_column_int(stmt, 2),
                                   .yes = sqlite3_column_int(stmt, 3),
                                   .by = sql_copy(stmt, 4, arena),
                                   .reason = sql_copy(stmt, 5, arena),
                                   .consumed = sqlite3_column_int(stmt, 6),
                                   .ask = sql_copy(stmt, 7, arena),
                                   .need = sqlite3_column_int(stmt, 8)};
    if (!ret->plan_hash.ptr || !ret->by.ptr || !ret->reason.ptr || !ret->ask.ptr)
        return error_set(err, "S0006", "out of memory reading an approval");
    return store_read_list(arena, sql_text(stmt, 9), &ret->via, err) &&
           store_read_list(arena, sql_text(stmt, 10), &ret->votes, err);
}

static enum store_result run_approval(struct sqlite_store *store, void *arg, struct error *err)
{
    struct approval_args *args = arg;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_APPROVAL, err);
    bool row, ok = true;
    if (!stmt)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, args->id);
    if (!sql_row(store, stmt, &row, err))
        return STORE_ERROR;
    if (row)
        ok = read_approval(stmt, args->arena, &args->approval, err);
    sqlite3_reset(stmt);
    return !ok ? STORE_ERROR : row ? STORE_OK : STORE_ABSENT;
}

enum store_result sqlite_verb_approval(struct store *base, int64_t id, struct arena *arena,
                                       struct store_approval *ret, struct error *err)
{
    struct approval_args args = {.id = id, .arena = arena};
    struct sqlite_job job = SQLITE_JOB(run_approval, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret = args.approval;
    return result;
}

/* ---- voting ---- */

/* What a leaf says of the remediation. */
struct about {
    struct str policy, resource;
    enum state state;
    int64_t version, due_ms;
};

static enum store_result load_about(struct sqlite_store *store, int64_t id, struct about *ret,
                                    struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_CONDITIONS, err);
    bool row;
    if (!stmt)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, id);
    if (!sql_row(store, stmt, &row, err))
        return STORE_ERROR;
    if (row) {
        *ret = (struct about){.policy = sql_copy(stmt, 9, &store->scratch),
                              .resource = sql_copy(stmt, 11, &store->scratch),
                              .version = sqlite3_column_int64(stmt, 2),
                              .due_ms = sqlite3_column_int64(stmt, 13)};
        row = state_parse(sql_text(stmt, 1), &ret->state);
    }
    sqlite3_reset(stmt);
    return row ? STORE_OK : STORE_ABSENT;
}

static bool make_due(struct sqlite_store *store, int64_t id, const struct about *row, int64_t now,
                     struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_TOUCH, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int64(stmt, 2, row->due_ms < now ? row->due_ms : now);
    sqlite3_bind_int64(stmt, 3, now);
    return sql_done(store, stmt, err);
}

static bool write_leaf(struct sqlite_store *store, int64_t id, const struct about *row,
                       const char *kind, struct str reason, struct str body, int64_t now,
                       struct error *err)
{
    struct leaf_parts leaf = {.at_ms = now,
                              .id = id,
                              .kind = str_from(kind),
                              .policy = row->policy,
                              .resource = row->resource,
                              .reason = reason,
                              .state = row->state,
                              .version = row->version,
                              .body = body};
    return (body.ptr || error_set(err, "S0006", "out of memory writing a vote")) &&
           sql_leaf(store, &leaf, err);
}

struct vote_args {
    const struct store_ballot *ballot;
    bool decided;
};

static enum store_result check_vote(struct sqlite_store *store, const struct store_ballot *ballot,
                                    const struct sqlite_approval *approval, const struct about *row)
{
    if (!approval->plan_hash.ptr)
        return STORE_ABSENT;
    if (!str_eq(approval->plan_hash, ballot->plan_hash) ||
        (ballot->ask.len && !str_eq(approval->ask, ballot->ask)))
        return STORE_VOID;
    if (approval->decided)
        return STORE_CONFLICT;
    if (approval->consumed || store->wall_max >= approval->expires_ms ||
        state_is_terminal(row->state))
        return STORE_VOID;
    return STORE_OK;
}

/* Names of all who said yes, this one last. */
static struct str voters(struct sqlite_store *store, struct value votes, struct str person)
{
    struct buf out = {.arena = &store->scratch};
    for (uint32_t i = 0; votes.kind == VALUE_LIST && i < votes.len; i++)
        buf_printf(&out, "%.*s, ", STR_FMT(value_path_str(votes.items[i], "person")));
    buf_add_str(&out, person);
    return buf_str(&out);
}

static bool write_vote(struct sqlite_store *store, struct vote_args *args,
                       const struct sqlite_approval *approval, struct value votes, struct str text,
                       struct error *err)
{
    const struct store_ballot *ballot = args->ballot;
    sqlite3_stmt *stmt = sqlite_begin(store, err) ? sql_get(store, STATEMENT_VOTE, err) : NULL;
    if (!stmt)
        return false;
    args->decided = !ballot->yes || (int)votes.len + 1 >= approval->need;
    sqlite3_bind_int64(stmt, 1, ballot->id);
    sql_bind(stmt, 2, text);
    sqlite3_bind_int(stmt, 3, args->decided);
    sqlite3_bind_int(stmt, 4, ballot->yes && args->decided);
    sql_bind(stmt, 5, ballot->yes ? voters(store, votes, ballot->person) : ballot->person);
    sql_bind(stmt, 6, ballot->reason);
    return sql_done(store, stmt, err);
}

static enum store_result run_vote(struct sqlite_store *store, void *arg, struct error *err)
{
    struct vote_args *args = arg;
    const struct store_ballot *ballot = args->ballot;
    struct sqlite_approval approval;
    struct about row;
    struct value votes;
    struct str text;
    bool again;
    int64_t now = sql_now(store);
    enum store_result result = load_about(store, ballot->id, &row, err);
    if (result != STORE_OK)
        return result;
    if (!sqlite_load_approval(store, ballot->id, &approval, err))
        return STORE_ERROR;
    result = check_vote(store, ballot, &approval, &row);
    if (result != STORE_OK)
        return result;
    if (!store_read_list(&store->scratch, approval.votes, &votes, err) ||
        !store_add_vote(&store->scratch, votes, ballot, now, &text, &again, err))
        return STORE_ERROR;
    if (again)
        return STORE_CONFLICT;
    bool ok = write_vote(store, args, &approval, votes, text, err) &&
              (!args->decided || make_due(store, ballot->id, &row, now, err)) &&
              write_leaf(store, ballot->id, &row, "vote", ballot->reason,
                         leaf_vote_body(&store->scratch, ballot), now, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_vote(struct store *base, const struct store_ballot *ballot,
                                   bool *ret_decided, struct error *err)
{
    struct vote_args args = {.ballot = ballot};
    struct sqlite_job job =
        SQLITE_JOB(run_vote, &args, .writes = true, .durable = true, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret_decided = args.decided;
    return result;
}

/* ---- void ---- */

struct void_args {
    int64_t id;
    struct str ask, why;
};

static enum store_result run_void(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct void_args *args = arg;
    struct about row;
    int64_t now = sql_now(store);
    enum store_result result = load_about(store, args->id, &row, err);
    if (result != STORE_OK)
        return result;
    sqlite3_stmt *stmt = sqlite_begin(store, err) ? sql_get(store, STATEMENT_VOID, err) : NULL;
    if (!stmt)
        return STORE_ERROR;
    sqlite3_bind_int64(stmt, 1, args->id);
    sql_bind(stmt, 2, args->ask);
    if (!sql_done(store, stmt, err))
        return STORE_ERROR;
    if (sqlite3_changes(store->db) == 0)
        return STORE_ABSENT;
    bool ok = (state_is_terminal(row.state) || make_due(store, args->id, &row, now, err)) &&
              write_leaf(store, args->id, &row, "approval void", args->why,
                         leaf_void_body(&store->scratch, args->ask), now, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_void_approval(struct store *base, int64_t id, struct str ask,
                                            struct str why, struct error *err)
{
    struct void_args args = {id, ask, why};
    struct sqlite_job job =
        SQLITE_JOB(run_void, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

/* ---- policies that changed ---- */

struct policies_args {
    const struct store_policy_seen *policies;
    size_t count, void_count;
};

static bool run_two(struct sqlite_store *store, enum sqlite_statement which, struct str first,
                    struct str second, int64_t number, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, which, err);
    if (!stmt)
        return false;
    sql_bind(stmt, 1, first);
    if (second.ptr)
        sql_bind(stmt, 2, second);
    else if (number)
        sqlite3_bind_int64(stmt, 2, number);
    return sql_done(store, stmt, err);
}

static bool see_one(struct sqlite_store *store, struct policies_args *args,
                    const struct store_policy_seen *policy, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_SEEN, err);
    bool row, same;
    if (!stmt)
        return false;
    sql_bind(stmt, 1, policy->name);
    if (!sql_row(store, stmt, &row, err))
        return false;
    same = row && str_eq(sql_text(stmt, 0), policy->hash);
    sqlite3_reset(stmt);
    if (same)
        return true;
    if (!sqlite_begin(store, err) ||
        !run_two(store, STATEMENT_SEEN_SET, policy->name, policy->hash, 0, err) ||
        !run_two(store, STATEMENT_VOID_OF, policy->name, (struct str){0}, 0, err))
        return false;
    args->void_count += (size_t)sqlite3_changes(store->db);
    return run_two(store, STATEMENT_DUE_OF, policy->name, (struct str){0}, sql_now(store), err);
}

static enum store_result run_policies(struct sqlite_store *store, void *arg, struct error *err)
{
    struct policies_args *args = arg;
    for (size_t i = 0; i < args->count; i++)
        if (!see_one(store, args, &args->policies[i], err))
            return STORE_ERROR;
    return STORE_OK;
}

enum store_result sqlite_verb_see_policies(struct store *base,
                                           const struct store_policy_seen *policies, size_t count,
                                           size_t *ret_void, struct error *err)
{
    struct policies_args args = {policies, count, 0};
    struct sqlite_job job =
        SQLITE_JOB(run_policies, &args, .writes = true, .durable = true, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret_void = args.void_count;
    return result;
}

/* ---- the anchor ---- */

bool sqlite_set_anchor(struct sqlite_store *store, uint64_t anchor, struct error *err)
{
    char text[64];
    int len =
        snprintf(text, sizeof text, SQLITE_OWNER_FORMAT "%" PRIu64 "\n", (long)getpid(), anchor);
    store->anchor = anchor;
    if (pwrite(store->lock_fd, text, (size_t)len, 0) == len &&
        ftruncate(store->lock_fd, len) == 0 && fdatasync(store->lock_fd) == 0)
        return true;
    return error_set(err, "S0004", "%s.lock cannot be written", store->path);
}

bool sqlite_anchor(struct sqlite_store *store, struct error *err)
{
    uint64_t size = store->tree.size + 1; // the leaf of what consumes it comes with the same commit
    if (store->lock_fd < 0 || size <= store->anchor) // in memory no copy can come back
        return true;
    return sqlite_set_anchor(store, size, err);
}
