// SPDX-License-Identifier: Apache-2.0
/* Locks, permits, breakers, history, approvals: what the store hands to the guards, and what it
 * refuses. */
#include "store_help.h"

#define MINUTE 60000
#define HOUR 3600000

struct fixture {
    struct test_time time;
    struct store *store;
    struct arena arena;
    struct error err;
    int events;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
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

/* A claimed remediation of `policy` on the resource. */
static struct store_claim begin(struct fixture *f, const char *policy, const char *resource)
{
    char key[32];
    snprintf(key, sizeof key, "e%d", f->events++);
    assert_true(accept_one(f->store, key, policy, resource, f->time.now));
    return claim_one(f->store);
}

static enum store_result intend(struct fixture *f, struct store_claim claim, int at_once,
                                int per_hour)
{
    struct store_transition t = move_to(f->store, claim, STATE_INTENT);
    t.lock = true;
    t.at_once_max = at_once;
    t.per_hour_max = per_hour;
    return go(f->store, &t);
}

static struct store_guards guards(struct fixture *f, const char *policy, const char *resource)
{
    struct store_guards g;
    struct store_guard_query query = {str_from(policy), str_from(resource), 20, 24 * HOUR};
    assert_int_equal(store_guards(f->store, &query, &g, &f->err), STORE_OK);
    return g;
}

/* A whole remediation that ends in `to` with this result. */
static void end_one(struct fixture *f, const char *policy, const char *resource, enum state to,
                    bool bad)
{
    struct store_claim claim = begin(f, policy, resource);
    struct store_transition t = move_to(f->store, claim, to);
    t.breaker = bad ? RESULT_BAD : RESULT_GOOD;
    assert_int_equal(go(f->store, &t), STORE_OK);
}

static void test_store__one_executing_remediation_a_resource(void **state)
{
    struct fixture *f = *state;
    struct store_claim a = begin(f, "p", BUCKET("x")), b = begin(f, "q", BUCKET("x"));
    assert_int_equal(intend(f, a, 0, 0), STORE_OK);
    assert_int_equal(intend(f, b, 0, 0), STORE_LOCKED);
    assert_int_equal(guards(f, "q", BUCKET("x")).locked_by, a.id);
    assert_int_equal(get(f->store, b.id, &f->arena).state, STATE_RECEIVED);
    must_go(f->store, a, STATE_VERIFYING);
    must_go(f->store, a, STATE_READING); // contested: decided again, which may take long
    assert_int_equal(guards(f, "q", BUCKET("x")).locked_by, 0);
    assert_int_equal(intend(f, b, 0, 0), STORE_OK);
    assert_int_equal(intend(f, a, 0, 0), STORE_LOCKED);
    must_go(f->store, b, STATE_HEALED);
    assert_int_equal(guards(f, "q", BUCKET("x")).locked_by, 0);
    assert_int_equal(intend(f, a, 0, 0), STORE_OK);
}

static void test_store__frozen_lock_stays_until_a_person_clears_it(void **state)
{
    struct fixture *f = *state;
    struct store_claim a = begin(f, "p", BUCKET("x")), b = begin(f, "q", BUCKET("x"));
    assert_int_equal(intend(f, a, 0, 0), STORE_OK);
    struct store_transition t = move_to(f->store, a, STATE_NEEDS_PERSON);
    t.freeze = true;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_true(guards(f, "q", BUCKET("x")).frozen);
    assert_int_equal(guards(f, "p", BUCKET("x")).at_once, 0);
    assert_int_equal(intend(f, b, 0, 0), STORE_LOCKED);
    t.version++;
    t.freeze = false;
    assert_int_equal(go(f->store, &t), STORE_CONFLICT); // a worker may not
    t.epoch = 0;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_false(guards(f, "q", BUCKET("x")).frozen);
    assert_int_equal(intend(f, b, 0, 0), STORE_OK);
}

static void test_store__at_once_counts_locked_rows_of_the_policy(void **state)
{
    struct fixture *f = *state;
    struct store_claim a = begin(f, "p", BUCKET("a")), b = begin(f, "p", BUCKET("b")),
                       c = begin(f, "p", BUCKET("c")), other = begin(f, "q", BUCKET("d"));
    assert_int_equal(intend(f, a, 2, 0), STORE_OK);
    assert_int_equal(intend(f, b, 2, 0), STORE_OK);
    assert_int_equal(intend(f, c, 2, 0), STORE_LIMITED);
    assert_int_equal(intend(f, other, 2, 0), STORE_OK);
    assert_int_equal(guards(f, "p", BUCKET("z")).at_once, 2);
    must_go(f->store, a, STATE_CALLING);
    assert_int_equal(intend(f, a, 2, 0), STORE_OK); // its own permit is there already
    assert_int_equal(intend(f, c, 2, 0), STORE_LIMITED);
    must_go(f->store, a, STATE_READING);
    assert_int_equal(guards(f, "p", BUCKET("z")).at_once, 1);
    assert_int_equal(intend(f, a, 2, 0), STORE_OK);
    must_go(f->store, a, STATE_HEALED);
    assert_int_equal(guards(f, "p", BUCKET("z")).at_once, 1);
    assert_int_equal(intend(f, c, 2, 0), STORE_OK);
}

static void test_store__per_hour_counts_what_began(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {BUCKET("a"), BUCKET("b"), BUCKET("c"), BUCKET("d")};
    for (int i = 0; i < 2; i++) {
        struct store_claim claim = begin(f, "p", names[i]);
        assert_int_equal(intend(f, claim, 0, 2), STORE_OK);
        must_go(f->store, claim, STATE_HEALED);
        f->time.now += 10 * MINUTE;
    }
    assert_int_equal(guards(f, "p", BUCKET("z")).per_hour, 2);
    assert_int_equal(intend(f, begin(f, "p", names[2]), 0, 2), STORE_LIMITED);
    f->time.now = T0 + HOUR + MINUTE; // the first is more than an hour ago, to the minute
    assert_int_equal(guards(f, "p", BUCKET("z")).per_hour, 1);
    assert_int_equal(intend(f, begin(f, "p", names[3]), 0, 2), STORE_OK);
}

static void test_store__bad_in_a_row_on_distinct_resources(void **state)
{
    struct fixture *f = *state;
    end_one(f, "p", BUCKET("a"), STATE_HEALED, false);
    for (int i = 0; i < 5; i++)
        end_one(f, "p", BUCKET("a"), STATE_NEEDS_PERSON, true);
    struct store_breaker b = guards(f, "p", BUCKET("a")).breaker;
    assert_int_equal(b.in_a_row, 1);
    assert_int_equal(b.bad, 5);
    assert_int_equal(b.total, 6);
    end_one(f, "p", BUCKET("b"), STATE_NEEDS_PERSON, true);
    end_one(f, "q", BUCKET("b"), STATE_HEALED, false);
    assert_int_equal(guards(f, "p", BUCKET("a")).breaker.in_a_row, 2);
    end_one(f, "p", BUCKET("c"), STATE_HEALED, false);
    assert_int_equal(guards(f, "p", BUCKET("a")).breaker.in_a_row, 0);
}

static void test_store__results_by_number_and_window(void **state)
{
    struct fixture *f = *state;
    struct store_guards g;
    for (int i = 0; i < 10; i++)
        end_one(f, "p", BUCKET("a"), STATE_HEALED, i < 6);
    struct store_guard_query query = {STR("p"), STR(BUCKET("a")), 5, HOUR};
    assert_int_equal(store_guards(f->store, &query, &g, &f->err), STORE_OK);
    assert_int_equal(g.breaker.total, 5);
    assert_int_equal(g.breaker.bad, 1);
    f->time.now += HOUR + 1;
    assert_int_equal(store_guards(f->store, &query, &g, &f->err), STORE_OK);
    assert_int_equal(g.breaker.total, 0);
}

static void test_store__breaker_doubles_up_to_an_hour(void **state)
{
    struct fixture *f = *state;
    int64_t expected = MINUTE;
    assert_int_equal(guards(f, "p", BUCKET("a")).breaker.opened_ms, 0);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(store_breaker_set(f->store, STR("p"), MINUTE, STR("x"), &f->err),
                         STORE_OK);
        assert_int_equal(store_breaker_set(f->store, STR("p"), MINUTE, STR("x"), &f->err),
                         STORE_OK);
        struct store_breaker b = guards(f, "p", BUCKET("a")).breaker;
        assert_int_equal(b.opened_ms, f->time.now);
        assert_int_equal(b.open_for_ms, expected);
        f->time.now += expected + 1;
        expected = expected * 2 > HOUR ? HOUR : expected * 2;
    }
    f->time.now += HOUR;
    assert_int_equal(store_breaker_set(f->store, STR("p"), MINUTE, STR("x"), &f->err), STORE_OK);
    assert_int_equal(guards(f, "p", BUCKET("a")).breaker.open_for_ms, MINUTE);
    assert_int_equal(log_size(f->store), 10); // a trip that was seen twice is one
}

