// SPDX-License-Identifier: Apache-2.0
/* What a run listens to: `sources:` of rectify.yaml, and what options add. --accounts and --regions
 * bound the queues of --queue (and of --events) and what is handed over: a file and HTTP. */
#include "cli/running_internal.h"

#include <stdio.h>

/* LIST with commas into `names`. 0, or the exit code. */
static int split(const char *option, const char *list, bool (*good)(struct str), struct str *names,
                 size_t *ret_count)
{
    struct str rest = str_from(list);
    *ret_count = 0;
    while (rest.len) {
        struct str one = str_trim(str_cut(&rest, ','));
        if (!good(one))
            return cli_usage("--%s: `%.*s` is none", option, STR_FMT(one));
        if (*ret_count == RUNNING_NAMES_MAX)
            return cli_usage("--%s takes at most %d; rectify.yaml takes more", option,
                             RUNNING_NAMES_MAX);
        names[(*ret_count)++] = one;
    }
    return 0;
}

static bool is_region(struct str s)
{
    return s.len > 0 && s.len < 32 && str_find_byte(s, '-') != SIZE_MAX;
}

static bool has_type(const struct running *r, enum source_type type)
{
    for (size_t i = 0; i < r->source_count; i++)
        if (r->source_list[i].type == type)
            return true;
    return false;
}

static void narrow(struct policy_source *source, const struct running *r)
{
    if (r->account_count) {
        source->accounts = r->accounts;
        source->account_count = r->account_count;
    }
    if (r->region_count) {
        source->regions = r->regions;
        source->region_count = r->region_count;
    }
}

static int add_queue(struct running *r, struct str url, size_t number)
{
    struct error err;
    struct policy_source *source = &r->source_list[r->source_count];
    if (number > RUNNING_QUEUES_MAX)
        return cli_usage("at most %d queues; rectify.yaml takes more", RUNNING_QUEUES_MAX);
    snprintf(r->queue_names[number - 1], sizeof r->queue_names[0], "queue-%zu", number);
    *source = (struct policy_source){
        .name = str_from(r->queue_names[number - 1]), .type = SOURCE_SQS, .queue = url};
    if (!policy_queue_region(url, &source->region, &err))
        return cli_fail(&err);
    r->source_count++;
    return 0;
}

/* The list of what is listened to. */
static int list_sources(struct running *r, const char *queues)
{
    size_t listed = 0, number = 0;
    r->sources_set = engine_rules_hold(r->rules);
    const struct policy_source *list = policy_set_sources(r->sources_set->policies, &listed);
    struct str rest = str_from(queues);
    int code =
        split("accounts", r->options->accounts, policy_is_account, r->accounts, &r->account_count);
    code = code ? code
                : split("regions", r->options->regions, is_region, r->regions, &r->region_count);
    for (size_t i = 0; i < listed; i++) // with a file of events nothing else is listened to
        if (!r->options->events || list[i].type == SOURCE_FILE)
            r->source_list[r->source_count++] = list[i];
    size_t of_config = r->source_count;
    while (code == 0 && rest.len)
        code = add_queue(r, str_trim(str_cut(&rest, ',')), ++number);
    if (!has_type(r, SOURCE_FILE))
        r->source_list[r->source_count++] =
            (struct policy_source){.name = STR("file"), .type = SOURCE_FILE};
    if (!has_type(r, SOURCE_HTTP))
        r->source_list[r->source_count++] =
            (struct policy_source){.name = STR("http"), .type = SOURCE_HTTP};
    for (size_t i = 0; i < r->source_count; i++)
        if (i >= of_config || r->source_list[i].type != SOURCE_SQS)
            narrow(&r->source_list[i], r);
    return code;
}

static void stop_polls(void *ctx)
{
    struct running *r = ctx;
    net_stop(r->poll_net);
}

/* Polls have connections of their own: they are held for long, and are cut when the run ends. */
static bool prepare_polls(struct running *r, struct engine_sources_options *options,
                          struct error *err)
{
    struct net_options net = {.clock = clock_system()};
    char session[CLI_SESSION_SIZE];
    if (!has_type(r, SOURCE_SQS))
        return true;
    r->poll_net = net_create(&net, err);
    struct aws_client_options client = {.models = r->models,
                                        .net = r->poll_net,
                                        .clock = clock_system(),
                                        .session = cli_session(session),
                                        .in_flight_max = 1024};
    r->poll_client = r->poll_net ? aws_client_create(&client, err) : NULL;
    if (!r->poll_client)
        return false;
    options->poll = aws_client_caller(r->poll_client);
    options->stop_polls = stop_polls;
    options->stop_ctx = r;
    return true;
}

int running_prepare_sources(struct running *r, const char *queues)
{
    struct error err;
    int code = list_sources(r, queues);
    if (code)
        return code;
    struct engine_sources_options options = {.engine = &r->engine,
                                             .intake = r->intake,
                                             .list = r->source_list,
                                             .count = r->source_count};
    if (prepare_polls(r, &options, &err))
        r->sources = engine_sources_create(&options, &err);
    if (r->sources)
        return 0;
    r->why = err;
    return cli_fail(&err);
}

void running_finish_sources(struct running *r)
{
    engine_sources_destroy(r->sources);
    aws_client_destroy(r->poll_client);
    net_destroy(r->poll_net);
}
