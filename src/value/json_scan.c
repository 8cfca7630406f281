// SPDX-License-Identifier: Apache-2.0
/* See json_scan.h. The paths differ only in how they turn 64 bytes into bit masks; what is made of
 * the masks is one function, inlined into each. Finding escaped bytes with a carry across blocks
 * follows Langdale and Lemire, "Parsing gigabytes of JSON per second" (2019), section 3.1.1. */
#include "value/json_scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK 64

/* Loops of a few rounds that -O2 would leave rolled. */
#define UNROLL _Pragma("GCC unroll 8")

/* One bit a byte of a block. */
struct masks {
    uint64_t quotes, backslashes, controls, high; // high: not ASCII
};

/* Marks (, : [ ] { }) by their low four bits. A byte is one if, with bit 5 set, it is the entry of
 * its own low bits; that takes two control characters for marks, which no walker does. */
#define MARKS 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0

/* What each block hands to the next: in registers, so no function that is called gets its address.
 */
struct carry {
    uint64_t in_string; // all ones: the next block begins inside of a string
    uint64_t plain;     // 1: the block before ended with neither a quote nor a mark
};

/* What only rare blocks change. */
struct state {
    uint64_t escape_carry; // 1: the first byte of the next block is escaped
    size_t low_half;       // position of the \u that completes a pair
    uint64_t high;         // not zero: some byte is not ASCII
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

#define INLINE static inline __attribute__((always_inline))

#define ENDS_AT_ONCE 6

/* Writes positions in groups, whether or not there are as many: the room behind them allows it
 * and counting them beforehand would mispredict. */
INLINE uint32_t *add_ends(uint32_t *out, uint64_t bits, uint32_t base)
{
    uint32_t *end = out + __builtin_popcountll(bits);
    do {
        UNROLL for (int i = 0; i < ENDS_AT_ONCE; i++)
        {
            /* The bit keeps the count of zeros defined; such positions are not used. */
            out[i] = base + (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63);
            bits &= bits - 1;
        }
        out += ENDS_AT_ONCE;
    } while (__builtin_expect(out < end, 0));
    return end;
}

/* The ends in a block of which `inside` says what is in a string, the quote that opens it too. */
INLINE uint64_t ends_of(uint64_t quotes, uint64_t marks, uint64_t inside, struct carry *carry)
{
    uint64_t plain = ~(quotes | marks), behind_plain = plain << 1 | carry->plain;
    carry->plain = plain >> 63;
    carry->in_string = 0 - (inside >> 63);
    return (quotes | (marks & behind_plain)) & ~inside;
}

/* What is rare in a block: escapes, control characters (white space, mostly), bytes above ASCII.
 * Returns the quotes that are not escaped. */
static __attribute__((noinline)) uint64_t check_rare(struct json_scan *scan, struct masks m,
                                                     size_t base, uint64_t in_string,
                                                     struct state *state)
{
    state->high |= m.high;
    uint64_t escaped = escaped_bytes(m.backslashes, &state->escape_carry);
    if (m.backslashes) {
        if (!scan->has_escapes)
            memset(scan->escapes, 0, JSON_SCAN_ESCAPES(scan->text.len) * sizeof *scan->escapes);
        scan->has_escapes = true;
        scan->escapes[base / BLOCK] = m.backslashes;
        check_escapes(scan->text, base, m.backslashes & ~escaped, state);
    }
    m.quotes &= ~escaped;
    uint64_t bad = m.controls ? m.controls & (prefix_xor(m.quotes) ^ in_string) : 0;
    if (bad && !state->error) {
        state->error = JSON_SCAN_CONTROL;
        state->error_at = base + (size_t)__builtin_ctzll(bad);
    }
    return m.quotes;
}

static enum json_scan_error finish(struct json_scan *scan, bool in_string,
                                   const struct state *state, size_t *ret_at)
{
    enum json_scan_error error = state->error;
    *ret_at = state->error_at;
    if (state->high && !error) {
        *ret_at = str_utf8_prefix(scan->text);
        error = *ret_at < scan->text.len ? JSON_SCAN_UTF8 : JSON_SCAN_OK;
    }
    if (in_string && !error) {
        size_t last = scan->end_count ? scan->ends[scan->end_count - 1] : 0;
        last += last && scan->text.ptr[last] == '"';
        *ret_at = last + str_find_byte(str_sub(scan->text, last, SIZE_MAX), '"');
        error = JSON_SCAN_OPEN;
    }
    scan->ends[scan->end_count] = (uint32_t)scan->text.len;
    return error;
}

/* Blocks of the text; `scan_tail` is for what is left behind the last whole one. */
#define SCAN_BLOCKS(scan_block, scan_tail)                                                         \
    struct state state = {.low_half = SIZE_MAX};                                                   \
    struct carry carry = {0};                                                                      \
    scan->has_escapes = false;                                                                     \
    if (scan->text.len > JSON_SCAN_MAX) {                                                          \
        *ret_at = 0;                                                                               \
        return JSON_SCAN_LONG;                                                                     \
    }                                                                                              \
    size_t at = 0;                                                                                 \
    uint32_t *out = scan->ends;                                                                    \
    const unsigned char *bytes = (const unsigned char *)scan->text.ptr;                            \
    const size_t len = scan->text.len;                                                             \
    for (; at + BLOCK <= len && !state.error; at += BLOCK)                                         \
        out = scan_block(scan, bytes + at, at, &carry, &state, out);                               \
    if (at < len && !state.error)                                                                  \
        out = scan_tail(scan, bytes + at, at, &carry, &state, out);                                \
    scan->end_count = (size_t)(out - scan->ends);                                                  \
    return finish(scan, carry.in_string != 0, &state, ret_at)

/* A block of which the text has `left` bytes; the rest is padded with spaces. */
INLINE void pad_block(unsigned char block[BLOCK], const unsigned char *p, size_t left)
{
    memset(block, ' ', BLOCK);
    memcpy(block, p, left);
}

/* ---- portable: sixteen bytes at a time, by what vectors every machine and compiler has ---- */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int8_t signed16 __attribute__((vector_size(16))); // of comparisons: all ones or zero each
typedef uint64_t words2 __attribute__((vector_size(16)));

static inline bytes16 load16(const unsigned char *p)
{
    bytes16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* One bit a byte: each has one of its own among eight, which are summed up by a product. */
static inline uint64_t gather(signed16 is)
{
    const bytes16 places = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint64_t each = UINT64_MAX / 255; // a one in every byte
    words2 words = (words2)((bytes16)is & places);
    return words[0] * each >> 56 | words[1] * each >> 56 << 8;
}

static inline signed16 marks_plain(bytes16 v)
{
    v |= 0x20;
    return (v == ',') | (v == ':') | (v == '{') | (v == '}');
}

static __attribute__((noinline)) uint64_t check_rare_plain(struct json_scan *scan,
                                                           const unsigned char *p, uint64_t quotes,
                                                           size_t base, uint64_t in_string,
                                                           struct state *state)
{
    struct masks m = {.quotes = quotes};
    for (unsigned i = 0; i < BLOCK; i += 16) {
        bytes16 v = load16(p + i);
        m.backslashes |= gather(v == '\\') << i;
        m.controls |= gather(v < ' ') << i;
        m.high |= gather((signed16)v < 0) << i;
    }
    return check_rare(scan, m, base, in_string, state);
}

INLINE uint32_t *block_plain(struct json_scan *scan, const unsigned char *p, size_t base,
                             struct carry *carry, struct state *state, uint32_t *out)
{
    uint64_t quotes = 0, marks = 0;
    signed16 rare = {0};
    for (unsigned i = 0; i < BLOCK; i += 16) {
        bytes16 v = load16(p + i);
        quotes |= gather(v == '"') << i;
        marks |= gather(marks_plain(v)) << i;
        rare |= (v == '\\') | ((signed16)v < ' '); // controls, and what is not ASCII
    }
    words2 any = (words2)rare;
    if (__builtin_expect((any[0] | any[1] | state->escape_carry) != 0, 0))
        quotes = check_rare_plain(scan, p, quotes, base, carry->in_string, state);
    uint64_t inside = prefix_xor(quotes) ^ carry->in_string;
    return add_ends(out, ends_of(quotes, marks, inside, carry), (uint32_t)base);
}

INLINE uint32_t *tail_plain(struct json_scan *scan, const unsigned char *p, size_t base,
                            struct carry *carry, struct state *state, uint32_t *out)
{
    unsigned char block[BLOCK] __attribute__((uninitialized));
    pad_block(block, p, scan->text.len - base);
    return block_plain(scan, block, base, carry, state, out);
}

enum json_scan_error json_scan_plain(struct json_scan *scan, size_t *ret_at)
{
    SCAN_BLOCKS(block_plain, tail_plain);
}

#if defined(__x86_64__)

/* ---- AVX2 ---- */

#define AVX2 __attribute__((target("avx2,bmi,bmi2,pclmul,popcnt")))

static inline AVX2 __attribute__((always_inline)) uint64_t join(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

/* The product with all ones is the exclusive or of all bits up to each. */
static inline AVX2 __attribute__((always_inline)) uint64_t prefix_xor_clmul(uint64_t bits)
{
    __m128i factor = _mm_set_epi64x(0, (int64_t)bits);
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(factor, _mm_set1_epi8(-1), 0));
}

static AVX2 __attribute__((noinline)) uint64_t
check_rare_avx2(struct json_scan *scan, const unsigned char *p, uint64_t quotes, size_t base,
                uint64_t in_string, struct state *state)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i backslash = _mm256_set1_epi8('\\'), control = _mm256_set1_epi8(0x1F);
    struct masks m = {
        .quotes = quotes,
        .backslashes = join(_mm256_cmpeq_epi8(a, backslash), _mm256_cmpeq_epi8(b, backslash)),
        .controls = join(_mm256_cmpeq_epi8(_mm256_min_epu8(a, control), a),
                         _mm256_cmpeq_epi8(_mm256_min_epu8(b, control), b)),
        .high = join(a, b),
    };
    return check_rare(scan, m, base, in_string, state);
}

static inline AVX2 __attribute__((always_inline)) uint32_t *
block_avx2(struct json_scan *scan, const unsigned char *p, size_t base, struct carry *carry,
           struct state *state, uint32_t *out)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');
    __m256i space = _mm256_set1_epi8(' '); // signed: controls and all that is not ASCII are less
    __m256i marks = _mm256_setr_epi8(MARKS, MARKS);
    uint64_t quotes = join(_mm256_cmpeq_epi8(a, quote), _mm256_cmpeq_epi8(b, quote));
    __m256i rare = _mm256_or_si256(
        _mm256_or_si256(_mm256_cmpeq_epi8(a, backslash), _mm256_cmpeq_epi8(b, backslash)),
        _mm256_or_si256(_mm256_cmpgt_epi8(space, a), _mm256_cmpgt_epi8(space, b)));
    if (__builtin_expect(!_mm256_testz_si256(rare, rare) || state->escape_carry, 0))
        quotes = check_rare_avx2(scan, p, quotes, base, carry->in_string, state);
    uint64_t mark =
        join(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(marks, a), _mm256_or_si256(a, space)),
             _mm256_cmpeq_epi8(_mm256_shuffle_epi8(marks, b), _mm256_or_si256(b, space)));
    uint64_t inside = prefix_xor_clmul(quotes) ^ carry->in_string;
    return add_ends(out, ends_of(quotes, mark, inside, carry), (uint32_t)base);
}

