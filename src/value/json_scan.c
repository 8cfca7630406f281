// SPDX-License-Identifier: Apache-2.0
/* See json_scan.h. Both paths differ only in how they turn 64 bytes into bit masks; what is made of
 * the masks is one function, inlined into each. Finding escaped bytes with a carry across blocks
 * follows Langdale and Lemire, "Parsing gigabytes of JSON per second" (2019), section 3.1.1. */
#include "value/json_scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK 64

/* One bit a byte of a block. */
struct masks {
    uint64_t quotes, backslashes, controls, high; // high: not ASCII
};

struct state {
    uint64_t escape_carry; // 1: the first byte of the next block is escaped
    uint64_t in_string;    // all ones inside of a string
    size_t low_half;       // position of the \u that completes a pair
    bool high;
    size_t error_at;
    enum json_scan_error error;
};

static inline uint64_t escaped_bytes(uint64_t backslashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555u;
    uint64_t follows, odd_starts, sequences;
    backslashes &= ~*carry;
    follows = backslashes << 1 | *carry;
    odd_starts = backslashes & ~even & ~follows;
    *carry = __builtin_add_overflow(odd_starts, backslashes, &sequences);
    return (even ^ (sequences << 1)) & follows;
}

static inline uint64_t prefix_xor(uint64_t bits)
{
    for (unsigned shift = 1; shift < 64; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

static bool read_hex4(struct str text, size_t at, unsigned *ret)
{
    unsigned n = 0;
    if (text.len < 4 || at > text.len - 4)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        unsigned char c = (unsigned char)text.ptr[i], lower = c | 0x20;
        unsigned digit = c >= '0' && c <= '9'           ? c - 48u
                         : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10u
                                                        : 16;
        if (digit == 16)
            return false;
        n = n << 4 | digit;
    }
    *ret = n;
    return true;
}

/* The escape whose backslash stands at `at`. */
static enum json_scan_error check_escape(struct str text, size_t at, struct state *state)
{
    unsigned unit, low;
    char c = at + 1 < text.len ? text.ptr[at + 1] : '\0';
    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c) ? JSON_SCAN_OK : JSON_SCAN_ESCAPE;
    if (!read_hex4(text, at + 2, &unit))
        return JSON_SCAN_ESCAPE;
    if (unit < 0xD800 || unit > 0xDFFF)
        return JSON_SCAN_OK;
    if (unit >= 0xDC00)
        return state->low_half == at ? JSON_SCAN_OK : JSON_SCAN_SURROGATE;
    if (!str_starts(str_sub(text, at + 6, 2), STR("\\u")) || !read_hex4(text, at + 8, &low) ||
        low < 0xDC00 || low > 0xDFFF)
        return JSON_SCAN_SURROGATE;
    state->low_half = at + 6;
    return JSON_SCAN_OK;
}

static __attribute__((noinline)) void check_escapes(struct str text, size_t base, uint64_t starts,
                                                    struct state *state)
{
    for (; starts && !state->error; starts &= starts - 1) {
        size_t at = base + (size_t)__builtin_ctzll(starts);
        state->error = check_escape(text, at, state);
        state->error_at = at;
    }
}

/* Writes positions in groups, whether or not there are as many: the room behind them allows it. */
static inline __attribute__((always_inline)) void add_quotes(struct json_scan *scan, uint64_t bits,
                                                             uint32_t base)
{
    uint32_t *out = scan->quotes + scan->quote_count;
    scan->quote_count += (size_t)__builtin_popcountll(bits);
    while (bits) {
        for (int i = 0; i < 4; i++) {
            *out++ = base + (bits ? (uint32_t)__builtin_ctzll(bits) : 0);
            bits &= bits - 1;
        }
    }
}

static inline __attribute__((always_inline)) void use_masks(struct json_scan *scan, struct masks m,
                                                            size_t base, struct state *state)
{
    state->high |= m.high != 0;
    if (m.backslashes | state->escape_carry) {
        uint64_t escaped = escaped_bytes(m.backslashes, &state->escape_carry);
        if (!scan->has_escapes)
            memset(scan->escapes, 0, base / BLOCK * sizeof *scan->escapes);
        scan->has_escapes = true;
        m.quotes &= ~escaped;
        check_escapes(scan->text, base, m.backslashes & ~escaped, state);
    }
    if (scan->has_escapes)
        scan->escapes[base / BLOCK] = m.backslashes;
    if (m.controls) {
        uint64_t bad = m.controls & (prefix_xor(m.quotes) ^ state->in_string);
        if (bad && !state->error) {
            state->error = JSON_SCAN_CONTROL;
            state->error_at = base + (size_t)__builtin_ctzll(bad);
        }
    }
    if (__builtin_parityll(m.quotes))
        state->in_string = ~state->in_string;
    add_quotes(scan, m.quotes, (uint32_t)base);
}

