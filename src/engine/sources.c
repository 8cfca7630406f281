// SPDX-License-Identifier: Apache-2.0
/* The sources as a whole: their table, what they have in common, their silence. See sources.h. */
#include "engine/sources_internal.h"

#include "base/ensure.h"
#include "base/limits.h"
#include "base/log.h"
#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WATCH_MS 1000
#define STORE_EVERY 10 // of these: the backlog is counted
#define DRAIN_WAIT_S 2 // for a queue to have something

/* Who fetches the events of a source. */
static const struct kind {
    int threads;                  // of one source
    void *(*run)(void *receiver); // NULL: they are handed over
} kinds[SOURCE_TYPES] = {
    [SOURCE_FILE] = {0, NULL},
    [SOURCE_HTTP] = {0, NULL},
    [SOURCE_SQS] = {SOURCE_RECEIVERS, source_receive},
};

/* ---- beginning and end ---- */

static const struct str *copy_names(struct arena *arena, const struct str *names, size_t count)
{
    struct str *copy = ARENA_ARRAY(arena, struct str, count + 1);
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = str_copy(arena, names[i]);
    return copy;
}

static bool add(struct engine_sources *sources, const struct policy_source *config,
                struct error *err)
{
    struct arena *arena = &sources->arena;
    struct source *s = &sources->items[sources->count++];
    struct policy_source *c = &s->config;
    *c = *config;
    s->owner = sources;
    c->name = str_copy(arena, config->name);
    c->queue = str_copy(arena, config->queue);
    c->region = str_copy(arena, config->region);
    c->role = str_copy(arena, config->role);
    c->bucket_owner = str_copy(arena, config->bucket_owner);
    c->accounts = copy_names(arena, config->accounts, config->account_count);
    c->regions = copy_names(arena, config->regions, config->region_count);
    c->buckets = copy_names(arena, config->buckets, config->bucket_count);
    s->origin = (struct engine_origin){.name = c->name,
                                       .scope = {.accounts = c->accounts,
                                                 .account_count = c->account_count,
                                                 .regions = c->regions,
                                                 .region_count = c->region_count}};
    s->heard_ms = clock_steady_ms(sources->engine->clock);
    for (int i = 0; i < SOURCE_RECEIVERS; i++) {
        s->receivers[i].source = s;
        pthread_mutex_init(&s->receivers[i].mutex, NULL);
    }
    if (!c->name.ptr || !c->queue.ptr || !c->accounts || !c->regions || !c->buckets)
        return error_set(err, "E0007", "out of memory");
    return c->type != SOURCE_SQS ||
           (detect_queue_open(&s->queue, c, sources->engine->models, err) &&
            detect_trail_open(&s->trail, c, sources->engine->models, sources->engine->caller, err));
}

static struct source *find(struct engine_sources *sources, enum source_type type)
{
    for (size_t i = 0; i < sources->count; i++)
        if (sources->items[i].config.type == type)
            return &sources->items[i];
    return NULL;
}

/* What is handed over without being listed. */
static bool add_unlisted(struct engine_sources *sources, enum source_type type, struct error *err)
{
    struct policy_source config = {.name = str_from(source_type_name(type)), .type = type};
    return find(sources, type) || add(sources, &config, err);
}

struct engine_sources *engine_sources_create(const struct engine_sources_options *options,
                                             struct error *err)
{
    struct engine_sources *sources = calloc(1, sizeof *sources);
    if (!sources) {
        error_set(err, "E0007", "out of memory");
        return NULL;
    }
    sources->engine = options->engine;
    sources->intake = options->intake;
    sources->options = *options;
    pthread_mutex_init(&sources->mutex, NULL);
    pthread_cond_init(&sources->wake, NULL);
    sources->items = calloc(options->count + SOURCE_TYPES, sizeof *sources->items);
    bool ok = sources->items != NULL || error_set(err, "E0007", "out of memory");
    for (size_t i = 0; ok && i < options->count; i++)
        ok = add(sources, &options->list[i], err);
    ok = ok && add_unlisted(sources, SOURCE_FILE, err) && add_unlisted(sources, SOURCE_HTTP, err);
    if (ok)
        return sources;
    engine_sources_destroy(sources);
    return NULL;
}

