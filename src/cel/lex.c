// SPDX-License-Identifier: Apache-2.0
/* Text to tokens, and literal tokens to values (langdef.md, "Syntax"). Where no token fits, an
 * error is reported and lexing goes on behind the character at which the longest attempt died, so
 * that one run shows all mistakes. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cel/cel_internal.h"

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* May stand in a name in back quotes. */
static bool is_quoted_letter(int c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '/' || c == ' ';
}

static int hex_digit(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -1 at the end. */
static int at_or_end(struct str s, size_t i)
{
    return i < s.len ? (unsigned char)s.ptr[i] : -1;
}

static size_t skip_blank(struct str s, size_t i)
{
    for (;;) {
        int c = at_or_end(s, i);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f') {
            i++;
        } else if (c == '/' && at_or_end(s, i + 1) == '/') {
            while (i < s.len && s.ptr[i] != '\n')
                i++;
        } else {
            return i;
        }
    }
}

/* An escape's length from its backslash, or 0 with `*ret_died` where it stopped making sense. */
static size_t escape_length(struct str s, size_t i, size_t *ret_died)
{
    int c = at_or_end(s, i + 1);
    size_t digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    for (size_t k = 0; k < digits; k++) {
        if (hex_digit(at_or_end(s, i + 2 + k)) < 0) {
            *ret_died = i + 2 + k;
            return 0;
        }
    }
    if (digits)
        return 2 + digits;
    if (c >= '0' && c <= '3') {
        for (size_t k = 2; k < 4; k++) {
            int d = at_or_end(s, i + k);
            if (d < '0' || d > '7') {
                *ret_died = i + k;
                return 0;
            }
        }
        return 4;
    }
    if (c > 0 && strchr("abfnrtv\"'\\?`", c))
        return 2;
    *ret_died = i + 1;
    return 0;
}

/* End of the string whose quotes start at `i`, or 0 with where it died. */
static size_t string_end(struct str s, size_t i, bool raw, size_t quotes, size_t *ret_died)
{
    char quote = s.ptr[i];
    i += quotes;
    while (i < s.len) {
        char c = s.ptr[i];
        if (c == quote) {
            size_t run = 1;
            while (run < quotes && at_or_end(s, i + run) == quote)
                run++;
            if (run == quotes)
                return i + quotes;
            i++;
        } else if (c == '\\' && !raw) {
            size_t length = escape_length(s, i, ret_died);
            if (!length)
                return 0;
            i += length;
        } else if ((c == '\n' || c == '\r') && quotes == 1) {
            break;
        } else {
            i++;
        }
    }
    *ret_died = i;
    return 0;
}

/* A string or bytes literal at `i` (prefix letters included): its end, or 0 with where it died. */
static size_t lex_string(struct str s, size_t i, bool *ret_bytes, size_t *ret_died)
{
    int c = at_or_end(s, i);
    *ret_bytes = c == 'b' || c == 'B';
    if (*ret_bytes)
        c = at_or_end(s, ++i);
    bool raw = c == 'r' || c == 'R';
    if (raw)
        c = at_or_end(s, ++i);
    if (c != '"' && c != '\'')
        return *ret_died = 0;
    if (at_or_end(s, i + 1) == c && at_or_end(s, i + 2) == c) {
        size_t end = string_end(s, i, raw, 3, ret_died);
        return end ? end : i + 2; // unterminated: the first two quotes are an empty string
    }
    return string_end(s, i, raw, 1, ret_died);
}

static size_t skip_digits(struct str s, size_t i)
{
    while (is_digit(at_or_end(s, i)))
        i++;
    return i;
}

static enum token_kind lex_number(struct str s, size_t i, size_t *ret_end)
{
    enum token_kind kind = TOK_INT;
    size_t end = i;
    if (at_or_end(s, i) == '0' && at_or_end(s, i + 1) == 'x' &&
        hex_digit(at_or_end(s, i + 2)) >= 0) {
        for (end = i + 2; hex_digit(at_or_end(s, end)) >= 0; end++)
            ;
    } else {
        end = skip_digits(s, i);
        if (at_or_end(s, end) == '.' && is_digit(at_or_end(s, end + 1))) {
            kind = TOK_FLOAT;
            end = skip_digits(s, end + 1);
        }
        int c = at_or_end(s, end);
        size_t exponent = end + 1;
        if (c == 'e' || c == 'E') {
            c = at_or_end(s, exponent);
            exponent += c == '+' || c == '-';
            if (is_digit(at_or_end(s, exponent))) {
                kind = TOK_FLOAT;
                end = skip_digits(s, exponent);
            }
        }
    }
    if (kind == TOK_INT && (at_or_end(s, end) == 'u' || at_or_end(s, end) == 'U')) {
        kind = TOK_UINT;
        end++;
    }
    *ret_end = end;
    return kind;
}

