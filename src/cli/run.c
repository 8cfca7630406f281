// SPDX-License-Identifier: Apache-2.0
/* run, rollback, validate: what needs policies, models, the store and the cloud together. */
#include "cli/cli.h"

#include "base/log.h"
#include "detect/detect.h"
#include "engine/engine.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_EVENTS 256
#define WORKERS_DEFAULT 64

/* Everything a run stands on, taken down in reverse. */
struct running {
    const struct cli_options *options;
    struct aws_models *models;
    struct policy_set *policies;
    struct store *store;
    struct net *net;
    struct aws_client *client;
    struct detector *detector;
    struct detect_scratch *scratch;
    struct engine engine;
    char kill_switch[4096];
    size_t events, duplicates, matches, bad;
};

static void finish(struct running *r)
{
    detect_scratch_destroy(r->scratch);
    detector_destroy(r->detector);
    aws_client_destroy(r->client);
    net_destroy(r->net);
    store_close(r->store);
    policy_set_destroy(r->policies);
    aws_models_close(r->models);
}

static bool prepare_cloud(struct running *r, struct error *err)
{
    struct net_options net = {.clock = clock_system()};
    r->net = net_create(&net, err);
    if (!r->net)
        return false;
    struct aws_client_options client = {.models = r->models, .net = r->net, .clock = clock_system()};
    r->client = aws_client_create(&client, err);
    return r->client != NULL;
}

/* 0, or the exit code. */
static int prepare(struct running *r, const struct cli_options *options)
{
    struct error err;
    r->options = options;
    r->models = cli_open_models(options, &err);
    if (!r->models)
        return cli_fail(&err);
    r->policies = cli_load_policies(options, r->models);
    if (!r->policies)
        return CLI_FAILED;
    r->store = cli_open_store(options, &err);
    if (!r->store || !prepare_cloud(r, &err))
        return cli_fail(&err);
    r->detector = detector_create(r->policies, &err);
    r->scratch = r->detector ? detect_scratch_create(r->detector) : NULL;
    if (!r->scratch)
        return cli_fail(&err);
    r->engine = (struct engine){r->store, r->policies, r->models, aws_client_caller(r->client),
                                clock_system(),
                                cli_kill_switch(options, r->policies, r->kill_switch, sizeof r->kill_switch)};
    return 0;
}

/* ---- events from a file ---- */

struct batch {
    struct arena arena;
    struct store_event events[BATCH_EVENTS];
    size_t count;
};

static bool flush_batch(struct running *r, struct batch *batch, struct error *err)
{
    bool accepted[BATCH_EVENTS];
    if (batch->count &&
        store_accept(r->store, batch->events, batch->count, accepted, err) != STORE_OK)
        return false;
    for (size_t i = 0; i < batch->count; i++)
        r->duplicates += !accepted[i];
    batch->count = 0;
    arena_reset(&batch->arena);
    return true;
}

static bool add_matches(struct batch *batch, const struct detect_result *found, int64_t now)
{
    struct store_match *matches = ARENA_ARRAY(&batch->arena, struct store_match, found->match_count + 1);
    for (size_t i = 0; matches && i < found->match_count; i++) {
        const struct detect_match *m = &found->matches[i];
        struct buf text = {.arena = &batch->arena};
        struct value_builder detail = {.arena = &batch->arena};
        value_set(&detail, DETAIL_EVENT, found->event);
        value_set(&detail, DETAIL_MODE, value_cstr(mode_name(m->assignment.mode)));
        json_write(&text, value_finish_map(&detail), JSON_COMPACT);
        matches[i] = (struct store_match){m->policy->name, str_from(m->policy->hash), m->resource, m->region,
                                          now + m->assignment.settle_ms, buf_str(&text)};
    }
    batch->events[batch->count++] = (struct store_event){found->key, found->name, matches, found->match_count};
    return matches != NULL;
}

/* An event that nothing can be done with is kept in the log, with the reason. */
static bool quarantine(struct running *r, struct str text, const struct error *why, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena};
    struct buf out = {.arena = &arena};
    struct str head = str_sub(text, 0, 200);
    r->bad++;
    log_line(LOG_WARN, "event set aside: %s: %s", why->code, why->message);
    value_set(&body, "code", value_cstr(why->code));
    value_set(&body, "message", value_cstr(why->message));
    if (str_is_utf8(head))
        value_set(&body, "head", value_string(head));
    json_write(&out, value_finish_map(&body), JSON_CANONICAL);
    return store_record(r->store, STR("quarantined"), buf_str(&out), err) == STORE_OK;
}

