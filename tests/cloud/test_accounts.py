#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several accounts: each is reached through its own role, read and repaired apart; whose role
cannot be assumed is not touched with anybody else's credentials; an organisation's list is kept
when it cannot be had; the daemon scans on schedule and reloads under load."""
import json
import os
import re
import signal
import time
import unittest
import urllib.parse
import uuid

import harness
from harness import CloudCase, Daemon, EXIT_FAILED, Postgres, create_bucket
from harness.postgres import find_bin

ONE, TWO = "111122223333", "444455556666"
ROLES = "roles: {read: reader, act: actor, external_id: xyz-1}"


def boto(moto, service, account=None):
    """A client of another account, by moto's own AssumeRole."""
    import boto3
    from botocore.config import Config
    keys = {"aws_access_key_id": "AKIATESTTESTTESTTEST", "aws_secret_access_key": "testing"}
    if account:
        made = moto.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/test", RoleSessionName="test")["Credentials"]
        keys = {"aws_access_key_id": made["AccessKeyId"],
                "aws_secret_access_key": made["SecretAccessKey"],
                "aws_session_token": made["SessionToken"]}
    return boto3.client(service, endpoint_url=moto.endpoint, region_name=harness.REGION,
                        config=Config(s3={"addressing_style": "path"}), **keys)


class AccountCase(CloudCase):
    def setUp(self):
        super().setUp()
        self.s3 = {a: boto(self.moto, "s3", a) for a in (ONE, TWO)}
        for s3 in [*self.s3.values(), self.moto.client("s3")]:
            for bucket in s3.list_buckets()["Buckets"]:
                s3.delete_bucket(Bucket=bucket["Name"])

    def config(self, rectify, text):
        (rectify.policies / "rectify.yaml").write_text(text)

    def listed(self, *more):
        rectify = self.rectify("s3", *more)
        self.config(rectify, f"""
accounts:
  "{ONE}": {{name: one, env: prod}}
  "{TWO}": {{name: two, env: test}}
regions: [us-east-1]
assignments: [{{policies: "*", accounts: "*", mode: enforce, settle: 0s, {ROLES}}}]
""")
        return rectify

    def make(self, account):
        name = f"t-{uuid.uuid4().hex[:12]}"  # moto remembers the tags of a bucket that is deleted
        self.s3[account].create_bucket(Bucket=name)
        return name

    def tags_in(self, account, bucket):
        from botocore.exceptions import ClientError
        try:
            answer = self.s3[account].get_bucket_tagging(Bucket=bucket)
        except ClientError:
            return {}
        return {t["Key"]: t["Value"] for t in answer["TagSet"]}

    def assumed(self):
        """(role, external id, session) of each AssumeRole, in order."""
        found = []
        for seen in self.proxy.seen:
            form = dict(urllib.parse.parse_qsl(seen.body.decode("latin-1")))
            if form.get("Action") == "AssumeRole":
                found.append((form["RoleArn"], form.get("ExternalId"), form["RoleSessionName"]))
        return found


