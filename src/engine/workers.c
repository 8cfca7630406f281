// SPDX-License-Identifier: Apache-2.0
/* Worker threads without a dispatcher: of the idle workers at most one leads. It asks the store for
 * what is due, as many rows as there are free workers and a few ahead, puts them into the ring and
 * is a worker again. Who takes one wakes one other if more is to do, one at a time, so that a
 * worker that comes back meanwhile goes on without any thread being woken. Where none sleeps and
 * fewer than allowed are there, one is started: sixty-four threads cost milliseconds, and whoever
 * has one event needs two.
 *
 *   store ──claim── leader ──► ring ──► worker 1..n ──► engine_step ──► ring empty? lead, or sleep
 *
 * Waiting costs a row, not a thread. */
#include "engine/engine.h"

#include "base/fault.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS_MAX 512
#define AHEAD_SHARE 4        // a claim takes up to 1/4 of the workers' number more than are free
#define FAILING_PAUSE_MS 500 // between attempts while the store fails
#define FAILING_MS 3000      // of trouble: a drain gives up; without: the trouble is over
#define SOON_MS 2000
#define TEND_EVERY_S 1
#define IDLE_MS 200 // how long the leader sleeps when nothing tells it of new work

struct engine_workers {
    struct engine *engine;
    pthread_mutex_t mutex;
    pthread_cond_t work; // the ring has something, or nobody leads
    pthread_cond_t wake; // the leader sleeps here
    pthread_cond_t tend; // the tender does
    struct store_claim ring[2 * WORKERS_MAX], claims[2 * WORKERS_MAX]; // the latter: the leader's
    int head, queued, busy, count, count_max;
    int sleeping; // on `work`
    bool led;     // a worker leads
    bool waking;  // one of the sleeping, or a new one, is on its way
    bool stopping, woken, draining;
    /* When the next row is due, as the last claim told; not known again once a step has ended. */
    int64_t next_due_ms;
    bool next_known;
    pthread_t tender; // leads rollouts on
    bool tended;
    /* The store fails (work rests until a claim is durable) or not. Trouble began with the first
     * failure and outlives short recoveries: a full disk has room for a small record now and then.
     *
     *   fails ─┐   ┌─ works ─┐   ┌─ works for FAILING_MS: no trouble
     *          └───┘         └───┘
     *          │◄─ trouble_ms    │ works_ms                                   (all steady) */
    bool failing;
    int64_t trouble_ms, works_ms; // 0: never
    struct error failure;
    int failures; // so far
    /* What the steps under way hold. After trouble the other leases of this process are ended: the
     * step that failed, or whose writes were lost, is over, and its row would wait for nobody. */
    struct store_claim held[WORKERS_MAX];
    bool leases_in_doubt;
    pthread_t threads[WORKERS_MAX];
};

static void *work(void *arg);

static bool start_thread(pthread_t *ret, void *(*run)(void *arg), struct engine_workers *w)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 512 * 1024);
    bool ok = pthread_create(ret, &small, run, w) == 0;
    pthread_attr_destroy(&small);
    return ok;
}

/* Under the mutex. Where the system gives no more threads those that are there go on. */
static bool start_one(struct engine_workers *w)
{
    if (!start_thread(&w->threads[w->count], work, w))
        return false;
    w->count++;
    return w->waking = true;
}

/* Under the mutex: one is enough, it wakes the next by itself. */
static void wake_one(struct engine_workers *w)
{
    if (w->waking || w->stopping || (!w->queued && w->led))
        return;
    if (!w->sleeping) {
        (void)(w->count < w->count_max && start_one(w));
        return;
    }
    w->waking = true;
    pthread_cond_signal(&w->work);
}

/* Under the mutex. Said once, not for each row that meets it. */
static void store_fails(struct engine_workers *w, const struct error *err)
{
    w->leases_in_doubt = true;
    if (w->failing)
        return;
    int64_t now = clock_steady_ms(w->engine->clock);
    if (!w->trouble_ms || now - w->works_ms > FAILING_MS)
        w->trouble_ms = now + 1; // never 0
    w->failing = true;
    w->failures++;
    w->failure = *err;
    log_line(LOG_ERROR, "the store cannot be read or written, work rests: %s", err->message);
}

