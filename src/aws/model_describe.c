// SPDX-License-Identifier: Apache-2.0
/* What people ask of an operation: its request line, documentation link, errors. */
#include "aws/aws_internal.h"

static const char *protocol_name(enum aws_protocol protocol)
{
    static const char *const names[] = {
        [AWS_PROTOCOL_JSON] = "json",         [AWS_PROTOCOL_REST_JSON] = "rest-json",
        [AWS_PROTOCOL_REST_XML] = "rest-xml", [AWS_PROTOCOL_CBOR] = "cbor",
        [AWS_PROTOCOL_QUERY] = "query",       [AWS_PROTOCOL_EC2] = "ec2",
    };
    return names[protocol];
}

struct str aws_operation_http(const struct aws_operation *op, struct arena *arena)
{
    return STR_JOIN(arena, op->method, STR(" "), op->uri, STR(" ("),
                    str_from(protocol_name(op->service->protocol)), STR(")"));
}

struct str aws_operation_service_uid(const struct aws_operation *op)
{
    struct str uid = value_path_str(op->service->metadata, "uid");
    return uid.len ? uid : op->service->name;
}

struct str aws_operation_errors(const struct aws_operation *op, struct arena *arena)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < op->error_count; i++) {
        const struct aws_shape *shape = op->errors[i];
        if (i)
            buf_add_byte(&out, ' ');
        buf_add_str(&out, shape->error_code.len ? shape->error_code : shape->name);
    }
    return op->error_count ? buf_str(&out) : (struct str){0};
}

struct value aws_shape_choices(const struct aws_shape *shape)
{
    return shape->choices.kind == VALUE_LIST ? shape->choices : value_null();
}
