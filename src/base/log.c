// SPDX-License-Identifier: Apache-2.0
/* See log.h. One write(2) a line, so that lines of several threads do not mix. */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level level_min = LOG_INFO;

void log_set_level(enum log_level level)
{
    level_min = level;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char text[2048], line[sizeof text * 4 + 64], when[CLOCK_TEXT_SIZE];
    if (level < level_min)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clock_format(clock_wall_ms(clock_system()), when);
    size_t used = (size_t)snprintf(line, sizeof line, "%s %s ", when, names[level]);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F)
            used += (size_t)snprintf(line + used, sizeof line - used, "\\x%02x", c);
        else
            line[used++] = *p;
    }
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; // nowhere to report to
}
