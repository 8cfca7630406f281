#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes fold_table.h: lower and upper case of every code point that has them (Unicode's full
mappings without context and language), and what fold_text() makes of it.

    python3 fold_table.py > fold_table.h
"""
import sys


def lower(c):
    return c.lower()


def upper(c):
    return c.upper()


def fold(c):
    return "".join(lower(u) for u in upper("".join(lower(x) for x in c)))


rows, strings = [], []
for cp in list(range(0x80, 0xD800)) + list(range(0xE000, 0x110000)):
    c = chr(cp)
    low, up = lower(c), upper(c)
    if low == c and up == c:
        assert fold(c) == c
        continue
    spellings = {c, low, up}
    assert len({fold(s) for s in spellings}) == 1, hex(cp)
    for a in spellings:
        for b in spellings:
            assert a == b or not (a.startswith(b) or a.endswith(b)), hex(cp)
    assert len(fold(c).encode()) <= 3 * len(c.encode())
    rows.append((cp, low, up, fold(c)))


def text(s):
    return '"' + "".join("\\x%02x" % b for b in s.encode()) + '"'


print("// SPDX-License-Identifier: Apache-2.0")
print("/* Written by fold_table.py: every code point above ASCII that has another case. UTF-8. */")
print("static const struct {")
print("    uint32_t code_point;")
print("    char lower[8], upper[8], fold[8];")
print("} fold_rows[] = {")
for cp, low, up, f in rows:
    assert max(len(low.encode()), len(up.encode()), len(f.encode())) < 8
    print("    {0x%04X, %s, %s, %s}," % (cp, text(low), text(up), text(f)))
print("};")
