// SPDX-License-Identifier: Apache-2.0
/* The few well-known messages that stand for plain values: wrappers, JSON values, times.
 * `Int64Value{value: 3}` is just 3 that could also have been null. There are no other messages:
 * records that an environment declares are built as maps. */
#include "cel/cel_internal.h"

static const struct cel_type *const of_bool[] = {&T_BOOL}, *const of_bytes[] = {&T_BYTES},
                                    *const of_double[] = {&T_DOUBLE}, *const of_int[] = {&T_INT},
                                    *const of_string[] = {&T_STRING}, *const of_uint[] = {&T_UINT};
#define WRAPPER(params_)                                                                           \
    {                                                                                              \
        .kind = CT_WRAPPER, .count = 1, .params = (params_)                                        \
    }
static const struct cel_type wrapped_bool = WRAPPER(of_bool), wrapped_bytes = WRAPPER(of_bytes),
                             wrapped_double = WRAPPER(of_double), wrapped_int = WRAPPER(of_int),
                             wrapped_string = WRAPPER(of_string), wrapped_uint = WRAPPER(of_uint);

#define MESSAGE(name_)                                                                             \
    {                                                                                              \
        "google.protobuf." name_, sizeof "google.protobuf." name_ - 1                              \
    }
static const struct message messages[] = {
    {MESSAGE("BoolValue"), &wrapped_bool, VALUE_BOOL, {{"value", &T_BOOL}}},
    {MESSAGE("BytesValue"), &wrapped_bytes, VALUE_BYTES, {{"value", &T_BYTES}}},
    {MESSAGE("DoubleValue"), &wrapped_double, VALUE_DOUBLE, {{"value", &T_DOUBLE}}},
    {MESSAGE("FloatValue"), &wrapped_double, VALUE_DOUBLE, {{"value", &T_DOUBLE}}},
    {MESSAGE("Int32Value"), &wrapped_int, VALUE_INT, {{"value", &T_INT}}},
    {MESSAGE("Int64Value"), &wrapped_int, VALUE_INT, {{"value", &T_INT}}},
    {MESSAGE("StringValue"), &wrapped_string, VALUE_STRING, {{"value", &T_STRING}}},
    {MESSAGE("UInt32Value"), &wrapped_uint, VALUE_UINT, {{"value", &T_UINT}}},
    {MESSAGE("UInt64Value"), &wrapped_uint, VALUE_UINT, {{"value", &T_UINT}}},
    {MESSAGE("ListValue"), &T_LIST_DYN, VALUE_LIST, {{"values", &T_LIST_DYN}}},
    {MESSAGE("Struct"), &T_MAP_STRING_DYN, VALUE_MAP, {{"fields", &T_MAP_STRING_DYN}}},
    {MESSAGE("Value"),
     &T_DYN,
     VALUE_NULL,
     {{"null_value", &T_DYN},
      {"number_value", &T_DOUBLE},
      {"string_value", &T_STRING},
      {"bool_value", &T_BOOL},
      {"struct_value", &T_MAP_STRING_DYN},
      {"list_value", &T_LIST_DYN}}},
    {MESSAGE("Timestamp"), &T_TIMESTAMP, VALUE_TIMESTAMP, {{"seconds", &T_INT}, {"nanos", &T_INT}}},
    {MESSAGE("Duration"), &T_DURATION, VALUE_DURATION, {{"seconds", &T_INT}, {"nanos", &T_INT}}},
};

const struct message *message_find(struct str name)
{
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (str_eq(name, messages[i].name))
            return &messages[i];
    return NULL;
}

const struct cel_type *message_field(const struct message *message, struct str name)
{
    for (size_t i = 0; i < MESSAGE_FIELDS_MAX && message->fields[i].name; i++)
        if (str_is(name, message->fields[i].name))
            return message->fields[i].type;
    return NULL;
}

/* Seconds and nanos of a time; false when they do not fit. */
static bool time_of(const struct node *n, const struct value *values, struct value *ret)
{
    __int128 nanos = 0;
    for (uint32_t i = 0; i < n->count; i++)
        nanos += (__int128)values[i].i * (str_is(n->ast->fields[i], "seconds") ? 1000000000 : 1);
    if (ret->kind == VALUE_DURATION) {
        ret->i = (int64_t)nanos;
        return nanos == ret->i;
    }
    __int128 seconds = nanos / 1000000000 - (nanos % 1000000000 < 0);
    ret->i = (int64_t)seconds;
    ret->len = (uint32_t)(nanos - seconds * 1000000000);
    return seconds >= TIME_SECONDS_MIN && seconds <= TIME_SECONDS_MAX;
}

struct value ev_message(struct cel_cx *cx, const struct node *n)
{
    const struct message *message = n->ast->message;
    struct value values[MESSAGE_FIELDS_MAX] = {0}, result = {.kind = (uint8_t)message->kind};
    for (uint32_t i = 0; i < n->count; i++) {
        values[i] = n->args[i]->eval(cx, n->args[i]);
        if (values[i].kind == CEL_FAILED)
            return values[i];
    }
    cx->cost--;
    if (message->kind == VALUE_TIMESTAMP || message->kind == VALUE_DURATION) {
        if (time_of(n, values, &result))
            return result;
        struct value failed = cx_fail(cx, "C0205", "%.*s out of range", STR_FMT(message->name));
        cx->fail.pos = n->pos;
        cx->fail.end = n->end;
        return failed;
    }
    bool null_field = n->count && str_is(n->ast->fields[0], "null_value");
    return n->count && !null_field ? values[n->count - 1] : result;
}
