#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's files in S3, announced through SQS: by S3 itself, by CloudTrail's SNS topic, by
EventBridge; and the digests that vouch for them: signed, chained, and what happens when somebody
has been there."""
import base64
import gzip
import hashlib
import json
import signal
import time
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import harness
from harness import CloudCase, Daemon, REGION

ACCOUNT = harness.ACCOUNT
NOW = '{policies: ["*"], accounts: "*", mode: enforce, settle: 0s}'


class Trail:
    """CloudTrail's side: log files and digests in a bucket, signed with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def __init__(self, s3, bucket):
        self.s3, self.bucket = s3, bucket
        self.hour = 10
        self.last = None  # (key, hash, signature) of the digest before

    def put(self, key, data, **metadata):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=gzip.compress(data),
                           ContentType="application/json", ContentEncoding="gzip",
                           Metadata=metadata)

    def log(self, *records):
        """A log file; what its digest will say of it."""
        data = json.dumps({"Records": records}).encode()
        key = (f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/11/26/{ACCOUNT}_CloudTrail_{REGION}_"
               f"20261126T{self.hour:02}00Z_{uuid.uuid4().hex[:16]}.json.gz")
        self.put(key, data)
        return {"s3Bucket": self.bucket, "s3Object": key, "hashAlgorithm": "SHA-256",
                "hashValue": hashlib.sha256(data).hexdigest()}

    def digest_key(self, hour):
        return (f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/11/26/{ACCOUNT}_"
                f"CloudTrail-Digest_{REGION}_trail_{REGION}_20261126T{hour:02}0000Z.json.gz")

    def sign(self, digest, data):
        text = (f"{digest['digestEndTime']}\n{digest['digestS3Bucket']}/"
                f"{digest['digestS3Object']}\n{hashlib.sha256(data).hexdigest()}\n"
                f"{digest['previousDigestSignature'] or 'null'}")
        return self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()

    def digest(self, *logs, signature=None, **changes):
        """The next digest of the chain; returns its key."""
        key = self.digest_key(self.hour)
        before = self.last or (None, None, None)
        digest = {
            "awsAccountId": ACCOUNT, "digestStartTime": f"2026-11-26T{self.hour - 1:02}:00:00Z",
            "digestEndTime": f"2026-11-26T{self.hour:02}:00:00Z", "digestS3Bucket": self.bucket,
            "digestS3Object": key, "digestPublicKeyFingerprint": "cafe",
            "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestS3Bucket": before[0] and self.bucket,
            "previousDigestS3Object": before[0], "previousDigestHashValue": before[1],
            "previousDigestHashAlgorithm": before[0] and "SHA-256",
            "previousDigestSignature": before[2], "logFiles": list(logs), **changes}
        data = json.dumps(digest).encode()
        signature = signature or self.sign(digest, data)
        self.put(key, data, signature=signature, **{"signature-algorithm": "SHA256withRSA"})
        self.last = (key, hashlib.sha256(data).hexdigest(), signature)
        self.hour += 1
        return key

    def public_keys(self):
        der = self.key.public_key().public_bytes(serialization.Encoding.DER,
                                                 serialization.PublicFormat.PKCS1)
        one = {"Value": base64.b64encode(der).decode(), "ValidityStartTime": 1e9,
               "ValidityEndTime": 4e9, "Fingerprint": "cafe"}
        return json.dumps({"PublicKeyList": [{**one, "Fingerprint": "beef",
                                              "Value": base64.b64encode(b"0").decode()}, one]})


