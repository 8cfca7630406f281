// SPDX-License-Identifier: Apache-2.0
/* Permits, breakers and rollouts under concurrency and crashes, on a virtual clock: at the points
 * of fault.h another worker takes a step in between, or the process dies. What must never be is
 * looked for at every point; when the faults stop, everything has to end. Then the attacks. */
#include "../cmocka_all.h"

#include "base/fault.h"
#include "sim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OURS "123456789012"
#define THEIRS "999999999999"
#define HOUR INT64_C(3600000)
#define DEPTH_MAX 3 // workers at the same time
#define INTENTS_MAX 4096

static struct aws_models *shared_models;

static const char policy_text[] =
    "policy: tag\ntitle: tagged\nseverity: low\n"
    "resource: {type: 'AWS::S3::Bucket'}\n"
    "detect:\n  events: {'s3:CreateBucket': event.detail.requestParameters.bucketName}\n"
    "  settle: 0s\n"
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
    "verify: {within: 30s, else: undo}\n";

static const char config_text[] =
    "accounts:\n  '" OURS "': {env: prod}\n  '" THEIRS "': {env: prod}\n"
    "limits: {account: {at_once: 0, per_hour: 0}, fleet: {at_once: 0}}\n"
    "assignments:\n  - {policies: ['*'], accounts: '*', mode: enforce}\n";

struct bounds {
    int at_once, per_hour;  // 0 = none
    int seats, share_at[3]; // of the rollout's steps; share in parts per million; 0 = no rollout
    bool undoes;            // a stage is taken back: by rollbacks, which no breaker keeps back
};

struct world {
    struct sim sim;
    struct policy_set *policies;
    const struct policy *policy;
    struct store *store;
    struct engine engine;
    struct arena arena;
    struct arena scratch[DEPTH_MAX]; // one a worker
    jmp_buf death[DEPTH_MAX];
    bool their[DEPTH_MAX]; // it works on a resource of the other account
    int depth;             // workers that are in a step
    unsigned between_percent, death_permille;
    struct bounds bounds;
    int64_t intents[INTENTS_MAX];
    int intent_count, deaths, trips_seen;
    int events, theirs; // buckets below `theirs` are of the other account
    int64_t last_tend_ms;
    uint64_t seed;
    char dir[64];
};

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct world *world_create(uint64_t seed, const char *guard)
{
    struct world *w = calloc(1, sizeof *w);
    char text[4096], *dir;
    struct error_list errors;
    struct error err;
    assert_non_null(w);
    w->seed = seed;
    sim_init(&w->sim, seed);
    snprintf(w->dir, sizeof w->dir, "/tmp/rectify-limits-XXXXXX");
    dir = mkdtemp(w->dir);
    assert_non_null(dir);
    snprintf(text, sizeof text, "%sguard: %s\n", policy_text, guard);
    write_file(dir, "tag.yaml", text);
    write_file(dir, "rectify.yaml", config_text);
    errors = (struct error_list){.arena = &w->arena};
    w->policies =
        policy_set_load(&(struct policy_options){.dir = dir, .models = shared_models}, &errors);
    if (!w->policies)
        fail_msg("%s", errors.items[0]->message);
    w->policy = policy_set_at(w->policies, 0);
    w->store = store_open(":memory:", &w->sim.clock, &err);
    assert_non_null(w->store);
    w->engine = (struct engine){.store = w->store,
                                .rules = engine_rules_create(w->policies, &err),
                                .models = shared_models,
                                .caller = sim_caller(&w->sim),
                                .clock = &w->sim.clock};
    return w;
}

