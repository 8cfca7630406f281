// SPDX-License-Identifier: Apache-2.0
/* The JSON document, in the manner of the known suites: y_ must be read, n_ must be refused, i_ is
 * left to the implementation by RFC 8259 and documented here by its expectation. */
#include "../cmocka_all.h"
#include "base/limits.h"
#include "value/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct sample {
    const char *name, *text;
    size_t length;       // 0: strlen(text)
    const char *written; // y_, i_: as compact JSON; NULL = refused
    const char *code;    // n_, i_: the error's
};
#define BYTES(text) text, sizeof(text) - 1

static const struct sample samples[] = {
    {"y_array_arraysWithSpaces", "[[]   ]", 0, "[[]]", NULL},
    {"y_array_empty", "[]", 0, "[]", NULL},
    {"y_array_ending_with_newline", "[\"a\"]\n", 0, "[\"a\"]", NULL},
    {"y_array_heterogeneous", "[null, 1, \"1\", {}]", 0, "[null,1,\"1\",{}]", NULL},
    {"y_array_with_leading_space", " [1]", 0, "[1]", NULL},
    {"y_array_with_several_null", "[1,null,null,null,2]", 0, "[1,null,null,null,2]", NULL},
    {"y_array_with_all_white_space", "\t[\r1\n,\t2 ] ", 0, "[1,2]", NULL},
    {"y_number_0e+1", "[0e+1]", 0, "[0.0]", NULL},
    {"y_number_0e1", "[0e1]", 0, "[0.0]", NULL},
    {"y_number_after_space", "[ 4]", 0, "[4]", NULL},
    {"y_number_double_close_to_zero",
     "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]", 0,
     "[-1e-78]", NULL},
    {"y_number_int_with_exp", "[20e1]", 0, "[200.0]", NULL},
    {"y_number_minus_zero", "[-0]", 0, "[-0.0]", NULL},
    {"y_number_negative_int", "[-123]", 0, "[-123]", NULL},
    {"y_number_real_capital_e", "[1E22]", 0, "[1e22]", NULL},
    {"y_number_real_capital_e_neg_exp", "[1E-2]", 0, "[0.01]", NULL},
    {"y_number_real_fraction_exponent", "[123.456e78]", 0, "[1.23456e80]", NULL},
    {"y_number_simple_real", "[123.456789]", 0, "[123.456789]", NULL},
    {"y_number_int64_max", "[9223372036854775807]", 0, "[9223372036854775807]", NULL},
    {"y_number_int64_min", "[-9223372036854775808]", 0, "[-9223372036854775808]", NULL},
    {"y_number_uint64_max", "[18446744073709551615]", 0, "[18446744073709551615]", NULL},
    {"y_number_below_int64", "[-9223372036854775809]", 0, "[-9223372036854776000.0]", NULL},
    {"y_number_above_uint64", "[18446744073709551616]", 0, "[18446744073709552000.0]", NULL},
    {"y_number_smallest", "[5e-324]", 0, "[5e-324]", NULL},
    {"y_number_greatest", "[1.7976931348623157e308]", 0, "[1.7976931348623157e308]", NULL},
    {"y_object", "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}", 0, "{\"asd\":\"sdf\",\"dfg\":\"fgh\"}",
     NULL},
    {"y_object_empty", "{}", 0, "{}", NULL},
    {"y_object_empty_key", "{\"\":0}", 0, "{\"\":0}", NULL},
    {"y_object_escaped_null_in_key", "{\"foo\\u0000bar\": 42}", 0, "{\"foo\\u0000bar\":42}", NULL},
    {"y_object_with_newlines", "{\n\"a\": \"b\"\n}", 0, "{\"a\":\"b\"}", NULL},
    {"y_string_1_2_3_bytes_UTF-8", "[\"\\u0060\\u012a\\u12AB\"]", 0, "[\"`\xC4\xAA\xE1\x8A\xAB\"]",
     NULL},
    {"y_string_accepted_surrogate_pair", "[\"\\uD801\\udc37\"]", 0, "[\"\xF0\x90\x90\xB7\"]", NULL},
    {"y_string_surrogate_pairs", "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", 0,
     "[\"\xF0\x9F\x98\xB9\xF0\x9F\x92\x8D\"]", NULL},
    {"y_string_allowed_escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", 0,
     "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]", NULL},
    {"y_string_backslash_and_u_escaped_zero", "[\"\\\\u0000\"]", 0, "[\"\\\\u0000\"]", NULL},
    {"y_string_backslash_doublequotes", "[\"\\\"\"]", 0, "[\"\\\"\"]", NULL},
    {"y_string_comments", "[\"a/*b*/c/*d//e\"]", 0, "[\"a/*b*/c/*d//e\"]", NULL},
    {"y_string_escaped_noncharacter", "[\"\\uFFFF\"]", 0, "[\"\xEF\xBF\xBF\"]", NULL},
    {"y_string_last_surrogates", "[\"\\uDBFF\\uDFFE\"]", 0, "[\"\xF4\x8F\xBF\xBE\"]", NULL},
    {"y_string_null_escape", "[\"\\u0000\"]", 0, "[\"\\u0000\"]", NULL},
    {"y_string_u+2028", "[\"\xE2\x80\xA8\"]", 0, "[\"\xE2\x80\xA8\"]", NULL},
    {"y_string_with_del", "[\"a\x7F\"]", 0, "[\"a\\u007f\"]", NULL},
    {"y_structure_lonely_false", "false", 0, "false", NULL},
    {"y_structure_lonely_int", "42", 0, "42", NULL},
    {"y_structure_lonely_negative_real", "-0.1", 0, "-0.1", NULL},
    {"y_structure_lonely_null", "null", 0, "null", NULL},
    {"y_structure_lonely_string", "\"asd\"", 0, "\"asd\"", NULL},
    {"y_structure_lonely_true", "true", 0, "true", NULL},
    {"y_structure_string_empty", "\"\"", 0, "\"\"", NULL},

    {"n_array_1_true_without_comma", "[1 true]", 0, NULL, "V0001"},
    {"n_array_colon_instead_of_comma", "[\"\": 1]", 0, NULL, "V0001"},
    {"n_array_comma_after_close", "[\"\"],", 0, NULL, "V0001"},
    {"n_array_comma_and_number", "[,1]", 0, NULL, "V0001"},
    {"n_array_double_comma", "[1,,2]", 0, NULL, "V0001"},
    {"n_array_extra_close", "[\"x\"]]", 0, NULL, "V0001"},
    {"n_array_extra_comma", "[\"\",]", 0, NULL, "V0001"},
    {"n_array_incomplete", "[\"x\"", 0, NULL, "V0001"},
    {"n_array_inner_array_no_comma", "[3[4]]", 0, NULL, "V0001"},
    {"n_array_items_separated_by_semicolon", "[1:2]", 0, NULL, "V0001"},
    {"n_array_just_comma", "[,]", 0, NULL, "V0001"},
    {"n_array_just_minus", "[-]", 0, NULL, "V0001"},
    {"n_array_newlines_unclosed", "[\"a\",\n4\n,1,", 0, NULL, "V0001"},
    {"n_array_spaces_vertical_tab_formfeed", "[\v\"a\"\\f]", 0, NULL, "V0001"},
    {"n_array_unclosed", "[\"\"", 0, NULL, "V0001"},
    {"n_array_unclosed_with_object_inside", "[{}", 0, NULL, "V0001"},
    {"n_incomplete_false", "[fals]", 0, NULL, "V0001"},
    {"n_incomplete_null", "[nul]", 0, NULL, "V0001"},
    {"n_incomplete_true", "[tru", 0, NULL, "V0001"},
    {"n_multidigit_number_then_00", BYTES("123\0"), NULL, "V0001"},
    {"n_number_++", "[++1234]", 0, NULL, "V0001"},
    {"n_number_+1", "[+1]", 0, NULL, "V0001"},
    {"n_number_+Inf", "[+Inf]", 0, NULL, "V0001"},
    {"n_number_-01", "[-01]", 0, NULL, "V0001"},
    {"n_number_-1.0.", "[-1.0.]", 0, NULL, "V0001"},
    {"n_number_-2.", "[-2.]", 0, NULL, "V0001"},
    {"n_number_-NaN", "[-NaN]", 0, NULL, "V0001"},
    {"n_number_.-1", "[.-1]", 0, NULL, "V0001"},
    {"n_number_.2e-3", "[.2e-3]", 0, NULL, "V0001"},
    {"n_number_0.1.2", "[0.1.2]", 0, NULL, "V0001"},
    {"n_number_0.3e", "[0.3e]", 0, NULL, "V0001"},
    {"n_number_0.3e+", "[0.3e+]", 0, NULL, "V0001"},
    {"n_number_0.e1", "[0.e1]", 0, NULL, "V0001"},
    {"n_number_0_capital_E+", "[0E+]", 0, NULL, "V0001"},
    {"n_number_1_000", "[1 000.0]", 0, NULL, "V0001"},
    {"n_number_1eE2", "[1eE2]", 0, NULL, "V0001"},
    {"n_number_9.e+", "[9.e+]", 0, NULL, "V0001"},
    {"n_number_Inf", "[Inf]", 0, NULL, "V0001"},
    {"n_number_NaN", "[NaN]", 0, NULL, "V0001"},
    {"n_number_fullwidth_digit_one", "[\xEF\xBC\x91]", 0, NULL, "V0001"},
    {"n_number_expression", "[1+2]", 0, NULL, "V0001"},
    {"n_number_hex", "[0x42]", 0, NULL, "V0001"},
    {"n_number_infinity", "[Infinity]", 0, NULL, "V0001"},
    {"n_number_invalid-utf-8-in-int", "[0\xE5]", 0, NULL, "V0004"},
    {"n_number_leading_zero", "[012]", 0, NULL, "V0001"},
    {"n_number_minus_space_1", "[- 1]", 0, NULL, "V0001"},
    {"n_number_with_alpha", "[1.2a-3]", 0, NULL, "V0001"},
    {"n_number_with_leading_plus_and_point", "[+.5]", 0, NULL, "V0001"},
    {"n_number_eight_digit_leading_zero", "[00000000000000000001]", 0, NULL, "V0001"},
    {"n_object_bad_value", "[\"x\", truth]", 0, NULL, "V0001"},
    {"n_object_bracket_key", "{[: \"x\"}", 0, NULL, "V0001"},
    {"n_object_comma_instead_of_colon", "{\"x\", null}", 0, NULL, "V0001"},
    {"n_object_double_colon", "{\"x\"::\"b\"}", 0, NULL, "V0001"},
    {"n_object_duplicated_key", "{\"a\":\"b\",\"a\":\"c\"}", 0, NULL, "V0003"},
    {"n_object_duplicated_key_escaped", "{\"a\":1,\"\\u0061\":1}", 0, NULL, "V0003"},
    {"n_object_garbage_at_end", "{\"a\":\"a\" 123}", 0, NULL, "V0001"},
    {"n_object_key_with_single_quotes", "{key: 'value'}", 0, NULL, "V0001"},
    {"n_object_missing_colon", "{\"a\" b}", 0, NULL, "V0001"},
    {"n_object_missing_key", "{:\"b\"}", 0, NULL, "V0001"},
    {"n_object_missing_value", "{\"a\":", 0, NULL, "V0001"},
    {"n_object_no-colon", "{\"a\"", 0, NULL, "V0001"},
    {"n_object_non_string_key", "{1:1}", 0, NULL, "V0001"},
    {"n_object_trailing_comma", "{\"id\":0,}", 0, NULL, "V0001"},
    {"n_object_trailing_comment", "{\"a\":\"b\"}/**/", 0, NULL, "V0001"},
    {"n_object_two_commas_in_a_row", "{\"a\":\"b\",,\"c\":\"d\"}", 0, NULL, "V0001"},
    {"n_object_unterminated-value", "{\"a\":\"a", 0, NULL, "V0001"},
    {"n_object_with_trailing_garbage", "{\"a\":\"b\"}#", 0, NULL, "V0001"},
    {"n_object_bracket_closed", "{\"a\":1]", 0, NULL, "V0001"},
    {"n_single_space", " ", 0, NULL, "V0001"},
    {"n_string_1_surrogate_then_escape_u", "[\"\\uD800\\u\"]", 0, NULL, "V0004"},
    {"n_string_1_surrogate_then_escape_u1x", "[\"\\uD800\\u1x\"]", 0, NULL, "V0004"},
    {"n_string_backslash_00", BYTES("[\"\\\0\"]"), NULL, "V0001"},
    {"n_string_escape_x", "[\"\\x00\"]", 0, NULL, "V0001"},
    {"n_string_escaped_backslash_bad", "[\"\\\\\\\"]", 0, NULL, "V0001"},
    {"n_string_escaped_emoji", "[\"\\\xF0\x9F\x8C\x80\"]", 0, NULL, "V0001"},
    {"n_string_incomplete_escape", "[\"\\\"]", 0, NULL, "V0001"},
    {"n_string_incomplete_escaped_character", "[\"\\u00A\"]", 0, NULL, "V0001"},
    {"n_string_invalid_unicode_escape", "[\"\\uqqqq\"]", 0, NULL, "V0001"},
    {"n_string_capital_escape", "[\"\\N\"]", 0, NULL, "V0001"},
    {"n_string_leading_uescaped_thinspace", "[\\u0020\"asd\"]", 0, NULL, "V0001"},
    {"n_string_no_quotes_with_bad_escape", "[\\n]", 0, NULL, "V0001"},
    {"n_string_single_doublequote", "\"", 0, NULL, "V0001"},
    {"n_string_single_quote", "['single quote']", 0, NULL, "V0001"},
    {"n_string_start_escape_unclosed", "[\"\\", 0, NULL, "V0001"},
    {"n_string_unescaped_ctrl_char", BYTES("[\"a\0a\"]"), NULL, "V0001"},
    {"n_string_unescaped_newline", "[\"new\nline\"]", 0, NULL, "V0001"},
    {"n_string_unescaped_tab", "[\"\t\"]", 0, NULL, "V0001"},
    {"n_string_with_trailing_garbage", "\"\"x", 0, NULL, "V0001"},
    {"n_structure_angle_bracket_null", "[<null>]", 0, NULL, "V0001"},
    {"n_structure_ascii-unicode-identifier", "a\xC3\xA5", 0, NULL, "V0001"},
    {"n_structure_capitalized_True", "[True]", 0, NULL, "V0001"},
    {"n_structure_close_unopened_array", "1]", 0, NULL, "V0001"},
    {"n_structure_comma_instead_of_closing_brace", "{\"x\": true,", 0, NULL, "V0001"},
    {"n_structure_double_array", "[][]", 0, NULL, "V0001"},
    {"n_structure_end_array", "]", 0, NULL, "V0001"},
    {"n_structure_incomplete_UTF8_BOM", "\xEF\xBB{}", 0, NULL, "V0004"},
    {"n_structure_no_data", "", 0, NULL, "V0001"},
    {"n_structure_null-byte-outside-string", BYTES("[\0]"), NULL, "V0001"},
    {"n_structure_number_with_trailing_garbage", "2@", 0, NULL, "V0001"},
    {"n_structure_object_unclosed_no_value", "{\"\":", 0, NULL, "V0001"},
    {"n_structure_object_with_comment", "{\"a\":/*comment*/\"b\"}", 0, NULL, "V0001"},
    {"n_structure_unclosed_object", "{\"asd\":\"asd\"", 0, NULL, "V0001"},
    {"n_structure_U+2060_word_joined", "[\xE2\x81\xA0]", 0, NULL, "V0001"},
    {"n_structure_whitespace_formfeed", "[\f]", 0, NULL, "V0001"},
    {"n_structure_no-break_space", "[\xC2\xA0]", 0, NULL, "V0001"},

    {"i_number_double_huge_neg_exp (becomes 0)", "[123.456e-789]", 0, "[0.0]", NULL},
    {"i_number_huge_exp (refused)",
     "[0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999]", 0,
     NULL, "V0005"},
    {"i_number_neg_int_huge_exp (refused)", "[-1e+9999]", 0, NULL, "V0005"},
    {"i_number_too_big_neg_int (nearest double)", "[-123123123123123123123123123123]", 0,
     "[-1.2312312312312312e29]", NULL},
    {"i_object_key_lone_2nd_surrogate (refused)", "{\"\\uDFAA\":0}", 0, NULL, "V0004"},
    {"i_string_1st_surrogate_but_2nd_missing (refused)", "[\"\\uDADA\"]", 0, NULL, "V0004"},
    {"i_string_1st_valid_surrogate_2nd_invalid (refused)", "[\"\\uD888\\u1234\"]", 0, NULL,
     "V0004"},
    {"i_string_inverted_surrogates (refused)", "[\"\\uDd1e\\uD834\"]", 0, NULL, "V0004"},
    {"i_string_UTF-8_invalid_sequence (refused)", "[\"\xE6\x97\xA5\xD1\x88\xFA\"]", 0, NULL,
     "V0004"},
    {"i_string_UTF8_surrogate (refused)", "[\"\xED\xA0\x80\"]", 0, NULL, "V0004"},
    {"i_string_iso_latin_1 (refused)", "[\"\xE9\"]", 0, NULL, "V0004"},
    {"i_string_lone_utf8_continuation_byte (refused)", "[\"\x81\"]", 0, NULL, "V0004"},
    {"i_string_not_in_unicode_range (refused)", "[\"\xF4\xBF\xBF\xBF\"]", 0, NULL, "V0004"},
    {"i_string_overlong_sequence_2_bytes (refused)", "[\"\xC0\xAF\"]", 0, NULL, "V0004"},
    {"i_string_overlong_sequence_6_bytes (refused)", "[\"\xFC\x83\xBF\xBF\xBF\xBF\"]", 0, NULL,
     "V0004"},
    {"i_string_truncated-utf-8 (refused)", "[\"\xE0\xFF\"]", 0, NULL, "V0004"},
    {"i_string_utf16BE_no_BOM (refused)", BYTES("\0[\0\"\0\xE9\0\"\0]"), NULL, "V0001"},
    {"i_structure_UTF-8_BOM_empty_object (refused)", "\xEF\xBB\xBF{}", 0, NULL, "V0001"},
};

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
        struct str text = {samples[i].text,
                           samples[i].length ? samples[i].length : strlen(samples[i].text)};
        check_sample(&samples[i], text);
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
            buf_add(&text, samples[i].text,
                    samples[i].length ? samples[i].length : strlen(samples[i].text));
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
