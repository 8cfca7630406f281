// SPDX-License-Identifier: Apache-2.0
/* What both backends write and read alike: the leaf's text, the detail, filters, the breaker's
 * doubling. */
#include "store/store_internal.h"

#include <stdio.h>

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

static struct str cut_reason(struct str reason)
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
        add_string(&out, ",\"reason\":", cut_reason(parts->reason));
        add_string(&out, ",\"resource\":", parts->resource);
        add_string(&out, ",\"state\":", str_from(state_name(parts->state)));
        add_number(&out, ",\"step\":", parts->step);
        add_number(&out, ",\"version\":", parts->version);
    }
    buf_add_byte(&out, '}');
    return buf_str(&out);
}

struct str leaf_text(struct arena *arena, const struct leaf_parts *parts)
{
    struct str body = parts->body.len ? parts->body : STR("{}");
    if (body.len <= LIMIT_RECORD_BYTES) {
        struct str text = write_leaf(arena, parts, body);
        if (text.len <= LIMIT_RECORD_BYTES)
            return text;
    }
    char hex[2 * HASH_SHA256_SIZE + 1], cut[128];
    struct sha256 hash = hash_sha256(body.ptr, body.len);
    hash_hex(hash.bytes, sizeof hash.bytes, hex);
    snprintf(cut, sizeof cut, "{\"cut\":true,\"sha256\":\"%s\"}", hex);
    return write_leaf(arena, parts, str_from(cut));
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

int64_t store_breaker_open_for(int64_t now_ms, int64_t open_ms, int64_t tripped_ms,
                               int64_t open_for_ms)
{
    int64_t open_for = open_ms;
    if (tripped_ms && now_ms < tripped_ms + open_for_ms + STORE_HOUR_MS)
        open_for = open_for_ms * 2;
    return open_for > STORE_HOUR_MS ? STORE_HOUR_MS : open_for;
}
