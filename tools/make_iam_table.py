#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes src/policy/iam.txt: which IAM action an operation needs, its
access level, and on which resources.

    tools/make_iam_table.py FOLDER > src/policy/iam.txt

FOLDER holds iam-actions.json.gz (actions, resource types and ARN formats out of AWS's Service
Authorization Reference) and iam-prefixes.json (per botocore service its IAM prefix, and the
operations without an action of the same name). What such operations need is ACTIONS below,
reviewed by hand against the same reference; an operation that is in neither is refused when a
policy names it, never guessed.

The text, a section a prefix:  [s3]  =TYPE ARN-FORMAT  TYPE,TYPE:L:ACTION ACTION
-:L:ACTION (no type),
where L is the access level: R read, L list, W write, T tagging, P permissions management;
and before the sections:       >SERVICE PREFIX  +SERVICE:OPERATION ACTION...  !SERVICE:OPERATION"""
import gzip
import json
import pathlib
import sys
import textwrap

ACTIONS = {
    "s3": """CompleteMultipartUpload=PutObject CopyObject=GetObject,PutObject
        CreateMultipartUpload=PutObject UploadPart=PutObject UploadPartCopy=GetObject,PutObject
        DeleteBucketAnalyticsConfiguration=PutAnalyticsConfiguration
        DeleteBucketCors=PutBucketCORS DeleteBucketEncryption=PutEncryptionConfiguration
        DeleteBucketIntelligentTieringConfiguration=PutIntelligentTieringConfiguration
        DeleteBucketInventoryConfiguration=PutInventoryConfiguration
        DeleteBucketLifecycle=PutLifecycleConfiguration
        DeleteBucketMetricsConfiguration=PutMetricsConfiguration
        DeleteBucketOwnershipControls=PutBucketOwnershipControls
        DeleteBucketReplication=PutReplicationConfiguration DeleteBucketTagging=PutBucketTagging
        DeleteObjects=DeleteObject DeletePublicAccessBlock=PutBucketPublicAccessBlock
        GetBucketAccelerateConfiguration=GetAccelerateConfiguration
        GetBucketAnalyticsConfiguration=GetAnalyticsConfiguration
        GetBucketEncryption=GetEncryptionConfiguration
        GetBucketIntelligentTieringConfiguration=GetIntelligentTieringConfiguration
        GetBucketInventoryConfiguration=GetInventoryConfiguration
        GetBucketLifecycle=GetLifecycleConfiguration
        GetBucketLifecycleConfiguration=GetLifecycleConfiguration
        GetBucketMetricsConfiguration=GetMetricsConfiguration
        GetBucketNotificationConfiguration=GetBucketNotification
        GetBucketReplication=GetReplicationConfiguration
        GetObjectLockConfiguration=GetBucketObjectLockConfiguration
        GetPublicAccessBlock=GetBucketPublicAccessBlock HeadBucket=ListBucket HeadObject=GetObject
        ListBucketAnalyticsConfigurations=GetAnalyticsConfiguration
        ListBucketIntelligentTieringConfigurations=GetIntelligentTieringConfiguration
        ListBucketInventoryConfigurations=GetInventoryConfiguration
        ListBucketMetricsConfigurations=GetMetricsConfiguration ListBuckets=ListAllMyBuckets
        ListMultipartUploads=ListBucketMultipartUploads ListObjectVersions=ListBucketVersions
        ListObjects=ListBucket ListObjectsV2=ListBucket ListParts=ListMultipartUploadParts
        PutBucketAccelerateConfiguration=PutAccelerateConfiguration
        PutBucketAnalyticsConfiguration=PutAnalyticsConfiguration
        PutBucketEncryption=PutEncryptionConfiguration
        PutBucketIntelligentTieringConfiguration=PutIntelligentTieringConfiguration
        PutBucketInventoryConfiguration=PutInventoryConfiguration
        PutBucketLifecycle=PutLifecycleConfiguration
        PutBucketLifecycleConfiguration=PutLifecycleConfiguration
        PutBucketMetricsConfiguration=PutMetricsConfiguration
        PutBucketNotificationConfiguration=PutBucketNotification
        PutBucketReplication=PutReplicationConfiguration
        PutObjectLockConfiguration=PutBucketObjectLockConfiguration
        PutPublicAccessBlock=PutBucketPublicAccessBlock SelectObjectContent=GetObject""",
    "s3control": """GetPublicAccessBlock=GetAccountPublicAccessBlock
        PutPublicAccessBlock=PutAccountPublicAccessBlock
        DeletePublicAccessBlock=PutAccountPublicAccessBlock""",
    "kms": "ReEncrypt=ReEncryptFrom,ReEncryptTo",
    "lambda": "Invoke=InvokeFunction GetLayerVersionByArn=GetLayerVersion",
    "budgets": """DescribeBudget=ViewBudget DescribeBudgets=ViewBudget UpdateBudget=ModifyBudget
        CreateBudget=ModifyBudget DeleteBudget=ModifyBudget""",
}
# API Gateway's actions are HTTP's verbs.
VERBS = {"Get": "GET", "Export": "GET", "Create": "POST", "Import": "POST", "Delete": "DELETE",
         "Flush": "DELETE", "Reset": "DELETE", "Update": "PATCH", "Put": "PUT", "Reimport": "PUT"}

TYPES_MAX = 8  # an action on more kinds of resources (tagging, mostly) is not narrowed


def needed(service, operation):
    """The actions that an operation without an action of its own name needs, or None."""
    for pair in ACTIONS.get(service, "").split():
        name, actions = pair.split("=")
        if name == operation:
            return actions.split(",")
    if service in ("apigateway", "apigatewayv2"):
        for start, verb in VERBS.items():
            if operation.startswith(start):
                return [verb]
    return None


def section(prefix, facts):
    yield f"[{prefix}]"
    used = {t.rstrip("*") for a in facts["actions"].values() for t in a[1:]
            if len(a) - 1 <= TYPES_MAX}
    for name, arn in sorted(facts["arns"].items()):
        if name in used:
            yield f"={name} {arn}"
    groups = {}
    for action, (level, *types) in facts["actions"].items():
        key = ",".join(sorted(t.rstrip("*") for t in types)) or "-"
        if len(types) > TYPES_MAX:
            key = "-"
        groups.setdefault(f"{key}:{level}", []).append(action)
    for key, actions in sorted(groups.items()):
        for row in textwrap.wrap(" ".join(sorted(actions)), max(60, 98 - len(key)),
                                 break_long_words=False, break_on_hyphens=False):
            yield f"{key}:{row}"


def main():
    folder = pathlib.Path(sys.argv[1])
    actions = json.loads(gzip.decompress((folder / "iam-actions.json.gz").read_bytes()))
    services = json.loads((folder / "iam-prefixes.json").read_text())
    print("# Made by tools/make_iam_table.py out of AWS's Service Authorization Reference, 2026.")
    for service, facts in sorted(services.items()):
        if facts["prefix"] != service:
            print(f">{service} {facts['prefix']}")
        for operation in sorted(facts["without_same_named_action"]):
            found = needed(service, operation)
            print(f"+{service}:{operation} {' '.join(found)}" if found
                  else f"!{service}:{operation}")
    prefixes = {facts["prefix"] for facts in services.values()}
    for prefix in sorted(prefixes & set(actions)):
        print("\n".join(section(prefix, actions[prefix])))


if __name__ == "__main__":
    main()
