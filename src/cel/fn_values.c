// SPDX-License-Identifier: Apache-2.0
/* Optionals, lists, sets and encoders. */
#include "base/hash.h"
#include "cel/cel_internal.h"
#include "value/json.h"

/* ---- optionals ---- */

static struct value optional_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return cx_optional(cx, v[0]);
}

static struct value optional_none(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)v, (void)count;
    return value_optional_none();
}

/* Is it the value that an unset field of its type has? */
static bool is_zero(struct value v)
{
    switch (v.kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return !v.b;
    case VALUE_DOUBLE:
        return v.d == 0;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DURATION:
        return v.u == 0;
    case VALUE_STRING:
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP:
        return v.len == 0;
    case VALUE_TIMESTAMP:
        return v.i == 0 && v.len == 0;
    case VALUE_OPTIONAL:
        return !v.opaque;
    default:
        return false;
    }
}

static struct value optional_of_non_zero(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return is_zero(v[0]) ? value_optional_none() : cx_optional(cx, v[0]);
}

static struct value has_value(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_bool(v->opaque != NULL);
}

static struct value optional_value(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (!v->opaque)
        return cx_fail(cx, "C0210", "optional.none() has no value");
    return *(const struct value *)v->opaque;
}

static struct value unwrap_all(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value *items = cx_alloc(cx, v->len * sizeof *items);
    size_t kept = 0;
    if (!items)
        return cx_fail_memory(cx);
    for (uint32_t i = 0; i < v->len; i++) {
        struct value item = v->items[i];
        if (item.kind != VALUE_OPTIONAL)
            return cx_fail(cx, "C0201", "unwrap() needs a list of optionals, found %s",
                           cel_value_type_name(item));
        if (item.opaque)
            items[kept++] = *(const struct value *)item.opaque;
    }
    return value_list(items, kept);
}

static struct value first_item(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return v->len ? cx_optional(cx, v->items[0]) : value_optional_none();
}

static struct value last_item(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return v->len ? cx_optional(cx, v->items[v->len - 1]) : value_optional_none();
}

static const struct cel_overload ofs[] = {F(optional_of, &T_OPTIONAL_A, &T_A)};
static const struct cel_overload nones[] = {
    {.fn = optional_none, .result = &T_OPTIONAL_A, .count = 0}};
static const struct cel_overload non_zeros[] = {F(optional_of_non_zero, &T_OPTIONAL_A, &T_A)};
static const struct cel_overload has_values[] = {M(has_value, &T_BOOL, &T_OPTIONAL_A)};
static const struct cel_overload values[] = {M(optional_value, &T_A, &T_OPTIONAL_A)};
static const struct cel_overload alternatives[] = {
    M(NULL, &T_OPTIONAL_A, &T_OPTIONAL_A, &T_OPTIONAL_A)};
static const struct cel_overload or_values[] = {M(NULL, &T_A, &T_OPTIONAL_A, &T_A)};
static const struct cel_overload unwraps[] = {F(unwrap_all, &T_LIST_A, &T_LIST_OPTIONAL_A)};
static const struct cel_overload unwrap_opts[] = {M(unwrap_all, &T_LIST_A, &T_LIST_OPTIONAL_A)};

static const struct cel_function optionals[] = {
    {"optional.of", "An optional that holds the value.", "optional.of(1).hasValue()",
     OVERLOADS(ofs)},
    {"optional.none", "The optional that holds nothing.", "optional.none().orValue(2) == 2",
     OVERLOADS(nones)},
    {"optional.ofNonZeroValue",
     "An optional that holds the value unless it is empty, zero, false or null.",
     "!optional.ofNonZeroValue('').hasValue()", OVERLOADS(non_zeros)},
    {"hasValue", "Does the optional hold a value?", "{'a': 1}.?a.hasValue()",
     OVERLOADS(has_values)},
    {"value", "The optional's value; an error when it holds none.", "optional.of(3).value() == 3",
     OVERLOADS(values)},
    {"or",
     "This optional, or the other when this one holds nothing; the other is looked at only then.",
     "optional.none().or(optional.of(1)).value() == 1", OVERLOADS(alternatives)},
    {"orValue", "The optional's value, or this one, which is looked at only when it is needed.",
     "{}.?a.orValue('none') == 'none'", OVERLOADS(or_values)},
    {"optional.unwrap", "The values that a list of optionals holds.",
     "optional.unwrap([optional.of(1), optional.none()]) == [1]", OVERLOADS(unwraps)},
    {"unwrapOpt", "The same, written behind the list.",
     "[optional.of(1), optional.none()].unwrapOpt() == [1]", OVERLOADS(unwrap_opts)},
};

