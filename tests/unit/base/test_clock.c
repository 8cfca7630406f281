// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "base/clock.h"

static void check_round(const char *text, int64_t ms)
{
    char back[CLOCK_TEXT_SIZE];
    int64_t got;
    assert_true(clock_parse(str_from(text), &got));
    assert_int_equal(got, ms);
    clock_format(ms, back);
    assert_string_equal(back, text);
}

static void test_clock__formats_and_parses_known_times(void **state)
{
    (void)state;
    check_round("1970-01-01T00:00:00Z", 0);
    check_round("2000-02-29T12:00:00Z", 951825600000);
    check_round("1969-12-31T23:59:59.999Z", -1);
    check_round("2026-01-02T03:04:05.678Z", 1767323045678);
    check_round("9999-12-31T23:59:59Z", 253402300799000);
}

static void test_clock__parses_offsets(void **state)
{
    (void)state;
    int64_t ms;
    assert_true(clock_parse(STR("1970-01-01T02:00:00+02:00"), &ms));
    assert_int_equal(ms, 0);
    assert_true(clock_parse(STR("1969-12-31T18:30:00.5-05:30"), &ms));
    assert_int_equal(ms, 500);
}

static void test_clock__refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "2026-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00Zx",
                                      "2026-01-01T00:00:00+24:00",
                                      "026-01-01T00:00:00Z"};
    int64_t ms = 42;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(clock_parse(str_from(bad[i]), &ms));
    assert_int_equal(ms, 42);
}

static void test_clock__civil_days_agree_over_centuries(void **state)
{
    (void)state;
    for (int64_t days = -800000; days < 800000; days += 37) {
        int64_t year;
        unsigned month, day;
        clock_civil(days, &year, &month, &day);
        assert_in_range(month, 1, 12);
        assert_in_range(day, 1, 31);
        assert_int_equal(clock_days(year, month, day), days);
    }
}

static void test_clock__durations(void **state)
{
    (void)state;
    int64_t ms;
    assert_true(clock_parse_duration(STR("90s"), &ms) && ms == 90000);
    assert_true(clock_parse_duration(STR("1h30m"), &ms) && ms == 5400000);
    assert_true(clock_parse_duration(STR("250ms"), &ms) && ms == 250);
    assert_true(clock_parse_duration(STR("7d"), &ms) && ms == 604800000);
    static const char *const bad[] = {"",    "5", "s", "-1s", "1w", "1 s", "99999999999999999d",
                                      "1.5h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(clock_parse_duration(str_from(bad[i]), &ms));
}

static void test_clock__system_runs_forward(void **state)
{
    (void)state;
    const struct clock *clock = clock_system();
    int64_t before = clock_steady_ms(clock);
    assert_true(clock_wall_ms(clock) > 1700000000000);
    assert_true(clock_steady_ms(clock) >= before);
    unsigned char a[16] = {0}, b[16] = {0};
    clock_random(clock, a, sizeof a);
    clock_random(clock, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__formats_and_parses_known_times),
        cmocka_unit_test(test_clock__parses_offsets),
        cmocka_unit_test(test_clock__refuses_what_is_no_time),
        cmocka_unit_test(test_clock__civil_days_agree_over_centuries),
        cmocka_unit_test(test_clock__durations),
        cmocka_unit_test(test_clock__system_runs_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
