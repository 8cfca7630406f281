// SPDX-License-Identifier: Apache-2.0
/* What policies about cloud resources need: tags, globs, ARNs, ports, JSON documents and maps. IAM
 * policy documents have their own file, fn_iam.c. */
#include "cel/cel_internal.h"

/* ---- tags ---- */

static const struct value *any_of(struct value map, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct value *found = value_get(map, str_from(names[i]));
        if (found)
            return found;
    }
    return NULL;
}

/* The forms in which AWS's services write a tag. */
static const struct value *tag_value(struct value tag, struct value name)
{
    static const char *const keys[] = {"Key", "key", "TagKey"};
    static const char *const values[] = {"Value", "value", "TagValue"};
    const struct value *key = any_of(tag, keys, sizeof keys / sizeof *keys);
    if (!key || !cel_equal(*key, name))
        return NULL;
    static const struct value empty = {.kind = VALUE_STRING, .str = ""};
    const struct value *value = any_of(tag, values, sizeof values / sizeof *values);
    return value ? value : &empty;
}

static struct value tag_of_list(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (!cx_charge(cx, v[0].len))
        return cx_fail_cost(cx);
    for (uint32_t i = 0; i < v[0].len; i++) {
        const struct value *found = tag_value(v[0].items[i], v[1]);
        if (found && found->kind != VALUE_STRING)
            return cx_fail(cx, "C0206", "the value of tag \"%.*s\" is not a string but %s",
                           STR_FMT(str_sub(value_str(v[1]), 0, 80)), cel_value_type_name(*found));
        if (found)
            return cx_optional(cx, *found);
    }
    return value_optional_none();
}

static struct value tag_of_map(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    const struct value *found = value_get_key(v[0], v[1]);
    return found ? cx_optional(cx, *found) : value_optional_none();
}

/* ---- globs ---- */

static struct value glob(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (!cx_charge(cx, ((uint64_t)v[0].len / 10 + 1) * (v[1].len / 4 + 1)))
        return cx_fail_cost(cx);
    return value_bool(str_glob(value_str(v[1]), value_str(v[0])));
}

/* ---- ARNs ---- */

static const struct cel_field arn_fields[] = {
    {{"partition", 9}, &T_STRING},  {{"service", 7}, &T_STRING},  {{"region", 6}, &T_STRING},
    {{"account", 7}, &T_STRING},    {{"resource", 8}, &T_STRING}, {{"resourceType", 12}, &T_STRING},
    {{"resourceId", 10}, &T_STRING}};
#define ARN_FIELDS (sizeof arn_fields / sizeof *arn_fields)
static const struct cel_type type_arn = {
    .kind = CT_RECORD, .name = {"arn", 3}, .fields = arn_fields, .field_count = ARN_FIELDS};

/* arn:partition:service:region:account:resource, where the resource may be type/id or type:id. */
static bool arn_split(struct str text, struct str parts[ARN_FIELDS])
{
    struct str rest = text;
    if (!str_is(str_cut(&rest, ':'), "arn"))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        if (!rest.ptr)
            return false;
        parts[i] = str_cut(&rest, ':');
    }
    if (!rest.ptr || rest.len == 0 || parts[0].len == 0 || parts[1].len == 0)
        return false;
    parts[4] = rest;
    size_t cut = 0;
    while (cut < rest.len && rest.ptr[cut] != '/' && rest.ptr[cut] != ':')
        cut++;
    bool typed = cut < rest.len;
    parts[5] = typed ? str_sub(rest, 0, cut) : (struct str){"", 0};
    parts[6] = typed ? str_sub(rest, cut + 1, SIZE_MAX) : rest;
    return true;
}

static struct value arn(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct str parts[ARN_FIELDS];
    if (!arn_split(value_str(v[0]), parts))
        return cx_fail(cx, "C0206", "not an ARN: \"%.*s\"",
                       STR_FMT(str_sub(value_str(v[0]), 0, 120)));
    struct value_pair *pairs = cx_alloc(cx, ARN_FIELDS * sizeof *pairs);
    if (!pairs)
        return cx_fail_memory(cx);
    for (size_t i = 0; i < ARN_FIELDS; i++)
        pairs[i] = (struct value_pair){value_string(arn_fields[i].name), value_string(parts[i])};
    return (struct value){.kind = VALUE_MAP, .len = ARN_FIELDS, .pairs = pairs};
}
_Static_assert(ARN_FIELDS <= VALUE_MAP_SCAN_MAX, "an ARN is a map without an index");

