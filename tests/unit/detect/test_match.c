// SPDX-License-Identifier: Apache-2.0
/* Matching: envelopes, accounts, resources; and real CloudTrail records through the policies that
 * come with the program. */
#include "detect/detect.h"
#include "fixture.h"

#include "base/limits.h"
#include "value/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../cmocka_all.h"

static const char observe[] = "assignments: [{policies: \"*\", accounts: \"*\", mode: observe}]\n";

struct fixture {
    struct policy_set *set;
    struct detector *detector;
    struct detect_scratch *scratch;
    struct arena arena;
    struct detect_result result;
    struct error err;
};

static void start(struct fixture *f, const char *config)
{
    *f = (struct fixture){.set = fixture_library(config)};
    f->detector = detector_create(f->set, &f->err);
    assert_non_null(f->detector);
    f->scratch = detect_scratch_create(f->detector);
    assert_non_null(f->scratch);
}

static void finish(struct fixture *f)
{
    detect_scratch_destroy(f->scratch);
    detector_destroy(f->detector);
    policy_set_destroy(f->set);
    arena_finish(&f->arena);
}

static bool detect(struct fixture *f, const char *text)
{
    return detect_event(f->detector, f->scratch, str_from(text), NULL, 0, &f->arena, &f->result,
                        &f->err);
}

#define RECORD(name, more)                                                                         \
    "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"" name "\",\"eventID\":\"e-1\","        \
    "\"eventTime\":\"2026-01-05T10:00:00Z\",\"awsRegion\":\"eu-west-1\","                          \
    "\"recipientAccountId\":\"111122223333\",\"userIdentity\":{\"accountId\":\"999999999999\","    \
    "\"arn\":\"arn:aws:iam::999999999999:user/eve\"},\"sourceIPAddress\":\"198.51.100.7\","        \
    "\"requestID\":\"REQ\",\"requestParameters\":{\"bucketName\":\"invoices\"}" more "}"
#define ENVELOPE(account, region, detail)                                                          \
    "{\"version\":\"0\",\"id\":\"env-1\",\"detail-type\":\"AWS API Call via CloudTrail\","         \
    "\"source\":\"aws.s3\",\"account\":\"" account "\",\"time\":\"2026-01-05T10:00:00Z\","         \
    "\"region\":\"" region "\",\"resources\":[],\"detail\":" detail "}"

static void expect_bucket(struct fixture *f, const char *text, const char *key)
{
    if (!detect(f, text))
        fail_msg("%s", f->err.message);
    assert_int_equal(f->result.match_count, 1);
    assert_int_equal(f->result.note_count, 0);
    assert_true(str_is(f->result.matches[0].policy->name, "s3-cost-center-tag"));
    if (!str_is(f->result.matches[0].resource, key))
        fail_msg("resource is %.*s", STR_FMT(f->result.matches[0].resource));
}

static void test_match__a_record_and_its_envelope_are_the_same(void **state)
{
    (void)state;
    struct fixture f;
    static const char key[] = "aws/111122223333/global/AWS::S3::Bucket/invoices";
    start(&f, observe);
    expect_bucket(&f, RECORD("CreateBucket", ""), key);
    assert_true(str_starts(f.result.key, STR("e-1/")));
    assert_true(str_is(f.result.name, "s3:CreateBucket"));
    assert_true(str_is(f.result.matches[0].region, "eu-west-1"));
    assert_int_equal(f.result.matches[0].assignment.mode, MODE_OBSERVE);
    assert_true(
        str_is(value_path_str(f.result.event, "actor"), "arn:aws:iam::999999999999:user/eve"));
    assert_true(str_is(value_path_str(f.result.event, "ip"), "198.51.100.7"));
    assert_true(str_is(value_path_str(f.result.event, "time"), "2026-01-05T10:00:00Z"));
    assert_true(str_is(value_path_str(f.result.event, "request_id"), "REQ"));
    expect_bucket(&f, ENVELOPE("111122223333", "eu-west-1", RECORD("CreateBucket", "")), key);
    assert_true(str_starts(f.result.key, STR("e-1/"))); // not the envelope's id
    finish(&f);
}

static void test_match__the_account_is_the_envelopes_never_the_callers(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    expect_bucket(&f, ENVELOPE("444455556666", "eu-west-1", RECORD("CreateBucket", "")),
                  "aws/444455556666/global/AWS::S3::Bucket/invoices");
    assert_true(
        detect(&f, "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"CreateBucket\","
                   "\"awsRegion\":\"eu-west-1\",\"userIdentity\":{\"accountId\":\"999999999999\"},"
                   "\"requestParameters\":{\"bucketName\":\"b\"}}"));
    assert_int_equal(f.result.match_count, 0);
    assert_int_equal(f.result.note_count, 1);
    assert_non_null(strstr(f.result.notes[0].ptr, "account"));
    finish(&f);
}

