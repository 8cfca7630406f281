// SPDX-License-Identifier: Apache-2.0
/* The table of guards, each of which can only make the decision stricter. The score is risk.c's;
 * breakers, permits and rollout are limits.c's. See decide.h. */
#include "decide/decide_internal.h"

#include "base/limits.h"

const char *decide_action_name(enum decide_action action)
{
    static const char *const names[] = {"act", "ask", "hold", "skip", "observe", "stop"};
    return names[action];
}

void decide_say(struct deciding *d, const char *reason)
{
    if (reason && d->decision->reason_count < DECIDE_REASONS_MAX)
        d->decision->reasons[d->decision->reason_count++] = reason;
}

void decide_tighten(struct deciding *d, enum decide_action to, const char *reason)
{
    static const int strictness[] = {[DECIDE_ACT] = 0,     [DECIDE_ASK] = 1,  [DECIDE_HOLD] = 2,
                                     [DECIDE_OBSERVE] = 3, [DECIDE_SKIP] = 4, [DECIDE_STOP] = 5};
    decide_say(d, reason);
    if (strictness[to] > strictness[d->decision->action])
        d->decision->action = to;
}

void decide_hold(struct deciding *d, int64_t ms, const char *reason)
{
    decide_tighten(d, DECIDE_HOLD, reason);
    if (ms > d->decision->hold_ms)
        d->decision->hold_ms = ms;
}

static void guard_mode(struct deciding *d)
{
    const struct policy *p = d->subject->policy;
    if (d->subject->assignment->mode == MODE_OFF)
        decide_tighten(d, DECIDE_SKIP, "no assignment lets this policy run here");
    else if (d->subject->assignment->mode == MODE_OBSERVE || p->step_count == 0)
        decide_tighten(d, DECIDE_OBSERVE, "mode observe: the violation is only noted");
    else if (d->subject->assignment->mode == MODE_APPROVE && !d->guards->by_hand)
        decide_tighten(d, DECIDE_ASK, "mode approve: a person decides");
}

/* The author's own condition; one that cannot be evaluated asks. */
static void guard_ask(struct deciding *d)
{
    struct cel_budget budget = cel_budget_default();
    struct value asks = value_bool(false);
    struct error err;
    if (!d->subject->policy->ask || d->guards->by_hand)
        return;
    if (!cel_eval(d->subject->policy->ask, d->finding->slots, &budget, d->arena, &asks, &err))
        decide_tighten(d, DECIDE_ASK,
                       arena_printf(d->arena, "`ask` cannot be evaluated: %s", err.message));
    else if (asks.kind != VALUE_BOOL || asks.b)
        decide_tighten(d, DECIDE_ASK, "the policy asks before it makes such a change");
}

static void guard_exemption(struct deciding *d)
{
    const struct policy *p = d->subject->policy;
    struct cel_budget budget = cel_budget_default();
    for (size_t i = 0; i < p->exemption_count; i++) {
        const struct policy_exemption *e = &p->exemptions[i];
        struct value holds;
        struct error err;
        if (d->subject->now_ms > e->until_ms)
            continue;
        if (!cel_eval(e->when, d->finding->slots, &budget, d->arena, &holds, &err)) {
            decide_hold(
                d, 60000,
                arena_printf(d->arena, "an exemption cannot be evaluated: %s", err.message));
        } else if (holds.kind == VALUE_BOOL && holds.b) {
            decide_tighten(d, DECIDE_SKIP,
                           arena_printf(d->arena, "exempt by %.*s: %.*s", STR_FMT(e->owner),
                                        STR_FMT(e->reason)));
        }
    }
}

static void guard_kill_switch(struct deciding *d)
{
    if (d->guards->stopped)
        decide_hold(d, 10000, d->guards->stopped);
}

static void guard_resource(struct deciding *d)
{
    if (d->guards->frozen)
        decide_tighten(d, DECIDE_STOP,
                       "the resource is frozen after a failed undo; a person clears it");
    else if (d->guards->locked_by)
        decide_hold(d, 500,
                    arena_printf(d->arena, "r%lld is working on the resource",
                                 (long long)d->guards->locked_by));
    if (d->guards->changes > (int)LIMIT_STATE_CHANGES && !d->guards->by_hand)
        decide_tighten(d, DECIDE_ASK, "the resource keeps changing while it is being decided on");
    if (d->guards->reversals >= 3 && !d->guards->by_hand)
        decide_tighten(d, DECIDE_ASK,
                       "healed three times within 24 hours: another writer disagrees");
}

void decide_guard(const struct decide_subject *subject, const struct decide_finding *finding,
                  struct value plan, const struct decide_guards *guards, struct arena *arena,
                  struct decide_decision *ret)
{
    static void (*const table[])(struct deciding *) = {
        guard_mode,           guard_ask,           guard_exemption,
        decide_guard_breaker, decide_guard_limits, guard_kill_switch,
        guard_resource,       decide_guard_risk,   decide_guard_unenforced};
    *ret = (struct decide_decision){.action = DECIDE_ACT};
    struct deciding d = {subject, finding, plan, guards, arena, ret};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        table[i](&d);
}
