# SPDX-License-Identifier: Apache-2.0
"""What the tests of commands that call nothing share: the harness of tests/cloud without a
server."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cloud"))

import harness  # noqa: E402
from harness.rectify import RECTIFY, SLOWER  # noqa: E402

POLICIES = ROOT / "policies"


class ShellCase(unittest.TestCase):
    """A folder of its own a test."""

    def setUp(self):
        if not RECTIFY.exists():
            self.skipTest("rectify is not built yet")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-cli-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def rectify(self, *args, status=0, stdin=None, env=None, timeout_s=60):
        done = subprocess.run([str(RECTIFY), *map(str, args)], capture_output=True, text=True,
                              input=stdin, env=env, timeout=timeout_s * SLOWER, check=False,
                              cwd=self.home)
        self.assertEqual(done.returncode, status, f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def write(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        return path


main = harness.main
