// SPDX-License-Identifier: Apache-2.0
/* string.format(list): %s %d %f %e %b %o %x %X %%, with a precision for %f and %e. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cel/cel_internal.h"

#define PRECISION_MAX 1000

static bool add_text(struct buf *out, struct value v, unsigned depth);

/* The shortest digits, never with an exponent. */
static void add_plain(struct buf *out, double d)
{
    char text[DOUBLE_TEXT_SIZE];
    size_t size = double_print(d, text);
    char *e = isfinite(d) ? memchr(text, 'e', size) : NULL;
    if (!e) {
        buf_add(out, text, size);
        return;
    }
    int decimals = 0; // behind the point: those of the shown digits less the exponent
    for (const char *p = memchr(text, '.', size); p && p + 1 < e; p++)
        decimals++;
    decimals -= atoi(e + 1);
    if (decimals > 0) {
        buf_printf(out, "%.*f", decimals, d);
        return;
    }
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            buf_add_byte(out, *p);
    for (; decimals < 0; decimals++)
        buf_add_byte(out, '0');
}

static int by_text(const void *a, const void *b)
{
    return str_compare(((const struct str *)a)[0], ((const struct str *)b)[0]);
}

/* Entries in the order of their keys' text. */
static bool add_map(struct buf *out, struct value v, unsigned depth)
{
    struct str(*entries)[2] = arena_alloc_array(out->arena, v.len, sizeof *entries);
    if (!entries)
        return false;
    for (uint32_t i = 0; i < v.len; i++) {
        struct buf key = {.arena = out->arena}, value = {.arena = out->arena};
        if (!add_text(&key, v.pairs[i].key, depth + 1) ||
            !add_text(&value, v.pairs[i].value, depth + 1))
            return false;
        entries[i][0] = buf_str(&key);
        entries[i][1] = buf_str(&value);
    }
    if (v.len)
        qsort(entries, v.len, sizeof *entries, by_text);
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < v.len; i++) {
        buf_add_cstr(out, i ? ", " : "");
        buf_add_str(out, entries[i][0]);
        buf_add_cstr(out, ": ");
        buf_add_str(out, entries[i][1]);
    }
    buf_add_byte(out, '}');
    return true;
}

static bool add_list(struct buf *out, struct value v, unsigned depth)
{
    buf_add_byte(out, '[');
    for (uint32_t i = 0; i < v.len; i++) {
        buf_add_cstr(out, i ? ", " : "");
        if (!add_text(out, v.items[i], depth + 1))
            return false;
    }
    buf_add_byte(out, ']');
    return true;
}

/* The %s of a value; false when it has none. */
static bool add_text(struct buf *out, struct value v, unsigned depth)
{
    char text[64];
    if (depth > LIMIT_EXPRESSION_DEPTH)
        return false;
    switch (v.kind) {
    case VALUE_NULL:
        buf_add_cstr(out, "null");
        return true;
    case VALUE_BOOL:
        buf_add_cstr(out, v.b ? "true" : "false");
        return true;
    case VALUE_INT:
        buf_printf(out, "%lld", (long long)v.i);
        return true;
    case VALUE_UINT:
        buf_printf(out, "%llu", (unsigned long long)v.u);
        return true;
    case VALUE_DOUBLE:
        add_plain(out, v.d);
        return true;
    case VALUE_STRING:
    case VALUE_BYTES:
        buf_add_str(out, value_str(v));
        return v.kind == VALUE_STRING || str_is_utf8(value_str(v));
    case VALUE_TIMESTAMP:
        buf_add(out, text, time_print(v.i, v.len, text));
        return true;
    case VALUE_DURATION:
        buf_add(out, text, duration_print(v.i, text));
        return true;
    case VALUE_TYPE:
        buf_add_cstr(out, v.opaque);
        return true;
    case VALUE_OPAQUE:
        buf_add(out, text, ip_print(v.opaque, v.aux == OPAQUE_CIDR, text));
        return true;
    case VALUE_LIST:
        return add_list(out, v, depth);
    case VALUE_MAP:
        return add_map(out, v, depth);
    default:
        return false;
    }
}

static bool add_decimal(struct buf *out, struct value v)
{
    if (v.kind == VALUE_INT)
        buf_printf(out, "%lld", (long long)v.i);
    else if (v.kind == VALUE_UINT)
        buf_printf(out, "%llu", (unsigned long long)v.u);
    else if (v.kind == VALUE_DOUBLE)
        add_plain(out, v.d);
    else
        return false;
    return true;
}

