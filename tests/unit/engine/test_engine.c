// SPDX-License-Identifier: Apache-2.0
/* engine_step() against the simulated cloud, on a virtual clock: stories by name, then seeds. */
#include "../cmocka_all.h"

#include "base/fault.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two calls: the second may fail when the first is done. */
static const char two_steps_text[] =
    "policy: tag\ntitle: tagged\nseverity: low\n"
    "resource: {type: 'AWS::S3::Bucket'}\n"
    "detect:\n  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}\n  settle: "
    "10s\n"
    "decide:\n  read:\n    tagging:\n      call: s3:GetBucketTagging\n"
    "      with: {Bucket: '${resource.id}'}\n      absent: {NoSuchTagSet: {TagSet: []}}\n"
    "      gone: [NoSuchBucket]\n"
    "  violation: \"!(tagging.TagSet.exists(t, t.Key == 'a') && tagging.TagSet.exists(t, t.Key == "
    "'b'))\"\n"
    "act:\n  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'a', 'Value': 'x'}]}\"}\n"
    "    done: tagging.TagSet.exists(t, t.Key == 'a')\n"
    "    undo:\n"
    "      - when: current.tagging.TagSet.exists(t, t.Key == 'a')\n"
    "        call: s3:PutBucketTagging\n"
    "        with: {Bucket: '${resource.id}', Tagging: {TagSet: "
    "\"${current.tagging.TagSet.filter(t, t.Key != 'a')}\"}}\n"
    "  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'a', 'Value': 'x'}, {'Key': 'b', "
    "'Value': "
    "'x'}]}\"}\n"
    "    done: tagging.TagSet.exists(t, t.Key == 'b')\n"
    "    undo:\n"
    "      - when: current.tagging.TagSet.exists(t, t.Key == 'b')\n"
    "        call: s3:PutBucketTagging\n"
    "        with: {Bucket: '${resource.id}', Tagging: {TagSet: "
    "\"${current.tagging.TagSet.filter(t, t.Key != 'b')}\"}}\n"
    "verify: {within: 5m, else: undo}\n";

/* As world_policy, but whatever an event names is in truth bucket-1. */
static const char renamed_text[] =
    "policy: tag\ntitle: tagged\nseverity: low\n"
    "resource: {type: 'AWS::S3::Bucket', identity: \"${'bucket-' + string(1)}\"}\n"
    "detect:\n  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}\n"
    "decide:\n  read:\n    tagging:\n      call: s3:GetBucketTagging\n"
    "      with: {Bucket: '${resource.id}'}\n      absent: {NoSuchTagSet: {TagSet: []}}\n"
    "  violation: \"!tagging.TagSet.exists(t, t.Key == 'cost-center')\"\n"
    "act:\n  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'cost-center', 'Value': 'x'}]}\"}\n"
    "    undo:\n"
    "      - when: current.tagging.TagSet.exists(t, t.Key == 'cost-center')\n"
    "        call: s3:DeleteBucketTagging\n        with: {Bucket: '${resource.id}'}\n";

/* As world_policy, and then a database has to be available. */
#define WAITING_TEXT(waiter)                                                                       \
    "policy: tag\ntitle: tagged\nseverity: low\n"                                                  \
    "resource: {type: 'AWS::S3::Bucket'}\n"                                                        \
    "detect:\n  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}\n"          \
    "decide:\n  read:\n    tagging:\n      call: s3:GetBucketTagging\n"                            \
    "      with: {Bucket: '${resource.id}'}\n      absent: {NoSuchTagSet: {TagSet: []}}\n"         \
    "  violation: \"!tagging.TagSet.exists(t, t.Key == 'cost-center')\"\n"                         \
    "act:\n  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"               \
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'cost-center', 'Value': 'x'}]}\"}\n"    \
    "    undo:\n"                                                                                  \
    "      - when: current.tagging.TagSet.exists(t, t.Key == 'cost-center')\n"                     \
    "        call: s3:DeleteBucketTagging\n        with: {Bucket: '${resource.id}'}\n"             \
    "verify: {within: 10m, wait: {until: " waiter ", call: rds:DescribeDBInstances, "              \
    "with: {DBInstanceIdentifier: '${resource.id}'}}}\n"

