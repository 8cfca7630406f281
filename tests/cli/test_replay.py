#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify replay as a person runs it: forms of history, counts, a change of policies, the gate."""
import gzip
import json
import os
import pty
import subprocess

import shell
from shell import POLICIES, RECTIFY, ShellCase, harness

TAG = POLICIES / "s3" / "s3-cost-center-tag.yaml"


def line(record):
    return json.dumps(record) + "\n"


class TestReplay(ShellCase):
    def records(self):
        """Five matches of the tag policy; a failed call, a read and a copy match nothing."""
        made = [harness.create_bucket(f"b{i % 3}", at=f"2026-01-0{i + 1}T10:00:00Z",
                                      actor="alice" if i % 2 else "bob") for i in range(5)]
        return [*made, made[0], harness.create_bucket("x", error="AccessDenied"),
                harness.event("s3.amazonaws.com", "GetBucketTagging", {"bucketName": "b"})]

    def replay(self, *args, status=0, **more):
        done = self.rectify("replay", *args, "-o", "json", status=status, **more)
        answer = json.loads(done.stdout)
        answer["by"] = {p["policy"]: p for p in answer["policies"]}
        answer["stderr"] = done.stderr
        return answer

    def test_every_form_of_history_gives_the_same(self):
        records = self.records()
        lines = "".join(map(line, records))
        wrapped = json.dumps({"Records": records})
        folder = "logs/AWSLogs/123456789012/CloudTrail/us-east-1/2026/01/05"
        forms = {
            "lines.jsonl": lines.encode(),
            "lines.jsonl.gz": gzip.compress(lines.encode()),
            "wrapped.json": wrapped.encode(),
            f"{folder}/123456789012_CloudTrail_us-east-1_x.json.gz": gzip.compress(
                wrapped.encode()),
            "envelopes.json": "".join(line(harness.envelope(r)) for r in records).encode(),
        }
        answers = []
        for name, data in forms.items():
            self.write(name, data)
            path = "logs" if name.startswith("logs") else name
            answers.append(self.replay(path, "--policies", POLICIES))
        answers.append(self.replay("-", "--policies", POLICIES, stdin=lines))
        for answer in answers:
            self.assertEqual(answer["events"], 8)
            self.assertEqual(answer["bad"], 0)
            tag = answer["by"]["s3-cost-center-tag"]
            self.assertEqual((tag["matches"], tag["resources"]), (5, 3))
            self.assertEqual(tag["accounts"], {"123456789012": 5})
            self.assertEqual(tag["actors"], {"arn:aws:iam::123456789012:user/alice": 2,
                                             "arn:aws:iam::123456789012:user/bob": 3})
            self.assertEqual(tag["days"], {f"2026-01-0{i}": 1 for i in range(1, 6)})
            self.assertEqual(answer["by"]["kms-key-rotation"]["matches"], 0)

    def test_zstd_is_read_where_its_program_can_make_it(self):
        plain = self.write("lines.jsonl", "".join(map(line, self.records())))
        try:
            subprocess.run(["zstd", "-q", plain], check=True)
        except FileNotFoundError:
            self.skipTest("no zstd program here")
        plain.unlink()
        answer = self.replay(".", "--policies", POLICIES)
        self.assertEqual(answer["by"]["s3-cost-center-tag"]["matches"], 5)

    def test_digests_and_other_files_are_passed_over_and_said_so(self):
        self.write("logs/CloudTrail-Digest/d.json", line(self.records()[0]))
        self.write("logs/notes.txt", "x")
        self.write("logs/a.json", line(self.records()[0]))
        answer = self.replay("logs", "--policies", POLICIES)
        self.assertEqual((answer["files"], answer["files_passed_over"]), (1, 2))
        self.assertIn("2 files passed over", answer["stderr"])

    def test_pieces_that_are_no_event_are_counted_and_the_first_is_named(self):
        self.write("a.json", line(self.records()[0]) + "garbage\n" + line(self.records()[1]))
        answer = self.replay("a.json", "--policies", POLICIES)
        self.assertEqual((answer["events"], answer["bad"]), (2, 1))
        self.assertIn("a.json: not an event", answer["stderr"])

    def test_only_the_accounts_asked_for_count(self):
        self.write("a.json", line(harness.create_bucket("a")) +
                   line(harness.create_bucket("b", account="210987654321")))
        answer = self.replay("a.json", "--policies", POLICIES, "--accounts", "210987654321")
        self.assertEqual(answer["by"]["s3-cost-center-tag"]["accounts"], {"210987654321": 1})

    def test_a_policy_that_is_off_matches_nothing(self):
        self.write("p/tag.yaml", TAG.read_text())
        self.write("p/rectify.yaml", "assignments:\n  - {policies: ['*'], accounts: "
                   "['123456789012'], mode: observe}\n")
        self.write("a.json", line(harness.create_bucket("a")) +
                   line(harness.create_bucket("b", account="210987654321")))
        answer = self.replay("a.json", "--policies", "p")
        self.assertEqual(answer["by"]["s3-cost-center-tag"]["accounts"], {"123456789012": 1})

    def test_the_table_and_its_summary(self):
        self.write("a.json", "".join(map(line, self.records())))
        done = self.rectify("replay", "a.json", "--policies", POLICIES, "-o", "table")
        self.assertRegex(done.stdout, r"s3-cost-center-tag +5 +3\n")
        self.assertRegex(done.stdout, r"s3-cost-center-tag +3 arn:aws:iam::123456789012:user/bob")
        self.assertRegex(done.stdout, r"s3-cost-center-tag +1 2026-01-03")
        self.assertRegex(done.stderr, r"8 events of 1 files, .* MB/s")


