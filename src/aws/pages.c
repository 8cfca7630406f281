// SPDX-License-Identifier: Apache-2.0
/* All pages of a read. Paginators whose tokens are plain member names are followed; any other, and any
 * page that is missing, makes the whole read fail: half a list is no list. */
#include "aws/aws_internal.h"

#include "base/limits.h"

static bool is_plain(const struct value *v)
{
    if (!v || v->kind != VALUE_STRING || v->len == 0)
        return false;
    for (uint32_t i = 0; i < v->len; i++) {
        char c = v->str[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

static void failed(struct aws_answer *ret, const char *code, const char *message)
{
    *ret = (struct aws_answer){.outcome = AWS_FAILED, .code = str_from(code), .message = str_from(message)};
}

static struct value with_member(struct value map, struct str name, struct value v, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; map.kind == VALUE_MAP && i < map.len; i++)
        value_set_str(&out, value_str(map.pairs[i].key), map.pairs[i].value);
    value_set_str(&out, name, v);
    return value_finish_map(&out);
}

/* `all` with the lists of `page` appended. */
static struct value append_page(struct value all, struct value page, const struct value *keys, struct arena *arena)
{
    size_t count = keys->kind == VALUE_LIST ? keys->len : 1;
    for (size_t i = 0; i < count; i++) {
        struct str key = value_str(keys->kind == VALUE_LIST ? keys->items[i] : *keys);
        const struct value *old = value_get(all, key), *more = value_get(page, key);
        struct value_builder list = {.arena = arena};
        if (!more || more->kind != VALUE_LIST)
            continue;
        for (uint32_t k = 0; old && old->kind == VALUE_LIST && k < old->len; k++)
            value_push(&list, old->items[k]);
        for (uint32_t k = 0; k < more->len; k++)
            value_push(&list, more->items[k]);
        all = with_member(all, key, value_finish_list(&list), arena);
    }
    return all;
}

static bool keys_are_plain(const struct value *keys)
{
    if (!keys || keys->kind != VALUE_LIST)
        return is_plain(keys);
    for (uint32_t i = 0; i < keys->len; i++)
        if (!is_plain(&keys->items[i]))
            return false;
    return true;
}

static bool token_is_set(const struct value *token)
{
    return token && !(token->kind == VALUE_STRING && token->len == 0) && token->kind != VALUE_NULL;
}

void aws_call_pages(struct aws_caller caller, const struct aws_call *call, struct arena *arena, struct aws_answer *ret)
{
    const struct value *p = call->operation->paginator;
    const struct value *in = p ? value_get(*p, STR("input_token")) : NULL;
    const struct value *out = p ? value_get(*p, STR("output_token")) : NULL;
    const struct value *keys = p ? value_get(*p, STR("result_key")) : NULL;
    struct aws_answer first;
    caller.call(caller.ctx, call, arena, &first);
    if (first.outcome != AWS_OK || !p) {
        *ret = first;
        return;
    }
    if (!is_plain(in) || !is_plain(out) || !keys_are_plain(keys)) {
        const struct value *more = value_get(*p, STR("more_results"));
        const struct value *cut = is_plain(more) ? value_get(first.output, value_str(*more)) : NULL;
        if (cut && cut->kind == VALUE_BOOL && !cut->b)
            *ret = first;
        else
            failed(ret, "A0320", "this operation's pages cannot be followed");
        return;
    }
    struct value all = first.output, last = value_null();
    const struct value *token = value_get(first.output, value_str(*out));
    for (unsigned page = 1; token_is_set(token); page++) {
        struct aws_call next = *call;
        struct aws_answer answer;
        if (page >= LIMIT_PAGES || value_equal(*token, last)) {
            failed(ret, "A0321", page >= LIMIT_PAGES ? "more than 10000 pages" : "the service gave the same page token twice");
            return;
        }
        last = *token;
        next.input = with_member(call->input, value_str(*in), *token, arena);
        caller.call(caller.ctx, &next, arena, &answer);
        if (answer.outcome != AWS_OK) {
            *ret = answer;
            return;
        }
        all = append_page(all, answer.output, keys, arena);
        token = value_get(answer.output, value_str(*out));
    }
    *ret = first;
    ret->output = all;
}
