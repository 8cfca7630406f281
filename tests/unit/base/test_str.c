// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "base/str.h"

static void test_str__integers_at_and_past_their_bounds(void **state)
{
    (void)state;
    int64_t n = 5;
    assert_true(str_to_int64(STR("9223372036854775807"), &n) && n == INT64_MAX);
    assert_true(str_to_int64(STR("-9223372036854775808"), &n) && n == INT64_MIN);
    assert_true(str_to_int64(STR("-0"), &n) && n == 0);
    n = 5;
    static const char *const bad[] = {
        "", "-", "9223372036854775808", "-9223372036854775809", "1 ", "+1", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_to_int64(str_from(bad[i]), &n));
    assert_int_equal(n, 5);
}

static void test_str__utf8_is_strict(void **state)
{
    (void)state;
    assert_true(str_is_utf8(STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")));
    assert_true(str_is_utf8(STR("\xF4\x8F\xBF\xBF")));
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF8\x88\x80\x80\x80",
                                      "\xE2\x82",
                                      "\xC3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_is_utf8(str_from(bad[i])));
}

static void test_str__globs(void **state)
{
    (void)state;
    assert_true(str_glob(STR("s3-*"), STR("s3-tag")));
    assert_true(str_glob(STR("*"), STR("")));
    assert_true(str_glob(STR("a*b*c"), STR("axxbyybzc")));
    assert_true(str_glob(STR("a?c"), STR("abc")));
    assert_false(str_glob(STR("a?c"), STR("ac")));
    assert_false(str_glob(STR("s3-*"), STR("ec2-s3-")));
    assert_false(str_glob(STR(""), STR("x")));
}

static void test_str__nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"filters", "events", "violation"};
    assert_string_equal(str_nearest(STR("filter"), names, 3), "filters");
    assert_string_equal(str_nearest(STR("voilation"), names, 3), "violation");
    assert_null(str_nearest(STR("zzzzzz"), names, 3));
    assert_int_equal(str_distance(STR("ab"), STR("ba"), 5), 1);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 5), 3);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 2), 3);
}

static void test_str__cutting_and_finding(void **state)
{
    (void)state;
    struct str rest = STR("a/b//c");
    assert_true(str_is(str_cut(&rest, '/'), "a"));
    assert_true(str_is(str_cut(&rest, '/'), "b"));
    assert_true(str_is(str_cut(&rest, '/'), ""));
    assert_true(str_is(str_cut(&rest, '/'), "c"));
    assert_null(rest.ptr);
    assert_int_equal(str_find(STR("banana"), STR("nan")), 2);
    assert_true(str_find(STR("banana"), STR("x")) == SIZE_MAX);
    assert_true(str_is(str_trim(STR(" \t x y\n")), "x y"));
    assert_true(str_is(str_sub(STR("abc"), 2, 99), "c"));
    assert_true(str_is(str_sub(STR("abc"), 9, 1), ""));
    assert_true(str_compare(STR("a"), STR("ab")) < 0);
    assert_true(str_compare(STR("\xC3"), STR("z")) > 0); // bytes are unsigned
    assert_true(str_eq_nocase(STR("Content-Type"), STR("content-type")));
}

static void test_buf__grows_and_stays_terminated(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct buf buf = {.arena = &arena};
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);
    struct str s = buf_str(&buf);
    assert_int_equal(s.len, 3890);
    assert_int_equal(s.ptr[s.len], '\0');
    assert_true(str_starts(s, STR("0,1,2,")) && str_ends(s, STR("998,999,")));
}

static void test_buf__failing_is_remembered(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {.size_max = 100};
    struct buf buf = {.arena = &arena};
    for (int i = 0; i < 100; i++)
        buf_add_cstr(&buf, "0123456789");
    assert_true(buf.failed);
    assert_null(buf_str(&buf).ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str__integers_at_and_past_their_bounds),
        cmocka_unit_test(test_str__utf8_is_strict),
        cmocka_unit_test(test_str__globs),
        cmocka_unit_test(test_str__nearest_name),
        cmocka_unit_test(test_str__cutting_and_finding),
        cmocka_unit_test(test_buf__grows_and_stays_terminated),
        cmocka_unit_test(test_buf__failing_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
