// SPDX-License-Identifier: Apache-2.0
/* What a policy's variables are: CEL types of AWS shapes and of parameters, and whether data that a
 * policy writes down is of them. */
#include "policy/policy_internal.h"

#include "base/map.h"

#include <stdio.h>

/* ---- shapes to types ---- */

/* Shapes already turned into types, so that recursive ones refer to themselves. */
struct shape_types {
    struct arena *arena;
    bool stored;
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
        return types->stored ? cel_type_dyn() : cel_type_of(VALUE_DOUBLE);
    case AWS_BOOLEAN:
        return cel_type_of(VALUE_BOOL);
    case AWS_BLOB:
        return types->stored ? cel_type_dyn() : cel_type_of(VALUE_BYTES);
    case AWS_TIMESTAMP:
        return types->stored ? cel_type_dyn() : cel_type_of(VALUE_TIMESTAMP);
    }
    return cel_type_dyn();
}

const struct cel_type *policy_shape_type(struct arena *arena, const struct aws_shape *shape,
                                         bool stored)
{
    struct shape_types types = {.arena = arena, .stored = stored, .known = {.arena = arena}};
    return shape_type(&types, shape);
}

/* ---- data of a shape ---- */

static bool not_of(const struct yaml *node, const char *wanted, const char *hint)
{
    yaml_error(node, "P0126", hint, "the service's model wants %s here", wanted);
    return false;
}

static const struct aws_shape *member_of(const struct aws_shape *shape, const struct yaml *key)
{
    size_t count = aws_shape_member_count(shape);
    const char **names = ARENA_ARRAY(key->file->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct str name = aws_shape_member_name(shape, i);
        if (str_eq(name, key->text))
            return aws_shape_member(shape, i);
        if (names)
            names[i] = arena_copy(key->file->arena, name.ptr, name.len);
    }
    for (size_t i = 0; names && i < count; i++)
        if (!names[i])
            names = NULL;
    const char *near = names ? str_nearest(key->text, names, count) : NULL;
    char hint[200] = "";
    if (near)
        snprintf(hint, sizeof hint, "did you mean `%s`?", near);
    yaml_error(key, "P0126", hint, "%.*s has no member `%.*s`", STR_FMT(aws_shape_name(shape)),
               STR_FMT(key->text));
    return NULL;
}

static bool structure_conforms(const struct yaml *node, const struct aws_shape *shape)
{
    bool ok = true;
    if (node->kind != YAML_MAP)
        return not_of(node, "a mapping", "write {} for nothing");
    for (size_t i = 0; i < node->count; i++) {
        const struct aws_shape *member = member_of(shape, node->keys[i]);
        ok = member && policy_value_conforms(node->items[i], member) && ok;
    }
    return ok;
}

static bool items_conform(const struct yaml *node, const struct aws_shape *shape)
{
    bool ok = true, map = aws_shape_kind(shape) == AWS_MAP;
    if (node->kind != (map ? YAML_MAP : YAML_LIST))
        return not_of(node, map ? "a mapping" : "a list",
                      map ? "write {} for nothing" : "write [] for nothing");
    for (size_t i = 0; i < node->count; i++)
        ok = policy_value_conforms(node->items[i], aws_shape_item(shape)) && ok;
    return ok;
}

static bool scalar_conforms(const struct yaml *node, enum aws_shape_kind kind)
{
    struct value v = value_null();
    if (node->kind == YAML_SCALAR && !yaml_value(node, &v))
        return false;
    switch (kind) {
    case AWS_STRING:
        return v.kind == VALUE_STRING || not_of(node, "text", "quote it if it is meant as text");
    case AWS_INTEGER:
    case AWS_LONG:
        return v.kind == VALUE_INT || not_of(node, "a whole number", NULL);
    case AWS_FLOAT:
    case AWS_DOUBLE:
        return v.kind == VALUE_DOUBLE || not_of(node, "a number with a point", "such as 1.0");
    case AWS_BOOLEAN:
        return v.kind == VALUE_BOOL || not_of(node, "true or false", NULL);
    default:
        return not_of(node, "what YAML cannot say (a time or bytes)", "leave it out");
    }
}

bool policy_value_conforms(const struct yaml *node, const struct aws_shape *shape)
{
    if (!shape || aws_shape_is_document(shape))
        return true;
    switch (aws_shape_kind(shape)) {
    case AWS_STRUCTURE:
        return structure_conforms(node, shape);
    case AWS_LIST:
    case AWS_MAP:
        return items_conform(node, shape);
    default:
        return scalar_conforms(node, aws_shape_kind(shape));
    }
}

/* ---- parameters ---- */

static const struct {
    const char *name;
    enum value_kind kind;
} param_types[] = {{"string", VALUE_STRING}, {"int", VALUE_INT},   {"double", VALUE_DOUBLE},
                   {"bool", VALUE_BOOL},     {"list", VALUE_LIST}, {"map", VALUE_MAP}};
#define PARAM_TYPES (sizeof param_types / sizeof *param_types)

bool policy_param_kind(const struct yaml *type, enum value_kind *ret)
{
    for (size_t i = 0; type->kind == YAML_SCALAR && i < PARAM_TYPES; i++) {
        if (str_is(type->text, param_types[i].name)) {
            *ret = param_types[i].kind;
            return true;
        }
    }
    yaml_error(type, "P0124", "string, int, double, bool, list or map",
               "`%.*s` is not a type of a parameter", STR_FMT(type->text));
    return false;
}

bool policy_param_fits(const struct yaml *node, enum value_kind kind, const char *what)
{
    struct value v;
    if (!yaml_value(node, &v))
        return false;
    if (kind == VALUE_NULL || v.kind == kind)
        return true;
    for (size_t i = 0; i < PARAM_TYPES; i++)
        if (param_types[i].kind == kind)
            yaml_error(node, "P0124",
                       kind == VALUE_DOUBLE ? "such as 1.0" : "quote it if it is meant as text",
                       "%s is not a %s", what, param_types[i].name);
    return false;
}

const struct cel_type *policy_params_type(struct arena *arena, const struct policy *policy)
{
    struct cel_type *record = cel_type_record(arena, STR("params"));
    struct cel_field *fields = ARENA_ARRAY(arena, struct cel_field, policy->param_count + 1);
    if (!record || !fields)
        return cel_type_dyn();
    for (size_t i = 0; i < policy->param_count; i++) {
        enum value_kind kind = policy->param_types[i].kind;
        const struct cel_type *type =
            kind == VALUE_NULL || !policy->param_types[i].has_default ? cel_type_dyn()
            : kind == VALUE_MAP ? cel_type_map(arena, cel_type_of(VALUE_STRING), cel_type_dyn())
                                : cel_type_of(kind);
        fields[i] = (struct cel_field){policy->param_types[i].name, type};
    }
    cel_type_record_fields(record, fields, policy->param_count);
    return record;
}
