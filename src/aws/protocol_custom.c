// SPDX-License-Identifier: Apache-2.0
/* What the models do not say and every AWS client does: one table of exceptions for inputs, one for
 * outputs. */
#include "aws/protocol_internal.h"

#include "base/hash.h"
#include "value/json.h"

/* ---- helpers ---- */

static bool set_member(struct arena *arena, struct value *map, struct str name, struct value v)
{
    size_t count = map->kind == VALUE_MAP ? map->len : 0, at = 0;
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, count + 1);
    if (!pairs)
        return false;
    if (count)
        memcpy(pairs, map->pairs, count * sizeof *pairs);
    while (at < count && !str_eq(value_str(pairs[at].key), name))
        at++;
    pairs[at] = (struct value_pair){value_string(name), v};
    return value_map(arena, pairs, at == count ? count + 1 : count, map, NULL);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static struct str url_decode(struct arena *arena, struct str text, bool plus)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
            hex_digit(text.ptr[i + 2]) >= 0) {
            buf_add_byte(&out,
                         (char)(hex_digit(text.ptr[i + 1]) << 4 | hex_digit(text.ptr[i + 2])));
            i += 2;
        } else {
            buf_add_byte(&out, plus && c == '+' ? ' ' : c);
        }
    }
    return buf_str(&out);
}

/* ---- inputs ---- */

/* UserData is given as it is and sent in base64. */
static bool encode_user_data(const struct aws_operation *op, struct arena *arena,
                             struct value *input)
{
    const struct value *v = value_get(*input, STR("UserData"));
    (void)op;
    if (!v || (v->kind != VALUE_STRING && v->kind != VALUE_BYTES))
        return true;
    struct str encoded = hash_base64(arena, value_str(*v));
    return encoded.ptr && set_member(arena, input, STR("UserData"), value_string(encoded));
}

/* "/hostedzone/Z1" as one operation gives it is "Z1" to the next. */
static bool shorten_route53_ids(const struct aws_operation *op, struct arena *arena,
                                struct value *input)
{
    static const char *const shapes[] = {"ResourceId", "DelegationSetId", "ChangeId"};
    const struct aws_shape *shape = aws_operation_input(op);
    for (size_t i = 0; shape && i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        const struct value *v = value_get(*input, member->name);
        bool id = false;
        for (size_t s = 0; s < 3; s++)
            id = id || str_is(member->shape->name, shapes[s]);
        if (!id || !v || v->kind != VALUE_STRING)
            continue;
        struct str text = value_str(*v);
        for (size_t at; (at = str_find_byte(text, '/')) != SIZE_MAX;)
            text = str_sub(text, at + 1, SIZE_MAX);
        if (!set_member(arena, input, member->name, value_string(text)))
            return false;
    }
    return true;
}

static bool default_glacier_account(const struct aws_operation *op, struct arena *arena,
                                    struct value *input)
{
    const struct value *v = value_get(*input, STR("accountId"));
    if ((v && v->kind != VALUE_NULL) || !op->input ||
        !aws_shape_find(op->input->shape, STR("accountId")))
        return true;
    return set_member(arena, input, STR("accountId"), value_cstr("-"));
}

/* Keys may hold what XML cannot: S3 is asked to encode them, custom_output() decodes. */
static bool ask_url_encoding(const struct aws_operation *op, struct arena *arena,
                             struct value *input)
{
    (void)op;
    const struct value *v = value_get(*input, STR("EncodingType"));
    return (v && v->kind != VALUE_NULL) ||
           set_member(arena, input, STR("EncodingType"), value_cstr("url"));
}

/* "bucket/key?versionId=v" to a header: all but the version is encoded. */
static bool encode_copy_source(const struct aws_operation *op, struct arena *arena,
                               struct value *input)
{
    const struct value *v = value_get(*input, STR("CopySource"));
    struct str source = {0}, version = {0};
    struct buf out = {.arena = arena};
    (void)op;
    if (v && v->kind == VALUE_STRING) {
        static const struct str mark = STR("?versionId=");
        source = value_str(*v);
        size_t at = str_find(source, mark);
        if (at != SIZE_MAX) {
            version = str_sub(source, at + mark.len, SIZE_MAX);
            source = str_sub(source, 0, at);
        }
    } else {
        return true;
    }
    aws_percent_encode(&out, source, "/");
    if (version.len) {
        buf_add_cstr(&out, "?versionId=");
        buf_add_str(&out, version);
    }
    return !out.failed && set_member(arena, input, STR("CopySource"), value_string(buf_str(&out)));
}

