// SPDX-License-Identifier: Apache-2.0
/* The public face of src/pattern: errors and where they point, limits, options, tags, explanations.
 * What each operator means is in tests/conform/pattern. */
#include "../value/json_samples.h"
#include "pattern_fixture.h"

#include "pattern/pattern_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *repeat(struct arena *arena, const char *head, const char *text, size_t times,
                          const char *tail)
{
    struct buf out = {.arena = arena};
    buf_add_cstr(&out, head);
    for (size_t i = 0; i < times; i++)
        buf_add_cstr(&out, text);
    buf_add_cstr(&out, tail);
    return buf_str(&out).ptr;
}

static void test_pattern__each_error_has_its_code_and_place(void **state)
{
    static const struct {
        const char *pattern, *code;
        unsigned column;
    } cases[] = {
        {"[]", "G0101", 1},
        {"{\"a\":[1]} x", "G0101", 11},
        {"{\"a\":[1,]}", "G0101", 9},
        {"{\"a\":[\"\\x\"]}", "G0101", 8},
        {"{\"a\":[\"\xC3\"]}", "G0101", 8},
        {"{\"a\":\"x\"}", "G0102", 6},
        {"{\"a\":{}}", "G0103", 6},
        {"{\"a\":[]}", "G0103", 6},
        {"{\"a\":[[1]]}", "G0104", 7},
        {"{\"a\":[{\"prefx\":\"x\"}]}", "G0105", 8},
        {"{\"a\":[{\"prefix\":5}]}", "G0106", 17},
        {"{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}", "G0106", 21},
        {"{\"a\":[{\"wildcard\":\"a**\"}]}", "G0107", 19},
        {"{\"a\":[{\"numeric\":[\">\",1e400]}]}", "G0108", 23},
        {"{\"a\":[{\"cidr\":\"10.0.0.0/32\"}]}", "G0109", 15},
        {"{\"$or\":[{\"a\":[1]}]}", "G0110", 8},
        {"{\"$or\":[{\"a\":[1]},{\"prefix\":[1]}]}", "G0110", 20},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error err = {0};
        const char *code = refusal(str_from(cases[i].pattern), &err);
        if (!code || strcmp(code, cases[i].code) != 0 || err.line != 1 ||
            err.column != cases[i].column)
            fail_msg("%s: %s at %u:%u: %s", cases[i].pattern, code ? code : "accepted", err.line,
                     err.column, err.message);
    }
}

static void test_pattern__unknown_operator_is_suggested(void **state)
{
    struct error err;
    (void)state;
    assert_string_equal(refusal(STR("{\"a\":[{\"anything-butt\":\"x\"}]}"), &err), "G0105");
    assert_string_equal(err.hint, "did you mean \"anything-but\"?");
}

static void test_pattern__refused_pattern_leaves_the_builder_usable(void **state)
{
    struct error err;
    (void)state;
    struct fixture f = {0};
    struct pattern_builder *builder = pattern_builder_create();
    assert_true(pattern_builder_add(builder, STR("{\"a\":[1]}"), 5, &err));
    assert_false(pattern_builder_add(builder, STR("{\"a\":[2],\"b\":[]}"), 6, &err));
    f.set = pattern_builder_finish(builder, &err);
    pattern_builder_destroy(builder);
    f.scratch = pattern_scratch_create(f.set);
    assert_true(fixture_match(&f, STR("{\"a\":2}"), NULL));
    assert_int_equal(f.count, 0);
    assert_true(fixture_match(&f, STR("{\"a\":1}"), NULL));
    assert_int_equal(f.count, 1);
    assert_int_equal(f.tags[0], 5);
    fixture_finish(&f);
}

static void test_pattern__tags_are_ascending_and_distinct(void **state)
{
    static const struct {
        const char *pattern;
        uint32_t tag;
    } patterns[] = {{"{\"a\":[1]}", 70},
                    {"{\"a\":[{\"exists\":true}]}", UINT32_MAX},
                    {"{\"a\":[{\"anything-but\":\"x\"}]}", 3},
                    {"{\"a\":[{\"anything-but\":\"y\"}]}", 3},
                    {"{\"b\":[{\"exists\":false}]}", 0},
                    {"{\"a\":[2]}", 9}};
    struct error err;
    (void)state;
    struct fixture f = {0};
    struct pattern_builder *builder = pattern_builder_create();
    for (size_t i = 0; i < COUNT(patterns); i++)
        assert_true(
            pattern_builder_add(builder, str_from(patterns[i].pattern), patterns[i].tag, &err));
    f.set = pattern_builder_finish(builder, &err);
    pattern_builder_destroy(builder);
    f.scratch = pattern_scratch_create(f.set);
    assert_true(fixture_match(&f, STR("{\"a\":1}"), NULL));
    const uint32_t wanted[] = {0, 3, 70, UINT32_MAX};
    assert_int_equal(f.count, 4);
    assert_memory_equal(f.tags, wanted, sizeof wanted);
    /* One of the two anything-buts of tag 3 fails: the other still matches. */
    assert_true(fixture_match(&f, STR("{\"a\":\"x\",\"b\":1}"), NULL));
    const uint32_t fewer[] = {3, UINT32_MAX};
    assert_int_equal(f.count, 2);
    assert_memory_equal(f.tags, fewer, sizeof fewer);
    fixture_finish(&f);
}

