// SPDX-License-Identifier: Apache-2.0
/* What the tests of patterns share: sets from texts, matches as sets of tags. */
#ifndef RECTIFY_TESTS_PATTERN_FIXTURE_H
#define RECTIFY_TESTS_PATTERN_FIXTURE_H

#include "../cmocka_all.h"
#include "pattern/pattern.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct pattern_set *set;
    struct pattern_scratch *scratch;
    const uint32_t *tags;
    size_t count;
    struct error err;
};

/* Patterns get the tags 0, 1, ... */
static inline struct fixture fixture_compile(const char *const *patterns, size_t count)
{
    struct fixture f = {0};
    struct pattern_builder *builder = pattern_builder_create();
    assert_non_null(builder);
    for (size_t i = 0; i < count; i++)
        if (!pattern_builder_add(builder, str_from(patterns[i]), (uint32_t)i, &f.err))
            fail_msg("%s: %s", patterns[i], f.err.message);
    f.set = pattern_builder_finish(builder, &f.err);
    pattern_builder_destroy(builder);
    assert_non_null(f.set);
    f.scratch = pattern_scratch_create(f.set);
    assert_non_null(f.scratch);
    return f;
}

static inline void fixture_finish(struct fixture *f)
{
    pattern_scratch_destroy(f->scratch);
    pattern_set_destroy(f->set);
}

static inline bool fixture_match(struct fixture *f, struct str event,
                                 const struct pattern_options *options)
{
    return pattern_match(f->set, event, options, f->scratch, &f->tags, &f->count, &f->err);
}

/* Does one pattern match one event? Fails the test if either is refused. */
static inline bool matches(const char *pattern, const char *event)
{
    struct fixture f = fixture_compile(&pattern, 1);
    if (!fixture_match(&f, str_from(event), NULL))
        fail_msg("%s: %s", event, f.err.message);
    bool result = f.count == 1;
    fixture_finish(&f);
    return result;
}

/* The code with which the pattern is refused, or NULL. */
static inline const char *refusal(struct str pattern, struct error *err)
{
    struct pattern_builder *builder = pattern_builder_create();
    assert_non_null(builder);
    bool ok = pattern_builder_add(builder, pattern, 0, err);
    pattern_builder_destroy(builder);
    return ok ? NULL : err->code;
}

#endif
