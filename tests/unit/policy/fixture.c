// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../cmocka_all.h"

static struct aws_models *models;

struct aws_models *fixture_models(void)
{
    struct error err;
    if (!models)
        models = aws_models_open(TEST_MODELS, &err);
    if (!models)
        fail_msg("%s (build the target src/aws/model_pack.stamp)", err.message);
    return models;
}

void fixture_finish(void)
{
    aws_models_close(models);
    models = NULL;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

struct policy_set *fixture_load(const char *policy, const char *config, struct error_list *errors)
{
    char dir[] = "/tmp/rectify-policy-XXXXXX";
    assert_non_null(mkdtemp(dir));
    write_file(dir, "p.yaml", policy);
    if (config)
        write_file(dir, "rectify.yaml", config);
    struct policy_options options = {.dir = dir, .models = fixture_models()};
    struct policy_set *set = policy_set_load(&options, errors);
    remove_file(dir, "p.yaml");
    remove_file(dir, "rectify.yaml");
    (void)rmdir(dir);
    return set;
}

struct policy_set *fixture_library(const char *config)
{
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    char dir[] = "/tmp/rectify-config-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    write_file(dir, "rectify.yaml", config);
    snprintf(path, sizeof path, "%s/rectify.yaml", dir);
    struct policy_options options = {TEST_POLICIES, path, fixture_models()};
    struct policy_set *set = policy_set_load(&options, &errors);
    remove_file(dir, "rectify.yaml");
    (void)rmdir(dir);
    if (!set)
        fail_msg("%s", fixture_errors(&arena, &errors));
    return set;
}

static const char base_policy[] =
    "policy: tags\n"
    "title: Buckets carry a tag\n"
    "severity: low\n"
    "params:\n"
    "  value: {type: string, default: unassigned}\n"
    "resource: {type: AWS::S3::Bucket}\n"
    "detect:\n"
    "  events:\n"
    "    s3:CreateBucket: event.detail.requestParameters.bucketName\n"
    "  settle: 60s\n"
    "decide:\n"
    "  read:\n"
    "    tagging:\n"
    "      call: s3:GetBucketTagging\n"
    "      with: {Bucket: \"${resource.id}\"}\n"
    "      absent: {NoSuchTagSet: {TagSet: []}}\n"
    "      gone: [NoSuchBucket]\n"
    "  violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"\n"
    "  message: ${\"bucket \" + resource.id + \" has no owner\"}\n"
    "act:\n"
    "  - call: s3:PutBucketTagging\n"
    "    with:\n"
    "      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'owner', 'Value': params.value}]}\"}\n"
    "    undo:\n"
    "      - when: size(current.tagging.TagSet) == 1\n"
    "        call: s3:DeleteBucketTagging\n"
    "        with: {Bucket: \"${resource.id}\"}\n"
    "verify: {within: 5m, else: undo}\n"
    "guard: {mode: enforce}\n";

const char *fixture_policy(struct arena *arena, const char *from, const char *to)
{
    struct str text = str_from(base_policy);
    struct buf out = {.arena = arena};
    if (!from)
        return base_policy;
    size_t at = str_find(text, str_from(from));
    if (at == SIZE_MAX)
        fail_msg("the fixture has no \"%s\"", from);
    buf_add_str(&out, str_sub(text, 0, at));
    buf_add_cstr(&out, to);
    buf_add_str(&out, str_sub(text, at + strlen(from), SIZE_MAX));
    return buf_str(&out).ptr;
}

const char *fixture_errors(struct arena *arena, const struct error_list *errors)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < errors->count && i < ERROR_LIST_MAX; i++)
        error_print(&out, errors->items[i]);
    return buf_str(&out).ptr;
}
