// SPDX-License-Identifier: Apache-2.0
/* A notice in words, the same on every channel, and text from outside made harmless. */
#include "notify/notify_internal.h"

#include <stdio.h>

struct str text_safe(struct str s, size_t max, bool lines, struct arena *arena)
{
    struct buf out = {.arena = arena};
    s.len = str_utf8_prefix(s);
    for (size_t i = 0; i < s.len && out.len < max;) {
        size_t hidden = str_hidden(str_sub(s, i, SIZE_MAX));
        if (hidden && !(lines && s.ptr[i] == '\n'))
            buf_add_cstr(&out, s.ptr[i] == '\n' ? "\\n" : "\xef\xbf\xbd");
        else
            buf_add_byte(&out, s.ptr[i]);
        i += hidden ? hidden : 1;
    }
    struct str text = buf_str(&out);
    if (text.len + 3 <= max || !text.ptr)
        return text;
    text = str_sub(text, 0, max > 3 ? max - 3 : 0);
    text.len = str_utf8_prefix(text);
    return STR_JOIN(arena, text, STR("..."));
}

static struct str part(const struct notice *notice, const char *path, size_t max,
                       struct arena *arena)
{
    return text_safe(value_path_str(notice->body, path), max, false, arena);
}

struct str text_line(const struct notice *notice, struct arena *arena)
{
    struct buf out = {.arena = arena};
    struct str message = part(notice, "message", 300, arena);
    struct str reason = part(notice, "reason", 300, arena);
    struct str id = part(notice, "id", 30, arena), policy = part(notice, "policy", 100, arena);
    buf_printf(&out, "%.*s", STR_FMT(part(notice, "word", 30, arena)));
    if (id.len)
        buf_printf(&out, ": %.*s %.*s on %.*s %.*s (%.*s)", STR_FMT(id), STR_FMT(policy),
                   STR_FMT(part(notice, "resource.type", 80, arena)),
                   STR_FMT(part(notice, "resource.id", 300, arena)),
                   STR_FMT(part(notice, "resource.account", 20, arena)));
    if (message.len)
        buf_printf(&out, ": %.*s", STR_FMT(message));
    if (reason.len && !str_eq(reason, message))
        buf_printf(&out, " (%.*s)", STR_FMT(reason));
    return buf_str(&out);
}

struct str text_calls(const struct notice *notice, struct arena *arena)
{
    struct buf out = {.arena = arena};
    const struct value *calls = value_get(notice->body, STR("calls"));
    for (uint32_t i = 0; calls && calls->kind == VALUE_LIST && i < calls->len; i++) {
        const struct value *with = value_get(calls->items[i], STR("with"));
        struct str input = with ? notify_json(arena, *with) : STR("{}");
        buf_printf(&out, "%s%u. %.*s %.*s", i ? "\n" : "", i + 1,
                   STR_FMT(text_safe(value_path_str(calls->items[i], "call"), 120, false, arena)),
                   STR_FMT(text_safe(input, 3000, false, arena)));
    }
    return buf_str(&out);
}

struct str text_changes(const struct notice *notice, struct arena *arena)
{
    struct buf out = {.arena = arena};
    const struct value *changes = value_get(notice->body, STR("changes"));
    for (uint32_t i = 0; changes && changes->kind == VALUE_LIST && i < changes->len; i++)
        buf_printf(&out, "%s%.*s", i ? "\n" : "",
                   STR_FMT(text_safe(value_str(changes->items[i]), 600, false, arena)));
    return buf_str(&out);
}

static void add_fact(struct buf *out, const char *name, struct str text)
{
    if (text.len)
        buf_printf(out, "%s%s: %.*s", out->len ? "\n" : "", name, STR_FMT(text));
}

/* "Risk: 25 = class 5 (why) + environment 20 (why)": the parts that count. */
static void add_risk(struct buf *out, const struct notice *notice, struct arena *arena)
{
    const struct value *score = value_path(notice->body, "risk.score");
    const struct value *parts = value_path(notice->body, "risk.parts");
    const char *before = " = ";
    if (!score || score->kind != VALUE_INT)
        return;
    buf_printf(out, "%sRisk: %lld", out->len ? "\n" : "", (long long)score->i);
    for (uint32_t i = 0; parts && parts->kind == VALUE_LIST && i < parts->len; i++) {
        const struct value *points = value_get(parts->items[i], STR("points"));
        struct str name = value_path_str(parts->items[i], "part");
        struct str why = value_path_str(parts->items[i], "why");
        if (!points || points->kind != VALUE_INT || points->i == 0)
            continue;
        buf_printf(out, "%s%.*s %lld (%.*s)", before, STR_FMT(text_safe(name, 40, false, arena)),
                   (long long)points->i, STR_FMT(text_safe(why, 200, false, arena)));
        before = " + ";
    }
}

struct str text_facts(const struct notice *notice, struct arena *arena)
{
    struct buf out = {.arena = arena};
    const struct value *calls = value_get(notice->body, STR("calls"));
    const struct value *expires = value_get(notice->body, STR("expires"));
    const struct value *need = value_get(notice->body, STR("need"));
    char when[CLOCK_TEXT_SIZE];
    add_fact(&out, "Resource", part(notice, "resource.id", 1100, arena));
    buf_printf(&out, "\nWhere: %.*s, account %.*s, %.*s",
               STR_FMT(part(notice, "resource.type", 80, arena)),
               STR_FMT(part(notice, "resource.account", 20, arena)),
               STR_FMT(part(notice, "resource.region", 30, arena)));
    add_fact(&out, "Caused by", part(notice, "actor", 300, arena));
    add_fact(&out, "Severity", part(notice, "severity", 20, arena));
    if (calls && calls->kind == VALUE_LIST && calls->len)
        buf_printf(&out, "\nBlast radius: one resource, %u call%s", calls->len,
                   calls->len == 1 ? "" : "s");
    add_risk(&out, notice, arena);
    if (need && need->kind == VALUE_INT && need->i > 1)
        buf_printf(&out, "\nNeeds: %lld people", (long long)need->i);
    if (expires && expires->kind == VALUE_INT) {
        clock_format(expires->i, when);
        buf_printf(&out, "\nOver at: %s; then nothing is done", when);
    }
    return buf_str(&out);
}