/* Rules that need no more than a field's absence match by default. */
static void test_pattern__absences_hold_one_by_one_among_many(void **state)
{
    enum { RULES = 200 };
    struct fixture f = {0};
    char text[96], event[96];
    struct pattern_builder *builder = pattern_builder_create();
    (void)state;
    for (unsigned i = 0; i < RULES; i++) { // two of each field, one of them waits for s; tags: i
        snprintf(text, sizeof text, "{%s\"f%u\":[{\"exists\":false}]}",
                 i % 2 ? "\"s\":[\"x\"]," : "", i / 2);
        assert_true(pattern_builder_add(builder, str_from(text), i, &f.err));
    }
    /* A tag that others have, too: whether the field is there or not. */
    assert_true(pattern_builder_add(builder, STR("{\"s\":[\"x\"],\"f7\":[true]}"), 15, &f.err));
    assert_true(pattern_builder_add(builder, STR("{\"s\":[\"x\"],\"f8\":[{\"exists\":false}]}"), 19,
                                    &f.err));
    assert_true(pattern_builder_add(builder, STR("{\"s\":[\"x\"],\"f9\":[{\"exists\":false}]}"), 4,
                                    &f.err));
    f.set = pattern_builder_finish(builder, &f.err);
    f.scratch = pattern_scratch_create(f.set);
    pattern_builder_destroy(builder);
    for (unsigned i = 0; i < RULES / 2; i++) {
        snprintf(event, sizeof event, "{\"s\":\"x\",\"f%u\":true,\"other\":1}", i);
        assert_true(fixture_match(&f, str_from(event), NULL));
        bool known[RULES] = {false};
        for (size_t j = 0; j < f.count; j++)
            known[f.tags[j]] = true;
        assert_int_equal(known[2 * i], i == 2);
        assert_true(known[4]);
        assert_int_equal(known[2 * i + 1], i == 7 || i == 9);
        assert_int_equal(f.count, RULES - (i == 2 || i == 7 || i == 9 ? 1 : 2));
    }
    assert_true(fixture_match(&f, STR("{\"f3\":1}"), NULL));
    assert_int_equal(f.count, RULES / 2 - 1); // those that wait for nothing
    /* In an array the element that s is in may have no f. */
    assert_true(fixture_match(&f, STR("{\"s\":\"x\",\"f3\":[]}"), NULL));
    assert_int_equal(f.count, RULES);
    fixture_finish(&f);
    const char *arrays[] = {"{\"a\":{\"s\":[\"x\"]},\"a.t\":[{\"exists\":false}]}",
                            "{\"a.s\":[\"x\"],\"a.u\":[{\"exists\":false}]}"};
    f = fixture_compile(arrays, COUNT(arrays));
    assert_true(fixture_match(&f, STR("{\"a\":[{\"s\":\"x\"},{\"t\":1}]}"), NULL));
    assert_int_equal(f.count, 2);
    assert_true(fixture_match(&f, STR("{\"a\":[{\"s\":\"x\",\"t\":1}]}"), NULL));
    assert_int_equal(f.count, 1);
    assert_int_equal(f.tags[0], 1);
    fixture_finish(&f);
}

/* `text` with `number` wherever it has a #. */
static const char *numbered(struct arena *arena, const char *text, unsigned number)
{
    struct buf out = {.arena = arena};
    for (struct str rest = str_from(text), part; rest.ptr;) {
        part = str_cut(&rest, '#');
        buf_add_str(&out, part);
        if (rest.ptr)
            buf_printf(&out, "%u", number);
    }
    return buf_str(&out).ptr;
}

/* What only confirms is asked late: some conditions one by one, more of them by the index, and of
 * several leaves always by the index. Here all rules ask at once. */
static void test_pattern__what_is_asked_late_is_answered_for_every_rule(void **state)
{
    enum { RULES = 40, FIRST = 10, BUTS = 5 };
    static const char *const operators[] = {
        "{\"wildcard\":\"*v#*\"}",
        "{\"prefix\":\"v#-\"}",
        "{\"suffix\":\"-v#\"}",
        "{\"equals-ignore-case\":\"V#-V#\"}",
        "\"v#-v#\"",
        "{\"anything-but\":{\"wildcard\":\"*v#*\"}}",
        "{\"anything-but\":[\"v#-v#\",\"q\"]}",
    };
    ARENA_AUTO struct arena arena = {0};
    struct buf all = {.arena = &arena};
    (void)state;
    for (unsigned i = FIRST; i < FIRST + RULES; i++)
        buf_printf(&all, "%s\"m%u\"", i > FIRST ? "," : "\"m\":[", i);
    buf_add_cstr(&all, "]");
    const char *m = buf_str(&all).ptr;
    for (size_t k = 0; k < COUNT(operators); k++) {
        const char *patterns[RULES];
        for (unsigned i = 0; i < RULES; i++)
            patterns[i] =
                numbered(&arena, arena_printf(&arena, "{\"m\":[\"m#\"],\"u\":[%s]}", operators[k]),
                         FIRST + i);
        struct fixture f = fixture_compile(patterns, RULES);
        for (unsigned i = 0; i < RULES; i++) {
            const char *one = arena_printf(&arena, "{%s,\"u\":\"v#-v#\"}", m);
            assert_true(fixture_match(&f, str_from(numbered(&arena, one, FIRST + i)), NULL));
            assert_int_equal(f.count, k >= BUTS ? RULES - 1 : 1);
            assert_int_equal(f.tags[0], k < BUTS ? i : i == 0 ? 1 : 0);
            const char *two = arena_printf(&arena, "{\"u\":[\"q\",\"v#-v#\"],%s}", m);
            assert_true(fixture_match(&f, str_from(numbered(&arena, two, FIRST + i)), NULL));
            assert_int_equal(f.count, k < BUTS ? 1 : k == BUTS ? RULES : RULES - 1);
            const char *three = "{\"u\":\"v#-v#\",\"m\":\"m#\"}";
            assert_true(fixture_match(&f, str_from(numbered(&arena, three, FIRST + i)), NULL));
            assert_int_equal(f.count, k < BUTS ? 1 : 0);
        }
        fixture_finish(&f);
    }
}

