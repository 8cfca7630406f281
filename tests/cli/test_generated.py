#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables that a script made are what the script makes, where its sources are at hand."""
import os
import pathlib
import subprocess
import sys

import shell
from shell import ROOT, ShellCase

SHARED = pathlib.Path(os.environ.get("RECTIFY_SHARED") or ROOT.parent / "shared")


class TestTables(ShellCase):
    def test_the_facts_of_iam(self):
        data = SHARED / "data"
        if not (data / "iam-actions.json.gz").exists():
            self.skipTest("no shared/data/iam-actions.json.gz")
        made = subprocess.run([sys.executable, str(ROOT / "tools" / "make_iam_table.py"),
                               str(data)], capture_output=True, text=True, check=True).stdout
        self.assertEqual(made, (ROOT / "src" / "generate" / "iam.txt").read_text())


if __name__ == "__main__":
    shell.main()
