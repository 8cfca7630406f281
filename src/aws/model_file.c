// SPDX-License-Identifier: Apache-2.0
/* Files of models: reading (plain, gzip, zstd), and putting a botocore folder's files of one
 * service together. Nothing is kept between calls. */
#include "aws/model_internal.h"

#include "value/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define PATH_SIZE 4096

static bool out_of_memory(struct error *err)
{
    return error_set(err, "A0100", "out of memory while reading the service models");
}

/* The file's bytes; 1 = read, 0 = does not exist, -1 = error. */
static int read_bytes(struct arena *arena, const char *path, struct str *ret, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &info) != 0) {
        error_set(err, "A0101", "cannot read %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    size_t size = (size_t)info.st_size, have = 0;
    char *bytes = size <= MODEL_FILE_BYTES_MAX ? arena_alloc_raw(arena, size + 1, 1) : NULL;
    while (bytes && have < size) {
        ssize_t n = read(fd, bytes + have, size - have);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            break;
        have += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (!bytes || have < size) {
        error_set(err, "A0101", "cannot read %s: %s", path,
                  size > MODEL_FILE_BYTES_MAX ? "larger than any model"
                  : bytes                     ? "it ends early"
                                              : "out of memory");
        return -1;
    }
    bytes[size] = '\0';
    *ret = (struct str){bytes, size};
    return 1;
}

static bool unpack_zstd(struct arena *arena, const char *path, struct str packed, struct str *ret,
                        struct error *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(packed.ptr, packed.len);
    if (size > MODEL_FILE_BYTES_MAX)
        return error_set(err, "A0102", "%s is not a model file: its size is not told or too large",
                         path);
    char *bytes = arena_alloc_raw(arena, (size_t)size + 1, 1);
    if (!bytes)
        return out_of_memory(err);
    size_t got = ZSTD_decompress(bytes, (size_t)size, packed.ptr, packed.len);
    if (ZSTD_isError(got) || got != size)
        return error_set(err, "A0102", "%s is damaged: %s", path,
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "it ends early");
    bytes[size] = '\0';
    *ret = (struct str){bytes, (size_t)size};
    return true;
}

/* The size that gzip's last four bytes tell is only a first guess. */
static bool unpack_gzip(struct arena *arena, const char *path, struct str packed, struct str *ret,
                        struct error *err)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed.ptr, .avail_in = (uInt)packed.len};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
        return out_of_memory(err);
    size_t cap = packed.len * 8 + 4096, len = 0;
    char *bytes = arena_alloc_raw(arena, cap, 1);
    int status = Z_OK;
    while (bytes && status == Z_OK && cap <= MODEL_FILE_BYTES_MAX) {
        if (len + 1 == cap) {
            bytes = arena_grow(arena, bytes, cap, cap * 2);
            cap *= 2;
            continue;
        }
        stream.next_out = (Bytef *)bytes + len;
        stream.avail_out = (uInt)(cap - len - 1);
        status = inflate(&stream, Z_NO_FLUSH);
        len = cap - 1 - stream.avail_out;
    }
    inflateEnd(&stream);
    if (!bytes)
        return out_of_memory(err);
    if (status != Z_STREAM_END)
        return error_set(err, "A0102", "%s is damaged or too large", path);
    bytes[len] = '\0';
    *ret = (struct str){bytes, len};
    return true;
}

bool model_read_file(struct arena *arena, const char *dir, const char *name, bool optional,
                     struct str *ret, struct error *err)
{
    static const char *const suffixes[] = {"", ".gz", ".zst"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < 3; i++) {
        struct str bytes;
        if (snprintf(path, sizeof path, "%s/%s%s", dir, name, suffixes[i]) >= PATH_SIZE)
            return error_set(err, "A0101", "the path of %s is too long", name);
        int found = read_bytes(arena, path, &bytes, err);
        if (found < 0)
            return false;
        if (found && i == 1)
            return unpack_gzip(arena, path, bytes, ret, err);
        if (found && i == 2)
            return unpack_zstd(arena, path, bytes, ret, err);
        if (found) {
            *ret = bytes;
            return true;
        }
    }
    if (!optional)
        return error_set(err, "A0101", "there is no %s in %s", name, dir);
    *ret = (struct str){0};
    return true;
}

bool model_read_json(struct arena *arena, const char *dir, const char *name, bool optional,
                     struct value *ret, struct error *err)
{
    struct str text;
    if (!model_read_file(arena, dir, name, optional, &text, err))
        return false;
    if (!text.ptr) {
        *ret = value_null();
        return true;
    }
    struct value parsed;
    if (!json_parse(arena, text, &parsed, err))
        return error_context(err, "%s/%s", dir, name);
    *ret = parsed;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

bool model_list_folders(struct arena *arena, const char *dir, struct str **ret, size_t *ret_count,
                        struct error *err)
{
    DIR *folder = opendir(dir);
    if (!folder)
        return error_set(err, "A0101", "cannot read %s: %s", dir, strerror(errno));
    struct str *names = NULL;
    size_t count = 0, cap = 0;
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        struct stat info;
        if (entry->d_name[0] == '.' || fstatat(dirfd(folder), entry->d_name, &info, 0) != 0 ||
            !S_ISDIR(info.st_mode))
            continue;
        if (count == cap) {
            size_t more = cap ? cap * 2 : 64;
            names = arena_grow(arena, names, cap * sizeof *names, more * sizeof *names);
            cap = more;
        }
        ok = names && (names[count] = str_copy(arena, str_from(entry->d_name))).ptr;
        count += ok;
    }
    closedir(folder);
    if (!ok)
        return out_of_memory(err);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    *ret = names;
    *ret_count = count;
    return true;
}

