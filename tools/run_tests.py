#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test program that a build directory holds and adds up what they say.

A test program is: whatever meson knows as a test (cmocka programs, conformance programs), each
tests/{cli,cloud,fault}/test_*.py, and the checks of the house in tools/. Understood:

  cmocka's own summary                     counted test by test
  a line `N passed, N failed, N skipped`   taken as it stands, with the lines `skip NAME: REASON`
  neither                                  one test; exit status 77 means skipped, and its last line
                                           says why; but a unit test is then one that tests nothing

The last line printed is `N passed, N failed, N skipped`; the exit status is 0 only if something ran
and nothing failed.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXIT_SKIPPED = 77
CMOCKA_RAN = re.compile(r"^\[==========\] (?:[^:\n]*: )?(\d+) test\(s\) run\.", re.M)
CMOCKA_COUNT = {
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.", re.M),
    "failed": re.compile(r"^\[  FAILED  \] (?:[^:\n]*: )?(\d+) test\(s\), listed below", re.M),
    "skipped": re.compile(r"^\[  SKIPPED \] (?:[^:\n]*: )?(\d+) test\(s\), listed below", re.M),
}
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
# What the sanitizers' builds run under --all: every unit test for addresses and undefined
# behaviour, those of the folders with threads for races.
ALSO = {"asan": ("unit",),
        "tsan": ("net/", "aws/", "store/", "engine/", "http/", "audit/", "replay/")}
LINT = ("format", "cppcheck", "tidy")
HOUSE = ["may_use.py", "check_cases.py", "check_links.py", "check_codes.py", "check_headers.py",
         "check_house.py"]


@dataclasses.dataclass
class Program:
    name: str
    command: list
    suite: str
    timeout_s: float
    env: dict
    alone: bool = False


@dataclasses.dataclass
class Result:
    program: Program
    passed: int
    failed: int
    skipped: int
    skips: list  # (name, reason)
    seconds: float
    output: str


def meson_programs(build):
    listing = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    for test in json.loads(listing):
        suites = [s.split(":")[-1] for s in test["suite"]]
        folder = pathlib.Path(test["cmd"][0]).parent.name
        name = test["name"].removeprefix(folder + " ")
        yield Program(name=f"{folder}/{name}", command=test["cmd"],
                      suite=suites[0] if suites else "unit",
                      timeout_s=float(test["timeout"]),
                      env=test["env"] if isinstance(test["env"], dict) else {},
                      alone=not test.get("is_parallel", True))


def python_programs():
    for folder, timeout_s in (("cli", 240.0), ("cloud", 240.0), ("fault", 420.0)):
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            yield Program(f"{folder}/{path.stem}", [sys.executable, str(path)], folder,
                          timeout_s, {})
    for script in HOUSE:
        path = ROOT / "tools" / script
        if path.exists():
            yield Program(f"house/{path.stem}", [sys.executable, str(path)], "house", 240.0, {})


def environment(options):
    env = dict(os.environ)
    for name in list(env):
        if name.startswith("AWS_"):  # a test never meets a person's own account
            del env[name]
    env.update({
        "RECTIFY_ROOT": str(ROOT),
        "RECTIFY_BUILD": str(options.build),
        "RECTIFY_BIN": str(options.build / "src" / "rectify"),
        "RECTIFY_SANITIZER": options.sanitizer,
        "PYTHONDONTWRITEBYTECODE": "1",
        "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
    })
    env.setdefault("RECTIFY_SHARED", str(ROOT.parent / "shared"))
    if options.sanitizer == "none":
        env["MALLOC_PERTURB_"] = "165"
    if options.long:
        env["RECTIFY_TEST_LONG"] = "1"
    return env


def cmocka_skips(output):
    """Each skipped test with the last line that it printed before it was skipped."""
    reason = ""
    for line in output.splitlines():
        if line.startswith("[ RUN      ]"):
            reason = ""
        elif line.startswith("[  SKIPPED ]"):
            name = line[len("[  SKIPPED ]"):].strip()
            if "test(s)" in name:
                return
            yield name, reason or "the test gives no reason"
        elif line.strip() and not line.startswith("["):
            reason = re.sub(r"^skip(ped)?:?\s*", "", line.strip())


def count(program, status, output, seconds):
    def result(passed, failed, skipped, skips=()):
        return Result(program, passed, failed, skipped, list(skips), seconds, output)

    if CMOCKA_RAN.search(output):
        passed, failed, skipped = (sum(int(n) for n in CMOCKA_COUNT[key].findall(output))
                                   for key in ("passed", "failed", "skipped"))
        ran = sum(int(n) for n in CMOCKA_RAN.findall(output))
        missing = max(0, ran - passed - failed - skipped)
        if status != 0 and failed + missing == 0:
            failed = 1  # it crashed after the last test, or a sanitizer spoke at exit
        return result(passed, failed + missing, skipped, cmocka_skips(output))
    plain = PLAIN.findall(output)
    if plain:
        passed, failed, skipped = (int(n or 0) for n in plain[-1])
        if status not in (0, EXIT_SKIPPED) and failed == 0:
            failed = 1
        skips = re.findall(r"^skip (.+?): (.+)$", output, re.M)
        return result(passed, failed, skipped, skips)
    if status == EXIT_SKIPPED:
        lines = output.strip().splitlines()
        reason = re.sub(r"^skip(ped)?:?\s*", "", lines[-1]) if lines else "no reason given"
        return result(0, 0, 1, [(program.name, reason)])
    if program.suite == "unit" and status == 0 and "/replay_" not in program.name:
        return dataclasses.replace(result(0, 1, 0), output=f"{output}(it holds no test)")
    return result(int(status == 0), int(status != 0), 0)


