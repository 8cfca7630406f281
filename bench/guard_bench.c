// SPDX-License-Identifier: Apache-2.0
/* What the guards cost: one decision through all of them, what the store is asked for it, and
 * 10,000 resources repaired by one policy with rollout, breakers and limits on, beside the same
 * without, in one process. The cloud is a stub in memory that answers at once. */
#include "decide/decide.h"
#include "engine/engine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define RESOURCES 10000
#define WORKERS 16
#define DECISIONS 20000
#define PATIENCE_S 300

static const char policy_text[] =
    "policy: tag\ntitle: tagged\nseverity: low\n"
    "resource: {type: 'AWS::S3::Bucket'}\n"
    "detect:\n  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}\n"
    "  settle: 0s\n"
    "decide:\n  read:\n    tagging:\n      call: s3:GetBucketTagging\n"
    "      with: {Bucket: '${resource.id}'}\n      absent: {NoSuchTagSet: {TagSet: []}}\n"
    "  violation: \"!tagging.TagSet.exists(t, t.Key == 'cost-center')\"\n"
    "act:\n  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'cost-center', 'Value': 'x'}]}\"}\n"
    "    undo:\n"
    "      - when: current.tagging.TagSet.exists(t, t.Key == 'cost-center' && t.Value == 'x')\n"
    "        call: s3:DeleteBucketTagging\n        with: {Bucket: '${resource.id}'}\n";
static const char guarded[] =
    "guard: {mode: enforce, limit: {at_once: 16, per_hour: 1000000, share: 5%}, rollout: {steps: "
    "[1, 5%, 25%, 100%], bake: 1s, sample: 5}}\n";
static const char limited[] =
    "guard: {mode: enforce, limit: {at_once: 16, per_hour: 1000000, share: 100%}}\n";
static const char unguarded[] =
    "guard: {mode: enforce, limit: {at_once: 0, per_hour: 0, share: 100%, growth: 0}, breaker: "
    "{in_a_row: 0, errors: 100%, of: 0, open: 0s}}\n";
static const char config_text[] =
    "limits: {account: {at_once: %d, per_hour: %d}, fleet: {at_once: %d}}\n"
    "assignments:\n  - {policies: ['*'], accounts: '*', mode: enforce}\n";

static atomic_uchar tagged[RESOURCES];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

static struct value tag_set(struct arena *arena)
{
    struct value_builder tag = {.arena = arena}, list = {.arena = arena}, out = {.arena = arena};
    value_set(&tag, "Key", value_cstr("cost-center"));
    value_set(&tag, "Value", value_cstr("x"));
    value_push(&list, value_finish_map(&tag));
    value_set(&out, "TagSet", value_finish_list(&list));
    return value_finish_map(&out);
}

static void answer(void *ctx, const struct aws_call *call, struct arena *arena,
                   struct aws_answer *ret)
{
    struct str bucket = value_path_str(call->input, "Bucket");
    struct str name = aws_operation_name(call->operation);
    unsigned at = (unsigned)atoi(bucket.ptr + 1) % RESOURCES;
    (void)ctx;
    *ret = (struct aws_answer){.outcome = AWS_OK, .request_id = STR("STUB")};
    if (str_starts(name, STR("Put")))
        atomic_store(&tagged[at], 1);
    else if (atomic_load(&tagged[at]))
        ret->output = tag_set(arena);
    else
        *ret = (struct aws_answer){.outcome = AWS_REFUSED, .code = STR("NoSuchTagSet")};
}

struct world {
    char dir[64];
    struct policy_set *policies;
    struct store *store;
    struct engine engine;
    struct arena arena;
};

static void put(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        die(path, NULL);
}

enum guards { NONE, LIMITS, ROLLOUT };

