// SPDX-License-Identifier: Apache-2.0
/* Accounts: those that rectify.yaml lists, and those that an organisation's list has told of. What
 * rectify.yaml says of an account stands over what was discovered. The discovered ones change while
 * others read: they are looked at under the set's lock, and nothing of them leaves it uncopied. */
#include "policy/policy_internal.h"

#include <stdlib.h>

#include "base/limits.h"

/* ---- reading rectify.yaml ---- */

bool policy_is_account(struct str s)
{
    bool digits = s.len == 12;
    for (size_t i = 0; digits && i < s.len; i++)
        digits = s.ptr[i] >= '0' && s.ptr[i] <= '9';
    return digits;
}

/* Letters, digits and these; nothing that would end a line or a host's name. */
static bool is_made_of(struct str s, const char *others)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr(others, c))))
            return false;
    }
    return s.len > 0;
}

static bool is_region(struct str s)
{
    return s.len <= 32 && is_made_of(s, "-");
}

/* "arn:PARTITION:iam::ACCOUNT:role/PATH/NAME" */
static bool is_role_arn(struct str s)
{
    struct str parts[6];
    for (size_t i = 0; i < 5; i++)
        parts[i] = str_cut(&s, ':');
    parts[5] = s;
    return str_is(parts[0], "arn") && is_made_of(parts[1], "-") && str_is(parts[2], "iam") &&
           parts[3].len == 0 && policy_is_account(parts[4]) && str_starts(parts[5], STR("role/")) &&
           is_made_of(parts[5], "/_+=,.@-");
}

static bool read_role(const struct yaml *node, bool arn_only, struct str *ret)
{
    if (!node)
        return true;
    struct str s = node->kind == YAML_SCALAR ? node->text : (struct str){0};
    *ret = s;
    if (s.len <= 2048 && (is_role_arn(s) || (!arn_only && is_made_of(s, "/_+=,.@-"))))
        return true;
    yaml_error(node, "P0137", "arn:aws:iam::111122223333:role/NAME", "not %s of a role",
               arn_only ? "the ARN" : "the name or the ARN");
    return false;
}

/* A list of at most `max` texts, each of which is good. */
static bool read_list(const struct yaml *node, size_t max, const char *code, const char *what,
                      bool (*is_good)(struct str), struct str **ret, size_t *ret_count)
{
    bool ok = true;
    if (!node)
        return true;
    size_t count = node->kind == YAML_LIST ? node->count : 1;
    struct str *list = ARENA_ARRAY(node->file->arena, struct str, count + 1);
    if (node->kind == YAML_MAP || count > max || !list) {
        yaml_error(node, code, NULL, "expected a list of at most %zu %ss", max, what);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct yaml *item = node->kind == YAML_LIST ? node->items[i] : node;
        list[i] = item->kind == YAML_SCALAR ? item->text : (struct str){0};
        if (!is_good(list[i])) {
            yaml_error(item, code, NULL, "not %s", what);
            ok = false;
        }
    }
    *ret = list;
    *ret_count = count;
    return ok;
}

bool policy_read_regions(const struct yaml *node, struct str **ret, size_t *ret_count)
{
    return read_list(node, LIMIT_REGIONS, "P0138", "a region's name", is_region, ret, ret_count);
}

static bool read_via(const struct yaml *node, struct policy_way *ret)
{
    return read_list(node, AWS_VIA_MAX, "P0137", "a role's ARN", is_role_arn, &ret->via,
                     &ret->via_count);
}

static bool read_external_id(const struct yaml *node, struct policy_way *ret)
{
    bool ok = true;
    ret->external_id = policy_text(node, "", &ok);
    if (!node || !ok)
        return ok;
    if (ret->external_id.len >= 2 && ret->external_id.len <= 1224 &&
        is_made_of(ret->external_id, "_+=,.@:/-"))
        return true;
    yaml_error(node, "P0139", NULL, "not an external id: 2 to 1224 of letters, digits, _+=,.@:/-");
    return false;
}

