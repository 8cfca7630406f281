// SPDX-License-Identifier: Apache-2.0
/* Strings: `struct str`, a borrowed view of bytes (never NUL-terminated by promise), and
 * `struct buf`, bytes being built in an arena.
 *
 * A view is valid as long as what it looks at. The empty view may have a NULL pointer. */
#ifndef RECTIFY_BASE_STR_H
#define RECTIFY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* For printf: "%.*s", STR_FMT(s). Longer than INT_MAX is cut. */
#define STR_FMT(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), (s).ptr ? (s).ptr : ""

static inline struct str str_from(const char *cstr)
{
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_is(struct str a, const char *cstr)
{
    return str_eq(a, str_from(cstr));
}
static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
static inline bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}
/* The part from `start` (clamped) of at most `len` bytes. */
struct str str_sub(struct str s, size_t start, size_t len);
/* Position of the first `byte` (or of `needle`), or SIZE_MAX. */
size_t str_find_byte(struct str s, char byte);
size_t str_find(struct str s, struct str needle);
/* Bytewise order, as UTF-8 and CEL define it: <0, 0, >0. */
int str_compare(struct str a, struct str b);
/* Cuts the part before `separator` off `*rest` and returns it; the whole when there is none. */
struct str str_cut(struct str *rest, char separator);
struct str str_trim(struct str s);
bool str_eq_nocase(struct str a, struct str b); // ASCII
/* Copy into the arena, NUL behind it; ptr NULL when out of memory. */
struct str str_copy(struct arena *arena, struct str s);
/* The pieces one after the other in the arena, NUL behind them; ptr NULL when out of memory. */
struct str str_join(struct arena *arena, const struct str *pieces, size_t count);
#define STR_JOIN(arena, ...)                                                                       \
    str_join((arena), (const struct str[]){__VA_ARGS__},                                           \
             sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
/* Strict decimal integer, optional '-', no spaces: false on anything else or overflow. */
bool str_to_int64(struct str s, int64_t *ret) __attribute__((warn_unused_result));
/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)? */
bool str_is_utf8(struct str s);
/* Length of the longest prefix of whole, well-formed sequences. */
size_t str_utf8_prefix(struct str s);
/* Bytes of what stands first when it must not reach a reader as it is, else 0: control characters
 * (C0, DEL, C1), what breaks lines or turns the writing round (U+200B, E, F, U+2028..202E,
 * U+2066..2069). */
size_t str_hidden(struct str s);
/* `*` any run, `?` one byte; no escapes. Linear in practice, no recursion. */
bool str_glob(struct str pattern, struct str s);
/* Edit distance (Damerau-Levenshtein, adjacent swaps), capped: anything above `max` gives max+1.
 * For "did you mean"; strings over 64 bytes give max+1. */
unsigned str_distance(struct str a, struct str b, unsigned max);
/* The nearest of `names` to `typed` if near enough to suggest (distance <= 1 + len/4), else NULL.
 */
const char *str_nearest(struct str typed, const char *const *names, size_t count);

/* Bytes under construction. Zeroed plus an arena is valid and empty. When memory runs out `failed`
 * is set, further adds do nothing, and buf_str() has a NULL pointer. */
struct buf {
    struct arena *arena;
    char *ptr;
    size_t len, cap;
    bool failed;
};
bool buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_str(struct buf *buf, struct str s);
void buf_add_cstr(struct buf *buf, const char *cstr);
static inline void buf_add_byte(struct buf *buf, char byte)
{
    if (buf->cap - buf->len > 1 || buf_reserve(buf, 1)) // room for the NUL too
        buf->ptr[buf->len++] = byte;
}
void buf_add_uint(struct buf *buf, uint64_t n); // decimal
void buf_add_int(struct buf *buf, int64_t n);
void buf_add_visible(struct buf *buf, struct str s); // what str_hidden() finds, as \xNN a byte
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The bytes so far (borrowed until the next add), with a NUL behind them. */
struct str buf_str(struct buf *buf);

#endif
