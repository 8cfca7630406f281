// SPDX-License-Identifier: Apache-2.0
/* What would be done about one resource now, without doing it: the same reading, plan and guards as
 * a step's, and no call but reads with the read role. And the other half: a plan that a person has
 * seen becomes a remediation, if nothing that it rests on has changed since. */
#include "engine/step_internal.h"

#include "policy/iam.h"
#include "value/json.h"

#define RENAMED_MAX 3
#define DEPTH_MAX 6 // of what is compared

/* ---- before and after ---- */

/* The first member of that name and kind in what was read. */
static const struct value *find_member(struct value in, struct str name, uint8_t kind, int depth)
{
    const struct value *found = value_get(in, name);
    if (found && found->kind == kind)
        return found;
    for (uint32_t i = 0; depth < DEPTH_MAX && in.kind == VALUE_MAP && i < in.len; i++)
        if ((found = find_member(in.pairs[i].value, name, kind, depth + 1)))
            return found;
    return NULL;
}

static bool contains(struct value list, struct value item)
{
    for (uint32_t i = 0; i < list.len; i++)
        if (value_equal(list.items[i], item))
            return true;
    return false;
}

/* What is in the one list and not in the other. */
static struct value without(struct value list, struct value other, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; i < list.len; i++)
        if (!contains(other, list.items[i]))
            value_push(&out, list.items[i]);
    return value_finish_list(&out);
}

/* {member, removed, added} for a list, {member, before, after} for another value. */
static void add_difference(struct value_builder *out, struct str member, struct value before,
                           struct value after)
{
    struct value_builder one = {.arena = out->arena};
    value_set(&one, "member", value_string(member));
    if (after.kind == VALUE_LIST) {
        value_set(&one, "removed", without(before, after, out->arena));
        value_set(&one, "added", without(after, before, out->arena));
    } else {
        value_set(&one, "before", before);
        value_set(&one, "after", after);
    }
    value_push(out, value_finish_map(&one));
}

/* Each member of a call's input beside the member of the same name that was read. */
static void compare(struct value_builder *out, struct value reads, struct value input, int depth)
{
    for (uint32_t i = 0; depth < DEPTH_MAX && input.kind == VALUE_MAP && i < input.len; i++) {
        struct str name = value_str(input.pairs[i].key);
        struct value after = input.pairs[i].value;
        if (after.kind == VALUE_MAP) {
            compare(out, reads, after, depth + 1);
            continue;
        }
        const struct value *before = find_member(reads, name, after.kind, 0);
        if (before && !value_equal(*before, after))
            add_difference(out, name, *before, after);
    }
}

/* ---- calls ---- */

/* A client token is random; it is made when the call is. */
static struct value input_of(const struct aws_operation *op, struct value planned,
                             struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    const struct value *input = value_get(planned, STR("with"));
    struct str token = op ? aws_operation_token(op) : (struct str){0};
    for (uint32_t i = 0; input && i < input->len; i++)
        if (!token.len || !str_eq(value_str(input->pairs[i].key), token))
            value_set_str(&out, value_str(input->pairs[i].key), input->pairs[i].value);
    return value_finish_map(&out);
}

static bool add_actions(struct value_builder *list, struct str operation, struct error *err)
{
    struct str *actions;
    size_t count;
    if (!policy_iam_actions(operation, list->arena, &actions, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < list->count; k++)
            known = known || str_eq(value_str(list->items[k]), actions[i]);
        if (!known)
            value_push(list, value_string(actions[i]));
    }
    return true;
}

/* IAM actions of the reads, and of the planned calls. */
static bool add_rights(struct step *s, struct value plan, struct value_builder *out)
{
    struct value_builder read = {.arena = s->arena}, act = {.arena = s->arena};
    for (size_t i = 0; i < s->policy->read_count; i++)
        if (!s->policy->reads[i].is_let &&
            !add_actions(&read, s->policy->reads[i].call.name, s->err))
            return false;
    for (uint32_t i = 0; i < plan.len; i++)
        if (!add_actions(&act, value_path_str(plan.items[i], "call"), s->err))
            return false;
    struct value_builder both = {.arena = s->arena};
    value_set(&both, "read", value_finish_list(&read));
    value_set(&both, "act", value_finish_list(&act));
    value_set(out, "iam", value_finish_map(&both));
    return true;
}

static void add_calls(struct step *s, struct value plan, struct value_builder *out)
{
    struct value_builder calls = {.arena = s->arena}, changes = {.arena = s->arena};
    for (uint32_t i = 0; i < plan.len; i++) {
        struct value_builder one = {.arena = s->arena};
        struct str name = value_path_str(plan.items[i], "call");
        struct error ignored;
        struct value input = input_of(aws_operation_find(s->engine->models, name, &ignored),
                                      plan.items[i], s->arena);
        value_set(&one, "call", value_string(name));
        value_set(&one, "region", value_string(value_path_str(plan.items[i], "region")));
        value_set(&one, "with", input);
        value_push(&calls, value_finish_map(&one));
        compare(&changes, s->finding.reads, input, 0);
    }
    value_set(out, "calls", value_finish_list(&calls));
    value_set(out, "changes", value_finish_list(&changes));
}

