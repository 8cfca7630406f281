// SPDX-License-Identifier: Apache-2.0
/* Workers whose store fails for a moment: what they had begun goes on with the next claim, not when
 * its lease has run out. */
#include "world.h"

#include "store/store_internal.h"

#include <unistd.h>

enum failing {
    FAILS, // the write fails, and says so
    LOST,  // nobody waited for it: the next claim tells
};

/* The world's store, but for its n-th transition. */
static struct {
    const struct store_backend *real;
    enum failing how;
    int count, fails_at;
    _Atomic bool to_tell;
    int waited;
} bad;

static enum store_result bad_advance(struct store *store, const struct store_transition *t,
                                     size_t count, bool durable, size_t *ret_applied,
                                     struct error *err)
{
    if (++bad.count != bad.fails_at || (bad.how == LOST && durable))
        return bad.real->advance(store, t, count, durable, ret_applied, err);
    bad.to_tell = bad.how == LOST;
    *ret_applied = bad.to_tell ? count : 0;
    if (bad.to_tell)
        return STORE_OK;
    error_set(err, "S0004", "the disk is full");
    return STORE_ERROR;
}

static enum store_result bad_claim(struct store *store, size_t count, int64_t lease_ms,
                                   int64_t grace_ms, struct store_claim *ret, size_t *ret_count,
                                   int64_t *ret_next_due_ms, struct error *err)
{
    if (!bad.to_tell)
        return bad.real->claim(store, count, lease_ms, grace_ms, ret, ret_count, ret_next_due_ms,
                               err);
    bad.to_tell = false;
    error_set(err, "S0004", "the disk was full");
    return STORE_ERROR;
}

struct pace {
    struct sim *sim;
    int64_t began_ms, sim_began_ms, sim_wall_ms;
};

/* The world's time goes by as ours does; a lease (two minutes) never runs out. */
static bool go_on(void *ctx)
{
    struct pace *pace = ctx;
    int64_t passed = clock_steady_ms(clock_system()) - pace->began_ms;
    pace->sim->wall_ms = pace->sim_wall_ms + passed;
    pace->sim->steady_ms = pace->sim_began_ms + passed;
    return passed > 20000;
}

/* A call that lasts until another worker has been told of the loss, and works again. */
static void last_long(void *ctx, struct sim *sim, bool write, bool before)
{
    (void)ctx, (void)sim, (void)write;
    if (!before || !bad.to_tell)
        return;
    bad.waited++;
    while (bad.to_tell)
        usleep(1000);
    usleep(800000);
}

/* Some buckets are broken, and all has settled; the store is bad. */
static void begin_bad(struct world *w, enum failing how, int fails_at, int buckets,
                      struct store_backend *backend)
{
    world_init(w, 7, ENFORCE);
    for (int i = 0; i < buckets; i++)
        send_event(w, i);
    w->sim.wall_ms += 61000;
    bad.real = w->store->backend;
    *backend = *bad.real;
    backend->advance = bad_advance;
    backend->claim = bad_claim;
    w->store->backend = backend;
    bad.how = how;
    bad.count = 0;
    bad.fails_at = fails_at;
}

static void heal_although(enum failing how, int fails_at, int buckets, int threads)
{
    struct world w;
    struct error err;
    struct store_backend backend;
    begin_bad(&w, how, fails_at, buckets, &backend);
    if (threads > 1)
        w.sim.on_call = last_long;
    struct pace pace = {&w.sim, clock_steady_ms(clock_system()), w.sim.steady_ms, w.sim.wall_ms};
    struct engine_workers *workers = engine_workers_start(&w.engine, threads, &err);
    assert_non_null(workers);
    bool drained = engine_workers_drain(workers, go_on, &pace, &err);
    engine_workers_stop(workers);
    w.store->backend = bad.real;
    if (!drained)
        fail_msg("%s", err.message);
    for (int i = 0; i < buckets; i++) {
        assert_int_equal(world_get(&w, i + 1).state, STATE_HEALED);
        assert_int_equal(w.sim.buckets[i].effects, 1);
    }
    world_finish(&w);
}

static void test_engine__a_step_that_failed_goes_on_before_its_lease_is_over(void **state)
{
    (void)state;
    for (int at = 1; at <= 5; at++)
        heal_although(FAILS, at, 3, 1);
}

static void test_engine__what_was_lost_is_done_again_before_its_lease_is_over(void **state)
{
    (void)state;
    for (int at = 1; at <= 5; at++)
        heal_although(LOST, at, 3, 1);
}

static void test_engine__a_step_that_met_the_loss_of_its_writes_goes_on_too(void **state)
{
    (void)state;
    for (int at = 1; at <= 4; at++)
        heal_although(LOST, at, 1, 2);
    assert_true(bad.waited > 0);
}

/* As a function does, which is called again. */
static void test_engine__one_thread_goes_on_after_a_failure_too(void **state)
{
    (void)state;
    for (int at = 1; at <= 3; at++) {
        struct world w;
        struct error err;
        struct engine_worked worked;
        struct store_backend backend;
        begin_bad(&w, FAILS, at, 1, &backend);
        int failures = 0;
        for (int i = 0; i < 20 && world_get(&w, 1).state != STATE_HEALED; i++) {
            failures += !engine_work(&w.engine, &worked, &err);
            w.sim.wall_ms += 1000;
            w.sim.steady_ms += 1000;
        }
        assert_int_equal(failures, 1);
        assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
        world_finish(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine__a_step_that_failed_goes_on_before_its_lease_is_over),
        cmocka_unit_test(test_engine__what_was_lost_is_done_again_before_its_lease_is_over),
        cmocka_unit_test(test_engine__a_step_that_met_the_loss_of_its_writes_goes_on_too),
        cmocka_unit_test(test_engine__one_thread_goes_on_after_a_failure_too),
    };
    return world_run_tests(tests, sizeof tests / sizeof *tests);
}