static const struct {
    const char *service, *operation; // NULL = every operation of the service
    bool (*apply)(const struct aws_operation *op, struct arena *arena, struct value *input);
} inputs[] = {
    {"ec2", "RunInstances", encode_user_data},
    {"autoscaling", "CreateLaunchConfiguration", encode_user_data},
    {"route53", NULL, shorten_route53_ids},
    {"glacier", NULL, default_glacier_account},
    {"s3", "ListObjects", ask_url_encoding},
    {"s3", "ListObjectsV2", ask_url_encoding},
    {"s3", "ListObjectVersions", ask_url_encoding},
    {"s3", "CopyObject", encode_copy_source},
    {"s3", "UploadPartCopy", encode_copy_source},
};

static bool is_for(const struct aws_operation *op, const char *service, const char *operation)
{
    return str_is(op->service->name, service) && (!operation || str_is(op->name, operation));
}

bool custom_input(const struct aws_operation *op, struct value input, struct arena *arena,
                  struct value *ret)
{
    struct value sent = input;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        if (is_for(op, inputs[i].service, inputs[i].operation) &&
            (input.kind == VALUE_MAP || input.kind == VALUE_NULL) &&
            !inputs[i].apply(op, arena, &sent))
            return false;
    *ret = sent;
    return true;
}

static bool has_header(const struct aws_http_request *request, struct str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, name))
            return true;
    }
    return false;
}

bool custom_request(const struct aws_operation *op, struct arena *arena,
                    struct aws_http_request *request)
{
    if (str_is(op->service->name, "s3control"))
        request->host_prefix = (struct str){0}; // the endpoint rules place the account themselves
    if (is_for(op, "cloudsearchdomain", "Search")) { // its query may be longer than an address
        request->method = STR("POST");
        request->body = request->query;
        request->query = (struct str){0};
        return aws_request_set_header(arena, request, STR("Content-Type"),
                                      STR("application/x-www-form-urlencoded"));
    }
    if (str_is(op->service->name, "apigateway") && !has_header(request, STR("accept")))
        return aws_request_set_header(arena, request, STR("Accept"), STR("application/json"));
    if (str_is(op->service->name, "glacier"))
        return aws_request_set_header(arena, request, STR("x-amz-glacier-version"),
                                      op->service->api_version);
    return true;
}

/* ---- outputs ---- */

/* The bare <LocationConstraint>eu-west-1</LocationConstraint>. */
static bool read_bucket_location(const struct aws_operation *op,
                                 const struct aws_http_answer *answer, struct arena *arena,
                                 struct value *output)
{
    struct xml_node *root;
    (void)op;
    if (!xml_parse(arena, answer->body, &root, NULL) || !str_is(root->name, "LocationConstraint"))
        return false;
    const struct xml_node *inner = xml_child(root, STR("LocationConstraint"));
    struct str text = inner ? inner->text : root->text;
    return set_member(arena, output, STR("LocationConstraint"),
                      text.len ? value_string(text) : value_null());
}

/* Maps every string under `name` of the shape `type` through `change`. */
static bool decode_policies(struct arena *arena, const struct aws_shape *shape, struct value *v)
{
    if (shape->kind == AWS_LIST && v->kind == VALUE_LIST) {
        struct value *items = ARENA_ARRAY(arena, struct value, v->len);
        for (uint32_t i = 0; items && i < v->len; i++) {
            items[i] = v->items[i];
            if (!decode_policies(arena, shape->item->shape, &items[i]))
                return false;
        }
        *v = value_list(items, v->len);
        return items != NULL;
    }
    if (shape->kind == AWS_STRING && v->kind == VALUE_STRING &&
        str_is(shape->name, "policyDocumentType") && v->len) {
        struct value document;
        struct str text = url_decode(arena, value_str(*v), false);
        if (!text.ptr)
            return false;
        *v = json_parse(arena, text, &document, NULL) ? document : value_string(text);
        return true;
    }
    if (shape->kind != AWS_STRUCTURE || v->kind != VALUE_MAP)
        return true;
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, v->len);
    for (uint32_t i = 0; pairs && i < v->len; i++) {
        const struct aws_ref *member = aws_shape_find(shape, value_str(v->pairs[i].key));
        pairs[i] = v->pairs[i];
        if (member && !decode_policies(arena, member->shape, &pairs[i].value))
            return false;
    }
    return pairs && value_map(arena, pairs, v->len, v, NULL);
}

