// SPDX-License-Identifier: Apache-2.0
/* Values with expressions inside. A string that is one whole `${...}` keeps the expression's type;
 * one with text around is joined as text; `$${` is a literal `${`.
 *
 *   template ─ LITERAL value | WHOLE program | JOIN parts | LIST items | MAP keys, items */
#include "policy/policy_internal.h"

#include "value/json.h"

/* The end of the expression that starts at `at` (behind "${"): the position of its closing brace,
 * or SIZE_MAX. Braces of map literals nest; quotes hide braces. */
static size_t expression_end(struct str s, size_t at)
{
    unsigned depth = 0;
    for (; at < s.len; at++) {
        char c = s.ptr[at];
        if (c == '"' || c == '\'') {
            for (at++; at < s.len && s.ptr[at] != c; at++)
                at += s.ptr[at] == '\\';
        } else if (c == '{') {
            depth++;
        } else if (c == '}' && depth-- == 0) {
            return at;
        }
    }
    return SIZE_MAX;
}

static struct policy_template *compile_text(const struct policy_compiler *compiler,
                                            const struct yaml *node)
{
    struct arena *arena = node->file->arena;
    struct policy_template *result = ARENA_NEW(arena, struct policy_template);
    struct buf literal = {.arena = arena};
    struct str s = node->text;
    struct policy_template parts[POLICY_TEMPLATE_PARTS_MAX];
    size_t count = 0;
    bool ok = true;
    for (size_t at = 0; at < s.len;) {
        if (str_starts(str_sub(s, at, 3), STR("$${"))) {
            buf_add_cstr(&literal, "${");
            at += 3;
            continue;
        }
        if (!str_starts(str_sub(s, at, 2), STR("${"))) {
            buf_add_byte(&literal, s.ptr[at++]);
            continue;
        }
        size_t end = expression_end(s, at + 2);
        if (end == SIZE_MAX || count + 2 > POLICY_TEMPLATE_PARTS_MAX) {
            yaml_error(node, "P0110", "an expression in a value is written ${expression}",
                       end == SIZE_MAX ? "${ without its closing }"
                                       : "too many ${...} in one value");
            return NULL;
        }
        if (literal.len)
            parts[count++] = (struct policy_template){.kind = TEMPLATE_LITERAL,
                                                      .literal = value_string(buf_str(&literal))};
        literal = (struct buf){.arena = arena};
        struct str source = str_sub(s, at + 2, end - at - 2);
        const struct cel_program *program = policy_compile(compiler, node, source, NULL);
        ok = ok && program;
        parts[count++] = (struct policy_template){.kind = TEMPLATE_WHOLE, .program = program};
        at = end + 1;
    }
    if (count == 0 || literal.len) {
        struct value v = value_string(buf_str(&literal));
        bool escaped = literal.len != s.len; // "$${" became "${"
        if (count == 0 && !escaped && !yaml_value(node, &v))
            return NULL;
        parts[count++] = (struct policy_template){.kind = TEMPLATE_LITERAL, .literal = v};
    }
    if (!result || !ok)
        return NULL;
    if (count == 1) {
        *result = parts[0];
        return result;
    }
    result->kind = TEMPLATE_JOIN;
    result->count = count;
    result->items = ARENA_ARRAY(arena, struct policy_template *, count);
    for (size_t i = 0; result->items && i < count; i++) {
        result->items[i] = ARENA_NEW(arena, struct policy_template);
        if (!result->items[i])
            return NULL;
        *result->items[i] = parts[i];
    }
    return result->items ? result : NULL;
}

