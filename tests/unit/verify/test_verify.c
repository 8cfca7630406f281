// SPDX-License-Identifier: Apache-2.0
#include "verify/verify.h"

#include "../cmocka_all.h"

static void test_verify__what_obeys_has_held_whatever_it_looks_like(void **state)
{
    (void)state;
    assert_int_equal(verify_compare(VERDICT_COMPLIANT, STR("b"), STR("a")), VERIFY_HELD);
    assert_int_equal(verify_compare(VERDICT_COMPLIANT, STR("a"), STR("a")), VERIFY_HELD);
}

static void test_verify__the_state_before_is_stale_not_foreign(void **state)
{
    (void)state;
    assert_int_equal(verify_compare(VERDICT_VIOLATION, STR("a"), STR("a")), VERIFY_STALE);
    assert_int_equal(verify_compare(VERDICT_VIOLATION, STR("b"), STR("a")), VERIFY_FOREIGN);
}

static void test_verify__gone_and_unread_say_nothing_about_the_repair(void **state)
{
    (void)state;
    assert_int_equal(verify_compare(VERDICT_GONE, STR(""), STR("a")), VERIFY_GONE);
    assert_int_equal(verify_compare(VERDICT_UNREAD, STR(""), STR("a")), VERIFY_UNREAD);
    assert_int_equal(verify_compare(VERDICT_UNREAD, STR("a"), STR("a")), VERIFY_UNREAD);
}

static void test_verify__each_result_has_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"held", "stale", "foreign", "gone", "unread"};
    for (int i = VERIFY_HELD; i <= VERIFY_UNREAD; i++)
        assert_string_equal(verify_result_name((enum verify_result)i), names[i]);
}

static void test_verify__pauses_double_up_to_a_minute(void **state)
{
    (void)state;
    static const int64_t want[] = {0, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (int i = 0; i < 8; i++)
        assert_int_equal(verify_pause_ms(i), want[i]);
    assert_int_equal(verify_pause_ms(1000000), 60000);
    assert_int_equal(verify_pause_ms(-1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__what_obeys_has_held_whatever_it_looks_like),
        cmocka_unit_test(test_verify__the_state_before_is_stale_not_foreign),
        cmocka_unit_test(test_verify__gone_and_unread_say_nothing_about_the_repair),
        cmocka_unit_test(test_verify__each_result_has_a_name),
        cmocka_unit_test(test_verify__pauses_double_up_to_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
