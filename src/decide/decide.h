// SPDX-License-Identifier: Apache-2.0
/* Reading a resource's state, the verdict, the plan, and what may be done about it.
 *
 * Unread is not non-compliant: a read that fails in any way that the policy does not name as
 * `absent` or `gone` gives VERDICT_UNREAD, and so does an expression that fails. Nothing here
 * writes anything. */
#ifndef RECTIFY_DECIDE_DECIDE_H
#define RECTIFY_DECIDE_DECIDE_H

#include "model/permit.h"
#include "policy/defaults.h"
#include "policy/policy.h"

/* What a decision is about; everything borrowed. */
struct decide_subject {
    const struct policy *policy;
    const struct policy_assignment *assignment;
    struct resource resource;
    struct str region;    // where calls go
    struct value account; // {id, ...}
    int64_t now_ms;       // wall clock, fixed for this decision
    int64_t deadline_ms;  // steady clock, of all reads together; 0 = each has its own
    unsigned attempt;     // how often it has been read in vain
    struct aws_caller caller;
    const struct str *iac_tags; // globs of tags that infrastructure as code sets
    size_t iac_tag_count;
    /* Of each exemption of the policy that rests on tags: who is known to have set what it reads
     * (an ARN), or empty. NULL: of none. */
    const struct str *tagged_by;
    struct str made_by; // who is known to have made the resource, or empty
};

struct decide_finding {
    enum verdict verdict;
    struct value *slots; // policy->undo_slots of them: the common ones, reads and lets are set
    struct value reads;  // {name: value}: what the calls returned
    char fingerprint[65];
    struct str message; // of a violation
    struct str id;      // canonical id, when the policy says how to know it; else the subject's
    struct str code;    // unread: the error's code ("AccessDenied", "C0207")
    struct str reason;  // unread, gone: one line
    int64_t retry_after_ms;
    bool lasting; // unread, and trying again will not help by itself (denied, refused, expression)
};
/* Reads and judges. Always sets *ret. Cost: the policy's reads, all pages of each. */
void decide_read(const struct decide_subject *subject, struct arena *arena,
                 struct decide_finding *ret);

/* Lists what exists through the policy's scan (which it must have): ids, as `resources` gave them.
 * ret->verdict is unread when a read failed or was cut short: then the ids are none, and nothing is
 * known about what exists. The subject's resource has no id. */
void decide_scan(const struct decide_subject *subject, struct arena *arena,
                 struct decide_finding *ret, struct value *ret_ids);

/* One question of the policy's waiter (verify.wait, which it must have) about what was found. Not
 * to be asked (throttled, no answer): AGAIN. ret_why: the service's error, or empty. */
enum aws_wait decide_waited(const struct decide_subject *subject,
                            const struct decide_finding *finding, struct arena *arena,
                            struct str *ret_why);

/* The plan: a list of {call, with, region, step, token, class, item}; `step` is the position in the
 * policy, `item` the element of `each`. Tokens are empty where the operation takes none. False: an
 * expression failed or the model refuses the input. */
bool decide_plan(const struct decide_subject *subject, const struct decide_finding *finding,
                 const struct clock *clock, struct arena *arena, struct value *ret,
                 struct error *err) __attribute__((warn_unused_result));
/* The inverse of `plan` (only steps below `steps_done`, last first), from the reads before, after
 * and now. Items whose undo has nothing to take back are left out. */
bool decide_undo(const struct decide_subject *subject, const struct decide_finding *current,
                 struct value plan, size_t steps_done, struct value before, struct value after,
                 const struct clock *clock, struct arena *arena, struct value *ret,
                 struct error *err) __attribute__((warn_unused_result));
/* What is approved: SHA-256 over calls, parameters, fingerprint and policy; empty when memory ran
 * out. */
void decide_plan_hash(const struct decide_subject *subject, struct value plan,
                      const char *fingerprint, struct arena *arena, char ret[65]);
/* Is this planned call's effect already there? By the step's `done`, else "the policy is obeyed".
 */
bool decide_step_done(const struct decide_subject *subject, const struct decide_finding *finding,
                      struct value planned, struct arena *arena, bool *ret, struct error *err)
    __attribute__((warn_unused_result));

/* What the plan's calls change, held against what was read: a list of lines for people,
 * `+ TagSet: {"Key":"a"}`, at most 61 of at most 500 bytes. */
struct value decide_changes(struct value reads, struct value plan, struct str resource_id,
                            struct arena *arena);

/* ---- risk and guards ---- */

