// SPDX-License-Identifier: Apache-2.0
/* What the files of the sources share. */
#ifndef RECTIFY_ENGINE_SOURCES_INTERNAL_H
#define RECTIFY_ENGINE_SOURCES_INTERNAL_H

#include "detect/trail.h"
#include "engine/sources.h"

#include <pthread.h>

#define SOURCE_RECEIVERS 4       // threads of one queue
#define SOURCE_WAIT_S 20         // of a long poll; SQS's own bound
#define SOURCE_VISIBLE_MS 120000 // how long a message is ours; extended at half of it

struct source;

/* A thread of a queue. The keeper looks into `held` under `mutex`. */
struct receiver {
    struct source *source;
    pthread_t thread;
    bool started;
    struct arena arena; // of the messages at hand
    struct detect_message messages[DETECT_MESSAGES_MAX];
    bool done[DETECT_MESSAGES_MAX]; // may be deleted
    size_t count;
    pthread_mutex_t mutex;
    size_t held;         // messages[0..held) are being worked on
    int64_t extended_ms; // steady; when they became, or stayed, ours
};

struct source {
    struct engine_sources *owner;
    struct policy_source config; // a copy
    struct engine_origin origin;
    struct detect_queue queue; // sqs
    struct detect_trail trail;
    struct receiver receivers[SOURCE_RECEIVERS];
    /* under the owner's mutex */
    int64_t heard_ms; // steady: the last event; before the first one the start
    int64_t heard_at; // wall clock; 0 = never
    bool silent;      // and told
    bool failing;     // its queue cannot be read
    struct error failure;
    int64_t events, matches, duplicates, bad;
    int64_t digests, broken; // that vouched for their files; that did not, and files changed
};

struct engine_sources {
    struct engine *engine;
    struct engine_intake *intake;
    struct engine_sources_options options;
    struct arena arena; // of the sources
    struct source *items;
    size_t count;
    struct engine_workers *workers;
    pthread_mutex_t mutex;
    pthread_cond_t wake; // stopping
    bool stopping;
    bool full;       // too much is at work already: queues wait
    bool store_away; // what was received could not be kept: queues wait
    pthread_t keeper;
    bool keeping;
    unsigned watched; // how often; the keeper's
};

/* ---- sources.c ---- */
bool source_stopping(struct engine_sources *sources);
void source_sleep(struct engine_sources *sources, int64_t ms); // or until stopping
/* Counts what came, tells of a silence's end, wakes workers. */
void source_heard(struct source *source, const struct engine_taken *taken);
/* The store could not keep something. */
void source_store_away(struct engine_sources *sources, const struct error *err);
/* A record that names the source. False: the store failed. */
bool source_record(struct source *source, const char *kind, const char *code, const char *message,
                   struct str subject, struct error *err) __attribute__((warn_unused_result));
enum source_took {
    TOOK_ALL,     // durable
    TOOK_LATER,   // the store or AWS did not answer
    TOOK_REFUSED, // try again a few times
    TOOK_NEVER,   // trying again does not help
};
/* Events in a text that is not packed: ALL or LATER. */
enum source_took source_take_text(struct source *source, struct str text,
                                  struct engine_taken *taken, struct error *err);

/* ---- source_sqs.c ---- */
void *source_receive(void *receiver);                                 // a thread's function
void source_extend(struct receiver *receiver, struct arena *scratch); // if it is time
/* One receive and all that follows. False: the queue could not be read. */
bool source_receive_once(struct receiver *receiver, int wait_s, struct engine_taken *taken,
                         struct error *err) __attribute__((warn_unused_result));
void source_take_messages(struct source *source, const struct detect_message *messages,
                          size_t count, struct arena *arena, bool *done,
                          struct engine_taken *taken);

/* ---- source_files.c ---- */
enum source_took source_take_files(struct source *source, const struct detect_content *content,
                                   struct engine_taken *taken, struct error *err);

#endif
