// SPDX-License-Identifier: Apache-2.0
/* Packing a botocore data folder: every service without its documentation in one zstd file, an
 * index and the partitions. Files are written under another name and moved into place, the index
 * last. */
#include "aws/model_internal.h"

#include "value/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define PACK_LEVEL 15 // 19 takes four times as long for 2 % less

/* Texts for people, which no call needs. Only strings: a member may have such a name too. */
static bool is_documentation(const struct value_pair *pair)
{
    static const char *const names[] = {"documentation", "deprecatedMessage", "deprecatedSince",
                                        "description",   "pattern",           "documentationUrl"};
    for (size_t i = 0; pair->value.kind == VALUE_STRING && i < sizeof names / sizeof *names; i++)
        if (str_is(value_str(pair->key), names[i]))
            return true;
    return false;
}

/* JSON without documentation. Depth is bounded by what read it. */
static void write_stripped(struct buf *out, struct value v)
{
    bool first = true;
    if (v.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < v.len; i++) {
            buf_add_byte(out, i ? ',' : '[');
            write_stripped(out, v.items[i]);
        }
        buf_add_cstr(out, v.len ? "]" : "[]");
    } else if (v.kind == VALUE_MAP) {
        buf_add_byte(out, '{');
        for (uint32_t i = 0; i < v.len; i++) {
            if (is_documentation(&v.pairs[i]))
                continue;
            if (!first)
                buf_add_byte(out, ',');
            first = false;
            json_write_string(out, value_str(v.pairs[i].key));
            buf_add_byte(out, ':');
            write_stripped(out, v.pairs[i].value);
        }
        buf_add_byte(out, '}');
    } else {
        json_write(out, v, JSON_COMPACT);
    }
}

/* "key":{ and one entry a line, as model_fill_packed() reads it. */
static void write_lines(struct buf *out, const char *key, struct value map)
{
    buf_printf(out, "\n\"%s\":{\n", key);
    for (uint32_t i = 0; i < map.len; i++) {
        json_write_string(out, value_str(map.pairs[i].key));
        buf_add_byte(out, ':');
        write_stripped(out, map.pairs[i].value);
        buf_add_cstr(out, i + 1 < map.len ? ",\n" : "\n");
    }
    buf_add_byte(out, '}');
}

/* The names of the error shapes, so that loading need not look at all shapes. */
static void write_exceptions(struct buf *out, struct value shapes)
{
    bool first = true;
    buf_add_cstr(out, "\"exceptions\":[");
    for (uint32_t i = 0; i < shapes.len; i++) {
        const struct value *exception = value_get(shapes.pairs[i].value, STR("exception"));
        if (!exception || exception->kind != VALUE_BOOL || !exception->b)
            continue;
        if (!first)
            buf_add_byte(out, ',');
        first = false;
        json_write_string(out, value_str(shapes.pairs[i].key));
    }
    buf_add_cstr(out, "],");
}

static void write_document(struct buf *out, struct value document)
{
    buf_printf(out, "{\"format\":%d,", MODEL_PACK_FORMAT);
    for (uint32_t i = 0; i < document.len; i++) {
        struct str key = value_str(document.pairs[i].key);
        if (str_is(key, "operations") || str_is(key, "shapes") || str_is(key, "rules"))
            continue;
        json_write_string(out, key);
        buf_add_byte(out, ':');
        write_stripped(out, document.pairs[i].value);
        buf_add_byte(out, ',');
    }
    write_exceptions(out, *value_get(document, STR("shapes")));
    const struct value *rules = value_get(document, STR("rules"));
    buf_add_cstr(out, "\n\"rules\":");
    write_stripped(out, rules ? *rules : value_null());
    buf_add_byte(out, ',');
    write_lines(out, "operations", *value_get(document, STR("operations")));
    buf_add_byte(out, ',');
    write_lines(out, "shapes", *value_get(document, STR("shapes")));
    buf_add_byte(out, '}');
}

static bool write_file(const char *dir, const char *name, struct str bytes, struct error *err)
{
    char path[4096], temporary[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path ||
        snprintf(temporary, sizeof temporary, "%s/.%s.new", dir, name) >= (int)sizeof temporary)
        return error_set(err, "A0110", "the path of %s is too long", name);
    FILE *file = fopen(temporary, "wbe");
    bool ok = file && fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len;
    if (file)
        ok = fclose(file) == 0 && ok;
    if (!ok || rename(temporary, path) != 0)
        return error_set(err, "A0110", "cannot write %s: %s", path, strerror(errno));
    return true;
}

