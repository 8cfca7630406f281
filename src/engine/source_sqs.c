// SPDX-License-Identifier: Apache-2.0
/* A queue's messages: received, worked on, deleted. Events of a batch become durable together;
 * what has been handed out often is taken by itself, when the others have been deleted, so that one
 * message that ends the process cannot hold others up. See sources.h. */
#include "engine/sources_internal.h"

#include "base/fault.h"
#include "base/limits.h"
#include "base/log.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
#define HELD_BACK_MS 500
#define REMOVE_TRIES 3
#define REMOVE_PAUSE_MS 200
#define POLL_GRACE_MS 15000 // for the answer of a poll beyond what it waits

static int64_t visible_ms(void)
{
    return fault_ms("RECTIFY_VISIBLE_MS", SOURCE_VISIBLE_MS);
}

/* SQS counts in seconds. */
static int visible_s(void)
{
    return (int)((visible_ms() + 999) / 1000);
}

static int wait_s(void)
{
    return (int)(fault_ms("RECTIFY_POLL_MS", SOURCE_WAIT_S * 1000) / 1000);
}

/* ---- working on messages ---- */

struct content { // of a message
    struct detect_content it;
    bool good;
    struct error why; // not good
};

/* What can never be used, or has been tried often enough: kept in the log. False: the store failed,
 * and the message stays. */
static bool set_aside(struct source *source, const struct detect_message *message,
                      const struct error *why, struct engine_taken *taken)
{
    struct error err;
    if (!engine_set_aside(source->owner->engine, &source->origin, message->body, why, &err)) {
        source_store_away(source->owner, &err);
        return false;
    }
    if (taken->bad++ == 0)
        taken->why = *why;
    taken->events++;
    return true;
}

static enum source_took take_content(struct source *source, const struct content *content,
                                     struct engine_taken *taken, struct error *err)
{
    if (!content->good) {
        *err = content->why;
        return strcmp(err->code, "T0005") == 0 ? TOOK_LATER : TOOK_NEVER;
    }
    if (content->it.kind == CONTENT_FILES)
        return source_take_files(source, &content->it, taken, err);
    if (content->it.kind == CONTENT_EVENTS)
        return source_take_text(source, content->it.events, taken, err);
    return TOOK_ALL;
}

/* One that holds files, or has come often. */
static bool take_alone(struct source *source, const struct detect_message *message,
                       const struct content *content, struct engine_taken *taken)
{
    struct error err;
    if (message->receives > (int)LIMIT_RECEIVES) {
        error_set(&err, "T0017", "received %d times, and nobody has finished with it",
                  message->receives);
        return set_aside(source, message, &err, taken);
    }
    enum source_took took = take_content(source, content, taken, &err);
    if (took == TOOK_NEVER || (took == TOOK_REFUSED && message->receives >= (int)LIMIT_DELIVERIES))
        return set_aside(source, message, &err, taken);
    if (took == TOOK_ALL)
        return true;
    log_line(LOG_WARN, "source %.*s: a message waits (received %d times): %s",
             STR_FMT(source->config.name), message->receives, err.message);
    taken->left++;
    return false;
}

static bool is_alone(const struct detect_message *message, const struct content *content)
{
    return !content->good || content->it.kind == CONTENT_FILES ||
           message->receives > (int)LIMIT_DELIVERIES;
}

/* The events of all that are not taken alone, in one transaction. False: the store failed. */
static bool take_together(struct source *source, const struct detect_message *messages,
                          const struct content *contents, size_t count, bool *done,
                          struct engine_taken *taken, struct error *err)
{
    struct str texts[DETECT_MESSAGES_MAX];
    struct engine_taken part = {0};
    size_t text_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_alone(&messages[i], &contents[i]) && contents[i].it.kind == CONTENT_EVENTS)
            texts[text_count++] = contents[i].it.events;
    bool ok = text_count == 0 || engine_take_texts(source->owner->intake, &source->origin, texts,
                                                   text_count, &part, err);
    engine_taken_add(taken, &part);
    for (size_t i = 0; i < count; i++)
        done[i] = ok && !is_alone(&messages[i], &contents[i]);
    return ok;
}

