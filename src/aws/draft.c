// SPDX-License-Identifier: Apache-2.0
/* Calls that are shown instead of made: the request of a dry run, and presigned URLs. Credentials
 * are resolved as for a call, so what is shown is what would be sent. */
#include "aws/client_internal.h"

#define PRESIGN_SECONDS_MAX 604800

struct drafting {
    struct aws_client *client;
    struct aws_identity *identity;
    struct aws_sending sending;
    int64_t wall_ms;
};

static bool begin(struct aws_client *client, const struct aws_call *call, struct arena *arena,
                  struct drafting *ret, struct error *err)
{
    struct aws_source *source;
    struct str region = call->region.len ? call->region : client->region;
    *ret = (struct drafting){
        .client = client,
        .sending = {.operation = call->operation,
                    .input = call->input,
                    .region = region,
                    .deadline_ms = clock_steady_ms(client->world.clock) + AWS_CALL_DEADLINE_MS},
        .wall_ms = clock_wall_ms(client->world.clock) + atomic_load(&client->clock_offset_ms)};
    bool ok = aws_call_identify(client, call, region, arena, &source, &ret->identity, err);
    if (ret->identity)
        ret->sending.credentials = &ret->identity->credentials;
    bool refused;
    ok = ok && aws_discover(client, &ret->sending, arena, &refused, err);
    if (!ok)
        aws_identity_release(ret->identity);
    return ok;
}

bool aws_call_draft(struct aws_client *client, const struct aws_call *call, struct arena *arena,
                    struct aws_draft *ret, struct error *err)
{
    struct drafting drafting;
    struct aws_prepared made;
    if (!begin(client, call, arena, &drafting, err))
        return false;
    bool ok = aws_prepare(client, &drafting.sending, drafting.wall_ms, arena, &made, err);
    aws_identity_release(drafting.identity);
    if (!ok)
        return false;
    for (size_t i = 0; i < made.request.header_count; i++) {
        if (str_eq_nocase(made.request.headers[i].name, STR("x-amz-security-token")))
            made.request.headers[i].value = STR("***");
    }
    *ret = (struct aws_draft){made.request.method, made.url, made.request.headers,
                              made.request.header_count, made.request.body};
    return true;
}

bool aws_call_presign(struct aws_client *client, const struct aws_call *call, int64_t expires_s,
                      struct arena *arena, struct str *ret, struct error *err)
{
    struct drafting drafting;
    if (expires_s < 1 || expires_s > PRESIGN_SECONDS_MAX)
        return error_set(err, "A0315", "a presigned URL is good for 1 to %d seconds",
                         PRESIGN_SECONDS_MAX);
    if (!begin(client, call, arena, &drafting, err))
        return false;
    struct aws_presigning how = {.wall_ms = drafting.wall_ms, .expires_s = expires_s};
    bool ok = drafting.identity ? aws_presign(client, &drafting.sending, &how, arena, ret, err)
                                : error_set(err, "A0315", "the operation is not signed at all");
    aws_identity_release(drafting.identity);
    return ok;
}