/* ---- stories ---- */

static enum store_result yes_of_ann(struct store *store, int64_t id, struct str plan_hash)
{
    struct error err;
    struct store_ballot ballot = {.id = id,
                                  .plan_hash = plan_hash,
                                  .yes = true,
                                  .person = STR("ann"),
                                  .identity = STR("unix:ann"),
                                  .reason = STR("ok")};
    return store_vote(store, &ballot, NULL, &err);
}

static void test_engine__heals_an_untagged_bucket(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1, ENFORCE);
    sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1);
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    assert_true(sim_has_tag(&w.sim, 0, "cost-center"));
    assert_true(sim_has_tag(&w.sim, 0, "team"));
    assert_int_equal(w.sim.buckets[0].writes, 1);
    world_finish(&w);
}

static void test_engine__goes_on_under_the_name_that_the_reads_give(void **state)
{
    (void)state;
    struct world w;
    world_init_with(&w, 21, renamed_text, ENFORCE);
    send_event(&w, 0);
    send_event(&w, 1);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_SKIPPED);
    assert_true(str_find(world_get(&w, 1).reason, STR("bucket-1")) != SIZE_MAX);
    assert_int_equal(world_get(&w, 2).state, STATE_HEALED); // the one of the second event
    assert_int_equal(w.sim.buckets[0].writes, 0);
    assert_int_equal(w.sim.buckets[1].writes, 1);
    world_finish(&w);
}

/* A database that takes its time, stays behind, will never get there, cannot be asked. */
static void waits_for(const char *policy, const char *at_first, const char *later, enum state end,
                      int64_t least_ms)
{
    struct world w;
    world_init_with(&w, 22, policy, ENFORCE);
    w.sim.database = at_first;
    send_event(&w, 0);
    int64_t began = w.sim.wall_ms;
    for (int i = 0; i < 200 && world_step(&w); i++) {
        if (w.sim.wall_ms - began > 120000 && later)
            w.sim.database = later;
    }
    assert_int_equal(world_get(&w, 1).state, end);
    assert_true(str_find(world_get(&w, 1).reason, STR("DBInstance")) != SIZE_MAX ||
                end == STATE_HEALED);
    assert_int_equal(w.sim.buckets[0].writes, 1);
    assert_true(sim_has_tag(&w.sim, 0, "cost-center"));
    assert_in_range(w.sim.wall_ms - began, least_ms, least_ms + 61000);
    world_finish(&w);
}

static void test_engine__a_waiter_has_to_be_reached_too(void **state)
{
    (void)state;
    static const char available[] = WAITING_TEXT("DBInstanceAvailable"),
                      deleted[] = WAITING_TEXT("DBInstanceDeleted");
    waits_for(available, "modifying", "available", STATE_HEALED, 120000);
    waits_for(available, "modifying", NULL, STATE_UNCONFIRMED, 600000);
    waits_for(available, "modifying", "failed", STATE_NEEDS_PERSON, 120000);
    waits_for(available, NULL, NULL, STATE_UNCONFIRMED, 600000); // refused: nothing is known
    waits_for(deleted, "deleting", "", STATE_HEALED, 120000);    // an error that is the answer
}

static void test_engine__leaves_a_compliant_bucket_alone(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, ENFORCE);
    sim_set_tags(&w.sim, 0, (const char *const[]){"cost-center", "7"}, 1);
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_COMPLIANT);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

static void test_engine__denied_read_is_unread_and_never_acted_on(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 3, ENFORCE);
    w.sim.denied = true;
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_NEEDS_PERSON);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

static void test_engine__gone_bucket_ends_as_gone(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 4, ENFORCE);
    w.sim.buckets[0].exists = false;
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_GONE);
    world_finish(&w);
}

static void test_engine__observe_calls_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 5, "{mode: observe}");
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_OBSERVED);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

