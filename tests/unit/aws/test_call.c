// SPDX-License-Identifier: Apache-2.0
/* aws_call against a server inside the test: every answer and every misbehaviour to its outcome. */
#include "../cmocka_all.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/aws.h"
#include "stub.h"
#include "value/json.h"

#define ACCOUNT "123456789012"

struct canned {
    int status;
    const char *headers, *body;
};

/* What the server does and what it saw. */
struct script {
    struct canned first, then; // `then` from the second request on, if it has a status
    struct canned assume_role; // to STS AssumeRole
    stub_answer *instead;      // NULL = answer from the above
    atomic_uint service, identity, role;
    pthread_mutex_t lock; // of the texts, which connections write
    char authorization[512], host[128], date[32], path[256], token[64];
    char assumed[4][700];      // bodies of the first AssumeRoles
    atomic_uint on_wire, most; // calls of the service at the same time
};

struct fixture {
    struct script script;
    struct stub *stub;
    struct net *net;
    struct aws_models *models;
    struct aws_client *client;
    struct arena arena;
    char url[64];
    const char *region, *extra_name, *extra_value;
};

static const char *lookup(void *ctx, const char *name)
{
    struct fixture *f = ctx;
    if (f->extra_name && strcmp(name, f->extra_name) == 0)
        return f->extra_value;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
        return "AKIDEXAMPLE";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "secret-that-stays-secret";
    if (strcmp(name, "AWS_ENDPOINT_URL") == 0)
        return f->url;
    if (strcmp(name, "AWS_REGION") == 0)
        return f->region;
    if (strcmp(name, "AWS_EC2_METADATA_DISABLED") == 0)
        return "true";
    return NULL;
}

static void keep(char *to, size_t size, struct str s)
{
    snprintf(to, size, "%.*s", STR_FMT(s));
}

static bool answer(void *ctx, const struct stub_request *request)
{
    struct script *script = ctx;
    static const char identity[] =
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>" ACCOUNT
        "</Account><Arn>arn:aws:iam::" ACCOUNT ":user/x</Arn></GetCallerIdentityResult>"
        "</GetCallerIdentityResponse>";
    if (str_find(request->body, STR("GetCallerIdentity")) != SIZE_MAX) {
        script->identity++;
        return stub_reply(request, 200, "", str_from(identity));
    }
    if (str_find(request->body, STR("Action=AssumeRole")) != SIZE_MAX) {
        unsigned at = script->role++;
        if (at < 4) {
            pthread_mutex_lock(&script->lock);
            keep(script->assumed[at], sizeof(script->assumed[at]), request->body);
            pthread_mutex_unlock(&script->lock);
        }
        return stub_reply(request, script->assume_role.status, "",
                          str_from(script->assume_role.body));
    }
    pthread_mutex_lock(&script->lock);
    keep(script->authorization, sizeof(script->authorization),
         stub_header(request, "authorization"));
    keep(script->host, sizeof(script->host), stub_header(request, "host"));
    keep(script->date, sizeof(script->date), stub_header(request, "x-amz-date"));
    keep(script->token, sizeof(script->token), stub_header(request, "x-amz-security-token"));
    struct str line = request->head;
    keep(script->path, sizeof(script->path), str_cut(&line, '\r'));
    pthread_mutex_unlock(&script->lock);
    unsigned number = ++script->service;
    if (script->instead)
        return script->instead(NULL, request);
    struct canned *canned = number > 1 && script->then.status ? &script->then : &script->first;
    return stub_reply(request, canned->status, canned->headers ? canned->headers : "",
                      str_from(canned->body ? canned->body : ""));
}

static const char *models_dir(void)
{
    const char *dir = getenv("RECTIFY_MODELS");
    return dir ? dir : TEST_MODELS;
}

