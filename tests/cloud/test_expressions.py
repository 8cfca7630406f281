#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""eval and explain as people call them: the manual's commands say what it says they say, the
reference is up to date, every way to be wrong has its exit status, and neither store nor cloud is
needed."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import EXIT_FAILED, EXIT_OK, EXIT_USAGE, RECTIFY, ROOT, main

GUIDE = ROOT / "docs" / "howto" / "try-an-expression.md"
REFERENCE = ROOT / "docs" / "cel.md"


class ExpressionCase(unittest.TestCase):
    def setUp(self):
        if not RECTIFY.exists():
            self.skipTest("rectify is not built yet")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-test-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def run_rectify(self, *args, stdin="", status=EXIT_OK):
        """With no state folder that could be made and no network to be reached."""
        done = subprocess.run([str(RECTIFY), *args], capture_output=True, text=True, input=stdin,
                              env={"HOME": "/nonexistent",
                                   "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
                              cwd=self.home, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def value(self, expression, vars_=None):
        done = self.run_rectify("eval", expression, "-o", "json", "--vars", "-",
                                stdin=json.dumps(vars_ or {}))
        return json.loads(done.stdout)


class TestManual(ExpressionCase):
    def test_each_command_of_the_guide_says_what_the_guide_says(self):
        text = GUIDE.read_text()
        (self.home / "answer.json").write_text(re.search(r"```json\n(.*?)```", text, re.S).group(1))
        (self.home / "rectify").symlink_to(RECTIFY.resolve())
        env = {**os.environ, "PATH": f"{self.home}:{os.environ['PATH']}"}
        count = 0
        for block in re.findall(r"```console\n(.*?)```", text, re.S):
            for one in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, wanted = one.partition("\n")
                with self.subTest(command):
                    got = subprocess.run(["sh", "-c", command], cwd=self.home, env=env, text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                         timeout=60, check=False).stdout
                    self.assertEqual(got, wanted)
                count += 1
        self.assertGreaterEqual(count, 9)

    def test_the_reference_is_what_the_program_prints(self):
        printed = self.run_rectify("explain", "--all").stdout
        self.assertEqual(REFERENCE.read_text(), printed,
                         "docs/cel.md is old: rectify explain --all > docs/cel.md")

    def test_each_example_of_the_reference_is_true(self):
        examples = re.findall(r"^True: `(.*)`$", REFERENCE.read_text(), re.M)
        self.assertGreater(len(examples), 130)
        together = " && ".join(f"({e})" for e in examples)
        self.assertIs(self.value(together), True)


class TestEval(ExpressionCase):
    def test_results_in_both_notations(self):
        for expression, text, as_json in (
                ("1 + 2", "3", 3), ("1.5", "1.5", 1.5), ("'a\\n'", '"a\\n"', "a\n"),
                ("b'\\x01'", 'b"\\x01"', "AQ=="), ("null", "null", None),
                ("duration('90s')", 'duration("90s")', "90s"),
                ("[1u, {'a': ip('::1')}]", '[1u, {"a": ip("::1")}]', [1, {"a": "::1"}]),
                ("optional.none()", "optional.none()", None), ("type(1)", "int", "int")):
            with self.subTest(expression):
                self.assertEqual(self.run_rectify("eval", expression).stdout, text + "\n")
                self.assertEqual(self.value(expression), as_json)

    def test_false_is_a_value(self):
        self.assertEqual(self.run_rectify("eval", "1 > 2").stdout, "false\n")

    def test_an_expression_may_begin_with_a_minus(self):
        self.assertEqual(self.run_rectify("eval", "-1 + 3").stdout, "2\n")
        self.assertEqual(self.run_rectify("eval", "--", "--1").stdout, "1\n")

    def test_now_is_the_time_unless_the_data_has_it(self):
        self.assertIs(self.value("now > timestamp('2026-01-01T00:00:00Z')"), True)
        self.assertEqual(self.value("now", {"now": 5}), 5)

    def test_names_that_cannot_be_variables_are_left_out_and_named(self):
        done = self.run_rectify("eval", "source", "--vars", "-",
                                stdin='{"source": "aws.s3", "detail-type": "x"}')
        self.assertEqual(done.stdout, '"aws.s3"\n')
        self.assertIn("detail-type", done.stderr)

    def test_a_failure_is_told_with_its_place_and_the_trace_so_far(self):
        done = self.run_rectify("eval", "--trace", "1 / 0 > 1 && true", status=EXIT_FAILED)
        self.assertIn("1 / 0 > 1  ! division by zero: 1\n", done.stdout)
        self.assertIn("ERROR: <input>:1:3: division by zero: 1\n | 1 / 0 > 1 && true\n | ..^\n",
                      done.stderr)

    def test_errors_as_json(self):
        done = self.run_rectify("eval", "size(1) + nope", "-o", "json", status=EXIT_FAILED)
        errors = json.loads(done.stdout)["errors"]
        self.assertEqual([(e["code"], e["line"], e["column"]) for e in errors],
                         [("C0102", 1, 5), ("C0101", 1, 11)])
        failed = self.run_rectify("eval", "1 / 0", "-o", "json", status=EXIT_FAILED)
        self.assertEqual(json.loads(failed.stdout)["errors"][0]["code"], "C0205")

    def test_trace_and_types_as_json(self):
        traced = self.run_rectify("eval", "[1, 2].all(x, x > 1)", "--trace", "-o", "json").stdout
        traced = json.loads(traced)
        self.assertIs(traced["value"], False)
        self.assertIn({"depth": 1, "expression": "[1, 2].all(x, x > 1)", "start": 0, "end": 20,
                       "outcome": "turn", "variable": "x", "value": 1}, traced["trace"])
        types = json.loads(self.run_rectify("eval", "size('a')", "--check", "-o", "json").stdout)
        self.assertEqual(types["type"], "int")
        self.assertEqual(types["types"][0]["type"], "int")
        self.assertGreater(types["cost_at_most"], 0)

    def test_a_limit_is_named(self):
        loops = "[1,2,3,4,5,6,7,8,9].exists(a, " * 9 + "false" + ")" * 9
        done = self.run_rectify("eval", loops, status=EXIT_FAILED)
        self.assertIn("LIMIT_EXPRESSION_COST", done.stderr)

    def test_wrong_usage(self):
        for args, words in (((), "which expression"), (("1", "2"), "in quotes"),
                            (("1", "--check", "--trace"), "--trace"),
                            (("1", "--vars"), "--vars"), (("1", "--state", "x"), "--state")):
            with self.subTest(args):
                self.assertIn(words, self.run_rectify("eval", *args, status=EXIT_USAGE).stderr)

    def test_bad_variables(self):
        for text, words in (("[1]", "JSON object"), ("{", "-:1:2"), ("", "-:1:1")):
            with self.subTest(text):
                done = self.run_rectify("eval", "1", "--vars", "-", stdin=text, status=EXIT_FAILED)
                self.assertIn(words, done.stderr)
        done = self.run_rectify("eval", "1", "--vars", "no/file", status=EXIT_FAILED)
        self.assertIn("no/file", done.stderr)

    def test_variables_up_to_their_limit(self):
        limit = 16 << 20
        text = '{"a": "' + "x" * (limit - 9) + '"}'
        self.assertEqual(len(text), limit)
        self.assertEqual(
            self.run_rectify("eval", "a != ''", "--vars", "-", stdin=text).stdout, "true\n")
        done = self.run_rectify("eval", "1", "--vars", "-", stdin=text + " ", status=EXIT_FAILED)
        self.assertIn("LIMIT_VARIABLES_BYTES", done.stderr)


class TestExplain(ExpressionCase):
    def test_functions_operators_and_codes(self):
        for word, words in (("startsWith", "string.startsWith(string) -> bool"),
                            ("all", "map.all(key, value, bool) -> bool"),
                            ("in", "A in list(A) -> bool"), ("&&", "bool && bool -> bool"),
                            ("iam.allowsPublic", "-> bool"), ("C0202", "no such key")):
            with self.subTest(word):
                self.assertIn(words, self.run_rectify("explain", word).stdout)

    def test_each_code_of_the_page(self):
        rows = re.findall(r"^\| ([A-Z]\d{4}) \| (.+?) \| (.+?) \|$",
                          (ROOT / "docs/errors.md").read_text(), re.M)
        self.assertGreater(len(rows), 150)
        for code, happened, advice in rows:
            self.assertEqual(self.run_rectify("explain", code).stdout,
                             f"{code}\n  {happened}\n  {advice}\n")
        self.run_rectify("explain", "Z9999", status=EXIT_USAGE)

    def test_all_names_are_listed(self):
        listed = self.run_rectify("explain").stdout.split()
        for name in re.findall(r"^### `(.*)`$", REFERENCE.read_text(), re.M):
            self.assertIn(name, listed)
        self.assertIn("C0301", listed)

    def test_an_unknown_word_gets_its_neighbour(self):
        done = self.run_rectify("explain", "startWith", status=EXIT_USAGE)
        self.assertIn("did you mean `startsWith`?", done.stderr)
        self.assertIn("`rectify explain` lists them",
                      self.run_rectify("explain", "qqqqqqqq", status=EXIT_USAGE).stderr)

    def test_an_id_is_still_a_remediation(self):
        done = self.run_rectify("explain", "r1", "--state", str(self.home / "state"),
                                status=EXIT_FAILED)
        self.assertIn("r1", done.stderr)


if __name__ == "__main__":
    main()
