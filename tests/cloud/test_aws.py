#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rectify aws` through the real binary: against moto, against moto that checks signatures, and
against a server that answers with everything that a network can do."""
import http.server
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
import uuid

import harness
from harness import CloudCase, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from harness.moto import die_with_parent, environment

SECRET = "wJalrXUtnFEMI-not-to-be-seen"
TOKEN = "session-token-not-to-be-seen"


def aws(env, *args, timeout_s=60, limit_mb=None):
    def before():
        die_with_parent()
        if limit_mb and not os.environ.get("RECTIFY_SANITIZER", "none") != "none":
            resource.setrlimit(resource.RLIMIT_AS, (limit_mb << 20, limit_mb << 20))
    return subprocess.run([str(harness.RECTIFY), *args], env=env, capture_output=True, text=True,
                          timeout=timeout_s, check=False, preexec_fn=before)


class AwsCase(CloudCase):
    def environment(self):
        return {**super().environment(), "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_SESSION_TOKEN": TOKEN, "RECTIFY_STATE": str(self.home / "state"),
                "AWS_MAX_ATTEMPTS": "1"}

    def aws(self, *args, env=None, **more):
        done = aws({**self.environment(), **(env or {})}, "aws", *args, **more)
        for text in (done.stdout, done.stderr):
            self.assertNotIn(SECRET, text)
            if "--presign" not in args:
                self.assertNotIn(TOKEN, text)
        return done

    def ok(self, *args, **more):
        done = self.aws(*args, **more)
        self.assertEnded(done)
        return done.stdout

    def json(self, *args, **more):
        return json.loads(self.ok(*args, **more))


class TestCalls(AwsCase):
    def test_input_as_json_and_as_words_give_the_same(self):
        bucket = self.bucket({"owner": "alice"})
        want = {"TagSet": [{"Key": "owner", "Value": "alice"}]}
        self.assertEqual(self.json("s3:GetBucketTagging", json.dumps({"Bucket": bucket})), want)
        self.assertEqual(self.json("s3:GetBucketTagging", f"Bucket={bucket}"), want)

    def test_a_write_arrives(self):
        bucket = self.bucket()
        self.assertEqual(self.json("s3:PutBucketTagging", f"Bucket={bucket}",
                                   'Tagging.TagSet=[{"Key": "a", "Value": "b c"}]'), {})
        self.assertEqual(self.tags(bucket), {"a": "b c"})

    def test_query_and_formats(self):
        bucket = self.bucket({"owner": "alice"})
        read = ("s3:GetBucketTagging", f"Bucket={bucket}")
        self.assertEqual(self.ok(*read, "--query", "TagSet[].Key"), '[\n  "owner"\n]\n')
        self.assertEqual(self.ok(*read, "-o", "yaml"),
                         "TagSet:\n  - Key: owner\n    Value: alice\n")
        self.assertEqual(self.ok(*read, "-o", "table"), "Key    Value\nowner  alice\n")
        done = self.aws(*read, "--query", "TagSet[")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("--query", done.stderr)
        self.assertEnded(self.aws(*read, "-o", "xml"), EXIT_USAGE)

    def test_all_pages_are_joined(self):
        bucket, keys = self.bucket(), [f"k{i}" for i in range(5)]
        for key in keys:
            self.ok("s3:PutObject", f"Bucket={bucket}", f"Key={key}", "Body=x")
        read = ("s3:ListObjectsV2", f"Bucket={bucket}", "MaxKeys=2", "--query", "Contents[].Key")
        self.assertEqual(self.json(*read), keys[:2])
        self.proxy.clear()
        self.assertEqual(self.json(*read, "--all-pages"), keys)
        self.assertEqual(len(self.proxy.seen), 3)

    def test_a_waiter_waits_and_gives_up(self):
        instance = self.json("ec2:RunInstances", "ImageId=ami-12c6146b", "MinCount=1",
                             "MaxCount=1", "--query", "Instances[0].InstanceId")
        state = self.json("ec2:DescribeInstances", f"InstanceIds={instance}", "--wait",
                          "InstanceRunning", "--query",
                          "Reservations[0].Instances[0].State.Name")
        self.assertEqual(state, "running")
        done = self.aws("ec2:DescribeInstances", f"InstanceIds={instance}", "--wait",
                        "InstanceRuning")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("did you mean `InstanceRunning`?", done.stderr)
        self.ok("ec2:TerminateInstances", f"InstanceIds={instance}")
        done = self.aws("ec2:DescribeInstances", f"InstanceIds={instance}", "--wait",
                        "InstanceRunning")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("will not be reached", done.stderr)

    def test_a_dry_run_shows_the_request_and_sends_nothing(self):
        self.proxy.clear()
        out = self.ok("s3:PutBucketTagging", "Bucket=my-bucket",
                      'Tagging.TagSet=[{"Key": "a", "Value": "b"}]', "--dry-run")
        self.assertRegex(out, r"^PUT http://127\.0\.0\.1:\d+/my-bucket\?tagging\n")
        self.assertIn("X-Amz-Security-Token: ***\n", out)
        self.assertRegex(out, r"Authorization: AWS4-HMAC-SHA256 Credential=AKIA")
        self.assertTrue(out.endswith("<Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>\n"))
        self.assertEqual(self.proxy.seen, [])

    def test_a_presigned_url_makes_the_call(self):
        bucket = self.bucket({"owner": "alice"})
        url = self.ok("s3:GetBucketTagging", f"Bucket={bucket}", "--presign").strip()
        with urllib.request.urlopen(url) as answer:
            self.assertIn(b"<Key>owner</Key>", answer.read())
        url = self.ok("sts:GetCallerIdentity", "--presign").strip()
        self.assertRegex(url, r"/\?Action=GetCallerIdentity&Version=.*&X-Amz-Signature=\w{64}$")
        done = self.aws("dynamodb:ListTables", "--presign")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("A0315", done.stderr)

    def test_a_refusal_names_code_status_and_request(self):
        done = self.aws("s3:GetBucketTagging", f"Bucket={self.bucket()}")
        self.assertEnded(done, EXIT_FAILED)
        self.assertRegex(done.stderr, r"^rectify: s3:GetBucketTagging refused: NoSuchTagSet: .*"
                                      r"\(HTTP 404, request \S+\)\n$")
        self.assertEqual(done.stdout, "")

    def test_bad_input_is_found_before_anything_is_sent(self):
        self.proxy.clear()
        for args, words in (
                (["s3:GetBucketTaging", "Bucket=b"], "did you mean `GetBucketTagging`?"),
                (["s3:GetBucketTagging", "Buckt=b"], "did you mean `Bucket`?"),
                (["s3:GetBucketTagging"], "needs `Bucket`"),
                (["s3:GetBucketTagging", "nonsense"], "neither a JSON object nor Name=value"),
                (["ec2:RunInstances", "MinCount=x", "MaxCount=1"], "MinCount"),
                (["s3:PutBucketVersioning", "Bucket=b",
                  "VersioningConfiguration.Status=Enbled"], "did you mean `Enabled`?")):
            done = self.aws(*args)
            self.assertEnded(done, EXIT_FAILED)
            self.assertIn(words, done.stderr)
        self.assertEqual(self.proxy.seen, [])

    def test_another_accounts_credentials_are_refused(self):
        done = self.aws("s3:ListBuckets", "--account", "999999999999")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("A0301", done.stderr)

    def test_the_kill_switch_stops_writes_and_not_reads(self):
        bucket = self.bucket({"owner": "alice"})
        (self.home / "state").mkdir(exist_ok=True)
        (self.home / "state" / "STOP").touch()
        done = self.aws("s3:DeleteBucketTagging", f"Bucket={bucket}")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("kill switch", done.stderr)
        self.assertEqual(self.tags(bucket), {"owner": "alice"})
        self.ok("s3:GetBucketTagging", f"Bucket={bucket}")

    def test_a_role_in_another_account_sees_another_account(self):
        self.bucket()
        mine = self.json("s3:ListBuckets", "--query", "Buckets[].Name")
        theirs = self.json("s3:ListBuckets", "--query", "Buckets[].Name", "--role",
                           "arn:aws:iam::111122223333:role/reader")
        self.assertTrue(mine)
        self.assertFalse(theirs)


class TestLists(AwsCase):
    def test_services_and_operations(self):
        services = self.ok("--list").split()
        self.assertIn("s3", services)
        self.assertGreater(len(services), 300)
        self.assertIn("s3:PutBucketTagging", self.ok("--list", "s3").split())
        self.assertEnded(self.aws("--list", "s33"), EXIT_FAILED)

    def test_describe(self):
        text = self.ok("--describe", "s3:PutBucketVersioning")
        for words in ("PUT /{Bucket}?versioning (rest-xml)", "may change something",
                      "Bucket (required): string", "Status: string Enabled|Suspended",
                      "https://docs.aws.amazon.com/goto/WebAPI/s3-2006-03-01/PutBucketVersioning",
                      "Output: nothing"):
            self.assertIn(words, text)

    def test_completion(self):
        def words(line):
            return aws(self.environment(), "completion", line).stdout.split()
        self.assertEqual(words("rectify aws s3:GetBucketTag"), ["s3:GetBucketTagging"])
        self.assertIn("s3:", words("rectify aws s3"))
        self.assertEqual(words("rectify aws --dry"), ["--dry-run"])
        self.assertIn("approve", words("rectify app"))
        script = ("source <('{0}' completion); COMP_LINE='{0} aws s3:GetBucketTag'; "
                  "COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=('{0}' aws s3 : GetBucketTag); "
                  "COMP_CWORD=4; _rectify; echo \"${{COMPREPLY[*]}}\"").format(harness.RECTIFY)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False,
                              env=self.environment())
        self.assertEqual(done.stdout.strip(), "GetBucketTagging")

    def test_models_pack(self):
        import botocore
        data = os.path.join(os.path.dirname(botocore.__file__), "data")
        small, out = self.home / "data", self.home / "pack"
        small.mkdir()
        for name in ("sqs", "partitions.json"):
            os.symlink(os.path.join(data, name), small / name)
        done = aws(self.environment(), "models", "pack", str(small), str(out))
        self.assertEnded(done)
        self.assertIn("1 services", done.stdout)
        env = {"RECTIFY_MODELS": str(out)}
        self.assertEqual(self.ok("--list", env=env).split(), ["sqs"])
        self.json("sqs:ListQueues", env=env)
        index = (out / "index.json").read_text()
        (out / "index.json").write_text(index.replace('"format":', '"format":9'))
        done = self.aws("--list", env=env)
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("rectify models pack", done.stderr)
        # A folder of botocore's own, unpacked, works as well.
        self.json("sqs:ListQueues", env={"RECTIFY_MODELS": str(small)})


class TestSignatures(CloudCase):
    """moto with its own check of signatures and permissions, which is not ours."""

    def test_good_signatures_pass_and_bad_ones_do_not(self):
        import boto3
        env = dict(os.environ)
        os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"
        try:
            moto = harness.Moto().start()
        finally:
            os.environ.clear()
            os.environ.update(env)
        self.addCleanup(moto.stop)
        iam = boto3.client("iam", endpoint_url=moto.endpoint, region_name="us-east-1",
                           aws_access_key_id="x", aws_secret_access_key="y")
        iam.create_user(UserName="u")
        key = iam.create_access_key(UserName="u")["AccessKey"]
        allow = {"Effect": "Allow", "Action": ["iam:List*", "sqs:*", "kms:*"], "Resource": "*"}
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [allow]}))
        good = {**environment(moto.endpoint), "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"], "AWS_MAX_ATTEMPTS": "1"}
        for call in (["iam:ListUsers"], ["sqs:CreateQueue", "QueueName=q"], ["kms:CreateKey"]):
            self.assertEnded(aws(good, "aws", *call))
        done = aws({**good, "AWS_SECRET_ACCESS_KEY": "wrong"}, "aws", "iam:ListUsers")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("SignatureDoesNotMatch", done.stderr)
        done = aws(good, "aws", "iam:CreateUser", "UserName=v")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("AccessDenied", done.stderr)


class Bad(http.server.BaseHTTPRequestHandler):
    """Answers by the bucket's name in the path: /slow, /cut, ..."""
    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *_):
        pass

    def reply(self, status, body, **headers):
        self.send_response_only(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def raw(self, data):
        self.wfile.write(data)
        self.close_connection = True

    def flood(self, head, piece):
        self.wfile.write(head)
        self.close_connection = True
        try:
            while True:
                self.wfile.write(piece)
        except OSError:
            pass

    def do_GET(self):
        case = self.path.strip("/").split("?")[0]
        Bad.seen.append(case)
        error = b"<Error><Code>%s</Code><Message>m</Message></Error>"
        good = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
        tries = Bad.seen.count(case)
        deep = b"<a>" * 100000
        cases = {
            "throttled": lambda: self.reply(429, error % b"SlowDown", Retry_After=7),
            "busy": lambda: self.reply(503, b"<html>busy</html>"),
            "recovers": lambda: self.reply(503, error % b"SlowDown") if tries < 3
            else self.reply(200, good),
            "skewed": lambda: self.reply(403, error % b"RequestTimeTooSkewed",
                                         Date="Wed, 25 Nov 2020 10:00:00 GMT") if tries < 2
            else self.reply(200, good),
            "html": lambda: self.reply(200, b"<html><body>hello"),
            "garbled": lambda: self.raw(b"\x16\x03\x01\x00nonsense\r\n\r\n"),
            "cut": lambda: self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<Tag"),
            "nothing": lambda: self.raw(b""),
            "huge": lambda: self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
            "endless": lambda: self.flood(b"HTTP/1.1 200 OK\r\n\r\n", b"<a></a>" * 10000),
            "endless-head": lambda: self.flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000),
            "bomb": lambda: self.reply(200, b'<!DOCTYPE x [<!ENTITY a "bbbb">]><x>&a;</x>'),
            "deep": lambda: self.reply(200, deep),
            "wide": lambda: self.reply(200, b"<T>" + b"<a/>" * 2000000 + b"</T>"),
            "slow": lambda: time.sleep(100),
            "empty": lambda: self.reply(200, b""),
        }
        cases[case]()

    do_PUT = do_GET


