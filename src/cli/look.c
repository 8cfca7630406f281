// SPDX-License-Identifier: Apache-2.0
/* list, show, explain: what has happened, as a person would want to read it. */
#include "cli/cli.h"

#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>

static struct value remediation_json(struct arena *arena, const struct remediation *r)
{
    char id[REMEDIATION_ID_SIZE], created[CLOCK_TEXT_SIZE], updated[CLOCK_TEXT_SIZE];
    struct value_builder out = {.arena = arena};
    remediation_id_format(r->id, id);
    clock_format(r->created_ms, created);
    clock_format(r->updated_ms, updated);
    value_set(&out, "id", value_string(str_copy(arena, str_from(id))));
    value_set(&out, "kind", value_cstr(r->kind == REMEDIATION_REPAIR ? "repair" : "rollback"));
    value_set(&out, "state", value_cstr(state_name(r->state)));
    value_set(&out, "terminal", value_bool(state_is_terminal(r->state)));
    value_set(&out, "policy", value_string(r->policy));
    value_set(&out, "resource", value_string(r->resource));
    value_set(&out, "region", value_string(r->region));
    value_set(&out, "reason", value_string(r->reason));
    value_set(&out, "created", value_string(str_copy(arena, str_from(created))));
    value_set(&out, "updated", value_string(str_copy(arena, str_from(updated))));
    if (!state_is_terminal(r->state))
        value_set(&out, "due_ms", value_int(r->due_ms));
    value_set(&out, "detail", r->detail);
    return value_finish_map(&out);
}

/* Text from outside, with control characters made visible. */
static void add_safe(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7F)
            buf_printf(out, "\\x%02x", c);
        else
            buf_add_byte(out, s.ptr[i]);
    }
}

int cli_list(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct remediation *rows;
    size_t count;
    struct store *store = cli_open_store(options, &err);
    if (!store)
        return cli_fail(&err);
    struct store_filter filter = {.policy = str_from(options->policy), .resource = str_from(options->resource),
                                  .state = -1, .active_only = false, .limit = options->all ? 1000 : 100};
    enum store_result got = store_list(store, &filter, &arena, &rows, &count, &err);
    store_close(store);
    if (got != STORE_OK)
        return cli_fail(&err);
    struct value_builder list = {.arena = &arena};
    struct buf out = {.arena = &arena};
    if (!options->json)
        buf_printf(&out, "%-8s %-12s %-28s %s\n", "ID", "STATE", "POLICY", "RESOURCE");
    for (size_t i = 0; i < count; i++) {
        char id[REMEDIATION_ID_SIZE];
        remediation_id_format(rows[i].id, id);
        if (options->json) {
            value_push(&list, remediation_json(&arena, &rows[i]));
            continue;
        }
        buf_printf(&out, "%-8s %-12s %-28.*s ", id, state_name(rows[i].state), STR_FMT(rows[i].policy));
        add_safe(&out, rows[i].resource);
        buf_add_byte(&out, '\n');
    }
    if (options->json)
        cli_print_json(&arena, value_finish_list(&list));
    else
        cli_print(&out);
    return CLI_OK;
}

static void show_value(struct buf *out, const char *label, const struct value *v)
{
    if (!v)
        return;
    buf_printf(out, "  %-10s", label);
    json_write(out, *v, JSON_COMPACT);
    buf_add_byte(out, '\n');
}

/* The story: one line a record, with the time since the first. */
static void show_story(struct buf *out, struct arena *arena, const struct store_leaf *leaves, size_t count)
{
    int64_t first = 0;
    for (size_t i = 0; i < count; i++) {
        struct value leaf;
        struct error err;
        if (!json_parse(arena, leaves[i].text, &leaf, &err))
            continue;
        const struct value *at = value_get(leaf, STR("at"));
        int64_t ms = at && at->kind == VALUE_INT ? at->i : 0;
        first = first ? first : ms;
        struct str state = value_path_str(leaf, "state"), reason = value_path_str(leaf, "reason");
        const struct value *call = value_path(leaf, "body.attempt.call");
        if (state.len == 0)
            state = value_path_str(leaf, "kind");
        buf_printf(out, "  %+8.3f s  %-12.*s ", (double)(ms - first) / 1000, STR_FMT(state));
        add_safe(out, reason);
        if (call && call->kind == VALUE_STRING) {
            buf_printf(out, "%s%.*s: %.*s", reason.len ? "  " : "", STR_FMT(value_str(*call)),
                       STR_FMT(value_path_str(leaf, "body.attempt.outcome")));
            struct str request = value_path_str(leaf, "body.attempt.request_id");
            if (request.len)
                buf_printf(out, " (request %.*s)", STR_FMT(request));
        }
        buf_add_byte(out, '\n');
    }
}

