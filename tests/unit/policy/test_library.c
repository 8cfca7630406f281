// SPDX-License-Identifier: Apache-2.0
/* The policies that come with the program compile, and are as safe as they say. */
#include "fixture.h"
#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"

static const char everything[] =
    "assignments: [{policies: \"*\", accounts: \"*\", mode: enforce}]\n";

static void test_library__compiles_with_three_policies(void **state)
{
    (void)state;
    struct policy_set *set = fixture_library(everything);
    assert_int_equal(policy_set_count(set), 3);
    assert_non_null(policy_set_find(set, STR("s3-cost-center-tag")));
    assert_non_null(policy_set_find(set, STR("ec2-no-world-open-admin-ports")));
    assert_non_null(policy_set_find(set, STR("kms-key-rotation")));
    policy_set_destroy(set);
}

static void test_library__closing_a_hole_asks_and_is_never_undone_by_itself(void **state)
{
    (void)state;
    struct policy_set *set = fixture_library(everything);
    const struct policy *p = policy_set_find(set, STR("ec2-no-world-open-admin-ports"));
    assert_non_null(p->ask);
    assert_false(p->verify_else_undo);
    assert_int_equal(p->step_count, 2);
    assert_false(p->steps[0].closes_hole);
    assert_true(p->steps[1].closes_hole);
    assert_int_equal(p->steps[1].undo_count, 1);
    assert_false(p->global);
    policy_set_destroy(set);
}

/* Every block of docs/policy.md that is a whole policy, or a whole rectify.yaml, is right. */
static void test_library__the_examples_of_the_manual_are_right(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    static char text[1 << 16];
    FILE *file = fopen(TEST_POLICIES "/../docs/policy.md", "rbe");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *policy = strstr(text, "```yaml\npolicy: sqs-retention"),
               *config = strstr(text, "```yaml\naccounts:");
    assert_true(policy && config);
    policy += 8;
    config += 8;
    *strstr((char *)(uintptr_t)policy, "```") = '\0';
    *strstr((char *)(uintptr_t)config, "```") = '\0';
    struct policy_set *set = fixture_load(policy, config, &errors);
    if (!set)
        fail_msg("%s", fixture_errors(&arena, &errors));
    const struct policy *p = policy_set_at(set, 0);
    struct policy_assignment assignment = policy_set_assign(set, p, STR("111122223333"), &arena);
    assert_int_equal(assignment.mode, MODE_OBSERVE);
    assert_int_equal(p->mode, MODE_ENFORCE);
    assert_true(str_is(policy_set_kill_switch(set), "/etc/rectify/stop"));
    policy_set_destroy(set);
}

static void test_library__assignments_only_lower_and_the_first_counts(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct policy_set *set = fixture_library(
        "accounts: {\"111122223333\": {env: prod}, \"444455556666\": {env: test}}\n"
        "assignments:\n"
        "  - {policies: [\"s3-*\"], accounts: {env: prod}, mode: approve, params: {value: shared, "
        "x: 1}, settle: 0s,\n"
        "     roles: {read: r, act: a}}\n"
        "  - {policies: [\"s3-*\", \"kms-*\"], accounts: [\"444455556666\"], mode: enforce}\n");
    const struct policy *s3 = policy_set_find(set, STR("s3-cost-center-tag"));
    const struct policy *ec2 = policy_set_find(set, STR("ec2-no-world-open-admin-ports"));
    struct policy_assignment a = policy_set_assign(set, s3, STR("111122223333"), &arena);
    assert_int_equal(a.mode, MODE_APPROVE);
    assert_int_equal(a.settle_ms, 0);
    assert_true(str_is(a.read.role, "r") && str_is(a.act.role, "a"));
    assert_true(str_is(value_path_str(a.params, "value"), "shared"));
    assert_int_equal(a.params.len, 1); // `x` is no parameter of the policy
    a = policy_set_assign(set, s3, STR("444455556666"), &arena);
    assert_int_equal(a.mode, MODE_ENFORCE);
    assert_int_equal(a.settle_ms, 60000);
    assert_true(str_is(value_path_str(a.params, "value"), "unassigned"));
    a = policy_set_assign(set, s3, STR("777788889999"), &arena);
    assert_int_equal(a.mode, MODE_OFF);
    a = policy_set_assign(set, ec2, STR("444455556666"), &arena);
    assert_int_equal(a.mode, MODE_OFF);
    policy_set_destroy(set);
}

