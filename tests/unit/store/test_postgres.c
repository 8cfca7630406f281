// SPDX-License-Identifier: Apache-2.0
/* What only PostgreSQL has: several processes on one queue, takeover without proof of death, the
 * database's clock, a server that goes away, the sequencer, rights, a schema that is not ours. */
#include "store_help.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "store/postgres_internal.h"
#include "store/postgres_schema.inc" // version 1
#include "tree/tree.h"

struct fixture {
    struct test_time time;
    struct store *a, *b; // two processes, as far as the database knows
    struct arena arena;
    struct error err;
};

static int setup_empty(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_time_init(&f->time);
    backend_fresh("");
    *state = f;
    return 0;
}

static int setup(void **state)
{
    setup_empty(state);
    struct fixture *f = *state;
    f->a = open_or_fail(backend_url(""), &f->time.clock);
    f->b = open_or_fail(backend_url(""), &f->time.clock);
    backend_use_own_clock();
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->a);
    store_close(f->b);
    arena_finish(&f->arena);
    free(f);
    return 0;
}

static void must_not_open(struct fixture *f, const char *where, const char *code)
{
    f->err = (struct error){0};
    assert_null(store_open(where, &f->time.clock, &f->err));
    assert_string_equal(f->err.code, code);
}

/* ---- takeover ---- */

static size_t claimable(struct fixture *f, struct store *store, int64_t *ret_next)
{
    struct store_claim claims[8];
    (void)f;
    return claim_some(store, 8, claims, ret_next);
}

static void test_postgres__takeover_waits_for_lease_and_grace(void **state)
{
    static const enum state dangerous[] = {STATE_CALLING, STATE_UNKNOWN, STATE_UNDOING};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        char key[8], resource[80];
        int64_t next, base = f->time.now;
        snprintf(key, sizeof key, "e%zu", i);
        snprintf(resource, sizeof resource, BUCKET("b%zu"), i);
        accept_one(f->a, key, "p", resource, base);
        struct store_claim claim = claim_one(f->a);
        must_go(f->a, claim, dangerous[i]);
        f->time.now = base + LEASE_MS;
        assert_int_equal(claimable(f, f->b, &next), 0);
        assert_int_equal(next, base + LEASE_MS + GRACE_MS);
        f->time.now = base + LEASE_MS + GRACE_MS - 1;
        assert_int_equal(claimable(f, f->b, &next), 0);
        f->time.now++;
        struct store_claim taken = claim_one(f->b);
        assert_int_equal(taken.epoch, claim.epoch + 1);
        assert_false(store_owns(f->a, claim.id, claim.epoch));
        assert_true(store_owns(f->b, taken.id, taken.epoch));
        struct store_transition t = move_to(f->a, claim, STATE_HEALED);
        assert_int_equal(go(f->a, &t), STORE_CONFLICT);
        must_go(f->b, taken, STATE_NEEDS_PERSON);
    }
}

static void test_postgres__reading_is_taken_over_after_the_lease(void **state)
{
    struct fixture *f = *state;
    int64_t next;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    must_go(f->a, claim_one(f->a), STATE_READING);
    assert_int_equal(claimable(f, f->b, &next), 0);
    assert_int_equal(next, T0 + LEASE_MS);
    f->time.now += LEASE_MS;
    assert_int_equal(claimable(f, f->b, &next), 1);
}

static void test_postgres__own_lease_that_ran_out_needs_no_grace(void **state)
{
    struct fixture *f = *state;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    must_go(f->a, claim_one(f->a), STATE_CALLING);
    f->time.now += LEASE_MS;
    assert_int_equal(claim_one(f->a).epoch, 2);
}

/* Given back into `unknown`: what was sent may still arrive, so others wait the grace. */
static void test_postgres__released_call_keeps_its_grace_for_others(void **state)
{
    struct fixture *f = *state;
    int64_t next;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->a);
    struct store_transition t = move_to(f->a, claim, STATE_UNKNOWN);
    t.keep_lease = false;
    t.due_ms = T0 + 500;
    assert_int_equal(go(f->a, &t), STORE_OK);
    f->time.now += 500;
    assert_int_equal(claimable(f, f->b, &next), 0);
    assert_int_equal(next, T0 + GRACE_MS);
    assert_int_equal(claimable(f, f->a, &next), 1);
}

static void test_postgres__nobody_claims_what_another_has(void **state)
{
    struct fixture *f = *state;
    int64_t next;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    accept_one(f->b, "e2", "p", BUCKET("b"), T0);
    assert_int_equal(claim_one(f->a).id, 1);
    assert_int_equal(claim_one(f->b).id, 2);
    assert_int_equal(claimable(f, f->a, &next), 0);
    assert_false(accept_one(f->a, "e2", "p", BUCKET("b"), T0)); // taken by the other process
}

/* ---- the database's clock ---- */