static bool take_event(struct running *r, struct batch *batch, struct str text, struct error *err)
{
    struct detect_result found;
    struct error why;
    int64_t now = clock_wall_ms(clock_system());
    struct str copy = str_copy(&batch->arena, text);
    r->events++;
    if (!detect_event(r->detector, r->scratch, copy, NULL, now, &batch->arena, &found, &why))
        return quarantine(r, text, &why, err);
    for (size_t i = 0; i < found.note_count; i++)
        log_line(LOG_WARN, "%.*s names no usable resource: %.*s", STR_FMT(found.name), STR_FMT(found.notes[i]));
    if (found.match_count == 0)
        return true;
    r->matches += found.match_count;
    if (!add_matches(batch, &found, now))
        return error_set(err, "L0007", "out of memory");
    return batch->count < BATCH_EVENTS || flush_batch(r, batch, err);
}

static bool take_events(struct running *r, int fd, struct error *err)
{
    struct detect_reader *reader = detect_reader_create(fd, err);
    struct batch *batch = calloc(1, sizeof *batch);
    bool ok = reader && batch;
    while (ok) {
        struct str text;
        struct error why;
        enum detect_read got = detect_reader_next(reader, &text, &why);
        if (got == DETECT_READ_END)
            break;
        ok = got == DETECT_READ_BAD ? quarantine(r, (struct str){0}, &why, err)
                                    : take_event(r, batch, text, err);
    }
    ok = ok && flush_batch(r, batch, err);
    if (batch)
        arena_finish(&batch->arena);
    free(batch);
    detect_reader_destroy(reader);
    return ok;
}

static volatile sig_atomic_t stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
}

static bool should_stop(void *ctx)
{
    (void)ctx;
    return stop_wanted;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Counts by state to stderr; CLI_WAITING when something is left that waits for others. */
static int report(struct running *r)
{
    struct error err;
    int64_t counts[STATE_COUNT];
    int code = r->bad ? CLI_FAILED : CLI_OK;
    if (store_counts(r->store, counts, &err) != STORE_OK)
        return cli_fail(&err);
    fprintf(stderr, "%zu events, %zu matches, %zu redelivered, %zu set aside;", r->events, r->matches,
            r->duplicates, r->bad);
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

static int work_off(struct running *r)
{
    struct error err;
    int count = r->options->workers ? r->options->workers : WORKERS_DEFAULT;
    struct engine_workers *workers = engine_workers_start(&r->engine, count, &err);
    if (!workers)
        return cli_fail(&err);
    bool ok = engine_workers_drain(workers, should_stop, NULL, &err);
    engine_workers_stop(workers);
    return ok ? report(r) : cli_fail(&err);
}

int cli_run(const struct cli_options *options)
{
    struct running r = {0};
    struct error err;
    if (!options->events)
        return cli_usage("--events FILE is missing");
    catch_signals();
    int fd = strcmp(options->events, "-") == 0 ? dup(STDIN_FILENO) : open(options->events, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(&err, "L0008", "cannot read the events %s: %s", options->events, strerror(errno));
        return cli_fail(&err);
    }
    int code = prepare(&r, options);
    if (code == 0 && !take_events(&r, fd, &err))
        code = cli_fail(&err);
    if (code == 0)
        code = work_off(&r);
    close(fd);
    finish(&r);
    return code;
}

int cli_rollback(const struct cli_options *options)
{
    struct running r = {0};
    struct error err;
    char person[600];
    int64_t id, rollback;
    if (!cli_id(options, &id))
        return cli_usage("say which remediation: an id like r12");
    catch_signals();
    int code = prepare(&r, options);
    if (code == 0 && !engine_rollback(&r.engine, id, str_from(cli_person(options, person, sizeof person)),
                                      &rollback, &err))
        code = cli_fail(&err);
    if (code == 0) {
        printf("r%lld takes back r%lld\n", (long long)rollback, (long long)id);
        code = work_off(&r);
    }
    finish(&r);
    return code;
}

int cli_validate(const struct cli_options *options)
{
    struct error err;
    struct aws_models *models = cli_open_models(options, &err);
    if (!models)
        return cli_fail(&err);
    struct policy_set *set = cli_load_policies(options, models);
    int code = set ? CLI_OK : CLI_FAILED;
    if (set)
        printf("%zu policies are good\n", policy_set_count(set));
    policy_set_destroy(set);
    aws_models_close(models);
    return code;
}
