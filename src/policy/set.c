// SPDX-License-Identifier: Apache-2.0
/* The policy set: files in, immutable policies out, and who may do what where. */
#include "policy/policy_internal.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define POLICIES_MAX 10000
#define POLICY_FOLDER_DEPTH_MAX 8

struct policy_set {
    struct arena arena;
    struct policy **policies;
    size_t count, cap;
    struct yaml_programs programs;
    struct policy_config config;
    bool has_config;
    struct policy_directory directory;
};

static bool add_error(struct error_list *errors, const char *code, const char *path, int number)
{
    struct error err;
    error_set(&err, code, "cannot read %s: %s", path, strerror(number));
    error_list_add(errors, &err);
    return false;
}

static bool read_file(struct arena *arena, const char *path, struct str *ret,
                      struct error_list *errors)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return add_error(errors, "P0132", path, errno);
    char *bytes = arena_alloc_raw(arena, LIMIT_POLICY_FILE_BYTES + 1, 1);
    size_t len = bytes ? fread(bytes, 1, LIMIT_POLICY_FILE_BYTES + 1, file) : 0;
    bool bad = !bytes || ferror(file);
    fclose(file);
    if (bad || len > LIMIT_POLICY_FILE_BYTES)
        return add_error(errors, "P0133", path, bad ? EIO : EFBIG);
    *ret = str_copy(arena, (struct str){bytes, len});
    return ret->ptr != NULL;
}

static struct yaml *read_yaml(struct policy_set *set, const char *path, struct error_list *errors)
{
    struct yaml_file *file = ARENA_NEW(&set->arena, struct yaml_file);
    struct str text;
    if (!file || !read_file(&set->arena, path, &text, errors))
        return NULL;
    *file = (struct yaml_file){str_copy(&set->arena, str_from(path)), text, errors, &set->arena,
                               &set->programs};
    return yaml_read(file);
}

static bool load_policy(struct policy_set *set, const char *path, struct aws_models *models,
                        struct error_list *errors)
{
    struct yaml *root = read_yaml(set, path, errors);
    struct policy *policy = root ? policy_compile_file(root, models) : NULL;
    if (!policy)
        return false;
    for (size_t i = 0; i < set->count; i++) {
        if (str_eq(set->policies[i]->name, policy->name)) {
            yaml_error(root, "P0134", NULL, "policy `%.*s` is also in %.*s", STR_FMT(policy->name),
                       STR_FMT(set->policies[i]->file));
            return false;
        }
    }
    if (set->count == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 16;
        set->policies = arena_grow(&set->arena, set->policies, set->cap * sizeof *set->policies,
                                   cap * sizeof *set->policies);
        if (!set->policies || cap > POLICIES_MAX)
            return false;
        set->cap = cap;
    }
    set->policies[set->count++] = policy;
    return true;
}

static bool is_policy_file(const char *name)
{
    struct str s = str_from(name);
    return name[0] != '.' && str_ends(s, STR(".yaml")) && !str_ends(s, STR(".test.yaml")) &&
           !str_is(s, "rectify.yaml");
}

