#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon: events over HTTP, the token, the Unix socket for the other commands, its end."""
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import harness
from harness import CloudCase, Daemon, EXIT_FAILED, TOKEN, UnixConnection

APPROVE = ['{policies: ["*"], accounts: "*", mode: approve, settle: 0s}']
LATER = ['{policies: ["*"], accounts: "*", mode: enforce, settle: 1h}']


class DaemonCase(CloudCase):
    def daemon(self, *options, rectify=None, assignments=None, **more):
        rectify = rectify or self.rectify("s3", assignments=assignments)
        daemon = Daemon(rectify, *options, **more)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon

    def assertRefused(self, answer, status, code):
        self.assertEqual((answer[0], answer[1]["error"]["code"]), (status, code), answer[1])

    def ended(self, daemon, bucket):
        """The bucket's remediation once it has ended, asked over the socket."""
        def find():
            _, answer, _ = daemon.ask("GET", f"/remediations?resource=*/{bucket}", unix=True)
            rows = answer["remediations"]
            return rows and all(r["terminal"] for r in rows) and rows[0]
        return daemon.rectify.wait_for(find)


class TestEvents(DaemonCase):
    def test_an_event_heals_a_bucket(self):
        bucket, daemon = self.bucket({"keep": "me"}), self.daemon()
        status, answer, _ = daemon.ask("POST", "/events",
                                       harness.envelope(harness.create_bucket(bucket)))
        self.assertEqual((status, answer), (202, {"accepted": 1, "matches": 1, "duplicates": 0}))
        self.assertEqual(self.ended(daemon, bucket)["state"], "healed")
        self.assertEqual(self.tags(bucket), {"keep": "me", "cost-center": "unassigned"})

    def test_every_form_is_taken(self):
        daemon = self.daemon(assignments=LATER)
        records = [harness.create_bucket(f"form-{i}") for i in range(2)]
        lines = "\n".join(json.dumps(r) for r in records)
        for body in (json.dumps({"Records": records}), lines, json.dumps(records),
                     gzip.compress(lines.encode())):
            with self.subTest(body=body[:12]):
                for record in records:
                    record["eventID"] += "x"
                status, answer, _ = daemon.ask("POST", "/events", body)
                self.assertEqual((status, answer["accepted"], answer["matches"]), (202, 2, 2))

    def test_a_redelivery_is_told(self):
        daemon, record = self.daemon(assignments=LATER), harness.create_bucket("twice")
        daemon.ask("POST", "/events", record)
        status, answer, _ = daemon.ask("POST", "/events", record)
        self.assertEqual((status, answer["duplicates"]), (202, 1))
        self.assertEqual(len(daemon.rectify.list()), 1)

    def test_an_event_that_matches_nothing_is_accepted(self):
        record = harness.event("s3.amazonaws.com", "PutObject", {"bucketName": "b", "key": "k"})
        status, answer, _ = self.daemon().ask("POST", "/events", record)
        self.assertEqual((status, answer), (202, {"accepted": 1, "matches": 0, "duplicates": 0}))

    def test_malformed_is_refused_and_set_aside(self):
        daemon = self.daemon()
        for body in ('{"eventName": }', '{"a": 1, "a": 2}', '{"hello": "world"}', "no json"):
            with self.subTest(body=body):
                status, answer, _ = daemon.ask("POST", "/events", body)
                self.assertEqual(status, 400)
                self.assertTrue(answer["error"]["code"] and answer["error"]["message"])
        shown = daemon.rectify.command("audit", "show").stdout.splitlines()
        self.assertEqual(sum(json.loads(line)["kind"] == "quarantined" for line in shown), 4)

    def test_the_good_ones_beside_a_bad_one_are_taken(self):
        daemon = self.daemon(assignments=LATER)
        body = json.dumps(harness.create_bucket("good")) + '\n{"hello": "world"}\n'
        status, answer, _ = daemon.ask("POST", "/events", body)
        self.assertEqual((status, answer["accepted"], answer["set_aside"]), (202, 1, 1))
        self.assertTrue(answer["why"])

    def test_an_empty_body_is_refused(self):
        self.assertRefused(self.daemon().ask("POST", "/events", ""), 400, "H0027")

    def test_the_size_is_bounded(self):
        daemon, limit = self.daemon(), 1 << 20
        record = json.dumps(harness.create_bucket("large"))
        at = record[:-1] + ', "pad": "' + "x" * (limit - len(record) - 11) + '"}'
        self.assertEqual(len(at), limit)
        self.assertNotEqual(daemon.ask("POST", "/events", at)[0], 413)
        self.assertRefused(daemon.ask("POST", "/events", at + " "), 413, "H0006")
        chunks = ((b"x" * 65536) for _ in range(32))
        self.assertRefused(daemon.ask("POST", "/events", chunks), 413, "H0006")  # chunked

    def test_a_bomb_is_refused(self):
        line = b'{"pad":"' + b"x" * 500_000 + b'"}\n'
        body = gzip.compress(line * 200)
        self.assertLess(len(body), 1 << 20)
        self.assertRefused(self.daemon().ask("POST", "/events", body), 413, "E0008")

    def test_accounts_that_a_source_may_speak_for(self):
        daemon = self.daemon("--accounts", f"111122223333,{harness.ACCOUNT}", assignments=LATER)
        foreign = harness.create_bucket("foreign", account="999999999999")
        self.assertRefused(daemon.ask("POST", "/events", foreign), 400, "T0007")
        self.assertEqual(daemon.ask("POST", "/events", harness.create_bucket("own"))[0], 202)

    def test_accepted_is_durable(self):
        """kill -9 directly after the 202; the next process has the event."""
        rectify = self.rectify("s3", assignments=LATER)
        for i in range(5):
            daemon = self.daemon(rectify=rectify)
            status, _, _ = daemon.ask("POST", "/events", harness.create_bucket(f"durable-{i}"))
            daemon.stop(signal.SIGKILL)
            self.assertEqual(status, 202)
            self.assertEqual(len(rectify.of(f"durable-{i}")), 1)
        self.assertEnded(rectify.command("audit", "verify"))


