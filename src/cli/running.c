// SPDX-License-Identifier: Apache-2.0
/* Models, policies, store, cloud, rules, engine: made in this order, taken down in reverse. See
 * running_internal.h. */
#include "cli/running_internal.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORKERS_DEFAULT 64
#define PROGRESS_EVERY_MS 250
#define TELL_MS 15000 // for what is to be told, when the work is done

void running_finish(struct running *r)
{
    running_finish_sources(r);
    engine_rules_release(r->sources_set);
    engine_intake_destroy(r->intake);
    aws_client_destroy(r->client);
    net_destroy(r->net);
    store_close(r->store);
    engine_rules_destroy(r->rules);
    aws_models_close(r->models);
    seal_keys_wipe(&r->keys);
    *r = (struct running){0};
}

static bool prepare_cloud(struct running *r, struct error *err)
{
    char session[CLI_SESSION_SIZE];
    struct net_options net = {.clock = clock_system()};
    r->net = net_create(&net, err);
    if (!r->net)
        return false;
    struct aws_client_options client = {.models = r->models,
                                        .net = r->net,
                                        .clock = clock_system(),
                                        .session = cli_session(session)};
    r->client = aws_client_create(&client, err);
    return r->client != NULL;
}

/* Takes the policies. */
static bool prepare_engine(struct running *r, struct policy_set *policies, struct error *err)
{
    cli_kill_switch(r->options, policies, r->kill_switch, sizeof r->kill_switch);
    r->rules = engine_rules_create(policies, err);
    if (!r->rules)
        return false;
    r->engine = (struct engine){.store = r->store,
                                .net = r->net,
                                .rules = r->rules,
                                .models = r->models,
                                .caller = aws_client_caller(r->client),
                                .clock = clock_system(),
                                .kill_switch = r->kill_switch,
                                .region = aws_client_region(r->client)};
    r->intake = engine_intake_create(&r->engine, err);
    r->notify = (struct notify){r->net, clock_system(), r->models, r->engine.caller};
    r->engine.notify = &r->notify;
    struct str state_key = cli_state_key(policies);
    if (state_key.len && !cli_load_keys(state_key, r->models, r->engine.caller, &r->keys, err))
        return false;
    r->engine.seal = r->keys.count ? &r->keys : NULL;
    return r->intake && (!r->store || running_recall(r, err));
}

bool running_recall(struct running *r, struct error *err)
{
    struct engine_set *set = engine_rules_hold(r->rules);
    bool ok = engine_recall_accounts(&r->engine, set->policies, &r->recalled_ms, err) &&
              (r->policies_seen || running_see_policies(r, set->policies, err));
    r->policies_seen = r->policies_seen || ok;
    engine_rules_release(set);
    return ok;
}

/* What was approved under another text of a policy is void. */
bool running_see_policies(struct running *r, const struct policy_set *policies, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    size_t count = policy_set_count(policies), gone = 0;
    struct store_policy_seen *seen = ARENA_ARRAY(&arena, struct store_policy_seen, count);
    for (size_t i = 0; seen && i < count; i++)
        seen[i] = (struct store_policy_seen){policy_set_at(policies, i)->name,
                                             str_from(policy_set_at(policies, i)->hash)};
    if (!seen || store_see_policies(r->store, seen, count, &gone, err) != STORE_OK)
        return seen ? false : error_set(err, "L0009", "out of memory");
    if (gone)
        log_line(LOG_WARN, "%zu approvals are void: their policies have changed", gone);
    return true;
}

static int cannot(struct running *r, const struct error *err)
{
    r->why = *err;
    return cli_fail(err);
}

int running_prepare(struct running *r, const struct cli_options *options)
{
    struct error err;
    r->options = options;
    r->models = cli_open_models(options, &err);
    if (!r->models)
        return cannot(r, &err);
    struct policy_set *policies = cli_load_policies(options, r->models);
    if (!policies) {
        error_set(&r->why, "L0017", "the policies are not good; the log names every error");
        return CLI_FAILED;
    }
    cli_warn_exemptions(policies);
    if (!r->store && !r->store_later)
        r->store = cli_open_store(options, &err);
    if ((!r->store && !r->store_later) || !prepare_cloud(r, &err)) {
        policy_set_destroy(policies);
        return cannot(r, &err);
    }
    return prepare_engine(r, policies, &err) ? 0 : cannot(r, &err);
}

