// SPDX-License-Identifier: Apache-2.0
#include "cel_test.h"

#include <pthread.h>

static struct cel_type *tagging_type(struct arena *arena)
{
    struct cel_type *tag = cel_type_record(arena, STR("Tag"));
    struct cel_type *tagging = cel_type_record(arena, STR("GetBucketTaggingOutput"));
    static struct cel_field tag_fields[2], fields[1];
    tag_fields[0] = (struct cel_field){STR("Key"), cel_type_of(VALUE_STRING)};
    tag_fields[1] = (struct cel_field){STR("Value"), cel_type_of(VALUE_STRING)};
    cel_type_record_fields(tag, tag_fields, 2);
    fields[0] = (struct cel_field){STR("TagSet"), cel_type_list(arena, tag)};
    cel_type_record_fields(tagging, fields, 1);
    return tagging;
}

static void test_program__a_misspelt_field_is_told_with_its_neighbour(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_bind(&f, "tagging", tagging_type(&f.arena), value_null());
    fixture_expect(&f, "tagging.TagSets.size()", "?C0103 1:8 undefined field 'TagSets'");
    assert_string_equal(f.errors.items[0]->hint, "did you mean `TagSet`?");
    fixture_expect(&f, "tagging.TagSet.exists(t, t.key == 'a')", "?C0103 1:27");
    assert_string_equal(f.errors.items[0]->hint, "did you mean `Key`?");
    fixture_expect(&f, "taging.TagSet.size()", "?C0101 1:1");
    assert_string_equal(f.errors.items[0]->hint, "did you mean `tagging`?");
    fixture_expect(&f, "tagging.TagSet.sise()", "?C0101 1:20");
    assert_string_equal(f.errors.items[0]->hint, "did you mean `size`?");
    fixture_expect(&f, "tagging.TagSet[0].Key + 1", "?C0102 1:23");
    assert_string_equal(f.errors.items[0]->hint, "convert the right side: string(...)");
    fixture_end(&f);
}

static const struct cel_type *node_field(const void *ctx, struct str name)
{
    return str_is(name, "next") ? ctx : NULL;
}

static struct str node_name(const void *ctx, size_t position)
{
    (void)ctx;
    return position == 0 ? STR("next") : (struct str){0};
}

static void test_program__records_may_contain_themselves(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    struct cel_type *node = cel_type_record(&f.arena, STR("Node"));
    cel_type_record_lookup(node, node_field, node_name, node);
    fixture_bind(&f, "n", node, fixture_json(&f, "{\"next\": {\"next\": {}}}"));
    fixture_expect(&f, "has(n.next.next) && !has(n.next.next.next)", "true");
    fixture_expect(&f, "n.next.nxt", "?C0103");
    assert_string_equal(f.errors.items[0]->hint, "did you mean `next`?");
    assert_string_equal(cel_type_text(&f.arena, node), "Node");
    fixture_end(&f);
}

static void test_program__several_mistakes_in_the_order_of_their_places(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    assert_null(fixture_compile(&f, "a + 1 < 'x' ||\n  b.c(d)"));
    assert_int_equal(f.errors.count, 5);
    static const unsigned places[5][2] = {{1, 1}, {1, 7}, {2, 3}, {2, 6}, {2, 7}};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f.errors.items[i]->line, places[i][0]);
        assert_int_equal(f.errors.items[i]->column, places[i][1]);
    }
    struct buf out = {.arena = &f.arena};
    cel_error_print(&out, f.errors.items[2]);
    assert_string_equal(buf_str(&out).ptr,
                        "ERROR: <input>:2:3: undeclared reference to 'b' (in container '')\n"
                        " |   b.c(d)\n | ..^\n");
    fixture_end(&f);
}

/* A block scalar whose lines are indented by four in the file. */
static size_t indented(const void *ctx, size_t offset)
{
    const char *source = ctx;
    size_t lines = 1;
    for (size_t i = 0; i < offset; i++)
        lines += source[i] == '\n';
    return strlen("violation: |\n") + offset + 4 * lines;
}

static void test_program__errors_stand_in_the_users_file(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    static const char source[] = "1 == 1 &&\nr.gone";
    struct cel_origin origin = {"policies/p.yaml", STR("violation: |\n    1 == 1 &&\n    r.gone\n"),
                                indented, source};
    fixture_bind(&f, "r", cel_type_dyn(), fixture_json(&f, "{\"gole\": 1}"));
    const struct cel_program *program =
        cel_compile(f.env, &f.arena, str_from(source), NULL, &origin, &f.errors);
    struct value v;
    assert_non_null(program);
    assert_false(cel_eval(program, f.slots, NULL, &f.arena, &v, &f.err));
    assert_string_equal(f.err.file, "policies/p.yaml");
    assert_int_equal(f.err.line, 3);
    assert_int_equal(f.err.column, 6);
    assert_string_equal(f.err.source_line, "    r.gone");
    assert_string_equal(f.err.hint, "did you mean `gole`?");
    fixture_end(&f);
}

