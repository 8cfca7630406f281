// SPDX-License-Identifier: Apache-2.0
/* JMESPath: walking the tree. A missing thing is null, not an error; wrong kinds given to functions
 * are errors. Depth is bounded by the parser. */
#include "aws/jmespath_internal.h"

bool jmespath_is_true(struct value v)
{
    switch (v.kind) {
    case VALUE_NULL:
        return false;
    case VALUE_BOOL:
        return v.b;
    case VALUE_STRING:
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP:
        return v.len > 0;
    default:
        return true;
    }
}

bool jmespath_is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_UINT || v.kind == VALUE_DOUBLE;
}

double jmespath_double(struct value v)
{
    return v.kind == VALUE_INT ? (double)v.i : v.kind == VALUE_UINT ? (double)v.u : v.d;
}

static struct value index_of(struct value list, int64_t at)
{
    if (list.kind != VALUE_LIST)
        return value_null();
    if (at < 0)
        at += list.len;
    return at >= 0 && at < list.len ? list.items[at] : value_null();
}

static int64_t clamp(int64_t at, int64_t length, int64_t low, int64_t high)
{
    if (at < 0)
        at = at < -length ? -1 : at + length;
    return at < low ? low : at > high ? high : at;
}

static bool evaluate_slice(struct evaluator *e, const struct aws_jmespath *node, struct value list,
                           struct value *ret)
{
    int64_t step = node->has_part[2] ? node->part[2] : 1, length = list.len;
    *ret = value_null();
    if (list.kind != VALUE_LIST)
        return true;
    if (step == 0)
        return error_set(e->err, "A0334", "JMESPath: the step of a slice cannot be 0");
    bool up = step > 0;
    int64_t low = up ? 0 : -1, high = up ? length : length - 1;
    int64_t start = node->has_part[0] ? clamp(node->part[0], length, low, high) : up ? 0 : high;
    int64_t stop = node->has_part[1] ? clamp(node->part[1], length, low, high) : up ? high : -1;
    if (step > length + 1)
        step = length + 1;
    if (step < -length - 1)
        step = -length - 1;
    struct value_builder out = {.arena = e->arena};
    for (int64_t i = start; up ? i < stop : i > stop; i += step)
        value_push(&out, list.items[i]);
    *ret = value_finish_list(&out);
    return true;
}

/* `right` of each item, nulls left out. */
static bool project_items(struct evaluator *e, const struct aws_jmespath *node, struct value list,
                          struct value *ret)
{
    struct value_builder out = {.arena = e->arena};
    for (uint32_t i = 0; i < list.len; i++) {
        struct value item = list.items[i], v;
        if (node->kind == NODE_FILTER) {
            if (!jmespath_node(e, node->child, item, &v))
                return false;
            if (!jmespath_is_true(v))
                continue;
        }
        if (!jmespath_node(e, node->right, item, &v))
            return false;
        if (v.kind != VALUE_NULL)
            value_push(&out, v);
    }
    *ret = value_finish_list(&out);
    return true;
}

static bool project_values(struct evaluator *e, const struct aws_jmespath *node, struct value map,
                           struct value *ret)
{
    struct value_builder out = {.arena = e->arena};
    for (uint32_t i = 0; i < map.len; i++) {
        struct value v;
        if (!jmespath_node(e, node->right, map.pairs[i].value, &v))
            return false;
        if (v.kind != VALUE_NULL)
            value_push(&out, v);
    }
    *ret = value_finish_list(&out);
    return true;
}

static struct value flattened(struct evaluator *e, struct value list)
{
    struct value_builder out = {.arena = e->arena};
    if (list.kind != VALUE_LIST)
        return value_null();
    for (uint32_t i = 0; i < list.len; i++) {
        struct value item = list.items[i];
        if (item.kind != VALUE_LIST) {
            value_push(&out, item);
            continue;
        }
        for (uint32_t k = 0; k < item.len; k++)
            value_push(&out, item.items[k]);
    }
    return value_finish_list(&out);
}

static bool evaluate_list(struct evaluator *e, const struct aws_jmespath *node, struct value input,
                          struct value *ret)
{
    struct value_builder out = {.arena = e->arena};
    *ret = value_null();
    if (input.kind == VALUE_NULL)
        return true;
    for (size_t i = 0; i < node->child_count; i++) {
        struct value v;
        if (!jmespath_node(e, node->children[i], input, &v))
            return false;
        if (node->kind == NODE_HASH)
            value_set_str(&out, node->names[i], v);
        else
            value_push(&out, v);
    }
    *ret = node->kind == NODE_HASH ? value_finish_map(&out) : value_finish_list(&out);
    return true;
}

