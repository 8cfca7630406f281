#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random patterns and events, each pair asked of aws event-ruler and of rectify: differences.

    bench/peers/pattern_differ.py [--seed N] [--pairs N] [--keep FILE]

What event-ruler gets wrong is known (docs/patterns.md) and only counted; every other difference is
printed. Events fit their pattern more often than chance would have it."""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from pattern_peers import HERE, ROOT, classpath

WORDS = ["", "a", "b", "ab", "ba", "aab", "abab", "A", "aB", "ABAB", "k", "ß", "SS", "ss", "straße",
         "STRASSE", "ſ", "S", "İ", "i", "I", "ı", "é", "É", "e\u0301", "Ω", "ω", "日本", "😀", "a😀b",
         "x y", "a\"b", "a\\b", "a/b", "a*b", "*", "**", "\\", "tab\t", "nul\u0000", "\u2028",
         "a.b",
         "arn:aws:iam::123456789012:role/Admin", "arn:aws:s3:::bucket/key", "null", "true", "1",
         "1.0", "-", "10.0.0.1", "10.0.0.255", "010.0.0.1", "10.0.1", "256.1.1.1", "::1", "::",
         "2001:db8::1", "2001:DB8:0:0::1", "::ffff:10.0.0.1", "fe80::1%eth0", "1.2.3.4.5"]
NUMBERS = ["0", "-0", "0.0", "-0.0", "1", "1.0", "1e0", "10e-1", "100", "1e2", "1E+2", "0.1",
           "0.10",
           "1e-1", "-1", "-1.5", "2", "3.14159", "300", "3.0e2", "5e-5", "0.00005",
           "123456789012345",
           "1234567890123456", "9007199254740991", "9007199254740992", "9007199254740993", "1e15",
           "1e16", "1e21", "1e22", "1e23", "1.7976931348623157e308", "1e400", "-1e400", "1e-400",
           "5e-324", "4.9e-324", "2.2250738585072014e-308", "0.30000000000000004",
           "0.1000000000000000055", "299.99999999999994", "-5000000000", "5000000000", "5000000001",
           "37.807807921694092", "-122.42916360922355", "0e5", "0e999", "1.50"]
BLOCKS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/31", "0.0.0.0/0", "10.0.0.128/25", "10.0.0.77/13",
          "::/0", "::1/127", "2001:db8::/32", "2001:db8::/65", "fe80::/10", "::ffff:10.0.0.0/104"]
KEYS = ["a", "b", "a.b", "c", "detail", "x", "", "\u00e9", "a.", ".b", "exists", "prefix", "$or",
        "B",
        "\uff5e", "😀", "b.c"]
LITERALS = ["true", "false", "null"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.values = {}  # JSON texts that the pattern would like, by path

    def text(self, s):
        """A JSON string, spelled one way or another."""
        out = json.dumps(s, ensure_ascii=self.r.random() < 0.3)
        if self.r.random() < 0.1 and s and s[0] not in '"\\' and ord(s[0]) < 0xD800 and s[0] >= " ":
            out = '"\\u%04x' % ord(s[0]) + json.dumps(s[1:], ensure_ascii=False)[1:]
        return out

    def word(self):
        if self.r.random() < 0.3:
            return "".join(self.r.choice("aabAB*k\\.") for _ in range(self.r.randrange(6)))
        return self.r.choice(WORDS)

    def wildcard(self):
        pieces = [self.r.choice(["a", "b", "ab", "ba", "aab", "\\*", "\\\\", "x y", "ß", "😀", ""])
                  for _ in range(self.r.randrange(1, 5))]
        if self.r.random() < 0.05:
            return self.r.choice(["**", "a\\", "\\x", "a**b"])
        return self.r.choice(["*", ""]) + "*".join(pieces) + self.r.choice(["*", ""])

    def seen(self, path, *values):
        self.values.setdefault(path, []).extend(values)

    def some(self, make, most=3):
        return [make() for _ in range(self.r.randrange(1, most + 1))]

    def number_test(self, path):
        a, b = self.r.choice(NUMBERS), self.r.choice(NUMBERS)
        self.seen(path, a, b)
        if self.r.random() < 0.4:
            return '{"numeric":["%s",%s]}' % (self.r.choice(["=", "<", "<=", ">", ">="]), a)
        if self.r.random() < 0.9:
            a, b = sorted((a, b), key=float)
        return '{"numeric":["%s",%s,"%s",%s]}' % (self.r.choice([">", ">="]), a,
                                                  self.r.choice(["<", "<="]), b)

    def but(self, path):
        kind = self.r.randrange(6)
        if kind == 0:
            numbers = self.some(lambda: self.r.choice(NUMBERS))
            self.seen(path, *numbers)
            return numbers[0] if len(numbers) == 1 else "[" + ",".join(numbers) + "]"
        if kind == 1:
            words = self.some(self.word)
            self.seen(path, *map(self.text, words))
            texts = [self.text(w) for w in words]
            return texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]"
        name = self.r.choice(["prefix", "suffix", "equals-ignore-case", "wildcard"])
        words = self.some(self.wildcard if name == "wildcard" else self.word)
        self.seen(path, *map(self.text, words))
        texts = [self.text(w) for w in words]
        return '{"%s":%s}' % (name, texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]")

    def alternative(self, path):
        kind = self.r.randrange(15)
        word = self.word()
        if kind <= 2:
            self.seen(path, self.text(word))
            return self.text(word)
        if kind == 3:
            number = self.r.choice(NUMBERS)
            self.seen(path, number)
            return number
        if kind == 4:
            literal = self.r.choice(LITERALS)
            self.seen(path, literal)
            return literal
        if kind <= 7:
            name = self.r.choice(["prefix", "suffix", "equals-ignore-case", "exactly"])
            longer = {"prefix": word + self.word(), "suffix": self.word() + word}.get(name, word)
            self.seen(path, self.text(longer), self.text(longer.swapcase()))
            if name in ("prefix", "suffix") and self.r.random() < 0.4:
                return '{"%s":{"equals-ignore-case":%s}}' % (name, self.text(word))
            return '{"%s":%s}' % (name, self.text(word))
        if kind <= 9:
            wildcard = self.wildcard()
            plain = wildcard.replace("\\*", "\0").replace("*", self.word()).replace("\0", "*")
            self.seen(path, self.text(plain.replace("\\\\", "\\")))
            return '{"wildcard":%s}' % self.text(wildcard)
        if kind <= 11:
            return self.number_test(path)
        if kind == 12:
            return '{"cidr":"%s"}' % self.r.choice(BLOCKS)
        if kind == 13:
            return '{"exists":%s}' % self.r.choice(["true", "false"])
        return '{"anything-but":%s}' % self.but(path)

    def pattern(self, path=(), depth=0):
        members = []
        for _ in range(self.r.choice([1, 1, 1, 2, 2, 3])):
            key = self.r.choice(KEYS[:6] if self.r.random() < 0.8 else KEYS)
            if key == "$or" or (depth < 3 and self.r.random() < 0.08):
                branches = [self.pattern(path, depth + 1) for _ in range(self.r.choice([2, 2, 3]))]
                members.append('"$or":[%s]' % ",".join(branches))
            elif depth < 3 and self.r.random() < 0.3:
                members.append('%s:%s' % (self.text(key), self.pattern((*path, key), depth + 1)))
            else:
                inner = (*path, key)
                members.append('%s:[%s]' % (self.text(key), ",".join(
                    self.some(lambda p=inner: self.alternative(".".join(p))))))
        return "{" + ",".join(members) + "}"

    def scalar(self, path):
        wanted = self.values.get(path)
        if wanted and self.r.random() < 0.7:
            return self.r.choice(wanted)
        return self.r.choice([self.text(self.word()), self.text(self.word()),
                              self.r.choice(NUMBERS), self.r.choice(LITERALS)])

    def value(self, path, depth, arrays):
        inside = any(p.startswith(path + ".") for p in self.values)
        if depth < 5 and (inside if self.r.random() < 0.85 else self.r.random() < 0.2):
            if arrays and self.r.random() < 0.35:
                return "[" + ",".join(self.value(path, depth + 1, arrays)
                                      for _ in range(self.r.randrange(4))) + "]"
            return self.event(path, depth + 1, arrays)
        if arrays and depth < 5 and self.r.random() < 0.3:
            return "[" + ",".join(self.value(path, depth + 1, arrays)
                                  for _ in range(self.r.randrange(4))) + "]"
        return self.scalar(path)

    def event(self, path="", depth=0, arrays=False):
        start = path + "." if path else ""
        below = [p[len(start):] for p in self.values if p.startswith(start)]
        keys = []
        for rest in below:
            if self.r.random() < 0.85:
                keys.append(rest if self.r.random() < 0.15 else rest.split(".")[0])
        keys += [self.r.choice(KEYS) for _ in range(self.r.choice([0, 0, 1]))]
        if self.r.random() < 0.9:
            keys = list(dict.fromkeys(keys))
        self.r.shuffle(keys)
        return "{" + ",".join('%s:%s' % (self.text(k), self.value(start + k, depth, arrays))
                              for k in keys) + "}"


def damage(r, text):
    at = r.randrange(len(text) + 1)
    return text[:at] + r.choice(["", ",", "}", "]", "0", "\"", ":", "[", "{\"x\":1}"]) + text[
        at + r.randrange(2):]


def pairs(seed, count):
    for i in range(count):
        maker = Maker(seed * 1000003 + i)
        pattern = maker.pattern()
        event = maker.event(arrays=maker.r.random() < 0.4)
        if maker.r.random() < 0.08:
            pattern = damage(maker.r, pattern)
        elif maker.r.random() < 0.04:
            event = damage(maker.r, event)
        yield pattern, event


def ask_ruler(asked, work):
    text = "".join(f"{p}\t{e}\n" for p, e in asked)
    done = subprocess.run(["java", "-XX:+UseSerialGC", "-Xmx1g", "-cp", classpath(work),
                           str(HERE / "pattern" / "Oracle.java")], input=text, text=True,
                          stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return done.stdout.splitlines()


KNOWN = {
    # by what a pair has that can show them; each is decided in docs/patterns.md
    "numbers whose shortest text Java 17 gets wrong": r"e-324|e23\b|e308|\d{17}",
    "an empty name behind a dot": r'[{,]"[^"]*\.":|\.\.|"":',
}


def has_astral(text):
    return re.search(r"[\U00010000-\U0010ffff]|\\ud[89ab]", text, re.I)


def has_doubles(event):
    """A key twice in one object?"""
    found = []

    def look(members):
        names = [k for k, _ in members]
        found.append(len(set(names)) < len(names))
        return None
    try:
        json.loads(event, object_pairs_hook=look)
    except ValueError:
        return False
    return any(found)


def known_by_text(what, pattern, event):
    if re.search(r"text after|does not end|without an end", what):
        return "text behind the pattern or the event"
    if "surrogate" in what:
        return "half a surrogate pair"
    if what == "must match" and '"cidr"' in pattern:
        return "a block that holds numbers, or addresses of the other version"
    if "[" in event and (re.search(r'"[^"]*\.[^"]*":', event) or has_doubles(event)):
        return "a path both inside and outside of an array"
    if "ignore-case" in pattern and has_astral(pattern):
        return "letter case above U+FFFF"
    for name, shape in KNOWN.items():
        if re.search(shape, decode_keys(pattern)) or shape.startswith("e-324") and (
                re.search(shape, event, re.I)):
            return name
    return None


def decode_keys(text):
    return re.sub(r"\\u00([2-7][0-9a-f])", lambda m: chr(int(m[1], 16)), text)


def leaves(pattern, found):
    """Every list of alternatives in a parsed pattern."""
    for key, value in pattern.items():
        if isinstance(value, dict):
            leaves(value, found)
        elif key == "$or" and all(isinstance(v, dict) for v in value):
            for branch in value:
                leaves(branch, found)
        else:
            found.append((pattern, key))
    return found


class Raw(float):
    """A number that is written as it was read."""
    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __repr__(self):
        return self.text


def singles(text, most=48):
    """The pattern with one alternative in each list, for all choices; None if too many."""
    def parse():
        def unique(members):
            last = {}
            for key, value in members:  # the last list counts; objects would have to be merged
                if key in last and not (isinstance(value, list) and isinstance(last[key], list)):
                    raise ValueError("a key twice")
                last[key] = value
            return last
        return json.loads(text, parse_float=Raw, parse_int=Raw, object_pairs_hook=unique)
    try:
        lists = [value[key] for value, key in leaves(parse(), [])]
    except (ValueError, AttributeError):
        return None
    total = 1
    for alternatives in lists:
        total *= len(alternatives)
    if not 1 < total <= most:
        return None
    out = []
    for number in range(total):
        chosen = parse()
        for value, key in leaves(chosen, []):
            number, at = divmod(number, len(value[key]))
            value[key] = [value[key][at]]
        out.append(json.dumps(chosen))
    return out


def by_alternatives(differing, work):
    """What event-ruler says when no two alternatives of one field are in its machine at once: its
    alternatives disturb each other as its rules do. Answers by position, None = not asked."""
    asked, spans = [], []
    for pattern, event in differing:
        choices = singles(pattern) or []
        spans.append((len(asked), len(asked) + len(choices)))
        asked += [(choice, event) for choice in choices]
    answers = ask_ruler(asked, work) if asked else []
    return [None if a == b or "refused" in answers[a:b] else
            "match" if "match" in answers[a:b] else "no" for a, b in spans]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--keep", help="write the vectors to this file")
    parser.add_argument("--conform", default=str(ROOT / "build/tests/conform/conform_pattern"))
    options = parser.parse_args()
    asked = [(p, e) for p, e in pairs(options.seed, options.pairs) if "\n" not in p + e]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        answers = ask_ruler(asked, work)
        vectors = [{"id": str(i), "pattern": p, "event": e, "valid": a != "refused",
                    "event_valid": a != "bad", "matches": a == "match"}
                   for i, ((p, e), a) in enumerate(zip(asked, answers))]
        path = pathlib.Path(options.keep or work / "vectors.json")
        path.write_text(json.dumps({"vectors": vectors}))
        done = subprocess.run([options.conform, str(path)], stdout=subprocess.PIPE, text=True,
                              check=False)
        lines = [line.split(": ", 1) for line in done.stdout.splitlines()[:-1]]
        differing = [asked[int(number)] for number, _ in lines]
        apart = by_alternatives(differing, work)
    print("event-ruler:", {a: answers.count(a) for a in sorted(set(answers))})
    causes = {}
    for (number, what), (pattern, event), alone in zip(lines, differing, apart):
        cause = known_by_text(what, pattern, event)
        if alone and what == ("must match" if alone == "no" else "must not match"):
            cause = cause or "alternatives that disturb each other"
        causes[cause or "not known"] = causes.get(cause or "not known", 0) + 1
        if not cause:
            print(f"{what} (event-ruler: {answers[int(number)]}, alternatives apart: {alone})\n"
                  f"  {pattern}\n  {event}")
    print(len(lines), "differences:", causes)
    return 1 if "not known" in causes else 0


if __name__ == "__main__":
    sys.exit(main())
