#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes fold_table.h: lower and upper case of every code point above ASCII that has them
(Unicode's full mappings without context and language), and what fold_text() makes of it.

    python3 fold_table.py > fold_table.h
"""


def fold(c):
    return "".join(u.lower() for u in "".join(x.lower() for x in c).upper())


def check(c):
    """What fold.c relies on."""
    spellings = {c, c.lower(), c.upper()}
    assert len({fold(s) for s in spellings}) == 1, hex(ord(c))
    for a in spellings:
        for b in spellings:
            assert a == b or not (a.startswith(b) or a.endswith(b)), hex(ord(c))
    assert len(fold(c).encode()) <= 3 * len(c.encode())


runs = []  # [first, last, step, distances to lower, upper, fold]
singles = []  # (code point, three texts)
for cp in list(range(0x80, 0xD800)) + list(range(0xE000, 0x110000)):
    c = chr(cp)
    cases = (c.lower(), c.upper(), fold(c))
    if cases[0] == c and cases[1] == c:
        assert cases[2] == c
        continue
    check(c)
    if any(len(s) > 1 for s in cases):
        singles.append((cp, *cases))
        continue
    distances = [ord(s) - cp for s in cases]
    # Of a step of two there are two runs at a time, one of each parity.
    for run in runs[-2:]:
        step = cp - run[1]
        if run[3:] == distances and step in (1, 2) and (run[0] == run[1] or run[2] == step):
            run[1:3] = [cp, step]
            break
    else:
        runs.append([cp, cp, 1, *distances])


def text(s):
    assert len(s.encode()) < 8
    return '"' + "".join("\\x%02x" % b for b in s.encode()) + '"'


print("// SPDX-License-Identifier: Apache-2.0")
print("/* Written by fold_table.py: every code point above ASCII that has another case. */")
print("static const struct {")
print("    uint32_t first, last, step;          // a run of code points")
print("    int32_t to_lower, to_upper, to_fold; // distances, the same for all of them")
print("} fold_runs[] = {")
for run in sorted(runs, key=lambda r: r[0]):
    print("    {0x%04X, 0x%04X, %d, %d, %d, %d}," % tuple(run))
print("};")
# A code point's run is one of the last few that begin before it.
firsts = sorted(run[0] for run in runs)
deep = max(sum(run[0] < f <= cp for f in firsts) + 1
           for run in runs for cp in range(run[0], run[1] + 1, run[2]))
print("/* A code point's run is among so many that begin last before it. */")
print("#define FOLD_RUNS_DEEP %d" % deep)
print("/* Those one of whose cases is not one code point. UTF-8. */")
print("static const struct {")
print("    uint32_t code_point;")
print("    struct letter_cases cases;")
print("} fold_singles[] = {")
for cp, low, up, folded in singles:
    print("    {0x%04X, {%s, %s, %s}}," % (cp, text(low), text(up), text(folded)))
print("};")
