# SPDX-License-Identifier: Apache-2.0
"""What the checks share: the project's root and its files; what those share that ask others."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOT_OURS = ("build", ".venv", ".git", ".cache")


def files(*patterns):
    """The project's files (as git knows them; all that are there without git), as paths from the
    root, that match one of the patterns, or all."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns],
                          capture_output=True, text=True, check=False)
    if done.returncode == 0:
        names = [n for n in done.stdout.split("\0") if n]
    else:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
                 if p.is_file() and not p.relative_to(ROOT).parts[0].startswith(NOT_OURS)]
        names = [n for n in names if not patterns or
                 any(pathlib.PurePath(n).match(p) for p in patterns)]
    return [pathlib.Path(n) for n in sorted(names) if (ROOT / n).is_file()]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def build_go(source, work):
    """The Go program of the folder `source`, built in the folder `work` with the modules that its
    go.mod names, which come from the module proxy; its path."""
    for name in ("go.mod", "main.go"):
        shutil.copy(source / name, work)
    env = dict(os.environ, GOFLAGS="-mod=mod", GOTOOLCHAIN="local", GOWORK="off")
    subprocess.run(["go", "mod", "tidy"], cwd=work, env=env, check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["go", "build", "-o", "program", "."], cwd=work, env=env, check=True)
    return work / "program"


def finish(what, count, findings):
    """Prints the findings and the closing line; the exit status."""
    for finding in findings:
        print(finding)
    print(f"{what}: {count} looked at, {len(findings)} findings")
    return 1 if findings else 0