static int64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_postgres__host_clock_a_day_off_changes_nothing(void **state)
{
    struct fixture *f = *state;
    for (int i = -1; i <= 1; i += 2) {
        struct store_match match = match_of("p", i < 0 ? BUCKET("a") : BUCKET("b"), 0);
        int64_t id, next, now = real_ms();
        f->time.now = now + i * INT64_C(86400000);
        match.due_ms = f->time.now;
        assert_int_equal(store_create(f->a, REMEDIATION_REPAIR, &match, STR("{}"), &id, &f->err),
                         STORE_OK);
        struct remediation r = get(f->a, id, &f->arena);
        assert_in_range(r.created_ms, now - 1, now + 20000);
        assert_in_range(r.due_ms, now - 1, now + 20000);
        char key[8];
        snprintf(key, sizeof key, "e%d", i);
        accept_one(f->a, key, "q", i < 0 ? BUCKET("a") : BUCKET("b"), f->time.now);
        r = get(f->a, id + 1, &f->arena);
        assert_in_range(r.due_ms, now - 1, now + 20000);
        assert_int_equal(r.settled_ms, r.due_ms);
        struct store_claim claim = claim_one(f->a); // due, by the database's clock
        assert_true(store_owns(f->a, claim.id, claim.epoch));
        struct store_transition t = move_to(f->a, claim, STATE_HELD);
        t.keep_lease = false;
        t.due_ms = f->time.now + 600000;
        assert_int_equal(go(f->a, &t), STORE_OK);
        must_go(f->a, claim_one(f->a), STATE_GONE);
        assert_int_equal(claimable(f, f->b, &next), 0);
        assert_in_range(next, f->time.now + 500000, f->time.now + 600000); // by the host's
        t = move_to(f->a, claim, STATE_GONE);
        t.epoch = 0;
        assert_int_equal(go(f->a, &t), STORE_OK);
    }
}

static int setup_real_clock(void **state)
{
    setup_empty(state);
    struct fixture *f = *state;
    f->a = open_or_fail(backend_url(""), &f->time.clock);
    f->b = open_or_fail(backend_url(""), &f->time.clock);
    return 0;
}

/* ---- the server goes away ---- */

static void test_postgres__no_database_no_calls_and_back_again(void **state)
{
    struct fixture *f = *state;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->a);
    must_go(f->a, claim, STATE_CALLING);
    backend_stop_server();
    int64_t began = real_ms();
    assert_false(store_owns(f->a, claim.id, claim.epoch));
    struct store_transition t = {.id = 1, .version = 2, .epoch = 1, .to = STATE_VERIFYING};
    assert_int_equal(go(f->a, &t), STORE_ERROR);
    assert_int_equal(store_record(f->a, STR("k"), STR("{}"), &f->err), STORE_ERROR);
    assert_string_equal(f->err.code, "S0007");
    assert_true(f->err.hint[0] != '\0');
    assert_true(real_ms() - began < 30000);
    backend_start_server();
    assert_true(store_owns(f->a, claim.id, claim.epoch));
    assert_int_equal(go(f->a, &t), STORE_OK);
    assert_int_equal(get(f->b, 1, &f->arena).state, STATE_VERIFYING);
}

static void *record_now(void *arg)
{
    struct fixture *f = arg;
    if (store_record(f->a, STR("k"), STR("{}"), &f->err) != STORE_OK)
        return f->err.message;
    return NULL;
}

static void test_postgres__short_absence_is_waited_for(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    void *problem;
    backend_stop_server();
    assert_int_equal(pthread_create(&thread, NULL, record_now, f), 0);
    usleep(700000);
    backend_start_server(); // by the thread that outlives it
    pthread_join(thread, &problem);
    if (problem)
        fail_msg("%s", (char *)problem);
}

static void test_postgres__restart_while_idle_goes_unnoticed(void **state)
{
    struct fixture *f = *state;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    backend_stop_server();
    backend_start_server();
    accept_one(f->a, "e2", "p", BUCKET("b"), T0);
    assert_int_equal(log_size(f->a), 2);
}

/* ---- the sequencer ---- */

static void test_postgres__leaves_get_their_places_by_themselves(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(store_record(i % 2 ? f->a : f->b, STR("k"), STR("{}"), &f->err), STORE_OK);
    for (int i = 0; i < 200 && backend_number("SELECT size FROM head") < 20; i++)
        usleep(20000);
    assert_int_equal(backend_number("SELECT size FROM head"), 20);
    assert_int_equal(backend_number("SELECT count(*) FROM leaf"), 0);
}

static void test_postgres__leaves_of_the_dead_are_sequenced_by_others(void **state)
{
    struct fixture *f = *state;
    backend_sql("SELECT write_record(1, 'k', '{}', '')"); // by nobody who is still there
    assert_int_equal(log_size(f->b), 1);
}

/* The whole log against its head, as `audit verify` does it. */
static void verify_log(struct fixture *f, struct store *store)
{
    struct store_checkpoint head;
    struct tree tree = {0};
    assert_int_equal(store_flush(store, &f->err), STORE_OK);
    assert_int_equal(store_checkpoint(store, &head, &f->err), STORE_OK);
    while ((int64_t)tree.size < head.size) {
        struct store_leaf *leaves;
        size_t count;
        assert_int_equal(
            store_leaves(store, 0, (int64_t)tree.size, 1000, &f->arena, &leaves, &count, &f->err),
            STORE_OK);
        assert_true(count > 0);
        for (size_t i = 0; i < count && (int64_t)tree.size < head.size; i++) {
            assert_int_equal(leaves[i].index, tree.size);
            assert_true(tree_hash_equal(tree_hash_leaf(leaves[i].text), leaves[i].hash));
            tree_append(&tree, leaves[i].hash);
        }
        arena_reset(&f->arena);
    }
    assert_true(tree_hash_equal(tree_root(&tree), head.root));
}