static void store_works(struct engine_workers *w)
{
    log_line(LOG_WARN, "the store works again");
    w->works_ms = clock_steady_ms(w->engine->clock);
    w->failing = false;
}

static void let_go(struct engine_workers *w, struct store_claim claim)
{
    int at = 0;
    while (w->held[at].id != claim.id || w->held[at].epoch != claim.epoch)
        at++;
    w->held[at] = w->held[--w->busy];
}

/* Under the mutex: takes one from the ring and walks it. */
static void run_one(struct engine_workers *w, struct arena *scratch)
{
    struct store_claim claim = w->ring[w->head];
    struct error err;
    int failures = w->failures;
    w->head = (w->head + 1) % (2 * WORKERS_MAX);
    w->queued--;
    w->held[w->busy++] = claim;
    wake_one(w);
    pthread_mutex_unlock(&w->mutex);
    bool ok = engine_step(w->engine, &claim, scratch, &err);
    pthread_mutex_lock(&w->mutex);
    if (!ok)
        store_fails(w, &err);
    if (w->failures != failures) // its writes may have been lost on the way
        w->leases_in_doubt = true;
    let_go(w, claim);
    w->next_known = false;
    if (w->draining && !w->queued) { // whoever waits for the end wants to know it
        w->woken = true;
        pthread_cond_signal(&w->wake);
    }
}

/* Has the store come back? What was lost before is told to nobody any more; a record says that work
 * goes on, once it is on disk. */
static bool store_is_back(struct engine_workers *w, struct error *err)
{
    struct error lost;
    (void)!store_flush(w->engine->store, &lost);
    return store_record(w->engine->store, STR("store works again"), STR("{}"), err) == STORE_OK;
}

/* The leader's: the leases that nobody holds any more end, if there may be such. */
static bool end_leases(struct engine_workers *w, struct error *err)
{
    struct store_claim held[WORKERS_MAX];
    pthread_mutex_lock(&w->mutex);
    bool in_doubt = w->leases_in_doubt;
    int count = in_doubt ? w->busy : 0;
    memcpy(held, w->held, (size_t)count * sizeof *held);
    w->leases_in_doubt = false; // may be so again before this has ended
    pthread_mutex_unlock(&w->mutex);
    return !in_doubt || store_end_leases(w->engine->store, held, (size_t)count, err) == STORE_OK;
}

/* Claims up to `wanted`. 0: something was due; else how long to sleep, in ms. */
static int64_t claim_some(struct engine_workers *w, int wanted, bool failing)
{
    struct error err;
    size_t count = 0;
    int64_t next = INT64_MAX;
    bool ok =
        (!failing || store_is_back(w, &err)) && end_leases(w, &err) &&
        store_claim(w->engine->store, (size_t)wanted, fault_ms("RECTIFY_LEASE_MS", ENGINE_LEASE_MS),
                    fault_ms("RECTIFY_GRACE_MS", ENGINE_GRACE_MS), w->claims, &count, &next,
                    &err) == STORE_OK;
    pthread_mutex_lock(&w->mutex);
    if (!ok)
        store_fails(w, &err);
    else if (failing)
        store_works(w);
    w->next_known = ok && count == 0;
    w->next_due_ms = next;
    for (size_t i = 0; ok && i < count; i++)
        w->ring[(w->head + w->queued++) % (2 * WORKERS_MAX)] = w->claims[i];
    pthread_mutex_unlock(&w->mutex);
    int64_t until = next == INT64_MAX ? IDLE_MS : next - clock_wall_ms(w->engine->clock);
    if (!ok)
        return FAILING_PAUSE_MS;
    if (count)
        return 0;
    return until < 1 ? 1 : until < IDLE_MS ? until : IDLE_MS;
}

/* `whole`: for the whole time, whoever wakes. */
static void sleep_a_while(struct engine_workers *w, int64_t wait_ms, bool whole)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!w->stopping && (whole || !w->woken))
        if (pthread_cond_timedwait(&w->wake, &w->mutex, &until) != 0)
            break;
}

