// SPDX-License-Identifier: Apache-2.0
/* How people are reached and who they are, as rectify.yaml says: plain data. Texts live as long as
 * the policy set. Secrets are never here: only where to read them, each time they are needed. */
#ifndef RECTIFY_MODEL_CHANNEL_H
#define RECTIFY_MODEL_CHANNEL_H

#include "base/str.h"

#include <stdint.h>

/* What may be told of a remediation: name in code, word in `on:`, meaning. */
#define TELLINGS(X)                                                                                \
    X(OBSERVED, "observed", "a violation was only watched")                                        \
    X(ASKED, "asked", "a person has to decide")                                                    \
    X(HELD, "held", "a guard holds the repair back")                                               \
    X(HEALED, "healed", "repaired, and reading back shows it")                                     \
    X(FAILED, "failed", "a person has to look: stopped, or never seen to have worked")             \
    X(ROLLED_BACK, "rolled back", "what was changed has been taken back")                          \
    X(DENIED, "denied", "a person said no")                                                        \
    X(EXPIRED, "expired", "nobody answered in time; nothing was done")                             \
    X(PAGE, "page", "something else that a person has to know now")

enum telling {
#define TELLING_ENUM(name, word, meaning) TELLING_##name,
    TELLINGS(TELLING_ENUM)
#undef TELLING_ENUM
        TELLING_COUNT
};
const char *telling_word(enum telling telling);
bool telling_parse(struct str word, enum telling *ret) __attribute__((warn_unused_result));

enum channel_kind {
    CHANNEL_SLACK,
    CHANNEL_JIRA,
    CHANNEL_WEBHOOK,
    CHANNEL_SNS,
    CHANNEL_PAGERDUTY,
    CHANNEL_KIND_COUNT
};
const char *channel_kind_name(enum channel_kind kind);
bool channel_kind_parse(struct str name, enum channel_kind *ret)
    __attribute__((warn_unused_result));

/* Where a secret is: one of the two, or neither. */
struct secret {
    struct str file, env;
};

struct channel {
    struct str name;
    enum channel_kind kind;
    struct str to;            // Slack: channel id; Jira: project; webhook: URL; SNS: topic's ARN
    struct str url;           // of the service, without a slash at the end
    struct secret token;      // by which the service knows us; PagerDuty: routing key
    struct secret secret;     // by which we know the service; webhook: signs both ways
    struct secret old_secret; // good too while a secret is being changed; empty = none
    struct str team, app;     // Slack: whose clicks count
    struct str user;          // Jira Cloud: the account of the token; empty = a Data Center's token
    struct str issue_type, approve, deny, done; // Jira: names
    struct str *owners;                         // globs: whose policies' `to: owner` it is
    size_t owner_count;
    unsigned on;     // bits 1 << enum telling: told of every policy
    bool internal;   // its address may be a private one
    bool may_decide; // people may answer on it
};

struct person {
    struct str name;
    struct str *ids; // "slack:U123", "jira:557058:ab", "unix:ann", "webhook:ann"
    size_t id_count;
    struct str *aws; // globs of ARNs by which events name them as who caused them
    size_t aws_count;
    struct str *approves; // globs of policies
    size_t approve_count;
};

#endif
