// SPDX-License-Identifier: Apache-2.0
/* From an input to the parts of a request, from a success answer to an output: the protocols'
 * common frame. Errors are read in protocol_error.c, exceptions made in protocol_custom.c. */
#include "aws/protocol_internal.h"

#include "base/hash.h"
#include "value/json.h"
#include "value/json_scan.h"
#include "value/number.h"

#include <math.h>
#include <zlib.h>

/* ---- requests ---- */

static bool no_memory(struct error *err)
{
    return error_set(err, "A0150", "out of memory while writing a request");
}

static bool check_streams(struct writer *w)
{
    const struct aws_shape *ends[] = {aws_operation_input(w->op), aws_operation_output(w->op)};
    for (size_t e = 0; e < 2; e++) {
        for (size_t i = 0; ends[e] && i < ends[e]->member_count; i++) {
            struct aws_path at = {.name = ends[e]->members[i].name};
            if (ends[e]->members[i].event_stream)
                return writer_fail(w, "A0156", &at, "is an event stream, which is not supported");
        }
    }
    return true;
}

static bool serialize_json(struct writer *w, struct value input, struct aws_http_request *request)
{
    const struct aws_service *service = w->op->service;
    struct str target = STR_JOIN(w->arena, service->target_prefix, STR("."), w->op->name);
    struct str type = STR_JOIN(w->arena, STR("application/x-amz-json-"), service->json_version);
    w->body = (struct buf){.arena = w->arena};
    w->out = &w->body;
    request->path = STR("/");
    if (!target.ptr || !type.ptr ||
        !aws_request_set_header(w->arena, request, STR("X-Amz-Target"), target) ||
        !aws_request_set_header(w->arena, request, STR("Content-Type"), type) ||
        (service->query_compatible &&
         !aws_request_set_header(w->arena, request, STR("x-amzn-query-mode"), STR("true"))))
        return no_memory(w->err);
    if (!w->op->input || input.kind == VALUE_NULL)
        buf_add_cstr(&w->body, "{}");
    else if (!json_body(w, w->op->input, input, false))
        return false;
    request->body = buf_str(&w->body);
    return true;
}

static bool serialize_cbor(struct writer *w, struct value input, struct aws_http_request *request)
{
    const struct aws_service *service = w->op->service;
    w->body = (struct buf){.arena = w->arena};
    char *path = arena_printf(w->arena, "/service/%.*s/operation/%.*s",
                              STR_FMT(service->target_prefix), STR_FMT(w->op->name));
    w->out = &w->body;
    if (!path ||
        !aws_request_set_header(w->arena, request, STR("smithy-protocol"), STR("rpc-v2-cbor")) ||
        !aws_request_set_header(w->arena, request, STR("Accept"), STR("application/cbor")) ||
        (service->query_compatible &&
         !aws_request_set_header(w->arena, request, STR("x-amzn-query-mode"), STR("true"))))
        return no_memory(w->err);
    request->path = str_from(path);
    if (!w->op->input)
        return true;
    if (!cbor_body(w, w->op->input, input))
        return false;
    request->body = buf_str(&w->body);
    return aws_request_set_header(w->arena, request, STR("Content-Type"),
                                  STR("application/cbor")) ||
           no_memory(w->err);
}

static bool serialize_form(struct writer *w, struct value input, struct aws_http_request *request)
{
    w->body = (struct buf){.arena = w->arena};
    w->out = &w->body;
    request->path = STR("/");
    if (!aws_request_set_header(w->arena, request, STR("Content-Type"),
                                STR("application/x-www-form-urlencoded; charset=utf-8")))
        return no_memory(w->err);
    if (!form_body(w, input))
        return false;
    request->body = buf_str(&w->body);
    return true;
}

/* gzip, added to what Content-Encoding says already. False when memory runs out. */
static bool compress_body(struct arena *arena, struct aws_http_request *request)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)request->body.ptr};
    struct str name = STR("Content-Encoding"), before = {0};
    if (request->body.len > UINT32_MAX ||
        deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&stream, request->body.len);
    char *packed = arena_alloc(arena, room);
    stream.avail_in = (uInt)request->body.len;
    stream.next_out = (Bytef *)packed;
    stream.avail_out = (uInt)room;
    bool ok = packed && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    request->body = ok ? (struct str){packed, stream.total_out} : request->body;
    deflateEnd(&stream);
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, name))
            before = request->headers[i].value;
    const char *value = before.len ? arena_printf(arena, "%.*s, gzip", STR_FMT(before)) : "gzip";
    return ok && value && aws_request_set_header(arena, request, name, str_from(value));
}

