// SPDX-License-Identifier: Apache-2.0
/* matches() and the regex extension, over RE2. Constant patterns were compiled with the program
 * (cx->regex); others are compiled when they are met and kept for the next time. */
#include <stdatomic.h>
#include <stdlib.h>

#include "cel/cel_internal.h"

/* ---- patterns that are known at run time only ---- */

struct kept_pattern {
    struct regex *regex;
    size_t len;
    char text[];
};

/* Patterns once met stay compiled as long as the program, up to as many as there are slots: a
 * policy that gets its pattern from a parameter compiles it once. Slots are filled from the front
 * and never change again, so readers need no lock; a pattern that found no slot is compiled for the
 * call. */
struct pattern_cache {
    _Atomic(struct kept_pattern *) slots[CEL_PATTERNS_KEPT];
};

struct pattern_cache *pattern_cache_create(struct arena *arena)
{
    return ARENA_NEW(arena, struct pattern_cache);
}

void pattern_cache_finish(struct pattern_cache *cache)
{
    for (size_t i = 0; cache && i < CEL_PATTERNS_KEPT; i++) {
        struct kept_pattern *kept = atomic_exchange(&cache->slots[i], NULL);
        if (kept)
            regex_destroy(kept->regex);
        free(kept);
    }
}

static const struct regex *find_kept(struct pattern_cache *cache, struct str pattern)
{
    for (size_t i = 0; cache && i < CEL_PATTERNS_KEPT; i++) {
        const struct kept_pattern *kept =
            atomic_load_explicit(&cache->slots[i], memory_order_acquire);
        if (!kept)
            return NULL;
        if (str_eq(pattern, (struct str){kept->text, kept->len}))
            return kept->regex;
    }
    return NULL;
}

/* Keeps the regex in the first free slot. False: there is none. */
static bool keep(struct pattern_cache *cache, struct str pattern, struct regex *regex)
{
    struct kept_pattern *kept = cache ? malloc(sizeof *kept + pattern.len + 1) : NULL;
    if (!kept)
        return false;
    kept->regex = regex;
    kept->len = pattern.len;
    if (pattern.len)
        memcpy(kept->text, pattern.ptr, pattern.len);
    for (size_t i = 0; i < CEL_PATTERNS_KEPT; i++) {
        struct kept_pattern *none = NULL;
        if (atomic_compare_exchange_strong(&cache->slots[i], &none, kept))
            return true;
    }
    free(kept);
    return false;
}

const struct regex *regex_of_call(struct cel_cx *cx, struct str text, struct str pattern,
                                  bool *ret_owned)
{
    char message[128];
    uint64_t cost = ((uint64_t)text.len / 10 + 1) * (pattern.len / 4 + 1);
    *ret_owned = false;
    if (!cx_charge(cx, cx->regex ? cost : cost + 100)) {
        cx_fail_cost(cx);
        return NULL;
    }
    if (cx->regex)
        return cx->regex;
    struct pattern_cache *cache = cx->program->patterns;
    const struct regex *known = find_kept(cache, pattern);
    if (known)
        return known;
    struct regex *regex = regex_create(pattern.ptr, pattern.len, message, sizeof message);
    if (!regex)
        cx_fail(cx, "C0206", "invalid regular expression: %s", message);
    else
        *ret_owned = !keep(cache, pattern, regex);
    return regex;
}

/* ---- the functions ---- */

struct match {
    ptrdiff_t spans[2 * REGEX_GROUPS_MAX];
};

/* Where the next search starts: behind the match, one code point on behind an empty one. */
static size_t after(struct str text, const struct match *match)
{
    size_t at = (size_t)match->spans[1];
    if (match->spans[0] != match->spans[1])
        return at;
    if (at < text.len)
        utf8_next(text, &at);
    else
        at = text.len + 1;
    return at;
}

/* Adds the replacement, \0 to \9 being groups. False: no such group or a stray backslash. */
static bool add_replacement(struct buf *out, struct str text, struct str to,
                            const struct match *match, int groups)
{
    for (size_t i = 0; i < to.len; i++) {
        if (to.ptr[i] != '\\') {
            buf_add_byte(out, to.ptr[i]);
            continue;
        }
        i++;
        char c = i < to.len ? to.ptr[i] : '\0';
        if (c == '\\') {
            buf_add_byte(out, c);
        } else if (c >= '0' && c <= '9' && c - '0' <= groups) {
            const ptrdiff_t *span = &match->spans[2 * (c - '0')];
            if (span[0] >= 0)
                buf_add_str(out, str_sub(text, (size_t)span[0], (size_t)(span[1] - span[0])));
        } else {
            return false;
        }
    }
    return true;
}

