// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "value/json.h"

#include <math.h>

static void test_value__numbers_compare_exactly(void **state)
{
    (void)state;
    assert_true(value_equal(value_int(1), value_double(1)));
    assert_true(value_equal(value_uint(UINT64_MAX), value_uint(UINT64_MAX)));
    assert_true(value_equal(value_int(5), value_uint(5)));
    assert_false(value_equal(value_int(-1), value_uint(UINT64_MAX)));
    assert_false(value_equal(value_int(INT64_MAX), value_double(9223372036854775808.0)));
    assert_false(value_equal(value_double(NAN), value_double(NAN)));
    assert_false(value_equal(value_int(1), value_bool(true)));
}

static void fill(struct arena *arena, size_t count, struct value *ret)
{
    struct value_builder map = {.arena = arena};
    for (size_t i = 0; i < count; i++)
        value_set(&map, arena_printf(arena, "k%zu", i), value_int((int64_t)i));
    *ret = value_finish_map(&map);
}

static void test_value__maps_find_their_keys_small_and_indexed(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    static const size_t sizes[] = {0, 1, VALUE_MAP_SCAN_MAX, VALUE_MAP_SCAN_MAX + 1, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct value map;
        fill(&arena, sizes[i], &map);
        assert_int_equal(map.len, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            const struct value *v = value_get(map, str_from(arena_printf(&arena, "k%zu", k)));
            assert_non_null(v);
            assert_int_equal(v->i, k);
        }
        assert_null(value_get(map, STR("none")));
    }
}

static void test_value__duplicate_keys_are_told(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct value_pair pairs[20];
    struct value map;
    size_t duplicate;
    for (int i = 0; i < 20; i++)
        pairs[i] = (struct value_pair){value_int(i), value_null()};
    pairs[15].key = value_double(3);
    assert_false(value_map(&arena, pairs, 20, &map, &duplicate));
    assert_int_equal(duplicate, 15);
}

static void test_value__paths(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct value v;
    struct error err;
    assert_true(json_parse(&arena, STR("{\"a\":{\"b\":[10,{\"c\":\"x\"}]}}"), &v, &err));
    assert_int_equal(value_path(v, "a.b.0")->i, 10);
    assert_true(str_is(value_path_str(v, "a.b.1.c"), "x"));
    assert_null(value_path(v, "a.b.2"));
    assert_null(value_path(v, "a.x"));
    assert_null(value_path(v, "a.b.1.c.d"));
}

static void test_value__copies_are_deep_and_equal(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0}, other ARENA_AUTO = {0};
    struct value v, copy;
    struct error err;
    char text[] = "{\"a\":[1,\"two\",{\"three\":3.5}]}";
    assert_true(json_parse(&arena, str_from(text), &v, &err));
    assert_true(value_copy(&other, v, &copy));
    assert_true(value_equal(v, copy));
    memset(text, 'x', sizeof text - 1);
    arena_reset(&arena);
    assert_true(str_is(value_path_str(copy, "a.1"), "two"));
}

static void test_value__map_equality_ignores_order(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct value a, b, c;
    struct error err;
    assert_true(json_parse(&arena, STR("{\"x\":1,\"y\":[1,2]}"), &a, &err));
    assert_true(json_parse(&arena, STR("{\"y\":[1,2],\"x\":1.0}"), &b, &err));
    assert_true(json_parse(&arena, STR("{\"y\":[2,1],\"x\":1}"), &c, &err));
    assert_true(value_equal(a, b));
    assert_false(value_equal(a, c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value__numbers_compare_exactly),
        cmocka_unit_test(test_value__maps_find_their_keys_small_and_indexed),
        cmocka_unit_test(test_value__duplicate_keys_are_told),
        cmocka_unit_test(test_value__paths),
        cmocka_unit_test(test_value__copies_are_deep_and_equal),
        cmocka_unit_test(test_value__map_equality_ignores_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
