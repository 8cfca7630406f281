// SPDX-License-Identifier: Apache-2.0
/* approve, deny, rollback: what a person decides. The work itself is done by the next run, or by the
 * daemon that owns the store. */
#include "cli/cli.h"

#include "engine/engine.h"

#include <stdio.h>

static int vote(const struct cli_options *options, bool yes)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct store_approval approval;
    char person[600];
    int64_t id;
    if (!cli_id(options, &id))
        return cli_usage("say which remediation: an id like r12");
    if (!yes && !options->reason)
        return cli_usage("--reason WHY is missing: a no is kept with its reason");
    struct store *store = cli_open_store(options, &err);
    if (!store)
        return cli_fail(&err);
    enum store_result got = store_approval(store, id, &arena, &approval, &err);
    if (got == STORE_OK)
        got = store_vote(store, id, approval.plan_hash, yes, str_from(cli_person(options, person, sizeof person)),
                         str_from(options->reason ? options->reason : ""), &err);
    store_close(store);
    if (got == STORE_ABSENT)
        error_set(&err, "L0004", "r%lld does not ask for anything", (long long)id);
    if (got == STORE_CONFLICT)
        error_set(&err, "L0005", "r%lld was decided before; the first decision stands", (long long)id);
    if (got == STORE_VOID)
        error_set(&err, "L0006", "what r%lld asked is over: expired, or for another plan", (long long)id);
    if (got != STORE_OK)
        return cli_fail(&err);
    printf("r%lld %s; `rectify run` or the daemon goes on with it\n", (long long)id,
           yes ? "approved" : "denied");
    return CLI_OK;
}

int cli_approve(const struct cli_options *options)
{
    return vote(options, true);
}

int cli_deny(const struct cli_options *options)
{
    return vote(options, false);
}
