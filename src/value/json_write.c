// SPDX-License-Identifier: Apache-2.0
/* The JSON writer. See json.h. */
#include "value/json.h"

#include "base/clock.h"
#include "base/hash.h"
#include "value/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void write_value(struct buf *out, struct value v, enum json_style style, unsigned depth);

/* From `at`, the first byte that has to be escaped, or s.len. Eight bytes at once: in `bad` the top
 * bit of a byte may be set in vain (behind a real one, or for a byte over 0x7F), never be missing.
 */
static size_t plain_bytes(struct str s, size_t at)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (s.len - at >= 8) {
        uint64_t word;
        memcpy(&word, s.ptr + at, 8);
        uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\', del = word ^ ones * 0x7F;
        uint64_t bad = (word - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones);
        if (bad & tops)
            break;
        at += 8;
    }
    for (; at < s.len; at++) {
        unsigned char c = (unsigned char)s.ptr[at];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
            break;
    }
    return at;
}

void json_write_string(struct buf *out, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    size_t start = 0;
    buf_add_byte(out, '"');
    for (size_t i = plain_bytes(s, 0); i < s.len; i = plain_bytes(s, i + 1)) {
        unsigned char c = (unsigned char)s.ptr[i];
        buf_add(out, s.ptr + start, i - start);
        start = i + 1;
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *at = c ? strchr(from, c) : NULL;
        if (at) {
            buf_add(out, (char[2]){'\\', to[at - from]}, 2);
        } else {
            buf_add(out, (char[6]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        }
    }
    if (s.len > start)
        buf_add(out, s.ptr + start, s.len - start);
    buf_add_byte(out, '"');
}

static void write_double(struct buf *out, double d)
{
    char text[NUMBER_TEXT_SIZE];
    if (isnan(d) || isinf(d)) {
        buf_add_cstr(out, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    buf_add(out, text, number_write(d, text));
}

static void write_timestamp(struct buf *out, struct value v)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(v.i * 1000, text);
    text[strlen(text) - 1] = '\0';
    buf_printf(out, "\"%s", text);
    if (v.len) {
        char fraction[16];
        snprintf(fraction, sizeof fraction, ".%09u", v.len % 1000000000u);
        size_t len = strlen(fraction);
        while (fraction[len - 1] == '0')
            len--;
        buf_add(out, fraction, len);
    }
    buf_add_cstr(out, "Z\"");
}

static void write_duration(struct buf *out, int64_t ns)
{
    uint64_t magnitude = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    buf_printf(out, "\"%s%" PRIu64, ns < 0 ? "-" : "", magnitude / 1000000000u);
    if (magnitude % 1000000000u) {
        char fraction[16];
        snprintf(fraction, sizeof fraction, ".%09u", (unsigned)(magnitude % 1000000000u));
        size_t len = strlen(fraction);
        while (fraction[len - 1] == '0')
            len--;
        buf_add(out, fraction, len);
    }
    buf_add_cstr(out, "s\"");
}

static void write_break(struct buf *out, enum json_style style, unsigned depth)
{
    if (style != JSON_PRETTY)
        return;
    buf_add_byte(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        buf_add_cstr(out, "  ");
}

static void write_list(struct buf *out, struct value v, enum json_style style, unsigned depth)
{
    buf_add_byte(out, '[');
    for (uint32_t i = 0; i < v.len; i++) {
        if (i)
            buf_add_byte(out, ',');
        write_break(out, style, depth + 1);
        write_value(out, v.items[i], style, depth + 1);
    }
    if (v.len)
        write_break(out, style, depth);
    buf_add_byte(out, ']');
}

static void write_key(struct buf *out, struct value key)
{
    if (key.kind == VALUE_STRING) {
        json_write_string(out, value_str(key));
        return;
    }
    buf_add_byte(out, '"');
    write_value(out, key, JSON_COMPACT, 0);
    buf_add_byte(out, '"');
}

static int compare_pairs(const void *a, const void *b)
{
    const struct value_pair *const *x = a, *const *y = b;
    return str_compare(value_str((*x)->key), value_str((*y)->key));
}

/* Insertion order, or sorted through an array of pointers. */
static const struct value_pair **sorted_pairs(struct buf *out, struct value v)
{
    const struct value_pair **order = ARENA_ARRAY(out->arena, const struct value_pair *, v.len);
    if (!order) {
        out->failed = true;
        return NULL;
    }
    for (uint32_t i = 0; i < v.len; i++)
        order[i] = &v.pairs[i];
    qsort(order, v.len, sizeof *order, compare_pairs);
    return order;
}

static void write_map(struct buf *out, struct value v, enum json_style style, unsigned depth)
{
    const struct value_pair **order = style == JSON_CANONICAL ? sorted_pairs(out, v) : NULL;
    if (style == JSON_CANONICAL && !order)
        return;
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < v.len; i++) {
        const struct value_pair *pair = order ? order[i] : &v.pairs[i];
        if (i)
            buf_add_byte(out, ',');
        write_break(out, style, depth + 1);
        write_key(out, pair->key);
        buf_add_cstr(out, style == JSON_PRETTY ? ": " : ":");
        write_value(out, pair->value, style, depth + 1);
    }
    if (v.len)
        write_break(out, style, depth);
    buf_add_byte(out, '}');
}

static void write_value(struct buf *out, struct value v, enum json_style style, unsigned depth)
{
    switch ((enum value_kind)v.kind) {
    case VALUE_BOOL:
        buf_add_cstr(out, v.b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_add_int(out, v.i);
        break;
    case VALUE_UINT:
        buf_add_uint(out, v.u);
        break;
    case VALUE_DOUBLE:
        write_double(out, v.d);
        break;
    case VALUE_STRING:
        json_write_string(out, value_str(v));
        break;
    case VALUE_BYTES:
        buf_add_byte(out, '"');
        buf_add_str(out, hash_base64(out->arena, value_str(v)));
        buf_add_byte(out, '"');
        break;
    case VALUE_LIST:
        write_list(out, v, style, depth);
        break;
    case VALUE_MAP:
        write_map(out, v, style, depth);
        break;
    case VALUE_TIMESTAMP:
        write_timestamp(out, v);
        break;
    case VALUE_DURATION:
        write_duration(out, v.i);
        break;
    default:
        buf_add_cstr(out, "null");
    }
}

void json_write(struct buf *out, struct value v, enum json_style style)
{
    write_value(out, v, style, 0);
}
