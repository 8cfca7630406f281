// SPDX-License-Identifier: Apache-2.0
/* rectify aws --list and --describe: what there is, and what an operation takes and gives. */
#include "cli/aws_internal.h"

#include "aws/waiter.h"

#include <stdio.h>

#define DEPTH_MAX 4 // of members that are shown

int cli_aws_list(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct str service = str_from(options->arg_count ? options->args[0] : NULL), *names;
    size_t count;
    struct aws_models *models = cli_open_models(options, &err);
    bool ok = models && aws_models_list(models, service, &arena, &names, &count, &err);
    for (size_t i = 0; ok && i < count; i++)
        printf(service.len ? "%s:%.*s\n" : "%s%.*s\n", service.len ? service.ptr : "",
               STR_FMT(names[i]));
    aws_models_close(models);
    return ok ? CLI_OK : cli_fail(&err);
}

static void add_kind(struct buf *out, const struct aws_shape *shape)
{
    static const char *const names[] = {
        [AWS_STRUCTURE] = "structure", [AWS_LIST] = "list",           [AWS_MAP] = "map",
        [AWS_STRING] = "string",       [AWS_INTEGER] = "integer",     [AWS_LONG] = "long",
        [AWS_FLOAT] = "float",         [AWS_DOUBLE] = "double",       [AWS_BOOLEAN] = "boolean",
        [AWS_BLOB] = "blob",           [AWS_TIMESTAMP] = "timestamp",
    };
    enum aws_shape_kind kind = aws_shape_kind(shape);
    if (aws_shape_is_document(shape)) {
        buf_add_cstr(out, "any JSON");
        return;
    }
    buf_add_cstr(out, names[kind]);
    if (kind == AWS_LIST || kind == AWS_MAP) {
        buf_add_cstr(out, " of ");
        add_kind(out, aws_shape_item(shape));
    }
    struct value choices = aws_shape_choices(shape);
    for (uint32_t i = 0; i < choices.len; i++) {
        buf_add_cstr(out, i ? "|" : " ");
        buf_add_str(out, value_str(choices.items[i]));
    }
}

/* The structure in which a shape's members are: itself, or what its list or map holds. */
static const struct aws_shape *structure_of(const struct aws_shape *shape)
{
    while (aws_shape_kind(shape) == AWS_LIST || aws_shape_kind(shape) == AWS_MAP)
        shape = aws_shape_item(shape);
    return aws_shape_kind(shape) == AWS_STRUCTURE ? shape : NULL;
}

/* Recursive shapes exist: the depth ends them. */
static void add_members(struct buf *out, const struct aws_shape *shape, unsigned depth)
{
    for (size_t i = 0; i < aws_shape_member_count(shape); i++) {
        const struct aws_shape *member = aws_shape_member(shape, i);
        buf_printf(out, "%*s%.*s%s: ", (int)depth * 2, "", STR_FMT(aws_shape_member_name(shape, i)),
                   aws_shape_member_required(shape, i) ? " (required)" : "");
        add_kind(out, member);
        const struct aws_shape *inner = structure_of(member);
        if (inner && depth == DEPTH_MAX && aws_shape_member_count(inner))
            buf_add_cstr(out, " ...");
        buf_add_byte(out, '\n');
        if (inner && depth < DEPTH_MAX)
            add_members(out, inner, depth + 1);
    }
}

static void add_section(struct buf *out, const char *title, const struct aws_shape *shape)
{
    buf_printf(out, "\n%s:%s\n", title, shape && aws_shape_member_count(shape) ? "" : " nothing");
    if (shape)
        add_members(out, shape, 1);
}

static void describe(struct buf *out, struct arena *arena, const struct aws_operation *op)
{
    struct str service = aws_operation_service(op), name = aws_operation_name(op), *waiters;
    size_t count = 0;
    buf_printf(out, "%.*s:%.*s  %.*s\n", STR_FMT(service), STR_FMT(name),
               STR_FMT(aws_operation_http(op, arena)));
    buf_printf(out, "  %s%s\n", aws_operation_is_read(op) ? "reads" : "may change something",
               aws_operation_is_paged(op) ? ", in pages (--all-pages)" : "");
    struct str token = aws_operation_token(op);
    if (token.len)
        buf_printf(out, "  client token: %.*s, filled when it is not given\n", STR_FMT(token));
    if (aws_waiter_list(op, arena, &waiters, &count))
        for (size_t i = 0; i < count; i++)
            buf_printf(out, "%s%.*s%s", i ? ", " : "  waiters (--wait): ", STR_FMT(waiters[i]),
                       i + 1 == count ? "\n" : "");
    buf_printf(out, "  https://docs.aws.amazon.com/goto/WebAPI/%.*s/%.*s\n",
               STR_FMT(aws_operation_service_uid(op)), STR_FMT(name));
    add_section(out, "Input", aws_operation_input(op));
    add_section(out, "Output", aws_operation_output(op));
    struct str errors = aws_operation_errors(op, arena);
    if (errors.len)
        buf_printf(out, "\nErrors: %.*s\n", STR_FMT(errors));
}

int cli_aws_describe(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct buf out = {.arena = &arena};
    if (options->arg_count == 0)
        return cli_usage("say which operation: rectify aws --describe s3:PutBucketTagging");
    struct aws_models *models = cli_open_models(options, &err);
    const struct aws_operation *op =
        models ? aws_operation_find(models, str_from(options->args[0]), &err) : NULL;
    if (op) {
        describe(&out, &arena, op);
        cli_print(&out);
    }
    aws_models_close(models);
    return op ? CLI_OK : cli_fail(&err);
}

int cli_models_pack(const struct cli_options *options)
{
    struct error err;
    if (options->arg_count < 1 || options->arg_count > 2)
        return cli_usage("rectify models pack DIR [OUT]: DIR is botocore's data folder");
    const char *out = options->arg_count == 2 ? options->args[1] : "models";
    if (!aws_models_pack(options->args[0], out, &err))
        return cli_fail(&err);
    struct aws_models *models = aws_models_open(out, &err);
    struct arena arena ARENA_AUTO = {0};
    struct str *names, source = {0};
    size_t count = 0;
    bool ok = models && aws_models_list(models, (struct str){0}, &arena, &names, &count, &err);
    if (ok)
        source = aws_models_source(models);
    if (ok)
        printf("%s: %zu services, %.*s\n", out, count,
               STR_FMT(source.len ? source : STR("of an unknown version")));
    aws_models_close(models);
    return ok ? CLI_OK : cli_fail(&err);
}
