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
    if (strictness[to] > strictness[d->decision->action]) {
        d->decision->action = to;
        d->decision->reason = reason;
    }
}

void decide_ask(struct deciding *d, int people, const char *reason)
{
    decide_tighten(d, DECIDE_ASK, reason);
    if (people > d->decision->people)
        d->decision->people = people;
}

void decide_hold(struct deciding *d, int64_t ms, const char *reason)
{
    decide_tighten(d, DECIDE_HOLD, reason);
    if (ms > d->decision->hold_ms) {
        d->decision->hold_ms = ms;
        if (d->decision->action == DECIDE_HOLD)
            d->decision->reason = reason;
    }
}

static void guard_mode(struct deciding *d)
{
    enum mode mode;
    if (!mode_parse(str_from(d->in->settings.mode), &mode) || mode == MODE_OFF)
        decide_tighten(d, DECIDE_SKIP, "no assignment lets this policy run here");
    else if (mode == MODE_OBSERVE || !d->in->settings.acts)
        decide_tighten(d, DECIDE_OBSERVE, "mode observe: the violation is only noted");
    else if (mode == MODE_APPROVE && !d->in->guards.by_hand)
        decide_ask(d, 1, "mode approve: a person decides");
}

/* The author's own condition; one that cannot be evaluated asks. */
static void guard_ask(struct deciding *d)
{
    if (d->in->guards.by_hand)
        return;
    if (d->in->settings.ask_error)
        decide_ask(
            d, 1,
            arena_printf(d->arena, "`ask` cannot be evaluated: %s", d->in->settings.ask_error));
    else if (d->in->settings.asks)
        decide_ask(d, 1, "the policy asks before it makes such a change");
}

static bool is_true(struct value map, const char *name)
{
    const struct value *v = value_get(map, str_from(name));
    return v && v->kind == VALUE_BOOL && v->b;
}

/* What it rests on, if that was chosen by somebody who is not listed; else NULL. */
static const char *chosen_by_another(struct value exemption, struct str *ret_by)
{
    bool tags = is_true(exemption, "tags") && !is_true(exemption, "listed");
    bool name = is_true(exemption, "name") && !is_true(exemption, "maker_listed");
    *ret_by = value_path_str(exemption, tags ? "set_by" : "made_by");
    if (!ret_by->len)
        *ret_by = STR("somebody unknown");
    return tags ? "its tags were set" : name ? "the resource was named" : NULL;
}

static void guard_exemption(struct deciding *d)
{
    struct value list = d->in->exemptions;
    for (uint32_t i = 0; i < list.len; i++) {
        struct value e = list.items[i];
        struct str owner = value_path_str(e, "owner"), reason = value_path_str(e, "reason");
        struct str failed = value_path_str(e, "error");
        struct str by;
        const char *chosen = chosen_by_another(e, &by);
        if (failed.len)
            decide_hold(
                d, 60000,
                arena_printf(d->arena, "an exemption cannot be evaluated: %.*s", STR_FMT(failed)));
        else if (is_true(e, "holds") && !chosen)
            decide_tighten(
                d, DECIDE_SKIP,
                arena_printf(d->arena, "exempt by %.*s: %.*s", STR_FMT(owner), STR_FMT(reason)));
        else if (is_true(e, "holds"))
            decide_say(d, arena_printf(d->arena,
                                       "the exemption by %.*s does not count: %s by %.*s, who is "
                                       "not listed",
                                       STR_FMT(owner), chosen, STR_FMT(by)));
    }
}

static void guard_kill_switch(struct deciding *d)
{
    if (d->in->guards.stopped)
        decide_hold(d, 10000, d->in->guards.stopped);
}

static void guard_resource(struct deciding *d)
{
    if (d->in->guards.frozen)
        decide_tighten(d, DECIDE_STOP,
                       "the resource is frozen after a failed undo; a person clears it");
    else if (d->in->guards.locked_by)
        decide_hold(d, 500,
                    arena_printf(d->arena, "r%lld is working on the resource",
                                 (long long)d->in->guards.locked_by));
    if (d->in->guards.changes > (int)LIMIT_STATE_CHANGES && !d->in->guards.by_hand)
        decide_ask(d, 1, "the resource keeps changing while it is being decided on");
}

static void judge(const struct decide_inputs *in, struct arena *arena, struct decide_decision *ret)
{
    static void (*const table[])(struct deciding *) = {guard_mode,           guard_ask,
                                                       guard_exemption,      decide_guard_resting,
                                                       decide_guard_freeze,  decide_guard_grace,
                                                       decide_guard_window,  decide_guard_ready,
                                                       decide_guard_iac,     decide_guard_permits,
                                                       decide_guard_rollout, guard_kill_switch,
                                                       guard_resource,       decide_guard_fight,
                                                       decide_guard_risk,    decide_guard_mass};
    *ret = (struct decide_decision){.action = DECIDE_ACT, .stage = -1};
    struct deciding d = {in, arena, ret};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        table[i](&d);
    if (ret->action != DECIDE_ASK)
        ret->people = 0;
}

void decide_guard(const struct decide_subject *subject, const struct decide_finding *finding,
                  struct value plan, const struct decide_guards *guards, struct arena *arena,
                  struct decide_decision *ret, struct value *ret_inputs)
{
    struct decide_inputs in;
    decide_gather(subject, finding, plan, guards, arena, &in);
    judge(&in, arena, ret);
    if (ret_inputs)
        *ret_inputs = decide_inputs_value(&in, arena);
}

bool decide_again(struct value inputs, struct arena *arena, struct decide_decision *ret,
                  struct error *err)
{
    struct decide_inputs in;
    if (!decide_inputs_parse(inputs, arena, &in))
        return error_set(err, "D0006", "this is not what a decision of this version rests on");
    judge(&in, arena, ret);
    return true;
}

struct value decide_decision_value(const struct decide_decision *d, struct arena *arena)
{
    struct value_builder out = {.arena = arena}, reasons = {.arena = arena};
    for (size_t i = 0; i < d->reason_count; i++)
        value_push(&reasons, value_cstr(d->reasons[i]));
    value_set(&out, "action", value_cstr(decide_action_name(d->action)));
    value_set(&out, "reasons", value_finish_list(&reasons));
    value_set(&out, "people", value_int(d->people));
    value_set(&out, "score", value_int(d->score));
    value_set(&out, "risk", d->risk);
    value_set(&out, "hold_ms", value_int(d->hold_ms));
    return value_finish_map(&out);
}
