// SPDX-License-Identifier: Apache-2.0
/* approve, deny, rollback: what a person decides. A yes or no is worked on by the next run, or by
 * the daemon that owns the store; a rollback is worked on at once, here or there. */
#include "cli/plan_internal.h"

#include "value/json.h"

#include <stdio.h>
#include <time.h>

#define WAIT_MS 60000 // for the daemon to end a rollback
#define POLL_MS 100

/* POST /remediations/ID/VERB {by, reason} */
static bool decide(struct desk *desk, const struct cli_options *options, int64_t id,
                   const char *verb, struct arena *arena, struct value *ret, struct error *err)
{
    char path[100];
    struct value_builder body = {.arena = arena};
    struct buf text = {.arena = arena};
    if (options->by)
        value_set(&body, "by", value_cstr(options->by));
    if (options->reason)
        value_set(&body, "reason", value_cstr(options->reason));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    snprintf(path, sizeof path, "/remediations/r%lld/%s", (long long)id, verb);
    struct desk_question question = {.method = "POST", .path = path, .body = buf_str(&text)};
    return desk_ask(desk, &question, arena, ret, err);
}

static int vote(const struct cli_options *options, const char *verb)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    int64_t id;
    if (!cli_id(options, &id))
        return cli_usage("say which remediation: an id like r12");
    bool ok = desk_open_to_decide(&desk, options, &err) &&
              decide(&desk, options, id, verb, &arena, &got, &err);
    bool ours = desk.store != NULL;
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    printf("r%lld %.*s by %.*s; %s\n", (long long)id, STR_FMT(value_path_str(got, "decision")),
           STR_FMT(value_path_str(got, "by")),
           ours ? "`rectify run` or the daemon goes on with it" : "the daemon goes on with it");
    return CLI_OK;
}

int cli_approve(const struct cli_options *options)
{
    return vote(options, "approve");
}

int cli_deny(const struct cli_options *options)
{
    return vote(options, "deny");
}

/* ---- rollback ---- */

static bool is_true(struct value v, const char *name)
{
    const struct value *found = value_get(v, str_from(name));
    return found && found->kind == VALUE_BOOL && found->b;
}

/* The inverse calls, from what is there now, with what the guards say of them. */
static bool show_inverse(struct desk *desk, const struct cli_options *options, int64_t id,
                         struct arena *arena, struct error *err)
{
    struct value_builder body = {.arena = arena};
    struct buf text = {.arena = arena}, out = {.arena = arena};
    struct value got;
    value_set(&body, "takes_back", value_int(id));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    struct desk_question question = {.method = "POST", .path = "/plan", .body = buf_str(&text)};
    if (!desk_ask(desk, &question, arena, &got, err))
        return false;
    if (options->json && options->dry_run) {
        cli_print_json(arena, got);
        return true;
    }
    const struct value *calls = value_get(got, STR("calls"));
    buf_printf(&out, "to take back r%lld:\n", (long long)id);
    plan_print_entry(&out, got);
    if (calls && calls->len == 0)
        buf_add_cstr(&out, "    nothing of ours is left to take back\n");
    cli_print(&out);
    fflush(stdout);
    return true;
}

