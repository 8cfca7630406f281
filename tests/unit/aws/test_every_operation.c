// SPDX-License-Identifier: Apache-2.0
/* Every operation of every service, made ready to be sent with the least input that its model
 * allows, in a world without a network: signed, or unsigned because it has to be, or an error that
 * is known here and says why. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "aws/client_internal.h"

#define DEPTH_MAX 12

/* ---- the least input ---- */

static struct value least(const struct aws_ref *ref, struct arena *arena, unsigned depth);

static struct str least_text(const struct aws_ref *ref, struct arena *arena)
{
    const struct aws_shape *shape = ref->shape;
    if (ref->context_param.ptr && str_is(ref->context_param, "Bucket"))
        return STR("some-bucket");
    if (ref->context_param.ptr && str_is(ref->context_param, "AccountId"))
        return STR("123456789012");
    if (ref->context_param.ptr && str_ends(ref->context_param, STR("ARN")))
        return str_is(shape->service->name, "cloudfront-keyvaluestore")
                   ? STR("arn:aws:cloudfront::123456789012:key-value-store/x")
                   : STR("arn:aws:kinesis:us-east-1:123456789012:stream/x");
    if (shape->choices.kind == VALUE_LIST && shape->choices.len)
        return value_str(shape->choices.items[0]);
    size_t count = shape->min.kind == VALUE_INT && shape->min.i > 1 ? (size_t)shape->min.i : 1;
    char *text = arena_alloc(arena, count);
    assert_non_null(text);
    memset(text, 'a', count);
    return (struct str){text, count};
}

static struct value least_structure(const struct aws_shape *shape, struct arena *arena,
                                    unsigned depth)
{
    struct value_builder out = {.arena = arena};
    bool any = false;
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        if (!member->required && !(shape->is_union && !any))
            continue;
        any = true;
        value_set_str(&out, member->name, least(member, arena, depth + 1));
    }
    return value_finish_map(&out);
}

static struct value least(const struct aws_ref *ref, struct arena *arena, unsigned depth)
{
    const struct aws_shape *shape = ref->shape;
    struct value_builder out = {.arena = arena};
    double min = shape->min.kind == VALUE_DOUBLE ? shape->min.d
                 : shape->min.kind == VALUE_INT  ? (double)shape->min.i
                                                 : 0;
    int64_t count = (int64_t)min;
    if (depth > DEPTH_MAX || shape->document)
        return (struct value){.kind = VALUE_MAP};
    switch (shape->kind) {
    case AWS_STRUCTURE:
        return least_structure(shape, arena, depth);
    case AWS_LIST:
        for (int64_t i = 0; i < count; i++)
            value_push(&out, least(shape->item, arena, depth + 1));
        return value_finish_list(&out);
    case AWS_MAP:
        for (int64_t i = 0; i < count; i++)
            value_set_str(&out, least_text(shape->key, arena),
                          least(shape->item, arena, depth + 1));
        return value_finish_map(&out);
    case AWS_STRING:
        return value_string(least_text(ref, arena));
    case AWS_INTEGER:
    case AWS_LONG:
        return value_int(count);
    case AWS_FLOAT:
    case AWS_DOUBLE:
        return (struct value){.kind = VALUE_DOUBLE, .d = min};
    case AWS_BOOLEAN:
        return value_bool(true);
    case AWS_BLOB:
        return value_string(least_text(ref, arena));
    case AWS_TIMESTAMP:
        return (struct value){.kind = VALUE_TIMESTAMP, .i = 1700000000};
    }
    return value_null();
}

/* ---- a world without a network ---- */

static const char *lookup(void *ctx, const char *name)
{
    (void)ctx;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
        return "AKIDEXAMPLE";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "secret";
    return strcmp(name, "AWS_REGION") == 0 ? "us-east-1" : NULL;
}

static void http(void *ctx, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret)
{
    (void)ctx, (void)request, (void)arena;
    *ret = (struct net_answer){.outcome = NET_NOT_SENT, .reason = "nobody there"};
}

/* ---- what is known not to go ---- */

static const struct {
    const char *service, *operation; // NULL = all that are not listed before
    const char *code, *words;
} known[] = {
    {"sdb", NULL, "A0312", "signature version 2"},
    {"importexport", NULL, "A0312", "signature version 2"},
    {"codecatalyst", NULL, "A0312", "bearer token"},
    {"timestream-write", "DescribeEndpoints", NULL, NULL},
    {"timestream-query", "DescribeEndpoints", NULL, NULL},
    {"timestream-write", NULL, "A0344", "DescribeEndpoints"},
    {"timestream-query", NULL, "A0344", "DescribeEndpoints"},
    {"cloudfront-keyvaluestore", NULL, "A0312", "sigv4a"},
};

static bool has_event_stream(const struct aws_ref *end)
{
    for (size_t i = 0; end && i < end->shape->member_count; i++) {
        if (end->shape->members[i].event_stream)
            return true;
    }
    return false;
}

