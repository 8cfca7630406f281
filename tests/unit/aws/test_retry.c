// SPDX-License-Identifier: Apache-2.0
/* Calls made again: what may be, how often, what the bucket and the adaptive rate hold back; and
 * presigned URLs, drafts, copies from other regions. */
#include "../cmocka_all.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws.h"
#include "stub.h"

struct fixture {
    struct clock clock; // the system's, moved on by `ahead_ms`
    int64_t ahead_ms;
    struct stub *stub;
    struct net *net;
    struct aws_models *models;
    struct aws_client *client;
    struct arena arena;
    char url[64];
    const char *mode, *attempts;
    atomic_int status;
    const char *body;
};

static int64_t wall_ms(void *ctx)
{
    return clock_wall_ms(clock_system()) + ((struct fixture *)ctx)->ahead_ms;
}

static int64_t steady_ms(void *ctx)
{
    return clock_steady_ms(clock_system()) + ((struct fixture *)ctx)->ahead_ms;
}

static void fill_random(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 0xFF, size); // the longest pause
}

static const char *lookup(void *ctx, const char *name)
{
    const struct fixture *f = ctx;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
        return "AKIDEXAMPLE";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "secret";
    if (strcmp(name, "AWS_SESSION_TOKEN") == 0)
        return "session-token";
    if (strcmp(name, "AWS_REGION") == 0)
        return "us-west-2";
    if (strcmp(name, "AWS_ENDPOINT_URL") == 0)
        return f->url[0] ? f->url : NULL;
    if (strcmp(name, "AWS_RETRY_MODE") == 0)
        return f->mode;
    if (strcmp(name, "AWS_MAX_ATTEMPTS") == 0)
        return f->attempts;
    return NULL;
}

static bool answer(void *ctx, const struct stub_request *request)
{
    const struct fixture *f = ctx;
    const char *body = f->body ? f->body : "<ListAllMyBucketsResult/>";
    return stub_reply(request, f->status, "", str_from(body));
}

static struct aws_client *open_client(struct fixture *f, struct error *err)
{
    struct aws_client_options options = {
        .models = f->models, .net = f->net, .clock = &f->clock, .env = lookup, .env_ctx = f};
    return aws_client_create(&options, err);
}

static void setup(struct fixture *f, const char *mode, const char *attempts, bool server)
{
    struct error err;
    *f = (struct fixture){.mode = mode, .attempts = attempts, .status = 200};
    f->clock = (struct clock){wall_ms, steady_ms, fill_random, f};
    struct net_options options = {.clock = &f->clock};
    f->net = net_create(&options, &err);
    f->models = aws_models_open(TEST_MODELS, &err);
    if (!f->models)
        fail_msg("%s", err.message);
    f->stub = stub_start(answer, f);
    if (server)
        snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", stub_port(f->stub));
    f->client = open_client(f, &err);
    assert_non_null(f->client);
}

static void teardown(struct fixture *f)
{
    aws_client_destroy(f->client);
    aws_models_close(f->models);
    net_destroy(f->net);
    stub_stop(f->stub);
    arena_finish(&f->arena);
}

static struct aws_call call_of(struct fixture *f, const char *name)
{
    struct error err;
    struct aws_call call = {.operation = aws_operation_find(f->models, str_from(name), &err),
                            .input = {.kind = VALUE_MAP}};
    if (!call.operation)
        fail_msg("%s", err.message);
    return call;
}

static void set(struct fixture *f, struct aws_call *call, const char *name, const char *text)
{
    struct value_builder input = {.arena = &f->arena};
    for (uint32_t i = 0; i < call->input.len; i++)
        value_set_str(&input, value_str(call->input.pairs[i].key), call->input.pairs[i].value);
    value_set(&input, name, value_cstr(text));
    call->input = value_finish_map(&input);
}

