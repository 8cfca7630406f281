// SPDX-License-Identifier: Apache-2.0
/* Reading one HTTP/1.1 answer (RFC 9112): status line, headers, and a body by length, by chunks or
 * until the connection ends. What comes is hostile: everything is bounded, and what is not HTTP is
 * garbled, never guessed at.
 *
 *   buf:  [ head .................. | body that came with it | free ]
 *         ^ headers are views here    ^ at                   ^ end   ^ cap
 *
 * The head's buffer grows by moving, so views are made when the head is whole. A body that is all
 * there is a view too; a longer one is copied once into room of its own. */
#include "net/net_internal.h"

#include "base/limits.h"

#define LINE_BYTES 8192u // of a chunk's size line

struct reader {
    struct answer_source source;
    struct arena *arena;
    char *buf;
    size_t at, end, cap;
    size_t head_bytes; // of all heads so far
    bool began;        // a byte has come
};

/* More bytes behind `end`. */
static enum answer_result fill(struct reader *reader)
{
    if (reader->end == reader->cap) {
        size_t cap = reader->cap ? reader->cap * 2 : NET_READ_BYTES;
        char *buf = reader->buf ? arena_grow(reader->arena, reader->buf, reader->cap, cap)
                                : arena_alloc_raw(reader->arena, cap, 1);
        if (!buf)
            return ANSWER_NO_MEMORY;
        reader->buf = buf;
        reader->cap = cap;
    }
    ssize_t got = reader->source.receive(reader->source.ctx, reader->buf + reader->end,
                                         reader->cap - reader->end);
    if (got <= 0)
        return reader->began ? ANSWER_BROKEN : ANSWER_NONE;
    reader->began = true;
    reader->end += (size_t)got;
    return ANSWER_WHOLE;
}

/* ---- the head ---- */

/* Past the empty line that ends the head at `at`, or 0: not there yet. `*from`: searched so far. */
static size_t head_end(const struct reader *reader, size_t *from)
{
    const char *buf = reader->buf;
    size_t i = *from;
    for (const char *line; i < reader->end && (line = memchr(buf + i, '\n', reader->end - i));) {
        size_t next = (size_t)(line - buf) + 1;
        if (next < reader->end && buf[next] == '\n')
            return next + 1;
        if (next + 1 < reader->end && buf[next] == '\r' && buf[next + 1] == '\n')
            return next + 2;
        if (next + 1 >= reader->end)
            break; // look at this line again when more has come
        i = next;
    }
    *from = i;
    return 0;
}

static enum answer_result read_head(struct reader *reader, struct str *ret)
{
    size_t from = reader->at, end;
    while ((end = reader->end > reader->at ? head_end(reader, &from) : 0) == 0) {
        if (reader->head_bytes + (reader->end - reader->at) > NET_HEAD_BYTES)
            return ANSWER_TOO_LARGE;
        enum answer_result result = fill(reader);
        if (result != ANSWER_WHOLE)
            return result;
    }
    reader->head_bytes += end - reader->at;
    if (reader->head_bytes > NET_HEAD_BYTES)
        return ANSWER_TOO_LARGE;
    *ret = (struct str){reader->buf + reader->at, end - reader->at};
    reader->at = end;
    return ANSWER_WHOLE;
}

static struct str cut_line(struct str *rest)
{
    struct str line = str_cut(rest, '\n');
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* "HTTP/1.1 200 OK" */
static bool parse_status(struct str line, int *ret_status, bool *ret_old)
{
    if (line.len < 12 || !str_starts(line, STR("HTTP/1.")) || line.ptr[8] != ' ')
        return false;
    char minor = line.ptr[7];
    if ((minor != '0' && minor != '1') || (line.len > 12 && line.ptr[12] != ' '))
        return false;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return false;
        status = status * 10 + (line.ptr[i] - '0');
    }
    *ret_status = status;
    *ret_old = minor == '0';
    return status >= 100;
}

static bool parse_header(struct str line, struct net_header *ret)
{
    size_t colon = str_find_byte(line, ':');
    if (colon == SIZE_MAX || colon == 0)
        return false;
    struct str name = str_sub(line, 0, colon);
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] <= ' ' || name.ptr[i] == 0x7f)
            return false;
    }
    *ret = (struct net_header){name, str_trim(str_sub(line, colon + 1, SIZE_MAX))};
    return !ret->value.len || !memchr(ret->value.ptr, '\0', ret->value.len);
}

