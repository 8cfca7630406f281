// SPDX-License-Identifier: Apache-2.0
/* All pages of a read, as the operation's paginator says.
 *
 *   input ──► call ──► output ─┬─ result keys: appended to what the pages before gave
 *     ▲                        ├─ more_results: false ends
 *     └── tokens ◄─────────────┘  no token at all ends; the same tokens twice are an error
 *
 * A page that fails makes the whole read fail: half a list is no list. */
#include "aws/pages.h"

#include "base/limits.h"

#define PAGER_KEYS_MAX 8

struct expressions {
    size_t count;
    struct str text[PAGER_KEYS_MAX];
    const struct aws_jmespath *compiled[PAGER_KEYS_MAX];
};

/* A list's items so far. They are collected apart and put together once. */
struct joined {
    struct value_builder items; // lists
    struct value last;          // strings and numbers
    bool any;
};

struct aws_pager {
    struct arena *arena;
    struct expressions inputs, outputs, results;
    const struct aws_jmespath *more;
    struct value tokens[PAGER_KEYS_MAX];
    bool has_tokens;
    struct joined joined[PAGER_KEYS_MAX];
    struct value first;
    unsigned pages;
};

/* ---- reading the model ---- */

static bool add_expression(struct expressions *list, struct value v, struct arena *arena,
                           struct error *err)
{
    if (list->count == PAGER_KEYS_MAX || v.kind != VALUE_STRING)
        return error_set(err, "A0326", "the paginator of the model is malformed");
    list->text[list->count] = value_str(v);
    list->compiled[list->count] = aws_jmespath_compile(value_str(v), arena, err);
    return list->compiled[list->count++] != NULL;
}

/* One string or a list of them. */
static bool read_expressions(struct value paginator, const char *key, struct arena *arena,
                             struct expressions *list, struct error *err)
{
    const struct value *v = value_get(paginator, str_from(key));
    if (!v || v->kind != VALUE_LIST)
        return !v || v->kind == VALUE_NULL || add_expression(list, *v, arena, err);
    for (uint32_t i = 0; i < v->len; i++) {
        if (!add_expression(list, v->items[i], arena, err))
            return false;
    }
    return true;
}

struct aws_pager *aws_pager_create(struct value paginator, struct arena *arena, struct error *err)
{
    struct aws_pager *pager = ARENA_NEW(arena, struct aws_pager);
    if (!pager) {
        error_set(err, "A0326", "out of memory");
        return NULL;
    }
    pager->arena = arena;
    struct expressions more = {0};
    if (!read_expressions(paginator, "input_token", arena, &pager->inputs, err) ||
        !read_expressions(paginator, "output_token", arena, &pager->outputs, err) ||
        !read_expressions(paginator, "result_key", arena, &pager->results, err) ||
        !read_expressions(paginator, "more_results", arena, &more, err))
        return NULL;
    if (pager->inputs.count == 0 || pager->inputs.count != pager->outputs.count || more.count > 1) {
        error_set(err, "A0326", "the paginator of the model is malformed");
        return NULL;
    }
    pager->more = more.count ? more.compiled[0] : NULL;
    for (size_t i = 0; i < PAGER_KEYS_MAX; i++)
        pager->joined[i].items.arena = arena;
    return pager;
}

/* ---- tokens ---- */

static struct value look(const struct aws_jmespath *expression, struct value v, struct arena *arena)
{
    struct value found;
    return aws_jmespath_evaluate(expression, v, arena, &found, NULL) ? found : value_null();
}

static bool is_true(struct value v)
{
    if (v.kind == VALUE_BOOL)
        return v.b;
    bool sized = v.kind == VALUE_STRING || v.kind == VALUE_LIST || v.kind == VALUE_MAP;
    return v.kind != VALUE_NULL && !(sized && v.len == 0) && !(v.kind == VALUE_INT && v.i == 0);
}

/* Reads the tokens of a page. False when there is none: that was the last. */
static bool take_tokens(struct aws_pager *pager, struct value output, struct arena *arena,
                        bool *ret_same)
{
    bool any = false, same = pager->has_tokens;
    if (pager->more && !is_true(look(pager->more, output, arena)))
        return false;
    for (size_t i = 0; i < pager->outputs.count; i++) {
        struct value token = look(pager->outputs.compiled[i], output, arena), kept;
        if (!is_true(token) && token.kind != VALUE_INT)
            token = value_null();
        any |= is_true(token);
        same = same && value_equal(token, pager->tokens[i]);
        pager->tokens[i] = value_copy(pager->arena, token, &kept) ? kept : value_null();
    }
    pager->has_tokens = any;
    *ret_same = any && same;
    return any;
}

