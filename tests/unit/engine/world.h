// SPDX-License-Identifier: Apache-2.0
/* A world for engine_step(): policies, models, a store in memory and the simulated cloud, on a
 * virtual clock. */
#ifndef RECTIFY_TESTS_ENGINE_WORLD_H
#define RECTIFY_TESTS_ENGINE_WORLD_H

#include "../cmocka_all.h"

#include "sim.h"

#define ACCOUNT "123456789012"
#define ENFORCE "{mode: enforce}"

struct world {
    struct sim sim;
    struct aws_models *models;
    struct policy_set *policies; // those in use
    struct engine_rules *rules;
    struct store *store;
    struct engine engine;
    struct arena arena, scratch; // scratch: of one step
    char dir[64];
    int events;
};

/* Wants a cost-center tag on each bucket; without its `guard`. */
extern const char world_policy[];
void world_write_file(const char *dir, const char *name, const char *text);
/* Opens the models for all worlds of the program, runs the tests, closes them. */
int world_run_tests(const struct CMUnitTest *tests, size_t count);

/* One policy, `policy` with this guard; enforced everywhere. */
void world_init_with(struct world *w, uint64_t seed, const char *policy, const char *guard);
/* The same with world_policy. */
void world_init(struct world *w, uint64_t seed, const char *guard);
void world_finish(struct world *w);
void send_event_by(struct world *w, int bucket, const char *name, const char *actor);
void send_event(struct world *w, int bucket);
/* One due row, or time passes until the next. False: nothing is due any more. */
bool world_step(struct world *w);
/* Until nothing is due any more. */
void world_run(struct world *w);
struct remediation world_get(struct world *w, int64_t id);

#endif
