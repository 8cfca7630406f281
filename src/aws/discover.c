// SPDX-License-Identifier: Apache-2.0
/* Services that give each account endpoints of its own: their DescribeEndpoints says which, and for
 * how long (trait endpointdiscovery). Asked before the first call of a (key, region, service) and
 * when what was said is over; not asked where an endpoint is configured. Where the model leaves it
 * open, only with AWS_ENABLE_ENDPOINT_DISCOVERY=true, and the ordinary endpoint stands in for an
 * answer that cannot be had. What the service says is only ever a host: the scheme stays. Any
 * thread. */
#include "aws/client_internal.h"

#include <stdlib.h>

#define HOST_SIZE 256
#define AGAIN_MS 60000 // after an answer that could not be had
#define PERIOD_MAX_MINUTES (24 * 60)

struct aws_discovered {
    int64_t until_ms; // steady clock
    char host[HOST_SIZE];
};

/* "host" or "host:port", with or without https:// before it. Empty: anything else. */
static struct str host_of(struct str address)
{
    struct str host =
        str_starts(address, STR("https://")) ? str_sub(address, 8, SIZE_MAX) : address;
    struct str rest = host, name = str_cut(&rest, ':');
    bool ok = name.len > 0 && host.len < HOST_SIZE;
    for (size_t i = 0; ok && i < name.len; i++)
        ok = name.ptr[i] == '.' || name.ptr[i] == '-' ||
             (name.ptr[i] >= '0' && name.ptr[i] <= '9') ||
             ((name.ptr[i] | 0x20) >= 'a' && (name.ptr[i] | 0x20) <= 'z');
    int64_t port = 1;
    ok = ok && (name.len == host.len || (str_to_int64(rest, &port) && port > 0 && port < 65536));
    return ok ? host : (struct str){0};
}

static struct str key_of(const struct aws_sending *sending, struct arena *arena)
{
    struct str access = sending->credentials ? sending->credentials->access_key : STR("");
    return STR_JOIN(arena, access, STR(" "), sending->region, STR(" "),
                    sending->operation->service->name);
}

/* A copy of what is known; `until_ms` 0 = nothing. */
static struct aws_discovered recall(struct aws_client *client, struct str key)
{
    pthread_rwlock_rdlock(&client->endpoint_lock);
    const struct aws_discovered *known = map_get(&client->discovered, key);
    struct aws_discovered copy = known ? *known : (struct aws_discovered){0};
    pthread_rwlock_unlock(&client->endpoint_lock);
    return copy;
}

static void remember(struct aws_client *client, struct str key, const struct aws_discovered *what)
{
    pthread_rwlock_wrlock(&client->endpoint_lock);
    struct arena *arena = &client->endpoint_arena;
    struct aws_discovered *known = map_get(&client->discovered, key);
    if (!known && client->discovered.count < AWS_ENDPOINTS_MAX) {
        struct str kept = str_copy(arena, key);
        known = kept.ptr ? ARENA_NEW(arena, struct aws_discovered) : NULL;
        if (known && !map_set(&client->discovered, kept, known))
            known = NULL;
    }
    if (known)
        *known = *what; // else it is asked again next time
    pthread_rwlock_unlock(&client->endpoint_lock);
}

static bool ask(struct aws_client *client, const struct aws_sending *sending, struct arena *arena,
                struct aws_discovered *ret, bool *ret_refused, struct error *err)
{
    struct str service = sending->operation->service->name;
    struct aws_sending asking = *sending;
    struct aws_answer answer;
    asking.operation = aws_operation_find(client->models,
                                          STR_JOIN(arena, service, STR(":DescribeEndpoints")), err);
    asking.input = (struct value){.kind = VALUE_MAP};
    asking.gate = NULL;
    if (!asking.operation)
        return false;
    aws_send(client, &asking, arena, &answer, NULL);
    *ret_refused = answer.outcome == AWS_REFUSED;
    if (answer.outcome != AWS_OK)
        return error_set(err, "A0344", "%.*s:DescribeEndpoints: %.*s: %.*s", STR_FMT(service),
                         STR_FMT(answer.code), STR_FMT(answer.message));
    struct str host = host_of(value_path_str(answer.output, "Endpoints.0.Address"));
    const struct value *period = value_path(answer.output, "Endpoints.0.CachePeriodInMinutes");
    if (!host.len)
        return error_set(err, "A0344", "%.*s:DescribeEndpoints gave no address", STR_FMT(service));
    int64_t minutes = period && period->kind == VALUE_INT ? period->i : 1;
    minutes = minutes < 1 ? 1 : minutes > PERIOD_MAX_MINUTES ? PERIOD_MAX_MINUTES : minutes;
    ret->until_ms = clock_steady_ms(client->world.clock) + minutes * 60000;
    memcpy(ret->host, host.ptr, host.len);
    ret->host[host.len] = '\0';
    return true;
}

bool aws_discover(struct aws_client *client, struct aws_sending *sending, struct arena *arena,
                  bool *ret_refused, struct error *err)
{
    *ret_refused = false;
    const struct aws_operation *op = sending->operation;
    if (!op->endpoint_discovery_required && !(op->endpoint_discovery && client->discover_optional))
        return true;
    if (aws_client_endpoint_url(client, op->service, arena).len)
        return true;
    struct str key = key_of(sending, arena);
    struct aws_discovered known = recall(client, key);
    if (clock_steady_ms(client->world.clock) >= known.until_ms) {
        struct aws_discovered new = {0};
        bool ok = key.ptr && ask(client, sending, arena, &new, ret_refused, err);
        if (!ok && op->endpoint_discovery_required && !known.host[0])
            return false;
        if (!ok) { // what it said before may be good still
            new = known;
            new.until_ms = clock_steady_ms(client->world.clock) + AGAIN_MS;
        }
        remember(client, key, &new);
        known = new;
    }
    sending->host = str_copy(arena, str_from(known.host));
    return sending->host.ptr || error_set(err, "A0314", "out of memory");
}

void aws_discover_forget(struct aws_client *client, const struct aws_sending *sending,
                         struct arena *arena)
{
    remember(client, key_of(sending, arena), &(struct aws_discovered){0});
}
