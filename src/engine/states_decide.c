// SPDX-License-Identifier: Apache-2.0
/* received, reading (settling, unread and held become it when due), deciding, asking. */
#include "engine/step_internal.h"

#include "base/limits.h"
#include "value/json.h"

#include <stdio.h>

#define UNREAD_PAUSE_MAX_MS 900000
#define RENAMED_MAX 3        // other names that the reads may give, one after the other
#define UNREAD_LASTING_MAX 5 // times that a lasting failure is tried before a person is told

bool state_received(struct step *s)
{
    return step_to(s, &(struct step_change){.to = STATE_READING, .later = true});
}

static struct value error_value(struct step *s, struct str code, struct str message)
{
    struct value_builder out = {.arena = s->arena};
    value_set(&out, "code", value_string(code));
    value_set(&out, "message", value_string(str_sub(message, 0, 400)));
    return value_finish_map(&out);
}

static bool enter_unread(struct step *s)
{
    int count = step_count(s, "unread") + 1;
    struct value error = error_value(s, s->finding.code, s->finding.reason);
    const char *reason = arena_printf(s->arena, "%.*s", STR_FMT(s->finding.reason));
    step_set_count(s, "unread", count);
    step_set_detail(s, DETAIL_ERROR, error);
    if (s->finding.lasting && count >= UNREAD_LASTING_MAX)
        return step_to(
            s, &(struct step_change){.to = STATE_NEEDS_PERSON, .reason = reason, .record = error});
    return step_to(s, &(struct step_change){.to = STATE_UNREAD,
                                            .wait_ms = step_pause_ms(s, count, UNREAD_PAUSE_MAX_MS,
                                                                     s->finding.retry_after_ms),
                                            .reason = reason,
                                            .record = error});
}

static bool enter_compliant(struct step *s)
{
    int64_t unsettled_ms = step_unsettled_ms(s);
    if (unsettled_ms)
        return step_to(s, &(struct step_change){.to = STATE_SETTLING,
                                                .wait_ms = unsettled_ms,
                                                .reason = "compliant, but younger than `settle`"});
    return step_to(
        s, &(struct step_change){.to = STATE_COMPLIANT, .reason = "the resource obeys the policy"});
}

/* What the finding was, into the detail: reads, fingerprint, message. Counts a change of the state.
 * False: what is needed for the undo cannot be kept. */
static bool keep_finding(struct step *s)
{
    const struct value *old = step_detail(s, DETAIL_FINGERPRINT);
    if (step_count(s, "done") || step_count(s, "maybe")) { // of a plan that is forgotten now
        step_set_count(s, "earlier", 1);
        step_set_count(s, "done", 0);
        step_set_count(s, "maybe", 0);
    }
    if (step_count(s, "unread"))
        step_set_count(s, "unread", 0);
    struct value print = value_string(str_copy(s->arena, str_from(s->finding.fingerprint)));
    if (old && !value_equal(*old, print))
        step_set_count(s, "changes", step_count(s, "changes") + 1);
    step_set_detail(s, DETAIL_FINGERPRINT, print);
    step_set_detail(s, DETAIL_MESSAGE, value_string(s->finding.message));
    step_set_detail(s, DETAIL_NOW, value_int(s->subject.now_ms));
    return step_keep(s, DETAIL_READS, s->policy->before_slot);
}

/* The reads name the resource otherwise than the event did. Everything is keyed by the canonical
 * name, so it goes on under that one; the key of what is accepted makes a repetition vanish. */
static bool continue_under(struct step *s, struct str id)
{
    struct resource canonical = s->subject.resource;
    struct str key;
    char own[REMEDIATION_ID_SIZE];
    canonical.id = id;
    if (step_count(s, "renamed") >= RENAMED_MAX)
        return step_to(s, &(struct step_change){.to = STATE_NEEDS_PERSON,
                                                .reason = "`resource.identity` gives another name "
                                                          "each time"});
    step_set_count(s, "renamed", step_count(s, "renamed") + 1);
    remediation_id_format(s->r.id, own);
    if (!resource_key(&canonical, s->arena, &key, s->err))
        return step_to(
            s, &(struct step_change){.to = STATE_NEEDS_PERSON,
                                     .reason = arena_printf(s->arena, "%s", s->err->message)});
    struct buf detail = {.arena = s->arena};
    json_write(&detail, s->r.detail, JSON_COMPACT);
    struct store_match match = {.policy = s->r.policy,
                                .policy_hash = s->r.policy_hash,
                                .resource = key,
                                .region = s->r.region,
                                .due_ms = s->subject.now_ms + step_unsettled_ms(s),
                                .detail = buf_str(&detail)};
    struct store_event event = {
        .key = str_from(arena_printf(s->arena, "%s as %.*s", own, STR_FMT(key))),
        .name = STR("known by another name"),
        .matches = &match,
        .match_count = 1};
    if (!match.detail.ptr || !event.key.ptr)
        return error_set(s->err, "E0003", "out of memory");
    if (store_accept(s->engine->store, &event, 1, NULL, s->err) != STORE_OK)
        return false;
    return step_to(s, &(struct step_change){
                          .to = STATE_SKIPPED,
                          .reason = arena_printf(s->arena, "it is %.*s: goes on under that name",
                                                 STR_FMT(id))});
}

