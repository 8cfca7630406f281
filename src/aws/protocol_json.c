// SPDX-License-Identifier: Apache-2.0
/* Bodies in JSON (protocols json and rest-json): inputs to text, parsed JSON to outputs. The spaces
 * are those of Python's json.dumps, so that signatures over bodies can be compared byte by byte. */
#include "aws/protocol_internal.h"

#include "base/hash.h"
#include "value/json.h"
#include "value/number.h"

#include <math.h>

/* ---- writing ---- */

static bool write_any(struct writer *w, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path);

static void separate(struct writer *w)
{
    if (!w->first)
        buf_add_cstr(w->out, ", ");
    w->first = false;
}

static bool write_structure(struct writer *w, const struct aws_shape *shape, struct value v,
                            bool top, const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(w, "A0152", path, "must be a map");
    buf_add_byte(w->out, '{');
    w->first = true;
    for (uint32_t i = 0; i < v.len; i++) {
        const struct value_pair *pair = &v.pairs[i];
        const struct aws_ref *member = writer_member(w, shape, pair, path);
        if (!member)
            return false;
        /* Within, a document may be null; a parameter of the call is unset then. */
        bool unset = pair->value.kind == VALUE_NULL && (top || !member->shape->document);
        if (unset || (top && member->location != AWS_IN_BODY))
            continue;
        separate(w);
        json_write_string(w->out, member->wire.ptr ? member->wire : member->name);
        buf_add_cstr(w->out, ": ");
        struct aws_path at = {.up = path, .name = member->name};
        if (!write_any(w, member, pair->value, &at))
            return false;
        w->first = false;
    }
    buf_add_byte(w->out, '}');
    return true;
}

static bool write_list(struct writer *w, const struct aws_ref *ref, struct value v,
                       const struct aws_path *path)
{
    if (v.kind != VALUE_LIST)
        return writer_fail(w, "A0152", path, "must be a list");
    buf_add_byte(w->out, '[');
    w->first = true;
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        separate(w);
        if (!write_any(w, ref->shape->item, v.items[i], &at))
            return false;
        w->first = false;
    }
    buf_add_byte(w->out, ']');
    return true;
}

static bool write_map(struct writer *w, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(w, "A0152", path, "must be a map");
    buf_add_byte(w->out, '{');
    w->first = true;
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        if (v.pairs[i].key.kind != VALUE_STRING)
            return writer_fail(w, "A0152", &at, "must have a string as its key");
        separate(w);
        json_write_string(w->out, key);
        buf_add_cstr(w->out, ": ");
        if (!write_any(w, ref->shape->item, v.pairs[i].value, &at))
            return false;
        w->first = false;
    }
    buf_add_byte(w->out, '}');
    return true;
}

/* Text with quotes, or a number or boolean without. */
static bool write_scalar(struct writer *w, const struct aws_ref *ref, struct value v,
                         const struct aws_path *path)
{
    struct buf text = {.arena = w->arena};
    enum aws_shape_kind kind = ref->shape->kind;
    if (kind == AWS_STRING && v.kind == VALUE_STRING) {
        json_write_string(w->out, value_str(v));
        return true;
    }
    if (!writer_scalar(w, &text, ref, v, AWS_TIME_UNIX, path))
        return false;
    struct str s = buf_str(&text);
    bool plain = kind == AWS_BOOLEAN || kind == AWS_INTEGER || kind == AWS_LONG ||
                 ((kind == AWS_FLOAT || kind == AWS_DOUBLE) && s.len && s.ptr[0] != 'N' &&
                  s.ptr[s.len - 1] != 'y') ||
                 (kind == AWS_TIMESTAMP &&
                  (ref->time_format == AWS_TIME_UNIX || ref->time_format == AWS_TIME_DEFAULT));
    if (plain)
        buf_add_str(w->out, s);
    else
        json_write_string(w->out, s);
    return !text.failed || writer_fail(w, "A0150", path, "needs more memory than there is");
}

static bool write_any(struct writer *w, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    if (v.kind == VALUE_NULL) {
        buf_add_cstr(w->out, "null");
        return true;
    }
    if (ref->shape->document || ref->json_value) {
        json_write(w->out, v, JSON_COMPACT);
        return true;
    }
    if (ref->shape->kind > AWS_MAP)
        return write_scalar(w, ref, v, path);
    if (!writer_enter(w, path))
        return false;
    bool ok = ref->shape->kind == AWS_STRUCTURE ? write_structure(w, ref->shape, v, false, path)
              : ref->shape->kind == AWS_LIST    ? write_list(w, ref, v, path)
                                                : write_map(w, ref, v, path);
    writer_leave(w);
    return ok;
}

bool json_body(struct writer *w, const struct aws_ref *ref, struct value v, bool top)
{
    bool ok = top && !ref->shape->document ? write_structure(w, ref->shape, v, true, NULL)
                                           : write_any(w, ref, v, NULL);
    if (ok && w->out->failed)
        return writer_fail(w, "A0150", NULL, "needs more memory than there is");
    return ok;
}

/* ---- reading ---- */