/* ---- one resource ---- */

/* As the state functions do it, under the name that the reads give. */
static bool read_canonical(struct step *s)
{
    step_read(s);
    for (int i = 0; i < RENAMED_MAX; i++) {
        bool read =
            s->finding.verdict == VERDICT_COMPLIANT || s->finding.verdict == VERDICT_VIOLATION;
        if (!read || str_eq(s->finding.id, s->subject.resource.id))
            return true;
        s->subject.resource.id = s->finding.id;
        if (!resource_key(&s->subject.resource, s->arena, &s->r.resource, s->err))
            return false;
        step_read(s);
    }
    return error_set(s->err, "E0014", "`resource.identity` gives another name each time");
}

static bool add_decision(struct step *s, struct value_builder *out)
{
    struct decide_guards guards;
    struct decide_decision decision;
    struct value plan;
    char *hash = arena_alloc(s->arena, 65);
    if (!hash)
        return error_set(s->err, "E0003", "out of memory");
    if (!step_make_plan(s, &plan, s->err) || !step_gather_guards(s, plan, &guards))
        return false;
    decide_guard(&s->subject, &s->finding, plan, &guards, s->arena, &decision, NULL);
    decide_plan_hash(&s->subject, plan, s->finding.fingerprint, s->arena, hash);
    struct value plain = decide_decision_value(&decision, s->arena);
    for (uint32_t i = 0; i < plain.len; i++)
        value_set_str(out, value_str(plain.pairs[i].key), plain.pairs[i].value);
    value_set(out, DETAIL_FINGERPRINT, value_cstr(s->finding.fingerprint));
    value_set(out, DETAIL_PLAN_HASH, value_cstr(hash));
    add_calls(s, plan, out);
    return add_rights(s, plan, out);
}

static bool preview(struct step *s, const struct engine_question *question, struct value *ret)
{
    struct value_builder out = {.arena = s->arena};
    if (!step_prepare(s))
        return error_set(s->err, "E0014", "there is no policy %.*s, or %.*s is no resource's key",
                         STR_FMT(s->r.policy), STR_FMT(s->r.resource));
    if (question->policy_hash.len && !str_is(question->policy_hash, s->policy->hash))
        return error_set(s->err, "E0015", "policy hash: %.*s is not what it was",
                         STR_FMT(question->policy));
    if (!read_canonical(s))
        return false;
    value_set(&out, "policy", value_string(s->policy->name));
    value_set(&out, "policy_hash", value_cstr(s->policy->hash));
    value_set(&out, "resource", value_string(s->r.resource));
    value_set(&out, "region", value_string(s->r.region));
    value_set(&out, "severity", value_cstr(severity_name(s->policy->severity)));
    value_set(&out, DETAIL_MODE, value_cstr(mode_name(s->assignment.mode)));
    value_set(&out, "verdict", value_cstr(verdict_name(s->finding.verdict)));
    bool violation = s->finding.verdict == VERDICT_VIOLATION;
    bool inverse = s->r.kind == REMEDIATION_ROLLBACK && s->finding.verdict == VERDICT_COMPLIANT;
    value_set(&out, "message", value_string(violation ? s->finding.message : s->finding.reason));
    if ((violation || inverse) && !add_decision(s, &out))
        return false;
    *ret = value_finish_map(&out);
    return !out.failed || error_set(s->err, "E0003", "out of memory");
}

/* The step that would look at it. */
static bool step_of(struct step *s, const struct engine_question *question)
{
    struct value_builder detail = {.arena = s->arena};
    s->r = (struct remediation){.kind = REMEDIATION_REPAIR,
                                .policy = question->policy,
                                .resource = question->resource,
                                .region = question->region,
                                .detail = {.kind = VALUE_MAP}};
    if (question->takes_back <= 0)
        return true;
    struct remediation old;
    if (!engine_find_repair(s->engine, question->takes_back, s->arena, &old, s->err))
        return false;
    value_set(&detail, DETAIL_PARENT, value_int(old.id));
    s->r.kind = REMEDIATION_ROLLBACK;
    s->r.policy = old.policy;
    s->r.resource = old.resource;
    s->r.region = old.region;
    s->r.detail = value_finish_map(&detail);
    return true;
}

bool engine_preview(struct engine *engine, const struct engine_question *question,
                    struct arena *arena, struct value *ret, struct error *err)
{
    struct engine_set *set = engine_rules_hold(engine->rules);
    struct step s = {.engine = engine, .set = set, .looking = true, .arena = arena, .err = err};
    struct value seen;
    bool ok = step_of(&s, question) && preview(&s, question, &seen) &&
              (value_copy(arena, seen, ret) || error_set(err, "E0003", "out of memory"));
    engine_rules_release(set); // what is returned is the arena's own
    return ok;
}

/* ---- doing exactly that ---- */

