// SPDX-License-Identifier: Apache-2.0
/* Code points of valid UTF-8. Strings of the language are valid by construction (lexer, JSON,
 * conversion from bytes); on others nothing is read out of bounds. Any thread. */
#include "cel/cel_internal.h"

size_t utf8_count(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return count;
}

size_t utf8_offset(struct str s, size_t index)
{
    for (size_t i = 0; i < s.len; i++) {
        if (((unsigned char)s.ptr[i] & 0xC0) == 0x80)
            continue;
        if (index == 0)
            return i;
        index--;
    }
    return index == 0 ? s.len : SIZE_MAX;
}

uint32_t utf8_next(struct str s, size_t *at)
{
    unsigned char lead = (unsigned char)s.ptr[(*at)++];
    unsigned more = lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    uint32_t c = more == 0 ? lead : lead & (0x3Fu >> more);
    while (more-- && *at < s.len)
        c = c << 6 | ((unsigned char)s.ptr[(*at)++] & 0x3Fu);
    return c;
}

size_t utf8_encode(uint32_t c, char ret[4])
{
    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    ret[0] = (char)((0xF00u >> size & 0xF0) | c);
    return size;
}
