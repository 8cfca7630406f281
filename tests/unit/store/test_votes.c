// SPDX-License-Identifier: Apache-2.0
/* Questions and votes: one vote a person, first decision wins, and what makes a yes void. */
#include "store_help.h"

struct fixture {
    struct test_time time;
    struct store *store;
    struct arena arena;
    struct store_claim claim;
    char folder[200], path[256];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    test_time_init(&f->time);
    test_folder(f->folder, sizeof f->folder);
    snprintf(f->path, sizeof f->path, "%s/s.db", f->folder);
    f->store = open_or_fail(backend_fresh(f->path), &f->time.clock);
    backend_use_own_clock();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    arena_finish(&f->arena);
    test_folder_remove(f->folder);
    free(f);
    return 0;
}

/* A question for plan "abc" by the name of `ask`. */
static void ask(struct fixture *f, const char *name, int need)
{
    struct store_transition t = move_to(f->store, f->claim, STATE_ASKING);
    t.ask_hash = STR("abc");
    t.ask_id = str_from(name);
    t.ask_need = need;
    t.ask_via = STR("[\"ops\"]");
    t.ask_expires_ms = t.due_ms = f->time.now + 60000;
    assert_int_equal(go(f->store, &t), STORE_OK);
}

static void begin(struct fixture *f, int need)
{
    assert_true(accept_one(f->store, "k", "p", BUCKET("a"), T0));
    f->claim = claim_one(f->store);
    must_go(f->store, f->claim, STATE_READING);
    ask(f, "q1", need);
}

static enum store_result say(struct fixture *f, const char *name, const char *person, bool yes,
                             bool *ret_decided)
{
    struct error err = {0};
    struct store_ballot ballot = {.id = f->claim.id,
                                  .plan_hash = STR("abc"),
                                  .ask = str_from(name),
                                  .yes = yes,
                                  .person = str_from(person),
                                  .identity = STR("slack:U1"),
                                  .channel = STR("ops"),
                                  .reason = STR("because")};
    return store_vote(f->store, &ballot, ret_decided, &err);
}

static struct store_approval approval(struct fixture *f)
{
    struct store_approval a;
    struct error err = {0};
    assert_int_equal(store_approval(f->store, f->claim.id, &f->arena, &a, &err), STORE_OK);
    return a;
}

/* May the plan be carried out? */
static enum store_result intend(struct fixture *f)
{
    struct store_transition t = move_to(f->store, f->claim, STATE_INTENT);
    t.approval_hash = STR("abc");
    t.lock = true;
    return go(f->store, &t);
}

static void test_votes__a_question_says_where_and_of_how_many(void **state)
{
    struct fixture *f = *state;
    begin(f, 2);
    struct store_approval a = approval(f);
    assert_true(str_is(a.ask, "q1") && a.need == 2 && !a.decided && !a.consumed);
    assert_int_equal(a.via.len, 1);
    assert_int_equal(a.votes.len, 0);
}

static void test_votes__two_different_people(void **state)
{
    struct fixture *f = *state;
    bool decided = true;
    begin(f, 2);
    assert_int_equal(say(f, "q1", "ann", true, &decided), STORE_OK);
    assert_false(decided);
    assert_int_equal(say(f, "q1", "ann", true, &decided), STORE_CONFLICT);
    assert_int_equal(say(f, "q1", "ann", false, &decided), STORE_CONFLICT);
    assert_int_equal(intend(f), STORE_VOID);
    assert_int_equal(say(f, "q1", "bob", true, &decided), STORE_OK);
    assert_true(decided);
    struct store_approval a = approval(f);
    assert_true(a.decided && a.yes && str_is(a.by, "ann, bob"));
    assert_int_equal(a.votes.len, 2);
    assert_true(str_is(value_path_str(a.votes.items[1], "identity"), "slack:U1"));
    assert_int_equal(intend(f), STORE_OK);
    assert_true(approval(f).consumed);
}

static void test_votes__the_first_no_decides(void **state)
{
    struct fixture *f = *state;
    bool decided = false;
    begin(f, 2);
    assert_int_equal(say(f, "q1", "ann", true, &decided), STORE_OK);
    assert_int_equal(say(f, "q1", "bob", false, &decided), STORE_OK);
    assert_true(decided);
    assert_int_equal(say(f, "q1", "eve", true, &decided), STORE_CONFLICT);
    assert_int_equal(intend(f), STORE_VOID);
}

