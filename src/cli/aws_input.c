// SPDX-License-Identifier: Apache-2.0
/* Arguments of `rectify aws` to an input. What the model does not know is passed on as it is: the
 * check of the whole input says it better. */
#include "cli/aws_internal.h"

#include "value/json.h"

#include <stdio.h>

static const struct aws_shape *member_shape(const struct aws_shape *shape, struct str name)
{
    if (!shape)
        return NULL;
    if (aws_shape_kind(shape) == AWS_MAP)
        return aws_shape_item(shape);
    if (aws_shape_kind(shape) != AWS_STRUCTURE)
        return NULL;
    for (size_t i = 0; i < aws_shape_member_count(shape); i++) {
        if (str_eq(aws_shape_member_name(shape, i), name))
            return aws_shape_member(shape, i);
    }
    return NULL;
}

static bool is_text(const struct aws_shape *shape)
{
    enum aws_shape_kind kind = aws_shape_kind(shape);
    return kind == AWS_STRING || kind == AWS_BLOB || kind == AWS_TIMESTAMP;
}

/* "a,b,c" for a list of scalars. */
static bool read_items(const struct aws_shape *item, struct str text, struct arena *arena,
                       struct value *ret, struct error *err)
{
    struct value_builder list = {.arena = arena};
    while (text.len) {
        struct str one = str_cut(&text, ',');
        struct value v = value_string(one);
        if (!is_text(item) && !json_parse(arena, one, &v, err))
            return false;
        value_push(&list, v);
    }
    *ret = value_finish_list(&list);
    return !list.failed || error_set(err, "L0012", "out of memory");
}

static bool read_value(const struct aws_shape *shape, struct str text, struct arena *arena,
                       struct value *ret, struct error *err)
{
    *ret = value_string(text);
    bool json = text.len && (text.ptr[0] == '{' || text.ptr[0] == '[');
    if (!shape || (is_text(shape) && !aws_shape_is_document(shape)))
        return true;
    if (aws_shape_is_document(shape))
        return !json || json_parse(arena, text, ret, err);
    const struct aws_shape *item = aws_shape_kind(shape) == AWS_LIST ? aws_shape_item(shape) : NULL;
    if (item && !json && aws_shape_kind(item) > AWS_MAP)
        return read_items(item, text, arena, ret, err);
    return json_parse(arena, text, ret, err);
}

/* `map` with what the path names set to `v`. */
static struct value with_path(struct arena *arena, struct value map, struct str path,
                              struct value v)
{
    struct value_builder out = {.arena = arena};
    struct str rest = path, name = str_cut(&rest, '.');
    for (uint32_t i = 0; map.kind == VALUE_MAP && i < map.len; i++)
        value_set_str(&out, value_str(map.pairs[i].key), map.pairs[i].value);
    const struct value *old = value_get(map, name);
    value_set_str(&out, name, rest.len ? with_path(arena, old ? *old : value_null(), rest, v) : v);
    return value_finish_map(&out);
}

static bool read_member(const struct aws_operation *op, struct str text, struct arena *arena,
                        struct value *input, struct error *err)
{
    struct str path = str_cut(&text, '='), rest = path;
    const struct aws_shape *shape = aws_operation_input(op);
    while (rest.len)
        shape = member_shape(shape, str_cut(&rest, '.'));
    struct value v;
    if (!read_value(shape, text, arena, &v, err))
        return error_context(err, "%.*s", STR_FMT(path));
    *input = with_path(arena, *input, path, v);
    return input->kind == VALUE_MAP || error_set(err, "L0012", "out of memory");
}

bool aws_read_input(const struct aws_operation *op, const char *const *args, size_t count,
                    struct arena *arena, struct value *ret, struct error *err)
{
    struct value input = {.kind = VALUE_MAP}, whole;
    for (size_t i = 0; i < count; i++) {
        struct str text = str_from(args[i]);
        if (str_starts(text, STR("{"))) {
            if (!json_parse(arena, text, &whole, err))
                return error_context(err, "the input");
            for (uint32_t k = 0; k < whole.len; k++)
                input =
                    with_path(arena, input, value_str(whole.pairs[k].key), whole.pairs[k].value);
        } else if (str_find_byte(text, '=') == SIZE_MAX) {
            error_set(err, "L0012", "`%.*s` is neither a JSON object nor Name=value",
                      STR_FMT(text));
            return false;
        } else if (!read_member(op, text, arena, &input, err)) {
            return false;
        }
    }
    *ret = input;
    return true;
}

struct value aws_with_token(struct arena *arena, struct value input, struct str name)
{
    unsigned char b[16];
    clock_random(clock_system(), b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40); // RFC 9562: version 4
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    const char *token = arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return token ? with_path(arena, input, name, value_cstr(token)) : input;
}
