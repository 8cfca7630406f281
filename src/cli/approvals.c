// SPDX-License-Identifier: Apache-2.0
/* approvals: what waits for a person, with all that a person decides by. */
#include "cli/desk.h"

#include "value/json.h"

#include <stdio.h>

static void add_line(struct buf *out, const char *label, struct str text)
{
    if (!text.len)
        return;
    buf_printf(out, "  %-9s", label);
    buf_add_visible(out, text);
    buf_add_byte(out, '\n');
}

static void add_calls(struct buf *out, struct value a)
{
    const struct value *plan = value_get(a, STR("plan"));
    for (uint32_t i = 0; plan && plan->kind == VALUE_LIST && i < plan->len; i++) {
        const struct value *with = value_get(plan->items[i], STR("with"));
        struct buf json = {.arena = out->arena};
        if (with)
            json_write(&json, *with, JSON_COMPACT);
        buf_printf(out, "  call %-4u%.*s ", i + 1, STR_FMT(value_path_str(plan->items[i], "call")));
        buf_add_visible(out, buf_str(&json));
        buf_add_byte(out, '\n');
    }
}

static void add_votes(struct buf *out, struct value a)
{
    const struct value *votes = value_get(a, STR("votes")), *need = value_get(a, STR("need"));
    if (need && need->kind == VALUE_INT && need->i > 1)
        buf_printf(out, "  needs    %lld people, %u said yes\n", (long long)need->i,
                   votes ? votes->len : 0);
    for (uint32_t i = 0; votes && votes->kind == VALUE_LIST && i < votes->len; i++)
        add_line(out, "yes of", value_path_str(votes->items[i], "person"));
}

static void add_approval(struct buf *out, struct value a)
{
    buf_printf(out, "%.*s %.*s ", STR_FMT(value_path_str(a, "id")),
               STR_FMT(value_path_str(a, "policy")));
    buf_add_visible(out, value_path_str(a, "resource"));
    buf_add_byte(out, '\n');
    add_line(out, "what", value_path_str(a, "message"));
    add_line(out, "why", value_path_str(a, "reason"));
    add_line(out, "caused by", value_path_str(a, "event.actor"));
    add_calls(out, a);
    add_votes(out, a);
    add_line(out, "over at", value_path_str(a, "expires"));
}

int cli_approvals(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    bool ok = desk_open(&desk, options, &err) && desk_get(&desk, &arena, &got, &err, "/approvals");
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    const struct value *list = value_get(got, STR("approvals"));
    struct buf out = {.arena = &arena};
    if (options->json) {
        cli_print_json(&arena, list ? *list : value_list(NULL, 0));
        return CLI_OK;
    }
    for (uint32_t i = 0; list && i < list->len; i++)
        add_approval(&out, list->items[i]);
    if (!list || !list->len)
        buf_add_cstr(&out, "nothing waits for a person\n");
    cli_print(&out);
    return CLI_OK;
}
