// SPDX-License-Identifier: Apache-2.0
/* Equality and order as the language has them: numbers compare by value across int, uint and double
 * (an integer is rounded to a double for that, as the standard's vectors demand), everything else
 * only with its own kind. Values are at most as deep as JSON or an expression may be. */
#include <math.h>

#include "cel/cel_internal.h"

static bool is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_UINT || v.kind == VALUE_DOUBLE;
}

static int order(double a, double b)
{
    return (a > b) - (a < b);
}

static int compare_to_double(struct value integer, double d)
{
    double low = integer.kind == VALUE_INT ? -0x1p63 : 0,
           high = integer.kind == VALUE_INT ? 0x1p63 : 0x1p64;
    if (d < low)
        return 1;
    if (d > high)
        return -1;
    return order(integer.kind == VALUE_INT ? (double)integer.i : (double)integer.u, d);
}

/* Both are numbers; 3 when one is NaN. */
static int compare_numbers(struct value a, struct value b)
{
    if ((a.kind == VALUE_DOUBLE && isnan(a.d)) || (b.kind == VALUE_DOUBLE && isnan(b.d)))
        return 3;
    if (a.kind == VALUE_DOUBLE)
        return b.kind == VALUE_DOUBLE ? order(a.d, b.d) : -compare_to_double(b, a.d);
    if (b.kind == VALUE_DOUBLE)
        return compare_to_double(a, b.d);
    if (a.kind == b.kind)
        return a.kind == VALUE_INT ? (a.i > b.i) - (a.i < b.i) : (a.u > b.u) - (a.u < b.u);
    if (a.kind == VALUE_INT)
        return a.i < 0 || a.u < b.u ? -1 : a.u > b.u;
    return b.i < 0 || a.u > b.u ? 1 : -(a.u < b.u);
}

int cel_compare(struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b);
    if (a.kind != b.kind)
        return 2;
    int sign;
    switch ((enum value_kind)a.kind) {
    case VALUE_BOOL:
        return a.b - b.b;
    case VALUE_STRING:
    case VALUE_BYTES:
        sign = str_compare(value_str(a), value_str(b));
        return (sign > 0) - (sign < 0);
    case VALUE_TIMESTAMP:
        return a.i != b.i ? (a.i > b.i ? 1 : -1) : (a.len > b.len) - (a.len < b.len);
    case VALUE_DURATION:
        return (a.i > b.i) - (a.i < b.i);
    default:
        return 2;
    }
}

const struct value *cel_map_get(struct value map, struct value key)
{
    return map.kind == VALUE_MAP ? value_get_key(map, key) : NULL;
}

static bool opaque_equal(struct value a, struct value b)
{
    return a.aux == b.aux &&
           (a.opaque == b.opaque || memcmp(a.opaque, b.opaque, sizeof(struct cel_ip)) == 0);
}

static bool optional_equal(struct value a, struct value b, uint64_t *work)
{
    if (!a.opaque || !b.opaque)
        return a.opaque == b.opaque;
    return cel_equal_work(*(const struct value *)a.opaque, *(const struct value *)b.opaque, work);
}

static bool map_equal(struct value a, struct value b, uint64_t *work)
{
    if (a.len != b.len)
        return false;
    for (uint32_t i = 0; i < a.len; i++) {
        const struct value *other = cel_map_get(b, a.pairs[i].key);
        *work += 1;
        if (!other || !cel_equal_work(a.pairs[i].value, *other, work))
            return false;
    }
    return true;
}

static bool list_equal(struct value a, struct value b, uint64_t *work)
{
    if (a.len != b.len)
        return false;
    for (uint32_t i = 0; i < a.len; i++)
        if (!cel_equal_work(a.items[i], b.items[i], work))
            return false;
    return true;
}

bool cel_equal_work(struct value a, struct value b, uint64_t *work)
{
    if (++*work >
        LIMIT_EXPRESSION_COST) // the caller's charge fails: what is said here counts no more
        return false;
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b) == 0;
    if (a.kind != b.kind)
        return false;
    switch ((enum value_kind)a.kind) {
    case VALUE_STRING:
    case VALUE_BYTES:
        *work += a.len == b.len ? a.len / 10 : 0;
        return str_eq(value_str(a), value_str(b));
    case VALUE_LIST:
        return list_equal(a, b, work);
    case VALUE_MAP:
        return map_equal(a, b, work);
    case VALUE_TYPE:
        return strcmp(a.opaque, b.opaque) == 0;
    case VALUE_OPTIONAL:
        return optional_equal(a, b, work);
    case VALUE_OPAQUE:
        return opaque_equal(a, b);
    default:
        return value_equal(a, b);
    }
}

bool cel_equal(struct value a, struct value b)
{
    uint64_t work = 0;
    return cel_equal_work(a, b, &work);
}

bool cel_in_list(struct value item, struct value list, uint64_t *work)
{
    for (uint32_t i = 0; i < list.len; i++)
        if (cel_equal_work(item, list.items[i], work))
            return true;
    return false;
}
