// SPDX-License-Identifier: Apache-2.0
/* The type checker: gives every node its type, every name what it means, every call the overloads
 * that may apply, and reports what cannot be. With `unchecked` it only resolves names, everything
 * is dyn and mistakes wait until evaluation.
 *
 * A node whose part is wrong has the type "error", which fits everything, so that one mistake is
 * reported once. */
#include <stdlib.h>

#include "cel/cel_internal.h"

struct scope {
    struct str name;
    const struct cel_type *type;
    unsigned local;
    const struct scope *outer;
};

struct checker {
    const struct cel_env *env;
    struct arena *arena;
    struct report *report;
    struct infer infer;
    const struct scope *scope;
    unsigned locals, locals_max;
    bool unchecked;
};

static const struct cel_type *check(struct checker *c, struct ast *ast);

static const char *text_of(struct checker *c, const struct cel_type *t)
{
    return cel_type_text(c->arena, infer_apply(&c->infer, t, true));
}

static const struct cel_type *applied(struct checker *c, const struct cel_type *t)
{
    return infer_apply(&c->infer, t, false);
}

/* ---- names ---- */

static const struct scope *find_local(const struct checker *c, struct str name)
{
    for (const struct scope *s = c->scope; s; s = s->outer)
        if (str_eq(s->name, name))
            return s;
    return NULL;
}

static bool resolve_exact(struct checker *c, struct ast *ast, struct str name)
{
    const struct cel_variable *variable = env_variable(c->env, name);
    const struct cel_type *type = variable ? NULL : type_named(name);
    if (type && c->env->options.core_only && type->kind >= CT_OPTIONAL)
        type = NULL;
    if (!variable && !type)
        type = env_record(c->env, name);
    if (!variable && !type && str_is(name, "google.protobuf.NullValue.NULL_VALUE")) {
        ast->name_kind = NAME_NULL;
        ast->type = &T_NULL;
        return true;
    }
    if (variable) {
        ast->name_kind = NAME_SLOT;
        ast->slot = variable->slot;
        ast->type = c->unchecked ? &T_DYN : variable->type;
    } else if (type) {
        ast->name_kind = NAME_TYPE;
        ast->named = type;
        const struct cel_type *of = type_make(c->arena, CT_TYPE, type, NULL);
        ast->type = of ? of : &T_TYPE;
    }
    return variable || type;
}

static struct str outer_container(struct str container)
{
    while (container.len && container.ptr[container.len - 1] != '.')
        container.len--;
    container.len -= container.len > 0;
    return container;
}

/* Tries the name in the container, then in each that surrounds it, then as it is. */
static bool resolve_name(struct checker *c, struct ast *ast, struct str name, bool rooted)
{
    struct str container = c->env->options.container;
    while (!rooted && container.len) {
        const char *full = arena_printf(c->arena, "%.*s.%.*s", STR_FMT(container), STR_FMT(name));
        if (full && resolve_exact(c, ast, str_from(full)))
            return true;
        container = outer_container(container);
    }
    return resolve_exact(c, ast, name);
}

/* "a.b.c" of a chain of plain selects on a name, or an empty view. */
static struct str chain_name(struct checker *c, const struct ast *ast, const struct ast **ret_root)
{
    if (ast->kind == AST_IDENT) {
        *ret_root = ast;
        return ast->name;
    }
    if (ast->kind != AST_SELECT || ast->optional || ast->test || ast->escaped)
        return (struct str){0};
    struct str head = chain_name(c, ast->target, ret_root);
    if (!head.len)
        return head;
    return str_from(arena_printf(c->arena, "%.*s.%.*s", STR_FMT(head), STR_FMT(ast->name)));
}

static bool resolve_chain(struct checker *c, struct ast *ast)
{
    const struct ast *root = NULL;
    struct str name = chain_name(c, ast, &root);
    if (!name.len || (!root->rooted && find_local(c, root->name)))
        return false;
    ast->resolved = resolve_name(c, ast, name, root->rooted);
    return ast->resolved;
}

