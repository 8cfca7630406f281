// SPDX-License-Identifier: Apache-2.0
/* The one table of functions: what the checker, the planner, the documentation and the tests of the
 * examples know about them comes from the groups named here. Constant; any thread. */
#include "cel/cel_internal.h"

static const struct cel_group *const groups[] = {
    &group_core, &group_macros,   &group_strings, &group_math,  &group_optionals, &group_lists,
    &group_sets, &group_encoders, &group_network, &group_regex, &group_cloud,     &group_iam,
};
#define GROUPS (sizeof groups / sizeof *groups)

const struct cel_group *const *function_groups(unsigned *ret_count)
{
    *ret_count = GROUPS;
    return groups;
}

static const struct cel_function *function_after(const struct cel_group *group, struct str name,
                                                 unsigned *at)
{
    for (; *at < group->count; (*at)++) {
        const char *candidate = group->functions[*at].name;
        if (strncmp(candidate, name.ptr, name.len) == 0 && candidate[name.len] == '\0')
            return &group->functions[(*at)++];
    }
    return NULL;
}

struct overload_list {
    struct arena *arena;
    const struct cel_overload **items;
    unsigned count, cap;
};

static void push(struct overload_list *list, const struct cel_overload *overload)
{
    if (list->count == list->cap) {
        unsigned cap = list->cap ? list->cap * 2 : 12;
        const struct cel_overload **items =
            arena_grow(list->arena, list->items, list->cap * sizeof *items, cap * sizeof *items);
        if (!items)
            return;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = overload;
}

static void find_declared(const struct cel_env *env, struct overload_list *list, struct str name,
                          bool member, bool *ret_known)
{
    for (; env; env = env->parent) {
        for (const struct cel_declared *d = env->declared; d; d = d->next) {
            if (!str_eq(d->name, name))
                continue;
            *ret_known = true;
            for (unsigned i = 0; i < d->count; i++)
                if (d->overloads[i].member == member)
                    push(list, &d->overloads[i]);
        }
    }
}

unsigned function_find(const struct cel_env *env, struct arena *arena, struct str name, bool member,
                       const struct cel_overload ***ret, bool *ret_known)
{
    struct overload_list list = {.arena = arena};
    *ret_known = false;
    find_declared(env, &list, name, member, ret_known);
    for (size_t g = 0; g < GROUPS; g++) {
        if (env->options.core_only && !groups[g]->core)
            continue;
        const struct cel_function *function;
        for (unsigned at = 0; (function = function_after(groups[g], name, &at));) {
            *ret_known |= function->count > 0;
            for (unsigned i = 0; i < function->count; i++)
                if (function->overloads[i].member == member)
                    push(&list, &function->overloads[i]);
        }
    }
    *ret = list.items;
    return list.count;
}

const char *function_nearest(const struct cel_env *env, struct str name, bool member)
{
    const char *names[512];
    size_t count = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        for (unsigned i = 0; i < groups[g]->count && count < 512; i++) {
            const struct cel_function *function = &groups[g]->functions[i];
            bool fits = function->count == 0;
            for (unsigned k = 0; k < function->count; k++)
                fits |= function->overloads[k].member == member;
            if (fits && function->name[0] != '_' && function->name[0] != '@' &&
                (groups[g]->core || !env->options.core_only))
                names[count++] = function->name;
        }
    }
    return str_nearest(name, names, count);
}

static const struct cel_function *function_number(size_t position, const char **ret_group)
{
    for (size_t g = 0; g < GROUPS; g++) {
        if (position < groups[g]->count) {
            *ret_group = groups[g]->name;
            return &groups[g]->functions[position];
        }
        position -= groups[g]->count;
    }
    return NULL;
}

bool cel_function_at(size_t position, struct cel_function_help *ret)
{
    const char *group;
    const struct cel_function *function = function_number(position, &group);
    if (!function)
        return false;
    *ret = (struct cel_function_help){function->name, group, function->help, function->example};
    return true;
}

void cel_function_overloads(struct buf *out, size_t position)
{
    const char *group;
    const struct cel_function *function = function_number(position, &group);
    for (unsigned i = 0; function && i < function->count; i++) {
        const struct cel_overload *overload = &function->overloads[i];
        unsigned first = overload->member;
        if (first)
            buf_printf(out, "%s.", cel_type_text(out->arena, overload->args[0]));
        buf_printf(out, "%s(", function->name);
        for (unsigned k = first; k < overload->count; k++)
            buf_printf(out, "%s%s", k > first ? ", " : "",
                       cel_type_text(out->arena, overload->args[k]));
        buf_printf(out, ") -> %s\n", cel_type_text(out->arena, overload->result));
    }
}

/* ---- macros, which have no overloads ---- */

static const struct cel_function macros[] = {
    {"has", "Is the field there? has(a.b) is an error only when `a` itself is missing.",
     "!has({'a': 1}.b)", NULL, 0},
    {"all",
     "Does the condition hold for every item (or key)? With two variables: position and item, or "
     "key and value.",
     "[1, 2].all(x, x > 0)", NULL, 0},
    {"exists", "Does the condition hold for an item (or key)?",
     "{'a': 1}.exists(k, v, k == 'a' && v == 1)", NULL, 0},
    {"exists_one", "Does the condition hold for exactly one item?", "[1, 2].exists_one(x, x > 1)",
     NULL, 0},
    {"existsOne", "The same as exists_one.", "[1, 2].existsOne(i, x, x > 1)", NULL, 0},
    {"map",
     "A list of the expression's value for each item; with three arguments only for those where "
     "the "
     "second holds.",
     "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]", NULL, 0},
    {"filter", "The items for which the condition holds.", "[1, 2, 3].filter(x, x > 1) == [2, 3]",
     NULL, 0},
    {"transformList", "A list from positions and items, or keys and values, optionally filtered.",
     "['a', 'b'].transformList(i, v, v + string(i)) == ['a0', 'b1']", NULL, 0},
    {"transformMap", "A map with the same keys (or positions) and new values, optionally filtered.",
     "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}", NULL, 0},
    {"transformMapEntry", "A map from the maps that the expression gives; a key twice is an error.",
     "{'a': 1}.transformMapEntry(k, v, {v: k}) == {1: 'a'}", NULL, 0},
    {"cel.bind", "Names a value for use in the last argument.", "cel.bind(x, 2 + 3, x * x) == 25",
     NULL, 0},
    {"optMap", "The expression of an optional's value, or none.",
     "optional.of(2).optMap(x, x + 1).orValue(0) == 3", NULL, 0},
    {"optFlatMap", "The same for an expression that is an optional.",
     "{'a': {'b': 1}}.?a.optFlatMap(x, x.?b).orValue(0) == 1", NULL, 0},
    {"sortBy", "The items in the order of the expression's values.",
     "[{'n': 2}, {'n': 1}].sortBy(x, x.n)[0].n == 1", NULL, 0},
    {"math.greatest", "The greatest of numbers, or of a list of them.",
     "math.greatest(1, 3.5, 2u) == 3.5", NULL, 0},
    {"math.least", "The least of numbers, or of a list of them.", "math.least([2, 1]) == 1", NULL,
     0},
};

const struct cel_group group_macros = {"macros", true, OVERLOADS(macros)};
