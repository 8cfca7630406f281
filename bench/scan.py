#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A scan of 1,000 compliant buckets: rectify, and with --peers Cloud Custodian (c7n of PyPI,
pinned, in a venv of its own) at the same work, on the same moto and on the fast stub. Wall
seconds, medians of several runs; calls as the stub counted them.

  rectify    `rectify scan` with every policy's guards and a journal, from an empty store
  c7n        `custodian run --dryrun` without its cache: as it is, and at its best
             (`augment-keys: none`,
             which most of its filters on buckets do not bear)

Goals: at least 5 times faster on moto, 50 times on the stub, at most 2 calls a compliant bucket."""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cloud"))
sys.path.insert(0, str(ROOT / "bench"))
from e2e import Stub  # noqa: E402
from harness.moto import Moto, environment  # noqa: E402

BUCKETS = 1000
CUSTODIAN = "c7n==0.9.53"
POLICY = ROOT / "policies" / "s3" / "s3-cost-center-tag.yaml"
ASSIGNMENT = 'assignments:\n  - {policies: ["*"], accounts: "*", mode: enforce, settle: 0s}\n'
C7N = """policies:
- name: cost-center
  resource: s3
  source: describe
  %s
  filters: [{"tag:cost-center": absent}]
"""


class Rectify:
    name = "rectify"

    def __init__(self, binary, home):
        self.binary, self.home = binary, home
        (home / "policies").mkdir()
        shutil.copy(POLICY, home / "policies")
        (home / "policies" / "rectify.yaml").write_text(ASSIGNMENT)

    def run(self, endpoint, number):
        state = self.home / f"state-{number}-{time.monotonic_ns()}"
        start = time.monotonic()
        done = subprocess.run([self.binary, "scan", "--policies", self.home / "policies",
                               "--state", state], env=environment(endpoint), capture_output=True,
                              text=True, check=False)
        seconds = time.monotonic() - start
        if done.returncode != 0 or f"{BUCKETS} compliant" not in done.stderr:
            raise RuntimeError(done.stderr[-1000:])
        shutil.rmtree(state)
        return seconds


class Custodian:
    def __init__(self, program, home, name, query):
        self.program, self.home, self.name = program, home / name.replace(" ", "-"), name
        self.home.mkdir()
        (self.home / "c7n.yml").write_text(C7N % query)

    def run(self, endpoint, number):
        out = self.home / f"c7n-{number}"
        env = {**environment(endpoint), "HOME": str(self.home)}
        start = time.monotonic()
        done = subprocess.run([self.program, "run", "--dryrun", "--cache-period", "0", "-s", out,
                               "-r", "us-east-1", self.home / "c7n.yml"], env=env,
                              capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
        if done.returncode != 0 or "count:0" not in done.stderr:
            raise RuntimeError(done.stderr[-1000:])
        return seconds


def custodian_program():
    """The pinned one, in a venv of its own; made when it is not there."""
    home = ROOT / ".venv-c7n"
    program = home / "bin" / "custodian"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "-q", "install", CUSTODIAN], check=True)
    return program


def fill(moto):
    s3 = moto.client("s3")
    for i in range(BUCKETS):
        s3.create_bucket(Bucket=f"ok-{i:05d}")
        s3.put_bucket_tagging(Bucket=f"ok-{i:05d}", Tagging={
            "TagSet": [{"Key": "cost-center", "Value": "1"}]})


def measure(who, where, endpoint, runs):
    times = [who.run(endpoint, i) for i in range(runs)]
    print(f"  {where:5} {who.name:16} {statistics.median(times):8.3f} s  "
          f"({min(times):.3f} to {max(times):.3f}, n={runs})", flush=True)
    return statistics.median(times)


def count_on_stub(who, stub):
    stub.get("__reset")
    who.run(stub.endpoint, "count")
    counts = stub.get("__counts")
    calls = sum(counts[k] for k in ("gets", "puts", "sts", "lists", "locations", "others"))
    print(f"  calls {who.name:16} {calls:5} in all, {calls / BUCKETS:.2f} a bucket  "
          f"{json.dumps({k: v for k, v in counts.items() if v and not k.endswith('ns')})}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-bench-"))
    try:
        rectify = Rectify(options.build / "src" / "rectify", home)
        everyone = [rectify]
        if options.peers or os.environ.get("RECTIFY_BENCH_PEERS"):
            program = custodian_program()
            everyone += [Custodian(program, home, "c7n", ""),
                         Custodian(program, home, "c7n at its best",
                                   "query: [{augment-keys: none}]")]
        print(f"{BUCKETS} compliant buckets")
        medians = {}
        with Moto() as moto:
            fill(moto)
            for who in everyone:
                medians["moto", who.name] = measure(who, "moto", moto.endpoint,
                                                    options.runs if who is rectify else 2)
        with Stub(options.build / "bench" / "stub", options=["-n", str(BUCKETS)]) as stub:
            for who in everyone:
                medians["stub", who.name] = measure(who, "stub", stub.endpoint,
                                                    options.runs if who is rectify else 2)
            for who in everyone:
                count_on_stub(who, stub)
        for where, goal in (("moto", 5), ("stub", 50)):
            for who in everyone[1:]:
                ratio = medians[where, who.name] / medians[where, "rectify"]
                print(f"  {where:5} {ratio:.1f} times faster than {who.name} (goal {goal})")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