static void test_aws_retry__only_what_is_harmless_is_made_again(void **state)
{
    (void)state;
    static const struct {
        const char *operation, *token;
        enum aws_outcome outcome;
        const char *code;
        bool again;
    } cases[] = {
        {"s3:GetBucketTagging", NULL, AWS_UNKNOWN, "", true},
        {"s3:GetBucketTagging", NULL, AWS_FAILED, "InternalError", true},
        {"s3:PutBucketTagging", NULL, AWS_UNKNOWN, "", false},
        {"s3:PutBucketTagging", NULL, AWS_FAILED, "InternalError", false},
        {"s3:PutBucketTagging", NULL, AWS_THROTTLED, "SlowDown", true},
        {"s3:PutBucketTagging", NULL, AWS_NOT_SENT, "A0322", true},
        {"s3:PutBucketTagging", NULL, AWS_NOT_SENT, "A0320", false},
        {"s3:GetBucketTagging", NULL, AWS_REFUSED, "AccessDenied", false},
        {"s3:GetBucketTagging", NULL, AWS_OK, "", false},
        {"ec2:DescribeInstances", NULL, AWS_UNKNOWN, "", true},
        {"ec2:RunInstances", NULL, AWS_UNKNOWN, "", false},
        {"ec2:RunInstances", "ClientToken", AWS_UNKNOWN, "", true},
    };
    struct fixture f;
    setup(&f, NULL, NULL, true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct aws_call call = call_of(&f, cases[i].operation);
        if (cases[i].token)
            set(&f, &call, cases[i].token, "t-1");
        struct aws_answer answer = {.outcome = cases[i].outcome, .code = str_from(cases[i].code)};
        int64_t pause = -1;
        if (aws_retry_next(f.client, &call, &answer, &pause) != cases[i].again)
            fail_msg("%s, outcome %d %s", cases[i].operation, (int)cases[i].outcome, cases[i].code);
        assert_int_equal(call.attempt, cases[i].again);
    }
    teardown(&f);
}

static void test_aws_retry__pauses_grow_and_end_with_the_attempts(void **state)
{
    (void)state;
    struct fixture f;
    int64_t pause = -1;
    setup(&f, "standard", NULL, true);
    struct aws_call call = call_of(&f, "s3:GetBucketTagging");
    struct aws_answer answer = {.outcome = AWS_THROTTLED};
    assert_true(aws_retry_next(f.client, &call, &answer, &pause));
    assert_int_equal(pause, 1000);
    assert_true(aws_retry_next(f.client, &call, &answer, &pause));
    assert_int_equal(pause, 2000);
    assert_false(aws_retry_next(f.client, &call, &answer, &pause)); // three tries in all
    teardown(&f);
    setup(&f, NULL, "9", true);
    call = call_of(&f, "s3:GetBucketTagging");
    for (int i = 0; i < 8; i++)
        assert_true(aws_retry_next(f.client, &call, &answer, &pause));
    assert_int_equal(pause, 20000);
    assert_false(aws_retry_next(f.client, &call, &answer, &pause));
    call.attempt = 0;
    answer.retry_after_ms = 7000; // the service knows better
    assert_true(aws_retry_next(f.client, &call, &answer, &pause));
    assert_int_equal(pause, 7000);
    teardown(&f);
}

static void test_aws_retry__an_empty_bucket_ends_it_and_successes_fill_it(void **state)
{
    (void)state;
    struct fixture f;
    int64_t pause;
    setup(&f, NULL, NULL, true);
    struct aws_answer throttled = {.outcome = AWS_THROTTLED}, got;
    int granted = 0;
    for (int i = 0; i < 200; i++) {
        struct aws_call call = call_of(&f, "s3:ListBuckets");
        granted += aws_retry_next(f.client, &call, &throttled, &pause);
    }
    assert_int_equal(granted, 100); // 500 tokens, five each
    struct aws_call elsewhere = call_of(&f, "sqs:ListQueues");
    assert_true(aws_retry_next(f.client, &elsewhere, &throttled, &pause)); // a bucket of its own
    struct aws_call call = call_of(&f, "s3:ListBuckets");
    for (int i = 0; i < 5; i++) { // one token each
        aws_call(f.client, &call, &f.arena, &got);
        assert_int_equal(got.outcome, AWS_OK);
    }
    assert_true(aws_retry_next(f.client, &call, &throttled, &pause));
    struct aws_call after = call_of(&f, "s3:ListBuckets");
    assert_false(aws_retry_next(f.client, &after, &throttled, &pause));
    aws_call(f.client, &call, &f.arena, &got); // a retry that succeeds gives its five back
    assert_true(aws_retry_next(f.client, &after, &throttled, &pause));
    teardown(&f);
}

