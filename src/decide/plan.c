// SPDX-License-Identifier: Apache-2.0
/* From a violation to exact calls, and from calls done to their inverse. See decide.h. */
#include "decide/decide_internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "value/json.h"

static struct value with_member(struct value input, struct str member, struct value v,
                                struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; i < input.len; i++)
        value_set_str(&out, value_str(input.pairs[i].key), input.pairs[i].value);
    value_set_str(&out, member, v);
    return value_finish_map(&out);
}

struct value decide_fill_owner(const struct aws_operation *op, struct value input,
                               struct str account, struct arena *arena)
{
    static const struct str member = {"ExpectedBucketOwner", 19};
    const struct aws_shape *shape = aws_operation_input(op);
    if (!shape || input.kind != VALUE_MAP || value_get(input, member))
        return input;
    for (size_t i = 0; i < aws_shape_member_count(shape); i++)
        if (str_eq(aws_shape_member_name(shape, i), member))
            return with_member(input, member, value_string(account), arena);
    return input;
}

/* A token for operations that take one: random, kept in the plan, repeated with every repeat. */
static struct value fill_token(const struct aws_operation *op, struct value input,
                               const struct clock *clock, struct arena *arena)
{
    struct str member = aws_operation_token(op);
    unsigned char bytes[16];
    char hex[33];
    if (member.len == 0 || value_get(input, member))
        return input;
    clock_random(clock, bytes, sizeof bytes);
    hash_hex(bytes, sizeof bytes, hex);
    const char *token = arena_printf(arena, "%.8s-%.4s-4%.3s-a%.3s-%.12s", hex, hex + 8, hex + 13,
                                     hex + 17, hex + 20);
    return with_member(input, member, value_cstr(token), arena);
}

struct planning {
    const struct decide_subject *subject;
    const struct clock *clock;
    struct arena *arena;
    struct cel_budget budget;
    struct value *slots;
    struct value_builder plan;
};

/* The journal is JSON: bytes would come back as their base64 text, and a repeated call would send
 * that. */
static bool has_bytes(struct value v)
{
    bool found = v.kind == VALUE_BYTES;
    for (uint32_t i = 0; !found && i < v.len && v.kind == VALUE_LIST; i++)
        found = has_bytes(v.items[i]);
    for (uint32_t i = 0; !found && i < v.len && v.kind == VALUE_MAP; i++)
        found = has_bytes(v.pairs[i].value);
    return found;
}

static bool plan_call(struct planning *p, const struct policy_call *call, size_t step,
                      struct value item, struct error *err)
{
    struct value input, region = value_string(p->subject->region);
    struct error_list found = {.arena = p->arena};
    struct value_builder out = {.arena = p->arena};
    if (!policy_template_eval(call->with, p->slots, &p->budget, p->arena, &input, err))
        return false;
    if (call->region &&
        !policy_template_eval(call->region, p->slots, &p->budget, p->arena, &region, err))
        return false;
    input = decide_fill_owner(call->operation, input, p->subject->resource.account, p->arena);
    input = fill_token(call->operation, input, p->clock, p->arena);
    if (!aws_input_check(call->operation, input, &found)) {
        if (found.count && err)
            *err = *found.items[0];
        return error_context(err, "%.*s", STR_FMT(call->name));
    }
    if (has_bytes(input)) {
        error_set(err, "D0005", "%.*s: its input has bytes, which the journal cannot keep",
                  STR_FMT(call->name));
        return error_hint(err, "give them as text: base64.encode() where the service wants that");
    }
    if (p->plan.count >= LIMIT_STEPS)
        return error_set(err, "D0003", "the plan has more than %u calls", LIMIT_STEPS);
    value_set(&out, "call", value_string(call->name));
    value_set(&out, "with", input);
    value_set(&out, "region", region);
    value_set(&out, "step", value_int((int64_t)step));
    if (item.kind != VALUE_NULL)
        value_set(&out, "item", item);
    value_push(&p->plan, value_finish_map(&out));
    return out.failed ? error_set(err, "D0002", "out of memory") : true;
}

bool decide_plan(const struct decide_subject *subject, const struct decide_finding *finding,
                 const struct clock *clock, struct arena *arena, struct value *ret,
                 struct error *err)
{
    struct planning p = {subject,        clock,           arena, cel_budget_default(),
                         finding->slots, {.arena = arena}};
    for (size_t i = 0; i < subject->policy->step_count; i++) {
        const struct policy_call *call = &subject->policy->steps[i].call;
        struct value list;
        if (!call->each) {
            if (!plan_call(&p, call, i, value_null(), err))
                return false;
            continue;
        }
        if (!cel_eval(call->each, finding->slots, &p.budget, arena, &list, err))
            return false;
        if (list.kind != VALUE_LIST)
            return error_set(err, "D0001", "`each` of step %zu did not give a list", i + 1);
        for (uint32_t k = 0; k < list.len; k++) {
            struct value item;
            if (!cel_value_plain(arena, list.items[k], &item))
                return error_set(err, "D0002", "out of memory");
            finding->slots[call->each_slot] = item;
            if (!plan_call(&p, call, i, item, err))
                return false;
        }
        finding->slots[call->each_slot] = cel_unset();
    }
    *ret = value_finish_list(&p.plan);
    return p.plan.failed ? error_set(err, "D0002", "out of memory") : true;
}