static enum answer_result parse_headers(struct str head, struct arena *arena,
                                        struct net_answer *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < head.len; i++)
        count += head.ptr[i] == '\n';
    struct net_header *list = ARENA_ARRAY(arena, struct net_header, count);
    if (!list)
        return ANSWER_NO_MEMORY;
    ret->headers = list;
    ret->header_count = 0;
    while (head.len) {
        struct str line = cut_line(&head);
        if (line.len == 0)
            break;
        if (!parse_header(line, &list[ret->header_count++]))
            return ANSWER_GARBLED;
    }
    return ANSWER_WHOLE;
}

/* ---- the body ---- */

enum framing { NOTHING, LENGTH, CHUNKS, UNTIL_END };

static bool has_token(struct str list, const char *token)
{
    while (list.len) {
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), str_from(token)))
            return true;
    }
    return false;
}

/* How the body ends. Two lengths that differ, or a coding that we do not know, are garbled. */
static bool find_framing(const struct net_answer *answer, bool no_body, enum framing *ret,
                         int64_t *ret_length)
{
    *ret = no_body || answer->status == 204 || answer->status == 304 ? NOTHING : UNTIL_END;
    if (*ret == NOTHING)
        return true;
    for (size_t i = 0; i < answer->header_count; i++) {
        const struct net_header *header = &answer->headers[i];
        int64_t length;
        if (str_eq_nocase(header->name, STR("transfer-encoding"))) {
            if (!str_eq_nocase(header->value, STR("chunked")))
                return false;
            *ret = CHUNKS;
        } else if (str_eq_nocase(header->name, STR("content-length"))) {
            if (!str_to_int64(header->value, &length) || length < 0 ||
                (*ret == LENGTH && length != *ret_length))
                return false;
            *ret_length = length;
            *ret = *ret == CHUNKS ? CHUNKS : LENGTH; // chunks win
        }
    }
    return true;
}

/* The next `size` bytes into `out`. */
static enum answer_result copy_bytes(struct reader *reader, size_t size, struct buf *out)
{
    size_t there = reader->end - reader->at;
    there = there < size ? there : size;
    if (there)
        buf_add(out, reader->buf + reader->at, there);
    reader->at += there;
    size -= there;
    while (size > 0) {
        size_t room = size < 65536 ? size : 65536;
        if (!buf_reserve(out, room))
            return ANSWER_NO_MEMORY;
        ssize_t got = reader->source.receive(reader->source.ctx, out->ptr + out->len, room);
        if (got <= 0)
            return ANSWER_BROKEN;
        out->len += (size_t)got;
        size -= (size_t)got;
    }
    return out->failed ? ANSWER_NO_MEMORY : ANSWER_WHOLE;
}

static enum answer_result read_length(struct reader *reader, uint64_t length,
                                      struct net_answer *ret)
{
    if (length > LIMIT_ANSWER_BYTES)
        return ANSWER_TOO_LARGE;
    if (reader->end - reader->at >= length) {
        ret->body = (struct str){reader->buf + reader->at, (size_t)length};
        reader->at += (size_t)length;
        return ANSWER_WHOLE;
    }
    struct buf out = {.arena = reader->arena};
    enum answer_result result = copy_bytes(reader, (size_t)length, &out);
    ret->body = (struct str){out.ptr, out.len};
    return result;
}

static enum answer_result read_until_end(struct reader *reader, struct net_answer *ret)
{
    struct buf out = {.arena = reader->arena};
    if (reader->end > reader->at)
        buf_add(&out, reader->buf + reader->at, reader->end - reader->at);
    reader->at = reader->end;
    for (;;) {
        if (!buf_reserve(&out, 16384))
            return ANSWER_NO_MEMORY;
        ssize_t got = reader->source.receive(reader->source.ctx, out.ptr + out.len, 16384);
        if (got < 0)
            return ANSWER_BROKEN;
        if (got == 0)
            break;
        out.len += (size_t)got;
        if (out.len > LIMIT_ANSWER_BYTES)
            return ANSWER_TOO_LARGE;
    }
    ret->body = (struct str){out.ptr, out.len};
    return out.failed ? ANSWER_NO_MEMORY : ANSWER_WHOLE;
}

/* A line of the chunked coding. The reader's buffer is used up and begun again: no view is kept. */
static enum answer_result read_line(struct reader *reader, struct str *ret)
{
    for (size_t from = reader->at;;) {
        const char *end =
            from < reader->end ? memchr(reader->buf + from, '\n', reader->end - from) : NULL;
        if (end) {
            struct str rest = {reader->buf + reader->at, (size_t)(end - reader->buf) - reader->at};
            *ret = cut_line(&rest);
            reader->at = (size_t)(end - reader->buf) + 1;
            return ANSWER_WHOLE;
        }
        if (reader->end - reader->at > LINE_BYTES)
            return ANSWER_GARBLED;
        from = reader->end;
        enum answer_result result = fill(reader);
        if (result != ANSWER_WHOLE)
            return result;
    }
}

