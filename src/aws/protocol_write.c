// SPDX-License-Identifier: Apache-2.0
/* What all writers of requests share: paths and errors, scalars as text, headers, host prefixes. */
#include "aws/protocol_internal.h"

#include "base/hash.h"
#include "value/number.h"

#include <inttypes.h>
#include <math.h>

void aws_path_write(struct buf *out, const struct aws_path *path)
{
    if (!path)
        return;
    aws_path_write(out, path->up);
    if (!path->name.ptr) {
        buf_printf(out, "[%zu]", path->index);
        return;
    }
    if (out->len)
        buf_add_byte(out, '.');
    buf_add_str(out, path->name);
}

bool writer_fail(const struct writer *w, const char *code, const struct aws_path *path,
                 const char *message)
{
    struct buf where = {.arena = w->arena};
    aws_path_write(&where, path);
    struct str text = buf_str(&where);
    return error_set(w->err, code, "%.*s:%.*s: %.*s%s%s", STR_FMT(w->op->service->name),
                     STR_FMT(w->op->name), STR_FMT(text), text.len ? " " : "", message);
}

bool writer_enter(struct writer *w, const struct aws_path *path)
{
    if (w->depth >= LIMIT_JSON_DEPTH)
        return writer_fail(w, "A0154", path, "nests too deep");
    w->depth++;
    return true;
}

const struct aws_ref *writer_member(const struct writer *w, const struct aws_shape *shape,
                                    const struct value_pair *pair, const struct aws_path *path)
{
    struct str name = value_str(pair->key);
    const struct aws_ref *member = aws_shape_find(shape, name);
    if (!member) {
        struct aws_path at = {.up = path, .name = name.ptr ? name : STR("?")};
        writer_fail(w, "A0151", &at, "is not a member of the input");
    }
    return member;
}

bool writer_blob(const struct writer *w, struct value v, const struct aws_path *path,
                 struct str *ret)
{
    if (v.kind != VALUE_BYTES && v.kind != VALUE_STRING)
        return writer_fail(w, "A0152", path, "must be bytes or text");
    *ret = value_str(v);
    return true;
}

static bool write_float(const struct writer *w, struct buf *out, struct value v,
                        const struct aws_path *path)
{
    char text[NUMBER_TEXT_SIZE];
    if (v.kind == VALUE_INT) {
        buf_printf(out, "%" PRId64, v.i);
    } else if (v.kind == VALUE_UINT) {
        buf_printf(out, "%" PRIu64, v.u);
    } else if (v.kind == VALUE_DOUBLE) {
        if (isfinite(v.d))
            buf_add(out, text, number_write(v.d, text));
        else
            buf_add_cstr(out, isnan(v.d) ? "NaN" : v.d > 0 ? "Infinity" : "-Infinity");
    } else if (v.kind == VALUE_STRING &&
               (str_is(value_str(v), "NaN") || str_is(value_str(v), "Infinity") ||
                str_is(value_str(v), "-Infinity"))) {
        buf_add_str(out, value_str(v));
    } else {
        return writer_fail(w, "A0152", path, "must be a number");
    }
    return true;
}

bool writer_scalar(const struct writer *w, struct buf *out, const struct aws_ref *ref,
                   struct value v, enum aws_time_format format, const struct aws_path *path)
{
    struct value moment;
    struct str bytes;
    switch (ref->shape->kind) {
    case AWS_STRING:
        if (v.kind != VALUE_STRING)
            return writer_fail(w, "A0152", path, "must be a string");
        buf_add_str(out, value_str(v));
        return true;
    case AWS_INTEGER:
    case AWS_LONG:
        if (v.kind != VALUE_INT && v.kind != VALUE_UINT)
            return writer_fail(w, "A0152", path, "must be an integer");
        return write_float(w, out, v, path);
    case AWS_FLOAT:
    case AWS_DOUBLE:
        return write_float(w, out, v, path);
    case AWS_BOOLEAN:
        if (v.kind != VALUE_BOOL)
            return writer_fail(w, "A0152", path, "must be true or false");
        buf_add_cstr(out, v.b ? "true" : "false");
        return true;
    case AWS_BLOB:
        if (!writer_blob(w, v, path, &bytes))
            return false;
        buf_add_str(out, hash_base64(w->arena, bytes));
        return true;
    case AWS_TIMESTAMP:
        if (!time_from_value(v, &moment))
            return writer_fail(w, "A0152", path, "must be a point in time (RFC 3339, or seconds)");
        time_write(out, moment, ref->time_format ? ref->time_format : format);
        return true;
    default:
        return writer_fail(w, "A0152", path, "cannot be sent there: it is not a single value");
    }
}

void aws_percent_encode(struct buf *out, struct str text, const char *keep)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (c && strchr(keep, c));
        if (plain)
            buf_add_byte(out, (char)c);
        else
            buf_add(out, (char[3]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

bool aws_request_set_header(struct arena *arena, struct aws_http_request *request, struct str name,
                            struct str value)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, name)) {
            request->headers[i].value = value;
            return true;
        }
    }
    if (request->header_count == request->header_cap) {
        size_t cap = request->header_cap ? request->header_cap * 2 : 16;
        size_t size = sizeof *request->headers;
        struct net_header *grown =
            arena_grow(arena, request->headers, request->header_cap * size, cap * size);
        if (!grown)
            return false;
        request->headers = grown;
        request->header_cap = cap;
    }
    request->headers[request->header_count++] = (struct net_header){name, value};
    return true;
}

static bool is_host_label(struct str label)
{
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '.')
            return false;
    }
    return label.len > 0;
}

bool request_host_prefix(struct writer *w, struct value input, struct aws_http_request *request)
{
    struct str rest = w->op->host_prefix;
    struct buf out = {.arena = w->arena};
    while (rest.len) {
        size_t open = str_find_byte(rest, '{');
        buf_add_str(&out, str_sub(rest, 0, open));
        if (open == SIZE_MAX)
            break;
        rest = str_sub(rest, open + 1, SIZE_MAX);
        struct str name = str_cut(&rest, '}');
        const struct value *v = value_get(input, name);
        struct aws_path at = {.name = name};
        if (!v || !is_host_label(value_str(*v)))
            return writer_fail(w, "A0153", &at,
                               "becomes part of the host name: letters, digits, '-' and '.' only");
        buf_add_str(&out, value_str(*v));
    }
    if (out.failed)
        return error_set(w->err, "A0150", "out of memory while writing a request");
    request->host_prefix = buf_str(&out);
    return true;
}
