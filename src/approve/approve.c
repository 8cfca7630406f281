// SPDX-License-Identifier: Apache-2.0
/* Signatures and times, and the table of channels that people answer on. See approve.h. */
#include "approve/approve_internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "model/model.h"
#include "value/json.h"

const char *const approve_headers[] = {
    "X-Slack-Request-Timestamp", "X-Slack-Signature", "webhook-id", "webhook-timestamp",
    "webhook-signature",         "X-Hub-Signature",   NULL};

struct str approve_header(const struct approve_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, str_from(name)))
            return r->headers[i].value;
    return (struct str){0};
}

bool approve_fresh(struct str timestamp, int64_t now_ms, struct error *err)
{
    int64_t seconds;
    if (!str_to_int64(timestamp, &seconds) || seconds < 0 || seconds > INT64_C(1) << 40)
        return error_set(err, "Q0002", "the request does not say when it was made");
    int64_t age = now_ms / 1000 - seconds;
    if (age <= APPROVE_WINDOW_S && age >= -APPROVE_WINDOW_S)
        return true;
    error_set(err, "Q0002", "the request is %lld s old", (long long)age);
    return error_hint(err, "it may be that the clocks differ: `rectify doctor` says more");
}

bool approve_with_secrets(const struct approve_request *r, approve_check check, struct error *err)
{
    const struct secret secrets[] = {r->channel->secret, r->channel->old_secret};
    bool good = false;
    for (size_t i = 0; i < 2; i++) {
        struct arena arena = {0};
        struct str secret;
        if (i && !secret_is_set(secrets[i]))
            continue;
        bool read = secret_read(secrets[i], &arena, &secret, err);
        if (read)
            good = check(r, secret, &arena) || good;
        arena_wipe(&arena);
        if (!read)
            return false;
    }
    return good || error_set(err, "Q0001", "the signature is not right");
}

bool approve_token(struct str text, struct approve_said *ret, struct error *err)
{
    struct str id = str_cut(&text, ' '), ask = str_cut(&text, ' '), hash = text;
    unsigned char bytes[32];
    if (!remediation_id_parse(id, &ret->id) || ask.len != 32 || !hash_from_hex(ask, bytes, 16) ||
        hash.len != 64 || !hash_from_hex(hash, bytes, 32))
        return error_set(err, "Q0003", "it does not say what it answers");
    ret->ask = ask;
    ret->plan_hash = hash;
    return true;
}

bool approve_read(const struct channel *channel, const struct approve_header *headers,
                  size_t header_count, struct str body, int64_t now_ms, struct arena *arena,
                  struct approve_said *ret, struct error *err)
{
    struct approve_request r = {channel, headers, header_count, body, now_ms, arena};
    *ret = (struct approve_said){.kind = APPROVE_NONE};
    if (body.len > LIMIT_CALLBACK_BYTES)
        return error_set(err, "Q0003", "the request is larger than 256 KiB");
    switch (channel->kind) {
    case CHANNEL_SLACK:
        return slack_genuine(&r, err) && approve_slack_parse(channel, body, arena, ret, err);
    case CHANNEL_WEBHOOK:
        return webhook_genuine(&r, err) && approve_webhook_parse(body, arena, ret, err);
    case CHANNEL_JIRA:
        return jira_genuine(&r, err) && jira_parse(&r, ret, err);
    case CHANNEL_SNS:
    case CHANNEL_PAGERDUTY:
    case CHANNEL_KIND_COUNT:
        break;
    }
    return error_set(err, "Q0004", "nobody answers on a channel of kind %s",
                     channel_kind_name(channel->kind));
}