static bool write_packed(struct arena *arena, ZSTD_CCtx *zstd, const char *dir, const char *name,
                         struct str text, struct error *err)
{
    size_t room = ZSTD_compressBound(text.len);
    char *packed = arena_alloc_raw(arena, room, 1);
    if (!packed)
        return error_set(err, "A0100", "out of memory while packing %s", name);
    size_t size = ZSTD_compressCCtx(zstd, packed, room, text.ptr, text.len, PACK_LEVEL);
    if (ZSTD_isError(size))
        return error_set(err, "A0110", "cannot pack %s: %s", name, ZSTD_getErrorName(size));
    return write_file(dir, name, (struct str){packed, size}, err);
}

static void add_to_index(struct buf *index, struct value document, bool first)
{
    struct value operations = *value_get(document, STR("operations"));
    if (!first)
        buf_add_cstr(index, ",\n");
    json_write_string(index, value_path_str(document, "service"));
    buf_add_cstr(index, ":{\"version\":");
    json_write_string(index, value_path_str(document, "version"));
    buf_add_cstr(index, ",\"operations\":[");
    for (uint32_t i = 0; i < operations.len; i++) {
        if (i)
            buf_add_byte(index, ',');
        json_write_string(index, value_str(operations.pairs[i].key));
    }
    buf_add_cstr(index, "]}");
}

static bool pack_service(struct arena *arena, ZSTD_CCtx *zstd, const char *data_dir,
                         const char *service, const char *out_dir, struct value endpoints,
                         struct buf *index, struct error *err)
{
    struct value document;
    if (!model_assemble(arena, data_dir, service, endpoints, &document, err))
        return false;
    const struct value *operations = value_get(document, STR("operations"));
    const struct value *shapes = value_get(document, STR("shapes"));
    if (!operations || operations->kind != VALUE_MAP || !shapes || shapes->kind != VALUE_MAP)
        return error_set(err, "A0104", "the model of %s has no operations or shapes", service);
    char name[300];
    snprintf(name, sizeof name, "%s.json.zst", service);
    struct buf text = {.arena = arena};
    write_document(&text, document);
    if (text.failed)
        return error_set(err, "A0100", "out of memory while packing %s", service);
    add_to_index(index, document, index->len == 0);
    return write_packed(arena, zstd, out_dir, name, buf_str(&text), err);
}

static bool pack_partitions(struct arena *arena, const char *data_dir, const char *out_dir,
                            struct error *err)
{
    struct value partitions;
    struct buf text = {.arena = arena};
    if (!model_read_json(arena, data_dir, "partitions.json", false, &partitions, err))
        return false;
    write_stripped(&text, partitions);
    if (text.failed)
        return error_set(err, "A0100", "out of memory while packing the partitions");
    return write_file(out_dir, "partitions.json", buf_str(&text), err);
}

static bool write_index(struct arena *arena, const char *data_dir, const char *out_dir,
                        struct buf *services, struct error *err)
{
    struct buf text = {.arena = arena};
    buf_printf(&text, "{\"format\":%d,\"source\":", MODEL_PACK_FORMAT);
    json_write_string(&text, model_source(arena, data_dir));
    buf_add_cstr(&text, ",\"change\":\"documentation removed, one file a service\",\n"
                        "\"services\":{\n");
    buf_add_str(&text, buf_str(services));
    buf_add_cstr(&text, "}}\n");
    if (services->failed || text.failed)
        return error_set(err, "A0100", "out of memory while packing the index");
    return write_file(out_dir, "index.json", buf_str(&text), err);
}

static bool pack_all(struct arena *kept, ZSTD_CCtx *zstd, const char *data_dir, const char *out_dir,
                     struct error *err)
{
    struct buf index = {.arena = kept};
    struct str *names;
    struct value endpoints;
    size_t count, packed = 0;
    if (!model_list_folders(kept, data_dir, &names, &count, err) ||
        !model_read_json(kept, data_dir, "endpoints.json", true, &endpoints, err))
        return false;
    ARENA_AUTO struct arena arena = {0};
    for (size_t i = 0; i < count; i++) {
        if (!model_has_service(data_dir, names[i].ptr))
            continue;
        if (!pack_service(&arena, zstd, data_dir, names[i].ptr, out_dir, endpoints, &index, err))
            return false;
        packed++;
        arena_finish(&arena);
    }
    if (!packed)
        return error_set(err, "A0105", "%s holds no service models", data_dir);
    return pack_partitions(&arena, data_dir, out_dir, err) &&
           write_index(&arena, data_dir, out_dir, &index, err);
}

bool aws_models_pack(const char *data_dir, const char *out_dir, struct error *err)
{
    ARENA_AUTO struct arena kept = {0};
    if (mkdir(out_dir, 0777) != 0 && errno != EEXIST)
        return error_set(err, "A0110", "cannot make %s: %s", out_dir, strerror(errno));
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!zstd)
        return error_set(err, "A0100", "out of memory while packing");
    bool ok = pack_all(&kept, zstd, data_dir, out_dir, err);
    ZSTD_freeCCtx(zstd);
    return ok;
}