static void test_store__closing_forgets_older_results(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++)
        end_one(f, "p", i % 2 ? BUCKET("a") : BUCKET("b"), STATE_NEEDS_PERSON, true);
    assert_int_equal(store_breaker_set(f->store, STR("p"), MINUTE, STR("x"), &f->err), STORE_OK);
    assert_int_equal(store_breaker_set(f->store, STR("p"), 0, STR("ann"), &f->err), STORE_OK);
    struct store_breaker b = guards(f, "p", BUCKET("a")).breaker;
    assert_int_equal(b.opened_ms, 0);
    assert_int_equal(b.total, 0);
    assert_int_equal(b.in_a_row, 0);
    end_one(f, "p", BUCKET("c"), STATE_NEEDS_PERSON, true);
    assert_int_equal(guards(f, "p", BUCKET("a")).breaker.in_a_row, 1);
}

static void test_store__healed_before_is_remembered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(guards(f, "p", BUCKET("a")).last_healed_ms, 0);
    end_one(f, "p", BUCKET("a"), STATE_HEALED, false);
    end_one(f, "p", BUCKET("b"), STATE_HEALED, false);
    end_one(f, "p", BUCKET("a"), STATE_ROLLED_BACK, false);
    f->time.now += 5;
    end_one(f, "p", BUCKET("a"), STATE_HEALED, false);
    struct store_guards g = guards(f, "p", BUCKET("a"));
    assert_int_equal(g.reversals, 2);
    assert_int_equal(g.last_healed_ms, T0 + 5);
    f->time.now += INT64_C(24) * HOUR;
    g = guards(f, "p", BUCKET("a"));
    assert_int_equal(g.reversals, 0);
    assert_int_equal(g.last_healed_ms, T0 + 5);
}

