#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every named point between journal and call, then run again: healed, no state changed
twice, every event's end is named, the log verifies."""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import harness  # noqa: E402
from harness import CloudCase  # noqa: E402

STATES = ["reading", "deciding", "intent", "calling", "verifying", "healed"]
POINTS = [f"{state}.{moment}" for state in STATES for moment in ("write", "written")]
POINTS += ["send", "gate", "sent"]


class TestKill(CloudCase):
    def again(self, rectify, within_s=30):
        """Runs without new events until nothing of ours is left to do."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            done = rectify.run()
            if done.returncode == 0:
                return
            time.sleep(0.2)
        self.fail(f"does not come to an end: {done.stderr}")

    def test_every_named_point(self):
        for point in POINTS:
            with self.subTest(point=point):
                bucket = self.bucket({"owner": "alice"})
                rectify = self.rectify("s3", name=point.replace(".", "-"))
                killed = rectify.run(harness.create_bucket(bucket), env={"RECTIFY_FAULT": point})
                self.assertEqual(killed.returncode, -signal.SIGKILL, killed.stderr)
                self.again(rectify)
                self.assertEqual(self.tags(bucket), {"owner": "alice", "cost-center": "unassigned"})
                self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"])
                self.assertEqual(len(self.proxy.changes(bucket)), 1, point)
                self.assertEnded(rectify.command("audit", "verify"))

    def test_every_named_point_of_a_rollback(self):
        for point in [*POINTS[:10], "rolled-back.write", "send", "sent"]:
            with self.subTest(point=point):
                bucket = self.bucket({"owner": "alice"})
                rectify = self.rectify("s3", name="back-" + point.replace(".", "-"))
                self.assertEnded(rectify.run(harness.create_bucket(bucket)))
                self.tag(bucket, {**self.tags(bucket), "by-hand": "yes"})
                self.proxy.clear()
                (healed,) = rectify.of(bucket)
                killed = rectify.command("rollback", healed["id"], env={"RECTIFY_FAULT": point})
                self.assertEqual(killed.returncode, -signal.SIGKILL, killed.stderr)
                self.again(rectify)
                self.assertEqual(self.tags(bucket), {"owner": "alice", "by-hand": "yes"})
                self.assertEqual([r["state"] for r in rectify.of(bucket)],
                                 ["healed", "rolled back"])
                self.assertEqual(len(self.proxy.changes(bucket)), 1, point)
                self.assertEnded(rectify.command("audit", "verify"))

    def test_at_random_under_load(self):
        seed = int(os.environ.get("RECTIFY_SEED", time.time_ns() % 1000000))
        dice = random.Random(seed)
        buckets = [self.bucket({"n": str(i)}) for i in range(12)]
        rectify = self.rectify("s3", name="load")
        records = [harness.create_bucket(b) for b in buckets]
        for _ in range(8):
            process = rectify.start(records=records)
            time.sleep(dice.uniform(0.005, 0.25))
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = rectify.run(*records)
        self.assertIn(done.returncode, (0, 3), f"seed {seed}: {done.stderr}")
        self.again(rectify)
        for i, bucket in enumerate(buckets):
            self.assertEqual(self.tags(bucket), {"n": str(i), "cost-center": "unassigned"},
                             f"seed {seed}")
            self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"], f"seed {seed}")
        self.assertEnded(rectify.command("audit", "verify"))


if __name__ == "__main__":
    harness.main()
