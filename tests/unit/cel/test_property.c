// SPDX-License-Identifier: Apache-2.0
/* Random expressions, mostly well typed. What the checker accepts, without dyn anywhere, never
 * fails for a type when it runs and costs no more than was estimated; traced it gives the same. */
#include "cel_test.h"

#include "cel/cel_internal.h"

#define EXPRESSIONS 20000
#define TEMPLATES_MAX 24

enum wanted { INT, DOUBLE, STRING, BOOL, LIST, MAP, OPTIONAL, TIME, KINDS };

struct generator {
    struct buf out;
    uint64_t seed;
    unsigned variables;
};

static uint64_t next(struct generator *g)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return g->seed;
}

/* Templates: %i int, %d double, %s string, %b bool, %l list of int, %m map from string to int, %o
 * optional int, %t timestamp; %v is the innermost iteration variable, an int. */
static const char *const templates[KINDS][TEMPLATES_MAX] = {
    [INT] = {"i", "3", "-7", "%i + %i", "%i * %i", "%i / %i", "%i % %i", "size(%l)", "size(%s)",
             "(%b ? %i : %i)", "%l[%i]", "%m[%s]", "%o.orValue(%i)", "%v",
             "size(ports.remainder(%i, %i, %l))", "math.greatest(%l)", "math.least(%i, %i, %i)"},
    [DOUBLE] = {"d", "1.5", "%d + %d", "%d / %d", "double(%i)", "-(%d)", "math.abs(%d)",
                "(%b ? %d : %d)", "math.ceil(%d)", "math.greatest([%d, %d])",
                "[%d, %d].sort()[%i]"},
    [STRING] = {"s", "'x'", "%s + %s", "string(%i)", "string(%d)", "%s.substring(%i)",
                "%l.map(e, string(e)).join(%s)", "(%b ? %s : %s)", "%s.replace(%s, %s)",
                "string(%t)", "r.name", "%s.charAt(%i)",
                "[{'Key': %s, 'Value': %s}].key(%s).orValue(%s)", "iam.actions({'Action': %s})[%i]",
                "iam.principals({'Principal': {'AWS': [%s]}})[0]", "[%s, %s].sort()[%i]"},
    [BOOL] = {"b",
              "true",
              "%i < %i",
              "%s == %s",
              "%b && %b",
              "%b || %b",
              "!(%b)",
              "%i in %l",
              "%l.exists(v, %b)",
              "%l.all(v, %v > %i)",
              "has(r.name)",
              "%o.hasValue()",
              "%s.contains(%s)",
              "%d >= %d",
              "iam.allowsPublic({'Effect': 'Allow', 'Principal': %s})",
              "%s.glob(%s)",
              "isARN(%s)",
              "ports.overlap(%i, %i, %i, %i)",
              "%s.isWorld(%i)",
              "sets.contains(%l, %l)",
              "%s.matches(%s)",
              "%i in %l"},
    [LIST] = {"l", "[%i, %i]", "%l + %l", "%l.filter(v, %b)", "%l.map(v, %i)", "%l.map(v, %b, %v)",
              "lists.range(%i)", "%l.sort()", "%l.distinct()", "r.numbers", "[?%o, %i]",
              "%l.transformList(p, v, p + %v)", "(%b ? %l : %l)", "%m.values()", "%l.sortBy(v, %s)",
              "%l.slice(%i, %i)", "[%l, %l].flatten()"},
    [MAP] = {"m", "{%s: %i}", "{'k': %i, 'j': %i}", "%m.transformMap(k, v, v + %i)",
             "(%b ? %m : %m)", "{?%s: %o}", "%m.without([%s])"},
    [OPTIONAL] = {"optional.of(%i)", "%l[?%i]", "%m[?%s]", "%o.or(%o)", "%o.optMap(v, %i)",
                  "%m.key(%s)", "%l.first()"},
    [TIME] = {"t", "timestamp(%i)", "%t + duration('1h')"},
};

static void generate(struct generator *g, enum wanted kind, unsigned depth)
{
    static const char letters[] = "idsblmot";
    size_t count = 0;
    while (count < TEMPLATES_MAX && templates[kind][count])
        count++;
    if (next(g) % 60 == 0) // a mistake, for the checker to find
        kind = (enum wanted)(next(g) % KINDS);
    size_t choices = depth == 0 ? 1 : count;
    const char *template = templates[kind][next(g) % choices];
    if (!template)
        template = templates[kind][0];
    for (const char *p = template; *p; p++) {
        const char *letter = *p == '%' && p[1] ? strchr(letters, p[1]) : NULL;
        if (*p == '%' && p[1] == 'v') {
            buf_add_cstr(&g->out, g->variables ? "v" : "i");
            p++;
        } else if (letter) {
            bool body = strstr(template, "(v, ") && p > strstr(template, "(v, ");
            g->variables += body;
            buf_add_byte(&g->out, '(');
            generate(g, (enum wanted)(letter - letters), depth ? depth - 1 : 0);
            buf_add_byte(&g->out, ')');
            g->variables -= body;
            p++;
        } else {
            buf_add_byte(&g->out, *p);
        }
    }
}

