#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the static checks. What clang-tidy found clean is not looked at again until the file, a
header of src/ or .clang-tidy changes."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

from project import ROOT, files

SCRIPTS = {"may_use": "may_use.py", "house": "check_house.py", "links": "check_links.py",
           "headers": "check_headers.py"}
KEPT_FLAG = re.compile(r"^-(?:D|I|isystem|std=)")


def run(command):
    done = subprocess.run([str(c) for c in command], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def script(name):
    return lambda _: run([sys.executable, ROOT / "tools" / SCRIPTS[name]])


def check_format(_):
    return run(["clang-format-14", "--dry-run", "-Werror",
                *[p for p in files("*.c", "*.h") if not p.name.endswith("_table.h")]])


def check_cppcheck(options):
    cache = options.build / "cppcheck"
    cache.mkdir(exist_ok=True)
    return run(["cppcheck", "--quiet", "--std=c11", "--language=c", "--error-exitcode=1",
                "--enable=warning,performance,portability", "--inline-suppr", "--max-configs=1",
                f"--suppressions-list={ROOT}/tools/cppcheck.suppressions", "-j", os.cpu_count(),
                f"--cppcheck-build-dir={cache}", "-D_GNU_SOURCE", "-D__x86_64__", "-Isrc",
                "--template={file}:{line}: {id}: {message}", *files("src/*.c")])


def flags_of(entry):
    """The entry's own includes and definitions; gcc's other flags mean nothing to clang."""
    words, flags = shlex.split(entry["command"]), []
    for word, following in zip(words, words[1:] + [""]):
        if word == "-isystem":
            flags += [word, following]
        elif KEPT_FLAG.match(word) and not word.startswith("-D_FORTIFY_SOURCE"):
            if word.startswith("-I"):
                word = "-I" + str((pathlib.Path(entry["directory"]) / word[2:]).resolve())
            flags.append(word)
    return flags


def tidy_file(path, entry, seal, cache):
    content = (ROOT / path).read_bytes()
    key = hashlib.sha256(seal + str(path).encode() + content).hexdigest()
    if (cache / key).exists():
        return 0, ""
    known = [] if path.name == "error.c" else ["-include", ROOT / "tools" / "analyzer.h"]
    status, output = run(["clang-tidy-14", "--quiet", path, "--", *flags_of(entry), *known])
    output = re.sub(r"^\d+ warnings?.*generated\.\n|^Suppressed .*\n|^Use -header.*\n", "", output,
                    flags=re.M)
    if status == 0 and not re.search(r": (?:warning|error): ", output):
        (cache / key).touch()
        return 0, ""
    return 1, output


def check_tidy(options):
    entries = {pathlib.Path(os.path.relpath((pathlib.Path(e["directory"]) / e["file"]).resolve(),
                                            ROOT)): e
               for e in json.loads((options.build / "compile_commands.json").read_text())}
    sources = [p for p in files("src/*.c") if p in entries]
    seal = hashlib.sha256((ROOT / ".clang-tidy").read_bytes() +
                          (ROOT / "tools" / "analyzer.h").read_bytes())
    for header in files("src/*.h"):
        seal.update((ROOT / header).read_bytes())
    cache = options.build / "tidy"
    cache.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda p: tidy_file(p, entries[p], seal.digest(), cache), sources))
    return max((s for s, _ in results), default=0), "".join(o for _, o in results)


CHECKS = {**{name: script(name) for name in SCRIPTS}, "format": check_format,
          "cppcheck": check_cppcheck, "tidy": check_tidy}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(CHECKS))
    options = parser.parse_args()
    options.build = options.build.resolve()
    unknown = [n for n in options.names if n not in CHECKS]
    if unknown:
        parser.error(f"no check {unknown[0]}; there are: {' '.join(CHECKS)}")
    failed = []
    for name in options.names or CHECKS:
        start = time.monotonic()
        status, output = CHECKS[name](options)
        if status:
            failed.append(name)
            print(output.rstrip())
        print(f"lint {name}: {'FAILED' if status else 'clean'} "
              f"({time.monotonic() - start:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
