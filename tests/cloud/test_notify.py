#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people are told, over stand-ins of the services: what, to whom, how often, how late."""
import base64
import json
import unittest

import harness
from harness import CloudCase, Daemon
from harness.people import Hook, PagerDuty, Slack

TOKEN, SIGNING = "xoxb-canary-7d0c1f", "canary-signing-9a41"
WHSEC, OLD_WHSEC = ("whsec_" + base64.b64encode(c * 32).decode() for c in (b"k", b"o"))
ROUTING = "canary-routing-key-51d2"
CANARIES = (TOKEN, SIGNING, WHSEC, OLD_WHSEC, ROUTING)
POLICY = """\
policy: {name}
title: Buckets carry a tag
owner: platform
severity: high
resource: {{type: AWS::S3::Bucket}}
detect:
  events: {{s3:CreateBucket: event.detail.requestParameters.bucketName}}
  settle: 0s
decide:
  read:
    tagging:
      call: s3:GetBucketTagging
      with: {{Bucket: "${{resource.id}}"}}
      absent: {{NoSuchTagSet: {{TagSet: []}}}}
  violation: "!tagging.TagSet.exists(t, t.Key == 'owner')"
  message: ${{resource.id}} has no owner
act:
  - call: s3:PutBucketTagging
    with:
      Bucket: ${{resource.id}}
      Tagging: {{TagSet: "${{tagging.TagSet + [{{'Key': 'owner', 'Value': 'x'}}]}}"}}
    undo: none
    undo_none: it is a test
guard: {{mode: enforce}}
notify: {notify}
"""


