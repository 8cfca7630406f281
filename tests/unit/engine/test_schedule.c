// SPDX-License-Identifier: Apache-2.0
/* Scans at intervals and the organisation's accounts, on a virtual clock and a cloud that answers
 * by account; and rules that are replaced while others hold them. */
#include "../cmocka_all.h"

#include "engine/engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define T0 INT64_C(1790000000000)
#define HOUR INT64_C(3600000)
#define A "111122223333"
#define B "444455556666"

static const char policy_text[] =
    "policy: tag\nresource: {type: 'AWS::SQS::Queue'}\n"
    "detect:\n  events: {'sqs:CreateQueue': event.detail.responseElements.queueUrl}\n"
    "  scan:\n    every: 12h\n    read: {queues: {call: sqs:ListQueues}}\n"
    "    resources: queues.QueueUrls\n"
    "decide:\n  read:\n    q: {call: sqs:GetQueueAttributes, with: {QueueUrl: '${resource.id}'}}\n"
    "  violation: size(q.Attributes) == 0\n";
static const char accounts_text[] =
    "accounts:\n  '" A "': {regions: [eu-west-1, us-east-1]}\n  '" B "': {env: test}\n"
    "regions: [eu-central-1]\n"
    "assignments: [{policies: '*', accounts: '*', mode: observe}]\n";
static const char organization_text[] =
    "organization: {account: '999988887777', every: 1h}\nregions: [eu-west-1]\n"
    "assignments: [{policies: '*', accounts: {env: prod}, mode: observe}]\n";

struct world {
    struct clock clock;
    atomic_llong now;
    char dir[64];
    struct aws_models *models;
    struct store *store;
    struct engine engine;
    struct arena arena;
    const char *failing; // operation that is denied
    atomic_int lists;    // of queues
    char env[8];         // of the organisation's one account
    bool suspended;
};

static int64_t now_ms(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static void no_random(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 1, size);
}

static void set_member(struct value_builder *map, const char *key, const char *text)
{
    value_set(map, key, value_cstr(text));
}

static struct value answer_text(struct world *w, struct str name, const struct aws_call *call,
                                struct arena *arena)
{
    struct value_builder out = {.arena = arena}, list = {.arena = arena}, one = {.arena = arena};
    if (str_is(name, "ListQueues")) {
        w->lists++;
        value_push(&list, value_cstr(arena_printf(arena, "https://sqs/%.*s/%.*s/q",
                                                  STR_FMT(call->account), STR_FMT(call->region))));
        value_set(&out, "QueueUrls", value_finish_list(&list));
    } else if (str_is(name, "ListAccounts")) {
        set_member(&one, "Id", A);
        set_member(&one, "Name", "first");
        set_member(&one, "Status", w->suspended ? "SUSPENDED" : "ACTIVE");
        value_push(&list, value_finish_map(&one));
        value_set(&out, "Accounts", value_finish_list(&list));
    } else if (str_is(name, "ListTagsForResource")) {
        set_member(&one, "Key", "env");
        set_member(&one, "Value", w->env);
        value_push(&list, value_finish_map(&one));
        value_set(&out, "Tags", value_finish_list(&list));
    } else if (str_is(name, "ListParents")) {
        set_member(&one, "Id", "ou-1");
        value_push(&list, value_finish_map(&one));
        value_set(&out, "Parents", value_finish_list(&list));
    } else if (str_is(name, "GetCallerIdentity")) {
        set_member(&out, "Account", B);
    }
    return value_finish_map(&out);
}

static void call_cloud(void *ctx, const struct aws_call *call, struct arena *arena,
                       struct aws_answer *ret)
{
    struct world *w = ctx;
    struct str name = aws_operation_name(call->operation);
    *ret = (struct aws_answer){.outcome = AWS_REFUSED, .code = STR("AccessDenied")};
    if (w->failing && str_is(name, w->failing))
        return;
    *ret = (struct aws_answer){.outcome = AWS_OK, .output = answer_text(w, name, call, arena)};
}