static void world_destroy(struct world *w)
{
    char path[128];
    store_close(w->store);
    engine_rules_destroy(w->engine.rules);
    arena_finish(&w->arena);
    for (int i = 0; i < DEPTH_MAX; i++)
        arena_finish(&w->scratch[i]);
    sim_finish(&w->sim);
    snprintf(path, sizeof path, "%s/tag.yaml", w->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/rectify.yaml", w->dir);
    unlink(path);
    rmdir(w->dir);
    free(w);
}

static const char *key_of(const struct world *w, int bucket, char ret[100])
{
    snprintf(ret, 100, "aws/%s/global/AWS::S3::Bucket/bucket-%d",
             bucket < w->theirs ? THEIRS : OURS, bucket);
    return ret;
}

static void send_event(struct world *w, int bucket)
{
    char key[100], id[32];
    struct error err;
    snprintf(id, sizeof id, "event-%d", ++w->events);
    struct store_match match = {w->policy->name,
                                str_from(w->policy->hash),
                                str_from(key_of(w, bucket, key)),
                                STR("us-east-1"),
                                w->sim.wall_ms,
                                STR("{\"event\":{\"name\":\"s3:CreateBucket\"}}")};
    struct store_event event = {str_from(id), STR("s3:CreateBucket"), &match, 1};
    assert_int_equal(store_accept(w->store, &event, 1, NULL, &err), STORE_OK);
}

/* Somebody takes the tag away, which an event tells of. */
static void break_bucket(struct world *w, int bucket)
{
    sim_set_tags(&w->sim, bucket, (const char *const[]){"team", "red"}, 1);
    send_event(w, bucket);
}

/* ---- what must never be ---- */

static struct store_guards look_of(struct world *w, int bucket, bool their, struct arena *arena)
{
    char key[100];
    struct store_guards g;
    struct error err;
    struct permit permits[2] = {
        {.key = STR("policy tag"), .per_hour_max = -1},
        {.key = their ? STR("policy tag " THEIRS) : STR("policy tag " OURS), .per_hour_max = -1}};
    struct store_guard_query query = {STR("tag"), str_from(w->policy->hash),
                                      str_from(key_of(w, bucket, key)), permits, 2};
    assert_int_equal(store_guards(w->store, &query, arena, &g, &err), STORE_OK);
    return g;
}

static struct store_guards look(struct world *w, int bucket, struct arena *arena)
{
    return look_of(w, bucket, false, arena);
}

#define NEVER(condition, ...)                                                                      \
    do {                                                                                           \
        if (condition) {                                                                           \
            fprintf(stderr, "seed %llu: ", (unsigned long long)w->seed);                           \
            fail_msg(__VA_ARGS__);                                                                 \
        }                                                                                          \
    } while (0)

static void check_counts(struct world *w)
{
    int64_t counts[STATE_COUNT], locked = 0;
    struct error err;
    assert_int_equal(store_counts(w->store, counts, &err), STORE_OK);
    for (int i = 0; i < STATE_COUNT; i++)
        if (state_flags((enum state)i) & STATE_LOCKED)
            locked += counts[i];
    NEVER(w->bounds.at_once && locked > w->bounds.at_once, "%lld at once", (long long)locked);
}

/* An intent is on disk just now. */
static void check_intent(struct world *w)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_guards g = look_of(w, SIM_BUCKETS - 1, w->their[w->depth - 1], &arena);
    int64_t now = w->sim.wall_ms;
    int within = 0;
    w->intents[w->intent_count++ % INTENTS_MAX] = now;
    for (int i = 0; i < w->intent_count && i < INTENTS_MAX; i++)
        within += w->intents[i] > now - HOUR;
    NEVER(!w->bounds.undoes && w->bounds.per_hour && within > w->bounds.per_hour,
          "%d within an hour", within);
    for (int i = 0; i < 2 && !w->bounds.undoes; i++) {
        const struct breaker_state *b = &g.meters[i].breaker;
        w->trips_seen += b->tripped_ms != 0;
        NEVER(b->opened_ms && !breaker_is_half_open(b, now), "one began under an open breaker");
        NEVER(g.meters[i].probes > (b->probes_good ? BREAKER_PROBES : 1), "%d probes of breaker %d",
              g.meters[i].probes, i);
    }
    NEVER(!w->bounds.undoes && g.rollout.state == ROLLOUT_PAUSED,
          "one began although the policy is paused");
    NEVER(w->bounds.seats && g.rollout.state == ROLLOUT_RUNNING &&
              g.rollout.seats > w->bounds.seats,
          "%d seats are taken", g.rollout.seats);
}

