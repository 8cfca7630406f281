#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks: e2e (bench/e2e.py, the whole program beside the boto3 Lambda), lambda (the
same as a function), replay (history), aws (bench/aws.py, the AWS client beside boto3) and each
bench_<name> or <name>_bench that the build made. Never a test: nothing fails on a figure."""
import argparse
import os
import pathlib
import subprocess
import sys

from project import ROOT


def programs(build):
    scripts = {name: [sys.executable, str(ROOT / "bench" / f"{name}.py"), "--build", str(build)]
               for name in ("e2e", "lambda", "replay", "scan", "aws")}
    found = {name: scripts[name] for name in ("e2e", "lambda", "replay", "scan")}
    shared = os.environ.get("RECTIFY_SHARED", str(ROOT.parent / "shared"))
    for path in sorted((build / "bench").glob("*bench*")):
        if path.is_file() and os.access(path, os.X_OK):
            name = path.name.removeprefix("bench_").removesuffix("_bench")
            found[name] = scripts.get(name, [str(path), shared])
    return found


def peers(name):
    """The scripts that measure others at the same work: bench/peers/<name>*."""
    return sorted(p for p in (ROOT / "bench" / "peers").glob(f"{name}*") if os.access(p, os.X_OK)
                  and p.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--peers", action="store_true", help="also the peers' own programs")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    known = programs(options.build.resolve())
    unknown = [n for n in options.names if n not in known]
    if unknown:
        print(f"bench: no benchmark {unknown[0]}; there are: {' '.join(known)}", file=sys.stderr)
        return 64
    failed = 0
    for name in options.names or known:
        print(f"== {name}", flush=True)
        more = ["--peers"] if options.peers and name == "scan" else []
        failed += subprocess.run(known[name] + more, cwd=ROOT, check=False).returncode != 0
        for peer in peers(name) if options.peers else []:
            print(f"== {name}: {peer.name}", flush=True)
            failed += subprocess.run([str(peer)], cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
