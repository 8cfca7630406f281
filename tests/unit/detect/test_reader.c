// SPDX-License-Identifier: Apache-2.0
#include "detect/detect.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "../cmocka_all.h"

/* Writes `data` to a file of its own and gives a reader of it. */
static struct detect_reader *open_bytes(const void *data, size_t size)
{
    char path[] = "/tmp/rectify-reader-XXXXXX";
    struct error err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)unlink(path);
    for (size_t at = 0; at < size;) {
        ssize_t got = write(fd, (const char *)data + at, size - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct detect_reader *reader = detect_reader_create(fd, &err);
    assert_non_null(reader);
    (void)close(fd);
    return reader;
}

static struct detect_reader *open_text(const char *text)
{
    return open_bytes(text, strlen(text));
}

static void expect_event(struct detect_reader *reader, const char *want)
{
    struct str text;
    struct error err = {0};
    enum detect_read got = detect_reader_next(reader, &text, &err);
    if (got != DETECT_READ_EVENT)
        fail_msg("wanted %s, got %s", want, got == DETECT_READ_END ? "the end" : err.message);
    if (!str_is(text, want))
        fail_msg("wanted %s, got %.*s", want, STR_FMT(text));
}

static void expect_bad(struct detect_reader *reader, const char *code)
{
    struct str text;
    struct error err = {0};
    assert_int_equal(detect_reader_next(reader, &text, &err), DETECT_READ_BAD);
    assert_string_equal(err.code, code);
}

static void expect_end(struct detect_reader *reader)
{
    struct str text;
    struct error err = {0};
    assert_int_equal(detect_reader_next(reader, &text, &err), DETECT_READ_END);
    assert_int_equal(detect_reader_next(reader, &text, &err), DETECT_READ_END);
    detect_reader_destroy(reader);
}

static void test_reader__one_event_in_every_form(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "{\"a\":1}",
        "{\"a\":1}\n",
        "\n\n  {\"a\":1}  \n",
        "[{\"a\":1}]",
        "{\"Records\":[{\"a\":1}]}",
        " { \"Records\" : [ {\"a\":1} ] } ",
        "{\"Records\":[\n{\"a\":1}\n]}\n",
        "[\n  {\"a\":1}\n]\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct detect_reader *reader = open_text(forms[i]);
        expect_event(reader, "{\"a\":1}");
        expect_end(reader);
    }
}

static void test_reader__many_events_in_every_form(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "{\"a\":1}\n{\"b\":[{}]}\n{\"c\":\"}\"}\n",
        "{\"a\":1}{\"b\":[{}]}{\"c\":\"}\"}",
        "[{\"a\":1},{\"b\":[{}]},{\"c\":\"}\"}]",
        "{\"Records\":[{\"a\":1},{\"b\":[{}]},{\"c\":\"}\"}]}",
        "{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":[{}]},{\"c\":\"}\"}]}\n",
        "{\"a\":1}\n{\"Records\":[{\"b\":[{}]}]}\n{\"c\":\"}\"}\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct detect_reader *reader = open_text(forms[i]);
        expect_event(reader, "{\"a\":1}");
        expect_event(reader, "{\"b\":[{}]}");
        expect_event(reader, "{\"c\":\"}\"}");
        expect_end(reader);
    }
}

static void test_reader__quotes_and_braces_inside_strings_do_not_count(void **state)
{
    (void)state;
    struct detect_reader *reader = open_text("{\"a\":\"\\\"}{\\\\\"}\n{\"b\":\"[\"}\n");
    expect_event(reader, "{\"a\":\"\\\"}{\\\\\"}");
    expect_event(reader, "{\"b\":\"[\"}");
    expect_end(reader);
}

