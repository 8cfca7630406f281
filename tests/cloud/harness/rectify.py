# SPDX-License-Identifier: Apache-2.0
"""The rectify binary, run as a person runs it, with a state directory of its own."""
import json
import os
import pathlib
import signal
import subprocess
import time

from .events import write_events
from .moto import die_with_parent

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECTIFY = pathlib.Path(os.environ.get("RECTIFY_BIN") or
                       ROOT / os.environ.get("RECTIFY_BUILD", "build") / "src" / "rectify")
EXIT_OK, EXIT_FAILED, EXIT_WAITING, EXIT_USAGE = 0, 1, 3, 64
SLOWER = {"asan": 4, "tsan": 10}.get(os.environ.get("RECTIFY_SANITIZER", "none"), 1)


class Rectify:
    """`home` holds what a run needs: policies/ (with rectify.yaml), state/ and event files."""

    def __init__(self, home, env, policies=(), assignments=None, binary=RECTIFY):
        self.home = pathlib.Path(home)
        self.binary = binary
        self.policies = self.home / "policies"
        self.state = self.home / "state"
        self.env = {**env, "RECTIFY_POLICIES": str(self.policies)}
        self.policies.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(exist_ok=True)
        for path in policies:
            target = self.policies / pathlib.Path(path).name
            # a test may break more resources in a day than a policy repairs without a person
            text = pathlib.Path(path).read_text()
            target.write_text(text.replace("per_hour: 100}", "per_hour: 100, share: 100%}"))
        self.assign(assignments or ['{policies: ["*"], accounts: "*", mode: enforce, settle: 0s}'])

    def assign(self, assignments):
        text = "assignments:\n" + "".join(f"  - {a}\n" for a in assignments)
        (self.policies / "rectify.yaml").write_text(text)

    def command(self, *args, timeout_s=60, env=None, stdin=None):
        """Runs `rectify ARGS --state ...` and returns the finished process; output is text."""
        words = [str(self.binary), *map(str, args), "--state", str(self.state)]
        return subprocess.run(words, env={**self.env, **(env or {})}, capture_output=True,
                              text=True, input=stdin, timeout=timeout_s * SLOWER, check=False,
                              preexec_fn=die_with_parent)

    def run(self, *records, options=(), **more):
        """Feeds the records and runs to their terminal states."""
        path = write_events(self.home / "events.jsonl", *records)
        return self.command("run", "--policies", self.policies, "--events", path, *options, **more)

    def start(self, *options, records=None, env=None):
        """A run in the background (the daemon when there are no records); see `stop`."""
        args = [str(self.binary), "run", "--policies", str(self.policies), "--state",
                str(self.state)]
        if records is not None:
            args += ["--events", str(write_events(self.home / "events.jsonl", *records))]
        log = open(self.home / "log", "ab")
        return subprocess.Popen([*args, *map(str, options)], env={**self.env, **(env or {})},
                                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                preexec_fn=die_with_parent)

    @staticmethod
    def stop(process, how=signal.SIGTERM, timeout_s=20):
        if process.poll() is None:
            process.send_signal(how)
        return process.wait(timeout_s * SLOWER)

    def json(self, *args):
        """The JSON answer of a command."""
        done = self.command(*args, "-o", "json")
        if done.returncode not in (EXIT_OK, EXIT_WAITING):
            raise AssertionError(f"rectify {' '.join(map(str, args))} ended with "
                                 f"{done.returncode}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def list(self):
        answer = self.json("list", "--all")
        return answer["remediations"] if isinstance(answer, dict) else answer

    def show(self, ident):
        return self.json("show", ident)

    def of(self, resource_id):
        """The remediations whose resource's id is `resource_id`, oldest first."""
        found = [r for r in self.list() if r["resource"].endswith("/" + resource_id)]
        return sorted(found, key=lambda r: int(r["id"].lstrip("r")))

    def wait_for(self, what, within_s=20):
        """Polls `what()` until it is true."""
        deadline = time.monotonic() + within_s * SLOWER
        while time.monotonic() < deadline:
            answer = what()
            if answer:
                return answer
            time.sleep(0.05)
        return what()
