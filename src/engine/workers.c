// SPDX-License-Identifier: Apache-2.0
/* Worker threads. One dispatcher asks the store for what is due, as many rows as there are free
 * workers, and hands them over through a ring; a worker runs engine_step() and asks for more.
 * Waiting costs a row, not a thread.
 *
 *   store ──claim──► dispatcher ──► ring ──► worker 1..n ──► engine_step */
#include "engine/engine.h"

#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define WORKERS_MAX 512
#define SOON_MS 2000
#define IDLE_MS 200 // how long the dispatcher sleeps when nothing tells it of new work

struct engine_workers {
    struct engine *engine;
    pthread_mutex_t mutex;
    pthread_cond_t work, wake;
    struct store_claim ring[WORKERS_MAX];
    int head, queued, busy, count;
    bool stopping, woken;
    int64_t generation; // of engine_workers_wake
    pthread_t dispatcher, threads[WORKERS_MAX];
};

static void *work(void *arg)
{
    struct engine_workers *w = arg;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (w->queued == 0 && !w->stopping)
            pthread_cond_wait(&w->work, &w->mutex);
        if (w->queued == 0)
            break;
        struct store_claim claim = w->ring[w->head];
        w->head = (w->head + 1) % WORKERS_MAX;
        w->queued--;
        w->busy++;
        pthread_mutex_unlock(&w->mutex);
        struct error err;
        if (!engine_step(w->engine, &claim, &err))
            log_line(LOG_ERROR, "r%lld: %s", (long long)claim.id, err.message);
        pthread_mutex_lock(&w->mutex);
        w->busy--;
        w->woken = true;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* Claims for the free workers. False: nothing was due; *ret_wait_ms says how long to sleep. */
static bool claim_some(struct engine_workers *w, int free_workers, int64_t *ret_wait_ms)
{
    struct store_claim claims[WORKERS_MAX];
    struct error err;
    size_t count = 0;
    int64_t next = INT64_MAX;
    *ret_wait_ms = IDLE_MS;
    if (store_claim(w->engine->store, (size_t)free_workers, ENGINE_LEASE_MS, ENGINE_GRACE_MS,
                    claims, &count, &next, &err) == STORE_ERROR) {
        log_line(LOG_ERROR, "the store cannot be read or written: %s", err.message);
        *ret_wait_ms = 1000;
        return false;
    }
    int64_t until = next == INT64_MAX ? IDLE_MS : next - clock_wall_ms(w->engine->clock);
    if (until < *ret_wait_ms)
        *ret_wait_ms = until > 1 ? until : 1;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < count; i++)
        w->ring[(w->head + w->queued++) % WORKERS_MAX] = claims[i];
    if (count == 1)
        pthread_cond_signal(&w->work);
    else if (count)
        pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->mutex);
    return count > 0;
}

static void sleep_until_woken(struct engine_workers *w, int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!w->stopping && !w->woken)
        if (pthread_cond_timedwait(&w->wake, &w->mutex, &until) != 0)
            break;
    w->woken = false;
}

static void *dispatch(void *arg)
{
    struct engine_workers *w = arg;
    int64_t wait_ms = 0;
    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        int free_workers = w->count - w->busy - w->queued;
        if (free_workers <= 0) {
            sleep_until_woken(w, IDLE_MS);
            continue;
        }
        pthread_mutex_unlock(&w->mutex);
        bool some = claim_some(w, free_workers, &wait_ms);
        pthread_mutex_lock(&w->mutex);
        if (!some)
            sleep_until_woken(w, wait_ms);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

struct engine_workers *engine_workers_start(struct engine *engine, int count, struct error *err)
{
    struct engine_workers *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    pthread_attr_t small;
    if (!w) {
        error_set(err, "E0003", "out of memory");
        return NULL;
    }
    w->engine = engine;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 512 * 1024);
    count = count > WORKERS_MAX ? WORKERS_MAX : count;
    while (w->count < count && pthread_create(&w->threads[w->count], &small, work, w) == 0)
        w->count++;
    bool ok = w->count > 0 && pthread_create(&w->dispatcher, &small, dispatch, w) == 0;
    pthread_attr_destroy(&small);
    if (!ok) {
        error_set(err, "E0004", "cannot start threads");
        w->dispatcher = 0;
        engine_workers_stop(w);
        return NULL;
    }
    return w;
}

void engine_workers_wake(struct engine_workers *w)
{
    pthread_mutex_lock(&w->mutex);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

/* States in which a row may wait for others, or long: those of a file run that are not waited for.
 */
static bool may_wait(enum state state)
{
    return (state_flags(state) & STATE_WAITING) || state == STATE_UNREAD ||
           state == STATE_UNKNOWN || state == STATE_UNDOING;
}

/* Is what may wait due within a time that a person at a terminal would wait? */
static bool soon_due(struct engine_workers *w, bool *ret, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct remediation *rows;
    size_t count;
    struct store_filter filter = {.state = -1, .active_only = true, .limit = 1000};
    int64_t now = clock_wall_ms(w->engine->clock);
    if (store_list(w->engine->store, &filter, &arena, &rows, &count, err) != STORE_OK)
        return false;
    *ret = false;
    for (size_t i = 0; i < count; i++)
        *ret = *ret || rows[i].due_ms - now <= SOON_MS;
    return true;
}

static bool drained(struct engine_workers *w, bool *ret, struct error *err)
{
    int64_t counts[STATE_COUNT], waiting = 0;
    bool soon = false;
    *ret = false;
    if (store_counts(w->engine->store, counts, err) != STORE_OK)
        return false;
    for (int i = 0; i < STATE_COUNT; i++) {
        if (state_is_terminal((enum state)i) || counts[i] == 0)
            continue;
        if (!may_wait((enum state)i))
            return true;
        waiting += counts[i];
    }
    if (waiting && !soon_due(w, &soon, err))
        return false;
    *ret = !soon;
    return true;
}

bool engine_workers_drain(struct engine_workers *w, bool (*stop)(void *ctx), void *ctx,
                          struct error *err)
{
    for (int64_t pause_ms = 1;; pause_ms = pause_ms < 50 ? pause_ms * 2 : 50) {
        bool done = false;
        pthread_mutex_lock(&w->mutex);
        bool resting = w->busy == 0 && w->queued == 0;
        pthread_mutex_unlock(&w->mutex);
        if (stop && stop(ctx))
            return true;
        if (resting) {
            if (!drained(w, &done, err))
                return false;
            if (done)
                return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)pause_ms * 1000000}, NULL);
    }
}

void engine_workers_stop(struct engine_workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    w->queued = 0; // their leases run out; nothing has begun
    pthread_cond_broadcast(&w->work);
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    if (w->dispatcher)
        pthread_join(w->dispatcher, NULL);
    for (int i = 0; i < w->count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->wake);
    free(w);
}