static struct value is_arn(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct str parts[ARN_FIELDS];
    (void)cx, (void)count;
    return value_bool(arn_split(value_str(v[0]), parts));
}

/* ---- ports ---- */

#define PORT_MAX 65535

struct range {
    int64_t from, to;
};

/* -1 stands for all ports, as EC2 writes it. */
static struct range whole_if_all(int64_t from, int64_t to)
{
    return from == -1 && (to == -1 || to == 0) ? (struct range){0, PORT_MAX}
                                               : (struct range){from, to};
}

static struct value overlap(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    struct range a = whole_if_all(v[0].i, v[1].i), b = whole_if_all(v[2].i, v[3].i);
    return value_bool(a.from <= b.to && b.from <= a.to);
}

static bool push_range(struct cel_cx *cx, struct value_builder *list, int64_t from, int64_t to)
{
    struct value *pair = cx_alloc(cx, 2 * sizeof *pair);
    if (!pair)
        return false;
    pair[0] = value_int(from);
    pair[1] = value_int(to);
    value_push(list, value_list(pair, 2));
    return !list->failed;
}

/* Takes [from, to] out of each range of the list. */
static bool take_out(struct cel_cx *cx, struct value ranges, struct range out, struct value *ret)
{
    struct value_builder left = {.arena = cx->arena};
    for (uint32_t i = 0; i < ranges.len; i++) {
        const struct value *range = ranges.items[i].items;
        bool apart = range[1].i < out.from || range[0].i > out.to;
        if (apart)
            value_push(&left, ranges.items[i]);
        if (!apart && range[0].i < out.from && !push_range(cx, &left, range[0].i, out.from - 1))
            return false;
        if (!apart && range[1].i > out.to && !push_range(cx, &left, out.to + 1, range[1].i))
            return false;
    }
    *ret = value_finish_list(&left);
    return !left.failed;
}

static bool is_range(struct value v)
{
    return v.kind == VALUE_LIST && v.len == 2 && v.items[0].kind == VALUE_INT &&
           v.items[1].kind == VALUE_INT;
}

static struct value remainder_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct range whole = whole_if_all(v[0].i, v[1].i);
    struct value_builder first = {.arena = cx->arena};
    if (!push_range(cx, &first, whole.from, whole.to))
        return cx_fail_memory(cx);
    struct value left = value_finish_list(&first);
    for (uint32_t i = 0; i < v[2].len; i++) {
        struct value item = v[2].items[i];
        struct range out = {item.i, item.i};
        if (is_range(item))
            out = whole_if_all(item.items[0].i, item.items[1].i);
        else if (item.kind != VALUE_INT)
            return cx_fail(cx, "C0201", "ports.remainder() takes away ports or [from, to], not %s",
                           cel_value_type_name(item));
        if (!cx_charge(cx, left.len + 1))
            return cx_fail_cost(cx);
        if (!take_out(cx, left, out, &left))
            return cx_fail_memory(cx);
    }
    return left;
}

/* ---- maps ---- */

static struct value merge(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    size_t used = v[0].len;
    struct value_pair *pairs = cx_alloc(cx, ((size_t)v[0].len + v[1].len) * sizeof *pairs * 2);
    if (!pairs)
        return cx_fail_memory(cx);
    if (!cx_charge(cx, (uint64_t)v[0].len + v[1].len))
        return cx_fail_cost(cx);
    for (uint32_t i = 0; i < v[0].len; i++) {
        const struct value *other = value_get_key(v[1], v[0].pairs[i].key);
        pairs[i] = (struct value_pair){v[0].pairs[i].key, other ? *other : v[0].pairs[i].value};
    }
    for (uint32_t i = 0; i < v[1].len; i++)
        if (!value_get_key(v[0], v[1].pairs[i].key))
            pairs[used++] = v[1].pairs[i];
    struct value merged;
    return value_map(cx->arena, pairs, used, &merged, NULL) ? merged : cx_fail_memory(cx);
}

/* The map without some keys. */
static struct value without(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    size_t used = 0;
    struct value_pair *pairs = cx_alloc(cx, v[0].len * sizeof *pairs * 2);
    if (!pairs)
        return cx_fail_memory(cx);
    uint64_t work = 1;
    for (uint32_t i = 0; i < v[0].len; i++)
        if (!cel_in_list(v[0].pairs[i].key, v[1], &work))
            pairs[used++] = v[0].pairs[i];
    if (!cx_charge(cx, work))
        return cx_fail_cost(cx);
    struct value left;
    return value_map(cx->arena, pairs, used, &left, NULL) ? left : cx_fail_memory(cx);
}

