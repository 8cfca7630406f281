# SPDX-License-Identifier: Apache-2.0
"""CloudTrail records as AWS writes them, built from one template."""
import copy
import json
import pathlib
import time
import uuid

from .moto import ACCOUNT, REGION


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def event(source, name, request, *, response=None, account=ACCOUNT, region=REGION, error=None,
          actor="alice", at=None):
    """One bare record of a management call."""
    record = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE",
            "arn": f"arn:aws:iam::{account}:user/{actor}", "accountId": account,
            "accessKeyId": "AKIAEXAMPLE", "userName": actor,
        },
        "eventTime": at or now(),
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "203.0.113.10",
        "userAgent": "[aws-cli/2.15]",
        "requestParameters": request,
        "responseElements": response,
        "requestID": uuid.uuid4().hex[:16].upper(),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    if error:
        record["errorCode"], record["errorMessage"] = error, f"{error} (test)"
    return record


def create_bucket(bucket, **options):
    return event("s3.amazonaws.com", "CreateBucket",
                 {"bucketName": bucket, "Host": "s3.amazonaws.com"}, **options)


def put_bucket_tagging(bucket, **options):
    return event("s3.amazonaws.com", "PutBucketTagging",
                 {"bucketName": bucket, "tagging": "", "Host": "s3.amazonaws.com"}, **options)


def authorize_ingress(group, permissions, **options):
    """`permissions`: [{ipProtocol, fromPort, toPort, ipRanges: {items: [{cidrIp}]}}]"""
    return event("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress",
                 {"groupId": group, "ipPermissions": {"items": permissions}},
                 response={"requestId": str(uuid.uuid4()), "_return": True}, **options)


def create_key(key_id, account=ACCOUNT, region=REGION, **options):
    arn = f"arn:aws:kms:{region}:{account}:key/{key_id}"
    return event("kms.amazonaws.com", "CreateKey",
                 {"keyUsage": "ENCRYPT_DECRYPT", "keySpec": "SYMMETRIC_DEFAULT",
                  "origin": "AWS_KMS", "multiRegion": False},
                 response={"keyMetadata": {"keyId": key_id, "aWSAccountId": account, "arn": arn,
                                           "keySpec": "SYMMETRIC_DEFAULT", "origin": "AWS_KMS"}},
                 account=account, region=region, **options)


def disable_key_rotation(key_id, account=ACCOUNT, region=REGION, **options):
    arn = f"arn:aws:kms:{region}:{account}:key/{key_id}"
    return event("kms.amazonaws.com", "DisableKeyRotation", {"keyId": arn},
                 account=account, region=region, **options)


def envelope(record):
    """The same record as EventBridge delivers it."""
    return {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": "AWS API Call via CloudTrail",
        "source": "aws." + record["eventSource"].split(".")[0],
        "account": record["recipientAccountId"], "time": record["eventTime"],
        "region": record["awsRegion"], "resources": [], "detail": copy.deepcopy(record),
    }


def write_events(path, *records):
    path = pathlib.Path(path)
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path
