// SPDX-License-Identifier: Apache-2.0
/* What the sieve lets fall never matches: by hand, for every real record, and for such records
 * with their names changed, spelled otherwise and put elsewhere. */
#include "detect/detect.h"
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../cmocka_all.h"

static const char observe[] = "assignments: [{policies: \"*\", accounts: \"*\", mode: observe}]\n";

struct fixture {
    struct policy_set *set;
    struct detector *detector;
    struct detect_scratch *scratch;
    struct arena arena;
};

static struct fixture start(struct policy_set *set)
{
    struct error err;
    struct fixture f = {.set = set};
    assert_non_null(set);
    f.detector = detector_create(set, &err);
    assert_non_null(f.detector);
    f.scratch = detect_scratch_create(f.detector);
    assert_non_null(f.scratch);
    return f;
}

static void finish(struct fixture *f)
{
    detect_scratch_destroy(f->scratch);
    detector_destroy(f->detector);
    policy_set_destroy(f->set);
    arena_finish(&f->arena);
}

static bool matches(struct fixture *f, struct str text)
{
    struct detect_result result;
    struct error err;
    arena_reset(&f->arena);
    return detect_event(f->detector, f->scratch, text, NULL, 0, &f->arena, &result, &err) &&
           result.match_count + result.note_count > 0;
}

#define RECORD(key, name)                                                                          \
    "{\"eventSource\":\"s3.amazonaws.com\"," key ":" name ",\"eventID\":\"e\","                    \
    "\"eventTime\":\"2026-01-05T10:00:00Z\",\"awsRegion\":\"eu-west-1\","                          \
    "\"recipientAccountId\":\"111122223333\",\"requestParameters\":{\"bucketName\":\"b\"}}"

static void test_sieve__names_are_found_however_they_are_spelled(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool matches, may;
    } cases[] = {
        {RECORD("\"eventName\"", "\"CreateBucket\""), true, true},
        {RECORD("\"eventName\" ", "\n\t \"CreateBucket\""), true, true},
        {RECORD("\"eventName\"", "\"Create\\u0042ucket\""), true, true},
        {RECORD("\"event\\u004eame\"", "\"CreateBucket\""), true, true},
        {RECORD("\"\\u0065ventName\"", "\"CreateBucket\""), true, true},
        {RECORD("\"eventName\"", "[\"x\",\"CreateBucket\"]"), true, true},
        {RECORD("\"eventName\"", "\"CreateBuckets\""), false, false},
        {RECORD("\"eventName\"", "\"ListBuckets\""), false, false},
        {RECORD("\"eventName\"", "\"Create\\\"Bucket\""), false, true},
        {RECORD("\"eventname\"", "\"CreateBucket\""), false, false},
        {RECORD("\"x\":\"eventName\",\"eventNames\"", "\"CreateBucket\""), false, false},
        {RECORD("\"x\":\"\\u003c\\u00e4\",\"eventName\"", "\"ListBuckets\""), false, false},
        {RECORD("\"x\":\"\\u0041\",\"eventName\"", "\"ListBuckets\""), false, true},
        {RECORD("\"x\":{\"eventName\":\"CreateBucket\"},\"eventName\"", "\"L\""), false, true},
        {"", false, false},
        {"\"eventName\":\"CreateBucket\"", false, true},
        {"\"eventName\":\"CreateBucke", false, true},
        {"\"eventName\"", false, false},
    };
    struct fixture f = start(fixture_library(observe));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = str_from(cases[i].text);
        if (matches(&f, text) != cases[i].matches)
            fail_msg("case %zu should %smatch: %s", i, cases[i].matches ? "" : "not ", text.ptr);
        if (detect_may_match(f.detector, text) != cases[i].may)
            fail_msg("case %zu should %sfall: %s", i, cases[i].may ? "not " : "", text.ptr);
    }
    finish(&f);
}

/* The library's policy with other triggers. */
static void expect_trigger(const char *detect, const char *name, bool may)
{
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    const char *text = arena_printf(
        &arena,
        "policy: p\nresource: {type: AWS::S3::Bucket}\n%s\n"
        "decide:\n  read:\n    t: {call: s3:GetBucketTagging, with: {Bucket: '${resource.id}'}}\n"
        "  violation: size(t.TagSet) == 0\n",
        detect);
    struct policy_set *set = fixture_load(text, observe, &errors);
    if (!set)
        fail_msg("%s", fixture_errors(&arena, &errors));
    struct fixture f = start(set);
    const char *event = arena_printf(&arena, RECORD("\"eventName\"", "\"%s\""), name);
    if (detect_may_match(f.detector, str_from(event)) != may)
        fail_msg("%s should %sfall under %s", name, may ? "not " : "", detect);
    finish(&f);
}

