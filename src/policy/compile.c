// SPDX-License-Identifier: Apache-2.0
/* One policy file to `struct policy`: keys are checked at every level, reads and lets are ordered
 * by what they refer to, every call is checked against its service's model. Everything wrong is
 * reported; the policy is given out only when nothing is. */
#include "policy/policy_internal.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "value/json.h"

#include <stdio.h>

struct builder {
    struct policy *policy;
    struct arena *arena;
    struct aws_models *models;
    struct cel_env *detect_env, *decide_env, *undo_env;
    bool ok;
};

static const struct yaml empty_map = {.kind = YAML_MAP};

/* The map under `key`; an empty one when absent or (reported) of another kind. */
static const struct yaml *section(struct builder *b, const struct yaml *map, const char *key)
{
    const struct yaml *node = yaml_get(map, key);
    if (!node)
        return &empty_map;
    if (node->kind == YAML_MAP)
        return node;
    yaml_error(node, "P0106", NULL, "`%s` must be a mapping", key);
    b->ok = false;
    return &empty_map;
}

static const struct cel_program *expression(struct builder *b, const struct cel_env *env,
                                            const struct yaml *node, const struct cel_type *want)
{
    struct policy_compiler compiler = {b->models, env};
    const struct cel_program *program = NULL;
    if (node->kind != YAML_SCALAR) {
        yaml_error(node, "P0109", NULL, "expected an expression");
    } else {
        struct str source = node->text;
        if (str_starts(source, STR("${")) && str_ends(source, STR("}")))
            source = str_sub(source, 2, source.len - 3);
        program = policy_compile(&compiler, node, source, want);
    }
    b->ok = b->ok && program;
    return program;
}

static bool add_variable(struct builder *b, struct cel_env *env, const char *name,
                         const struct cel_type *type, unsigned *ret_slot)
{
    struct error err;
    unsigned slot;
    if (!cel_env_add_variable(env, str_from(name), type, &slot, &err)) {
        b->ok = false;
        return false;
    }
    if (ret_slot)
        *ret_slot = slot;
    return true;
}

static void add_common(struct builder *b, struct cel_env *env)
{
    static const char *const names[] = {"partition", "account", "region", "type", "id"};
    struct cel_field *fields = ARENA_ARRAY(b->arena, struct cel_field, 5);
    struct cel_type *resource = cel_type_record(b->arena, STR("resource"));
    for (size_t i = 0; fields && i < 5; i++)
        fields[i] = (struct cel_field){str_from(names[i]), cel_type_of(VALUE_STRING)};
    if (fields && resource)
        cel_type_record_fields(resource, fields, 5);
    add_variable(b, env, "resource", resource, NULL);
    add_variable(b, env, "account",
                 cel_type_map(b->arena, cel_type_of(VALUE_STRING), cel_type_dyn()), NULL);
    add_variable(b, env, "region", cel_type_of(VALUE_STRING), NULL);
    add_variable(b, env, "params", policy_params_type(b->arena, b->policy), NULL);
    add_variable(b, env, "now", cel_type_of(VALUE_TIMESTAMP), NULL);
}

/* ---- calls ---- */

/* The key that a message names in backticks, below `node`; else `node` itself. */
static const struct yaml *named_key(const struct yaml *node, struct str name)
{
    for (size_t i = 0; node->kind != YAML_SCALAR && name.len && i < node->count; i++) {
        if (node->kind == YAML_MAP && str_eq(node->keys[i]->text, name))
            return node->keys[i];
        const struct yaml *found = named_key(node->items[i], name);
        if (found != node->items[i])
            return found;
    }
    return node;
}

static void check_call_input(struct builder *b, const struct yaml *node,
                             const struct policy_call *call)
{
    struct error_list found = {.arena = b->arena};
    struct value shape = policy_template_shape(call->with, b->arena);
    if (aws_input_check(call->operation, shape, &found))
        return;
    b->ok = false;
    for (size_t i = 0; i < found.count && i < ERROR_LIST_MAX; i++) {
        struct str rest = str_from(found.items[i]->message);
        str_cut(&rest, '`');
        yaml_error(named_key(node, str_cut(&rest, '`')), "P0112", found.items[i]->hint, "%s",
                   found.items[i]->message);
    }
}

/* What each turn of a repeated call gets. */
static const struct cel_type *item_type(const struct policy_call *call)
{
    return call->each ? cel_type_item(cel_program_type(call->each)) : cel_type_dyn();
}

