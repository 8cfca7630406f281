// SPDX-License-Identifier: Apache-2.0
/* Who is told and asked: `notify` and `guard.approval` of a policy, `channels` and `people` of
 * rectify.yaml. */
#include "policy/policy_internal.h"

#include "base/limits.h"

static struct str *text_list(const struct yaml *node, size_t *ret_count, bool *ok)
{
    size_t count = !node ? 0 : node->kind == YAML_LIST ? node->count : 1;
    struct str *list = node ? ARENA_ARRAY(node->file->arena, struct str, count) : NULL;
    for (size_t i = 0; list && i < count; i++)
        list[i] = policy_text(node->kind == YAML_LIST ? node->items[i] : node, "", ok);
    *ret_count = list ? count : 0;
    return list;
}

static unsigned tellings(const struct yaml *node, bool *ok)
{
    size_t count;
    unsigned on = 0;
    struct str *words = text_list(node, &count, ok);
    for (size_t i = 0; i < count; i++) {
        enum telling one;
        if (telling_parse(words[i], &one)) {
            on |= 1u << one;
            continue;
        }
        yaml_error(node->kind == YAML_LIST ? node->items[i] : node, "P0108",
                   "observed, asked, held, healed, failed, rolled back, denied, expired or page",
                   "`%.*s` is nothing that is told", STR_FMT(words[i]));
        *ok = false;
    }
    return on;
}

/* ---- of a policy ---- */

bool policy_read_notify(const struct yaml *list, struct policy *p)
{
    bool ok = true;
    if (!list)
        return true;
    if (list->kind != YAML_LIST) {
        yaml_error(list, "P0106", "e.g. notify: [{to: owner, on: [healed, failed]}]",
                   "`notify` must be a list");
        return false;
    }
    p->notify = ARENA_ARRAY(list->file->arena, struct policy_notify, list->count);
    for (size_t i = 0; p->notify && i < list->count; i++) {
        const struct yaml *node = list->items[i];
        struct policy_notify *n = &p->notify[p->notify_count++];
        ok = policy_check_keys(node, POLICY_NOTIFY) && ok;
        n->to = policy_text(yaml_get(node, "to"), "", &ok);
        n->on = tellings(yaml_get(node, "on"), &ok);
        if (n->to.len && n->on)
            continue;
        yaml_error(node, "P0141", "e.g. {to: owner, on: [healed, failed]}",
                   "a row of `notify` needs `to` and `on`");
        ok = false;
    }
    return ok && p->notify;
}

bool policy_read_approval(const struct yaml *approval, struct policy *p)
{
    bool ok = policy_check_keys(approval, POLICY_APPROVAL);
    p->via = text_list(yaml_get(approval, "via"), &p->via_count, &ok);
    p->approval_need = policy_count(yaml_get(approval, "need"), 1, &ok);
    if (p->approval_need != 1 && p->approval_need != 2) {
        yaml_error(yaml_get(approval, "need"), "P0125", "write need: 1 or need: 2",
                   "one or two people have to say yes");
        ok = false;
    }
    p->approval_expires_ms =
        policy_duration(yaml_get(approval, "expires"), POLICY_DEFAULT_APPROVAL_EXPIRES, &ok);
    return ok;
}

/* ---- of rectify.yaml ---- */

static struct secret read_secret(const struct yaml *node, bool *ok)
{
    struct secret secret = {0};
    if (!node)
        return secret;
    *ok = policy_check_keys(node, POLICY_SECRET) && *ok;
    secret.file = policy_text(yaml_get(node, "file"), "", ok);
    secret.env = policy_text(yaml_get(node, "env"), "", ok);
    if (!secret.file.len == !secret.env.len) {
        yaml_error(node, "P0142", "{file: /run/secrets/slack} or {env: SLACK_TOKEN}",
                   "a secret is in a file or in the environment, never in rectify.yaml itself");
        *ok = false;
    }
    return secret;
}

static bool is_set(struct secret secret)
{
    return secret.file.len || secret.env.len;
}

/* What each kind cannot do without. */
static const char *missing(const struct channel *c)
{
    switch (c->kind) {
    case CHANNEL_SLACK:
        return !c->to.len ? "to" : !is_set(c->token) ? "token" : NULL;
    case CHANNEL_JIRA:
        return !c->to.len ? "to" : !c->url.len ? "url" : !is_set(c->token) ? "token" : NULL;
    case CHANNEL_WEBHOOK:
        return !c->to.len ? "to" : !is_set(c->secret) ? "secret" : NULL;
    case CHANNEL_SNS:
        return !c->to.len ? "to" : NULL;
    case CHANNEL_PAGERDUTY:
        return !is_set(c->token) ? "token" : NULL;
    case CHANNEL_KIND_COUNT:
        break;
    }
    return NULL;
}

/* May people answer on it, so that it can be trusted who they are? */
static bool may_decide(const struct channel *c)
{
    switch (c->kind) {
    case CHANNEL_SLACK:
        return is_set(c->secret) && c->team.len && c->app.len;
    case CHANNEL_JIRA:
        return c->approve.len && c->deny.len;
    case CHANNEL_WEBHOOK:
        return true;
    case CHANNEL_SNS:
    case CHANNEL_PAGERDUTY:
    case CHANNEL_KIND_COUNT:
        break;
    }
    return false;
}

static struct str default_url(enum channel_kind kind)
{
    return kind == CHANNEL_SLACK       ? STR("https://slack.com/api")
           : kind == CHANNEL_PAGERDUTY ? STR("https://events.pagerduty.com")
                                       : STR("");
}

