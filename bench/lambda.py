#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify as a Lambda function beside the boto3 handler, in one run: both behind the same stub of
the runtime API, with the same events and the same stub of S3, in turns.

  cold    the process's start to the first call on the wire, an invocation waiting: the S3 stub's
          clock against the clock just before the process is made
  peak    the most memory that it ever had resident (VmHWM), after the first answer
  warm    an invocation, from being given to being answered, and the CPU time that it takes

rectify is the bundle, as it is deployed, and journals into a file that it opens anew each time; the
handler has no journal. Medians. Never a test."""
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
sys.path[:0] = [str(ROOT / "tests" / "cloud"), str(ROOT / "bench")]
from e2e import ASSIGNMENT, POLICY, Stub, spawn, write_events  # noqa: E402
from harness.moto import environment  # noqa: E402
from harness.runtime import RuntimeApi  # noqa: E402

GOALS = {"cold": 15.0, "peak": 2.5}
ROWS = [("cold", "start to first call, ms"), ("peak", "peak resident, MB"),
        ("peak_bad", "peak resident, repaired, MB"), ("warm", "an invocation, compliant, ms"),
        ("cpu", "CPU of it, ms")]


class Contestant:
    def __init__(self, name, command, env):
        self.name, self.command, self.env = name, command, env
        self.figures = {key: [] for key, _ in ROWS}

    def start(self, api, stub, home):
        env = {**environment(stub.endpoint), **self.env, "AWS_LAMBDA_RUNTIME_API": api.address}
        env.pop("LD_LIBRARY_PATH", None)
        return spawn(self.command, env, home / "log")


def event(home, prefix, number):
    return json.loads(write_events(home / "event.json", f"{prefix}-{number}", 1).read_text())


def status_mb(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {name}")


def cpu_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(fields[0]) / 1e6


def end(pid):
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def cold(contestant, stub, home, number, prefix):
    api = RuntimeApi().start()
    stub.get("__reset")
    given = api.give(event(home, prefix, number))
    pid, start = contestant.start(api, stub, home)
    try:
        api.answer(given)
        counts = stub.get("__counts")
        if counts["gets"] < 1 or counts["puts"] != (prefix == "bad"):
            raise RuntimeError(f"{contestant.name}: the work was not done: {counts}")
        if prefix == "ok":
            contestant.figures["cold"].append((counts["first_ns"] - start) / 1e6)
        key = "peak" if prefix == "ok" else "peak_bad"
        contestant.figures[key].append(status_mb(pid, "VmHWM"))
    finally:
        end(pid)
        api.stop()


def warm(contestant, stub, home, count):
    api = RuntimeApi().start()
    pid, _ = contestant.start(api, stub, home)
    try:
        api.answer(api.give(event(home, "ok", "first")))
        before = cpu_ms(pid)
        for i in range(count):
            one = event(home, "ok", f"warm-{i}")
            start = time.monotonic()
            api.answer(api.give(one))
            contestant.figures["warm"].append((time.monotonic() - start) * 1e3)
        contestant.figures["cpu"].append((cpu_ms(pid) - before) / count)
    finally:
        end(pid)
        api.stop()


def make_rectify(build, home):
    bundle, policies = home / "task", home / "policies"
    policies.mkdir()
    shutil.copy(POLICY, policies)
    (policies / "rectify.yaml").write_text(ASSIGNMENT)
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "bundle.py"), "--build", str(build),
                           "--out", str(bundle), "--at", str(bundle), "--policies", str(policies)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Contestant("rectify", [str(bundle / "bootstrap")], {
        "LAMBDA_TASK_ROOT": str(bundle), "RECTIFY_STATE": str(home / "state"),
        "RECTIFY_STORE": str(home / "rectify.db")})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-bench-"))
    handler = ROOT / "bench" / "baseline" / "runtime_lambda.py"
    try:
        ours = make_rectify(options.build.resolve(), home)
        theirs = Contestant("boto3", [sys.executable, str(handler)], {})
        with Stub(options.build / "bench" / "stub") as stub:
            for number in range(options.runs + 1):
                for contestant in (ours, theirs):
                    cold(contestant, stub, home, number, "ok")
                    cold(contestant, stub, home, number, "bad")
            for contestant in (ours, theirs):
                warm(contestant, stub, home, 60)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    medians = {c.name: {key: statistics.median(c.figures[key]) for key, _ in ROWS}
               for c in (ours, theirs)}
    if options.json:
        print(json.dumps(medians))
        return 0
    print(f"{'':32} {'rectify':>10} {'boto3':>10} {'better by':>10} {'goal':>8}")
    for key, label in ROWS:
        a, b, goal = medians["rectify"][key], medians["boto3"][key], GOALS.get(key)
        missed = "   missed" if goal and b / a < goal else ""
        print(f"{label:32} {a:10.2f} {b:10.2f} {b / a:9.1f}x "
              f"{'>= %.1fx' % goal if goal else '':>8}{missed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