static struct fixture *setup(const char *extra_name, const char *extra_value)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;
    assert_non_null(f);
    pthread_mutex_init(&f->script.lock, NULL);
    f->region = "us-east-1";
    f->extra_name = extra_name;
    f->extra_value = extra_value;
    struct net_options net_options = {.clock = clock_system()};
    f->net = net_create(&net_options, &err);
    f->models = aws_models_open(models_dir(), &err);
    assert_non_null(f->net);
    assert_non_null(f->models);
    f->stub = stub_start(answer, &f->script);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", stub_port(f->stub));
    struct aws_client_options options = {
        .models = f->models, .net = f->net, .clock = clock_system(), .env = lookup, .env_ctx = f};
    f->client = aws_client_create(&options, &err);
    assert_non_null(f->client);
    return f;
}

static void teardown(struct fixture *f)
{
    aws_client_destroy(f->client);
    net_destroy(f->net);
    stub_stop(f->stub);
    aws_models_close(f->models);
    arena_finish(&f->arena);
    free(f);
}

/* The input is in `arena`: threads of one fixture each have their own. */
static struct aws_call call_in(struct fixture *f, struct arena *arena, const char *operation,
                               const char *input)
{
    struct error err;
    struct aws_call call = {.operation = aws_operation_find(f->models, str_from(operation), &err),
                            .account = STR(ACCOUNT),
                            .deadline_ms = clock_steady_ms(clock_system()) + 2000};
    assert_non_null(call.operation);
    assert_true(json_parse(arena, str_from(input), &call.input, &err));
    return call;
}

static struct aws_call call_of(struct fixture *f, const char *operation, const char *input)
{
    return call_in(f, &f->arena, operation, input);
}

static struct aws_answer run(struct fixture *f, const char *operation, const char *input)
{
    struct aws_call call = call_of(f, operation, input);
    struct aws_answer ret;
    aws_call(f->client, &call, &f->arena, &ret);
    return ret;
}

static struct aws_answer get_tags(struct fixture *f)
{
    return run(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
}

/* ---- answers ---- */

static void test_aws_call__an_answer_is_parsed_and_the_account_asked_once(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.first = (struct canned){
        200, "x-amz-request-id: R1\r\n",
        "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"};
    for (int i = 0; i < 3; i++) {
        struct aws_answer ret = get_tags(f);
        assert_int_equal(ret.outcome, AWS_OK);
        assert_true(str_is(value_path_str(ret.output, "TagSet.0.Value"), "v"));
        assert_true(str_is(ret.request_id, "R1"));
    }
    assert_int_equal(f->script.service, 3);
    assert_int_equal(f->script.identity, 1);
    assert_string_equal(f->script.path, "GET /my-bucket?tagging HTTP/1.1");
    assert_non_null(strstr(f->script.authorization, "/us-east-1/s3/aws4_request"));
    teardown(f);
}

static void test_aws_call__answers_become_outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct canned canned;
        enum aws_outcome outcome;
        const char *code;
        int64_t retry_after_ms;
    } cases[] = {
        {"gone",
         {404, "", "<Error><Code>NoSuchTagSet</Code><Message>m</Message></Error>"},
         AWS_REFUSED,
         "NoSuchTagSet",
         0},
        {"denied",
         {403, "", "<Error><Code>AccessDenied</Code></Error>"},
         AWS_REFUSED,
         "AccessDenied",
         0},
        {"slow down",
         {503, "Retry-After: 7\r\n", "<Error><Code>SlowDown</Code></Error>"},
         AWS_THROTTLED,
         "SlowDown",
         7000},
        {"429", {429, "x-amz-retry-after: 250\r\n", ""}, AWS_THROTTLED, "429", 250},
        {"503", {503, "", "<html><body>Service Unavailable</body></html>"}, AWS_FAILED, "503", 0},
        {"500",
         {500, "", "<Error><Code>InternalError</Code></Error>"},
         AWS_FAILED,
         "InternalError",
         0},
        {"request timeout",
         {400, "", "<Error><Code>RequestTimeout</Code></Error>"},
         AWS_FAILED,
         "RequestTimeout",
         0},
        {"404 as HTML",
         {404, "Content-Type: text/html\r\n", "<!doctype html><p>no"},
         AWS_REFUSED,
         "404",
         0},
        {"garbled", {200, "", "<Tagging><TagSet>"}, AWS_FAILED, NULL, 0},
        {"HTML instead", {200, "", "<!doctype html><html><p>login</html>"}, AWS_FAILED, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = setup(NULL, NULL);
        f->script.first = cases[i].canned;
        struct aws_answer ret = get_tags(f);
        bool same_code = !cases[i].code || str_is(ret.code, cases[i].code);
        if (ret.outcome != cases[i].outcome || !same_code ||
            ret.retry_after_ms != cases[i].retry_after_ms)
            fail_msg("%s: outcome %d, code %.*s, message %.*s, retry after %ld", cases[i].name,
                     (int)ret.outcome, STR_FMT(ret.code), STR_FMT(ret.message),
                     (long)ret.retry_after_ms);
        assert_int_equal(ret.http_status, cases[i].canned.status);
        assert_int_equal(f->script.service, 1);
        teardown(f);
    }
}

