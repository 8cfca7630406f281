// SPDX-License-Identifier: Apache-2.0
/* CloudTrail's files that a queue announces. Where digests are required a log file is not looked at
 * when it is announced: its digest, an hour later at most, lists it with its hash, and only what
 * has that hash is taken. What was changed, or is missing, is in the log and starts nothing. */
#include "engine/sources_internal.h"

#include "base/log.h"

static void count_broken(struct source *source)
{
    pthread_mutex_lock(&source->owner->mutex);
    source->broken++;
    pthread_mutex_unlock(&source->owner->mutex);
}

/* Something about a trail is not as CloudTrail left it. False: the store failed. */
static bool tell_broken(struct source *source, const struct detect_file *file,
                        const struct error *why, struct error *err)
{
    log_line(LOG_ERROR, "source %.*s: the trail is broken: %s", STR_FMT(source->config.name),
             why->message);
    if (!source_record(source, "trail broken", why->code, why->message, file->key, err)) {
        source_store_away(source->owner, err);
        return false;
    }
    count_broken(source);
    return true;
}

/* What will be the same the next time: T0012 alone may pass. */
static enum source_took of_fetch(enum detect_fetch got, const struct error *err)
{
    bool may_pass = strcmp(err->code, "T0012") == 0;
    return got == FETCH_GOOD    ? TOOK_ALL
           : got == FETCH_LATER ? TOOK_LATER
           : may_pass           ? TOOK_REFUSED
                                : TOOK_NEVER;
}

/* A file that nothing vouches for. */
static enum source_took take_unproven(struct source *source, const struct detect_file *file,
                                      struct engine_taken *taken, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct detect_fetched fetched;
    enum detect_fetch got = detect_trail_fetch(&source->trail, file, &arena, &fetched, err);
    return got == FETCH_GOOD ? source_take_text(source, fetched.text, taken, err)
                             : of_fetch(got, err);
}

/* A file that a digest vouches for. */
static enum source_took take_log(struct source *source, const struct detect_log *log,
                                 struct arena *arena, struct engine_taken *taken, struct error *err)
{
    struct detect_fetched fetched;
    struct error why;
    enum detect_fetch got = detect_trail_fetch(&source->trail, &log->file, arena, &fetched, &why);
    *err = why;
    if (got == FETCH_LATER ||
        (got == FETCH_REFUSED && !fetched.missing && strcmp(why.code, "T0013") != 0))
        return of_fetch(got, err);
    if (got == FETCH_GOOD && memcmp(fetched.hash.bytes, log->hash.bytes, HASH_SHA256_SIZE) == 0)
        return source_take_text(source, fetched.text, taken, err);
    const char *what = got == FETCH_GOOD ? "was changed after CloudTrail wrote it"
                       : fetched.missing ? "is missing"
                                         : "is damaged";
    error_set(&why, "T0019", "%.*s %s: none of its events is acted on", STR_FMT(log->file.key),
              what);
    return tell_broken(source, &log->file, &why, err) ? TOOK_ALL : TOOK_LATER;
}

static enum source_took take_digest(struct source *source, const struct detect_file *file,
                                    struct engine_taken *taken, struct error *err)
{
    struct arena arena ARENA_AUTO = {0}, one ARENA_AUTO = {0};
    struct detect_digest digest;
    enum detect_fetch got = detect_trail_digest(&source->trail, file, &arena, &digest, err);
    if (got == FETCH_REFUSED && strcmp(err->code, "T0015") == 0)
        count_broken(source);
    if (got != FETCH_GOOD)
        return of_fetch(got, err);
    got = detect_trail_previous(&source->trail, &digest, &one, err);
    if (got == FETCH_LATER)
        return TOOK_LATER;
    struct error why = got == FETCH_REFUSED ? *err : (struct error){0};
    if (got == FETCH_REFUSED && !tell_broken(source, file, &why, err))
        return TOOK_LATER;
    for (size_t i = 0; i < digest.log_count; i++) {
        arena_reset(&one);
        enum source_took took = take_log(source, &digest.logs[i], &one, taken, err);
        if (took != TOOK_ALL)
            return took;
        if (source_stopping(source->owner)) {
            error_set(err, "E0012", "the process ends");
            return TOOK_LATER;
        }
    }
    pthread_mutex_lock(&source->owner->mutex);
    source->digests++;
    pthread_mutex_unlock(&source->owner->mutex);
    return TOOK_ALL;
}

static enum source_took take_file(struct source *source, const struct detect_file *file,
                                  struct engine_taken *taken, struct error *err)
{
    bool ignored = source->config.digests_ignored;
    switch (detect_trail_kind(file->key)) {
    case TRAIL_NOTHING:
        return TOOK_ALL;
    case TRAIL_DIGEST:
        return ignored ? TOOK_ALL : take_digest(source, file, taken, err);
    case TRAIL_LOG:
        if (detect_bucket_listed(&source->config, file->bucket) && !ignored)
            return TOOK_ALL; // its digest brings it
        break;
    case TRAIL_OTHER:
        if (!ignored) {
            error_set(err, "T0018", "%.*s is no file of CloudTrail's, and no digest vouches for it",
                      STR_FMT(file->key));
            return TOOK_NEVER;
        }
        break;
    }
    return take_unproven(source, file, taken, err);
}

enum source_took source_take_files(struct source *source, const struct detect_content *content,
                                   struct engine_taken *taken, struct error *err)
{
    enum source_took worst = TOOK_ALL;
    for (size_t i = 0; i < content->file_count; i++) {
        struct error why;
        enum source_took took = take_file(source, &content->files[i], taken, &why);
        if (took == TOOK_LATER) {
            *err = why;
            return took;
        }
        if (took != TOOK_ALL && (worst == TOOK_ALL || took < worst)) {
            worst = took; // the others are taken all the same
            *err = why;
        }
    }
    return worst;
}
