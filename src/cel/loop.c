// SPDX-License-Identifier: Apache-2.0
/* Comprehensions. Each is a loop of its own over the items of a list or the pairs of a map, without
 * an accumulator; the iteration variables live in cx->locals. Each turn takes its cost and looks
 * whether the budget is used up. */
#include <stdlib.h>

#include "cel/cel_internal.h"

#define EVAL(cx, node) ((node)->eval((cx), (node)))
#define FAILED(v) ((v).kind == CEL_FAILED)

static struct value at_node(struct cel_cx *cx, const struct node *n, struct value v)
{
    if (cx->fail.end == UINT32_MAX) {
        cx->fail.pos = n->pos;
        cx->fail.end = n->end;
    }
    return v;
}

/* Evaluates the range (node a). False: `*ret` is the failure. */
static inline bool open_range(struct cel_cx *cx, const struct node *n, struct value *ret)
{
    *ret = EVAL(cx, n->a);
    if (__builtin_expect(ret->kind == VALUE_LIST || ret->kind == VALUE_MAP, 1))
        return true;
    if (!FAILED(*ret)) {
        cx_fail(cx, "C0201", "%.*s() needs a list or a map, not %s", STR_FMT(n->name),
                cel_value_type_name(*ret));
        *ret = at_node(cx, n->a, cx_failed());
    }
    return false;
}

/* Sets the iteration variables for turn `i`. False when the budget is used up. */
static inline bool turn(struct cel_cx *cx, const struct node *n, struct value range, uint32_t i)
{
    struct value *locals = cx->locals + n->slot;
    bool list = range.kind == VALUE_LIST;
    if (n->width == 1) {
        locals[0] = list ? range.items[i] : range.pairs[i].key;
    } else {
        locals[0] = list ? value_int(i) : range.pairs[i].key;
        locals[1] = list ? range.items[i] : range.pairs[i].value;
    }
    return (cx->cost -= 1) >= 0;
}

static struct value over_cost(struct cel_cx *cx, const struct node *n)
{
    return at_node(cx, n, cx_fail_cost(cx));
}

static struct value not_bool(struct cel_cx *cx, const struct node *n, struct value v)
{
    if (!FAILED(v))
        cx->fail = (struct cel_fail){
            .what = FAIL_BOOL, .code = "C0208", .pos = n->pos, .end = n->end, .a = v};
    return cx_failed();
}

/* all and exists: one deciding turn hides the failures of others. */
static inline struct value quantify(struct cel_cx *cx, const struct node *n, bool decides)
{
    struct value range;
    if (!open_range(cx, n, &range))
        return range;
    bool failed = false;
    struct cel_fail first UNINITIALISED;
    for (uint32_t i = 0; i < range.len; i++) {
        if (!turn(cx, n, range, i))
            return over_cost(cx, n);
        struct value v = EVAL(cx, n->c);
        if (__builtin_expect(v.kind != VALUE_BOOL, 0)) {
            not_bool(cx, n->c, v);
            if (cx->cost < 0)
                return cx_failed();
            if (!failed)
                first = cx->fail;
            failed = true;
        } else if (v.b == decides) {
            return v;
        }
    }
    if (!failed)
        return value_bool(!decides);
    cx->fail = first;
    return cx_failed();
}

static struct value ev_all(struct cel_cx *cx, const struct node *n)
{
    return quantify(cx, n, false);
}

static struct value ev_exists(struct cel_cx *cx, const struct node *n)
{
    return quantify(cx, n, true);
}

/* Evaluates a condition node (NULL = true). False with `*ret_stop` when it failed. */
static inline bool holds(struct cel_cx *cx, const struct node *condition, bool *ret_stop)
{
    if (!condition)
        return true;
    struct value v = EVAL(cx, condition);
    if (__builtin_expect(v.kind == VALUE_BOOL, 1))
        return v.b;
    not_bool(cx, condition, v);
    *ret_stop = true;
    return false;
}

static struct value ev_exists_one(struct cel_cx *cx, const struct node *n)
{
    struct value range;
    uint64_t count = 0;
    bool stop = false;
    if (!open_range(cx, n, &range))
        return range;
    for (uint32_t i = 0; i < range.len; i++) {
        if (!turn(cx, n, range, i))
            return over_cost(cx, n);
        count += holds(cx, n->c, &stop);
        if (stop)
            return cx_failed();
    }
    return value_bool(count == 1);
}

enum turned { TURN_VALUE, TURN_END, TURN_FAILED };

/* The value of the body in the next turn, from `*i` on, that the filter (node b) lets through; or
 * the failure that ends the loop. */