static void write_file(const struct world *w, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct policy_set *load(struct world *w)
{
    struct error_list errors = {.arena = &w->arena};
    struct policy_set *set =
        policy_set_load(&(struct policy_options){.dir = w->dir, .models = w->models}, &errors);
    if (!set)
        fail_msg("%s", errors.items[0]->message);
    return set;
}

static struct world *start(const char *config)
{
    struct world *w = calloc(1, sizeof *w);
    struct error err;
    assert_non_null(w);
    w->now = T0;
    w->clock = (struct clock){now_ms, now_ms, no_random, w};
    snprintf(w->env, sizeof w->env, "prod");
    snprintf(w->dir, sizeof w->dir, "/tmp/rectify-schedule-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    write_file(w, "tag.yaml", policy_text);
    write_file(w, "rectify.yaml", config);
    w->models = aws_models_open(RECTIFY_MODELS_DIR, &err);
    assert_non_null(w->models);
    w->store = store_open(":memory:", &w->clock, &err);
    assert_non_null(w->store);
    w->engine = (struct engine){.store = w->store,
                                .rules = engine_rules_create(load(w), &err),
                                .models = w->models,
                                .caller = {call_cloud, w},
                                .clock = &w->clock};
    assert_non_null(w->engine.rules);
    return w;
}

static void finish(struct world *w)
{
    char path[128];
    engine_rules_destroy(w->engine.rules);
    store_close(w->store);
    aws_models_close(w->models);
    arena_finish(&w->arena);
    snprintf(path, sizeof path, "%s/tag.yaml", w->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/rectify.yaml", w->dir);
    unlink(path);
    rmdir(w->dir);
    free(w);
}

static void plan(struct world *w)
{
    struct error err;
    if (!engine_plan_tasks(&w->engine, &err))
        fail_msg("%s", err.message);
}

/* Does all that is due; how much that was, and when the next is. */
static int run_due(struct world *w, int64_t *ret_next)
{
    struct error err;
    for (int count = 0;; count++) {
        if (!engine_run_task(&w->engine, ret_next, &err))
            fail_msg("%s", err.message);
        if (*ret_next != 0)
            return count;
    }
}

static size_t rows(struct world *w)
{
    struct remediation *list;
    size_t count;
    struct error err;
    struct store_filter filter = {.state = -1, .limit = 100};
    assert_int_equal(store_list(w->store, &filter, &w->arena, &list, &count, &err), STORE_OK);
    return count;
}

static struct store_task task_of(struct world *w, const char *name)
{
    struct store_task task = {0};
    struct error err;
    assert_int_equal(store_get_task(w->store, str_from(name), &w->arena, &task, &err), STORE_OK);
    return task;
}

static void test_schedule__every_place_has_its_time_and_keeps_it(void **state)
{
    (void)state;
    struct world *w = start(accounts_text);
    static const char *const names[] = {"scan/tag/" A "/eu-west-1", "scan/tag/" A "/us-east-1",
                                        "scan/tag/" B "/eu-central-1"};
    int64_t due[3];
    plan(w);
    for (int i = 0; i < 3; i++) {
        due[i] = task_of(w, names[i]).due_ms;
        assert_in_range(due[i], T0 + 1, T0 + HOUR); // begins within an hour
    }
    assert_true(due[0] != due[1] && due[1] != due[2] && due[0] != due[2]);
    w->now = T0 + 1000;
    plan(w);
    for (int i = 0; i < 3; i++)
        assert_int_equal(task_of(w, names[i]).due_ms, due[i]);
    finish(w);
}

static void test_schedule__a_scan_runs_when_due_and_again_an_interval_later(void **state)
{
    (void)state;
    struct world *w = start(accounts_text);
    int64_t next;
    plan(w);
    assert_int_equal(run_due(w, &next), 0);
    assert_true(next > T0 && next <= T0 + HOUR);
    w->now = T0 + HOUR;
    assert_int_equal(run_due(w, &next), 3);
    assert_int_equal(w->lists, 3);
    assert_int_equal(rows(w), 3);
    assert_true(next > w->now + 6 * HOUR && next <= w->now + 18 * HOUR);
    plan(w); // as after a restart: nothing is forgotten and nothing is done at once
    assert_int_equal(run_due(w, &next), 0);
    struct store_task task = task_of(w, "scan/tag/" B "/eu-central-1");
    assert_int_equal(task.ran_ms, T0 + HOUR);
    assert_true(str_is(task.note, "1 resources"));
    int64_t slot = task.due_ms;
    w->now = slot + 3;
    run_due(w, &next);
    assert_int_equal(task_of(w, "scan/tag/" B "/eu-central-1").due_ms, slot + 12 * HOUR);
    finish(w);
}

static void test_schedule__a_list_that_fails_is_tried_again_soon(void **state)
{
    (void)state;
    struct world *w = start(accounts_text);
    int64_t next;
    plan(w);
    w->failing = "ListQueues";
    w->now = T0 + HOUR;
    assert_int_equal(run_due(w, &next), 3);
    assert_int_equal(rows(w), 0);
    struct store_task task = task_of(w, "scan/tag/" B "/eu-central-1");
    assert_int_equal(task.ran_ms, 0);
    assert_int_equal(task.due_ms, w->now + ENGINE_AGAIN_MS);
    assert_true(str_find(task.note, STR("AccessDenied")) != SIZE_MAX);
    finish(w);
}

static void test_schedule__what_no_rule_wants_any_more_is_forgotten(void **state)
{
    (void)state;
    struct world *w = start(accounts_text);
    struct error err;
    struct store_task task;
    int64_t next;
    plan(w);
    write_file(w, "rectify.yaml",
               "accounts: {'" A "': {regions: [eu-west-1]}}\n"
               "assignments: [{policies: '*', accounts: ['" A "'], mode: observe}]\n");
    assert_true(engine_rules_replace(w->engine.rules, load(w), &err));
    w->now = T0 + HOUR;
    run_due(w, &next);
    assert_int_equal(w->lists, 2); // A's two regions: what was planned and is still allowed
    assert_int_equal(
        store_get_task(w->store, STR("scan/tag/" B "/eu-central-1"), &w->arena, &task, &err),
        STORE_ABSENT);
    finish(w);
}

static void test_schedule__an_account_that_nobody_lists_is_our_own(void **state)
{
    (void)state;
    struct world *w = start("assignments: [{policies: '*', accounts: '*', mode: observe}]\n");
    w->engine.region = STR("eu-north-1");
    plan(w);
    task_of(w, "scan/tag/" B "/eu-north-1");
    finish(w);
}

/* ---- the organisation ---- */

static size_t known(struct world *w)
{
    struct policy_account *list;
    size_t count;
    struct engine_set *set = engine_rules_hold(w->engine.rules);
    assert_true(policy_set_accounts(set->policies, &w->arena, &list, &count));
    engine_rules_release(set);
    return count;
}

static void test_schedule__accounts_are_discovered_and_then_scanned(void **state)
{
    (void)state;
    struct world *w = start(organization_text);
    int64_t next;
    assert_int_equal(known(w), 0);
    plan(w);
    assert_int_equal(run_due(w, &next), 1);
    assert_int_equal(known(w), 1);
    plan(w);
    w->now = T0 + HOUR - 1;
    assert_int_equal(run_due(w, &next), 1);
    assert_int_equal(w->lists, 1);
    finish(w);
}

/* The one that failed changes nothing: neither the list nor, through it, where policies run. */
static void test_schedule__a_failed_discovery_keeps_the_last_list(void **state)
{
    (void)state;
    static const char *const failing[] = {"ListAccounts", "ListTagsForResource", "ListParents"};
    for (size_t i = 0; i < 3; i++) {
        struct world *w = start(organization_text);
        struct error err;
        struct arena arena ARENA_AUTO = {0};
        int64_t next, ran_ms = 0;
        plan(w);
        run_due(w, &next);
        w->failing = failing[i];
        snprintf(w->env, sizeof w->env, "dev");
        w->now = T0 + HOUR;
        assert_int_equal(run_due(w, &next), 1);
        assert_int_equal(known(w), 1);
        struct store_task task = task_of(w, ENGINE_ORGANIZATION);
        assert_int_equal(task.ran_ms, T0);
        assert_int_equal(task.due_ms, w->now + ENGINE_AGAIN_MS);
        /* Nor does a restart: another set takes it from the store. */
        struct policy_set *fresh = load(w);
        assert_true(engine_recall_accounts(&w->engine, fresh, &ran_ms, &err));
        assert_int_equal(ran_ms, T0);
        assert_int_equal(policy_set_assign(fresh, policy_set_at(fresh, 0), STR(A), &arena).mode,
                         MODE_OBSERVE);
        policy_set_destroy(fresh);
        finish(w);
    }
}

static void test_schedule__an_account_that_is_not_active_is_not_taken(void **state)
{
    (void)state;
    struct world *w = start(organization_text);
    int64_t next;
    plan(w);
    w->suspended = true;
    run_due(w, &next);
    assert_int_equal(known(w), 0);
    finish(w);
}

/* ---- rules that are replaced ---- */

struct readers {
    struct world *w;
    atomic_bool stop;
    atomic_int walks;
};

static void *read_rules(void *arg)
{
    struct readers *r = arg;
    struct arena arena ARENA_AUTO = {0};
    uint64_t last = 0;
    while (!r->stop) {
        arena_reset(&arena);
        struct engine_set *set = engine_rules_hold(r->w->engine.rules);
        const struct policy *policy = policy_set_at(set->policies, 0);
        assert_true(str_is(policy->name, "tag"));
        assert_true(policy_set_assign(set->policies, policy, STR(A), &arena).mode != MODE_OFF);
        assert_true(set->number >= last);
        last = set->number;
        engine_rules_release(set);
        r->walks++;
    }
    return NULL;
}

static void test_schedule__rules_are_replaced_under_readers(void **state)
{
    (void)state;
    struct world *w = start(accounts_text);
    struct readers r = {.w = w};
    struct error err;
    pthread_t threads[4];
    struct engine_set *first = engine_rules_hold(w->engine.rules);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_rules, &r), 0);
    for (int i = 0; i < 20; i++)
        assert_true(engine_rules_replace(w->engine.rules, load(w), &err));
    while (r.walks < 100)
        usleep(1000);
    r.stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(str_is(policy_set_at(first->policies, 0)->name, "tag")); // lives while it is held
    engine_rules_release(first);
    finish(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule__every_place_has_its_time_and_keeps_it),
        cmocka_unit_test(test_schedule__a_scan_runs_when_due_and_again_an_interval_later),
        cmocka_unit_test(test_schedule__a_list_that_fails_is_tried_again_soon),
        cmocka_unit_test(test_schedule__what_no_rule_wants_any_more_is_forgotten),
        cmocka_unit_test(test_schedule__an_account_that_nobody_lists_is_our_own),
        cmocka_unit_test(test_schedule__accounts_are_discovered_and_then_scanned),
        cmocka_unit_test(test_schedule__a_failed_discovery_keeps_the_last_list),
        cmocka_unit_test(test_schedule__an_account_that_is_not_active_is_not_taken),
        cmocka_unit_test(test_schedule__rules_are_replaced_under_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
