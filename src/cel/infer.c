// SPDX-License-Identifier: Apache-2.0
/* Type inference: variables standing for types not known yet, bound by asking whether one type may
 * be used as another (langdef.md, "Gradual type checking").
 *
 * Bindings are undone with a trail when an overload turns out not to fit:
 *
 *   bound[id] ─► type or NULL        trail: ids in the order in which they were bound or changed
 */
#include "cel/cel_internal.h"

struct infer_saved {
    uint32_t id;
    const struct cel_type *before;
};

const struct cel_type *infer_fresh(struct infer *infer)
{
    struct cel_type *variable = type_make(infer->arena, CT_PARAM, NULL, NULL);
    if (infer->count == infer->cap) {
        uint32_t cap = infer->cap ? infer->cap * 2 : 16;
        const struct cel_type **bound =
            arena_grow(infer->arena, infer->bound, infer->cap * sizeof *bound, cap * sizeof *bound);
        if (!bound)
            return &T_DYN;
        infer->bound = bound;
        infer->cap = cap;
    }
    if (!variable)
        return &T_DYN;
    variable->id = infer->count;
    infer->bound[infer->count++] = NULL;
    return variable;
}

static void bind(struct infer *infer, uint32_t id, const struct cel_type *type)
{
    if (infer->trail_count == infer->trail_cap) {
        uint32_t cap = infer->trail_cap ? infer->trail_cap * 2 : 32;
        struct infer_saved *trail = arena_grow(
            infer->arena, infer->trail, infer->trail_cap * sizeof *trail, cap * sizeof *trail);
        if (!trail)
            return;
        infer->trail = trail;
        infer->trail_cap = cap;
    }
    infer->trail[infer->trail_count++] = (struct infer_saved){id, infer->bound[id]};
    infer->bound[id] = type;
}

static void undo(struct infer *infer, uint32_t mark)
{
    while (infer->trail_count > mark) {
        const struct infer_saved *saved = &infer->trail[--infer->trail_count];
        infer->bound[saved->id] = saved->before;
    }
}

static const struct cel_type *lookup(const struct infer *infer, const struct cel_type *t)
{
    return t->kind == CT_PARAM && t->id < infer->count ? infer->bound[t->id] : NULL;
}

/* A type like `t` with other parameters. */
static const struct cel_type *rebuild(struct infer *infer, const struct cel_type *t,
                                      const struct cel_type **params)
{
    bool same = true;
    for (unsigned i = 0; i < t->count; i++)
        same &= params[i] == t->params[i];
    if (same)
        return t;
    struct cel_type *copy = ARENA_NEW(infer->arena, struct cel_type);
    const struct cel_type **kept = ARENA_ARRAY(infer->arena, const struct cel_type *, t->count);
    if (!copy || !kept)
        return &T_DYN;
    memcpy(kept, params, t->count * sizeof *kept);
    *copy = *t;
    copy->params = kept;
    return copy;
}

#define PARAMS_MAX 8

const struct cel_type *infer_apply(struct infer *infer, const struct cel_type *t, bool close)
{
    const struct cel_type *bound = lookup(infer, t);
    if (bound)
        return infer_apply(infer, bound, close);
    if (t->kind == CT_PARAM)
        return close ? &T_DYN : t;
    if (!t->count || t->count > PARAMS_MAX)
        return t;
    const struct cel_type *params[PARAMS_MAX];
    for (unsigned i = 0; i < t->count; i++)
        params[i] = infer_apply(infer, t->params[i], close);
    return rebuild(infer, t, params);
}

const struct cel_type *infer_instance(struct infer *infer, const struct cel_type *t,
                                      const struct cel_type *letters[LETTERS_MAX])
{
    if (t->kind == CT_PARAM && t->id > UINT32_MAX - LETTERS_MAX) {
        uint32_t letter = UINT32_MAX - t->id;
        if (!letters[letter])
            letters[letter] = infer_fresh(infer);
        return letters[letter];
    }
    if (!t->count || t->count > PARAMS_MAX)
        return t;
    const struct cel_type *params[PARAMS_MAX];
    for (unsigned i = 0; i < t->count; i++)
        params[i] = infer_instance(infer, t->params[i], letters);
    return rebuild(infer, t, params);
}

/* Does the variable occur in the type? Binding it would make an endless type. */
static bool occurs(const struct infer *infer, const struct cel_type *variable,
                   const struct cel_type *in)
{
    if (in->kind == CT_PARAM) {
        const struct cel_type *bound = lookup(infer, in);
        return in->id == variable->id || (bound && occurs(infer, variable, bound));
    }
    for (unsigned i = 0; i < in->count; i++)
        if (occurs(infer, variable, in->params[i]))
            return true;
    return false;
}

