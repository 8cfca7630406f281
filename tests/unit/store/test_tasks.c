// SPDX-License-Identifier: Apache-2.0
/* Tasks: planned once, taken by one at a time, followed up when their taker dies, and what they
 * leave behind lasts. */
#include "store_help.h"

#include <pthread.h>

struct fixture {
    struct test_time time;
    struct store *store;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    test_time_init(&f->time);
    f->store = open_fresh(&f->time.clock);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    arena_finish(&f->arena);
    free(f);
    return 0;
}

static void plan(struct fixture *f, const char *name, int64_t due, int64_t latest)
{
    struct store_task_plan p = {str_from(name), due, latest};
    struct error err = {0};
    enum store_result got = store_plan_tasks(f->store, &p, 1, &err);
    if (got != STORE_OK)
        fail_msg("plan gave %d %s", got, err.message);
}

static enum store_result take(struct fixture *f, struct store_task *ret, int64_t *ret_next)
{
    struct error err = {0};
    int64_t next = -1;
    enum store_result got = store_take_task(f->store, STR(""), LEASE_MS, &f->arena, ret,
                                            ret_next ? ret_next : &next, &err);
    if (got == STORE_ERROR)
        fail_msg("take gave %s", err.message);
    return got;
}

static enum store_result end(struct fixture *f, const struct store_task *task, int64_t due,
                             const char *note, bool failed)
{
    struct error err = {0};
    struct store_task_end how = {.due_ms = due, .note = str_from(note), .failed = failed};
    return store_end_task(f->store, task, &how, &err);
}

static void test_tasks__the_earliest_due_one_is_taken_by_one(void **state)
{
    struct fixture *f = *state;
    struct store_task task;
    int64_t next;
    assert_int_equal(take(f, &task, &next), STORE_ABSENT);
    assert_true(next == INT64_MAX);
    plan(f, "late", T0 + 5000, INT64_MAX);
    plan(f, "b", T0 - 1, INT64_MAX);
    plan(f, "a", T0 - 2, INT64_MAX);
    assert_int_equal(take(f, &task, NULL), STORE_OK);
    assert_true(str_is(task.name, "a"));
    assert_int_equal(take(f, &task, NULL), STORE_OK);
    assert_true(str_is(task.name, "b"));
    assert_int_equal(take(f, &task, &next), STORE_ABSENT);
    assert_int_equal(next, T0 + 5000);
}

static void test_tasks__one_may_be_taken_by_its_name(void **state)
{
    struct fixture *f = *state;
    struct store_task task;
    struct error err;
    int64_t next;
    plan(f, "a", T0 - 2, INT64_MAX);
    plan(f, "b", T0 - 1, INT64_MAX);
    assert_int_equal(store_take_task(f->store, STR("b"), LEASE_MS, &f->arena, &task, &next, &err),
                     STORE_OK);
    assert_true(str_is(task.name, "b"));
    assert_int_equal(store_take_task(f->store, STR("c"), LEASE_MS, &f->arena, &task, &next, &err),
                     STORE_ABSENT);
    assert_true(next == INT64_MAX);
}

static void test_tasks__planning_again_keeps_the_due_time_unless_it_is_too_late(void **state)
{
    struct fixture *f = *state;
    struct store_task task;
    struct error err;
    plan(f, "a", T0 + 5000, INT64_MAX);
    plan(f, "a", T0 + 1000, T0 + 9000);
    assert_int_equal(store_get_task(f->store, STR("a"), &f->arena, &task, &err), STORE_OK);
    assert_int_equal(task.due_ms, T0 + 5000);
    plan(f, "a", T0 + 1000, T0 + 3000);
    assert_int_equal(store_get_task(f->store, STR("a"), &f->arena, &task, &err), STORE_OK);
    assert_int_equal(task.due_ms, T0 + 3000);
    assert_int_equal(store_get_task(f->store, STR("b"), &f->arena, &task, &err), STORE_ABSENT);
}

