// SPDX-License-Identifier: Apache-2.0
/* The durable store: about a dozen conditional verbs, no SQL above them.
 *
 * Everything that is due (a remediation's next step, a notification, a checkpoint) is a row with a
 * due time; workers claim rows under a lease with an epoch. A transition is one transaction: state,
 * due time, locks, permits, approval and audit record together, conditional on version and epoch.
 * Any thread may call any verb. SQLite: one connection, led by one caller at a time, who commits
 * for all that wait (WAL, synchronous=FULL); the file is owned by one process (flock on
 * <path>.lock). PostgreSQL: any number of processes; a verb is one function call of
 * the database, whose clock alone decides about due times, leases and expiry. A verb returns only
 * when what it wrote is durable, except store_claim() and store_advance(..., false), whose writes
 * are durable with the next verb that waits; when they are lost instead, the next store_claim() or
 * store_flush() says so, once, by STORE_ERROR.
 *
 * Memory: `struct str` and values handed out are in the arena given by the caller. Errors S0xxx. */
#ifndef RECTIFY_STORE_STORE_H
#define RECTIFY_STORE_STORE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "model/model.h"
#include "model/permit.h"

struct store;

enum store_result {
    STORE_OK,
    STORE_CONFLICT, // another version, a stale epoch, or a newer sequence: read again
    STORE_LOCKED,   // the resource's lock is another remediation's
    STORE_LIMITED,  // a permit could not be reserved, or the rollout is not so far
    STORE_VOID,     // the approval is not there, not given, expired, or for another plan
    STORE_ABSENT,   // no such row
    STORE_ERROR,    // err is set; nothing was written
};

/* `where`: path of the SQLite file, or ":memory:" (tests; no durability), or postgres://...
 * (libpq's addresses; libpq is loaded then). Creates it with its tables. S0001 owned by another
 * process (message names the pid), S0002 cannot open (or no rights), S0003 damaged, S0004 disk full
 * or read-only, S0005 schema of a newer version, S0007 the server cannot be reached. Any verb:
 * S0003, S0004 and S0007 (later calls try again; whether a write that S0007 cut off was done, only
 * the row tells), S0006 anything else (an argument that cannot be stored, out of memory).
 */
struct store *store_open(const char *where, const struct clock *clock, struct error *err)
    __attribute__((warn_unused_result));
/* Does `where` name a server, which others use too, and not a file? */
bool store_is_server(const char *where);
/* For diagnosis of a file that store_open() calls damaged: no check, and every verb that writes
 * fails with S0003. The file has to exist. */
struct store *store_open_to_look(const char *where, const struct clock *clock, struct error *err)
    __attribute__((warn_unused_result));
void store_close(struct store *store); // finishes what is queued

/* ---- accept: events come in ---- */

struct store_match {
    struct str policy, policy_hash, resource, region; // as in struct remediation
    int64_t due_ms;                                   // now + settle
    struct str detail;                                // JSON object: {event: {...}, mode: ...}
};

struct store_event {
    struct str key;  // exact-redelivery key
    struct str name; // "s3:CreateBucket", for people
    const struct store_match *matches;
    size_t match_count;
    struct str request_id; // of the API call that it tells of; empty = none
};

/* One transaction for all. An event whose key was accepted before vanishes (ret_accepted[i] =
 * false). For each match: an active repair of the same policy and resource gets sequence+1 and the
 * newer event in its detail (a received or settling one also the earlier of both due times kept);
 * else a new remediation in `received`. An event of a call of ours (its request id was given to
 * store_advance() within 14 days, and it names no other resource) starts nothing: it makes the
 * verifying of that remediation due. Each writes a record. `ret_accepted` may be NULL. */
enum store_result store_accept(struct store *store, const struct store_event *events, size_t count,
                               bool *ret_accepted, struct error *err)
    __attribute__((warn_unused_result));

