// SPDX-License-Identifier: Apache-2.0
/* The builder: parsed patterns to distinct fields, atoms and conditions. Arrays are malloc'ed,
 * since they grow over the builder's life; texts live in its arena. One thread. */
#include "pattern/builder_internal.h"

#include <stdlib.h>

#define TEMP_BLOCK ((size_t)64 << 10) // first block of builder.temp: most patterns need no other

/* Room for `need` items; doubles. */
static bool reserve(void *array, uint32_t *cap, size_t need, size_t size)
{
    void *old;
    if (need <= *cap)
        return true;
    if (need > UINT32_MAX / 4)
        return false;
    size_t more = *cap ? (size_t)*cap * 2 : 64;
    while (more < need)
        more *= 2;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, more * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *cap = (uint32_t)more;
    return true;
}

static bool distinct_grow(struct distinct *set)
{
    uint32_t size = set->slots ? (set->mask + 1) * 2 : 256;
    uint32_t *slots = calloc(size, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t at = (uint32_t)set->hashes[i] & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = i + 1;
    }
    free(set->slots);
    set->slots = slots;
    set->mask = size - 1;
    return true;
}

/* The next number with this hash behind *at (start with at = hash), or NONE: the slot to fill. */
static uint32_t distinct_next(const struct distinct *set, uint64_t hash, uint32_t *at)
{
    for (;; ++*at) {
        uint32_t number = set->slots[*at & set->mask];
        if (!number)
            return NONE;
        if (set->hashes[number - 1] == hash) {
            ++*at;
            return number - 1;
        }
    }
}

static bool distinct_reserve(struct distinct *set)
{
    return reserve(&set->hashes, &set->cap, (size_t)set->count + 1, sizeof *set->hashes) &&
           ((set->slots && set->count < set->mask / 2) || distinct_grow(set));
}

static uint32_t distinct_add(struct distinct *set, uint64_t hash, uint32_t at)
{
    set->hashes[set->count] = hash;
    set->slots[at & set->mask] = ++set->count;
    return set->count - 1;
}

