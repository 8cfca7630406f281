// SPDX-License-Identifier: Apache-2.0
/* What the files of decide/ share. */
#ifndef RECTIFY_DECIDE_DECIDE_INTERNAL_H
#define RECTIFY_DECIDE_DECIDE_INTERNAL_H

#include "decide/decide.h"

/* The input with ExpectedBucketOwner set to the resource's account, where the operation has that
 * member and the policy has not filled it: S3's own check that a bucket of this name is still ours.
 */
struct value decide_fill_owner(const struct aws_operation *op, struct value input,
                               struct str account, struct arena *arena);

/* ---- guards ---- */

struct deciding {
    const struct decide_subject *subject;
    const struct decide_finding *finding;
    struct value plan;
    const struct decide_guards *guards;
    struct arena *arena;
    struct decide_decision *decision;
};

void decide_say(struct deciding *d, const char *reason); // NULL: nothing
/* Stricter only. The order of the enum is not the order of strictness: act < ask < hold < observe <
 * skip < stop. */
void decide_tighten(struct deciding *d, enum decide_action to, const char *reason);
void decide_hold(struct deciding *d, int64_t ms, const char *reason);

/* risk.c */
void decide_guard_risk(struct deciding *d);
/* limits.c */
void decide_guard_breaker(struct deciding *d);
void decide_guard_limits(struct deciding *d);
void decide_guard_unenforced(struct deciding *d);

#endif
