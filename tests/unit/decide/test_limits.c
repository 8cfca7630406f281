// SPDX-License-Identifier: Apache-2.0
/* The guards that count: the keys of a plan, what blocks, the rollout's cohort, mass. */
#include "decide_fixture.h"

#include "base/limits.h"

#include "../cmocka_all.h"

#define OTHER "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"x\"}]}"
#define NOW INT64_C(1767607200123)
#define DAY INT64_C(86400000)

static struct value plan_of(struct scene *s, const char *const *calls, size_t count)
{
    struct value_builder list = {.arena = &s->arena};
    for (size_t i = 0; i < count; i++) {
        struct value_builder one = {.arena = &s->arena};
        value_set(&one, "call", value_cstr(calls[i]));
        value_push(&list, value_finish_map(&one));
    }
    return value_finish_list(&list);
}

/* Of the policy's own plan, on a policy whose repairs were good so far. */
static struct decide_decision decide(struct scene *s, const struct decide_guards *guards)
{
    struct decide_decision d;
    struct decide_guards g = *guards;
    struct value plan;
    g.past_total = 9;
    if (!decide_plan(&s->subject, &s->finding, clock_system(), &s->arena, &plan, &s->err))
        fail_msg("%s", s->err.message);
    decide_guard(&s->subject, &s->finding, plan, &g, &s->arena, &d, NULL);
    return d;
}

static bool says(const struct decide_decision *d, const char *what)
{
    for (size_t i = 0; i < d->reason_count; i++)
        if (strstr(d->reasons[i], what))
            return true;
    return false;
}

static void start(struct scene *s, const char *guard)
{
    scene_start(s, "mode: enforce", guard);
    scene_read(s, OTHER);
    s->subject.now_ms = NOW;
}

static const struct permit *find(const struct permit *list, size_t count, const char *start)
{
    for (size_t i = 0; i < count; i++)
        if (str_starts(list[i].key, str_from(start)))
            return &list[i];
    fail_msg("no key begins with %s", start);
    return NULL;
}

/* ---- the keys ---- */

static void test_limits__a_plan_is_counted_under_policy_account_fleet_and_calls(void **state)
{
    (void)state;
    struct scene s;
    struct permit list[PERMITS_MAX];
    static const char *const calls[] = {"s3:PutBucketTagging", "s3:PutBucketPolicy",
                                        "s3:PutBucketTagging"};
    start(&s, "mode: enforce, limit: {at_once: 7, per_hour: 9}");
    s.assignment.limits = (struct policy_limits){20, 500, 100, false};
    size_t count = decide_permits(&s.subject, plan_of(&s, calls, 3), false, &s.arena, list);
    assert_int_equal(count, 6);
    assert_int_equal(list[0].at_once_max, 7);
    assert_int_equal(list[0].per_hour_max, 9);
    assert_true(str_eq(list[0].unit, s.subject.resource.account)); // so one account trips no policy
    assert_true(str_eq(list[1].unit, s.subject.resource.id));
    assert_int_equal(list[1].at_once_max, 0); // one account is known: nobody to share with
    assert_int_equal(find(list, count, "account ")->rule.open_ms, 0);
    assert_int_equal(find(list, count, "fleet")->at_once_max, 80); // a fifth is kept
    assert_true(find(list, count, "call ")->rule.open_ms > 0);
    scene_finish(&s);
}

static void test_limits__no_account_takes_more_than_half_of_a_shared_policy(void **state)
{
    (void)state;
    struct scene s;
    struct permit list[PERMITS_MAX];
    static const char *const calls[] = {"s3:PutBucketTagging"};
    start(&s, "mode: enforce, limit: {at_once: 7, per_hour: 9}");
    s.assignment.limits = (struct policy_limits){20, 500, 100, true};
    decide_permits(&s.subject, plan_of(&s, calls, 1), false, &s.arena, list);
    assert_int_equal(list[1].at_once_max, 4);
    assert_int_equal(list[1].per_hour_max, 5);
    scene_finish(&s);
}

static void test_limits__what_matters_most_has_a_reserve(void **state)
{
    (void)state;
    struct scene s;
    struct permit list[PERMITS_MAX];
    static const char *const calls[] = {"s3:PutBucketTagging"};
    scene_start(&s, "severity: low", "severity: high");
    s.assignment.limits = (struct policy_limits){20, 500, 100, false};
    size_t count = decide_permits(&s.subject, plan_of(&s, calls, 1), false, &s.arena, list);
    assert_int_equal(find(list, count, "fleet")->at_once_max, 100);
    assert_int_equal(find(list, count, "account ")->at_once_max, 20);
    scene_finish(&s);
}

