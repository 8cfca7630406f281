// SPDX-License-Identifier: Apache-2.0
/* The one table of functions: what the checker, the planner, the documentation and the tests of the
 * examples know about them comes from the groups named here. Constant; any thread. */
#include <ctype.h>

#include "cel/cel_internal.h"

static const struct cel_group *const groups[] = {
    &group_core,      &group_logic, &group_macros, &group_strings,  &group_math,
    &group_optionals, &group_lists, &group_sets,   &group_encoders, &group_network,
    &group_regex,     &group_cloud, &group_iam,
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
            if (fits && isalpha((unsigned char)function->name[0]) &&
                (groups[g]->core || !env->options.core_only))
                names[count++] = function->name;
        }
    }
    return str_nearest(name, names, count);
}

const char *operator_symbol(struct str name)
{
    static const char *const operators[][2] = {
        {"_+_", "+"},   {"_-_", "-"},     {"_*_", "*"},   {"_/_", "/"},
        {"_%_", "%"},   {"_==_", "=="},   {"_!=_", "!="}, {"_<_", "<"},
        {"_<=_", "<="}, {"_>_", ">"},     {"_>=_", ">="}, {"@in", "in"},
        {"_[_]", "[]"}, {"_[?_]", "[?]"}, {"!_", "!"},    {"-_", "-"}};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (str_is(name, operators[i][0]))
            return operators[i][1];
    return NULL;
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
    const char *symbol = operator_symbol(str_from(function->name));
    *ret = (struct cel_function_help){symbol ? symbol : function->name, group, function->help,
                                      function->example};
    return true;
}

/* "int + int", "list(A)[int]", "!bool": `form` has an argument at each underscore. */
static void add_operator(struct buf *out, const char *form, const struct cel_overload *overload)
{
    unsigned at = 0;
    if (strcmp(form, "@in") == 0)
        form = "_in_";
    bool spaced = form[0] == '_' && !strchr(form, '[') && overload->count == 2;
    for (const char *p = form; *p; p++) {
        if (*p == '_' && at < overload->count)
            buf_add_cstr(out, cel_type_text(out->arena, overload->args[at++]));
        else
            buf_add_byte(out, *p);
        bool edge = (*p == '_' && at == 1) || (*p != '_' && p[1] == '_');
        if (spaced && edge)
            buf_add_byte(out, ' ');
    }
}

static void add_call(struct buf *out, const char *name, const struct cel_overload *overload)
{
    unsigned first = overload->member;
    if (first)
        buf_printf(out, "%s.", cel_type_text(out->arena, overload->args[0]));
    buf_printf(out, "%s(", name);
    for (unsigned k = first; k < overload->count; k++)
        buf_printf(out, "%s%s", k > first ? ", " : "",
                   cel_type_text(out->arena, overload->args[k]));
    buf_add_byte(out, ')');
}

void cel_function_overloads(struct buf *out, size_t position)
{
    const char *group;
    const struct cel_function *function = function_number(position, &group);
    if (function && function->forms)
        buf_add_cstr(out, function->forms);
    for (unsigned i = 0; function && i < function->count; i++) {
        const struct cel_overload *overload = &function->overloads[i];
        if (operator_symbol(str_from(function->name)))
            add_operator(out, function->name, overload);
        else
            add_call(out, function->name, overload);
        buf_printf(out, " -> %s\n", cel_type_text(out->arena, overload->result));
    }
}

/* ---- macros, which have no overloads ---- */

#define MACRO(name_, help_, example_, forms_)                                                      \
    {                                                                                              \
        .name = (name_), .help = (help_), .example = (example_), .forms = (forms_)                 \
    }

