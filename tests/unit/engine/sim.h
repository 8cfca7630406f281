// SPDX-License-Identifier: Apache-2.0
/* A simulated cloud for engine_step(): S3 buckets with tags, behind a seeded mix of lost replies,
 * throttling, refusals, stale reads and a virtual clock. It knows nothing of the engine. */
#ifndef RECTIFY_TESTS_ENGINE_SIM_H
#define RECTIFY_TESTS_ENGINE_SIM_H

#include "engine/engine.h"

#ifndef SIM_BUCKETS
#define SIM_BUCKETS 6
#endif
#define SIM_HISTORY 64

struct sim_version {
    int64_t at_ms;
    struct value tags; // list of {Key, Value}
};

struct sim_bucket {
    char name[32];
    bool exists, refuses; // its owner lets nobody write
    struct sim_version history[SIM_HISTORY];
    int versions;
    int writes;       // state changes by rectify
    int effects;      // of these, those that changed the tags
    int late_effects; // arrived although the gate had said no
};

struct sim {
    uint64_t random;                    // state of the generator
    _Atomic int64_t wall_ms, steady_ms; // the store reads the clock in its own thread
    struct clock clock;
    struct arena arena;
    struct sim_bucket buckets[SIM_BUCKETS];
    unsigned lost_percent, throttle_percent, fail_percent, not_sent_percent;
    int64_t lag_max_ms;       // replicas answer with states up to so old
    unsigned ignored_percent; // writes that are answered and change nothing
    int bucket;               // of the call that `on_call` is told of
    bool denied;              // every read is refused
    bool write_refused;       // every write is refused
    const char *database;     // status of every database, "" = there is none, NULL = refused
    int64_t retry_after_ms;   // that a throttled call is told
    unsigned attempt;         // what the last call said which try it is
    int calls, reads;
    int crash_after; // calls until the "process" dies, 0 = never (longjmp by the test)
    void (*on_call)(void *ctx, struct sim *sim, bool write, bool before);
    void *on_call_ctx;
};

void sim_init(struct sim *sim, uint64_t seed);
void sim_finish(struct sim *sim);
unsigned sim_below(struct sim *sim, unsigned n);
struct aws_caller sim_caller(struct sim *sim);
/* A person or another tool changes the tags; NULL key = no tags at all. */
void sim_set_tags(struct sim *sim, int bucket, const char *const *pairs, size_t count);
struct value sim_tags(const struct sim *sim, int bucket); // the newest
bool sim_has_tag(const struct sim *sim, int bucket, const char *key);

#endif