const struct cel_group group_optionals = {"optionals", false, OVERLOADS(optionals)};

/* ---- lists ---- */

static struct value distinct(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value *items = cx_alloc(cx, v->len * sizeof *items);
    uint32_t kept = 0;
    if (!items)
        return cx_fail_memory(cx);
    for (uint32_t i = 0; i < v->len; i++) {
        uint64_t work = 1;
        if (!cel_in_list(v->items[i], value_list(items, kept), &work))
            items[kept++] = v->items[i];
        if (!cx_charge(cx, work))
            return cx_fail_cost(cx);
    }
    return value_list(items, kept);
}

/* False: memory, or the budget is used up. */
static bool flatten_into(struct cel_cx *cx, struct value_builder *out, struct value list,
                         int64_t depth)
{
    for (uint32_t i = 0; i < list.len; i++) {
        if (!cx_charge(cx, 1))
            return false;
        if (list.items[i].kind == VALUE_LIST && depth > 0) {
            if (!flatten_into(cx, out, list.items[i], depth - 1))
                return false;
        } else {
            value_push(out, list.items[i]);
        }
    }
    return !out->failed;
}

static struct value flatten(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct value_builder out = {.arena = cx->arena};
    int64_t depth = count > 1 ? v[1].i : 1;
    if (depth < 0)
        return cx_fail(cx, "C0206", "flatten() depth must not be negative: %lld", (long long)depth);
    bool done = flatten_into(cx, &out, v[0],
                             depth > LIMIT_EXPRESSION_DEPTH ? LIMIT_EXPRESSION_DEPTH : depth);
    if (cx->cost < 0)
        return cx_fail_cost(cx);
    if (!done || out.count * sizeof(struct value) > cx->bytes)
        return cx_fail_memory(cx);
    cx->bytes -= out.count * sizeof(struct value);
    return value_finish_list(&out);
}

static struct value range(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v->i < 0)
        return cx_fail(cx, "C0206", "lists.range() size must not be negative: %lld",
                       (long long)v->i);
    if (!cx_charge(cx, v->u))
        return cx_fail_cost(cx);
    struct value *items = cx_alloc(cx, v->u * sizeof *items);
    if (!items)
        return cx_fail_memory(cx);
    for (int64_t i = 0; i < v->i; i++)
        items[i] = value_int(i);
    return value_list(items, v->u);
}

static struct value reverse(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value *items = cx_alloc(cx, v->len * sizeof *items);
    if (!items)
        return cx_fail_memory(cx);
    if (!cx_charge(cx, v->len))
        return cx_fail_cost(cx);
    for (uint32_t i = 0; i < v->len; i++)
        items[v->len - 1 - i] = v->items[i];
    return value_list(items, v->len);
}

static struct value slice(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v[1].i < 0 || v[2].i < v[1].i || v[2].i > v[0].len)
        return cx_fail(cx, "C0203", "cannot slice(%lld, %lld) a list of %u", (long long)v[1].i,
                       (long long)v[2].i, v[0].len);
    return value_list(v[0].items + v[1].i, (size_t)(v[2].i - v[1].i));
}

static struct value sort(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value_pair *pairs = cx_alloc(cx, v->len * sizeof *pairs);
    if (!pairs)
        return cx_fail_memory(cx);
    for (uint32_t i = 0; i < v->len; i++)
        pairs[i] = (struct value_pair){v->items[i], v->items[i]};
    return sort_by_keys(cx, pairs, v->len);
}

static const struct cel_overload distincts[] = {M(distinct, &T_LIST_A, &T_LIST_A)};
static const struct cel_overload flattens[] = {M(flatten, &T_LIST_A, &T_LIST_LIST_A),
                                               M(flatten, &T_LIST_DYN, &T_LIST_DYN, &T_INT)};
