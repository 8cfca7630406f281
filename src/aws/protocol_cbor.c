// SPDX-License-Identifier: Apache-2.0
/* CBOR (RFC 8949) as Smithy's rpc-v2-cbor uses it: inputs to bytes, bytes to values that the
 * readers of JSON then take apart. Tag 1 is a point in time; other tags, other simple values and
 * keys that are not text are refused. Nothing here allocates by what a length claims before the
 * bytes are there. */
#include "aws/protocol_internal.h"

#include <inttypes.h>
#include <math.h>

enum { MAJOR_UINT, MAJOR_NEGATIVE, MAJOR_BYTES, MAJOR_TEXT, MAJOR_LIST, MAJOR_MAP, MAJOR_TAG };

/* ---- writing ---- */

static bool write_any(struct writer *w, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path);

static void write_bytes(struct buf *out, uint64_t n, unsigned count)
{
    while (count--)
        buf_add_byte(out, (char)(n >> 8 * count & 0xFF));
}

static void write_head(struct buf *out, unsigned major, uint64_t n)
{
    unsigned size = n < 24 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x100000000 ? 4 : 8;
    static const unsigned char infos[] = {0, 24, 25, 0, 26, 0, 0, 0, 27};
    buf_add_byte(out, (char)(major << 5 | (size ? infos[size] : (unsigned)n)));
    write_bytes(out, n, size);
}

static void write_string(struct buf *out, unsigned major, struct str s)
{
    write_head(out, major, s.len);
    buf_add_str(out, s);
}

static void write_integer(struct buf *out, struct value v)
{
    if (v.kind == VALUE_UINT || v.i >= 0)
        write_head(out, MAJOR_UINT, v.u);
    else
        write_head(out, MAJOR_NEGATIVE, (uint64_t)(-1 - v.i));
}

static bool write_float(struct writer *w, struct value v, bool wide, const struct aws_path *path)
{
    struct str text = value_str(v);
    double d = v.kind == VALUE_INT      ? (double)v.i
               : v.kind == VALUE_UINT   ? (double)v.u
               : v.kind == VALUE_DOUBLE ? v.d
               : str_is(text, "NaN")    ? (double)NAN
                                        : (double)INFINITY * (str_is(text, "-Infinity") ? -1 : 1);
    if (v.kind == VALUE_STRING && !str_is(text, "NaN") && !str_is(text, "Infinity") &&
        !str_is(text, "-Infinity"))
        return writer_fail(w, "A0152", path, "must be a number");
    if (v.kind != VALUE_STRING && v.kind != VALUE_INT && v.kind != VALUE_UINT &&
        v.kind != VALUE_DOUBLE)
        return writer_fail(w, "A0152", path, "must be a number");
    union {
        float f;
        uint32_t u;
    } narrow = {.f = (float)d};
    union {
        double d;
        uint64_t u;
    } full = {.d = d};
    buf_add_byte(w->out, (char)(wide ? 0xFB : 0xFA));
    write_bytes(w->out, wide ? full.u : narrow.u, wide ? 8 : 4);
    return true;
}

static bool write_scalar(struct writer *w, const struct aws_ref *ref, struct value v,
                         const struct aws_path *path)
{
    enum aws_shape_kind kind = ref->shape->kind;
    struct str bytes;
    struct value moment;
    if (kind == AWS_STRING && v.kind == VALUE_STRING) {
        write_string(w->out, MAJOR_TEXT, value_str(v));
    } else if (kind == AWS_BLOB) {
        if (!writer_blob(w, v, path, &bytes))
            return false;
        write_string(w->out, MAJOR_BYTES, bytes);
    } else if ((kind == AWS_INTEGER || kind == AWS_LONG) &&
               (v.kind == VALUE_INT || v.kind == VALUE_UINT)) {
        write_integer(w->out, v);
    } else if (kind == AWS_FLOAT || kind == AWS_DOUBLE) {
        return write_float(w, v, kind == AWS_DOUBLE, path);
    } else if (kind == AWS_BOOLEAN && v.kind == VALUE_BOOL) {
        buf_add_byte(w->out, (char)(v.b ? 0xF5 : 0xF4));
    } else if (kind == AWS_TIMESTAMP && time_from_value(v, &moment)) {
        write_head(w->out, MAJOR_TAG, 1);
        write_integer(w->out, value_int(moment.i));
    } else {
        return writer_fail(w, "A0152", path, "is of another kind than the model says");
    }
    return true;
}

static bool write_structure(struct writer *w, const struct aws_shape *shape, struct value v,
                            const struct aws_path *path)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < v.len; i++)
        count += v.pairs[i].value.kind != VALUE_NULL;
    write_head(w->out, MAJOR_MAP, count);
    for (uint32_t i = 0; i < v.len; i++) {
        const struct aws_ref *member = writer_member(w, shape, &v.pairs[i], path);
        if (!member)
            return false;
        if (v.pairs[i].value.kind == VALUE_NULL)
            continue;
        struct aws_path at = {.up = path, .name = member->name};
        write_string(w->out, MAJOR_TEXT, member->wire.ptr ? member->wire : member->name);
        if (!write_any(w, member, v.pairs[i].value, &at))
            return false;
    }
    return true;
}

