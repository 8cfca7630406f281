# SPDX-License-Identifier: Apache-2.0
"""Ceph's object gateway with one monitor and one store in memory, in a folder of its own and on
free ports: an S3, IAM and STS that is nobody's simulation and checks signatures. Needs the Debian
packages radosgw, ceph-mon, ceph-osd."""
import pathlib
import shutil
import subprocess
import time
import urllib.request
import uuid

from .moto import die_with_parent, environment, free_port

PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "monmaptool")
ACCESS_KEY, SECRET_KEY = "AKIACEPHCEPHCEPHCEPH", "ceph-secret"
CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default pg num = 8
osd pool default pgp num = 8
mon allow pool size one = true
mon max pg per osd = 1000
mon osd full ratio = 0.99
mon data avail crit = 1
mon data avail warn = 2
ms bind ipv6 = false
run dir = {home}
pid file = {home}/$type.$id.pid
log file = {home}/$type.$id.log
admin socket = {home}/$type.$id.asok
mon data = {home}/mon
osd data = {home}/osd
mon initial members = a
{modes}
[mon.a]
host = localhost
mon addr = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw sts key = abcdefghijklmnop
rgw s3 auth use sts = true
rgw enable apis = s3,s3website,admin,sts,iam,pubsub
rgw crypt require ssl = false
"""
# Without these the gateway waits minutes for a connection that is to be encrypted.
MODES = "\n".join(f"ms {who} mode = crc" for who in ("mon client", "client", "mon cluster",
                                                    "cluster", "service", "mon service"))


class Ceph:
    @staticmethod
    def missing():
        """Why it cannot be had, or None."""
        program = next((p for p in PROGRAMS if not shutil.which(p)), None)
        return program and (f"{program} is not installed: ./dev test --all brings radosgw, "
                            "ceph-mon, ceph-osd")

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.port = 0
        self.processes = []

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def environment(self):
        return {**environment(self.endpoint), "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def _run(self, *words):
        done = subprocess.run([*words, "-c", str(self.home / "ceph.conf")], capture_output=True,
                              text=True, timeout=120, check=False, preexec_fn=die_with_parent)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr[-500:]}")

    def _start(self, *words):
        log = open(self.home / f"{words[0]}.out", "wb")
        self.processes.append(subprocess.Popen(
            [*words, "-c", str(self.home / "ceph.conf"), "-f"], stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent))

    def start(self):
        fsid, store = str(uuid.uuid4()), str(uuid.uuid4())
        v2, v1, self.port = free_port(), free_port(), free_port()
        addresses = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
        (self.home / "osd").mkdir(parents=True)
        (self.home / "ceph.conf").write_text(CONFIGURATION.format(
            fsid=fsid, v2=v2, v1=v1, port=self.port, home=self.home, modes=MODES))
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses,
                  str(self.home / "monmap"))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(self.home / "monmap"))
        self._start("ceph-mon", "-i", "a")
        self._run("ceph", "osd", "new", store, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        self._start("ceph-osd", "-i", "0")
        self._run("radosgw-admin", "user", "create", "--uid", "u", "--display-name", "u",
                  "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY, "--caps",
                  "roles=*;user-policy=*")
        self._start("radosgw", "-n", "client.rgw", "--no-mon-config")
        for _ in range(300):
            try:
                with urllib.request.urlopen(self.endpoint, timeout=5):
                    return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("radosgw does not answer")

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.processes = []
