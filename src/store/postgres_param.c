// SPDX-License-Identifier: Apache-2.0
/* Parameters and results in PostgreSQL's binary form: integers big-endian, an array as header
 * (dimensions, nulls, type, count, lower bound) and elements, each behind its length. No state. */
#include "store/postgres_internal.h"

#include "base/ensure.h"

static void put(char *at, uint64_t number, int size)
{
    for (int i = 0; i < size; i++)
        at[i] = (char)(unsigned char)(number >> (8 * (size - 1 - i)));
}

void postgres_args_finish(struct postgres_args *args)
{
    arena_finish(&args->arena);
}

static void add(struct postgres_args *args, const char *bytes, size_t length)
{
    ENSURE(args->count < (int)(sizeof args->values / sizeof *args->values));
    args->failed = args->failed || !bytes || length > INT32_MAX;
    args->values[args->count] = bytes;
    args->lengths[args->count++] = (int)length;
}

void postgres_add_int(struct postgres_args *args, int64_t number)
{
    char *bytes = arena_alloc_raw(&args->arena, 8, 1);
    if (bytes)
        put(bytes, (uint64_t)number, 8);
    add(args, bytes, 8);
}

void postgres_add_bool(struct postgres_args *args, bool b)
{
    add(args, b ? "\1" : "\0", 1);
}

static struct str without_nul(struct arena *arena, struct str text)
{
    struct buf out = {.arena = arena};
    if (!text.len || !memchr(text.ptr, '\0', text.len))
        return text;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i])
            buf_add_byte(&out, text.ptr[i]);
        else
            buf_add_cstr(&out, "\xef\xbf\xbd");
    }
    return buf_str(&out);
}

void postgres_add_text(struct postgres_args *args, struct str text)
{
    struct str clean = without_nul(&args->arena, text);
    args->failed = args->failed || (text.len && !clean.ptr);
    postgres_add_bytes(args, clean);
}

void postgres_add_bytes(struct postgres_args *args, struct str bytes)
{
    add(args, bytes.len ? bytes.ptr : "", bytes.len);
}

/* ---- arrays ---- */

#define HEADER 20 // bytes
#define COUNT_AT 12

static void push(struct postgres_array *array, const void *data, size_t length)
{
    char size[4];
    put(size, length, 4);
    buf_add(&array->bytes, size, sizeof size);
    buf_add(&array->bytes, data, length);
    array->bytes.failed = array->bytes.failed || length > INT32_MAX;
    array->count++;
}

struct postgres_array postgres_array(struct postgres_args *args, uint32_t type)
{
    struct postgres_array array = {.bytes = {.arena = &args->arena}};
    char header[HEADER] = {0};
    put(header, 1, 4); // dimensions
    put(header + 8, type, 4);
    put(header + 16, 1, 4); // the first index
    buf_add(&array.bytes, header, sizeof header);
    return array;
}

void postgres_push_int4(struct postgres_array *array, int number)
{
    char bytes[4];
    put(bytes, (uint64_t)(int64_t)number, 4);
    push(array, bytes, sizeof bytes);
}

void postgres_push_int8(struct postgres_array *array, int64_t number)
{
    char bytes[8];
    put(bytes, (uint64_t)number, 8);
    push(array, bytes, sizeof bytes);
}

void postgres_push_text(struct postgres_array *array, struct str text)
{
    struct str clean = without_nul(array->bytes.arena, text);
    array->bytes.failed = array->bytes.failed || (text.len && !clean.ptr);
    postgres_push_bytes(array, clean);
}

void postgres_push_bytes(struct postgres_array *array, struct str bytes)
{
    push(array, bytes.len ? bytes.ptr : "", bytes.len);
}

void postgres_add_array(struct postgres_args *args, struct postgres_array *array)
{
    if (!array->bytes.failed)
        put(array->bytes.ptr + COUNT_AT, array->count, 4);
    struct str bytes = buf_str(&array->bytes);
    add(args, bytes.ptr, bytes.len);
}

/* ---- rows ---- */

void postgres_rows_finish(struct postgres_rows *rows)
{
    if (rows->result)
        rows->pq->clear(rows->result);
    *rows = (struct postgres_rows){0};
}

bool postgres_is_null(const struct postgres_rows *rows, int row, int column)
{
    return rows->pq->getisnull(rows->result, row, column);
}

struct str postgres_str(const struct postgres_rows *rows, int row, int column)
{
    return (struct str){rows->pq->getvalue(rows->result, row, column),
                        (size_t)rows->pq->getlength(rows->result, row, column)};
}

int64_t postgres_int(const struct postgres_rows *rows, int row, int column)
{
    struct str bytes = postgres_str(rows, row, column);
    ENSURE(bytes.len == 1 || bytes.len == 4 || bytes.len == 8);
    uint64_t number = bytes.len > 1 && ((unsigned char)bytes.ptr[0] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes.len; i++)
        number = number << 8 | (unsigned char)bytes.ptr[i];
    return (int64_t)number;
}

struct str postgres_copy(const struct postgres_rows *rows, int row, int column, struct arena *arena)
{
    return str_copy(arena, postgres_str(rows, row, column));
}