/* A remediation made by a person or by the engine (rollback): created in `received`. The record
 * says who. STORE_CONFLICT when an active one of the same kind, policy and resource exists (its id
 * in ret_id). */
enum store_result store_create(struct store *store, enum remediation_kind kind,
                               const struct store_match *match, struct str record, int64_t *ret_id,
                               struct error *err) __attribute__((warn_unused_result));

/* ---- claim: workers take what is due ---- */

struct store_claim {
    int64_t id;
    int64_t epoch;
};
/* Up to `count` due remediations whose lease is free or over, earliest first; each gets epoch+1, a
 * lease until now + lease_ms. When more are due, half of `count` is taken so, and of the rest every
 * account gets a share (docs/decisions/0061-shares-of-a-claim.md). *ret_next_due_ms: when the next
 * one is due (INT64_MAX = none). A row in calling, unknown or undoing whose last lease was another
 * process's is handed out only `grace_ms` after that lease ended, as its signatures may still be
 * good. A file that nobody owned when it was opened proves that process dead: its leases ended then
 * at the latest, it sends nothing any more, and a second of the grace is enough. With :memory: the
 * same. With PostgreSQL nothing proves a process dead: the whole grace counts. */
enum store_result store_claim(struct store *store, size_t count, int64_t lease_ms, int64_t grace_ms,
                              struct store_claim *ret, size_t *ret_count, int64_t *ret_next_due_ms,
                              struct error *err) __attribute__((warn_unused_result));
/* The leases of this process end, but for those of `held`: a step that failed, or whose writes were
 * lost, left its row leased to nobody. What is due is free at once. */
enum store_result store_end_leases(struct store *store, const struct store_claim *held,
                                   size_t held_count, struct error *err)
    __attribute__((warn_unused_result));
