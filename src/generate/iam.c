// SPDX-License-Identifier: Apache-2.0
/* The policies' calls to IAM statements: operation, actions, resources, conditions; statements of
 * the same resources and condition are one. */
#include "generate/generate_internal.h"

#include "policy/iam.h"
#include "value/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NEEDS_MAX 4096
#define POLICY_CHARACTERS_MAX 10240 // of all inline policies of a role

struct need { // one action
    struct str action;
    struct value resources, condition; // condition null = none
    struct str key;                    // of both, to group by
};

struct needs {
    const struct generate_options *options;
    struct arena *arena;
    struct need *items;
    size_t count;
    bool any_region; // the call at hand names its own
};

/* What an operation needs besides its own action when its input has a member. Reviewed by hand. */
static const struct {
    const char *operation, *member, *action, *condition_key, *condition, *format;
} also_needed[] = {
    {"ec2:*", "TagSpecifications", "ec2:CreateTags", "ec2:CreateAction", NULL,
     "arn:${Partition}:ec2:${Region}:${Account}:*/*"},
    {"ec2:CreateFlowLogs", "DeliverLogsPermissionArn", "iam:PassRole", "iam:PassedToService",
     "vpc-flow-logs.amazonaws.com", NULL},
    {"cloudtrail:CreateTrail", "CloudWatchLogsRoleArn", "iam:PassRole", "iam:PassedToService",
     "cloudtrail.amazonaws.com", NULL},
    {"cloudtrail:UpdateTrail", "CloudWatchLogsRoleArn", "iam:PassRole", "iam:PassedToService",
     "cloudtrail.amazonaws.com", NULL},
    {"config:PutConfigurationRecorder", "ConfigurationRecorder", "iam:PassRole",
     "iam:PassedToService", "config.amazonaws.com", NULL},
    {"rds:ModifyDBInstance", "MonitoringRoleArn", "iam:PassRole", "iam:PassedToService",
     "monitoring.rds.amazonaws.com", NULL},
    {"s3:PutBucketReplication", "ReplicationConfiguration", "iam:PassRole", "iam:PassedToService",
     "s3.amazonaws.com", NULL},
    {"lambda:UpdateFunctionConfiguration", "Role", "iam:PassRole", "iam:PassedToService",
     "lambda.amazonaws.com", NULL},
};

struct value generate_pair(struct arena *arena, const char *name, struct value v)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, name, v);
    return value_finish_map(&out);
}

struct value generate_text(struct arena *arena, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return value_string(str_copy(arena, str_from(text)));
}

struct value generate_one(struct arena *arena, const char *text)
{
    struct value_builder out = {.arena = arena};
    value_push(&out, value_cstr(text));
    return value_finish_list(&out);
}

enum mode generate_mode(const struct generate_options *options, const struct policy *policy,
                        struct arena *arena)
{
    if (options->account.len == 0 || options->account.ptr[0] == '$')
        return policy->mode;
    return policy_set_assign(options->policies, policy, options->account, arena).mode;
}

