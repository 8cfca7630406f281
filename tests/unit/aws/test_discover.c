// SPDX-License-Identifier: Apache-2.0
/* Services that say themselves where they are to be called, in a world without a network. */
#include "../cmocka_all.h"

#include <stdio.h>

#include "aws/client_internal.h"

#define ASKED "https://ingest.timestream.us-east-1.amazonaws.com/"
#define SAID(address)                                                                              \
    "{\"Endpoints\": [{\"Address\": \"" address "\", \"CachePeriodInMinutes\": 5}]}"

struct world {
    struct clock clock;
    int64_t now_ms;
    const char *variable, *text; // one more of the environment
    int said_status, status;     // to DescribeEndpoints, to all others; 0 = nobody there
    const char *said, *body;
    unsigned asked, called;
    char asked_url[128], url[128]; // the last ones
    struct net *net;
    struct aws_models *models;
    struct aws_client *client;
    struct arena arena;
};

static int64_t now(void *ctx)
{
    return ((struct world *)ctx)->now_ms;
}

static void fill_random(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 0, size);
}

static const char *lookup(void *ctx, const char *name)
{
    const struct world *w = ctx;
    if (w->variable && strcmp(name, w->variable) == 0)
        return w->text;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
        return "AKIDEXAMPLE";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "secret";
    return strcmp(name, "AWS_REGION") == 0 ? "us-east-1" : NULL;
}

static void http(void *ctx, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret)
{
    struct world *w = ctx;
    bool describe = false;
    for (size_t i = 0; i < request->header_count; i++)
        describe |= str_ends(request->headers[i].value, STR(".DescribeEndpoints"));
    char *url = describe ? w->asked_url : w->url;
    snprintf(url, sizeof(w->url), "%.*s", STR_FMT(request->url));
    w->asked += describe;
    w->called += !describe;
    int status = describe ? w->said_status : w->status;
    const char *body = describe ? w->said : w->body;
    *ret = (struct net_answer){.outcome = NET_NOT_SENT, .reason = "nobody there"};
    if (status)
        *ret = (struct net_answer){.outcome = NET_ANSWERED,
                                   .status = status,
                                   .body = str_copy(arena, str_from(body ? body : "{}"))};
}

static void setup(struct world *w, const char *variable, const char *text)
{
    struct error err;
    *w = (struct world){.now_ms = 1700000000000,
                        .variable = variable,
                        .text = text,
                        .said_status = 200,
                        .said = SAID("cell1.example.com"),
                        .status = 200};
    w->clock = (struct clock){now, now, fill_random, w};
    struct net_options net_options = {.clock = &w->clock};
    w->net = net_create(&net_options, &err);
    w->models = aws_models_open(TEST_MODELS, &err);
    struct aws_client_options options = {
        .models = w->models, .net = w->net, .clock = &w->clock, .env = lookup, .env_ctx = w};
    w->client = aws_client_create(&options, &err);
    assert_non_null(w->client);
    w->client->world.http = http;
    w->client->world.http_ctx = w;
}

static void teardown(struct world *w)
{
    aws_client_destroy(w->client);
    aws_models_close(w->models);
    net_destroy(w->net);
    arena_finish(&w->arena);
}

static struct aws_answer call(struct world *w, const char *operation)
{
    struct error err;
    struct aws_answer answer;
    struct aws_call one = {.operation = aws_operation_find(w->models, str_from(operation), &err),
                           .input = {.kind = VALUE_MAP}};
    assert_non_null(one.operation);
    aws_call(w->client, &one, &w->arena, &answer);
    return answer;
}

static void test_discover__it_is_asked_once_and_again_when_the_period_is_over(void **state)
{
    (void)state;
    struct world w;
    setup(&w, NULL, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call(&w, "timestream-write:ListDatabases").outcome, AWS_OK);
    assert_int_equal(w.asked, 1);
    assert_string_equal(w.asked_url, ASKED);
    assert_string_equal(w.url, "https://cell1.example.com/");
    w.said = SAID("https://cell2.example.com:8443");
    w.now_ms += 5 * 60000 - 1;
    call(&w, "timestream-write:ListDatabases");
    assert_string_equal(w.url, "https://cell1.example.com/");
    w.now_ms += 1;
    call(&w, "timestream-write:ListDatabases");
    assert_string_equal(w.url, "https://cell2.example.com:8443/");
    assert_int_equal(w.asked, 2);
    w.said_status = 0; // what was said before stands in, and it is not asked at each call
    w.now_ms += 5 * 60000;
    for (int i = 0; i < 2; i++)
        assert_int_equal(call(&w, "timestream-write:ListDatabases").outcome, AWS_OK);
    assert_string_equal(w.url, "https://cell2.example.com:8443/");
    assert_int_equal(w.asked, 3);
    teardown(&w);
}

