#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify replay over a gigabyte of history made from real records (../shared/events), each copy
with an event id of its own: JSON lines, CloudTrail's files in S3's layout (gzip), zstd; with the
policies of policies/. Figures are of events' bytes, unpacked. `cpu` is a core's own time: what one
core does alone on a quiet machine; `wall` depends on who else is there."""
import argparse
import gzip
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("RECTIFY_SHARED") or ROOT.parent / "shared")
EVENTS = SHARED / "events" / "cloudtrail.jsonl.gz"
RECORDS_A_FILE = 2000  # about 2.5 MB, as a busy account's
EVENT_ID = re.compile(rb'"eventID":\s*"[0-9a-f]{8}-')


def records():
    """The real records, without end, no event id twice."""
    lines = gzip.decompress(EVENTS.read_bytes()).splitlines()
    copy = 0
    while True:
        for line in lines:
            yield EVENT_ID.sub(b'"eventID":"%08x-' % copy, line)
        copy += 1


def make(folder, size):
    """JSON lines of about `size` bytes, a tenth of it as gzip files, a third as zstd."""
    source, written, batch, day = records(), 0, [], folder / "AWSLogs/111122223333/CloudTrail"
    day = day / "us-east-1/2026/01/05"
    day.mkdir(parents=True)
    with open(folder / "lines.jsonl", "wb") as lines:
        while written < size:
            record = next(source)
            lines.write(record + b"\n")
            written += len(record) + 1
            if written < size / 5:
                batch.append(record)
            if len(batch) == RECORDS_A_FILE:
                name = f"111122223333_CloudTrail_us-east-1_{written}.json.gz"
                body = b'{"Records":[' + b",".join(batch) + b"]}"
                (day / name).write_bytes(gzip.compress(body, 6))
                batch = []
    head = subprocess.Popen(["head", "-c", str(size // 3), folder / "lines.jsonl"],
                            stdout=subprocess.PIPE)
    try:
        subprocess.run(["zstd", "-q", "-o", folder / "lines.jsonl.zst"], stdin=head.stdout,
                       check=True)
    except FileNotFoundError:
        pass
    head.stdout.close()
    head.wait()


def once(rectify, path, *options):
    """(events, bytes, wall seconds, processor seconds)"""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([rectify, "replay", path, "--policies", ROOT / "policies", "-o", "json",
                           *options], capture_output=True, check=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = json.loads(done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return answer["events"], answer["bytes"], wall, cpu


def measure(rectify, name, path, rounds, *options):
    runs = [once(rectify, path, *options) for _ in range(rounds)]
    events, size = runs[0][:2]
    wall = statistics.median(r[2] for r in runs)
    best, cpu = min(r[2] for r in runs), statistics.median(r[3] for r in runs)
    print(f"{name:28} {size / 1e6:8.0f} MB  wall {size / 1e6 / wall:6.0f} MB/s "
          f"(best {size / 1e6 / best:6.0f})  cpu {size / 1e6 / cpu:6.0f} MB/s a core, "
          f"{events / cpu:9.0f} events/s a core", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--size", type=int, default=1_000_000_000, help="bytes of JSON lines")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if not EVENTS.exists():
        print(f"skip: no {EVENTS.name} in {SHARED.name}/events")
        return
    rectify = options.build / "src" / "rectify"
    with tempfile.TemporaryDirectory(prefix="rectify-bench-") as home:
        home = pathlib.Path(home)
        make(home, options.size)
        print(f"{os.cpu_count()} cores, median of {options.rounds}")
        measure(rectify, "JSON lines", home / "lines.jsonl", options.rounds)
        measure(rectify, "JSON lines, one thread", home / "lines.jsonl", options.rounds,
                "--jobs", "1")
        measure(rectify, "JSON lines, --against", home / "lines.jsonl", options.rounds,
                "--against", ROOT / "policies")
        measure(rectify, "S3 layout, gzip", home / "AWSLogs", options.rounds)
        if (home / "lines.jsonl.zst").exists():
            measure(rectify, "JSON lines, one zstd file", home / "lines.jsonl.zst",
                    options.rounds)


if __name__ == "__main__":
    main()
