// SPDX-License-Identifier: Apache-2.0
/* See world.h. */
#include "world.h"

#include "engine/rules_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct aws_models *shared_models;

void world_write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

const char world_policy[] =
    "policy: tag\ntitle: tagged\nseverity: low\n"
    "resource: {type: 'AWS::S3::Bucket'}\n"
    "detect:\n  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}\n  settle: "
    "60s\n"
    "decide:\n  read:\n    tagging:\n      call: s3:GetBucketTagging\n"
    "      with: {Bucket: '${resource.id}'}\n      absent: {NoSuchTagSet: {TagSet: []}}\n"
    "      gone: [NoSuchBucket]\n"
    "  violation: \"!tagging.TagSet.exists(t, t.Key == 'cost-center')\"\n"
    "act:\n  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'cost-center', 'Value': 'x'}]}\"}\n"
    "    undo:\n"
    "      - when: size(current.tagging.TagSet) == 1 && current.tagging.TagSet[0].Key == "
    "'cost-center'\n"
    "        call: s3:DeleteBucketTagging\n        with: {Bucket: '${resource.id}'}\n"
    "      - when: current.tagging.TagSet.exists(t, t.Key == 'cost-center' && t.Value == 'x')\n"
    "        call: s3:PutBucketTagging\n"
    "        with: {Bucket: '${resource.id}', Tagging: {TagSet: "
    "\"${current.tagging.TagSet.filter(t, t.Key != 'cost-center')}\"}}\n"
    "verify: {within: 5m, else: undo}\n";

void world_init_with(struct world *w, uint64_t seed, const char *policy, const char *guard)
{
    char text[4096], *dir;
    struct error_list errors;
    struct error err;
    *w = (struct world){.models = shared_models};
    sim_init(&w->sim, seed);
    snprintf(w->dir, sizeof w->dir, "/tmp/rectify-engine-XXXXXX");
    dir = mkdtemp(w->dir);
    assert_non_null(dir);
    snprintf(text, sizeof text, "%sguard: %s\n", policy, guard);
    world_write_file(dir, "tag.yaml", text);
    world_write_file(dir, "rectify.yaml",
                     "assignments:\n  - {policies: ['*'], accounts: '*', mode: enforce}\n");
    errors = (struct error_list){.arena = &w->arena};
    w->policies =
        policy_set_load(&(struct policy_options){.dir = dir, .models = w->models}, &errors);
    if (!w->policies)
        fail_msg("%s", errors.items[0]->message);
    w->store = store_open(":memory:", &w->sim.clock, &err);
    assert_non_null(w->store);
    w->rules = engine_rules_create(w->policies, &err);
    assert_non_null(w->rules);
    w->engine = (struct engine){.store = w->store,
                                .rules = w->rules,
                                .models = w->models,
                                .caller = sim_caller(&w->sim),
                                .clock = &w->sim.clock};
}

void world_init(struct world *w, uint64_t seed, const char *guard)
{
    world_init_with(w, seed, world_policy, guard);
}

void world_finish(struct world *w)
{
    char path[128];
    store_close(w->store);
    engine_rules_destroy(w->rules);
    arena_finish(&w->arena);
    arena_finish(&w->scratch);
    sim_finish(&w->sim);
    snprintf(path, sizeof path, "%s/tag.yaml", w->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/rectify.yaml", w->dir);
    unlink(path);
    rmdir(w->dir);
}

void send_event_by(struct world *w, int bucket, const char *name, const char *actor)
{
    char key[64], id[32], detail[256];
    const struct policy *p = policy_set_at(w->policies, 0);
    struct error err;
    snprintf(key, sizeof key, "aws/" ACCOUNT "/global/AWS::S3::Bucket/bucket-%d", bucket);
    snprintf(id, sizeof id, "event-%d", ++w->events);
    struct store_match match = {p->name,
                                str_from(p->hash),
                                str_from(key),
                                STR("us-east-1"),
                                w->sim.wall_ms + p->settle_ms,
                                str_from(detail)};
    struct store_event event = {str_from(id), str_from(name), &match, 1};
    snprintf(detail, sizeof detail, "{\"event\":{\"name\":\"%s\",\"actor\":\"%s\"}}", name, actor);
    match.detail = str_from(detail);
    struct arena arena ARENA_AUTO = {0};
    assert_true(engine_note_maker(&w->engine, p, match.resource, event.name, str_from(actor),
                                  &arena, &err)); // as intake does
    assert_int_equal(store_accept(w->store, &event, 1, NULL, &err), STORE_OK);
}

void send_event(struct world *w, int bucket)
{
    send_event_by(w, bucket, "s3:CreateBucket", "");
}

bool world_step(struct world *w)
{
    struct store_claim claim;
    struct error err;
    size_t count;
    int64_t next;
    assert_int_equal(
        store_claim(w->store, 1, ENGINE_LEASE_MS, ENGINE_GRACE_MS, &claim, &count, &next, &err),
        STORE_OK);
    if (count == 1) {
        assert_true(engine_step(&w->engine, &claim, &w->scratch, &err));
        return true;
    }
    if (next == INT64_MAX)
        return false;
    int64_t ahead = next - w->sim.wall_ms;
    w->sim.wall_ms += ahead > 0 ? ahead : 1;
    w->sim.steady_ms += ahead > 0 ? ahead : 1;
    return true;
}

void world_run(struct world *w)
{
    for (int i = 0; i < 5000; i++)
        if (!world_step(w))
            return;
    fail_msg("the system does not drain");
}

struct remediation world_get(struct world *w, int64_t id)
{
    struct remediation r;
    struct error err;
    assert_int_equal(store_get(w->store, id, &w->arena, &r, &err), STORE_OK);
    return r;
}

int world_run_tests(const struct CMUnitTest *tests, size_t count)
{
    struct error err;
    const char *models = getenv("RECTIFY_MODELS");
    shared_models = aws_models_open(models ? models : RECTIFY_MODELS_DIR, &err);
    if (!shared_models) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = _cmocka_run_group_tests("engine", tests, count, NULL, NULL);
    aws_models_close(shared_models);
    return failed;
}
