#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""text_to_c.py NAME IN OUT: a text file as a C file: `const unsigned char NAME[]`, deflated (zlib),
with NAME_packed and NAME_size, its sizes so and unpacked.

text_to_c.py --sections HEADER NAME IN OUT: each section, which begins at a line "[title]", by
itself: `const struct NAME_section NAME[]` (HEADER declares it) has {title, bytes, packed, size} of
each, sorted, what stands before the first under "", and NAME_count their number."""
import pathlib
import sys
import zlib


def rows(packed):
    return ",\n".join(",".join(map(str, packed[i:i + 24])) for i in range(0, len(packed), 24))


def whole(name, source, target):
    data = pathlib.Path(source).read_bytes()
    packed = zlib.compress(data, 9)
    pathlib.Path(target).write_text(
        f"/* made from {pathlib.Path(source).name} */\n#include <stddef.h>\n"
        f"extern const unsigned char {name}[];\n"
        f"extern const size_t {name}_packed, {name}_size;\n"
        f"const unsigned char {name}[] = {{\n" + rows(packed) + "};\n"
        f"const size_t {name}_packed = {len(packed)}, {name}_size = {len(data)};\n")


def sections(header, name, source, target):
    parts = ("[]\n" + pathlib.Path(source).read_text()).split("\n[")
    parts[0] = parts[0][1:]
    texts, table = [], []
    for at, part in enumerate(sorted(parts, key=lambda p: p.split("]")[0])):
        title, text = part.split("]\n", 1)
        text = (text.rstrip("\n") + "\n").encode()
        packed = zlib.compress(text, 9)
        texts.append(f"static const unsigned char text_{at}[] = {{\n{rows(packed)}}};\n")
        table.append(f'{{"{title}", text_{at}, {len(packed)}, {len(text)}}},\n')
    pathlib.Path(target).write_text(
        f"/* made from {pathlib.Path(source).name} */\n#include \"{header}\"\n" + "".join(texts)
        + f"const struct {name}_section {name}[] = {{\n" + "".join(table) + "};\n"
        f"const size_t {name}_count = {len(table)};\n")


def main():
    if sys.argv[1] == "--sections":
        sections(*sys.argv[2:])
    else:
        whole(*sys.argv[1:])


if __name__ == "__main__":
    main()
