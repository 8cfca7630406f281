// SPDX-License-Identifier: Apache-2.0
/* The Terraform module: stack.tf, or member.tf, with the rules and the roles' policies in their
 * places. */
#include "generate/generate_internal.h"

#define ACCOUNT "${data.aws_caller_identity.current.account_id}"

/* "rectify-s3-2" to "s3_2" */
static struct str label_of(struct arena *arena, struct str name)
{
    struct buf out = {.arena = arena};
    for (size_t i = sizeof "rectify-" - 1; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        buf_add_byte(&out, plain ? c : '_');
    }
    return buf_str(&out);
}

static void add_text(struct buf *out, const char *name, unsigned width, struct str text)
{
    buf_printf(out, "  %-*s = ", (int)width, name);
    hcl_write(out, value_string(text), 2);
    buf_add_byte(out, '\n');
}

static void add_rule(struct buf *out, const struct generate_rule *rule, bool is_hub)
{
    struct str label = label_of(out->arena, rule->name);
    buf_printf(out, "resource \"aws_cloudwatch_event_rule\" \"%.*s\" {\n", STR_FMT(label));
    add_text(out, "name", 11, rule->name);
    add_text(out, "description", 11, rule->description);
    buf_add_cstr(out, "  event_pattern = jsonencode(");
    hcl_write(out, rule->pattern, 2);
    buf_printf(out, ")\n}\n\nresource \"aws_cloudwatch_event_target\" \"%.*s\" {\n",
               STR_FMT(label));
    if (is_hub)
        buf_printf(out,
                   "  rule = aws_cloudwatch_event_rule.%.*s.name\n"
                   "  arn  = aws_sqs_queue.events.arn\n",
                   STR_FMT(label));
    else
        buf_printf(out,
                   "  rule     = aws_cloudwatch_event_rule.%.*s.name\n"
                   "  arn      = local.hub_bus\n"
                   "  role_arn = local.forward_role\n",
                   STR_FMT(label));
    buf_add_cstr(out,
                 "\n  dead_letter_config {\n    arn = aws_sqs_queue.dead_letters.arn\n  }\n}\n\n");
}

/* The queues take messages from these rules and from nobody else. */
static void add_queue_policies(struct buf *out, const struct generate_rule *rules, size_t count,
                               bool is_hub)
{
    buf_add_cstr(out, "locals {\n  rule_arns = [\n");
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "    aws_cloudwatch_event_rule.%.*s.arn,\n",
                   STR_FMT(label_of(out->arena, rules[i].name)));
    buf_add_cstr(out, "  ]\n}\n\nresource \"aws_sqs_queue_policy\" \"queues\" {\n  for_each = {\n");
    buf_add_cstr(out, is_hub ? "    dead_letters = aws_sqs_queue.dead_letters\n"
                               "    events       = aws_sqs_queue.events\n"
                             : "    dead_letters = aws_sqs_queue.dead_letters\n");
    buf_add_cstr(out,
                 "  }\n"
                 "  queue_url = each.value.id\n  policy = jsonencode({\n"
                 "    Version = \"2012-10-17\"\n    Statement = [\n      {\n"
                 "        Effect    = \"Allow\"\n"
                 "        Principal = { Service = \"events.amazonaws.com\" }\n"
                 "        Action    = \"sqs:SendMessage\"\n"
                 "        Resource  = each.value.arn\n"
                 "        Condition = { ArnEquals = { \"aws:SourceArn\" = local.rule_arns } }\n"
                 "      }\n    ]\n  })\n}\n\n");
}

struct filling {
    const struct generate_rule *rules;
    size_t rule_count;
    struct value read, act, members, hub, region;
    bool asks_account, is_hub;
};

static void fill(struct buf *out, struct str place, const struct filling *f)
{
    const struct {
        const char *place;
        struct value value;
    } values[] = {{"read", f->read},
                  {"act", f->act},
                  {"members", f->members},
                  {"hub", f->hub},
                  {"region", f->region}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (str_is(place, values[i].place))
            hcl_write(out, values[i].value, 2);
    if (str_is(place, "head") && f->asks_account)
        buf_add_cstr(out, "data \"aws_caller_identity\" \"current\" {}\n\n");
    for (size_t i = 0; str_is(place, "rules") && i < f->rule_count; i++)
        add_rule(out, &f->rules[i], f->is_hub);
    if (str_is(place, "rules"))
        add_queue_policies(out, f->rules, f->rule_count, f->is_hub);
}

bool generate_terraform(const struct generate_options *options, struct arena *arena,
                        struct buf *out, struct error *err)
{
    struct generate_options own = *options;
    struct generate_rule *rules;
    struct filling f = {.asks_account = options->account.len == 0,
                        .is_hub = options->hub.len == 0,
                        .hub = value_string(options->hub),
                        .region = value_string(options->region)};
    struct str text;
    if (!f.is_hub)
        own.region = (struct str){0}; // a member's roles are for all its regions
    if (f.asks_account)
        own.account = STR(ACCOUNT);
    if (!generate_rules(&own, arena, &rules, &f.rule_count, err) ||
        !generate_iam(&own, GENERATE_READ, arena, &f.read, err) ||
        !generate_iam(&own, GENERATE_ACT, arena, &f.act, err) ||
        !generate_members(options, arena, &f.members, err) ||
        !(f.is_hub ? GENERATE_UNPACK(stack_tf, arena, &text, err)
                   : GENERATE_UNPACK(member_tf, arena, &text, err)))
        return false;
    f.rules = rules;
    f.read = generate_or_nothing(arena, f.read);
    f.act = generate_or_nothing(arena, f.act);
    while (text.len) { // text @place@ text @place@ text
        buf_add_str(out, str_cut(&text, '@'));
        struct str place = str_cut(&text, '@');
        fill(out, place, &f);
        if ((str_is(place, "head") || str_is(place, "rules")) && text.len && text.ptr[0] == '\n')
            text = str_sub(text, 1, SIZE_MAX); // its line is not left behind
    }
    return !out->failed || error_set(err, "J0001", "out of memory");
}