bool policy_read_calls(const struct yaml *node, struct policy_calls *ret)
{
    bool ok = true;
    if (!node)
        return true;
    ok = policy_check_keys(node, POLICY_CALLS);
    ret->at_once = policy_count(yaml_get(node, "at_once"), -1, &ok);
    ret->per_second = policy_count(yaml_get(node, "per_second"), -1, &ok);
    return ok;
}

bool policy_read_roles(const struct yaml *node, struct str *ret_read, struct str *ret_act,
                       struct policy_way *ret)
{
    if (!node)
        return true;
    bool ok = policy_check_keys(node, POLICY_ROLES);
    ok = read_role(yaml_get(node, "read"), false, ret_read) && ok;
    ok = read_role(yaml_get(node, "act"), false, ret_act) && ok;
    ok = read_via(yaml_get(node, "via"), ret) && ok;
    return read_external_id(yaml_get(node, "external_id"), ret) && ok;
}

bool policy_read_organization(const struct yaml *node, struct policy_organization *ret)
{
    struct policy_way way = {0};
    if (!node)
        return true;
    bool ok = policy_check_keys(node, POLICY_ORGANIZATION);
    const struct yaml *account = yaml_get(node, "account");
    ret->account = account && account->kind == YAML_SCALAR ? account->text : (struct str){0};
    if (!policy_is_account(ret->account)) {
        yaml_error(account ? account : node, "P0136", NULL,
                   "`organization.account` is the management account, twelve digits");
        ok = false;
    }
    ok = read_role(yaml_get(node, "role"), false, &ret->access.role) && ok;
    ok = read_via(yaml_get(node, "via"), &way) && ok;
    ok = read_external_id(yaml_get(node, "external_id"), &way) && ok;
    ret->every_ms = policy_duration(yaml_get(node, "every"), 3600000, &ok);
    if (ok && ret->every_ms < LIMIT_EVERY_MS_MIN) {
        yaml_error(yaml_get(node, "every"), "P0108", NULL, "at most once in %d s",
                   LIMIT_EVERY_MS_MIN / 1000);
        ok = false;
    }
    ret->access.via = way.via;
    ret->access.via_count = way.via_count;
    ret->access.external_id = way.external_id;
    return ok;
}

/* The keys that are ours; every other is an attribute of the account. */
static bool is_own_key(struct str key)
{
    static const char *const own[] = {"id", "regions", "via", "external_id", "calls"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_is(key, own[i]))
            return true;
    return false;
}

static bool read_account(const struct yaml *key, const struct yaml *node, struct policy_known *ret)
{
    struct value_builder attributes = {.arena = node->file->arena};
    bool ok = true;
    ret->id = key->text;
    ret->calls = (struct policy_calls){-1, -1};
    if (!policy_is_account(ret->id)) {
        yaml_error(key, "P0136", "write it in quotes: \"012345678901\"",
                   "not an account of twelve digits");
        ok = false;
    }
    if (node->kind != YAML_MAP) {
        yaml_error(node, "P0136", "e.g. {name: payments, env: prod, regions: [eu-west-1]}",
                   "an account is a mapping");
        return false;
    }
    ok = policy_read_regions(yaml_get(node, "regions"), &ret->regions, &ret->region_count) && ok;
    ok = read_via(yaml_get(node, "via"), &ret->way) && ok;
    ok = read_external_id(yaml_get(node, "external_id"), &ret->way) && ok;
    ok = policy_read_calls(yaml_get(node, "calls"), &ret->calls) && ok;
    for (size_t i = 0; i < node->count; i++) {
        struct value v;
        struct str name = node->keys[i]->text;
        if (is_own_key(name))
            continue;
        ok = yaml_value(node->items[i], &v) && ok;
        if (ok)
            value_set_str(&attributes, name, v);
    }
    ret->attributes = value_finish_map(&attributes);
    return ok && !attributes.failed;
}

