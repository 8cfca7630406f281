// SPDX-License-Identifier: Apache-2.0
#include "cel_test.h"

static const char document[] =
    "{\"n\": 3, \"s\": \"h\\u00e9llo\", \"tags\": [{\"Key\": \"a\", \"Value\": \"1\"}, {\"Key\": "
    "\"b\", \"Value\": \"2\"}], \"m\": {\"x\": {\"y\": null}}, \"d\": 2.0, \"e\": []}";

struct one {
    const char *text, *want;
};

static void expect_all(const struct one *cases, size_t count, bool unchecked)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture f;
        fixture_begin(&f);
        cel_env_set_options(f.env, (struct cel_options){.unchecked = unchecked});
        fixture_bind(&f, "r", cel_type_dyn(), fixture_json(&f, document));
        fixture_bind(&f, "unset", cel_type_dyn(), cel_unset());
        fixture_expect(&f, cases[i].text, cases[i].want);
        fixture_end(&f);
    }
}
#define EXPECT_ALL(cases) expect_all((cases), sizeof(cases) / sizeof *(cases), false)

static void test_language__json_numbers_compare_whatever_their_kind(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"r.n == 3 && r.n == 3u && r.n == 3.0", "true"},
        {"r.d == 2 && r.d < 3 && 1 < r.d", "true"},
        {"r.n in [1, 2.0, 3u]", "true"},
        {"{3: 'a'}[r.n] + {2: 'b'}[r.d]", "\"ab\""},
        {"r.s == 3 || r.s != null", "true"},
        {"1 == 'a'", "?C0102 1:3"},
        {"1 < 2.0", "?C0102 1:3 found no matching overload for '_<_' applied to '(int, double)'"},
    };
    EXPECT_ALL(cases);
}

static void test_language__failure_is_neither_true_nor_false(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"r.gone == 1 || true", "true"},
        {"true || r.gone == 1", "true"},
        {"r.gone == 1 && false", "false"},
        {"r.gone == 1 || false", "!C0202 1:2 no such key: \"gone\""},
        {"!(r.gone == 1)", "!C0202"},
        {"r.gone == 1 && r.lost == 1", "!C0202 1:2 no such key: \"gone\""},
        {"r.tags.exists(t, t.gone == 1 || t.Key == 'b')", "true"},
        {"r.tags.all(t, t.gone == 1)", "!C0202 1:16 no such key: \"gone\""},
        {"r.tags.all(t, t.Key == 'b' && t.gone == 1)", "false"},
        {"r.tags.exists_one(t, t.gone == 1)", "!C0202"},
        {"r.gone ? 1 : 2", "!C0202"},
        {"r.n ? 1 : 2", "!C0208 1:2 no such overload: a bool is needed, not int 3"},
        {"r.n && true", "!C0208"},
        {"r.n && false", "false"},
        {"unset || true", "true"},
        {"unset || false", "!C0207 1:1 the variable 'unset' has no value here"},
        {"cel.bind(x, r.gone, true || x)", "true"},
        {"cel.bind(x, r.gone, x == 1)", "!C0202 1:14 no such key: \"gone\""},
        {"[1, r.gone]", "!C0202"},
    };
    EXPECT_ALL(cases);
}

static void test_language__absence_can_be_asked_for(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"has(r.m) && has(r.m.x) && has(r.m.x.y) && !has(r.m.x.z)", "true"},
        {"has(r.m) && has(r.m.q) && has(r.m.q.z)", "false"},
        {"has(r.n) && has(r.n.q)", "!C0201 1:16 no such field: 'q' of int 3"},
        {"has(r.q.z)", "!C0202"},
        {"has(r.n.z)", "!C0201"},
        {"r.?m.x.y.orValue(1)", "null"},
        {"r.?q.x.y.orValue(1)", "1"},
        {"r.m[?'q'].hasValue()", "false"},
        {"r.e[?0].orValue('none')", "\"none\""},
        {"r.e[0]", "!C0203 1:4 index out of bounds: 0 in a list of 0"},
        {"r.?n.q", "!C0201"},
        {"[?r.?n, ?r.?q]", "[3]"},
        {"{'a': 1, ?'b': r.?q, ?'c': r.?n}", "{\"a\": 1, \"c\": 3}"},
        {"[?r.n]", "!C0201 1:4 a `?` entry must be an optional value, not int"},
        {"r.?n.optMap(x, x * 2).value()", "6"},
        {"optional.none().value()", "!C0210"},
    };
    EXPECT_ALL(cases);
}

