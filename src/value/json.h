// SPDX-License-Identifier: Apache-2.0
/* JSON (RFC 8259), strict both ways.
 *
 * Reading: UTF-8 is checked, depth is at most LIMIT_JSON_DEPTH, duplicate keys are an error,
 * nothing may follow but white space, lone surrogates are refused. Integers without fraction or
 * exponent become int (or uint above INT64_MAX), all other numbers double; a number beyond double's
 * range is an error. Strings without escapes borrow from `text`, which must live as long as the
 * value. Errors: V0001 malformed, V0002 too deep, V0003 duplicate key, V0004 not UTF-8, V0005
 * number out of range, V0006 out of memory; placed by line and column.
 *
 * Writing: canonical form is RFC 8785's in spirit (keys sorted by bytes, no spaces, shortest
 * numbers) and is what is hashed. Bytes are written as base64 strings, timestamps as RFC 3339,
 * durations as CEL writes them ("1.5s"), not-finite doubles as the strings "NaN", "Infinity",
 * "-Infinity". */
#ifndef RECTIFY_VALUE_JSON_H
#define RECTIFY_VALUE_JSON_H

#include "base/error.h"
#include "value/value.h"

bool json_parse(struct arena *arena, struct str text, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));

enum json_style {
    JSON_COMPACT,   // insertion order, no spaces
    JSON_CANONICAL, // sorted keys, no spaces
    JSON_PRETTY,    // insertion order, two spaces
};
/* Appends to `out` (whose `failed` tells when memory ran out). */
void json_write(struct buf *out, struct value v, enum json_style style);
/* A JSON string literal with its quotes. */
void json_write_string(struct buf *out, struct str s);

#endif