class TrailCase(CloudCase):
    def setUp(self):
        super().setUp()
        self.sqs, self.s3 = self.moto.client("sqs"), self.moto.client("s3")
        self.bucket_name = f"trail-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.bucket_name)
        self.trail = Trail(self.s3, self.bucket_name)
        self.queue = self.sqs.create_queue(QueueName=self.bucket_name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.bucket_name}"
        self.proxy.rule(lambda s: s.operation == "ListPublicKeys",
                        answer=(200, self.trail.public_keys()))

    def start(self, more="", env=None):
        rectify = self.rectify("s3", env={"RECTIFY_VISIBLE_MS": "1000", **(env or {})})
        (rectify.policies / "rectify.yaml").write_text(
            f"assignments:\n  - {NOW}\nsources:\n  - {{type: sqs, queue: '{self.queue}', "
            f"accounts: ['{ACCOUNT}'], buckets: [{self.bucket_name}]{more}}}\n")
        daemon = Daemon(rectify)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon

    def announce(self, *keys):
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(
            {"s3Bucket": self.bucket_name, "s3ObjectKey": list(keys)}))

    def worked_off(self, daemon):
        def empty():
            got = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["All"])
            return all(got["Attributes"]["ApproximateNumberOfMessages" + n] == "0"
                       for n in ("", "NotVisible"))
        self.assertTrue(daemon.rectify.wait_for(empty), daemon.text())

    def healed(self, daemon, bucket):
        self.assertTrue(daemon.rectify.wait_for(
            lambda: [r["state"] for r in daemon.rectify.of(bucket)] == ["healed"]), daemon.text())

    def records(self, daemon, kind):
        shown = daemon.rectify.command("audit", "show").stdout.splitlines()
        return [r["body"] for r in map(json.loads, shown) if r["kind"] == kind]

    def source(self, daemon):
        return daemon.ask("GET", "/sources", unix=True)[1]["sources"][0]


class TestAnnouncements(TrailCase):
    """Each way in which AWS says that a file is there; the files are taken without digests."""

    def heals(self, daemon):
        victim = self.bucket()
        self.trail.log(harness.create_bucket(victim))
        self.healed(daemon, victim)
        self.worked_off(daemon)

    def test_by_s3_itself(self):
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket_name, NotificationConfiguration={"QueueConfigurations": [
                {"QueueArn": self.arn, "Events": ["s3:ObjectCreated:*"]}]})
        self.heals(self.start(", digests: ignored"))

    def test_by_eventbridge(self):
        events = self.moto.client("events")
        events.put_rule(Name=self.bucket_name, EventPattern=json.dumps(
            {"source": ["aws.s3"], "detail": {"bucket": {"name": [self.bucket_name]}}}))
        events.put_targets(Rule=self.bucket_name, Targets=[{"Id": "q", "Arn": self.arn}])
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket_name,
            NotificationConfiguration={"EventBridgeConfiguration": {}})
        self.heals(self.start(", digests: ignored"))

    def test_by_cloudtrail_s_topic(self):
        sns = self.moto.client("sns")
        topic = sns.create_topic(Name=self.bucket_name)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.arn)
        daemon, victim = self.start(", digests: ignored"), self.bucket()
        one = self.trail.log(harness.create_bucket(victim))
        sns.publish(TopicArn=topic, Message=json.dumps(
            {"s3Bucket": self.bucket_name, "s3ObjectKey": [one["s3Object"]]}))
        self.healed(daemon, victim)
        self.worked_off(daemon)

    def test_a_key_with_signs_that_s3_writes_otherwise(self):
        daemon, victim = self.start(", digests: ignored"), self.bucket()
        key = "with space+plus/AWSLogs/x.json"
        self.s3.put_object(Bucket=self.bucket_name, Key=key,
                           Body=json.dumps(harness.create_bucket(victim)))
        written = "with+space%2Bplus/AWSLogs/x.json"
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps({"Records": [
            {"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete",
             "s3": {"bucket": {"name": self.bucket_name}, "object": {"key": "gone"}}},
            {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
             "s3": {"bucket": {"name": self.bucket_name}, "object": {"key": written}}}]}))
        self.healed(daemon, victim)

    def test_a_bucket_that_is_not_listed_is_not_read(self):
        other = self.bucket_name + "-other"
        self.s3.create_bucket(Bucket=other)
        daemon, victim = self.start(", digests: ignored"), self.bucket()
        self.s3.put_object(Bucket=other, Key="x.json",
                           Body=json.dumps(harness.create_bucket(victim)))
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(
            {"s3Bucket": other, "s3ObjectKey": ["x.json"]}))
        self.worked_off(daemon)
        self.assertEqual([a["code"] for a in self.records(daemon, "quarantined")], ["T0014"])
        self.assertEqual([s for s in self.proxy.seen if s.path.startswith("/" + other)], [])

    def test_a_bomb_is_bounded(self):
        daemon = self.start(", digests: ignored")
        self.s3.put_object(Bucket=self.bucket_name, Key="bomb.gz",
                           Body=gzip.compress(b" " * (65 << 20)))
        self.announce("bomb.gz")
        self.assertTrue(daemon.rectify.wait_for(lambda: self.records(daemon, "quarantined")))
        self.assertEqual([a["code"] for a in self.records(daemon, "quarantined")], ["T0013"])
        self.worked_off(daemon)