static void test_reader__nothing_is_no_event(void **state)
{
    (void)state;
    static const char *const forms[] = {"", "\n", "[]", "{\"Records\":[]}", " \t\r\n"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        expect_end(open_text(forms[i]));
}

static size_t gzip(const char *text, size_t len, unsigned char *out, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (unsigned)len;
    z.next_out = out;
    z.avail_out = (unsigned)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static void test_reader__gzip_is_read_like_plain(void **state)
{
    (void)state;
    unsigned char packed[512];
    static const char text[] = "{\"Records\":[{\"a\":1},{\"b\":2}]}";
    size_t len = gzip(text, strlen(text), packed, sizeof packed);
    struct detect_reader *reader = open_bytes(packed, len);
    expect_event(reader, "{\"a\":1}");
    expect_event(reader, "{\"b\":2}");
    expect_end(reader);
    /* two members, one behind the other, as concatenated log files are */
    len += gzip("{\"c\":3}", 7, packed + len, sizeof packed - len);
    reader = open_bytes(packed, len);
    expect_event(reader, "{\"a\":1}");
    expect_event(reader, "{\"b\":2}");
    expect_event(reader, "{\"c\":3}");
    expect_end(reader);
}

static void test_reader__cut_or_damaged_gzip_is_told_after_what_was_whole(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":1}\n{\"b\":2}\n";
    unsigned char packed[512];
    size_t len = gzip(text, strlen(text), packed, sizeof packed);
    struct detect_reader *reader = open_bytes(packed, len - 8); // without its checksum
    expect_event(reader, "{\"a\":1}");
    expect_event(reader, "{\"b\":2}");
    expect_bad(reader, "T0008");
    expect_end(reader);
    packed[len - 6] ^= 0xff; // a wrong checksum
    reader = open_bytes(packed, len);
    struct str got;
    struct error err = {0};
    enum detect_read result;
    unsigned bad = 0;
    while ((result = detect_reader_next(reader, &got, &err)) != DETECT_READ_END)
        bad += result == DETECT_READ_BAD;
    assert_int_equal(bad, 1);
    assert_string_equal(err.code, "T0008");
    detect_reader_destroy(reader);
}

static void test_reader__zstd_is_read_like_plain(void **state)
{
    (void)state;
    static const char text[] = "{\"Records\":[{\"a\":1},{\"b\":2}]}";
    unsigned char packed[512];
    size_t one = ZSTD_compress(packed, sizeof packed, text, strlen(text), 3), len = one;
    assert_false(ZSTD_isError(len));
    /* two frames, one behind the other */
    len += ZSTD_compress(packed + len, sizeof packed - len, "{\"c\":3}", 7, 3);
    struct detect_reader *reader = open_bytes(packed, len);
    expect_event(reader, "{\"a\":1}");
    expect_event(reader, "{\"b\":2}");
    expect_event(reader, "{\"c\":3}");
    expect_end(reader);
    reader = open_bytes(packed, one - 1);
    expect_event(reader, "{\"a\":1}");
    expect_event(reader, "{\"b\":2}");
    expect_bad(reader, "T0008");
    expect_end(reader);
    packed[4] |= 0x08; // reserved
    reader = open_bytes(packed, one);
    expect_bad(reader, "T0008");
    expect_end(reader);
}

static void test_reader__bytes_behind_gzip_are_told(void **state)
{
    (void)state;
    unsigned char packed[512];
    size_t len = gzip("{\"a\":1}", 7, packed, sizeof packed);
    memcpy(packed + len, "rest", 4);
    struct detect_reader *reader = open_bytes(packed, len + 4);
    expect_event(reader, "{\"a\":1}");
    expect_bad(reader, "T0008");
    expect_end(reader);
}

static void test_reader__long_strings_and_deep_events_are_measured_right(void **state)
{
    (void)state;
    /* Every alignment of what ends a run of calm bytes. */
    for (size_t pad = 0; pad < 40; pad++) {
        char event[256], text[600];
        int len = snprintf(event, sizeof event,
                           "{\"%.*s\":[{\"a\":\"x\\\"}%.*s\\\\\"},[],%.*s{}],\"b\":-1}", (int)pad,
                           "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", (int)pad,
                           "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", (int)pad,
                           "                                        ");
        assert_true(len > 0 && (size_t)len < sizeof event);
        snprintf(text, sizeof text, "%s\n%s\n", event, event);
        struct detect_reader *reader = open_text(text);
        expect_event(reader, event);
        assert_false(detect_reader_must_wait(reader));
        expect_event(reader, event);
        assert_true(detect_reader_must_wait(reader));
        assert_int_equal(detect_reader_taken(reader), strlen(text));
        expect_end(reader);
    }
}

static void test_reader__garbage_costs_its_line_and_nothing_else(void **state)
{
    (void)state;
    struct detect_reader *reader = open_text("{\"a\":1}\nhello {world}\n\"text\"\n42\n{\"b\":2}\n");
    expect_event(reader, "{\"a\":1}");
    expect_bad(reader, "T0002");
    expect_bad(reader, "T0002");
    expect_bad(reader, "T0002");
    expect_event(reader, "{\"b\":2}");
    expect_end(reader);
}

static void test_reader__garbage_between_records_costs_nothing_else(void **state)
{
    (void)state;
    struct detect_reader *reader = open_text("{\"Records\":[{\"a\":1},null,{\"b\":2}]}");
    expect_event(reader, "{\"a\":1}");
    expect_bad(reader, "T0002");
    expect_event(reader, "{\"b\":2}");
    expect_end(reader);
}

static void test_reader__a_cut_line_does_not_swallow_the_next(void **state)
{
    (void)state;
    static const char *const cut[] = {"{\"a\":\"x", "{\"a\":{", "{\"a\":[1,", "{\"a\":1"};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s\n{\"b\":2}\n{\"c\":3}\n", cut[i]);
        struct detect_reader *reader = open_text(text);
        expect_bad(reader, "T0003");
        expect_event(reader, "{\"b\":2}");
        expect_event(reader, "{\"c\":3}");
        expect_end(reader);
    }
}

static void test_reader__an_event_without_end_is_told(void **state)
{
    (void)state;
    struct detect_reader *reader = open_text("{\"a\":1}\n{\"b\":");
    expect_event(reader, "{\"a\":1}");
    expect_bad(reader, "T0003");
    expect_end(reader);
}

/* {"x":"aaa...": `len` bytes in all */
static char *make_event(char *out, size_t len)
{
    memcpy(out, "{\"x\":\"", 6);
    memset(out + 6, 'a', len - 8);
    memcpy(out + len - 2, "\"}", 2);
    return out + len;
}

static void test_reader__the_largest_event_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    size_t max = LIMIT_EVENT_BYTES;
    char *text = malloc(4 * max + 100), *end = text;
    struct str got;
    struct error err = {0};
    assert_non_null(text);
    end = make_event(end, max);
    end = memcpy(end, "\n", 1);
    end = make_event(end + 1, max + 2);
    memcpy(end, "\n{\"b\":2}\n", 9);
    struct detect_reader *reader = open_bytes(text, (size_t)(end + 9 - text));
    assert_int_equal(detect_reader_next(reader, &got, &err), DETECT_READ_EVENT);
    assert_int_equal(got.len, max);
    expect_bad(reader, "T0004");
    expect_event(reader, "{\"b\":2}");
    expect_end(reader);
    free(text);
}

