// SPDX-License-Identifier: Apache-2.0
/* intent, calling, unknown, verifying, undoing. The state before, the plan and its tokens are on
 * disk before any call leaves. */
#include "engine/step_internal.h"

#include <stdio.h>

#define CALLS_MAX 5 // attempts of one planned call
#define RETRY_MAX_MS 60000

static bool owns_lease(void *ctx)
{
    const struct step *s = ctx;
    return store_owns(s->engine->store, s->r.id, s->epoch);
}

static void perform(struct step *s, struct value planned, struct aws_answer *ret)
{
    struct act_gate gate = {s->engine->kill_switch,
                            s->engine->clock,
                            engine_deadline(s->engine, ENGINE_CALL_DEADLINE_MS),
                            owns_lease,
                            s,
                            step_is_thawed};
    struct act_request request = {
        .models = s->engine->models,
        .caller = s->engine->caller,
        .planned = planned,
        .account = s->subject.resource.account,
        .access = s->assignment.act,
        .gate = &gate,
        .attempt = (unsigned)(step_count(s, "calls") + step_count(s, "later")),
    };
    act_call(&request, s->arena, ret);
    if (!ret->gate_closed)
        step_note_attempt(s, planned, ret);
}

static struct value attempt_record(struct step *s)
{
    const struct value *attempts = step_detail(s, DETAIL_ATTEMPTS);
    struct value_builder out = {.arena = s->arena};
    if (attempts && attempts->len)
        value_set(&out, "attempt", attempts->items[attempts->len - 1]);
    return value_finish_map(&out);
}

bool step_may_undo(const struct policy *policy)
{
    for (size_t i = 0; i < policy->step_count; i++)
        if (policy->steps[i].closes_hole || policy->steps[i].undo_none.len)
            return false;
    return true;
}

static bool may_undo(const struct step *s)
{
    return s->r.kind == REMEDIATION_REPAIR && !step_count(s, "earlier") && step_may_undo(s->policy);
}

/* Who ends without having changed anything, or because he may not look any more, says nothing about
 * the policy: whoever owns the resource can refuse it. */
static enum store_outcome ended_badly(struct step *s, bool refused)
{
    if (s->r.kind != REMEDIATION_REPAIR)
        return OUTCOME_NONE;
    const struct value *rollout = value_path(s->r.detail, "decision.inputs.guards.rollout");
    if (!refused && rollout && rollout->kind == VALUE_INT && rollout->i == ROLLOUT_RUNNING)
        step_page(s, "a repair of the policy's rollout did not help: the policy is paused");
    return refused ? OUTCOME_REFUSED : OUTCOME_BAD;
}

/* Was the last attempt refused for good? Then repeating is in vain. */
static bool last_was_refused(const struct step *s)
{
    const struct value *attempts = step_detail(s, DETAIL_ATTEMPTS);
    if (!attempts || attempts->len == 0)
        return false;
    return str_is(value_path_str(attempts->items[attempts->len - 1], "outcome"), "refused");
}

/* The call of step `number` did not and will not work. Halfway, what was done is taken back where
 * that re-opens nothing. */
static bool give_up(struct step *s, int number, const char *why)
{
    bool undo = number > 1 && may_undo(s);
    bool refused = last_was_refused(s) && !step_count(s, "maybe");
    if (undo && refused)
        step_set_count(s, "refused", 1);
    step_set_count(s, "done", number - 1);
    step_set_count(s, "calls", 0);
    step_set_count(s, "later", 0);
    return step_to(s, &(struct step_change){
                          .to = undo ? STATE_UNDOING : STATE_NEEDS_PERSON,
                          .step = 0,
                          .reason = why,
                          .durable = true,
                          .outcome = undo ? OUTCOME_NONE : ended_badly(s, refused && number == 1),
                          .record = attempt_record(s)});
}

