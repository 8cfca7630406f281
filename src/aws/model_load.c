// SPDX-License-Identifier: Apache-2.0
/* A service's document to what the rest of aws/ asks of a service. Shapes are left for later. */
#include "aws/model_internal.h"

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

bool model_fill_service(struct aws_service *service, struct value document, struct error *err)
{
    struct value metadata = child_of(document, "metadata");
    struct value space = child_of(metadata, "xmlNamespace");
    service->metadata = metadata;
    service->operations_model = child_of(document, "operations");
    service->shapes_model = child_of(document, "shapes");
    service->endpoint_rules = child_of(document, "rules");
    service->client_contexts = child_of(document, "clientContextParams");
    service->paginators = child_of(document, "pagination");
    service->waiters = child_of(document, "waiters");
    service->service_id = text_of(metadata, "serviceId");
    service->endpoint_prefix = text_of(metadata, "endpointPrefix");
    service->signing_name = first_of(text_of(metadata, "signingName"), service->endpoint_prefix);
    service->api_version = text_of(metadata, "apiVersion");
    service->target_prefix = text_of(metadata, "targetPrefix");
    service->json_version = first_of(text_of(metadata, "jsonVersion"), STR("1.0"));
    service->xml_namespace = space.kind == VALUE_STRING ? value_str(space) : text_of(space, "uri");
    service->query_compatible = child_of(metadata, "awsQueryCompatible").kind != VALUE_NULL;
    service->auth = auth_of(metadata);
    if (service->operations_model.kind != VALUE_MAP)
        return error_set(err, "A0104", "the model of %.*s is damaged: it has no operations",
                         STR_FMT(service->name));
    return choose_protocol(service, err);
}
