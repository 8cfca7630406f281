// SPDX-License-Identifier: Apache-2.0
/* See str.h. Plain byte work; no locale anywhere. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

struct str str_sub(struct str s, size_t start, size_t len)
{
    if (start > s.len)
        start = s.len;
    if (len > s.len - start)
        len = s.len - start;
    return (struct str){s.ptr ? s.ptr + start : NULL, len};
}

size_t str_find_byte(struct str s, char byte)
{
    const char *at = s.len ? memchr(s.ptr, byte, s.len) : NULL;
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

size_t str_find(struct str s, struct str needle)
{
    if (needle.len == 0)
        return 0;
    const char *at = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

int str_compare(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct str str_cut(struct str *rest, char separator)
{
    size_t at = str_find_byte(*rest, separator);
    struct str head = str_sub(*rest, 0, at);
    *rest = at == SIZE_MAX ? (struct str){0} : str_sub(*rest, at + 1, SIZE_MAX);
    return head;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_join(struct arena *arena, const struct str *pieces, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].len;
    char *bytes = arena_alloc_raw(arena, size + 1, 1), *at = bytes;
    for (size_t i = 0; bytes && i < count; i++)
        at = pieces[i].len ? mempcpy(at, pieces[i].ptr, pieces[i].len) : at;
    if (!bytes)
        return (struct str){0};
    *at = '\0';
    return (struct str){bytes, size};
}

struct str str_trim(struct str s)
{
    while (s.len && is_space(s.ptr[0]))
        s = str_sub(s, 1, SIZE_MAX);
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

struct str str_copy(struct arena *arena, struct str s)
{
    char *copy = arena_copy(arena, s.ptr, s.len);
    return (struct str){copy, copy ? s.len : 0};
}

bool str_to_int64(struct str s, int64_t *ret)
{
    bool negative = s.len && s.ptr[0] == '-';
    if (negative)
        s = str_sub(s, 1, SIZE_MAX);
    if (s.len == 0 || s.len > 19)
        return false;
    int64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, s.ptr[i] - '0', &n))
            return false;
    }
    if (!negative && n == INT64_MIN)
        return false;
    *ret = negative ? n : -n;
    return true;
}

/* Length of the well-formed sequence at p (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char lead = p[0];
    if (lead < 0x80)
        return 1;
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || left < need)
        return 0;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

size_t str_hidden(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (s.len && (p[0] < ' ' || p[0] == 0x7F))
        return 1;
    if (s.len >= 2 && p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) // C1
        return 2;
    if (s.len < 3 || p[0] != 0xE2)
        return 0;
    bool mark = p[1] == 0x80 &&
                (p[2] == 0x8B || p[2] == 0x8E || p[2] == 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAE));
    bool isolate = p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9;
    return mark || isolate ? 3 : 0;
}

size_t str_utf8_prefix(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if ((word & 0x8080808080808080u) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t step = utf8_sequence(p + i, s.len - i);
        if (step == 0)
            return i;
        i += step;
    }
    return i;
}

bool str_is_utf8(struct str s)
{
    return str_utf8_prefix(s) == s.len;
}

bool str_glob(struct str pattern, struct str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, retry = 0;
    while (i < s.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            retry = i;
        } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == s.ptr[i])) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

#define DISTANCE_LENGTH_MAX 64

unsigned str_distance(struct str a, struct str b, unsigned max)
{
    if (a.len > DISTANCE_LENGTH_MAX || b.len > DISTANCE_LENGTH_MAX)
        return max + 1;
    unsigned rows[3][DISTANCE_LENGTH_MAX + 1];
    for (unsigned j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned best = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    unsigned result = rows[a.len % 3][b.len];
    return result > max ? max + 1 : result;
}

const char *str_nearest(struct str typed, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    unsigned best = 2 + (unsigned)(typed.len / 4);
    for (size_t i = 0; i < count; i++) {
        unsigned distance = str_distance(typed, str_from(names[i]), best);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

bool buf_reserve(struct buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    if (more < buf->cap - buf->len) // strictly: room for the NUL
        return true;
    size_t cap = buf->cap ? buf->cap * 2 : 64;
    if (more > SIZE_MAX / 4 || cap > SIZE_MAX / 4) {
        buf->failed = true;
        return false;
    }
    while (cap <= buf->len + more)
        cap *= 2;
    char *grown = arena_grow(buf->arena, buf->ptr, buf->cap, cap);
    if (!grown) {
        buf->failed = true;
        return false;
    }
    buf->ptr = grown;
    buf->cap = cap;
    return true;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    if (len == 0 || !buf_reserve(buf, len))
        return;
    memcpy(buf->ptr + buf->len, data, len);
    buf->len += len;
}

void buf_add_str(struct buf *buf, struct str s)
{
    buf_add(buf, s.ptr, s.len);
}

void buf_add_cstr(struct buf *buf, const char *cstr)
{
    buf_add(buf, cstr, strlen(cstr));
}

void buf_add_uint(struct buf *buf, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    buf_add(buf, digits + at, sizeof digits - at);
}

void buf_add_int(struct buf *buf, int64_t n)
{
    if (n < 0)
        buf_add_byte(buf, '-');
    buf_add_uint(buf, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void buf_add_visible(struct buf *buf, struct str s)
{
    while (s.len) {
        size_t hidden = str_hidden(s), len = hidden ? hidden : 1;
        for (size_t i = 0; i < hidden; i++)
            buf_printf(buf, "\\x%02x", (unsigned char)s.ptr[i]);
        if (!hidden)
            buf_add_byte(buf, s.ptr[0]);
        s = str_sub(s, len, SIZE_MAX);
    }
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = buf->failed ? 0 : buf->cap - buf->len;
    int length = vsnprintf(room ? buf->ptr + buf->len : NULL, room, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < room) {
        buf->len += (size_t)length;
    } else if (length >= 0 && buf_reserve(buf, (size_t)length)) {
        vsnprintf(buf->ptr + buf->len, (size_t)length + 1, format, again);
        buf->len += (size_t)length;
    }
    va_end(again);
}

struct str buf_str(struct buf *buf)
{
    if (!buf_reserve(buf, 0))
        return (struct str){0};
    buf->ptr[buf->len] = '\0';
    return (struct str){buf->ptr, buf->len};
}