/* As the engine calls: it counts the tries and waits, the client has the bucket. */
static void test_aws_retry__an_empty_bucket_holds_retries_back_and_lets_one_through(void **state)
{
    (void)state;
    struct fixture f;
    struct aws_answer got;
    setup(&f, NULL, NULL, true);
    struct aws_call first = call_of(&f, "s3:ListBuckets"), again = first;
    again.attempt = 1;
    f.status = 503;
    for (int i = 0; i < 101; i++) { // 500 tokens, five each, and one let through
        aws_call(f.client, &again, &f.arena, &got);
        assert_int_equal(got.outcome, AWS_FAILED);
    }
    assert_int_equal(again.retry_cost, 0); // the caller's own call is as it was
    aws_call(f.client, &again, &f.arena, &got);
    assert_int_equal(got.outcome, AWS_THROTTLED);
    assert_true(str_is(got.code, "A0325"));
    assert_true(got.retry_after_ms > 10000 && got.retry_after_ms <= 20000);
    assert_int_equal(stub_requests(f.stub), 101); // nothing was sent
    aws_call(f.client, &first, &f.arena, &got);   // first tries always go
    assert_int_equal(got.outcome, AWS_FAILED);
    f.ahead_ms += 20000;
    aws_call(f.client, &again, &f.arena, &got); // one goes through, and no second
    assert_int_equal(got.outcome, AWS_FAILED);
    aws_call(f.client, &again, &f.arena, &got);
    assert_true(str_is(got.code, "A0325"));
    f.ahead_ms += 20000;
    f.status = 200;
    for (int i = 0; i < 3; i++) { // each that succeeds gives back what the next needs
        aws_call(f.client, &again, &f.arena, &got);
        assert_int_equal(got.outcome, AWS_OK);
    }
    teardown(&f);
}

static void test_aws_retry__a_limit_that_stays_is_a_quota(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        int status;
        enum aws_outcome outcomes[4];
    } cases[] = {
        {"LimitExceededException", 400, {AWS_THROTTLED, AWS_THROTTLED, AWS_REFUSED, AWS_REFUSED}},
        {"LimitExceededException",
         429,
         {AWS_THROTTLED, AWS_THROTTLED, AWS_THROTTLED, AWS_THROTTLED}},
        {"SlowDown", 400, {AWS_THROTTLED, AWS_THROTTLED, AWS_THROTTLED, AWS_THROTTLED}},
    };
    struct fixture f;
    setup(&f, NULL, NULL, true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f.body = arena_printf(&f.arena, "<Error><Code>%s</Code></Error>", cases[i].code);
        f.status = cases[i].status;
        struct aws_call call = call_of(&f, "s3:ListBuckets");
        for (; call.attempt < 4; call.attempt++) {
            struct aws_answer got;
            aws_call(f.client, &call, &f.arena, &got);
            assert_int_equal(got.outcome, cases[i].outcomes[call.attempt]);
        }
    }
    teardown(&f);
}

static void test_aws_retry__adaptive_holds_back_what_would_be_throttled(void **state)
{
    (void)state;
    struct fixture f;
    struct aws_answer got;
    setup(&f, "adaptive", NULL, true);
    struct aws_call call = call_of(&f, "s3:ListBuckets");
    f.status = 429;
    aws_call(f.client, &call, &f.arena, &got);
    assert_int_equal(got.outcome, AWS_THROTTLED);
    assert_int_equal(stub_requests(f.stub), 1);
    f.status = 200;
    aws_call(f.client, &call, &f.arena, &got);
    assert_int_equal(got.outcome, AWS_THROTTLED);
    assert_true(str_is(got.code, "A0325"));
    assert_true(got.retry_after_ms > 1000 && got.retry_after_ms <= 2000);
    assert_int_equal(stub_requests(f.stub), 1); // nothing was sent
    struct aws_call elsewhere = call_of(&f, "s3:ListBuckets");
    elsewhere.region = STR("eu-west-1");
    aws_call(f.client, &elsewhere, &f.arena, &got);
    assert_int_equal(got.outcome, AWS_OK); // another region, another rate
    f.ahead_ms += 2100;
    aws_call(f.client, &call, &f.arena, &got);
    assert_int_equal(got.outcome, AWS_OK);
    f.ahead_ms += 60000; // the curve has left the old rate behind
    for (int i = 0; i < 3; i++) {
        f.ahead_ms += 700;
        aws_call(f.client, &call, &f.arena, &got);
        assert_int_equal(got.outcome, AWS_OK);
    }
    teardown(&f);
}

