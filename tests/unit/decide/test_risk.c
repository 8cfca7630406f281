// SPDX-License-Identifier: Apache-2.0
/* The risk engine: its parts, their sum, what the sum picks; that nothing an attacker adds lowers
 * it; and that a stored decision taken again is the same, byte for byte. */
#include "decide_fixture.h"

#include "value/json.h"

#include "../cmocka_all.h"

#define TAGS "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"x\"}]}"
#define ROUNDS 5000

static uint64_t seed;
static unsigned random_below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static const int strictness[] = {[DECIDE_ACT] = 0,     [DECIDE_ASK] = 1,  [DECIDE_HOLD] = 2,
                                 [DECIDE_OBSERVE] = 3, [DECIDE_SKIP] = 4, [DECIDE_STOP] = 5};

/* What a calm decision about the fixture's policy rests on. */
static struct value calm_inputs(struct scene *s)
{
    struct decide_decision d;
    struct value plan, inputs;
    scene_start(s, NULL, NULL);
    scene_read(s, TAGS);
    if (!decide_plan(&s->subject, &s->finding, clock_system(), &s->arena, &plan, &s->err))
        fail_msg("%s", s->err.message);
    decide_guard(&s->subject, &s->finding, plan, &(struct decide_guards){0}, &s->arena, &d,
                 &inputs);
    return inputs;
}

/* The map with one member of `section` (or, where that is NULL, of itself) set. */
static struct value with(struct scene *s, struct value inputs, const char *section,
                         const char *name, struct value v)
{
    struct value_builder out = {.arena = &s->arena};
    for (uint32_t i = 0; i < inputs.len; i++)
        value_set_str(&out, value_str(inputs.pairs[i].key), inputs.pairs[i].value);
    if (section) {
        const struct value *old = value_get(inputs, str_from(section));
        assert_non_null(old);
        v = with(s, *old, NULL, name, v);
    }
    value_set(&out, section ? section : name, v);
    return value_finish_map(&out);
}

static struct value without(struct scene *s, struct value inputs, const char *section,
                            struct str name)
{
    struct value_builder inner = {.arena = &s->arena};
    const struct value *old = value_get(inputs, str_from(section));
    for (uint32_t i = 0; i < old->len; i++)
        if (!str_eq(value_str(old->pairs[i].key), name))
            value_set_str(&inner, value_str(old->pairs[i].key), old->pairs[i].value);
    return with(s, inputs, NULL, section, value_finish_map(&inner));
}

static struct decide_decision again(struct scene *s, struct value inputs)
{
    struct decide_decision d;
    if (!decide_again(inputs, &s->arena, &d, &s->err))
        fail_msg("%s", s->err.message);
    return d;
}

static struct value call(struct scene *s, const char *class, int changed)
{
    return scene_json(s, arena_printf(&s->arena,
                                      "[{\"call\":\"a:B\",\"class\":\"%s\","
                                      "\"changed\":%d}]",
                                      class, changed));
}

static int points_of(const struct decide_decision *d, const char *part)
{
    for (uint32_t i = 0; i < d->risk.len; i++)
        if (str_is(value_path_str(d->risk.items[i], "part"), part))
            return (int)value_get(d->risk.items[i], STR("points"))->i;
    fail_msg("no part %s", part);
    return 0;
}