static void test_engine__asks_and_goes_on_after_a_yes(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    world_init(&w, 6, "{mode: approve, approval: {expires: 1h}}");
    send_event(&w, 0);
    while (world_get(&w, 1).state != STATE_ASKING)
        assert_true(world_step(&w));
    struct store_approval approval;
    assert_int_equal(store_approval(w.store, 1, &w.arena, &approval, &err), STORE_OK);
    assert_int_equal(yes_of_ann(w.store, 1, approval.plan_hash), STORE_OK);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    assert_int_equal(w.sim.buckets[0].writes, 1);
    world_finish(&w);
}

static void test_engine__unanswered_question_expires_without_a_call(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 7, "{mode: approve, approval: {expires: 1h}}");
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_EXPIRED);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

static void test_engine__approval_is_void_when_the_resource_changed(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    world_init(&w, 8, "{mode: approve, approval: {expires: 1h}}");
    send_event(&w, 0);
    while (world_get(&w, 1).state != STATE_ASKING)
        assert_true(world_step(&w));
    struct store_approval approval;
    assert_int_equal(store_approval(w.store, 1, &w.arena, &approval, &err), STORE_OK);
    assert_int_equal(yes_of_ann(w.store, 1, approval.plan_hash), STORE_OK);
    sim_set_tags(&w.sim, 0, (const char *const[]){"new", "tag"}, 1);
    for (int i = 0; i < 20 && world_get(&w, 1).state != STATE_ASKING; i++)
        assert_true(world_step(&w));
    assert_int_equal(world_get(&w, 1).state, STATE_ASKING);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

static void test_engine__refused_write_goes_to_a_person(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 9, ENFORCE);
    w.sim.write_refused = true;
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_NEEDS_PERSON);
    world_finish(&w);
}

static void test_engine__lost_reply_is_tested_and_not_repeated(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 10, ENFORCE);
    w.sim.lost_percent = 100;
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    assert_int_equal(w.sim.buckets[0].writes, 1);
    world_finish(&w);
}

static void test_engine__kill_switch_stops_calls(void **state)
{
    (void)state;
    struct world w;
    char path[128];
    world_init(&w, 11, ENFORCE);
    snprintf(path, sizeof path, "%s/STOP", w.dir);
    world_write_file(w.dir, "STOP", "");
    w.engine.kill_switch = path;
    send_event(&w, 0);
    for (int i = 0; i < 300; i++)
        world_step(&w);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    unlink(path);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    world_finish(&w);
}

static void test_engine__rollback_takes_back_only_ours(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    int64_t id;
    world_init(&w, 12, ENFORCE);
    sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1);
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    sim_set_tags(&w.sim, 0,
                 (const char *const[]){"team", "red", "cost-center", "x", "hand", "made"}, 3);
    assert_true(engine_rollback(&w.engine, 1, STR("ann"), &id, &err));
    world_run(&w);
    assert_int_equal(world_get(&w, id).state, STATE_ROLLED_BACK);
    assert_true(sim_has_tag(&w.sim, 0, "hand"));
    assert_true(sim_has_tag(&w.sim, 0, "team"));
    assert_false(sim_has_tag(&w.sim, 0, "cost-center"));
    world_finish(&w);
}

/* The first write is carried out, the second refused, all later ones fail. */
struct halfway {
    int writes;
    bool undo_fails;
};

static void fail_halfway(void *ctx, struct sim *sim, bool write, bool before)
{
    struct halfway *h = ctx;
    if (!before)
        return;
    sim->fail_percent = 0;
    sim->write_refused = false;
    if (!write)
        return;
    h->writes++;
    sim->write_refused = h->writes == 2;
    sim->fail_percent = h->writes > 2 && h->undo_fails ? 100 : 0;
}

static void run_halfway(struct world *w, struct halfway *h)
{
    world_init_with(w, 14, two_steps_text, ENFORCE);
    sim_set_tags(&w->sim, 0, (const char *const[]){"team", "red"}, 1);
    w->sim.on_call = fail_halfway;
    w->sim.on_call_ctx = h;
    send_event(w, 0);
    world_run(w);
}

