#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command in these pages' ```sh blocks runs, in a folder that holds what the pages speak of:
policies/ and policies-before/, a little history in AWSLogs/."""
import json
import os
import re
import subprocess

import shell
from shell import POLICIES, RECTIFY, ROOT, ShellCase, harness

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


class TestDocs(ShellCase):
    def setUp(self):
        super().setUp()
        for name in ("policies", "policies-before"):
            subprocess.run(["cp", "-r", POLICIES, self.home / name], check=True)
        records = [harness.create_bucket(f"b{i}") for i in range(20)]
        self.write("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/x.json",
                   json.dumps({"Records": records}))

    def run_page(self, page, at_least):
        blocks = BLOCK.findall((ROOT / page).read_text())
        commands = [c for b in blocks for c in b.replace("\\\n", " ").splitlines()
                    if c.strip() and not c.startswith("#")]
        self.assertGreaterEqual(len(commands), at_least)
        env = {**os.environ, "PATH": f"{RECTIFY.parent}:{os.environ['PATH']}",
               "RECTIFY_STATE": str(self.home / "state")}
        for command in commands:
            done = subprocess.run(["bash", "-ec", command], cwd=self.home, env=env, text=True,
                                  capture_output=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, f"{page}: {command}\n{done.stderr}")

    def test_replay(self):
        self.run_page("docs/howto/replay.md", 4)


if __name__ == "__main__":
    shell.main()
