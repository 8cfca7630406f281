// SPDX-License-Identifier: Apache-2.0
/* The strings extension: positions count code points. `format` has its own file, fn_format.c. */
#include <stdio.h>

#include "cel/cel_internal.h"

static struct value slice(struct value v, size_t from, size_t to)
{
    return value_string(str_sub(value_str(v), from, to - from));
}

static struct value bad_index(struct cel_cx *cx, int64_t index)
{
    return cx_fail(cx, "C0203", "index out of range: %lld", (long long)index);
}

/* Byte offset of the code point `index` (the length is allowed); SIZE_MAX otherwise. */
static size_t offset_of(struct value v, int64_t index)
{
    return index < 0 ? SIZE_MAX : utf8_offset(value_str(v), (size_t)index);
}

static struct value char_at(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (!cx_charge_text(cx, v[0].len))
        return cx_fail_cost(cx);
    size_t from = offset_of(v[0], v[1].i);
    if (from == SIZE_MAX)
        return bad_index(cx, v[1].i);
    size_t to = from;
    if (from < v[0].len)
        utf8_next(value_str(v[0]), &to);
    return slice(v[0], from, to);
}

static struct value index_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    if (!cx_charge_text(cx, v[0].len))
        return cx_fail_cost(cx);
    size_t from = offset_of(v[0], count > 2 ? v[2].i : 0);
    if (from == SIZE_MAX)
        return bad_index(cx, v[2].i);
    size_t found = str_find(str_sub(value_str(v[0]), from, SIZE_MAX), value_str(v[1]));
    if (v[1].len == 0)
        found = 0;
    if (found == SIZE_MAX)
        return value_int(-1);
    return value_int((int64_t)utf8_count(str_sub(value_str(v[0]), 0, from + found)));
}

static struct value last_index_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct str text = value_str(v[0]), needle = value_str(v[1]);
    if (!cx_charge(cx, ((uint64_t)text.len / 10 + 1) * (needle.len / 10 + 1)))
        return cx_fail_cost(cx);
    size_t last = text.len;
    if (count > 2) {
        last = offset_of(v[0], v[2].i);
        if (last == SIZE_MAX)
            return bad_index(cx, v[2].i);
    }
    if (needle.len > text.len)
        return value_int(-1);
    if (last > text.len - needle.len)
        last = text.len - needle.len;
    for (size_t at = last + 1; at-- > 0;)
        if (str_starts(str_sub(text, at, SIZE_MAX), needle))
            return value_int((int64_t)utf8_count(str_sub(text, 0, at)));
    return value_int(-1);
}

static struct value substring(struct cel_cx *cx, const struct value *v, unsigned count)
{
    if (!cx_charge_text(cx, v[0].len))
        return cx_fail_cost(cx);
    size_t from = offset_of(v[0], v[1].i), to = v[0].len;
    if (from == SIZE_MAX)
        return bad_index(cx, v[1].i);
    if (count > 2)
        to = offset_of(v[0], v[2].i);
    if (to == SIZE_MAX)
        return bad_index(cx, v[2].i);
    if (from > to)
        return cx_fail(cx, "C0203", "invalid substring range. start: %lld, end: %lld",
                       (long long)v[1].i, (long long)v[2].i);
    return slice(v[0], from, to);
}

static struct value replace(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct str text = value_str(v[0]), from = value_str(v[1]), to = value_str(v[2]);
    int64_t limit = count > 3 ? v[3].i : -1;
    struct buf out = {.arena = cx->arena};
    size_t at = 0;
    while (limit != 0 && at <= text.len) {
        struct str rest = str_sub(text, at, SIZE_MAX);
        size_t found = from.len ? str_find(rest, from) : 0;
        if (found == SIZE_MAX)
            break;
        if (!cx_charge_text(cx, found + to.len))
            return cx_fail_cost(cx);
        if (out.len > cx->bytes)
            return cx_fail_memory(cx);
        buf_add(&out, rest.ptr, found);
        buf_add_str(&out, to);
        at += found + from.len;
        limit -= limit > 0;
        if (from.len == 0) { // between any two code points
            size_t next = at;
            if (at >= text.len)
                return cx_string(cx, &out);
            utf8_next(text, &next);
            buf_add(&out, text.ptr + at, next - at);
            at = next;
        }
    }
    buf_add_str(&out, str_sub(text, at, SIZE_MAX));
    return cx_string(cx, &out);
}