static inline AVX2 __attribute__((always_inline)) uint32_t *
tail_avx2(struct json_scan *scan, const unsigned char *p, size_t base, struct carry *carry,
          struct state *state, uint32_t *out)
{
    unsigned char block[BLOCK] __attribute__((uninitialized));
    pad_block(block, p, scan->text.len - base);
    return block_avx2(scan, block, base, carry, state, out);
}

AVX2 enum json_scan_error json_scan_avx2(struct json_scan *scan, size_t *ret_at)
{
    SCAN_BLOCKS(block_avx2, tail_avx2);
}

/* ---- AVX-512 ---- */

/* The addresses are checked on the other ways through the same texts: the sanitizer's stack of
 * returned frames is not aligned for vectors of 64 bytes. */
#define AVX512                                                                                     \
    __attribute__((target("avx2,bmi,bmi2,pclmul,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi2"),    \
                   no_sanitize("address")))

struct constants {
    __m512i quote, backslash, space, marks, numbers;
};

static AVX512 __attribute__((noinline)) uint64_t check_rare_avx512(struct json_scan *scan,
                                                                   __m512i v, uint64_t quotes,
                                                                   size_t base, uint64_t in_string,
                                                                   struct state *state)
{
    struct masks m = {
        .quotes = quotes,
        .backslashes = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\')),
        .controls = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(' ')),
        .high = _mm512_movepi8_mask(v),
    };
    return check_rare(scan, m, base, in_string, state);
}