static bool next_call(struct step *s, int done, struct str request_id)
{
    bool last = (uint32_t)done >= step_plan(s).len;
    step_set_count(s, "calls", 0);
    step_set_count(s, "later", 0);
    step_set_count(s, "maybe", 0);
    step_set_count(s, "done", done);
    if (last) {
        step_set_count(s, "verify", 0);
        step_set_detail(s, "called_ms", value_int(clock_wall_ms(s->engine->clock)));
    }
    return step_to(s, &(struct step_change){.to = last ? STATE_VERIFYING : STATE_CALLING,
                                            .step = last ? 0 : done + 1,
                                            .durable = !last,
                                            .request_id = request_id,
                                            .record = attempt_record(s)});
}

/* The intent's conditions do not hold: nothing was written of it. */
static bool intent_refused(struct step *s, enum store_result why)
{
    switch (why) {
    case STORE_LOCKED:
        return step_to(
            s, &(struct step_change){.to = STATE_HELD,
                                     .wait_ms = 500,
                                     .reason = "another remediation is working on the resource"});
    case STORE_LIMITED:
        return step_to(s, &(struct step_change){.to = STATE_HELD,
                                                .wait_ms = 1000,
                                                .step = WAIT_PERMIT,
                                                .reason = "a limit, breaker or rollout was "
                                                          "reached meanwhile"});
    case STORE_VOID:
        return step_to(s, &(struct step_change){.to = STATE_READING,
                                                .wait_ms = 100,
                                                .reason = "the approval is void; decided again"});
    case STORE_CONFLICT: // a newer event, or the lease is lost: the latter ends the walk
        return step_to(s, &(struct step_change){.to = STATE_READING,
                                                .wait_ms = 100,
                                                .reason = "a newer event came; decided again"});
    case STORE_OK:
    case STORE_ABSENT:
    case STORE_ERROR:
        break;
    }
    return true;
}

/* A fresh intent (plan, before, undo, tokens) becomes durable together with `calling 1`, before the
 * call leaves. One found after a crash reads first, as nothing tells how old its picture is. */
bool state_intent(struct step *s)
{
    enum store_result result;
    if (!s->has_finding)
        return step_to(s, &(struct step_change){.to = STATE_UNKNOWN,
                                                .step = 1,
                                                .reason = "interrupted before the first call"});
    struct step_change call = {.to = STATE_CALLING, .step = 1, .durable = true};
    return step_go(s, &call, &result) && (result == STORE_OK || intent_refused(s, result));
}

/* Is less allowed here now than when it was decided? */
static bool mode_was_lowered(const struct step *s)
{
    const struct value *decision = step_detail(s, DETAIL_DECISION);
    enum mode then;
    return !decision || !mode_parse(value_path_str(*decision, DETAIL_MODE), &then) ||
           s->assignment.mode < then;
}

/* Halfway through a plan, why the next call must not be sent; NULL = it may. What is made from the
 * state is good only as long as the state is what the step before left, or what was last seen. */
static const char *may_not_repeat(struct step *s, struct value planned)
{
    const struct value *at = value_get(planned, STR("step")), *seen = step_detail(s, "between");
    size_t step = at && at->kind == VALUE_INT ? (size_t)at->i : SIZE_MAX;
    if (mode_was_lowered(s))
        return "the mode was lowered while it was under way";
    if (step >= s->policy->step_count)
        return "the plan's step is not in the policy any more";
    if (!s->policy->steps[step].uses_reads || s->r.step == 1)
        return NULL;
    bool same = seen && str_eq(value_str(*seen), str_from(s->finding.fingerprint));
    return same ? NULL : "the resource changed between two steps of its repair";
}

/* What the steps before left, seen as soon as it is known that the next was not carried out. */
static void keep_between(struct step *s, int number)
{
    if (number <= 1 || s->r.kind != REMEDIATION_REPAIR)
        return;
    step_read(s);
    bool read = s->finding.verdict == VERDICT_COMPLIANT || s->finding.verdict == VERDICT_VIOLATION;
    step_set_detail(s, "between",
                    read ? value_string(str_copy(s->arena, str_from(s->finding.fingerprint)))
                         : value_null());
}

