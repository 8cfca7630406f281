// SPDX-License-Identifier: Apache-2.0
/* The routes that look: health, remediations, records. They change nothing. Any thread. */
#include "http/routes_internal.h"

#include "base/hash.h"
#include "value/json.h"

ROUTE(http_get_livez)
{
    struct value_builder out = {.arena = arena};
    (void)api, (void)request, (void)id, (void)ret_status, (void)err;
    value_set(&out, "live", value_bool(true));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_get_readyz)
{
    int64_t counts[STATE_COUNT], active = 0;
    struct value_builder out = {.arena = arena};
    (void)request, (void)id;
    enum store_result got = store_counts(api->engine->store, counts, err);
    if (got != STORE_OK)
        return http_store_failed(got, 0, ret_status, err);
    for (int i = 0; i < STATE_COUNT; i++)
        active += state_is_terminal((enum state)i) ? 0 : counts[i];
    value_set(&out, "ready", value_bool(true));
    value_set(&out, "active", value_int(active));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_get_sources)
{
    struct value_builder out = {.arena = arena}, none = {.arena = arena};
    (void)request, (void)id, (void)ret_status, (void)err;
    value_set(&out, "sources",
              api->sources ? engine_sources_status(api->sources, arena) : value_finish_list(&none));
    *ret = value_finish_map(&out);
    return true;
}

struct value http_time_text(struct arena *arena, int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(ms, text);
    return value_string(str_copy(arena, str_from(text)));
}

static struct value remediation_json(struct arena *arena, const struct remediation *r, bool whole)
{
    char id[REMEDIATION_ID_SIZE];
    struct value_builder out = {.arena = arena};
    remediation_id_format(r->id, id);
    value_set(&out, "id", value_string(str_copy(arena, str_from(id))));
    value_set(&out, "kind", value_cstr(r->kind == REMEDIATION_REPAIR ? "repair" : "rollback"));
    value_set(&out, "state", value_cstr(state_name(r->state)));
    value_set(&out, "meaning", value_cstr(state_meaning(r->state)));
    value_set(&out, "terminal", value_bool(state_is_terminal(r->state)));
    value_set(&out, "waiting", value_bool(state_flags(r->state) & STATE_WAITING));
    value_set(&out, "policy", value_string(r->policy));
    value_set(&out, "resource", value_string(r->resource));
    value_set(&out, "region", value_string(r->region));
    value_set(&out, "reason", value_string(r->reason));
    value_set(&out, "created", http_time_text(arena, r->created_ms));
    value_set(&out, "updated", http_time_text(arena, r->updated_ms));
    if (!state_is_terminal(r->state)) {
        value_set(&out, "due", http_time_text(arena, r->due_ms));
        value_set(&out, "due_ms", value_int(r->due_ms));
    }
    if (whole)
        value_set(&out, "detail", r->detail);
    return value_finish_map(&out);
}

bool http_number_param(const struct http_request *request, const char *name, int64_t unset,
                       int64_t max, int64_t *ret, int *ret_status, struct error *err)
{
    struct str text = http_param(request, name);
    *ret = unset;
    if (text.len == 0)
        return true;
    if (str_to_int64(text, ret) && *ret >= 0 && *ret <= max)
        return true;
    return http_refuse(ret_status, 400, err, "H0022", "%s wants a number from 0 to %lld", name,
                       (long long)max);
}

