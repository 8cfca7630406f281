// SPDX-License-Identifier: Apache-2.0
/* The one table of keys of a policy and of rectify.yaml: the compiler refuses what is not in it,
 * and the JSON schemas for editors are made from it. */
#include "policy/policy_internal.h"

#include <stdio.h>

enum form {
    END,
    TEXT,       // a string
    EXPRESSION, // CEL, bare
    DURATION,   // 90s, 5m, 12h
    COUNT,      // an integer of 0 or more
    PERCENT,    // 50%
    FLAG,
    DATE,
    ANY,
    MAP,      // of anything
    LIST,     // of anything
    SEVERITY, // or another list of words, below
    MODE,
    ASSIGNED_MODE,
    SCOPE,
    ELSE,
    ROLLOUT_ELSE,
    IAC,
    PARAM_TYPE,
    CHANNEL_KIND,
    SOURCE_KIND,
    DIGESTS,
    SECTION,     // a mapping of the keys of `section`
    SECTIONS,    // a list of these
    NAMED,       // a mapping of names to these
    EXPRESSIONS, // a mapping of names to expressions
    UNDO,        // a list of sections, or the word none
};

struct key {
    const char *name;
    enum form form;
    enum policy_section section; // where the form names one
    bool required;
    const char *help;
};

/* clang-format off */
static const struct key policy_keys[] = {
    {"policy", TEXT, 0, true, "the policy's name, unlike any other's"},
    {"title", TEXT, 0, false, "one line that says what holds when the policy is obeyed"},
    {"description", TEXT, 0, false, "what it does and what it leaves alone"},
    {"owner", TEXT, 0, false, "who answers for it"},
    {"severity", SEVERITY, 0, false, "how much a violation matters; medium when not given"},
    {"controls", LIST, 0, false, "ids of the controls that it serves"},
    {"params", NAMED, POLICY_PARAM, false,
     "values that an assignment may set, `params` in expressions"},
    {"resource", SECTION, POLICY_RESOURCE, true, "the kind of resource that it is about"},
    {"detect", SECTION, POLICY_DETECT, true, "which events name a resource to look at"},
    {"decide", SECTION, POLICY_DECIDE, true, "what is read, and when that is a violation"},
    {"act", SECTIONS, POLICY_STEP, false, "the calls that repair it, in order"},
    {"verify", SECTION, POLICY_VERIFY, false, "what reading back has to show, and what else"},
    {"guard", SECTION, POLICY_GUARD, false, "what holds repairs back"},
    {"notify", SECTIONS, POLICY_NOTIFY, false, "who is told of what"},
    {0}};
static const struct key param_keys[] = {
    {"type", PARAM_TYPE, 0, false, "the type of its values"},
    {"default", ANY, 0, false, "its value unless an assignment sets it"},
    {"description", TEXT, 0, false, "what it is"},
    {0}};
static const struct key resource_keys[] = {
    {"type", TEXT, 0, true, "CloudFormation's name of the type: AWS::S3::Bucket"},
    {"scope", SCOPE, 0, false, "how it is keyed; known for most types"},
    {"identity", ANY, 0, false, "the canonical id, from the reads, where events name it otherwise"},
    {0}};
static const struct key detect_keys[] = {
    {"events", EXPRESSIONS, 0, false,
     "operation: the id of the resource in its event, or a list of them"},
    {"pattern", MAP, 0, false, "a verbatim EventBridge event pattern, with `resources`"},
    {"resources", EXPRESSION, 0, false,
     "the ids of the resources that an event of `pattern` names"},
    {"settle", DURATION, 0, false, "how long a resource is left alone before it is believed; 60s"},
    {"scan", SECTION, POLICY_SCAN, false, "how existing resources are found"},
    {0}};
static const struct key scan_keys[] = {
    {"every", DURATION, 0, false, "how often"},
    {"read", NAMED, POLICY_READ, false, "the calls that list them"},
    {"let", EXPRESSIONS, 0, false, "names for what is computed from it"},
    {"resources", EXPRESSION, 0, false, "their ids, from the reads"},
    {0}};