class TestAccounts(AccountCase):
    def test_one_scan_heals_in_every_account_through_its_roles(self):
        one, two = self.make(ONE), self.make(TWO)
        rectify = self.listed()
        done = rectify.command("scan")
        self.assertEnded(done)
        self.assertIn("2 accounts", done.stderr)
        self.assertEqual(self.tags_in(ONE, one), {"cost-center": "unassigned"})
        self.assertEqual(self.tags_in(TWO, two), {"cost-center": "unassigned"})
        assumed = self.assumed()
        self.assertEqual(len(assumed), 4, assumed)  # each role once
        self.assertEqual({role for role, _, _ in assumed},
                         {f"arn:aws:iam::{a}:role/{r}" for a in (ONE, TWO)
                          for r in ("reader", "actor")})
        self.assertEqual({external for _, external, _ in assumed}, {"xyz-1"})
        self.assertTrue(all(s.startswith("rectify-") for _, _, s in assumed), assumed)

    def test_reading_and_acting_use_different_credentials(self):
        one = self.make(ONE)
        self.assertEnded(self.listed().command("scan", "--account", ONE))
        key = {seen.method: seen.headers["authorization"].split("Credential=")[1].split("/")[0]
               for seen in self.proxy.seen if one in seen.path}
        self.assertNotEqual(key["GET"], key["PUT"])

    def test_a_role_that_is_refused_leaves_its_account_alone(self):
        one, two = self.make(ONE), self.make(TWO)
        self.proxy.rule(lambda seen: b"AssumeRole" in seen.body and TWO.encode() in seen.body,
                        answer=(403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no"
                                     "</Message></Error></ErrorResponse>"))
        rectify = self.listed()
        done = rectify.command("scan")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn(TWO, done.stderr)
        self.assertIn("AccessDenied", done.stderr)
        self.assertEqual(self.tags_in(ONE, one), {"cost-center": "unassigned"})
        self.assertEqual(self.tags_in(TWO, two), {})
        self.assertEqual([s for s in self.proxy.seen if two in s.path], [])

    def test_an_event_of_an_account_is_worked_on_with_its_role(self):
        bucket = self.make(TWO)
        rectify = self.listed()
        record = create_bucket(bucket)
        record["recipientAccountId"] = TWO
        self.assertEnded(rectify.run(record))
        self.assertEqual(self.tags_in(TWO, bucket), {"cost-center": "unassigned"})

    def test_a_flood_in_one_account_does_not_delay_another(self):
        bucket = self.make(TWO)
        rectify = self.listed()
        flood = [create_bucket(f"junk-{i}") for i in range(1000)]
        for record in flood:
            record["recipientAccountId"] = ONE
        last = create_bucket(bucket)
        last["recipientAccountId"] = TWO
        self.assertEnded(rectify.run(*flood, last))
        reads = [s.path for s in self.proxy.seen if s.method == "GET"]
        mine = [i for i, path in enumerate(reads) if bucket in path]
        self.assertGreaterEqual(len(reads), 1000)
        self.assertLess(mine[0], 300)
        self.assertLess(mine[-1], 700)  # verified too
        self.assertEqual(self.tags_in(TWO, bucket), {"cost-center": "unassigned"})

    def test_doctor_tries_each_role(self):
        rectify = self.listed()
        lines = {l["check"]: l for l in rectify.json("doctor")}
        self.assertEqual(lines[f"account {ONE}"]["health"], "ok")
        self.assertIn("reader", lines[f"account {ONE}"]["detail"])
        self.assertIn("actor", lines[f"account {ONE}"]["detail"])
        self.proxy.rule(lambda seen: b"AssumeRole" in seen.body and b"actor" in seen.body,
                        answer=(403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no"
                                     "</Message></Error></ErrorResponse>"))
        done = rectify.command("doctor", "-o", "json")
        self.assertEnded(done, EXIT_FAILED)
        bad = [l for l in json.loads(done.stdout) if l["health"] == "fail"]
        self.assertEqual([l["check"] for l in bad], [f"account {ONE}", f"account {TWO}"])
        self.assertIn("trust policy", bad[0]["fix"])