/* What must come of it: NULL = it goes. */
static const char *expected(const struct aws_operation *op, const char **words)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!str_is(op->service->name, known[i].service) ||
            (known[i].operation && !str_is(op->name, known[i].operation)))
            continue;
        *words = known[i].words;
        return known[i].code;
    }
    *words = "event stream";
    if (has_event_stream(op->input) || has_event_stream(op->output))
        return "A0156";
    return NULL;
}

static bool is_signed(const struct aws_draft *draft)
{
    for (size_t i = 0; i < draft->header_count; i++) {
        if (str_is(draft->headers[i].name, "Authorization"))
            return str_starts(draft->headers[i].value, STR("AWS4-HMAC-SHA256 Credential=AKID"));
    }
    return false;
}

static bool try_one(struct aws_client *client, const struct aws_operation *op, struct value input,
                    struct arena *arena)
{
    struct aws_call call = {.operation = op, .input = input};
    struct aws_draft draft;
    struct error err = {0};
    const char *words = "", *code = expected(op, &words);
    bool ok = aws_call_draft(client, &call, arena, &draft, &err);
    const char *why = NULL;
    if (code)
        why =
            ok || strcmp(err.code, code) != 0 || !strstr(err.message, words) ? "another end" : NULL;
    else if (!ok)
        why = "does not go";
    else if (is_signed(&draft) == (op->auth == AWS_AUTH_NONE))
        why = "signed or unsigned";
    else if (!str_starts(draft.url, STR("https://")) ||
             str_find(draft.url, STR("..")) != SIZE_MAX ||
             str_find(draft.url, STR("{")) != SIZE_MAX)
        why = "not an address";
    if (why)
        printf("%.*s:%.*s: %s: %s %s %.*s\n", STR_FMT(op->service->name), STR_FMT(op->name), why,
               err.code, err.message, STR_FMT(ok ? draft.url : (struct str){0}));
    return !why;
}

struct world {
    struct net *net;
    struct aws_models *models;
    struct aws_client *client;
};

static void setup(struct world *w)
{
    struct error err;
    struct net_options net_options = {.clock = clock_system()};
    const char *dir = getenv("RECTIFY_MODELS");
    w->net = net_create(&net_options, &err);
    w->models = aws_models_open(dir ? dir : TEST_MODELS, &err);
    struct aws_client_options options = {
        .models = w->models, .net = w->net, .clock = clock_system(), .env = lookup};
    w->client = aws_client_create(&options, &err);
    assert_non_null(w->client);
    w->client->world.http = http;
}

static void teardown(struct world *w)
{
    aws_client_destroy(w->client);
    aws_models_close(w->models);
    net_destroy(w->net);
}

static void test_every_operation__goes_or_says_why_not(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    struct arena names = {0};
    struct str *services;
    size_t service_count, operations = 0, bad = 0;
    setup(&w);
    assert_true(
        aws_models_list(w.models, (struct str){0}, &names, &services, &service_count, &err));
    for (size_t s = 0; s < service_count; s++) {
        struct str *list;
        size_t count;
        assert_true(aws_models_list(w.models, services[s], &names, &list, &count, &err));
        for (size_t i = 0; i < count; i++) {
            struct arena arena ARENA_AUTO = {0};
            struct str name = STR_JOIN(&arena, services[s], STR(":"), list[i]);
            const struct aws_operation *op = aws_operation_find(w.models, name, &err);
            if (!op)
                fail_msg("%s", err.message);
            struct value input =
                op->input ? least(op->input, &arena, 0) : (struct value){.kind = VALUE_MAP};
            struct error_list errors = {.arena = &arena};
            if (!aws_input_check(op, input, &errors)) {
                printf("%.*s: %s\n", STR_FMT(name), errors.items[0]->message);
                bad++;
            }
            bad += !try_one(w.client, op, input, &arena);
            operations++;
        }
    }
    printf("%zu operations of %zu services\n", operations, service_count);
    assert_true(service_count > 300 && operations > 15000);
    assert_int_equal(bad, 0);
    arena_finish(&names);
    teardown(&w);
}

/* Signatures that are not made, asked for by an input and not by the operation. */
static void test_every_operation__other_signatures_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *operation, *member, *text;
    } cases[] = {
        {"events:PutEvents", "EndpointId", "abcde.veo"},
        {"s3:GetBucketTagging", "Bucket",
         "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap"},
        {"s3:ListObjectsV2", "Bucket", "bucket--use1-az4--x-s3"},
    };
    struct world w;
    setup(&w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena ARENA_AUTO = {0};
        struct error err = {0};
        struct aws_draft draft;
        struct value_builder input = {.arena = &arena};
        value_set(&input, cases[i].member, value_cstr(cases[i].text));
        struct aws_call call = {
            .operation = aws_operation_find(w.models, str_from(cases[i].operation), &err),
            .input = value_finish_map(&input)};
        assert_non_null(call.operation);
        if (aws_call_draft(w.client, &call, &arena, &draft, &err) ||
            strcmp(err.code, "A0312") != 0 || !strstr(err.message, "sigv4a"))
            fail_msg("%s: %s %s", cases[i].operation, err.code, err.message);
    }
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation__goes_or_says_why_not),
        cmocka_unit_test(test_every_operation__other_signatures_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
