// SPDX-License-Identifier: Apache-2.0
/* Verbs that write: each is one call of a function of postgres_schema.sql, which checks, writes and
 * commits. Any thread. */
#include "store/postgres_internal.h"

#include <stdio.h>

#include "base/ensure.h"
#include "base/limits.h"
#include "value/json.h"

#define LEAF_FRAME_BYTES 16384u // what a leaf has around its body, generously

int64_t postgres_host_ms(const struct postgres_store *store)
{
    return clock_wall_ms(store->clock);
}

bool postgres_may_write(const struct postgres_store *store, struct error *err)
{
    return !store->to_look ||
           error_set(err, "S0003", "%s was opened to look at it only", store->label);
}

struct str postgres_cut(struct arena *arena, struct str body)
{
    return body.len + LEAF_FRAME_BYTES > LIMIT_RECORD_BYTES ? leaf_cut(arena, body)
                                                            : (struct str){0};
}

static struct str or_empty(struct str object)
{
    return object.len ? object : STR("{}");
}

/* ---- accept, create ---- */

struct accept_arrays {
    struct postgres_array keys, requests, own_bodies, own_cuts, owner, policies, hashes, resources,
        regions, due, details, bodies, cuts;
};

static bool push_match(struct postgres_args *args, struct accept_arrays *a, size_t event_number,
                       const struct store_event *event, const struct store_match *match)
{
    struct str body = leaf_accept_body(&args->arena, event, match);
    postgres_push_int4(&a->owner, (int)event_number);
    postgres_push_text(&a->policies, match->policy);
    postgres_push_text(&a->hashes, match->policy_hash);
    postgres_push_text(&a->resources, match->resource);
    postgres_push_text(&a->regions, match->region);
    postgres_push_int8(&a->due, match->due_ms);
    postgres_push_text(&a->details, or_empty(match->detail));
    postgres_push_text(&a->bodies, body);
    postgres_push_text(&a->cuts, postgres_cut(&args->arena, body));
    return body.ptr != NULL;
}

/* What has to be known of an event that may turn out to be of a call of ours. */
static bool push_event(struct postgres_args *args, struct accept_arrays *a,
                       const struct store_event *event)
{
    static const struct store_match nothing;
    bool asked = event->request_id.len && event->match_count;
    struct str body = asked ? leaf_accept_body(&args->arena, event, &nothing) : STR("");
    postgres_push_bytes(&a->keys, event->key);
    postgres_push_text(&a->requests, asked ? event->request_id : STR(""));
    postgres_push_text(&a->own_bodies, body);
    postgres_push_text(&a->own_cuts, postgres_cut(&args->arena, body));
    return body.ptr != NULL;
}

static void add_accept(struct postgres_args *args, const struct store_event *events, size_t count)
{
    struct accept_arrays a;
    struct {
        struct postgres_array *array;
        uint32_t type;
    } const all[] = {
        {&a.keys, POSTGRES_BYTEA},    {&a.requests, POSTGRES_TEXT},  {&a.own_bodies, POSTGRES_TEXT},
        {&a.own_cuts, POSTGRES_TEXT}, {&a.owner, POSTGRES_INT4},     {&a.policies, POSTGRES_TEXT},
        {&a.hashes, POSTGRES_TEXT},   {&a.resources, POSTGRES_TEXT}, {&a.regions, POSTGRES_TEXT},
        {&a.due, POSTGRES_INT8},      {&a.details, POSTGRES_TEXT},   {&a.bodies, POSTGRES_TEXT},
        {&a.cuts, POSTGRES_TEXT}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i].array = postgres_array(args, all[i].type);
    for (size_t i = 0; i < count; i++) {
        args->failed = !push_event(args, &a, &events[i]) || args->failed;
        for (size_t j = 0; j < events[i].match_count; j++)
            if (!push_match(args, &a, i + 1, &events[i], &events[i].matches[j]))
                args->failed = true;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        postgres_add_array(args, all[i].array);
}

enum store_result postgres_verb_accept(struct store *base, const struct store_event *events,
                                       size_t count, bool *ret_accepted, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows taken = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, STORE_KEY_KEPT_MS);
    add_accept(&args, events, count);
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_ACCEPT, &args, &taken, err))
        return STORE_ERROR;
    for (size_t i = 0; ret_accepted && i < count; i++)
        ret_accepted[i] = false;
    for (int i = 0; ret_accepted && i < taken.count; i++) {
        if (postgres_is_null(&taken, i, 0))
            continue;
        int64_t number = postgres_int(&taken, i, 0);
        ENSURE(number >= 1 && (uint64_t)number <= count);
        ret_accepted[number - 1] = true;
    }
    postgres_note_leaf(store);
    return STORE_OK;
}