/* ---- many at once ---- */

struct crowd {
    struct store *store;
    atomic_int *failures, *inside, *most;
    int number;
};

#define SHARED_ROUNDS 100
#define SHARED 20

/* The same resources in one of two orders, in one transaction; half of them with the same events.
 */
static void *accept_shared(void *arg)
{
    struct crowd *c = arg;
    for (int round = 0; round < SHARED_ROUNDS; round++) {
        char keys[SHARED][48], resources[SHARED][80];
        struct store_match matches[SHARED];
        struct store_event events[SHARED];
        struct error err;
        for (int i = 0; i < SHARED; i++) {
            int which = c->number % 2 ? i : SHARED - 1 - i;
            snprintf(keys[i], sizeof keys[i], "e%d-%d-%d", c->number / 2 % 2, round, which);
            snprintf(resources[i], sizeof resources[i], BUCKET("b%d"), which);
            matches[i] = match_of("p", resources[i], T0);
            events[i] = (struct store_event){str_from(keys[i]), STR("n"), &matches[i], 1};
        }
        if (store_accept(c->store, events, SHARED, NULL, &err) != STORE_OK)
            atomic_fetch_add(c->failures, 1);
    }
    return NULL;
}

static void in_crowd(struct fixture *f, void *(*body)(void *), atomic_int *failures,
                     atomic_int *inside, atomic_int *most)
{
    pthread_t ids[8];
    struct crowd crowd[8];
    for (int i = 0; i < 8; i++) {
        crowd[i] = (struct crowd){i < 4 ? f->a : f->b, failures, inside, most, i};
        assert_int_equal(pthread_create(&ids[i], NULL, body, &crowd[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(ids[i], NULL);
}

static void test_postgres__same_events_at_many_doors_are_taken_once(void **state)
{
    struct fixture *f = *state;
    atomic_int failures = 0;
    int64_t before = backend_number("SELECT coalesce(sum(deadlocks), 0) FROM pg_stat_database");
    in_crowd(f, accept_shared, &failures, NULL, NULL);
    assert_int_equal(failures, 0);
    assert_int_equal(backend_number("SELECT count(*) FROM event"), 2 * SHARED_ROUNDS * SHARED);
    assert_int_equal(backend_number("SELECT count(*) FROM remediation"), SHARED);
    assert_int_equal(backend_number("SELECT sum(sequence) FROM remediation"),
                     (2 * SHARED_ROUNDS - 1) * SHARED);
    assert_int_equal(log_size(f->a), 2 * SHARED_ROUNDS * SHARED);
    verify_log(f, f->b);
    assert_int_equal(backend_number("SELECT coalesce(sum(deadlocks), 0) FROM pg_stat_database"),
                     before);
}

#define AT_ONCE 3

static void *intend_limited(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 25; i++) {
        char key[32], resource[80];
        struct store_claim claim;
        size_t count = 0;
        int64_t next;
        struct error err;
        snprintf(key, sizeof key, "e%d-%d", c->number, i);
        snprintf(resource, sizeof resource, BUCKET("b%d-%d"), c->number, i);
        accept_one(c->store, key, "p", resource, T0);
        if (store_claim(c->store, 1, LEASE_MS, 0, &claim, &count, &next, &err) != STORE_OK)
            atomic_fetch_add(c->failures, 1);
        if (!count)
            continue;
        struct store_transition t = move_to(c->store, claim, STATE_INTENT);
        t.lock = true;
        struct permit permit = permit_of("policy p", resource);
        permit.at_once_max = AT_ONCE;
        t.permits = &permit;
        t.permit_count = 1;
        enum store_result got = go(c->store, &t);
        if (got == STORE_OK) {
            int now = atomic_fetch_add(c->inside, 1) + 1;
            if (now > atomic_load(c->most))
                atomic_store(c->most, now);
            usleep(2000);
            atomic_fetch_sub(c->inside, 1); // before the store lets the next one in
            must_go(c->store, claim, STATE_HEALED);
        } else if (got == STORE_LIMITED) {
            must_go(c->store, claim, STATE_SKIPPED);
        } else {
            atomic_fetch_add(c->failures, 1);
        }
    }
    return NULL;
}

static void test_postgres__permits_hold_across_processes(void **state)
{
    struct fixture *f = *state;
    atomic_int failures = 0, inside = 0, most = 0;
    in_crowd(f, intend_limited, &failures, &inside, &most);
    assert_int_equal(failures, 0);
    assert_int_equal(most, AT_ONCE);
    assert_int_equal(backend_number("SELECT count(*) FROM permit"), 0);
    assert_int_equal(backend_number("SELECT count(*) FROM lock"), 0);
    verify_log(f, f->a);
}

static void *race(void *arg)
{
    struct crowd *c = arg;
    struct error err;
    for (int64_t version = 1; version <= 100; version++) {
        struct store_transition t = {.id = 1,
                                     .version = version,
                                     .epoch = 1,
                                     .to = version % 2 ? STATE_READING : STATE_DECIDING,
                                     .keep_lease = true};
        enum store_result got;
        do
            got = store_advance(c->store, &t, false, &err);
        while (got == STORE_CONFLICT && atomic_load(c->inside) < version);
        if (got == STORE_OK)
            atomic_fetch_add(c->inside, 1);
        else if (got != STORE_CONFLICT)
            atomic_fetch_add(c->failures, 1);
    }
    return NULL;
}

static void test_postgres__of_many_transitions_from_one_version_one_is_applied(void **state)
{
    struct fixture *f = *state;
    atomic_int failures = 0, applied = 0;
    accept_one(f->a, "e1", "p", BUCKET("a"), T0);
    claim_one(f->a);
    in_crowd(f, race, &failures, &applied, NULL);
    assert_int_equal(failures, 0);
    assert_int_equal(applied, 100);
    assert_int_equal(get(f->b, 1, &f->arena).version, 101);
    assert_int_equal(log_size(f->a), 101);
}

static void *open_one(void *arg)
{
    struct error err = {0};
    struct store *store = store_open(backend_url(""), clock_system(), &err);
    if (!store)
        atomic_fetch_add((atomic_int *)arg, 1);
    store_close(store);
    return NULL;
}

static void test_postgres__many_may_make_the_schema(void **state)
{
    pthread_t ids[3];
    (void)state;
    for (int round = 0; round < 3; round++) {
        atomic_int failures = 0;
        backend_fresh("");
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&ids[i], NULL, open_one, &failures), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(ids[i], NULL);
        assert_int_equal(failures, 0);
    }
}

/* ---- killed under load ---- */

#define WORKERS 3

/* Feeds and heals until it is killed; tells one byte for each event that was taken. */
static void work(int out, int64_t round)
{
    static const enum state way[] = {STATE_READING, STATE_DECIDING,  STATE_INTENT,
                                     STATE_CALLING, STATE_VERIFYING, STATE_HEALED};
    struct error err;
    struct store *store = store_open(backend_url(""), clock_system(), &err);
    struct arena arena = {0};
    for (int64_t i = 0; store; i++) {
        char key[64], resource[80];
        snprintf(key, sizeof key, "e%lld-%d-%lld", (long long)round, (int)getpid(), (long long)i);
        snprintf(resource, sizeof resource, BUCKET("b%d"), (int)(i % 40));
        struct store_match match = match_of(i % 2 ? "p" : "q", resource, 0);
        struct store_event event = {str_from(key), STR("n"), &match, 1};
        if (store_accept(store, &event, 1, NULL, &err) != STORE_OK || write(out, "x", 1) != 1)
            _exit(1);
        struct store_claim claim;
        struct remediation r;
        size_t count;
        int64_t next;
        if (store_claim(store, 1, 200, 0, &claim, &count, &next, &err) != STORE_OK)
            _exit(1);
        if (count == 0 || store_get(store, claim.id, &arena, &r, &err) != STORE_OK)
            continue;
        struct permit_pair pair = permit_pair_of(&r);
        struct store_transition t = {.id = r.id, .version = r.version, .epoch = claim.epoch};
        for (size_t j = 0; j < sizeof way / sizeof *way; j++, t.version++) {
            t.to = way[j];
            t.lock = t.to == STATE_INTENT;
            t.permits = pair.list;
            t.permit_count = t.lock ? 2 : 0;
            t.outcome = t.to == STATE_HEALED ? OUTCOME_GOOD : OUTCOME_NONE;
            t.keep_lease = t.to != STATE_HEALED;
            enum store_result got = store_advance(store, &t, t.lock || j % 2, &err);
            if (got == STORE_LOCKED || got == STORE_LIMITED) {
                t.to = STATE_HELD;
                t.lock = t.keep_lease = false;
                t.permit_count = 0;
                got = store_advance(store, &t, true, &err);
            }
            if (got == STORE_ERROR)
                _exit(1);
            if (got != STORE_OK || t.to == STATE_HELD)
                break;
        }
        arena_reset(&arena);
    }
    _exit(1);
}

/* Each pair has to be equal, whenever nobody is at work. */
static const char *const invariants[][2] = {
    {"SELECT count(*) + (SELECT count(*) FROM leaf) FROM record",
     "SELECT size + (SELECT count(*) FROM leaf) FROM head"},
    {"SELECT count(*) FROM permit", "SELECT 2 * count(*) FROM remediation WHERE holds & 1 <> 0"},
    {"SELECT count(*) FROM permit p JOIN remediation r ON r.id = p.remediation AND "
     "r.holds & 1 <> 0",
     "SELECT count(*) FROM permit"},
    {"SELECT (count(*) > 3)::int FROM permit WHERE key = 'all'", "SELECT 0"},
    {"SELECT count(*) FROM lock", "SELECT count(*) FROM remediation WHERE holds & 2 <> 0"},
    {"SELECT count(*) FROM lock l JOIN remediation r ON r.id = l.remediation AND "
     "r.resource = l.resource AND r.holds & 2 <> 0",
     "SELECT count(*) FROM lock"},
    {"SELECT sum(version - 1) FROM remediation",
     "SELECT count(*) FROM record WHERE text::json ->> 'kind' = 'transition'"},
    {"SELECT count(*) FROM event",
     "SELECT count(*) FROM record WHERE text::json ->> 'kind' = 'event'"},
    {"SELECT count(*) FROM remediation",
     "SELECT count(*) FROM record WHERE text::json ->> 'kind' = 'successor' OR "
     "text::json ->> 'reason' = 'accepted'"},
    {"SELECT count(*) FROM remediation WHERE NOT active",
     "SELECT count(*) FROM remediation WHERE due_ms IS NULL"},
    {"SELECT coalesce(sum(count), 0) FROM ended_count",
     "SELECT count(*) FROM remediation WHERE NOT active"},
    {"SELECT count(*) FROM remediation", "SELECT count(*) FROM detail"},
};

static int64_t kill_round(int64_t round)
{
    int ends[2];
    int64_t told = 0;
    pid_t pids[WORKERS];
    char byte;
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            work(ends[1], round);
    }
    close(ends[1]);
    while (told < 60 + round * 17 && read(ends[0], &byte, 1) == 1)
        told++;
    for (int i = 0; i < WORKERS; i++)
        kill(pids[i], SIGKILL);
    while (read(ends[0], &byte, 1) == 1)
        told++; // said before they died
    close(ends[0]);
    for (int i = 0; i < WORKERS; i++)
        waitpid(pids[i], NULL, 0);
    return told;
}

static void test_postgres__killed_under_load_everything_adds_up(void **state)
{
    struct fixture *f = *state;
    int64_t told = 0;
    for (int64_t round = 0; round < 5; round++) {
        told += kill_round(round);
        usleep(100000); // a server process may still finish what it was told
        verify_log(f, f->a);
        for (size_t i = 0; i < sizeof invariants / sizeof *invariants; i++)
            if (backend_number(invariants[i][0]) != backend_number(invariants[i][1]))
                fail_msg("round %d: %s", (int)round, invariants[i][0]);
        assert_true(backend_number("SELECT count(*) FROM event") >= told);
    }
    assert_true(backend_number("SELECT count(*) FROM remediation WHERE state = 'healed'") > 0);
}

/* ---- rights ---- */

static void make_role(const char *name)
{
    char text[300];
    snprintf(text, sizeof text,
             "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%s') THEN "
             "CREATE ROLE %s LOGIN; END IF; END $$",
             name, name);
    backend_sql(text);
}

/* A remediation's whole way: read, asked about, approved, meant, healed. */
static void heal_with_everything(struct fixture *f, struct store *store)
{
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(store);
    must_go(store, claim, STATE_READING);
    accept_one(store, "e2", "p", BUCKET("a"), T0);
    struct store_transition t = move_to(store, claim, STATE_ASKING);
    t.ask_hash = STR("abc");
    t.ask_expires_ms = t.due_ms = T0 + 60000;
    assert_int_equal(go(store, &t), STORE_OK);
    assert_int_equal(
        store_vote(store,
                   &(struct store_ballot){
                       .id = 1, .plan_hash = STR("abc"), .yes = true, .person = STR("ann")},
                   NULL, &f->err),
        STORE_OK);
    t = move_to(store, claim, STATE_INTENT);
    t.approval_hash = STR("abc");
    t.lock = true;
    struct permit permit = permit_of("policy p", "u");
    permit.at_once_max = permit.per_hour_max = 5;
    t.permits = &permit;
    t.permit_count = 1;
    t.cohort = (struct store_cohort){STR("00ff"), 0, 1, true};
    struct store_rollout_change begins = {.what = ROLLOUT_BEGIN,
                                          .policy = STR("p"),
                                          .hash = STR("00ff"),
                                          .staged = true,
                                          .undo = true,
                                          .by = STR(STORE_ITSELF)};
    assert_int_equal(store_rollout_set(store, &begins, &f->err), STORE_OK);
    assert_int_equal(store_counted(store, STR("p"), STR("eu"), 5, &f->err), STORE_OK);
    assert_int_equal(go(store, &t), STORE_OK);
    struct store_notice notice = {.channel = STR("ops"), .kind = STR("tell")};
    t = move_to(store, claim, STATE_HEALED);
    t.notices = &notice;
    t.notice_count = 1;
    t.outcome = OUTCOME_BAD;
    t.found = true;
    t.throttled_ms = 5;
    t.request_id = STR("R");
    assert_int_equal(go(store, &t), STORE_OK);
}

/* What goes on beside: messages, tasks, our own calls' events, breakers. */
static void serve_everything(struct fixture *f, struct store *store)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_sending sending;
    assert_int_equal(store_take_notices(store, LEASE_MS, &arena, &sending, &f->err), STORE_OK);
    assert_int_equal(sending.count, 1);
    struct store_sent sent = {.id = sending.rows[0].id, .state = NOTICE_SENT};
    assert_int_equal(store_give_notices(store, &sending, T0, &sent, 1, &f->err), STORE_OK);
    struct store_task_plan plan = {STR("scan"), T0, INT64_MAX};
    struct store_task task;
    struct store_task_end end = {.due_ms = 0};
    int64_t next_due;
    assert_int_equal(store_plan_tasks(store, &plan, 1, &f->err), STORE_OK);
    assert_int_equal(store_take_task(store, STR(""), LEASE_MS, &arena, &task, &next_due, &f->err),
                     STORE_OK);
    assert_int_equal(store_end_task(store, &task, &end, &f->err), STORE_OK);
    struct store_match match = match_of("p", BUCKET("a"), T0);
    struct store_event ours = {STR("e3"), STR("n"), &match, 1, STR("R")};
    assert_int_equal(store_accept(store, &ours, 1, NULL, &f->err), STORE_OK);
    assert_int_equal(store_breaker_set(store, STR("p"), 1000, STR("x"), &f->err), STORE_OK);
}