class TestToken(DaemonCase):
    def test_without_the_right_token_nothing_is_taken(self):
        daemon, record = self.daemon(), harness.create_bucket("no-token")
        for token in (None, "", TOKEN[:-1], TOKEN + "x", "x" * len(TOKEN)):
            with self.subTest(token=token):
                answer = daemon.ask("POST", "/events", record, token=token)
                self.assertRefused(answer, 401, "H0004")
                self.assertEqual(answer[2]["WWW-Authenticate"], 'Bearer realm="rectify"')
        self.assertEqual(daemon.ask("GET", "/remediations", token=None)[0], 401)
        self.assertEqual(daemon.rectify.list(), [])

    def test_where_none_is_set_only_the_socket_takes_events(self):
        daemon = self.daemon(token=None, assignments=LATER)
        record = harness.create_bucket("socket-only")
        self.assertRefused(daemon.ask("POST", "/events", record, token=TOKEN), 401, "H0004")
        self.assertRefused(daemon.ask("POST", "/events", record, token=None), 401, "H0004")
        self.assertEqual(daemon.ask("POST", "/events", record, unix=True)[0], 202)

    def test_it_comes_from_a_file(self):
        path = self.home / "token"
        path.write_text("from-a-file-0123456789\n")
        daemon = self.daemon("--token-file", path, token="in-the-environment")
        self.assertEqual(daemon.ask("GET", "/remediations", token="from-a-file-0123456789")[0], 200)
        self.assertEqual(daemon.ask("GET", "/remediations", token="in-the-environment")[0], 401)

    def test_it_is_not_left_in_the_environment_or_the_log(self):
        daemon = self.daemon()
        daemon.ask("GET", "/remediations")
        daemon.ask("GET", "/remediations", token="wrong-wrong-wrong-wrong")
        self.assertNotIn(TOKEN, daemon.text())
        self.assertNotIn("wrong-wrong", daemon.text())

    def test_a_short_one_is_an_error(self):
        path = self.home / "token"
        path.write_text("short")
        rectify = self.rectify("s3")
        done = rectify.command("run", "--policies", rectify.policies, "--token-file", path)
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("H0015", done.stderr)
        done = rectify.command("run", "--policies", rectify.policies, "--token-file",
                               "/nonexistent")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("L0011", done.stderr)