/* Under the mutex, the ring empty and nobody leading: until there is work. */
static void lead(struct engine_workers *w)
{
    w->led = true;
    while (!w->stopping && !w->queued) {
        w->woken = false; // what comes from here on is either claimed now or wakes
        int wanted = w->count_max - w->busy + w->count_max / AHEAD_SHARE;
        bool failing = w->failing;
        if (failing)
            sleep_a_while(w, FAILING_PAUSE_MS, true);
        pthread_mutex_unlock(&w->mutex);
        int64_t wait_ms = claim_some(w, wanted, failing);
        pthread_mutex_lock(&w->mutex);
        if (wait_ms && !w->failing)
            sleep_a_while(w, wait_ms, false);
    }
    w->led = false;
}

static void *work(void *arg)
{
    struct engine_workers *w = arg;
    struct arena scratch ARENA_AUTO = {0};
    pthread_mutex_lock(&w->mutex);
    w->waking = false;
    while (!w->stopping) {
        if (w->queued) {
            run_one(w, &scratch);
        } else if (!w->led) {
            lead(w);
        } else {
            w->sleeping++;
            pthread_cond_wait(&w->work, &w->mutex);
            w->sleeping--;
            w->waking = false;
        }
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* Rollouts wait for a time, and for answers of others: no worker does that. */
static void *tend(void *arg)
{
    struct engine_workers *w = arg;
    int64_t last_ms = 0, next_ms;
    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        struct error err;
        pthread_mutex_unlock(&w->mutex);
        int64_t now_ms = clock_wall_ms(w->engine->clock);
        if (!engine_tend(w->engine, last_ms, &next_ms, &err))
            log_line(LOG_WARN, "rollouts: %s", err.message);
        last_ms = now_ms;
        pthread_mutex_lock(&w->mutex);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += TEND_EVERY_S;
        while (!w->stopping && pthread_cond_timedwait(&w->tend, &w->mutex, &until) == 0)
            ;
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

struct engine_workers *engine_workers_start(struct engine *engine, int count, struct error *err)
{
    struct engine_workers *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
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
    pthread_cond_init(&w->tend, &monotonic);
    pthread_condattr_destroy(&monotonic);
    w->count_max = count > WORKERS_MAX ? WORKERS_MAX : count;
    pthread_mutex_lock(&w->mutex);
    w->tended = start_one(w) && start_thread(&w->tender, tend, w);
    pthread_mutex_unlock(&w->mutex);
    if (!w->count) {
        error_set(err, "E0004", "cannot start threads");
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

/* Nobody works: is nothing left but what may wait, and longer than a person at a terminal would? */
static bool drained(struct engine_workers *w, int64_t next_due_ms, bool *ret, struct error *err)
{
    int64_t counts[STATE_COUNT], waiting = 0;
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
    *ret = !waiting || next_due_ms == INT64_MAX ||
           next_due_ms - clock_wall_ms(w->engine->clock) > SOON_MS;
    return true;
}

bool engine_workers_drain(struct engine_workers *w, bool (*stop)(void *ctx), void *ctx,
                          struct error *err)
{
    for (int64_t pause_ms = 1;; pause_ms = pause_ms < 50 ? pause_ms * 2 : 50) {
        bool done = false;
        pthread_mutex_lock(&w->mutex);
        w->draining = true;
        bool resting = w->busy == 0 && w->queued == 0 && w->next_known;
        int64_t next_due_ms = w->next_due_ms;
        bool lost = w->failing && clock_steady_ms(w->engine->clock) - w->trouble_ms > FAILING_MS;
        if (lost)
            *err = w->failure;
        pthread_mutex_unlock(&w->mutex);
        if (lost)
            return false;
        if (stop && stop(ctx))
            return true;
        if (resting) {
            if (!drained(w, next_due_ms, &done, err))
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
    pthread_cond_broadcast(&w->tend);
    pthread_mutex_unlock(&w->mutex);
    if (w->tended)
        pthread_join(w->tender, NULL);
    for (int i = 0; i < w->count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->tend);
    free(w);
}
