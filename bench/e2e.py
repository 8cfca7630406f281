#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole program beside the boto3 Lambda, in one run, on one machine, against one stub.

  start    process start to the first call on the wire, with an existing store: the stub's clock
           against the clock just before the process is made
  memory   resident and anonymous, at rest after the work
  cpu      user + system an event over one file of events, compliant and repaired: of rectify the
           whole process with its journal, of the Lambda the warm loop alone (its best case)
  flow     repairs a second, 64 in flight, every answer 20 ms late; rectify also reads back

Medians of several runs. The stub's counters prove that the work was done."""
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
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cloud"))
from harness.moto import die_with_parent, environment, free_port  # noqa: E402

POLICY = ROOT / "bench" / "s3-cost-center-tag.yaml"
EVENT = (ROOT / "bench" / "baseline" / "event.json").read_text()
LAMBDA = ROOT / "bench" / "baseline" / "run_lambda.py"
ASSIGNMENT = 'limits: {account: {at_once: 0, per_hour: 0}, fleet: {at_once: 0}}\n' \
             'assignments:\n  - {policies: ["*"], accounts: "*", mode: enforce, settle: 0s}\n'
GOALS = {"start_ms": 9.0, "rss_mb": 18.0, "anon_mb": 6.0, "ok_us": 100.0, "bad_us": 250.0,
         "flow": 900.0}


class Stub:
    def __init__(self, binary, delay_ms=0, options=()):
        self.port = free_port()
        options = [*options, *(["-w", str(delay_ms)] if delay_ms else [])]
        self.process = subprocess.Popen([str(binary), str(self.port), *options],
                                        preexec_fn=die_with_parent)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        for _ in range(200):
            try:
                self.get("__counts")
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("the stub does not answer")

    def get(self, what):
        with urllib.request.urlopen(f"{self.endpoint}/{what}", timeout=10) as answer:
            return json.load(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def write_events(path, prefix, count):
    """EventBridge envelopes, one a line, each of a bucket and with ids of its own."""
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            event = json.loads(EVENT)
            event["id"] = str(uuid.uuid4())
            event["time"] = event["detail"]["eventTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                                         time.gmtime())
            event["detail"]["eventID"] = str(uuid.uuid4())
            event["detail"]["requestID"] = uuid.uuid4().hex[:16].upper()
            event["detail"]["requestParameters"]["bucketName"] = f"{prefix}-{i:05d}"
            out.write(json.dumps(event) + "\n")
    return path


def spawn(command, env, log):
    """Starts a process as cheaply as can be; its id and the clock just before."""
    start = time.monotonic_ns()
    pid = os.posix_spawn(command[0], command, env, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2)])
    return pid, start


