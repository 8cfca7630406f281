# SPDX-License-Identifier: Apache-2.0
"""A proxy between rectify and moto: it records every request and, where a rule says so, delays it,
answers in moto's place, or cuts the connection before or after moto did the work. `rewrite` changes
moto's answers on their way back."""
import dataclasses
import http.client
import http.server
import re
import threading
import time
import urllib.parse

MUTATING = {"PUT", "DELETE", "PATCH"}
QUERY_READS = ("Describe", "Get", "List")


@dataclasses.dataclass
class Seen:
    """One request as it came over the wire."""
    method: str
    path: str
    headers: dict
    body: bytes
    at: float      # monotonic seconds
    status: int = 0
    answer: bytes = b""

    @property
    def operation(self):
        """What a query or JSON request calls its operation; empty for REST."""
        target = self.headers.get("x-amz-target", "")
        if target:
            return target.split(".")[-1]
        match = re.search(rb"(?:^|&)Action=(\w+)", self.body)
        return match.group(1).decode() if match else ""

    @property
    def changes(self):
        """Whether it can change something: REST by method, the others by the operation's name."""
        if self.method in MUTATING:
            return True
        return self.method == "POST" and not self.operation.startswith(QUERY_READS)


@dataclasses.dataclass
class Rule:
    """Applies to requests for which `when(seen)` is true, `times` times (-1: always)."""
    when: object
    times: int = -1
    delay_s: float = 0.0
    answer: tuple = None      # (status, body) instead of moto's
    cut: str = ""             # "before" moto sees it, or "after" moto did it
    call: object = None       # called with the Seen before anything else happens


class Proxy:
    def __init__(self, upstream):
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.seen = []
        self.rules = []
        self.rewrite = lambda seen, data: data
        self.signed = False  # moto checks signatures, and with them the host that was asked
        self.lock = threading.Lock()
        self.server = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                proxy._serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = handle_one

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                """A client that is killed cuts its connections: no news."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def rule(self, when=lambda seen: True, **options):
        rule = Rule(when, **options)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.seen, self.rules = [], []

    def changes(self, text=""):
        """The recorded requests that can change something, with `text` in path or body."""
        with self.lock:
            return [s for s in self.seen
                    if s.changes and (text in s.path or text.encode() in s.body)]

    def _rule_for(self, seen):
        with self.lock:
            self.seen.append(seen)
            for rule in self.rules:
                if rule.times != 0 and rule.when(seen):
                    rule.times -= 1
                    return rule
        return None

    def _serve(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        if handler.headers.get("expect", "").lower() == "100-continue":
            handler.send_response_only(100)
            handler.end_headers()
        body = handler.rfile.read(length)
        seen = Seen(handler.command, handler.path,
                    {k.lower(): v for k, v in handler.headers.items()}, body, time.monotonic())
        rule = self._rule_for(seen)
        if rule and rule.call:
            rule.call(seen)
        if rule and rule.delay_s:
            time.sleep(rule.delay_s)
        if rule and rule.cut == "before":
            handler.close_connection = True
            return
        if rule and rule.answer:
            status, headers, data = rule.answer[0], {}, rule.answer[1].encode()
        else:
            try:
                status, headers, data = self._forward(seen)
                data = seen.answer = self.rewrite(seen, data)
            except (OSError, http.client.HTTPException):  # moto has ended meanwhile
                handler.close_connection = True
                return
        seen.status = status
        if rule and rule.cut == "after":
            handler.close_connection = True
            return
        self._answer(handler, status, headers, data)

    def _forward(self, seen):
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            headers = {k: v for k, v in seen.headers.items()
                       if k not in ("host", "connection", "expect", "transfer-encoding")}
            connection.request(seen.method, seen.path, seen.body,
                               {**headers, "host": seen.headers["host"] if self.signed
                                else self.upstream})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    @staticmethod
    def _answer(handler, status, headers, data):
        try:
            handler.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    handler.send_header(name, value)
            if status != 204:
                handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            if handler.command != "HEAD" and status != 204:
                handler.wfile.write(data)
        except OSError:
            handler.close_connection = True


def s3_error(code, message="injected"):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
            f"<Message>{message}</Message><RequestId>INJECTED</RequestId></Error>")
