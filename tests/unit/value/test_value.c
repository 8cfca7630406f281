// SPDX-License-Identifier: Apache-2.0
/* The one value type: maps with and without an index, equality, paths, copies, builders. */
#include "../cmocka_all.h"
#include "value/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct value map_of(struct arena *arena, unsigned count)
{
    struct value_builder map = {.arena = arena};
    for (unsigned i = 0; i < count; i++)
        value_set(&map, arena_printf(arena, "key%u", i), value_int(i));
    return value_finish_map(&map);
}

static void test_value__a_zeroed_value_is_null(void **state)
{
    struct value v = {0};
    (void)state;
    assert_int_equal(sizeof v, 16);
    assert_int_equal(v.kind, VALUE_NULL);
    assert_true(value_equal(v, value_null()));
}

static void test_value_map__finds_keys_at_every_size(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= 70; count++) {
        ARENA_AUTO struct arena arena = {0};
        struct value map = map_of(&arena, count);
        assert_int_equal(map.len, count);
        assert_int_equal((map.flags & VALUE_INDEXED) != 0, count > VALUE_MAP_SCAN_MAX);
        for (unsigned i = 0; i < count; i++) {
            char key[16];
            snprintf(key, sizeof key, "key%u", i);
            const struct value *found = value_get(map, str_from(key));
            assert_non_null(found);
            assert_int_equal(found->i, i);
        }
        assert_null(value_get(map, STR("key")));
        assert_null(value_get(map, STR("")));
    }
}

static void test_value_map__refuses_duplicates_and_says_which(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 20; count++) {
        ARENA_AUTO struct arena arena = {0};
        struct value_pair pairs[20];
        struct value map;
        size_t duplicate = 0;
        for (size_t i = 0; i < count; i++)
            pairs[i].key = value_cstr(arena_printf(&arena, "k%zu", i == count - 1 ? 0 : i));
        assert_false(value_map(&arena, pairs, count, &map, &duplicate));
        assert_int_equal(duplicate, count - 1);
        pairs[count - 1].key = value_cstr("other");
        assert_true(value_map(&arena, pairs, count, &map, &duplicate));
        assert_int_equal(duplicate, SIZE_MAX);
    }
}

static void test_value_map__number_keys_compare_by_value(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 12; count += 10) {
        ARENA_AUTO struct arena arena = {0};
        struct value_pair pairs[12];
        struct value map;
        pairs[0] = (struct value_pair){value_uint(1), value_cstr("one")};
        pairs[1] = (struct value_pair){value_bool(true), value_cstr("yes")};
        for (size_t i = 2; i < count; i++)
            pairs[i] = (struct value_pair){value_int((int64_t)i * -1), value_null()};
        assert_true(value_map(&arena, pairs, count, &map, NULL));
        assert_true(value_equal(*value_get_key(map, value_int(1)), value_cstr("one")));
        assert_true(value_equal(*value_get_key(map, value_double(1)), value_cstr("one")));
        assert_true(value_equal(*value_get_key(map, value_bool(true)), value_cstr("yes")));
        assert_null(value_get_key(map, value_double(1.5)));
        assert_null(value_get_key(map, value_bool(false)));
        assert_null(value_get_key(map, value_cstr("1")));
    }
}

static void test_value_path__steps_through_maps_and_lists(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct value_builder inner = {.arena = &arena}, list = {.arena = &arena},
                         outer = {.arena = &arena};
    (void)state;
    value_set(&inner, "c", value_cstr("deep"));
    value_push(&list, value_int(7));
    value_push(&list, value_finish_map(&inner));
    value_set(&outer, "b", value_finish_list(&list));
    struct value root = value_finish_map(&outer);
    assert_true(str_is(value_path_str(root, "b.1.c"), "deep"));
    assert_int_equal(value_path(root, "b.0")->i, 7);
    assert_null(value_path(root, "b.2"));
    assert_null(value_path(root, "b.-1"));
    assert_null(value_path(root, "b.x"));
    assert_null(value_path(root, "b.1.c.d"));
    assert_null(value_path_str(root, "b.0").ptr);
    assert_null(value_path(value_null(), "a"));
}

static void test_value_equal__numbers_compare_exactly_across_kinds(void **state)
{
    (void)state;
    assert_true(value_equal(value_int(5), value_uint(5)));
    assert_true(value_equal(value_int(-5), value_double(-5)));
    assert_false(value_equal(value_int(-1), value_uint(UINT64_MAX)));
    assert_false(value_equal(value_int(INT64_MAX), value_double(9223372036854775808.0)));
    assert_true(value_equal(value_uint((uint64_t)1 << 63), value_double(9223372036854775808.0)));
    assert_false(value_equal(value_uint(UINT64_MAX), value_double(18446744073709551616.0)));
    assert_false(value_equal(value_int(9007199254740993), value_double(9007199254740992.0)));
    assert_true(value_equal(value_double(0.0), value_double(-0.0)));
    assert_false(value_equal(value_double(NAN), value_double(NAN)));
    assert_false(value_equal(value_int(0), value_double(NAN)));
    assert_false(value_equal(value_int(1), value_bool(true)));
}