static void test_tasks__what_ran_is_due_again_and_keeps_its_note(void **state)
{
    struct fixture *f = *state;
    struct store_task task;
    plan(f, "a", T0, INT64_MAX);
    assert_int_equal(take(f, &task, NULL), STORE_OK);
    assert_int_equal(task.ran_ms, 0);
    f->time.now += 10;
    assert_int_equal(end(f, &task, T0 + 1000, "first", false), STORE_OK);
    f->time.now = T0 + 1000;
    assert_int_equal(take(f, &task, NULL), STORE_OK);
    assert_true(str_is(task.note, "first"));
    assert_int_equal(task.ran_ms, T0 + 10);
    assert_int_equal(end(f, &task, T0 + 2000, NULL, true), STORE_OK); // failed: nothing is lost
    f->time.now = T0 + 2000;
    assert_int_equal(take(f, &task, NULL), STORE_OK);
    assert_true(str_is(task.note, "first"));
    assert_int_equal(task.ran_ms, T0 + 10);
    assert_int_equal(end(f, &task, 0, NULL, false), STORE_OK); // forgotten
    f->time.now += LEASE_MS;
    assert_int_equal(take(f, &task, NULL), STORE_ABSENT);
}

static void test_tasks__a_taker_that_dies_is_followed_and_writes_nothing_more(void **state)
{
    struct fixture *f = *state;
    struct store_task dead, task;
    int64_t next;
    plan(f, "a", T0, INT64_MAX);
    assert_int_equal(take(f, &dead, NULL), STORE_OK);
    assert_int_equal(take(f, &task, &next), STORE_ABSENT);
    assert_int_equal(next, T0 + LEASE_MS);
    f->time.now += LEASE_MS;
    assert_int_equal(take(f, &task, NULL), STORE_OK);
    assert_int_equal(end(f, &dead, T0 + 1, "late", false), STORE_CONFLICT);
    assert_int_equal(end(f, &dead, 0, NULL, false), STORE_CONFLICT);
    assert_int_equal(end(f, &task, f->time.now + 1, "own", false), STORE_OK);
}

/* ---- many at once ---- */

#define TASKS 40
#define THREADS 4

struct crowd {
    struct fixture *f;
    pthread_mutex_t mutex;
    int taken[TASKS];
};

static void *take_all(void *arg)
{
    struct crowd *crowd = arg;
    struct arena arena = {0};
    struct error err;
    struct store_task task;
    int64_t next, index;
    enum store_result got;
    for (;;) {
        got = store_take_task(crowd->f->store, STR(""), LEASE_MS, &arena, &task, &next, &err);
        if (got != STORE_OK)
            break;
        if (str_to_int64(task.name, &index) && index < TASKS) {
            pthread_mutex_lock(&crowd->mutex);
            crowd->taken[index]++;
            pthread_mutex_unlock(&crowd->mutex);
        }
    }
    arena_finish(&arena);
    return (void *)(uintptr_t)(got == STORE_ERROR);
}

static void test_tasks__each_is_taken_once_by_many(void **state)
{
    struct crowd crowd = {.f = *state, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[THREADS];
    for (int i = 0; i < TASKS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        plan(crowd.f, name, T0 - i, INT64_MAX);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &crowd), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(crowd.taken[i], 1);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    int status = backend_prepare();
    if (status)
        return status;
    const struct CMUnitTest tests[] = {
        EACH(test_tasks__the_earliest_due_one_is_taken_by_one),
        EACH(test_tasks__one_may_be_taken_by_its_name),
        EACH(test_tasks__planning_again_keeps_the_due_time_unless_it_is_too_late),
        EACH(test_tasks__what_ran_is_due_again_and_keeps_its_note),
        EACH(test_tasks__a_taker_that_dies_is_followed_and_writes_nothing_more),
        EACH(test_tasks__each_is_taken_once_by_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