/* IAM gives policy documents as URL-encoded JSON. */
static bool decode_iam(const struct aws_operation *op, const struct aws_http_answer *answer,
                       struct arena *arena, struct value *output)
{
    (void)answer;
    return !op->output || decode_policies(arena, op->output->shape, output);
}

static bool decode_key(struct arena *arena, struct value *map, const char *name)
{
    const struct value *v = value_get(*map, str_from(name));
    if (!v || v->kind != VALUE_STRING)
        return true;
    struct str text = url_decode(arena, value_str(*v), true);
    return text.ptr &&
           (!str_is_utf8(text) || set_member(arena, map, str_from(name), value_string(text)));
}

static bool decode_keys_in(struct arena *arena, struct value *output, const char *list,
                           const char *name)
{
    const struct value *v = value_get(*output, str_from(list));
    if (!v || v->kind != VALUE_LIST)
        return true;
    struct value *items = ARENA_ARRAY(arena, struct value, v->len);
    for (uint32_t i = 0; items && i < v->len; i++) {
        items[i] = v->items[i];
        if (!decode_key(arena, &items[i], name))
            return false;
    }
    return items && set_member(arena, output, str_from(list), value_list(items, v->len));
}

static bool decode_listing(const struct aws_operation *op, const struct aws_http_answer *answer,
                           struct arena *arena, struct value *output)
{
    static const char *const keys[] = {"Delimiter",     "Marker",    "NextMarker", "Prefix",
                                       "NextKeyMarker", "KeyMarker", "StartAfter"};
    static const char *const lists[][2] = {{"Contents", "Key"},
                                           {"Versions", "Key"},
                                           {"DeleteMarkers", "Key"},
                                           {"CommonPrefixes", "Prefix"}};
    (void)op;
    (void)answer;
    if (!str_is(value_path_str(*output, "EncodingType"), "url"))
        return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!decode_key(arena, output, keys[i]))
            return false;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!decode_keys_in(arena, output, lists[i][0], lists[i][1]))
            return false;
    return true;
}

/* The console's text comes in base64, in a member that the model calls a string. */
static bool decode_console(const struct aws_operation *op, const struct aws_http_answer *answer,
                           struct arena *arena, struct value *output)
{
    struct str text, encoded = value_path_str(*output, "Output");
    (void)op;
    (void)answer;
    if (!encoded.len || !hash_from_base64(arena, encoded, &text))
        return true;
    return set_member(arena, output, STR("Output"),
                      str_is_utf8(text) ? value_string(text) : value_bytes(text));
}

/* A template in JSON is given as what it says; one in YAML stays text. */
static bool decode_template(const struct aws_operation *op, const struct aws_http_answer *answer,
                            struct arena *arena, struct value *output)
{
    struct value document;
    struct str text = str_trim(value_path_str(*output, "TemplateBody"));
    (void)op;
    (void)answer;
    if (!str_starts(text, STR("{")) || !json_parse(arena, text, &document, NULL))
        return true;
    return set_member(arena, output, STR("TemplateBody"), document);
}

static const struct {
    const char *service, *operation; // NULL = every operation of the service
    bool (*apply)(const struct aws_operation *op, const struct aws_http_answer *answer,
                  struct arena *arena, struct value *output);
} outputs[] = {
    {"s3", "GetBucketLocation", read_bucket_location},
    {"s3", "ListObjects", decode_listing},
    {"s3", "ListObjectsV2", decode_listing},
    {"s3", "ListObjectVersions", decode_listing},
    {"iam", NULL, decode_iam},
    {"ec2", "GetConsoleOutput", decode_console},
    {"cloudformation", "GetTemplate", decode_template},
};

bool custom_output(const struct aws_operation *op, const struct aws_http_answer *answer,
                   struct arena *arena, struct value *output)
{
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (is_for(op, outputs[i].service, outputs[i].operation) &&
            !outputs[i].apply(op, answer, arena, output))
            return false;
    return true;
}
