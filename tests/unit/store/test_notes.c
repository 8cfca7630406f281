// SPDX-License-Identifier: Apache-2.0
/* Notes: set, found by key and by prefix, forgotten, over in time, and recorded where asked for. */
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

static void set(struct fixture *f, const char *key, const char *body, int64_t expires,
                const char *kind)
{
    struct store_note note = {str_from(key), str_from(body), expires};
    struct error err = {0};
    if (store_set_note(f->store, &note, str_from(kind), STR("{\"why\":1}"), &err) != STORE_OK)
        fail_msg("%s: %s", key, err.message);
}

static const char *body_of(struct fixture *f, const char *key)
{
    struct store_note note = {.key = str_from(key)};
    struct error err = {0};
    if (store_get_notes(f->store, &note, 1, &f->arena, &err) != STORE_OK)
        fail_msg("%s: %s", key, err.message);
    return arena_printf(&f->arena, "%.*s", STR_FMT(note.body));
}

static void test_notes__are_found_changed_and_forgotten(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(body_of(f, "a"), "");
    set(f, "a", "{\"n\":1}", 0, "");
    set(f, "b", "{\"n\":2}", 0, "");
    set(f, "a", "{\"n\":3}", 0, "");
    assert_string_equal(body_of(f, "a"), "{\"n\":3}");
    struct store_note many[] = {{.key = STR("b")}, {.key = STR("none")}, {.key = STR("a")}};
    struct error err;
    assert_int_equal(store_get_notes(f->store, many, 3, &f->arena, &err), STORE_OK);
    assert_true(str_is(many[0].body, "{\"n\":2}"));
    assert_int_equal(many[1].body.len, 0);
    assert_true(str_is(many[2].body, "{\"n\":3}"));
    set(f, "a", "", 0, "");
    assert_string_equal(body_of(f, "a"), "");
    set(f, "a", "", 0, ""); // once more: nothing to forget
}

static void test_notes__are_over_in_time(void **state)
{
    struct fixture *f = *state;
    set(f, "short", "{}", T0 + 1000, "");
    set(f, "long", "{}", 0, "");
    assert_string_equal(body_of(f, "short"), "{}");
    f->time.now += 1001;
    assert_string_equal(body_of(f, "short"), "");
    assert_string_equal(body_of(f, "long"), "{}");
    set(f, "other", "{}", 0, ""); // takes the ones that are over with it
    struct store_note *list;
    size_t count;
    struct error err;
    assert_int_equal(store_list_notes(f->store, STR(""), &f->arena, &list, &count, &err), STORE_OK);
    assert_int_equal(count, 2);
}

static void test_notes__are_listed_by_the_beginning_of_their_key(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"freeze/all", "freeze/1", "freezer", "grace/p/r", "freeze"};
    struct store_note *list;
    size_t count;
    struct error err;
    for (size_t i = 0; i < 5; i++)
        set(f, keys[i], "{}", 0, "");
    assert_int_equal(store_list_notes(f->store, STR("freeze/"), &f->arena, &list, &count, &err),
                     STORE_OK);
    assert_int_equal(count, 2);
    assert_true(str_is(list[0].key, "freeze/1"));
    assert_true(str_is(list[1].key, "freeze/all"));
}

static void test_notes__are_recorded_where_asked_for(void **state)
{
    struct fixture *f = *state;
    struct store_checkpoint before, after;
    struct store_leaf *leaves;
    size_t count;
    struct error err;
    assert_int_equal(store_checkpoint(f->store, &before, &err), STORE_OK);
    set(f, "a", "{}", 0, "");
    set(f, "freeze/all", "{}", 0, "freeze");
    assert_int_equal(store_flush(f->store, &err), STORE_OK);
    assert_int_equal(store_checkpoint(f->store, &after, &err), STORE_OK);
    assert_int_equal(after.size - before.size, 1);
    assert_int_equal(store_leaves(f->store, 0, before.size, 10, &f->arena, &leaves, &count, &err),
                     STORE_OK);
    assert_int_equal(count, 1);
    assert_true(str_find(leaves[0].text, STR("\"kind\":\"freeze\"")) != SIZE_MAX);
    assert_true(str_find(leaves[0].text, STR("{\"why\":1}")) != SIZE_MAX);
}

static void test_notes__what_cannot_be_a_note_is_refused(void **state)
{
    struct fixture *f = *state;
    char key[STORE_NOTE_KEY_BYTES + 1];
    struct error err;
    memset(key, 'k', sizeof key);
    struct store_note note = {{key, sizeof key}, STR("{}"), 0};
    assert_int_equal(store_set_note(f->store, &note, STR(""), STR(""), &err), STORE_ERROR);
    note.key.len--;
    assert_int_equal(store_set_note(f->store, &note, STR(""), STR(""), &err), STORE_OK);
    note.body = STR("[]");
    assert_int_equal(store_set_note(f->store, &note, STR(""), STR(""), &err), STORE_ERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    int status = backend_prepare();
    if (status)
        return status;
    const struct CMUnitTest tests[] = {
        TEST(test_notes__are_found_changed_and_forgotten),
        TEST(test_notes__are_over_in_time),
        TEST(test_notes__are_listed_by_the_beginning_of_their_key),
        TEST(test_notes__are_recorded_where_asked_for),
        TEST(test_notes__what_cannot_be_a_note_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
