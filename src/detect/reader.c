// SPDX-License-Identifier: Apache-2.0
/* Cuts a stream into events without parsing them: braces are balanced outside of strings. Inside
 * {"Records": [ and [ each element is an event; everywhere else each top-level object is one. zlib's
 * own gz layer reads plain and gzip alike. See detect.h. */
#include "detect/detect.h"

#include "base/limits.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK_BYTES 65536

struct detect_reader {
    gzFile file;
    char *buf;
    size_t len, cap, at;
    bool end, in_records;
};

struct detect_reader *detect_reader_create(int fd, struct error *err)
{
    struct detect_reader *reader = calloc(1, sizeof *reader);
    int copy = dup(fd);
    if (reader && copy >= 0)
        reader->file = gzdopen(copy, "rb");
    if (!reader || copy < 0 || !reader->file) {
        if (copy >= 0)
            close(copy);
        free(reader);
        error_set(err, "T0001", "cannot read the events");
        return NULL;
    }
    return reader;
}

void detect_reader_destroy(struct detect_reader *reader)
{
    if (!reader)
        return;
    gzclose(reader->file);
    free(reader->buf);
    free(reader);
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
            return false;
        }
        r->buf = grown;
        r->cap = cap;
    }
    int got = gzread(r->file, r->buf + r->len, CHUNK_BYTES);
    if (got <= 0) {
        r->end = true;
        return false;
    }
    r->len += (size_t)got;
    return true;
}

/* The length of the object that starts at r->at, or 0 when the stream ends within it. */
static size_t object_length(struct detect_reader *r, size_t max, bool *ret_too_long)
{
    size_t depth = 0;
    bool text = false;
    *ret_too_long = false;
    for (size_t i = 0;; i++) {
        if (i > max) {
            *ret_too_long = true;
            return i;
        }
        if (r->at + i >= r->len && !fill(r))
            return 0;
        char c = r->buf[r->at + i];
        if (text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                text = false;
        } else if (c == '"') {
            text = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
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

static enum detect_read bad(struct detect_reader *r, const char *code, const char *what,
                            struct error *err)
{
    error_set(err, code, "%s", what);
    while (r->at < r->len || fill(r)) { // go on behind the line
        if (r->buf[r->at++] == '\n')
            break;
    }
    return DETECT_READ_BAD;
}

enum detect_read detect_reader_next(struct detect_reader *r, struct str *ret_text, struct error *err)
{
    for (;;) {
        if (r->at >= r->len && !fill(r))
            return DETECT_READ_END;
        char c = r->buf[r->at];
        bool filler = c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',';
        if (filler || (c == '[' && !r->in_records) || ((c == ']' || c == '}') && r->in_records) ||
            c == ']') {
            r->at++;
            if (c == '}')
                r->in_records = false;
            continue;
        }
        if (c != '{')
            return bad(r, "T0002", "not an event: expected a JSON object", err);
        if (!r->in_records && enter_records(r))
            continue;
        bool too_long;
        size_t len = object_length(r, LIMIT_EVENT_BYTES, &too_long);
        if (len == 0) {
            r->at = r->len;
            error_set(err, "T0003", "the last event has no end");
            return DETECT_READ_BAD;
        }
        if (too_long)
            return bad(r, "T0004", "an event is larger than 1 MiB", err);
        *ret_text = (struct str){r->buf + r->at, len};
        r->at += len;
        return DETECT_READ_EVENT;
    }
}