void engine_sources_destroy(struct engine_sources *sources)
{
    if (!sources)
        return;
    for (size_t i = 0; i < sources->count; i++) {
        for (int k = 0; k < SOURCE_RECEIVERS; k++) {
            arena_finish(&sources->items[i].receivers[k].arena);
            pthread_mutex_destroy(&sources->items[i].receivers[k].mutex);
        }
    }
    pthread_cond_destroy(&sources->wake);
    pthread_mutex_destroy(&sources->mutex);
    arena_finish(&sources->arena);
    free(sources->items);
    free(sources);
}

bool source_stopping(struct engine_sources *sources)
{
    pthread_mutex_lock(&sources->mutex);
    bool stopping = sources->stopping;
    pthread_mutex_unlock(&sources->mutex);
    return stopping;
}

void source_sleep(struct engine_sources *sources, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&sources->mutex);
    while (!sources->stopping &&
           pthread_cond_timedwait(&sources->wake, &sources->mutex, &until) == 0)
        continue;
    pthread_mutex_unlock(&sources->mutex);
}

/* Messages at hand stay ours while they are worked on; silence is looked for. */
static void *keep(void *arg)
{
    struct engine_sources *sources = arg;
    struct arena scratch ARENA_AUTO = {0};
    while (!source_stopping(sources)) {
        engine_sources_watch(sources);
        for (size_t i = 0; i < sources->count; i++)
            for (int k = 0; k < kinds[sources->items[i].config.type].threads; k++)
                source_extend(&sources->items[i].receivers[k], &scratch);
        source_sleep(sources, WATCH_MS);
    }
    return NULL;
}

bool engine_sources_start(struct engine_sources *sources, struct engine_workers *workers,
                          struct error *err)
{
    sources->workers = workers;
    sources->keeping = pthread_create(&sources->keeper, NULL, keep, sources) == 0;
    bool ok = sources->keeping;
    for (size_t i = 0; ok && i < sources->count; i++) {
        const struct kind *kind = &kinds[sources->items[i].config.type];
        for (int k = 0; ok && k < kind->threads; k++) {
            struct receiver *r = &sources->items[i].receivers[k];
            ok = r->started = pthread_create(&r->thread, NULL, kind->run, r) == 0;
        }
    }
    return ok || error_set(err, "E0011", "cannot start the threads of the sources");
}

void engine_sources_stop(struct engine_sources *sources)
{
    pthread_mutex_lock(&sources->mutex);
    sources->stopping = true;
    pthread_cond_broadcast(&sources->wake);
    pthread_mutex_unlock(&sources->mutex);
    if (sources->options.stop_polls)
        sources->options.stop_polls(sources->options.stop_ctx);
    for (size_t i = 0; i < sources->count; i++) {
        for (int k = 0; k < SOURCE_RECEIVERS; k++) {
            struct receiver *r = &sources->items[i].receivers[k];
            if (r->started)
                pthread_join(r->thread, NULL);
            r->started = false;
        }
    }
    if (sources->keeping)
        pthread_join(sources->keeper, NULL);
    sources->keeping = false;
}

/* ---- what comes ---- */

bool source_record(struct source *source, const char *kind, const char *code, const char *message,
                   struct str subject, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena};
    struct buf out = {.arena = &arena};
    value_set(&body, "source", value_string(source->config.name));
    if (code)
        value_set(&body, "code", value_cstr(code));
    value_set(&body, "message", value_cstr(message));
    if (subject.len)
        value_set(&body, "subject", value_string(str_sub(subject, 0, str_utf8_prefix(subject))));
    json_write(&out, value_finish_map(&body), JSON_CANONICAL);
    return store_record(source->owner->engine->store, str_from(kind), buf_str(&out), err) ==
           STORE_OK;
}

void source_store_away(struct engine_sources *sources, const struct error *err)
{
    pthread_mutex_lock(&sources->mutex);
    bool told = sources->store_away;
    sources->store_away = true;
    pthread_mutex_unlock(&sources->mutex);
    if (!told)
        log_line(LOG_ERROR, "events cannot be kept, queues wait: %s", err->message);
}

