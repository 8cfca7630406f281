// SPDX-License-Identifier: Apache-2.0
/* Cuts a stream into events without parsing them: braces are balanced outside of strings. Inside
 * {"Records": [ and [ each element is an event; everywhere else each top-level object is one. See
 * detect.h. */
#include "detect/detect_internal.h"

#include "base/limits.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define CHUNK_BYTES 65536

struct detect_reader {
    struct input *input;
    char *buf;
    size_t len, cap, at;
    bool end, in_records;
    const char *broken; // why the data ended before its end; static
};

struct detect_reader *detect_reader_create(int fd, struct error *err)
{
    struct detect_reader *reader = calloc(1, sizeof *reader);
    if (reader)
        reader->input = input_open(fd);
    if (reader && reader->input)
        return reader;
    free(reader);
    error_set(err, "T0001", "cannot read the events");
    return NULL;
}

void detect_reader_destroy(struct detect_reader *reader)
{
    if (!reader)
        return;
    input_close(reader->input);
    free(reader->buf);
    free(reader);
}

uint64_t detect_reader_taken(const struct detect_reader *reader)
{
    return input_taken(reader->input);
}

bool detect_reader_must_wait(const struct detect_reader *r)
{
    size_t at = r->at;
    while (at < r->len && (r->buf[at] == ' ' || r->buf[at] == '\n' || r->buf[at] == '\r'))
        at++;
    return at == r->len;
}

/* More bytes behind what is unread. False at the end. */
static bool fill(struct detect_reader *r)
{
    if (r->at) {
        memmove(r->buf, r->buf + r->at, r->len - r->at);
        r->len -= r->at;
        r->at = 0;
    }
    if (r->end)
        return false;
    if (r->cap - r->len < CHUNK_BYTES) {
        size_t cap = r->cap ? r->cap * 2 : 4 * CHUNK_BYTES;
        char *grown = realloc(r->buf, cap);
        if (!grown) {
            r->end = true;
            r->broken = "out of memory";
            return false;
        }
        r->buf = grown;
        r->cap = cap;
    }
    size_t got = input_read(r->input, r->buf + r->len, CHUNK_BYTES);
    if (got == 0) {
        r->end = true;
        r->broken = input_broken(r->input);
        return false;
    }
    r->len += got;
    return true;
}

/* Where a piece without an end is given up: before the next line that starts an object, so that one
 * cut JSON line does not swallow those behind it. 0 = there is none. */
static size_t next_line_object(const struct detect_reader *r, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++)
        if (memcmp(r->buf + r->at + i, "\n{\"", 3) == 0)
            return i + 1;
    return 0;
}

/* How many of the next bytes, at most `len`, surely change nothing: inside of a string no quote,
 * backslash or end of line, outside no quote, brace or bracket. */
static size_t count_calm(const char *p, size_t len, bool text)
{
    size_t i = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), bit = _mm_set1_epi8(text ? 0 : 0x20);
    const __m128i second = _mm_set1_epi8(text ? '\\' : '{'),
                  third = _mm_set1_epi8(text ? '\n' : '}');
    for (; i + 16 <= len; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i other = _mm_or_si128(v, bit);
        __m128i any = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(other, second));
        unsigned found =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(any, _mm_cmpeq_epi8(other, third)));
        if (found)
            return i + (unsigned)__builtin_ctz(found);
    }
#else
    (void)p, (void)len, (void)text;
#endif
    return i;
}

enum piece { PIECE_WHOLE, PIECE_TOO_LONG, PIECE_NO_END, PIECE_BROKEN };

/* Measures the object that starts at r->at. What is longer than an event may be is dropped while it
 * is read; the cursor then stands behind it. BROKEN: a line ends inside a string. */
