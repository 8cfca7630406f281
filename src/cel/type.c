// SPDX-License-Identifier: Apache-2.0
/* The types of the language: the simple ones, constructors, records, and their text. Immutable but
 * for records, which get their fields after their creation. Any thread. */
#include "cel/cel_internal.h"

#define SIMPLE(kind_)                                                                              \
    {                                                                                              \
        .kind = (kind_)                                                                            \
    }
#define PARAMS(...)                                                                                \
    .count = sizeof((const struct cel_type *[]){__VA_ARGS__}) / sizeof(void *),                    \
    .params = (const struct cel_type *const[])                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

const struct cel_type T_DYN = SIMPLE(CT_DYN), T_ERROR = SIMPLE(CT_ERROR), T_NULL = SIMPLE(CT_NULL),
                      T_BOOL = SIMPLE(CT_BOOL), T_INT = SIMPLE(CT_INT), T_UINT = SIMPLE(CT_UINT),
                      T_DOUBLE = SIMPLE(CT_DOUBLE), T_STRING = SIMPLE(CT_STRING),
                      T_BYTES = SIMPLE(CT_BYTES), T_TIMESTAMP = SIMPLE(CT_TIMESTAMP),
                      T_DURATION = SIMPLE(CT_DURATION);
const struct cel_type T_A = {.kind = CT_PARAM, .id = UINT32_MAX};
const struct cel_type T_B = {.kind = CT_PARAM, .id = UINT32_MAX - 1};
const struct cel_type T_IP = {.kind = CT_OPAQUE, .aux = OPAQUE_IP, .name = {"net.IP", 6}};
const struct cel_type T_CIDR = {.kind = CT_OPAQUE, .aux = OPAQUE_CIDR, .name = {"net.CIDR", 8}};
const struct cel_type T_TYPE = {.kind = CT_TYPE, PARAMS(&T_DYN)};
const struct cel_type T_TYPE_A = {.kind = CT_TYPE, PARAMS(&T_A)};
const struct cel_type T_OPTIONAL = {.kind = CT_OPTIONAL, PARAMS(&T_DYN)};
const struct cel_type T_OPTIONAL_A = {.kind = CT_OPTIONAL, PARAMS(&T_A)};
const struct cel_type T_OPTIONAL_B = {.kind = CT_OPTIONAL, PARAMS(&T_B)};
const struct cel_type T_OPTIONAL_STRING = {.kind = CT_OPTIONAL, PARAMS(&T_STRING)};
const struct cel_type T_LIST_DYN = {.kind = CT_LIST, PARAMS(&T_DYN)};
const struct cel_type T_LIST_A = {.kind = CT_LIST, PARAMS(&T_A)};
const struct cel_type T_LIST_STRING = {.kind = CT_LIST, PARAMS(&T_STRING)};
const struct cel_type T_LIST_INT = {.kind = CT_LIST, PARAMS(&T_INT)};
const struct cel_type T_LIST_UINT = {.kind = CT_LIST, PARAMS(&T_UINT)};
const struct cel_type T_LIST_DOUBLE = {.kind = CT_LIST, PARAMS(&T_DOUBLE)};
const struct cel_type T_LIST_BOOL = {.kind = CT_LIST, PARAMS(&T_BOOL)};
const struct cel_type T_LIST_BYTES = {.kind = CT_LIST, PARAMS(&T_BYTES)};
const struct cel_type T_LIST_TIMESTAMP = {.kind = CT_LIST, PARAMS(&T_TIMESTAMP)};
const struct cel_type T_LIST_DURATION = {.kind = CT_LIST, PARAMS(&T_DURATION)};
const struct cel_type T_LIST_B = {.kind = CT_LIST, PARAMS(&T_B)};
const struct cel_type T_LIST_CIDR = {.kind = CT_LIST, PARAMS(&T_CIDR)};
const struct cel_type T_LIST_LIST_A = {.kind = CT_LIST, PARAMS(&T_LIST_A)};
const struct cel_type T_LIST_LIST_INT = {.kind = CT_LIST, PARAMS(&T_LIST_INT)};
const struct cel_type T_LIST_OPTIONAL_A = {.kind = CT_LIST, PARAMS(&T_OPTIONAL_A)};
const struct cel_type T_MAP_DYN = {.kind = CT_MAP, PARAMS(&T_DYN, &T_DYN)};
const struct cel_type T_MAP_AB = {.kind = CT_MAP, PARAMS(&T_A, &T_B)};
const struct cel_type T_MAP_STRING_DYN = {.kind = CT_MAP, PARAMS(&T_STRING, &T_DYN)};
const struct cel_type T_MAP_STRING_STRING = {.kind = CT_MAP, PARAMS(&T_STRING, &T_STRING)};
const struct cel_type T_LIST_MAP = {.kind = CT_LIST, PARAMS(&T_MAP_STRING_DYN)};
const struct cel_type T_OPTIONAL_LIST_A = {.kind = CT_OPTIONAL, PARAMS(&T_LIST_A)};
const struct cel_type T_OPTIONAL_MAP_AB = {.kind = CT_OPTIONAL, PARAMS(&T_MAP_AB)};

