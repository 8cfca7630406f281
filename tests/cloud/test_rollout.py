#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A rollout of a policy step by step, and what watches its health: an alarm of CloudWatch, a query
of Prometheus. Only what is well leads on; what is not, or cannot be read, pauses the policy."""
import itertools
import json
import signal

import harness
from harness import ACCOUNT, CloudCase, Daemon, OWNER_POLICY
from harness.people import Service

ALARM = "errors-of-the-shop"
POLICY = OWNER_POLICY + """\
guard:
  mode: enforce
  limit: {share: 100%}
  rollout: {steps: [1, 100%], bake: 1s, sample: 1WATCH}
"""


class Prometheus(Service):
    """Answers every instant query with `result`."""
    result = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}

    def answer(self, sent):
        return 200, {}, {"status": "success", "data": self.result}


class RolloutCase(CloudCase):
    numbers = itertools.count()

    def start(self, watch=""):
        self.home_of = self.rectify(name=f"home{next(self.numbers)}")
        (self.home_of.policies / "p.yaml").write_text(POLICY.replace("WATCH", watch))
        self.daemon = Daemon(self.home_of)
        self.addCleanup(self.daemon.stop, signal.SIGKILL)

    def post(self):
        bucket = self.bucket()
        self.assertEqual(self.daemon.ask("POST", "/events", harness.create_bucket(bucket))[0], 202)
        return bucket

    def state(self, bucket):
        _, answer, _ = self.daemon.ask("GET", f"/remediations?resource=*/{bucket}")
        return answer["remediations"][0]["state"]

    def becomes(self, bucket, state):
        self.home_of.wait_for(lambda: self.state(bucket) == state)
        self.assertEqual(self.state(bucket), state, self.daemon.text()[-800:])

    def rollout(self):
        _, answer, _ = self.daemon.ask("GET", "/policies")
        return answer["policies"][0] if answer["policies"] else {}

    def goes_on(self):
        """The first bucket is repaired, the second when the rollout reaches it."""
        self.becomes(self.post(), "healed")
        second = self.post()
        self.becomes(second, "healed")

    def pauses(self, why):
        """The first bucket is repaired, and then nothing."""
        self.becomes(self.post(), "healed")
        self.home_of.wait_for(lambda: self.rollout().get("state") == "paused")
        self.assertEqual(self.rollout()["state"], "paused", self.daemon.text()[-800:])
        self.assertIn(why, self.rollout()["reason"])
        second = self.post()
        self.becomes(second, "held")
        self.assertEqual(self.tags(second), {})


class TestSteps(RolloutCase):
    def test_a_step_that_is_good_leads_to_the_next(self):
        self.start()
        self.goes_on()

    def test_one_bucket_at_first(self):
        """The step lasts: the second bucket waits, and is told of."""
        self.start(", within: 1h")
        text = (self.home_of.policies / "p.yaml").read_text()
        self.daemon.stop()
        (self.home_of.policies / "p.yaml").write_text(text.replace("bake: 1s", "bake: 1h"))
        self.daemon = Daemon(self.home_of)
        self.addCleanup(self.daemon.stop, signal.SIGKILL)
        self.becomes(self.post(), "healed")
        second = self.post()
        self.becomes(second, "held")
        self.assertEqual(self.tags(second), {})
        done = self.home_of.command("policy", "promote", "s3-owner", "--reason", "looks good")
        self.assertEnded(done)
        self.becomes(second, "healed")


class TestAlarm(RolloutCase):
    WATCH = f", watch: [{{alarm: {ALARM}, account: '{ACCOUNT}', region: us-east-1}}]"

    def alarm(self, state):
        cloudwatch = self.moto.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName=ALARM, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1,
            MetricName="Errors", Namespace="Shop", Period=60, Threshold=1, Statistic="Sum")
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="test")
        self.addCleanup(cloudwatch.delete_alarms, AlarmNames=[ALARM])

    def test_one_that_is_ok_leads_on(self):
        self.alarm("OK")
        self.start(self.WATCH)
        self.goes_on()

    def test_one_that_is_raised_pauses(self):
        self.alarm("ALARM")
        self.start(self.WATCH)
        self.pauses(f"alarm {ALARM} is ALARM")

    def test_one_that_knows_nothing_is_not_well(self):
        self.alarm("INSUFFICIENT_DATA")
        self.start(self.WATCH)
        self.pauses("INSUFFICIENT_DATA")

    def test_one_that_is_not_there_is_not_well(self):
        self.start(self.WATCH)
        self.pauses(f"there is not one alarm {ALARM}")

    def test_one_that_cannot_be_read_is_not_well(self):
        self.alarm("OK")
        self.proxy.rule(lambda s: "DescribeAlarms" in s.operation, answer=(403, "no"))
        self.start(self.WATCH)
        self.pauses("cannot be read")


class TestQuery(RolloutCase):
    def setUp(self):
        super().setUp()
        self.prometheus = Prometheus()
        self.prometheus.start()
        self.addCleanup(self.prometheus.stop)
        self.watch = (f", watch: [{{prometheus: '{self.prometheus.url}', "
                      "query: 'min(up{job=\"shop\"})'}]")

    def test_one_that_is_not_zero_leads_on(self):
        self.start(self.watch)
        self.goes_on()
        self.assertIn("/api/v1/query?query=min%28up%7Bjob%3D%22shop%22%7D%29",
                      [s.path for s in self.prometheus.requests])

    def test_zero_pauses(self):
        self.prometheus.result = {"resultType": "scalar", "result": [1, "0"]}
        self.start(self.watch)
        self.pauses("is 0")

    def test_what_is_no_number_is_not_well(self):
        one = {"metric": {}, "value": [1, "1"]}
        for result in ({"resultType": "vector", "result": []},
                       {"resultType": "vector", "result": [one, one]},
                       {"resultType": "scalar", "result": [1, "NaN"]},
                       {"resultType": "string", "result": [1, "1"]}):
            with self.subTest(json.dumps(result)):
                self.prometheus.result = result
                self.start(self.watch)
                self.pauses("did not answer with one number")
                self.daemon.stop()

    def test_an_answer_that_is_none_is_not_well(self):
        self.prometheus.answer = lambda sent: (500, {}, b"<html>oops</html>")
        self.start(self.watch)
        self.pauses("cannot be read")


if __name__ == "__main__":
    harness.main()
