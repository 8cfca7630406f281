#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One call by `aws s3api` and by `rectify aws`, process start to end, against one stub. Installs
awscli from PyPI into a folder of its own (build-release/awscli) the first time."""
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from e2e import Stub, environment  # noqa: E402

BUILD = ROOT / (os.environ.get("RECTIFY_BUILD", "build") + "-release")
RUNS = 15


def awscli():
    home = BUILD / "awscli"
    program = home / "bin" / "aws"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", "awscli==1.46.3"], check=True)
    return [home / "bin" / "python", program]


def median_ms(command, env):
    times = []
    for _ in range(RUNS):
        start = time.monotonic()
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        times.append((time.monotonic() - start) * 1000)
    return statistics.median(times)


def main():
    peer = awscli()
    with Stub(BUILD / "bench" / "stub") as stub:
        env = environment(stub.endpoint)
        ours = median_ms([BUILD / "src" / "rectify", "aws", "s3:GetBucketTagging", "Bucket=ok-1"],
                         env)
        theirs = median_ms([*peer, "s3api", "get-bucket-tagging", "--bucket", "ok-1"], env)
    print(f"rectify aws {ours:.1f} ms, aws s3api {theirs:.0f} ms: {theirs / ours:.0f} times "
          f"(goal: 50)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
