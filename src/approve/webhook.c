// SPDX-License-Identifier: Apache-2.0
/* Standard Webhooks from a system of the user's own, that says who decided:
 * {"type": "approval", "data": {"id", "ask", "plan_hash", "decision": "approve" | "deny", "by",
 * "reason"}}. And Jira's, which is only a hint. */
#include "approve/approve_internal.h"

#include "base/hash.h"
#include "value/json.h"

#define REASON_MAX 2000u

static bool check_webhook(const struct approve_request *r, struct str secret, struct arena *arena)
{
    struct error ignored;
    struct str expected, rest = approve_header(r, "webhook-signature");
    bool good = false;
    if (!webhook_sign(secret, approve_header(r, "webhook-id"),
                      approve_header(r, "webhook-timestamp"), r->body, arena, &expected, &ignored))
        return false;
    while (rest.len) {
        struct str one = str_cut(&rest, ' '), version = str_cut(&one, ',');
        good = (str_is(version, "v1") && hash_equal_secret(expected, one)) || good;
    }
    return good;
}

bool webhook_genuine(const struct approve_request *r, struct error *err)
{
    struct str id = approve_header(r, "webhook-id");
    if (!id.len || id.len > 256)
        return error_set(err, "Q0001", "the request has no webhook-id");
    return approve_with_secrets(r, check_webhook, err) &&
           approve_fresh(approve_header(r, "webhook-timestamp"), r->now_ms, err);
}

bool approve_webhook_parse(struct str body, struct arena *arena, struct approve_said *ret,
                           struct error *err)
{
    struct value v;
    struct error why;
    *ret = (struct approve_said){.kind = APPROVE_NONE};
    struct str text = str_copy(arena, body);
    if (!text.ptr || !json_parse(arena, text, &v, &why))
        return error_set(err, "Q0003", "it is not JSON: %s", why.message);
    if (!str_is(value_path_str(v, "type"), "approval"))
        return true;
    struct str decision = value_path_str(v, "data.decision"), by = value_path_str(v, "data.by");
    struct str token =
        STR_JOIN(arena, value_path_str(v, "data.id"), STR(" "), value_path_str(v, "data.ask"),
                 STR(" "), value_path_str(v, "data.plan_hash"));
    bool yes = str_is(decision, "approve");
    if (!by.len || by.len > 200 || (!yes && !str_is(decision, "deny")))
        return error_set(err, "Q0003", "it does not say who decided what");
    if (!approve_token(token, ret, err))
        return false;
    ret->kind = APPROVE_ANSWER;
    ret->yes = yes;
    ret->identity = STR_JOIN(arena, STR("webhook:"), by);
    ret->reason = str_sub(value_path_str(v, "data.reason"), 0, REASON_MAX);
    ret->reason.len = str_utf8_prefix(ret->reason);
    return true;
}

/* ---- Jira ---- */

static bool check_hub(const struct approve_request *r, struct str secret, struct arena *arena)
{
    char hex[2 * HASH_SHA256_SIZE + 1];
    struct sha256 mac = hash_hmac_sha256(secret, r->body);
    hash_hex(mac.bytes, sizeof mac.bytes, hex);
    struct str expected = STR_JOIN(arena, STR("sha256="), str_from(hex));
    return hash_equal_secret(expected, approve_header(r, "X-Hub-Signature"));
}

/* Where a secret is set it has to fit; without one a hint is taken from anybody: all that it does
 * is that Jira is asked sooner. */
bool jira_genuine(const struct approve_request *r, struct error *err)
{
    return !secret_is_set(r->channel->secret) || approve_with_secrets(r, check_hub, err);
}

bool jira_parse(const struct approve_request *r, struct approve_said *ret, struct error *err)
{
    struct value v;
    struct error why;
    struct str text = str_copy(r->arena, r->body);
    if (!text.ptr || !json_parse(r->arena, text, &v, &why))
        return error_set(err, "Q0003", "it is not JSON");
    ret->issue = value_path_str(v, "issue.key");
    ret->kind = ret->issue.len && ret->issue.len <= 64 ? APPROVE_LOOK : APPROVE_NONE;
    return true;
}
