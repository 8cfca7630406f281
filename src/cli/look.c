// SPDX-License-Identifier: Apache-2.0
/* list, show, explain ID: what has happened, as a person would want to read it. */
#include "cli/desk.h"

#include "decide/decide.h"
#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>

static void add_row(struct buf *out, struct value r)
{
    buf_printf(out, "%-8.*s %-12.*s %-28.*s ", STR_FMT(value_path_str(r, "id")),
               STR_FMT(value_path_str(r, "state")), STR_FMT(value_path_str(r, "policy")));
    buf_add_visible(out, value_path_str(r, "resource"));
    buf_add_byte(out, '\n');
}

int cli_list(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    struct http_param params[] = {{STR("policy"), str_from(options->policy)},
                                  {STR("resource"), str_from(options->resource)},
                                  {STR("limit"), options->all ? STR("1000") : STR("100")}};
    struct desk_question question = {"GET", "/remediations", params, 3, {0}};
    bool ok = desk_open(&desk, options, &err) && desk_ask(&desk, &question, &arena, &got, &err);
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    const struct value *rows = value_get(got, STR("remediations"));
    if (options->json) {
        cli_print_json(&arena, rows ? *rows : value_list(NULL, 0));
        return CLI_OK;
    }
    struct buf out = {.arena = &arena};
    buf_printf(&out, "%-8s %-12s %-28s %s\n", "ID", "STATE", "POLICY", "RESOURCE");
    for (uint32_t i = 0; rows && i < rows->len; i++)
        add_row(&out, rows->items[i]);
    cli_print(&out);
    return CLI_OK;
}

static void show_value(struct buf *out, const char *label, const struct value *v)
{
    if (!v || (v->kind == VALUE_MAP && v->len == 0))
        return;
    buf_printf(out, "  %-10s", label);
    if (v->kind == VALUE_STRING && seal_is_sealed(value_str(*v))) {
        buf_add_cstr(out, "(sealed)\n");
        return;
    }
    json_write(out, *v, JSON_COMPACT);
    buf_add_byte(out, '\n');
}

/* The story: one line a record, with the time since the first. */
static void show_story(struct buf *out, struct arena *arena, struct value records)
{
    const struct value *list = value_get(records, STR("records"));
    int64_t first = 0;
    for (uint32_t i = 0; list && i < list->len; i++) {
        struct value leaf;
        struct error err;
        if (!json_parse(arena, value_path_str(list->items[i], "text"), &leaf, &err))
            continue;
        const struct value *at = value_get(leaf, STR("at"));
        int64_t ms = at && at->kind == VALUE_INT ? at->i : 0;
        first = first ? first : ms;
        struct str state = value_path_str(leaf, "state"), reason = value_path_str(leaf, "reason");
        const struct value *call = value_path(leaf, "body.attempt.call");
        if (state.len == 0)
            state = value_path_str(leaf, "kind");
        buf_printf(out, "  %+8.3f s  %-12.*s ", (double)(ms - first) / 1000, STR_FMT(state));
        buf_add_visible(out, reason);
        if (call && call->kind == VALUE_STRING) {
            buf_printf(out, "%s%.*s: %.*s", reason.len ? "  " : "", STR_FMT(value_str(*call)),
                       STR_FMT(value_path_str(leaf, "body.attempt.outcome")));
            struct str request = value_path_str(leaf, "body.attempt.request_id");
            if (request.len)
                buf_printf(out, " (request %.*s)", STR_FMT(request));
        }
        buf_add_byte(out, '\n');
    }
}

static void show_event(struct buf *out, struct value r)
{
    const struct value *event = value_path(r, "detail." DETAIL_EVENT);
    if (!event)
        return;
    buf_printf(out, "  detect    %.*s by ", STR_FMT(value_path_str(*event, "name")));
    buf_add_visible(out, value_path_str(*event, "actor"));
    buf_printf(out, " at %.*s\n", STR_FMT(value_path_str(*event, "time")));
}

static void show_plan(struct buf *out, struct value r)
{
    const struct value *plan = value_path(r, "detail." DETAIL_PLAN);
    for (uint32_t i = 0; plan && i < plan->len; i++) {
        buf_printf(out, "  call %-4u %.*s ", i + 1,
                   STR_FMT(value_path_str(plan->items[i], "call")));
        const struct value *with = value_get(plan->items[i], STR("with"));
        if (with)
            json_write(out, *with, JSON_COMPACT);
        buf_add_byte(out, '\n');
    }
}

static void show_text(struct buf *out, struct value r)
{
    struct str id = value_path_str(r, "id"), state = value_path_str(r, "state");
    bool rollback = str_is(value_path_str(r, "kind"), "rollback");
    buf_printf(out, "%.*s  %.*s  %.*s%s\n", STR_FMT(id), STR_FMT(state),
               STR_FMT(value_path_str(r, "policy")), rollback ? "  (rollback)" : "");
    buf_add_cstr(out, "  resource  ");
    buf_add_visible(out, value_path_str(r, "resource"));
    buf_printf(out, "\n  since     %.*s\n  reason    ", STR_FMT(value_path_str(r, "created")));
    buf_add_visible(out, value_path_str(r, "reason"));
    buf_add_byte(out, '\n');
    show_event(out, r);
    struct str message = value_path_str(r, "detail." DETAIL_MESSAGE);
    if (message.len) {
        buf_add_cstr(out, "  finding   ");
        buf_add_visible(out, message);
        buf_add_byte(out, '\n');
    }
    show_value(out, "before", value_path(r, "detail." DETAIL_READS));
    show_value(out, "decision", value_path(r, "detail." DETAIL_DECISION));
    show_plan(out, r);
    show_value(out, "after", value_path(r, "detail." DETAIL_AFTER));
    if (str_is(state, state_name(STATE_ASKING)))
        buf_printf(out, "  next      rectify approve %.*s   or   rectify deny %.*s --reason WHY\n",
                   STR_FMT(id), STR_FMT(id));
}