bool protocol_serialize(const struct aws_operation *op, struct value input, struct arena *arena,
                        struct aws_http_request *ret, struct error *err)
{
    struct writer w = {.op = op, .arena = arena, .err = err};
    struct aws_http_request request = {.method = op->method};
    if (input.kind != VALUE_MAP && input.kind != VALUE_NULL)
        return writer_fail(&w, "A0152", NULL, "takes a map as its input");
    if (!op->input && input.len)
        return writer_fail(&w, "A0151", NULL, "takes no input");
    if (!check_streams(&w) || !request_host_prefix(&w, input, &request))
        return false;
    bool ok = false;
    switch (op->service->protocol) {
    case AWS_PROTOCOL_JSON:
        ok = serialize_json(&w, input, &request);
        break;
    case AWS_PROTOCOL_QUERY:
    case AWS_PROTOCOL_EC2:
        ok = serialize_form(&w, input, &request);
        break;
    case AWS_PROTOCOL_REST_JSON:
    case AWS_PROTOCOL_REST_XML:
        ok = rest_serialize(&w, input, &request);
        break;
    case AWS_PROTOCOL_CBOR:
        ok = serialize_cbor(&w, input, &request);
        break;
    }
    if (ok && op->gzip && request.body.len >= AWS_GZIP_BYTES_MIN && !request.body_is_stream)
        ok = compress_body(arena, &request) || no_memory(err);
    if (ok)
        *ret = request;
    return ok;
}

bool aws_serialize(const struct aws_operation *op, struct value input, struct arena *arena,
                   struct aws_http_request *ret, struct error *err)
{
    struct value sent;
    struct aws_http_request request;
    if (!custom_input(op, input, arena, &sent))
        return no_memory(err);
    if (!protocol_serialize(op, sent, arena, &request, err))
        return false;
    if (!custom_request(op, arena, &request))
        return no_memory(err);
    *ret = request;
    return true;
}

/* ---- answers ---- */

bool reader_fail(const struct reader *r, const struct aws_path *path, const char *message)
{
    struct buf where = {.arena = r->arena};
    aws_path_write(&where, path);
    struct str text = buf_str(&where);
    return error_set(r->err, "A0181", "the answer to %.*s:%.*s cannot be read: %.*s%s%s",
                     STR_FMT(r->op->service->name), STR_FMT(r->op->name), STR_FMT(text),
                     text.len ? " " : "it ", message);
}

bool reader_enter(struct reader *r, const struct aws_path *path)
{
    if (r->depth >= LIMIT_JSON_DEPTH)
        return reader_fail(r, path, "nests too deep");
    r->depth++;
    return true;
}

bool reader_map(struct reader *r, struct value_pair *pairs, size_t count, struct value *ret)
{
    size_t duplicate;
    while (!value_map(r->arena, pairs, count, ret, &duplicate)) {
        if (duplicate == SIZE_MAX || duplicate >= count)
            return reader_fail(r, NULL, "needs more memory than there is");
        for (size_t i = 0; i < duplicate; i++)
            if (value_equal(pairs[i].key, pairs[duplicate].key))
                pairs[i].value = pairs[duplicate].value;
        memmove(&pairs[duplicate], &pairs[duplicate + 1], (count - duplicate - 1) * sizeof *pairs);
        count--;
    }
    return true;
}