/* At most 32 positions, since no two ends are neighbours: 16 at once, whatever their number. */
static inline AVX512 __attribute__((always_inline)) uint32_t *
add_ends_avx512(uint32_t *out, uint64_t bits, uint32_t base, __m512i numbers)
{
    int count = __builtin_popcountll(bits);
    __m512i at = _mm512_maskz_compress_epi8(bits, numbers);
    __m512i first = _mm512_set1_epi32((int)base);
    __m512i low = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(at));
    _mm512_storeu_si512(out, _mm512_add_epi32(low, first));
    if (__builtin_expect(count > 16, 0)) {
        __m512i high = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(at, 1));
        _mm512_storeu_si512(out + 16, _mm512_add_epi32(high, first));
    }
    return out + count;
}

/* The compiler would make them anew for each block. */
#define KEEP(vector) __asm__("" : "+v"(vector))

static inline AVX512 __attribute__((always_inline)) uint32_t *
block_avx512(struct json_scan *scan, __m512i v, size_t base, struct carry *carry,
             struct state *state, uint32_t *out, const struct constants *k)
{
    uint64_t quotes = _mm512_cmpeq_epi8_mask(v, k->quote);
    uint64_t mark =
        _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(k->marks, v), _mm512_or_si512(v, k->space));
    /* Signed: controls, and what is not ASCII, are less than a space. */
    __mmask64 common =
        _mm512_mask_cmpge_epi8_mask(_mm512_cmpneq_epi8_mask(v, k->backslash), v, k->space);
    if (__builtin_expect(!_kortestc_mask64_u8(common, common) || state->escape_carry, 0))
        quotes = check_rare_avx512(scan, v, quotes, base, carry->in_string, state);
    uint64_t inside = prefix_xor_clmul(quotes) ^ carry->in_string;
    return add_ends_avx512(out, ends_of(quotes, mark, inside, carry), (uint32_t)base, k->numbers);
}

