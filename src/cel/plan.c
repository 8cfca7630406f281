// SPDX-License-Identifier: Apache-2.0
/* From the checked tree to the nodes that are evaluated. Here is decided what makes evaluation
 * fast: names become slots, keys carry their hash, constant operands go into the node, constant
 * calls are evaluated now, constant patterns are compiled, constant lists on the right of `in`
 * become sets. With `traced` none of that happens and every node is wrapped, so that a trace shows
 * what the user wrote. */
#include "cel/cel_internal.h"

static const struct node *plan(struct planner *p, const struct ast *ast);

static struct node *make(struct planner *p, const struct ast *ast, node_fn eval)
{
    struct node *node = ARENA_NEW(p->arena, struct node);
    if (!node) {
        p->failed = true;
        return NULL;
    }
    node->eval = eval;
    node->ast = ast;
    node->pos = ast->pos;
    node->end = ast->end;
    node->name = ast->name;
    return node;
}

static bool is_const(const struct node *node)
{
    return node && node->eval == ev_const;
}

static struct node *constant(struct planner *p, const struct ast *ast, struct value v)
{
    struct node *node = make(p, ast, ev_const);
    if (node)
        node->constant = v;
    return node;
}

/* Evaluates a node whose parts are constants; the node itself when that fails. */
static const struct node *fold(struct planner *p, const struct ast *ast, const struct node *node)
{
    struct value v;
    if (!node || p->traced || p->failed || !plan_run(p->program, node, p->arena, &v, NULL))
        return node;
    return constant(p, ast, v);
}

/* ---- names and fields ---- */

static void use_slot(struct planner *p, unsigned slot)
{
    p->program->slots_used[slot / 64] |= (uint64_t)1 << slot % 64;
}

static const struct node *plan_name(struct planner *p, const struct ast *ast)
{
    struct node *node;
    switch (ast->name_kind) {
    case NAME_SLOT:
        use_slot(p, ast->slot);
        node = make(p, ast, ev_slot);
        break;
    case NAME_LOCAL:
        node = make(p, ast, ev_local);
        for (const struct bound *b = p->bound; b && node; b = b->outer)
            if (b->local == ast->slot)
                node->eval = b->lazy ? ev_bound : ev_local;
        break;
    case NAME_TYPE:
        return constant(p, ast, value_type_named(type_run_time_name(ast->named)));
    case NAME_NULL:
        return constant(p, ast, value_null());
    default:
        return make(p, ast, ev_undeclared);
    }
    if (node)
        node->slot = ast->slot;
    return node;
}

/* Which field evaluator goes on from a target, and the one for several fields in a row. */
static const struct {
    node_fn target, select, path, has;
    bool longer; // the target is a path already
} joins[] = {
    {ev_local, ev_select_local, NULL, NULL, false},
    {ev_slot, ev_select_slot, NULL, ev_has_path, false},
    {ev_select_local, NULL, ev_path_local, NULL, true},
    {ev_select_slot, NULL, ev_path_slot, ev_has_path, true},
    {ev_path_local, NULL, ev_path_local, NULL, true},
    {ev_path_slot, NULL, ev_path_slot, ev_has_path, true},
};

/* The steps of a path to `target`, and `last` behind them if any. NULL when memory ran out. */
static const struct node **steps_of(struct planner *p, const struct node *target,
                                    const struct node *last, uint32_t *ret_count)
{
    uint32_t count = target->count ? target->count : 1, at = 0;
    const struct node **steps = ARENA_ARRAY(p->arena, const struct node *, count + 1);
    if (!steps)
        return NULL;
    for (; at < count; at++)
        steps[at] = target->count ? target->args[at] : target;
    if (last)
        steps[at++] = last;
    *ret_count = at;
    return steps;
}

/* Makes a field of a variable, or of a path on one, a node without a node below. False: memory ran
 * out. */
