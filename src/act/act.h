// SPDX-License-Identifier: Apache-2.0
/* Performing one planned call: at most one mutating request, through the one gate. */
#ifndef RECTIFY_ACT_ACT_H
#define RECTIFY_ACT_ACT_H

#include "policy/policy.h"

/* What stands between a signed request and the wire. Asked on the sending thread; anything that
 * cannot be evaluated closes it. */
struct act_gate {
    const char *kill_switch; // path; the file's existence stops everything; NULL = none
    const struct clock *clock;
    int64_t deadline_ms;     // steady clock: nothing leaves later
    bool (*owns)(void *ctx); // is the lease still ours?
    void *owns_ctx;
    /* Does nothing else forbid it (a freeze)? NULL = nothing can. Same context. */
    bool (*allows)(void *ctx, char *reason, size_t size);
};
/* May a call leave? False: `reason` says why not. */
bool act_gate_open(const struct act_gate *gate, char *reason, size_t reason_size);

struct act_request {
    struct aws_models *models;
    struct aws_caller caller;
    struct value planned; // {call, with, region, ...}, as decide_plan made it
    struct str account;
    struct aws_access access;
    const struct act_gate *gate;
    unsigned attempt; // of this planned call, 0 = the first
};
/* One attempt. `ret` is always set. */
void act_call(const struct act_request *request, struct arena *arena, struct aws_answer *ret);

#endif