void source_heard(struct source *source, const struct engine_taken *taken)
{
    struct engine_sources *sources = source->owner;
    const struct clock *clock = sources->engine->clock;
    struct error ignored;
    pthread_mutex_lock(&sources->mutex);
    bool event = taken->events > taken->bad, back = event && source->silent;
    source->events += (int64_t)taken->events;
    source->matches += (int64_t)taken->matches;
    source->duplicates += (int64_t)taken->duplicates;
    source->bad += (int64_t)taken->bad;
    if (event) {
        source->heard_ms = clock_steady_ms(clock);
        source->heard_at = clock_wall_ms(clock);
        source->silent = false;
    }
    pthread_mutex_unlock(&sources->mutex);
    if (back) {
        log_line(LOG_INFO, "source %.*s is heard again", STR_FMT(source->config.name));
        (void)!source_record(source, "source heard again", NULL, "an event has come",
                             (struct str){0}, &ignored); // of no consequence: the events are kept
    }
    if (taken->matches && sources->workers)
        engine_workers_wake(sources->workers);
}

enum source_took source_take_text(struct source *source, struct str text,
                                  struct engine_taken *taken, struct error *err)
{
    struct engine_taken part;
    bool ok = engine_take_texts(source->owner->intake, &source->origin, &text, 1, &part, err);
    engine_taken_add(taken, &part);
    if (!ok)
        source_store_away(source->owner, err);
    return ok ? TOOK_ALL : TOOK_LATER;
}

bool engine_sources_take_text(struct engine_sources *sources, struct str text,
                              struct engine_taken *ret, struct error *err)
{
    struct source *source = find(sources, SOURCE_HTTP);
    bool ok = engine_take_text(sources->intake, &source->origin, text, ret, err);
    source_heard(source, ret);
    return ok;
}

bool engine_sources_take_file(struct engine_sources *sources, int fd, struct engine_taken *ret,
                              struct error *err)
{
    struct source *source = find(sources, SOURCE_FILE);
    bool ok = engine_take_events(sources->intake, &source->origin, fd, ret, err);
    source_heard(source, ret);
    return ok;
}

void engine_sources_take_messages(struct engine_sources *sources,
                                  const struct detect_message *messages, size_t count, bool *done,
                                  struct engine_taken *ret)
{
    struct arena arena ARENA_AUTO = {0};
    struct source *source = find(sources, SOURCE_SQS);
    ENSURE(count <= DETECT_MESSAGES_MAX);
    *ret = (struct engine_taken){0};
    source_take_messages(source ? source : find(sources, SOURCE_HTTP), messages, count, &arena,
                         done, ret);
}

static bool store_is_away(struct engine_sources *sources)
{
    pthread_mutex_lock(&sources->mutex);
    bool away = sources->store_away;
    pthread_mutex_unlock(&sources->mutex);
    return away;
}

static bool drain_one(struct source *source, bool (*stop)(void *ctx), void *ctx,
                      struct engine_taken *ret, struct error *err)
{
    struct receiver *r = &source->receivers[0];
    do {
        if (!source_receive_once(r, DRAIN_WAIT_S, ret, err))
            return false;
        if (store_is_away(source->owner))
            return error_set(err, "E0013", "the store cannot keep what came");
    } while (r->count > 0 && !stop(ctx));
    return true;
}

bool engine_sources_drain(struct engine_sources *sources, bool (*stop)(void *ctx), void *ctx,
                          struct engine_taken *ret, struct error *err)
{
    bool ok = true;
    *ret = (struct engine_taken){0};
    sources->keeping = pthread_create(&sources->keeper, NULL, keep, sources) == 0;
    if (!sources->keeping)
        return error_set(err, "E0011", "cannot start the threads of the sources");
    for (size_t i = 0; ok && i < sources->count; i++)
        ok = sources->items[i].config.type != SOURCE_SQS ||
             drain_one(&sources->items[i], stop, ctx, ret, err);
    engine_sources_stop(sources);
    return ok;
}

/* ---- silence and backlog ---- */