class NotifyCase(CloudCase):
    def setUp(self):
        super().setUp()
        self.slack, self.hook, self.pager = Slack(TOKEN, SIGNING), Hook(), PagerDuty()
        for service in (self.slack, self.hook, self.pager):
            service.start()
            self.addCleanup(service.stop)

    def rectify_telling(self, notify, mode="enforce", channels=None, policy="s3-owner"):
        rectify = self.rectify(env={"TEST_SLACK": TOKEN, "TEST_ROUTING": ROUTING,
                                    "TEST_WHSEC": WHSEC, "TEST_OLD": OLD_WHSEC})
        (rectify.policies / "p.yaml").write_text(POLICY.format(name=policy, notify=notify))
        known = {
            "ops": f"{{kind: slack, to: {Slack.CHANNEL}, url: '{self.slack.url}', internal: true, "
                   "token: {env: TEST_SLACK}, owners: [platform]}",
            "hook": f"{{kind: webhook, to: '{self.hook.url}/in', internal: true, "
                    "secret: {env: TEST_WHSEC}, old_secret: {env: TEST_OLD}}",
            "pager": f"{{kind: pagerduty, url: '{self.pager.url}', internal: true, "
                     "token: {env: TEST_ROUTING}}",
            **(channels or {})}
        text = f"assignments:\n  - {{policies: '*', accounts: '*', mode: {mode}, settle: 0s}}\n"
        text += "channels:\n" + "".join(f"  {k}: {v}\n" for k, v in known.items())
        (rectify.policies / "rectify.yaml").write_text(text)
        self.addCleanup(self.no_canary, rectify)
        return rectify

    def no_canary(self, rectify):
        """No secret stands in anything that rectify wrote or said."""
        for path in rectify.home.rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            for canary in CANARIES:
                self.assertNotIn(canary.encode(), data, path)

    def notices(self, rectify):
        done = rectify.command("notices", "-o", "json")
        self.assertEnded(done)
        for canary in CANARIES:
            self.assertNotIn(canary, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def heal(self, rectify, *buckets):
        approve = []
        for bucket in buckets:
            approve.append(harness.create_bucket(bucket))
        return rectify.run(*approve)


class TestTelling(NotifyCase):
    """A repair without undo asks, so `observed` and `asked` are what comes without a person."""

    def test_each_channel_is_told_what_its_rule_says(self):
        rectify = self.rectify_telling("[{to: owner, on: asked}, {to: hook, on: [asked, healed]}, "
                                       "{to: pager, on: [asked]}, {to: hook, on: [denied]}]")
        bucket = self.bucket()
        self.assertEnded(self.heal(rectify, bucket), harness.EXIT_WAITING)
        message, = self.slack.sent("/chat.postMessage")
        self.assertIn(f"{bucket} has no owner", message.json["text"])
        hook, = self.hook.sent("/in")
        self.assertEqual(hook.json["type"], "rectify.asked")
        self.assertEqual(hook.json["data"]["resource"]["id"], bucket)
        page, = self.pager.sent("/v2/enqueue")
        self.assertEqual((page.json["event_action"], page.json["payload"]["severity"]),
                         ("trigger", "error"))
        self.assertEqual({n["state"] for n in self.notices(rectify)}, {"sent"})

    def test_a_webhook_is_signed_by_both_secrets(self):
        rectify = self.rectify_telling("[{to: hook, on: observed}]", mode="observe")
        self.assertEnded(self.heal(rectify, self.bucket()))
        sent, = self.hook.sent("/in")
        ident, stamp = sent.headers["webhook-id"], sent.headers["webhook-timestamp"]
        self.assertEqual(sent.headers["webhook-signature"].split(" "),
                         [Hook.signature(s, ident, stamp, sent.body) for s in (WHSEC, OLD_WHSEC)])

    def test_the_owner_is_told_when_the_grace_begins(self):
        for mode, told in (("observe", 0), ("enforce", 1)):
            rectify = self.rectify_telling("[]", mode, policy=f"graced-{mode}")
            path = rectify.policies / "p.yaml"
            path.write_text(path.read_text().replace(
                "guard: {mode: enforce}",
                "guard: {mode: enforce, grace: {wait: 7d, notify: owner}}"))
            bucket = self.bucket()
            for _ in range(2):  # the second event does not tell it again
                rectify.run(harness.create_bucket(bucket))
            texts = [json.dumps(m.json) for m in self.slack.sent("/chat.postMessage")
                     if bucket in json.dumps(m.json)]
            self.assertEqual(len(texts), told, mode)
            self.assertTrue(all("grace: its owner has until" in t for t in texts), texts)
            self.assertEqual(self.pager.requests, [])

    def test_a_grace_that_tells_an_unknown_channel_is_a_mistake(self):
        rectify = self.rectify_telling("[]")
        path = rectify.policies / "p.yaml"
        path.write_text(path.read_text().replace(
            "guard: {mode: enforce}", "guard: {mode: enforce, grace: {wait: 7d, notify: opps}}"))
        done = rectify.run(harness.create_bucket(self.bucket()))
        self.assertEnded(done, harness.EXIT_FAILED)
        self.assertIn("names the channel `opps`", done.stderr)

    def test_nobody_is_told_what_no_rule_says(self):
        rectify = self.rectify_telling("[{to: hook, on: healed}]", mode="observe")
        self.assertEnded(self.heal(rectify, self.bucket()))
        self.assertEqual(self.hook.requests, [])

    def test_a_channel_may_want_every_policy(self):
        hook = f"{{kind: webhook, to: '{self.hook.url}/all', internal: true, on: [observed], " \
               "secret: {env: TEST_WHSEC}}"
        rectify = self.rectify_telling("[]", mode="observe", channels={"all": hook})
        self.assertEnded(self.heal(rectify, self.bucket()))
        self.assertEqual(len(self.hook.sent("/all")), 1)

    def test_a_failure_is_tried_again_with_the_same_key(self):
        rectify = self.rectify_telling("[{to: hook, on: observed}]", mode="observe")
        self.hook.script.append((503, {}, {}))
        self.assertEnded(self.heal(rectify, self.bucket()))
        self.assertEqual([n["state"] for n in self.notices(rectify)], ["waits"])
        daemon = Daemon(rectify)
        self.addCleanup(daemon.stop)
        rectify.wait_for(lambda: len(self.hook.requests) == 2)
        first, second = self.hook.requests
        self.assertEqual(first.headers["webhook-id"], second.headers["webhook-id"])
        self.assertEqual(first.json["data"], second.json["data"])

    def test_what_is_refused_for_good_is_given_up_and_shown(self):
        rectify = self.rectify_telling("[{to: hook, on: observed}]", mode="observe")
        self.hook.script.append((410, {}, {}))
        self.assertEnded(self.heal(rectify, self.bucket()))
        notice, = self.notices(rectify)
        self.assertEqual((notice["state"], notice["error"]),
                         ("given up", "webhook answered with status 410"))
        self.assertIn("notice", rectify.command("audit", "show").stdout)

    def test_a_pause_that_slack_asks_for_is_kept(self):
        rectify = self.rectify_telling("[{to: ops, on: observed}]", mode="observe")
        self.slack.script.append((429, {"Retry-After": "3"}, {}))
        self.assertEnded(self.heal(rectify, self.bucket()))
        daemon = Daemon(rectify)
        self.addCleanup(daemon.stop)
        rectify.wait_for(lambda: len(self.slack.requests) == 2)
        self.assertEqual(len(self.slack.messages), 1)
        self.assertGreaterEqual(self.slack.gaps()[0], 3)
        waits = [n for n in self.notices(rectify)]
        self.assertEqual(waits[0]["attempts"], 1)

    def test_many_become_few_messages(self):
        rectify = self.rectify_telling("[{to: ops, on: observed}]", mode="observe")
        buckets = [self.bucket() for _ in range(15)]
        self.assertEnded(self.heal(rectify, *buckets))
        self.assertLessEqual(len(self.slack.requests), 5)
        for gap in self.slack.gaps():  # Slack takes a message a second on a channel
            self.assertGreaterEqual(gap, 0.9)
        told = "\n".join(r.json["text"] for r in self.slack.requests)
        self.assertTrue(all(told.count(f"{b} has no owner") == 1 for b in buckets))

    def test_names_are_text_and_never_markup(self):
        rectify = self.rectify_telling("[{to: ops, on: observed}]", mode="observe")
        text = (rectify.policies / "p.yaml").read_text()
        evil = r'message: "<!here> <https://evil|x>\n*b* @here \u202e` ${resource.id}"'
        (rectify.policies / "p.yaml").write_text(
            text.replace("message: ${resource.id} has no owner", evil))
        self.assertEnded(self.heal(rectify, self.bucket()))
        message = self.slack.requests[0].json
        self.assertIn("&lt;!here&gt;", message["text"])
        self.assertNotIn("<", message["text"])
        self.assertNotIn("\u202e", message["text"])
        self.assertNotIn("\n", message["text"])
        self.assertEqual({b["text"]["type"] for b in message["blocks"]}, {"plain_text"})
        self.assertEqual((message["parse"], message["link_names"]), ("none", False))

    def test_a_private_address_needs_to_be_said(self):
        hook = "{kind: webhook, to: 'https://127.0.0.1:1/in', secret: {env: TEST_WHSEC}}"
        rectify = self.rectify_telling("[{to: inside, on: observed}]", mode="observe",
                                       channels={"inside": hook})
        self.assertEnded(self.heal(rectify, self.bucket()))
        notice, = self.notices(rectify)
        self.assertIn("not a public one", notice["error"])

    def test_a_missing_secret_is_named_and_waits(self):
        hook = f"{{kind: webhook, to: '{self.hook.url}/in', internal: true, secret: " \
               "{file: /nonexistent/s}}"
        rectify = self.rectify_telling("[{to: h, on: observed}]", mode="observe",
                                       channels={"h": hook})
        self.assertEnded(self.heal(rectify, self.bucket()))
        notice, = self.notices(rectify)
        self.assertEqual((notice["state"], self.hook.requests), ("waits", []))
        self.assertIn("/nonexistent/s cannot be read", notice["error"])

    def test_doctor_says_which_channel_cannot_be_used(self):
        rectify = self.rectify_telling("[]", channels={
            "gone": "{kind: sns, to: 'arn:aws:sns:eu-west-1:123456789012:t'}",
            "lost": f"{{kind: webhook, to: '{self.hook.url}', internal: true, "
                    "secret: {env: NOT_THERE}}"})
        lines = {c["detail"]: c["health"] for c in json.loads(
            rectify.command("doctor", "-o", "json").stdout) if c["check"] == "channel"}
        self.assertEqual(lines.get("hook (webhook), people may answer on it"), "ok")
        self.assertEqual(lines.get("lost: the environment has no NOT_THERE"), "fail")
        self.assertEqual([h for d, h in lines.items() if d.startswith("ops")], ["ok"])
        self.slack.token = "xoxb-another"
        done = rectify.command("doctor")
        self.assertIn("ops: Slack refuses auth.test: invalid_auth", done.stdout)
        self.assertNotIn(TOKEN, done.stdout + done.stderr)


if __name__ == "__main__":
    harness.main()