/* A call of ours arrives: does the rollout reach its bucket? */
static void check_write(void *ctx, struct sim *sim, bool write, bool before)
{
    struct world *w = ctx;
    struct arena arena ARENA_AUTO = {0};
    if (!write || !before || !w->bounds.seats)
        return;
    struct store_guards g = look(w, sim->bucket, &arena);
    bool reached = g.rollout.state != ROLLOUT_RUNNING || g.rollout.member ||
                   g.rollout.place < w->bounds.share_at[g.rollout.stage];
    NEVER(!reached, "bucket %d is written at step %d", sim->bucket, g.rollout.stage);
}

/* ---- workers that come in between, and die ---- */

static bool step_one(struct world *w);

static void at_point(void *ctx, const char *subject, const char *moment)
{
    struct world *w = ctx;
    bool written = strcmp(moment, "written") == 0;
    if (written)
        check_counts(w);
    if (written && strcmp(subject, "intent") == 0)
        check_intent(w);
    /* Of what is written together each has its point, and the intent is looked at in its own: what
     * comes in between earlier would be taken for what was before. */
    bool early = written && (strcmp(subject, "received") == 0 || strcmp(subject, "reading") == 0 ||
                             strcmp(subject, "deciding") == 0);
    if (!early && w->depth < DEPTH_MAX && sim_below(&w->sim, 100) < w->between_percent)
        step_one(w);
    if (sim_below(&w->sim, 1000) < w->death_permille) {
        w->deaths++;
        longjmp(w->death[w->depth - 1], 1);
    }
}

/* One due row by one worker. False: none is due. */
static bool step_one(struct world *w)
{
    struct store_claim claim;
    struct error err;
    size_t count;
    int64_t next;
    assert_int_equal(
        store_claim(w->store, 1, ENGINE_LEASE_MS, ENGINE_GRACE_MS, &claim, &count, &next, &err),
        STORE_OK);
    if (count == 0)
        return false;
    struct arena arena ARENA_AUTO = {0};
    struct remediation r;
    int depth = w->depth++;
    assert_int_equal(store_get(w->store, claim.id, &arena, &r, &err), STORE_OK);
    w->their[depth] = str_find(r.resource, STR(THEIRS)) != SIZE_MAX;
    if (setjmp(w->death[depth]) == 0)
        assert_true(engine_step(&w->engine, &claim, &w->scratch[depth], &err));
    w->depth = depth;
    return true;
}

static void pass(struct world *w, int64_t ms)
{
    w->sim.wall_ms += ms;
    w->sim.steady_ms += ms;
}

static int64_t tend(struct world *w)
{
    struct error err;
    int64_t next;
    assert_true(engine_tend(&w->engine, w->last_tend_ms, &next, &err));
    w->last_tend_ms = w->sim.wall_ms;
    return next;
}

/* One due row, or time passes until something is. False: nothing will ever be. */
static bool world_step(struct world *w)
{
    struct store_claim none;
    struct error err;
    size_t count;
    int64_t next, tended = tend(w);
    if (step_one(w))
        return true;
    assert_int_equal(store_claim(w->store, 0, 1, 1, &none, &count, &next, &err), STORE_OK);
    if (tended < next)
        next = tended;
    if (next == INT64_MAX)
        return false;
    pass(w, next > w->sim.wall_ms ? next - w->sim.wall_ms : 1);
    return true;
}

static void by_ann(struct world *w, enum rollout_do what, int stage)
{
    struct error err;
    struct store_rollout_change change = {.what = what,
                                          .policy = STR("tag"),
                                          .hash = str_from(w->policy->hash),
                                          .stage = stage,
                                          .waive_ms = what == ROLLOUT_RESUME ? 24 * HOUR : 0,
                                          .by = STR("ann"),
                                          .reason = STR("looked at it")};
    assert_int_not_equal(store_rollout_set(w->store, &change, &err), STORE_ERROR);
}

/* Whoever is paged looks, and goes on. */
static void answer_page(struct world *w)
{
    struct arena arena ARENA_AUTO = {0};
    struct rollout r = look(w, 0, &arena).rollout;
    if (r.state == ROLLOUT_PAUSED)
        by_ann(w, ROLLOUT_RESUME, 0);
    if (r.state != ROLLOUT_PAUSED || r.good || sim_below(&w->sim, 2) || !w->bounds.seats)
        return;
    by_ann(w, r.stage == 2 ? ROLLOUT_FINISH : ROLLOUT_PROMOTE, r.stage);
}

