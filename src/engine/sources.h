// SPDX-License-Identifier: Apache-2.0
/* Where events come from. One table of kinds: a file (or standard input) and HTTP are handed over
 * by whoever reads them; a queue is polled by threads of its own. Each speaks only for the accounts
 * and regions that are listed for it, and its silence, if it is expected to speak, is told.
 *
 *   file, standard input ──► engine_sources_take_file ─┐
 *   POST /events ──────────► engine_sources_take_text ─┼─► intake ─► store (durable)
 *   Lambda's batch ────────► engine_sources_take_messages ─┤
 *   queue ◄── receive, extend, delete ──► receivers ───┘
 *
 * A message leaves its queue only when all that it holds is durable, or is in the log as set aside.
 * What fails for a reason of its own is left to be handed out again, and set aside with the reason
 * at the LIMIT_DELIVERIES'th time; what fails because the store or AWS does not answer is left for
 * as long as that takes. Any thread. */
#ifndef RECTIFY_ENGINE_SOURCES_H
#define RECTIFY_ENGINE_SOURCES_H

#include "detect/queue.h"
#include "engine/engine.h"

struct engine_sources;

struct engine_sources_options {
    struct engine *engine;
    struct engine_intake *intake;
    const struct policy_source *list; // copied; a file and HTTP for any account are added where
    size_t count;                     //   none is listed
    /* Only for calls that wait for messages (engine->caller makes the others), and what ends those
     * that wait, for good; without a queue in the list neither is needed. */
    struct aws_caller poll;
    void (*stop_polls)(void *ctx);
    void *stop_ctx;
};
/* Nothing is read yet. Its time is engine->clock's. */
struct engine_sources *engine_sources_create(const struct engine_sources_options *options,
                                             struct error *err) __attribute__((warn_unused_result));
/* Polls queues and watches for silence, until stopped; `workers` are woken by what comes. */
bool engine_sources_start(struct engine_sources *sources, struct engine_workers *workers,
                          struct error *err) __attribute__((warn_unused_result));
/* What has been received is finished first, or given back to its queue. */
void engine_sources_stop(struct engine_sources *sources);
void engine_sources_destroy(struct engine_sources *sources); // stopped before; NULL is allowed

/* As engine_take_text() and engine_take_events(), for the source of that type. */
bool engine_sources_take_text(struct engine_sources *sources, struct str text,
                              struct engine_taken *ret, struct error *err)
    __attribute__((warn_unused_result));
bool engine_sources_take_file(struct engine_sources *sources, int fd, struct engine_taken *ret,
                              struct error *err) __attribute__((warn_unused_result));
/* Messages that somebody else has received and will delete, for the first queue that is listed (for
 * any account, without files, when none is). `done[i]`: it may be deleted. At most
 * DETECT_MESSAGES_MAX. */
void engine_sources_take_messages(struct engine_sources *sources,
                                  const struct detect_message *messages, size_t count, bool *done,
                                  struct engine_taken *ret);
/* Takes what waits in all queues, until each has had nothing for a few seconds or `stop` says so.
 * False: a queue cannot be read. Not beside engine_sources_start(). */
bool engine_sources_drain(struct engine_sources *sources, bool (*stop)(void *ctx), void *ctx,
                          struct engine_taken *ret, struct error *err)
    __attribute__((warn_unused_result));

/* Looks once for silence and at the backlog; the started thread does it every second. */
void engine_sources_watch(struct engine_sources *sources);
/* A list: {name, type, state: waiting, heard, silent or failing, since, last_event, expect_ms,
 * events, matches, duplicates, set_aside, digests, broken, reason}. */
struct value engine_sources_status(struct engine_sources *sources, struct arena *arena);

#endif
