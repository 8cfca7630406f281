// SPDX-License-Identifier: Apache-2.0
/* The risk engine and the guards, first form. Every guard is a row of one table and can only make
 * the decision stricter; what an attacker can write never lowers a score. See decide.h. */
#include "decide/decide.h"

#include "base/limits.h"

const char *decide_action_name(enum decide_action action)
{
    static const char *const names[] = {"act", "ask", "hold", "skip", "observe", "stop"};
    return names[action];
}

struct deciding {
    const struct decide_subject *subject;
    const struct decide_finding *finding;
    struct value plan;
    const struct decide_guards *guards;
    struct arena *arena;
    struct decide_decision *decision;
};

static void say(struct deciding *d, const char *reason)
{
    if (reason && d->decision->reason_count < DECIDE_REASONS_MAX)
        d->decision->reasons[d->decision->reason_count++] = reason;
}

/* Stricter only. The order of the enum is not the order of strictness: act < ask < hold < observe <
 * skip < stop. */
static void tighten(struct deciding *d, enum decide_action to, const char *reason)
{
    static const int strictness[] = {[DECIDE_ACT] = 0,     [DECIDE_ASK] = 1,  [DECIDE_HOLD] = 2,
                                     [DECIDE_OBSERVE] = 3, [DECIDE_SKIP] = 4, [DECIDE_STOP] = 5};
    say(d, reason);
    if (strictness[to] > strictness[d->decision->action])
        d->decision->action = to;
}

static void hold(struct deciding *d, int64_t ms, const char *reason)
{
    tighten(d, DECIDE_HOLD, reason);
    if (ms > d->decision->hold_ms)
        d->decision->hold_ms = ms;
}

static void guard_mode(struct deciding *d)
{
    const struct policy *p = d->subject->policy;
    if (d->subject->assignment->mode == MODE_OFF)
        tighten(d, DECIDE_SKIP, "no assignment lets this policy run here");
    else if (d->subject->assignment->mode == MODE_OBSERVE || p->step_count == 0)
        tighten(d, DECIDE_OBSERVE, "mode observe: the violation is only noted");
    else if (d->subject->assignment->mode == MODE_APPROVE && !d->guards->by_hand)
        tighten(d, DECIDE_ASK, "mode approve: a person decides");
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
        tighten(d, DECIDE_ASK,
                arena_printf(d->arena, "`ask` cannot be evaluated: %s", err.message));
    else if (asks.kind != VALUE_BOOL || asks.b)
        tighten(d, DECIDE_ASK, "the policy asks before it makes such a change");
}

/* Fail closed: what the author relies on and nobody evaluates is a person's decision. */
static void guard_unenforced(struct deciding *d)
{
    if (d->subject->policy->unenforced && !d->guards->by_hand)
        tighten(d, DECIDE_ASK,
                arena_printf(d->arena, "`%s` is not enforced yet, so a person decides",
                             d->subject->policy->unenforced));
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
            hold(d, 60000,
                 arena_printf(d->arena, "an exemption cannot be evaluated: %s", err.message));
        } else if (holds.kind == VALUE_BOOL && holds.b) {
            tighten(d, DECIDE_SKIP,
                    arena_printf(d->arena, "exempt by %.*s: %.*s", STR_FMT(e->owner),
                                 STR_FMT(e->reason)));
        }
    }
}

static void guard_breaker(struct deciding *d)
{
    const struct policy *p = d->subject->policy;
    const struct decide_guards *g = d->guards;
    if (g->breaker_open_until_ms > d->subject->now_ms) {
        hold(d, g->breaker_open_until_ms - d->subject->now_ms,
             "the policy's circuit breaker is open");
        return;
    }
    bool row = p->breaker_in_a_row > 0 && g->breaker_in_a_row >= p->breaker_in_a_row;
    bool share = g->breaker_total >= p->breaker_of && p->breaker_of > 0 &&
                 g->breaker_bad * 100 >= p->breaker_percent * g->breaker_total;
    if (row || share) { // of results since it was opened last
        d->decision->trip_breaker = true;
        hold(d, p->breaker_open_ms, "too many repairs of this policy failed: the breaker opens");
    }
}