bool json_read_members(struct reader *r, const struct aws_shape *shape, struct value v,
                       const struct aws_path *path, struct value_pair *ret, size_t *ret_count)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        const struct value *found = value_get(v, member->wire.ptr ? member->wire : member->name);
        if (!found || found->kind == VALUE_NULL || member->location != AWS_IN_BODY)
            continue;
        struct aws_path at = {.up = path, .name = member->name};
        struct value_pair *pair = &ret[*ret_count];
        if (!json_read(r, member, *found, &at, &pair->value))
            return false;
        pair->key = value_string(member->name);
        ++*ret_count;
    }
    return true;
}

/* A union member that the model does not know: {SDK_UNKNOWN_MEMBER: {name: NAME}}. */
static bool unknown_union(struct reader *r, struct value v, struct value *ret)
{
    struct value_builder inner = {.arena = r->arena}, outer = {.arena = r->arena};
    for (uint32_t i = 0; i < v.len; i++) {
        if (v.pairs[i].value.kind == VALUE_NULL || str_is(value_str(v.pairs[i].key), "__type"))
            continue;
        value_set(&inner, "name", v.pairs[i].key);
        break;
    }
    if (inner.count)
        value_set(&outer, "SDK_UNKNOWN_MEMBER", value_finish_map(&inner));
    *ret = value_finish_map(&outer);
    return !outer.failed && !inner.failed;
}

static bool read_structure(struct reader *r, const struct aws_shape *shape, struct value v,
                           const struct aws_path *path, struct value *ret)
{
    if (v.kind != VALUE_MAP)
        return reader_fail(r, path, "is not an object");
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, shape->member_count);
    size_t count = 0;
    if (!pairs)
        return reader_fail(r, path, "needs more memory than there is");
    if (!json_read_members(r, shape, v, path, pairs, &count))
        return false;
    if (shape->is_union && count == 0)
        return unknown_union(r, v, ret);
    return reader_map(r, pairs, count, ret);
}

static bool read_list(struct reader *r, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path, struct value *ret)
{
    if (v.kind != VALUE_LIST)
        return reader_fail(r, path, "is not a list");
    struct value *items = ARENA_ARRAY(r->arena, struct value, v.len);
    for (uint32_t i = 0; items && i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        if (!json_read(r, ref->shape->item, v.items[i], &at, &items[i]))
            return false;
    }
    *ret = value_list(items, v.len);
    return items || reader_fail(r, path, "needs more memory than there is");
}

static bool read_map(struct reader *r, const struct aws_ref *ref, struct value v,
                     const struct aws_path *path, struct value *ret)
{
    if (v.kind != VALUE_MAP)
        return reader_fail(r, path, "is not an object");
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, v.len);
    for (uint32_t i = 0; pairs && i < v.len; i++) {
        struct aws_path at = {.up = path, .name = value_str(v.pairs[i].key)};
        pairs[i].key = v.pairs[i].key;
        if (!json_read(r, ref->shape->item, v.pairs[i].value, &at, &pairs[i].value))
            return false;
    }
    if (!pairs)
        return reader_fail(r, path, "needs more memory than there is");
    return reader_map(r, pairs, v.len, ret);
}

static bool is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_UINT || v.kind == VALUE_DOUBLE;
}

static bool read_scalar(struct reader *r, const struct aws_ref *ref, struct value v,
                        const struct aws_path *path, struct value *ret)
{
    enum aws_shape_kind kind = ref->shape->kind;
    bool whole = v.kind == VALUE_DOUBLE && fabs(v.d) < 9e15 && floor(v.d) == v.d;
    if (kind == AWS_TIMESTAMP)
        return time_from_value(v, ret) || reader_fail(r, path, "is not a point in time");
    if (v.kind == VALUE_STRING && kind != AWS_STRING)
        return reader_scalar(r, ref, value_str(v), path, ret);
    if ((kind == AWS_INTEGER || kind == AWS_LONG) && whole)
        *ret = value_int((int64_t)v.d);
    else if ((kind == AWS_FLOAT || kind == AWS_DOUBLE) && is_number(v))
        *ret = value_double(v.kind == VALUE_DOUBLE ? v.d
                            : v.kind == VALUE_INT  ? (double)v.i
                                                   : (double)v.u);
    else if (kind == AWS_BLOB && v.kind == VALUE_BYTES)
        *ret = v; // CBOR has bytes
    else if (kind == AWS_BLOB || v.kind == VALUE_TIMESTAMP || v.kind == VALUE_BYTES ||
             v.kind == VALUE_LIST || v.kind == VALUE_MAP)
        return reader_fail(r, path, "is of another kind than the model says");
    else
        *ret = v; // as the service sent it: a number where text was promised stays a number
    return true;
}

bool json_read(struct reader *r, const struct aws_ref *ref, struct value v,
               const struct aws_path *path, struct value *ret)
{
    if (v.kind == VALUE_NULL || ref->shape->document || ref->json_value) {
        *ret = v;
        return true;
    }
    if (ref->shape->kind > AWS_MAP)
        return read_scalar(r, ref, v, path, ret);
    if (!reader_enter(r, path))
        return false;
    bool ok = ref->shape->kind == AWS_STRUCTURE ? read_structure(r, ref->shape, v, path, ret)
              : ref->shape->kind == AWS_LIST    ? read_list(r, ref, v, path, ret)
                                                : read_map(r, ref, v, path, ret);
    reader_leave(r);
    return ok;
}
