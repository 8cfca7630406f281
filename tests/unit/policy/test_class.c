// SPDX-License-Identifier: Apache-2.0
/* What kind of change an operation makes: known ones, and that nothing unknown is mild. */
#include "fixture.h"

#include "../cmocka_all.h"

static enum call_class class_of(struct arena *arena, const char *name)
{
    struct error err;
    const struct aws_operation *op = aws_operation_find(fixture_models(), str_from(name), &err);
    if (!op)
        fail_msg("%s: %s", name, err.message);
    enum call_class class;
    assert_true(policy_call_class(op, arena, &class));
    return class;
}

static void test_class__of_operations_that_repairs_make(void **state)
{
    (void)state;
    static const struct {
        const char *operation;
        enum call_class class;
    } cases[] = {
        {"s3:PutBucketTagging", CLASS_ADDITIVE},     // IAM: tagging
        {"dynamodb:TagResource", CLASS_ADDITIVE},    //
        {"dynamodb:UntagResource", CLASS_OVERWRITE}, // a tag goes
        {"s3:DeleteBucketTagging", CLASS_OVERWRITE}, // reviewed: all tags go
        {"kms:EnableKeyRotation", CLASS_ADDITIVE},   //
        {"ec2:CreateFlowLogs", CLASS_ADDITIVE},      //
        {"ec2:RevokeSecurityGroupIngress", CLASS_RESTRICTIVE},
        {"s3:PutPublicAccessBlock", CLASS_RESTRICTIVE}, // reviewed
        {"s3:PutBucketPolicy", CLASS_OVERWRITE},        //
        {"iam:AttachRolePolicy", CLASS_OVERWRITE},      // gives access: never additive
        {"iam:CreatePolicy", CLASS_OVERWRITE},          //
        {"sqs:SetQueueAttributes", CLASS_OVERWRITE},    //
        {"s3:DeleteBucket", CLASS_DELETE},              //
        {"secretsmanager:DeleteSecret", CLASS_DELETE},  //
        {"logs:PutRetentionPolicy", CLASS_DELETE},      // reviewed: what is older goes
        {"ec2:TerminateInstances", CLASS_DESTRUCTIVE},  //
        {"kms:ScheduleKeyDeletion", CLASS_DESTRUCTIVE}, //
        {"cloudtrail:StopLogging", CLASS_DESTRUCTIVE},  //
        {"s3:CreateSession", CLASS_DESTRUCTIVE},        // IAM's table does not have it
        {"ec2:BundleInstance", CLASS_DESTRUCTIVE},      // a word that says nothing
        {"s3:GetBucketTagging", CLASS_OVERWRITE},       // a read as a step
        {"ec2:AuthorizeSecurityGroupIngress", CLASS_ADDITIVE},
    };
    struct arena arena ARENA_AUTO = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum call_class got = class_of(&arena, cases[i].operation);
        if (got != cases[i].class)
            fail_msg("%s is %s, wanted %s", cases[i].operation, call_class_name(got),
                     call_class_name(cases[i].class));
    }
}

/* Over all operations of all services: what deletes by its name or method is at least `delete`
 * unless a person reviewed it, and nothing is mild that IAM's table does not have. */
static void test_class__no_operation_of_any_service_is_milder_than_its_name(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0}, scratch ARENA_AUTO = {0};
    struct str *services, *operations;
    size_t service_count, count, mild = 0, all = 0;
    struct error err;
    assert_true(aws_models_list(fixture_models(), (struct str){0}, &arena, &services,
                                &service_count, &err));
    for (size_t i = 0; i < service_count; i += 7) { // each costs the loading of its model
        if (!aws_models_list(fixture_models(), services[i], &arena, &operations, &count, &err))
            fail_msg("%s", err.message);
        for (size_t k = 0; k < count; k++) {
            arena_reset(&scratch);
            const char *name =
                arena_printf(&scratch, "%.*s:%.*s", STR_FMT(services[i]), STR_FMT(operations[k]));
            enum call_class class = class_of(&scratch, name);
            bool ends = str_starts(operations[k], STR("Terminate"));
            if (ends && class != CLASS_DESTRUCTIVE)
                fail_msg("%s is %s", name, call_class_name(class));
            bool deletes = str_starts(operations[k], STR("Delete"));
            if (deletes && class == CLASS_ADDITIVE)
                fail_msg("%s is %s", name, call_class_name(class));
            mild += class == CLASS_ADDITIVE;
            all++;
        }
    }
    assert_true(all > 1000);
    assert_true(mild > all / 20 && mild < all / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class__of_operations_that_repairs_make),
        cmocka_unit_test(test_class__no_operation_of_any_service_is_milder_than_its_name),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
