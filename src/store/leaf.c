// SPDX-License-Identifier: Apache-2.0
/* What both backends write and read alike: the leaf's text, the detail, filters, the breaker's
 * doubling. */
#include "store/store_internal.h"

#include "base/limits.h"
#include "value/json.h"

static void add_number(struct buf *out, const char *key, int64_t number)
{
    buf_add_cstr(out, key);
    buf_add_int(out, number);
}

static void add_string(struct buf *out, const char *key, struct str text)
{
    buf_add_cstr(out, key);
    json_write_string(out, text);
}

struct str leaf_reason(struct str reason)
{
    if (reason.len <= STORE_REASON_BYTES_MAX)
        return reason;
    reason.len = STORE_REASON_BYTES_MAX;
    reason.len = str_utf8_prefix(reason);
    return reason;
}

static struct str write_leaf(struct arena *arena, const struct leaf_parts *parts, struct str body)
{
    struct buf out = {.arena = arena};
    buf_reserve(&out, 512 + body.len);
    add_number(&out, "{\"at\":", parts->at_ms);
    buf_add_cstr(&out, ",\"body\":");
    buf_add_str(&out, body);
    if (parts->id)
        add_number(&out, ",\"id\":\"r", parts->id);
    add_string(&out, parts->id ? "\",\"kind\":" : ",\"kind\":", parts->kind);
    if (parts->id) {
        add_string(&out, ",\"policy\":", parts->policy);
        add_string(&out, ",\"reason\":", leaf_reason(parts->reason));
        add_string(&out, ",\"resource\":", parts->resource);
        add_string(&out, ",\"state\":", str_from(state_name(parts->state)));
        add_number(&out, ",\"step\":", parts->step);
        add_number(&out, ",\"version\":", parts->version);
    }
    buf_add_byte(&out, '}');
    return buf_str(&out);
}

struct str leaf_cut(struct arena *arena, struct str body)
{
    char hex[2 * HASH_SHA256_SIZE + 1];
    struct buf cut = {.arena = arena};
    struct sha256 hash = hash_sha256(body.ptr, body.len);
    hash_hex(hash.bytes, sizeof hash.bytes, hex);
    buf_printf(&cut, "{\"cut\":true,\"sha256\":\"%s\"}", hex);
    return buf_str(&cut);
}

struct str leaf_text(struct arena *arena, const struct leaf_parts *parts)
{
    struct str body = parts->body.len ? parts->body : STR("{}");
    if (body.len <= LIMIT_RECORD_BYTES) {
        struct str text = write_leaf(arena, parts, body);
        if (text.len <= LIMIT_RECORD_BYTES)
            return text;
    }
    struct str cut = leaf_cut(arena, body);
    return cut.ptr ? write_leaf(arena, parts, cut) : cut;
}

struct str leaf_accept_body(struct arena *arena, const struct store_event *event,
                            const struct store_match *match)
{
    struct buf body = {.arena = arena};
    buf_reserve(&body, 128 + match->detail.len);
    buf_add_cstr(&body, "{\"detail\":");
    buf_add_str(&body, match->detail.len ? match->detail : STR("{}"));
    add_string(&body, ",\"event\":", event->key);
    add_string(&body, ",\"name\":", event->name);
    buf_add_byte(&body, '}');
    return buf_str(&body);
}

struct str leaf_vote_body(struct arena *arena, const struct store_ballot *ballot)
{
    struct buf body = {.arena = arena};
    add_string(&body, "{\"by\":", ballot->person);
    add_string(&body, ",\"channel\":", ballot->channel);
    add_string(&body, ",\"identity\":", ballot->identity);
    add_string(&body, ",\"plan_hash\":", ballot->plan_hash);
    buf_add_cstr(&body, ballot->yes ? ",\"yes\":true}" : ",\"yes\":false}");
    return buf_str(&body);
}

struct str leaf_void_body(struct arena *arena, struct str ask)
{
    struct buf body = {.arena = arena};
    add_string(&body, "{\"ask\":", ask);
    buf_add_byte(&body, '}');
    return buf_str(&body);
}

struct str leaf_breaker_body(struct arena *arena, struct str key, struct str reason,
                             int64_t open_for_ms)
{
    struct buf body = {.arena = arena};
    add_string(&body, "{\"key\":", key);
    add_number(&body, ",\"open_for_ms\":", open_for_ms);
    add_string(&body, ",\"reason\":", reason);
    buf_add_byte(&body, '}');
    return buf_str(&body);
}

struct str leaf_notice_body(struct arena *arena, struct str channel, const struct store_sent *sent)
{
    struct buf body = {.arena = arena};
    add_string(&body, "{\"channel\":", channel);
    add_string(&body, ",\"error\":", leaf_reason(sent->error));
    add_number(&body, ",\"notice\":", sent->id);
    add_string(&body, ",\"reference\":", sent->reference);
    add_string(&body, ",\"state\":", str_from(notice_state_name(sent->state)));
    buf_add_byte(&body, '}');
    return buf_str(&body);
}

