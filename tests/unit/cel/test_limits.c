// SPDX-License-Identifier: Apache-2.0
#include "cel_test.h"

#include "base/limits.h"

/* `count` times `piece`, then `middle`, then `count` times `after`. */
static char *nested(struct arena *arena, size_t count, const char *piece, const char *middle,
                    const char *after)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < count; i++)
        buf_add_cstr(&out, piece);
    buf_add_cstr(&out, middle);
    for (size_t i = 0; i < count; i++)
        buf_add_cstr(&out, after);
    char *text = arena_copy(arena, buf_str(&out).ptr, out.len);
    assert_non_null(text);
    return text;
}

static void expect_bound(const char *piece, const char *middle, const char *after, size_t most)
{
    for (size_t over = 0; over < 2; over++) {
        struct fixture f;
        fixture_begin(&f);
        char *text = nested(&f.arena, most + over, piece, middle, after);
        assert_true((fixture_compile(&f, text) != NULL) == (over == 0));
        if (over) {
            assert_string_equal(f.errors.items[0]->code, "C0005");
            assert_non_null(strstr(f.errors.items[0]->message, "LIMIT_EXPRESSION_DEPTH"));
        }
        fixture_end(&f);
    }
}

static void test_limits__depth(void **state)
{
    (void)state;
    expect_bound("(", "1", ")", LIMIT_EXPRESSION_DEPTH - 1);
    expect_bound("[", "1", "]", LIMIT_EXPRESSION_DEPTH - 1);
    expect_bound("", "1", "+1", LIMIT_EXPRESSION_DEPTH - 1);
    expect_bound("", "{}", "[?'a']", LIMIT_EXPRESSION_DEPTH - 1);
    expect_bound("false ? true : ", "true", "", LIMIT_EXPRESSION_DEPTH - 1);
}

static void test_limits__long_chains_of_and_are_not_deep(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    assert_non_null(fixture_compile(&f, nested(&f.arena, 5000, "true && ", "true", "")));
    fixture_end(&f);
}

static void test_limits__code_points(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        struct fixture f;
        fixture_begin(&f);
        const char *text = nested(&f.arena, LIMIT_EXPRESSION_CODE_POINTS - 2 + over, "é", "", "");
        text = arena_printf(&f.arena, "'%s'", text);
        assert_true((fixture_compile(&f, text) != NULL) == (over == 0));
        if (over)
            assert_non_null(strstr(f.errors.items[0]->message, "LIMIT_EXPRESSION_CODE_POINTS"));
        fixture_end(&f);
    }
}

static void test_limits__cost_of_one_evaluation(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_expect(&f, "lists.range(500).all(x, lists.range(500).all(y, x + y >= 0))", "true");
    fixture_expect(&f, "lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))", "!C0301");
    assert_non_null(strstr(f.err.message, "LIMIT_EXPRESSION_COST"));
    fixture_expect(&f, "lists.range(2000000).size() > 0", "!C0301");
    fixture_expect(&f, "lists.range(1000).exists(x, lists.range(1000).all(y, y >= 0)) || true",
                   "true");
    fixture_end(&f);
}

/* Patterns that take exponential time where matching backtracks: here they cost their text's
 * length, which is counted like everything else. */
static void test_limits__case_20_no_pattern_takes_long(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    char *text = nested(&f.arena, 30000, "a", "!", "");
    fixture_bind(&f, "t", cel_type_dyn(), value_string(str_from(text)));
    fixture_expect(&f, "t.matches('^(a+)+$')", "false");
    fixture_expect(&f, "t.matches('^(a|aa)+$')", "false");
    fixture_expect(&f, "t.matches('(.*)(.*)(.*)(.*)(.*)b$')", "false");
    fixture_expect(&f, "t.matches('^(' + 'a?' + ')*b$')", "false"); // known at run time only
    fixture_expect(&f, "lists.range(1000).exists(i, t.matches('^(a+)+' + string(i) + '$'))",
                   "!C0301");
    fixture_end(&f);
}