class TestRoutes(DaemonCase):
    def test_health_needs_no_token(self):
        daemon = self.daemon()
        self.assertEqual(daemon.ask("GET", "/livez", token=None)[:2], (200, {"live": True}))
        self.assertEqual(daemon.ask("GET", "/readyz", token=None)[:2],
                         (200, {"ready": True, "active": 0}))
        self.assertEqual(daemon.ask("HEAD", "/livez", token=None)[0], 200)

    def test_what_is_not_there(self):
        daemon = self.daemon()
        self.assertRefused(daemon.ask("GET", "/nothing"), 404, "H0001")
        self.assertRefused(daemon.ask("GET", "/remediations/r9/nothing"), 404, "H0001")
        self.assertRefused(daemon.ask("GET", "/remediations/r999"), 404, "H0020")
        self.assertRefused(daemon.ask("GET", "/remediations/r999/records"), 404, "H0020")
        answer = daemon.ask("DELETE", "/remediations/r1")
        self.assertRefused(answer, 405, "H0002")
        self.assertEqual(answer[2]["Allow"], "GET")

    def test_looking(self):
        bucket, daemon = self.bucket(), self.daemon()
        daemon.ask("POST", "/events", harness.create_bucket(bucket))
        ident = self.ended(daemon, bucket)["id"]
        _, one, _ = daemon.ask("GET", f"/remediations/{ident}")
        self.assertEqual((one["state"], one["policy"]), ("healed", "s3-cost-center-tag"))
        for query, count in (("", 1), ("?state=healed", 1), ("?state=denied", 0), ("?active=1", 0),
                             ("?policy=s3-cost-center-tag", 1), ("?policy=other", 0),
                             (f"?before={ident}", 0), (f"?account={harness.ACCOUNT}", 1)):
            with self.subTest(query=query):
                _, answer, _ = daemon.ask("GET", "/remediations" + query)
                self.assertEqual(len(answer["remediations"]), count)
        for query in ("?limit=1001", "?limit=x", "?limit=-1", "?state=nonsense", "?before=x"):
            with self.subTest(query=query):
                self.assertEqual(daemon.ask("GET", "/remediations" + query)[0], 400)

    def test_records_are_paged_and_the_log_verifies(self):
        bucket, daemon = self.bucket(), self.daemon()
        daemon.ask("POST", "/events", harness.create_bucket(bucket))
        ident = self.ended(daemon, bucket)["id"]
        _, whole, _ = daemon.ask("GET", "/audit/records")
        paged, start = [], 0
        while start is not None:
            _, page, _ = daemon.ask("GET", f"/audit/records?limit=2&from={start}")
            paged += page["records"]
            start = page.get("next")
        self.assertEqual(paged, whole["records"])
        self.assertEqual([r["index"] for r in paged], list(range(len(paged))))
        _, own, _ = daemon.ask("GET", f"/remediations/{ident}/records")
        states = [json.loads(r["text"]).get("state") for r in own["records"]]
        self.assertEqual(states[-1], "healed")
        _, verified, _ = daemon.ask("GET", "/audit/verify")
        self.assertEqual((verified["good"], verified["leaves"]), (True, len(paged)))

    def test_the_table_of_routes_is_its_own_help(self):
        _, answer, _ = self.daemon().ask("GET", "/routes", token=None)
        by_path = {(r["method"], r["path"]): r["access"] for r in answer["routes"]}
        self.assertEqual(by_path["POST", "/events"], "token")
        self.assertEqual(by_path["POST", "/remediations/ID/approve"], "socket")
        self.assertTrue(all(r["help"] for r in answer["routes"]))

    def test_too_many_header_bytes_are_refused(self):
        daemon = self.daemon()
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
        connection.request("GET", "/livez", headers={"X-Pad": "x" * 40000})
        self.assertIn(connection.getresponse().status, (413, 431))
        self.assertEqual(daemon.ask("GET", "/livez")[0], 200)

    def test_clients_that_never_finish_stop_nobody(self):
        daemon = self.daemon()
        for _ in range(40):
            slow = socket.create_connection(("127.0.0.1", daemon.port), 20)
            self.addCleanup(slow.close)
            slow.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        self.assertEqual(daemon.ask("GET", "/livez")[0], 200)
        body = json.dumps(harness.create_bucket(self.bucket()))
        self.assertEqual(daemon.ask("POST", "/events", body)[0], 202)

    def test_no_memory_of_it_reaches_a_disk(self):
        daemon = self.daemon()
        limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0 ")

    @unittest.skipIf("asan" in os.environ.get("RECTIFY_BUILD", ""), "the sanitizer looks in")
    def test_nobody_else_looks_into_it(self):
        """Whoever may not be looked into belongs to root in /proc, whoever runs it."""
        own = self.home / "rectify"
        shutil.copy(self.rectify("s3").binary, own)
        self.home.chmod(0o755)
        nobody = {"user": 65534} if os.getuid() == 0 else {}
        process = subprocess.Popen([own, "match", "--pattern", '{"a": [1]}'], cwd="/",
                                   stdin=subprocess.PIPE, **nobody)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        memory = pathlib.Path(f"/proc/{process.pid}/mem")
        self.assertTrue(self.rectify("s3").wait_for(lambda: memory.stat().st_uid == 0))