static void test_postgres__worker_role_works_and_cannot_rewrite_history(void **state)
{
    static const char *const forbidden[] = {
        "UPDATE record SET text = ''",
        "DELETE FROM record",
        "TRUNCATE record",
        "DELETE FROM head",
        "DROP TABLE leaf",
        "DELETE FROM remediation",
        "DELETE FROM approval",
        "UPDATE meta SET version = 2",
        "ALTER TABLE record ADD COLUMN x int",
        "CREATE TABLE rectify.x (y int)",
        "CREATE OR REPLACE FUNCTION rectify.clock_ms(host_ms bigint) RETURNS bigint LANGUAGE sql "
        "AS 'SELECT 0::bigint'"};
    struct fixture *f = *state;
    make_role("worker");
    assert_null(store_open(backend_url("worker"), &f->time.clock, &f->err));
    assert_string_equal(f->err.code, "S0002");
    assert_non_null(strstr(f->err.hint, "grant_worker"));
    backend_sql("SELECT grant_worker('worker')");
    struct store *store = open_or_fail(backend_url("worker"), &f->time.clock);
    heal_with_everything(f, store);
    serve_everything(f, store);
    backend_sql("SET ROLE worker; SELECT purge(1, 1)");
    verify_log(f, store);
    assert_true(log_size(store) >= 8);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (backend_sql_as("worker", forbidden[i]))
            fail_msg("a worker may %s", forbidden[i]);
    store_close(store);
}

