// SPDX-License-Identifier: Apache-2.0
/* What people say, as postgres_votes.sql has it. Any thread. */
#include "store/postgres_internal.h"

enum store_result postgres_verb_vote(struct store *base, const struct store_ballot *ballot,
                                     bool *ret_decided, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    struct str body = leaf_vote_body(&args.arena, ballot);
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, ballot->id);
    postgres_add_text(&args, ballot->plan_hash);
    postgres_add_text(&args, ballot->ask);
    postgres_add_bool(&args, ballot->yes);
    postgres_add_text(&args, ballot->person);
    postgres_add_text(&args, ballot->identity);
    postgres_add_text(&args, ballot->channel);
    postgres_add_text(&args, ballot->reason);
    postgres_add_text(&args, leaf_reason(ballot->reason));
    postgres_add_text(&args, body);
    postgres_add_text(&args, postgres_cut(&args.arena, body));
    args.failed = args.failed || !body.ptr;
    if (!postgres_may_write(store, err) || !postgres_call(store, POSTGRES_VOTE, &args, &rows, err))
        return STORE_ERROR;
    enum store_result result = (enum store_result)postgres_int(&rows, 0, 0);
    *ret_decided = postgres_int(&rows, 0, 1);
    if (result == STORE_OK)
        postgres_note_leaf(store);
    return result;
}

enum store_result postgres_verb_approval(struct store *base, int64_t id, struct arena *arena,
                                         struct store_approval *ret, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, id);
    if (!postgres_call(store, POSTGRES_APPROVAL, &args, &rows, err))
        return STORE_ERROR;
    if (rows.count == 0)
        return STORE_ABSENT;
    struct store_approval approval = {.plan_hash = postgres_copy(&rows, 0, 0, arena),
                                      .expires_ms = postgres_int(&rows, 0, 1),
                                      .decided = postgres_int(&rows, 0, 2),
                                      .yes = postgres_int(&rows, 0, 3),
                                      .consumed = postgres_int(&rows, 0, 6),
                                      .by = postgres_copy(&rows, 0, 4, arena),
                                      .reason = postgres_copy(&rows, 0, 5, arena),
                                      .ask = postgres_copy(&rows, 0, 7, arena),
                                      .need = (int)postgres_int(&rows, 0, 8)};
    if (!approval.plan_hash.ptr || !approval.by.ptr || !approval.reason.ptr || !approval.ask.ptr) {
        error_set(err, "S0006", "out of memory reading an approval");
        return STORE_ERROR;
    }
    if (!store_read_list(arena, postgres_str(&rows, 0, 9), &approval.via, err) ||
        !store_read_list(arena, postgres_str(&rows, 0, 10), &approval.votes, err))
        return STORE_ERROR;
    *ret = approval;
    return STORE_OK;
}

enum store_result postgres_verb_void_approval(struct store *base, int64_t id, struct str ask,
                                              struct str why, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    struct str body = leaf_void_body(&args.arena, ask);
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, id);
    postgres_add_text(&args, ask);
    postgres_add_text(&args, leaf_reason(why));
    postgres_add_text(&args, body);
    postgres_add_text(&args, postgres_cut(&args.arena, body));
    args.failed = args.failed || !body.ptr;
    if (!postgres_may_write(store, err) || !postgres_call(store, POSTGRES_VOID, &args, &rows, err))
        return STORE_ERROR;
    postgres_note_leaf(store);
    return (enum store_result)postgres_int(&rows, 0, 0);
}

enum store_result postgres_verb_see_policies(struct store *base,
                                             const struct store_policy_seen *policies, size_t count,
                                             size_t *ret_void, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    struct postgres_array names = postgres_array(&args, POSTGRES_TEXT);
    struct postgres_array hashes = postgres_array(&args, POSTGRES_TEXT);
    for (size_t i = 0; i < count; i++) {
        postgres_push_text(&names, policies[i].name);
        postgres_push_text(&hashes, policies[i].hash);
    }
    postgres_add_array(&args, &names);
    postgres_add_array(&args, &hashes);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_SEE_POLICIES, &args, &rows, err))
        return STORE_ERROR;
    *ret_void = (size_t)postgres_int(&rows, 0, 0);
    return STORE_OK;
}
