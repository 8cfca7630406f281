// SPDX-License-Identifier: Apache-2.0
/* Slack: signature v0, then a form whose `payload` is JSON: a click on a button, or a dialog. */
#include "approve/approve_internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "value/json.h"

#define REASON_MAX 2000u

static bool check(const struct approve_request *r, struct str secret, struct arena *arena)
{
    char hex[2 * HASH_SHA256_SIZE + 1];
    struct str text = STR_JOIN(arena, STR("v0:"), approve_header(r, "X-Slack-Request-Timestamp"),
                               STR(":"), r->body);
    struct sha256 mac = hash_hmac_sha256(secret, text);
    hash_hex(mac.bytes, sizeof mac.bytes, hex);
    struct str expected = STR_JOIN(arena, STR("v0="), str_from(hex));
    return text.ptr && expected.ptr &&
           hash_equal_secret(expected, approve_header(r, "X-Slack-Signature"));
}

bool slack_genuine(const struct approve_request *r, struct error *err)
{
    if (!r->channel->may_decide)
        return error_set(err, "Q0004", "the channel has no `secret`, `team` and `app`");
    return approve_with_secrets(r, check, err) &&
           approve_fresh(approve_header(r, "X-Slack-Request-Timestamp"), r->now_ms, err);
}

/* ---- the form ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool decode(struct str s, struct arena *arena, struct str *ret)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < s.len; i++) {
        int high = -1, low = -1;
        if (s.ptr[i] == '%' && i + 2 < s.len) {
            high = hex_digit(s.ptr[i + 1]);
            low = hex_digit(s.ptr[i + 2]);
        }
        if (s.ptr[i] == '%' && (high < 0 || low < 0))
            return false;
        if (s.ptr[i] == '%') {
            buf_add_byte(&out, (char)(high * 16 + low));
            i += 2;
        } else {
            buf_add_byte(&out, s.ptr[i] == '+' ? ' ' : s.ptr[i]);
        }
    }
    *ret = buf_str(&out);
    return ret->ptr != NULL;
}

bool approve_form(struct str body, const char *name, struct arena *arena, struct str *ret)
{
    bool found = false;
    while (body.len) {
        struct str pair = str_cut(&body, '&'), key, raw = str_cut(&pair, '=');
        if (!decode(raw, arena, &key))
            return false;
        if (!str_is(key, name))
            continue;
        if (found) // twice: which of them was meant?
            return false;
        found = decode(pair, arena, ret);
        if (!found)
            return false;
    }
    return found;
}

/* ---- what it says ---- */

/* Genuine is not enough: the secret is the app's, and the app may be in other workspaces. */
static bool is_ours(const struct channel *channel, struct value payload, struct error *err)
{
    struct str where = value_path_str(payload, "channel.id");
    if (!str_eq(value_path_str(payload, "team.id"), channel->team))
        return error_set(err, "Q0004", "it comes from another workspace");
    if (!str_eq(value_path_str(payload, "api_app_id"), channel->app))
        return error_set(err, "Q0004", "it comes from another app");
    if (where.len && !str_eq(where, channel->to))
        return error_set(err, "Q0004", "it comes from another channel");
    return true;
}

static bool read_click(struct value payload, struct arena *arena, struct approve_said *ret,
                       struct error *err)
{
    const struct value *actions = value_get(payload, STR("actions"));
    if (!actions || actions->kind != VALUE_LIST || actions->len != 1)
        return error_set(err, "Q0003", "it is not one click");
    struct str action = value_path_str(actions->items[0], "action_id");
    struct str value = value_path_str(actions->items[0], "value");
    bool yes = str_is(action, "rectify_approve"), no = str_is(action, "rectify_deny");
    if (!yes && !no)
        return true; // another button of the same app
    if (!value_path_str(payload, "channel.id").len)
        return error_set(err, "Q0004", "it does not say from which channel it comes");
    if (!approve_token(value, ret, err))
        return false;
    ret->yes = yes;
    ret->kind = yes ? APPROVE_ANSWER : APPROVE_REASON;
    ret->trigger = value_path_str(payload, "trigger_id");
    ret->token = str_copy(arena, value);
    return true;
}

static bool read_dialog(struct value payload, struct approve_said *ret, struct error *err)
{
    if (!str_is(value_path_str(payload, "view.callback_id"), "rectify_deny"))
        return true;
    if (!approve_token(value_path_str(payload, "view.private_metadata"), ret, err))
        return false;
    ret->kind = APPROVE_ANSWER;
    ret->yes = false;
    ret->reason =
        str_sub(value_path_str(payload, "view.state.values.reason.reason.value"), 0, REASON_MAX);
    ret->reason.len = str_utf8_prefix(ret->reason);
    return true;
}

bool approve_slack_parse(const struct channel *channel, struct str body, struct arena *arena,
                         struct approve_said *ret, struct error *err)
{
    struct str text;
    struct value payload;
    struct error why;
    *ret = (struct approve_said){.kind = APPROVE_NONE};
    if (!approve_form(body, "payload", arena, &text) || !json_parse(arena, text, &payload, &why))
        return error_set(err, "Q0003", "it is not what Slack sends");
    struct str type = value_path_str(payload, "type");
    struct str user = value_path_str(payload, "user.id");
    if (!is_ours(channel, payload, err))
        return false;
    if (!user.len || user.len > 64)
        return error_set(err, "Q0003", "it does not say whose it is");
    ret->identity = STR_JOIN(arena, STR("slack:"), user);
    if (str_is(type, "block_actions"))
        return read_click(payload, arena, ret, err);
    if (str_is(type, "view_submission"))
        return read_dialog(payload, ret, err);
    return true;
}
