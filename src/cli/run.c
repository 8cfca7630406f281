// SPDX-License-Identifier: Apache-2.0
/* run with events from a file, standard input or a queue until it is empty, and validate. */
#include "cli/running_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* From a queue, until it is empty. */
static int run_queue(const struct cli_options *options)
{
    struct running r = {0};
    struct engine_taken taken;
    struct error err;
    running_catch_signals();
    int code = running_prepare(&r, options);
    if (code == 0)
        code = running_prepare_sources(&r, options->events);
    if (code == 0 && !engine_sources_drain(r.sources, running_should_stop, &r, &taken, &err))
        code = cli_fail(&err);
    if (code == 0)
        code = running_work_off(&r, &taken);
    running_finish(&r);
    return code;
}

static int run_file(const struct cli_options *options)
{
    struct running r = {0};
    struct engine_taken taken;
    struct error err;
    running_catch_signals();
    bool standard = strcmp(options->events, "-") == 0;
    int fd = standard ? dup(STDIN_FILENO) : open(options->events, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(&err, "L0008", "cannot read the events %s: %s", options->events, strerror(errno));
        return cli_fail(&err);
    }
    int code = running_prepare(&r, options);
    if (code == 0)
        code = running_prepare_sources(&r, NULL);
    if (code == 0 && !engine_sources_take_file(r.sources, fd, &taken, &err))
        code = cli_fail(&err);
    if (code == 0)
        code = running_work_off(&r, &taken);
    close(fd);
    running_finish(&r);
    return code;
}

int cli_run(const struct cli_options *options)
{
    if (!options->events)
        return cli_daemon(options);
    if (options->listen || options->token_file || options->queue)
        return cli_usage("--listen, --token-file and --queue are the daemon's: leave out --events");
    bool queue = str_starts(str_from(options->events), STR("https://")) ||
                 str_starts(str_from(options->events), STR("http://"));
    return queue ? run_queue(options) : run_file(options);
}

void cli_warn_exemptions(const struct policy_set *set)
{
    int64_t now = clock_wall_ms(clock_system());
    for (size_t i = 0; i < policy_set_count(set); i++) {
        const struct policy *p = policy_set_at(set, i);
        for (size_t k = 0; k < p->exemption_count; k++) {
            const struct policy_exemption *e = &p->exemptions[k];
            char day[CLOCK_TEXT_SIZE];
            clock_format(e->until_ms, day);
            if (now > e->until_ms)
                fprintf(stderr,
                        "warning: %.*s: the exemption by %.*s (%.*s) ended on %.10s and is void\n",
                        STR_FMT(p->name), STR_FMT(e->owner), STR_FMT(e->reason), day);
            else if ((e->rests_on_tags || e->rests_on_name) && !e->by_count)
                fprintf(stderr,
                        "warning: %.*s: the exemption by %.*s rests on %s, which others choose; "
                        "without `by` it never counts\n",
                        STR_FMT(p->name), STR_FMT(e->owner),
                        e->rests_on_tags ? "tags" : "the resource's name");
        }
    }
}

int cli_validate(const struct cli_options *options)
{
    struct error err;
    struct aws_models *models = cli_open_models(options, &err);
    if (!models)
        return cli_fail(&err);
    struct policy_set *set = cli_load_policies(options, models);
    int code = set ? CLI_OK : CLI_FAILED;
    if (set) {
        printf("%zu policies are good\n", policy_set_count(set));
        cli_warn_exemptions(set);
    }
    policy_set_destroy(set);
    aws_models_close(models);
    return code;
}