static void test_pattern__anything_buts_fail_one_by_one_among_many(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    const char *patterns[300];
    (void)state;
    for (unsigned i = 0; i < COUNT(patterns); i++)
        patterns[i] = arena_printf(&arena, "{\"a\":[{\"anything-but\":[\"v%u\",\"all\"]}]}", i);
    struct fixture f = fixture_compile(patterns, COUNT(patterns));
    assert_true(fixture_match(&f, STR("{\"a\":\"v65\"}"), NULL));
    assert_int_equal(f.count, 299);
    assert_int_equal(f.tags[64], 64);
    assert_int_equal(f.tags[65], 66);
    assert_true(fixture_match(&f, STR("{\"a\":\"all\"}"), NULL));
    assert_int_equal(f.count, 0);
    assert_true(fixture_match(&f, STR("{\"a\":[\"all\",\"v7\"]}"), NULL));
    assert_int_equal(f.count, 299);
    assert_true(fixture_match(&f, STR("{\"a\":[]}"), NULL));
    assert_int_equal(f.count, 0);
    fixture_finish(&f);
}

static void test_pattern__an_empty_set_validates_and_never_matches(void **state)
{
    (void)state;
    struct fixture f = fixture_compile(NULL, 0);
    assert_true(fixture_match(&f, STR("{\"a\":[{\"b\":1}]}"), NULL));
    assert_int_equal(f.count, 0);
    assert_false(fixture_match(&f, STR("{\"a\":[{\"b\":1]}"), NULL));
    fixture_finish(&f);
}

static void test_pattern_event__each_error_has_its_code_and_place(void **state)
{
    static const struct {
        const char *event, *code;
        unsigned column;
    } cases[] = {
        {"", "G0201", 1},
        {"[1]", "G0202", 1},
        {"{\"a\":1", "G0201", 6},
        {"{\"a\":1}}", "G0201", 8},
        {"{\"a\":1} {}", "G0201", 9},
        {"{\"a\":01}", "G0201", 6},
        {"{\"z\":[1,2}", "G0201", 10},
        {"{\"z\":{\"y\" 1}}", "G0201", 11},
        {"{\"z\":[{]}", "G0201", 8},
        {"{\"z\":nul}", "G0201", 6},
        {"{\"z\":\"a\x01\"}", "G0201", 8},
        {"{\"z\":\"a\\q\"}", "G0201", 8},
        {"{\"z\":\"a}", "G0201", 6},
        {"{\"z\":\"\\ud800\"}", "G0203", 7},
        {"{\"z\":\"\xFF\"}", "G0203", 7},
        {"{\"a\":1,}", "G0201", 8},
        {"{,\"a\":1}", "G0201", 2},
        {"{\"z\":[1,]}", "G0201", 9},
        {"{\"a\":{}", "G0201", 8},
        {"{\"z\":{}", "G0201", 8},
    };
    const char *pattern = "{\"a\":[1]}";
    (void)state;
    struct fixture f = fixture_compile(&pattern, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (fixture_match(&f, str_from(cases[i].event), NULL) ||
            strcmp(f.err.code, cases[i].code) != 0 || f.err.column != cases[i].column)
            fail_msg("%s: %s at %u: %s", cases[i].event, f.err.code, f.err.column, f.err.message);
    }
    fixture_finish(&f);
}

/* The event in memory of its exact size, so that the sanitizers see what reads behind it. */
static bool match_exact(struct fixture *f, struct str event)
{
    char *copy = malloc(event.len ? event.len : 1);
    assert_non_null(copy);
    memcpy(copy, event.ptr, event.len);
    bool read = fixture_match(f, (struct str){copy, event.len}, NULL);
    free(copy);
    return read;
}

/* Duplicate keys all count, and numbers may have any size. */
static bool sample_is_read(const struct sample *sample)
{
    return sample->written || strcmp(sample->code, "V0003") == 0 ||
           strcmp(sample->code, "V0005") == 0;
}

static void test_pattern_event__is_json_as_the_samples_have_it(void **state)
{
    static const char *const heads[] = {
        "{\"a\":", "{\"z\":", "{\"a\":[{\"b\":", "{\"z\":[{\"b\":", "{\"a\":", "{\"z\":{\"b\":"};
#define MORE ",\"more\":\"much more than a number is long, so that it does not stand at the end\"}"
    static const char *const tails[] = {"}", " }", "}]}", "} ] }", MORE, MORE "}"};
    const char *patterns[] = {"{\"a\":[1]}", "{\"a\":{\"b\":{\"\":[2]}}}"};
    struct fixture fast = fixture_compile(patterns, 2), portable = fixture_compile(patterns, 2);
    (void)state;
    pattern_scratch_use_portable(portable.scratch);
    for (size_t i = 0; i < COUNT(samples); i++) {
        for (size_t j = 0; j < COUNT(heads); j++) {
            ARENA_AUTO struct arena arena = {0};
            struct buf event = {.arena = &arena};
            buf_add_cstr(&event, heads[j]);
            buf_add_str(&event, sample_text(&samples[i]));
            buf_add_cstr(&event, tails[j]);
            bool read = match_exact(&fast, buf_str(&event));
            if (read != sample_is_read(&samples[i]))
                fail_msg("%s: %s", samples[i].name, read ? "was read" : fast.err.message);
            assert_int_equal(match_exact(&portable, buf_str(&event)), read);
        }
        struct str bare = sample_text(&samples[i]);
        bool object = bare.len && bare.ptr[0] == '{';
        if (match_exact(&fast, bare) != (object && sample_is_read(&samples[i])))
            fail_msg("%s, bare", samples[i].name);
    }
    fixture_finish(&fast);
    fixture_finish(&portable);
}

/* Whatever of an event is cut off, nothing behind it is looked at. */
static void test_pattern_event__cut_off_anywhere_is_refused(void **state)
{
    static const struct str whole = STR(
        "{\"a\":[{\"b\":{\"\":2.5}},[ ],-1,\"x\\n\"] , \"z\":{\"y\":[{},[],{\"w\":[{}]}],\"v\":{}}"
        ",\"a.b\":true,\"\":{\r\n}}");
    const char *patterns[] = {"{\"a\":[1]}", "{\"a\":{\"b\":{\"\":[2]}}}"};
    struct fixture fast = fixture_compile(patterns, 2), portable = fixture_compile(patterns, 2);
    (void)state;
    pattern_scratch_use_portable(portable.scratch);
    for (size_t len = 0; len <= whole.len; len++) {
        assert_int_equal(match_exact(&fast, str_sub(whole, 0, len)), len == whole.len);
        assert_int_equal(match_exact(&portable, str_sub(whole, 0, len)), len == whole.len);
    }
    fixture_finish(&fast);
    fixture_finish(&portable);
}

