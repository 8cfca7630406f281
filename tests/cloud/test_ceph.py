#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rectify aws` against Ceph's gateway, an S3, IAM and STS that another project wrote and that
checks every signature."""
import json
import unittest
import uuid

import harness
from harness.ceph import Ceph
from harness.s3_cases import S3Cases


class TestCeph(S3Cases, unittest.TestCase):
    server = Ceph
    bad_secret = "AccessDenied"
    tags = {"cost-center": "a & b <c>", "ü": ""}

    def test_public_access_block(self):
        bucket = self.bucket()
        block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False,
                 "RestrictPublicBuckets": True}
        self.ok("s3:PutPublicAccessBlock", f"Bucket={bucket}",
                "PublicAccessBlockConfiguration=" + json.dumps(block))
        self.assertEqual(self.ok("s3:GetPublicAccessBlock", f"Bucket={bucket}"),
                         {"PublicAccessBlockConfiguration": block})

    def test_versioning(self):
        bucket = self.bucket()
        self.ok("s3:PutBucketVersioning", f"Bucket={bucket}",
                "VersioningConfiguration.Status=Enabled")
        self.assertEqual(self.ok("s3:GetBucketVersioning", f"Bucket={bucket}")["Status"],
                         "Enabled")

    def test_a_role_is_assumed(self):
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/u"]},
             "Action": ["sts:AssumeRole"]}]}
        name = f"r{uuid.uuid4().hex[:8]}"
        role = self.ok("iam:CreateRole", f"RoleName={name}",
                       "AssumeRolePolicyDocument=" + json.dumps(trust))["Role"]
        allow = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": "arn:aws:s3:::*"}]}
        self.ok("iam:PutRolePolicy", f"RoleName={name}", "PolicyName=p",
                "PolicyDocument=" + json.dumps(allow))
        got = self.ok("sts:AssumeRole", f"RoleArn={role['Arn']}", "RoleSessionName=session")
        self.assertIn("SessionToken", got["Credentials"])
        bucket = f"t-{uuid.uuid4().hex[:12]}"
        self.ok("s3:CreateBucket", f"Bucket={bucket}", "--role", role["Arn"])
        listed = self.ok("s3:ListBuckets", "--query", "Buckets[].Name", "--role", role["Arn"])
        self.assertIn(bucket, listed)


if __name__ == "__main__":
    harness.main()
