#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds src/ against the table of folders in docs/tour.md: who may include whose headers.

A row of the table is  | `src/net/` | what it is | may use: base |  where the last column is
`nothing`, names of folders, `all above`, or `all`. An _internal.h never leaves its folder."""
import re
import sys

from project import files, finish, text

TABLE = "docs/tour.md"
ROW = re.compile(r"^\|\s*\[?`src/([a-z0-9_.]+?)/?`[^|]*\|[^|]*\|([^|]*)\|\s*$")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def read_table():
    """{folder: the set of folders that it may use}, in the table's order."""
    table = {}
    for line in text(TABLE).splitlines():
        row = ROW.match(line)
        if not row:
            continue
        folder, use = row.group(1), row.group(2).strip()
        if use == "all":
            table[folder] = None  # everything
        elif use == "all above":
            table[folder] = set(table)
        else:
            table[folder] = set() if use == "nothing" else set(use.split())
    return table


def check_file(path, table):
    folder = path.parts[1]
    for included in INCLUDE.findall(text(path)):
        target = included.split("/")[0] if "/" in included else folder
        if target == "..":
            yield f"{path}: includes {included}; say the folder, not the way to it"
            continue
        if target == folder:
            continue
        if included.endswith("_internal.h"):
            yield f"{path}: {included} never leaves src/{target}/"
        if target not in table:
            yield f"{path}: includes {included}, and {TABLE} knows no folder src/{target}/"
        elif table[folder] is not None and target not in table[folder]:
            allowed = " ".join(sorted(table[folder])) or "nothing"
            yield f"{path}: includes {included}, but src/{folder}/ may use only: {allowed}"


def main():
    table = read_table()
    findings = []
    if len(table) < 20:
        findings.append(f"{TABLE}: its table of folders could not be read ({len(table)} rows)")
    for folder, use in table.items():
        for name in sorted((use or set()) - set(table)):
            findings.append(f"{TABLE}: src/{folder}/ may use {name}, which the table does not name")
    sources = files("src/*.c", "src/*.h", "src/*.cc")
    for path in sources:
        if path.parts[1] in table:
            findings += check_file(path, table)
        elif len(path.parts) > 2:
            findings.append(f"{path}: {TABLE} knows no folder src/{path.parts[1]}/")
    return finish("may use", len(sources), findings)


if __name__ == "__main__":
    sys.exit(main())