static void test_limits__a_plan_of_many_operations_fits(void **state)
{
    (void)state;
    struct scene s;
    struct permit list[PERMITS_MAX];
    static const char *const calls[] = {"s3:A", "s3:B", "s3:C", "s3:D", "s3:E",
                                        "s3:F", "s3:G", "s3:H", "s3:I"};
    start(&s, "mode: enforce");
    size_t count = decide_permits(&s.subject, plan_of(&s, calls, 9), false, &s.arena, list);
    assert_int_equal(count, PERMITS_MAX);
    scene_finish(&s);
}

/* ---- what blocks ---- */

static void test_limits__the_first_blocked_key_holds_and_is_named(void **state)
{
    (void)state;
    struct scene s;
    static const struct {
        struct permit permit;
        struct key_meter meter;
        const char *says;
        int64_t wait_ms;
    } cases[] = {
        {{.at_once_max = 2}, {.at_once = 2}, "at once", 1000},
        {{.per_hour_max = 5}, {.per_hour = 5}, "within an hour", 60000},
        {{.rule = {.open_ms = 1}}, {.breaker = {NOW - 1000, 6000, 0, 0, 0, 0}}, "is open", 5000},
        {{.rule = {.open_ms = 1}},
         {.probes = 1, .breaker = {NOW - 9000, 6000, 0, 0, 0, 0}},
         "half open",
         5000},
        {{.at_once_max = 0}, {.breaker = {.slow_until_ms = NOW + 3000}}, "throttled", 3000},
    };
    start(&s, "mode: enforce");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct permit permits[2] = {{.key = STR("free")}, cases[i].permit};
        struct key_meter meters[2] = {{.at_once = 99}, cases[i].meter};
        struct decide_guards g = {0};
        permits[1].key = STR("policy x");
        decide_block(permits, meters, 2, NOW, &s.arena, &g);
        struct decide_decision d = decide(&s, &g);
        assert_int_equal(d.action, DECIDE_HOLD);
        if (!says(&d, cases[i].says) || !says(&d, "policy x"))
            fail_msg("%s, wanted %s", d.reasons[0], cases[i].says);
        assert_int_equal(d.hold_ms, cases[i].wait_ms);
        assert_int_equal(d.wait, WAIT_PERMIT);
    }
    scene_finish(&s);
}

static void test_limits__just_below_each_bound_acts(void **state)
{
    (void)state;
    struct scene s;
    struct permit permit = {
        .key = STR("p"), .at_once_max = 2, .per_hour_max = 5, .rule = {.open_ms = 1}};
    struct key_meter meter = {
        .at_once = 1, .per_hour = 4, .breaker = {NOW - 6000, 6000, 0, 0, 0, NOW}}; // half open
    struct decide_guards g = {0};
    start(&s, "mode: enforce");
    decide_block(&permit, &meter, 1, NOW, &s.arena, &g);
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    scene_finish(&s);
}

/* ---- rollout ---- */

#define ROLLOUT "mode: enforce, rollout: {steps: [2, 10%, 100%]}"

static struct decide_guards at_stage(int stage)
{
    return (struct decide_guards){.rollout = ROLLOUT_RUNNING, .stage = stage, .place = 150000};
}

static void test_limits__a_paused_policy_holds_everything(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce");
    struct decide_guards g = {
        .rollout = ROLLOUT_PAUSED, .changed_by = "ann", .changed_why = "too eager"};
    struct decide_decision d = decide(&s, &g);
    assert_int_equal(d.action, DECIDE_HOLD);
    assert_true(says(&d, "paused by ann: too eager"));
    assert_int_equal(d.wait, WAIT_ROLLOUT);
    g.by_hand = true; // taking back is not what was paused
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    scene_finish(&s);
}

static void test_limits__seats_go_to_the_first_that_come(void **state)
{
    (void)state;
    struct scene s;
    start(&s, ROLLOUT);
    struct decide_guards g = at_stage(0);
    g.seats = 1;
    struct decide_decision d = decide(&s, &g);
    assert_int_equal(d.action, DECIDE_ACT);
    assert_int_equal(d.stage, 0);
    assert_int_equal(d.seats, 2); // the store counts again
    g.seats = 2;
    d = decide(&s, &g);
    assert_int_equal(d.action, DECIDE_HOLD);
    assert_true(says(&d, "step 1 of 3 (2)"));
    g.member = true;
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    scene_finish(&s);
}

