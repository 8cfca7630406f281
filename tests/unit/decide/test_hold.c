// SPDX-License-Identifier: Apache-2.0
/* Guards of time and people: whose tags count, windows and their clock changes, freeze, rest,
 * grace, readiness, fights, and what infrastructure as code owns. */
#include "decide_fixture.h"

#include <stdio.h>

#include "../cmocka_all.h"

#define TAGS "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"x\"}]}"
#define HOUR INT64_C(3600000)
#define ENFORCE "mode: enforce"

static struct decide_decision decide(struct scene *s, const struct decide_guards *guards)
{
    struct decide_decision d;
    struct value plan;
    if (!decide_plan(&s->subject, &s->finding, clock_system(), &s->arena, &plan, &s->err))
        fail_msg("%s", s->err.message);
    decide_guard(&s->subject, &s->finding, plan, guards, &s->arena, &d, NULL);
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
                 d->reason ? d->reason : "", decide_action_name(action), what ? what : "");
}

static void start(struct scene *s, const char *guard)
{
    char text[500];
    snprintf(text, sizeof text, ENFORCE ", %s", guard);
    scene_start(s, ENFORCE, text);
    scene_read(s, TAGS);
}

/* ---- whose tags ---- */

static void test_hold__an_exemption_by_tag_counts_only_when_a_listed_one_set_it(void **state)
{
    (void)state;
    static const struct {
        const char *by;
        enum decide_action action;
    } cases[] = {
        {"", DECIDE_ACT}, // nobody knows
        {"arn:aws:iam::111122223333:user/mallory", DECIDE_ACT},
        {"arn:aws:iam::111122223333:user/ann", DECIDE_SKIP},
        {"arn:aws:sts::111122223333:assumed-role/netsec/session", DECIDE_SKIP},
        {"arn:aws:sts::111122223333:assumed-role/other/netsec", DECIDE_ACT},
        {"arn:aws:sts::999999999999:assumed-role/netsec/session", DECIDE_ACT},
    };
    struct scene s;
    scene_start(&s, ENFORCE,
                ENFORCE
                ", exempt: [{when: \"tagging.TagSet.exists(t, t.Key == 'team')\", owner: o, "
                "reason: r, until: 2027-01-01, by: ['arn:aws:iam::*:user/ann', "
                "'arn:aws:iam::111122223333:role/netsec']}]");
    scene_read(&s, TAGS);
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_ACT, "does not count");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str by = str_from(cases[i].by);
        s.subject.tagged_by = &by;
        d = decide(&s, &(struct decide_guards){0});
        if (d.action != cases[i].action)
            fail_msg("%s: %s", cases[i].by, decide_action_name(d.action));
    }
    scene_finish(&s);
}

static void test_hold__without_by_a_tag_never_exempts(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, ENFORCE,
                ENFORCE
                ", exempt: [{when: \"tagging.TagSet.exists(t, t.Key == 'team')\", owner: o, "
                "reason: r, until: 2027-01-01}]");
    scene_read(&s, TAGS);
    struct str by = STR("arn:aws:iam::111122223333:root");
    s.subject.tagged_by = &by;
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_ACT, "does not count");
    scene_finish(&s);
}

static void test_hold__what_rests_on_no_tag_needs_nobody(void **state)
{
    (void)state;
    struct scene s;
    start(&s,
          "exempt: [{when: \"resource.id == 'logs'\", owner: o, reason: r, until: 2027-01-01}]");
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_SKIP, "exempt by o: r");
    scene_finish(&s);
}

