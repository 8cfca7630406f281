#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify as a Lambda function, behind a stub of the runtime API: what each kind of invocation
does, what is answered, and what happens when the API, the store or the time fails."""
import base64
import json
import time

import harness
from harness import CloudCase
from harness.people import Hook
from harness.runtime import Function, RuntimeApi, sqs_batch, tick

TAGGED = {"owner": "alice", "cost-center": "unassigned"}


class LambdaCase(CloudCase):
    def setUp(self):
        super().setUp()
        self.api = RuntimeApi().start()
        self.addCleanup(self.api.stop)
        self.home_of = self.rectify("s3")

    def function(self, env=None, **options):
        function = Function(self.api, self.home_of, env, **options)
        self.addCleanup(function.stop)
        return function

    def states(self, bucket):
        """Asked of the store while the function waits for its next invocation: nothing is held."""
        return [r["state"] for r in self.home_of.of(bucket)]


class TestInvocations(LambdaCase):
    def test_an_event_is_worked_to_its_end_before_it_is_answered(self):
        bucket = self.bucket({"owner": "alice"})
        self.function()
        given = self.api.give(harness.envelope(harness.create_bucket(bucket)))
        answer = self.api.answer(given)
        self.assertEqual(self.tags(bucket), TAGGED)
        self.assertEqual(answer["taken"], {"events": 1, "matches": 1, "redelivered": 0,
                                           "setAside": 0})
        self.assertEqual(answer["steps"], 1)
        self.assertEqual(self.states(bucket), ["healed"])
        self.assertEnded(self.home_of.command("audit", "verify"))

    def test_a_redelivered_event_changes_nothing(self):
        bucket = self.bucket({"owner": "alice"})
        self.function()
        given = self.api.give(harness.envelope(harness.create_bucket(bucket)))
        self.api.answer(given)
        again = self.api.again(given)
        self.assertEqual(self.api.answer(again)["taken"]["redelivered"], 1)
        self.assertEqual(len(self.proxy.changes(bucket)), 1)
        self.assertEqual(self.states(bucket), ["healed"])

    def test_its_log_is_json_where_lambda_wants_it_so(self):
        function = self.function({"AWS_LAMBDA_LOG_FORMAT": "JSON"})
        given = self.api.give(sqs_batch('a "quoted\\" \u00e4 one\n', '{"detail": {}}'))
        self.api.answer(given)
        lines = [json.loads(line) for line in function.text().splitlines()]
        lines = [line for line in lines if "requestId" in line]  # those of the start have none
        self.assertEqual({(e["level"], e["requestId"]) for e in lines}, {("WARN", given.ident)})
        self.assertGreater(len(lines), 1)
        self.assertTrue(all("set aside" in e["message"] and e["timestamp"] for e in lines))

    def test_a_batch_names_nothing_when_all_is_durable_poison_included(self):
        buckets = [self.bucket({"n": str(i)}) for i in range(3)]
        events = [harness.envelope(harness.create_bucket(b)) for b in buckets]
        self.function()
        given = self.api.give(sqs_batch(events[0], '{"detail": "cut of', events[1],
                                        "not an event", events[2]))
        answer = self.api.answer(given)
        self.assertEqual(answer["batchItemFailures"], [])
        self.assertEqual(answer["taken"]["matches"], 3)
        self.assertEqual(answer["taken"]["setAside"], 2)
        for i, bucket in enumerate(buckets):
            self.assertEqual(self.tags(bucket), {"n": str(i), "cost-center": "unassigned"})
        records = self.home_of.command("audit", "show").stdout
        self.assertEqual(records.count('"kind":"quarantined"'), 2)

    def test_a_tick_wakes_what_is_due(self):
        bucket = self.bucket({"owner": "alice"})
        self.home_of.assign(['{policies: ["*"], accounts: "*", mode: enforce, settle: 3s}'])
        self.function()
        answer = self.api.answer(self.api.give(
            harness.envelope(harness.create_bucket(bucket))))
        self.assertEqual(answer["steps"], 0)
        self.assertEqual(self.states(bucket), ["received"])
        time.sleep(3)
        for source in ("aws.events", "aws.scheduler"):
            answer = self.api.answer(self.api.give(tick(source)))
            self.assertNotIn("taken", answer)
        self.assertEqual(self.tags(bucket), TAGGED)
        self.assertEqual(self.states(bucket), ["healed"])

    def test_a_file_of_records_of_six_mebibytes(self):
        bucket = self.bucket({"owner": "alice"})
        other = harness.event("ec2.amazonaws.com", "RunInstances", {"x": "y" * 1000})
        records = [other] * (6 * 1024 * 1024 // len(json.dumps(other)) - 4)
        body = json.dumps({"Records": [*records, harness.create_bucket(bucket)]}).encode()
        self.assertGreater(len(body), 6 * 1024 * 1024 - 16384)
        self.function()
        answer = self.api.answer(self.api.give(body), within_s=60)
        self.assertEqual(answer["taken"]["events"], len(records) + 1)
        self.assertEqual(self.tags(bucket), TAGGED)

    def test_what_is_no_event_is_set_aside_and_answered(self):
        self.function()
        for body in (b"", b"{", b"[]", b"null", b'{"key1": "value1"}', b"\xff\xfe",
                     b'{"Records": [{"eventSource": "aws:sqs", "messageId": 1, "body": {}}]}',
                     b'{"a":' * 200, b'"' + b"x" * (6 << 20) + b'"'):
            answer = self.api.answer(self.api.give(body))
            self.assertEqual(answer["taken"]["matches"], 0, body[:80])
            self.assertNotIn("batchItemFailures", answer)
        self.assertEnded(self.home_of.command("audit", "verify"))

    def test_calls_carry_the_trace_id_of_their_invocation(self):
        self.function({"AWS_LAMBDA_FUNCTION_NAME": "rectify"})
        roots = [f"Root=1-00000000-{i:024x};Parent=1;Sampled=1" for i in range(2)]
        for trace in (*roots, None, "x" * 513, "a b"):
            bucket = self.bucket()
            self.api.answer(self.api.give(harness.envelope(harness.create_bucket(bucket)),
                                          headers={"Lambda-Runtime-Trace-Id": trace}))
            calls = [s for s in self.proxy.seen if bucket in s.path]
            self.assertGreater(len(calls), 1)
            self.assertEqual({s.headers.get("x-amzn-trace-id") for s in calls},
                             {trace if trace in roots else None})

    def test_the_environment_stops_all_changes(self):
        bucket = self.bucket({"owner": "alice"})
        self.function({"RECTIFY_STOP": "1"})
        answer = self.api.answer(self.api.give(harness.envelope(harness.create_bucket(bucket))))
        self.assertEqual(answer["taken"]["matches"], 1)
        self.assertEqual(self.states(bucket), ["held"])
        self.assertEqual(self.proxy.changes(bucket), [])


    def test_people_are_told_before_it_is_answered(self):
        hook = Hook()
        hook.start()
        self.addCleanup(hook.stop)
        policy = self.home_of.policies / "s3-cost-center-tag.yaml"
        policy.write_text(policy.read_text() + "\nnotify: [{to: hook, on: healed}]\n")
        with open(self.home_of.policies / "rectify.yaml", "a", encoding="utf-8") as config:
            config.write(f"channels: {{hook: {{kind: webhook, to: '{hook.url}/in', internal: true, "
                         "secret: {env: TEST_WHSEC}}}\n")
        hook.script.append((503, {}, {}))
        self.function({"TEST_WHSEC": "whsec_" + base64.b64encode(b"k" * 32).decode()})
        bucket = self.bucket()
        self.api.answer(self.api.give(harness.envelope(harness.create_bucket(bucket))))
        self.assertEqual(len(hook.sent("/in")), 1)  # refused
        for _ in range(10):
            self.api.answer(self.api.give(tick()))
            if len(hook.sent("/in")) > 1:
                break
            time.sleep(0.5)
        first, second = hook.sent("/in")
        self.assertEqual(second.json["data"]["resource"]["id"], bucket)
        self.assertEqual(first.headers["webhook-id"], second.headers["webhook-id"])


class TestTime(LambdaCase):
    def events(self, count):
        buckets = [self.bucket() for _ in range(count)]
        return buckets, sqs_batch(*(harness.envelope(harness.create_bucket(b)) for b in buckets))

    def all_end(self, buckets, within=20):
        for _ in range(within):
            if all(self.states(b) == ["healed"] for b in buckets):
                break
            self.api.answer(self.api.give(tick()))
        for bucket in buckets:
            self.assertEqual(self.states(bucket), ["healed"])
            self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})

    def test_what_is_left_when_the_time_is_nearly_over_stays_due(self):
        self.proxy.rule(delay_s=0.3)
        buckets, batch = self.events(10)
        self.function()
        start = time.monotonic()
        answer = self.api.answer(self.api.give(batch, left_s=4))
        self.assertLess(time.monotonic() - start, 4)
        self.assertEqual(answer["batchItemFailures"], [])
        self.assertLess(answer["steps"], 10)
        left = [b for b in buckets if self.states(b) == ["received"]]
        self.assertGreater(len(left), 0)
        self.proxy.rules.clear()
        self.all_end(buckets)

    def test_a_call_that_hangs_does_not_outlive_the_invocation(self):
        buckets, batch = self.events(1)
        self.proxy.rule(lambda seen: seen.changes, times=1, delay_s=8)
        self.function()
        start = time.monotonic()
        self.api.answer(self.api.give(batch, left_s=5))
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(self.states(buckets[0]), ["unknown"])
        time.sleep(4)  # the call that hung is carried out after all
        self.all_end(buckets)

    def test_an_invocation_that_is_late_already_is_taken_and_left_due(self):
        for headers in ({"Lambda-Runtime-Deadline-Ms": "1"}, {"Lambda-Runtime-Deadline-Ms": None},
                        {"Lambda-Runtime-Deadline-Ms": "soon"},
                        {"Lambda-Runtime-Deadline-Ms": "-9223372036854775808"},
                        {"Lambda-Runtime-Deadline-Ms": "9223372036854775807"}):
            with self.subTest(headers=headers):
                buckets, batch = self.events(1)
                function = self.function()
                answer = self.api.answer(self.api.give(batch, headers=headers))
                self.assertEqual(answer["taken"]["matches"], 1)
                self.all_end(buckets)
                function.stop()


def is_list(seen):
    return seen.method == "GET" and seen.path.split("?")[0] == "/"


class TestScans(LambdaCase):
    """Buckets that no event tells of are found by the scans that ticks do."""

    def setUp(self):
        super().setUp()
        for bucket in self.moto.client("s3").list_buckets()["Buckets"]:
            self.moto.client("s3").delete_bucket(Bucket=bucket["Name"])
        policy = self.home_of.policies / "s3-cost-center-tag.yaml"
        text = policy.read_text()
        self.assertIn("every: 12h", text)
        policy.write_text(text.replace("every: 12h", "every: 2s"))

    def lists(self):
        return [s for s in self.proxy.seen if is_list(s)]

    def tick_that_scans(self):
        for _ in range(20):
            answer = self.api.answer(self.api.give(tick()))
            if answer["scans"]:
                return answer
            time.sleep(0.5)
        raise AssertionError(answer)

    def test_a_tick_scans_and_heals_what_no_event_told_of(self):
        bucket = self.bucket({"owner": "alice"})
        self.function()
        answer = self.tick_that_scans()
        self.assertEqual(answer["steps"], 1)  # found and healed by the same tick
        self.assertEqual(self.tags(bucket), TAGGED)
        self.assertEqual(self.states(bucket), ["healed"])
        self.tick_that_scans()  # again, an interval later
        self.assertEqual(len(self.proxy.changes(bucket)), 1)
        event = self.api.give(harness.envelope(harness.create_bucket(self.bucket())))
        self.assertNotIn("scans", self.api.answer(event))
        self.assertEnded(self.home_of.command("audit", "verify"))

    def test_a_scan_that_the_time_does_not_suffice_for_stays_due(self):
        bucket = self.bucket({"owner": "alice"})
        self.function()
        answer = self.api.answer(self.api.give(tick()))  # plans it
        self.assertEqual(answer["scans"], 0)
        time.sleep(2)
        for _ in range(2):
            self.assertEqual(self.api.answer(self.api.give(tick(), left_s=2))["scans"], 0)
        self.assertEqual(self.lists(), [])
        self.assertEqual(self.api.answer(self.api.give(tick()))["scans"], 1)
        self.assertEqual(len(self.lists()), 1)
        self.assertEqual(self.tags(bucket), TAGGED)

    def test_a_list_that_the_time_cuts_off_starts_nothing_and_begins_anew(self):
        policy = self.home_of.policies / "s3-cost-center-tag.yaml"
        policy.write_text(policy.read_text().replace("every: 2s", "every: 4s"))
        bucket = self.bucket({"owner": "alice"})
        function = self.function()
        self.assertEqual(self.api.answer(self.api.give(tick()))["scans"], 0)
        time.sleep(4)
        self.proxy.rule(is_list, times=1, delay_s=8)
        start = time.monotonic()
        answer = self.api.answer(self.api.give(tick(), left_s=5))
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual((answer["scans"], answer["steps"]), (1, 0))
        self.assertIn("begins anew", function.text())
        self.assertEqual(self.states(bucket), [])
        answer = self.api.answer(self.api.give(tick()))  # at once, not an interval later
        self.assertEqual((answer["scans"], answer["steps"]), (1, 1))
        self.assertEqual(self.tags(bucket), TAGGED)


class TestRuntimeApi(LambdaCase):
    """What the API does wrong; whatever it is, the event is healed once in the end."""

    def serves(self, bucket, given):
        answer = self.api.answer(given)
        self.assertEqual(self.tags(bucket), TAGGED)
        self.assertEqual(len(self.proxy.changes(bucket)), 1)
        return answer

    def event(self):
        bucket = self.bucket({"owner": "alice"})
        return bucket, harness.envelope(harness.create_bucket(bucket))

    def test_an_answer_is_given_again_when_its_connection_is_cut(self):
        for cut in ("before", "after"):
            with self.subTest(cut=cut):
                bucket, event = self.event()
                function = self.function()
                self.api.rule("/response", cut=cut)
                given = self.api.give(event)
                self.serves(bucket, given)
                self.api.answer(self.api.give(tick()))  # it goes on
                self.assertEqual(self.api.asked.count(f"invocation/{given.ident}/response"), 2)
                self.assertEqual(len(given.answers), 1)
                function.stop()

    def test_every_success_is_one(self):
        function = self.function()
        for status in (200, 202, 204):
            bucket, event = self.event()
            given = self.api.give(event)
            self.api.rule("/response", status=status)
            self.api.wait(lambda g=given: f"invocation/{g.ident}/response" in self.api.asked)
            self.api.answer(self.api.give(tick()))
            self.assertEqual(self.tags(bucket), TAGGED)
        self.assertIsNone(function.process.poll())

    def test_a_refused_answer_does_not_end_it(self):
        bucket, event = self.event()
        function = self.function()
        self.api.rule("/response", status=403)
        given = self.api.give(event)
        self.api.wait(lambda: f"invocation/{given.ident}/response" in self.api.asked)
        self.serves(bucket, self.api.again(given))
        self.assertIn("answered 403", function.text())

    def test_an_answer_that_is_too_large_becomes_an_error(self):
        self.function()
        self.api.rule("/response", status=413)
        kind, body = self.api.error(self.api.give(tick()))
        self.assertEqual(kind, "Function.AnswerTooLarge")
        self.assertEqual(body["errorType"], "B0005")
        self.api.answer(self.api.give(tick()))

    def ends(self, **rule):
        """With the API so broken, rectify ends and says why; a new one takes up the work."""
        bucket, event = self.event()
        self.api.rule(**rule)
        function = self.function()
        given = self.api.give(event)
        self.assertEqual(function.ended(), 1, rule)
        self.assertIn("error[B000", function.text())
        self.api.rules.clear()
        second = self.function()
        if not given.answers:
            given = self.api.again(given)
        self.serves(bucket, given)
        self.assertEqual(self.states(bucket), ["healed"])
        second.stop()

    def test_it_ends_when_the_api_is_beyond_use(self):
        for path in ("invocation/next", "/response"):
            self.ends(path=path, status=500)
            self.ends(path=path, times=-1, cut="before")
            self.ends(path=path, times=-1, raw=b"SSH-2.0-hello\r\n")
            self.ends(path=path, times=-1, raw=b"HTTP/1.1 999999 x\r\n\r\n")
        self.ends(path="invocation/next", status=403)
        self.ends(path="invocation/next", status=200)  # without an id
        self.ends(path="invocation/next", times=-1,
                  raw=b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: ../../x\r\n"
                      b"Content-Length: 2\r\n\r\n{}")

    def test_it_ends_when_the_api_is_gone(self):
        function = self.function()
        self.api.wait(lambda: self.api.waiting)
        self.api.stop()
        self.assertEqual(function.ended(), 1)
        self.assertIn("error[B0001]", function.text())

    def test_a_slow_api(self):
        bucket, event = self.event()
        self.function()
        self.api.rule("invocation/next", delay_s=2)
        self.api.rule("/response", delay_s=2)
        self.serves(bucket, self.api.give(event))

    def test_no_proxy_is_asked(self):
        bucket, event = self.event()
        self.function({"http_proxy": "http://127.0.0.1:9", "no_proxy": "nothing",
                       "AWS_ENDPOINT_URL": self.proxy.endpoint, "all_proxy": ""})
        given = self.api.give(event)
        self.assertEqual(self.api.answer(given)["taken"]["matches"], 1)
        self.assertEqual(self.states(bucket), ["unread"])  # AWS is asked through it


class TestStart(LambdaCase):
    def cannot(self, env, **options):
        function = self.function(env, **options)
        self.assertEqual(function.ended(), 1)
        (kind, body), = self.api.init_errors
        self.api.init_errors.clear()
        self.assertEqual(kind, "Runtime.CannotStart")
        self.assertEqual(body["stackTrace"], [])
        self.assertNotIn("invocation/next", self.api.asked)
        return body

    def test_what_keeps_it_from_starting_is_told(self):
        self.assertEqual(self.cannot({"RECTIFY_MODELS": "/nowhere"})["errorType"][0], "A")
        body = self.cannot({"RECTIFY_STORE": ""})
        self.assertEqual(body["errorType"], "L0016")
        self.assertIn("RECTIFY_STORE", body["errorMessage"])
        (self.home_of.policies / "broken.yaml").write_text("policy: x\nnothing: else\n")
        self.assertEqual(self.cannot({})["errorType"], "L0017")
        self.assertIn("broken.yaml", (self.home_of.home / "function.log").read_text())

    def test_it_ends_although_the_api_does_not_hear_it(self):
        self.api.rule("init/error", times=-1, status=500)
        self.assertEqual(self.function({"RECTIFY_STORE": ""}).ended(), 1)
        self.api.rule("init/error", times=-1, cut="before")
        self.assertEqual(self.function({"RECTIFY_STORE": ""}).ended(), 1)

    def test_a_store_that_cannot_be_opened_is_an_error_of_the_invocation(self):
        bucket = self.bucket({"owner": "alice"})
        folder = self.home / "mounted"
        function = self.function(store=str(folder / "rectify.db"))
        event = harness.envelope(harness.create_bucket(bucket))
        for given in (event, sqs_batch(event), tick()):
            kind, body = self.api.error(self.api.give(given))
            self.assertEqual(kind, "Function.NotDurable")
            self.assertEqual(body["errorType"], "S0002")
        self.assertEqual(self.proxy.changes(bucket), [])
        folder.mkdir()
        self.api.answer(self.api.give(event))
        self.assertEqual(self.tags(bucket), TAGGED)
        self.assertIsNone(function.process.poll())


if __name__ == "__main__":
    harness.main()