static void test_match__the_partition_is_the_regions(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    expect_bucket(&f, ENVELOPE("111122223333", "cn-north-1", RECORD("CreateBucket", "")),
                  "aws-cn/111122223333/global/AWS::S3::Bucket/invoices");
    expect_bucket(&f, ENVELOPE("111122223333", "us-gov-west-1", RECORD("CreateBucket", "")),
                  "aws-us-gov/111122223333/global/AWS::S3::Bucket/invoices");
    finish(&f);
}

static void test_match__failed_calls_never_match(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    static const char *const failed[] = {
        RECORD("CreateBucket", ",\"errorCode\":\"AccessDenied\""),
        RECORD("CreateBucket", ",\"errorMessage\":\"no\""),
        RECORD("DeleteBucketTagging", ",\"errorCode\":\"NoSuchBucket\",\"errorMessage\":\"x\""),
    };
    for (size_t i = 0; i < 3; i++) {
        assert_true(detect(&f, failed[i]));
        assert_int_equal(f.result.match_count, 0);
        assert_int_equal(f.result.note_count, 0);
    }
    finish(&f);
}

static void test_match__an_event_without_a_usable_resource_leaves_a_note(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    static const char *const bad[] = {"null", "{}", "{\"bucketName\":7}", "{\"bucketName\":\"\"}",
                                      "{\"bucketName\":\"a\\u0000b\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"CreateBucket\",\"awsRegion\":"
            "\"eu-west-1\",\"recipientAccountId\":\"111122223333\",\"requestParameters\":%s}",
            bad[i]);
        assert_true(detect(&f, text));
        assert_int_equal(f.result.match_count, 0);
        assert_int_equal(f.result.note_count, 1);
        assert_non_null(strstr(f.result.notes[0].ptr, "s3-cost-center-tag: "));
    }
    finish(&f);
}

static void test_match__what_is_no_event_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    static const struct {
        const char *text, *code;
    } bad[] = {
        {"[]", "T0002"},
        {"\"x\"", "T0002"},
        {"{", "V0001"},
        {"{}", "T0006"},
        {"{\"a\":1}", "T0006"},
        {"{\"a\":1,\"a\":2}", "V0003"},
        {"{\"a\":\"\xff\"}", "V0004"},
        {"{\"source\":\"aws.s3\"}", "T0006"},
        {"", "V0001"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (detect(&f, bad[i].text))
            fail_msg("%s was accepted", bad[i].text);
        assert_string_equal(f.err.code, bad[i].code);
    }
    finish(&f);
}

static void test_match__a_source_speaks_only_for_its_accounts(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    struct str ours[] = {STR("222222222222"), STR("111122223333")};
    struct str others[] = {STR("222222222222")};
    struct detect_scope may = {.accounts = ours, .account_count = 2};
    struct detect_scope may_not = {.accounts = others, .account_count = 1};
    struct str text = STR(RECORD("CreateBucket", ""));
    assert_true(detect_event(f.detector, f.scratch, text, &may, 0, &f.arena, &f.result, &f.err));
    assert_int_equal(f.result.match_count, 1);
    assert_false(
        detect_event(f.detector, f.scratch, text, &may_not, 0, &f.arena, &f.result, &f.err));
    assert_string_equal(f.err.code, "T0007");
    finish(&f);
}

static void test_match__a_policy_that_is_off_does_not_match(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, "assignments: [{policies: \"kms-*\", accounts: \"*\", mode: enforce}]\n");
    assert_true(detect(&f, RECORD("CreateBucket", "")));
    assert_int_equal(f.result.match_count, 0);
    finish(&f);
}

static void test_match__events_without_an_id_are_known_by_their_content(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, observe);
    assert_true(detect(&f, "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"A\"}"));
    struct str first = f.result.key;
    assert_int_equal(first.len, 64);
    assert_true(detect(&f, "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"B\"}"));
    assert_false(str_eq(first, f.result.key));
    assert_true(detect(&f, "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"A\"}"));
    assert_true(str_eq(first, f.result.key));
    finish(&f);
}

