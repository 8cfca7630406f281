// SPDX-License-Identifier: Apache-2.0
/* See cel_vectors.h. */
#include "cel_vectors.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cel/cel_internal.h"

static struct value member(struct value json, const char *name)
{
    const struct value *found = value_get(json, str_from(name));
    return found ? *found : value_null();
}

static struct str text(struct value json, const char *name)
{
    return value_str(member(json, name));
}

static const struct cel_type *simple_type(struct str name)
{
    static const struct {
        const char *name;
        const struct cel_type *type;
    } types[] = {
        {"int", &T_INT},
        {"INT64", &T_INT},
        {"uint", &T_UINT},
        {"UINT64", &T_UINT},
        {"bool", &T_BOOL},
        {"BOOL", &T_BOOL},
        {"double", &T_DOUBLE},
        {"DOUBLE", &T_DOUBLE},
        {"string", &T_STRING},
        {"STRING", &T_STRING},
        {"bytes", &T_BYTES},
        {"BYTES", &T_BYTES},
        {"null", &T_NULL},
        {"dyn", &T_DYN},
        {"ANY", &T_DYN},
        {"any", &T_DYN},
        {"timestamp", &T_TIMESTAMP},
        {"TIMESTAMP", &T_TIMESTAMP},
        {"duration", &T_DURATION},
        {"DURATION", &T_DURATION},
        {"google.protobuf.Timestamp", &T_TIMESTAMP},
        {"google.protobuf.Duration", &T_DURATION},
        {"google.protobuf.Value", &T_DYN},
        {"google.protobuf.Any", &T_DYN},
        {"google.protobuf.Struct", &T_MAP_STRING_DYN},
        {"google.protobuf.ListValue", &T_LIST_DYN},
        {"net.IP", &T_IP},
        {"net.CIDR", &T_CIDR},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_is(name, types[i].name))
            return types[i].type;
    return NULL;
}

/* A type parameter: T, U, V, ... each its own letter. */
static const struct cel_type *letter_type(struct arena *arena, struct str name)
{
    struct cel_type *type = type_make(arena, CT_PARAM, NULL, NULL);
    if (!type)
        return &T_DYN;
    unsigned letter = name.len ? (unsigned char)name.ptr[0] : 0;
    type->id = UINT32_MAX - letter % LETTERS_MAX;
    return type;
}

static const struct cel_type *named_type(struct arena *arena, struct str name, struct value params)
{
    if (str_is(name, "optional_type"))
        return cel_type_optional(arena, params.len ? vector_type(arena, params.items[0]) : &T_DYN);
    struct cel_type *type = ARENA_NEW(arena, struct cel_type);
    const struct cel_type **types = ARENA_ARRAY(arena, const struct cel_type *, params.len + 1);
    if (!type || !types)
        return &T_DYN;
    for (uint32_t i = 0; i < params.len; i++)
        types[i] = vector_type(arena, params.items[i]);
    *type = (struct cel_type){
        .kind = CT_OPAQUE, .count = (uint8_t)params.len, .params = types, .name = name};
    return type;
}