static const char *nearest_variable(struct checker *c, struct str name)
{
    const char *names[256];
    size_t count = 0;
    for (const struct scope *s = c->scope; s && count < 256; s = s->outer)
        names[count++] = arena_copy(c->arena, s->name.ptr, s->name.len);
    for (const struct cel_env *env = c->env; env; env = env->parent)
        for (const struct cel_variable *v = env->variables; v && count < 256; v = v->next)
            names[count++] = v->name.ptr;
    for (size_t i = 0; i < count; i++)
        if (!names[i])
            return NULL;
    return str_nearest(name, names, count);
}

static const struct cel_type *undeclared(struct checker *c, const struct ast *ast, uint32_t pos,
                                         struct str name, const char *nearest)
{
    if (c->unchecked)
        return &T_DYN;
    const char *hint = nearest ? arena_printf(c->arena, "did you mean `%s`?", nearest) : NULL;
    report_error(c->report, "C0101", pos, ast->end, hint,
                 "undeclared reference to '%.*s' (in container '%.*s')", STR_FMT(name),
                 STR_FMT(c->env->options.container));
    return &T_ERROR;
}

static const struct cel_type *check_ident(struct checker *c, struct ast *ast)
{
    const struct scope *local = ast->rooted ? NULL : find_local(c, ast->name);
    if (local) {
        ast->name_kind = NAME_LOCAL;
        ast->slot = local->local;
        return local->type;
    }
    if (resolve_name(c, ast, ast->name, ast->rooted))
        return ast->type;
    return undeclared(c, ast, ast->pos, ast->name, nearest_variable(c, ast->name));
}

/* ---- selects ---- */

static const struct cel_type *check_field(struct checker *c, struct ast *ast,
                                          const struct cel_type *record)
{
    const struct cel_type *field = type_field(record, ast->name);
    if (field)
        return field;
    const char *nearest = type_field_nearest(c->arena, record, ast->name);
    const char *hint = nearest ? arena_printf(c->arena, "did you mean `%s`?", nearest) : NULL;
    report_error(c->report, "C0103", ast->pos, ast->end, hint, "undefined field '%.*s'",
                 STR_FMT(ast->name));
    return &T_ERROR;
}

static const struct cel_type *field_type(struct checker *c, struct ast *ast,
                                         const struct cel_type *of)
{
    of = applied(c, of);
    switch ((enum type_kind)of->kind) {
    case CT_RECORD:
        return check_field(c, ast, of);
    case CT_MAP:
        return of->params[1];
    case CT_PARAM:
        infer_assignable(&c->infer, &T_DYN, of);
        return &T_DYN;
    case CT_DYN:
    case CT_ERROR:
        return of;
    default:
        report_error(c->report, "C0105", ast->pos, ast->end, NULL,
                     "type '%s' does not support field selection", text_of(c, of));
        return &T_ERROR;
    }
}

static const struct cel_type *check_select(struct checker *c, struct ast *ast)
{
    if (!ast->test && !ast->optional && resolve_chain(c, ast))
        return ast->type;
    const struct cel_type *of = applied(c, check(c, ast->target));
    if (c->unchecked)
        return &T_DYN;
    bool optional = of->kind == CT_OPTIONAL;
    const struct cel_type *type = field_type(c, ast, optional ? of->params[0] : of);
    if (ast->test)
        return &T_BOOL;
    return optional || ast->optional ? cel_type_optional(c->arena, type) : type;
}

/* ---- calls ---- */