static void test_pattern_event__depth_64_is_read_and_65_is_not(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    const char *patterns[] = {"{\"a\":[1]}", "{\"b\":{\"c\":[1]}}"};
    (void)state;
    struct fixture f = fixture_compile(patterns, 2);
    for (unsigned i = 0; i < 2; i++) {
        const char *heads[] = {"{\"a\":", "{\"z\":"};
        const char *inner = repeat(&arena, "", "[", 63, "1");
        const char *fits =
            repeat(&arena, arena_printf(&arena, "%s%s", heads[i], inner), "]", 63, "}");
        assert_true(fixture_match(&f, str_from(fits), NULL));
        assert_int_equal(f.count, i == 0);
        inner = repeat(&arena, "", "[", 64, "1");
        const char *over =
            repeat(&arena, arena_printf(&arena, "%s%s", heads[i], inner), "]", 64, "}");
        assert_false(fixture_match(&f, str_from(over), NULL));
        assert_string_equal(f.err.code, "G0204");
    }
    fixture_finish(&f);
}

static void test_pattern_event__one_mebibyte_is_read_and_one_byte_more_is_not(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    const char *pattern = "{\"a\":[{\"suffix\":\"y\"}]}";
    (void)state;
    struct fixture f = fixture_compile(&pattern, 1);
    const char *text = repeat(&arena, "{\"a\":\"", "x", LIMIT_EVENT_BYTES - 9, "y\"}");
    assert_int_equal(strlen(text), LIMIT_EVENT_BYTES);
    assert_true(fixture_match(&f, str_from(text), NULL));
    assert_int_equal(f.count, 1);
    text = repeat(&arena, "{\"a\":\"", "x", LIMIT_EVENT_BYTES - 8, "y\"}");
    assert_false(fixture_match(&f, str_from(text), NULL));
    assert_string_equal(f.err.code, "G0205");
    fixture_finish(&f);
}

/* The densest events of each kind of working memory. */
static void test_pattern_event__dense_events_fit_the_scratch(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    const char *patterns[] = {"{\"a\":[1]}", "{\"a\":{\"\":[1]}}",
                              "{\"a\":[{\"equals-ignore-case\":\"\xE1\xBA\x9E\"}]}"};
    const struct pattern_options refuse = {.duplicate_keys = PATTERN_DUPLICATES_REFUSE};
    const size_t room = LIMIT_EVENT_BYTES - 32;
    (void)state;
    struct fixture f = fixture_compile(patterns, 3);
    assert_true(
        fixture_match(&f, str_from(repeat(&arena, "{\"a\":[1", ",1", room / 2, "]}")), &refuse));
    assert_int_equal(f.count, 1);
    assert_true(
        fixture_match(&f, str_from(repeat(&arena, "{\"a\":[{}", ",{}", room / 3, "]}")), &refuse));
    const char *nest = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],";
    assert_true(
        fixture_match(&f, str_from(repeat(&arena, "{\"a\":[", nest, room / 65, "1]}")), &refuse));
    assert_int_equal(f.count, 1);
    assert_true(fixture_match(&f, str_from(repeat(&arena, "{\"a\":[\"\"", ",\"\"", room / 3, "]}")),
                              &refuse));
    assert_true(fixture_match(
        &f, str_from(repeat(&arena, "{\"a\":[{\"\":1}", ",{\"\":1}", room / 7, "]}")), &refuse));
    assert_int_equal(f.count, 1);
    assert_true(fixture_match(
        &f, str_from(repeat(&arena, "{\"a\":\"", "\xE1\xBA\x9E", room / 3, "\"}")), NULL));
    assert_false(fixture_match(&f, str_from(repeat(&arena, "{\"a\":1", ",\"a\":1", room / 6, "}")),
                               &refuse));
    assert_true(
        fixture_match(&f, str_from(repeat(&arena, "{\"a\":1", ",\"a\":1", room / 6, "}")), NULL));
    assert_false(fixture_match(&f, str_from(repeat(&arena, "{", "\"", room, "}")), &refuse));
    fixture_finish(&f);
}

static void test_pattern_event__duplicate_keys_count_or_are_refused(void **state)
{
    const char *pattern = "{\"a\":{\"b\":[2]}}";
    const struct pattern_options refuse = {.duplicate_keys = PATTERN_DUPLICATES_REFUSE};
    const struct {
        const char *event;
        bool duplicate;
    } cases[] = {
        {"{\"a\":{\"b\":2,\"b\":3}}", true},
        {"{\"a\":{\"b\":3,\"c\":1,\"b\":2}}", true},
        {"{\"a\":{\"b\":1},\"a\":{\"b\":2}}", true},
        {"{\"a\":{\"b\":2},\"z\":[{\"q\":1,\"\\u0071\":2}]}", true},
        {"{\"a\":{\"b\":2},\"z\":[{\"q\":1},{\"q\":2}]}", false},
        {"{\"a\":{\"b\":2},\"b\":{\"a\":1}}", false},
    };
    (void)state;
    struct fixture f = fixture_compile(&pattern, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(fixture_match(&f, str_from(cases[i].event), NULL));
        assert_int_equal(f.count, 1);
        assert_int_equal(fixture_match(&f, str_from(cases[i].event), &refuse), !cases[i].duplicate);
        if (cases[i].duplicate)
            assert_string_equal(f.err.code, PATTERN_ERROR_DUPLICATE_KEY);
    }
    fixture_finish(&f);
}

