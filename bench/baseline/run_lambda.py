# SPDX-License-Identifier: Apache-2.0
"""Runs the Lambda over a file of events, as its best case: warm, the client made once.

usage: run_lambda.py EVENTS [THREADS]; prints {"events", "wall_s", "cpu_s"} of the loop alone, then
waits for the end of its standard input, so that its memory at rest can be read."""
import concurrent.futures
import json
import os
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import botocore.config  # noqa: E402
import boto3  # noqa: E402

THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
boto3.setup_default_session()
boto3.DEFAULT_SESSION._session.set_default_client_config(
    botocore.config.Config(max_pool_connections=max(THREADS, 10)))
import lambda_handler  # noqa: E402


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def one(line):
    lambda_handler.handler(json.loads(line), None)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = file.readlines()
    if len(lines) > 1 and THREADS == 1:
        one(lines.pop())  # the first call makes the connection
    start, before = time.monotonic(), cpu_s()
    if THREADS == 1:
        for line in lines:
            one(line)
    else:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, lines))
    print(json.dumps({"events": len(lines), "wall_s": time.monotonic() - start,
                      "cpu_s": cpu_s() - before}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
