#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scan: what exists is found without an event, through the same guards; a list that is cut short
starts nothing."""
import harness
from harness import CloudCase, EXIT_FAILED, EXIT_WAITING

ALL = '{policies: ["*"], accounts: "*", mode: %s}'


class TestScan(CloudCase):
    def setUp(self):
        super().setUp()
        s3 = self.moto.client("s3")  # what other tests left would be found too
        for bucket in s3.list_buckets()["Buckets"]:
            s3.delete_bucket(Bucket=bucket["Name"])

    def test_what_exists_is_healed(self):
        bare, other = self.bucket(), self.bucket({"owner": "alice"})
        fine = self.bucket({"cost-center": "42"})
        claimed = self.bucket({"sandbox": "yes"})  # by whom, nobody knows
        rectify = self.rectify("s3")
        done = rectify.command("scan")
        self.assertEnded(done)
        self.assertIn("4 resources", done.stderr)
        self.assertEqual(self.tags(bare), {"cost-center": "unassigned"})
        self.assertEqual(self.tags(other), {"owner": "alice", "cost-center": "unassigned"})
        self.assertEqual(self.tags(fine), {"cost-center": "42"})
        self.assertEqual(self.tags(claimed), {"sandbox": "yes", "cost-center": "unassigned"})
        self.assertEqual([r["state"] for b in (bare, other, fine, claimed) for r in rectify.of(b)],
                         ["healed", "healed", "compliant", "healed"])
        self.assertEnded(rectify.command("audit", "verify"))

    def test_a_second_scan_changes_nothing(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.assertEnded(rectify.command("scan"))
        self.assertEnded(rectify.command("scan"))
        self.assertEqual(len(self.proxy.changes(bucket)), 1)
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed", "compliant"])

    def test_two_calls_at_most_for_a_compliant_bucket(self):
        buckets = [self.bucket({"cost-center": "1"}) for _ in range(10)]
        rectify = self.rectify("s3")
        self.assertEnded(rectify.command("scan"))
        for bucket in buckets:
            self.assertLessEqual(len([s for s in self.proxy.seen if bucket in s.path]), 2)

    def test_all_pages_are_listed(self):
        kms = self.moto.client("kms")
        keys = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(130)}  # a page has 100
        rectify = self.rectify("kms", assignments=[ALL % "observe"])
        done = rectify.command("scan")
        self.assertEnded(done)
        found = {r["resource"].rsplit("/", 1)[1] for r in rectify.list()}
        self.assertTrue(keys <= found, f"{len(keys - found)} are missing")
        self.assertEqual(self.proxy.changes(), [])

    def test_a_list_that_fails_starts_nothing(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.proxy.rule(lambda seen: seen.method == "GET" and seen.path.split("?")[0] == "/",
                        answer=(403, ""))
        done = rectify.command("scan")
        self.assertEqual(done.returncode, EXIT_FAILED)
        self.assertIn("s3:ListBuckets", done.stderr)
        self.assertEqual(rectify.list(), [])
        self.assertEqual(self.tags(bucket), {})

    def test_the_guards_hold(self):
        buckets = [self.bucket() for _ in range(3)]
        rectify = self.rectify("s3", assignments=[ALL % "approve"])
        self.assertEnded(rectify.command("scan"), EXIT_WAITING)
        self.assertEqual({r["state"] for r in rectify.list()}, {"asking"})
        self.assertEqual([self.tags(b) for b in buckets], [{}] * 3)

    def test_one_policy_by_name(self):
        bucket = self.bucket()
        rectify = self.rectify("s3", "kms")
        self.assertEnded(rectify.command("scan", "--policy", "s3-*"))
        self.assertEqual(len(rectify.list()), 1)
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
        self.assertEqual(rectify.command("scan", "--policy", "none").returncode, EXIT_FAILED)

    def test_another_account_is_not_scanned_with_these_credentials(self):
        self.bucket()
        done = self.rectify("s3").command("scan", "--account", "999999999999")
        self.assertEqual(done.returncode, EXIT_FAILED)
        self.assertIn("account", done.stderr)


if __name__ == "__main__":
    harness.main()