const char *step_planned_differs(struct step *s, const struct decide_decision *d, const char *hash)
{
    const struct value *planned = step_detail(s, DETAIL_PLANNED);
    const struct value *expires = planned ? value_get(*planned, STR("expires_ms")) : NULL;
    if (!planned)
        return NULL;
    struct str action = value_path_str(*planned, "action");
    bool waits = d->action == DECIDE_HOLD || str_is(action, decide_action_name(DECIDE_HOLD));
    if (!expires || expires->kind != VALUE_INT || s->subject.now_ms >= expires->i)
        return "the plan has expired";
    if (!str_is(value_path_str(*planned, DETAIL_FINGERPRINT), s->finding.fingerprint))
        return "not as planned: the resource's state is another (fingerprint)";
    if (!str_is(value_path_str(*planned, DETAIL_PLAN_HASH), hash))
        return "not as planned: the calls would be others (plan hash)";
    if (!waits && !str_is(action, decide_action_name(d->action)))
        return arena_printf(s->arena, "not as planned: the guards say %s, not %.*s",
                            decide_action_name(d->action), STR_FMT(action));
    return NULL;
}

/* What was planned against what would be planned now; NULL: the same. */
static const char *find_change(struct value planned, struct value now, struct arena *arena)
{
    static const struct {
        const char *key, *what;
    } parts[] = {{"policy_hash", "policy hash"},
                 {DETAIL_FINGERPRINT, "the resource's state (fingerprint)"},
                 {DETAIL_PLAN_HASH, "the calls (plan hash)"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!str_eq(value_path_str(planned, parts[i].key), value_path_str(now, parts[i].key)))
            return parts[i].what;
    struct str was = value_path_str(planned, "action"), is = value_path_str(now, "action");
    bool waits = str_is(was, "hold") || str_is(is, "hold");
    if (!waits && !str_eq(was, is))
        return arena_printf(arena, "the guards (%.*s, not %.*s)", STR_FMT(is), STR_FMT(was));
    return NULL;
}

static struct str detail_of(const struct engine *engine, struct value planned, int64_t expires_ms,
                            struct str by, struct arena *arena)
{
    struct value_builder event = {.arena = arena}, kept = {.arena = arena}, out = {.arena = arena};
    struct buf text = {.arena = arena};
    char when[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(engine->clock), when);
    value_set(&event, "id", value_string(value_path_str(planned, DETAIL_PLAN_HASH)));
    value_set(&event, "name", value_cstr("apply"));
    value_set(&event, "time", value_cstr(when));
    value_set(&event, "actor", value_string(by));
    value_set(&kept, DETAIL_FINGERPRINT, value_string(value_path_str(planned, DETAIL_FINGERPRINT)));
    value_set(&kept, DETAIL_PLAN_HASH, value_string(value_path_str(planned, DETAIL_PLAN_HASH)));
    value_set(&kept, "action", value_string(value_path_str(planned, "action")));
    value_set(&kept, "expires_ms", value_int(expires_ms));
    value_set(&out, DETAIL_EVENT, value_finish_map(&event));
    value_set(&out, DETAIL_MODE, value_string(value_path_str(planned, DETAIL_MODE)));
    value_set(&out, DETAIL_PLANNED, value_finish_map(&kept));
    json_write(&text, value_finish_map(&out), JSON_COMPACT);
    return buf_str(&text);
}

bool engine_apply(struct engine *engine, struct value planned, int64_t expires_ms, struct str by,
                  int64_t *ret_id, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct engine_question question = {
        value_path_str(planned, "policy"), value_path_str(planned, "policy_hash"),
        value_path_str(planned, "resource"), value_path_str(planned, "region")};
    struct value now;
    *ret_id = 0;
    if (clock_wall_ms(engine->clock) >= expires_ms)
        return error_set(err, "E0015", "the plan has expired");
    if (!engine_preview(engine, &question, &arena, &now, err))
        return false;
    if (str_is(value_path_str(now, "verdict"), verdict_name(VERDICT_COMPLIANT)))
        return true; // it is so already
    const char *change = find_change(planned, now, &arena);
    if (change)
        return error_set(err, "E0015", "not as planned: %s changed", change);
    struct value_builder record = {.arena = &arena};
    struct buf text = {.arena = &arena};
    value_set(&record, "asked_by", value_string(by));
    value_set(&record, DETAIL_PLAN_HASH, value_string(value_path_str(planned, DETAIL_PLAN_HASH)));
    json_write(&text, value_finish_map(&record), JSON_CANONICAL);
    struct store_match match = {question.policy,
                                question.policy_hash,
                                question.resource,
                                question.region,
                                clock_wall_ms(engine->clock),
                                detail_of(engine, planned, expires_ms, by, &arena)};
    if (!match.detail.ptr)
        return error_set(err, "E0003", "out of memory");
    enum store_result got =
        store_create(engine->store, REMEDIATION_REPAIR, &match, buf_str(&text), ret_id, err);
    if (got == STORE_CONFLICT)
        return error_set(err, "E0016", "r%lld is at work on that resource", (long long)*ret_id);
    return got == STORE_OK;
}
