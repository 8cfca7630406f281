// SPDX-License-Identifier: Apache-2.0
/* See clock.h. Calendar arithmetic after "Euclidean affine functions" style day counting:
 * years start in March, so that the leap day is the last. */
#include "base/clock.h"

#include "base/ensure.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    ENSURE(!failed);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_steady_ms(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_BOOTTIME);
}

static void system_random(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    char *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

const struct clock *clock_system(void)
{
    static const struct clock system = {system_wall_ms, system_steady_ms, system_random, NULL};
    return &system;
}

int64_t clock_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void clock_civil(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *ret_day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    *ret_month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *ret_year = yoe + era * 400 + (*ret_month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void clock_format(int64_t wall_ms, char ret[CLOCK_TEXT_SIZE])
{
    int64_t days = floor_div(wall_ms, 86400000), year;
    int64_t ms = wall_ms - days * 86400000;
    unsigned month, day;
    clock_civil(days, &year, &month, &day);
    int used = snprintf(ret, CLOCK_TEXT_SIZE, "%04lld-%02u-%02uT%02d:%02d:%02d",
                        (long long)(year % 10000), month % 100, day % 100, (int)(ms / 3600000 % 24),
                        (int)(ms / 60000 % 60), (int)(ms / 1000 % 60));
    char *rest = ret + used;
    size_t left = CLOCK_TEXT_SIZE - (size_t)used;
    if (ms % 1000)
        snprintf(rest, left, ".%03dZ", (int)(ms % 1000));
    else
        snprintf(rest, left, "Z");
}

/* Takes `digits` decimal digits off the front. */
static bool take_number(struct str *s, size_t digits, unsigned *ret)
{
    unsigned n = 0;
    if (s->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        n = n * 10 + (unsigned)(s->ptr[i] - '0');
    }
    *s = str_sub(*s, digits, SIZE_MAX);
    *ret = n;
    return true;
}

static bool take_byte(struct str *s, const char *any_of)
{
    if (s->len == 0 || s->ptr[0] == '\0' || !strchr(any_of, s->ptr[0]))
        return false;
    *s = str_sub(*s, 1, SIZE_MAX);
    return true;
}

static bool take_fraction(struct str *s, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (!take_byte(s, "."))
        return true;
    unsigned digit, count = 0;
    for (int64_t unit = 100; take_number(s, 1, &digit); unit /= 10, count++)
        *ret_ms += unit * digit;
    return count > 0;
}

static bool take_offset(struct str *s, int64_t *ret_minutes)
{
    *ret_minutes = 0;
    if (take_byte(s, "Zz"))
        return true;
    bool west = s->len && s->ptr[0] == '-';
    unsigned hours, minutes;
    if (!take_byte(s, "+-") || !take_number(s, 2, &hours) || !take_byte(s, ":") ||
        !take_number(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = (west ? -1 : 1) * (int64_t)(hours * 60 + minutes);
    return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool clock_parse(struct str text, int64_t *ret_wall_ms)
{
    unsigned year, month, day, hour, minute, second;
    int64_t ms, offset;
    if (!take_number(&text, 4, &year) || !take_byte(&text, "-") || !take_number(&text, 2, &month) ||
        !take_byte(&text, "-") || !take_number(&text, 2, &day) || !take_byte(&text, "Tt ") ||
        !take_number(&text, 2, &hour) || !take_byte(&text, ":") ||
        !take_number(&text, 2, &minute) || !take_byte(&text, ":") ||
        !take_number(&text, 2, &second) || !take_fraction(&text, &ms) ||
        !take_offset(&text, &offset) || text.len != 0)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    int64_t days = clock_days(year, month, day);
    *ret_wall_ms = ((days * 24 + hour) * 60 + minute - offset) * 60000 + second * 1000 + ms;
    return true;
}

bool clock_parse_duration(struct str text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    int64_t total = 0;
    if (text.len == 0)
        return false;
    while (text.len) {
        size_t digits = 0, letters = 0;
        while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
            digits++;
        while (digits + letters < text.len && text.ptr[digits + letters] >= 'a')
            letters++;
        int64_t count, unit = 0;
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (str_is(str_sub(text, digits, letters), units[i].name))
                unit = units[i].ms;
        if (!str_to_int64(str_sub(text, 0, digits), &count) || unit == 0 ||
            __builtin_mul_overflow(count, unit, &count) ||
            __builtin_add_overflow(total, count, &total))
            return false;
        text = str_sub(text, digits + letters, SIZE_MAX);
    }
    *ret_ms = total;
    return true;
}