static const struct key decide_keys[] = {
    {"read", NAMED, POLICY_READ, false, "the state, by name"},
    {"let", EXPRESSIONS, 0, false, "names for what is computed from it"},
    {"violation", EXPRESSION, 0, true, "true when the resource breaks the policy"},
    {"message", ANY, 0, false, "what a person is told of the violation"},
    {"ready", SECTION, POLICY_READY, false, "when the resource can be repaired at all"},
    {0}};
static const struct key read_keys[] = {
    {"call", TEXT, 0, true, "service:Operation, one of the reviewed reads"},
    {"with", ANY, 0, false, "its input, in the service's own names"},
    {"region", ANY, 0, false, "another region than the resource's"},
    {"account", ANY, 0, false, "not possible yet: a call runs in the resource's account"},
    {"absent", MAP, 0, false, "error codes that mean there is nothing, and what is read then"},
    {"gone", LIST, 0, false, "error codes that mean the resource does not exist"},
    {"each", EXPRESSION, 0, false, "a list: one call an item"},
    {"as", TEXT, 0, false, "the item's name; item"},
    {0}};
static const struct key step_keys[] = {
    {"call", TEXT, 0, true, "service:Operation"},
    {"with", ANY, 0, false, "its input, in the service's own names"},
    {"region", ANY, 0, false, "another region than the resource's"},
    {"account", ANY, 0, false, "not possible yet: a call runs in the resource's account"},
    {"each", EXPRESSION, 0, false, "a list: one step an item"},
    {"as", TEXT, 0, false, "the item's name; item"},
    {"done", EXPRESSION, 0, false,
     "true when the step has happened; the violation is gone when not given"},
    {"undo", UNDO, POLICY_UNDO, true, "the first whose `when` holds takes the step back; or none"},
    {"undo_none", TEXT, 0, false, "why there is no undo"},
    {"closes_hole", FLAG, 0, false, "undoing would open a hole again: only a person may"},
    {0}};
static const struct key undo_keys[] = {
    {"when", EXPRESSION, 0, false, "when it is the one; sees before, after and current"},
    {"call", TEXT, 0, true, "service:Operation"},
    {"with", ANY, 0, false, "its input, in the service's own names"},
    {"region", ANY, 0, false, "another region than the resource's"},
    {"account", ANY, 0, false, "not possible yet: a call runs in the resource's account"},
    {0}};
static const struct key verify_keys[] = {
    {"within", DURATION, 0, false, "how long reading back may take to show the repair; 5m"},
    {"else", ELSE, 0, false, "what happens when it does not; person when not given"},
    {"wait", SECTION, POLICY_WAIT, false,
     "a waiter of the service's model that has to be reached too"},
    {0}};
static const struct key wait_keys[] = {
    {"until", TEXT, 0, true, "the waiter's name, DBInstanceAvailable"},
    {"call", TEXT, 0, true, "the operation that it asks, rds:DescribeDBInstances"},
    {"with", ANY, 0, false, "its input, in the service's own names"},
    {"region", ANY, 0, false, "another region than the resource's"},
    {0}};
static const struct key guard_keys[] = {
    {"mode", MODE, 0, false, "the most that it may do; observe when not given"},
    {"ask", EXPRESSION, 0, false, "a person decides when it holds"},
    {"risk", COUNT, 0, false, "points that the author adds to the risk; 0"},
    {"rollout", SECTION, POLICY_ROLLOUT, false,
     "repairs begin with few resources; all at once when not given"},
    {"breaker", SECTION, POLICY_BREAKER, false, "when bad results stop the policy"},
    {"limit", SECTION, POLICY_LIMIT, false, "how many repairs there may be"},
    {"approval", SECTION, POLICY_APPROVAL, false, "how people are asked"},
    {"exempt", SECTIONS, POLICY_EXEMPTION, false, "resources that are left alone, and why"},
    {"window", SECTIONS, POLICY_WINDOW, false, "when repairs may begin; at any time"},
    {"grace", SECTION, POLICY_GRACE, false, "how long its owner has to mend it"},
    {"iac", IAC, 0, false, "what infrastructure as code owns: act, ask or notify; act"},
    {0}};
