# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL cluster of a test's own: made in a temporary folder by somebody who is not root, on
a Unix socket, ended with its owner."""
import ctypes
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

from .moto import PR_SET_PDEATHSIG

NOBODY = 65534
READY_WITHIN_S = 60


def find_bin():
    """The folder of the server's programs, or None."""
    said = os.environ.get("RECTIFY_POSTGRES_BIN")
    found = [said] if said else sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return pathlib.Path(found[-1]) if found else None


def become_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class Postgres:
    def __init__(self, durable=True, settings=()):
        self.bin = find_bin()
        self.settings = list(settings) if durable else [*settings, "fsync=off"]
        self.folder = None
        self.process = None

    @property
    def url(self):
        host = urllib.parse.quote(str(self.folder), safe="")
        return f"postgres://rectify@/postgres?host={host}"

    def _run(self, name, *args):
        return subprocess.Popen([self.bin / name, *args], stdin=subprocess.DEVNULL,
                                stdout=self.log, stderr=subprocess.STDOUT, cwd="/",
                                preexec_fn=become_nobody)

    def start(self):
        root = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rectify-pg-", dir=root))
        self.log = open(self.folder / "log", "wb")
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        made = self._run("initdb", "-D", self.folder / "data", "-U", "rectify", "-A", "trust",
                         "--no-sync", "-E", "UTF8", "--locale=C").wait()
        if made != 0:
            raise RuntimeError((self.folder / "log").read_text())
        self.serve()
        return self

    def serve(self):
        settings = ["listen_addresses=", "shared_buffers=32MB", "max_wal_size=256MB",
                    *self.settings]
        self.process = self._run("postgres", "-D", self.folder / "data", "-k", self.folder,
                                 *[word for s in settings for word in ("-c", s)])
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self.psql("SELECT 1", check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL does not start: " + (self.folder / "log").read_text())

    def psql(self, text, check=True):
        return subprocess.run([self.bin / "psql", "-XqAtd", self.url, "-c", text], text=True,
                              capture_output=True, check=check)

    def dump(self):
        """All that rectify keeps, as SQL."""
        return subprocess.run([self.bin / "pg_dump", "-n", "rectify", "-d", self.url], text=True,
                              capture_output=True, check=True).stdout

    def restore(self, dump):
        self.psql("DROP SCHEMA rectify CASCADE")
        subprocess.run([self.bin / "psql", "-Xqd", self.url, "-v", "ON_ERROR_STOP=1"], input=dump,
                       text=True, capture_output=True, check=True)

    def number(self, text):
        return int(self.psql("SET search_path = rectify; " + text).stdout.strip())

    def halt(self, how=signal.SIGINT):
        """SIGINT: at once, in order; SIGQUIT: as in a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None

    def stop(self):
        self.halt()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
