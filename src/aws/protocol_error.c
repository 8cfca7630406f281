// SPDX-License-Identifier: Apache-2.0
/* Error answers: code, message, request id and the modeled members, out of whatever came back. What
 * cannot be read is left out; the status is the code of last resort. */
#include "aws/protocol_internal.h"

#include "value/json.h"

#define MESSAGE_BYTES_MAX 4096u
#define ERROR_BODY_BYTES_MAX (256u << 10) // no service's error is longer; a proxy's page may be

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Request Entity Too Large"},
    {416, "Requested Range Not Satisfiable"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *phrase_of(int status)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

/* "aws.protocols#FooError:http://..." to "FooError". */
static struct str bare_code(struct str code)
{
    struct str rest = code;
    code = str_cut(&rest, ':');
    size_t hash = str_find_byte(code, '#');
    while (hash != SIZE_MAX) {
        code = str_sub(code, hash + 1, SIZE_MAX);
        hash = str_find_byte(code, '#');
    }
    return str_trim(code);
}

/* A member of a JSON object that is a string, under the first name that has one. */
static struct str first_text(struct value body, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct value *v = value_get(body, str_from(names[i]));
        if (v && v->kind == VALUE_STRING)
            return value_str(*v);
    }
    return (struct str){0};
}

/* Without control characters, in one line, of bounded length. */
static struct str clean(struct arena *arena, struct str text)
{
    text = str_trim(text);
    if (text.len > MESSAGE_BYTES_MAX)
        text.len = str_utf8_prefix(str_sub(text, 0, MESSAGE_BYTES_MAX));
    if (!str_is_utf8(text))
        text.len = str_utf8_prefix(text);
    char *copy = arena_copy(arena, text.ptr ? text.ptr : "", text.len);
    for (size_t i = 0; copy && i < text.len; i++)
        if ((unsigned char)copy[i] < ' ' || copy[i] == 127)
            copy[i] = ' ';
    return copy ? (struct str){copy, text.len} : (struct str){0};
}

static const struct aws_shape *find_shape(const struct aws_operation *op, struct str code)
{
    for (size_t i = 0; i < op->error_count; i++)
        if (str_eq(op->errors[i]->error_code, code) || str_eq(op->errors[i]->name, code))
            return op->errors[i];
    return map_get(&op->service->errors, code);
}

/* ---- JSON ---- */

static void members_from_json(struct reader *r, const struct aws_shape *shape, struct value body,
                              struct aws_service_error *ret)
{
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, shape->member_count + 1);
    size_t count = 0;
    if (pairs && rest_read_headers(r, shape, pairs, &count) &&
        json_read_members(r, shape, body, NULL, pairs, &count))
        (void)reader_map(r, pairs, count, &ret->members);
}

static void json_error(struct reader *r, struct aws_service_error *ret)
{
    static const char *const messages[] = {"message", "Message", "errorMessage",
                                           "error_description"};
    static const char *const codes[] = {"__type", "code", "Code"};
    struct value body = {0};
    struct str text = str_trim(r->answer->body);
    bool cbor = r->op->service->protocol == AWS_PROTOCOL_CBOR;
    if (!text.len || text.len > ERROR_BODY_BYTES_MAX ||
        !(cbor ? cbor_parse(r->arena, r->answer->body, &body, NULL)
               : json_parse(r->arena, text, &body, NULL)))
        body = value_null();
    struct str type = answer_header(r->answer, STR("x-amzn-errortype"));
    struct str query = answer_header(r->answer, STR("x-amzn-query-error"));
    bool rest = r->op->service->protocol == AWS_PROTOCOL_REST_JSON;
    struct str code = type.len ? type : first_text(body, codes, 3);
    if (rest && !type.len)
        code = first_text(body, codes + 1, 2).len ? first_text(body, codes + 1, 2) : code;
    ret->code = bare_code(code);
    ret->message = first_text(body, messages, 4);
    ret->shape = find_shape(r->op, ret->code);
    if (query.len) {
        struct str kind = query, legacy = str_cut(&kind, ';');
        if (legacy.len && kind.len) {
            ret->code = legacy;
            ret->type = kind;
        }
    }
    if (ret->shape)
        members_from_json(r, ret->shape, body, ret);
}

/* ---- XML ---- */

static void members_from_xml(struct reader *r, const struct aws_shape *shape,
                             const struct xml_node *node, struct aws_service_error *ret)
{
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, shape->member_count + 1);
    size_t count = 0;
    if (pairs && rest_read_headers(r, shape, pairs, &count) &&
        xml_read_members(r, shape, node, NULL, pairs, &count))
        (void)reader_map(r, pairs, count, &ret->members);
}