static bool is_http(struct str url)
{
    return str_starts(url, STR("https://")) || str_starts(url, STR("http://"));
}

static bool check_channel(const struct yaml *node, const struct channel *c)
{
    const char *lacks = missing(c);
    struct str address = c->kind == CHANNEL_WEBHOOK ? c->to : c->url;
    if (lacks) {
        yaml_error(node, "P0141", NULL, "a channel of kind %s needs `%s`",
                   channel_kind_name(c->kind), lacks);
        return false;
    }
    if (address.len && !is_http(address)) {
        yaml_error(node, "P0141", "https://...", "`%.*s` is no address", STR_FMT(address));
        return false;
    }
    if (!c->internal && str_starts(address, STR("http://"))) {
        yaml_error(node, "P0143", "use https, or say `internal: true` for one of your own network",
                   "secrets would travel in the clear");
        return false;
    }
    return true;
}

static bool read_channel(const struct yaml *key, const struct yaml *node, struct channel *c)
{
    bool ok = policy_check_keys(node, POLICY_CHANNEL);
    struct str kind = policy_text(yaml_get(node, "kind"), "", &ok);
    c->name = key->text;
    if (!channel_kind_parse(kind, &c->kind)) {
        yaml_error(node, "P0108", "slack, jira, webhook, sns or pagerduty", "not a kind");
        return false;
    }
    c->to = policy_text(yaml_get(node, "to"), "", &ok);
    c->url = policy_text(yaml_get(node, "url"), default_url(c->kind).ptr, &ok);
    if (str_ends(c->url, STR("/")))
        c->url.len--;
    c->token = read_secret(yaml_get(node, "token"), &ok);
    c->secret = read_secret(yaml_get(node, "secret"), &ok);
    c->old_secret = read_secret(yaml_get(node, "old_secret"), &ok);
    c->team = policy_text(yaml_get(node, "team"), "", &ok);
    c->app = policy_text(yaml_get(node, "app"), "", &ok);
    c->user = policy_text(yaml_get(node, "user"), "", &ok);
    c->issue_type = policy_text(yaml_get(node, "issue_type"), "Task", &ok);
    c->approve = policy_text(yaml_get(node, "approve"), "", &ok);
    c->deny = policy_text(yaml_get(node, "deny"), "", &ok);
    c->done = policy_text(yaml_get(node, "done"), "", &ok);
    c->owners = text_list(yaml_get(node, "owners"), &c->owner_count, &ok);
    c->on = tellings(yaml_get(node, "on"), &ok);
    c->internal = policy_flag(yaml_get(node, "internal"), false, &ok);
    c->may_decide = may_decide(c);
    return ok && check_channel(node, c);
}

static bool read_person(const struct yaml *key, const struct yaml *node, struct person *p)
{
    bool ok = policy_check_keys(node, POLICY_PERSON);
    p->name = key->text;
    p->ids = text_list(yaml_get(node, "ids"), &p->id_count, &ok);
    p->aws = text_list(yaml_get(node, "aws"), &p->aws_count, &ok);
    p->approves = text_list(yaml_get(node, "approves"), &p->approve_count, &ok);
    for (size_t i = 0; i < p->id_count; i++) {
        if (str_find_byte(p->ids[i], ':') != SIZE_MAX)
            continue;
        yaml_error(node, "P0141", "slack:U123, jira:557058:ab, unix:ann or webhook:ann",
                   "`%.*s` does not say where it is an id", STR_FMT(p->ids[i]));
        ok = false;
    }
    return ok;
}

/* Two people with one id: whoever it is could vote twice. */
static bool check_ids(const struct yaml *node, const struct policy_config *config)
{
    for (size_t i = 0; config->people && i < config->person_count; i++)
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < config->people[i].id_count; k++)
                for (size_t l = 0; l < config->people[j].id_count; l++) {
                    if (!str_eq(config->people[i].ids[k], config->people[j].ids[l]))
                        continue;
                    yaml_error(node, "P0144", NULL, "`%.*s` is both %.*s and %.*s",
                               STR_FMT(config->people[i].ids[k]), STR_FMT(config->people[i].name),
                               STR_FMT(config->people[j].name));
                    return false;
                }
    return true;
}

bool policy_people_read(const struct yaml *root, struct policy_config *ret)
{
    const struct yaml *channels = yaml_get(root, "channels"), *people = yaml_get(root, "people");
    bool ok = true;
    if ((channels && channels->kind != YAML_MAP) || (people && people->kind != YAML_MAP)) {
        yaml_error(root, "P0106", NULL, "`channels` and `people` are mappings of names");
        return false;
    }
    if (channels && channels->count > LIMIT_CHANNELS) {
        yaml_error(channels, "P0141", NULL, "there may be %u channels", LIMIT_CHANNELS);
        return false;
    }
    if (channels)
        ret->channels = ARENA_ARRAY(root->file->arena, struct channel, channels->count);
    for (size_t i = 0; channels && ret->channels && i < channels->count; i++)
        ok = read_channel(channels->keys[i], channels->items[i],
                          &ret->channels[ret->channel_count++]) &&
             ok;
    ret->has_people = people != NULL;
    if (people)
        ret->people = ARENA_ARRAY(root->file->arena, struct person, people->count);
    for (size_t i = 0; people && ret->people && i < people->count; i++)
        ok =
            read_person(people->keys[i], people->items[i], &ret->people[ret->person_count++]) && ok;
    return ok && check_ids(people, ret);
}
