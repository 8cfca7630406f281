// SPDX-License-Identifier: Apache-2.0
/* Rows come in: accept, create. Leader's thread inside the run_ functions. */
#include "store/sqlite_internal.h"

#include "base/ensure.h"

#define PURGE_EVERY_MS 60000

bool sqlite_insert(struct sqlite_store *store, const struct sqlite_new *row, int64_t now,
                   int64_t *ret_id, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_INSERT, err);
    if (!stmt)
        return false;
    sql_bind(stmt, 1, str_from(store_kind_name(row->kind)));
    sql_bind(stmt, 2, str_from(state_name(STATE_RECEIVED)));
    sqlite3_bind_int64(stmt, 3, now);
    sqlite3_bind_int64(stmt, 4, row->due_ms);
    sql_bind(stmt, 5, row->policy);
    sql_bind(stmt, 6, row->policy_hash);
    sql_bind(stmt, 7, row->resource);
    sql_bind(stmt, 8, row->region);
    if (!sql_done(store, stmt, err))
        return false;
    int64_t id = sqlite3_last_insert_rowid(store->db);
    if (!(stmt = sql_get(store, STATEMENT_DETAIL_INSERT, err)))
        return false;
    sqlite3_bind_int64(stmt, 1, id);
    sql_bind(stmt, 2, row->detail.len ? row->detail : STR("{}"));
    if (!sql_done(store, stmt, err))
        return false;
    store->counts[STATE_RECEIVED]++;
    *ret_id = id;
    return true;
}

struct active {
    int64_t id, version, due_ms; // id 0 = there is none
    enum state state;
    int step;
};

static bool find_active(struct sqlite_store *store, enum remediation_kind kind, struct str policy,
                        struct str resource, struct active *ret, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_ACTIVE, err);
    bool row = false;
    *ret = (struct active){0};
    if (!stmt)
        return false;
    sql_bind(stmt, 1, resource);
    sql_bind(stmt, 2, policy);
    sql_bind(stmt, 3, str_from(store_kind_name(kind)));
    if (!sql_row(store, stmt, &row, err))
        return false;
    if (row) {
        ret->id = sqlite3_column_int64(stmt, 0);
        bool known = state_parse(sql_text(stmt, 1), &ret->state);
        ENSURE(known);
        ret->step = sqlite3_column_int(stmt, 2);
        ret->version = sqlite3_column_int64(stmt, 3);
        ret->due_ms = sqlite3_column_int64(stmt, 4);
    }
    sqlite3_reset(stmt);
    return true;
}

bool sqlite_find_active(struct sqlite_store *store, enum remediation_kind kind, struct str policy,
                        struct str resource, int64_t *ret_id, struct error *err)
{
    struct active active;
    if (!find_active(store, kind, policy, resource, &active, err))
        return false;
    *ret_id = active.id;
    return true;
}

/* An event for a row that is being worked on. */
static bool add_to_active(struct sqlite_store *store, const struct active *active,
                          const struct store_match *match, int64_t now, struct error *err)
{
    bool early = (active->state == STATE_RECEIVED || active->state == STATE_SETTLING) &&
                 match->due_ms < active->due_ms;
    sqlite3_stmt *stmt = sql_get(store, early ? STATEMENT_SEQUENCE_DUE : STATEMENT_SEQUENCE, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, active->id);
    sqlite3_bind_int64(stmt, 2, now);
    sqlite3_bind_int64(stmt, 3, match->due_ms);
    if (!sql_done(store, stmt, err) || !(stmt = sql_get(store, STATEMENT_DETAIL_NEWER, err)))
        return false;
    sqlite3_bind_int64(stmt, 1, active->id);
    sql_bind(stmt, 2, match->detail);
    sql_bind(stmt, 3, match->policy_hash);
    return sql_done(store, stmt, err);
}

