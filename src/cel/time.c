// SPDX-License-Identifier: Apache-2.0
/* Timestamps (RFC 3339, years 1 to 9999), durations (Go's notation: "1h30m", "-1.5s", "100ms") and
 * time zones: fixed offsets, and names looked up in the system's tz data (TZif, RFC 8536). A zone's
 * file is mapped for one look-up and let go; nothing is kept. Any thread. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cel/cel_internal.h"

#define NANOS 1000000000

/* ---- reading ---- */

struct cursor {
    struct str text;
    size_t at;
};

static bool take(struct cursor *c, char expected)
{
    if (c->at >= c->text.len || c->text.ptr[c->at] != expected)
        return false;
    c->at++;
    return true;
}

/* Exactly `count` digits. */
static bool take_number(struct cursor *c, unsigned count, int64_t *ret)
{
    int64_t number = 0;
    for (unsigned i = 0; i < count; i++, c->at++) {
        if (c->at >= c->text.len || c->text.ptr[c->at] < '0' || c->text.ptr[c->at] > '9')
            return false;
        number = number * 10 + (c->text.ptr[c->at] - '0');
    }
    *ret = number;
    return true;
}

static bool take_fraction(struct cursor *c, uint32_t *ret_nanos)
{
    uint32_t scale = NANOS / 10;
    size_t start = c->at;
    *ret_nanos = 0;
    for (; c->at < c->text.len && c->text.ptr[c->at] >= '0' && c->text.ptr[c->at] <= '9'; c->at++) {
        *ret_nanos += scale * (uint32_t)(c->text.ptr[c->at] - '0');
        scale /= 10;
    }
    return c->at > start && c->at - start <= 9;
}

