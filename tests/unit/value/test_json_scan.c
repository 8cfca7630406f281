// SPDX-License-Identifier: Apache-2.0
/* The tokenizer's paths leave the same behind, whatever the text and wherever blocks end. */
#include "../cmocka_all.h"
#include "value/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 700

struct result {
    uint32_t ends[JSON_SCAN_ENDS(TEXT_MAX)];
    uint64_t escapes[JSON_SCAN_ESCAPES(TEXT_MAX)];
    struct json_scan scan;
    enum json_scan_error error;
    size_t at;
};

static void run(struct result *r, struct str text,
                enum json_scan_error (*scan)(struct json_scan *, size_t *))
{
    r->scan = (struct json_scan){.text = text, .ends = r->ends, .escapes = r->escapes};
    r->at = 0;
    r->error = scan(&r->scan, &r->at);
}

static void check_same(const struct result *plain, const struct result *fast)
{
    size_t len = plain->scan.text.len;
    assert_int_equal(plain->error, fast->error);
    if (plain->error) {
        assert_int_equal(plain->at, fast->at);
        return;
    }
    assert_int_equal(plain->scan.end_count, fast->scan.end_count);
    assert_memory_equal(plain->ends, fast->ends, (plain->scan.end_count + 1) * sizeof *plain->ends);
    assert_int_equal(plain->scan.has_escapes, fast->scan.has_escapes);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(json_has_escape(&fast->scan, i, i + 1), plain->scan.text.ptr[i] == '\\');
}

static bool is_mark(char c)
{
    return c && strchr(",:[]{}", c) != NULL;
}

/* The header's definition, byte by byte. */
static void check_ends(const struct result *r)
{
    struct str text = r->scan.text;
    bool inside = false, plain = false; // plain: the byte before is neither quote nor mark
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool escaped_quote = c == '\\' && text.ptr[++i] == '"';
        bool end = c == '"' ? inside : !inside && is_mark(c) && plain;
        if (c == '"')
            inside = !inside;
        plain = escaped_quote || (c != '"' && !is_mark(c));
        if (end)
            assert_int_equal(r->ends[count++], i);
    }
    assert_int_equal(count, r->scan.end_count);
    assert_int_equal(r->ends[count], text.len);
}

static void check_all(struct str text)
{
    static struct result plain, fast;
    /* A copy of the exact size, so that reading past the end is seen. */
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    run(&plain, (struct str){copy, text.len}, json_scan_plain);
    if (!plain.error)
        check_ends(&plain);
    run(&fast, (struct str){copy, text.len}, json_scan);
    check_same(&plain, &fast);
    if (json_scan_has_avx2()) {
        run(&fast, (struct str){copy, text.len}, json_scan_avx2);
        check_same(&plain, &fast);
    }
    if (json_scan_has_avx512()) {
        run(&fast, (struct str){copy, text.len}, json_scan_avx512);
        check_same(&plain, &fast);
    }
    free(copy);
}

static void test_json_scan__all_paths_agree_on_random_texts(void **state)
{
    static const char *const pieces[] = {"\"",
                                         "\"",
                                         "\\\"",
                                         "\\\\",
                                         "\\",
                                         "a",
                                         "{\"k\":",
                                         "}",
                                         " ",
                                         "\n",
                                         "\x01",
                                         "\\u00e9",
                                         "\\ud83d\\ude00",
                                         "\\ud83d",
                                         "\xC3\xA4",
                                         "\xF0\x9F\x98\x80",
                                         "\xFF",
                                         ",",
                                         "[1,-2.5 ,",
                                         "tru",
                                         "text of some length, ",
                                         "0123456789"};
    uint64_t seed = 42;
    (void)state;
    for (unsigned round = 0; round < 30000; round++) {
        char text[TEXT_MAX];
        size_t length = 0;
        /* Few kinds of pieces at a time, so that texts without an error get long. */
        unsigned kinds = 1 + round % (sizeof pieces / sizeof *pieces);
        for (unsigned n = round % 90; n > 0; n--) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const char *piece = pieces[(seed >> 33) % kinds];
            if (length + strlen(piece) > sizeof text)
                break;
            memcpy(text + length, piece, strlen(piece));
            length += strlen(piece);
        }
        check_all((struct str){text, length});
    }
}

