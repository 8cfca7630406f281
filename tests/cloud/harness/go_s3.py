# SPDX-License-Identifier: Apache-2.0
"""MinIO and versitygw: two more S3 servers that check signatures, each one program written in Go.
They come from PATH or from .servers/, where `./dev servers` builds them. Each runs in a folder of
its own, on a free port."""
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from .moto import die_with_parent, environment, free_port
from .rectify import ROOT

ACCESS_KEY, SECRET_KEY = "AKIASERVERSERVERSERV", "server-secret"


class GoServer:
    program = words = None

    @classmethod
    def find(cls):
        return shutil.which(cls.program) or shutil.which(str(ROOT / ".servers" / cls.program))

    @classmethod
    def missing(cls):
        return None if cls.find() else f"{cls.program} is not there: `./dev servers` builds it"

    def __init__(self, home):
        self.home, self.port, self.process = pathlib.Path(home), free_port(), None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def environment(self):
        return {**environment(self.endpoint), "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def start(self):
        data = self.home / "data"
        data.mkdir(parents=True)
        places = {"port": self.port, "console": free_port(), "data": data}
        env = {**self.environment(), "HOME": str(self.home), "MINIO_ROOT_USER": ACCESS_KEY,
               "MINIO_ROOT_PASSWORD": SECRET_KEY, "ROOT_ACCESS_KEY": ACCESS_KEY,
               "ROOT_SECRET_KEY": SECRET_KEY}
        with open(self.home / "log", "wb") as log:
            self.process = subprocess.Popen(
                [self.find(), *(word.format(**places) for word in self.words)], env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent)
        for _ in range(600):
            try:
                with urllib.request.urlopen(self.endpoint, timeout=5):
                    return self
            except urllib.error.HTTPError as error:
                if error.code < 500: # it refuses whoever has no signature, so it is up
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{self.program}: " + (self.home / "log").read_text()[-500:])

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Minio(GoServer):
    program = "minio"
    words = ("server", "--quiet", "--address", "127.0.0.1:{port}", "--console-address",
             "127.0.0.1:{console}", "{data}")


class Versity(GoServer):
    program = "versitygw"
    words = ("--port", "127.0.0.1:{port}", "--region", "us-east-1", "posix", "{data}")
