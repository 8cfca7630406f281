// SPDX-License-Identifier: Apache-2.0
/* The JSON tokenizer under the document reader (json.c) and the pattern matcher.
 *
 * json_scan() reads the bytes once, 64 at a time, and settles everything that concerns strings:
 * where they begin and end, that they hold no control characters, that their escapes are well
 * formed and come in surrogate pairs, and that the text is UTF-8. What it leaves behind:
 *
 *   text     {"a":"x\"y","b":[1,2]}
 *   ends        ^      ^   ^            positions of the quotes that close a string, in order
 *   escapes         ^                   one bit a byte: a backslash
 *
 * A walker then reads the rest byte by byte: where a string begins it continues behind the next
 * end, without looking at what is inside. The grammar outside of strings is the walker's to check,
 * with the helpers below: white space, numbers, literals.
 *
 * On x86-64 with AVX2 the fast path is taken, else portable C; both leave the same behind. Nothing
 * is allocated. Any thread. */
#ifndef RECTIFY_VALUE_JSON_SCAN_H
#define RECTIFY_VALUE_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define JSON_SCAN_MAX UINT32_MAX / 2 // longest text

struct json_scan {
    struct str text;
    uint32_t *ends;    // room for JSON_SCAN_ENDS(text.len), the caller's
    uint64_t *escapes; // room for JSON_SCAN_ESCAPES(text.len), the caller's; valid if has_escapes
    size_t end_count;
    bool has_escapes;
};
#define JSON_SCAN_ENDS(length) ((length) / 2 + 16)
#define JSON_SCAN_ESCAPES(length) ((length) / 64 + 2)

enum json_scan_error {
    JSON_SCAN_OK,
    JSON_SCAN_CONTROL,   // a control character in a string
    JSON_SCAN_ESCAPE,    // an escape that does not exist
    JSON_SCAN_SURROGATE, // half a pair
    JSON_SCAN_UTF8,      // not well-formed UTF-8
    JSON_SCAN_OPEN,      // a string without an end
    JSON_SCAN_LONG,      // over JSON_SCAN_MAX
};

/* Fills ends, escapes and the two fields behind them. On an error *ret_at is its position. */
enum json_scan_error json_scan(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));
/* A sentence for people. */
const char *json_scan_message(enum json_scan_error error);

/* The two paths, for tests that compare them. The second is json_scan_plain() without AVX2. */
enum json_scan_error json_scan_plain(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));
enum json_scan_error json_scan_fast(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));

/* Is there a backslash in [start, end)? */
static inline bool json_has_escape(const struct json_scan *scan, size_t start, size_t end)
{
    if (!scan->has_escapes || start == end)
        return false;
    size_t first = start / 64, last = (end - 1) / 64;
    uint64_t head = UINT64_MAX << start % 64, tail = UINT64_MAX >> (63 - (end - 1) % 64);
    if (first == last)
        return (scan->escapes[first] & head & tail) != 0;
    uint64_t any = (scan->escapes[first] & head) | (scan->escapes[last] & tail);
    for (size_t i = first + 1; i < last; i++)
        any |= scan->escapes[i];
    return any != 0;
}

/* Decodes the inside of a string that json_scan() accepted. `out` has room for raw.len bytes.
 * Returns the length. */
size_t json_unescape(struct str raw, char *out);

static inline size_t json_skip_space(struct str text, size_t at)
{
    while (at < text.len && (unsigned char)text.ptr[at] <= ' ' &&
           (text.ptr[at] == ' ' || text.ptr[at] == '\n' || text.ptr[at] == '\t' ||
            text.ptr[at] == '\r'))
        at++;
    return at;
}

/* Behind the run of digits that starts at `at`. */
static inline size_t json_skip_digits(struct str text, size_t at)
{
#ifdef __SSE2__
    while (at + 16 <= text.len) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + at));
        __m128i value = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
        __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
        unsigned other = ~(unsigned)_mm_movemask_epi8(digit) & 0xFFFF;
        if (other)
            return at + (size_t)__builtin_ctz(other);
        at += 16;
    }
#endif
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at;
}

/* Behind the number that starts at `at`, or 0 when it is malformed. Any length. */
size_t json_number_end_any(struct str text, size_t at);

/* The same. Numbers without an exponent, of up to 31 bytes, are settled here. */
static inline size_t json_number_end(struct str text, size_t at)
{
#ifdef __SSE2__
    if (at + 32 <= text.len) {
        const char *p = text.ptr + at;
        __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
        const __m128i zero = _mm_set1_epi8('0'), nine = _mm_set1_epi8(9);
        low = _mm_sub_epi8(low, zero);
        high = _mm_sub_epi8(high, zero);
        low = _mm_cmpeq_epi8(_mm_min_epu8(low, nine), low);
        high = _mm_cmpeq_epi8(_mm_min_epu8(high, nine), high);
        /* One bit a byte that is no digit; the bits above the 32 end every run. */
        uint64_t other = ~((uint64_t)(uint32_t)_mm_movemask_epi8(low) |
                           (uint64_t)(uint32_t)_mm_movemask_epi8(high) << 16);
        unsigned first = *p == '-', end = first + (unsigned)__builtin_ctzll(other >> first);
        if (end == first || (p[first] == '0' && end > first + 1))
            return 0;
        if (end < 31 && p[end] == '.') {
            unsigned fraction = end + 1;
            end = fraction + (unsigned)__builtin_ctzll(other >> fraction);
            if (end == fraction)
                return 0;
        }
        if (end < 32 && (p[end] | 0x20) != 'e')
            return at + end;
    }
#endif
    return json_number_end_any(text, at);
}

/* Behind the literal (true, false, null) that starts at `at`, or 0. */
static inline size_t json_literal_end(struct str text, size_t at)
{
    const char *p = text.ptr + at;
    size_t left = text.len - at;
    if (left >= 4 && (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0))
        return at + 4;
    return left >= 5 && memcmp(p, "false", 5) == 0 ? at + 5 : 0;
}

#endif
