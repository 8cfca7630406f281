#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random expressions, answered by rectify and by cel-go: phases, places of mistakes, types, values.

    tests/conform/cel_differential.py [--count N] [--seed N] [--answer FILE] [MODE...]

Modes: right (mostly well typed), wrong (an operand of another type here and there), unchecked,
slips (one mistake as people make them), noise (damaged text). Prints the differences that no entry
of KNOWN explains and ends with status 1 if there are any. cel-go is the Go module of
tests/conform/cel_oracle, fetched from the Go module proxy into a temporary folder."""
import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from project import build_go  # noqa: E402

TEMPLATES = json.loads((HERE / "cel_oracle" / "templates.json").read_text())
KINDS = "iudsbblmoStDYLXXf"  # how often an expression of a kind is asked for
ANY = {"X": "1", "L": "[1]", "f": "'x'", "n": "1"}  # where templates end that only refer on

# Differences that are meant: (what it is, a pattern of "expression\n ours \n theirs").
KNOWN = [
    ("maps with other keys, or a key twice", r"unsupported key type|repeated key"),
    ("numbers as text: 1000000, Infinity; theirs 1e+06, +Inf", r"string\("),
    ("durations as text: theirs through a double", r"duration\('-?2562047h|\.\d{6,}s"),
    ("a time less the least duration: theirs overflows", r"duration\('-2562047h"),
    ("format() of bytes that are no text; of optionals and addresses", r"format\("),
    ("format() with literals: theirs is looked at when checking", r"during formatting|format"),
    ("the type of an empty list that is sorted or added to", r"\[\]|\{\}|optional\.none\(\)"),
    ("the types of types", r"type\("),
    ("a bad address in a literal: ours when it runs here", r"invalid (ip|cidr) argument"),
    ("[?x] of what is neither list nor map, unchecked", r"\[\?"),
    ("zones like -03:0", r"unknown time zone"),
    ("a bad pattern whose text is empty or short", r"invalid regular expression"),
]


class Generator:
    def __init__(self, seed, mistakes):
        self.random = random.Random(seed)
        self.mistakes = mistakes

    def expression(self, kind, depth):
        options = TEMPLATES[kind]
        if depth <= 0:
            options = [o for o in options if "%" not in o.replace("%%", "")] or options
        template = self.random.choice(options)
        if depth < -3 and "%" in template.replace("%%", ""):
            template = ANY.get(kind, template)
        return re.sub(r"%(.)", lambda m: self.part(m.group(1), depth), template)

    def part(self, letter, depth):
        if letter == "%":
            return "%"
        if self.random.random() < self.mistakes:
            letter = self.random.choice("iudsblmoStDYLX")
        return self.expression(letter, depth - 1)

    def any(self):
        return self.expression(self.random.choice(KINDS), self.random.choice([1, 2, 2, 3]))

    def slip(self):
        """One of the mistakes that people make; None where it does not fit."""
        e, r = self.any(), self.random
        if len(e) > 60:
            return None

        def drop(letters):
            return at(letters, lambda i: e[:i] + e[i + 1:])

        def insert(text):
            return at(" (),[]{}:?", lambda i: e[:i] + text + e[i:])

        def at(letters, change):
            places = [i for i, c in enumerate(e) if c in letters]
            return change(r.choice(places)) if places else None

        def instead(old, new):
            return e.replace(old, new, 1) if old in e else None

        return r.choice([
            lambda: drop(")"), lambda: drop("("), lambda: drop("]}"), lambda: drop("[{"),
            lambda: drop(","), lambda: drop(":"), lambda: insert(r.choice(")]}([{")),
            lambda: instead("==", "="), lambda: instead("&&", r.choice(["&", "and", "&&&&"])),
            lambda: instead("||", r.choice(["|", "or"])), lambda: instead(", ", ",,"),
            lambda: e + r.choice([" &&", " ==", ".", " +", " ?", " ? 1", " :", "(", "[", ","]),
            lambda: insert(r.choice([" x ", " 1 ", " + ", " ! ", " ? ", " . ", " 'a' "])),
        ])()

    def noise(self):
        text, r = list(self.any()), self.random
        for _ in range(r.choice([1, 1, 2])):
            at = r.randrange(len(text) + 1)
            if r.random() < 0.4:
                del text[at:at + r.randrange(1, 4)]
            else:
                text.insert(at, r.choice(list("()[]{},.?:+-*/%!&|<>=\"'`\\ \n@#$;1au") +
                                         ["in ", "&&", "||", "==", "has(", ".map(", "1u", ".?"]))
        return "".join(text)


def questions(mode, count, seed):
    generator = Generator(f"{mode} {seed}", 0.05 if mode in ("wrong", "unchecked") else 0)
    one = {"slips": generator.slip, "noise": generator.noise}.get(mode, generator.any)
    while count:
        expression = one()
        if expression and expression.strip():
            count -= 1
            yield {"e": expression, "un": mode == "unchecked"}


def difference(ours, theirs):
    """What differs, or None."""
    if theirs["p"] == "panic":
        return None
    if ours["p"] != theirs["p"]:
        return f"{ours['p']} against {theirs['p']}"
    if ours["p"] in ("parse", "check"):
        return "places" if set(ours["at"]) != set(theirs["at"]) else None
    if ours.get("v") != theirs.get("v"):
        return "value"
    same = ours.get("ty") == (theirs.get("ty") or "").replace("null_type", "null") or None
    return None if same or not ours.get("ty") else "type"


def answers(command, asked):
    text = "".join(json.dumps(q) + "\n" for q in asked)
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def compare(mode, ours, oracle, count, seed):
    asked = list(questions(mode, count, seed))
    known, unknown = collections.Counter(), 0
    for q, mine, theirs in zip(asked, answers([str(ours)], asked), answers([str(oracle)], asked)):
        what = difference(mine, theirs)
        if not what:
            continue
        text = f"{q['e']}\n {mine.get('m', '')} \n {theirs.get('m', '')}"
        reason = next((name for name, pattern in KNOWN
                       if what != "places" and re.search(pattern, text)), None)
        if reason:
            known[reason] += 1
            continue
        unknown += 1
        print(f"{mode}, {what}: {q['e']!r}\n  ours   {mine}\n  theirs {theirs}"[:1500])
    print(f"{mode}: {count} expressions, {unknown} differ, {sum(known.values())} as meant")
    return unknown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--answer", type=pathlib.Path,
                        default=ROOT / "build" / "tests" / "conform" / "cel_answer")
    parser.add_argument("modes", nargs="*")
    options = parser.parse_args()
    if not options.answer.exists() or not shutil.which("go"):
        print("skipped: needs cel_answer (./dev build makes it) and Go")
        return 0
    with tempfile.TemporaryDirectory(prefix="rectify-cel-oracle-") as work:
        oracle = build_go(HERE / "cel_oracle", pathlib.Path(work))
        modes = options.modes or ["right", "wrong", "unchecked", "slips", "noise"]
        unknown = sum(compare(mode, options.answer, oracle, options.count, options.seed)
                      for mode in modes)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