static void test_sieve__every_kind_of_pattern_is_understood_or_lets_all_pass(void **state)
{
    (void)state;
#define PATTERN(json) "detect: {resources: \"'b'\", pattern: " json "}"
    static const char exact[] = PATTERN("{detail: {eventName: [A, Ab]}}");
    expect_trigger(exact, "A", true);
    expect_trigger(exact, "Abc", false);
    static const char prefix[] = PATTERN("{detail: {eventName: [{prefix: Ab}]}}");
    expect_trigger(prefix, "Abc", true);
    expect_trigger(prefix, "A", false);
    static const char wildcard[] = PATTERN("{detail: {eventName: [{wildcard: 'A*z'}]}}");
    expect_trigger(wildcard, "Abcz", true);
    expect_trigger(wildcard, "Bz", false);
    static const char *const open[] = {
        PATTERN("{source: [aws.s3]}"),
        PATTERN("{detail: {eventName: [{wildcard: '*z'}]}}"),
        PATTERN("{detail: {eventName: [{anything-but: A}]}}"),
        PATTERN("{detail: {eventName: [{exists: false}]}}"),
        PATTERN("{detail: {eventName: [{suffix: z}]}}"),
        PATTERN("{detail: {eventName: [{equals-ignore-case: B}]}}"),
        PATTERN("{$or: [{detail: {eventName: [A]}}, {source: [aws.s3]}]}"),
        PATTERN("{detail: {$or: [{eventName: [A]}, {eventSource: [s3.amazonaws.com]}]}}"),
    };
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        expect_trigger(open[i], "Nobody", true);
#undef PATTERN
}

/* Runs a text through both and counts. */
static void hold(struct fixture *f, struct str text, unsigned *fell, unsigned *matched)
{
    bool may = detect_may_match(f->detector, text), does = matches(f, text);
    if (does && !may)
        fail_msg("fell, but matches: %.*s", STR_FMT(text));
    *fell += !may;
    *matched += does;
}

static void test_sieve__no_real_record_falls_that_matches(void **state)
{
    (void)state;
    static const char *const names[] = {"CreateBucket",
                                        "Create\\u0042ucket",
                                        "DisableKeyRotation",
                                        "CreateKey",
                                        "AuthorizeSecurityGroupIngress",
                                        "Nobody"};
    struct error err;
    int fd = open(TEST_SHARED "/events/cloudtrail-variety.jsonl.gz", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        print_message("skip: no shared/events/cloudtrail-variety.jsonl.gz\n");
        skip();
    }
    struct fixture f = start(fixture_library(observe));
    struct arena arena ARENA_AUTO = {0};
    struct detect_reader *reader = detect_reader_create(fd, &err);
    struct str text;
    unsigned fell = 0, matched = 0;
    assert_non_null(reader);
    while (detect_reader_next(reader, &text, &err) == DETECT_READ_EVENT) {
        size_t key = str_find(text, STR("\"eventName\""));
        hold(&f, text, &fell, &matched);
        for (size_t i = 0; key != SIZE_MAX && i < sizeof names / sizeof *names; i++) {
            struct buf other = {.arena = &arena};
            arena_reset(&arena);
            other = (struct buf){.arena = &arena};
            buf_add_str(&other, str_sub(text, 0, key));
            buf_printf(&other, "\"eventName\":\"%s\",\"was\"", names[i]);
            buf_add_str(&other, str_sub(text, key + 11, SIZE_MAX));
            hold(&f, buf_str(&other), &fell, &matched);
        }
    }
    assert_true(fell > 500 && matched > 100);
    detect_reader_destroy(reader);
    close(fd);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sieve__names_are_found_however_they_are_spelled),
        cmocka_unit_test(test_sieve__every_kind_of_pattern_is_understood_or_lets_all_pass),
        cmocka_unit_test(test_sieve__no_real_record_falls_that_matches),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
