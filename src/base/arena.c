// SPDX-License-Identifier: Apache-2.0
/* Bump allocation in blocks that double from 4 KiB to 1 MiB.
 *
 *   blocks ─► [header|........next......end] ─► [older block] ─► NULL
 *
 * Under AddressSanitizer nothing special is done: blocks are poisoned by malloc only. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE_MIN ((size_t)4096)
#define BLOCK_SIZE_MAX ((size_t)1 << 20)
#define BLOCK_SIZE_KEPT ((size_t)64 << 10) // the largest that stays over a reset

struct arena_block {
    struct arena_block *older;
    size_t size; // bytes of data[]
    alignas(max_align_t) char data[];
};

static bool arena_add_block(struct arena *arena, size_t need)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_SIZE_MIN;
    if (size > BLOCK_SIZE_MAX)
        size = BLOCK_SIZE_MAX;
    if (size < need)
        size = need;
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return false;
    struct arena_block *block = malloc(sizeof *block + size);
    arena->exhausted = arena->exhausted || !block;
    if (!block)
        return false;
    block->older = arena->blocks;
    block->size = size;
    arena->blocks = block;
    arena->next = block->data;
    arena->end = block->data + size;
    return true;
}

void *arena_alloc_raw(struct arena *arena, size_t size, size_t align)
{
    if (size > SIZE_MAX / 2 || (arena->size_max && size > arena->size_max - arena->used))
        return NULL;
    size_t pad = (size_t)(-(uintptr_t)arena->next) & (align - 1);
    if (!arena->next || size + pad > (size_t)(arena->end - arena->next)) {
        if (!arena_add_block(arena, size + align))
            return NULL;
        pad = (size_t)(-(uintptr_t)arena->next) & (align - 1);
    }
    char *result = arena->next + pad;
    arena->next = result + size;
    arena->used += size;
    return result;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *result = arena_alloc_raw(arena, size, alignof(max_align_t));
    if (result)
        memset(result, 0, size);
    return result;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

char *arena_copy(struct arena *arena, const void *data, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *result = arena_alloc_raw(arena, size + 1, 1);
    if (!result)
        return NULL;
    if (size)
        memcpy(result, data, size);
    result[size] = '\0';
    return result;
}

void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t new_size)
{
    if (new_size <= old_size)
        return old;
    size_t more = new_size - old_size;
    if (old && (char *)old + old_size == arena->next &&
        more <= (size_t)(arena->end - arena->next) &&
        (!arena->size_max || more <= arena->size_max - arena->used)) {
        arena->next += more;
        arena->used += more;
        return old;
    }
    void *result = arena_alloc_raw(arena, new_size, alignof(max_align_t));
    if (result && old)
        memcpy(result, old, old_size);
    return result;
}

/* Straight into what is left of the block; formatted twice only when that is too little. */
char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = arena->next ? (size_t)(arena->end - arena->next) : 0;
    char *there = arena->next;
    int length = vsnprintf(there, room, format, args);
    va_end(args);
    char *result = length < 0 ? NULL : arena_alloc_raw(arena, (size_t)length + 1, 1);
    if (result && (result != there || (size_t)length >= room))
        vsnprintf(result, (size_t)length + 1, format, again);
    va_end(again);
    return result;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->blocks, arena->next, arena->used};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    while (arena->blocks != mark.block) {
        struct arena_block *older = arena->blocks->older;
        free(arena->blocks);
        arena->blocks = older;
    }
    arena->next = mark.next;
    arena->end = arena->blocks ? arena->blocks->data + arena->blocks->size : NULL;
    arena->used = mark.used;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->blocks, *kept = NULL;
    while (block) { // newest first, each older one is smaller but for a single large allocation
        struct arena_block *older = block->older;
        if (!kept && (block->size <= BLOCK_SIZE_KEPT || !older)) {
            kept = block;
            kept->older = NULL;
        } else {
            free(block);
        }
        block = older;
    }
    arena->blocks = kept;
    arena->next = kept ? kept->data : NULL;
    arena->end = kept ? kept->data + kept->size : NULL;
    arena->used = 0;
    arena->exhausted = false;
}

void arena_wipe(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block; block = block->older)
        explicit_bzero(block->data, block->size);
    arena_finish(arena);
}

void arena_finish(struct arena *arena)
{
    arena_rewind(arena, (struct arena_mark){0});
    arena->exhausted = false;
}