/* call, with, region, each/as, when: what every kind of call has. */
static void compile_call(struct builder *b, const struct yaml *node, const struct cel_env *env,
                         struct policy_call *ret)
{
    struct error err;
    const struct yaml *name = yaml_get(node, "call"), *with = yaml_get(node, "with");
    const struct yaml *each = yaml_get(node, "each"), *as = yaml_get(node, "as");
    if (!name || name->kind != YAML_SCALAR) {
        yaml_error(node, "P0111", "write call: service:Operation", "a call needs `call`");
        b->ok = false;
        return;
    }
    ret->name = name->text;
    ret->operation = aws_operation_find(b->models, name->text, &err);
    if (!ret->operation) {
        yaml_error(name, "P0111", err.hint, "%s", err.message);
        b->ok = false;
    }
    if (each) {
        struct cel_env *inner = cel_env_create(b->arena, env);
        ret->each = expression(b, env, each, cel_type_of(VALUE_LIST));
        bool ok = true;
        struct str item = policy_text(as, "item", &ok);
        if (!inner || !ok ||
            !cel_env_add_variable(inner, item, item_type(ret), &ret->each_slot, &err)) {
            yaml_error(each, "P0113", NULL, "cannot name the item `%.*s`", STR_FMT(item));
            b->ok = false;
            return;
        }
        env = inner;
    }
    struct policy_compiler compiler = {b->models, env};
    struct policy_template *nothing = ARENA_NEW(b->arena, struct policy_template);
    if (nothing)
        nothing->kind = TEMPLATE_MAP;
    ret->with = with ? policy_template_compile(&compiler, with) : nothing;
    const struct yaml *region = yaml_get(node, "region");
    if (region && !(ret->region = policy_template_compile(&compiler, region)))
        b->ok = false;
    const struct yaml *account = yaml_get(node, "account");
    if (account) {
        yaml_error(account, "P0123", "leave it out", "a call runs in the resource's account only");
        b->ok = false;
    }
    const struct yaml *when = yaml_get(node, "when"), *done = yaml_get(node, "done");
    if (when)
        ret->when = expression(b, env, when, cel_type_of(VALUE_BOOL));
    if (done)
        ret->done = expression(b, env, done, cel_type_of(VALUE_BOOL));
    b->ok = b->ok && ret->with;
    if (ret->operation && ret->with)
        check_call_input(b, with ? with : node, ret);
}

/* ---- decide: reads and lets ---- */