/* Pieces between separators; between code points for an empty one. */
static size_t next_piece(struct str rest, struct str separator, size_t *ret_skip)
{
    size_t size = 0;
    *ret_skip = separator.len;
    if (separator.len)
        return str_find(rest, separator);
    if (rest.len == 0)
        return SIZE_MAX;
    utf8_next(rest, &size);
    return size < rest.len ? size : SIZE_MAX;
}

static struct value split(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct str rest = value_str(v[0]), separator = value_str(v[1]);
    int64_t limit = count > 2 ? v[2].i : -1;
    struct value_builder list = {.arena = cx->arena};
    if (!cx_charge(cx, rest.len + 1))
        return cx_fail_cost(cx);
    if (limit == 0 || (rest.len == 0 && separator.len == 0))
        return value_list(NULL, 0);
    for (size_t skip; limit < 0 || (int64_t)list.count < limit - 1;) {
        size_t found = next_piece(rest, separator, &skip);
        if (found == SIZE_MAX)
            break;
        value_push(&list, value_string(str_sub(rest, 0, found)));
        rest = str_sub(rest, found + skip, SIZE_MAX);
        if (list.count * sizeof(struct value) > cx->bytes)
            return cx_fail_memory(cx);
    }
    value_push(&list, value_string(rest));
    if (list.failed)
        return cx_fail_memory(cx);
    cx->bytes -= list.count * sizeof(struct value) < cx->bytes ? list.count * sizeof(struct value)
                                                               : cx->bytes;
    return value_finish_list(&list);
}

static struct value join(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct buf out = {.arena = cx->arena};
    if (!cx_charge(cx, v[0].len))
        return cx_fail_cost(cx);
    for (uint32_t i = 0; i < v[0].len; i++) {
        struct value item = v[0].items[i];
        if (item.kind != VALUE_STRING)
            return cx_fail(cx, "C0201", "no such overload: join() of a list that holds %s",
                           cel_value_type_name(item));
        if (i && count > 1)
            buf_add_str(&out, value_str(v[1]));
        buf_add_str(&out, value_str(item));
        if (out.len > cx->bytes)
            return cx_fail_memory(cx);
    }
    return cx_string(cx, &out);
}

static struct value change_case(struct cel_cx *cx, struct value v, char first, char last)
{
    if (!cx_charge_text(cx, v.len))
        return cx_fail_cost(cx);
    char *text = cx_alloc(cx, v.len);
    if (!text)
        return cx_fail_memory(cx);
    for (uint32_t i = 0; i < v.len; i++)
        text[i] = (char)(v.str[i] >= first && v.str[i] <= last ? v.str[i] ^ 0x20 : v.str[i]);
    return value_string((struct str){text, v.len});
}

static struct value lower_ascii(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return change_case(cx, v[0], 'A', 'Z');
}

static struct value upper_ascii(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return change_case(cx, v[0], 'a', 'z');
}

/* Unicode's White_Space. */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static struct value trim(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct str text = value_str(v[0]);
    size_t start = 0, end = 0, at = 0;
    bool any = false;
    if (!cx_charge_text(cx, text.len))
        return cx_fail_cost(cx);
    while (at < text.len) {
        size_t before = at;
        if (is_space(utf8_next(text, &at)))
            continue;
        if (!any)
            start = before;
        any = true;
        end = at;
    }
    return slice(v[0], start, end);
}

static struct value reverse(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct str text = value_str(v[0]);
    char *out = cx_alloc(cx, text.len);
    if (!cx_charge_text(cx, text.len))
        return cx_fail_cost(cx);
    if (!out)
        return cx_fail_memory(cx);
    for (size_t at = 0; at < text.len;) {
        size_t before = at;
        utf8_next(text, &at);
        memcpy(out + text.len - at, text.ptr + before, at - before);
    }
    return value_string((struct str){out, text.len});
}

static struct value quote(struct cel_cx *cx, const struct value *v, unsigned count)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
    (void)count;
    struct buf out = {.arena = cx->arena};
    buf_add_byte(&out, '"');
    for (uint32_t i = 0; i < v->len; i++) {
        const char *found = v->str[i] ? strchr(from, v->str[i]) : NULL;
        if (found)
            buf_add_byte(&out, '\\');
        buf_add_byte(&out, found ? to[found - from] : v->str[i]);
    }
    buf_add_byte(&out, '"');
    return cx_string(cx, &out);
}