bool generate_members(const struct generate_options *options, struct arena *arena,
                      struct value *ret, struct error *err)
{
    struct policy_account *accounts;
    size_t count;
    struct value_builder out = {.arena = arena};
    if (!policy_set_accounts(options->policies, arena, &accounts, &count))
        return error_set(err, "J0001", "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!str_eq(accounts[i].id, options->account))
            value_push(&out, value_string(accounts[i].id));
    *ret = value_finish_list(&out);
    return true;
}

struct value generate_or_nothing(struct arena *arena, struct value document)
{
    const struct value *statements = value_get(document, STR("Statement"));
    if (statements && statements->len)
        return document;
    struct value_builder out = {.arena = arena}, deny = {.arena = arena}, list = {.arena = arena};
    value_set(&deny, "Effect", value_cstr("Deny"));
    value_set(&deny, "Action", value_cstr("*"));
    value_set(&deny, "Resource", value_cstr("*"));
    value_push(&list, value_finish_map(&deny));
    value_set(&out, "Version", value_cstr("2012-10-17"));
    value_set(&out, "Statement", value_finish_list(&list));
    return value_finish_map(&out);
}

/* ---- resources ---- */

/* An ARN format with what is known of the place; names of resources become `*`. */
static struct value fill_arn(const struct needs *n, struct str format)
{
    const struct generate_options *o = n->options;
    struct buf out = {.arena = n->arena};
    struct str partition = o->region.len ? resource_partition(o->region) : STR("aws");
    if (str_starts(o->account, STR("${AWS::"))) // the stack's own
        partition = STR("${AWS::Partition}");
    while (format.len) {
        struct str before = str_cut(&format, '$');
        buf_add_str(&out, before);
        if (format.len == 0)
            break;
        struct str name = str_cut(&format, '}');
        if (str_is(name, "{Partition"))
            buf_add_str(&out, partition);
        else if (str_is(name, "{Account") && o->account.len)
            buf_add_str(&out, o->account);
        else if (str_is(name, "{Region") && o->region.len && !n->any_region)
            buf_add_str(&out, o->region);
        else
            buf_add_byte(&out, '*');
    }
    return value_string(buf_str(&out));
}

static int compare_values(const void *pa, const void *pb)
{
    const struct value *a = pa, *b = pb;
    return str_compare(value_str(*a), value_str(*b));
}

static bool add_need(struct needs *n, struct str action, struct value resources,
                     struct value condition, struct error *err)
{
    struct buf key = {.arena = n->arena};
    json_write(&key, condition, JSON_CANONICAL);
    json_write(&key, resources, JSON_CANONICAL);
    for (size_t i = 0; i < n->count; i++)
        if (str_eq(n->items[i].action, action) && str_eq(n->items[i].key, buf_str(&key)))
            return true;
    if (n->count == NEEDS_MAX)
        return error_set(err, "J0003", "the policies need more than %d actions", NEEDS_MAX);
    n->items[n->count++] = (struct need){action, resources, condition, buf_str(&key)};
    return true;
}

/* Buckets are named without their account: a condition confines the role to the account's own. */
static struct value account_condition(const struct needs *n, struct str action,
                                      struct value resources)
{
    bool buckets = str_starts(action, STR("s3:")) && resources.len > 0;
    for (uint32_t i = 0; i < resources.len; i++)
        buckets = buckets && str_find(value_str(resources.items[i]), STR(":s3:::")) != SIZE_MAX;
    if (!buckets || n->options->account.len == 0)
        return value_null();
    struct value account =
        generate_pair(n->arena, "aws:ResourceAccount", value_string(n->options->account));
    return generate_pair(n->arena, "StringEquals", account);
}

/* `format`: the resource where it is not the action's own; empty otherwise. */
static bool add_action(struct needs *n, struct str action, struct str format,
                       struct value condition, struct error *err)
{
    struct str *formats = &format;
    size_t count = 1;
    struct value_builder list = {.arena = n->arena};
    if (format.len == 0 && !policy_iam_resources(action, n->arena, &formats, &count))
        return error_set(err, "J0001", "out of memory");
    struct value *arns = ARENA_ARRAY(n->arena, struct value, count + 1);
    for (size_t i = 0; arns && i < count; i++)
        arns[i] = fill_arn(n, formats[i]);
    if (!arns)
        return error_set(err, "J0001", "out of memory");
    qsort(arns, count, sizeof *arns, compare_values);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !value_equal(arns[i], arns[i - 1]))
            value_push(&list, arns[i]);
    struct value resources = value_finish_list(&list);
    if (condition.kind == VALUE_NULL)
        condition = account_condition(n, action, resources);
    return add_need(n, action, resources, condition, err);
}

/* ---- calls ---- */

static bool add_also(struct needs *n, const struct policy_call *call, struct error *err)
{
    for (size_t i = 0; i < sizeof also_needed / sizeof *also_needed; i++) {
        if (!str_glob(str_from(also_needed[i].operation), call->name) ||
            !policy_template_has(call->with, str_from(also_needed[i].member)))
            continue;
        struct str value = also_needed[i].condition ? str_from(also_needed[i].condition)
                                                    : aws_operation_name(call->operation);
        struct value condition = generate_pair(
            n->arena, "StringEquals",
            generate_pair(n->arena, also_needed[i].condition_key, value_string(value)));
        if (!add_action(n, str_from(also_needed[i].action), str_from(also_needed[i].format),
                        condition, err))
            return false;
    }
    return true;
}

static bool add_call(struct needs *n, const struct policy *policy, const struct policy_call *call,
                     struct error *err)
{
    struct str *actions;
    size_t count;
    n->any_region = call->region != NULL;
    if (!policy_iam_actions(call->name, n->arena, &actions, &count, err))
        return error_context(err, "policy %.*s", STR_FMT(policy->name));
    for (size_t i = 0; i < count; i++)
        if (!add_action(n, actions[i], (struct str){0}, value_null(), err))
            return false;
    return add_also(n, call, err);
}

