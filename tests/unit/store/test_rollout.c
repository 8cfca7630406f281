// SPDX-License-Identifier: Apache-2.0
/* A policy's state: paused, its rollout, who has a seat, what a stage did; and what is counted. */
#include "store_help.h"

#define MINUTE 60000
#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

struct fixture {
    struct test_time time;
    struct store *store;
    struct arena arena;
    struct error err;
    int events;
    unsigned char dice;
};

static void dice_random(void *ctx, void *bytes, size_t size)
{
    struct test_time *time = ctx;
    struct fixture *f = (struct fixture *)(void *)time; // its first member
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(f->dice++ * 37 + 11);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_time_init(&f->time);
    f->time.clock.random = dice_random;
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

static enum store_result set_with(struct fixture *f, enum rollout_do what, const char *hash,
                                  int stage, bool undo)
{
    struct store_rollout_change change = {.what = what,
                                          .policy = STR("p"),
                                          .hash = str_from(hash),
                                          .stage = stage,
                                          .staged = true,
                                          .undo = undo,
                                          .waive_ms = what == ROLLOUT_RESUME ? DAY : 0,
                                          .by = what == ROLLOUT_BEGIN ? STR(STORE_ITSELF)
                                                                      : STR("ann"),
                                          .reason = STR("why")};
    return store_rollout_set(f->store, &change, &f->err);
}

static void set(struct fixture *f, enum rollout_do what, const char *hash, int stage)
{
    assert_int_equal(set_with(f, what, hash, stage, false), STORE_OK);
}

static struct store_guards guards(struct fixture *f, const char *resource)
{
    struct store_guards g;
    struct store_guard_query query = {STR("p"), STR("h1"), str_from(resource), NULL, 0};
    assert_int_equal(store_guards(f->store, &query, &f->arena, &g, &f->err), STORE_OK);
    return g;
}

static struct store_claim begin(struct fixture *f, const char *resource)
{
    char key[32];
    snprintf(key, sizeof key, "e%d", f->events++);
    assert_true(accept_one(f->store, key, "p", resource, f->time.now));
    return claim_one(f->store);
}

static enum store_result intend(struct fixture *f, struct store_claim claim, int stage, int seats)
{
    struct permit permit = permit_of("policy p", "u");
    struct store_transition t = move_to(f->store, claim, STATE_INTENT);
    permit.rule.open_ms = 0; // no breaker
    t.lock = true;
    t.permits = &permit;
    t.permit_count = 1;
    t.cohort = (struct store_cohort){STR("h1"), stage, seats, stage >= 0};
    return go(f->store, &t);
}

static void end(struct fixture *f, struct store_claim claim, enum state to,
                enum store_outcome outcome)
{
    struct store_transition t = move_to(f->store, claim, to);
    t.outcome = outcome;
    assert_int_equal(go(f->store, &t), STORE_OK);
}

/* ---- pausing ---- */

static void test_rollout__a_paused_policy_begins_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_claim claim = begin(f, BUCKET("a"));
    assert_int_equal(guards(f, BUCKET("a")).rollout.state, ROLLOUT_NONE);
    assert_int_equal(set_with(f, ROLLOUT_RESUME, "h1", 0, false), STORE_ABSENT);
    struct store_rollout_change pause = {.what = ROLLOUT_PAUSE,
                                         .policy = STR("p"),
                                         .hash = STR("h1"),
                                         .by = STR("ann"),
                                         .reason = STR("wait")};
    assert_int_equal(store_rollout_set(f->store, &pause, &f->err), STORE_OK);
    struct rollout r = guards(f, BUCKET("a")).rollout;
    assert_int_equal(r.state, ROLLOUT_PAUSED);
    assert_true(str_is(r.by, "ann") && str_is(r.reason, "wait"));
    assert_int_equal(intend(f, claim, -1, 0), STORE_LIMITED);
    set(f, ROLLOUT_RESUME, "h1", 0);
    assert_int_equal(guards(f, BUCKET("a")).rollout.state, ROLLOUT_DONE); // it had no stages
    assert_int_equal(guards(f, BUCKET("a")).rollout.waived_ms, T0 + DAY);
    assert_int_equal(intend(f, claim, -1, 0), STORE_OK);
}