static enum token_kind word_kind(struct str word)
{
    static const struct {
        const char *word;
        enum token_kind kind;
    } words[] = {{"true", TOK_TRUE}, {"false", TOK_FALSE}, {"null", TOK_NULL}, {"in", TOK_IN}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(word, words[i].word))
            return words[i].kind;
    return TOK_IDENT;
}

/* Punctuation: longest first. A lone '=', '&' or '|' has TOK_EOF. */
static enum token_kind lex_sign(struct str s, size_t i, size_t *ret_length)
{
    static const struct {
        char sign[3];
        enum token_kind kind;
    } signs[] = {
        {"==", TOK_EQ},      {"!=", TOK_NE},      {"<=", TOK_LE},      {">=", TOK_GE},
        {"&&", TOK_AND},     {"||", TOK_OR},      {"<", TOK_LT},       {">", TOK_GT},
        {"[", TOK_LBRACKET}, {"]", TOK_RBRACKET}, {"{", TOK_LBRACE},   {"}", TOK_RBRACE},
        {"(", TOK_LPAREN},   {")", TOK_RPAREN},   {".", TOK_DOT},      {",", TOK_COMMA},
        {"-", TOK_MINUS},    {"!", TOK_NOT},      {"?", TOK_QUESTION}, {":", TOK_COLON},
        {"+", TOK_PLUS},     {"*", TOK_STAR},     {"/", TOK_SLASH},    {"%", TOK_PERCENT},
    };
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        struct str sign = str_from(signs[k].sign);
        if (str_starts(str_sub(s, i, SIZE_MAX), sign)) {
            *ret_length = sign.len;
            return signs[k].kind;
        }
    }
    return TOK_EOF;
}

static size_t code_point_length(struct str s, size_t i)
{
    size_t at = i;
    if (i >= s.len)
        return 0;
    utf8_next(s, &at);
    return at - i;
}

/* The token at `i`, or TOK_EOF with where it died. */
static struct token lex_one(struct str s, size_t i, size_t *ret_died)
{
    bool bytes;
    int c = at_or_end(s, i);
    *ret_died = i;
    size_t end = lex_string(s, i, &bytes, ret_died);
    if (end)
        return (struct token){bytes ? TOK_BYTES : TOK_STRING, (uint32_t)i, (uint32_t)end};
    if (*ret_died && (c == '"' || c == '\''))
        return (struct token){TOK_EOF, (uint32_t)i, (uint32_t)*ret_died};
    if (is_digit(c) || (c == '.' && is_digit(at_or_end(s, i + 1)))) {
        enum token_kind kind = lex_number(s, i, &end);
        return (struct token){kind, (uint32_t)i, (uint32_t)end};
    }
    if (is_letter(c)) {
        for (end = i; is_letter(at_or_end(s, end)) || is_digit(at_or_end(s, end)); end++)
            ;
        return (struct token){word_kind(str_sub(s, i, end - i)), (uint32_t)i, (uint32_t)end};
    }
    if (c == '`') {
        for (end = i + 1; is_quoted_letter(at_or_end(s, end));)
            end++;
        *ret_died = end;
        if (at_or_end(s, end) == '`' && end > i + 1)
            return (struct token){TOK_ESC_IDENT, (uint32_t)i, (uint32_t)end + 1};
        return (struct token){TOK_EOF, (uint32_t)i, (uint32_t)end};
    }
    size_t length = 0;
    enum token_kind kind = lex_sign(s, i, &length);
    *ret_died = i + (c == '=' || c == '&' || c == '|');
    return (struct token){kind, (uint32_t)i, (uint32_t)(i + length)};
}

struct token lex_next(struct report *report, uint32_t *at)
{
    struct str s = report->source;
    for (;;) {
        size_t i = skip_blank(s, *at), died;
        if (i >= s.len) {
            *at = (uint32_t)s.len;
            return (struct token){TOK_EOF, (uint32_t)s.len, (uint32_t)s.len};
        }
        struct token token = lex_one(s, i, &died);
        if (token.kind != TOK_EOF) {
            *at = token.end;
            return token;
        }
        size_t end = died + code_point_length(s, died);
        report_error(report, "C0001", (uint32_t)i, (uint32_t)end, NULL,
                     "Syntax error: token recognition error at: '%.*s'",
                     STR_FMT(str_sub(s, i, end - i)));
        *at = (uint32_t)end;
    }
}

