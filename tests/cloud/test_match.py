#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify match, as a person runs it: selecting events, naming patterns, explaining. No AWS."""
import base64
import gzip
import json
import os
import pathlib
import pty
import subprocess
import tempfile
import time
import unittest

import harness
from harness import RECTIFY

SOME, NONE, ERROR = 0, 1, 2
S3 = {"source": ["aws.s3"]}
# the two events of `TwoEvents` as `zstd -19` packs them
ZSTD = base64.b64decode("KLUv/QRotQEAxAJ7InNvdXJjZSI6ImF3cy5zMyIsImRldGFpbCI6eyJu"
                        "IjoxfX0KZWMyMn19CgIASSGjqFNP3WpZNg==")


def match(*args, stdin=b""):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    return subprocess.run([str(RECTIFY), "match", *map(str, args)], input=stdin, check=False,
                          capture_output=True, timeout=60)


def pattern(p):
    return ("--pattern", json.dumps(p))


class MatchCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not RECTIFY.exists():
            raise unittest.SkipTest("rectify is not built yet")

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="rectify-test-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)

    def file(self, name, data):
        path = self.home / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def expect(self, done, code, out=None):
        self.assertEqual(done.returncode, code, done.stderr.decode())
        if out is not None:
            self.assertEqual(done.stdout.decode(), out)


class TwoEvents(MatchCase):
    first = '{"source":"aws.s3","detail":{"n":1}}\n'
    second = '{"source":"aws.ec2","detail":{"n":2}}\n'
    both = first + second

    def test_the_matching_events_are_printed(self):
        self.expect(match(*pattern(S3), stdin=self.both), SOME, self.first)

    def test_inverted_the_others_are_printed(self):
        self.expect(match(*pattern(S3), "-v", stdin=self.both), SOME, self.second)
        self.expect(match(*pattern(S3), "--invert", stdin=self.first), NONE, "")

    def test_counted(self):
        self.expect(match(*pattern(S3), "--count", stdin=self.both), SOME, "1\n")
        self.expect(match(*pattern(S3), "-cv", stdin=self.first), NONE, "0\n")

    def test_none_is_exit_1(self):
        self.expect(match(*pattern({"source": ["aws.iam"]}), stdin=self.both), NONE, "")
        self.expect(match(*pattern(S3)), NONE, "")

    def test_a_pattern_from_a_file(self):
        path = self.file("pattern.json", '{\n  "source": ["aws.ec2"]\n}\n')
        self.expect(match("--pattern", path, stdin=self.both), SOME, self.second)

    def test_events_from_files(self):
        a, b = self.file("a.jsonl", self.first), self.file("b.jsonl", self.both)
        self.expect(match(*pattern(S3), a, b), SOME, self.first * 2)
        self.expect(match(*pattern(S3), "-c", a, b), SOME, "2\n")
        done = match(*pattern(S3), a, self.home / "missing", b)
        self.expect(done, ERROR, self.first * 2)
        self.assertIn(b"missing", done.stderr)

    def test_gzip_and_zstd(self):
        self.expect(match(*pattern(S3), stdin=gzip.compress(self.both.encode())), SOME, self.first)
        self.expect(match(*pattern(S3), self.file("a.zst", ZSTD)), SOME, self.first)
        cut = match(*pattern(S3), stdin=ZSTD[:-6])
        self.assertEqual(cut.returncode, ERROR)
        self.assertIn(b"zstd data is cut off", cut.stderr)

    def test_an_event_of_many_lines_becomes_one(self):
        text = json.dumps(json.loads(self.first), indent=2)
        done = match(*pattern(S3), stdin=text)
        self.expect(done, SOME)
        self.assertEqual(done.stdout.count(b"\n"), 1)
        self.assertEqual(json.loads(done.stdout), json.loads(self.first))

    def test_duplicate_keys_all_count(self):
        text = '{"source":"aws.s3","source":"aws.ec2"}\n'
        for source in ("aws.s3", "aws.ec2"):
            self.expect(match(*pattern({"source": [source]}), stdin=text), SOME, text)

    def test_a_bad_event_is_named_and_costs_nothing_else(self):
        for bad, word in (('{"a":01}\n', "bad number"), ("hello\n", "JSON object"),
                          ('{"a":"\\ud800"}\n', "surrogate")):
            done = match(*pattern(S3), stdin=self.second + bad + self.first)
            self.expect(done, ERROR, self.first)
            self.assertIn("event 2: ", done.stderr.decode())
            self.assertIn(word, done.stderr.decode())


