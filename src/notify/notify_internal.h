// SPDX-License-Identifier: Apache-2.0
/* What the channels' files share. */
#ifndef RECTIFY_NOTIFY_NOTIFY_INTERNAL_H
#define RECTIFY_NOTIFY_NOTIFY_INTERNAL_H

#include "notify/notify.h"

/* One kind of channel: sends `count` notices as one message. */
typedef void (*notify_sender)(const struct notify *notify, const struct channel *channel,
                              const struct notice *notices, size_t count, struct arena *arena,
                              struct notify_result *ret);
void slack_send(const struct notify *notify, const struct channel *channel,
                const struct notice *notices, size_t count, struct arena *arena,
                struct notify_result *ret);
void jira_send(const struct notify *notify, const struct channel *channel,
               const struct notice *notices, size_t count, struct arena *arena,
               struct notify_result *ret);
void webhook_send(const struct notify *notify, const struct channel *channel,
                  const struct notice *notices, size_t count, struct arena *arena,
                  struct notify_result *ret);
void sns_send(const struct notify *notify, const struct channel *channel,
              const struct notice *notices, size_t count, struct arena *arena,
              struct notify_result *ret);
void pagerduty_send(const struct notify *notify, const struct channel *channel,
                    const struct notice *notices, size_t count, struct arena *arena,
                    struct notify_result *ret);

/* Sets outcome and error; for returning at once. */
void notify_fail(struct notify_result *ret, enum notify_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "Bearer TOKEN" of the channel's token. False: `ret` is set. */
bool notify_bearer(const struct channel *channel, struct arena *arena, struct str *ret_header,
                   struct notify_result *ret);
/* JSON text of a value; ptr NULL when memory ran out. */
struct str notify_json(struct arena *arena, struct value v);

/* Does the service know us? */
bool slack_check(const struct notify *notify, const struct channel *channel, struct arena *arena,
                 struct notify_result *ret);
bool jira_check(const struct notify *notify, const struct channel *channel, struct arena *arena,
                struct notify_result *ret);

/* ---- text.c: a notice in words ---- */

/* One line of plain text: "healed: r12 s3-tags on AWS::S3::Bucket name (account): message". */
struct str text_line(const struct notice *notice, struct arena *arena);
/* The calls, one a line; the differences that they make, one a line. */
struct str text_calls(const struct notice *notice, struct arena *arena);
struct str text_changes(const struct notice *notice, struct arena *arena);
/* Who, what, how much, until when: facts that a person decides by, one a line. */
struct str text_facts(const struct notice *notice, struct arena *arena);
/* Control characters, line breaks and characters that turn the writing round become visible. At
 * most `max` bytes; what is longer ends in "...". `lines`: line breaks stay. */
struct str text_safe(struct str s, size_t max, bool lines, struct arena *arena);

#endif
