// SPDX-License-Identifier: Apache-2.0
/* Events going through `rectify match`, a batch at a time:
 *
 *   reader ─► batches in a ring ─► any worker ─► printed in the order in which they were read
 *
 * The calling thread reads and prints; without workers it matches, too. A batch ends when it is
 * large, or when the next event would have to be waited for, so that `tail -f | rectify match` is
 * not behind. */
#include "cli/match_internal.h"

#include "detect/detect.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BATCH_BYTES ((size_t)256 << 10)
#define BATCH_EVENTS 2048
#define THREADS_MAX 64
#define PROGRESS_EVERY_MS 500

enum batch_state { BATCH_FREE, BATCH_FULL, BATCH_TAKEN, BATCH_DONE };

struct batch {
    enum batch_state state;
    struct arena arena; // texts, and what is to be printed
    struct str events[BATCH_EVENTS];
    const char *bad[BATCH_EVENTS]; // why the reader refused it, or NULL
    size_t count, bytes;
    uint64_t first; // number of its first event, from 1
    struct buf out, complaints;
    struct match_totals totals;
};

struct stream {
    const struct match_job *job;
    struct match_totals *totals;
    struct detect_reader *reader;
    struct batch *batches;
    size_t batch_count, read, taken, printed; // batches so far; [printed, read) are in the ring
    pthread_mutex_t lock;
    pthread_cond_t full, done;
    bool end;
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    int64_t next_progress_ms, size; // of the file, 0 = unknown
    bool failed;                    // of the calling thread
    bool no_scratch;                // of some worker; read when all have ended
};

/* ---- one event ---- */

bool match_event(const struct pattern_set *set, struct pattern_scratch *scratch, struct str text,
                 struct arena *arena, struct str *ret_text, const uint32_t **ret_tags,
                 size_t *ret_count, struct error *err)
{
    struct str wrapped = text;
    if (!pattern_match(set, text, NULL, scratch, ret_tags, ret_count, err))
        return false;
    bool record = *ret_count && (*ret_tags)[*ret_count - 1] == MATCH_RECORD;
    if (record && !detect_wrap(text, arena, &wrapped, err))
        return false;
    if (wrapped.ptr != text.ptr &&
        !pattern_match(set, wrapped, NULL, scratch, ret_tags, ret_count, err))
        return false;
    if (*ret_count && (*ret_tags)[*ret_count - 1] == MATCH_RECORD)
        --*ret_count;
    *ret_text = wrapped;
    return true;
}

/* The event on one line. */
static void add_line(struct buf *out, struct str text)
{
    while (text.ptr) {
        struct str line = str_cut(&text, '\n');
        buf_add_str(out, str_trim(line));
    }
    buf_add_byte(out, '\n');
}

static void select_event(const struct match_job *job, struct batch *b, struct str text,
                         const uint32_t *tags, size_t count)
{
    bool selected = (count > 0) != job->invert;
    for (size_t i = 0; i < count; i++)
        b->totals.by_name[tags[i]]++;
    b->totals.selected += selected;
    if (!selected || job->count)
        return;
    if (!job->names || job->invert) {
        add_line(&b->out, text);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&b->out, job->names[tags[i]]);
        buf_add_byte(&b->out, '\n');
    }
}

static void complain(const struct match_job *job, struct batch *b, uint64_t number,
                     const char *code, const char *what)
{
    b->totals.refused++;
    buf_printf(&b->complaints, "rectify: %s%sevent %llu: %s (%s)\n", job->file,
               job->file[0] ? ": " : "", (unsigned long long)number, what, code);
}

static void work_on(const struct match_job *job, struct pattern_scratch *scratch, struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct error err = {0};
        const uint32_t *tags;
        size_t count;
        struct str wrapped;
        if (b->bad[i])
            complain(job, b, b->first + i, b->bad[i], b->events[i].ptr);
        else if (match_event(job->set, scratch, b->events[i], &b->arena, &wrapped, &tags, &count,
                             &err))
            select_event(job, b, b->events[i], tags, count);
        else
            complain(job, b, b->first + i, err.code, err.message);
    }
}

