// SPDX-License-Identifier: Apache-2.0
/* What holds repairs back and has to be counted across workers: permits, breakers, a policy's
 * rollout. Plain data; decide/ says what is wanted, store/ counts and keeps the bounds.
 *
 *   key                                   counts
 *   "policy p"                            repairs of one policy; results by account
 *   "policy p 123456789012"               the same in one account; results by resource
 *   "account 123456789012"                repairs of all policies there
 *   "call 123456789012 eu-west-1 s3:Put"  one operation in one place; results by resource
 *   "fleet"                               all; results by policy and account */
#ifndef RECTIFY_MODEL_PERMIT_H
#define RECTIFY_MODEL_PERMIT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* When bad results open a breaker. The newest result of each unit counts. */
struct breaker_rule {
    int in_a_row;      // so many bad units, no good one after them; 0 = not by this
    int percent, of;   // or this share of `of` units, the newest ones; of 0 = not by this
    int64_t window_ms; // no older than this; 0 = any age
    int64_t open_ms;   // for so long, at first; 0 = there is no breaker
};

/* One key under which a repair is counted from its intent to its end. */
struct permit {
    struct str key;
    struct str unit;  // what its result is counted as
    int at_once_max;  // 0 = any
    int per_hour_max; // 0 = any, and not counted; -1 = any
    struct breaker_rule rule;
};
#define PERMITS_MAX 12 // of one repair

/* How a breaker is. Half open: one probe at a time until one was good, then up to
 * BREAKER_PROBES; it closes when so many have ended and less than half of them badly. */
#define BREAKER_PROBES 10
struct breaker_state {
    int64_t opened_ms;   // 0 = closed
    int64_t open_for_ms; // doubles with each trip, at most an hour
    int64_t tripped_ms;  // last trip; 0 = never
    int probes_good, probes_bad;
    int64_t slow_until_ms; // throttled: nothing new begins before then
};

/* A key as it is now. */
struct key_meter {
    int at_once, per_hour; // held; begun within the last hour
    int probes;            // held by what a half-open breaker let through
    struct breaker_state breaker;
};

/* May one more begin under this key? Else why not, and in *ret_wait_ms when to ask again. */
enum permit_block {
    PERMIT_FREE,
    PERMIT_OPEN,
    PERMIT_PROBING,
    PERMIT_SLOW,
    PERMIT_AT_ONCE,
    PERMIT_PER_HOUR
};
enum permit_block permit_check(const struct permit *permit, const struct key_meter *meter,
                               int64_t now_ms, int64_t *ret_wait_ms);
/* Is the breaker half open at `now_ms`? What begins then is a probe. */
bool breaker_is_half_open(const struct breaker_state *breaker, int64_t now_ms);
/* Opens it: for open_ms, doubled when its last opening ended less than an hour ago. */
void breaker_trip(struct breaker_state *breaker, int64_t open_ms, int64_t now_ms);
/* Takes the result of a probe in; true: it is closed or opened by that. */
bool breaker_take_probe(struct breaker_state *breaker, bool bad, int64_t open_ms, int64_t now_ms);
/* Do these results, newest first and one a unit, trip the breaker? */
bool breaker_rule_trips(const struct breaker_rule *rule, int in_a_row, int bad, int total);

/* ---- a policy's state: paused, and how far its rollout is ---- */

enum rollout_state {
    ROLLOUT_NONE,    // no row, or the policy has no rollout: nothing of this holds anything back
    ROLLOUT_RUNNING, // what belongs to the cohort is repaired
    ROLLOUT_DONE,    // all of it
    ROLLOUT_PAUSED,  // nothing is repaired, whether there is a rollout or not
};
const char *rollout_state_name(enum rollout_state state);
bool rollout_state_parse(struct str name, enum rollout_state *ret)
    __attribute__((warn_unused_result));

#define ROLLOUT_SHARE_ALL 1000000 // parts per million: everything

struct rollout {
    enum rollout_state state;
    struct str hash;       // of the policy that it is the rollout of
    int stage;             // position in the policy's steps
    int64_t since_ms;      // when this stage began
    int good;              // verified since then
    int place;             // of the resource asked about: 0..999999, by keyed hash
    bool member;           // the resource has a seat already
    bool refused_here;     // a repair of this stage came to nothing in the resource's account
    int seats;             // resources that have one
    int64_t waived_ms;     // until then a person has waived share and growth
    struct str by, reason; // of the last change
};

#endif
