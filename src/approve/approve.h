// SPDX-License-Identifier: Apache-2.0
/* What people answer over the channels of rectify.yaml: is it genuine, and what does it say? Who
 * may decide is another question (engine/people.c).
 *
 *   Slack    v0 signature over "v0:time:body"; clicks and dialogs as a form with JSON in it
 *   webhook  Standard Webhooks; several secrets and several signatures while one is changed
 *   Jira     only a hint that an issue has changed: Jira itself is asked then
 *
 * A signature is compared in constant time, over the bytes as they came, before anything of them is
 * parsed; times may differ by APPROVE_WINDOW_S. Pure functions but for reading secrets; any thread.
 * Codes Q0xxx: Q0001 not genuine, Q0002 too old or from the future, Q0003 not to be understood,
 * Q0004 genuine, but from elsewhere. */
#ifndef RECTIFY_APPROVE_APPROVE_H
#define RECTIFY_APPROVE_APPROVE_H

#include "notify/notify.h"

#define APPROVE_WINDOW_S 300

struct approve_header {
    struct str name, value;
};
/* The headers that any of them looks at; ends with NULL. */
extern const char *const approve_headers[];

enum approve_kind {
    APPROVE_ANSWER, // yes or no, with all that it takes
    APPROVE_REASON, // Slack: wants to say no; why is to be asked
    APPROVE_LOOK,   // Jira: look at the issue
    APPROVE_NONE,   // genuine, and nothing to us
};

struct approve_said {
    enum approve_kind kind;
    int64_t id;
    struct str ask, plan_hash, identity, reason;
    bool yes;
    struct str trigger, token; // APPROVE_REASON: for the dialog
    struct str issue;          // APPROVE_LOOK
};

/* One request to `channel`. Strings of `ret` are in the arena. False: it is to be refused. */
bool approve_read(const struct channel *channel, const struct approve_header *headers,
                  size_t header_count, struct str body, int64_t now_ms, struct arena *arena,
                  struct approve_said *ret, struct error *err) __attribute__((warn_unused_result));

/* ---- for tests and fuzzers ---- */

/* The value of `name` in a form (application/x-www-form-urlencoded), decoded. False: it is not
 * there, or no form. */
bool approve_form(struct str body, const char *name, struct arena *arena, struct str *ret)
    __attribute__((warn_unused_result));
bool approve_slack_parse(const struct channel *channel, struct str body, struct arena *arena,
                         struct approve_said *ret, struct error *err)
    __attribute__((warn_unused_result));
bool approve_webhook_parse(struct str body, struct arena *arena, struct approve_said *ret,
                           struct error *err) __attribute__((warn_unused_result));

#endif
