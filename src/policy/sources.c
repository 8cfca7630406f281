// SPDX-License-Identifier: Apache-2.0
/* `sources:` of rectify.yaml: where events come from, and for which accounts and regions each may
 * speak. What is not said is not allowed: accounts have to be listed, or "*" written out, and files
 * of no bucket are read that is not named. */
#include "policy/policy_internal.h"

#include "base/limits.h"

static const char *const type_names[SOURCE_TYPES] = {
    [SOURCE_FILE] = "file", [SOURCE_HTTP] = "http", [SOURCE_SQS] = "sqs"};

const char *source_type_name(enum source_type type)
{
    return type_names[type];
}

static bool is_name(struct str s)
{
    bool ok = s.len > 0 && s.len <= 63;
    for (size_t i = 0; ok && i < s.len; i++) {
        char c = s.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_' || c == '.';
    }
    return ok;
}

/* https://sqs.eu-west-1.amazonaws.com/111122223333/NAME; older queues have REGION.queue. in front.
 * A server of one's own (tests, private endpoints) may be at any http or https address. */
bool policy_queue_region(struct str url, struct str *ret_region, struct error *err)
{
    struct str rest = url, region = {0};
    bool https = str_starts(url, STR("https://"));
    bool ok = (https || str_starts(url, STR("http://"))) && url.len <= 2048;
    for (size_t i = 0; ok && i < url.len; i++)
        ok = url.ptr[i] > ' ' && url.ptr[i] < 0x7F && url.ptr[i] != '?' && url.ptr[i] != '#';
    rest = ok ? str_sub(url, https ? 8 : 7, SIZE_MAX) : (struct str){0};
    struct str host = str_cut(&rest, '/'), account = str_cut(&rest, '/');
    if (!ok || !policy_is_account(account) || rest.len == 0 || host.len == 0) {
        error_set(err, "P0163", "`%.*s` is not a queue's URL", STR_FMT(str_sub(url, 0, 200)));
        return error_hint(err, "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME");
    }
    struct str first = str_cut(&host, '.'), second = str_cut(&host, '.');
    if (str_is(first, "sqs") && str_starts(host, STR("amazonaws.com")))
        region = second;
    else if (str_is(second, "queue") && str_starts(host, STR("amazonaws.com")))
        region = first;
    *ret_region = region;
    return true;
}

/* A list of names; `good` says which are. NULL leaves none. */
static bool read_names(const struct yaml *node, bool (*good)(struct str), const char *what,
                       const struct str **ret, size_t *ret_count)
{
    if (!node)
        return true;
    if (node->kind != YAML_LIST || node->count == 0 || node->count > LIMIT_SOURCE_NAMES) {
        yaml_error(node, "P0160", NULL, "expected a list of 1 to %u %ss", LIMIT_SOURCE_NAMES, what);
        return false;
    }
    struct str *names = ARENA_ARRAY(node->file->arena, struct str, node->count);
    bool ok = names != NULL;
    for (size_t i = 0; ok && i < node->count; i++) {
        const struct yaml *item = node->items[i];
        names[i] = item->text;
        ok = item->kind == YAML_SCALAR && good(item->text);
        if (!ok)
            yaml_error(item, "P0160", NULL, "not the name of an %s", what);
    }
    *ret = names;
    *ret_count = ok ? node->count : 0;
    return ok;
}

/* Where what is missing in a source is told. */
static const struct yaml *place_of(const struct yaml *source)
{
    return source->kind == YAML_MAP && source->count ? source->keys[0] : source;
}

static bool read_accounts(const struct yaml *source, struct policy_source *ret)
{
    const struct yaml *node = yaml_get(source, "accounts");
    if (node && node->kind == YAML_SCALAR && str_is(node->text, "*"))
        return true;
    if (node)
        return read_names(node, policy_is_account, "account", &ret->accounts, &ret->account_count);
    yaml_error(place_of(source), "P0161", "accounts: [\"111122223333\"], or \"*\" for any",
               "a source says for which accounts it speaks");
    return false;
}