static const struct cel_overload ranges[] = {F(range, &T_LIST_INT, &T_INT)};
static const struct cel_overload reverses[] = {M(reverse, &T_LIST_A, &T_LIST_A)};
static const struct cel_overload slices[] = {M(slice, &T_LIST_A, &T_LIST_A, &T_INT, &T_INT)};
static const struct cel_overload sorts[] = {
    M(sort, &T_LIST_INT, &T_LIST_INT),           M(sort, &T_LIST_UINT, &T_LIST_UINT),
    M(sort, &T_LIST_DOUBLE, &T_LIST_DOUBLE),     M(sort, &T_LIST_BOOL, &T_LIST_BOOL),
    M(sort, &T_LIST_DURATION, &T_LIST_DURATION), M(sort, &T_LIST_TIMESTAMP, &T_LIST_TIMESTAMP),
    M(sort, &T_LIST_STRING, &T_LIST_STRING),     M(sort, &T_LIST_BYTES, &T_LIST_BYTES)};
static const struct cel_overload firsts[] = {M(first_item, &T_OPTIONAL_A, &T_LIST_A)};
static const struct cel_overload lasts[] = {M(last_item, &T_OPTIONAL_A, &T_LIST_A)};

static const struct cel_function lists[] = {
    {"distinct", "Each value once, where it first was.", "[1, 2, 1].distinct() == [1, 2]",
     OVERLOADS(distincts)},
    {"flatten", "Lists in the list replaced by their items, one level or so many.",
     "[[1], [2, [3]]].flatten(2) == [1, 2, 3]", OVERLOADS(flattens)},
    {"lists.range", "The numbers from 0 up to (not including) this one.",
     "lists.range(3) == [0, 1, 2]", OVERLOADS(ranges)},
    {"reverse", "The items backwards.", "[1, 2].reverse() == [2, 1]", OVERLOADS(reverses)},
    {"slice", "The items from a position up to (not including) another.",
     "[1, 2, 3].slice(1, 3) == [2, 3]", OVERLOADS(slices)},
    {"sort", "The items in order; all of one comparable type.", "[3, 1, 2].sort() == [1, 2, 3]",
     OVERLOADS(sorts)},
    {"first", "The first item, or none.", "[1, 2].first().value() == 1", OVERLOADS(firsts)},
    {"last", "The last item, or none.", "[1, 2].last().value() == 2", OVERLOADS(lasts)},
};

const struct cel_group group_lists = {"lists", false, OVERLOADS(lists)};

/* ---- sets ---- */

/* Are all (or is any) of the items of `part` in `whole`? A failure when that cost too much. */
static struct value among(struct cel_cx *cx, struct value whole, struct value part, bool all)
{
    for (uint32_t i = 0; i < part.len; i++) {
        uint64_t work = 1;
        bool found = cel_in_list(part.items[i], whole, &work);
        if (!cx_charge(cx, work))
            return cx_fail_cost(cx);
        if (found != all)
            return value_bool(found);
    }
    return value_bool(all);
}

static struct value set_contains(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return among(cx, v[0], v[1], true);
}

static struct value set_equivalent(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value one = among(cx, v[0], v[1], true);
    return one.kind == VALUE_BOOL && one.b ? among(cx, v[1], v[0], true) : one;
}

static struct value set_intersects(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return among(cx, v[0], v[1], false);
}

static const struct cel_overload set_containses[] = {
    F(set_contains, &T_BOOL, &T_LIST_A, &T_LIST_A)};
static const struct cel_overload set_equivalents[] = {
    F(set_equivalent, &T_BOOL, &T_LIST_A, &T_LIST_A)};
static const struct cel_overload set_intersectses[] = {
    F(set_intersects, &T_BOOL, &T_LIST_A, &T_LIST_A)};

static const struct cel_function sets[] = {
    {"sets.contains", "Are all items of the second list in the first?",
     "sets.contains([1, 2, 3], [3, 1])", OVERLOADS(set_containses)},
    {"sets.equivalent", "Do both lists hold the same values, in any order and number?",
     "sets.equivalent([1, 2, 1], [2, 1])", OVERLOADS(set_equivalents)},
    {"sets.intersects", "Have both lists an item in common?", "sets.intersects([1, 2], [2, 3])",
     OVERLOADS(set_intersectses)},
};

