// SPDX-License-Identifier: Apache-2.0
/* Sources without a network: silence on a clock of its own, messages that somebody else received,
 * and when one that fails is set aside. */
#include "engine/sources.h"
#include "fixture.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"

#define MINUTE 60000

static int64_t now_ms; // of both clocks
static int64_t read_clock(void *ctx)
{
    (void)ctx;
    return now_ms;
}
static void no_dice(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 0, size);
}
static const struct clock test_clock = {read_clock, read_clock, no_dice, NULL};

static enum aws_outcome outcome; // of each call
static const char *code;
static int calls;
static void call_stub(void *ctx, const struct aws_call *call, struct arena *arena,
                      struct aws_answer *ret)
{
    (void)ctx, (void)call, (void)arena;
    calls++;
    *ret = (struct aws_answer){
        .outcome = outcome, .code = str_from(code), .message = STR("as the test says")};
}

struct world {
    struct engine engine;
    struct policy_set *set;
    struct engine_intake *intake;
    struct engine_sources *sources;
    struct arena arena;
};

#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
static const struct str accounts[] = {TEXT("111122223333")};
static const struct str buckets[] = {TEXT("trail")};
static const struct policy_source listed[] = {
    {.name = TEXT("queue"),
     .type = SOURCE_SQS,
     .queue = TEXT("https://sqs.eu-west-1.amazonaws.com/111122223333/q"),
     .accounts = accounts,
     .account_count = 1,
     .buckets = buckets,
     .bucket_count = 1,
     .digests_ignored = true},
    {.name = TEXT("hook"), .type = SOURCE_HTTP, .expect_ms = 15 * MINUTE}};

static void start(struct world *w)
{
    struct error err;
    *w = (struct world){0};
    now_ms = 1700000000000;
    outcome = AWS_OK;
    code = "";
    calls = 0;
    w->set = fixture_library("assignments: [{policies: \"*\", accounts: \"*\", mode: observe}]\n");
    w->engine = (struct engine){.store = store_open(":memory:", &test_clock, &err),
                                .rules = engine_rules_create(w->set, &err),
                                .models = fixture_models(),
                                .caller = {call_stub, NULL},
                                .clock = &test_clock};
    assert_non_null(w->engine.store);
    w->intake = engine_intake_create(&w->engine, &err);
    struct engine_sources_options options = {
        .engine = &w->engine, .intake = w->intake, .list = listed, .count = 2};
    w->sources = engine_sources_create(&options, &err);
    assert_non_null(w->sources);
}

static void finish(struct world *w)
{
    engine_sources_destroy(w->sources);
    engine_intake_destroy(w->intake);
    store_close(w->engine.store);
    engine_rules_destroy(w->engine.rules);
    arena_finish(&w->arena);
}

/* How many records are of that kind. */
static size_t records(struct world *w, const char *kind)
{
    struct store_leaf *leaves;
    struct error err;
    size_t count, found = 0;
    char want[64];
    snprintf(want, sizeof want, "\"kind\":\"%s\"", kind);
    assert_int_equal(store_leaves(w->engine.store, 0, 0, 1000, &w->arena, &leaves, &count, &err),
                     STORE_OK);
    for (size_t i = 0; i < count; i++)
        found += str_find(leaves[i].text, str_from(want)) != SIZE_MAX;
    return found;
}

static struct str state_of(struct world *w, size_t source)
{
    return value_path_str(engine_sources_status(w->sources, &w->arena).items[source], "state");
}

#define EVENT                                                                                      \
    "{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"PutObject\",\"eventID\":\"e\","         \
    "\"awsRegion\":\"eu-west-1\",\"recipientAccountId\":\"111122223333\"}"

static void hear(struct world *w)
{
    struct engine_taken taken;
    struct error err;
    assert_true(engine_sources_take_text(w->sources, STR(EVENT), &taken, &err));
    assert_int_equal(taken.events, 1);
    assert_int_equal(taken.bad, 0);
}

static void test_sources__silence_of_fifteen_minutes_is_told_once(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    hear(&w);
    now_ms += 15 * MINUTE - 1;
    engine_sources_watch(w.sources);
    assert_int_equal(records(&w, "source silent"), 0);
    assert_true(str_is(state_of(&w, 1), "heard"));
    now_ms += 1;
    for (int i = 0; i < 3; i++, now_ms += MINUTE)
        engine_sources_watch(w.sources);
    assert_int_equal(records(&w, "source silent"), 1);
    assert_true(str_is(state_of(&w, 1), "silent"));
    hear(&w);
    assert_int_equal(records(&w, "source heard again"), 1);
    now_ms += 15 * MINUTE;
    engine_sources_watch(w.sources);
    assert_int_equal(records(&w, "source silent"), 2);
    finish(&w);
}

