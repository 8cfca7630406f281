// SPDX-License-Identifier: Apache-2.0
/* The outbox: what is told goes with its transition or not at all, one sender a channel, threads in
 * order, giving up visible. */
#include "store_help.h"

struct fixture {
    struct test_time time;
    struct store *store;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    test_time_init(&f->time);
    f->store = open_fresh(&f->time.clock);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    arena_finish(&f->arena);
    free(f);
    return 0;
}

static struct store_notice notice(const char *channel, const char *thread, const char *body)
{
    return (struct store_notice){str_from(channel), STR("tell"), str_from(thread), str_from(body),
                                 0};
}

static void tell(struct fixture *f, struct store_notice n)
{
    struct error err = {0};
    assert_int_equal(store_tell(f->store, 0, &n, 1, &err), STORE_OK);
}

static struct store_sending take(struct fixture *f)
{
    struct store_sending sending;
    struct error err = {0};
    enum store_result got = store_take_notices(f->store, LEASE_MS, &f->arena, &sending, &err);
    if (got != STORE_OK)
        fail_msg("take gave %d %s", got, err.message);
    return sending;
}

static enum store_result give(struct fixture *f, const struct store_sending *sending,
                              int64_t free_ms, enum notice_state what)
{
    struct store_sent sent[STORE_SENDING_MAX];
    struct error err = {0};
    for (size_t i = 0; i < sending->count; i++)
        sent[i] = (struct store_sent){.id = sending->rows[i].id,
                                      .state = what,
                                      .due_ms = f->time.now + 5000,
                                      .failed = what != NOTICE_SENT,
                                      .reference = what == NOTICE_SENT ? STR("ts1") : STR(""),
                                      .error = what == NOTICE_SENT ? STR("") : STR("503")};
    return store_give_notices(f->store, sending, free_ms, sent, sending->count, &err);
}

static size_t in_state(struct fixture *f, int which, struct store_notice_row **ret)
{
    size_t count = 0;
    struct error err = {0};
    struct store_notice_filter filter = {.state = which, .limit = 100};
    assert_int_equal(store_notices(f->store, &filter, &f->arena, ret, &count, &err), STORE_OK);
    return count;
}

static void test_outbox__told_with_the_transition(void **state)
{
    struct fixture *f = *state;
    struct store_notice_row *rows;
    struct store_notice n = notice("ops", "", "{\"what\":\"healed\"}");
    assert_true(accept_one(f->store, "k1", "p", BUCKET("a"), T0));
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_READING);
    t.notices = &n;
    t.notice_count = 1;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_int_equal(in_state(f, NOTICE_WAITS, &rows), 1);
    assert_int_equal(rows[0].remediation, claim.id);
    assert_string_equal(str_copy(&f->arena, rows[0].notice.body).ptr, "{\"what\":\"healed\"}");
}

static void test_outbox__not_told_when_the_transition_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_notice_row *rows;
    struct store_notice n = notice("ops", "", "{\"what\":\"healed\"}");
    struct error err;
    size_t applied;
    assert_true(accept_one(f->store, "k1", "p", BUCKET("a"), T0));
    struct store_claim claim = claim_one(f->store);
    struct store_transition t[2] = {move_to(f->store, claim, STATE_READING),
                                    move_to(f->store, claim, STATE_HEALED)};
    t[0].version--; // stale
    t[0].notices = &n;
    t[0].notice_count = 1;
    assert_int_equal(go(f->store, &t[0]), STORE_CONFLICT);
    assert_int_equal(in_state(f, -1, &rows), 0);
    /* Of several in one transaction only what was applied is told. */
    t[0].version++;
    t[1].version++;
    t[1].notices = &n;
    t[1].notice_count = 1;
    t[1].approval_hash = STR("aa"); // there is none
    assert_int_equal(store_advance_all(f->store, t, 2, true, &applied, &err), STORE_VOID);
    assert_int_equal(applied, 1);
    assert_int_equal(in_state(f, -1, &rows), 1);
}

static void test_outbox__a_channel_is_one_senders(void **state)
{
    struct fixture *f = *state;
    tell(f, notice("ops", "", "{}"));
    tell(f, notice("ops", "", "{}"));
    f->time.now++;
    tell(f, notice("dev", "", "{}"));
    struct store_sending first = take(f), second = take(f), none = take(f);
    assert_true(str_is(first.channel, "ops"));
    assert_int_equal(first.count, 2);
    assert_true(str_is(second.channel, "dev"));
    assert_int_equal(none.channel.len, 0);
    assert_int_equal(none.next_due_ms, T0 + 1 + LEASE_MS);
    assert_int_equal(give(f, &first, f->time.now + 1000, NOTICE_SENT), STORE_OK);
    assert_int_equal(give(f, &second, f->time.now, NOTICE_SENT), STORE_OK);
    assert_int_equal(take(f).next_due_ms, INT64_MAX);
}

