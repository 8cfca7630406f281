// SPDX-License-Identifier: Apache-2.0
/* Time and randomness, passed in so that a simulator can own them.
 *
 * wall_ms: milliseconds since 1970-01-01T00:00:00Z, for records, signatures and expiry.
 * steady_ms: milliseconds that never go back and count suspended time (CLOCK_BOOTTIME), for
 * durations. random fills with bytes fit for tokens. Any thread may call them. */
#ifndef RECTIFY_BASE_CLOCK_H
#define RECTIFY_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct clock {
    int64_t (*wall_ms)(void *ctx);
    int64_t (*steady_ms)(void *ctx);
    void (*random)(void *ctx, void *bytes, size_t size);
    void *ctx;
};

/* The machine's own. Lives for ever. */
const struct clock *clock_system(void);

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->ctx);
}
static inline int64_t clock_steady_ms(const struct clock *clock)
{
    return clock->steady_ms(clock->ctx);
}
static inline void clock_random(const struct clock *clock, void *bytes, size_t size)
{
    clock->random(clock->ctx, bytes, size);
}

#define CLOCK_TEXT_SIZE 32
/* RFC 3339 in UTC with milliseconds ("2026-01-02T03:04:05.678Z"; without them when they are 0). */
void clock_format(int64_t wall_ms, char ret[CLOCK_TEXT_SIZE]);
/* RFC 3339 with any offset; fraction beyond milliseconds is cut. */
bool clock_parse(struct str text, int64_t *ret_wall_ms) __attribute__((warn_unused_result));
/* Civil date parts of days since 1970-01-01 and back (proleptic Gregorian). */
void clock_civil(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);
int64_t clock_days(int64_t year, unsigned month, unsigned day);
/* "90s", "5m", "12h", "7d", "1h30m", "250ms" to milliseconds. False on anything else, or < 0. */
bool clock_parse_duration(struct str text, int64_t *ret_ms) __attribute__((warn_unused_result));

#endif
