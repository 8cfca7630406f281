// SPDX-License-Identifier: Apache-2.0
/* config --defaults: the table of defaults, as docs/operate.md has it. */
#include "cli/cli.h"

#include "policy/defaults.h"

static const struct {
    int64_t ms;
    const char *unit;
} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};

/* "24 h", "50 %", "3 results". */
static void add_value(struct buf *out, const struct policy_default_row *row)
{
    size_t i = 0;
    if (strcmp(row->unit, "ms") != 0) {
        buf_printf(out, "%lld %s", (long long)row->value, row->unit);
        return;
    }
    while (row->value % units[i].ms || (units[i].ms > 3600000 && row->value == units[i].ms))
        i++;
    buf_printf(out, "%lld %s", (long long)(row->value / units[i].ms), units[i].unit);
}

int cli_config(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct buf out = {.arena = &arena};
    if (!options->defaults || options->arg_count)
        return cli_usage("say what of it: `rectify config --defaults`");
    buf_add_cstr(&out, "| key | default | from |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < policy_default_count; i++) {
        buf_printf(&out, "| `%s` | ", policy_defaults[i].key);
        add_value(&out, &policy_defaults[i]);
        buf_printf(&out, " | %s |\n", policy_defaults[i].source);
    }
    cli_print(&out);
    return CLI_OK;
}