def run(program, env):
    start = time.monotonic()
    process = subprocess.Popen(program.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, cwd=ROOT, env={**env, **program.env},
                               start_new_session=True)
    try:
        raw, _ = process.communicate(timeout=program.timeout_s)
        output = raw.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # its own session: only what it started
        try:
            raw, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raw, _ = process.communicate()
        output = raw.decode("utf-8", "replace")
        output += f"\n(ended after {program.timeout_s:.0f} s without an end)\n"
        return Result(program, 0, 1, 0, [], time.monotonic() - start, output)
    if process.returncode < 0:
        output += f"\n(ended by {signal.Signals(-process.returncode).name})\n"
    return count(program, process.returncode, output, time.monotonic() - start)


def report(result, verbose):
    mark = "FAIL" if result.failed else "ok" if result.passed else "skip"
    figures = f"{result.passed} passed"
    figures += f", {result.failed} failed" if result.failed else ""
    figures += f", {result.skipped} skipped" if result.skipped else ""
    print(f"{mark:4} {result.program.name:44} {figures:32} {result.seconds:6.1f} s", flush=True)
    if result.failed or verbose:
        print("    | " + "\n    | ".join(result.output.rstrip().splitlines()[-200:]), flush=True)


def report_skips(result):
    """One line a reason, with how many were skipped for it and the first of them."""
    reasons = {}
    for name, reason in result.skips:
        count = re.search(r" \((\d+) tests\)$", reason)
        reason = reason[:count.start()] if count else reason
        reasons.setdefault(reason, []).extend([name] * (int(count.group(1)) if count else 1))
    silent = result.skipped - sum(map(len, reasons.values()))
    for reason, names in reasons.items():
        many = f" ({len(names)}, the first: {names[0]})" if len(names) > 1 else f" ({names[0]})"
        print(f"skipped {result.program.name}: {reason}{many}")
    if silent > 0:
        print(f"skipped {result.program.name}: {silent} for which it gives no reason")


def also_programs(options):
    """The unit tests of the sanitizers' builds, and the checks of lint that take long."""
    for sanitizer, wanted in ALSO.items():
        build = options.build.with_name(f"{options.build.name}-{sanitizer}")
        for program in meson_programs(build):
            if program.suite == "unit" and ("unit" in wanted or program.name.startswith(wanted)):
                yield dataclasses.replace(program, name=f"{sanitizer}/{program.name}",
                                          timeout_s=program.timeout_s * 5)
    for check in LINT:
        yield Program(f"lint/{check}", [sys.executable, str(ROOT / "tools" / "lint.py"), "--build",
                                        str(options.build), check], "lint", 900.0, {}, alone=True)


def choose(options):
    programs = list(meson_programs(options.build)) + list(python_programs())
    if options.all:
        programs += also_programs(options)
    if options.names:
        programs = [p for p in programs
                    if any(n in p.name or n == p.suite for n in options.names)]
    elif options.sanitizer != "none":
        programs = [p for p in programs if p.suite != "house"]
    return programs


def run_all(programs, options):
    env = environment(options)
    if options.sanitizer != "none":
        for program in programs:
            program.timeout_s *= 5
    crowd = [p for p in programs if not p.alone]
    results = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        # The longest allowed first, so that no long one is left alone at the end.
        crowd.sort(key=lambda p: -p.timeout_s)
        for future in concurrent.futures.as_completed([pool.submit(run, p, env) for p in crowd]):
            results.append(future.result())
            report(results[-1], options.verbose)
    for program in (p for p in programs if p.alone):
        results.append(run(program, env))
        report(results[-1], options.verbose)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--sanitizer", default="none", choices=["none", "asan", "tsan"])
    parser.add_argument("--long", action="store_true", help="also the tests that take minutes")
    parser.add_argument("--all", action="store_true",
                        help="also the sanitizers' builds (made before) and lint, as CI does")
    parser.add_argument("--list", action="store_true", help="only name the test programs")
    parser.add_argument("--verbose", "-v", action="store_true", help="show all output")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.build = options.build.resolve()
    programs = choose(options)
    if options.list:
        print("\n".join(f"{p.suite:8} {p.name}" for p in programs))
        return 0
    results = run_all(programs, options)
    total = [sum(getattr(r, key) for r in results) for key in ("passed", "failed", "skipped")]
    failures = [r.program.name for r in results if r.failed]
    for result in results:
        report_skips(result)
    for name in failures:
        print(f"failed  {name}   (again alone: ./dev test {name})")
    if not any(total[:2]):
        print("nothing ran" + (f": no test's name contains {' or '.join(options.names)}"
                               if options.names else ""))
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped", flush=True)
    return 0 if not total[1] and total[0] else 1


if __name__ == "__main__":
    sys.exit(main())
