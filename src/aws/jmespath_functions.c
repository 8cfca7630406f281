// SPDX-License-Identifier: Apache-2.0
/* JMESPath's functions: one table of names, arguments and code. Sorting is stable and, of strings,
 * by code points, which for UTF-8 is by bytes. */
#include "aws/jmespath_internal.h"

#include <math.h>
#include <stdlib.h>

#include "value/json.h"

enum {
    K_NUMBER = 1,
    K_STRING = 2,
    K_BOOL = 4,
    K_LIST = 8,
    K_MAP = 16,
    K_NULL = 32,
    K_REFERENCE = 64,
    K_NUMBERS = 128, // a list of numbers
    K_STRINGS = 256, // a list of strings
    K_ANY = K_NUMBER | K_STRING | K_BOOL | K_LIST | K_MAP | K_NULL,
};

struct frame {
    struct evaluator *e;
    const struct argument *args;
    size_t count;
};

static unsigned kind_of(struct value v)
{
    switch (v.kind) {
    case VALUE_NULL:
        return K_NULL;
    case VALUE_BOOL:
        return K_BOOL;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
        return K_NUMBER;
    case VALUE_LIST:
        return K_LIST;
    case VALUE_MAP:
        return K_MAP;
    default:
        return K_STRING;
    }
}

static bool all_are(struct value list, unsigned kind)
{
    for (uint32_t i = 0; i < list.len; i++) {
        if (kind_of(list.items[i]) != kind)
            return false;
    }
    return true;
}

static bool fits(const struct argument *arg, unsigned kinds)
{
    if (arg->reference)
        return (kinds & K_REFERENCE) != 0;
    unsigned kind = kind_of(arg->value);
    if (kinds & kind)
        return true;
    return kind == K_LIST && (((kinds & K_NUMBERS) && all_are(arg->value, K_NUMBER)) ||
                              ((kinds & K_STRINGS) && all_are(arg->value, K_STRING)));
}

static bool wrong_type(struct frame *f, const char *what)
{
    return error_set(f->e->err, "A0331", "JMESPath: %s", what);
}

static struct value value_at(const struct frame *f, size_t i)
{
    return f->args[i].value;
}

/* Of a whole double that fits, the integer. */
static struct value number(double d)
{
    if (d == floor(d) && fabs(d) < 9e15)
        return value_int((int64_t)d);
    return value_double(d);
}

static int order(struct value a, struct value b)
{
    if (kind_of(a) == K_STRING)
        return str_compare(value_str(a), value_str(b));
    if (a.kind == VALUE_INT && b.kind == VALUE_INT)
        return (a.i > b.i) - (a.i < b.i);
    double x = jmespath_double(a), y = jmespath_double(b);
    return (x > y) - (x < y);
}

/* ---- numbers ---- */

static bool fn_abs(struct frame *f, struct value *ret)
{
    struct value v = value_at(f, 0);
    if (v.kind == VALUE_INT && v.i != INT64_MIN)
        *ret = value_int(v.i < 0 ? -v.i : v.i);
    else
        *ret = value_double(fabs(jmespath_double(v)));
    return true;
}

static bool fn_ceil(struct frame *f, struct value *ret)
{
    *ret = number(ceil(jmespath_double(value_at(f, 0))));
    return true;
}

static bool fn_floor(struct frame *f, struct value *ret)
{
    *ret = number(floor(jmespath_double(value_at(f, 0))));
    return true;
}

static bool fn_sum(struct frame *f, struct value *ret)
{
    struct value list = value_at(f, 0);
    double sum = 0;
    for (uint32_t i = 0; i < list.len; i++)
        sum += jmespath_double(list.items[i]);
    *ret = number(sum);
    return true;
}

static bool fn_avg(struct frame *f, struct value *ret)
{
    struct value sum;
    uint32_t count = value_at(f, 0).len;
    *ret = value_null();
    if (count && fn_sum(f, &sum))
        *ret = number(jmespath_double(sum) / count);
    return true;
}

