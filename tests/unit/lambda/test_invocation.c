// SPDX-License-Identifier: Apache-2.0
/* What kind of invocation a payload is. What is done with it: tests/cloud/test_lambda.py. */
#include "lambda/lambda_internal.h"

#include "../cmocka_all.h"

#define MESSAGE(id, body) "{\"eventSource\":\"aws:sqs\",\"messageId\":" id ",\"body\":" body "}"

static enum invocation_kind kind_of(const char *text)
{
    struct arena arena ARENA_AUTO = {0};
    struct invocation invocation;
    invocation_read(str_from(text), &arena, &invocation);
    assert_string_equal(invocation.text.ptr, text);
    return invocation.kind;
}

static void test_invocation__a_batch_is_of_messages_with_id_and_body(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct invocation invocation;
    invocation_read(STR("{\"Records\":[" MESSAGE("\"m1\"", "\"{\\\"a\\\":1}\"") "," MESSAGE(
                        "\"m2\"", "\"\"") "]}"),
                    &arena, &invocation);
    assert_int_equal(invocation.kind, INVOCATION_QUEUE);
    assert_int_equal(invocation.messages.len, 2);
    assert_true(str_is(value_path_str(invocation.messages.items[0], "body"), "{\"a\":1}"));
    assert_true(str_is(value_path_str(invocation.messages.items[1], "messageId"), "m2"));
}

static void test_invocation__records_that_are_no_messages_are_events(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"Records\":[]}",
        "{\"Records\":{}}",
        "{\"Records\":[" MESSAGE("1", "\"\"") "]}",
        "{\"Records\":[" MESSAGE("\"\"", "\"\"") "]}",
        "{\"Records\":[" MESSAGE("\"m\"", "null") "]}",
        "{\"Records\":[" MESSAGE("\"m\"", "\"\"") ",{\"eventSource\":\"s3.amazonaws.com\"}]}",
        "{\"Records\":[{\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"CreateBucket\"}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(kind_of(texts[i]), INVOCATION_EVENTS);
}

static void test_invocation__a_tick_is_a_scheduled_event_of_aws(void **state)
{
    (void)state;
    assert_int_equal(kind_of("{\"source\":\"aws.events\",\"detail-type\":\"Scheduled Event\"}"),
                     INVOCATION_SCHEDULE);
    assert_int_equal(kind_of("{\"source\":\"aws.scheduler\",\"detail-type\":\"Scheduled Event\"}"),
                     INVOCATION_SCHEDULE);
    assert_int_equal(kind_of("{\"source\":\"mine\",\"detail-type\":\"Scheduled Event\"}"),
                     INVOCATION_EVENTS);
    assert_int_equal(kind_of("{\"source\":\"aws.events\",\"detail-type\":\"Other\"}"),
                     INVOCATION_EVENTS);
}

static void test_invocation__what_is_no_json_is_the_intake_s_to_set_aside(void **state)
{
    (void)state;
    assert_int_equal(kind_of(""), INVOCATION_EVENTS);
    assert_int_equal(kind_of("{\"Records\":"), INVOCATION_EVENTS);
    assert_int_equal(kind_of("[1]"), INVOCATION_EVENTS);
    assert_int_equal(kind_of("\xff"), INVOCATION_EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invocation__a_batch_is_of_messages_with_id_and_body),
        cmocka_unit_test(test_invocation__records_that_are_no_messages_are_events),
        cmocka_unit_test(test_invocation__a_tick_is_a_scheduled_event_of_aws),
        cmocka_unit_test(test_invocation__what_is_no_json_is_the_intake_s_to_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
