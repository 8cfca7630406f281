// SPDX-License-Identifier: Apache-2.0
/* apply: does what a plan says, entry by entry, through all guards and the same engine. What has
 * changed since is refused and named. The file brings no call: it says what was seen, and the calls
 * are made anew from the policy. */
#include "cli/plan_internal.h"

#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 600000 // for the daemon to bring them to their ends
#define POLL_MS 100

struct applying {
    struct desk *desk;
    const struct cli_options *options;
    struct arena *arena;
    int64_t expires_ms;
    struct str *made; // ids
    size_t made_count, obeyed, refused;
};

static bool read_file(const char *path, struct arena *arena, struct str *ret, struct error *err)
{
    struct buf text = {.arena = arena};
    char part[65536];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, "L0020", "the plan %s cannot be read: %s", path, strerror(errno));
    while ((got = read(fd, part, sizeof part)) > 0 && text.len <= LIMIT_PLAN_BYTES)
        buf_add(&text, part, (size_t)got);
    close(fd);
    if (got < 0 || text.failed || text.len > LIMIT_PLAN_BYTES)
        return error_set(err, "L0020", "the plan %s is larger than %u bytes, or cannot be read",
                         path, LIMIT_PLAN_BYTES);
    *ret = buf_str(&text);
    return true;
}

static bool read_plan(struct applying *a, const char *path, struct value *ret, struct error *err)
{
    char hash[65];
    struct str text;
    if (!read_file(path, a->arena, &text, err))
        return false;
    if (!json_parse(a->arena, text, ret, err))
        return error_context(err, "%s", path);
    const struct value *expires = value_get(*ret, STR("expires_ms"));
    const struct value *entries = value_get(*ret, STR("entries"));
    if (!str_is(value_path_str(*ret, "format"), PLAN_FORMAT) || !expires ||
        expires->kind != VALUE_INT || !entries || entries->kind != VALUE_LIST)
        return error_set(err, "L0021", "%s is no plan of this version (%s)", path, PLAN_FORMAT);
    if (!plan_hash(*ret, a->arena, hash) || !str_is(value_path_str(*ret, "hash"), hash))
        return error_set(err, "L0021", "%s is not as it was written: its hash differs", path);
    a->expires_ms = expires->i;
    if (clock_wall_ms(clock_system()) < a->expires_ms)
        return true;
    error_set(err, "E0015", "the plan has expired at %.*s",
              STR_FMT(value_path_str(*ret, "expires")));
    return error_hint(err, "plan again; --expires says for how long a plan stands");
}

static void apply_entry(struct applying *a, struct value entry)
{
    struct value_builder body = {.arena = a->arena};
    struct buf text = {.arena = a->arena};
    struct value answer;
    struct error err;
    value_set(&body, "planned", entry);
    value_set(&body, "expires_ms", value_int(a->expires_ms));
    if (a->options->by)
        value_set(&body, "by", value_cstr(a->options->by));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    struct desk_question question = {.method = "POST", .path = "/apply", .body = buf_str(&text)};
    if (!desk_ask(a->desk, &question, a->arena, &answer, &err)) {
        a->refused++;
        error_context(&err, "%.*s", STR_FMT(value_path_str(entry, "resource")));
        cli_fail(&err);
        return;
    }
    struct str id = value_path_str(answer, "id");
    if (!id.len) {
        a->obeyed++;
        return;
    }
    a->made[a->made_count++] = id;
    printf("%.*s  %.*s\n", STR_FMT(id), STR_FMT(value_path_str(entry, "resource")));
}

/* ---- to their ends ---- */

static bool flag(struct value v, const char *name)
{
    const struct value *found = value_get(v, str_from(name));
    return found && found->kind == VALUE_BOOL && found->b;
}

/* Says how each ended; what was not done as planned is a failure. */
static int report(struct applying *a)
{
    int code = a->refused ? CLI_FAILED : CLI_OK;
    int64_t until = clock_steady_ms(clock_system()) + WAIT_MS;
    for (size_t i = 0; i < a->made_count; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct value r;
        struct error err;
        for (;;) {
            arena_reset(&arena);
            if (!desk_get(a->desk, &arena, &r, &err, "/remediations/%.*s", STR_FMT(a->made[i])))
                return cli_fail(&err);
            if (flag(r, "terminal") || flag(r, "waiting") || a->desk->store ||
                clock_steady_ms(clock_system()) > until)
                break;
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        }
        struct str state = value_path_str(r, "state");
        fprintf(stderr, "%.*s is %.*s: %.*s\n", STR_FMT(a->made[i]), STR_FMT(state),
                STR_FMT(value_path_str(r, "reason")));
        if (!flag(r, "terminal"))
            code = code == CLI_FAILED ? code : CLI_WAITING;
        else if (!str_is(state, state_name(STATE_HEALED)) &&
                 !str_is(state, state_name(STATE_COMPLIANT)) &&
                 !str_is(state, state_name(STATE_GONE)))
            code = CLI_FAILED;
    }
    fprintf(stderr, "%zu applied, %zu obeyed already, %zu refused\n", a->made_count, a->obeyed,
            a->refused);
    return code;
}

static int apply(struct applying *a, struct running *r, struct value plan)
{
    struct value entries = *value_get(plan, STR("entries"));
    struct error err;
    a->made = ARENA_ARRAY(a->arena, struct str, entries.len + 1);
    for (uint32_t i = 0; a->made && i < entries.len; i++)
        if (plan_entry_acts(entries.items[i]))
            apply_entry(a, entries.items[i]);
    fflush(stdout);
    if (!a->made) {
        error_set(&err, "E0007", "out of memory");
        return cli_fail(&err);
    }
    if (a->made_count && a->desk->store) {
        int code = running_work_off(r, NULL);
        if (code == CLI_FAILED)
            return code;
    }
    return report(a);
}

int cli_apply(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct running r = {0};
    struct desk desk = {0};
    struct applying a = {.desk = &desk, .options = options, .arena = &arena};
    struct value plan;
    struct error err;
    if (options->arg_count != 1)
        return cli_usage("say which plan: a file that `rectify plan --out FILE` wrote");
    if (!read_plan(&a, options->args[0], &plan, &err))
        return cli_fail(&err);
    running_catch_signals();
    int code = plan_open(&r, &desk, options);
    r.store = desk.store; // for the counts of what is worked off; closed with the desk
    r.policies_seen = false;
    if (code == 0 && r.store && !running_recall(&r, &err))
        code = cli_fail(&err);
    if (code == 0)
        code = apply(&a, &r, plan);
    r.store = NULL;
    plan_close(&r, &desk);
    return code;
}
