// SPDX-License-Identifier: Apache-2.0
/* Where event-ruler behaves oddly: what was decided here, case by case. The cases themselves, with
 * what event-ruler does, are in tests/conform/pattern/pattern-quirks.json; this table is in their
 * order. */
#include "pattern_fixture.h"
#include "value/json.h"

#include <stdio.h>

enum outcome { MATCH, NO_MATCH, REFUSED, EVENT_REFUSED, ACCEPTED };

static const struct {
    const char *category;
    enum outcome decided;
    const char *why;
} decisions[] = {
    {"bug-number-as-hex", NO_MATCH, "a number is no address"},
    {"bug-number-as-hex", NO_MATCH, "a number is no address"},
    {"bug-quote", NO_MATCH, "quotes are not part of a value"},
    {"bug-quote", NO_MATCH, "quotes are not part of a value"},
    {"bug-quote", MATCH, "quotes are not part of a value"},
    {"bug-case-astral", MATCH, "every character matches itself"},
    {"bug-case-astral", NO_MATCH, "a character is not two question marks"},
    {"case-mapping", MATCH, "as event-ruler: full upper case"},
    {"case-mapping", NO_MATCH, "as event-ruler: neither lower nor upper case of U+00DF is ss"},
    {"case-mapping", MATCH, "as event-ruler: k is the lower case of U+212A"},
    {"case-mapping", NO_MATCH, "as event-ruler: U+212A is no case of k"},
    {"case-mapping", MATCH, "every character matches itself, titlecase letters too"},
    {"case-mapping", NO_MATCH, "as event-ruler: final sigma is no case of sigma"},
    {"ip-literal", MATCH, "as event-ruler: addresses, not texts"},
    {"ip-literal", MATCH, "as event-ruler: leading zeros are decimal"},
    {"ip-literal", MATCH, "as event-ruler: mapped addresses are IPv4"},
    {"ip-dns", NO_MATCH, "what is no literal is no address; nobody is asked"},
    {"cidr-syntax", REFUSED, "almost certainly a slip of the pen"},
    {"cidr-syntax", REFUSED, "almost certainly a slip of the pen"},
    {"cidr-syntax", REFUSED, "as event-ruler: a host is written as a plain string"},
    {"or-fallback", MATCH, "as event-ruler: else $or is an ordinary name"},
    {"or-fallback", MATCH, "as event-ruler: else $or is an ordinary name"},
    {"or-fallback", MATCH, "as event-ruler: else $or is an ordinary name"},
    {"trailing-text", REFUSED, "a file that was cut or joined must not pass"},
    {"trailing-text", EVENT_REFUSED, "two events on one line must not pass as one"},
    {"number-refused", ACCEPTED, "2e23 is the shortest text of its double"},
    {"number-jdk", MATCH, "9.999999999999998e+16 is the shortest text of its double"},
    {"number-extreme", ACCEPTED, "nothing is above the greatest double, which is no error"},
    {"number-big", NO_MATCH, "as event-ruler: not comparable"},
    {"number-big", MATCH, "as event-ruler: not comparable, so not equal"},
    {"number-api", NO_MATCH, "as event-ruler's string API: not comparable"},
    {"suffix-empty-number", NO_MATCH, "a number has no suffix"},
    {"empty-key", MATCH, "an empty key is a key"},
    {"empty-list", REFUSED, "as event-ruler, but with a reason"},
    {"lone-surrogate", EVENT_REFUSED, "no text can hold it, and expressions refuse it too"},
    {"array-absent-order", MATCH, "as event-ruler: decided in the order of the paths"},
    {"array-absent-order", NO_MATCH, "as event-ruler: decided in the order of the paths"},
    {"rule-interaction", NO_MATCH, "patterns do not disturb each other"},
    {"rule-interaction", NO_MATCH, "patterns do not disturb each other"},
    {"rule-interaction", MATCH, "patterns do not disturb each other"},
    {"undocumented", MATCH, "as event-ruler"},
};

static struct value load_quirks(struct arena *arena)
{
    static char text[1 << 16];
    struct error err;
    struct value root;
    FILE *file = fopen(getenv("PATTERN_QUIRKS"), "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_true(size < sizeof text);
    assert_true(json_parse(arena, (struct str){text, size}, &root, &err));
    const struct value *quirks = value_get(root, STR("quirks"));
    assert_non_null(quirks);
    return *quirks;
}

static enum outcome outcome_of_event(struct pattern_builder *builder, struct value quirk)
{
    struct error err;
    const uint32_t *tags;
    size_t count = 0;
    enum outcome outcome = ACCEPTED;
    struct pattern_set *set = pattern_builder_finish(builder, &err);
    struct pattern_scratch *scratch = set ? pattern_scratch_create(set) : NULL;
    assert_non_null(scratch);
    struct str event = value_path_str(quirk, "event");
    if (event.ptr && !pattern_match(set, event, NULL, scratch, &tags, &count, &err))
        outcome = EVENT_REFUSED;
    else if (event.ptr)
        outcome = count && tags[0] == 0 ? MATCH : NO_MATCH;
    pattern_scratch_destroy(scratch);
    pattern_set_destroy(set);
    return outcome;
}

static enum outcome outcome_of(struct value quirk)
{
    struct error err;
    struct pattern_builder *builder = pattern_builder_create();
    const struct value *others = value_get(quirk, STR("other_rules_first"));
    for (uint32_t i = 0; others && i < others->len; i++)
        assert_true(pattern_builder_add(builder, value_str(others->items[i]), 1 + i, &err));
    enum outcome outcome = REFUSED;
    if (pattern_builder_add(builder, value_path_str(quirk, "pattern"), 0, &err))
        outcome = outcome_of_event(builder, quirk);
    pattern_builder_destroy(builder);
    return outcome;
}

static void test_pattern_quirks__each_is_decided(void **state)
{
    ARENA_AUTO struct arena arena = {0};
    struct value quirks = load_quirks(&arena);
    (void)state;
    assert_int_equal(quirks.len, sizeof decisions / sizeof *decisions);
    for (uint32_t i = 0; i < quirks.len; i++) {
        struct str category = value_path_str(quirks.items[i], "category");
        if (!str_is(category, decisions[i].category))
            fail_msg("quirk %u is %.*s", i, STR_FMT(category));
        enum outcome outcome = outcome_of(quirks.items[i]);
        if (outcome != decisions[i].decided)
            fail_msg("quirk %u (%s): outcome %d, decided %d: %s", i, decisions[i].category, outcome,
                     decisions[i].decided, decisions[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pattern_quirks__each_is_decided)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