static const struct key rollout_keys[] = {
    {"steps", LIST, 0, false,
     "1 (resource), 5% (of all), {accounts: ...}, in order; [1, 5%, 10%, 25%, 50%, 100%]"},
    {"bake", DURATION, 0, false, "how long a stage lasts at least; 60s"},
    {"sample", COUNT, 0, false, "good repairs that a stage needs; 5"},
    {"within", DURATION, 0, false, "a stage without them by then pauses the policy; 24h"},
    {"else", ROLLOUT_ELSE, 0, false, "what a failed stage does: pause, or undo what it did; pause"},
    {"watch", SECTIONS, POLICY_WATCH, false, "what has to stay well while it goes on"},
    {0}};
static const struct key watch_keys[] = {
    {"alarm", TEXT, 0, false, "a CloudWatch alarm's name: well while it is OK"},
    {"account", TEXT, 0, false, "the alarm's account"},
    {"region", TEXT, 0, false, "the alarm's region"},
    {"prometheus", TEXT, 0, false, "the address of a Prometheus server: http://127.0.0.1:9090"},
    {"query", TEXT, 0, false, "PromQL that gives one number: well while it is not 0"},
    {0}};
static const struct key breaker_keys[] = {
    {"in_a_row", COUNT, 0, false, "so many bad results in a row; 3"},
    {"errors", PERCENT, 0, false, "or this share ...; 50%"},
    {"of", COUNT, 0, false, "... of so many results ...; 20"},
    {"in", DURATION, 0, false, "... within this time; 24h"},
    {"open", DURATION, 0, false, "how long it then stops, at first; 60s"},
    {0}};
static const struct key limit_keys[] = {
    {"at_once", COUNT, 0, false, "repairs at the same time; 10"},
    {"per_hour", COUNT, 0, false, "repairs begun within an hour; 100"},
    {"share", PERCENT, 0, false,
     "more violations a day than this share of all resources, or than 20, pause it; 5%"},
    {"growth", COUNT, 0, false, "... or than so many times the most of the 14 days before; 5"},
    {0}};
static const struct key approval_keys[] = {
    {"via", LIST, 0, false, "channels on which people are asked"},
    {"need", COUNT, 0, false, "how many have to say yes: 1 or 2; 1"},
    {"expires", DURATION, 0, false, "how long the question stands; 24h"},
    {0}};
static const struct key exemption_keys[] = {
    {"when", EXPRESSION, 0, true, "which resources"},
    {"owner", TEXT, 0, true, "who answers for it"},
    {"reason", TEXT, 0, true, "why"},
    {"until", DATE, 0, true, "its last day"},
    {"by", ANY, 0, false, "ARNs of those whose tags count, where `when` reads tags"},
    {0}};
static const struct key window_keys[] = {
    {"days", ANY, 0, false, "of its beginning: mon-fri, [sat, sun]; every day"},
    {"from", TEXT, 0, true, "\"22:00\""},
    {"to", TEXT, 0, true, "\"06:00\"; not after `from`: on the next day"},
    {"zone", TEXT, 0, false, "Europe/Berlin, +02:00; UTC"},
    {0}};
static const struct key grace_keys[] = {
    {"wait", DURATION, 0, true, "from the first sight of the violation"},
    {"notify", TEXT, 0, false, "who is told then: a channel, or owner"},
    {0}};
static const struct key ready_keys[] = {
    {"when", EXPRESSION, 0, true, "repaired only once this holds"},
    {"within", DURATION, 0, false, "after which a person has to look; 10m"},
    {0}};
static const struct key notify_keys[] = {
    {"to", TEXT, 0, true, "a channel of rectify.yaml, a kind of channel, or owner"},
    {"on", ANY, 0, true, "what is told: healed, failed, asked, held, ..."},
    {0}};
