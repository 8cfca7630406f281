// SPDX-License-Identifier: Apache-2.0
/* Cuts a stream into events without parsing them: braces are balanced outside of strings. Inside
 * {"Records": [ and [ each element is an event; everywhere else each top-level object is one.
 * 64 bytes at a time become bit masks: quotes, braces, line breaks. See detect.h. */
#include "detect/detect_internal.h"

#include "base/limits.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define CHUNK_BYTES 65536
#define BLOCK 64

struct detect_reader {
    struct input *input; // NULL: the text is all there is
    char *buf;           // ours, unless there is no input
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

struct detect_reader *detect_reader_create_text(struct str text, struct error *err)
{
    struct detect_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        error_set(err, "T0001", "cannot read the events");
        return NULL;
    }
    reader->buf = (char *)(uintptr_t)text.ptr; // never written to: see fill()
    reader->len = text.len;
    reader->end = true;
    return reader;
}

void detect_reader_destroy(struct detect_reader *reader)
{
    if (!reader)
        return;
    if (reader->input)
        free(reader->buf);
    input_close(reader->input);
    free(reader);
}

uint64_t detect_reader_taken(const struct detect_reader *reader)
{
    return reader->input ? input_taken(reader->input) : 0;
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
    if (r->end)
        return false;
    if (r->at) {
        memmove(r->buf, r->buf + r->at, r->len - r->at);
        r->len -= r->at;
        r->at = 0;
    }
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
    size_t got = input_read(r->input, r->buf + r->len, r->cap - r->len);
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

enum piece { PIECE_WHOLE, PIECE_TOO_LONG, PIECE_NO_END, PIECE_BROKEN };

/* One bit a byte of a block. */
struct masks {
    uint64_t quotes, backslashes, opens, closes, lines;
};

static struct masks find_masks(const char *p)
{
    struct masks m = {0};
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
    const __m128i line = _mm_set1_epi8('\n'), fold = _mm_set1_epi8(0x20); // [ to {, ] to }
    for (unsigned i = 0; i < BLOCK; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i folded = _mm_or_si128(v, fold);
#define MASK(found) (uint64_t)(uint32_t) _mm_movemask_epi8(found) << i
        m.quotes |= MASK(_mm_cmpeq_epi8(v, quote));
        m.backslashes |= MASK(_mm_cmpeq_epi8(v, slash));
        m.opens |= MASK(_mm_cmpeq_epi8(folded, open));
        m.closes |= MASK(_mm_cmpeq_epi8(folded, close));
        m.lines |= MASK(_mm_cmpeq_epi8(v, line));
#undef MASK
    }
#else
    for (unsigned i = 0; i < BLOCK; i++) {
        uint64_t bit = (uint64_t)1 << i;
        m.quotes |= p[i] == '"' ? bit : 0;
        m.backslashes |= p[i] == '\\' ? bit : 0;
        m.opens |= p[i] == '{' || p[i] == '[' ? bit : 0;
        m.closes |= p[i] == '}' || p[i] == ']' ? bit : 0;
        m.lines |= p[i] == '\n' ? bit : 0;
    }
#endif
    return m;
}

/* What is carried from block to block. */
struct walk {
    size_t depth;
    uint64_t in_text;      // all bits set: the block starts within a string
    uint64_t escape_carry; // 1: its first byte is escaped
};

/* Bytes behind a backslash that is not itself escaped (Langdale and Lemire 2019, section 3.1.1). */
static uint64_t escaped_bytes(uint64_t backslashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555u;
    uint64_t follows, odd_starts, sequences;
    if (!backslashes) {
        follows = *carry;
        *carry = 0;
        return follows;
    }
    backslashes &= ~*carry;
    follows = backslashes << 1 | *carry;
    odd_starts = backslashes & ~even & ~follows;
    *carry = __builtin_add_overflow(odd_starts, backslashes, &sequences);
    return (even ^ (sequences << 1)) & follows;
}

#define NOT_HERE BLOCK

/* Position within the block of the byte that ends the object (*ret_broken: of a line break inside
 * a string), or NOT_HERE. Of the block only `len` bytes are there, behind them blanks. */
static unsigned walk_block(struct walk *w, const char *p, size_t len, bool *ret_broken)
{
    struct masks m = find_masks(p);
    uint64_t escaped = escaped_bytes(m.backslashes, &w->escape_carry);
    uint64_t text = m.quotes & ~escaped;
    if (len < BLOCK)
        w->escape_carry = escaped >> len & 1;
    for (unsigned shift = 1; shift < BLOCK; shift *= 2)
        text ^= text << shift;
    text ^= w->in_text;
    w->in_text = (uint64_t)0 - (text >> (BLOCK - 1));
    uint64_t opens = m.opens & ~text, closes = m.closes & ~text, breaks = m.lines & text;
    unsigned broken = breaks ? (unsigned)__builtin_ctzll(breaks) : NOT_HERE;
    *ret_broken = breaks != 0;
    size_t close_count = (size_t)__builtin_popcountll(closes);
    if (close_count < w->depth) { // it cannot end here
        w->depth += (size_t)__builtin_popcountll(opens) - close_count;
        return broken;
    }
    for (uint64_t both = opens | closes; both; both &= both - 1) {
        unsigned at = (unsigned)__builtin_ctzll(both);
        if (at > broken)
            break;
        if (opens >> at & 1) {
            w->depth++;
        } else if (w->depth == 0 || --w->depth == 0) {
            *ret_broken = false;
            return at;
        }
    }
    return broken;
}

/* The block at r->at + i: what is there of it, without waiting for more, blanks behind. NULL:
 * nothing is left. */
static const char *block_at(struct detect_reader *r, size_t i, char padded[BLOCK], size_t *ret_len)
{
    if (r->at + i >= r->len && !fill(r))
        return NULL;
    size_t left = r->len - r->at - i;
    *ret_len = left < BLOCK ? left : BLOCK;
    if (left >= BLOCK)
        return r->buf + r->at + i;
    memset(padded, ' ', BLOCK);
    memcpy(padded, r->buf + r->at + i, left);
    return padded;
}

/* Measures the object that starts at r->at. What is longer than an event may be is dropped while it
 * is read; the cursor then stands behind it. BROKEN: a line ends inside a string. */
static enum piece measure(struct detect_reader *r, size_t *ret_len)
{
    struct walk w = {0};
    bool long_one = false, broken;
    char padded[BLOCK];
    for (size_t i = 0, len;; i += len) {
        if (i > LIMIT_EVENT_BYTES) {
            size_t next = long_one ? 0 : next_line_object(r, i);
            *ret_len = next;
            if (next)
                return PIECE_TOO_LONG;
            long_one = true;
            r->at += i;
            i = 0;
        }
        const char *block = block_at(r, i, padded, &len);
        if (!block) {
            *ret_len = long_one ? r->len - r->at : next_line_object(r, r->len - r->at);
            return long_one ? PIECE_TOO_LONG : PIECE_NO_END;
        }
        unsigned at = walk_block(&w, block, len, &broken);
        if (at == NOT_HERE)
            continue;
        *ret_len = i + at + 1;
        if (long_one || (!broken && *ret_len > LIMIT_EVENT_BYTES + 1))
            return PIECE_TOO_LONG;
        return broken ? PIECE_BROKEN : PIECE_WHOLE;
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
