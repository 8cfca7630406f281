// SPDX-License-Identifier: Apache-2.0
/* Standard Webhooks: {type, timestamp, data}, signed by each secret that is good. */
#include "notify/notify_internal.h"

#include "base/hash.h"

#include <stdio.h>

#define SECRET_MIN 24 // bytes, as the specification has it
#define SECRET_MAX 64

bool webhook_sign(struct str secret, struct str id, struct str timestamp, struct str body,
                  struct arena *arena, struct str *ret, struct error *err)
{
    struct str key;
    if (str_starts(secret, STR("whsec_")))
        secret = str_sub(secret, 6, SIZE_MAX);
    if (!hash_from_base64(arena, secret, &key) || key.len < SECRET_MIN || key.len > SECRET_MAX)
        return error_set(err, "W0003",
                         "a webhook's secret is whsec_ and base64 of 24 to 64 random bytes");
    struct str text = STR_JOIN(arena, id, STR("."), timestamp, STR("."), body);
    if (!text.ptr)
        return error_set(err, "W0001", "out of memory");
    struct sha256 mac = hash_hmac_sha256(key, text);
    *ret = hash_base64(arena, (struct str){(const char *)mac.bytes, sizeof mac.bytes});
    return ret->ptr || error_set(err, "W0001", "out of memory");
}

/* "v1,SIGNATURE v1,SIGNATURE" */
static bool sign_all(const struct channel *channel, struct str id, struct str timestamp,
                     struct str body, struct arena *arena, struct str *ret, struct error *err)
{
    const struct secret secrets[] = {channel->secret, channel->old_secret};
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < 2; i++) {
        struct str secret, signature;
        if (i && !secret_is_set(secrets[i]))
            continue;
        if (!secret_read(secrets[i], arena, &secret, err) ||
            !webhook_sign(secret, id, timestamp, body, arena, &signature, err))
            return false;
        buf_printf(&out, "%sv1,%.*s", out.len ? " " : "", STR_FMT(signature));
    }
    *ret = buf_str(&out);
    return true;
}

static struct str body_of(const struct notice *notice, int64_t now_ms, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    char when[CLOCK_TEXT_SIZE];
    clock_format(now_ms, when);
    struct str word = value_path_str(notice->body, "word");
    struct str type = str_is(notice->kind, "tell") ? word : notice->kind;
    char name[64];
    snprintf(name, sizeof name, "rectify.%.*s", STR_FMT(str_sub(type, 0, 40)));
    for (char *p = name; *p; p++)
        *p = *p == ' ' ? '_' : *p;
    value_set(&out, "type", value_cstr(name));
    value_set(&out, "timestamp", value_cstr(when));
    value_set(&out, "data", notice->body);
    return notify_json(arena, value_finish_map(&out));
}

void webhook_send(const struct notify *notify, const struct channel *channel,
                  const struct notice *notices, size_t count, struct arena *arena,
                  struct notify_result *ret)
{
    int64_t now_ms = clock_wall_ms(notify->clock);
    struct str timestamp = str_from(arena_printf(arena, "%lld", (long long)(now_ms / 1000)));
    struct str signature, body = body_of(&notices[0], now_ms, arena);
    struct net_answer answer;
    struct error err;
    (void)count;
    if (!sign_all(channel, notices[0].key, timestamp, body, arena, &signature, &err)) {
        notify_fail(ret, NOTIFY_LATER, "%s", err.message);
        return;
    }
    struct net_header headers[] = {{STR("webhook-id"), notices[0].key},
                                   {STR("webhook-timestamp"), timestamp},
                                   {STR("webhook-signature"), signature}};
    struct notify_call call = {
        .method = "POST", .url = channel->to, .body = body, .headers = headers, .header_count = 3};
    (void)notify_call(notify, channel, &call, arena, &answer, ret);
}
