// SPDX-License-Identifier: Apache-2.0
/* Many threads at once: no epoch handed out twice, no transition lost or doubled, every log whole.
 */
#include "store_help.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define ROWS 1000

struct shared {
    struct store *store;
    struct test_time *time;
    atomic_int claimed[ROWS + 1];
    atomic_int ended, transitions, failures;
    struct store_claim seen[THREADS][2 * ROWS];
    size_t seen_count[THREADS];
};

struct worker {
    struct shared *shared;
    int number;
};

static bool step(struct shared *s, struct store_transition *t, enum state to, bool wait)
{
    struct error err;
    t->to = to;
    t->keep_lease = !state_is_terminal(to);
    if (store_advance(s->store, t, wait, &err) != STORE_OK)
        return false;
    t->version++;
    atomic_fetch_add(&s->transitions, 1);
    return true;
}

static void heal(struct shared *s, struct store_claim claim, struct arena *arena)
{
    struct error err;
    struct remediation r;
    struct store_guards guards;
    bool ok = store_get(s->store, claim.id, arena, &r, &err) == STORE_OK &&
              r.epoch == claim.epoch && store_owns(s->store, claim.id, claim.epoch);
    struct permit permit = permit_of("policy p", "u");
    permit.at_once_max = THREADS;
    permit.per_hour_max = -1;
    struct store_guard_query query = {r.policy, r.policy_hash, r.resource, &permit, 1};
    ok = ok && store_guards(s->store, &query, arena, &guards, &err) == STORE_OK;
    struct store_transition t = {.id = claim.id,
                                 .version = r.version,
                                 .epoch = claim.epoch,
                                 .reason = STR("r"),
                                 .detail = STR("{\"a\":[1,2,3]}"),
                                 .record = STR("{}")};
    ok = ok && step(s, &t, STATE_READING, false);
    t.lock = true;
    t.permits = &permit;
    t.permit_count = 1;
    ok = ok && step(s, &t, STATE_INTENT, true);
    t.permit_count = 0;
    ok = ok && step(s, &t, STATE_CALLING, true) && step(s, &t, STATE_VERIFYING, false) &&
         step(s, &t, STATE_HEALED, claim.id % 3 == 0);
    atomic_fetch_add(ok ? &s->ended : &s->failures, 1);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->shared;
    struct arena arena = {0};
    struct error err;
    while (atomic_load(&s->ended) + atomic_load(&s->failures) < ROWS) {
        struct store_claim claims[3];
        size_t count = 0;
        int64_t next;
        if (store_claim(s->store, 3, LEASE_MS, 0, claims, &count, &next, &err) != STORE_OK)
            atomic_fetch_add(&s->failures, 1);
        for (size_t i = 0; i < count; i++) {
            s->seen[w->number][s->seen_count[w->number]++] = claims[i];
            atomic_fetch_add(&s->claimed[claims[i].id], 1);
            heal(s, claims[i], &arena);
            arena_reset(&arena);
        }
    }
    arena_finish(&arena);
    return NULL;
}

static void *feed(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < ROWS; i += 10) {
        char keys[10][32], resources[10][80];
        struct store_match matches[10];
        struct store_event events[10];
        struct error err;
        for (int j = 0; j < 10; j++) {
            snprintf(keys[j], sizeof keys[j], "e%d", i + j);
            snprintf(resources[j], sizeof resources[j], BUCKET("b%d"), i + j);
            matches[j] = match_of("p", resources[j], T0);
            events[j] = (struct store_event){str_from(keys[j]), STR("n"), &matches[j], 1};
        }
        if (store_accept(s->store, events, 10, NULL, &err) != STORE_OK)
            atomic_fetch_add(&s->failures, 1);
    }
    return NULL;
}

static void *look(void *arg)
{
    struct shared *s = arg;
    struct arena arena = {0};
    while (atomic_load(&s->ended) + atomic_load(&s->failures) < ROWS) {
        struct store_filter filter = {.state = -1, .limit = 20};
        struct remediation *rows;
        struct store_leaf *leaves;
        struct store_checkpoint checkpoint;
        size_t count;
        struct error err;
        if (store_list(s->store, &filter, &arena, &rows, &count, &err) != STORE_OK ||
            store_checkpoint(s->store, &checkpoint, &err) != STORE_OK ||
            store_leaves(s->store, 0, checkpoint.size / 2, 20, &arena, &leaves, &count, &err) !=
                STORE_OK)
            atomic_fetch_add(&s->failures, 1);
        arena_reset(&arena);
    }
    arena_finish(&arena);
    return NULL;
}