/* The undo of one planned call: the first whose `when` holds. */
static bool plan_undo(struct planning *p, const struct policy_step *step, size_t number,
                      struct value planned, struct error *err)
{
    const struct value *item = value_get(planned, STR("item"));
    for (size_t i = 0; i < step->undo_count; i++) {
        struct value holds = value_bool(true);
        if (item)
            p->slots[p->subject->policy->undo_slots] = *item;
        if (step->undo[i].when &&
            !cel_eval(step->undo[i].when, p->slots, &p->budget, p->arena, &holds, err))
            return false;
        if (holds.kind == VALUE_BOOL && holds.b)
            return plan_call(p, &step->undo[i], number, item ? *item : value_null(), err);
    }
    return true;
}

bool decide_undo(const struct decide_subject *subject, const struct decide_finding *current,
                 struct value plan, size_t steps_done, struct value before, struct value after,
                 const struct clock *clock, struct arena *arena, struct value *ret,
                 struct error *err)
{
    const struct policy *policy = subject->policy;
    struct planning p = {subject,        clock,           arena, cel_budget_default(),
                         current->slots, {.arena = arena}};
    current->slots[policy->before_slot] = before;
    current->slots[policy->after_slot] = after;
    current->slots[policy->current_slot] = current->reads;
    for (size_t i = steps_done < plan.len ? steps_done : plan.len; i-- > 0;) {
        const struct value *number = value_get(plan.items[i], STR("step"));
        size_t at = number && number->kind == VALUE_INT ? (size_t)number->i : SIZE_MAX;
        if (at >= policy->step_count)
            return error_set(err, "D0004", "the plan's step is not in the policy any more");
        if (policy->steps[at].undo_none.len)
            return error_set(err, "D0005", "undo: none (%.*s)",
                             STR_FMT(policy->steps[at].undo_none));
        if (!plan_undo(&p, &policy->steps[at], at, plan.items[i], err))
            return false;
    }
    *ret = value_finish_list(&p.plan);
    return p.plan.failed ? error_set(err, "D0002", "out of memory") : true;
}

/* The operation of a planned call: its step's, or one of the step's undos. */
static const struct aws_operation *planned_operation(const struct policy *policy,
                                                     struct value planned)
{
    const struct value *number = value_get(planned, STR("step"));
    size_t at = number && number->kind == VALUE_INT ? (size_t)number->i : SIZE_MAX;
    struct str name = value_path_str(planned, "call");
    if (at >= policy->step_count)
        return NULL;
    const struct policy_step *step = &policy->steps[at];
    for (size_t i = 0; i < step->undo_count; i++)
        if (str_eq(step->undo[i].name, name))
            return step->undo[i].operation;
    return step->call.operation;
}

/* Everything but the token, which differs each time a plan is made. */
static struct value without_token(const struct policy *policy, struct value planned,
                                  struct arena *arena)
{
    struct value_builder out = {.arena = arena}, with = {.arena = arena};
    const struct aws_operation *op = planned_operation(policy, planned);
    struct str token = op ? aws_operation_token(op) : (struct str){0};
    const struct value *input = value_get(planned, STR("with"));
    for (uint32_t i = 0; input && i < input->len; i++) {
        struct str key = value_str(input->pairs[i].key);
        if (token.len == 0 || !str_eq(key, token))
            value_set_str(&with, key, input->pairs[i].value);
    }
    const struct value *call = value_get(planned, STR("call"));
    const struct value *region = value_get(planned, STR("region"));
    value_set(&out, "call", call ? *call : value_null());
    value_set(&out, "region", region ? *region : value_null());
    value_set(&out, "with", value_finish_map(&with));
    return value_finish_map(&out);
}

void decide_plan_hash(const struct decide_subject *subject, struct value plan,
                      const char *fingerprint, struct arena *arena, char ret[65])
{
    struct buf text = {.arena = arena};
    struct value_builder calls = {.arena = arena}, all = {.arena = arena};
    for (uint32_t i = 0; i < plan.len; i++)
        value_push(&calls, without_token(subject->policy, plan.items[i], arena));
    value_set(&all, "calls", value_finish_list(&calls));
    value_set(&all, "params", subject->assignment->params);
    value_set(&all, "fingerprint", value_cstr(fingerprint));
    value_set(&all, "policy", value_cstr(subject->policy->hash));
    value_set(&all, "resource", value_string(subject->resource.id));
    value_set(&all, "account", value_string(subject->resource.account));
    json_write(&text, value_finish_map(&all), JSON_CANONICAL);
    struct str whole = buf_str(&text);
    ret[0] = '\0';
    if (!whole.ptr || all.failed || calls.failed)
        return;
    struct sha256 hash = hash_sha256(whole.ptr, whole.len);
    hash_hex(hash.bytes, sizeof hash.bytes, ret);
}

bool decide_step_done(const struct decide_subject *subject, const struct decide_finding *finding,
                      struct value planned, struct arena *arena, bool *ret, struct error *err)
{
    const struct value *number = value_get(planned, STR("step"));
    size_t at = number && number->kind == VALUE_INT ? (size_t)number->i : SIZE_MAX;
    if (at >= subject->policy->step_count)
        return error_set(err, "D0004", "the plan's step is not in the policy any more");
    const struct policy_call *call = &subject->policy->steps[at].call;
    const struct value *item = value_get(planned, STR("item"));
    struct cel_budget budget = cel_budget_default();
    struct value done;
    if (!call->done) {
        *ret = finding->verdict == VERDICT_COMPLIANT;
        return true;
    }
    if (item)
        finding->slots[call->each_slot] = *item;
    if (!cel_eval(call->done, finding->slots, &budget, arena, &done, err))
        return false;
    *ret = done.kind == VALUE_BOOL && done.b;
    return true;
}