/* API versions are dates, or dates with a suffix: the last in order that has a model is newest. */
static bool newest_version(struct arena *arena, const char *dir, struct str *ret)
{
    struct str *versions;
    size_t count;
    if (!model_list_folders(arena, dir, &versions, &count, NULL))
        return false;
    while (count > 0) {
        struct str version = versions[--count];
        char path[PATH_SIZE];
        for (int packed = 0; packed < 2; packed++) {
            int len = snprintf(path, sizeof path, "%s/%.*s/service-2.json%s", dir, STR_FMT(version),
                               packed ? ".gz" : "");
            if (len < PATH_SIZE && access(path, R_OK) == 0) {
                *ret = version;
                return true;
            }
        }
    }
    return false;
}

bool model_has_service(const char *data_dir, const char *name)
{
    ARENA_AUTO struct arena arena = {0};
    char path[PATH_SIZE];
    struct str version;
    return snprintf(path, sizeof path, "%s/%s", data_dir, name) < PATH_SIZE &&
           newest_version(&arena, path, &version);
}

/* botocore's rule for extras: maps are merged, everything else is replaced. */
static struct value merge(struct arena *arena, struct value base, struct value extra)
{
    if (base.kind != VALUE_MAP || extra.kind != VALUE_MAP)
        return extra;
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, base.len + extra.len);
    size_t count = base.len;
    if (!pairs)
        return value_null();
    memcpy(pairs, base.pairs, base.len * sizeof *pairs);
    for (uint32_t i = 0; i < extra.len; i++) {
        const struct value *old = value_get(base, value_str(extra.pairs[i].key));
        if (!old) {
            pairs[count++] = extra.pairs[i];
            continue;
        }
        const char *place = (const char *)old - offsetof(struct value_pair, value);
        size_t at = (size_t)((const struct value_pair *)(const void *)place - base.pairs);
        pairs[at].value = merge(arena, *old, extra.pairs[i].value);
    }
    struct value merged;
    return value_map(arena, pairs, count, &merged, NULL) ? merged : value_null();
}

/* FILE.json with what FILE.sdk-extras.json adds. */
static bool read_with_extras(struct arena *arena, const char *dir, const char *file, bool optional,
                             struct value *ret, struct error *err)
{
    char name[64];
    struct value base, extras;
    snprintf(name, sizeof name, "%s.json", file);
    if (!model_read_json(arena, dir, name, optional, &base, err))
        return false;
    snprintf(name, sizeof name, "%s.sdk-extras.json", file);
    if (!model_read_json(arena, dir, name, true, &extras, err))
        return false;
    const struct value *more = value_get(extras, STR("merge"));
    *ret = more && base.kind == VALUE_MAP ? merge(arena, base, *more) : base;
    return true;
}

static void take(struct value_builder *document, const char *key, struct value from,
                 const char *from_key)
{
    const struct value *v = value_get(from, str_from(from_key));
    if (v)
        value_set(document, key, *v);
}

bool model_assemble(struct arena *arena, const char *data_dir, const char *service,
                    struct value endpoints, struct value *ret, struct error *err)
{
    char dir[PATH_SIZE];
    struct str version;
    int len = snprintf(dir, sizeof dir, "%s/%s", data_dir, service);
    if (len >= PATH_SIZE || !newest_version(arena, dir, &version))
        return error_set(err, "A0103", "there is no service model in %s/%s", data_dir, service);
    if (snprintf(dir + len, sizeof dir - (size_t)len, "/%.*s", STR_FMT(version)) >= PATH_SIZE - len)
        return error_set(err, "A0101", "the path of %s is too long", service);
    struct value model, paginators, waiters, rules;
    if (!read_with_extras(arena, dir, "service-2", false, &model, err) ||
        !read_with_extras(arena, dir, "paginators-1", true, &paginators, err) ||
        !read_with_extras(arena, dir, "waiters-2", true, &waiters, err) ||
        !model_read_json(arena, dir, "endpoint-rule-set-1.json", true, &rules, err))
        return false;
    struct value_builder document = {.arena = arena};
    value_set(&document, "service", value_cstr(arena_copy(arena, service, strlen(service))));
    value_set(&document, "version", value_string(version));
    take(&document, "metadata", model, "metadata");
    take(&document, "clientContextParams", model, "clientContextParams");
    take(&document, "operations", model, "operations");
    take(&document, "shapes", model, "shapes");
    take(&document, "pagination", paginators, "pagination");
    take(&document, "waiters", waiters, "waiters");
    if (rules.kind == VALUE_MAP)
        value_set(&document, "rules", rules);
    struct value scopes =
        model_signing_regions(arena, endpoints, value_path_str(model, "metadata.endpointPrefix"));
    if (scopes.kind == VALUE_MAP && scopes.len)
        value_set(&document, "signingRegions", scopes);
    struct value whole = value_finish_map(&document);
    if (whole.kind != VALUE_MAP)
        return out_of_memory(err);
    *ret = whole;
    return true;
}

struct str model_source(struct arena *arena, const char *data_dir)
{
    static const struct str mark = STR("__version__ = ");
    char dir[PATH_SIZE];
    struct str text;
    if (snprintf(dir, sizeof dir, "%s/..", data_dir) >= PATH_SIZE ||
        !model_read_file(arena, dir, "__init__.py", true, &text, NULL) || !text.ptr)
        return (struct str){0};
    size_t at = str_find(text, mark);
    if (at == SIZE_MAX)
        return (struct str){0};
    struct str rest = str_sub(text, at + mark.len, 40);
    struct str line = str_cut(&rest, '\n');
    if (line.len < 3)
        return (struct str){0};
    struct str version = str_sub(line, 1, line.len - 2);
    return str_from(arena_printf(arena, "botocore %.*s", STR_FMT(version)));
}