/* ---- seeds ---- */

static void choose_guard(struct world *dice, char text[400], struct bounds *ret)
{
    struct sim *s = &dice->sim;
    *ret = (struct bounds){.at_once = 1 + (int)sim_below(s, 4),
                           .per_hour = sim_below(s, 2) ? 4 + (int)sim_below(s, 30) : 0};
    int len =
        snprintf(text, 400,
                 "{mode: enforce, limit: {at_once: %d, per_hour: %d, share: 100%%, growth: 0},"
                 " breaker: {in_a_row: %u, errors: 50%%, of: 4, in: 6h}",
                 ret->at_once, ret->per_hour, 2 + sim_below(s, 2));
    if (sim_below(s, 2)) {
        ret->seats = 1 + (int)sim_below(s, 3);
        ret->undoes = sim_below(s, 2);
        memcpy(ret->share_at, (int[]){0, 300000, 1000000}, sizeof ret->share_at);
        len += snprintf(text + len, (size_t)(400 - len),
                        ", rollout: {steps: [%d, 30%%, 100%%], bake: 60s, sample: 2, within: 2h, "
                        "else: %s}",
                        ret->seats, ret->undoes ? "undo" : "pause");
    }
    snprintf(text + len, (size_t)(400 - len), "}");
}

static void let_faults_in(struct world *w)
{
    struct sim *s = &w->sim;
    s->lost_percent = sim_below(s, 25);
    s->throttle_percent = sim_below(s, 15);
    s->fail_percent = sim_below(s, 15);
    s->not_sent_percent = sim_below(s, 15);
    s->ignored_percent = sim_below(s, 2) ? 30 + sim_below(s, 60) : 0;
    s->lag_max_ms = sim_below(s, 3) ? 0 : 5000;
    for (int i = 0; i < SIM_BUCKETS; i++)
        s->buckets[i].refuses = sim_below(s, 8) == 0;
    w->between_percent = sim_below(s, 30);
    w->death_permille = sim_below(s, 2) ? sim_below(s, 20) : 0;
}

static void stop_faults(struct world *w)
{
    struct sim *s = &w->sim;
    s->lost_percent = s->throttle_percent = s->fail_percent = s->not_sent_percent = 0;
    s->ignored_percent = 0;
    s->lag_max_ms = 0;
    for (int i = 0; i < SIM_BUCKETS; i++)
        s->buckets[i].refuses = false;
    w->death_permille = 0;
}

static int64_t active(struct world *w)
{
    int64_t counts[STATE_COUNT], sum = 0;
    struct error err;
    assert_int_equal(store_counts(w->store, counts, &err), STORE_OK);
    for (int i = 0; i < STATE_COUNT; i++)
        sum += state_is_terminal((enum state)i) ? 0 : counts[i];
    return sum;
}

/* What still waits, for who looks for why. */
static void tell_active(struct world *w)
{
    struct remediation *rows;
    size_t count;
    struct error err;
    struct store_filter filter = {.state = -1, .active_only = true, .limit = 10};
    assert_int_equal(store_list(w->store, &filter, &w->arena, &rows, &count, &err), STORE_OK);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "  r%lld %s %.*s, due in %lld ms: %.*s\n", (long long)rows[i].id,
                state_name(rows[i].state), STR_FMT(rows[i].resource),
                (long long)(rows[i].due_ms - w->sim.wall_ms), STR_FMT(rows[i].reason));
}

struct total {
    long intents, deaths, trips, seeds, rollouts;
};