/* The `left` bytes at `p`, of which there are less than a block, and spaces. */
static inline AVX512 __attribute__((always_inline)) __m512i load_tail(const unsigned char *p,
                                                                      size_t left, __m512i spaces)
{
    return _mm512_mask_loadu_epi8(spaces, ((uint64_t)1 << left) - 1, p);
}

AVX512 enum json_scan_error json_scan_avx512(struct json_scan *scan, size_t *ret_at)
{
    static const unsigned char numbers[64] __attribute__((aligned(64))) = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    struct constants k = {
        .quote = _mm512_set1_epi8('"'),
        .backslash = _mm512_set1_epi8('\\'),
        .space = _mm512_set1_epi8(' '),
        .marks = _mm512_broadcast_i32x4(_mm_setr_epi8(MARKS)),
        .numbers = _mm512_load_si512(numbers),
    };
    KEEP(k.quote);
    KEEP(k.backslash);
    KEEP(k.space);
    KEEP(k.marks);
    KEEP(k.numbers);
#define BLOCK_AVX512(scan, p, base, carry, state, out)                                             \
    block_avx512(scan, _mm512_loadu_si512(p), base, carry, state, out, &k)
#define TAIL_AVX512(scan, p, base, carry, state, out)                                              \
    block_avx512(scan, load_tail(p, (scan)->text.len - (base), k.space), base, carry, state, out,  \
                 &k)
    SCAN_BLOCKS(BLOCK_AVX512, TAIL_AVX512);
}

/* ---- the choice ---- */

bool json_scan_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("pclmul");
}

bool json_scan_has_avx512(void)
{
    return json_scan_has_avx2() && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2");
}

enum json_scan_error json_scan(struct json_scan *scan, size_t *ret_at)
{
    return json_scan_has_avx512() ? json_scan_avx512(scan, ret_at)
           : json_scan_has_avx2() ? json_scan_avx2(scan, ret_at)
                                  : json_scan_plain(scan, ret_at);
}
#else
bool json_scan_has_avx2(void)
{
    return false;
}

bool json_scan_has_avx512(void)
{
    return false;
}

enum json_scan_error json_scan_avx2(struct json_scan *scan, size_t *ret_at)
{
    return json_scan_plain(scan, ret_at);
}

enum json_scan_error json_scan_avx512(struct json_scan *scan, size_t *ret_at)
{
    return json_scan_plain(scan, ret_at);
}

enum json_scan_error json_scan(struct json_scan *scan, size_t *ret_at)
{
    return json_scan_plain(scan, ret_at);
}
#endif

bool json_has_escape_between(const struct json_scan *scan, size_t start, size_t end)
{
    size_t first = start / 64, last = (end - 1) / 64;
    uint64_t head = UINT64_MAX << start % 64, tail = UINT64_MAX >> (63 - (end - 1) % 64);
    if (first == last)
        return (scan->escapes[first] & head & tail) != 0;
    uint64_t any = (scan->escapes[first] & head) | (scan->escapes[last] & tail);
    for (size_t i = first + 1; i < last; i++)
        any |= scan->escapes[i];
    return any != 0;
}

size_t json_number_end(struct str text, size_t at)
{
    at += at < text.len && text.ptr[at] == '-';
    size_t digits = at;
    at = json_skip_digits(text, at);
    if (at == digits || (text.ptr[digits] == '0' && at > digits + 1))
        return 0;
    if (at < text.len && text.ptr[at] == '.') {
        digits = ++at;
        at = json_skip_digits(text, at);
        if (at == digits)
            return 0;
    }
    if (at < text.len && (text.ptr[at] | 0x20) == 'e') {
        at++;
        at += at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-');
        digits = at;
        at = json_skip_digits(text, at);
        if (at == digits)
            return 0;
    }
    return at;
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
