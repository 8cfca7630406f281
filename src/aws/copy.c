// SPDX-License-Identifier: Apache-2.0
/* Copies from another region: the service fetches the source by a presigned URL that the caller
 * makes, signed for the source's region, and that is a member of the request. */
#include "aws/client_internal.h"

#define EXPIRES_S 3600

static const struct {
    const char *service, *operation, *member;
} copies[] = {
    {"ec2", "CopySnapshot", "PresignedUrl"},
    {"rds", "CopyDBSnapshot", "PreSignedUrl"},
    {"rds", "CopyDBClusterSnapshot", "PreSignedUrl"},
    {"rds", "CreateDBCluster", "PreSignedUrl"},
    {"rds", "CreateDBInstanceReadReplica", "PreSignedUrl"},
    {"rds", "StartDBInstanceAutomatedBackupsReplication", "PreSignedUrl"},
    {"neptune", "CopyDBClusterSnapshot", "PreSignedUrl"},
    {"neptune", "CreateDBCluster", "PreSignedUrl"},
    {"docdb", "CopyDBClusterSnapshot", "PreSignedUrl"},
    {"docdb", "CreateDBCluster", "PreSignedUrl"},
};

/* `map` without one member. */
static struct value without(struct arena *arena, struct value map, const char *name)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; i < map.len; i++) {
        if (!str_is(value_str(map.pairs[i].key), name))
            value_set_str(&out, value_str(map.pairs[i].key), map.pairs[i].value);
    }
    return value_finish_map(&out);
}

static struct value with(struct arena *arena, struct value map, const char *name, struct str text)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; i < map.len; i++)
        value_set_str(&out, value_str(map.pairs[i].key), map.pairs[i].value);
    value_set(&out, name, value_string(text));
    return value_finish_map(&out);
}

static bool make_url(struct aws_client *client, const struct aws_sending *sending,
                     struct value input, struct str source, int64_t wall_ms, struct arena *arena,
                     struct str *ret, struct error *err)
{
    struct aws_sending from = *sending;
    struct buf extra = {.arena = arena};
    from.input = input;
    from.region = source;
    buf_add_cstr(&extra, "DestinationRegion=");
    aws_percent_encode(&extra, sending->region, "");
    struct aws_presigning how = {
        .wall_ms = wall_ms, .expires_s = EXPIRES_S, .extra = buf_str(&extra)};
    return aws_presign(client, &from, &how, arena, ret, err) ||
           error_context(err, "the presigned URL for %.*s", STR_FMT(source));
}

bool aws_copy_input(struct aws_client *client, const struct aws_sending *sending, int64_t wall_ms,
                    struct arena *arena, struct value *ret, struct error *err)
{
    const struct aws_operation *op = sending->operation;
    struct value input = *ret = sending->input;
    const char *member = NULL;
    for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
        if (str_is(op->service->name, copies[i].service) && str_is(op->name, copies[i].operation))
            member = copies[i].member;
    }
    struct str source = value_path_str(input, "SourceRegion"), url;
    if (!member || !source.len || !sending->credentials)
        return true;
    bool ec2 = str_is(op->service->name, "ec2");
    if (!ec2) // a member for clients only
        input = without(arena, input, "SourceRegion");
    const struct value *given = value_get(input, str_from(member));
    if (!given || given->kind == VALUE_NULL) {
        if (!make_url(client, sending, input, source, wall_ms, arena, &url, err))
            return false;
        input = with(arena, input, member, url);
        if (ec2)
            input = with(arena, input, "DestinationRegion", sending->region);
    }
    *ret = input;
    return input.kind == VALUE_MAP || error_set(err, "A0314", "out of memory");
}