static void run_seed(uint64_t seed, struct total *total)
{
    char guard[400];
    struct bounds bounds;
    struct world *dice = calloc(1, sizeof *dice);
    assert_non_null(dice);
    sim_init(&dice->sim, seed * 2 + 1);
    choose_guard(dice, guard, &bounds);
    sim_finish(&dice->sim);
    free(dice);
    struct world *w = world_create(seed, guard);
    w->bounds = bounds;
    w->theirs = SIM_BUCKETS / 4;
    w->sim.on_call = check_write;
    w->sim.on_call_ctx = w;
    fault_set_hook(at_point, w);
    let_faults_in(w);
    for (int i = 0; i < 120; i++) {
        switch (sim_below(&w->sim, 8)) {
        case 0:
        case 1:
            break_bucket(w, (int)sim_below(&w->sim, SIM_BUCKETS));
            break;
        case 2:
            pass(w, sim_below(&w->sim, 2) ? 1000 : sim_below(&w->sim, 600000));
            break;
        case 3:
            if (sim_below(&w->sim, 8) == 0)
                answer_page(w);
            break;
        default:
            world_step(w);
        }
    }
    stop_faults(w);
    for (int i = 0; i < 20000 && active(w); i++) {
        world_step(w);
        if (i % 50 == 49)
            answer_page(w);
    }
    fault_set_hook(NULL, NULL);
    if (active(w) > 0)
        tell_active(w);
    NEVER(active(w) > 0, "%lld do not end", (long long)active(w));
    total->intents += w->intent_count;
    total->deaths += w->deaths;
    total->trips += w->trips_seen > 0;
    total->rollouts += bounds.seats > 0;
    total->seeds++;
    world_destroy(w);
}

static void test_limits__no_bound_is_passed_and_all_ends(void **state)
{
    (void)state;
    struct total total = {0};
    const char *env = getenv("RECTIFY_SEEDS"), *one = getenv("RECTIFY_SEED");
    uint64_t seeds = env ? strtoull(env, NULL, 10) : 300;
    if (one)
        run_seed(strtoull(one, NULL, 10), &total);
    for (uint64_t seed = 1; !one && seed <= seeds; seed++)
        run_seed(seed, &total);
    printf("%ld seeds: %ld intents, %ld deaths, a breaker had tripped in %ld, a rollout in %ld\n",
           total.seeds, total.intents, total.deaths, total.trips, total.rollouts);
    if (!one && seeds >= 300) {
        assert_true(total.deaths > total.seeds / 4 && total.trips > total.seeds / 20);
        assert_true(total.rollouts > total.seeds / 3);
    }
}

/* ---- attacks ---- */

#define THEIR_BUCKETS 40
#define OUR_BUCKETS 12

/* When each of ours is healed, in ms after it was broken; -1 = not. */
struct times {
    int64_t each[OUR_BUCKETS], mean, most;
    int64_t their_last_ms; // until the last of theirs had an end
    int their_healed, their_paged;
};

static void measure(struct world *w, int64_t began_ms, struct times *ret)
{
    struct remediation *rows;
    size_t count;
    struct error err;
    struct store_filter filter = {.state = -1, .limit = 1000};
    assert_int_equal(store_list(w->store, &filter, &w->arena, &rows, &count, &err), STORE_OK);
    for (size_t i = 0; i < count; i++) {
        struct str id = rows[i].resource;
        int bucket = atoi(id.ptr + str_find(id, STR("bucket-")) + 7);
        int64_t took = rows[i].updated_ms - began_ms;
        bool theirs = bucket < w->theirs;
        if (!theirs && rows[i].state == STATE_HEALED)
            ret->each[bucket - w->theirs] = took;
        if (theirs && state_is_terminal(rows[i].state)) {
            ret->their_healed += rows[i].state == STATE_HEALED;
            ret->their_paged += rows[i].state == STATE_NEEDS_PERSON;
        }
    }
    for (int i = 0; i < OUR_BUCKETS; i++) {
        assert_true(ret->each[i] >= 0);
        ret->mean += ret->each[i] / OUR_BUCKETS;
        if (ret->each[i] > ret->most)
            ret->most = ret->each[i];
    }
}

/* Ours break at once; `attack`: theirs do too, a second before, refuse every call, and are told of
 * again every second, for ten minutes. */
