// SPDX-License-Identifier: Apache-2.0
/* The standard's own functions and operators (langdef.md, "List of Standard Definitions").
 * Operators with nodes of their own (comparison, index, in) stand here for the checker. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cel/cel_internal.h"

/* ---- arithmetic ---- */

static struct value overflow(struct cel_cx *cx, const char *op, struct value a, struct value b)
{
    struct buf text = {.arena = cx->arena};
    cel_value_print(&text, a, 40);
    buf_printf(&text, " %s ", op);
    cel_value_print(&text, b, 40);
    return cx_fail(cx, "C0205", "%s overflow: %.*s", a.kind == VALUE_UINT ? "uint" : "integer",
                   STR_FMT(buf_str(&text)));
}

static struct value zero_divisor(struct cel_cx *cx, const char *what, struct value a)
{
    struct buf text = {.arena = cx->arena};
    cel_value_print(&text, a, 40);
    return cx_fail(cx, "C0205", "%s by zero: %.*s", what, STR_FMT(buf_str(&text)));
}

static struct value add_number(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value sum = v[0];
    if (v[0].kind == VALUE_DOUBLE)
        return value_double(v[0].d + v[1].d);
    if (v[0].kind == VALUE_INT ? __builtin_add_overflow(v[0].i, v[1].i, &sum.i)
                               : __builtin_add_overflow(v[0].u, v[1].u, &sum.u))
        return overflow(cx, "+", v[0], v[1]);
    return sum;
}

static struct value subtract_number(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value difference = v[0];
    if (v[0].kind == VALUE_DOUBLE)
        return value_double(v[0].d - v[1].d);
    if (v[0].kind == VALUE_INT ? __builtin_sub_overflow(v[0].i, v[1].i, &difference.i)
                               : __builtin_sub_overflow(v[0].u, v[1].u, &difference.u))
        return overflow(cx, "-", v[0], v[1]);
    return difference;
}

static struct value multiply_number(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value product = v[0];
    if (v[0].kind == VALUE_DOUBLE)
        return value_double(v[0].d * v[1].d);
    if (v[0].kind == VALUE_INT ? __builtin_mul_overflow(v[0].i, v[1].i, &product.i)
                               : __builtin_mul_overflow(v[0].u, v[1].u, &product.u))
        return overflow(cx, "*", v[0], v[1]);
    return product;
}

static struct value divide_number(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v[0].kind == VALUE_DOUBLE)
        return value_double(v[0].d / v[1].d);
    if (v[1].u == 0)
        return zero_divisor(cx, "division", v[0]);
    if (v[0].kind == VALUE_UINT)
        return value_uint(v[0].u / v[1].u);
    if (v[0].i == INT64_MIN && v[1].i == -1)
        return overflow(cx, "/", v[0], v[1]);
    return value_int(v[0].i / v[1].i);
}

static struct value modulo_number(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v[1].u == 0)
        return zero_divisor(cx, "modulus", v[0]);
    if (v[0].kind == VALUE_UINT)
        return value_uint(v[0].u % v[1].u);
    if (v[0].i == INT64_MIN && v[1].i == -1)
        return overflow(cx, "%", v[0], v[1]);
    return value_int(v[0].i % v[1].i);
}

static struct value negate(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v[0].kind == VALUE_DOUBLE)
        return value_double(-v[0].d);
    if (v[0].i == INT64_MIN)
        return overflow(cx, "-", value_int(0), v[0]);
    return value_int(-v[0].i);
}

static struct value concatenate(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    size_t size = (size_t)v[0].len + v[1].len;
    if (!cx_charge_text(cx, size))
        return cx_fail_cost(cx);
    if (v[0].len == 0 || v[1].len == 0)
        return v[0].len ? v[0] : v[1];
    char *text = size <= UINT32_MAX ? cx_alloc(cx, size) : NULL;
    if (!text)
        return cx_fail_memory(cx);
    memcpy(text, v[0].str, v[0].len);
    memcpy(text + v[0].len, v[1].str, v[1].len);
    return (struct value){.kind = v[0].kind, .len = (uint32_t)size, .str = text};
}

