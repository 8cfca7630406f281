// SPDX-License-Identifier: Apache-2.0
/* Runs files of CEL conformance vectors: evaluation tests (the form of the standard's simple tests
 * written as JSON) or tests of parse and check errors by position. Prints each id that fails with
 * what was wanted and what came, then "N passed, N failed, N skipped".
 *
 *   conform_cel [--skip LIST] [FILE...]      (without FILE: the shared folder's vectors)
 *
 * LIST (JSON, an array of {"id" | "match", "reason"}) names what is left out and why; `match`
 * compares members of the vector. Exit 0: none failed; 1: some did; 77: the files are missing. */
#include <stdio.h>
#include <stdlib.h>

#include "cel_vectors.h"
#include "conform_file.h"

struct run {
    struct value skips;
    struct conform_result result;
};

static struct value member(struct value json, const char *name)
{
    const struct value *found = value_get(json, str_from(name));
    return found ? *found : value_null();
}

static struct str text(struct value json, const char *name)
{
    return value_str(member(json, name));
}

static bool skipped(const struct run *run, struct value test, struct str id)
{
    for (uint32_t i = 0; i < run->skips.len; i++) {
        struct value skip = run->skips.items[i], match = member(skip, "match");
        bool fits = match.kind == VALUE_MAP;
        for (uint32_t k = 0; k < match.len; k++) {
            const struct value *has = value_get_key(test, match.pairs[k].key);
            fits &= has && value_equal(*has, match.pairs[k].value);
        }
        if (fits || (id.len && str_eq(text(skip, "id"), id))) {
            printf("skip case %u: %.*s\n", run->result.passed + run->result.skipped,
                   STR_FMT(text(skip, "reason")));
            return true;
        }
    }
    return false;
}

static void fail(struct run *run, struct str id, const char *wanted, const char *got)
{
    run->result.failed++;
    printf("FAIL %.*s\n  want %s\n  got  %s\n", STR_FMT(id), wanted, got);
}

static const char *shown(struct arena *arena, struct value v)
{
    struct buf out = {.arena = arena};
    cel_value_print(&out, v, 300);
    struct str s = buf_str(&out);
    return s.ptr ? s.ptr : "?";
}

/* Equal as the vectors mean it: kinds too, and NaN is NaN. */
static bool same(struct value a, struct value b)
{
    if (a.kind != b.kind)
        return false;
    if (a.kind == VALUE_DOUBLE)
        return a.u == b.u || a.d == b.d || (a.d != a.d && b.d != b.d);
    if (a.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < a.len && a.len == b.len; i++)
            if (!same(a.items[i], b.items[i]))
                return false;
        return a.len == b.len;
    }
    if (a.kind == VALUE_MAP) {
        for (uint32_t i = 0; i < a.len && a.len == b.len; i++) {
            const struct value *other = value_get_key(b, a.pairs[i].key);
            if (!other || !same(a.pairs[i].value, *other))
                return false;
        }
        return a.len == b.len;
    }
    if (a.kind == VALUE_TYPE)
        return strcmp(a.opaque, b.opaque) == 0;
    return value_equal(a, b);
}

static struct value *bind_slots(const struct cel_env *env, struct arena *arena, struct value test)
{
    unsigned count = cel_env_slots(env), slot;
    struct value *slots = ARENA_ARRAY(arena, struct value, count + 1);
    struct value bindings = member(test, "bindings");
    for (unsigned i = 0; slots && i < count; i++)
        slots[i] = cel_unset();
    for (uint32_t i = 0; slots && i < bindings.len; i++)
        if (!cel_env_find(env, value_str(bindings.pairs[i].key), &slot) ||
            !vector_value(arena, bindings.pairs[i].value, &slots[slot]))
            return NULL;
    return slots;
}

static const char *first_error(struct arena *arena, const struct error_list *errors)
{
    const char *line = arena_printf(arena, "%u:%u: %s", errors->items[0]->line,
                                    errors->items[0]->column, errors->items[0]->message);
    return line ? line : "error";
}

