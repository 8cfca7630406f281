// SPDX-License-Identifier: Apache-2.0
/* Values as people read them, the names of their types, failures as messages, and values turned
 * into plain data. Any thread. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cel/cel_internal.h"
#include "value/json.h"

const char *cel_value_type_name(struct value v)
{
    switch (v.kind) {
    case VALUE_TIMESTAMP:
        return "google.protobuf.Timestamp";
    case VALUE_DURATION:
        return "google.protobuf.Duration";
    case VALUE_OPTIONAL:
        return "optional_type";
    case VALUE_OPAQUE:
        return v.aux == OPAQUE_IP ? "net.IP" : "net.CIDR";
    default:
        return value_kind_name((enum value_kind)v.kind);
    }
}

size_t double_print(double d, char ret[DOUBLE_TEXT_SIZE])
{
    if (isnan(d))
        return (size_t)snprintf(ret, DOUBLE_TEXT_SIZE, "NaN");
    if (isinf(d))
        return (size_t)snprintf(ret, DOUBLE_TEXT_SIZE, d < 0 ? "-Infinity" : "Infinity");
    int size = 0;
    // what is below the normal range has fewer digits
    for (int digits = fabs(d) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        size = snprintf(ret, DOUBLE_TEXT_SIZE, "%.*g", digits, d);
        if (strtod(ret, NULL) == d)
            break;
    }
    return (size_t)size;
}

static void print(struct buf *out, struct value v, size_t end);

static bool over(const struct buf *out, size_t end)
{
    return out->len >= end || out->failed;
}

static void print_items(struct buf *out, struct value v, size_t end)
{
    buf_add_byte(out, '[');
    for (uint32_t i = 0; i < v.len && !over(out, end); i++) {
        buf_add_cstr(out, i ? ", " : "");
        print(out, v.items[i], end);
    }
    buf_add_byte(out, ']');
}

static void print_pairs(struct buf *out, struct value v, size_t end)
{
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < v.len && !over(out, end); i++) {
        buf_add_cstr(out, i ? ", " : "");
        print(out, v.pairs[i].key, end);
        buf_add_cstr(out, ": ");
        print(out, v.pairs[i].value, end);
    }
    buf_add_byte(out, '}');
}

static void print_double(struct buf *out, double d)
{
    char text[DOUBLE_TEXT_SIZE];
    size_t size = double_print(d, text);
    buf_add(out, text, size);
    if (!isnan(d) && !isinf(d) && strcspn(text, ".e") == size)
        buf_add_cstr(out, ".0");
}

static void print_bytes(struct buf *out, struct str bytes, size_t end)
{
    buf_add_cstr(out, "b\"");
    for (size_t i = 0; i < bytes.len && !over(out, end); i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\')
            buf_add_byte(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
    buf_add_byte(out, '"');
}

static void print_opaque(struct buf *out, struct value v)
{
    char text[CEL_IP_TEXT_SIZE];
    bool cidr = v.aux == OPAQUE_CIDR;
    size_t size = ip_print(v.opaque, cidr, text);
    buf_printf(out, "%s(\"%.*s\")", cidr ? "cidr" : "ip", (int)size, text);
}

static void print_optional(struct buf *out, struct value v, size_t end)
{
    if (!v.opaque) {
        buf_add_cstr(out, "optional.none()");
        return;
    }
    buf_add_cstr(out, "optional.of(");
    print(out, *(const struct value *)v.opaque, end);
    buf_add_byte(out, ')');
}

static void print_time(struct buf *out, struct value v)
{
    char text[TIME_TEXT_SIZE];
    bool stamp = v.kind == VALUE_TIMESTAMP;
    size_t size = stamp ? time_print(v.i, v.len, text) : duration_print(v.i, text);
    buf_printf(out, "%s(\"%.*s\")", stamp ? "timestamp" : "duration", (int)size, text);
}

static void print(struct buf *out, struct value v, size_t end)
{
    switch (v.kind) {
    case VALUE_NULL:
        buf_add_cstr(out, "null");
        break;
    case VALUE_BOOL:
        buf_add_cstr(out, v.b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_printf(out, "%lld", (long long)v.i);
        break;
    case VALUE_UINT:
        buf_printf(out, "%lluu", (unsigned long long)v.u);
        break;
    case VALUE_DOUBLE:
        print_double(out, v.d);
        break;
    case VALUE_STRING:
        json_write_string(out, value_str(v));
        break;
    case VALUE_BYTES:
        print_bytes(out, value_str(v), end);
        break;
    case VALUE_LIST:
        print_items(out, v, end);
        break;
    case VALUE_MAP:
        print_pairs(out, v, end);
        break;
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
        print_time(out, v);
        break;
    case VALUE_TYPE:
        buf_add_cstr(out, v.opaque);
        break;
    case VALUE_OPTIONAL:
        print_optional(out, v, end);
        break;
    case VALUE_OPAQUE:
        print_opaque(out, v);
        break;
    default:
        buf_add_cstr(out, "(no value)");
        break;
    }
}

void cel_value_print(struct buf *out, struct value v, size_t max)
{
    size_t start = out->len;
    if (!max) {
        print(out, v, SIZE_MAX);
        return;
    }
    print(out, v, start + max);
    if (out->failed || out->len <= start + max)
        return;
    out->len = start + max;
    while (out->len > start && ((unsigned char)out->ptr[out->len] & 0xC0) == 0x80)
        out->len--;
    buf_add_cstr(out, "...");
}

/* ---- plain data ---- */