static const struct key config_keys[] = {
    {"accounts", MAP, 0, false,
     "accounts by id: name, regions, via, external_id, calls, and attributes such as env"},
    {"organization", SECTION, POLICY_ORGANIZATION, false, "where more accounts are discovered"},
    {"regions", LIST, 0, false, "where accounts that name no regions are looked through"},
    {"calls", SECTION, POLICY_CALLS, false, "how many calls an account bears"},
    {"assignments", SECTIONS, POLICY_ASSIGNMENT, true, "where policies run; the first match wins"},
    {"kill_switch", TEXT, 0, false, "nothing is changed while this file exists"},
    {"channels", NAMED, POLICY_CHANNEL, false, "where people are told and asked"},
    {"people", NAMED, POLICY_PERSON, false, "who may decide, and who they are on each channel"},
    {"limits", SECTION, POLICY_LIMITS, false, "how many repairs there may be, of all policies"},
    {"sources", SECTIONS, POLICY_SOURCE, false, "where events come from, and whom they speak for"},
    {"state_key", TEXT, 0, false, "the key file that seals what is kept of resources"},
    {"iac_tags", LIST, 0, false,
     "tags by which infrastructure as code marks what it owns: KEY or KEY=VALUE, with *"},
    {0}};
static const struct key assignment_keys[] = {
    {"policies", ANY, 0, true, "names or patterns: [\"s3-*\"]"},
    {"accounts", ANY, 0, true, "\"*\", ids, or attributes: {env: prod}"},
    {"mode", ASSIGNED_MODE, 0, false, "what they may do there, at most; observe when not given"},
    {"params", MAP, 0, false, "values of their parameters"},
    {"roles", SECTION, POLICY_ROLES, false, "the roles that are assumed there"},
    {"settle", DURATION, 0, false, "instead of the policies' own"},
    {0}};
static const struct key roles_keys[] = {
    {"read", TEXT, 0, false, "to read: a name or an ARN"},
    {"act", TEXT, 0, false, "to repair: a name or an ARN"},
    {"via", LIST, 0, false, "ARNs of the roles that are assumed before them, in this order"},
    {"external_id", TEXT, 0, false, "what their trust policies want to hear"},
    {0}};
static const struct key calls_keys[] = {
    {"at_once", COUNT, 0, false, "on the wire; 32 when there are several accounts, 0 = any"},
    {"per_second", COUNT, 0, false, "begun within a second; 0 = any"},
    {0}};
static const struct key organization_keys[] = {
    {"account", TEXT, 0, true, "the management account, or a delegated administrator"},
    {"role", TEXT, 0, false, "the role that lists its accounts: a name or an ARN"},
    {"via", LIST, 0, false, "ARNs of the roles that are assumed before it"},
    {"external_id", TEXT, 0, false, "what its trust policy wants to hear"},
    {"every", DURATION, 0, false, "how often; 1h"},
    {0}};
static const struct key channel_keys[] = {
    {"kind", CHANNEL_KIND, 0, true, "slack, jira, webhook, sns or pagerduty"},
    {"to", TEXT, 0, false, "Slack's channel id, Jira's project, a webhook's URL, a topic's ARN"},
    {"url", TEXT, 0, false, "the service's address, where it is not the usual one"},
    {"token", SECTION, POLICY_SECRET, false, "by which the service knows us"},
    {"secret", SECTION, POLICY_SECRET, false, "by which what comes from the service is known"},
    {"old_secret", SECTION, POLICY_SECRET, false, "good too, while the secret is being changed"},
    {"team", TEXT, 0, false, "Slack: the workspace whose clicks count"},
    {"app", TEXT, 0, false, "Slack: the app whose clicks count"},
    {"user", TEXT, 0, false, "Jira Cloud: the account of the token"},
    {"issue_type", TEXT, 0, false, "Jira: Task"},
    {"approve", TEXT, 0, false, "Jira: the status that means yes"},
    {"deny", TEXT, 0, false, "Jira: the status that means no"},
    {"done", TEXT, 0, false, "Jira: the status of what is over"},
    {"owners", LIST, 0, false, "whose policies' `to: owner` it is; names or patterns"},
    {"on", ANY, 0, false, "what is told here of every policy"},
    {"internal", FLAG, 0, false, "its address may be one of a private network"},
    {0}};