/* The message of the standard's checker tests, as a record: the fields that those tests use. */
static const char *const message_fields[][2] = {
    {"single_int32", "int"},
    {"single_int64", "int"},
    {"single_uint32", "uint"},
    {"single_uint64", "uint"},
    {"single_sint32", "int"},
    {"single_sint64", "int"},
    {"single_fixed32", "uint"},
    {"single_fixed64", "uint"},
    {"single_sfixed32", "int"},
    {"single_sfixed64", "int"},
    {"single_float", "double"},
    {"single_double", "double"},
    {"single_bool", "bool"},
    {"single_string", "string"},
    {"single_bytes", "bytes"},
    {"single_any", "any"},
    {"single_value", "dyn"},
    {"single_duration", "duration"},
    {"single_timestamp", "timestamp"},
    {"single_nested_enum", "int"},
    {"standalone_enum", "int"},
    {"single_struct", "google.protobuf.Struct"},
    {"list_value", "google.protobuf.ListValue"},
    {"single_bool_wrapper", "google.protobuf.BoolValue"},
    {"single_bytes_wrapper", "google.protobuf.BytesValue"},
    {"single_double_wrapper", "google.protobuf.DoubleValue"},
    {"single_float_wrapper", "google.protobuf.FloatValue"},
    {"single_int32_wrapper", "google.protobuf.Int32Value"},
    {"single_int64_wrapper", "google.protobuf.Int64Value"},
    {"single_string_wrapper", "google.protobuf.StringValue"},
    {"single_uint32_wrapper", "google.protobuf.UInt32Value"},
    {"single_uint64_wrapper", "google.protobuf.UInt64Value"},
    {"nestedgroup", "dyn"},
    {"map_int64_nested_type", "dyn"},
    {"map_string_string", "dyn"},
};
#define MESSAGE_FIELDS (sizeof message_fields / sizeof *message_fields)

static const struct cel_type *field_type(struct arena *arena, const char *name)
{
    const struct cel_type *type = simple_type(str_from(name));
    const struct message *message = type ? NULL : message_find(str_from(name));
    (void)arena;
    return message ? message->type : type ? type : &T_DYN;
}

static const struct cel_type *message_type(struct arena *arena, struct str name)
{
    static const struct cel_field nested = {{"bb", 2}, &T_INT};
    static const char *const repeated[] = {"int32", "int64",  "uint32", "uint64",
                                           "bool",  "string", "double"};
    struct cel_type *record = cel_type_record(arena, name);
    struct cel_type *inner =
        cel_type_record(arena, str_from(arena_printf(arena, "%.*s.NestedMessage", STR_FMT(name))));
    size_t count = 0;
    struct cel_field *list = ARENA_ARRAY(arena, struct cel_field, MESSAGE_FIELDS + 20);
    if (!record || !inner || !list)
        return &T_DYN;
    if (!str_ends(name, STR("TestAllTypes")))
        return record;
    for (size_t i = 0; i < MESSAGE_FIELDS; i++)
        list[count++] = (struct cel_field){str_from(message_fields[i][0]),
                                           field_type(arena, message_fields[i][1])};
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        struct str of = str_from(repeated[i]);
        while (of.len && of.ptr[of.len - 1] >= '0' && of.ptr[of.len - 1] <= '9')
            of.len--;
        list[count++] =
            (struct cel_field){str_from(arena_printf(arena, "repeated_%s", repeated[i])),
                               cel_type_list(arena, simple_type(of))};
    }
    cel_type_record_fields(inner, &nested, 1);
    list[count++] = (struct cel_field){STR("single_nested_message"), inner};
    list[count++] = (struct cel_field){STR("standalone_message"), inner};
    list[count++] = (struct cel_field){STR("repeated_nested_message"), cel_type_list(arena, inner)};
    cel_type_record_fields(record, list, count);
    return record;
}

static const struct cel_type *wrapper_type(struct arena *arena, struct str of)
{
    const struct cel_type *type = simple_type(of), *wrapper = NULL;
    if (type)
        wrapper = type_make(arena, CT_WRAPPER, type, NULL);
    return wrapper ? wrapper : &T_DYN;
}