/* Is it about this resource and no other? */
static bool names_only(const struct store_event *event, struct str resource)
{
    for (size_t i = 0; i < event->match_count; i++)
        if (!str_eq(event->matches[i].resource, resource))
            return false;
    return true;
}

/* Is it the event of a call of ours? Then it starts nothing. */
static bool accept_own(struct sqlite_store *store, const struct store_event *event, int64_t now,
                       bool *ret_own, struct error *err)
{
    static const struct store_match nothing;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_OWN_CALL, err);
    *ret_own = false;
    if (!stmt)
        return false;
    sql_bind(stmt, 1, event->request_id);
    if (!sql_row(store, stmt, ret_own, err))
        return false;
    struct leaf_parts leaf = {.at_ms = now, .kind = STR("event"), .reason = STR("our own call")};
    if (*ret_own) {
        leaf.id = sqlite3_column_int64(stmt, 0);
        bool known = state_parse(sql_text(stmt, 1), &leaf.state);
        ENSURE(known);
        leaf.step = sqlite3_column_int(stmt, 2);
        leaf.version = sqlite3_column_int64(stmt, 3);
        leaf.policy = sql_copy(stmt, 4, &store->scratch);
        leaf.resource = sql_copy(stmt, 5, &store->scratch);
        *ret_own = names_only(event, leaf.resource);
    }
    sqlite3_reset(stmt);
    if (!*ret_own)
        return true;
    leaf.body = leaf_accept_body(&store->scratch, event, &nothing);
    if (!leaf.policy.ptr || !leaf.resource.ptr || !leaf.body.ptr)
        return error_set(err, "S0006", "out of memory accepting an event");
    if (!(stmt = sql_get(store, STATEMENT_VERIFY_DUE, err)))
        return false;
    sqlite3_bind_int64(stmt, 1, leaf.id);
    sqlite3_bind_int64(stmt, 2, now);
    return sql_done(store, stmt, err) && sql_leaf(store, &leaf, err);
}

static bool accept_match(struct sqlite_store *store, const struct store_event *event,
                         const struct store_match *match, int64_t now, struct error *err)
{
    struct active active;
    struct arena_mark mark = arena_mark(&store->scratch);
    if (!find_active(store, REMEDIATION_REPAIR, match->policy, match->resource, &active, err))
        return false;
    bool fresh = active.id == 0;
    if (fresh) {
        struct sqlite_new row = {.kind = REMEDIATION_REPAIR,
                                 .policy = match->policy,
                                 .policy_hash = match->policy_hash,
                                 .resource = match->resource,
                                 .region = match->region,
                                 .detail = match->detail,
                                 .due_ms = match->due_ms};
        active = (struct active){.version = 1, .state = STATE_RECEIVED};
        if (!sqlite_insert(store, &row, now, &active.id, err))
            return false;
    } else if (!add_to_active(store, &active, match, now, err)) {
        return false;
    }
    struct leaf_parts leaf = {.at_ms = now,
                              .id = active.id,
                              .kind = STR("event"),
                              .policy = match->policy,
                              .resource = match->resource,
                              .reason = fresh ? STR("accepted") : STR("joined a running one"),
                              .state = active.state,
                              .step = active.step,
                              .version = active.version,
                              .body = leaf_accept_body(&store->scratch, event, match)};
    bool ok = (leaf.body.ptr || error_set(err, "S0006", "out of memory accepting an event")) &&
              sql_leaf(store, &leaf, err);
    arena_rewind(&store->scratch, mark);
    return ok;
}