/* Names that denote types in expressions, with the name that type() prints. */
static const struct {
    const char *name, *run_time;
    const struct cel_type *type;
} names[] = {
    {"null_type", "null_type", &T_NULL},
    {"bool", "bool", &T_BOOL},
    {"int", "int", &T_INT},
    {"uint", "uint", &T_UINT},
    {"double", "double", &T_DOUBLE},
    {"string", "string", &T_STRING},
    {"bytes", "bytes", &T_BYTES},
    {"list", "list", &T_LIST_DYN},
    {"map", "map", &T_MAP_DYN},
    {"type", "type", &T_TYPE},
    {"google.protobuf.Timestamp", "google.protobuf.Timestamp", &T_TIMESTAMP},
    {"google.protobuf.Duration", "google.protobuf.Duration", &T_DURATION},
    {"optional_type", "optional_type", &T_OPTIONAL},
    {"net.IP", "net.IP", &T_IP},
    {"net.CIDR", "net.CIDR", &T_CIDR},
};
#define NAMES (sizeof names / sizeof *names)

const struct cel_type *type_named(struct str name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (str_is(name, names[i].name))
            return names[i].type;
    return NULL;
}

const char *type_run_time_name(const struct cel_type *type)
{
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].type == type || (names[i].type->kind == type->kind && type->kind != CT_OPAQUE))
            return names[i].run_time;
    return type->kind == CT_OPAQUE ? (type->aux == OPAQUE_IP ? "net.IP" : "net.CIDR") : "map";
}

const struct cel_type *cel_type_dyn(void)
{
    return &T_DYN;
}

const struct cel_type *cel_type_ip(void)
{
    return &T_IP;
}

const struct cel_type *cel_type_cidr(void)
{
    return &T_CIDR;
}

const struct cel_type *cel_type_of(enum value_kind simple_kind)
{
    static const struct cel_type *const types[] = {
        [VALUE_NULL] = &T_NULL,   [VALUE_BOOL] = &T_BOOL,           [VALUE_INT] = &T_INT,
        [VALUE_UINT] = &T_UINT,   [VALUE_DOUBLE] = &T_DOUBLE,       [VALUE_STRING] = &T_STRING,
        [VALUE_BYTES] = &T_BYTES, [VALUE_LIST] = &T_LIST_DYN,       [VALUE_MAP] = &T_MAP_DYN,
        [VALUE_TYPE] = &T_TYPE,   [VALUE_TIMESTAMP] = &T_TIMESTAMP, [VALUE_OPTIONAL] = &T_OPTIONAL,
        [VALUE_OPAQUE] = &T_DYN,  [VALUE_DURATION] = &T_DURATION,
    };
    return (unsigned)simple_kind < sizeof types / sizeof *types ? types[simple_kind] : &T_DYN;
}

struct cel_type *type_make(struct arena *arena, enum type_kind kind, const struct cel_type *a,
                           const struct cel_type *b)
{
    struct cel_type *type = ARENA_NEW(arena, struct cel_type);
    const struct cel_type **params = ARENA_ARRAY(arena, const struct cel_type *, 2);
    if (!type || !params)
        return NULL;
    params[0] = a;
    params[1] = b;
    *type = (struct cel_type){
        .kind = (uint8_t)kind, .count = (uint8_t)((a != NULL) + (b != NULL)), .params = params};
    return type;
}

static const struct cel_type *or_dyn(const struct cel_type *type)
{
    return type ? type : &T_DYN;
}

const struct cel_type *cel_type_list(struct arena *arena, const struct cel_type *item)
{
    return or_dyn(type_make(arena, CT_LIST, item, NULL));
}

const struct cel_type *cel_type_map(struct arena *arena, const struct cel_type *key,
                                    const struct cel_type *value)
{
    return or_dyn(type_make(arena, CT_MAP, key, value));
}

