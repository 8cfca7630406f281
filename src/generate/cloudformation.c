// SPDX-License-Identifier: Apache-2.0
/* The CloudFormation template: stack.json, or member.json, with the rules and the roles' policies
 * in their places. */
#include "generate/generate_internal.h"

#include "value/json.h"

struct filling {
    struct arena *arena;
    const struct generate_rule *rules;
    size_t rule_count;
    const struct filled {
        const char *place;
        struct value value;
    } * texts;
    size_t text_count;
};

/* Names of the stack's own place become Fn::Sub. */
static struct value with_sub(struct arena *arena, struct value v)
{
    struct value_builder out = {.arena = arena};
    if (v.kind == VALUE_STRING && str_find(value_str(v), STR("${AWS::")) != SIZE_MAX)
        return generate_pair(arena, "Fn::Sub", v);
    for (uint32_t i = 0; v.kind == VALUE_LIST && i < v.len; i++)
        value_push(&out, with_sub(arena, v.items[i]));
    for (uint32_t i = 0; v.kind == VALUE_MAP && i < v.len; i++)
        value_set_str(&out, value_str(v.pairs[i].key), with_sub(arena, v.pairs[i].value));
    return v.kind == VALUE_LIST  ? value_finish_list(&out)
           : v.kind == VALUE_MAP ? value_finish_map(&out)
                                 : v;
}

/* "rectify-s3-2" to "RuleS32": letters and digits only. */
static struct str logical_id(struct arena *arena, struct str name)
{
    struct buf out = {.arena = arena};
    bool upper = true;
    buf_add_cstr(&out, "Rule");
    for (size_t i = sizeof "rectify-" - 1; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter || (c >= '0' && c <= '9'))
            buf_add_byte(&out, upper && c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
        upper = !letter;
    }
    return buf_str(&out);
}

static struct value get_arn(struct arena *arena, struct str id)
{
    struct value_builder list = {.arena = arena};
    value_push(&list, value_string(id));
    value_push(&list, value_cstr("Arn"));
    return generate_pair(arena, "Fn::GetAtt", value_finish_list(&list));
}

static struct value rule_resource(const struct filling *f, const struct generate_rule *rule,
                                  struct value target)
{
    struct arena *arena = f->arena;
    struct value_builder out = {.arena = arena}, properties = {.arena = arena};
    struct value_builder targets = {.arena = arena};
    value_push(&targets, target);
    value_set(&properties, "Name", value_string(rule->name));
    value_set(&properties, "Description", value_string(rule->description));
    value_set(&properties, "EventPattern", rule->pattern);
    value_set(&properties, "Targets", value_finish_list(&targets));
    value_set(&out, "Type", value_cstr("AWS::Events::Rule"));
    value_set(&out, "Properties", value_finish_map(&properties));
    return value_finish_map(&out);
}

static struct value rule_arns(const struct filling *f)
{
    struct value_builder out = {.arena = f->arena};
    for (size_t i = 0; i < f->rule_count; i++)
        value_push(&out, get_arn(f->arena, logical_id(f->arena, f->rules[i].name)));
    return value_finish_list(&out);
}

static struct value fill(const struct filling *f, struct value v)
{
    struct value_builder out = {.arena = f->arena};
    for (size_t i = 0; v.kind == VALUE_STRING && i < f->text_count; i++)
        if (str_is(value_str(v), f->texts[i].place))
            return f->texts[i].value;
    for (uint32_t i = 0; v.kind == VALUE_LIST && i < v.len; i++)
        value_push(&out, fill(f, v.items[i]));
    for (uint32_t i = 0; v.kind == VALUE_MAP && i < v.len; i++) {
        if (!str_is(value_str(v.pairs[i].key), "@rules@")) {
            value_set_str(&out, value_str(v.pairs[i].key), fill(f, v.pairs[i].value));
            continue;
        }
        for (size_t k = 0; k < f->rule_count; k++) // each with the target that stands there
            value_set_str(&out, logical_id(f->arena, f->rules[k].name),
                          rule_resource(f, &f->rules[k], v.pairs[i].value));
    }
    return v.kind == VALUE_LIST  ? value_finish_list(&out)
           : v.kind == VALUE_MAP ? value_finish_map(&out)
                                 : v;
}

static struct value joined(struct arena *arena, struct value strings)
{
    struct buf out = {.arena = arena};
    for (uint32_t i = 0; i < strings.len; i++)
        buf_printf(&out, "%s%.*s", i ? "," : "", STR_FMT(value_str(strings.items[i])));
    return value_string(buf_str(&out));
}

bool generate_cloudformation(const struct generate_options *options, struct arena *arena,
                             struct value *ret, struct error *err)
{
    struct filling f = {.arena = arena};
    struct generate_rule *rules;
    struct generate_options own = *options;
    struct str text;
    struct value stack, members, read, act;
    bool is_hub = options->hub.len == 0;
    if (own.account.len == 0)
        own.account = STR("${AWS::AccountId}");
    if (!is_hub)
        own.region = (struct str){0}; // a member's roles are for all its regions
    if (!generate_rules(&own, arena, &rules, &f.rule_count, err) ||
        !generate_iam(&own, GENERATE_READ, arena, &read, err) ||
        !generate_iam(&own, GENERATE_ACT, arena, &act, err) ||
        !generate_members(options, arena, &members, err) ||
        !(is_hub ? GENERATE_UNPACK(stack_json, arena, &text, err)
                 : GENERATE_UNPACK(member_json, arena, &text, err)) ||
        !json_parse(arena, text, &stack, err))
        return false;
    f.rules = rules;
    const struct filled texts[] = {
        {"@rule_arns@", rule_arns(&f)},
        {"@read@", with_sub(arena, generate_or_nothing(arena, read))},
        {"@act@", with_sub(arena, generate_or_nothing(arena, act))},
        {"@members@", joined(arena, members)},
        {"@hub@", value_string(options->hub)},
        {"@region@", value_string(options->region)},
    };
    f.texts = texts;
    f.text_count = sizeof texts / sizeof *texts;
    *ret = fill(&f, stack);
    return true;
}
