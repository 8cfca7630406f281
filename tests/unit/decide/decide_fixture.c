// SPDX-License-Identifier: Apache-2.0
#include "decide_fixture.h"

#include "value/json.h"

#include "../cmocka_all.h"

static void answer_call(void *ctx, const struct aws_call *call, struct arena *arena,
                        struct aws_answer *ret)
{
    struct scene *scene = ctx;
    int at = scene->calls < SCENE_ANSWERS_MAX ? scene->calls : SCENE_ANSWERS_MAX - 1;
    (void)arena;
    while (at > 0 && scene->answers[at].outcome == AWS_OK &&
           scene->answers[at].output.kind == VALUE_NULL)
        at--;
    scene->calls++;
    scene->last = *call;
    *ret = scene->answers[at];
}

void scene_start(struct scene *scene, const char *from, const char *to)
{
    struct error_list errors = {.arena = &scene->arena};
    *scene = (struct scene){0};
    scene->set = fixture_load(fixture_policy(&scene->arena, from, to),
                              "assignments: [{policies: \"*\", accounts: \"*\", mode: enforce, "
                              "roles: {read: reader, act: actor}}]\n",
                              &errors);
    if (!scene->set)
        fail_msg("%s", fixture_errors(&scene->arena, &errors));
    const struct policy *policy = policy_set_at(scene->set, 0);
    scene->assignment = policy_set_assign(scene->set, policy, STR("111122223333"), &scene->arena);
    scene->subject =
        (struct decide_subject){.policy = policy,
                                .assignment = &scene->assignment,
                                .resource = {STR("aws"), STR("111122223333"), STR("global"),
                                             policy->resource_type, STR("logs")},
                                .region = STR("eu-west-1"),
                                .now_ms = 1767607200123,
                                .caller = {answer_call, scene}};
    scene->subject.account = policy_set_account(scene->set, STR("111122223333"), &scene->arena);
}

void scene_finish(struct scene *scene)
{
    policy_set_destroy(scene->set);
    arena_finish(&scene->arena);
}

struct value scene_json(struct scene *scene, const char *text)
{
    struct value v;
    if (!json_parse(&scene->arena, str_from(text), &v, &scene->err))
        fail_msg("%s: %s", text, scene->err.message);
    return v;
}

const char *scene_text(struct scene *scene, struct value v)
{
    struct buf out = {.arena = &scene->arena};
    json_write(&out, v, JSON_COMPACT);
    return buf_str(&out).ptr;
}

void scene_answer(struct scene *scene, int at, const char *output)
{
    scene->answers[at] =
        (struct aws_answer){.outcome = AWS_OK, .output = scene_json(scene, output)};
}

void scene_fail(struct scene *scene, int at, enum aws_outcome outcome, const char *code)
{
    scene->answers[at] =
        (struct aws_answer){.outcome = outcome, .code = str_from(code), .message = STR("said so")};
}

enum verdict scene_read(struct scene *scene, const char *json)
{
    scene->calls = 0;
    if (json)
        scene_answer(scene, 0, json);
    decide_read(&scene->subject, &scene->arena, &scene->finding);
    return scene->finding.verdict;
}
