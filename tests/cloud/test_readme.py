#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the README shows works: its policy heals a bucket, and each of its commands does what the
line says, in that order, in a shell."""
import json
import os
import re
import shutil
import subprocess

import harness
from harness import CloudCase, RECTIFY, ROOT

README = (ROOT / "README.md").read_text()
ENDS = {  # exit statuses other than 0
    "rectify run": 3,        # one of the two asks,
    "rectify scan": 3,       # and still does
    "rectify doctor": None,  # says what this machine lacks
}


def block(kind, holding):
    found = [b for b in re.findall(rf"```{kind}\n(.*?)```", README, re.S) if holding in b]
    assert len(found) == 1, f"the README has {len(found)} blocks with {holding!r}"
    return found[0]


class TestReadme(CloudCase):
    def test_its_policy_heals_a_bucket(self):
        policy = self.home / "shown.yaml"
        policy.write_text(block("yaml", "policy: s3-cost-center-tag"))
        rectify = self.rectify(policy)
        bucket = self.bucket({"owner": "alice"})
        self.assertEnded(rectify.run(harness.create_bucket(bucket)))
        self.assertEqual(self.tags(bucket), {"owner": "alice", "cost-center": "unassigned"})
        (healed,) = rectify.of(bucket)
        self.assertEnded(rectify.command("rollback", healed["id"]))
        self.assertEqual(self.tags(bucket), {"owner": "alice"})

    def folder(self):
        """A folder in which the commands find what they name."""
        heals, asks = self.bucket(), self.moto.client("ec2").create_security_group(
            GroupName=self.home.name, Description="t")["GroupId"]
        self.moto.client("ec2").authorize_security_group_ingress(GroupId=asks, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 20, "ToPort": 25,
             "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        policies = self.home / "policies"
        policies.mkdir()
        for path in harness.cases.POLICIES.values():
            shutil.copy(path, policies)
        (policies / "rectify.yaml").write_text(
            'assignments: [{policies: ["*"], accounts: "*", mode: enforce, settle: 0s}]\n')
        harness.write_events(self.home / "events.jsonl", harness.create_bucket(heals),
                             harness.authorize_ingress(asks, []))
        (self.home / "answer.json").write_text('{"tags": [{"Key": "env", "Value": "prod"}]}')
        history = self.home / "AWSLogs"
        history.mkdir()
        (history / "log.json").write_text(json.dumps({"Records": [harness.create_bucket("b")]}))
        self.moto.client("s3").create_bucket(Bucket="my-bucket")
        self.tag("my-bucket", {"cost-center": "1"})
        return heals

    def test_each_command(self):
        heals = self.folder()
        env = {**self.environment(), "RECTIFY_STATE": str(self.home / "state"),
               "PATH": f"{RECTIFY.parent}:{os.environ['PATH']}"}
        lines = block("sh", "rectify audit verify").splitlines()
        self.assertGreater(len(lines), 10)
        for line in lines:
            done = subprocess.run(["bash", "-c", line], cwd=self.home, env=env, text=True,
                                  capture_output=True, timeout=60, check=False)
            wanted = next((s for start, s in ENDS.items() if line.startswith(start)), 0)
            if wanted is not None:
                self.assertEqual(done.returncode, wanted, f"{line}\n{done.stdout}{done.stderr}")
            if line.startswith("rectify scan"):
                self.assertEqual(self.tags(heals), {"cost-center": "unassigned"})
        self.assertEqual(self.tags(heals), {})  # taken back


if __name__ == "__main__":
    harness.main()
