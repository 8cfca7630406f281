// SPDX-License-Identifier: Apache-2.0
/* See aws_compare.h. */
#include "aws_compare.h"

#include "aws/protocol_internal.h"
#include "base/hash.h"
#include "value/json.h"

#include <expat.h>
#include <math.h>
#include <stdlib.h>

struct value compare_untag(struct arena *arena, struct value v)
{
    if (v.kind == VALUE_LIST) {
        struct value *items = ARENA_ARRAY(arena, struct value, v.len);
        for (uint32_t i = 0; items && i < v.len; i++)
            items[i] = compare_untag(arena, v.items[i]);
        return value_list(items, v.len);
    }
    if (v.kind != VALUE_MAP)
        return v;
    const struct value *blob = value_get(v, STR("$blob")), *ts = value_get(v, STR("$ts"));
    struct str bytes;
    struct value result;
    if (v.len == 1 && blob && hash_from_base64(arena, value_str(*blob), &bytes))
        return value_bytes(bytes);
    if (v.len == 1 && ts && time_from_text(value_str(*ts), &result))
        return result;
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, v.len);
    for (uint32_t i = 0; pairs && i < v.len; i++)
        pairs[i] = (struct value_pair){v.pairs[i].key, compare_untag(arena, v.pairs[i].value)};
    return pairs && value_map(arena, pairs, v.len, &result, NULL) ? result : value_null();
}

static bool is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_UINT || v.kind == VALUE_DOUBLE;
}

static double number(struct value v)
{
    return v.kind == VALUE_INT ? (double)v.i : v.kind == VALUE_UINT ? (double)v.u : v.d;
}

static bool same_scalar(struct value got, struct value want)
{
    struct value moment;
    if (got.kind == VALUE_TIMESTAMP && is_number(want))
        return fabs((double)got.i + got.len / 1e9 - number(want)) < 1e-5;
    if (got.kind == VALUE_TIMESTAMP && want.kind == VALUE_STRING)
        return time_from_text(value_str(want), &moment) && moment.i == got.i &&
               moment.len / 1000 == got.len / 1000;
    if (got.kind == VALUE_BYTES && want.kind == VALUE_STRING)
        return str_eq(value_str(got), value_str(want));
    if (got.kind == VALUE_DOUBLE && want.kind == VALUE_STRING)
        return str_is(value_str(want), isnan(got.d)   ? "NaN"
                                       : isinf(got.d) ? (got.d > 0 ? "Infinity" : "-Infinity")
                                                      : "");
    if (got.kind == VALUE_DOUBLE && is_number(want) && isnan(got.d))
        return isnan(number(want));
    if (got.kind == VALUE_DOUBLE && is_number(want))
        return got.d == number(want) || (float)got.d == (float)number(want);
    return value_equal(got, want) ||
           (got.kind == VALUE_DOUBLE && want.kind == VALUE_DOUBLE && isnan(got.d) && isnan(want.d));
}

bool compare_output(struct value got, struct value want, struct buf *where)
{
    size_t length = where->len;
    if (got.kind == VALUE_LIST && want.kind == VALUE_LIST && got.len == want.len) {
        for (uint32_t i = 0; i < got.len; i++) {
            buf_printf(where, "[%u]", i);
            if (!compare_output(got.items[i], want.items[i], where))
                return false;
            where->len = length;
        }
        return true;
    }
    if (got.kind != VALUE_MAP || want.kind != VALUE_MAP)
        return same_scalar(got, want);
    for (uint32_t i = 0; i < want.len; i++) {
        const struct value *v = value_get_key(got, want.pairs[i].key);
        buf_printf(where, ".%.*s", STR_FMT(value_str(want.pairs[i].key)));
        if (!v || !compare_output(*v, want.pairs[i].value, where))
            return false;
        where->len = length;
    }
    for (uint32_t i = 0; i < got.len; i++) {
        if (value_get_key(want, got.pairs[i].key))
            continue;
        buf_printf(where, ".%.*s (too much)", STR_FMT(value_str(got.pairs[i].key)));
        return false;
    }
    return true;
}

/* ---- XML: attributes sorted, text trimmed ---- */

struct canonical {
    struct buf out, text;
};

static void flush_text(struct canonical *c)
{
    struct str text = str_trim((struct str){c->text.ptr, c->text.len});
    for (size_t i = 0; i < text.len; i++)
        buf_printf(&c->out, text.ptr[i] == '<' || text.ptr[i] == '&' ? "&#%d;" : "%c", text.ptr[i]);
    c->text.len = 0;
}

static int compare_attributes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void XMLCALL on_start(void *data, const char *name, const char **attributes)
{
    struct canonical *c = data;
    size_t count = 0;
    flush_text(c);
    while (attributes[count])
        count += 2;
    qsort(attributes, count / 2, 2 * sizeof *attributes, compare_attributes);
    buf_printf(&c->out, "<%s", name);
    for (size_t i = 0; i < count; i += 2)
        buf_printf(&c->out, " %s=\"%s\"", attributes[i], attributes[i + 1]);
    buf_add_byte(&c->out, '>');
}

