// SPDX-License-Identifier: Apache-2.0
/* Locks, permits, breakers, history, approvals: what the store hands to the guards, and what it
 * refuses. */
#include "store_help.h"

#define MINUTE 60000
#define HOUR INT64_C(3600000)

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

static enum store_result intend_with(struct fixture *f, struct store_claim claim,
                                     const struct permit *permits, size_t count)
{
    struct store_transition t = move_to(f->store, claim, STATE_INTENT);
    t.lock = true;
    t.permits = permits;
    t.permit_count = count;
    return go(f->store, &t);
}

/* Under its policy's key, and with a limit. */
static enum store_result intend(struct fixture *f, struct store_claim claim, int at_once,
                                int per_hour)
{
    struct remediation r = get(f->store, claim.id, &f->arena);
    struct permit permit = {.key = r.policy,
                            .unit = r.resource,
                            .at_once_max = at_once,
                            .per_hour_max = per_hour,
                            .rule = {3, 50, 20, 24 * HOUR, MINUTE}};
    return intend_with(f, claim, &permit, 1);
}

static struct store_guards guards(struct fixture *f, const char *policy, const char *resource)
{
    struct store_guards g;
    struct permit permit = {.key = str_from(policy), .per_hour_max = -1};
    struct store_guard_query query = {str_from(policy), STR("00ff"), str_from(resource), &permit,
                                      1};
    assert_int_equal(store_guards(f->store, &query, &f->arena, &g, &f->err), STORE_OK);
    return g;
}

static struct breaker_state breaker_of(struct fixture *f, const char *key)
{
    return guards(f, key, BUCKET("z")).meters[0].breaker;
}

/* A whole repair that ends in `to` with this outcome. */
static void end_one(struct fixture *f, const char *policy, const char *resource, enum state to,
                    enum store_outcome outcome)
{
    struct store_claim claim = begin(f, policy, resource);
    assert_int_equal(intend(f, claim, 0, -1), STORE_OK);
    struct store_transition t = move_to(f->store, claim, to);
    t.outcome = outcome;
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
    assert_int_equal(guards(f, "p", BUCKET("x")).meters[0].at_once, 0);
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
    assert_int_equal(guards(f, "p", BUCKET("z")).meters[0].at_once, 2);
    must_go(f->store, a, STATE_CALLING);
    assert_int_equal(intend(f, a, 2, 0), STORE_OK); // its own permit is there already
    assert_int_equal(intend(f, c, 2, 0), STORE_LIMITED);
    must_go(f->store, a, STATE_READING);
    assert_int_equal(guards(f, "p", BUCKET("z")).meters[0].at_once, 1);
    assert_int_equal(intend(f, a, 2, 0), STORE_OK);
    must_go(f->store, a, STATE_HEALED);
    assert_int_equal(guards(f, "p", BUCKET("z")).meters[0].at_once, 1);
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
    assert_int_equal(guards(f, "p", BUCKET("z")).meters[0].per_hour, 2);
    assert_int_equal(intend(f, begin(f, "p", names[2]), 0, 2), STORE_LIMITED);
    f->time.now = T0 + HOUR + MINUTE; // the first is more than an hour ago, to the minute
    assert_int_equal(guards(f, "p", BUCKET("z")).meters[0].per_hour, 1);
    assert_int_equal(intend(f, begin(f, "p", names[3]), 0, 2), STORE_OK);
}

