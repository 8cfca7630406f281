// SPDX-License-Identifier: Apache-2.0
/* The math extension. math.greatest and math.least arrive here as math.@max and math.@min. */
#include <math.h>

#include "cel/cel_internal.h"

static struct value extreme(struct cel_cx *cx, const struct value *items, unsigned count, int sign)
{
    if (count == 0)
        return cx_fail(cx, "C0206", "math.%s() of an empty list", sign > 0 ? "greatest" : "least");
    struct value best = items[0];
    for (unsigned i = 0; i < count; i++) {
        if (items[i].kind < VALUE_INT || items[i].kind > VALUE_DOUBLE)
            return cx_fail(cx, "C0201", "no such overload: math.%s() of %s",
                           sign > 0 ? "greatest" : "least", cel_value_type_name(items[i]));
        int order = cel_compare(items[i], best);
        if (order == 3 && i > 0)
            return cx_fail(cx, "C0206", "NaN values cannot be ordered");
        if (order * sign > 0 && order < 2)
            best = items[i];
    }
    return best;
}

static struct value extreme_of(struct cel_cx *cx, const struct value *v, unsigned count, int sign)
{
    if (count == 1 && v[0].kind == VALUE_LIST) {
        if (!cx_charge(cx, v[0].len))
            return cx_fail_cost(cx);
        return extreme(cx, v[0].items, v[0].len, sign);
    }
    return extreme(cx, v, count, sign);
}

static struct value greatest(struct cel_cx *cx, const struct value *v, unsigned count)
{
    return extreme_of(cx, v, count, 1);
}

static struct value least(struct cel_cx *cx, const struct value *v, unsigned count)
{
    return extreme_of(cx, v, count, -1);
}

#define ROUNDING(name, expression)                                                                 \
    static struct value name(struct cel_cx *cx, const struct value *v, unsigned count)             \
    {                                                                                              \
        (void)cx, (void)count;                                                                     \
        return expression;                                                                         \
    }
ROUNDING(math_ceil, value_double(ceil(v->d)))
ROUNDING(math_floor, value_double(floor(v->d)))
ROUNDING(math_round, value_double(round(v->d)))
ROUNDING(math_trunc, value_double(trunc(v->d)))
ROUNDING(math_sqrt, value_double(sqrt(v->kind == VALUE_INT    ? (double)v->i
                                      : v->kind == VALUE_UINT ? (double)v->u
                                                              : v->d)))
ROUNDING(is_nan, value_bool(isnan(v->d)))
ROUNDING(is_inf, value_bool(isinf(v->d)))
ROUNDING(is_finite, value_bool(isfinite(v->d)))

static struct value absolute(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    if (v->kind == VALUE_DOUBLE)
        return value_double(fabs(v->d));
    if (v->kind == VALUE_UINT)
        return *v;
    if (v->i == INT64_MIN)
        return cx_fail(cx, "C0205", "integer overflow: math.abs(%lld)", (long long)v->i);
    return value_int(v->i < 0 ? -v->i : v->i);
}

static struct value sign(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    if (v->kind == VALUE_DOUBLE)
        return isnan(v->d) ? *v : value_double((v->d > 0) - (v->d < 0));
    if (v->kind == VALUE_UINT)
        return value_uint(v->u > 0);
    return value_int((v->i > 0) - (v->i < 0));
}

static struct value with_bits(struct value like, uint64_t bits)
{
    like.u = bits;
    return like;
}

ROUNDING(bit_and, with_bits(v[0], v[0].u &v[1].u))
ROUNDING(bit_or, with_bits(v[0], v[0].u | v[1].u))
ROUNDING(bit_xor, with_bits(v[0], v[0].u ^ v[1].u))
ROUNDING(bit_not, with_bits(v[0], ~v[0].u))

static struct value shift(struct cel_cx *cx, const struct value *v, bool left)
{
    if (v[1].i < 0)
        return cx_fail(cx, "C0206", "math.bitShift%s() negative offset: %lld",
                       left ? "Left" : "Right", (long long)v[1].i);
    if (v[1].i > 63)
        return with_bits(v[0], 0);
    return with_bits(v[0], left ? v[0].u << v[1].i : v[0].u >> v[1].i);
}

static struct value shift_left(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return shift(cx, v, true);
}

static struct value shift_right(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return shift(cx, v, false);
}

#define NUMBERS2(fn)                                                                               \
    F(fn, &T_INT, &T_INT, &T_INT), F(fn, &T_UINT, &T_UINT, &T_UINT),                               \
        F(fn, &T_DOUBLE, &T_DOUBLE, &T_DOUBLE), F(fn, &T_DYN, &T_INT, &T_UINT),                    \
        F(fn, &T_DYN, &T_INT, &T_DOUBLE), F(fn, &T_DYN, &T_UINT, &T_INT),                          \
        F(fn, &T_DYN, &T_UINT, &T_DOUBLE), F(fn, &T_DYN, &T_DOUBLE, &T_INT),                       \
        F(fn, &T_DYN, &T_DOUBLE, &T_UINT)
