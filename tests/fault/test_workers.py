#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Four daemons on one PostgreSQL queue, killed at random under load (10 times, with
RECTIFY_TEST_LONG 100 times): nothing lost, no bucket changed twice, every event's end named, the
log whole, also while it is written."""
import http.client
import json
import os
import random
import signal
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import harness  # noqa: E402
from harness import CloudCase, Postgres  # noqa: E402
from harness.cases import POLICIES  # noqa: E402
from harness.postgres import find_bin  # noqa: E402
from harness.rectify import SLOWER  # noqa: E402

LONG = bool(os.environ.get("RECTIFY_TEST_LONG"))
KILLS = 100 if LONG else 10
BUCKETS = 400 if LONG else 60
WORKERS = 4
LEASE_MS, GRACE_MS = 2000 * SLOWER, 1500 * SLOWER  # so that no takeover waits for 17 minutes
VISIBLE_MS = 2000 * SLOWER  # nor a message that a killed worker held for two


class Worker:
    """One daemon of the fleet, which comes back after a kill."""

    def __init__(self, rectify, *options):
        self.rectify, self.options = rectify, options
        self.socket = rectify.state / "rectify.sock"
        self.process = None
        self.start()

    def start(self):
        self.process = self.rectify.start("--listen", "none", "--workers", "8", *self.options)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        return self.rectify.stop(self.process)

    def post(self, record):
        """True: it said that the event is durable."""
        connection = http.client.HTTPConnection("rectify", timeout=20)
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20)
            connection.sock.connect(str(self.socket))
            connection.request("POST", "/events", json.dumps(record))
            answer = connection.getresponse()
            answer.read()
            return answer.status == 202
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@unittest.skipUnless(find_bin(), "PostgreSQL's server is not installed (Debian: postgresql-15)")
class TestWorkers(CloudCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.postgres = Postgres().start()
        cls.addClassCleanup(cls.postgres.stop)

    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("RECTIFY_SEED", time.time_ns() % 1000000))
        self.dice = random.Random(self.seed)
        self.postgres.psql("DROP SCHEMA IF EXISTS rectify CASCADE")
        text = POLICIES["s3"].read_text()
        self.policy = self.home / "s3-cost-center-tag.yaml"
        self.policy.write_text(text.replace("per_hour: 100}", "per_hour: 100000, share: 100%}"))
        self.assertNotEqual(self.policy.read_text(), text)

    def worker_home(self, name):
        env = {"RECTIFY_LEASE_MS": str(LEASE_MS), "RECTIFY_GRACE_MS": str(GRACE_MS), **os.environ}
        return self.rectify(self.policy, name=name, env={
            "RECTIFY_STORE": self.postgres.url, "RECTIFY_LEASE_MS": env["RECTIFY_LEASE_MS"],
            "RECTIFY_GRACE_MS": env["RECTIFY_GRACE_MS"], "RECTIFY_POLL_MS": "1000",
            "RECTIFY_VISIBLE_MS": str(VISIBLE_MS)})

    def fleet(self, *options):
        workers = [Worker(self.worker_home(f"worker{i}"), *options) for i in range(WORKERS)]
        for worker in workers:
            self.addCleanup(worker.kill)
        return workers

    def feed(self, workers, buckets, pace_s, over):
        """Each event until somebody says that it is durable; now and then again somewhere else."""
        dice = random.Random(self.seed + 1)
        for bucket in buckets:
            record = harness.create_bucket(bucket)
            while not dice.choice(workers).post(record):
                time.sleep(0.02)
            if dice.random() < 0.2:
                dice.choice(workers).post(record)
            time.sleep(dice.uniform(0, 2 * pace_s))
        over.set()

    def kill_at_random(self, workers, desk, fed):
        """Returns how often the log was verified meanwhile."""
        verified = 0
        for i in range(KILLS):
            time.sleep(self.dice.uniform(0.02, 0.5) * SLOWER)
            worker = self.dice.choice(workers)
            worker.kill()
            worker.start()
            if i % 5 == 2 and not fed.is_set():
                self.assertEnded(desk.command("audit", "verify"))
                verified += 1
        return verified

    def wait_for_the_end(self, desk, within_s):
        """The queue is at rest; what a killed worker held is taken over after lease and grace."""
        def resting():
            return self.postgres.number("SELECT count(*) FROM remediation WHERE active") == 0
        rested = desk.wait_for(resting, within_s)
        left = self.postgres.psql("SELECT id, state, step, reason, lease_end_ms, due_ms FROM "
                                  "rectify.remediation WHERE active LIMIT 5").stdout
        self.assertTrue(rested, f"seed {self.seed}: {left}")

    def assert_healed_once(self, desk, buckets):
        ended = {}
        for r in desk.json("list", "--all"):
            ended.setdefault(r["resource"].rsplit("/", 1)[1], []).append((r["state"], r["reason"]))
        lost = [b for b in buckets if self.tags(b).get("cost-center") != "unassigned"]
        changes = {b: len(self.proxy.changes("/" + b + "?")) for b in buckets}
        doubled = [b for b, n in changes.items() if n > 1]
        unnamed = [b for b in buckets if [s for s, _ in ended.get(b, [])] != ["healed"]
                   or not ended[b][0][1]]
        self.assertEqual((lost, doubled, unnamed), ([], [], []),
                         f"seed {self.seed}: {[ended.get(b) for b in unnamed]}")
        self.assertEqual(sum(changes.values()), len(buckets))

    def test_killed_at_random_under_load(self):
        buckets = [self.bucket({"n": str(i)}) for i in range(BUCKETS)]
        self.proxy.rule(lambda seen: seen.changes, delay_s=0.03)  # so that kills meet calls
        workers = self.fleet()
        desk = self.worker_home("desk")
        fed = threading.Event()
        pace = KILLS * 0.26 * SLOWER / BUCKETS
        feeder = threading.Thread(target=self.feed, args=(workers, buckets, pace, fed), daemon=True)
        feeder.start()
        verified = self.kill_at_random(workers, desk, fed)
        feeder.join(120 * SLOWER)
        self.assertTrue(fed.is_set(), f"seed {self.seed}: not all events were taken")
        self.wait_for_the_end(desk, 40)
        self.assert_healed_once(desk, buckets)
        self.assertGreater(verified, 0)
        self.assertEnded(desk.command("audit", "verify"))
        self.assertEqual([w.stop() for w in workers], [0] * WORKERS)
        self.assertEqual(self.postgres.number("SELECT count(*) FROM leaf"), 0)
        self.assertEqual(self.postgres.number("SELECT count(*) FROM event"), len(buckets))
        took = self.postgres.number("SELECT count(*) FROM remediation WHERE epoch > 1")
        print(f"{KILLS} kills, {len(buckets)} events, {took} claimed more than once, seed "
              f"{self.seed}: lost 0, doubled 0, all ends named", flush=True)

    def send(self, queue, buckets, pace_s, over):
        """Each event into the queue; now and then twice, as SQS may deliver it."""
        dice, sqs = random.Random(self.seed + 1), self.moto.client("sqs")
        for bucket in buckets:
            body = json.dumps(harness.envelope(harness.create_bucket(bucket)))
            for _ in range(2 if dice.random() < 0.2 else 1):
                sqs.send_message(QueueUrl=queue, MessageBody=body)
            time.sleep(dice.uniform(0, 2 * pace_s))
        over.set()

    def messages(self, queue):
        got = self.moto.client("sqs").get_queue_attributes(
            QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return sum(int(got["ApproximateNumberOfMessages" + n]) for n in ("", "NotVisible"))

    def test_killed_at_random_while_a_queue_feeds_them(self):
        queue = self.moto.client("sqs").create_queue(QueueName=f"fleet-{self.seed}")["QueueUrl"]
        buckets = [self.bucket({"n": str(i)}) for i in range(BUCKETS)]
        self.proxy.rule(lambda seen: seen.changes and seen.method == "PUT", delay_s=0.03)
        workers = self.fleet("--queue", queue, "--accounts", harness.ACCOUNT)
        desk = self.worker_home("desk")
        fed = threading.Event()
        pace = KILLS * 0.26 * SLOWER / BUCKETS
        feeder = threading.Thread(target=self.send, args=(queue, buckets, pace, fed), daemon=True)
        feeder.start()
        verified = self.kill_at_random(workers, desk, fed)
        feeder.join(120 * SLOWER)
        self.assertTrue(fed.is_set(), f"seed {self.seed}: not all events were sent")
        self.assertTrue(desk.wait_for(lambda: self.messages(queue) == 0, 60),
                        f"seed {self.seed}: {self.messages(queue)} messages left")
        self.wait_for_the_end(desk, 40)
        self.assert_healed_once(desk, buckets)
        self.assertGreater(verified, 0)
        self.assertEnded(desk.command("audit", "verify"))
        self.assertEqual([w.stop() for w in workers], [0] * WORKERS)
        self.assertEqual(self.postgres.number("SELECT count(*) FROM leaf"), 0)
        self.assertEqual(self.postgres.number("SELECT count(*) FROM event"), len(buckets))
        took = self.postgres.number("SELECT count(*) FROM remediation WHERE epoch > 1")
        print(f"{KILLS} kills, {len(buckets)} events by a queue, {took} claimed more than once, "
              f"seed {self.seed}: lost 0, doubled 0, all ends named", flush=True)

    def test_database_gone_for_a_while(self):
        buckets = [self.bucket({"n": str(i)}) for i in range(20)]
        workers = self.fleet()
        desk = self.worker_home("desk")
        fed = threading.Event()
        feeder = threading.Thread(target=self.feed, args=(workers, buckets, 0.05, fed), daemon=True)
        feeder.start()
        time.sleep(0.5)
        self.postgres.halt(signal.SIGQUIT)
        time.sleep(0.3)  # what was past its gate
        before = len(self.proxy.changes())
        time.sleep(1.5)
        self.assertEqual(len(self.proxy.changes()), before)  # no database, no calls
        self.postgres.serve()
        feeder.join(60 * SLOWER)
        self.wait_for_the_end(desk, 40)
        self.assert_healed_once(desk, buckets)
        self.assertEnded(desk.command("audit", "verify"))

    def test_the_switch_thrown_while_the_database_is_gone_holds_when_it_is_back(self):
        buckets = [self.bucket({"n": str(i)}) for i in range(20)]
        workers = self.fleet()
        desk = self.worker_home("desk")
        self.proxy.rule(lambda seen: seen.changes, delay_s=0.2)  # so that some is left to do
        fed = threading.Event()
        feeder = threading.Thread(target=self.feed, args=(workers, buckets, 0.01, fed), daemon=True)
        feeder.start()
        desk.wait_for(self.proxy.changes)
        self.postgres.halt(signal.SIGQUIT)
        switches = [worker.rectify.state / "STOP" for worker in workers]
        for switch in switches:
            switch.write_text("")
        time.sleep(1)  # what was past its gate
        before = len(self.proxy.changes())
        self.postgres.serve()
        feeder.join(60 * SLOWER)
        time.sleep(2)
        left = self.postgres.number("SELECT count(*) FROM remediation WHERE active")
        self.assertGreater(left, 0, "nothing was left to do")
        self.assertEqual(len(self.proxy.changes()), before)
        for switch in switches:
            switch.unlink()
        self.wait_for_the_end(desk, 60)
        self.assert_healed_once(desk, buckets)
        self.assertEnded(desk.command("audit", "verify"))

    def test_start_without_a_server_loads_no_library_for_it(self):
        desk = self.worker_home("desk")
        seen = {"LD_DEBUG": "files"}
        with_server = desk.command("list", env=seen)
        without = desk.command("list", env={**seen, "RECTIFY_STORE": ""})
        self.assertEnded(with_server)
        self.assertEnded(without)
        self.assertIn("libpq", with_server.stderr)
        self.assertNotIn("libpq", without.stderr)

    def test_commands_work_from_anywhere(self):
        buckets = [self.bucket({"n": str(i)}) for i in range(2)]
        records = [harness.create_bucket(b) for b in buckets]
        here, there = self.worker_home("here"), self.worker_home("there")
        self.assertEnded(here.run(*records))
        self.assertEqual(sorted(r["state"] for r in there.list()), ["healed", "healed"])
        one = there.of(buckets[0])[0]["id"]
        self.assertEqual(there.show(one)["state"], "healed")
        self.assertIn("Why", there.command("explain", one).stdout)
        self.assertIn('"transition"', there.command("audit", "show", one).stdout)
        self.assertEnded(there.command("audit", "verify"))
        self.assertEnded(there.command("rollback", one, "--policies", there.policies))
        self.assertEqual(self.tags(buckets[0]), {"n": "0"})
        here.assign(['{policies: ["*"], accounts: "*", mode: approve, settle: 0s}'])
        third = self.bucket({"n": "3"})
        self.assertEnded(here.run(harness.create_bucket(third)), harness.EXIT_WAITING)
        self.assertEnded(there.command("approve", there.of(third)[0]["id"], "--by", "ann"))
        self.assertEnded(here.run())
        self.assertEqual(self.tags(third), {"n": "3", "cost-center": "unassigned"})
        wrong = there.command("list", env={"RECTIFY_STORE": "postgres://u:hush@127.0.0.1:1/d"})
        self.assertEnded(wrong, harness.EXIT_FAILED)
        self.assertIn("S0007", wrong.stderr)
        self.assertNotIn("hush", wrong.stderr)


if __name__ == "__main__":
    harness.main()