static void test_json_scan__runs_of_backslashes_across_blocks(void **state)
{
    (void)state;
    for (size_t before = 0; before < 130; before++) {
        for (size_t run = 0; run < 9; run++) {
            char text[TEXT_MAX];
            size_t length = 0;
            text[length++] = '"';
            memset(text + length, 'x', before);
            length += before;
            memset(text + length, '\\', run);
            length += run;
            text[length++] = '"';
            struct result r;
            check_all((struct str){text, length});
            r.scan =
                (struct json_scan){.text = {text, length}, .ends = r.ends, .escapes = r.escapes};
            enum json_scan_error error = json_scan(&r.scan, &r.at);
            assert_int_equal(error, run % 2 ? JSON_SCAN_OPEN : JSON_SCAN_OK);
            if (!error)
                assert_int_equal(r.ends[0], length - 1);
        }
    }
}

static void test_json_scan__ends_are_in_order(void **state)
{
    static struct result r;
    static const uint32_t ends[] = {3, 10, 14, 18, 22, 24};
    struct str text = STR("{\"a\":\"x\\\"y\",\"b\":[1,23 ]}");
    (void)state;
    run(&r, text, json_scan);
    assert_int_equal(r.error, JSON_SCAN_OK);
    assert_int_equal(r.scan.end_count, 5);
    assert_memory_equal(r.ends, ends, sizeof ends);
    assert_true(json_has_escape(&r.scan, 6, 10));
    assert_false(json_has_escape(&r.scan, 8, 10));
}

static void test_json_scan__errors_have_positions(void **state)
{
    static const struct {
        const char *text;
        enum json_scan_error error;
        size_t at;
    } cases[] = {
        {"\"a\nb\"", JSON_SCAN_CONTROL, 2},      {"\"a\\qb\"", JSON_SCAN_ESCAPE, 2},
        {"\"\\u12g4\"", JSON_SCAN_ESCAPE, 1},    {"\"\\ud800x\"", JSON_SCAN_SURROGATE, 1},
        {"\"\\udc00\"", JSON_SCAN_SURROGATE, 1}, {"\"\xE2\x82\"", JSON_SCAN_UTF8, 1},
        {"[\"a\",\"b]", JSON_SCAN_OPEN, 5},      {"\"\\u12", JSON_SCAN_ESCAPE, 1},
        {"\"\\", JSON_SCAN_ESCAPE, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct result r;
        run(&r, str_from(cases[i].text), json_scan);
        assert_int_equal(r.error, cases[i].error);
        assert_int_equal(r.at, cases[i].at);
        assert_non_null(json_scan_message(r.error));
    }
}

static void test_json_unescape__decodes_every_escape(void **state)
{
    char out[64];
    struct str raw = STR("a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20AC\\ud83d\\ude00z");
    (void)state;
    size_t length = json_unescape(raw, out);
    assert_true(
        str_is((struct str){out, length}, "a\"\\/\b\f\n\r\t\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z"));
}

static void test_json_number_end__accepts_the_grammar_only(void **state)
{
    static const struct {
        const char *text;
        size_t end;
    } cases[] = {
        {"0", 1},
        {"-0", 2},
        {"12,", 2},
        {"1.5e+10]", 7},
        {"123456789012345678901234567890", 30},
        {"0.12345678901234567890x", 22},
        {"1E5", 3},
        {"", 0},
        {"-", 0},
        {"01", 0},
        {"1.", 0},
        {"1.e5", 0},
        {"1e", 0},
        {"1e+", 0},
        {".5", 0},
        {"+1", 0},
        {"-a", 0},
        {"1.5.5", 3},
        {"0x10", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(json_number_end(str_from(cases[i].text), 0), cases[i].end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scan__all_paths_agree_on_random_texts),
        cmocka_unit_test(test_json_scan__runs_of_backslashes_across_blocks),
        cmocka_unit_test(test_json_scan__ends_are_in_order),
        cmocka_unit_test(test_json_scan__errors_have_positions),
        cmocka_unit_test(test_json_unescape__decodes_every_escape),
        cmocka_unit_test(test_json_number_end__accepts_the_grammar_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
