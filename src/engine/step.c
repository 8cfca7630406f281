// SPDX-License-Identifier: Apache-2.0
/* The table of states and what the state functions share. See engine.h. */
#include "engine/step_internal.h"

#include "base/fault.h"
#include "base/limits.h"
#include "value/json.h"

#include <stdio.h>

#define PAUSE_FIRST_MS 1000
#define WANTED_MAX_MS 900000
#define ATTEMPTS_MAX 50u // newest attempts kept in the detail; the records have all

/* What runs when a row of this state is due. A row found in deciding was interrupted: its reading
 * is gone with the process, so it reads again. */
static const step_function table[STATE_COUNT] = {
    [STATE_RECEIVED] = state_received,   [STATE_READING] = state_reading,
    [STATE_SETTLING] = state_reading,    [STATE_UNREAD] = state_reading,
    [STATE_DECIDING] = state_deciding,   [STATE_HELD] = state_held,
    [STATE_ASKING] = state_asking,       [STATE_INTENT] = state_intent,
    [STATE_CALLING] = state_calling,     [STATE_UNKNOWN] = state_unknown,
    [STATE_VERIFYING] = state_verifying, [STATE_UNDOING] = state_undoing,
};

const struct value *step_detail(const struct step *step, const char *key)
{
    return value_get(step->r.detail, str_from(key));
}

void step_set_detail(struct step *step, const char *key, struct value v)
{
    struct value_builder out = {.arena = step->arena};
    for (uint32_t i = 0; i < step->r.detail.len; i++)
        value_set_str(&out, value_str(step->r.detail.pairs[i].key), step->r.detail.pairs[i].value);
    value_set(&out, key, v);
    step->r.detail = value_finish_map(&out);
    step->detail_changed = true;
}

int step_count(const struct step *step, const char *what)
{
    const struct value *counts = step_detail(step, DETAIL_COUNTS);
    const struct value *n = counts ? value_get(*counts, str_from(what)) : NULL;
    return n && n->kind == VALUE_INT ? (int)n->i : 0;
}

void step_set_count(struct step *step, const char *what, int n)
{
    const struct value *counts = step_detail(step, DETAIL_COUNTS);
    struct value_builder out = {.arena = step->arena};
    for (uint32_t i = 0; counts && i < counts->len; i++)
        value_set_str(&out, value_str(counts->pairs[i].key), counts->pairs[i].value);
    value_set(&out, what, value_int(n));
    step_set_detail(step, DETAIL_COUNTS, value_finish_map(&out));
}

/* Nothing is written without what belongs to it: an empty text would mean "unchanged", and what a
 * step could not remember for want of memory would be forgotten. */
static bool write_texts(struct step *s, const struct step_change *c, struct store_transition *t)
{
    struct buf detail = {.arena = s->arena}, record = {.arena = s->arena};
    if (s->detail_changed && !c->later)
        json_write(&detail, s->r.detail, JSON_COMPACT);
    if (c->record.kind == VALUE_MAP)
        json_write(&record, c->record, JSON_CANONICAL);
    t->detail = buf_str(&detail);
    t->record = buf_str(&record);
    return t->detail.ptr && t->record.ptr && s->r.detail.kind == VALUE_MAP && !s->arena->exhausted;
}

static struct store_transition transition(const struct step *s, const struct step_change *c)
{
    return (struct store_transition){
        .id = s->r.id,
        .version = s->r.version,
        .epoch = s->epoch,
        .to = c->to,
        .step = c->step,
        .due_ms = clock_wall_ms(s->engine->clock) + c->wait_ms,
        .reason = str_from(c->reason ? c->reason : ""),
        .sequence_unchanged = c->sequence_unchanged,
        .sequence_seen = c->to == STATE_READING ? s->r.sequence : 0,
        .lock = c->lock,
        .freeze = c->freeze,
        .permits = c->permits,
        .permit_count = c->permit_count,
        .cohort = c->cohort,
        .approval_hash = str_from(c->approval_hash),
        .ask_hash = str_from(c->ask_hash),
        .ask_expires_ms = c->ask_expires_ms,
        .ask_id = str_from(c->ask_id),
        .ask_via = str_from(c->ask_via),
        .ask_need = c->ask_need,
        .request_id = c->request_id,
        .keep_lease = !state_is_terminal(c->to) && c->wait_ms == 0,
        .found = c->found,
        .throttled_ms = c->throttled_ms,
        .outcome = c->outcome,
    };
}