static void test_pattern_event__early_stop_ends_at_the_last_field_seen(void **state)
{
    const char *patterns[] = {"{\"a\":[1]}", "{\"b\":{\"c\":[2]}}"};
    const struct pattern_options early = {.early_stop = true};
    (void)state;
    struct fixture f = fixture_compile(patterns, 2);
    struct str broken = STR("{\"a\":1,\"b\":{\"c\":2,\"d\":nonsense}}");
    assert_false(fixture_match(&f, broken, NULL));
    assert_true(fixture_match(&f, broken, &early));
    assert_int_equal(f.count, 2);
    /* Not inside of an array, where more values may follow. */
    assert_true(fixture_match(&f, STR("{\"a\":1,\"b\":[{\"c\":1},{\"c\":2}],\"z\":1}"), &early));
    assert_int_equal(f.count, 2);
    /* Not before all have been seen. */
    assert_false(fixture_match(&f, STR("{\"a\":1,\"z\":nonsense}"), &early));
    fixture_finish(&f);
}

static void test_pattern__limits_of_paths_and_branches(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err;
    struct buf text = {.arena = &arena};
    (void)state;
    for (unsigned i = 0; i < PATTERN_PATHS_MAX; i++)
        buf_printf(&text, "%s\"f%u\":[1]", i ? "," : "{", i);
    struct str head = buf_str(&text);
    char *fits = arena_printf(&arena, "%s}", head.ptr);
    char *over = arena_printf(&arena, "%s,\"one more\":[1]}", head.ptr);
    assert_null(refusal(str_from(fits), &err));
    assert_string_equal(refusal(str_from(over), &err), "G0111");
    /* 10 * 10 * 10 = 1000 combinations, then one more alternative. */
    const char *ten = "[{\"a\":[0]},{\"a\":[1]},{\"a\":[2]},{\"a\":[3]},{\"a\":[4]},{\"a\":[5]},"
                      "{\"a\":[6]},{\"a\":[7]},{\"a\":[8]},{\"a\":[9]}";
    fits = arena_printf(&arena, "{\"x\":{\"$or\":%s]},\"y\":{\"$or\":%s]},\"z\":{\"$or\":%s]}}",
                        ten, ten, ten);
    over = arena_printf(
        &arena, "{\"x\":{\"$or\":%s]},\"y\":{\"$or\":%s]},\"z\":{\"$or\":%s,{\"a\":[\"\"]}]}}", ten,
        ten, ten);
    assert_null(refusal(str_from(fits), &err));
    assert_true(matches(fits, "{\"x\":{\"a\":3},\"y\":{\"a\":4},\"z\":{\"a\":9}}"));
    assert_false(matches(fits, "{\"x\":{\"a\":3},\"y\":{\"a\":10},\"z\":{\"a\":9}}"));
    assert_string_equal(refusal(str_from(over), &err), "G0111");
}

static void test_pattern__depth_is_limited(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err;
    (void)state;
    const char *head = repeat(&arena, "", "{\"a\":", 64, "[1]");
    assert_null(refusal(str_from(repeat(&arena, head, "}", 64, "")), &err));
    head = repeat(&arena, "", "{\"a\":", 65, "[1]");
    assert_string_equal(refusal(str_from(repeat(&arena, head, "}", 65, "")), &err), "G0111");
    head = repeat(&arena, "", "{\"$or\":[", 50000, "");
    assert_string_equal(refusal(str_from(head), &err), "G0111");
}

static void test_pattern_arrays__fields_must_agree_on_elements(void **state)
{
    const char *pattern = "{\"a\":{\"x\":[1],\"y\":[2]},\"b\":{\"z\":[3]}}";
    (void)state;
    assert_true(matches(pattern, "{\"a\":[{\"x\":1,\"y\":2}],\"b\":[{\"z\":1},{\"z\":3}]}"));
    assert_false(matches(pattern, "{\"a\":[{\"x\":1},{\"y\":2}],\"b\":{\"z\":3}}"));
    assert_false(matches(pattern, "{\"a\":[[{\"x\":1}],[{\"y\":2}]],\"b\":{\"z\":3}}"));
    assert_true(matches(pattern, "{\"a\":[{\"x\":0},{\"x\":[0,1],\"y\":[2]}],\"b\":{\"z\":3}}"));
    /* Two arrays that are not one: duplicate keys. */
    assert_true(matches(pattern, "{\"a\":[{\"x\":1}],\"a\":[{\"y\":2}],\"b\":{\"z\":3}}"));
}

static void test_pattern_arrays__long_hopeless_searches_end(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    const char *pattern = "{\"a\":{\"x\":[1],\"y\":[2]},\"b\":{\"x\":[1],\"y\":[2]}}";
    (void)state;
    /* a could be chosen in 20,000 ways, b in none: that must not be tried 20,000 times. */
    struct fixture f = fixture_compile(&pattern, 1);
    char *event =
        arena_printf(&arena, "{\"a\":%s,\"b\":%s}",
                     repeat(&arena, "[{\"x\":1,\"y\":2}", ",{\"x\":1,\"y\":2}", 20000, "]"),
                     repeat(&arena, "[{\"x\":1},{\"y\":2}", ",{\"x\":1},{\"y\":2}", 20000, "]"));
    assert_true(fixture_match(&f, str_from(event), NULL));
    assert_int_equal(f.count, 0);
    fixture_finish(&f);
}

