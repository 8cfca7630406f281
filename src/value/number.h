// SPDX-License-Identifier: Apache-2.0
/* Decimal numbers as JSON spells them, to doubles and back, both exact and without locale.
 *
 * Reading is correctly rounded (Lemire, "Number parsing at a gigabyte per second", 2021). Writing
 * finds the shortest decimal that reads back as the same double and, among those of that length,
 * the nearest (Giulietti, "The Schubfach way to render doubles", 2020). No allocation. Any thread.
 */
#ifndef RECTIFY_VALUE_NUMBER_H
#define RECTIFY_VALUE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* digits * 10^exponent; digits has no trailing zero (0 * 10^0 for zero). */
struct number_decimal {
    uint64_t digits;
    int32_t exponent;
};

/* `text` is a valid JSON number. Beyond the range of doubles: +-infinity; below it: +-0. */
double number_parse(struct str text);

/* The same for one who will ask number_is_shortest() about the text: `ret` saves reading it twice.
 * `point`: what json_plain_number() says of it, with which it is fast, or 0. At most 19 digits;
 * `more`: others but zeros were left out. */
struct number_parts {
    uint64_t digits;
    int64_t exponent;
    bool negative, more;
};
double number_parse_parts(struct str text, unsigned point, struct number_parts *ret);
bool number_parts_are_shortest(const struct number_parts *parts, double d);

/* Of a finite double's magnitude. */
struct number_decimal number_shortest(double d);

/* Is `text`, a valid JSON number, the shortest decimal of its double, up to zeros and the way the
 * exponent is spelled? `d` is number_parse(text). True for all of at most 15 digits in the normal
 * range; false for 9007199254740993, 1e400, 1e-400. */
bool number_is_shortest(struct str text, double d);

#define NUMBER_TEXT_SIZE 32
/* The shortest spelling of a finite double, as ECMAScript has it, but always with a point or an
 * exponent: "1.0", "0.1", "1e21", "5e-324". Returns the length; no NUL is written. */
unsigned number_write(double d, char ret[NUMBER_TEXT_SIZE]);

#endif