static bool add_known(struct policy_accounts *accounts, struct policy_known *known)
{
    return map_set(&accounts->by_id, known->id, known);
}

bool policy_read_accounts(const struct yaml *node, struct policy_accounts *ret)
{
    bool ok = true;
    if (!node)
        return true;
    if (node->kind != YAML_MAP || node->count > LIMIT_ACCOUNTS) {
        yaml_error(node, "P0136", NULL, "`accounts` is a mapping of at most %u ids",
                   LIMIT_ACCOUNTS);
        return false;
    }
    ret->by_id.arena = node->file->arena;
    ret->items = ARENA_ARRAY(node->file->arena, struct policy_known, node->count + 1);
    for (size_t i = 0; ret->items && i < node->count; i++) {
        struct policy_known *known = &ret->items[ret->count++];
        ok = read_account(node->keys[i], node->items[i], known) && ok;
        ok = add_known(ret, known) && ok;
    }
    return ok && ret->items;
}

/* ---- the discovered ones ---- */

static bool take_discovered(struct value one, struct arena *arena, struct policy_known *ret)
{
    const struct value *attributes = value_get(one, STR("attributes"));
    struct value_builder kept = {.arena = arena};
    ret->id = str_copy(arena, value_path_str(one, "id"));
    ret->calls = (struct policy_calls){-1, -1};
    if (!policy_is_account(ret->id))
        return false;
    for (uint32_t i = 0; attributes && attributes->kind == VALUE_MAP && i < attributes->len; i++) {
        struct value v;
        struct str name = value_str(attributes->pairs[i].key);
        if (is_own_key(name))
            continue;
        if (!value_copy(arena, attributes->pairs[i].value, &v))
            return false;
        value_set_str(&kept, str_copy(arena, name), v);
    }
    ret->attributes = value_finish_map(&kept);
    return !kept.failed;
}

static void destroy_accounts(struct policy_accounts *accounts)
{
    if (accounts && accounts->arena)
        arena_finish(accounts->arena);
    if (accounts)
        free(accounts->arena);
    free(accounts);
}

void policy_directory_finish(struct policy_directory *directory)
{
    destroy_accounts(directory->found);
    if (directory->has_lock)
        pthread_rwlock_destroy(&directory->lock);
}

bool policy_directory_init(struct policy_directory *directory)
{
    directory->has_lock = pthread_rwlock_init(&directory->lock, NULL) == 0;
    return directory->has_lock;
}

bool policy_directory_replace(struct policy_directory *directory, struct value list,
                              struct error *err)
{
    struct policy_accounts *fresh = calloc(1, sizeof *fresh);
    bool ok = list.kind == VALUE_LIST && list.len <= LIMIT_ACCOUNTS;
    if (!ok)
        error_set(err, "P0140", "not a list of at most %u accounts", LIMIT_ACCOUNTS);
    if (ok && fresh)
        fresh->arena = calloc(1, sizeof *fresh->arena);
    if (ok && (!fresh || !fresh->arena))
        ok = error_set(err, "P0140", "out of memory");
    if (ok) {
        fresh->by_id.arena = fresh->arena;
        fresh->items = ARENA_ARRAY(fresh->arena, struct policy_known, list.len + 1);
        ok = fresh->items || error_set(err, "P0140", "out of memory");
    }
    for (uint32_t i = 0; ok && i < list.len; i++) {
        struct policy_known *known = &fresh->items[fresh->count++];
        ok = take_discovered(list.items[i], fresh->arena, known) && add_known(fresh, known);
        if (!ok)
            error_set(err, "P0140", "account %u of the list is none", i + 1);
    }
    if (!ok) {
        destroy_accounts(fresh);
        return false;
    }
    pthread_rwlock_wrlock(&directory->lock);
    struct policy_accounts *old = directory->found;
    directory->found = fresh;
    pthread_rwlock_unlock(&directory->lock);
    destroy_accounts(old);
    return true;
}

