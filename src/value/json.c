// SPDX-License-Identifier: Apache-2.0
/* The reader: recursive descent over a cursor, depth bounded by LIMIT_JSON_DEPTH. See json.h. */
#include "value/json.h"

#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>

struct reader {
    struct arena *arena;
    struct str text;
    size_t at;
    unsigned depth;
    struct error *err;
};

static bool read_value(struct reader *r, struct value *ret);

static bool fail(struct reader *r, const char *code, const char *what)
{
    error_set(r->err, code, "%s", what);
    error_place(r->err, "", r->text, r->at, 1);
    return false;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->text.len) {
        char c = r->text.ptr[r->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        r->at++;
    }
}

static char peek(const struct reader *r)
{
    return r->at < r->text.len ? r->text.ptr[r->at] : '\0';
}

static bool read_word(struct reader *r, const char *word, struct value v, struct value *ret)
{
    size_t len = strlen(word);
    if (!str_eq(str_sub(r->text, r->at, len), (struct str){word, len}))
        return fail(r, "V0001", "malformed JSON: expected a value");
    r->at += len;
    *ret = v;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_digits(struct reader *r)
{
    while (is_digit(peek(r)))
        r->at++;
}

static bool read_double(struct reader *r, size_t start, struct value *ret)
{
    char small[64], *text = small;
    size_t len = r->at - start;
    if (len >= sizeof small) {
        text = arena_copy(r->arena, r->text.ptr + start, len);
        if (!text)
            return fail(r, "V0006", "out of memory");
    } else {
        memcpy(small, r->text.ptr + start, len);
        small[len] = '\0';
    }
    errno = 0;
    double d = strtod(text, NULL);
    if (errno == ERANGE && (d > 1 || d < -1)) {
        r->at = start;
        return fail(r, "V0005", "number out of range");
    }
    *ret = value_double(d);
    return true;
}

static bool read_number(struct reader *r, struct value *ret)
{
    size_t start = r->at;
    bool negative = peek(r) == '-', whole = true;
    r->at += negative;
    size_t first = r->at;
    skip_digits(r);
    if (r->at == first || (r->text.ptr[first] == '0' && r->at > first + 1))
        return fail(r, "V0001", "malformed JSON: bad number");
    size_t digits = r->at - first;
    if (peek(r) == '.') {
        size_t fraction = ++r->at;
        skip_digits(r);
        whole = false;
        if (r->at == fraction)
            return fail(r, "V0001", "malformed JSON: digits must follow the point");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-')
            r->at++;
        size_t exponent = r->at;
        skip_digits(r);
        whole = false;
        if (r->at == exponent)
            return fail(r, "V0001", "malformed JSON: digits must follow the exponent");
    }
    if (!whole || digits > 20)
        return read_double(r, start, ret);
    uint64_t n = 0;
    for (size_t i = first; i < first + digits; i++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(r->text.ptr[i] - '0'), &n))
            return read_double(r, start, ret);
    if (negative && n > (uint64_t)INT64_MAX + 1)
        return read_double(r, start, ret);
    if (negative && n == 0)
        *ret = value_double(-0.0);
    else if (negative)
        *ret = value_int((int64_t)(0 - n));
    else
        *ret = n <= INT64_MAX ? value_int((int64_t)n) : value_uint(n);
    return true;
}

static bool read_hex4(struct reader *r, unsigned *ret)
{
    unsigned n = 0;
    if (r->text.len - r->at < 4)
        return fail(r, "V0001", "malformed JSON: four hex digits must follow \\u");
    for (size_t i = 0; i < 4; i++) {
        char c = r->text.ptr[r->at];
        unsigned digit = is_digit(c)            ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return fail(r, "V0001", "malformed JSON: four hex digits must follow \\u");
        n = n << 4 | digit;
        r->at++;
    }
    *ret = n;
    return true;
}

