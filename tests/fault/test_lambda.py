#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify as a Lambda function that dies: kill -9 at every named point between taking an invocation
and answering it, as Lambda ends one whose time is over. The invocation comes again, and nothing is
done twice. And a disk that takes one message of a batch and not another."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import harness  # noqa: E402
from harness import CloudCase  # noqa: E402
from harness.runtime import Function, RuntimeApi, sqs_batch, tick  # noqa: E402

STATES = ["reading", "deciding", "intent", "calling", "verifying", "healed"]
POINTS = ["lambda.accepted", *(f"{s}.{m}" for s in STATES for m in ("write", "written")),
          "send", "gate", "sent", "lambda.answer"]


class TestLambda(CloudCase):
    def setUp(self):
        super().setUp()
        self.api = RuntimeApi().start()
        self.addCleanup(self.api.stop)

    def function(self, rectify, env=None):
        function = Function(self.api, rectify, env)
        self.addCleanup(function.stop)
        return function

    def until_healed(self, rectify, bucket):
        for _ in range(20):
            if [r["state"] for r in rectify.of(bucket)] == ["healed"]:
                return
            self.api.answer(self.api.give(tick(), left_s=10))
        self.fail(f"{rectify.of(bucket)}")

    def test_killed_at_every_named_point(self):
        for point in POINTS:
            with self.subTest(point=point):
                bucket = self.bucket({"owner": "alice"})
                rectify = self.rectify("s3", name=point.replace(".", "-"))
                batch = sqs_batch(harness.envelope(harness.create_bucket(bucket)))
                killed = self.function(rectify, {"RECTIFY_FAULT": point})
                given = self.api.give(batch)
                self.assertEqual(killed.ended(), -signal.SIGKILL, point)
                self.assertEqual(given.answers, [])
                second = self.function(rectify)
                answer = self.api.answer(self.api.again(given))
                self.assertEqual(answer["batchItemFailures"], [])
                self.assertEqual(answer["taken"]["redelivered"], 1)
                self.until_healed(rectify, bucket)
                self.assertEqual(self.tags(bucket), {"owner": "alice", "cost-center": "unassigned"})
                self.assertEqual(len(self.proxy.changes(bucket)), 1, point)
                self.assertEnded(rectify.command("audit", "verify"))
                second.stop()

    def test_a_batch_names_exactly_what_the_disk_did_not_take(self):
        rectify = self.rectify("s3")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", rectify.state],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest("a file system of its own needs root: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", rectify.state], check=False)
        buckets = [self.bucket() for _ in range(2)]
        small = [harness.envelope(harness.create_bucket(b)) for b in buckets]
        large = {"Records": [harness.create_bucket(f"b{i}" + "x" * 900) for i in range(250)]}
        batch = sqs_batch(small[0], large, small[1])
        self.function(rectify)
        answer = self.api.answer(self.api.give(batch))
        self.assertEqual(answer["batchItemFailures"],
                         [{"itemIdentifier": batch["Records"][1]["messageId"]}])
        subprocess.run(["mount", "-o", "remount,size=64m", rectify.state], check=True)
        for bucket in buckets:
            self.until_healed(rectify, bucket)
            self.assertEqual(len(self.proxy.changes(bucket)), 1)


if __name__ == "__main__":
    harness.main()