static void test_program__paths_end_at_the_first_dynamic_step(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    unsigned a = fixture_bind(&f, "a", cel_type_dyn(), value_null());
    unsigned b = fixture_bind(&f, "b", cel_type_dyn(), value_null());
    unsigned c = fixture_bind(&f, "c", cel_type_dyn(), value_null());
    const struct cel_program *program = fixture_compile(
        &f,
        "a.x.y.exists(t, t.k == b['p'].q) && has(a.z) && a.x.y[b.i].w == 1 && a.x.y.size() > 0");
    assert_non_null(program);
    size_t count;
    const struct cel_path *paths = cel_program_paths(program, &count);
    struct buf out = {.arena = &f.arena};
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "%c", paths[i].slot == a ? 'a' : paths[i].slot == b ? 'b' : 'c');
        for (size_t k = 0; k < paths[i].count; k++)
            buf_printf(&out, ".%.*s", STR_FMT(paths[i].fields[k]));
        buf_add_byte(&out, ' ');
    }
    assert_string_equal(buf_str(&out).ptr, "a.x.y b.p.q a.z b.i ");
    assert_true(cel_program_uses(program, a) && cel_program_uses(program, b));
    assert_false(cel_program_uses(program, c));
    assert_true(cel_program_cost(program, 1000) > cel_program_cost(program, 10));
    fixture_end(&f);
}

static void test_program__constants_are_folded(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    const struct cel_program *program = fixture_compile(&f, "size('ab') + 3 in [5, 6] ? 'y' : 'n'");
    assert_non_null(program);
    const struct value *constant = cel_program_constant(program);
    assert_non_null(constant);
    assert_true(str_is(value_str(*constant), "y"));
    program = fixture_compile(&f, "1 / 0");
    assert_non_null(program);
    assert_null(cel_program_constant(program));
    fixture_end(&f);
}

static void test_program__the_result_must_have_the_wanted_type(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_bind(&f, "r", cel_type_dyn(), value_null());
    assert_null(
        cel_compile(f.env, &f.arena, STR("1 + 1"), cel_type_of(VALUE_BOOL), NULL, &f.errors));
    assert_string_equal(f.errors.items[0]->message,
                        "the expression must be of type 'bool' but is 'int'");
    assert_non_null(
        cel_compile(f.env, &f.arena, STR("r.x"), cel_type_of(VALUE_BOOL), NULL, &f.errors));
    fixture_end(&f);
}

static void test_program__children_of_an_environment(void **state)
{
    (void)state;
    struct fixture f;
    struct error err;
    unsigned slot;
    fixture_begin(&f);
    assert_int_equal(fixture_bind(&f, "a", cel_type_dyn(), value_int(1)), 0);
    struct cel_env *child = cel_env_create(&f.arena, f.env);
    assert_true(cel_env_add_variable(child, STR("b"), cel_type_of(VALUE_INT), &slot, &err));
    assert_int_equal(slot, 1);
    assert_true(cel_env_add_variable(child, STR("a"), cel_type_of(VALUE_STRING), &slot, &err));
    assert_int_equal(slot, 2);
    assert_int_equal(cel_env_slots(child), 3);
    assert_true(cel_env_find(child, STR("a"), &slot) && slot == 2);
    assert_false(cel_env_find(f.env, STR("b"), &slot));
    assert_false(cel_env_add_variable(child, STR("b"), cel_type_dyn(), &slot, &err));
    assert_string_equal(err.code, "C0110");
    assert_false(cel_env_add_variable(child, STR("1b"), cel_type_dyn(), &slot, &err));
    struct value slots[3] = {value_int(1), value_int(2), value_cstr("x")}, v;
    const struct cel_program *program =
        cel_compile(child, &f.arena, STR("a + string(b)"), NULL, NULL, &f.errors);
    assert_non_null(program);
    assert_true(cel_eval(program, slots, NULL, &f.arena, &v, &err));
    assert_true(str_is(value_str(v), "x2"));
    fixture_end(&f);
}

static void *evaluate_often(void *arg)
{
    const struct cel_program *program = arg;
    size_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        struct arena arena = {0};
        struct value slot = value_int(i), v;
        struct error err;
        bool ok = cel_eval(program, &slot, NULL, &arena, &v, &err);
        wrong += !ok || v.len != (uint32_t)(i % 5);
        arena_finish(&arena);
    }
    return (void *)wrong;
}

static void in_threads(const char *expression)
{
    struct fixture f;
    pthread_t threads[4];
    fixture_begin(&f);
    fixture_bind(&f, "n", cel_type_of(VALUE_INT), value_null());
    const struct cel_program *program = fixture_compile(&f, expression);
    assert_non_null(program);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, evaluate_often, (void *)(uintptr_t)program), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    cel_program_finish(program);
    fixture_end(&f);
}

static void test_program__threads_share_a_program(void **state)
{
    (void)state;
    in_threads("lists.range(n % 5).map(i, 'x' + string(i)).filter(s, s.matches('x[0-9]'))");
}

