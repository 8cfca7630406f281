// SPDX-License-Identifier: Apache-2.0
/* libfyaml's document to our tree. Plain scalars get the core schema's types, so `on` and `yes` are
 * strings. See yaml_internal.h. */
#include "policy/yaml_internal.h"

#include "base/limits.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void file_error(const struct yaml_file *file, const char *code, size_t offset, unsigned span,
                       const char *hint, const char *message)
{
    struct error err;
    error_set(&err, code, "%s", message);
    if (hint && hint[0])
        error_hint(&err, "%s", hint);
    error_place(&err, file->path.ptr, file->text, offset, span);
    error_list_add(file->errors, &err);
}

/* A scalar that stands in one line is underlined whole. */
static unsigned span_of(const struct yaml *node)
{
    struct str rest = str_sub(node->file->text, node->offset, node->text.len);
    return node->kind == YAML_SCALAR && node->text.len && str_eq(rest, node->text)
               ? (unsigned)node->text.len
               : 1;
}

void yaml_error(const struct yaml *node, const char *code, const char *hint, const char *format,
                ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    file_error(node->file, code, node->offset, span_of(node), hint, message);
}

static size_t offset_of(const struct yaml_file *file, int line, int column)
{
    size_t at = 0;
    for (int i = 1; i < line && at < file->text.len; i++) {
        size_t end = str_find_byte(str_sub(file->text, at, SIZE_MAX), '\n');
        if (end == SIZE_MAX)
            return file->text.len;
        at += end + 1;
    }
    return column > 1 ? at + (size_t)(column - 1) : at;
}

static struct yaml *convert(const struct yaml_file *file, struct fy_node *node, unsigned depth);

/* `!tags.exists(...)` without quotes is a YAML tag, not an expression. */
static bool check_tag(const struct yaml *node)
{
    if (node->tag.len == 0 || str_starts(node->tag, STR("tag:yaml.org,2002:")))
        return true;
    yaml_error(node, "P0103", "put quotes around the expression: \"!...\"",
               "an unquoted ! starts a YAML tag (%.*s), not an expression", STR_FMT(node->tag));
    return false;
}

