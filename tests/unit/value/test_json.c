// SPDX-License-Identifier: Apache-2.0
/* The JSON document. */
#include "../cmocka_all.h"
#include "base/limits.h"
#include "json_samples.h"
#include "value/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *written(struct arena *arena, struct value v, enum json_style style)
{
    struct buf out = {.arena = arena};
    json_write(&out, v, style);
    return buf_str(&out).ptr;
}

static void check_sample(const struct sample *sample, struct str text)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err = {0};
    struct value v, again;
    bool ok = json_parse(&arena, text, &v, &err);
    if (ok != (sample->written != NULL))
        fail_msg("%s: %s", sample->name, ok ? "was read" : err.message);
    if (!ok && strcmp(err.code, sample->code) != 0)
        fail_msg("%s: %s instead of %s", sample->name, err.code, sample->code);
    if (!ok)
        return;
    const char *out = written(&arena, v, JSON_COMPACT);
    if (strcmp(out, sample->written) != 0)
        fail_msg("%s: %s", sample->name, out);
    /* What we write we read, and it is the same. */
    assert_true(json_parse(&arena, str_from(out), &again, &err));
    assert_true(value_equal(v, again));
}

static void test_json__samples_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        check_sample(&samples[i], sample_text(&samples[i]));
    }
}

/* The same behind so much that blocks, the scan's edges and the arena's path are crossed. */
static void test_json__samples_are_the_same_inside_long_texts(void **state)
{
    static const size_t pads[] = {1, 31, 32, 62, 63, 64, 65, 127, 5000};
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        for (size_t j = 0; j < sizeof pads / sizeof *pads; j++) {
            ARENA_AUTO struct arena arena = {0};
            struct buf text = {.arena = &arena};
            for (size_t n = 0; n < pads[j]; n++)
                buf_add_byte(&text, ' ');
            buf_add_str(&text, sample_text(&samples[i]));
            check_sample(&samples[i], buf_str(&text));
        }
    }
}

static const char *nested(struct arena *arena, unsigned depth)
{
    struct buf out = {.arena = arena};
    for (unsigned i = 0; i < depth; i++)
        buf_add_byte(&out, '[');
    for (unsigned i = 0; i < depth; i++)
        buf_add_byte(&out, ']');
    return buf_str(&out).ptr;
}

static void test_json__depth_64_is_read_and_65_is_not(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err;
    struct value v;
    (void)state;
    assert_true(json_parse(&arena, str_from(nested(&arena, LIMIT_JSON_DEPTH)), &v, &err));
    assert_false(json_parse(&arena, str_from(nested(&arena, LIMIT_JSON_DEPTH + 1)), &v, &err));
    assert_string_equal(err.code, "V0002");
}

static void test_json__errors_point_at_line_and_column(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err;
    struct value v;
    (void)state;
    assert_false(json_parse(&arena, STR("{\n \"\xC3\xA4\": tru}"), &v, &err));
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 7);
    assert_string_equal(err.source_line, " \"\xC3\xA4\": tru}");
}

static void test_json__strings_without_escapes_borrow(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    const char *text = "{\"plain\":\"text\",\"esc\":\"a\\nb\"}";
    struct error err;
    struct value v;
    (void)state;
    assert_true(json_parse(&arena, str_from(text), &v, &err));
    assert_ptr_equal(value_path_str(v, "plain").ptr, text + 10);
    assert_true(str_is(value_path_str(v, "esc"), "a\nb"));
    uintptr_t esc = (uintptr_t)value_path_str(v, "esc").ptr;
    assert_false(esc >= (uintptr_t)text && esc < (uintptr_t)text + strlen(text));
}

static void test_json__memory_that_runs_out_is_an_error(void **state)
{
    struct error err;
    struct value v;
    (void)state;
    const char *text = "{\"a\":[1,2,3,{\"b\":\"\\n\"}],\"c\":{\"d\":[[],{}]}}";
    bool read = false;
    for (size_t limit = 1; !read && limit < 100000; limit += 7) {
        ARENA_AUTO struct arena arena = {.size_max = limit};
        read = json_parse(&arena, str_from(text), &v, &err);
        if (!read)
            assert_string_equal(err.code, "V0006");
    }
    assert_true(read);
}

