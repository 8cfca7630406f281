// SPDX-License-Identifier: Apache-2.0
/* What rest-json and rest-xml have in common: path, query and headers of requests, headers of
 * answers. */
#include "aws/protocol_internal.h"

#include "base/hash.h"
#include "value/json.h"

static bool no_memory(const struct writer *w)
{
    return error_set(w->err, "A0150", "out of memory while writing a request");
}

static struct str wire_of(const struct aws_ref *ref)
{
    return ref->wire.ptr ? ref->wire : ref->name;
}

/* ---- path ---- */

static const struct aws_ref *uri_member(const struct aws_shape *shape, struct str label)
{
    for (size_t i = 0; shape && i < shape->member_count; i++)
        if (shape->members[i].location == AWS_IN_URI && str_eq(wire_of(&shape->members[i]), label))
            return &shape->members[i];
    return NULL;
}

static bool write_label(struct writer *w, struct buf *out, struct value input, struct str label)
{
    bool greedy = label.len && label.ptr[label.len - 1] == '+';
    struct str name = str_sub(label, 0, label.len - greedy);
    const struct aws_ref *member = uri_member(w->op->input ? w->op->input->shape : NULL, name);
    const struct value *v = member ? value_get(input, member->name) : NULL;
    struct aws_path at = {.name = member ? member->name : name};
    if (!v || v->kind == VALUE_NULL)
        return writer_fail(w, "A0153", &at, "is missing: it is part of the request's path");
    struct buf text = {.arena = w->arena};
    if (!writer_scalar(w, &text, member, *v, AWS_TIME_ISO8601, &at))
        return false;
    if (!text.len)
        return writer_fail(w, "A0153", &at, "is empty: it is part of the request's path");
    aws_percent_encode(out, (struct str){text.ptr, text.len}, greedy ? "/" : "");
    return true;
}

static bool write_path(struct writer *w, struct value input, struct aws_http_request *request,
                       struct str *ret_query)
{
    struct buf out = {.arena = w->arena};
    struct str rest = w->op->uri;
    struct str path = str_cut(&rest, '?');
    *ret_query = rest;
    while (path.len) {
        size_t open = str_find_byte(path, '{');
        buf_add_str(&out, str_sub(path, 0, open));
        if (open == SIZE_MAX)
            break;
        path = str_sub(path, open + 1, SIZE_MAX);
        struct str label = str_cut(&path, '}');
        if (!write_label(w, &out, input, label))
            return false;
        if (str_is(label, "Bucket") && str_is(w->op->service->name, "s3"))
            request->bucket_len = out.len;
    }
    request->path = buf_str(&out);
    return !out.failed || no_memory(w);
}

/* ---- query ---- */

static bool add_query(struct writer *w, struct buf *out, struct str name, const struct aws_ref *ref,
                      struct value v, const struct aws_path *path)
{
    struct buf text = {.arena = w->arena};
    if (!writer_scalar(w, &text, ref, v, AWS_TIME_ISO8601, path))
        return false;
    if (out->len)
        buf_add_byte(out, '&');
    aws_percent_encode(out, name, "");
    buf_add_byte(out, '=');
    aws_percent_encode(out, (struct str){text.ptr, text.len}, "");
    return !text.failed || no_memory(w);
}

/* A value, or each of a list's. */
static bool add_query_all(struct writer *w, struct buf *out, struct str name,
                          const struct aws_ref *ref, struct value v, const struct aws_path *path)
{
    if (ref->shape->kind != AWS_LIST)
        return add_query(w, out, name, ref, v, path);
    if (v.kind != VALUE_LIST)
        return writer_fail(w, "A0152", path, "must be a list");
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        if (v.items[i].kind != VALUE_NULL &&
            !add_query(w, out, name, ref->shape->item, v.items[i], &at))
            return false;
    }
    return true;
}

/* Is the name given by a member of its own, which then wins over the map's? */
static bool is_bound_query(const struct aws_shape *shape, struct value input, struct str name)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        if (member->location == AWS_IN_QUERY && member->shape->kind != AWS_MAP &&
            str_eq(wire_of(member), name) && value_get(input, member->name))
            return true;
    }
    return false;
}

