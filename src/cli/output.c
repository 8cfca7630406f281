// SPDX-License-Identifier: Apache-2.0
/* See output.h. YAML is written so that every parser of 1.1 and 1.2 reads the same: strings that
 * could be anything else are quoted as JSON, which YAML contains. */
#include "cli/output.h"

#include "value/json.h"

#define WIDTH_MAX 60   // columns of a cell
#define COLUMNS_MAX 16 // of a table

bool output_format_parse(const char *text, enum output_format *ret)
{
    static const char *const names[] = {"json", "yaml", "table"};
    *ret = OUTPUT_JSON;
    for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum output_format)i;
            return true;
        }
    }
    return text == NULL;
}

/* ---- YAML ---- */

static bool is_plain(struct str s)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on",
                                        "off",  "null",  "y",   "n"};
    char first = s.len ? s.ptr[0] : 0, lower = (char)(first | 0x20);
    if (!(lower >= 'a' && lower <= 'z') && first != '/' && first != '_')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], letter = (char)(c | 0x20);
        bool ok = (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') ||
                  (c && strchr("_-./+=@", c)) || (c == ':' && i + 1 < s.len);
        if (!ok)
            return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_eq_nocase(s, str_from(words[i])))
            return false;
    }
    return true;
}

static void write_scalar(struct buf *out, struct value v)
{
    if (v.kind == VALUE_STRING && is_plain(value_str(v)))
        buf_add_str(out, value_str(v));
    else
        json_write(out, v, JSON_COMPACT);
}

static bool is_nested(struct value v)
{
    return (v.kind == VALUE_LIST || v.kind == VALUE_MAP) && v.len > 0;
}

static void indent(struct buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_add(out, "  ", 2);
}

static void write_yaml(struct buf *out, struct value v, unsigned depth, bool inline_first)
{
    for (uint32_t i = 0; i < v.len; i++) {
        bool list = v.kind == VALUE_LIST;
        struct value item = list ? v.items[i] : v.pairs[i].value;
        if (i || !inline_first)
            indent(out, depth);
        if (list) {
            buf_add(out, "- ", 2);
        } else {
            write_scalar(out, v.pairs[i].key);
            buf_add_byte(out, ':');
        }
        if (!is_nested(item)) {
            if (!list)
                buf_add_byte(out, ' ');
            write_scalar(out, item);
            buf_add_byte(out, '\n');
        } else if (list) {
            write_yaml(out, item, depth + 1, true);
        } else {
            buf_add_byte(out, '\n');
            write_yaml(out, item, depth + 1, false);
        }
    }
}

/* ---- tables ---- */

static struct str cell(struct arena *arena, struct value v)
{
    struct buf out = {.arena = arena};
    if (v.kind != VALUE_STRING && v.kind != VALUE_NULL) {
        json_write(&out, v, JSON_COMPACT);
        return buf_str(&out);
    }
    buf_add_visible(&out, value_str(v));
    return buf_str(&out);
}

static size_t width_of(struct str s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.len; i++)
        width += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return width;
}

static void add_cell(struct buf *out, struct str s, size_t width, bool last)
{
    size_t used = width_of(s);
    buf_add_str(out, s);
    for (; !last && used < width + 2; used++)
        buf_add_byte(out, ' ');
    if (last)
        buf_add_byte(out, '\n');
}

struct columns {
    struct value keys[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    size_t count;
};

static void find_columns(struct value rows, struct arena *arena, struct columns *columns)
{
    for (uint32_t r = 0; r < rows.len; r++) {
        struct value row = rows.items[r];
        for (uint32_t i = 0; row.kind == VALUE_MAP && i < row.len; i++) {
            size_t c = 0;
            while (c < columns->count && !value_equal(columns->keys[c], row.pairs[i].key))
                c++;
            if (c == COLUMNS_MAX)
                continue;
            if (c == columns->count) {
                columns->keys[columns->count++] = row.pairs[i].key;
                columns->widths[c] = width_of(cell(arena, row.pairs[i].key));
            }
            size_t width = width_of(cell(arena, row.pairs[i].value));
            width = width < WIDTH_MAX ? width : WIDTH_MAX;
            columns->widths[c] = columns->widths[c] > width ? columns->widths[c] : width;
        }
    }
}

static void write_rows(struct buf *out, struct value rows)
{
    struct columns columns = {0};
    find_columns(rows, out->arena, &columns);
    if (columns.count == 0) {
        for (uint32_t r = 0; r < rows.len; r++)
            add_cell(out, cell(out->arena, rows.items[r]), 0, true);
        return;
    }
    for (size_t c = 0; c < columns.count; c++)
        add_cell(out, cell(out->arena, columns.keys[c]), columns.widths[c], c + 1 == columns.count);
    for (uint32_t r = 0; r < rows.len; r++) {
        for (size_t c = 0; c < columns.count; c++) {
            const struct value *v = value_get_key(rows.items[r], columns.keys[c]);
            add_cell(out, cell(out->arena, v ? *v : value_null()), columns.widths[c],
                     c + 1 == columns.count);
        }
    }
}

/* A list is a table, a map one of names and values; a map that only wraps one list is that list. */
static void write_table(struct buf *out, struct value v)
{
    if (v.kind == VALUE_MAP && v.len == 1 && v.pairs[0].value.kind == VALUE_LIST)
        v = v.pairs[0].value;
    if (v.kind == VALUE_LIST) {
        write_rows(out, v);
        return;
    }
    if (v.kind != VALUE_MAP) {
        add_cell(out, cell(out->arena, v), 0, true);
        return;
    }
    size_t width = 0;
    for (uint32_t i = 0; i < v.len; i++) {
        size_t one = width_of(cell(out->arena, v.pairs[i].key));
        width = width > one ? width : one;
    }
    for (uint32_t i = 0; i < v.len; i++) {
        add_cell(out, cell(out->arena, v.pairs[i].key), width, false);
        add_cell(out, cell(out->arena, v.pairs[i].value), 0, true);
    }
}

void output_write(struct buf *out, struct value v, enum output_format format)
{
    if (format == OUTPUT_TABLE) {
        write_table(out, v);
    } else if (format == OUTPUT_YAML && is_nested(v)) {
        write_yaml(out, v, 0, false);
    } else if (format == OUTPUT_YAML) {
        write_scalar(out, v);
        buf_add_byte(out, '\n');
    } else {
        json_write(out, v, JSON_PRETTY);
        buf_add_byte(out, '\n');
    }
}