/* Was nothing changed? */
static bool is_same(struct value a, struct value b)
{
    return a.kind == b.kind && a.len == b.len && a.u == b.u;
}

static bool plain(struct arena *arena, struct value v, size_t *left, struct value *ret);

static bool plain_list(struct arena *arena, struct value v, size_t *left, struct value *ret)
{
    struct value *items = NULL;
    for (uint32_t i = 0; i < v.len; i++) {
        struct value item;
        if (!plain(arena, v.items[i], left, &item))
            return false;
        if (!items && is_same(item, v.items[i]))
            continue;
        if (!items) {
            items = ARENA_ARRAY(arena, struct value, v.len);
            if (!items)
                return false;
            memcpy(items, v.items, i * sizeof *items);
        }
        items[i] = item;
    }
    *ret = items ? value_list(items, v.len) : v;
    return true;
}

static bool plain_map(struct arena *arena, struct value v, size_t *left, struct value *ret)
{
    struct value_pair *pairs = NULL;
    for (uint32_t i = 0; i < v.len; i++) {
        struct value item;
        if (!plain(arena, v.pairs[i].value, left, &item))
            return false;
        if (!pairs && is_same(item, v.pairs[i].value))
            continue;
        if (!pairs) {
            pairs = ARENA_ARRAY(arena, struct value_pair, v.len);
            if (!pairs)
                return false;
            memcpy(pairs, v.pairs, v.len * sizeof *pairs);
        }
        pairs[i].value = item;
    }
    *ret = v;
    return !pairs || value_map(arena, pairs, v.len, ret, NULL);
}

/* `left`: how many values may still be looked at. Values may share parts, so that a small one has
 * more of them than memory. */
static bool plain(struct arena *arena, struct value v, size_t *left, struct value *ret)
{
    char text[CEL_IP_TEXT_SIZE];
    if (*left == 0)
        return false;
    --*left;
    switch (v.kind) {
    case VALUE_LIST:
        return plain_list(arena, v, left, ret);
    case VALUE_MAP:
        return plain_map(arena, v, left, ret);
    case VALUE_OPTIONAL:
        if (v.opaque)
            return plain(arena, *(const struct value *)v.opaque, left, ret);
        *ret = value_null();
        return true;
    case VALUE_TYPE:
        *ret = value_cstr(v.opaque);
        return true;
    case VALUE_OPAQUE: {
        struct str copy =
            str_copy(arena, (struct str){text, ip_print(v.opaque, v.aux == OPAQUE_CIDR, text)});
        *ret = value_string(copy);
        return copy.ptr != NULL;
    }
    default:
        *ret = v;
        return true;
    }
}

