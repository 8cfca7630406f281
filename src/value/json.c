// SPDX-License-Identifier: Apache-2.0
/* The reader: recursive descent over what json_scan.h leaves, depth bounded by LIMIT_JSON_DEPTH.
 * See json.h. */
#include "value/json.h"

#include "base/ensure.h"
#include "base/limits.h"
#include "value/json_scan.h"
#include "value/number.h"

#include <math.h>

#define SMALL_TEXT 4096 // texts up to this many bytes are scanned without the arena

struct reader {
    struct json_scan scan;
    struct arena *arena;
    size_t at, end; // the next byte, the next of scan.ends
    unsigned depth;
    struct error *err;
};

static bool read_value(struct reader *r, struct value *ret);

static bool fail(struct reader *r, const char *code, const char *what)
{
    error_set(r->err, code, "%s", what);
    error_place(r->err, "", r->scan.text, r->at, 1);
    return false;
}

static bool no_memory(struct reader *r)
{
    return fail(r, "V0006", "out of memory");
}

static void skip_space(struct reader *r)
{
    r->at = json_skip_space(r->scan.text, r->at);
}

static char peek(const struct reader *r)
{
    return r->at < r->scan.text.len ? r->scan.text.ptr[r->at] : '\0';
}

static bool read_literal(struct reader *r, struct value *ret)
{
    size_t end = json_literal_end(r->scan.text, r->at);
    if (!end)
        return fail(r, "V0001", "malformed JSON: expected a value");
    char c = peek(r);
    r->at = end;
    *ret = c == 'n' ? value_null() : value_bool(c == 't');
    return true;
}

/* An integer of `text`, if it is one and fits. */
static bool whole_number(struct str text, struct value *ret)
{
    bool negative = text.ptr[0] == '-';
    uint64_t n = 0;
    for (size_t i = negative; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text.ptr[i] - '0'), &n))
            return false;
    if (negative && (n == 0 || n > (uint64_t)INT64_MAX + 1))
        return false;
    if (negative)
        *ret = value_int((int64_t)(0 - n));
    else
        *ret = n <= INT64_MAX ? value_int((int64_t)n) : value_uint(n);
    return true;
}

static bool read_number(struct reader *r, struct value *ret)
{
    size_t end = json_number_end(r->scan.text, r->at);
    if (!end)
        return fail(r, "V0001", "malformed JSON: bad number");
    struct str text = str_sub(r->scan.text, r->at, end - r->at);
    if (!whole_number(text, ret)) {
        double d = number_parse(text);
        if (isnan(d))
            return no_memory(r);
        if (isinf(d))
            return fail(r, "V0005", "number out of range");
        *ret = value_double(d);
    }
    r->at = end;
    return true;
}

/* The cursor is on the opening quote. */
static bool read_string(struct reader *r, struct str *ret)
{
    while (r->scan.ends[r->end] <= r->at)
        r->end++;
    size_t start = r->at + 1, end = r->scan.ends[r->end++];
    struct str raw = str_sub(r->scan.text, start, end - start);
    r->at = end + 1;
    if (!json_has_escape(&r->scan, start, end)) {
        *ret = raw;
        return true;
    }
    char *text = arena_alloc_raw(r->arena, raw.len, 1);
    if (!text)
        return no_memory(r);
    *ret = (struct str){text, json_unescape(raw, text)};
    return true;
}

static bool read_list(struct reader *r, struct value *ret)
{
    struct value_builder list = {.arena = r->arena};
    skip_space(r);
    while (peek(r) != ']') {
        struct value item;
        if (list.count && peek(r) != ',')
            return fail(r, "V0001", "malformed JSON: expected , or ]");
        r->at += list.count > 0;
        if (!read_value(r, &item))
            return false;
        value_push(&list, item);
        if (list.failed)
            return no_memory(r);
        skip_space(r);
    }
    r->at++;
    *ret = value_finish_list(&list);
    return true;
}

static bool read_pair(struct reader *r, struct value_pair *pair)
{
    struct str key;
    skip_space(r);
    if (peek(r) != '"')
        return fail(r, "V0001", "malformed JSON: expected a key in double quotes");
    if (!read_string(r, &key))
        return false;
    pair->key = value_string(key);
    skip_space(r);
    if (peek(r) != ':')
        return fail(r, "V0001", "malformed JSON: expected :");
    r->at++;
    return read_value(r, &pair->value);
}

