#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes number_table.h: for each k the 128 leading bits of 10^k (of 5^k), rounded down.

    python3 number_table.py > number_table.h
"""
FIRST, LAST = -342, 324


def leading_bits(k):
    if k >= 0:
        n = 5**k
        shift = 128 - n.bit_length()
        return n << shift if shift >= 0 else n >> -shift
    n = 5**-k
    bits = n.bit_length() + 127
    q = (1 << bits) // n
    return q if q.bit_length() <= 128 else q >> 1


print("// SPDX-License-Identifier: Apache-2.0")
print("/* Written by number_table.py. Row k - NUMBER_POWER_MIN: the 128 leading bits of 10^k, "
      "rounded down. */")
print("#define NUMBER_POWER_MIN (%d)" % FIRST)
print("#define NUMBER_POWER_MAX %d" % LAST)
print("static const struct { uint64_t high, low; } "
      "number_powers[NUMBER_POWER_MAX - NUMBER_POWER_MIN + 1] = {")
for k in range(FIRST, LAST + 1):
    b = leading_bits(k)
    assert b.bit_length() == 128
    print("    {0x%016x, 0x%016x}, // %d" % (b >> 64, b & (2**64 - 1), k))
print("};")