static struct value side(struct cel_cx *cx, struct value map, bool keys)
{
    struct value *items = cx_alloc(cx, map.len * sizeof *items);
    if (!items)
        return cx_fail_memory(cx);
    if (!cx_charge(cx, map.len))
        return cx_fail_cost(cx);
    for (uint32_t i = 0; i < map.len; i++)
        items[i] = keys ? map.pairs[i].key : map.pairs[i].value;
    return value_list(items, map.len);
}

static struct value keys_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return side(cx, v[0], true);
}

static struct value values_of(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return side(cx, v[0], false);
}

static const struct cel_overload tag_overloads[] = {
    M(tag_of_list, &T_OPTIONAL_STRING, &T_LIST_A, &T_STRING),
    M(tag_of_map, &T_OPTIONAL_B, &T_MAP_AB, &T_STRING)};
static const struct cel_overload globs[] = {M(glob, &T_BOOL, &T_STRING, &T_STRING)};
static const struct cel_overload arns[] = {F(arn, &type_arn, &T_STRING)};
static const struct cel_overload is_arns[] = {F(is_arn, &T_BOOL, &T_STRING)};
static const struct cel_overload overlaps[] = {F(overlap, &T_BOOL, &T_INT, &T_INT, &T_INT, &T_INT)};
static const struct cel_overload remainders[] = {
    F(remainder_of, &T_LIST_LIST_INT, &T_INT, &T_INT, &T_LIST_INT),
    F(remainder_of, &T_LIST_LIST_INT, &T_INT, &T_INT, &T_LIST_LIST_INT)};
static const struct cel_overload merges[] = {M(merge, &T_MAP_DYN, &T_MAP_DYN, &T_MAP_DYN)};
static const struct cel_overload withouts[] = {M(without, &T_MAP_AB, &T_MAP_AB, &T_LIST_A)};
static const struct cel_overload keyses[] = {M(keys_of, &T_LIST_A, &T_MAP_AB)};
static const struct cel_overload valueses[] = {M(values_of, &T_LIST_B, &T_MAP_AB)};

static const struct cel_function functions[] = {
    {"key",
     "The value of a tag, or none: of a list of {Key, Value}, {key, value} or {TagKey, TagValue}, "
     "or a map.",
     "[{'Key': 'Name', 'Value': 'web'}].key('Name').orValue('') == 'web'",
     OVERLOADS(tag_overloads)},
    {"glob", "Does the whole string match, * being any run and ? one byte?",
     "'arn:aws:s3:::logs-2026'.glob('arn:aws:s3:::logs-*')", OVERLOADS(globs)},
    {"arn",
     "The parts of an ARN: partition, service, region, account, resource, and resourceType and "
     "resourceId when "
     "the resource is type/id or type:id.",
     "arn('arn:aws:ec2:eu-west-1:111122223333:instance/i-1').resourceId == 'i-1'", OVERLOADS(arns)},
    {"isARN", "Is the string an ARN?", "isARN('arn:aws:s3:::b') && !isARN('b')",
     OVERLOADS(is_arns)},
    {"ports.overlap",
     "Have the port ranges (from, to, from, to) a port in common? -1 to -1 is all ports.",
     "ports.overlap(0, 1024, 22, 22) && ports.overlap(-1, -1, 22, 22)", OVERLOADS(overlaps)},
    {"ports.remainder", "What is left of a port range when ports or ranges are taken out.",
     "ports.remainder(0, 65535, [22, [3389, 3390]]) == [[0, 21], [23, 3388], [3391, 65535]]",
     OVERLOADS(remainders)},
    {"merge", "Both maps in one; where a key is in both, the second's value.",
     "{'a': 1, 'b': 1}.merge({'b': 2}) == {'a': 1, 'b': 2}", OVERLOADS(merges)},
    {"without", "The map without these keys.", "{'a': 1, 'b': 2}.without(['a']) == {'b': 2}",
     OVERLOADS(withouts)},
    {"keys", "The map's keys.", "{'a': 1, 'b': 2}.keys() == ['a', 'b']", OVERLOADS(keyses)},
    {"values", "The map's values.", "{'a': 1, 'b': 2}.values() == [1, 2]", OVERLOADS(valueses)},
};

const struct cel_group group_cloud = {"cloud", false, OVERLOADS(functions)};