/* ---- opening ---- */

static void test_postgres__addresses_that_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    char where[300];
    must_not_open(f, "postgres://u:hush@h/d?nonsense=1", "S0002");
    assert_null(strstr(f->err.message, "hush"));
    must_not_open(f, "postgres://u:hush%@h/d", "S0002");
    assert_null(strstr(f->err.message, "hush"));
    must_not_open(f, "postgres://u:hush@127.0.0.1:1/d", "S0007");
    assert_null(strstr(f->err.message, "hush"));
    must_not_open(f, backend_url("nobody-at-all"), "S0002");
    snprintf(where, sizeof where, "postgres://rectify@127.0.0.1:%s/none", backend_port());
    must_not_open(f, where, "S0002");
    assert_non_null(strstr(f->err.message, "does not exist"));
}

/* 0.0.0.0 leads to this machine too, but does not say so. */
static void test_postgres__other_machines_have_to_prove_themselves(void **state)
{
    struct fixture *f = *state;
    char where[300];
    snprintf(where, sizeof where, "postgres://rectify@0.0.0.0:%s/postgres", backend_port());
    must_not_open(f, where, "S0002");
    assert_non_null(strstr(f->err.hint, "sslrootcert"));
    snprintf(where, sizeof where, "postgres://rectify@0.0.0.0:%s/postgres?sslmode=disable",
             backend_port());
    store_close(open_or_fail(where, &f->time.clock));
}

