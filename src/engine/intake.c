// SPDX-License-Identifier: Apache-2.0
/* Events in: cut, match, accept, the same way for every source. What
 * is no event is kept in the log with the reason. Any thread: each call borrows one of the
 * scratches.
 *
 *   bytes ─► detect_reader ─► detect_event ─► batch ─► store_accept (durable when it returns) */
#include "engine/rules_internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "value/json.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH_EVENTS 256 // of one transaction

struct engine_intake {
    struct engine *engine;
};

/* One call. */
struct intake {
    struct engine_intake *owner;
    const struct engine_origin *origin;
    struct engine_set *set; // held for the whole call
    struct detect_scratch *scratch;
    struct engine_taken *taken;
    struct arena arena; // of the batch
    struct store_event events[BATCH_EVENTS];
    size_t count;
};

struct engine_intake *engine_intake_create(struct engine *engine, struct error *err)
{
    struct engine_intake *intake = calloc(1, sizeof *intake);
    if (!intake) {
        error_set(err, "E0007", "out of memory");
        return NULL;
    }
    intake->engine = engine;
    return intake;
}

void engine_intake_destroy(struct engine_intake *intake)
{
    free(intake);
}

void engine_taken_add(struct engine_taken *sum, const struct engine_taken *part)
{
    if (sum->bad == 0 && part->bad)
        sum->why = part->why;
    sum->events += part->events;
    sum->matches += part->matches;
    sum->duplicates += part->duplicates;
    sum->bad += part->bad;
    sum->left += part->left;
}

static bool flush_batch(struct intake *in, struct error *err)
{
    bool accepted[BATCH_EVENTS];
    if (in->count &&
        store_accept(in->owner->engine->store, in->events, in->count, accepted, err) != STORE_OK)
        return false;
    for (size_t i = 0; i < in->count; i++)
        in->taken->duplicates += !accepted[i];
    in->count = 0;
    arena_reset(&in->arena);
    return true;
}

static bool note_makers(struct intake *in, const struct detect_result *found, struct error *err)
{
    struct str actor = value_path_str(found->event, "actor");
    for (size_t i = 0; i < found->match_count; i++)
        if (!engine_note_maker(in->owner->engine, found->matches[i].policy,
                               found->matches[i].resource, found->name, actor, &in->arena, err))
            return false;
    return true;
}

static bool add_matches(struct intake *in, const struct detect_result *found, int64_t now)
{
    struct store_match *matches = ARENA_ARRAY(&in->arena, struct store_match, found->match_count);
    for (size_t i = 0; matches && i < found->match_count; i++) {
        const struct detect_match *m = &found->matches[i];
        struct buf text = {.arena = &in->arena};
        struct value_builder detail = {.arena = &in->arena};
        value_set(&detail, DETAIL_EVENT, found->event);
        value_set(&detail, DETAIL_MODE, value_cstr(mode_name(m->assignment.mode)));
        json_write(&text, value_finish_map(&detail), JSON_COMPACT);
        if (detail.failed || text.failed)
            return false;
        matches[i] =
            (struct store_match){m->policy->name, str_from(m->policy->hash),     m->resource,
                                 m->region,       now + m->assignment.settle_ms, buf_str(&text)};
    }
    in->events[in->count++] = (struct store_event){.key = found->key,
                                                   .name = found->name,
                                                   .request_id = found->request_id,
                                                   .matches = matches,
                                                   .match_count = found->match_count};
    return matches != NULL;
}

bool engine_set_aside(struct engine *engine, const struct engine_origin *origin, struct str text,
                      const struct error *why, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena};
    struct buf out = {.arena = &arena};
    struct str head = str_sub(text, 0, 200);
    log_line(LOG_WARN, "event set aside: %s: %s", why->code, why->message);
    value_set(&body, "code", value_cstr(why->code));
    value_set(&body, "message", value_cstr(why->message));
    value_set(&body, "head", value_string(str_sub(head, 0, str_utf8_prefix(head))));
    if (origin)
        value_set(&body, "source", value_string(origin->name));
    json_write(&out, value_finish_map(&body), JSON_CANONICAL);
    return store_record(engine->store, STR("quarantined"), buf_str(&out), err) == STORE_OK;
}

/* An event that nothing can be done with is kept in the log, with the reason. */
static bool set_aside(struct intake *in, struct str text, const struct error *why,
                      struct error *err)
{
    if (in->taken->bad++ == 0)
        in->taken->why = *why;
    return engine_set_aside(in->owner->engine, in->origin, text, why, err);
}