/* ---- approvals ---- */

static struct store_claim ask(struct fixture *f, const char *hash)
{
    struct store_claim claim = begin(f, "p", BUCKET("a"));
    struct store_transition t = move_to(f->store, claim, STATE_ASKING);
    t.ask_hash = str_from(hash);
    t.ask_expires_ms = T0 + HOUR;
    t.due_ms = T0 + HOUR;
    t.keep_lease = false;
    assert_int_equal(go(f->store, &t), STORE_OK);
    return claim;
}

static enum store_result vote(struct fixture *f, int64_t id, const char *hash, bool yes)
{
    return store_vote(f->store, id, str_from(hash), yes, STR("ann"), STR("fine"), &f->err);
}

static enum store_result consume(struct fixture *f, struct store_claim claim, const char *hash)
{
    struct store_transition t = move_to(f->store, claim, STATE_INTENT);
    t.approval_hash = str_from(hash);
    return go(f->store, &t);
}

static void test_store__first_vote_wins_and_is_used_once(void **state)
{
    struct fixture *f = *state;
    struct store_approval approval;
    struct store_claim claim = ask(f, "abc");
    assert_int_equal(vote(f, claim.id + 1, "abc", true), STORE_ABSENT);
    assert_int_equal(vote(f, claim.id, "abd", true), STORE_VOID);
    assert_int_equal(vote(f, claim.id, "abc", true), STORE_OK);
    assert_int_equal(vote(f, claim.id, "abc", false), STORE_CONFLICT);
    assert_int_equal(store_approval(f->store, claim.id, &f->arena, &approval, &f->err), STORE_OK);
    assert_true(approval.decided && approval.yes);
    assert_true(str_is(approval.by, "ann") && str_is(approval.reason, "fine"));
    assert_int_equal(approval.expires_ms, T0 + HOUR);
    struct remediation r = get(f->store, claim.id, &f->arena);
    assert_int_equal(r.state, STATE_ASKING);
    assert_int_equal(r.due_ms, T0);
    claim = claim_one(f->store);
    assert_int_equal(consume(f, claim, "abd"), STORE_VOID);
    assert_int_equal(consume(f, claim, "abc"), STORE_OK);
    must_go(f->store, claim, STATE_READING);
    assert_int_equal(consume(f, claim, "abc"), STORE_VOID);
}

