// SPDX-License-Identifier: Apache-2.0
#include "replay/replay_internal.h"

#include <stdio.h>

#include "../cmocka_all.h"

static bool add(struct replay_tally *tally, enum replay_side side, const char *policy,
                const char *event, const char *resource, struct error *err)
{
    struct replay_match match = {side,
                                 str_from(policy),
                                 STR("111122223333"),
                                 STR("alice"),
                                 STR("2026-01-05"),
                                 str_from(event),
                                 str_from(resource)};
    bool fresh;
    return replay_tally_add(tally, &match, &fresh, err);
}

static void test_tally__copies_of_an_event_count_once_a_side(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct replay_tally *tally = replay_tally_create(100);
    struct replay_result r = {0};
    struct error err;
    assert_true(replay_tally_name(tally, STR("p"), REPLAY_NOW));
    assert_true(replay_tally_name(tally, STR("p"), REPLAY_BEFORE));
    assert_true(replay_tally_name(tally, STR("fresh"), REPLAY_NOW));
    assert_true(replay_tally_name(tally, STR("old"), REPLAY_BEFORE));
    for (int copy = 0; copy < 3; copy++) {
        assert_true(add(tally, REPLAY_NOW, "p", "e1", "r1", &err));
        assert_true(add(tally, REPLAY_NOW, "p", "e2", "r1", &err));
        assert_true(add(tally, REPLAY_NOW, "p", "e2", "r2", &err));
        assert_true(add(tally, REPLAY_BEFORE, "p", "e2", "r2", &err));
        assert_true(add(tally, REPLAY_BEFORE, "p", "e3", "r3", &err));
        assert_true(add(tally, REPLAY_NOW, "fresh", "e1", "r1", &err));
        assert_true(add(tally, REPLAY_BEFORE, "old", "e1", "r1", &err));
    }
    assert_true(replay_tally_result(tally, &arena, &r));
    assert_int_equal(r.policy_count, 3);
    assert_true(str_is(r.policies[0].name, "fresh") && r.policies[0].is_new);
    assert_int_equal(r.policies[0].matches, 1);
    assert_true(str_is(r.policies[1].name, "old") && r.policies[1].is_gone);
    assert_int_equal(r.policies[1].less, 1);
    const struct replay_policy *p = &r.policies[2];
    assert_true(!p->is_new && !p->is_gone);
    assert_int_equal(p->matches, 3);
    assert_int_equal(p->resources, 2);
    assert_int_equal(p->before, 2);
    assert_int_equal(p->more, 2); // e1 r1, e2 r1
    assert_int_equal(p->less, 1); // e3 r3
    assert_int_equal(r.row_count, 3);
    assert_int_equal(r.rows[2].matches, 3);
    assert_int_equal(r.rows[2].before, 2);
    replay_tally_destroy(tally);
}

static void test_tally__as_many_as_allowed_and_one_more_is_an_error(void **state)
{
    (void)state;
    struct replay_tally *tally = replay_tally_create(5000);
    struct error err = {0};
    assert_true(replay_tally_name(tally, STR("p"), REPLAY_NOW));
    for (int i = 0; i < 5000; i++) {
        char event[16];
        snprintf(event, sizeof event, "e%d", i);
        assert_true(add(tally, REPLAY_NOW, "p", event, "r", &err));
    }
    assert_true(add(tally, REPLAY_NOW, "p", "e17", "r", &err)); // a copy takes no room
    assert_false(add(tally, REPLAY_NOW, "p", "e5000", "r", &err));
    assert_string_equal(err.code, "Y0004");
    replay_tally_destroy(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tally__copies_of_an_event_count_once_a_side),
        cmocka_unit_test(test_tally__as_many_as_allowed_and_one_more_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