static bool add_real(struct buf *out, struct value v, char clause, int precision)
{
    double d = v.kind == VALUE_INT ? (double)v.i : v.kind == VALUE_UINT ? (double)v.u : v.d;
    if (v.kind != VALUE_INT && v.kind != VALUE_UINT && v.kind != VALUE_DOUBLE)
        return false;
    if (isnan(d) || isinf(d))
        buf_add_cstr(out, isnan(d) ? "NaN" : d < 0 ? "-Infinity" : "Infinity");
    else if (clause == 'f')
        buf_printf(out, "%.*f", precision, d);
    else
        buf_printf(out, "%.*e", precision, d);
    return true;
}

static void add_binary(struct buf *out, uint64_t u)
{
    int bit = 63;
    while (bit > 0 && !(u >> bit & 1))
        bit--;
    for (; bit >= 0; bit--)
        buf_add_byte(out, u >> bit & 1 ? '1' : '0');
}

/* %b %o %x %X of an integer: the sign, then the magnitude. */
static bool add_based(struct buf *out, struct value v, char clause)
{
    if (v.kind == VALUE_BOOL && clause == 'b') {
        buf_add_byte(out, v.b ? '1' : '0');
        return true;
    }
    if ((clause == 'x' || clause == 'X') && (v.kind == VALUE_STRING || v.kind == VALUE_BYTES)) {
        for (uint32_t i = 0; i < v.len; i++)
            buf_printf(out, clause == 'x' ? "%02x" : "%02X", (unsigned char)v.str[i]);
        return true;
    }
    if (v.kind != VALUE_INT && v.kind != VALUE_UINT)
        return false;
    bool negative = v.kind == VALUE_INT && v.i < 0;
    unsigned long long u = negative ? 0 - v.u : v.u;
    if (negative)
        buf_add_byte(out, '-');
    if (clause == 'b')
        add_binary(out, u);
    else
        buf_printf(out, clause == 'o' ? "%llo" : clause == 'x' ? "%llx" : "%llX", u);
    return true;
}

static bool add_clause(struct buf *out, struct value v, char clause, int precision)
{
    switch (clause) {
    case 's':
        return add_text(out, v, 0);
    case 'd':
        return add_decimal(out, v);
    case 'f':
    case 'e':
        return add_real(out, v, clause, precision);
    default:
        return add_based(out, v, clause);
    }
}

/* ".digits" behind the percent sign; -1 when malformed. */
static int read_precision(struct str format, size_t *at)
{
    if (*at >= format.len || format.ptr[*at] != '.')
        return 6;
    int precision = 0;
    size_t start = ++*at;
    for (; *at < format.len && format.ptr[*at] >= '0' && format.ptr[*at] <= '9'; (*at)++) {
        precision = precision * 10 + (format.ptr[*at] - '0');
        if (precision > PRECISION_MAX)
            return -1;
    }
    return *at > start ? precision : -1;
}

struct value fn_format(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct str format = value_str(v[0]);
    struct buf out = {.arena = cx->arena};
    uint32_t used = 0;
    for (size_t at = 0; at < format.len; at++) {
        if (format.ptr[at] != '%' || (at + 1 < format.len && format.ptr[at + 1] == '%')) {
            buf_add_byte(&out, format.ptr[at]);
            at += format.ptr[at] == '%';
            continue;
        }
        at++;
        int precision = read_precision(format, &at);
        char clause = at < format.len ? format.ptr[at] : '\0';
        if (precision < 0 || !clause || !strchr("sdfeboxX", clause))
            return cx_fail(
                cx, "C0206",
                "could not parse formatting clause: unrecognized formatting clause \"%c\"",
                clause ? clause : ' ');
        if (used >= v[1].len)
            return cx_fail(cx, "C0203", "index %u out of range: format() has too few arguments",
                           used);
        struct value item = v[1].items[used++];
        if (!cx_charge_deep(cx, item))
            return cx_fail_cost(cx);
        if (!add_clause(&out, item, clause, precision))
            return cx_fail(cx, "C0206", "error during formatting: %%%c cannot format a %s", clause,
                           cel_value_type_name(item));
        if (out.len > cx->bytes)
            return cx_fail_memory(cx);
        if (!cx_charge(cx, 1))
            return cx_fail_cost(cx);
    }
    return cx_string(cx, &out);
}