static bool after_answer(struct step *s, int number, const struct aws_answer *a)
{
    const char *why = arena_printf(s->arena, "%.*s: %.*s", STR_FMT(a->code), STR_FMT(a->message));
    /* What certainly did nothing is put off for as long as it takes; only real attempts are
     * counted. */
    bool nothing_done = a->outcome == AWS_THROTTLED || a->outcome == AWS_NOT_SENT;
    const char *counter = nothing_done ? "later" : "calls";
    int calls = step_count(s, counter) + 1;
    int64_t pause = step_pause_ms(s, calls, RETRY_MAX_MS, a->retry_after_ms);
    if (a->outcome != AWS_OK)
        step_set_count(s, counter, calls);
    if (a->outcome == AWS_UNKNOWN || a->outcome == AWS_FAILED)
        step_set_count(s, "maybe", 1);
    step_set_count(s, "unsent", nothing_done && !step_count(s, "maybe"));
    if (a->outcome != AWS_OK && a->outcome != AWS_REFUSED)
        keep_between(s, number);
    switch (a->outcome) {
    case AWS_OK:
        return next_call(s, number, a->request_id);
    case AWS_THROTTLED:
    case AWS_NOT_SENT:
        return step_to(
            s, &(struct step_change){.to = STATE_UNKNOWN,
                                     .step = number,
                                     .reason = why,
                                     .throttled_ms = a->outcome == AWS_THROTTLED ? pause : 0,
                                     .wait_ms = a->gate_closed ? 5000 : pause,
                                     .record = attempt_record(s)});
    case AWS_FAILED:
    case AWS_UNKNOWN:
    case AWS_REFUSED:
        break;
    }
    return step_to(s, &(struct step_change){.to = STATE_UNKNOWN,
                                            .step = number,
                                            .reason = why,
                                            .wait_ms = a->outcome == AWS_REFUSED ? 0 : pause,
                                            .record = attempt_record(s)});
}

/* `calling i` is on disk: step i may have been sent. Only the walk that wrote it may send; a row
 * found in this state was interrupted. */
bool state_calling(struct step *s)
{
    struct value planned;
    struct aws_answer answer;
    int number = s->r.step;
    if (!s->has_finding) {
        step_set_count(s, "unsent", 0); // nobody knows any more
        step_set_count(s, "maybe", 1);
        return step_to(s, &(struct step_change){.to = STATE_UNKNOWN,
                                                .step = number,
                                                .reason = "interrupted while calling"});
    }
    if (!step_planned(s, number, &planned))
        return give_up(s, number, "the plan has no such step");
    perform(s, planned, &answer);
    return after_answer(s, number, &answer);
}

/* A rollback's step is never tested by itself: the inverse is made again from what is there now,
 * and holds exactly what is left to take back. */
static bool decide_rollback_again(struct step *s)
{
    return step_to(s, &(struct step_change){.to = STATE_READING,
                                            .wait_ms = 1,
                                            .reason = "an inverse call's end is not known; what is "
                                                      "left to take back is decided again"});
}

/* One more reading in vain; the pause before the next. */
static int64_t count_unread(struct step *s, int *ret_count)
{
    *ret_count = step_count(s, "unread") + 1;
    step_set_count(s, "unread", *ret_count);
    return step_pause_ms(s, *ret_count, RETRY_MAX_MS, s->finding.retry_after_ms);
}

