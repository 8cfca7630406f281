// SPDX-License-Identifier: Apache-2.0
/* The routes that change something: events in, and what people decide. Any thread. */
#include "http/routes_internal.h"

#include "value/json.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static void wake(const struct http_api *api)
{
    struct engine_workers *workers = api->workers;
    if (workers)
        engine_workers_wake(workers);
}

static bool intake_failed(int *ret_status, const struct error *err)
{
    *ret_status = str_is(str_from(err->code), "E0008") ? 413 : 503;
    return false;
}

ROUTE(http_post_events)
{
    struct engine_taken taken;
    struct value_builder out = {.arena = arena};
    (void)id;
    if (!api->sources)
        return http_refuse(ret_status, 501, err, "H0026", "this process takes no events");
    if (!engine_sources_take_text(api->sources, request->body, &taken, err))
        return intake_failed(ret_status, err);
    if (taken.events == 0)
        return http_refuse(ret_status, 400, err, "H0027", "there is no event in the body");
    wake(api);
    if (taken.bad == taken.events) {
        *err = taken.why; // set aside in the log with this reason; sending it again does not help
        *ret_status = 400;
        return false;
    }
    value_set(&out, "accepted", value_int((int64_t)(taken.events - taken.bad)));
    value_set(&out, "matches", value_int((int64_t)taken.matches));
    value_set(&out, "duplicates", value_int((int64_t)taken.duplicates));
    if (taken.bad) {
        value_set(&out, "set_aside", value_int((int64_t)taken.bad));
        value_set(&out, "why", value_string(str_copy(arena, str_from(taken.why.message))));
    }
    *ret_status = 202;
    *ret = value_finish_map(&out);
    return true;
}

/* ---- people ---- */

struct decision {
    struct str by, reason, account;
};

/* Who asks is what the kernel says; another name is kept beside it, never instead of it. */
static struct str user_name(const struct http_request *request, struct arena *arena)
{
    char names[1024];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(request->uid, &entry, names, sizeof names, &found) != 0 || !found)
        return str_from(arena_printf(arena, "uid %u", request->uid));
    return str_copy(arena, str_from(found->pw_name));
}

static struct str person(const struct http_request *request, struct str by, struct arena *arena)
{
    char host[256] = "?";
    struct str user = user_name(request, arena);
    gethostname(host, sizeof host - 1);
    return by.len ? str_from(arena_printf(arena, "%.*s (entered by %.*s@%s)", STR_FMT(by),
                                          STR_FMT(user), host))
                  : str_from(arena_printf(arena, "%.*s@%s", STR_FMT(user), host));
}

static bool read_decision(const struct http_request *request, struct arena *arena,
                          struct decision *ret, int *ret_status, struct error *err)
{
    struct value body = value_null();
    if (request->body.len && !json_parse(arena, request->body, &body, err)) {
        *ret_status = 400;
        return false;
    }
    if (body.kind != VALUE_MAP && body.kind != VALUE_NULL)
        return http_refuse(ret_status, 400, err, "H0028", "the body is not a JSON object");
    struct str by = value_path_str(body, "by"), reason = value_path_str(body, "reason");
    if (by.len > 200 || reason.len > 2000)
        return http_refuse(ret_status, 400, err, "H0029", "by may have 200 bytes, reason 2,000");
    *ret = (struct decision){person(request, by, arena), reason, value_path_str(body, "account")};
    return true;
}

static bool vote_refused(int *ret_status, const struct error *err)
{
    struct str code = str_from(err->code);
    *ret_status = str_is(code, "E0034")                            ? 404
                  : str_is(code, "E0035") || str_is(code, "E0036") ? 409
                  : str_is(code, "E0031") || str_is(code, "E0032") || str_is(code, "E0033") ||
                          str_is(code, "E0039")
                      ? 403
                      : 503;
    return false;
}

static bool vote(const struct http_api *api, const struct http_request *request, int64_t id,
                 bool yes, struct arena *arena, int *ret_status, struct value *ret,
                 struct error *err)
{
    struct decision decision;
    struct value_builder out = {.arena = arena};
    bool decided = false;
    if (!read_decision(request, arena, &decision, ret_status, err))
        return false;
    struct str user = user_name(request, arena);
    struct str reason = decision.reason.len ? decision.reason : STR("");
    struct engine_answer answer = {.id = id,
                                   .yes = yes,
                                   .identity = STR_JOIN(arena, STR("unix:"), user),
                                   .channel = STR(ENGINE_COMMAND_LINE),
                                   .name = decision.by,
                                   .reason = reason};
    if (!engine_answer(api->engine, &answer, arena, &decided, err))
        return vote_refused(ret_status, err);
    wake(api);
    value_set(&out, "id", value_cstr(arena_printf(arena, "r%lld", (long long)id)));
    value_set(&out, "decision", value_cstr(yes ? "approved" : "denied"));
    value_set(&out, "by", value_string(decision.by));
    value_set(&out, "decided", value_bool(decided));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_post_approve)
{
    return vote(api, request, id, true, arena, ret_status, ret, err);
}