static bool write_map(struct writer *w, const struct aws_shape *shape, struct value v,
                      const struct aws_path *path)
{
    write_head(w->out, MAJOR_MAP, v.len);
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        if (v.pairs[i].key.kind != VALUE_STRING)
            return writer_fail(w, "A0152", &at, "must have a string as its key");
        write_string(w->out, MAJOR_TEXT, key);
        if (!write_any(w, shape->item, v.pairs[i].value, &at))
            return false;
    }
    return true;
}

static bool write_list(struct writer *w, const struct aws_shape *shape, struct value v,
                       const struct aws_path *path)
{
    write_head(w->out, MAJOR_LIST, v.len);
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        if (!write_any(w, shape->item, v.items[i], &at))
            return false;
    }
    return true;
}

static bool write_any(struct writer *w, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    const struct aws_shape *shape = ref->shape;
    if (v.kind == VALUE_NULL) {
        buf_add_byte(w->out, (char)0xF6);
        return true;
    }
    if (shape->kind > AWS_MAP)
        return write_scalar(w, ref, v, path);
    if (v.kind != (shape->kind == AWS_LIST ? VALUE_LIST : VALUE_MAP))
        return writer_fail(w, "A0152", path,
                           shape->kind == AWS_LIST ? "must be a list" : "must be a map");
    if (!writer_enter(w, path))
        return false;
    bool ok = shape->kind == AWS_STRUCTURE ? write_structure(w, shape, v, path)
              : shape->kind == AWS_LIST    ? write_list(w, shape, v, path)
                                           : write_map(w, shape, v, path);
    writer_leave(w);
    return ok;
}

bool cbor_body(struct writer *w, const struct aws_ref *ref, struct value v)
{
    struct value empty = {.kind = VALUE_MAP};
    if (!write_any(w, ref, v.kind == VALUE_NULL ? empty : v, NULL))
        return false;
    return !w->out->failed || writer_fail(w, "A0150", NULL, "needs more memory than there is");
}

/* ---- reading ---- */

struct decoder {
    struct arena *arena;
    const unsigned char *at, *end;
    unsigned depth;
    const char *wrong; // what is wrong, NULL = nothing yet
};

static bool decode_item(struct decoder *d, struct value *ret);

static bool wrong(struct decoder *d, const char *what)
{
    d->wrong = what;
    return false;
}

static bool take(struct decoder *d, size_t count, uint64_t *ret)
{
    uint64_t n = 0;
    if ((size_t)(d->end - d->at) < count)
        return wrong(d, "it ends early");
    while (count--)
        n = n << 8 | *d->at++;
    *ret = n;
    return true;
}

#define INDEFINITE 31

/* The number in or behind the first byte; `info` as the byte has it. */
static bool take_number(struct decoder *d, unsigned info, uint64_t *ret)
{
    *ret = info;
    if (info < 24)
        return true;
    return info <= 27 ? take(d, (size_t)1 << (info - 24), ret) : wrong(d, "a length is malformed");
}

static bool take_break(struct decoder *d)
{
    if (d->at < d->end && *d->at == 0xFF) {
        d->at++;
        return true;
    }
    return false;
}

static bool take_piece(struct decoder *d, unsigned info, struct str *ret)
{
    uint64_t size;
    if (!take_number(d, info, &size))
        return false;
    if (size > (uint64_t)(d->end - d->at))
        return wrong(d, "it ends early");
    *ret = (struct str){(const char *)d->at, (size_t)size};
    d->at += size;
    return true;
}

static bool decode_string(struct decoder *d, unsigned major, unsigned info, struct value *ret)
{
    struct str s;
    if (info == INDEFINITE) {
        struct buf out = {.arena = d->arena};
        while (!take_break(d)) {
            uint64_t head;
            if (!take(d, 1, &head))
                return false;
            if (head >> 5 != major)
                return wrong(d, "a string holds something else");
            if (!take_piece(d, (unsigned)head & 31, &s))
                return false;
            buf_add_str(&out, s);
        }
        s = buf_str(&out);
        if (out.failed)
            return wrong(d, "it needs more memory than there is");
    } else if (!take_piece(d, info, &s)) {
        return false;
    }
    if (major == MAJOR_TEXT && !str_is_utf8(s))
        return wrong(d, "a string is not UTF-8");
    *ret = major == MAJOR_TEXT ? value_string(s) : value_bytes(s);
    return true;
}

/* True while there is an item of a list or map to come. */
static bool more(struct decoder *d, bool indefinite, uint64_t *left)
{
    if (indefinite)
        return !take_break(d);
    if (*left == 0)
        return false;
    --*left;
    return true;
}