/* Whoever makes a resource chooses its name; who is named in full was chosen by the policy. */
static void test_hold__an_exemption_by_name_counts_only_for_what_a_listed_one_made(void **state)
{
    (void)state;
    static const struct {
        const char *when;
        bool rests; // on the name
    } cases[] = {
        {"resource.id == 'logs'", false},
        {"'logs' == resource.id", false},
        {"resource.id in ['a', 'logs']", false},
        {"resource.id == 'logs' && resource.region == 'eu-west-1' || resource.id == 'logs'", false},
        {"resource.account == '111122223333'", false},
        {"resource.id.startsWith('lo')", true},
        {"resource.id != 'a'", true},
        {"!(resource.id == 'a')", true},
        {"resource.id == 'a' ? false : true", true},
        {"(resource.id == 'a') == false", true},
        {"resource.id == resource.id", true},
        {"resource.id in [resource.id]", true},
        {"resource['id'].endsWith('gs')", true},
        {"['a', 'b'].all(x, resource.id != x)", true},
        {"resource.id == 'logs' || resource.id.contains('og')", true},
        {"resource == resource", true},
        {"size(string(resource.id)) == 4", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s;
        char text[400];
        snprintf(text, sizeof text,
                 "exempt: [{when: \"%s\", owner: o, reason: r, until: 2027-01-01, "
                 "by: ['arn:aws:iam::*:user/ann']}]",
                 cases[i].when);
        start(&s, text);
        struct decide_decision d = decide(&s, &(struct decide_guards){0});
        s.subject.made_by = STR("arn:aws:iam::111122223333:user/mallory");
        struct decide_decision mallory = decide(&s, &(struct decide_guards){0});
        s.subject.made_by = STR("arn:aws:iam::111122223333:user/ann");
        struct decide_decision ann = decide(&s, &(struct decide_guards){0});
        enum decide_action else_action = cases[i].rests ? DECIDE_ACT : DECIDE_SKIP;
        if (d.action != else_action || mallory.action != else_action ||
            (ann.action != DECIDE_SKIP && i < 5))
            fail_msg("%s: %s, %s, %s", cases[i].when, decide_action_name(d.action),
                     decide_action_name(mallory.action), decide_action_name(ann.action));
        scene_finish(&s);
    }
}

/* The print changes with what is read, and with nothing else. */
static void test_hold__the_print_of_an_exemption_is_what_it_reads(void **state)
{
    (void)state;
    struct scene s;
    char one[65], same[65], other[65];
    scene_start(&s, ENFORCE,
                ENFORCE
                ", exempt: [{when: \"tagging.TagSet.exists(t, t.Key == 'team')\", owner: o, "
                "reason: r, until: 2027-01-01}]");
    scene_read(&s, TAGS);
    assert_true(decide_exemption_print(&s.subject, &s.finding, 0, &s.arena, one));
    s.subject.now_ms += 1000;
    scene_read(&s, TAGS);
    assert_true(decide_exemption_print(&s.subject, &s.finding, 0, &s.arena, same));
    assert_string_equal(one, same);
    scene_read(&s, "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"y\"}]}");
    assert_true(decide_exemption_print(&s.subject, &s.finding, 0, &s.arena, other));
    assert_string_not_equal(one, other);
    scene_finish(&s);
}

/* ---- windows ---- */

static void test_hold__windows_follow_the_clock_on_the_wall(void **state)
{
    (void)state;
    static const struct {
        const char *window, *at;
        bool open;
    } cases[] = {
        {"{from: '09:00', to: '17:00'}", "2026-01-05T08:59:59Z", false}, // UTC, a Monday
        {"{from: '09:00', to: '17:00'}", "2026-01-05T09:00:00Z", true},
        {"{from: '09:00', to: '17:00'}", "2026-01-05T16:59:59Z", true},
        {"{from: '09:00', to: '17:00'}", "2026-01-05T17:00:00Z", false},
        {"{days: tue-fri, from: '09:00', to: '17:00'}", "2026-01-05T12:00:00Z", false},
        {"{days: mon, from: '09:00', to: '17:00'}", "2026-01-05T12:00:00Z", true},
        {"{days: [sat-mon], from: '09:00', to: '17:00'}", "2026-01-04T12:00:00Z", true},
        {"{days: mon, from: '22:00', to: '06:00'}", "2026-01-05T23:00:00Z", true},
        {"{days: mon, from: '22:00', to: '06:00'}", "2026-01-06T05:59:59Z", true}, // began Monday
        {"{days: mon, from: '22:00', to: '06:00'}", "2026-01-06T06:00:00Z", false},
        {"{days: mon, from: '22:00', to: '06:00'}", "2026-01-05T05:00:00Z", false}, // Sunday's
        {"{days: mon, from: '00:00', to: '24:00'}", "2026-01-05T23:59:59Z", true},
        {"{days: mon, from: '00:00', to: '24:00'}", "2026-01-06T00:00:00Z", false},
        {"{from: '09:00', to: '10:00', zone: '+02:00'}", "2026-01-05T07:00:00Z", true},
        /* Berlin is an hour ahead in winter, two in summer. */
        {"{from: '09:00', to: '10:00', zone: Europe/Berlin}", "2026-01-05T08:00:00Z", true},
        {"{from: '09:00', to: '10:00', zone: Europe/Berlin}", "2026-07-06T08:00:00Z", false},
        {"{from: '09:00', to: '10:00', zone: Europe/Berlin}", "2026-07-06T07:00:00Z", true},
        /* On 29 March 2026 two o'clock becomes three: 02:30 is never, the window opens at three. */
        {"{from: '02:30', to: '04:00', zone: Europe/Berlin}", "2026-03-29T00:59:59Z", false},
        {"{from: '02:30', to: '04:00', zone: Europe/Berlin}", "2026-03-29T01:00:00Z", true},
        {"{from: '02:30', to: '04:00', zone: Europe/Berlin}", "2026-03-29T02:00:00Z", false},
        /* On 25 October 2026 three becomes two: half past two is twice, and both are within. */
        {"{from: '02:00', to: '03:00', zone: Europe/Berlin}", "2026-10-25T00:30:00Z", true},
        {"{from: '02:00', to: '03:00', zone: Europe/Berlin}", "2026-10-25T01:30:00Z", true},
        {"{from: '02:00', to: '03:00', zone: Europe/Berlin}", "2026-10-25T02:00:00Z", false},
        {"{from: '09:00', to: '10:00'}, {from: '12:00', to: '13:00'}", "2026-01-05T12:30:00Z",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s = {0};
        char guard[300];
        snprintf(guard, sizeof guard, ENFORCE ", window: [%s]", cases[i].window);
        scene_start(&s, ENFORCE, guard);
        assert_true(clock_parse(str_from(cases[i].at), &s.subject.now_ms));
        scene_read(&s, TAGS);
        struct decide_decision d = decide(&s, &(struct decide_guards){0});
        if ((d.action == DECIDE_ACT) != cases[i].open)
            fail_msg("%s at %s: %s (%s)", cases[i].window, cases[i].at,
                     decide_action_name(d.action), d.reason ? d.reason : "");
        d = decide(&s, &(struct decide_guards){.by_hand = true}); // also what a person asked for
        assert_true((d.action == DECIDE_ACT) == cases[i].open);
        scene_finish(&s);
    }
}

static void test_hold__a_shut_window_says_when_the_next_one_opens(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, ENFORCE,
                ENFORCE ", window: [{days: sat, from: '03:00', to: '04:00', zone: Europe/Berlin}]");
    assert_true(clock_parse(STR("2026-01-05T12:00:00Z"), &s.subject.now_ms));
    scene_read(&s, TAGS);
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_HOLD, "opens at 2026-01-10T02:00:00");
    assert_int_equal(d.hold_ms, HOUR); // looked at again
    assert_true(clock_parse(STR("2026-01-10T01:45:30Z"), &s.subject.now_ms));
    d = decide(&s, &(struct decide_guards){0});
    assert_int_equal(d.hold_ms, 14 * 60000 + 30000);
    scene_finish(&s);
}