static struct times ours_heal(const char *guard, bool attack)
{
    struct times times = {0};
    struct world *w = world_create(7, guard);
    w->theirs = THEIR_BUCKETS;
    memset(times.each, 0xff, sizeof times.each);
    if (attack)
        for (int i = 0; i < THEIR_BUCKETS; i++) {
            w->sim.buckets[i].refuses = true;
            break_bucket(w, i);
        }
    pass(w, 1000);
    int64_t began = w->sim.wall_ms, flooded = began;
    for (int i = 0; i < OUR_BUCKETS; i++)
        break_bucket(w, THEIR_BUCKETS + i);
    while (w->sim.wall_ms < began + 600000) {
        for (; attack && flooded + 1000 <= w->sim.wall_ms; flooded += 1000)
            for (int i = 0; i < 4; i++)
                break_bucket(w, (int)sim_below(&w->sim, THEIR_BUCKETS));
        if (!world_step(w))
            pass(w, 1000);
    }
    measure(w, began, &times);
    world_destroy(w);
    return times;
}

static void compare(const char *what, const char *guard)
{
    struct times calm = ours_heal(guard, false), attacked = ours_heal(guard, true);
    printf("%s: others heal in %lld ms (the last in %lld), attacked in %lld (%lld); "
           "of the attacker's %d are paged\n",
           what, (long long)calm.mean, (long long)calm.most, (long long)attacked.mean,
           (long long)attacked.most, attacked.their_paged);
    assert_true(attacked.most <= calm.most * 2);
    assert_true(attacked.their_paged > 0);
    assert_int_equal(attacked.their_healed, 0);
}

/* A queue of theirs that nobody refuses, one row at a time: how many rows are walked until ours,
 * which broke last, is healed? */
static void test_limits__a_queue_of_one_account_is_no_queue_of_others(void **state)
{
    (void)state;
    struct world *w = world_create(
        9, "{mode: enforce, limit: {at_once: 0, per_hour: 0, share: 100%, growth: 0}}");
    w->theirs = SIM_BUCKETS - 1;
    for (int i = 0; i < SIM_BUCKETS; i++)
        break_bucket(w, i);
    pass(w, 1000);
    int walked = 0, healed = 0;
    for (; !sim_has_tag(&w->sim, SIM_BUCKETS - 1, "cost-center") && walked < 1000; walked++)
        if (!world_step(w))
            pass(w, 1000);
    for (int i = 0; i < w->theirs; i++)
        healed += sim_has_tag(&w->sim, i, "cost-center");
    printf("%d rows are walked, %d of the other account's %d healed\n", walked, healed, w->theirs);
    assert_true(healed <= 2);
    world_destroy(w);
}

static void test_limits__a_flood_of_refusals_delays_nobody_else(void **state)
{
    (void)state;
    compare("limits", "{mode: enforce, limit: {at_once: 4, per_hour: 0, share: 100%, growth: 0}}");
}

static void test_limits__a_sabotaged_canary_delays_nobody_else(void **state)
{
    (void)state;
    compare("rollout",
            "{mode: enforce, limit: {at_once: 4, per_hour: 0, share: 100%, growth: 0}, rollout: "
            "{steps: [1, 100%], bake: 10s, sample: 3}}");
}

/* Case 46: three resources never give five good repairs. */
static void test_limits__case_46_a_step_without_its_sample_pauses(void **state)
{
    (void)state;
    struct world *w = world_create(
        3, "{mode: enforce, rollout: {steps: [3, 100%], bake: 1s, sample: 5, within: 1h}}");
    for (int i = 0; i < 3; i++)
        break_bucket(w, i);
    struct arena arena ARENA_AUTO = {0};
    for (int i = 0; i < 400 && look(w, 0, &arena).rollout.stage == 0; i++)
        world_step(w); // a step of three needs three
    assert_int_equal(look(w, 0, &arena).rollout.stage, 1);
    break_bucket(w, 5);
    for (int i = 0; i < 400 && look(w, 0, &arena).rollout.state == ROLLOUT_RUNNING; i++)
        world_step(w);
    struct rollout r = look(w, 0, &arena).rollout;
    assert_int_equal(r.state, ROLLOUT_PAUSED);
    assert_int_equal(r.stage, 1);
    assert_true(str_find(r.reason, STR("good repairs")) != SIZE_MAX);
    world_destroy(w);
}