static void test_votes__another_question_is_not_answered(void **state)
{
    struct fixture *f = *state;
    begin(f, 1);
    assert_int_equal(say(f, "q0", "ann", true, NULL), STORE_VOID);
    assert_int_equal(say(f, "q1", "ann", true, NULL), STORE_OK);
}

static void test_votes__void_allows_nothing_and_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    begin(f, 1);
    assert_int_equal(say(f, "q1", "ann", true, NULL), STORE_OK);
    int64_t before = log_size(f->store);
    assert_int_equal(store_void_approval(f->store, f->claim.id, STR("q9"), STR("why"), &err),
                     STORE_ABSENT);
    assert_int_equal(store_void_approval(f->store, f->claim.id, STR("q1"), STR("why"), &err),
                     STORE_OK);
    assert_int_equal(log_size(f->store), before + 1);
    assert_int_equal(intend(f), STORE_VOID);
    ask(f, "q2", 1); // the same plan
    assert_false(approval(f).decided);
    assert_int_equal(say(f, "q1", "ann", true, NULL), STORE_VOID);
    assert_int_equal(intend(f), STORE_VOID);
    assert_int_equal(say(f, "q2", "ann", true, NULL), STORE_OK);
    assert_int_equal(intend(f), STORE_OK);
}

static size_t see(struct fixture *f, const char *hash)
{
    struct store_policy_seen seen[] = {{STR("p"), str_from(hash)}, {STR("other"), STR("1")}};
    size_t gone = 99;
    struct error err = {0};
    assert_int_equal(store_see_policies(f->store, seen, 2, &gone, &err), STORE_OK);
    return gone;
}

static void test_votes__a_policy_that_changed_and_came_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(see(f, "A"), 0);
    begin(f, 1);
    assert_int_equal(say(f, "q1", "ann", true, NULL), STORE_OK);
    assert_int_equal(see(f, "A"), 0); // a restart
    assert_false(approval(f).consumed);
    assert_int_equal(see(f, "B"), 1);
    assert_int_equal(see(f, "A"), 0);
    assert_true(approval(f).consumed);
    assert_int_equal(intend(f), STORE_VOID);
}

static void copy_file(const char *from, const char *to)
{
    char buffer[65536];
    size_t got;
    FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");
    assert_true(in && out);
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    fclose(in);
    fclose(out);
}

static void test_votes__a_restored_copy_approves_nothing(void **state)
{
    struct fixture *f = *state;
    char copy[300];
    if (backend_is_postgres()) { // another table, cluster or timeline is another place
        begin(f, 1);
        assert_int_equal(say(f, "q1", "ann", true, NULL), STORE_OK);
        backend_sql("UPDATE rectify.approval SET place = 'elsewhere'");
        assert_true(approval(f).consumed);
        assert_int_equal(intend(f), STORE_VOID);
        return;
    }
    snprintf(copy, sizeof copy, "%s/copy", f->folder);
    begin(f, 1);
    assert_int_equal(say(f, "q1", "ann", true, NULL), STORE_OK);
    store_close(f->store);
    copy_file(f->path, copy);
    f->store = open_or_fail(f->path, &f->time.clock);
    assert_false(approval(f).consumed); // nothing was restored
    f->claim = claim_one(f->store);
    assert_int_equal(intend(f), STORE_OK);
    store_close(f->store);
    copy_file(copy, f->path);
    unlink(copy);
    f->store = open_or_fail(f->path, &f->time.clock);
    assert_true(approval(f).consumed);
    assert_int_equal(say(f, "q1", "bob", true, NULL), STORE_CONFLICT);
    f->claim = claim_one(f->store);
    assert_int_equal(intend(f), STORE_VOID);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_votes__a_question_says_where_and_of_how_many),
        EACH(test_votes__two_different_people),
        EACH(test_votes__the_first_no_decides),
        EACH(test_votes__another_question_is_not_answered),
        EACH(test_votes__void_allows_nothing_and_is_asked_again),
        EACH(test_votes__a_policy_that_changed_and_came_back),
        EACH(test_votes__a_restored_copy_approves_nothing),
    };
    int cannot = backend_prepare();
    return cannot ? cannot : cmocka_run_group_tests(tests, NULL, NULL);
}