static bool fn_to_number(struct frame *f, struct value *ret)
{
    struct value v = value_at(f, 0), parsed;
    struct error ignored;
    *ret = kind_of(v) == K_NUMBER ? v : value_null();
    if (v.kind == VALUE_STRING && json_parse(f->e->arena, value_str(v), &parsed, &ignored) &&
        kind_of(parsed) == K_NUMBER)
        *ret = parsed;
    return true;
}

/* ---- strings ---- */

static bool fn_starts_with(struct frame *f, struct value *ret)
{
    *ret = value_bool(str_starts(value_str(value_at(f, 0)), value_str(value_at(f, 1))));
    return true;
}

static bool fn_ends_with(struct frame *f, struct value *ret)
{
    *ret = value_bool(str_ends(value_str(value_at(f, 0)), value_str(value_at(f, 1))));
    return true;
}

static bool fn_join(struct frame *f, struct value *ret)
{
    struct buf out = {.arena = f->e->arena};
    struct value list = value_at(f, 1);
    for (uint32_t i = 0; i < list.len; i++) {
        if (i)
            buf_add_str(&out, value_str(value_at(f, 0)));
        buf_add_str(&out, value_str(list.items[i]));
    }
    struct str done = buf_str(&out);
    *ret = value_string(done.ptr ? done : STR(""));
    return !out.failed || error_set(f->e->err, "A0335", "JMESPath: out of memory");
}

static bool fn_to_string(struct frame *f, struct value *ret)
{
    struct buf out = {.arena = f->e->arena};
    if (value_at(f, 0).kind == VALUE_STRING) {
        *ret = value_at(f, 0);
        return true;
    }
    json_write(&out, value_at(f, 0), JSON_COMPACT);
    *ret = value_string(buf_str(&out));
    return !out.failed || error_set(f->e->err, "A0335", "JMESPath: out of memory");
}

static size_t code_points(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return count;
}

static bool reverse_string(struct frame *f, struct str s, struct value *ret)
{
    char *out = arena_alloc_raw(f->e->arena, s.len + 1, 1);
    if (!out)
        return error_set(f->e->err, "A0335", "JMESPath: out of memory");
    for (size_t from = 0; from < s.len;) {
        size_t length = 1;
        while (from + length < s.len && ((unsigned char)s.ptr[from + length] & 0xC0) == 0x80)
            length++;
        memcpy(out + s.len - from - length, s.ptr + from, length);
        from += length;
    }
    *ret = value_string((struct str){out, s.len});
    return true;
}

/* ---- lists and maps ---- */

static bool fn_length(struct frame *f, struct value *ret)
{
    struct value v = value_at(f, 0);
    size_t length = v.kind == VALUE_STRING ? code_points(value_str(v)) : v.len;
    *ret = value_int((int64_t)length);
    return true;
}

static bool fn_contains(struct frame *f, struct value *ret)
{
    struct value in = value_at(f, 0), what = value_at(f, 1);
    bool found = false;
    if (in.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < in.len && !found; i++)
            found = value_equal(in.items[i], what);
    } else {
        found = what.kind == VALUE_STRING && str_find(value_str(in), value_str(what)) != SIZE_MAX;
        found |= what.kind == VALUE_STRING && what.len == 0;
    }
    *ret = value_bool(found);
    return true;
}

static bool fn_keys(struct frame *f, struct value *ret)
{
    struct value_builder out = {.arena = f->e->arena};
    for (uint32_t i = 0; i < value_at(f, 0).len; i++)
        value_push(&out, value_at(f, 0).pairs[i].key);
    *ret = value_finish_list(&out);
    return true;
}

static bool fn_values(struct frame *f, struct value *ret)
{
    struct value_builder out = {.arena = f->e->arena};
    for (uint32_t i = 0; i < value_at(f, 0).len; i++)
        value_push(&out, value_at(f, 0).pairs[i].value);
    *ret = value_finish_list(&out);
    return true;
}

static bool fn_merge(struct frame *f, struct value *ret)
{
    struct value_builder out = {.arena = f->e->arena};
    for (size_t a = 0; a < f->count; a++) {
        for (uint32_t i = 0; i < value_at(f, a).len; i++) {
            struct value_pair pair = value_at(f, a).pairs[i];
            value_set_str(&out, value_str(pair.key), pair.value);
        }
    }
    *ret = value_finish_map(&out);
    return true;
}

