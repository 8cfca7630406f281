// SPDX-License-Identifier: Apache-2.0
/* A client: configuration read once, and what its calls share. */
#include "aws/client_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

static bool is_true(struct str s)
{
    return str_eq_nocase(s, STR("true"));
}

/* The environment's word, else the profile's. */
static struct str setting(const struct aws_client *client, const char *variable, const char *key)
{
    struct str s = aws_world_env(&client->world, variable);
    return s.len ? s : aws_config_get(&client->config, key);
}

static void read_settings(struct aws_client *client)
{
    struct str region = aws_world_env(&client->world, "AWS_REGION");
    if (!region.len)
        region = setting(client, "AWS_DEFAULT_REGION", "region");
    client->region = str_copy(&client->arena, region);
    client->discover_optional =
        is_true(setting(client, "AWS_ENABLE_ENDPOINT_DISCOVERY", "endpoint_discovery_enabled"));
    client->fips = is_true(setting(client, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"));
    client->dual_stack =
        is_true(setting(client, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
    client->ignore_endpoints = is_true(
        setting(client, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"));
    client->no_host_prefix = is_true(
        setting(client, "AWS_DISABLE_HOST_PREFIX_INJECTION", "disable_host_prefix_injection"));
    struct str s3 = aws_config_get(&client->config, "s3");
    client->s3_path_style = str_is(aws_config_nested(s3, "addressing_style"), "path");
    /* Servers that speak S3 and still want Content-MD5. */
    client->checksum_md5 =
        str_eq_nocase(aws_world_env(&client->world, "AWS_S3_CHECKSUM"), STR("md5")) ||
        str_eq_nocase(aws_config_nested(s3, "checksum"), STR("md5"));
}

static bool check_settings(const struct aws_client *client, struct error *err)
{
    struct str region = client->region;
    for (size_t i = 0; i < region.len; i++) {
        char c = region.ptr[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return error_set(err, "A0313", "the region `%.*s` is not a region's name",
                             STR_FMT(region));
    }
    return true;
}

struct aws_client *aws_client_create_in(struct aws_models *models, const struct aws_world *world,
                                        int in_flight_max, struct error *err)
{
    struct aws_client *client = calloc(1, sizeof(*client));
    if (!client) {
        error_set(err, "A0306", "out of memory");
        return NULL;
    }
    client->models = models;
    client->world = *world;
    client->endpoints.arena = client->bucket_regions.arena = client->discovered.arena =
        &client->endpoint_arena;
    client->roles.arena = &client->roles_arena;
    client->retry_scopes.arena = &client->retry_arena;
    pthread_mutex_init(&client->retry_lock, NULL);
    pthread_rwlock_init(&client->endpoint_lock, NULL);
    pthread_mutex_init(&client->partitions_lock, NULL);
    pthread_mutex_init(&client->roles_lock, NULL);
    sem_init(&client->slots, 0, in_flight_max > 0 ? (unsigned)in_flight_max : 64);
    client->keys = aws_key_cache_create();
    client->chain = aws_source_create(client);
    client->accounts = aws_account_calls_create();
    client->session = STR("rectify");
    bool ok = client->keys && client->chain && client->accounts;
    if (!ok)
        error_set(err, "A0306", "out of memory");
    ok = ok && aws_config_load(&client->world, &client->arena, &client->config, err);
    if (ok) {
        read_settings(client);
        ok = check_settings(client, err) &&
             aws_retry_configure(client, setting(client, "AWS_RETRY_MODE", "retry_mode"),
                                 setting(client, "AWS_MAX_ATTEMPTS", "max_attempts"), err);
    }
    if (ok)
        return client;
    aws_client_destroy(client);
    return NULL;
}

struct aws_client *aws_client_create(const struct aws_client_options *options, struct error *err)
{
    struct aws_world world = aws_world_system(options->net, options->clock);
    if (options->env) {
        world.env = options->env;
        world.env_ctx = options->env_ctx;
    }
    struct aws_client *client =
        aws_client_create_in(options->models, &world, options->in_flight_max, err);
    if (client && options->session.len) {
        client->session = str_copy(&client->arena, options->session);
        if (!client->session.ptr) {
            error_set(err, "A0306", "out of memory");
            aws_client_destroy(client);
            return NULL;
        }
    }
    return client;
}

void aws_client_destroy(struct aws_client *client)
{
    if (!client)
        return;
    for (struct aws_source *role = client->all_roles, *next; role; role = next) {
        next = role->next;
        aws_source_destroy(role);
    }
    aws_source_destroy(client->chain);
    aws_key_cache_destroy(client->keys);
    aws_account_calls_destroy(client->accounts);
    aws_retry_finish(client);
    sem_destroy(&client->slots);
    pthread_mutex_destroy(&client->retry_lock);
    pthread_mutex_destroy(&client->roles_lock);
    pthread_mutex_destroy(&client->partitions_lock);
    pthread_rwlock_destroy(&client->endpoint_lock);
    arena_finish(&client->endpoint_arena);
    arena_finish(&client->roles_arena);
    arena_finish(&client->retry_arena);
    arena_finish(&client->arena);
    free(client);
}

struct str aws_client_region(const struct aws_client *client)
{
    return client->region;
}
