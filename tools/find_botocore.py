#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the data folder of the botocore to make the model pack from; nothing when there is none.

The first of: RECTIFY_BOTOCORE, what ./dev fetched (.cache), python3 of PATH, .venv here or beside
the sources, the build's venv, Debian's package.
"""
import glob
import os
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = sys.argv[1] if len(sys.argv) > 1 else os.path.join(SOURCE, "build")


def candidates():
    yield os.environ.get("RECTIFY_BOTOCORE", "")
    yield from glob.glob(f"{SOURCE}/.cache/botocore-*/botocore/data")  # when ninja configures anew
    found = ("import importlib.util as u; "
             "print(u.find_spec('botocore').submodule_search_locations[0])")
    run = subprocess.run(["python3", "-c", found], capture_output=True, text=True, check=False)
    yield os.path.join(run.stdout.strip(), "data") if run.returncode == 0 else ""
    for venv in (f"{SOURCE}/../.venv", f"{SOURCE}/.venv", f"{BUILD}/venv"):
        yield from glob.glob(f"{venv}/lib/python3*/site-packages/botocore/data")
    yield "/usr/lib/python3/dist-packages/botocore/data"


for path in candidates():
    if path and os.path.exists(os.path.join(path, "partitions.json")):
        print(os.path.realpath(path))
        break