class TestBadServers(AwsCase):
    """Every answer ends as a clear error, in bounded time and memory."""

    scheme, ca_file = "http", ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bad)
        cls.server.daemon_threads = True
        cls.prepare(cls.server)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)

    @classmethod
    def prepare(cls, server):
        pass

    def environment(self):
        return {**super().environment(), "HOME": str(self.home), "AWS_CA_BUNDLE": self.ca_file,
                "AWS_ENDPOINT_URL": f"{self.scheme}://127.0.0.1:{self.server.server_port}"}

    def read(self, case, attempts=1, **more):
        Bad.seen.clear()
        start = time.monotonic()
        done = self.aws("s3:GetBucketTagging", f"Bucket={case}",
                        env={"AWS_MAX_ATTEMPTS": str(attempts)}, limit_mb=600, **more)
        return done, time.monotonic() - start

    def test_each_ends_as_a_clear_error(self):
        for case, words in (
                ("throttled", "throttled: SlowDown"), ("busy", "failed, perhaps done"),
                ("html", "is not XML"), ("garbled", "not HTTP"), ("cut", "no answer, perhaps done"),
                ("nothing", "no answer, perhaps done"), ("huge", "larger than"),
                ("endless", "larger than"), ("endless-head", "larger than"),
                ("bomb", "DOCTYPE"), ("deep", "nests too deep"),
                ("wide", "too many elements")):
            with self.subTest(case):
                done, took_s = self.read(case)
                self.assertEnded(done, EXIT_FAILED)
                self.assertIn(words, done.stderr)
                self.assertLess(took_s, 10 * harness.rectify.SLOWER)
                self.assertEqual(Bad.seen, [case])

    def test_a_slow_one_ends_with_its_time(self):
        done = self.aws("s3:GetBucketTagging", "Bucket=slow", "--timeout", "1")
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("no whole answer within the deadline", done.stderr)

    def test_what_passes_is_tried_again(self):
        done, _ = self.read("recovers", attempts=3)
        self.assertEnded(done)
        self.assertEqual(Bad.seen, ["recovers"] * 3)

    def test_a_wrong_clock_is_corrected_once(self):
        done, _ = self.read("skewed")
        self.assertEnded(done)
        self.assertEqual(Bad.seen, ["skewed"] * 2)

    def test_a_write_without_an_answer_is_not_repeated(self):
        Bad.seen.clear()
        done = self.aws("s3:PutBucketTagging", "Bucket=nothing",
                        'Tagging.TagSet=[]', env={"AWS_MAX_ATTEMPTS": "5"})
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("no answer, perhaps done", done.stderr)
        self.assertEqual(Bad.seen, ["nothing"])

    def test_nobody_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            done = self.aws("s3:ListBuckets",
                            env={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{s.getsockname()[1]}"})
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("not sent: A0322", done.stderr)


class TestBadServersOverTls(TestBadServers):
    """The same through TLS, verified by one file of certificates."""
    scheme = "https"

    @classmethod
    def prepare(cls, server):
        home = tempfile.mkdtemp(prefix="rectify-tls-")
        cls.addClassCleanup(shutil.rmtree, home)
        key, cls.ca_file = f"{home}/key.pem", f"{home}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cls.ca_file,
                        "-days", "2", "-subj", "/CN=rectify", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cls.ca_file, key)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)

    def test_a_server_that_nobody_vouches_for_gets_nothing(self):
        Bad.seen.clear()
        done = self.aws("s3:GetBucketTagging", "Bucket=empty", env={"AWS_CA_BUNDLE": ""})
        self.assertEnded(done, EXIT_FAILED)
        self.assertIn("certificate is not good", done.stderr)
        self.assertEqual(Bad.seen, [])


if __name__ == "__main__":
    harness.main()
