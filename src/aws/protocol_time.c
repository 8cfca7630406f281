// SPDX-License-Identifier: Apache-2.0
/* Points in time as the protocols spell them: ISO 8601, RFC 822 (RFC 9110's IMF-fixdate), epoch
 * seconds. Written with microseconds where there are any; read to nanoseconds, or to microseconds
 * from a fractional number, whose double holds no more. */
#include "aws/protocol_internal.h"

#include "base/clock.h"
#include "value/json_scan.h"
#include "value/number.h"

#include <inttypes.h>
#include <math.h>

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const weekdays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

#define SECONDS_MAX 253402300799 // the end of the year 9999
#define SECONDS_MIN (-62135596800)

/* What is left of the text being read. */
struct cursor {
    const char *at, *end;
};

static bool take_char(struct cursor *c, char wanted)
{
    if (c->at >= c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_digits(struct cursor *c, int least, int most, int64_t *ret)
{
    int64_t n = 0;
    int count = 0;
    while (count < most && c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        n = n * 10 + (*c->at++ - '0');
        count++;
    }
    *ret = n;
    return count >= least;
}

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && *c->at == ' ')
        c->at++;
}

struct moment {
    int64_t year, month, day, hour, minute, second, offset; // offset in seconds east
    uint32_t nanoseconds;
};

static bool to_timestamp(const struct moment *m, struct value *ret)
{
    if (m->month < 1 || m->month > 12 || m->day < 1 || m->day > 31 || m->hour > 24 ||
        m->minute > 59 || m->second > 60)
        return false;
    int64_t days = clock_days(m->year, (unsigned)m->month, (unsigned)m->day);
    int64_t seconds = days * 86400 + m->hour * 3600 + m->minute * 60 + m->second - m->offset;
    *ret = (struct value){.kind = VALUE_TIMESTAMP, .i = seconds, .len = m->nanoseconds};
    return true;
}

static bool take_fraction(struct cursor *c, uint32_t *ret)
{
    uint32_t n = 0, digits = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        if (digits < 9)
            n = n * 10 + (uint32_t)(*c->at - '0');
        digits++;
        c->at++;
    }
    for (uint32_t i = digits; i < 9; i++)
        n *= 10;
    *ret = n;
    return digits > 0;
}