const struct cel_group group_sets = {"sets", false, OVERLOADS(sets)};

/* ---- encoders ---- */

static struct value encode(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v->len > cx->bytes / 2)
        return cx_fail_memory(cx);
    struct str text = hash_base64(cx->arena, value_str(*v));
    if (!text.ptr)
        return cx_fail_memory(cx);
    cx->bytes -= text.len < cx->bytes ? text.len : cx->bytes;
    return cx_charge_text(cx, text.len) ? value_string(text) : cx_fail_cost(cx);
}

/* Bits of the last character that no byte is made of may be set; hash_from_base64() wants them
 * clear. */
static void clear_spare_bits(char *text, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t pad = 0;
    while (pad < 2 && pad < len && text[len - pad - 1] == '=')
        pad++;
    char *last = pad && len > pad ? &text[len - pad - 1] : NULL;
    const char *at = last && *last ? strchr(alphabet, *last) : NULL;
    if (at)
        *last = alphabet[(size_t)(at - alphabet) & ~(pad == 2 ? (size_t)15 : (size_t)3)];
}

static struct value decode(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct str bytes;
    size_t pad = (4 - v->len % 4) % 4;
    char *padded = cx_alloc(cx, v->len + pad);
    if (!padded)
        return cx_fail_memory(cx);
    memcpy(padded, v->str, v->len);
    memset(padded + v->len, '=', pad);
    clear_spare_bits(padded, v->len + pad);
    if (!hash_from_base64(cx->arena, (struct str){padded, v->len + pad}, &bytes))
        return cx_fail(cx, "C0206", "not base64: \"%.*s\"", STR_FMT(str_sub(value_str(*v), 0, 80)));
    return cx_charge_text(cx, v->len) ? value_bytes(bytes) : cx_fail_cost(cx);
}

static struct value json_encode(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value plain;
    struct buf out = {.arena = cx->arena};
    if (!cx_charge_deep(cx, *v))
        return cx_fail_cost(cx);
    if (!cel_value_plain(cx->arena, *v, &plain))
        return cx_fail_memory(cx);
    json_write(&out, plain, JSON_CANONICAL);
    return cx_string(cx, &out);
}

static struct value json_decode(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value decoded;
    struct error err = {0};
    size_t before = cx->arena->used;
    if (!cx_charge_text(cx, v->len))
        return cx_fail_cost(cx);
    if (!json_parse(cx->arena, value_str(*v), &decoded, &err))
        return cx_fail(cx, "C0206", "not JSON: %s (line %u, column %u)", err.message, err.line,
                       err.column);
    size_t used = cx->arena->used - before;
    if (used > cx->bytes)
        return cx_fail_memory(cx);
    cx->bytes -= used;
    return decoded;
}

static const struct cel_overload encodes[] = {F(encode, &T_STRING, &T_BYTES)};
static const struct cel_overload decodes[] = {F(decode, &T_BYTES, &T_STRING)};
static const struct cel_overload json_encodes[] = {F(json_encode, &T_STRING, &T_A)};
static const struct cel_overload json_decodes[] = {F(json_decode, &T_DYN, &T_STRING)};

static const struct cel_function encoders[] = {
    {"base64.encode", "The bytes as base64 text.", "base64.encode(b'hi') == 'aGk='",
     OVERLOADS(encodes)},
    {"base64.decode", "The bytes that base64 text stands for; padding may be missing.",
     "base64.decode('aGk') == b'hi'", OVERLOADS(decodes)},
    {"json.encode", "The value as JSON text, keys in order.",
     "json.encode({'b': [1, null], 'a': true}) == '{\"a\":true,\"b\":[1,null]}'",
     OVERLOADS(json_encodes)},
    {"json.decode", "The value that JSON text stands for.", "json.decode('{\"a\": [1]}').a[0] == 1",
     OVERLOADS(json_decodes)},
};

const struct cel_group group_encoders = {"encoders", false, OVERLOADS(encoders)};