static void test_value_equal__lists_by_order_maps_without(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct value_builder a = {.arena = &arena}, b = {.arena = &arena};
    struct value forward[] = {value_int(1), value_int(2)},
                 backward[] = {value_int(2), value_int(1)};
    (void)state;
    value_set(&a, "x", value_int(1));
    value_set(&a, "y", value_list(forward, 2));
    value_set(&b, "y", value_list(forward, 2));
    value_set(&b, "x", value_uint(1));
    struct value first = value_finish_map(&a), second = value_finish_map(&b);
    assert_true(value_equal(first, second));
    assert_false(value_equal(value_list(forward, 2), value_list(backward, 2)));
    assert_false(value_equal(value_list(forward, 1), value_list(forward, 2)));
    assert_false(value_equal(value_cstr("a"), value_bytes(STR("a"))));
    assert_true(value_equal(value_string((struct str){0}), value_cstr("")));
    struct value time = {.kind = VALUE_TIMESTAMP, .i = 1, .len = 2}, later = time;
    later.len = 3;
    assert_true(value_equal(time, time));
    assert_false(value_equal(time, later));
}

static void test_value_copy__needs_nothing_of_the_original(void **state)
{
    ARENA_AUTO struct arena from = {0};
    ARENA_AUTO struct arena to = {0};
    struct value copy;
    (void)state;
    struct value_builder map = {.arena = &from};
    for (unsigned i = 0; i < 20; i++) {
        struct value *item = ARENA_NEW(&from, struct value);
        *item = value_cstr(arena_printf(&from, "value%u", i));
        value_set(&map, arena_printf(&from, "key%u", i), value_list(item, 1));
    }
    assert_true(value_copy(&to, value_finish_map(&map), &copy));
    arena_finish(&from);
    assert_true(str_is(value_path_str(copy, "key19.0"), "value19"));
    struct arena none = {.size_max = 1};
    assert_false(value_copy(&none, copy, &copy));
    arena_finish(&none);
}

static void test_value_builder__a_key_set_twice_keeps_its_place(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct value_builder map = {.arena = &arena};
    (void)state;
    value_set(&map, "a", value_int(1));
    value_set(&map, "b", value_int(2));
    value_set(&map, "a", value_int(3));
    struct value v = value_finish_map(&map);
    assert_int_equal(v.len, 2);
    assert_true(str_is(value_str(v.pairs[0].key), "a"));
    assert_int_equal(v.pairs[0].value.i, 3);
}

static void test_value_builder__failure_gives_null(void **state)
{
    struct arena none = {.size_max = 1};
    struct value_builder map = {.arena = &none}, list = {.arena = &none};
    (void)state;
    value_set(&map, "a", value_int(1));
    value_push(&list, value_int(1));
    assert_true(map.failed && list.failed);
    assert_int_equal(value_finish_map(&map).kind, VALUE_NULL);
    assert_int_equal(value_finish_list(&list).kind, VALUE_NULL);
    arena_finish(&none);
}

static void test_value_kind_name__every_kind_has_one(void **state)
{
    (void)state;
    for (unsigned i = VALUE_NULL; i <= VALUE_OPAQUE; i++)
        assert_string_not_equal(value_kind_name((enum value_kind)i), "?");
    assert_string_equal(value_kind_name((enum value_kind)(VALUE_OPAQUE + 1)), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value__a_zeroed_value_is_null),
        cmocka_unit_test(test_value_map__finds_keys_at_every_size),
        cmocka_unit_test(test_value_map__refuses_duplicates_and_says_which),
        cmocka_unit_test(test_value_map__number_keys_compare_by_value),
        cmocka_unit_test(test_value_path__steps_through_maps_and_lists),
        cmocka_unit_test(test_value_equal__numbers_compare_exactly_across_kinds),
        cmocka_unit_test(test_value_equal__lists_by_order_maps_without),
        cmocka_unit_test(test_value_copy__needs_nothing_of_the_original),
        cmocka_unit_test(test_value_builder__a_key_set_twice_keeps_its_place),
        cmocka_unit_test(test_value_builder__failure_gives_null),
        cmocka_unit_test(test_value_kind_name__every_kind_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
