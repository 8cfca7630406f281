// SPDX-License-Identifier: Apache-2.0
/* Bodies in XML: inputs of rest-xml, and the answers of rest-xml, query and ec2.
 *
 * The text is what Python's ElementTree writes (an empty element is "<a />", xmlns comes first), so
 * that signatures over bodies can be compared byte by byte. */
#include "aws/protocol_internal.h"

/* ---- writing ---- */

static bool write_any(struct writer *w, const struct aws_ref *ref, struct value v, struct str name,
                      bool top, const struct aws_path *path);

static void write_text(struct buf *out, struct str text, bool attribute)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *escape = c == '&'                   ? "&amp;"
                             : c == '<'                 ? "&lt;"
                             : c == '>'                 ? "&gt;"
                             : c == '\r'                ? "&#13;"
                             : attribute && c == '"'    ? "&quot;"
                             : attribute && (c == '\n') ? "&#10;"
                             : attribute && (c == '\t') ? "&#09;"
                                                        : NULL;
        if (escape)
            buf_add_cstr(out, escape);
        else if ((unsigned char)c < 0x20 && c != '\n' && c != '\t')
            buf_printf(out, "&#x%X;", (unsigned char)c);
        else
            buf_add_byte(out, c);
    }
}

static void write_attribute(struct buf *out, struct str name, struct str value)
{
    buf_add_byte(out, ' ');
    buf_add_str(out, name);
    buf_add_cstr(out, "=\"");
    write_text(out, value, true);
    buf_add_byte(out, '"');
}

/* "<name xmlns=..." without the closing bracket. */
static void open_element(struct writer *w, const struct aws_ref *ref, struct str name)
{
    buf_add_byte(w->out, '<');
    buf_add_str(w->out, name);
    if (!ref || !ref->xml_namespace.ptr)
        return;
    struct buf attribute = {.arena = w->arena};
    buf_add_cstr(&attribute, "xmlns");
    if (ref->xml_prefix.len) {
        buf_add_byte(&attribute, ':');
        buf_add_str(&attribute, ref->xml_prefix);
    }
    write_attribute(w->out, buf_str(&attribute), ref->xml_namespace);
}

static void close_element(struct writer *w, struct str name)
{
    buf_add_cstr(w->out, "</");
    buf_add_str(w->out, name);
    buf_add_byte(w->out, '>');
}

/* Ends the start tag that stops at `start`; with nothing behind it the element is an empty one. */
struct element {
    size_t start; // length of the output when "<name attributes" stood there
};

static struct element begin_content(struct writer *w)
{
    buf_add_byte(w->out, '>');
    return (struct element){w->out->len};
}

static void end_content(struct writer *w, struct element element, struct str name)
{
    if (!w->out->failed && w->out->len == element.start) {
        w->out->len--;
        buf_add_cstr(w->out, " />");
        return;
    }
    close_element(w, name);
}

static bool write_attributes(struct writer *w, const struct aws_shape *shape, struct value v,
                             const struct aws_path *path)
{
    for (uint32_t i = 0; i < v.len; i++) {
        const struct aws_ref *member = writer_member(w, shape, &v.pairs[i], path);
        if (!member)
            return false;
        if (!member->xml_attribute || v.pairs[i].value.kind == VALUE_NULL)
            continue;
        struct buf text = {.arena = w->arena};
        struct aws_path at = {.up = path, .name = member->name};
        if (!writer_scalar(w, &text, member, v.pairs[i].value, AWS_TIME_ISO8601, &at))
            return false;
        write_attribute(w->out, member->wire.ptr ? member->wire : member->name, buf_str(&text));
    }
    return true;
}

static bool write_structure(struct writer *w, const struct aws_ref *ref, struct value v,
                            struct str name, bool top, const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(w, "A0152", path, "must be a map");
    open_element(w, ref, name);
    if (!write_attributes(w, ref->shape, v, path))
        return false;
    struct element element = begin_content(w);
    for (uint32_t i = 0; i < v.len; i++) {
        const struct aws_ref *member = writer_member(w, ref->shape, &v.pairs[i], path);
        if (member->xml_attribute || v.pairs[i].value.kind == VALUE_NULL ||
            (top && member->location != AWS_IN_BODY))
            continue;
        struct aws_path at = {.up = path, .name = member->name};
        struct str child = member->wire.ptr ? member->wire : member->name;
        if (!write_any(w, member, v.pairs[i].value, child, false, &at))
            return false;
    }
    end_content(w, element, name);
    return true;
}

static bool write_list(struct writer *w, const struct aws_ref *ref, struct value v, struct str name,
                       const struct aws_path *path)
{
    if (v.kind != VALUE_LIST)
        return writer_fail(w, "A0152", path, "must be a list");
    const struct aws_ref *item = ref->shape->item;
    struct str item_name = ref->flattened ? name : item->wire.ptr ? item->wire : STR("member");
    struct element element = {0};
    if (!ref->flattened) {
        open_element(w, ref, name);
        element = begin_content(w);
    }
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        if (v.items[i].kind != VALUE_NULL && !write_any(w, item, v.items[i], item_name, false, &at))
            return false;
    }
    if (!ref->flattened)
        end_content(w, element, name);
    return true;
}