/* The whole remediation. STORE_ABSENT when there is none. */
enum store_result store_get(struct store *store, int64_t id, struct arena *arena,
                            struct remediation *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Still ours? Reads the committed row: epoch equal and lease not over. For the gate. */
bool store_owns(struct store *store, int64_t id, int64_t epoch);

/* ---- advance: one transition ---- */

/* What is to be told over one channel: waits in the outbox until it is sent, or given up. */
struct store_notice {
    struct str channel; // its name in rectify.yaml, not empty
    struct str kind;    // what its sender does with it: "tell", "ask", ...
    struct str thread;  // those of one thread and channel go one after the other; empty = none
    struct str body;    // JSON object
    int64_t due_ms;     // not before then
};
#define STORE_NOTICES_MAX 64 // of one transition

/* How a repair ended, for the breakers of all keys that it holds a permit of, and the rollout. */
enum store_outcome {
    OUTCOME_NONE,    // nothing that counts: contested, taken back before it began, ...
    OUTCOME_GOOD,    // verified
    OUTCOME_REFUSED, // a call was refused and nothing was changed: bad for its calls' keys only
    OUTCOME_BAD,     // it changed something and did not help: bad for every key
    OUTCOME_FROZEN,  // nor could it be taken back: its calls' breakers open at once
};
#define STORE_ITSELF "rectify"  // who paused a policy, when nobody did
#define CALL_KEY_PREFIX "call " // of a permit's key: one operation in one place

/* Held against the policy's row (store_rollout_set()) in the intent's own transaction. */
struct store_cohort {
    struct str hash; // of the policy; empty: nothing is asked, not even whether it is paused
    int stage;       // -1: not paused is enough; else the rollout of this hash has come so far
    int seats;       // > 0: the resource has one of so many seats, or takes one
    bool counts;     // its end counts for the stage
};

struct store_transition {
    int64_t id, version, epoch; // conditions; epoch 0 = by a person (no lease needed)
    enum state to;
    int step;
    int64_t due_ms;
    struct str reason;
    struct str detail; // JSON object that replaces the old one; empty = unchanged
    struct str record; // JSON object of the audit record's body (see below)

    struct str request_id; // of a changing call that was answered: its event will be known as ours
    bool sequence_unchanged; // STORE_CONFLICT when an event came that was not seen
    int64_t sequence_seen; // what was read, or will be from here on, is newer than the events up to
                           //   this one (struct remediation, sequence); never lowers it
    bool lock;             // take the resource's lock (kept while in locked states): STORE_LOCKED
    bool freeze;           // terminal, but keep the lock until a person clears it
    const struct permit *permits; // to == intent: all of them are reserved, or STORE_LIMITED
    size_t permit_count;          //   (at most PERMITS_MAX, keys distinct)
    struct store_cohort cohort;   // to == intent: what the rollout has to be; else STORE_LIMITED
    struct str approval_hash;     // consume a given, unexpired approval of this plan: STORE_VOID
    struct str ask_hash;          // to == asking: open an approval for this plan
    int64_t ask_expires_ms;
    struct str ask_id;                  // which question it is, unlike any other
    struct str ask_via;                 // JSON list of channels
    int ask_need;                       // how many people, at least 1
    const struct store_notice *notices; // told if, and only if, this transition happens
    size_t notice_count;
    bool keep_lease;      // the worker goes straight on with it
    bool found;           // a violation, seen for the first time: counts for the policy's day
    int64_t throttled_ms; // its calls' keys (CALL_KEY_PREFIX) let nothing begin for so long
    enum store_outcome outcome;
};

/* Applies it. The new version is version+1; a kept lease is renewed. States that are not locked
 * release lock and permits (a contested repair takes them anew). A person (epoch 0) clears a frozen
 * lock by the same terminal state without freeze. When it ends and sequence > sequence_seen a
 * successor in `received` (due once the newest event has settled) is created in the same
 * transaction, carrying the newest event. With `wait` false it returns at once; its failure shows
 * as STORE_CONFLICT of a later verb on the same row. The audit leaf is the canonical JSON
 *   {"at": ms, "id": "r1", "kind": "transition", "policy":..., "resource":..., "state": "...",
 *    "step": n, "version": n, "reason": "...", "body": {record}}. */
enum store_result store_advance(struct store *store, const struct store_transition *transition,
                                bool wait, struct error *err) __attribute__((warn_unused_result));
/* Several of one row, one after the other in one transaction, each with its leaf: what nothing has
 * to wait in between costs one. Versions count up from the first; only the last may be terminal.
 * Stops at the first whose condition fails and returns why; the *ret_applied before it stand (with
 * `wait` false and OK: all given, perhaps not yet). STORE_ERROR: none. */
#define STORE_ADVANCE_MAX 8
enum store_result store_advance_all(struct store *store, const struct store_transition *list,
                                    size_t count, bool wait, size_t *ret_applied, struct error *err)
    __attribute__((warn_unused_result));
/* Waits until everything queued before is durable. */
enum store_result store_flush(struct store *store, struct error *err)
    __attribute__((warn_unused_result));
/* A record without a transition (policies loaded, quarantine, kill switch). `kind` names it. */
enum store_result store_record(struct store *store, struct str kind, struct str body,
                               struct error *err) __attribute__((warn_unused_result));

/* ---- approvals ---- */

/* What one person says. */
struct store_ballot {
    int64_t id;
    struct str plan_hash; // of what the person saw, full hex
    struct str ask;       // which question was answered; empty = the open one
    bool yes;
    struct str person;   // who it is, the same on every channel
    struct str identity; // how the channel knows them: "slack:U123", "unix:ann"
    struct str channel;  // where it was said
    struct str reason;
};
/* One terminal decision, first wins: the first no, or as many yes of different people as are
 * needed. STORE_CONFLICT when it was decided before, or the person has voted; STORE_VOID when the
 * question is over, or was another one, or another plan; STORE_ABSENT when nothing is asked. When
 * it is decided the remediation is due at once; a yes leaves it in `asking`, decided again and
 * consumed at intent. Each vote writes a record. `ret_decided` may be NULL. */
enum store_result store_vote(struct store *store, const struct store_ballot *ballot,
                             bool *ret_decided, struct error *err)
    __attribute__((warn_unused_result));
struct store_approval {
    bool decided, yes;
    bool consumed; // used by an intent, or void: it allows nothing any more
    int64_t expires_ms;
    struct str plan_hash, by, reason;
    struct str ask;     // which question it is: no two are alike
    int need;           // yes of so many people
    struct value via;   // list: channels on which it was asked
    struct value votes; // list of {person, identity, channel, yes, reason, at}
};
enum store_result store_approval(struct store *store, int64_t id, struct arena *arena,
                                 struct store_approval *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The question is over, whatever was said to it; the remediation is due at once. Recorded.
 * STORE_ABSENT: it is not the open one. */
enum store_result store_void_approval(struct store *store, int64_t id, struct str ask,
                                      struct str why, struct error *err)
    __attribute__((warn_unused_result));

struct store_policy_seen {
    struct str name, hash;
};
/* The policies that run from here on. What was asked or approved under another text of one of them
 * is void, even if the old text comes back later. `ret_void` counts, and may be NULL. */
enum store_result store_see_policies(struct store *store, const struct store_policy_seen *policies,
                                     size_t count, size_t *ret_void, struct error *err)
    __attribute__((warn_unused_result));

/* ---- guards' inputs ---- */

struct store_guard_query {
    struct str policy, policy_hash, resource;
    const struct permit *permits; // which keys
    size_t permit_count;          // at most PERMITS_MAX
};
struct store_guards {
    struct key_meter meters[PERMITS_MAX]; // as query's permits
    struct rollout rollout;               // its texts are in the arena
    bool frozen;                          // the resource's lock is frozen
    int64_t locked_by;                    // remediation that holds the resource, 0 = none
    int reversals;                        // healed repairs of this policy and resource within 24 h
    int64_t last_healed_ms;
    int past_bad, past_total; // of the newest 20 results under the first of the keys
    int64_t population;       // resources that complete scans have counted; 0 = never
    int64_t counted_ms;       // the oldest of these counts
    int64_t found_today;      // violations of this policy, of this day (UTC)
    int64_t found_past;       // the most on one of the 14 days before
    int found_days;           // on so many of which there was one
};
enum store_result store_guards(struct store *store, const struct store_guard_query *query,
                               struct arena *arena, struct store_guards *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Opens the key's breaker for open_ms (doubling, at most 1 h), or closes it (open_ms 0).
 * Recorded. */
enum store_result store_breaker_set(struct store *store, struct str key, int64_t open_ms,
                                    struct str reason, struct error *err)
    __attribute__((warn_unused_result));
/* A complete list of what exists in one place (account and region) had so many. */
enum store_result store_counted(struct store *store, struct str policy, struct str place,
                                int64_t count, struct error *err)
    __attribute__((warn_unused_result));

/* ---- a policy's state ---- */

enum rollout_do {
    ROLLOUT_BEGIN,   // with this hash at stage 0, unless it is there; a person's pause stays
    ROLLOUT_PROMOTE, // from this stage to the next; a pause ends
    ROLLOUT_FINISH,  // the last stage is over; a pause ends
    ROLLOUT_PAUSE,   // nothing is repaired any more
    ROLLOUT_RESUME,  // the stage starts again; share and growth are waived for waive_ms
};
struct store_rollout_change {
    enum rollout_do what;
    struct str policy, hash;
    int stage;   // promote, finish: STORE_CONFLICT when it is not this one
    bool undo;   // begin: what a stage did is taken back when it fails; pause: so now
    bool staged; // begin: there are stages; else it is done at once
    int64_t waive_ms;
    struct str by, reason; // by "rectify" when by itself
};
/* STORE_ABSENT when a policy that is none (promote, finish, resume) has no row. Recorded, and what
 * waits for it becomes due: of the held rows, whose step says what they wait for, those with 2 (any
 * change of it) and with 2 + N (its step N is reached, counted from 0; all, where the policy was
 * changed since or the rollout is done). An intent's outcome changes it too: a good one counts for
 * its stage, the first bad one of a running rollout pauses it and, with `undo`, makes a rollback of
 * each repair that the stage has healed. */
enum store_result store_rollout_set(struct store *store, const struct store_rollout_change *change,
                                    struct error *err) __attribute__((warn_unused_result));
struct store_policy {
    struct str policy;
    struct rollout rollout; // place, member and refused_here are of no resource
};
/* All that have a row, by name. In the arena. */
enum store_result store_policies(struct store *store, struct arena *arena,
                                 struct store_policy **ret, size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));

/* ---- notes: what guards remember of a resource, an account, or everything ---- */

struct store_note {
    struct str key;     // "freeze/all", "grace/POLICY/RESOURCE"; at most STORE_NOTE_KEY_BYTES
    struct str body;    // a JSON object; empty: there is no such note, or it is to be forgotten
    int64_t expires_ms; // forgotten then; 0 = never
};
#define STORE_NOTE_KEY_BYTES 2048
#define STORE_NOTES_MAX 1000 // of one list
/* Sets or forgets it. With a `kind` the change is a record of that kind, written with it. */
enum store_result store_set_note(struct store *store, const struct store_note *note,
                                 struct str kind, struct str record, struct error *err)
    __attribute__((warn_unused_result));
/* Fills in the bodies of `notes` by their keys, all at one moment. */
enum store_result store_get_notes(struct store *store, struct store_note *notes, size_t count,
                                  struct arena *arena, struct error *err)
    __attribute__((warn_unused_result));
/* Those whose keys begin so, by key, at most STORE_NOTES_MAX. */
enum store_result store_list_notes(struct store *store, struct str prefix, struct arena *arena,
                                   struct store_note **ret, size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));

/* ---- outbox: what people are told, at least once ---- */

/* A notice without a transition; `remediation` 0 = about none. */
enum store_result store_tell(struct store *store, int64_t remediation,
                             const struct store_notice *notices, size_t count, struct error *err)
    __attribute__((warn_unused_result));

enum notice_state { NOTICE_WAITS, NOTICE_SENT, NOTICE_GIVEN_UP };
const char *notice_state_name(enum notice_state state); // "waits", "sent", "given up"

struct store_notice_row {
    int64_t id; // with created_ms the key by which a receiver knows a repetition
    int64_t remediation;
    struct store_notice notice; // due_ms: of the next attempt, 0 = none any more
    int64_t created_ms;
    int attempts; // that failed
    enum notice_state state;
    struct str reference; // of the thread: what the channel answered last (a message's id); or ""
    struct str error;     // of the last attempt that failed
};
/* One channel to send on, for one sender at a time: no other gets it until `lease_ms` are over or
 * it was given back. */
struct store_sending {
    struct str channel; // empty: none is due
    int64_t epoch;
    struct store_notice_row *rows; // due, oldest first
    size_t count;
    int64_t next_due_ms; // when there is none: INT64_MAX = nothing waits
};
#define STORE_SENDING_MAX 20 // notices taken at once
enum store_result store_take_notices(struct store *store, int64_t lease_ms, struct arena *arena,
                                     struct store_sending *ret, struct error *err)
    __attribute__((warn_unused_result));

/* What became of one of them. */
// In the order in which one reads it. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct store_sent {
    int64_t id;
    enum notice_state state;
    int64_t due_ms;       // NOTICE_WAITS: the next attempt; those behind it in its thread wait too
    bool failed;          // counts as an attempt that failed
    struct str reference; // empty = as before
    struct str error;
};
/* Gives the channel back: the next may send on it at `free_ms`. What was sent or given up is
 * recorded. STORE_CONFLICT: it was another's meanwhile, nothing was written. */
