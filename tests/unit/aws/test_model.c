// SPDX-License-Identifier: Apache-2.0
/* Models: folders and packs, finding, shapes, packing, damage. */
#include "models_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void expect_missing(struct fixture *f, const char *name, const char *code, const char *hint)
{
    struct error err = {0};
    assert_null(aws_operation_find(f->models, str_from(name), &err));
    assert_string_equal(err.code, code);
    assert_string_equal(err.hint, hint);
}

static void test_model__finds_an_operation_and_its_shapes(void **state)
{
    const struct aws_operation *op = fixture_operation(*state, "s3:PutBucketTagging");
    assert_str(aws_operation_name(op), "PutBucketTagging");
    assert_str(aws_operation_service(op), "s3");
    assert_ptr_equal(op, fixture_operation(*state, "s3:PutBucketTagging"));
    const struct aws_shape *input = aws_operation_input(op);
    assert_int_equal(aws_shape_member_count(input), 3);
    assert_str(aws_shape_member_name(input, 2), "Tagging");
    assert_true(aws_shape_member_required(input, 2));
    assert_false(aws_shape_member_required(input, 1));
    const struct aws_shape *set = aws_shape_member(aws_shape_member(input, 2), 0);
    assert_int_equal(aws_shape_kind(set), AWS_LIST);
    assert_str(aws_shape_name(aws_shape_item(set)), "Tag");
    assert_null(aws_operation_output(op));
    assert_true(op->checksum_required);
    assert_str(op->checksum_member, "ChecksumAlgorithm");
    assert_str(op->input->shape->members[0].context_param, "Bucket");
}

static void test_model__unknown_names_get_the_nearest(void **state)
{
    expect_missing(*state, "s3:PutBucketTaging", "A0107", "did you mean `PutBucketTagging`?");
    expect_missing(*state, "s4:PutBucketTagging", "A0106", "did you mean `s3`?");
    expect_missing(*state, "dynamodb:PutItem", "A0106", "");
    expect_missing(*state, "GetBucketTagging", "A0108", "");
    expect_missing(*state, "../s3:GetBucketTagging", "A0106", "");
}

static void test_model__newest_api_version_counts(void **state)
{
    const struct aws_operation *op = fixture_operation(*state, "s3:GetBucketTagging");
    assert_str(op->service->api_version, "2006-03-01");
}

static void test_model__gzip_is_read(void **state)
{
    assert_str(fixture_operation(*state, "packed:Do")->service->endpoint_prefix, "packed");
}

static void test_model__first_supported_protocol_counts(void **state)
{
    assert_int_equal(fixture_operation(*state, "kms:Ping")->service->protocol, AWS_PROTOCOL_JSON);
    expect_missing(*state, "odd:Do", "A0109", "");
}

static void test_model__extras_are_merged(void **state)
{
    const struct aws_operation *op = fixture_operation(*state, "s3:ListObjectsV2");
    assert_true(aws_operation_is_paged(op));
    assert_str(value_path_str(*op->paginator, "result_key"), "Contents");
    assert_str(value_path_str(*op->paginator, "non_aggregate_keys.0"), "Prefix");
    assert_false(aws_operation_is_paged(fixture_operation(*state, "s3:GetObject")));
}

static void test_model__authentication_is_known(void **state)
{
    assert_int_equal(fixture_operation(*state, "s3:GetObject")->auth, AWS_AUTH_SIGV4);
    assert_int_equal(fixture_operation(*state, "s3:PutObject")->auth, AWS_AUTH_SIGV4_UNSIGNED_BODY);
    assert_int_equal(fixture_operation(*state, "sts:AssumeRoleWithWebIdentity")->auth,
                     AWS_AUTH_NONE);
}

static void test_model__idempotency_token_is_named(void **state)
{
    assert_str(aws_operation_token(fixture_operation(*state, "kms:CreateGrant")), "Token");
    assert_int_equal(aws_operation_token(fixture_operation(*state, "kms:Ping")).len, 0);
}

static void test_model__recursive_shapes_find_themselves(void **state)
{
    const struct aws_operation *op = fixture_operation(*state, "kms:CreateGrant");
    const struct aws_shape *node = aws_shape_member(aws_operation_input(op), 2);
    assert_ptr_equal(aws_shape_member(node, 0), node);
}

static void test_model__a_missing_shape_is_damage(void **state)
{
    expect_missing(*state, "broken:Do", "A0104", "");
    expect_missing(*state, "broken:Do", "A0104", "");
}

static void test_model__a_folder_without_models_is_refused(void **state)
{
    struct error err = {0};
    (void)state;
    assert_null(aws_models_open("/", &err));
    assert_string_equal(err.code, "A0105");
}

static void test_model__lists_services_and_operations(void **state)
{
    struct fixture *f = *state;
    struct str *names;
    size_t count;
    assert_true(aws_models_list(f->models, (struct str){0}, &f->arena, &names, &count, NULL));
    assert_int_equal(count, 10);
    assert_str(names[0], "broken");
    assert_true(aws_models_list(f->models, STR("sts"), &f->arena, &names, &count, NULL));
    assert_int_equal(count, 3);
    assert_str(names[0], "GetCallerIdentity");
}

