// SPDX-License-Identifier: Apache-2.0
/* The policies that come with the program compile, and are as safe as they say. */
#include "fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library__compiles_with_three_policies),
        cmocka_unit_test(test_library__closing_a_hole_asks_and_is_never_undone_by_itself),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
