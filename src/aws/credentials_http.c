// SPDX-License-Identifier: Apache-2.0
/* Credentials from a link-local HTTP server: the container's (ECS, EKS Pod Identity) and the
 * instance's metadata service, version 2, or 1 where 2 is not there. */
#include "aws/credentials_internal.h"

#include <stdio.h>
#include <time.h>

#define CONTAINER_TIMEOUT_MS 2000
#define CONTAINER_ATTEMPTS 3
#define METADATA_TIMEOUT_MS 1000
#define METADATA_EXTENSION_MS 900000 // expired ones of a service in trouble live on so much longer
#define METADATA_PATH "/latest/meta-data/iam/security-credentials/"

static void get(struct provider_call *p, const char *method, struct str url,
                const struct net_header *header, int64_t timeout_ms, struct net_answer *ret)
{
    const struct aws_world *world = &p->client->world;
    struct net_request request = {.method = str_from(method),
                                  .url = url,
                                  .headers = header,
                                  .header_count = header ? 1 : 0,
                                  .deadline_ms = clock_steady_ms(world->clock) + timeout_ms,
                                  .connect_timeout_ms = timeout_ms};
    world->http(world->http_ctx, &request, p->arena, ret);
}

/* ---- containers ---- */

static bool is_allowed_host(struct str url)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]",
                                        "localhost", "[::1]"};
    struct str rest = url;
    if (str_starts(rest, STR("https://")))
        return true;
    if (!str_starts(rest, STR("http://")))
        return false;
    rest = str_sub(rest, 7, SIZE_MAX);
    struct str authority = str_cut(&rest, '/');
    if (str_find_byte(authority, '@') != SIZE_MAX)
        return false;
    size_t end = authority.len && authority.ptr[0] == '[' ? str_find_byte(authority, ']') + 1
                                                          : str_find_byte(authority, ':');
    struct str host = str_sub(authority, 0, end);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (str_is(host, hosts[i]))
            return true;
    }
    /* 127.0.0.0/8, spelled as an address: a name could begin like one. */
    bool digits = str_starts(host, STR("127."));
    for (size_t i = 0; i < host.len; i++)
        digits &= host.ptr[i] == '.' || (host.ptr[i] >= '0' && host.ptr[i] <= '9');
    return digits;
}

