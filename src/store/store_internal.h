// SPDX-License-Identifier: Apache-2.0
/* What the backends share: the table of verbs, and the text of an audit leaf.
 *
 * store.c checks arguments that no backend could store, then calls through the table. */
#ifndef RECTIFY_STORE_STORE_INTERNAL_H
#define RECTIFY_STORE_STORE_INTERNAL_H

#include "store/store.h"

#define STORE_REASON_BYTES_MAX 4096u // of a reason, in a leaf; longer ones are cut
#define STORE_KEY_KEPT_MS 1209600000 // 14 days: how long an event's key is remembered
#define STORE_HOUR_MS 3600000        // window of per_hour, longest a breaker stays open
#define STORE_DAY_MS 86400000        // window of `reversals`
#define STORE_RESULTS_MAX 1000       // results of one key that a breaker looks at
#define STORE_SECRET_SIZE 32         // bytes by which a rollout places resources
/* Where more is due than is wanted, accounts get shares: the first 16 characters of a resource, up
 * to here of them looked at for one claim. */
#define STORE_WHOSE_SIZE 65 // of that, in UTF-8
#define STORE_WHOSE_VISITS 256

/* One function a verb, as in store.h. */
struct store_backend {
    void (*close)(struct store *);
    enum store_result (*accept)(struct store *, const struct store_event *, size_t, bool *,
                                struct error *);
    enum store_result (*create)(struct store *, enum remediation_kind, const struct store_match *,
                                struct str, int64_t *, struct error *);
    enum store_result (*claim)(struct store *, size_t, int64_t, int64_t, struct store_claim *,
                               size_t *, int64_t *, struct error *);
    enum store_result (*end_leases)(struct store *, const struct store_claim *, size_t,
                                    struct error *);
    enum store_result (*get)(struct store *, int64_t, struct arena *, struct remediation *,
                             struct error *);
    bool (*owns)(struct store *, int64_t, int64_t);
    enum store_result (*advance)(struct store *, const struct store_transition *, size_t, bool,
                                 size_t *, struct error *);
    enum store_result (*flush)(struct store *, struct error *);
    enum store_result (*record)(struct store *, struct str, struct str, struct error *);
    enum store_result (*vote)(struct store *, const struct store_ballot *, bool *, struct error *);
    enum store_result (*void_approval)(struct store *, int64_t, struct str, struct str,
                                       struct error *);
    enum store_result (*see_policies)(struct store *, const struct store_policy_seen *, size_t,
                                      size_t *, struct error *);
    enum store_result (*approval)(struct store *, int64_t, struct arena *, struct store_approval *,
                                  struct error *);
    enum store_result (*guards)(struct store *, const struct store_guard_query *, struct arena *,
                                struct store_guards *, struct error *);
    enum store_result (*breaker_set)(struct store *, struct str, int64_t, struct str,
                                     struct error *);
    enum store_result (*counted)(struct store *, struct str, struct str, int64_t, struct error *);
    enum store_result (*rollout_set)(struct store *, const struct store_rollout_change *,
                                     struct error *);
    enum store_result (*policies)(struct store *, struct arena *, struct store_policy **, size_t *,
                                  struct error *);
    enum store_result (*plan_tasks)(struct store *, const struct store_task_plan *, size_t,
                                    struct error *);
    enum store_result (*take_task)(struct store *, struct str, int64_t, struct arena *,
                                   struct store_task *, int64_t *, struct error *);
    enum store_result (*end_task)(struct store *, const struct store_task *,
                                  const struct store_task_end *, struct error *);
    enum store_result (*get_task)(struct store *, struct str, struct arena *, struct store_task *,
                                  struct error *);
    enum store_result (*set_note)(struct store *, const struct store_note *, struct str, struct str,
                                  struct error *);
    enum store_result (*get_notes)(struct store *, struct store_note *, size_t, struct arena *,
                                   struct error *);
    enum store_result (*list_notes)(struct store *, struct str, struct arena *,
                                    struct store_note **, size_t *, struct error *);
    enum store_result (*list)(struct store *, const struct store_filter *, struct arena *,
                              struct remediation **, size_t *, struct error *);
    enum store_result (*counts)(struct store *, int64_t *, struct error *);
    enum store_result (*leaves)(struct store *, int64_t, int64_t, size_t, struct arena *,
                                struct store_leaf **, size_t *, struct error *);
    enum store_result (*checkpoint)(struct store *, struct store_checkpoint *, struct error *);
    enum store_result (*tell)(struct store *, int64_t, const struct store_notice *, size_t,
                              struct error *);
    enum store_result (*take_notices)(struct store *, int64_t, struct arena *,
                                      struct store_sending *, struct error *);
    enum store_result (*give_notices)(struct store *, const struct store_sending *, int64_t,
                                      const struct store_sent *, size_t, struct error *);
    enum store_result (*notices)(struct store *, const struct store_notice_filter *, struct arena *,
                                 struct store_notice_row **, size_t *, struct error *);
};

