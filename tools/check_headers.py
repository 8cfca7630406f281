#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header of src/ alone: it includes what it needs."""
import concurrent.futures
import os
import re
import subprocess
import sys

from project import ROOT, files, finish

# What Debian keeps outside of the compiler's own folders.
POSTGRES = subprocess.run(["pkg-config", "--cflags", "libpq"], capture_output=True, text=True,
                          check=False).stdout.split()
COMMAND = [os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
           "-fsyntax-only", "-Isrc", *POSTGRES, "-include"]
TABLE = re.compile(r"_table\.h$")  # rows for the middle of one .c file


def check(path):
    done = subprocess.run([*COMMAND, str(path), "-xc", "/dev/null"], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    return f"{path} does not compile alone:\n{done.stderr}" if done.returncode else None


def main():
    headers = [p for p in files("src/*.h") if not TABLE.search(p.name)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [f for f in pool.map(check, headers) if f]
    return finish("headers", len(headers), findings)


if __name__ == "__main__":
    sys.exit(main())