static bool join_path(struct planner *p, struct node *node, const struct node *target)
{
    bool has = node->eval == ev_has;
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        node_fn eval = has ? joins[i].has : joins[i].longer ? joins[i].path : joins[i].select;
        if (joins[i].target != target->eval || !eval || (!has && node->eval != ev_select))
            continue;
        node->eval = eval;
        node->slot = target->slot;
        node->c = joins[i].longer ? target->c : target; // the variable's own node
        node->args = NULL;
        if (joins[i].longer)
            node->args = steps_of(p, target, has ? NULL : node, &node->count);
        return node->args || !joins[i].longer;
    }
    return true;
}

static const struct node *plan_field(struct planner *p, const struct ast *ast,
                                     const struct node *target, struct str name, node_fn eval)
{
    struct node *node = make(p, ast, eval);
    if (!node || !target)
        return NULL;
    node->a = target;
    node->constant = value_string(name);
    node->hash = value_hash_key(node->constant);
    if (is_const(target))
        return fold(p, ast, node);
    return p->traced || join_path(p, node, target) ? node : NULL;
}

static const struct node *plan_select(struct planner *p, const struct ast *ast)
{
    if (ast->resolved)
        return plan_name(p, ast);
    const struct node *target = plan(p, ast->target);
    if (ast->test && ast->optional) { // has(a.?b): is the optional there and has it a value
        struct node *node = make(p, ast, ev_has);
        if (!node)
            return NULL;
        node->a = target;
        node->constant = value_string(ast->name);
        node->hash = value_hash_key(node->constant);
        return node;
    }
    node_fn eval = ast->test ? ev_has : ast->optional ? ev_select_optional : ev_select;
    return plan_field(p, ast, target, ast->name, eval);
}

static const struct node *plan_index(struct planner *p, const struct ast *ast, bool optional)
{
    const struct node *target = plan(p, ast->args[0]), *index = plan(p, ast->args[1]);
    if (!target || !index)
        return NULL;
    if (is_const(index) && index->constant.kind == VALUE_STRING && !p->traced && !optional &&
        ast->args[0]->type->kind != CT_LIST)
        return plan_field(p, ast, target, value_str(index->constant), ev_select);
    struct node *node = make(p, ast, optional ? ev_index_optional : ev_index);
    if (!node)
        return NULL;
    node->a = target;
    node->b = index;
    return is_const(target) && is_const(index) ? fold(p, ast, node) : node;
}

/* ---- operators with nodes of their own ---- */

static const struct node *plan_equal(struct planner *p, const struct ast *ast, bool negated)
{
    const struct node *a = plan(p, ast->args[0]), *b = plan(p, ast->args[1]);
    struct node *node = make(p, ast, ev_equal);
    if (!a || !b || !node)
        return NULL;
    node->negated = negated;
    if (is_const(a) && !is_const(b)) {
        const struct node *swap = a;
        a = b;
        b = swap;
    }
    node->a = a;
    node->b = b;
    if (is_const(a))
        return fold(p, ast, node);
    if (is_const(b) && !p->traced) {
        node->constant = b->constant;
        if (b->constant.kind == VALUE_STRING)
            node->eval = a->eval == ev_select_slot    ? ev_equal_string_slot
                         : a->eval == ev_select_local ? ev_equal_string_local
                                                      : ev_equal_string;
        else if (b->constant.kind == VALUE_INT)
            node->eval = ev_equal_int;
    }
    return node;
}

static const struct node *plan_compare(struct planner *p, const struct ast *ast, unsigned accepted)
{
    struct node *node = make(p, ast, ev_compare);
    if (!node)
        return NULL;
    node->a = plan(p, ast->args[0]);
    node->b = plan(p, ast->args[1]);
    node->slot = accepted;
    if (!node->a || !node->b)
        return NULL;
    return is_const(node->a) && is_const(node->b) ? fold(p, ast, node) : node;
}

