// SPDX-License-Identifier: Apache-2.0
/* Reviewed facts. Sources: the operations are those of AWS's managed policy SecurityAudit (as of
 * August 2026) that return no data of customers and no credentials, under the operations' own
 * names; event names and sources were read off real CloudTrail records. */
#include "policy/policy.h"

#include <stdio.h>

/* Read operations: "service:Prefix*" or exact, from the review. What is not here is refused. */
static const char *const read_operations[] = {
    "access-analyzer:ListAnalyzers",
    "acm:DescribeCertificate",
    "acm:ListCertificates",
    "apigateway:GetStages",
    "autoscaling:Describe*",
    "cloudformation:DescribeStacks",
    "cloudformation:ListStacks",
    "cloudfront:GetDistributionConfig",
    "cloudfront:ListDistributions",
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "cloudtrail:ListTags",
    "cloudwatch:DescribeAlarms",
    "config:DescribeConfigurationRecorders",
    "config:DescribeConfigurationRecorderStatus",
    "config:DescribeDeliveryChannels",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:ListTables",
    "dynamodb:ListTagsOfResource",
    "ec2:DescribeAddresses",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
    "ec2:GetEbsEncryptionByDefault",
    "ecr:DescribeRepositories",
    "ecs:DescribeClusters",
    "ecs:DescribeTaskDefinition",
    "efs:DescribeFileSystems",
    "eks:DescribeCluster",
    "elasticache:DescribeReplicationGroups",
    "elb:DescribeLoadBalancers",
    "elbv2:DescribeListeners",
    "elbv2:DescribeLoadBalancerAttributes",
    "elbv2:DescribeLoadBalancers",
    "guardduty:GetDetector",
    "guardduty:ListDetectors",
    "iam:GetAccountPasswordPolicy",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListAttachedRolePolicies",
    "iam:ListMFADevices",
    "iam:ListPolicies",
    "iam:ListRoles",
    "iam:ListUserTags",
    "iam:ListUsers",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListKeys",
    "kms:ListResourceTags",
    "lambda:GetFunctionConfiguration",
    "lambda:GetPolicy",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshotAttributes",
    "rds:DescribeDBSnapshots",
    "rds:ListTagsForResource",
    "redshift:DescribeClusters",
    "s3:GetBucketAcl",
    "s3:GetBucketEncryption",
    "s3:GetBucketLocation",
    "s3:GetBucketLogging",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetPublicAccessBlock",
    "s3:ListBuckets",
    "s3control:GetPublicAccessBlock",
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecrets",
    "sns:GetTopicAttributes",
    "sns:ListTagsForResource",
    "sns:ListTopics",
    "sqs:GetQueueAttributes",
    "sqs:ListQueues",
    "ssm:DescribeInstanceInformation",
};

bool policy_read_allowed(struct str service, struct str operation)
{
    char name[128];
    int len = snprintf(name, sizeof name, "%.*s:%.*s", STR_FMT(service), STR_FMT(operation));
    if (len < 0 || (size_t)len >= sizeof name)
        return false;
    for (size_t i = 0; i < sizeof read_operations / sizeof *read_operations; i++)
        if (str_glob(str_from(read_operations[i]), str_from(name)))
            return true;
    return false;
}

/* Operations whose CloudTrail event has another name. */
static const struct {
    const char *operation, *event;
} event_names[] = {
    {"s3:PutPublicAccessBlock", "PutBucketPublicAccessBlock"},
    {"s3:GetPublicAccessBlock", "GetBucketPublicAccessBlock"},
    {"s3:DeletePublicAccessBlock", "DeleteBucketPublicAccessBlock"},
    {"s3:PutBucketLifecycleConfiguration", "PutBucketLifecycle"},
    {"s3:DeleteBucketLifecycle", "DeleteBucketLifecycle"},
    {"s3:PutBucketNotificationConfiguration", "PutBucketNotification"},
    {"s3:PutBucketAccelerateConfiguration", "PutAccelerateConfiguration"},
    {"s3:PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"},
    {"s3control:PutPublicAccessBlock", "PutAccountPublicAccessBlock"},
    {"s3control:DeletePublicAccessBlock", "DeleteAccountPublicAccessBlock"},
};

/* Services whose event source is not "<service>.amazonaws.com". */
static const struct {
    const char *service, *source;
} event_sources[] = {
    {"s3control", "s3"},
    {"cloudwatch", "monitoring"},
    {"elb", "elasticloadbalancing"},
    {"elbv2", "elasticloadbalancing"},
    {"stepfunctions", "states"},
    {"efs", "elasticfilesystem"},
    {"ses", "ses"},
    {"sesv2", "ses"},
    {"emr", "elasticmapreduce"},
    {"apigatewayv2", "apigateway"},
    {"wafv2", "wafv2"},
    {"cognito-idp", "cognito-idp"},
    {"application-autoscaling", "autoscaling"},
    {"docdb", "rds"},
    {"neptune", "rds"},
};

/* Lambda's and CloudFront's event names may carry the date of the API. */
static bool name_is_dated(struct str service)
{
    return str_is(service, "lambda") || str_is(service, "cloudfront");
}

bool policy_event_pattern(struct str operation_name, struct arena *arena, struct str *ret,
                          struct error *err)
{
    struct str operation = operation_name, service = str_cut(&operation, ':');
    struct str event = operation, source = service;
    if (service.len == 0 || operation.len == 0)
        return error_set(err, "P0120", "`%.*s` is not service:Operation", STR_FMT(operation_name));
    for (size_t i = 0; i < sizeof event_names / sizeof *event_names; i++)
        if (str_is(operation_name, event_names[i].operation))
            event = str_from(event_names[i].event);
    for (size_t i = 0; i < sizeof event_sources / sizeof *event_sources; i++)
        if (str_is(service, event_sources[i].service))
            source = str_from(event_sources[i].source);
    struct buf out = {.arena = arena};
    buf_printf(&out,
               "{\"source\":[\"aws.%.*s\"],\"detail\":{\"eventSource\":[\"%.*s.amazonaws.com\"],",
               STR_FMT(source), STR_FMT(source));
    buf_printf(&out, "\"eventName\":[\"%.*s\"", STR_FMT(event));
    if (name_is_dated(service))
        buf_printf(&out, ",{\"wildcard\":\"%.*s20*\"}", STR_FMT(event));
    buf_add_cstr(&out,
                 "],\"errorCode\":[{\"exists\":false}],\"errorMessage\":[{\"exists\":false}]}}");
    *ret = buf_str(&out);
    return ret->ptr ? true : error_set(err, "P0199", "out of memory");
}

bool policy_type_is_global(struct str type)
{
    static const char *const global[] = {"AWS::S3::Bucket", "AWS::IAM::*", "AWS::CloudFront::*",
                                         "AWS::Route53::*", "AWS::Organizations::*"};
    for (size_t i = 0; i < sizeof global / sizeof *global; i++)
        if (str_glob(str_from(global[i]), type))
            return true;
    return false;
}
