#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon under a service manager: what it says on NOTIFY_SOCKET, and how much the unit lets it
reach. systemd itself is not needed for the first."""
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import harness
from harness import CloudCase
from harness.rectify import ROOT

UNIT = ROOT / "deploy" / "systemd" / "rectify.service"
EXPOSURE_MAX = 1.5


class TestNotify(CloudCase):
    def listen(self, name):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(name)
        manager.settimeout(30)
        self.addCleanup(manager.close)
        return manager

    def check(self, manager, name):
        rectify = self.rectify("s3")
        daemon = rectify.start("--listen", "none", env={
            "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
        self.addCleanup(rectify.stop, daemon)
        self.assertEqual(manager.recv(1000), b"READY=1\nSTATUS=1 policies")
        for _ in range(3):
            self.assertEqual(manager.recv(1000), b"WATCHDOG=1")
        daemon.send_signal(signal.SIGTERM)
        last = manager.recv(1000)
        while last == b"WATCHDOG=1":
            last = manager.recv(1000)
        self.assertTrue(last.startswith(b"STOPPING=1\n"))
        self.assertEqual(daemon.wait(30), 0)

    def test_ready_alive_and_stopping(self):
        path = str(self.home / "notify")
        self.check(self.listen(path), path)

    def test_an_abstract_socket(self):
        name = f"rectify-test-{self.home.name}"
        self.check(self.listen("\0" + name), "@" + name)

    def test_no_signs_of_life_for_another_process_or_when_nobody_asks(self):
        path = str(self.home / "notify")
        manager = self.listen(path)
        rectify = self.rectify("s3")
        daemon = rectify.start("--listen", "none", env={
            "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
        self.addCleanup(rectify.stop, daemon)
        self.assertIn(b"READY=1", manager.recv(1000))
        manager.settimeout(1)
        with self.assertRaises(TimeoutError):
            manager.recv(1000)
        quiet = self.rectify("s3", name="quiet")
        daemon = quiet.start("--listen", "none", env={"NOTIFY_SOCKET": "/nonexistent/x"})
        self.assertTrue(quiet.wait_for((quiet.state / "rectify.sock").exists))
        self.assertEqual(quiet.stop(daemon), 0)


class TestUnit(CloudCase):
    def analyze(self, *args):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze here")
        return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True,
                              check=False)

    def test_how_exposed_the_service_is(self):
        done = self.analyze("security", "--offline=true", "--no-pager", str(UNIT))
        found = re.search(r"Overall exposure level for rectify.service: ([0-9.]+)", done.stdout)
        self.assertTrue(found, done.stdout + done.stderr)
        self.assertLessEqual(float(found.group(1)), EXPOSURE_MAX)

    def test_the_unit_is_well_formed(self):
        text = UNIT.read_text().replace("/usr/bin/rectify", "/bin/true")
        copy = pathlib.Path(self.home) / "rectify.service"
        copy.write_text(text)
        done = self.analyze("verify", "--man=no", str(copy))
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    harness.main()