static const char *overload_hint(struct checker *c, struct str name, const struct cel_type *a,
                                 const struct cel_type *b)
{
    const char *op = operator_symbol(name);
    if (!op || !b)
        return NULL;
    bool numbers = a->kind >= CT_INT && a->kind <= CT_DOUBLE && b->kind >= CT_INT &&
                   b->kind <= CT_DOUBLE && a->kind != b->kind;
    if (numbers)
        return arena_printf(c->arena, "convert one side: %s(...)", text_of(c, a));
    if (a->kind == CT_STRING && b->kind != CT_STRING && str_is(name, "_+_"))
        return "convert the right side: string(...)";
    return NULL;
}

static void no_overload(struct checker *c, const struct ast *ast, const struct cel_type **types)
{
    struct buf out = {.arena = c->arena};
    uint32_t first = ast->member;
    if (first)
        buf_printf(&out, "%s.", text_of(c, types[0]));
    buf_add_byte(&out, '(');
    for (uint32_t i = first; i < ast->count; i++)
        buf_printf(&out, "%s%s", i > first ? ", " : "", text_of(c, types[i]));
    buf_add_byte(&out, ')');
    struct str text = buf_str(&out);
    report_error(
        c->report, "C0102", ast->pos, ast->end,
        ast->count ? overload_hint(c, ast->name, types[0], ast->count > 1 ? types[1] : NULL) : NULL,
        "found no matching overload for '%.*s' applied to '%.*s'", STR_FMT(ast->name),
        STR_FMT(text));
}

/* Keeps those candidates that fit the arguments; the result's type. */
static const struct cel_type *resolve_overloads(struct checker *c, struct ast *ast,
                                                const struct cel_type **types)
{
    const struct cel_type *result = NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ast->overload_count; i++) {
        const struct cel_overload *overload = ast->overloads[i];
        const struct cel_type *letters[LETTERS_MAX] = {0}, *params[CEL_ARGS_MAX];
        if (overload->count != ast->count)
            continue;
        for (uint32_t k = 0; k < ast->count; k++)
            params[k] = infer_instance(&c->infer, overload->args[k], letters);
        const struct cel_type *returned = infer_instance(&c->infer, overload->result, letters);
        if (!infer_assignable_all(&c->infer, params, types, ast->count))
            continue;
        ast->overloads[kept++] = overload;
        returned = applied(c, returned);
        if (!result)
            result = returned;
        else if (!type_is_dyn(result) && !cel_type_equal(result, returned))
            result = &T_DYN;
    }
    ast->overload_count = kept;
    if (result)
        return result;
    no_overload(c, ast, types);
    return &T_ERROR;
}

static bool find_overloads(struct checker *c, struct ast *ast, struct str name, bool member)
{
    ast->overload_count =
        function_find(c->env, c->arena, name, member, &ast->overloads, &ast->function_known);
    return ast->function_known;
}

/* `net.f(x)`, `math.f(x)`: a namespaced function looks like a call on a member. */
static bool namespaced(struct checker *c, struct ast *ast)
{
    const struct ast *root = NULL;
    struct str head = ast->member ? chain_name(c, ast->args[0], &root) : (struct str){0};
    if (!head.len || find_local(c, root->name) || env_variable(c->env, head))
        return false;
    struct str full =
        str_from(arena_printf(c->arena, "%.*s.%.*s", STR_FMT(head), STR_FMT(ast->name)));
    bool known = find_overloads(c, ast, full, false);
    if (!known && str_starts(head, STR("google.protobuf")))
        return false;
    if (!known)
        return false;
    ast->name = full;
    ast->args++;
    ast->count--;
    ast->member = false;
    return true;
}

static bool find_in_container(struct checker *c, struct ast *ast)
{
    struct str name = ast->name;
    if (name.len && name.ptr[0] == '.') {
        ast->name = str_sub(name, 1, SIZE_MAX);
        return find_overloads(c, ast, ast->name, false);
    }
    struct str container = c->env->options.container;
    while (container.len && !ast->member) {
        const char *full = arena_printf(c->arena, "%.*s.%.*s", STR_FMT(container), STR_FMT(name));
        if (find_overloads(c, ast, str_from(full), false))
            return true;
        container = outer_container(container);
    }
    return find_overloads(c, ast, name, ast->member);
}