static void test_risk__each_part_has_its_points(void **state)
{
    (void)state;
    struct scene s;
    struct value calm = calm_inputs(&s);
    static const struct {
        const char *section, *name, *json, *part;
        int points;
    } cases[] = {
        {"settings", "environment", "\"prod\"", "environment", 10},
        {"settings", "environment", "\"Development\"", "environment", 0},
        {"settings", "environment", "\"staging\"", "environment", 5},
        {"settings", "environment", "\"whatever\"", "environment", 10}, // not known: production
        {"settings", "environment", "null", "environment", 10},         // nobody said: production
        {"settings", "no_undo", "true", "irreversibility", 20},
        {"settings", "risk", "7", "author", 7},
        {"guards", "past_total", "4", "record", 5},
        {"guards", "past_total", "5", "record", 0},
        {"guards", "past_bad", "1", "record", 10},
        {"guards", "past_bad", "2", "record", 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct value in =
            with(&s, calm, cases[i].section, cases[i].name, scene_json(&s, cases[i].json));
        struct decide_decision d = again(&s, in);
        if (points_of(&d, cases[i].part) != cases[i].points)
            fail_msg("%s = %s: %d", cases[i].name, cases[i].json, points_of(&d, cases[i].part));
    }
    static const struct {
        const char *class;
        int points;
    } classes[] = {{"additive", 5}, {"restrictive", 20}, {"overwrite", 20},
                   {"delete", 50},  {"destructive", 75}, {"no such class", 75}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        struct decide_decision d =
            again(&s, with(&s, calm, NULL, "calls", call(&s, classes[i].class, 0)));
        assert_int_equal(points_of(&d, "class"), classes[i].points);
    }
    static const struct {
        int changed, points;
    } sizes[] = {{0, 0}, {1, 5}, {5, 5}, {6, 10}, {20, 10}, {21, 20}, {-1, 20}, {99999999, 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct decide_decision d =
            again(&s, with(&s, calm, NULL, "calls", call(&s, "additive", sizes[i].changed)));
        assert_int_equal(points_of(&d, "size"), sizes[i].points);
    }
    scene_finish(&s);
}

static void test_risk__the_score_picks_who_decides(void **state)
{
    (void)state;
    struct scene s;
    struct value calm = calm_inputs(&s);
    int base = again(&s, calm).score;
    static const struct {
        int score;
        enum decide_action action;
        int people;
    } cases[] = {{49, DECIDE_ACT, 0},   {50, DECIDE_ASK, 1},  {74, DECIDE_ASK, 1},
                 {75, DECIDE_ASK, 2},   {149, DECIDE_ASK, 2}, {150, DECIDE_SKIP, 0},
                 {9999, DECIDE_SKIP, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decide_decision d =
            again(&s, with(&s, calm, "settings", "risk", value_int(cases[i].score - base)));
        assert_int_equal(d.score, cases[i].score);
        assert_int_equal(d.action, cases[i].action);
        assert_int_equal(d.people, cases[i].people);
    }
    scene_finish(&s);
}

/* The author's word counts up only: less than nothing is nothing. */
static void test_risk__the_author_can_only_raise(void **state)
{
    (void)state;
    struct scene s;
    struct value calm = calm_inputs(&s);
    int base = again(&s, calm).score;
    assert_int_equal(again(&s, with(&s, calm, "settings", "risk", value_int(-40))).score, base);
    assert_int_equal(again(&s, with(&s, calm, "settings", "risk", value_int(40))).score, base + 40);
    scene_finish(&s);
    scene_start(&s, "mode: enforce", "mode: enforce, risk: 40");
    scene_read(&s, TAGS);
    struct decide_decision d;
    decide_guard(&s.subject, &s.finding, value_list(NULL, 0), &(struct decide_guards){0}, &s.arena,
                 &d, NULL);
    assert_int_equal(points_of(&d, "author"), 40);
    scene_finish(&s);
}

/* A whole configuration is written: what of it goes is the change. */
static void test_risk__what_a_call_drops_is_counted(void **state)
{
    (void)state;
    struct scene s;
    calm_inputs(&s);
    static const struct {
        const char *there;
        int changed;
    } cases[] = {
        {"{\"TagSet\":[]}", 0},
        {"{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"1\"}]}", 0}, // kept
        {"{\"TagSet\":[{\"Key\":\"b\",\"Value\":\"1\"}]}", 1}, // dropped
        {"{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"2\"}]}", 1}, // changed
        {"{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"1\"},{\"Key\":\"b\",\"Value\":\"1\"},"
         "{\"Key\":\"c\",\"Value\":\"1\"}]}",
         2},
    };
    struct value plan = scene_json(
        &s, "[{\"call\":\"s3:PutBucketTagging\",\"step\":0,\"with\":{\"Bucket\":\"x\",\"Tagging\":"
            "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"1\"},{\"Key\":\"cost-center\","
            "\"Value\":\"u\"}]}}}]");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decide_decision d;
        struct value inputs;
        scene_read(&s, cases[i].there);
        decide_guard(&s.subject, &s.finding, plan, &(struct decide_guards){0}, &s.arena, &d,
                     &inputs);
        const struct value *changed = value_path(inputs, "calls.0.changed");
        if (!changed || changed->i != cases[i].changed)
            fail_msg("%s: %s", cases[i].there, scene_text(&s, inputs));
    }
    scene_finish(&s);
}

/* ---- properties ---- */

static const char *const words[] = {"env",     "Environment", "stage", "team", "sandbox",
                                    "prod",    "dev",         "test",  "Key",  "TagSet",
                                    "staging", "qa",          "x",     ""};
#define WORDS (sizeof words / sizeof *words)

static const char *random_tags(struct scene *s, unsigned count, const char *more)
{
    struct buf out = {.arena = &s->arena};
    buf_add_cstr(&out, "{\"TagSet\":[");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&out, "%s{\"Key\":\"%s%u\",\"Value\":\"%s\"}", i ? "," : "",
                   words[random_below(WORDS)], random_below(3), words[random_below(WORDS)]);
    buf_printf(&out, "%s%s]}", count && more[0] ? "," : "", more);
    return buf_str(&out).ptr;
}

/* Whatever tag is added to a resource, the same plan is never less risky for it, nor is anything
 * allowed that was not. */
static void test_risk__adding_a_tag_never_lowers(void **state)
{
    (void)state;
    unsigned raised = 0;
    struct scene s;
    for (seed = 1; seed < ROUNDS; seed++) {
        uint64_t begin = seed;
        struct decide_decision before, after;
        struct value plan;
        if (begin % 100 == 1) // loading a policy costs more than the rest
            scene_start(&s, NULL, NULL);
        static const char *const accounts[] = {"{}", "{\"env\":\"dev\"}", "{\"env\":\"staging\"}",
                                               "{\"env\":\"prod\"}"};
        s.subject.account = scene_json(&s, accounts[random_below(4)]);
        unsigned count = random_below(6);
        uint64_t tags_seed = seed;
        scene_read(&s, random_tags(&s, count, ""));
        if (!decide_plan(&s.subject, &s.finding, clock_system(), &s.arena, &plan, &s.err))
            fail_msg("%s", s.err.message);
        decide_guard(&s.subject, &s.finding, plan, &(struct decide_guards){0}, &s.arena, &before,
                     NULL);
        seed = tags_seed; // the same tags, and one more
        const char *old = random_tags(&s, count, "");
        const char *more = arena_printf(&s.arena, "{\"Key\":\"%s\",\"Value\":\"%s\"}",
                                        words[random_below(WORDS)], words[random_below(WORDS)]);
        seed = tags_seed;
        const char *now = random_tags(&s, count, more);
        scene_read(&s, now);
        decide_guard(&s.subject, &s.finding, plan, &(struct decide_guards){0}, &s.arena, &after,
                     NULL);
        if (after.score < before.score || strictness[after.action] < strictness[before.action])
            fail_msg("seed %llu: %d to %d: %s and %s", (unsigned long long)begin, before.score,
                     after.score, old, now);
        raised += after.score > before.score;
        seed = begin;
        if (begin % 100 == 0 || begin == ROUNDS - 1)
            scene_finish(&s);
    }
    assert_true(raised > ROUNDS / 20); // it does look at them
}

/* Any inputs of the right types: the guards never crash on them. */
static struct value random_inputs(struct scene *s, struct value calm)
{
    struct value in = calm;
    static const char *const sections[] = {"guards", "settings"};
    static const char *const texts[] = {"off",  "observe", "approve", "enforce",       "prod",
                                        "test", "odd",     "",        "\xC3\xA9\\\"\n"};
    for (unsigned n = random_below(12); n > 0; n--) {
        const char *section = sections[random_below(2)];
        const struct value *map = value_get(in, str_from(section));
        uint32_t at = random_below(map->len);
        struct value old = map->pairs[at].value, v = old;
        const char *name = arena_printf(&s->arena, "%.*s", STR_FMT(value_str(map->pairs[at].key)));
        if (old.kind == VALUE_INT)
            v = value_int((int64_t)random_below(200) - 20);
        else if (old.kind == VALUE_BOOL)
            v = value_bool(random_below(2));
        else
            v = random_below(4) ? value_cstr(texts[random_below(9)]) : value_null();
        if (strcmp(name, "mode") == 0 && v.kind == VALUE_NULL)
            v = value_cstr("enforce");
        in = with(s, in, section, name, v);
    }
    static const char *const classes[] = {"additive", "restrictive", "overwrite",
                                          "delete",   "destructive", "?"};
    if (random_below(2))
        in = with(s, in, NULL, "calls",
                  call(s, classes[random_below(6)], (int)random_below(40) - 2));
    return in;
}

static void test_risk__parts_sum_to_the_score(void **state)
{
    (void)state;
    struct scene s;
    struct value calm = calm_inputs(&s);
    for (seed = 1; seed < ROUNDS;) {
        uint64_t begin = seed;
        struct decide_decision d = again(&s, random_inputs(&s, calm));
        int sum = 0;
        assert_int_equal(d.risk.len, 6);
        for (uint32_t i = 0; i < d.risk.len; i++) {
            int points = (int)value_get(d.risk.items[i], STR("points"))->i;
            assert_true(points >= 0);
            assert_true(value_path_str(d.risk.items[i], "why").len > 0);
            sum += points;
        }
        assert_int_equal(sum, d.score);
        assert_true(d.action == DECIDE_ASK ? d.people >= 1 && d.people <= 2 : d.people == 0);
        seed = begin + 1;
    }
    scene_finish(&s);
}

/* Written as JSON, read back in another process, decided again: the same bytes. */
static void test_risk__a_stored_decision_taken_again_is_the_same(void **state)
{
    (void)state;
    struct scene s;
    struct value calm = calm_inputs(&s);
    size_t actions[6] = {0};
    for (seed = 1; seed < ROUNDS;) {
        uint64_t begin = seed;
        struct value in = random_inputs(&s, calm);
        struct decide_decision first = again(&s, in);
        struct value stored = scene_json(&s, scene_text(&s, in));
        struct decide_decision second = again(&s, stored);
        const char *a = scene_text(&s, decide_decision_value(&first, &s.arena));
        const char *b = scene_text(&s, decide_decision_value(&second, &s.arena));
        assert_string_equal(a, b);
        actions[first.action]++;
        seed = begin + 1;
    }
    for (size_t i = 0; i < 6; i++)
        assert_true(actions[i] > 0);
    scene_finish(&s);
}

/* What decide_guard() says is what decide_again() says of what it stored. */
static void test_risk__what_is_stored_is_all_that_it_rests_on(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, "mode: enforce",
                "mode: enforce, risk: 3, ask: size(tagging.TagSet) > 2, limit: {at_once: 3}, "
                "exempt: [{when: \"tagging.TagSet[1].Key == 'env0'\", owner: a, reason: b, "
                "until: 2027-01-01}]");
    for (seed = 1; seed < ROUNDS / 10;) {
        uint64_t begin = seed;
        struct decide_guards g = {.block = (int)random_below(6),
                                  .rollout = (int)random_below(4),
                                  .found_today = random_below(40),
                                  .past_bad = (int)random_below(3),
                                  .past_total = (int)random_below(9),
                                  .reversals = (int)random_below(5),
                                  .frozen = random_below(9) == 0,
                                  .locked_by = random_below(3) ? 0 : 7,
                                  .by_hand = random_below(4) == 0,
                                  .stopped = random_below(5) ? NULL : "the kill switch is on"};
        struct decide_decision d, second;
        struct value plan, inputs;
        scene_read(&s, random_tags(&s, random_below(5), ""));
        if (!decide_plan(&s.subject, &s.finding, clock_system(), &s.arena, &plan, &s.err))
            fail_msg("%s", s.err.message);
        decide_guard(&s.subject, &s.finding, plan, &g, &s.arena, &d, &inputs);
        second = again(&s, scene_json(&s, scene_text(&s, inputs)));
        assert_string_equal(scene_text(&s, decide_decision_value(&d, &s.arena)),
                            scene_text(&s, decide_decision_value(&second, &s.arena)));
        seed = begin + 1;
    }
    scene_finish(&s);
}

