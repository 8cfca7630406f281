// SPDX-License-Identifier: Apache-2.0
/* Whose account our credentials are, and the accounts of an organisation.
 *
 *   organizations:ListAccounts (all pages) ─► active ones ─► their tags and units ─► note of a task
 *                                                                └► every process ─► policy set
 *
 * A list counts as a whole or not at all: one page, tag or unit that cannot be read keeps the last
 * good list in use, which lasts in the store. An account without tags is not one whose tags could
 * not be read. */
#include "engine/engine.h"

#include "base/limits.h"
#include "base/log.h"
#include "value/json.h"

#include <time.h>

#define TASK_LEASE_MS 900000
#define ATTEMPTS 6
#define PAUSE_MAX_MS 5000
#define PER_SECOND_DEFAULT 10 // Organizations bears little

struct discovery {
    struct engine *engine;
    const struct policy_organization *organization;
    struct arena *arena;
};

/* Tried again while the service only says later. */
static bool ask(const struct discovery *d, const char *operation, struct value input,
                struct value *ret, struct error *err)
{
    struct aws_answer answer;
    struct aws_call call = {.operation =
                                aws_operation_find(d->engine->models, str_from(operation), err),
                            .input = input,
                            .region = d->engine->region.len ? d->engine->region : STR("us-east-1"),
                            .access = d->organization->access,
                            .account = d->organization->account};
    if (!call.operation)
        return false;
    if (call.access.per_second == 0)
        call.access.per_second = PER_SECOND_DEFAULT;
    for (int attempt = 1;; attempt++) {
        call.deadline_ms = engine_deadline(d->engine, ENGINE_READ_DEADLINE_MS);
        aws_call_pages(d->engine->caller, &call, d->arena, &answer);
        if (answer.outcome == AWS_OK || answer.outcome == AWS_REFUSED || attempt == ATTEMPTS)
            break;
        int64_t pause = 250 << attempt;
        pause = answer.retry_after_ms > pause ? answer.retry_after_ms : pause;
        pause = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
        if (!engine_has_time(d->engine, pause))
            break;
        nanosleep(&(struct timespec){pause / 1000, pause % 1000 * 1000000}, NULL);
    }
    *ret = answer.output;
    return answer.outcome == AWS_OK || error_set(err, "E0017", "%s: %.*s: %.*s", operation,
                                                 STR_FMT(answer.code), STR_FMT(answer.message));
}

static struct value one_member(const struct discovery *d, const char *name, struct str text)
{
    struct value_builder input = {.arena = d->arena};
    value_set(&input, name, value_string(text));
    return value_finish_map(&input);
}

/* {id, attributes: {TAG..., name, ou}} */
static bool describe(const struct discovery *d, struct value account, struct value *ret,
                     struct error *err)
{
    struct value tags, parents;
    struct value_builder out = {.arena = d->arena}, attributes = {.arena = d->arena};
    struct str id = value_path_str(account, "Id");
    if (!ask(d, "organizations:ListTagsForResource", one_member(d, "ResourceId", id), &tags, err) ||
        !ask(d, "organizations:ListParents", one_member(d, "ChildId", id), &parents, err))
        return error_context(err, "account %.*s", STR_FMT(id));
    const struct value *list = value_get(tags, STR("Tags"));
    for (uint32_t i = 0; list && list->kind == VALUE_LIST && i < list->len; i++)
        value_set_str(&attributes, value_path_str(list->items[i], "Key"),
                      value_string(value_path_str(list->items[i], "Value")));
    value_set(&attributes, "name", value_string(value_path_str(account, "Name")));
    value_set(&attributes, "ou", value_string(value_path_str(parents, "Parents.0.Id")));
    value_set(&out, "id", value_string(id));
    value_set(&out, "attributes", value_finish_map(&attributes));
    *ret = value_finish_map(&out);
    return !out.failed || error_set(err, "E0007", "out of memory");
}

static bool is_active(struct value account)
{
    struct str state = value_path_str(account, "State");
    return str_is(state.len ? state : value_path_str(account, "Status"), "ACTIVE");
}

