#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The matcher beside aws event-ruler and quamina on the same rules and events, in one run.

    bench/peers/pattern_peers.py [--bench FILE] [--shared DIR] [ROW...]

Matches are counted on all sides and compared: event-ruler's rules disturb each other, so a count
that differs is shown, not hidden. quamina's language is smaller: of how many rules it was given
stands beside its figure where these are not all. Each is measured in the processor time of its
thread. Peers come from Maven Central and the Go module proxy when this runs, never by the build."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from project import build_go  # noqa: E402
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


def cell(own, peer):
    """A peer's figure beside ours, how many times that is, and what was not the same work."""
    if peer.get("given_up"):
        return "gave up after a minute of adding rules"
    if not peer["rules"]:
        return "cannot say it"
    text = f"{peer['ns']:.0f} ns {peer['ns'] / own['ns']:.1f}x"
    if peer["rules"] < own["rules"]:
        return text + f" with {peer['rules']} of {own['rules']} rules"
    return text + ("" if own["matches"] == peer["matches"] else f" ({peer['matches']} matches)")


def is_ahead(own, peer):
    return peer.get("given_up") or not peer["rules"] or own["ns"] < peer["ns"]


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
    missing = [program for program in ("java", "mvn", "go") if not shutil.which(program)]
    if missing:
        print(f"skipped: needs {' and '.join(missing)}")
        return 0
    rows = options.rows or ROWS
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run([bench, "--export", folder, options.shared, *rows], check=True)
        path, program = classpath(work), build_go(HERE / "quamina", work)
        ours = {r["row"]: r for r in lines(one_core([bench, "--json", options.shared, *rows]))}
        ruler = {r["row"]: r for r in lines(one_core(
            ["java", "-XX:+UseSerialGC", "-Xmx3g", "-cp", path,
             str(HERE / "pattern" / "Ruler.java"), folder]))}
        quamina = {r["row"]: r for r in lines(one_core([str(program), folder]))}
    print(f"{'row':30} {'rectify':>9} {'matches':>9}  {'rules/s':>8} {'event-ruler':40} quamina")
    behind = 0
    for row in ruler:
        own, peers = ours[row], (ruler[row], quamina[row])
        behind += not all(is_ahead(own, peer) for peer in peers)
        print(f"{row:30} {own['ns']:6.0f} ns {own['matches']:9}  "
              f"{own['rules'] / own['compile_s']:8.0f} {cell(own, peers[0]):40} "
              f"{cell(own, peers[1])}")
    print(f"{len(ruler) - behind} rows ahead of both, {behind} behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