/* What the checker found against the vector's type. */
static bool type_fits(struct run *run, struct arena *arena, struct str id, struct value expect,
                      const struct cel_program *program)
{
    struct value wanted = member(expect, "deduced_type");
    if (wanted.kind != VALUE_MAP)
        return true;
    const char *want = cel_type_text(arena, vector_type(arena, wanted));
    const char *got = cel_type_text(arena, cel_program_type(program));
    if (strcmp(want, got) == 0)
        return true;
    fail(run, id, want, got);
    return false;
}

static void run_eval(struct run *run, struct arena *arena, struct value test, struct str id,
                     const struct cel_env *env, const struct cel_program *program)
{
    struct value expect = member(test, "expect"), got, want;
    struct str kind = text(expect, "kind");
    struct value *slots = bind_slots(env, arena, test);
    struct error err = {0};
    if (!type_fits(run, arena, id, expect, program))
        return;
    if (member(test, "check_only").b || str_is(kind, "type")) {
        run->result.passed++;
        return;
    }
    if (!slots || (str_is(kind, "value") && !vector_value(arena, member(expect, "value"), &want))) {
        fail(run, id, "a value without protobuf", "a message");
        return;
    }
    bool ok = cel_eval(program, slots, NULL, arena, &got, &err);
    if (ok != str_is(kind, "value"))
        fail(run, id, ok ? "an error" : shown(arena, want), ok ? shown(arena, got) : err.message);
    else if (ok && !same(got, want))
        fail(run, id, shown(arena, want), shown(arena, got));
    else
        run->result.passed++;
}

static void run_vector(struct run *run, struct arena *arena, struct value test)
{
    struct str id = text(test, "id");
    if (skipped(run, test, id)) {
        run->result.skipped++;
        return;
    }
    struct cel_env *env = cel_env_create(arena, NULL);
    struct error_list errors = {.arena = arena};
    struct value expect = member(test, "expect");
    if (!env)
        exit(2);
    cel_env_set_options(env, (struct cel_options){.container = text(test, "container"),
                                                  .unchecked = member(test, "disable_check").b,
                                                  .literals_at_run_time = true});
    if (!vector_declare(env, arena, test)) {
        fail(run, id, "declarations", "an error");
        return;
    }
    const struct cel_program *program =
        cel_compile(env, arena, text(test, "expr"), NULL, NULL, &errors);
    if (program)
        run_eval(run, arena, test, id, env, program);
    else if (str_is(text(expect, "kind"), "error") && !str_is(text(expect, "phase"), "eval"))
        run->result.passed++;
    else
        fail(run, id, "a program", first_error(arena, &errors));
    cel_program_finish(program);
}

/* ---- errors by position ---- */

/* Positions without repeats, as text "1:2 1:5". */
static const char *positions_text(struct arena *arena, const unsigned (*at)[2], size_t count)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < count; i++) {
        bool repeated = false;
        for (size_t k = 0; k < i; k++)
            repeated |= at[k][0] == at[i][0] && at[k][1] == at[i][1];
        if (!repeated)
            buf_printf(&out, "%u:%u ", at[i][0], at[i][1]);
    }
    struct str s = buf_str(&out);
    return s.ptr ? s.ptr : "";
}

static const char *wanted_positions(struct arena *arena, struct value list)
{
    unsigned(*at)[2] = arena_alloc_array(arena, list.len + 1, sizeof *at);
    for (uint32_t i = 0; at && i < list.len; i++) {
        at[i][0] = (unsigned)member(list.items[i], "line").i;
        at[i][1] = (unsigned)member(list.items[i], "column").i;
    }
    return at ? positions_text(arena, (const unsigned(*)[2])at, list.len) : "";
}

static const char *got_positions(struct arena *arena, const struct error_list *errors)
{
    unsigned at[ERROR_LIST_MAX][2];
    size_t kept = 0;
    size_t count = errors->count < ERROR_LIST_MAX ? errors->count : ERROR_LIST_MAX;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(errors->items[i]->code, "C0005") == 0)
            continue;
        at[kept][0] = errors->items[i]->line;
        at[kept++][1] = errors->items[i]->column;
    }
    return positions_text(arena, (const unsigned(*)[2])at, kept);
}

