// SPDX-License-Identifier: Apache-2.0
/* What the tests of cel/ share: an environment with data, and evaluation by text. */
#ifndef RECTIFY_TESTS_CEL_TEST_H
#define RECTIFY_TESTS_CEL_TEST_H

#include "../cmocka_all.h"

#include "cel/cel.h"
#include "value/json.h"

struct fixture {
    struct arena arena;
    struct cel_env *env;
    struct value slots[16];
    struct error err;         // of the last evaluation
    struct error_list errors; // of the last compilation
};

static inline void fixture_begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->env = cel_env_create(&f->arena, NULL);
    f->errors.arena = &f->arena;
    assert_non_null(f->env);
}

static inline void fixture_end(struct fixture *f)
{
    arena_finish(&f->arena);
}

static inline struct value fixture_json(struct fixture *f, const char *json)
{
    struct value v;
    struct error err = {0};
    if (!json_parse(&f->arena, str_from(json), &v, &err))
        fail_msg("%s: %s", json, err.message);
    return v;
}

/* A variable with its value. */
static inline unsigned fixture_bind(struct fixture *f, const char *name,
                                    const struct cel_type *type, struct value v)
{
    unsigned slot;
    assert_true(cel_env_add_variable(f->env, str_from(name), type, &slot, &f->err));
    assert_true(slot < 16);
    f->slots[slot] = v;
    return slot;
}

static inline const struct cel_program *fixture_compile(struct fixture *f, const char *text)
{
    f->errors.count = 0;
    return cel_compile(f->env, &f->arena, str_from(text), NULL, NULL, &f->errors);
}

/* The printed value; "!C0202 line:column message" of a failed evaluation, "?C0102 ..." of
 * compiling. */
static inline const char *fixture_eval(struct fixture *f, const char *text)
{
    struct value v;
    struct buf out = {.arena = &f->arena};
    const struct cel_program *program = fixture_compile(f, text);
    const struct error *err = &f->err;
    if (program && cel_eval(program, f->slots, NULL, &f->arena, &v, &f->err)) {
        cel_value_print(&out, v, 0);
        cel_program_finish(program);
        return buf_str(&out).ptr;
    }
    if (!program)
        err = f->errors.items[0];
    buf_printf(&out, "%c%s %u:%u %s", program ? '!' : '?', err->code, err->line, err->column,
               err->message);
    cel_program_finish(program);
    return buf_str(&out).ptr;
}

static inline void fixture_expect(struct fixture *f, const char *text, const char *want)
{
    const char *got = fixture_eval(f, text);
    if (strncmp(got, want, strlen(want) + (*want != '!' && *want != '?')) != 0)
        fail_msg("%s\n  want %s\n  got  %s", text, want, got);
}

#endif