static const struct cel_type *check_call(struct checker *c, struct ast *ast)
{
    bool known = namespaced(c, ast) || find_in_container(c, ast);
    const struct cel_type **types = ARENA_ARRAY(c->arena, const struct cel_type *, ast->count + 1);
    if (!types)
        return &T_ERROR;
    for (uint32_t i = 0; i < ast->count; i++)
        types[i] = applied(c, check(c, ast->args[i]));
    if (c->unchecked)
        return &T_DYN;
    if (!known)
        return undeclared(c, ast, ast->pos, ast->name,
                          function_nearest(c->env, ast->name, ast->member));
    return resolve_overloads(c, ast, types);
}

/* ---- logic ---- */

/* False: reported here. */
static bool check_bool(struct checker *c, struct ast *ast)
{
    const struct cel_type *type = applied(c, check(c, ast));
    if (!c->unchecked &&
        !infer_assignable_all(&c->infer, &(const struct cel_type *){&T_BOOL}, &type, 1)) {
        report_error(c->report, "C0104", ast->pos, ast->end, NULL,
                     "expected type 'bool' but found '%s'", text_of(c, type));
        return false;
    }
    return true;
}

static const struct cel_type *check_logic(struct checker *c, struct ast *ast)
{
    bool wrong = false;
    for (uint32_t i = 0; i < ast->count; i++)
        wrong |= !check_bool(c, ast->args[i]);
    return wrong ? &T_ERROR : &T_BOOL;
}

static const struct cel_type *check_condition(struct checker *c, struct ast *ast)
{
    const struct cel_type *types[3];
    for (uint32_t i = 0; i < 3; i++)
        types[i] = applied(c, check(c, ast->args[i]));
    if (c->unchecked)
        return &T_DYN;
    const struct cel_type *result = infer_fresh(&c->infer);
    const struct cel_type *params[3] = {&T_BOOL, result, result};
    if (infer_assignable_all(&c->infer, params, types, 3))
        return applied(c, result);
    ast->name = STR("_?_:_");
    no_overload(c, ast, types);
    return &T_ERROR;
}

/* ---- literals ---- */

static const struct cel_type *entry_type(struct checker *c, struct ast *entry, bool optional)
{
    const struct cel_type *type = applied(c, check(c, entry));
    if (!optional || c->unchecked)
        return type;
    if (type->kind == CT_OPTIONAL)
        return type->params[0];
    if (type_is_dyn(type))
        return type;
    report_error(c->report, "C0104", entry->pos, entry->end, NULL,
                 "expected type 'optional_type(%s)' but found '%s'", text_of(c, type),
                 text_of(c, type));
    return type;
}

static const struct cel_type *check_list(struct checker *c, struct ast *ast)
{
    const struct cel_type *item = NULL;
    for (uint32_t i = 0; i < ast->count; i++)
        item =
            infer_join(&c->infer, item, entry_type(c, ast->args[i], ast->args[i]->optional_entry));
    return cel_type_list(c->arena, item ? item : infer_fresh(&c->infer));
}

static const struct cel_type *check_map(struct checker *c, struct ast *ast)
{
    const struct cel_type *key = NULL, *value = NULL;
    for (uint32_t i = 0; i < ast->count; i += 2) {
        key = infer_join(&c->infer, key, applied(c, check(c, ast->args[i])));
        value = infer_join(&c->infer, value,
                           entry_type(c, ast->args[i + 1], ast->args[i]->optional_entry));
    }
    return cel_type_map(c->arena, key ? key : infer_fresh(&c->infer),
                        value ? value : infer_fresh(&c->infer));
}