class TestPeople(DaemonCase):
    def asked(self):
        bucket, daemon = self.bucket(), self.daemon(assignments=APPROVE)
        daemon.ask("POST", "/events", harness.create_bucket(bucket))
        row = daemon.rectify.wait_for(
            lambda: [r for r in daemon.rectify.of(bucket) if r["state"] == "asking"])
        return bucket, daemon, row[0]["id"]

    def test_decisions_come_over_the_socket_only(self):
        bucket, daemon, ident = self.asked()
        for verb in ("approve", "deny", "rollback"):
            self.assertRefused(daemon.ask("POST", f"/remediations/{ident}/{verb}", {}), 403,
                               "H0003")
        self.assertEqual(self.tags(bucket), {})

    def test_approve_by_command(self):
        bucket, daemon, ident = self.asked()
        self.assertEnded(daemon.rectify.command("approve", ident, "--reason", "yes, of course"))
        self.assertEqual(self.ended(daemon, bucket)["state"], "healed")
        again = daemon.rectify.command("approve", ident)
        self.assertEnded(again, EXIT_FAILED)

    def test_the_person_is_whom_the_kernel_names(self):
        bucket, daemon, ident = self.asked()
        status, answer, _ = daemon.ask("POST", f"/remediations/{ident}/deny",
                                       {"by": "mallory", "reason": "no"}, unix=True)
        self.assertEqual(status, 200)
        self.assertRegex(answer["by"], r"^mallory \(entered by [^ @]+@\S+\)$")
        self.assertEqual(self.ended(daemon, bucket)["state"], "denied")
        self.assertEqual(daemon.ask("POST", f"/remediations/{ident}/deny", {}, unix=True)[0] // 100,
                         4)

    def test_a_body_that_is_no_decision(self):
        _, daemon, ident = self.asked()
        for body in ("[]", "{", '{"by": "' + "x" * 201 + '"}'):
            with self.subTest(body=body[:9]):
                path = f"/remediations/{ident}/approve"
                self.assertEqual(daemon.ask("POST", path, body, unix=True)[0], 400)
        self.assertRefused(daemon.ask("POST", "/remediations/r999/approve", {}, unix=True), 404,
                           "E0034")

    def test_rollback_by_command(self):
        bucket, daemon = self.bucket({"keep": "me"}), self.daemon()
        daemon.ask("POST", "/events", harness.create_bucket(bucket))
        ident = self.ended(daemon, bucket)["id"]
        shown = daemon.rectify.command("rollback", ident, "--dry-run")
        self.assertEnded(shown)
        self.assertIn("s3:PutBucketTagging in", shown.stdout)
        self.assertIn("cost-center", self.tags(bucket))
        done = daemon.rectify.command("rollback", ident)
        self.assertEnded(done)
        self.assertTrue(done.stdout.startswith(shown.stdout), done.stdout)
        self.assertIn(f"takes back {ident}", done.stdout)
        self.assertEqual(self.tags(bucket), {"keep": "me"})
        self.assertRefused(daemon.ask("POST", "/remediations/r999/rollback", {}, unix=True), 404,
                           "E0005")


