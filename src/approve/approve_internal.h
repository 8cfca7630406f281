// SPDX-License-Identifier: Apache-2.0
/* What the channels' files share. */
#ifndef RECTIFY_APPROVE_APPROVE_INTERNAL_H
#define RECTIFY_APPROVE_APPROVE_INTERNAL_H

#include "approve/approve.h"

struct approve_request {
    const struct channel *channel;
    const struct approve_header *headers;
    size_t header_count;
    struct str body;
    int64_t now_ms;
    struct arena *arena;
};
/* A header's value, empty when it is not there. */
struct str approve_header(const struct approve_request *r, const char *name);
/* Is the time within the window? */
bool approve_fresh(struct str timestamp, int64_t now_ms, struct error *err);
/* Does one of the channel's secrets fit? Each is read, tried and wiped. */
typedef bool (*approve_check)(const struct approve_request *r, struct str secret,
                              struct arena *arena);
bool approve_with_secrets(const struct approve_request *r, approve_check check, struct error *err);
/* "r12 ASK HASH", as notify/ writes it into buttons. */
bool approve_token(struct str text, struct approve_said *ret, struct error *err);

bool slack_genuine(const struct approve_request *r, struct error *err);
bool webhook_genuine(const struct approve_request *r, struct error *err);
bool jira_genuine(const struct approve_request *r, struct error *err);
bool jira_parse(const struct approve_request *r, struct approve_said *ret, struct error *err);

#endif