bool state_reading(struct step *s)
{
    if (s->assignment.mode == MODE_OFF)
        return step_to(s,
                       &(struct step_change){.to = STATE_SKIPPED,
                                             .reason = "no assignment lets this policy run here"});
    if (!s->entered_reading)
        return step_to(s, &(struct step_change){.to = STATE_READING, .later = true});
    step_read(s);
    if (s->finding.verdict == VERDICT_UNREAD)
        return enter_unread(s);
    if (s->finding.verdict == VERDICT_GONE)
        return step_to(s, &(struct step_change){.to = STATE_GONE,
                                                .reason = arena_printf(
                                                    s->arena, "%.*s", STR_FMT(s->finding.reason))});
    if (s->r.kind == REMEDIATION_REPAIR && !str_eq(s->finding.id, s->subject.resource.id))
        return continue_under(s, s->finding.id);
    if (s->r.kind == REMEDIATION_REPAIR && s->finding.verdict == VERDICT_COMPLIANT)
        return enter_compliant(s);
    if (!keep_finding(s))
        return false;
    struct value_builder record = {.arena = s->arena};
    value_set(&record, "verdict", value_cstr(verdict_name(s->finding.verdict)));
    value_set(&record, "message", value_string(s->finding.message));
    value_set(&record, "fingerprint", value_cstr(s->finding.fingerprint));
    bool found = s->finding.verdict == VERDICT_VIOLATION && !step_count(s, "found");
    if (found)
        step_set_count(s, "found", 1);
    return step_to(s, &(struct step_change){.to = STATE_DECIDING,
                                            .later = true,
                                            .found = found,
                                            .record = value_finish_map(&record)});
}

/* ---- deciding ---- */

/* What was decided, what it rests on, and the mode. */
static struct value decision_value(struct step *s, const struct decide_decision *d,
                                   struct value inputs)
{
    struct value_builder out = {.arena = s->arena};
    struct value plain = decide_decision_value(d, s->arena);
    for (uint32_t i = 0; i < plain.len; i++)
        value_set_str(&out, value_str(plain.pairs[i].key), plain.pairs[i].value);
    value_set(&out, DETAIL_MODE, value_cstr(mode_name(s->assignment.mode)));
    value_set(&out, "inputs", inputs);
    return value_finish_map(&out);
}

/* The repair's plan, or the inverse of what the parent did. */
bool step_make_plan(struct step *s, struct value *ret, struct error *err)
{
    if (s->r.kind == REMEDIATION_REPAIR)
        return decide_plan(&s->subject, &s->finding, s->engine->clock, s->arena, ret, err);
    const struct value *parent = step_detail(s, DETAIL_PARENT);
    struct remediation old;
    if (!parent || store_get(s->engine->store, parent->i, s->arena, &old, err) != STORE_OK)
        return error_set(err, "E0001", "the remediation to take back is not there");
    const struct value *plan = value_get(old.detail, STR(DETAIL_PLAN));
    struct value before, after;
    if (!step_kept(s, &old, DETAIL_READS, &before, err) ||
        !step_kept(s, &old, DETAIL_AFTER, &after, err))
        return false;
    if (!plan || before.kind != VALUE_MAP)
        return error_set(err, "E0002", "the remediation changed nothing");
    return decide_undo(&s->subject, &s->finding, *plan, engine_steps_done(&old), before,
                       after.kind == VALUE_MAP ? after : s->finding.reads, s->engine->clock,
                       s->arena, ret, err);
}

