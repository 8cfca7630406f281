// SPDX-License-Identifier: Apache-2.0
/* audit show, audit verify. */
#include "cli/cli.h"

#include "audit/audit.h"

#include <stdio.h>

int cli_audit_show(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    int64_t id = 0, from = 0;
    if (options->arg_count && !cli_id(options, &id))
        return cli_usage("`%s` is not an id like r12", options->args[0]);
    struct store *store = cli_open_store(options, &err);
    if (!store)
        return cli_fail(&err);
    for (;;) {
        struct store_leaf *leaves;
        size_t count;
        arena_reset(&arena);
        if (store_leaves(store, id, from, 500, &arena, &leaves, &count, &err) != STORE_OK) {
            store_close(store);
            return cli_fail(&err);
        }
        for (size_t i = 0; i < count; i++)
            printf("%.*s\n", STR_FMT(leaves[i].text));
        if (count < 500)
            break;
        from = leaves[count - 1].index + 1;
    }
    store_close(store);
    return CLI_OK;
}
