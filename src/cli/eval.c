// SPDX-License-Identifier: Apache-2.0
/* eval: an expression by itself, with variables from a JSON object; nothing of the store, of
 * policies or of AWS is looked at. Each member of the object is a variable of its value's kind,
 * what is below it is dyn (data for trying things out need not be complete). `now` is the time of
 * the call unless the object has it. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/limits.h"
#include "value/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define VARIABLES_MAX 1000

struct playground {
    struct arena arena;
    struct cel_env *env;
    struct value slots[VARIABLES_MAX];
};

static bool read_vars(struct arena *arena, const char *path, struct str *ret, struct error *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    struct buf text = {.arena = arena};
    char piece[16384];
    size_t size = 1;
    if (!file)
        return error_set(err, "L0003", "cannot read %s: %s", path, strerror(errno));
    while (size && text.len <= LIMIT_VARIABLES_BYTES)
        buf_add(&text, piece, size = fread(piece, 1, sizeof piece, file));
    bool failed = ferror(file);
    if (file != stdin)
        fclose(file);
    if (failed || text.failed)
        return error_set(err, "L0003", "cannot read %s", path);
    if (text.len > LIMIT_VARIABLES_BYTES)
        return error_set(err, "L0003", "%s is larger than %zu bytes (LIMIT_VARIABLES_BYTES)", path,
                         (size_t)LIMIT_VARIABLES_BYTES);
    *ret = buf_str(&text);
    return true;
}

/* Numbers are dyn, since 1 in the data may be 1.5 the next time; so is null. */
static const struct cel_type *type_of(struct arena *arena, struct value v)
{
    if (v.kind == VALUE_MAP)
        return cel_type_map(arena, cel_type_of(VALUE_STRING), cel_type_dyn());
    bool open = v.kind == VALUE_NULL || v.kind == VALUE_INT || v.kind == VALUE_UINT ||
                v.kind == VALUE_DOUBLE;
    return open ? cel_type_dyn() : cel_type_of((enum value_kind)v.kind);
}

static bool declare(struct playground *p, struct str name, struct value v, struct error *err)
{
    unsigned slot;
    if (cel_env_slots(p->env) >= VARIABLES_MAX)
        return error_set(err, "L0003", "more than %d variables", VARIABLES_MAX);
    if (!cel_env_add_variable(p->env, name, type_of(&p->arena, v), &slot, err))
        return false;
    p->slots[slot] = v;
    return true;
}

static bool declare_all(struct playground *p, const char *path, struct error *err)
{
    struct value vars = value_null();
    struct str text;
    if (path && (!read_vars(&p->arena, path, &text, err)))
        return false;
    if (path && !json_parse(&p->arena, text, &vars, err)) {
        snprintf(err->file, sizeof err->file, "%s", path);
        return false;
    }
    if (path && vars.kind != VALUE_MAP) {
        error_set(err, "L0003", "%s must hold a JSON object", path);
        return error_hint(err, "{\"name\": value}: each name is a variable");
    }
    for (uint32_t i = 0; vars.kind == VALUE_MAP && i < vars.len; i++) {
        struct str name = value_str(vars.pairs[i].key);
        if (declare(p, name, vars.pairs[i].value, err))
            continue;
        if (strcmp(err->code, "C0110") != 0)
            return false;
        fprintf(stderr, "rectify: `%.*s` cannot be the name of a variable and is left out\n",
                STR_FMT(name));
    }
    if (value_get(vars, STR("now")))
        return true;
    int64_t ms = clock_wall_ms(clock_system());
    struct value now = {
        .kind = VALUE_TIMESTAMP, .i = ms / 1000, .len = (uint32_t)(ms % 1000) * 1000000};
    return declare(p, STR("now"), now, err);
}

/* ---- results ---- */

static struct value plain(struct arena *arena, struct value v)
{
    struct value result;
    return cel_value_plain(arena, v, &result) ? result : value_null();
}

/* One step as {depth, expression, start, end, outcome, value | text}. */
static struct value step_json(struct arena *arena, const struct cel_trace *trace,
                              const struct cel_trace_step *step)
{
    static const char *const outcomes[] = {
        [CEL_TRACE_VALUE] = "value", [CEL_TRACE_FAILED] = "error", [CEL_TRACE_SKIPPED] = "skipped",
        [CEL_TRACE_TURN] = "turn",   [CEL_TRACE_TYPE] = "type",
    };
    struct value_builder out = {.arena = arena};
    struct str source = str_sub(trace->source, step->start, step->end - step->start);
    value_set(&out, "depth", value_int(step->depth));
    value_set(&out, "expression", value_string(source));
    value_set(&out, "start", value_int(step->start));
    value_set(&out, "end", value_int(step->end));
    value_set(&out, "outcome", value_cstr(outcomes[step->outcome]));
    if (step->outcome == CEL_TRACE_TURN)
        value_set(&out, "variable", value_cstr(step->text ? step->text : ""));
    else if (step->outcome == CEL_TRACE_TYPE)
        value_set(&out, "type", value_cstr(step->text ? step->text : "dyn"));
    else if (step->outcome == CEL_TRACE_FAILED)
        value_set(&out, "message", value_cstr(step->text ? step->text : "error"));
    if (step->outcome == CEL_TRACE_VALUE || step->outcome == CEL_TRACE_TURN)
        value_set(&out, "value", plain(arena, step->value));
    return value_finish_map(&out);
}