static void test_aws_retry__settings_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"fast", NULL}, {NULL, "0"}, {NULL, "101"}, {NULL, "x"}};
    struct fixture f;
    setup(&f, NULL, NULL, true);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err;
        f.mode = bad[i][0];
        f.attempts = bad[i][1];
        assert_null(open_client(&f, &err));
        assert_string_equal(err.code, "A0316");
    }
    teardown(&f);
}

/* ---- shown instead of made ---- */

static void test_aws_draft__shows_the_request_without_the_token(void **state)
{
    (void)state;
    struct fixture f;
    struct error err;
    struct aws_draft draft;
    setup(&f, NULL, NULL, true);
    struct aws_call call = call_of(&f, "s3:GetBucketTagging");
    set(&f, &call, "Bucket", "my-bucket");
    assert_true(aws_call_draft(f.client, &call, &f.arena, &draft, &err));
    assert_true(str_ends(draft.url, STR("/my-bucket?tagging")));
    bool signed_ = false;
    for (size_t i = 0; i < draft.header_count; i++) {
        assert_true(str_find(draft.headers[i].value, STR("session-token")) == SIZE_MAX);
        signed_ |= str_eq(draft.headers[i].name, STR("Authorization"));
    }
    assert_true(signed_);
    assert_int_equal(stub_requests(f.stub), 0);
    teardown(&f);
}

static void test_aws_draft__what_no_header_can_hold_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct str value;
    } cases[] = {{"a b", {"x", 1}},  {"a:b", {"x", 1}},    {"\xC3\xBC", {"x", 1}},
                 {"(a)", {"x", 1}},  {"a\r\nb", {"x", 1}}, {"a", {"x\r\nHost: evil", 13}},
                 {"a", {"x\ny", 3}}, {"a", {"x\ry", 3}},   {"a", {"x\0y", 3}}};
    struct fixture f;
    struct error err;
    struct aws_draft draft;
    setup(&f, NULL, NULL, true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct aws_call call = call_of(&f, "s3:PutObject");
        struct value_builder metadata = {.arena = &f.arena}, input = {.arena = &f.arena};
        value_set(&metadata, cases[i].name, value_string(cases[i].value));
        value_set(&input, "Bucket", value_cstr("my-bucket"));
        value_set(&input, "Key", value_cstr("k"));
        value_set(&input, "Metadata", value_finish_map(&metadata));
        call.input = value_finish_map(&input);
        assert_false(aws_call_draft(f.client, &call, &f.arena, &draft, &err));
        assert_string_equal(err.code, "A0155");
    }
    teardown(&f);
}

static void test_aws_presign__bodies_and_durations_are_checked(void **state)
{
    (void)state;
    struct fixture f;
    struct error err;
    struct str url;
    setup(&f, NULL, NULL, false);
    struct aws_call call = call_of(&f, "s3:GetObject");
    set(&f, &call, "Bucket", "my-bucket");
    set(&f, &call, "Key", "a b/\xC3\xBC");
    assert_true(aws_call_presign(f.client, &call, 604800, &f.arena, &url, &err));
    assert_true(str_starts(
        url, STR("https://my-bucket.s3.us-west-2.amazonaws.com/a%20b/%C3%BC?X-Amz-Algorithm=")));
    assert_true(str_find(url, STR("&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&")) != SIZE_MAX);
    assert_false(aws_call_presign(f.client, &call, 604801, &f.arena, &url, &err));
    assert_false(aws_call_presign(f.client, &call, 0, &f.arena, &url, &err));
    call = call_of(&f, "sqs:ListQueues"); // json: a body
    assert_false(aws_call_presign(f.client, &call, 60, &f.arena, &url, &err));
    assert_string_equal(err.code, "A0315");
    teardown(&f);
}