static void test_rollout__a_changed_policy_starts_again_and_a_persons_pause_stays(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h1", 0);
    int place = guards(f, BUCKET("a")).rollout.place;
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    set(f, ROLLOUT_BEGIN, "h1", 0); // it is there
    struct rollout r = guards(f, BUCKET("a")).rollout;
    assert_int_equal(r.stage, 1);
    assert_int_equal(r.place, place);
    set(f, ROLLOUT_BEGIN, "h2", 0);
    r = guards(f, BUCKET("a")).rollout;
    assert_int_equal(r.stage, 0);
    assert_int_equal(r.state, ROLLOUT_RUNNING);
    assert_int_not_equal(r.place, place); // another secret: nobody stays the first by rights
    set(f, ROLLOUT_PAUSE, "h2", 0);
    set(f, ROLLOUT_BEGIN, "h3", 0);
    r = guards(f, BUCKET("a")).rollout;
    assert_int_equal(r.state, ROLLOUT_PAUSED);
    assert_true(str_is(r.by, "ann") && str_is(r.hash, "h3"));
}

static void test_rollout__a_promotion_is_of_the_stage_that_was_seen(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h1", 0);
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    assert_int_equal(set_with(f, ROLLOUT_PROMOTE, "h1", 0, false), STORE_CONFLICT);
    assert_int_equal(guards(f, BUCKET("a")).rollout.stage, 1);
    set(f, ROLLOUT_FINISH, "h1", 1);
    assert_int_equal(guards(f, BUCKET("a")).rollout.state, ROLLOUT_DONE);
    assert_int_equal(set_with(f, ROLLOUT_PROMOTE, "h1", 1, false), STORE_CONFLICT);
}

/* Case 45: a resource's place is its own, whoever asks and however often. */
static void test_rollout__case_45_places_are_stable_and_spread(void **state)
{
    struct fixture *f = *state;
    int below[10] = {0}, first[400];
    char name[80];
    set(f, ROLLOUT_BEGIN, "h1", 0);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 400; i++) {
            snprintf(name, sizeof name, BUCKET("b%d"), round ? 399 - i : i);
            int place = guards(f, name).rollout.place;
            assert_in_range(place, 0, ROLLOUT_SHARE_ALL - 1);
            if (round)
                assert_int_equal(place, first[399 - i]);
            else
                first[i] = place;
            below[place / 100000]++;
        }
    for (int i = 0; i < 10; i++)
        assert_in_range(below[i], 40, 130); // of 80
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    snprintf(name, sizeof name, BUCKET("b%d"), 7);
    assert_int_equal(guards(f, name).rollout.place, first[7]);
}

/* ---- seats ---- */

static void test_rollout__no_more_than_the_seats_begin(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h1", 0);
    struct store_claim a = begin(f, BUCKET("a")), b = begin(f, BUCKET("b")),
                       c = begin(f, BUCKET("c"));
    assert_int_equal(intend(f, a, 0, 2), STORE_OK);
    assert_int_equal(intend(f, b, 0, 2), STORE_OK);
    assert_int_equal(intend(f, c, 0, 2), STORE_LIMITED);
    assert_int_equal(guards(f, BUCKET("c")).rollout.seats, 2);
    assert_false(guards(f, BUCKET("c")).rollout.member);
    end(f, a, STATE_HEALED, OUTCOME_GOOD);
    assert_int_equal(guards(f, BUCKET("c")).rollout.good, 1);
    assert_int_equal(intend(f, c, 0, 2), STORE_LIMITED); // a good end keeps its seat
    assert_true(guards(f, BUCKET("a")).rollout.member);
    assert_int_equal(intend(f, begin(f, BUCKET("a")), 0, 2), STORE_OK);
    must_go(f->store, b, STATE_GONE); // nothing came of it: the seat is free
    assert_int_equal(intend(f, c, 0, 2), STORE_OK);
}