static struct value add_lists(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    size_t size = (size_t)v[0].len + v[1].len;
    if (!cx_charge(cx, size / 4 + 1))
        return cx_fail_cost(cx);
    if (v[0].len == 0 || v[1].len == 0)
        return v[0].len ? v[0] : v[1];
    struct value *items = size <= UINT32_MAX ? cx_alloc(cx, size * sizeof *items) : NULL;
    if (!items)
        return cx_fail_memory(cx);
    memcpy(items, v[0].items, v[0].len * sizeof *items);
    memcpy(items + v[0].len, v[1].items, v[1].len * sizeof *items);
    return value_list(items, size);
}

/* ---- time arithmetic ---- */

static struct value make_time(struct cel_cx *cx, __int128 nanos)
{
    __int128 seconds = nanos / 1000000000, rest = nanos % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    if (seconds < TIME_SECONDS_MIN || seconds > TIME_SECONDS_MAX)
        return cx_fail(cx, "C0205", "timestamp out of range: years 1 to 9999 are possible");
    return (struct value){.kind = VALUE_TIMESTAMP, .i = (int64_t)seconds, .len = (uint32_t)rest};
}

static struct value make_duration(struct cel_cx *cx, __int128 nanos)
{
    if (nanos > INT64_MAX || nanos < INT64_MIN)
        return cx_fail(cx, "C0205", "duration out of range: at most about 290 years");
    return (struct value){.kind = VALUE_DURATION, .i = (int64_t)nanos};
}

static __int128 nanos_of(struct value v)
{
    return v.kind == VALUE_DURATION ? v.i : (__int128)v.i * 1000000000 + v.len;
}

static struct value add_time(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    __int128 sum = nanos_of(v[0]) + nanos_of(v[1]);
    bool durations = v[0].kind == VALUE_DURATION && v[1].kind == VALUE_DURATION;
    return durations ? make_duration(cx, sum) : make_time(cx, sum);
}

static struct value subtract_time(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    __int128 difference = nanos_of(v[0]) - nanos_of(v[1]);
    return v[0].kind == v[1].kind ? make_duration(cx, difference) : make_time(cx, difference);
}

/* ---- conversions ---- */

#define TWO_TO_63 9223372036854775808.0

static struct value bad_conversion(struct cel_cx *cx, struct value v, const char *to)
{
    struct buf text = {.arena = cx->arena};
    cel_value_print(&text, v, 80);
    return cx_fail(cx, "C0206", "cannot convert %.*s to %s", STR_FMT(buf_str(&text)), to);
}

static struct value range_error(struct cel_cx *cx, struct value v, const char *to)
{
    struct buf text = {.arena = cx->arena};
    cel_value_print(&text, v, 80);
    return cx_fail(cx, "C0205", "range error: %.*s does not fit %s", STR_FMT(buf_str(&text)), to);
}

static struct value same(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return v[0];
}

static struct value to_int(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    int64_t i;
    switch (v->kind) {
    case VALUE_UINT:
        return v->u <= INT64_MAX ? value_int((int64_t)v->u) : range_error(cx, *v, "int");
    case VALUE_DOUBLE:
        if (!(v->d > -TWO_TO_63 && v->d < TWO_TO_63))
            return range_error(cx, *v, "int");
        return value_int((int64_t)v->d);
    case VALUE_STRING:
        if (v->len > 1 && v->str[0] == '+' && v->str[1] != '-' &&
            str_to_int64(str_sub(value_str(*v), 1, SIZE_MAX), &i))
            return value_int(i);
        return str_to_int64(value_str(*v), &i) ? value_int(i) : bad_conversion(cx, *v, "int");
    default:
        return value_int(v->i); // int, timestamp
    }
}

static struct value duration_to_int(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(v->i);
}

static bool parse_uint(struct str text, uint64_t *ret)
{
    uint64_t u = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(u, (uint64_t)10, &u) ||
            __builtin_add_overflow(u, (uint64_t)(c - '0'), &u))
            return false;
    }
    *ret = u;
    return true;
}

static struct value to_uint(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    uint64_t u;
    switch (v->kind) {
    case VALUE_INT:
        return v->i >= 0 ? value_uint(v->u) : range_error(cx, *v, "uint");
    case VALUE_DOUBLE:
        if (!(v->d >= 0 && v->d < 2 * TWO_TO_63))
            return range_error(cx, *v, "uint");
        return value_uint((uint64_t)v->d);
    default:
        return parse_uint(value_str(*v), &u) ? value_uint(u) : bad_conversion(cx, *v, "uint");
    }
}

