// SPDX-License-Identifier: Apache-2.0
/* Reads in the order of the policy, then lets and the violation. See decide.h. */
#include "decide/decide_internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "value/json.h"

#include <stdlib.h>

static void set_common_slots(const struct decide_subject *s, struct arena *arena,
                             struct value *slots)
{
    struct value_builder resource = {.arena = arena};
    value_set(&resource, "partition", value_string(s->resource.partition));
    value_set(&resource, "account", value_string(s->resource.account));
    value_set(&resource, "region", value_string(s->region));
    value_set(&resource, "type", value_string(s->resource.type));
    value_set(&resource, "id", value_string(s->resource.id));
    slots[POLICY_SLOT_RESOURCE] = value_finish_map(&resource);
    slots[POLICY_SLOT_ACCOUNT] = s->account;
    slots[POLICY_SLOT_REGION] = value_string(s->region);
    slots[POLICY_SLOT_PARAMS] = s->assignment->params;
    slots[POLICY_SLOT_NOW] = (struct value){.kind = VALUE_TIMESTAMP,
                                            .i = s->now_ms / 1000,
                                            .len = (uint32_t)(s->now_ms % 1000) * 1000000u};
}

static bool unread(struct decide_finding *f, struct str code, struct str reason, bool lasting)
{
    f->verdict = VERDICT_UNREAD;
    f->code = code;
    f->reason = reason;
    f->lasting = lasting;
    return false;
}

static bool expression_failed(struct decide_finding *f, struct arena *arena,
                              const struct error *err)
{
    const char *text =
        arena_printf(arena, "%s (%s:%u:%u)", err->message, err->file, err->line, err->column);
    return unread(f, str_from(err->code), str_from(text), true);
}

/* An answer to the value of the read: output, or what `absent` says of its error code. */
static bool take_answer(const struct policy_read *read, const struct aws_answer *answer,
                        struct arena *arena, struct decide_finding *f, struct value *ret)
{
    if (answer->outcome == AWS_OK) {
        *ret = answer->output;
        return true;
    }
    for (size_t i = 0; answer->outcome == AWS_REFUSED && i < read->absent_count; i++) {
        if (str_eq(read->absent[i].code, answer->code)) {
            *ret = read->absent[i].value;
            return true;
        }
    }
    for (size_t i = 0; answer->outcome == AWS_REFUSED && i < read->gone_count; i++) {
        if (str_eq(read->gone[i], answer->code)) {
            f->verdict = VERDICT_GONE;
            f->code = answer->code;
            f->reason = answer->message;
            return false;
        }
    }
    f->retry_after_ms = answer->retry_after_ms;
    const char *text = arena_printf(arena, "%.*s: %.*s: %.*s", STR_FMT(read->call.name),
                                    STR_FMT(answer->code), STR_FMT(answer->message));
    return unread(f, answer->code, str_from(text), answer->outcome == AWS_REFUSED);
}

/* The call as it will be sent, with the read role. */
static bool make_call(const struct decide_subject *s, const struct policy_call *from,
                      const struct value *slots, struct cel_budget *budget, struct arena *arena,
                      struct aws_call *ret, struct error *err)
{
    struct value input, region = value_string(s->region);
    if (!policy_template_eval(from->with, slots, budget, arena, &input, err) ||
        (from->region && !policy_template_eval(from->region, slots, budget, arena, &region, err)))
        return false;
    *ret = (struct aws_call){
        .operation = from->operation,
        .input = decide_fill_owner(from->operation, input, s->resource.account, arena),
        .region = value_str(region),
        .access = s->assignment->read,
        .account = s->resource.account,
        .deadline_ms = s->deadline_ms,
        .attempt = s->attempt};
    return true;
}

static bool read_once(const struct decide_subject *s, const struct policy_read *read,
                      struct cel_budget *budget, struct arena *arena, struct decide_finding *f,
                      struct value *ret)
{
    struct error err;
    struct aws_call call;
    struct aws_answer answer;
    if (!make_call(s, &read->call, f->slots, budget, arena, &call, &err))
        return expression_failed(f, arena, &err);
    aws_call_pages(s->caller, &call, arena, &answer);
    return take_answer(read, &answer, arena, f, ret);
}