static void show_text(struct buf *out, const struct remediation *r)
{
    char id[REMEDIATION_ID_SIZE], created[CLOCK_TEXT_SIZE];
    const struct value *event = value_get(r->detail, STR(DETAIL_EVENT));
    remediation_id_format(r->id, id);
    clock_format(r->created_ms, created);
    buf_printf(out, "%s  %s  %.*s%s\n", id, state_name(r->state), STR_FMT(r->policy),
               r->kind == REMEDIATION_ROLLBACK ? "  (rollback)" : "");
    buf_add_cstr(out, "  resource  ");
    add_safe(out, r->resource);
    buf_printf(out, "\n  since     %s\n  reason    ", created);
    add_safe(out, r->reason);
    buf_add_byte(out, '\n');
    if (event) {
        buf_printf(out, "  detect    %.*s by ", STR_FMT(value_path_str(*event, "name")));
        add_safe(out, value_path_str(*event, "actor"));
        buf_printf(out, " at %.*s\n", STR_FMT(value_path_str(*event, "time")));
    }
    struct str message = value_path_str(r->detail, DETAIL_MESSAGE);
    if (message.len) {
        buf_add_cstr(out, "  finding   ");
        add_safe(out, message);
        buf_add_byte(out, '\n');
    }
    show_value(out, "before", value_get(r->detail, STR(DETAIL_READS)));
    show_value(out, "decision", value_get(r->detail, STR(DETAIL_DECISION)));
    const struct value *plan = value_get(r->detail, STR(DETAIL_PLAN));
    for (uint32_t i = 0; plan && i < plan->len; i++) {
        buf_printf(out, "  call %-4u %.*s ", i + 1, STR_FMT(value_path_str(plan->items[i], "call")));
        const struct value *with = value_get(plan->items[i], STR("with"));
        if (with)
            json_write(out, *with, JSON_COMPACT);
        buf_add_byte(out, '\n');
    }
    show_value(out, "after", value_get(r->detail, STR(DETAIL_AFTER)));
    if (r->state == STATE_ASKING)
        buf_printf(out, "  next      rectify approve %s   or   rectify deny %s --reason WHY\n", id, id);
}

static int load_one(const struct cli_options *options, struct arena *arena, struct remediation *ret,
                    struct store_leaf **ret_leaves, size_t *ret_count)
{
    struct error err;
    int64_t id;
    if (!cli_id(options, &id))
        return cli_usage("say which remediation: an id like r12");
    struct store *store = cli_open_store(options, &err);
    if (!store)
        return cli_fail(&err);
    enum store_result got = store_get(store, id, arena, ret, &err);
    if (got == STORE_OK)
        got = store_leaves(store, id, 0, 1000, arena, ret_leaves, ret_count, &err);
    store_close(store);
    if (got == STORE_ABSENT)
        error_set(&err, "L0003", "there is no remediation r%lld", (long long)id);
    return got == STORE_OK ? CLI_OK : cli_fail(&err);
}

int cli_show(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct remediation r;
    struct store_leaf *leaves;
    size_t count;
    int code = load_one(options, &arena, &r, &leaves, &count);
    if (code != CLI_OK)
        return code;
    if (options->json) {
        cli_print_json(&arena, remediation_json(&arena, &r));
        return CLI_OK;
    }
    struct buf out = {.arena = &arena};
    show_text(&out, &r);
    buf_add_cstr(&out, "  story\n");
    show_story(&out, &arena, leaves, count);
    cli_print(&out);
    return CLI_OK;
}

int cli_explain(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct remediation r;
    struct store_leaf *leaves;
    size_t count;
    int code = load_one(options, &arena, &r, &leaves, &count);
    if (code != CLI_OK)
        return code;
    struct buf out = {.arena = &arena};
    const struct value *reasons = value_path(r.detail, "decision.reasons");
    const struct value *risk = value_path(r.detail, "decision.risk");
    buf_printf(&out, "r%lld is %s: %s.\n", (long long)r.id, state_name(r.state), state_meaning(r.state));
    add_safe(&out, r.reason);
    buf_add_cstr(&out, "\n\nThe decision was to ");
    buf_add_str(&out, value_path_str(r.detail, "decision.action"));
    buf_add_cstr(&out, ". Why:\n");
    for (uint32_t i = 0; reasons && i < reasons->len; i++) {
        buf_add_cstr(&out, "  - ");
        add_safe(&out, value_str(reasons->items[i]));
        buf_add_byte(&out, '\n');
    }
    if (reasons && reasons->len == 0)
        buf_add_cstr(&out, "  - no guard objected\n");
    for (uint32_t i = 0; risk && i < risk->len; i++)
        buf_printf(&out, "  risk: %.*s %+lld\n", STR_FMT(value_str(risk->pairs[i].key)),
                   (long long)risk->pairs[i].value.i);
    cli_print(&out);
    return CLI_OK;
}