class TestAgainst(ShellCase):
    """A change of policies: the new ones also look at DeleteBucketTagging's opposite, and not at
    CreateBucket any more."""

    def setUp(self):
        super().setUp()
        text = TAG.read_text()
        create = "    s3:CreateBucket: event.detail.requestParameters.bucketName\n"
        self.assertIn(create, text)
        self.write("old/tag.yaml", text)
        self.write("new/tag.yaml", text.replace(create, create.replace("Create", "Delete")))
        deleted = [harness.event("s3.amazonaws.com", "DeleteBucket", {"bucketName": f"d{i}"})
                   for i in range(3)]
        self.write("a.json", "".join(map(line, [
            *deleted, harness.create_bucket("c"), harness.put_bucket_tagging("p")])))

    def change(self, *args, status=0):
        done = self.rectify("replay", "a.json", "--policies", "new", "--against", "old", "-o",
                            "json", *args, status=status)
        return json.loads(done.stdout)["policies"], done.stderr

    def test_what_more_and_what_less(self):
        (policy,), _ = self.change()
        self.assertEqual({k: policy[k] for k in ("status", "matches", "before", "more", "less")},
                         {"status": "kept", "matches": 4, "before": 2, "more": 3, "less": 1})
        self.assertEqual(policy["accounts"], {"123456789012": {"matches": 4, "before": 2}})

    def test_new_and_gone_policies_are_said_so(self):
        renamed = (self.home / "new/tag.yaml").read_text().replace(
            "policy: s3-cost-center-tag", "policy: renamed")
        self.write("new/tag.yaml", renamed)
        policies, _ = self.change("--max-growth", "0")
        self.assertEqual([(p["policy"], p["status"]) for p in policies],
                         [("renamed", "new"), ("s3-cost-center-tag", "gone")])

    def test_the_gate_of_growth(self):
        self.change("--max-growth", "100%")
        (policy,), stderr = self.change("--max-growth", "99", status=2)
        self.assertIn("4 matches instead of 2", stderr)
        self.assertIn("4 matches instead of 2", policy["gate"])

    def test_the_gate_of_matches(self):
        self.change("--max-matches", "4")
        _, stderr = self.change("--max-matches", "3", status=2)
        self.assertIn("4 matches, more than the 3", stderr)

    def test_wrong_usage(self):
        self.rectify("replay", "a.json", "--policies", "new", "--max-growth", "3", status=64)
        self.rectify("replay", "a.json", "--policies", "new", "--max-matches", "-1", status=64)
        self.rectify("replay", "--policies", "new", status=64)
        self.rectify("replay", "a.json", "--policies", "new", "-o", "xml", status=64)
        self.rectify("replay", "none.json", "--policies", "new", status=1)


class TestProgress(ShellCase):
    def test_a_bar_on_a_terminal_and_none_elsewhere(self):
        """The history comes slowly through a pipe; the bar is drawn after a second."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([str(RECTIFY), "replay", "-", "--policies", str(POLICIES)],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs,
                                   env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        process.stdin.write(line(harness.create_bucket("b")).encode())
        process.stdin.flush()
        seen = os.read(ours, 1000)
        process.stdin.close()
        self.assertEqual(process.wait(60), 0)
        os.close(ours)
        self.assertIn(b"\r[", seen)
        self.write("a.json", line(harness.create_bucket("b")))
        done = self.rectify("replay", "a.json", "--policies", POLICIES)
        self.assertNotIn("\r", done.stderr)


if __name__ == "__main__":
    shell.main()