static bool write_entry(struct writer *w, const struct aws_ref *ref, const struct value_pair *pair,
                        struct str name, const struct aws_path *path)
{
    const struct aws_ref *key = ref->shape->key, *item = ref->shape->item;
    open_element(w, NULL, name);
    struct element element = begin_content(w);
    if (!write_any(w, key, pair->key, key->wire.ptr ? key->wire : STR("key"), false, path) ||
        !write_any(w, item, pair->value, item->wire.ptr ? item->wire : STR("value"), false, path))
        return false;
    end_content(w, element, name);
    return true;
}

static bool write_map(struct writer *w, const struct aws_ref *ref, struct value v, struct str name,
                      const struct aws_path *path)
{
    if (v.kind != VALUE_MAP)
        return writer_fail(w, "A0152", path, "must be a map");
    struct element element = {0};
    if (!ref->flattened) {
        open_element(w, ref, name);
        element = begin_content(w);
    }
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        if (v.pairs[i].value.kind != VALUE_NULL &&
            !write_entry(w, ref, &v.pairs[i], ref->flattened ? name : STR("entry"), &at))
            return false;
    }
    if (!ref->flattened)
        end_content(w, element, name);
    return true;
}

static bool write_scalar(struct writer *w, const struct aws_ref *ref, struct value v,
                         struct str name, const struct aws_path *path)
{
    struct buf text = {.arena = w->arena};
    if (!writer_scalar(w, &text, ref, v, AWS_TIME_ISO8601, path))
        return false;
    open_element(w, ref, name);
    struct element element = begin_content(w);
    write_text(w->out, (struct str){text.ptr, text.len}, false);
    end_content(w, element, name);
    return !text.failed || writer_fail(w, "A0150", path, "needs more memory than there is");
}

static bool write_any(struct writer *w, const struct aws_ref *ref, struct value v, struct str name,
                      bool top, const struct aws_path *path)
{
    if (ref->shape->kind > AWS_MAP)
        return write_scalar(w, ref, v, name, path);
    if (!writer_enter(w, path))
        return false;
    bool ok = ref->shape->kind == AWS_STRUCTURE ? write_structure(w, ref, v, name, top, path)
              : ref->shape->kind == AWS_LIST    ? write_list(w, ref, v, name, path)
                                                : write_map(w, ref, v, name, path);
    writer_leave(w);
    return ok;
}

bool xml_body(struct writer *w, const struct aws_ref *ref, struct value v, bool top)
{
    struct str name = ref->wire.ptr ? ref->wire : ref->shape->name;
    if (!write_any(w, ref, v, name, top, NULL))
        return false;
    return !w->out->failed || writer_fail(w, "A0150", NULL, "needs more memory than there is");
}

/* ---- reading ---- */

/* The first member from the `from`th on that an element of that name holds, or NULL. Three small
 * shapes of S3 have two members of one name (Event and Events). */
static const struct aws_ref *member_of(const struct aws_shape *shape, struct str name, size_t from)
{
    if (shape->by_wire.count)
        return from == 0 ? map_get(&shape->by_wire, name) : NULL;
    for (size_t i = from; i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        struct str wire = member->wire.ptr ? member->wire : member->name;
        if (member->shape->kind == AWS_LIST && member->flattened && member->shape->item->wire.ptr)
            wire = member->shape->item->wire;
        if (str_eq(wire, name) && member->location == AWS_IN_BODY)
            return member;
    }
    return NULL;
}

static bool read_attribute(struct reader *r, const struct aws_ref *member,
                           const struct xml_node *node, const struct aws_path *path,
                           struct value *ret, bool *ret_found)
{
    struct str name = member->wire.ptr ? member->wire : member->name;
    size_t colon = str_find_byte(name, ':');
    if (colon != SIZE_MAX)
        name = str_sub(name, colon + 1, SIZE_MAX);
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (!str_eq(node->attributes[i].name, name))
            continue;
        *ret_found = true;
        return reader_scalar(r, member, node->attributes[i].value, path, ret);
    }
    return true;
}