/* A constant list of strings as a map, or false. */
static bool set_of(struct planner *p, struct value list, struct value *ret)
{
    struct value_builder set = {.arena = p->arena};
    for (uint32_t i = 0; i < list.len; i++) {
        if (list.items[i].kind != VALUE_STRING)
            return false;
        value_set_str(&set, value_str(list.items[i]), value_bool(true));
    }
    *ret = value_finish_map(&set);
    return ret->kind == VALUE_MAP;
}

static const struct node *plan_in(struct planner *p, const struct ast *ast)
{
    struct node *node = make(p, ast, ev_in);
    if (!node)
        return NULL;
    node->a = plan(p, ast->args[0]);
    node->b = plan(p, ast->args[1]);
    if (!node->a || !node->b)
        return NULL;
    if (is_const(node->a) && is_const(node->b))
        return fold(p, ast, node);
    if (is_const(node->b) && !p->traced && node->b->constant.kind == VALUE_LIST &&
        node->b->constant.len <= 1000 && set_of(p, node->b->constant, &node->constant))
        node->eval = ev_in_set;
    return node;
}

/* ---- regular expressions ---- */

static const struct regex *keep_regex(struct planner *p, struct str pattern, char *message,
                                      size_t size)
{
    struct regex_list *item = ARENA_NEW(p->arena, struct regex_list);
    struct regex *regex = regex_create(pattern.ptr, pattern.len, message, size);
    if (!item || !regex)
        return NULL;
    *item = (struct regex_list){regex, p->program->regexes};
    p->program->regexes = item;
    return regex;
}

static void literal_error(struct planner *p, const struct ast *at, const char *what,
                          const char *message)
{
    if (p->env->options.literals_at_run_time || p->traced)
        return;
    report_error(p->report, "C0106", at->pos, at->end, NULL, "invalid %s: %s", what, message);
}

/* text.matches(pattern) with a constant pattern; NULL when it is not that. */
static const struct node *plan_matches(struct planner *p, const struct ast *ast)
{
    if (p->traced || ast->count != 2 || !str_is(ast->name, "matches") ||
        ast->args[1]->kind != AST_CONST || ast->args[1]->constant.kind != VALUE_STRING)
        return NULL;
    char message[128];
    const struct regex *regex =
        keep_regex(p, value_str(ast->args[1]->constant), message, sizeof message);
    if (!regex) {
        literal_error(p, ast->args[1], "regular expression", message);
        return NULL;
    }
    struct node *node = make(p, ast, ev_matches);
    if (!node)
        return NULL;
    node->a = plan(p, ast->args[0]);
    node->constant = ast->args[1]->constant;
    node->count = 2;
    node->extra = regex;
    if (!node->a)
        return NULL;
    return is_const(node->a) ? fold(p, ast, node) : node;
}

/* ---- calls ---- */

static uint16_t kinds_of(const struct cel_type *t)
{
    static const uint16_t kinds[] = {
        [CT_NULL] = 1u << VALUE_NULL,
        [CT_BOOL] = 1u << VALUE_BOOL,
        [CT_INT] = 1u << VALUE_INT,
        [CT_UINT] = 1u << VALUE_UINT,
        [CT_DOUBLE] = 1u << VALUE_DOUBLE,
        [CT_STRING] = 1u << VALUE_STRING,
        [CT_BYTES] = 1u << VALUE_BYTES,
        [CT_TIMESTAMP] = 1u << VALUE_TIMESTAMP,
        [CT_DURATION] = 1u << VALUE_DURATION,
        [CT_LIST] = 1u << VALUE_LIST,
        [CT_MAP] = 1u << VALUE_MAP,
        [CT_TYPE] = 1u << VALUE_TYPE,
        [CT_OPTIONAL] = 1u << VALUE_OPTIONAL,
        [CT_OPAQUE] = 1u << VALUE_OPAQUE,
        [CT_RECORD] = 1u << VALUE_MAP,
        [CT_PARAM] = 0xFFFF,
        [CT_DYN] = 0xFFFF,
        [CT_ERROR] = 0xFFFF,
    };
    return t->kind < sizeof kinds / sizeof *kinds ? kinds[t->kind] : 0xFFFF;
}

