// SPDX-License-Identifier: Apache-2.0
/* Which files there are and how they are cut into parts that threads can share.
 *
 * Folders are walked to their ends: a CloudTrail bucket's own layout (AWSLogs/ACCOUNT/CloudTrail/
 * REGION/YEAR/MONTH/DAY/FILE.json.gz) or any other. Digests are no events. A part of a large plain
 * file is what lies between two boundaries:
 *
 *      ...}\n{...}\n{...}\n{......}\n{...
 *            |part of REPLAY_PART_BYTES |
 *             ^ starts at its first       ^ ends at the first one behind it
 */
#include "replay/replay_internal.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_DEPTH_MAX 32
#define SNIFF_BYTES (64u << 10)
#define SLACK_BYTES (256u << 10) // read behind a part at once, for its last event

size_t replay_boundary(struct str text, size_t from)
{
    for (size_t at = from; at < text.len; at++) {
        const char *line = memchr(text.ptr + at, '\n', text.len - at);
        if (!line)
            break;
        at = (size_t)(line - text.ptr);
        size_t before = at;
        if (before && text.ptr[before - 1] == '\r')
            before--;
        if (before && text.ptr[before - 1] == '}' && at + 1 < text.len && text.ptr[at + 1] == '{')
            return at + 1;
    }
    return SIZE_MAX;
}

/* ---- reading ---- */

static bool cannot_read(const char *path, struct error *err)
{
    return error_set(err, "Y0001", "cannot read %s: %s", path, strerror(errno));
}

/* Appends up to `size` bytes at `offset` behind what is there. */
static bool read_at(int fd, const char *path, uint64_t offset, size_t size,
                    struct replay_bytes *bytes, size_t *len, struct error *err)
{
    if (*len + size > bytes->cap) {
        char *grown = realloc(bytes->ptr, *len + size);
        if (!grown)
            return error_set(err, "Y0003", "out of memory");
        bytes->ptr = grown;
        bytes->cap = *len + size;
    }
    while (size) {
        ssize_t got = pread(fd, bytes->ptr + *len, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cannot_read(path, err);
        if (got == 0)
            break;
        *len += (size_t)got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

static bool read_part(int fd, const struct replay_unit *unit, struct replay_bytes *bytes,
                      struct str *ret_text, struct error *err)
{
    uint64_t begin = unit->from < 3 ? 0 : unit->from - 3; // to see what a first line follows
    size_t head = (size_t)(unit->from - begin), size = (size_t)(unit->to - begin), len = 0;
    if (!read_at(fd, unit->path, begin, size + SLACK_BYTES, bytes, &len, err))
        return false;
    struct str text = {bytes->ptr, len};
    size_t start = head, end = SIZE_MAX;
    if (unit->from) {
        /* A boundary's line break may be the last byte before the part. */
        start = replay_boundary(text, head - 1);
        if (start == SIZE_MAX || start >= size) {
            *ret_text = (struct str){0};
            return true;
        }
    }
    for (size_t from = size > 0 ? size - 1 : 0;;) {
        end = replay_boundary(text, from);
        if (end != SIZE_MAX)
            break;
        size_t had = len;
        if (!read_at(fd, unit->path, begin + len, REPLAY_PART_BYTES, bytes, &len, err))
            return false;
        text = (struct str){bytes->ptr, len};
        if (len == had)
            break; // the end of the file
        from = had - 1;
    }
    *ret_text = str_sub(text, start, (end < len ? end : len) - start);
    return true;
}

bool replay_read_part(const struct replay_unit *unit, struct replay_bytes *bytes,
                      struct str *ret_text, struct error *err)
{
    int fd = open(unit->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cannot_read(unit->path, err);
    bool ok = read_part(fd, unit, bytes, ret_text, err);
    close(fd);
    return ok;
}

/* ---- finding ---- */

static bool add_unit(struct replay_work *w, struct replay_unit unit, struct error *err)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        struct replay_unit *grown =
            cap > LIMIT_REPLAY_UNITS ? NULL : realloc(w->units, cap * sizeof *grown);
        if (!grown && cap > LIMIT_REPLAY_UNITS)
            return error_set(err, "Y0004", "more than %u files and parts of files",
                             LIMIT_REPLAY_UNITS / 2);
        if (!grown)
            return error_set(err, "Y0003", "out of memory");
        w->units = grown;
        w->cap = cap;
    }
    w->units[w->count++] = unit;
    return true;
}

/* May this plain file be cut? Not one {"Records": [...]}, and lines follow lines within it. */
static bool can_be_cut(int fd, struct error *err)
{
    struct replay_bytes bytes = {0};
    size_t len = 0;
    bool ok = read_at(fd, "", 0, SNIFF_BYTES, &bytes, &len, err);
    struct str text = {bytes.ptr, ok ? len : 0}, start = str_trim(str_sub(text, 0, 64));
    bool packed = text.len > 2 && (memcmp(text.ptr, "\x1f\x8b", 2) == 0 ||
                                   memcmp(text.ptr, "\x28\xb5\x2f", 3) == 0);
    ok = ok && !packed && start.len && start.ptr[0] == '{' &&
         str_find(start, STR("\"Records\"")) == SIZE_MAX && replay_boundary(text, 0) != SIZE_MAX;
    free(bytes.ptr);
    return ok;
}

static bool add_file(struct replay_work *w, const char *path, uint64_t size, struct error *err)
{
    const char *kept = arena_copy(&w->arena, path, strlen(path));
    bool cut = false;
    if (!kept)
        return error_set(err, "Y0003", "out of memory");
    w->files++;
    w->bytes += size;
    if (size > 2 * (uint64_t)REPLAY_PART_BYTES) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return cannot_read(path, err);
        cut = can_be_cut(fd, err);
        close(fd);
    }
    for (uint64_t from = 0; cut && from < size; from += REPLAY_PART_BYTES) {
        uint64_t to = size - from < REPLAY_PART_BYTES ? size : from + REPLAY_PART_BYTES;
        if (!add_unit(w, (struct replay_unit){kept, from, to, true}, err))
            return false;
    }
    return cut || add_unit(w, (struct replay_unit){kept, 0, size, false}, err);
}

static bool is_event_file(const char *name)
{
    static const char *const ends[] = {".json", ".jsonl", ".ndjson"};
    struct str s = str_from(name);
    if (name[0] == '.')
        return false;
    if (str_ends(s, STR(".gz")))
        s.len -= 3;
    else if (str_ends(s, STR(".zst")))
        s.len -= 4;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(s, str_from(ends[i])))
            return true;
    return false;
}

