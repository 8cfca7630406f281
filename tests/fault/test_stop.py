#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A process that is stopped (SIGSTOP: a paused machine) and goes on later: nothing reaches the
cloud that may not any more, nothing is done twice, nothing is lost."""
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import harness  # noqa: E402
from harness import CloudCase  # noqa: E402

LEASE = {"RECTIFY_LEASE_MS": "400"}
BEFORE = ["reading.write", "calling.write", "calling.written", "send", "gate"]
BEHIND = ["sent", "verifying.write", "verifying.written", "healed.write"]


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


class TestStop(CloudCase):
    def stopped_at(self, point, *options):
        """(bucket, rectify, process): an untagged bucket, and the process standing at the point."""
        bucket = self.bucket({"owner": "alice"})
        rectify = self.rectify("s3", name=point.replace(".", "-") + str(len(options)))
        process = rectify.start(*options, records=[harness.create_bucket(bucket)],
                                env={**LEASE, "RECTIFY_FAULT": f"{point}:1:stop"})
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.assertTrue(rectify.wait_for(lambda: is_stopped(process.pid)), point)
        return bucket, rectify, process

    def heals_once(self, bucket, rectify, point, *options):
        rectify.wait_for(lambda: rectify.run(options=options).returncode == 0)
        self.assertEqual(self.tags(bucket), {"owner": "alice", "cost-center": "unassigned"}, point)
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"], point)
        self.assertEqual(len(self.proxy.changes(bucket)), 1, point)
        self.assertEnded(rectify.command("audit", "verify"))

    def test_longer_than_the_lease(self):
        for point in BEFORE + BEHIND:
            with self.subTest(point=point):
                bucket, rectify, process = self.stopped_at(point)
                other = rectify.run()  # a second process cannot take over: the first is not dead
                self.assertEqual(other.returncode, 1)
                self.assertIn(f"process {process.pid}", other.stderr)
                time.sleep(0.5)
                process.send_signal(signal.SIGCONT)
                process.wait(30)
                self.heals_once(bucket, rectify, point)

    def test_the_switch_thrown_meanwhile_is_seen(self):
        switch = self.home / "stop"
        for point in BEFORE:
            with self.subTest(point=point):
                bucket, rectify, process = self.stopped_at(point, "--kill-switch", switch)
                switch.write_text("stop\n")
                time.sleep(0.1)
                process.send_signal(signal.SIGCONT)
                process.wait(30)
                self.assertEqual(self.proxy.changes(bucket), [], point)
                self.assertEqual(self.tags(bucket), {"owner": "alice"}, point)
                switch.unlink()
                self.heals_once(bucket, rectify, point, "--kill-switch", switch)

    def test_at_random_under_load_nothing_is_sent_behind_the_switch(self):
        seed = int(os.environ.get("RECTIFY_SEED", time.time_ns() % 1000000))
        dice = random.Random(seed)
        switch = self.home / "stop"
        options = ["--kill-switch", switch]
        buckets = [self.bucket({"n": str(i)}) for i in range(40)]
        rectify = self.rectify("s3", name="load")
        self.proxy.rule(delay_s=0.01)
        records = [harness.create_bucket(b) for b in buckets]
        for _ in range(60 if os.environ.get("RECTIFY_TEST_LONG") else 8):
            process = rectify.start(*options, "--workers", "4", records=records, env=LEASE)
            time.sleep(dice.uniform(0.02, 0.4))
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)  # what was on the wire has arrived
            switch.write_text("stop\n")
            before = len(self.proxy.changes())
            process.send_signal(signal.SIGCONT)
            time.sleep(0.3)
            self.assertEqual(len(self.proxy.changes()), before, f"seed {seed}")
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            switch.unlink()
        rectify.wait_for(lambda: rectify.run(*records, options=options).returncode == 0)
        for i, bucket in enumerate(buckets):
            self.assertEqual(self.tags(bucket), {"n": str(i), "cost-center": "unassigned"},
                             f"seed {seed}")
            self.assertEqual(len(self.proxy.changes(bucket)), 1, f"seed {seed}")
        self.assertEnded(rectify.command("audit", "verify"))


if __name__ == "__main__":
    harness.main()