static void test_hold__what_is_no_window_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{days: monday, from: '09:00', to: '17:00'}",
                                      "{from: '9:00', to: '17:00'}",
                                      "{from: '09:00', to: '24:01'}",
                                      "{from: '09:00'}",
                                      "{from: '09:60', to: '17:00'}",
                                      "{from: '09:00', to: '17:00', zone: Europe/Nowhere}",
                                      "{from: '09:00', to: '17:00', x: 1}",
                                      "{from: '09:00', to: '17:00', zone: '../../etc/passwd'}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct error_list errors = {.arena = &arena};
        const char *guard = arena_printf(&arena, ENFORCE ", window: [%s]", bad[i]);
        struct policy_set *set =
            fixture_load(fixture_policy(&arena, ENFORCE, guard), NULL, &errors);
        if (set)
            fail_msg("%s is a window", bad[i]);
    }
}

/* ---- freeze, rest, grace, readiness ---- */

static void test_hold__a_freeze_holds_also_what_a_person_asked_for(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "risk: 0");
    struct decide_guards g = {.freeze = "everything is frozen by ann: incident"};
    struct decide_decision d = decide(&s, &g);
    expect(&d, DECIDE_HOLD, "frozen by ann");
    g.by_hand = true;
    d = decide(&s, &g);
    expect(&d, DECIDE_HOLD, "frozen by ann");
    scene_finish(&s);
}

