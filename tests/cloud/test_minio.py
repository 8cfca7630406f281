#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rectify aws` against MinIO: S3 and STS that another project wrote and that checks signatures."""
import unittest

import harness
from harness.go_s3 import Minio
from harness.s3_cases import S3Cases


class TestMinio(S3Cases, unittest.TestCase):
    server = Minio
    tags = {"cost-center": "a + b = c/@", "owner": ""}
    paths = ("end/",) # "//two" becomes "two"
    refused_paths = dict.fromkeys(("../up", "./dot", "..", "a b/ü//x+y=z"), "XMinioInvalid")

    def test_a_role_is_assumed(self):
        role = "arn:aws:iam::123456789012:role/any" # MinIO has none; the session is its user's
        got = self.ok("sts:AssumeRole", f"RoleArn={role}", "RoleSessionName=session")
        self.assertIn("SessionToken", got["Credentials"])
        bucket = self.bucket()
        listed = self.ok("s3:ListBuckets", "--query", "Buckets[].Name", "--role", role)
        self.assertIn(bucket, listed)


if __name__ == "__main__":
    harness.main()
