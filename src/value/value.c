// SPDX-License-Identifier: Apache-2.0
/* See value.h. */
#include "value/value.h"

#include "base/ensure.h"
#include "base/hash.h"

/* Open-addressed positions into the pairs; 0 is free, n means pairs[n-1]. */
struct value_index {
    uint32_t *slots;
    uint32_t mask;
    uint32_t unused;
};

static const struct value_index *map_index(struct value map)
{
    return (const struct value_index *)(const void *)map.pairs - 1;
}

/* Integers and integral doubles of the same number hash alike. */
static uint64_t key_hash(struct value key)
{
    switch (key.kind) {
    case VALUE_STRING:
        return hash_bytes(key.str, key.len, 1);
    case VALUE_BOOL:
        return hash_bytes(&key.b, sizeof key.b, 2);
    case VALUE_DOUBLE: {
        if (key.d >= -9223372036854775808.0 && key.d < 9223372036854775808.0) {
            int64_t whole = (int64_t)key.d;
            return hash_bytes(&whole, sizeof whole, 3);
        }
        if (key.d >= 0 && key.d < 18446744073709551616.0) {
            uint64_t whole = (uint64_t)key.d;
            return hash_bytes(&whole, sizeof whole, 3);
        }
        return 0;
    }
    default:
        return hash_bytes(&key.u, sizeof key.u, 3);
    }
}

static const struct value_pair *index_find(struct value map, struct value key, uint64_t hash)
{
    const struct value_index *index = map_index(map);
    for (uint32_t at = (uint32_t)hash & index->mask; index->slots[at];
         at = (at + 1) & index->mask) {
        const struct value_pair *pair = &map.pairs[index->slots[at] - 1];
        if (value_equal(pair->key, key))
            return pair;
    }
    return NULL;
}

static const struct value_pair *map_find(struct value map, struct value key)
{
    if (map.kind != VALUE_MAP)
        return NULL;
    if (!(map.flags & VALUE_INDEXED)) {
        for (uint32_t i = 0; i < map.len; i++)
            if (value_equal(map.pairs[i].key, key))
                return &map.pairs[i];
        return NULL;
    }
    return index_find(map, key, key_hash(key));
}

/* Fills the index; the position of a duplicate, or SIZE_MAX. */
static size_t fill_index(struct value_index *index, struct value map)
{
    for (uint32_t i = 0; i < map.len; i++) {
        uint32_t at = (uint32_t)key_hash(map.pairs[i].key) & index->mask;
        for (; index->slots[at]; at = (at + 1) & index->mask)
            if (value_equal(map.pairs[index->slots[at] - 1].key, map.pairs[i].key))
                return i;
        index->slots[at] = i + 1;
    }
    return SIZE_MAX;
}

static size_t find_duplicate(const struct value_pair *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (value_equal(pairs[i].key, pairs[j].key))
                return i;
    return SIZE_MAX;
}

bool value_map(struct arena *arena, const struct value_pair *pairs, size_t count, struct value *ret,
               size_t *ret_duplicate)
{
    bool indexed = count > VALUE_MAP_SCAN_MAX;
    size_t size, duplicate;
    if (ret_duplicate)
        *ret_duplicate = SIZE_MAX;
    if (count > UINT32_MAX / 4 || __builtin_mul_overflow(count, sizeof *pairs, &size))
        return false;
    char *block = arena_alloc_raw(arena, size + sizeof(struct value_index), 16);
    if (!block)
        return false;
    struct value_index *index = (struct value_index *)(void *)block;
    struct value_pair *copy = (struct value_pair *)(void *)(index + 1);
    if (size)
        memcpy(copy, pairs, size);
    struct value map = {.kind = VALUE_MAP, .len = (uint32_t)count, .pairs = copy};
    if (indexed) {
        uint32_t slots = 16;
        while (slots < count * 2)
            slots *= 2;
        *index = (struct value_index){ARENA_ARRAY(arena, uint32_t, slots), slots - 1, 0};
        if (!index->slots)
            return false;
        map.flags = VALUE_INDEXED;
        duplicate = fill_index(index, map);
    } else {
        duplicate = find_duplicate(copy, count);
    }
    if (duplicate != SIZE_MAX) {
        if (ret_duplicate)
            *ret_duplicate = duplicate;
        return false;
    }
    *ret = map;
    return true;
}

const struct value *value_get_key(struct value map, struct value key)
{
    const struct value_pair *pair = map_find(map, key);
    return pair ? &pair->value : NULL;
}

uint64_t value_hash_key(struct value key)
{
    return key_hash(key);
}

const struct value *value_get_hashed(struct value map, struct value key, uint64_t hash)
{
    const struct value_pair *pair = map.kind == VALUE_MAP && (map.flags & VALUE_INDEXED)
                                        ? index_find(map, key, hash)
                                        : map_find(map, key);
    return pair ? &pair->value : NULL;
}

const struct value *value_get(struct value map, struct str key)
{
    return value_get_key(map, value_string(key));
}

const struct value *value_path(struct value root, const char *path)
{
    struct str rest = str_from(path);
    const struct value *at = NULL;
    while (rest.ptr) {
        struct str step = str_cut(&rest, '.');
        struct value from = at ? *at : root;
        int64_t position;
        if (from.kind == VALUE_LIST) {
            if (!str_to_int64(step, &position) || position < 0 || position >= from.len)
                return NULL;
            at = &from.items[position];
        } else {
            at = value_get(from, step);
        }
        if (!at)
            return NULL;
    }
    return at;
}

struct str value_path_str(struct value root, const char *path)
{
    const struct value *v = value_path(root, path);
    return v && v->kind == VALUE_STRING ? value_str(*v) : (struct str){0};
}

static bool is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_UINT || v.kind == VALUE_DOUBLE;
}