static uint64_t mix(uint64_t h, uint64_t with)
{
    h = (h ^ with) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

/* Numbers of things: NONE when out of memory. */
static uint32_t add_field(struct pattern_builder *b, struct str path)
{
    uint64_t hash = table_key(path.ptr, path.len).hash;
    if (!distinct_reserve(&b->field_set) ||
        !reserve(&b->fields, &b->field_cap, (size_t)b->field_set.count + 1, sizeof *b->fields))
        return NONE;
    uint32_t at = (uint32_t)hash, found;
    while ((found = distinct_next(&b->field_set, hash, &at)) != NONE)
        if (str_eq(b->fields[found], path))
            return found;
    struct str copy = str_copy(&b->arena, path);
    if (!copy.ptr)
        return NONE;
    b->fields[b->field_set.count] = copy;
    return distinct_add(&b->field_set, hash, at);
}

static uint32_t add_atom(struct pattern_builder *b, uint32_t field, enum atom_kind kind,
                         struct str operand)
{
    uint64_t hash = mix(table_key(operand.ptr, operand.len).hash, (uint64_t)field << 8 | kind);
    if (!distinct_reserve(&b->atom_set) ||
        !reserve(&b->atoms, &b->atom_cap, (size_t)b->atom_set.count + 1, sizeof *b->atoms))
        return NONE;
    uint32_t at = (uint32_t)hash, found;
    while ((found = distinct_next(&b->atom_set, hash, &at)) != NONE)
        if (b->atoms[found].field == field && b->atoms[found].kind == kind &&
            str_eq(b->atoms[found].operand, operand))
            return found;
    char *copy = arena_alloc_raw(&b->arena, operand.len, kind >= ATOM_NUMBER ? 8 : 1);
    if (!copy)
        return NONE;
    if (operand.len)
        memcpy(copy, operand.ptr, operand.len);
    b->atoms[b->atom_set.count] = (struct built_atom){{copy, operand.len}, field, kind};
    return distinct_add(&b->atom_set, hash, at);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static uint32_t sort_distinct(uint32_t *numbers, uint32_t count)
{
    uint32_t kept = 0;
    if (count > 1)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    for (uint32_t i = 0; i < count; i++)
        if (!kept || numbers[kept - 1] != numbers[i])
            numbers[kept++] = numbers[i];
    return kept;
}

static uint32_t add_but(struct pattern_builder *b, const struct pattern_source *source,
                        uint32_t field, const struct alternative *but)
{
    uint32_t *ids = arena_alloc_raw(source->arena, but->count * sizeof *ids, sizeof *ids);
    if (!ids)
        return NONE;
    for (uint32_t i = 0; i < but->count; i++) {
        const struct alternative *item = &source->alternatives[but->first + i];
        ids[i] = add_atom(b, field, item->kind, item->operand);
        if (ids[i] == NONE)
            return NONE;
    }
    uint32_t count = sort_distinct(ids, but->count);
    return add_atom(b, field, ATOM_BUT, (struct str){(char *)ids, count * sizeof *ids});
}

static uint32_t add_condition(struct pattern_builder *b, const struct pattern_source *source,
                              const struct source_leaf *leaf)
{
    uint32_t field = add_field(b, source->paths[leaf->path]), count = 0;
    uint32_t *ids = arena_alloc_raw(source->arena, leaf->count * sizeof *ids, sizeof *ids);
    if (field == NONE || !ids)
        return NONE;
    /* Backwards: an anything-but stands behind its own alternatives. */
    for (uint32_t i = leaf->first + leaf->count; i > leaf->first;) {
        const struct alternative *item = &source->alternatives[--i];
        if (item->kind == ATOM_BUT) {
            ids[count] = add_but(b, source, field, item);
            i = item->first;
        } else {
            ids[count] = add_atom(b, field, item->kind, item->operand);
        }
        if (ids[count++] == NONE)
            return NONE;
    }
    count = sort_distinct(ids, count);
    uint64_t hash = mix(field, table_key((char *)ids, count * sizeof *ids).hash);
    if (!distinct_reserve(&b->condition_set) ||
        !reserve(&b->conditions, &b->condition_cap, (size_t)b->condition_set.count + 1,
                 sizeof *b->conditions) ||
        !reserve(&b->atom_lists, &b->atom_list_cap, (size_t)b->atom_list_count + count,
                 sizeof *b->atom_lists))
        return NONE;
    uint32_t at = (uint32_t)hash, found;
    while ((found = distinct_next(&b->condition_set, hash, &at)) != NONE) {
        const struct built_condition *known = &b->conditions[found];
        if (known->field == field && known->count == count &&
            memcmp(b->atom_lists + known->first, ids, count * sizeof *ids) == 0)
            return found;
    }
    memcpy(b->atom_lists + b->atom_list_count, ids, count * sizeof *ids);
    b->conditions[b->condition_set.count] =
        (struct built_condition){field, b->atom_list_count, count, 0};
    b->atom_list_count += count;
    return distinct_add(&b->condition_set, hash, at);
}

static bool add_rule(struct pattern_builder *b, const struct pattern_source *source,
                     const uint32_t *branch, const uint32_t *leaf_conditions, uint32_t tag)
{
    if (!reserve(&b->rules, &b->rule_cap, (size_t)b->rule_count + 1, sizeof *b->rules) ||
        !reserve(&b->condition_lists, &b->condition_list_cap,
                 (size_t)b->condition_list_count + source->path_count, sizeof *b->condition_lists))
        return false;
    struct built_rule rule = {.first = b->condition_list_count, .tag = tag};
    for (uint32_t i = 0; i < source->path_count; i++)
        if (branch[i] != NONE)
            b->condition_lists[rule.first + rule.count++] = leaf_conditions[branch[i]];
    b->condition_list_count += rule.count;
    b->rules[b->rule_count++] = rule;
    return true;
}

bool builder_add_source(struct pattern_builder *b, const struct pattern_source *source,
                        uint32_t tag)
{
    uint32_t rules = b->rule_count, lists = b->condition_list_count;
    uint32_t *conditions = ARENA_ARRAY(source->arena, uint32_t, source->leaf_count);
    bool ok = conditions != NULL;
    for (uint32_t i = 0; ok && i < source->leaf_count; i++) {
        conditions[i] = add_condition(b, source, &source->leaves[i]);
        ok = conditions[i] != NONE;
    }
    for (uint32_t i = 0; ok && i < source->branch_count; i++)
        ok = add_rule(b, source, source->branches + (size_t)i * PATTERN_PATHS_MAX, conditions, tag);
    if (ok)
        return true;
    b->rule_count = rules;
    b->condition_list_count = lists;
    return false;
}

bool pattern_builder_add(struct pattern_builder *b, struct str json, uint32_t tag,
                         struct error *err)
{
    struct pattern_source source;
    arena_reset(&b->temp);
    if (!pattern_parse(&b->temp, json, &source, err))
        return false;
    return builder_add_source(b, &source, tag) || error_set(err, "G0112", "out of memory");
}

struct pattern_builder *pattern_builder_create(void)
{
    struct pattern_builder *b = calloc(1, sizeof *b);
    if (b && !arena_alloc_raw(&b->temp, TEMP_BLOCK, 1)) {
        pattern_builder_destroy(b);
        return NULL;
    }
    return b;
}

void pattern_builder_destroy(struct pattern_builder *b)
{
    if (!b)
        return;
    struct distinct *sets[] = {&b->field_set, &b->atom_set, &b->condition_set};
    for (size_t i = 0; i < 3; i++) {
        free(sets[i]->slots);
        free(sets[i]->hashes);
    }
    free(b->fields);
    free(b->atoms);
    free(b->conditions);
    free(b->rules);
    free(b->atom_lists);
    free(b->condition_lists);
    arena_finish(&b->arena);
    arena_finish(&b->temp);
    free(b);
}