static void test_hold__what_rests_is_skipped_and_says_how_to_go_on(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "risk: 0");
    struct decide_decision d = decide(&s, &(struct decide_guards){.resting = "r7"});
    expect(&d, DECIDE_SKIP, "rectify clear r7");
    d = decide(&s, &(struct decide_guards){.resting = "r7", .by_hand = true});
    expect(&d, DECIDE_ACT, NULL);
    scene_finish(&s);
}

static void test_hold__grace_runs_from_the_first_sight(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "grace: {wait: 7d, notify: owner}");
    int64_t now = s.subject.now_ms, week = 7 * 24 * HOUR;
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_HOLD, "grace");
    assert_int_equal(d.hold_ms, week);
    d = decide(&s, &(struct decide_guards){.grace_since_ms = now - week + 1});
    expect(&d, DECIDE_HOLD, "grace");
    assert_int_equal(d.hold_ms, 1);
    d = decide(&s, &(struct decide_guards){.grace_since_ms = now - week});
    expect(&d, DECIDE_ACT, NULL);
    scene_finish(&s);
}

static void test_hold__what_is_not_ready_waits_and_then_a_person_looks(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, "  violation:",
                "  ready: {when: \"size(tagging.TagSet) > 1\", within: 10m}\n  violation:");
    scene_read(&s, TAGS);
    int64_t now = s.subject.now_ms;
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_HOLD, "not ready");
    assert_int_equal(d.hold_ms, 60000);
    d = decide(&s, &(struct decide_guards){.unready_since_ms = now - 599000});
    assert_int_equal(d.hold_ms, 1000);
    d = decide(&s, &(struct decide_guards){.unready_since_ms = now - 600000});
    expect(&d, DECIDE_STOP, "for 600 s now");
    scene_read(&s,
               "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"x\"},{\"Key\":\"b\",\"Value\":\"x\"}]}");
    d = decide(&s, &(struct decide_guards){.unready_since_ms = now - 600000});
    expect(&d, DECIDE_ACT, NULL);
    scene_finish(&s);
}

/* ---- fights ---- */

static void test_hold__a_harmless_policy_stops_in_a_fight_and_names_both(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "risk: 0");
    struct decide_guards g = {.reversals = 2, .actor = "arn:x:terraform", .role = "rectify-act"};
    struct decide_decision d = decide(&s, &g);
    expect(&d, DECIDE_ACT, NULL);
    assert_null(d.page);
    g.reversals = 3;
    d = decide(&s, &g);
    expect(&d, DECIDE_STOP, "arn:x:terraform");
    assert_true(says(&d, "rectify-act"));
    assert_non_null(d.page);
    scene_finish(&s);
}

/* Through the inputs, since the fixture's repair closes none. */
static void test_hold__a_hole_is_closed_again_at_a_pause_that_grows(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s,
                "        with: {Bucket: \"${resource.id}\"}\nverify: {within: 5m, else: undo}\n",
                "        with: {Bucket: \"${resource.id}\"}\n    closes_hole: true\n");
    scene_read(&s, TAGS);
    static const int64_t pauses[] = {2000, 6000, 18000, 54000, 162000, 300000, 300000};
    for (int i = 0; i < 7; i++) {
        struct decide_guards g = {.reversals = 3 + i, .last_healed_ms = s.subject.now_ms};
        struct decide_decision d = decide(&s, &g);
        expect(&d, DECIDE_HOLD, "undone each time");
        assert_int_equal(d.hold_ms, pauses[i]);
        assert_non_null(d.page);
        g.last_healed_ms = s.subject.now_ms - pauses[i];
        d = decide(&s, &g);
        expect(&d, DECIDE_ACT, "undone each time");
        assert_non_null(d.page);
    }
    scene_finish(&s);
}

