// SPDX-License-Identifier: Apache-2.0
/* rectify.yaml: where policies run. It can only lower what a policy may do. */
#include "policy/policy_internal.h"

static bool read_names(const struct yaml *node, struct str **ret, size_t *ret_count)
{
    if (!node || node->kind == YAML_MAP) {
        if (node)
            yaml_error(node, "P0106", "e.g. policies: [\"s3-*\"]", "expected a list of names");
        return false;
    }
    size_t count = node->kind == YAML_LIST ? node->count : 1;
    struct str *names = ARENA_ARRAY(node->file->arena, struct str, count + 1);
    for (size_t i = 0; names && i < count; i++)
        names[i] = node->kind == YAML_LIST ? node->items[i]->text : node->text;
    *ret = names;
    *ret_count = count;
    return names != NULL;
}

static bool read_accounts(const struct yaml *node, struct policy_assignment_rule *rule)
{
    if (!node || (node->kind == YAML_SCALAR && str_is(node->text, "*"))) {
        rule->any_account = node != NULL;
        return node != NULL;
    }
    return yaml_value(node, &rule->accounts);
}

static bool read_rule(const struct yaml *node, struct policy_assignment_rule *rule)
{
    if (!policy_check_keys(node, POLICY_ASSIGNMENT))
        return false;
    bool ok = true;
    const struct yaml *mode = yaml_get(node, "mode");
    const struct yaml *params = yaml_get(node, "params");
    if (!read_names(yaml_get(node, "policies"), &rule->policies, &rule->policy_count) ||
        !read_accounts(yaml_get(node, "accounts"), rule)) {
        yaml_error(node, "P0131", "use \"*\" for all",
                   "an assignment needs `policies` and `accounts`");
        return false;
    }
    rule->mode = MODE_OBSERVE;
    if (mode && !mode_parse(mode->text, &rule->mode)) {
        yaml_error(mode, "P0108", "off, observe, approve or enforce", "not a mode");
        ok = false;
    }
    rule->params_node = params;
    if (params)
        ok = yaml_value(params, &rule->params) && ok;
    ok =
        policy_read_roles(yaml_get(node, "roles"), &rule->read_role, &rule->act_role, &rule->way) &&
        ok;
    rule->settle_ms = policy_duration(yaml_get(node, "settle"), -1, &ok);
    return ok;
}

static bool read_limits(const struct yaml *limits, struct policy_limits *ret)
{
    const struct yaml *account = yaml_get(limits, "account"), *fleet = yaml_get(limits, "fleet");
    bool ok = true;
    ok = (!limits || policy_check_keys(limits, POLICY_LIMITS)) && ok;
    ok = (!account || policy_check_keys(account, POLICY_ACCOUNT_LIMIT)) && ok;
    ok = (!fleet || policy_check_keys(fleet, POLICY_FLEET_LIMIT)) && ok;
    ret->account_at_once =
        policy_count(yaml_get(account, "at_once"), POLICY_DEFAULT_ACCOUNT_AT_ONCE, &ok);
    ret->account_per_hour =
        policy_count(yaml_get(account, "per_hour"), POLICY_DEFAULT_ACCOUNT_PER_HOUR, &ok);
    ret->fleet_at_once =
        policy_count(yaml_get(fleet, "at_once"), POLICY_DEFAULT_FLEET_AT_ONCE, &ok);
    return ok;
}

bool policy_config_read(const struct yaml *root, struct policy_config *ret)
{
    bool ok = policy_check_keys(root, POLICY_CONFIG);
    const struct yaml *list = yaml_get(root, "assignments");
    ret->calls = (struct policy_calls){-1, -1};
    ok = policy_read_accounts(yaml_get(root, "accounts"), &ret->accounts) && ok;
    ok = policy_read_organization(yaml_get(root, "organization"), &ret->organization) && ok;
    ok = policy_read_regions(yaml_get(root, "regions"), &ret->regions, &ret->region_count) && ok;
    ok = policy_read_calls(yaml_get(root, "calls"), &ret->calls) && ok;
    ok = read_limits(yaml_get(root, "limits"), &ret->limits) && ok;
    ret->limits.shared = ret->accounts.count > 1 || ret->organization.account.len;
    ret->kill_switch = policy_text(yaml_get(root, "kill_switch"), "", &ok);
    ok = policy_people_read(root, ret) && ok;
    ok = policy_read_sources(yaml_get(root, "sources"), ret) && ok;
    ret->state_key = policy_text(yaml_get(root, "state_key"), "", &ok);
    ok = policy_words(yaml_get(root, "iac_tags"), root->file->arena, &ret->iac_tags,
                      &ret->iac_tag_count) &&
         ok;
    if (!list || list->kind != YAML_LIST) {
        yaml_error(root, "P0131", NULL, "rectify.yaml needs `assignments`, a list");
        return false;
    }
    ret->rules = ARENA_ARRAY(root->file->arena, struct policy_assignment_rule, list->count + 1);
    for (size_t i = 0; ret->rules && i < list->count; i++)
        ok = read_rule(list->items[i], &ret->rules[ret->rule_count++]) && ok;
    return ok && ret->rules;
}
