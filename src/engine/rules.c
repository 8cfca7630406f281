// SPDX-License-Identifier: Apache-2.0
/* The policies in use, replaced as a whole while others work: whoever works holds the set with
 * which it began, and the last one to let an old set go destroys it. Any thread. */
#include "engine/rules_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define IDLE_SCRATCHES 64

struct held_set {
    struct engine_set set; // first, so that one is the other
    atomic_uint holders;   // the cell is one as long as the set is current
    pthread_mutex_t mutex; // of the scratches
    struct detect_scratch *idle[IDLE_SCRATCHES];
    size_t idle_count;
};

struct engine_rules {
    pthread_mutex_t mutex;
    struct held_set *current;
};

static void destroy_set(struct held_set *held)
{
    for (size_t i = 0; i < held->idle_count; i++)
        detect_scratch_destroy(held->idle[i]);
    detector_destroy(held->set.detector);
    policy_set_destroy(held->set.policies);
    pthread_mutex_destroy(&held->mutex);
    free(held);
}

/* Takes the policies. */
static struct held_set *create_set(struct policy_set *policies, struct error *err)
{
    struct held_set *held = calloc(1, sizeof *held);
    struct detector *detector = held ? detector_create(policies, err) : NULL;
    if (!detector) {
        if (!held)
            error_set(err, "E0007", "out of memory");
        policy_set_destroy(policies);
        free(held);
        return NULL;
    }
    pthread_mutex_init(&held->mutex, NULL);
    held->holders = 1;
    held->set = (struct engine_set){.policies = policies, .detector = detector, .number = 1};
    return held;
}

struct engine_rules *engine_rules_create(struct policy_set *policies, struct error *err)
{
    struct engine_rules *rules = calloc(1, sizeof *rules);
    struct held_set *first = create_set(policies, err);
    if (!rules || !first) {
        if (first)
            error_set(err, "E0007", "out of memory");
        engine_rules_release(first ? &first->set : NULL);
        free(rules);
        return NULL;
    }
    rules->current = first;
    pthread_mutex_init(&rules->mutex, NULL);
    return rules;
}

void engine_rules_destroy(struct engine_rules *rules)
{
    if (!rules)
        return;
    engine_rules_release(&rules->current->set);
    pthread_mutex_destroy(&rules->mutex);
    free(rules);
}

struct engine_set *engine_rules_hold(struct engine_rules *rules)
{
    if (!rules)
        return NULL;
    pthread_mutex_lock(&rules->mutex);
    struct held_set *held = rules->current;
    atomic_fetch_add_explicit(&held->holders, 1, memory_order_relaxed);
    pthread_mutex_unlock(&rules->mutex);
    return &held->set;
}

const struct policy *engine_set_find(const struct engine_set *set, struct str name)
{
    return set ? policy_set_find(set->policies, name) : NULL;
}

void engine_rules_release(struct engine_set *set)
{
    struct held_set *held = (struct held_set *)set;
    if (held && atomic_fetch_sub_explicit(&held->holders, 1, memory_order_acq_rel) == 1)
        destroy_set(held);
}

bool engine_rules_replace(struct engine_rules *rules, struct policy_set *policies,
                          struct error *err)
{
    struct held_set *fresh = create_set(policies, err);
    if (!fresh)
        return false;
    pthread_mutex_lock(&rules->mutex);
    struct held_set *old = rules->current;
    fresh->set.number = old->set.number + 1;
    rules->current = fresh;
    pthread_mutex_unlock(&rules->mutex);
    engine_rules_release(&old->set);
    return true;
}

struct detect_scratch *rules_borrow_scratch(struct engine_set *set)
{
    struct held_set *held = (struct held_set *)set;
    struct detect_scratch *scratch = NULL;
    pthread_mutex_lock(&held->mutex);
    if (held->idle_count)
        scratch = held->idle[--held->idle_count];
    pthread_mutex_unlock(&held->mutex);
    return scratch ? scratch : detect_scratch_create(set->detector);
}

void rules_return_scratch(struct engine_set *set, struct detect_scratch *scratch)
{
    struct held_set *held = (struct held_set *)set;
    pthread_mutex_lock(&held->mutex);
    if (scratch && held->idle_count < IDLE_SCRATCHES) {
        held->idle[held->idle_count++] = scratch;
        scratch = NULL;
    }
    pthread_mutex_unlock(&held->mutex);
    detect_scratch_destroy(scratch);
}
