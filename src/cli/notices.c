// SPDX-License-Identifier: Apache-2.0
/* notices: what people are told, and what could not be. */
#include "cli/desk.h"

#include <stdio.h>

static void add_row(struct buf *out, struct value n)
{
    buf_printf(out, "%-9.*s %-12.*s %-5.*s %-8.*s %-12.*s ", STR_FMT(value_path_str(n, "state")),
               STR_FMT(value_path_str(n, "channel")), STR_FMT(value_path_str(n, "kind")),
               STR_FMT(value_path_str(n, "id")), STR_FMT(value_path_str(n, "body.word")));
    buf_add_visible(out, value_path_str(n, "error"));
    buf_add_byte(out, '\n');
}

int cli_notices(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    struct http_param params[] = {{STR("limit"), options->all ? STR("1000") : STR("100")}};
    struct desk_question question = {"GET", "/notices", params, 1, {0}};
    bool ok = desk_open(&desk, options, &err) && desk_ask(&desk, &question, &arena, &got, &err);
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    const struct value *rows = value_get(got, STR("notices"));
    if (options->json) {
        cli_print_json(&arena, rows ? *rows : value_list(NULL, 0));
        return CLI_OK;
    }
    struct buf out = {.arena = &arena};
    buf_printf(&out, "%-9s %-12s %-5s %-8s %-12s %s\n", "STATE", "CHANNEL", "KIND", "ID", "TOLD",
               "ERROR");
    for (uint32_t i = 0; rows && i < rows->len; i++)
        add_row(&out, rows->items[i]);
    cli_print(&out);
    return CLI_OK;
}