static void test_reader__an_oversized_record_costs_only_itself(void **state)
{
    (void)state;
    size_t size = 2 * (size_t)LIMIT_EVENT_BYTES;
    char *text = malloc(size + 100), *end;
    assert_non_null(text);
    end = text + sprintf(text, "{\"Records\":[{\"a\":1},");
    end = make_event(end, size);
    end += sprintf(end, ",{\"b\":2}]}\n{\"c\":3}\n");
    struct detect_reader *reader = open_bytes(text, (size_t)(end - text));
    expect_event(reader, "{\"a\":1}");
    expect_bad(reader, "T0004");
    expect_event(reader, "{\"b\":2}");
    expect_event(reader, "{\"c\":3}");
    expect_end(reader);
    free(text);
}

/* {"a":"   \\\"}"} with so many blanks and pairs of a backslash and what it escapes */
static size_t make_escapes(char *out, unsigned blanks, unsigned pairs, bool quote)
{
    size_t len = (size_t)sprintf(out, "{\"a\":\"%*s", (int)blanks, "");
    for (unsigned i = 0; i < pairs; i++)
        len += (size_t)sprintf(out + len, "\\\\");
    return len + (size_t)sprintf(out + len, "%s}{\"}", quote ? "\\\"" : "");
}

static void test_reader__escapes_count_wherever_a_block_of_bytes_ends(void **state)
{
    (void)state;
    for (unsigned blanks = 0; blanks < 140; blanks++) {
        for (unsigned kind = 0; kind < 70; kind++) {
            char text[1000], one[400];
            size_t len = make_escapes(one, blanks, kind / 2, kind & 1);
            snprintf(text, sizeof text, "%s\n%s", one, one);
            struct error err;
            struct str got;
            struct detect_reader *reader = detect_reader_create_text(str_from(text), &err);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(detect_reader_next(reader, &got, &err), DETECT_READ_EVENT);
                assert_int_equal(got.len, len);
                assert_memory_equal(got.ptr, one, len);
            }
            expect_end(reader);
        }
    }
}