static bool plan_cases(struct planner *p, const struct ast *ast, struct node *node)
{
    struct call_case *cases = ARENA_ARRAY(p->arena, struct call_case, ast->overload_count + 1);
    if (!cases)
        return false;
    for (uint32_t i = 0; i < ast->overload_count; i++) {
        const struct cel_overload *overload = ast->overloads[i];
        if (overload->count != ast->count || !overload->fn) // without: declared for checking only
            continue;
        struct call_case *call = &cases[node->case_count++];
        call->fn = overload->fn;
        for (uint32_t k = 0; k < ast->count; k++) {
            call->kinds[k] = kinds_of(overload->args[k]);
            call->opaque[k] =
                (uint8_t)(overload->args[k]->kind == CT_OPAQUE ? overload->args[k]->aux : 0);
        }
    }
    node->cases = cases;
    return true;
}

/* timestamp("...") and the like: a bad constant is a mistake that can be told now. */
static void check_constant_call(struct planner *p, const struct ast *ast, const struct node *node)
{
    static const char *const parsers[] = {"timestamp", "duration", "ip", "cidr", "arn"};
    struct value v;
    struct error err = {0};
    if (ast->count != 1 || ast->args[0]->kind != AST_CONST || ast->member)
        return;
    for (size_t i = 0; i < sizeof parsers / sizeof *parsers; i++)
        if (str_is(ast->name, parsers[i]) && !plan_run(p->program, node, p->arena, &v, &err) &&
            err.code[2] == '2')
            literal_error(p, ast->args[0], parsers[i], err.message);
}

/* regex.f(text, constant pattern, ...): the pattern is compiled now. */
static void plan_pattern(struct planner *p, const struct ast *ast, struct node *node)
{
    char message[128];
    if (p->traced || !str_starts(ast->name, STR("regex.")) || ast->count < 2 ||
        ast->args[1]->kind != AST_CONST || ast->args[1]->constant.kind != VALUE_STRING)
        return;
    struct str pattern = value_str(ast->args[1]->constant);
    node->extra = keep_regex(p, pattern, message, sizeof message);
    if (!node->extra)
        literal_error(p, ast->args[1], "regular expression", message);
}

static const struct node *plan_function(struct planner *p, const struct ast *ast)
{
    const struct node *matches = plan_matches(p, ast);
    if (matches)
        return matches;
    struct node *node = make(p, ast, ev_call);
    const struct node **args = ARENA_ARRAY(p->arena, const struct node *, ast->count + 1);
    if (!node || !args || !plan_cases(p, ast, node))
        return NULL;
    bool all_const = true;
    for (uint32_t i = 0; i < ast->count; i++) {
        args[i] = plan(p, ast->args[i]);
        if (!args[i])
            return NULL;
        all_const &= is_const(args[i]);
    }
    node->args = args;
    node->count = ast->count;
    plan_pattern(p, ast, node);
    if (node->case_count == 0 && (!ast->function_known || ast->count > CEL_ARGS_MAX))
        node->eval = ev_unknown_call;
    if (ast->count > CEL_ARGS_MAX)
        node->eval = ev_unknown_call;
    if (!all_const)
        return node;
    const struct node *folded = fold(p, ast, node);
    if (!is_const(folded))
        check_constant_call(p, ast, node);
    return folded;
}

static const struct node *plan_many(struct planner *p, const struct ast *ast, node_fn eval)
{
    struct node *node = make(p, ast, eval);
    const struct node **args = ARENA_ARRAY(p->arena, const struct node *, ast->count + 1);
    bool all_const = true;
    if (!node || !args)
        return NULL;
    for (uint32_t i = 0; i < ast->count; i++) {
        args[i] = plan(p, ast->args[i]);
        if (!args[i])
            return NULL;
        all_const &= is_const(args[i]);
    }
    node->args = args;
    node->count = ast->count;
    return all_const ? fold(p, ast, node) : node;
}