ROUTE(http_post_deny)
{
    return vote(api, request, id, false, arena, ret_status, ret, err);
}

ROUTE(http_post_rollback)
{
    struct decision decision;
    struct value_builder out = {.arena = arena};
    int64_t rollback;
    if (!read_decision(request, arena, &decision, ret_status, err))
        return false;
    if (!engine_rollback(api->engine, id, decision.by, &rollback, err)) {
        struct str code = str_from(err->code);
        bool known = str_is(code, "S0101") || str_is(code, "E0006");
        *ret_status = str_is(code, "E0005") ? 404 : known ? 409 : 503;
        return false;
    }
    wake(api);
    value_set(&out, "id", value_cstr(arena_printf(arena, "r%lld", (long long)rollback)));
    value_set(&out, "takes_back", value_cstr(arena_printf(arena, "r%lld", (long long)id)));
    *ret = value_finish_map(&out);
    *ret_status = 201;
    return true;
}

/* ---- a policy as a whole ---- */

#define WAIVED_MS 86400000 // a person who resumes has seen how much it finds: for a day

/* The rollout as it is, for what is decided on it; state none when there is no row. */
static bool find_rollout(const struct http_api *api, struct str name, struct arena *arena,
                         struct rollout *ret, struct error *err)
{
    struct store_policy *list;
    size_t count;
    *ret = (struct rollout){0};
    if (store_policies(api->engine->store, arena, &list, &count, err) != STORE_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (str_eq(list[i].policy, name))
            *ret = list[i].rollout;
    return true;
}

static bool change_held(const struct http_api *api, const struct engine_set *set,
                        const struct http_request *request, enum rollout_do what,
                        struct arena *arena, int *ret_status, struct value *ret, struct error *err)
{
    struct str name = http_path_name(request);
    const struct policy *policy = engine_set_find(set, name);
    struct decision decision;
    struct rollout rollout;
    struct value_builder out = {.arena = arena};
    if (!read_decision(request, arena, &decision, ret_status, err))
        return false;
    if (set && !policy)
        return http_refuse(ret_status, 404, err, "H0033", "there is no policy %.*s",
                           STR_FMT(str_sub(name, 0, 100)));
    if (decision.reason.len == 0)
        return http_refuse(ret_status, 400, err, "H0034", "say why: a reason is kept with it");
    *ret_status = 503;
    if (!find_rollout(api, name, arena, &rollout, err))
        return false;
    size_t stages = policy ? policy->rollout.stage_count : 0;
    bool last = what == ROLLOUT_PROMOTE && stages && (size_t)rollout.stage + 1 >= stages;
    struct store_rollout_change change = {.what = last ? ROLLOUT_FINISH : what,
                                          .policy = name,
                                          .hash = policy ? str_from(policy->hash) : rollout.hash,
                                          .stage = rollout.stage,
                                          .staged = stages > 0,
                                          .waive_ms = what == ROLLOUT_RESUME ? WAIVED_MS : 0,
                                          .by = decision.by,
                                          .reason = decision.reason};
    enum store_result got = store_rollout_set(api->engine->store, &change, err);
    if (got == STORE_ABSENT)
        return http_refuse(ret_status, 404, err, "H0035",
                           "policy %.*s is neither paused nor in a rollout",
                           STR_FMT(str_sub(name, 0, 100)));
    if (got == STORE_CONFLICT)
        return http_refuse(ret_status, 409, err, "H0036",
                           "policy %.*s has no next step, or took it just now",
                           STR_FMT(str_sub(name, 0, 100)));
    if (got != STORE_OK || !find_rollout(api, name, arena, &rollout, err))
        return false;
    *ret_status = 200;
    wake(api);
    value_set(&out, "policy", value_string(name));
    value_set(&out, "state", value_cstr(rollout_state_name(rollout.state)));
    value_set(&out, "step", value_int(rollout.stage + 1));
    value_set(&out, "by", value_string(rollout.by));
    *ret = value_finish_map(&out);
    return true;
}

static bool change_policy(const struct http_api *api, const struct http_request *request,
                          enum rollout_do what, struct arena *arena, int *ret_status,
                          struct value *ret, struct error *err)
{
    struct engine_set *set = engine_rules_hold(api->engine->rules);
    bool ok = change_held(api, set, request, what, arena, ret_status, ret, err);
    engine_rules_release(set);
    return ok;
}

ROUTE(http_post_policy_pause)
{
    (void)id;
    return change_policy(api, request, ROLLOUT_PAUSE, arena, ret_status, ret, err);
}

ROUTE(http_post_policy_resume)
{
    (void)id;
    return change_policy(api, request, ROLLOUT_RESUME, arena, ret_status, ret, err);
}

ROUTE(http_post_policy_promote)
{
    (void)id;
    return change_policy(api, request, ROLLOUT_PROMOTE, arena, ret_status, ret, err);
}

/* ---- freeze, clear ---- */

ROUTE(http_post_clear)
{
    struct decision decision;
    struct engine_cleared cleared;
    struct value_builder out = {.arena = arena};
    if (!read_decision(request, arena, &decision, ret_status, err))
        return false;
    if (!engine_clear(api->engine, id, decision.by, decision.reason, &cleared, err)) {
        *ret_status = str_is(str_from(err->code), "E0005") ? 404 : 503;
        return false;
    }
    if (!cleared.rested && !cleared.was_frozen)
        return http_refuse(ret_status, 409, err, "H0060",
                           "what r%lld is about neither rests nor is frozen", (long long)id);
    wake(api);
    value_set(&out, "id", value_cstr(arena_printf(arena, "r%lld", (long long)id)));
    value_set(&out, "rested", value_bool(cleared.rested));
    value_set(&out, "was_frozen", value_bool(cleared.was_frozen));
    value_set(&out, "by", value_string(decision.by));
    *ret = value_finish_map(&out);
    return true;
}

static bool is_account(struct str s)
{
    bool ok = s.len == 12;
    for (size_t i = 0; ok && i < s.len; i++)
        ok = s.ptr[i] >= '0' && s.ptr[i] <= '9';
    return ok;
}

static bool freeze(const struct http_api *api, const struct http_request *request, bool on,
                   struct arena *arena, int *ret_status, struct value *ret, struct error *err)
{
    struct decision decision;
    struct value_builder out = {.arena = arena};
    if (!read_decision(request, arena, &decision, ret_status, err))
        return false;
    if (decision.account.len && !is_account(decision.account))
        return http_refuse(ret_status, 400, err, "H0061",
                           "an account is twelve digits; none means everything");
    if (on && decision.reason.len == 0)
        return http_refuse(ret_status, 400, err, "H0062", "say why it is frozen: --reason");
    if (!engine_freeze(api->engine, decision.account, on, decision.by, decision.reason, err)) {
        *ret_status = 503;
        return false;
    }
    wake(api);
    value_set(&out, "what", value_string(decision.account.len ? decision.account : STR("all")));
    value_set(&out, "frozen", value_bool(on));
    value_set(&out, "by", value_string(decision.by));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_post_freeze)
{
    (void)id;
    return freeze(api, request, true, arena, ret_status, ret, err);
}

ROUTE(http_post_unfreeze)
{
    (void)id;
    return freeze(api, request, false, arena, ret_status, ret, err);
}

/* ---- plans ---- */

static bool read_object(const struct http_request *request, struct arena *arena, struct value *ret,
                        int *ret_status, struct error *err)
{
    *ret_status = 400;
    if (!json_parse(arena, request->body, ret, err))
        return false;
    return ret->kind == VALUE_MAP ||
           http_refuse(ret_status, 400, err, "H0028", "the body is not a JSON object");
}

static int plan_status(const struct error *err)
{
    struct str code = str_from(err->code);
    bool absent = str_is(code, "E0014") || str_is(code, "E0005");
    bool other = str_is(code, "E0015") || str_is(code, "E0016") || str_is(code, "S0101") ||
                 str_is(code, "S0102");
    return absent ? 404 : other ? 409 : 503;
}

ROUTE(http_post_plan)
{
    struct value body;
    (void)id;
    if (!read_object(request, arena, &body, ret_status, err))
        return false;
    struct engine_question question = {
        value_path_str(body, "policy"), value_path_str(body, "policy_hash"),
        value_path_str(body, "resource"), value_path_str(body, "region"), 0};
    const struct value *takes_back = value_get(body, STR("takes_back"));
    if (takes_back && takes_back->kind == VALUE_INT)
        question.takes_back = takes_back->i;
    *ret_status = 200;
    if (engine_preview(api->engine, &question, arena, ret, err))
        return true;
    *ret_status = plan_status(err);
    return false;
}

ROUTE(http_post_apply)
{
    struct value body;
    struct value_builder out = {.arena = arena};
    struct decision decision;
    int64_t made;
    (void)id;
    if (!read_object(request, arena, &body, ret_status, err) ||
        !read_decision(request, arena, &decision, ret_status, err))
        return false;
    const struct value *planned = value_get(body, STR("planned"));
    const struct value *expires = value_get(body, STR("expires_ms"));
    if (!planned || planned->kind != VALUE_MAP || !expires || expires->kind != VALUE_INT)
        return http_refuse(ret_status, 400, err, "H0040", "the body has no plan");
    if (!engine_apply(api->engine, *planned, expires->i, decision.by, &made, err)) {
        *ret_status = plan_status(err);
        return false;
    }
    wake(api);
    value_set(&out, "id", value_cstr(made ? arena_printf(arena, "r%lld", (long long)made) : ""));
    *ret = value_finish_map(&out);
    *ret_status = made ? 201 : 200;
    return true;
}