static bool read_each(const struct decide_subject *s, const struct policy_read *read,
                      struct cel_budget *budget, struct arena *arena, struct decide_finding *f,
                      struct value *ret)
{
    struct value list;
    struct error err;
    struct value_builder out = {.arena = arena};
    if (!read->call.each)
        return read_once(s, read, budget, arena, f, ret);
    if (!cel_eval(read->call.each, f->slots, budget, arena, &list, &err))
        return expression_failed(f, arena, &err);
    if (list.kind != VALUE_LIST)
        return unread(f, STR("D0001"), STR("`each` did not give a list"), true);
    for (uint32_t i = 0; i < list.len; i++) {
        struct value item;
        f->slots[read->call.each_slot] = list.items[i];
        if (!read_once(s, read, budget, arena, f, &item))
            return false;
        value_push(&out, item);
    }
    f->slots[read->call.each_slot] = cel_unset();
    *ret = value_finish_list(&out);
    return true;
}

static int compare_text(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Canonical text in which the order of lists does not count and times do not occur. */
static void write_stable(struct buf *out, struct value v)
{
    if (v.kind == VALUE_TIMESTAMP)
        return;
    if (v.kind == VALUE_LIST) {
        struct str *items = ARENA_ARRAY(out->arena, struct str, v.len + 1);
        for (uint32_t i = 0; items && i < v.len; i++) {
            struct buf item = {.arena = out->arena};
            write_stable(&item, v.items[i]);
            items[i] = buf_str(&item);
        }
        if (items && v.len)
            qsort(items, v.len, sizeof *items, compare_text);
        buf_add_byte(out, '[');
        for (uint32_t i = 0; items && i < v.len; i++) {
            buf_add_str(out, items[i]);
            buf_add_byte(out, ',');
        }
        buf_add_byte(out, ']');
        return;
    }
    if (v.kind == VALUE_MAP) {
        struct str *items = ARENA_ARRAY(out->arena, struct str, v.len + 1);
        for (uint32_t i = 0; items && i < v.len; i++) {
            struct buf item = {.arena = out->arena};
            json_write(&item, v.pairs[i].key, JSON_CANONICAL);
            buf_add_byte(&item, ':');
            write_stable(&item, v.pairs[i].value);
            items[i] = buf_str(&item);
        }
        if (items && v.len)
            qsort(items, v.len, sizeof *items, compare_text);
        buf_add_byte(out, '{');
        for (uint32_t i = 0; items && i < v.len; i++) {
            buf_add_str(out, items[i]);
            buf_add_byte(out, ',');
        }
        buf_add_byte(out, '}');
        return;
    }
    json_write(out, v, JSON_CANONICAL);
}

/* The part's place among the policy's parts stands for its path: a changed policy decides anew. */
static void write_used(struct buf *out, const struct cel_path *path, const struct value *slots)
{
    const struct value *v = &slots[path->slot];
    for (size_t i = 0; v && i < path->count; i++)
        v = value_get(*v, path->fields[i]);
    buf_add_byte(out, v ? '=' : '-'); // there, or not
    if (v)
        write_stable(out, *v);
}

/* What the policy's expressions used, and the resource's name. */
static bool set_fingerprint(const struct decide_subject *s, struct arena *arena,
                            struct decide_finding *f)
{
    struct buf text = {.arena = arena};
    json_write_string(&text, s->resource.id);
    for (size_t i = 0; i < s->policy->used_count; i++)
        write_used(&text, &s->policy->used[i], f->slots);
    struct str whole = buf_str(&text);
    if (!whole.ptr)
        return unread(f, STR("D0002"), STR("out of memory"), false);
    struct sha256 hash = hash_sha256(whole.ptr, whole.len);
    hash_hex(hash.bytes, sizeof hash.bytes, f->fingerprint);
    return true;
}

static void judge(const struct decide_subject *s, struct cel_budget *budget, struct arena *arena,
                  struct decide_finding *f)
{
    const struct policy *p = s->policy;
    struct error err = {.message = "it is not text"};
    struct value violated, text;
    if (!cel_eval(p->violation, f->slots, budget, arena, &violated, &err)) {
        expression_failed(f, arena, &err);
        return;
    }
    if (violated.kind != VALUE_BOOL) {
        unread(f, STR("D0001"), STR("`violation` is not true or false"), true);
        return;
    }
    f->verdict = violated.b ? VERDICT_VIOLATION : VERDICT_COMPLIANT;
    f->message = p->title;
    if (violated.b && p->message) {
        if (policy_template_eval(p->message, f->slots, budget, arena, &text, &err) &&
            text.kind == VALUE_STRING)
            f->message = value_str(text);
        else
            f->message = str_from(arena_printf(arena, "%.*s (its message failed: %s)",
                                               STR_FMT(p->title), err.message));
    }
}

static bool read_list(const struct decide_subject *s, const struct policy_read *list, size_t count,
                      struct cel_budget *budget, struct arena *arena, struct decide_finding *f)
{
    struct value_builder reads = {.arena = arena};
    struct error err;
    for (size_t i = 0; i < count; i++) {
        const struct policy_read *read = &list[i];
        struct value v;
        if (read->is_let) {
            if (!cel_eval(read->let, f->slots, budget, arena, &v, &err))
                return expression_failed(f, arena, &err);
        } else {
            if (!read_each(s, read, budget, arena, f, &v))
                return false;
            value_set_str(&reads, read->name, v);
        }
        f->slots[read->slot] = v;
    }
    f->reads = value_finish_map(&reads);
    return !reads.failed || unread(f, STR("D0002"), STR("out of memory"), false);
}

/* `each` and undo environments have one slot more than their base. */
static bool prepare_slots(const struct decide_subject *s, unsigned count, struct arena *arena,
                          struct decide_finding *f)
{
    f->slots = ARENA_ARRAY(arena, struct value, count + 8);
    if (!f->slots)
        return unread(f, STR("D0002"), STR("out of memory"), false);
    for (unsigned i = 0; i < count + 8; i++)
        f->slots[i] = cel_unset();
    set_common_slots(s, arena, f->slots);
    return true;
}

void decide_scan(const struct decide_subject *s, struct arena *arena, struct decide_finding *ret,
                 struct value *ret_ids)
{
    const struct policy_scan *scan = &s->policy->scan;
    struct decide_finding f = {.verdict = VERDICT_COMPLIANT};
    struct cel_budget budget = cel_budget_default();
    struct error err;
    struct value ids = value_list(NULL, 0);
    if (prepare_slots(s, scan->slots, arena, &f) &&
        read_list(s, scan->reads, scan->read_count, &budget, arena, &f)) {
        if (!cel_eval(scan->resources, f.slots, &budget, arena, &ids, &err))
            expression_failed(&f, arena, &err);
        else if (ids.kind != VALUE_LIST)
            unread(&f, STR("D0001"), STR("`scan.resources` is not a list"), true);
    }
    *ret = f;
    *ret_ids = ids.kind == VALUE_LIST ? ids : value_list(NULL, 0);
}

void decide_read(const struct decide_subject *s, struct arena *arena, struct decide_finding *ret)
{
    struct decide_finding f = {.id = s->resource.id};
    struct cel_budget budget = cel_budget_default();
    if (prepare_slots(s, s->policy->undo_slots, arena, &f) &&
        read_list(s, s->policy->reads, s->policy->read_count, &budget, arena, &f)) {
        if (set_fingerprint(s, arena, &f))
            judge(s, &budget, arena, &f);
        struct value id;
        struct error err;
        bool named = !s->policy->identity ||
                     policy_template_eval(s->policy->identity, f.slots, &budget, arena, &id, &err);
        if (!named)
            expression_failed(&f, arena, &err);
        else if (s->policy->identity && id.kind != VALUE_STRING)
            unread(&f, STR("D0001"), STR("`resource.identity` is not text"), true);
        else if (s->policy->identity)
            f.id = value_str(id);
    }
    *ret = f;
}

enum aws_wait decide_waited(const struct decide_subject *s, const struct decide_finding *finding,
                            struct arena *arena, struct str *ret_why)
{
    const struct policy_wait *wait = &s->policy->verify_wait;
    struct cel_budget budget = cel_budget_default();
    struct aws_call call;
    struct aws_answer answer;
    struct error err;
    if (!make_call(s, &wait->call, finding->slots, &budget, arena, &call, &err)) {
        *ret_why = str_from(arena_printf(arena, "%s", err.message));
        return AWS_WAIT_ERROR;
    }
    s->caller.call(s->caller.ctx, &call, arena, &answer);
    bool answered = answer.outcome == AWS_OK || answer.outcome == AWS_REFUSED;
    struct aws_waited waited = {.output = answer.output, .status = answer.http_status};
    if (answer.outcome != AWS_OK)
        waited.error = answer.code;
    enum aws_wait verdict = answered ? aws_waiter_judge(&wait->waiter, &waited, arena) //
                                     : AWS_WAIT_AGAIN;
    *ret_why = waited.error.len ? str_from(arena_printf(arena, "%.*s: %.*s", STR_FMT(answer.code),
                                                        STR_FMT(answer.message)))
                                : (struct str){0};
    return verdict;
}
