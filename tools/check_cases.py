#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each case of the failure model has a row in tests/cases.txt; each test that a row names exists,
and is run. `NUMBER none WHY` says that there is no test."""
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


def is_run(text, test):
    """In C a test is defined and listed, by name or as TEST(rest of the name)."""
    if "def " in text:
        return re.search(rf"\b{re.escape(test)}\b", text)
    named = len(re.findall(rf"\b{re.escape(test)}\b", text))
    return named > 1 or named and f"TEST({test.split('__')[-1]})" in text


def main():
    findings, rows, seen = [], 0, {}
    for number, line in enumerate((ROOT / "tests" / "cases.txt").read_text().split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.split(" ", 3)
        rows += 1
        if len(parts) < 4 or not parts[0].isdigit() or not 1 <= int(parts[0]) <= CASES:
            findings.append(f"tests/cases.txt:{number}: not NUMBER PROGRAM TEST WHAT")
            continue
        seen.setdefault(int(parts[0]), []).append(parts[1])
        if parts[1] == "none":
            continue
        text = sources(parts[1])
        if text is None:
            findings.append(f"tests/cases.txt:{number}: there is no program {parts[1]}")
        elif not is_run(text, parts[2]):
            findings.append(f"tests/cases.txt:{number}: {parts[1]} does not run {parts[2]}")
    for case in range(1, CASES + 1):
        if case not in seen:
            findings.append(f"tests/cases.txt: case {case} has no row")
        elif "none" in seen[case] and len(seen[case]) > 1:
            findings.append(f"tests/cases.txt: case {case} has a test, and a row that says none")
    without = sum(programs == ["none"] for programs in seen.values())
    print(*findings, f"cases: {rows} rows looked at, {without} of {CASES} cases without a test, "
          f"{len(findings)} findings", sep="\n")
    return bool(findings) or not rows


if __name__ == "__main__":
    sys.exit(main())