static inline enum turned next_value(struct cel_cx *cx, const struct node *n, struct value range,
                                     uint32_t *i, struct value *ret)
{
    bool stop = false;
    for (; *i < range.len; ++*i) {
        if (!turn(cx, n, range, *i)) {
            *ret = over_cost(cx, n);
            return TURN_FAILED;
        }
        if (holds(cx, n->b, &stop)) {
            *ret = EVAL(cx, n->c);
            return FAILED(*ret) ? TURN_FAILED : TURN_VALUE;
        }
        if (stop) {
            *ret = cx_failed();
            return TURN_FAILED;
        }
    }
    return TURN_END;
}

static struct value *room(struct cel_cx *cx, struct value range)
{
    return cx_alloc(cx, (size_t)range.len * sizeof(struct value));
}

static struct value ev_filter(struct cel_cx *cx, const struct node *n)
{
    struct value range;
    uint32_t count = 0;
    bool stop = false;
    if (!open_range(cx, n, &range))
        return range;
    struct value *items = room(cx, range);
    if (!items)
        return at_node(cx, n, cx_fail_memory(cx));
    for (uint32_t i = 0; i < range.len; i++) {
        if (!turn(cx, n, range, i))
            return over_cost(cx, n);
        if (holds(cx, n->c, &stop))
            items[count++] = range.kind == VALUE_LIST ? range.items[i] : range.pairs[i].key;
        if (stop)
            return cx_failed();
    }
    return value_list(items, count);
}

static struct value ev_map_list(struct cel_cx *cx, const struct node *n)
{
    struct value range, v;
    uint32_t count = 0, i = 0;
    enum turned turned;
    if (!open_range(cx, n, &range))
        return range;
    struct value *items = room(cx, range);
    if (!items)
        return at_node(cx, n, cx_fail_memory(cx));
    for (; (turned = next_value(cx, n, range, &i, &v)) == TURN_VALUE; i++)
        items[count++] = v;
    return turned == TURN_FAILED ? v : value_list(items, count);
}

static struct value finish_map(struct cel_cx *cx, const struct node *n,
                               const struct value_pair *pairs, size_t count)
{
    struct value map;
    size_t duplicate = SIZE_MAX;
    if (!cx_charge(cx, count))
        return over_cost(cx, n);
    if (value_map(cx->arena, pairs, count, &map, &duplicate))
        return map;
    if (!pairs || duplicate == SIZE_MAX)
        return at_node(cx, n, cx_fail_memory(cx));
    struct buf text = {.arena = cx->arena};
    cel_value_print(&text, pairs[duplicate].key, 80);
    return at_node(
        cx, n,
        cx_fail(cx, "C0204", "insert failed: key %.*s already exists", STR_FMT(buf_str(&text))));
}

static struct value ev_transform_map(struct cel_cx *cx, const struct node *n)
{
    struct value range, v;
    size_t count = 0;
    uint32_t i = 0;
    enum turned turned;
    if (!open_range(cx, n, &range))
        return range;
    struct value_pair *pairs = cx_alloc(cx, (size_t)range.len * sizeof *pairs * 2);
    if (!pairs)
        return at_node(cx, n, cx_fail_memory(cx));
    for (; (turned = next_value(cx, n, range, &i, &v)) == TURN_VALUE; i++)
        pairs[count++] =
            (struct value_pair){range.kind == VALUE_LIST ? value_int(i) : range.pairs[i].key, v};
    return turned == TURN_FAILED ? v : finish_map(cx, n, pairs, count);
}

/* A growing array of pairs. */
struct pair_list {
    struct value_pair *items;
    size_t count, cap;
};

static bool add_pairs(struct cel_cx *cx, struct pair_list *list, struct value map)
{
    if (list->count + map.len > list->cap) {
        size_t cap = (list->count + map.len) * 2;
        struct value_pair *more = cx_alloc(cx, cap * sizeof *more);
        if (!more)
            return false;
        if (list->count)
            memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
        list->cap = cap;
    }
    if (map.len)
        memcpy(list->items + list->count, map.pairs, map.len * sizeof *map.pairs);
    list->count += map.len;
    return true;
}

/* Each turn gives a map, whose entries are taken into one. */
static struct value ev_transform_entry(struct cel_cx *cx, const struct node *n)
{
    struct value range, v;
    struct pair_list pairs = {0};
    uint32_t i = 0;
    enum turned turned;
    if (!open_range(cx, n, &range))
        return range;
    for (; (turned = next_value(cx, n, range, &i, &v)) == TURN_VALUE; i++) {
        if (v.kind != VALUE_MAP)
            return at_node(cx, n->c,
                           cx_fail(cx, "C0201",
                                   "transformMapEntry() needs a map for each entry, not %s",
                                   cel_value_type_name(v)));
        if (!add_pairs(cx, &pairs, v))
            return at_node(cx, n, cx_fail_memory(cx));
    }
    return turned == TURN_FAILED ? v : finish_map(cx, n, pairs.items, pairs.count);
}

