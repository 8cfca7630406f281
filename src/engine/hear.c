// SPDX-License-Identifier: Apache-2.0
/* What comes in over a channel: checked by approve/, judged by people.c, and answered at once, so
 * that who asked has its answer within its three seconds; messages are brought up to date by the
 * outbox. */
#include "engine/engine.h"

#include "base/log.h"

#include <stdio.h>

static bool heard(int *ret_status, int status)
{
    *ret_status = status;
    return status < 400;
}

static int status_of(const struct error *err)
{
    static const struct {
        const char *code;
        int status;
    } table[] = {{"Q0001", 401}, {"Q0002", 401}, {"Q0003", 400}, {"Q0004", 403},
                 {"E0031", 403}, {"E0032", 403}, {"E0033", 403}, {"E0034", 404},
                 {"E0035", 409}, {"E0036", 409}, {"E0037", 403}, {"E0039", 403}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (str_is(str_from(err->code), table[i].code))
            return table[i].status;
    return 503;
}

/* {"response_action": "errors", "errors": {"reason": why}}: what a dialog of Slack's shows. */
static struct value dialog_error(const char *why, struct arena *arena)
{
    struct value_builder out = {.arena = arena}, errors = {.arena = arena};
    value_set(&errors, "reason", value_string(str_copy(arena, str_from(why))));
    value_set(&out, "response_action", value_cstr("errors"));
    value_set(&out, "errors", value_finish_map(&errors));
    return value_finish_map(&out);
}

/* In Slack a refusal is told to who pressed the button, and to nobody else. */
static bool refuse_in_slack(struct engine *engine, const struct channel *channel,
                            const struct approve_said *said, const struct error *why,
                            struct arena *arena, int *ret_status, struct value *ret)
{
    log_line(LOG_WARN, "%.*s: %s", STR_FMT(channel->name), why->message);
    if (!said->trigger.len) {
        *ret = dialog_error(why->message, arena);
    } else if (engine->notify) {
        notify_slack_whisper(engine->notify, channel, str_sub(said->identity, 6, SIZE_MAX),
                             str_from(why->message));
    }
    return heard(ret_status, 200);
}

static bool count_answer(struct engine *engine, const struct channel *channel,
                         const struct approve_said *said, struct arena *arena, int *ret_status,
                         struct value *ret, struct error *err)
{
    struct value_builder out = {.arena = arena};
    bool decided = false;
    struct str reason =
        said->reason.len ? said->reason : STR_JOIN(arena, STR("over "), channel->name);
    struct engine_answer answer = {said->id,       said->ask,     said->plan_hash, said->yes,
                                   said->identity, channel->name, reason};
    if (!engine_answer(engine, &answer, arena, &decided, err)) {
        int status = status_of(err);
        if (status < 500 && channel->kind == CHANNEL_SLACK)
            return refuse_in_slack(engine, channel, said, err, arena, ret_status, ret);
        return heard(ret_status, status);
    }
    if (channel->kind != CHANNEL_SLACK) {
        value_set(&out, "decided", value_bool(decided));
        *ret = value_finish_map(&out);
    }
    return heard(ret_status, 200);
}

/* The open question with this issue becomes due, unless it is about to be looked at anyway. */
static bool look_soon(struct engine *engine, const struct channel *channel, struct str issue,
                      struct arena *arena, int *ret_status, struct error *err)
{
    struct store_notice_filter filter = {.state = NOTICE_WAITS, .limit = 1000};
    struct store_notice_row *rows;
    size_t count;
    int64_t soon = clock_wall_ms(engine->clock) + 2000;
    if (store_notices(engine->store, &filter, arena, &rows, &count, err) != STORE_OK)
        return heard(ret_status, 503);
    for (size_t i = 0; i < count; i++) {
        struct store_notice nudge = {channel->name, STR("nudge"), rows[i].notice.thread, {0}, 0};
        if (!str_is(rows[i].notice.kind, "ask") || rows[i].notice.due_ms < soon ||
            !str_eq(rows[i].notice.channel, channel->name) || !str_eq(rows[i].reference, issue))
            continue;
        if (store_tell(engine->store, rows[i].remediation, &nudge, 1, err) != STORE_OK)
            return heard(ret_status, 503);
    }
    return heard(ret_status, 200);
}

static bool hear(struct engine *engine, const struct engine_set *set, struct str name,
                 const struct approve_header *headers, size_t header_count, struct str body,
                 struct arena *arena, int *ret_status, struct value *ret, struct error *err)
{
    struct approve_said said;
    size_t count = 0;
    const struct channel *channel = NULL;
    const struct channel *all = set ? policy_set_channels(set->policies, &count) : NULL;
    struct value_builder empty = {.arena = arena};
    *ret = value_finish_map(&empty);
    for (size_t i = 0; i < count; i++)
        if (str_eq(all[i].name, name))
            channel = &all[i];
    if (!channel) {
        error_set(err, "E0038", "there is no channel of that name");
        return heard(ret_status, 404);
    }
    if (!approve_read(channel, headers, header_count, body, clock_wall_ms(engine->clock), arena,
                      &said, err)) {
        log_line(LOG_WARN, "refused on %.*s: %s", STR_FMT(channel->name), err->message);
        return heard(ret_status, status_of(err));
    }
    switch (said.kind) {
    case APPROVE_ANSWER:
        return count_answer(engine, channel, &said, arena, ret_status, ret, err);
    case APPROVE_REASON:
        if (engine->notify &&
            !notify_slack_ask_reason(engine->notify, channel, said.trigger, said.token, err))
            return heard(ret_status, 503); // Slack shows that it did not work
        break;
    case APPROVE_LOOK:
        return look_soon(engine, channel, said.issue, arena, ret_status, err);
    case APPROVE_NONE:
        break;
    }
    return heard(ret_status, 200);
}

bool engine_hear(struct engine *engine, struct str name, const struct approve_header *headers,
                 size_t header_count, struct str body, struct arena *arena, int *ret_status,
                 struct value *ret, struct error *err)
{
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool ok = hear(engine, set, name, headers, header_count, body, arena, ret_status, ret, err);
    engine_rules_release(set);
    return ok;
}