/* Reads ../shared/events/NAME through all policies. False: the file is not there. */
static bool read_real(struct fixture *f, const char *name, struct buf *out, size_t *ret_events,
                      size_t *ret_failed)
{
    char path[4096];
    const char *shared = getenv("RECTIFY_SHARED");
    struct str text;
    enum detect_read got;
    snprintf(path, sizeof path, "%s/events/%s", shared ? shared : TEST_SHARED, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct detect_reader *reader = detect_reader_create(fd, &f->err);
    assert_non_null(reader);
    while ((got = detect_reader_next(reader, &text, &f->err)) != DETECT_READ_END) {
        assert_int_equal(got, DETECT_READ_EVENT);
        bool failed = str_find(text, STR("\"errorCode\"")) != SIZE_MAX;
        ++*ret_events;
        if (!detect_event(f->detector, f->scratch, text, NULL, 0, &f->arena, &f->result, &f->err)) {
            buf_printf(out, "refused %s\n", f->err.code);
            continue;
        }
        *ret_failed += failed;
        for (size_t i = 0; i < f->result.match_count; i++) {
            assert_false(failed);
            assert_int_equal(f->result.matches[i].assignment.mode, MODE_OBSERVE);
            buf_printf(out, "%.*s %.*s %.*s\n", STR_FMT(f->result.name),
                       STR_FMT(f->result.matches[i].policy->name),
                       STR_FMT(f->result.matches[i].resource));
        }
        for (size_t i = 0; i < f->result.note_count; i++)
            buf_printf(out, "%.*s note %.*s\n", STR_FMT(f->result.name),
                       STR_FMT(f->result.notes[i]));
    }
    detect_reader_destroy(reader);
    (void)close(fd);
    return true;
}

static void expect_real(const char *name, size_t events, size_t failed, const char *want)
{
    struct fixture f;
    size_t seen = 0, seen_failed = 0;
    start(&f, observe);
    struct buf out = {.arena = &f.arena};
    if (!read_real(&f, name, &out, &seen, &seen_failed)) {
        finish(&f);
        print_message("no ../shared/events/%s: the real records are not here\n", name);
        skip();
    }
    assert_int_equal(seen, events);
    assert_int_equal(seen_failed, failed);
    assert_string_equal(buf_str(&out).ptr, want);
    finish(&f);
}

/* What happened, which policy looks at it, and at what; in the order of the file. */
static const char real_matches[] =
    "s3:CreateBucket s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-ctes-bucket-qyxyekjbtk\n"
    "s3:PutBucketTagging s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-ctes-bucket-qyxyekjbtk\n"
    "s3:CreateBucket s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-ctlr-bucket-zqfsvooxqj\n"
    "s3:PutBucketTagging s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-ctlr-bucket-zqfsvooxqj\n"
    "s3:CreateBucket s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-bdbp-lhfzvgcamn\n"
    "s3:CreateBucket s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-backdoor-f-bucket-ufamgrrnmw\n"
    "s3:PutBucketTagging s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-backdoor-f-bucket-ufamgrrnmw\n"
    "s3:CreateBucket s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-olc-bucket-xhfgzaowxc\n"
    "s3:PutBucketTagging s3-cost-center-tag "
    "aws/123837392027/global/AWS::S3::Bucket/stratus-red-team-olc-bucket-xhfgzaowxc\n"
    "ec2:AuthorizeSecurityGroupIngress ec2-no-world-open-admin-ports "
    "aws/032092706103/us-northeast-1r/AWS::EC2::SecurityGroup/sg-003dc7f1f1c686164\n";

/* Two of these came without their envelope: nothing says whose account they are of. */
static const char variety_matches[] =
    "s3:CreateBucket note s3-cost-center-tag: the event does not say whose it is: no account, no "
    "recipientAccountId\n"
    "s3:CreateBucket note s3-cost-center-tag: the event does not say whose it is: no account, no "
    "recipientAccountId\n"
    "ec2:AuthorizeSecurityGroupIngress ec2-no-world-open-admin-ports "
    "aws/123456789012/us-west-2/AWS::EC2::SecurityGroup/sg-1\n"
    "ec2:AuthorizeSecurityGroupIngress ec2-no-world-open-admin-ports "
    "aws/112233445566/us-east-1/AWS::EC2::SecurityGroup/sg-0d921df5d84f7270a\n"
    "ec2:AuthorizeSecurityGroupIngress ec2-no-world-open-admin-ports "
    "aws/112233445566/us-west-2/AWS::EC2::SecurityGroup/sg-04f0b44316f7d2471\n";

static void test_match__real_records_match_by_name(void **state)
{
    (void)state;
    expect_real("cloudtrail.jsonl.gz", 2814, 497, real_matches);
}

static void test_match__records_of_many_shapes_match_by_name(void **state)
{
    (void)state;
    expect_real("cloudtrail-variety.jsonl.gz", 447, 65, variety_matches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match__a_record_and_its_envelope_are_the_same),
        cmocka_unit_test(test_match__the_account_is_the_envelopes_never_the_callers),
        cmocka_unit_test(test_match__the_partition_is_the_regions),
        cmocka_unit_test(test_match__failed_calls_never_match),
        cmocka_unit_test(test_match__an_event_without_a_usable_resource_leaves_a_note),
        cmocka_unit_test(test_match__what_is_no_event_is_refused),
        cmocka_unit_test(test_match__a_source_speaks_only_for_its_accounts),
        cmocka_unit_test(test_match__a_policy_that_is_off_does_not_match),
        cmocka_unit_test(test_match__events_without_an_id_are_known_by_their_content),
        cmocka_unit_test(test_match__real_records_match_by_name),
        cmocka_unit_test(test_match__records_of_many_shapes_match_by_name),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
