// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "base/error.h"

static const char *printed(struct arena *arena, const struct error *err)
{
    struct buf out = {.arena = arena};
    error_print(&out, err);
    return buf_str(&out).ptr;
}

static void test_error__points_at_its_place(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct str source = STR("a: 1\n  filter: x\n");
    assert_false(error_set(&err, "P0107", "unknown key `%s`", "filter"));
    error_hint(&err, "did you mean `%s`?", "filters");
    error_place(&err, "p.yaml", source, 7, 6);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 3);
    assert_string_equal(printed(&arena, &err), "error[P0107]: unknown key `filter`\n"
                                               "  --> p.yaml:2:3\n"
                                               "      |\n"
                                               "    2 |   filter: x\n"
                                               "      |   ^^^^^^\n"
                                               "      = help: did you mean `filters`?\n");
}

static void test_error__caret_stands_under_wide_characters(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct str source = STR("\u4e2d\u6587 x");
    error_set(&err, "T0", "m");
    error_place(&err, "f", source, 7, 1);
    assert_int_equal(err.column, 4);
    assert_non_null(strstr(printed(&arena, &err), "      |      ^\n"));
}

static void test_error__context_stands_before_the_message(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, "X1", "inner");
    error_context(&err, "outer %d", 2);
    assert_string_equal(err.message, "outer 2: inner");
    assert_string_equal(err.code, "X1");
}

static void test_error__long_messages_are_cut_visibly(void **state)
{
    (void)state;
    struct error err;
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, "X1", "%s", text);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    assert_string_equal(err.message + ERROR_MESSAGE_MAX - 4, "...");
    error_context(&err, "more");
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
}

static void test_error__control_characters_are_shown(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    error_set(&err, "X1", "a\x1b[31mb");
    assert_non_null(strstr(printed(&arena, &err), "a\\x1b[31mb"));
}

static void test_error__list_counts_past_its_bound(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list list = {.arena = &arena};
    struct error err;
    error_set(&err, "X1", "m");
    for (int i = 0; i < ERROR_LIST_MAX + 5; i++)
        error_list_add(&list, &err);
    assert_int_equal(list.count, ERROR_LIST_MAX + 5);
    assert_string_equal(list.items[ERROR_LIST_MAX - 1]->message, "m");
}

static void test_error__null_is_accepted_everywhere(void **state)
{
    (void)state;
    assert_false(error_set(NULL, "X", "m"));
    assert_false(error_context(NULL, "m"));
    assert_false(error_hint(NULL, "m"));
    error_place(NULL, "f", STR("x"), 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__points_at_its_place),
        cmocka_unit_test(test_error__caret_stands_under_wide_characters),
        cmocka_unit_test(test_error__context_stands_before_the_message),
        cmocka_unit_test(test_error__long_messages_are_cut_visibly),
        cmocka_unit_test(test_error__control_characters_are_shown),
        cmocka_unit_test(test_error__list_counts_past_its_bound),
        cmocka_unit_test(test_error__null_is_accepted_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
