#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asking people, and every way in which an answer must not count, on every channel: over stand-ins
of Slack and Jira that sign, and of the cloud. Names of the tests say which case of the failure
model they hold."""
import base64
import getpass
import json
import signal
import time
import unittest

import harness
from harness import CloudCase, Daemon, EXIT_FAILED, OWNER_POLICY, Postgres
from harness.people import Hook, Jira, Slack
from harness.postgres import find_bin

TOKEN, SIGNING, JIRA, HUB = "xoxb-canary-a1", "canary-signing-b2", "canary-jira-c3", "canary-hub-d4"
WHSEC = "whsec_" + base64.b64encode(b"w" * 32).decode()
CANARIES = (TOKEN, SIGNING, JIRA, HUB, WHSEC)
ALICE, BOB, CAROL, EVE = "U0ALICE", "U0BOB", "U0CAROL", "U0EVE"
POLICY = OWNER_POLICY + """\
guard: {mode: enforce, ask: 'true', approval: {via: [ops, tickets, hook], need: NEED, expires: 1h}}
"""
PEOPLE = f"""\
people:
  alice: {{ids: ['slack:{ALICE}', 'jira:acc-alice'], aws: ['*:user/alice*'], approves: ['*']}}
  bob: {{ids: ['slack:{BOB}', 'jira:acc-bob', 'webhook:bob'], approves: ['s3-*']}}
  carol: {{ids: ['slack:{CAROL}', 'jira:acc-carol'], approves: ['ec2-*']}}
  dora: {{ids: ['slack:U0DORA', 'unix:{getpass.getuser()}'], approves: ['*']}}
"""


class ApprovalCase(CloudCase):
    jira_user = "bot@acme.example"

    def setUp(self):
        super().setUp()
        self.slack, self.jira = Slack(TOKEN, SIGNING), Jira(JIRA, self.jira_user)
        self.hook = Hook()
        for service in (self.slack, self.jira, self.hook):
            service.start()
            self.addCleanup(service.stop)
        self.home_of = self.rectify(env={"T_SLACK": TOKEN, "T_SIGN": SIGNING, "T_JIRA": JIRA,
                                         "T_HUB": HUB, "T_WHSEC": WHSEC, **self.store()})
        self.configure()
        self.daemon = self.start()
        self.addCleanup(self.no_canary)

    def store(self):
        """Where state is kept, if not in the folder, as environment."""
        return {}

    def backup(self):
        state = self.home_of.state
        return {p.name: p.read_bytes() for p in state.glob("rectify.db*") if p.suffix != ".lock"}

    def restore(self, backup):
        for path in self.home_of.state.glob("rectify.db-*"):
            path.unlink()
        for name, data in backup.items():
            (self.home_of.state / name).write_bytes(data)

    def configure(self, need=1, people=PEOPLE, policy=POLICY):
        rectify = self.home_of
        user = f"user: {self.jira_user}, " if self.jira_user else ""
        (rectify.policies / "p.yaml").write_text(policy.replace("NEED", str(need)))
        (rectify.policies / "rectify.yaml").write_text(f"""\
assignments:
  - {{policies: '*', accounts: '*', mode: enforce, settle: 0s}}