/* <Error> as the root (S3), in the root, or in <Errors> (EC2). */
static const struct xml_node *error_node(const struct xml_node *root)
{
    if (str_is(root->name, "Error"))
        return root;
    const struct xml_node *list = xml_child(root, STR("Errors"));
    const struct xml_node *error = xml_child(list ? list : root, STR("Error"));
    return error ? error : root;
}

static struct str request_id_in(const struct xml_node *root, const struct xml_node *error)
{
    static const char *const names[] = {"RequestId", "RequestID", "requestId"};
    const struct xml_node *metadata = xml_child(root, STR("ResponseMetadata"));
    const struct xml_node *places[] = {root, error, metadata ? metadata : root};
    for (size_t p = 0; p < 3; p++) {
        for (size_t n = 0; n < 3; n++) {
            struct str id = xml_child_text(places[p], str_from(names[n]));
            if (id.len)
                return id;
        }
    }
    return (struct str){0};
}

static void xml_error(struct reader *r, struct aws_service_error *ret)
{
    struct xml_node *root;
    struct str body = str_trim(r->answer->body);
    if (!body.len || body.len > ERROR_BODY_BYTES_MAX || !xml_parse(r->arena, body, &root, NULL) ||
        str_eq_nocase(root->name, STR("html")))
        return;
    const struct xml_node *node = error_node(root);
    ret->code = str_trim(xml_child_text(node, STR("Code")));
    ret->message = xml_child_text(node, STR("Message"));
    if (!ret->message.len)
        ret->message = xml_child_text(node, STR("message"));
    ret->type = xml_child_text(node, STR("Type"));
    ret->request_id = request_id_in(root, node);
    ret->shape = find_shape(r->op, ret->code);
    if (ret->shape)
        members_from_xml(r, ret->shape, node, ret);
}

/* ---- any ---- */

struct str aws_answer_request_id(const struct aws_http_answer *answer)
{
    static const char *const names[] = {"x-amzn-requestid", "x-amz-request-id",
                                        "x-amzn-request-id"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str id = answer_header(answer, str_from(names[i]));
        if (id.len)
            return id;
    }
    return (struct str){0};
}

void aws_parse_error(const struct aws_operation *op, const struct aws_http_answer *answer,
                     struct arena *arena, struct aws_service_error *ret)
{
    struct reader r = {.op = op, .answer = answer, .arena = arena};
    struct aws_service_error error = {0};
    if (!value_map(arena, NULL, 0, &error.members, NULL))
        error.members = value_null();
    if (op->service->protocol == AWS_PROTOCOL_JSON ||
        op->service->protocol == AWS_PROTOCOL_REST_JSON ||
        op->service->protocol == AWS_PROTOCOL_CBOR)
        json_error(&r, &error);
    else
        xml_error(&r, &error);
    error.code = clean(arena, error.code);
    error.message = clean(arena, error.message);
    if (!error.code.len) {
        char *code = arena_printf(arena, "%d", answer->status);
        error.code = code ? str_from(code) : STR("Unknown");
        if (!error.message.len)
            error.message = str_from(phrase_of(answer->status));
    }
    if (!error.request_id.len)
        error.request_id = aws_answer_request_id(answer);
    if (error.shape) {
        error.retryable = error.shape->retryable;
        error.throttling = error.shape->throttling;
    }
    *ret = error;
}

/* Does the body's first element have that name? Without reading the rest. */
static bool starts_with_error(struct str body)
{
    size_t at = str_find(str_sub(body, 0, 1024), STR("<Error"));
    if (at == SIZE_MAX)
        return false;
    struct str before = str_trim(str_sub(body, 0, at));
    struct str behind = str_sub(body, at + 6, 1);
    return behind.len && strchr("> \t\r\n/", behind.ptr[0]) &&
           (before.len == 0 || (str_starts(before, STR("<?xml")) && str_ends(before, STR("?>"))));
}

bool aws_answer_is_ok(const struct aws_operation *op, const struct aws_http_answer *answer)
{
    if (answer->status < 200 || answer->status >= 300)
        return false;
    const struct aws_ref *payload = op->output ? op->output->shape->payload : NULL;
    if (!str_is(op->service->name, "s3") || !op->output ||
        (payload && payload->shape->kind > AWS_MAP))
        return true;
    return !starts_with_error(answer->body);
}