/* ---- infrastructure as code ---- */

static void test_hold__what_code_owns_is_told_or_asked_as_the_policy_says(void **state)
{
    (void)state;
    static const char *const owned =
        "{\"TagSet\":[{\"Key\":\"aws:cloudformation:stack-name\",\"Value\":\"web\"}]}";
    static const struct {
        const char *guard;
        enum decide_action action;
    } cases[] = {
        {"iac: act", DECIDE_ACT}, {"iac: ask", DECIDE_ASK}, {"iac: notify", DECIDE_OBSERVE}};
    struct str globs[] = {STR("aws:cloudformation:*"), STR("managed-by=*erraform*")};
    for (size_t i = 0; i < 3; i++) {
        struct scene s;
        start(&s, cases[i].guard);
        s.subject.iac_tags = globs;
        s.subject.iac_tag_count = 2;
        struct decide_decision d = decide(&s, &(struct decide_guards){0});
        expect(&d, DECIDE_ACT, NULL); // owned by nobody
        scene_read(&s, owned);
        d = decide(&s, &(struct decide_guards){0});
        expect(&d, cases[i].action, i ? "aws:cloudformation:stack-name=web" : NULL);
        scene_read(&s, "{\"TagSet\":[{\"Key\":\"managed-by\",\"Value\":\"Terraform 1.9\"}]}");
        d = decide(&s, &(struct decide_guards){0});
        expect(&d, cases[i].action, NULL);
        scene_read(&s, "{\"TagSet\":[{\"Key\":\"managed-by\",\"Value\":\"hand\"}]}");
        d = decide(&s, &(struct decide_guards){0});
        expect(&d, DECIDE_ACT, NULL);
        scene_finish(&s);
    }
}

/* A tag is written by whoever may tag: it keeps no hole open. */
static void test_hold__a_hole_is_closed_whoever_owns_it(void **state)
{
    (void)state;
    struct scene s;
    struct str glob = STR("terraform*");
    scene_start(&s,
                "        with: {Bucket: \"${resource.id}\"}\nverify: {within: 5m, else: undo}\n"
                "guard: {mode: enforce}\n",
                "        with: {Bucket: \"${resource.id}\"}\n    closes_hole: true\n"
                "guard: {mode: enforce, iac: notify}\n");
    s.subject.iac_tags = &glob;
    s.subject.iac_tag_count = 1;
    scene_read(&s, "{\"TagSet\":[{\"Key\":\"terraform\",\"Value\":\"yes\"}]}");
    struct decide_decision d = decide(&s, &(struct decide_guards){0});
    expect(&d, DECIDE_ACT, "closes a hole");
    scene_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold__an_exemption_by_tag_counts_only_when_a_listed_one_set_it),
        cmocka_unit_test(test_hold__without_by_a_tag_never_exempts),
        cmocka_unit_test(test_hold__what_rests_on_no_tag_needs_nobody),
        cmocka_unit_test(test_hold__an_exemption_by_name_counts_only_for_what_a_listed_one_made),
        cmocka_unit_test(test_hold__the_print_of_an_exemption_is_what_it_reads),
        cmocka_unit_test(test_hold__windows_follow_the_clock_on_the_wall),
        cmocka_unit_test(test_hold__a_shut_window_says_when_the_next_one_opens),
        cmocka_unit_test(test_hold__what_is_no_window_is_refused),
        cmocka_unit_test(test_hold__a_freeze_holds_also_what_a_person_asked_for),
        cmocka_unit_test(test_hold__what_rests_is_skipped_and_says_how_to_go_on),
        cmocka_unit_test(test_hold__grace_runs_from_the_first_sight),
        cmocka_unit_test(test_hold__what_is_not_ready_waits_and_then_a_person_looks),
        cmocka_unit_test(test_hold__a_harmless_policy_stops_in_a_fight_and_names_both),
        cmocka_unit_test(test_hold__a_hole_is_closed_again_at_a_pause_that_grows),
        cmocka_unit_test(test_hold__a_hole_is_closed_whoever_owns_it),
        cmocka_unit_test(test_hold__what_code_owns_is_told_or_asked_as_the_policy_says),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