channels:
  ops: {{kind: slack, to: {Slack.CHANNEL}, team: {Slack.TEAM}, app: {Slack.APP},
        url: '{self.slack.url}', internal: true, token: {{env: T_SLACK}},
           secret: {{env: T_SIGN}}}}
  tickets: {{kind: jira, to: OPS, {user}url: '{self.jira.url}', internal: true,
            token: {{env: T_JIRA}}, secret: {{env: T_HUB}}, approve: Approved, deny: Declined,
            done: Done}}
  hook: {{kind: webhook, to: '{self.hook.url}', internal: true, secret: {{env: T_WHSEC}}}}
  quiet: {{kind: slack, to: {Slack.CHANNEL}, team: {Slack.TEAM}, app: {Slack.APP},
          url: '{self.slack.url}', internal: true, token: {{env: T_SLACK}},
          secret: {{env: T_SIGN}}}}
{people}""")

    def start(self):
        daemon = Daemon(self.home_of)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon

    def no_canary(self):
        for path in self.home_of.home.rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            for canary in CANARIES:
                self.assertNotIn(canary.encode(), data, path)

    def asked(self, actor="alice"):
        """(bucket, the Slack message's ts, the question's token: id, ask, plan hash)"""
        bucket = self.bucket()
        self.daemon.ask("POST", "/events", harness.create_bucket(bucket, actor=actor))
        found = self.home_of.wait_for(lambda: [
            (ts, v["rectify_approve"]) for ts, v in self.slack.questions().items()
            if bucket in json.dumps(self.slack.messages[ts])])
        self.assertTrue(found, self.daemon.text())
        return bucket, found[0][0], found[0][1]

    def issue(self, bucket):
        found = self.home_of.wait_for(lambda: [k for k, i in self.jira.issues.items()
                                               if bucket in json.dumps(i)])
        return found[0]

    def state(self, bucket):
        _, answer, _ = self.daemon.ask("GET", f"/remediations?resource=*/{bucket}")
        return answer["remediations"][0]["state"]

    def becomes(self, bucket, state, within_s=20):
        self.home_of.wait_for(lambda: self.state(bucket) == state, within_s)
        self.assertEqual(self.state(bucket), state, self.daemon.text()[-800:])

    def press(self, ts, action, value, user, to="ops", headers=None, **more):
        body = self.slack.click(ts, action, value, user, **more)
        return self.daemon.ask("POST", f"/channels/{to}", body, token=None,
                               headers=headers or self.slack.headers(body))

    def approve_by_webhook(self, token, by, **how):
        ident, ask, plan_hash = token.split()
        body = json.dumps({"type": "approval", "data": {
            "id": ident, "ask": ask, "plan_hash": plan_hash, "decision": "approve",
            "by": by}}).encode()
        return self.daemon.ask("POST", "/channels/hook", body, token=None,
                               headers=Hook.headers(how.pop("secret", WHSEC), body, **how))

    def untouched(self, bucket):
        """It still asks, and nothing was changed."""
        time.sleep(0.3)
        self.assertEqual(self.state(bucket), "asking")
        self.assertEqual(self.proxy.changes(bucket), [])


class TestTheWholeWay(ApprovalCase):
    def test_slack_a_button_heals_the_bucket(self):
        bucket, ts, token = self.asked()
        text = json.dumps(self.slack.messages[ts], ensure_ascii=False)
        for what in (f"{bucket} has no owner", "s3:PutBucketTagging", 'TagSet: {\\"Key', "nobody",
                     "Blast radius: one resource, 1 call", "Risk: ", " = class ", "Over at:",
                     "user/alice"):
            self.assertIn(what, text)
        began = time.monotonic()
        status, answer, _ = self.press(ts, "rectify_approve", token, BOB)
        self.assertEqual((status, answer), (200, {}))
        self.assertLess(time.monotonic() - began, 3)
        self.becomes(bucket, "healed")
        self.assertEqual(self.tags(bucket), {"owner": "nobody"})
        self.home_of.wait_for(lambda: "healed" in json.dumps(self.slack.messages[ts]))
        self.assertEqual(self.slack.questions(), {})
        self.assertIn("healed", self.slack.messages[ts]["blocks"][0]["text"]["text"])
        self.assertEqual(self.home_of.show(self.home_of.of(bucket)[0]["id"])["state"], "healed")

    def test_slack_a_no_wants_a_reason(self):
        bucket, ts, token = self.asked()
        self.assertEqual(self.press(ts, "rectify_deny", token, BOB)[0], 200)
        self.untouched(bucket)
        body = self.slack.submit(self.slack.views[0], "it is a sandbox", BOB)
        self.assertEqual(self.daemon.ask("POST", "/channels/ops", body, token=None,
                                         headers=self.slack.headers(body))[0], 200)
        self.becomes(bucket, "denied")
        self.assertIn("it is a sandbox", self.home_of.of(bucket)[0]["reason"])
        self.home_of.wait_for(lambda: not self.slack.questions())
        self.assertEqual(self.proxy.changes(bucket), [])

    def test_case_62_slack_is_answered_in_time_though_it_answers_slowly(self):
        bucket, ts, token = self.asked()
        self.slack.delay_s = 6
        for action, user, status in (("rectify_deny", BOB, 503), ("rectify_approve", EVE, 200)):
            began = time.monotonic()
            self.assertEqual(self.press(ts, action, token, user)[0], status)
            self.assertLess(time.monotonic() - began, 3)
        began = time.monotonic()
        self.assertEqual(self.press(ts, "rectify_approve", token, BOB)[0], 200)
        self.assertLess(time.monotonic() - began, 3)
        self.becomes(bucket, "healed")
        self.slack.delay_s = 0

    def test_slack_posts_are_tried_again_and_keep_their_order(self):
        self.slack.script.extend([(500, {}, {}), (200, {}, {"ok": False, "error": "ratelimited"}),
                                  (429, {"Retry-After": "1"}, {})])
        bucket, ts, token = self.asked()
        self.slack.script.append((503, {}, {}))
        self.press(ts, "rectify_approve", token, BOB)
        self.becomes(bucket, "healed")
        self.home_of.wait_for(lambda: "healed" in json.dumps(self.slack.messages[ts]), 30)
        self.assertIn("healed", self.slack.messages[ts]["blocks"][0]["text"]["text"])
        self.assertEqual(len(self.slack.messages), 1)

    def test_jira_a_status_heals_the_bucket_and_the_issue_is_closed(self):
        bucket, _, _ = self.asked()
        key = self.issue(bucket)
        self.jira.move(key, "Approved", "acc-bob")
        body, headers = Jira.hint(key, HUB)
        self.assertEqual(self.daemon.ask("POST", "/channels/tickets", body, token=None,
                                         headers=headers)[0], 200)
        self.becomes(bucket, "healed")
        self.home_of.wait_for(lambda: self.jira.issues[key]["status"] == "Done", 30)
        self.assertEqual(self.jira.issues[key]["status"], "Done")
        self.assertIn("healed", json.dumps(self.jira.issues[key]["comments"]))
        self.assertEqual(len(self.jira.issues), 1)

    def test_jira_a_no(self):
        bucket, _, _ = self.asked()
        key = self.issue(bucket)
        self.jira.move(key, "Declined", "acc-bob")
        body, headers = Jira.hint(key, HUB)
        self.daemon.ask("POST", "/channels/tickets", body, token=None, headers=headers)
        self.becomes(bucket, "denied")
        self.assertEqual(self.proxy.changes(bucket), [])

    def test_jira_makes_one_issue_though_its_answer_is_lost(self):
        self.jira.script.extend([(200, {}, {"issues": []}), (500, {}, {})])
        bucket, _, _ = self.asked()
        key = self.issue(bucket)
        self.assertEqual((key, len(self.jira.issues)), ("OPS-1", 1))

    def test_jira_is_given_the_pause_that_it_asks_for(self):
        self.jira.script.append((429, {"Retry-After": "3"}, {}))
        bucket, _, _ = self.asked()
        self.home_of.wait_for(lambda: self.jira.issues)
        self.assertGreaterEqual(self.jira.gaps()[0], 3)
        self.assertEqual([bucket in json.dumps(i) for i in self.jira.issues.values()], [True])

    def test_no_secret_is_shown_by_what_looks_at_the_configuration(self):
        self.asked()
        for words in (("doctor", "--policies", self.home_of.policies), ("config", "--defaults"),
                      ("validate",), ("notices",), ("notices", "-o", "json"), ("approvals",),
                      ("audit", "show"), ("policy", "status")):
            with self.subTest(words):
                done = self.home_of.command(*words)
                for canary in CANARIES:
                    self.assertNotIn(canary, done.stdout + done.stderr)

    def test_a_webhook_both_ways(self):
        bucket, _, token = self.asked()
        self.home_of.wait_for(self.hook.sent)
        asked = self.hook.requests[0].json
        self.assertEqual(asked["type"], "rectify.ask")
        self.assertEqual(f"{asked['data']['id']} {asked['data']['ask']} "
                         f"{asked['data']['plan_hash']}", token)
        self.assertEqual(self.approve_by_webhook(token, "bob")[:2], (200, {"decided": True}))
        self.becomes(bucket, "healed")

    def test_the_command_line(self):
        bucket, _, _ = self.asked()
        done = self.home_of.command("approvals")
        self.assertEnded(done)
        self.assertIn("s3:PutBucketTagging", done.stdout)
        self.assertEnded(self.home_of.command("approve", self.home_of.of(bucket)[0]["id"]))
        self.becomes(bucket, "healed")
        self.assertIn("nothing waits", self.home_of.command("approvals").stdout)


class TestDataCenter(ApprovalCase):
    jira_user = ""

    def test_jira_data_center(self):
        bucket, _, _ = self.asked()
        key = self.issue(bucket)
        self.assertIn("{noformat}", self.jira.issues[key]["description"])
        self.jira.move(key, "Approved", "acc-bob")
        body, headers = Jira.hint(key, HUB)
        self.daemon.ask("POST", "/channels/tickets", body, token=None, headers=headers)
        self.becomes(bucket, "healed")


class TestAttacks(ApprovalCase):
    """Not one of these may count."""

    def test_case_50_forged(self):
        bucket, ts, token = self.asked()
        body = self.slack.click(ts, "rectify_approve", token, BOB)
        good = self.slack.headers(body)
        other = self.slack.click(ts, "rectify_approve", token, ALICE)
        for name, headers, sent in (
                ("another secret", self.slack.headers(body, secret="guess"), body),
                ("no signature", {}, body),
                ("no time", {k: v for k, v in good.items() if "Timestamp" not in k}, body),
                ("another body", good, other),
                ("cut", {**good, "X-Slack-Signature": good["X-Slack-Signature"][:-1]}, body),
                ("another time", {**good, "X-Slack-Request-Timestamp": str(int(time.time()) - 1)},
                 body)):
            with self.subTest(name):
                status, answer, _ = self.daemon.ask("POST", "/channels/ops", sent, token=None,
                                                    headers=headers)
                self.assertEqual((status, answer["error"]["code"]), (401, "Q0001"))
        for name, how in (("another secret", {"secret": "whsec_" + base64.b64encode(
                b"x" * 32).decode()}),):
            with self.subTest("webhook: " + name):
                self.assertEqual(self.approve_by_webhook(token, "bob", **how)[0], 401)
        key = self.issue(bucket)
        sent, _ = Jira.hint(key, HUB)
        self.assertEqual(self.daemon.ask("POST", "/channels/tickets", sent, token=None)[0], 401)
        self.untouched(bucket)

    def test_case_51_late_and_from_the_future(self):
        bucket, ts, token = self.asked()
        body = self.slack.click(ts, "rectify_approve", token, BOB)
        for shift in (-301, 302, -86400):
            with self.subTest(shift=shift):
                headers = self.slack.headers(body, at=time.time() + shift)
                self.assertEqual(self.daemon.ask("POST", "/channels/ops", body, token=None,
                                                 headers=headers)[1]["error"]["code"], "Q0002")
                self.assertEqual(self.approve_by_webhook(token, "bob",
                                                         at=time.time() + shift)[0], 401)
        self.untouched(bucket)

    def test_case_51_replayed(self):
        """A click that was refused, or has counted, says nothing the second time."""
        bucket, ts, token = self.asked()
        body = self.slack.click(ts, "rectify_approve", token, BOB)
        headers = self.slack.headers(body)
        self.daemon.ask("POST", "/channels/ops", body, token=None, headers=headers)
        self.becomes(bucket, "healed")
        self.moto.client("s3").delete_bucket_tagging(Bucket=bucket)
        self.proxy.clear()
        self.daemon.ask("POST", "/events", harness.create_bucket(bucket))
        self.home_of.wait_for(lambda: self.state(bucket) == "asking")
        self.daemon.ask("POST", "/channels/ops", body, token=None, headers=headers)
        self.assertEqual(self.approve_by_webhook(token, "bob")[0] // 100, 4)
        self.untouched(bucket)

    def test_wrong_channel_team_and_app(self):
        bucket, ts, token = self.asked()
        for more in ({"team": {"id": "T0EVIL"}}, {"api_app_id": "A0EVIL"}, {"team": {}},
                     {"channel": {"id": "C0OTHER"}}, {"channel": {}}):
            with self.subTest(more=more):
                status, answer, _ = self.press(ts, "rectify_approve", token, BOB, **more)
                self.assertEqual((status, answer["error"]["code"]), (403, "Q0004"))
        self.assertEqual(self.press(ts, "rectify_approve", token, BOB, to="quiet")[0], 200)
        self.assertEqual(self.press(ts, "rectify_approve", token, BOB, to="none")[0], 404)
        self.untouched(bucket)

    def test_case_53_54_wrong_user_unmapped_self(self):
        bucket, ts, token = self.asked(actor="alice")
        for user in (EVE, CAROL, ALICE, "", "slack:" + BOB, BOB.lower()):
            with self.subTest(user=user):
                self.press(ts, "rectify_approve", token, user)
        for by in ("alice", "carol", "eve", BOB, "unix:root"):
            with self.subTest(webhook=by):
                self.assertEqual(self.approve_by_webhook(token, by)[0], 403)
        key = self.issue(bucket)
        for who in ("acc-alice", "acc-carol", "acc-eve", "bot"):
            with self.subTest(jira=who):
                self.jira.move(key, "Approved", who)
                body, headers = Jira.hint(key, HUB)
                self.daemon.ask("POST", "/channels/tickets", body, token=None, headers=headers)
                time.sleep(0.6)
        self.untouched(bucket)
        whispers = [r.json["text"] for r in self.slack.sent("/chat.postEphemeral")]
        self.assertTrue(any("caused it" in w for w in whispers), whispers)

    def test_case_53_who_caused_it_is_not_forgotten_by_a_newer_event(self):
        bucket, ts, token = self.asked(actor="alice")
        self.daemon.ask("POST", "/events", harness.create_bucket(bucket, actor="robot"))
        time.sleep(0.3)
        self.press(ts, "rectify_approve", token, ALICE)
        self.untouched(bucket)

    def test_case_52_wrong_plan(self):
        bucket, ts, token = self.asked()
        ident, ask, plan_hash = token.split()
        second, ts2, token2 = self.asked()
        ident2, ask2, hash2 = token2.split()
        for value in (f"{ident} {ask} {'0' * 64}", f"{ident} {'0' * 32} {plan_hash}",
                      f"{ident} {ask2} {plan_hash}", f"{ident} {ask} {hash2}",
                      f"{ident2} {ask} {plan_hash}", f"{ident} {ask} {plan_hash} x", "r1", "",
                      f"r999999 {ask} {plan_hash}", f"{ident}  {plan_hash}"):
            with self.subTest(value=value):
                self.press(ts, "rectify_approve", value, BOB)
                parts = (value.removesuffix(f"{plan_hash} x").split(" ") + ["", "", ""])[:3]
                self.assertNotEqual(self.approve_by_webhook("%s %s %s" % (
                    parts[0] or "r0", parts[1] or "0", parts[2] or "0"), "bob")[0], 200)
        self.untouched(bucket)
        self.untouched(second)

    def test_case_52_the_resource_moves_between_yes_and_call(self):
        bucket, ts, token = self.asked()
        self.tag(bucket, {"team": "x"})
        self.press(ts, "rectify_approve", token, BOB)
        self.home_of.wait_for(lambda: len(self.slack.questions()) == 1 and ts not in
                              self.slack.questions())
        self.untouched(bucket)  # another plan: asked again
        self.assertEqual(self.tags(bucket), {"team": "x"})

    def test_case_55_no_wins_over_a_later_yes(self):
        bucket, ts, token = self.asked()
        body = self.slack.submit({"view": {"callback_id": "rectify_deny",
                                           "private_metadata": token}}, "no", BOB)
        self.daemon.ask("POST", "/channels/ops", body, token=None,
                        headers=self.slack.headers(body))
        self.press(ts, "rectify_approve", token, "U0DORA")
        self.becomes(bucket, "denied")
        self.assertEqual(self.approve_by_webhook(token, "bob")[0], 409)
        self.assertEqual(self.proxy.changes(bucket), [])

    def test_malformed(self):
        bucket, _, _ = self.asked()
        for body in (b"", b"payload=", b"payload=%", b"payload=%7B", b"payload={}&payload={}",
                     b"payload=%5B%5D", b"\xff\xfe", b"x" * 300000):
            with self.subTest(body=body[:12]):
                status, _, _ = self.daemon.ask("POST", "/channels/ops", body, token=None,
                                               headers=self.slack.headers(body))
                self.assertEqual(status // 100, 4)
        self.untouched(bucket)


    def approve(self, bucket):
        return self.home_of.command("approve", self.home_of.of(bucket)[0]["id"])

    def test_case_53_54_the_command_line_asks_who_it_is(self):
        """Who runs the command is whom the kernel names; that has to be a person who may."""
        us = getpass.getuser()
        for name, people, code in (
                ("nobody knows us", PEOPLE.replace(f"unix:{us}", "unix:another"), "E0031"),
                ("not for this policy",
                 PEOPLE.replace("approves: ['*']}\n", "approves: ['ec2-*']}\n"), "E0032"),
                ("we caused it", PEOPLE.replace("dora: {", "dora: {aws: ['*:user/dora'], "),
                 "E0033")):
            with self.subTest(name):
                self.daemon.stop()
                self.configure(people=people)
                self.daemon = self.start()
                bucket, _, _ = self.asked(actor="dora")
                done = self.approve(bucket)
                self.assertEqual(done.returncode, EXIT_FAILED, done.stdout)
                self.assertIn(code, done.stderr)
                self.untouched(bucket)

    def test_case_51_the_command_line_counts_once(self):
        bucket, _, _ = self.asked()
        self.assertEnded(self.approve(bucket))
        self.becomes(bucket, "healed")
        done = self.approve(bucket)
        self.assertEqual(done.returncode, EXIT_FAILED, done.stdout)
        self.assertEqual(len(self.proxy.changes(bucket)), 1)


class TestTwoPeople(ApprovalCase):
    def configure(self, need=2, **more):
        super().configure(need, **more)

    def test_case_53_one_vote_a_person_across_channels(self):
        bucket, ts, token = self.asked()
        self.press(ts, "rectify_approve", token, BOB)
        self.press(ts, "rectify_approve", token, BOB)
        self.assertEqual(self.approve_by_webhook(token, "bob")[0], 409)
        key = self.issue(bucket)
        self.jira.move(key, "Approved", "acc-bob")
        body, headers = Jira.hint(key, HUB)
        self.daemon.ask("POST", "/channels/tickets", body, token=None, headers=headers)
        time.sleep(0.5)
        self.untouched(bucket)
        self.assertIn("1 said yes", self.home_of.command("approvals").stdout)
        self.press(ts, "rectify_approve", token, "U0DORA")
        self.becomes(bucket, "healed")


class TestBetweenYesAndCall(ApprovalCase):
    """What was approved while nobody worked: the yes is there, and something has moved since."""

    def approved(self):
        bucket, ts, token = self.asked()
        stop = self.home_of.state / "STOP"
        stop.touch()  # what is approved is decided again, and held before the call
        self.press(ts, "rectify_approve", token, BOB)
        self.becomes(bucket, "held")
        self.daemon.stop()
        self.proxy.clear()
        return bucket, stop

    def go_on(self, stop):
        stop.unlink(missing_ok=True)
        self.daemon = self.start()

    def test_a_yes_that_nothing_moved_counts(self):
        bucket, stop = self.approved()
        self.go_on(stop)
        self.becomes(bucket, "healed", 30)

    def test_case_54_rights_are_looked_at_again(self):
        bucket, stop = self.approved()
        self.configure(people=PEOPLE.replace("approves: ['s3-*']", "approves: []"))
        self.go_on(stop)
        self.becomes(bucket, "asking", 30)
        self.untouched(bucket)

    def test_policy_changed_a_b_a(self):
        bucket, stop = self.approved()
        self.configure(policy=POLICY.replace("'nobody'", "'mallory'"))
        self.daemon = self.start()
        self.daemon.stop()
        self.configure()
        self.go_on(stop)
        self.becomes(bucket, "asking", 30)
        self.untouched(bucket)

    def test_restored_backup(self):
        bucket, stop = self.approved()
        backup = self.backup()
        self.go_on(stop)
        self.becomes(bucket, "healed", 30)
        self.daemon.stop()
        self.restore(backup)
        self.moto.client("s3").delete_bucket_tagging(Bucket=bucket)
        self.proxy.clear()
        self.daemon = self.start()
        self.becomes(bucket, "asking", 30)
        self.untouched(bucket)

    def test_case_56_expired(self):
        self.daemon.stop()
        self.configure(policy=POLICY.replace("expires: 1h", "expires: 3s"))
        self.daemon = self.start()
        bucket, ts, token = self.asked()
        self.becomes(bucket, "expired")
        self.press(ts, "rectify_approve", token, BOB)
        self.assertEqual(self.approve_by_webhook(token, "bob")[0], 409)
        time.sleep(0.3)
        self.assertEqual(self.state(bucket), "expired")
        self.assertEqual(self.proxy.changes(bucket), [])
        self.home_of.wait_for(lambda: not self.slack.questions())


class OnPostgres:
    """The same over the store that workers share."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.postgres = Postgres(durable=False).start()
        cls.addClassCleanup(cls.postgres.stop)

    def store(self):
        self.postgres.psql("DROP SCHEMA IF EXISTS rectify CASCADE")
        return {"RECTIFY_STORE": self.postgres.url}

    def backup(self):
        return self.postgres.dump()

    def restore(self, backup):
        self.postgres.restore(backup)


WITH_SERVER = unittest.skipUnless(find_bin(), "PostgreSQL's server is not installed "
                                  "(Debian: postgresql-15)")


@WITH_SERVER
class TestAttacksOnPostgres(OnPostgres, TestAttacks):
    # refused before the store is asked
    test_case_50_forged = test_malformed = test_wrong_channel_team_and_app = None


@WITH_SERVER
class TestTwoPeopleOnPostgres(OnPostgres, TestTwoPeople):
    pass


@WITH_SERVER
class TestBetweenYesAndCallOnPostgres(OnPostgres, TestBetweenYesAndCall):
    pass


if __name__ == "__main__":
    harness.main()