static void run(const char *where)
{
    struct test_time time;
    test_time_init(&time);
    struct shared *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->time = &time;
    s->store = where ? open_or_fail(where, &time.clock) : open_fresh(&time.clock);
    pthread_t ids[THREADS + 2];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){s, i};
        assert_int_equal(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&ids[THREADS], NULL, feed, s), 0);
    assert_int_equal(pthread_create(&ids[THREADS + 1], NULL, look, s), 0);
    for (int i = 0; i < THREADS + 2; i++)
        pthread_join(ids[i], NULL);
    assert_int_equal(s->failures, 0);
    assert_int_equal(s->ended, ROWS);
    for (int i = 1; i <= ROWS; i++)
        assert_int_equal(s->claimed[i], 1);
    assert_int_equal(log_size(s->store), ROWS + s->transitions);
    int64_t counts[STATE_COUNT];
    struct error err;
    assert_int_equal(store_counts(s->store, counts, &err), STORE_OK);
    assert_int_equal(counts[STATE_HEALED], ROWS);
    struct store_guards guards;
    struct arena arena ARENA_AUTO = {0};
    struct permit permit = permit_of("policy p", "u");
    permit.per_hour_max = -1;
    struct store_guard_query query = {STR("p"), STR("00ff"), STR(BUCKET("b1")), &permit, 1};
    assert_int_equal(store_guards(s->store, &query, &arena, &guards, &err), STORE_OK);
    assert_int_equal(guards.meters[0].at_once, 0);
    assert_int_equal(guards.meters[0].per_hour, ROWS);
    store_close(s->store);
    free(s);
}

static void test_store__threads_share_a_file(void **state)
{
    (void)state;
    if (backend_is_postgres()) {
        printf("a file is SQLite's own; the next test is both backends'\n");
        skip();
    }
    char folder[256], path[300];
    struct test_time time;
    test_time_init(&time);
    test_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/s.db", folder);
    run(path);
    store_close(open_or_fail(path, &time.clock)); // its log and head agree
    test_folder_remove(folder);
}

static void test_store__threads_share_memory(void **state)
{
    (void)state;
    run(NULL);
}

/* A lease that is over at once: every claim of the one row has an epoch of its own. */
static void *grab(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->shared;
    struct error err;
    while (s->seen_count[w->number] < ROWS / THREADS) {
        size_t count = 0;
        int64_t next;
        struct store_claim claim;
        if (store_claim(s->store, 1, 1, 0, &claim, &count, &next, &err) != STORE_OK)
            break;
        if (count)
            s->seen[w->number][s->seen_count[w->number]++] = claim;
    }
    return NULL;
}

static int64_t moving_wall(void *ctx)
{
    return T0 + atomic_fetch_add((atomic_int *)ctx, 1);
}

static void test_store__thousand_claims_have_a_thousand_epochs(void **state)
{
    (void)state;
    atomic_int ticks = 0;
    struct clock clock = {moving_wall, moving_wall, test_random, &ticks};
    struct shared *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->store = open_fresh(&clock);
    accept_one(s->store, "e1", "p", BUCKET("a"), T0);
    pthread_t ids[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){s, i};
        assert_int_equal(pthread_create(&ids[i], NULL, grab, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    bool given[ROWS + 1] = {false};
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(s->seen_count[i], ROWS / THREADS);
        for (size_t j = 0; j < s->seen_count[i]; j++) {
            assert_in_range(s->seen[i][j].epoch, 1, ROWS);
            assert_false(given[s->seen[i][j].epoch]);
            given[s->seen[i][j].epoch] = true;
        }
    }
    store_close(s->store);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store__threads_share_a_file),
        cmocka_unit_test(test_store__threads_share_memory),
        cmocka_unit_test(test_store__thousand_claims_have_a_thousand_epochs),
    };
    int unable = backend_prepare();
    return unable ? unable : cmocka_run_group_tests(tests, NULL, NULL);
}
