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

/* Control characters, and what is not UTF-8, escaped; in JSON also what ends a string. Up to six
 * bytes for one. */
static size_t escape(const char *text, char *out)
{
    bool utf8 = str_is_utf8(str_from(text));
    size_t used = 0;
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (as_json && (c == '"' || c == '\\'))
            used += (size_t)sprintf(out + used, "\\%c", c);
        else if (c < 0x20 || c == 0x7F || (as_json && c > 0x7F && !utf8))
            used += (size_t)sprintf(out + used, as_json ? "\\u%04x" : "\\x%02x", c);
        else
            out[used++] = *p;
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
