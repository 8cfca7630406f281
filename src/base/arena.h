// SPDX-License-Identifier: Apache-2.0
/* An arena: memory with one lifetime (policy set, event, remediation step, HTTP request).
 *
 * Allocations are never freed one by one; arena_reset() keeps the largest block (up to
 * 64 KiB) for reuse,
 * arena_finish() gives everything back. Pointers live until either. An arena belongs to one
 * thread at a time. A zeroed `struct arena` is a valid empty arena.
 *
 * arena_alloc() returns NULL when memory or the arena's own bound (`size_max`, 0 = none) runs out;
 * the item being worked on then fails, the process does not. Whoever cannot check each allocation
 * looks at `exhausted` before it believes the result. */
#ifndef RECTIFY_BASE_ARENA_H
#define RECTIFY_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    char *next, *end;
    struct arena_block *blocks; // newest first
    size_t used;                // bytes handed out since init or reset
    size_t size_max;            // bound on `used`, 0 = none
    bool exhausted;             // there was no memory for it, since init, reset or finish
};

/* Zeroed memory, aligned for any type, for `size` bytes (size 0 gives a valid unique pointer). */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((warn_unused_result, malloc));
/* The same, not zeroed. `align` is a power of two. */
void *arena_alloc_raw(struct arena *arena, size_t size, size_t align)
    __attribute__((warn_unused_result));
/* Copies `size` bytes of `data`, adding a NUL behind them. */
char *arena_copy(struct arena *arena, const void *data, size_t size)
    __attribute__((warn_unused_result));
/* Grows an allocation from `old_size` to `new_size`: in place when it was the last one. */
void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t new_size)
    __attribute__((warn_unused_result));
/* printf into the arena; NULL when out of memory. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((warn_unused_result, format(printf, 2, 3)));

void arena_reset(struct arena *arena);
void arena_finish(struct arena *arena);
/* arena_finish() that overwrites everything first: the arena held secrets. */
void arena_wipe(struct arena *arena);

/* A point to fall back to: everything allocated after arena_mark() is gone after arena_rewind(). */
struct arena_mark {
    struct arena_block *block;
    char *next;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc_array((arena), (count), sizeof(type)))
/* Zeroed array; NULL on overflow of count * size too. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
    __attribute__((warn_unused_result));

#define ARENA_AUTO __attribute__((cleanup(arena_finish)))

#endif
