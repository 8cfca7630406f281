# SPDX-License-Identifier: Apache-2.0
"""`rectify run` without events: the daemon, asked over HTTP or over its Unix socket."""
import http.client
import json
import pathlib
import re
import signal
import socket

TOKEN = "0123456789abcdef-secret"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("rectify", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Daemon:
    """`rectify run` without events, on a free port, until stopped."""

    def __init__(self, rectify, *options, token=TOKEN):
        self.rectify = rectify
        self.log = rectify.home / "log"
        before = len(self.text())
        env = {"RECTIFY_TOKEN": token} if token else {}
        self.process = rectify.start("--listen", "127.0.0.1:0", *options, env=env)
        where = re.compile(r"listening on (\S+) and http://127\.0\.0\.1:(\d+)")
        found = rectify.wait_for(lambda: where.search(self.text()[before:])
                                 or self.process.poll() is not None)
        if found is True or not found:
            raise AssertionError("the daemon did not start: " + self.text())
        self.socket, self.port = pathlib.Path(found.group(1)), int(found.group(2))

    def text(self):
        return self.log.read_text() if self.log.exists() else ""

    def stop(self, how=signal.SIGTERM):
        return self.rectify.stop(self.process, how)

    def ask(self, method, path, body=None, token=TOKEN, unix=False, headers=None):
        """(status, JSON answer, headers)"""
        connection = UnixConnection(self.socket) if unix else http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=20)
        headers = dict(headers or {})
        if token and not unix:
            headers["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, (bytes, str)) \
                and not hasattr(body, "__next__"):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else None, answer.headers
        finally:
            connection.close()
