// SPDX-License-Identifier: Apache-2.0
/* Evaluation that tells what each sub-expression gave. The program's tree is planned again without
 * anything that makes it fast, every node behind one that writes its step; programs themselves stay
 * as they are, so that tracing costs nothing where it is not asked for.
 *
 * Steps are in pre-order; a step's place is taken before its parts are evaluated:
 *
 *   0 a && b ─► 1 a ─► 2 b (skipped when `a` is false) */
#include "cel/cel_internal.h"

struct tracer {
    struct arena *arena;
    struct cel_trace *trace;
    const struct ast **asts; // of each step
    unsigned depth;
};

#define NO_STEP SIZE_MAX

static size_t open_step(struct tracer *tracer, const struct ast *ast)
{
    struct cel_trace *trace = tracer->trace;
    if (trace->count == CEL_TRACE_STEPS) {
        trace->dropped++;
        return NO_STEP;
    }
    trace->steps[trace->count] =
        (struct cel_trace_step){.depth = tracer->depth, .start = ast->start, .end = ast->end};
    tracer->asts[trace->count] = ast;
    return trace->count++;
}

static void close_step(struct cel_cx *cx, size_t at, struct value v)
{
    if (at == NO_STEP)
        return;
    struct cel_trace_step *step = &cx->tracer->trace->steps[at];
    step->value = v;
    if (v.kind != CEL_FAILED)
        return;
    struct error err = {0};
    fail_describe(&cx->fail, cx->program, cx->tracer->arena, &err);
    step->outcome = CEL_TRACE_FAILED;
    step->text = arena_copy(cx->tracer->arena, err.message, strlen(err.message));
}

/* Operands of `&&`, `||` and `?:` that have no step were not evaluated. */
static void add_skipped(struct tracer *tracer, const struct ast *ast, size_t from)
{
    if (ast->kind != AST_AND && ast->kind != AST_OR && ast->kind != AST_COND)
        return;
    size_t end = tracer->trace->count;
    for (uint32_t i = 0; i < ast->count; i++) {
        bool seen = ast->args[i]->kind == AST_CONST;
        for (size_t k = from; k < end && !seen; k++)
            seen = tracer->asts[k] == ast->args[i];
        size_t at = seen ? NO_STEP : open_step(tracer, ast->args[i]);
        if (at != NO_STEP)
            tracer->trace->steps[at].outcome = CEL_TRACE_SKIPPED;
    }
}

struct value ev_trace(struct cel_cx *cx, const struct node *n)
{
    struct tracer *tracer = cx->tracer;
    if (n->ast->kind == AST_CONST || !tracer)
        return n->a->eval(cx, n->a);
    size_t at = open_step(tracer, n->ast);
    tracer->depth++;
    struct value v = n->a->eval(cx, n->a);
    if (at != NO_STEP)
        add_skipped(tracer, n->ast, at + 1);
    tracer->depth--;
    close_step(cx, at, v);
    return v;
}

struct value ev_trace_turn(struct cel_cx *cx, const struct node *n)
{
    struct tracer *tracer = cx->tracer;
    if (!tracer)
        return n->a->eval(cx, n->a);
    size_t at = open_step(tracer, n->ast);
    if (at != NO_STEP) {
        struct cel_trace_step *step = &tracer->trace->steps[at];
        step->outcome = CEL_TRACE_TURN;
        step->value = cx->locals[n->slot];
        step->text = arena_copy(tracer->arena, n->name.ptr, n->name.len);
    }
    tracer->depth++;
    struct value v = n->a->eval(cx, n->a);
    tracer->depth--;
    return v;
}

static const struct node *traced_tree(const struct cel_program *program, struct arena *arena,
                                      struct cel_program *copy)
{
    struct report ignored = {.arena = arena, .source = program->source};
    *copy = *program;
    copy->regexes = NULL;
    struct planner planner = {
        .arena = arena, .report = &ignored, .program = copy, .env = program->env, .traced = true};
    copy->root = plan_tree(&planner, program->ast);
    return planner.failed ? NULL : copy->root;
}