static bool int_equals_double(int64_t i, double d)
{
    return d >= -9223372036854775808.0 && d < 9223372036854775808.0 && (double)(int64_t)d == d &&
           (int64_t)d == i;
}

static bool uint_equals_double(uint64_t u, double d)
{
    return d >= 0 && d < 18446744073709551616.0 && (double)(uint64_t)d == d && (uint64_t)d == u;
}

static bool number_equal(struct value a, struct value b)
{
    if (a.kind > b.kind) {
        struct value swap = a;
        a = b;
        b = swap;
    }
    if (a.kind == b.kind)
        return a.kind == VALUE_DOUBLE ? a.d == b.d : a.u == b.u;
    if (b.kind == VALUE_UINT)
        return a.i >= 0 && (uint64_t)a.i == b.u;
    return a.kind == VALUE_INT ? int_equals_double(a.i, b.d) : uint_equals_double(a.u, b.d);
}

static bool list_equal(struct value a, struct value b)
{
    for (uint32_t i = 0; i < a.len; i++)
        if (!value_equal(a.items[i], b.items[i]))
            return false;
    return true;
}

static bool map_equal(struct value a, struct value b)
{
    for (uint32_t i = 0; i < a.len; i++) {
        const struct value *other = value_get_key(b, a.pairs[i].key);
        if (!other || !value_equal(a.pairs[i].value, *other))
            return false;
    }
    return true;
}

bool value_equal(struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return number_equal(a, b);
    if (a.kind != b.kind)
        return false;
    switch ((enum value_kind)a.kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return a.b == b.b;
    case VALUE_STRING:
    case VALUE_BYTES:
        return a.len == b.len && (a.len == 0 || memcmp(a.str, b.str, a.len) == 0);
    case VALUE_LIST:
        return a.len == b.len && list_equal(a, b);
    case VALUE_MAP:
        return a.len == b.len && map_equal(a, b);
    case VALUE_TIMESTAMP:
        return a.i == b.i && a.len == b.len;
    case VALUE_DURATION:
        return a.i == b.i;
    default:
        return a.opaque == b.opaque;
    }
}

static bool copy_list(struct arena *arena, struct value v, struct value *ret)
{
    struct value *items = ARENA_ARRAY(arena, struct value, v.len);
    if (!items)
        return false;
    for (uint32_t i = 0; i < v.len; i++)
        if (!value_copy(arena, v.items[i], &items[i]))
            return false;
    *ret = value_list(items, v.len);
    return true;
}

static bool copy_map(struct arena *arena, struct value v, struct value *ret)
{
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, v.len);
    if (!pairs)
        return false;
    for (uint32_t i = 0; i < v.len; i++)
        if (!value_copy(arena, v.pairs[i].key, &pairs[i].key) ||
            !value_copy(arena, v.pairs[i].value, &pairs[i].value))
            return false;
    return value_map(arena, pairs, v.len, ret, NULL);
}

bool value_copy(struct arena *arena, struct value v, struct value *ret)
{
    struct value copy = v;
    switch ((enum value_kind)v.kind) {
    case VALUE_STRING:
    case VALUE_BYTES:
        copy.str = arena_copy(arena, v.str, v.len);
        if (!copy.str)
            return false;
        break;
    case VALUE_LIST:
        return copy_list(arena, v, ret);
    case VALUE_MAP:
        return copy_map(arena, v, ret);
    default:
        break;
    }
    *ret = copy;
    return true;
}

const char *value_kind_name(enum value_kind kind)
{
    static const char *const names[] = {
        [VALUE_NULL] = "null_type",      [VALUE_BOOL] = "bool",         [VALUE_INT] = "int",
        [VALUE_UINT] = "uint",           [VALUE_DOUBLE] = "double",     [VALUE_STRING] = "string",
        [VALUE_BYTES] = "bytes",         [VALUE_LIST] = "list",         [VALUE_MAP] = "map",
        [VALUE_TIMESTAMP] = "timestamp", [VALUE_DURATION] = "duration", [VALUE_TYPE] = "type",
        [VALUE_OPTIONAL] = "optional",   [VALUE_OPAQUE] = "opaque",
    };
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

static bool builder_reserve(struct value_builder *builder, void **array, size_t item_size)
{
    if (builder->count < builder->cap)
        return true;
    size_t cap = builder->cap ? builder->cap * 2 : 8;
    void *grown = arena_grow(builder->arena, *array, builder->cap * item_size, cap * item_size);
    if (!grown) {
        builder->failed = true;
        return false;
    }
    *array = grown;
    builder->cap = cap;
    return true;
}

void value_set_str(struct value_builder *map, struct str key, struct value v)
{
    ENSURE(!map->items);
    struct value k = value_string(key);
    for (size_t i = 0; i < map->count; i++) {
        if (value_equal(map->pairs[i].key, k)) {
            map->pairs[i].value = v;
            return;
        }
    }
    if (map->failed || !builder_reserve(map, (void **)&map->pairs, sizeof *map->pairs))
        return;
    map->pairs[map->count++] = (struct value_pair){k, v};
}

void value_set(struct value_builder *map, const char *key, struct value v)
{
    value_set_str(map, str_from(key), v);
}

void value_push(struct value_builder *list, struct value v)
{
    ENSURE(!list->pairs);
    if (list->failed || !builder_reserve(list, (void **)&list->items, sizeof *list->items))
        return;
    list->items[list->count++] = v;
}

struct value value_finish_map(struct value_builder *map)
{
    struct value result;
    if (map->failed || !value_map(map->arena, map->pairs, map->count, &result, NULL))
        return value_null();
    return result;
}

struct value value_finish_list(struct value_builder *list)
{
    return list->failed ? value_null() : value_list(list->items, list->count);
}