static const struct node *plan_call(struct planner *p, const struct ast *ast)
{
    static const struct {
        const char *name;
        unsigned accepted;
    } comparisons[] = {{"_<_", COMPARE_LT},
                       {"_<=_", COMPARE_LT | COMPARE_EQ},
                       {"_>_", COMPARE_GT},
                       {"_>=_", COMPARE_GT | COMPARE_EQ}};
    if (str_is(ast->name, "_==_") || str_is(ast->name, "_!=_"))
        return plan_equal(p, ast, ast->name.ptr[1] == '!');
    if (str_is(ast->name, "_[_]") || str_is(ast->name, "_[?_]"))
        return plan_index(p, ast, ast->name.ptr[2] == '?');
    if (str_is(ast->name, "@in"))
        return plan_in(p, ast);
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (str_is(ast->name, comparisons[i].name))
            return plan_compare(p, ast, comparisons[i].accepted);
    if (ast->member && ast->count == 2 && ast->overload_count &&
        (str_is(ast->name, "or") || str_is(ast->name, "orValue")))
        return plan_many(p, ast, ast->name.len > 2 ? ev_or_value : ev_or_optional);
    if (str_is(ast->name, "!_")) {
        struct node *node = make(p, ast, ev_not);
        if (!node || !(node->a = plan(p, ast->args[0])))
            return NULL;
        return is_const(node->a) ? fold(p, ast, node) : node;
    }
    return plan_function(p, ast);
}

/* ---- the rest ---- */

/* A record is a map; a well-known message the value that it stands for. */
static const struct node *plan_struct(struct planner *p, const struct ast *ast)
{
    const struct cel_type *type = ast->type;
    if (ast->message && ast->count <= MESSAGE_FIELDS_MAX)
        return plan_many(p, ast, ev_message);
    if (ast->message || (type->kind != CT_RECORD && !p->env->options.unchecked))
        return make(p, ast, ev_undeclared);
    struct ast *map = ARENA_NEW(p->arena, struct ast);
    struct ast **args = ARENA_ARRAY(p->arena, struct ast *, ast->count * 2 + 1);
    struct ast *keys = ARENA_ARRAY(p->arena, struct ast, ast->count + 1);
    if (!map || !args || !keys)
        return NULL;
    *map = *ast;
    map->kind = AST_MAP;
    map->args = args;
    map->count = ast->count * 2;
    for (uint32_t i = 0; i < ast->count; i++) {
        keys[i] = (struct ast){.kind = AST_CONST, .pos = ast->pos, .end = ast->end};
        keys[i].constant = value_string(ast->fields[i]);
        keys[i].optional_entry = ast->args[i]->optional_entry;
        args[2 * i] = &keys[i];
        args[2 * i + 1] = ast->args[i];
    }
    return plan_many(p, map, ev_map);
}

/* Is `next` has() of one field more than the has() `node`, of the same path? */
static bool has_extends(const struct node *node, const struct node *next)
{
    if (node->eval != ev_has_path || next->eval != ev_has_path || node->slot != next->slot ||
        next->count != node->count + 1)
        return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (!cel_equal(node->args[i]->constant, next->args[i]->constant))
            return false;
    return cel_equal(node->constant, next->args[node->count]->constant);
}

/* A conjunction that is only has() of ever longer paths is one walk. */
static const struct node *plan_and(struct planner *p, const struct ast *ast)
{
    const struct node *all = plan_many(p, ast, ev_and);
    if (!all || all->eval != ev_and || p->traced)
        return all;
    for (uint32_t i = 0; i + 1 < all->count; i++)
        if (!has_extends(all->args[i], all->args[i + 1]))
            return all;
    const struct node *last = all->args[all->count - 1];
    struct node *chain = make(p, ast, ev_has_chain);
    const struct node **steps = ARENA_ARRAY(p->arena, const struct node *, last->count + 1);
    if (!chain || !steps)
        return NULL;
    memcpy(steps, last->args, last->count * sizeof *steps);
    steps[last->count] = last;
    chain->b = all;
    chain->args = steps;
    chain->count = last->count + 1;
    chain->slot = last->slot;
    chain->slot2 = all->args[0]->count;
    return chain;
}