/* What stands in `waiting` goes to the store. On anything but OK the remediation is as the last
 * transition that was applied left it. */
static bool flush(struct step *s, bool durable, enum store_result *ret_result)
{
    size_t applied;
    for (size_t i = 0; i < s->waiting_count; i++)
        fault_point(state_name(s->waiting[i].to), "write");
    *ret_result = store_advance_all(s->engine->store, s->waiting, s->waiting_count, durable,
                                    &applied, s->err);
    for (size_t i = 0; i < applied; i++)
        fault_point(state_name(s->waiting[i].to), "written");
    if (*ret_result != STORE_OK) {
        s->r.version = s->waiting[applied].version;
        s->r.state = applied ? s->waiting[applied - 1].to : s->stored_state;
        s->r.step = applied ? s->waiting[applied - 1].step : s->stored_step;
        s->detail_changed = true;
        s->walking = false;
    }
    s->stored_state = s->r.state;
    s->stored_step = s->r.step;
    s->waiting_count = 0;
    return *ret_result != STORE_ERROR;
}

bool step_go(struct step *s, const struct step_change *c, enum store_result *ret_result)
{
    if (c->to == STATE_ROLLED_BACK && !step_rest(s))
        return false;
    struct store_transition t = transition(s, c);
    if (!step_tell(s, c, &t) || !write_texts(s, c, &t))
        return error_set(s->err, "E0003", "out of memory");
    s->waiting[s->waiting_count++] = t;
    s->entered_reading |= c->to == STATE_READING;
    s->r.state = c->to;
    s->r.step = c->step;
    s->r.reason = t.reason;
    s->r.version++;
    s->walking = t.keep_lease;
    *ret_result = STORE_OK;
    if (c->later && s->waiting_count < STORE_ADVANCE_MAX)
        return true;
    s->detail_changed = s->detail_changed && c->later;
    return flush(s, c->durable, ret_result);
}

bool step_to(struct step *s, const struct step_change *c)
{
    enum store_result result;
    return step_go(s, c, &result);
}

void step_read(struct step *s)
{
    s->subject.now_ms = clock_wall_ms(s->engine->clock);
    s->subject.deadline_ms = engine_deadline(s->engine, ENGINE_READ_DEADLINE_MS);
    s->subject.attempt = (unsigned)step_count(s, "unread");
    decide_read(&s->subject, s->arena, &s->finding);
    s->has_finding = true;
}

int64_t step_pause_ms(const struct step *s, int count, int64_t longest_ms, int64_t wanted_ms)
{
    int64_t pause = PAUSE_FIRST_MS;
    uint32_t random;
    clock_random(s->engine->clock, &random, sizeof random);
    while (count-- > 1 && pause < longest_ms)
        pause *= 2;
    pause = pause < longest_ms ? pause : longest_ms;
    wanted_ms = wanted_ms < WANTED_MAX_MS ? wanted_ms : WANTED_MAX_MS;
    return (pause > wanted_ms ? pause : wanted_ms) + random % (PAUSE_FIRST_MS / 2 + pause / 4);
}

int64_t step_unsettled_ms(const struct step *s)
{
    int64_t left = s->r.settled_ms - s->subject.now_ms;
    return left > 0 ? left : 0;
}