static bool enter_intent(struct step *s, const struct decide_decision *d, const char *hash,
                         bool approved, struct value plan)
{
    struct value_builder record = {.arena = s->arena};
    bool repair = s->r.kind == REMEDIATION_REPAIR;
    value_set(&record, "plan", plan);
    value_set(&record, "plan_hash", value_cstr(hash));
    return step_to(
        s, &(struct step_change){.to = STATE_INTENT,
                                 .later = true,
                                 .lock = true,
                                 .sequence_unchanged = true,
                                 .permits = s->permits,
                                 .permit_count = s->permit_count,
                                 .cohort = {repair ? str_from(s->policy->hash) : (struct str){0},
                                            d->stage, d->seats, d->stage >= 0},
                                 .approval_hash = approved ? hash : NULL,
                                 .record = value_finish_map(&record)});
}

static bool enter_decided(struct step *s, const struct decide_decision *d, struct value inputs,
                          struct value plan)
{
    bool approved = false;
    struct value decision = decision_value(s, d, inputs);
    const char *reason = d->reason ? d->reason : "";
    const struct value *unready = value_path(inputs, "settings.unready");
    if (unready && unready->kind == VALUE_BOOL && unready->b &&
        !step_detail(s, DETAIL_UNREADY_SINCE))
        step_set_detail(s, DETAIL_UNREADY_SINCE, value_int(s->subject.now_ms));
    if (d->page)
        step_page(s, d->page);
    char *hash = arena_alloc(s->arena, 65);
    if (!hash)
        return error_set(s->err, "E0003", "out of memory");
    decide_plan_hash(&s->subject, plan, s->finding.fingerprint, s->arena, hash);
    if (!hash[0])
        return error_set(s->err, "E0003", "out of memory");
    step_set_detail(s, DETAIL_DECISION, decision);
    step_set_detail(s, DETAIL_PLAN, plan);
    step_set_detail(s, DETAIL_PLAN_HASH, value_cstr(hash));
    const char *differs = step_planned_differs(s, d, hash);
    if (differs)
        return step_to(
            s, &(struct step_change){.to = STATE_SKIPPED, .reason = differs, .record = decision});
    if (d->pause && !step_pause_policy(s, d->pause))
        return false;
    switch (d->action) {
    case DECIDE_OBSERVE:
        return step_to(
            s, &(struct step_change){.to = STATE_OBSERVED, .reason = reason, .record = decision});
    case DECIDE_SKIP:
        return step_to(
            s, &(struct step_change){.to = STATE_SKIPPED, .reason = reason, .record = decision});
    case DECIDE_STOP:
        return step_to(s, &(struct step_change){
                              .to = STATE_NEEDS_PERSON, .reason = reason, .record = decision});
    case DECIDE_HOLD:
        return step_hold(s, d, decision);
    case DECIDE_ASK:
        if (!step_is_approved(s, hash, &approved))
            return false;
        if (!approved)
            return step_ask(s, hash, reason, decision);
        break;
    case DECIDE_ACT:
        break;
    }
    return enter_intent(s, d, hash, approved, plan);
}

bool state_deciding(struct step *s)
{
    struct decide_guards guards;
    struct decide_decision decision;
    struct value plan = value_list(NULL, 0), inputs;
    struct error err;
    if (!s->has_finding) // interrupted: what was read is gone with the process
        return step_to(s, &(struct step_change){.to = STATE_READING, .later = true});
    if (!step_make_plan(s, &plan, &err)) {
        struct value error = error_value(s, str_from(err.code), str_from(err.message));
        step_set_detail(s, DETAIL_ERROR, error);
        return step_to(
            s, &(struct step_change){.to = STATE_NEEDS_PERSON,
                                     .record = error,
                                     .reason = arena_printf(s->arena, "no plan: %s", err.message)});
    }
    if (step_detail(s, DETAIL_STAGED) && !step_may_undo(s->policy))
        return step_to(s, &(struct step_change){
                              .to = STATE_NEEDS_PERSON,
                              .reason = "its rollout's stage failed, and only a person may take "
                                        "back what closes a hole or has no undo"});
    if (s->r.kind == REMEDIATION_ROLLBACK && plan.len == 0)
        return step_to(s, &(struct step_change){.to = STATE_ROLLED_BACK,
                                                .reason = "nothing of ours is left to take back"});
    if (!step_gather_guards(s, plan, &guards) || !step_remember(s, &guards))
        return false;
    decide_guard(&s->subject, &s->finding, plan, &guards, s->arena, &decision, &inputs);
    return enter_decided(s, &decision, inputs, plan);
}