/* More patterns than a program keeps, met by all threads at once. */
static void test_program__threads_share_patterns_known_at_run_time(void **state)
{
    (void)state;
    in_threads(
        "lists.range(n % 5).filter(i, ('x' + string(n % 40)).matches('^x' + string(n % 40) + "
        "'$') && regex.extract('y7', '[y' + string(n % 40) + '].').hasValue())");
}

static void test_program__trace_tells_each_part(void **state)
{
    (void)state;
    struct fixture f;
    struct value v;
    struct cel_trace trace;
    fixture_begin(&f);
    fixture_bind(&f, "r", cel_type_dyn(),
                 fixture_json(&f, "{\"tags\": [{\"Key\": \"a\"}, {}], \"n\": 1}"));
    const struct cel_program *program =
        fixture_compile(&f, "r.n == 2 && r.n < 5 ||\n !r.tags.all(t, t.Key == 'a')");
    assert_non_null(program);
    assert_false(cel_eval_trace(program, f.slots, NULL, &f.arena, &trace, &v, &f.err));
    assert_string_equal(f.err.code, "C0202");
    struct buf out = {.arena = &f.arena};
    cel_trace_print(&out, &trace);
    assert_string_equal(
        buf_str(&out).ptr,
        "r.n == 2 && r.n < 5 || !r.tags.all(t, t.Key == 'a')  ! no such key: \"Key\"\n"
        "├─ r.n == 2 && r.n < 5  = false\n"
        "│  ├─ r.n == 2  = false\n"
        "│  │  └─ r.n  = 1\n"
        "│  │     └─ r  = {\"tags\": [{\"Key\": \"a\"}, {}], \"n\": 1}\n"
        "│  └─ r.n < 5  (not evaluated)\n"
        "└─ !r.tags.all(t, t.Key == 'a')  ! no such key: \"Key\"\n"
        "   └─ r.tags.all(t, t.Key == 'a')  ! no such key: \"Key\"\n"
        "      ├─ r.tags  = [{\"Key\": \"a\"}, {}]\n"
        "      │  └─ r  = {\"tags\": [{\"Key\": \"a\"}, {}], \"n\": 1}\n"
        "      ├─ t  = {\"Key\": \"a\"}\n"
        "      │  └─ t.Key == 'a'  = true\n"
        "      │     └─ t.Key  = \"a\"\n"
        "      │        └─ t  = {\"Key\": \"a\"}\n"
        "      └─ t  = {}\n"
        "         └─ t.Key == 'a'  ! no such key: \"Key\"\n"
        "            └─ t.Key  ! no such key: \"Key\"\n"
        "               └─ t  = {}\n");
    fixture_end(&f);
}

static void test_program__values_become_plain_data(void **state)
{
    (void)state;
    struct fixture f;
    struct value v, plain;
    fixture_begin(&f);
    const struct cel_program *program = fixture_compile(
        &f, "{'o': optional.of([ip('10.0.0.1')]), 'n': optional.none(), 't': int, 'k': [1]}");
    assert_non_null(program);
    assert_true(cel_eval(program, f.slots, NULL, &f.arena, &v, &f.err));
    assert_true(cel_value_plain(&f.arena, v, &plain));
    struct buf out = {.arena = &f.arena};
    json_write(&out, plain, JSON_COMPACT);
    assert_string_equal(buf_str(&out).ptr,
                        "{\"o\":[\"10.0.0.1\"],\"n\":null,\"t\":\"int\",\"k\":[1]}");
    const struct value *kept = value_get(v, STR("k")), *same = value_get(plain, STR("k"));
    assert_ptr_equal(kept->items, same->items);
    fixture_end(&f);
}

static void test_program__every_code_is_told_once(void **state)
{
    (void)state;
    size_t count;
    const struct cel_error_code *codes = cel_error_codes(&count);
    assert_true(count >= 24);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(strlen(codes[i].code), 5);
        assert_true(strlen(codes[i].meaning) > 10 && strlen(codes[i].next) > 10);
        assert_true(i == 0 || strcmp(codes[i - 1].code, codes[i].code) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program__a_misspelt_field_is_told_with_its_neighbour),
        cmocka_unit_test(test_program__records_may_contain_themselves),
        cmocka_unit_test(test_program__several_mistakes_in_the_order_of_their_places),
        cmocka_unit_test(test_program__errors_stand_in_the_users_file),
        cmocka_unit_test(test_program__paths_end_at_the_first_dynamic_step),
        cmocka_unit_test(test_program__constants_are_folded),
        cmocka_unit_test(test_program__the_result_must_have_the_wanted_type),
        cmocka_unit_test(test_program__children_of_an_environment),
        cmocka_unit_test(test_program__threads_share_a_program),
        cmocka_unit_test(test_program__threads_share_patterns_known_at_run_time),
        cmocka_unit_test(test_program__trace_tells_each_part),
        cmocka_unit_test(test_program__values_become_plain_data),
        cmocka_unit_test(test_program__every_code_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
