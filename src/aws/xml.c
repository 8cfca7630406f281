// SPDX-License-Identifier: Apache-2.0
/* See xml_internal.h. XML 1.0 (fifth edition) as services write it: UTF-8, no DTD, names not
 * checked beyond ASCII. What a strict parser refuses is refused here: tags that do not match,
 * characters that XML does not have, "]]>" in text, "--" in a comment, text outside the root.
 *
 * One pass, no recursion: `current` is the element whose content is read, and knows its parent. */
#include "aws/xml_internal.h"

#include "base/limits.h"

#define ATTRIBUTES_MAX 64 // of one element

struct parse {
    struct arena *arena;
    const char *begin, *at, *end;
    struct xml_node *root, *current;
    struct buf text; // of the current element, since the last tag
    unsigned depth, elements;
    const char *malformed, *refused; // why it ended
};

static bool malformed(struct parse *p, const char *why)
{
    p->malformed = why;
    return false;
}

static bool refuse(struct parse *p, const char *why)
{
    p->refused = why;
    return false;
}

static bool starts(const struct parse *p, struct str word)
{
    return (size_t)(p->end - p->at) >= word.len && memcmp(p->at, word.ptr, word.len) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool skip_space(struct parse *p)
{
    const char *from = p->at;
    while (p->at < p->end && is_space(*p->at))
        p->at++;
    return p->at > from;
}

/* ---- characters ---- */

static bool is_name_start(unsigned char c)
{
    unsigned char letter = c | 0x20;
    return (letter >= 'a' && letter <= 'z') || c == '_' || c == ':' || c >= 0x80;
}

static bool is_name(unsigned char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* The name at the cursor, prefix included; empty when there is none. */
static struct str take_name(struct parse *p)
{
    const char *from = p->at;
    if (p->at < p->end && is_name_start((unsigned char)*p->at))
        while (p->at < p->end && is_name((unsigned char)*p->at))
            p->at++;
    return (struct str){from, (size_t)(p->at - from)};
}

static struct str local_name(struct str name)
{
    const char *colon = memrchr(name.ptr, ':', name.len);
    return colon ? str_sub(name, (size_t)(colon - name.ptr) + 1, SIZE_MAX) : name;
}

/* The whole document at once: well-formed UTF-8 and only characters that XML has. */
static bool check_characters(struct parse *p)
{
    const unsigned char *text = (const unsigned char *)p->begin;
    size_t size = (size_t)(p->end - p->begin);
    for (size_t i = 0; i < size; i++) {
        bool control = text[i] < ' ' && !is_space((char)text[i]);
        /* U+FFFE and U+FFFF */
        bool none = text[i] == 0xEF && size - i > 2 && text[i + 1] == 0xBF && text[i + 2] >= 0xBE;
        if (control || none) {
            p->at = p->begin + i;
            return malformed(p, "a character that XML does not have");
        }
    }
    return str_is_utf8((struct str){p->begin, size}) || malformed(p, "not UTF-8");
}

static bool add_code_point(struct buf *out, uint32_t c)
{
    bool exists = c >= ' '
                      ? c < 0xD800 || (c > 0xDFFF && c < 0xFFFE) || (c > 0xFFFF && c <= 0x10FFFF)
                      : is_space((char)c);
    if (!exists)
        return false;
    if (c < 0x80) {
        buf_add_byte(out, (char)c);
        return true;
    }
    if (c < 0x800) {
        buf_add_byte(out, (char)(0xC0 | c >> 6));
    } else {
        buf_add_byte(out, (char)(c < 0x10000 ? 0xE0 | c >> 12 : 0xF0 | c >> 18));
        if (c >= 0x10000)
            buf_add_byte(out, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_add_byte(out, (char)(0x80 | (c >> 6 & 0x3F)));
    }
    buf_add_byte(out, (char)(0x80 | (c & 0x3F)));
    return true;
}

/* "&#x41;", "&#65;": the cursor is behind "&#". */
static bool take_number(struct parse *p, struct buf *out)
{
    uint32_t base = 10, c = 0;
    if (p->at < p->end && *p->at == 'x') {
        base = 16;
        p->at++;
    }
    const char *from = p->at;
    for (; p->at < p->end && *p->at != ';'; p->at++) {
        char digit = *p->at, lower = (char)(digit | 0x20);
        bool letter = base == 16 && lower >= 'a' && lower <= 'f';
        if (!letter && (digit < '0' || digit > '9'))
            return malformed(p, "a broken character reference");
        c = c * base + (uint32_t)(letter ? lower - 'a' + 10 : digit - '0');
        if (c > 0x10FFFF)
            return malformed(p, "a character that XML does not have");
    }
    if (p->at == from || p->at == p->end)
        return malformed(p, "a broken character reference");
    p->at++;
    return add_code_point(out, c) || malformed(p, "a character that XML does not have");
}

static bool take_reference(struct parse *p, struct buf *out)
{
    static const struct {
        struct str name;
        char is;
    } entities[] = {{{"lt;", 3}, '<'},
                    {{"gt;", 3}, '>'},
                    {{"amp;", 4}, '&'},
                    {{"quot;", 5}, '"'},
                    {{"apos;", 5}, '\''}};
    p->at++;
    if (starts(p, STR("#"))) {
        p->at++;
        return take_number(p, out);
    }
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (!starts(p, entities[i].name))
            continue;
        buf_add_byte(out, entities[i].is);
        p->at += entities[i].name.len;
        return true;
    }
    return malformed(p, "an entity that is not built in");
}

/* Line ends become '\n'. */
static void add_line_end(struct parse *p, struct buf *out, char as)
{
    bool two = *p->at == '\r' && p->end - p->at > 1 && p->at[1] == '\n';
    p->at += two ? 2 : 1;
    buf_add_byte(out, as);
}

/* ---- text ---- */

/* Text before a child belongs to the parent; a mixed element's pieces are joined, and what is only
 * white space beside children is layout. */
static bool keep_text(struct parse *p, bool beside_child)
{
    struct xml_node *node = p->current;
    struct str text = {p->text.ptr, p->text.len};
    p->text.len = 0;
    if (p->text.failed)
        return refuse(p, "out of memory");
    if (!node || !text.len || (beside_child && str_trim(text).len == 0))
        return true;
    size_t size = node->text.len + text.len + 1;
    char *bytes = (char *)node->text.ptr;
    if (size > node->text_cap) {
        size_t cap = node->text_cap ? size * 2 : size; // pieces are joined in linear time
        bytes = arena_alloc_raw(p->arena, cap, 1);
        if (!bytes)
            return refuse(p, "out of memory");
        if (node->text.len)
            memcpy(bytes, node->text.ptr, node->text.len);
        node->text_cap = cap;
    }
    memcpy(bytes + node->text.len, text.ptr, text.len);
    bytes[size - 1] = '\0';
    node->text = (struct str){bytes, size - 1};
    return true;
}

/* Up to the next '<'. */
static bool take_text(struct parse *p)
{
    while (p->at < p->end && *p->at != '<') {
        const char *from = p->at;
        while (p->at < p->end && *p->at != '<' && *p->at != '&' && *p->at != '\r' && *p->at != ']')
            p->at++;
        buf_add(&p->text, from, (size_t)(p->at - from));
        if (p->at == p->end || *p->at == '<')
            break;
        if (*p->at == '\r') {
            add_line_end(p, &p->text, '\n');
        } else if (*p->at == '&') {
            if (!take_reference(p, &p->text))
                return false;
        } else if (starts(p, STR("]]>"))) {
            return malformed(p, "]]> in text");
        } else {
            buf_add_byte(&p->text, *p->at++);
        }
    }
    return true;
}

static bool take_cdata(struct parse *p)
{
    p->at += sizeof("<![CDATA[") - 1;
    while (p->at < p->end && !starts(p, STR("]]>"))) {
        if (*p->at == '\r')
            add_line_end(p, &p->text, '\n');
        else
            buf_add_byte(&p->text, *p->at++);
    }
    if (p->at == p->end)
        return malformed(p, "an unclosed CDATA section");
    p->at += 3;
    return true;
}

/* ---- what is skipped ---- */

static bool skip_comment(struct parse *p)
{
    p->at += 4;
    const char *close = memmem(p->at, (size_t)(p->end - p->at), "--", 2);
    if (!close || p->end - close < 3 || close[2] != '>')
        return malformed(p, "a broken comment");
    p->at = close + 3;
    return true;
}

static bool skip_instruction(struct parse *p)
{
    bool first = p->at == p->begin;
    p->at += 2;
    struct str target = take_name(p);
    bool declaration = str_eq_nocase(target, STR("xml"));
    const char *close = memmem(p->at, (size_t)(p->end - p->at), "?>", 2);
    if (!target.len || !close || (close != p->at && !is_space(*p->at)) ||
        (declaration && (!first || !str_is(target, "xml"))))
        return malformed(p, "a broken processing instruction");
    p->at = close + 2;
    return true;
}

/* ---- tags ---- */

static bool take_value(struct parse *p, struct str *ret)
{
    struct buf out = {.arena = p->arena};
    char quote = p->at < p->end ? *p->at : 0;
    if (quote != '"' && quote != '\'')
        return malformed(p, "an attribute without quotes");
    p->at++;
    while (p->at < p->end && *p->at != quote) {
        if (*p->at == '<')
            return malformed(p, "< in an attribute");
        if (*p->at == '&') {
            if (!take_reference(p, &out))
                return false;
        } else if (is_space(*p->at)) {
            add_line_end(p, &out, ' ');
        } else {
            buf_add_byte(&out, *p->at++);
        }
    }
    if (p->at == p->end)
        return malformed(p, "an unclosed attribute");
    p->at++;
    *ret = buf_str(&out);
    return ret->ptr || refuse(p, "out of memory");
}

static bool is_declaration(struct str name)
{
    return str_is(name, "xmlns") || str_starts(name, STR("xmlns:"));
}

/* The attributes of the tag at the cursor, up to its '>' or "/>". */
static bool take_attributes(struct parse *p, struct xml_node *node)
{
    struct str names[ATTRIBUTES_MAX];
    struct xml_attribute kept[ATTRIBUTES_MAX];
    size_t count = 0;
    for (;;) {
        bool space = skip_space(p);
        if (p->at == p->end || *p->at == '>' || *p->at == '/')
            break;
        if (count == ATTRIBUTES_MAX)
            return refuse(p, "an element has too many attributes");
        struct str name = take_name(p), value;
        if (!space || !name.len)
            return malformed(p, "a broken tag");
        for (size_t i = 0; i < count; i++) {
            if (str_eq(names[i], name))
                return malformed(p, "an attribute twice");
        }
        names[count++] = name;
        skip_space(p);
        if (p->at == p->end || *p->at++ != '=')
            return malformed(p, "a broken tag");
        skip_space(p);
        if (!take_value(p, &value))
            return false;
        if (!is_declaration(name))
            kept[node->attribute_count++] = (struct xml_attribute){local_name(name), value};
    }
    if (node->attribute_count == 0)
        return true;
    struct xml_attribute *list = ARENA_ARRAY(p->arena, struct xml_attribute, node->attribute_count);
    for (size_t i = 0; list && i < node->attribute_count; i++) {
        list[i] = (struct xml_attribute){str_copy(p->arena, kept[i].name), kept[i].value};
        if (!list[i].name.ptr)
            return refuse(p, "out of memory");
    }
    node->attributes = list;
    return list || refuse(p, "out of memory");
}

static void append(struct parse *p, struct xml_node *node)
{
    struct xml_node *parent = node->parent = p->current;
    if (!parent) {
        p->root = node;
        return;
    }
    *(parent->last ? &parent->last->next : &parent->first) = node;
    parent->last = node;
    parent->count++;
}

static bool take_start_tag(struct parse *p)
{
    if (p->root && !p->current)
        return malformed(p, "something behind the root element");
    if (p->depth == LIMIT_JSON_DEPTH)
        return refuse(p, "it nests too deep");
    if (p->elements++ == XML_ELEMENTS_MAX)
        return refuse(p, "it has too many elements");
    struct xml_node *node = ARENA_NEW(p->arena, struct xml_node);
    p->at++;
    struct str tag = take_name(p);
    if (!tag.len)
        return malformed(p, "a broken tag");
    if (!node || !keep_text(p, true))
        return refuse(p, "out of memory");
    node->tag = tag;
    node->name = str_copy(p->arena, local_name(tag));
    if (!node->name.ptr)
        return refuse(p, "out of memory");
    append(p, node);
    if (!take_attributes(p, node))
        return false;
    bool empty = starts(p, STR("/>"));
    if (!empty && !starts(p, STR(">")))
        return malformed(p, "a broken tag");
    p->at += empty ? 2 : 1;
    if (!empty) {
        p->current = node;
        p->depth++;
    }
    return true;
}

static bool take_end_tag(struct parse *p)
{
    p->at += 2;
    struct str tag = take_name(p);
    skip_space(p);
    if (!p->current || !str_eq(tag, p->current->tag) || !starts(p, STR(">")))
        return malformed(p, "a closing tag that does not match");
    p->at++;
    if (!keep_text(p, p->current->first != NULL))
        return false;
    p->current = p->current->parent;
    p->depth--;
    return true;
}

static bool take_markup(struct parse *p)
{
    if (starts(p, STR("</")))
        return take_end_tag(p);
    if (starts(p, STR("<!--")))
        return skip_comment(p);
    if (starts(p, STR("<![CDATA[")) && p->current)
        return take_cdata(p);
    if (starts(p, STR("<!DOCTYPE")))
        return refuse(p, "it has a DOCTYPE");
    if (starts(p, STR("<?")))
        return skip_instruction(p);
    return take_start_tag(p);
}

static bool take_document(struct parse *p)
{
    if (!check_characters(p))
        return false;
    if (starts(p, STR("\xEF\xBB\xBF")))
        p->begin = p->at += 3;
    while (p->at < p->end) {
        if (!p->current)
            skip_space(p);
        else if (!take_text(p))
            return false;
        if (p->at == p->end)
            break;
        if (*p->at != '<')
            return malformed(p, "text outside the root element");
        if (!take_markup(p))
            return false;
    }
    if (p->current || !p->root)
        return malformed(p, p->root ? "an element that is not closed" : "no element at all");
    return true;
}

bool xml_parse(struct arena *arena, struct str text, struct xml_node **ret, struct error *err)
{
    const char *begin = text.ptr ? text.ptr : "";
    struct parse p = {.arena = arena,
                      .begin = begin,
                      .at = begin,
                      .end = begin + text.len,
                      .text = {.arena = arena}};
    if (take_document(&p)) {
        *ret = p.root;
        return true;
    }
    if (p.refused)
        return error_set(err, "A0184", "the XML answer is refused: %s", p.refused);
    unsigned long line = 1;
    for (const char *i = begin; i < p.at; i++)
        line += *i == '\n';
    return error_set(err, "A0183", "the answer is not XML: %s in line %lu", p.malformed, line);
}

const struct xml_node *xml_child(const struct xml_node *node, struct str name)
{
    for (const struct xml_node *child = node->first; child; child = child->next)
        if (str_eq(child->name, name))
            return child;
    return NULL;
}

struct str xml_child_text(const struct xml_node *node, struct str name)
{
    const struct xml_node *child = xml_child(node, name);
    return child ? child->text : (struct str){0};
}
