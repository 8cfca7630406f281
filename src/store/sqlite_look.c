// SPDX-License-Identifier: Apache-2.0
/* Looking: remediations, guards' inputs, the log. And the breaker, which is set by what was looked
 * at. Leader's thread inside the run_ functions. Long lists are read in pieces, so that writers get
 * in between. */
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

struct policy_row {
    int64_t held, opened_ms, open_for_ms, tripped_ms, results_after;
};

static bool load_policy(struct sqlite_store *store, struct str name, struct policy_row *ret,
                        struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_POLICY, err);
    bool row;
    *ret = (struct policy_row){0};
    if (!stmt)
        return false;
    sql_bind(stmt, 1, name);
    if (!sql_row(store, stmt, &row, err))
        return false;
    if (row)
        *ret = (struct policy_row){.held = sqlite3_column_int64(stmt, 0),
                                   .opened_ms = sqlite3_column_int64(stmt, 1),
                                   .open_for_ms = sqlite3_column_int64(stmt, 2),
                                   .tripped_ms = sqlite3_column_int64(stmt, 3),
                                   .results_after = sqlite3_column_int64(stmt, 4)};
    sqlite3_reset(stmt);
    return true;
}

/* Is `resource` new among the bad ones so far? They are few: a breaker trips early. */
static bool note_distinct(struct sqlite_store *store, struct str resource, struct str *seen,
                          size_t *seen_count)
{
    for (size_t i = 0; i < *seen_count; i++)
        if (str_eq(seen[i], resource))
            return false;
    struct str copy = str_copy(&store->scratch, resource);
    if (!copy.ptr)
        return true; // counted twice at worst, which trips earlier
    seen[(*seen_count)++] = copy;
    return true;
}

static bool load_results(struct sqlite_store *store, const struct store_guard_query *query,
                         int64_t after, int64_t now, struct store_breaker *ret, struct error *err)
{
    int64_t of = query->breaker_of > 0 ? query->breaker_of : 1;
    int64_t rows = of > 100 ? of : 100; // in_a_row may look further back than `of`
    if (rows > STORE_RESULTS_MAX)
        rows = STORE_RESULTS_MAX;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_RESULTS, err);
    struct str *seen = ARENA_ARRAY(&store->scratch, struct str, (size_t)rows);
    if (!stmt)
        return false;
    if (!seen)
        return error_set(err, "S0006", "out of memory reading results");
    sql_bind(stmt, 1, query->policy);
    sqlite3_bind_int64(stmt, 2, after);
    sqlite3_bind_int64(stmt, 3,
                       query->breaker_window_ms > 0 ? now - query->breaker_window_ms : INT64_MIN);
    sqlite3_bind_int64(stmt, 4, rows);
    bool row, ok, unbroken = true;
    size_t seen_count = 0;
    while ((ok = sql_row(store, stmt, &row, err)) && row && (unbroken || ret->total < of)) {
        bool bad = sqlite3_column_int(stmt, 1);
        unbroken = unbroken && bad;
        if (unbroken && note_distinct(store, sql_text(stmt, 0), seen, &seen_count))
            ret->in_a_row++;
        if (ret->total < of) {
            ret->total++;
            ret->bad += bad;
        }
    }
    sqlite3_reset(stmt);
    return ok;
}

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

static bool load_begun(struct sqlite_store *store, struct str policy, int64_t now, int *ret,
                       struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_PERMIT_SUM, err);
    bool row;
    if (!stmt)
        return false;
    sql_bind(stmt, 1, policy);
    sqlite3_bind_int64(stmt, 2, (now - STORE_HOUR_MS) / 60000);
    if (!sql_row(store, stmt, &row, err))
        return false;
    *ret = sqlite3_column_int(stmt, 0);
    sqlite3_reset(stmt);
    return true;
}

struct guards_args {
    const struct store_guard_query *query;
    struct store_guards guards;
};

static enum store_result run_guards(struct sqlite_store *store, void *arg, struct error *err)
{
    struct guards_args *args = arg;
    struct policy_row policy;
    struct store_guards *g = &args->guards;
    int64_t now = sql_now(store);
    if (!load_policy(store, args->query->policy, &policy, err) ||
        !load_begun(store, args->query->policy, now, &g->per_hour, err) ||
        !load_lock(store, args->query->resource, g, err) ||
        !load_results(store, args->query, policy.results_after, now, &g->breaker, err) ||
        !load_history(store, args->query, now, g, err))
        return STORE_ERROR;
    g->at_once = (int)policy.held;
    g->breaker.opened_ms = policy.opened_ms;
    g->breaker.open_for_ms = policy.open_for_ms;
    return STORE_OK;
}

enum store_result sqlite_verb_guards(struct store *base, const struct store_guard_query *query,
                                     struct store_guards *ret, struct error *err)
{
    struct guards_args args = {.query = query};
    struct sqlite_job job = SQLITE_JOB(run_guards, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret = args.guards;
    return result;
}

/* ---- the breaker ---- */

struct breaker_args {
    struct str policy, reason;
    int64_t open_ms;
};

static enum store_result run_breaker(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct breaker_args *args = arg;
    struct policy_row row;
    int64_t now = sql_now(store), open_for = 0;
    if (!load_policy(store, args->policy, &row, err))
        return STORE_ERROR;
    if (args->open_ms) {
        if (row.opened_ms && now < row.opened_ms + row.open_for_ms)
            return STORE_OK; // two saw the same trip; it counts once
        open_for = store_breaker_open_for(now, args->open_ms, row.tripped_ms, row.open_for_ms);
        row.tripped_ms = now;
    }
    sqlite3_stmt *stmt =
        sqlite_begin(store, err) ? sql_get(store, STATEMENT_POLICY_BREAKER, err) : NULL;
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->policy);
    sqlite3_bind_int64(stmt, 2, args->open_ms ? now : 0);
    sqlite3_bind_int64(stmt, 3, args->open_ms ? open_for : row.open_for_ms);
    sqlite3_bind_int64(stmt, 4, row.tripped_ms);
    struct leaf_parts leaf = {
        .at_ms = now,
        .kind = STR("breaker"),
        .body = leaf_breaker_body(&store->scratch, args->policy, args->reason, open_for)};
    bool ok = sql_done(store, stmt, err) &&
              (leaf.body.ptr || error_set(err, "S0006", "out of memory writing a record")) &&
              sql_leaf(store, &leaf, err);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_breaker_set(struct store *base, struct str policy, int64_t open_ms,
                                          struct str reason, struct error *err)
{
    struct breaker_args args = {policy, reason, open_ms};
    struct sqlite_job job =
        SQLITE_JOB(run_breaker, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
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