static void test_language__strings_count_code_points(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"size(r.s)", "5"},
        {"r.s.charAt(1)", "\"é\""},
        {"r.s.substring(1, 3)", "\"él\""},
        {"r.s.indexOf('l')", "2"},
        {"r.s.reverse()", "\"olléh\""},
        {"bytes(r.s).size()", "6"},
        {"string(b'\\xff')", "!C0206"},
        {"string(1e-320) + string(5e-324)", "\"1e-3205e-324\""},
        {"bool('T') && !bool('F')", "true"},
        {"'a' + 'b' + string(1) + string(2.5) + string(true)", "\"ab12.5true\""},
        {"'\\u00e9' == 'é' && r'\\n'.size() == 2 && '''a\nb'''.size() == 3", "true"},
    };
    EXPECT_ALL(cases);
}

static void test_language__arithmetic_refuses_what_does_not_fit(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"9223372036854775807 + 1", "!C0205 1:21 integer overflow: 9223372036854775807 + 1"},
        {"-9223372036854775808 - 1", "!C0205"},
        {"0u - 1u", "!C0205 1:4 uint overflow"},
        {"9223372036854775807 * 2", "!C0205"},
        {"-(-9223372036854775808)", "!C0205"},
        {"--9223372036854775808", "?C0002 1:3"},
        {"--1 + ---1", "0"},
        {"(1 && 2) + 1", "?C0104 1:2 expected type 'bool' but found 'int'"},
        {"-9223372036854775808 / -1", "!C0205"},
        {"-9223372036854775808 % -1", "!C0205"},
        {"1 / 0", "!C0205 1:3 division by zero: 1"},
        {"1 % 0", "!C0205 1:3 modulus by zero: 1"},
        {"1.0 / 0.0 > 1.0", "true"},
        {"0.0 / 0.0 < 1.0 || 0.0 / 0.0 >= 1.0 || 0.0 / 0.0 == 0.0 / 0.0", "false"},
        {"int(1e19)", "!C0205"},
        {"uint(-1)", "!C0205"},
        {"timestamp('9999-12-31T23:59:59Z') + duration('1s')", "!C0205"},
        {"duration('200000h') + duration('2400000h')", "!C0205"},
    };
    EXPECT_ALL(cases);
}

static void test_language__times_and_zones(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"timestamp('2026-03-29T00:59:59Z').getHours('Europe/Berlin')", "1"},
        {"timestamp('2026-03-29T01:00:00Z').getHours('Europe/Berlin')", "3"},
        {"timestamp('2126-07-01T12:00:00Z').getHours('Europe/Berlin')", "14"},
        {"timestamp('2126-01-01T12:00:00Z').getHours('America/New_York')", "7"},
        {"timestamp('2126-01-01T12:00:00Z').getHours('Australia/Sydney')", "23"},
        {"timestamp('2026-01-01T00:00:00Z').getMinutes('-03:30')", "30"},
        {"timestamp('2026-01-01T00:00:00Z').getHours('Nowhere/Land')", "!C0206"},
        {"timestamp('2026-01-01T00:00:00Z').getHours('../../etc/passwd')", "!C0206"},
        {"timestamp('2026-02-29T00:00:00Z')", "?C0106 1:11 invalid timestamp"},
        {"timestamp('2024-02-29T23:59:59.5+01:00')", "timestamp(\"2024-02-29T22:59:59.5Z\")"},
        {"timestamp('1969-12-31T23:59:59.25Z')", "timestamp(\"1969-12-31T23:59:59.25Z\")"},
        {"duration('-1.5h')", "duration(\"-5400s\")"},
        {"duration('1h30m5ms')", "duration(\"5400.005s\")"},
        {"duration('5 minutes')", "?C0106"},
        {"duration(5)", "?C0102"},
        {"timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z')",
         "duration(\"86400s\")"},
    };
    EXPECT_ALL(cases);
}

static void test_language__comprehensions(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"r.tags.map(t, t.Key)", "[\"a\", \"b\"]"},
        {"r.tags.map(t, t.Key == 'b', t.Value)", "[\"2\"]"},
        {"r.tags.filter(t, t.Key == 'b').size()", "1"},
        {"r.tags.all(i, t, i < 2 && t.Key != 'c')", "true"},
        {"{'a': 1, 'b': 2}.exists(k, v, k == 'b' && v == 2)", "true"},
        {"{'a': 1, 'b': 2}.all(k, k in ['a', 'b'])", "true"},
        {"[1, 2].transformMap(i, v, v > 1, v * 10)", "{1: 20}"},
        {"[1, 1].transformMapEntry(i, v, {v: i})",
         "!C0204 1:25 insert failed: key 1 already exists"},
        {"[[1, 2], [3]].map(l, l.map(x, x + size(l)))", "[[3, 4], [4]]"},
        {"[1, 2, 3].exists(x, [3, 4].exists(y, x == y))", "true"},
        {"r.n.map(x, x)", "!C0201 1:2 map() needs a list or a map, not int"},
        {"'a'.all(x, true)", "?C0105 1:1"},
        {"{'a': 1, 'a': 2}", "!C0204 1:1 repeated key: \"a\""},
        {"{1.5: 1}", "!C0204 1:2 unsupported key type: double"},
        {"[1].map(x, cel.bind(x, x + 1, x))", "[2]"},
    };
    EXPECT_ALL(cases);
}

