// SPDX-License-Identifier: Apache-2.0
/* The regex extension, over RE2. Constant patterns were compiled with the program (cx->regex),
 * others are for each call. */
#include "cel/cel_internal.h"

/* The pattern, or NULL when it failed. Given back with release(). */
static const struct regex *compile(struct cel_cx *cx, const struct value *v)
{
    char message[128];
    uint64_t cost = ((uint64_t)v[0].len / 10 + 1) * (v[1].len / 4 + 1);
    if (!cx_charge(cx, cx->regex ? cost : cost + 100)) {
        cx_fail_cost(cx);
        return NULL;
    }
    if (cx->regex)
        return cx->regex;
    const struct regex *regex = regex_create(v[1].str, v[1].len, message, sizeof message);
    if (!regex)
        cx_fail(cx, "C0206", "invalid regular expression: %s", message);
    return regex;
}

static void release(struct cel_cx *cx, const struct regex *regex)
{
    if (regex != cx->regex)
        regex_destroy(regex);
}

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

static struct value replace(struct cel_cx *cx, const struct value *v, unsigned count)
{
    const struct regex *regex = compile(cx, v);
    if (!regex)
        return cx_failed();
    struct value result = replace_with(cx, regex, v, count > 3 ? v[3].i : -1);
    release(cx, regex);
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
    const struct regex *regex = compile(cx, v);
    if (!regex)
        return cx_failed();
    int groups = regex_groups(regex);
    bool found = regex_find(regex, v[0].str, v[0].len, 0, match.spans, 2);
    release(cx, regex);
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
    const struct regex *regex = compile(cx, v);
    if (!regex)
        return cx_failed();
    struct value result = extract_each(cx, regex, value_str(v[0]));
    release(cx, regex);
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
