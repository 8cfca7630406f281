// SPDX-License-Identifier: Apache-2.0
/* The chain of credential providers. (first: environment and profile keys) */
#include "aws/client_internal.h"

bool aws_chain_fetch(struct aws_client *client, struct arena *arena, struct aws_credentials *ret,
                     struct error *err)
{
    struct str key = aws_world_env(&client->world, "AWS_ACCESS_KEY_ID");
    struct str secret = aws_world_env(&client->world, "AWS_SECRET_ACCESS_KEY");
    struct str token = aws_world_env(&client->world, "AWS_SESSION_TOKEN");
    if (!key.len) {
        key = aws_config_get(&client->config, "aws_access_key_id");
        secret = aws_config_get(&client->config, "aws_secret_access_key");
        token = aws_config_get(&client->config, "aws_session_token");
    }
    if (!key.len || !secret.len)
        return error_set(err, "A0302", "no credentials were found");
    *ret = (struct aws_credentials){
        str_copy(arena, key), str_copy(arena, secret), str_copy(arena, token), INT64_MAX, {0}};
    return true;
}

bool aws_role_fetch(struct aws_client *client, struct str role_arn, struct arena *arena,
                    struct aws_credentials *ret, struct error *err)
{
    (void)client, (void)role_arn, (void)arena, (void)ret;
    return error_set(err, "A0304", "not yet");
}
