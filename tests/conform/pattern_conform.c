// SPDX-License-Identifier: Apache-2.0
/* Runs files of pattern vectors: conform_pattern FILE... Two formats are known by their members:
 * "vectors" (one pattern and one event each) and "patterns" with "events" (all patterns loaded at
 * once, every event against them). Prints each failing id, then "N passed, N failed, N skipped";
 * exits with 1 if any failed, 2 if the file cannot be used. */
#include "pattern/pattern.h"
#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>

struct tally {
    unsigned passed, failed, skipped;
};

static void note(struct tally *tally, bool ok, const char *id, const char *what,
                 const struct error *err)
{
    if (ok) {
        tally->passed++;
        return;
    }
    tally->failed++;
    printf("%s: %s%s%s\n", id, what, err && err->code ? ": " : "",
           err && err->code ? err->message : "");
}

static bool flag(struct value v, const char *name, bool otherwise)
{
    const struct value *found = value_get(v, str_from(name));
    return found && found->kind == VALUE_BOOL ? found->b : otherwise;
}

static struct pattern_set *compile_one(struct str pattern, struct error *err)
{
    struct pattern_builder *builder = pattern_builder_create();
    struct pattern_set *set = NULL;
    if (builder && pattern_builder_add(builder, pattern, 1, err))
        set = pattern_builder_finish(builder, err);
    pattern_builder_destroy(builder);
    return set;
}

static void run_vector(struct value v, struct tally *tally)
{
    char id[128];
    struct error err = {0};
    const uint32_t *tags;
    size_t count = 0;
    struct str pattern = value_path_str(v, "pattern"), event = value_path_str(v, "event");
    snprintf(id, sizeof id, "%.*s", STR_FMT(value_path_str(v, "id")));
    struct pattern_set *set = compile_one(pattern, &err);
    if (!flag(v, "valid", true)) {
        note(tally, set == NULL, id, "the pattern must be refused", NULL);
        pattern_set_destroy(set);
        return;
    }
    if (!set) {
        note(tally, false, id, "the pattern was refused", &err);
        return;
    }
    struct pattern_scratch *scratch = pattern_scratch_create(set);
    bool read = scratch && pattern_match(set, event, NULL, scratch, &tags, &count, &err);
    if (!flag(v, "event_valid", true))
        note(tally, !read, id, "the event must be refused", NULL);
    else if (!read)
        note(tally, false, id, "the event was refused", &err);
    else if (flag(v, "matches", false) != (count > 0))
        note(tally, false, id, count ? "must not match" : "must match", NULL);
    else
        note(tally, true, id, "", NULL);
    pattern_scratch_destroy(scratch);
    pattern_set_destroy(set);
}

static bool same_tags(struct value wanted, const uint32_t *tags, size_t count)
{
    if (wanted.len != count)
        return false;
    for (uint32_t i = 0; i < wanted.len; i++)
        if (wanted.items[i].i != (int64_t)tags[i])
            return false;
    return true;
}

static void run_events(const struct pattern_set *set, struct value events, struct value matches,
                       struct tally *tally)
{
    struct pattern_scratch *scratch = pattern_scratch_create(set);
    for (uint32_t i = 0; scratch && i < events.len; i++) {
        char id[64];
        struct error err = {0};
        const uint32_t *tags = NULL;
        size_t count = 0;
        snprintf(id, sizeof id, "event %u", i);
        if (!pattern_match(set, value_str(events.items[i]), NULL, scratch, &tags, &count, &err))
            note(tally, false, id, "the event was refused", &err);
        else
            note(tally, same_tags(matches.items[i], tags, count), id, "other patterns match", NULL);
    }
    pattern_scratch_destroy(scratch);
}

static void run_matrix(struct value patterns, struct value events, struct value matches,
                       struct tally *tally)
{
    struct error err = {0};
    struct pattern_builder *builder = pattern_builder_create();
    for (uint32_t i = 0; builder && i < patterns.len; i++) {
        char id[64];
        snprintf(id, sizeof id, "pattern %u", i);
        if (!pattern_builder_add(builder, value_str(patterns.items[i]), i, &err))
            note(tally, false, id, "the pattern was refused", &err);
    }
    struct pattern_set *set = builder ? pattern_builder_finish(builder, &err) : NULL;
    pattern_builder_destroy(builder);
    if (set && matches.len == events.len)
        run_events(set, events, matches, tally);
    else
        note(tally, false, "matrix", "cannot be loaded", &err);
    pattern_set_destroy(set);
}

static bool read_file(struct arena *arena, const char *path, struct str *ret)
{
    FILE *file = fopen(path, "rb");
    struct buf text = {.arena = arena};
    char block[65536];
    size_t got;
    if (!file)
        return false;
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        buf_add(&text, block, got);
    bool ok = !ferror(file);
    fclose(file);
    *ret = buf_str(&text);
    return ok && ret->ptr;
}

static bool run_root(struct value root, struct tally *tally)
{
    const struct value *vectors = value_get(root, STR("vectors"));
    const struct value *patterns = value_get(root, STR("patterns"));
    const struct value *events = value_get(root, STR("events"));
    const struct value *matches = value_get(root, STR("matches"));
    if (vectors && vectors->kind == VALUE_LIST) {
        for (uint32_t i = 0; i < vectors->len; i++)
            run_vector(vectors->items[i], tally);
        return true;
    }
    if (!patterns || !events || !matches || patterns->kind != VALUE_LIST ||
        events->kind != VALUE_LIST || matches->kind != VALUE_LIST)
        return false;
    run_matrix(*patterns, *events, *matches, tally);
    return true;
}

static bool run_file(const char *path, struct tally *tally)
{
    ARENA_AUTO struct arena arena = {0};
    struct error err = {0};
    struct value root;
    struct str text;
    if (!read_file(&arena, path, &text))
        fprintf(stderr, "%s: cannot be read\n", path);
    else if (!json_parse(&arena, text, &root, &err))
        fprintf(stderr, "%s: %s\n", path, err.message);
    else if (run_root(root, tally))
        return true;
    else
        fprintf(stderr, "%s: no vectors in it\n", path);
    return false;
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    bool ok = argc > 1;
    if (!ok)
        fprintf(stderr, "usage: conform_pattern FILE...\n");
    for (int i = 1; i < argc; i++)
        ok &= run_file(argv[i], &tally);
    printf("%u passed, %u failed, %u skipped\n", tally.passed, tally.failed, tally.skipped);
    return !ok ? 2 : tally.failed ? 1 : 0;
}
