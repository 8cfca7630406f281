# SPDX-License-Identifier: Apache-2.0
"""What every S3 that checks signatures has to take from `rectify aws`, whoever wrote it."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.request
import uuid

from .moto import die_with_parent
from .rectify import EXIT_FAILED, EXIT_OK, RECTIFY

KEYS = ["a b/ü/x+y=z", "*(star)!", "~tilde_-.", "a?b&c=d", "%41%2f", "'quote\"", "日本/語",
        "a;b,c:d@e$f"]
# What servers over a file system may refuse, or keep under another name.
PATHS = ["../up", "./dot", "..", "//two", "a b/ü//x+y=z", "end/"]


class S3Cases:
    """Mixed into a unittest.TestCase that says `server` (made of a folder; .start(), .stop(),
    .environment(), missing() = why it cannot be had), which of PATHS it takes, and which it refuses
    with which code."""
    server = None
    tags = {"cost-center": "a + b = c/@", "ü": ""}
    paths, refused_paths = PATHS, {}
    bad_secret = "SignatureDoesNotMatch"

    @classmethod
    def setUpClass(cls):
        if not RECTIFY.exists():
            raise unittest.SkipTest("rectify is not built yet")
        why = cls.server.missing()
        if why:
            raise unittest.SkipTest(why)
        home = tempfile.mkdtemp(prefix="rectify-s3-")
        cls.addClassCleanup(shutil.rmtree, home, ignore_errors=True)
        cls.running = cls.server(pathlib.Path(home) / "server")
        cls.addClassCleanup(cls.running.stop)
        cls.running.start()

    def aws(self, *args, env=None):
        return subprocess.run([str(RECTIFY), "aws", *args], capture_output=True, text=True,
                              env={**self.running.environment(), **(env or {})}, timeout=120,
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
        self.refused(self.bad_secret, "s3:ListObjectsV2", f"Bucket={bucket}",
                     env={"AWS_SECRET_ACCESS_KEY": "another"})
        self.ok("s3:ListObjectsV2", f"Bucket={bucket}")

    def test_tagging(self):
        bucket = self.bucket()
        self.refused("NoSuchTagSet", "s3:GetBucketTagging", f"Bucket={bucket}")
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        self.ok("s3:PutBucketTagging", f"Bucket={bucket}", "Tagging.TagSet=" + json.dumps(tags))
        got = self.ok("s3:GetBucketTagging", f"Bucket={bucket}")["TagSet"]
        self.assertEqual(sorted(got, key=lambda tag: tag["Key"]), tags)
        self.ok("s3:DeleteBucketTagging", f"Bucket={bucket}")
        self.refused("NoSuchTagSet", "s3:GetBucketTagging", f"Bucket={bucket}")

    def test_a_policy(self):
        policy = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}]}
        bucket = self.bucket()
        policy["Statement"][0]["Resource"] = [f"arn:aws:s3:::{bucket}/*"]
        self.refused("NoSuchBucketPolicy", "s3:GetBucketPolicy", f"Bucket={bucket}")
        self.ok("s3:PutBucketPolicy", f"Bucket={bucket}", "Policy=" + json.dumps(policy))
        got = self.ok("s3:GetBucketPolicy", f"Bucket={bucket}")
        self.assertEqual(json.loads(got["Policy"]), policy)
        self.ok("s3:DeleteBucketPolicy", f"Bucket={bucket}")

    def test_odd_keys_pages_and_many_deletes(self):
        bucket = self.bucket()
        keys = [*KEYS, *self.paths]
        for key in keys:
            with self.subTest(key):
                self.ok("s3:PutObject", f"Bucket={bucket}", f"Key={key}", f"Body=<{key}>")
                got = self.ok("s3:GetObject", f"Bucket={bucket}", f"Key={key}", "--query",
                              "ContentLength")
                self.assertEqual(got, len(f"<{key}>".encode()))
        for key, code in self.refused_paths.items():
            with self.subTest(key):
                self.refused(code, "s3:PutObject", f"Bucket={bucket}", f"Key={key}", "Body=x")
        listed = self.ok("s3:ListObjectsV2", f"Bucket={bucket}", "MaxKeys=3", "--all-pages",
                         "--query", "Contents[].Key")
        self.assertEqual(sorted(listed), sorted(keys))
        delete = {"Objects": [{"Key": key} for key in keys]}
        self.ok("s3:DeleteObjects", f"Bucket={bucket}", "Delete=" + json.dumps(delete))
        self.assertIsNone(self.ok("s3:ListObjectsV2", f"Bucket={bucket}", "--query", "Contents"))

    def test_a_presigned_url(self):
        bucket = self.bucket()
        self.ok("s3:PutObject", f"Bucket={bucket}", "Key=a b+c", "Body=x")
        url = self.aws("s3:GetObject", f"Bucket={bucket}", "Key=a b+c", "--presign").stdout.strip()
        with urllib.request.urlopen(url, timeout=10) as answer:
            self.assertEqual(answer.read(), b"x")
