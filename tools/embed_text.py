#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed_text.py NAME FILE OUT: writes a C file that holds FILE's text as
`static const char NAME[]`, a string literal a line."""
import pathlib
import sys


def literal(line):
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def main():
    name, source, out = sys.argv[1:]
    lines = pathlib.Path(source).read_text(encoding="utf-8").splitlines()
    body = "\n".join(f"    {literal(line)}" for line in lines)
    pathlib.Path(out).write_text(f"static const char {name}[] =\n{body};\n", encoding="utf-8")


if __name__ == "__main__":
    main()
