#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each code of an error that the source has stands once in docs/errors.md, and the other way round.
The codes of expressions (C....) have their own table, src/cel/errors.c."""
import collections
import re
import sys

from project import files, finish, text

CODE = re.compile(r'"([A-Z]\d{4})"')
ROW = re.compile(r"^\| ([A-Z]\d{4}) \| (.+?) \| (.+?) \|$", re.M)
PAGE, EXPRESSIONS = "docs/errors.md", "src/cel/errors.c"


def main():
    places = collections.defaultdict(str)
    for path in files("src/*.c", "src/*.h", "src/*.cc"):
        for code in CODE.findall(text(path)):
            if str(path) != EXPRESSIONS:
                places[code] = places[code] or str(path)
    rows = collections.Counter(row[0] for row in ROW.findall(text(PAGE)))
    rows.update(CODE.findall(text(EXPRESSIONS)))
    findings = [f"{places[c]}: {c} has no row in {PAGE}" for c in sorted(places) if not rows[c]]
    findings += [f"{PAGE}: {c} is in no source" for c in sorted(rows) if c not in places]
    findings += [f"{PAGE}: {c} has {n} rows" for c, n in sorted(rows.items()) if n > 1]
    return finish("codes", len(rows), findings)


if __name__ == "__main__":
    sys.exit(main())