enum decide_action {
    DECIDE_ACT,
    DECIDE_ASK,
    DECIDE_HOLD,
    DECIDE_SKIP,
    DECIDE_OBSERVE,
    DECIDE_STOP
};
const char *decide_action_name(enum decide_action action);

/* All that a decision rests on is plain, and stored with it, so that it can be taken again and
 * gives the same. One table each of what is in it: (type, name). INT, LONG, FLAG, and TEXT (NULL =
 * none).
 */

/* What store, journal and clock say. */
#define DECIDE_GUARDS(X)                                                                           \
    X(INT, block)             /* enum permit_block of the first key that lets nothing begin now */ \
    X(TEXT, block_key)        /* which (decide_block()) */                                         \
    X(LONG, block_ms)         /* when to ask again */                                              \
    X(INT, rollout)           /* enum rollout_state of the policy */                               \
    X(INT, stage)             /* how far it is */                                                  \
    X(INT, place)             /* of the resource in it, parts per million */                       \
    X(INT, seats)             /* taken */                                                          \
    X(FLAG, member)           /* the resource has one */                                           \
    X(FLAG, refused_here)     /* one of this stage came to nothing in the resource's account */    \
    X(TEXT, changed_by)       /* who paused it, ... */                                             \
    X(TEXT, changed_why)      /* ... and why */                                                    \
    X(LONG, waived_ms)        /* until then a person has waived share and growth */                \
    X(INT, past_bad)          /* of the policy's newest 20 results, so many were bad ... */        \
    X(INT, past_total)        /* ... of so many */                                                 \
    X(LONG, population)       /* resources that complete scans have counted; 0 = never */          \
    X(LONG, counted_ms)       /* the oldest of these counts */                                     \
    X(LONG, found_today)      /* violations of this policy on this day, this one not among them */ \
    X(LONG, found_past)       /* the most on one of the 14 days before */                          \
    X(INT, found_days)        /* on so many of which there was one */                              \
    X(FLAG, frozen)           /* the resource, after a failed undo */                              \
    X(LONG, locked_by)        /* another remediation, 0 = none */                                  \
    X(INT, reversals)         /* healed repairs of this policy and resource within 24 h */         \
    X(INT, changes)           /* fingerprint changes so far */                                     \
    X(FLAG, by_hand)          /* a person asked for exactly this */                                \
    X(TEXT, stopped)          /* the kill switch is on or cannot be read: why */                   \
    X(TEXT, freeze)           /* the account, or everything: by whom and why */                    \
    X(TEXT, resting)          /* since it was taken back: by which remediation */                  \
    X(LONG, grace_since_ms)   /* first sight of the violation; 0 = now */                          \
    X(LONG, unready_since_ms) /* first time that it was not ready; 0 = now */                      \
    X(LONG, last_healed_ms)   /* 0 = never */                                                      \
    X(TEXT, actor)            /* of the newest event */                                            \
    X(TEXT, role)             /* that we act by */

/* What policy and assignment say of this resource; expressions are evaluated before. */
#define DECIDE_SETTINGS(X)                                                                         \
    X(LONG, now_ms)                                                                                \
    X(TEXT, mode)                                                                                  \
    X(FLAG, acts)         /* the policy has steps */                                               \
    X(FLAG, asks)         /* `ask` holds */                                                        \
    X(TEXT, ask_error)    /* or cannot be evaluated: why */                                        \
    X(INT, risk)          /* what the author adds to the score */                                  \
    X(FLAG, no_undo)      /* of a step */                                                          \
    X(FLAG, closes_hole)  /* a step does */                                                        \
    X(TEXT, environment)  /* of the account, by rectify.yaml */                                    \
    X(TEXT, tagged)       /* the strictest that a tag of the resource says */                      \
    X(INT, share_percent) /* of all resources that may break it in a day; 100 = any */             \
    X(INT, growth)        /* or so many times its past; 0 = any */                                 \
    X(INT, stages)        /* of its rollout; 0 = none */                                           \
    X(TEXT, stage_text)   /* the step that it is at, as written */                                 \
    X(FLAG, in_cohort)    /* a step so far names the resource by share or account */               \
    X(INT, seats_max)     /* and so many seats there are so far; 0 = none */                       \
    X(LONG, grace_ms)     /* 0 = none */                                                           \
    X(FLAG, shut)         /* there are windows, and none is open */                                \
    X(LONG, opens_ms)     /* the next one; 0 = none within a week */                               \
    X(TEXT, window_error) /* or that cannot be told: why */                                        \
    X(FLAG, unready)      /* `ready` does not hold */                                              \
    X(TEXT, ready_error)  /* or cannot be evaluated: why */                                        \
    X(LONG, ready_within_ms)                                                                       \
    X(TEXT, iac)     /* act, ask, notify */                                                        \
    X(TEXT, iac_tag) /* by which infrastructure as code owns it */