static enum yaml_style style_of(struct fy_token *token)
{
    switch (token ? fy_scalar_token_get_style(token) : FYSS_PLAIN) {
    case FYSS_SINGLE_QUOTED:
        return YAML_SINGLE_QUOTED;
    case FYSS_DOUBLE_QUOTED:
        return YAML_DOUBLE_QUOTED;
    case FYSS_LITERAL:
    case FYSS_FOLDED:
        return YAML_BLOCK;
    default:
        return YAML_PLAIN;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Adds a line end and the blank lines behind it, folded (YAML 1.2, 6.5); the position of what
 * follows. */
static size_t fold(struct buf *out, struct str text, size_t at)
{
    unsigned ends = 0;
    while (out->len && (out->ptr[out->len - 1] == ' ' || out->ptr[out->len - 1] == '\t'))
        out->len--;
    for (; at < text.len && is_blank(text.ptr[at]); at++)
        ends += text.ptr[at] == '\n';
    if (ends == 1)
        buf_add_byte(out, ' ');
    for (; ends > 1; ends--)
        buf_add_byte(out, '\n');
    return at;
}

/* The content of a single-quoted scalar, from its first byte in the file on. libfyaml 0.7 reads two
 * doubled quotes in a row (an empty text in an expression) wrongly. */
static struct str single_quoted(const struct yaml_file *file, size_t at)
{
    struct buf out = {.arena = file->arena};
    struct str text = file->text;
    while (at < text.len) {
        char c = text.ptr[at];
        if (c == '\'' && !str_starts(str_sub(text, at, 2), STR("''")))
            break;
        if (c == '\n' || c == '\r') {
            at = fold(&out, text, at);
            continue;
        }
        buf_add_byte(&out, c);
        at += c == '\'' ? 2 : 1;
    }
    return str_copy(file->arena, buf_str(&out));
}

static bool convert_scalar(struct yaml *result, struct fy_node *node)
{
    struct fy_token *token = fy_node_get_scalar_token(node);
    size_t len = 0;
    const char *text = fy_node_get_scalar(node, &len);
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    result->text = str_copy(result->file->arena, (struct str){text, text ? len : 0});
    result->offset = mark ? mark->input_pos : 0;
    result->style = style_of(token);
    if (result->style == YAML_SINGLE_QUOTED)
        result->text = single_quoted(result->file, result->offset);
    return check_tag(result);
}

static bool convert_children(struct yaml *result, struct fy_node *node, unsigned depth)
{
    bool map = result->kind == YAML_MAP, ok = true;
    int count = map ? fy_node_mapping_item_count(node) : fy_node_sequence_item_count(node);
    struct arena *arena = result->file->arena;
    result->items = ARENA_ARRAY(arena, struct yaml *, (size_t)count + 1);
    result->keys = ARENA_ARRAY(arena, struct yaml *, (size_t)count + 1);
    if (!result->items || !result->keys)
        return false;
    void *at = NULL;
    for (int i = 0; i < count; i++) {
        struct fy_node_pair *pair = map ? fy_node_mapping_iterate(node, &at) : NULL;
        struct fy_node *item = map ? fy_node_pair_value(pair) : fy_node_sequence_iterate(node, &at);
        if (map) {
            result->keys[i] = convert(result->file, fy_node_pair_key(pair), depth + 1);
            if (result->keys[i] && result->keys[i]->kind != YAML_SCALAR) {
                yaml_error(result->keys[i], "P0104", NULL, "a key must be a plain word");
                result->keys[i] = NULL;
            }
            ok = ok && result->keys[i];
        }
        result->items[i] = convert(result->file, item, depth + 1);
        ok = ok && result->items[i];
        if (result->items[i] && result->items[i]->kind != YAML_SCALAR && map && result->keys[i])
            result->items[i]->offset = result->keys[i]->offset;
    }
    result->count = (size_t)count;
    if (ok && count) // where its first begins; the value of a key is where the key is
        result->offset = map ? result->keys[0]->offset : result->items[0]->offset;
    return ok;
}

static struct yaml *convert(const struct yaml_file *file, struct fy_node *node, unsigned depth)
{
    struct yaml *result = ARENA_NEW(file->arena, struct yaml);
    if (!result)
        return NULL;
    result->file = file;
    size_t tag_len = 0;
    const char *tag = node ? fy_node_get_tag(node, &tag_len) : NULL;
    result->tag = str_copy(file->arena, (struct str){tag, tag ? tag_len : 0});
    if (depth > LIMIT_JSON_DEPTH) {
        yaml_error(result, "P0102", NULL, "nested deeper than %u", LIMIT_JSON_DEPTH);
        return NULL;
    }
    if (!node) // an empty value
        return result;
    if (fy_node_is_alias(node)) {
        struct fy_token *token = fy_node_get_scalar_token(node);
        const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
        result->offset = mark ? mark->input_pos : 0;
        yaml_error(result, "P0105", "write the value out", "aliases (*name) are not supported");
        return NULL;
    }
    if (fy_node_is_scalar(node))
        return convert_scalar(result, node) ? result : NULL;
    result->kind = fy_node_is_mapping(node) ? YAML_MAP : YAML_LIST;
    return check_tag(result) && convert_children(result, node, depth) ? result : NULL;
}

/* Position of a `!` that starts a value in the line of `offset`, or SIZE_MAX: libfyaml reads on
 * behind the tag and stumbles over what follows. */
static size_t tag_before(const struct yaml_file *file, size_t offset)
{
    size_t at = offset < file->text.len ? offset : file->text.len;
    while (at > 0 && file->text.ptr[at - 1] != '\n')
        at--;
    for (; at + 2 < file->text.len && at < offset && file->text.ptr[at] != '#'; at++)
        if (memcmp(file->text.ptr + at, ": !", 3) == 0 ||
            memcmp(file->text.ptr + at, "- !", 3) == 0)
            return at + 2;
    return SIZE_MAX;
}

static void report_syntax(const struct yaml_file *file, struct fy_diag *diag)
{
    void *at = NULL;
    struct fy_diag_error *error;
    bool any = false;
    while ((error = fy_diag_errors_iterate(diag, &at))) {
        size_t place = offset_of(file, error->line, error->column), tag = tag_before(file, place);
        if (tag != SIZE_MAX)
            file_error(file, "P0103", tag, 1, "put quotes around the expression: \"!...\"",
                       "an unquoted ! starts a YAML tag, not an expression");
        else
            file_error(file, "P0101", place, 1,
                       strstr(error->msg, "nested block mapping")
                           ? "a value that contains \": \" needs quotes, or >- and lines of its own"
                           : NULL,
                       error->msg);
        any = true;
    }
    if (!any)
        file_error(file, "P0101", 0, 1, NULL, "not a YAML document");
}

static void discard(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
    (void)diag;
    (void)user;
    (void)buf;
    (void)len;
}

struct yaml *yaml_read(const struct yaml_file *file)
{
    if (!str_is_utf8(file->text)) {
        file_error(file, "P0101", 0, 1, NULL, "not UTF-8");
        return NULL;
    }
    struct fy_diag_cfg diag_config = {
        .output_fn = discard, .level = FYET_ERROR, .module_mask = (1u << FYEM_MAX) - 1};
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (!diag)
        return NULL;
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg config = {
        .flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_SLOPPY_FLOW_INDENTATION, .diag = diag};
    struct fy_document *doc =
        fy_document_build_from_string(&config, file->text.ptr, file->text.len);
    struct yaml *root = NULL;
    if (doc && fy_document_root(doc))
        root = convert(file, fy_document_root(doc), 0);
    else
        report_syntax(file, diag);
    fy_document_destroy(doc);
    fy_diag_destroy(diag);
    return root;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
        if (str_is(map->keys[i]->text, key))
            return map->items[i];
    return NULL;
}

bool yaml_check_keys(const struct yaml *map, const char *const *names, size_t count)
{
    bool ok = true;
    if (map->kind != YAML_MAP) {
        yaml_error(map, "P0106", NULL, "expected a mapping of keys to values");
        return false;
    }
    for (size_t i = 0; i < map->count; i++) {
        bool known = false;
        for (size_t j = 0; j < count; j++)
            known = known || str_is(map->keys[i]->text, names[j]);
        if (known)
            continue;
        char hint[128] = "";
        const char *near = str_nearest(map->keys[i]->text, names, count);
        if (near)
            snprintf(hint, sizeof hint, "did you mean `%s`?", near);
        yaml_error(map->keys[i], "P0107", hint, "unknown key `%.*s`", STR_FMT(map->keys[i]->text));
        ok = false;
    }
    return ok;
}

static struct value scalar_value(const struct yaml *node)
{
    struct str s = node->text;
    int64_t i;
    if (node->style != YAML_PLAIN)
        return value_string(s);
    if (s.len == 0 || str_is(s, "null") || str_is(s, "~") || str_is(s, "Null") || str_is(s, "NULL"))
        return value_null();
    if (str_is(s, "true") || str_is(s, "True") || str_is(s, "TRUE"))
        return value_bool(true);
    if (str_is(s, "false") || str_is(s, "False") || str_is(s, "FALSE"))
        return value_bool(false);
    if (str_to_int64(s, &i) && !(s.len > 1 && s.ptr[0] == '0'))
        return value_int(i);
    bool number = s.len < 64 && s.ptr[0] != 'n' && s.ptr[0] != 'i' && s.ptr[0] != 'N' &&
                  s.ptr[0] != 'I' && str_find_byte(s, '.') != SIZE_MAX;
    for (size_t k = 0; number && k < s.len; k++)
        number = strchr("0123456789.eE+-", s.ptr[k]) != NULL;
    if (number) {
        char *end;
        double d = strtod(s.ptr, &end); // the arena's copy ends with a NUL
        if (end == s.ptr + s.len)
            return value_double(d);
    }
    return value_string(s);
}

bool yaml_value(const struct yaml *node, struct value *ret)
{
    struct value_builder out = {.arena = node->file->arena};
    if (node->kind == YAML_SCALAR) {
        *ret = scalar_value(node);
        return true;
    }
    for (size_t i = 0; i < node->count; i++) {
        struct value item;
        if (!yaml_value(node->items[i], &item))
            return false;
        if (node->kind == YAML_MAP)
            value_set_str(&out, node->keys[i]->text, item);
        else
            value_push(&out, item);
    }
    *ret = node->kind == YAML_MAP ? value_finish_map(&out) : value_finish_list(&out);
    return !out.failed;
}

/* ---- from the content of a scalar to the file ---- */

/* Where a scalar's content comes from: `start` is the offset of its first byte in the file, `skip`
 * where the expression starts in the content. */
struct origin_walk {
    const struct yaml *scalar;
    size_t skip;
};

/* Bytes of a double-quoted scalar's escape in the file (from the backslash on) and of what it
 * stands for in the content. */
static void escape_sizes(struct str file, size_t *ret_file, size_t *ret_content)
{
    char c = file.len > 1 ? file.ptr[1] : '\0';
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    unsigned long code = 0;
    *ret_file = 2 + digits;
    *ret_content = c == 'L' || c == 'P' ? 3 : c == 'N' || c == '_' ? 2 : 1;
    if (digits) {
        char text[9] = "";
        memcpy(text, file.ptr + 2, file.len >= 2 + digits ? digits : 0);
        code = strtoul(text, NULL, 16);
        *ret_content = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    }
    if (c == '\n') { // a line that goes on: the next one's indentation is taken away as well
        *ret_content = 0;
        while (*ret_file < file.len && is_blank(file.ptr[*ret_file]))
            ++*ret_file;
    }
}

/* Walks file and content side by side. What YAML took away (indentation, folded line ends, the
 * second of two quotes) are blanks or quotes of the file without a partner in the content. */
static size_t origin_offset(const void *ctx, size_t source_offset)
{
    const struct origin_walk *walk = ctx;
    struct str file = walk->scalar->file->text, content = walk->scalar->text;
    enum yaml_style style = walk->scalar->style;
    size_t at = walk->scalar->offset, end = walk->skip + source_offset;
    for (size_t i = 0; i <= end && at < file.len;) {
        struct str rest = str_sub(file, at, SIZE_MAX);
        size_t taken = 1, given = 1;
        char want = i < content.len ? content.ptr[i] : '\0';
        if (style == YAML_DOUBLE_QUOTED && rest.ptr[0] == '\\')
            escape_sizes(rest, &taken, &given);
        else if (style == YAML_SINGLE_QUOTED && str_starts(rest, STR("''")))
            taken = 2;
        else if (is_blank(rest.ptr[0]) && !is_blank(want) && i < content.len)
            given = 0;
        if (i + given > end)
            return at;
        at += taken;
        i += given;
    }
    return at < file.len ? at : file.len;
}

struct cel_origin yaml_origin(const struct yaml *scalar, struct str expression)
{
    const struct yaml_file *file = scalar->file;
    struct origin_walk *walk = ARENA_NEW(file->arena, struct origin_walk);
    if (!walk)
        return (struct cel_origin){0};
    bool within =
        expression.ptr >= scalar->text.ptr && expression.ptr <= scalar->text.ptr + scalar->text.len;
    *walk = (struct origin_walk){scalar, within ? (size_t)(expression.ptr - scalar->text.ptr) : 0};
    return (struct cel_origin){
        .file = file->path.ptr, .file_text = file->text, .offset = origin_offset, .ctx = walk};
}