static void test_library__an_account_says_its_way_its_regions_and_its_limits(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct policy_set *set = fixture_library(
        "accounts:\n"
        "  \"111122223333\": {name: payments, env: prod, regions: [eu-west-1, us-east-1],\n"
        "     external_id: own-id, calls: {at_once: 4}}\n"
        "  \"444455556666\": {env: test, via: [\"arn:aws:iam::999988887777:role/other\"]}\n"
        "regions: [eu-central-1]\n"
        "calls: {per_second: 9}\n"
        "assignments:\n"
        "  - {policies: \"*\", accounts: \"*\", roles: {read: r, act: a, external_id: x-1,\n"
        "     via: [\"arn:aws:iam::999988887777:role/hub\"]}}\n");
    const struct policy *s3 = policy_set_find(set, STR("s3-cost-center-tag"));
    struct policy_assignment a = policy_set_assign(set, s3, STR("111122223333"), &arena);
    assert_true(str_is(a.read.role, "r") && str_is(a.act.role, "a"));
    assert_int_equal(a.read.via_count, 1);
    assert_true(str_is(a.act.via[0], "arn:aws:iam::999988887777:role/hub"));
    assert_true(str_is(a.read.external_id, "own-id"));
    assert_int_equal(a.read.at_once, 4);
    assert_int_equal(a.read.per_second, 9);
    a = policy_set_assign(set, s3, STR("444455556666"), &arena);
    assert_true(str_is(a.read.via[0], "arn:aws:iam::999988887777:role/other"));
    assert_true(str_is(a.read.external_id, "x-1"));
    assert_int_equal(a.read.at_once, 32);
    struct value account = policy_set_account(set, STR("111122223333"), &arena);
    assert_true(str_is(value_path_str(account, "name"), "payments"));
    assert_null(value_get(account, STR("external_id"))); // an expression has no use for it
    struct policy_account *list;
    size_t count;
    assert_true(policy_set_accounts(set, &arena, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].region_count, 2);
    assert_int_equal(list[1].region_count, 1);
    assert_true(str_is(list[1].regions[0], "eu-central-1"));
    policy_set_destroy(set);
}

static void test_library__discovered_accounts_say_more_and_never_less(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct value list;
    struct policy_set *set =
        fixture_library("accounts: {\"111122223333\": {env: prod}}\n"
                        "organization: {account: \"999988887777\", role: lister}\n"
                        "assignments:\n"
                        "  - {policies: \"*\", accounts: {env: prod}, mode: observe}\n"
                        "  - {policies: \"*\", accounts: {ou: ou-1}, mode: enforce}\n");
    const struct policy *s3 = policy_set_find(set, STR("s3-cost-center-tag"));
    assert_int_equal(policy_set_assign(set, s3, STR("444455556666"), &arena).mode, MODE_OFF);
    assert_true(json_parse(
        &arena,
        STR("[{\"id\": \"111122223333\", \"attributes\": {\"env\": \"dev\", \"ou\": \"ou-1\"}},"
            "{\"id\": \"444455556666\", \"attributes\": {\"ou\": \"ou-1\", \"id\": \"0\"}}]"),
        &list, &err));
    assert_true(policy_set_discover(set, list, &err));
    /* rectify.yaml stands over what was discovered. */
    assert_int_equal(policy_set_assign(set, s3, STR("111122223333"), &arena).mode, MODE_OBSERVE);
    assert_int_equal(policy_set_assign(set, s3, STR("444455556666"), &arena).mode, MODE_ENFORCE);
    struct value account = policy_set_account(set, STR("444455556666"), &arena);
    assert_true(str_is(value_path_str(account, "id"), "444455556666"));
    struct policy_account *all;
    size_t count;
    assert_true(policy_set_accounts(set, &arena, &all, &count));
    assert_int_equal(count, 2);
    /* What is no list of accounts changes nothing. */
    assert_true(json_parse(&arena, STR("[{\"id\": \"5\"}]"), &list, &err));
    assert_false(policy_set_discover(set, list, &err));
    assert_string_equal(err.code, "P0140");
    assert_false(policy_set_discover(set, value_null(), &err));
    assert_int_equal(policy_set_assign(set, s3, STR("444455556666"), &arena).mode, MODE_ENFORCE);
    policy_set_destroy(set);
}

