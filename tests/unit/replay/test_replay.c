// SPDX-License-Identifier: Apache-2.0
/* Cutting files into parts, and whole replays of generated history. */
#include "fixture.h"
#include "replay/replay_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../cmocka_all.h"

static const char observe[] = "assignments: [{policies: \"*\", accounts: \"*\", mode: observe}]\n";

static void test_boundary__only_where_one_line_ends_an_object_and_the_next_begins_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t from, want;
    } cases[] = {
        {"{}\n{}", 0, 3},          {"{}\r\n{}", 0, 4},       {"{}\n{}", 2, 3},
        {"{}\n{}", 3, SIZE_MAX},   {"{},\n{}", 0, SIZE_MAX}, {"{}\n [{}", 0, SIZE_MAX},
        {"{}\n\n{}", 0, SIZE_MAX}, {"{\n}\n{}", 0, 4},       {"\n{}", 0, SIZE_MAX},
        {"{}\n", 0, SIZE_MAX},     {"", 0, SIZE_MAX},        {"{}{}", 0, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (replay_boundary(str_from(cases[i].text), cases[i].from) != cases[i].want)
            fail_msg("case %zu: %s", i, cases[i].text);
}

static void write_file(char path[], const char *bytes, size_t len)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t at = 0; at < len;) {
        ssize_t got = write(fd, bytes + at, len - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
    close(fd);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

/* Lines of all lengths, with what could be taken for a boundary inside them. */
static size_t make_lines(char *out, size_t size, unsigned seed)
{
    static const char *const pieces[] = {"}", "{", "\\n", "},{", "\\\"}", "aaaaaaaaaaaaaaaaaaaa"};
    size_t len = 0;
    while (len + 500 < size) {
        len += (size_t)sprintf(out + len, "{\"x\":\"");
        for (unsigned n = next_random(&seed) % 20; n; n--)
            len += (size_t)sprintf(out + len, "%s", pieces[next_random(&seed) % 6]);
        len += (size_t)sprintf(out + len, "\"}%s\n", next_random(&seed) % 4 ? "" : "\r");
    }
    return len;
}

static void test_part__all_parts_together_are_the_file_whatever_their_size(void **state)
{
    (void)state;
    enum { SIZE = 20000 };
    char *text = malloc(SIZE), *joined = malloc(2 * SIZE);
    char path[] = "/tmp/rectify-part-XXXXXX";
    struct replay_bytes bytes = {0};
    struct error err;
    assert_true(text && joined);
    size_t len = make_lines(text, SIZE, 7);
    write_file(path, text, len);
    for (size_t part = 1; part < 700; part += part < 60 ? 1 : 37) {
        size_t at = 0, used = 0;
        for (uint64_t from = 0; from < len; from += part) {
            struct replay_unit unit = {path, from, from + part < len ? from + part : len, true};
            struct str got;
            assert_true(replay_read_part(&unit, &bytes, &got, &err));
            assert_true(at + got.len <= len);
            if (got.len)
                memcpy(joined + at, got.ptr, got.len);
            used += got.len > 0;
            at += got.len;
        }
        if (at != len || memcmp(joined, text, len) != 0)
            fail_msg("parts of %zu bytes: %zu of %zu bytes", part, at, len);
        assert_true(part > 400 || used > 20);
    }
    unlink(path);
    free(bytes.ptr);
    free(text);
    free(joined);
}

static void run(const char *path, unsigned threads, struct arena *arena, struct replay_result *ret)
{
    struct policy_set *set = fixture_library(observe);
    struct error err;
    struct replay_options options = {
        .policies = set, .paths = &path, .path_count = 1, .threads = threads};
    if (!replay_run(&options, arena, ret, &err))
        fail_msg("%s", err.message);
    policy_set_destroy(set);
}

#define EVENT                                                                                      \
    "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"%s\",\"eventID\":\"e%u\","              \
    "\"eventTime\":\"2026-01-%02uT10:00:00Z\",\"awsRegion\":\"eu-west-1\",\"recipientAccountId\":" \
    "\"11112222333%u\",\"userIdentity\":{\"arn\":\"arn:aws:iam::1:user/u%u\"},"                    \
    "\"requestParameters\":{\"bucketName\":\"b%u\"}%s}\n"

static const struct replay_policy *tag_policy(const struct replay_result *r)
{
    for (size_t i = 0; i < r->policy_count; i++)
        if (str_is(r->policies[i].name, "s3-cost-center-tag"))
            return &r->policies[i];
    fail_msg("no such policy");
    return NULL;
}

static void test_replay__a_cut_file_gives_what_one_thread_over_the_whole_gives(void **state)
{
    (void)state;
    enum { EVENTS = 60000 };
    char path[] = "/tmp/rectify-replay-XXXXXX";
    char *text = malloc(400 * EVENTS);
    struct arena arena ARENA_AUTO = {0};
    struct replay_result cut, one;
    size_t len = 0;
    unsigned seed = 3, wanted = 0;
    assert_non_null(text);
    for (unsigned i = 0; i < EVENTS; i++) {
        bool match = next_random(&seed) % 3 == 0, failed = match && next_random(&seed) % 2;
        wanted += match && !failed;
        len += (size_t)sprintf(text + len, EVENT, match ? "CreateBucket" : "GetBucketTagging", i,
                               i % 28 + 1, i % 3, i % 50, i % 700,
                               failed ? ",\"errorCode\":\"AccessDenied\"" : "");
    }
    assert_true(len > 4 * (size_t)REPLAY_PART_BYTES);
    write_file(path, text, len);
    run(path, 4, &arena, &cut);
    run(path, 1, &arena, &one);
    unlink(path);
    free(text);
    assert_int_equal(cut.events, EVENTS);
    assert_int_equal(cut.bad + cut.unnamed, 0);
    assert_int_equal(tag_policy(&cut)->matches, wanted);
    assert_true(tag_policy(&cut)->resources > 690);
    assert_int_equal(one.events, cut.events);
    assert_int_equal(one.bytes, cut.bytes);
    assert_int_equal(one.row_count, cut.row_count);
    for (size_t i = 0; i < one.row_count; i++)
        assert_true(str_eq(one.rows[i].actor, cut.rows[i].actor) &&
                    str_eq(one.rows[i].day, cut.rows[i].day) &&
                    one.rows[i].matches == cut.rows[i].matches);
}

static void test_replay__what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct policy_set *set = fixture_library(observe);
    struct replay_result result;
    struct error err = {0};
    const char *path = "/nonexistent/events.json";
    struct replay_options options = {.policies = set, .paths = &path, .path_count = 1};
    assert_false(replay_run(&options, &arena, &result, &err));
    assert_string_equal(err.code, "Y0001");
    options.path_count = 0;
    assert_false(replay_run(&options, &arena, &result, &err));
    assert_string_equal(err.code, "Y0002");
    policy_set_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundary__only_where_one_line_ends_an_object_and_the_next_begins_one),
        cmocka_unit_test(test_part__all_parts_together_are_the_file_whatever_their_size),
        cmocka_unit_test(test_replay__a_cut_file_gives_what_one_thread_over_the_whole_gives),
        cmocka_unit_test(test_replay__what_cannot_be_read_is_an_error),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