static bool has_dyn_type(const struct cel_type *type)
{
    if (!type || type->kind == CT_DYN)
        return true;
    for (unsigned i = 0; i < type->count; i++)
        if (has_dyn_type(type->params[i]))
            return true;
    return false;
}

static bool has_dyn(const struct ast *ast)
{
    if (!ast)
        return false;
    if (has_dyn_type(ast->type) || has_dyn(ast->target))
        return true;
    for (uint32_t i = 0; i < ast->count; i++)
        if (has_dyn(ast->args[i]))
            return true;
    return false;
}

static void declare(struct fixture *f)
{
    static const struct cel_field fields[] = {{{"name", 4}, &T_STRING},
                                              {{"numbers", 7}, &T_LIST_INT}};
    struct cel_type *record = cel_type_record(&f->arena, STR("R"));
    cel_type_record_fields(record, fields, 2);
    fixture_bind(f, "i", &T_INT, value_int(2));
    fixture_bind(f, "d", &T_DOUBLE, value_double(0.5));
    fixture_bind(f, "s", &T_STRING, value_cstr("déf"));
    fixture_bind(f, "b", &T_BOOL, value_bool(false));
    fixture_bind(f, "l", &T_LIST_INT, fixture_json(f, "[3, 1, 2]"));
    fixture_bind(f, "m", cel_type_map(&f->arena, &T_STRING, &T_INT), fixture_json(f, "{\"x\": 1}"));
    fixture_bind(f, "t", &T_TIMESTAMP, (struct value){.kind = VALUE_TIMESTAMP, .i = 1});
    fixture_bind(f, "r", record, fixture_json(f, "{\"numbers\": [5, 6]}"));
}

static bool is_type_error(const struct error *err)
{
    return strcmp(err->code, "C0201") == 0 || strcmp(err->code, "C0208") == 0 ||
           strcmp(err->code, "C0209") == 0;
}

static void check_trace(struct fixture *f, const struct cel_program *program, const char *text,
                        bool ok, struct value v)
{
    struct value traced;
    struct cel_trace trace;
    struct error err = {0};
    bool same = cel_eval_trace(program, f->slots, NULL, &f->arena, &trace, &traced, &err);
    if (same != ok || (ok && !cel_equal(v, traced)) || (!ok && strcmp(err.code, f->err.code) != 0))
        fail_msg("traced otherwise: %s", text);
    assert_true(trace.count > 0 || trace.dropped == 0);
}

#define DATA_SIZE 16 // no list, map or text of declare()'s is larger

/* What evaluating took is within what was estimated (a number may make a list of any length). */
static void check_cost(const struct cel_program *program, const char *text, uint64_t used)
{
    uint64_t estimate = cel_program_cost(program, DATA_SIZE);
    if (used > estimate && !strstr(text, "lists.range"))
        fail_msg("cost %llu, estimated %llu: %s", (unsigned long long)used,
                 (unsigned long long)estimate, text);
}

/* 1 when it was accepted and evaluated. */
static unsigned try_one(uint64_t seed, unsigned *evaluated)
{
    struct fixture f;
    struct value v = value_null();
    fixture_begin(&f);
    declare(&f);
    struct generator g = {.out = {.arena = &f.arena}, .seed = seed * 0x9E3779B97F4A7C15u + 1};
    generate(&g, (enum wanted)(seed % KINDS), 3);
    const char *text = buf_str(&g.out).ptr;
    const struct cel_program *program = fixture_compile(&f, text);
    bool typed = program && !has_dyn(program->ast);
    if (typed) {
        struct cel_budget budget = cel_budget_default();
        bool ok = cel_eval(program, f.slots, &budget, &f.arena, &v, &f.err);
        check_cost(program, text, cel_budget_default().cost_left - budget.cost_left);
        if (!ok && is_type_error(&f.err))
            fail_msg("%s\n  %s %s", text, f.err.code, f.err.message);
        check_trace(&f, program, text, ok, v);
        *evaluated += ok;
    }
    cel_program_finish(program);
    fixture_end(&f);
    return typed;
}

static void test_property__checked_expressions_have_no_type_errors(void **state)
{
    (void)state;
    unsigned typed = 0, evaluated = 0;
    for (uint64_t seed = 1; seed <= EXPRESSIONS; seed++)
        typed += try_one(seed, &evaluated);
    assert_true(typed > EXPRESSIONS / 3);
    assert_true(evaluated > EXPRESSIONS / 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_property__checked_expressions_have_no_type_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
