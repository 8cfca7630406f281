// SPDX-License-Identifier: Apache-2.0
/* The routes about approvals: what waits, and what comes in over channels. Any thread. */
#include "http/routes_internal.h"

static struct value approval_json(struct arena *arena, const struct remediation *r,
                                  const struct store_approval *approval)
{
    struct value_builder out = {.arena = arena};
    char id[REMEDIATION_ID_SIZE];
    static const char *const details[] = {DETAIL_MESSAGE, DETAIL_PLAN, DETAIL_EVENT,
                                          DETAIL_DECISION};
    remediation_id_format(r->id, id);
    value_set(&out, "id", value_string(str_copy(arena, str_from(id))));
    value_set(&out, "policy", value_string(r->policy));
    value_set(&out, "resource", value_string(r->resource));
    value_set(&out, "reason", value_string(r->reason));
    value_set(&out, "asked", http_time_text(arena, r->updated_ms));
    value_set(&out, "expires", http_time_text(arena, approval->expires_ms));
    value_set(&out, "ask", value_string(approval->ask));
    value_set(&out, "plan_hash", value_string(approval->plan_hash));
    value_set(&out, "need", value_int(approval->need));
    value_set(&out, "via", approval->via);
    value_set(&out, "votes", approval->votes);
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        const struct value *v = value_get(r->detail, str_from(details[i]));
        if (v)
            value_set(&out, details[i], *v);
    }
    return value_finish_map(&out);
}

ROUTE(http_get_approvals)
{
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    struct store_filter filter = {.state = STATE_ASKING, .active_only = true, .limit = 1000};
    struct remediation *rows;
    size_t count;
    (void)request, (void)id;
    enum store_result got = store_list(api->engine->store, &filter, arena, &rows, &count, err);
    if (got != STORE_OK)
        return http_store_failed(got, 0, ret_status, err);
    for (size_t i = 0; i < count; i++) {
        struct store_approval approval;
        got = store_approval(api->engine->store, rows[i].id, arena, &approval, err);
        if (got == STORE_ERROR)
            return http_store_failed(got, 0, ret_status, err);
        if (got == STORE_OK && !approval.decided && !approval.consumed)
            value_push(&list, approval_json(arena, &rows[i], &approval));
    }
    value_set(&out, "approvals", value_finish_list(&list));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_post_channel)
{
    struct str name = request->path;
    (void)id;
    str_cut(&name, '/'); // ""
    str_cut(&name, '/'); // "channels"
    bool ok = engine_hear(api->engine, name, request->headers, request->header_count, request->body,
                          arena, ret_status, ret, err);
    struct engine_workers *workers = api->workers;
    if (ok && workers)
        engine_workers_wake(workers);
    return ok;
}
