// SPDX-License-Identifier: Apache-2.0
/* The route that shows the outbox. Any thread. */
#include "http/routes_internal.h"

#include "value/json.h"

static struct value notice_json(const struct engine *engine, struct arena *arena,
                                const struct store_notice_row *row)
{
    struct value_builder out = {.arena = arena};
    struct value body = value_null();
    struct error ignored;
    char id[REMEDIATION_ID_SIZE] = "";
    if (row->remediation)
        remediation_id_format(row->remediation, id);
    if (!engine_open_notice(engine, &row->notice, arena, &body, &ignored))
        body = value_null(); // sealed, and the key is not here
    value_set(&out, "notice", value_int(row->id));
    value_set(&out, "state", value_cstr(notice_state_name(row->state)));
    value_set(&out, "channel", value_string(row->notice.channel));
    value_set(&out, "kind", value_string(row->notice.kind));
    value_set(&out, "id", value_string(str_copy(arena, str_from(id))));
    value_set(&out, "created", http_time_text(arena, row->created_ms));
    if (row->state == NOTICE_WAITS)
        value_set(&out, "due", http_time_text(arena, row->notice.due_ms));
    value_set(&out, "attempts", value_int(row->attempts));
    value_set(&out, "error", value_string(row->error));
    value_set(&out, "reference", value_string(row->reference));
    value_set(&out, "body", body);
    return value_finish_map(&out);
}

static bool state_param(struct str text, int *ret)
{
    *ret = -1;
    for (int i = NOTICE_WAITS; i <= NOTICE_GIVEN_UP; i++)
        if (str_is(text, notice_state_name((enum notice_state)i)))
            *ret = i;
    return *ret >= 0 || text.len == 0;
}

ROUTE(http_get_notices)
{
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    struct store_notice_filter filter = {0};
    struct store_notice_row *rows;
    struct str of = http_param(request, "of");
    size_t count;
    int64_t limit;
    (void)id;
    if (!http_number_param(request, "limit", 100, 1000, &limit, ret_status, err) ||
        !http_number_param(request, "before", 0, INT64_MAX - 1, &filter.before_id, ret_status, err))
        return false;
    if (!state_param(http_param(request, "state"), &filter.state))
        return http_refuse(ret_status, 400, err, "H0023", "state is waits, sent or given up");
    if (of.len && !remediation_id_parse(of, &filter.remediation))
        return http_refuse(ret_status, 400, err, "H0024", "of wants an id like r12");
    filter.limit = (size_t)limit;
    enum store_result got = store_notices(api->engine->store, &filter, arena, &rows, &count, err);
    if (got != STORE_OK)
        return http_store_failed(got, 0, ret_status, err);
    for (size_t i = 0; i < count; i++)
        value_push(&list, notice_json(api->engine, arena, &rows[i]));
    value_set(&out, "notices", value_finish_list(&list));
    *ret = value_finish_map(&out);
    return true;
}
