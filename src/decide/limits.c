// SPDX-License-Identifier: Apache-2.0
/* Guards that count: permits, breakers, rollout, mass. They only judge figures; the store counts
 * and reserves, in the intent's own transaction. See decide.h and model/permit.h. */
#include "decide/decide_internal.h"

#include "base/limits.h"

#define ROLLOUT_HOLD_MS 60000

/* ---- the keys ---- */

/* Of each operation in one place, and of all of them together. */
static const struct breaker_rule calls_breaker = {
    POLICY_DEFAULT_CALL_IN_A_ROW, POLICY_DEFAULT_CALL_PERCENT, POLICY_DEFAULT_CALL_OF,
    POLICY_DEFAULT_CALL_IN, POLICY_DEFAULT_CALL_OPEN};

struct keys {
    const struct decide_subject *subject;
    struct arena *arena;
    struct permit *list;
    size_t count;
};

static struct permit *add(struct keys *k, const char *key, struct str unit)
{
    if (k->count == PERMITS_MAX || !key)
        return NULL;
    for (size_t i = 0; i < k->count; i++)
        if (str_is(k->list[i].key, key))
            return NULL;
    struct permit *p = &k->list[k->count++];
    *p = (struct permit){.key = str_from(key), .unit = unit};
    return p;
}

/* Half of it, rounded up, so that there is always some left for others. */
static int fair_part(int most)
{
    return (most + 1) / 2;
}

/* Some is kept for what matters most. */
static int without_reserve(const struct policy *policy, int most)
{
    return policy->severity >= SEVERITY_HIGH ? most : most - most * POLICY_DEFAULT_RESERVE / 100;
}

static void add_policy(struct keys *k)
{
    const struct policy *p = k->subject->policy;
    const struct policy_limits *limits = &k->subject->assignment->limits;
    struct str account = k->subject->resource.account;
    struct breaker_rule rule = {p->breaker_in_a_row, p->breaker_percent, p->breaker_of,
                                p->breaker_window_ms, p->breaker_open_ms};
    struct permit *all = add(k, arena_printf(k->arena, "policy %.*s", STR_FMT(p->name)), account);
    if (all) {
        all->at_once_max = p->at_once;
        all->per_hour_max = p->per_hour;
        all->rule = rule;
    }
    struct permit *here =
        add(k, arena_printf(k->arena, "policy %.*s %.*s", STR_FMT(p->name), STR_FMT(account)),
            k->subject->resource.id);
    if (here) {
        here->at_once_max = limits->shared ? fair_part(p->at_once) : 0;
        here->per_hour_max = limits->shared ? fair_part(p->per_hour) : 0;
        here->rule = rule;
    }
}

static void add_everywhere(struct keys *k)
{
    const struct policy *p = k->subject->policy;
    const struct policy_limits *limits = &k->subject->assignment->limits;
    struct str account = k->subject->resource.account;
    const char *unit = arena_printf(k->arena, "%.*s %.*s", STR_FMT(p->name), STR_FMT(account));
    struct permit *there =
        add(k, arena_printf(k->arena, "account %.*s", STR_FMT(account)), account);
    struct permit *fleet = add(k, "fleet", str_from(unit));
    if (there) {
        there->at_once_max = without_reserve(p, limits->account_at_once);
        there->per_hour_max = without_reserve(p, limits->account_per_hour);
    }
    if (fleet) {
        fleet->at_once_max = without_reserve(p, limits->fleet_at_once);
        fleet->rule = calls_breaker;
    }
}

static void add_calls(struct keys *k, struct value plan)
{
    const struct resource *r = &k->subject->resource;
    for (uint32_t i = 0; i < plan.len; i++) {
        struct str name = value_path_str(plan.items[i], "call");
        struct str region = value_path_str(plan.items[i], "region");
        if (region.len == 0)
            region = k->subject->region;
        struct permit *p = add(k,
                               arena_printf(k->arena, "call %.*s %.*s %.*s", STR_FMT(r->account),
                                            STR_FMT(region), STR_FMT(name)),
                               r->id);
        if (p)
            p->rule = calls_breaker;
    }
}

size_t decide_permits(const struct decide_subject *subject, struct value plan, bool by_hand,
                      struct arena *arena, struct permit ret[PERMITS_MAX])
{
    struct keys k = {subject, arena, ret, 0};
    if (by_hand) { // it is counted, and no breaker keeps a person from taking something back
        struct permit *p =
            add(&k, arena_printf(arena, "policy %.*s", STR_FMT(subject->policy->name)),
                subject->resource.account);
        if (p)
            p->at_once_max = subject->policy->at_once;
        return k.count;
    }
    add_policy(&k);
    add_everywhere(&k);
    add_calls(&k, plan);
    return k.count;
}

void decide_block(const struct permit *permits, const struct key_meter *meters, size_t count,
                  int64_t now_ms, struct arena *arena, struct decide_guards *guards)
{
    guards->block = PERMIT_FREE;
    for (size_t i = 0; i < count && guards->block == PERMIT_FREE; i++) {
        guards->block = permit_check(&permits[i], &meters[i], now_ms, &guards->block_ms);
        if (guards->block != PERMIT_FREE)
            guards->block_key = arena_printf(arena, "%.*s", STR_FMT(permits[i].key));
    }
}