static bool load_dir(struct policy_set *set, const char *dir, unsigned depth,
                     struct aws_models *models, struct error_list *errors)
{
    struct dirent **entries;
    bool ok = true;
    int count = scandir(dir, &entries, NULL, alphasort);
    if (count < 0)
        return add_error(errors, "P0132", dir, errno);
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && stat(path, &info) == 0) {
            if (S_ISDIR(info.st_mode) && depth < POLICY_FOLDER_DEPTH_MAX)
                ok = load_dir(set, path, depth + 1, models, errors) && ok;
            else if (S_ISREG(info.st_mode) && is_policy_file(entries[i]->d_name))
                ok = load_policy(set, path, models, errors) && ok;
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool rule_names_policy(const struct policy_assignment_rule *rule, struct str policy)
{
    for (size_t i = 0; i < rule->policy_count; i++)
        if (str_glob(rule->policies[i], policy))
            return true;
    return false;
}

/* Are the parameters that an assignment sets of the kinds that the policies it names declare? */
static bool check_params(const struct policy_set *set, const struct policy_assignment_rule *rule)
{
    bool ok = true;
    const struct yaml *params = rule->params_node;
    for (size_t i = 0; params && params->kind == YAML_MAP && i < set->count; i++) {
        const struct policy *policy = set->policies[i];
        for (size_t k = 0; rule_names_policy(rule, policy->name) && k < policy->param_count; k++) {
            const struct policy_param *param = &policy->param_types[k];
            const struct yaml *over = yaml_get(params, param->name.ptr);
            char what[256];
            snprintf(what, sizeof what, "`%.*s` of policy `%.*s`", STR_FMT(param->name),
                     STR_FMT(policy->name));
            ok = (!over || policy_param_fits(over, param->kind, what)) && ok;
        }
    }
    return ok;
}

static bool check_channel_name(const struct policy_set *set, const struct policy *policy,
                               struct str name, struct error_list *errors)
{
    struct error err;
    if (!set->config.channel_count || policy_set_channel(set, name, policy->owner))
        return true;
    error_set(&err, "P0141", "policy `%.*s` names the channel `%.*s`, which rectify.yaml lacks",
              STR_FMT(policy->name), STR_FMT(name));
    error_hint(&err, "name one of `channels`, a kind of channel, or `owner` with `owners` there");
    error_list_add(errors, &err);
    return false;
}

/* Do the channels exist that policies name? Without any channel people are asked on the command
 * line only, and nobody is told. */
static bool check_channels(const struct policy_set *set, struct error_list *errors)
{
    bool ok = true;
    for (size_t i = 0; i < set->count; i++) {
        const struct policy *p = set->policies[i];
        for (size_t k = 0; k < p->via_count; k++)
            ok = check_channel_name(set, p, p->via[k], errors) && ok;
        for (size_t k = 0; k < p->notify_count; k++)
            ok = check_channel_name(set, p, p->notify[k].to, errors) && ok;
        if (p->grace_notify.len)
            ok = check_channel_name(set, p, p->grace_notify, errors) && ok;
    }
    return ok;
}

static bool load_config(struct policy_set *set, const struct policy_options *options,
                        struct error_list *errors)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/rectify.yaml", options->dir);
    const char *config = options->config ? options->config : path;
    struct stat info;
    if (!options->config && stat(config, &info) != 0 && errno == ENOENT)
        return true;
    struct yaml *root = read_yaml(set, config, errors);
    set->has_config = true;
    bool ok = root && policy_config_read(root, &set->config);
    for (size_t i = 0; ok && i < set->config.rule_count; i++)
        ok = check_params(set, &set->config.rules[i]);
    return ok && check_channels(set, errors);
}

struct policy_set *policy_set_load(const struct policy_options *options, struct error_list *errors)
{
    struct policy_set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    if (!policy_directory_init(&set->directory)) {
        free(set);
        return NULL;
    }
    bool ok = load_dir(set, options->dir, 0, options->models, errors);
    ok = load_config(set, options, errors) && ok;
    if (ok && set->count == 0) {
        struct error err;
        error_set(&err, "P0135", "no policies below %s", options->dir);
        error_hint(&err, "policies are files that end in .yaml");
        error_list_add(errors, &err);
        ok = false;
    }
    if (!ok && errors->count == 0) { // every other failure says why
        struct error err;
        error_set(&err, "P0199", "out of memory");
        error_list_add(errors, &err);
    }
    if (!ok) {
        policy_set_destroy(set);
        return NULL;
    }
    return set;
}

void policy_set_destroy(struct policy_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->programs.count; i++)
        cel_program_finish(set->programs.items[i]);
    policy_directory_finish(&set->directory);
    arena_finish(&set->arena);
    free(set);
}

size_t policy_set_count(const struct policy_set *set)
{
    return set->count;
}

const struct policy *policy_set_at(const struct policy_set *set, size_t i)
{
    return set->policies[i];
}

const struct policy *policy_set_find(const struct policy_set *set, struct str name)
{
    for (size_t i = 0; i < set->count; i++)
        if (str_eq(set->policies[i]->name, name))
            return set->policies[i];
    return NULL;
}

/* The lock is no part of what the set says. */
static struct policy_directory *directory_of(const struct policy_set *set)
{
    return (struct policy_directory *)(uintptr_t)&set->directory;
}

const struct policy_source *policy_set_sources(const struct policy_set *set, size_t *ret_count)
{
    *ret_count = set->config.source_count;
    return set->config.sources;
}

struct value policy_set_account(const struct policy_set *set, struct str account,
                                struct arena *arena)
{
    struct policy_account_view view =
        policy_directory_enter(directory_of(set), &set->config.accounts, account);
    struct value result = policy_account_value(&view, account, arena);
    policy_directory_leave(directory_of(set));
    return result;
}

bool policy_set_accounts(const struct policy_set *set, struct arena *arena,
                         struct policy_account **ret, size_t *ret_count)
{
    return policy_directory_list(directory_of(set), &set->config, arena, ret, ret_count);
}

const struct str *policy_set_regions(const struct policy_set *set, size_t *ret_count)
{
    *ret_count = set->config.region_count;
    return set->config.regions;
}

const struct policy_organization *policy_set_organization(const struct policy_set *set)
{
    return set->config.organization.account.len ? &set->config.organization : NULL;
}

bool policy_set_discover(struct policy_set *set, struct value accounts, struct error *err)
{
    return policy_directory_replace(&set->directory, accounts, err);
}

