// SPDX-License-Identifier: Apache-2.0
/* See log.h. One write(2) a line, so that lines of several threads do not mix. */
#include "base/log.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level level_min = LOG_INFO;
static bool as_json;
static char request[65]; // "" = none

void log_set_level(enum log_level level)
{
    level_min = level;
}

void log_set_json(void)
{
    as_json = true;
}

void log_set_request(const char *id)
{
    snprintf(request, sizeof request, "%s", id && strlen(id) < sizeof request ? id : "");
}

/* One hidden character (str_hidden) of `len` bytes. */
static size_t escape_hidden(const unsigned char *p, size_t len, char *out)
{
    size_t used = 0;
    unsigned code_point = len == 3   ? (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u)
                          : len == 2 ? (p[0] & 31u) << 6 | (p[1] & 63u)
                                     : p[0];
    if (as_json)
        return (size_t)sprintf(out, "\\u%04x", code_point);
    for (size_t i = 0; i < len; i++)
        used += (size_t)sprintf(out + used, "\\x%02x", p[i]);
    return used;
}

/* What must not reach a reader as it is, escaped; in JSON also what ends a string, and what is not
 * UTF-8. Up to six bytes for one. */
static size_t escape(const char *text, char *out)
{
    struct str rest = str_from(text);
    bool utf8 = str_is_utf8(rest);
    size_t used = 0;
    while (rest.len) {
        unsigned char c = (unsigned char)rest.ptr[0];
        size_t hidden = str_hidden(rest);
        if (hidden == 0 && as_json && c > 0x7F && !utf8)
            hidden = 1;
        if (hidden)
            used += escape_hidden((const unsigned char *)rest.ptr, hidden, out + used);
        else if (as_json && (c == '"' || c == '\\'))
            used += (size_t)sprintf(out + used, "\\%c", c);
        else
            out[used++] = (char)c;
        rest = str_sub(rest, hidden ? hidden : 1, SIZE_MAX);
    }
    return used;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    static const char *const json_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    char text[2048], line[sizeof text * 6 + 256], when[CLOCK_TEXT_SIZE];
    if (level < level_min)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clock_format(clock_wall_ms(clock_system()), when);
    size_t used =
        as_json ? (size_t)snprintf(line, sizeof line,
                                   "{\"timestamp\":\"%s\",\"level\":\"%s\",%s%s%s\"message\":\"",
                                   when, json_names[level], request[0] ? "\"requestId\":\"" : "",
                                   request, request[0] ? "\"," : "")
                : (size_t)snprintf(line, sizeof line, "%s %s ", when, names[level]);
    used += escape(text, line + used);
    if (as_json)
        used += (size_t)snprintf(line + used, 3, "\"}");
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; // nowhere to report to
}
