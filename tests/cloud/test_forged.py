#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events that somebody wrote to mislead: no call leaves for a foreign account, or for another
resource than one with exactly the name in the event, and no violation stays unhealed or
unseen because of what an event says."""
import json
import re
import urllib.parse

import harness
from harness import CloudCase

FOREIGN = "999999999999"

# Names that mean something to a shell, a path, an expression, markup, a terminal, a log or a chat.
NAMES = {
    "an expression": "${params.value}", "an expression of CEL": "' || true || '",
    "a path": "../../etc/passwd", "a path on the same host": "x/../VICTIM",
    "percent signs": "%2e%2e%2fVICTIM", "a query": "VICTIM?tagging&x=", "a fragment": "VICTIM#",
    "a host": "evil.example/VICTIM", "user and host": "VICTIM@evil.example",
    "an arn": "arn:aws:s3:us-east-1:999999999999:accesspoint/VICTIM",
    "an arn of the same bucket": "arn:aws:s3:::VICTIM",
    "markup": "<script>alert(1)</script>", "a chat's markup": "<!channel> <@U1|x>",
    "a line break": "a\nlevel=info healed VICTIM", "a carriage return": "a\r\nHost: evil.example",
    "a terminal's escape": "\x1b[2J\x1b]0;x\x07", "zero": "VICTIM\x00",
    "right to left": "\u202eVICTIM",
    "a space": "VICTIM ", "upper case": "VICTIM.upper", "SQL": "'; DROP TABLE remediation; --",
    "JSON": '{"Bucket":"VICTIM"}', "long": "a" * 5000, "empty": "", "a dot": ".", "two dots": "..",
}


class ForgedCase(CloudCase):
    def setUp(self):
        super().setUp()
        self.victim = self.bucket()     # violates; no event names it
        self.honest = self.bucket()     # violates; an honest event names it

    def run_forged(self, *forged):
        """The forged ones, then an honest one, which has to be healed whatever came before it."""
        rectify = self.rectify("s3")
        done = rectify.run(*forged, harness.create_bucket(self.honest), timeout_s=120)
        self.assertEqual(self.tags(self.honest), {"cost-center": "unassigned"}, done.stderr)
        self.assertEqual(self.tags(self.victim), {}, done.stderr)
        return rectify, done

    def touching(self, name):
        """Requests whose path goes to this bucket, however it was spelled."""
        return [s for s in self.proxy.seen
                if urllib.parse.unquote(s.path.split("?")[0]).strip("/").split("/")[0] == name]


class TestForeignAccount(ForgedCase):
    def test_an_event_of_a_foreign_account(self):
        self.run_forged(harness.create_bucket(self.victim, account=FOREIGN))
        self.assertEqual(self.touching(self.victim), [])

    def test_an_envelope_of_ours_around_a_record_of_theirs(self):
        """The bucket is looked at as one of ours: S3 itself refuses where it is not."""
        outer = harness.envelope(harness.create_bucket(self.victim, account=FOREIGN))
        outer["account"] = harness.ACCOUNT
        rectify = self.rectify("s3")
        rectify.run(outer)
        self.assertTrue(self.touching(self.victim))
        for seen in self.touching(self.victim):
            self.assertEqual(seen.headers.get("x-amz-expected-bucket-owner"), harness.ACCOUNT)

    def test_an_envelope_of_theirs_around_a_record_of_ours(self):
        outer = harness.envelope(harness.create_bucket(self.victim))
        outer["account"] = FOREIGN
        self.run_forged(outer)
        self.assertEqual(self.touching(self.victim), [])

    def test_a_source_that_may_not_speak_for_the_account(self):
        rectify = self.rectify("s3")
        done = rectify.run(harness.create_bucket(self.victim), options=("--accounts", FOREIGN))
        self.assertEqual(self.touching(self.victim), [])
        self.assertIn("may not speak", done.stderr)

    def test_accounts_and_regions_that_are_none(self):
        odd = []
        for account in ("", "1", "12345678901x", "*", "123456789012 ", FOREIGN + "\n", None, 5):
            record = harness.envelope(harness.create_bucket(self.victim))
            record["account"] = account
            odd.append(record)
        for region in ("", "*", "us-east-1.evil.example", "../x", "us-east-1/", "us-east-1\n",
                       None):
            record = harness.create_bucket(self.victim)
            record["awsRegion"] = region
            odd.append(record)
        rectify = self.rectify("s3")
        rectify.run(*odd, harness.create_bucket(self.honest), timeout_s=120)
        self.assertEqual(self.tags(self.honest), {"cost-center": "unassigned"})
        hosts = {s.headers.get("host", "").split(":")[0] for s in self.proxy.seen}
        self.assertEqual(hosts, {"127.0.0.1"})


class TestNames(ForgedCase):
    def test_each_odd_name_is_itself_or_nothing(self):
        names = {what: name.replace("VICTIM", self.victim) for what, name in NAMES.items()}
        rectify, done = self.run_forged(*[harness.create_bucket(n) for n in names.values()])
        for seen in self.proxy.seen:
            if not seen.changes or seen.operation:
                continue
            self.assertEqual(urllib.parse.unquote(seen.path).split("?")[0].strip("/"), self.honest)
        self.assertEqual([s.path for s in self.touching(self.victim)], [])
        # Each is told of: as a remediation, or set aside with its reason.
        events, matches, again, aside = map(int, re.search(
            r"(\d+) events, (\d+) matches, (\d+) redelivered, (\d+) set aside",
            done.stderr + done.stdout).groups())
        self.assertEqual((events, again), (len(names) + 1, 0))
        self.assertEqual(matches + aside, events)
        self.assertEqual(len(rectify.list()), matches)
        self.assertEqual([r for r in rectify.list() if r["state"] == "healed"],
                         rectify.of(self.honest))
        for text in (done.stdout, done.stderr, rectify.command("list", "--all").stdout):
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\x00", text)
            self.assertNotIn("\nlevel=info healed", text)
        self.assertEqual(rectify.command("audit", "verify").returncode, 0)

    def test_names_that_are_no_text(self):
        records = []
        for name in (None, 5, True, {}, ["gone-already", 5], {"x": self.victim}, 1e300):
            record = harness.create_bucket("x")
            record["requestParameters"]["bucketName"] = name
            records.append(record)
        record = harness.create_bucket("x")
        record["requestParameters"] = None
        _, done = self.run_forged(*records, record)
        self.assertEqual([s for s in self.proxy.changes(self.victim)], [])
        self.assertIn("set aside", done.stderr + done.stdout)


class TestSilence(ForgedCase):
    """What an event says of itself never makes a violation go unseen."""

    def healed(self, change):
        bucket = self.bucket()
        record = harness.create_bucket(bucket)
        change(record)
        self.run_forged(record)
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"}, record)

    def test_our_user_agent(self):
        self.healed(lambda r: r.update(userAgent="rectify/1.0"))

    def test_aws_itself(self):
        self.healed(lambda r: r.update(userAgent="AWS Internal",
                                       sourceIPAddress="config.amazonaws.com"))

    def test_a_record_that_says_it_only_reads(self):
        self.healed(lambda r: r.update(readOnly=True))

    def test_fields_that_nobody_knows(self):
        self.healed(lambda r: r.update(rectify={"exempt": True}, exempt=True, mode="observe",
                                       severity="info", compliant=True))

    def test_tags_in_the_event(self):
        self.healed(lambda r: r["requestParameters"].update(
            tagging={"tagSet": [{"key": "cost-center", "value": "x"}]}))

    def test_a_time_far_off(self):
        for time in ("1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z", "yesterday", ""):
            with self.subTest(time):
                self.healed(lambda r, t=time: r.update(eventTime=t))

    def test_the_id_of_another_event(self):
        """Whoever repeats an event's id with other content does not silence the second."""
        first = harness.create_bucket(self.bucket())
        second = harness.create_bucket(self.bucket())
        second["eventID"] = first["eventID"]
        self.run_forged(first, second)
        for record in (first, second):
            bucket = record["requestParameters"]["bucketName"]
            with self.subTest(bucket):
                self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})

    def test_a_name_that_an_exemption_is_for(self):
        """Whoever makes a bucket chooses its name: only what a listed one made is exempt by it."""
        rectify = self.rectify("s3")
        (policy,) = [p for p in rectify.policies.iterdir() if p.name != "rectify.yaml"]
        text = policy.read_text()
        when = "tagging.TagSet.exists(t, t.Key == 'sandbox')"
        self.assertIn(when, text)
        policy.write_text(text.replace(when, "resource.id.startsWith('t-')"))
        theirs, ours, later = self.bucket(), self.bucket(), self.bucket()
        done = rectify.run(harness.create_bucket(theirs, actor="mallory"),
                           harness.create_bucket(ours, actor="platform-ann"),
                           harness.create_bucket(later, actor="mallory"),
                           harness.put_bucket_tagging(later, actor="platform-ann"))
        self.assertEnded(done)
        self.assertEqual(self.tags(theirs), {"cost-center": "unassigned"}, done.stderr)
        self.assertEqual(self.tags(later), {"cost-center": "unassigned"}, done.stderr)
        self.assertEqual(self.tags(ours), {}, done.stderr)
        self.assertEqual([r["state"] for r in rectify.of(ours)], ["skipped"])

    def test_the_request_id_of_a_call_of_ours(self):
        bucket = self.bucket()
        rectify = self.rectify("s3")
        rectify.run(harness.create_bucket(bucket))
        (healed,) = rectify.of(bucket)
        ours = rectify.show(healed["id"])["detail"]["attempts"][0]["request_id"]
        record = harness.create_bucket(self.victim)
        record["requestID"] = ours
        rectify.run(record)
        self.assertEqual(self.tags(self.victim), {"cost-center": "unassigned"})


if __name__ == "__main__":
    harness.main()