static void test_rollout__who_refuses_gives_his_seat_back_and_is_known(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h1", 0);
    struct store_claim a = begin(f, BUCKET("a")), b = begin(f, BUCKET("b"));
    assert_int_equal(intend(f, a, 0, 1), STORE_OK);
    end(f, a, STATE_NEEDS_PERSON, OUTCOME_REFUSED);
    struct rollout r = guards(f, BUCKET("b")).rollout;
    assert_int_equal(r.state, ROLLOUT_RUNNING);
    assert_int_equal(r.seats, 0);
    assert_true(r.refused_here);
    static const char other[] = "aws/999999999999/eu-west-1/AWS::S3::Bucket/x";
    assert_false(guards(f, other).rollout.refused_here);
    assert_int_equal(intend(f, b, 0, 1), STORE_OK);
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    assert_false(guards(f, BUCKET("b")).rollout.refused_here); // of this stage
}

static void test_rollout__what_was_decided_at_a_stage_that_is_not_reached_waits(void **state)
{
    struct fixture *f = *state;
    struct store_claim a = begin(f, BUCKET("a"));
    assert_int_equal(intend(f, a, 0, 0), STORE_LIMITED); // no rollout at all
    set(f, ROLLOUT_BEGIN, "h1", 0);
    assert_int_equal(intend(f, a, 1, 0), STORE_LIMITED);
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    assert_int_equal(intend(f, a, 1, 0), STORE_OK);
    struct store_claim b = begin(f, BUCKET("b"));
    set(f, ROLLOUT_BEGIN, "h2", 0); // the policy was changed meanwhile
    assert_int_equal(intend(f, b, 0, 0), STORE_LIMITED);
}

/* ---- a stage that fails ---- */

static void test_rollout__one_bad_end_pauses_and_takes_the_stage_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_with(f, ROLLOUT_BEGIN, "h1", 0, true), STORE_OK);
    struct store_claim early = begin(f, BUCKET("early"));
    assert_int_equal(intend(f, early, 0, 5), STORE_OK);
    end(f, early, STATE_HEALED, OUTCOME_GOOD);
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    struct store_claim a = begin(f, BUCKET("a")), b = begin(f, BUCKET("b")),
                       c = begin(f, BUCKET("c"));
    assert_int_equal(intend(f, a, 1, 0), STORE_OK);
    assert_int_equal(intend(f, b, 1, 0), STORE_OK);
    end(f, a, STATE_HEALED, OUTCOME_GOOD);
    int64_t leaves = log_size(f->store);
    end(f, b, STATE_UNCONFIRMED, OUTCOME_BAD);
    struct rollout r = guards(f, BUCKET("c")).rollout;
    assert_int_equal(r.state, ROLLOUT_PAUSED);
    assert_true(str_is(r.by, STORE_ITSELF));
    assert_int_equal(intend(f, c, 1, 0), STORE_LIMITED);
    assert_int_equal(log_size(f->store), leaves + 3); // the end, the pause, one rollback
    must_go(f->store, c, STATE_SKIPPED);
    struct store_claim back = claim_one(f->store);
    struct remediation rollback = get(f->store, back.id, &f->arena);
    assert_int_equal(rollback.kind, REMEDIATION_ROLLBACK);
    assert_true(str_is(rollback.resource, BUCKET("a"))); // not the one of the stage before
    assert_int_equal(value_get(rollback.detail, STR(DETAIL_PARENT))->i, a.id);
    assert_true(value_get(rollback.detail, STR(DETAIL_STAGED))->b);
}

