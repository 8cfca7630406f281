#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plan says what would be done and does nothing; apply does exactly that, refuses and names
whatever has changed since, and does nothing the second time."""
import json

import harness
from harness import CloudCase, Daemon, EXIT_FAILED, create_bucket, write_events

EXIT_DIFFERENT = 2
ALL = '{policies: ["*"], accounts: "*", mode: %s, settle: 0s}'


class TestPlan(CloudCase):
    def setUp(self):
        super().setUp()
        s3 = self.moto.client("s3")  # what other tests left would be found too
        for bucket in s3.list_buckets()["Buckets"]:
            s3.delete_bucket(Bucket=bucket["Name"])
        self.file = self.home / "plan.json"

    def planned(self, rectify, *args, status=0):
        done = rectify.command("plan", "--out", self.file, *args)
        self.assertEnded(done, status)
        return json.loads(self.file.read_text())

    def entry(self, plan, bucket):
        return next(e for e in plan["entries"] if e["resource"].endswith("/" + bucket))

    def test_a_plan_says_everything_and_changes_nothing(self):
        bare, fine = self.bucket({"owner": "alice"}), self.bucket({"cost-center": "1"})
        rectify = self.rectify("s3")
        done = rectify.command("plan")
        self.assertEnded(done)
        for text in (bare, "violation", "act (risk", '+ {"Key":"cost-center"',
                     "s3:PutBucketTagging in",
                     "needs to read: s3:GetBucketTagging", "needs to act: s3:PutBucketTagging",
                     "1 act, 1 compliant"):
            self.assertIn(text, done.stdout.replace("1 compliant, 1 act", "1 act, 1 compliant"))
        self.assertNotIn(fine, done.stdout)
        plan = self.planned(rectify)
        entry = self.entry(plan, bare)
        self.assertEqual((plan["format"], entry["verdict"], entry["action"]),
                         ("rectify-plan/1", "violation", "act"))
        self.assertEqual(entry["calls"][0]["with"]["Tagging"]["TagSet"],
                         [{"Key": "owner", "Value": "alice"},
                          {"Key": "cost-center", "Value": "unassigned"}])
        self.assertEqual(entry["changes"], [{"member": "TagSet", "removed": [], "added": [
            {"Key": "cost-center", "Value": "unassigned"}]}])
        self.assertEqual(self.proxy.changes(), [])
        self.assertEqual(rectify.list(), [])
        self.assertEqual(rectify.command("audit", "show").stdout, "")

    def test_exit_codes(self):
        rectify = self.rectify("s3")
        fine = self.bucket({"cost-center": "1"})
        self.assertEnded(rectify.command("plan", "--detailed-exitcode"), 0)
        self.bucket()
        self.assertEnded(rectify.command("plan", "--detailed-exitcode"), EXIT_DIFFERENT)
        self.assertEnded(rectify.command("plan"), 0)
        self.proxy.rule(lambda seen: fine in seen.path, answer=(403, ""))
        done = rectify.command("plan", "--detailed-exitcode")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("1 unread", done.stdout)

    def test_a_plan_for_an_event_and_for_one_resource(self):
        one, two = self.bucket(), self.bucket()
        rectify = self.rectify("s3", "kms")
        events = write_events(self.home / "e.jsonl", create_bucket(one), create_bucket(one))
        plan = self.planned(rectify, "--events", events)
        self.assertEqual([e["resource"].rsplit("/", 1)[1] for e in plan["entries"]], [one])
        plan = self.planned(rectify, "--policy", "s3-cost-center-tag", "--resource", two)
        self.assertEqual([e["resource"].rsplit("/", 1)[1] for e in plan["entries"]], [two])
        key = plan["entries"][0]["resource"]
        again = self.planned(rectify, "--policy", "s3-cost-center-tag", "--resource", key)
        self.assertEqual(again["entries"], plan["entries"])
        self.assertEnded(rectify.command("plan", "--resource", two), EXIT_FAILED)

    def test_the_guards_are_asked(self):
        bucket = self.bucket()
        rectify = self.rectify("s3", assignments=[ALL % "approve"])
        self.assertEqual(self.entry(self.planned(rectify), bucket)["action"], "ask")
        (rectify.state / "STOP").touch()
        self.assertEqual(self.entry(self.planned(rectify), bucket)["action"], "hold")

    def test_apply_does_it_once(self):
        bare, other = self.bucket(), self.bucket({"owner": "alice"})
        rectify = self.rectify("s3")
        self.planned(rectify)
        self.assertEnded(rectify.command("apply", self.file))
        self.assertEqual(self.tags(bare), {"cost-center": "unassigned"})
        self.assertEqual(self.tags(other), {"owner": "alice", "cost-center": "unassigned"})
        self.assertEqual(len(self.proxy.changes()), 2)
        done = rectify.command("apply", self.file)
        self.assertEnded(done)
        self.assertIn("2 obeyed already", done.stderr)
        self.assertEqual(len(self.proxy.changes()), 2)
        self.assertEqual({r["state"] for r in rectify.list()}, {"healed"})
        self.assertEnded(rectify.command("audit", "verify"))

    def refused(self, rectify, *words, changed=0):
        done = rectify.command("apply", self.file)
        self.assertEnded(done, EXIT_FAILED)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(len(self.proxy.changes()), changed)

    def test_what_has_changed_is_refused_and_named(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.planned(rectify)
        self.tag(bucket, {"new": "tag"})
        self.refused(rectify, bucket, "state (fingerprint)")

        self.planned(rectify)
        policy = rectify.policies / "s3-cost-center-tag.yaml"
        policy.write_text(policy.read_text() + "\n# changed\n")
        self.refused(rectify, "policy hash")

        self.planned(rectify)
        rectify.assign(['{policies: ["*"], accounts: "*", mode: enforce, params: {value: x}}'])
        self.refused(rectify, "plan hash")

        self.planned(rectify)
        rectify.assign(['{policies: ["*"], accounts: "*", mode: observe, params: {value: x}}'])
        self.refused(rectify, "guards (observe, not act)")
        self.assertEqual(rectify.list(), [])

    def test_a_file_that_is_not_as_written_or_too_old_is_refused(self):
        self.bucket()
        rectify = self.rectify("s3")
        self.planned(rectify)
        text = self.file.read_text()
        self.file.write_text(text.replace("unassigned", "mine"))
        self.refused(rectify, "L0021", "its hash differs")
        self.file.write_text("{}")
        self.refused(rectify, "L0021")
        self.planned(rectify, "--expires", "1ms")
        self.refused(rectify, "E0015", "expired")

    def test_a_change_while_it_is_applied_ends_it(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.planned(rectify)
        reads = iter((False, True))  # behind the look of apply, before that of the engine
        self.proxy.rule(lambda seen: bucket in seen.path and seen.method == "GET" and
                        next(reads, False), call=lambda seen: self.tag(bucket, {"late": "1"}))
        self.refused(rectify, "not as planned")
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["skipped"])
        self.assertEqual(self.tags(bucket), {"late": "1"})

    def test_beside_a_daemon(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        daemon = Daemon(rectify)
        try:
            plan = self.planned(rectify)
            self.assertEqual(self.entry(plan, bucket)["action"], "act")
            self.assertEnded(rectify.command("apply", self.file))
            self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
            self.assertEqual(daemon.ask("POST", "/plan", {"policy": "x"})[0], 403)
        finally:
            daemon.stop()


if __name__ == "__main__":
    harness.main()
