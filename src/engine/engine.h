// SPDX-License-Identifier: Apache-2.0
/* The only folder that joins the stages: one function a state, one table.
 *
 * engine_step() is a plain function: it takes one claimed remediation and walks it on until it has
 * to wait or has ended. Workers call it from threads, a simulator with its own clock, store and
 * cloud.
 *
 * received ─► reading ─► deciding ─► intent ─► calling ─► verifying ─► healed
 *               │ ▲          │                    │           │
 *               ▼ │          ▼                    ▼           ▼
 *             unread,     held, asking,        unknown     undoing ─► rolled back
 *             settling    observed, skipped
 *
 * Each arrow is a transition: state, due time and audit record in one transaction, in which those
 * that nothing has to wait between go together (store_advance_all()). */
#ifndef RECTIFY_ENGINE_ENGINE_H
#define RECTIFY_ENGINE_ENGINE_H

#include "approve/approve.h"
#include "base/seal.h"
#include "detect/detect.h"
#include "notify/notify.h"
#include "policy/policy.h"
#include "store/store.h"

struct engine_rules;
struct engine {
    struct store *store;
    struct engine_rules *rules;
    struct aws_models *models;
    struct aws_caller caller;
    const struct clock *clock;
    const char *kill_switch;      // path or NULL
    const struct notify *notify;  // for what is told at once, or NULL
    struct net *net;              // for a rollout's watches; NULL = they cannot be read
    const struct seal_keys *seal; // what is kept of a resource is sealed with it; NULL: in clear
    int64_t deadline_ms; // steady clock: no call of ours is waited for longer; 0 = none. Only where
                         // one thread works (engine_work(), engine_work_tasks())
    bool leases_in_doubt; // engine_work() failed
    struct str region;    // where what rectify.yaml names no region for is looked for; may be empty
};

/* ---- rules: the policies in use, replaced as a whole while others work ---- */

/* One set; does not change while it is held. */
struct engine_set {
    struct policy_set *policies;
    struct detector *detector;
    uint64_t number; // counts up with each replacement
};
/* Takes the policies, even when it fails. */
struct engine_rules *engine_rules_create(struct policy_set *policies, struct error *err)
    __attribute__((warn_unused_result));
void engine_rules_destroy(struct engine_rules *rules); // held sets live on
/* The current set, until released. Any thread. NULL of NULL: some only look. */
struct engine_set *engine_rules_hold(struct engine_rules *rules);
/* NULL when there is none, or no set. */
const struct policy *engine_set_find(const struct engine_set *set, struct str name);
void engine_rules_release(struct engine_set *set); // NULL is allowed
/* From now on whoever begins works by these; takes the policies. False: nothing has changed. */
bool engine_rules_replace(struct engine_rules *rules, struct policy_set *policies,
                          struct error *err) __attribute__((warn_unused_result));

#define ENGINE_LEASE_MS 120000 // longer than any one call may take
#define ENGINE_GRACE_MS 900000 // how long a signature of ours may still be good (S3: 15 min)
#define ENGINE_CALL_DEADLINE_MS 30000
#define ENGINE_READ_DEADLINE_MS 60000 // of all reads of a resource together: well within a lease

/* Steady clock: `within_ms` from now, but not behind engine->deadline_ms. */
int64_t engine_deadline(const struct engine *engine, int64_t within_ms);
/* Is so much of the time until engine->deadline_ms left? Nothing is begun within the last second of
 * it: engine_is_late(). */
bool engine_has_time(const struct engine *engine, int64_t ms);
bool engine_is_late(const struct engine *engine);

/* `scratch` is the walk's memory, reset at its start; a worker keeps one. False: the store failed
 * (err); the remediation stays as it is and becomes due again when its lease is over. Losing the
 * lease, or a conflict, is not a failure. */
bool engine_step(struct engine *engine, const struct store_claim *claim, struct arena *scratch,
                 struct error *err) __attribute__((warn_unused_result));

/* How many calls of its plan a repair has made, or may have made. */
size_t engine_steps_done(const struct remediation *r);

/* The repair `id`, if there is something of it to take back. E0005 there is no such remediation,
 * S0101 there is nothing to take back, S0102 its first plan is only in the record. */
bool engine_find_repair(struct engine *engine, int64_t id, struct arena *arena,
                        struct remediation *ret, struct error *err)
    __attribute__((warn_unused_result));
/* A rollback of remediation `id`, asked for by `by`: a new remediation through all guards. S0102
 * when its first plan was replaced after it had changed something, S0101
 * when there is nothing to roll back. */
bool engine_rollback(struct engine *engine, int64_t id, struct str by, int64_t *ret_id,
                     struct error *err) __attribute__((warn_unused_result));

