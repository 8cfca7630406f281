// SPDX-License-Identifier: Apache-2.0
/* Decimal numbers against the C library's strtod, and against what Schubfach promises. */
#include "../cmocka_all.h"
#include "value/json_scan.h"
#include "value/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state64 = 88172645463325252u;

static uint64_t draw(void)
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return state64;
}

/* All exponents, few and many bits, subnormals. */
static double draw_double(void)
{
    uint64_t bits = draw();
    double d;
    if (draw() % 4 == 0)
        bits &= ~(UINT64_MAX >> (12 + draw() % 52));
    if (draw() % 16 == 0)
        bits &= UINT64_MAX >> (12 + draw() % 52);
    memcpy(&d, &bits, sizeof d);
    return isfinite(d) ? d : 0.5;
}

static void test_number_write__reads_back_the_same(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        char text[NUMBER_TEXT_SIZE + 1];
        double d = draw_double();
        unsigned length = number_write(d, text);
        assert_in_range(length, 1, NUMBER_TEXT_SIZE - 1);
        text[length] = '\0';
        double by_library = strtod(text, NULL), by_us = number_parse((struct str){text, length});
        assert_memory_equal(&by_library, &d, sizeof d);
        assert_memory_equal(&by_us, &d, sizeof d);
        assert_true(number_is_shortest((struct str){text, length}, d));
    }
}

static void test_number_parse__rounds_like_strtod(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        char text[512];
        int length = snprintf(text, sizeof text, "%.*e", (int)(draw() % 25), draw_double());
        double wanted = strtod(text, NULL), got = number_parse((struct str){text, (size_t)length});
        if (memcmp(&wanted, &got, sizeof wanted) != 0)
            fail_msg("%s: %a instead of %a", text, got, wanted);
    }
}

/* Half-way between two doubles, a little above and a little below: hundreds of digits decide. */
static void test_number_parse__decides_ties_with_all_digits(void **state)
{
    static const char *const texts[] = {
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000001",
        "9007199254740992.9999999999999999999",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "0.500000000000000166533453693773481063544750213623046875",
        "8.5e22",
        "1e23",
        "9.5367431640625e-7",
        "6929495644600919.5",
        "3.237883913302901e-319",
        "1e-400",
        "1e400",
        "-1e-400",
        "0e999999999",
        "0.0000",
        "123456789012345678901234567890e-20",
        "100000000000000000000000000000000000000000000000000000000e-50"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double wanted = strtod(texts[i], NULL), got = number_parse(str_from(texts[i]));
        if (memcmp(&wanted, &got, sizeof wanted) != 0)
            fail_msg("%s: %a instead of %a", texts[i], got, wanted);
    }
}

static void test_number_shortest__no_shorter_decimal_reads_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 30000; i++) {
        double d = fabs(draw_double());
        struct number_decimal shortest = number_shortest(d);
        if (d == 0)
            continue;
        char text[64], best[64];
        int digits = snprintf(text, sizeof text, "%llu", (unsigned long long)shortest.digits);
        for (int precision = 1; precision <= digits; precision++) {
            snprintf(text, sizeof text, "%.*e", precision - 1, d);
            if (strtod(text, NULL) != d)
                continue;
            assert_int_equal(precision, digits);
            /* Of that length the C library gives the nearest. */
            snprintf(best, sizeof best, "%llue%d", (unsigned long long)shortest.digits,
                     shortest.exponent);
            snprintf(best, sizeof best, "%.*e", digits - 1, strtod(best, NULL));
            assert_string_equal(text, best);
        }
    }
}

static void test_number_is_shortest__knows_the_inexact(void **state)
{
    static const struct {
        const char *text;
        bool shortest;
    } cases[] = {
        {"0", true},
        {"-0.0", true},
        {"300", true},
        {"3.0e2", true},
        {"123456789012345", true},
        {"0.1", true},
        {"0.10000000000000001", false},
        {"9007199254740992", true},
        {"9007199254740993", false},
        {"9007199254740994", true},
        {"1e400", false},
        {"1e-400", false},
        {"0e-400", true},
        {"5e-324", true},
        {"4.9e-324", false},
        {"2e23", true},
        {"1e17", true},
        {"7.205759403792794e16", true},
        {"0.1000000000000000055511151231257827", false},
        {"1.0000000000000000000000000000000000", true},
        {"1.7976931348623157e308", true},
        {"-122.42200352825247", true},
        {"1.23456789e-320", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = str_from(cases[i].text);
        if (number_is_shortest(text, number_parse(text)) != cases[i].shortest)
            fail_msg("%s", cases[i].text);
    }
}

static void test_number_write__spells_like_ecmascript_with_a_point(void **state)
{
    static const struct {
        double d;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {-0.0, "-0.0"},
                 {1, "1.0"},
                 {-1.5, "-1.5"},
                 {0.001, "0.001"},
                 {1e-6, "0.000001"},
                 {1e-7, "1e-7"},
                 {1.25e-7, "1.25e-7"},
                 {1e20, "100000000000000000000.0"},
                 {1e21, "1e21"},
                 {123456789.125, "123456789.125"},
                 {5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e308"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[NUMBER_TEXT_SIZE + 1] = "";
        text[number_write(cases[i].d, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

/* Reading short numbers at once says the same as digit by digit, whatever stands behind them. */
static void test_number_parse_parts__the_fast_way_says_the_same(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        char text[96];
        size_t len = 0;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned whole = 1 + (unsigned)(seed >> 33) % 20, fraction = (unsigned)(seed >> 40) % 20;
        uint64_t digits = seed;
        if (seed >> 60 & 1)
            text[len++] = '-';
        for (unsigned i = 0; i < whole + fraction; i++) {
            if (i == whole)
                text[len++] = '.';
            digits = digits * 6364136223846793005u + 1442695040888963407u;
            unsigned digit = seed >> 61 & 1 ? (unsigned)(digits >> 60) % 10 : (i % 7 == 6) * 9u;
            text[len++] = (char)('0' + (i == 0 && whole > 1 && digit == 0 ? 1 : digit));
        }
        if (seed >> 58 == 5)
            len += (size_t)sprintf(text + len, "e%d", (int)(seed >> 50) % 30 - 15);
        memset(text + len, "}0,9.\xFF "[round % 7], sizeof text - len);
        struct number_parts slow, fast;
        struct str number = {text, len}, readable = {text, sizeof text};
        unsigned point = json_plain_number(readable, 0, len);
        if (len <= JSON_PLAIN_MAX && seed >> 58 != 5)
            assert_int_equal(point, fraction ? str_find_byte(number, '.') : len);
        else
            assert_int_equal(point, 0);
        double a = number_parse_parts(number, 0, &slow);
        double b = number_parse_parts(number, point, &fast);
        assert_memory_equal(&a, &b, sizeof a);
        assert_int_equal(slow.negative, fast.negative);
        assert_int_equal(slow.more, fast.more);
        assert_int_equal(number_parts_are_shortest(&slow, a), number_parts_are_shortest(&fast, b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_parse_parts__the_fast_way_says_the_same),
        cmocka_unit_test(test_number_write__reads_back_the_same),
        cmocka_unit_test(test_number_parse__rounds_like_strtod),
        cmocka_unit_test(test_number_parse__decides_ties_with_all_digits),
        cmocka_unit_test(test_number_shortest__no_shorter_decimal_reads_back),
        cmocka_unit_test(test_number_is_shortest__knows_the_inexact),
        cmocka_unit_test(test_number_write__spells_like_ecmascript_with_a_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