const struct cel_type *vector_type(struct arena *arena, struct value json)
{
    struct str kind = text(json, "kind"), name = text(json, "name");
    struct value list = member(json, "listType"), map = member(json, "mapType"),
                 abstract = member(json, "abstractType");
    if (text(json, "primitive").len)
        return simple_type(text(json, "primitive"));
    if (str_is(kind, "list") || list.kind == VALUE_MAP)
        return cel_type_list(
            arena, vector_type(arena, list.len ? member(list, "elemType") : member(json, "elem")));
    if (str_is(kind, "map") || map.kind == VALUE_MAP)
        return cel_type_map(
            arena, vector_type(arena, map.len ? member(map, "keyType") : member(json, "key")),
            vector_type(arena, map.len ? member(map, "valueType") : member(json, "value")));
    if (str_is(kind, "param") || text(json, "typeParam").len)
        return letter_type(arena, name.len ? name : text(json, "typeParam"));
    if (str_is(kind, "abstract"))
        return named_type(arena, name, member(json, "params"));
    if (abstract.kind == VALUE_MAP)
        return named_type(arena, text(abstract, "name"), member(abstract, "parameterTypes"));
    if (str_is(kind, "wrapper") || text(json, "wrapper").len)
        return wrapper_type(arena, text(json, str_is(kind, "wrapper") ? "of" : "wrapper"));
    if (text(json, "messageType").len)
        name = text(json, "messageType");
    const struct cel_type *simple = simple_type(name.len   ? name
                                                : kind.len ? kind
                                                           : text(json, "wellKnown"));
    if (simple)
        return simple;
    const struct message *message = message_find(name);
    if (message)
        return message->type;
    return name.len ? message_type(arena, name) : &T_DYN;
}

/* ---- values ---- */

static struct value number(struct str type, const char *digits)
{
    if (str_is(type, "int"))
        return value_int(strtoll(digits, NULL, 10));
    if (str_is(type, "uint"))
        return value_uint(strtoull(digits, NULL, 10));
    return value_double(strtod(digits, NULL));
}

static bool list_value(struct arena *arena, struct value from, struct value *ret)
{
    struct value *items = ARENA_ARRAY(arena, struct value, from.len + 1);
    for (uint32_t i = 0; items && i < from.len; i++)
        if (!vector_value(arena, from.items[i], &items[i]))
            return false;
    *ret = value_list(items, from.len);
    return items != NULL;
}

static bool map_value(struct arena *arena, struct value from, struct value *ret)
{
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, from.len + 1);
    for (uint32_t i = 0; pairs && i < from.len; i++)
        if (!vector_value(arena, from.items[i].items[0], &pairs[i].key) ||
            !vector_value(arena, from.items[i].items[1], &pairs[i].value))
            return false;
    return pairs && value_map(arena, pairs, from.len, ret, NULL);
}

static struct value time_value(struct str type, struct value v)
{
    int64_t seconds = strtoll(text(v, "seconds").ptr ? text(v, "seconds").ptr : "0", NULL, 10);
    int64_t nanos = member(v, "nanos").i;
    if (str_is(type, "timestamp"))
        return (struct value){.kind = VALUE_TIMESTAMP, .i = seconds, .len = (uint32_t)nanos};
    return (struct value){.kind = VALUE_DURATION, .i = seconds * 1000000000 + nanos};
}

bool vector_value(struct arena *arena, struct value json, struct value *ret)
{
    struct str type = text(json, "type");
    struct value v = member(json, "value");
    struct str copy = str_copy(arena, value_str(v)), bytes = {0};
    if (str_is(type, "int") || str_is(type, "uint") || str_is(type, "double")) {
        *ret = number(type, copy.ptr);
    } else if (str_is(type, "bytes")) {
        if (v.len && !hash_from_base64(arena, value_str(v), &bytes))
            return false;
        *ret = value_bytes(bytes);
    } else if (str_is(type, "list")) {
        return list_value(arena, v, ret);
    } else if (str_is(type, "map")) {
        return map_value(arena, v, ret);
    } else if (str_is(type, "type")) {
        *ret = value_type_named(copy.ptr);
    } else if (str_is(type, "timestamp") || str_is(type, "duration")) {
        *ret = time_value(type, v);
    } else if (str_is(type, "object")) {
        struct value native = member(json, "native");
        return native.kind == VALUE_MAP && vector_value(arena, native, ret);
    } else if (str_is(type, "enum")) {
        return false;
    } else {
        *ret = v; // bool, string, null
    }
    return true;
}

/* ---- declarations ---- */

