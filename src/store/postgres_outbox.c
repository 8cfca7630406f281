// SPDX-License-Identifier: Apache-2.0
/* The outbox's verbs, as postgres_outbox.sql has them, and transitions that carry notices. Any
 * thread. */
#include "store/postgres_internal.h"

#include "base/ensure.h"

/* ---- putting ---- */

void postgres_add_notices(struct postgres_args *args, const struct store_notice *notices,
                          size_t count)
{
    struct postgres_array channels = postgres_array(args, POSTGRES_TEXT);
    struct postgres_array kinds = postgres_array(args, POSTGRES_TEXT);
    struct postgres_array threads = postgres_array(args, POSTGRES_TEXT);
    struct postgres_array bodies = postgres_array(args, POSTGRES_TEXT);
    struct postgres_array due = postgres_array(args, POSTGRES_INT8);
    for (size_t i = 0; i < count; i++) {
        postgres_push_text(&channels, notices[i].channel);
        postgres_push_text(&kinds, notices[i].kind);
        postgres_push_text(&threads, notices[i].thread);
        postgres_push_text(&bodies, notices[i].body.len ? notices[i].body : STR("{}"));
        postgres_push_int8(&due, notices[i].due_ms);
    }
    postgres_add_array(args, &channels);
    postgres_add_array(args, &kinds);
    postgres_add_array(args, &threads);
    postgres_add_array(args, &bodies);
    postgres_add_array(args, &due);
}

enum store_result postgres_verb_tell(struct store *base, int64_t remediation,
                                     const struct store_notice *notices, size_t count,
                                     struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, remediation);
    postgres_add_notices(&args, notices, count);
    return postgres_may_write(store, err) && postgres_call(store, POSTGRES_TELL, &args, NULL, err)
               ? STORE_OK
               : STORE_ERROR;
}

/* ---- taking ---- */

static bool read_notice(const struct postgres_rows *rows, int row, struct arena *arena,
                        struct store_notice_row *ret)
{
    struct str state = postgres_str(rows, row, 9);
    *ret = (struct store_notice_row){.id = postgres_int(rows, row, 0),
                                     .remediation = postgres_int(rows, row, 1),
                                     .notice = {.channel = postgres_copy(rows, row, 2, arena),
                                                .kind = postgres_copy(rows, row, 3, arena),
                                                .thread = postgres_copy(rows, row, 4, arena),
                                                .body = postgres_copy(rows, row, 5, arena),
                                                .due_ms = postgres_int(rows, row, 7)},
                                     .created_ms = postgres_int(rows, row, 6),
                                     .attempts = (int)postgres_int(rows, row, 8),
                                     .error = postgres_copy(rows, row, 10, arena),
                                     .reference = postgres_copy(rows, row, 11, arena)};
    while (ret->state < NOTICE_GIVEN_UP && !str_is(state, notice_state_name(ret->state)))
        ret->state++;
    return ret->notice.channel.ptr && ret->notice.body.ptr && ret->error.ptr && ret->reference.ptr;
}

static bool read_notices(const struct postgres_rows *rows, struct arena *arena,
                         struct store_notice_row **ret, size_t *ret_count, struct error *err)
{
    struct store_notice_row *list =
        ARENA_ARRAY(arena, struct store_notice_row, (size_t)rows->count + 1);
    bool ok = list != NULL;
    for (int i = 0; ok && i < rows->count; i++)
        ok = read_notice(rows, i, arena, &list[i]);
    *ret = list;
    *ret_count = (size_t)rows->count;
    return ok || error_set(err, "S0006", "out of memory reading notices");
}

static bool read_due(struct postgres_store *store, struct arena *arena, struct store_sending *ret,
                     struct error *err)
{
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, ret->channel);
    postgres_add_int(&args, STORE_SENDING_MAX);
    return postgres_call(store, POSTGRES_NOTICES_DUE, &args, &rows, err) &&
           read_notices(&rows, arena, &ret->rows, &ret->count, err);
}

enum store_result postgres_verb_take_notices(struct store *base, int64_t lease_ms,
                                             struct arena *arena, struct store_sending *ret,
                                             struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows taken = {0};
    int64_t host = postgres_host_ms(store);
    struct store_sending sending = {.next_due_ms = INT64_MAX};
    postgres_add_int(&args, host);
    postgres_add_int(&args, lease_ms);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_TAKE_CHANNEL, &args, &taken, err))
        return STORE_ERROR;
    if (postgres_is_null(&taken, 0, 0)) {
        if (!postgres_is_null(&taken, 0, 2))
            sending.next_due_ms = host + postgres_int(&taken, 0, 2);
    } else {
        sending.channel = postgres_copy(&taken, 0, 0, arena);
        sending.epoch = postgres_int(&taken, 0, 1);
        if (!read_due(store, arena, &sending, err))
            return STORE_ERROR;
    }
    *ret = sending;
    return STORE_OK;
}

/* ---- giving back ---- */

static void add_sent(struct postgres_args *args, struct str channel, const struct store_sent *sent,
                     size_t count)
{
    struct postgres_array a[8];
    static const uint32_t types[] = {POSTGRES_INT8, POSTGRES_INT4, POSTGRES_INT8, POSTGRES_INT4,
                                     POSTGRES_TEXT, POSTGRES_TEXT, POSTGRES_TEXT, POSTGRES_TEXT};
    for (size_t i = 0; i < 8; i++)
        a[i] = postgres_array(args, types[i]);
    for (size_t i = 0; i < count; i++) {
        struct str body = leaf_notice_body(&args->arena, channel, &sent[i]);
        postgres_push_int8(&a[0], sent[i].id);
        postgres_push_int4(&a[1], (int)sent[i].state);
        postgres_push_int8(&a[2], sent[i].due_ms);
        postgres_push_int4(&a[3], sent[i].failed);
        postgres_push_text(&a[4], sent[i].reference);
        postgres_push_text(&a[5], sent[i].error);
        postgres_push_text(&a[6], body);
        postgres_push_text(&a[7], postgres_cut(&args->arena, body));
        args->failed = args->failed || !body.ptr;
    }
    for (size_t i = 0; i < 8; i++)
        postgres_add_array(args, &a[i]);
}

enum store_result postgres_verb_give_notices(struct store *base,
                                             const struct store_sending *sending, int64_t free_ms,
                                             const struct store_sent *sent, size_t count,
                                             struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, sending->channel);
    postgres_add_int(&args, sending->epoch);
    postgres_add_int(&args, free_ms);
    add_sent(&args, sending->channel, sent, count);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_GIVE_NOTICES, &args, &rows, err))
        return STORE_ERROR;
    if (!postgres_int(&rows, 0, 0))
        return STORE_CONFLICT;
    postgres_note_leaf(store);
    return STORE_OK;
}

/* ---- looking ---- */

enum store_result postgres_verb_notices(struct store *base,
                                        const struct store_notice_filter *filter,
                                        struct arena *arena, struct store_notice_row **ret,
                                        size_t *ret_count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, filter->before_id);
    postgres_add_text(&args, filter->state >= 0
                                 ? str_from(notice_state_name((enum notice_state)filter->state))
                                 : (struct str){0});
    postgres_add_int(&args, filter->remediation);
    postgres_add_int(&args, (int64_t)filter->limit);
    return postgres_call(store, POSTGRES_NOTICES, &args, &rows, err) &&
                   read_notices(&rows, arena, ret, ret_count, err)
               ? STORE_OK
               : STORE_ERROR;
}
