// SPDX-License-Identifier: Apache-2.0
/* What kind of change an operation makes. Reviewed operations have their class here; all others get
 * the strictest that IAM's access level, the operation's verb and the model's method say. What
 * nothing is known of is destructive. Nothing of a resource or an event is looked at. */
#include "policy/policy.h"

#include "policy/iam.h"

/* Reviewed by hand: operations that AWS's published remediations and our policies make, and whose
 * verb says too much or too little. Put and Update that only switch a protection on add; those that
 * take access away restrict; some words for "end it for good" are none. */
static const struct {
    const char *operation;
    enum call_class class;
} reviewed[] = {
    {"autoscaling:PutNotificationConfiguration", CLASS_ADDITIVE},
    {"cloudfront:UpdateDistribution", CLASS_OVERWRITE},
    {"cloudtrail:StopLogging", CLASS_DESTRUCTIVE}, // what happens then is seen by nobody
    {"cloudwatch:PutMetricAlarm", CLASS_ADDITIVE},
    {"config:StopConfigurationRecorder", CLASS_DESTRUCTIVE},
    {"dynamodb:UpdateContinuousBackups", CLASS_ADDITIVE},
    {"ec2:CreateFlowLogs", CLASS_ADDITIVE},
    {"ec2:ModifyInstanceMetadataOptions", CLASS_RESTRICTIVE},
    {"ec2:ModifySnapshotAttribute", CLASS_RESTRICTIVE},
    {"ec2:ModifySubnetAttribute", CLASS_RESTRICTIVE},
    {"ec2:ModifyImageAttribute", CLASS_RESTRICTIVE},
    {"ecr:PutImageScanningConfiguration", CLASS_ADDITIVE},
    {"guardduty:UpdateDetector", CLASS_OVERWRITE},
    {"iam:DeleteLoginProfile", CLASS_RESTRICTIVE},
    {"iam:UpdateAccessKey", CLASS_RESTRICTIVE},
    {"kms:CancelKeyDeletion", CLASS_ADDITIVE},
    {"kms:DisableKeyRotation", CLASS_OVERWRITE},
    {"kms:ScheduleKeyDeletion", CLASS_DESTRUCTIVE},
    {"lambda:RemovePermission", CLASS_RESTRICTIVE},
    {"logs:PutRetentionPolicy", CLASS_DELETE}, // what is older goes
    {"organizations:LeaveOrganization", CLASS_DESTRUCTIVE},
    {"rds:ModifyDBClusterSnapshotAttribute", CLASS_RESTRICTIVE},
    {"rds:ModifyDBSnapshotAttribute", CLASS_RESTRICTIVE},
    {"redshift:EnableLogging", CLASS_ADDITIVE},
    {"s3:DeleteBucketTagging", CLASS_OVERWRITE},
    {"s3:DeleteBucketPolicy", CLASS_RESTRICTIVE},
    {"s3:DeleteObject", CLASS_DESTRUCTIVE},
    {"s3:DeleteObjects", CLASS_DESTRUCTIVE},
    {"s3:PutBucketEncryption", CLASS_ADDITIVE},
    {"s3:PutBucketLifecycle", CLASS_DELETE}, // may expire what is there
    {"s3:PutBucketLifecycleConfiguration", CLASS_DELETE},
    {"s3:PutBucketLogging", CLASS_ADDITIVE},
    {"s3:PutBucketVersioning", CLASS_ADDITIVE},
    {"s3:PutPublicAccessBlock", CLASS_RESTRICTIVE},
    {"s3control:PutPublicAccessBlock", CLASS_RESTRICTIVE},
    {"sqs:PurgeQueue", CLASS_DESTRUCTIVE},
    {"ssm:ModifyDocumentPermission", CLASS_RESTRICTIVE},
};