class Threads(MatchCase):
    def test_the_order_is_kept(self):
        events = [f'{{"source":"aws.s3","n":{i},"pad":"{"x" * (i * 37 % 400)}"}}\n'
                  for i in range(30000)]
        wanted = "".join(e for i, e in enumerate(events) if i % 3)
        no_third = {"n": [{"anything-but": list(range(0, 30000, 3))}]}
        path = self.file("pattern", json.dumps(no_third))
        for jobs in ((), ("-j",), ("-j1",), ("--jobs", "3"), ("-j7",)):
            done = match("--pattern", path, *jobs, stdin="".join(events))
            self.expect(done, SOME)
            self.assertEqual(done.stdout.decode(), wanted, jobs)

    def test_complaints_have_the_right_numbers(self):
        events = ['{"source":"aws.s3"}\n'] * 9000
        events[8000] = "nonsense\n"
        done = match(*pattern(S3), "-c", "-j2", stdin="".join(events))
        self.expect(done, ERROR, "8999\n")
        self.assertIn(b"event 8001: ", done.stderr)

    def test_what_was_written_is_answered_at_once(self):
        for jobs in ((), ("-j2",)):
            with subprocess.Popen([str(RECTIFY), "match", *pattern(S3), *jobs],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                for _ in range(3):
                    process.stdin.write(TwoEvents.both.encode())
                    process.stdin.flush()
                    self.assertEqual(process.stdout.readline().decode(), TwoEvents.first)
                process.stdin.close()
                self.assertEqual(process.wait(20), SOME)


class Records(MatchCase):
    record = {"eventSource": "s3.amazonaws.com", "eventName": "CreateBucket", "eventID": "e1",
              "eventType": "AwsApiCall", "recipientAccountId": "111122223333",
              "eventTime": "2026-01-01T00:00:00Z", "awsRegion": "eu-west-1",
              "userIdentity": {"accountId": "999999999999"}}
    envelope = {"source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"],
                "account": ["111122223333"], "region": ["eu-west-1"], "id": ["e1"],
                "time": [{"prefix": "2026"}], "detail": {"eventName": ["CreateBucket"]}}

    def test_a_bare_record_is_matched_in_its_envelope_and_printed_as_it_was(self):
        text = json.dumps(self.record) + "\n"
        self.expect(match(*pattern(self.envelope), stdin=text), SOME, text)
        self.expect(match(*pattern({"eventName": ["CreateBucket"]}), stdin=text), NONE, "")

    def test_files_of_cloudtrail(self):
        other = {**self.record, "eventSource": "ec2.amazonaws.com"}
        text = json.dumps({"Records": [self.record, other, self.record]})
        self.expect(match(*pattern(S3), "-c", stdin=text), SOME, "2\n")

    def test_a_record_with_a_key_twice(self):
        text = json.dumps(self.record)[:-1] + ',"eventName":"DeleteBucket"}\n'
        for name in ("CreateBucket", "DeleteBucket"):
            self.expect(match(*pattern({**S3, "detail": {"eventName": [name]}}), stdin=text), SOME)

    def test_names_with_escapes(self):
        text = json.dumps(self.record).replace('"eventSource"', '"event\\u0053ource"') + "\n"
        self.expect(match(*pattern(self.envelope), stdin=text), SOME, text)

    def test_an_envelope_stays_what_it_is(self):
        event = {"source": "aws.s3", "detail": self.record, "eventName": "x", "eventSource": "y"}
        self.expect(match(*pattern({"eventName": ["x"], **S3}), stdin=json.dumps(event)), SOME)


