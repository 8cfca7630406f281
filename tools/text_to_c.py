#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""text_to_c.py NAME IN OUT: a text file as a C file: `const unsigned char NAME[]`, deflated (zlib),
with NAME_packed and NAME_size, its sizes so and unpacked."""
import pathlib
import sys
import zlib


def main():
    name, source, target = sys.argv[1:]
    data = pathlib.Path(source).read_bytes()
    packed = zlib.compress(data, 9)
    rows = [",".join(map(str, packed[i:i + 24])) for i in range(0, len(packed), 24)]
    pathlib.Path(target).write_text(
        f"/* made from {pathlib.Path(source).name} */\n#include <stddef.h>\n"
        f"extern const unsigned char {name}[];\n"
        f"extern const size_t {name}_packed, {name}_size;\n"
        f"const unsigned char {name}[] = {{\n" + ",\n".join(rows) + "};\n"
        f"const size_t {name}_packed = {len(packed)}, {name}_size = {len(data)};\n")


if __name__ == "__main__":
    main()
