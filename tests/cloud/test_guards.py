#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What holds a repair back, and how a person lets it go, stops it or takes it back."""
import contextlib
import os
import re
import sqlite3

import harness
from harness import CloudCase, EXIT_WAITING

ONLY = '{{policies: ["*"], accounts: "*", mode: {}, settle: 0s}}'


class TestFreeze(CloudCase):
    """freeze, unfreeze, clear, as people type them."""

    def test_frozen_nothing_changes_and_unfrozen_it_goes_on(self):
        bucket, other = self.bucket(), self.bucket()
        rectify = self.rectify("s3")
        self.assertEqual(rectify.command("freeze", "12").returncode, 1)
        done = rectify.command("freeze", "--reason", "incident 7", "--by", "ann")
        self.assertEnded(done)
        self.assertIn("all is frozen", done.stdout)
        self.assertIn("incident 7", rectify.command("freeze").stdout)
        self.assertEnded(rectify.run(harness.create_bucket(bucket)), EXIT_WAITING)
        self.assertEqual(self.proxy.changes(bucket), [])
        (only,) = rectify.of(bucket)
        self.assertEqual(only["state"], "held")
        self.assertIn("incident 7", only["reason"])
        self.assertEnded(rectify.command("unfreeze"))
        self.assertIn("nothing is frozen", rectify.command("freeze").stdout)
        self.assertEnded(rectify.run(harness.create_bucket(other)), EXIT_WAITING)
        self.assertEqual(self.tags(other), {"cost-center": "unassigned"})
        log = rectify.command("audit", "show").stdout
        self.assertIn("freeze", log)
        self.assertIn("unfreeze", log)

    def test_another_account_that_is_frozen_stops_nothing_here(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.assertEnded(rectify.command("freeze", "999988887777", "--reason", "theirs"))
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})

    def test_after_a_rollback_it_rests_until_a_person_clears_it(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        ident = rectify.of(bucket)[0]["id"]
        self.assertEnded(rectify.command("rollback", ident))
        self.assertEqual(self.tags(bucket), {})
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        self.assertEqual(self.tags(bucket), {})
        skipped = [r for r in rectify.of(bucket) if r["state"] == "skipped"]
        self.assertIn("rests", skipped[0]["reason"])
        self.assertEnded(rectify.command("clear", ident, "--reason", "looked"))
        self.assertEqual(rectify.command("clear", ident).returncode, 1)
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})