static bool fn_not_null(struct frame *f, struct value *ret)
{
    *ret = value_null();
    for (size_t i = 0; i < f->count && ret->kind == VALUE_NULL; i++)
        *ret = value_at(f, i);
    return true;
}

static bool fn_reverse(struct frame *f, struct value *ret)
{
    struct value v = value_at(f, 0);
    if (v.kind != VALUE_LIST)
        return reverse_string(f, value_str(v), ret);
    struct value_builder out = {.arena = f->e->arena};
    for (uint32_t i = v.len; i > 0; i--)
        value_push(&out, v.items[i - 1]);
    *ret = value_finish_list(&out);
    return true;
}

static bool fn_to_array(struct frame *f, struct value *ret)
{
    struct value_builder out = {.arena = f->e->arena};
    *ret = value_at(f, 0);
    if (ret->kind != VALUE_LIST) {
        value_push(&out, *ret);
        *ret = value_finish_list(&out);
    }
    return true;
}

static bool fn_type(struct frame *f, struct value *ret)
{
    static const struct {
        unsigned kind;
        const char *name;
    } names[] = {{K_NUMBER, "number"}, {K_STRING, "string"}, {K_BOOL, "boolean"},
                 {K_LIST, "array"},    {K_MAP, "object"},    {K_NULL, "null"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].kind == kind_of(value_at(f, 0)))
            *ret = value_cstr(names[i].name);
    }
    return true;
}

static bool fn_map(struct frame *f, struct value *ret)
{
    struct value_builder out = {.arena = f->e->arena};
    struct value list = value_at(f, 1);
    for (uint32_t i = 0; i < list.len; i++) {
        struct value v;
        if (!jmespath_node(f->e, f->args[0].reference, list.items[i], &v))
            return false;
        value_push(&out, v);
    }
    *ret = value_finish_list(&out);
    return true;
}

/* ---- order ---- */

struct keyed {
    struct value item, key;
    uint32_t position;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int by_key = order(x->key, y->key);
    return by_key ? by_key : (x->position > y->position) - (x->position < y->position);
}

/* Items with the keys that they are ordered by: all numbers or all strings. */
static struct keyed *keyed_items(struct frame *f, const struct aws_jmespath *by)
{
    struct value list = value_at(f, 0);
    struct keyed *items = ARENA_ARRAY(f->e->arena, struct keyed, (size_t)list.len + 1);
    if (!items) {
        error_set(f->e->err, "A0335", "JMESPath: out of memory");
        return NULL;
    }
    unsigned kind = 0;
    for (uint32_t i = 0; i < list.len; i++) {
        items[i] = (struct keyed){list.items[i], list.items[i], i};
        if (by && !jmespath_node(f->e, by, list.items[i], &items[i].key))
            return NULL;
        unsigned mine = kind_of(items[i].key);
        if ((mine != K_NUMBER && mine != K_STRING) || (kind && mine != kind)) {
            wrong_type(f, "the keys to order by must be all numbers or all strings");
            return NULL;
        }
        kind = mine;
    }
    return items;
}

static bool sort_items(struct frame *f, const struct aws_jmespath *by, struct value *ret)
{
    struct keyed *items = keyed_items(f, by);
    struct value_builder out = {.arena = f->e->arena};
    if (!items)
        return false;
    qsort(items, value_at(f, 0).len, sizeof(*items), compare_keyed);
    for (uint32_t i = 0; i < value_at(f, 0).len; i++)
        value_push(&out, items[i].item);
    *ret = value_finish_list(&out);
    return true;
}

static bool extreme(struct frame *f, const struct aws_jmespath *by, int sign, struct value *ret)
{
    struct keyed *items = keyed_items(f, by);
    if (!items)
        return false;
    uint32_t best = 0;
    for (uint32_t i = 1; i < value_at(f, 0).len; i++) {
        if (order(items[i].key, items[best].key) * sign > 0)
            best = i;
    }
    *ret = value_at(f, 0).len ? items[best].item : value_null();
    return true;
}

