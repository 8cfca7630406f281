// SPDX-License-Identifier: Apache-2.0
/* The JSON tokenizer under the document reader (json.c) and the pattern matcher.
 *
 * json_scan() reads the bytes once, 64 at a time, and settles everything that concerns strings:
 * where they begin and end, that they hold no control characters, that their escapes are well
 * formed and come in surrogate pairs, and that the text is UTF-8. What it leaves behind:
 *
 *   text     {"a":"x\"y","b":[1,23 ]}
 *   ends        ^      ^   ^   ^   ^    where a string ends (its quote), and each of , : [ ] { }
 *   escapes         ^                   behind something else; escapes: a bit a byte, backslashes
 *
 * A walker reads the rest byte by byte, but it knows where a string, number or literal ends without
 * having looked at what is inside: the position of a token then depends on no earlier token, which
 * is what keeps the processor busy (with numbers measured one after the other it waits for each).
 * White space is something else, too: then there are ends that belong to no token, all of them
 * before the next one. So the next of `ends` that is behind a token's first byte is the token's:
 *
 *   string            the end is its closing quote
 *   number, literal   it ends there or earlier; if earlier, white space follows or it is malformed
 *
 * The grammar outside of strings is the walker's to check, with the helpers below: white space,
 * numbers, literals.
 *
 * On x86-64 the fast paths are taken that the processor has (AVX-512, AVX2), else portable C; all
 * leave the same behind. Nothing is allocated. Any thread. */
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
    size_t end_count;  // behind the last there is one more: text.len
    bool has_escapes;
};
#define JSON_SCAN_ENDS(length) ((length) / 2 + 24) // no two are neighbours
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

/* Fills ends, escapes and the fields behind them. On an error *ret_at is its position. */
enum json_scan_error json_scan(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));
/* A sentence for people. */
const char *json_scan_message(enum json_scan_error error);

/* The single paths, for tests that compare them. A fast one needs its instructions. */
enum json_scan_error json_scan_plain(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));
enum json_scan_error json_scan_avx2(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));
enum json_scan_error json_scan_avx512(struct json_scan *scan, size_t *ret_at)
    __attribute__((warn_unused_result));
bool json_scan_has_avx2(void);
bool json_scan_has_avx512(void);

/* Is there a backslash in [start, end), which is not empty? */
bool json_has_escape_between(const struct json_scan *scan, size_t start, size_t end);

/* Is there a backslash in [start, end)? */
static inline bool json_has_escape(const struct json_scan *scan, size_t start, size_t end)
{
    return __builtin_expect(scan->has_escapes, 0) && start < end &&
           json_has_escape_between(scan, start, end);
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

/* Behind the number that starts at `at`, or 0 when it is malformed. */
size_t json_number_end(struct str text, size_t at);

/* One bit a byte of the 32 at `p`: is it no digit? */
static inline uint32_t json_no_digits(const char *p)
{
#ifdef __SSE2__
    const __m128i zero = _mm_set1_epi8('0'), nine = _mm_set1_epi8(9);
    __m128i low = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), zero);
    __m128i high = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)), zero);
    low = _mm_cmpeq_epi8(_mm_min_epu8(low, nine), low);
    high = _mm_cmpeq_epi8(_mm_min_epu8(high, nine), high);
    return ~((uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16);
#else
    uint32_t bits = 0;
    for (unsigned i = 0; i < 32; i++)
        bits |= (uint32_t)(p[i] < '0' || p[i] > '9') << i;
    return bits;
#endif
}

#define JSON_PLAIN_MAX 31       // bytes of the longest plain number
#define JSON_PLAIN_READABLE 40u // bytes from its first that belong to the text

/* Is [at, end), whose first byte is a digit or minus, surely a number? Settles those without an
 * exponent of up to JSON_PLAIN_MAX bytes, unless they stand at the end of the text. Returns how
 * many bytes stand before the point, or all if there is none; or 0: ask json_number_end(). */
static inline unsigned json_plain_number(struct str text, size_t at, size_t end)
{
    size_t len = end - at;
    if (len > JSON_PLAIN_MAX || at + JSON_PLAIN_READABLE > text.len)
        return 0;
    const char *p = text.ptr + at;
    /* What is no digit: a minus in front, which is taken away, and one point between digits. */
    uint32_t stop = (uint32_t)1 << len, others = json_no_digits(p) & (stop - 1);
    uint32_t first = others & 1;
    others &= ~(uint32_t)1;
    uint32_t whole = (uint32_t)__builtin_ctz(others | stop); // where the digits before it end
    if ((others & (others - 1)) != 0 || whole <= first || (p[first] == '0' && whole != first + 1))
        return 0;
    if (others != 0 && (p[whole] != '.' || whole + 1 == len))
        return 0;
    return whole;
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
