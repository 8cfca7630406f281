// SPDX-License-Identifier: Apache-2.0
/* policy status, pause, resume, promote: a policy as a whole, by a person. */
#include "cli/desk.h"

#include "value/json.h"

#include <stdio.h>

static int64_t number(struct value v, const char *name)
{
    const struct value *found = value_get(v, str_from(name));
    return found && found->kind == VALUE_INT ? found->i : 0;
}

static void add_row(struct buf *out, struct value p)
{
    struct str reaches = value_path_str(p, "reaches");
    char step[64];
    if (reaches.len)
        snprintf(step, sizeof step, "%lld/%lld (%.*s)", (long long)number(p, "step"),
                 (long long)number(p, "steps"), STR_FMT(str_sub(reaches, 0, 20)));
    else
        snprintf(step, sizeof step, "%lld", (long long)number(p, "step"));
    buf_printf(out, "%-32.*s %-8.*s %-12s %-5lld %-24.*s ", STR_FMT(value_path_str(p, "policy")),
               STR_FMT(value_path_str(p, "state")), step, (long long)number(p, "good"),
               STR_FMT(value_path_str(p, "since")));
    buf_add_visible(out, value_path_str(p, "by"));
    buf_add_cstr(out, ": ");
    buf_add_visible(out, value_path_str(p, "reason"));
    buf_add_byte(out, '\n');
}

int cli_policy_status(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    struct value_builder kept = {.arena = &arena};
    struct buf out = {.arena = &arena};
    bool ok = desk_open(&desk, options, &err) && desk_get(&desk, &arena, &got, &err, "/policies");
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    const struct value *rows = value_get(got, STR("policies"));
    buf_printf(&out, "%-32s %-8s %-12s %-5s %-24s %s\n", "POLICY", "STATE", "STEP", "GOOD", "SINCE",
               "BY");
    for (uint32_t i = 0; rows && i < rows->len; i++) {
        if (options->arg_count &&
            !str_glob(str_from(options->args[0]), value_path_str(rows->items[i], "policy")))
            continue;
        value_push(&kept, rows->items[i]);
        add_row(&out, rows->items[i]);
    }
    if (options->json)
        cli_print_json(&arena, value_finish_list(&kept));
    else
        cli_print(&out);
    return CLI_OK;
}

static int change(const struct cli_options *options, const char *verb)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    struct value_builder body = {.arena = &arena};
    struct buf text = {.arena = &arena};
    if (!options->arg_count || strchr(options->args[0], '/'))
        return cli_usage("say which policy, by its name");
    const char *path = arena_printf(&arena, "/policies/%s/%s", options->args[0], verb);
    if (options->by)
        value_set(&body, "by", value_cstr(options->by));
    if (options->reason)
        value_set(&body, "reason", value_cstr(options->reason));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    struct desk_question question = {.method = "POST", .path = path, .body = buf_str(&text)};
    bool ok =
        desk_open_to_decide(&desk, options, &err) && desk_ask(&desk, &question, &arena, &got, &err);
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    printf("%s is %.*s, at step %lld, by %.*s\n", options->args[0],
           STR_FMT(value_path_str(got, "state")), (long long)number(got, "step"),
           STR_FMT(value_path_str(got, "by")));
    return CLI_OK;
}

int cli_policy_pause(const struct cli_options *options)
{
    return change(options, "pause");
}

int cli_policy_resume(const struct cli_options *options)
{
    return change(options, "resume");
}

int cli_policy_promote(const struct cli_options *options)
{
    return change(options, "promote");
}