static void XMLCALL on_end(void *data, const char *name)
{
    struct canonical *c = data;
    flush_text(c);
    buf_printf(&c->out, "</%s>", name);
}

static void XMLCALL on_text(void *data, const char *bytes, int len)
{
    struct canonical *c = data;
    buf_add(&c->text, bytes, (size_t)len);
}

static bool canonical_xml(struct arena *arena, struct str text, struct str *ret)
{
    struct canonical c = {.out = {.arena = arena}, .text = {.arena = arena}};
    XML_Parser parser = XML_ParserCreate("UTF-8");
    XML_SetUserData(parser, &c);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    bool ok = XML_Parse(parser, text.ptr, (int)text.len, 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    *ret = buf_str(&c.out);
    return ok;
}

/* ---- forms and queries ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

static struct str decode(struct arena *arena, struct str text)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '%' && i + 2 < text.len && hex(text.ptr[i + 1]) >= 0) {
            buf_add_byte(&out, (char)(hex(text.ptr[i + 1]) << 4 | hex(text.ptr[i + 2])));
            i += 2;
        } else {
            buf_add_byte(&out, text.ptr[i] == '+' ? ' ' : text.ptr[i]);
        }
    }
    return buf_str(&out);
}

static int compare_str(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static struct str sorted_pairs(struct arena *arena, struct str text, bool decoded)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '&';
    struct str *pairs = ARENA_ARRAY(arena, struct str, count);
    struct buf out = {.arena = arena};
    for (size_t i = 0; pairs && i < count; i++) {
        struct str value = str_cut(&text, '&');
        struct str name = str_cut(&value, '=');
        if (decoded) {
            name = decode(arena, name);
            value = decode(arena, value);
        }
        pairs[i] = str_from(arena_printf(arena, "%.*s=%.*s", STR_FMT(name), STR_FMT(value)));
    }
    qsort(pairs, count, sizeof *pairs, compare_str);
    for (size_t i = 0; pairs && i < count; i++)
        buf_printf(&out, "%.*s\n", STR_FMT(pairs[i]));
    return buf_str(&out);
}

bool compare_uri(struct arena *arena, struct str got_path, struct str got_query, struct str want)
{
    struct str query = want;
    struct str path = str_cut(&query, '?');
    return str_eq(got_path, path) &&
           str_eq(sorted_pairs(arena, got_query, false), sorted_pairs(arena, query, false));
}

static bool same_json(struct arena *arena, struct str got, struct str want)
{
    struct value a, b;
    struct buf where = {.arena = arena};
    if (!got.len && !want.len)
        return true;
    return json_parse(arena, got, &a, NULL) && json_parse(arena, want, &b, NULL) &&
           compare_output(a, b, &where);
}

bool compare_bodies(struct arena *arena, enum compare_body how, struct str got, struct str want)
{
    struct str a, b;
    if (how == COMPARE_EXACT || (!got.len && !want.len))
        return str_eq(got, want);
    if (how == COMPARE_JSON)
        return same_json(arena, got, want);
    if (how == COMPARE_CBOR) {
        struct value x, y;
        struct buf where = {.arena = arena};
        return cbor_parse(arena, got, &x, NULL) && cbor_parse(arena, want, &y, NULL) &&
               compare_output(x, y, &where);
    }
    if (how == COMPARE_FORM)
        return str_eq(sorted_pairs(arena, got, true), sorted_pairs(arena, want, true));
    return str_eq(got, want) ||
           (canonical_xml(arena, got, &a) && canonical_xml(arena, want, &b) && str_eq(a, b));
}

enum compare_body compare_body_of(const struct aws_operation *op)
{
    const struct aws_ref *payload = op->input ? op->input->shape->payload : NULL;
    enum aws_protocol protocol = op->service->protocol;
    bool rest = protocol == AWS_PROTOCOL_REST_JSON || protocol == AWS_PROTOCOL_REST_XML;
    if (rest && payload && payload->shape->kind > AWS_MAP)
        return COMPARE_EXACT;
    return protocol == AWS_PROTOCOL_JSON || protocol == AWS_PROTOCOL_REST_JSON ? COMPARE_JSON
           : protocol == AWS_PROTOCOL_CBOR                                     ? COMPARE_CBOR
           : protocol == AWS_PROTOCOL_REST_XML                                 ? COMPARE_XML
                                                                               : COMPARE_FORM;
}

static struct str without_list_spaces(struct arena *arena, struct str text)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != ' ' || i == 0 || text.ptr[i - 1] != ',')
            buf_add_byte(&out, text.ptr[i]);
    return buf_str(&out);
}

bool compare_header(struct arena *arena, struct str got, struct str want, bool json)
{
    struct str a, b;
    if (json && hash_from_base64(arena, got, &a) && hash_from_base64(arena, want, &b))
        return same_json(arena, a, b);
    return str_eq(without_list_spaces(arena, got), without_list_spaces(arena, want));
}
