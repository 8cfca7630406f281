// SPDX-License-Identifier: Apache-2.0
/* One step of one remediation: what its state functions share. */
#ifndef RECTIFY_ENGINE_STEP_INTERNAL_H
#define RECTIFY_ENGINE_STEP_INTERNAL_H

#include "act/act.h"
#include "decide/decide.h"
#include "engine/engine.h"
#include "verify/verify.h"

// In the order in which one reads it. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct step {
    struct engine *engine;
    const struct engine_set *set; // held for the whole walk
    bool looking;                 // a preview: nothing is written
    struct arena *arena;
    struct remediation r;
    bool detail_changed; // since the last transition
    int64_t epoch;
    const struct policy *policy; // NULL: not loaded any more
    struct policy_assignment assignment;
    struct decide_subject subject;
    bool has_finding; // `finding` was read in this very step
    struct decide_finding finding;
    bool walking; // the lease is ours and the next state is due now
    /* `r` is already in the state of the last of these; the store is in stored_state. */
    struct store_transition waiting[STORE_ADVANCE_MAX];
    size_t waiting_count;
    enum state stored_state;
    int stored_step;
    bool grace_begins; // its notify is told with the first hold
    const char *page;  // what people have to know, told with the next transition; NULL = nothing
    struct permit permits[PERMITS_MAX]; // that its intent will hold
    size_t permit_count;
    int rollout_step; // the next that may reach it, as its guards were gathered; 0 = any change may
    bool entered_reading; // in this walk: what is read now is newer than all events of `r`
    struct error *err;
};

/* One state function: does at most one mutating call and ends in a transition (step_go). False: the
 * store failed. */
typedef bool (*step_function)(struct step *step);

/* What a transition changes; zeroed = nothing but the state. Texts live as long as the step. */
struct step_change {
    enum state to;
    int step;
    int64_t wait_ms; // due in so long; 0 = go on at once
    const char *reason;
    struct value record;   // body of the audit record
    struct str request_id; // of a changing call that was answered
    bool later;   // nothing leaves before the next: committed together with it, conditions too
    bool durable; // wait for the disk
    bool lock, freeze, sequence_unchanged;
    const struct permit *permits;
    size_t permit_count;
    struct store_cohort cohort;
    const char *approval_hash, *ask_hash;
    int64_t ask_expires_ms;
    const char *ask_id, *ask_via;
    int ask_need;
    bool found;
    int64_t throttled_ms;
    enum store_outcome outcome;
};
/* Performs it, and what was put off until later. STORE_OK: step->r is in its new state. Others: one
 * of them met its condition no more, and step->r is as the ones before it left it (CONFLICT ends
 * the walk; LOCKED, LIMITED, VOID are for the caller). False: the store failed. */
bool step_go(struct step *step, const struct step_change *change, enum store_result *ret_result);
/* The same where only OK and lost lease are possible. */
bool step_to(struct step *step, const struct step_change *change);

/* states_ask.c: is there a yes to exactly this plan, of people who may say it, now? What does not
 * count any more is void. False: the store failed. */
bool step_is_approved(struct step *step, const char *hash, bool *ret);
/* Opens a question for this plan. */
bool step_ask(struct step *step, const char *hash, const char *reason, struct value record);
/* tell.c: the notices of a transition, before its detail is written. False: out of memory. */
bool step_tell(struct step *step, const struct step_change *change, struct store_transition *ret);
/* People have to know this; told with the next transition. The text lives as long as the step. */
void step_page(struct step *step, const char *why);

/* remember.c: what guards remember between remediations. False: the store failed. */
bool step_remember(struct step *step, struct decide_guards *ret)
    __attribute__((warn_unused_result));
/* It was taken back: it is left alone from now on. */
bool step_rest(struct step *step) __attribute__((warn_unused_result));
/* For the gate: neither everything nor the account is frozen. `ctx` is the step. */
bool step_is_thawed(void *ctx, char *reason, size_t size);

/* detail of the remediation */
const struct value *step_detail(const struct step *step, const char *key);
void step_set_detail(struct step *step, const char *key, struct value v);
/* Of what was just read, keeps what the policy's undo looks at as `slot` (before, after), sealed
 * where there is a key. False: s->err is set, nothing is kept. */
bool step_keep(struct step *step, const char *key, unsigned slot);
/* What was kept under `key` of this remediation, the step's own or another. A null when nothing. */
bool step_kept(struct step *step, const struct remediation *of, const char *key, struct value *ret,
               struct error *err) __attribute__((warn_unused_result));
int step_count(const struct step *step, const char *what); // in DETAIL_COUNTS
void step_set_count(struct step *step, const char *what, int n);
/* How long to wait before the next try of what has failed `count` times: doubled each time up to
 * `longest_ms`, not less than the service wants (up to 15 min), and spread, so that what failed
 * together does not come back together. */
int64_t step_pause_ms(const struct step *step, int count, int64_t longest_ms, int64_t wanted_ms);
/* Policy, assignment and subject from `r`. False: the policy is not loaded any more. */
bool step_prepare(struct step *step);
/* Why what is decided is not what a person has seen and applied; NULL: it is, or there was none. */
const char *step_planned_differs(struct step *step, const struct decide_decision *decision,
                                 const char *hash);
/* Reads the resource now. */
void step_read(struct step *step);
/* How long a replica may still show what was before the newest event: until then that the policy is
 * obeyed proves nothing. */
int64_t step_unsettled_ms(const struct step *step);
/* The plan from what was just read: the repair's, or the inverse of what the parent did. */
bool step_make_plan(struct step *step, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Remembers an attempt of a call. */
void step_note_attempt(struct step *step, struct value planned, const struct aws_answer *answer);
/* The plan being executed: the repair's, or while undoing the inverse. */
struct value step_plan(const struct step *step);
bool step_planned(const struct step *step, int number, struct value *ret);

/* May each step be taken back without a person? */
bool step_may_undo(const struct policy *policy);

/* guards.c */
/* What the guards have to know to decide on this plan; sets the step's permits. Begins the policy's
 * rollout where that is a new one. */
bool step_gather_guards(struct step *step, struct value plan, struct decide_guards *ret);
/* Stops the policy as a whole, by itself. */
bool step_pause_policy(struct step *step, const char *reason);
/* Into held, for as long as the decision says, and longer each time. */
bool step_hold(struct step *step, const struct decide_decision *decision, struct value record);

/* states_*.c */
bool state_received(struct step *step);
bool state_reading(struct step *step);
bool state_deciding(struct step *step);
bool state_held(struct step *step);
bool state_asking(struct step *step);
bool state_intent(struct step *step);
bool state_calling(struct step *step);
bool state_unknown(struct step *step);
bool state_verifying(struct step *step);
bool state_undoing(struct step *step);

#endif