/* "+hh:mm" or "-hh:mm"; the sign may be missing when `bare`. */
static bool take_offset(struct cursor *c, bool bare, int64_t *ret)
{
    int64_t hours, minutes;
    bool negative = take(c, '-');
    if (!negative && !take(c, '+') && !bare)
        return false;
    if (!take_number(c, 2, &hours) || !take(c, ':') || !take_number(c, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret = (negative ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static unsigned days_in_month(int64_t year, int64_t month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool time_parse(struct str text, int64_t *ret_seconds, uint32_t *ret_nanos)
{
    struct cursor c = {text, 0};
    int64_t year, month, day, hour, minute, second, offset = 0;
    uint32_t nanos = 0;
    if (!take_number(&c, 4, &year) || !take(&c, '-') || !take_number(&c, 2, &month) ||
        !take(&c, '-') || !take_number(&c, 2, &day) || !(take(&c, 'T') || take(&c, 't')) ||
        !take_number(&c, 2, &hour) || !take(&c, ':') || !take_number(&c, 2, &minute) ||
        !take(&c, ':') || !take_number(&c, 2, &second))
        return false;
    if (take(&c, '.') && !take_fraction(&c, &nanos))
        return false;
    if (!take(&c, 'Z') && !take(&c, 'z') && !take_offset(&c, false, &offset))
        return false;
    if (c.at != text.len || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t seconds = clock_days(year, (unsigned)month, (unsigned)day) * 86400 + hour * 3600 +
                      minute * 60 + second - offset;
    if (seconds < TIME_SECONDS_MIN || seconds > TIME_SECONDS_MAX)
        return false;
    *ret_seconds = seconds;
    *ret_nanos = nanos;
    return true;
}

static bool take_unit(struct cursor *c, int64_t *ret_nanos)
{
    static const struct {
        const char *name;
        int64_t nanos;
    } units[] = {{"ns", 1},       {"us", 1000}, {"\xC2\xB5s", 1000}, {"\xCE\xBCs", 1000},
                 {"ms", 1000000}, {"s", NANOS}, {"m", 60LL * NANOS}, {"h", 3600LL * NANOS}};
    struct str rest = str_sub(c->text, c->at, SIZE_MAX);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (str_starts(rest, str_from(units[i].name))) {
            c->at += strlen(units[i].name);
            *ret_nanos = units[i].nanos;
            return true;
        }
    }
    return false;
}

/* One "12.5h" of a duration, added to `*sum`. */
static bool take_part(struct cursor *c, __int128 *sum)
{
    __int128 whole = 0, fraction = 0, scale = 1;
    size_t start = c->at, digits = 0;
    for (; c->at < c->text.len && c->text.ptr[c->at] >= '0' && c->text.ptr[c->at] <= '9'; c->at++) {
        whole = whole * 10 + (c->text.ptr[c->at] - '0');
        digits++;
        if (c->at - start > 20)
            return false;
    }
    if (take(c, '.')) {
        for (; c->at < c->text.len && c->text.ptr[c->at] >= '0' && c->text.ptr[c->at] <= '9';
             c->at++) {
            digits++;
            if (scale < 1000000000000) {
                fraction = fraction * 10 + (c->text.ptr[c->at] - '0');
                scale *= 10;
            }
        }
    }
    int64_t unit;
    if (digits == 0 || !take_unit(c, &unit))
        return false;
    *sum += whole * unit + fraction * unit / scale;
    return *sum <= (__int128)1 << 64;
}

bool duration_parse(struct str text, int64_t *ret_nanos)
{
    struct cursor c = {text, 0};
    bool negative = take(&c, '-');
    if (!negative)
        take(&c, '+');
    __int128 sum = 0;
    if (str_is(str_sub(text, c.at, SIZE_MAX), "0")) {
        *ret_nanos = 0;
        return true;
    }
    if (c.at == text.len)
        return false;
    while (c.at < text.len)
        if (!take_part(&c, &sum))
            return false;
    if (negative)
        sum = -sum;
    if (sum > INT64_MAX || sum < INT64_MIN)
        return false;
    *ret_nanos = (int64_t)sum;
    return true;
}

/* ---- writing ---- */

static size_t add_fraction(char *to, uint32_t nanos)
{
    if (!nanos)
        return 0;
    size_t size = (size_t)snprintf(to, 12, ".%09u", nanos);
    while (to[size - 1] == '0')
        size--;
    return size;
}

size_t time_print(int64_t seconds, uint32_t nanos, char ret[TIME_TEXT_SIZE])
{
    int64_t days = seconds / 86400, second = seconds % 86400, year;
    unsigned month, day;
    if (second < 0) {
        second += 86400;
        days--;
    }
    clock_civil(days, &year, &month, &day);
    size_t size = (size_t)snprintf(ret, TIME_TEXT_SIZE - 16, "%04d-%02u-%02uT%02d:%02d:%02d",
                                   (int)year, month, day, (int)(second / 3600),
                                   (int)(second / 60 % 60), (int)(second % 60));
    size += add_fraction(ret + size, nanos);
    ret[size++] = 'Z';
    return size;
}

size_t duration_print(int64_t nanos, char ret[TIME_TEXT_SIZE])
{
    uint64_t whole = nanos < 0 ? 0 - (uint64_t)nanos : (uint64_t)nanos;
    size_t size = (size_t)snprintf(ret, TIME_TEXT_SIZE - 16, "%s%llu", nanos < 0 ? "-" : "",
                                   (unsigned long long)(whole / NANOS));
    size += add_fraction(ret + size, (uint32_t)(whole % NANOS));
    ret[size++] = 's';
    return size;
}

/* ---- zones ---- */

static int64_t big_endian(const unsigned char *p, unsigned bytes)
{
    uint64_t value = p[0] & 0x80 ? UINT64_MAX : 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

/* The parts of one TZif block, checked against the file's size. */
struct tzif {
    const unsigned char *times, *indexes, *types, *end;
    size_t time_count, type_count;
    unsigned width;
};

/* `*ret_next`: where the next block starts. */
static bool tzif_block(const unsigned char *p, size_t size, unsigned width, struct tzif *ret,
                       size_t *ret_next)
{
    if (size < 44 || memcmp(p, "TZif", 4) != 0)
        return false;
    size_t counts[6];
    for (unsigned i = 0; i < 6; i++) {
        counts[i] = (size_t)big_endian(p + 20 + 4 * i, 4);
        if (counts[i] > 100000)
            return false;
    }
    size_t utc = counts[0], std = counts[1], leaps = counts[2], times = counts[3],
           types = counts[4], chars = counts[5];
    size_t need = 44 + times * (width + 1) + types * 6 + chars + leaps * (width + 4) + std + utc;
    if (need > size || types == 0)
        return false;
    *ret = (struct tzif){.times = p + 44,
                         .indexes = p + 44 + times * width,
                         .types = p + 44 + times * (width + 1),
                         .end = p + need,
                         .time_count = times,
                         .type_count = types,
                         .width = width};
    *ret_next = need;
    return true;
}

/* Day of a rule such as M3.2.0 ("second Sunday of March") in a year, as days since 1970. */
static int64_t rule_day(int64_t year, int month, int week, int weekday)
{
    int64_t first = clock_days(year, (unsigned)month, 1);
    int64_t day = first + ((weekday - (first + 4)) % 7 + 7) % 7 + (week - 1) * 7;
    while (day >= first + days_in_month(year, month))
        day -= 7;
    return day;
}

static const char *skip_zone_name(const char *p, const char *end)
{
    if (p < end && *p == '<') {
        while (p < end && *p != '>')
            p++;
        return p < end ? p + 1 : p;
    }
    while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
        p++;
    return p;
}

/* "[+-]h[:mm[:ss]]" */
static const char *posix_time(const char *p, const char *end, int64_t *ret)
{
    int64_t parts[3] = {0};
    bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    for (unsigned i = 0; i < 3; i++) {
        while (p < end && *p >= '0' && *p <= '9' && parts[i] < 1000)
            parts[i] = parts[i] * 10 + (*p++ - '0');
        if (i == 2 || p >= end || *p != ':')
            break;
        p++;
    }
    *ret = (negative ? -1 : 1) * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return p;
}

struct posix_rule {
    int month, week, weekday;
    int64_t time;
};

static const char *posix_rule(const char *p, const char *end, struct posix_rule *ret)
{
    int used = 0;
    char text[32] = "";
    memcpy(text, p, (size_t)(end - p) < sizeof text - 1 ? (size_t)(end - p) : sizeof text - 1);
    if (sscanf(text, ",M%2d.%1d.%1d%n", &ret->month, &ret->week, &ret->weekday, &used) != 3 ||
        ret->month < 1 || ret->month > 12)
        return NULL;
    p += used;
    ret->time = 7200;
    return p < end && *p == '/' ? posix_time(p + 1, end, &ret->time) : p;
}

/* The rule after the last transition, "CET-1CEST,M3.5.0,M10.5.0/3". */
static bool posix_offset(const char *p, const char *end, int64_t seconds, int64_t *ret)
{
    int64_t standard, summer;
    struct posix_rule start, stop;
    p = posix_time(skip_zone_name(p, end), end, &standard);
    *ret = standard = -standard;
    if (p >= end)
        return true;
    const char *after = skip_zone_name(p, end);
    summer = standard + 3600;
    if (after < end && *after != ',') {
        after = posix_time(after, end, &summer);
        summer = -summer;
    }
    after = posix_rule(after, end, &start);
    if (!after || !posix_rule(after, end, &stop))
        return false;
    int64_t year;
    unsigned month, day;
    int64_t local_days = (seconds + standard) / 86400 - ((seconds + standard) % 86400 < 0);
    clock_civil(local_days, &year, &month, &day);
    int64_t from =
        rule_day(year, start.month, start.week, start.weekday) * 86400 + start.time - standard;
    int64_t to = rule_day(year, stop.month, stop.week, stop.weekday) * 86400 + stop.time - summer;
    bool in_summer = from < to ? seconds >= from && seconds < to : seconds >= from || seconds < to;
    *ret = in_summer ? summer : standard;
    return true;
}

static bool tzif_offset(const unsigned char *data, size_t size, int64_t seconds, int64_t *ret)
{
    struct tzif zone;
    size_t next;
    if (!tzif_block(data, size, 4, &zone, &next))
        return false;
    bool version2 = data[4] >= '2';
    if (version2 && !tzif_block(data + next, size - next, 8, &zone, &next))
        return false;
    size_t low = 0, high = zone.time_count; // how many transitions are at or before `seconds`
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (big_endian(zone.times + middle * zone.width, zone.width) <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    if (version2 && low == zone.time_count && zone.end < data + size && *zone.end == '\n') {
        const char *rule = (const char *)zone.end + 1, *end = (const char *)data + size;
        const char *stop = memchr(rule, '\n', (size_t)(end - rule));
        if (stop > rule && posix_offset(rule, stop, seconds, ret))
            return true;
    }
    size_t type = low ? zone.indexes[low - 1] : 0;
    if (type >= zone.type_count)
        return false;
    *ret = big_endian(zone.types + type * 6, 4);
    return true;
}

static bool zone_file(struct str name, int64_t seconds, int64_t *ret)
{
    static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo",
                                          "/etc/zoneinfo"};
    bool found = false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !found; i++) {
        char path[128];
        struct stat info;
        snprintf(path, sizeof path, "%s/%.*s", folders[i], STR_FMT(name));
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 44 &&
            info.st_size < 1 << 20) {
            size_t size = (size_t)info.st_size;
            void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
            if (data != MAP_FAILED) {
                found = tzif_offset(data, size, seconds, ret);
                munmap(data, size);
            }
        }
        close(fd);
    }
    return found;
}

static bool is_zone_name(struct str name)
{
    if (name.len == 0 || name.len > 64 || name.ptr[0] == '/' || name.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '/' || c == '_' || c == '-' || c == '+';
        if (!fine)
            return false;
    }
    return true;
}

bool zone_offset(struct str zone, int64_t seconds, int64_t *ret_offset)
{
    struct cursor c = {zone, 0};
    if (zone.len == 0 || str_is(zone, "UTC") || str_is(zone, "GMT") || str_is(zone, "Z")) {
        *ret_offset = 0;
        return true;
    }
    if (take_offset(&c, true, ret_offset) && c.at == zone.len)
        return true;
    return is_zone_name(zone) && zone_file(zone, seconds, ret_offset);
}

bool cel_zone_offset(struct str zone, int64_t seconds, int64_t *ret_offset)
{
    return zone_offset(zone, seconds, ret_offset);
}