bool xml_read_members(struct reader *r, const struct aws_shape *shape, const struct xml_node *node,
                      const struct aws_path *path, struct value_pair *ret, size_t *ret_count)
{
    const struct xml_node **found =
        ARENA_ARRAY(r->arena, const struct xml_node *, shape->member_count);
    if (!found)
        return reader_fail(r, path, "needs more memory than there is");
    for (const struct xml_node *child = node->first; child; child = child->next) {
        const struct aws_ref *member = member_of(shape, child->name, 0);
        while (member) {
            size_t at = (size_t)(member - shape->members);
            found[at] = found[at] ? found[at] : child;
            member = member_of(shape, child->name, at + 1);
        }
    }
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct aws_ref *member = &shape->members[i];
        struct aws_path at = {.up = path, .name = member->name};
        struct value_pair *pair = &ret[*ret_count];
        bool have = found[i] != NULL;
        if (have ? !xml_read(r, member, found[i], &at, &pair->value)
                 : member->xml_attribute &&
                       !read_attribute(r, member, node, &at, &pair->value, &have))
            return false;
        pair->key = value_string(member->name);
        *ret_count += have;
    }
    return true;
}

static bool read_structure(struct reader *r, const struct aws_shape *shape,
                           const struct xml_node *node, const struct aws_path *path,
                           struct value *ret)
{
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, shape->member_count + 1);
    size_t count = 0;
    if (!pairs)
        return reader_fail(r, path, "needs more memory than there is");
    if (!xml_read_members(r, shape, node, path, pairs, &count))
        return false;
    if (shape->is_union && count == 0 && node->first) {
        struct value_pair *name = ARENA_NEW(r->arena, struct value_pair);
        if (!name)
            return reader_fail(r, path, "needs more memory than there is");
        *name = (struct value_pair){value_cstr("name"), value_string(node->first->name)};
        pairs[0].key = value_cstr("SDK_UNKNOWN_MEMBER");
        if (!reader_map(r, name, 1, &pairs[0].value))
            return false;
        count = 1;
    }
    return reader_map(r, pairs, count, ret);
}

/* The next node that belongs to a list or map: any sibling, or with `flat` one of the same name. */
static const struct xml_node *next_node(const struct xml_node *node, bool flat)
{
    const struct xml_node *next = node->next;
    while (flat && next && !str_eq(next->name, node->name))
        next = next->next;
    return next;
}

static size_t count_nodes(const struct xml_node *node, bool flat)
{
    size_t count = 0;
    for (; node; node = next_node(node, flat))
        count++;
    return count;
}

static bool read_list(struct reader *r, const struct aws_ref *ref, const struct xml_node *node,
                      const struct aws_path *path, struct value *ret)
{
    const struct xml_node *at_node = ref->flattened ? node : node->first;
    size_t count = count_nodes(at_node, ref->flattened), i = 0;
    struct value *items = ARENA_ARRAY(r->arena, struct value, count);
    if (!items)
        return reader_fail(r, path, "needs more memory than there is");
    for (; at_node; at_node = next_node(at_node, ref->flattened), i++) {
        struct aws_path at = {.up = path, .index = i};
        if (!xml_read(r, ref->shape->item, at_node, &at, &items[i]))
            return false;
    }
    *ret = value_list(items, count);
    return true;
}

static bool read_entry(struct reader *r, const struct aws_ref *ref, const struct xml_node *entry,
                       const struct aws_path *path, struct value_pair *ret)
{
    const struct aws_ref *key = ref->shape->key, *item = ref->shape->item;
    const struct xml_node *key_node = xml_child(entry, key->wire.ptr ? key->wire : STR("key"));
    const struct xml_node *value_node =
        xml_child(entry, item->wire.ptr ? item->wire : STR("value"));
    if (!key_node)
        return reader_fail(r, path, "has an entry without a key");
    struct aws_path at = {.up = path, .name = key_node->text.ptr ? key_node->text : STR("")};
    if (!xml_read(r, key, key_node, path, &ret->key))
        return false;
    ret->value = value_null();
    return !value_node || xml_read(r, item, value_node, &at, &ret->value);
}

static bool read_map(struct reader *r, const struct aws_ref *ref, const struct xml_node *node,
                     const struct aws_path *path, struct value *ret)
{
    const struct xml_node *entry = ref->flattened ? node : node->first;
    size_t count = count_nodes(entry, ref->flattened), i = 0;
    struct value_pair *pairs = ARENA_ARRAY(r->arena, struct value_pair, count);
    if (!pairs)
        return reader_fail(r, path, "needs more memory than there is");
    for (; entry; entry = next_node(entry, ref->flattened), i++)
        if (!read_entry(r, ref, entry, path, &pairs[i]))
            return false;
    return reader_map(r, pairs, count, ret);
}

bool xml_read(struct reader *r, const struct aws_ref *ref, const struct xml_node *node,
              const struct aws_path *path, struct value *ret)
{
    if (ref->shape->kind > AWS_MAP)
        return reader_scalar(r, ref, node->text, path, ret);
    if (!reader_enter(r, path))
        return false;
    bool ok = ref->shape->kind == AWS_STRUCTURE ? read_structure(r, ref->shape, node, path, ret)
              : ref->shape->kind == AWS_LIST    ? read_list(r, ref, node, path, ret)
                                                : read_map(r, ref, node, path, ret);
    reader_leave(r);
    return ok;
}