static void begin(struct world *w, struct aws_models *models, enum guards guards)
{
    char text[4096], config[512];
    struct error_list errors;
    struct error err;
    *w = (struct world){.dir = "/tmp/rectify-bench-XXXXXX"};
    if (!mkdtemp(w->dir))
        die(w->dir, NULL);
    snprintf(text, sizeof text, "%s%s", policy_text,
             guards == ROLLOUT  ? guarded
             : guards == LIMITS ? limited
                                : unguarded);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(config, sizeof config, config_text, guards ? 1000 : 0, guards ? 1000000 : 0,
             guards ? 1000 : 0);
#pragma GCC diagnostic pop
    put(w->dir, "tag.yaml", text);
    put(w->dir, "rectify.yaml", config);
    errors = (struct error_list){.arena = &w->arena};
    w->policies =
        policy_set_load(&(struct policy_options){.dir = w->dir, .models = models}, &errors);
    if (!w->policies)
        die("policy", errors.items[0]);
    snprintf(config, sizeof config, "%s/bench.db", w->dir);
    w->store = store_open(config, clock_system(), &err);
    if (!w->store)
        die("store", &err);
    w->engine = (struct engine){.store = w->store,
                                .rules = engine_rules_create(w->policies, &err),
                                .models = models,
                                .caller = {answer, NULL},
                                .clock = clock_system()};
}

static void end(struct world *w)
{
    static const char *const names[] = {"tag.yaml", "rectify.yaml", "bench.db", "bench.db-wal",
                                        "bench.db.lock"};
    char path[256];
    store_close(w->store);
    engine_rules_destroy(w->engine.rules);
    arena_finish(&w->arena);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, names[i]);
        unlink(path);
    }
    rmdir(w->dir);
}

/* ---- one decision ---- */

static struct decide_subject subject_of(struct world *w, struct policy_assignment *assignment)
{
    const struct policy *policy = policy_set_at(w->policies, 0);
    *assignment = policy_set_assign(w->policies, policy, STR("123456789012"), &w->arena);
    return (struct decide_subject){
        .policy = policy,
        .assignment = assignment,
        .resource = {STR("aws"), STR("123456789012"), STR("global"), STR("AWS::S3::Bucket"),
                     STR("b1")},
        .region = STR("us-east-1"),
        .account = policy_set_account(w->policies, STR("123456789012"), &w->arena),
        .now_ms = clock_wall_ms(clock_system()),
        .caller = {answer, NULL}};
}

static void decisions(struct world *w)
{
    struct arena arena ARENA_AUTO = {0};
    struct policy_assignment assignment;
    struct decide_subject subject = subject_of(w, &assignment);
    struct decide_finding finding;
    struct value plan;
    struct error err;
    struct permit permits[PERMITS_MAX];
    decide_read(&subject, &w->arena, &finding);
    if (!decide_plan(&subject, &finding, clock_system(), &w->arena, &plan, &err))
        die("plan", &err);
    size_t count = decide_permits(&subject, plan, false, &w->arena, permits);
    double began = cpu_s(), looked = 0;
    for (int i = 0; i < DECISIONS; i++) {
        struct decide_decision decision;
        struct value inputs;
        struct decide_guards guards = {.rollout = ROLLOUT_RUNNING, .stage = 3, .past_total = 20};
        static const struct key_meter meters[PERMITS_MAX];
        decide_permits(&subject, plan, false, &arena, permits);
        decide_block(permits, meters, count, subject.now_ms, &arena, &guards);
        decide_guard(&subject, &finding, plan, &guards, &arena, &decision, &inputs);
        if (decision.action != DECIDE_ACT)
            die(decision.reasons[0], NULL);
        arena_reset(&arena);
    }
    double decided = cpu_s() - began;
    count = decide_permits(&subject, plan, false, &w->arena, permits);
    struct store_guard_query query = {STR("tag"), str_from(subject.policy->hash),
                                      STR("aws/123456789012/global/AWS::S3::Bucket/b1"), permits,
                                      count};
    began = cpu_s();
    for (int i = 0; i < DECISIONS; i++) {
        struct store_guards guards;
        if (store_guards(w->store, &query, &arena, &guards, &err) != STORE_OK)
            die("guards", &err);
        arena_reset(&arena);
    }
    looked = cpu_s() - began;
    printf("a decision through all guards, its inputs kept   %6.2f us\n",
           decided / DECISIONS * 1e6);
    printf("what the store is asked for it, %zu keys           %6.2f us\n", count,
           looked / DECISIONS * 1e6);
}