static void test_pattern_or__operators_names_are_no_fields_inside_of_it(void **state)
{
    struct error err;
    (void)state;
    static const char *const refused[] = {
        "{\"$or\":[{\"b\":[1]},{\"exists\":[2]}]}",
        "{\"$or\":[{\"b\":[1]},{\"b\":{\"c\":{\"prefix\":[2]}}}]}",
        "{\"$or\":[{\"b\":[1]},{\"c\":[2],\"$or\":[{\"a\":{\"prefix\":[2]}},{\"a\":[3]}]}]}",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_string_equal(refusal(str_from(refused[i]), &err), "G0110");
    assert_true(matches("{\"a\":{\"$or\":[{\"b\":[1]},{\"c\":[2]}],\"prefix\":[3]}}",
                        "{\"a\":{\"b\":1,\"prefix\":3}}"));
}

static void test_pattern__names_may_be_empty_and_begin_with_dots(void **state)
{
    (void)state;
    assert_true(matches("{\".b\":[1]}", "{\".b\":1}"));
    assert_true(matches("{\"\":{\"b\":[1]}}", "{\".b\":1}"));
    assert_true(matches("{\"a..b\":[1]}", "{\"a\":{\".b\":1}}"));
    assert_true(matches("{\"a..b\":[1]}", "{\"a.\":{\"b\":1}}"));
    assert_false(matches("{\".b\":[1]}", "{\"b\":1}"));
}

/* `count` fields of one object, every other of which must be there: each in turn is left out. */
static void check_names(unsigned count)
{
    ARENA_AUTO struct arena arena = {0};
    struct buf pattern = {.arena = &arena};
    for (unsigned i = 0; i < count; i++)
        buf_printf(&pattern, "%s\"n%u%c\":[{\"exists\":%s}]", i ? "," : "{", i,
                   (char)('a' + i % 26), i % 2 ? "true" : "false");
    buf_add_byte(&pattern, '}');
    const char *text = buf_str(&pattern).ptr;
    struct fixture f = fixture_compile(&text, 1);
    for (unsigned without = 0; without < count; without++) {
        struct buf event = {.arena = &arena};
        buf_add_cstr(&event, "{\"z\":0");
        for (unsigned i = 1; i < count; i += 2)
            if (i != without)
                buf_printf(&event, ",\"n%u%c\":1", i, (char)('a' + i % 26));
        if (without % 2 == 0 && without)
            buf_printf(&event, ",\"n%u%c\":1", without, (char)('a' + without % 26));
        buf_add_byte(&event, '}');
        assert_true(fixture_match(&f, buf_str(&event), NULL));
        assert_int_equal(f.count, without == 0);
    }
    fixture_finish(&f);
}

static void test_pattern__many_names_of_one_object_are_told_apart(void **state)
{
    (void)state;
    check_names(CHILDREN_MAX - 1); // in chains by a few bits
    check_names(CHILDREN_MAX);
    check_names(CHILDREN_MAX + 1); // in a table
    check_names(200);
}

/* Names of one length whose first and last eight bytes are equal, each in turn in an event. */
static void test_pattern__names_that_differ_in_the_middle_are_told_apart(void **state)
{
    static const size_t lengths[] = {17, 18, 24, 31, 32, 33, 40, 64, 100};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        ARENA_AUTO struct arena arena = {0};
        const char *patterns[CHILDREN_MAX / 2], *keys[CHILDREN_MAX / 2];
        unsigned middle = (unsigned)lengths[i] - 16;
        unsigned count = middle < COUNT(patterns) ? middle : COUNT(patterns);
        for (unsigned j = 0; j < count; j++) {
            struct buf key = {.arena = &arena}, pattern = {.arena = &arena};
            buf_add_cstr(&key, "firstly,");
            for (unsigned k = 0; k < middle; k++)
                buf_add_byte(&key, k == j * middle / count ? 'x' : '-');
            buf_add_cstr(&key, ",at last");
            keys[j] = buf_str(&key).ptr;
            buf_printf(&pattern, "{\"%s\":[1]}", keys[j]);
            patterns[j] = buf_str(&pattern).ptr;
        }
        struct fixture f = fixture_compile(patterns, count);
        for (unsigned j = 0; j < count; j++) {
            struct buf event = {.arena = &arena};
            buf_printf(&event, "{\"%s\":1}", keys[j]);
            assert_true(fixture_match(&f, buf_str(&event), NULL));
            assert_int_equal(f.count, 1);
            assert_int_equal(f.tags[0], j);
        }
        fixture_finish(&f);
    }
}

/* Tag t, by its rest when divided by 3: the number t, from t to below t+2, or anything but t. */
static bool takes_number(unsigned tag, const double *numbers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        double distance = numbers[i] - tag;
        if (tag % 3 == 0   ? distance == 0
            : tag % 3 == 1 ? distance >= 0 && distance < 2
                           : distance != 0)
            return true;
    }
    return false;
}

static void check_numbers(unsigned patterns)
{
    ARENA_AUTO struct arena arena = {0};
    const char **texts = arena_alloc_array(&arena, patterns, sizeof *texts);
    for (unsigned i = 0; i < patterns; i++) {
        struct buf text = {.arena = &arena};
        if (i % 3 == 0)
            buf_printf(&text, "{\"a\":[%u]}", i);
        else if (i % 3 == 1)
            buf_printf(&text, "{\"a\":[{\"numeric\":[\">=\",%u,\"<\",%u]}]}", i, i + 2);
        else
            buf_printf(&text, "{\"a\":[{\"anything-but\":%u}]}", i);
        texts[i] = buf_str(&text).ptr;
    }
    struct fixture f = fixture_compile(texts, patterns);
    for (unsigned i = 0; i < 2 * patterns + 8; i++) {
        const double numbers[] = {i / 2.0, i / 2.0, i / 2.0 - 2, (i + 5) / 2 % patterns};
        for (unsigned count = 1; count <= COUNT(numbers); count++) {
            struct buf event = {.arena = &arena};
            for (unsigned j = 0; j < count; j++)
                buf_printf(&event, "%s%g", j ? "," : "{\"a\":[", numbers[j]);
            buf_printf(&event, "],\"long\":\"%0*u\"}", i % 2 * 60 + 1, 0);
            assert_true(fixture_match(&f, buf_str(&event), NULL));
            size_t at = 0;
            for (unsigned tag = 0; tag < patterns; tag++)
                if (takes_number(tag, numbers, count) && (at >= f.count || f.tags[at++] != tag))
                    fail_msg("of %u patterns, %u does not match %s", patterns, tag,
                             buf_str(&event).ptr);
            assert_int_equal(f.count, at);
        }
    }
    fixture_finish(&f);
}

static void test_pattern_numbers__few_and_many_say_the_same(void **state)
{
    (void)state;
    for (unsigned patterns = 1; patterns <= 3 * RANGE_FAN; patterns++)
        check_numbers(patterns); // two thirds are numbers: some are, some are not among the ranges
    check_numbers(400);
    check_numbers(1000);
}

