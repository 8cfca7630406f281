// SPDX-License-Identifier: Apache-2.0
/* SIGHUP: rectify.yaml and the policies are read again. The new set is compiled beside the one in
 * use and takes its place as a whole; whatever is wrong with it is said, all of it, and the one in
 * use stays. Main thread of the daemon. */
#include "cli/running_internal.h"
#include "cli/supervisor_internal.h"

#include "base/log.h"
#include "value/json.h"

#include <stdio.h>

static bool record(struct running *r, size_t count, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena};
    struct buf text = {.arena = &arena};
    value_set(&body, "policies", value_int((int64_t)count));
    json_write(&text, value_finish_map(&body), JSON_CANONICAL);
    return store_record(r->store, STR("policies loaded"), buf_str(&text), err) == STORE_OK;
}

/* The gate knows one path for as long as the process lives. */
static bool same_kill_switch(const struct running *r, const struct policy_set *policies,
                             struct error *err)
{
    char path[sizeof r->kill_switch];
    cli_kill_switch(r->options, policies, path, sizeof path);
    if (strcmp(path, r->kill_switch) == 0)
        return true;
    error_set(err, "L0018", "rectify.yaml names another kill switch, %s, than the one in use, %s",
              path, r->kill_switch);
    return error_hint(err, "restart the daemon to change it");
}

/* False: err is set, or the errors have been printed and err->code is NULL. */
static bool replace(struct running *r, size_t *ret_count, struct error *err)
{
    int64_t ran_ms = 0;
    struct policy_set *policies = cli_load_policies(r->options, r->models);
    err->code = NULL;
    if (!policies)
        return false;
    *ret_count = policy_set_count(policies);
    cli_warn_exemptions(policies);
    if (!same_kill_switch(r, policies, err) || !running_see_policies(r, policies, err) ||
        !engine_recall_accounts(&r->engine, policies, &ran_ms, err)) {
        policy_set_destroy(policies);
        return false;
    }
    return record(r, *ret_count, err) ? engine_rules_replace(r->rules, policies, err)
                                      : (policy_set_destroy(policies), false);
}

void running_reload(struct running *r, struct engine_schedule *schedule)
{
    struct error err;
    char text[120];
    size_t count = 0;
    supervisor_tell("RELOADING=1\nSTATUS=reading the policies again");
    if (replace(r, &count, &err)) {
        log_line(LOG_INFO, "%zu policies are in use now", count);
        snprintf(text, sizeof text, "READY=1\nSTATUS=%zu policies", count);
        engine_schedule_wake(schedule);
    } else {
        if (err.code)
            cli_fail(&err);
        log_line(LOG_ERROR, "nothing is reloaded: the policies in use stay");
        snprintf(text, sizeof text, "READY=1\nSTATUS=reloading failed, the policies in use stay");
    }
    supervisor_tell(text);
}
