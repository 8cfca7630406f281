// SPDX-License-Identifier: Apache-2.0
/* What iam.txt knows: by hand for those that differ, and for every read that policies may make. */
#include "fixture.h"
#include "policy/iam.h"

#include "../cmocka_all.h"

static void test_iam__operations_and_actions_differ_where_they_do(void **state)
{
    (void)state;
    static const struct {
        const char *operation, *actions;
    } cases[] = {
        {"s3:ListBuckets", "s3:ListAllMyBuckets"},
        {"s3:GetBucketTagging", "s3:GetBucketTagging"},
        {"s3:DeleteBucketTagging", "s3:PutBucketTagging"},
        {"s3:PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"},
        {"s3:GetBucketCors", "s3:GetBucketCORS"},
        {"s3:CopyObject", "s3:GetObject s3:PutObject"},
        {"s3control:PutPublicAccessBlock", "s3:PutAccountPublicAccessBlock"},
        {"elbv2:DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"},
        {"stepfunctions:ListStateMachines", "states:ListStateMachines"},
        {"lambda:Invoke", "lambda:InvokeFunction"},
        {"apigateway:GetStages", "apigateway:GET"},
        {"kms:ReEncrypt", "kms:ReEncryptFrom kms:ReEncryptTo"},
    };
    struct arena arena ARENA_AUTO = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str *actions;
        size_t count;
        struct error err;
        struct buf got = {.arena = &arena};
        if (!policy_iam_actions(str_from(cases[i].operation), &arena, &actions, &count, &err))
            fail_msg("%s", err.message);
        for (size_t k = 0; k < count; k++)
            buf_printf(&got, "%s%.*s", k ? " " : "", STR_FMT(actions[k]));
        if (!str_is(buf_str(&got), cases[i].actions))
            fail_msg("%s: %.*s", cases[i].operation, STR_FMT(buf_str(&got)));
    }
}

static void test_iam__what_is_not_known_is_an_error(void **state)
{
    (void)state;
    static const char *const unknown[] = {"s3:CreateSession", "s3:Nothing", "nothing:At", "s3:"};
    struct arena arena ARENA_AUTO = {0};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        struct str *actions;
        size_t count = 0;
        struct error err = {0};
        bool known = policy_iam_actions(str_from(unknown[i]), &arena, &actions, &count, &err);
        if (known && count > 0)
            fail_msg("%s is known", unknown[i]);
        if (!known)
            assert_string_equal(err.code, "J0002");
    }
}

static void expect_resources(struct arena *arena, const char *action, const char *want)
{
    struct str *arns;
    struct buf got = {.arena = arena};
    size_t count;
    assert_true(policy_iam_resources(str_from(action), arena, &arns, &count));
    for (size_t i = 0; i < count; i++)
        buf_printf(&got, "%s%.*s", i ? " " : "", STR_FMT(arns[i]));
    if (!str_is(buf_str(&got), want))
        fail_msg("%s: %.*s", action, STR_FMT(buf_str(&got)));
}

static void test_iam__resources_are_the_actions_own(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    expect_resources(&arena, "s3:ListAllMyBuckets", "");
    expect_resources(&arena, "s3:GetBucketTagging", "arn:${Partition}:s3:::${BucketName}");
    expect_resources(&arena, "kms:EnableKeyRotation",
                     "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}");
    expect_resources(&arena, "ec2:CreateTags", ""); // on too many kinds to be narrowed
    expect_resources(&arena, "s3:Nothing", "");
}

static void test_iam__every_read_that_policies_may_make_is_known(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct str *services, *operations, *actions;
    size_t service_count, count, needed, reads = 0;
    struct error err;
    assert_true(aws_models_list(fixture_models(), (struct str){0}, &arena, &services,
                                &service_count, &err));
    for (size_t i = 0; i < service_count; i++) {
        assert_true(
            aws_models_list(fixture_models(), services[i], &arena, &operations, &count, &err));
        for (size_t k = 0; k < count; k++) {
            if (!policy_read_allowed(services[i], operations[k]))
                continue;
            const char *name =
                arena_printf(&arena, "%.*s:%.*s", STR_FMT(services[i]), STR_FMT(operations[k]));
            if (!policy_iam_actions(str_from(name), &arena, &actions, &needed, &err))
                fail_msg("%s", err.message);
            reads++;
        }
    }
    assert_true(reads > 80);
}

static void test_iam__levels_are_those_of_all_actions(void **state)
{
    (void)state;
    static const struct {
        const char *operation, *levels;
    } cases[] = {
        {"s3:GetBucketTagging", "R"}, {"s3:ListBuckets", "L"},
        {"s3:PutBucketTagging", "T"}, {"s3:DeleteBucketTagging", "T"},
        {"s3:PutBucketPolicy", "P"},  {"ec2:RevokeSecurityGroupIngress", "W"},
        {"s3:CopyObject", "RW"},      {"iam:AttachRolePolicy", "P"},
        {"s3:Nothing", ""},           {"nothing:At", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char levels[POLICY_IAM_LEVELS_SIZE];
        assert_true(policy_iam_levels(str_from(cases[i].operation), levels));
        if (strcmp(levels, cases[i].levels) != 0)
            fail_msg("%s: %s", cases[i].operation, levels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iam__operations_and_actions_differ_where_they_do),
        cmocka_unit_test(test_iam__what_is_not_known_is_an_error),
        cmocka_unit_test(test_iam__resources_are_the_actions_own),
        cmocka_unit_test(test_iam__every_read_that_policies_may_make_is_known),
        cmocka_unit_test(test_iam__levels_are_those_of_all_actions),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