static void watch_one(struct source *source)
{
    struct engine_sources *sources = source->owner;
    struct error err;
    char message[160];
    if (source->config.expect_ms == 0)
        return;
    pthread_mutex_lock(&sources->mutex);
    int64_t quiet_ms = clock_steady_ms(sources->engine->clock) - source->heard_ms;
    bool now_silent = !source->silent && quiet_ms >= source->config.expect_ms;
    source->silent = source->silent || now_silent;
    pthread_mutex_unlock(&sources->mutex);
    if (!now_silent)
        return;
    snprintf(message, sizeof message, "no event for %lld s", (long long)(quiet_ms / 1000));
    log_line(LOG_WARN, "source %.*s is silent: %s", STR_FMT(source->config.name), message);
    if (source_record(source, "source silent", NULL, message, (struct str){0}, &err))
        return;
    pthread_mutex_lock(&sources->mutex); // told again, until the record stands
    source->silent = false;
    pthread_mutex_unlock(&sources->mutex);
}

static void watch_store(struct engine_sources *sources)
{
    int64_t counts[STATE_COUNT], active = 0;
    struct error err;
    pthread_mutex_lock(&sources->mutex);
    bool away = sources->store_away, was_full = sources->full;
    pthread_mutex_unlock(&sources->mutex);
    if (away &&
        store_record(sources->engine->store, STR("sources go on"), STR("{}"), &err) == STORE_OK)
        away = false;
    if (!away && store_counts(sources->engine->store, counts, &err) != STORE_OK)
        return;
    for (int i = 0; !away && i < STATE_COUNT; i++)
        active += state_is_terminal((enum state)i) || (state_flags((enum state)i) & STATE_WAITING)
                      ? 0
                      : counts[i];
    bool full = active > (was_full ? LIMIT_BACKLOG / 10 * 9 : LIMIT_BACKLOG);
    if (full != was_full)
        log_line(full ? LOG_WARN : LOG_INFO,
                 full ? "%lld remediations at work: queues wait"
                      : "%lld remediations at work: queues go on",
                 (long long)active);
    pthread_mutex_lock(&sources->mutex);
    sources->store_away = away;
    sources->full = full;
    pthread_mutex_unlock(&sources->mutex);
}

void engine_sources_watch(struct engine_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        watch_one(&sources->items[i]);
    bool due = sources->watched++ % STORE_EVERY == 0 || store_is_away(sources);
    if (due && find(sources, SOURCE_SQS))
        watch_store(sources);
}

/* ---- status ---- */

static void set_time(struct value_builder *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    if (wall_ms == 0)
        return;
    clock_format(wall_ms, text);
    value_set(out, name, value_string(str_copy(out->arena, str_from(text))));
}

struct value engine_sources_status(struct engine_sources *sources, struct arena *arena)
{
    struct value_builder list = {.arena = arena};
    pthread_mutex_lock(&sources->mutex);
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *s = &sources->items[i];
        struct value_builder one = {.arena = arena};
        const char *state = s->failing    ? "failing"
                            : s->silent   ? "silent"
                            : s->heard_at ? "heard"
                                          : "waiting";
        value_set(&one, "name", value_string(str_copy(arena, s->config.name)));
        value_set(&one, "type", value_cstr(source_type_name(s->config.type)));
        value_set(&one, "state", value_cstr(state));
        set_time(&one, "last_event", s->heard_at);
        if (s->config.expect_ms)
            value_set(&one, "expect_ms", value_int(s->config.expect_ms));
        value_set(&one, "events", value_int(s->events));
        value_set(&one, "matches", value_int(s->matches));
        value_set(&one, "duplicates", value_int(s->duplicates));
        value_set(&one, "set_aside", value_int(s->bad));
        if (s->config.bucket_count) {
            value_set(&one, "digests", value_int(s->digests));
            value_set(&one, "broken", value_int(s->broken));
        }
        if (s->config.type == SOURCE_SQS && (sources->full || sources->store_away))
            value_set(&one, "held_back",
                      value_cstr(sources->full ? "too much is at work" : "the store fails"));
        if (s->failing)
            value_set(&one, "reason", value_string(str_copy(arena, str_from(s->failure.message))));
        value_push(&list, value_finish_map(&one));
    }
    pthread_mutex_unlock(&sources->mutex);
    return value_finish_list(&list);
}
