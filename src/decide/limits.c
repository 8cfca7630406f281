// SPDX-License-Identifier: Apache-2.0
/* Guards that count: circuit breaker, permits, rollout. They only judge figures; the store counts
 * and reserves. See decide.h. */
#include "decide/decide_internal.h"

void decide_guard_breaker(struct deciding *d)
{
    const struct decide_settings *p = &d->in->settings;
    const struct decide_guards *g = &d->in->guards;
    if (g->breaker_open_until_ms > p->now_ms) {
        decide_hold(d, g->breaker_open_until_ms - p->now_ms,
                    "the policy's circuit breaker is open");
        return;
    }
    bool row = p->breaker_in_a_row > 0 && g->breaker_in_a_row >= p->breaker_in_a_row;
    bool share = g->breaker_total >= p->breaker_of && p->breaker_of > 0 &&
                 g->breaker_bad * 100 >= p->breaker_percent * g->breaker_total;
    if (row || share) { // of results since it was opened last
        d->decision->trip_breaker = true;
        decide_hold(d, p->breaker_open_ms,
                    "too many repairs of this policy failed: the breaker opens");
    }
}

void decide_guard_limits(struct deciding *d)
{
    const struct decide_settings *p = &d->in->settings;
    if (p->at_once && d->in->guards.at_once >= p->at_once)
        decide_hold(d, 1000,
                    arena_printf(d->arena, "limit: %d repairs of this policy at once", p->at_once));
    if (p->per_hour && d->in->guards.per_hour >= p->per_hour)
        decide_hold(
            d, 60000,
            arena_printf(d->arena, "limit: %d repairs of this policy an hour", p->per_hour));
}

/* Fail closed: what the author relies on and nobody evaluates is a person's decision. */
void decide_guard_unenforced(struct deciding *d)
{
    if (d->in->settings.unenforced && !d->in->guards.by_hand)
        decide_ask(d, 1,
                   arena_printf(d->arena, "`%s` is not enforced yet, so a person decides",
                                d->in->settings.unenforced));
}