/* May the variable stand for `type`? `ret_bound`: it stood for something already. */
static bool bind_variable(struct infer *infer, const struct cel_type *type,
                          const struct cel_type *variable, bool *ret_bound)
{
    *ret_bound = false;
    if (type->kind == CT_PARAM && type->id == variable->id)
        return *ret_bound = true;
    const struct cel_type *bound = lookup(infer, variable);
    if (bound) {
        *ret_bound = true;
        if (cel_type_equal(type, bound))
            return true;
        if (!infer_assignable(infer, type, bound))
            return false;
        const struct cel_type *general = infer_general(type, bound);
        if (!occurs(infer, variable, general))
            bind(infer, variable->id, general);
        return true;
    }
    if (variable->id >= infer->count || occurs(infer, variable, type))
        return variable->id >= infer->count; // a declared type parameter: anything
    bind(infer, variable->id, type);
    return true;
}

static bool nullable(const struct cel_type *t)
{
    switch ((enum type_kind)t->kind) {
    case CT_NULL:
    case CT_OPAQUE:
    case CT_OPTIONAL:
    case CT_TIMESTAMP:
    case CT_DURATION:
    case CT_RECORD:
    case CT_WRAPPER:
        return true;
    default:
        return false;
    }
}

static bool params_assignable(struct infer *infer, const struct cel_type *a,
                              const struct cel_type *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (!infer_assignable(infer, a->params[i], b->params[i]))
            return false;
    return true;
}

/* A record is a map with string keys; a map of dyn may be given where a record is wanted. */
static bool record_assignable(const struct cel_type *a, const struct cel_type *b)
{
    if (a->kind == CT_RECORD && b->kind == CT_RECORD)
        return a == b || (a->name.len && str_eq(a->name, b->name));
    const struct cel_type *map = a->kind == CT_MAP ? a : b;
    return map->kind == CT_MAP &&
           (type_is_dyn(map->params[0]) || map->params[0]->kind == CT_STRING ||
            map->params[0]->kind == CT_PARAM);
}

bool infer_assignable(struct infer *infer, const struct cel_type *a, const struct cel_type *b)
{
    bool bound;
    if (b->kind == CT_PARAM) {
        if (bind_variable(infer, a, b, &bound))
            return true;
        if (bound)
            return false;
    }
    if (a->kind == CT_PARAM)
        return bind_variable(infer, b, a, &bound);
    if (type_is_dyn(a) || type_is_dyn(b))
        return true;
    if (a->kind == CT_NULL || b->kind == CT_NULL)
        return nullable(a->kind == CT_NULL ? b : a);
    if (a->kind == CT_WRAPPER || b->kind == CT_WRAPPER)
        return infer_assignable(infer, a->kind == CT_WRAPPER ? a->params[0] : a,
                                b->kind == CT_WRAPPER ? b->params[0] : b);
    if (a->kind == CT_RECORD || b->kind == CT_RECORD)
        return record_assignable(a, b);
    if (a->kind != b->kind || !str_eq(a->name, b->name))
        return false;
    return a->kind == CT_TYPE || params_assignable(infer, a, b);
}

bool infer_assignable_all(struct infer *infer, const struct cel_type *const *to,
                          const struct cel_type *const *from, uint32_t count)
{
    uint32_t mark = infer->trail_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!infer_assignable(infer, to[i], from[i])) {
            undo(infer, mark);
            return false;
        }
    }
    return true;
}

/* Is `a` the same as `b` or less specific? */
static bool less_specific(const struct cel_type *a, const struct cel_type *b)
{
    if (type_is_dyn(a) || a->kind == CT_PARAM)
        return true;
    if (type_is_dyn(b) || b->kind == CT_PARAM)
        return false;
    if (a->kind == CT_NULL || b->kind == CT_NULL)
        return b->kind == CT_NULL;
    if (a->kind == CT_WRAPPER || b->kind == CT_WRAPPER)
        return a->kind == CT_WRAPPER;
    if (a->kind != b->kind || a->count != b->count || !str_eq(a->name, b->name))
        return a->kind == CT_MAP && b->kind == CT_RECORD;
    for (unsigned i = 0; i < a->count; i++)
        if (!less_specific(a->params[i], b->params[i]))
            return false;
    return true;
}

const struct cel_type *infer_general(const struct cel_type *a, const struct cel_type *b)
{
    return less_specific(a, b) ? a : b;
}

const struct cel_type *infer_join(struct infer *infer, const struct cel_type *so_far,
                                  const struct cel_type *next)
{
    if (!so_far)
        return next;
    if (infer_assignable_all(infer, &so_far, &next, 1))
        return infer_general(so_far, next);
    return &T_DYN;
}