enum store_result postgres_verb_create(struct store *base, enum remediation_kind kind,
                                       const struct store_match *match, struct str record,
                                       int64_t *ret_id, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows made = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, str_from(store_kind_name(kind)));
    postgres_add_text(&args, match->policy);
    postgres_add_text(&args, match->policy_hash);
    postgres_add_text(&args, match->resource);
    postgres_add_text(&args, match->region);
    postgres_add_int(&args, match->due_ms);
    postgres_add_text(&args, or_empty(match->detail));
    postgres_add_text(&args, or_empty(record));
    postgres_add_text(&args, postgres_cut(&args.arena, record));
    if (!postgres_may_write(store, err) ||
        !postgres_call(store, POSTGRES_CREATE, &args, &made, err))
        return STORE_ERROR;
    *ret_id = postgres_int(&made, 0, 1);
    postgres_note_leaf(store);
    return postgres_int(&made, 0, 0) ? STORE_OK : STORE_CONFLICT;
}

/* ---- claim ---- */

/* The number by which this process's leases are known. */
static bool take_instance(struct postgres_store *store, int64_t *ret, struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    pthread_mutex_lock(&store->mutex);
    *ret = store->instance;
    pthread_mutex_unlock(&store->mutex);
    if (*ret)
        return true;
    if (!postgres_call(store, POSTGRES_INSTANCE, NULL, &rows, err))
        return false;
    pthread_mutex_lock(&store->mutex);
    if (store->instance == 0) // two may have asked; the first number counts
        store->instance = postgres_int(&rows, 0, 0);
    *ret = store->instance;
    pthread_mutex_unlock(&store->mutex);
    return true;
}

enum store_result postgres_verb_claim(struct store *base, size_t count, int64_t lease_ms,
                                      int64_t grace_ms, struct store_claim *ret, size_t *ret_count,
                                      int64_t *ret_next_due_ms, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    int64_t me, host = postgres_host_ms(store);
    char after[STORE_WHOSE_SIZE];
    if (!postgres_may_write(store, err) || !take_instance(store, &me, err))
        return STORE_ERROR;
    pthread_mutex_lock(&store->mutex);
    memcpy(after, store->claimed_after, sizeof after);
    pthread_mutex_unlock(&store->mutex);
    postgres_add_int(&args, host);
    postgres_add_int(&args, me);
    postgres_add_int(&args, (int64_t)count);
    postgres_add_int(&args, lease_ms);
    postgres_add_int(&args, grace_ms);
    postgres_add_text(&args, str_from(after));
    if (!postgres_call(store, POSTGRES_CLAIM, &args, &rows, err))
        return STORE_ERROR;
    size_t taken = (size_t)rows.count - 1;
    ENSURE(rows.count >= 1 && taken <= count);
    for (size_t i = 0; i < taken; i++)
        ret[i] =
            (struct store_claim){postgres_int(&rows, (int)i, 0), postgres_int(&rows, (int)i, 1)};
    pthread_mutex_lock(&store->mutex);
    snprintf(store->claimed_after, sizeof store->claimed_after, "%.*s",
             STR_FMT(postgres_str(&rows, (int)taken, 2)));
    pthread_mutex_unlock(&store->mutex);
    *ret_count = taken;
    *ret_next_due_ms = postgres_is_null(&rows, (int)taken, 1)
                           ? INT64_MAX
                           : host + postgres_int(&rows, (int)taken, 1);
    return STORE_OK;
}

enum store_result postgres_verb_end_leases(struct store *base, const struct store_claim *held,
                                           size_t held_count, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    int64_t me;
    if (!postgres_may_write(store, err) || !take_instance(store, &me, err))
        return STORE_ERROR;
    struct postgres_array ids = postgres_array(&args, POSTGRES_INT8);
    for (size_t i = 0; i < held_count; i++)
        postgres_push_int8(&ids, held[i].id);
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, me);
    postgres_add_array(&args, &ids);
    return postgres_call(store, POSTGRES_END_LEASES, &args, &rows, err) ? STORE_OK : STORE_ERROR;
}

