// SPDX-License-Identifier: Apache-2.0
/* The small service models of the tests (models/, written for them) and what all tests need. */
#ifndef RECTIFY_TESTS_MODELS_FIXTURE_H
#define RECTIFY_TESTS_MODELS_FIXTURE_H

#include "../cmocka_all.h"

#include <string.h>

#include "aws/aws_internal.h"
#include "value/json.h"

struct fixture {
    struct aws_models *models;
    struct arena arena;
};

static inline int fixture_start(void **state)
{
    static struct fixture fixture;
    struct error err = {0};
    fixture = (struct fixture){0};
    fixture.models = aws_models_open(TEST_MODELS, &err);
    *state = &fixture;
    return fixture.models ? 0 : -1;
}

static inline int fixture_end(void **state)
{
    struct fixture *fixture = *state;
    aws_models_close(fixture->models);
    arena_finish(&fixture->arena);
    return 0;
}

static inline const struct aws_operation *fixture_operation(struct fixture *fixture,
                                                            const char *name)
{
    struct error err = {0};
    const struct aws_operation *op = aws_operation_find(fixture->models, str_from(name), &err);
    if (!op)
        fail_msg("%s: %s", name, err.message);
    return op;
}

static inline struct value fixture_json(struct fixture *fixture, const char *text)
{
    struct value v;
    struct error err = {0};
    if (!json_parse(&fixture->arena, str_from(text), &v, &err))
        fail_msg("%s: %s", text, err.message);
    return v;
}

static inline void assert_str(struct str got, const char *want)
{
    if (!str_is(got, want))
        fail_msg("got `%.*s`, wanted `%s`", STR_FMT(got), want);
}

static inline void assert_json(struct fixture *fixture, struct value got, const char *want)
{
    struct buf out = {.arena = &fixture->arena};
    json_write(&out, got, JSON_COMPACT);
    assert_str(buf_str(&out), want);
}

#endif