/* ---- 10,000 resources ---- */

static void feed(struct world *w)
{
    const struct policy *policy = policy_set_at(w->policies, 0);
    struct error err;
    for (int i = 0; i < RESOURCES; i += 250) {
        struct store_match matches[250];
        struct store_event events[250];
        char keys[250][80], ids[250][24];
        for (int j = 0; j < 250; j++) {
            snprintf(keys[j], sizeof keys[j], "aws/123456789012/global/AWS::S3::Bucket/b%d", i + j);
            snprintf(ids[j], sizeof ids[j], "e%d", i + j);
            matches[j] = (struct store_match){policy->name,
                                              str_from(policy->hash),
                                              str_from(keys[j]),
                                              STR("us-east-1"),
                                              clock_wall_ms(clock_system()),
                                              STR("{\"event\":{\"name\":\"s3:CreateBucket\"}}")};
            events[j] = (struct store_event){.key = str_from(ids[j]),
                                             .name = STR("s3:CreateBucket"),
                                             .matches = &matches[j],
                                             .match_count = 1};
        }
        if (store_accept(w->store, events, 250, NULL, &err) != STORE_OK)
            die("accept", &err);
    }
}

static int64_t healed(struct world *w)
{
    int64_t counts[STATE_COUNT];
    struct error err;
    if (store_counts(w->store, counts, &err) != STORE_OK)
        die("counts", &err);
    return counts[STATE_HEALED];
}

/* CPU seconds of the whole, by all workers. */
static double fleet(struct aws_models *models, enum guards guards)
{
    struct world w;
    struct error err;
    for (int i = 0; i < RESOURCES; i++)
        atomic_store(&tagged[i], 0);
    begin(&w, models, guards);
    if (guards ==
        ROLLOUT) { // a complete scan has counted them, and a person has seen how many there are
        struct store_rollout_change seen = {.what = ROLLOUT_RESUME,
                                            .policy = STR("tag"),
                                            .waive_ms = 86400000,
                                            .by = STR("bench"),
                                            .reason = STR("10,000 are expected")};
        struct store_rollout_change begins = {.what = ROLLOUT_BEGIN,
                                              .policy = STR("tag"),
                                              .hash = str_from(policy_set_at(w.policies, 0)->hash),
                                              .staged = true,
                                              .by = STR(STORE_ITSELF)};
        if (store_rollout_set(w.store, &begins, &err) != STORE_OK ||
            store_rollout_set(w.store, &seen, &err) != STORE_OK)
            die("rollout", &err);
    }
    feed(&w);
    double cpu = cpu_s(), began = now_s();
    struct engine_workers *workers = engine_workers_start(&w.engine, WORKERS, &err);
    if (!workers)
        die("workers", &err);
    while (healed(&w) < RESOURCES && now_s() - began < PATIENCE_S)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    cpu = cpu_s() - cpu;
    double took = now_s() - began;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%s %8.1f s %8.0f us CPU each %6.0f a second %6.1f MB at most%s\n",
           guards == ROLLOUT  ? "10,000, limits, breakers, rollout"
           : guards == LIMITS ? "10,000, limits and breakers      "
                              : "10,000, nothing holds them back  ",
           took, cpu / RESOURCES * 1e6, RESOURCES / took, (double)usage.ru_maxrss / 1024,
           healed(&w) < RESOURCES ? "  NOT ALL" : "");
    engine_workers_stop(workers);
    end(&w);
    return cpu;
}

int main(void)
{
    struct error err;
    struct world w;
    struct aws_models *models = aws_models_open(RECTIFY_MODELS_DIR, &err);
    if (!models)
        die("models", &err);
    begin(&w, models, ROLLOUT);
    decisions(&w);
    end(&w);
    double none = fleet(models, NONE), limits = fleet(models, LIMITS);
    double rollout = fleet(models, ROLLOUT);
    printf("of the CPU that it takes unhindered: limits and breakers %.2fx, with rollout %.2fx\n",
           limits / none, rollout / none);
    aws_models_close(models);
    return 0;
}