static bool fn_sort(struct frame *f, struct value *ret)
{
    return sort_items(f, NULL, ret);
}
static bool fn_sort_by(struct frame *f, struct value *ret)
{
    return sort_items(f, f->args[1].reference, ret);
}
static bool fn_max(struct frame *f, struct value *ret)
{
    return extreme(f, NULL, 1, ret);
}
static bool fn_min(struct frame *f, struct value *ret)
{
    return extreme(f, NULL, -1, ret);
}
static bool fn_max_by(struct frame *f, struct value *ret)
{
    return extreme(f, f->args[1].reference, 1, ret);
}
static bool fn_min_by(struct frame *f, struct value *ret)
{
    return extreme(f, f->args[1].reference, -1, ret);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    size_t count; // of arguments; at least, when `more`
    bool more;    // further ones are of the last kind
    unsigned kinds[2];
    bool (*function)(struct frame *f, struct value *ret);
} functions[] = {
    {"abs", 1, false, {K_NUMBER}, fn_abs},
    {"avg", 1, false, {K_NUMBERS}, fn_avg},
    {"ceil", 1, false, {K_NUMBER}, fn_ceil},
    {"contains", 2, false, {K_LIST | K_STRING, K_ANY}, fn_contains},
    {"ends_with", 2, false, {K_STRING, K_STRING}, fn_ends_with},
    {"floor", 1, false, {K_NUMBER}, fn_floor},
    {"join", 2, false, {K_STRING, K_STRINGS}, fn_join},
    {"keys", 1, false, {K_MAP}, fn_keys},
    {"length", 1, false, {K_STRING | K_LIST | K_MAP}, fn_length},
    {"map", 2, false, {K_REFERENCE, K_LIST}, fn_map},
    {"max", 1, false, {K_NUMBERS | K_STRINGS}, fn_max},
    {"max_by", 2, false, {K_LIST, K_REFERENCE}, fn_max_by},
    {"merge", 1, true, {K_MAP}, fn_merge},
    {"min", 1, false, {K_NUMBERS | K_STRINGS}, fn_min},
    {"min_by", 2, false, {K_LIST, K_REFERENCE}, fn_min_by},
    {"not_null", 1, true, {K_ANY}, fn_not_null},
    {"reverse", 1, false, {K_LIST | K_STRING}, fn_reverse},
    {"sort", 1, false, {K_NUMBERS | K_STRINGS}, fn_sort},
    {"sort_by", 2, false, {K_LIST, K_REFERENCE}, fn_sort_by},
    {"starts_with", 2, false, {K_STRING, K_STRING}, fn_starts_with},
    {"sum", 1, false, {K_NUMBERS}, fn_sum},
    {"to_array", 1, false, {K_ANY}, fn_to_array},
    {"to_number", 1, false, {K_ANY}, fn_to_number},
    {"to_string", 1, false, {K_ANY}, fn_to_string},
    {"type", 1, false, {K_ANY}, fn_type},
    {"values", 1, false, {K_MAP}, fn_values},
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

static bool call_at(struct evaluator *e, size_t at, const struct argument *args, size_t count,
                    struct value *ret)
{
    size_t wanted = functions[at].count;
    if (count < wanted || (count > wanted && !functions[at].more))
        return error_set(e->err, "A0332", "JMESPath: %s() takes %s%zu arguments, not %zu",
                         functions[at].name, functions[at].more ? "at least " : "", wanted, count);
    for (size_t i = 0; i < count; i++) {
        if (!fits(&args[i], functions[at].kinds[i < wanted ? i : wanted - 1]))
            return error_set(e->err, "A0331", "JMESPath: argument %zu of %s() has the wrong type",
                             i + 1, functions[at].name);
    }
    struct frame f = {e, args, count};
    return functions[at].function(&f, ret);
}

bool jmespath_call(struct evaluator *e, struct str name, const struct argument *args, size_t count,
                   struct value *ret)
{
    const char *names[FUNCTION_COUNT];
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (str_is(name, functions[i].name))
            return call_at(e, i, args, count, ret);
        names[i] = functions[i].name;
    }
    error_set(e->err, "A0333", "JMESPath: there is no function %.*s()", STR_FMT(name));
    const char *near = str_nearest(name, names, FUNCTION_COUNT);
    return near ? error_hint(e->err, "did you mean `%s`?", near) : false;
}