void source_take_messages(struct source *source, const struct detect_message *messages,
                          size_t count, struct arena *arena, bool *done, struct engine_taken *taken)
{
    struct content contents[DETECT_MESSAGES_MAX];
    struct error err = {0};
    for (size_t i = 0; i < count; i++)
        contents[i].good = detect_content_read(messages[i].body, &source->config, arena,
                                               &contents[i].it, &contents[i].why);
    bool ok = take_together(source, messages, contents, count, done, taken, &err);
    bool full = !ok && strcmp(err.code, "S0004") == 0; // there may be room for some of them
    if (!ok && !full)
        source_store_away(source->owner, &err);
    for (size_t i = 0; i < count; i++) {
        if (!done[i] && (full || is_alone(&messages[i], &contents[i])))
            done[i] = take_alone(source, &messages[i], &contents[i], taken);
        else
            taken->left += !done[i];
    }
    source_heard(source, taken);
}

/* ---- the queue ---- */

/* Deletes what is done of some. What stays in spite of it comes again and is known by its events'
 * ids. */
static void remove_done(struct receiver *r, size_t from, size_t until)
{
    struct aws_answer answer;
    struct detect_message left[DETECT_MESSAGES_MAX];
    bool gone[DETECT_MESSAGES_MAX];
    struct error err;
    size_t count = 0;
    for (size_t i = from; i < until; i++)
        if (r->done[i])
            left[count++] = r->messages[i];
    for (int tries = 0; count && tries < REMOVE_TRIES; tries++) {
        if (tries)
            source_sleep(r->source->owner, REMOVE_PAUSE_MS << tries);
        detect_queue_remove(&r->source->queue, r->source->owner->engine->caller, left, count,
                            &r->arena, gone, &answer);
        size_t kept = 0;
        for (size_t i = 0; i < count; i++)
            if (!gone[i])
                left[kept++] = left[i];
        count = kept;
    }
    if (count == 0)
        return;
    detect_queue_failed(&answer, "sqs:DeleteMessageBatch", &err);
    log_line(LOG_WARN, "source %.*s: %zu messages that are done with could not be deleted: %s",
             STR_FMT(r->source->config.name), count,
             answer.outcome == AWS_OK ? "the queue did not take them" : err.message);
}

/* The process ends: others may have at once what we have not finished. */
static void give_back(struct receiver *r)
{
    struct aws_answer answer;
    struct detect_message left[DETECT_MESSAGES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++)
        if (!r->done[i])
            left[count++] = r->messages[i];
    if (count)
        detect_queue_extend(&r->source->queue, r->source->owner->engine->caller, left, count, 0,
                            &r->arena, &answer);
}

static void hold(struct receiver *r, size_t count)
{
    pthread_mutex_lock(&r->mutex);
    r->held = count;
    r->extended_ms = clock_steady_ms(r->source->owner->engine->clock);
    pthread_mutex_unlock(&r->mutex);
}

void source_extend(struct receiver *r, struct arena *scratch)
{
    struct detect_message held[DETECT_MESSAGES_MAX];
    struct aws_answer answer;
    int64_t now = clock_steady_ms(r->source->owner->engine->clock);
    arena_reset(scratch);
    pthread_mutex_lock(&r->mutex);
    size_t count = now - r->extended_ms >= visible_ms() / 2 ? r->held : 0;
    for (size_t i = 0; i < count; i++) {
        held[i] = (struct detect_message){.handle = str_copy(scratch, r->messages[i].handle)};
        if (!held[i].handle.ptr)
            count = 0;
    }
    if (count)
        r->extended_ms = now;
    pthread_mutex_unlock(&r->mutex);
    if (count)
        detect_queue_extend(&r->source->queue, r->source->owner->engine->caller, held, count,
                            visible_s(), scratch, &answer);
}

