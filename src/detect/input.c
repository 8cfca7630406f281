// SPDX-License-Identifier: Apache-2.0
/* See detect_internal.h. What was whole is handed out before a defect is told. */
#include "detect/detect_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define PACKED_BYTES 65536
#define MAGIC_BYTES 4

enum packing { PACKING_UNKNOWN, PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

struct input {
    int fd;          // -1: `text` is read instead
    struct str text; // what is left of it
    enum packing packing;
    unsigned char packed[PACKED_BYTES]; // read, [at, len) not yet unpacked
    size_t at, len;
    uint64_t taken;
    bool end;    // of the descriptor's bytes
    bool inside; // a gzip member or zstd frame
    const char *broken;
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

struct input *input_open(int fd)
{
    struct input *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->fd = dup(fd);
    if (in->fd >= 0)
        return in;
    free(in);
    return NULL;
}

struct input *input_open_text(struct str text)
{
    struct input *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->fd = -1;
    in->text = text;
    return in;
}

void input_close(struct input *in)
{
    if (!in)
        return;
    if (in->packing == PACKING_GZIP)
        inflateEnd(&in->gzip);
    ZSTD_freeDCtx(in->zstd);
    if (in->fd >= 0)
        close(in->fd);
    free(in);
}

const char *input_broken(const struct input *in)
{
    return in->broken;
}

uint64_t input_taken(const struct input *in)
{
    return in->taken;
}

static ssize_t read_text(struct input *in, void *out, size_t size)
{
    struct str part = str_sub(in->text, 0, size);
    if (part.len)
        memcpy(out, part.ptr, part.len);
    in->text = str_sub(in->text, part.len, SIZE_MAX);
    return (ssize_t)part.len;
}

static size_t read_bytes(struct input *in, void *out, size_t size)
{
    ssize_t got;
    do
        got = in->fd < 0 ? read_text(in, out, size) : read(in->fd, out, size);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        in->end = true;
        in->broken = got < 0 ? "reading failed" : NULL;
        return 0;
    }
    in->taken += (uint64_t)got;
    return (size_t)got;
}

/* Are there packed bytes? Reads some if there are none. */
static bool has_packed(struct input *in)
{
    if (in->at == in->len && !in->end) {
        in->at = 0;
        in->len = read_bytes(in, in->packed, sizeof in->packed);
    }
    return in->at < in->len;
}

static void give_up(struct input *in, const char *why)
{
    in->broken = why;
    in->at = in->len = 0;
    in->end = true;
}

static void find_packing(struct input *in)
{
    static const unsigned char zstd[MAGIC_BYTES] = {0x28, 0xB5, 0x2F, 0xFD};
    while (in->len < MAGIC_BYTES && !in->end)
        in->len += read_bytes(in, in->packed + in->len, sizeof in->packed - in->len);
    in->packing = PACKING_NONE;
    if (in->len >= 2 && in->packed[0] == 0x1F && in->packed[1] == 0x8B) {
        if (inflateInit2(&in->gzip, 15 + 16) == Z_OK)
            in->packing = PACKING_GZIP;
        else
            give_up(in, "out of memory");
    } else if (in->len >= MAGIC_BYTES && memcmp(in->packed, zstd, MAGIC_BYTES) == 0) {
        in->packing = PACKING_ZSTD;
        in->zstd = ZSTD_createDCtx();
        if (!in->zstd)
            give_up(in, "out of memory");
    }
    in->inside = true;
}

static size_t read_plain(struct input *in, char *out, size_t size)
{
    size_t rest = in->len - in->at;
    if (rest == 0)
        return in->end ? 0 : read_bytes(in, out, size);
    if (rest > size)
        rest = size;
    memcpy(out, in->packed + in->at, rest);
    in->at += rest;
    return rest;
}

/* One step of unpacking; returns how many bytes came out. */
static size_t inflate_some(struct input *in, char *out, size_t size)
{
    if (!in->inside && inflateReset(&in->gzip) != Z_OK) {
        give_up(in, "the gzip data is damaged");
        return 0;
    }
    in->gzip.next_in = in->packed + in->at;
    in->gzip.avail_in = (unsigned)(in->len - in->at);
    in->gzip.next_out = (unsigned char *)out;
    in->gzip.avail_out = (unsigned)size;
    int state = inflate(&in->gzip, Z_NO_FLUSH);
    in->at = in->len - in->gzip.avail_in;
    in->inside = state != Z_STREAM_END;
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
        give_up(in, "the gzip data is damaged");
    return size - in->gzip.avail_out;
}

static size_t unzstd_some(struct input *in, char *out, size_t size)
{
    ZSTD_inBuffer from = {in->packed, in->len, in->at};
    ZSTD_outBuffer to = {out, size, 0};
    size_t left = ZSTD_decompressStream(in->zstd, &to, &from);
    in->at = from.pos;
    in->inside = left != 0;
    if (ZSTD_isError(left))
        give_up(in, "the zstd data is damaged");
    return to.pos;
}

/* What is still inside of a decoder comes out with no more input, too. */
static size_t read_packed(struct input *in, char *out, size_t size)
{
    bool gzip = in->packing == PACKING_GZIP;
    for (;;) {
        bool more = has_packed(in);
        if (in->broken || (!more && !in->inside))
            return 0;
        size_t got = gzip ? inflate_some(in, out, size) : unzstd_some(in, out, size);
        if (got)
            return got;
        if (!more && !in->broken && in->inside)
            give_up(in, gzip ? "the gzip data is cut off" : "the zstd data is cut off");
    }
}

size_t input_read(struct input *in, char *out, size_t size)
{
    if (in->packing == PACKING_UNKNOWN)
        find_packing(in);
    return in->packing == PACKING_NONE ? read_plain(in, out, size) : read_packed(in, out, size);
}