/* Exactly what an evaluation took is enough; one less is not. */
static void test_limits__budget_is_shared_and_exact(void **state)
{
    (void)state;
    struct fixture f;
    struct value v;
    struct cel_budget budget = cel_budget_default();
    fixture_begin(&f);
    fixture_bind(&f, "l", cel_type_dyn(), fixture_json(&f, "[1, 2, 3]"));
    const struct cel_program *program = fixture_compile(&f, "l.map(x, x + 1).all(x, x > 1)");
    assert_non_null(program);
    assert_true(cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err));
    uint64_t cost = LIMIT_EVENT_COST - budget.cost_left;
    size_t bytes = cel_budget_default().bytes_left - budget.bytes_left;
    assert_true(cost > 6 && bytes == 3 * sizeof v);
    budget = (struct cel_budget){2 * cost, 2 * bytes};
    assert_true(cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err));
    assert_true(cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err));
    assert_int_equal(budget.cost_left, 0);
    assert_int_equal(budget.bytes_left, 0);
    assert_false(cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err));
    budget = (struct cel_budget){cost - 1, bytes};
    assert_false(cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err));
    assert_string_equal(f.err.code, "C0301");
    budget = (struct cel_budget){cost, bytes - 1};
    assert_false(cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err));
    assert_string_equal(f.err.code, "C0302");
    fixture_end(&f);
}

static void test_limits__memory_of_growing_texts(void **state)
{
    (void)state;
    static const char *const growing[] = {
        "lists.range(200).map(i, lists.range(200).map(j, s + s))",
        "[s, s, s, s].join(s).replace('a', s)",
        "s.replace('', s)",
        "lists.range(300).map(i, s).join(s)",
        "lists.range(200).map(i, s.split(''))",
        "'%s%s'.format([lists.range(200).map(i, s), s])",
        "regex.replace(s, 'a', s)",
        "lists.range(100).map(i, base64.encode(bytes(s)))",
    };
    for (size_t i = 0; i < sizeof growing / sizeof *growing; i++) {
        struct fixture f;
        struct value v;
        struct cel_budget budget = {LIMIT_EVENT_COST, 1 << 18};
        fixture_begin(&f);
        char *text = nested(&f.arena, 4000, "a", "", "");
        fixture_bind(&f, "s", cel_type_of(VALUE_STRING), value_cstr(text));
        const struct cel_program *program = fixture_compile(&f, growing[i]);
        assert_non_null(program);
        struct arena step = {0};
        if (cel_eval(program, f.slots, &budget, &step, &v, &f.err))
            fail_msg("%s was not stopped", growing[i]);
        assert_true(f.err.code[2] == '3');
        assert_true(step.used < 8u << 20);
        arena_finish(&step);
        fixture_end(&f);
    }
}

static void test_limits__a_full_arena_fails_the_evaluation(void **state)
{
    (void)state;
    struct fixture f;
    struct value v;
    struct arena small = {.size_max = 100};
    fixture_begin(&f);
    const struct cel_program *program = fixture_compile(&f, "lists.range(10).map(x, x)");
    assert_non_null(program);
    assert_false(cel_eval(program, f.slots, NULL, &small, &v, &f.err));
    assert_string_equal(f.err.code, "C0302");
    arena_finish(&small);
    fixture_end(&f);
}

/* A list of ten lists of ten lists ...: ten levels take a hundred steps to make, and ten thousand
 * million to go through. */
#define SHARED(body)                                                                               \
    "cel.bind(a, [1,1,1,1,1,1,1,1,1,1], cel.bind(b, [a,a,a,a,a,a,a,a,a,a], cel.bind(c, "           \
    "[b,b,b,b,b,b,b,b,b,b], cel.bind(d, [c,c,c,c,c,c,c,c,c,c], cel.bind(e, "                       \
    "[d,d,d,d,d,d,d,d,d,d], cel.bind(f, [e,e,e,e,e,e,e,e,e,e], cel.bind(g, "                       \
    "[f,f,f,f,f,f,f,f,f,f], cel.bind(h, [g,g,g,g,g,g,g,g,g,g], " body "))))))))"