enum store_result store_give_notices(struct store *store, const struct store_sending *sending,
                                     int64_t free_ms, const struct store_sent *sent, size_t count,
                                     struct error *err) __attribute__((warn_unused_result));

struct store_notice_filter {
    int state;           // enum notice_state, -1 = any
    int64_t remediation; // 0 = any
    int64_t before_id;   // paging; 0 = newest first from the top
    size_t limit;        // at most 1,000
};
/* Ended ones are kept for 14 days. */
enum store_result store_notices(struct store *store, const struct store_notice_filter *filter,
                                struct arena *arena, struct store_notice_row **ret,
                                size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));

/* ---- tasks: what is done again and again, by one at a time ---- */

struct store_task {
    struct str name;
    int64_t due_ms, epoch;
    int64_t ran_ms;  // when a run ended well last; 0 = never
    struct str note; // what the last run left: any text
};
struct store_task_plan {
    struct str name;
    int64_t due_ms;    // of a task that is not there yet
    int64_t latest_ms; // one that is there becomes due then, if it was due later
};
/* One transaction for all. */
enum store_result store_plan_tasks(struct store *store, const struct store_task_plan *list,
                                   size_t count, struct error *err)
    __attribute__((warn_unused_result));
/* The task that has been due longest, or the named one, for one taker: it becomes due again when
 * `lease_ms` are over, unless it was ended before. STORE_ABSENT: none is due; *ret_next_due_ms says
 * when one will be (INT64_MAX = there is none). */