/* The message or record of a name, looked for in the container as variables are. */
static bool find_built(struct checker *c, struct ast *ast, struct str name,
                       const struct cel_type **ret)
{
    ast->message = message_find(name);
    *ret = ast->message ? ast->message->type : env_record(c->env, name);
    return *ret != NULL;
}

static bool resolve_built(struct checker *c, struct ast *ast, const struct cel_type **ret)
{
    struct str name = ast->name, container = c->env->options.container;
    if (name.len && name.ptr[0] == '.')
        return find_built(c, ast, str_sub(name, 1, SIZE_MAX), ret);
    while (container.len) {
        const char *full = arena_printf(c->arena, "%.*s.%.*s", STR_FMT(container), STR_FMT(name));
        if (full && find_built(c, ast, str_from(full), ret))
            return true;
        container = outer_container(container);
    }
    return find_built(c, ast, name, ret);
}

static void check_struct_field(struct checker *c, struct ast *ast, uint32_t i,
                               const struct cel_type *built)
{
    struct str name = ast->fields[i];
    const struct cel_type *field =
        ast->message ? message_field(ast->message, name) : type_field(built, name);
    const struct cel_type *type = entry_type(c, ast->args[i], ast->args[i]->optional_entry);
    uint32_t pos = ast->field_pos[i];
    if (!field)
        report_error(c->report, "C0103", pos, pos + 1, NULL, "undefined field '%.*s'",
                     STR_FMT(name));
    else if (!infer_assignable_all(&c->infer, &field, &type, 1))
        report_error(c->report, "C0104", pos, pos + 1, NULL,
                     "expected type of field '%.*s' is '%s' but provided type is '%s'",
                     STR_FMT(name), text_of(c, field), text_of(c, type));
}

/* name{field: value} */
static const struct cel_type *check_struct(struct checker *c, struct ast *ast)
{
    const struct cel_type *built = NULL;
    if (resolve_built(c, ast, &built)) {
        for (uint32_t i = 0; i < ast->count; i++)
            check_struct_field(c, ast, i, built);
        return c->unchecked ? &T_DYN : built;
    }
    struct ast probe = {.kind = AST_IDENT};
    bool known = resolve_name(c, &probe, ast->name, false);
    for (uint32_t i = 0; i < ast->count; i++)
        if (known || c->unchecked)
            check(c, ast->args[i]);
    if (c->unchecked)
        return &T_DYN;
    if (!known)
        return undeclared(c, ast, ast->pos, ast->name, NULL);
    report_error(c->report, "C0105", ast->pos, ast->end, "write a map: {'field': value}",
                 "'%.*s' is not a message type", STR_FMT(ast->name));
    return &T_ERROR;
}

/* ---- loops ---- */

/* The types of the iteration variables; the range's element type when it is a list. */
static void range_types(struct checker *c, const struct ast *loop, const struct cel_type *range,
                        const struct cel_type *ret[2])
{
    bool two = loop->vars[1].len > 0;
    ret[0] = ret[1] = &T_DYN;
    switch ((enum type_kind)range->kind) {
    case CT_LIST:
        ret[0] = two ? &T_INT : range->params[0];
        ret[1] = range->params[0];
        return;
    case CT_MAP:
        ret[0] = range->params[0];
        ret[1] = range->params[1];
        return;
    case CT_RECORD: // over its fields, as far as it has them; the standard has no such thing
        if (c->env->options.core_only)
            break;
        ret[0] = &T_STRING;
        return;
    case CT_PARAM:
        infer_assignable(&c->infer, &T_DYN, range);
        return;
    case CT_DYN:
        return;
    default:
        break;
    }
    ret[0] = ret[1] = &T_ERROR;
    const struct ast *at = loop->loop == LOOP_SORT_BY ? loop : loop->args[0];
    if (range->kind != CT_ERROR && !c->unchecked)
        report_error(c->report, "C0105", at->pos, at->end, NULL,
                     "expression of type '%s' cannot be range of a comprehension (must be list, "
                     "map, or dynamic)",
                     text_of(c, range));
}