class TestMode(CloudCase):
    def run_mode(self, mode, status=0):
        bucket = self.bucket()
        rectify = self.rectify("s3", assignments=[ONLY.format(mode)])
        self.assertEnded(rectify.run(harness.create_bucket(bucket)), status)
        return rectify, bucket

    def test_a_run_waits_for_what_is_soon_due_however_many_ask(self):
        """The first cannot be read at first and is tried again soon; a thousand wait for people."""
        rectify = self.rectify("s3", assignments=[
            '{policies: ["*"], accounts: "*", mode: approve, settle: 0s}'])
        first, others = self.bucket(), [self.bucket() for _ in range(1010)]
        self.proxy.rule(lambda s: first in s.path, times=1, answer=(500, "no"), delay_s=16)
        done = rectify.run(*[harness.create_bucket(b) for b in (first, *others)], timeout_s=120)
        self.assertEqual(done.returncode, EXIT_WAITING, done.stderr)
        self.assertEqual(rectify.show("r1")["state"], "asking")

    def test_without_the_policies_nobody_decides(self):
        """They say who may; a command that does not find them leaves all as it is."""
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        ident = rectify.of(bucket)[0]["id"]
        for words in (("approve", ident), ("deny", ident),
                      ("policy", "pause", "s3-cost-center-tag", "--reason", "x")):
            with self.subTest(words):
                done = rectify.command(*words, env={"RECTIFY_POLICIES": ""})
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn("L0022", done.stderr)
        self.assertEqual(rectify.of(bucket)[0]["state"], "asking")
        done = rectify.command("policy", "pause", "s3-cost-centre-tag", "--reason", "misspelt")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("H0033", done.stderr)

    def test_observe_sees_and_changes_nothing(self):
        rectify, bucket = self.run_mode("observe")
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["observed"])
        self.assertEqual(self.proxy.changes(bucket), [])

    def test_approve_asks_and_exits_3(self):
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["asking"])
        self.assertEqual(self.proxy.changes(bucket), [])

    def test_approved_it_is_done(self):
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        self.assertEnded(rectify.command("approve", rectify.of(bucket)[0]["id"]))
        self.assertEnded(rectify.run())
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
        self.assertEqual(rectify.of(bucket)[0]["state"], "healed")

    def test_explain_tells_the_parts_and_takes_the_decision_again(self):
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        done = rectify.command("explain", rectify.of(bucket)[0]["id"])
        self.assertEnded(done)
        points = [int(n) for n in re.findall(r"^ {2,}(\d+)  [a-z]+ +\S", done.stdout, re.M)]
        total = int(re.search(r"(\d+)  in all", done.stdout).group(1))
        self.assertEqual(sum(points[:6]), total, done.stdout)
        for words in ("decision was to ask", "mode approve", "s3:PutBucketTagging is additive",
                      "nothing says what the account is for", "rested on, it is the same"):
            self.assertIn(words, done.stdout)

    def test_a_changed_decision_shows_when_it_is_taken_again(self):
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        with contextlib.closing(sqlite3.connect(rectify.state / "rectify.db")) as db, db:
            db.execute("""UPDATE detail SET json = replace(json, '"score":20', '"score":9')""")
        done = rectify.command("explain", rectify.of(bucket)[0]["id"])
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("ANOTHER", done.stdout)

    def test_denied_it_is_never_done(self):
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        self.assertEnded(rectify.command("deny", rectify.of(bucket)[0]["id"]))
        self.assertEnded(rectify.run())
        self.assertEqual(self.tags(bucket), {})
        self.assertEqual(rectify.of(bucket)[0]["state"], "denied")

    def test_a_change_while_asking_is_decided_again(self):
        rectify, bucket = self.run_mode("approve", EXIT_WAITING)
        self.tag(bucket, {"cost-center": "by-hand"})
        self.assertEnded(rectify.command("approve", rectify.of(bucket)[0]["id"]))
        self.assertEnded(rectify.run())
        self.assertEqual(self.tags(bucket), {"cost-center": "by-hand"})
        self.assertEqual(rectify.of(bucket)[0]["state"], "compliant")

    def test_without_an_assignment_nothing_runs(self):
        bucket = self.bucket()
        rectify = self.rectify("s3", assignments=['{policies: ["other-*"], accounts: "*", '
                                                  'mode: enforce}'])
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        self.assertEqual(self.tags(bucket), {})

    def test_an_unknown_id_is_an_error(self):
        rectify = self.rectify("s3")
        done = rectify.command("approve", "r999")
        self.assertEqual(done.returncode, 1)
        self.assertIn("r999", done.stderr)


class TestKillSwitch(CloudCase):
    def blocked(self, switch):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        rectify.run(harness.create_bucket(bucket), options=["--kill-switch", switch])
        self.assertEqual(self.tags(bucket), {})
        self.assertEqual(self.proxy.changes(bucket), [])
        self.assertNotIn(rectify.of(bucket)[0]["state"], ("healed", "compliant"))
        return rectify, bucket

    def test_a_thrown_switch_stops_every_change(self):
        switch = self.home / "stop"
        switch.write_text("stop\n")
        self.blocked(switch)

    def test_a_switch_that_cannot_be_read_stops_every_change(self):
        switch = self.home / "stop"
        switch.mkdir()  # reading a folder fails for root too
        self.blocked(switch)

    def test_released_the_work_goes_on(self):
        switch = self.home / "stop"
        switch.write_text("stop\n")
        rectify, bucket = self.blocked(switch)
        os.unlink(switch)
        rectify.wait_for(lambda: rectify.run(options=["--kill-switch", switch]) and
                         self.tags(bucket))
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})


