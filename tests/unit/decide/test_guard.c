// SPDX-License-Identifier: Apache-2.0
/* Each guard by itself, what it says, and that none makes another laxer. */
#include "decide_fixture.h"

#include "base/limits.h"

#include "../cmocka_all.h"

#define OTHER "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"x\"}]}"
#define NOW 1767607200123

/* A plan as decide_plan makes it, of one call. */
static struct value plan_of(struct scene *s, const char *call)
{
    struct value_builder one = {.arena = &s->arena}, list = {.arena = &s->arena};
    value_set(&one, "call", value_cstr(call));
    value_set(&one, "step", value_int(0));
    value_push(&list, value_finish_map(&one));
    return value_finish_list(&list);
}

static struct decide_decision decide(struct scene *s, const char *call,
                                     const struct decide_guards *guards)
{
    static const struct decide_guards calm = {0};
    struct decide_decision d;
    decide_guard(&s->subject, &s->finding, plan_of(s, call), guards ? guards : &calm, &s->arena, &d,
                 NULL);
    return d;
}

static bool says(const struct decide_decision *d, const char *what)
{
    for (size_t i = 0; i < d->reason_count; i++)
        if (strstr(d->reasons[i], what))
            return true;
    return false;
}

static void expect(const struct decide_decision *d, enum decide_action action, const char *what)
{
    if (d->action != action || (what && !says(d, what)))
        fail_msg("%s (%s), wanted %s (%s)", decide_action_name(d->action),
                 d->reason_count ? d->reasons[0] : "", decide_action_name(action),
                 what ? what : "");
}

static void start(struct scene *s, const char *from, const char *to)
{
    scene_start(s, from, to);
    scene_read(s, OTHER);
}

static void test_guard__nothing_in_the_way_acts(void **state)
{
    (void)state;
    struct scene s;
    start(&s, NULL, NULL);
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ACT, NULL);
    assert_int_equal(d.reason_count, 0);
    assert_int_equal(d.score, 20); // additive 5, unknown environment 10, new 5
    scene_finish(&s);
}

static void test_guard__the_mode_is_the_ceiling(void **state)
{
    (void)state;
    struct scene s;
    start(&s, NULL, NULL);
    static const enum decide_action want[] = {[MODE_OFF] = DECIDE_SKIP,
                                              [MODE_OBSERVE] = DECIDE_OBSERVE,
                                              [MODE_APPROVE] = DECIDE_ASK,
                                              [MODE_ENFORCE] = DECIDE_ACT};
    for (int mode = MODE_OFF; mode <= MODE_ENFORCE; mode++) {
        s.assignment.mode = (enum mode)mode;
        struct decide_decision d = decide(&s, "s3:PutBucketTagging", NULL);
        expect(&d, want[mode], NULL);
    }
    scene_finish(&s);
}

static void test_guard__by_hand_needs_no_second_yes_but_passes_every_other_guard(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce", "mode: enforce, ask: 'true', limit: {at_once: 1}");
    struct decide_guards hand = {.by_hand = true};
    struct decide_decision d = decide(&s, "s3:DeleteBucket", &hand);
    expect(&d, DECIDE_ACT, NULL);
    s.assignment.mode = MODE_APPROVE;
    d = decide(&s, "s3:DeleteBucket", &hand);
    expect(&d, DECIDE_ACT, NULL);
    s.assignment.mode = MODE_OBSERVE;
    d = decide(&s, "s3:DeleteBucket", &hand);
    expect(&d, DECIDE_OBSERVE, NULL);
    s.assignment.mode = MODE_ENFORCE;
    struct decide_guards busy = {
        .by_hand = true, .block = PERMIT_AT_ONCE, .block_key = "policy p", .block_ms = 1000};
    d = decide(&s, "s3:PutBucketTagging", &busy);
    expect(&d, DECIDE_HOLD, "at once");
    struct decide_guards frozen = {.by_hand = true, .frozen = true};
    d = decide(&s, "s3:PutBucketTagging", &frozen);
    expect(&d, DECIDE_STOP, "frozen");
    struct decide_guards stopped = {.by_hand = true, .stopped = "the kill switch is on"};
    d = decide(&s, "s3:PutBucketTagging", &stopped);
    expect(&d, DECIDE_HOLD, "kill switch");
    scene_finish(&s);
}

static void test_guard__a_policy_may_ask_by_its_own_condition(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce", "mode: enforce, ask: size(tagging.TagSet) > 0");
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ASK, "the policy asks");
    scene_read(&s, "{\"TagSet\":[]}");
    d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ACT, NULL);
    scene_finish(&s);
    start(&s, "mode: enforce", "mode: enforce, ask: \"tagging.TagSet[3].Key == 'x'\"");
    d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ASK, "cannot be evaluated"); // fails closed
    scene_finish(&s);
}

static void test_guard__an_exemption_skips_until_its_day_is_over(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce",
          "mode: enforce, exempt: [{when: \"tagging.TagSet.exists(t, t.Key == 'team')\", owner: "
          "netsec, "
          "reason: migration, until: 2026-01-05, by: 'arn:aws:iam::1:user/ann'}]");
    const struct str ann = STR("arn:aws:iam::1:user/ann");
    s.subject.tagged_by = &ann;
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_SKIP, "exempt by netsec: migration");
    s.subject.now_ms = 1767657599000; // 2026-01-05T23:59:59Z
    d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_SKIP, NULL);
    s.subject.now_ms = 1767657600000;
    d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ACT, NULL);
    s.subject.now_ms = NOW;
    scene_read(&s, "{\"TagSet\":[]}");
    d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ACT, NULL);
    scene_finish(&s);
}

