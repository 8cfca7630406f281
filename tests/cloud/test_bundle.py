#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bundle: complete by its own check, and run in a root that holds nothing but it; under AWS's
own emulator of Lambda's runtime where that can be had."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

import harness
from harness import CloudCase, RECTIFY
from harness.bundle import LIBRARY_PATH, Root, make_bundle
from harness.cases import POLICIES
from harness.moto import die_with_parent, free_port
from harness.postgres import Postgres, find_bin
from harness.runtime import RuntimeApi, sqs_batch, tick

EMULATOR = "github.com/aws/aws-lambda-runtime-interface-emulator"
EMULATOR_VERSION = "v0.0.0-20261030222936-bef5c4ba774d"
TAGGED = {"owner": "alice", "cost-center": "unassigned"}


class TestMaking(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-bundle-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def test_a_folder_that_is_no_bundle_is_left_alone(self):
        (self.home / "mine").write_text("x")
        done = make_bundle(self.home)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is no bundle", done.stderr)
        self.assertEqual((self.home / "mine").read_text(), "x")

    def test_the_check_names_what_is_missing(self):
        import sys
        sys.path.insert(0, str(harness.ROOT / "tools"))
        import bundle
        out = self.home / "b"
        done = make_bundle(out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing needed from outside", done.stdout)
        first = out.with_suffix(".zip").read_bytes()
        self.assertEqual(make_bundle(out).returncode, 0)
        self.assertEqual(out.with_suffix(".zip").read_bytes(), first)
        bundle.check(out)
        (out / "lib" / "libgssapi_krb5.so.2").unlink()
        with self.assertRaisesRegex(SystemExit, "libpq.so.5 needs libgssapi_krb5.so.2"):
            bundle.check(out)
        # a C library without the versions of this one
        shutil.copy(out / "lib" / "libffi.so.8", out / "lib" / "libc.so.6")
        with self.assertRaisesRegex(SystemExit, "bootstrap needs GLIBC_2.34 of libc.so.6"):
            bundle.check(out)


class TestAlone(CloudCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        why = Root.missing()
        if why:
            raise unittest.SkipTest(why)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="rectify-root-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        policies = cls.folder / "policies"
        policies.mkdir()
        shutil.copy(POLICIES["s3"], policies)
        (policies / "rectify.yaml").write_text(
            'assignments: [{policies: ["*"], accounts: "*", mode: enforce, settle: 0s}]\n')
        cls.root = Root(cls.folder / "root", policies)

    def setUp(self):
        super().setUp()
        self.api = RuntimeApi().start()
        self.addCleanup(self.api.stop)

    def function(self, env=None, **more):
        """The bundle's bootstrap, executed as Lambda does."""
        self.api.forget()
        log = open(self.home / "log", "ab")
        variables = {k: v for k, v in self.environment().items() if k.startswith("AWS_")}
        process = subprocess.Popen(
            self.root.command("/var/task/bootstrap"), stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent, cwd="/",
            env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": LIBRARY_PATH,
                 "LAMBDA_TASK_ROOT": "/var/task", "AWS_LAMBDA_RUNTIME_API": self.api.address,
                 "RECTIFY_STORE": f"/mnt/{self.home.name}.db", **variables, **(env or {})}, **more)

        def end():
            if process.poll() is None:
                process.kill()  # its pid namespace ends with it
            process.wait()
        self.addCleanup(end)
        return process

    def heals(self, process):
        bucket = self.bucket({"owner": "alice"})
        given = self.api.give(sqs_batch(harness.envelope(harness.create_bucket(bucket))))
        try:
            answer = self.api.answer(given)
        except AssertionError:
            process.kill()
            raise AssertionError((self.home / "log").read_text()) from None
        self.assertEqual(answer["batchItemFailures"], [])
        for _ in range(10):
            if self.tags(bucket) == TAGGED:
                break
            self.api.answer(self.api.give(tick()))
        self.assertEqual(self.tags(bucket), TAGGED, self.story())

    def story(self):
        store = self.root.home / "mnt" / f"{self.home.name}.db"
        return subprocess.run([str(RECTIFY), "audit", "show", "--store", str(store)], text=True,
                              capture_output=True, check=False).stdout[-1500:]

    def test_it_heals_with_nothing_but_the_bundle(self):
        self.heals(self.function())

    def test_it_finds_the_certificates_where_amazon_linux_has_them(self):
        front = TlsFront(self.home, self.proxy.endpoint)
        self.addCleanup(front.stop)
        bucket = self.bucket({"owner": "alice"})
        first = self.function({"AWS_ENDPOINT_URL": front.endpoint})
        self.api.answer(self.api.give(harness.envelope(harness.create_bucket(bucket))))
        self.assertEqual(self.proxy.seen, [])  # not trusted yet
        first.kill()
        first.wait()
        self.root.trust(front.certificate)
        self.addCleanup((self.root.home / "etc/pki/tls/certs/ca-bundle.crt").unlink)
        self.heals(self.function({"AWS_ENDPOINT_URL": front.endpoint}))

    def test_it_keeps_its_state_in_postgresql(self):
        if not find_bin():
            self.skipTest("PostgreSQL's programs are not here")
        with Postgres(durable=False) as server:
            if not str(server.folder).startswith("/dev/"):
                self.skipTest("the server's socket does not lie in what the root shares")
            self.heals(self.function({"RECTIFY_STORE": server.url}))
            self.assertEqual(server.number("SELECT count(*) FROM remediation"), 1)


class TlsFront:
    """TLS in front of an HTTP endpoint, with a certificate of its own for 127.0.0.1."""

    def __init__(self, home, endpoint):
        self.certificate, key = home / "front.pem", home / "front.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=front", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        key, "-out", self.certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)

        host, port = endpoint.removeprefix("http://").split(":")

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with context.wrap_socket(self.request, server_side=True) as near, \
                        socket.create_connection((host, int(port))) as far:
                    threading.Thread(target=pass_on, args=(far, near), daemon=True).start()
                    pass_on(near, far)

        def pass_on(source, target):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def find_emulator():
    """(path, None), or (None, why it cannot be had). RECTIFY_RIE names one; else it is built once
    from the Go module proxy."""
    said = os.environ.get("RECTIFY_RIE") or shutil.which("aws-lambda-rie")
    if said:
        return said, None
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    path = cache / "rectify" / EMULATOR_VERSION / "aws-lambda-rie"
    if path.exists():
        return str(path), None
    if not shutil.which("go"):
        return None, "AWS's runtime interface emulator needs Go, or RECTIFY_RIE"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["go", "install", f"{EMULATOR}/cmd/aws-lambda-rie@{EMULATOR_VERSION}"], text=True,
            env={**os.environ, "GOBIN": str(path.parent)}, capture_output=True, timeout=150,
            check=False)
    except subprocess.TimeoutExpired:
        return None, "AWS's runtime interface emulator could not be built within 150 s"
    if done.returncode:
        return None, f"AWS's runtime interface emulator: {done.stderr.strip().splitlines()[-1]}"
    return str(path), None


