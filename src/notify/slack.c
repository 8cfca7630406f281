// SPDX-License-Identifier: Apache-2.0
/* Slack: messages out of blocks whose text is plain_text or preformatted, which know no markup and
 * no mentions; only the fallback text is markup, and there `&`, `<` and `>` are escaped. A thread's
 * reference is "CHANNEL TS" of its message. */
#include "notify/notify_internal.h"

#include "value/json.h"

#define HEADER_MAX 150 // Slack's own limits, in characters
#define TEXT_MAX 2900
#define BUTTON_VALUE_MAX 2000

/* Fails for good, however often it is tried; everything else may be put right. */
static bool is_hopeless(struct str error)
{
    static const char *const list[] = {
        "invalid_blocks",     "invalid_blocks_format", "msg_too_long",        "no_text",
        "invalid_arguments",  "message_not_found",     "cant_update_message", "edit_window_closed",
        "expired_trigger_id", "trigger_expired",       "exchanged_trigger_id"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (str_is(error, list[i]))
            return true;
    return false;
}

static bool call(const struct notify *notify, const struct channel *channel, const char *method,
                 struct value body, int64_t deadline_ms, struct arena *arena,
                 struct value *ret_answer, struct notify_result *ret)
{
    struct net_answer answer;
    struct error err;
    struct notify_call request = {.method = "POST",
                                  .url = STR_JOIN(arena, channel->url, STR("/"), str_from(method)),
                                  .body = notify_json(arena, body),
                                  .deadline_ms = deadline_ms};
    if (!notify_bearer(channel, arena, &request.authorization, ret) ||
        !notify_call(notify, channel, &request, arena, &answer, ret))
        return false;
    if (!json_parse(arena, answer.body, ret_answer, &err)) {
        notify_fail(ret, NOTIFY_LATER, "Slack's answer to %s is not JSON", method);
        return false;
    }
    const struct value *ok = value_get(*ret_answer, STR("ok"));
    if (ok && ok->kind == VALUE_BOOL && ok->b)
        return true;
    struct str why = text_safe(value_path_str(*ret_answer, "error"), 100, false, arena);
    notify_fail(ret, is_hopeless(why) ? NOTIFY_NEVER : NOTIFY_LATER, "Slack refuses %s: %.*s",
                method, STR_FMT(why));
    return false;
}

/* ---- blocks ---- */

static struct value plain(struct str text, size_t max, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "type", value_cstr("plain_text"));
    value_set(&out, "text", value_string(text_safe(text, max, true, arena)));
    value_set(&out, "emoji", value_bool(false));
    return value_finish_map(&out);
}

static void add_block(struct value_builder *blocks, const char *type, const char *key,
                      struct value v)
{
    struct value_builder one = {.arena = blocks->arena};
    value_set(&one, "type", value_cstr(type));
    value_set(&one, key, v);
    value_push(blocks, value_finish_map(&one));
}

static void add_text(struct value_builder *blocks, struct str text)
{
    if (text.len)
        add_block(blocks, "section", "text", plain(text, TEXT_MAX, blocks->arena));
}

/* {"type": type, "elements": [element]} */
static struct value holder(struct arena *arena, const char *type, struct value element)
{
    struct value_builder out = {.arena = arena}, list = {.arena = arena};
    value_push(&list, element);
    value_set(&out, "type", value_cstr(type));
    value_set(&out, "elements", value_finish_list(&list));
    return value_finish_map(&out);
}

static void add_code(struct value_builder *blocks, struct str text)
{
    struct value_builder inner = {.arena = blocks->arena};
    if (!text.len)
        return;
    value_set(&inner, "type", value_cstr("text"));
    value_set(&inner, "text", value_string(text_safe(text, TEXT_MAX, true, blocks->arena)));
    value_push(blocks,
               holder(blocks->arena, "rich_text",
                      holder(blocks->arena, "rich_text_preformatted", value_finish_map(&inner))));
}

static struct value button(struct arena *arena, const char *action, const char *text,
                           const char *style, struct str value)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "type", value_cstr("button"));
    value_set(&out, "action_id", value_cstr(action));
    value_set(&out, "text", plain(str_from(text), 75, arena));
    value_set(&out, "style", value_cstr(style));
    value_set(&out, "value", value_string(str_sub(value, 0, BUTTON_VALUE_MAX)));
    return value_finish_map(&out);
}

static void add_buttons(struct value_builder *blocks, const struct notice *notice)
{
    struct arena *arena = blocks->arena;
    struct value_builder list = {.arena = arena};
    struct str value = STR_JOIN(arena, value_path_str(notice->body, "id"), STR(" "),
                                value_path_str(notice->body, "ask"), STR(" "),
                                value_path_str(notice->body, "plan_hash"));
    value_push(&list, button(arena, "rectify_approve", "Approve", "primary", value));
    value_push(&list, button(arena, "rectify_deny", "Deny", "danger", value));
    add_block(blocks, "actions", "elements", value_finish_list(&list));
}

static void add_question(struct value_builder *blocks, const struct notice *notice)
{
    struct arena *arena = blocks->arena;
    add_text(blocks, text_facts(notice, arena));
    add_text(blocks, STR("What would be called:"));
    add_code(blocks, text_calls(notice, arena));
    struct str changes = text_changes(notice, arena);
    if (changes.len) {
        add_text(blocks, STR("What that changes:"));
        add_code(blocks, changes);
    }
}

