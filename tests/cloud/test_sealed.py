#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is kept of a resource so that a repair can be taken back: only what the undo needs, and
sealed where there is a key."""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess

import harness
from harness import CloudCase, Daemon, EXIT_FAILED, EXIT_OK, RECTIFY
from harness.people import Service

# Takes a bucket's policy away; taking that back needs the policy as it was.
POLICY = """
policy: no-bucket-policy
title: a bucket has no policy of its own
severity: low
resource: {type: 'AWS::S3::Bucket'}
detect:
  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}
decide:
  read:
    policy:
      call: s3:GetBucketPolicy
      with: {Bucket: '${resource.id}'}
      absent: {NoSuchBucketPolicy: {Policy: ''}}
    tagging:
      call: s3:GetBucketTagging
      with: {Bucket: '${resource.id}'}
      absent: {NoSuchTagSet: {TagSet: []}}
  violation: policy.Policy != '' && !tagging.TagSet.exists(t, t.Key == 'keep')
act:
  - call: s3:DeleteBucketPolicy
    with: {Bucket: '${resource.id}'}
    undo:
      - when: current.policy.Policy == ''
        call: s3:PutBucketPolicy
        with: {Bucket: '${resource.id}', Policy: '${before.policy.Policy}'}
verify: {within: 5m, else: person}
guard: {mode: enforce}
"""
CANARY, TAG = "canary-9f2c61", "canary-in-a-tag"


class TestSealed(CloudCase):
    def start(self):
        path = self.home / "no-bucket-policy.yaml"
        path.write_text(POLICY)
        self.bucket_name = self.bucket({"team": TAG})
        self.document = {"Version": "2012-10-17", "Statement": [
            {"Sid": CANARY, "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
             "Resource": f"arn:aws:s3:::{self.bucket_name}/*"}]}
        self.moto.client("s3").put_bucket_policy(Bucket=self.bucket_name,
                                                 Policy=json.dumps(self.document))
        return self.rectify(path)

    def policy(self):
        s3 = self.moto.client("s3")
        try:
            return json.loads(s3.get_bucket_policy(Bucket=self.bucket_name)["Policy"])
        except s3.exceptions.ClientError:
            return None

    def heal(self, rectify, key=None):
        self.key = {"RECTIFY_STATE_KEY": str(key)} if key else {}
        done = rectify.run(harness.create_bucket(self.bucket_name), env=self.key)
        self.assertEnded(done)
        (healed,) = rectify.of(self.bucket_name)
        self.assertEqual(healed["state"], "healed")
        self.assertIsNone(self.policy())
        return healed["id"]

    def kept(self, rectify):
        """All bytes of the store, and what a person sees of it."""
        stored = b"".join(p.read_bytes() for p in sorted(rectify.state.iterdir()) if p.is_file())
        shown = "".join(rectify.command(*words).stdout for words in
                        (("list", "--all"), ("show", "r1"), ("show", "r1", "--json"),
                         ("explain", "r1"), ("audit", "show")))
        return stored + shown.encode()

    def roll_back(self, rectify, ident):
        rectify.command("rollback", ident, env=self.key)
        last = rectify.of(self.bucket_name)[-1]
        return last["state"], last["reason"]

    def make_key(self, rectify, *options):
        path = self.home / "state.key"
        done = subprocess.run([RECTIFY, "key", path, *options], env=rectify.env, text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, EXIT_OK, done.stderr)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        return path

    def test_without_a_key_only_what_the_undo_needs_is_kept_in_clear(self):
        rectify = self.start()
        ident = self.heal(rectify)
        kept = self.kept(rectify)
        self.assertIn(CANARY.encode(), kept)
        self.assertNotIn(TAG.encode(), kept)
        self.assertEqual(self.roll_back(rectify, ident)[0], "rolled back")
        self.assertEqual(self.policy(), self.document)

    def test_with_a_key_nothing_of_it_shows(self):
        rectify = self.start()
        ident = self.heal(rectify, self.make_key(rectify))
        kept = self.kept(rectify)
        self.assertNotIn(CANARY.encode(), kept)
        self.assertIn(b"(sealed)", kept)
        self.make_key(rectify)  # a newer one in front: the older one still opens
        self.assertEqual(self.roll_back(rectify, ident)[0], "rolled back")
        self.assertEqual(self.policy(), self.document)

    def test_what_people_are_told_is_sealed_until_it_is_sent(self):
        """A message shows the state before and after; where it waits it is sealed as they are."""
        rectify = self.start()
        hook = Service()
        hook.start()
        self.addCleanup(hook.stop)
        hook.answer = lambda sent: (503, {}, {})
        (policy,) = rectify.policies.glob("no-*.yaml")
        policy.write_text(policy.read_text() + "notify: [{to: hook, on: [healed]}]\n")
        (rectify.policies / "rectify.yaml").write_text(f"""\