static void test_postgres__what_errors_mean(void **state)
{
    static const struct {
        const char *state, *said, *code;
    } cases[] = {{"28P01", "password authentication failed", "S0002"},
                 {"3D000", "database does not exist", "S0002"},
                 {"42501", "permission denied for table record", "S0002"},
                 {"", "server does not support SSL, but SSL was required", "S0002"},
                 {"42P01", "relation does not exist", "S0003"},
                 {"XX001", "invalid page in block 7", "S0003"},
                 {"53100", "could not extend file: No space left on device", "S0004"},
                 {"58030", "could not read block", "S0004"},
                 {"25006", "cannot execute INSERT in a read-only transaction", "S0004"},
                 {"", "session is read-only", "S0004"},
                 {"53300", "sorry, too many clients already", "S0007"},
                 {"57P01", "terminating connection due to administrator command", "S0007"},
                 {"57P03", "the database system is starting up", "S0007"},
                 {"57014", "canceling statement due to statement timeout", "S0007"},
                 {"55P03", "canceling statement due to lock timeout", "S0007"},
                 {"40P01", "deadlock detected", "S0007"},
                 {"08006", "connection failure", "S0007"},
                 {"", "server closed the connection unexpectedly", "S0007"},
                 {"22021", "invalid byte sequence", "S0006"}};
    struct postgres_store store = {.label = "database d at h"};
    char found[6];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        assert_false(postgres_error(&store, cases[i].state, cases[i].said, &err));
        assert_string_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, "database d at h"));
        assert_non_null(strstr(err.message, cases[i].said));
        assert_true(err.hint[0] || strcmp(err.code, "S0006") == 0);
    }
    postgres_state_of("connection to server failed: FATAL:  28P01: password\nLOCATION: x", found);
    assert_string_equal(found, "28P01");
    postgres_state_of("connection to server at \"h\", port 1 failed: Connection refused", found);
    assert_string_equal(found, "");
}

