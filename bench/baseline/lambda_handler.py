# SPDX-License-Identifier: Apache-2.0
"""The Lambda that rectify replaces: on a CreateBucket event it makes sure of a cost-center tag."""
import os

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
REQUIRED = "cost-center"
DEFAULT = os.environ.get("DEFAULT_COST_CENTER", "unassigned")


def handler(event, _context):
    detail = event["detail"]
    if detail.get("errorCode"):
        return {"status": "skipped"}
    bucket = detail["requestParameters"]["bucketName"]
    try:
        tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as e:
        if e.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        tags = []
    if any(t["Key"] == REQUIRED for t in tags):
        return {"status": "compliant", "bucket": bucket}
    tags.append({"Key": REQUIRED, "Value": DEFAULT})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    return {"status": "remediated", "bucket": bucket}
