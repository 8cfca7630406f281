// SPDX-License-Identifier: Apache-2.0
/* The tasks' verbs, as postgres_tasks.sql has them. Any thread. */
#include "store/postgres_internal.h"

enum store_result postgres_verb_plan_tasks(struct store *base, const struct store_task_plan *list,
                                           size_t count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    struct postgres_array names = postgres_array(&args, POSTGRES_TEXT);
    struct postgres_array due = postgres_array(&args, POSTGRES_INT8);
    struct postgres_array latest = postgres_array(&args, POSTGRES_INT8);
    for (size_t i = 0; i < count; i++) {
        postgres_push_text(&names, list[i].name);
        postgres_push_int8(&due, list[i].due_ms);
        postgres_push_int8(&latest, list[i].latest_ms);
    }
    postgres_add_array(&args, &names);
    postgres_add_array(&args, &due);
    postgres_add_array(&args, &latest);
    return postgres_may_write(store, err) &&
                   postgres_call(store, POSTGRES_PLAN_TASKS, &args, NULL, err)
               ? STORE_OK
               : STORE_ERROR;
}

enum store_result postgres_verb_take_task(struct store *base, struct str name, int64_t lease_ms,
                                          struct arena *arena, struct store_task *ret,
                                          int64_t *ret_next_due_ms, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    int64_t host = postgres_host_ms(store);
    postgres_add_int(&args, host);
    postgres_add_text(&args, name);
    postgres_add_int(&args, lease_ms);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_TAKE_TASK, &args, &rows, err))
        return STORE_ERROR;
    if (postgres_is_null(&rows, 0, 0)) {
        *ret_next_due_ms =
            postgres_is_null(&rows, 0, 4) ? INT64_MAX : host + postgres_int(&rows, 0, 4);
        return STORE_ABSENT;
    }
    struct store_task task = {.name = postgres_copy(&rows, 0, 0, arena),
                              .due_ms = host,
                              .epoch = postgres_int(&rows, 0, 1),
                              .ran_ms = postgres_int(&rows, 0, 2),
                              .note = postgres_copy(&rows, 0, 3, arena)};
    *ret_next_due_ms = host;
    if (!task.name.ptr || !task.note.ptr) {
        error_set(err, "S0006", "out of memory reading a task");
        return STORE_ERROR;
    }
    *ret = task;
    return STORE_OK;
}

enum store_result postgres_verb_get_task(struct store *base, struct str name, struct arena *arena,
                                         struct store_task *ret, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, name);
    if (!postgres_call(store, POSTGRES_GET_TASK, &args, &rows, err))
        return STORE_ERROR;
    if (rows.count == 0)
        return STORE_ABSENT;
    struct store_task task = {.name = postgres_copy(&rows, 0, 0, arena),
                              .due_ms = postgres_int(&rows, 0, 1),
                              .epoch = postgres_int(&rows, 0, 2),
                              .ran_ms = postgres_int(&rows, 0, 3),
                              .note = postgres_copy(&rows, 0, 4, arena)};
    if (!task.name.ptr || !task.note.ptr) {
        error_set(err, "S0006", "out of memory reading a task");
        return STORE_ERROR;
    }
    *ret = task;
    return STORE_OK;
}

enum store_result postgres_verb_end_task(struct store *base, const struct store_task *task,
                                         const struct store_task_end *end, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, task->name);
    postgres_add_int(&args, task->epoch);
    postgres_add_int(&args, end->due_ms);
    postgres_add_bool(&args, end->failed);
    postgres_add_text(&args, end->note);
    postgres_add_bool(&args, end->note.ptr != NULL);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_END_TASK, &args, &rows, err))
        return STORE_ERROR;
    return postgres_int(&rows, 0, 0) ? STORE_OK : STORE_CONFLICT;
}
