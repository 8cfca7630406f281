// SPDX-License-Identifier: Apache-2.0
/* What is remembered between remediations: rest, freeze, grace, fights, exemptions. */
#include "world.h"

static void pass(struct world *w, int64_t ms)
{
    w->sim.wall_ms += ms;
    w->sim.steady_ms += ms;
}

/* Sends an event and runs it to its end, which is remediation `id`. */
static struct remediation story(struct world *w, int64_t id)
{
    send_event(w, 0);
    world_run(w);
    return world_get(w, id);
}

static void test_engine__what_was_taken_back_rests_until_its_state_changes(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    int64_t id;
    world_init(&w, 31, ENFORCE);
    assert_int_equal(story(&w, 1).state, STATE_HEALED);
    assert_true(engine_rollback(&w.engine, 1, STR("ann"), &id, &err));
    world_run(&w);
    assert_int_equal(world_get(&w, id).state, STATE_ROLLED_BACK);
    for (int64_t next = id + 1; next < id + 4; next++) {
        struct remediation r = story(&w, next);
        assert_int_equal(r.state, STATE_SKIPPED);
        assert_true(str_find(r.reason, STR("since r1 was taken back")) != SIZE_MAX);
        pass(&w, 86400000);
    }
    assert_false(sim_has_tag(&w.sim, 0, "cost-center"));
    sim_set_tags(&w.sim, 0, (const char *const[]){"team", "red"}, 1); // it changes
    assert_int_equal(story(&w, id + 4).state, STATE_HEALED);
    world_finish(&w);
}

static void test_engine__a_person_ends_the_rest(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    struct engine_cleared cleared;
    int64_t id;
    world_init(&w, 32, ENFORCE);
    assert_int_equal(story(&w, 1).state, STATE_HEALED);
    assert_true(engine_rollback(&w.engine, 1, STR("ann"), &id, &err));
    world_run(&w);
    assert_int_equal(story(&w, id + 1).state, STATE_SKIPPED);
    assert_true(engine_clear(&w.engine, 1, STR("ann"), STR("looked"), &cleared, &err));
    assert_true(cleared.rested);
    assert_false(cleared.was_frozen);
    assert_int_equal(story(&w, id + 2).state, STATE_HEALED);
    assert_true(engine_clear(&w.engine, 1, STR("ann"), STR("looked"), &cleared, &err));
    assert_false(cleared.rested);
    assert_false(engine_clear(&w.engine, 99, STR("ann"), STR(""), &cleared, &err));
    assert_string_equal(err.code, "E0005");
    world_finish(&w);
}

static void test_engine__a_freeze_holds_everything_or_one_account(void **state)
{
    (void)state;
    static const char *const accounts[] = {"", ACCOUNT, "999999999999"};
    for (size_t i = 0; i < 3; i++) {
        struct world w;
        struct error err;
        bool ours = i < 2;
        world_init(&w, 33, ENFORCE);
        assert_true(
            engine_freeze(&w.engine, str_from(accounts[i]), true, STR("ann"), STR("why"), &err));
        send_event(&w, 0);
        for (int k = 0; k < 50; k++)
            world_step(&w);
        assert_int_equal(world_get(&w, 1).state, ours ? STATE_HELD : STATE_HEALED);
        assert_true(sim_has_tag(&w.sim, 0, "cost-center") != ours);
        if (ours)
            assert_true(str_find(world_get(&w, 1).reason, STR("frozen by ann: why")) != SIZE_MAX);
        assert_true(
            engine_freeze(&w.engine, str_from(accounts[i]), false, STR("ann"), STR(""), &err));
        world_run(&w);
        assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
        world_finish(&w);
    }
}

/* Everything is decided and on disk: the freeze comes while the call is being made. */
static void freeze_before_sending(void *ctx, struct sim *sim, bool write, bool before)
{
    struct world *w = ctx;
    struct error err;
    (void)sim;
    if (write && before && w->events == 1) {
        w->events++; // once
        assert_true(engine_freeze(&w->engine, STR(ACCOUNT), true, STR("ann"), STR("why"), &err));
    }
}

static void test_engine__a_freeze_is_seen_in_front_of_every_call(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    world_init(&w, 34, ENFORCE);
    w.sim.on_call = freeze_before_sending;
    w.sim.on_call_ctx = &w;
    send_event(&w, 0);
    for (int i = 0; i < 100; i++)
        world_step(&w);
    assert_int_equal(w.events, 2); // it came to the call
    assert_false(sim_has_tag(&w.sim, 0, "cost-center"));
    assert_true(engine_freeze(&w.engine, STR(ACCOUNT), false, STR("ann"), STR(""), &err));
    world_run(&w);
    assert_true(sim_has_tag(&w.sim, 0, "cost-center"));
    world_finish(&w);
}

/* The grace of the fixture runs from the first sight; neither mending for a moment nor another
 * event starts it anew. */
static void test_engine__flapping_does_not_restart_the_grace(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 35, "{mode: enforce, grace: {wait: 2d}}");
    int64_t start = w.sim.wall_ms, day = 86400000;
    send_event(&w, 0);
    for (int i = 0; i < 10 && world_get(&w, 1).state != STATE_HELD; i++)
        world_step(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HELD);
    sim_set_tags(&w.sim, 0, (const char *const[]){"cost-center", "y"}, 1); // mended ...
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_COMPLIANT);
    pass(&w, 3600000);
    sim_set_tags(&w.sim, 0, NULL, 0); // ... and broken again
    assert_int_equal(story(&w, 2).state, STATE_HEALED);
    assert_in_range(w.sim.wall_ms - start, 2 * day, 2 * day + 3 * 3600000);
    pass(&w, 6 * day); // long forgotten: a new grace
    sim_set_tags(&w.sim, 0, NULL, 0);
    start = w.sim.wall_ms;
    assert_int_equal(story(&w, 3).state, STATE_HEALED);
    assert_true(w.sim.wall_ms - start >= 2 * day);
    world_finish(&w);
}