bool postgres_verb_owns(struct store *base, int64_t id, int64_t epoch)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    struct error ignored;
    pthread_mutex_lock(&store->mutex);
    int64_t me = store->instance;
    pthread_mutex_unlock(&store->mutex);
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, id);
    postgres_add_int(&args, epoch);
    postgres_add_int(&args, me);
    return postgres_call(store, POSTGRES_OWNS, &args, &rows, &ignored) && rows.count == 1;
}

/* ---- advance ---- */

/* As postgres_schema.sql reads them. */
enum {
    FLAG_SEQUENCE_UNCHANGED = 1,
    FLAG_LOCK = 2,
    FLAG_FREEZE = 4,
    FLAG_KEEP_LEASE = 8,
    FLAG_TERMINAL = 16,
    FLAG_LOCKED_STATE = 32,
    FLAG_FOUND = 64,
};

static int flags_of(const struct store_transition *t)
{
    unsigned state = state_flags(t->to);
    return (t->sequence_unchanged ? FLAG_SEQUENCE_UNCHANGED : 0) | (t->lock ? FLAG_LOCK : 0) |
           (t->freeze ? FLAG_FREEZE : 0) | (t->keep_lease ? FLAG_KEEP_LEASE : 0) |
           (state & STATE_TERMINAL ? FLAG_TERMINAL : 0) |
           (state & STATE_LOCKED ? FLAG_LOCKED_STATE : 0) | (t->found ? FLAG_FOUND : 0);
}

struct advance_arrays {
    struct postgres_array flags, into, steps, due, reasons, details, bodies, cuts, seen, approvals,
        asks, ask_expires, outcomes, throttled, requests;
};

static void push_transition(struct postgres_args *args, struct advance_arrays *a,
                            const struct store_transition *t)
{
    postgres_push_int4(&a->flags, flags_of(t));
    postgres_push_text(&a->into, str_from(state_name(t->to)));
    postgres_push_int4(&a->steps, t->step);
    postgres_push_int8(&a->due, t->due_ms);
    postgres_push_text(&a->reasons, leaf_reason(t->reason));
    postgres_push_text(&a->details, t->detail);
    postgres_push_text(&a->bodies, or_empty(t->record));
    postgres_push_text(&a->cuts, postgres_cut(&args->arena, t->record));
    postgres_push_int8(&a->seen, t->sequence_seen);
    postgres_push_text(&a->approvals, t->approval_hash);
    postgres_push_text(&a->asks, t->ask_hash);
    postgres_push_int8(&a->ask_expires, t->ask_expires_ms);
    postgres_push_int4(&a->outcomes, (int)t->outcome);
    postgres_push_int8(&a->throttled, t->throttled_ms);
    postgres_push_text(&a->requests, t->request_id);
}

