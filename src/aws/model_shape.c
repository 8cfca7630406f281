// SPDX-License-Identifier: Apache-2.0
/* Shapes and operations, made from the model's JSON when an operation first needs them.
 *
 * A shape is first a shell, entered in the service's table and in the list of unresolved ones, so
 * that recursive shapes find themselves; the list is then worked off. All under the models' lock.
 */
#include "aws/model_internal.h"

#define INDEX_MEMBERS_MIN 9 // below, a scan is quicker

static bool out_of_memory(struct error *err)
{
    return error_set(err, "A0100", "out of memory while loading a service model");
}

static struct str text_of(struct value map, const char *key)
{
    const struct value *v = value_get(map, str_from(key));
    return v ? value_str(*v) : (struct str){0};
}

static bool flag_of(struct value map, const char *key)
{
    const struct value *v = value_get(map, str_from(key));
    return v && v->kind == VALUE_BOOL && v->b;
}

static struct value child_of(struct value map, const char *key)
{
    const struct value *v = value_get(map, str_from(key));
    return v ? *v : value_null();
}

/* ---- traits ---- */

static void trait_wire(struct aws_ref *ref, struct value v)
{
    ref->wire = value_str(v);
}

static void trait_query_name(struct aws_ref *ref, struct value v)
{
    ref->query_name = value_str(v);
}

static void trait_location(struct aws_ref *ref, struct value v)
{
    static const struct {
        const char *name;
        enum aws_location location;
    } locations[] = {
        {"uri", AWS_IN_URI},         {"querystring", AWS_IN_QUERY}, {"header", AWS_IN_HEADER},
        {"headers", AWS_IN_HEADERS}, {"statusCode", AWS_IN_STATUS},
    };
    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++)
        if (str_is(value_str(v), locations[i].name))
            ref->location = locations[i].location;
}

static void trait_time(struct aws_ref *ref, struct value v)
{
    struct str name = value_str(v);
    ref->time_format = str_eq_nocase(name, STR("iso8601"))         ? AWS_TIME_ISO8601
                       : str_eq_nocase(name, STR("rfc822"))        ? AWS_TIME_RFC822
                       : str_eq_nocase(name, STR("unixTimestamp")) ? AWS_TIME_UNIX
                                                                   : AWS_TIME_DEFAULT;
}

static void trait_namespace(struct aws_ref *ref, struct value v)
{
    ref->xml_namespace = v.kind == VALUE_STRING ? value_str(v) : text_of(v, "uri");
    ref->xml_prefix = text_of(v, "prefix");
}

static void trait_context(struct aws_ref *ref, struct value v)
{
    ref->context_param = text_of(v, "name");
}

static void trait_wrapper(struct aws_ref *ref, struct value v)
{
    ref->result_wrapper = value_str(v);
}

/* The traits of a use. Those with an offset are booleans. */
static const struct {
    struct str name;
    void (*set)(struct aws_ref *ref, struct value v);
    size_t flag;
} traits[] = {
    {STR("locationName"), trait_wire, 0},
    {STR("location"), trait_location, 0},
    {STR("queryName"), trait_query_name, 0},
    {STR("timestampFormat"), trait_time, 0},
    {STR("xmlNamespace"), trait_namespace, 0},
    {STR("contextParam"), trait_context, 0},
    {STR("resultWrapper"), trait_wrapper, 0},
    {STR("flattened"), NULL, offsetof(struct aws_ref, flattened)},
    {STR("xmlAttribute"), NULL, offsetof(struct aws_ref, xml_attribute)},
    {STR("jsonvalue"), NULL, offsetof(struct aws_ref, json_value)},
    {STR("hostLabel"), NULL, offsetof(struct aws_ref, host_label)},
    {STR("eventstream"), NULL, offsetof(struct aws_ref, event_stream)},
    {STR("idempotencyToken"), NULL, offsetof(struct aws_ref, token)},
    {STR("streaming"), NULL, offsetof(struct aws_ref, streaming)},
};

