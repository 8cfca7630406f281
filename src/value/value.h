// SPDX-License-Identifier: Apache-2.0
/* The one value type. An event's JSON, an API's answer, a CEL result and an API's input are all
 * `struct value`, so nothing is converted between rooms.
 *
 * 16 bytes, passed by value, immutable once built, pointing into an arena or a document that lives
 * longer. Strings are UTF-8 and borrowed. Lists are an array of values. Maps are an array of pairs
 * in insertion order without duplicate keys; with more than VALUE_MAP_SCAN_MAX pairs an index
 * precedes them:
 *
 *   value{MAP, len=n, pairs} ──► pairs[0] pairs[1] ... pairs[n-1]
 *                                ▲
 *   struct value_index ──────────┘ directly before pairs[0] when VALUE_INDEXED is set
 *
 * A zeroed value is null. Any number of threads may read. */
#ifndef RECTIFY_VALUE_VALUE_H
#define RECTIFY_VALUE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,    // int64
    VALUE_UINT,   // uint64
    VALUE_DOUBLE, // IEEE binary64
    VALUE_STRING, // UTF-8
    VALUE_BYTES,
    VALUE_LIST,
    VALUE_MAP,       // keys: bool, int, uint or string
    VALUE_TIMESTAMP, // seconds since 1970 in `i`, nanoseconds (0..999999999) in `len`
    VALUE_DURATION,  // nanoseconds in `i`
    VALUE_TYPE,      // a CEL type; `opaque` belongs to cel/
    VALUE_OPTIONAL,  // a CEL optional; `opaque` NULL = none, else const struct value *
    VALUE_OPAQUE,    // another CEL type (IP, CIDR); `opaque` belongs to cel/, `aux` tells which
};

enum {
    VALUE_INDEXED = 1, // flags of a map: it has an index
};

#define VALUE_MAP_SCAN_MAX 8

struct value_pair;

struct value {
    uint8_t kind; // enum value_kind
    uint8_t flags;
    uint16_t aux; // belongs to the kind; 0 where the kind does not say otherwise
    uint32_t len; // strings, bytes: bytes; lists, maps: entries; timestamps: nanoseconds
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
        const char *str;
        const struct value *items;
        const struct value_pair *pairs;
        const void *opaque;
    };
};

struct value_pair {
    struct value key, value;
};

static inline struct value value_null(void)
{
    return (struct value){0};
}
static inline struct value value_bool(bool b)
{
    return (struct value){.kind = VALUE_BOOL, .b = b};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.kind = VALUE_INT, .i = i};
}
static inline struct value value_uint(uint64_t u)
{
    return (struct value){.kind = VALUE_UINT, .u = u};
}
static inline struct value value_double(double d)
{
    return (struct value){.kind = VALUE_DOUBLE, .d = d};
}
/* Borrows `s`; s.len is at most UINT32_MAX. */
static inline struct value value_string(struct str s)
{
    return (struct value){.kind = VALUE_STRING, .len = (uint32_t)s.len, .str = s.ptr};
}
static inline struct value value_bytes(struct str s)
{
    return (struct value){.kind = VALUE_BYTES, .len = (uint32_t)s.len, .str = s.ptr};
}
static inline struct value value_cstr(const char *cstr)
{
    return value_string(str_from(cstr));
}
/* Borrows `items`. */
static inline struct value value_list(const struct value *items, size_t count)
{
    return (struct value){.kind = VALUE_LIST, .len = (uint32_t)count, .items = items};
}
static inline struct str value_str(struct value v) // a string's or bytes' content, else empty
{
    bool text = v.kind == VALUE_STRING || v.kind == VALUE_BYTES;
    return text ? (struct str){v.str, v.len} : (struct str){0};
}

/* A map of `count` pairs: copied into the arena, with an index when there are many. False when
 * memory runs out or (ret_duplicate set to its position, else SIZE_MAX) a key occurs twice. */
bool value_map(struct arena *arena, const struct value_pair *pairs, size_t count, struct value *ret,
               size_t *ret_duplicate) __attribute__((warn_unused_result));

/* The value under a string key, or NULL: no map, no such key. Borrowed from the map. */
const struct value *value_get(struct value map, struct str key);
/* The same for a key of any kind (CEL equality: 1 == 1u == 1.0). */
const struct value *value_get_key(struct value map, struct value key);
/* For a key looked up often: its hash, once, and the lookup with it. The hash counts only for maps
 * with VALUE_INDEXED. */
uint64_t value_hash_key(struct value key);
const struct value *value_get_hashed(struct value map, struct value key, uint64_t hash);
/* A path of string keys and decimal list positions: "a.b.0.c". NULL when any step is missing. */
const struct value *value_path(struct value root, const char *path);
/* value_path() that gives the string there, or empty. */
struct str value_path_str(struct value root, const char *path);

/* Deep equality: kinds must agree except among numbers, which compare by value exactly; maps
 * irrespective of order; NaN differs from itself. Depth is bounded by what built the values. */
bool value_equal(struct value a, struct value b);
/* Deep copy into another arena. False when memory runs out. */
bool value_copy(struct arena *arena, struct value v, struct value *ret)
    __attribute__((warn_unused_result));
/* "null", "bool", "int", ... as CEL names the kind. */
const char *value_kind_name(enum value_kind kind);

/* A map or list being built: add, then finish. Zeroed plus an arena is valid and empty. When memory
 * runs out `failed` is set and finishing gives null. Keys of builder maps must be distinct: a key
 * set twice keeps its place and takes the later value. */
struct value_builder {
    struct arena *arena;
    struct value_pair *pairs; // map under construction
    struct value *items;      // list under construction
    size_t count, cap;
    bool failed;
};
void value_set(struct value_builder *map, const char *key, struct value v);
void value_set_str(struct value_builder *map, struct str key, struct value v);
void value_push(struct value_builder *list, struct value v);
struct value value_finish_map(struct value_builder *map);
struct value value_finish_list(struct value_builder *list);

#endif
