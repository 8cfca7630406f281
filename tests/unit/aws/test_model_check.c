// SPDX-License-Identifier: Apache-2.0
/* Inputs against the model: every finding, with its path. */
#include "models_fixture.h"

#include "base/limits.h"

static void expect(struct fixture *f, const char *operation, const char *input, const char *code,
                   const char *message)
{
    struct error_list errors = {.arena = &f->arena};
    bool ok = aws_input_check(fixture_operation(f, operation), fixture_json(f, input), &errors);
    assert_int_equal(ok, errors.count == 0);
    if (!code) {
        if (errors.count)
            fail_msg("%s: %s", input, errors.items[0]->message);
        return;
    }
    if (errors.count != 1)
        fail_msg("%s: %zu findings", input, errors.count);
    assert_string_equal(errors.items[0]->code, code);
    assert_string_equal(errors.items[0]->message, message);
}

static void test_model__a_right_input_has_no_finding(void **state)
{
    expect(*state, "s3:PutBucketTagging",
           "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[{\"Key\":\"k\",\"Value\":\"v\"}]}}", NULL,
           NULL);
    expect(*state, "kms:Ping", "{}", NULL, NULL);
    expect(*state, "kms:CreateGrant", "{}", NULL, NULL);
}

static void test_model__unknown_members_are_found_with_the_nearest(void **state)
{
    expect(*state, "s3:PutBucketTagging",
           "{\"Bucket\":\"b\",\"Tagging\":{\"TagSett\":[],\"TagSet\":[]}}", "A0201",
           "s3:PutBucketTagging has no member `TagSett` in Tagging; did you mean `TagSet`?");
    expect(*state, "s3:GetBucketTagging", "{\"Bucket\":\"b\",\"xyzzy\":1}", "A0201",
           "s3:GetBucketTagging has no member `xyzzy`");
    expect(*state, "s3:PutBucketTagging",
           "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[{\"Key\":\"k\",\"Value\":\"v\","
           "\"Valu\":1}]}}",
           "A0201",
           "s3:PutBucketTagging has no member `Valu` in Tagging.TagSet[0]; did you mean `Value`?");
    expect(*state, "kms:Ping", "{\"a\":1}", "A0201",
           "kms:Ping: the input must be empty: the operation takes none");
}

static void test_model__missing_members_are_found(void **state)
{
    expect(*state, "s3:GetBucketTagging", "{}", "A0202", "s3:GetBucketTagging needs `Bucket`");
    expect(*state, "s3:GetBucketTagging", "{\"Bucket\":null}", "A0202",
           "s3:GetBucketTagging needs `Bucket`");
    expect(*state, "s3:PutBucketTagging",
           "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[{\"Key\":\"k\"}]}}", "A0202",
           "s3:PutBucketTagging needs `Value` in Tagging.TagSet[0]");
}