static bool read_number(struct reader *r, const struct aws_ref *ref, struct str text,
                        const struct aws_path *path, struct value *ret)
{
    int64_t i;
    bool whole = ref->shape->kind == AWS_INTEGER || ref->shape->kind == AWS_LONG;
    text = str_trim(text);
    bool number = text.len && json_number_end(text, 0) == text.len;
    if (whole && str_to_int64(text, &i)) {
        *ret = value_int(i);
        return true;
    }
    if (whole && number && json_skip_digits(text, 0) == text.len) {
        struct value v;
        if (json_parse(r->arena, text, &v, NULL) && v.kind == VALUE_UINT) {
            *ret = v;
            return true;
        }
    }
    if (number) {
        double d = number_parse(text);
        *ret = whole && fabs(d) < 9e15 && floor(d) == d ? value_int((int64_t)d) : value_double(d);
        return true;
    }
    if (!whole && (str_is(text, "NaN") || str_is(text, "Infinity") || str_is(text, "-Infinity"))) {
        *ret = value_double(text.ptr[0] == 'N'   ? (double)NAN
                            : text.ptr[0] == 'I' ? (double)INFINITY
                                                 : -(double)INFINITY);
        return true;
    }
    return reader_fail(r, path, "is not a number");
}

bool reader_scalar(struct reader *r, const struct aws_ref *ref, struct str text,
                   const struct aws_path *path, struct value *ret)
{
    struct str bytes;
    switch (ref->shape->kind) {
    case AWS_INTEGER:
    case AWS_LONG:
    case AWS_FLOAT:
    case AWS_DOUBLE:
        return read_number(r, ref, text, path, ret);
    case AWS_BOOLEAN:
        *ret = value_bool(str_eq_nocase(str_trim(text), STR("true")));
        return true;
    case AWS_BLOB:
        if (!hash_from_base64(r->arena, str_trim(text), &bytes))
            return reader_fail(r, path, "is not base64");
        *ret = value_bytes(bytes);
        return true;
    case AWS_TIMESTAMP:
        return time_from_text(text, ret) || reader_fail(r, path, "is not a point in time");
    case AWS_STRING:
        *ret = value_string(text.ptr ? text : STR(""));
        return true;
    default:
        return reader_fail(r, path, "is not what the model says");
    }
}

struct str answer_header(const struct aws_http_answer *answer, struct str name)
{
    for (size_t i = 0; i < answer->header_count; i++)
        if (str_eq_nocase(answer->headers[i].name, name))
            return answer->headers[i].value.ptr ? answer->headers[i].value : STR("");
    return (struct str){0};
}

/* JSON or CBOR; no body is an empty map. */
static bool parse_document(struct reader *r, struct value *ret)
{
    struct str text = str_trim(r->answer->body);
    if (r->answer->body.len == 0 ||
        (text.len == 0 && r->op->service->protocol != AWS_PROTOCOL_CBOR))
        return value_map(r->arena, NULL, 0, ret, NULL);
    struct error err = {0};
    if (r->op->service->protocol == AWS_PROTOCOL_CBOR
            ? cbor_parse(r->arena, r->answer->body, ret, &err)
            : json_parse(r->arena, text, ret, &err))
        return true;
    return error_set(r->err, "A0180", "the answer to %.*s:%.*s cannot be read: %s",
                     STR_FMT(r->op->service->name), STR_FMT(r->op->name), err.message);
}

static bool parse_xml_text(struct reader *r, struct xml_node **ret)
{
    struct error err = {0};
    if (!xml_parse(r->arena, r->answer->body, ret, &err))
        return error_set(r->err, "A0180", "the answer to %.*s:%.*s cannot be read: %s",
                         STR_FMT(r->op->service->name), STR_FMT(r->op->name), err.message);
    if (str_eq_nocase((*ret)->name, STR("html")))
        return error_set(r->err, "A0180",
                         "the answer to %.*s:%.*s is a web page, not the service's",
                         STR_FMT(r->op->service->name), STR_FMT(r->op->name));
    return true;
}

/* Is the body a document of members rather than XML? */
static bool is_document(const struct aws_operation *op)
{
    return op->service->protocol <= AWS_PROTOCOL_REST_JSON ||
           op->service->protocol == AWS_PROTOCOL_CBOR;
}

/* query's <OperationResult>; without the trait it may be missing. */
static const struct xml_node *result_node(struct reader *r, const struct xml_node *root)
{
    struct str wrapper = r->op->output->result_wrapper;
    if (wrapper.ptr)
        return xml_child(root, wrapper);
    char *name = arena_printf(r->arena, "%.*sResult", STR_FMT(r->op->name));
    const struct xml_node *node = name ? xml_child(root, str_from(name)) : NULL;
    return node ? node : root;
}