static void test_rollout__without_undo_a_bad_end_only_pauses(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h1", 0);
    struct store_claim a = begin(f, BUCKET("a")), b = begin(f, BUCKET("b"));
    assert_int_equal(intend(f, a, 0, 2), STORE_OK);
    assert_int_equal(intend(f, b, 0, 2), STORE_OK);
    end(f, a, STATE_HEALED, OUTCOME_GOOD);
    end(f, b, STATE_UNCONFIRMED, OUTCOME_BAD);
    struct store_claim claim;
    int64_t next;
    assert_int_equal(guards(f, BUCKET("c")).rollout.state, ROLLOUT_PAUSED);
    assert_int_equal(claim_some(f->store, 1, &claim, &next), 0);
}

static void test_rollout__a_promotion_wakes_what_waits_for_it(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h1", 0);
    struct store_claim a = begin(f, BUCKET("a")), b = begin(f, BUCKET("b"));
    struct store_transition t = move_to(f->store, a, STATE_HELD);
    t.due_ms = T0 + HOUR;
    t.keep_lease = false;
    t.step = 2;
    assert_int_equal(go(f->store, &t), STORE_OK);
    t = move_to(f->store, b, STATE_HELD);
    t.due_ms = T0 + HOUR;
    t.keep_lease = false;
    assert_int_equal(go(f->store, &t), STORE_OK);
    set(f, ROLLOUT_PROMOTE, "h1", 0);
    assert_in_range(get(f->store, a.id, &f->arena).due_ms, T0, T0 + 2000);
    assert_int_equal(get(f->store, b.id, &f->arena).due_ms, T0 + HOUR); // waits for a time
}

static struct store_claim hold(struct fixture *f, const char *resource, int step)
{
    struct store_claim claim = begin(f, resource);
    struct store_transition t = move_to(f->store, claim, STATE_HELD);
    t.due_ms = f->time.now + HOUR;
    t.keep_lease = false;
    t.step = step;
    assert_int_equal(go(f->store, &t), STORE_OK);
    return claim;
}

static bool is_woken(struct fixture *f, struct store_claim claim)
{
    return get(f->store, claim.id, &f->arena).due_ms < f->time.now + HOUR;
}

static void test_rollout__a_promotion_wakes_only_what_it_reaches(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "00ff", 0); // the hash of begin()'s rows
    struct store_claim any = hold(f, BUCKET("a"), 2), second = hold(f, BUCKET("b"), 2 + 1),
                       third = hold(f, BUCKET("c"), 2 + 2);
    set(f, ROLLOUT_PROMOTE, "00ff", 0);
    assert_true(is_woken(f, any));
    assert_true(is_woken(f, second));
    assert_false(is_woken(f, third));
    set(f, ROLLOUT_RESUME, "00ff", 0);
    assert_false(is_woken(f, third));
    set(f, ROLLOUT_PROMOTE, "00ff", 1);
    assert_true(is_woken(f, third));
}

static void test_rollout__what_was_held_before_the_policy_changed_is_woken(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "h2", 0);
    struct store_claim late = hold(f, BUCKET("a"), 2 + 9);
    set(f, ROLLOUT_PROMOTE, "h2", 0);
    assert_true(is_woken(f, late));
}

static void test_rollout__the_end_wakes_all(void **state)
{
    struct fixture *f = *state;
    set(f, ROLLOUT_BEGIN, "00ff", 0);
    struct store_claim late = hold(f, BUCKET("a"), 2 + 9);
    set(f, ROLLOUT_FINISH, "00ff", 0);
    assert_true(is_woken(f, late));
}

/* ---- what exists, what was found ---- */

static void test_rollout__counts_of_all_places_add_up(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(guards(f, BUCKET("a")).population, 0);
    assert_int_equal(store_counted(f->store, STR("p"), STR("1 eu"), 30, &f->err), STORE_OK);
    f->time.now += HOUR;
    assert_int_equal(store_counted(f->store, STR("p"), STR("1 us"), 12, &f->err), STORE_OK);
    assert_int_equal(store_counted(f->store, STR("q"), STR("1 us"), 99, &f->err), STORE_OK);
    assert_int_equal(guards(f, BUCKET("a")).population, 42);
    assert_int_equal(guards(f, BUCKET("a")).counted_ms, T0);
    assert_int_equal(store_counted(f->store, STR("p"), STR("1 eu"), 31, &f->err), STORE_OK);
    assert_int_equal(guards(f, BUCKET("a")).population, 43);
    assert_int_equal(guards(f, BUCKET("a")).counted_ms, T0 + HOUR);
}