/* `map` with one member set, or (v null) taken away. */
static struct value with_member(struct value map, struct str name, struct value v,
                                struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (uint32_t i = 0; map.kind == VALUE_MAP && i < map.len; i++) {
        if (!str_eq(value_str(map.pairs[i].key), name))
            value_set_str(&out, value_str(map.pairs[i].key), map.pairs[i].value);
        else if (v.kind != VALUE_NULL)
            value_set_str(&out, name, v);
    }
    if (v.kind != VALUE_NULL && !value_get(map, name))
        value_set_str(&out, name, v);
    return value_finish_map(&out);
}

/* Sets what a dotted path names: "a.b" makes the maps in between. */
static struct value with_path(struct value map, struct str path, struct value v,
                              struct arena *arena)
{
    struct str rest = path;
    struct str name = str_cut(&rest, '.');
    if (!rest.len)
        return with_member(map, name, v, arena);
    const struct value *inner = value_get(map, name);
    struct value below = inner ? *inner : (struct value){.kind = VALUE_MAP};
    return with_member(map, name, with_path(below, rest, v, arena), arena);
}

struct value aws_pager_input(const struct aws_pager *pager, struct value input, struct arena *arena)
{
    for (size_t i = 0; pager->has_tokens && i < pager->inputs.count; i++)
        input = with_path(input, pager->inputs.text[i], pager->tokens[i], arena);
    return input;
}

/* ---- results ---- */

static bool join(struct aws_pager *pager, size_t i, struct value v)
{
    struct joined *joined = &pager->joined[i];
    if (v.kind == VALUE_LIST) {
        for (uint32_t k = 0; k < v.len; k++)
            value_push(&joined->items, v.items[k]);
        joined->any = true;
    } else if (v.kind == VALUE_INT && joined->last.kind == VALUE_INT) {
        joined->last.i += v.i;
    } else if (v.kind == VALUE_STRING && joined->last.kind == VALUE_STRING) {
        const char *both = arena_printf(pager->arena, "%.*s%.*s", STR_FMT(value_str(joined->last)),
                                        STR_FMT(value_str(v)));
        joined->last = value_string(str_from(both));
    } else if (v.kind != VALUE_NULL) {
        joined->last = v;
    }
    return !joined->items.failed;
}

bool aws_pager_take(struct aws_pager *pager, struct value output, struct arena *arena,
                    bool *ret_more, struct error *err)
{
    if (pager->pages++ == 0)
        pager->first = output;
    for (size_t i = 0; i < pager->results.count; i++) {
        if (!join(pager, i, look(pager->results.compiled[i], output, arena)))
            return error_set(err, "A0326", "out of memory for the pages");
    }
    bool same = false;
    *ret_more = take_tokens(pager, output, arena, &same);
    return !same || error_set(err, "A0327", "the service gave the same page token twice");
}

struct value aws_pager_result(const struct aws_pager *pager)
{
    struct value result = pager->first;
    for (size_t i = 0; i < pager->results.count; i++) {
        struct value_builder items = pager->joined[i].items;
        struct value v = pager->joined[i].any ? value_finish_list(&items) : pager->joined[i].last;
        if (v.kind != VALUE_NULL)
            result = with_path(result, pager->results.text[i], v, pager->arena);
    }
    return result;
}

/* ---- calling ---- */

static void fail(struct aws_answer *ret, struct arena *arena, const struct error *err)
{
    const char *message = arena_printf(arena, "%s", err->message);
    ret->outcome = AWS_FAILED;
    ret->output = value_null();
    ret->code = str_from(err->code);
    ret->message = str_from(message);
}

void aws_call_pages(struct aws_caller caller, const struct aws_call *call, struct arena *arena,
                    struct aws_answer *ret)
{
    struct error err;
    if (!call->operation->paginator) {
        caller.call(caller.ctx, call, arena, ret);
        return;
    }
    struct aws_pager *pager = aws_pager_create(*call->operation->paginator, arena, &err);
    *ret = (struct aws_answer){.outcome = AWS_FAILED};
    bool more = pager != NULL;
    if (!pager)
        fail(ret, arena, &err);
    for (unsigned page = 0; more; page++) {
        struct aws_call next = *call;
        if (page == LIMIT_PAGES) {
            error_set(&err, "A0328", "there are more than %u pages", LIMIT_PAGES);
            fail(ret, arena, &err);
            return;
        }
        next.input = aws_pager_input(pager, call->input, arena);
        next.attempt = page ? 0 : call->attempt; // one page answered, so the next is a first try
        caller.call(caller.ctx, &next, arena, ret);
        if (ret->outcome != AWS_OK)
            return;
        if (!aws_pager_take(pager, ret->output, arena, &more, &err)) {
            fail(ret, arena, &err);
            return;
        }
    }
    if (pager)
        ret->output = aws_pager_result(pager);
}