static void test_outbox__who_died_is_followed_and_cannot_give_back(void **state)
{
    struct fixture *f = *state;
    tell(f, notice("ops", "", "{}"));
    struct store_sending dead = take(f);
    f->time.now += LEASE_MS;
    struct store_sending next = take(f);
    assert_int_equal(next.count, 1);
    assert_int_equal(next.rows[0].id, dead.rows[0].id);
    assert_int_equal(give(f, &dead, f->time.now, NOTICE_SENT), STORE_CONFLICT);
    assert_int_equal(give(f, &next, f->time.now, NOTICE_SENT), STORE_OK);
}

static void test_outbox__rests_until_free(void **state)
{
    struct fixture *f = *state;
    tell(f, notice("ops", "", "{}"));
    struct store_sending s = take(f);
    assert_int_equal(give(f, &s, f->time.now + 30000, NOTICE_SENT), STORE_OK);
    tell(f, notice("ops", "", "{}"));
    struct store_sending none = take(f);
    assert_int_equal(none.channel.len, 0);
    assert_int_equal(none.next_due_ms, T0 + 30000);
    f->time.now += 30000;
    assert_int_equal(take(f).count, 1);
}

static void test_outbox__a_thread_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    tell(f, notice("ops", "r1", "{\"n\":1}"));
    struct store_sending s = take(f);
    assert_int_equal(give(f, &s, f->time.now, NOTICE_WAITS), STORE_OK);
    tell(f, notice("ops", "", "{\"n\":2}"));
    s = take(f); // the failed one waits, the other does not
    assert_int_equal(s.count, 1);
    assert_true(str_is(s.rows[0].notice.body, "{\"n\":2}"));
    assert_int_equal(give(f, &s, f->time.now, NOTICE_SENT), STORE_OK);
    tell(f, notice("ops", "r1", "{\"n\":3}")); // brings the one before it along
    s = take(f);
    assert_int_equal(s.count, 2);
    assert_true(str_is(s.rows[0].notice.body, "{\"n\":1}"));
    struct store_sent failed = {
        .id = s.rows[0].id, .state = NOTICE_WAITS, .due_ms = T0 + 60000, .failed = true};
    struct error err;
    assert_int_equal(store_give_notices(f->store, &s, T0, &failed, 1, &err), STORE_OK);
    s = take(f); // and waits behind it
    assert_int_equal(s.channel.len, 0);
    assert_int_equal(s.next_due_ms, T0 + 60000);
}

static void test_outbox__the_thread_has_its_reference(void **state)
{
    struct fixture *f = *state;
    tell(f, notice("ops", "r1", "{}"));
    struct store_sending s = take(f);
    assert_int_equal(give(f, &s, f->time.now, NOTICE_SENT), STORE_OK);
    tell(f, notice("ops", "r1", "{}"));
    tell(f, notice("ops", "r2", "{}"));
    s = take(f);
    assert_int_equal(s.count, 2);
    assert_true(str_is(s.rows[0].reference, "ts1"));
    assert_int_equal(s.rows[1].reference.len, 0);
}

static void test_outbox__giving_up_is_seen_and_recorded(void **state)
{
    struct fixture *f = *state;
    struct store_notice_row *rows;
    tell(f, notice("ops", "", "{}"));
    int64_t before = log_size(f->store);
    struct store_sending s = take(f);
    assert_int_equal(give(f, &s, f->time.now, NOTICE_GIVEN_UP), STORE_OK);
    assert_int_equal(in_state(f, NOTICE_GIVEN_UP, &rows), 1);
    assert_int_equal(rows[0].attempts, 1);
    assert_true(str_is(rows[0].error, "503"));
    assert_int_equal(log_size(f->store), before + 1);
    f->time.now += 3600000;
    assert_int_equal(take(f).channel.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_outbox__told_with_the_transition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outbox__not_told_when_the_transition_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_outbox__a_channel_is_one_senders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outbox__who_died_is_followed_and_cannot_give_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_outbox__rests_until_free, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outbox__a_thread_keeps_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outbox__the_thread_has_its_reference, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outbox__giving_up_is_seen_and_recorded, setup,
                                        teardown),
    };
    int cannot = backend_prepare();
    return cannot ? cannot : cmocka_run_group_tests(tests, NULL, NULL);
}
