// SPDX-License-Identifier: Apache-2.0
/* What the guards have to know, and what is held by them. A repair that waits for a permit or for
 * its policy's rollout asks the store again, not the cloud. */
#include "engine/step_internal.h"

#define HOLD_PERMIT_MAX_MS 60000 // one that waits is woken when a permit comes back; this is
#define HOLD_LONG_MAX_MS 600000  //   how long it may take when that was missed

static bool begin_rollout(struct step *s, const struct rollout *r, bool *ret_changed)
{
    bool staged = s->policy->rollout.stage_count > 0;
    bool acts = s->assignment.mode >= MODE_APPROVE && s->r.kind == REMEDIATION_REPAIR;
    struct store_rollout_change change = {.what = ROLLOUT_BEGIN,
                                          .policy = s->policy->name,
                                          .hash = str_from(s->policy->hash),
                                          .staged = staged,
                                          .undo = s->policy->rollout.undo,
                                          .by = STR(STORE_ITSELF),
                                          .reason = r->state == ROLLOUT_NONE
                                                        ? STR("the policy is new here")
                                                        : STR("the policy was changed")};
    *ret_changed =
        !s->looking && acts && (r->state == ROLLOUT_NONE ? staged : !str_eq(r->hash, change.hash));
    return !*ret_changed || store_rollout_set(s->engine->store, &change, s->err) != STORE_ERROR;
}

static bool look(struct step *s, struct store_guards *ret)
{
    struct store_guard_query query = {s->r.policy, str_from(s->policy->hash), s->r.resource,
                                      s->permits, s->permit_count};
    return store_guards(s->engine->store, &query, s->arena, ret, s->err) == STORE_OK;
}

bool step_gather_guards(struct step *s, struct value plan, struct decide_guards *ret)
{
    struct store_guards g;
    char reason[256];
    bool by_hand = s->r.kind == REMEDIATION_ROLLBACK, begun;
    struct act_gate gate = {
        .kill_switch = s->engine->kill_switch, .clock = s->engine->clock, .deadline_ms = INT64_MAX};
    s->permit_count = decide_permits(&s->subject, plan, by_hand, s->arena, s->permits);
    if (!look(s, &g) || !begin_rollout(s, &g.rollout, &begun) || (begun && !look(s, &g)))
        return false;
    *ret = (struct decide_guards){
        .rollout = g.rollout.state,
        .stage = g.rollout.stage,
        .place = g.rollout.place,
        .seats = g.rollout.seats,
        .member = g.rollout.member,
        .refused_here = g.rollout.refused_here,
        .changed_by = arena_printf(s->arena, "%.*s", STR_FMT(g.rollout.by)),
        .changed_why = arena_printf(s->arena, "%.*s", STR_FMT(g.rollout.reason)),
        .waived_ms = g.rollout.waived_ms,
        .past_bad = g.past_bad,
        .past_total = g.past_total,
        .population = g.population,
        .counted_ms = g.counted_ms,
        .found_today = g.found_today,
        .found_past = g.found_past,
        .found_days = g.found_days,
        .frozen = g.frozen,
        .locked_by = g.locked_by == s->r.id ? 0 : g.locked_by,
        .reversals = g.reversals,
        .changes = step_count(s, "changes"),
        .by_hand = by_hand,
        .last_healed_ms = g.last_healed_ms,
        .stopped = act_gate_open(&gate, reason, sizeof reason)
                       ? NULL
                       : arena_printf(s->arena, "%s", reason),
    };
    s->rollout_step = decide_next_step(&s->subject, ret);
    decide_block(s->permits, g.meters, s->permit_count, s->subject.now_ms, s->arena, ret);
    return true;
}

bool step_pause_policy(struct step *s, const char *reason)
{
    struct store_rollout_change change = {.what = ROLLOUT_PAUSE,
                                          .policy = s->policy->name,
                                          .hash = str_from(s->policy->hash),
                                          .staged = s->policy->rollout.stage_count > 0,
                                          .by = STR(STORE_ITSELF),
                                          .reason = str_from(reason)};
    step_page(
        s, arena_printf(s->arena, "policy %.*s is paused: %s", STR_FMT(s->policy->name), reason));
    return store_rollout_set(s->engine->store, &change, s->err) != STORE_ERROR;
}

/* Longer each time, and not all at the same moment. */
static int64_t hold_pause(const struct step *s, const struct decide_decision *d, int times)
{
    int64_t pause = d->hold_ms ? d->hold_ms : 1000;
    bool soon = d->wait == WAIT_PERMIT && pause < HOLD_PERMIT_MAX_MS; // not an hour's limit
    int64_t most = soon ? HOLD_PERMIT_MAX_MS : HOLD_LONG_MAX_MS;
    if (d->wait == WAIT_TIME)
        return pause;
    if (d->wait == WAIT_ROLLOUT && s->rollout_step) // it is woken in time
        pause = most;
    while (times-- > 0 && pause < most)
        pause *= 2;
    if (pause > most && d->hold_ms < most)
        pause = most;
    return pause + pause * (s->r.id * 7919 % 256) / 1024;
}

bool step_hold(struct step *s, const struct decide_decision *d, struct value record)
{
    int times = d->wait == WAIT_TIME ? 0 : step_count(s, "held");
    int later = d->wait == WAIT_ROLLOUT ? s->rollout_step : 0;
    const char *reason = d->reason ? d->reason : "";
    if (d->wait != WAIT_TIME)
        step_set_count(s, "held", times + 1);
    return step_to(s, &(struct step_change){.to = STATE_HELD,
                                            .step = (int)d->wait + later,
                                            .wait_ms = hold_pause(s, d, times),
                                            .reason = reason,
                                            .record = record});
}

/* Nothing is read while what has to be counted does not let it begin. */
bool state_held(struct step *s)
{
    const struct value *plan = step_detail(s, DETAIL_PLAN);
    struct decide_guards guards;
    struct decide_decision decision;
    struct value_builder nothing = {.arena = s->arena};
    if (s->r.step == WAIT_TIME || !plan || plan->kind != VALUE_LIST ||
        s->assignment.mode < MODE_APPROVE || s->r.sequence > s->r.sequence_seen)
        return state_reading(s);
    if (!step_gather_guards(s, *plan, &guards))
        return false;
    decide_guard_counts(&s->subject, &guards, s->arena, &decision);
    if (decision.action == DECIDE_HOLD)
        return step_hold(s, &decision, value_finish_map(&nothing));
    return state_reading(s);
}