/* Does one of the steps so far name the resource? */
void decide_gather_cohort(const struct decide_subject *subject, const struct decide_guards *guards,
                          struct decide_settings *ret)
{
    const struct policy_rollout *steps = &subject->policy->rollout;
    int named = subject->assignment->account_step;
    ret->stages = (int)steps->stage_count;
    ret->share_percent = subject->policy->share_percent;
    ret->growth = subject->policy->growth;
    ret->in_cohort = named > 0 && named <= guards->stage + 1;
    for (int i = 0; i <= guards->stage && i < ret->stages; i++) {
        const struct policy_stage *s = &steps->stages[i];
        ret->stage_text = s->text;
        ret->in_cohort |= s->kind == STAGE_SHARE && guards->place < s->number;
        if (s->kind == STAGE_SEATS)
            ret->seats_max = s->number;
    }
}

int decide_next_step(const struct decide_subject *subject, const struct decide_guards *guards)
{
    const struct policy_rollout *steps = &subject->policy->rollout;
    if (guards->rollout != ROLLOUT_RUNNING)
        return 0;
    for (int i = guards->stage + 1; i < (int)steps->stage_count; i++) {
        const struct policy_stage *s = &steps->stages[i];
        if (s->kind == STAGE_SEATS || (s->kind == STAGE_SHARE && guards->place < s->number) ||
            subject->assignment->account_step == i + 1)
            return i;
    }
    return 0;
}

/* ---- the guards ---- */

void decide_guard_permits(struct deciding *d)
{
    static const char *const reasons[] = {
        [PERMIT_OPEN] = "the circuit breaker of \"%s\" is open",
        [PERMIT_PROBING] = "the circuit breaker of \"%s\" is half open, and probed by others",
        [PERMIT_SLOW] = "\"%s\" is throttled",
        [PERMIT_AT_ONCE] = "limit: as many repairs of \"%s\" at once as there may be",
        [PERMIT_PER_HOUR] = "limit: as many repairs of \"%s\" within an hour as there may be",
    };
    const struct decide_guards *g = &d->in->guards;
    if (g->block <= PERMIT_FREE || g->block > PERMIT_PER_HOUR)
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const char *reason =
        arena_printf(d->arena, reasons[g->block], g->block_key ? g->block_key : "?");
#pragma GCC diagnostic pop
    decide_hold(d, g->block_ms, reason);
    d->decision->wait = WAIT_PERMIT;
}

static void hold_for_rollout(struct deciding *d, const char *reason)
{
    decide_hold(d, ROLLOUT_HOLD_MS, reason);
    d->decision->wait = WAIT_ROLLOUT;
}

void decide_guard_rollout(struct deciding *d)
{
    const struct decide_guards *g = &d->in->guards;
    const struct decide_settings *p = &d->in->settings;
    if (g->by_hand)
        return;
    if (g->rollout == ROLLOUT_PAUSED) {
        hold_for_rollout(d, arena_printf(d->arena, "the policy is paused by %s: %s",
                                         g->changed_by ? g->changed_by : "?",
                                         g->changed_why ? g->changed_why : "no reason given"));
        return;
    }
    if (p->stages == 0 || g->rollout == ROLLOUT_DONE)
        return;
    d->decision->stage = g->stage;
    d->decision->seats = p->in_cohort ? 0 : p->seats_max;
    bool seat = p->seats_max > 0 && (g->member || (g->seats < p->seats_max && !g->refused_here));
    if (g->rollout != ROLLOUT_RUNNING || !(p->in_cohort || seat))
        hold_for_rollout(d, arena_printf(d->arena,
                                         "the policy's rollout is at step %d of %d (%s), which "
                                         "does not reach this resource yet",
                                         g->stage + 1, p->stages,
                                         p->stage_text ? p->stage_text : "?"));
}

/* More than the policy may find in a day without a person who has seen that: it stops as a whole,
 * as nobody can answer thousands of questions. */
void decide_guard_mass(struct deciding *d)
{
    const struct decide_guards *g = &d->in->guards;
    const struct decide_settings *p = &d->in->settings;
    int64_t found = g->found_today + 1;
    bool counted = g->population > 0 && p->now_ms - g->counted_ms <= POLICY_DEFAULT_COUNT_GOOD;
    int64_t share = counted ? g->population * p->share_percent / 100 : 0;
    if (d->decision->action != DECIDE_ACT || g->by_hand || p->now_ms < g->waived_ms ||
        found <= POLICY_DEFAULT_LIMIT_SHARE_MIN)
        return;
    if (p->share_percent < 100 && found > share)
        d->decision->pause = arena_printf(d->arena, "%lld violations today are more than %d and %s",
                                          (long long)found, POLICY_DEFAULT_LIMIT_SHARE_MIN,
                                          counted ? "the policy's share of all resources"
                                                  : "no complete scan says of how many");
    else if (p->growth > 0 && g->found_days >= POLICY_DEFAULT_LIMIT_GROWTH_DAYS &&
             found > g->found_past * p->growth)
        d->decision->pause = arena_printf(
            d->arena, "%lld violations today are more than %d times the most of the last days",
            (long long)found, p->growth);
    if (d->decision->pause)
        hold_for_rollout(d, d->decision->pause);
}

void decide_guard_counts(const struct decide_subject *subject, const struct decide_guards *guards,
                         struct arena *arena, struct decide_decision *ret)
{
    struct decide_inputs in = {.guards = *guards};
    decide_gather_cohort(subject, guards, &in.settings);
    *ret = (struct decide_decision){.action = DECIDE_ACT, .stage = -1};
    struct deciding d = {.in = &in, .arena = arena, .decision = ret};
    decide_guard_permits(&d);
    decide_guard_rollout(&d);
}