class TestEmulator(CloudCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.emulator, why = find_emulator()
        if why:
            raise unittest.SkipTest(why)

    def start(self, env=None):
        self.port = free_port()
        rectify = self.rectify("s3")
        self.log = self.home / "rie.log"
        process = subprocess.Popen(
            [self.emulator, "--log-level", "error", "--runtime-api-address",
             f"127.0.0.1:{free_port()}", "--runtime-interface-emulator-address",
             f"127.0.0.1:{self.port}", str(RECTIFY)],
            stdin=subprocess.DEVNULL, stdout=open(self.log, "ab"), stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent, cwd="/",
            env={**rectify.env, "RECTIFY_STATE": str(rectify.state),
                 "RECTIFY_STORE": str(rectify.state / "rectify.db"),
                 "AWS_LAMBDA_FUNCTION_TIMEOUT": "20", **(env or {})})

        def end():
            process.terminate()  # which ends the function too
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.addCleanup(end)
        return rectify

    def invoke(self, event):
        url = f"http://127.0.0.1:{self.port}/2015-03-31/functions/function/invocations"
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        for _ in range(100):
            try:
                with urllib.request.urlopen(url, data=body, timeout=60) as answer:
                    return json.load(answer)
            except ConnectionError:
                time.sleep(0.1)
            except urllib.error.HTTPError as error:  # the function ended
                return json.load(error)
            except urllib.error.URLError:
                time.sleep(0.1)
        raise AssertionError("the emulator does not answer: " + self.log.read_text())

    def test_it_heals_a_bucket(self):
        rectify = self.start()
        bucket = self.bucket({"owner": "alice"})
        event = harness.envelope(harness.create_bucket(bucket))
        self.assertEqual(self.invoke(event)["taken"]["matches"], 1)
        self.assertEqual(self.tags(bucket), TAGGED)
        answer = self.invoke(sqs_batch(event, "poison", harness.envelope(
            harness.create_bucket(self.bucket()))))
        self.assertEqual(answer["batchItemFailures"], [])
        self.assertEqual(answer["taken"], {"events": 3, "matches": 2, "redelivered": 1,
                                           "setAside": 1,
                                           "setAsideWhy": answer["taken"]["setAsideWhy"]})
        self.assertEqual(self.invoke(tick())["steps"], 0)
        self.assertEqual([r["state"] for r in rectify.list()], ["healed", "healed"])

    def test_what_cannot_start_is_told(self):
        self.start({"RECTIFY_STORE": ""})
        answer = self.invoke(tick())
        self.assertEqual(answer["errorType"], "L0016")

    def test_an_error_of_an_invocation_is_told(self):
        self.start({"RECTIFY_STORE": "/nowhere/rectify.db"})
        answer = self.invoke(tick())
        self.assertEqual(answer["errorType"], "S0002")
        self.assertIn("/nowhere", answer["errorMessage"])


if __name__ == "__main__":
    harness.main()
