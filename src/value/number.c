// SPDX-License-Identifier: Apache-2.0
/* See number.h. The table of powers is shared by both directions: reading wants it rounded up below
 * 10^0 only, writing wants it rounded up wherever it is not exact. */
#include "value/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "value/number_table.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight_digits() reads words");

#define EXACT_POWER_MAX 55 // 5^55 is the last power that fits 128 bits

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Eight digits at once, or false (Lemire: pairs, then fours, then all). */
static inline bool eight_digits(const char *p, uint64_t *ret)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    uint64_t value = word - 0x3030303030303030u;
    if (((word + 0x4646464646464646u) | value) & 0x8080808080808080u)
        return false;
    value = value * 10 + (value >> 8);
    *ret = (((value & 0x000000FF000000FFu) * 0x000F424000000064u) +
            ((value >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
           32;
    return true;
}

/* Digits gathered so far; small and local, so that it stays in registers. */
struct gathered {
    uint64_t digits;
    int64_t exponent;
    unsigned count; // significant ones, at most 19
    bool more;
};

static inline __attribute__((always_inline)) struct gathered
gather(struct str text, size_t *at, bool fraction, struct gathered g)
{
    const char *p = text.ptr + *at, *end = text.ptr + text.len;
    uint64_t eight;
    while (end - p >= 8 && g.count <= 11 && (g.count || *p != '0') && eight_digits(p, &eight)) {
        g.digits = g.digits * 100000000 + eight;
        g.exponent -= fraction ? 8 : 0;
        g.count += 8;
        p += 8;
    }
    for (; p < end && is_digit(*p); p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (g.count < 19) {
            g.digits = g.digits * 10 + digit;
            g.count += g.digits != 0;
            g.exponent -= fraction;
        } else {
            g.more |= digit != 0;
            g.exponent += !fraction;
        }
    }
    *at = (size_t)(p - text.ptr);
    return g;
}

static int64_t take_exponent(struct str text, size_t at)
{
    int64_t exponent = 0;
    bool down = at < text.len && text.ptr[at] == '-';
    at += at < text.len && !is_digit(text.ptr[at]);
    for (; at < text.len; at++)
        if (exponent < 100000000)
            exponent = exponent * 10 + (text.ptr[at] - '0');
    return down ? -exponent : exponent;
}

#define SHORT_DIGITS 19 // always fit 64 bits

/* The number of `count` (1 to 8) digits at `p`; eight bytes can be read there. */
static inline uint64_t few_digits(const char *p, unsigned count)
{
    uint64_t word, zeros = 0x3030303030303030u << (64 - 8 * count);
    memcpy(&word, p, sizeof word);
    word = (word << (64 - 8 * count)) - zeros; // what is behind the digits is gone
    word = word * 10 + (word >> 8);
    return (((word & 0x000000FF000000FFu) * 0x000F424000000064u) +
            ((word >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
           32;
}

/* Of up to 19. */
static inline uint64_t run_of_digits(const char *p, unsigned count)
{
    const uint64_t eight = 100000000;
    if (count <= 8)
        return count ? few_digits(p, count) : 0;
    if (count <= 16)
        return few_digits(p, count - 8) * eight + few_digits(p + count - 8, 8);
    return (few_digits(p, count - 16) * eight + few_digits(p + count - 16, 8)) * eight +
           few_digits(p + count - 8, 8);
}

/* Of a plain number of at most 19 digits both runs of digits at once. */
static inline bool read_plain(struct str text, unsigned point, struct number_parts *ret)
{
    static const uint64_t powers[SHORT_DIGITS + 1] = {1,
                                                      10,
                                                      100,
                                                      1000,
                                                      10000,
                                                      100000,
                                                      1000000,
                                                      10000000,
                                                      100000000,
                                                      1000000000,
                                                      10000000000,
                                                      100000000000,
                                                      1000000000000,
                                                      10000000000000,
                                                      100000000000000,
                                                      1000000000000000,
                                                      10000000000000000,
                                                      100000000000000000,
                                                      1000000000000000000,
                                                      10000000000000000000u};
    const char *p = text.ptr;
    unsigned len = (unsigned)text.len, negative = *p == '-', whole = point - negative;
    unsigned fraction = point < len ? len - point - 1 : 0;
    if (whole + fraction > SHORT_DIGITS)
        return false;
    *ret = (struct number_parts){
        .digits = run_of_digits(p + negative, whole) * powers[fraction] +
                  run_of_digits(p + point + 1, fraction),
        .exponent = -(int64_t)fraction,
        .negative = negative,
    };
    return true;
}

static struct number_parts take_apart(struct str text)
{
    bool negative = text.len && text.ptr[0] == '-';
    size_t at = negative;
    struct gathered g = gather(text, &at, false, (struct gathered){0});
    if (at < text.len && text.ptr[at] == '.') {
        at++;
        g = gather(text, &at, true, g);
    }
    if (at < text.len)
        g.exponent += take_exponent(text, at + 1);
    return (struct number_parts){g.digits, g.exponent, negative, g.more};
}

static double from_bits(uint64_t mantissa, int64_t exponent)
{
    uint64_t bits = mantissa | (uint64_t)exponent << 52;
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* The upper 128 bits of w * 10^q, as many of them as rounding needs. */
static unsigned __int128 approximate(uint64_t w, int q)
{
    uint64_t high = number_powers[q - NUMBER_POWER_MIN].high;
    uint64_t low = number_powers[q - NUMBER_POWER_MIN].low;
    if (q < 0)
        high += ++low == 0;
    unsigned __int128 product = (unsigned __int128)w * high;
    const uint64_t undecided = UINT64_MAX >> 55;
    if (((uint64_t)(product >> 64) & undecided) == undecided)
        product += (unsigned __int128)w * low >> 64;
    return product;
}

/* w * 10^q correctly rounded; false when 128 bits do not decide it. */
static bool nearest_double(uint64_t w, int64_t q, double *ret)
{
    if (w == 0 || q < -342) {
        *ret = 0;
        return true;
    }
    if (q > 308) {
        *ret = HUGE_VAL;
        return true;
    }
    int zeros = __builtin_clzll(w);
    unsigned __int128 product = approximate(w << zeros, (int)q);
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (low == UINT64_MAX && (q < -27 || q > EXACT_POWER_MAX))
        return false;
    int upper = (int)(high >> 63);
    uint64_t mantissa = high >> (upper + 9);
    int64_t exponent = ((217706 * q) >> 16) + 63 + upper - zeros + 1023;
    if (exponent <= 0) {
        if (exponent <= -63) {
            *ret = 0;
            return true;
        }
        mantissa >>= 1 - exponent;
        mantissa = (mantissa + (mantissa & 1)) >> 1;
        *ret = from_bits(mantissa, 0); // a carry into bit 52 is the smallest normal number
        return true;
    }
    /* Exactly half way between two doubles: to even. */
    if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << (upper + 9) == high)
        mantissa &= ~(uint64_t)1;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa == (uint64_t)1 << 53) {
        mantissa >>= 1;
        exponent++;
    }
    *ret = exponent >= 0x7FF ? HUGE_VAL : from_bits(mantissa & (((uint64_t)1 << 52) - 1), exponent);
    return true;
}

/* For the few that need more than 128 bits. */
static double parse_slowly(struct str text)
{
    char small[128], *copy = text.len < sizeof small ? small : malloc(text.len + 1);
    if (!copy)
        return NAN;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double d = fabs(strtod(copy, NULL));
    if (copy != small)
        free(copy);
    return d;
}

static double from_parts(struct str text, const struct number_parts *parts)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double d, next;
    if (!parts->more && parts->digits <= (uint64_t)1 << 53 && parts->exponent >= -22 &&
        parts->exponent <= 22) {
        /* Both are exact, so that one operation rounds once. */
        d = (double)parts->digits;
        return parts->exponent < 0 ? d / powers[-parts->exponent] : d * powers[parts->exponent];
    }
    if (!nearest_double(parts->digits, parts->exponent, &d))
        return parse_slowly(text);
    if (parts->more && (!nearest_double(parts->digits + 1, parts->exponent, &next) || next != d))
        return parse_slowly(text);
    return d;
}

double number_parse_parts(struct str text, unsigned point, struct number_parts *ret)
{
    if (!point || !read_plain(text, point, ret))
        *ret = take_apart(text);
    double d = from_parts(text, ret);
    return ret->negative ? -d : d;
}

double number_parse(struct str text)
{
    struct number_parts parts;
    return number_parse_parts(text, 0, &parts);
}

static struct number_decimal trim_zeros(uint64_t digits, int64_t exponent)
{
    if (digits == 0)
        return (struct number_decimal){0};
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct number_decimal){digits, (int32_t)exponent};
}

/* The product's high word, its lowest bit set when anything below was not zero. */
static uint64_t multiply_round_to_odd(uint64_t high, uint64_t low, uint64_t by)
{
    unsigned __int128 product = (unsigned __int128)high * by;
    product += (unsigned __int128)low * by >> 64;
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

struct number_decimal number_shortest(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    int biased = (int)(bits >> 52 & 0x7FF);
    uint64_t c = biased ? fraction | (uint64_t)1 << 52 : fraction;
    int q = (biased ? biased : 1) - 1075;
    if (c == 0)
        return (struct number_decimal){0};
    if (q <= 0 && q > -53 && (c & (((uint64_t)1 << -q) - 1)) == 0)
        return trim_zeros(c >> -q, 0);
    /* v = c*2^q lies in an interval of doubles that read as v; all times 4 to be integers. */
    bool even = (c & 1) == 0, lower_is_closer = fraction == 0 && biased > 1;
    int k = (q * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22;
    int shift = q + ((-k * 1741647) >> 19) + 1;
    uint64_t high = number_powers[-k - NUMBER_POWER_MIN].high;
    uint64_t low = number_powers[-k - NUMBER_POWER_MIN].low;
    if (-k < 0 || -k > EXACT_POWER_MAX)
        high += ++low == 0;
    uint64_t left =
        multiply_round_to_odd(high, low, (4 * c - 2 + lower_is_closer) << shift) + !even;
    uint64_t middle = multiply_round_to_odd(high, low, 4 * c << shift);
    uint64_t right = multiply_round_to_odd(high, low, (4 * c + 2) << shift) - !even;
    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = left <= 40 * tens, up = 40 * tens + 40 <= right;
        if (down != up)
            return trim_zeros(tens + up, k + 1);
    }
    bool down = left <= 4 * s, up = 4 * s + 4 <= right;
    if (down != up)
        return trim_zeros(s + up, k);
    uint64_t half = 4 * s + 2;
    return trim_zeros(s + (middle > half || (middle == half && (s & 1))), k);
}

bool number_parts_are_shortest(const struct number_parts *parts, double d)
{
    if (parts->digits == 0)
        return true;
    if (parts->more || !isfinite(d))
        return false;
    if (parts->digits < 1000000000000000u && parts->exponent > -300 && parts->exponent < 290)
        return true;
    struct number_decimal given = trim_zeros(parts->digits, parts->exponent);
    struct number_decimal best = number_shortest(d);
    return given.digits == best.digits && given.exponent == best.exponent;
}

bool number_is_shortest(struct str text, double d)
{
    struct number_parts parts = take_apart(text);
    return number_parts_are_shortest(&parts, d);
}

unsigned number_write(double d, char ret[NUMBER_TEXT_SIZE])
{
    struct number_decimal decimal = number_shortest(d);
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)decimal.digits);
    int point = count + decimal.exponent; // digits before the point
    char *out = ret;
    if (signbit(d))
        *out++ = '-';
    if (decimal.digits == 0 || (point > 0 && point <= 21)) {
        for (int i = 0; i < (point > 1 ? point : 1); i++)
            *out++ = i < count ? digits[i] : '0';
        *out++ = '.';
        if (point >= count)
            *out++ = '0';
        for (int i = point; i < count; i++)
            *out++ = digits[i];
    } else if (point <= 0 && point > -6) {
        *out++ = '0';
        *out++ = '.';
        for (int i = point; i < 0; i++)
            *out++ = '0';
        for (int i = 0; i < count; i++)
            *out++ = digits[i];
    } else {
        *out++ = digits[0];
        if (count > 1)
            *out++ = '.';
        for (int i = 1; i < count; i++)
            *out++ = digits[i];
        char exponent[8];
        int length = snprintf(exponent, sizeof exponent, "e%d", (point - 1) % 1000);
        memcpy(out, exponent, (size_t)length);
        out += length;
    }
    return (unsigned)(out - ret);
}