/* "1a;extension" */
static bool parse_chunk_size(struct str line, uint64_t *ret)
{
    struct str digits = str_trim(str_cut(&line, ';'));
    uint64_t size = 0;
    if (digits.len == 0 || digits.len > 8)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.ptr[i], lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'f';
        if (!letter && (c < '0' || c > '9'))
            return false;
        size = size * 16 + (uint64_t)(letter ? lower - 'a' + 10 : c - '0');
    }
    *ret = size;
    return true;
}

static enum answer_result read_trailers(struct reader *reader)
{
    struct str line;
    for (size_t bytes = 0;; bytes += line.len + 2) {
        enum answer_result result = read_line(reader, &line);
        if (result != ANSWER_WHOLE || line.len == 0)
            return result;
        if (bytes > NET_HEAD_BYTES)
            return ANSWER_TOO_LARGE;
    }
}

/* Chunks have a buffer of their own: the head's holds the headers, whose views must not move. */
static enum answer_result read_chunks(struct reader *head, struct net_answer *ret)
{
    struct reader reader = {.source = head->source,
                            .arena = head->arena,
                            .buf = head->buf + head->at,
                            .end = head->end - head->at,
                            .cap = head->end - head->at,
                            .began = true};
    if (reader.cap == 0)
        reader.buf = NULL;
    struct buf out = {.arena = head->arena};
    for (;;) {
        struct str line;
        uint64_t size = 0;
        enum answer_result result = read_line(&reader, &line);
        if (result == ANSWER_WHOLE && !parse_chunk_size(line, &size))
            return ANSWER_GARBLED;
        if (result == ANSWER_WHOLE && size > LIMIT_ANSWER_BYTES - out.len)
            return ANSWER_TOO_LARGE;
        if (result == ANSWER_WHOLE && size > 0)
            result = copy_bytes(&reader, (size_t)size, &out);
        if (result == ANSWER_WHOLE && size > 0)
            result = read_line(&reader, &line);
        if (result != ANSWER_WHOLE)
            return result;
        if (size == 0)
            break;
        if (line.len != 0)
            return ANSWER_GARBLED;
        if (reader.at == reader.end && reader.buf != head->buf + head->at)
            reader.at = reader.end = 0; // its own room, used again
    }
    enum answer_result result = read_trailers(&reader);
    head->at = head->end = 0;
    ret->body = (struct str){out.ptr, out.len};
    return result == ANSWER_WHOLE && reader.at != reader.end ? ANSWER_GARBLED : result;
}

static enum answer_result read_body(struct reader *reader, bool no_body, struct net_answer *ret,
                                    bool *keep)
{
    enum framing framing;
    int64_t length = 0;
    if (!find_framing(ret, no_body, &framing, &length))
        return ANSWER_GARBLED;
    switch (framing) {
    case NOTHING:
        return ANSWER_WHOLE;
    case LENGTH:
        return read_length(reader, (uint64_t)length, ret);
    case CHUNKS:
        return read_chunks(reader, ret);
    case UNTIL_END:
        break;
    }
    *keep = false;
    return read_until_end(reader, ret);
}

static bool wants_to_keep(const struct net_answer *answer, bool old)
{
    bool keep = !old;
    for (size_t i = 0; i < answer->header_count; i++) {
        if (!str_eq_nocase(answer->headers[i].name, STR("connection")))
            continue;
        if (has_token(answer->headers[i].value, "close"))
            return false;
        keep |= has_token(answer->headers[i].value, "keep-alive");
    }
    return keep;
}

enum answer_result answer_read(struct answer_source source, bool no_body, struct arena *arena,
                               struct net_answer *ret, bool *ret_keep)
{
    struct reader reader = {.source = source, .arena = arena};
    bool old = false;
    do {
        struct str head = {0};
        enum answer_result result = read_head(&reader, &head);
        if (result != ANSWER_WHOLE)
            return result;
        if (!parse_status(cut_line(&head), &ret->status, &old))
            return ANSWER_GARBLED;
        result = parse_headers(head, arena, ret);
        if (result != ANSWER_WHOLE)
            return result;
    } while (ret->status < 200 && ret->status != 101);
    if (ret->status == 101)
        return ANSWER_GARBLED; // nobody asked for another protocol
    *ret_keep = wants_to_keep(ret, old);
    enum answer_result result = read_body(&reader, no_body, ret, ret_keep);
    if (reader.at != reader.end)
        *ret_keep = false; // it says more than was asked
    return result;
}