/* The remediation and, where asked for, its records. */
static int load_one(const struct cli_options *options, struct arena *arena, struct value *ret,
                    struct value *ret_records)
{
    struct error err;
    struct desk desk;
    long long id;
    int64_t number;
    if (!cli_id(options, &number))
        return cli_usage("say which remediation: an id like r12");
    id = number;
    bool ok = desk_open(&desk, options, &err) &&
              desk_get(&desk, arena, ret, &err, "/remediations/r%lld", id) &&
              (!ret_records ||
               desk_get(&desk, arena, ret_records, &err, "/remediations/r%lld/records", id));
    desk_close(&desk);
    return ok ? CLI_OK : cli_fail(&err);
}

int cli_show(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct value r, records;
    int code = load_one(options, &arena, &r, &records);
    if (code != CLI_OK)
        return code;
    if (options->json) {
        cli_print_json(&arena, r);
        return CLI_OK;
    }
    struct buf out = {.arena = &arena};
    show_text(&out, r);
    buf_add_cstr(&out, "  story\n");
    show_story(&out, &arena, records);
    cli_print(&out);
    return CLI_OK;
}

/* The parts of the score, each with its reason, and their sum. */
static void explain_risk(struct buf *out, struct value r)
{
    const struct value *risk = value_path(r, "detail.decision.risk");
    const struct value *score = value_path(r, "detail.decision.score");
    if (!risk || !score || risk->kind != VALUE_LIST || score->kind != VALUE_INT)
        return;
    buf_add_cstr(out, "\nIts risk:\n");
    for (uint32_t i = 0; i < risk->len; i++) {
        const struct value *points = value_get(risk->items[i], STR("points"));
        buf_printf(out, "  %4lld  %-16.*s ", points ? (long long)points->i : 0,
                   STR_FMT(value_path_str(risk->items[i], "part")));
        buf_add_visible(out, value_path_str(risk->items[i], "why"));
        buf_add_byte(out, '\n');
    }
    buf_printf(out,
               "  %4lld  in all; from %d on a person decides, from %d on two, from %d on no "
               "program does it\n",
               (long long)score->i, DECIDE_SCORE_ASK, DECIDE_SCORE_TWO, DECIDE_SCORE_SKIP);
}

/* Takes the decision once more from what it rested on. False: it is not what is stored. */
static bool explain_again(struct buf *out, struct arena *arena, struct value r)
{
    const struct value *stored = value_path(r, "detail." DETAIL_DECISION);
    const struct value *inputs = stored ? value_get(*stored, STR("inputs")) : NULL;
    struct decide_decision d;
    struct error err;
    bool same = true;
    if (!inputs)
        return true; // decided by a version that kept none
    if (!decide_again(*inputs, arena, &d, &err)) {
        buf_printf(out, "\nIt cannot be taken again: %s.\n", err.message);
        return true;
    }
    struct value again = decide_decision_value(&d, arena);
    for (uint32_t i = 0; i < again.len; i++) {
        const struct value *then = value_get(*stored, value_str(again.pairs[i].key));
        same = same && then && value_equal(*then, again.pairs[i].value);
    }
    buf_add_cstr(out, same ? "\nTaken again from what it rested on, it is the same.\n"
                           : "\nTaken again from what it rested on, it is ANOTHER one: the store "
                             "was changed, or the rules of this version differ.\n");
    return same;
}

int cli_explain_remediation(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct value r;
    int code = load_one(options, &arena, &r, NULL);
    if (code != CLI_OK)
        return code;
    struct buf out = {.arena = &arena};
    const struct value *reasons = value_path(r, "detail.decision.reasons");
    buf_printf(&out, "%.*s is %.*s: %.*s.\n", STR_FMT(value_path_str(r, "id")),
               STR_FMT(value_path_str(r, "state")), STR_FMT(value_path_str(r, "meaning")));
    buf_add_visible(&out, value_path_str(r, "reason"));
    buf_add_cstr(&out, "\n\nThe decision was to ");
    buf_add_str(&out, value_path_str(r, "detail.decision.action"));
    buf_add_cstr(&out, ". Why:\n");
    for (uint32_t i = 0; reasons && i < reasons->len; i++) {
        buf_add_cstr(&out, "  - ");
        buf_add_visible(&out, value_str(reasons->items[i]));
        buf_add_byte(&out, '\n');
    }
    if (reasons && reasons->len == 0)
        buf_add_cstr(&out, "  - no guard objected\n");
    explain_risk(&out, r);
    bool same = explain_again(&out, &arena, r);
    cli_print(&out);
    return same ? CLI_OK : CLI_FAILED;
}