static void test_pattern_arrays__entangled_events_are_refused(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct buf pattern = {.arena = &arena}, event = {.arena = &arena};
    (void)state;
    /* Duplicate keys make arrays independent that share paths: which element of each holds every
     * field is then a puzzle of its own. Here it has no solution: 40 fields, 39 arrays of one each.
     */
    for (unsigned i = 0; i < 40; i++)
        buf_printf(&pattern, "%s\"f%02u\":[1]", i ? "," : "{\"a\":{", i);
    buf_add_cstr(&pattern, "}}");
    for (unsigned i = 0; i < 39; i++) {
        buf_printf(&event, "%s\"a\":[", i ? "," : "{");
        for (unsigned j = 0; j < 40; j++)
            buf_printf(&event, "%s{\"f%02u\":1}", j ? "," : "", j);
        buf_add_cstr(&event, "]");
    }
    buf_add_cstr(&event, "}");
    const char *texts[] = {buf_str(&pattern).ptr, "{\"a\":{\"f00\":[{\"exists\":true}]}}"};
    struct fixture f = fixture_compile(texts, 2);
    assert_false(fixture_match(&f, buf_str(&event), NULL));
    assert_string_equal(f.err.code, "G0207");
    assert_true(fixture_match(&f, STR("{\"a\":1}"), NULL));
    assert_int_equal(f.count, 0); // nothing of the event before is left
    assert_true(fixture_match(&f, STR("{\"a\":[{\"f00\":1}]}"), NULL));
    assert_int_equal(f.count, 1);
    fixture_finish(&f);
}

static void test_pattern__paths_are_ordered_as_utf16(void **state)
{
    /* U+FFFF sorts behind U+10000 in UTF-16, so the absence is decided first or last. */
    const char *pattern =
        "{\"a\":{\"\xEF\xBF\xBF\":[{\"exists\":false}],\"\xF0\x90\x80\x80\":[1]}}";
    (void)state;
    assert_true(matches(
        pattern, "{\"a\":[{\"\xF0\x90\x80\x80\":1},{\"\xF0\x90\x80\x80\":2,\"\xEF\xBF\xBF\":3}]}"));
    pattern = "{\"a\":{\"\xF0\x90\x80\x80\":[{\"exists\":false}],\"\xEF\xBF\xBF\":[1]}}";
    assert_false(matches(
        pattern, "{\"a\":[{\"\xEF\xBF\xBF\":1},{\"\xEF\xBF\xBF\":2,\"\xF0\x90\x80\x80\":3}]}"));
}

static void test_pattern_explain__says_which_condition_failed_and_what_was_found(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct pattern_explanation x;
    struct error err;
    (void)state;
    assert_true(pattern_explain(&arena, STR("{\"b\":[{\"prefix\":\"q\"}, 5],\n \"a\":[\"x\"]}"),
                                STR("{\"a\":\"x\",\"b\":[\"p\\n\",6,null]}"), &x, &err));
    assert_false(x.matches);
    assert_int_equal(x.count, 1);
    assert_int_equal(x.branches[0].count, 2);
    const struct pattern_condition *a = &x.branches[0].conditions[0], *b = a + 1;
    assert_true(str_is(a->path, "a") && a->holds && a->line == 2 && a->column == 6);
    assert_true(str_is(b->path, "b") && !b->holds && b->line == 1 && b->column == 6);
    assert_true(str_is(b->wanted, "[{\"prefix\":\"q\"}, 5]"));
    assert_true(str_is(b->found, "\"p\\n\",6,null"));
    assert_int_equal(b->found_count, 3);
    assert_false(x.branches[0].arrays);
    assert_true(pattern_explain(&arena,
                                STR("{\"$or\":[{\"a\":{\"x\":[1],\"y\":[2]}},{\"c\":[1]}]}"),
                                STR("{\"a\":[{\"x\":1},{\"y\":2}]}"), &x, &err));
    assert_int_equal(x.count, 2);
    assert_true(!x.matches && x.branches[0].arrays && !x.branches[1].arrays);
    assert_false(pattern_explain(&arena, STR("{}"), STR("{}"), &x, &err));
    assert_false(pattern_explain(&arena, STR("{\"a\":[1]}"), STR("{"), &x, &err));
}

static void test_pattern_scratch__marks_are_forgotten_when_the_epoch_wraps(void **state)
{
    const char *patterns[] = {"{\"a\":[1],\"b\":[2]}", "{\"a\":[{\"anything-but\":\"x\"}]}",
                              "{\"a\":[{\"wildcard\":\"*q*r*\"}]}"};
    const struct pattern_options refuse = {.duplicate_keys = PATTERN_DUPLICATES_REFUSE};
    (void)state;
    struct fixture f = fixture_compile(patterns, 3);
    assert_true(fixture_match(&f, STR("{\"a\":1,\"b\":2}"), &refuse));
    assert_int_equal(f.count, 2);
    f.scratch->epoch = UINT32_MAX - 1; // it is even
    f.scratch->wildcard_epoch = UINT32_MAX;
    assert_true(fixture_match(&f, STR("{\"a\":\"x\",\"b\":2}"), &refuse));
    assert_int_equal(f.count, 0);
    assert_int_equal(f.scratch->epoch, 2);
    assert_true(fixture_match(&f, STR("{\"a\":\"qxr\",\"b\":2}"), &refuse));
    assert_int_equal(f.count, 2);
    fixture_finish(&f);
}

struct worker {
    const struct pattern_set *set;
    unsigned matches;
};

static void *match_many(void *arg)
{
    struct worker *worker = arg;
    struct pattern_scratch *scratch = pattern_scratch_create(worker->set);
    for (unsigned i = 0; scratch && i < 2000; i++) {
        char event[64];
        const uint32_t *tags;
        size_t count;
        snprintf(event, sizeof event, "{\"a\":%u,\"b\":\"x%u\"}", i % 10, i % 3);
        if (pattern_match(worker->set, str_from(event), NULL, scratch, &tags, &count, NULL))
            worker->matches += (unsigned)count;
    }
    pattern_scratch_destroy(scratch);
    return NULL;
}