static bool read_type(const struct yaml *source, struct policy_source *ret)
{
    const struct yaml *node = yaml_get(source, "type");
    for (size_t i = 0; node && i < SOURCE_TYPES; i++) {
        ret->type = (enum source_type)i;
        if (str_is(node->text, type_names[i]))
            return true;
    }
    yaml_error(node ? node : place_of(source), "P0108", "file, http or sqs",
               "not the type of a source");
    return false;
}

/* What only a queue has. */
static bool read_queue(const struct yaml *source, struct policy_source *ret)
{
    static const char *const only[] = {"queue",   "region",       "role",
                                       "buckets", "bucket_owner", "digests"};
    struct error err;
    bool ok = true;
    for (size_t i = 0; ret->type != SOURCE_SQS && i < sizeof only / sizeof *only; i++) {
        const struct yaml *node = yaml_get(source, only[i]);
        ok = ok && !node;
        if (node)
            yaml_error(node, "P0162", NULL, "`%s` is for sources of type sqs", only[i]);
    }
    if (ret->type != SOURCE_SQS)
        return ok;
    const struct yaml *queue = yaml_get(source, "queue"), *digests = yaml_get(source, "digests");
    const struct yaml *owner = yaml_get(source, "bucket_owner");
    ret->queue = policy_text(queue, "", &ok);
    if (!policy_queue_region(ret->queue, &ret->region, &err)) {
        yaml_error(queue ? queue : place_of(source), err.code, err.hint, "%s", err.message);
        ok = false;
    }
    if (yaml_get(source, "region"))
        ret->region = policy_text(yaml_get(source, "region"), "", &ok);
    ret->role = policy_text(yaml_get(source, "role"), "", &ok);
    ret->bucket_owner = policy_text(owner, "", &ok);
    if (owner && !policy_is_account(ret->bucket_owner)) {
        yaml_error(owner, "P0160", NULL, "not the name of an account");
        ok = false;
    }
    struct str word = policy_text(digests, "required", &ok);
    ret->digests_ignored = str_is(word, "ignored");
    if (!ret->digests_ignored && !str_is(word, "required")) {
        yaml_error(digests, "P0108", "required or ignored", "not a way to treat digests");
        ok = false;
    }
    return read_names(yaml_get(source, "buckets"), is_name, "S3 bucket", &ret->buckets,
                      &ret->bucket_count) &&
           ok;
}

static bool read_source(const struct yaml *node, struct policy_config *config)
{
    struct policy_source *ret = &config->sources[config->source_count];
    if (!policy_check_keys(node, POLICY_SOURCE) || !read_type(node, ret))
        return false;
    bool ok = read_accounts(node, ret);
    const struct yaml *name = yaml_get(node, "name");
    ret->name = policy_text(name, type_names[ret->type], &ok);
    ret->expect_ms = policy_duration(yaml_get(node, "expect"), 0, &ok);
    ok = read_names(yaml_get(node, "regions"), is_name, "AWS region", &ret->regions,
                    &ret->region_count) &&
         ok;
    ok = read_queue(node, ret) && ok;
    for (size_t i = 0; i < config->source_count; i++) {
        bool same = str_eq(config->sources[i].name, ret->name);
        bool second = ret->type != SOURCE_SQS && config->sources[i].type == ret->type;
        ok = ok && !same && !second;
        if (same)
            yaml_error(place_of(node), "P0164", "give each a `name`",
                       "there are two sources `%.*s`", STR_FMT(ret->name));
        else if (second)
            yaml_error(place_of(node), "P0164", NULL, "there can be one source of type %s",
                       type_names[ret->type]);
    }
    if (!is_name(ret->name)) {
        yaml_error(name ? name : place_of(node), "P0160", "letters, digits, - _ and .",
                   "not a name for a source");
        ok = false;
    }
    config->source_count++;
    return ok;
}

bool policy_read_sources(const struct yaml *node, struct policy_config *ret)
{
    bool ok = true;
    if (!node)
        return true;
    if (node->kind != YAML_LIST || node->count > LIMIT_SOURCES) {
        yaml_error(node, "P0160", NULL, "`sources` is a list of at most %u", LIMIT_SOURCES);
        return false;
    }
    ret->sources = ARENA_ARRAY(node->file->arena, struct policy_source, node->count + 1);
    for (size_t i = 0; ret->sources && i < node->count; i++)
        ok = read_source(node->items[i], ret) && ok;
    return ok && ret->sources;
}