static void test_guard__an_exemption_that_cannot_be_evaluated_holds(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce",
          "mode: enforce, exempt: [{when: \"tagging.TagSet[9].Key == 'team'\", owner: a, reason: "
          "b, until: 2027-01-01}]");
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_HOLD, "exemption cannot be evaluated");
    assert_true(d.hold_ms > 0);
    scene_finish(&s);
}

static void test_guard__the_kill_switch_holds_and_says_why(void **state)
{
    (void)state;
    struct scene s;
    start(&s, NULL, NULL);
    struct decide_guards g = {.stopped = "the kill switch cannot be read"};
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", &g);
    expect(&d, DECIDE_HOLD, "the kill switch cannot be read");
    scene_finish(&s);
}

static void test_guard__a_locked_resource_holds_and_a_frozen_one_stops(void **state)
{
    (void)state;
    struct scene s;
    start(&s, NULL, NULL);
    struct decide_guards g = {.locked_by = 17};
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", &g);
    expect(&d, DECIDE_HOLD, "r17 is working on the resource");
    g.frozen = true;
    d = decide(&s, "s3:PutBucketTagging", &g);
    expect(&d, DECIDE_STOP, "frozen");
    scene_finish(&s);
}

static void test_guard__a_moving_resource_asks(void **state)
{
    (void)state;
    struct scene s;
    start(&s, NULL, NULL);
    struct decide_guards g = {.changes = (int)LIMIT_STATE_CHANGES};
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", &g);
    expect(&d, DECIDE_ACT, NULL);
    g = (struct decide_guards){.changes = (int)LIMIT_STATE_CHANGES + 1};
    d = decide(&s, "s3:PutBucketTagging", &g);
    expect(&d, DECIDE_ASK, "keeps changing");
    scene_finish(&s);
}

/* A call that is none of the policy's: nothing is known of it. */
static void test_guard__a_call_that_is_not_known_asks_two(void **state)
{
    (void)state;
    struct scene s;
    start(&s, NULL, NULL);
    struct decide_decision d = decide(&s, "s3:DeleteBucket", NULL);
    expect(&d, DECIDE_ASK, "two people decide");
    assert_int_equal(d.people, 2);
    d = decide(&s, "s3:DeleteBucketTagging", NULL); // the step's undo
    expect(&d, DECIDE_ACT, NULL);
    scene_finish(&s);
}

static void test_guard__a_repair_without_an_undo_asks(void **state)
{
    (void)state;
    struct scene s;
    start(&s,
          "    undo:\n      - when: size(current.tagging.TagSet) == 1\n        call: "
          "s3:DeleteBucketTagging\n        with: {Bucket: \"${resource.id}\"}\nverify: {within: "
          "5m, else: undo}\n",
          "    undo: none\n    undo_none: no way back\n");
    struct decide_decision d = decide(&s, "s3:PutBucketTagging", NULL);
    expect(&d, DECIDE_ASK, "no undo");
    scene_finish(&s);
}

/* With every guard closed at once the strictest wins, and each has said its reason. */
static void test_guard__the_strictest_wins_and_every_reason_is_kept(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "mode: enforce",
          "mode: approve, ask: 'true', exempt: [{when: 'true', owner: a, reason: b, until: "
          "2027-01-01}]");
    struct decide_guards g = {.block = PERMIT_OPEN,
                              .block_key = "policy p",
                              .rollout = ROLLOUT_PAUSED,
                              .changed_by = "ann",
                              .changes = 9,
                              .locked_by = 4,
                              .stopped = "the kill switch is on"};
    struct decide_decision d = decide(&s, "s3:DeleteBucket", &g);
    expect(&d, DECIDE_SKIP, "exempt");
    assert_true(says(&d, "mode approve"));
    assert_true(says(&d, "the policy asks"));
    assert_true(says(&d, "breaker"));
    assert_true(says(&d, "paused by ann"));
    assert_true(says(&d, "kill switch"));
    assert_true(says(&d, "r4"));
    assert_true(says(&d, "keeps changing"));
    assert_true(says(&d, "two people"));
    assert_true(d.reason_count <= DECIDE_REASONS_MAX);
    scene_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard__nothing_in_the_way_acts),
        cmocka_unit_test(test_guard__the_mode_is_the_ceiling),
        cmocka_unit_test(test_guard__by_hand_needs_no_second_yes_but_passes_every_other_guard),
        cmocka_unit_test(test_guard__a_policy_may_ask_by_its_own_condition),
        cmocka_unit_test(test_guard__an_exemption_skips_until_its_day_is_over),
        cmocka_unit_test(test_guard__an_exemption_that_cannot_be_evaluated_holds),
        cmocka_unit_test(test_guard__the_kill_switch_holds_and_says_why),
        cmocka_unit_test(test_guard__a_locked_resource_holds_and_a_frozen_one_stops),
        cmocka_unit_test(test_guard__a_moving_resource_asks),
        cmocka_unit_test(test_guard__a_call_that_is_not_known_asks_two),
        cmocka_unit_test(test_guard__a_repair_without_an_undo_asks),
        cmocka_unit_test(test_guard__the_strictest_wins_and_every_reason_is_kept),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
