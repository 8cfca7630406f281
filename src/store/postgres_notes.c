// SPDX-License-Identifier: Apache-2.0
/* The notes' verbs, as postgres_notes.sql has them. Any thread. */
#include "store/postgres_internal.h"

enum store_result postgres_verb_set_note(struct store *base, const struct store_note *note,
                                         struct str kind, struct str record, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    struct str empty = STR("");
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, note->key);
    postgres_add_text(&args, note->body.len ? note->body : empty);
    postgres_add_int(&args, note->expires_ms);
    postgres_add_text(&args, kind.len ? kind : empty);
    postgres_add_text(&args, record.len ? record : STR("{}"));
    postgres_add_text(&args, postgres_cut(&args.arena, record));
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_SET_NOTE, &args, NULL, err))
        return STORE_ERROR;
    if (kind.len)
        postgres_note_leaf(store);
    return STORE_OK;
}

static bool read_note(const struct postgres_rows *rows, int row, struct arena *arena,
                      struct store_note *ret, struct error *err)
{
    *ret = (struct store_note){postgres_copy(rows, row, 0, arena),
                               postgres_copy(rows, row, 1, arena), postgres_int(rows, row, 2)};
    return (ret->key.ptr && ret->body.ptr) || error_set(err, "S0006", "out of memory in a note");
}

enum store_result postgres_verb_get_notes(struct store *base, struct store_note *notes,
                                          size_t count, struct arena *arena, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    struct postgres_array keys = postgres_array(&args, POSTGRES_TEXT);
    for (size_t i = 0; i < count; i++)
        postgres_push_text(&keys, notes[i].key);
    postgres_add_array(&args, &keys);
    bool ok = postgres_call(store, POSTGRES_GET_NOTES, &args, &rows, err);
    for (int i = 0; ok && i < rows.count && (size_t)i < count; i++)
        ok = read_note(&rows, i, arena, &notes[i], err);
    if (ok && (size_t)rows.count != count)
        ok = error_set(err, "S0006", "%d notes came of %zu", rows.count, count);
    return ok ? STORE_OK : STORE_ERROR;
}

enum store_result postgres_verb_list_notes(struct store *base, struct str prefix,
                                           struct arena *arena, struct store_note **ret,
                                           size_t *ret_count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, prefix);
    postgres_add_int(&args, STORE_NOTES_MAX);
    bool ok = postgres_call(store, POSTGRES_LIST_NOTES, &args, &rows, err);
    struct store_note *list =
        ok ? ARENA_ARRAY(arena, struct store_note, (size_t)rows.count + 1) : NULL;
    if (ok && !list)
        ok = error_set(err, "S0006", "out of memory listing notes");
    for (int i = 0; ok && i < rows.count; i++)
        ok = read_note(&rows, i, arena, &list[i], err);
    *ret = list;
    *ret_count = ok ? (size_t)rows.count : 0;
    return ok ? STORE_OK : STORE_ERROR;
}