/* Denial, throttling, time-outs and failures of the service say nothing about the resource. */
static bool means_nothing_there(struct str code)
{
    static const char *const others[] = {
        "Denied",        "Unauthorized",       "NotAuthorized", "Forbidden",
        "Throttl",       "TooManyRequests",    "Exceeded",      "SlowDown",
        "Unavailable",   "Internal",           "Timeout",       "TimedOut",
        "Expired",       "Signature",          "ClientTokenId", "AuthFailure",
        "OptInRequired", "InvalidAccessKeyId",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (str_find(code, str_from(others[i])) != SIZE_MAX)
            return false;
    return true;
}

static void compile_absent(struct builder *b, const struct yaml *node, struct policy_read *read)
{
    const struct yaml *absent = section(b, node, "absent"), *gone = yaml_get(node, "gone");
    read->absent = ARENA_ARRAY(b->arena, struct policy_absent, absent->count + 1);
    for (size_t i = 0; read->absent && i < absent->count; i++) {
        read->absent[i].code = absent->keys[i]->text;
        b->ok = yaml_value(absent->items[i], &read->absent[i].value) && b->ok;
        if (read->call.operation)
            b->ok = policy_value_conforms(absent->items[i],
                                          aws_operation_output(read->call.operation)) &&
                    b->ok;
        read->absent_count++;
    }
    if (gone && gone->kind != YAML_LIST) {
        yaml_error(gone, "P0106", "write gone: [NoSuchBucket]", "`gone` must be a list of codes");
        b->ok = false;
        return;
    }
    read->gone = ARENA_ARRAY(b->arena, struct str, gone ? gone->count + 1 : 1);
    for (size_t i = 0; read->gone && gone && i < gone->count; i++)
        read->gone[read->gone_count++] = gone->items[i]->text;
    for (size_t i = 0; i < read->gone_count + read->absent_count; i++) {
        struct str code =
            i < read->gone_count ? read->gone[i] : read->absent[i - read->gone_count].code;
        if (!means_nothing_there(code)) {
            yaml_error(node, "P0114", "leave it out: the read is then unread and tried again",
                       "`%.*s` does not mean that there is nothing", STR_FMT(code));
            b->ok = false;
        }
    }
}

static void check_read_allowed(struct builder *b, const struct yaml *node,
                               const struct policy_call *call)
{
    const struct aws_operation *op = call->operation;
    if (!op || policy_read_allowed(aws_operation_service(op), aws_operation_name(op)))
        return;
    yaml_error(node, "P0115", "reads use the table of reviewed read-only operations",
               "`%.*s` is not a reviewed read-only operation", STR_FMT(call->name));
    b->ok = false;
}

/* Reads and lets of one section, in the environment in which each adds its name. */
struct read_set {
    struct cel_env *env;
    struct policy_read *items;
    size_t count;
};

static void compile_read(struct builder *b, const struct yaml *node, const struct cel_env *env,
                         struct policy_read *read)
{
    if (!policy_check_keys(node, POLICY_READ)) {
        b->ok = false;
        return;
    }
    compile_call(b, node, env, &read->call);
    compile_absent(b, node, read);
    check_read_allowed(b, node, &read->call);
}

/* Does the text of this node mention `name` as a word? Good enough to order reads: a false hit can
 * only order two reads that do not need it, or report a cycle that the author can break by a name.
 */
static bool mentions(const struct yaml *node, struct str name)
{
    if (node->kind == YAML_SCALAR) {
        for (struct str rest = node->text; rest.len >= name.len;) {
            size_t at = str_find(rest, name);
            if (at == SIZE_MAX)
                return false;
            char before = at ? rest.ptr[at - 1] : ' ';
            char after = at + name.len < rest.len ? rest.ptr[at + name.len] : ' ';
            bool word = (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z') ||
                        before == '_' || before == '.' || (after >= 'a' && after <= 'z') ||
                        (after >= 'A' && after <= 'Z') || after == '_' ||
                        (after >= '0' && after <= '9');
            if (!word)
                return true;
            rest = str_sub(rest, at + 1, SIZE_MAX);
        }
        return false;
    }
    for (size_t i = 0; i < node->count; i++)
        if (mentions(node->items[i], name))
            return true;
    return false;
}

struct binding {
    struct str name;
    const struct yaml *node;
    bool is_let, placed;
};

/* The first binding not placed yet whose references are all placed, or NULL. */
static struct binding *next_binding(struct binding *bindings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool ready = !bindings[i].placed;
        for (size_t j = 0; ready && j < count; j++)
            ready = j == i || bindings[j].placed || !mentions(bindings[i].node, bindings[j].name);
        if (ready)
            return &bindings[i];
    }
    return NULL;
}

static const struct cel_type *read_type(struct builder *b, const struct policy_read *read,
                                        bool stored)
{
    const struct aws_operation *op = read->call.operation;
    const struct cel_type *type =
        op ? policy_shape_type(b->arena, aws_operation_output(op), stored) : cel_type_dyn();
    return read->call.each ? cel_type_list(b->arena, type) : type;
}

static void compile_binding(struct builder *b, struct binding *binding, struct read_set *set)
{
    struct policy_read *read = &set->items[set->count];
    const struct cel_type *type = cel_type_dyn();
    struct error err;
    read->name = binding->name;
    read->is_let = binding->is_let;
    if (binding->is_let) {
        read->let = expression(b, set->env, binding->node, NULL);
        type = read->let ? cel_program_type(read->let) : type;
    } else {
        compile_read(b, binding->node, set->env, read);
        type = read_type(b, read, false);
    }
    if (!cel_env_add_variable(set->env, binding->name, type, &read->slot, &err)) {
        yaml_error(binding->node, "P0113", NULL, "%s", err.message);
        b->ok = false;
    }
    set->count++;
}

static void compile_bindings(struct builder *b, const struct yaml *from_node, struct read_set *set)
{
    const struct yaml *reads = section(b, from_node, "read"), *lets = section(b, from_node, "let");
    size_t count = reads->count + lets->count;
    struct binding *bindings = ARENA_ARRAY(b->arena, struct binding, count + 1);
    set->items = ARENA_ARRAY(b->arena, struct policy_read, count + 1);
    if (!bindings || !set->items) {
        b->ok = false;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        bool let = i >= reads->count;
        const struct yaml *from = let ? lets : reads;
        size_t at = let ? i - reads->count : i;
        bindings[i] = (struct binding){from->keys[at]->text, from->items[at], let, false};
    }
    for (size_t placed = 0; placed < count; placed++) {
        struct binding *next = next_binding(bindings, count);
        if (!next) {
            yaml_error(from_node, "P0116", NULL, "reads and lets refer to each other in a circle");
            b->ok = false;
            return;
        }
        compile_binding(b, next, set);
        next->placed = true;
    }
}

static void compile_decide(struct builder *b, const struct yaml *root)
{
    const struct yaml *decide = section(b, root, "decide");
    if (decide == &empty_map) {
        yaml_error(root, "P0117", NULL, "a policy needs `decide`");
        b->ok = false;
        return;
    }
    b->ok = policy_check_keys(decide, POLICY_DECIDE) && b->ok;
    add_common(b, b->decide_env);
    struct read_set set = {.env = b->decide_env};
    compile_bindings(b, decide, &set);
    b->policy->reads = set.items;
    b->policy->read_count = set.count;
    const struct yaml *violation = yaml_get(decide, "violation");
    if (violation) {
        b->policy->violation = expression(b, b->decide_env, violation, cel_type_of(VALUE_BOOL));
    } else {
        yaml_error(decide, "P0117", NULL, "`decide` needs `violation`");
        b->ok = false;
    }
    struct policy_compiler compiler = {b->models, b->decide_env};
    const struct yaml *message = yaml_get(decide, "message");
    if (message && !(b->policy->message = policy_template_compile(&compiler, message)))
        b->ok = false;
    const struct yaml *ready = section(b, decide, "ready"), *when = yaml_get(ready, "when");
    b->ok = policy_check_keys(ready, POLICY_READY) && b->ok;
    if (when)
        b->policy->ready = expression(b, b->decide_env, when, cel_type_of(VALUE_BOOL));
    else if (ready != &empty_map) {
        yaml_error(ready, "P0117", "e.g. ready: {when: \"...\", within: 10m}",
                   "`ready` needs `when`");
        b->ok = false;
    }
    b->policy->ready_within_ms =
        policy_duration(yaml_get(ready, "within"), POLICY_DEFAULT_READY_WITHIN, &b->ok);
    const struct yaml *identity = yaml_get(yaml_get(root, "resource"), "identity");
    if (identity && !(b->policy->identity = policy_template_compile(&compiler, identity)))
        b->ok = false;
    b->policy->decide_env = b->decide_env;
}

/* ---- detect ---- */

/* An event names a resource or a list of them. */
static void check_resources(struct builder *b, const struct yaml *node,
                            const struct cel_program *resources)
{
    const struct cel_type *text = cel_type_of(VALUE_STRING), *type = cel_program_type(resources);
    const struct cel_type *wanted[] = {text, cel_type_dyn(), cel_type_list(b->arena, text),
                                       cel_type_of(VALUE_LIST)};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (cel_type_equal(type, wanted[i]))
            return;
    yaml_error(node, "P0109", NULL, "must be the id of a resource or a list of ids, not %s",
               cel_type_text(b->arena, type));
    b->ok = false;
}

static void add_trigger(struct builder *b, const struct yaml *at, struct str pattern,
                        const struct yaml *resources)
{
    struct policy_trigger *trigger = &b->policy->triggers[b->policy->trigger_count++];
    trigger->pattern = pattern;
    if (resources) {
        trigger->resources = expression(b, b->detect_env, resources, NULL);
        if (trigger->resources)
            check_resources(b, resources, trigger->resources);
    } else {
        yaml_error(at, "P0118", NULL, "`pattern` needs `resources`: which resource an event names");
        b->ok = false;
    }
}

static void compile_scan(struct builder *b, const struct yaml *detect)
{
    const struct yaml *scan = section(b, detect, "scan"), *resources = yaml_get(scan, "resources");
    struct policy_scan *out = &b->policy->scan;
    struct read_set set = {.env = cel_env_create(b->arena, NULL)};
    if (scan == &empty_map)
        return;
    b->ok = set.env && policy_check_keys(scan, POLICY_SCAN) && b->ok;
    if (!set.env)
        return;
    cel_env_set_options(set.env, (struct cel_options){.cost_max = LIMIT_EXPRESSION_ESTIMATE});
    add_common(b, set.env);
    compile_bindings(b, scan, &set);
    out->every_ms = policy_duration(yaml_get(scan, "every"), 0, &b->ok);
    out->reads = set.items;
    out->read_count = set.count;
    if (resources) {
        out->resources =
            expression(b, set.env, resources, cel_type_list(b->arena, cel_type_of(VALUE_STRING)));
    } else {
        yaml_error(scan, "P0118", NULL, "`scan` needs `resources`: a list of ids");
        b->ok = false;
    }
    out->slots = cel_env_slots(set.env);
}

static void compile_detect(struct builder *b, const struct yaml *root)
{
    const struct yaml *detect = section(b, root, "detect");
    const struct yaml *events = section(b, detect, "events");
    const struct yaml *pattern = yaml_get(detect, "pattern");
    struct error err;
    b->ok = policy_check_keys(detect, POLICY_DETECT) && b->ok;
    b->policy->settle_ms =
        policy_duration(yaml_get(detect, "settle"), POLICY_DEFAULT_SETTLE, &b->ok);
    compile_scan(b, detect);
    add_common(b, b->detect_env);
    add_variable(b, b->detect_env, "event", cel_type_dyn(), NULL);
    b->policy->triggers = ARENA_ARRAY(b->arena, struct policy_trigger, events->count + 1);
    for (size_t i = 0; b->policy->triggers && i < events->count; i++) {
        struct str json, name = events->keys[i]->text;
        if (!aws_operation_find(b->models, name, &err) ||
            !policy_event_pattern(name, b->arena, &json, &err)) {
            yaml_error(events->keys[i], "P0111", err.hint, "%s", err.message);
            b->ok = false;
            continue;
        }
        add_trigger(b, events->keys[i], json, events->items[i]);
        b->policy->triggers[b->policy->trigger_count - 1].is_operation = true;
    }
    if (pattern) {
        struct value v;
        struct buf json = {.arena = b->arena};
        if (!yaml_value(pattern, &v))
            b->ok = false;
        json_write(&json, v, JSON_COMPACT);
        add_trigger(b, pattern, buf_str(&json), yaml_get(detect, "resources"));
    }
    if (b->policy->trigger_count == 0) {
        yaml_error(root, "P0118", NULL, "a policy needs `detect.events` or `detect.pattern`");
        b->ok = false;
    }
}

/* ---- act ---- */

static void classify(struct builder *b, struct policy_call *call)
{
    if (call->operation && !policy_call_class(call->operation, b->arena, &call->class))
        b->ok = false; // memory
}

static void compile_undo(struct builder *b, const struct yaml *node, struct policy_step *step)
{
    const struct yaml *undo = yaml_get(node, "undo"), *why = yaml_get(node, "undo_none");
    bool none = undo && undo->kind == YAML_SCALAR && str_is(undo->text, "none");
    step->undo_none =
        none ? policy_text(why, "the author gave no reason", &b->ok) : (struct str){0};
    step->closes_hole = policy_flag(yaml_get(node, "closes_hole"), false, &b->ok);
    if (none)
        return;
    if (!undo || undo->kind != YAML_LIST || undo->count == 0) {
        yaml_error(undo ? undo : node, "P0119", "or write `undo: none` and `undo_none: why`",
                   "a step needs `undo`: a list of calls");
        b->ok = false;
        return;
    }
    const struct cel_env *env = b->undo_env;
    if (step->call.each) { // an undo sees the item of its step
        struct cel_env *inner = cel_env_create(b->arena, b->undo_env);
        unsigned slot;
        struct error err;
        bool ok = true;
        struct str item = policy_text(yaml_get(node, "as"), "item", &ok);
        if (!inner || !cel_env_add_variable(inner, item, item_type(&step->call), &slot, &err)) {
            b->ok = false;
            return;
        }
        env = inner;
    }
    step->undo = ARENA_ARRAY(b->arena, struct policy_call, undo->count);
    for (size_t i = 0; step->undo && i < undo->count; i++) {
        b->ok = policy_check_keys(undo->items[i], POLICY_UNDO) && b->ok;
        compile_call(b, undo->items[i], env, &step->undo[step->undo_count]);
        classify(b, &step->undo[step->undo_count++]);
    }
}

/* The reads of one moment by name: `before` and `after` as they were kept, `current` as just read.
 */
static const struct cel_type *reads_type(struct builder *b, bool stored)
{
    struct policy *p = b->policy;
    struct cel_type *record = cel_type_record(b->arena, STR("reads"));
    struct cel_field *fields = ARENA_ARRAY(b->arena, struct cel_field, p->read_count + 1);
    size_t count = 0;
    if (!record || !fields)
        return cel_type_dyn();
    for (size_t i = 0; i < p->read_count; i++)
        if (!p->reads[i].is_let)
            fields[count++] =
                (struct cel_field){p->reads[i].name, read_type(b, &p->reads[i], stored)};
    cel_type_record_fields(record, fields, count);
    return record;
}

static void compile_act(struct builder *b, const struct yaml *root)
{
    const struct yaml *act = yaml_get(root, "act");
    struct policy *p = b->policy;
    b->undo_env = cel_env_create(b->arena, b->decide_env);
    const struct cel_type *kept = reads_type(b, true), *fresh = reads_type(b, false);
    if (!b->undo_env || !add_variable(b, b->undo_env, "before", kept, &p->before_slot) ||
        !add_variable(b, b->undo_env, "after", kept, &p->after_slot) ||
        !add_variable(b, b->undo_env, "current", fresh, &p->current_slot))
        return;
    p->undo_env = b->undo_env;
    if (!act)
        return; // a policy that only observes
    if (act->kind != YAML_LIST || act->count > LIMIT_STEPS) {
        yaml_error(act, "P0106", NULL, "`act` must be a list of at most %u steps", LIMIT_STEPS);
        b->ok = false;
        return;
    }
    p->steps = ARENA_ARRAY(b->arena, struct policy_step, act->count + 1);
    for (size_t i = 0; p->steps && i < act->count; i++) {
        b->ok = policy_check_keys(act->items[i], POLICY_STEP) && b->ok;
        if (act->items[i]->kind != YAML_MAP)
            continue;
        compile_call(b, act->items[i], b->decide_env, &p->steps[i].call);
        classify(b, &p->steps[i].call);
        compile_undo(b, act->items[i], &p->steps[i]);
        p->step_count++;
    }
}

/* ---- guard, verify, head ---- */

static void compile_exemptions(struct builder *b, const struct yaml *list)
{
    struct policy *p = b->policy;
    if (list->kind != YAML_LIST) {
        yaml_error(list, "P0106", NULL, "`exempt` must be a list");
        b->ok = false;
        return;
    }
    p->exemptions = ARENA_ARRAY(b->arena, struct policy_exemption, list->count + 1);
    for (size_t i = 0; p->exemptions && i < list->count; i++) {
        const struct yaml *node = list->items[i], *when = yaml_get(node, "when");
        struct policy_exemption *e = &p->exemptions[p->exemption_count++];
        char text[CLOCK_TEXT_SIZE];
        b->ok = policy_check_keys(node, POLICY_EXEMPTION) && b->ok;
        e->owner = policy_text(yaml_get(node, "owner"), "", &b->ok);
        e->reason = policy_text(yaml_get(node, "reason"), "", &b->ok);
        struct str until = policy_text(yaml_get(node, "until"), "", &b->ok);
        snprintf(text, sizeof text, "%.*sT23:59:59Z", STR_FMT(str_sub(until, 0, 10)));
        if (!when || !e->owner.len || !e->reason.len ||
            !clock_parse(str_from(text), &e->until_ms)) {
            yaml_error(node, "P0121",
                       "e.g. {when: \"...\", owner: netsec, reason: migration, until: 2027-01-31}",
                       "an exemption needs when, owner, reason and until (a date)");
            b->ok = false;
            continue;
        }
        e->when = expression(b, b->decide_env, when, cel_type_of(VALUE_BOOL));
        b->ok = policy_words(yaml_get(node, "by"), b->arena, &e->by, &e->by_count) && b->ok;
        e->rests_on_tags = e->when && policy_reads_tags(p, e->when);
        e->rests_on_name = e->when && policy_reads_names(e->when);
    }
}

static void compile_windows(struct builder *b, const struct yaml *list)
{
    struct policy *p = b->policy;
    if (list->kind != YAML_LIST || list->count > POLICY_WINDOWS_MAX) {
        yaml_error(list, "P0106", NULL, "`window` must be a list of at most %d",
                   POLICY_WINDOWS_MAX);
        b->ok = false;
        return;
    }
    p->windows = ARENA_ARRAY(b->arena, struct policy_window, list->count + 1);
    for (size_t i = 0; p->windows && i < list->count; i++) {
        b->ok = policy_check_keys(list->items[i], POLICY_WINDOW) && b->ok;
        b->ok = policy_window_read(list->items[i], &p->windows[p->window_count++]) && b->ok;
    }
}

static void compile_grace(struct builder *b, const struct yaml *guard)
{
    struct policy *p = b->policy;
    const struct yaml *grace = section(b, guard, "grace"), *iac = yaml_get(guard, "iac");
    b->ok = policy_check_keys(grace, POLICY_GRACE) && b->ok;
    p->grace_ms = policy_duration(yaml_get(grace, "wait"), 0, &b->ok);
    p->grace_notify = policy_text(yaml_get(grace, "notify"), "", &b->ok);
    if (grace != &empty_map && p->grace_ms == 0) {
        yaml_error(grace, "P0117", "e.g. grace: {wait: 7d, notify: owner}", "`grace` needs `wait`");
        b->ok = false;
    }
    struct str word = policy_text(iac, policy_iac_name(POLICY_IAC_ACT), &b->ok);
    while (p->iac < POLICY_IAC_NOTIFY && !str_is(word, policy_iac_name(p->iac)))
        p->iac++;
    if (!str_is(word, policy_iac_name(p->iac))) {
        yaml_error(iac, "P0108", "act, ask or notify", "not a way to treat what code owns");
        b->ok = false;
    }
}

static void compile_guard(struct builder *b, const struct yaml *root)
{
    struct policy *p = b->policy;
    const struct yaml *guard = section(b, root, "guard");
    const struct yaml *breaker = section(b, guard, "breaker"), *limit = section(b, guard, "limit");
    const struct yaml *approval = section(b, guard, "approval"), *mode = yaml_get(guard, "mode");
    b->ok = policy_check_keys(guard, POLICY_GUARD) && b->ok;
    b->ok = policy_check_keys(breaker, POLICY_BREAKER) && b->ok;
    b->ok = policy_check_keys(limit, POLICY_LIMIT) && b->ok;
    p->mode = MODE_OBSERVE;
    if (mode && !mode_parse(mode->text, &p->mode)) {
        yaml_error(mode, "P0108", "observe, approve or enforce", "not a mode");
        b->ok = false;
    }
    const struct yaml *ask = yaml_get(guard, "ask");
    p->ask = ask ? expression(b, b->decide_env, ask, cel_type_of(VALUE_BOOL)) : NULL;
    p->breaker_in_a_row =
        policy_count(yaml_get(breaker, "in_a_row"), POLICY_DEFAULT_BREAKER_IN_A_ROW, &b->ok);
    p->breaker_percent =
        policy_count(yaml_get(breaker, "errors"), POLICY_DEFAULT_BREAKER_PERCENT, &b->ok);
    p->breaker_of = policy_count(yaml_get(breaker, "of"), POLICY_DEFAULT_BREAKER_OF, &b->ok);
    p->breaker_window_ms =
        policy_duration(yaml_get(breaker, "in"), POLICY_DEFAULT_BREAKER_IN, &b->ok);
    p->breaker_open_ms =
        policy_duration(yaml_get(breaker, "open"), POLICY_DEFAULT_BREAKER_OPEN, &b->ok);
    p->risk = policy_count(yaml_get(guard, "risk"), POLICY_DEFAULT_RISK, &b->ok);
    p->at_once = policy_count(yaml_get(limit, "at_once"), POLICY_DEFAULT_LIMIT_AT_ONCE, &b->ok);
    p->per_hour = policy_count(yaml_get(limit, "per_hour"), POLICY_DEFAULT_LIMIT_PER_HOUR, &b->ok);
    p->share_percent = policy_percent(yaml_get(limit, "share"), POLICY_DEFAULT_LIMIT_SHARE, &b->ok);
    p->growth = policy_count(yaml_get(limit, "growth"), POLICY_DEFAULT_LIMIT_GROWTH, &b->ok);
    b->ok = policy_rollout_compile(yaml_get(guard, "rollout"), p) && b->ok;
    b->ok = policy_read_approval(approval, p) && b->ok;
    if (yaml_get(guard, "exempt"))
        compile_exemptions(b, yaml_get(guard, "exempt"));
    if (yaml_get(guard, "window"))
        compile_windows(b, yaml_get(guard, "window"));
    compile_grace(b, guard);
}

static void compile_wait(struct builder *b, const struct yaml *node)
{
    struct policy_wait *wait = &b->policy->verify_wait;
    const struct yaml *until = yaml_get(node, "until");
    struct error err;
    if (!policy_check_keys(node, POLICY_WAIT)) {
        b->ok = false;
        return;
    }
    compile_call(b, node, b->decide_env, &wait->call);
    check_read_allowed(b, node, &wait->call);
    wait->name = policy_text(until, "", &b->ok);
    if (!wait->call.operation)
        return;
    if (!wait->name.len) {
        yaml_error(node, "P0106", "write until: DBInstanceAvailable", "`wait` needs `until`");
        b->ok = false;
    } else if (!aws_waiter_find(wait->call.operation, wait->name, &wait->waiter, &err)) {
        yaml_error(until, err.code, err.hint, "%s", err.message);
        b->ok = false;
    }
}

static void compile_verify(struct builder *b, const struct yaml *root)
{
    const struct yaml *verify = section(b, root, "verify");
    b->ok = policy_check_keys(verify, POLICY_VERIFY) && b->ok;
    b->policy->verify_within_ms =
        policy_duration(yaml_get(verify, "within"), POLICY_DEFAULT_VERIFY_WITHIN, &b->ok);
    struct str otherwise = policy_text(yaml_get(verify, "else"), "person", &b->ok);
    b->policy->verify_else_undo = str_is(otherwise, "undo");
    if (!str_is(otherwise, "undo") && !str_is(otherwise, "person")) {
        yaml_error(yaml_get(verify, "else"), "P0108", "undo or person", "not a way to go on");
        b->ok = false;
    }
    if (yaml_get(verify, "wait"))
        compile_wait(b, yaml_get(verify, "wait"));
    for (size_t i = 0; b->policy->verify_else_undo && i < b->policy->step_count; i++) {
        if (b->policy->steps[i].closes_hole || b->policy->steps[i].undo_none.len) {
            yaml_error(verify, "P0122", "write `else: person`",
                       "`else: undo` is refused: step %zu closes a hole or has no undo", i + 1);
            b->ok = false;
        }
    }
}

/* Its name, kind and default. */
static void compile_param(struct builder *b, const struct yaml *key, const struct yaml *node,
                          struct value_builder *defaults)
{
    struct policy_param *param = &b->policy->param_types[b->policy->param_count++];
    struct value v = value_null();
    b->ok = policy_check_keys(node, POLICY_PARAM) && b->ok;
    const struct yaml *fallback = yaml_get(node, "default"), *type = yaml_get(node, "type");
    param->name = key->text;
    param->has_default = fallback != NULL;
    if (type)
        b->ok = policy_param_kind(type, &param->kind) && b->ok;
    if (fallback)
        b->ok = policy_param_fits(fallback, param->kind, "the default") &&
                yaml_value(fallback, &v) && b->ok;
    if (!type)
        param->kind = v.kind;
    value_set_str(defaults, key->text, v);
}

static void compile_params(struct builder *b, const struct yaml *root)
{
    const struct yaml *params = section(b, root, "params");
    struct value_builder defaults = {.arena = b->arena};
    b->policy->param_types = ARENA_ARRAY(b->arena, struct policy_param, params->count + 1);
    for (size_t i = 0; b->policy->param_types && i < params->count; i++)
        compile_param(b, params->keys[i], params->items[i], &defaults);
    b->policy->params = value_finish_map(&defaults);
}

static void compile_head(struct builder *b, const struct yaml *root)
{
    struct policy *p = b->policy;
    const struct yaml *resource = section(b, root, "resource");
    b->ok = policy_check_keys(root, POLICY_ROOT) && b->ok;
    b->ok = policy_check_keys(resource, POLICY_RESOURCE) && b->ok;
    b->ok = policy_read_notify(yaml_get(root, "notify"), p) && b->ok;
    p->name = policy_text(yaml_get(root, "policy"), "", &b->ok);
    p->title = policy_text(yaml_get(root, "title"), "", &b->ok);
    p->owner = policy_text(yaml_get(root, "owner"), "", &b->ok);
    p->resource_type = policy_text(yaml_get(resource, "type"), "", &b->ok);
    if (p->name.len == 0 || p->resource_type.len == 0) {
        yaml_error(root, "P0117", NULL, "a policy needs `policy` (its name) and `resource.type`");
        b->ok = false;
    }
    struct str scope = policy_text(yaml_get(resource, "scope"), "", &b->ok);
    p->global = scope.len ? !str_is(scope, "regional") : policy_type_is_global(p->resource_type);
    if (scope.len && !str_is(scope, "regional") && !str_is(scope, "global") &&
        !str_is(scope, "account")) {
        yaml_error(yaml_get(resource, "scope"), "P0108", "regional, global or account",
                   "not a scope");
        b->ok = false;
    }
    struct str severity = policy_text(yaml_get(root, "severity"), "medium", &b->ok);
    if (!severity_parse(severity, &p->severity)) {
        yaml_error(yaml_get(root, "severity"), "P0108", "info, low, medium, high or critical",
                   "not a severity");
        b->ok = false;
    }
    const struct yaml *controls = yaml_get(root, "controls");
    if (controls && !yaml_value(controls, &p->controls))
        b->ok = false;
}

struct policy *policy_compile_file(const struct yaml *root, struct aws_models *models)
{
    struct arena *arena = root->file->arena;
    struct policy *policy = ARENA_NEW(arena, struct policy);
    struct builder b = {
        policy, arena, models, cel_env_create(arena, NULL), cel_env_create(arena, NULL),
        NULL,   true};
    if (!policy || !b.detect_env || !b.decide_env)
        return NULL;
    struct cel_options options = {.cost_max = LIMIT_EXPRESSION_ESTIMATE};
    cel_env_set_options(b.detect_env, options);
    cel_env_set_options(b.decide_env, options);
    if (root->kind != YAML_MAP) {
        yaml_error(root, "P0106", NULL, "a policy file is a mapping");
        return NULL;
    }
    struct sha256 hash = hash_sha256(root->file->text.ptr, root->file->text.len);
    hash_hex(hash.bytes, sizeof hash.bytes, policy->hash);
    policy->file = root->file->path;
    compile_head(&b, root);
    compile_params(&b, root);
    compile_detect(&b, root);
    compile_decide(&b, root);
    compile_act(&b, root);
    compile_verify(&b, root);
    compile_guard(&b, root);
    b.ok = policy_find_used(policy, arena) && b.ok;
    policy->decide_slots = cel_env_slots(b.decide_env);
    policy->undo_slots = b.undo_env ? cel_env_slots(b.undo_env) : 0;
    return b.ok ? policy : NULL;
}
