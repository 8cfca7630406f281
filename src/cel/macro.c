// SPDX-License-Identifier: Apache-2.0
/* Macros: calls that the parser turns into loops and tests (langdef.md, "Macros", and the
 * extensions for two variables, bindings, optionals, math and lists). One table says all of them.
 */
#include "cel/cel_internal.h"

struct macro {
    const char *name;
    uint32_t args; // besides the receiver; MACRO_ANY = one or more
    bool member, core;
    uint8_t loop;
    uint8_t variables; // iteration variables, the first arguments
    struct ast *(*expand)(struct parser *p, struct ast *call, const struct macro *macro);
};
#define MACRO_ANY 255

static struct ast *wrong(struct parser *p, uint32_t pos, uint32_t end, const char *message)
{
    report_error(p->report, "C0004", pos, end, NULL, "%s", message);
    return NULL;
}

static bool variable_name(struct parser *p, const struct ast *arg, struct str *ret)
{
    if (arg->kind != AST_IDENT || arg->rooted) {
        wrong(p, arg->pos, arg->end, "argument must be a simple name");
        return false;
    }
    if (str_is(arg->name, "__result__") || str_is(arg->name, "@result")) {
        wrong(p, arg->pos, arg->end, "iteration variable overwrites accumulator variable");
        return false;
    }
    *ret = arg->name;
    return true;
}

/* range.macro(var..., [filter,] body): args become range, filter or NULL, body. */
static struct ast *expand_loop(struct parser *p, struct ast *call, const struct macro *macro)
{
    struct ast *loop = ast_new(p, AST_LOOP, call->pos, call->start);
    struct ast **args = ARENA_ARRAY(p->arena, struct ast *, 3);
    if (!loop || !args)
        return NULL;
    const struct ast *range = call->args[0];
    if (macro->loop == LOOP_SORT_BY &&
        (range->kind == AST_CONST || range->kind == AST_MAP || range->kind == AST_STRUCT))
        return wrong(p, range->pos, range->end, "sortBy() needs a list");
    bool ok = true;
    for (uint32_t i = 0; i < macro->variables; i++)
        ok &= variable_name(p, call->args[1 + i], &loop->vars[i]);
    if (!ok)
        return NULL;
    if (macro->variables == 2 && str_eq(loop->vars[0], loop->vars[1]))
        return wrong(p, call->args[2]->pos, call->args[2]->end,
                     "both iteration variables have the same name");
    uint32_t first = 1u + macro->variables;
    bool filtered = call->count - first == 2;
    args[0] = call->args[0];
    args[1] = filtered ? call->args[first] : NULL;
    args[2] = call->args[call->count - 1];
    loop->loop = macro->loop;
    loop->name = call->name;
    loop->args = args;
    loop->count = 3;
    loop->end = call->end;
    loop->depth = call->depth;
    return loop;
}

static struct ast *expand_has(struct parser *p, struct ast *call, const struct macro *macro)
{
    (void)macro;
    struct ast *arg = call->args[0];
    if (arg->kind != AST_SELECT || arg->test)
        return wrong(p, arg->pos, arg->end, "invalid argument to has() macro");
    struct ast *test = ast_new(p, AST_SELECT, call->pos, call->start);
    if (!test)
        return NULL;
    test->target = arg->target;
    test->name = arg->name;
    test->optional = arg->optional;
    test->test = true;
    test->depth = call->depth;
    return test;
}

static bool is_namespace(const struct ast *receiver, const char *name)
{
    return receiver->kind == AST_IDENT && str_is(receiver->name, name);
}

/* cel.bind(name, value, body) */
static struct ast *expand_bind(struct parser *p, struct ast *call, const struct macro *macro)
{
    (void)macro;
    if (!is_namespace(call->args[0], "cel"))
        return call;
    struct ast *bind = ast_new(p, AST_BIND, call->pos, call->start);
    if (!bind)
        return NULL;
    if (call->args[1]->kind != AST_IDENT)
        return wrong(p, call->args[1]->pos, call->args[1]->end,
                     "cel.bind() variable names must be simple identifiers");
    if (!variable_name(p, call->args[1], &bind->vars[0]))
        return NULL;
    bind->args = call->args + 2;
    bind->count = 2;
    bind->end = call->end;
    bind->depth = call->depth;
    return bind;
}