static void test_pattern_set__is_shared_by_threads(void **state)
{
    const char *patterns[] = {"{\"a\":[{\"numeric\":[\"<\",5]}]}", "{\"b\":[{\"suffix\":\"1\"}]}"};
    pthread_t threads[4];
    struct worker workers[4];
    (void)state;
    struct fixture f = fixture_compile(patterns, 2);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){f.set, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, match_many, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].matches, 1000 + 667);
    }
    fixture_finish(&f);
}

/* A set behind a pointer that is swapped; whoever lets go of it last destroys it. */
struct generation {
    struct pattern_set *set;
    unsigned number; // its one tag
    atomic_uint users;
};
struct current {
    pthread_mutex_t lock; // of the pointer only
    struct generation *generation;
    atomic_bool end;
    atomic_uint matched;
};

static struct generation *make_generation(unsigned number)
{
    struct generation *g = malloc(sizeof *g);
    struct pattern_builder *builder = pattern_builder_create();
    struct error err;
    assert_non_null(g);
    assert_true(pattern_builder_add(builder, STR("{\"a\":[{\"prefix\":\"x\"}]}"), number, &err));
    *g = (struct generation){.set = pattern_builder_finish(builder, &err), .number = number};
    atomic_store(&g->users, 1);
    pattern_builder_destroy(builder);
    return g;
}

static void let_go(struct generation *g)
{
    if (atomic_fetch_sub(&g->users, 1) > 1)
        return;
    pattern_set_destroy(g->set);
    free(g);
}

static void *match_current(void *argument)
{
    struct current *current = argument;
    unsigned last = 0;
    while (!atomic_load(&current->end)) {
        pthread_mutex_lock(&current->lock);
        struct generation *g = current->generation;
        atomic_fetch_add(&g->users, 1);
        pthread_mutex_unlock(&current->lock);
        struct pattern_scratch *scratch = pattern_scratch_create(g->set);
        for (unsigned i = 0; scratch && i < 20; i++) {
            const uint32_t *tags;
            size_t count;
            if (!pattern_match(g->set, STR("{\"a\":\"xyz\"}"), NULL, scratch, &tags, &count,
                               NULL) ||
                count != 1 || tags[0] != g->number || g->number < last)
                return "a set that was not whole, or an older one";
            atomic_fetch_add(&current->matched, 1);
        }
        last = g->number;
        pattern_scratch_destroy(scratch);
        let_go(g);
    }
    return NULL;
}

static void test_pattern_set__is_swapped_while_others_match(void **state)
{
    struct current current = {.lock = PTHREAD_MUTEX_INITIALIZER, .generation = make_generation(1)};
    pthread_t threads[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_current, &current), 0);
    for (unsigned number = 2; number < 200 || atomic_load(&current.matched) < 1000; number++) {
        struct generation *next = make_generation(number); // beside the running one
        pthread_mutex_lock(&current.lock);
        struct generation *old = current.generation;
        current.generation = next;
        pthread_mutex_unlock(&current.lock);
        let_go(old);
    }
    atomic_store(&current.end, true);
    for (unsigned i = 0; i < 3; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        if (wrong)
            fail_msg("%s", (const char *)wrong);
    }
    let_go(current.generation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__each_error_has_its_code_and_place),
        cmocka_unit_test(test_pattern__unknown_operator_is_suggested),
        cmocka_unit_test(test_pattern__refused_pattern_leaves_the_builder_usable),
        cmocka_unit_test(test_pattern__tags_are_ascending_and_distinct),
        cmocka_unit_test(test_pattern__absences_hold_one_by_one_among_many),
        cmocka_unit_test(test_pattern__what_is_asked_late_is_answered_for_every_rule),
        cmocka_unit_test(test_pattern__anything_buts_fail_one_by_one_among_many),
        cmocka_unit_test(test_pattern__an_empty_set_validates_and_never_matches),
        cmocka_unit_test(test_pattern_event__each_error_has_its_code_and_place),
        cmocka_unit_test(test_pattern_event__is_json_as_the_samples_have_it),
        cmocka_unit_test(test_pattern_event__cut_off_anywhere_is_refused),
        cmocka_unit_test(test_pattern_event__depth_64_is_read_and_65_is_not),
        cmocka_unit_test(test_pattern_event__one_mebibyte_is_read_and_one_byte_more_is_not),
        cmocka_unit_test(test_pattern_event__dense_events_fit_the_scratch),
        cmocka_unit_test(test_pattern_event__duplicate_keys_count_or_are_refused),
        cmocka_unit_test(test_pattern_event__early_stop_ends_at_the_last_field_seen),
        cmocka_unit_test(test_pattern__limits_of_paths_and_branches),
        cmocka_unit_test(test_pattern__depth_is_limited),
        cmocka_unit_test(test_pattern_arrays__fields_must_agree_on_elements),
        cmocka_unit_test(test_pattern_arrays__long_hopeless_searches_end),
        cmocka_unit_test(test_pattern_or__operators_names_are_no_fields_inside_of_it),
        cmocka_unit_test(test_pattern__names_may_be_empty_and_begin_with_dots),
        cmocka_unit_test(test_pattern__many_names_of_one_object_are_told_apart),
        cmocka_unit_test(test_pattern__names_that_differ_in_the_middle_are_told_apart),
        cmocka_unit_test(test_pattern_numbers__few_and_many_say_the_same),
        cmocka_unit_test(test_pattern_arrays__entangled_events_are_refused),
        cmocka_unit_test(test_pattern__paths_are_ordered_as_utf16),
        cmocka_unit_test(test_pattern_explain__says_which_condition_failed_and_what_was_found),
        cmocka_unit_test(test_pattern_scratch__marks_are_forgotten_when_the_epoch_wraps),
        cmocka_unit_test(test_pattern_set__is_shared_by_threads),
        cmocka_unit_test(test_pattern_set__is_swapped_while_others_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