static const struct cel_function macros[] = {
    MACRO("has",
          "Is the field there? has(a.b) is an error only when `a` itself is missing or is no map.",
          "!has({'a': 1}.b)", "has(a.field) -> bool\n"),
    MACRO("all",
          "Does the condition hold for every item (or key)? With two variables: position and item, "
          "or key and value. One item for which it does not hides the errors of others.",
          "[1, 2].all(x, x > 0)",
          "list.all(item, bool) -> bool\nmap.all(key, bool) -> bool\n"
          "list.all(position, item, bool) -> bool\nmap.all(key, value, bool) -> bool\n"),
    MACRO("exists",
          "Does the condition hold for an item (or key)? One for which it does hides the errors of "
          "others.",
          "{'a': 1}.exists(k, v, k == 'a' && v == 1)",
          "list.exists(item, bool) -> bool\nmap.exists(key, bool) -> bool\n"
          "list.exists(position, item, bool) -> bool\nmap.exists(key, value, bool) -> bool\n"),
    MACRO("exists_one", "Does the condition hold for exactly one item (or key)?",
          "[1, 2].exists_one(x, x > 1)",
          "list.exists_one(item, bool) -> bool\nmap.exists_one(key, bool) -> bool\n"),
    MACRO("existsOne", "The same as exists_one, and with two variables.",
          "[1, 2].existsOne(i, x, x > 1)",
          "list.existsOne(item, bool) -> bool\nlist.existsOne(position, item, bool) -> bool\n"
          "map.existsOne(key, value, bool) -> bool\n"),
    MACRO("map",
          "A list of the expression's value for each item; with three arguments only for those "
          "where the second holds.",
          "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]",
          "list.map(item, B) -> list(B)\nlist.map(item, bool, B) -> list(B)\n"
          "map.map(key, B) -> list(B)\nmap.map(key, bool, B) -> list(B)\n"),
    MACRO("filter", "The items (or keys) for which the condition holds.",
          "[1, 2, 3].filter(x, x > 1) == [2, 3]",
          "list(A).filter(item, bool) -> list(A)\nmap(A, B).filter(key, bool) -> list(A)\n"),
    MACRO("transformList",
          "A list from positions and items, or keys and values, optionally filtered.",
          "['a', 'b'].transformList(i, v, v + string(i)) == ['a0', 'b1']",
          "list.transformList(position, item, B) -> list(B)\n"
          "list.transformList(position, item, bool, B) -> list(B)\n"
          "map.transformList(key, value, B) -> list(B)\n"
          "map.transformList(key, value, bool, B) -> list(B)\n"),
    MACRO("transformMap",
          "A map with the same keys (or positions) and new values, optionally filtered.",
          "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
          "map(A, B).transformMap(key, value, C) -> map(A, C)\n"
          "map(A, B).transformMap(key, value, bool, C) -> map(A, C)\n"
          "list.transformMap(position, item, C) -> map(int, C)\n"
          "list.transformMap(position, item, bool, C) -> map(int, C)\n"),
    MACRO("transformMapEntry",
          "A map from the maps that the expression gives; a key twice is an error.",
          "{'a': 1}.transformMapEntry(k, v, {v: k}) == {1: 'a'}",
          "map.transformMapEntry(key, value, map(A, B)) -> map(A, B)\n"
          "map.transformMapEntry(key, value, bool, map(A, B)) -> map(A, B)\n"
          "list.transformMapEntry(position, item, map(A, B)) -> map(A, B)\n"
          "list.transformMapEntry(position, item, bool, map(A, B)) -> map(A, B)\n"),
    MACRO("cel.bind", "Names a value for use in the last argument.",
          "cel.bind(x, 2 + 3, x * x) == 25", "cel.bind(name, A, B) -> B\n"),
    MACRO("optMap", "The expression of an optional's value, or none.",
          "optional.of(2).optMap(x, x + 1).orValue(0) == 3",
          "optional_type(A).optMap(name, B) -> optional_type(B)\n"),
    MACRO("optFlatMap", "The same for an expression that is an optional.",
          "{'a': {'b': 1}}.?a.optFlatMap(x, x.?b).orValue(0) == 1",
          "optional_type(A).optFlatMap(name, optional_type(B)) -> optional_type(B)\n"),
    MACRO("sortBy", "The items in the order of the expression's values.",
          "[{'n': 2}, {'n': 1}].sortBy(x, x.n)[0].n == 1", "list(A).sortBy(item, B) -> list(A)\n"),
    MACRO("math.greatest", "The greatest of numbers, or of a list of them.",
          "math.greatest(1, 3.5, 2u) == 3.5",
          "math.greatest(number, ...) -> number\nmath.greatest(list(number)) -> number\n"),
    MACRO("math.least", "The least of numbers, or of a list of them.", "math.least([2, 1]) == 1",
          "math.least(number, ...) -> number\nmath.least(list(number)) -> number\n"),
};

static const struct cel_function logic[] = {
    MACRO("&&",
          "Both hold. An operand that does not hold decides, whatever the other is, an error too.",
          "!(false && 1 / 0 > 1) && !(1 / 0 > 1 && false)", "bool && bool -> bool\n"),
    MACRO("||", "One of them holds. One that holds decides, whatever the other is, an error too.",
          "(true || 1 / 0 > 1) && (1 / 0 > 1 || true)", "bool || bool -> bool\n"),
    MACRO("?:", "The second when the first holds, else the third; the other is not looked at.",
          "(true ? 'a' : string(1 / 0)) == 'a'", "bool ? A : A -> A\n"),
    MACRO(".?", "The field as an optional: none when it, or what it is a field of, is missing.",
          "{'a': {'b': 1}}.?a.?b.orValue(0) == 1 && !{}.?a.?b.hasValue()",
          "map(string, A).?field -> optional_type(A)\n"
          "optional_type(map(string, A)).?field -> optional_type(A)\n"),
};

const struct cel_group group_logic = {"logic", true, OVERLOADS(logic)};
const struct cel_group group_macros = {"macros", true, OVERLOADS(macros)};
