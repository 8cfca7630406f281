// SPDX-License-Identifier: Apache-2.0
/* Typed access to YAML scalars, and expressions in their place. */
#include "policy/policy_internal.h"

#include "base/clock.h"

#include <stdio.h>

static bool keep_program(const struct yaml_file *file, const struct cel_program *program)
{
    struct yaml_programs *programs = file->programs;
    if (programs->count == programs->cap) {
        size_t cap = programs->cap ? programs->cap * 2 : 32;
        void *grown =
            arena_grow(file->arena, programs->items, programs->cap * sizeof *programs->items,
                       cap * sizeof *programs->items);
        if (!grown)
            return false;
        programs->items = grown;
        programs->cap = cap;
    }
    programs->items[programs->count++] = program;
    return true;
}

const struct cel_program *policy_compile(const struct policy_compiler *compiler,
                                         const struct yaml *node, struct str source,
                                         const struct cel_type *want)
{
    struct cel_origin origin = yaml_origin(node, source);
    const struct cel_program *program =
        cel_compile(compiler->env, node->file->arena, source, want, &origin, node->file->errors);
    if (!program || keep_program(node->file, program))
        return program;
    cel_program_finish(program);
    yaml_error(node, "P0199", NULL, "out of memory");
    return NULL;
}

struct str policy_text(const struct yaml *node, const char *fallback, bool *ok)
{
    if (!node)
        return str_from(fallback);
    if (node->kind == YAML_SCALAR)
        return node->text;
    yaml_error(node, "P0108", NULL, "expected text");
    *ok = false;
    return str_from(fallback);
}

int64_t policy_duration(const struct yaml *node, int64_t fallback_ms, bool *ok)
{
    int64_t ms;
    if (!node)
        return fallback_ms;
    if (node->kind == YAML_SCALAR && clock_parse_duration(node->text, &ms))
        return ms;
    yaml_error(node, "P0108", "write it like 90s, 5m, 12h or 7d", "not a duration");
    *ok = false;
    return fallback_ms;
}

int policy_count(const struct yaml *node, int fallback, bool *ok)
{
    int64_t n;
    if (!node)
        return fallback;
    struct str text = node->text;
    if (str_ends(text, STR("%")))
        text.len--;
    if (node->kind == YAML_SCALAR && str_to_int64(text, &n) && n >= 0 && n <= 1000000)
        return (int)n;
    yaml_error(node, "P0108", NULL, "not a number from 0 to 1000000");
    *ok = false;
    return fallback;
}

bool policy_words(const struct yaml *node, struct arena *arena, struct str **ret, size_t *ret_count)
{
    bool list = node && node->kind == YAML_LIST;
    size_t count = list ? node->count : node != NULL;
    *ret = ARENA_ARRAY(arena, struct str, count + 1);
    *ret_count = *ret ? count : 0;
    for (size_t i = 0; *ret && i < count; i++) {
        const struct yaml *one = list ? node->items[i] : node;
        if (one->kind != YAML_SCALAR || one->text.len == 0) {
            yaml_error(one, "P0106", NULL, "expected a word or a list of words");
            return false;
        }
        (*ret)[i] = one->text;
    }
    return *ret != NULL;
}

bool policy_flag(const struct yaml *node, bool fallback, bool *ok)
{
    struct value v;
    if (!node)
        return fallback;
    if (node->kind == YAML_SCALAR && yaml_value(node, &v) && v.kind == VALUE_BOOL)
        return v.b;
    yaml_error(node, "P0108", NULL, "expected true or false");
    *ok = false;
    return fallback;
}