static void test_model__kinds_are_checked(void **state)
{
    static const struct {
        const char *member, *message;
    } cases[] = {
        {"\"KeyId\":1", "kms:CreateGrant: Metadata.KeyId must be a string, not int"},
        {"\"CreationDate\":\"soon\"", "kms:CreateGrant: Metadata.CreationDate must be a point in "
                                      "time (RFC 3339, or epoch seconds), not string"},
        {"\"Enabled\":\"true\"",
         "kms:CreateGrant: Metadata.Enabled must be true or false, not string"},
        {"\"Blob\":7", "kms:CreateGrant: Metadata.Blob must be bytes or text, not int"},
        {"\"Sizes\":{}", "kms:CreateGrant: Metadata.Sizes must be a list, not map"},
        {"\"Sizes\":[1.5]", "kms:CreateGrant: Metadata.Sizes[0] must be an integer, not double"},
        {"\"Labels\":{\"a\":[]}", "kms:CreateGrant: Metadata.Labels.a must be a string, not list"},
        {"\"Ratio\":\"much\"", "kms:CreateGrant: Metadata.Ratio must be a number, not string"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text =
            arena_printf(&f->arena, "{\"Token\":\"t\",\"Metadata\":{%s}}", cases[i].member);
        expect(f, "kms:CreateGrant", text, "A0203", cases[i].message);
    }
}

static void test_model__accepted_forms_of_values(void **state)
{
    expect(*state, "kms:CreateGrant",
           "{\"Metadata\":{\"CreationDate\":\"2026-01-02T03:04:05Z\",\"Blob\":\"text\","
           "\"Ratio\":\"NaN\",\"Any\":{\"x\":[1]},\"Choice\":{\"A\":\"a\"}}}",
           NULL, NULL);
    expect(*state, "kms:CreateGrant", "{\"Metadata\":{\"CreationDate\":1767323045,\"Ratio\":1}}",
           NULL, NULL);
}

static void test_model__lengths_and_ranges_hold_at_their_bounds(void **state)
{
#define WITH_KEY(key)                                                                              \
    "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[{\"Key\":\"" key "\",\"Value\":\"v\"}]}}"
    expect(*state, "s3:PutBucketTagging", WITH_KEY("\u00fc2345678"), NULL, NULL);
    expect(*state, "s3:PutBucketTagging", WITH_KEY("123456789"), "A0205",
           "s3:PutBucketTagging: Tagging.TagSet[0].Key has 9 characters, at most 8 are allowed");
    expect(*state, "s3:PutBucketTagging", WITH_KEY(""), "A0205",
           "s3:PutBucketTagging: Tagging.TagSet[0].Key has 0 characters, at least 1 are needed");
    expect(*state, "s3:ListObjectsV2", "{\"Bucket\":\"b\",\"MaxKeys\":1000}", NULL, NULL);
    expect(*state, "s3:ListObjectsV2", "{\"Bucket\":\"b\",\"MaxKeys\":1001}", "A0206",
           "s3:ListObjectsV2: MaxKeys is 1001, it must be at most 1000");
    expect(*state, "kms:CreateGrant", "{\"Metadata\":{\"Sizes\":[1,2,3]}}", NULL, NULL);
    expect(*state, "kms:CreateGrant", "{\"Metadata\":{\"Sizes\":[1,2,3,4]}}", "A0205",
           "kms:CreateGrant: Metadata.Sizes has 4 items, at most 3 are allowed");
    expect(*state, "s3:GetBucketTagging", "{\"Bucket\":\"\"}", "A0205",
           "s3:GetBucketTagging: Bucket is empty: it is part of the request's path");
}

static void test_model__enums_are_checked(void **state)
{
#define WITH_ALGORITHM(name)                                                                       \
    "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[]},\"ChecksumAlgorithm\":\"" name "\"}"
    expect(*state, "s3:PutBucketTagging", WITH_ALGORITHM("CRC32"), NULL, NULL);
    expect(*state, "s3:PutBucketTagging", WITH_ALGORITHM("crc32"), "A0204",
           "s3:PutBucketTagging: ChecksumAlgorithm is `crc32`, which is not one of the model's "
           "values; did you mean `CRC32`?");
    expect(*state, "s3:PutBucketTagging", WITH_ALGORITHM("hand"), "A0204",
           "s3:PutBucketTagging: ChecksumAlgorithm is `hand`, which is not one of the model's "
           "values (CRC32, SHA256)");
}

static void test_model__a_union_has_exactly_one_member(void **state)
{
    expect(*state, "kms:CreateGrant", "{\"Metadata\":{\"Choice\":{\"A\":\"a\",\"B\":1}}}", "A0207",
           "kms:CreateGrant: Metadata.Choice must have exactly one of its members");
    expect(*state, "kms:CreateGrant", "{\"Metadata\":{\"Choice\":{}}}", "A0207",
           "kms:CreateGrant: Metadata.Choice must have exactly one of its members");
}

static void test_model__holes_are_accepted_anywhere(void **state)
{
    struct fixture *f = *state;
    struct value hole = {.kind = VALUE_OPAQUE, .aux = AWS_HOLE}, other = {.kind = VALUE_OPAQUE};
    struct error_list errors = {.arena = &f->arena};
    struct value_builder input = {.arena = &f->arena}, wrong = {.arena = &f->arena};
    const struct aws_operation *op = fixture_operation(f, "s3:PutBucketTagging");
    value_set(&input, "Bucket", hole);
    value_set(&input, "Tagging", hole);
    assert_true(aws_input_check(op, value_finish_map(&input), &errors));
    assert_true(aws_input_check(op, hole, &errors));
    value_set(&wrong, "Bucket", other);
    value_set(&wrong, "Tagging", hole);
    assert_false(aws_input_check(op, value_finish_map(&wrong), &errors));
    assert_int_equal(errors.count, 1);
}

static void test_model__all_findings_are_reported(void **state)
{
    struct fixture *f = *state;
    struct error_list errors = {.arena = &f->arena};
    assert_false(aws_input_check(fixture_operation(f, "s3:PutBucketTagging"),
                                 fixture_json(f, "{\"Buckett\":1,\"ChecksumAlgorithm\":2}"),
                                 &errors));
    assert_int_equal(errors.count, 4);
}

/* `depth` nodes in each other, as an input of kms:CreateGrant. */
static const char *nested(struct fixture *f, unsigned depth)
{
    struct buf text = {.arena = &f->arena};
    buf_add_cstr(&text, "{\"Nested\":");
    for (unsigned i = 1; i < depth; i++)
        buf_add_cstr(&text, "{\"Next\":");
    buf_add_cstr(&text, "{}");
    for (unsigned i = 0; i < depth; i++)
        buf_add_byte(&text, '}');
    return buf_str(&text).ptr;
}

static void test_model__depth_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct error_list errors = {.arena = &f->arena};
    expect(f, "kms:CreateGrant", nested(f, LIMIT_JSON_DEPTH - 1), NULL, NULL);
    struct value deep = fixture_json(f, nested(f, LIMIT_JSON_DEPTH - 1));
    struct value_builder outer = {.arena = &f->arena}, next = {.arena = &f->arena};
    value_set(&next, "Next", *value_get(deep, STR("Nested")));
    value_set(&outer, "Nested", value_finish_map(&next));
    assert_false(aws_input_check(fixture_operation(f, "kms:CreateGrant"), value_finish_map(&outer),
                                 &errors));
    assert_string_equal(errors.items[0]->code, "A0208");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_model__##name, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_right_input_has_no_finding),
        TEST(unknown_members_are_found_with_the_nearest),
        TEST(missing_members_are_found),
        TEST(kinds_are_checked),
        TEST(accepted_forms_of_values),
        TEST(lengths_and_ranges_hold_at_their_bounds),
        TEST(enums_are_checked),
        TEST(a_union_has_exactly_one_member),
        TEST(holes_are_accepted_anywhere),
        TEST(all_findings_are_reported),
        TEST(depth_is_bounded),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