static bool says(struct value test, const char *what)
{
    return str_find(text(test, "error"), str_from(what)) != SIZE_MAX;
}

/* The reference parser's own tests run with a nesting of 32; that error has no position. */
static bool too_deep(struct value test)
{
    return says(test, "recursion limit exceeded: 32") || says(test, "max recursion depth exceeded");
}

static void check_errors(struct run *run, struct arena *arena, struct value test, struct str id,
                         const struct error_list *errors)
{
    const char *phase = errors->count == 0 ? "none"
                        : errors->items[0]->code[1] == '0' && errors->items[0]->code[2] == '0'
                            ? "parse"
                            : "check";
    const char *want = wanted_positions(arena, member(test, "positions"));
    const char *got = got_positions(arena, errors);
    /* They also give up at that depth or after four tokens of recovery; then ours say more. */
    bool gave_up = says(test, "limit exceeded: 4") || too_deep(test);
    bool positions = strcmp(want, got) == 0 || (gave_up && strncmp(want, got, strlen(want)) == 0);
    if (str_is(text(test, "phase"), phase) && positions) {
        run->result.passed++;
        return;
    }
    fail(
        run, id, arena_printf(arena, "%.*s %s", STR_FMT(text(test, "phase")), want),
        arena_printf(arena, "%s %s%s", phase, got, errors->count ? errors->items[0]->message : ""));
}

static void run_error_vector(struct run *run, struct arena *arena, struct value test)
{
    struct str id = text(test, "id").len ? text(test, "id") : text(test, "expr");
    struct cel_env *env = cel_env_create(arena, NULL);
    struct error_list errors = {.arena = arena};
    if (!env)
        exit(2);
    if (skipped(run, test, id)) {
        run->result.skipped++;
        return;
    }
    cel_env_set_options(env, (struct cel_options){.container = text(test, "container"),
                                                  .core_only = true,
                                                  .depth_max = too_deep(test) ? 32 : 0});
    if (!vector_declare(env, arena, test)) {
        fail(run, id, "declarations", "an error");
        return;
    }
    const struct cel_program *program =
        cel_compile(env, arena, text(test, "expr"), NULL, NULL, &errors);
    struct str type = text(test, "type");
    if (text(test, "error").len)
        check_errors(run, arena, test, id, &errors);
    else if (program && type.len && !str_is(type, cel_type_text(arena, cel_program_type(program))))
        fail(run, id, arena_printf(arena, "%.*s", STR_FMT(type)),
             cel_type_text(arena, cel_program_type(program)));
    else if (program)
        run->result.passed++;
    else
        fail(run, id, "a program", first_error(arena, &errors));
    cel_program_finish(program);
}

static void run_file(struct run *run, const char *path)
{
    struct value file;
    ARENA_AUTO struct arena kept = {0};
    if (!conform_read(&run->result, path, &kept, &file))
        return;
    struct value tests = file.kind == VALUE_LIST ? file : member(file, "tests");
    for (uint32_t i = 0; i < tests.len; i++) {
        ARENA_AUTO struct arena arena = {0};
        if (text(tests.items[i], "suite").len)
            run_error_vector(run, &arena, tests.items[i]);
        else
            run_vector(run, &arena, tests.items[i]);
    }
}

static void run_shared(struct run *run)
{
    static const char *const names[] = {"cel.json", "cel-errors.json"};
    const char *shared = getenv("RECTIFY_SHARED");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/vectors/%s", shared ? shared : RECTIFY_SHARED_DEFAULT,
                 names[i]);
        run_file(run, path);
    }
}

int main(int argc, char **argv)
{
    struct run run = {0};
    ARENA_AUTO struct arena kept = {0};
    int first = 1;
    const char *skips = CEL_SKIP_LIST;
    if (argc > 2 && strcmp(argv[1], "--skip") == 0) {
        skips = argv[2];
        first = 3;
    }
    if (!conform_read(&run.result, skips, &kept, &run.skips))
        return conform_end(&run.result);
    for (int i = first; i < argc; i++)
        run_file(&run, argv[i]);
    if (first == argc)
        run_shared(&run);
    return conform_end(&run.result);
}
