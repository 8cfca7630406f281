# SPDX-License-Identifier: Apache-2.0
"""A stub of AWS Lambda's runtime API, and rectify as the function behind it. The stub hands out
what a test gives it, one invocation at a time, and records every answer; rules make it answer
otherwise, late, cut or garbled."""
import dataclasses
import http.server
import json
import subprocess
import threading
import time
import uuid

from .moto import die_with_parent
from .rectify import RECTIFY, SLOWER

PREFIX = "/2018-06-01/runtime/"


@dataclasses.dataclass
class Invocation:
    body: bytes
    ident: str
    headers: dict
    taken: int = 0                # how often it was handed out
    answers: list = dataclasses.field(default_factory=list)  # (what, error type, JSON)


@dataclasses.dataclass
class Rule:
    """For the next `times` requests whose path ends with `path`."""
    path: str
    times: int = 1
    status: int = 0               # instead of the usual one
    cut: str = ""                 # "before" or "after" it is taken in
    raw: bytes = b""              # sent in place of an answer
    delay_s: float = 0.0


class RuntimeApi:
    def __init__(self):
        self.invocations, self.rules, self.init_errors = [], [], []
        self.asked = []           # paths, as they came
        self.changed = threading.Condition()
        self.waiting = 0          # requests for an invocation that are kept waiting
        self.generation = 0       # of the function; what an earlier one asked is not answered
        self.closing = False
        self.server = None

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_address[1]}"

    def start(self):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # an answer in one piece

            def do_GET(self):
                api._serve(self, b"")

            def do_POST(self):
                api._serve(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the function has ended in between

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def rule(self, path, **options):
        self.rules.append(Rule(path, **options))

    # ---- what a test does ----

    def give(self, event, left_s=60.0, headers=None):
        """An invocation; `event` is JSON, or bytes as they are."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        ident = str(uuid.uuid4())
        head = {"Lambda-Runtime-Aws-Request-Id": ident,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + left_s) * 1000)),
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                "Lambda-Runtime-Invoked-Function-Arn":
                    "arn:aws:lambda:us-east-1:123456789012:function:rectify",
                **(headers or {})}
        invocation = Invocation(body, ident, {k: v for k, v in head.items() if v is not None})
        with self.changed:
            self.invocations.append(invocation)
            self.changed.notify_all()
        return invocation

    def forget(self):
        """Before another function is started."""
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    def again(self, invocation):
        """The same event in a new invocation, as Lambda repeats one that was not answered."""
        return self.give(invocation.body)

    def wait(self, what, within_s=30):
        end = time.monotonic() + within_s * SLOWER
        with self.changed:
            while not what():
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {within_s} s; asked: {self.asked[-6:]}")
                self.changed.wait(left)
        return what()

    def answer(self, invocation, within_s=30):
        """The JSON of its response; an error fails."""
        what, _, body = self.wait(lambda: invocation.answers, within_s)[0]
        assert what == "response", body
        return body

    def error(self, invocation, within_s=30):
        """(error type, JSON) of its error; a response fails."""
        what, kind, body = self.wait(lambda: invocation.answers, within_s)[0]
        assert what == "error", body
        return kind, body

    # ---- what rectify asks ----

    def _rule_for(self, path):
        with self.changed:
            for rule in self.rules:
                if rule.times and path.endswith(rule.path):
                    rule.times -= 1
                    return rule
        return Rule(path)

    def _serve(self, handler, body):
        path = handler.path.removeprefix(PREFIX)
        rule = self._rule_for(path)
        with self.changed:
            self.asked.append(path)
            self.changed.notify_all()
        time.sleep(rule.delay_s)
        if rule.raw or rule.cut == "before":
            handler.wfile.write(rule.raw)
            handler.close_connection = True
            return
        status, headers, data = rule.status, {}, b""
        if not status:
            status, headers, data = self._take(handler, path, body)
        if rule.cut or not status:
            handler.close_connection = True
            return
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        try:
            handler.wfile.write(data)
        except OSError:  # the function has ended
            handler.close_connection = True

    def _take(self, handler, path, body):
        if path == "invocation/next":
            return self._next()
        kind = handler.headers.get("Lambda-Runtime-Function-Error-Type", "")
        if path == "init/error":
            with self.changed:
                self.init_errors.append((kind, json.loads(body)))
                self.changed.notify_all()
            return 202, {}, b'{"status":"OK"}'
        _, ident, what = path.split("/")
        with self.changed:
            found = [i for i in self.invocations if i.ident == ident and not i.answers]
            if not found:
                return 403, {}, b'{"errorType":"InvalidRequestID"}'
            found[0].answers.append((what, kind, json.loads(body)))
            self.changed.notify_all()
        return 202, {}, b'{"status":"OK"}'

    def _next(self):
        with self.changed:
            mine = self.generation
            self.waiting += 1
            self.changed.notify_all()
            while not self.closing and mine == self.generation:
                for invocation in self.invocations:
                    if not invocation.taken:
                        invocation.taken += 1
                        self.waiting -= 1
                        return 200, invocation.headers, invocation.body
                self.changed.wait(1)
            self.waiting -= 1
        return 0, {}, b""


class Function:
    """rectify as the bootstrap, until stopped. `store`: RECTIFY_STORE, by default a file."""

    def __init__(self, api, rectify, env=None, store=None, command=None):
        self.log = rectify.home / "function.log"
        api.forget()
        state = {"RECTIFY_STATE": str(rectify.state),
                 "RECTIFY_STORE": store or str(rectify.state / "rectify.db")}
        self.process = subprocess.Popen(
            command or [str(RECTIFY)], stdin=subprocess.DEVNULL, stdout=open(self.log, "ab"),
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
            env={**rectify.env, **state, "AWS_LAMBDA_RUNTIME_API": api.address, **(env or {})})

    def text(self):
        return self.log.read_text()

    def ended(self, within_s=20):
        return self.process.wait(within_s * SLOWER)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def sqs_batch(*bodies):
    """What Lambda's event source mapping hands over: [(message id, body)] and the event."""
    records = [{"messageId": str(uuid.uuid4()), "receiptHandle": "h", "md5OfBody": "",
                "body": b if isinstance(b, str) else json.dumps(b),
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
                "eventSource": "aws:sqs", "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:rectify-events"}
               for b in bodies]
    return {"Records": records}


def tick(source="aws.events"):
    return {"version": "0", "id": str(uuid.uuid4()), "detail-type": "Scheduled Event",
            "source": source, "account": "123456789012", "time": "2026-01-05T10:00:00Z",
            "region": "us-east-1", "detail": {},
            "resources": ["arn:aws:events:us-east-1:123456789012:rule/rectify-schedule"]}
