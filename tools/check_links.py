#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Resolves every link of the documents: the file is there, a heading after # is there, and where
the link's text is a name in backticks (`store_accept`), the file has that name as a word."""
import re
import sys

from project import ROOT, files, finish, text

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
NAME = re.compile(r"^`([A-Za-z_][\w.]*)(?:\(\))?`$")
FENCE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)\s*$", re.M | re.S)


def anchors(path):
    """GitHub's anchors of a document's headings."""
    for heading in re.findall(r"^#+\s+(.*)$", FENCE.sub("", text(path)), re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        yield plain.replace(" ", "-")


def check_link(document, label, target):
    if re.match(r"[a-z]+:", target):
        return  # the world outside is not asked
    name, _, anchor = target.partition("#")
    path = (ROOT / document.parent / name).resolve() if name else ROOT / document
    where = f"{document}: [{label}]({target})"
    if not path.exists() or not path.is_relative_to(ROOT):
        yield f"{where}: there is no such file"
        return
    symbol = NAME.match(label)
    if anchor and path.suffix == ".md" and anchor not in set(anchors(path.relative_to(ROOT))):
        yield f"{where}: no such heading"
    if symbol and path.is_file() and symbol.group(1) != path.name and path.suffix != ".md":
        if not re.search(rf"\b{re.escape(symbol.group(1))}\b", text(path.relative_to(ROOT))):
            yield f"{where}: the file has no {symbol.group(1)}"


def main():
    findings, count = [], 0
    for document in files("*.md"):
        for label, target in LINK.findall(FENCE.sub("", text(document))):
            count += 1
            findings += check_link(document, label, target)
    return finish("links", count, findings)


if __name__ == "__main__":
    sys.exit(main())
