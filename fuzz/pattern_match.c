// SPDX-License-Identifier: Apache-2.0
/* Input: lines of patterns, then, behind the last newline, an event. What each pattern alone says,
 * all say together, in another order too and with the portable code; explanations agree. */
#include "pattern/pattern_internal.h"
#include "value/json.h"

#include "base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATTERNS_MAX 8

struct answer {
    bool read;
    uint64_t tags; // bits
    const char *code;
};

static struct answer ask(const struct str *patterns, const uint32_t *tags, size_t count,
                         struct str event, bool portable)
{
    struct answer answer = {0};
    struct error err = {0};
    const uint32_t *found;
    size_t found_count;
    struct pattern_builder *builder = pattern_builder_create();
    for (size_t i = 0; i < count; i++)
        if (!pattern_builder_add(builder, patterns[i], tags[i], &err))
            ENSURE(err.code && err.line >= 1);
    struct pattern_set *set = pattern_builder_finish(builder, &err);
    pattern_builder_destroy(builder);
    ENSURE(set);
    struct pattern_scratch *scratch = pattern_scratch_create(set);
    ENSURE(scratch);
    if (portable)
        pattern_scratch_use_portable(scratch);
    answer.read = pattern_match(set, event, NULL, scratch, &found, &found_count, &err);
    answer.code = answer.read ? NULL : err.code;
    for (size_t i = 0; answer.read && i < found_count; i++) {
        ENSURE(i == 0 || found[i - 1] < found[i]);
        answer.tags |= (uint64_t)1 << found[i];
    }
    pattern_scratch_destroy(scratch);
    pattern_set_destroy(set);
    return answer;
}

static void check_explanation(struct str pattern, struct str event, bool matches)
{
    ARENA_AUTO struct arena arena = {0};
    struct pattern_explanation explained;
    struct error err;
    if (pattern_explain(&arena, pattern, event, &explained, &err))
        ENSURE(explained.matches == matches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, patterns[PATTERNS_MAX], reversed[PATTERNS_MAX];
    uint32_t tags[PATTERNS_MAX], reversed_tags[PATTERNS_MAX];
    size_t count = 0;
    while (count < PATTERNS_MAX && str_find_byte(rest, '\n') != SIZE_MAX) {
        tags[count] = (uint32_t)count;
        patterns[count++] = str_cut(&rest, '\n');
    }
    for (size_t i = 0; i < count; i++) {
        reversed[i] = patterns[count - 1 - i];
        reversed_tags[i] = tags[count - 1 - i];
    }
    struct answer all = ask(patterns, tags, count, rest, false);
    struct answer again = ask(reversed, reversed_tags, count, rest, true);
    if (all.code && str_is(str_from(all.code), "G0207"))
        return 0; // steps are counted over all patterns: alone each may have enough
    ENSURE(all.read == again.read && all.tags == again.tags);
    ENSURE(all.read || str_is(str_from(all.code), again.code));
    for (size_t i = 0; i < count; i++) {
        struct answer alone = ask(&patterns[i], &tags[i], 1, rest, false);
        ENSURE(alone.read == all.read);
        ENSURE(!alone.read || alone.tags == (all.tags & (uint64_t)1 << i));
        if (alone.read)
            check_explanation(patterns[i], rest, alone.tags != 0);
    }
    return 0;
}