/* `wanted`: a list of ids, or attributes that all have to fit. */
static bool names_account(const struct policy_account_view *view, struct value wanted,
                          struct str account)
{
    if (wanted.kind == VALUE_STRING)
        return str_glob(value_str(wanted), account);
    if (wanted.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < wanted.len; i++)
            if (str_eq(value_str(wanted.items[i]), account))
                return true;
        return false;
    }
    for (uint32_t i = 0; wanted.kind == VALUE_MAP && i < wanted.len; i++) {
        const struct value *has = policy_account_attribute(view, wanted.pairs[i].key);
        if (!has || !value_equal(*has, wanted.pairs[i].value))
            return false;
    }
    return (view->listed || view->found) && wanted.kind == VALUE_MAP;
}

static bool rule_names_account(const struct policy_account_view *view,
                               const struct policy_assignment_rule *rule, struct str account)
{
    return rule->any_account || names_account(view, rule->accounts, account);
}

static int account_step(const struct policy_account_view *view,
                        const struct policy_rollout *rollout, struct str account)
{
    for (size_t i = 0; i < rollout->stage_count; i++)
        if (rollout->stages[i].kind == STAGE_ACCOUNTS &&
            names_account(view, rollout->stages[i].accounts, account))
            return (int)i + 1;
    return 0;
}

/* The policy's parameters with the assignment's over them; those it does not have are ignored. */
static struct value merge_params(struct value defaults, struct value over, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; i < defaults.len; i++) {
        const struct value *other = value_get_key(over, defaults.pairs[i].key);
        value_set_str(&out, value_str(defaults.pairs[i].key),
                      other ? *other : defaults.pairs[i].value);
    }
    return value_finish_map(&out);
}

struct policy_assignment policy_set_assign(const struct policy_set *set,
                                           const struct policy *policy, struct str account,
                                           struct arena *arena)
{
    struct policy_assignment result = {
        .mode = MODE_OBSERVE, .params = policy->params, .settle_ms = policy->settle_ms};
    if (!set->has_config)
        return result; // nothing said: watch only
    struct policy_account_view view =
        policy_directory_enter(directory_of(set), &set->config.accounts, account);
    const struct policy_assignment_rule *rule = NULL;
    for (size_t i = 0; !rule && i < set->config.rule_count; i++)
        if (rule_names_policy(&set->config.rules[i], policy->name) &&
            rule_names_account(&view, &set->config.rules[i], account))
            rule = &set->config.rules[i];
    if (rule)
        result.read = policy_account_access(&view, &set->config, &rule->way);
    result.limits = set->config.limits;
    result.account_step = account_step(&view, &policy->rollout, account);
    policy_directory_leave(directory_of(set));
    result.mode = MODE_OFF;
    if (!rule)
        return result;
    result.mode = rule->mode < policy->mode ? rule->mode : policy->mode;
    result.act = result.read;
    result.read.role = rule->read_role;
    result.act.role = rule->act_role;
    if (rule->params.kind == VALUE_MAP)
        result.params = merge_params(policy->params, rule->params, arena);
    if (rule->settle_ms >= 0)
        result.settle_ms = rule->settle_ms;
    return result;
}

struct str policy_set_kill_switch(const struct policy_set *set)
{
    return set->config.kill_switch;
}

struct str policy_set_state_key(const struct policy_set *set)
{
    return set->config.state_key;
}

const struct channel *policy_set_channels(const struct policy_set *set, size_t *ret_count)
{
    *ret_count = set->config.channel_count;
    return set->config.channels;
}

static bool is_owners(const struct channel *channel, struct str owner)
{
    for (size_t i = 0; i < channel->owner_count; i++)
        if (str_glob(channel->owners[i], owner))
            return true;
    return false;
}

const struct channel *policy_set_channel(const struct policy_set *set, struct str name,
                                         struct str owner)
{
    const struct channel *all = set->config.channels;
    size_t count = set->config.channel_count;
    for (size_t i = 0; i < count; i++)
        if (str_eq(all[i].name, name))
            return &all[i];
    for (size_t i = 0; i < count; i++)
        if (str_is(name, "owner") ? is_owners(&all[i], owner)
                                  : str_is(name, channel_kind_name(all[i].kind)))
            return &all[i];
    return NULL;
}

const struct person *policy_set_people(const struct policy_set *set, size_t *ret_count,
                                       bool *ret_said)
{
    *ret_count = set->config.person_count;
    *ret_said = set->config.has_people;
    return set->config.people;
}

const struct str *policy_set_iac_tags(const struct policy_set *set, size_t *ret_count)
{
    if (!set->config.iac_tag_count)
        return policy_default_iac_tags(ret_count);
    *ret_count = set->config.iac_tag_count;
    return set->config.iac_tags;
}