static const struct node *plan_condition(struct planner *p, const struct ast *ast)
{
    struct node *node = make(p, ast, ev_condition);
    if (!node)
        return NULL;
    node->a = plan(p, ast->args[0]);
    node->b = plan(p, ast->args[1]);
    node->c = plan(p, ast->args[2]);
    if (!node->a || !node->b || !node->c)
        return NULL;
    if (is_const(node->a) && node->a->constant.kind == VALUE_BOOL && !p->traced)
        return node->a->constant.b ? node->b : node->c;
    return node;
}

/* The body of a traced loop: each turn is a step that shows the variable. */
static const struct node *trace_turn(struct planner *p, const struct ast *loop,
                                     const struct node *body)
{
    struct node *turn = make(p, loop, ev_trace_turn);
    if (!turn)
        return NULL;
    turn->a = body;
    turn->slot = loop->slot + (loop->vars[1].len > 0);
    turn->name = loop->vars[loop->vars[1].len > 0];
    return turn;
}

static const struct node *plan_loop(struct planner *p, const struct ast *ast)
{
    struct node *node = make(p, ast, loop_evaluator((enum loop_kind)ast->loop));
    if (!node)
        return NULL;
    const struct bound *outer = p->bound;
    node->a = plan(p, ast->args[0]);
    struct bound first = {ast->slot, false, outer}, second = {ast->slot + 1, false, &first};
    p->bound = ast->vars[1].len ? &second : &first;
    node->b = ast->args[1] ? plan(p, ast->args[1]) : NULL;
    node->c = plan(p, ast->args[2]);
    p->bound = outer;
    if (p->traced) {
        node->b = node->b ? trace_turn(p, ast, node->b) : NULL;
        node->c = trace_turn(p, ast, node->c);
    }
    node->slot = ast->slot;
    node->width = ast->vars[1].len ? 2 : 1;
    node->loop = ast->loop;
    return node->a && node->c && (node->b || !ast->args[1]) ? node : NULL;
}

static const struct node *plan_bind(struct planner *p, const struct ast *ast)
{
    struct node *node = make(p, ast, ev_bind);
    if (!node)
        return NULL;
    const struct bound *outer = p->bound;
    node->a = plan(p, ast->args[0]);
    struct bound bound = {ast->slot, true, outer};
    p->bound = &bound;
    node->b = plan(p, ast->args[1]);
    p->bound = outer;
    node->slot = ast->slot;
    return node->a && node->b ? node : NULL;
}

static const struct node *plan_kind(struct planner *p, const struct ast *ast)
{
    switch ((enum ast_kind)ast->kind) {
    case AST_CONST:
        return constant(p, ast, ast->constant);
    case AST_IDENT:
        return plan_name(p, ast);
    case AST_SELECT:
        return plan_select(p, ast);
    case AST_CALL:
        return plan_call(p, ast);
    case AST_LIST:
        return plan_many(p, ast, ev_list);
    case AST_MAP:
        return plan_many(p, ast, ev_map);
    case AST_STRUCT:
        return plan_struct(p, ast);
    case AST_AND:
        return plan_and(p, ast);
    case AST_OR:
        return plan_many(p, ast, ev_or);
    case AST_COND:
        return plan_condition(p, ast);
    case AST_LOOP:
        return plan_loop(p, ast);
    case AST_BIND:
        return plan_bind(p, ast);
    }
    return NULL;
}

static const struct node *plan(struct planner *p, const struct ast *ast)
{
    const struct node *node = p->failed ? NULL : plan_kind(p, ast);
    if (!node || !p->traced)
        return node;
    struct node *wrapper = make(p, ast, ev_trace);
    if (wrapper)
        wrapper->a = node;
    return wrapper;
}

const struct node *plan_tree(struct planner *planner, const struct ast *ast)
{
    return plan(planner, ast);
}