static void guard_limits(struct deciding *d)
{
    const struct policy *p = d->subject->policy;
    if (p->at_once && d->guards->at_once >= p->at_once)
        hold(d, 1000,
             arena_printf(d->arena, "limit: %d repairs of this policy at once", p->at_once));
    if (p->per_hour && d->guards->per_hour >= p->per_hour)
        hold(d, 60000,
             arena_printf(d->arena, "limit: %d repairs of this policy an hour", p->per_hour));
}

static void guard_kill_switch(struct deciding *d)
{
    if (d->guards->stopped)
        hold(d, 10000, d->guards->stopped);
}

static void guard_resource(struct deciding *d)
{
    if (d->guards->frozen)
        tighten(d, DECIDE_STOP, "the resource is frozen after a failed undo; a person clears it");
    else if (d->guards->locked_by)
        hold(d, 500,
             arena_printf(d->arena, "r%lld is working on the resource",
                          (long long)d->guards->locked_by));
    if (d->guards->changes > (int)LIMIT_STATE_CHANGES && !d->guards->by_hand)
        tighten(d, DECIDE_ASK, "the resource keeps changing while it is being decided on");
    if (d->guards->reversals >= 3 && !d->guards->by_hand)
        tighten(d, DECIDE_ASK, "healed three times within 24 hours: another writer disagrees");
}

/* The class of a call by its verb; words that remove or end something weigh most. */
static const struct {
    const char *glob, *class;
    int points;
} classes[] = {
    {"Terminate*", "destructive", 60},
    {"Delete*Tag*", "overwrite", 20},
    {"Delete*", "delete", 50},
    {"Revoke*", "restrictive", 30},
    {"Remove*", "restrictive", 30},
    {"Detach*", "restrictive", 30},
    {"Stop*", "restrictive", 40},
    {"Disable*", "restrictive", 40},
    {"Put*Tagging", "additive", 5},
    {"Tag*", "additive", 5},
    {"Enable*", "additive", 5},
    {"Authorize*", "additive", 10},
    {"Create*", "additive", 10},
    {"Put*", "overwrite", 20},
    {"Update*", "overwrite", 20},
    {"Modify*", "overwrite", 20},
    {"*", "overwrite", 30},
};

static void guard_risk(struct deciding *d)
{
    struct value_builder parts = {.arena = d->arena};
    for (uint32_t i = 0; i < d->plan.len; i++) {
        struct str name = value_path_str(d->plan.items[i], "call");
        str_cut(&name, ':');
        for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
            if (!str_glob(str_from(classes[k].glob), name))
                continue;
            const struct value *old =
                value_get(value_finish_map(&parts), str_from(classes[k].class));
            int points = old && old->i > classes[k].points ? (int)old->i : classes[k].points;
            value_set(&parts, classes[k].class, value_int(points));
            break;
        }
    }
    d->decision->risk = value_finish_map(&parts);
    for (uint32_t i = 0; i < d->decision->risk.len; i++)
        d->decision->score += (int)d->decision->risk.pairs[i].value.i;
    if (d->decision->score >= 50 && !d->guards->by_hand)
        tighten(d, DECIDE_ASK, "risk: the repair deletes or ends something");
    for (size_t i = 0; i < d->subject->policy->step_count; i++)
        if (d->subject->policy->steps[i].undo_none.len && !d->guards->by_hand)
            tighten(d, DECIDE_ASK, "a step of the repair has no undo");
}

void decide_guard(const struct decide_subject *subject, const struct decide_finding *finding,
                  struct value plan, const struct decide_guards *guards, struct arena *arena,
                  struct decide_decision *ret)
{
    static void (*const table[])(struct deciding *) = {
        guard_mode,        guard_ask,      guard_exemption, guard_breaker,   guard_limits,
        guard_kill_switch, guard_resource, guard_risk,      guard_unenforced};
    *ret = (struct decide_decision){.action = DECIDE_ACT};
    struct deciding d = {subject, finding, plan, guards, arena, ret};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        table[i](&d);
}
