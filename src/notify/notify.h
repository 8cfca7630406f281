// SPDX-License-Identifier: Apache-2.0
/* Telling people over the channels of rectify.yaml: one notice, or a few at once, to one channel,
 * one attempt. Queues, order, pauses and repetitions are the outbox's (engine/outbox.c).
 *
 *   Slack      chat.postMessage, chat.update        api.slack.com
 *   Jira       REST v3 (Cloud) or v2 (Data Center)  developer.atlassian.com
 *   webhook    Standard Webhooks, HMAC-SHA256       standardwebhooks.com
 *   SNS        sns:Publish
 *   PagerDuty  Events API v2
 *
 * A notice's `body` is a map that engine/tell.c makes; what attackers can write in it (names, tags,
 * messages) is shown as text only, never as markup. Secrets are read when they are needed, wiped
 * after, and stand in no message, log or error. Addresses are public ones unless the channel says
 * `internal`. Any thread. Codes W0xxx. */
#ifndef RECTIFY_NOTIFY_NOTIFY_H
#define RECTIFY_NOTIFY_NOTIFY_H

#include "aws/aws.h"
#include "model/channel.h"
#include "net/net.h"
#include "value/value.h"

struct notify {
    struct net *net;
    const struct clock *clock;
    struct aws_models *models; // SNS only
    struct aws_caller caller;
};

struct notice {
    struct str key;       // the same whenever it is repeated
    struct str kind;      // "tell"; "ask": with the means to answer; "close": what asked is over
    struct str reference; // what the first of its thread was answered; empty = it is the first
    struct value body;
    int attempts; // before this one
};

enum notify_outcome {
    NOTIFY_SENT,
    NOTIFY_LATER, // try again
    NOTIFY_NEVER, // in vain, however often
};

struct notify_result {
    enum notify_outcome outcome;
    int64_t after_ms;     // NOTIFY_LATER: the service wants a pause of so long; 0 = it said nothing
    struct str reference; // in the arena; empty = as before
    char error[256];      // one line, without secrets
};

/* How many of the first may go out together: 1, or a run of "tell" that become one message. */
size_t notify_group(const struct channel *channel, const struct notice *notices, size_t count);
/* Sends what notify_group() says belongs together; they share the result. Blocks for at most
 * NOTIFY_DEADLINE_MS. */
#define NOTIFY_DEADLINE_MS 10000
void notify_send(const struct notify *notify, const struct channel *channel,
                 const struct notice *notices, size_t count, struct arena *arena,
                 struct notify_result *ret);

/* Can the channel be used? Its secrets are there; Slack and Jira are asked whether they know us;
 * nothing is sent to people. W0001, W0002, W0005 (what the service said). */
bool notify_check(const struct notify *notify, const struct channel *channel, struct arena *arena,
                  struct error *err) __attribute__((warn_unused_result));

/* ---- for what comes back (approve/) ---- */

/* The secret's text without white space around it. W0001 cannot be read, W0002 empty or over 4,096
 * bytes. The caller wipes the arena. */
bool secret_read(struct secret secret, struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));
static inline bool secret_is_set(struct secret secret)
{
    return secret.file.len || secret.env.len;
}

struct notify_call {
    const char *method;
    struct str url, body;
    struct str authorization; // whole header, empty = none
    const struct net_header *headers;
    size_t header_count;
    int64_t deadline_ms; // from now; 0 = NOTIFY_DEADLINE_MS
};
/* One call of a channel's service. True: status 2xx. Else `ret` says what to do about it. */
bool notify_call(const struct notify *notify, const struct channel *channel,
                 const struct notify_call *call, struct arena *arena, struct net_answer *ret_answer,
                 struct notify_result *ret);

/* Slack: asks why, in a dialog of its own; `trigger` is the click's, good for 3 s. */
bool notify_slack_ask_reason(const struct notify *notify, const struct channel *channel,
                             struct str trigger, struct str token, struct error *err)
    __attribute__((warn_unused_result));

/* Slack: a line that only this user sees, in the channel; at best. */
void notify_slack_whisper(const struct notify *notify, const struct channel *channel,
                          struct str user, struct str text);

struct jira_status { // of an issue, as Jira itself says
    bool yes, no;
    struct str by;      // account id (Cloud) or user name (Data Center) of who moved it there
    struct str comment; // of the same person, the newest
    int64_t at_ms;      // when it was moved
};
/* Reads the issue. False: `ret` says what to do about it. */
bool notify_jira_look(const struct notify *notify, const struct channel *channel, struct str issue,
                      struct arena *arena, struct jira_status *ret_status,
                      struct notify_result *ret);

/* Signature of a Standard Webhook: base64 of HMAC-SHA256 over "id.timestamp.body". `secret` is
 * whsec_BASE64 of 24 to 64 bytes (W0003). */
bool webhook_sign(struct str secret, struct str id, struct str timestamp, struct str body,
                  struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));

#endif