static void work_on(struct receiver *r, size_t from, size_t until, struct engine_taken *taken)
{
    struct engine_taken part = {0};
    if (from == until)
        return;
    source_take_messages(r->source, r->messages + from, until - from, &r->arena, r->done + from,
                         &part);
    remove_done(r, from, until);
    engine_taken_add(taken, &part);
}

/* What has been handed out often comes last. Returns how many have not. */
static size_t sort_messages(struct detect_message *messages, size_t count)
{
    size_t few = 0;
    for (size_t i = 0; i < count; i++) {
        struct detect_message one = messages[i];
        if (one.receives > (int)LIMIT_DELIVERIES)
            continue;
        messages[i] = messages[few];
        messages[few++] = one;
    }
    return few;
}

bool source_receive_once(struct receiver *r, int wait_s, struct engine_taken *taken,
                         struct error *err)
{
    struct aws_answer answer;
    struct engine_sources *sources = r->source->owner;
    int64_t now = clock_steady_ms(sources->engine->clock);
    arena_reset(&r->arena);
    detect_queue_receive(&r->source->queue, sources->options.poll, wait_s, visible_s(),
                         now + wait_s * 1000 + POLL_GRACE_MS, &r->arena, r->messages, &r->count,
                         &answer);
    if (answer.outcome != AWS_OK)
        return detect_queue_failed(&answer, "sqs:ReceiveMessage", err);
    if (r->count == 0)
        return true;
    size_t few = sort_messages(r->messages, r->count);
    hold(r, r->count);
    work_on(r, 0, few, taken);
    for (size_t i = few; i < r->count; i++)
        work_on(r, i, i + 1, taken);
    hold(r, 0);
    if (source_stopping(sources))
        give_back(r);
    return true;
}

/* ---- a thread ---- */

/* True when this is new. */
static bool note_failure(struct source *source, const struct error *err)
{
    pthread_mutex_lock(&source->owner->mutex);
    bool new = !source->failing || strcmp(source->failure.message, err->message) != 0;
    source->failing = true;
    source->failure = *err;
    pthread_mutex_unlock(&source->owner->mutex);
    return new;
}

static void note_works(struct source *source)
{
    pthread_mutex_lock(&source->owner->mutex);
    bool was = source->failing;
    source->failing = false;
    pthread_mutex_unlock(&source->owner->mutex);
    if (was)
        log_line(LOG_INFO, "source %.*s can be read again", STR_FMT(source->config.name));
}

static bool held_back(struct engine_sources *sources)
{
    pthread_mutex_lock(&sources->mutex);
    bool back = sources->full || sources->store_away;
    pthread_mutex_unlock(&sources->mutex);
    return back;
}

/* Twice as long each time, and never all at once. */
static int64_t next_pause(struct engine_sources *sources, int64_t *pause_ms)
{
    uint32_t dice;
    clock_random(sources->engine->clock, &dice, sizeof dice);
    int64_t now = *pause_ms / 2 + dice % (*pause_ms / 2 + 1);
    *pause_ms = *pause_ms * 2 < PAUSE_MAX_MS ? *pause_ms * 2 : PAUSE_MAX_MS;
    return now;
}

void *source_receive(void *arg)
{
    struct receiver *r = arg;
    struct engine_sources *sources = r->source->owner;
    struct engine_taken taken = {0};
    struct error err;
    int64_t pause_ms = PAUSE_MIN_MS;
    while (!source_stopping(sources)) {
        if (held_back(sources)) {
            source_sleep(sources, HELD_BACK_MS);
            continue;
        }
        if (source_receive_once(r, wait_s(), &taken, &err)) {
            note_works(r->source);
            pause_ms = PAUSE_MIN_MS;
            continue;
        }
        if (source_stopping(sources))
            break;
        if (note_failure(r->source, &err))
            log_line(LOG_WARN, "source %.*s: %s%s%s", STR_FMT(r->source->config.name), err.message,
                     err.hint[0] ? "; " : "", err.hint);
        source_sleep(sources, next_pause(sources, &pause_ms));
    }
    return NULL;
}
