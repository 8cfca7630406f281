// SPDX-License-Identifier: Apache-2.0
/* The threads: each takes the next unit of work and runs its events through one detector, or two.
 * See replay.h. The first failure stops all. */
#include "replay/replay_internal.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
#define TICK_MS 100
#define FLUSH_EVENTS 4096 // counters are shared so often

struct run {
    const struct replay_options *options;
    struct detector *now, *before; // before: NULL = none
    struct replay_work work;
    struct replay_tally *tally;
    atomic_size_t next;
    atomic_uint_fast64_t stored, bytes, events, matches, bad, unnamed;
    atomic_bool stop;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t ended;
    unsigned running;
    struct error failure, first_bad; // code NULL = none
};

struct worker {
    struct run *run;
    struct detect_scratch *now, *before;
    struct arena arena;
    struct replay_bytes part;
    uint64_t bytes, events; // not shared yet
};

static void fail(struct run *run, const struct error *err)
{
    pthread_mutex_lock(&run->lock);
    if (!run->failure.code)
        run->failure = *err;
    pthread_mutex_unlock(&run->lock);
    atomic_store(&run->stop, true);
}

/* `err` is a piece of input that could not be used. */
static void note_bad(struct run *run, const struct replay_unit *unit, atomic_uint_fast64_t *counter,
                     const struct error *err)
{
    if (atomic_load(&run->bad) + atomic_load(&run->unnamed) == 0) {
        pthread_mutex_lock(&run->lock);
        if (!run->first_bad.code) {
            run->first_bad = *err;
            error_context(&run->first_bad, "%s", unit->path);
        }
        pthread_mutex_unlock(&run->lock);
    }
    atomic_fetch_add(counter, 1);
}

static void flush(struct worker *w)
{
    atomic_fetch_add(&w->run->bytes, w->bytes);
    atomic_fetch_add(&w->run->events, w->events);
    w->bytes = w->events = 0;
}

static bool count_matches(struct worker *w, const struct detect_result *found,
                          enum replay_side side, struct error *err)
{
    struct str actor = value_path_str(found->event, "actor");
    struct str day = str_sub(value_path_str(found->event, "time"), 0, 10);
    for (size_t i = 0; i < found->match_count; i++) {
        struct resource resource;
        bool fresh;
        if (!resource_parse(found->matches[i].resource, &resource))
            return error_set(err, "Y0005", "a resource key that cannot be read");
        struct replay_match match = {side,
                                     found->matches[i].policy->name,
                                     resource.account,
                                     actor.len ? actor : STR("(not named)"),
                                     day.len ? day : STR("(no time)"),
                                     found->key,
                                     found->matches[i].resource};
        if (!replay_tally_add(w->run->tally, &match, &fresh, err))
            return false;
        if (fresh && side == REPLAY_NOW)
            atomic_fetch_add(&w->run->matches, 1);
    }
    return true;
}

/* False: stop everything. */
static bool take_side(struct worker *w, const struct replay_unit *unit, struct str text,
                      enum replay_side side)
{
    struct run *run = w->run;
    const struct detector *detector = side == REPLAY_NOW ? run->now : run->before;
    struct detect_result found;
    struct error err;
    if (!detector || !detect_may_match(detector, text))
        return true;
    bool good = detect_event(detector, side == REPLAY_NOW ? w->now : w->before, text,
                             run->options->scope, run->options->now_ms, &w->arena, &found, &err);
    bool ok = true;
    if (good && found.note_count && side == REPLAY_NOW) {
        error_set(&err, "Y0006", "%.*s names no usable resource: %.*s", STR_FMT(found.name),
                  STR_FMT(found.notes[0]));
        note_bad(run, unit, &run->unnamed, &err);
    }
    if (good && !(ok = count_matches(w, &found, side, &err)))
        fail(run, &err);
    if (!good && (side == REPLAY_NOW || !detect_may_match(run->now, text)))
        note_bad(run, unit, &run->bad, &err);
    arena_reset(&w->arena);
    return ok;
}

static void take_events(struct worker *w, const struct replay_unit *unit,
                        struct detect_reader *reader)
{
    struct run *run = w->run;
    for (;;) {
        struct str text;
        struct error err;
        enum detect_read got = detect_reader_next(reader, &text, &err);
        if (got == DETECT_READ_END)
            break;
        if (got == DETECT_READ_BAD) {
            note_bad(run, unit, &run->bad, &err);
            continue;
        }
        w->bytes += text.len;
        w->events++;
        if (!take_side(w, unit, text, REPLAY_NOW) || !take_side(w, unit, text, REPLAY_BEFORE))
            break;
        if (w->events == FLUSH_EVENTS) {
            flush(w);
            if (atomic_load(&run->stop))
                break;
        }
    }
    flush(w);
}