static void put_code_point(struct buf *out, unsigned c)
{
    char bytes[4];
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)(leads[len] | c);
    buf_add(out, bytes, len);
}

static bool read_unicode_escape(struct reader *r, struct buf *out)
{
    unsigned c, low;
    if (!read_hex4(r, &c))
        return false;
    if (c >= 0xD800 && c <= 0xDFFF) {
        if (c >= 0xDC00 || !str_starts(str_sub(r->text, r->at, 2), STR("\\u")))
            return fail(r, "V0004", "lone surrogate in a string");
        r->at += 2;
        if (!read_hex4(r, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(r, "V0004", "lone surrogate in a string");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    put_code_point(out, c);
    return true;
}

static bool read_escape(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    const char *at = c ? strchr(from, c) : NULL;
    if (c == 'u') {
        r->at++;
        return read_unicode_escape(r, out);
    }
    if (!at)
        return fail(r, "V0001", "malformed JSON: unknown escape");
    r->at++;
    buf_add_byte(out, to[at - from]);
    return true;
}

/* The cursor is behind the opening quote. */
static bool read_string(struct reader *r, struct str *ret)
{
    size_t start = r->at;
    struct buf out = {.arena = r->arena};
    bool copied = false;
    for (;;) {
        while (r->at < r->text.len && (unsigned char)r->text.ptr[r->at] >= 0x20 &&
               r->text.ptr[r->at] != '"' && r->text.ptr[r->at] != '\\')
            r->at++;
        struct str run = str_sub(r->text, start, r->at - start);
        char c = peek(r);
        if (c == '"' && !copied) {
            r->at++;
            *ret = run;
            return true;
        }
        buf_add_str(&out, run);
        copied = true;
        if (c != '"' && c != '\\')
            return fail(r, "V0001", r->at < r->text.len ? "malformed JSON: control character in a string"
                                                        : "malformed JSON: string without an end");
        r->at++;
        if (c == '"')
            break;
        if (!read_escape(r, &out))
            return false;
        start = r->at;
    }
    *ret = buf_str(&out);
    return ret->ptr ? true : fail(r, "V0006", "out of memory");
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
        skip_space(r);
    }
    r->at++;
    *ret = value_finish_list(&list);
    return list.failed ? fail(r, "V0006", "out of memory") : true;
}

static bool read_pair(struct reader *r, struct value_pair *pair)
{
    struct str key;
    skip_space(r);
    if (peek(r) != '"')
        return fail(r, "V0001", "malformed JSON: expected a key in double quotes");
    r->at++;
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
                return fail(r, "V0006", "out of memory");
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
        return fail(r, "V0006", "out of memory");
    error_set(r->err, "V0003", "key \"%.*s\" occurs twice", STR_FMT(value_str(pairs[duplicate].key)));
    error_place(r->err, "", r->text, r->at - 1, 1);
    return false;
}

static bool read_value(struct reader *r, struct value *ret)
{
    struct str s;
    skip_space(r);
    char c = peek(r);
    if (c == '"') {
        r->at++;
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
    if (c == '-' || is_digit(c))
        return read_number(r, ret);
    if (c == 't')
        return read_word(r, "true", value_bool(true), ret);
    if (c == 'f')
        return read_word(r, "false", value_bool(false), ret);
    return read_word(r, "null", value_null(), ret);
}

bool json_parse(struct arena *arena, struct str text, struct value *ret, struct error *err)
{
    struct reader r = {.arena = arena, .text = text, .err = err};
    struct value v;
    if (text.len > UINT32_MAX)
        return fail(&r, "V0001", "longer than 4 GiB");
    if (!str_is_utf8(text))
        return fail(&r, "V0004", "not UTF-8");
    if (!read_value(&r, &v))
        return false;
    skip_space(&r);
    if (r.at < text.len)
        return fail(&r, "V0001", "malformed JSON: text after the value");
    *ret = v;
    return true;
}