static void test_limits__values_that_share_their_parts_are_charged_for_all(void **state)
{
    (void)state;
    static const char *const cases[] = {
        SHARED("h == [g,g,g,g,g,g,g,g,g,g]"),
        SHARED("h in [[g,g,g,g,g,g,g,g,g,g]]"),
        SHARED("size(h.flatten(9)) > 0"),
        SHARED("size(json.encode(h)) > 0"),
        SHARED("'%s'.format([h]) == ''"),
        SHARED("sets.contains([h], [[g,g,g,g,g,g,g,g,g,g]])"),
        SHARED("size([h, h, [g]].distinct()) > 0"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        fixture_begin(&f);
        fixture_expect(&f, cases[i], "!C0301");
        fixture_end(&f);
    }
    struct fixture f;
    struct value v, plain;
    fixture_begin(&f);
    const struct cel_program *program = fixture_compile(&f, SHARED("[h, optional.of(1)]"));
    assert_true(cel_eval(program, f.slots, NULL, &f.arena, &v, &f.err));
    assert_false(cel_value_plain(&f.arena, v, &plain));
    fixture_end(&f);
}

static void test_limits__an_estimate_over_the_bound_is_refused(void **state)
{
    (void)state;
    static const char text[] = "true && l.exists(a, l.exists(b, a == b))";
    for (uint64_t over = 0; over < 2; over++) {
        struct fixture f;
        fixture_begin(&f);
        fixture_bind(&f, "l", cel_type_list(&f.arena, cel_type_of(VALUE_STRING)), value_null());
        const struct cel_program *program = fixture_compile(&f, text);
        uint64_t cost = cel_program_cost(program, LIMIT_EXPRESSION_ITEMS);
        cel_env_set_options(f.env, (struct cel_options){.cost_max = cost - over});
        assert_true((fixture_compile(&f, text) != NULL) == (over == 0));
        if (over) {
            const struct error *err = f.errors.items[0];
            assert_string_equal(err->code, "C0304");
            assert_int_equal(err->column, 17);
            assert_non_null(strstr(err->message, "LIMIT_EXPRESSION_ESTIMATE"));
        }
        fixture_end(&f);
    }
}

static void test_limits__an_estimate_follows_loops_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t at_least, at_most; // with 100 items
    } cases[] = {
        {"1 + 2", 1, 10},
        {"l.exists(a, a == 'x')", 200, 1000},
        {"l.exists(a, l.exists(b, l.exists(c, true)))", 1000000, 10000000},
        {"[1, 2].exists(a, l.exists(b, true))", 200, 2000},
        {"l.filter(a, a != '').map(a, a).exists(b, b == 'x')", 600, 5000},
        {"l.map(a, l).exists(b, b.exists(c, true))", 20000, 200000},
        {"lists.range(9).map(a, l.join(','))", 100000, 10000000},
        {"optional.of(1).optMap(a, a + 1).orValue(2) == 2", 3, 60},
    };
    struct fixture f;
    fixture_begin(&f);
    fixture_bind(&f, "l", cel_type_list(&f.arena, cel_type_of(VALUE_STRING)), value_null());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct cel_program *program = fixture_compile(&f, cases[i].text);
        assert_non_null(program);
        uint64_t cost = cel_program_cost(program, 100);
        if (cost < cases[i].at_least || cost > cases[i].at_most)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)cost);
        cel_program_finish(program);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__depth),
        cmocka_unit_test(test_limits__long_chains_of_and_are_not_deep),
        cmocka_unit_test(test_limits__code_points),
        cmocka_unit_test(test_limits__cost_of_one_evaluation),
        cmocka_unit_test(test_limits__case_20_no_pattern_takes_long),
        cmocka_unit_test(test_limits__budget_is_shared_and_exact),
        cmocka_unit_test(test_limits__memory_of_growing_texts),
        cmocka_unit_test(test_limits__a_full_arena_fails_the_evaluation),
        cmocka_unit_test(test_limits__values_that_share_their_parts_are_charged_for_all),
        cmocka_unit_test(test_limits__an_estimate_over_the_bound_is_refused),
        cmocka_unit_test(test_limits__an_estimate_follows_loops_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
