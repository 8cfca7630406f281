# SPDX-License-Identifier: Apache-2.0
"""The base class of the cases and their runner: a line for each failure and skip, then the closing
line `N passed, N failed, N skipped` that ./dev test adds up."""
import os
import pathlib
import shutil
import sys
import tempfile
import unittest
import uuid

from .moto import Moto
from .proxy import Proxy
from .rectify import RECTIFY, ROOT, Rectify

POLICIES = {
    "s3": ROOT / "policies" / "s3" / "s3-cost-center-tag.yaml",
    "ec2": ROOT / "policies" / "ec2" / "ec2-no-world-open-admin-ports.yaml",
    "kms": ROOT / "policies" / "kms" / "kms-key-rotation.yaml",
}
# Without its guard, which each test writes.
OWNER_POLICY = """\
policy: s3-owner
title: Buckets carry an owner
severity: high
resource: {type: AWS::S3::Bucket}
detect:
  events: {s3:CreateBucket: event.detail.requestParameters.bucketName}
  settle: 0s
decide:
  read:
    tagging:
      call: s3:GetBucketTagging
      with: {Bucket: "${resource.id}"}
      absent: {NoSuchTagSet: {TagSet: []}}
  violation: "!tagging.TagSet.exists(t, t.Key == 'owner')"
  message: ${resource.id} has no owner
act:
  - call: s3:PutBucketTagging
    with:
      Bucket: ${resource.id}
      Tagging: {TagSet: "${tagging.TagSet + [{'Key': 'owner', 'Value': 'nobody'}]}"}
    undo:
      - call: s3:DeleteBucketTagging
        with: {Bucket: "${resource.id}"}
"""


class CloudCase(unittest.TestCase):
    """One moto and one proxy a class; a fresh home and a fresh record of requests a test."""
    moto = None
    proxy = None

    @classmethod
    def setUpClass(cls):
        if not RECTIFY.exists():
            raise unittest.SkipTest("rectify is not built yet")
        cls.moto = Moto().start()
        cls.addClassCleanup(cls.moto.stop)
        cls.proxy = Proxy(cls.moto.endpoint).start()
        cls.addClassCleanup(cls.proxy.stop)

    def setUp(self):
        self.proxy.clear()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-test-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def environment(self):
        return {**self.moto.environment(), "AWS_ENDPOINT_URL": self.proxy.endpoint}

    def rectify(self, *policies, name="", assignments=None, env=None):
        """A rectify with those of POLICIES, or with policy files given by path."""
        paths = [POLICIES.get(p, p) for p in policies]
        for path in paths:
            if not pathlib.Path(path).exists():
                self.skipTest(f"policy {pathlib.Path(path).name} is not there yet")
        return Rectify(self.home / (name or "home"), {**self.environment(), **(env or {})}, paths,
                       assignments)

    def bucket(self, tags=None):
        """A new bucket of a unique name, with these tags."""
        name = f"t-{uuid.uuid4().hex[:16]}"
        s3 = self.moto.client("s3")
        s3.create_bucket(Bucket=name)
        if tags:
            self.tag(name, tags)
        return name

    def tag(self, bucket, tags):
        tag_set = [{"Key": k, "Value": v} for k, v in tags.items()]
        self.moto.client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set})

    def tags(self, bucket):
        from botocore.exceptions import ClientError
        try:
            answer = self.moto.client("s3").get_bucket_tagging(Bucket=bucket)
        except ClientError as e:
            if e.response["Error"]["Code"] == "NoSuchTagSet":
                return {}
            raise
        return {t["Key"]: t["Value"] for t in answer["TagSet"]}

    def assertEnded(self, done, status=0):
        self.assertEqual(done.returncode, status, f"stdout: {done.stdout}\nstderr: {done.stderr}")


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(f"FAILED {subtest}: {err[1]}", flush=True)

    def _failed(self, test, text):
        print(f"FAILED {test.id()}\n{text}", flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, self.failures[-1][1])


def skips(result):
    """(name, how many, reason); a class skipped in setUpClass counts as the tests that it holds."""
    for test, reason in result.skipped:
        name, count = test.id().removeprefix("__main__."), 1
        if name.startswith("setUpClass ("):
            name = name[len("setUpClass ("):-1].split(".")[-1]
            cls = getattr(sys.modules["__main__"], name)
            count = len(unittest.defaultTestLoader.getTestCaseNames(cls))
        yield name, count, reason


def main():
    """Runs the cases of the calling file; arguments choose those whose name contains one."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    wanted = sys.argv[1:]
    if wanted:
        cases = [t for group in suite for t in group if any(w in t.id() for w in wanted)]
        suite = unittest.TestSuite(cases)
    result = Result()
    suite.run(result)
    skipped = 0
    for name, count, reason in skips(result):
        skipped += count
        some = f" ({count} tests)" if count > 1 else ""
        print(f"skip {pathlib.Path(sys.argv[0]).stem}/{name}: {reason}{some}")
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed, {skipped} skipped", flush=True)
    os._exit(1 if failed else 0)  # the proxy's threads may still wait for a cut connection
