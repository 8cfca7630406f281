// SPDX-License-Identifier: Apache-2.0
/* The queue, the leader, and the commit.
 *
 * Jobs run strictly in the order in which they were queued, all in one open transaction. It is
 * committed as soon as somebody waits for it to be durable, otherwise within SQLITE_FLUSH_DELAY_MS
 * by the flusher thread, or when it grows long. A job that finds its condition false has written
 * nothing and is answered at once; reads and claims are answered before the commit too: they see
 * what ran before them, and nothing they lead to leaves the process before a commit that comes
 * after them.
 *
 * Any error of the database inside a writing job, or in COMMIT, rolls the whole transaction back:
 * those who wait get the error, memory goes back to the last commit, leases given meanwhile are
 * void, and the next job starts afresh. */
#include "store/sqlite_internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/ensure.h"

bool sqlite_begin(struct sqlite_store *store, struct error *err)
{
    if (store->in_transaction)
        return true;
    if (store->to_look)
        return error_set(err, "S0003", "%s was opened to look at it only", store->path);
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_BEGIN, err);
    if (!stmt || !sql_done(store, stmt, err))
        return false;
    store->in_transaction = true;
    return true;
}

void sqlite_restore(struct sqlite_store *store)
{
    store->tree = store->tree_committed;
    memcpy(store->counts, store->counts_committed, sizeof store->counts);
    store->epoch_floor = store->epoch_given;
    lease_remove_all(&store->leases); // those of the last commit: the next claim remembers them
    store->leases_lost = true;
}

static void roll_back(struct sqlite_store *store, const struct error *why)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        if (store->statements[i])
            sqlite3_reset(store->statements[i]);
    if (!sqlite3_get_autocommit(store->db)) {
        struct error ignored;
        sqlite3_stmt *stmt = sql_get(store, STATEMENT_ROLLBACK, &ignored);
        if (!stmt || !sql_done(store, stmt, &ignored))
            sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    store->in_transaction = false;
    sqlite_restore(store);
    for (struct sqlite_job *job = store->unanswered; job; job = job->next) {
        job->result = STORE_ERROR;
        if (job->err)
            *job->err = *why;
    }
    if (store->early) {
        store->lost = true;
        store->lost_error = *why;
    }
    store->early = false;
}

static bool write_head(struct sqlite_store *store, struct sha256 root, int64_t now,
                       struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_HEAD, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, (int64_t)store->tree.size);
    sqlite3_bind_blob(stmt, 2, root.bytes, sizeof root.bytes, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 3, store->tree.peaks,
                      (int)(tree_peak_count(store->tree.size) * sizeof *store->tree.peaks),
                      SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, now);
    sqlite3_bind_int64(stmt, 5, store->wall_max);
    if (!sql_done(store, stmt, err))
        return false;
    for (int i = 0; i < STATE_COUNT; i++) {
        if (store->counts[i] == store->counts_committed[i])
            continue;
        if (!(stmt = sql_get(store, STATEMENT_COUNT_SET, err)))
            return false;
        sql_bind(stmt, 1, str_from(state_name((enum state)i)));
        sqlite3_bind_int64(stmt, 2, store->counts[i]);
        if (!sql_done(store, stmt, err))
            return false;
    }
    return true;
}

static bool commit(struct sqlite_store *store, struct error *err)
{
    bool grown = store->tree.size != store->tree_committed.size;
    int64_t now = grown ? sql_now(store) : store->committed_ms;
    struct sha256 root = grown ? tree_root(&store->tree) : store->root_committed;
    if (grown && !write_head(store, root, now, err))
        return false;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_COMMIT, err);
    if (!stmt || !sql_done(store, stmt, err))
        return false;
    store->in_transaction = false;
    store->early = false;
    store->tree_committed = store->tree;
    store->root_committed = root;
    memcpy(store->counts_committed, store->counts, sizeof store->counts);
    store->committed_ms = now;
    return true;
}

static void commit_or_roll_back(struct sqlite_store *store)
{
    struct error err = {0};
    if (store->in_transaction && !commit(store, &err))
        roll_back(store, &err);
}

