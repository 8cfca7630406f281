// SPDX-License-Identifier: Apache-2.0
/* The verbs: argument checks, then the backend. Nothing here holds state. */
#include "store/store.h"

#include "base/ensure.h"
#include "store/store_internal.h"

#define LIST_MAX 1000u

/* Texts go into the database by int lengths; JSON parts are objects or empty. */
static bool check_text(struct str text, const char *what, struct error *err)
{
    if (text.len > INT32_MAX / 4)
        return error_set(err, "S0006", "%s is too long to be stored: %zu bytes", what, text.len);
    return true;
}

static bool check_object(struct str text, const char *what, struct error *err)
{
    if (text.len && (text.len < 2 || text.ptr[0] != '{' || text.ptr[text.len - 1] != '}'))
        return error_set(err, "S0006", "%s is not a JSON object", what);
    return check_text(text, what, err);
}

static bool check_match(const struct store_match *match, struct error *err)
{
    if (match->policy.len == 0 || match->resource.len == 0)
        return error_set(err, "S0006", "a match without %s",
                         match->policy.len ? "a resource" : "a policy");
    return check_text(match->policy, "a policy's name", err) &&
           check_text(match->resource, "a resource's key", err) &&
           check_object(match->detail, "a match's detail", err);
}

static struct store *open_backend(const char *where, const struct clock *clock, bool to_look,
                                  struct error *err)
{
    if (store_is_server(where))
        return postgres_open(where, clock, to_look, err);
    return sqlite_open(where, clock, to_look, err);
}

bool store_is_server(const char *where)
{
    struct str s = str_from(where);
    return str_starts(s, STR("postgres://")) || str_starts(s, STR("postgresql://"));
}

struct store *store_open(const char *where, const struct clock *clock, struct error *err)
{
    return open_backend(where, clock, false, err);
}

struct store *store_open_to_look(const char *where, const struct clock *clock, struct error *err)
{
    return open_backend(where, clock, true, err);
}

void store_close(struct store *store)
{
    if (store)
        store->backend->close(store);
}

enum store_result store_accept(struct store *store, const struct store_event *events, size_t count,
                               bool *ret_accepted, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!check_text(events[i].key, "an event's key", err) ||
            !check_text(events[i].request_id, "a request id", err))
            return STORE_ERROR;
        for (size_t j = 0; j < events[i].match_count; j++)
            if (!check_match(&events[i].matches[j], err))
                return STORE_ERROR;
    }
    return store->backend->accept(store, events, count, ret_accepted, err);
}

enum store_result store_create(struct store *store, enum remediation_kind kind,
                               const struct store_match *match, struct str record, int64_t *ret_id,
                               struct error *err)
{
    if (!check_match(match, err) || !check_object(record, "a record", err))
        return STORE_ERROR;
    return store->backend->create(store, kind, match, record, ret_id, err);
}

enum store_result store_claim(struct store *store, size_t count, int64_t lease_ms, int64_t grace_ms,
                              struct store_claim *ret, size_t *ret_count, int64_t *ret_next_due_ms,
                              struct error *err)
{
    ENSURE(lease_ms > 0 && grace_ms >= 0);
    return store->backend->claim(store, count, lease_ms, grace_ms, ret, ret_count, ret_next_due_ms,
                                 err);
}

enum store_result store_end_leases(struct store *store, const struct store_claim *held,
                                   size_t held_count, struct error *err)
{
    return store->backend->end_leases(store, held, held_count, err);
}

enum store_result store_get(struct store *store, int64_t id, struct arena *arena,
                            struct remediation *ret, struct error *err)
{
    return store->backend->get(store, id, arena, ret, err);
}

bool store_owns(struct store *store, int64_t id, int64_t epoch)
{
    return store->backend->owns(store, id, epoch);
}

static bool check_notices(const struct store_notice *notices, size_t count, struct error *err)
{
    ENSURE(count <= STORE_NOTICES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct store_notice *n = &notices[i];
        if (n->channel.len == 0)
            return error_set(err, "S0006", "a notice without a channel");
        if (!check_text(n->channel, "a channel's name", err) ||
            !check_text(n->kind, "a notice's kind", err) ||
            !check_text(n->thread, "a notice's thread", err) ||
            !check_object(n->body, "a notice", err))
            return false;
    }
    return true;
}

