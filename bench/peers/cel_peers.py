#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The expression language beside cel-go on the same expressions and data, in one run.

    bench/peers/cel_peers.py [--bench FILE] [ROW...]

cel-go is the Go module of bench/peers/cel-go; it is fetched from the Go module proxy into a
temporary folder when this runs, never by the build. Lua 5.4 is measured by cel_bench itself."""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from project import build_go  # noqa: E402


def find_bench():
    for build in ("build-release", "build"):
        path = ROOT / build / "bench" / "cel_bench"
        if path.exists():
            return path
    return None


def lines(command, **more):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=pathlib.Path, default=find_bench())
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    if not options.bench or not shutil.which("go"):
        print("skipped: needs cel_bench (./dev bench builds it) and Go")
        return 0
    one_core = ["taskset", "-c", "0"]
    rows = subprocess.run([str(options.bench), "--export"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    with tempfile.TemporaryDirectory(prefix="rectify-cel-go-") as work:
        peer = build_go(HERE / "cel-go", pathlib.Path(work))
        wanted = [line for line in rows.splitlines()
                  if not options.rows or json.loads(line)["row"] in options.rows]
        print(f"{'row':10} {'rectify':>10} {'Lua 5.4':>10} {'cel-go':>10}   times cel-go")
        for line in wanted:  # row by row, so that both meet the same load
            row = json.loads(line)["row"]
            ours = lines(one_core + [str(options.bench), "--json", row])[0]
            theirs = lines(one_core + [str(peer)], input=line + "\n")[0]
            lua = f"{ours['lua_ns']:10.1f}" if ours["lua_ns"] else f"{'-':>10}"
            times = theirs["ns"] / ours["ns"]
            print(f"{row:10} {ours['ns']:10.1f} {lua} {theirs['ns']:10.1f}   {times:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
