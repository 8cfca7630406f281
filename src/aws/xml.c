// SPDX-License-Identifier: Apache-2.0
/* See xml_internal.h. */
#include "aws/xml_internal.h"

#include "base/limits.h"

#include <expat.h>

struct parse {
    struct arena *arena;
    XML_Parser expat;
    struct xml_node *root, *current;
    struct buf text; // of the current element, in a scratch arena
    unsigned depth;
    const char *refused; // why parsing was stopped
};

static void stop(struct parse *p, const char *why)
{
    p->refused = why;
    XML_StopParser(p->expat, XML_FALSE);
}

static struct str local_name(struct arena *arena, const char *name)
{
    const char *colon = strrchr(name, ':');
    return str_copy(arena, str_from(colon ? colon + 1 : name));
}

static bool take_attributes(struct parse *p, struct xml_node *node, const char **pairs)
{
    size_t count = 0;
    while (pairs[count])
        count += 2;
    if (!count)
        return true;
    struct xml_attribute *list = ARENA_ARRAY(p->arena, struct xml_attribute, count / 2);
    for (size_t i = 0; list && i < count; i += 2) {
        if (strncmp(pairs[i], "xmlns", 5) == 0)
            continue;
        struct xml_attribute *attribute = &list[node->attribute_count++];
        attribute->name = local_name(p->arena, pairs[i]);
        attribute->value = str_copy(p->arena, str_from(pairs[i + 1]));
        if (!attribute->name.ptr || !attribute->value.ptr)
            return false;
    }
    node->attributes = list;
    return list != NULL;
}

/* Text before a child belongs to the parent; a mixed element's pieces are joined. */
static bool keep_text(struct parse *p)
{
    struct xml_node *node = p->current;
    if (!node || !p->text.len)
        return true;
    size_t total = node->text.len + p->text.len;
    char *bytes = arena_alloc_raw(p->arena, total + 1, 1);
    if (!bytes || p->text.failed)
        return false;
    if (node->text.len)
        memcpy(bytes, node->text.ptr, node->text.len);
    memcpy(bytes + node->text.len, p->text.ptr, p->text.len);
    bytes[total] = '\0';
    node->text = (struct str){bytes, total};
    p->text.len = 0;
    return true;
}

/* White space between the children of an element is layout. */
static void drop_layout(struct parse *p)
{
    struct str text = {p->text.ptr, p->text.len};
    if (p->text.len && str_trim(text).len == 0)
        p->text.len = 0;
}

static void XMLCALL on_start(void *data, const char *name, const char **attributes)
{
    struct parse *p = data;
    if (++p->depth > LIMIT_JSON_DEPTH) {
        stop(p, "it nests too deep");
        return;
    }
    drop_layout(p);
    struct xml_node *node = ARENA_NEW(p->arena, struct xml_node);
    if (!node || !keep_text(p) || !take_attributes(p, node, attributes) ||
        !(node->name = local_name(p->arena, name)).ptr) {
        stop(p, "out of memory");
        return;
    }
    node->parent = p->current;
    if (!p->current) {
        p->root = node;
    } else {
        if (p->current->last)
            p->current->last->next = node;
        else
            p->current->first = node;
        p->current->last = node;
        p->current->count++;
    }
    p->current = node;
}

static void XMLCALL on_end(void *data, const char *name)
{
    struct parse *p = data;
    (void)name;
    if (p->current->first)
        drop_layout(p);
    if (!keep_text(p))
        stop(p, "out of memory");
    p->depth--;
    p->current = p->current->parent;
}

static void XMLCALL on_text(void *data, const char *bytes, int len)
{
    struct parse *p = data;
    buf_add(&p->text, bytes, (size_t)len);
}

static void XMLCALL on_doctype(void *data, const char *name, const char *system, const char *public,
                               int has_internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_internal;
    stop(data, "it has a DOCTYPE");
}

bool xml_parse(struct arena *arena, struct str text, struct xml_node **ret, struct error *err)
{
    ARENA_AUTO struct arena scratch = {0};
    struct parse p = {.arena = arena, .text = {.arena = &scratch}};
    p.expat = XML_ParserCreate("UTF-8");
    if (!p.expat || text.len > INT32_MAX) {
        XML_ParserFree(p.expat);
        return error_set(err, "A0184", "the XML answer is refused: %s",
                         p.expat ? "it is too large" : "out of memory");
    }
    XML_SetUserData(p.expat, &p);
    XML_SetElementHandler(p.expat, on_start, on_end);
    XML_SetCharacterDataHandler(p.expat, on_text);
    XML_SetStartDoctypeDeclHandler(p.expat, on_doctype);
    enum XML_Status status = XML_Parse(p.expat, text.ptr ? text.ptr : "", (int)text.len, 1);
    enum XML_Error code = XML_GetErrorCode(p.expat);
    unsigned long line = XML_GetCurrentLineNumber(p.expat);
    XML_ParserFree(p.expat);
    if (p.refused)
        return error_set(err, "A0184", "the XML answer is refused: %s", p.refused);
    if (status != XML_STATUS_OK)
        return error_set(err, "A0183", "the answer is not XML: %s in line %lu",
                         XML_ErrorString(code), line);
    *ret = p.root;
    return true;
}

const struct xml_node *xml_child(const struct xml_node *node, struct str name)
{
    for (const struct xml_node *child = node->first; child; child = child->next)
        if (str_eq(child->name, name))
            return child;
    return NULL;
}

struct str xml_child_text(const struct xml_node *node, struct str name)
{
    const struct xml_node *child = xml_child(node, name);
    return child ? child->text : (struct str){0};
}