static bool declare_overload(struct cel_env *env, struct arena *arena, struct str name,
                             struct value json)
{
    struct cel_overload overload = {0};
    struct value params = member(json, "params"), result = member(json, "result");
    if (result.kind == VALUE_NULL)
        result = member(json, "resultType");
    if (params.len > CEL_ARGS_MAX)
        return false;
    overload.count = (uint8_t)params.len;
    for (uint32_t i = 0; i < params.len; i++)
        overload.args[i] = vector_type(arena, params.items[i]);
    overload.result = vector_type(arena, result);
    overload.member = member(json, "instance").b || member(json, "isInstanceFunction").b;
    return cel_env_declare(env, name, &overload);
}

/* The suite of comprehensions has the strings extension besides the core. */
static bool declare_strings(struct cel_env *env)
{
    for (unsigned i = 0; i < group_strings.count; i++) {
        const struct cel_function *function = &group_strings.functions[i];
        for (unsigned k = 0; k < function->count; k++)
            if (!cel_env_declare(env, str_from(function->name), &function->overloads[k]))
                return false;
    }
    return true;
}

/* What the reference checker's own tests take for granted. */
static bool declare_checker_defaults(struct cel_env *env, struct arena *arena)
{
    static const struct {
        const char *name;
        const struct cel_type *type;
    } variables[] = {{"is", &T_STRING}, {"ii", &T_INT},    {"iu", &T_UINT}, {"iz", &T_BOOL},
                     {"ib", &T_BYTES},  {"id", &T_DOUBLE}, {"ix", &T_NULL}};
    static const struct cel_overload fg_s = {.result = &T_STRING};
    static const struct cel_overload fi_s_s = {
        .result = &T_STRING, .args = {&T_STRING}, .count = 1, .member = true};
    unsigned slot;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (!cel_env_find(env, str_from(variables[i].name), &slot) &&
            !cel_env_add_variable(env, str_from(variables[i].name), variables[i].type, NULL, NULL))
            return false;
    static const char *const packages[] = {"google.expr.proto2.test.TestAllTypes",
                                           "google.expr.proto3.test.TestAllTypes"};
    for (size_t i = 0; i < 2; i++) {
        const char *constant = arena_printf(arena, "%s.NestedEnum.BAR", packages[i]);
        if (!constant ||
            !cel_env_add_record(env, message_type(arena, str_from(packages[i])), NULL) ||
            !cel_env_add_variable(env, str_from(constant), &T_INT, NULL, NULL))
            return false;
    }
    return cel_env_declare(env, STR("fg_s"), &fg_s) && cel_env_declare(env, STR("fi_s_s"), &fi_s_s);
}

bool vector_declare(struct cel_env *env, struct arena *arena, struct value test)
{
    struct value list = member(test, "type_env"), bindings = member(test, "bindings");
    if (list.kind != VALUE_LIST)
        list = member(test, "typeEnv");
    for (uint32_t i = 0; i < list.len; i++) {
        struct value item = list.items[i], ident = member(item, "ident"),
                     function = member(item, "function");
        struct str name = text(item, "name");
        if (ident.kind == VALUE_MAP) {
            struct value type =
                member(ident, "type").kind == VALUE_MAP ? member(ident, "type") : ident;
            if (!cel_env_add_variable(env, name, vector_type(arena, type), NULL, NULL))
                return false;
        }
        struct value overloads =
            function.kind == VALUE_LIST ? function : member(function, "overloads");
        for (uint32_t k = 0; k < overloads.len; k++)
            if (!declare_overload(env, arena, name, overloads.items[k]))
                return false;
    }
    if (str_is(text(test, "suite"), "comprehension") && !declare_strings(env))
        return false;
    if (member(test, "suite").kind == VALUE_STRING && !declare_checker_defaults(env, arena))
        return false;
    for (uint32_t i = 0; i < bindings.len; i++) {
        unsigned slot;
        struct str name = value_str(bindings.pairs[i].key);
        if (!cel_env_find(env, name, &slot) && !cel_env_add_variable(env, name, &T_DYN, NULL, NULL))
            return false;
    }
    return true;
}
