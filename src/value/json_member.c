// SPDX-License-Identifier: Apache-2.0
/* See json_member.h. */
#include "value/json_member.h"

static char peek(struct json_members *m)
{
    m->at = json_skip_space(m->scan.text, m->at);
    return m->at < m->scan.text.len ? m->scan.text.ptr[m->at] : '\0';
}

/* Behind the string at the cursor. */
static void skip_string(struct json_members *m)
{
    while (*m->end <= m->at && *m->end < m->scan.text.len)
        m->end++;
    m->at = *m->end < m->scan.text.len ? *m->end + 1 : m->scan.text.len;
}

static void skip_value(struct json_members *m)
{
    size_t depth = 0;
    for (char c; (c = peek(m)) != '\0';) {
        bool closes = c == '}' || c == ']';
        if (depth == 0 && (closes || c == ','))
            return;
        if (c == '"')
            skip_string(m);
        else
            m->at++;
        depth += c == '{' || c == '[';
        depth -= closes;
    }
}

static struct str decoded(const struct json_members *m, size_t start, size_t end)
{
    struct str raw = str_sub(m->scan.text, start, end - start);
    if (!json_has_escape(&m->scan, start, end))
        return raw;
    char *text = arena_alloc_raw(m->arena, raw.len, 1);
    return text ? (struct str){text, json_unescape(raw, text)} : (struct str){0};
}

bool json_members_begin(struct json_members *m, struct str text, struct arena *arena)
{
    size_t at;
    *m = (struct json_members){.scan.text = text, .arena = arena};
    m->scan.ends = arena_alloc_raw(arena, JSON_SCAN_ENDS(text.len) * sizeof *m->scan.ends, 8);
    m->scan.escapes =
        arena_alloc_raw(arena, JSON_SCAN_ESCAPES(text.len) * sizeof *m->scan.escapes, 8);
    if (!m->scan.ends || !m->scan.escapes || json_scan(&m->scan, &at) != JSON_SCAN_OK)
        return false;
    m->end = m->scan.ends;
    return peek(m) == '{';
}

bool json_members_next(struct json_members *m)
{
    char before = peek(m);
    if (before != '{' && before != ',')
        return false;
    m->at++;
    if (peek(m) != '"')
        return false;
    size_t start = m->at + 1;
    skip_string(m);
    m->name = decoded(m, start, m->at - 1);
    if (peek(m) != ':')
        return false;
    m->at++;
    (void)peek(m);
    start = m->at;
    skip_value(m);
    m->value = str_trim(str_sub(m->scan.text, start, m->at - start));
    return true;
}

struct str json_members_string(const struct json_members *m)
{
    if (m->value.len < 2 || m->value.ptr[0] != '"')
        return (struct str){0};
    size_t start = (size_t)(m->value.ptr - m->scan.text.ptr);
    return decoded(m, start + 1, start + m->value.len - 1);
}
