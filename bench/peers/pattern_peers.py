#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The matcher beside aws event-ruler on the same rules and events, in one run.

    bench/peers/pattern_peers.py [--bench FILE] [--shared DIR] [ROW...]

Matches are counted on both sides and compared: event-ruler's rules disturb each other, so a
count that differs is shown, not hidden. Both are measured in the processor time of their thread.
quamina is left out: the module proxy refuses it."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ROWS = ["trail", "scale", "lots", "growth 1"]


def lines(command, **more):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def classpath(work):
    file = work / "classpath"
    subprocess.run(["mvn", "-q", "-B", "-f", str(HERE / "pattern" / "pom.xml"),
                    "dependency:build-classpath", f"-Dmdep.outputFile={file}"],
                   check=True, stdout=subprocess.DEVNULL)
    return file.read_text().strip()


def one_core(command):
    return ["taskset", "-c", "0"] + command


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", default=None, help="bench_pattern of an optimised build")
    parser.add_argument("--shared",
                        default=os.environ.get("RECTIFY_SHARED", str(ROOT.parent / "shared")))
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    bench = options.bench or next((str(p) for name in ("build-release", "build")
                                   for p in (ROOT / name / "bench").glob("*pattern*bench*")
                                   if p.is_file()), None)
    if not bench:
        print("pattern_peers: build first (./dev bench pattern)", file=sys.stderr)
        return 64
    rows = options.rows or ROWS
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run([bench, "--export", folder, options.shared, *rows], check=True)
        path = classpath(work)
        ours = {r["row"]: r for r in lines(one_core([bench, "--json", options.shared, *rows]))}
        theirs = {r["row"]: r for r in lines(one_core(
            ["java", "-XX:+UseSerialGC", "-Xmx3g", "-cp", path,
             str(HERE / "pattern" / "Ruler.java"), folder]))}
    print(f"{'row':34} {'rectify':>10} {'event-ruler':>12} {'times':>7} {'matches':>10} "
          "compile, rules/s")
    behind = 0
    for row, peer in theirs.items():
        own = ours[row]
        if peer.get("given_up"):
            print(f"{row:34} {own['ns']:8.0f}ns    given up: its rules took over a minute to add")
            continue
        same = "" if own["matches"] == peer["matches"] else f" (event-ruler {peer['matches']})"
        behind += own["ns"] >= peer["ns"]
        print(f"{row:34} {own['ns']:8.0f}ns {peer['ns']:10.0f}ns {peer['ns'] / own['ns']:6.1f}x "
              f"{own['matches']:10}{same} {own['rules'] / own['compile_s']:.0f} against "
              f"{peer['rules'] / peer['compile_s']:.0f}")
    print(f"{len(theirs) - behind} rows ahead, {behind} behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