bool cel_eval_trace(const struct cel_program *program, const struct value *slots,
                    struct cel_budget *budget, struct arena *arena, struct cel_trace *trace,
                    struct value *ret, struct error *err)
{
    struct cel_program *copy = ARENA_NEW(arena, struct cel_program);
    struct cel_trace_step *steps = ARENA_ARRAY(arena, struct cel_trace_step, CEL_TRACE_STEPS);
    const struct ast **asts = ARENA_ARRAY(arena, const struct ast *, CEL_TRACE_STEPS);
    *trace = (struct cel_trace){.source = program->source, .steps = steps};
    if (!copy || !steps || !asts || !traced_tree(program, arena, copy))
        return error_set(err, "C0303", "out of memory");
    struct tracer tracer = {.arena = arena, .trace = trace, .asts = asts};
    return eval_traced(copy, slots, budget, arena, &tracer, ret, err);
}

/* ---- types ---- */

static void add_type(struct tracer *tracer, const struct ast *ast)
{
    if (!ast || ast->kind == AST_CONST)
        return;
    size_t at = open_step(tracer, ast);
    if (at != NO_STEP) {
        tracer->trace->steps[at].outcome = CEL_TRACE_TYPE;
        tracer->trace->steps[at].text =
            cel_type_text(tracer->arena, ast->type ? ast->type : &T_DYN);
    }
    tracer->depth++;
    if (!ast->resolved) // the parts of a dotted name are not expressions
        add_type(tracer, ast->target);
    for (uint32_t i = 0; i < ast->count; i++)
        add_type(tracer, ast->args[i]);
    tracer->depth--;
}

bool cel_program_types(const struct cel_program *program, struct arena *arena,
                       struct cel_trace *ret)
{
    struct cel_trace_step *steps = ARENA_ARRAY(arena, struct cel_trace_step, CEL_TRACE_STEPS);
    const struct ast **asts = ARENA_ARRAY(arena, const struct ast *, CEL_TRACE_STEPS);
    *ret = (struct cel_trace){.source = program->source, .steps = steps};
    if (!steps || !asts)
        return false;
    struct tracer tracer = {.arena = arena, .trace = ret, .asts = asts};
    add_type(&tracer, program->ast);
    return true;
}

/* ---- printing ---- */

#define SHOWN_SOURCE 100
#define SHOWN_VALUE 100

/* The text of the step on one line, runs of white space as one. */
static void add_source(struct buf *out, struct str text)
{
    size_t start = out->len;
    bool blank = false;
    for (size_t i = 0; i < text.len; i++) {
        bool space = (unsigned char)text.ptr[i] <= ' ';
        if (out->len - start > SHOWN_SOURCE && ((unsigned char)text.ptr[i] & 0xC0) != 0x80) {
            buf_add_cstr(out, "...");
            return;
        }
        if (!space || !blank)
            buf_add_byte(out, space ? ' ' : text.ptr[i]);
        blank = space;
    }
}

/* Is there another step at this depth before the tree goes up? */
static bool has_sibling(const struct cel_trace *trace, size_t at, unsigned depth)
{
    for (size_t i = at + 1; i < trace->count && trace->steps[i].depth >= depth; i++)
        if (trace->steps[i].depth == depth)
            return true;
    return false;
}

static void add_branches(struct buf *out, const struct cel_trace *trace, size_t at)
{
    unsigned depth = trace->steps[at].depth;
    for (unsigned level = 1; level < depth; level++)
        buf_add_cstr(out, has_sibling(trace, at, level) ? "│  " : "   ");
    if (depth)
        buf_add_cstr(out, has_sibling(trace, at, depth) ? "├─ " : "└─ ");
}

void cel_trace_print(struct buf *out, const struct cel_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        const struct cel_trace_step *step = &trace->steps[i];
        add_branches(out, trace, i);
        if (step->outcome == CEL_TRACE_TURN)
            buf_printf(out, "%s", step->text ? step->text : "");
        else
            add_source(out, str_sub(trace->source, step->start, step->end - step->start));
        if (step->outcome == CEL_TRACE_SKIPPED) {
            buf_add_cstr(out, "  (not evaluated)\n");
            continue;
        }
        buf_add_cstr(out, step->outcome == CEL_TRACE_FAILED ? "  ! "
                          : step->outcome == CEL_TRACE_TYPE ? "  : "
                                                            : "  = ");
        if (step->outcome == CEL_TRACE_FAILED || step->outcome == CEL_TRACE_TYPE)
            buf_add_cstr(out, step->text ? step->text : "error");
        else
            cel_value_print(out, step->value, SHOWN_VALUE);
        buf_add_byte(out, '\n');
    }
    if (trace->dropped)
        buf_printf(out, "(%zu more steps)\n", trace->dropped);
}