#define DECIDE_INT int
#define DECIDE_LONG int64_t
#define DECIDE_FLAG bool
#define DECIDE_TEXT const char *
#define DECIDE_FIELD(type, name) DECIDE_##type name;
struct decide_guards {
    DECIDE_GUARDS(DECIDE_FIELD)
};
struct decide_settings {
    DECIDE_SETTINGS(DECIDE_FIELD)
};
struct decide_inputs {
    struct decide_guards guards;
    struct decide_settings settings;
    struct value calls; // [{call, class, changed}]: `changed` entries of what is there
    /* [{owner, reason, until_ms, holds, error, tags, set_by, listed}], those that are not over. One
     * that rests on `tags` counts only where who set them is one of those listed. */
    struct value exemptions;
};

/* What a held repair waits for, so that it is woken when that comes. For a step of the rollout it
 * waits with WAIT_ROLLOUT + decide_next_step(). */
enum decide_wait { WAIT_TIME, WAIT_PERMIT, WAIT_ROLLOUT };

#define DECIDE_REASONS_MAX 24
struct decide_decision {
    enum decide_action action;
    const char *reasons[DECIDE_REASONS_MAX]; // static or in the arena, for people
    size_t reason_count;
    const char *reason;    // the one that made the action what it is; NULL: nothing objected
    int64_t hold_ms;       // DECIDE_HOLD: how long
    enum decide_wait wait; // and what for
    const char *pause;     // the policy has to be paused, and why; NULL = no
    int stage, seats;      // what the intent asks of the rollout (struct store_cohort)
    const char *page;      // what people have to know at once; NULL = nothing
    int people;            // DECIDE_ASK: how many have to say yes; else 0
    int score;             // risk: the sum of the points of its parts
    struct value risk;     // [{part, points, why}]: every part, also those of 0 points
};
/* The score picks: below the first a repair acts, from it on one person decides, from the second
 * two, from the third on no program makes it. */
#define DECIDE_SCORE_ASK POLICY_DEFAULT_SCORE_ASK
#define DECIDE_SCORE_TWO POLICY_DEFAULT_SCORE_TWO
#define DECIDE_SCORE_SKIP POLICY_DEFAULT_SCORE_SKIP
/* Every guard, in one table; each can only make it stricter. `ret_inputs` (may be NULL) gets what
 * it rested on: a map, to be stored. */
void decide_guard(const struct decide_subject *subject, const struct decide_finding *finding,
                  struct value plan, const struct decide_guards *guards, struct arena *arena,
                  struct decide_decision *ret, struct value *ret_inputs);
/* What an exemption reads of the resource now, as a hash: as long as it is the same, who set it is
 * the same. False: out of memory. */
bool decide_exemption_print(const struct decide_subject *subject,
                            const struct decide_finding *finding, size_t exemption,
                            struct arena *arena, char ret[65]) __attribute__((warn_unused_result));
/* Does an ARN fit one of those that an exemption lists? An assumed role fits as the role too. */
bool decide_is_listed(const struct policy_exemption *exemption, struct str arn,
                      struct arena *arena);
/* The same decision once more, from what was stored. D0006: that is not what a decision rests on.
 */
bool decide_again(struct value inputs, struct arena *arena, struct decide_decision *ret,
                  struct error *err) __attribute__((warn_unused_result));
/* A decision as it is stored: {action, reasons, people, score, risk, hold_ms}. */
struct value decide_decision_value(const struct decide_decision *decision, struct arena *arena);

/* ---- what is counted ---- */

/* The keys under which the plan is counted, PERMITS_MAX at most; returns how many. */
size_t decide_permits(const struct decide_subject *subject, struct value plan, bool by_hand,
                      struct arena *arena, struct permit ret[PERMITS_MAX]);
/* The next step of a running rollout (its first is 0) that may reach the resource; 0 = nobody
 * knows: look again at any change. */
int decide_next_step(const struct decide_subject *subject, const struct decide_guards *guards);
/* Sets `block`, `block_key` and `block_ms`. */
void decide_block(const struct permit *permits, const struct key_meter *meters, size_t count,
                  int64_t now_ms, struct arena *arena, struct decide_guards *guards);
/* Only the guards that count (permits, breakers, rollout): no reading is needed to ask them again.
 */
void decide_guard_counts(const struct decide_subject *subject, const struct decide_guards *guards,
                         struct arena *arena, struct decide_decision *ret);

#endif
