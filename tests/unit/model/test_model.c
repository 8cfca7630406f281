// SPDX-License-Identifier: Apache-2.0
#include "model/model.h"

#include "base/limits.h"

#include "../cmocka_all.h"

static const struct resource bucket = {
    {"aws", 3}, {"111122223333", 12}, {"global", 6}, {"AWS::S3::Bucket", 15}, {"logs", 4}};

static void test_model__a_key_reads_back_as_its_resource(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    static const char *const ids[] = {"logs", "a/b//c", "arn:aws:kms:eu-west-1:1:key/x",
                                      "d\xc3\xa9j\xc3\xa0 vu", "/"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct resource r = bucket, back;
        struct str key;
        struct error err;
        r.id = str_from(ids[i]);
        assert_true(resource_key(&r, &arena, &key, &err));
        assert_true(resource_parse(key, &back));
        assert_true(str_eq(back.id, r.id));
        assert_true(str_eq(back.type, r.type));
        assert_true(str_eq(back.region, r.region));
        assert_true(str_eq(back.account, r.account));
        assert_true(str_eq(back.partition, r.partition));
    }
}

static void expect_no_key(struct resource r, const char *part)
{
    struct arena arena ARENA_AUTO = {0};
    struct str key = {0};
    struct error err = {0};
    assert_false(resource_key(&r, &arena, &key, &err));
    assert_null(key.ptr); // untouched
    assert_string_equal(err.code, "M0001");
    assert_non_null(strstr(err.message, part));
}

static void test_model__each_part_of_a_key_is_checked(void **state)
{
    (void)state;
    struct resource r = bucket;
    r.partition = STR("a/b");
    expect_no_key(r, "partition");
    r = bucket;
    r.account = STR("12345678901");
    expect_no_key(r, "account");
    r.account = STR("12345678901x");
    expect_no_key(r, "account");
    r = bucket;
    r.region = STR("");
    expect_no_key(r, "region");
    r = bucket;
    r.type = STR("AWS S3");
    expect_no_key(r, "type");
    r = bucket;
    r.id = STR("");
    expect_no_key(r, "id");
    r.id = STR("a\nb");
    expect_no_key(r, "id");
    r.id = STR("a\x7f");
    expect_no_key(r, "id");
    r.id = STR("\xff");
    expect_no_key(r, "id");
}

static void test_model__an_id_may_have_its_limit_and_not_a_byte_more(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    char text[LIMIT_RESOURCE_ID_BYTES + 1];
    struct resource r = bucket;
    struct str key;
    struct error err;
    memset(text, 'x', sizeof text);
    r.id = (struct str){text, LIMIT_RESOURCE_ID_BYTES};
    assert_true(resource_key(&r, &arena, &key, &err));
    r.id.len++;
    expect_no_key(r, "id");
}

static void test_model__what_is_no_key_is_not_read(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "aws",
        "aws/111122223333/global/AWS::S3::Bucket",
        "aws/111122223333/global/AWS::S3::Bucket/",
        "aws/1/global/AWS::S3::Bucket/x",
        "/111122223333/global/AWS::S3::Bucket/x",
        "aws/111122223333//AWS::S3::Bucket/x",
        "aws/111122223333/global//x",
    };
    struct resource r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(resource_parse(str_from(bad[i]), &r));
}

static void test_model__regions_belong_to_partitions(void **state)
{
    (void)state;
    assert_true(str_is(resource_partition(STR("eu-west-1")), "aws"));
    assert_true(str_is(resource_partition(STR("cn-northwest-1")), "aws-cn"));
    assert_true(str_is(resource_partition(STR("us-gov-east-1")), "aws-us-gov"));
    assert_true(str_is(resource_partition(STR("us-iso-east-1")), "aws-iso"));
    assert_true(str_is(resource_partition(STR("us-isob-east-1")), "aws-iso-b"));
    assert_true(str_is(resource_partition(STR("global")), "aws"));
}

static void test_model__names_of_states_read_back_and_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < STATE_COUNT; i++) {
        enum state back;
        assert_true(state_parse(str_from(state_name((enum state)i)), &back));
        assert_int_equal(back, i); // also: no two have the same name
        assert_true(state_meaning((enum state)i)[0] != '\0');
    }
    enum state s = STATE_HELD;
    assert_false(state_parse(STR("healing"), &s));
    assert_int_equal(s, STATE_HELD);
    assert_string_equal(state_name(STATE_COUNT), "?");
}

static void test_model__a_terminal_state_holds_no_lock_and_waits_for_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < STATE_COUNT; i++) {
        unsigned flags = state_flags((enum state)i);
        if (flags & STATE_TERMINAL)
            assert_int_equal(flags, STATE_TERMINAL);
        if (flags & STATE_WAITING) // waiting for a person does not hold the resource
            assert_false(flags & STATE_LOCKED);
    }
    assert_true(state_is_terminal(STATE_HEALED));
    assert_true(state_is_terminal(STATE_NEEDS_PERSON));
    assert_false(state_is_terminal(STATE_ASKING));
    assert_true(state_flags(STATE_INTENT) & STATE_LOCKED);
    assert_true(state_flags(STATE_UNDOING) & STATE_LOCKED);
}

static void test_model__modes_are_ordered_by_what_they_may(void **state)
{
    (void)state;
    enum mode mode;
    assert_true(MODE_OFF < MODE_OBSERVE && MODE_OBSERVE < MODE_APPROVE &&
                MODE_APPROVE < MODE_ENFORCE);
    for (int i = MODE_OFF; i <= MODE_ENFORCE; i++) {
        assert_true(mode_parse(str_from(mode_name((enum mode)i)), &mode));
        assert_int_equal(mode, i);
    }
    assert_false(mode_parse(STR("Enforce"), &mode));
    enum severity severity;
    for (int i = SEVERITY_INFO; i <= SEVERITY_CRITICAL; i++) {
        assert_true(severity_parse(str_from(severity_name((enum severity)i)), &severity));
        assert_int_equal(severity, i);
    }
    assert_false(severity_parse(STR(""), &severity));
}

static void test_model__ids_are_typed_by_people(void **state)
{
    (void)state;
    char text[REMEDIATION_ID_SIZE];
    int64_t id;
    remediation_id_format(INT64_MAX, text);
    assert_string_equal(text, "r9223372036854775807");
    assert_true(remediation_id_parse(str_from(text), &id));
    assert_true(id == INT64_MAX);
    assert_true(remediation_id_parse(STR("R7"), &id));
    assert_int_equal(id, 7);
    assert_true(remediation_id_parse(STR("12"), &id));
    static const char *const bad[] = {"",    "r",   "r0",  "r-1",
                                      "rr1", "r1x", " r1", "r9223372036854775808"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(remediation_id_parse(str_from(bad[i]), &id));
    assert_int_equal(id, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model__a_key_reads_back_as_its_resource),
        cmocka_unit_test(test_model__each_part_of_a_key_is_checked),
        cmocka_unit_test(test_model__an_id_may_have_its_limit_and_not_a_byte_more),
        cmocka_unit_test(test_model__what_is_no_key_is_not_read),
        cmocka_unit_test(test_model__regions_belong_to_partitions),
        cmocka_unit_test(test_model__names_of_states_read_back_and_are_unique),
        cmocka_unit_test(test_model__a_terminal_state_holds_no_lock_and_waits_for_nobody),
        cmocka_unit_test(test_model__modes_are_ordered_by_what_they_may),
        cmocka_unit_test(test_model__ids_are_typed_by_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