struct policy_template *policy_template_compile(const struct policy_compiler *compiler,
                                                const struct yaml *node)
{
    if (node->kind == YAML_SCALAR)
        return compile_text(compiler, node);
    struct arena *arena = node->file->arena;
    struct policy_template *result = ARENA_NEW(arena, struct policy_template);
    if (!result)
        return NULL;
    result->kind = node->kind == YAML_MAP ? TEMPLATE_MAP : TEMPLATE_LIST;
    result->count = node->count;
    result->items = ARENA_ARRAY(arena, struct policy_template *, node->count + 1);
    result->keys = ARENA_ARRAY(arena, struct str, node->count + 1);
    bool ok = result->items && result->keys, wrong = false;
    for (size_t i = 0; ok && i < node->count; i++) {
        if (node->kind == YAML_MAP)
            result->keys[i] = node->keys[i]->text;
        result->items[i] = policy_template_compile(compiler, node->items[i]);
        wrong |= result->items[i] == NULL;
    }
    return ok && !wrong ? result : NULL;
}

/* The value with AWS_HOLE where an expression stands: for checking against a service's model. */
struct value policy_template_shape(const struct policy_template *t, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    switch (t->kind) {
    case TEMPLATE_LITERAL:
        return t->literal;
    case TEMPLATE_WHOLE:
    case TEMPLATE_JOIN:
        return (struct value){.kind = VALUE_OPAQUE, .aux = AWS_HOLE};
    case TEMPLATE_LIST:
    case TEMPLATE_MAP:
        break;
    }
    for (size_t i = 0; i < t->count; i++) {
        struct value item = policy_template_shape(t->items[i], arena);
        if (t->kind == TEMPLATE_MAP)
            value_set_str(&out, t->keys[i], item);
        else
            value_push(&out, item);
    }
    return t->kind == TEMPLATE_MAP ? value_finish_map(&out) : value_finish_list(&out);
}

static bool eval_program(const struct policy_template *t, const struct value *slots,
                         struct cel_budget *budget, struct arena *arena, struct value *ret,
                         struct error *err)
{
    struct value v;
    if (!cel_eval(t->program, slots, budget, arena, &v, err))
        return false;
    if (!cel_value_plain(arena, v, ret))
        return error_set(err, "P0199", "out of memory");
    return true;
}

static bool eval_join(const struct policy_template *t, const struct value *slots,
                      struct cel_budget *budget, struct arena *arena, struct value *ret,
                      struct error *err)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < t->count; i++) {
        struct value part;
        if (!policy_template_eval(t->items[i], slots, budget, arena, &part, err))
            return false;
        if (part.kind == VALUE_STRING)
            buf_add_str(&out, value_str(part));
        else
            json_write(&out, part, JSON_COMPACT);
    }
    struct str text = buf_str(&out);
    if (!text.ptr)
        return error_set(err, "P0199", "out of memory");
    *ret = value_string(text);
    return true;
}

bool policy_template_eval(const struct policy_template *t, const struct value *slots,
                          struct cel_budget *budget, struct arena *arena, struct value *ret,
                          struct error *err)
{
    struct value_builder out = {.arena = arena};
    if (t->kind == TEMPLATE_LITERAL) {
        *ret = t->literal;
        return true;
    }
    if (t->kind == TEMPLATE_WHOLE)
        return eval_program(t, slots, budget, arena, ret, err);
    if (t->kind == TEMPLATE_JOIN)
        return eval_join(t, slots, budget, arena, ret, err);
    for (size_t i = 0; i < t->count; i++) {
        struct value item;
        if (!policy_template_eval(t->items[i], slots, budget, arena, &item, err))
            return false;
        if (t->kind == TEMPLATE_MAP)
            value_set_str(&out, t->keys[i], item);
        else
            value_push(&out, item);
    }
    if (out.failed)
        return error_set(err, "P0199", "out of memory");
    *ret = t->kind == TEMPLATE_MAP ? value_finish_map(&out) : value_finish_list(&out);
    return true;
}

bool policy_template_has(const struct policy_template *template, struct str key)
{
    if (template->kind == TEMPLATE_LITERAL)
        return value_get(template->literal, key) != NULL;
    for (size_t i = 0; template->kind == TEMPLATE_MAP && i < template->count; i++)
        if (str_eq(template->keys[i], key))
            return true;
    return false;
}
