# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the services on which people are told and asked: Slack, Jira, PagerDuty, a
webhook's receiver. They keep what they were sent, and can be told to answer late, with an error,
or not."""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.parse

Sent = collections.namedtuple("Sent", "method path headers body json")


class Service:
    """An HTTP server on a free loopback port. `script` holds answers to give before its own."""

    def __init__(self):
        self.requests, self.script, self.delay_s = [], collections.deque(), 0
        self.came = []  # when each request did, monotonic seconds
        self.lock = threading.Lock()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    parsed = json.loads(body) if body else None
                except ValueError:
                    parsed = None
                sent = Sent(self.command, self.path, dict(self.headers), body, parsed)
                with service.lock:
                    service.requests.append(sent)
                    service.came.append(time.monotonic())
                    scripted = service.script.popleft() if service.script else None
                if service.delay_s:
                    time.sleep(service.delay_s)
                status, headers, answer = scripted or service.answer(sent)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # who asked does not wait any longer
                    self.close_connection = True

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def gaps(self):
        """Seconds from each request to the next."""
        return [b - a for a, b in zip(self.came, self.came[1:])]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, sent):
        return 200, {}, {}

    def sent(self, ending=""):
        with self.lock:
            return [r for r in self.requests if urllib.parse.urlsplit(r.path).path.endswith(ending)]


class Slack(Service):
    TEAM, APP, CHANNEL = "T0TEAM", "A0APP", "C0OPS"

    def __init__(self, token, secret):
        super().__init__()
        self.token, self.secret = token, secret
        self.messages, self.views = {}, []  # ts: the message as it is now

    def answer(self, sent):
        if sent.headers.get("Authorization") != "Bearer " + self.token:
            return 200, {}, {"ok": False, "error": "invalid_auth"}
        with self.lock:
            if sent.path.endswith("/chat.postMessage"):
                ts = f"17000000{len(self.messages):02}.000100"
                self.messages[ts] = sent.json
                return 200, {}, {"ok": True, "channel": sent.json["channel"], "ts": ts}
            if sent.path.endswith("/chat.update"):
                if sent.json["ts"] not in self.messages:
                    return 200, {}, {"ok": False, "error": "message_not_found"}
                self.messages[sent.json["ts"]] = sent.json
                return 200, {}, {"ok": True, "channel": sent.json["channel"], "ts": sent.json["ts"]}
            if sent.path.endswith(("/auth.test", "/chat.postEphemeral")):
                return 200, {}, {"ok": True}
            if sent.path.endswith("/views.open"):
                self.views.append(sent.json)
                return 200, {}, {"ok": True}
        return 200, {}, {"ok": False, "error": "unknown_method"}

    def questions(self):
        """{ts: {action_id: value}} of the messages that have buttons now."""
        found = {}
        for ts, message in self.messages.items():
            for block in message["blocks"]:
                if block["type"] == "actions":
                    found[ts] = {e["action_id"]: e["value"] for e in block["elements"]}
        return found

    def headers(self, body, secret=None, at=None):
        stamp = str(int(at if at is not None else time.time()))
        mac = hmac.new((secret or self.secret).encode(), b"v0:" + stamp.encode() + b":" + body,
                       hashlib.sha256)
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + mac.hexdigest(),
                "Content-Type": "application/x-www-form-urlencoded"}

    def payload(self, kind, user, **more):
        return {"type": kind, "user": {"id": user}, "team": {"id": self.TEAM},
                "api_app_id": self.APP, "trigger_id": "13345224609.738474920.8088", **more}

    def click(self, ts, action, value, user, **more):
        """The body of a click on a button."""
        payload = self.payload("block_actions", user, **{
            "channel": {"id": self.CHANNEL}, "container": {"message_ts": ts},
            "actions": [{"action_id": action, "value": value, "block_id": "b"}], **more})
        return b"payload=" + urllib.parse.quote_plus(json.dumps(payload)).encode()

    def submit(self, view, reason, user, **more):
        """The body of a dialog that was filled in."""
        payload = self.payload("view_submission", user, view={
            "callback_id": view["view"]["callback_id"],
            "private_metadata": view["view"]["private_metadata"],
            "state": {"values": {"reason": {"reason": {"value": reason}}}}}, **more)
        return b"payload=" + urllib.parse.quote_plus(json.dumps(payload)).encode()


class Hook(Service):
    """A receiver of Standard Webhooks, and a sender."""

    @staticmethod
    def signature(secret, ident, stamp, body):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        return "v1," + base64.b64encode(hmac.new(key, f"{ident}.{stamp}.".encode() + body,
                                                 hashlib.sha256).digest()).decode()

    @classmethod
    def headers(cls, secret, body, ident="msg_1", at=None):
        stamp = str(int(at if at is not None else time.time()))
        return {"webhook-id": ident, "webhook-timestamp": stamp,
                "webhook-signature": cls.signature(secret, ident, stamp, body)}


class PagerDuty(Service):
    def answer(self, sent):
        return 202, {}, {"status": "success", "dedup_key": sent.json["dedup_key"]}


class Jira(Service):
    """Jira Cloud (`user` set) or Data Center: issues, statuses, transitions, comments, search."""
    STATUSES = {"11": "To Do", "21": "Approved", "31": "Declined", "41": "Done"}

    def __init__(self, token, user=""):
        super().__init__()
        self.token, self.user, self.issues = token, user, {}

    def allowed(self, sent):
        if not self.user:
            return sent.headers.get("Authorization") == "Bearer " + self.token
        pair = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        return sent.headers.get("Authorization") == "Basic " + pair

    def answer(self, sent):
        if not self.allowed(sent):
            return 401, {}, {}
        path = urllib.parse.urlsplit(sent.path).path
        root = "/rest/api/3/" if self.user else "/rest/api/2/"
        if not path.startswith(root):
            return 404, {}, {}
        words = path[len(root):].split("/")
        if words == ["myself"]:
            return 200, {}, {"accountId": "bot"}
        with self.lock:
            if words[0] == "search":
                label = sent.json["jql"].split('labels = "')[1].rstrip('"')
                return 200, {}, {"issues": [{"key": k} for k, i in self.issues.items()
                                            if label in i["labels"]]}
            if words == ["issue"]:
                key = f"OPS-{len(self.issues) + 1}"
                self.issues[key] = {**sent.json["fields"], "status": "To Do", "history": [],
                                    "comments": []}
                return 201, {}, {"key": key}
            issue = self.issues.get(words[1])
            if not issue:
                return 404, {}, {}
            return self.of_issue(issue, words[2:], sent)

    def of_issue(self, issue, words, sent):
        if words == ["comment"]:
            issue["comments"].append({"author": {"accountId": "bot"}, "body": sent.json["body"]})
            return 201, {}, {}
        if words == ["transitions"] and sent.method == "GET":
            return 200, {}, {"transitions": [{"id": i, "name": f"to {n}", "to": {"name": n}}
                                             for i, n in self.STATUSES.items()]}
        if words == ["transitions"]:
            self.set_status(issue, self.STATUSES[sent.json["transition"]["id"]], "bot")
            return 204, {}, b""
        return 200, {}, {"fields": {"status": {"name": issue["status"]},
                                    "comment": {"comments": issue["comments"]}},
                         "changelog": {"histories": issue["history"]}}

    @staticmethod
    def set_status(issue, status, by, at=None):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime(at or time.time()))
        issue["history"].append({"author": {"accountId": by, "name": by}, "created": stamp,
                                 "items": [{"field": "status", "fromString": issue["status"],
                                            "toString": status}]})
        issue["status"] = status

    def move(self, key, status, by, at=None):
        with self.lock:
            self.set_status(self.issues[key], status, by, at)

    @staticmethod
    def hint(key, secret):
        body = json.dumps({"webhookEvent": "jira:issue_updated", "issue": {"key": key}}).encode()
        mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return body, {"X-Hub-Signature": "sha256=" + mac}