static void test_aws_copy__a_copy_from_another_region_carries_its_url(void **state)
{
    (void)state;
    struct fixture f;
    struct error err;
    struct aws_draft draft;
    setup(&f, NULL, NULL, false);
    struct aws_call call = call_of(&f, "rds:CopyDBSnapshot");
    set(&f, &call, "SourceDBSnapshotIdentifier", "arn:s");
    set(&f, &call, "TargetDBSnapshotIdentifier", "t");
    set(&f, &call, "SourceRegion", "eu-west-1");
    assert_true(aws_call_draft(f.client, &call, &f.arena, &draft, &err));
    assert_true(str_starts(draft.url, STR("https://rds.us-west-2.")));
    assert_true(str_find(draft.body, STR("&SourceRegion=")) == SIZE_MAX);
    assert_true(str_find(draft.body, STR("&PreSignedUrl=https%3A%2F%2Frds.eu-west-1.amazonaws.com"
                                         "%2F%3FAction%3DCopyDBSnapshot")) != SIZE_MAX);
    assert_true(str_find(draft.body, STR("DestinationRegion%3Dus-west-2")) != SIZE_MAX);
    assert_true(str_find(draft.body, STR("eu-west-1%252Frds%252Faws4_request")) != SIZE_MAX);
    call = call_of(&f, "ec2:CopySnapshot");
    set(&f, &call, "SourceRegion", "eu-west-1");
    set(&f, &call, "SourceSnapshotId", "snap-1");
    assert_true(aws_call_draft(f.client, &call, &f.arena, &draft, &err));
    assert_true(str_find(draft.body, STR("&SourceRegion=eu-west-1")) != SIZE_MAX);
    assert_true(str_find(draft.body, STR("&DestinationRegion=us-west-2")) != SIZE_MAX);
    assert_true(str_find(draft.body, STR("&PresignedUrl=https%3A%2F%2Fec2.eu-west-1.")) !=
                SIZE_MAX);
    teardown(&f);
}

static void test_aws_scope__global_services_sign_for_their_region(void **state)
{
    (void)state;
    struct fixture f;
    struct error err;
    struct aws_draft draft;
    setup(&f, NULL, NULL, false);
    /* The rules say so of one, endpoints.json of the other. */
    static const char *const cases[][2] = {{"iam:ListUsers", "/us-east-1/iam/aws4_request"},
                                           {"health:DescribeEvents", "/us-east-1/health/aws4_r"}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct aws_call call = call_of(&f, cases[c][0]);
        call.region = STR("ap-southeast-3");
        assert_true(aws_call_draft(f.client, &call, &f.arena, &draft, &err));
        bool found = false;
        for (size_t i = 0; i < draft.header_count; i++)
            found |= str_find(draft.headers[i].value, str_from(cases[c][1])) != SIZE_MAX;
        assert_true(found);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aws_retry__only_what_is_harmless_is_made_again),
        cmocka_unit_test(test_aws_retry__pauses_grow_and_end_with_the_attempts),
        cmocka_unit_test(test_aws_retry__an_empty_bucket_ends_it_and_successes_fill_it),
        cmocka_unit_test(test_aws_retry__an_empty_bucket_holds_retries_back_and_lets_one_through),
        cmocka_unit_test(test_aws_retry__a_limit_that_stays_is_a_quota),
        cmocka_unit_test(test_aws_retry__adaptive_holds_back_what_would_be_throttled),
        cmocka_unit_test(test_aws_retry__settings_that_mean_nothing_are_refused),
        cmocka_unit_test(test_aws_draft__shows_the_request_without_the_token),
        cmocka_unit_test(test_aws_draft__what_no_header_can_hold_is_refused),
        cmocka_unit_test(test_aws_presign__bodies_and_durations_are_checked),
        cmocka_unit_test(test_aws_copy__a_copy_from_another_region_carries_its_url),
        cmocka_unit_test(test_aws_scope__global_services_sign_for_their_region),
    };
    return cmocka_run_group_tests_name("aws_retry", tests, NULL, NULL);
}
