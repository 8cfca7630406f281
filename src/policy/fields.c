// SPDX-License-Identifier: Apache-2.0
/* Typed access to YAML scalars, expressions in their place, and CEL types of AWS shapes. */
#include "policy/policy_internal.h"

#include "base/clock.h"
#include "base/map.h"

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

/* Shapes already turned into types, so that recursive ones refer to themselves. */
struct shape_types {
    struct arena *arena;
    struct map known; // address of the shape, as bytes
};

static const struct cel_type *shape_type(struct shape_types *types, const struct aws_shape *shape);

static const struct cel_type *structure_type(struct shape_types *types,
                                             const struct aws_shape *shape)
{
    const void **key = ARENA_NEW(types->arena, const void *);
    struct cel_type *record = cel_type_record(types->arena, aws_shape_name(shape));
    size_t count = aws_shape_member_count(shape);
    struct cel_field *fields = ARENA_ARRAY(types->arena, struct cel_field, count + 1);
    if (!key || !record || !fields)
        return cel_type_dyn();
    *key = shape;
    if (!map_set(&types->known, (struct str){(const char *)key, sizeof *key}, record))
        return cel_type_dyn();
    for (size_t i = 0; i < count; i++)
        fields[i] = (struct cel_field){aws_shape_member_name(shape, i),
                                       shape_type(types, aws_shape_member(shape, i))};
    cel_type_record_fields(record, fields, count);
    return record;
}

static const struct cel_type *shape_type(struct shape_types *types, const struct aws_shape *shape)
{
    const struct cel_type *known;
    if (!shape || aws_shape_is_document(shape))
        return cel_type_dyn();
    switch (aws_shape_kind(shape)) {
    case AWS_STRUCTURE:
        known = map_get(&types->known, (struct str){(const char *)&shape, sizeof(void *)});
        return known ? known : structure_type(types, shape);
    case AWS_LIST:
        return cel_type_list(types->arena, shape_type(types, aws_shape_item(shape)));
    case AWS_MAP:
        return cel_type_map(types->arena, cel_type_of(VALUE_STRING),
                            shape_type(types, aws_shape_item(shape)));
    case AWS_STRING:
        return cel_type_of(VALUE_STRING);
    case AWS_INTEGER:
    case AWS_LONG:
        return cel_type_of(VALUE_INT);
    case AWS_FLOAT:
    case AWS_DOUBLE:
        return cel_type_of(VALUE_DOUBLE);
    case AWS_BOOLEAN:
        return cel_type_of(VALUE_BOOL);
    case AWS_BLOB:
        return cel_type_of(VALUE_BYTES);
    case AWS_TIMESTAMP:
        return cel_type_of(VALUE_TIMESTAMP);
    }
    return cel_type_dyn();
}

const struct cel_type *policy_shape_type(struct arena *arena, const struct aws_shape *shape)
{
    struct shape_types types = {.arena = arena, .known = {.arena = arena}};
    return shape_type(&types, shape);
}
