#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rectify aws` against Ceph's gateway, an S3, IAM and STS that another project wrote and that
checks every signature."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import uuid

import harness
from harness import EXIT_FAILED, EXIT_OK
from harness.ceph import Ceph, missing
from harness.moto import die_with_parent

KEYS = ["../up", "a b/ü//x+y=z", "*(star)!", "~tilde_-.", "a?b&c=d", "%41%2f", "'quote\"",
        "./dot", "..", "日本/語", "a;b,c:d@e$f", "//two", "end/"]


class TestCeph(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not harness.RECTIFY.exists():
            raise unittest.SkipTest("rectify is not built yet")
        if missing():
            raise unittest.SkipTest(f"{missing()} is not installed: ./dev test --all brings "
                                    "radosgw, ceph-mon, ceph-osd")
        home = tempfile.mkdtemp(prefix="rectify-ceph-")
        cls.addClassCleanup(shutil.rmtree, home, ignore_errors=True)
        cls.ceph = Ceph(pathlib.Path(home) / "ceph")
        cls.addClassCleanup(cls.ceph.stop)
        cls.ceph.start()

    def aws(self, *args, env=None):
        return subprocess.run([str(harness.RECTIFY), "aws", *args], capture_output=True, text=True,
                              env={**self.ceph.environment(), **(env or {})}, timeout=120,
                              check=False, preexec_fn=die_with_parent)

    def ok(self, *args, **more):
        done = self.aws(*args, **more)
        self.assertEqual(done.returncode, EXIT_OK, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def refused(self, code, *args, **more):
        done = self.aws(*args, **more)
        self.assertEqual(done.returncode, EXIT_FAILED, done.stdout)
        self.assertIn(f"refused: {code}", done.stderr)

    def bucket(self):
        name = f"t-{uuid.uuid4().hex[:12]}"
        self.ok("s3:CreateBucket", f"Bucket={name}")
        return name

    def test_a_bad_secret_is_refused(self):
        bucket = self.bucket()
        self.refused("", "s3:ListObjectsV2", f"Bucket={bucket}",
                     env={"AWS_SECRET_ACCESS_KEY": "another"})
        self.ok("s3:ListObjectsV2", f"Bucket={bucket}")

    def test_tagging(self):
        bucket = self.bucket()
        self.refused("NoSuchTagSet", "s3:GetBucketTagging", f"Bucket={bucket}")
        tags = [{"Key": "cost-center", "Value": "a & b <c>"}, {"Key": "ü", "Value": ""}]
        self.ok("s3:PutBucketTagging", f"Bucket={bucket}", "Tagging.TagSet=" + json.dumps(tags))
        self.assertEqual(self.ok("s3:GetBucketTagging", f"Bucket={bucket}"), {"TagSet": tags})
        self.ok("s3:DeleteBucketTagging", f"Bucket={bucket}")
        self.refused("NoSuchTagSet", "s3:GetBucketTagging", f"Bucket={bucket}")

    def test_public_access_block_and_policy(self):
        bucket = self.bucket()
        block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False,
                 "RestrictPublicBuckets": True}
        self.ok("s3:PutPublicAccessBlock", f"Bucket={bucket}",
                "PublicAccessBlockConfiguration=" + json.dumps(block))
        self.assertEqual(self.ok("s3:GetPublicAccessBlock", f"Bucket={bucket}"),
                         {"PublicAccessBlockConfiguration": block})
        policy = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "s3:GetObject",
             "Resource": f"arn:aws:s3:::{bucket}/*"}]}
        other = self.bucket()
        self.ok("s3:PutBucketPolicy", f"Bucket={other}", "Policy=" + json.dumps(policy))
        got = self.ok("s3:GetBucketPolicy", f"Bucket={other}")
        self.assertEqual(json.loads(got["Policy"]), policy)

    def test_versioning(self):
        bucket = self.bucket()
        self.ok("s3:PutBucketVersioning", f"Bucket={bucket}",
                "VersioningConfiguration.Status=Enabled")
        self.assertEqual(self.ok("s3:GetBucketVersioning", f"Bucket={bucket}")["Status"],
                         "Enabled")

    def test_odd_keys(self):
        bucket = self.bucket()
        for key in KEYS:
            with self.subTest(key):
                self.ok("s3:PutObject", f"Bucket={bucket}", f"Key={key}", f"Body=<{key}>")
                got = self.ok("s3:GetObject", f"Bucket={bucket}", f"Key={key}", "--query",
                              "ContentLength")
                self.assertEqual(got, len(f"<{key}>".encode()))
        listed = self.ok("s3:ListObjectsV2", f"Bucket={bucket}", "MaxKeys=3", "--all-pages",
                         "--query", "Contents[].Key")
        self.assertEqual(sorted(listed), sorted(KEYS))
        delete = {"Objects": [{"Key": key} for key in KEYS]}
        self.ok("s3:DeleteObjects", f"Bucket={bucket}", "Delete=" + json.dumps(delete))
        self.assertEqual(self.ok("s3:ListObjectsV2", f"Bucket={bucket}", "--query", "KeyCount"), 0)

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

    def test_a_presigned_url(self):
        bucket = self.bucket()
        self.ok("s3:PutObject", f"Bucket={bucket}", "Key=a b+c", "Body=x")
        url = self.aws("s3:GetObject", f"Bucket={bucket}", "Key=a b+c", "--presign").stdout.strip()
        import urllib.request
        with urllib.request.urlopen(url, timeout=10) as answer:
            self.assertEqual(answer.read(), b"x")


if __name__ == "__main__":
    harness.main()
