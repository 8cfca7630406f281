// SPDX-License-Identifier: Apache-2.0
/* Which parts of what is read a policy looks at: the paths of all its expressions that decide or
 * act. The fingerprint covers these and no more, so that a counter or a date that the service puts
 * beside them changes no decision. And which parts of the state before and after its undo looks at:
 * no more is kept of them. */
#include "policy/policy_internal.h"

struct used {
    struct arena *arena;
    const struct policy *policy;
    bool by_undo; // before and after, else the reads
    struct cel_path *paths;
    size_t count, cap;
    bool failed;
};

static bool is_prefix(const struct cel_path *a, const struct cel_path *b)
{
    bool same = a->slot == b->slot && a->count <= b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = str_eq(a->fields[i], b->fields[i]);
    return same;
}

static bool is_read(const struct policy *p, unsigned slot)
{
    for (size_t i = 0; i < p->read_count; i++)
        if (!p->reads[i].is_let && p->reads[i].slot == slot)
            return true;
    return false;
}

static void add(struct used *u, struct cel_path path)
{
    size_t kept = 0;
    bool is_kept = path.slot == u->policy->before_slot || path.slot == u->policy->after_slot;
    if (u->failed || !(u->by_undo ? is_kept : is_read(u->policy, path.slot)))
        return;
    for (size_t i = 0; i < u->count; i++)
        if (is_prefix(&u->paths[i], &path))
            return;
    for (size_t i = 0; i < u->count; i++) // those that it covers go
        if (!is_prefix(&path, &u->paths[i]))
            u->paths[kept++] = u->paths[i];
    u->count = kept;
    if (u->count == u->cap) {
        size_t cap = u->cap ? u->cap * 2 : 8;
        struct cel_path *grown =
            arena_grow(u->arena, u->paths, u->cap * sizeof *grown, cap * sizeof *grown);
        u->failed = grown == NULL;
        if (u->failed)
            return;
        u->paths = grown;
        u->cap = cap;
    }
    u->paths[u->count++] = path;
}

static void add_program(struct used *u, const struct cel_program *program)
{
    size_t count = 0;
    const struct cel_path *paths = program ? cel_program_paths(program, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        add(u, paths[i]);
}

static void add_template(struct used *u, const struct policy_template *t)
{
    if (!t)
        return;
    add_program(u, t->program);
    for (size_t i = 0; i < t->count; i++)
        add_template(u, t->items[i]);
}

static void add_call(struct used *u, const struct policy_call *call)
{
    add_template(u, call->with);
    add_template(u, call->region);
    add_program(u, call->each);
    add_program(u, call->when);
    add_program(u, call->done);
}

static bool template_uses_reads(const struct policy *p, const struct policy_template *t)
{
    size_t count = 0;
    const struct cel_path *paths = t && t->program ? cel_program_paths(t->program, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < p->read_count; k++)
            if (p->reads[k].slot == paths[i].slot)
                return true;
    for (size_t i = 0; t && i < t->count; i++)
        if (template_uses_reads(p, t->items[i]))
            return true;
    return false;
}

bool policy_find_used(struct policy *p, struct arena *arena)
{
    struct used u = {.arena = arena, .policy = p};
    add_program(&u, p->violation);
    add_program(&u, p->ask);
    add_template(&u, p->identity);
    for (size_t i = 0; i < p->exemption_count; i++)
        add_program(&u, p->exemptions[i].when);
    for (size_t i = 0; i < p->read_count; i++) {
        add_program(&u, p->reads[i].let);
        if (!p->reads[i].is_let)
            add_call(&u, &p->reads[i].call);
    }
    for (size_t i = 0; i < p->step_count; i++) {
        add_call(&u, &p->steps[i].call);
        p->steps[i].uses_reads = template_uses_reads(p, p->steps[i].call.with);
    }
    p->used = u.paths;
    p->used_count = u.count;
    struct used kept = {.arena = arena, .policy = p, .by_undo = true};
    for (size_t i = 0; i < p->step_count; i++)
        for (size_t k = 0; k < p->steps[i].undo_count; k++)
            add_call(&kept, &p->steps[i].undo[k]);
    p->kept = kept.paths;
    p->kept_count = kept.count;
    return !u.failed && !kept.failed;
}