static bool add_folder(struct replay_work *w, const char *path, unsigned depth, struct error *err);

static bool add_entry(struct replay_work *w, const char *folder, const char *name, unsigned depth,
                      struct error *err)
{
    char path[4096];
    struct stat info;
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof path || lstat(path, &info) != 0)
        return cannot_read(path, err);
    if (S_ISDIR(info.st_mode) && strcmp(name, "CloudTrail-Digest") != 0)
        return add_folder(w, path, depth + 1, err);
    if (S_ISREG(info.st_mode) && is_event_file(name))
        return add_file(w, path, (uint64_t)info.st_size, err);
    w->passed_over++;
    return true;
}

static bool add_folder(struct replay_work *w, const char *path, unsigned depth, struct error *err)
{
    struct dirent **entries;
    bool ok = true;
    if (depth > FOLDER_DEPTH_MAX)
        return error_set(err, "Y0004", "%s: folders are nested more than %d deep", path,
                         FOLDER_DEPTH_MAX);
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return cannot_read(path, err);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            ok = add_entry(w, path, name, depth, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool replay_work_find(struct replay_work *w, const char *const *paths, size_t count,
                      struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        bool ok;
        if (strcmp(paths[i], "-") == 0) {
            w->files++;
            ok = add_unit(w, (struct replay_unit){.path = "-"}, err);
        } else if (stat(paths[i], &info) != 0) {
            ok = cannot_read(paths[i], err);
        } else if (S_ISDIR(info.st_mode)) {
            ok = add_folder(w, paths[i], 0, err);
        } else {
            ok = add_file(w, paths[i], (uint64_t)info.st_size, err);
        }
        if (!ok)
            return false;
    }
    return w->count ? true : error_set(err, "Y0002", "no files of events there");
}

void replay_work_finish(struct replay_work *w)
{
    free(w->units);
    arena_finish(&w->arena);
    *w = (struct replay_work){0};
}