static void test_sources__one_that_was_never_heard_is_silent_too(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    assert_true(str_is(state_of(&w, 1), "waiting"));
    now_ms += 15 * MINUTE;
    engine_sources_watch(w.sources);
    assert_true(str_is(state_of(&w, 1), "silent"));
    assert_true(str_is(state_of(&w, 0), "waiting")); // nothing is expected of it
    finish(&w);
}

static bool take(struct world *w, const char *body, int receives, struct engine_taken *taken)
{
    struct detect_message message = {.id = STR("m"), .body = str_from(body), .receives = receives};
    bool done = false;
    engine_sources_take_messages(w->sources, &message, 1, &done, taken);
    return done;
}

#define FILE_OF(bucket) "{\"s3Bucket\":\"" bucket "\",\"s3ObjectKey\":[\"a.json\"]}"

static void test_sources__a_refusal_is_set_aside_at_the_fifth_time(void **state)
{
    struct world w;
    struct engine_taken taken;
    (void)state;
    start(&w);
    outcome = AWS_REFUSED;
    code = "AccessDenied";
    for (int i = 1; i < (int)LIMIT_DELIVERIES; i++)
        assert_false(take(&w, FILE_OF("trail"), i, &taken));
    assert_int_equal(records(&w, "quarantined"), 0);
    assert_true(take(&w, FILE_OF("trail"), (int)LIMIT_DELIVERIES, &taken));
    assert_int_equal(records(&w, "quarantined"), 1);
    assert_true(str_is(str_from(taken.why.code), "T0012"));
    finish(&w);
}

static void test_sources__what_does_not_answer_is_never_set_aside(void **state)
{
    static const enum aws_outcome mute[] = {AWS_THROTTLED, AWS_FAILED, AWS_UNKNOWN, AWS_NOT_SENT};
    struct world w;
    struct engine_taken taken;
    (void)state;
    start(&w);
    for (size_t i = 0; i < sizeof mute / sizeof *mute; i++) {
        outcome = mute[i];
        assert_false(take(&w, FILE_OF("trail"), (int)LIMIT_RECEIVES, &taken));
        assert_int_equal(taken.left, 1);
    }
    assert_int_equal(records(&w, "quarantined"), 0);
    finish(&w);
}

static void test_sources__a_good_event_counts_however_often_it_came(void **state)
{
    struct world w;
    struct engine_taken taken;
    (void)state;
    start(&w);
    assert_true(take(&w, EVENT, (int)LIMIT_RECEIVES, &taken));
    assert_int_equal(taken.bad, 0);
    assert_int_equal(records(&w, "quarantined"), 0);
    assert_true(take(&w, EVENT, (int)LIMIT_RECEIVES + 1, &taken)); // it may be what ends us
    assert_int_equal(records(&w, "quarantined"), 1);
    assert_true(str_is(str_from(taken.why.code), "T0017"));
    finish(&w);
}

static void test_sources__a_bucket_that_is_not_listed_is_not_asked_for(void **state)
{
    struct world w;
    struct engine_taken taken;
    (void)state;
    start(&w);
    assert_true(take(&w, FILE_OF("other"), 1, &taken));
    assert_true(str_is(str_from(taken.why.code), "T0014"));
    assert_int_equal(calls, 0);
    finish(&w);
}

static void announce(struct buf *out, size_t files)
{
    buf_add_cstr(out, "{\"s3Bucket\":\"other\",\"s3ObjectKey\":[\"a\"");
    for (size_t i = 1; i < files; i++)
        buf_add_cstr(out, ",\"a\"");
    buf_add_cstr(out, "]}");
}

static void test_sources__files_of_a_message_are_bounded(void **state)
{
    struct arena arena = {0};
    struct buf at = {.arena = &arena}, past = {.arena = &arena};
    struct detect_content content;
    struct error err;
    (void)state;
    announce(&at, LIMIT_ANNOUNCED_FILES);
    announce(&past, LIMIT_ANNOUNCED_FILES + 1);
    assert_true(detect_content_read(buf_str(&at), &listed[0], &arena, &content, &err));
    assert_int_equal(content.file_count, LIMIT_ANNOUNCED_FILES);
    assert_false(detect_content_read(buf_str(&past), &listed[0], &arena, &content, &err));
    assert_true(str_is(str_from(err.code), "T0011"));
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources__silence_of_fifteen_minutes_is_told_once),
        cmocka_unit_test(test_sources__one_that_was_never_heard_is_silent_too),
        cmocka_unit_test(test_sources__a_refusal_is_set_aside_at_the_fifth_time),
        cmocka_unit_test(test_sources__what_does_not_answer_is_never_set_aside),
        cmocka_unit_test(test_sources__a_good_event_counts_however_often_it_came),
        cmocka_unit_test(test_sources__a_bucket_that_is_not_listed_is_not_asked_for),
        cmocka_unit_test(test_sources__files_of_a_message_are_bounded),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