static struct value to_double(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    char text[512], *end;
    if (v->kind == VALUE_INT)
        return value_double((double)v->i);
    if (v->kind == VALUE_UINT)
        return value_double((double)v->u);
    if (v->len == 0 || v->len >= sizeof text || v->str[0] == ' ' || memchr(v->str, 'x', v->len))
        return bad_conversion(cx, *v, "double");
    memcpy(text, v->str, v->len);
    text[v->len] = '\0';
    double d = strtod(text, &end);
    if (end != text + v->len || (isinf(d) && !strpbrk(text, "iI")))
        return bad_conversion(cx, *v, "double");
    return value_double(d);
}

static struct value to_bool(struct cel_cx *cx, const struct value *v, unsigned count)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    (void)count;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (str_is(value_str(*v), yes[i]))
            return value_bool(true);
        if (str_is(value_str(*v), no[i]))
            return value_bool(false);
    }
    return bad_conversion(cx, *v, "bool");
}

static struct value to_bytes(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_bytes(value_str(*v));
}

static struct value text_value(struct cel_cx *cx, const char *text, size_t size)
{
    char *copy = cx_alloc(cx, size);
    if (!copy)
        return cx_fail_memory(cx);
    memcpy(copy, text, size);
    return value_string((struct str){copy, size});
}

static struct value to_string(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    char text[64];
    switch (v->kind) {
    case VALUE_BOOL:
        return v->b ? value_cstr("true") : value_cstr("false");
    case VALUE_INT:
        return text_value(cx, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v->i));
    case VALUE_UINT:
        return text_value(cx, text,
                          (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)v->u));
    case VALUE_DOUBLE:
        return text_value(cx, text, double_print(v->d, text));
    case VALUE_TIMESTAMP:
        return text_value(cx, text, time_print(v->i, v->len, text));
    case VALUE_DURATION:
        return text_value(cx, text, duration_print(v->i, text));
    case VALUE_OPAQUE:
        return text_value(cx, text, ip_print(v->opaque, v->aux == OPAQUE_CIDR, text));
    default:
        break;
    }
    if (!cx_charge_text(cx, v->len))
        return cx_fail_cost(cx);
    if (!str_is_utf8(value_str(*v)))
        return cx_fail(cx, "C0206", "invalid UTF-8 in bytes, cannot convert to string");
    return value_string(value_str(*v));
}

static struct value to_timestamp(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    int64_t seconds = v->i;
    uint32_t nanos = 0;
    if (v->kind == VALUE_STRING && !time_parse(value_str(*v), &seconds, &nanos))
        return cx_fail(cx, "C0206",
                       "\"%.*s\" is not a timestamp (RFC 3339, years 1 to 9999: range or form)",
                       STR_FMT(str_sub(value_str(*v), 0, 80)));
    if (seconds < TIME_SECONDS_MIN || seconds > TIME_SECONDS_MAX)
        return range_error(cx, *v, "timestamp");
    return (struct value){.kind = VALUE_TIMESTAMP, .i = seconds, .len = nanos};
}

static struct value to_duration(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    int64_t nanos;
    if (!duration_parse(value_str(*v), &nanos))
        return cx_fail(cx, "C0206",
                       "\"%.*s\" is not a duration such as \"1h30m\" or \"1.5s\" (form or range)",
                       STR_FMT(str_sub(value_str(*v), 0, 80)));
    return (struct value){.kind = VALUE_DURATION, .i = nanos};
}

static struct value type_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_type_named(cel_value_type_name(*v));
}

/* ---- strings and sizes ---- */

static struct value size_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v->kind != VALUE_STRING)
        return value_int(v->len);
    if (!cx_charge_text(cx, v->len))
        return cx_fail_cost(cx);
    return value_int((int64_t)utf8_count(value_str(*v)));
}

static struct value contains(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (!cx_charge_text(cx, v[0].len))
        return cx_fail_cost(cx);
    return value_bool(v[1].len == 0 ||
                      (v[0].len >= v[1].len && memmem(v[0].str, v[0].len, v[1].str, v[1].len)));
}

static struct value starts_with(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_bool(str_starts(value_str(v[0]), value_str(v[1])));
}

static struct value ends_with(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_bool(str_ends(value_str(v[0]), value_str(v[1])));
}

/* Operators that never run through this table: they have nodes of their own. */
static struct value own_node(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)v, (void)count;
    return cx_fail(cx, "C0201", "no such overload");
}