static void add_transitions(struct postgres_args *args, const struct store_transition *list,
                            size_t count)
{
    struct advance_arrays a;
    struct {
        struct postgres_array *array;
        uint32_t type;
    } const all[] = {{&a.flags, POSTGRES_INT4},    {&a.into, POSTGRES_TEXT},
                     {&a.steps, POSTGRES_INT4},    {&a.due, POSTGRES_INT8},
                     {&a.reasons, POSTGRES_TEXT},  {&a.details, POSTGRES_TEXT},
                     {&a.bodies, POSTGRES_TEXT},   {&a.cuts, POSTGRES_TEXT},
                     {&a.seen, POSTGRES_INT8},     {&a.approvals, POSTGRES_TEXT},
                     {&a.asks, POSTGRES_TEXT},     {&a.ask_expires, POSTGRES_INT8},
                     {&a.outcomes, POSTGRES_INT4}, {&a.throttled, POSTGRES_INT8},
                     {&a.requests, POSTGRES_TEXT}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i].array = postgres_array(args, all[i].type);
    for (size_t i = 0; i < count; i++)
        push_transition(args, &a, &list[i]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        postgres_add_array(args, all[i].array);
    postgres_add_permits(args, list, count);
}

static void add_advance(struct postgres_store *store, struct postgres_args *args,
                        const struct store_transition *list, size_t count, bool wait)
{
    postgres_add_int(args, postgres_host_ms(store));
    postgres_add_bool(args, wait);
    postgres_add_int(args, list[0].id);
    postgres_add_int(args, list[0].version);
    postgres_add_int(args, list[0].epoch);
    add_transitions(args, list, count);
}

static enum store_result read_advance(const struct postgres_rows *rows, size_t count,
                                      size_t *ret_applied)
{
    int64_t result = postgres_int(rows, 0, 0), applied = postgres_int(rows, 0, 1);
    ENSURE(result >= STORE_OK && result < STORE_ERROR && applied >= 0 &&
           (uint64_t)applied <= count);
    *ret_applied = (size_t)applied;
    return (enum store_result)result;
}

static bool ask_more(struct postgres_store *store, struct postgres_link *link,
                     const struct store_transition *t, struct error *err)
{
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    postgres_add_int(&args, t->id);
    postgres_add_text(&args, t->ask_id);
    postgres_add_int(&args, t->ask_need > 1 ? t->ask_need : 1);
    postgres_add_text(&args, t->ask_via);
    return postgres_run(store, link, POSTGRES_ASK_MORE, &args, NULL, err);
}

/* What the transitions that were applied carry, in their transaction. */
static bool tell_applied(struct postgres_store *store, struct postgres_link *link,
                         const struct store_transition *list, size_t applied, struct error *err)
{
    for (size_t i = 0; i < applied; i++) {
        POSTGRES_ARGS_AUTO struct postgres_args args = {0};
        if (list[i].ask_hash.len && !ask_more(store, link, &list[i], err))
            return false;
        if (!list[i].notice_count)
            continue;
        postgres_add_int(&args, postgres_host_ms(store));
        postgres_add_int(&args, list[i].id);
        postgres_add_notices(&args, list[i].notices, list[i].notice_count);
        if (!postgres_run(store, link, POSTGRES_TELL, &args, NULL, err))
            return false;
    }
    return true;
}

/* Rare: transitions that ask or are told. */
static bool advance_telling(struct postgres_store *store, const struct postgres_args *args,
                            const struct store_transition *list, size_t count,
                            enum store_result *ret, size_t *ret_applied, struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    size_t applied = 0;
    struct postgres_link *link = postgres_borrow(store, err);
    bool ok = link && postgres_run(store, link, POSTGRES_BEGIN, NULL, NULL, err) &&
              postgres_run(store, link, POSTGRES_ADVANCE, args, &rows, err);
    if (ok)
        *ret = read_advance(&rows, count, &applied);
    ok = ok && tell_applied(store, link, list, applied, err) &&
         postgres_run(store, link, POSTGRES_COMMIT, NULL, NULL, err);
    if (link)
        postgres_give_back(store, link);
    *ret_applied = ok ? applied : 0;
    return ok;
}

static bool tells(const struct store_transition *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].notice_count || list[i].ask_hash.len)
            return true;
    return false;
}

/* Without waiting it is seen by all at once, and durable with the next commit that waits. */
enum store_result postgres_verb_advance(struct store *base, const struct store_transition *list,
                                        size_t count, bool wait, size_t *ret_applied,
                                        struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    enum store_result result = STORE_ERROR;
    *ret_applied = 0;
    add_advance(store, &args, list, count, wait);
    if (!postgres_may_write(store, err))
        return STORE_ERROR;
    if (tells(list, count)) {
        if (!advance_telling(store, &args, list, count, &result, ret_applied, err))
            return STORE_ERROR;
    } else {
        if (!postgres_call(store, POSTGRES_ADVANCE, &args, &rows, err))
            return STORE_ERROR;
        result = read_advance(&rows, count, ret_applied);
    }
    if (*ret_applied)
        postgres_note_leaf(store);
    return result;
}

/* ---- records ---- */

enum store_result postgres_verb_record(struct store *base, struct str kind, struct str body,
                                       struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_text(&args, kind);
    postgres_add_text(&args, or_empty(body));
    postgres_add_text(&args, postgres_cut(&args.arena, body));
    if (!postgres_may_write(store, err) || !postgres_call(store, POSTGRES_RECORD, &args, NULL, err))
        return STORE_ERROR;
    postgres_note_leaf(store);
    return STORE_OK;
}

enum store_result postgres_verb_flush(struct store *base, struct error *err)
{
    struct postgres_store *store = (struct postgres_store *)base;
    return store->to_look || postgres_sequence(store, true, true, err) ? STORE_OK : STORE_ERROR;
}