static const struct key secret_keys[] = {
    {"file", TEXT, 0, false, "the file that holds it"},
    {"env", TEXT, 0, false, "the environment's variable that holds it"},
    {0}};
static const struct key person_keys[] = {
    {"ids", LIST, 0, false, "slack:U123, jira:557058:ab, unix:ann, webhook:ann"},
    {"aws", LIST, 0, false, "patterns of the ARNs under which they act"},
    {"approves", LIST, 0, false, "names or patterns of policies on which they may decide"},
    {0}};
static const struct key limits_keys[] = {
    {"account", SECTION, POLICY_ACCOUNT_LIMIT, false, "in one account"},
    {"fleet", SECTION, POLICY_FLEET_LIMIT, false, "everywhere"},
    {0}};
static const struct key account_limit_keys[] = {
    {"at_once", COUNT, 0, false, "repairs at the same time; 20"},
    {"per_hour", COUNT, 0, false, "repairs begun within an hour; 500"},
    {0}};
static const struct key fleet_limit_keys[] = {
    {"at_once", COUNT, 0, false, "repairs at the same time; 100"},
    {0}};
static const struct key source_keys[] = {
    {"name", TEXT, 0, false, "what the log and records call it; its type when not given"},
    {"type", SOURCE_KIND, 0, true, "what it is"},
    {"queue", TEXT, 0, false, "sqs: the queue's URL"},
    {"region", TEXT, 0, false, "sqs: the queue's region; its URL says it when not given"},
    {"role", TEXT, 0, false, "sqs: ARN of the role that reads the queue and the buckets"},
    {"accounts", ANY, 0, true, "the accounts that it may speak for: ids, or \"*\""},
    {"regions", LIST, 0, false, "the regions that it may speak for; any when not given"},
    {"buckets", LIST, 0, false, "sqs: the buckets whose CloudTrail files it may announce"},
    {"bucket_owner", TEXT, 0, false, "sqs: the account that these buckets have to belong to"},
    {"digests", DIGESTS, 0, false,
     "sqs: are files taken only when CloudTrail's digest vouches for them? required"},
    {"expect", DURATION, 0, false, "silence for so long is reported; 15m is usual"},
    {0}};
/* clang-format on */

static const struct {
    const char *name;
    const struct key *keys;
} sections[POLICY_SECTION_COUNT] = {
    [POLICY_ROOT] = {"policy", policy_keys},
    [POLICY_PARAM] = {"param", param_keys},
    [POLICY_RESOURCE] = {"resource", resource_keys},
    [POLICY_DETECT] = {"detect", detect_keys},
    [POLICY_SCAN] = {"scan", scan_keys},
    [POLICY_DECIDE] = {"decide", decide_keys},
    [POLICY_READ] = {"read", read_keys},
    [POLICY_STEP] = {"step", step_keys},
    [POLICY_UNDO] = {"undo", undo_keys},
    [POLICY_VERIFY] = {"verify", verify_keys},
    [POLICY_WAIT] = {"wait", wait_keys},
    [POLICY_GUARD] = {"guard", guard_keys},
    [POLICY_ROLLOUT] = {"rollout", rollout_keys},
    [POLICY_WATCH] = {"watch", watch_keys},
    [POLICY_BREAKER] = {"breaker", breaker_keys},
    [POLICY_LIMIT] = {"limit", limit_keys},
    [POLICY_APPROVAL] = {"approval", approval_keys},
    [POLICY_EXEMPTION] = {"exemption", exemption_keys},
    [POLICY_NOTIFY] = {"notify", notify_keys},
    [POLICY_WINDOW] = {"window", window_keys},
    [POLICY_GRACE] = {"grace", grace_keys},
    [POLICY_READY] = {"ready", ready_keys},
    [POLICY_CONFIG] = {"config", config_keys},
    [POLICY_ASSIGNMENT] = {"assignment", assignment_keys},
    [POLICY_ROLES] = {"roles", roles_keys},
    [POLICY_CALLS] = {"calls", calls_keys},
    [POLICY_ORGANIZATION] = {"organization", organization_keys},
    [POLICY_CHANNEL] = {"channel", channel_keys},
    [POLICY_SECRET] = {"secret", secret_keys},
    [POLICY_PERSON] = {"person", person_keys},
    [POLICY_LIMITS] = {"limits", limits_keys},
    [POLICY_ACCOUNT_LIMIT] = {"account_limit", account_limit_keys},
    [POLICY_FLEET_LIMIT] = {"fleet_limit", fleet_limit_keys},
    [POLICY_SOURCE] = {"source", source_keys},
};

