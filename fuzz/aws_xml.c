// SPDX-License-Identifier: Apache-2.0
/* Any text becomes a tree that hangs together, or is refused with a code. Another parser, expat,
 * judges the same text: what we take it takes, with as many elements; what it takes we take, but
 * for our limits, names that are not ASCII, and declarations, whose insides we do not read. */
#include "aws/xml_internal.h"

#include <expat.h>

#include "base/ensure.h"
#include "base/limits.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct xml_node *node, unsigned depth)
{
    size_t count = 0, total = 1;
    const struct xml_node *last = NULL;
    ENSURE(depth <= LIMIT_JSON_DEPTH && node->name.ptr);
    for (size_t i = 0; i < node->attribute_count; i++)
        ENSURE(node->attributes[i].name.ptr && node->attributes[i].value.ptr);
    for (const struct xml_node *child = node->first; child; child = child->next) {
        ENSURE(child->parent == node);
        total += walk(child, depth + 1);
        last = child;
        count++;
    }
    ENSURE(last == node->last && count == node->count);
    return total;
}

struct count {
    size_t elements;
};

static void XMLCALL on_start(void *count, const char *name, const char **attributes)
{
    (void)name, (void)attributes;
    ((struct count *)count)->elements++;
}

static bool expat_takes(const uint8_t *data, size_t size, struct count *ret)
{
    XML_Parser parser = XML_ParserCreate("UTF-8");
    ENSURE(parser);
    XML_SetUserData(parser, ret);
    XML_SetElementHandler(parser, on_start, NULL);
    bool ok = XML_Parse(parser, (const char *)data, (int)size, 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return ok;
}

/* Where the two may differ. */
static bool is_beyond(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    for (size_t i = 0; i < size; i++)
        if (data[i] >= 0x80)
            return true;
    return str_find(text, STR("<?")) != SIZE_MAX || str_find(text, STR("<!DOCTYPE")) != SIZE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct xml_node *root = NULL;
    struct error err = {0};
    bool ours = xml_parse(&arena, (struct str){(const char *)data, size}, &root, &err);
    size_t elements = ours ? walk(root, 1) : 0;
    ENSURE(ours ? elements <= size : !root && err.code && err.code[0] == 'A');
    struct count theirs = {0};
    if (is_beyond(data, size) || (!ours && strcmp(err.code, "A0184") == 0))
        return 0;
    ENSURE(expat_takes(data, size, &theirs) == ours);
    ENSURE(!ours || theirs.elements == elements);
    return 0;
}