static bool add_query_map(struct writer *w, struct buf *out, const struct aws_ref *ref,
                          struct value input, struct value v, const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(w, "A0152", path, "must be a map");
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        if (v.pairs[i].value.kind == VALUE_NULL || is_bound_query(w->op->input->shape, input, key))
            continue;
        if (!add_query_all(w, out, key, ref->shape->item, v.pairs[i].value, &at))
            return false;
    }
    return true;
}

/* ---- headers ---- */

static void header_list_item(struct buf *out, struct str text)
{
    bool quote = str_find_byte(text, '"') != SIZE_MAX || str_find_byte(text, ',') != SIZE_MAX;
    if (quote)
        buf_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_add_byte(out, '\\');
        buf_add_byte(out, text.ptr[i]);
    }
    if (quote)
        buf_add_byte(out, '"');
}

static bool header_text(struct writer *w, struct buf *out, const struct aws_ref *ref,
                        struct value v, const struct aws_path *path)
{
    if (ref->json_value) {
        struct buf json = {.arena = w->arena};
        json_write(&json, v, JSON_COMPACT);
        buf_add_str(out, hash_base64(w->arena, buf_str(&json)));
        return !json.failed || no_memory(w);
    }
    struct value moment;
    if (ref->shape->kind == AWS_TIMESTAMP && time_from_value(v, &moment)) {
        moment.len = 0; // whole seconds, as the reference client has it
        v = moment;
    }
    if (ref->shape->kind != AWS_LIST)
        return writer_scalar(w, out, ref, v, AWS_TIME_RFC822, path);
    if (v.kind != VALUE_LIST)
        return writer_fail(w, "A0152", path, "must be a list");
    bool first = true;
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        struct buf item = {.arena = w->arena};
        if (v.items[i].kind == VALUE_NULL)
            continue;
        if (!writer_scalar(w, &item, ref->shape->item, v.items[i], AWS_TIME_RFC822, &at))
            return false;
        if (!first)
            buf_add_byte(out, ',');
        first = false;
        if (ref->shape->item->shape->kind == AWS_STRING)
            header_list_item(out, buf_str(&item));
        else
            buf_add_str(out, buf_str(&item));
    }
    return true;
}

/* What no header may hold is refused when the request is made ready to be sent (send.c). */
static bool set_header(const struct writer *w, struct aws_http_request *request, struct str name,
                       struct str value)
{
    return aws_request_set_header(w->arena, request, name, value) || no_memory(w);
}

static bool add_header(struct writer *w, struct aws_http_request *request,
                       const struct aws_ref *ref, struct value v, const struct aws_path *path)
{
    struct buf text = {.arena = w->arena};
    if (ref->shape->kind == AWS_LIST && v.kind == VALUE_LIST && v.len == 0)
        return true;
    if (!header_text(w, &text, ref, v, path))
        return false;
    return set_header(w, request, wire_of(ref), buf_str(&text));
}

static bool add_header_map(struct writer *w, struct aws_http_request *request,
                           const struct aws_ref *ref, struct value v, const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(w, "A0152", path, "must be a map");
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        struct buf name = {.arena = w->arena}, text = {.arena = w->arena};
        if (v.pairs[i].value.kind == VALUE_NULL)
            continue;
        buf_add_str(&name, ref->wire);
        buf_add_str(&name, key);
        if (!writer_scalar(w, &text, ref->shape->item, v.pairs[i].value, AWS_TIME_RFC822, &at) ||
            !set_header(w, request, buf_str(&name), buf_str(&text)))
            return false;
    }
    return true;
}

/* ---- together ---- */