/* ---- looking one up ---- */

struct policy_account_view policy_directory_enter(struct policy_directory *directory,
                                                  const struct policy_accounts *listed,
                                                  struct str account)
{
    struct policy_account_view view = {.listed = map_get(&listed->by_id, account)};
    pthread_rwlock_rdlock(&directory->lock);
    if (directory->found)
        view.found = map_get(&directory->found->by_id, account);
    return view;
}

void policy_directory_leave(struct policy_directory *directory)
{
    pthread_rwlock_unlock(&directory->lock);
}

const struct value *policy_account_attribute(const struct policy_account_view *view,
                                             struct value key)
{
    const struct value *v = view->listed ? value_get_key(view->listed->attributes, key) : NULL;
    return v || !view->found ? v : value_get_key(view->found->attributes, key);
}

static void add_attributes(struct value_builder *out, const struct policy_known *known)
{
    for (uint32_t i = 0; known && i < known->attributes.len; i++) {
        struct value copy;
        struct str name = str_copy(out->arena, value_str(known->attributes.pairs[i].key));
        if (value_copy(out->arena, known->attributes.pairs[i].value, &copy))
            value_set_str(out, name, copy);
        else
            out->failed = true;
    }
}

struct value policy_account_value(const struct policy_account_view *view, struct str account,
                                  struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "id", value_string(account));
    add_attributes(&out, view->found);
    add_attributes(&out, view->listed); // stands over what was found
    return value_finish_map(&out);
}

struct aws_access policy_account_access(const struct policy_account_view *view,
                                        const struct policy_config *config,
                                        const struct policy_way *way)
{
    const struct policy_known *known = view->listed;
    bool several = config->accounts.count > 1 || config->organization.account.len;
    struct policy_calls calls = config->calls;
    struct aws_access access = {
        .via = way->via, .via_count = way->via_count, .external_id = way->external_id};
    if (known && known->way.via) {
        access.via = known->way.via;
        access.via_count = known->way.via_count;
    }
    if (known && known->way.external_id.len)
        access.external_id = known->way.external_id;
    if (known && known->calls.at_once >= 0)
        calls.at_once = known->calls.at_once;
    if (known && known->calls.per_second >= 0)
        calls.per_second = known->calls.per_second;
    access.at_once = calls.at_once >= 0 ? calls.at_once
                     : several          ? POLICY_DEFAULT_CALLS_AT_ONCE
                                        : 0;
    access.per_second = calls.per_second > 0 ? calls.per_second : 0;
    return access;
}

bool policy_directory_list(struct policy_directory *directory, const struct policy_config *config,
                           struct arena *arena, struct policy_account **ret, size_t *ret_count)
{
    const struct policy_accounts *listed = &config->accounts;
    size_t count = 0;
    pthread_rwlock_rdlock(&directory->lock);
    const struct policy_accounts *found = directory->found;
    size_t max = listed->count + (found ? found->count : 0);
    struct policy_account *list = ARENA_ARRAY(arena, struct policy_account, max + 1);
    for (size_t i = 0; list && i < max; i++) {
        bool first = i < listed->count;
        const struct policy_known *known =
            first ? &listed->items[i] : &found->items[i - listed->count];
        struct policy_account_view view = {
            .listed = first ? known : map_get(&listed->by_id, known->id),
            .found = first ? (found ? map_get(&found->by_id, known->id) : NULL) : known};
        if (!first && view.listed)
            continue; // stands there already
        bool own = known->region_count > 0;
        struct str id = str_copy(arena, known->id);
        list[count++] = (struct policy_account){
            .id = id,
            .attributes = policy_account_value(&view, id, arena),
            .regions = own ? known->regions : config->regions,
            .region_count = own ? known->region_count : config->region_count};
    }
    pthread_rwlock_unlock(&directory->lock);
    *ret = list;
    *ret_count = count;
    return list != NULL;
}