static enum json_scan_error finish(struct json_scan *scan, const struct state *state, size_t *ret_at)
{
    enum json_scan_error error = state->error;
    *ret_at = state->error_at;
    if (state->high && !error) {
        *ret_at = str_utf8_prefix(scan->text);
        error = *ret_at < scan->text.len ? JSON_SCAN_UTF8 : JSON_SCAN_OK;
    }
    if (scan->quote_count % 2 && !error) {
        *ret_at = scan->quotes[scan->quote_count - 1];
        error = JSON_SCAN_OPEN;
    }
    return error;
}

/* Blocks of the text, the last one padded with spaces. */
#define SCAN_BLOCKS(masks_of)                                                                      \
    struct state state = {.low_half = SIZE_MAX};                                                   \
    scan->quote_count = 0;                                                                         \
    scan->has_escapes = false;                                                                     \
    if (scan->text.len > JSON_SCAN_MAX) {                                                          \
        *ret_at = 0;                                                                               \
        return JSON_SCAN_LONG;                                                                     \
    }                                                                                              \
    size_t at = 0;                                                                                 \
    for (; at + BLOCK <= scan->text.len && !state.error; at += BLOCK)                              \
        use_masks(scan, masks_of((const unsigned char *)scan->text.ptr + at), at, &state);         \
    if (at < scan->text.len && !state.error) {                                                     \
        unsigned char last[BLOCK];                                                                 \
        memset(last, ' ', sizeof last);                                                            \
        memcpy(last, scan->text.ptr + at, scan->text.len - at);                                    \
        use_masks(scan, masks_of(last), at, &state);                                               \
    }                                                                                              \
    return finish(scan, &state, ret_at)

static inline struct masks masks_plain(const unsigned char *p)
{
    struct masks m = {0};
    for (unsigned i = 0; i < BLOCK; i++) {
        m.quotes |= (uint64_t)(p[i] == '"') << i;
        m.backslashes |= (uint64_t)(p[i] == '\\') << i;
        m.controls |= (uint64_t)(p[i] < 0x20) << i;
        m.high |= (uint64_t)(p[i] >= 0x80) << i;
    }
    return m;
}

enum json_scan_error json_scan_plain(struct json_scan *scan, size_t *ret_at)
{
    SCAN_BLOCKS(masks_plain);
}

#if defined(__x86_64__)
#define FAST __attribute__((target("avx2,bmi,lzcnt,popcnt")))

static inline FAST __attribute__((always_inline)) uint64_t join(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline FAST __attribute__((always_inline)) struct masks masks_fast(const unsigned char *p)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');
    __m256i control = _mm256_set1_epi8(0x1F);
    return (struct masks){
        .quotes = join(_mm256_cmpeq_epi8(a, quote), _mm256_cmpeq_epi8(b, quote)),
        .backslashes = join(_mm256_cmpeq_epi8(a, backslash), _mm256_cmpeq_epi8(b, backslash)),
        .controls = join(_mm256_cmpeq_epi8(_mm256_min_epu8(a, control), a),
                         _mm256_cmpeq_epi8(_mm256_min_epu8(b, control), b)),
        .high = join(a, b),
    };
}

static FAST enum json_scan_error scan_avx2(struct json_scan *scan, size_t *ret_at)
{
    SCAN_BLOCKS(masks_fast);
}

enum json_scan_error json_scan_fast(struct json_scan *scan, size_t *ret_at)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")
               ? scan_avx2(scan, ret_at)
               : json_scan_plain(scan, ret_at);
}
#else
enum json_scan_error json_scan_fast(struct json_scan *scan, size_t *ret_at)
{
    return json_scan_plain(scan, ret_at);
}
#endif

enum json_scan_error json_scan(struct json_scan *scan, size_t *ret_at)
{
    return json_scan_fast(scan, ret_at);
}

const char *json_scan_message(enum json_scan_error error)
{
    static const char *const messages[] = {
        [JSON_SCAN_OK] = "no error",
        [JSON_SCAN_CONTROL] = "malformed JSON: control character in a string",
        [JSON_SCAN_ESCAPE] = "malformed JSON: unknown escape",
        [JSON_SCAN_SURROGATE] = "lone surrogate in a string",
        [JSON_SCAN_UTF8] = "not UTF-8",
        [JSON_SCAN_OPEN] = "malformed JSON: string without an end",
        [JSON_SCAN_LONG] = "longer than 2 GiB",
    };
    return messages[error];
}

static size_t put_code_point(char *out, unsigned c)
{
    static const unsigned char leads[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(leads[len] | c);
    return len;
}

size_t json_unescape(struct str raw, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t used = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned c = 0, low = 0;
        if (raw.ptr[i] != '\\') {
            out[used++] = raw.ptr[i];
            continue;
        }
        i++;
        if (raw.ptr[i] != 'u') {
            out[used++] = to[strchr(from, raw.ptr[i]) - from];
            continue;
        }
        if (!read_hex4(raw, i + 1, &c))
            break;
        i += 4;
        if (c >= 0xD800 && c <= 0xDBFF && read_hex4(raw, i + 3, &low)) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            i += 6;
        }
        used += put_code_point(out + used, c);
    }
    return used;
}