static void test_engine__failing_halfway_is_undone(void **state)
{
    (void)state;
    struct world w;
    struct halfway h = {0};
    run_halfway(&w, &h);
    assert_int_equal(world_get(&w, 1).state, STATE_ROLLED_BACK);
    assert_true(sim_has_tag(&w.sim, 0, "team"));
    assert_false(sim_has_tag(&w.sim, 0, "a"));
    assert_int_equal(h.writes, 3);
    world_finish(&w);
}

static void test_engine__an_undo_that_keeps_failing_goes_to_a_person_and_freezes(void **state)
{
    (void)state;
    struct world w;
    struct halfway h = {.undo_fails = true};
    struct store_guards guards;
    struct error err;
    run_halfway(&w, &h);
    struct remediation r = world_get(&w, 1);
    struct store_guard_query query = {r.policy, r.policy_hash, r.resource, NULL, 0};
    assert_int_equal(r.state, STATE_NEEDS_PERSON);
    assert_in_range(h.writes, 3, 7);
    assert_int_equal(store_guards(w.store, &query, &w.arena, &guards, &err), STORE_OK);
    assert_true(guards.frozen);
    struct engine_cleared cleared;
    assert_true(engine_clear(&w.engine, 1, STR("ann"), STR("mended"), &cleared, &err));
    assert_true(cleared.was_frozen);
    assert_int_equal(store_guards(w.store, &query, &w.arena, &guards, &err), STORE_OK);
    assert_false(guards.frozen);
    world_finish(&w);
}

/* The first write is put off, and before it is tried again a person adds a tag. */
static void put_off_then_change(void *ctx, struct sim *sim, bool write, bool before)
{
    int *stage = ctx;
    if (!before)
        return;
    if (write && *stage == 0) {
        *stage = 1;
        sim->throttle_percent = 100;
    } else if (*stage == 1) {
        *stage = 2;
        sim->throttle_percent = 0;
        sim_set_tags(sim, 0, (const char *const[]){"cost-center", "x", "hand", "made"}, 2);
    }
}

static void
test_engine__a_rollback_is_done_when_ours_is_gone_not_when_something_changed(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    int64_t id;
    int stage = 0;
    world_init(&w, 13, ENFORCE);
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    assert_true(engine_rollback(&w.engine, 1, STR("ann"), &id, &err));
    w.sim.on_call = put_off_then_change;
    w.sim.on_call_ctx = &stage;
    world_run(&w);
    assert_int_equal(stage, 2);
    assert_int_equal(world_get(&w, id).state, STATE_ROLLED_BACK);
    assert_true(sim_has_tag(&w.sim, 0, "hand"));
    assert_false(sim_has_tag(&w.sim, 0, "cost-center"));
    world_finish(&w);
}

static void test_engine__stale_replicas_never_undo_a_good_repair(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world w;
        world_init(&w, seed, ENFORCE);
        w.sim.lag_max_ms = 60000;
        send_event(&w, 0);
        world_run(&w);
        enum state end = world_get(&w, 1).state;
        assert_true(end == STATE_HEALED || end == STATE_UNCONFIRMED);
        assert_true(sim_has_tag(&w.sim, 0, "cost-center"));
        world_finish(&w);
    }
}

/* What was compliant before and is broken now must not be taken for compliant, however stale the
 * answers: they lag by at most what a policy lets things settle. */
static void test_engine__stale_replicas_miss_no_violation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world w;
        world_init(&w, seed, ENFORCE);
        sim_set_tags(&w.sim, 0, (const char *const[]){"cost-center", "x"}, 1);
        w.sim.wall_ms += 600000;
        w.sim.lag_max_ms = 60000;
        sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1);
        send_event(&w, 0);
        world_run(&w);
        assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
        assert_true(sim_has_tag(&w.sim, 0, "cost-center"));
        assert_true(sim_has_tag(&w.sim, 0, "team"));
        world_finish(&w);
    }
}

/* ---- broken again at every boundary ---- */

struct breaker {
    struct world *world;
    int at, passed; // at the `at`th point that is passed
    char where[64];
};

