// SPDX-License-Identifier: Apache-2.0
/* What a decision rests on: gathered from the finding and the policy (all expressions are evaluated
 * here), written as a value and read back. See decide.h. */
#include "decide/decide_internal.h"

#include "base/hash.h"
#include "value/json.h"

/* ---- gathering ---- */

/* The class of a planned call: its step's, or that of the undo that it is. */
static enum call_class planned_class(const struct policy *policy, struct value planned)
{
    const struct value *number = value_get(planned, STR("step"));
    size_t at = number && number->kind == VALUE_INT ? (size_t)number->i : SIZE_MAX;
    struct str name = value_path_str(planned, "call");
    if (at >= policy->step_count)
        return CLASS_DESTRUCTIVE;
    const struct policy_step *step = &policy->steps[at];
    for (size_t i = 0; i < step->undo_count; i++)
        if (str_eq(step->undo[i].name, name))
            return step->undo[i].class;
    return str_eq(step->call.name, name) ? step->call.class : CLASS_DESTRUCTIVE;
}

static struct value gather_calls(const struct policy *policy, const struct decide_finding *finding,
                                 struct value plan, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; i < plan.len; i++) {
        struct value_builder one = {.arena = arena};
        const struct value *name = value_get(plan.items[i], STR("call"));
        enum call_class class = planned_class(policy, plan.items[i]);
        value_set(&one, "call", name ? *name : value_null());
        value_set(&one, "class", value_cstr(call_class_name(class)));
        value_set(&one, "changed", value_int(decide_changed(plan.items[i], class, finding->reads)));
        value_push(&out, value_finish_map(&one));
    }
    return value_finish_list(&out);
}

static struct value gather_exemptions(const struct decide_subject *subject,
                                      const struct decide_finding *finding, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    const struct policy *p = subject->policy;
    struct cel_budget budget = cel_budget_default();
    for (size_t i = 0; i < p->exemption_count; i++) {
        const struct policy_exemption *e = &p->exemptions[i];
        struct value_builder one = {.arena = arena};
        struct value holds;
        struct error err;
        if (subject->now_ms > e->until_ms)
            continue;
        bool ok = cel_eval(e->when, finding->slots, &budget, arena, &holds, &err);
        value_set(&one, "owner", value_string(e->owner));
        value_set(&one, "reason", value_string(e->reason));
        value_set(&one, "until_ms", value_int(e->until_ms));
        value_set(&one, "holds", value_bool(ok && holds.kind == VALUE_BOOL && holds.b));
        value_set(&one, "tags", value_bool(e->rests_on_tags));
        if (e->rests_on_tags) {
            struct str by = subject->tagged_by ? subject->tagged_by[i] : (struct str){0};
            value_set(&one, "set_by", value_string(by));
            value_set(&one, "listed", value_bool(decide_is_listed(e, by, arena)));
        }
        if (e->rests_on_name) {
            struct str by = subject->made_by;
            value_set(&one, "name", value_bool(true));
            value_set(&one, "made_by", value_string(by));
            value_set(&one, "maker_listed", value_bool(decide_is_listed(e, by, arena)));
        }
        if (!ok)
            value_set(&one, "error", value_cstr(arena_printf(arena, "%s", err.message)));
        value_push(&out, value_finish_map(&one));
    }
    return value_finish_list(&out);
}

bool decide_exemption_print(const struct decide_subject *subject,
                            const struct decide_finding *finding, size_t exemption,
                            struct arena *arena, char ret[65])
{
    size_t count;
    const struct cel_path *paths =
        cel_program_paths(subject->policy->exemptions[exemption].when, &count);
    struct value_builder list = {.arena = arena};
    struct buf text = {.arena = arena};
    for (size_t i = 0; i < count; i++) {
        struct value at = finding->slots[paths[i].slot], plain = value_null();
        for (size_t k = 0; k < paths[i].count; k++) {
            const struct value *next = value_get(at, paths[i].fields[k]);
            at = next ? *next : value_null();
        }
        bool common = paths[i].slot < POLICY_SLOTS_COMMON; // the same for every resource, or time
        if (!common && at.kind != CEL_UNSET && !cel_value_plain(arena, at, &plain))
            return false;
        value_push(&list, plain);
    }
    json_write(&text, value_finish_list(&list), JSON_CANONICAL);
    struct str whole = buf_str(&text);
    struct sha256 hash = hash_sha256(whole.ptr, whole.len);
    hash_hex(hash.bytes, sizeof hash.bytes, ret);
    return whole.ptr && !list.failed;
}

/* arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION is a session of arn:aws:iam::ACCOUNT:role/ROLE. */
static struct str role_of(struct str arn, struct arena *arena)
{
    struct str rest = arn;
    size_t at = str_find(arn, STR(":assumed-role/"));
    if (at == SIZE_MAX)
        return (struct str){0};
    str_cut(&rest, ':');
    struct str partition = str_cut(&rest, ':'), name = str_sub(arn, at + 14, SIZE_MAX);
    str_cut(&rest, ':');
    str_cut(&rest, ':');
    struct str account = str_cut(&rest, ':');
    name = str_cut(&name, '/');
    return str_from(arena_printf(arena, "arn:%.*s:iam::%.*s:role/%.*s", STR_FMT(partition),
                                 STR_FMT(account), STR_FMT(name)));
}

bool decide_is_listed(const struct policy_exemption *exemption, struct str arn, struct arena *arena)
{
    struct str role = role_of(arn, arena);
    for (size_t i = 0; arn.len && i < exemption->by_count; i++)
        if (str_glob(exemption->by[i], arn) || (role.len && str_glob(exemption->by[i], role)))
            return true;
    return false;
}

static void gather_windows(const struct decide_subject *subject, struct arena *arena,
                           struct decide_settings *ret)
{
    const struct policy *p = subject->policy;
    bool open;
    struct error err;
    if (policy_window_open(p->windows, p->window_count, subject->now_ms, &open, &ret->opens_ms,
                           &err))
        ret->shut = !open;
    else
        ret->window_error = arena_printf(arena, "%s", err.message);
}

static void gather_ready(const struct policy *policy, const struct decide_finding *finding,
                         struct arena *arena, struct decide_settings *ret)
{
    struct cel_budget budget = cel_budget_default();
    struct value holds;
    struct error err;
    ret->ready_within_ms = policy->ready_within_ms;
    if (!policy->ready)
        return;
    bool ok = cel_eval(policy->ready, finding->slots, &budget, arena, &holds, &err);
    ret->unready = !ok || holds.kind != VALUE_BOOL || !holds.b;
    if (!ok)
        ret->ready_error = arena_printf(arena, "%s", err.message);
}

static void gather_ask(const struct policy *policy, const struct decide_finding *finding,
                       struct arena *arena, struct decide_settings *ret)
{
    struct cel_budget budget = cel_budget_default();
    struct value asks = value_bool(false);
    struct error err;
    if (!policy->ask)
        return;
    if (!cel_eval(policy->ask, finding->slots, &budget, arena, &asks, &err))
        ret->ask_error = arena_printf(arena, "%s", err.message);
    else
        ret->asks = asks.kind != VALUE_BOOL || asks.b;
}

/* What rectify.yaml says of the account; the strictest where it says several things. */
static const char *account_environment(struct value account, struct arena *arena)
{
    static const char *const paths[] = {"env",      "environment",      "stage",
                                        "tags.env", "tags.environment", "tags.stage"};
    const char *best = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct str said = value_path_str(account, paths[i]);
        const char *word = said.len ? arena_printf(arena, "%.*s", STR_FMT(said)) : NULL;
        if (word && (!best || decide_environment_points(word) > decide_environment_points(best)))
            best = word;
    }
    return best;
}