const struct cel_type *cel_type_optional(struct arena *arena, const struct cel_type *value)
{
    return or_dyn(type_make(arena, CT_OPTIONAL, value, NULL));
}

struct cel_type *cel_type_record(struct arena *arena, struct str name)
{
    struct cel_type *type = ARENA_NEW(arena, struct cel_type);
    if (type)
        *type = (struct cel_type){.kind = CT_RECORD, .name = name};
    return type;
}

void cel_type_record_fields(struct cel_type *record, const struct cel_field *fields, size_t count)
{
    record->fields = fields;
    record->field_count = count;
}

void cel_type_record_lookup(struct cel_type *record,
                            const struct cel_type *(*lookup)(const void *ctx, struct str name),
                            struct str (*field_names)(const void *ctx, size_t position),
                            const void *ctx)
{
    record->lookup = lookup;
    record->names = field_names;
    record->ctx = ctx;
}

const struct cel_type *type_field(const struct cel_type *record, struct str name)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (str_eq(record->fields[i].name, name))
            return record->fields[i].type;
    return record->lookup ? record->lookup(record->ctx, name) : NULL;
}

static void nearer(struct str typed, struct str candidate, unsigned *best, struct str *ret)
{
    unsigned distance = str_eq_nocase(typed, candidate) ? 0 : str_distance(typed, candidate, *best);
    if (candidate.len && distance < *best) {
        *best = distance;
        *ret = candidate;
    }
}

const char *type_field_nearest(struct arena *arena, const struct cel_type *record, struct str name)
{
    unsigned best = 2 + (unsigned)(name.len > 64 ? 16 : name.len / 4);
    struct str found = {0};
    for (size_t i = 0; i < record->field_count; i++)
        nearer(name, record->fields[i].name, &best, &found);
    for (size_t i = 0; record->names; i++) {
        struct str candidate = record->names(record->ctx, i);
        if (!candidate.len)
            break;
        nearer(name, candidate, &best, &found);
    }
    return found.len ? arena_copy(arena, found.ptr, found.len) : NULL;
}

const struct cel_type *cel_type_item(const struct cel_type *list)
{
    return list->kind == CT_LIST ? list->params[0] : &T_DYN;
}

bool cel_type_equal(const struct cel_type *a, const struct cel_type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->count != b->count || a->id != b->id || !str_eq(a->name, b->name))
        return false;
    if (a->kind == CT_RECORD)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (!cel_type_equal(a->params[i], b->params[i]))
            return false;
    return true;
}

static void add_params(struct buf *out, const struct cel_type *type, unsigned depth);

static void add_text(struct buf *out, const struct cel_type *type, unsigned depth)
{
    static const char *const simple[] = {
        [CT_DYN] = "dyn",
        [CT_ERROR] = "*error*",
        [CT_NULL] = "null",
        [CT_BOOL] = "bool",
        [CT_INT] = "int",
        [CT_UINT] = "uint",
        [CT_DOUBLE] = "double",
        [CT_STRING] = "string",
        [CT_BYTES] = "bytes",
        [CT_LIST] = "list",
        [CT_MAP] = "map",
        [CT_TYPE] = "type",
        [CT_OPTIONAL] = "optional_type",
        [CT_WRAPPER] = "wrapper",
        [CT_PARAM] = "",
        [CT_TIMESTAMP] = "google.protobuf.Timestamp",
        [CT_DURATION] = "google.protobuf.Duration",
    };
    if (depth > 16) {
        buf_add_cstr(out, "...");
    } else if (type->kind == CT_PARAM) {
        if (type->id >= T_B.id)
            buf_add_byte(out, type->id == T_A.id ? 'A' : 'B');
        else
            buf_add_cstr(out, "_");
    } else {
        if (type->kind == CT_OPAQUE || type->kind == CT_RECORD)
            buf_add_str(out, type->name);
        else
            buf_add_cstr(out, simple[type->kind]);
        if (type->count)
            add_params(out, type, depth);
    }
}

static void add_params(struct buf *out, const struct cel_type *type, unsigned depth)
{
    for (unsigned i = 0; i < type->count; i++) {
        buf_add_cstr(out, i ? ", " : "(");
        add_text(out, type->params[i], depth + 1);
    }
    buf_add_byte(out, ')');
}

const char *cel_type_text(struct arena *arena, const struct cel_type *type)
{
    struct buf out = {.arena = arena};
    add_text(&out, type, 0);
    struct str text = buf_str(&out);
    return text.ptr ? text.ptr : "dyn";
}