static bool place_members(struct writer *w, struct value input, struct aws_http_request *request,
                          struct buf *query, bool *ret_has_body)
{
    *ret_has_body = false;
    for (uint32_t i = 0; i < input.len && input.kind == VALUE_MAP; i++) {
        const struct aws_ref *member = writer_member(w, w->op->input->shape, &input.pairs[i], NULL);
        if (!member)
            return false;
        struct value v = input.pairs[i].value;
        struct aws_path at = {.name = member->name};
        bool ok = true;
        if (v.kind == VALUE_NULL)
            continue;
        if (member->location == AWS_IN_QUERY && member->shape->kind == AWS_MAP)
            ok = add_query_map(w, query, member, input, v, &at);
        else if (member->location == AWS_IN_QUERY)
            ok = add_query_all(w, query, wire_of(member), member, v, &at);
        else if (member->location == AWS_IN_HEADER)
            ok = add_header(w, request, member, v, &at);
        else if (member->location == AWS_IN_HEADERS)
            ok = add_header_map(w, request, member, v, &at);
        else if (member->location == AWS_IN_BODY)
            *ret_has_body = true;
        if (!ok)
            return false;
    }
    return true;
}

static bool has_body_members(const struct aws_shape *shape)
{
    for (size_t i = 0; i < shape->member_count; i++)
        if (shape->members[i].location == AWS_IN_BODY)
            return true;
    return false;
}

static bool write_payload(struct writer *w, struct value input, struct aws_http_request *request,
                          bool json)
{
    const struct aws_ref *payload = w->op->input->shape->payload;
    const struct value *v = value_get(input, payload->name);
    struct aws_path at = {.name = payload->name};
    if (payload->event_stream)
        return writer_fail(w, "A0156", &at, "is an event stream, which is not supported");
    bool given = v && v->kind != VALUE_NULL;
    if (payload->shape->kind == AWS_BLOB || payload->shape->kind == AWS_STRING) {
        request->body_is_stream = true;
        return !given || writer_blob(w, *v, &at, &request->body);
    }
    if (!given) {
        if (json)
            request->body = STR("{}");
        return true;
    }
    w->body = (struct buf){.arena = w->arena};
    w->out = &w->body;
    if (json ? !json_body(w, payload, *v, false) : !xml_body(w, payload, *v, false))
        return false;
    request->body = buf_str(&w->body);
    return true;
}

static bool write_body(struct writer *w, struct value input, struct aws_http_request *request,
                       bool has_body)
{
    bool json = w->op->service->protocol == AWS_PROTOCOL_REST_JSON;
    if (w->op->input->shape->payload)
        return write_payload(w, input, request, json);
    if (!has_body) {
        if (json && has_body_members(w->op->input->shape))
            request->body = STR("{}");
        return true;
    }
    w->body = (struct buf){.arena = w->arena};
    w->out = &w->body;
    if (json ? !json_body(w, w->op->input, input, true) : !xml_body(w, w->op->input, input, true))
        return false;
    request->body = buf_str(&w->body);
    return true;
}

static bool has_header(const struct aws_http_request *request, struct str name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, name))
            return true;
    return false;
}

bool rest_serialize(struct writer *w, struct value input, struct aws_http_request *request)
{
    struct str fixed;
    bool has_body = false;
    struct buf query = {.arena = w->arena};
    if (!write_path(w, input, request, &fixed))
        return false;
    buf_add_str(&query, fixed);
    if (w->op->input) {
        if (!place_members(w, input, request, &query, &has_body) ||
            !write_body(w, input, request, has_body))
            return false;
        bool json = w->op->service->protocol == AWS_PROTOCOL_REST_JSON;
        if (json && request->body.len && !request->body_is_stream &&
            !has_header(request, STR("Content-Type")) &&
            !aws_request_set_header(w->arena, request, STR("Content-Type"),
                                    STR("application/json")))
            return no_memory(w);
    }
    request->query = buf_str(&query);
    return !query.failed || no_memory(w);
}

/* ---- answers ---- */

static size_t header_list_end(struct str text, size_t at)
{
    bool quoted = false;
    for (; at < text.len; at++) {
        if (text.ptr[at] == '"')
            quoted = !quoted;
        else if (text.ptr[at] == '\\' && quoted)
            at++;
        else if (text.ptr[at] == ',' && !quoted)
            break;
    }
    return at < text.len ? at : text.len;
}

/* A date of the form "Mon, 16 Dec 2019 23:48:18 GMT" has a comma of its own. */
static size_t date_list_end(struct str text, size_t at)
{
    size_t end = header_list_end(text, at);
    return end < text.len && end - at <= 5 ? header_list_end(text, end + 1) : end;
}