static bool check_transition(const struct store_transition *t, struct error *err)
{
    ENSURE((unsigned)t->to < STATE_COUNT);
    ENSURE(!t->freeze || state_is_terminal(t->to));
    ENSURE(t->permit_count <= PERMITS_MAX && (t->to == STATE_INTENT || t->permit_count == 0));
    return check_object(t->detail, "a detail", err) && check_object(t->record, "a record", err) &&
           check_text(t->reason, "a reason", err) &&
           check_text(t->request_id, "a request id", err) &&
           check_notices(t->notices, t->notice_count, err);
}

enum store_result store_advance(struct store *store, const struct store_transition *transition,
                                bool wait, struct error *err)
{
    size_t applied;
    return store_advance_all(store, transition, 1, wait, &applied, err);
}

enum store_result store_advance_all(struct store *store, const struct store_transition *list,
                                    size_t count, bool wait, size_t *ret_applied, struct error *err)
{
    ENSURE(count >= 1 && count <= STORE_ADVANCE_MAX);
    for (size_t i = 0; i < count; i++) {
        ENSURE(list[i].id == list[0].id && list[i].version == list[0].version + (int64_t)i);
        ENSURE(i + 1 == count || !state_is_terminal(list[i].to));
        ENSURE(wait || (list[i].permit_count == 0 && list[i].cohort.hash.len == 0));
        if (!check_transition(&list[i], err))
            return STORE_ERROR;
        wait = wait || list[i].notice_count;
    }
    return store->backend->advance(store, list, count, wait, ret_applied, err);
}

enum store_result store_flush(struct store *store, struct error *err)
{
    return store->backend->flush(store, err);
}

enum store_result store_record(struct store *store, struct str kind, struct str body,
                               struct error *err)
{
    if (!check_object(body, "a record", err) || !check_text(kind, "a record's kind", err))
        return STORE_ERROR;
    return store->backend->record(store, kind, body, err);
}

enum store_result store_vote(struct store *store, const struct store_ballot *ballot,
                             bool *ret_decided, struct error *err)
{
    bool ignored;
    if (ballot->person.len == 0) {
        error_set(err, "S0006", "a vote of nobody");
        return STORE_ERROR;
    }
    if (!check_text(ballot->person, "a name", err) ||
        !check_text(ballot->identity, "an identity", err) ||
        !check_text(ballot->reason, "a reason", err))
        return STORE_ERROR;
    return store->backend->vote(store, ballot, ret_decided ? ret_decided : &ignored, err);
}

enum store_result store_void_approval(struct store *store, int64_t id, struct str ask,
                                      struct str why, struct error *err)
{
    if (!check_text(why, "a reason", err))
        return STORE_ERROR;
    return store->backend->void_approval(store, id, ask, why, err);
}

enum store_result store_see_policies(struct store *store, const struct store_policy_seen *policies,
                                     size_t count, size_t *ret_void, struct error *err)
{
    size_t ignored;
    return store->backend->see_policies(store, policies, count, ret_void ? ret_void : &ignored,
                                        err);
}

enum store_result store_approval(struct store *store, int64_t id, struct arena *arena,
                                 struct store_approval *ret, struct error *err)
{
    return store->backend->approval(store, id, arena, ret, err);
}

enum store_result store_guards(struct store *store, const struct store_guard_query *query,
                               struct arena *arena, struct store_guards *ret, struct error *err)
{
    ENSURE(query->permit_count <= PERMITS_MAX);
    return store->backend->guards(store, query, arena, ret, err);
}

enum store_result store_breaker_set(struct store *store, struct str key, int64_t open_ms,
                                    struct str reason, struct error *err)
{
    ENSURE(open_ms >= 0);
    if (!check_text(key, "a breaker's key", err) || !check_text(reason, "a reason", err))
        return STORE_ERROR;
    return store->backend->breaker_set(store, key, open_ms, reason, err);
}

enum store_result store_counted(struct store *store, struct str policy, struct str place,
                                int64_t count, struct error *err)
{
    ENSURE(count >= 0);
    if (!check_text(policy, "a policy's name", err) || !check_text(place, "a place", err))
        return STORE_ERROR;
    return store->backend->counted(store, policy, place, count, err);
}

enum store_result store_rollout_set(struct store *store, const struct store_rollout_change *change,
                                    struct error *err)
{
    if (!check_text(change->policy, "a policy's name", err) ||
        !check_text(change->by, "a name", err) || !check_text(change->reason, "a reason", err))
        return STORE_ERROR;
    return store->backend->rollout_set(store, change, err);
}

enum store_result store_policies(struct store *store, struct arena *arena,
                                 struct store_policy **ret, size_t *ret_count, struct error *err)
{
    return store->backend->policies(store, arena, ret, ret_count, err);
}