static void test_library__mistakes_in_accounts_are_told(void **state)
{
    (void)state;
    static const char tail[] = "assignments: [{policies: \"*\", accounts: \"*\"}]\n";
    static const struct {
        const char *text, *code;
    } cases[] = {
        {"accounts: {\"12\": {env: prod}}\n", "P0136"},
        {"accounts: {\"111122223333\": prod}\n", "P0136"},
        {"accounts: {\"111122223333\": {regions: [\"eu west\"]}}\n", "P0138"},
        {"accounts: {\"111122223333\": {via: [hub]}}\n", "P0137"},
        {"accounts: {\"111122223333\": {external_id: \"a b\"}}\n", "P0139"},
        {"accounts: {\"111122223333\": {calls: {at_onc: 1}}}\n", "P0107"},
        {"organization: {account: \"1\"}\n", "P0136"},
        {"organization: {account: \"111122223333\", every: 1s}\n", "P0108"},
        {"organization: {account: \"111122223333\", role: \"a b\"}\n", "P0137"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct error_list errors = {.arena = &arena};
        const char *config = arena_printf(&arena, "%s%s", cases[i].text, tail);
        assert_null(fixture_load(fixture_policy(&arena, NULL, NULL), config, &errors));
        assert_true(errors.count >= 1);
        assert_string_equal(errors.items[0]->code, cases[i].code);
        assert_true(errors.items[0]->line == 1);
    }
}

static void test_library__a_policy_that_observes_stays_so_under_enforce(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_set *set =
        fixture_load(fixture_policy(&arena, "guard: {mode: enforce}\n", ""), everything, &errors);
    assert_non_null(set);
    assert_int_equal(
        policy_set_assign(set, policy_set_at(set, 0), STR("111122223333"), &arena).mode,
        MODE_OBSERVE);
    policy_set_destroy(set);
    set = fixture_load(fixture_policy(&arena, NULL, NULL), NULL, &errors); // no rectify.yaml at all
    assert_non_null(set);
    assert_int_equal(
        policy_set_assign(set, policy_set_at(set, 0), STR("111122223333"), &arena).mode,
        MODE_OBSERVE);
    policy_set_destroy(set);
}

/* The compiled regular expression lies outside of the arena: under AddressSanitizer a set that
 * does not finish its programs is a leak. */
static void test_library__a_constant_pattern_goes_with_its_set(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_set *set = fixture_load(
        fixture_policy(&arena, "guard: {mode: enforce}\n",
                       "guard: {mode: enforce, ask: \"resource.id.matches('^prod-[a-z]+$')\"}\n"),
        NULL, &errors);
    if (!set)
        fail_msg("%s", fixture_errors(&arena, &errors));
    assert_non_null(policy_set_at(set, 0)->ask);
    policy_set_destroy(set);
}

/* Keys that the language has and that do nothing yet must not break a policy. */
static void test_library__the_whole_language_is_accepted(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_set *set = fixture_load(
        fixture_policy(
            &arena, "guard: {mode: enforce}\n",
            "guard:\n  mode: enforce\n  rollout: {steps: [1, 5%, 25%, 100%], bake: 60s}\n"
            "  breaker: {in_a_row: 3, errors: 50%, of: 20, in: 24h, open: 60s}\n"
            "  limit: {at_once: 10, per_hour: 100, share: 5%}\n"
            "  approval: {via: [slack, jira], need: 1, expires: 24h}\n"
            "notify: [{to: owner, on: [healed, held, failed]}]\n"),
        NULL, &errors);
    if (!set)
        fail_msg("%s", fixture_errors(&arena, &errors));
    const struct policy *p = policy_set_at(set, 0);
    assert_int_equal(p->breaker_in_a_row, 3);
    assert_int_equal(p->breaker_percent, 50);
    assert_int_equal(p->breaker_of, 20);
    assert_int_equal(p->breaker_window_ms, 86400000);
    assert_int_equal(p->approval_expires_ms, 86400000);
    assert_int_equal(p->at_once, 10);
    assert_int_equal(p->per_hour, 100);
    policy_set_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library__compiles_with_three_policies),
        cmocka_unit_test(test_library__closing_a_hole_asks_and_is_never_undone_by_itself),
        cmocka_unit_test(test_library__the_examples_of_the_manual_are_right),
        cmocka_unit_test(test_library__assignments_only_lower_and_the_first_counts),
        cmocka_unit_test(test_library__an_account_says_its_way_its_regions_and_its_limits),
        cmocka_unit_test(test_library__discovered_accounts_say_more_and_never_less),
        cmocka_unit_test(test_library__mistakes_in_accounts_are_told),
        cmocka_unit_test(test_library__a_policy_that_observes_stays_so_under_enforce),
        cmocka_unit_test(test_library__the_whole_language_is_accepted),
        cmocka_unit_test(test_library__a_constant_pattern_goes_with_its_set),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