static bool cut(void *ctx, const struct stub_request *request)
{
    (void)ctx, (void)request;
    return false;
}
static bool silent(void *ctx, const struct stub_request *request)
{
    (void)ctx, (void)request;
    return true;
}
static bool endless(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    static const char chunk[65536];
    stub_write(request->fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
    while (stub_write(request->fd, chunk, sizeof(chunk)))
        ;
    return false;
}

static void test_aws_call__broken_connections_end_in_bounded_time(void **state)
{
    (void)state;
    static const struct {
        stub_answer *answer;
        enum aws_outcome outcome;
        const char *code;
    } cases[] = {{cut, AWS_UNKNOWN, "A0323"},
                 {silent, AWS_UNKNOWN, "A0323"},
                 {endless, AWS_FAILED, "A0324"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = setup(NULL, NULL);
        f->script.instead = cases[i].answer;
        struct aws_call call = call_of(
            f, "s3:PutBucketTagging", "{\"Bucket\": \"my-bucket\", \"Tagging\": {\"TagSet\": []}}");
        int64_t start_ms = clock_steady_ms(clock_system());
        call.deadline_ms = start_ms + (cases[i].answer == silent ? 500 : 10000);
        struct aws_answer ret;
        aws_call(f->client, &call, &f->arena, &ret);
        if (ret.outcome != cases[i].outcome || !str_is(ret.code, cases[i].code))
            fail_msg("case %zu: outcome %d, code %.*s", i, (int)ret.outcome, STR_FMT(ret.code));
        assert_true(ret.message.len > 0);
        assert_true(clock_steady_ms(clock_system()) - start_ms < 9000);
        assert_int_equal(f->script.service, 1); // never sent a second time
        teardown(f);
    }
}

/* ---- not sent ---- */

static void test_aws_call__credentials_of_another_account_send_nothing(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
    call.account = STR("999999999999");
    struct aws_answer ret;
    aws_call(f->client, &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    assert_true(str_is(ret.code, "A0301"));
    assert_true(str_find(ret.message, STR("999999999999")) != SIZE_MAX);
    assert_true(str_find(ret.message, STR("secret")) == SIZE_MAX);
    assert_int_equal(f->script.service, 0);
    teardown(f);
}

static bool closed(void *ctx, char *reason, size_t size)
{
    (*(int *)ctx)++;
    snprintf(reason, size, "the kill switch is on");
    return false;
}

static void test_aws_call__a_closed_gate_sends_nothing(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    struct aws_call call = call_of(f, "s3:DeleteBucketTagging", "{\"Bucket\": \"my-bucket\"}");
    int asked = 0;
    call.gate = closed;
    call.gate_ctx = &asked;
    struct aws_answer ret;
    aws_call(f->client, &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    assert_true(ret.gate_closed);
    assert_true(str_is(ret.message, "the kill switch is on"));
    assert_int_equal(asked, 1); // the account's question is not a call of the caller's
    assert_int_equal(f->script.service, 0);
    teardown(f);
}

static void test_aws_call__what_cannot_be_sent_says_why(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    struct aws_answer ret = run(f, "s3:GetBucketTagging", "{}");
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    assert_true(ret.message.len > 0);
    struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
    call.deadline_ms = 1;
    aws_call(f->client, &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
    call.access.role = STR("a-role");
    call.account = (struct str){0};
    aws_call(f->client, &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    assert_true(str_is(ret.code, "A0304"));
    assert_int_equal(f->script.service, 0);
    teardown(f);
}

static void test_aws_call__no_server_and_no_credentials_are_told(void **state)
{
    (void)state;
    struct fixture *f = setup("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    struct aws_answer ret = get_tags(f);
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    assert_true(str_is(ret.code, "A0305")); // STS cannot be asked either
    teardown(f);
    f = setup("AWS_ACCESS_KEY_ID", "");
    ret = get_tags(f);
    assert_int_equal(ret.outcome, AWS_NOT_SENT);
    assert_true(str_is(ret.code, "A0302"));
    teardown(f);
}

/* ---- sent again, once ---- */

static void test_aws_call__a_wrong_clock_is_corrected_and_the_call_repeated(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.first =
        (struct canned){403, "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
                        "<Error><Code>RequestTimeTooSkewed</Code><Message>late</Message></Error>"};
    f->script.then = (struct canned){200, "", "<Tagging><TagSet></TagSet></Tagging>"};
    struct aws_answer ret = get_tags(f);
    assert_int_equal(ret.outcome, AWS_OK);
    assert_true(ret.clock_skewed);
    assert_int_equal(f->script.service, 2);
    assert_memory_equal(f->script.date, "21000101T0000", 13);
    teardown(f);
}

static void test_aws_call__a_bucket_elsewhere_is_found_and_remembered(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.first = (struct canned){301, "x-amz-bucket-region: eu-west-3\r\n",
                                      "<Error><Code>PermanentRedirect</Code></Error>"};
    f->script.then = (struct canned){200, "", "<Tagging><TagSet></TagSet></Tagging>"};
    assert_int_equal(get_tags(f).outcome, AWS_OK);
    assert_non_null(strstr(f->script.authorization, "/eu-west-3/s3/aws4_request"));
    assert_int_equal(f->script.service, 2);
    assert_int_equal(get_tags(f).outcome, AWS_OK);
    assert_int_equal(f->script.service, 3);
    assert_non_null(strstr(f->script.authorization, "/eu-west-3/s3/aws4_request"));
    teardown(f);
}

static void test_aws_call__a_redirect_to_where_we_are_is_not_followed(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.first = (struct canned){301, "x-amz-bucket-region: us-east-1\r\n",
                                      "<Error><Code>PermanentRedirect</Code></Error>"};
    assert_int_equal(get_tags(f).outcome, AWS_REFUSED);
    assert_int_equal(f->script.service, 1);
    teardown(f);
}

/* ---- roles ---- */

#define ROLE_BODY(expiration)                                                                      \
    "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::111122223333:"       \
    "assumed-role/r/s</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>"     \
    "<SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken>"        \
    "<Expiration>" expiration                                                                      \
    "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"

static void test_aws_call__a_role_is_assumed_once_and_its_account_is_proven(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.assume_role = (struct canned){200, NULL, ROLE_BODY("2100-01-01T00:00:00Z")};
    f->script.first = (struct canned){200, "", "<Tagging><TagSet></TagSet></Tagging>"};
    for (int i = 0; i < 2; i++) {
        struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
        call.account = STR("111122223333");
        call.access.role = STR("r");
        struct aws_answer ret;
        aws_call(f->client, &call, &f->arena, &ret);
        assert_int_equal(ret.outcome, AWS_OK);
        assert_non_null(strstr(f->script.authorization, "Credential=ASIAROLE/"));
        assert_string_equal(f->script.token, "role-token");
    }
    assert_int_equal(f->script.role, 1);
    assert_int_equal(f->script.identity, 0);
    teardown(f);
}

static void test_aws_call__expired_role_credentials_are_renewed_once(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.assume_role = (struct canned){200, NULL, ROLE_BODY("2100-01-01T00:00:00Z")};
    f->script.first = (struct canned){400, "", "<Error><Code>ExpiredToken</Code></Error>"};
    f->script.then = (struct canned){200, "", "<Tagging><TagSet></TagSet></Tagging>"};
    struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
    call.account = STR("111122223333");
    call.access.role = STR("arn:aws:iam::111122223333:role/r");
    struct aws_answer ret;
    aws_call(f->client, &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_OK);
    assert_int_equal(f->script.role, 2);
    assert_int_equal(f->script.service, 2);
    teardown(f);
}

static void test_aws_call__a_denied_role_is_told_and_not_hammered(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.assume_role = (struct canned){
        403, NULL,
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        "</ErrorResponse>"};
    for (int i = 0; i < 3; i++) {
        struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
        call.account = STR("111122223333");
        call.access.role = STR("r");
        struct aws_answer ret;
        aws_call(f->client, &call, &f->arena, &ret);
        assert_int_equal(ret.outcome, AWS_NOT_SENT);
        assert_true(str_is(ret.code, "A0304"));
        assert_true(str_find(ret.message, STR("AccessDenied")) != SIZE_MAX);
    }
    assert_int_equal(f->script.role, 1); // a pause lies between two attempts that fail
    assert_int_equal(f->script.service, 0);
    teardown(f);
}

static void test_aws_call__a_chain_of_roles_is_assumed_link_by_link(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    const struct str via[] = {STR("arn:aws:iam::999988887777:role/hub"),
                              STR("arn:aws:iam::666655554444:role/spoke")};
    f->script.assume_role = (struct canned){200, NULL, ROLE_BODY("2100-01-01T00:00:00Z")};
    f->script.first = (struct canned){200, "", "<Tagging><TagSet></TagSet></Tagging>"};
    for (int i = 0; i < 3; i++) { // twice the one role, then another at the same chain's end
        struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
        call.account = STR("111122223333");
        call.access = (struct aws_access){.role = i < 2 ? STR("reader") : STR("actor"),
                                          .via = via,
                                          .via_count = 2,
                                          .external_id = STR("x-1")};
        struct aws_answer ret;
        aws_call(f->client, &call, &f->arena, &ret);
        assert_int_equal(ret.outcome, AWS_OK);
    }
    assert_int_equal(f->script.role, 4); // hub, spoke, reader; then actor only
    assert_non_null(strstr(f->script.assumed[0], "role%2Fhub"));
    assert_null(strstr(f->script.assumed[0], "ExternalId"));
    assert_non_null(strstr(f->script.assumed[1], "role%2Fspoke"));
    assert_non_null(strstr(f->script.assumed[2], "111122223333%3Arole%2Freader"));
    assert_non_null(strstr(f->script.assumed[2], "ExternalId=x-1"));
    assert_non_null(strstr(f->script.assumed[2], "RoleSessionName=rectify"));
    assert_non_null(strstr(f->script.assumed[3], "role%2Factor"));
    teardown(f);
}

/* Nothing that stands in the environment is used in the place of a role that cannot be had. */
static void test_aws_call__a_role_of_another_account_or_partition_is_refused(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    static const char *const roles[] = {"arn:aws:iam::444455556666:role/r",
                                        "arn:aws-cn:iam::111122223333:role/r"};
    for (size_t i = 0; i < 2; i++) {
        struct aws_call call = call_of(f, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
        call.account = STR("111122223333");
        call.access.role = str_from(roles[i]);
        struct aws_answer ret;
        aws_call(f->client, &call, &f->arena, &ret);
        assert_int_equal(ret.outcome, AWS_NOT_SENT);
        assert_true(str_is(ret.code, "A0301"));
    }
    assert_int_equal(f->script.role, 0);
    assert_int_equal(f->script.service, 0);
    teardown(f);
}

/* ---- how much an account bears ---- */

struct crowd {
    struct fixture *f;
    struct aws_access access;
    atomic_uint ok, held;
};

static bool answer_slowly(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return stub_reply(request, 200, "", STR("<Tagging><TagSet></TagSet></Tagging>"));
}

static void *call_in_a_crowd(void *ctx)
{
    struct crowd *crowd = ctx;
    struct arena arena = {0};
    struct aws_call call =
        call_in(crowd->f, &arena, "s3:GetBucketTagging", "{\"Bucket\": \"my-bucket\"}");
    struct aws_answer ret;
    call.account = STR(ACCOUNT);
    call.access = crowd->access;
    aws_call(crowd->f->client, &call, &arena, &ret);
    if (ret.outcome == AWS_OK)
        crowd->ok++;
    else if (ret.outcome == AWS_THROTTLED && str_is(ret.code, "A0343") && ret.retry_after_ms > 0)
        crowd->held++;
    arena_finish(&arena);
    return NULL;
}

static void run_crowd(struct crowd *crowd, size_t count)
{
    pthread_t threads[16];
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_in_a_crowd, crowd), 0);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static struct fixture *measured; // whose answers are counted while they are on the wire

static bool answer_counted(void *ctx, const struct stub_request *request)
{
    unsigned now = ++measured->script.on_wire, most = measured->script.most;
    while (now > most && !atomic_compare_exchange_weak(&measured->script.most, &most, now))
        ;
    bool ok = answer_slowly(ctx, request);
    measured->script.on_wire--;
    return ok;
}

static void test_aws_call__an_account_has_at_most_so_many_calls_on_the_wire(void **state)
{
    (void)state;
    struct fixture *f = measured = setup(NULL, NULL);
    f->script.instead = answer_counted;
    struct crowd crowd = {.f = f, .access = {.at_once = 3}};
    run_crowd(&crowd, 12);
    assert_int_equal(crowd.ok, 12);
    assert_int_equal(f->script.most, 3);
    teardown(f);
}

/* Two may begin a second: the first two at once, and what would wait longer than a second is told
 * to come again. */
static void test_aws_call__an_account_has_at_most_so_many_calls_a_second(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.instead = answer_slowly;
    struct crowd crowd = {.f = f, .access = {.per_second = 2}};
    run_crowd(&crowd, 10);
    assert_int_equal(crowd.ok + crowd.held, 10);
    assert_in_range(crowd.ok, 2, 5);
    assert_int_equal(f->script.service, crowd.ok);
    teardown(f);
}

/* ---- pages ---- */

static bool three_pages(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    struct str body = request->body;
    const char *text = str_find(body, STR("\"m2\"")) != SIZE_MAX
                           ? "{\"Keys\": [{\"KeyId\": \"c\"}], \"Truncated\": false}"
                       : str_find(body, STR("\"m1\"")) != SIZE_MAX
                           ? "{\"Keys\": [{\"KeyId\": \"b\"}], \"Truncated\": true, "
                             "\"NextMarker\": \"m2\"}"
                           : "{\"Keys\": [{\"KeyId\": \"a\"}], \"Truncated\": true, "
                             "\"NextMarker\": \"m1\"}";
    return stub_reply(request, 200, "", str_from(text));
}

static bool same_token(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    return stub_reply(request, 200, "",
                      STR("{\"Keys\": [], \"Truncated\": true, \"NextMarker\": \"again\"}"));
}

static void test_aws_call_pages__all_pages_are_joined(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.instead = three_pages;
    struct aws_call call = call_of(f, "kms:ListKeys", "{}");
    struct aws_answer ret;
    aws_call_pages(aws_client_caller(f->client), &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_OK);
    assert_int_equal(value_path(ret.output, "Keys")->len, 3);
    assert_true(str_is(value_path_str(ret.output, "Keys.2.KeyId"), "c"));
    assert_int_equal(f->script.service, 3);
    teardown(f);
}

static void test_aws_call_pages__the_same_token_twice_is_an_error(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.instead = same_token;
    struct aws_call call = call_of(f, "kms:ListKeys", "{}");
    struct aws_answer ret;
    aws_call_pages(aws_client_caller(f->client), &call, &f->arena, &ret);
    assert_int_equal(ret.outcome, AWS_FAILED);
    assert_true(str_is(ret.code, "A0327"));
    assert_int_equal(f->script.service, 2);
    teardown(f);
}

/* ---- threads ---- */

static void *call_often(void *arg)
{
    struct fixture *f = arg;
    intptr_t failures = 0;
    for (int i = 0; i < 20; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct error err;
        char text[64];
        snprintf(text, sizeof(text), "{\"Bucket\": \"bucket-%d\"}", i);
        struct aws_call call = {.operation =
                                    aws_operation_find(f->models, STR("s3:GetBucketTagging"), &err),
                                .account = STR(ACCOUNT)};
        struct aws_answer ret = {.outcome = AWS_FAILED};
        if (json_parse(&arena, str_from(text), &call.input, &err))
            aws_call(f->client, &call, &arena, &ret);
        failures += ret.outcome != AWS_OK;
    }
    return (void *)failures;
}

static void test_aws_call__many_threads_share_one_client(void **state)
{
    (void)state;
    struct fixture *f = setup(NULL, NULL);
    f->script.first = (struct canned){200, "", "<Tagging><TagSet></TagSet></Tagging>"};
    pthread_t threads[16];
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, f), 0);
    for (int i = 0; i < 16; i++) {
        void *failures;
        pthread_join(threads[i], &failures);
        assert_int_equal((intptr_t)failures, 0);
    }
    assert_int_equal(f->script.identity, 1);
    assert_int_equal(f->script.service, 16 * 20);
    teardown(f);
}

int main(void)
{
    struct error err;
    struct aws_models *models = aws_models_open(models_dir(), &err);
    if (!models) {
        printf("skipped: %s\n", err.message);
        return 77;
    }
    aws_models_close(models);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aws_call__an_answer_is_parsed_and_the_account_asked_once),
        cmocka_unit_test(test_aws_call__answers_become_outcomes),
        cmocka_unit_test(test_aws_call__broken_connections_end_in_bounded_time),
        cmocka_unit_test(test_aws_call__credentials_of_another_account_send_nothing),
        cmocka_unit_test(test_aws_call__a_closed_gate_sends_nothing),
        cmocka_unit_test(test_aws_call__what_cannot_be_sent_says_why),
        cmocka_unit_test(test_aws_call__no_server_and_no_credentials_are_told),
        cmocka_unit_test(test_aws_call__a_wrong_clock_is_corrected_and_the_call_repeated),
        cmocka_unit_test(test_aws_call__a_bucket_elsewhere_is_found_and_remembered),
        cmocka_unit_test(test_aws_call__a_redirect_to_where_we_are_is_not_followed),
        cmocka_unit_test(test_aws_call__a_role_is_assumed_once_and_its_account_is_proven),
        cmocka_unit_test(test_aws_call__expired_role_credentials_are_renewed_once),
        cmocka_unit_test(test_aws_call__a_denied_role_is_told_and_not_hammered),
        cmocka_unit_test(test_aws_call__a_chain_of_roles_is_assumed_link_by_link),
        cmocka_unit_test(test_aws_call__a_role_of_another_account_or_partition_is_refused),
        cmocka_unit_test(test_aws_call__an_account_has_at_most_so_many_calls_on_the_wire),
        cmocka_unit_test(test_aws_call__an_account_has_at_most_so_many_calls_a_second),
        cmocka_unit_test(test_aws_call_pages__all_pages_are_joined),
        cmocka_unit_test(test_aws_call_pages__the_same_token_twice_is_an_error),
        cmocka_unit_test(test_aws_call__many_threads_share_one_client),
    };
    return cmocka_run_group_tests_name("aws call", tests, NULL, NULL);
}
