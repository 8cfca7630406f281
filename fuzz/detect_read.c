// SPDX-License-Identifier: Apache-2.0
/* Input: a pattern, a newline, and a stream of events. The stream is cut the same way as a text and
 * from a descriptor; what comes out lies in it in order; one JSON object is one event. What the
 * pattern matches, bare or in its envelope, the sieve lets through. */
#include "detect/detect_internal.h"
#include "pattern/pattern.h"
#include "value/json.h"

#include "base/ensure.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A pattern alone, and the sieve made for it. */
struct trigger {
    struct pattern_set *set;
    struct pattern_scratch *scratch;
    struct sieve *sieve;
};

static bool trigger_init(struct trigger *t, struct str pattern)
{
    struct error err;
    struct pattern_builder *builder = pattern_builder_create();
    bool ok = builder && pattern_builder_add(builder, pattern, 1, &err);
    *t = (struct trigger){0};
    if (ok) {
        t->set = pattern_builder_finish(builder, &err);
        t->scratch = t->set ? pattern_scratch_create(t->set) : NULL;
        t->sieve = sieve_create();
        ENSURE(t->scratch && t->sieve && sieve_add(t->sieve, pattern));
    }
    pattern_builder_destroy(builder);
    return ok;
}

static void trigger_finish(struct trigger *t)
{
    sieve_destroy(t->sieve);
    pattern_scratch_destroy(t->scratch);
    pattern_set_destroy(t->set);
}

static bool matches(const struct trigger *t, struct str event)
{
    const uint32_t *tags;
    size_t count = 0;
    struct error err;
    return pattern_match(t->set, event, NULL, t->scratch, &tags, &count, &err) && count > 0;
}

static void check_sieve(const struct trigger *t, struct str event)
{
    ARENA_AUTO struct arena arena = {0};
    struct value v;
    struct str wrapped;
    struct error err;
    if (sieve_may_match(t->sieve, event))
        return;
    ENSURE(!matches(t, event));
    if (json_parse(&arena, event, &v, &err) && v.kind == VALUE_MAP &&
        detect_wrap(event, &arena, &wrapped, &err))
        ENSURE(!matches(t, wrapped));
}

static struct detect_reader *open_descriptor(struct str stream)
{
    struct error err;
    int fd = memfd_create("stream", MFD_CLOEXEC);
    ENSURE(fd >= 0);
    ENSURE(write(fd, stream.ptr, stream.len) == (ssize_t)stream.len);
    ENSURE(lseek(fd, 0, SEEK_SET) == 0);
    struct detect_reader *reader = detect_reader_create(fd, &err);
    ENSURE(reader);
    (void)close(fd);
    return reader;
}

/* gzip or zstd by its first bytes, which only a descriptor's reader unpacks. */
static bool is_packed(struct str stream)
{
    return str_starts(stream, STR("\x1F\x8B")) || str_starts(stream, STR("\x28\xB5\x2F\xFD"));
}

/* Every piece takes at least a byte, so reading ends. */
static void read_packed(struct str stream)
{
    struct detect_reader *reader = open_descriptor(stream);
    struct str text;
    struct error err;
    while (detect_reader_next(reader, &text, &err) != DETECT_READ_END)
        ;
    ENSURE(detect_reader_taken(reader) <= stream.len);
    detect_reader_destroy(reader);
}

/* Then it is the only event, whole. */
static bool is_one_object(struct str stream)
{
    ARENA_AUTO struct arena arena = {0};
    struct value v;
    struct error err;
    return stream.len && stream.ptr[0] == '{' && json_parse(&arena, stream, &v, &err) &&
           !value_get(v, STR("Records"));
}

static void read_plain(const struct trigger *t, struct str stream)
{
    struct error err = {0}, other_err = {0};
    struct detect_reader *reader = detect_reader_create_text(stream, &err);
    struct detect_reader *other = open_descriptor(stream);
    struct str text, other_text;
    const char *behind = stream.ptr; // what was read last
    size_t events = 0, rounds = 0;
    bool one = is_one_object(stream);
    enum detect_read got;
    ENSURE(reader);
    do {
        got = detect_reader_next(reader, &text, &err);
        ENSURE(detect_reader_next(other, &other_text, &other_err) == got);
        ENSURE(rounds++ <= stream.len);
        if (got == DETECT_READ_BAD)
            ENSURE(str_is(str_from(err.code), other_err.code));
        if (got != DETECT_READ_EVENT)
            continue;
        ENSURE(str_eq(text, other_text) && text.len >= 2 && text.ptr[0] == '{');
        ENSURE(text.ptr >= behind && text.ptr + text.len <= stream.ptr + stream.len);
        behind = text.ptr + text.len;
        if (one)
            ENSURE(events == 0 && text.ptr == stream.ptr && str_trim(stream).len == text.len);
        events++;
        check_sieve(t, text);
    } while (got != DETECT_READ_END);
    ENSURE(!one || events == 1);
    detect_reader_destroy(reader);
    detect_reader_destroy(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, pattern = str_cut(&rest, '\n');
    struct trigger trigger;
    if (!rest.ptr || !trigger_init(&trigger, pattern))
        return 0;
    if (is_packed(rest))
        read_packed(rest);
    else
        read_plain(&trigger, rest);
    trigger_finish(&trigger);
    return 0;
}
