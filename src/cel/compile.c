// SPDX-License-Identifier: Apache-2.0
/* From text to a program, and what can be asked of a program: which variables and paths it reads.
 */
#include "cel/cel_internal.h"

/* ---- static paths ---- */

struct path_walk {
    struct arena *arena;
    struct cel_path *paths;
    size_t count, cap;
    bool failed;
};

static bool same_path(const struct cel_path *a, const struct cel_path *b)
{
    if (a->slot != b->slot || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!str_eq(a->fields[i], b->fields[i]))
            return false;
    return true;
}

static void add_path(struct path_walk *w, struct cel_path path)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!same_path(&w->paths[i], &path))
            continue;
        w->paths[i].named = w->paths[i].named && path.named;
        return;
    }
    if (w->count == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 8;
        struct cel_path *paths =
            arena_grow(w->arena, w->paths, w->cap * sizeof *paths, cap * sizeof *paths);
        if (!paths) {
            w->failed = true;
            return;
        }
        w->paths = paths;
        w->cap = cap;
    }
    w->paths[w->count++] = path;
}

/* The operand and the constant name of a step `.name` or ["name"], or NULL. */
static const struct ast *step_of(const struct ast *ast, struct str *ret_name)
{
    if (ast->kind == AST_SELECT && !ast->resolved) {
        *ret_name = ast->name;
        return ast->target;
    }
    if (ast->kind == AST_CALL && ast->count == 2 && str_starts(ast->name, STR("_[")) &&
        ast->args[1]->kind == AST_CONST && ast->args[1]->constant.kind == VALUE_STRING) {
        *ret_name = value_str(ast->args[1]->constant);
        return ast->args[0];
    }
    return NULL;
}

/* A chain of static steps on a variable. False when it is none. */
static bool walk_chain(struct path_walk *w, const struct ast *ast, bool named)
{
    struct str name;
    size_t count = 0;
    const struct ast *root = ast;
    for (const struct ast *next; (next = step_of(root, &name)); root = next)
        count++;
    bool variable = (root->kind == AST_IDENT || root->resolved) && root->name_kind == NAME_SLOT;
    if (!variable)
        return false;
    struct str *fields = ARENA_ARRAY(w->arena, struct str, count + 1);
    if (!fields) {
        w->failed = true;
        return true;
    }
    size_t at = count;
    for (const struct ast *next = ast; at > 0; next = step_of(next, &name))
        if (step_of(next, &name))
            fields[--at] = name;
    add_path(w, (struct cel_path){root->slot, fields, count, named});
    return true;
}

static bool is_constant(const struct ast *ast)
{
    if (ast->kind == AST_LIST)
        for (uint32_t i = 0; i < ast->count; i++)
            if (!is_constant(ast->args[i]))
                return false;
    return ast->kind == AST_LIST || ast->kind == AST_CONST;
}

/* `x == "a"`, `"a" == x`, `x in ["a", "b"]`: the side that is not constant, or NULL. */
static const struct ast *named_side(const struct ast *ast)
{
    bool equal = ast->kind == AST_CALL && str_is(ast->name, "_==_");
    bool in = ast->kind == AST_CALL && str_is(ast->name, "@in");
    if ((equal || in) && ast->count == 2 && is_constant(ast->args[1]))
        return ast->args[0];
    return equal && ast->count == 2 && is_constant(ast->args[0]) ? ast->args[1] : NULL;
}

/* `must`: the whole expression holds only through what stands here. */
static void walk_paths(struct path_walk *w, const struct ast *ast, bool must)
{
    const struct ast *named = must && ast ? named_side(ast) : NULL;
    if (!ast || (named && walk_chain(w, named, true)) || walk_chain(w, ast, false))
        return;
    must = must && (ast->kind == AST_AND || ast->kind == AST_OR);
    if (ast->target)
        walk_paths(w, ast->target, false);
    for (uint32_t i = 0; i < ast->count; i++)
        walk_paths(w, ast->args[i], must);
}

/* ---- compiling ---- */

bool plan_run(const struct cel_program *program, const struct node *node, struct arena *arena,
              struct value *ret, struct error *err)
{
    struct cel_program part = *program;
    struct cel_budget budget = {20000, 1 << 16};
    part.root = node;
    return cel_eval(&part, NULL, &budget, arena, ret, err);
}

