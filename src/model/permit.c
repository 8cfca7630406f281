// SPDX-License-Identifier: Apache-2.0
/* The arithmetic of permits and breakers. See permit.h; postgres_schema_2.sql has the same. */
#include "model/permit.h"

#define HOUR_MS 3600000

bool breaker_is_half_open(const struct breaker_state *b, int64_t now_ms)
{
    return b->opened_ms && now_ms >= b->opened_ms + b->open_for_ms;
}

/* How many probes may be under way. */
static int probes_max(const struct breaker_state *b)
{
    return b->probes_good == 0 ? 1 : 1 + BREAKER_PROBES - b->probes_good - b->probes_bad;
}

static int64_t at_least_second(int64_t ms)
{
    return ms > 1000 ? ms : 1000;
}

enum permit_block permit_check(const struct permit *p, const struct key_meter *m, int64_t now_ms,
                               int64_t *ret_wait_ms)
{
    const struct breaker_state *b = &m->breaker;
    *ret_wait_ms = 1000;
    if (p->rule.open_ms && b->opened_ms && !breaker_is_half_open(b, now_ms)) {
        *ret_wait_ms = at_least_second(b->opened_ms + b->open_for_ms - now_ms);
        return PERMIT_OPEN;
    }
    if (p->rule.open_ms && b->opened_ms && m->probes >= probes_max(b)) {
        *ret_wait_ms = 5000;
        return PERMIT_PROBING;
    }
    if (b->slow_until_ms > now_ms) {
        *ret_wait_ms = at_least_second(b->slow_until_ms - now_ms);
        return PERMIT_SLOW;
    }
    if (p->at_once_max > 0 && m->at_once >= p->at_once_max)
        return PERMIT_AT_ONCE;
    if (p->per_hour_max > 0 && m->per_hour >= p->per_hour_max) {
        *ret_wait_ms = 60000;
        return PERMIT_PER_HOUR;
    }
    *ret_wait_ms = 0;
    return PERMIT_FREE;
}

void breaker_trip(struct breaker_state *b, int64_t open_ms, int64_t now_ms)
{
    bool again =
        b->tripped_ms && b->open_for_ms && now_ms - (b->tripped_ms + b->open_for_ms) < HOUR_MS;
    int64_t longer = b->open_for_ms * 2 < HOUR_MS ? b->open_for_ms * 2 : HOUR_MS;
    b->open_for_ms = again ? longer : open_ms < HOUR_MS ? open_ms : HOUR_MS;
    b->opened_ms = b->tripped_ms = now_ms;
    b->probes_good = b->probes_bad = 0;
}

bool breaker_take_probe(struct breaker_state *b, bool bad, int64_t open_ms, int64_t now_ms)
{
    b->probes_bad += bad;
    b->probes_good += !bad;
    if (bad && (b->probes_good == 0 || b->probes_bad * 2 >= BREAKER_PROBES)) {
        breaker_trip(b, open_ms, now_ms);
        return true;
    }
    if (b->probes_good + b->probes_bad <= BREAKER_PROBES)
        return false;
    b->opened_ms = 0;
    b->probes_good = b->probes_bad = 0;
    return true;
}

bool breaker_rule_trips(const struct breaker_rule *rule, int in_a_row, int bad, int total)
{
    bool row = rule->in_a_row > 0 && in_a_row >= rule->in_a_row;
    bool share = rule->of > 0 && total >= rule->of && bad * 100 >= rule->percent * total;
    return rule->open_ms > 0 && (row || share);
}

static const char *const rollout_states[] = {"none", "running", "done", "paused"};

const char *rollout_state_name(enum rollout_state state)
{
    return rollout_states[state];
}

bool rollout_state_parse(struct str name, enum rollout_state *ret)
{
    for (unsigned i = 0; i < sizeof rollout_states / sizeof *rollout_states; i++) {
        if (str_is(name, rollout_states[i])) {
            *ret = (enum rollout_state)i;
            return true;
        }
    }
    return false;
}