static enum piece measure(struct detect_reader *r, size_t *ret_len)
{
    size_t depth = 0;
    bool text = false, escaped = false, long_one = false;
    for (size_t i = 0;; i++) {
        if (i > LIMIT_EVENT_BYTES) {
            size_t next = long_one ? 0 : next_line_object(r, i);
            *ret_len = next;
            if (next)
                return PIECE_TOO_LONG;
            long_one = true;
            r->at += i;
            i = 0;
        }
        if (r->at + i >= r->len && !fill(r)) {
            *ret_len = long_one ? r->len - r->at : next_line_object(r, r->len - r->at);
            return long_one ? PIECE_TOO_LONG : PIECE_NO_END;
        }
        if (!escaped) {
            size_t ready = r->len - r->at - i, limit = LIMIT_EVENT_BYTES + 1 - i;
            size_t calm = count_calm(r->buf + r->at + i, ready < limit ? ready : limit, text);
            if (calm) {
                i += calm - 1;
                continue;
            }
        }
        char c = r->buf[r->at + i];
        if (text && c == '\n') {
            *ret_len = i + 1;
            return long_one ? PIECE_TOO_LONG : PIECE_BROKEN;
        }
        if (escaped) {
            escaped = false;
        } else if (text) {
            escaped = c == '\\';
            text = c != '"';
        } else if (c == '"') {
            text = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            *ret_len = i + 1;
            return long_one ? PIECE_TOO_LONG : PIECE_WHOLE;
        }
    }
}

/* `{"Records": [` at the cursor? Then the cursor moves behind the bracket. */
static bool enter_records(struct detect_reader *r)
{
    static const char want[] = "{\"Records\":[";
    size_t i = 0;
    for (const char *w = want; *w; i++) {
        if (r->at + i >= r->len && !fill(r))
            return false;
        char c = r->buf[r->at + i];
        if (c == *w)
            w++;
        else if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return false;
    }
    r->at += i;
    r->in_records = true;
    return true;
}

static enum detect_read bad(const char *code, const char *what, struct error *err)
{
    error_set(err, code, "%s", what);
    return DETECT_READ_BAD;
}

/* Not the start of an event: goes on behind the line, within Records at the next object. */
static enum detect_read skip_garbage(struct detect_reader *r, struct error *err)
{
    while (r->at < r->len || fill(r)) {
        if (r->in_records && r->buf[r->at] == '{')
            break;
        if (r->buf[r->at++] == '\n')
            break;
    }
    return bad("T0002", "not an event: expected a JSON object", err);
}

static enum detect_read next_object(struct detect_reader *r, struct str *ret_text,
                                    struct error *err)
{
    size_t len;
    enum piece piece = measure(r, &len);
    const char *start = r->buf + r->at;
    r->at += len;
    switch (piece) {
    case PIECE_WHOLE:
        *ret_text = (struct str){start, len};
        return DETECT_READ_EVENT;
    case PIECE_TOO_LONG:
        return bad("T0004", "an event is larger than 1 MiB", err);
    case PIECE_BROKEN:
        return bad("T0003", "an event ends within a string", err);
    case PIECE_NO_END:
        break;
    }
    if (len == 0)
        r->at = r->len;
    return bad("T0003", "an event has no end", err);
}

/* The end of the stream; once a BAD when it is not the end of the data. */
static enum detect_read end_of_stream(struct detect_reader *r, struct error *err)
{
    const char *why = r->broken;
    r->broken = NULL;
    if (!why)
        return DETECT_READ_END;
    error_set(err, "T0008", "the events end too early: %s", why);
    return DETECT_READ_BAD;
}

enum detect_read detect_reader_next(struct detect_reader *r, struct str *ret_text,
                                    struct error *err)
{
    for (;;) {
        if (r->at >= r->len && !fill(r))
            return end_of_stream(r, err);
        char c = r->buf[r->at];
        bool filler = c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',';
        if (filler || (c == '[' && !r->in_records) || (c == '}' && r->in_records) || c == ']') {
            r->at++;
            if (c == '}')
                r->in_records = false;
            continue;
        }
        if (c != '{')
            return skip_garbage(r, err);
        if (!r->in_records && enter_records(r))
            continue;
        return next_object(r, ret_text, err);
    }
}