enum store_result store_plan_tasks(struct store *store, const struct store_task_plan *list,
                                   size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!check_text(list[i].name, "a task's name", err))
            return STORE_ERROR;
    return store->backend->plan_tasks(store, list, count, err);
}

enum store_result store_take_task(struct store *store, struct str name, int64_t lease_ms,
                                  struct arena *arena, struct store_task *ret,
                                  int64_t *ret_next_due_ms, struct error *err)
{
    ENSURE(lease_ms > 0);
    return store->backend->take_task(store, name, lease_ms, arena, ret, ret_next_due_ms, err);
}

enum store_result store_end_task(struct store *store, const struct store_task *task,
                                 const struct store_task_end *end, struct error *err)
{
    if (!check_text(end->note, "a task's note", err))
        return STORE_ERROR;
    return store->backend->end_task(store, task, end, err);
}

enum store_result store_get_task(struct store *store, struct str name, struct arena *arena,
                                 struct store_task *ret, struct error *err)
{
    return store->backend->get_task(store, name, arena, ret, err);
}

enum store_result store_set_note(struct store *store, const struct store_note *note,
                                 struct str kind, struct str record, struct error *err)
{
    ENSURE(note->key.len > 0);
    if (note->key.len > STORE_NOTE_KEY_BYTES || !str_is_utf8(note->key)) {
        error_set(err, "S0006", "a note's key is too long or no text: %zu bytes", note->key.len);
        return STORE_ERROR;
    }
    if (!check_object(note->body, "a note", err) || !check_object(record, "a record", err))
        return STORE_ERROR;
    return store->backend->set_note(store, note, kind, record, err);
}

enum store_result store_get_notes(struct store *store, struct store_note *notes, size_t count,
                                  struct arena *arena, struct error *err)
{
    return store->backend->get_notes(store, notes, count, arena, err);
}

enum store_result store_list_notes(struct store *store, struct str prefix, struct arena *arena,
                                   struct store_note **ret, size_t *ret_count, struct error *err)
{
    return store->backend->list_notes(store, prefix, arena, ret, ret_count, err);
}

enum store_result store_list(struct store *store, const struct store_filter *filter,
                             struct arena *arena, struct remediation **ret, size_t *ret_count,
                             struct error *err)
{
    struct store_filter bounded = *filter;
    if (bounded.limit > LIST_MAX)
        bounded.limit = LIST_MAX;
    return store->backend->list(store, &bounded, arena, ret, ret_count, err);
}

enum store_result store_counts(struct store *store, int64_t ret[STATE_COUNT], struct error *err)
{
    return store->backend->counts(store, ret, err);
}

enum store_result store_leaves(struct store *store, int64_t remediation, int64_t from, size_t limit,
                               struct arena *arena, struct store_leaf **ret, size_t *ret_count,
                               struct error *err)
{
    return store->backend->leaves(store, remediation, from, limit, arena, ret, ret_count, err);
}

enum store_result store_checkpoint(struct store *store, struct store_checkpoint *ret,
                                   struct error *err)
{
    return store->backend->checkpoint(store, ret, err);
}

enum store_result store_tell(struct store *store, int64_t remediation,
                             const struct store_notice *notices, size_t count, struct error *err)
{
    if (!check_notices(notices, count, err))
        return STORE_ERROR;
    return store->backend->tell(store, remediation, notices, count, err);
}

enum store_result store_take_notices(struct store *store, int64_t lease_ms, struct arena *arena,
                                     struct store_sending *ret, struct error *err)
{
    ENSURE(lease_ms > 0);
    return store->backend->take_notices(store, lease_ms, arena, ret, err);
}

enum store_result store_give_notices(struct store *store, const struct store_sending *sending,
                                     int64_t free_ms, const struct store_sent *sent, size_t count,
                                     struct error *err)
{
    ENSURE(count <= STORE_SENDING_MAX);
    for (size_t i = 0; i < count; i++)
        if (!check_text(sent[i].reference, "a reference", err) ||
            !check_text(sent[i].error, "an error", err))
            return STORE_ERROR;
    return store->backend->give_notices(store, sending, free_ms, sent, count, err);
}

enum store_result store_notices(struct store *store, const struct store_notice_filter *filter,
                                struct arena *arena, struct store_notice_row **ret,
                                size_t *ret_count, struct error *err)
{
    struct store_notice_filter bounded = *filter;
    if (bounded.limit > LIST_MAX)
        bounded.limit = LIST_MAX;
    if (!bounded.before_id)
        bounded.before_id = INT64_MAX;
    return store->backend->notices(store, &bounded, arena, ret, ret_count, err);
}
