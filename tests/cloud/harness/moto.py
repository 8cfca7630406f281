# SPDX-License-Identifier: Apache-2.0
"""A moto server on a free loopback port. It ends with its owner: `stop` ends it by its process id,
and the kernel ends it if the owner dies first."""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ACCOUNT = "123456789012"  # moto's own
REGION = "us-east-1"
READY_WITHIN_S = 60
PR_SET_PDEATHSIG = 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(endpoint):
    """The variables that every AWS tool reads, and nothing of the person's own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RECTIFY_STATE"))}
    env.update(AWS_ENDPOINT_URL=endpoint, AWS_ACCESS_KEY_ID="AKIATESTTESTTESTTEST",
               AWS_SECRET_ACCESS_KEY="testing", AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION,
               AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null",
               AWS_SHARED_CREDENTIALS_FILE="/dev/null")
    return env


class Moto:
    def __init__(self):
        self.process = None
        self.port = 0

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        for _ in range(3):  # another program may take the port between the choice and the start
            self.port = free_port()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                preexec_fn=die_with_parent, cwd="/", env=environment(self.endpoint))
            if self._wait():
                return self
            self.stop()
        raise RuntimeError("moto did not start")

    def _wait(self):
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.endpoint + "/moto-api/", timeout=5):
                    return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def environment(self):
        return environment(self.endpoint)

    def client(self, service):
        """boto3: the independent client with which results are read back."""
        import boto3
        from botocore.config import Config
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION,
                            aws_access_key_id="AKIATESTTESTTESTTEST",
                            aws_secret_access_key="testing",
                            config=Config(s3={"addressing_style": "path"},
                                          retries={"max_attempts": 2}))
