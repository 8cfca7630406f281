#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command in these pages' ```sh blocks runs, in a folder that holds what the pages speak of:
policies/ and policies-before/, a little history in AWSLogs/. A block of JSON or HCL right behind
one of commands is part of what they print."""
import json
import os
import re
import subprocess

import shell
from shell import POLICIES, RECTIFY, ROOT, ShellCase, harness

BLOCK = re.compile(r"^```sh\n(.*?)^```$(?:\n\n^```(?:json|hcl)\n(.*?)^```$)?", re.M | re.S)


class TestDocs(ShellCase):
    def setUp(self):
        super().setUp()
        for name in ("policies", "policies-before"):
            subprocess.run(["cp", "-r", POLICIES, self.home / name], check=True)
        records = [harness.create_bucket(f"b{i}") for i in range(20)]
        self.write("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/x.json",
                   json.dumps({"Records": records}))

    def run_page(self, page, at_least):
        count = 0
        env = {**os.environ, "PATH": f"{RECTIFY.parent}:{os.environ['PATH']}",
               "RECTIFY_STATE": str(self.home / "state")}
        for commands, printed in BLOCK.findall((ROOT / page).read_text()):
            for command in commands.replace("\\\n", " ").splitlines():
                done = subprocess.run(["bash", "-ec", command], cwd=self.home, env=env, text=True,
                                      capture_output=True, timeout=120, check=False)
                self.assertEqual(done.returncode, 0, f"{page}: {command}\n{done.stderr}")
                self.assertIn(printed, done.stdout, f"{page}: {command}")
                count += 1
        self.assertGreaterEqual(count, at_least)

    def test_replay(self):
        self.run_page("docs/howto/replay.md", 4)

    def test_operate(self):
        self.run_page("docs/operate.md", 8)

    def test_deploy(self):
        self.run_page("docs/howto/deploy.md", 7)


if __name__ == "__main__":
    shell.main()