struct store {
    const struct store_backend *backend;
};

/* Opens the SQLite file (sqlite_open.c). */
struct store *sqlite_open(const char *path, const struct clock *clock, bool to_look,
                          struct error *err) __attribute__((warn_unused_result));

/* Connects to a server and makes rectify's tables where there are none (postgres_open.c). */
struct store *postgres_open(const char *url, const struct clock *clock, bool to_look,
                            struct error *err) __attribute__((warn_unused_result));

/* What a leaf says. `id` 0 leaves out everything about a remediation. `body` is a JSON object,
 * embedded byte for byte (its writer wrote it canonically); empty = {}. */
struct leaf_parts {
    int64_t at_ms, id;
    struct str kind, policy, resource, reason;
    enum state state;
    int step;
    int64_t version;
    struct str body;
};
/* Canonical JSON, at most LIMIT_RECORD_BYTES: a larger body becomes {"cut":true,"sha256":"<hex>"}.
 * ptr is NULL when memory ran out. */
struct str leaf_text(struct arena *arena, const struct leaf_parts *parts);
/* The {"cut":...} that stands in for a body; a reason as a leaf has it. */
struct str leaf_cut(struct arena *arena, struct str body);
struct str leaf_reason(struct str reason);
/* Bodies of the leaves that the store writes by itself; canonical as far as what is given is. */
struct str leaf_accept_body(struct arena *arena, const struct store_event *event,
                            const struct store_match *match);
struct str leaf_vote_body(struct arena *arena, const struct store_ballot *ballot);
struct str leaf_void_body(struct arena *arena, struct str ask);
/* The JSON list of an approval's column, copied; an empty text is an empty list. */
bool store_read_list(struct arena *arena, struct str json, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The votes with one more: a JSON list. *ret_again: the person is among them already. */
bool store_add_vote(struct arena *arena, struct value votes, const struct store_ballot *ballot,
                    int64_t now_ms, struct str *ret, bool *ret_again, struct error *err)
    __attribute__((warn_unused_result));
struct str leaf_notice_body(struct arena *arena, struct str channel, const struct store_sent *sent);
struct str leaf_breaker_body(struct arena *arena, struct str key, struct str reason,
                             int64_t open_for_ms);
struct str leaf_policy_body(struct arena *arena, struct str policy, struct str what,
                            const struct rollout *rollout);
/* {"parent": id, "staged": true}: the detail, and the record, of a rollback that a stage's failure
 * makes. */
struct str leaf_stage_undo(struct arena *arena, int64_t parent);

const char *store_kind_name(enum remediation_kind kind); // "repair", "rollback"
/* The remediation's detail: `json` parsed, its event replaced by that of `newer` (a match's detail,
 * empty = none). The texts are copied. */
bool store_detail(struct arena *arena, struct str json, struct str newer, struct value *ret,
                  struct error *err) __attribute__((warn_unused_result));
/* Does a remediation pass the filter's text parts? */
bool store_filter_matches(const struct store_filter *filter, struct str policy, struct str resource,
                          enum state state);
/* The account in a resource's key; empty when it is none. */
struct str store_account_of(struct str resource);
/* Where a rollout puts the resource: 0..ROLLOUT_SHARE_ALL-1, by HMAC-SHA-256 of its key. */
int store_place(const unsigned char secret[STORE_SECRET_SIZE], struct str resource);

#endif