static bool take_unit(struct worker *w, const struct replay_unit *unit, struct error *err)
{
    struct detect_reader *reader;
    struct str text;
    int fd = -1;
    if (unit->is_part) {
        if (!replay_read_part(unit, &w->part, &text, err))
            return false;
        reader = detect_reader_create_text(text, err);
    } else {
        bool standard = strcmp(unit->path, "-") == 0;
        fd = standard ? dup(STDIN_FILENO) : open(unit->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return error_set(err, "Y0001", "cannot read %s: %s", unit->path, strerror(errno));
        reader = detect_reader_create(fd, err);
    }
    if (reader)
        take_events(w, unit, reader);
    detect_reader_destroy(reader);
    if (fd >= 0)
        close(fd);
    atomic_fetch_add(&w->run->stored, unit->to - unit->from);
    return reader != NULL;
}

static void *work(void *arg)
{
    struct run *run = arg;
    struct worker w = {.run = run, .now = detect_scratch_create(run->now)};
    struct error err;
    if (run->before)
        w.before = detect_scratch_create(run->before);
    if (!w.now || (run->before && !w.before)) {
        error_set(&err, "Y0003", "out of memory");
        fail(run, &err);
    }
    while (!atomic_load(&run->stop)) {
        size_t i = atomic_fetch_add(&run->next, 1);
        if (i >= run->work.count)
            break;
        if (!take_unit(&w, &run->work.units[i], &err))
            fail(run, &err);
    }
    detect_scratch_destroy(w.now);
    detect_scratch_destroy(w.before);
    arena_finish(&w.arena);
    free(w.part.ptr);
    pthread_mutex_lock(&run->lock);
    run->running--;
    pthread_cond_signal(&run->ended);
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

static void tell(struct run *run)
{
    struct replay_progress progress = {atomic_load(&run->stored), run->work.bytes,
                                       atomic_load(&run->events), atomic_load(&run->matches)};
    if (run->options->progress)
        run->options->progress(run->options->progress_ctx, &progress);
}

static void wait_for_all(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    while (run->running) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&run->ended, &run->lock, &until);
        pthread_mutex_unlock(&run->lock);
        tell(run);
        pthread_mutex_lock(&run->lock);
    }
    pthread_mutex_unlock(&run->lock);
}

static unsigned thread_count(const struct run *run)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = run->options->threads ? run->options->threads : cores > 0 ? (size_t)cores : 1;
    count = count < run->work.count ? count : run->work.count;
    return (unsigned)(count < THREADS_MAX ? count : THREADS_MAX);
}

static bool run_threads(struct run *run, struct error *err)
{
    pthread_t threads[THREADS_MAX];
    unsigned count = thread_count(run), started = 0;
    run->running = count;
    while (started < count && pthread_create(&threads[started], NULL, work, run) == 0)
        started++;
    pthread_mutex_lock(&run->lock);
    run->running -= count - started;
    pthread_mutex_unlock(&run->lock);
    if (started == 0)
        return error_set(err, "Y0003", "cannot start a thread");
    wait_for_all(run);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (run->failure.code)
        *err = run->failure;
    return !run->failure.code;
}

static bool name_policies(struct run *run, const struct policy_set *set, enum replay_side side)
{
    for (size_t i = 0; set && i < policy_set_count(set); i++)
        if (!replay_tally_name(run->tally, policy_set_at(set, i)->name, side))
            return false;
    return true;
}

static bool prepare(struct run *run, struct error *err)
{
    const struct replay_options *o = run->options;
    run->tally = replay_tally_create(LIMIT_REPLAY_MATCHES);
    if (!run->tally || !name_policies(run, o->policies, REPLAY_NOW) ||
        !name_policies(run, o->against, REPLAY_BEFORE))
        return error_set(err, "Y0003", "out of memory");
    run->now = detector_create(o->policies, err);
    if (!run->now)
        return false;
    if (o->against && !(run->before = detector_create(o->against, err)))
        return false;
    return replay_work_find(&run->work, o->paths, o->path_count, err);
}

static bool finish(struct run *run, struct arena *arena, struct replay_result *ret,
                   struct error *err)
{
    struct replay_result result = {.files = run->work.files,
                                   .files_passed_over = run->work.passed_over,
                                   .bytes = atomic_load(&run->bytes),
                                   .events = atomic_load(&run->events),
                                   .bad = atomic_load(&run->bad),
                                   .unnamed = atomic_load(&run->unnamed),
                                   .first_bad = run->first_bad};
    if (!replay_tally_result(run->tally, arena, &result))
        return error_set(err, "Y0003", "out of memory");
    *ret = result;
    return true;
}

bool replay_run(const struct replay_options *options, struct arena *arena,
                struct replay_result *ret, struct error *err)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return error_set(err, "Y0003", "out of memory");
    run->options = options;
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->ended, NULL);
    bool ok = prepare(run, err) && run_threads(run, err) && finish(run, arena, ret, err);
    detector_destroy(run->now);
    detector_destroy(run->before);
    replay_tally_destroy(run->tally);
    replay_work_finish(&run->work);
    pthread_cond_destroy(&run->ended);
    pthread_mutex_destroy(&run->lock);
    free(run);
    return ok;
}