/* ---- parts of times ---- */

enum part {
    YEAR,
    MONTH,
    DAY_OF_MONTH,
    DATE,
    DAY_OF_WEEK,
    DAY_OF_YEAR,
    HOURS,
    MINUTES,
    SECONDS,
    MILLIS
};

static struct value time_part(struct cel_cx *cx, const struct value *v, unsigned count,
                              enum part part)
{
    int64_t offset = 0, year;
    unsigned month, day;
    if (count > 1 && !zone_offset(value_str(v[1]), v[0].i, &offset))
        return cx_fail(cx, "C0206", "unknown time zone \"%.*s\"",
                       STR_FMT(str_sub(value_str(v[1]), 0, 80)));
    int64_t local = v[0].i + offset, days = local / 86400, second = local % 86400;
    if (second < 0) {
        second += 86400;
        days--;
    }
    clock_civil(days, &year, &month, &day);
    switch (part) {
    case YEAR:
        return value_int(year);
    case MONTH:
        return value_int((int64_t)month - 1);
    case DAY_OF_MONTH:
        return value_int((int64_t)day - 1);
    case DATE:
        return value_int(day);
    case DAY_OF_WEEK:
        return value_int(((days + 4) % 7 + 7) % 7);
    case DAY_OF_YEAR:
        return value_int(days - clock_days(year, 1, 1));
    case HOURS:
        return value_int(second / 3600);
    case MINUTES:
        return value_int(second / 60 % 60);
    case SECONDS:
        return value_int(second % 60);
    case MILLIS:
        return value_int(v[0].len / 1000000);
    }
    return value_null();
}

#define TIME_PART(name, part)                                                                      \
    static struct value name(struct cel_cx *cx, const struct value *v, unsigned count)             \
    {                                                                                              \
        return time_part(cx, v, count, part);                                                      \
    }
TIME_PART(get_full_year, YEAR)
TIME_PART(get_month, MONTH)
TIME_PART(get_day_of_month, DAY_OF_MONTH)
TIME_PART(get_date, DATE)
TIME_PART(get_day_of_week, DAY_OF_WEEK)
TIME_PART(get_day_of_year, DAY_OF_YEAR)
TIME_PART(get_hours, HOURS)
TIME_PART(get_minutes, MINUTES)
TIME_PART(get_seconds, SECONDS)
TIME_PART(get_milliseconds, MILLIS)

static struct value duration_hours(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(v->i / 3600000000000);
}

static struct value duration_minutes(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(v->i / 60000000000);
}

static struct value duration_seconds(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(v->i / 1000000000);
}

static struct value duration_milliseconds(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(v->i / 1000000 % 1000);
}

/* ---- the table ---- */

static const struct cel_overload add[] = {F(add_number, &T_INT, &T_INT, &T_INT),
                                          F(add_number, &T_UINT, &T_UINT, &T_UINT),
                                          F(add_number, &T_DOUBLE, &T_DOUBLE, &T_DOUBLE),
                                          F(concatenate, &T_STRING, &T_STRING, &T_STRING),
                                          F(concatenate, &T_BYTES, &T_BYTES, &T_BYTES),
                                          F(add_lists, &T_LIST_A, &T_LIST_A, &T_LIST_A),
                                          F(add_time, &T_TIMESTAMP, &T_TIMESTAMP, &T_DURATION),
                                          F(add_time, &T_TIMESTAMP, &T_DURATION, &T_TIMESTAMP),
                                          F(add_time, &T_DURATION, &T_DURATION, &T_DURATION)};
static const struct cel_overload subtract[] = {
    F(subtract_number, &T_INT, &T_INT, &T_INT),
    F(subtract_number, &T_UINT, &T_UINT, &T_UINT),
    F(subtract_number, &T_DOUBLE, &T_DOUBLE, &T_DOUBLE),
    F(subtract_time, &T_DURATION, &T_TIMESTAMP, &T_TIMESTAMP),
    F(subtract_time, &T_TIMESTAMP, &T_TIMESTAMP, &T_DURATION),
    F(subtract_time, &T_DURATION, &T_DURATION, &T_DURATION)};
