// SPDX-License-Identifier: Apache-2.0
/* Any text is compiled or refused with a code and a place; what is compiled can be finished, used,
 * and compiled again beside itself. */
#include "pattern/pattern.h"

#include "base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct error err = {0};
    const uint32_t *tags;
    size_t count;
    struct pattern_builder *builder = pattern_builder_create();
    ENSURE(builder);
    bool ok = pattern_builder_add(builder, text, 1, &err);
    if (ok)
        ENSURE(pattern_builder_add(builder, text, 2, &err));
    else
        ENSURE(err.code && err.code[0] == 'G' && err.line >= 1);
    struct pattern_set *set = pattern_builder_finish(builder, &err);
    pattern_builder_destroy(builder);
    ENSURE(set);
    struct pattern_scratch *scratch = pattern_scratch_create(set);
    ENSURE(scratch);
    /* Patterns make good events: they have the fields. */
    if (pattern_match(set, text, NULL, scratch, &tags, &count, &err) && count)
        ENSURE(ok && count == 2);
    pattern_scratch_destroy(scratch);
    pattern_set_destroy(set);
    return 0;
}