/* ---- workers ---- */

static void *work(void *argument)
{
    struct stream *s = argument;
    struct pattern_scratch *scratch = pattern_scratch_create(s->job->set);
    pthread_mutex_lock(&s->lock);
    s->no_scratch |= scratch == NULL;
    for (;;) {
        while (s->taken == s->read && !s->end)
            pthread_cond_wait(&s->full, &s->lock);
        if (s->taken == s->read)
            break;
        struct batch *b = &s->batches[s->taken++ % s->batch_count];
        b->state = BATCH_TAKEN;
        pthread_mutex_unlock(&s->lock);
        if (scratch)
            work_on(s->job, scratch, b);
        pthread_mutex_lock(&s->lock);
        b->state = BATCH_DONE;
        pthread_cond_broadcast(&s->done);
    }
    pthread_mutex_unlock(&s->lock);
    pattern_scratch_destroy(scratch);
    return NULL;
}

static void start_workers(struct stream *s)
{
    while (s->thread_count < s->job->threads && s->thread_count < THREADS_MAX &&
           pthread_create(&s->threads[s->thread_count], NULL, work, s) == 0)
        s->thread_count++;
}

static void end_workers(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->end = true;
    pthread_cond_broadcast(&s->full);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->thread_count; i++)
        pthread_join(s->threads[i], NULL);
}

/* ---- reading and printing ---- */

static void show_progress(struct stream *s, bool last)
{
    int64_t now = clock_steady_ms(clock_system());
    if (!s->job->progress || (!last && now < s->next_progress_ms))
        return;
    if (s->next_progress_ms && last)
        fputs("\r\033[K", stderr);
    if (s->next_progress_ms && !last) {
        double taken = (double)detect_reader_taken(s->reader);
        fprintf(stderr, "\r%llu events, %llu selected", (unsigned long long)s->totals->events,
                (unsigned long long)s->totals->selected);
        if (s->size)
            fprintf(stderr, ", %.0f %%", 100 * taken / (double)s->size);
    }
    s->next_progress_ms = now + PROGRESS_EVERY_MS;
}

static void print_batch(struct stream *s, struct batch *b)
{
    struct str out = buf_str(&b->out), complaints = buf_str(&b->complaints);
    s->failed |= b->out.failed || b->complaints.failed;
    if (out.len)
        fwrite(out.ptr, 1, out.len, stdout);
    if (complaints.len)
        fwrite(complaints.ptr, 1, complaints.len, stderr);
    s->totals->events += b->totals.events;
    s->totals->selected += b->totals.selected;
    s->totals->refused += b->totals.refused;
    for (size_t i = 0; i < s->job->name_count; i++)
        s->totals->by_name[i] += b->totals.by_name[i];
    show_progress(s, false);
}

/* False at the end of the stream, when nothing came any more. */
static bool fill_batch(struct stream *s, struct batch *b)
{
    struct error err;
    struct str text;
    arena_reset(&b->arena);
    b->count = b->bytes = 0;
    b->first = s->totals->events + 1;
    b->out = b->complaints = (struct buf){.arena = &b->arena};
    b->totals.events = b->totals.selected = b->totals.refused = 0;
    memset(b->totals.by_name, 0, (s->job->name_count + 1) * sizeof *b->totals.by_name);
    while (b->count < BATCH_EVENTS && b->bytes < BATCH_BYTES &&
           (b->count == 0 || !detect_reader_must_wait(s->reader))) {
        enum detect_read got = detect_reader_next(s->reader, &text, &err);
        if (got == DETECT_READ_END)
            break;
        b->bad[b->count] = got == DETECT_READ_BAD ? err.code : NULL;
        b->events[b->count] =
            str_copy(&b->arena, got == DETECT_READ_BAD ? str_from(err.message) : text);
        if (!b->events[b->count].ptr) {
            s->failed = true;
            break;
        }
        b->bytes += text.len;
        b->count++;
    }
    b->totals.events = b->count;
    return b->count > 0;
}

