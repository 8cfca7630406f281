// SPDX-License-Identifier: Apache-2.0
/* Random patterns and events over small alphabets: the answer for a pattern never depends on which
 * other patterns are in the set, nor on the order in which they came; and it is what each condition
 * says by itself where no arrays are involved.
 *
 * PATTERN_PROPERTY_SECONDS says how long (2, or 60 of `./dev test --long`; an hour by hand), and
 * PATTERN_PROPERTY_SEED repeats a run. */
#include "pattern_fixture.h"

#include "pattern/pattern_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define PATTERNS_MAX 24
#define EVENTS_PER_SET 12

static uint64_t random_state;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

static unsigned below(unsigned n)
{
    return (unsigned)(draw() % n);
}

static const char *pick(const char *const *list, unsigned count)
{
    return list[below(count)];
}
#define PICK(...)                                                                                  \
    pick((const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void put(struct buf *out, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_add_cstr(out, text);
}

static void put_word(struct buf *out, unsigned length_max)
{
    for (unsigned n = below(length_max + 1); n > 0; n--)
        buf_add_cstr(out, PICK("a", "a", "b", "b", "k", "A", "B", "K", "\xC3\x9F", "ss", "\\u212a",
                               "\xF0\x9F\x98\x80", "aab"));
}

static void put_number(struct buf *out)
{
    buf_add_cstr(out, PICK("0", "-0", "1", "2", "2.0", "20e-1", "3", "-1", "1.5", "1e3", "0.1"));
}

static void put_wildcard(struct buf *out)
{
    bool star = false;
    for (unsigned n = below(6); n > 0; n--) {
        bool next = !star && below(3) == 0;
        if (next)
            buf_add_byte(out, '*');
        else if (below(12) == 0)
            buf_add_cstr(out, "\\\\*");
        else
            buf_add_cstr(out, PICK("a", "b", "k", "ab", "aab"));
        star = next;
    }
}

static void put_range(struct buf *out)
{
    int low = (int)below(5) - 2;
    switch (below(3)) {
    case 0:
        put(out, "{\"numeric\":[\"%s\",%d]}", PICK("<", "<=", ">", ">=", "="), low);
        break;
    default:
        put(out, "{\"numeric\":[\"%s\",%d,\"%s\",%d]}", PICK(">", ">="), low, PICK("<", "<="),
            low + 1 + (int)below(3));
    }
}

static void put_operator_word(struct buf *out, const char *open, const char *close, unsigned max)
{
    buf_add_cstr(out, open);
    put_word(out, max);
    buf_add_cstr(out, close);
}

static void put_but(struct buf *out)
{
    buf_add_cstr(out, "{\"anything-but\":");
    switch (below(7)) {
    case 0:
        put_number(out);
        break;
    case 1:
        put_operator_word(out, "[\"", "\",\"ab\"]", 2);
        break;
    case 2:
        put_operator_word(out, "{\"prefix\":[\"a", "\",\"k\"]}", 2);
        break;
    case 3:
        put_operator_word(out, "{\"suffix\":\"b", "\"}", 2);
        break;
    case 4:
        put_operator_word(out, "{\"equals-ignore-case\":[\"", "\",\"kB\"]}", 2);
        break;
    case 5:
        buf_add_cstr(out, "{\"wildcard\":\"");
        put_wildcard(out);
        buf_add_cstr(out, "\"}");
        break;
    default:
        put_operator_word(out, "\"", "\"", 3);
    }
    buf_add_byte(out, '}');
}

static void put_alternative(struct buf *out)
{
    switch (below(14)) {
    case 0:
        put_operator_word(out, "{\"prefix\":\"", "\"}", 3);
        break;
    case 1:
        put_operator_word(out, "{\"suffix\":\"", "\"}", 3);
        break;
    case 2:
        put_operator_word(out, "{\"equals-ignore-case\":\"", "\"}", 3);
        break;
    case 3:
        put_operator_word(out, "{\"prefix\":{\"equals-ignore-case\":\"", "\"}}", 3);
        break;
    case 4:
        put_operator_word(out, "{\"suffix\":{\"equals-ignore-case\":\"", "\"}}", 3);
        break;
    case 5:
        buf_add_cstr(out, "{\"wildcard\":\"");
        put_wildcard(out);
        buf_add_cstr(out, "\"}");
        break;
    case 6:
        put_range(out);
        break;
    case 7:
        put_number(out);
        break;
    case 8:
        buf_add_cstr(out, PICK("true", "false", "null", "\"10.0.0.1\"", "\"::1\""));
        break;
    case 9:
        buf_add_cstr(out, PICK("{\"cidr\":\"10.0.0.0/8\"}", "{\"cidr\":\"10.0.0.0/31\"}",
                               "{\"cidr\":\"::/64\"}", "{\"cidr\":\"0.0.0.0/0\"}"));
        break;
    case 10:
        buf_add_cstr(out, PICK("{\"exists\":true}", "{\"exists\":false}"));
        break;
    case 11:
    case 12:
        put_but(out);
        break;
    default:
        put_operator_word(out, "\"", "\"", 3);
    }
}

static void put_pattern_object(struct buf *out, unsigned depth)
{
    unsigned fields = 1 + below(2);
    buf_add_byte(out, '{');
    for (unsigned i = 0; i < fields; i++) {
        if (i)
            buf_add_byte(out, ',');
        if (depth < 2 && below(5) == 0) {
            buf_add_cstr(out, "\"$or\":[");
            put_pattern_object(out, depth + 1);
            buf_add_byte(out, ',');
            put_pattern_object(out, depth + 1);
            buf_add_byte(out, ']');
            continue;
        }
        put(out, "\"%s\":", PICK("x", "y", "x.y", "y.x", "", ".x"));
        if (depth < 2 && below(3) == 0) {
            put_pattern_object(out, depth + 1);
            continue;
        }
        buf_add_byte(out, '[');
        for (unsigned n = 1 + below(3); n > 0; n--) {
            put_alternative(out);
            buf_add_cstr(out, n > 1 ? "," : "]");
        }
    }
    buf_add_byte(out, '}');
}

static void put_scalar(struct buf *out)
{
    switch (below(6)) {
    case 0:
        put_number(out);
        break;
    case 1:
        buf_add_cstr(out, PICK("true", "false", "null", "\"10.0.0.1\"", "\"10.9.9.9\"",
                               "\"0:0::1\"", "9007199254740993", "\"K\""));
        break;
    default:
        put_operator_word(out, "\"", "\"", 4);
    }
}

static void put_event_value(struct buf *out, unsigned depth, bool arrays);

static void put_event_object(struct buf *out, unsigned depth, bool arrays)
{
    unsigned fields = below(4);
    buf_add_byte(out, '{');
    for (unsigned i = 0; i < fields; i++) {
        put(out, "%s\"%s\":", i ? "," : "",
            PICK("x", "y", "x", "y", "z", "x.y", "\\u0078", "", ".x", "y."));
        put_event_value(out, depth + 1, arrays);
    }
    if (depth == 0 && below(2)) // numbers are read differently where the text ends soon
        put(out, "%s\"long\":\"%060d\"", fields ? "," : "", 0);
    buf_add_byte(out, '}');
}

static void put_event_value(struct buf *out, unsigned depth, bool arrays)
{
    if (depth < 5 && below(3) == 0) {
        put_event_object(out, depth, arrays);
        return;
    }
    if (depth < 5 && arrays && below(3) == 0) {
        buf_add_byte(out, '[');
        for (unsigned n = below(4); n > 0; n--) {
            put_event_value(out, depth + 1, arrays);
            if (n > 1)
                buf_add_byte(out, ',');
        }
        buf_add_byte(out, ']');
        return;
    }
    put_scalar(out);
}

struct round {
    struct arena arena;
    const char *patterns[PATTERNS_MAX];
    struct fixture alone[PATTERNS_MAX];
    unsigned count;
};

static void draw_patterns(struct round *round)
{
    unsigned wanted = 2 + below(PATTERNS_MAX - 1);
    while (round->count < wanted) {
        struct buf text = {.arena = &round->arena};
        struct error err;
        put_pattern_object(&text, 0);
        struct str pattern = buf_str(&text);
        if (refusal(pattern, &err)) // a prefix of anything-but that came out empty, two stars, ...
            continue;
        round->patterns[round->count] = pattern.ptr;
        round->alone[round->count] = fixture_compile(&pattern.ptr, 1);
        round->count++;
    }
}

static void check_conditions(struct round *round, const char *pattern, const char *event,
                             bool alone)
{
    struct pattern_explanation explained;
    struct error err;
    bool any = false;
    if (!pattern_explain(&round->arena, str_from(pattern), str_from(event), &explained, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < explained.count; i++) {
        bool all = true;
        for (size_t j = 0; j < explained.branches[i].count; j++)
            all &= explained.branches[i].conditions[j].holds;
        any |= all;
    }
    if (explained.matches != alone || any != alone)
        fail_msg("seen one by one %d, explained %d, matched %d\n  %s\n  %s", any, explained.matches,
                 alone, pattern, event);
}

/* The code for every machine says the same as the fastest that this one has. */
static void check_portable(const struct fixture *f, struct pattern_scratch *portable,
                           const char *event)
{
    const uint32_t *tags;
    size_t count;
    assert_true(pattern_match(f->set, str_from(event), NULL, portable, &tags, &count, NULL));
    assert_int_equal(count, f->count);
    assert_memory_equal(tags, f->tags, count * sizeof *tags);
}

static void check_event(struct round *round, struct fixture *together, const char *event,
                        bool arrays)
{
    bool in_set[PATTERNS_MAX] = {false};
    if (!fixture_match(together, str_from(event), NULL))
        fail_msg("%s: %s", event, together->err.message);
    for (size_t i = 0; i < together->count; i++)
        in_set[together->tags[i]] = true;
    for (unsigned i = 0; i < round->count; i++) {
        struct fixture *alone = &round->alone[i];
        assert_true(fixture_match(alone, str_from(event), NULL));
        if (in_set[i] != (alone->count == 1))
            fail_msg("alone %zu, in the set %d\n  %s\n  %s", alone->count, in_set[i],
                     round->patterns[i], event);
        if (!arrays && below(8) == 0)
            check_conditions(round, round->patterns[i], event, alone->count == 1);
    }
}

static void run_round(void)
{
    struct round round = {0};
    draw_patterns(&round);
    struct fixture together = fixture_compile(round.patterns, round.count);
    struct pattern_scratch *portable = pattern_scratch_create(together.set);
    assert_non_null(portable);
    pattern_scratch_use_portable(portable);
    for (unsigned i = 0; i < EVENTS_PER_SET; i++) {
        struct buf event = {.arena = &round.arena};
        bool arrays = below(2);
        put_event_object(&event, 0, arrays);
        check_event(&round, &together, buf_str(&event).ptr, arrays);
        check_portable(&together, portable, buf_str(&event).ptr);
    }
    pattern_scratch_destroy(portable);
    fixture_finish(&together);
    for (unsigned i = 0; i < round.count; i++)
        fixture_finish(&round.alone[i]);
    arena_finish(&round.arena);
}

static void test_pattern__a_set_answers_like_each_pattern_alone(void **state)
{
    (void)state;
    const char *seconds = getenv("PATTERN_PROPERTY_SECONDS"),
               *seed = getenv("PATTERN_PROPERTY_SEED");
    time_t end = time(NULL) + (seconds ? atoi(seconds) : getenv("RECTIFY_TEST_LONG") ? 60 : 2);
    uint64_t first = seed ? strtoull(seed, NULL, 0) : 1, rounds = 0;
    do {
        random_state = (first + rounds) * 0x9E3779B97F4A7C15u | 1;
        run_round();
        rounds++;
    } while (time(NULL) < end);
    assert_true(rounds > 0);
    if (getenv("PATTERN_PROPERTY_SECONDS"))
        printf("%llu sets\n", (unsigned long long)rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__a_set_answers_like_each_pattern_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