static struct value replace_with(struct cel_cx *cx, const struct regex *regex,
                                 const struct value *v, int64_t limit)
{
    struct str text = value_str(v[0]);
    struct buf out = {.arena = cx->arena};
    struct match match;
    size_t copied = 0;
    int groups = regex_groups(regex);
    for (size_t from = 0; limit != 0 && from <= text.len;) {
        if (!regex_find(regex, text.ptr, text.len, from, match.spans, REGEX_GROUPS_MAX))
            break;
        buf_add_str(&out, str_sub(text, copied, (size_t)match.spans[0] - copied));
        if (!add_replacement(&out, text, value_str(v[2]), &match, groups))
            return cx_fail(cx, "C0206", "invalid replacement \"%.*s\": \\0 to \\%d are the groups",
                           STR_FMT(str_sub(value_str(v[2]), 0, 60)), groups);
        if (out.len > cx->bytes)
            return cx_fail_memory(cx);
        if (!cx_charge(cx, 10 + v[2].len / 10))
            return cx_fail_cost(cx);
        copied = (size_t)match.spans[1];
        from = after(text, &match);
        limit -= limit > 0;
    }
    buf_add_str(&out, str_sub(text, copied, SIZE_MAX));
    return cx_string(cx, &out);
}

struct value fn_matches(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    bool owned;
    const struct regex *regex = regex_of_call(cx, value_str(v[0]), value_str(v[1]), &owned);
    if (!regex)
        return cx_failed();
    bool found = regex_matches(regex, v[0].str, v[0].len);
    if (owned)
        regex_destroy(regex);
    return value_bool(found);
}

static struct value replace(struct cel_cx *cx, const struct value *v, unsigned count)
{
    bool owned;
    const struct regex *regex = regex_of_call(cx, value_str(v[0]), value_str(v[1]), &owned);
    if (!regex)
        return cx_failed();
    struct value result = replace_with(cx, regex, v, count > 3 ? v[3].i : -1);
    if (owned)
        regex_destroy(regex);
    return result;
}

/* The group of a match, or the whole when the pattern has none. */
static struct value captured(struct str text, const struct match *match, int groups)
{
    const ptrdiff_t *span = &match->spans[groups ? 2 : 0];
    if (span[0] < 0)
        return value_string((struct str){0});
    return value_string(str_sub(text, (size_t)span[0], (size_t)(span[1] - span[0])));
}

static struct value too_many_groups(struct cel_cx *cx)
{
    return cx_fail(cx, "C0206", "the regular expression has more than one capturing group");
}

static struct value extract(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct match match;
    bool owned;
    const struct regex *regex = regex_of_call(cx, value_str(v[0]), value_str(v[1]), &owned);
    if (!regex)
        return cx_failed();
    int groups = regex_groups(regex);
    bool found = regex_find(regex, v[0].str, v[0].len, 0, match.spans, 2);
    if (owned)
        regex_destroy(regex);
    if (groups > 1)
        return too_many_groups(cx);
    if (!found || (groups && match.spans[2] < 0))
        return value_optional_none();
    return cx_optional(cx, captured(value_str(v[0]), &match, groups));
}

static struct value extract_each(struct cel_cx *cx, const struct regex *regex, struct str text)
{
    struct value_builder list = {.arena = cx->arena};
    struct match match;
    int groups = regex_groups(regex);
    if (groups > 1)
        return too_many_groups(cx);
    for (size_t from = 0; from <= text.len; from = after(text, &match)) {
        if (!regex_find(regex, text.ptr, text.len, from, match.spans, 2))
            break;
        if (!groups || match.spans[2] >= 0)
            value_push(&list, captured(text, &match, groups));
        if (!cx_charge(cx, 10))
            return cx_fail_cost(cx);
        if (list.failed || list.count * sizeof(struct value) > cx->bytes)
            return cx_fail_memory(cx);
    }
    cx->bytes -= list.count * sizeof(struct value);
    return value_finish_list(&list);
}

static struct value extract_all(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    bool owned;
    const struct regex *regex = regex_of_call(cx, value_str(v[0]), value_str(v[1]), &owned);
    if (!regex)
        return cx_failed();
    struct value result = extract_each(cx, regex, value_str(v[0]));
    if (owned)
        regex_destroy(regex);
    return result;
}

static const struct cel_overload replaces[] = {
    F(replace, &T_STRING, &T_STRING, &T_STRING, &T_STRING),
    F(replace, &T_STRING, &T_STRING, &T_STRING, &T_STRING, &T_INT)};
static const struct cel_overload extracts[] = {
    F(extract, &T_OPTIONAL_STRING, &T_STRING, &T_STRING)};
static const struct cel_overload extract_alls[] = {
    F(extract_all, &T_LIST_STRING, &T_STRING, &T_STRING)};

static const struct cel_function functions[] = {
    {"regex.replace", "Replaces every match, or the first so many; \\1 is the first group.",
     "regex.replace('a1b2', '([0-9])', '<\\\\1>') == 'a<1>b<2>'", OVERLOADS(replaces)},
    {"regex.extract", "The first match (its group, if the pattern has one), or none.",
     "regex.extract('i-123', 'i-(.*)').value() == '123'", OVERLOADS(extracts)},
    {"regex.extractAll", "All matches (their groups).",
     "regex.extractAll('a1 b2', '[0-9]') == ['1', '2']", OVERLOADS(extract_alls)},
};

const struct cel_group group_regex = {"regex", false, OVERLOADS(functions)};