def finish(pid, log):
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise RuntimeError(f"ended with {code}: {pathlib.Path(log).read_text()[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def memory_mb(pid):
    fields = dict(line.split(":", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))


class Rectify:
    name = "rectify"

    def __init__(self, binary, home):
        self.binary, self.home = str(binary), home
        self.policies = home / "policies"
        self.policies.mkdir(exist_ok=True)
        shutil.copy(POLICY, self.policies)
        (self.policies / "rectify.yaml").write_text(ASSIGNMENT)

    def command(self, state, *more):
        return [self.binary, "run", "--policies", str(self.policies), "--state",
                str(self.home / state), *map(str, more)]

    def run(self, stub, state, events, *more):
        """(CPU seconds, wall seconds, start, the stub's counters)"""
        stub.get("__reset")
        log = self.home / "log"
        log.unlink(missing_ok=True)
        pid, start = spawn(self.command(state, "--events", events, *more),
                           environment(stub.endpoint), log)
        cpu = finish(pid, log)
        return cpu, (time.monotonic_ns() - start) / 1e9, start, stub.get("__counts")

    def start_ms(self, stub, runs):
        times = []
        for i in range(runs + 1):  # the first makes the store
            events = write_events(self.home / "one.jsonl", f"ok-{i}", 1)
            _, _, start, counts = self.run(stub, "start", events)
            times.append((counts["first_ns"] - start) / 1e6)
        return times[1:]

    def memory(self, stub):
        log = self.home / "log"
        pid, _ = spawn(self.command("start", "--listen", "127.0.0.1:0"),
                       environment(stub.endpoint), log)
        time.sleep(1.5)
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done:
            raise RuntimeError("the daemon ended: " + log.read_text()[-500:])
        figures = memory_mb(pid)
        os.kill(pid, 15)
        os.waitpid(pid, 0)
        return figures

    def cpu_us(self, stub, prefix, count, run):
        events = write_events(self.home / "many.jsonl", prefix, count)
        cpu, _, _, counts = self.run(stub, f"{prefix}-{run}", events)
        expect_work(counts, prefix, count)
        return cpu / count * 1e6

    def flow(self, stub, count, run):
        events = write_events(self.home / "many.jsonl", "bad", count)
        _, _, _, counts = self.run(stub, f"flow-{run}", events, "--workers", "64")
        expect_work(counts, "bad", count)
        return count / ((counts["last_ns"] - counts["first_ns"]) / 1e9)


def expect_work(counts, prefix, count):
    puts = count if prefix == "bad" else 0
    if counts["puts"] != puts or counts["gets"] < count:
        raise RuntimeError(f"the work was not done: {count} events, and the stub saw {counts}")


class Lambda:
    name = "boto3 Lambda"

    def __init__(self, home):
        self.home = home

    def run(self, stub, events, threads=1):
        stub.get("__reset")
        start = time.monotonic_ns()
        process = subprocess.Popen([sys.executable, str(LAMBDA), str(events), str(threads)],
                                   env=environment(stub.endpoint), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        figures = json.loads(process.stdout.readline())
        memory = memory_mb(process.pid)
        process.communicate()
        return figures, memory, start, stub.get("__counts")

    def start_ms(self, stub, runs):
        events = write_events(self.home / "one.jsonl", "ok", 1)
        times = []
        for _ in range(max(3, runs // 3)):
            _, _, start, counts = self.run(stub, events)
            times.append((counts["first_ns"] - start) / 1e6)
        return times

    def memory(self, stub):
        return self.run(stub, write_events(self.home / "one.jsonl", "ok", 1))[1]

    def cpu_us(self, stub, prefix, count, _):
        figures, _, _, counts = self.run(stub, write_events(self.home / "many.jsonl", prefix,
                                                            count))
        expect_work(counts, prefix, count)
        return figures["cpu_s"] / figures["events"] * 1e6

    def flow(self, stub, count, _):
        events = write_events(self.home / "many.jsonl", "bad", count)
        figures, _, _, counts = self.run(stub, events, threads=64)
        expect_work(counts, "bad", count)
        return figures["events"] / figures["wall_s"]


def median_of(runs, measure):
    return statistics.median(measure(i) for i in range(runs))


def measure(contestant, fast, slow, options):
    """{figure: value}; a figure that could not be taken is None, and says why."""
    figures = {}

    def take(name, what):
        try:
            figures[name] = what()
        except (RuntimeError, OSError, ValueError) as error:
            figures[name] = None
            print(f"  {contestant.name}: {name}: {error}", file=sys.stderr)

    take("start_ms", lambda: statistics.median(contestant.start_ms(fast, 21)))
    take("memory", lambda: contestant.memory(fast))
    for prefix in ("ok", "bad"):
        take(prefix + "_us", lambda p=prefix: median_of(
            options.runs, lambda i: contestant.cpu_us(fast, p, options.events, i)))
    take("flow", lambda: median_of(options.runs,
                                   lambda i: contestant.flow(slow, options.events, i)))
    rss, anonymous = figures.pop("memory") or (None, None)
    return {**figures, "rss_mb": rss, "anon_mb": anonymous}


ROWS = [("start_ms", "start to first call, ms", 1), ("rss_mb", "resident at rest, MB", 1),
        ("anon_mb", "of it anonymous, MB", 1), ("ok_us", "CPU an event, compliant, us", 1),
        ("bad_us", "CPU an event, repaired, us", 1), ("flow", "repairs/s, 64 in flight, 20 ms", -1)]


def cell(figure, unit=""):
    return f"{'-' if figure is None else f'{figure:.1f}{unit}':>10}"


def table(ours, theirs):
    print(f"{'':32} {'rectify':>10} {'boto3':>10} {'better by':>10} {'goal':>10}")
    for key, label, direction in ROWS:
        a, b, goal = ours.get(key), theirs.get(key), GOALS[key]
        met = a is not None and (a <= goal if direction > 0 else a >= goal)
        ratio = (b / a if direction > 0 else a / b) if a and b else None
        print(f"{label:32} {cell(a)} {cell(b)} {cell(ratio, 'x')} "
              f"{'<=' if direction > 0 else '>='}{goal:8.0f}{'' if met else '   missed'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    binary, stub = options.build / "src" / "rectify", options.build / "bench" / "stub"
    home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-bench-"))
    try:
        with Stub(stub) as fast, Stub(stub, delay_ms=20) as slow:
            ours = measure(Rectify(binary.resolve(), home), fast, slow, options)
            theirs = measure(Lambda(home), fast, slow, options)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if options.json:
        print(json.dumps({"rectify": ours, "boto3": theirs}))
        return 0
    table(ours, theirs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