static struct value trace_json(struct arena *arena, const struct cel_trace *trace)
{
    struct value_builder out = {.arena = arena};
    for (size_t i = 0; i < trace->count; i++)
        value_push(&out, step_json(arena, trace, &trace->steps[i]));
    return value_finish_list(&out);
}

/* The errors of an expression as {errors: [{code, message, line, column, hint}]}. */
static int fail_json(struct arena *arena, const struct error_list *errors)
{
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    for (size_t i = 0; i < errors->count && i < ERROR_LIST_MAX; i++) {
        struct value_builder one = {.arena = arena};
        const struct error *err = errors->items[i];
        value_set(&one, "code", value_cstr(err->code));
        value_set(&one, "message", value_cstr(err->message));
        value_set(&one, "line", value_int(err->line));
        value_set(&one, "column", value_int(err->column));
        value_set(&one, "span", value_int(err->span ? err->span : 1));
        if (err->hint[0])
            value_set(&one, "hint", value_cstr(err->hint));
        value_push(&list, value_finish_map(&one));
    }
    value_set(&out, "errors", value_finish_list(&list));
    cli_print_json(arena, value_finish_map(&out));
    return CLI_FAILED;
}

static int fail_all(const struct cli_options *options, struct arena *arena,
                    const struct error_list *errors)
{
    if (options->json)
        return fail_json(arena, errors);
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < errors->count && i < ERROR_LIST_MAX; i++)
        cel_error_print(&out, errors->items[i]);
    fprintf(stderr, "%.*s", STR_FMT(buf_str(&out)));
    return CLI_FAILED;
}

static int show_types(const struct cli_options *options, struct arena *arena,
                      const struct cel_program *program)
{
    struct cel_trace types;
    struct buf out = {.arena = arena};
    uint64_t cost = cel_program_cost(program, LIMIT_EXPRESSION_ITEMS);
    if (!cel_program_types(program, arena, &types))
        return CLI_FAILED;
    if (options->json) {
        struct value_builder result = {.arena = arena};
        value_set(&result, "type", value_cstr(cel_type_text(arena, cel_program_type(program))));
        value_set(&result, "cost_at_most",
                  value_int((int64_t)(cost < INT64_MAX ? cost : INT64_MAX)));
        value_set(&result, "types", trace_json(arena, &types));
        cli_print_json(arena, value_finish_map(&result));
        return CLI_OK;
    }
    if (types.count)
        cel_trace_print(&out, &types);
    else // a constant
        buf_printf(&out, "%.*s  : %s\n", STR_FMT(cel_program_source(program)),
                   cel_type_text(arena, cel_program_type(program)));
    buf_printf(&out, "costs at most %llu units when lists have %u items\n",
               (unsigned long long)cost, LIMIT_EXPRESSION_ITEMS);
    cli_print(&out);
    return CLI_OK;
}

static void show_value(const struct cli_options *options, struct arena *arena,
                       const struct cel_trace *trace, struct value v)
{
    struct buf out = {.arena = arena};
    if (options->json && trace) {
        struct value_builder result = {.arena = arena};
        value_set(&result, "value", plain(arena, v));
        value_set(&result, "trace", trace_json(arena, trace));
        cli_print_json(arena, value_finish_map(&result));
    } else if (options->json) {
        cli_print_json(arena, plain(arena, v));
    } else if (trace && trace->count) {
        cel_trace_print(&out, trace);
    } else {
        cel_value_print(&out, v, 0);
        buf_add_byte(&out, '\n');
    }
    cli_print(&out);
}

static int evaluate(const struct cli_options *options, struct playground *p,
                    const struct cel_program *program)
{
    struct arena *arena = &p->arena;
    struct error_list errors = {.arena = arena};
    struct error err;
    struct value v;
    struct cel_trace trace = {0};
    bool ok = options->trace ? cel_eval_trace(program, p->slots, NULL, arena, &trace, &v, &err)
                             : cel_eval(program, p->slots, NULL, arena, &v, &err);
    if (ok) {
        show_value(options, arena, options->trace ? &trace : NULL, v);
        return CLI_OK;
    }
    struct buf out = {.arena = arena};
    if (!options->json)
        cel_trace_print(&out, &trace);
    cli_print(&out);
    fflush(stdout);
    error_list_add(&errors, &err);
    return fail_all(options, arena, &errors);
}

static int run(const struct cli_options *options, struct playground *p)
{
    struct error_list errors = {.arena = &p->arena};
    struct error err;
    p->env = cel_env_create(&p->arena, NULL);
    if (!p->env || !declare_all(p, options->vars, &err))
        return p->env ? cli_fail(&err) : CLI_FAILED;
    const struct cel_program *program =
        cel_compile(p->env, &p->arena, str_from(options->args[0]), NULL, NULL, &errors);
    if (!program)
        return fail_all(options, &p->arena, &errors);
    int code =
        options->check ? show_types(options, &p->arena, program) : evaluate(options, p, program);
    cel_program_finish(program);
    return code;
}

int cli_eval(const struct cli_options *options)
{
    if (options->arg_count != 1)
        return cli_usage(options->arg_count ? "`eval` takes one expression: put it in quotes"
                                            : "say which expression: rectify eval '1 + 2'");
    if (options->trace && options->check)
        return cli_usage("--check does not evaluate: leave out --trace");
    struct playground *p = calloc(1, sizeof *p);
    if (!p)
        return CLI_FAILED;
    int code = run(options, p);
    arena_finish(&p->arena);
    free(p);
    return code;
}