/* Until it has ended, waits for others, or we have waited long enough. */
static int watch(struct desk *desk, struct str id)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    int64_t until = clock_steady_ms(clock_system()) + WAIT_MS;
    for (;;) {
        struct value r;
        arena_reset(&arena);
        if (!desk_get(desk, &arena, &r, &err, "/remediations/%.*s", STR_FMT(id)))
            return cli_fail(&err);
        bool ended = is_true(r, "terminal");
        if (ended || is_true(r, "waiting") || clock_steady_ms(clock_system()) > until) {
            fprintf(stderr, "%.*s is %.*s: %.*s\n", STR_FMT(id),
                    STR_FMT(value_path_str(r, "state")), STR_FMT(value_path_str(r, "reason")));
            return ended ? CLI_OK : CLI_WAITING;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

/* In a store that others use too: works along until this one has ended. */
static int work_along(struct running *r, struct desk *desk, struct str id)
{
    struct error err;
    struct engine_notifier *notifier = running_notifier(r, &err);
    struct engine_workers *workers = notifier ? running_workers(r, &err) : NULL;
    int code = workers ? watch(desk, id) : cli_fail(&err);
    engine_workers_stop(workers);
    running_notifier_end(notifier);
    return code;
}

static int take_back(struct running *r, struct desk *desk, const struct cli_options *options,
                     int64_t id)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct value got;
    if (!decide(desk, options, id, "rollback", &arena, &got, &err))
        return cli_fail(&err);
    const char *where = cli_store_said(options);
    struct str rollback = value_path_str(got, "id");
    printf("%.*s takes back r%lld\n", STR_FMT(rollback), (long long)id);
    fflush(stdout);
    return where && store_is_server(where) ? work_along(r, desk, rollback)
                                           : running_work_off(r, NULL);
}

/* In this process: everything that the work needs is there before the rollback is. */
static int work_here(struct desk *desk, const struct cli_options *options, int64_t id)
{
    struct arena arena ARENA_AUTO = {0};
    struct running r = {.store = desk->store};
    struct error err;
    running_catch_signals();
    r.policies_seen = options->dry_run; // who only looks makes no approval void
    int code = running_prepare(&r, options);
    desk->api.engine = &r.engine;
    if (code == 0 && !show_inverse(desk, options, id, &arena, &err))
        code = cli_fail(&err);
    if (code == 0 && !options->dry_run)
        code = take_back(&r, desk, options, id);
    desk->api.engine = &desk->engine;
    running_finish(&r);
    desk->store = NULL; // closed with the rest
    return code;
}

int cli_rollback(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    int64_t id;
    int code;
    if (!cli_id(options, &id))
        return cli_usage("say which remediation: an id like r12");
    if (!desk_open(&desk, options, &err))
        return cli_fail(&err);
    if (desk.store) {
        code = work_here(&desk, options, id);
    } else if (!show_inverse(&desk, options, id, &arena, &err)) {
        code = cli_fail(&err);
    } else if (options->dry_run) {
        code = CLI_OK;
    } else if (decide(&desk, options, id, "rollback", &arena, &got, &err)) {
        struct str rollback = value_path_str(got, "id");
        printf("%.*s takes back r%lld\n", STR_FMT(rollback), (long long)id);
        fflush(stdout);
        code = watch(&desk, rollback);
    } else {
        code = cli_fail(&err);
    }
    desk_close(&desk);
    return code;
}

/* ---- freeze, clear ---- */

int cli_clear(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    int64_t id;
    if (!cli_id(options, &id))
        return cli_usage("say which remediation: an id like r12");
    bool ok =
        desk_open(&desk, options, &err) && decide(&desk, options, id, "clear", &arena, &got, &err);
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    printf("r%lld: %s%s%s; the next event or scan decides again\n", (long long)id,
           is_true(got, "rested") ? "rests no longer" : "",
           is_true(got, "rested") && is_true(got, "was_frozen") ? ", " : "",
           is_true(got, "was_frozen") ? "frozen no longer" : "");
    return CLI_OK;
}

static int list_freezes(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    struct buf out = {.arena = &arena};
    bool ok = desk_open(&desk, options, &err) && desk_get(&desk, &arena, &got, &err, "/freezes");
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    const struct value *list = value_get(got, STR("freezes"));
    if (options->json) {
        cli_print_json(&arena, list ? *list : value_list(NULL, 0));
        return CLI_OK;
    }
    for (uint32_t i = 0; list && i < list->len; i++) {
        buf_printf(&out, "%-12.*s  ", STR_FMT(value_path_str(list->items[i], "what")));
        buf_add_visible(&out, value_path_str(list->items[i], "by"));
        buf_add_cstr(&out, ": ");
        buf_add_visible(&out, value_path_str(list->items[i], "reason"));
        buf_add_byte(&out, '\n');
    }
    if (!list || list->len == 0)
        buf_add_cstr(&out, "nothing is frozen\n");
    cli_print(&out);
    return CLI_OK;
}

static int set_freeze(const struct cli_options *options, const char *path)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    struct value got;
    struct value_builder body = {.arena = &arena};
    struct buf text = {.arena = &arena};
    if (options->arg_count > 1)
        return cli_usage("one account at a time; none means everything");
    if (options->arg_count)
        value_set(&body, "account", value_cstr(options->args[0]));
    if (options->by)
        value_set(&body, "by", value_cstr(options->by));
    if (options->reason)
        value_set(&body, "reason", value_cstr(options->reason));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    struct desk_question question = {.method = "POST", .path = path, .body = buf_str(&text)};
    bool ok = desk_open(&desk, options, &err) && desk_ask(&desk, &question, &arena, &got, &err);
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    printf("%.*s is %s by %.*s\n", STR_FMT(value_path_str(got, "what")),
           is_true(got, "frozen") ? "frozen: no call leaves" : "free again",
           STR_FMT(value_path_str(got, "by")));
    return CLI_OK;
}

int cli_freeze(const struct cli_options *options)
{
    return options->arg_count == 0 && !options->reason ? list_freezes(options)
                                                       : set_freeze(options, "/freeze");
}

int cli_unfreeze(const struct cli_options *options)
{
    return set_freeze(options, "/unfreeze");
}
