// SPDX-License-Identifier: Apache-2.0
/* See map.h. Load factor at most 3/4, linear probing. */
#include "base/map.h"

#include "base/hash.h"

static struct map_slot *find_slot(struct map_slot *slots, size_t cap, struct str key, uint64_t hash)
{
    size_t at = (size_t)hash & (cap - 1);
    while (slots[at].value && !(slots[at].hash == hash && str_eq(slots[at].key, key)))
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

void *map_get(const struct map *map, struct str key)
{
    if (map->cap == 0)
        return NULL;
    return find_slot(map->slots, map->cap, key, hash_bytes(key.ptr, key.len, 0))->value;
}

static bool map_grow(struct map *map)
{
    size_t cap = map->cap ? map->cap * 2 : 16;
    struct map_slot *slots = ARENA_ARRAY(map->arena, struct map_slot, cap);
    if (!slots)
        return false;
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i].value)
            *find_slot(slots, cap, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    map->slots = slots;
    map->cap = cap;
    return true;
}

bool map_set(struct map *map, struct str key, void *value)
{
    if ((map->count + 1) * 4 > map->cap * 3 && !map_grow(map))
        return false;
    uint64_t hash = hash_bytes(key.ptr, key.len, 0);
    struct map_slot *slot = find_slot(map->slots, map->cap, key, hash);
    map->count += slot->value == NULL;
    *slot = (struct map_slot){key, hash, value};
    return true;
}
