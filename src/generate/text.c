// SPDX-License-Identifier: Apache-2.0
/* The texts that the build deflated into the program. */
#include "generate/generate_internal.h"

#include <zlib.h>

bool generate_unpack(const unsigned char *packed, size_t packed_size, size_t size,
                     struct arena *arena, struct str *ret, struct error *err)
{
    char *text = arena_alloc_raw(arena, size + 1, 1);
    uLongf got = size;
    if (!text || uncompress((Bytef *)text, &got, packed, packed_size) != Z_OK)
        return error_set(err, "J0001", "out of memory");
    text[got] = '\0';
    *ret = (struct str){text, got};
    return true;
}
