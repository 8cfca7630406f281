#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables that a script made are what the script makes, where its sources are at hand."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import shell
from shell import RECTIFY, ROOT, ShellCase

SHARED = pathlib.Path(os.environ.get("RECTIFY_SHARED") or ROOT.parent / "shared")


class TestTables(ShellCase):
    def test_the_facts_of_iam(self):
        data = SHARED / "data"
        if not (data / "iam-actions.json.gz").exists():
            self.skipTest("no shared/data/iam-actions.json.gz")
        made = subprocess.run([sys.executable, str(ROOT / "tools" / "make_iam_table.py"),
                               str(data)], capture_output=True, text=True, check=True).stdout
        self.assertEqual(made, (ROOT / "src" / "policy" / "iam.txt").read_text())


class TestContainer(ShellCase):
    """The image cannot be built here; what it installs is held against what is needed."""

    def installs(self):
        text = (ROOT / "deploy" / "container" / "Containerfile").read_text().replace("\\\n", " ")
        return [set(re.findall(r"--no-install-recommends ([^&]*)", line)[0].split())
                for line in text.splitlines() if "--no-install-recommends" in line]

    def test_it_builds_with_what_dev_builds_with(self):
        dev = (ROOT / "dev").read_text()
        wanted = set(re.search(r"^packages_build=\(([^)]*)\)", dev, re.M).group(1).split())
        self.assertEqual(self.installs()[0] - wanted, {"python3-botocore"})
        self.assertEqual(wanted - self.installs()[0], set())

    def test_it_has_the_libraries_that_the_program_loads(self):
        if not shutil.which("ldd") or not shutil.which("dpkg-query"):
            self.skipTest("no ldd and dpkg-query here")
        loaded = subprocess.run(["ldd", RECTIFY], capture_output=True, text=True,
                                check=True).stdout
        sources = "".join(p.read_text() for p in (ROOT / "src").rglob("*.c*"))
        names = set(re.findall(r"^\s*(lib\S+)", loaded, re.M))
        names |= set(re.findall(r'"(lib[a-z0-9+-]+\.so\.\d+)"', sources))
        found = subprocess.run(["dpkg-query", "-S", *(f"*/{n}" for n in sorted(names))],
                               capture_output=True, text=True, check=False).stdout
        native = f"/{platform.machine()}-linux-gnu/"  # others are for cross compilers
        packages = {line.split(":")[0] for line in found.splitlines() if native in line}
        others = {"libasan8", "libubsan1", "libtsan2", "libgcc-s1", "libstdc++6"}  # sanitizers'
        self.assertGreater(len(packages), 4)
        self.assertEqual(packages - self.installs()[1] - {"libc6"} - others, set())


if __name__ == "__main__":
    shell.main()