bool state_unknown(struct step *s)
{
    struct value planned;
    struct error err;
    int number = s->r.step;
    bool done = false;
    if (!step_planned(s, number, &planned))
        return give_up(s, number, "the plan has no such step");
    step_read(s);
    if (s->finding.verdict == VERDICT_GONE)
        return step_to(s,
                       &(struct step_change){.to = STATE_GONE, .reason = "the resource is gone"});
    if (s->finding.verdict == VERDICT_UNREAD) {
        int count;
        int64_t pause = count_unread(s, &count);
        if (s->finding.lasting && count >= CALLS_MAX)
            return give_up(s, number, "the state cannot be read any more");
        return step_to(s, &(struct step_change){.to = STATE_UNKNOWN,
                                                .step = number,
                                                .wait_ms = pause,
                                                .reason = arena_printf(
                                                    s->arena, "%.*s", STR_FMT(s->finding.reason))});
    }
    if (s->r.kind == REMEDIATION_ROLLBACK) {
        if (last_was_refused(s) || step_count(s, "calls") >= CALLS_MAX)
            return give_up(s, number, arena_printf(s->arena, "%.*s", STR_FMT(s->r.reason)));
        return decide_rollback_again(s);
    }
    bool tested = decide_step_done(&s->subject, &s->finding, planned, s->arena, &done, &err);
    if (!tested)
        return give_up(s, number, arena_printf(s->arena, "`done` failed: %s", err.message));
    if (done && step_unsettled_ms(s) && s->r.sequence == s->r.sequence_seen)
        return step_to(s, &(struct step_change){.to = STATE_UNKNOWN,
                                                .step = number,
                                                .wait_ms = step_unsettled_ms(s),
                                                .reason = "done, but read before all had settled"});
    if (done && number == 1 && step_count(s, "unsent")) // a stale answer, or another writer
        return step_to(s, &(struct step_change){.to = STATE_READING,
                                                .wait_ms = 1,
                                                .reason = "the resource obeys although nothing "
                                                          "was sent; decided again"});
    if (done)
        return next_call(s, number, (struct str){0});
    if (last_was_refused(s) || step_count(s, "calls") >= CALLS_MAX)
        return give_up(s, number, arena_printf(s->arena, "%.*s", STR_FMT(s->r.reason)));
    const struct value *before = step_detail(s, DETAIL_FINGERPRINT);
    if (number == 1 && before && !str_eq(value_str(*before), str_from(s->finding.fingerprint)))
        return step_to(
            s, &(struct step_change){.to = STATE_READING,
                                     .wait_ms = 1,
                                     .reason = "the resource changed meanwhile; decided again"});
    const char *person = number > 1 || step_count(s, "maybe") ? may_not_repeat(s, planned) : NULL;
    if (person)
        return give_up(s, number, person);
    if (mode_was_lowered(s))
        return step_to(s, &(struct step_change){.to = STATE_READING,
                                                .wait_ms = 1,
                                                .reason = "the mode was lowered; decided again"});
    return step_to(s, &(struct step_change){.to = STATE_CALLING, .step = number, .durable = true});
}

/* ---- verifying ---- */

static struct value verify_record(struct step *s, enum verify_result result)
{
    struct value_builder out = {.arena = s->arena};
    value_set(&out, "read_back", value_cstr(verify_result_name(result)));
    if (s->finding.verdict == VERDICT_UNREAD)
        value_set(&out, "error", value_string(s->finding.reason));
    return value_finish_map(&out);
}

static bool verify_over(struct step *s, enum verify_result result)
{
    bool foreign = result == VERIFY_FOREIGN;
    struct value record = verify_record(s, result);
    if (foreign && s->policy->verify_else_undo && may_undo(s)) {
        step_set_count(s, "done", (int)step_plan(s).len);
        step_set_count(s, "calls", 0);
        return step_to(s, &(struct step_change){.to = STATE_UNDOING,
                                                .durable = true,
                                                .record = record,
                                                .reason = "the repair did not help"});
    }
    return step_to(s, &(struct step_change){
                          .to = foreign ? STATE_NEEDS_PERSON : STATE_UNCONFIRMED,
                          .outcome = ended_badly(s, result == VERIFY_UNREAD),
                          .record = record,
                          .reason = foreign ? "the repair did not help, or another writer undid it"
                                            : "reading back never showed the repair"});
}

/* A rollback holds when nothing of ours is left. */
static bool nothing_left(struct step *s)
{
    struct value left;
    struct error err;
    bool read = s->finding.verdict == VERDICT_COMPLIANT || s->finding.verdict == VERDICT_VIOLATION;
    return read && step_make_plan(s, &left, &err) && left.len == 0;
}

/* Reading back shows the repair; is what the policy waits for reached too? False: *ret is how the
 * step ended. An error of the waiter's own call says nothing about the resource. */