#define KEYS_MAX 20

bool policy_check_keys(const struct yaml *map, enum policy_section section)
{
    const char *names[KEYS_MAX];
    size_t count = 0;
    for (const struct key *key = sections[section].keys; key->name; key++)
        names[count++] = key->name;
    return yaml_check_keys(map, names, count);
}

/* ---- JSON Schema, draft 7 (what editors' YAML servers read best) ---- */

static struct value words(struct arena *arena, const char *const *list)
{
    struct value_builder out = {.arena = arena}, items = {.arena = arena};
    for (; *list; list++)
        value_push(&items, value_cstr(*list));
    value_set(&out, "enum", value_finish_list(&items));
    return value_finish_map(&out);
}

static struct value of_type(struct arena *arena, const char *type)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "type", value_cstr(type));
    return value_finish_map(&out);
}

static struct value with_pattern(struct arena *arena, const char *pattern)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "type", value_cstr("string"));
    value_set(&out, "pattern", value_cstr(pattern));
    return value_finish_map(&out);
}

static struct value reference(struct arena *arena, enum policy_section section)
{
    struct value_builder out = {.arena = arena};
    const char *path = arena_printf(arena, "#/definitions/%s", sections[section].name);
    value_set(&out, "$ref", value_cstr(path));
    return value_finish_map(&out);
}

/* {"type": outer, key: inner} */
static struct value nested(struct arena *arena, const char *outer, const char *key,
                           struct value inner)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "type", value_cstr(outer));
    value_set(&out, key, inner);
    return value_finish_map(&out);
}

/* An expression may be written without quotes, and then YAML may take it for something else. */
static struct value expression(struct arena *arena)
{
    struct value_builder out = {.arena = arena}, types = {.arena = arena};
    value_push(&types, value_cstr("string"));
    value_push(&types, value_cstr("boolean"));
    value_push(&types, value_cstr("number"));
    value_set(&out, "type", value_finish_list(&types));
    return value_finish_map(&out);
}

static struct value undo_schema(struct arena *arena, enum policy_section section)
{
    static const char *const none[] = {"none", NULL};
    struct value_builder out = {.arena = arena}, any = {.arena = arena};
    value_push(&any, nested(arena, "array", "items", reference(arena, section)));
    value_push(&any, words(arena, none));
    value_set(&out, "anyOf", value_finish_list(&any));
    return value_finish_map(&out);
}

static struct value word_schema(struct arena *arena, enum form form)
{
    static const char *const severities[] = {"info", "low", "medium", "high", "critical", NULL};
    static const char *const modes[] = {"observe", "approve", "enforce", NULL};
    static const char *const assigned[] = {"off", "observe", "approve", "enforce", NULL};
    static const char *const scopes[] = {"regional", "global", "account", NULL};
    static const char *const otherwise[] = {"undo", "person", NULL};
    static const char *const stops[] = {"pause", "undo", NULL};
    static const char *const iac[] = {"act", "ask", "notify", NULL};
    static const char *const types[] = {"string", "int", "double", "bool", "list", "map", NULL};
    static const char *const kinds[] = {"slack", "jira", "webhook", "sns", "pagerduty", NULL};
    static const char *const sources[] = {"file", "http", "sqs", NULL};
    static const char *const digests[] = {"required", "ignored", NULL};
    const char *const *list = form == SEVERITY        ? severities
                              : form == CHANNEL_KIND  ? kinds
                              : form == MODE          ? modes
                              : form == ASSIGNED_MODE ? assigned
                              : form == SCOPE         ? scopes
                              : form == ELSE          ? otherwise
                              : form == ROLLOUT_ELSE  ? stops
                              : form == SOURCE_KIND   ? sources
                              : form == DIGESTS       ? digests
                              : form == IAC           ? iac
                                                      : types;
    return words(arena, list);
}