/* By the first word of the operation's name. A word that is not here says nothing. */
static const struct {
    const char *verb;
    enum call_class class;
} verbs[] = {
    {"Abort", CLASS_DELETE},
    {"Activate", CLASS_ADDITIVE},
    {"Add", CLASS_ADDITIVE},
    {"Allocate", CLASS_ADDITIVE},
    {"Apply", CLASS_OVERWRITE},
    {"Associate", CLASS_ADDITIVE},
    {"Attach", CLASS_ADDITIVE},
    {"Authorize", CLASS_ADDITIVE},
    {"Block", CLASS_RESTRICTIVE},
    {"Cancel", CLASS_DELETE},
    {"Change", CLASS_OVERWRITE},
    {"Configure", CLASS_OVERWRITE},
    {"Copy", CLASS_ADDITIVE},
    {"Create", CLASS_ADDITIVE},
    {"Deactivate", CLASS_RESTRICTIVE},
    {"Delete", CLASS_DELETE},
    {"Deny", CLASS_RESTRICTIVE},
    {"Deregister", CLASS_DELETE},
    {"Detach", CLASS_RESTRICTIVE},
    {"Disable", CLASS_RESTRICTIVE},
    {"Disassociate", CLASS_RESTRICTIVE},
    {"Disconnect", CLASS_RESTRICTIVE},
    {"Enable", CLASS_ADDITIVE},
    {"Invoke", CLASS_OVERWRITE},
    {"Modify", CLASS_OVERWRITE},
    {"Put", CLASS_OVERWRITE},
    {"Reboot", CLASS_RESTRICTIVE},
    {"Register", CLASS_ADDITIVE},
    {"Reject", CLASS_RESTRICTIVE},
    {"Release", CLASS_DELETE},
    {"Remove", CLASS_RESTRICTIVE},
    {"Replace", CLASS_OVERWRITE},
    {"Reset", CLASS_DELETE},
    {"Revoke", CLASS_RESTRICTIVE},
    {"Rotate", CLASS_OVERWRITE},
    {"Set", CLASS_OVERWRITE},
    {"Start", CLASS_ADDITIVE},
    {"Stop", CLASS_RESTRICTIVE},
    {"Suspend", CLASS_RESTRICTIVE},
    {"Tag", CLASS_ADDITIVE},
    {"Terminate", CLASS_DESTRUCTIVE},
    {"Unassign", CLASS_RESTRICTIVE},
    {"Untag", CLASS_OVERWRITE},
    {"Update", CLASS_OVERWRITE},
};

/* "Put" of "PutBucketTagging". */
static struct str first_word(struct str name)
{
    size_t len = name.len ? 1 : 0;
    while (len < name.len && !(name.ptr[len] >= 'A' && name.ptr[len] <= 'Z'))
        len++;
    return str_sub(name, 0, len);
}

static enum call_class stricter(enum call_class a, enum call_class b)
{
    return a > b ? a : b;
}

static enum call_class class_of_verb(struct str name)
{
    struct str word = first_word(name);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (str_is(word, verbs[i].verb))
            return verbs[i].class;
    return CLASS_DESTRUCTIVE;
}

static enum call_class class_by_levels(const char *levels, struct str name, struct str http)
{
    if (levels[0] == '\0')
        return CLASS_DESTRUCTIVE;
    bool tags = strcmp(levels, "T") == 0, rights = strchr(levels, 'P') != NULL;
    bool changes = rights || tags || strchr(levels, 'W') != NULL;
    bool tagging = tags && !str_starts(name, STR("Delete")) && !str_starts(name, STR("Untag")) &&
                   !str_starts(name, STR("Remove"));
    if (tagging)
        return CLASS_ADDITIVE;
    if (tags || !changes) // a read as a step: nothing proves that it is harmless
        return CLASS_OVERWRITE;
    enum call_class class = class_of_verb(name);
    if (rights && class == CLASS_ADDITIVE) // gives access
        class = CLASS_OVERWRITE;
    if (str_starts(http, STR("DELETE ")))
        class = stricter(class, CLASS_DELETE);
    return class;
}

bool policy_call_class(const struct aws_operation *op, struct arena *arena, enum call_class *ret)
{
    struct str service = aws_operation_service(op), name = aws_operation_name(op);
    const char *text = arena_printf(arena, "%.*s:%.*s", STR_FMT(service), STR_FMT(name));
    char levels[POLICY_IAM_LEVELS_SIZE];
    for (size_t i = 0; text && i < sizeof reviewed / sizeof *reviewed; i++)
        if (strcmp(text, reviewed[i].operation) == 0) {
            *ret = reviewed[i].class;
            return true;
        }
    struct str http = aws_operation_http(op, arena);
    if (!text || !http.ptr || !policy_iam_levels(str_from(text), levels))
        return false;
    *ret = class_by_levels(levels, name, http);
    return true;
}