static bool read_map(struct reader *r, struct value *ret)
{
    struct value_pair *pairs = NULL;
    size_t count = 0, cap = 0, duplicate;
    skip_space(r);
    while (peek(r) != '}') {
        if (count && peek(r) != ',')
            return fail(r, "V0001", "malformed JSON: expected , or }");
        r->at += count > 0;
        if (count == cap) {
            size_t grown = cap ? cap * 2 : 8;
            pairs = arena_grow(r->arena, pairs, cap * sizeof *pairs, grown * sizeof *pairs);
            if (!pairs)
                return no_memory(r);
            cap = grown;
        }
        if (!read_pair(r, &pairs[count]))
            return false;
        count++;
        skip_space(r);
    }
    r->at++;
    if (value_map(r->arena, pairs, count, ret, &duplicate))
        return true;
    if (duplicate == SIZE_MAX)
        return no_memory(r);
    ENSURE(pairs && duplicate < count);
    error_set(r->err, "V0003", "key \"%.*s\" occurs twice",
              STR_FMT(value_str(pairs[duplicate].key)));
    error_place(r->err, "", r->scan.text, r->at - 1, 1);
    return false;
}

static bool read_value(struct reader *r, struct value *ret)
{
    struct str s;
    skip_space(r);
    char c = peek(r);
    if (c == '"') {
        if (!read_string(r, &s))
            return false;
        *ret = value_string(s);
        return true;
    }
    if (c == '{' || c == '[') {
        if (r->depth >= LIMIT_JSON_DEPTH)
            return fail(r, "V0002", "nested deeper than 64");
        r->at++;
        r->depth++;
        bool ok = c == '{' ? read_map(r, ret) : read_list(r, ret);
        r->depth--;
        return ok;
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(r, ret);
    return read_literal(r, ret);
}

static bool scan_text(struct reader *r)
{
    static const char *const codes[] = {
        [JSON_SCAN_CONTROL] = "V0001",   [JSON_SCAN_ESCAPE] = "V0001",
        [JSON_SCAN_SURROGATE] = "V0004", [JSON_SCAN_UTF8] = "V0004",
        [JSON_SCAN_OPEN] = "V0001",      [JSON_SCAN_LONG] = "V0001",
    };
    enum json_scan_error error = json_scan(&r->scan, &r->at);
    if (error)
        return fail(r, codes[error], json_scan_message(error));
    r->at = 0;
    return true;
}

static bool read_text(struct reader *r, struct value *ret)
{
    struct value v;
    if (!scan_text(r) || !read_value(r, &v))
        return false;
    skip_space(r);
    if (r->at < r->scan.text.len)
        return fail(r, "V0001", "malformed JSON: text after the value");
    *ret = v;
    return true;
}

/* Most texts have far fewer ends than the bound by their length. */
static size_t ends_room(struct str text)
{
    size_t quotes = 0, marks = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        quotes += c == '"';
        marks += c == ',' || c == ':' || c == '[' || c == ']' || c == '{' || c == '}';
    }
    size_t room = JSON_SCAN_ENDS(2 * (quotes + marks));
    return room < JSON_SCAN_ENDS(text.len) ? room : JSON_SCAN_ENDS(text.len);
}

bool json_parse(struct arena *arena, struct str text, struct value *ret, struct error *err)
{
    struct reader r = {.scan.text = text, .arena = arena, .err = err};
    if (text.len <= SMALL_TEXT) {
        uint32_t ends[JSON_SCAN_ENDS(SMALL_TEXT)] __attribute__((uninitialized));
        uint64_t escapes[JSON_SCAN_ESCAPES(SMALL_TEXT)] __attribute__((uninitialized));
        r.scan.ends = ends;
        r.scan.escapes = escapes;
        return read_text(&r, ret);
    }
    if (text.len > JSON_SCAN_MAX)
        return fail(&r, "V0001", json_scan_message(JSON_SCAN_LONG));
    r.scan.ends = arena_alloc_raw(arena, ends_room(text) * sizeof *r.scan.ends, sizeof(uint32_t));
    r.scan.escapes = arena_alloc_raw(arena, JSON_SCAN_ESCAPES(text.len) * sizeof *r.scan.escapes,
                                     sizeof(uint64_t));
    return r.scan.ends && r.scan.escapes ? read_text(&r, ret) : no_memory(&r);
}
