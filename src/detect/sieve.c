// SPDX-License-Identifier: Apache-2.0
/* Tells from an event's raw text that no pattern can match it, without parsing it.
 *
 * Nearly every trigger demands one of a few values of detail.eventName. Wherever such a value may
 * stand in JSON text, the bytes
 *
 *      "eventName" : "CreateBucket"
 *
 * stand there too, unless letters are spelled as escapes (\u0041..\u007a). So a text in which every
 * "eventName" is followed by a plain string that nobody wants, and that has no such escape, matches
 * nothing. Whatever is not as plain as that may match. When one pattern can do without an event
 * name everything may match. Built once, then read by any number of threads. */
#include "detect/detect_internal.h"

#include "base/map.h"
#include "value/json.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define KEY "\"eventName\""
#define KEY_LEN (sizeof KEY - 1)
#define PREFIXES_MAX 64 // more than that: everything may match

struct sieve {
    struct arena arena;
    struct map names;
    struct str prefixes[PREFIXES_MAX];
    size_t prefix_count;
    bool open; // some pattern demands no event name
};

struct sieve *sieve_create(void)
{
    struct sieve *s = calloc(1, sizeof *s);
    if (s)
        s->names.arena = &s->arena;
    return s;
}

void sieve_destroy(struct sieve *s)
{
    if (!s)
        return;
    arena_finish(&s->arena);
    free(s);
}

/* ---- what patterns demand ---- */

static bool has_dotted_key(struct value v)
{
    for (uint32_t i = 0; v.kind == VALUE_MAP && i < v.len; i++)
        if (str_find_byte(value_str(v.pairs[i].key), '.') != SIZE_MAX)
            return true;
    return false;
}

static bool add_prefix(struct sieve *s, struct str prefix)
{
    if (prefix.len == 0 || s->prefix_count == PREFIXES_MAX)
        s->open = true;
    else
        s->prefixes[s->prefix_count++] = prefix;
    return true;
}

static bool add_alternative(struct sieve *s, struct value v)
{
    if (v.kind == VALUE_STRING)
        return map_set(&s->names, value_str(v), s);
    const struct value *prefix = value_get(v, STR("prefix"));
    const struct value *wildcard = value_get(v, STR("wildcard"));
    if (prefix && prefix->kind == VALUE_STRING)
        return add_prefix(s, value_str(*prefix));
    if (wildcard && wildcard->kind == VALUE_STRING) {
        struct str rest = value_str(*wildcard), plain = str_cut(&rest, '*');
        return add_prefix(s, str_cut(&plain, '\\'));
    }
    s->open = true;
    return true;
}

bool sieve_add(struct sieve *s, struct str pattern)
{
    struct value v;
    struct error err;
    struct str copy = str_copy(&s->arena, pattern);
    if (!copy.ptr)
        return false;
    const struct value *detail = NULL, *names = NULL;
    if (json_parse(&s->arena, copy, &v, &err) && !has_dotted_key(v))
        detail = value_get(v, STR("detail"));
    if (detail && !has_dotted_key(*detail))
        names = value_get(*detail, STR("eventName"));
    if (!names || names->kind != VALUE_LIST) {
        s->open = true;
        return true;
    }
    for (uint32_t i = 0; i < names->len; i++)
        if (!add_alternative(s, names->items[i]))
            return false;
    return true;
}

/* ---- what a text holds ---- */

static bool wanted(const struct sieve *s, struct str name)
{
    if (map_get(&s->names, name))
        return true;
    for (size_t i = 0; i < s->prefix_count; i++)
        if (str_starts(name, s->prefixes[i]))
            return true;
    return false;
}

/* `at`: where a quote of KEY may stand. True: the key is there and its value is one to look at. */
static bool suspicious_key(const struct sieve *s, struct str text, size_t at)
{
    if (text.len - at < KEY_LEN || memcmp(text.ptr + at, KEY, KEY_LEN) != 0)
        return false;
    struct str rest = str_trim(str_sub(text, at + KEY_LEN, SIZE_MAX));
    if (rest.len == 0 || rest.ptr[0] != ':')
        return false; // a value, not a key
    rest = str_trim(str_sub(rest, 1, SIZE_MAX));
    if (rest.len == 0 || rest.ptr[0] != '"')
        return true;
    struct str name = str_sub(rest, 1, SIZE_MAX);
    size_t end = str_find_byte(name, '"');
    if (end == SIZE_MAX)
        return true;
    name.len = end;
    return str_find_byte(name, '\\') != SIZE_MAX || wanted(s, name);
}

/* `at`: a backslash before a u. True: the escape may be one of a letter. */
static bool suspicious_escape(struct str text, size_t at)
{
    const char *p = text.ptr + at;
    return text.len - at < 6 || (p[2] == '0' && p[3] == '0' && p[4] >= '4' && p[4] <= '7');
}

static bool suspicious_at(const struct sieve *s, struct str text, size_t at)
{
    return text.ptr[at] == '"' ? suspicious_key(s, text, at)
                               : text.ptr[at] == '\\' && suspicious_escape(text, at);
}

bool sieve_may_match(const struct sieve *s, struct str text)
{
    size_t i = 0;
    if (s->open)
        return true;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), key_n = _mm_set1_epi8('N');
    const __m128i slash = _mm_set1_epi8('\\'), letter_u = _mm_set1_epi8('u');
    for (; i + 16 + KEY_LEN <= text.len; i += 16) {
        const char *p = text.ptr + i;
        __m128i here = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
        __m128i sixth = _mm_loadu_si128((const __m128i *)(const void *)(p + 6));
        __m128i last = _mm_loadu_si128((const __m128i *)(const void *)(p + KEY_LEN - 1));
        __m128i keys = _mm_and_si128(_mm_cmpeq_epi8(here, quote), _mm_cmpeq_epi8(sixth, key_n));
        keys = _mm_and_si128(keys, _mm_cmpeq_epi8(last, quote));
        __m128i escapes =
            _mm_and_si128(_mm_cmpeq_epi8(here, slash), _mm_cmpeq_epi8(next, letter_u));
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_or_si128(keys, escapes));
        for (; hits; hits &= hits - 1)
            if (suspicious_at(s, text, i + (unsigned)__builtin_ctz(hits)))
                return true;
    }
#endif
    for (; i < text.len; i++)
        if ((text.ptr[i] == '"' ||
             (text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == 'u')) &&
            suspicious_at(s, text, i))
            return true;
    return false;
}
