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
    const struct decide_inputs *in;
    struct arena *arena;
    struct decide_decision *decision;
};

/* inputs.c: from what was read and what is known; and to what is stored and back. */
void decide_gather(const struct decide_subject *subject, const struct decide_finding *finding,
                   struct value plan, const struct decide_guards *guards, struct arena *arena,
                   struct decide_inputs *ret);
struct value decide_inputs_value(const struct decide_inputs *inputs, struct arena *arena);
bool decide_inputs_parse(struct value stored, struct arena *arena, struct decide_inputs *ret)
    __attribute__((warn_unused_result));
/* change.c: how many entries of what is there a planned call replaces or takes away. Never fewer
 * because of what somebody else has added. */
int decide_changed(struct value planned, enum call_class class, struct value reads);
/* The strictest environment that a tag among the reads names ("prod"), or NULL. */
const char *decide_tagged_environment(struct value reads, struct arena *arena);
/* The tag ("KEY=VALUE") by which infrastructure as code owns the resource, or NULL. */
const char *decide_iac_tag(const struct decide_subject *subject, struct value reads,
                           struct arena *arena);
/* risk.c: the points of an environment; NULL and words that are not known count as production. */
int decide_environment_points(const char *environment);
#define DECIDE_CHANGED_MAX 1000000 // more than can be compared

void decide_say(struct deciding *d, const char *reason); // NULL: nothing
/* Stricter only. The order of the enum is not the order of strictness: act < ask < hold < observe <
 * skip < stop. */
void decide_tighten(struct deciding *d, enum decide_action to, const char *reason);
/* Asks so many people, unless more are asked already. */
void decide_ask(struct deciding *d, int people, const char *reason);
void decide_hold(struct deciding *d, int64_t ms, const char *reason);

/* hold.c: time and people */
void decide_guard_freeze(struct deciding *d);
void decide_guard_resting(struct deciding *d);
void decide_guard_grace(struct deciding *d);
void decide_guard_window(struct deciding *d);
void decide_guard_ready(struct deciding *d);
void decide_guard_fight(struct deciding *d);
void decide_guard_iac(struct deciding *d);
/* risk.c */
void decide_guard_risk(struct deciding *d);
/* limits.c */
void decide_gather_cohort(const struct decide_subject *subject, const struct decide_guards *guards,
                          struct decide_settings *ret);
void decide_guard_permits(struct deciding *d);
void decide_guard_rollout(struct deciding *d);
void decide_guard_mass(struct deciding *d);

#endif