static void test_postgres__read_only_server_says_so(void **state)
{
    struct fixture *f = *state;
    store_close(open_or_fail(backend_url(""), &f->time.clock));
    make_role("reader");
    backend_sql("ALTER ROLE reader SET default_transaction_read_only = on");
    must_not_open(f, backend_url("reader"), "S0004");
    assert_non_null(strstr(f->err.hint, "primary"));
}

/* All connections but those that the stores have are others'. */
static void test_postgres__full_server_leaves_us_what_we_have(void **state)
{
    struct fixture *f = *state;
    atomic_int failures = 0;
    int held = backend_hold_connections();
    in_crowd(f, accept_shared, &failures, NULL, NULL);
    must_not_open(f, backend_url(""), "S0007");
    backend_release_connections();
    assert_true(held > 10);
    assert_int_equal(failures, 0);
    verify_log(f, f->a);
}

static void test_postgres__newer_and_foreign_schemas_are_left_alone(void **state)
{
    struct fixture *f = *state;
    store_close(open_or_fail(backend_url(""), &f->time.clock));
    char restore[80];
    snprintf(restore, sizeof restore, "UPDATE meta SET version = %d",
             (int)backend_number("SELECT version FROM meta"));
    backend_sql("UPDATE meta SET version = 99");
    must_not_open(f, backend_url(""), "S0005");
    backend_sql(restore);
    store_close(open_or_fail(backend_url(""), &f->time.clock));
    backend_fresh("");
    backend_sql("CREATE SCHEMA rectify; CREATE TABLE rectify.head (x int)");
    must_not_open(f, backend_url(""), "S0002");
    assert_int_equal(backend_number("SELECT count(*) FROM pg_tables WHERE schemaname = 'rectify'"),
                     1);
}

#define OLD_BUCKET BUCKET("a")
/* The tables of version 1 and what stood in them: a repair at work, an open breaker, a result. */
static void make_version_1(void)
{
    backend_fresh("");
    backend_sql("CREATE SCHEMA rectify");
    backend_sql(postgres_schema);
    backend_sql("INSERT INTO remediation (kind, state, step, created_ms, updated_ms, settled_ms, "
                "due_ms, holds, policy, policy_hash, resource, region) VALUES ('repair', "
                "'verifying', 1, 1, 1, 1, 1, 3, 'p', '00', '" OLD_BUCKET "', 'eu-west-1');"
                "INSERT INTO detail (id, json) VALUES (1, '{}');"
                "INSERT INTO lock VALUES ('" OLD_BUCKET "', 1, false);"
                "INSERT INTO permit VALUES (1, 'p');"
                "INSERT INTO begun SELECT 'p', now FROM clock_ms(0) now;"
                "INSERT INTO policy SELECT 'p', now, 60000, now, 0 FROM clock_ms(0) now;"
                "INSERT INTO result (policy, resource, at_ms, bad) SELECT 'p', '" OLD_BUCKET "', "
                "now, true FROM clock_ms(0) now");
}

static void test_postgres__older_schema_is_brought_here(void **state)
{
    struct fixture *f = *state;
    struct store_guards guards;
    struct permit permit = permit_of("policy p", "u");
    permit.per_hour_max = -1;
    struct store_guard_query query = {STR("p"), STR("00"), STR(OLD_BUCKET), &permit, 1};
    make_version_1();
    struct store *store = open_or_fail(backend_url(""), &f->time.clock);
    assert_int_equal(store_guards(store, &query, &f->arena, &guards, &f->err), STORE_OK);
    assert_int_equal(guards.locked_by, 1);
    assert_int_equal(guards.meters[0].at_once, 1);
    assert_int_equal(guards.meters[0].per_hour, 1);
    assert_int_equal(guards.meters[0].breaker.open_for_ms, 60000);
    assert_int_equal(guards.rollout.state, ROLLOUT_NONE);
    must_go(store, claim_one(store), STATE_HEALED); // what it held under version 1 is given back
    assert_int_equal(store_guards(store, &query, &f->arena, &guards, &f->err), STORE_OK);
    assert_int_equal(guards.locked_by, 0);
    assert_int_equal(guards.meters[0].at_once, 0);
    store_close(store);
    store_close(open_or_fail(backend_url(""), &f->time.clock)); // and it is done once
}

