// SPDX-License-Identifier: Apache-2.0
/* Any text becomes a tree that hangs together, or is refused with a code. */
#include "aws/xml_internal.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct xml_node *root = NULL;
    struct error err = {0};
    if (xml_parse(&arena, (struct str){(const char *)data, size}, &root, &err))
        ENSURE(walk(root, 1) <= size);
    else
        ENSURE(!root && err.code && err.code[0] == 'A');
    return 0;
}
