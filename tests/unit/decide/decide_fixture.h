// SPDX-License-Identifier: Apache-2.0
/* A policy, a resource and a cloud that answers what the test says. */
#ifndef RECTIFY_TESTS_DECIDE_FIXTURE_H
#define RECTIFY_TESTS_DECIDE_FIXTURE_H

#include "decide/decide.h"
#include "fixture.h"

#define SCENE_ANSWERS_MAX 4

struct scene {
    struct arena arena;
    struct policy_set *set;
    struct policy_assignment assignment;
    struct decide_subject subject;
    struct decide_finding finding;
    struct error err;
    struct aws_answer answers[SCENE_ANSWERS_MAX]; // in order; the last one repeats
    int calls;
    struct aws_call last;
};

/* The fixture's policy with `from` replaced by `to`, under mode enforce. */
void scene_start(struct scene *scene, const char *from, const char *to);
void scene_finish(struct scene *scene);
/* The next answer: JSON of the output, or an outcome with its code. */
void scene_answer(struct scene *scene, int at, const char *output);
void scene_fail(struct scene *scene, int at, enum aws_outcome outcome, const char *code);
/* Reads with output `json` (NULL = as set before). */
enum verdict scene_read(struct scene *scene, const char *json);
struct value scene_json(struct scene *scene, const char *text);
/* Compact JSON, in the arena. */
const char *scene_text(struct scene *scene, struct value v);

#endif