static void test_engine__a_fight_over_a_harmless_thing_ends_with_a_person(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 36, ENFORCE);
    for (int64_t id = 1; id <= 4; id++) {
        sim_set_tags(&w.sim, 0, NULL, 0);
        send_event_by(&w, 0, "s3:DeleteBucketTagging", "arn:aws:iam::123456789012:user/terraform");
        world_run(&w);
        struct remediation r = world_get(&w, id);
        assert_int_equal(r.state, id < 4 ? STATE_HEALED : STATE_NEEDS_PERSON);
        if (id == 4)
            assert_true(str_find(r.reason, STR("user/terraform")) != SIZE_MAX);
        pass(&w, 3600000);
    }
    pass(&w, 86400000); // a day later it is tried again
    assert_int_equal(story(&w, 5).state, STATE_HEALED);
    world_finish(&w);
}

#define BY_TAG                                                                                     \
    "{mode: enforce, exempt: [{when: \"tagging.TagSet.exists(t, t.Key == 'sandbox')\", owner: o, " \
    "reason: r, until: 2040-01-01, by: ['arn:aws:iam::*:user/ann']}]}"
#define ANN "arn:aws:iam::123456789012:user/ann"
#define MALLORY "arn:aws:iam::123456789012:user/mallory"

/* Who set the tags is remembered, with what they were. */
static void test_engine__an_exemption_by_tag_is_remembered_until_the_tags_change(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 37, BY_TAG);
    sim_set_tags(&w.sim, 0, (const char *const[]){"sandbox", "x"}, 1);
    send_event_by(&w, 0, "s3:PutBucketTagging", ANN);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_SKIPPED);
    send_event_by(&w, 0, "scan", ""); // later, by a scan
    world_run(&w);
    assert_int_equal(world_get(&w, 2).state, STATE_SKIPPED);
    send_event_by(&w, 0, "s3:PutBucketAcl", MALLORY); // sets no tags
    world_run(&w);
    assert_int_equal(world_get(&w, 3).state, STATE_SKIPPED);
    sim_set_tags(&w.sim, 0, (const char *const[]){"sandbox", "y"}, 1); // by whom, nobody knows
    send_event_by(&w, 0, "scan", "");
    world_run(&w);
    assert_int_equal(world_get(&w, 4).state, STATE_HEALED);
    world_finish(&w);
}

static void test_engine__an_attackers_tag_exempts_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 38, BY_TAG);
    sim_set_tags(&w.sim, 0, (const char *const[]){"sandbox", "x"}, 1);
    send_event_by(&w, 0, "s3:PutBucketTagging", MALLORY);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_HEALED);
    sim_set_tags(&w.sim, 1, (const char *const[]){"sandbox", "x"}, 1);
    send_event_by(&w, 1, "scan", ""); // nobody knows
    world_run(&w);
    assert_int_equal(world_get(&w, 2).state, STATE_HEALED);
    world_finish(&w);
}

#define BY_NAME                                                                                    \
    "{mode: enforce, exempt: [{when: \"resource.id.startsWith('bucket')\", owner: o, reason: r, "  \
    "until: 2040-01-01, by: ['arn:aws:iam::*:user/ann']}]}"

/* Who made a resource is remembered from the event itself, whatever came after it. */
static void test_engine__an_exemption_by_name_counts_for_what_a_listed_one_made(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 39, BY_NAME);
    send_event_by(&w, 0, "s3:CreateBucket", ANN);
    send_event_by(&w, 0, "s3:PutBucketAcl", MALLORY);
    world_run(&w);
    assert_int_equal(world_get(&w, 1).state, STATE_SKIPPED);
    send_event_by(&w, 1, "s3:CreateBucket", MALLORY);
    send_event_by(&w, 1, "s3:PutBucketTagging", ANN); // makes nothing
    world_run(&w);
    assert_int_equal(world_get(&w, 2).state, STATE_HEALED);
    send_event_by(&w, 2, "scan", ""); // nobody knows
    world_run(&w);
    assert_int_equal(world_get(&w, 3).state, STATE_HEALED);
    for (int month = 0; month < 5; month++) { // as long as it is seen, it is known
        pass(&w, INT64_C(30) * 86400000);
        send_event_by(&w, 0, "scan", "");
        world_run(&w);
        assert_int_equal(world_get(&w, 4 + month).state, STATE_SKIPPED);
    }
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine__what_was_taken_back_rests_until_its_state_changes),
        cmocka_unit_test(test_engine__a_person_ends_the_rest),
        cmocka_unit_test(test_engine__a_freeze_holds_everything_or_one_account),
        cmocka_unit_test(test_engine__a_freeze_is_seen_in_front_of_every_call),
        cmocka_unit_test(test_engine__flapping_does_not_restart_the_grace),
        cmocka_unit_test(test_engine__a_fight_over_a_harmless_thing_ends_with_a_person),
        cmocka_unit_test(test_engine__an_exemption_by_tag_is_remembered_until_the_tags_change),
        cmocka_unit_test(test_engine__an_attackers_tag_exempts_nothing),
        cmocka_unit_test(test_engine__an_exemption_by_name_counts_for_what_a_listed_one_made),
    };
    return world_run_tests(tests, sizeof tests / sizeof *tests);
}
