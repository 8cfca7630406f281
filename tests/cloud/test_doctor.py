#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rectify doctor: what it says of each dependency as it is, and as it should not be."""
import json
import os
import subprocess

import harness
from harness import CloudCase


class TestDoctor(CloudCase):
    def doctor(self, rectify, *args, status=0, env=None):
        done = rectify.command("doctor", "-o", "json", *args, env=env)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return {f["check"]: f for f in json.loads(done.stdout)}

    def test_a_healthy_system(self):
        rectify = self.rectify("s3", env={"RECTIFY_TOKEN": "a-token-of-enough-length-0123456789",
                                          "RECTIFY_STATE_KEY": str(self.home / "key")})
        subprocess.run([harness.RECTIFY, "key", self.home / "key"], check=True)
        os.chmod(rectify.state, 0o700)
        found = self.doctor(rectify)
        self.assertEqual({f["health"] for f in found.values()}, {"ok"}, found)
        self.assertIn(harness.ACCOUNT, found["credentials"]["detail"])
        self.assertIn("1 policies may act", found["assignments"]["detail"])
        text = rectify.command("doctor").stdout
        self.assertRegex(text, r"ok +credentials +arn:aws:")

    def test_what_only_deserves_attention_is_a_warning(self):
        rectify = self.rectify("s3", assignments=['{policies: ["*"], accounts: "*"}'],
                               env={"AWS_REGION": "", "AWS_DEFAULT_REGION": ""})
        os.chmod(rectify.state, 0o755)
        (rectify.state / "STOP").touch()
        found = self.doctor(rectify)
        for check in ("state", "kill switch", "token", "region", "assignments"):
            self.assertEqual(found[check]["health"], "warn", found[check])
            self.assertTrue(found[check]["fix"])

    def test_what_stops_the_work_fails(self):
        rectify = self.rectify("s3", env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
        (rectify.policies / "bad.yaml").write_text("policy: bad\nwrong: 1\n")
        found = self.doctor(rectify, "--token-file", self.home / "none", status=1)
        for check in ("credentials", "policies", "token"):
            self.assertEqual(found[check]["health"], "fail", found[check])
            self.assertTrue(found[check]["fix"])
        found = self.doctor(rectify, "--models", self.home / "none", status=1)
        self.assertEqual(found["models"]["health"], "fail")

    def test_the_store(self):
        rectify = self.rectify("s3")
        self.assertIn("not there yet", self.doctor(rectify)["store"]["detail"])
        rectify.run(harness.create_bucket(self.bucket()))
        self.assertIn("can be read", self.doctor(rectify)["store"]["detail"])
        daemon = rectify.start("--listen", "none")
        self.addCleanup(rectify.stop, daemon)
        self.assertTrue(rectify.wait_for((rectify.state / "rectify.sock").exists))
        found = self.doctor(rectify)
        self.assertEqual((found["store"]["health"], found["daemon"]["detail"]), ("ok", "runs"))
        self.assertEqual(rectify.stop(daemon), 0)
        (rectify.state / "rectify.db").write_bytes(b"no database " * 1000)
        self.assertEqual(self.doctor(rectify, status=1)["store"]["health"], "fail")
        found = self.doctor(rectify, "--store", "postgres://u:secret@127.0.0.1:1/x", status=1)
        self.assertEqual(found["store"]["health"], "fail")
        self.assertNotIn("secret", str(found))

    def test_where_a_lambda_function_keeps_its_state(self):
        rectify = self.rectify("s3")
        self.assertNotIn("lambda", self.doctor(rectify))
        for store, health, word in ((None, "fail", "does not start"),
                                    ("/tmp/rectify-none/x.db", "fail", "is lost"),
                                    ("/mnt/rectify-none/x.db", "warn", "one invocation at a time"),
                                    ("postgres://u:secret@127.0.0.1:1/x", "ok", "PostgreSQL")):
            env = {"AWS_LAMBDA_FUNCTION_NAME": "fixer", "RECTIFY_STORE": store or ""}
            done = rectify.command("doctor", "-o", "json", env=env)
            found, = [f for f in json.loads(done.stdout) if f["check"] == "lambda"]
            self.assertEqual(found["health"], health, found)
            self.assertIn(word, found["detail"])
            self.assertEqual("fix" in found, health != "ok")
            self.assertNotIn("secret", done.stdout)
            if health == "fail":
                self.assertEqual(done.returncode, 1)

    def test_it_makes_nothing_and_calls_only_sts(self):
        rectify = self.rectify("s3")
        os.rmdir(rectify.state)
        self.doctor(rectify)
        self.assertFalse(rectify.state.exists())
        self.assertEqual(len(self.proxy.seen), 1)


if __name__ == "__main__":
    harness.main()