class TestAccount(CloudCase):
    def test_credentials_of_another_account_change_nothing(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        rectify.run(harness.create_bucket(bucket, account="999999999999"))
        self.assertEqual(self.tags(bucket), {})
        self.assertEqual([s.path for s in self.proxy.seen if bucket in s.path], [])

    def test_without_credentials_nothing_is_lost(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        record = harness.create_bucket(bucket)
        done = rectify.run(record, env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
        self.assertIn("credentials", (done.stderr + done.stdout +
                                      str(rectify.of(bucket))).lower())
        self.assertEqual(self.tags(bucket), {})
        self.assertEqual(len(rectify.of(bucket)), 1)


class TestRollback(CloudCase):
    def healed(self, tags=None):
        bucket = self.bucket(tags)
        rectify = self.rectify("s3")
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        return rectify, bucket, rectify.of(bucket)[0]["id"]

    def test_a_tag_added_by_hand_survives(self):
        rectify, bucket, ident = self.healed({"owner": "alice"})
        self.tag(bucket, {**self.tags(bucket), "by-hand": "yes"})
        self.assertEnded(rectify.command("rollback", ident))
        rectify.wait_for(lambda: rectify.run() and "cost-center" not in self.tags(bucket))
        self.assertEqual(self.tags(bucket), {"owner": "alice", "by-hand": "yes"})

    def test_the_last_tag_goes_with_the_whole_set(self):
        rectify, bucket, ident = self.healed()
        self.assertEnded(rectify.command("rollback", ident))
        rectify.wait_for(lambda: rectify.run() and not self.tags(bucket))
        self.assertEqual(self.tags(bucket), {})

    def test_it_is_a_remediation_of_its_own(self):
        rectify, bucket, ident = self.healed({"owner": "alice"})
        self.assertEnded(rectify.command("rollback", ident))
        self.assertEnded(rectify.run())
        states = [r["state"] for r in rectify.of(bucket)]
        self.assertEqual(len(states), 2)
        self.assertIn("rolled back", states)

    def test_the_inverse_is_shown_before_anything_is_done(self):
        rectify, bucket, ident = self.healed({"owner": "alice"})
        before = len(self.proxy.changes(bucket))
        done = rectify.command("rollback", ident, "--dry-run")
        self.assertEnded(done)
        for text in (f"to take back {ident}:", "s3:PutBucketTagging in us-east-1",
                     '- {"Key":"cost-center","Value":"unassigned"}', "act (risk"):
            self.assertIn(text, done.stdout)
        planned = rectify.json("rollback", ident, "--dry-run")
        self.assertEqual([c["with"]["Tagging"]["TagSet"] for c in planned["calls"]],
                         [[{"Key": "owner", "Value": "alice"}]])
        self.assertEqual(len(self.proxy.changes(bucket)), before)
        self.assertEqual(len(rectify.of(bucket)), 1)
        real = rectify.command("rollback", ident)
        self.assertEnded(real)
        self.assertTrue(real.stdout.startswith(done.stdout), real.stdout)
        self.assertEqual(self.tags(bucket), {"owner": "alice"})

    def test_what_is_not_ours_any_more_is_not_in_the_inverse(self):
        rectify, bucket, ident = self.healed({"owner": "alice"})
        self.tag(bucket, {"owner": "alice", "cost-center": "cc-7"})
        done = rectify.command("rollback", ident, "--dry-run")
        self.assertEnded(done)
        self.assertIn("nothing of ours is left to take back", done.stdout)
        self.assertNotIn("PutBucketTagging in", done.stdout)

    def test_what_never_changed_anything_cannot_be_rolled_back(self):
        bucket = self.bucket({"cost-center": "cc-1"})
        rectify = self.rectify("s3")
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        for more in ([], ["--dry-run"]):
            done = rectify.command("rollback", rectify.of(bucket)[0]["id"], *more)
            self.assertEqual(done.returncode, 1)
            self.assertIn("S0101", done.stderr)
        self.assertEqual(self.proxy.changes(bucket), [])


if __name__ == "__main__":
    harness.main()
