// SPDX-License-Identifier: Apache-2.0
/* The outermost members of an object as pieces of its text. */
#include "../cmocka_all.h"
#include "value/json_member.h"

#include <string.h>

static void expect(struct json_members *m, const char *name, const char *value)
{
    assert_true(json_members_next(m));
    if (!str_is(m->name, name) || !str_is(m->value, value))
        fail_msg("wanted %s %s, got %.*s %.*s", name, value, STR_FMT(m->name), STR_FMT(m->value));
}

static void test_json_members__come_as_they_stand(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct json_members m;
    (void)state;
    assert_true(json_members_begin(&m,
                                   STR(" { \"a\" : {\"a\":[1,{\"b\":\"}]\"}] , \"x\":2} ,\n"
                                       "\"b\":\"q\\\"\\u00e4\",\"\\u0063\":[ ],\"d\":-1.50e1 ,"
                                       "\"\":null,\"a\":true}"),
                                   &arena));
    expect(&m, "a", "{\"a\":[1,{\"b\":\"}]\"}] , \"x\":2}");
    assert_null(json_members_string(&m).ptr);
    expect(&m, "b", "\"q\\\"\\u00e4\"");
    assert_true(str_is(json_members_string(&m), "q\"\xC3\xA4"));
    expect(&m, "c", "[ ]");
    expect(&m, "d", "-1.50e1");
    expect(&m, "", "null");
    expect(&m, "a", "true");
    assert_false(json_members_next(&m));
    assert_false(json_members_next(&m));
}

static void test_json_members__of_nothing(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct json_members m;
    (void)state;
    assert_true(json_members_begin(&m, STR("{}"), &arena));
    assert_false(json_members_next(&m));
    static const char *const none[] = {"", "  ", "[1]", "\"a\"", "{\"a"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(json_members_begin(&m, str_from(none[i]), &arena));
}

/* Whatever the text, it ends, and within the text. */
static void test_json_members__of_text_that_is_no_json(void **state)
{
    static const char *const texts[] = {"{",        "{\"a\"",       "{\"a\":",     "{\"a\":[{",
                                        "{\"a\":1", "{\"a\":1,",    "{,",          "{\"a\":}}}]",
                                        "{1:2}",    "{\"a\" \"b\"", "{\"a\":\"b\""};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ARENA_AUTO struct arena arena = {0};
        struct json_members m;
        char *copy = arena_alloc_raw(&arena, strlen(texts[i]), 1);
        assert_non_null(copy);
        memcpy(copy, texts[i], strlen(texts[i]));
        unsigned count = 0;
        if (json_members_begin(&m, (struct str){copy, strlen(texts[i])}, &arena))
            while (json_members_next(&m))
                assert_true(++count < 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_members__come_as_they_stand),
        cmocka_unit_test(test_json_members__of_nothing),
        cmocka_unit_test(test_json_members__of_text_that_is_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