/* The members (or the payload's value) that the body holds. */
static bool read_body(struct reader *r, const struct aws_shape *shape, struct value_pair *pairs,
                      size_t *count)
{
    if (is_document(r->op)) {
        struct value body;
        if (!parse_document(r, &body))
            return false;
        if (body.kind != VALUE_MAP)
            return reader_fail(r, NULL, "is not an object");
        return json_read_members(r, shape, body, NULL, pairs, count);
    }
    struct xml_node *root;
    if (r->op->service->protocol == AWS_PROTOCOL_REST_XML && !str_trim(r->answer->body).len)
        return true;
    if (!parse_xml_text(r, &root))
        return false;
    const struct xml_node *start = root;
    if (r->op->service->protocol == AWS_PROTOCOL_QUERY)
        start = result_node(r, root);
    if (!start)
        return reader_fail(r, NULL, "does not hold the operation's result");
    return xml_read_members(r, shape, start, NULL, pairs, count);
}

static bool read_payload(struct reader *r, const struct aws_ref *payload, struct value_pair *pairs,
                         size_t *count)
{
    struct value_pair *pair = &pairs[*count];
    struct aws_path at = {.name = payload->name};
    struct str body = r->answer->body;
    pair->key = value_string(payload->name);
    if (payload->event_stream)
        return reader_fail(r, &at, "is an event stream, which is not supported");
    if (payload->shape->kind == AWS_BLOB || payload->shape->kind == AWS_STRING) {
        pair->value = payload->shape->kind == AWS_BLOB ? value_bytes(body) : value_string(body);
        if (payload->shape->kind == AWS_STRING && !str_is_utf8(body))
            return reader_fail(r, &at, "is not UTF-8");
    } else if (is_document(r->op)) {
        struct value parsed;
        if (!parse_document(r, &parsed) || !json_read(r, payload, parsed, &at, &pair->value))
            return false;
    } else if (!str_trim(body).len) {
        if (!value_map(r->arena, NULL, 0, &pair->value, NULL))
            return reader_fail(r, &at, "needs more memory than there is");
    } else {
        struct xml_node *root;
        if (!parse_xml_text(r, &root) || !xml_read(r, payload, root, &at, &pair->value))
            return false;
    }
    ++*count;
    return true;
}

static bool has_body_members(const struct aws_shape *shape)
{
    for (size_t i = 0; i < shape->member_count; i++)
        if (shape->members[i].location == AWS_IN_BODY)
            return true;
    return false;
}

bool protocol_parse(const struct aws_operation *op, const struct aws_http_answer *answer,
                    struct arena *arena, struct value *ret, struct error *err)
{
    struct reader r = {.op = op, .answer = answer, .arena = arena, .err = err};
    bool rest = op->service->protocol == AWS_PROTOCOL_REST_JSON ||
                op->service->protocol == AWS_PROTOCOL_REST_XML;
    bool xml_only = !rest && !is_document(op);
    const struct aws_shape *shape = op->output ? op->output->shape : NULL;
    struct xml_node *root;
    struct value output;
    size_t count = 0;
    if (!shape || (!shape->member_count && !answer->body.len)) {
        if (xml_only && answer->body.len && !parse_xml_text(&r, &root))
            return false;
        return value_map(arena, NULL, 0, ret, NULL) || no_memory(err);
    }
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, shape->member_count + 1);
    if (!pairs)
        return no_memory(err);
    if (rest && !rest_read_headers(&r, shape, pairs, &count))
        return false;
    bool ok = rest && shape->payload             ? read_payload(&r, shape->payload, pairs, &count)
              : !rest || has_body_members(shape) ? read_body(&r, shape, pairs, &count)
                                                 : true;
    if (!ok || !reader_map(&r, pairs, count, &output))
        return false;
    *ret = output;
    return true;
}

bool aws_parse_answer(const struct aws_operation *op, const struct aws_http_answer *answer,
                      struct arena *arena, struct value *ret_output, struct error *err)
{
    struct value output;
    if (!protocol_parse(op, answer, arena, &output, err))
        return false;
    if (!custom_output(op, answer, arena, &output))
        return error_set(err, "A0180", "the answer to %.*s:%.*s cannot be read",
                         STR_FMT(op->service->name), STR_FMT(op->name));
    *ret_output = output;
    return true;
}