static bool take_event(struct intake *in, struct str text, struct error *err)
{
    struct detect_result found;
    struct error why;
    int64_t now = clock_wall_ms(in->owner->engine->clock);
    struct arena_mark before = arena_mark(&in->arena);
    struct str copy = str_copy(&in->arena, text);
    in->taken->events++;
    if (!copy.ptr)
        return error_set(err, "E0007", "out of memory");
    if (!detect_event(in->set->detector, in->scratch, copy, in->origin ? &in->origin->scope : NULL,
                      now, &in->arena, &found, &why))
        return set_aside(in, text, &why, err);
    for (size_t i = 0; i < found.note_count; i++)
        log_line(LOG_WARN, "%.*s names no usable resource: %.*s", STR_FMT(found.name),
                 STR_FMT(found.notes[i]));
    if (found.note_count && found.match_count == 0) { // it was meant for a policy, and lost on it
        error_set(&why, "T0009", "%.*s names no usable resource: %.*s", STR_FMT(found.name),
                  STR_FMT(found.notes[0]));
        bool kept = set_aside(in, text, &why, err);
        arena_rewind(&in->arena, before);
        return kept;
    }
    if (found.match_count == 0) {
        arena_rewind(&in->arena, before); // a long file without matches costs no memory
        return true;
    }
    in->taken->matches += found.match_count;
    if (!note_makers(in, &found, err))
        return false;
    if (!add_matches(in, &found, now))
        return error_set(err, "E0007", "out of memory");
    return in->count < BATCH_EVENTS || flush_batch(in, err);
}

static bool take_all(struct intake *in, struct detect_reader *reader, size_t bytes_max,
                     struct error *err)
{
    size_t bytes = 0;
    for (;;) {
        struct str text = {0};
        struct error why;
        enum detect_read got = detect_reader_next(reader, &text, &why);
        if (got == DETECT_READ_END)
            return true;
        bytes += text.len;
        if (bytes_max && bytes > bytes_max)
            return error_set(err, "E0008", "the events are larger than %zu bytes once unpacked",
                             bytes_max);
        if (got == DETECT_READ_BAD) {
            in->taken->events++;
            if (!set_aside(in, text, &why, err))
                return false;
        } else if (!take_event(in, text, err)) {
            return false;
        }
    }
}

/* NULL: out of memory. */
static struct intake *begin(struct engine_intake *owner, const struct engine_origin *origin,
                            struct engine_taken *taken, struct error *err)
{
    struct intake *in = calloc(1, sizeof *in);
    if (!in) {
        error_set(err, "E0007", "out of memory");
        return NULL;
    }
    in->owner = owner;
    in->origin = origin;
    in->taken = taken;
    in->set = engine_rules_hold(owner->engine->rules);
    in->scratch = rules_borrow_scratch(in->set);
    if (in->scratch)
        return in;
    error_set(err, "E0007", "out of memory");
    engine_rules_release(in->set);
    free(in);
    return NULL;
}

static void end(struct intake *in)
{
    rules_return_scratch(in->set, in->scratch);
    engine_rules_release(in->set);
    arena_finish(&in->arena);
    free(in);
}

static bool take(struct engine_intake *owner, const struct engine_origin *origin, int fd,
                 size_t bytes_max, struct engine_taken *ret, struct error *err)
{
    struct intake *in = begin(owner, origin, ret, err);
    if (!in)
        return false;
    struct detect_reader *reader = detect_reader_create(fd, err);
    bool ok = reader && take_all(in, reader, bytes_max, err) && flush_batch(in, err);
    detect_reader_destroy(reader);
    end(in);
    return ok;
}

bool engine_take_events(struct engine_intake *intake, const struct engine_origin *origin, int fd,
                        struct engine_taken *ret, struct error *err)
{
    *ret = (struct engine_taken){0};
    return take(intake, origin, fd, 0, ret, err);
}

bool engine_take_texts(struct engine_intake *intake, const struct engine_origin *origin,
                       const struct str *texts, size_t count, struct engine_taken *ret,
                       struct error *err)
{
    *ret = (struct engine_taken){0};
    struct intake *in = begin(intake, origin, ret, err);
    bool ok = in != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        struct detect_reader *reader = detect_reader_create_text(texts[i], err);
        ok = reader && take_all(in, reader, 0, err);
        detect_reader_destroy(reader);
    }
    ok = ok && flush_batch(in, err);
    if (in)
        end(in);
    return ok;
}

static bool write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t written = write(fd, text.ptr, text.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text = str_sub(text, (size_t)written, SIZE_MAX);
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

bool engine_take_text(struct engine_intake *intake, const struct engine_origin *origin,
                      struct str text, struct engine_taken *ret, struct error *err)
{
    *ret = (struct engine_taken){0};
    int fd = memfd_create("events", MFD_CLOEXEC); // so that there is one way in, gzip included
    bool ok = fd >= 0 && write_all(fd, text);
    if (!ok)
        error_set(err, "E0009", "cannot keep the events in memory: %s", strerror(errno));
    ok = ok && take(intake, origin, fd, LIMIT_UNPACKED_BYTES, ret, err);
    if (fd >= 0)
        close(fd);
    return ok;
}