/* A rollout over all buckets, to its end, by itself. */
/* How many transitions it made. */
static int64_t turns_of(struct world *w, int64_t id)
{
    struct arena arena ARENA_AUTO = {0};
    struct remediation r;
    struct error err;
    assert_int_equal(store_get(w->store, id, &arena, &r, &err), STORE_OK);
    return r.version;
}

static void test_limits__a_rollout_of_good_repairs_reaches_all(void **state)
{
    (void)state;
    struct world *w = world_create(5, "{mode: enforce, limit: {at_once: 5, per_hour: 0, share: "
                                      "100%}, rollout: {steps: [1, 30%, 100%], sample: 2}}");
    w->bounds = (struct bounds){5, 0, 1, {0, 300000, 1000000}};
    w->sim.on_call = check_write;
    w->sim.on_call_ctx = w;
    int64_t began = w->sim.wall_ms;
    for (int i = 0; i < SIM_BUCKETS; i++)
        break_bucket(w, i);
    for (int i = 0; i < 20000 && active(w); i++)
        world_step(w);
    struct arena arena ARENA_AUTO = {0};
    for (int i = 0; i < 100 && look(w, 0, &arena).rollout.state != ROLLOUT_DONE; i++)
        world_step(w);
    assert_int_equal(look(w, 0, &arena).rollout.state, ROLLOUT_DONE);
    for (int i = 0; i < SIM_BUCKETS; i++)
        assert_true(sim_has_tag(&w->sim, i, "cost-center"));
    assert_in_range(w->sim.wall_ms - began, 180000, 400000); // three steps of a minute, and little
    int64_t turns = 0;
    for (int i = 0; i < SIM_BUCKETS; i++)
        turns += turns_of(w, i + 1);
    printf("%.1f transitions a repair\n", (double)turns / SIM_BUCKETS);
    assert_true(turns < 102 * SIM_BUCKETS / 10); // looked at when its step comes, not at each
    world_destroy(w);
}

/* One that does not help stops the policy, and what its stage did is taken back. */
static void test_limits__a_failed_stage_is_taken_back(void **state)
{
    (void)state;
    struct world *w = world_create(6, "{mode: enforce, limit: {at_once: 1, share: 100%}, rollout: "
                                      "{steps: [6, 100%], sample: 6, else: undo}}");
    struct arena arena ARENA_AUTO = {0};
    for (int i = 0; i < 4; i++)
        break_bucket(w, i);
    while (look(w, 0, &arena).rollout.good < 4)
        assert_true(world_step(w));
    w->sim.ignored_percent = 100;
    break_bucket(w, 4);
    while (look(w, 0, &arena).rollout.state == ROLLOUT_RUNNING)
        assert_true(world_step(w));
    w->sim.ignored_percent = 0;
    break_bucket(w, 9);
    int64_t until = w->sim.wall_ms + HOUR;
    while (w->sim.wall_ms < until && world_step(w))
        ;
    for (int i = 0; i < 4; i++) {
        assert_false(sim_has_tag(&w->sim, i, "cost-center"));
        assert_true(sim_has_tag(&w->sim, i, "team"));
    }
    assert_false(sim_has_tag(&w->sim, 9, "cost-center")); // held
    assert_int_equal(look(w, 0, &arena).rollout.state, ROLLOUT_PAUSED);
    world_destroy(w);
}

int main(void)
{
    struct error err;
    const char *models = getenv("RECTIFY_MODELS");
    shared_models = aws_models_open(models ? models : RECTIFY_MODELS_DIR, &err);
    if (!shared_models) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__a_rollout_of_good_repairs_reaches_all),
        cmocka_unit_test(test_limits__a_failed_stage_is_taken_back),
        cmocka_unit_test(test_limits__case_46_a_step_without_its_sample_pauses),
        cmocka_unit_test(test_limits__a_queue_of_one_account_is_no_queue_of_others),
        cmocka_unit_test(test_limits__a_flood_of_refusals_delays_nobody_else),
        cmocka_unit_test(test_limits__a_sabotaged_canary_delays_nobody_else),
        cmocka_unit_test(test_limits__no_bound_is_passed_and_all_ends),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    aws_models_close(shared_models);
    return failed;
}
