// SPDX-License-Identifier: Apache-2.0
/* What the store's tests share: a clock that stands until moved, and short forms of the verbs. */
#ifndef RECTIFY_TESTS_STORE_HELP_H
#define RECTIFY_TESTS_STORE_HELP_H

#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "store/store.h"
#include "value/json.h"

#define T0 INT64_C(1790000000000)
#define LEASE_MS 60000
#define GRACE_MS 900000

struct test_time {
    struct clock clock;
    int64_t now;
};

static inline int64_t test_wall(void *ctx)
{
    return ((struct test_time *)ctx)->now;
}

static inline void test_random(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 7, size);
}

static inline void test_time_init(struct test_time *time)
{
    *time = (struct test_time){.now = T0};
    time->clock = (struct clock){test_wall, test_wall, test_random, time};
}

/* A folder of its own; in memory where there is one, as no test here pulls the plug. */
static inline void test_folder(char *folder, size_t size)
{
    const char *root = getenv("TMPDIR");
    if (!root)
        root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, size, "%s/rectify-store-XXXXXX", root);
    assert_non_null(mkdtemp(folder));
}

static inline void test_folder_remove(const char *folder)
{
    static const char *const names[] = {"s.db", "s.db-wal", "s.db-shm", "s.db-journal",
                                        "s.db.lock"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static inline struct store *open_or_fail(const char *where, const struct clock *clock)
{
    struct error err = {0};
    struct store *store = store_open(where, clock, &err);
    if (!store)
        fail_msg("%s %s", err.code, err.message);
    return store;
}

/* An empty one of the backend under test, which goes by `clock`. */
static inline struct store *open_fresh(const struct clock *clock)
{
    struct store *store = open_or_fail(backend_fresh(":memory:"), clock);
    backend_use_own_clock();
    return store;
}

#define BUCKET(name) "aws/123456789012/eu-west-1/AWS::S3::Bucket/" name

static inline struct store_match match_of(const char *policy, const char *resource, int64_t due)
{
    return (struct store_match){.policy = str_from(policy),
                                .policy_hash = STR("00ff"),
                                .resource = str_from(resource),
                                .region = STR("eu-west-1"),
                                .due_ms = due,
                                .detail = STR("{\"event\":{\"id\":\"e\"},\"mode\":\"enforce\"}")};
}

/* One event with one match, due at once. True: it was taken. */
static inline bool accept_one(struct store *store, const char *key, const char *policy,
                              const char *resource, int64_t due)
{
    struct store_match match = match_of(policy, resource, due);
    struct store_event event = {str_from(key), STR("s3:CreateBucket"), &match, 1};
    bool accepted = false;
    struct error err = {0};
    assert_int_equal(store_accept(store, &event, 1, &accepted, &err), STORE_OK);
    return accepted;
}

static inline size_t claim_some(struct store *store, size_t count, struct store_claim *ret,
                                int64_t *ret_next)
{
    size_t taken = 99;
    struct error err = {0};
    assert_int_equal(store_claim(store, count, LEASE_MS, GRACE_MS, ret, &taken, ret_next, &err),
                     STORE_OK);
    return taken;
}

/* Claims exactly one, which is there. */
static inline struct store_claim claim_one(struct store *store)
{
    struct store_claim claim = {0};
    int64_t next;
    assert_int_equal(claim_some(store, 1, &claim, &next), 1);
    return claim;
}

static inline struct remediation get(struct store *store, int64_t id, struct arena *arena)
{
    struct remediation r = {0};
    struct error err = {0};
    enum store_result got = store_get(store, id, arena, &r, &err);
    if (got != STORE_OK)
        fail_msg("store_get gave %d %s", got, err.message);
    return r;
}

static inline struct store_transition move_to(struct store *store, struct store_claim claim,
                                              enum state to)
{
    struct arena arena = {0};
    struct remediation r = get(store, claim.id, &arena);
    struct store_transition t = {.id = claim.id,
                                 .version = r.version,
                                 .sequence_seen = to == STATE_READING ? r.sequence : 0,
                                 .epoch = claim.epoch,
                                 .to = to,
                                 .keep_lease = !state_is_terminal(to),
                                 .reason = STR("because"),
                                 .record = STR("{\"x\":1}")};
    arena_finish(&arena);
    return t;
}

static inline enum store_result go(struct store *store, const struct store_transition *t)
{
    struct error err = {0};
    return store_advance(store, t, true, &err);
}

static inline void must_go(struct store *store, struct store_claim claim, enum state to)
{
    struct store_transition t = move_to(store, claim, to);
    assert_int_equal(go(store, &t), STORE_OK);
}

/* An intent under one key, whose breaker opens at three bad units in a row. */
static inline struct permit permit_of(const char *key, const char *unit)
{
    return (struct permit){.key = str_from(key),
                           .unit = str_from(unit),
                           .rule = {3, 50, 20, INT64_C(86400000), 60000}};
}

/* Those of one repair in the tests that are killed: of its policy, with room for all, and of one
 * that all share. */
struct permit_pair {
    struct permit list[2];
};
static inline struct permit_pair permit_pair_of(const struct remediation *r)
{
    struct permit_pair pair = {
        {permit_of("all", "u"), {.key = r->policy, .unit = r->resource, .per_hour_max = -1}}};
    pair.list[0].at_once_max = 3;
    return pair;
}

static inline int64_t log_size(struct store *store)
{
    struct store_checkpoint checkpoint;
    struct error err;
    assert_int_equal(store_flush(store, &err), STORE_OK);
    assert_int_equal(store_checkpoint(store, &checkpoint, &err), STORE_OK);
    return checkpoint.size;
}

#endif