static const struct cel_type *optional_range(struct checker *c, const struct ast *loop,
                                             const struct cel_type *range)
{
    if (range->kind == CT_OPTIONAL)
        return range->params[0];
    if (!type_is_dyn(range) && range->kind != CT_PARAM && !c->unchecked)
        report_error(c->report, "C0102", loop->pos, loop->end, NULL,
                     "found no matching overload for '%.*s' applied to '%s'", STR_FMT(loop->name),
                     text_of(c, range));
    return &T_DYN;
}

/* The condition of a filter: as the call `condition ? ... : ...` would be. */
static void check_filter(struct checker *c, struct ast *loop, struct ast *condition)
{
    const struct cel_type *type = applied(c, check(c, condition));
    if (c->unchecked ||
        infer_assignable_all(&c->infer, &(const struct cel_type *){&T_BOOL}, &type, 1))
        return;
    report_error(c->report, "C0104", loop->pos, loop->end, NULL,
                 "the condition of %.*s() must be of type 'bool' but is '%s'", STR_FMT(loop->name),
                 text_of(c, type));
}

static const struct cel_type *entry_result(struct checker *c, const struct ast *body,
                                           const struct cel_type *type)
{
    if (type->kind == CT_MAP || type_is_dyn(type))
        return type;
    if (!c->unchecked)
        report_error(c->report, "C0104", body->pos, body->end, NULL,
                     "expected type 'map' but found '%s'", text_of(c, type));
    return &T_ERROR;
}

/* What is sorted by must have an order. */
static void check_sort_key(struct checker *c, const struct ast *loop, const struct cel_type *range,
                           const struct cel_type *key)
{
    bool ordered = (key->kind >= CT_BOOL && key->kind <= CT_DURATION) || key->kind == CT_PARAM ||
                   key->kind == CT_WRAPPER || type_is_dyn(key);
    if (!c->unchecked && (!ordered || range->kind == CT_MAP))
        report_error(c->report, "C0102", loop->pos, loop->end, NULL,
                     "found no matching overload for 'sortBy' applied to '%s.(%s)'",
                     text_of(c, range), text_of(c, key));
}

static const struct cel_type *loop_result(struct checker *c, struct ast *loop,
                                          const struct cel_type *range,
                                          const struct cel_type *vars[2])
{
    struct ast *body = loop->args[2];
    const struct cel_type *type;
    switch ((enum loop_kind)loop->loop) {
    case LOOP_ALL:
    case LOOP_EXISTS:
        check_bool(c, body);
        return &T_BOOL;
    case LOOP_EXISTS_ONE:
        check_filter(c, loop, body);
        return &T_BOOL;
    case LOOP_FILTER:
        check_filter(c, loop, body);
        return cel_type_list(c->arena, vars[0]);
    case LOOP_MAP:
        return cel_type_list(c->arena, check(c, body));
    case LOOP_TRANSFORM_MAP:
        type = check(c, body);
        return cel_type_map(c->arena, range->kind == CT_LIST ? &T_INT : vars[0], type);
    case LOOP_TRANSFORM_MAP_ENTRY:
        return entry_result(c, body, applied(c, check(c, body)));
    case LOOP_OPT_MAP:
        return cel_type_optional(c->arena, check(c, body));
    case LOOP_OPT_FLAT_MAP:
        type = applied(c, check(c, body));
        return type->kind == CT_OPTIONAL || type_is_dyn(type) ? type
                                                              : optional_range(c, loop, type);
    case LOOP_SORT_BY:
        check_sort_key(c, loop, range, applied(c, check(c, body)));
        return range->kind == CT_LIST ? range : &T_LIST_DYN;
    }
    return &T_DYN;
}

