#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sources of events: an SQS queue that is polled (moto's SQS behind a proxy that misbehaves), what
its messages may hold, whom a source may speak for, silence, and how it all ends."""
import json
import re
import signal
import subprocess
import time
import unittest
import uuid

import harness
from harness import CloudCase, Daemon, EXIT_FAILED, EXIT_USAGE

OWN = '"' + harness.ACCOUNT + '"'
LATER = '{policies: ["*"], accounts: "*", mode: enforce, settle: 1h}'
NOW = '{policies: ["*"], accounts: "*", mode: enforce, settle: 0s}'
OBSERVE = '{policies: ["*"], accounts: "*", mode: observe, settle: 0s}'


def is_call(operation):
    return lambda seen: seen.operation == operation


class QueueCase(CloudCase):
    def setUp(self):
        super().setUp()
        self.sqs = self.moto.client("sqs")
        self.queue = self.new_queue()

    def new_queue(self):
        return self.sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:12]}")["QueueUrl"]

    def send(self, *bodies, queue=None):
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.sqs.send_message(QueueUrl=queue or self.queue, MessageBody=text)

    def left(self, queue=None):
        """(messages that wait, messages that somebody holds)"""
        got = self.sqs.get_queue_attributes(QueueUrl=queue or self.queue, AttributeNames=["All"])
        attributes = got["Attributes"]
        return (int(attributes["ApproximateNumberOfMessages"]),
                int(attributes["ApproximateNumberOfMessagesNotVisible"]))

    def home_of(self, *sources, assignments=NOW, name="", env=None):
        """A rectify whose rectify.yaml lists these sources."""
        rectify = self.rectify("s3", name=name, env=env)
        text = f"assignments:\n  - {assignments}\n"
        text += "sources:\n" + "".join(f"  - {s}\n" for s in sources) if sources else ""
        (rectify.policies / "rectify.yaml").write_text(text)
        return rectify

    def source(self, more="", queue=None, accounts=f"[{OWN}]"):
        return f"{{type: sqs, queue: '{queue or self.queue}', accounts: {accounts}{more}}}"

    def daemon(self, rectify, *options):
        daemon = Daemon(rectify, *options)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon

    def sources(self, daemon):
        return {s["name"]: s for s in daemon.ask("GET", "/sources", unix=True)[1]["sources"]}

    def set_aside(self, rectify):
        return [r["body"] for r in self.records(rectify, "quarantined")]

    def records(self, rectify, kind):
        shown = rectify.command("audit", "show").stdout.splitlines()
        return [r for r in map(json.loads, shown) if r["kind"] == kind]

    def healed(self, daemon, bucket):
        return daemon.rectify.wait_for(
            lambda: [r["state"] for r in daemon.rectify.of(bucket)] == ["healed"])


class TestQueue(QueueCase):
    def test_an_event_in_the_queue_heals_a_bucket(self):
        bucket = self.bucket({"keep": "me"})
        daemon = self.daemon(self.home_of(self.source()))
        self.send(harness.envelope(harness.create_bucket(bucket)))
        self.assertTrue(self.healed(daemon, bucket), daemon.text())
        self.assertEqual(self.tags(bucket), {"keep": "me", "cost-center": "unassigned"})
        self.assertTrue(daemon.rectify.wait_for(lambda: self.left() == (0, 0)), self.left())
        seen = self.sources(daemon)["sqs"]
        self.assertEqual((seen["state"], seen["events"], seen["matches"]), ("heard", 1, 1))
        polls = [json.loads(s.body) for s in self.proxy.seen if s.operation == "ReceiveMessage"]
        self.assertEqual({(p["MaxNumberOfMessages"], p["WaitTimeSeconds"]) for p in polls},
                         {(10, 20)})

    def test_it_ends_within_seconds_though_a_poll_takes_twenty(self):
        daemon = self.daemon(self.home_of(self.source()))
        self.assertTrue(daemon.rectify.wait_for(lambda: any(
            s.operation == "ReceiveMessage" for s in self.proxy.seen)))
        time.sleep(0.3)
        before = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - before, 5 * harness.rectify.SLOWER)

    def test_every_form_of_a_message(self):
        rectify = self.home_of(assignments=OBSERVE)
        records = [harness.create_bucket(f"form-{i}") for i in range(6)]
        sns = {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:x:1:t",
               "Message": json.dumps(harness.envelope(records[2]))}
        self.send(records[0], harness.envelope(records[1]), sns, {"Records": records[3:5]},
                  {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
                  json.dumps(records[5]) + "\n" + json.dumps(records[0]))
        done = rectify.command("run", "--policies", rectify.policies, "--events", self.queue)
        self.assertEnded(done)
        self.assertIn("7 events, 7 matches, 1 redelivered, 0 set aside", done.stderr)
        self.assertEqual(sorted(r["resource"].rsplit("/", 1)[1] for r in rectify.list()),
                         [f"form-{i}" for i in range(6)])
        self.assertEqual(self.left(), (0, 0))

    def test_run_works_a_queue_off_and_ends(self):
        buckets = [self.bucket() for _ in range(12)]
        rectify = self.home_of()
        self.send(*[harness.create_bucket(b) for b in buckets])
        done = rectify.command("run", "--policies", rectify.policies, "--events", self.queue)
        self.assertEnded(done)
        self.assertEqual([self.tags(b) for b in buckets], [{"cost-center": "unassigned"}] * 12)
        self.assertEqual(self.left(), (0, 0))

    def test_queues_by_option(self):
        second = self.new_queue()
        daemon = self.daemon(self.home_of(assignments=LATER), "--queue",
                             f"{self.queue},{second}", "--accounts", harness.ACCOUNT)
        self.send(harness.create_bucket("one"))
        self.send(harness.create_bucket("two"), queue=second)
        self.send(harness.create_bucket("three", account="999999999999"), queue=second)
        self.assertTrue(daemon.rectify.wait_for(lambda: len(daemon.rectify.list()) == 2))
        self.assertTrue(daemon.rectify.wait_for(lambda: self.sources(daemon)["queue-2"]["events"]
                                                == 2))
        self.assertEqual([(a["code"], a["source"]) for a in self.set_aside(daemon.rectify)],
                         [("T0007", "queue-2")])

    def test_what_is_no_queue(self):
        rectify = self.home_of()
        for url in ("https://sqs.eu-west-1.amazonaws.com/name", "ftp://x/111122223333/q"):
            done = rectify.command("run", "--policies", rectify.policies, "--queue", url)
            self.assertEnded(done, EXIT_FAILED)
            self.assertIn("P0163", done.stderr)
        done = rectify.command("run", "--policies", rectify.policies, "--events", "-", "--queue",
                               self.queue)
        self.assertEnded(done, EXIT_USAGE)

    def test_nothing_is_deleted_that_is_not_durable(self):
        """kill -9 at the commit: the message is there, and the next process has the event."""
        bucket = self.bucket()
        env = {"RECTIFY_VISIBLE_MS": "1000"}
        rectify = self.home_of(self.source(), env=env)
        self.proxy.rule(is_call("DeleteMessageBatch"), cut="before")
        daemon = self.daemon(rectify)
        self.send(harness.create_bucket(bucket))
        self.assertTrue(self.healed(daemon, bucket))
        daemon.stop(signal.SIGKILL)
        self.assertEqual(sum(self.left()), 1)
        self.proxy.clear()
        again = self.daemon(rectify)
        self.assertTrue(rectify.wait_for(lambda: self.left() == (0, 0)), again.text())
        self.assertGreaterEqual(self.sources(again)["sqs"]["duplicates"], 1)
        self.assertEqual(len(rectify.of(bucket)), 1)
        self.assertEqual(len(self.proxy.changes("/" + bucket + "?")), 0)


class TestTrouble(QueueCase):
    """What a queue, or the way to it, may do."""

    def test_what_can_never_be_used_is_set_aside_with_its_reason(self):
        rectify = self.home_of(self.source(), assignments=LATER)
        daemon = self.daemon(rectify)
        self.send("no json at all", {"hello": "world"}, '{"a": 1, "a": 2}',
                  harness.create_bucket("foreign", account="999999999999"),
                  harness.create_bucket("good"))
        self.assertTrue(rectify.wait_for(lambda: self.left() == (0, 0)), daemon.text())
        aside = self.set_aside(rectify)
        self.assertEqual(len(aside), 4)
        self.assertEqual({a["source"] for a in aside}, {"sqs"})
        self.assertEqual([r["resource"].rsplit("/", 1)[1] for r in rectify.list()], ["good"])

    def test_a_delete_that_fails_in_part_is_repeated_for_that_part(self):
        rectify = self.home_of(assignments=OBSERVE)
        failed = json.dumps({"Successful": [{"Id": "0"}], "Failed": [
            {"Id": "1", "SenderFault": False, "Code": "InternalError"}]})
        rule = self.proxy.rule(is_call("DeleteMessageBatch"), times=1, answer=(200, failed))
        self.send(harness.create_bucket("a"), harness.create_bucket("b"))
        done = rectify.command("run", "--policies", rectify.policies, "--events", self.queue)
        self.assertEnded(done)
        deletes = [json.loads(s.body)["Entries"] for s in self.proxy.seen
                   if s.operation == "DeleteMessageBatch"]
        self.assertEqual(rule.times, 0)
        self.assertEqual([len(d) for d in deletes], [2, 1])
        self.assertEqual(deletes[1][0]["ReceiptHandle"], deletes[0][1]["ReceiptHandle"])

    def test_throttled_gone_denied_and_5xx_are_waited_out(self):
        for status, code in ((400, "RequestThrottled"), (400, "AccessDeniedException"),
                             (400, "ExpiredTokenException"), (500, "InternalError"),
                             (400, "com.amazonaws.sqs#QueueDoesNotExist")):
            with self.subTest(code=code):
                self.proxy.clear()
                self.queue = self.new_queue()
                rectify = self.home_of(self.source(), assignments=LATER, name=code[:14])
                body = json.dumps({"__type": code, "message": "injected"})
                self.proxy.rule(is_call("ReceiveMessage"), times=4, answer=(status, body))
                daemon = self.daemon(rectify)
                self.assertTrue(rectify.wait_for(
                    lambda: self.sources(daemon)["sqs"]["state"] == "failing"), daemon.text())
                self.assertIn(code.split("#")[-1], self.sources(daemon)["sqs"]["reason"])
                self.send(harness.create_bucket("late"))
                self.assertTrue(rectify.wait_for(lambda: len(rectify.list()) == 1), daemon.text())
                self.assertTrue(rectify.wait_for(
                    lambda: self.sources(daemon)["sqs"]["state"] == "heard"), daemon.text())
                self.assertEqual(daemon.stop(), 0)

    def test_a_failing_queue_is_not_hammered(self):
        rectify = self.home_of(self.source())
        self.proxy.rule(is_call("ReceiveMessage"), answer=(500, "{}"))
        self.daemon(rectify)
        time.sleep(3)
        self.assertLess(len(self.proxy.seen), 4 * 5)
        self.assertGreaterEqual(len(self.proxy.seen), 4)

    def test_duplicates_and_any_order_are_one_repair_each(self):
        buckets = [self.bucket() for _ in range(4)]
        records = [harness.create_bucket(b) for b in buckets]
        rectify = self.home_of(self.source())
        self.send(*(records[::-1] + records + records[::2]))
        daemon = self.daemon(rectify)
        self.assertTrue(rectify.wait_for(lambda: self.left() == (0, 0)), daemon.text())
        for bucket in buckets:
            self.assertTrue(self.healed(daemon, bucket))
            self.assertEqual(len(self.proxy.changes("/" + bucket + "?")), 1)
        self.assertEqual(self.sources(daemon)["sqs"]["duplicates"], 6)

    def test_what_takes_long_stays_ours(self):
        """A file that takes three times as long as a message is hidden: nobody else gets it."""
        self.moto.client("s3").create_bucket(Bucket="slow-trail")
        rectify = self.home_of(self.source(", buckets: [slow-trail], digests: ignored"),
                               assignments=LATER, env={"RECTIFY_VISIBLE_MS": "4000"})
        self.moto.client("s3").put_object(Bucket="slow-trail", Key="a.json", Body=json.dumps(
            harness.create_bucket("from-a-file")))
        self.proxy.rule(lambda s: s.path.startswith("/slow-trail/a.json"), delay_s=12)
        self.send({"s3Bucket": "slow-trail", "s3ObjectKey": ["a.json"]})
        daemon = self.daemon(rectify)
        self.assertTrue(rectify.wait_for(lambda: len(rectify.list()) == 1), daemon.text())
        self.assertTrue(rectify.wait_for(lambda: self.left() == (0, 0)), daemon.text())
        fetched = [s for s in self.proxy.seen if s.path.startswith("/slow-trail/a.json")]
        extended = [s for s in self.proxy.seen if s.operation == "ChangeMessageVisibilityBatch"]
        self.assertEqual(len(fetched), 1)
        self.assertGreaterEqual(len(extended), 2)

    def test_what_fails_by_itself_is_set_aside_at_the_fifth_time(self):
        self.moto.client("s3").create_bucket(Bucket="a-trail")
        rectify = self.home_of(self.source(", buckets: [a-trail], digests: ignored"),
                               assignments=LATER, env={"RECTIFY_VISIBLE_MS": "1000"})
        self.send({"s3Bucket": "a-trail", "s3ObjectKey": ["missing.json"]},
                  harness.create_bucket("the-rest-flows"))
        daemon = self.daemon(rectify)
        self.assertTrue(rectify.wait_for(lambda: self.set_aside(rectify)), daemon.text())
        self.assertEqual([a["code"] for a in self.set_aside(rectify)], ["T0012"])
        self.assertTrue(rectify.wait_for(lambda: self.left() == (0, 0)))
        tries = [s for s in self.proxy.seen if s.path.startswith("/a-trail/missing.json")]
        self.assertEqual(len(tries), 5)
        self.assertEqual(len(rectify.list()), 1)


class TestScope(QueueCase):
    def test_each_source_speaks_for_its_accounts_and_regions(self):
        second = self.new_queue()
        rectify = self.home_of(
            "{name: east, " + self.source(", regions: [us-east-1]")[1:],
            "{name: west, " + self.source(", regions: [us-west-2]", second, '["111122223333"]')[1:],
            "{type: http, accounts: ['444455556666']}", assignments=LATER)
        daemon = self.daemon(rectify)
        self.send(harness.create_bucket("good-east"),
                  harness.create_bucket("bad-region", region="us-west-2"))
        self.send(harness.create_bucket("good-west", account="111122223333", region="us-west-2"),
                  harness.create_bucket("bad-account", region="us-west-2"), queue=second)
        status, answer, _ = daemon.ask("POST", "/events", harness.create_bucket("bad-http"))
        self.assertEqual((status, answer["error"]["code"]), (400, "T0007"))
        good = harness.create_bucket("good-http", account="444455556666")
        self.assertEqual(daemon.ask("POST", "/events", good)[0], 202)
        self.assertTrue(rectify.wait_for(lambda: len(rectify.list()) == 3), daemon.text())
        self.assertTrue(rectify.wait_for(lambda: self.left() == (0, 0) == self.left(second)))
        self.assertEqual(sorted(r["resource"].rsplit("/", 1)[1] for r in rectify.list()),
                         ["good-east", "good-http", "good-west"])
        self.assertEqual(sorted((a["code"], a["source"]) for a in self.set_aside(rectify)),
                         [("T0007", "east"), ("T0007", "http"), ("T0007", "west")])

    def test_mistakes_are_told_with_their_place(self):
        for text, code in (("{type: sqs, queue: 'http://x/1', accounts: '*'}", "P0163"),
                           ("{type: sqs, accounts: '*'}", "P0163"),
                           (f"{{type: sqs, queue: '{self.queue}'}}", "P0161"),
                           ("{type: http, accounts: '*', buckets: [b]}", "P0162"),
                           ("{type: http, accounts: [12]}", "P0160"),
                           ("{type: kafka, accounts: '*'}", "P0108"),
                           ("{type: http, acounts: '*'}", "P0107"),
                           ("{type: http, accounts: '*', expect: soon}", "P0108")):
            with self.subTest(text=text):
                rectify = self.home_of(text, name=code)
                done = subprocess.run([rectify.binary, "validate", "--policies", rectify.policies],
                                      capture_output=True, text=True, check=False)
                self.assertEnded(done, EXIT_FAILED)
                self.assertIn(code, done.stderr)
                self.assertIn("rectify.yaml:4:", done.stderr)


class TestSilence(QueueCase):
    def test_silence_is_told_once_and_its_end_too(self):
        rectify = self.home_of(self.source(", expect: 2s"), "{type: http, accounts: '*'}",
                               assignments=LATER)
        daemon = self.daemon(rectify)
        self.send(harness.create_bucket("first"))
        self.assertTrue(rectify.wait_for(lambda: self.sources(daemon)["sqs"]["state"] == "heard"))
        self.assertTrue(rectify.wait_for(lambda: self.sources(daemon)["sqs"]["state"] == "silent"))
        time.sleep(3)
        self.assertEqual(len(re.findall("source sqs is silent", daemon.text())), 1)
        doctor = rectify.command("doctor", "--policies", rectify.policies)
        self.assertRegex(doctor.stdout, r"warn +source sqs +silent")
        self.assertRegex(doctor.stdout, r"ok +queue sqs +0 messages wait")
        self.send(harness.create_bucket("second"))
        self.assertTrue(rectify.wait_for(lambda: self.sources(daemon)["sqs"]["state"] == "heard"))
        self.assertIn("source sqs is heard again", daemon.text())
        self.assertEqual(len(self.records(rectify, "source silent")), 1)
        self.assertEqual(len(self.records(rectify, "source heard again")), 1)
        self.assertEqual(self.sources(daemon)["http"]["state"], "waiting")


if __name__ == "__main__":
    harness.main()
