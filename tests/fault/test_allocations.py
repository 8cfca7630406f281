#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory runs out at any allocation of a run: it never dies of it, nothing is sent that is not on
disk, and with memory again everything is healed once."""
import os
import pathlib
import random
import shutil
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import harness  # noqa: E402
from harness import CloudCase, RECTIFY  # noqa: E402

FAILING = pathlib.Path(RECTIFY).parents[1] / "tests" / "fault" / "libfailing_memory.so"
POINTS = 400 if os.environ.get("RECTIFY_TEST_LONG") else 60  # others each time


@unittest.skipUnless(FAILING.exists(), "a sanitizer has the allocator to itself")
class TestAllocations(CloudCase):
    def setUp(self):
        super().setUp()
        self.opened = self.rectify("s3", name="opened")  # making the tables is not what is tested
        self.assertEnded(self.opened.run())

    def fresh(self, name):
        rectify = self.rectify("s3", name=name)
        shutil.copytree(self.opened.state, rectify.state, dirs_exist_ok=True)
        return rectify

    def failing(self, **variables):
        return {"LD_PRELOAD": str(FAILING), **{k: str(v) for k, v in variables.items()}}

    def allocations(self):
        """How many a run makes that heals one bucket."""
        count = self.home / "count"
        rectify = self.fresh("counted")
        done = rectify.run(harness.create_bucket(self.bucket()),
                           env=self.failing(FAIL_COUNT=count))
        self.assertEnded(done)
        return int(count.read_text())

    def healed_once(self, rectify, bucket, record, what):
        end = time.monotonic() + 60
        while (done := rectify.run(record)).returncode != 0:
            self.assertLess(time.monotonic(), end, f"{what}: {done.stderr}")
            time.sleep(0.2)
        self.assertEqual(self.tags(bucket), {"owner": "alice", "cost-center": "unassigned"}, what)
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"], what)
        self.assertEqual(len(self.proxy.changes(bucket)), 1, what)
        self.assertEnded(rectify.command("audit", "verify"))

    def test_wherever_memory_runs_out_it_is_healed_once(self):
        seed = int(os.environ.get("RECTIFY_SEED", time.time_ns() % 1000000))
        dice = random.Random(seed)
        total = self.allocations()
        self.assertGreater(total, 1000)
        for i in range(POINTS):
            at = total * i // POINTS + dice.randrange(total // POINTS) + 1
            many = dice.choice([1, 1, 3, 10])
            what = f"seed {seed}: {many} from {at} on of {total}"
            with self.subTest(what):
                bucket = self.bucket({"owner": "alice"})
                record = harness.create_bucket(bucket)
                rectify = self.fresh(f"at-{i}")
                done = rectify.run(record, env=self.failing(FAIL_AT=at, FAIL_FOR=many))
                self.assertIn(done.returncode, (0, 1, 3), f"{what}: {done.stderr}")
                self.assertTrue(done.stderr.strip(), what)
                self.healed_once(rectify, bucket, record, what)
                shutil.rmtree(rectify.home)


if __name__ == "__main__":
    harness.main()