static const struct cel_overload multiply[] = {F(multiply_number, &T_INT, &T_INT, &T_INT),
                                               F(multiply_number, &T_UINT, &T_UINT, &T_UINT),
                                               F(multiply_number, &T_DOUBLE, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload divide[] = {F(divide_number, &T_INT, &T_INT, &T_INT),
                                             F(divide_number, &T_UINT, &T_UINT, &T_UINT),
                                             F(divide_number, &T_DOUBLE, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload modulo[] = {F(modulo_number, &T_INT, &T_INT, &T_INT),
                                             F(modulo_number, &T_UINT, &T_UINT, &T_UINT)};
static const struct cel_overload minus[] = {F(negate, &T_INT, &T_INT),
                                            F(negate, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload not [] = {F(own_node, &T_BOOL, &T_BOOL)};
static const struct cel_overload equality[] = {F(own_node, &T_BOOL, &T_A, &T_A)};
static const struct cel_overload ordering[] = {F(own_node, &T_BOOL, &T_BOOL, &T_BOOL),
                                               F(own_node, &T_BOOL, &T_INT, &T_INT),
                                               F(own_node, &T_BOOL, &T_UINT, &T_UINT),
                                               F(own_node, &T_BOOL, &T_DOUBLE, &T_DOUBLE),
                                               F(own_node, &T_BOOL, &T_STRING, &T_STRING),
                                               F(own_node, &T_BOOL, &T_BYTES, &T_BYTES),
                                               F(own_node, &T_BOOL, &T_TIMESTAMP, &T_TIMESTAMP),
                                               F(own_node, &T_BOOL, &T_DURATION, &T_DURATION)};
static const struct cel_overload membership[] = {F(own_node, &T_BOOL, &T_A, &T_LIST_A),
                                                 F(own_node, &T_BOOL, &T_A, &T_MAP_AB)};
static const struct cel_overload index_of_list[] = {
    F(own_node, &T_A, &T_LIST_A, &T_INT), F(own_node, &T_B, &T_MAP_AB, &T_A),
    F(own_node, &T_OPTIONAL_A, &T_OPTIONAL_LIST_A, &T_INT),
    F(own_node, &T_OPTIONAL_B, &T_OPTIONAL_MAP_AB, &T_A)};
static const struct cel_overload index_optional[] = {
    F(own_node, &T_OPTIONAL_A, &T_LIST_A, &T_INT), F(own_node, &T_OPTIONAL_B, &T_MAP_AB, &T_A),
    F(own_node, &T_OPTIONAL_A, &T_OPTIONAL_LIST_A, &T_INT),
    F(own_node, &T_OPTIONAL_B, &T_OPTIONAL_MAP_AB, &T_A)};
static const struct cel_overload size[] = {
    F(size_of, &T_INT, &T_STRING), F(size_of, &T_INT, &T_BYTES),  F(size_of, &T_INT, &T_LIST_A),
    F(size_of, &T_INT, &T_MAP_AB), M(size_of, &T_INT, &T_STRING), M(size_of, &T_INT, &T_BYTES),
    M(size_of, &T_INT, &T_LIST_A), M(size_of, &T_INT, &T_MAP_AB)};
static const struct cel_overload contains_[] = {M(contains, &T_BOOL, &T_STRING, &T_STRING)};
static const struct cel_overload starts[] = {M(starts_with, &T_BOOL, &T_STRING, &T_STRING)};
static const struct cel_overload ends[] = {M(ends_with, &T_BOOL, &T_STRING, &T_STRING)};
static const struct cel_overload matches_[] = {F(fn_matches, &T_BOOL, &T_STRING, &T_STRING),
                                               M(fn_matches, &T_BOOL, &T_STRING, &T_STRING)};
static const struct cel_overload ints[] = {
    F(same, &T_INT, &T_INT),         F(to_int, &T_INT, &T_UINT),
    F(to_int, &T_INT, &T_DOUBLE),    F(to_int, &T_INT, &T_STRING),
    F(to_int, &T_INT, &T_TIMESTAMP), F(duration_to_int, &T_INT, &T_DURATION)};
static const struct cel_overload uints[] = {F(same, &T_UINT, &T_UINT), F(to_uint, &T_UINT, &T_INT),
                                            F(to_uint, &T_UINT, &T_DOUBLE),
                                            F(to_uint, &T_UINT, &T_STRING)};
static const struct cel_overload doubles[] = {
    F(same, &T_DOUBLE, &T_DOUBLE), F(to_double, &T_DOUBLE, &T_INT),
    F(to_double, &T_DOUBLE, &T_UINT), F(to_double, &T_DOUBLE, &T_STRING)};
static const struct cel_overload bools[] = {F(same, &T_BOOL, &T_BOOL),
                                            F(to_bool, &T_BOOL, &T_STRING)};
static const struct cel_overload bytes[] = {F(same, &T_BYTES, &T_BYTES),
                                            F(to_bytes, &T_BYTES, &T_STRING)};
static const struct cel_overload strings[] = {
    F(same, &T_STRING, &T_STRING),         F(to_string, &T_STRING, &T_BOOL),
    F(to_string, &T_STRING, &T_INT),       F(to_string, &T_STRING, &T_UINT),
    F(to_string, &T_STRING, &T_DOUBLE),    F(to_string, &T_STRING, &T_BYTES),
    F(to_string, &T_STRING, &T_TIMESTAMP), F(to_string, &T_STRING, &T_DURATION),
    F(to_string, &T_STRING, &T_IP),        F(to_string, &T_STRING, &T_CIDR)};
static const struct cel_overload timestamps[] = {F(same, &T_TIMESTAMP, &T_TIMESTAMP),
                                                 F(to_timestamp, &T_TIMESTAMP, &T_STRING),
                                                 F(to_timestamp, &T_TIMESTAMP, &T_INT)};
static const struct cel_overload durations[] = {F(same, &T_DURATION, &T_DURATION),
                                                F(to_duration, &T_DURATION, &T_STRING)};
static const struct cel_overload type_[] = {F(type_of, &T_TYPE_A, &T_A)};
static const struct cel_overload dyn_[] = {F(same, &T_DYN, &T_A)};
#define TIME_OVERLOADS(fn) M(fn, &T_INT, &T_TIMESTAMP), M(fn, &T_INT, &T_TIMESTAMP, &T_STRING)
static const struct cel_overload years[] = {TIME_OVERLOADS(get_full_year)};
static const struct cel_overload months[] = {TIME_OVERLOADS(get_month)};
static const struct cel_overload days_of_month[] = {TIME_OVERLOADS(get_day_of_month)};
static const struct cel_overload dates[] = {TIME_OVERLOADS(get_date)};
static const struct cel_overload days_of_week[] = {TIME_OVERLOADS(get_day_of_week)};
static const struct cel_overload days_of_year[] = {TIME_OVERLOADS(get_day_of_year)};
static const struct cel_overload hours[] = {TIME_OVERLOADS(get_hours),
                                            M(duration_hours, &T_INT, &T_DURATION)};
static const struct cel_overload minutes[] = {TIME_OVERLOADS(get_minutes),
                                              M(duration_minutes, &T_INT, &T_DURATION)};
static const struct cel_overload seconds_[] = {TIME_OVERLOADS(get_seconds),
                                               M(duration_seconds, &T_INT, &T_DURATION)};
static const struct cel_overload milliseconds[] = {TIME_OVERLOADS(get_milliseconds),
                                                   M(duration_milliseconds, &T_INT, &T_DURATION)};

static const struct cel_function functions[] = {
    {"_+_",
     "Adds numbers, durations, and a duration to a timestamp; joins strings, bytes and lists.",
     "[1] + [2] == [1, 2]", OVERLOADS(add)},
    {"_-_", "Subtracts numbers, durations and timestamps.", "5 - 7 == -2", OVERLOADS(subtract)},
    {"_*_", "Multiplies numbers; overflow is an error.", "6 * 7 == 42", OVERLOADS(multiply)},
    {"_/_", "Divides; integers towards zero, by zero is an error.", "-7 / 2 == -3",
     OVERLOADS(divide)},
    {"_%_", "The remainder, with the sign of the left side.", "-7 % 2 == -1", OVERLOADS(modulo)},
    {"-_", "The negative.", "-(2) == 0 - 2", OVERLOADS(minus)},
    {"!_", "Not.", "!false", OVERLOADS(not )},
    {"_==_", "Equal: numbers by value, lists and maps deeply; never an error.", "1u == 1u",
     OVERLOADS(equality)},
    {"_!=_", "Not equal.", "'a' != 'b'", OVERLOADS(equality)},
    {"_<_", "Less: of two values of one type, or two numbers.", "'a' < 'b'", OVERLOADS(ordering)},
    {"_<=_", "Less or equal.", "1 <= 1", OVERLOADS(ordering)},
    {"_>_", "Greater.", "2 > 1", OVERLOADS(ordering)},
    {"_>=_", "Greater or equal.", "2 >= 2", OVERLOADS(ordering)},
    {"@in", "Is it an item of the list, or a key of the map?", "2 in [1, 2]",
     OVERLOADS(membership)},
    {"_[_]", "The item at a position, or the value of a key; a missing one is an error.",
     "{'a': [7]}['a'][0] == 7", OVERLOADS(index_of_list)},
    {"_[?_]", "The same as an optional: none when it is missing.", "!{'a': 1}[?'b'].hasValue()",
     OVERLOADS(index_optional)},
    {"size", "Number of code points, bytes, items or entries.", "size('straße') == 6",
     OVERLOADS(size)},
    {"contains", "Does the string contain another?", "'rectify'.contains('tif')",
     OVERLOADS(contains_)},
    {"startsWith", "Does the string start with another?", "'s3-logs'.startsWith('s3-')",
     OVERLOADS(starts)},
    {"endsWith", "Does the string end with another?", "'a.json'.endsWith('.json')",
     OVERLOADS(ends)},
    {"matches", "Does the RE2 regular expression match anywhere in the string?",
     "'i-0abc'.matches('^i-[0-9a-f]+$')", OVERLOADS(matches_)},
    {"int", "Converts to int: doubles towards zero, timestamps to seconds since 1970.",
     "int('42') == 42", OVERLOADS(ints)},
    {"uint", "Converts to uint.", "uint(7) == 7u", OVERLOADS(uints)},
    {"double", "Converts to double.", "double('1.5') == 1.5", OVERLOADS(doubles)},
    {"bool", "Converts the strings true, t, 1, false, f, 0.", "bool('true')", OVERLOADS(bools)},
    {"bytes", "The string's UTF-8.", "bytes('a') == b'a'", OVERLOADS(bytes)},
    {"string", "Converts to string.", "string(1.5) == '1.5'", OVERLOADS(strings)},
    {"timestamp", "From RFC 3339 text, or seconds since 1970.",
     "timestamp('2026-01-02T00:00:00Z') > timestamp(0)", OVERLOADS(timestamps)},
    {"duration", "From text such as 1h30m, 90s or 1.5s.", "duration('90m') == duration('1h30m')",
     OVERLOADS(durations)},
    {"type", "The type of the value.", "type(1) == int", OVERLOADS(type_)},
    {"dyn", "The value without its type: the checker then accepts anything.", "dyn(1) == 1.0",
     OVERLOADS(dyn_)},
    {"getFullYear", "The year, in UTC or the given time zone.",
     "timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026", OVERLOADS(years)},
    {"getMonth", "The month, 0 to 11.", "timestamp('2026-03-01T00:00:00Z').getMonth() == 2",
     OVERLOADS(months)},
    {"getDayOfMonth", "The day of the month, 0 to 30.",
     "timestamp('2026-03-01T00:00:00Z').getDayOfMonth() == 0", OVERLOADS(days_of_month)},
    {"getDate", "The day of the month, 1 to 31.",
     "timestamp('2026-03-01T00:00:00Z').getDate() == 1", OVERLOADS(dates)},
    {"getDayOfWeek", "0 is Sunday.", "timestamp('2026-03-01T00:00:00Z').getDayOfWeek() == 0",
     OVERLOADS(days_of_week)},
    {"getDayOfYear", "0 is the first of January.",
     "timestamp('2026-02-01T00:00:00Z').getDayOfYear() == 31", OVERLOADS(days_of_year)},
    {"getHours", "Hours of a time of day, or of a whole duration.",
     "timestamp('2026-01-01T10:00:00Z').getHours('+02:00') == 12", OVERLOADS(hours)},
    {"getMinutes", "Minutes of a time, or of a whole duration.",
     "duration('2h').getMinutes() == 120", OVERLOADS(minutes)},
    {"getSeconds", "Seconds of a time, or of a whole duration.",
     "duration('2m').getSeconds() == 120", OVERLOADS(seconds_)},
    {"getMilliseconds", "The milliseconds within the second.",
     "timestamp('2026-01-01T00:00:00.25Z').getMilliseconds() == 250", OVERLOADS(milliseconds)},
};

const struct cel_group group_core = {"core", true, OVERLOADS(functions)};