static void test_store__trips_at_bad_units_in_a_row(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        end_one(f, "p", BUCKET("a"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    end_one(f, "p", BUCKET("b"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    end_one(f, "q", BUCKET("c"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0); // two units, however often
    end_one(f, "p", BUCKET("c"), STATE_HEALED, OUTCOME_GOOD);
    end_one(f, "p", BUCKET("d"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    end_one(f, "p", BUCKET("e"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0);
    int64_t leaves = log_size(f->store);
    end_one(f, "p", BUCKET("f"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, T0);
    assert_int_equal(breaker_of(f, "p").open_for_ms, MINUTE);
    assert_int_equal(breaker_of(f, "q").opened_ms, 0);
    assert_int_equal(log_size(f->store), leaves + 4); // event, intent, end, and the breaker
    assert_int_equal(intend(f, begin(f, "p", BUCKET("g")), 0, 0), STORE_LIMITED);
}

static void test_store__trips_at_a_share_of_a_window(void **state)
{
    struct fixture *f = *state;
    struct permit permit = permit_of("k", "");
    permit.rule = (struct breaker_rule){0, 50, 4, HOUR, MINUTE};
    char unit[16];
    for (int i = 0; i < 8; i++) {
        static const bool bad[] = {true, false, true, false, false, false, true, true};
        struct store_claim claim = begin(f, "p", BUCKET("a"));
        snprintf(unit, sizeof unit, "u%d", i);
        permit.unit = str_from(unit);
        assert_int_equal(intend_with(f, claim, &permit, 1), STORE_OK);
        if (i == 3)
            f->time.now += HOUR + 1; // what was before is too old
        struct store_transition t = move_to(f->store, claim, STATE_NEEDS_PERSON);
        t.outcome = bad[i] ? OUTCOME_BAD : OUTCOME_GOOD;
        assert_int_equal(go(f->store, &t), STORE_OK);
        assert_int_equal(breaker_of(f, "k").opened_ms != 0, i == 7);
    }
}

static void test_store__a_refusal_counts_for_the_call_only(void **state)
{
    struct fixture *f = *state;
    struct permit permits[2] = {permit_of("p", ""), permit_of("call 1 eu s3:Put", "")};
    static const char *const names[] = {BUCKET("a"), BUCKET("b"), BUCKET("c")};
    for (int i = 0; i < 3; i++) {
        struct store_claim claim = begin(f, "p", names[i]);
        permits[0].unit = permits[1].unit = str_from(names[i]);
        assert_int_equal(intend_with(f, claim, permits, 2), STORE_OK);
        struct store_transition t = move_to(f->store, claim, STATE_NEEDS_PERSON);
        t.outcome = OUTCOME_REFUSED;
        assert_int_equal(go(f->store, &t), STORE_OK);
    }
    assert_int_equal(breaker_of(f, "p").opened_ms, 0);
    assert_int_equal(breaker_of(f, "call 1 eu s3:Put").opened_ms, T0);
    end_one(f, "p", BUCKET("d"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0); // nor is it a result that later ones join
}

/* Case 32: what could not be taken back opens the breaker of its call at once. */
static void test_store__case_32_a_failed_undo_opens_its_call(void **state)
{
    struct fixture *f = *state;
    struct permit permits[2] = {permit_of("p", "u"), permit_of("call 1 eu s3:Put", "u")};
    struct store_claim claim = begin(f, "p", BUCKET("a"));
    assert_int_equal(intend_with(f, claim, permits, 2), STORE_OK);
    struct store_transition t = move_to(f->store, claim, STATE_NEEDS_PERSON);
    t.outcome = OUTCOME_FROZEN;
    t.freeze = true;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0);
    assert_int_equal(breaker_of(f, "call 1 eu s3:Put").opened_ms, T0);
}

/* Case 28: throttling slows down, and is no failure. */
static void test_store__case_28_throttling_slows_the_call(void **state)
{
    struct fixture *f = *state;
    struct permit permits[2] = {permit_of("p", "u"), permit_of("call 1 eu s3:Put", "u")};
    struct store_claim claim = begin(f, "p", BUCKET("a")), other = begin(f, "p", BUCKET("b"));
    assert_int_equal(intend_with(f, claim, permits, 2), STORE_OK);
    struct store_transition t = move_to(f->store, claim, STATE_UNKNOWN);
    t.throttled_ms = 4000;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_int_equal(intend_with(f, other, permits, 2), STORE_LIMITED);
    assert_int_equal(intend_with(f, other, permits, 1), STORE_OK); // another call is not slowed
    must_go(f->store, other, STATE_READING);
    assert_int_equal(breaker_of(f, "call 1 eu s3:Put").opened_ms, 0);
    f->time.now += 4000;
    assert_int_equal(intend_with(f, other, permits, 2), STORE_OK);
}

static void trip(struct fixture *f)
{
    static const char *const names[] = {BUCKET("x"), BUCKET("y"), BUCKET("z")};
    for (int i = 0; i < 3; i++)
        end_one(f, "p", names[i], STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, f->time.now);
}

static void end_probe(struct fixture *f, struct store_claim claim, enum store_outcome outcome)
{
    struct store_transition t = move_to(f->store, claim, STATE_NEEDS_PERSON);
    t.outcome = outcome;
    assert_int_equal(go(f->store, &t), STORE_OK);
}

/* Case 42: of ten workers that find it half open one probes. */
static void test_store__case_42_one_probe_of_a_half_open_breaker(void **state)
{
    struct fixture *f = *state;
    struct store_claim claims[12];
    char name[80];
    trip(f);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, BUCKET("b%d"), i);
        claims[i] = begin(f, "p", name);
        assert_int_equal(intend(f, claims[i], 0, 0), STORE_LIMITED);
    }
    f->time.now += MINUTE;
    assert_int_equal(intend(f, claims[0], 0, 0), STORE_OK);
    for (int i = 1; i < 12; i++)
        assert_int_equal(intend(f, claims[i], 0, 0), STORE_LIMITED);
    end_probe(f, claims[0], OUTCOME_GOOD);
    for (int i = 1; i < 12; i++) // ten more, and no eleventh
        assert_int_equal(intend(f, claims[i], 0, 0), i <= 10 ? STORE_OK : STORE_LIMITED);
    for (int i = 1; i <= 10; i++)
        end_probe(f, claims[i], i <= 4 ? OUTCOME_BAD : OUTCOME_GOOD);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0); // fewer than half of them were bad
    assert_int_equal(intend(f, claims[11], 0, 0), STORE_OK);
}

static void test_store__a_bad_first_probe_opens_it_for_twice_as_long(void **state)
{
    struct fixture *f = *state;
    trip(f);
    f->time.now += MINUTE;
    struct store_claim claim = begin(f, "p", BUCKET("a"));
    assert_int_equal(intend(f, claim, 0, 0), STORE_OK);
    must_go(f->store, claim, STATE_READING); // contested: it says nothing, another may probe
    struct store_claim next = begin(f, "p", BUCKET("b"));
    assert_int_equal(intend(f, next, 0, 0), STORE_OK);
    assert_int_equal(intend(f, claim, 0, 0), STORE_LIMITED);
    end_probe(f, next, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, f->time.now);
    assert_int_equal(breaker_of(f, "p").open_for_ms, 2 * MINUTE);
}

static void test_store__half_of_the_probes_bad_opens_it_again(void **state)
{
    struct fixture *f = *state;
    char name[80];
    trip(f);
    f->time.now += MINUTE;
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, BUCKET("b%d"), i);
        struct store_claim claim = begin(f, "p", name);
        assert_int_equal(breaker_of(f, "p").opened_ms, T0);
        assert_int_equal(intend(f, claim, 0, 0), STORE_OK);
        end_probe(f, claim, i == 0 ? OUTCOME_GOOD : OUTCOME_BAD);
    }
    assert_int_equal(breaker_of(f, "p").opened_ms, f->time.now);
}

/* Case 41: it flaps, and stays open longer each time, at most an hour; a quiet hour forgets. */
static void test_store__case_41_a_breaker_doubles_up_to_an_hour(void **state)
{
    struct fixture *f = *state;
    int64_t expected = MINUTE;
    for (int i = 0; i < 9; i++) {
        for (int twice = 0; twice < 2; twice++)
            assert_int_equal(store_breaker_set(f->store, STR("p"), MINUTE, STR("x"), &f->err),
                             STORE_OK);
        assert_int_equal(breaker_of(f, "p").opened_ms, f->time.now);
        assert_int_equal(breaker_of(f, "p").open_for_ms, expected);
        f->time.now += expected + 1;
        expected = expected * 2 > HOUR ? HOUR : expected * 2;
    }
    f->time.now += HOUR;
    assert_int_equal(store_breaker_set(f->store, STR("p"), MINUTE, STR("x"), &f->err), STORE_OK);
    assert_int_equal(breaker_of(f, "p").open_for_ms, MINUTE);
    assert_int_equal(log_size(f->store), 10); // a trip that was seen twice is one
}

static void test_store__closing_forgets_older_results(void **state)
{
    struct fixture *f = *state;
    trip(f);
    assert_int_equal(store_breaker_set(f->store, STR("p"), 0, STR("ann"), &f->err), STORE_OK);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0);
    end_one(f, "p", BUCKET("a"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    end_one(f, "p", BUCKET("b"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, 0);
    end_one(f, "p", BUCKET("c"), STATE_NEEDS_PERSON, OUTCOME_BAD);
    assert_int_equal(breaker_of(f, "p").opened_ms, T0);
}

/* All keys or none: what could not be had under one is not kept under another. */
static void test_store__permits_are_all_or_none(void **state)
{
    struct fixture *f = *state;
    struct permit permits[2] = {permit_of("a", "u"), permit_of("b", "u")};
    permits[0].at_once_max = 5;
    permits[1].at_once_max = 1;
    permits[0].per_hour_max = -1;
    struct store_claim first = begin(f, "p", BUCKET("a")), second = begin(f, "p", BUCKET("b"));
    assert_int_equal(intend_with(f, first, permits, 2), STORE_OK);
    assert_int_equal(intend_with(f, second, permits, 2), STORE_LIMITED);
    assert_int_equal(guards(f, "a", BUCKET("z")).meters[0].at_once, 1);
    assert_int_equal(guards(f, "a", BUCKET("z")).meters[0].per_hour, 1);
    must_go(f->store, first, STATE_HEALED);
    assert_int_equal(guards(f, "a", BUCKET("z")).meters[0].at_once, 0);
    assert_int_equal(guards(f, "b", BUCKET("z")).meters[0].at_once, 0);
}

/* One that waits for a permit is due as soon as one comes back. */
static void test_store__a_permit_given_back_wakes_one_that_waits(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {BUCKET("b"), BUCKET("c"), BUCKET("d")};
    struct store_claim first = begin(f, "p", BUCKET("a")), waiting[3];
    assert_int_equal(intend(f, first, 1, 0), STORE_OK);
    for (int i = 0; i < 3; i++) {
        waiting[i] = begin(f, "p", names[i]);
        struct store_transition t = move_to(f->store, waiting[i], STATE_HELD);
        t.step = i == 0 ? 0 : 1; // the first waits for a time, not for a permit
        t.due_ms = T0 + HOUR + i;
        t.keep_lease = false;
        assert_int_equal(go(f->store, &t), STORE_OK);
    }
    must_go(f->store, first, STATE_HEALED);
    assert_int_equal(get(f->store, waiting[0].id, &f->arena).due_ms, T0 + HOUR);
    assert_int_equal(get(f->store, waiting[1].id, &f->arena).due_ms, T0);
    assert_int_equal(get(f->store, waiting[2].id, &f->arena).due_ms, T0 + HOUR + 2);
}

static void test_store__healed_before_is_remembered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(guards(f, "p", BUCKET("a")).last_healed_ms, 0);
    end_one(f, "p", BUCKET("a"), STATE_HEALED, OUTCOME_GOOD);
    end_one(f, "p", BUCKET("b"), STATE_HEALED, OUTCOME_GOOD);
    end_one(f, "p", BUCKET("a"), STATE_ROLLED_BACK, OUTCOME_NONE);
    f->time.now += 5;
    end_one(f, "p", BUCKET("a"), STATE_HEALED, OUTCOME_GOOD);
    struct store_guards g = guards(f, "p", BUCKET("a"));
    assert_int_equal(g.reversals, 2);
    assert_int_equal(g.last_healed_ms, T0 + 5);
    f->time.now += 24 * HOUR;
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
    struct store_ballot ballot = {.id = id,
                                  .plan_hash = str_from(hash),
                                  .yes = yes,
                                  .person = STR("ann"),
                                  .reason = STR("fine")};
    return store_vote(f->store, &ballot, NULL, &f->err);
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
        EACH(test_store__trips_at_bad_units_in_a_row),
        EACH(test_store__trips_at_a_share_of_a_window),
        EACH(test_store__a_refusal_counts_for_the_call_only),
        EACH(test_store__case_32_a_failed_undo_opens_its_call),
        EACH(test_store__case_28_throttling_slows_the_call),
        EACH(test_store__case_42_one_probe_of_a_half_open_breaker),
        EACH(test_store__a_bad_first_probe_opens_it_for_twice_as_long),
        EACH(test_store__half_of_the_probes_bad_opens_it_again),
        EACH(test_store__case_41_a_breaker_doubles_up_to_an_hour),
        EACH(test_store__closing_forgets_older_results),
        EACH(test_store__permits_are_all_or_none),
        EACH(test_store__a_permit_given_back_wakes_one_that_waits),
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