void decide_gather(const struct decide_subject *subject, const struct decide_finding *finding,
                   struct value plan, const struct decide_guards *guards, struct arena *arena,
                   struct decide_inputs *ret)
{
    const struct policy *p = subject->policy;
    *ret = (struct decide_inputs){
        .guards = *guards,
        .settings = {.now_ms = subject->now_ms,
                     .mode = mode_name(subject->assignment->mode),
                     .acts = p->step_count > 0,
                     .risk = p->risk,
                     .environment = account_environment(subject->account, arena),
                     .tagged = decide_tagged_environment(finding->reads, arena),
                     .grace_ms = p->grace_ms,
                     .iac = policy_iac_name(p->iac)},
        .calls = gather_calls(p, finding, plan, arena),
        .exemptions = gather_exemptions(subject, finding, arena)};
    for (size_t i = 0; i < p->step_count; i++) {
        ret->settings.no_undo |= p->steps[i].undo_none.len > 0;
        ret->settings.closes_hole |= p->steps[i].closes_hole;
    }
    gather_ask(p, finding, arena, &ret->settings);
    decide_gather_cohort(subject, guards, &ret->settings);
    gather_windows(subject, arena, &ret->settings);
    gather_ready(p, finding, arena, &ret->settings);
    ret->settings.iac_tag = decide_iac_tag(subject, finding->reads, arena);
}

/* ---- as a value and back ---- */

static struct value from_INT(int n)
{
    return value_int(n);
}
static struct value from_LONG(int64_t n)
{
    return value_int(n);
}
static struct value from_FLAG(bool b)
{
    return value_bool(b);
}
static struct value from_TEXT(const char *text)
{
    return text ? value_cstr(text) : value_null();
}

struct value decide_inputs_value(const struct decide_inputs *in, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    struct value_builder guards = {.arena = arena}, settings = {.arena = arena};
#define WRITE(type, name) value_set(to, #name, from_##type(from->name));
    {
        struct value_builder *to = &guards;
        const struct decide_guards *from = &in->guards;
        DECIDE_GUARDS(WRITE)
    }
    {
        struct value_builder *to = &settings;
        const struct decide_settings *from = &in->settings;
        DECIDE_SETTINGS(WRITE)
    }
#undef WRITE
    value_set(&out, "guards", value_finish_map(&guards));
    value_set(&out, "settings", value_finish_map(&settings));
    value_set(&out, "calls", in->calls);
    value_set(&out, "exemptions", in->exemptions);
    return value_finish_map(&out);
}

static bool to_INT(const struct value *v, struct arena *arena, int *ret)
{
    (void)arena;
    if (!v || v->kind != VALUE_INT || v->i < INT32_MIN || v->i > INT32_MAX)
        return false;
    *ret = (int)v->i;
    return true;
}
static bool to_LONG(const struct value *v, struct arena *arena, int64_t *ret)
{
    (void)arena;
    *ret = v && v->kind == VALUE_INT ? v->i : 0;
    return v && v->kind == VALUE_INT;
}
static bool to_FLAG(const struct value *v, struct arena *arena, bool *ret)
{
    (void)arena;
    *ret = v && v->kind == VALUE_BOOL && v->b;
    return v && v->kind == VALUE_BOOL;
}
static bool to_TEXT(const struct value *v, struct arena *arena, const char **ret)
{
    *ret =
        v && v->kind == VALUE_STRING ? arena_printf(arena, "%.*s", STR_FMT(value_str(*v))) : NULL;
    return v && (v->kind == VALUE_NULL || *ret);
}

bool decide_inputs_parse(struct value stored, struct arena *arena, struct decide_inputs *ret)
{
    const struct value *guards = value_get(stored, STR("guards"));
    const struct value *settings = value_get(stored, STR("settings"));
    const struct value *calls = value_get(stored, STR("calls"));
    const struct value *exemptions = value_get(stored, STR("exemptions"));
    bool ok = guards && settings && calls && exemptions && calls->kind == VALUE_LIST &&
              exemptions->kind == VALUE_LIST;
    *ret = (struct decide_inputs){0};
    if (!ok)
        return false;
#define READ(type, name) ok = to_##type(value_get(*from, STR(#name)), arena, &to->name) && ok;
    {
        struct decide_guards *to = &ret->guards;
        const struct value *from = guards;
        DECIDE_GUARDS(READ)
    }
    {
        struct decide_settings *to = &ret->settings;
        const struct value *from = settings;
        DECIDE_SETTINGS(READ)
    }
#undef READ
    ret->calls = *calls;
    ret->exemptions = *exemptions;
    return ok;
}