static void test_store__no_is_no_approval(void **state)
{
    struct fixture *f = *state;
    struct store_claim claim = ask(f, "abc");
    struct store_approval approval;
    assert_int_equal(store_approval(f->store, 77, &f->arena, &approval, &f->err), STORE_ABSENT);
    assert_int_equal(vote(f, claim.id, "abc", false), STORE_OK);
    claim = claim_one(f->store);
    assert_int_equal(consume(f, claim, "abc"), STORE_VOID);
    must_go(f->store, claim, STATE_DENIED);
}

static void test_store__expired_stays_expired_when_the_clock_goes_back(void **state)
{
    struct fixture *f = *state;
    struct store_claim claim = ask(f, "abc");
    assert_int_equal(vote(f, claim.id, "abc", true), STORE_OK);
    claim = claim_one(f->store);
    f->time.now = T0 + HOUR;
    assert_int_equal(consume(f, claim, "abc"), STORE_VOID);
    f->time.now = T0 + MINUTE;
    assert_int_equal(consume(f, claim, "abc"), STORE_VOID);
    must_go(f->store, claim, STATE_EXPIRED);
    struct store_claim late = ask(f, "def");
    assert_int_equal(vote(f, late.id, "def", true), STORE_VOID); // its expiry was reached before
}

static void test_store__vote_while_leased_is_not_slept_over(void **state)
{
    struct fixture *f = *state;
    struct store_claim claim = ask(f, "abc");
    f->time.now = T0 + 1;
    struct store_transition poke = move_to(f->store, claim, STATE_ASKING);
    poke.epoch = 0;
    poke.due_ms = T0 + 1;
    assert_int_equal(go(f->store, &poke), STORE_OK);
    claim = claim_one(f->store);
    assert_int_equal(vote(f, claim.id, "abc", true), STORE_OK);
    struct store_transition t = move_to(f->store, claim, STATE_ASKING); // had not seen it
    t.ask_hash = STR("abc");
    t.ask_expires_ms = T0 + HOUR;
    t.due_ms = T0 + HOUR;
    t.keep_lease = false;
    assert_int_equal(go(f->store, &t), STORE_OK);
    claim = claim_one(f->store);
    assert_int_equal(consume(f, claim, "abc"), STORE_OK);
}

static void test_store__other_plan_asks_anew(void **state)
{
    struct fixture *f = *state;
    struct store_claim claim = ask(f, "abc");
    assert_int_equal(vote(f, claim.id, "abc", true), STORE_OK);
    claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_ASKING);
    t.ask_hash = STR("def");
    t.ask_expires_ms = T0 + HOUR;
    t.due_ms = T0 + HOUR;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_int_equal(vote(f, claim.id, "abc", true), STORE_VOID);
    assert_int_equal(consume(f, claim, "def"), STORE_VOID);
    assert_int_equal(vote(f, claim.id, "def", true), STORE_OK);
    assert_int_equal(consume(f, claim, "def"), STORE_OK);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_store__one_executing_remediation_a_resource),
        EACH(test_store__frozen_lock_stays_until_a_person_clears_it),
        EACH(test_store__at_once_counts_locked_rows_of_the_policy),
        EACH(test_store__per_hour_counts_what_began),
        EACH(test_store__bad_in_a_row_on_distinct_resources),
        EACH(test_store__results_by_number_and_window),
        EACH(test_store__breaker_doubles_up_to_an_hour),
        EACH(test_store__closing_forgets_older_results),
        EACH(test_store__healed_before_is_remembered),
        EACH(test_store__first_vote_wins_and_is_used_once),
        EACH(test_store__no_is_no_approval),
        EACH(test_store__expired_stays_expired_when_the_clock_goes_back),
        EACH(test_store__vote_while_leased_is_not_slept_over),
        EACH(test_store__other_plan_asks_anew),
    };
    int unable = backend_prepare();
    return unable ? unable : cmocka_run_group_tests(tests, NULL, NULL);
}