void step_note_attempt(struct step *s, struct value planned, const struct aws_answer *answer)
{
    static const char *const outcomes[] = {"ok",     "refused", "throttled",
                                           "failed", "unknown", "not sent"};
    const struct value *old = step_detail(s, DETAIL_ATTEMPTS);
    struct value_builder list = {.arena = s->arena}, one = {.arena = s->arena};
    const struct value *call = value_get(planned, STR("call"));
    char when[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(s->engine->clock), when);
    value_set(&one, "call", call ? *call : value_null());
    value_set(&one, "state", value_cstr(state_name(s->r.state)));
    value_set(&one, "step", value_int(s->r.step));
    value_set(&one, "outcome", value_cstr(outcomes[answer->outcome]));
    if (answer->code.len)
        value_set(&one, "code", value_string(answer->code));
    if (answer->message.len)
        value_set(&one, "message", value_string(str_sub(answer->message, 0, 300)));
    value_set(&one, "request_id", value_string(answer->request_id));
    value_set(&one, "at", value_string(str_copy(s->arena, str_from(when))));
    uint32_t kept_from = old && old->len >= ATTEMPTS_MAX ? old->len - ATTEMPTS_MAX + 1 : 0;
    for (uint32_t i = kept_from; old && i < old->len; i++)
        value_push(&list, old->items[i]);
    value_push(&list, value_finish_map(&one));
    step_set_detail(s, DETAIL_ATTEMPTS, value_finish_list(&list));
}

struct value step_plan(const struct step *s)
{
    const char *key = s->r.state == STATE_UNDOING ? "undo_plan" : DETAIL_PLAN;
    const struct value *plan = step_detail(s, key);
    return plan && plan->kind == VALUE_LIST ? *plan : value_list(NULL, 0);
}

bool step_planned(const struct step *s, int number, struct value *ret)
{
    struct value plan = step_plan(s);
    if (number < 1 || (uint32_t)number > plan.len)
        return false;
    *ret = plan.items[number - 1];
    return true;
}

bool step_prepare(struct step *s)
{
    s->policy = policy_set_find(s->set->policies, s->r.policy);
    if (!s->policy || !resource_parse(s->r.resource, &s->subject.resource))
        return false;
    s->assignment =
        policy_set_assign(s->set->policies, s->policy, s->subject.resource.account, s->arena);
    s->subject.policy = s->policy;
    s->subject.assignment = &s->assignment;
    s->subject.region = s->r.region;
    s->subject.account =
        policy_set_account(s->set->policies, s->subject.resource.account, s->arena);
    s->subject.caller = s->engine->caller;
    s->subject.iac_tags = policy_set_iac_tags(s->set->policies, &s->subject.iac_tag_count);
    s->subject.now_ms = clock_wall_ms(s->engine->clock);
    return true;
}

/* A remediation whose policy is gone: with effects in flight a person must look, else it just ends.
 */
static bool end_without_policy(struct step *s)
{
    bool locked = state_flags(s->r.state) & STATE_LOCKED;
    return step_to(s, &(struct step_change){.to = locked ? STATE_NEEDS_PERSON : STATE_SKIPPED,
                                            .reason = "its policy is not loaded any more"});
}

static bool walk(struct engine *engine, const struct engine_set *set,
                 const struct store_claim *claim, struct arena *scratch, struct error *err)
{
    struct error ignored;
    struct step step = {.engine = engine,
                        .set = set,
                        .arena = scratch,
                        .epoch = claim->epoch,
                        .walking = true,
                        .err = err ? err : &ignored};
    enum store_result got = store_get(engine->store, claim->id, scratch, &step.r, step.err);
    if (got != STORE_OK)
        return got != STORE_ERROR;
    if (step.r.epoch != claim->epoch || state_is_terminal(step.r.state))
        return true;
    step.stored_state = step.r.state;
    step.stored_step = step.r.step;
    if (!step_prepare(&step))
        return end_without_policy(&step);
    /* Bounded: the longest path has a few transitions a planned call. */
    for (unsigned i = 0; step.walking && i < 16 + 8 * LIMIT_STEPS; i++)
        if (!table[step.r.state](&step))
            return false;
    enum store_result result;
    return step.waiting_count == 0 || flush(&step, false, &result);
}

bool engine_step(struct engine *engine, const struct store_claim *claim, struct arena *scratch,
                 struct error *err)
{
    arena_reset(scratch);
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool ok = walk(engine, set, claim, scratch, err);
    engine_rules_release(set);
    return ok;
}