static void test_postgres__damaged_log_is_refused_but_can_be_looked_at(void **state)
{
    static const char *const damage[] = {"DELETE FROM record WHERE position = 2",
                                         "UPDATE head SET size = 2",
                                         "UPDATE head SET root = sha256('x')",
                                         "UPDATE head SET peaks = '\\x00'",
                                         "DELETE FROM head",
                                         "UPDATE record SET text = text || ' ' WHERE position = 2"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        backend_fresh("");
        struct store *store = open_or_fail(backend_url(""), &f->time.clock);
        for (int j = 0; j < 3; j++)
            assert_int_equal(store_record(store, STR("k"), STR("{}"), &f->err), STORE_OK);
        assert_int_equal(log_size(store), 3);
        store_close(store);
        backend_sql(damage[i]);
        must_not_open(f, backend_url(""), "S0003");
    }
    struct store_leaf *leaves;
    size_t count;
    struct store *store = store_open_to_look(backend_url(""), &f->time.clock, &f->err);
    assert_non_null(store);
    assert_int_equal(store_leaves(store, 0, 0, 5, &f->arena, &leaves, &count, &f->err), STORE_OK);
    assert_int_equal(count, 3);
    assert_int_equal(store_record(store, STR("k"), STR("{}"), &f->err), STORE_ERROR);
    assert_string_equal(f->err.code, "S0003");
    store_close(store);
}

static void test_postgres__all_is_there_after_closing(void **state)
{
    struct fixture *f = *state;
    struct store *store = open_or_fail(backend_url(""), &f->time.clock);
    backend_use_own_clock();
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    must_go(store, claim_one(store), STATE_READING);
    store_close(store);
    assert_int_equal(backend_number("SELECT size FROM head"), 2); // sequenced on the way out
    store = open_or_fail(backend_url(""), &f->time.clock);
    assert_int_equal(get(store, 1, &f->arena).state, STATE_READING);
    store_close(store);
}

/* ---- texts ---- */

static void test_postgres__nul_in_a_text_becomes_visible(void **state)
{
    struct fixture *f = *state;
    struct store_match match = match_of("p", BUCKET("a"), T0);
    struct store_event event = {STR("e\0one"), STR("n\0m"), &match, 1};
    bool accepted;
    assert_int_equal(store_accept(f->a, &event, 1, &accepted, &f->err), STORE_OK);
    event.key = STR("e\0two");
    assert_int_equal(store_accept(f->a, &event, 1, &accepted, &f->err), STORE_OK);
    assert_true(accepted); // the whole key counts
    struct store_transition t = move_to(f->a, claim_one(f->a), STATE_READING);
    t.reason = STR("a\0b");
    assert_int_equal(go(f->a, &t), STORE_OK);
    assert_true(str_is(get(f->a, 1, &f->arena).reason, "a\xef\xbf\xbd"
                                                       "b"));
    verify_log(f, f->a);
}

int main(void)
{
#define WITH(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_postgres__takeover_waits_for_lease_and_grace, setup),
        WITH(test_postgres__reading_is_taken_over_after_the_lease, setup),
        WITH(test_postgres__own_lease_that_ran_out_needs_no_grace, setup),
        WITH(test_postgres__released_call_keeps_its_grace_for_others, setup),
        WITH(test_postgres__nobody_claims_what_another_has, setup),
        WITH(test_postgres__host_clock_a_day_off_changes_nothing, setup_real_clock),
        WITH(test_postgres__no_database_no_calls_and_back_again, setup),
        WITH(test_postgres__short_absence_is_waited_for, setup),
        WITH(test_postgres__restart_while_idle_goes_unnoticed, setup),
        WITH(test_postgres__leaves_get_their_places_by_themselves, setup),
        WITH(test_postgres__leaves_of_the_dead_are_sequenced_by_others, setup),
        WITH(test_postgres__same_events_at_many_doors_are_taken_once, setup),
        WITH(test_postgres__permits_hold_across_processes, setup),
        WITH(test_postgres__of_many_transitions_from_one_version_one_is_applied, setup),
        WITH(test_postgres__many_may_make_the_schema, setup_empty),
        WITH(test_postgres__killed_under_load_everything_adds_up, setup_real_clock),
        WITH(test_postgres__worker_role_works_and_cannot_rewrite_history, setup),
        WITH(test_postgres__addresses_that_lead_nowhere, setup_empty),
        WITH(test_postgres__other_machines_have_to_prove_themselves, setup_empty),
        WITH(test_postgres__what_errors_mean, setup_empty),
        WITH(test_postgres__read_only_server_says_so, setup_empty),
        WITH(test_postgres__full_server_leaves_us_what_we_have, setup),
        WITH(test_postgres__newer_and_foreign_schemas_are_left_alone, setup_empty),
        WITH(test_postgres__older_schema_is_brought_here, setup_empty),
        WITH(test_postgres__damaged_log_is_refused_but_can_be_looked_at, setup_empty),
        WITH(test_postgres__all_is_there_after_closing, setup_empty),
        WITH(test_postgres__nul_in_a_text_becomes_visible, setup),
    };
    int unable = backend_prepare();
    return unable ? unable : cmocka_run_group_tests(tests, NULL, NULL);
}
