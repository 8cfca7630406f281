# SPDX-License-Identifier: Apache-2.0
"""The bundle that Lambda runs, in a root of its own that holds nothing else, as on a machine with
another C library."""
import os
import pathlib
import subprocess
import sys

from .rectify import RECTIFY, ROOT

BUILD = RECTIFY.parent.parent
# Lambda's own: the machine's libraries come first, for whoever looks there.
LIBRARY_PATH = ("/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib")


def make_bundle(out, *options):
    return subprocess.run([sys.executable, str(ROOT / "tools" / "bundle.py"), "--build", str(BUILD),
                           "--out", str(out), *map(str, options)], capture_output=True, text=True,
                          check=False)


class Root:
    """`home` becomes the root of a file system: /var/task is the bundle, /dev and the certificates
    are there, /tmp can be written, and where the machine's libraries would be lie broken ones."""

    def __init__(self, home, policies):
        self.home = pathlib.Path(home)
        done = make_bundle(self.home / "var" / "task", "--policies", policies)
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.made = done.stdout
        for name in ("dev", "proc", "tmp", "mnt", "etc/pki/tls/certs", "lib64"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        for name in ("tmp", "mnt"):
            (self.home / name).chmod(0o1777)
        for name in ("libc.so.6", "libm.so.6", "libssl.so.3", "libcrypto.so.3"):
            (self.home / "lib64" / name).write_bytes(b"not a library")
        (self.home / "etc/passwd").write_text("nobody:x:65534:65534::/:/bin/false\n")

    def trust(self, certificate):
        (self.home / "etc/pki/tls/certs/ca-bundle.crt").write_bytes(
            pathlib.Path(certificate).read_bytes())

    def command(self, *words):
        """To be started as root: a mount and a pid namespace of its own with /dev and /proc, then
        nobody in the new root."""
        inner = (f"mount --rbind /dev {self.home}/dev && mount -t proc proc {self.home}/proc && "
                 f"exec chroot --userspec=65534:65534 {self.home} " + " ".join(words))
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inner]

    @staticmethod
    def missing():
        """Why it cannot be had here, or None."""
        if os.geteuid() != 0:
            return "a root of its own needs root"
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"],
                              capture_output=True, text=True, check=False)
        return f"a root of its own: {done.stderr.strip()}" if done.returncode else None
