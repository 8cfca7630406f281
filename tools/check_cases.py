#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each test that tests/cases.txt names for a case of the failure model exists, and is run."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = 70


def sources(program):
    for suffix in (".c", ".py"):
        path = ROOT / "tests" / (program + suffix)
        if path.exists():
            return path.read_text()
    return None


def main():
    findings, rows = [], 0
    for number, line in enumerate((ROOT / "tests" / "cases.txt").read_text().split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.split(" ", 3)
        rows += 1
        if len(parts) < 4 or not parts[0].isdigit() or not 1 <= int(parts[0]) <= CASES:
            findings.append(f"tests/cases.txt:{number}: not NUMBER PROGRAM TEST WHAT")
            continue
        text = sources(parts[1])
        if text is None:
            findings.append(f"tests/cases.txt:{number}: there is no program {parts[1]}")
        elif len(re.findall(rf"\b{re.escape(parts[2])}\b", text)) < (1 if "def " in text else 2):
            findings.append(f"tests/cases.txt:{number}: {parts[1]} does not run {parts[2]}")
    print(*findings, f"cases: {rows} looked at, {len(findings)} findings", sep="\n")
    return bool(findings) or not rows


if __name__ == "__main__":
    sys.exit(main())