static bool waits_for_commit(const struct sqlite_job *job)
{
    return job->durable && job->result == STORE_OK;
}

static void run_job(struct sqlite_store *store, struct sqlite_job *job)
{
    struct error err = {0};
    arena_reset(&store->scratch);
    job->result = job->run(store, job->args, &err);
    if (job->result == STORE_ERROR) {
        if (job->err)
            *job->err = err;
        if (job->writes && store->in_transaction)
            roll_back(store, &err);
        if (job->owned) {
            store->lost = true;
            store->lost_error = err;
        }
    } else if (job->writes && store->in_transaction && !waits_for_commit(job)) {
        store->early = true;
    }
}

/* Raw futexes, because a waiter that is answered needs no mutex any more: with a condition variable
 * it would wake up only to queue for one. */
static void futex_wait(atomic_int *word, int value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

/* After this the job may be gone; waking an address that is none any more is harmless. */
static void set_state(struct sqlite_job *job, enum job_state state)
{
    atomic_int *word = &job->state;
    if (atomic_exchange_explicit(word, state, memory_order_acq_rel) == JOB_SLEEPS)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool is_done(const struct sqlite_job *job)
{
    return atomic_load_explicit(&job->state, memory_order_acquire) == JOB_DONE;
}

static void answer(struct sqlite_job *list)
{
    while (list) {
        struct sqlite_job *job = list;
        list = job->next;
        if (job->owned) {
            free(job->args);
            free(job); // NOLINT(clang-analyzer-unix.Malloc): an owned one is never a local variable
        } else {
            set_state(job, JOB_DONE);
        }
    }
}

/* Runs a list of jobs. Those that wait for the commit go to `unanswered`; returns the others. */
static struct sqlite_job *run_jobs(struct sqlite_store *store, struct sqlite_job *list)
{
    struct sqlite_job *answered = NULL;
    while (list) {
        struct sqlite_job *job = list;
        list = job->next;
        run_job(store, job);
        struct sqlite_job **to = waits_for_commit(job) ? &store->unanswered : &answered;
        job->next = *to;
        *to = job;
        if (store->tree.size - store->tree_committed.size < SQLITE_BATCH_LEAVES_MAX)
            continue;
        commit_or_roll_back(store);
        while (store->unanswered) { // a later failure is not theirs any more
            job = store->unanswered;
            store->unanswered = job->next;
            job->next = answered;
            answered = job;
        }
    }
    return answered;
}

static void *flusher(void *arg);

/* Under the mutex, when leaving: somebody has to go on with what is left. */
static void hand_over(struct sqlite_store *store)
{
    struct sqlite_job *next = store->unanswered;
    if (!next)
        for (next = store->head; next && next->owned;)
            next = next->next;
    if (next)
        set_state(next, JOB_LEADS);
    if ((store->in_transaction || store->head) && !store->armed) {
        if (!store->flusher_started)
            store->flusher_started = pthread_create(&store->flusher, NULL, flusher, store) == 0;
        store->armed = store->flusher_started; // without one, the next that waits commits
        pthread_cond_signal(&store->flusher_wake);
    }
}

/* Under the mutex, nobody leading. Returns once `own` is answered; others may be left to others. */
static void lead(struct sqlite_store *store, const struct sqlite_job *own)
{
    store->leading = true;
    while (!is_done(own)) {
        struct sqlite_job *list = store->head;
        store->head = store->tail = NULL;
        pthread_mutex_unlock(&store->mutex);
        if (list) { // what comes meanwhile shares the commit
            answer(run_jobs(store, list));
        } else {
            commit_or_roll_back(store);
            list = store->unanswered;
            store->unanswered = NULL;
            answer(list);
        }
        pthread_mutex_lock(&store->mutex);
    }
    store->leading = false;
    hand_over(store);
}

static void append(struct sqlite_store *store, struct sqlite_job *job)
{
    job->next = NULL;
    if (store->head)
        store->tail->next = job;
    else
        store->head = job;
    store->tail = job;
}

/* Until the job is answered: sleeps, or leads when told to. */
static void wait_for(struct sqlite_store *store, struct sqlite_job *job)
{
    for (;;) {
        int state = JOB_WAITS;
        if (atomic_compare_exchange_strong(&job->state, &state, JOB_SLEEPS) ||
            state == JOB_SLEEPS) {
            futex_wait(&job->state, JOB_SLEEPS);
            continue;
        }
        if (state == JOB_DONE)
            return;
        pthread_mutex_lock(&store->mutex);
        state = JOB_LEADS;
        if (atomic_compare_exchange_strong(&job->state, &state, JOB_WAITS) && !store->leading)
            lead(store, job);
        pthread_mutex_unlock(&store->mutex);
    }
}

enum store_result sqlite_submit(struct sqlite_store *store, struct sqlite_job *job)
{
    pthread_mutex_lock(&store->mutex);
    append(store, job);
    bool leads = !store->leading;
    if (leads)
        lead(store, job);
    pthread_mutex_unlock(&store->mutex);
    if (!leads)
        wait_for(store, job);
    return job->result;
}

/* Under the mutex: a leader is at work and will come to it. */
static enum store_result queue_copy(struct sqlite_store *store, const struct sqlite_job *job,
                                    void *(*copy)(const void *args), struct error *err)
{
    struct sqlite_job *owned = calloc(1, sizeof *owned);
    void *args = owned ? copy(job->args) : NULL;
    if (!args) {
        free(owned);
        error_set(err, "S0006", "out of memory queueing a write");
        return STORE_ERROR;
    }
    owned->run = job->run;
    owned->args = args;
    owned->writes = job->writes;
    owned->owned = true;
    append(store, owned);
    return STORE_OK;
}

enum store_result
sqlite_submit_later(struct sqlite_store *store,
                    enum store_result (*run)(struct sqlite_store *, void *, struct error *),
                    void *args, void *(*copy)(const void *args), struct error *err)
{
    struct sqlite_job job = SQLITE_JOB(run, args, .writes = true, .err = err);
    enum store_result result;
    pthread_mutex_lock(&store->mutex);
    if (store->leading || store->head) {
        result = queue_copy(store, &job, copy, err);
        if (!store->leading)
            hand_over(store);
    } else {
        append(store, &job);
        lead(store, &job);
        result = job.result;
    }
    pthread_mutex_unlock(&store->mutex);
    return result;
}

bool sqlite_tell_lost(struct sqlite_store *store, struct error *err)
{
    if (!store->lost)
        return false;
    *err = store->lost_error;
    store->lost = false;
    return true;
}

static enum store_result run_flush(struct sqlite_store *store, void *args, struct error *err)
{
    bool *report = args;
    return *report && sqlite_tell_lost(store, err) ? STORE_ERROR : STORE_OK;
}

static enum store_result flush(struct sqlite_store *store, bool report, struct error *err)
{
    struct sqlite_job job = SQLITE_JOB(run_flush, &report, .durable = true, .err = err);
    return sqlite_submit(store, &job);
}

enum store_result sqlite_verb_flush(struct store *base, struct error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    enum store_result result = flush(store, true, err);
    struct error ignored;
    if (result == STORE_ERROR) // has been told now: the next flush does not tell it again
        (void)flush(store, true, &ignored);
    return result;
}

static void *flusher(void *arg)
{
    struct sqlite_store *store = arg;
    pthread_mutex_lock(&store->mutex);
    while (!store->closing) {
        if (!store->armed) {
            pthread_cond_wait(&store->flusher_wake, &store->mutex);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += SQLITE_FLUSH_DELAY_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        while (!store->closing &&
               pthread_cond_timedwait(&store->flusher_wake, &store->mutex, &until) != ETIMEDOUT)
            continue;
        store->armed = false;
        pthread_mutex_unlock(&store->mutex);
        struct error ignored; // kept in lost_error for the next flush
        flush(store, false, &ignored);
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

void sqlite_stop_flusher(struct sqlite_store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    bool started = store->flusher_started;
    pthread_cond_signal(&store->flusher_wake);
    pthread_mutex_unlock(&store->mutex);
    if (started)
        pthread_join(store->flusher, NULL);
}