static void open_scope(struct checker *c, struct scope *scope, struct str name,
                       const struct cel_type *type)
{
    *scope = (struct scope){name, type, c->locals++, c->scope};
    c->scope = scope;
    if (c->locals > c->locals_max)
        c->locals_max = c->locals;
}

static const struct cel_type *check_loop(struct checker *c, struct ast *loop)
{
    const struct cel_type *range = applied(c, check(c, loop->args[0])), *vars[2];
    const struct scope *outer = c->scope;
    unsigned locals = c->locals;
    struct scope first, second;
    bool optional = loop->loop == LOOP_OPT_MAP || loop->loop == LOOP_OPT_FLAT_MAP;
    if (optional)
        vars[0] = vars[1] = optional_range(c, loop, range);
    else
        range_types(c, loop, range, vars);
    if (!optional && loop->vars[1].len == 0 && range->kind == CT_LIST)
        vars[0] = range->params[0];
    loop->slot = c->locals;
    open_scope(c, &first, loop->vars[0], vars[0]);
    if (loop->vars[1].len)
        open_scope(c, &second, loop->vars[1], vars[1]);
    if (loop->args[1])
        check_filter(c, loop, loop->args[1]);
    const struct cel_type *result = loop_result(c, loop, range, vars);
    c->scope = outer;
    c->locals = locals;
    return result;
}

static const struct cel_type *check_bind(struct checker *c, struct ast *ast)
{
    const struct cel_type *value = check(c, ast->args[0]);
    const struct scope *outer = c->scope;
    struct scope scope;
    ast->slot = c->locals;
    open_scope(c, &scope, ast->vars[0], value);
    const struct cel_type *result = check(c, ast->args[1]);
    c->scope = outer;
    c->locals--;
    return result;
}

static const struct cel_type *check(struct checker *c, struct ast *ast)
{
    const struct cel_type *type = &T_DYN;
    switch ((enum ast_kind)ast->kind) {
    case AST_CONST:
        type = cel_type_of((enum value_kind)ast->constant.kind);
        break;
    case AST_IDENT:
        type = check_ident(c, ast);
        break;
    case AST_SELECT:
        type = check_select(c, ast);
        break;
    case AST_CALL:
        type = check_call(c, ast);
        break;
    case AST_LIST:
        type = check_list(c, ast);
        break;
    case AST_MAP:
        type = check_map(c, ast);
        break;
    case AST_STRUCT:
        type = check_struct(c, ast);
        break;
    case AST_AND:
    case AST_OR:
        type = check_logic(c, ast);
        break;
    case AST_COND:
        type = check_condition(c, ast);
        break;
    case AST_LOOP:
        type = check_loop(c, ast);
        break;
    case AST_BIND:
        type = check_bind(c, ast);
        break;
    }
    ast->type = type;
    return type;
}

/* Gives every node its final type. */
static void close_types(struct checker *c, struct ast *ast)
{
    if (!ast)
        return;
    if (ast->type)
        ast->type = infer_apply(&c->infer, ast->type, true);
    close_types(c, ast->target);
    for (uint32_t i = 0; i < ast->count; i++)
        close_types(c, ast->args[i]);
}

bool check_expression(const struct cel_env *env, struct arena *arena, struct report *report,
                      struct ast *root, const struct cel_type *want, unsigned *ret_locals_max)
{
    struct checker c = {.env = env, .arena = arena, .report = report};
    c.infer.arena = arena;
    c.unchecked = env->options.unchecked;
    const struct cel_type *type = applied(&c, check(&c, root));
    if (want && !c.unchecked && report->count == 0 &&
        !infer_assignable_all(&c.infer, &want, &type, 1))
        report_error(report, "C0104", root->pos, root->end, NULL,
                     "the expression must be of type '%s' but is '%s'", text_of(&c, want),
                     text_of(&c, type));
    if (c.unchecked)
        root->type = type;
    else
        close_types(&c, root);
    *ret_locals_max = c.locals_max;
    return report->count == 0;
}