struct str leaf_policy_body(struct arena *arena, struct str policy, struct str what,
                            const struct rollout *rollout)
{
    struct buf body = {.arena = arena};
    add_string(&body, "{\"by\":", rollout->by);
    add_string(&body, ",\"do\":", what);
    add_string(&body, ",\"hash\":", rollout->hash);
    add_string(&body, ",\"policy\":", policy);
    add_string(&body, ",\"reason\":", rollout->reason);
    add_number(&body, ",\"stage\":", rollout->stage);
    buf_add_byte(&body, '}');
    return buf_str(&body);
}

const char *notice_state_name(enum notice_state state)
{
    static const char *const names[] = {"waits", "sent", "given up"};
    return names[state];
}

struct str leaf_stage_undo(struct arena *arena, int64_t parent)
{
    struct buf body = {.arena = arena};
    add_number(&body, "{\"" DETAIL_PARENT "\":", parent);
    buf_add_cstr(&body, ",\"" DETAIL_STAGED "\":true}");
    return buf_str(&body);
}

const char *store_kind_name(enum remediation_kind kind)
{
    return kind == REMEDIATION_ROLLBACK ? "rollback" : "repair";
}

/* Puts the newer event in the old one's place, keeping the order of the other keys. */
static bool replace_event(struct arena *arena, struct value *detail, struct value newer)
{
    const struct value *event = value_get(newer, STR(DETAIL_EVENT));
    if (!event)
        return true;
    struct value_builder map = {.arena = arena};
    for (uint32_t i = 0; i < detail->len; i++)
        value_set_str(&map, value_str(detail->pairs[i].key), detail->pairs[i].value);
    value_set(&map, DETAIL_EVENT, *event);
    *detail = value_finish_map(&map);
    return !map.failed;
}

bool store_detail(struct arena *arena, struct str json, struct str newer, struct value *ret,
                  struct error *err)
{
    struct value detail, newer_value;
    struct str text = str_copy(arena, json.len ? json : STR("{}"));
    if (!text.ptr)
        return error_set(err, "S0006", "out of memory reading a remediation's detail");
    if (!json_parse(arena, text, &detail, err))
        return error_context(err, "a remediation's detail in the store");
    if (newer.len) {
        struct str copy = str_copy(arena, newer);
        if (!copy.ptr || !json_parse(arena, copy, &newer_value, err))
            return error_context(err, "a newer event in the store");
        if (!replace_event(arena, &detail, newer_value))
            return error_set(err, "S0006", "out of memory reading a remediation's detail");
    }
    *ret = detail;
    return true;
}

bool store_filter_matches(const struct store_filter *filter, struct str policy, struct str resource,
                          enum state state)
{
    if (filter->state >= 0 && state != (enum state)filter->state)
        return false;
    if (filter->policy.len && !str_eq(filter->policy, policy))
        return false;
    if (filter->resource.len && !str_glob(filter->resource, resource))
        return false;
    if (filter->account.len) {
        struct str rest = resource;
        str_cut(&rest, '/');
        return str_eq(str_cut(&rest, '/'), filter->account);
    }
    return true;
}

struct str store_account_of(struct str resource)
{
    str_cut(&resource, '/');
    return str_cut(&resource, '/');
}

int store_place(const unsigned char secret[STORE_SECRET_SIZE], struct str resource)
{
    struct str key = {(const char *)secret, STORE_SECRET_SIZE};
    struct sha256 mac = hash_hmac_sha256(key, resource);
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | mac.bytes[i];
    return (int)(number % ROLLOUT_SHARE_ALL);
}

bool store_read_list(struct arena *arena, struct str json, struct value *ret, struct error *err)
{
    struct str text = str_copy(arena, json);
    *ret = value_list(NULL, 0);
    if (json.len == 0)
        return true;
    if (!text.ptr)
        return error_set(err, "S0006", "out of memory reading an approval");
    return json_parse(arena, text, ret, err) || error_context(err, "an approval in the store");
}

bool store_add_vote(struct arena *arena, struct value votes, const struct store_ballot *ballot,
                    int64_t now_ms, struct str *ret, bool *ret_again, struct error *err)
{
    struct value_builder list = {.arena = arena}, one = {.arena = arena};
    struct buf out = {.arena = arena};
    *ret_again = false;
    for (uint32_t i = 0; votes.kind == VALUE_LIST && i < votes.len; i++) {
        *ret_again |= str_eq(value_path_str(votes.items[i], "person"), ballot->person);
        value_push(&list, votes.items[i]);
    }
    value_set(&one, "at", value_int(now_ms));
    value_set(&one, "channel", value_string(ballot->channel));
    value_set(&one, "identity", value_string(ballot->identity));
    value_set(&one, "person", value_string(ballot->person));
    value_set(&one, "reason", value_string(leaf_reason(ballot->reason)));
    value_set(&one, "yes", value_bool(ballot->yes));
    value_push(&list, value_finish_map(&one));
    json_write(&out, value_finish_list(&list), JSON_COMPACT);
    *ret = buf_str(&out);
    return !out.failed || error_set(err, "S0006", "out of memory writing a vote");
}