static void break_again(void *ctx, const char *subject, const char *moment)
{
    struct breaker *b = ctx;
    if (++b->passed != b->at)
        return;
    snprintf(b->where, sizeof b->where, "%s.%s", subject, moment);
    sim_set_tags(&b->world->sim, 0, (const char *const[]){"team", "blue"}, 1);
    send_event(b->world, 0);
}

static void assert_ends_named(struct world *w, const char *where)
{
    struct remediation *rows;
    size_t count;
    struct error err;
    struct store_filter filter = {.state = -1, .limit = 100};
    assert_int_equal(store_list(w->store, &filter, &w->arena, &rows, &count, &err), STORE_OK);
    for (size_t i = 0; i < count; i++)
        if (!state_is_terminal(rows[i].state) || rows[i].reason.len == 0)
            fail_msg("broken again at %s: r%lld ends as %s", where, (long long)rows[i].id,
                     state_name(rows[i].state));
    bool good = rows[0].state == STATE_HEALED || rows[0].state == STATE_COMPLIANT;
    if (!good || !sim_has_tag(&w->sim, 0, "team"))
        fail_msg("broken again at %s: the last one ends as %s", where, state_name(rows[0].state));
}

/* A point is just before or behind each transition, before each call, behind each answer. */
static int break_at_every_boundary(const char *policy, const char *tag)
{
    for (int at = 1;; at++) {
        struct world w;
        struct breaker b = {&w, at, 0, ""};
        world_init_with(&w, 20, policy, ENFORCE);
        sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1);
        send_event(&w, 0);
        fault_set_hook(break_again, &b);
        world_run(&w);
        fault_set_hook(NULL, NULL);
        if (b.where[0])
            assert_ends_named(&w, b.where);
        if (!sim_has_tag(&w.sim, 0, tag))
            fail_msg("broken again at %s: it stays broken", b.where);
        world_finish(&w);
        if (!b.where[0])
            return at - 1;
    }
}

static void test_engine__broken_again_at_every_boundary_ends_compliant(void **state)
{
    (void)state;
    assert_in_range(break_at_every_boundary(world_policy, "cost-center"), 14, 40);
    assert_in_range(break_at_every_boundary(two_steps_text, "b"), 18, 40);
}

/* ---- what must not happen ---- */

static void let_pass(struct world *w, int64_t ms)
{
    w->sim.wall_ms += ms;
    w->sim.steady_ms += ms;
}

static void run_until(struct world *w, int64_t id, enum state state)
{
    for (int i = 0; i < 200 && world_get(w, id).state != state; i++)
        assert_true(world_step(w));
    assert_int_equal(world_get(w, id).state, state);
}

/* The operator writes `observe` and reloads. */
static void lower_mode(struct world *w)
{
    struct error_list errors;
    world_write_file(w->dir, "rectify.yaml",
                     "assignments:\n  - {policies: ['*'], accounts: '*', mode: observe}\n");
    errors = (struct error_list){.arena = &w->arena};
    struct error err;
    w->policies =
        policy_set_load(&(struct policy_options){.dir = w->dir, .models = w->models}, &errors);
    assert_non_null(w->policies);
    assert_true(engine_rules_replace(w->rules, w->policies, &err));
}

static void test_engine__a_lowered_mode_stops_a_repair_under_way(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 30, ENFORCE);
    w.sim.throttle_percent = 0;
    w.sim.on_call = NULL;
    w.engine.kill_switch = ""; // cannot be read: the call is not sent
    send_event(&w, 0);
    for (int i = 0; i < 40; i++)
        world_step(&w);
    w.engine.kill_switch = NULL;
    lower_mode(&w);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_OBSERVED);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

/* The first write is throttled. */
static void throttle_first(void *ctx, struct sim *sim, bool write, bool before)
{
    int *writes = ctx;
    if (!before)
        return;
    *writes += write;
    sim->throttle_percent = write && *writes == 1 ? 100 : 0;
}

/* Throttled as long as `left` says; notes what each call says which try it is. */
struct throttled_calls {
    bool write;
    int left, count;
    unsigned attempts[16];
};

static void throttle_some(void *ctx, struct sim *sim, bool write, bool before)
{
    struct throttled_calls *calls = ctx;
    if (!before)
        return;
    bool counts = write == calls->write && calls->count < 16;
    if (counts)
        calls->attempts[calls->count++] = sim->attempt;
    sim->throttle_percent = counts && calls->left-- > 0 ? 100 : 0;
}

