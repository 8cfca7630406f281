// SPDX-License-Identifier: Apache-2.0
/* A service's document to what the rest of aws/ asks of a service. Shapes are left for later,
 * and so is parsing them where they come from a pack. */
#include "aws/model_internal.h"

#include "value/json.h"

static struct value child_of(struct value map, const char *key)
{
    const struct value *v = value_get(map, str_from(key));
    return v ? *v : value_null();
}

static struct str text_of(struct value map, const char *key)
{
    return value_str(child_of(map, key));
}

static bool protocol_of(struct str name, enum aws_protocol *ret)
{
    /* In the order of preference among the protocols that a service offers. */
    static const struct {
        const char *name;
        enum aws_protocol protocol;
    } protocols[] = {
        {"json", AWS_PROTOCOL_JSON},         {"rest-json", AWS_PROTOCOL_REST_JSON},
        {"rest-xml", AWS_PROTOCOL_REST_XML}, {"smithy-rpc-v2-cbor", AWS_PROTOCOL_CBOR},
        {"query", AWS_PROTOCOL_QUERY},       {"ec2", AWS_PROTOCOL_EC2},
    };
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (str_is(name, protocols[i].name)) {
            *ret = protocols[i].protocol;
            return true;
        }
    }
    return false;
}

static bool choose_protocol(struct aws_service *service, struct error *err)
{
    struct value offered = child_of(service->metadata, "protocols");
    struct str only = text_of(service->metadata, "protocol");
    bool found = false;
    enum aws_protocol best = AWS_PROTOCOL_EC2;
    for (uint32_t i = 0; i < offered.len && offered.kind == VALUE_LIST; i++) {
        enum aws_protocol protocol;
        if (protocol_of(value_str(offered.items[i]), &protocol) && (!found || protocol < best)) {
            best = protocol;
            found = true;
        }
    }
    if (!found && !protocol_of(only, &best))
        return error_set(err, "A0109", "%.*s speaks a protocol that is not supported (%.*s)",
                         STR_FMT(service->name), STR_FMT(only));
    service->protocol = best;
    return true;
}

static enum aws_auth auth_of(struct value metadata)
{
    struct value list = child_of(metadata, "auth");
    struct str version = text_of(metadata, "signatureVersion");
    for (uint32_t i = 0; i < list.len && list.kind == VALUE_LIST; i++) {
        struct str name = value_str(list.items[i]);
        if (str_is(name, "aws.auth#sigv4") || str_is(name, "aws.auth#sigv4a"))
            return AWS_AUTH_SIGV4;
        if (str_is(name, "smithy.api#httpBearerAuth"))
            return AWS_AUTH_BEARER;
        if (str_is(name, "smithy.api#noAuth"))
            return AWS_AUTH_NONE;
    }
    return str_is(version, "bearer") ? AWS_AUTH_BEARER
           : str_is(version, "none") ? AWS_AUTH_NONE
                                     : AWS_AUTH_SIGV4;
}

static struct str first_of(struct str a, struct str b)
{
    return a.ptr ? a : b;
}

/* All but operations and shapes. */
static bool fill_head(struct aws_service *service, struct value document, struct error *err)
{
    struct value metadata = child_of(document, "metadata");
    struct value space = child_of(metadata, "xmlNamespace");
    service->metadata = metadata;
    service->client_contexts = child_of(document, "clientContextParams");
    service->paginators = child_of(document, "pagination");
    service->waiters = child_of(document, "waiters");
    service->signing_regions = child_of(document, "signingRegions");
    service->exceptions = child_of(document, "exceptions");
    service->service_id = text_of(metadata, "serviceId");
    service->endpoint_prefix = text_of(metadata, "endpointPrefix");
    service->signing_name = first_of(text_of(metadata, "signingName"), service->endpoint_prefix);
    service->api_version = text_of(metadata, "apiVersion");
    service->target_prefix = text_of(metadata, "targetPrefix");
    service->json_version = first_of(text_of(metadata, "jsonVersion"), STR("1.0"));
    service->xml_namespace = space.kind == VALUE_STRING ? value_str(space) : text_of(space, "uri");
    service->query_compatible = child_of(metadata, "awsQueryCompatible").kind != VALUE_NULL;
    service->auth = auth_of(metadata);
    service->shapes.arena = service->operations.arena = &service->arena;
    return choose_protocol(service, err);
}

/* ---- definitions ---- */

static bool damaged(const struct aws_service *service, struct error *err)
{
    return error_set(err, "A0104", "the model of %.*s is damaged", STR_FMT(service->name));
}

static bool add_definition(struct aws_service *service, struct aws_definitions *definitions,
                           struct aws_definition definition, struct error *err)
{
    struct aws_definition *place = &definitions->list[definitions->count];
    *place = definition;
    if (!map_set(&definitions->by_name, definition.name, place))
        return error_set(err, "A0100", "out of memory while loading %.*s", STR_FMT(service->name));
    definitions->count++;
    return true;
}

static bool make_room(struct aws_service *service, struct aws_definitions *definitions,
                      size_t count, struct error *err)
{
    definitions->by_name.arena = &service->arena;
    definitions->list = ARENA_ARRAY(&service->arena, struct aws_definition, count);
    return definitions->list ||
           error_set(err, "A0100", "out of memory while loading %.*s", STR_FMT(service->name));
}

