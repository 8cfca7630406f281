// SPDX-License-Identifier: Apache-2.0
/* Everything that working on remediations stands on: run, the daemon and rollback share it. */
#ifndef RECTIFY_CLI_RUNNING_INTERNAL_H
#define RECTIFY_CLI_RUNNING_INTERNAL_H

#include "cli/cli.h"
#include "base/limits.h"
#include "engine/sources.h"

#define RUNNING_NAMES_MAX 64 // of --accounts, of --regions
#define RUNNING_QUEUES_MAX 8 // of --queue

/* Zeroed, and perhaps with a store opened before, is valid; taken down in reverse. */
struct running {
    const struct cli_options *options;
    struct aws_models *models;
    struct engine_rules *rules;
    struct store *store;
    struct net *net;
    struct aws_client *client;
    struct engine_intake *intake;
    struct notify notify;
    struct str accounts[RUNNING_NAMES_MAX], regions[RUNNING_NAMES_MAX];
    size_t account_count, region_count;
    char queue_names[RUNNING_QUEUES_MAX][16];
    struct engine_set *sources_set; // that they are of: they change with a restart only
    struct policy_source source_list[LIMIT_SOURCES + RUNNING_QUEUES_MAX + SOURCE_TYPES];
    size_t source_count;
    struct net *poll_net; // NULL = there is no queue
    struct aws_client *poll_client;
    struct engine_sources *sources; // NULL = nothing is taken
    struct engine engine;
    char kill_switch[4096];
    struct seal_keys keys; // of the state key file; count 0 = none
    bool store_later;      // set before preparing: the store is opened when there is work
    bool policies_seen;    // by the store
    int64_t recalled_ms;   // which list of discovered accounts is known
    struct error why;      // why it could not be prepared: the first thing that was printed
    int64_t expected;      // rows to work off, for a progress line; 0 = none is shown
    int64_t ended_before;
    int64_t progress_ms; // when the line was written last
};

/* 0, or the exit code; what went wrong has been printed. */
int running_prepare(struct running *r, const struct cli_options *options);
void running_finish(struct running *r);
/* What was approved under another text of a policy is void. */
bool running_see_policies(struct running *r, const struct policy_set *policies, struct error *err)
    __attribute__((warn_unused_result));
/* After the store was opened: the accounts that were discovered last, and the policies are seen.
 * Part of preparing, but where the store is opened later. */
bool running_recall(struct running *r, struct error *err) __attribute__((warn_unused_result));
/* Behind running_prepare(), for those that take events. `queues` (with commas) may be NULL. */
int running_prepare_sources(struct running *r, const char *queues);
void running_finish_sources(struct running *r);
/* Worker threads, as many as --workers says. */
struct engine_workers *running_workers(struct running *r, struct error *err)
    __attribute__((warn_unused_result));
/* Threads that tell people. */
struct engine_notifier *running_notifier(struct running *r, struct error *err)
    __attribute__((warn_unused_result));
/* Ends it, once everything was tried or a while is over. */
void running_notifier_end(struct engine_notifier *notifier);
/* Works until only what waits for others is left; then counts by state to stderr. CLI_OK,
 * CLI_WAITING, CLI_FAILED; `taken` may be NULL. */
int running_work_off(struct running *r, const struct engine_taken *taken);
/* Has a signal come that ends the work? Shows progress, too. */
bool running_should_stop(void *r);
/* A bar on standard error, a few times a second and on a terminal only; the second takes it away.
 */
void running_show_bar(struct running *r, size_t done, size_t all, const char *what);
void running_end_bar(struct running *r);
/* The daemon's SIGHUP (reload.c). */
void running_reload(struct running *r, struct engine_schedule *schedule);
/* --region a,b,c. 0, or the exit code; none is none. */
int cli_regions(const struct cli_options *options, struct str ret[LIMIT_REGIONS],
                size_t *ret_count);
/* SIGTERM and SIGINT end the work after the steps that run. */
void running_catch_signals(void);

/* `rectify run` without --events. */
int cli_daemon(const struct cli_options *options);

#endif