static bool take_offset(struct cursor *c, int64_t *ret)
{
    *ret = 0;
    if (c->at == c->end || take_char(c, 'Z') || take_char(c, 'z'))
        return true;
    int64_t sign = take_char(c, '-') ? -1 : take_char(c, '+') ? 1 : 0, hours, minutes = 0;
    if (!sign || !take_digits(c, 2, 2, &hours))
        return false;
    take_char(c, ':');
    if (c->at < c->end && !take_digits(c, 2, 2, &minutes))
        return false;
    *ret = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool parse_iso(struct str text, struct value *ret)
{
    struct cursor c = {text.ptr, text.ptr + text.len};
    struct moment m = {0};
    if (!take_digits(&c, 4, 4, &m.year) || !take_char(&c, '-') ||
        !take_digits(&c, 2, 2, &m.month) || !take_char(&c, '-') || !take_digits(&c, 2, 2, &m.day))
        return false;
    if (c.at < c.end) {
        if (!take_char(&c, 'T') && !take_char(&c, 't') && !take_char(&c, ' '))
            return false;
        if (!take_digits(&c, 2, 2, &m.hour) || !take_char(&c, ':') ||
            !take_digits(&c, 2, 2, &m.minute))
            return false;
        if (take_char(&c, ':') && !take_digits(&c, 2, 2, &m.second))
            return false;
        if (take_char(&c, '.') && !take_fraction(&c, &m.nanoseconds))
            return false;
        skip_spaces(&c);
        if (!take_offset(&c, &m.offset))
            return false;
    }
    return c.at == c.end && to_timestamp(&m, ret);
}

static bool take_month(struct cursor *c, int64_t *ret)
{
    for (int i = 0; i < 12 && c->end - c->at >= 3; i++) {
        if (strncasecmp(c->at, months[i], 3) == 0) {
            c->at += 3;
            *ret = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_zone(struct cursor *c, int64_t *ret)
{
    static const char *const zones[] = {"GMT", "UTC", "UT"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(zones[i]);
        if ((size_t)(c->end - c->at) == len && memcmp(c->at, zones[i], len) == 0) {
            c->at = c->end;
            *ret = 0;
            return true;
        }
    }
    return take_offset(c, ret);
}

/* "Tue, 29 Apr 2014 18:30:38 GMT"; the weekday is not needed and not checked. */
static bool parse_rfc822(struct str text, struct value *ret)
{
    size_t comma = str_find_byte(text, ',');
    if (comma != SIZE_MAX)
        text = str_sub(text, comma + 1, SIZE_MAX);
    struct cursor c = {text.ptr, text.ptr + text.len};
    struct moment m = {0};
    skip_spaces(&c);
    if (!take_digits(&c, 1, 2, &m.day))
        return false;
    skip_spaces(&c);
    if (!take_month(&c, &m.month))
        return false;
    skip_spaces(&c);
    if (!take_digits(&c, 4, 4, &m.year))
        return false;
    skip_spaces(&c);
    if (!take_digits(&c, 2, 2, &m.hour) || !take_char(&c, ':') ||
        !take_digits(&c, 2, 2, &m.minute) || !take_char(&c, ':') ||
        !take_digits(&c, 2, 2, &m.second))
        return false;
    if (take_char(&c, '.') && !take_fraction(&c, &m.nanoseconds))
        return false;
    skip_spaces(&c);
    return take_zone(&c, &m.offset) && c.at == c.end && to_timestamp(&m, ret);
}

static bool from_double(double seconds, struct value *ret)
{
    if (!(seconds >= (double)SECONDS_MIN && seconds <= (double)SECONDS_MAX))
        return false;
    double whole = floor(seconds);
    int64_t i = (int64_t)whole, micro = (int64_t)llround((seconds - whole) * 1e6);
    if (micro == 1000000) {
        micro = 0;
        i++;
    }
    *ret = (struct value){.kind = VALUE_TIMESTAMP, .i = i, .len = (uint32_t)micro * 1000};
    return true;
}

static bool parse_epoch(struct str text, struct value *ret)
{
    int64_t whole;
    if (str_to_int64(text, &whole)) {
        if (whole < SECONDS_MIN || whole > SECONDS_MAX)
            return false;
        *ret = (struct value){.kind = VALUE_TIMESTAMP, .i = whole};
        return true;
    }
    return json_number_end(text, 0) == text.len && from_double(number_parse(text), ret);
}

bool time_from_text(struct str text, struct value *ret)
{
    text = str_trim(text);
    return text.len && text.len < 64 &&
           (parse_epoch(text, ret) || parse_iso(text, ret) || parse_rfc822(text, ret));
}

bool time_from_value(struct value v, struct value *ret)
{
    switch (v.kind) {
    case VALUE_TIMESTAMP:
        *ret = v;
        return v.i >= SECONDS_MIN && v.i <= SECONDS_MAX;
    case VALUE_INT:
        *ret = (struct value){.kind = VALUE_TIMESTAMP, .i = v.i};
        return v.i >= SECONDS_MIN && v.i <= SECONDS_MAX;
    case VALUE_DOUBLE:
        return from_double(v.d, ret);
    case VALUE_STRING:
        return time_from_text(value_str(v), ret);
    default:
        return false;
    }
}

void time_write(struct buf *out, struct value timestamp, enum aws_time_format format)
{
    if (format == AWS_TIME_UNIX) {
        buf_printf(out, "%" PRId64, timestamp.i);
        return;
    }
    int64_t days = timestamp.i / 86400, rest = timestamp.i % 86400, year;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    unsigned month, day;
    clock_civil(days, &year, &month, &day);
    int hour = (int)(rest / 3600), minute = (int)(rest / 60 % 60), second = (int)(rest % 60);
    if (format == AWS_TIME_RFC822) {
        const char *weekday = weekdays[((days % 7) + 7) % 7];
        buf_printf(out, "%s, %02u %s %04" PRId64 " %02d:%02d:%02d GMT", weekday, day,
                   months[month - 1], year, hour, minute, second);
        return;
    }
    buf_printf(out, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d", year, month, day, hour, minute,
               second);
    if (timestamp.len >= 1000)
        buf_printf(out, ".%06u", timestamp.len / 1000);
    buf_add_byte(out, 'Z');
}