/* Forgets keys, results and permits that are too old to matter, a thousand at a time. */
static bool purge(struct sqlite_store *store, int64_t now, struct error *err)
{
    static const enum sqlite_statement each[] = {STATEMENT_EVENT_PURGE, STATEMENT_RESULT_PURGE,
                                                 STATEMENT_OWN_CALL_PURGE, STATEMENT_BEGUN_PURGE,
                                                 STATEMENT_NOTICE_PURGE};
    if (now < store->purged_ms + PURGE_EVERY_MS)
        return true;
    store->purged_ms = now;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        sqlite3_stmt *stmt = sql_get(store, each[i], err);
        if (!stmt)
            return false;
        int64_t oldest = each[i] == STATEMENT_BEGUN_PURGE ? (now - 2 * STORE_HOUR_MS) / 60000
                                                          : now - STORE_KEY_KEPT_MS;
        sqlite3_bind_int64(stmt, 1, oldest);
        if (!sql_done(store, stmt, err))
            return false;
    }
    return true;
}

struct accept_args {
    const struct store_event *events;
    size_t count;
    bool *accepted;
};

static enum store_result run_accept(struct sqlite_store *store, void *arg, struct error *err)
{
    struct accept_args *args = arg;
    int64_t now = sql_now(store);
    if (!sqlite_begin(store, err) || !purge(store, now, err))
        return STORE_ERROR;
    for (size_t i = 0; i < args->count; i++) {
        const struct store_event *event = &args->events[i];
        sqlite3_stmt *stmt = sql_get(store, STATEMENT_EVENT, err);
        if (!stmt)
            return STORE_ERROR;
        sql_bind(stmt, 1, event->key);
        sqlite3_bind_int64(stmt, 2, now);
        if (!sql_done(store, stmt, err))
            return STORE_ERROR;
        bool fresh = sqlite3_changes(store->db) > 0, own = false;
        if (fresh && event->match_count && event->request_id.len &&
            !accept_own(store, event, now, &own, err))
            return STORE_ERROR;
        for (size_t j = 0; fresh && !own && j < event->match_count; j++)
            if (!accept_match(store, event, &event->matches[j], now, err))
                return STORE_ERROR;
        if (args->accepted)
            args->accepted[i] = fresh;
    }
    return STORE_OK;
}

enum store_result sqlite_verb_accept(struct store *base, const struct store_event *events,
                                     size_t count, bool *ret_accepted, struct error *err)
{
    struct accept_args args = {events, count, ret_accepted};
    struct sqlite_job job =
        SQLITE_JOB(run_accept, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

/* ---- create ---- */

struct create_args {
    enum remediation_kind kind;
    const struct store_match *match;
    struct str record;
    int64_t id;
};

static enum store_result run_create(struct sqlite_store *store, void *arg, struct error *err)
{
    struct create_args *args = arg;
    const struct store_match *match = args->match;
    int64_t now = sql_now(store), there;
    if (!sqlite_begin(store, err) ||
        !sqlite_find_active(store, args->kind, match->policy, match->resource, &there, err))
        return STORE_ERROR;
    args->id = there;
    if (there)
        return STORE_CONFLICT;
    struct sqlite_new row = {.kind = args->kind,
                             .policy = match->policy,
                             .policy_hash = match->policy_hash,
                             .resource = match->resource,
                             .region = match->region,
                             .detail = match->detail,
                             .due_ms = match->due_ms};
    if (!sqlite_insert(store, &row, now, &args->id, err))
        return STORE_ERROR;
    struct leaf_parts leaf = {.at_ms = now,
                              .id = args->id,
                              .kind = STR("create"),
                              .policy = match->policy,
                              .resource = match->resource,
                              .reason = str_from(store_kind_name(args->kind)),
                              .state = STATE_RECEIVED,
                              .version = 1,
                              .body = args->record};
    return sql_leaf(store, &leaf, err) ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_create(struct store *base, enum remediation_kind kind,
                                     const struct store_match *match, struct str record,
                                     int64_t *ret_id, struct error *err)
{
    struct create_args args = {kind, match, record, 0};
    struct sqlite_job job =
        SQLITE_JOB(run_create, &args, .writes = true, .durable = true, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result != STORE_ERROR)
        *ret_id = args.id;
    return result;
}