static void apply_traits(struct aws_ref *ref, struct value use)
{
    for (uint32_t i = 0; i < use.len && use.kind == VALUE_MAP; i++) {
        struct str name = value_str(use.pairs[i].key);
        for (size_t t = 0; t < sizeof traits / sizeof *traits; t++) {
            if (!str_eq(name, traits[t].name))
                continue;
            struct value v = use.pairs[i].value;
            if (traits[t].set)
                traits[t].set(ref, v);
            else
                *((bool *)ref + traits[t].flag) = v.kind == VALUE_BOOL && v.b;
            break;
        }
    }
}

bool model_intern_ref(struct aws_service *service, struct str name, struct value use,
                      struct aws_ref *ret, struct error *err)
{
    struct aws_shape *shape = model_intern_shape(service, text_of(use, "shape"), err);
    if (!shape)
        return false;
    struct aws_ref ref = shape->own;
    ref.name = name;
    ref.shape = shape;
    apply_traits(&ref, use);
    *ret = ref;
    return true;
}

/* ---- shapes ---- */

static bool kind_of(struct str type, enum aws_shape_kind *ret)
{
    static const struct {
        struct str name;
        enum aws_shape_kind kind;
    } kinds[] = {
        {STR("structure"), AWS_STRUCTURE},
        {STR("string"), AWS_STRING},
        {STR("list"), AWS_LIST},
        {STR("integer"), AWS_INTEGER},
        {STR("map"), AWS_MAP},
        {STR("boolean"), AWS_BOOLEAN},
        {STR("timestamp"), AWS_TIMESTAMP},
        {STR("long"), AWS_LONG},
        {STR("double"), AWS_DOUBLE},
        {STR("blob"), AWS_BLOB},
        {STR("float"), AWS_FLOAT},
        {STR("character"), AWS_STRING},
        {STR("byte"), AWS_INTEGER},
        {STR("short"), AWS_INTEGER},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (str_eq(type, kinds[i].name)) {
            *ret = kinds[i].kind;
            return true;
        }
    }
    return false;
}

struct aws_shape *model_intern_shape(struct aws_service *service, struct str name,
                                     struct error *err)
{
    struct aws_shape *shape = map_get(&service->shapes, name);
    if (shape)
        return shape;
    struct value model = model_define(service, &service->shape_definitions, name, err);
    enum aws_shape_kind kind = AWS_STRUCTURE;
    if (model.kind != VALUE_MAP || !kind_of(text_of(model, "type"), &kind)) {
        error_set(err, "A0104", "the model of %.*s is damaged: no usable shape \"%.*s\"",
                  STR_FMT(service->name), STR_FMT(name));
        return NULL;
    }
    shape = ARENA_NEW(&service->arena, struct aws_shape);
    if (!shape || !map_set(&service->shapes, name, shape)) {
        out_of_memory(err);
        return NULL;
    }
    shape->name = name;
    shape->kind = kind;
    shape->service = service;
    shape->model = model;
    shape->by_name.arena = shape->by_wire.arena = &service->arena;
    shape->own.shape = shape;
    apply_traits(&shape->own, model);
    shape->next_unresolved = service->unresolved;
    service->unresolved = shape;
    return shape;
}

/* The element or key name under which an answer carries the member. */
static struct str wire_name(const struct aws_ref *ref)
{
    const struct aws_shape *shape = ref->shape;
    enum aws_protocol protocol = shape->service->protocol;
    bool xml = protocol != AWS_PROTOCOL_JSON && protocol != AWS_PROTOCOL_REST_JSON;
    if (xml && shape->kind == AWS_LIST && ref->flattened) {
        struct str item = text_of(child_of(shape->model, "member"), "locationName");
        if (item.ptr)
            return item;
    }
    return ref->wire.ptr ? ref->wire : ref->name;
}

