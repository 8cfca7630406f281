// SPDX-License-Identifier: Apache-2.0
/* See error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static void write_cut(char *to, size_t size, const char *format, va_list args)
{
    int length = vsnprintf(to, size, format, args);
    if (length >= 0 && (size_t)length >= size)
        memcpy(to + size - 4, "...", 4);
}

bool error_set(struct error *err, const char *code, const char *format, ...)
{
    if (!err)
        return false;
    struct error fresh = {.code = code};
    va_list args;
    va_start(args, format);
    write_cut(fresh.message, sizeof fresh.message, format, args);
    va_end(args);
    *err = fresh;
    return false;
}

bool error_context(struct error *err, const char *format, ...)
{
    if (!err)
        return false;
    char joined[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    write_cut(joined, sizeof joined, format, args);
    va_end(args);
    size_t used = strlen(joined);
    int length = snprintf(joined + used, sizeof joined - used, ": %s", err->message);
    if (length < 0 || (size_t)length >= sizeof joined - used)
        memcpy(joined + sizeof joined - 4, "...", 4);
    memcpy(err->message, joined, sizeof joined);
    return false;
}

bool error_hint(struct error *err, const char *format, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    write_cut(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return false;
}

void error_place(struct error *err, const char *file, struct str source, size_t offset,
                 unsigned span)
{
    if (!err)
        return;
    if (offset > source.len)
        offset = source.len;
    size_t start = 0;
    err->line = 1;
    for (size_t i = 0; i < offset; i++) {
        if (source.ptr[i] == '\n') {
            err->line++;
            start = i + 1;
        }
    }
    err->column = 1;
    for (size_t i = start; i < offset; i++)
        err->column += ((unsigned char)source.ptr[i] & 0xC0) != 0x80;
    struct str line = str_sub(source, start, SIZE_MAX);
    line.len = str_find_byte(line, '\n') == SIZE_MAX ? line.len : str_find_byte(line, '\n');
    snprintf(err->source_line, sizeof err->source_line, "%.*s", STR_FMT(line));
    snprintf(err->file, sizeof err->file, "%s", file ? file : "");
    err->span = span;
}

void error_list_add(struct error_list *list, const struct error *err)
{
    static struct error not_kept = {.code = "P0199", .message = "out of memory"};
    if (list->count < ERROR_LIST_MAX) {
        struct error *copy = ARENA_NEW(list->arena, struct error);
        if (copy)
            *copy = *err;
        list->items[list->count] = copy ? copy : &not_kept;
    }
    list->count++;
}

/* Columns a code point takes on a terminal: 2 for the common East Asian wide ranges, else 1. */
static unsigned code_point_width(unsigned c)
{
    return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                   (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                   (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                   (c >= 0x1F300 && c <= 0x1FAFF)
               ? 2
               : 1;
}

static unsigned code_point_at(const unsigned char *p, size_t left, size_t *ret_step)
{
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t step = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC0 ? 2 : 1;
    if (step > left)
        step = 1;
    unsigned c = p[0] & lead_mask[step];
    for (size_t i = 1; i < step; i++)
        c = c << 6 | (p[i] & 0x3Fu);
    *ret_step = step;
    return c;
}

static void print_source(struct buf *out, const struct error *err)
{
    unsigned column = 1;
    struct buf caret = {.arena = out->arena};
    size_t length = strlen(err->source_line);
    for (size_t i = 0, step; i < length; i += step, column++) {
        unsigned c = code_point_at((const unsigned char *)err->source_line + i, length - i, &step);
        bool control = c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0);
        if (control)
            buf_add_byte(out, ' ');
        else
            buf_add(out, err->source_line + i, step);
        unsigned span = err->span ? err->span : 1;
        bool under = column >= err->column && column < err->column + span;
        for (unsigned w = control ? 1 : code_point_width(c); w > 0; w--)
            if (column < err->column + span)
                buf_add_byte(&caret, under ? '^' : ' ');
    }
    if (err->column >= column)
        buf_add_byte(&caret, '^');
    buf_printf(out, "\n      | %.*s\n", STR_FMT(buf_str(&caret)));
}

void error_print(struct buf *out, const struct error *err)
{
    buf_printf(out, "error[%s]: ", err->code ? err->code : "?");
    buf_add_visible(out, str_from(err->message));
    buf_add_byte(out, '\n');
    if (err->file[0]) {
        buf_add_cstr(out, "  --> ");
        buf_add_visible(out, str_from(err->file));
        if (err->line)
            buf_printf(out, ":%u:%u", err->line, err->column);
        buf_add_byte(out, '\n');
    }
    if (err->line && err->source_line[0]) {
        buf_printf(out, "      |\n%5u | ", err->line);
        print_source(out, err);
    }
    if (err->hint[0]) {
        buf_add_cstr(out, "      = help: ");
        buf_add_visible(out, str_from(err->hint));
        buf_add_byte(out, '\n');
    }
}