static void
test_engine__throttled_calls_wait_as_the_service_says_and_say_which_try_they_are(void **state)
{
    (void)state;
    for (int write = 0; write < 2; write++) {
        struct world w;
        struct throttled_calls calls = {.write = write, .left = 2};
        world_init(&w, 34, ENFORCE);
        w.sim.on_call = throttle_some;
        w.sim.on_call_ctx = &calls;
        w.sim.retry_after_ms = 200000; // more than we would wait by ourselves
        send_event(&w, 0);
        run_until(&w, 1, write ? STATE_UNKNOWN : STATE_UNREAD);
        int64_t start_ms = w.sim.wall_ms;
        world_run(&w);
        assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
        assert_true(w.sim.wall_ms - start_ms >= 400000);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(calls.attempts[i], i);
        world_finish(&w);
    }
}

static void test_engine__a_lowered_mode_stops_a_call_that_waits_to_be_repeated(void **state)
{
    (void)state;
    struct world w;
    int writes = 0;
    world_init(&w, 31, ENFORCE);
    w.sim.on_call = throttle_first;
    w.sim.on_call_ctx = &writes;
    send_event(&w, 0);
    run_until(&w, 1, STATE_UNKNOWN);
    lower_mode(&w);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_OBSERVED);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

static void test_engine__what_was_never_done_is_not_taken_back(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    int64_t id;
    world_init(&w, 32, ENFORCE);
    w.sim.write_refused = true;
    send_event(&w, 0);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_NEEDS_PERSON);
    assert_true(world_get(&w, 1).reason.len > 0);
    w.sim.write_refused = false;
    sim_set_tags(&w.sim, 0, (const char *const[]){"cost-center", "x"}, 1); // by a person
    assert_false(engine_rollback(&w.engine, 1, STR("ann"), &id, &err));
    assert_string_equal(err.code, "S0101");
    assert_true(sim_has_tag(&w.sim, 0, "cost-center"));
    world_finish(&w);
}

/* A yes that is used up is asked for again, not looped on. */
static void test_engine__a_yes_counts_once(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    struct store_approval approval;
    int writes = 0;
    world_init(&w, 33, "{mode: approve, approval: {expires: 1h}}");
    w.sim.on_call = throttle_first;
    w.sim.on_call_ctx = &writes;
    send_event(&w, 0);
    run_until(&w, 1, STATE_ASKING);
    assert_int_equal(store_approval(w.store, 1, &w.arena, &approval, &err), STORE_OK);
    assert_int_equal(yes_of_ann(w.store, 1, approval.plan_hash), STORE_OK);
    run_until(&w, 1, STATE_UNKNOWN);
    sim_set_tags(&w.sim, 0, (const char *const[]){"cost-center", "y"}, 1); // obeys for a moment
    run_until(&w, 1, STATE_READING);
    sim_set_tags(&w.sim, 0, NULL, 0); // and is as it was when the yes was given
    run_until(&w, 1, STATE_ASKING);
    assert_true(world_get(&w, 1).version < 40);
    assert_int_equal(w.sim.buckets[0].writes, 0);
    world_finish(&w);
}

/* Is anything due before then? */
static bool world_due(struct world *w, int64_t until_ms)
{
    struct remediation *rows;
    size_t count;
    struct error err;
    bool due = false;
    struct store_filter filter = {.state = -1, .active_only = true, .limit = 100};
    assert_int_equal(store_list(w->store, &filter, &w->arena, &rows, &count, &err), STORE_OK);
    for (size_t i = 0; i < count; i++)
        due = due || rows[i].due_ms < until_ms;
    return due;
}

static void test_engine__events_do_not_hold_a_repair_in_verifying(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 34, ENFORCE);
    send_event(&w, 0);
    for (int i = 0; i < 40 && world_get(&w, 1).state != STATE_HEALED; i++) {
        send_event(&w, 0);
        let_pass(&w, 30000);
        for (int64_t until = w.sim.wall_ms + 1000; w.sim.wall_ms < until && world_due(&w, until);)
            assert_true(world_step(&w));
    }
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    world_run(&w);
    world_finish(&w);
}

