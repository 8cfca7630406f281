#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What comes in: every shape of event file, bad input that gets a clear error and loses nothing,
and the real records."""
import gzip
import json
import os
import pathlib
import re
import unittest

import harness
from harness import CloudCase, EXIT_USAGE, EXIT_WAITING

SHARED = pathlib.Path(os.environ.get("RECTIFY_SHARED") or harness.ROOT.parent / "shared")


class TestShapes(CloudCase):
    def healed_from(self, make):
        buckets = [self.bucket(), self.bucket()]
        rectify = self.rectify("s3")
        path = self.home / "events"
        path.write_bytes(make([harness.create_bucket(b) for b in buckets]))
        self.assertEnded(rectify.command("run", "--policies", rectify.policies, "--events", path))
        for bucket in buckets:
            self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})

    def test_bare_records_by_line(self):
        self.healed_from(lambda r: "\n".join(map(json.dumps, r)).encode())

    def test_a_file_of_cloudtrail(self):
        self.healed_from(lambda r: json.dumps({"Records": r}).encode())

    def test_a_file_of_cloudtrail_gzipped(self):
        self.healed_from(lambda r: gzip.compress(json.dumps({"Records": r}).encode()))

    def test_envelopes_by_line(self):
        self.healed_from(lambda r: "\n".join(json.dumps(harness.envelope(e)) for e in r).encode())

    def test_an_array_of_envelopes(self):
        self.healed_from(lambda r: json.dumps([harness.envelope(e) for e in r]).encode())

    def test_indented_json(self):
        self.healed_from(lambda r: json.dumps({"Records": r}, indent=2).encode())

    def test_standard_input(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        done = rectify.command("run", "--policies", rectify.policies, "--events", "-",
                               stdin=json.dumps(harness.create_bucket(bucket)) + "\n")
        self.assertEnded(done)
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})


class TestBadEvents(CloudCase):
    """A good event between bad ones is healed; the bad one is named."""

    def between(self, bad, *words):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        path = self.home / "events"
        good = json.dumps(harness.create_bucket(bucket)).encode()
        path.write_bytes(bad + b"\n" + good + b"\n")
        done = rectify.command("run", "--policies", rectify.policies, "--events", path)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
        for word in words:
            self.assertIn(word, done.stderr)

    def test_malformed_json(self):
        self.between(b'{"eventName": CreateBucket}', "1:")

    def test_malformed_utf8(self):
        self.between(b'{"eventName": "\xff\xfe"}', "UTF-8")

    def test_duplicate_keys(self):
        self.between(b'{"eventName": "CreateBucket", "eventName": "x"}', "eventName")

    def test_two_mebibytes(self):
        self.between(b'{"eventName": "' + b"x" * (2 << 20) + b'"}', "1 MiB")

    def test_an_unknown_envelope(self):
        self.between(b'{"hello": "world"}', "envelope")

    def test_a_missing_file(self):
        rectify = self.rectify("s3")
        done = rectify.command("run", "--policies", rectify.policies, "--events",
                               self.home / "nowhere.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere.json", done.stderr)


class TestBadPolicies(CloudCase):
    def refused(self, change, *words):
        rectify = self.rectify("s3")
        path = rectify.policies / "s3-cost-center-tag.yaml"
        text = path.read_text()
        changed = change(text)
        self.assertNotEqual(text, changed)
        path.write_text(changed)
        done = rectify.run(harness.create_bucket("never"))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"s3-cost-center-tag\.yaml:\d+:\d+")
        for word in words:
            self.assertIn(word, done.stderr, f"the whole message:\n{done.stderr}")
        self.assertEqual(self.proxy.seen, [])

    def test_a_mistyped_key(self):
        self.refused(lambda t: t.replace("severity:", "severty:"), "^", "severity")

    def test_an_operation_that_does_not_exist(self):
        self.refused(lambda t: t.replace("s3:PutBucketTagging\n", "s3:PutBucketTaging\n", 1),
                     "PutBucketTagging")

    def test_a_member_that_does_not_exist(self):
        self.refused(lambda t: t.replace("Bucket:", "Buckett:", 1), "Bucket")

    def test_an_error_in_an_expression(self):
        self.refused(lambda t: re.sub(r"exists\(t, t\.Key", "exists(t, t.Key ==", t, count=1), "^")

    def test_an_unquoted_exclamation_mark(self):
        self.refused(lambda t: re.sub(r'violation: "?!([^"\n]*)"?', r"violation: !\1", t), "quote")

    def test_a_missing_folder(self):
        rectify = self.rectify("s3")
        done = rectify.command("run", "--policies", self.home / "nowhere", "--events", "/dev/null")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere", done.stderr)


class TestBadPlaces(CloudCase):
    def test_an_unknown_option_is_a_usage_error(self):
        done = self.rectify("s3").command("run", "--bogus")
        self.assertEqual(done.returncode, EXIT_USAGE)
        self.assertIn("--bogus", done.stderr)

    def test_an_unknown_command_is_a_usage_error(self):
        done = self.rectify("s3").command("hael")
        self.assertEqual(done.returncode, EXIT_USAGE)

    def test_a_state_folder_that_cannot_be_written(self):
        rectify = self.rectify("s3")
        rectify.state = pathlib.Path("/proc/nowhere")
        bucket = self.bucket()
        done = rectify.run(harness.create_bucket(bucket))
        self.assertEqual(done.returncode, 1)
        self.assertIn("/proc/nowhere", done.stderr)
        self.assertEqual(self.tags(bucket), {})

    def test_an_endpoint_that_is_down_leaves_it_due(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        record = harness.create_bucket(bucket)
        rectify.run(record, env={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
        (only,) = rectify.of(bucket)
        self.assertEqual(only["state"], "unread")
        self.assertTrue(only["reason"])


class TestRealRecords(CloudCase):
    def test_all_records_are_taken_and_only_known_events_match(self):
        path = SHARED / "events" / "cloudtrail.jsonl.gz"
        if not path.exists():
            raise unittest.SkipTest("the real CloudTrail records are not beside the project")
        records = [json.loads(line) for line in gzip.open(path, "rt")]
        self.assertEqual(len(records), 2814)
        account_free = ['{policies: ["*"], accounts: "*", mode: observe, settle: 0s}']
        rectify = self.rectify("s3", "ec2", "kms", assignments=account_free)
        done = rectify.command("run", "--policies", rectify.policies, "--events", path,
                               timeout_s=120)
        self.assertIn(done.returncode, (0, 1, 3), done.stderr)  # 3: other accounts stay unread
        self.assertEqual(self.proxy.changes(), [])
        found = rectify.list()
        failed = {r["requestID"] for r in records if r.get("errorCode")}
        self.assertEqual(len(failed), 490)
        names = {"s3-cost-center-tag": {"CreateBucket", "PutBucketTagging", "DeleteBucketTagging"},
                 "kms-key-rotation": {"CreateKey", "DisableKeyRotation", "CancelKeyDeletion"},
                 "ec2-no-world-open-admin-ports": {
                     "AuthorizeSecurityGroupIngress", "CreateSecurityGroup",
                     "ModifySecurityGroupRules", "RevokeSecurityGroupIngress"}}
        for remediation in found:
            event = rectify.show(remediation["id"])["detail"]["event"]
            self.assertIn(event["name"].split(":")[1], names[remediation["policy"]], remediation)
        buckets = {(r["recipientAccountId"], r["requestParameters"]["bucketName"]) for r in records
                   if r["eventName"] in names["s3-cost-center-tag"] and not r.get("errorCode")}
        seen = {(r["resource"].split("/")[1], r["resource"].split("/", 4)[4]) for r in found
                if r["policy"] == "s3-cost-center-tag"}
        self.assertEqual(seen, buckets)


if __name__ == "__main__":
    harness.main()
