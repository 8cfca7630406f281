// SPDX-License-Identifier: Apache-2.0
/* A plan for people: what is wrong, what would be done and why, what would be different after it,
 * the exact calls, and the rights that they take. Pure. */
#include "cli/plan_internal.h"

#include "value/json.h"

static void add_json(struct buf *out, struct value v)
{
    struct buf text = {.arena = out->arena};
    json_write(&text, v, JSON_COMPACT);
    buf_add_visible(out, buf_str(&text));
}

static void add_items(struct buf *out, const struct value *list, const char *sign)
{
    for (uint32_t i = 0; list && list->kind == VALUE_LIST && i < list->len; i++) {
        buf_printf(out, "        %s ", sign);
        add_json(out, list->items[i]);
        buf_add_byte(out, '\n');
    }
}

static void add_changes(struct buf *out, const struct value *changes)
{
    for (uint32_t i = 0; changes && i < changes->len; i++) {
        struct value one = changes->items[i];
        const struct value *before = value_get(one, STR("before"));
        const struct value *after = value_get(one, STR("after"));
        buf_add_cstr(out, "    ~ ");
        buf_add_visible(out, value_path_str(one, "member"));
        if (before && after) {
            buf_add_cstr(out, ": ");
            add_json(out, *before);
            buf_add_cstr(out, " -> ");
            add_json(out, *after);
        }
        buf_add_byte(out, '\n');
        add_items(out, value_get(one, STR("removed")), "-");
        add_items(out, value_get(one, STR("added")), "+");
    }
}

static void add_calls(struct buf *out, const struct value *calls)
{
    for (uint32_t i = 0; calls && i < calls->len; i++) {
        const struct value *with = value_get(calls->items[i], STR("with"));
        buf_printf(out, "    call %u: ", i + 1);
        buf_add_visible(out, value_path_str(calls->items[i], "call"));
        buf_add_cstr(out, " in ");
        buf_add_visible(out, value_path_str(calls->items[i], "region"));
        buf_add_byte(out, ' ');
        if (with)
            add_json(out, *with);
        buf_add_byte(out, '\n');
    }
}

static void add_words(struct buf *out, const char *before, const struct value *list)
{
    for (uint32_t i = 0; list && i < list->len; i++) {
        buf_add_cstr(out, i ? ", " : before);
        buf_add_visible(out, value_str(list->items[i]));
    }
    if (list && list->len)
        buf_add_byte(out, '\n');
}

void plan_print_entry(struct buf *out, struct value e)
{
    struct str message = value_path_str(e, "message"), error = value_path_str(e, "error");
    struct str action = value_path_str(e, "action");
    buf_add_visible(out, value_path_str(e, "policy"));
    buf_add_cstr(out, "  ");
    buf_add_visible(out, value_path_str(e, "resource"));
    buf_add_cstr(out, "\n    ");
    buf_add_visible(out, error.len ? error : value_path_str(e, "verdict"));
    if (message.len && !error.len) {
        buf_add_cstr(out, ": ");
        buf_add_visible(out, message);
    }
    buf_add_byte(out, '\n');
    if (!action.len)
        return;
    const struct value *score = value_get(e, STR("score"));
    buf_printf(out, "    %.*s", STR_FMT(action));
    if (score && score->kind == VALUE_INT)
        buf_printf(out, " (risk %lld)", (long long)score->i);
    buf_add_byte(out, '\n');
    const struct value *reasons = value_get(e, STR("reasons"));
    for (uint32_t i = 0; reasons && i < reasons->len; i++) {
        buf_add_cstr(out, "      ");
        buf_add_visible(out, value_str(reasons->items[i]));
        buf_add_byte(out, '\n');
    }
    add_changes(out, value_get(e, STR("changes")));
    add_calls(out, value_get(e, STR("calls")));
    add_words(out, "    needs to read: ", value_path(e, "iam.read"));
    add_words(out, "    needs to act: ", value_path(e, "iam.act"));
}

/* Compliant ones are counted only. */
void plan_print(struct buf *out, struct value document)
{
    const struct value *entries = value_get(document, STR("entries"));
    const struct value *summary = value_get(document, STR("summary"));
    for (uint32_t i = 0; entries && i < entries->len; i++) {
        if (str_is(value_path_str(entries->items[i], "verdict"), verdict_name(VERDICT_COMPLIANT)))
            continue;
        plan_print_entry(out, entries->items[i]);
        buf_add_byte(out, '\n');
    }
    buf_add_cstr(out, "plan:");
    for (uint32_t i = 0; summary && i < summary->len; i++)
        buf_printf(out, "%s %lld %.*s", i ? "," : "", (long long)summary->pairs[i].value.i,
                   STR_FMT(value_str(summary->pairs[i].key)));
    buf_add_cstr(out, summary && summary->len ? "\n" : " nothing was found\n");
}