/* math.greatest(a), (a, b), (a, b, c...): one function over an argument, two, or a list. */
static struct ast *expand_extreme(struct parser *p, struct ast *call, const struct macro *macro)
{
    if (!is_namespace(call->args[0], "math"))
        return call;
    bool greatest = str_is(str_from(macro->name), "greatest");
    const char *name = greatest ? "math.@max" : "math.@min";
    uint32_t count = call->count - 1;
    if (count == 0)
        return wrong(p, call->pos, call->end,
                     greatest ? "math.greatest() requires at least one argument"
                              : "math.least() requires at least one argument");
    for (uint32_t i = 1; i <= count; i++) {
        const struct ast *arg = call->args[i];
        bool number = arg->kind != AST_CONST || arg->constant.kind == VALUE_INT ||
                      arg->constant.kind == VALUE_UINT || arg->constant.kind == VALUE_DOUBLE;
        if (arg->kind == AST_MAP || arg->kind == AST_STRUCT || (arg->kind == AST_LIST && count > 1))
            number = false;
        if (arg->kind == AST_LIST && arg->count == 0)
            number = false;
        if (!number)
            return wrong(p, arg->pos, arg->end, "arguments must be numbers");
    }
    if (count <= 2)
        return ast_call(p, name, call->pos, call->start, call->end, call->args + 1, count);
    struct ast *list = ast_new(p, AST_LIST, call->pos, call->start);
    struct ast **args = ARENA_ARRAY(p->arena, struct ast *, 1);
    if (!list || !args)
        return NULL;
    list->args = call->args + 1;
    list->count = count;
    list->depth = call->depth;
    args[0] = list;
    return ast_call(p, name, call->pos, call->start, call->end, args, 1);
}

static const struct macro macros[] = {
    {"has", 1, false, true, 0, 0, expand_has},
    {"all", 2, true, true, LOOP_ALL, 1, expand_loop},
    {"exists", 2, true, true, LOOP_EXISTS, 1, expand_loop},
    {"exists_one", 2, true, true, LOOP_EXISTS_ONE, 1, expand_loop},
    {"map", 2, true, true, LOOP_MAP, 1, expand_loop},
    {"map", 3, true, true, LOOP_MAP, 1, expand_loop},
    {"filter", 2, true, true, LOOP_FILTER, 1, expand_loop},
    {"existsOne", 2, true, false, LOOP_EXISTS_ONE, 1, expand_loop},
    {"all", 3, true, false, LOOP_ALL, 2, expand_loop},
    {"exists", 3, true, false, LOOP_EXISTS, 2, expand_loop},
    {"existsOne", 3, true, false, LOOP_EXISTS_ONE, 2, expand_loop},
    {"exists_one", 3, true, false, LOOP_EXISTS_ONE, 2, expand_loop},
    {"transformList", 3, true, false, LOOP_MAP, 2, expand_loop},
    {"transformList", 4, true, false, LOOP_MAP, 2, expand_loop},
    {"transformMap", 3, true, false, LOOP_TRANSFORM_MAP, 2, expand_loop},
    {"transformMap", 4, true, false, LOOP_TRANSFORM_MAP, 2, expand_loop},
    {"transformMapEntry", 3, true, false, LOOP_TRANSFORM_MAP_ENTRY, 2, expand_loop},
    {"transformMapEntry", 4, true, false, LOOP_TRANSFORM_MAP_ENTRY, 2, expand_loop},
    {"optMap", 2, true, false, LOOP_OPT_MAP, 1, expand_loop},
    {"optFlatMap", 2, true, false, LOOP_OPT_FLAT_MAP, 1, expand_loop},
    {"sortBy", 2, true, false, LOOP_SORT_BY, 1, expand_loop},
    {"bind", 3, true, true, 0, 1, expand_bind},
    {"greatest", MACRO_ANY, true, false, 0, 0, expand_extreme},
    {"least", MACRO_ANY, true, false, 0, 0, expand_extreme},
};

struct ast *macro_expand(struct parser *p, struct ast *call, bool *ret_failed)
{
    uint32_t given = call->count - call->member;
    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++) {
        const struct macro *macro = &macros[i];
        if (macro->member != call->member || (!macro->core && p->options->core_only) ||
            (macro->args != given && macro->args != MACRO_ANY) || !str_is(call->name, macro->name))
            continue;
        struct ast *expanded = macro->expand(p, call, macro);
        *ret_failed = expanded == NULL;
        return expanded;
    }
    return call;
}
