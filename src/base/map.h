// SPDX-License-Identifier: Apache-2.0
/* A hash map from byte strings to pointers, in an arena: open addressing, no removal, grows by
 * doubling. Keys are borrowed. One thread at a time while filling; read-only afterwards is safe for
 * any number. */
#ifndef RECTIFY_BASE_MAP_H
#define RECTIFY_BASE_MAP_H

#include "base/str.h"

struct map_slot {
    struct str key;
    uint64_t hash;
    void *value; // NULL = free slot
};

struct map {
    struct arena *arena;
    struct map_slot *slots;
    size_t cap, count; // cap is 0 or a power of two
};

/* The value of `key`, or NULL. */
void *map_get(const struct map *map, struct str key);
/* Sets `key` to `value` (never NULL). False when memory ran out. */
bool map_set(struct map *map, struct str key, void *value) __attribute__((warn_unused_result));

#endif
