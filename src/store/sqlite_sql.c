// SPDX-License-Identifier: Apache-2.0
/* Statements, their errors, the audit leaf, and the table of leases. Leader's thread, but for
 * leases (own mutex, any thread). */
#include "store/sqlite_internal.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/ensure.h"

static const char *const statement_texts[] = {
#define STATEMENT_TEXT(name, sql) [STATEMENT_##name] = sql,
    SQLITE_STATEMENTS(STATEMENT_TEXT)
#undef STATEMENT_TEXT
};

bool sql_error(struct sqlite_store *store, struct error *err)
{
    int code = sqlite3_errcode(store->db);
    const char *text = sqlite3_errmsg(store->db);
    switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        error_set(err, "S0003", "%s is damaged: %s", store->path, text);
        return error_hint(err, "stop, keep a copy of the file, and restore it from a backup");
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        error_set(err, "S0004", "%s cannot be written: %s (system error %d); nothing was changed",
                  store->path, text, sqlite3_system_errno(store->db));
        return error_hint(err, "free space or make the folder writable; rectify goes on by itself");
    default:
        return error_set(err, "S0006", "%s: the database refused a statement: %s (%d)", store->path,
                         text, code);
    }
}

sqlite3_stmt *sql_get(struct sqlite_store *store, enum sqlite_statement which, struct error *err)
{
    sqlite3_stmt **stmt = &store->statements[which];
    if (*stmt) {
        sqlite3_reset(*stmt);
    } else if (sqlite3_prepare_v3(store->db, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  stmt, NULL) != SQLITE_OK) {
        sql_error(store, err);
        return NULL;
    }
    return *stmt;
}

void sql_bind(sqlite3_stmt *stmt, int at, struct str text)
{
    int bound = sqlite3_bind_text(stmt, at, text.ptr ? text.ptr : "", (int)text.len, SQLITE_STATIC);
    ENSURE(bound == SQLITE_OK);
}

sqlite3_stmt *sql_with(struct sqlite_store *store, enum sqlite_statement which, struct error *err,
                       const char *types, ...)
{
    sqlite3_stmt *stmt = sql_get(store, which, err);
    va_list args;
    va_start(args, types);
    for (int at = 1; stmt && types[at - 1]; at++) {
        if (types[at - 1] == 'i') {
            sqlite3_bind_int64(stmt, at, va_arg(args, int64_t));
            continue;
        }
        struct str text = va_arg(args, struct str);
        if (types[at - 1] == 't')
            sql_bind(stmt, at, text);
        else
            sqlite3_bind_blob(stmt, at, text.ptr, (int)text.len, SQLITE_STATIC);
    }
    va_end(args);
    return stmt;
}

bool sql_row(struct sqlite_store *store, sqlite3_stmt *stmt, bool *ret_row, struct error *err)
{
    int result = sqlite3_step(stmt);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        sql_error(store, err);
        sqlite3_reset(stmt);
        return false;
    }
    *ret_row = result == SQLITE_ROW;
    return true;
}

bool sql_done(struct sqlite_store *store, sqlite3_stmt *stmt, struct error *err)
{
    bool row, ok = sql_row(store, stmt, &row, err);
    if (ok)
        sqlite3_reset(stmt);
    return ok;
}

struct str sql_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return (struct str){text, text ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

struct str sql_copy(sqlite3_stmt *stmt, int column, struct arena *arena)
{
    return str_copy(arena, sql_text(stmt, column));
}

int64_t sql_now(struct sqlite_store *store)
{
    int64_t now = clock_wall_ms(store->clock);
    if (now > store->wall_max)
        store->wall_max = now;
    return now;
}

bool sql_leaf(struct sqlite_store *store, const struct leaf_parts *parts, struct error *err)
{
    struct str text = leaf_text(&store->scratch, parts);
    if (!text.ptr)
        return error_set(err, "S0006", "out of memory writing an audit record");
    struct sha256 hash = tree_hash_leaf(text);
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_RECORD, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, (int64_t)store->tree.size);
    if (parts->id)
        sqlite3_bind_int64(stmt, 2, parts->id);
    else
        sqlite3_bind_null(stmt, 2);
    sql_bind(stmt, 3, text);
    sqlite3_bind_blob(stmt, 4, hash.bytes, sizeof hash.bytes, SQLITE_STATIC);
    if (!sql_done(store, stmt, err))
        return false;
    tree_append(&store->tree, hash);
    return true;
}

/* ---- leases ---- */

static size_t lease_slot(const struct lease_table *table, int64_t id)
{
    return (size_t)((uint64_t)id * 0x9E3779B97F4A7C15u >> 32) & (table->cap - 1);
}

/* The slot of `id`, or the free one where it belongs. */
static size_t lease_find(const struct lease_table *table, int64_t id)
{
    size_t at = lease_slot(table, id);
    while (table->slots[at].id && table->slots[at].id != id)
        at = (at + 1) & (table->cap - 1);
    return at;
}

static bool lease_grow(struct lease_table *table)
{
    struct lease_table grown = {.cap = table->cap ? table->cap * 2 : 64};
    grown.slots = calloc(grown.cap, sizeof *grown.slots);
    if (!grown.slots)
        return false;
    for (size_t i = 0; i < table->cap; i++)
        if (table->slots[i].id)
            grown.slots[lease_find(&grown, table->slots[i].id)] = table->slots[i];
    free(table->slots);
    table->slots = grown.slots;
    table->cap = grown.cap;
    return true;
}

bool lease_set(struct lease_table *table, struct lease lease)
{
    pthread_mutex_lock(&table->mutex);
    bool ok = table->count * 2 < table->cap || lease_grow(table);
    if (ok) {
        size_t at = lease_find(table, lease.id);
        table->count += table->slots[at].id == 0;
        table->slots[at] = lease;
    }
    pthread_mutex_unlock(&table->mutex);
    return ok;
}

void lease_remove(struct lease_table *table, int64_t id)
{
    pthread_mutex_lock(&table->mutex);
    size_t at = table->cap ? lease_find(table, id) : 0;
    if (table->cap && table->slots[at].id) {
        /* Close the gap, so that every lease stays reachable from its own slot. */
        table->slots[at].id = 0;
        table->count--;
        for (size_t i = (at + 1) & (table->cap - 1); table->slots[i].id;
             i = (i + 1) & (table->cap - 1)) {
            struct lease moved = table->slots[i];
            table->slots[i].id = 0;
            table->slots[lease_find(table, moved.id)] = moved;
        }
    }
    pthread_mutex_unlock(&table->mutex);
}

void lease_remove_all(struct lease_table *table)
{
    pthread_mutex_lock(&table->mutex);
    if (table->slots)
        memset(table->slots, 0, table->cap * sizeof *table->slots);
    table->count = 0;
    pthread_mutex_unlock(&table->mutex);
}

bool lease_get(struct lease_table *table, int64_t id, struct lease *ret)
{
    bool found = false;
    pthread_mutex_lock(&table->mutex);
    if (table->cap) {
        struct lease at = table->slots[lease_find(table, id)];
        found = at.id == id && id != 0;
        if (found)
            *ret = at;
    }
    pthread_mutex_unlock(&table->mutex);
    return found;
}