class TestDigests(TrailCase):
    def test_files_are_taken_when_their_digest_vouches_for_them(self):
        daemon = self.start()
        victims = [self.bucket() for _ in range(3)]
        logs = [self.trail.log(harness.create_bucket(v)) for v in victims]
        self.announce(*[one["s3Object"] for one in logs])
        self.worked_off(daemon)
        self.assertEqual(daemon.rectify.list(), [])
        self.announce(self.trail.digest(*logs[:2]))
        self.announce(self.trail.digest(logs[2]))
        for victim in victims:
            self.healed(daemon, victim)
        self.worked_off(daemon)
        seen = self.source(daemon)
        self.assertEqual((seen["digests"], seen["broken"], seen["events"]), (2, 0, 3))
        self.assertEqual(self.records(daemon, "trail broken"), [])

    def test_a_changed_file_starts_nothing(self):
        daemon, good, bad = self.start(), self.bucket(), self.bucket()
        logs = [self.trail.log(harness.create_bucket(b)) for b in (bad, good)]
        changed = json.dumps({"Records": [harness.create_bucket(bad)]}).encode()
        self.trail.put(logs[0]["s3Object"], changed)
        self.announce(self.trail.digest(*logs))
        self.healed(daemon, good)
        self.worked_off(daemon)
        self.assertEqual(daemon.rectify.of(bad), [])
        told = self.records(daemon, "trail broken")
        self.assertEqual([(t["code"], t["subject"]) for t in told],
                         [("T0019", logs[0]["s3Object"])])
        self.assertIn("was changed", told[0]["message"])
        self.assertIn("the trail is broken", daemon.text())
        self.assertEqual(self.source(daemon)["broken"], 1)

    def test_a_file_that_is_missing_is_told(self):
        daemon, good = self.start(), self.bucket()
        logs = [self.trail.log(harness.create_bucket(b)) for b in ("gone", good)]
        self.s3.delete_object(Bucket=self.bucket_name, Key=logs[0]["s3Object"])
        self.announce(self.trail.digest(*logs))
        self.healed(daemon, good)
        self.assertIn("is missing", self.records(daemon, "trail broken")[0]["message"])

    def test_a_missing_digest_breaks_the_chain(self):
        daemon, victim = self.start(), self.bucket()
        first = self.trail.digest()
        self.s3.delete_object(Bucket=self.bucket_name, Key=first)
        self.announce(self.trail.digest(self.trail.log(harness.create_bucket(victim))))
        self.healed(daemon, victim)  # its own digest is signed
        told = self.records(daemon, "trail broken")
        self.assertEqual([t["code"] for t in told], ["T0016"])
        self.assertIn("NoSuchKey", told[0]["message"])

    def test_a_changed_digest_before_it_breaks_the_chain(self):
        daemon = self.start()
        first = self.trail.digest()
        signature = self.trail.last[2]
        self.trail.put(first, b'{"logFiles": []}', signature=signature)
        self.announce(self.trail.digest())
        self.assertTrue(daemon.rectify.wait_for(lambda: self.records(daemon, "trail broken")))
        self.assertIn("was changed", self.records(daemon, "trail broken")[0]["message"])

    def test_a_swapped_signature_vouches_for_nothing(self):
        daemon, victim = self.start(), self.bucket()
        self.announce(self.trail.digest())
        stolen = self.trail.last[2]
        log = self.trail.log(harness.create_bucket(victim))
        self.announce(self.trail.digest(log, signature=stolen))
        self.worked_off(daemon)
        self.assertEqual([a["code"] for a in self.records(daemon, "quarantined")], ["T0015"])
        self.assertEqual(daemon.rectify.list(), [])
        self.assertEqual(self.source(daemon)["broken"], 1)

    def test_a_forged_digest_vouches_for_nothing(self):
        """Each change on the way, though everything else is as CloudTrail writes it."""
        daemon, victim = self.start(), self.bucket()
        log = self.trail.log(harness.create_bucket(victim))
        other = Trail(self.s3, self.bucket_name)
        other.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        other.hour = 20
        self.announce(other.digest(log))                       # by another key
        self.trail.hour = 15
        self.announce(self.trail.digest(log, digestS3Object="AWSLogs/elsewhere"))
        self.announce(self.trail.digest(log, digestPublicKeyFingerprint="f00d"))
        self.announce(self.trail.digest(log, digestSignatureAlgorithm="none"))
        moved = self.trail.digest_key(23)                      # a good one, at another place
        good = self.trail.digest(log)
        data = gzip.decompress(self.s3.get_object(Bucket=self.bucket_name, Key=good)["Body"].read())
        self.trail.put(moved, data, signature=self.trail.last[2])
        self.announce(moved)
        self.worked_off(daemon)
        self.assertEqual([a["code"] for a in self.records(daemon, "quarantined")], ["T0015"] * 5)
        self.assertEqual(daemon.rectify.list(), [])

    def test_what_cannot_be_asked_is_asked_again(self):
        daemon, victim = self.start(), self.bucket()
        self.proxy.clear()
        refusal = json.dumps({"__type": "ThrottlingException", "message": "slow down"})
        self.proxy.rule(lambda s: s.operation == "ListPublicKeys", times=2, answer=(400, refusal))
        self.proxy.rule(lambda s: s.operation == "ListPublicKeys",
                        answer=(200, self.trail.public_keys()))
        self.announce(self.trail.digest(self.trail.log(harness.create_bucket(victim))))
        self.healed(daemon, victim)
        self.worked_off(daemon)
        self.assertEqual(self.records(daemon, "quarantined"), [])

    def test_what_no_digest_can_vouch_for_is_not_taken(self):
        daemon = self.start()
        self.s3.put_object(Bucket=self.bucket_name, Key="AWSLogs/anything.json",
                           Body=json.dumps(harness.create_bucket("anything")))
        self.announce("AWSLogs/anything.json")
        self.announce(f"AWSLogs/{ACCOUNT}/CloudTrail/")  # the folder that CloudTrail makes
        self.worked_off(daemon)
        self.assertEqual([a["code"] for a in self.records(daemon, "quarantined")], ["T0018"])

    def test_the_same_digest_twice_changes_nothing(self):
        daemon, victim = self.start(), self.bucket()
        key = self.trail.digest(self.trail.log(harness.create_bucket(victim)))
        self.announce(key)
        self.healed(daemon, victim)
        self.announce(key)
        time.sleep(0.2)
        self.worked_off(daemon)
        self.assertEqual(len(daemon.rectify.of(victim)), 1)
        self.assertEqual(self.source(daemon)["duplicates"], 1)


if __name__ == "__main__":
    harness.main()
