// SPDX-License-Identifier: Apache-2.0
/* Any text is compiled, checked or not, or refused with codes and places; what compiles evaluates
 * within its budget to a value or to an error with a code and a place, the same with tracing. The
 * first byte chooses how the text is read. */
#include "cel/cel.h"

#include "base/ensure.h"
#include "value/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COST 20000
#define BYTES ((size_t)1 << 22)

static const char document[] =
    "{\"i\": 7, \"n\": null, \"s\": \"caf\\u00e9\", \"d\": 1.5, \"b\": true, \"l\": [1, 2, 3],"
    "\"t\": [{\"Key\": \"a\", \"Value\": \"b\"}, {\"Key\": \"c\"}], \"m\": {\"x\": {\"y\": "
    "[\"z\"]}},"
    "\"p\": {\"Statement\": {\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"*\"}}}}";

static void declare(struct cel_env *env, struct arena *arena, struct value *slots)
{
    static const struct {
        const char *name;
        enum value_kind kind;
    } names[] = {{"i", VALUE_INT},    {"n", VALUE_NULL}, {"s", VALUE_STRING},
                 {"d", VALUE_DOUBLE}, {"b", VALUE_BOOL}, {"l", VALUE_LIST},
                 {"t", VALUE_OPAQUE}, {"m", VALUE_MAP},  {"p", VALUE_OPAQUE}};
    struct value root;
    ENSURE(json_parse(arena, str_from(document), &root, NULL));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsigned slot;
        ENSURE(cel_env_add_variable(env, str_from(names[i].name), cel_type_of(names[i].kind), &slot,
                                    NULL));
        slots[slot] = *value_get(root, str_from(names[i].name));
    }
    unsigned unset;
    ENSURE(cel_env_add_variable(env, STR("unset"), cel_type_dyn(), &unset, NULL));
    slots[unset] = cel_unset();
}

static void check_error(const struct error *err)
{
    ENSURE(err->code && err->code[0] == 'C' && err->message[0] && err->line >= 1 &&
           err->column >= 1);
}

static void evaluate(const struct cel_program *program, const struct value *slots)
{
    ARENA_AUTO struct arena arena = {0}, traced = {0};
    struct cel_budget budget = {COST, BYTES}, again = {COST, BYTES};
    struct value first, second;
    struct error err = {0}, err2 = {0};
    struct cel_trace trace;
    bool ok = cel_eval(program, slots, &budget, &arena, &first, &err);
    bool ok2 = cel_eval_trace(program, slots, &again, &traced, &trace, &second, &err2);
    struct buf out = {.arena = &traced};
    cel_trace_print(&out, &trace);
    if (ok) {
        struct value plain;
        cel_value_print(&out, first, 0);
        ENSURE(cel_value_plain(&arena, first, &plain));
        json_write(&out, plain, JSON_CANONICAL);
    } else {
        check_error(&err);
        cel_error_print(&out, &err);
    }
    bool limited = (!ok && err.code[2] == '3') || (!ok2 && err2.code[2] == '3');
    ENSURE(ok == ok2 || limited);
    ENSURE(budget.cost_left <= COST && budget.bytes_left <= BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct error_list errors = {.arena = &arena};
    struct value slots[16];
    if (size == 0)
        return 0;
    struct cel_env *env = cel_env_create(&arena, NULL);
    ENSURE(env);
    cel_env_set_options(env, (struct cel_options){.unchecked = data[0] & 1,
                                                  .core_only = data[0] & 2,
                                                  .literals_at_run_time = data[0] & 4});
    declare(env, &arena, slots);
    const struct cel_program *program = cel_compile(
        env, &arena, (struct str){(const char *)data + 1, size - 1}, NULL, NULL, &errors);
    ENSURE((program != NULL) == (errors.count == 0));
    for (size_t i = 0; i < errors.count && i < ERROR_LIST_MAX; i++)
        check_error(errors.items[i]);
    if (program) {
        size_t count;
        (void)cel_program_paths(program, &count);
        (void)cel_program_cost(program, 100);
        evaluate(program, slots);
    }
    cel_program_finish(program);
    return 0;
}