static bool index_members(struct aws_shape *shape, struct aws_ref *members, struct error *err)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        struct str wire = wire_name(&members[i]);
        if (!map_set(&shape->by_name, members[i].name, &members[i]))
            return out_of_memory(err);
        if (members[i].location == AWS_IN_BODY && !map_get(&shape->by_wire, wire) &&
            !map_set(&shape->by_wire, wire, &members[i]))
            return out_of_memory(err);
    }
    return true;
}

static bool resolve_structure(struct aws_service *service, struct aws_shape *shape,
                              struct error *err)
{
    struct value model = child_of(shape->model, "members");
    size_t count = model.kind == VALUE_MAP ? model.len : 0;
    struct aws_ref *members = ARENA_ARRAY(&service->arena, struct aws_ref, count);
    if (!members)
        return out_of_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!model_intern_ref(service, value_str(model.pairs[i].key), model.pairs[i].value,
                              &members[i], err))
            return false;
    shape->members = members;
    shape->member_count = count;
    struct value required = child_of(shape->model, "required");
    for (uint32_t i = 0; i < required.len && required.kind == VALUE_LIST; i++)
        for (size_t m = 0; m < count; m++)
            if (str_eq(members[m].name, value_str(required.items[i])))
                members[m].required = true;
    struct str payload = text_of(shape->model, "payload");
    for (size_t m = 0; m < count && payload.ptr; m++)
        if (str_eq(members[m].name, payload))
            shape->payload = &members[m];
    return count < INDEX_MEMBERS_MIN || index_members(shape, members, err);
}

static bool resolve_one(struct aws_service *service, struct aws_shape *shape, struct value use,
                        const struct aws_ref **ret, struct error *err)
{
    struct aws_ref *ref = ARENA_NEW(&service->arena, struct aws_ref);
    if (!ref)
        return out_of_memory(err);
    if (!model_intern_ref(service, (struct str){0}, use, ref, err))
        return error_context(err, "shape %.*s", STR_FMT(shape->name));
    *ret = ref;
    return true;
}

static void resolve_error(struct aws_shape *shape)
{
    struct value error = child_of(shape->model, "error");
    struct value retryable = child_of(shape->model, "retryable");
    struct value status = child_of(error, "httpStatusCode");
    struct str code = text_of(error, "code");
    shape->error_code = code.ptr ? code : shape->name;
    shape->error_status = status.kind == VALUE_INT ? (int)status.i : 0;
    shape->retryable = retryable.kind == VALUE_MAP;
    shape->throttling = flag_of(retryable, "throttling");
}

static bool resolve_shape(struct aws_service *service, struct aws_shape *shape, struct error *err)
{
    struct value model = shape->model;
    shape->document = flag_of(model, "document");
    shape->is_union = flag_of(model, "union");
    shape->exception = flag_of(model, "exception");
    shape->min = child_of(model, "min");
    shape->max = child_of(model, "max");
    shape->choices = child_of(model, "enum");
    if (shape->exception)
        resolve_error(shape);
    switch (shape->kind) {
    case AWS_STRUCTURE:
        return resolve_structure(service, shape, err);
    case AWS_LIST:
        return resolve_one(service, shape, child_of(model, "member"), &shape->item, err);
    case AWS_MAP:
        return resolve_one(service, shape, child_of(model, "key"), &shape->key, err) &&
               resolve_one(service, shape, child_of(model, "value"), &shape->item, err);
    default:
        return true;
    }
}

bool model_resolve_shapes(struct aws_service *service, struct error *err)
{
    while (service->unresolved) {
        struct aws_shape *shape = service->unresolved;
        service->unresolved = shape->next_unresolved;
        if (!resolve_shape(service, shape, err)) {
            service->broken = true;
            return false;
        }
    }
    return true;
}

const struct aws_ref *aws_shape_find(const struct aws_shape *shape, struct str name)
{
    if (shape->by_name.count)
        return map_get(&shape->by_name, name);
    for (size_t i = 0; i < shape->member_count; i++)
        if (str_eq(shape->members[i].name, name))
            return &shape->members[i];
    return NULL;
}