/* The second write is throttled; while it waits, a person adds a tag. */
static void change_between_steps(void *ctx, struct sim *sim, bool write, bool before)
{
    int *stage = ctx;
    if (before)
        sim->throttle_percent = write && ++*stage == 2 ? 100 : 0;
}

static void test_engine__a_step_made_from_an_old_state_is_not_sent(void **state)
{
    (void)state;
    struct world w;
    int writes = 0;
    world_init_with(&w, 35, two_steps_text, ENFORCE);
    w.sim.on_call = change_between_steps;
    w.sim.on_call_ctx = &writes;
    send_event(&w, 0);
    run_until(&w, 1, STATE_UNKNOWN);
    sim_set_tags(&w.sim, 0, (const char *const[]){"a", "x", "hand", "made"}, 2);
    world_run(&w);
    assert_true(sim_has_tag(&w.sim, 0, "hand"));
    assert_int_not_equal(world_get(&w, 1).state, STATE_HEALED);
    world_finish(&w);
}

/* Another writer breaks it while it is verified: decided again, and what the first plan did is not
 * claimed to be undoable. */
static void test_engine__what_an_earlier_plan_did_is_for_a_person(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    int64_t id;
    world_init(&w, 36, ENFORCE);
    send_event(&w, 0);
    w.sim.lag_max_ms = 0;
    run_until(&w, 1, STATE_HEALED);
    assert_true(engine_rollback(&w.engine, 1, STR("ann"), &id, &err)); // as it should be
    world_run(&w);
    assert_int_equal(world_get(&w, id).state, STATE_ROLLED_BACK);
    world_finish(&w);
    struct breaker b = {&w, 12, 0, ""}; // behind `sent`
    world_init_with(&w, 37, world_policy, ENFORCE);
    sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1);
    send_event(&w, 0);
    for (b.at = 1; b.at < 30; b.at++) {
        b.passed = 0;
        b.where[0] = '\0';
        fault_set_hook(break_again, &b);
        world_run(&w);
        fault_set_hook(NULL, NULL);
        const struct value *counts = value_get(world_get(&w, 1).detail, STR(DETAIL_COUNTS));
        if (counts && value_get(*counts, STR("earlier")))
            break;
        world_finish(&w);
        world_init_with(&w, 37, world_policy, ENFORCE);
        sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1);
        send_event(&w, 0);
    }
    assert_in_range(b.at, 2, 29);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    assert_false(engine_rollback(&w.engine, 1, STR("ann"), &id, &err));
    assert_string_equal(err.code, "S0102");
    world_finish(&w);
}

/* ---- seeds ---- */

/* A bucket whose newest remediation says that all is well must be so. */
static void assert_truthful(struct world *w, uint64_t seed)
{
    bool seen[SIM_BUCKETS] = {0};
    struct remediation *rows;
    size_t count;
    struct error err;
    struct store_filter filter = {.state = -1, .limit = 1000};
    assert_int_equal(store_list(w->store, &filter, &w->arena, &rows, &count, &err), STORE_OK);
    for (size_t i = 0; i < count; i++) { // newest first
        int bucket = rows[i].resource.ptr[rows[i].resource.len - 1] - '0';
        bool well = rows[i].state == STATE_HEALED || rows[i].state == STATE_COMPLIANT;
        if (!state_is_terminal(rows[i].state))
            fail_msg("seed %llu: r%lld does not end", (unsigned long long)seed,
                     (long long)rows[i].id);
        if (!seen[bucket] && well && !sim_has_tag(&w->sim, bucket, "cost-center"))
            fail_msg("seed %llu: bucket %d is broken, and r%lld ends as %s",
                     (unsigned long long)seed, bucket, (long long)rows[i].id,
                     state_name(rows[i].state));
        seen[bucket] = true;
    }
}

/* Faults of a seeded mix; events and foreign changes at random; then the faults stop and the system
 * must drain. Nothing that ends without a person's help may be left broken. */