/* Who refused his seat in this stage does not hold it up by trying again. */
static void test_limits__an_account_that_refused_gets_no_other_seat(void **state)
{
    (void)state;
    struct scene s;
    start(&s, ROLLOUT);
    struct decide_guards g = at_stage(0);
    g.refused_here = true;
    assert_int_equal(decide(&s, &g).action, DECIDE_HOLD);
    scene_finish(&s);
}

/* Case 45: growing only adds. */
static void test_limits__case_45_a_larger_stage_keeps_all_of_a_smaller_one(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce, rollout: {steps: [2, 10%, 25%, {accounts: ['123456789012']}, 100%]}");
    for (int place = 0; place < 1000000; place += 9973) {
        bool in = false;
        for (int stage = 0; stage < 5; stage++) {
            struct decide_guards g = at_stage(stage);
            g.place = place;
            g.seats = 2;
            bool now = decide(&s, &g).action == DECIDE_ACT;
            assert_true(now || !in);
            in = now;
        }
        assert_true(in);
    }
    scene_finish(&s);
}

static void test_limits__a_stage_may_name_accounts(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce, rollout: {steps: [{accounts: ['123456789012']}, 100%]}");
    struct decide_guards g = at_stage(0);
    s.assignment.account_step = 1;
    struct decide_decision d = decide(&s, &g);
    assert_int_equal(d.action, DECIDE_ACT);
    assert_int_equal(d.seats, 0);
    s.assignment.account_step = 0;
    assert_int_equal(decide(&s, &g).action, DECIDE_HOLD);
    scene_finish(&s);
}

static void test_limits__no_state_of_a_rollout_is_not_all(void **state)
{
    (void)state;
    struct scene s;
    start(&s, ROLLOUT);
    struct decide_guards g = {0};
    assert_int_equal(decide(&s, &g).action, DECIDE_HOLD);
    g.rollout = ROLLOUT_DONE;
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    scene_finish(&s);
}

/* ---- mass ---- */

/* Case 47: a policy that matches everything stops before it has repaired it. */
static void test_limits__case_47_more_than_a_share_pauses_the_policy(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce");
    struct decide_guards g = {.found_today = 19};
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    g.found_today = 20;
    struct decide_decision d = decide(&s, &g);
    assert_int_equal(d.action, DECIDE_HOLD);
    assert_non_null(d.pause);
    g.population = 1000;
    g.counted_ms = NOW - 2 * DAY;
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT); // 5% of 1,000 are 50
    g.found_today = 50;
    assert_int_equal(decide(&s, &g).action, DECIDE_HOLD);
    g.found_today = 20;
    g.counted_ms--; // too old: it says nothing
    assert_int_equal(decide(&s, &g).action, DECIDE_HOLD);
    g.waived_ms = NOW + 1;
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    scene_finish(&s);
}

static void test_limits__sudden_growth_pauses_the_policy(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce, limit: {share: 100%, growth: 4}");
    struct decide_guards g = {.found_today = 40, .found_past = 10, .found_days = 3};
    struct decide_decision d = decide(&s, &g);
    assert_int_equal(d.action, DECIDE_HOLD);
    assert_true(says(&d, "4 times"));
    g.found_today = 39;
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    g = (struct decide_guards){.found_today = 4000, .found_past = 1, .found_days = 2};
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT); // no past that says anything
    g = (struct decide_guards){.found_today = 19, .found_past = 1, .found_days = 9};
    assert_int_equal(decide(&s, &g).action, DECIDE_ACT);
    scene_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__a_plan_is_counted_under_policy_account_fleet_and_calls),
        cmocka_unit_test(test_limits__no_account_takes_more_than_half_of_a_shared_policy),
        cmocka_unit_test(test_limits__what_matters_most_has_a_reserve),
        cmocka_unit_test(test_limits__a_plan_of_many_operations_fits),
        cmocka_unit_test(test_limits__the_first_blocked_key_holds_and_is_named),
        cmocka_unit_test(test_limits__just_below_each_bound_acts),
        cmocka_unit_test(test_limits__a_paused_policy_holds_everything),
        cmocka_unit_test(test_limits__seats_go_to_the_first_that_come),
        cmocka_unit_test(test_limits__an_account_that_refused_gets_no_other_seat),
        cmocka_unit_test(test_limits__case_45_a_larger_stage_keeps_all_of_a_smaller_one),
        cmocka_unit_test(test_limits__a_stage_may_name_accounts),
        cmocka_unit_test(test_limits__no_state_of_a_rollout_is_not_all),
        cmocka_unit_test(test_limits__case_47_more_than_a_share_pauses_the_policy),
        cmocka_unit_test(test_limits__sudden_growth_pauses_the_policy),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