/* ---- operations ---- */

/* Operations that carry no signature although older models do not say so. */
static const struct {
    const char *service, *operation;
} unsigned_operations[] = {
    {"cognito-identity", "GetId"},          {"cognito-identity", "GetOpenIdToken"},
    {"cognito-identity", "UnlinkIdentity"}, {"cognito-identity", "GetCredentialsForIdentity"},
    {"sts", "AssumeRoleWithSAML"},          {"sts", "AssumeRoleWithWebIdentity"},
};

static enum aws_auth auth_of(const struct aws_operation *op)
{
    struct value list = child_of(op->model, "auth");
    struct str type = text_of(op->model, "authtype");
    for (size_t i = 0; i < sizeof unsigned_operations / sizeof *unsigned_operations; i++)
        if (str_is(op->service->name, unsigned_operations[i].service) &&
            str_is(op->name, unsigned_operations[i].operation))
            return AWS_AUTH_NONE;
    if (str_is(type, "none"))
        return AWS_AUTH_NONE;
    if (str_is(type, "v4-unsigned-body") || flag_of(op->model, "unsignedPayload"))
        return AWS_AUTH_SIGV4_UNSIGNED_BODY;
    if (str_is(type, "bearer"))
        return AWS_AUTH_BEARER;
    if (list.kind == VALUE_LIST && list.len) {
        struct str first = value_str(list.items[0]);
        if (str_is(first, "smithy.api#noAuth"))
            return AWS_AUTH_NONE;
        if (str_is(first, "smithy.api#httpBearerAuth"))
            return AWS_AUTH_BEARER;
        return AWS_AUTH_SIGV4;
    }
    return op->service->auth;
}

static bool intern_errors(struct aws_service *service, struct aws_operation *op, struct error *err)
{
    struct value list = child_of(op->model, "errors");
    size_t count = list.kind == VALUE_LIST ? list.len : 0;
    const struct aws_shape **errors = ARENA_ARRAY(&service->arena, const struct aws_shape *, count);
    if (!errors)
        return out_of_memory(err);
    for (size_t i = 0; i < count; i++) {
        errors[i] = model_intern_shape(service, text_of(list.items[i], "shape"), err);
        if (!errors[i])
            return false;
    }
    op->errors = errors;
    op->error_count = count;
    return true;
}

static bool intern_error(struct aws_service *service, struct str name, struct error *err)
{
    struct aws_shape *shape = model_intern_shape(service, name, err);
    if (!shape || !model_resolve_shapes(service, err))
        return false;
    struct str keys[] = {shape->error_code, shape->name};
    for (size_t i = 0; i < 2 && shape->exception; i++)
        if (!map_get(&service->errors, keys[i]) && !map_set(&service->errors, keys[i], shape))
            return out_of_memory(err);
    return true;
}

/* A service may answer any operation with any of its errors: all of them are made with its first
 * operation. */
static bool intern_service_errors(struct aws_service *service, struct error *err)
{
    const struct aws_definitions *shapes = &service->shape_definitions;
    struct value names = service->exceptions;
    if (service->errors.arena)
        return true;
    service->errors.arena = &service->arena;
    for (uint32_t i = 0; names.kind == VALUE_LIST && i < names.len; i++)
        if (!intern_error(service, value_str(names.items[i]), err))
            return false;
    for (size_t i = 0; names.kind != VALUE_LIST && i < shapes->count; i++)
        if (flag_of(shapes->list[i].parsed, "exception") &&
            !intern_error(service, shapes->list[i].name, err))
            return false;
    return true;
}

