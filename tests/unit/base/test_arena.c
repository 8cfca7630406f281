// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "base/arena.h"

#include <string.h>

static void test_arena__memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    for (size_t size = 0; size < 200; size++) {
        unsigned char *p = arena_alloc(&arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xFF, size);
    }
}

static void test_arena__bound_is_reached_and_not_passed(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {.size_max = 100};
    assert_non_null(arena_alloc_raw(&arena, 100, 1));
    assert_null(arena_alloc_raw(&arena, 1, 1));
    arena_reset(&arena);
    assert_non_null(arena_alloc_raw(&arena, 100, 1));
}

static void test_arena__array_overflow_is_refused(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 4));
    assert_null(arena_alloc(&arena, SIZE_MAX));
}

static void test_arena__rewind_gives_back_what_came_after_the_mark(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    char *kept = arena_copy(&arena, "kept", 4);
    struct arena_mark mark = arena_mark(&arena);
    size_t used = arena.used;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&arena, 10000));
    arena_rewind(&arena, mark);
    assert_int_equal(arena.used, used);
    assert_string_equal(kept, "kept");
}

static void test_arena__grow_keeps_content_in_place_or_moved(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    char *p = arena_copy(&arena, "abcdefg", 7);
    char *same = arena_grow(&arena, p, 8, 64);
    assert_ptr_equal(p, same); // it was the last one
    assert_non_null(arena_alloc(&arena, 1));
    char *moved = arena_grow(&arena, same, 64, 100000);
    assert_ptr_not_equal(moved, same);
    assert_string_equal(moved, "abcdefg");
}

static void test_arena__printf_formats(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_arena__bound_is_reached_and_not_passed),
        cmocka_unit_test(test_arena__array_overflow_is_refused),
        cmocka_unit_test(test_arena__rewind_gives_back_what_came_after_the_mark),
        cmocka_unit_test(test_arena__grow_keeps_content_in_place_or_moved),
        cmocka_unit_test(test_arena__printf_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