static bool add_reads(struct needs *n, const struct policy *p, struct error *err)
{
    for (size_t i = 0; i < p->read_count; i++)
        if (!p->reads[i].is_let && !add_call(n, p, &p->reads[i].call, err))
            return false;
    if (p->verify_wait.name.len && !add_call(n, p, &p->verify_wait.call, err))
        return false;
    for (size_t i = 0; i < p->scan.read_count; i++)
        if (!p->scan.reads[i].is_let && !add_call(n, p, &p->scan.reads[i].call, err))
            return false;
    return true;
}

static bool add_steps(struct needs *n, const struct policy *p, struct error *err)
{
    for (size_t i = 0; i < p->step_count; i++) {
        if (!add_call(n, p, &p->steps[i].call, err))
            return false;
        for (size_t k = 0; k < p->steps[i].undo_count; k++)
            if (!add_call(n, p, &p->steps[i].undo[k], err))
                return false;
    }
    return true;
}

/* ---- statements ---- */

static int compare_needs(const void *pa, const void *pb)
{
    const struct need *a = pa, *b = pb;
    int order = str_compare(a->key, b->key);
    return order ? order : str_compare(a->action, b->action);
}

static struct value statement(const struct needs *n, size_t from, size_t to)
{
    struct value_builder out = {.arena = n->arena}, actions = {.arena = n->arena};
    const struct need *first = &n->items[from];
    for (size_t i = from; i < to; i++)
        if (i == from || !str_eq(n->items[i].action, n->items[i - 1].action))
            value_push(&actions, value_string(n->items[i].action));
    value_set(&out, "Effect", value_cstr("Allow"));
    value_set(&out, "Action", value_finish_list(&actions));
    if (first->resources.len == 0)
        value_set(&out, "Resource", value_cstr("*"));
    else
        value_set(&out, "Resource",
                  first->resources.len == 1 ? first->resources.items[0] : first->resources);
    if (first->condition.kind == VALUE_MAP)
        value_set(&out, "Condition", first->condition);
    return value_finish_map(&out);
}

static int compare_statements(const void *pa, const void *pb)
{
    const struct value *a = pa, *b = pb;
    return str_compare(value_path_str(*a, "Action.0"), value_path_str(*b, "Action.0"));
}

static struct value document(struct needs *n)
{
    struct value_builder out = {.arena = n->arena};
    struct value *list = ARENA_ARRAY(n->arena, struct value, n->count + 1);
    size_t count = 0;
    qsort(n->items, n->count, sizeof *n->items, compare_needs);
    for (size_t from = 0, to; list && from < n->count; from = to) {
        for (to = from + 1; to < n->count && str_eq(n->items[to].key, n->items[from].key); to++)
            ;
        list[count++] = statement(n, from, to);
    }
    if (list)
        qsort(list, count, sizeof *list, compare_statements);
    value_set(&out, "Version", value_cstr("2012-10-17"));
    value_set(&out, "Statement", value_list(list, count));
    return value_finish_map(&out);
}

bool generate_iam(const struct generate_options *options, unsigned roles, struct arena *arena,
                  struct value *ret, struct error *err)
{
    struct needs n = {.options = options, .arena = arena};
    n.items = ARENA_ARRAY(arena, struct need, NEEDS_MAX);
    if (!n.items)
        return error_set(err, "J0001", "out of memory");
    for (size_t i = 0; i < policy_set_count(options->policies); i++) {
        const struct policy *p = policy_set_at(options->policies, i);
        enum mode mode = generate_mode(options, p, arena);
        if (mode != MODE_OFF && (roles & GENERATE_READ) && !add_reads(&n, p, err))
            return false;
        if (mode > MODE_OBSERVE && (roles & GENERATE_ACT) && !add_steps(&n, p, err))
            return false;
    }
    struct buf text = {.arena = arena};
    *ret = document(&n);
    json_write(&text, *ret, JSON_COMPACT);
    if (text.len > POLICY_CHARACTERS_MAX) {
        error_set(err, "J0004", "the role would need a policy of %zu characters; IAM takes %d",
                  text.len, POLICY_CHARACTERS_MAX);
        return error_hint(err, "divide the policies among several roles (`roles` in rectify.yaml)");
    }
    return true;
}
