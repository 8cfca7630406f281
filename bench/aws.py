#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The AWS client beside boto3, in one run, on one machine, against one stub.

  event    CPU of the two calls of a repair (GetBucketTagging, PutBucketTagging), one at a time:
           of boto3 the warm loop alone, its best case
  start    `rectify aws` from the making of the process to its first call on the wire: plain, and
           with TLS verified by the system's certificates, as a folder of hashed names and as one
           file
  sweep    1,000 buckets, two calls each, 64 in flight, every answer 20 ms late, and the memory

Medians of several runs. The stub's counters prove that the work was done."""
import argparse
import json
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from e2e import Lambda, Stub, environment, finish, spawn

GOALS = {"s3": 1.0, "ec2": 5.0, "event": 20.0, "start": 9.0, "tls": 25.0, "bundle": 25.0,
         "sweep": 0.8, "rss": 20.0}
SYSTEM_CERTIFICATES = pathlib.Path("/etc/ssl/certs")


def client(build, stub, events, threads):
    stub.get("__reset")
    done = subprocess.run([build / "bench" / "bench_aws", build / "models", stub.endpoint,
                           str(events), str(threads)], capture_output=True, text=True, check=True)
    counts = stub.get("__counts")
    if counts["gets"] != events or counts["puts"] != events:
        raise RuntimeError(f"the work was not done: the stub saw {counts}")
    return json.loads(done.stdout)


def first_use_ms(build, operation, runs):
    """In a process of its own each time, the file in the page cache."""
    words = [build / "bench" / "bench_aws", build / "models", operation]
    return statistics.median(
        float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        for _ in range(runs)) / 1000


def start_ms(binary, env, first_ns, runs):
    """`first_ns()` tells when the call arrived."""
    times = []
    with tempfile.NamedTemporaryFile() as log:
        for _ in range(runs):
            pid, start = spawn([str(binary), "aws", "s3:GetBucketTagging", "Bucket=ok-1"], env,
                               log.name)
            finish(pid, log.name)
            times.append((first_ns() - start) / 1e6)
    return statistics.median(times)


class TlsServer:
    """Answers one request a connection; tells when its first byte came."""

    def __init__(self, home):
        key, cert = home / "key.pem", home / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=rectify bench", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.cert, self.at_ns = cert, 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        body = b"<Tagging><TagSet></TagSet></Tagging>"
        while True:
            plain, _ = self.listener.accept()
            try:
                with self.context.wrap_socket(plain, server_side=True) as peer:
                    peer.recv(65536)
                    self.at_ns = time.monotonic_ns()
                    peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
                                 b"%d\r\n\r\n%s" % (len(body), body))
            except OSError as error:
                print(f"  TLS server: {error}", file=sys.stderr)

    def folder(self, home):
        """The system's certificates and ours, by hashed names."""
        folder = home / "certs"
        shutil.copytree(SYSTEM_CERTIFICATES, folder, symlinks=True)
        name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", self.cert], check=True,
                              capture_output=True, text=True).stdout.strip()
        shutil.copy(self.cert, folder / f"{name}.0")
        return folder

    def bundle(self, home):
        path = home / "bundle.pem"
        system = (SYSTEM_CERTIFICATES / "ca-certificates.crt").read_text()
        path.write_text(system + self.cert.read_text())
        return path


def measure(build, home, options):
    binary = build / "src" / "rectify"
    figures = {"s3": first_use_ms(build, "s3:GetBucketTagging", options.starts),
               "ec2": first_use_ms(build, "ec2:DescribeInstances", options.starts)}
    with Stub(build / "bench" / "stub") as fast, Stub(build / "bench" / "stub", 20) as slow:
        ours = statistics.median(client(build, fast, 20000, 1)["cpu_us"]
                                 for _ in range(options.runs))
        boto3 = Lambda(home)
        theirs = statistics.median(boto3.cpu_us(fast, "bad", 1000, i) for i in range(options.runs))
        figures.update(event_us=ours, boto3_us=theirs, event=theirs / ours)
        figures["start"] = start_ms(binary, environment(fast.endpoint),
                                    lambda: fast.get("__counts")["last_ns"], options.starts)
        sweeps = [client(build, slow, 1000, 64) for _ in range(options.runs)]
        figures["sweep"] = statistics.median(s["wall_s"] for s in sweeps)
        figures["rss"] = statistics.median(s["peak_kib"] for s in sweeps) / 1024
    server = TlsServer(home)
    for name, path in (("tls", server.folder(home)), ("bundle", server.bundle(home))):
        env = {**environment(server.endpoint), "AWS_CA_BUNDLE": str(path)}
        figures[name] = start_ms(binary, env, lambda: server.at_ns, options.starts)
    return figures


ROWS = [("event", "CPU of two calls, times less than boto3", False),
        ("s3", "first use of S3's model, ms", True), ("ec2", "first use of EC2's model, ms", True),
        ("start", "start to first call, plain, ms", True),
        ("tls", "start to first call, TLS, folder, ms", True),
        ("bundle", "start to first call, TLS, one file, ms", True),
        ("sweep", "1,000 buckets, 64 in flight, 20 ms, s", True),
        ("rss", "peak memory of that, MB", True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--starts", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-bench-"))
    try:
        figures = measure(options.build.resolve(), home, options)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"two calls: {figures['event_us']:.1f} us of CPU, boto3 {figures['boto3_us']:.0f} us")
    for key, label, less in ROWS:
        met = figures[key] <= GOALS[key] if less else figures[key] >= GOALS[key]
        print(f"{label:42} {figures[key]:8.2f}   goal {'<=' if less else '>='} {GOALS[key]:5.1f}"
              f"{'' if met else '   missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