static bool decode_list(struct decoder *d, unsigned info, struct value *ret)
{
    struct value_builder list = {.arena = d->arena};
    uint64_t left = 0;
    if (info != INDEFINITE && !take_number(d, info, &left))
        return false;
    while (more(d, info == INDEFINITE, &left)) {
        struct value v;
        if (!decode_item(d, &v))
            return false;
        value_push(&list, v);
    }
    *ret = value_finish_list(&list);
    return !list.failed || wrong(d, "it needs more memory than there is");
}

static bool decode_map(struct decoder *d, unsigned info, struct value *ret)
{
    struct value_builder flat = {.arena = d->arena}; // key, value, key, value, ...
    uint64_t left = 0;
    if (info != INDEFINITE && !take_number(d, info, &left))
        return false;
    while (more(d, info == INDEFINITE, &left)) {
        struct value key, v;
        if (!decode_item(d, &key) || !decode_item(d, &v))
            return false;
        if (key.kind != VALUE_STRING)
            return wrong(d, "a key is not text");
        value_push(&flat, key);
        value_push(&flat, v);
    }
    struct value_pair *pairs = ARENA_ARRAY(d->arena, struct value_pair, flat.count / 2);
    if (flat.failed || !pairs)
        return wrong(d, "it needs more memory than there is");
    for (size_t i = 0; i < flat.count / 2; i++)
        pairs[i] = (struct value_pair){flat.items[2 * i], flat.items[2 * i + 1]};
    return value_map(d->arena, pairs, flat.count / 2, ret, NULL) || wrong(d, "a key occurs twice");
}

static bool decode_tag(struct decoder *d, unsigned info, struct value *ret)
{
    uint64_t tag;
    struct value v;
    if (!take_number(d, info, &tag))
        return false;
    if (tag != 1)
        return wrong(d, "a tag is unknown");
    if (!decode_item(d, &v))
        return false;
    if ((v.kind != VALUE_INT && v.kind != VALUE_DOUBLE) || !time_from_value(v, ret))
        return wrong(d, "a point in time is not a number, or out of range");
    return true;
}

static double from_half(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double mantissa = (double)(bits & 1023);
    double d = exponent == 0    ? ldexp(mantissa, -24)
               : exponent != 31 ? ldexp(mantissa + 1024, exponent - 25)
               : mantissa == 0  ? (double)INFINITY
                                : (double)NAN;
    return bits & 0x8000 ? -d : d;
}

static bool decode_simple(struct decoder *d, unsigned info, struct value *ret)
{
    uint64_t bits;
    union {
        uint32_t u;
        float f;
    } narrow;
    union {
        uint64_t u;
        double d;
    } full;
    if (info == 20 || info == 21)
        *ret = value_bool(info == 21);
    else if (info == 22 || info == 23)
        *ret = value_null();
    else if (info < 25 || info > 27)
        return wrong(d, "a simple value is unknown");
    if (info < 25)
        return true;
    if (!take(d, (size_t)1 << (info - 24), &bits))
        return false;
    narrow.u = (uint32_t)bits;
    full.u = bits;
    *ret = value_double(info == 25 ? from_half(bits) : info == 26 ? (double)narrow.f : full.d);
    return true;
}

static bool decode_integer(struct decoder *d, unsigned major, unsigned info, struct value *ret)
{
    uint64_t n;
    if (!take_number(d, info, &n))
        return false;
    if (major == MAJOR_UINT)
        *ret = n > INT64_MAX ? value_uint(n) : value_int((int64_t)n);
    else if (n > INT64_MAX)
        return wrong(d, "an integer is out of range");
    else
        *ret = value_int(-1 - (int64_t)n);
    return true;
}

static bool decode_item(struct decoder *d, struct value *ret)
{
    uint64_t head;
    if (!take(d, 1, &head))
        return false;
    unsigned major = (unsigned)head >> 5, info = (unsigned)head & 31;
    if (major == MAJOR_UINT || major == MAJOR_NEGATIVE)
        return decode_integer(d, major, info, ret);
    if (major == MAJOR_BYTES || major == MAJOR_TEXT)
        return decode_string(d, major, info, ret);
    if (major > MAJOR_TAG)
        return decode_simple(d, info, ret);
    if (d->depth >= LIMIT_JSON_DEPTH)
        return wrong(d, "it nests too deep");
    d->depth++;
    bool ok = major == MAJOR_LIST  ? decode_list(d, info, ret)
              : major == MAJOR_MAP ? decode_map(d, info, ret)
                                   : decode_tag(d, info, ret);
    d->depth--;
    return ok;
}

bool cbor_parse(struct arena *arena, struct str text, struct value *ret, struct error *err)
{
    struct decoder d = {.arena = arena, .at = (const unsigned char *)text.ptr};
    struct value v;
    if (!text.len)
        return error_set(err, "A0185", "the answer is not CBOR: it is empty");
    d.end = d.at + text.len;
    if (!decode_item(&d, &v))
        return error_set(err, "A0185", "the answer is not CBOR: %s", d.wrong);
    if (d.at != d.end)
        return error_set(err, "A0185", "the answer is not CBOR: something follows");
    *ret = v;
    return true;
}