/* Whatever is missing or of another kind: no decision at all, rather than a milder one. */
static void test_risk__damaged_inputs_are_refused(void **state)
{
    (void)state;
    struct scene s;
    struct value calm = calm_inputs(&s);
    static const char *const sections[] = {"guards", "settings"};
    struct decide_decision d;
    size_t tried = 0;
    for (size_t k = 0; k < 2; k++) {
        const struct value *map = value_get(calm, str_from(sections[k]));
        for (uint32_t i = 0; i < map->len; i++) {
            struct str name = value_str(map->pairs[i].key);
            const char *text = arena_printf(&s.arena, "%.*s", STR_FMT(name));
            s.err = (struct error){0};
            assert_false(decide_again(without(&s, calm, sections[k], name), &s.arena, &d, &s.err));
            assert_string_equal(s.err.code, "D0006");
            assert_false(decide_again(with(&s, calm, sections[k], text, value_list(NULL, 0)),
                                      &s.arena, &d, &s.err));
            tried++;
        }
    }
    assert_true(tried > 20);
    assert_false(decide_again(value_null(), &s.arena, &d, &s.err));
    scene_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_risk__each_part_has_its_points),
        cmocka_unit_test(test_risk__the_score_picks_who_decides),
        cmocka_unit_test(test_risk__the_author_can_only_raise),
        cmocka_unit_test(test_risk__what_a_call_drops_is_counted),
        cmocka_unit_test(test_risk__adding_a_tag_never_lowers),
        cmocka_unit_test(test_risk__parts_sum_to_the_score),
        cmocka_unit_test(test_risk__a_stored_decision_taken_again_is_the_same),
        cmocka_unit_test(test_risk__what_is_stored_is_all_that_it_rests_on),
        cmocka_unit_test(test_risk__damaged_inputs_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
