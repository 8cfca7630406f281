// SPDX-License-Identifier: Apache-2.0
/* IP addresses and blocks as text. Never asks the DNS: what is no literal is no address. */
#include "pattern/pattern_internal.h"

#define IPV4_TEXT_MAX 15 // as Java has it, whatever the leading zeros

static bool parse_ipv4(struct str text, struct address *ret)
{
    struct address address = {.version = 4};
    unsigned value = 0, digits = 0, part = 0;
    if (text.len > IPV4_TEXT_MAX)
        return false;
    for (size_t i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.ptr[i] : '.';
        if (c >= '0' && c <= '9') {
            value = value * 10 + (unsigned)(c - '0');
            digits++;
            if (value > 255)
                return false;
        } else if (c == '.' && digits && part < 4) {
            address.bytes[part++] = (uint8_t)value;
            value = digits = 0;
        } else {
            return false;
        }
    }
    *ret = address;
    return part == 4;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Groups of hex digits up to the end or a "::", which is left at *at. False on anything else. */
static bool parse_groups(struct str text, size_t *at, uint8_t *bytes, unsigned room,
                         unsigned *ret_count)
{
    unsigned count = 0;
    while (*at < text.len) {
        unsigned value = 0;
        size_t start = *at;
        for (; *at < text.len && hex_value(text.ptr[*at]) >= 0; ++*at) {
            value = value << 4 | (unsigned)hex_value(text.ptr[*at]);
            if (value > 0xFFFF)
                return false;
        }
        if (*at == start || count == room)
            return false;
        bytes[2 * count] = (uint8_t)(value >> 8);
        bytes[2 * count + 1] = (uint8_t)value;
        count++;
        if (*at == text.len || str_starts(str_sub(text, *at, 2), STR("::")))
            break;
        if (text.ptr[*at] != ':' || ++*at == text.len)
            return false;
    }
    *ret_count = count;
    return true;
}

static bool parse_ipv6(struct str text, struct address *ret)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    struct address address = {.version = 6};
    uint8_t tail[16] = {0};
    unsigned front = 0, back = 0;
    size_t at = 0;
    bool gap = str_starts(text, STR("::"));
    if (!gap && !parse_groups(text, &at, address.bytes, 8, &front))
        return false;
    if (at < text.len) {
        gap = true;
        at += 2;
        if (!parse_groups(text, &at, tail, 8, &back) || at < text.len)
            return false;
    }
    if (gap ? front + back > 7 : front != 8)
        return false;
    memcpy(address.bytes + 16 - 2 * back, tail, (size_t)2 * back);
    if (memcmp(address.bytes, mapped, sizeof mapped) == 0) {
        *ret = (struct address){.version = 4};
        memcpy(ret->bytes, address.bytes + 12, 4);
    } else {
        *ret = address;
    }
    return true;
}

bool address_parse(struct str text, struct address *ret)
{
    if (text.len < 2 || text.len > 45 || (hex_value(text.ptr[0]) < 0 && text.ptr[0] != ':'))
        return false;
    return str_find_byte(text, ':') == SIZE_MAX ? parse_ipv4(text, ret) : parse_ipv6(text, ret);
}

struct address address_mask(struct address address, unsigned bits)
{
    struct address masked = {.version = address.version, .bits = (uint8_t)bits};
    memcpy(masked.bytes, address.bytes, bits / 8);
    if (bits % 8)
        masked.bytes[bits / 8] = (uint8_t)(address.bytes[bits / 8] & 0xFF00 >> bits % 8);
    return masked;
}

unsigned __int128 address_number(const struct address *address)
{
    uint64_t high, low;
    memcpy(&high, address->bytes, sizeof high);
    memcpy(&low, address->bytes + 8, sizeof low);
    return (unsigned __int128)__builtin_bswap64(high) << 64 | __builtin_bswap64(low);
}

bool address_parse_block(struct str text, struct address *ret)
{
    struct address base;
    int64_t bits;
    struct str rest = text, address = str_cut(&rest, '/');
    if (!address_parse(address, &base) || !str_to_int64(rest, &bits) || bits < 0 ||
        bits > (base.version == 4 ? 31 : 127))
        return false;
    *ret = address_mask(base, (unsigned)bits);
    return true;
}