ROUTE(http_get_remediations)
{
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    struct remediation *rows;
    size_t count;
    int64_t limit, active;
    struct store_filter filter = {.policy = http_param(request, "policy"),
                                  .resource = http_param(request, "resource"),
                                  .account = http_param(request, "account"),
                                  .state = -1};
    struct str state = http_param(request, "state"), before = http_param(request, "before");
    enum state wanted;
    (void)id;
    if (!http_number_param(request, "limit", 100, 1000, &limit, ret_status, err) ||
        !http_number_param(request, "active", 0, 1, &active, ret_status, err))
        return false;
    if (state.len && !state_parse(state, &wanted))
        return http_refuse(ret_status, 400, err, "H0023", "there is no state \"%.*s\"",
                           STR_FMT(str_sub(state, 0, 100)));
    if (before.len && !remediation_id_parse(before, &filter.before_id))
        return http_refuse(ret_status, 400, err, "H0024", "before wants an id like r12");
    filter.state = state.len ? (int)wanted : -1;
    filter.limit = (size_t)limit;
    filter.active_only = active != 0;
    enum store_result got = store_list(api->engine->store, &filter, arena, &rows, &count, err);
    if (got != STORE_OK)
        return http_store_failed(got, 0, ret_status, err);
    for (size_t i = 0; i < count; i++)
        value_push(&list, remediation_json(arena, &rows[i], true));
    value_set(&out, "remediations", value_finish_list(&list));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_get_remediation)
{
    struct remediation r;
    (void)request;
    enum store_result got = store_get(api->engine->store, id, arena, &r, err);
    if (got != STORE_OK)
        return http_store_failed(got, id, ret_status, err);
    *ret = remediation_json(arena, &r, true);
    return true;
}

/* A record is its exact text, since its hash covers these bytes and no others. */
static bool records(const struct http_api *api, const struct http_request *request, int64_t id,
                    struct arena *arena, int *ret_status, struct value *ret, struct error *err)
{
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    struct store_leaf *leaves;
    size_t count;
    int64_t from, limit;
    if (!http_number_param(request, "from", 0, INT64_MAX - 1, &from, ret_status, err) ||
        !http_number_param(request, "limit", 500, 1000, &limit, ret_status, err))
        return false;
    enum store_result got =
        store_leaves(api->engine->store, id, from, (size_t)limit, arena, &leaves, &count, err);
    if (got != STORE_OK)
        return http_store_failed(got, id, ret_status, err);
    for (size_t i = 0; i < count; i++) {
        char hex[2 * HASH_SHA256_SIZE + 1];
        struct value_builder one = {.arena = arena};
        hash_hex(&leaves[i].hash, sizeof leaves[i].hash, hex);
        value_set(&one, "index", value_int(leaves[i].index));
        value_set(&one, "hash", value_string(str_copy(arena, str_from(hex))));
        value_set(&one, "text", value_string(leaves[i].text));
        value_push(&list, value_finish_map(&one));
    }
    value_set(&out, "records", value_finish_list(&list));
    if (count && count == (size_t)limit)
        value_set(&out, "next", value_int(leaves[count - 1].index + 1));
    *ret = value_finish_map(&out);
    return true;
}

ROUTE(http_get_remediation_records)
{
    struct remediation r;
    enum store_result got = store_get(api->engine->store, id, arena, &r, err);
    if (got != STORE_OK)
        return http_store_failed(got, id, ret_status, err);
    return records(api, request, id, arena, ret_status, ret, err);
}

ROUTE(http_get_audit_records)
{
    (void)id;
    return records(api, request, 0, arena, ret_status, ret, err);
}

ROUTE(http_get_audit_verify)
{
    (void)request, (void)id;
    if (!api->verify)
        return http_refuse(ret_status, 501, err, "H0025", "this process cannot verify the log");
    if (api->verify(api->engine->store, arena, ret, err))
        return true;
    *ret_status = 503;
    return false;
}

ROUTE(http_get_freezes)
{
    struct store_note *notes;
    size_t count;
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    (void)request, (void)id;
    enum store_result got =
        store_list_notes(api->engine->store, STR("freeze/"), arena, &notes, &count, err);
    if (got != STORE_OK)
        return http_store_failed(got, 0, ret_status, err);
    for (size_t i = 0; i < count; i++) {
        struct value one;
        if (json_parse(arena, notes[i].body, &one, err))
            value_push(&list, one);
    }
    value_set(&out, "freezes", value_finish_list(&list));
    *ret = value_finish_map(&out);
    return true;
}