static const struct cel_overload char_ats[] = {M(char_at, &T_STRING, &T_STRING, &T_INT)};
static const struct cel_overload index_ofs[] = {M(index_of, &T_INT, &T_STRING, &T_STRING),
                                                M(index_of, &T_INT, &T_STRING, &T_STRING, &T_INT)};
static const struct cel_overload last_index_ofs[] = {
    M(last_index_of, &T_INT, &T_STRING, &T_STRING),
    M(last_index_of, &T_INT, &T_STRING, &T_STRING, &T_INT)};
static const struct cel_overload joins[] = {M(join, &T_STRING, &T_LIST_STRING),
                                            M(join, &T_STRING, &T_LIST_STRING, &T_STRING)};
static const struct cel_overload lowers[] = {M(lower_ascii, &T_STRING, &T_STRING)};
static const struct cel_overload uppers[] = {M(upper_ascii, &T_STRING, &T_STRING)};
static const struct cel_overload replaces[] = {
    M(replace, &T_STRING, &T_STRING, &T_STRING, &T_STRING),
    M(replace, &T_STRING, &T_STRING, &T_STRING, &T_STRING, &T_INT)};
static const struct cel_overload reverses[] = {M(reverse, &T_STRING, &T_STRING)};
static const struct cel_overload splits[] = {
    M(split, &T_LIST_STRING, &T_STRING, &T_STRING),
    M(split, &T_LIST_STRING, &T_STRING, &T_STRING, &T_INT)};
static const struct cel_overload substrings[] = {
    M(substring, &T_STRING, &T_STRING, &T_INT), M(substring, &T_STRING, &T_STRING, &T_INT, &T_INT)};
static const struct cel_overload trims[] = {M(trim, &T_STRING, &T_STRING)};
static const struct cel_overload quotes[] = {F(quote, &T_STRING, &T_STRING)};
static const struct cel_overload formats[] = {M(fn_format, &T_STRING, &T_STRING, &T_LIST_DYN)};

static const struct cel_function functions[] = {
    {"charAt", "The code point at a position, as a string; empty at the end.",
     "'abc'.charAt(1) == 'b'", OVERLOADS(char_ats)},
    {"format", "Fills %s %d %f %e %b %o %x %X from the list; %.2f for digits.",
     "'%s has %d'.format(['a', 1]) == 'a has 1'", OVERLOADS(formats)},
    {"indexOf", "Position of the first occurrence, from a position on; -1 when there is none.",
     "'banana'.indexOf('an', 2) == 3", OVERLOADS(index_ofs)},
    {"lastIndexOf",
     "Position of the last occurrence, at a position or before; -1 when there is none.",
     "'banana'.lastIndexOf('an') == 3", OVERLOADS(last_index_ofs)},
    {"join", "The strings of a list, with a separator between.", "['a', 'b'].join('-') == 'a-b'",
     OVERLOADS(joins)},
    {"lowerAscii", "Lower case of A to Z.", "'TacoCat'.lowerAscii() == 'tacocat'",
     OVERLOADS(lowers)},
    {"upperAscii", "Upper case of a to z.", "'tag'.upperAscii() == 'TAG'", OVERLOADS(uppers)},
    {"replace", "Every occurrence, or the first so many, of one string by another.",
     "'a.b.c'.replace('.', '-', 1) == 'a-b.c'", OVERLOADS(replaces)},
    {"reverse", "The code points backwards.", "'abc'.reverse() == 'cba'", OVERLOADS(reverses)},
    {"split", "The pieces between separators, at most so many.",
     "'a,b,c'.split(',', 2) == ['a', 'b,c']", OVERLOADS(splits)},
    {"substring", "From a position up to (not including) another, or the end.",
     "'tacocat'.substring(0, 4) == 'taco'", OVERLOADS(substrings)},
    {"trim", "Without white space at both ends.", "'  x '.trim() == 'x'", OVERLOADS(trims)},
    {"strings.quote", "The string in double quotes, special characters escaped.",
     "strings.quote('a\"b') == '\"a\\\\\"b\"'", OVERLOADS(quotes)},
};

const struct cel_group group_strings = {"strings", false, OVERLOADS(functions)};
