// SPDX-License-Identifier: Apache-2.0
/* Tasks: what is done again and again. Who takes one makes it due again for when its lease is over,
 * so that a taker that dies is followed by another. Leader's thread inside the run_ functions. */
#include "store/sqlite_internal.h"

/* ---- planning ---- */

struct plan_args {
    const struct store_task_plan *list;
    size_t count;
};

static enum store_result run_plan(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct plan_args *args = arg;
    if (!sqlite_begin(store, err))
        return STORE_ERROR;
    for (size_t i = 0; i < args->count; i++) {
        sqlite3_stmt *stmt = sql_get(store, STATEMENT_TASK_PLAN, err);
        if (!stmt)
            return STORE_ERROR;
        sql_bind(stmt, 1, args->list[i].name);
        sqlite3_bind_int64(stmt, 2, args->list[i].due_ms);
        sqlite3_bind_int64(stmt, 3, args->list[i].latest_ms);
        if (!sql_done(store, stmt, err))
            return STORE_ERROR;
    }
    return STORE_OK;
}

enum store_result sqlite_verb_plan_tasks(struct store *base, const struct store_task_plan *list,
                                         size_t count, struct error *err)
{
    struct plan_args args = {list, count};
    struct sqlite_job job =
        SQLITE_JOB(run_plan, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

/* ---- taking, looking ---- */

struct task_args {
    struct str name;
    int64_t lease_ms;
    struct arena *arena;
    struct store_task task;
    int64_t next_due_ms;
};

/* Columns as TASK_COLUMNS has them. STORE_ABSENT: there is no row. */
static enum store_result read_task(struct sqlite_store *store, sqlite3_stmt *stmt,
                                   struct arena *arena, struct store_task *ret, struct error *err)
{
    bool row;
    if (!sql_row(store, stmt, &row, err))
        return STORE_ERROR;
    if (row)
        *ret = (struct store_task){.name = sql_copy(stmt, 0, arena),
                                   .due_ms = sqlite3_column_int64(stmt, 1),
                                   .epoch = sqlite3_column_int64(stmt, 2),
                                   .ran_ms = sqlite3_column_int64(stmt, 3),
                                   .note = sql_copy(stmt, 4, arena)};
    sqlite3_reset(stmt);
    if (row && (!ret->name.ptr || !ret->note.ptr)) {
        error_set(err, "S0006", "out of memory reading a task");
        return STORE_ERROR;
    }
    return row ? STORE_OK : STORE_ABSENT;
}

static enum store_result run_take(struct sqlite_store *store, void *arg, struct error *err)
{
    struct task_args *args = arg;
    int64_t now = sql_now(store);
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_TASK_NEXT, err);
    if (stmt)
        sql_bind(stmt, 1, args->name);
    enum store_result got =
        stmt ? read_task(store, stmt, args->arena, &args->task, err) : STORE_ERROR;
    args->next_due_ms = got == STORE_OK ? args->task.due_ms : INT64_MAX;
    if (got != STORE_OK || args->task.due_ms > now)
        return got == STORE_OK ? STORE_ABSENT : got;
    stmt = sqlite_begin(store, err) ? sql_get(store, STATEMENT_TASK_TAKE, err) : NULL;
    if (!stmt)
        return STORE_ERROR;
    args->task.epoch++;
    sql_bind(stmt, 1, args->task.name);
    sqlite3_bind_int64(stmt, 2, now + args->lease_ms);
    sqlite3_bind_int64(stmt, 3, args->task.epoch);
    return sql_done(store, stmt, err) ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_take_task(struct store *base, struct str name, int64_t lease_ms,
                                        struct arena *arena, struct store_task *ret,
                                        int64_t *ret_next_due_ms, struct error *err)
{
    struct task_args args = {.name = name, .lease_ms = lease_ms, .arena = arena};
    struct sqlite_job job =
        SQLITE_JOB(run_take, &args, .writes = true, .durable = true, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result != STORE_ERROR)
        *ret_next_due_ms = args.next_due_ms;
    if (result == STORE_OK)
        *ret = args.task;
    return result;
}

static enum store_result run_get(struct sqlite_store *store, void *arg, struct error *err)
{
    struct task_args *args = arg;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_TASK_GET, err);
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->name);
    return read_task(store, stmt, args->arena, &args->task, err);
}

enum store_result sqlite_verb_get_task(struct store *base, struct str name, struct arena *arena,
                                       struct store_task *ret, struct error *err)
{
    struct task_args args = {.name = name, .arena = arena};
    struct sqlite_job job = SQLITE_JOB(run_get, &args, .err = err);
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    if (result == STORE_OK)
        *ret = args.task;
    return result;
}

/* ---- ending ---- */

struct end_args {
    const struct store_task *task;
    const struct store_task_end *end;
};

static enum store_result run_end(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct end_args *args = arg;
    bool forget = args->end->due_ms == 0;
    sqlite3_stmt *stmt = NULL;
    if (sqlite_begin(store, err))
        stmt = sql_get(store, forget ? STATEMENT_TASK_FORGET : STATEMENT_TASK_END, err);
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->task->name);
    sqlite3_bind_int64(stmt, 2, args->task->epoch);
    if (!forget) {
        sqlite3_bind_int64(stmt, 3, args->end->due_ms);
        sqlite3_bind_int64(stmt, 4, args->end->failed ? 0 : sql_now(store));
        sql_bind(stmt, 5, args->end->note);
        sqlite3_bind_int(stmt, 6, args->end->note.ptr != NULL);
    }
    if (!sql_done(store, stmt, err))
        return STORE_ERROR;
    return sqlite3_changes(store->db) ? STORE_OK : STORE_CONFLICT;
}

enum store_result sqlite_verb_end_task(struct store *base, const struct store_task *task,
                                       const struct store_task_end *end, struct error *err)
{
    struct end_args args = {task, end};
    struct sqlite_job job = SQLITE_JOB(run_end, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}