static void print_oldest(struct stream *s)
{
    struct batch *b = &s->batches[s->printed % s->batch_count];
    pthread_mutex_lock(&s->lock);
    while (b->state != BATCH_DONE)
        pthread_cond_wait(&s->done, &s->lock);
    b->state = BATCH_FREE;
    pthread_mutex_unlock(&s->lock);
    print_batch(s, b);
    s->printed++;
}

/* Batches that are done; with `wait`, also those that are not yet. */
static void print_done(struct stream *s, bool wait)
{
    while (s->printed < s->read) {
        pthread_mutex_lock(&s->lock);
        bool done = s->batches[s->printed % s->batch_count].state == BATCH_DONE;
        pthread_mutex_unlock(&s->lock);
        if (!done && !wait)
            break;
        print_oldest(s);
    }
    fflush(stdout);
}

static void run_threaded(struct stream *s)
{
    uint64_t read = s->totals->events;
    for (;;) {
        if (s->read - s->printed == s->batch_count)
            print_oldest(s);
        struct batch *b = &s->batches[s->read % s->batch_count];
        if (s->failed || !fill_batch(s, b))
            break;
        b->first = read + 1;
        read += b->count;
        pthread_mutex_lock(&s->lock);
        b->state = BATCH_FULL;
        s->read++;
        pthread_cond_signal(&s->full);
        pthread_mutex_unlock(&s->lock);
        /* Whoever waits for the next event wants to see the last ones first. */
        print_done(s, detect_reader_must_wait(s->reader));
    }
    print_done(s, true);
}

static void run_alone(struct stream *s)
{
    struct pattern_scratch *scratch = pattern_scratch_create(s->job->set);
    s->failed |= scratch == NULL;
    while (!s->failed && fill_batch(s, s->batches)) {
        work_on(s->job, scratch, s->batches);
        print_batch(s, s->batches);
        if (detect_reader_must_wait(s->reader))
            fflush(stdout);
    }
    pattern_scratch_destroy(scratch);
}

/* In bytes; 0 when that is not known. */
static int64_t file_size(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

static bool make_batches(struct stream *s, unsigned threads)
{
    s->batch_count = threads ? 2 * (size_t)threads + 2 : 1;
    s->batches = calloc(s->batch_count, sizeof *s->batches);
    for (size_t i = 0; s->batches && i < s->batch_count; i++) {
        s->batches[i].totals.by_name = calloc(s->job->name_count + 1, sizeof(uint64_t));
        if (!s->batches[i].totals.by_name)
            return false;
    }
    return s->batches != NULL;
}

static void finish_batches(struct stream *s)
{
    for (size_t i = 0; s->batches && i < s->batch_count; i++) {
        arena_finish(&s->batches[i].arena);
        free(s->batches[i].totals.by_name);
    }
    free(s->batches);
}

bool match_stream(const struct match_job *job, int fd, struct match_totals *totals,
                  struct error *err)
{
    struct stream s = {.job = job, .totals = totals, .size = file_size(fd)};
    s.reader = detect_reader_create(fd, err);
    if (!s.reader)
        return false;
    bool ok = make_batches(&s, job->threads < THREADS_MAX ? job->threads : THREADS_MAX);
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.full, NULL);
    pthread_cond_init(&s.done, NULL);
    if (ok && job->threads)
        start_workers(&s);
    if (ok && s.thread_count)
        run_threaded(&s);
    else if (ok)
        run_alone(&s);
    end_workers(&s);
    show_progress(&s, true);
    pthread_cond_destroy(&s.done);
    pthread_cond_destroy(&s.full);
    pthread_mutex_destroy(&s.lock);
    finish_batches(&s);
    detect_reader_destroy(s.reader);
    return (ok && !s.failed && !s.no_scratch) || error_set(err, "L0012", "out of memory");
}