class TestOrganization(AccountCase):
    def organization(self):
        """Ids of two accounts of moto's organisation, env prod and test."""
        client = self.moto.client("organizations")
        try:
            client.create_organization(FeatureSet="ALL")
        except client.exceptions.AlreadyInOrganizationException:
            pass
        ids = {}
        for account in client.list_accounts()["Accounts"]:
            ids[account["Name"]] = account["Id"]
        for name, env in (("shop", "prod"), ("lab", "test")):
            if name not in ids:
                made = client.create_account(Email=f"{name}@example.com", AccountName=name)
                ids[name] = made["CreateAccountStatus"]["AccountId"]
                client.tag_resource(ResourceId=ids[name], Tags=[{"Key": "env", "Value": env}])
        return ids

    def test_discovered_accounts_are_chosen_by_their_tags(self):
        ids = self.organization()
        s3 = {name: boto(self.moto, "s3", ids[name]) for name in ("shop", "lab")}
        for name in s3:
            if f"of-{name}" not in [b["Name"] for b in s3[name].list_buckets()["Buckets"]]:
                s3[name].create_bucket(Bucket=f"of-{name}")
        rectify = self.rectify("s3")
        self.config(rectify, f"""
organization: {{account: "{harness.ACCOUNT}"}}
regions: [us-east-1]
assignments: [{{policies: "*", accounts: {{env: prod}}, mode: observe, settle: 0s, {ROLES}}}]
""")
        done = rectify.command("scan")
        self.assertEnded(done)
        self.assertEqual([r["resource"].rsplit("/", 1)[1] for r in rectify.list()], ["of-shop"])

        self.proxy.rule(lambda seen: seen.operation == "ListTagsForResource", times=1,
                        answer=(400, '{"__type": "AccessDeniedException", "message": "no"}'))
        done = rectify.command("scan")
        self.assertEnded(done, EXIT_FAILED)  # says so ...
        self.assertIn("ListTagsForResource", done.stderr)
        self.assertIn("1 account", done.stderr)  # ... and still scans those that are known
        self.assertEqual(len(rectify.of("of-shop")), 2)


SOON = """
policy: soon
title: t
resource: {type: AWS::S3::Bucket}
detect:
  events: {s3:CreateBucket: event.detail.requestParameters.bucketName}
  settle: 0s
  scan: {every: 2s, read: {b: {call: s3:ListBuckets}}, resources: "b.Buckets.map(b, b.Name)"}
decide:
  read:
    tagging:
      call: s3:GetBucketTagging
      with: {Bucket: "${resource.id}"}
      absent: {NoSuchTagSet: {TagSet: []}}
  violation: "!tagging.TagSet.exists(t, t.Key == 'cost-center')"
guard: {mode: observe}
"""