static bool reached(struct step *s, int64_t waited_ms, bool *ret)
{
    const struct policy_wait *wait = &s->policy->verify_wait;
    struct str why;
    if (!wait->name.len)
        return true;
    enum aws_wait verdict = decide_waited(&s->subject, &s->finding, s->arena, &why);
    if (verdict == AWS_WAIT_REACHED)
        return true;
    bool over = waited_ms >= s->policy->verify_within_ms;
    const char *how = verdict == AWS_WAIT_FAILED ? "will not be reached any more"
                      : over                     ? "was not reached in time"
                                                 : "is not reached yet";
    struct value_builder record = {.arena = s->arena};
    value_set(&record, "read_back", value_cstr(verify_result_name(VERIFY_HELD)));
    value_set(&record, "waiter", value_string(wait->name));
    if (why.len)
        value_set(&record, "error", value_string(why));
    bool again = verdict != AWS_WAIT_FAILED && !over;
    *ret = step_to(s, &(struct step_change){
                          .to = again                        ? STATE_VERIFYING
                                : verdict == AWS_WAIT_FAILED ? STATE_NEEDS_PERSON
                                                             : STATE_UNCONFIRMED,
                          .wait_ms = again ? wait->waiter.delay_s * 1000 : 0,
                          .outcome = again ? OUTCOME_NONE : OUTCOME_BAD,
                          .record = value_finish_map(&record),
                          .reason = arena_printf(s->arena, "the configuration holds, but %.*s %s",
                                                 STR_FMT(wait->name), how)});
    return false;
}

bool state_verifying(struct step *s)
{
    const struct value *before = step_detail(s, DETAIL_FINGERPRINT),
                       *called = step_detail(s, "called_ms");
    int count = step_count(s, "verify");
    step_read(s);
    enum verify_result result = verify_compare(s->finding.verdict, str_from(s->finding.fingerprint),
                                               before ? value_str(*before) : (struct str){0});
    if (s->r.kind == REMEDIATION_ROLLBACK && nothing_left(s))
        return step_to(
            s, &(struct step_change){.to = STATE_ROLLED_BACK,
                                     .record = verify_record(s, result),
                                     .reason = "what the repair changed has been taken back"});
    if (result == VERIFY_HELD && s->r.kind == REMEDIATION_REPAIR && step_unsettled_ms(s) &&
        s->r.sequence == s->r.sequence_seen) // else a successor reads once all has settled
        return step_to(s, &(struct step_change){.to = STATE_VERIFYING,
                                                .wait_ms = step_unsettled_ms(s),
                                                .reason = "held, but read before all had settled"});
    int64_t waited = s->subject.now_ms - (called ? called->i : s->subject.now_ms);
    if (result == VERIFY_HELD && s->r.kind == REMEDIATION_REPAIR) {
        bool ok;
        if (!reached(s, waited, &ok))
            return ok;
        if (!step_keep(s, DETAIL_AFTER, s->policy->after_slot))
            return false;
        return step_to(s, &(struct step_change){.to = STATE_HEALED,
                                                .outcome = OUTCOME_GOOD,
                                                .record = verify_record(s, result),
                                                .reason = "repaired, and reading back shows it"});
    }
    if (result == VERIFY_GONE)
        return step_to(s,
                       &(struct step_change){.to = STATE_GONE, .reason = "the resource is gone"});
    if (result == VERIFY_FOREIGN && s->r.sequence > s->r.sequence_seen)
        return step_to(s, &(struct step_change){.to = STATE_READING,
                                                .wait_ms = 1,
                                                .record = verify_record(s, result),
                                                .reason = "contested: another writer changed it "
                                                          "while it was verified"});
    if (waited >= s->policy->verify_within_ms)
        return verify_over(s, result);
    step_set_count(s, "verify", count + 1);
    return step_to(s, &(struct step_change){.to = STATE_VERIFYING,
                                            .wait_ms = verify_pause_ms(count + 1),
                                            .record = verify_record(s, result),
                                            .reason = "not seen yet; reads again"});
}

/* ---- undoing ---- */