/* The whole list as JSON. */
static bool discover(const struct discovery *d, struct str *ret, struct error *err)
{
    struct value_builder all = {.arena = d->arena}, nothing = {.arena = d->arena};
    struct buf text = {.arena = d->arena};
    struct value answer, one;
    if (!ask(d, "organizations:ListAccounts", value_finish_map(&nothing), &answer, err))
        return false;
    const struct value *accounts = value_get(answer, STR("Accounts"));
    if (!accounts || accounts->kind != VALUE_LIST || accounts->len == 0)
        return error_set(err, "E0017", "organizations:ListAccounts names no account");
    if (accounts->len > LIMIT_ACCOUNTS)
        return error_set(err, "E0017", "the organisation has more than %u accounts",
                         LIMIT_ACCOUNTS);
    for (uint32_t i = 0; i < accounts->len; i++) {
        if (!is_active(accounts->items[i]))
            continue;
        if (!describe(d, accounts->items[i], &one, err))
            return false;
        value_push(&all, one);
    }
    json_write(&text, value_finish_list(&all), JSON_CANONICAL);
    *ret = buf_str(&text);
    return ret->ptr || error_set(err, "E0007", "out of memory");
}

static bool use(struct policy_set *policies, struct str text, struct arena *arena,
                struct error *err)
{
    struct value list;
    return json_parse(arena, text, &list, err) && policy_set_discover(policies, list, err);
}

bool engine_recall_accounts(struct engine *engine, struct policy_set *policies, int64_t *ret_ran_ms,
                            struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_task task;
    if (!policy_set_organization(policies))
        return true;
    enum store_result got =
        store_get_task(engine->store, STR(ENGINE_ORGANIZATION), &arena, &task, err);
    if (got != STORE_OK || task.ran_ms == 0 || task.ran_ms == *ret_ran_ms)
        return got != STORE_ERROR;
    if (!use(policies, task.note, &arena, err))
        return error_context(err, "the accounts that were discovered last");
    *ret_ran_ms = task.ran_ms;
    return true;
}

bool engine_discover_task(struct engine *engine, struct policy_set *policies,
                          const struct store_task *task, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct str text = {0};
    struct error why;
    const struct policy_organization *organization = policy_set_organization(policies);
    struct store_task_end end = {0};
    if (!organization) // not wanted any more
        return store_end_task(engine->store, task, &end, err) != STORE_ERROR;
    struct discovery d = {engine, organization, &arena};
    bool ok = discover(&d, &text, &why) && use(policies, text, &arena, &why);
    end.failed = !ok;
    end.note = ok ? text : (struct str){0};
    end.due_ms = ok ? clock_wall_ms(engine->clock) + organization->every_ms
                    : engine_due_again(engine, organization->every_ms);
    if (store_end_task(engine->store, task, &end, err) == STORE_ERROR)
        return false;
    if (ok)
        return true;
    log_line(LOG_WARN, "the organisation's accounts cannot be listed, the last list stays: %s",
             why.message);
    *err = why;
    return false;
}

bool engine_discover(struct engine *engine, struct policy_set *policies, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct str text;
    struct discovery d = {engine, policy_set_organization(policies), &arena};
    return !d.organization || (discover(&d, &text, err) && use(policies, text, &arena, err));
}

bool engine_discover_now(struct engine *engine, struct policy_set *policies, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_task task;
    int64_t now = clock_wall_ms(engine->clock), next_due;
    struct store_task_plan plan = {STR(ENGINE_ORGANIZATION), now, now};
    if (!policy_set_organization(policies))
        return true;
    if (store_plan_tasks(engine->store, &plan, 1, err) != STORE_OK)
        return false;
    enum store_result got = store_take_task(engine->store, STR(ENGINE_ORGANIZATION), TASK_LEASE_MS,
                                            &arena, &task, &next_due, err);
    return got == STORE_ABSENT ||
           (got == STORE_OK && engine_discover_task(engine, policies, &task, err));
}

bool engine_own_account(struct engine *engine, struct arena *arena, struct str *ret,
                        struct error *err)
{
    struct aws_answer answer;
    struct aws_call call = {
        .operation = aws_operation_find(engine->models, STR("sts:GetCallerIdentity"), err),
        .input = {.kind = VALUE_MAP},
        .region = engine->region,
        .deadline_ms = engine->deadline_ms};
    if (!call.operation)
        return false;
    engine->caller.call(engine->caller.ctx, &call, arena, &answer);
    *ret = value_path_str(answer.output, "Account");
    if (answer.outcome == AWS_OK && ret->len)
        return true;
    error_set(err, "E0018", "whose account to scan is not known: %.*s: %.*s", STR_FMT(answer.code),
              STR_FMT(answer.message));
    return error_hint(err, "credentials, --account, or `accounts` in rectify.yaml say so");
}