static struct str unquote(struct reader *r, struct str item)
{
    if (item.len < 2 || item.ptr[0] != '"' || item.ptr[item.len - 1] != '"')
        return item;
    struct buf out = {.arena = r->arena};
    for (size_t i = 1; i + 1 < item.len; i++) {
        if (item.ptr[i] == '\\' && i + 2 < item.len)
            i++;
        buf_add_byte(&out, item.ptr[i]);
    }
    return buf_str(&out);
}

static bool read_header_list(struct reader *r, const struct aws_ref *ref, struct str text,
                             const struct aws_path *path, struct value *ret)
{
    const struct aws_ref *item = ref->shape->item;
    struct value_builder list = {.arena = r->arena};
    for (size_t at = 0; at < text.len || at == 0;) {
        size_t end = item->shape->kind == AWS_TIMESTAMP && item->time_format != AWS_TIME_ISO8601 &&
                             item->time_format != AWS_TIME_UNIX
                         ? date_list_end(text, at)
                         : header_list_end(text, at);
        struct str piece = unquote(r, str_trim(str_sub(text, at, end - at)));
        struct value v;
        if (!reader_scalar(r, item, piece, path, &v))
            return false;
        value_push(&list, v);
        at = end + 1;
    }
    *ret = value_finish_list(&list);
    return !list.failed || reader_fail(r, path, "needs more memory than there is");
}

static bool read_header_map(struct reader *r, const struct aws_ref *ref, struct value *ret)
{
    const struct aws_http_answer *answer = r->answer;
    struct str prefix = ref->wire;
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, answer->header_count);
    size_t count = 0;
    for (size_t i = 0; pairs && i < answer->header_count; i++) {
        struct str name = answer->headers[i].name;
        if (name.len < prefix.len || !str_eq_nocase(str_sub(name, 0, prefix.len), prefix))
            continue;
        pairs[count].key = value_string(str_sub(name, prefix.len, SIZE_MAX));
        pairs[count++].value = value_string(answer->headers[i].value);
    }
    return pairs && reader_map(r, pairs, count, ret);
}

static bool read_header(struct reader *r, const struct aws_ref *ref, struct str text,
                        struct value *ret)
{
    struct aws_path at = {.name = ref->name};
    if (ref->json_value) {
        struct str decoded;
        return (hash_from_base64(r->arena, text, &decoded) && decoded.len &&
                json_parse(r->arena, decoded, ret, NULL)) ||
               reader_fail(r, &at, "is not JSON in base64");
    }
    if (ref->shape->kind == AWS_LIST)
        return read_header_list(r, ref, text, &at, ret);
    if (ref->shape->kind == AWS_BLOB) {
        struct str bytes;
        if (!hash_from_base64(r->arena, text, &bytes))
            return reader_fail(r, &at, "is not base64");
        *ret = value_bytes(bytes);
        return true;
    }
    return reader_scalar(r, ref, text, &at, ret);
}

/* S3's Expires is what a user once set: kept only when it is a date. */
static bool may_be_unreadable(const struct reader *r, const struct aws_ref *ref)
{
    return str_is(r->op->service->name, "s3") && str_is(ref->name, "Expires");
}

bool rest_read_headers(struct reader *r, const struct aws_shape *shape, struct value_pair *ret,
                       size_t *ret_count)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        struct value *v = &ret[*ret_count].value;
        if (member->location == AWS_IN_STATUS) {
            *v = value_int(r->answer->status);
        } else if (member->location == AWS_IN_HEADERS) {
            if (!read_header_map(r, member, v))
                return false;
        } else if (member->location == AWS_IN_HEADER) {
            struct str text = answer_header(r->answer, wire_of(member));
            struct value when;
            if (!text.ptr || (may_be_unreadable(r, member) && !time_from_text(text, &when)))
                continue;
            if (!read_header(r, member, text, v))
                return false;
        } else {
            continue;
        }
        ret[(*ret_count)++].key = value_string(member->name);
    }
    return true;
}