static struct value key_schema(struct arena *arena, const struct key *key)
{
    struct value_builder nothing = {.arena = arena};
    switch (key->form) {
    case TEXT:
        return of_type(arena, "string");
    case EXPRESSION:
        return expression(arena);
    case DURATION:
        return with_pattern(arena, "^([0-9]+(ms|s|m|h|d))+$");
    case COUNT:
        return of_type(arena, "integer");
    case PERCENT:
        return with_pattern(arena, "^[0-9]+%$");
    case FLAG:
        return of_type(arena, "boolean");
    case DATE:
        return with_pattern(arena, "^[0-9]{4}-[0-9]{2}-[0-9]{2}");
    case MAP:
        return of_type(arena, "object");
    case LIST:
        return of_type(arena, "array");
    case SECTION:
        return reference(arena, key->section);
    case SECTIONS:
        return nested(arena, "array", "items", reference(arena, key->section));
    case NAMED:
        return nested(arena, "object", "additionalProperties", reference(arena, key->section));
    case EXPRESSIONS:
        return nested(arena, "object", "additionalProperties", expression(arena));
    case UNDO:
        return undo_schema(arena, key->section);
    case ANY:
    case END:
        return value_finish_map(&nothing);
    default:
        return word_schema(arena, key->form);
    }
}

static struct value section_schema(struct arena *arena, enum policy_section section)
{
    struct value_builder out = {.arena = arena}, properties = {.arena = arena};
    struct value_builder required = {.arena = arena};
    for (const struct key *key = sections[section].keys; key->name; key++) {
        struct value_builder one = {.arena = arena};
        struct value schema = key_schema(arena, key);
        /* Beside $ref draft 7 reads nothing else. */
        if (value_get(schema, STR("$ref"))) {
            struct value_builder all = {.arena = arena};
            value_push(&all, schema);
            value_set(&one, "allOf", value_finish_list(&all));
        } else {
            for (uint32_t i = 0; i < schema.len; i++)
                value_set_str(&one, value_str(schema.pairs[i].key), schema.pairs[i].value);
        }
        value_set(&one, "description", value_cstr(key->help));
        value_set(&properties, key->name, value_finish_map(&one));
        if (key->required)
            value_push(&required, value_cstr(key->name));
    }
    value_set(&out, "type", value_cstr("object"));
    value_set(&out, "additionalProperties", value_bool(false));
    value_set(&out, "properties", value_finish_map(&properties));
    if (required.count)
        value_set(&out, "required", value_finish_list(&required));
    return value_finish_map(&out);
}

struct value policy_schema(bool config, struct arena *arena)
{
    struct value_builder out = {.arena = arena}, definitions = {.arena = arena};
    enum policy_section root = config ? POLICY_CONFIG : POLICY_ROOT;
    struct value body = section_schema(arena, root);
    value_set(&out, "$schema", value_cstr("http://json-schema.org/draft-07/schema#"));
    value_set(&out, "title", value_cstr(config ? "rectify.yaml" : "a policy of rectify"));
    for (uint32_t i = 0; i < body.len; i++)
        value_set_str(&out, value_str(body.pairs[i].key), body.pairs[i].value);
    for (size_t i = 0; i < POLICY_SECTION_COUNT; i++) {
        enum policy_section section = (enum policy_section)i;
        bool of_config = section >= POLICY_CONFIG;
        if (section != root && of_config == config)
            value_set(&definitions, sections[i].name, section_schema(arena, section));
    }
    value_set(&out, "definitions", value_finish_map(&definitions));
    return value_finish_map(&out);
}
