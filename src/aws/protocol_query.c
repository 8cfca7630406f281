// SPDX-License-Identifier: Apache-2.0
/* Bodies as forms (protocols query and ec2): "Action=X&Version=Y&List.member.1=...". A space is
 * written "%20", which every server reads; '+' is not read by all. */
#include "aws/protocol_internal.h"

/* The name under construction: "Filter.1.Value"; recursion appends to it and cuts it back. */
struct form {
    struct writer *w;
    struct buf name;
    bool ec2;
};

static bool write_any(struct form *f, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path);

static void write_pair(struct form *f, struct str value)
{
    struct buf *out = f->w->out;
    if (out->len)
        buf_add_byte(out, '&');
    aws_percent_encode(out, (struct str){f->name.ptr, f->name.len}, "");
    buf_add_byte(out, '=');
    aws_percent_encode(out, value, "");
}

static void name_add(struct form *f, struct str part)
{
    if (f->name.len)
        buf_add_byte(&f->name, '.');
    buf_add_str(&f->name, part);
}

static void name_add_index(struct form *f, size_t i)
{
    buf_printf(&f->name, "%s%zu", f->name.len ? "." : "", i);
}

static void name_add_member(struct form *f, const struct aws_ref *ref, struct str fallback)
{
    if (f->ec2 && ref->query_name.ptr) {
        name_add(f, ref->query_name);
    } else {
        size_t start = f->name.len + (f->name.len != 0);
        name_add(f, ref->wire.ptr ? ref->wire : fallback);
        if (f->ec2 && !f->name.failed && f->name.ptr[start] >= 'a' && f->name.ptr[start] <= 'z')
            f->name.ptr[start] = (char)(f->name.ptr[start] - 'a' + 'A');
    }
}

static bool write_structure(struct form *f, const struct aws_ref *ref, struct value v,
                            const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(f->w, "A0152", path, "must be a map");
    size_t length = f->name.len;
    for (uint32_t i = 0; i < v.len; i++) {
        const struct aws_ref *member = writer_member(f->w, ref->shape, &v.pairs[i], path);
        if (!member)
            return false;
        if (v.pairs[i].value.kind == VALUE_NULL)
            continue;
        struct aws_path at = {.up = path, .name = member->name};
        name_add_member(f, member, member->name);
        if (!write_any(f, member, v.pairs[i].value, &at))
            return false;
        f->name.len = length;
    }
    return true;
}

/* "List" to "List.member", or what the item's name makes of it. */
static void name_list(struct form *f, const struct aws_ref *ref)
{
    struct str item = ref->shape->item->wire;
    if (f->ec2)
        return;
    if (!ref->flattened) {
        name_add(f, item.ptr ? item : STR("member"));
        return;
    }
    if (!item.len)
        return;
    size_t dot = f->name.len;
    while (dot && f->name.ptr[dot - 1] != '.')
        dot--;
    f->name.len = dot ? dot - 1 : 0;
    name_add(f, item);
}

static bool write_list(struct form *f, const struct aws_ref *ref, struct value v,
                       const struct aws_path *path)
{
    if (v.kind != VALUE_LIST)
        return writer_fail(f->w, "A0152", path, "must be a list");
    if (v.len == 0 && !f->ec2)
        write_pair(f, (struct str){0});
    char *whole = arena_copy(f->w->arena, f->name.ptr ? f->name.ptr : "", f->name.len);
    size_t whole_length = f->name.len;
    if (!whole)
        return writer_fail(f->w, "A0150", path, "needs more memory than there is");
    name_list(f, ref);
    size_t length = f->name.len;
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        name_add_index(f, (size_t)i + 1);
        if (v.items[i].kind != VALUE_NULL && !write_any(f, ref->shape->item, v.items[i], &at))
            return false;
        f->name.len = length;
    }
    f->name.len = 0;
    buf_add(&f->name, whole, whole_length);
    return true;
}

static bool write_map(struct form *f, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(f->w, "A0152", path, "must be a map");
    if (!ref->flattened)
        name_add(f, STR("entry"));
    size_t length = f->name.len;
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        if (v.pairs[i].value.kind == VALUE_NULL)
            continue;
        name_add_index(f, (size_t)i + 1);
        size_t entry = f->name.len;
        name_add_member(f, ref->shape->key, STR("key"));
        if (!write_any(f, ref->shape->key, v.pairs[i].key, &at))
            return false;
        f->name.len = entry;
        name_add_member(f, ref->shape->item, STR("value"));
        if (!write_any(f, ref->shape->item, v.pairs[i].value, &at))
            return false;
        f->name.len = length;
    }
    return true;
}

static bool write_any(struct form *f, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    if (ref->shape->kind > AWS_MAP) {
        struct buf text = {.arena = f->w->arena};
        if (!writer_scalar(f->w, &text, ref, v, AWS_TIME_ISO8601, path))
            return false;
        write_pair(f, (struct str){text.ptr, text.len});
        return !text.failed || writer_fail(f->w, "A0150", path, "needs more memory than there is");
    }
    if (!writer_enter(f->w, path))
        return false;
    bool ok = ref->shape->kind == AWS_STRUCTURE ? write_structure(f, ref, v, path)
              : ref->shape->kind == AWS_LIST    ? write_list(f, ref, v, path)
                                                : write_map(f, ref, v, path);
    writer_leave(f->w);
    return ok;
}

bool form_body(struct writer *w, struct value input)
{
    struct form f = {.w = w, .name = {.arena = w->arena}};
    f.ec2 = w->op->service->protocol == AWS_PROTOCOL_EC2;
    name_add(&f, STR("Action"));
    write_pair(&f, w->op->name);
    f.name.len = 0;
    name_add(&f, STR("Version"));
    write_pair(&f, w->op->service->api_version);
    f.name.len = 0;
    if (w->op->input && input.kind != VALUE_NULL && !write_any(&f, w->op->input, input, NULL))
        return false;
    if (w->out->failed || f.name.failed)
        return writer_fail(w, "A0150", NULL, "needs more memory than there is");
    return true;
}