static void test_discover__without_an_answer_nothing_is_sent(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *said, *words;
    } cases[] = {
        {0, NULL, "nobody there"},
        {400, "{\"__type\": \"AccessDeniedException\"}", "AccessDeniedException"},
        {200, "{}", "no address"},
        {200, "{\"Endpoints\": []}", "no address"},
        {200, SAID("http://plain.example.com"), "no address"},
        {200, SAID("a.example.com/path"), "no address"},
        {200, SAID("user@a.example.com"), "no address"},
        {200, SAID("a.example.com:70000"), "no address"},
        {200, SAID(""), "no address"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        setup(&w, NULL, NULL);
        w.said_status = cases[i].status;
        w.said = cases[i].said;
        struct aws_answer answer = call(&w, "timestream-write:ListDatabases");
        // who is refused will be refused again; what is only missing may come
        assert_int_equal(answer.outcome, cases[i].status == 400 ? AWS_REFUSED : AWS_NOT_SENT);
        assert_true(str_is(answer.code, "A0344"));
        if (str_find(answer.message, str_from(cases[i].words)) == SIZE_MAX)
            fail_msg("case %zu: %.*s", i, STR_FMT(answer.message));
        assert_int_equal(w.called, 0);
        teardown(&w);
    }
}

static void test_discover__an_endpoint_that_moved_is_asked_for_once_more(void **state)
{
    (void)state;
    struct world w;
    setup(&w, NULL, NULL);
    call(&w, "timestream-write:ListDatabases");
    w.status = 421;
    w.body = "{\"__type\": \"InvalidEndpointException\"}";
    w.said = SAID("cell3.example.com");
    assert_int_equal(call(&w, "timestream-write:ListDatabases").outcome, AWS_REFUSED);
    assert_string_equal(w.url, "https://cell3.example.com/");
    assert_int_equal(w.asked, 2);
    assert_int_equal(w.called, 3); // the second call was made twice, not more
    teardown(&w);
}

static void test_discover__a_configured_endpoint_is_the_endpoint(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "AWS_ENDPOINT_URL_TIMESTREAM_WRITE", "https://vpce.example.com");
    assert_int_equal(call(&w, "timestream-write:ListDatabases").outcome, AWS_OK);
    assert_string_equal(w.url, "https://vpce.example.com/");
    assert_int_equal(w.asked, 0);
    teardown(&w);
}

static void test_discover__where_the_model_leaves_it_open_it_is_a_setting(void **state)
{
    (void)state;
    struct world w;
    setup(&w, NULL, NULL);
    assert_int_equal(call(&w, "dynamodb:ListTables").outcome, AWS_OK);
    assert_int_equal(w.asked, 0);
    teardown(&w);
    setup(&w, "AWS_ENABLE_ENDPOINT_DISCOVERY", "true");
    assert_int_equal(call(&w, "dynamodb:ListTables").outcome, AWS_OK);
    assert_int_equal(w.asked, 1);
    assert_string_equal(w.url, "https://cell1.example.com/");
    teardown(&w);
    setup(&w, "AWS_ENABLE_ENDPOINT_DISCOVERY", "true");
    w.said_status = 500; // then the ordinary one will do
    for (int i = 0; i < 2; i++)
        assert_int_equal(call(&w, "dynamodb:ListTables").outcome, AWS_OK);
    assert_string_equal(w.url, "https://dynamodb.us-east-1.amazonaws.com/");
    assert_int_equal(w.asked, 1);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discover__it_is_asked_once_and_again_when_the_period_is_over),
        cmocka_unit_test(test_discover__without_an_answer_nothing_is_sent),
        cmocka_unit_test(test_discover__an_endpoint_that_moved_is_asked_for_once_more),
        cmocka_unit_test(test_discover__a_configured_endpoint_is_the_endpoint),
        cmocka_unit_test(test_discover__where_the_model_leaves_it_open_it_is_a_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
