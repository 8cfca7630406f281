// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "base/limits.h"
#include "value/json.h"

static bool parses(struct arena *arena, const char *text, struct value *ret, struct error *err)
{
    return json_parse(arena, str_from(text), ret, err);
}

static void test_json__writes_back_what_it_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"null", "true", "[]", "{}", "[1,-1,0,1.5]", "{\"a\":{\"b\":[null]}}",
                                        "\"\xC3\xA9\xF0\x9F\x98\x80\"", "9223372036854775807", "-9223372036854775808",
                                        "18446744073709551615", "\"a\\\"b\\\\c\\n\"", "1e300"};
    struct arena arena ARENA_AUTO = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct value v;
        struct error err;
        struct buf out = {.arena = &arena};
        assert_true(parses(&arena, texts[i], &v, &err));
        json_write(&out, v, JSON_COMPACT);
        assert_string_equal(buf_str(&out).ptr, texts[i]);
    }
}

static void test_json__refuses_what_the_grammar_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"", " ", "nul", "01", "1.", ".5", "-", "+1", "1e", "[1,]", "[,1]", "{\"a\"}",
                                      "{a:1}", "{\"a\":1,}", "\"\x01\"", "\"\\x\"", "\"\\u12g4\"", "\"abc", "[1 2]",
                                      "1 2", "tru", "'a'", "[", "{", "\"\\ud800\"", "\"\\udc00\"", "\"\x80\"", "1e999",
                                      "{\"a\":1,\"a\":2}", "NaN", "\xEF\xBB\xBF" "1"};
    struct arena arena ARENA_AUTO = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct value v = value_int(42);
        struct error err = {0};
        if (parses(&arena, bad[i], &v, &err))
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(err.code);
        assert_int_equal(v.i, 42);
    }
}

static void test_json__depth_at_and_past_the_bound(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    char text[2 * LIMIT_JSON_DEPTH + 3];
    struct value v;
    struct error err;
    memset(text, '[', LIMIT_JSON_DEPTH);
    memset(text + LIMIT_JSON_DEPTH, ']', LIMIT_JSON_DEPTH);
    assert_true(json_parse(&arena, (struct str){text, 2 * (size_t)LIMIT_JSON_DEPTH}, &v, &err));
    memset(text, '[', LIMIT_JSON_DEPTH + 1);
    memset(text + LIMIT_JSON_DEPTH + 1, ']', LIMIT_JSON_DEPTH + 1);
    assert_false(json_parse(&arena, (struct str){text, 2 * (size_t)LIMIT_JSON_DEPTH + 2}, &v, &err));
    assert_string_equal(err.code, "V0002");
}

static void test_json__kinds_of_numbers(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct value v;
    struct error err;
    assert_true(parses(&arena, "1", &v, &err) && v.kind == VALUE_INT);
    assert_true(parses(&arena, "1.0", &v, &err) && v.kind == VALUE_DOUBLE);
    assert_true(parses(&arena, "9223372036854775808", &v, &err) && v.kind == VALUE_UINT);
    assert_true(parses(&arena, "1e2", &v, &err) && v.kind == VALUE_DOUBLE && v.d == 100);
}

static void test_json__canonical_form_sorts_keys(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct value v;
    struct error err;
    struct buf out = {.arena = &arena};
    assert_true(parses(&arena, " { \"b\" : 1, \"a\" : [ { \"z\":1, \"y\":2 } ] } ", &v, &err));
    json_write(&out, v, JSON_CANONICAL);
    assert_string_equal(buf_str(&out).ptr, "{\"a\":[{\"y\":2,\"z\":1}],\"b\":1}");
}

static void test_json__escapes_are_decoded(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct value v;
    struct error err;
    assert_true(parses(&arena, "\"\\u00e9\\ud83d\\ude00\\/\\b\\u0000\"", &v, &err));
    assert_int_equal(v.len, 9);
    assert_memory_equal(v.str, "\xC3\xA9\xF0\x9F\x98\x80/\b\0", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__writes_back_what_it_read),
        cmocka_unit_test(test_json__refuses_what_the_grammar_refuses),
        cmocka_unit_test(test_json__depth_at_and_past_the_bound),
        cmocka_unit_test(test_json__kinds_of_numbers),
        cmocka_unit_test(test_json__canonical_form_sorts_keys),
        cmocka_unit_test(test_json__escapes_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