static int compare_numbers(struct value a, struct value b)
{
    if (a.kind == VALUE_INT && b.kind == VALUE_INT)
        return (a.i > b.i) - (a.i < b.i);
    double x = jmespath_double(a), y = jmespath_double(b);
    return (x > y) - (x < y);
}

static struct value compare(enum comparator comparator, struct value a, struct value b)
{
    if (comparator == COMPARE_EQ || comparator == COMPARE_NE)
        return value_bool(value_equal(a, b) == (comparator == COMPARE_EQ));
    if (!jmespath_is_number(a) || !jmespath_is_number(b))
        return value_null();
    int order = compare_numbers(a, b);
    switch (comparator) {
    case COMPARE_LT:
        return value_bool(order < 0);
    case COMPARE_LE:
        return value_bool(order <= 0);
    case COMPARE_GT:
        return value_bool(order > 0);
    default:
        return value_bool(order >= 0);
    }
}

static bool evaluate_call(struct evaluator *e, const struct aws_jmespath *node, struct value input,
                          struct value *ret)
{
    struct argument *args = ARENA_ARRAY(e->arena, struct argument, node->child_count + 1);
    if (!args)
        return error_set(e->err, "A0335", "JMESPath: out of memory");
    for (size_t i = 0; i < node->child_count; i++) {
        const struct aws_jmespath *child = node->children[i];
        if (child->kind == NODE_REFERENCE)
            args[i].reference = child->left;
        else if (!jmespath_node(e, child, input, &args[i].value))
            return false;
    }
    return jmespath_call(e, node->text, args, node->child_count, ret);
}

/* Nodes whose value is that of the left side, worked on. */
static bool evaluate_left(struct evaluator *e, const struct aws_jmespath *node, struct value left,
                          struct value input, struct value *ret)
{
    switch (node->kind) {
    case NODE_SUB:
        return jmespath_node(e, node->right, left, ret);
    case NODE_PROJECT_LIST:
    case NODE_FILTER:
        *ret = value_null();
        return left.kind != VALUE_LIST || project_items(e, node, left, ret);
    case NODE_PROJECT_VALUES:
        *ret = value_null();
        return left.kind != VALUE_MAP || project_values(e, node, left, ret);
    case NODE_FLATTEN:
        *ret = flattened(e, left);
        return true;
    case NODE_NOT:
        *ret = value_bool(!jmespath_is_true(left));
        return true;
    case NODE_OR:
    case NODE_AND:
        *ret = left;
        return jmespath_is_true(left) == (node->kind == NODE_OR) ||
               jmespath_node(e, node->right, input, ret);
    default:
        return error_set(e->err, "A0335", "JMESPath: a node of no known kind");
    }
}

bool jmespath_node(struct evaluator *e, const struct aws_jmespath *node, struct value input,
                   struct value *ret)
{
    struct value left, right;
    const struct value *found;
    switch (node->kind) {
    case NODE_CURRENT:
        *ret = input;
        return true;
    case NODE_LITERAL:
        *ret = node->value;
        return true;
    case NODE_FIELD:
        found = value_get(input, node->text);
        *ret = found ? *found : value_null();
        return true;
    case NODE_INDEX:
        *ret = index_of(input, node->number);
        return true;
    case NODE_SLICE:
        return evaluate_slice(e, node, input, ret);
    case NODE_LIST:
    case NODE_HASH:
        return evaluate_list(e, node, input, ret);
    case NODE_CALL:
        return evaluate_call(e, node, input, ret);
    case NODE_COMPARE:
        if (!jmespath_node(e, node->left, input, &left) ||
            !jmespath_node(e, node->right, input, &right))
            return false;
        *ret = compare(node->comparator, left, right);
        return true;
    case NODE_REFERENCE:
        return error_set(e->err, "A0331", "JMESPath: `&` stands only in a function's arguments");
    default:
        return jmespath_node(e, node->left, input, &left) &&
               evaluate_left(e, node, left, input, ret);
    }
}

bool aws_jmespath_evaluate(const struct aws_jmespath *expression, struct value input,
                           struct arena *arena, struct value *ret, struct error *err)
{
    struct evaluator e = {arena, err};
    struct value v;
    if (!jmespath_node(&e, expression, input, &v))
        return false;
    *ret = v;
    return true;
}
