// SPDX-License-Identifier: Apache-2.0
/* What the programs of aws/ that read files of cases share: reading, counting, telling. */
#ifndef RECTIFY_TESTS_CONFORM_FILE_H
#define RECTIFY_TESTS_CONFORM_FILE_H

#include <stdio.h>
#include <stdlib.h>

#include "value/json.h"

struct conform_result {
    unsigned passed, failed, skipped, missing;
};

static inline bool conform_fail(struct conform_result *result, struct str name, const char *why)
{
    printf("FAIL %.*s: %s\n", STR_FMT(name), why);
    result->failed++;
    return false;
}

static inline bool conform_fail_text(struct conform_result *result, struct str name,
                                     struct str want, struct str got)
{
    printf("FAIL %.*s\n  wanted: %.*s\n  got:    %.*s\n", STR_FMT(name), STR_FMT(want),
           STR_FMT(got));
    result->failed++;
    return false;
}

static inline bool conform_read_text(const char *path, struct arena *arena, struct str *ret)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    struct buf out = {.arena = arena};
    char part[65536];
    for (size_t got; (got = fread(part, 1, sizeof(part), file)) > 0;)
        buf_add(&out, part, got);
    fclose(file);
    *ret = buf_str(&out);
    return ret->ptr || out.len == 0;
}

static inline bool conform_read(struct conform_result *result, const char *path,
                                struct arena *arena, struct value *ret)
{
    struct str text;
    struct error err;
    if (!conform_read_text(path, arena, &text)) {
        printf("skipped: %s is not there\n", path);
        result->missing++;
        return false;
    }
    if (!json_parse(arena, text, ret, &err)) {
        printf("FAIL %s: %s\n", path, err.message);
        result->failed++;
        return false;
    }
    return true;
}

static inline int conform_end(const struct conform_result *result)
{
    printf("%u passed, %u failed, %u skipped\n", result->passed, result->failed, result->skipped);
    if (result->failed)
        return EXIT_FAILURE;
    return result->passed == 0 && result->missing ? 77 : EXIT_SUCCESS;
}

#endif