class TestDaemon(AccountCase):
    def test_the_daemon_scans_on_schedule(self):
        one = self.make(ONE)
        path = self.home / "soon.yaml"
        path.write_text(SOON)
        rectify = self.listed(path)
        (rectify.policies / "s3-cost-center-tag.yaml").unlink()
        daemon = Daemon(rectify)
        try:
            seen = rectify.wait_for(lambda: len(rectify.of(one)) >= 2)
            self.assertTrue(seen, daemon.text())
        finally:
            daemon.stop()
        self.assertEqual(self.proxy.changes(one), [])

    def observing(self, mode="observe"):
        return f"""
accounts: {{"{harness.ACCOUNT}": {{env: test}}}}
assignments: [{{policies: "*", accounts: "*", mode: {mode}, settle: 0s}}]
"""

    def test_sighup_takes_what_is_written_now(self):
        first, second = self.bucket(), self.bucket()
        rectify = self.rectify("s3")
        self.config(rectify, self.observing())
        daemon = Daemon(rectify)
        try:
            self.assertEqual(daemon.ask("POST", "/events", create_bucket(first))[0], 202)
            self.assertTrue(rectify.wait_for(
                lambda: [r["state"] for r in rectify.of(first)] == ["observed"]))
            self.config(rectify, self.observing("enforce"))
            daemon.process.send_signal(signal.SIGHUP)
            self.assertTrue(rectify.wait_for(lambda: "in use now" in daemon.text()))
            self.assertEqual(daemon.ask("POST", "/events", create_bucket(second))[0], 202)
            self.assertTrue(rectify.wait_for(
                lambda: [r["state"] for r in rectify.of(second)] == ["healed"]), daemon.text())
        finally:
            daemon.stop()
        records = rectify.command("audit", "show").stdout
        self.assertIn('"policies loaded"', records)

    def test_a_mistake_is_named_and_changes_nothing(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        self.config(rectify, self.observing("enforce"))
        daemon = Daemon(rectify)
        try:
            self.config(rectify, "assignments: 5\n")
            (rectify.policies / "more.yaml").write_text("policy: x\nfilter: 1\n")
            daemon.process.send_signal(signal.SIGHUP)
            self.assertTrue(rectify.wait_for(lambda: "nothing is reloaded" in daemon.text()))
            text = daemon.text()
            self.assertIn("P0131", text)
            self.assertIn("more.yaml", text)
            self.assertEqual(daemon.ask("POST", "/events", create_bucket(bucket))[0], 202)
            self.assertTrue(rectify.wait_for(
                lambda: [r["state"] for r in rectify.of(bucket)] == ["healed"]))
            (rectify.policies / "more.yaml").unlink()
            self.config(rectify, self.observing() + "kill_switch: /elsewhere/stop\n")
            daemon.process.send_signal(signal.SIGHUP)
            self.assertTrue(rectify.wait_for(lambda: "L0018" in daemon.text()))
        finally:
            daemon.stop()

    def test_no_event_is_lost_while_it_reloads(self):
        count = int(os.environ.get("RECTIFY_RELOAD_EVENTS", "300"))
        rectify = self.rectify("s3")
        self.config(rectify, self.observing())
        daemon = Daemon(rectify)
        try:
            for i in range(count):
                if i % 10 == 0:
                    daemon.process.send_signal(signal.SIGHUP)
                status, answer, _ = daemon.ask("POST", "/events", create_bucket(f"lost-{i}"))
                self.assertEqual((status, answer["matches"]), (202, 1))
            ended = rectify.wait_for(lambda: len(
                [r for r in rectify.list() if r["state"] == "gone"]) == count, within_s=60)
            self.assertTrue(ended, [r["state"] for r in rectify.list()])
            self.assertIn("in use now", daemon.text())
            self.assertNotIn("WARNING: ThreadSanitizer", daemon.text())
        finally:
            daemon.stop()


@unittest.skipUnless(find_bin(), "PostgreSQL's server is not installed (Debian: postgresql-15)")
class TestDaemonsOfOneStore(AccountCase):
    def setUp(self):
        super().setUp()
        self.postgres = Postgres(durable=False).start()
        self.addCleanup(self.postgres.stop)

    def daemon(self, name):
        rectify = self.rectify(self.path, name=name, env={"RECTIFY_STORE": self.postgres.url})
        self.config(rectify, f"""
accounts: {{"{harness.ACCOUNT}": {{env: test}}}}
regions: [us-east-1]
assignments: [{{policies: "*", accounts: "*", mode: observe}}]
""")
        daemon = Daemon(rectify)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon

    def lists(self):
        return [seen for seen in self.proxy.seen
                if seen.method == "GET" and re.fullmatch(r"/(\?.*)?", seen.path)]

    def test_each_scan_is_one_daemons_and_goes_on_when_that_dies(self):
        bucket = self.bucket()
        self.path = self.home / "soon.yaml"
        self.path.write_text(SOON)
        daemons = [self.daemon(name) for name in ("one", "two", "three")]
        time.sleep(1)
        self.proxy.clear()
        time.sleep(10)
        self.assertIn(len(self.lists()), (4, 5, 6))  # every two seconds, not three times
        daemons[0].stop(signal.SIGKILL)
        daemons[1].stop(signal.SIGKILL)
        self.proxy.clear()
        rectify = daemons[2].rectify
        self.assertTrue(rectify.wait_for(lambda: len(self.lists()) >= 3, 30))
        self.assertTrue(rectify.wait_for(
            lambda: {r["state"] for r in rectify.of(bucket)} == {"observed"}))
        self.assertEqual(daemons[2].stop(), 0)


if __name__ == "__main__":
    harness.main()
