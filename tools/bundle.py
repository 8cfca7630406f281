#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The folder and the zip that a machine with another C library runs: AWS Lambda (provided.al2023).

  bootstrap    the program: everything of its own inside, the C library outside
  lib/         the C library with its loader, and libpq with what it needs (loaded for postgres://)
  models/      the service models           policies/    given by --policies

The program names its loader by an absolute path (--at, Lambda's /var/task), so that the file can be
executed as it is; DT_RPATH, which goes before LD_LIBRARY_PATH and holds for what libpq loads too,
keeps the machine's own libraries out. Then it is checked that nothing in the bundle needs a file,
or a version of a symbol, that is not in it."""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

LOADER = "ld-linux-x86-64.so.2"
LOADED_ON_USE = ["libpq.so.5"]
SYSTEM = pathlib.Path("/lib/x86_64-linux-gnu")
OURS = re.compile(r"(/\S*?/)?lib(\w+)\.so$")


def run(*command, cwd=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd,
                          check=False)
    if done.returncode:
        sys.exit(f"bundle: {' '.join(map(str, command))[:200]}: {done.stderr[-2000:]}")
    return done.stdout


def static_of(word):
    """The archive in the place of a shared library, where there is one."""
    found = OURS.match(word)
    archive = pathlib.Path(word).with_suffix(".a") if found else None
    return str(archive) if archive and archive.exists() else word


def link(build, out, at):
    """The link of build/src/rectify once more, with archives and a loader of its own."""
    command = run("ninja", "-C", build, "-t", "commands", "src/rectify").splitlines()[-1]
    words = [static_of(w) for w in shlex.split(command)]
    words[words.index("src/rectify")] = str(out)
    left = [w for w in words if OURS.match(w)]
    if left:
        sys.exit(f"bundle: no archive of {' '.join(left)}: ./dev setup")
    run(*words, f"-Wl,--dynamic-linker={at}/lib/{LOADER}", "-Wl,-rpath,$ORIGIN/lib",
        "-Wl,--disable-new-dtags", cwd=build)
    run("strip", out)


def needed(file):
    return re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "-d", file))


def copy_libraries(bundle):
    """All that is needed, and what that needs."""
    waiting = [*needed(bundle / "bootstrap"), LOADER, *LOADED_ON_USE]
    (bundle / "lib").mkdir()
    while waiting:
        name = waiting.pop()
        target = bundle / "lib" / name
        if target.exists():
            continue
        if not (SYSTEM / name).exists():
            sys.exit(f"bundle: {name} is not installed")
        shutil.copyfile(SYSTEM / name, target)
        target.chmod(0o755)
        waiting += needed(target)


def versions(file):
    """(what it needs: {(library, version)}, what it defines: {version})"""
    text = run("readelf", "-VW", file)
    needs, library = set(), ""
    part = text.split("Version needs section", 1)
    for line in (part[1] if len(part) > 1 else "").splitlines():
        of = re.search(r"File: (\S+)", line)
        library = of.group(1) if of else library
        name = re.search(r"Name: (\S+)", line)
        if name and not of:
            needs.add((library, name.group(1)))
    return needs, set(re.findall(r"Name: (\S+)", part[0].split("Version definition section")[-1]))


def check(bundle):
    """Complains of what is needed and not in the bundle."""
    libraries = {f.name: f for f in (bundle / "lib").iterdir()}
    defined = {name: versions(file)[1] for name, file in libraries.items()}
    wrong = []
    for file in [bundle / "bootstrap", *libraries.values()]:
        wrong += [f"{file.name} needs {n}" for n in needed(file) if n not in libraries]
        wrong += [f"{file.name} needs {v} of {n}" for n, v in versions(file)[0]
                  if v not in defined.get(n, set())]
    if wrong:
        sys.exit("bundle: not in the bundle: " + "; ".join(sorted(wrong)))
    return len(libraries)


def pack(bundle, target):
    """The same bytes for the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for file in sorted(f for f in bundle.rglob("*") if f.is_file()):
            info = zipfile.ZipInfo(str(file.relative_to(bundle)))
            info.external_attr = (file.stat().st_mode & 0o777) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, file.read_bytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="made anew; and OUT.zip")
    parser.add_argument("--at", default="/var/task", help="where it will be unpacked")
    parser.add_argument("--policies", type=pathlib.Path)
    options = parser.parse_args()
    build, out = options.build.resolve(), options.out.resolve()
    if os.uname().machine != "x86_64":
        sys.exit("bundle: for x86-64 only")
    if out.exists() and not (out / "bootstrap").exists():
        sys.exit(f"bundle: {out} is there and is no bundle")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    link(build, out / "bootstrap", options.at)
    copy_libraries(out)
    shutil.copytree(build / "models", out / "models")
    if options.policies:
        shutil.copytree(options.policies, out / "policies")
    libraries = check(out)
    pack(out, out.with_suffix(".zip"))
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{out}: {size / 1e6:.1f} MB, {libraries} libraries, nothing needed from outside")
    print(f"{out.with_suffix('.zip')}: {out.with_suffix('.zip').stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