/* The address, or empty when no container is configured. False: it may not be asked. */
static bool container_url(struct provider_call *p, struct str *ret)
{
    const struct aws_world *world = &p->client->world;
    struct str relative = aws_world_env(world, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str full = aws_world_env(world, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    *ret = (struct str){0};
    if (relative.len) {
        *ret = str_from(arena_printf(p->arena, "http://169.254.170.2%.*s", STR_FMT(relative)));
        return true;
    }
    if (full.len && !is_allowed_host(full))
        return error_set(p->err, "A0303",
                         "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a host of the "
                         "container's own");
    *ret = full;
    return true;
}

/* The token is read anew each time: it changes. */
static bool container_token(struct provider_call *p, struct str *ret)
{
    const struct aws_world *world = &p->client->world;
    struct str path = aws_world_env(world, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    *ret = aws_world_env(world, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (path.len && !world->read_file(world->file_ctx, path.ptr, p->arena, ret))
        return error_set(p->err, "A0303", "the container's token %.*s cannot be read",
                         STR_FMT(path));
    *ret = path.len ? str_trim(*ret) : *ret;
    if (ret->len && (memchr(ret->ptr, '\r', ret->len) || memchr(ret->ptr, '\n', ret->len)))
        return error_set(p->err, "A0303", "the container's token holds a line break");
    return true;
}

enum provided provide_container(struct provider_call *p)
{
    struct str url, token;
    if (!container_url(p, &url))
        return BROKEN;
    if (!url.len)
        return NOT_PROVIDED;
    if (!container_token(p, &token))
        return BROKEN;
    struct net_header header = {STR("Authorization"), token};
    struct net_answer answer;
    for (int attempt = 1;; attempt++) {
        get(p, "GET", url, token.len ? &header : NULL, CONTAINER_TIMEOUT_MS, &answer);
        bool answered = answer.outcome == NET_ANSWERED && answer.status < 500;
        if (answered || attempt == CONTAINER_ATTEMPTS)
            break;
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    if (answer.outcome == NET_ANSWERED && answer.status == 200)
        return provider_take_json(p, answer.body, "the container's credential service");
    error_set(p->err, "A0303", "the container's credential service: %s (status %d)", answer.reason,
              answer.status);
    return BROKEN;
}

/* ---- instances ---- */

static bool metadata_setting(const struct provider_call *p, const char *variable, const char *key,
                             struct str *ret)
{
    *ret = aws_world_env(&p->client->world, variable);
    if (!ret->len)
        *ret = aws_config_get(&p->client->config, key);
    return ret->len > 0;
}

static bool is_yes(const struct provider_call *p, const char *variable, const char *key)
{
    struct str s;
    return metadata_setting(p, variable, key, &s) && str_eq_nocase(s, STR("true"));
}

static bool metadata_base(struct provider_call *p, struct str *ret)
{
    struct str endpoint, mode;
    *ret = STR("http://169.254.169.254");
    if (metadata_setting(p, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint",
                         &endpoint)) {
        while (endpoint.len && endpoint.ptr[endpoint.len - 1] == '/')
            endpoint.len--;
        *ret = endpoint;
        return str_starts(endpoint, STR("http://")) || str_starts(endpoint, STR("https://")) ||
               error_set(p->err, "A0303", "the metadata service's endpoint %.*s is not an address",
                         STR_FMT(endpoint));
    }
    if (!metadata_setting(p, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                          "ec2_metadata_service_endpoint_mode", &mode) ||
        str_eq_nocase(mode, STR("ipv4")))
        return true;
    *ret = STR("http://[fd00:ec2::254]");
    return str_eq_nocase(mode, STR("ipv6")) ||
           error_set(p->err, "A0303", "`%.*s` is not a valid endpoint mode: IPv4 or IPv6",
                     STR_FMT(mode));
}

static struct str join(struct provider_call *p, struct str base, const char *path, struct str last)
{
    return str_from(arena_printf(p->arena, "%.*s%s%.*s", STR_FMT(base), path, STR_FMT(last)));
}

/* A session's token; empty = version 1. */
static enum provided metadata_token(struct provider_call *p, struct str base, struct str *ret)
{
    struct net_header ttl = {STR("x-aws-ec2-metadata-token-ttl-seconds"), STR("21600")};
    struct net_answer answer;
    get(p, "PUT", join(p, base, "/latest/api/token", (struct str){0}), &ttl, METADATA_TIMEOUT_MS,
        &answer);
    *ret = (struct str){0};
    if (answer.outcome == NET_ANSWERED && answer.status == 200) {
        *ret = str_trim(answer.body);
        return PROVIDED;
    }
    if (answer.outcome == NET_NOT_SENT)
        return NOT_PROVIDED; // no such service here
    bool old = answer.outcome != NET_ANSWERED || answer.status == 403 || answer.status == 404 ||
               answer.status == 405;
    if (old && !is_yes(p, "AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled"))
        return PROVIDED;
    error_set(p->err, "A0303", "the metadata service gave no token: %s (status %d)", answer.reason,
              answer.status);
    return BROKEN;
}

/* The service itself may be in trouble and hand out what has just expired: then better that than
 * none. */
static void extend_expired(struct provider_call *p)
{
    int64_t now_ms = clock_wall_ms(p->client->world.clock);
    uint32_t random;
    if (p->ret->expires_ms > now_ms + METADATA_EXTENSION_MS)
        return;
    clock_random(p->client->world.clock, &random, sizeof(random));
    p->ret->expires_ms = now_ms + METADATA_EXTENSION_MS + 120000 + random % 480000;
}

enum provided provide_metadata(struct provider_call *p)
{
    struct str base, token;
    if (str_eq_nocase(aws_world_env(&p->client->world, "AWS_EC2_METADATA_DISABLED"), STR("true")))
        return NOT_PROVIDED;
    if (!metadata_base(p, &base))
        return BROKEN;
    enum provided provided = metadata_token(p, base, &token);
    if (provided != PROVIDED)
        return provided;
    struct net_header header = {STR("x-aws-ec2-metadata-token"), token};
    const struct net_header *sent = token.len ? &header : NULL;
    struct net_answer answer;
    get(p, "GET", join(p, base, METADATA_PATH, (struct str){0}), sent, METADATA_TIMEOUT_MS,
        &answer);
    if (answer.outcome != NET_ANSWERED || answer.status != 200)
        return NOT_PROVIDED; // an instance without a role
    struct str role = str_trim(answer.body);
    role = str_sub(role, 0, str_find_byte(role, '\n'));
    get(p, "GET", join(p, base, METADATA_PATH, str_trim(role)), sent, METADATA_TIMEOUT_MS, &answer);
    if (answer.outcome != NET_ANSWERED || answer.status != 200) {
        error_set(p->err, "A0303", "the metadata service: %s (status %d)", answer.reason,
                  answer.status);
        return BROKEN;
    }
    provided = provider_take_json(p, answer.body, "the metadata service");
    if (provided == PROVIDED)
        extend_expired(p);
    return provided;
}