static void test_json_write__canonical_sorts_by_bytes_at_every_level(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err;
    struct value v;
    (void)state;
    assert_true(json_parse(
        &arena,
        STR("{\"b\":{\"z\":1,\"a\":[true,null]},\"\xC3\xA4\":2,\"a\":1.50,\"aa\":\"\\u000b\"}"), &v,
        &err));
    assert_string_equal(
        written(&arena, v, JSON_CANONICAL),
        "{\"a\":1.5,\"aa\":\"\\u000b\",\"b\":{\"a\":[true,null],\"z\":1},\"\xC3\xA4\":2}");
    assert_string_equal(
        written(&arena, v, JSON_PRETTY),
        "{\n  \"b\": {\n    \"z\": 1,\n    \"a\": [\n      true,\n      null\n    ]\n  },\n"
        "  \"\xC3\xA4\": 2,\n  \"a\": 1.5,\n  \"aa\": \"\\u000b\"\n}");
}

/* Every byte at every place of a text that is longer than what is looked at at once. */
static void test_json_write__each_byte_is_escaped_where_json_says_so(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20], expected[32];
            memset(text, at % 2 ? 'a' : '\xC3', sizeof text);
            text[at] = (char)c;
            static const char from[] = "\b\f\n\r\t\"\\", to[] = "bfnrt\"\\";
            const char *named = c ? strchr(from, (int)c) : NULL;
            char escaped[8] = {(char)c};
            if (named)
                snprintf(escaped, sizeof escaped, "\\%c", to[named - from]);
            else if (c < 0x20 || c == 0x7F)
                snprintf(escaped, sizeof escaped, "\\u%04x", c);
            int len = snprintf(expected, sizeof expected, "\"%.*s%s%.*s\"", (int)at, text, escaped,
                               (int)(19 - at), text + at + 1);
            struct buf out = {.arena = &arena};
            json_write_string(&out, (struct str){text, sizeof text});
            assert_true(str_eq(buf_str(&out), (struct str){expected, (size_t)len}));
        }
        arena_reset(&arena);
    }
    arena_finish(&arena);
}

static void test_json_write__kinds_without_json_have_texts(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    (void)state;
    assert_string_equal(written(&arena, value_bytes(STR("\x01\x02")), JSON_COMPACT), "\"AQI=\"");
    assert_string_equal(written(&arena, value_double(NAN), JSON_COMPACT), "\"NaN\"");
    assert_string_equal(written(&arena, value_double(-INFINITY), JSON_COMPACT), "\"-Infinity\"");
    struct value time = {.kind = VALUE_TIMESTAMP, .i = 1767322980, .len = 500000000};
    assert_string_equal(written(&arena, time, JSON_COMPACT), "\"2026-01-02T03:03:00.5Z\"");
    struct value duration = {.kind = VALUE_DURATION, .i = -1500000000};
    assert_string_equal(written(&arena, duration, JSON_COMPACT), "\"-1.5s\"");
    assert_string_equal(written(&arena, value_list(NULL, 0), JSON_PRETTY), "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__samples_are_read_or_refused),
        cmocka_unit_test(test_json__samples_are_the_same_inside_long_texts),
        cmocka_unit_test(test_json__depth_64_is_read_and_65_is_not),
        cmocka_unit_test(test_json__errors_point_at_line_and_column),
        cmocka_unit_test(test_json__strings_without_escapes_borrow),
        cmocka_unit_test(test_json__memory_that_runs_out_is_an_error),
        cmocka_unit_test(test_json_write__canonical_sorts_by_bytes_at_every_level),
        cmocka_unit_test(test_json_write__each_byte_is_escaped_where_json_says_so),
        cmocka_unit_test(test_json_write__kinds_without_json_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