/* ---- signals ---- */

static volatile sig_atomic_t stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
}

static bool bar_is_due(const struct running *r)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 &&
           clock_steady_ms(clock_system()) >= r->progress_ms + PROGRESS_EVERY_MS;
}

void running_show_bar(struct running *r, size_t done, size_t all, const char *what)
{
    static const char full[] = "########################", none[] = "                        ";
    int width = (int)sizeof full - 1, filled = all ? (int)(done * (size_t)width / all) : 0;
    if (!bar_is_due(r))
        return;
    r->progress_ms = clock_steady_ms(clock_system());
    fprintf(stderr, "\r[%.*s%.*s] %zu of %zu %s\033[K", filled, full, width - filled, none, done,
            all, what);
}

void running_end_bar(struct running *r)
{
    if (r->progress_ms)
        fputs("\r\033[K", stderr);
    r->progress_ms = 0;
}

/* How many of the expected rows have ended. */
static void show_progress(struct running *r)
{
    int64_t counts[STATE_COUNT], ended = 0;
    struct error ignored;
    if (r->expected == 0 || !bar_is_due(r) || store_counts(r->store, counts, &ignored) != STORE_OK)
        return;
    for (int i = 0; i < STATE_COUNT; i++)
        ended += state_is_terminal((enum state)i) ? counts[i] : 0;
    if (r->progress_ms == 0)
        r->ended_before = ended;
    ended -= r->ended_before;
    running_show_bar(r, (size_t)(ended < r->expected ? ended : r->expected), (size_t)r->expected,
                     "resources done");
}

bool running_should_stop(void *ctx)
{
    show_progress(ctx);
    return stop_wanted;
}

void running_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- work ---- */

struct engine_workers *running_workers(struct running *r, struct error *err)
{
    int count = r->options->workers ? r->options->workers : WORKERS_DEFAULT;
    return engine_workers_start(&r->engine, count, err);
}

struct engine_notifier *running_notifier(struct running *r, struct error *err)
{
    return engine_notifier_start(&r->engine, &r->notify, err);
}

void running_notifier_end(struct engine_notifier *notifier)
{
    if (notifier)
        engine_notifier_drain(notifier, TELL_MS);
    engine_notifier_stop(notifier);
}

static int report(struct running *r, const struct engine_taken *taken)
{
    struct error err;
    int64_t counts[STATE_COUNT];
    int code = taken && taken->bad ? CLI_FAILED : CLI_OK;
    if (store_counts(r->store, counts, &err) != STORE_OK)
        return cli_fail(&err);
    if (taken)
        fprintf(stderr, "%zu events, %zu matches, %zu redelivered, %zu set aside;", taken->events,
                taken->matches, taken->duplicates, taken->bad);
    if (taken && taken->left) {
        fprintf(stderr, " %zu messages stay in their queue;", taken->left);
        code = code ? code : CLI_WAITING;
    }
    for (int i = 0; i < STATE_COUNT; i++) {
        if (counts[i] == 0)
            continue;
        fprintf(stderr, " %lld %s", (long long)counts[i], state_name((enum state)i));
        if (!state_is_terminal((enum state)i) && code == CLI_OK)
            code = CLI_WAITING;
    }
    fputc('\n', stderr);
    return code;
}

int running_work_off(struct running *r, const struct engine_taken *taken)
{
    struct error err;
    struct engine_notifier *notifier = running_notifier(r, &err);
    struct engine_workers *workers = notifier ? running_workers(r, &err) : NULL;
    if (!workers) {
        engine_notifier_stop(notifier);
        return cli_fail(&err);
    }
    bool ok = engine_workers_drain(workers, running_should_stop, r, &err);
    running_end_bar(r);
    engine_workers_stop(workers);
    running_notifier_end(notifier);
    return ok ? report(r, taken) : cli_fail(&err);
}