/* ---- messages ---- */

static struct str escaped(struct str s, struct arena *arena)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '&')
            buf_add_cstr(&out, "&amp;");
        else if (s.ptr[i] == '<')
            buf_add_cstr(&out, "&lt;");
        else if (s.ptr[i] == '>')
            buf_add_cstr(&out, "&gt;");
        else
            buf_add_byte(&out, s.ptr[i]);
    }
    return buf_str(&out);
}

static struct value message(const struct channel *channel, const struct notice *notices,
                            size_t count, struct arena *arena)
{
    struct value_builder out = {.arena = arena}, blocks = {.arena = arena};
    struct buf lines = {.arena = arena};
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_byte(&lines, '\n');
        buf_add_str(&lines, text_line(&notices[i], arena));
    }
    struct str text = buf_str(&lines);
    if (count == 1 && !str_is(notices[0].kind, "tell"))
        add_block(&blocks, "header", "text",
                  plain(value_path_str(notices[0].body, "heading"), HEADER_MAX, arena));
    add_text(&blocks, text);
    if (count == 1 && !str_is(notices[0].kind, "tell"))
        add_question(&blocks, &notices[0]);
    if (count == 1 && str_is(notices[0].kind, "ask"))
        add_buttons(&blocks, &notices[0]);
    value_set(&out, "channel", value_string(channel->to));
    value_set(&out, "text", value_string(escaped(text_safe(text, TEXT_MAX, true, arena), arena)));
    value_set(&out, "blocks", value_finish_list(&blocks));
    value_set(&out, "parse", value_cstr("none"));
    value_set(&out, "link_names", value_bool(false));
    value_set(&out, "unfurl_links", value_bool(false));
    value_set(&out, "unfurl_media", value_bool(false));
    return value_finish_map(&out);
}

void slack_send(const struct notify *notify, const struct channel *channel,
                const struct notice *notices, size_t count, struct arena *arena,
                struct notify_result *ret)
{
    struct value body = message(channel, notices, count, arena), answer;
    bool close = str_is(notices[0].kind, "close") || str_is(notices[0].kind, "update");
    struct str ts = notices[0].reference, where = str_cut(&ts, ' ');
    if (close && !ts.len)
        return; // it was never asked here: there is nothing to update
    if (close) {
        struct value_builder out = {.arena = arena};
        for (uint32_t i = 0; i < body.len; i++)
            value_set_str(&out, value_str(body.pairs[i].key), body.pairs[i].value);
        value_set(&out, "channel", value_string(where));
        value_set(&out, "ts", value_string(ts));
        body = value_finish_map(&out);
    }
    if (!call(notify, channel, close ? "chat.update" : "chat.postMessage", body, 0, arena, &answer,
              ret) ||
        close)
        return;
    ret->reference =
        STR_JOIN(arena, value_path_str(answer, "channel"), STR(" "), value_path_str(answer, "ts"));
}

/* ---- the dialog ---- */

bool notify_slack_ask_reason(const struct notify *notify, const struct channel *channel,
                             struct str trigger, struct str token, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena}, view = {.arena = &arena};
    struct value_builder input = {.arena = &arena}, element = {.arena = &arena};
    struct value_builder blocks = {.arena = &arena};
    struct notify_result result = {0};
    struct value answer;
    value_set(&element, "type", value_cstr("plain_text_input"));
    value_set(&element, "action_id", value_cstr("reason"));
    value_set(&element, "multiline", value_bool(true));
    value_set(&element, "max_length", value_int(2000));
    value_set(&input, "type", value_cstr("input"));
    value_set(&input, "block_id", value_cstr("reason"));
    value_set(&input, "label", plain(STR("Why not?"), 75, &arena));
    value_set(&input, "element", value_finish_map(&element));
    value_push(&blocks, value_finish_map(&input));
    value_set(&view, "type", value_cstr("modal"));
    value_set(&view, "callback_id", value_cstr("rectify_deny"));
    value_set(&view, "private_metadata", value_string(token));
    value_set(&view, "title", plain(STR("Deny the repair"), 24, &arena));
    value_set(&view, "submit", plain(STR("Deny"), 24, &arena));
    value_set(&view, "close", plain(STR("Back"), 24, &arena));
    value_set(&view, "blocks", value_finish_list(&blocks));
    value_set(&body, "trigger_id", value_string(trigger));
    value_set(&body, "view", value_finish_map(&view));
    return call(notify, channel, "views.open", value_finish_map(&body), 2000, &arena, &answer,
                &result) ||
           error_set(err, "W0004", "the dialog could not be opened: %s", result.error);
}

void notify_slack_whisper(const struct notify *notify, const struct channel *channel,
                          struct str user, struct str text)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena};
    struct notify_result ignored;
    struct value answer;
    value_set(&body, "channel", value_string(channel->to));
    value_set(&body, "user", value_string(user));
    value_set(&body, "text", value_string(escaped(text_safe(text, 500, false, &arena), &arena)));
    (void)call(notify, channel, "chat.postEphemeral", value_finish_map(&body), 1500, &arena,
               &answer, &ignored);
}

bool slack_check(const struct notify *notify, const struct channel *channel, struct arena *arena,
                 struct notify_result *ret)
{
    struct value_builder nothing = {.arena = arena};
    struct value answer;
    return call(notify, channel, "auth.test", value_finish_map(&nothing), 5000, arena, &answer,
                ret);
}
