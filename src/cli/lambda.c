// SPDX-License-Identifier: Apache-2.0
/* Without a command and with AWS_LAMBDA_RUNTIME_API set: rectify is the `bootstrap` of a Lambda
 * function. Everything is told by the environment; what is not has Lambda's own places: policies/
 * and models/ beside the program, /tmp for the rest. */
#include "cli/running_internal.h"

#include "base/log.h"
#include "lambda/lambda.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define STATE_DEFAULT "/tmp/rectify"
#define TASK_DEFAULT "/var/task"

bool cli_store_is_lost(const char *where)
{
    return str_starts(str_from(where), STR("/tmp/"));
}

static void close_store(void *ctx)
{
    struct running *r = ctx;
    store_close(r->store);
    r->store = r->engine.store = NULL;
}

static bool open_store(void *ctx, struct error *err)
{
    struct running *r = ctx;
    r->store = cli_open_store(r->options, err);
    r->engine.store = r->store;
    if (!r->store)
        return false;
    if (running_recall(r, err))
        return true;
    close_store(r);
    return false;
}

/* What was answered has to outlive this environment, and calls leave only where the kill switch's
 * folder is there. */
static bool check_places(const struct cli_options *options, struct error *err)
{
    char state[4000];
    const char *store = cli_store_said(options);
    if (!store) {
        error_set(err, "L0016", "RECTIFY_STORE does not say where state is kept");
        return error_hint(err, "postgres://..., or a file on a mounted file system (EFS)");
    }
    if (cli_store_is_lost(store))
        log_line(LOG_WARN, "state in %s is lost together with this environment", store);
    return cli_state_dir(options, state, sizeof state, err);
}

static bool prepare(struct running *r, const struct cli_options *options, struct error *err)
{
    if (!check_places(options, err)) {
        cli_fail(err);
        return false;
    }
    r->store_later = true;
    if (running_prepare(r, options) == 0 && running_prepare_sources(r, NULL) == 0)
        return true;
    *err = r->why;
    return false;
}

int cli_lambda(const struct cli_options *given)
{
    struct cli_options options = *given;
    struct running r = {0};
    struct error err;
    char policies[4096], models[4096];
    struct net_options own = {.clock = clock_system()};
    const char *task = getenv("LAMBDA_TASK_ROOT"), *state = getenv("RECTIFY_STATE");
    struct lambda_runtime runtime = {getenv("AWS_LAMBDA_RUNTIME_API"), net_create(&own, &err),
                                     clock_system()};
    if (!runtime.net)
        return cli_fail(&err);
    snprintf(policies, sizeof policies, "%s/policies", task && task[0] ? task : TASK_DEFAULT);
    options.policies = getenv("RECTIFY_POLICIES") ? NULL : policies;
    snprintf(models, sizeof models, "%s/models", task ? task : "");
    options.models = task && task[0] && !getenv("RECTIFY_MODELS") ? models : NULL;
    options.state = state && state[0] ? NULL : STATE_DEFAULT;
    const char *format = getenv("AWS_LAMBDA_LOG_FORMAT");
    if (format && strcmp(format, "JSON") == 0)
        log_set_json();
    signal(SIGPIPE, SIG_IGN); // SIGTERM just ends it: between invocations nothing is held
    if (prepare(&r, &options, &err)) {
        struct engine_house house = {0};
        struct lambda_host host = {&r.engine,  r.sources,   &r.notify, &house,
                                   open_store, close_store, &r};
        lambda_serve(&runtime, &host, &err);
        cli_fail(&err);
    } else {
        lambda_cannot_start(&runtime, &err);
    }
    running_finish(&r);
    net_destroy(runtime.net);
    return CLI_FAILED;
}