#define NUMBERS1(fn) F(fn, &T_INT, &T_INT), F(fn, &T_UINT, &T_UINT), F(fn, &T_DOUBLE, &T_DOUBLE)
#define EXTREME(fn)                                                                                \
    NUMBERS1(fn), NUMBERS2(fn), F(fn, &T_DOUBLE, &T_LIST_DOUBLE), F(fn, &T_INT, &T_LIST_INT),      \
        F(fn, &T_UINT, &T_LIST_UINT)
static const struct cel_overload greatests[] = {EXTREME(greatest)};
static const struct cel_overload leasts[] = {EXTREME(least)};
static const struct cel_overload ceils[] = {F(math_ceil, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload floors[] = {F(math_floor, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload rounds[] = {F(math_round, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload truncs[] = {F(math_trunc, &T_DOUBLE, &T_DOUBLE)};
static const struct cel_overload sqrts[] = {F(math_sqrt, &T_DOUBLE, &T_DOUBLE),
                                            F(math_sqrt, &T_DOUBLE, &T_INT),
                                            F(math_sqrt, &T_DOUBLE, &T_UINT)};
static const struct cel_overload absolutes[] = {NUMBERS1(absolute)};
static const struct cel_overload signs[] = {NUMBERS1(sign)};
static const struct cel_overload nans[] = {F(is_nan, &T_BOOL, &T_DOUBLE)};
static const struct cel_overload infs[] = {F(is_inf, &T_BOOL, &T_DOUBLE)};
static const struct cel_overload finites[] = {F(is_finite, &T_BOOL, &T_DOUBLE)};
#define BITS(fn) F(fn, &T_INT, &T_INT, &T_INT), F(fn, &T_UINT, &T_UINT, &T_UINT)
static const struct cel_overload ands[] = {BITS(bit_and)};
static const struct cel_overload ors[] = {BITS(bit_or)};
static const struct cel_overload xors[] = {BITS(bit_xor)};
static const struct cel_overload nots[] = {F(bit_not, &T_INT, &T_INT),
                                           F(bit_not, &T_UINT, &T_UINT)};
static const struct cel_overload lefts[] = {F(shift_left, &T_INT, &T_INT, &T_INT),
                                            F(shift_left, &T_UINT, &T_UINT, &T_INT)};
static const struct cel_overload rights[] = {F(shift_right, &T_INT, &T_INT, &T_INT),
                                             F(shift_right, &T_UINT, &T_UINT, &T_INT)};

static const struct cel_function functions[] = {
    {"math.@max", "What math.greatest() is turned into.", NULL, OVERLOADS(greatests)},
    {"math.@min", "What math.least() is turned into.", NULL, OVERLOADS(leasts)},
    {"math.ceil", "The next whole number up.", "math.ceil(1.2) == 2.0", OVERLOADS(ceils)},
    {"math.floor", "The next whole number down.", "math.floor(-1.2) == -2.0", OVERLOADS(floors)},
    {"math.round", "The nearest whole number, halves away from zero.", "math.round(1.5) == 2.0",
     OVERLOADS(rounds)},
    {"math.trunc", "Without the fraction.", "math.trunc(-1.7) == -1.0", OVERLOADS(truncs)},
    {"math.sqrt", "The square root; NaN of a negative number.", "math.sqrt(49) == 7.0",
     OVERLOADS(sqrts)},
    {"math.abs", "The magnitude.", "math.abs(-3) == 3", OVERLOADS(absolutes)},
    {"math.sign", "-1, 0 or 1, in the number's own type.", "math.sign(-2.5) == -1.0",
     OVERLOADS(signs)},
    {"math.isNaN", "Is it no number?", "math.isNaN(0.0 / 0.0)", OVERLOADS(nans)},
    {"math.isInf", "Is it infinite?", "math.isInf(1.0 / 0.0)", OVERLOADS(infs)},
    {"math.isFinite", "Is it neither infinite nor NaN?", "math.isFinite(1.5)", OVERLOADS(finites)},
    {"math.bitAnd", "Bitwise and.", "math.bitAnd(6, 3) == 2", OVERLOADS(ands)},
    {"math.bitOr", "Bitwise or.", "math.bitOr(6, 3) == 7", OVERLOADS(ors)},
    {"math.bitXor", "Bitwise exclusive or.", "math.bitXor(6u, 3u) == 5u", OVERLOADS(xors)},
    {"math.bitNot", "Bitwise not.", "math.bitNot(0) == -1", OVERLOADS(nots)},
    {"math.bitShiftLeft", "Shifted left; 0 from 64 bits on.", "math.bitShiftLeft(1, 3) == 8",
     OVERLOADS(lefts)},
    {"math.bitShiftRight", "Shifted right, zeros come in; 0 from 64 bits on.",
     "math.bitShiftRight(8, 2) == 2", OVERLOADS(rights)},
};

const struct cel_group group_math = {"math", false, OVERLOADS(functions)};