class Many(MatchCase):
    def patterns(self, *lines):
        return self.file("patterns.jsonl", "".join(
            line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))

    def test_names_are_printed_in_the_order_of_the_events(self):
        path = self.patterns({"name": "storage", "pattern": S3},
                             {"name": "one", "pattern": {"detail": {"n": [1]}}},
                             "\n", {"name": "machines", "pattern": {"source": ["aws.ec2"]}})
        done = match("--patterns", path, stdin=TwoEvents.both)
        self.expect(done, SOME, "storage\none\nmachines\n")
        done = match("--patterns", path, "-c", stdin=TwoEvents.both * 2)
        self.expect(done, SOME, "storage\t2\none\t2\nmachines\t2\n")

    def test_inverted_the_events_that_none_matches(self):
        path = self.patterns({"name": "storage", "pattern": S3})
        self.expect(match("--patterns", path, "-v", stdin=TwoEvents.both), SOME, TwoEvents.second)
        self.expect(match("--patterns", path, "-vc", stdin=TwoEvents.both), SOME, "1\n")

    def test_the_line_with_the_mistake_is_named(self):
        good = {"name": "a", "pattern": S3}
        for bad, word in (({"name": "b", "pattern": {"x": [{"prefx": "y"}]}}, "prefx"),
                          ({"pattern": S3}, "name"), ({"name": "b"}, "pattern"), ("[1]\n", "name"),
                          ("{\n", "JSON")):
            path = self.patterns(good, bad)
            done = match("--patterns", path, stdin=TwoEvents.both)
            self.expect(done, ERROR, "")
            self.assertIn(word, done.stderr.decode())
            self.assertIn("patterns.jsonl:2", done.stderr.decode())

    def test_numbers_keep_their_spelling(self):
        path = self.patterns('{"name":"big","pattern":{"n":[9007199254740993]}}\n')
        self.expect(match("--patterns", path, stdin='{"n":9007199254740993}\n'), SOME, "big\n")
        self.expect(match("--patterns", path, stdin='{"n":9007199254740992}\n'), NONE, "")


class Explain(MatchCase):
    def test_the_condition_that_fails_and_the_value_that_was_there(self):
        wanted = {**S3, "detail": {"n": [{"numeric": [">", 5]}]}, "account": ["1"]}
        done = match(*pattern(wanted), "--explain", stdin=TwoEvents.first)
        self.expect(done, NONE)
        text = done.stdout.decode()
        self.assertIn("does not match", text)
        self.assertRegex(text, r'(?m)^  NO   detail\.n \[\{"numeric": ?\[">", ?5\]\}\]\n.* 1$')
        self.assertRegex(text, r'(?m)^  yes  source \["aws.s3"\]\n.* "aws.s3"$')
        self.assertRegex(text, r'(?m)^  NO   account .*\n.*nothing there$')

    def test_a_match(self):
        done = match(*pattern(S3), "--explain", stdin=json.dumps(Records.record))
        self.expect(done, SOME)
        self.assertNotIn("NO", done.stdout.decode())

    def test_combinations_and_arrays(self):
        either = {"$or": [{"a": [1]}, {"b": {"c": [1], "d": [2]}}]}
        event = '{"b":[{"c":1},{"d":2}]}'
        done = match(*pattern(either), "--explain", stdin=event)
        self.expect(done, NONE)
        self.assertIn("2 of 2 combinations", done.stdout.decode())
        self.assertIn("no choice of elements", done.stdout.decode())

    def test_errors(self):
        self.expect(match(*pattern(S3), "--explain"), ERROR, "")
        self.expect(match(*pattern(S3), "--explain", stdin='{"a":}'), ERROR, "")


class Mistakes(MatchCase):
    def test_usage(self):
        for args in ((), (*pattern(S3), "--patterns", "x"), (*pattern(S3), "--explain", "-c"),
                     (*pattern(S3), "-x"), (*pattern(S3), "-j0")):
            self.expect(match(*args), harness.EXIT_USAGE, "")

    def test_patterns_that_cannot_be_read(self):
        self.expect(match("--pattern", self.home / "none"), ERROR, "")
        self.expect(match("--patterns", self.home / "none"), ERROR, "")
        self.expect(match("--patterns", self.file("empty", "\n")), ERROR, "")
        done = match("--pattern", '{"a":[{"wildcard":"**"}]}')
        self.expect(done, ERROR, "")
        self.assertIn("--pattern:1:", done.stderr.decode())


class Progress(MatchCase):
    def test_on_a_terminal_only(self):
        path = self.file("events", TwoEvents.both * 1000)
        self.assertEqual(match(*pattern(S3), "-c", path).stderr, b"")
        leader, terminal = pty.openpty()
        with subprocess.Popen([str(RECTIFY), "match", *pattern(S3), "-c"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=terminal) as process:
            for _ in range(3):
                process.stdin.write(TwoEvents.both.encode())
                process.stdin.flush()
                time.sleep(0.6)
            out, _ = process.communicate(timeout=20)
        self.assertEqual(out, b"3\n")
        self.assertIn(b"events, ", os.read(leader, 4096))


if __name__ == "__main__":
    harness.main()