/* The resource is frozen, its breakers open, and people are paged. */
static bool undo_failed(struct step *s, const char *why)
{
    step_page(s, arena_printf(s->arena, "taking back failed, the resource is frozen: %s", why));
    return step_to(s, &(struct step_change){.to = STATE_NEEDS_PERSON,
                                            .freeze = true,
                                            .reason = why,
                                            .outcome = OUTCOME_FROZEN,
                                            .record = attempt_record(s)});
}

/* Makes the inverse from what is there now; it is journaled before its first call. */
static bool plan_undoing(struct step *s)
{
    const struct value *plan = step_detail(s, DETAIL_PLAN);
    struct value inverse, before;
    struct error err;
    if (mode_was_lowered(s))
        return undo_failed(s, "the mode was lowered before what was done could be taken back");
    step_read(s);
    if (s->finding.verdict == VERDICT_GONE)
        return step_to(s,
                       &(struct step_change){.to = STATE_GONE, .reason = "the resource is gone"});
    if (s->finding.verdict == VERDICT_UNREAD) {
        int count;
        int64_t pause = count_unread(s, &count);
        if (count > 2 * CALLS_MAX)
            return undo_failed(s, "the state cannot be read, so nothing can be taken back");
        return step_to(s, &(struct step_change){.to = STATE_UNDOING,
                                                .wait_ms = pause,
                                                .reason = "cannot read before undoing"});
    }
    if (!plan)
        return undo_failed(s, "no undo: no plan");
    if (!step_kept(s, &s->r, DETAIL_READS, &before, &err) ||
        !decide_undo(&s->subject, &s->finding, *plan, (size_t)step_count(s, "done"), before,
                     s->finding.reads, s->engine->clock, s->arena, &inverse, &err))
        return undo_failed(s, arena_printf(s->arena, "no undo: %s", err.message));
    step_set_detail(s, "undo_plan", inverse);
    if (inverse.len == 0)
        return step_to(s, &(struct step_change){.to = STATE_ROLLED_BACK,
                                                .outcome = ended_badly(s, step_count(s, "refused")),
                                                .reason = "nothing of ours is left to take back"});
    return step_to(s, &(struct step_change){.to = STATE_UNDOING, .step = 1, .durable = true});
}

/* Step 0 plans; step j makes the jth inverse call. An inverse call is derived from the current
 * state, so after an interruption the inverse is simply made again: what is already taken back is
 * not in it. */
bool state_undoing(struct step *s)
{
    struct value planned;
    struct aws_answer answer;
    int number = s->r.step;
    if (number == 0 || !s->has_finding)
        return plan_undoing(s);
    if (!step_planned(s, number, &planned))
        return undo_failed(s, "the inverse plan has no such step");
    perform(s, planned, &answer);
    if (answer.outcome == AWS_OK) {
        bool last = (uint32_t)number >= step_plan(s).len;
        step_set_count(s, "calls", 0);
        step_set_count(s, "later", 0);
        return step_to(
            s, &(struct step_change){
                   .to = last ? STATE_ROLLED_BACK : STATE_UNDOING,
                   .step = last ? 0 : number + 1,
                   .durable = true,
                   .outcome = last ? ended_badly(s, step_count(s, "refused")) : OUTCOME_NONE,
                   .request_id = answer.request_id,
                   .record = attempt_record(s),
                   .reason = last ? "the repair failed and was taken back" : NULL});
    }
    bool nothing_done = answer.outcome == AWS_THROTTLED || answer.outcome == AWS_NOT_SENT;
    int calls = step_count(s, "calls") + !nothing_done;
    int later = step_count(s, "later") + nothing_done;
    step_set_count(s, "calls", calls);
    step_set_count(s, "later", later);
    const char *why =
        arena_printf(s->arena, "undo: %.*s: %.*s", STR_FMT(answer.code), STR_FMT(answer.message));
    if (answer.outcome == AWS_REFUSED || calls >= CALLS_MAX)
        return undo_failed(s, why);
    return step_to(s, &(struct step_change){.to = STATE_UNDOING,
                                            .step = 0,
                                            .reason = why,
                                            .wait_ms = step_pause_ms(s, calls + later, RETRY_MAX_MS,
                                                                     answer.retry_after_ms),
                                            .record = attempt_record(s)});
}