enum store_result store_take_task(struct store *store, struct str name, int64_t lease_ms,
                                  struct arena *arena, struct store_task *ret,
                                  int64_t *ret_next_due_ms, struct error *err)
    __attribute__((warn_unused_result));
struct store_task_end {
    int64_t due_ms;  // the next time; 0 = the task is forgotten
    struct str note; // ptr NULL = the old one stays
    bool failed;     // ran_ms stays
};
/* STORE_CONFLICT: it is another's meanwhile, nothing was written. */
enum store_result store_end_task(struct store *store, const struct store_task *task,
                                 const struct store_task_end *end, struct error *err)
    __attribute__((warn_unused_result));
/* STORE_ABSENT when there is none of that name. */
enum store_result store_get_task(struct store *store, struct str name, struct arena *arena,
                                 struct store_task *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- looking ---- */

struct store_filter {
    struct str policy, resource, account; // empty = any; resource may be a glob
    int state;                            // -1 = any
    bool active_only;
    int64_t before_id; // paging: ids below this; 0 = newest first from the top
    size_t limit;      // at most 1,000
};
enum store_result store_list(struct store *store, const struct store_filter *filter,
                             struct arena *arena, struct remediation **ret, size_t *ret_count,
                             struct error *err) __attribute__((warn_unused_result));
/* How many remediations are in each state. */
enum store_result store_counts(struct store *store, int64_t ret[STATE_COUNT], struct error *err)
    __attribute__((warn_unused_result));

/* ---- audit ---- */

struct store_leaf {
    int64_t index;      // 0-based position in the log
    struct str text;    // the leaf: canonical JSON
    struct sha256 hash; // RFC 6962 leaf hash as stored
};
/* Leaves from `from`, at most `limit`; `remediation` 0 = all. */
enum store_result store_leaves(struct store *store, int64_t remediation, int64_t from, size_t limit,
                               struct arena *arena, struct store_leaf **ret, size_t *ret_count,
                               struct error *err) __attribute__((warn_unused_result));
struct store_checkpoint {
    int64_t size; // leaves covered
    struct sha256 root;
    int64_t at_ms;
};
/* The tree head of all durable leaves, kept with each commit. */
enum store_result store_checkpoint(struct store *store, struct store_checkpoint *ret,
                                   struct error *err) __attribute__((warn_unused_result));

#endif
