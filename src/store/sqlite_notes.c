// SPDX-License-Identifier: Apache-2.0
/* Notes by key: what guards remember. Leader's thread inside the run_ functions. */
#include "store/sqlite_internal.h"

struct note_args {
    const struct store_note *set;
    struct str kind, record, prefix;
    struct store_note *notes;
    size_t count;
    struct arena *arena;
};

static bool expire(struct sqlite_store *store, struct error *err)
{
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_NOTE_EXPIRE, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, sql_now(store));
    return sql_done(store, stmt, err);
}

static enum store_result run_set(struct sqlite_store *store, void *arg, struct error *err)
{
    const struct note_args *args = arg;
    bool forget = args->set->body.len == 0;
    sqlite3_stmt *stmt = NULL;
    if (sqlite_begin(store, err) && expire(store, err))
        stmt = sql_get(store, forget ? STATEMENT_NOTE_FORGET : STATEMENT_NOTE_SET, err);
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->set->key);
    if (!forget) {
        sql_bind(stmt, 2, args->set->body);
        sqlite3_bind_int64(stmt, 3, args->set->expires_ms);
    }
    struct leaf_parts leaf = {.at_ms = sql_now(store), .kind = args->kind, .body = args->record};
    bool ok = sql_done(store, stmt, err) && (args->kind.len == 0 || sql_leaf(store, &leaf, err));
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_set_note(struct store *base, const struct store_note *note,
                                       struct str kind, struct str record, struct error *err)
{
    struct note_args args = {.set = note, .kind = kind, .record = record};
    struct sqlite_job job = SQLITE_JOB(run_set, &args, .writes = true, .durable = true, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

static bool read_note(sqlite3_stmt *stmt, struct arena *arena, struct store_note *ret,
                      struct error *err)
{
    *ret = (struct store_note){sql_copy(stmt, 0, arena), sql_copy(stmt, 1, arena),
                               sqlite3_column_int64(stmt, 2)};
    return (ret->key.ptr && ret->body.ptr) || error_set(err, "S0006", "out of memory in a note");
}

static enum store_result run_get(struct sqlite_store *store, void *arg, struct error *err)
{
    struct note_args *args = arg;
    for (size_t i = 0; i < args->count; i++) {
        sqlite3_stmt *stmt = sql_get(store, STATEMENT_NOTE_GET, err);
        bool row;
        if (!stmt)
            return STORE_ERROR;
        sql_bind(stmt, 1, args->notes[i].key);
        sqlite3_bind_int64(stmt, 2, sql_now(store));
        bool ok = sql_row(store, stmt, &row, err);
        args->notes[i].body = (struct str){0};
        if (ok && row)
            ok = read_note(stmt, args->arena, &args->notes[i], err);
        sqlite3_reset(stmt);
        if (!ok)
            return STORE_ERROR;
    }
    return STORE_OK;
}

enum store_result sqlite_verb_get_notes(struct store *base, struct store_note *notes, size_t count,
                                        struct arena *arena, struct error *err)
{
    struct note_args args = {.notes = notes, .count = count, .arena = arena};
    struct sqlite_job job = SQLITE_JOB(run_get, &args, .err = err);
    return sqlite_submit((struct sqlite_store *)base, &job);
}

static enum store_result run_list(struct sqlite_store *store, void *arg, struct error *err)
{
    struct note_args *args = arg;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_NOTE_LIST, err);
    bool row = true, ok = true;
    if (!stmt)
        return STORE_ERROR;
    sql_bind(stmt, 1, args->prefix);
    sqlite3_bind_int64(stmt, 2, sql_now(store));
    sqlite3_bind_int64(stmt, 3, STORE_NOTES_MAX);
    while (ok && args->count < STORE_NOTES_MAX && (ok = sql_row(store, stmt, &row, err)) && row)
        ok = read_note(stmt, args->arena, &args->notes[args->count++], err);
    sqlite3_reset(stmt);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result sqlite_verb_list_notes(struct store *base, struct str prefix, struct arena *arena,
                                         struct store_note **ret, size_t *ret_count,
                                         struct error *err)
{
    struct note_args args = {.prefix = prefix, .arena = arena};
    args.notes = ARENA_ARRAY(arena, struct store_note, STORE_NOTES_MAX);
    struct sqlite_job job = SQLITE_JOB(run_list, &args, .err = err);
    if (!args.notes) {
        error_set(err, "S0006", "out of memory listing notes");
        return STORE_ERROR;
    }
    enum store_result result = sqlite_submit((struct sqlite_store *)base, &job);
    *ret = args.notes;
    *ret_count = result == STORE_OK ? args.count : 0;
    return result;
}
