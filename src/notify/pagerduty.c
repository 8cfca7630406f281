// SPDX-License-Identifier: Apache-2.0
/* PagerDuty, Events API v2. An incident is a policy's on a resource: what is told triggers it, and
 * `healed` resolves it when it was triggered before; else it pages too (a trail that was switched
 * off and on again is worth a look). The thread's reference says which it was. */
#include "notify/notify_internal.h"

#include "base/hash.h"

#define SUMMARY_MAX 1000
#define DEDUP_MAX 255u

static const char *severity_of(struct str severity)
{
    return str_is(severity, "critical") ? "critical"
           : str_is(severity, "high")   ? "error"
           : str_is(severity, "info")   ? "info"
                                        : "warning";
}

static struct str dedup_key(const struct notice *notice, struct arena *arena)
{
    struct str key = STR_JOIN(arena, STR("rectify/"), value_path_str(notice->body, "policy"),
                              STR("/"), value_path_str(notice->body, "resource.key"));
    char hex[2 * HASH_SHA256_SIZE + 1];
    if (key.len <= DEDUP_MAX)
        return key;
    struct sha256 hash = hash_sha256(key.ptr, key.len);
    hash_hex(hash.bytes, sizeof hash.bytes, hex);
    return STR_JOIN(arena, STR("rectify/"), str_from(hex));
}

static struct value payload(const struct notice *notice, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    struct str source = value_path_str(notice->body, "resource.key");
    value_set(&out, "summary",
              value_string(text_safe(text_line(notice, arena), SUMMARY_MAX, false, arena)));
    value_set(&out, "source",
              value_string(source.len ? text_safe(source, 1000, false, arena) : STR("rectify")));
    value_set(&out, "severity", value_cstr(severity_of(value_path_str(notice->body, "severity"))));
    value_set(&out, "component", value_string(value_path_str(notice->body, "policy")));
    value_set(&out, "class", value_string(value_path_str(notice->body, "word")));
    value_set(&out, "custom_details", notice->body);
    return value_finish_map(&out);
}

void pagerduty_send(const struct notify *notify, const struct channel *channel,
                    const struct notice *notices, size_t count, struct arena *arena,
                    struct notify_result *ret)
{
    struct value_builder out = {.arena = arena};
    struct net_answer answer;
    struct error err;
    struct str key;
    bool resolve = str_is(value_path_str(notices[0].body, "word"), "healed") &&
                   str_is(notices[0].reference, "triggered");
    (void)count;
    if (!secret_read(channel->token, arena, &key, &err)) {
        notify_fail(ret, NOTIFY_LATER, "%s", err.message);
        return;
    }
    value_set(&out, "routing_key", value_string(key));
    value_set(&out, "event_action", value_cstr(resolve ? "resolve" : "trigger"));
    value_set(&out, "dedup_key", value_string(dedup_key(&notices[0], arena)));
    value_set(&out, "client", value_cstr("rectify"));
    value_set(&out, "payload", payload(&notices[0], arena));
    struct notify_call call = {.method = "POST",
                               .url = STR_JOIN(arena, channel->url, STR("/v2/enqueue")),
                               .body = notify_json(arena, value_finish_map(&out))};
    if (notify_call(notify, channel, &call, arena, &answer, ret))
        ret->reference = resolve ? STR("resolved") : STR("triggered");
}