static bool literal_error(struct report *report, struct token token, const char *what)
{
    report_error(report, "C0002", token.start, token.end, NULL, "%s", what);
    return false;
}

static bool lex_integer(struct report *report, struct token token, bool negative, struct value *ret)
{
    char text[80];
    size_t size = token.end - token.start - (token.kind == TOK_UINT);
    const char *what = token.kind == TOK_UINT ? "invalid uint literal" : "invalid int literal";
    if (size >= sizeof text)
        return literal_error(report, token, what);
    memcpy(text, report->source.ptr + token.start, size);
    text[size] = '\0';
    bool hex = size > 2 && text[1] == 'x';
    errno = 0;
    unsigned long long u = strtoull(text, NULL, hex ? 16 : 10);
    bool fits = token.kind == TOK_UINT || u <= (uint64_t)INT64_MAX + negative;
    if (errno || !fits)
        return literal_error(report, token, what);
    *ret = token.kind == TOK_UINT ? value_uint(u) : value_int((int64_t)(negative ? 0 - u : u));
    return true;
}

static bool lex_double(struct report *report, struct token token, bool negative, struct value *ret)
{
    size_t size = token.end - token.start;
    char *text = arena_copy(report->arena, report->source.ptr + token.start, size);
    double d = text ? strtod(text, NULL) : HUGE_VAL;
    if (isinf(d))
        return literal_error(report, token, "invalid double literal");
    *ret = value_double(negative ? -d : d);
    return true;
}

static char simple_escape(char c)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    const char *found = strchr(from, c);
    return found ? to[found - from] : c;
}

/* Adds the escape at s[i] (a backslash); its length, or 0 for a bad code point. */
static size_t add_escape(struct buf *out, struct str s, size_t i, bool bytes)
{
    char c = s.ptr[i + 1];
    size_t digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    bool octal = c >= '0' && c <= '3';
    if (!digits && !octal) {
        buf_add_byte(out, simple_escape(c));
        return 2;
    }
    if (octal)
        for (size_t k = 1; k < 4; k++)
            code = code * 8 + (uint32_t)(s.ptr[i + k] - '0');
    for (size_t k = 0; k < digits; k++)
        code = code * 16 + (uint32_t)hex_digit(s.ptr[i + 2 + k]);
    if (bytes && (octal || digits == 2)) {
        buf_add_byte(out, (char)code);
    } else {
        char encoded[4];
        if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return 0;
        buf_add(out, encoded, utf8_encode(code, encoded));
    }
    return octal ? 4 : 2 + digits;
}

static bool lex_text(struct report *report, struct token token, struct value *ret)
{
    struct str s = str_sub(report->source, token.start, token.end - token.start);
    bool bytes = token.kind == TOK_BYTES;
    size_t skip = bytes;
    bool raw = s.ptr[skip] == 'r' || s.ptr[skip] == 'R';
    skip += raw;
    char quote = s.ptr[skip];
    size_t quotes =
        s.len >= skip + 6 && s.ptr[skip + 1] == quote && s.ptr[skip + 2] == quote ? 3 : 1;
    s = str_sub(s, skip + quotes, s.len - skip - 2 * quotes);
    struct buf out = {.arena = report->arena};
    if (raw || !memchr(s.ptr, '\\', s.len)) {
        *ret = bytes ? value_bytes(s) : value_string(s);
        return true;
    }
    for (size_t i = 0; i < s.len;) {
        size_t length = 1;
        if (s.ptr[i] != '\\')
            buf_add_byte(&out, s.ptr[i]);
        else
            length = add_escape(&out, s, i, bytes);
        if (!length)
            return literal_error(report, token, "invalid unicode code point");
        i += length;
    }
    struct str text = buf_str(&out);
    if (out.failed)
        return literal_error(report, token, "out of memory");
    *ret = bytes ? value_bytes(text) : value_string(text);
    return true;
}

bool lex_literal(struct report *report, struct token token, bool negative, struct value *ret)
{
    switch (token.kind) {
    case TOK_INT:
    case TOK_UINT:
        return lex_integer(report, token, negative, ret);
    case TOK_FLOAT:
        return lex_double(report, token, negative, ret);
    case TOK_STRING:
    case TOK_BYTES:
        return lex_text(report, token, ret);
    case TOK_TRUE:
    case TOK_FALSE:
        *ret = value_bool(token.kind == TOK_TRUE);
        return true;
    default:
        *ret = value_null();
        return true;
    }
}