static void test_language__unchecked_expressions_fail_when_they_run(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"1 + 'a'", "!C0201 1:3 no such overload: `+` of (int, string)"},
        {"nobody", "!C0209 1:1"},
        {"nothing(1)", "!C0209 1:8 unbound function: nothing()"},
        {"1 == 'a'", "false"},
        {"'a'.size(1)", "!C0201"},
        {"[1][true]", "!C0201 1:4 no such overload: `[]` of (list, bool)"},
        {"nobody || true", "true"},
        {"r.tags[0].Key.matches('(')", "?C0106"},
    };
    expect_all(cases, sizeof cases / sizeof *cases, true);
}

static void test_language__regular_expressions(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"'i-12ab'.matches('^i-[0-9a-f]+$')", "true"},
        {"r.s.matches('l{2}')", "true"},
        {"r.s.matches('^h.llo$')", "true"},
        {"r.s.matches('(')", "?C0106 1:13 invalid regular expression: missing ): ("},
        {"r.s.matches(r.tags[0].Key + '|h')", "true"},
        {"r.s.matches('(' + r.s)", "!C0206 1:12 invalid regular expression"},
        {"'a\\nb'.matches('a.b')", "false"},
    };
    EXPECT_ALL(cases);
}

static void test_language__membership(void **state)
{
    (void)state;
    static const struct one cases[] = {
        {"r.s in ['x', 'héllo']", "true"},
        {"r.n in ['x', 'y']", "false"},
        {"r.gone in ['x']", "!C0202"},
        {"'m' in r && !('q' in r)", "true"},
        {"1 in r.n", "!C0201"},
        {"r.tags[0] in r.tags", "true"},
    };
    EXPECT_ALL(cases);
}

/* Where a reference parser tells the mistakes of a broken expression: all of line 1, by column. */
static void test_language__broken_expressions_are_told_where_others_tell_them(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"(a = 1)", "4 6"},
        {"a && | b", "6"},
        {"{1: 2 'x': 3}", "7"},
        {"{'a' 1}", "6"},
        {"[1, 2(, 3]", "6 9"},
        {"[1,, 2]", "4"},
        {"[1 2]", "4"},
        {"f(1, )", "6"},
        {"f(1 2 3)", "5"},
        {"a.map(x x + 1)", "9 14"},
        {"a. + 1", "4"},
        {"a.?", "4"},
        {"x[1)", "4"},
        {"-)", "2"},
        {"1 + - * 2", "7"},
        {"!) || a", "2"},
        {"(1 + 2", "7"},
        {"(1 + 2))", "8"},
        {"a ? b", "6"},
        {"a ? b : ", "9"},
        {"a == b ? : c", "10 13"},
        {"has({'a': 1)", "5 12"},
        {"has(a.b + )", "9 11"},
        {"for.x + if", "1 9"},
        {"'abc", "1 5"},
        {"T{a 1}", "5"},
        {"T{a: 1 b: 2}", "8"},
        {"a in [1, 2", "11"},
        {"1 2 3", "3"},
        {"{1 2 3}", "4 6"},
        {"(1 && 2) + 1", "2 7"},
        {"math.isInf(1 || 2)", "12 17"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct buf places = {0};
        fixture_begin(&f);
        places.arena = &f.arena;
        assert_null(fixture_compile(&f, cases[i][0]));
        unsigned last = 0;
        for (size_t k = 0; k < f.errors.count; k++) {
            if (f.errors.items[k]->column != last)
                buf_printf(&places, "%s%u", last ? " " : "", f.errors.items[k]->column);
            last = f.errors.items[k]->column;
        }
        struct str got = buf_str(&places);
        if (!str_is(got, cases[i][1]))
            fail_msg("%s: at %.*s, not %s", cases[i][0], STR_FMT(got), cases[i][1]);
        fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_language__json_numbers_compare_whatever_their_kind),
        cmocka_unit_test(test_language__failure_is_neither_true_nor_false),
        cmocka_unit_test(test_language__absence_can_be_asked_for),
        cmocka_unit_test(test_language__strings_count_code_points),
        cmocka_unit_test(test_language__arithmetic_refuses_what_does_not_fit),
        cmocka_unit_test(test_language__times_and_zones),
        cmocka_unit_test(test_language__comprehensions),
        cmocka_unit_test(test_language__unchecked_expressions_fail_when_they_run),
        cmocka_unit_test(test_language__regular_expressions),
        cmocka_unit_test(test_language__membership),
        cmocka_unit_test(test_language__broken_expressions_are_told_where_others_tell_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