/* Is the text something that may be compiled at all? */
static bool check_text(struct report *report)
{
    struct str source = report->source;
    if (source.len > UINT32_MAX / 2 || utf8_count(source) > LIMIT_EXPRESSION_CODE_POINTS)
        report_error(report, "C0005", 0, 0, NULL,
                     "expression is longer than %u code points (LIMIT_EXPRESSION_CODE_POINTS)",
                     LIMIT_EXPRESSION_CODE_POINTS);
    else if (!str_is_utf8(source))
        report_error(report, "C0001", 0, 0, NULL, "expression is not valid UTF-8");
    return report->count == 0;
}

/* Is the estimate within the environment's bound? */
static bool affordable(const struct cel_env *env, struct report *report, const struct ast *ast)
{
    struct cost_peak peak = {0, ast->pos, ast->end};
    uint64_t bound = env->options.cost_max;
    uint64_t cost = bound ? cost_estimate(ast, LIMIT_EXPRESSION_ITEMS, &peak) : 0;
    if (cost <= bound)
        return true;
    report_error(report, "C0304", peak.pos, peak.end,
                 "loops within loops cost the product of their sizes: filter first, or use a map",
                 "the expression may cost %llu units when lists have %u items: more than %llu "
                 "(LIMIT_EXPRESSION_ESTIMATE)",
                 (unsigned long long)cost, LIMIT_EXPRESSION_ITEMS, (unsigned long long)bound);
    return false;
}

static bool build(struct cel_program *program, struct arena *arena, struct report *report,
                  struct ast *ast, const struct cel_type *want)
{
    const struct cel_env *env = program->env;
    program->ast = ast;
    if (!check_expression(env, arena, report, ast, want, &program->locals_max))
        return false;
    program->type = env->options.unchecked ? &T_DYN : ast->type;
    if (!affordable(env, report, ast))
        return false;
    program->patterns = pattern_cache_create(arena);
    struct planner planner = {.arena = arena, .report = report, .program = program, .env = env};
    program->root = plan_tree(&planner, ast);
    struct path_walk walk = {.arena = arena};
    walk_paths(&walk, ast, true);
    program->paths = walk.paths;
    program->path_count = walk.count;
    if ((!program->root || planner.failed || walk.failed) && report->count == 0)
        report_error(report, "C0303", 0, 0, NULL, "out of memory");
    return report->count == 0;
}

const struct cel_program *cel_compile(const struct cel_env *env, struct arena *arena,
                                      struct str source, const struct cel_type *want,
                                      const struct cel_origin *origin, struct error_list *errors)
{
    struct report report = {.arena = arena, .source = source, .origin = origin, .errors = errors};
    struct cel_program *program = ARENA_NEW(arena, struct cel_program);
    unsigned slots = cel_env_slots(env);
    uint64_t *used = ARENA_ARRAY(arena, uint64_t, slots / 64 + 1);
    if (!program || !used) {
        report_error(&report, "C0303", 0, 0, NULL, "out of memory");
        report_flush(&report);
        return NULL;
    }
    *program =
        (struct cel_program){.env = env, .source = source, .slots_used = used, .slot_count = slots};
    if (origin) {
        program->origin = *origin;
        program->has_origin = true;
    }
    struct ast *ast =
        check_text(&report) ? parse_expression(arena, &report, &env->options, source) : NULL;
    if (ast && build(program, arena, &report, ast, want))
        return program;
    report_flush(&report);
    cel_program_finish(program);
    return NULL;
}

void cel_program_finish(const struct cel_program *program)
{
    for (struct regex_list *item = program ? program->regexes : NULL; item; item = item->next) {
        regex_destroy(item->regex);
        item->regex = NULL;
    }
    if (program)
        pattern_cache_finish(program->patterns);
}

const struct cel_type *cel_program_type(const struct cel_program *program)
{
    return program->type;
}

struct str cel_program_source(const struct cel_program *program)
{
    return program->source;
}

bool cel_program_uses(const struct cel_program *program, unsigned slot)
{
    return slot < program->slot_count && program->slots_used[slot / 64] >> slot % 64 & 1;
}

const struct value *cel_program_constant(const struct cel_program *program)
{
    return program->root->eval == ev_const ? &program->root->constant : NULL;
}

const struct cel_path *cel_program_paths(const struct cel_program *program, size_t *ret_count)
{
    *ret_count = program->path_count;
    return program->paths;
}