/* optMap, optFlatMap */
static struct value ev_opt_map(struct cel_cx *cx, const struct node *n)
{
    struct value v = EVAL(cx, n->a);
    if (FAILED(v))
        return v;
    if (v.kind != VALUE_OPTIONAL)
        return at_node(cx, n,
                       cx_fail(cx, "C0201", "no such overload: %.*s() on %s", STR_FMT(n->name),
                               cel_value_type_name(v)));
    if (!v.opaque)
        return v;
    cx->locals[n->slot] = *(const struct value *)v.opaque;
    cx->cost--;
    struct value mapped = EVAL(cx, n->c);
    if (FAILED(mapped))
        return mapped;
    if (n->loop == LOOP_OPT_FLAT_MAP) {
        if (mapped.kind == VALUE_OPTIONAL)
            return mapped;
        return at_node(cx, n->c,
                       cx_fail(cx, "C0201", "optFlatMap() needs an optional, not %s",
                               cel_value_type_name(mapped)));
    }
    mapped = cx_optional(cx, mapped);
    return FAILED(mapped) ? at_node(cx, n, mapped) : mapped;
}

/* ---- sortBy: a merge sort of (key, item), stable ---- */

/* 0, or what cel_compare() said of two keys that have no order. */
static int merge_sort(struct value_pair *pairs, struct value_pair *spare, size_t count)
{
    if (count < 2)
        return 0;
    size_t half = count / 2, a = 0, b = half, out = 0;
    int wrong = merge_sort(pairs, spare, half);
    if (!wrong)
        wrong = merge_sort(pairs + half, spare, count - half);
    if (wrong)
        return wrong;
    while (a < half && b < count) {
        int order = cel_compare(pairs[a].key, pairs[b].key);
        if (order > 1)
            return order;
        spare[out++] = order <= 0 ? pairs[a++] : pairs[b++];
    }
    while (a < half)
        spare[out++] = pairs[a++];
    memcpy(pairs, spare, out * sizeof *pairs);
    return 0;
}

struct value sort_by_keys(struct cel_cx *cx, struct value_pair *pairs, size_t count)
{
    struct value_pair *spare = cx_alloc(cx, count * sizeof *spare);
    struct value *items = cx_alloc(cx, count * sizeof *items);
    if (!spare || !items)
        return cx_fail_memory(cx);
    if (!cx_charge(cx, count * 8))
        return cx_fail_cost(cx);
    if (count && (pairs[0].key.kind == VALUE_LIST || pairs[0].key.kind == VALUE_MAP))
        return cx_fail(cx, "C0201", "values of type %s cannot be sorted",
                       cel_value_type_name(pairs[0].key));
    int wrong = merge_sort(pairs, spare, count);
    if (wrong == 3)
        return cx_fail(cx, "C0206", "NaN values cannot be ordered");
    if (wrong)
        return cx_fail(cx, "C0201", "values to sort must all be of one comparable type");
    for (size_t i = 0; i < count; i++)
        items[i] = pairs[i].value;
    return value_list(items, count);
}

static struct value ev_sort_by(struct cel_cx *cx, const struct node *n)
{
    struct value range, key;
    uint32_t i = 0;
    enum turned turned;
    if (!open_range(cx, n, &range))
        return range;
    struct value_pair *pairs = cx_alloc(cx, (size_t)range.len * sizeof *pairs);
    if (!pairs)
        return at_node(cx, n, cx_fail_memory(cx));
    for (; (turned = next_value(cx, n, range, &i, &key)) == TURN_VALUE; i++)
        pairs[i] = (struct value_pair){key, cx->locals[n->slot]};
    if (turned == TURN_FAILED)
        return key;
    struct value sorted = sort_by_keys(cx, pairs, range.len);
    return FAILED(sorted) ? at_node(cx, n, sorted) : sorted;
}

node_fn loop_evaluator(enum loop_kind loop)
{
    static const node_fn evaluators[] = {
        [LOOP_ALL] = ev_all,
        [LOOP_EXISTS] = ev_exists,
        [LOOP_EXISTS_ONE] = ev_exists_one,
        [LOOP_MAP] = ev_map_list,
        [LOOP_FILTER] = ev_filter,
        [LOOP_TRANSFORM_MAP] = ev_transform_map,
        [LOOP_TRANSFORM_MAP_ENTRY] = ev_transform_entry,
        [LOOP_OPT_MAP] = ev_opt_map,
        [LOOP_OPT_FLAT_MAP] = ev_opt_map,
        [LOOP_SORT_BY] = ev_sort_by,
    };
    return evaluators[loop];
}