assignments: [{{policies: "*", accounts: "*", mode: enforce, settle: 0s}}]
channels:
  hook: {{kind: webhook, to: '{hook.url}', internal: true, secret: {{env: T_WHSEC}}}}
""")
        rectify.env["T_WHSEC"] = "whsec_" + "d" * 44
        self.heal(rectify, self.make_key(rectify))
        self.assertIn("DeleteBucketPolicy", hook.requests[0].body.decode())
        with contextlib.closing(sqlite3.connect(rectify.state / "rectify.db")) as db:
            bodies = [json.loads(body) for body, in db.execute("SELECT body FROM outbox")]
        self.assertEqual([list(body) for body in bodies], [["sealed"]])
        seen = len(hook.requests)
        hook.answer = lambda sent: (200, {}, {})
        daemon = Daemon(rectify)  # without the key it waits, and says why
        self.addCleanup(daemon.stop, signal.SIGKILL)
        rectify.wait_for(lambda: "is not loaded" in daemon.text())
        self.assertIn("is not loaded", daemon.text())
        daemon.stop()
        self.assertEqual(len(hook.requests), seen)
        rectify.env.update(self.key)
        daemon = Daemon(rectify)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        rectify.wait_for(lambda: len(hook.requests) > seen, 40)
        self.assertIn("DeleteBucketPolicy", hook.requests[-1].body.decode())

    def test_without_its_key_the_person_is_told_and_nothing_is_called(self):
        rectify = self.start()
        key = self.make_key(rectify)
        ident = self.heal(rectify, key)
        key.unlink()
        self.make_key(rectify)
        before = len(self.proxy.changes(self.bucket_name))
        done = rectify.command("rollback", ident, env=self.key)
        self.assertEqual(done.returncode, EXIT_FAILED)
        self.assertIn("is not loaded", done.stderr)
        self.assertEqual([r["state"] for r in rectify.list()], ["healed"])  # nothing was begun
        self.assertIsNone(self.policy())
        self.assertEqual(len(self.proxy.changes(self.bucket_name)), before)

    def test_a_key_file_that_is_none_stops_the_start(self):
        rectify = self.start()
        key = self.make_key(rectify)
        key.chmod(0o644)
        env = {"RECTIFY_STATE_KEY": str(key)}
        done = rectify.run(harness.create_bucket(self.bucket_name), env=env)
        self.assertEqual(done.returncode, EXIT_FAILED)
        self.assertIn("chmod 600", done.stderr)
        done = rectify.run(harness.create_bucket(self.bucket_name),
                           env={"RECTIFY_STATE_KEY": str(self.home / "none")})
        self.assertEqual(done.returncode, EXIT_FAILED)
        self.assertIn("rectify key", done.stderr)
        self.assertEqual(self.policy(), self.document)

    def test_a_key_that_kms_wraps(self):
        rectify = self.start()
        arn = self.moto.client("kms").create_key()["KeyMetadata"]["Arn"]
        key = self.make_key(rectify, "--kms", arn)
        self.assertTrue(key.read_text().startswith(f"kms {arn} "))
        ident = self.heal(rectify, key)
        self.assertNotIn(CANARY.encode(), self.kept(rectify))
        self.assertIn("Decrypt", [s.operation for s in self.proxy.seen])
        self.assertEqual(self.roll_back(rectify, ident)[0], "rolled back")
        self.assertEqual(self.policy(), self.document)
        self.proxy.rule(when=lambda s: s.operation == "Decrypt",
                        answer=(400, b'{"__type":"AccessDeniedException","message":"no"}'))
        done = rectify.run(env=self.key)
        self.assertEqual(done.returncode, EXIT_FAILED)
        self.assertIn("kms:Decrypt", done.stderr)

    def test_the_key_in_rectify_yaml(self):
        rectify = self.start()
        key = self.make_key(rectify)
        config = rectify.policies / "rectify.yaml"
        config.write_text(f"state_key: {key}\n" + config.read_text())
        self.heal(rectify)
        self.assertNotIn(CANARY.encode(), self.kept(rectify))
        doctor = rectify.command("doctor").stdout
        self.assertRegex(doctor, rf"ok +state key +1 in {key}")


if __name__ == "__main__":
    harness.main()