#define PLAIN_VALUES_MAX 4000000

bool cel_value_plain(struct arena *arena, struct value v, struct value *ret)
{
    size_t left = PLAIN_VALUES_MAX;
    return plain(arena, v, &left, ret);
}

/* ---- failures ---- */

static struct str shown(struct arena *arena, struct value v, size_t max)
{
    struct buf out = {.arena = arena};
    cel_value_print(&out, v, max);
    struct str text = buf_str(&out);
    return text.ptr ? text : STR("?");
}

static void describe_overload(const struct cel_fail *fail, struct error *err)
{
    char types[256] = "";
    size_t used = 0;
    for (unsigned i = 0; i < fail->count && used < sizeof types; i++)
        used += (size_t)snprintf(types + used, sizeof types - used, "%s%s", i ? ", " : "",
                                 fail->types[i]);
    const char *sign = operator_symbol(fail->name);
    if (sign)
        error_set(err, fail->code, "no such overload: `%s` of (%s)", sign, types);
    else
        error_set(err, fail->code, "no such overload: %.*s(%s)", STR_FMT(fail->name), types);
}

static void describe_key(const struct cel_fail *fail, struct arena *arena, struct error *err)
{
    error_set(err, fail->code, "no such key: %.*s", STR_FMT(shown(arena, fail->a, 80)));
    const char *names[64];
    size_t count = 0;
    for (uint32_t i = 0; i < fail->b.len && count < 64; i++) {
        struct str key = value_str(fail->b.pairs[i].key);
        const char *copy = key.ptr ? arena_copy(arena, key.ptr, key.len) : NULL;
        if (copy)
            names[count++] = copy;
    }
    const char *nearest = str_nearest(value_str(fail->a), names, count);
    if (nearest)
        error_hint(err, "did you mean `%s`?", nearest);
    else
        error_hint(err, "ask with has(), or use `.?field` with orValue(...)");
}

void fail_describe(const struct cel_fail *fail, const struct cel_program *program,
                   struct arena *arena, struct error *err)
{
    switch (fail->what) {
    case FAIL_TEXT:
        error_set(err, fail->code, "%s", fail->text);
        break;
    case FAIL_KEY:
        describe_key(fail, arena, err);
        break;
    case FAIL_INDEX:
        error_set(err, fail->code, "index out of bounds: %.*s in a list of %u",
                  STR_FMT(shown(arena, fail->a, 40)), fail->b.len);
        break;
    case FAIL_OVERLOAD:
        describe_overload(fail, err);
        break;
    case FAIL_SELECT:
        error_set(err, fail->code, "no such field: '%.*s' of %s %.*s", STR_FMT(fail->name),
                  cel_value_type_name(fail->a), STR_FMT(shown(arena, fail->a, 80)));
        break;
    case FAIL_BOOL:
        error_set(err, fail->code, "no such overload: a bool is needed, not %s %.*s",
                  cel_value_type_name(fail->a), STR_FMT(shown(arena, fail->a, 80)));
        break;
    case FAIL_UNSET:
        error_set(err, fail->code, "the variable '%.*s' has no value here", STR_FMT(fail->name));
        break;
    case FAIL_COST:
        error_set(err, fail->code,
                  "evaluation cost exceeded the limit of %llu (LIMIT_EXPRESSION_COST %u, and what "
                  "LIMIT_EVENT_COST left)",
                  (unsigned long long)LIMIT_EXPRESSION_COST, LIMIT_EXPRESSION_COST);
        break;
    case FAIL_MEMORY:
        error_set(err, fail->code, "evaluation needs more memory than its budget allows");
        break;
    }
    uint32_t end = fail->end == UINT32_MAX ? fail->pos + 1 : fail->end;
    origin_place(err, program->has_origin ? &program->origin : NULL, program->source, fail->pos,
                 end);
}