/* Where the use of a shape names the payload, that use gets a shape of its own. */
static bool own_payload(struct aws_service *service, struct aws_operation *op, const char *key,
                        const struct aws_ref **end, struct error *err)
{
    struct str payload = text_of(child_of(op->model, key), "payload");
    const struct aws_ref *member =
        payload.ptr && *end ? aws_shape_find((*end)->shape, payload) : NULL;
    if (!member)
        return true;
    struct aws_shape *shape = ARENA_NEW(&service->arena, struct aws_shape);
    struct aws_ref *ref = ARENA_NEW(&service->arena, struct aws_ref);
    if (!shape || !ref)
        return out_of_memory(err);
    *shape = *(*end)->shape;
    shape->payload = member;
    *ref = **end;
    ref->shape = shape;
    *end = ref;
    return true;
}

static bool intern_end(struct aws_service *service, struct aws_operation *op, const char *key,
                       const struct aws_ref **ret, struct error *err)
{
    struct value use = child_of(op->model, key);
    if (use.kind != VALUE_MAP)
        return true;
    struct aws_ref *ref = ARENA_NEW(&service->arena, struct aws_ref);
    if (!ref)
        return out_of_memory(err);
    if (!model_intern_ref(service, (struct str){0}, use, ref, err))
        return false;
    *ret = ref;
    return true;
}

static void fill_operation(struct aws_operation *op)
{
    struct value http = child_of(op->model, "http");
    struct value checksum = child_of(op->model, "httpChecksum");
    struct str method = text_of(http, "method"), uri = text_of(http, "requestUri");
    op->method = method.ptr ? method : STR("POST");
    op->uri = uri.ptr ? uri : STR("/");
    op->host_prefix = text_of(child_of(op->model, "endpoint"), "hostPrefix");
    op->static_contexts = child_of(op->model, "staticContextParams");
    op->operation_contexts = child_of(op->model, "operationContextParams");
    op->paginator = value_get(op->service->paginators, op->name);
    op->checksum_required =
        flag_of(op->model, "httpChecksumRequired") || flag_of(checksum, "requestChecksumRequired");
    op->checksum_member = text_of(checksum, "requestAlgorithmMember");
    struct value encodings = child_of(child_of(op->model, "requestcompression"), "encodings");
    for (uint32_t i = 0; encodings.kind == VALUE_LIST && i < encodings.len; i++)
        op->gzip = op->gzip || str_is(value_str(encodings.items[i]), "gzip");
    struct value discovery = child_of(op->model, "endpointdiscovery");
    op->endpoint_discovery = discovery.kind == VALUE_MAP;
    op->endpoint_discovery_required = flag_of(discovery, "required");
    op->auth = auth_of(op);
}

const struct aws_operation *model_intern_operation(struct aws_service *service, struct str name,
                                                   struct error *err)
{
    struct aws_operation *op = map_get(&service->operations, name);
    if (op)
        return op;
    if (service->broken) {
        error_set(err, "A0104", "the model of %.*s is damaged", STR_FMT(service->name));
        return NULL;
    }
    op = ARENA_NEW(&service->arena, struct aws_operation);
    if (!op) {
        out_of_memory(err);
        return NULL;
    }
    op->model = model_define(service, &service->operation_definitions, name, err);
    if (op->model.kind != VALUE_MAP)
        return NULL;
    op->service = service;
    op->name = str_copy(&service->arena, name);
    fill_operation(op);
    if (!op->name.ptr || !intern_end(service, op, "input", &op->input, err) ||
        !intern_end(service, op, "output", &op->output, err) || !intern_errors(service, op, err) ||
        !model_resolve_shapes(service, err) || !intern_service_errors(service, err) ||
        !own_payload(service, op, "input", &op->input, err) ||
        !own_payload(service, op, "output", &op->output, err))
        return NULL;
    for (size_t i = 0; op->input && i < op->input->shape->member_count; i++)
        if (op->input->shape->members[i].token)
            op->token = op->input->shape->members[i].name;
    if (!map_set(&service->operations, op->name, op)) {
        out_of_memory(err);
        return NULL;
    }
    return op;
}
