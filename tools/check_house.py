#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a look at the text can hold: licence line, length of lines and files,
nothing left for later, no place of one machine."""
import re
import sys

from project import files, finish, text

COLUMNS_MAX = 100
LINES_MAX = 1000
SOURCES = (".c", ".h", ".cc", ".py", ".sh")
GENERATED = re.compile(r"_table\.h$")  # written by the .py of the same name
BINARY = (".gz", ".zst", ".bin", ".png", ".ico", ".woff2")
PLACE = re.compile(r"(?<![\w.$}])/(?:work|root|home/[a-z]\w*)/\w")
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")


def check_source(path, lines):
    head = "\n".join(lines[:2])
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        yield f"{path}:1: no SPDX line at its head"
    if GENERATED.search(path.name):
        return
    if len(lines) > LINES_MAX:
        yield f"{path}:{LINES_MAX + 1}: more than {LINES_MAX} lines ({len(lines)})"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield f"{path}:{number}: more than {COLUMNS_MAX} columns ({len(line)})"
        if path.suffix in (".c", ".h", ".cc") and "\t" in line:
            yield f"{path}:{number}: a tab"


def check_text(path, lines):
    for number, line in enumerate(lines, 1):
        if PLACE.search(line):
            yield f"{path}:{number}: a path of one machine: {line.strip()[:80]}"
        if LATER.search(line):
            yield f"{path}:{number}: left for later: {line.strip()[:80]}"
        if line.endswith((" ", "\t")) and path.suffix in SOURCES:
            yield f"{path}:{number}: a blank at the end"


def main():
    findings = []
    checked = [p for p in files() if not p.name.endswith(BINARY)]
    for path in checked:
        lines = text(path).splitlines()
        findings += check_text(path, lines)
        if path.suffix in SOURCES:
            findings += check_source(path, lines)
    return finish("house", len(checked), findings)


if __name__ == "__main__":
    sys.exit(main())
