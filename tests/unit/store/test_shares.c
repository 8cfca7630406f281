// SPDX-License-Identifier: Apache-2.0
/* More is due than is wanted: no account waits behind another's flood. */
#include "store_help.h"

struct fixture {
    struct test_time time;
    struct store *store;
    struct error err;
    int events;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_time_init(&f->time);
    f->store = open_fresh(&f->time.clock);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    free(f);
    return 0;
}

/* `count` buckets of `account`, due one ms after the other. */
static void arrive(struct fixture *f, int account, int count, int64_t due_ms)
{
    for (int i = 0; i < count; i++) {
        char key[32], resource[96];
        snprintf(key, sizeof key, "e%d", ++f->events);
        snprintf(resource, sizeof resource, "aws/%012d/eu-west-1/AWS::S3::Bucket/b%d", account,
                 f->events);
        assert_true(accept_one(f->store, key, "p", resource, due_ms + i));
    }
}

static void test_store__a_flood_delays_no_other_account(void **state)
{
    struct fixture *f = *state;
    struct store_claim claims[40];
    bool seen[700] = {false};
    int64_t next;
    arrive(f, 7, 500, T0);        // ids 1 to 500
    arrive(f, 3, 3, T0 + 1000);   // 501 to 503: before the flood's account and behind it
    arrive(f, 9, 1, T0 + 1001);   // 504
    arrive(f, 8, 2, T0 + 100000); // 505, 506: not yet
    f->time.now = T0 + 2000;
    assert_int_equal(claim_some(f->store, 40, claims, &next), 40);
    assert_true(next <= f->time.now);
    int others = 0;
    for (int i = 0; i < 40; i++) {
        assert_in_range(claims[i].id, 1, 504);
        assert_false(seen[claims[i].id]);
        seen[claims[i].id] = true;
        others += claims[i].id > 500;
    }
    assert_int_equal(others, 4);
    for (int64_t id = 1; id <= 36; id++)
        assert_true(seen[id]); // the flood's, in due order
    size_t taken, all = 40;
    while ((taken = claim_some(f->store, 40, claims, &next)) > 0)
        for (all += taken; taken-- > 0;) {
            assert_false(seen[claims[taken].id]);
            seen[claims[taken].id] = true;
        }
    assert_int_equal(all, 504);
    assert_int_equal(next, T0 + LEASE_MS + 2000);
}

/* An account that has more than a few gets as much as the flood, not one at a time. */
static void test_store__shares_are_equal(void **state)
{
    struct fixture *f = *state;
    struct store_claim claims[64];
    int64_t next;
    arrive(f, 1, 300, T0);
    arrive(f, 2, 100, T0 + 500);
    f->time.now = T0 + 1000;
    assert_int_equal(claim_some(f->store, 64, claims, &next), 64);
    int second = 0;
    for (int i = 0; i < 64; i++)
        second += claims[i].id > 300;
    assert_int_equal(second, 16); // half of what is not in due order
}

static void test_store__each_of_many_accounts_has_its_turn(void **state)
{
    struct fixture *f = *state;
    bool seen[101] = {false};
    int64_t next;
    arrive(f, 500, 400, T0);
    for (int account = 1; account <= 100; account++)
        arrive(f, account, 1, T0 + 1000 + account); // ids from 401
    f->time.now = T0 + 2000;
    int met = 0;
    for (int i = 0; i < 20; i++) { // 5 in due order, 5 of an account each
        struct store_claim claims[10];
        assert_int_equal(claim_some(f->store, 10, claims, &next), 10);
        for (int k = 0; k < 10; k++) {
            int64_t id = claims[k].id - 400;
            if (id > 0 && !seen[id])
                met++;
            if (id > 0)
                seen[id] = true;
        }
    }
    assert_int_equal(met, 100);
}

static void test_store__one_at_a_time_goes_round(void **state)
{
    struct fixture *f = *state;
    int64_t ids[4];
    arrive(f, 1, 10, T0);
    arrive(f, 2, 10, T0 + 100);
    f->time.now = T0 + 1000;
    for (int i = 0; i < 4; i++)
        ids[i] = claim_one(f->store).id;
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 11);
    assert_int_equal(ids[2], 2);
    assert_int_equal(ids[3], 12);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_store__a_flood_delays_no_other_account),
        EACH(test_store__shares_are_equal),
        EACH(test_store__each_of_many_accounts_has_its_turn),
        EACH(test_store__one_at_a_time_goes_round),
    };
    int unable = backend_prepare();
    return unable ? unable : cmocka_run_group_tests(tests, NULL, NULL);
}