class TestCommands(DaemonCase):
    def test_the_same_answers_with_and_without_the_daemon(self):
        bucket, daemon = self.bucket(), self.daemon()
        rectify = daemon.rectify
        daemon.ask("POST", "/events", harness.create_bucket(bucket))
        ident = self.ended(daemon, bucket)["id"]
        commands = (["list"], ["list", "-o", "json"], ["list", "--policy", "a b&c=d%"],
                    ["show", ident],
                    ["show", ident, "-o", "json"], ["explain", ident], ["show", "r999"],
                    ["audit", "show"], ["audit", "show", ident], ["audit", "verify"],
                    ["audit", "verify", "-o", "json"], ["approve", ident], ["rollback", "r999"])
        asked = [rectify.command(*c) for c in commands]
        self.assertEqual(daemon.stop(), 0)
        for command, over_socket in zip(commands, asked):
            with self.subTest(command=command):
                if command[0] == "rollback":
                    command = [*command, "--policies", rectify.policies]
                alone = rectify.command(*command)
                self.assertEqual((over_socket.returncode, over_socket.stdout),
                                 (alone.returncode, alone.stdout))
                self.assertEqual(over_socket.stderr, alone.stderr)
        self.assertIn("healed", asked[0].stdout)

    def test_the_socket_is_ours_alone(self):
        daemon = self.daemon()
        self.assertEqual(stat.S_IMODE(os.stat(daemon.socket).st_mode), 0o600)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become another user")
    def test_another_user_is_refused(self):
        daemon = self.daemon()
        for folder in (self.home, daemon.rectify.home, daemon.rectify.state):
            os.chmod(folder, 0o777)
        os.chmod(daemon.socket, 0o666)
        read, write = os.pipe()
        if os.fork() == 0:
            os.setuid(65534)
            try:
                status = daemon.ask("GET", "/remediations", unix=True)[0]
            except OSError:
                status = 1
            os.write(write, str(status).encode())
            os._exit(0)
        os.wait()
        self.assertEqual(os.read(read, 10), b"401")


class TestLife(DaemonCase):
    def test_a_port_in_use_is_a_clear_error(self):
        first = self.daemon()
        other = self.rectify("s3", name="other")
        done = other.command("run", "--policies", other.policies, "--listen",
                             f"127.0.0.1:{first.port}")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("H0011", done.stderr)
        self.assertIn(str(first.port), done.stderr)

    def test_an_address_that_is_none(self):
        rectify = self.rectify("s3")
        for address in ("8787", "localhost:8787", "127.0.0.1:99999", ":1", "::1:80",
                        "1.2.3.4.5:80"):
            with self.subTest(address=address):
                done = rectify.command("run", "--policies", rectify.policies, "--listen", address)
                self.assertEnded(done, EXIT_FAILED)
                self.assertIn("H0010", done.stderr)

    def test_a_second_daemon_on_the_same_state_is_refused(self):
        rectify = self.daemon().rectify
        done = rectify.command("run", "--policies", rectify.policies, "--listen", "127.0.0.1:0")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("S0001", done.stderr)

    def test_it_ends_cleanly(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(how=how):
                daemon = self.daemon(rectify=self.rectify("s3", name=how.name))
                self.assertEqual(daemon.stop(how), 0)
                self.assertFalse(daemon.socket.exists())
                self.assertIn("ended", daemon.text())

    def test_steps_that_run_are_finished(self):
        bucket, daemon = self.bucket(), self.daemon()
        self.proxy.rule(lambda seen: seen.changes, delay_s=1.0)
        daemon.ask("POST", "/events", harness.create_bucket(bucket))
        daemon.rectify.wait_for(lambda: self.proxy.changes(bucket))
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
        self.assertNotIn("unknown", [r["state"] for r in daemon.rectify.of(bucket)])

    def test_a_stale_socket_is_replaced(self):
        daemon = self.daemon()
        daemon.stop(signal.SIGKILL)
        self.assertTrue(daemon.socket.exists())
        again = self.daemon(rectify=daemon.rectify)
        self.assertEqual(again.ask("GET", "/livez", unix=True)[0], 200)

    def test_many_at_once(self):
        import threading
        daemon, statuses = self.daemon(assignments=LATER), []
        def post(worker):
            for i in range(10):
                record = harness.create_bucket(f"many-{worker}-{i}")
                statuses.append(daemon.ask("POST", "/events", record)[0])
        threads = [threading.Thread(target=post, args=(i,)) for i in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(statuses, [202] * 160)
        self.assertEqual(daemon.ask("GET", "/readyz")[1]["active"], 160)


if __name__ == "__main__":
    harness.main()