/* Writes `first`, waits a little, writes `second`, into a pipe; gives a reader of it. */
static struct detect_reader *open_slowly(struct str first, struct str second)
{
    int ends[2];
    struct error err;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool ok = write(ends[1], first.ptr, first.len) == (ssize_t)first.len;
        usleep(2000);
        ok = ok && write(ends[1], second.ptr, second.len) == (ssize_t)second.len;
        _exit(!ok);
    }
    (void)close(ends[1]);
    struct detect_reader *reader = detect_reader_create(ends[0], &err);
    assert_non_null(reader);
    (void)close(ends[0]);
    return reader;
}

static void test_reader__what_comes_in_pieces_is_read_the_same(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"\\\\\\\"}\"}\n{\"b\":[{}]}\n";
    struct str whole = str_from(text);
    for (size_t at = 0; at < whole.len; at++) {
        struct detect_reader *reader =
            open_slowly(str_sub(whole, 0, at), str_sub(whole, at, SIZE_MAX));
        expect_event(reader, "{\"a\":\"\\\\\\\"}\"}");
        expect_event(reader, "{\"b\":[{}]}");
        expect_end(reader);
        (void)wait(NULL);
    }
}

static void test_reader__an_event_is_given_out_without_waiting_for_more(void **state)
{
    (void)state;
    int ends[2];
    struct error err;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "{\"a\":1}", 7), 7);
    struct detect_reader *reader = detect_reader_create(ends[0], &err);
    assert_non_null(reader);
    alarm(10); // ends the test if it waits
    expect_event(reader, "{\"a\":1}");
    alarm(0);
    (void)close(ends[1]);
    expect_end(reader);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader__one_event_in_every_form),
        cmocka_unit_test(test_reader__many_events_in_every_form),
        cmocka_unit_test(test_reader__quotes_and_braces_inside_strings_do_not_count),
        cmocka_unit_test(test_reader__nothing_is_no_event),
        cmocka_unit_test(test_reader__gzip_is_read_like_plain),
        cmocka_unit_test(test_reader__cut_or_damaged_gzip_is_told_after_what_was_whole),
        cmocka_unit_test(test_reader__zstd_is_read_like_plain),
        cmocka_unit_test(test_reader__bytes_behind_gzip_are_told),
        cmocka_unit_test(test_reader__long_strings_and_deep_events_are_measured_right),
        cmocka_unit_test(test_reader__garbage_costs_its_line_and_nothing_else),
        cmocka_unit_test(test_reader__garbage_between_records_costs_nothing_else),
        cmocka_unit_test(test_reader__a_cut_line_does_not_swallow_the_next),
        cmocka_unit_test(test_reader__an_event_without_end_is_told),
        cmocka_unit_test(test_reader__the_largest_event_passes_and_one_byte_more_does_not),
        cmocka_unit_test(test_reader__what_comes_in_pieces_is_read_the_same),
        cmocka_unit_test(test_reader__an_event_is_given_out_without_waiting_for_more),
        cmocka_unit_test(test_reader__escapes_count_wherever_a_block_of_bytes_ends),
        cmocka_unit_test(test_reader__an_oversized_record_costs_only_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