static bool take_parsed(struct aws_service *service, struct value map,
                        struct aws_definitions *definitions, struct error *err)
{
    size_t count = map.kind == VALUE_MAP ? map.len : 0;
    if (!make_room(service, definitions, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct aws_definition definition = {.name = value_str(map.pairs[i].key),
                                            .parsed = map.pairs[i].value};
        if (!add_definition(service, definitions, definition, err))
            return false;
    }
    return true;
}

bool model_fill_service(struct aws_service *service, struct value document, struct error *err)
{
    if (child_of(document, "operations").kind != VALUE_MAP)
        return error_set(err, "A0104", "the model of %.*s is damaged: it has no operations",
                         STR_FMT(service->name));
    service->endpoint_rules.parsed = child_of(document, "rules");
    atomic_init(&service->endpoint_rules_parsed, true);
    return fill_head(service, document, err) &&
           take_parsed(service, child_of(document, "operations"), &service->operation_definitions,
                       err) &&
           take_parsed(service, child_of(document, "shapes"), &service->shape_definitions, err);
}

static size_t count_lines(struct str text)
{
    size_t count = 0;
    for (size_t at; (at = str_find_byte(text, '\n')) != SIZE_MAX; count++)
        text = str_sub(text, at + 1, SIZE_MAX);
    return count;
}

/* Lines of `"Name":{...},` up to one that begins with '}'. */
static bool take_lines(struct aws_service *service, struct str *text,
                       struct aws_definitions *definitions, struct error *err)
{
    while (text->len && text->ptr[0] != '}') {
        struct str line = str_cut(text, '\n');
        if (line.len && line.ptr[line.len - 1] == ',')
            line.len--;
        size_t quote = line.len && line.ptr[0] == '"'
                           ? str_find_byte(str_sub(line, 1, SIZE_MAX), '"')
                           : SIZE_MAX;
        if (quote == SIZE_MAX || quote + 3 > line.len)
            return damaged(service, err);
        struct aws_definition definition = {.name = str_sub(line, 1, quote),
                                            .text = str_sub(line, quote + 3, SIZE_MAX)};
        if (!add_definition(service, definitions, definition, err))
            return false;
    }
    return true;
}

bool model_check_format(struct value head, const char *dir, struct error *err)
{
    const struct value *format = value_get(head, STR("format"));
    if (format && format->kind == VALUE_INT && format->i == MODEL_PACK_FORMAT)
        return true;
    bool told = format && format->kind == VALUE_INT;
    error_set(
        err, "A0111",
        "the model pack %s was made by another version of rectify (format %lld, %d is needed)", dir,
        told ? (long long)format->i : 1LL, MODEL_PACK_FORMAT);
    return error_hint(err, "make it anew: rectify models pack BOTOCORE_DATA %s", dir);
}

bool model_fill_packed(struct aws_service *service, struct str text, struct error *err)
{
    static const struct str rules = STR("\n\"rules\":"), operations = STR(",\n\"operations\":{\n"),
                            shapes = STR("},\n\"shapes\":{\n");
    size_t at = str_find(text, rules), end = str_find(text, operations);
    struct value head;
    if (at == SIZE_MAX || at == 0 || end == SIZE_MAX || end < at + rules.len)
        return damaged(service, err);
    char *copy = arena_copy(&service->arena, text.ptr, at);
    if (!copy)
        return error_set(err, "A0100", "out of memory while loading %.*s", STR_FMT(service->name));
    copy[at - 1] = '}'; // the comma before the rules
    if (!json_parse(&service->arena, (struct str){copy, at}, &head, err))
        return error_context(err, "the model of %.*s", STR_FMT(service->name));
    service->endpoint_rules.text = str_sub(text, at + rules.len, end - at - rules.len);
    struct str rest = str_sub(text, end + operations.len, SIZE_MAX);
    size_t lines = count_lines(rest);
    if (!model_check_format(head, service->models->dir, err) || !fill_head(service, head, err) ||
        !make_room(service, &service->operation_definitions, lines, err) ||
        !take_lines(service, &rest, &service->operation_definitions, err))
        return false;
    if (!str_starts(rest, shapes))
        return damaged(service, err);
    rest = str_sub(rest, shapes.len, SIZE_MAX);
    return make_room(service, &service->shape_definitions, count_lines(rest) + 1, err) &&
           take_lines(service, &rest, &service->shape_definitions, err);
}

static bool parse(struct aws_service *service, struct aws_definition *definition, struct error *err)
{
    return definition->parsed.kind != VALUE_NULL || !definition->text.ptr ||
           json_parse(&service->arena, definition->text, &definition->parsed, err) ||
           error_context(err, "the model of %.*s", STR_FMT(service->name));
}

struct value model_define(struct aws_service *service, struct aws_definitions *definitions,
                          struct str name, struct error *err)
{
    struct aws_definition *definition = map_get(&definitions->by_name, name);
    if (!definition) {
        error_set(err, "A0104", "the model of %.*s is damaged: it has no \"%.*s\"",
                  STR_FMT(service->name), STR_FMT(name));
        return value_null();
    }
    return parse(service, definition, err) ? definition->parsed : value_null();
}

bool model_parse_endpoint_rules(struct aws_service *service, struct error *err)
{
    if (!parse(service, &service->endpoint_rules, err))
        return false;
    atomic_store_explicit(&service->endpoint_rules_parsed, true, memory_order_release);
    return true;
}
