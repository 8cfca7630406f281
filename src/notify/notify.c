// SPDX-License-Identifier: Apache-2.0
/* The table of channels, and one call of a channel's service. See notify.h. */
#include "notify/notify_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/limits.h"
#include "value/json.h"

static const struct {
    notify_sender send;
    size_t group_max; // notices that become one message
} channels[] = {
    [CHANNEL_SLACK] = {slack_send, 20},        [CHANNEL_JIRA] = {jira_send, 1},
    [CHANNEL_WEBHOOK] = {webhook_send, 1},     [CHANNEL_SNS] = {sns_send, 20},
    [CHANNEL_PAGERDUTY] = {pagerduty_send, 1},
};

void notify_fail(struct notify_result *ret, enum notify_outcome outcome, const char *format, ...)
{
    va_list args;
    ret->outcome = outcome;
    va_start(args, format);
    vsnprintf(ret->error, sizeof ret->error, format, args);
    va_end(args);
}

/* What belongs to a question is a message of its own. */
size_t notify_group(const struct channel *channel, const struct notice *notices, size_t count)
{
    size_t n = 0, max = channels[channel->kind].group_max;
    while (n < count && n < max && str_is(notices[n].kind, "tell"))
        n++;
    return n ? n : 1;
}

void notify_send(const struct notify *notify, const struct channel *channel,
                 const struct notice *notices, size_t count, struct arena *arena,
                 struct notify_result *ret)
{
    *ret = (struct notify_result){.outcome = NOTIFY_SENT};
    channels[channel->kind].send(notify, channel, notices, count, arena, ret);
}

struct str notify_json(struct arena *arena, struct value v)
{
    struct buf out = {.arena = arena};
    json_write(&out, v, JSON_COMPACT);
    return buf_str(&out);
}

bool notify_bearer(const struct channel *channel, struct arena *arena, struct str *ret_header,
                   struct notify_result *ret)
{
    struct error err;
    struct str token;
    if (!secret_read(channel->token, arena, &token, &err)) {
        notify_fail(ret, NOTIFY_LATER, "%s", err.message);
        return false;
    }
    *ret_header = STR_JOIN(arena, STR("Bearer "), token);
    if (!ret_header->ptr)
        notify_fail(ret, NOTIFY_LATER, "out of memory");
    return ret_header->ptr != NULL;
}

/* Seconds, as all of these services say it; a date is not understood and gives our own pause. */
static int64_t retry_after(const struct net_answer *answer)
{
    int64_t seconds;
    struct str text = net_answer_header(answer, STR("Retry-After"));
    if (!str_to_int64(str_trim(text), &seconds) || seconds < 0)
        return 0;
    return seconds < LIMIT_RETRY_AFTER_SECONDS ? seconds * 1000
                                               : (int64_t)LIMIT_RETRY_AFTER_SECONDS * 1000;
}

/* Refusals that may pass once somebody has put something right are tried again. */
static bool may_pass(int status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429 || status == 401 ||
           status == 403 || status == 404;
}

bool notify_call(const struct notify *notify, const struct channel *channel,
                 const struct notify_call *call, struct arena *arena, struct net_answer *ret_answer,
                 struct notify_result *ret)
{
    struct net_header headers[8];
    size_t count = 0;
    int64_t deadline = call->deadline_ms ? call->deadline_ms : NOTIFY_DEADLINE_MS;
    for (; count < call->header_count && count < 6; count++)
        headers[count] = call->headers[count];
    if (call->body.len)
        headers[count++] =
            (struct net_header){STR("Content-Type"), STR("application/json; charset=utf-8")};
    if (call->authorization.len)
        headers[count++] = (struct net_header){STR("Authorization"), call->authorization};
    struct net_request request = {.method = str_from(call->method),
                                  .url = call->url,
                                  .headers = headers,
                                  .header_count = count,
                                  .body = call->body,
                                  .deadline_ms = clock_steady_ms(notify->clock) + deadline,
                                  .public_only = !channel->internal};
    net_request(notify->net, &request, arena, ret_answer);
    if (ret_answer->outcome != NET_ANSWERED) {
        notify_fail(ret, NOTIFY_LATER, "%s", ret_answer->reason);
        return false;
    }
    if (ret_answer->status / 100 == 2)
        return true;
    notify_fail(ret, may_pass(ret_answer->status) ? NOTIFY_LATER : NOTIFY_NEVER,
                "%s answered with status %d", channel_kind_name(channel->kind), ret_answer->status);
    ret->after_ms = retry_after(ret_answer);
    return false;
}

bool notify_check(const struct notify *notify, const struct channel *channel, struct arena *arena,
                  struct error *err)
{
    const struct secret secrets[] = {channel->token, channel->secret, channel->old_secret};
    struct notify_result result = {0};
    for (size_t i = 0; i < 3; i++) {
        struct str ignored;
        if (secret_is_set(secrets[i]) && !secret_read(secrets[i], arena, &ignored, err))
            return false;
    }
    bool ok = true;
    if (channel->kind == CHANNEL_SLACK)
        ok = slack_check(notify, channel, arena, &result);
    else if (channel->kind == CHANNEL_JIRA)
        ok = jira_check(notify, channel, arena, &result);
    return ok || error_set(err, "W0005", "%s", result.error);
}