/* Nothing is changed in the account (empty: anywhere) from the next call on, until it is unfrozen.
 * Stored and recorded. */
bool engine_freeze(struct engine *engine, struct str account, bool on, struct str by,
                   struct str reason, struct error *err) __attribute__((warn_unused_result));
/* A person has looked at what `id` is about: its policy and resource rest no longer, and a lock
 * that a failed undo left goes. What is due then is found by the next event or scan. E0005: no such
 * one.
 */
struct engine_cleared {
    bool rested, was_frozen;
};
bool engine_clear(struct engine *engine, int64_t id, struct str by, struct str reason,
                  struct engine_cleared *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- events in ---- */

/* From bytes to durable remediations, the same for every source. Any thread. */
struct engine_intake;
struct engine_intake *engine_intake_create(struct engine *engine, struct error *err)
    __attribute__((warn_unused_result));
void engine_intake_destroy(struct engine_intake *intake);

struct engine_origin { // who brings events; borrowed for the call, NULL = a person, for any account
    struct str name;   // of the source
    struct detect_scope scope;
};
struct engine_taken {
    size_t events, matches;
    size_t duplicates; // of the events: redelivered
    size_t bad;        // of the events: none, or none that may be taken; recorded as quarantined
    struct error why;  // of the first bad one
    size_t left;       // messages that stay in their queue, for another try
};
void engine_taken_add(struct engine_taken *sum, const struct engine_taken *part);
/* Takes all events of a descriptor (any form detect_reader knows). True: all is durable. False: the
 * store failed, or memory ran out; what `ret` counts may be durable in part, and giving the same
 * events again is safe. */
bool engine_take_events(struct engine_intake *intake, const struct engine_origin *origin, int fd,
                        struct engine_taken *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The same from memory, at most LIMIT_UNPACKED_BYTES once unpacked (E0008). */
bool engine_take_text(struct engine_intake *intake, const struct engine_origin *origin,
                      struct str text, struct engine_taken *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Several texts, none of them packed, in as few transactions as possible. */
bool engine_take_texts(struct engine_intake *intake, const struct engine_origin *origin,
                       const struct str *texts, size_t count, struct engine_taken *ret,
                       struct error *err) __attribute__((warn_unused_result));
/* Something else that came and can never be used: kept in the log with the reason. False: the store
 * failed. */
bool engine_set_aside(struct engine *engine, const struct engine_origin *origin, struct str text,
                      const struct error *why, struct error *err)
    __attribute__((warn_unused_result));

/* ---- what exists ---- */

struct engine_place { // one list: a policy in an account's region; global ones in its first
    const struct policy *policy;
    struct str account, region;
};
struct engine_scan_options {
    struct str policy;         // glob; empty = all that have a scan
    struct str account;        // only this one; empty = all that are known, or our own
    const struct str *regions; // instead of those of rectify.yaml
    size_t region_count;       // 0 = those, or engine->region
    /* After each list, by one thread at a time; NULL = nobody wants to know. */
    void (*progress)(void *ctx, size_t done, size_t all, size_t resources);
    void *progress_ctx;
};
/* Where the set's policies look for what exists. Borrows from the set and `arena`. */
bool engine_places(struct engine *engine, const struct policy_set *policies,
                   const struct engine_scan_options *options, struct arena *arena,
                   struct engine_place **ret, size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));
/* Reads one list, and nothing else: ids, of resources like *ret_resource, which has none. */
struct decide_finding;
void engine_list_place(struct engine *engine, const struct policy_set *policies,
                       const struct engine_place *place, struct arena *arena,
                       struct resource *ret_resource, struct decide_finding *ret,
                       struct value *ret_ids);

struct engine_scanned {
    size_t policies, accounts;
    size_t lists;     // places
    size_t resources; // rows made, or joined
    size_t unread;    // lists that could not be read in full: they started nothing
    size_t unusable;  // ids that name no resource
    struct error why; // of the first unread one
};
/* Lists one place and makes a remediation of each resource, due at once. False: the store failed,
 * or memory ran out; what `ret` counts may be durable in part, and scanning again is safe. */
bool engine_scan_place(struct engine *engine, const struct policy_set *policies,
                       const struct engine_place *place, struct engine_scanned *ret,
                       struct error *err) __attribute__((warn_unused_result));
/* All places, some at a time. Blocks for the lists only. */
bool engine_scan(struct engine *engine, const struct engine_scan_options *options,
                 struct engine_scanned *ret, struct error *err) __attribute__((warn_unused_result));

/* ---- rollouts ---- */

/* Leads each running rollout on, or pauses its policy (rollout.c). `last_ms`: wall clock of the
 * call before, 0 = none; *ret_next_ms: when the next has something to do, INT64_MAX = nothing. The
 * watches that policies name are asked, for 10 s each at most. */
bool engine_tend(struct engine *engine, int64_t last_ms, int64_t *ret_next_ms, struct error *err)
    __attribute__((warn_unused_result));

/* ---- work without threads ---- */

struct engine_worked {
    size_t steps;        // remediations that were walked on
    int64_t next_due_ms; // wall clock: when the next one is due, INT64_MAX = none
};
/* Walks on what is due, and what becomes due within two seconds, one after the other on this
 * thread, until nothing is or engine->deadline_ms is near; that is set and stays the caller's. What
 * was written is durable when it returns true, and no row is held: the process may be frozen or
 * ended. False: the store failed. */
bool engine_work(struct engine *engine, struct engine_worked *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- what would be done ---- */

struct engine_question {            // one policy, one resource
    struct str policy, policy_hash; // hash empty = whatever is loaded
    struct str resource, region;    // as in struct remediation
    int64_t takes_back;             // > 0: the inverse of what this repair did, and the rest is its
};
/* What would be done about it now: reads with the read role, and writes nothing anywhere. {policy,
 * policy_hash, resource, region, severity, mode, verdict, message; of a violation also action,
 * reasons, people, score, risk, fingerprint, plan_hash, calls, changes, iam}. The resource may come
 * back under its canonical name. E0014 there is no such policy or resource, E0015 another policy
 * hash; what a plan cannot be made for. What a rollback would do is shown whatever the verdict is,
 * if the state was read: no calls = nothing of ours is left; E0005, S0101, S0102 as
 * engine_rollback(). */
bool engine_preview(struct engine *engine, const struct engine_question *question,
                    struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Makes a remediation that does what a preview (`planned`) said, or ends as skipped: whatever has
 * changed until it acts is named. *ret_id 0: the policy is obeyed already. E0015 something has
 * changed, or the plan has expired; E0016 another remediation (*ret_id) is at work there. */
bool engine_apply(struct engine *engine, struct value planned, int64_t expires_ms, struct str by,
                  int64_t *ret_id, struct error *err) __attribute__((warn_unused_result));

/* ---- accounts ---- */

/* Whose our own credentials are, by STS. E0018. */
bool engine_own_account(struct engine *engine, struct arena *arena, struct str *ret,
                        struct error *err) __attribute__((warn_unused_result));
/* The list of accounts that was discovered last, by any process, goes into the set. *ret_ran_ms:
 * which list that is; the same list is not taken again. */
bool engine_recall_accounts(struct engine *engine, struct policy_set *policies, int64_t *ret_ran_ms,
                            struct error *err) __attribute__((warn_unused_result));
/* Lists the organisation's accounts for this set only; the store is not asked. */
bool engine_discover(struct engine *engine, struct policy_set *policies, struct error *err)
    __attribute__((warn_unused_result));
/* Lists the organisation's accounts anew, if rectify.yaml names one. False (E0017): the last good
 * list stays in use. */
bool engine_discover_now(struct engine *engine, struct policy_set *policies, struct error *err)
    __attribute__((warn_unused_result));
bool engine_discover_task(struct engine *engine, struct policy_set *policies,
                          const struct store_task *task, struct error *err)
    __attribute__((warn_unused_result));

/* ---- what is done at intervals ---- */

#define ENGINE_SCAN "scan/" // names of tasks: scan/POLICY/ACCOUNT/REGION
#define ENGINE_ORGANIZATION "organization"
#define ENGINE_AGAIN_MS 300000 // after a failure
/* When a scan of that name is due after `now`: spread by the name's hash; `ran` false = it never
 * ran, and begins within an hour. */
int64_t engine_scan_due(struct str name, int64_t every_ms, int64_t now, bool ran);
/* When one that failed is due again: soon, but at once if only engine->deadline_ms cut it off. */
int64_t engine_due_again(const struct engine *engine, int64_t every_ms);
/* Makes sure that everything that the rules want at intervals is a task of the store. After a start
 * and a replacement of the rules; doing it again changes nothing. */
bool engine_plan_tasks(struct engine *engine, struct error *err)
    __attribute__((warn_unused_result));
/* Does the one task that is due, if any: the scan of a place, or the organisation's list.
 * *ret_next_due_ms: 0 = one was done, else when the next is due (INT64_MAX = there is none). False:
 * the store failed. What a scan finds is due at once. */
bool engine_run_task(struct engine *engine, int64_t *ret_next_due_ms, struct error *err)
    __attribute__((warn_unused_result));

/* What keeping house remembers between two times. Zeroed: all is to be done. */
struct engine_house {
    uint64_t planned_number; // of the set that was planned last
    int64_t planned_ms, recalled_ms, ran_ms;
};
/* The accounts that others discovered, and the rows that the rules want, where it is time for
 * either; by one thread at a time. What fails is said and comes again. */
void engine_keep_house(struct engine *engine, struct engine_house *house);

struct engine_workers;
/* Threads that plan and do them; `workers` are woken for what is found. */
struct engine_schedule;
struct engine_schedule *engine_schedule_start(struct engine *engine, struct engine_workers *workers,
                                              struct error *err)
    __attribute__((warn_unused_result));
void engine_schedule_wake(struct engine_schedule *schedule); // the rules were replaced
void engine_schedule_stop(struct engine_schedule *schedule); // NULL is allowed

/* Plans, and does what is due at intervals, one after the other on this thread, until nothing is or
 * engine->deadline_ms is near. What is not begun stays due; what the deadline cuts off is due again
 * at once, behind all that waits. What is found is for engine_work(). False: the store failed. */
bool engine_work_tasks(struct engine *engine, struct engine_house *house, size_t *ret_count,
                       struct error *err) __attribute__((warn_unused_result));

/* ---- workers ---- */

/* Worker threads over the store's due rows. */
struct engine_workers;
struct engine_workers *engine_workers_start(struct engine *engine, int count, struct error *err)
    __attribute__((warn_unused_result));
/* Something may have become due. */
void engine_workers_wake(struct engine_workers *workers);
/* Waits until nothing that only waits for us is left (asking, held and long unread rows may be), or
 * `stop` returns true. */
bool engine_workers_drain(struct engine_workers *workers, bool (*stop)(void *ctx), void *ctx,
                          struct error *err) __attribute__((warn_unused_result));
/* Steps that run are finished first. */
void engine_workers_stop(struct engine_workers *workers);

/* ---- asking people ---- */

#define ENGINE_COMMAND_LINE "command line" // the channel that every question is asked on

struct engine_answer { // what somebody said, known to be genuine
    int64_t id;
    struct str ask, plan_hash; // of what they saw; empty = what is open now
    bool yes;
    struct str identity; // "slack:U123", "unix:ann"
    struct str channel;  // name of rectify.yaml, or ENGINE_COMMAND_LINE
    struct str reason;
    struct str name; // how they are shown where `people` does not name them; empty = identity
};
/* Counts it, if they may decide. E0031 nobody of `people`, E0032 no right on the policy, E0033 they
 * caused it, E0034 nothing is asked, E0035 decided or voted before, E0036 over, or another plan,
 * E0037 not asked on this channel. */
bool engine_answer(struct engine *engine, const struct engine_answer *answer, struct arena *arena,
                   bool *ret_decided, struct error *err) __attribute__((warn_unused_result));

/* What came in over the channel `name`. True: answer with *ret_status, 200, and *ret; false: with
 * *ret_status and the error. E0038 no such channel; Q0xxx. Answers within the three seconds that
 * Slack gives, unless the store takes longer. */
bool engine_hear(struct engine *engine, struct str name, const struct approve_header *headers,
                 size_t header_count, struct str body, struct arena *arena, int *ret_status,
                 struct value *ret, struct error *err) __attribute__((warn_unused_result));

/* ---- telling people ---- */

struct engine_telling {
    enum telling word;   // TELLING_PAGE for what is no state's
    struct str policy;   // by its `notify` and severity; empty = none
    struct str resource; // canonical key, or empty
    int64_t remediation; // 0 = none
    struct str text;     // what happened, for people
};
/* What a notice of the outbox tells, which is sealed where there is a key: its JSON. K0005 the key
 * is not here. */
bool engine_open_notice(const struct engine *engine, const struct store_notice *notice,
                        struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Puts it into the outbox, for every channel that is told this word. Durable when it returns. (A
 * state function calls step_page() instead, so that it goes with the transition.) */
bool engine_tell(struct engine *engine, const struct engine_telling *what, struct error *err)
    __attribute__((warn_unused_result));

/* Sends what waits in the outbox and is due, on this thread, until nothing is or not enough time is
 * left for a message until engine->deadline_ms (see engine_work()). False: the store failed. */
bool engine_send(struct engine *engine, const struct notify *notify, struct error *err)
    __attribute__((warn_unused_result));

/* Threads that send what waits in the outbox, as many as there are channels, at most four. */
struct engine_notifier;
struct engine_notifier *engine_notifier_start(struct engine *engine, const struct notify *notify,
                                              struct error *err)
    __attribute__((warn_unused_result));
/* Waits, but not longer than so, until everything has been tried once. */
void engine_notifier_drain(struct engine_notifier *notifier, int64_t patience_ms);
/* What is being sent is finished first. NULL is allowed. */
void engine_notifier_stop(struct engine_notifier *notifier);

#endif
