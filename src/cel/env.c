// SPDX-License-Identifier: Apache-2.0
/* Environments: which variables an expression may read, and how it is read. A child sees its
 * parent's variables; slots go on where the parent's end. Immutable once programs are compiled from
 * it. */
#include "cel/cel_internal.h"

struct cel_env *cel_env_create(struct arena *arena, const struct cel_env *parent)
{
    struct cel_env *env = ARENA_NEW(arena, struct cel_env);
    if (!env)
        return NULL;
    env->arena = arena;
    env->parent = parent;
    if (parent) {
        env->first_slot = cel_env_slots(parent);
        env->options = parent->options;
    }
    return env;
}

void cel_env_set_options(struct cel_env *env, struct cel_options options)
{
    env->options = options;
}

static bool is_name(struct str name)
{
    bool first = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@';
        if (!letter && (first || !((c >= '0' && c <= '9') || c == '.')))
            return false;
        first = c == '.';
    }
    return !first;
}

bool cel_env_add_variable(struct cel_env *env, struct str name, const struct cel_type *type,
                          unsigned *ret_slot, struct error *err)
{
    if (!is_name(name))
        return error_set(err, "C0110", "`%.*s` cannot be the name of a variable", STR_FMT(name));
    for (const struct cel_variable *v = env->variables; v; v = v->next)
        if (str_eq(v->name, name))
            return error_set(err, "C0110", "the variable `%.*s` is declared twice", STR_FMT(name));
    struct cel_variable *variable = ARENA_NEW(env->arena, struct cel_variable);
    struct str copy = str_copy(env->arena, name);
    if (!variable || !copy.ptr)
        return error_set(err, "C0303", "out of memory");
    *variable = (struct cel_variable){copy, type ? type : &T_DYN, env->first_slot + env->count,
                                      env->variables};
    env->variables = variable;
    env->count++;
    if (ret_slot)
        *ret_slot = variable->slot;
    return true;
}

bool cel_env_add_record(struct cel_env *env, const struct cel_type *record, struct error *err)
{
    struct cel_record *item = ARENA_NEW(env->arena, struct cel_record);
    if (!item)
        return error_set(err, "C0303", "out of memory");
    *item = (struct cel_record){record, env->records};
    env->records = item;
    return true;
}

const struct cel_type *env_record(const struct cel_env *env, struct str name)
{
    for (; env; env = env->parent)
        for (const struct cel_record *r = env->records; r; r = r->next)
            if (str_eq(r->type->name, name))
                return r->type;
    return NULL;
}

unsigned cel_env_slots(const struct cel_env *env)
{
    return env->first_slot + env->count;
}

const struct cel_variable *env_variable(const struct cel_env *env, struct str name)
{
    for (; env; env = env->parent)
        for (const struct cel_variable *v = env->variables; v; v = v->next)
            if (str_eq(v->name, name))
                return v;
    return NULL;
}

bool cel_env_find(const struct cel_env *env, struct str name, unsigned *ret_slot)
{
    const struct cel_variable *variable = env_variable(env, name);
    if (!variable)
        return false;
    *ret_slot = variable->slot;
    return true;
}

bool cel_env_declare(struct cel_env *env, struct str name, const struct cel_overload *overload)
{
    struct cel_declared *declared = ARENA_NEW(env->arena, struct cel_declared);
    struct cel_overload *copy = ARENA_NEW(env->arena, struct cel_overload);
    if (!declared || !copy)
        return false;
    *copy = *overload;
    *declared = (struct cel_declared){name, copy, 1, env->declared};
    env->declared = declared;
    return true;
}