/* ---- packs ---- */

static void remove_folder(const char *dir)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* A data folder of two services, packed. */
static void make_pack(char *data, char *pack)
{
    char command[1000];
    struct error err = {0};
    assert_non_null(mkdtemp(data));
    assert_non_null(mkdtemp(pack));
    snprintf(command, sizeof command, "cp -r '%s/s3' '%s/kms' '%s/partitions.json' '%s'",
             TEST_MODELS, TEST_MODELS, TEST_MODELS, data);
    assert_int_equal(system(command), 0);
    if (!aws_models_pack(data, pack, &err))
        fail_msg("%s", err.message);
}

static void test_model__a_pack_says_the_same_without_documentation(void **state)
{
    char data[] = "/tmp/rectify-model-XXXXXX", pack[] = "/tmp/rectify-model-XXXXXX";
    struct fixture f = {0};
    struct error err = {0};
    (void)state;
    make_pack(data, pack);
    f.models = aws_models_open(pack, &err);
    assert_non_null(f.models);
    const struct aws_operation *op = fixture_operation(&f, "s3:PutBucketTagging");
    assert_str(op->uri, "/{Bucket}?tagging");
    assert_null(value_get(op->model, STR("documentation")));
    const struct aws_shape *set = aws_shape_member(aws_shape_member(op->input->shape, 2), 0);
    assert_null(value_path(aws_shape_item(set)->model, "members.Key.documentation"));
    assert_str(value_path_str(*fixture_operation(&f, "s3:ListObjectsV2")->paginator,
                              "non_aggregate_keys.0"),
               "Prefix");
    assert_non_null(
        map_get(&fixture_operation(&f, "kms:DescribeKey")->service->errors, STR("Slow")));
    assert_null(aws_operation_find(f.models, STR("sts:AssumeRole"), &err));
    struct value partitions;
    assert_true(aws_models_partitions(f.models, &partitions, &err));
    assert_str(value_path_str(partitions, "partitions.0.id"), "aws");
    aws_models_close(f.models);
    remove_folder(data);
    remove_folder(pack);
}

static void test_model__a_damaged_pack_is_told(void **state)
{
    char data[] = "/tmp/rectify-model-XXXXXX", pack[] = "/tmp/rectify-model-XXXXXX", path[100];
    struct error err = {0};
    (void)state;
    make_pack(data, pack);
    snprintf(path, sizeof path, "%s/s3.json.zst", pack);
    assert_int_equal(truncate(path, 200), 0);
    struct aws_models *models = aws_models_open(pack, &err);
    assert_non_null(models);
    assert_null(aws_operation_find(models, STR("s3:GetObject"), &err));
    assert_string_equal(err.code, "A0102");
    aws_models_close(models);
    remove_folder(data);
    remove_folder(pack);
}

/* A pack is read in parts, each when it is needed: a bad part says so whenever it is asked for, and
 * the others are good. */
static void test_model__damaged_endpoint_rules_leave_the_operations(void **state)
{
    char data[] = "/tmp/rectify-model-XXXXXX", pack[] = "/tmp/rectify-model-XXXXXX", command[300];
    struct error err = {0};
    struct value rules;
    (void)state;
    make_pack(data, pack);
    snprintf(command, sizeof command,
             "cd %s && zstd -qdc s3.json.zst | sed 's/^\"rules\":.*/\"rules\":{\"a\",/' > s3.json",
             pack);
    assert_int_equal(system(command), 0);
    struct aws_models *models = aws_models_open(pack, &err);
    assert_non_null(models);
    const struct aws_operation *op = aws_operation_find(models, STR("s3:GetBucketTagging"), &err);
    assert_non_null(op);
    for (int i = 0; i < 2; i++) {
        assert_false(aws_service_endpoint_rules(op->service, &rules, &err));
        assert_non_null(strstr(err.message, "the model of s3"));
    }
    aws_models_close(models);
    remove_folder(data);
    remove_folder(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model__finds_an_operation_and_its_shapes,
                                        fixture_start, fixture_end),
        cmocka_unit_test_setup_teardown(test_model__unknown_names_get_the_nearest, fixture_start,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_model__newest_api_version_counts, fixture_start,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_model__gzip_is_read, fixture_start, fixture_end),
        cmocka_unit_test_setup_teardown(test_model__first_supported_protocol_counts, fixture_start,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_model__extras_are_merged, fixture_start, fixture_end),
        cmocka_unit_test_setup_teardown(test_model__authentication_is_known, fixture_start,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_model__idempotency_token_is_named, fixture_start,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_model__recursive_shapes_find_themselves, fixture_start,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_model__a_missing_shape_is_damage, fixture_start,
                                        fixture_end),
        cmocka_unit_test(test_model__a_folder_without_models_is_refused),
        cmocka_unit_test_setup_teardown(test_model__lists_services_and_operations, fixture_start,
                                        fixture_end),
        cmocka_unit_test(test_model__a_pack_says_the_same_without_documentation),
        cmocka_unit_test(test_model__a_damaged_pack_is_told),
        cmocka_unit_test(test_model__damaged_endpoint_rules_leave_the_operations),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