static void find(struct fixture *f, int count)
{
    char name[80];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, BUCKET("f%d"), f->events);
        struct store_claim claim = begin(f, name);
        struct store_transition t = move_to(f->store, claim, STATE_OBSERVED);
        t.found = true;
        assert_int_equal(go(f->store, &t), STORE_OK);
    }
}

static void test_rollout__violations_are_counted_by_day(void **state)
{
    struct fixture *f = *state;
    f->time.now = T0 / DAY * DAY + HOUR;
    find(f, 2);
    f->time.now += DAY;
    find(f, 5);
    f->time.now += DAY;
    find(f, 1);
    struct store_guards g = guards(f, BUCKET("a"));
    assert_int_equal(g.found_today, 1);
    assert_int_equal(g.found_past, 5);
    assert_int_equal(g.found_days, 2);
    f->time.now += 14 * DAY;
    g = guards(f, BUCKET("a"));
    assert_int_equal(g.found_today, 0);
    assert_int_equal(g.found_past, 1); // the others are older than 14 days
    assert_int_equal(g.found_days, 1);
}

static void test_rollout__all_policies_that_have_a_state_are_listed(void **state)
{
    struct fixture *f = *state;
    struct store_policy *list;
    size_t count;
    assert_int_equal(store_policies(f->store, &f->arena, &list, &count, &f->err), STORE_OK);
    assert_int_equal(count, 0);
    set(f, ROLLOUT_BEGIN, "h1", 0);
    struct store_rollout_change other = {
        .what = ROLLOUT_PAUSE, .policy = STR("a"), .by = STR("ann"), .reason = STR("x")};
    assert_int_equal(store_rollout_set(f->store, &other, &f->err), STORE_OK);
    assert_int_equal(store_policies(f->store, &f->arena, &list, &count, &f->err), STORE_OK);
    assert_int_equal(count, 2);
    assert_true(str_is(list[0].policy, "a") && str_is(list[1].policy, "p"));
    assert_int_equal(list[0].rollout.state, ROLLOUT_PAUSED);
    assert_int_equal(list[1].rollout.state, ROLLOUT_RUNNING);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_rollout__a_paused_policy_begins_nothing),
        EACH(test_rollout__a_changed_policy_starts_again_and_a_persons_pause_stays),
        EACH(test_rollout__a_promotion_is_of_the_stage_that_was_seen),
        EACH(test_rollout__case_45_places_are_stable_and_spread),
        EACH(test_rollout__no_more_than_the_seats_begin),
        EACH(test_rollout__who_refuses_gives_his_seat_back_and_is_known),
        EACH(test_rollout__what_was_decided_at_a_stage_that_is_not_reached_waits),
        EACH(test_rollout__one_bad_end_pauses_and_takes_the_stage_back),
        EACH(test_rollout__without_undo_a_bad_end_only_pauses),
        EACH(test_rollout__a_promotion_wakes_what_waits_for_it),
        EACH(test_rollout__a_promotion_wakes_only_what_it_reaches),
        EACH(test_rollout__what_was_held_before_the_policy_changed_is_woken),
        EACH(test_rollout__the_end_wakes_all),
        EACH(test_rollout__counts_of_all_places_add_up),
        EACH(test_rollout__violations_are_counted_by_day),
        EACH(test_rollout__all_policies_that_have_a_state_are_listed),
    };
    int unable = backend_prepare();
    return unable ? unable : cmocka_run_group_tests(tests, NULL, NULL);
}
