#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The state's disk is full, or becomes read-only: no call without a durable intent, a clear error,
and with room again everything is healed once."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import harness  # noqa: E402
from harness import CloudCase, Daemon  # noqa: E402


class TestDisk(CloudCase):
    def small_disk(self, rectify, size):
        """The state folder on a file system of its own."""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                               rectify.state], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest("a file system of its own needs root: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", rectify.state], check=False)

    def remount(self, rectify, options):
        subprocess.run(["mount", "-o", f"remount,{options}", rectify.state], check=True)

    def healed_once(self, rectify, buckets, *records):
        rectify.wait_for(lambda: rectify.run(*records).returncode == 0, 60)
        for bucket in buckets:
            self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
            self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"])
            self.assertEqual(len(self.proxy.changes(bucket)), 1)
        self.assertEnded(rectify.command("audit", "verify"))

    def test_a_full_disk_stops_calls_and_with_room_again_all_is_healed(self):
        rectify = self.rectify("s3")
        self.small_disk(rectify, "450k")
        buckets = [self.bucket() for _ in range(90)]  # under the policy's hourly limit
        records = [harness.create_bucket(b) for b in buckets]
        done = rectify.run(*records)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("full", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        changed = sum(bool(self.tags(b)) for b in buckets)
        self.assertLess(changed, len(buckets))
        self.remount(rectify, "size=64m")
        for record in rectify.list():  # whoever was changed has an intent in the journal
            if self.tags(record["resource"].rsplit("/", 1)[1]):
                self.assertNotIn(record["state"], ("received", "reading", "deciding"))
        self.healed_once(rectify, buckets, *records)

    def test_room_for_a_small_record_now_and_then_does_not_keep_a_run_going(self):
        """A full disk still takes a small record here and there. Work rests 0.5 s each time it
        fails and a run gives up 3 s after the first failure: it begins again at most six times,
        and the cloud is not asked the same for as long as the disk is full."""
        for size in ("376k", "384k", "575k"):
            with self.subTest(size):
                rectify = self.rectify("s3")
                self.small_disk(rectify, size)
                buckets = [self.bucket() for _ in range(90)]
                self.proxy.clear()
                done = rectify.run(*[harness.create_bucket(b) for b in buckets])
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("full", done.stderr)
                self.assertLessEqual(done.stderr.count("the store works again"), 6)
                self.assertLess(len(self.proxy.seen), 8 * 3 * len(buckets))

    def test_a_disk_that_turns_read_only_stops_calls(self):
        rectify = self.rectify("s3")
        self.small_disk(rectify, "64m")
        self.assertEnded(rectify.run())
        self.remount(rectify, "ro")
        bucket = self.bucket()
        done = rectify.run(harness.create_bucket(bucket))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("read-only", done.stderr.lower().replace("readonly", "read-only"))
        self.assertEqual(self.proxy.changes(bucket), [])
        self.remount(rectify, "rw")
        self.healed_once(rectify, [bucket], harness.create_bucket(bucket))

    def test_the_daemon_lives_through_a_full_disk(self):
        rectify = self.rectify("s3")
        self.small_disk(rectify, "64m")
        self.assertEnded(rectify.run())
        daemon = Daemon(rectify)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        ballast = self.fill(rectify)
        buckets = [self.bucket() for _ in range(30)]
        post = [self.post(daemon, b) for b in buckets]
        self.assertIn(503, post)
        self.assertIsNone(daemon.process.poll())
        for bucket, status in zip(buckets, post):
            if status != 202:
                self.assertEqual(self.tags(bucket), {})
        ballast.unlink()
        for bucket in buckets:
            self.assertTrue(rectify.wait_for(
                lambda b=bucket: self.post(daemon, b) == 202))
        for bucket in buckets:
            self.assertTrue(rectify.wait_for(lambda b=bucket: self.tags(b), 40))
            self.assertEqual(len(self.proxy.changes(bucket)), 1)
        self.assertEqual(daemon.stop(), 0)

    def fill(self, rectify):
        """The file that takes all room there is."""
        ballast = pathlib.Path(rectify.state) / "ballast"
        with open(ballast, "wb", buffering=0) as out:
            try:
                while out.write(b"\0" * 65536):
                    pass
            except OSError:
                pass
        return ballast

    def test_a_queue_waits_while_nothing_can_be_kept(self):
        queue = self.moto.client("sqs").create_queue(QueueName="waits")["QueueUrl"]
        rectify = self.rectify("s3", env={"RECTIFY_VISIBLE_MS": "1000"})
        self.small_disk(rectify, "64m")
        self.assertEnded(rectify.run())
        daemon = Daemon(rectify, "--queue", queue)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        ballast = self.fill(rectify)
        buckets = [self.bucket() for _ in range(30)]
        for bucket in buckets:
            self.moto.client("sqs").send_message(
                QueueUrl=queue, MessageBody=json.dumps(harness.create_bucket(bucket)))
        self.assertTrue(rectify.wait_for(lambda: "queues wait" in daemon.text()), daemon.text())
        time.sleep(1)  # those that were under way

        def polls():
            return sum(s.operation == "ReceiveMessage" for s in self.proxy.seen)
        before = polls()
        time.sleep(2)
        self.assertEqual(polls(), before)
        source = daemon.ask("GET", "/sources", unix=True)[1]["sources"][0]
        self.assertEqual(source["held_back"], "the store fails")
        ballast.unlink()
        for bucket in buckets:
            self.assertTrue(rectify.wait_for(lambda b=bucket: self.tags(b), 40), daemon.text())
            self.assertEqual(len(self.proxy.changes("/" + bucket + "?")), 1)
        self.assertEqual(daemon.stop(), 0)

    @staticmethod
    def post(daemon, bucket):
        return daemon.ask("POST", "/events", harness.create_bucket(bucket))[0]


if __name__ == "__main__":
    harness.main()
