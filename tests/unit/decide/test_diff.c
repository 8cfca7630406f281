// SPDX-License-Identifier: Apache-2.0
/* What a plan would change, in lines for people. */
#include "decide/decide.h"
#include "value/json.h"

#include "../cmocka_all.h"

static struct value parse(struct arena *arena, const char *text)
{
    struct value v;
    struct error err;
    if (!json_parse(arena, str_from(text), &v, &err))
        fail_msg("%s", err.message);
    return v;
}

static void check(const char *reads, const char *plan, const char *expected)
{
    struct arena arena ARENA_AUTO = {0};
    struct value lines =
        decide_changes(parse(&arena, reads), parse(&arena, plan), STR("logs"), &arena);
    struct buf out = {.arena = &arena};
    for (uint32_t i = 0; i < lines.len; i++)
        buf_printf(&out, "%s%.*s", i ? "|" : "", STR_FMT(value_str(lines.items[i])));
    assert_string_equal(buf_str(&out).ptr ? buf_str(&out).ptr : "", expected);
}

static void test_diff__lists_by_their_items(void **state)
{
    (void)state;
    check("{\"t\":{\"TagSet\":[{\"Key\":\"a\"},{\"Key\":\"b\"}]}}",
          "[{\"call\":\"x\",\"with\":{\"Bucket\":\"logs\",\"Tagging\":{\"TagSet\":[{\"Key\":\"a\"},"
          "{\"Key\":\"c\"}]}}}]",
          "- TagSet: {\"Key\":\"b\"}|+ TagSet: {\"Key\":\"c\"}");
}

static void test_diff__maps_member_by_member(void **state)
{
    (void)state;
    check("{\"r\":{\"Config\":{\"A\":true,\"B\":1,\"Gone\":2}}}",
          "[{\"with\":{\"Config\":{\"A\":true,\"B\":3,\"New\":\"n\"}}}]",
          "- Config.Gone: 2|- Config.B: 1|+ Config.B: 3|+ Config.New: \"n\"");
}

static void test_diff__what_was_not_read_is_new(void **state)
{
    (void)state;
    check("{\"r\":{\"Rules\":[{\"Id\":\"sgr-1\"}]}}",
          "[{\"with\":{\"GroupId\":\"logs\",\"SecurityGroupRuleIds\":[\"sgr-1\"],"
          "\"ExpectedBucketOwner\":\"1\",\"ClientToken\":\"t\"}}]",
          "+ SecurityGroupRuleIds: [\"sgr-1\"]");
}

static void test_diff__are_bounded(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct buf plan = {.arena = &arena};
    buf_add_cstr(&plan, "[{\"with\":{\"L\":[");
    for (int i = 0; i < 100; i++)
        buf_printf(&plan, "%s\"%01000d\"", i ? "," : "", i);
    buf_add_cstr(&plan, "]}}]");
    struct value lines = decide_changes(parse(&arena, "{\"r\":{\"L\":[]}}"),
                                        parse(&arena, buf_str(&plan).ptr), STR("x"), &arena);
    assert_int_equal(lines.len, 61);
    assert_true(str_is(value_str(lines.items[60]), "... and more"));
    assert_true(value_str(lines.items[0]).len < 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diff__lists_by_their_items),
        cmocka_unit_test(test_diff__maps_member_by_member),
        cmocka_unit_test(test_diff__what_was_not_read_is_new),
        cmocka_unit_test(test_diff__are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