static void run_seed(uint64_t seed)
{
    struct world w;
    world_init(&w, seed,
               "{mode: enforce, breaker: {in_a_row: 0, errors: 100, of: 1000}, limit: {at_once: 3, "
               "per_hour: 0}}");
    struct sim *s = &w.sim;
    s->lost_percent = sim_below(s, 30);
    s->throttle_percent = sim_below(s, 20);
    s->fail_percent = sim_below(s, 20);
    s->not_sent_percent = sim_below(s, 20);
    s->lag_max_ms = sim_below(s, 3) ? 0 : 20000;
    for (int i = 0; i < 60; i++) {
        int bucket = (int)sim_below(s, SIM_BUCKETS);
        switch (sim_below(s, 6)) {
        case 0:
            sim_set_tags(s, bucket, (const char *const[]){"team", "red"}, 1);
            send_event(&w, bucket);
            break;
        case 1:
            send_event(&w, bucket);
            break;
        default:
            world_step(&w);
        }
    }
    s->lost_percent = s->throttle_percent = s->fail_percent = s->not_sent_percent = 0;
    s->lag_max_ms = 0;
    world_run(&w);
    assert_truthful(&w, seed);
    world_finish(&w);
}

static void test_engine__thousand_seeds_drain(void **state)
{
    (void)state;
    const char *env = getenv("RECTIFY_SEEDS");
    uint64_t seeds = env ? strtoull(env, NULL, 10) : 1000;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine__heals_an_untagged_bucket),
        cmocka_unit_test(test_engine__goes_on_under_the_name_that_the_reads_give),
        cmocka_unit_test(test_engine__a_waiter_has_to_be_reached_too),
        cmocka_unit_test(test_engine__leaves_a_compliant_bucket_alone),
        cmocka_unit_test(test_engine__denied_read_is_unread_and_never_acted_on),
        cmocka_unit_test(test_engine__gone_bucket_ends_as_gone),
        cmocka_unit_test(test_engine__observe_calls_nothing),
        cmocka_unit_test(test_engine__asks_and_goes_on_after_a_yes),
        cmocka_unit_test(test_engine__unanswered_question_expires_without_a_call),
        cmocka_unit_test(test_engine__approval_is_void_when_the_resource_changed),
        cmocka_unit_test(test_engine__refused_write_goes_to_a_person),
        cmocka_unit_test(test_engine__lost_reply_is_tested_and_not_repeated),
        cmocka_unit_test(test_engine__kill_switch_stops_calls),
        cmocka_unit_test(test_engine__rollback_takes_back_only_ours),
        cmocka_unit_test(test_engine__failing_halfway_is_undone),
        cmocka_unit_test(test_engine__an_undo_that_keeps_failing_goes_to_a_person_and_freezes),
        cmocka_unit_test(
            test_engine__a_rollback_is_done_when_ours_is_gone_not_when_something_changed),
        cmocka_unit_test(test_engine__stale_replicas_never_undo_a_good_repair),
        cmocka_unit_test(test_engine__stale_replicas_miss_no_violation),
        cmocka_unit_test(test_engine__broken_again_at_every_boundary_ends_compliant),
        cmocka_unit_test(test_engine__a_lowered_mode_stops_a_repair_under_way),
        cmocka_unit_test(
            test_engine__throttled_calls_wait_as_the_service_says_and_say_which_try_they_are),
        cmocka_unit_test(test_engine__a_lowered_mode_stops_a_call_that_waits_to_be_repeated),
        cmocka_unit_test(test_engine__what_was_never_done_is_not_taken_back),
        cmocka_unit_test(test_engine__a_yes_counts_once),
        cmocka_unit_test(test_engine__events_do_not_hold_a_repair_in_verifying),
        cmocka_unit_test(test_engine__a_step_made_from_an_old_state_is_not_sent),
        cmocka_unit_test(test_engine__what_an_earlier_plan_did_is_for_a_person),
        cmocka_unit_test(test_engine__thousand_seeds_drain),
    };
    return world_run_tests(tests, sizeof tests / sizeof *tests);
}
