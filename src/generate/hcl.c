// SPDX-License-Identifier: Apache-2.0
/* Values as HCL expressions, the way `terraform fmt` leaves them: keys quoted with "=", signs
 * aligned over consecutive lines of one line each, lists of scalars on one line. */
#include "generate/generate_internal.h"

#include "value/json.h"

static void new_line(struct buf *out, unsigned indent)
{
    buf_add_byte(out, '\n');
    for (unsigned i = 0; i < indent; i++)
        buf_add_byte(out, ' ');
}

static bool is_scalar(struct value v)
{
    return v.kind != VALUE_MAP && v.kind != VALUE_LIST;
}

/* Written on one line? */
static bool is_flat(struct value v)
{
    if (v.kind == VALUE_MAP)
        return v.len == 0;
    for (uint32_t i = 0; v.kind == VALUE_LIST && i < v.len; i++)
        if (!is_scalar(v.items[i]))
            return v.len == 1 && v.items[i].kind == VALUE_MAP && v.items[i].len == 1 &&
                   is_scalar(v.items[i].pairs[0].value);
    return true;
}

static void write_scalar(struct buf *out, struct value v)
{
    struct str s = value_str(v);
    if (v.kind == VALUE_STRING && str_starts(s, STR("${")) && s.ptr[s.len - 1] == '}' &&
        str_find(str_sub(s, 2, SIZE_MAX), STR("${")) == SIZE_MAX)
        buf_add_str(out, str_sub(s, 2, s.len - 3));
    else
        json_write(out, v, JSON_COMPACT);
}

static void write_flat(struct buf *out, struct value v)
{
    if (v.kind == VALUE_MAP && v.len == 1) {
        buf_add_cstr(out, "{ ");
        json_write(out, v.pairs[0].key, JSON_COMPACT);
        buf_add_cstr(out, " = ");
        write_scalar(out, v.pairs[0].value);
        buf_add_cstr(out, " }");
    } else if (v.kind == VALUE_MAP) {
        buf_add_cstr(out, "{}");
    } else if (v.kind == VALUE_LIST) {
        buf_add_byte(out, '[');
        for (uint32_t i = 0; i < v.len; i++) {
            buf_add_cstr(out, i ? ", " : "");
            write_flat(out, v.items[i]);
        }
        buf_add_byte(out, ']');
    } else {
        write_scalar(out, v);
    }
}

/* Width of the keys of the run of flat values that holds entry `at`. */
static size_t key_width(struct value map, uint32_t at)
{
    uint32_t from = at, to = at;
    size_t width = 0;
    while (from > 0 && is_flat(map.pairs[from - 1].value))
        from--;
    while (to < map.len && is_flat(map.pairs[to].value))
        to++;
    for (uint32_t i = from; i < to; i++)
        if (map.pairs[i].key.len > width)
            width = map.pairs[i].key.len;
    return width;
}

void hcl_write(struct buf *out, struct value v, unsigned indent)
{
    if (is_flat(v)) {
        write_flat(out, v);
        return;
    }
    buf_add_byte(out, v.kind == VALUE_MAP ? '{' : '[');
    for (uint32_t i = 0; i < v.len; i++) {
        new_line(out, indent + 2);
        if (v.kind == VALUE_LIST) {
            hcl_write(out, v.items[i], indent + 2);
            buf_add_cstr(out, i + 1 < v.len ? "," : "");
            continue;
        }
        json_write(out, v.pairs[i].key, JSON_COMPACT);
        size_t width = is_flat(v.pairs[i].value) ? key_width(v, i) : 0;
        for (size_t k = v.pairs[i].key.len; k < width; k++)
            buf_add_byte(out, ' ');
        buf_add_cstr(out, " = ");
        hcl_write(out, v.pairs[i].value, indent + 2);
    }
    new_line(out, indent);
    buf_add_byte(out, v.kind == VALUE_MAP ? '}' : ']');
}
