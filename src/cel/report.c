// SPDX-License-Identifier: Apache-2.0
/* Errors of a compilation, collected, put in the order of their positions and placed in the user's
 * file; and their print in the form that CEL's users know. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cel/cel_internal.h"

#define REPORT_MAX 200

struct arena_error_item {
    struct error error;
    uint32_t pos, end;
    size_t order;
};

void origin_place(struct error *err, const struct cel_origin *origin, struct str source,
                  uint32_t pos, uint32_t end)
{
    struct str covered = str_sub(source, pos, end > pos ? end - pos : 0);
    size_t line_end = str_find_byte(covered, '\n');
    if (line_end != SIZE_MAX)
        covered.len = line_end;
    unsigned span = (unsigned)utf8_count(covered);
    if (!origin) {
        error_place(err, "<input>", source, pos, span);
        return;
    }
    size_t offset = origin->offset ? origin->offset(origin->ctx, pos) : (size_t)origin->ctx + pos;
    error_place(err, origin->file, origin->file_text, offset, span);
}

void report_error(struct report *report, const char *code, uint32_t pos, uint32_t end,
                  const char *hint, const char *format, ...)
{
    if (report->count >= REPORT_MAX)
        return;
    if (report->count == report->cap) {
        size_t cap = report->cap ? report->cap * 2 : 4;
        struct arena_error_item *items = arena_grow(
            report->arena, report->items, report->cap * sizeof *items, cap * sizeof *items);
        if (!items)
            return;
        report->items = items;
        report->cap = cap;
    }
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct arena_error_item *item = &report->items[report->count];
    item->order = report->count++;
    item->pos = pos;
    item->end = end;
    error_set(&item->error, code, "%s", text);
    if (hint)
        error_hint(&item->error, "%s", hint);
}

static int by_position(const void *a, const void *b)
{
    const struct arena_error_item *x = a, *y = b;
    if (x->pos != y->pos)
        return x->pos < y->pos ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void report_flush(struct report *report)
{
    if (report->count > 1)
        qsort(report->items, report->count, sizeof *report->items, by_position);
    for (size_t i = 0; i < report->count; i++) {
        struct arena_error_item *item = &report->items[i];
        origin_place(&item->error, report->origin, report->source, item->pos, item->end);
        error_list_add(report->errors, &item->error);
    }
    report->count = 0;
}

/* Tabs and control characters as one space. */
static void add_line(struct buf *out, const char *line)
{
    for (; *line; line++)
        buf_add_byte(out, (unsigned char)*line < 0x20 || *line == 0x7F ? ' ' : *line);
}

static bool is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
           (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
           (c >= 0x1F300 && c <= 0x1FAFF);
}

void cel_error_print(struct buf *out, const struct error *err)
{
    buf_add_cstr(out, "ERROR: ");
    add_line(out, err->file[0] ? err->file : "<input>");
    buf_printf(out, ":%u:%u: ", err->line, err->column);
    add_line(out, err->message);
    buf_add_byte(out, '\n');
    if (err->line) {
        buf_add_cstr(out, " | ");
        add_line(out, err->source_line);
        buf_add_cstr(out, "\n | ");
        struct str line = str_from(err->source_line);
        size_t at = 0;
        for (unsigned column = 1; column < err->column; column++)
            buf_add_cstr(out, at < line.len && is_wide(utf8_next(line, &at)) ? "．" : ".");
        buf_add_cstr(out, "^\n");
    }
    if (err->hint[0])
        buf_printf(out, " = help: %s\n", err->hint);
}
