// SPDX-License-Identifier: Apache-2.0
/* What a message holds. It is looked at, never trusted: files are read only of buckets that the
 * source lists, and what is taken for events goes through all that events go through. See queue.h.
 */
#include "detect/queue.h"

#include "base/limits.h"
#include "value/json.h"

struct files {
    struct arena *arena;
    struct detect_file *items;
    size_t count, cap;
};

static bool add_file(struct files *files, struct str bucket, struct str key, struct error *err)
{
    if (files->count == LIMIT_ANNOUNCED_FILES)
        return error_set(err, "T0011", "a message announces more than %u files",
                         LIMIT_ANNOUNCED_FILES);
    if (files->count == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : 4;
        files->items = arena_grow(files->arena, files->items, files->cap * sizeof *files->items,
                                  cap * sizeof *files->items);
        files->cap = cap;
        if (!files->items)
            return error_set(err, "T0005", "out of memory");
    }
    files->items[files->count++] = (struct detect_file){bucket, key};
    return true;
}

static int hex_digit(char c)
{
    char lower = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* S3 writes keys into its own notifications as forms do: + and %XX. */
static struct str decode_key(struct str key, struct arena *arena)
{
    char *out = arena_alloc_raw(arena, key.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; out && i < key.len; i++) {
        char c = key.ptr[i];
        int high = c == '%' && i + 2 < key.len ? hex_digit(key.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(key.ptr[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[len++] = c;
    }
    return out ? (struct str){out, len} : (struct str){0};
}

/* {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {...}}]} */
static bool read_s3(struct value records, struct files *files, struct error *err)
{
    for (uint32_t i = 0; i < records.len; i++) {
        struct value one = records.items[i];
        struct str bucket = value_path_str(one, "s3.bucket.name");
        struct str key = value_path_str(one, "s3.object.key");
        if (!str_starts(value_path_str(one, "eventName"), STR("ObjectCreated:")))
            continue;
        if (!add_file(files, bucket, decode_key(key, files->arena), err))
            return false;
    }
    return true;
}

/* {"s3Bucket": "b", "s3ObjectKey": ["k", ...]}, CloudTrail's own. */
static bool read_trail(struct str bucket, struct value keys, struct files *files, struct error *err)
{
    for (uint32_t i = 0; i < keys.len; i++)
        if (!add_file(files, bucket, value_str(keys.items[i]), err))
            return false;
    return true;
}

bool detect_bucket_listed(const struct policy_source *source, struct str bucket)
{
    for (size_t i = 0; i < source->bucket_count; i++)
        if (str_eq(source->buckets[i], bucket))
            return true;
    return false;
}

/* EventBridge's "Object Created" of a bucket whose files the source brings. */
static bool is_created(struct value message, const struct policy_source *source)
{
    return str_is(value_path_str(message, "source"), "aws.s3") &&
           str_is(value_path_str(message, "detail-type"), "Object Created") &&
           detect_bucket_listed(source, value_path_str(message, "detail.bucket.name"));
}

static bool is_list(const struct value *v)
{
    return v && v->kind == VALUE_LIST;
}

/* SNS puts what it was given as text into an object of its own. */
static struct value unwrap_sns(struct value message, struct str *body, struct arena *arena)
{
    struct error ignored;
    struct value inner;
    struct str text = value_path_str(message, "Message");
    if (!str_is(value_path_str(message, "Type"), "Notification") || text.len == 0 ||
        value_path_str(message, "TopicArn").len == 0)
        return message;
    *body = text;
    return json_parse(arena, text, &inner, &ignored) ? inner : value_null();
}

bool detect_content_read(struct str body, const struct policy_source *source, struct arena *arena,
                         struct detect_content *ret, struct error *err)
{
    struct value message;
    struct error ignored;
    struct files files = {.arena = arena};
    bool ok = true, announces = true;
    *ret = (struct detect_content){.kind = CONTENT_EVENTS, .events = body};
    if (body.len > LIMIT_EVENT_BYTES || !json_parse(arena, body, &message, &ignored) ||
        message.kind != VALUE_MAP)
        return true; // several, packed, or none: whoever takes events tells
    message = unwrap_sns(message, &ret->events, arena);
    const struct value *records = value_get(message, STR("Records"));
    const struct value *keys = value_get(message, STR("s3ObjectKey"));
    struct str bucket = value_path_str(message, "s3Bucket");
    if (str_is(value_path_str(message, "Event"), "s3:TestEvent"))
        announces = true;
    else if (is_list(records) && records->len &&
             str_is(value_path_str(records->items[0], "eventSource"), "aws:s3"))
        ok = read_s3(*records, &files, err);
    else if (is_list(keys) && bucket.len)
        ok = read_trail(bucket, *keys, &files, err);
    else if (is_created(message, source))
        ok = add_file(&files, value_path_str(message, "detail.bucket.name"),
                      value_path_str(message, "detail.object.key"), err);
    else
        announces = false;
    if (!announces || !ok)
        return ok;
    *ret = (struct detect_content){.kind = files.count ? CONTENT_FILES : CONTENT_NOTHING,
                                   .files = files.items,
                                   .file_count = files.count};
    return true;
}
