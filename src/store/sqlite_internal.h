// SPDX-License-Identifier: Apache-2.0
/* The SQLite backend's inside.
 *
 *   caller ──job──► queue ──► the leader runs jobs in order on the one connection ──► COMMIT ──►
 * wake
 *
 * Exactly one thread at a time leads: it alone touches `db`, the statements and everything marked
 * "leader's". A caller that finds nobody leading leads by itself, so that one thread alone pays no
 * hand-over; callers that come meanwhile queue up and share the next commit. */
#ifndef RECTIFY_STORE_SQLITE_INTERNAL_H
#define RECTIFY_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/sqlite_statements.h"
#include "store/store_internal.h"
#include "tree/tree.h"

#define SQLITE_SCHEMA_VERSION 8
#define SQLITE_FLUSH_DELAY_MS 20     // how long a write that nobody waits for may stay uncommitted
#define SQLITE_BATCH_LEAVES_MAX 2000 // leaves in one transaction before it is committed anyway

enum sqlite_holds { HOLDS_PERMIT = 1, HOLDS_LOCK = 2 };

struct sqlite_store;

enum job_state {
    JOB_WAITS,  // its caller is awake
    JOB_SLEEPS, // its caller has to be woken
    JOB_LEADS,  // its caller shall lead, or is already about to
    JOB_DONE,   // answered: the job may be gone any moment
};

/* A verb on its way. Lives on the waiting caller's stack, or on the heap when `owned`. */
struct sqlite_job {
    struct sqlite_job *next;
    enum store_result (*run)(struct sqlite_store *, void *args, struct error *err);
    void *args;
    bool writes;      // an error inside it rolls the transaction back
    bool durable;     // answered only after the commit
    bool owned;       // nobody waits: freed once run
    atomic_int state; // enum job_state; a futex
    enum store_result result;
    struct error *err;
};

/* Leases that this process has given out: id to epoch and end. Open addressing, id 0 = free. */
struct lease {
    int64_t id, epoch, end_ms;
};
struct lease_table {
    pthread_mutex_t mutex;
    struct lease *slots;
    size_t cap, count; // cap is 0 or a power of two
};
bool lease_set(struct lease_table *table, struct lease lease) __attribute__((warn_unused_result));
void lease_remove(struct lease_table *table, int64_t id);
void lease_remove_all(struct lease_table *table);
bool lease_get(struct lease_table *table, int64_t id, struct lease *ret);

struct sqlite_store {
    struct store base;
    const struct clock *clock;
    char *path;
    int lock_fd;
    uint64_t anchor; // how long the log was at least, by the lock file
    bool to_look;    // a damaged file: nothing is checked, nothing is written

    pthread_mutex_t mutex;          // of the queue: everything in this paragraph
    struct sqlite_job *head, *tail; // waits to be run
    bool leading;
    bool armed, closing, flusher_started;
    pthread_t flusher;
    pthread_cond_t flusher_wake;

    /* leader's */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct sqlite_job *unanswered; // has run, waits for the commit
    bool in_transaction;
    bool early;       // somebody was answered before the commit
    bool lost;        // such a write was rolled back, and nobody has been told
    bool leases_lost; // those of the last commit are not in `leases`, after a roll back
    char claimed_after[STORE_WHOSE_SIZE]; // the account up to which shares were handed out
    struct error lost_error;
    struct tree tree, tree_committed;
    struct sha256 root_committed;
    int64_t counts[STATE_COUNT], counts_committed[STATE_COUNT];
    int64_t committed_ms; // when the last leaf was committed
    int64_t wall_max;     // the latest wall time ever seen: approvals do not come back to life
    int64_t instance;     // number of this opening; leases of others get grace
    int64_t epoch_given, epoch_floor; // epochs rolled back are not given again
    int64_t purged_ms;
    struct arena scratch; // of one job

    struct lease_table leases; // own mutex; every lease of this process, changed by the leader
};

/* ---- sqlite_schema.c ---- */
struct sqlite_step {
    int from, to;
    const char *sql;
};
extern const struct sqlite_step sqlite_steps[]; // in order; ends with sql NULL

/* ---- sqlite_writer.c ---- */
/* Runs the job and waits for its answer. */
enum store_result sqlite_submit(struct sqlite_store *store, struct sqlite_job *job);
/* Runs `run(args)` at once if nobody leads (its result is returned), else queues a copy made by
 * `copy` (whose result is the args, freed with free()). */
enum store_result
sqlite_submit_later(struct sqlite_store *store,
                    enum store_result (*run)(struct sqlite_store *, void *, struct error *),
                    void *args, void *(*copy)(const void *args), struct error *err);
bool sqlite_begin(struct sqlite_store *store, struct error *err);
enum store_result sqlite_verb_flush(struct store *base, struct error *err);
/* Leader's thread: whether writes that nobody waited for were rolled back since it was last told.
 */
bool sqlite_tell_lost(struct sqlite_store *store, struct error *err);
void sqlite_stop_flusher(struct sqlite_store *store);
void sqlite_restore(struct sqlite_store *store); // memory as of the last commit

#define SQLITE_JOB(function, arguments, ...)                                                       \
    {                                                                                              \
        .run = (function), .args = (arguments), __VA_ARGS__                                        \
    }

/* ---- sqlite_sql.c ---- */
/* The statement, reset; NULL with err set. */
sqlite3_stmt *sql_get(struct sqlite_store *store, enum sqlite_statement which, struct error *err);
/* The same with its parameters bound, a letter each: t struct str, b the same as bytes, i int64_t.
 * Texts are not copied. */
sqlite3_stmt *sql_with(struct sqlite_store *store, enum sqlite_statement which, struct error *err,
                       const char *types, ...);
void sql_bind(sqlite3_stmt *stmt, int at, struct str text); // not copied
bool sql_row(struct sqlite_store *store, sqlite3_stmt *stmt, bool *ret_row, struct error *err);
bool sql_done(struct sqlite_store *store, sqlite3_stmt *stmt, struct error *err);
struct str sql_text(sqlite3_stmt *stmt, int column); // borrowed until the next step or reset
struct str sql_copy(sqlite3_stmt *stmt, int column, struct arena *arena);
/* Sets err from the connection's state: S0003, S0004 or S0006. */
bool sql_error(struct sqlite_store *store, struct error *err);
bool sql_leaf(struct sqlite_store *store, const struct leaf_parts *parts, struct error *err);
int64_t sql_now(struct sqlite_store *store);

/* ---- sqlite_permits.c ---- */
bool sqlite_load_meter(struct sqlite_store *store, const struct permit *permit, int64_t now,
                       struct key_meter *ret, struct error *err);
/* May all be taken? `holds`: some are held already. ret_probe: which are probes of a breaker. */
enum store_result sqlite_check_permits(struct sqlite_store *store, const struct permit *permits,
                                       size_t count, bool holds, int64_t now, bool *ret_probe,
                                       struct error *err);
bool sqlite_take_permits(struct sqlite_store *store, int64_t id, const struct permit *permits,
                         size_t count, const bool *probe, int64_t now, struct error *err);
/* And one that waits for a permit of the policy becomes due. */
bool sqlite_give_permits(struct sqlite_store *store, int64_t id, struct str policy, int64_t now,
                         struct error *err);
bool sqlite_count_outcome(struct sqlite_store *store, int64_t id, enum store_outcome outcome,
                          int64_t now, struct error *err);
bool sqlite_slow_calls(struct sqlite_store *store, int64_t id, int64_t until_ms, struct error *err);

/* ---- sqlite_rollout.c ---- */
struct sqlite_rollout {
    bool known; // there is a row
    bool paused, done, undo;
    unsigned char secret[STORE_SECRET_SIZE];
    struct rollout rollout;
};
bool sqlite_load_rollout(struct sqlite_store *store, struct str policy, struct arena *arena,
                         struct sqlite_rollout *ret, struct error *err);
/* As the guards see it, for one resource. */
bool sqlite_look_rollout(struct sqlite_store *store, struct str policy, struct str resource,
                         struct arena *arena, struct rollout *ret, struct error *err);
bool sqlite_look_numbers(struct sqlite_store *store, struct str policy, int64_t now,
                         struct store_guards *ret, struct error *err);
enum store_result sqlite_check_cohort(struct sqlite_store *store, const struct store_cohort *cohort,
                                      struct str policy, struct str resource, struct error *err);
bool sqlite_take_seat(struct sqlite_store *store, const struct store_cohort *cohort, int64_t id,
                      struct str policy, struct str resource, struct error *err);
struct sqlite_ended {
    int64_t id;
    struct str policy, resource;
    enum store_outcome outcome;
};
bool sqlite_end_seat(struct sqlite_store *store, const struct sqlite_ended *ended, int64_t now,
                     struct error *err);
bool sqlite_note_found(struct sqlite_store *store, struct str policy, int64_t now,
                       struct error *err);

/* ---- the verbs ---- */
extern const struct store_backend sqlite_backend;
struct sqlite_new {
    enum remediation_kind kind;
    struct str policy, policy_hash, resource, region, detail;
    int64_t due_ms;
};
bool sqlite_insert(struct sqlite_store *store, const struct sqlite_new *new_row, int64_t now,
                   int64_t *ret_id, struct error *err);
bool sqlite_find_active(struct sqlite_store *store, enum remediation_kind kind, struct str policy,
                        struct str resource, int64_t *ret_id, struct error *err);

enum store_result sqlite_verb_accept(struct store *, const struct store_event *, size_t, bool *,
                                     struct error *);
enum store_result sqlite_verb_create(struct store *, enum remediation_kind,
                                     const struct store_match *, struct str, int64_t *,
                                     struct error *);
enum store_result sqlite_verb_end_leases(struct store *, const struct store_claim *, size_t,
                                         struct error *);
enum store_result sqlite_verb_claim(struct store *, size_t, int64_t, int64_t, struct store_claim *,
                                    size_t *, int64_t *, struct error *);
bool sqlite_verb_owns(struct store *, int64_t, int64_t);
enum store_result sqlite_verb_get(struct store *, int64_t, struct arena *, struct remediation *,
                                  struct error *);
enum store_result sqlite_verb_advance(struct store *, const struct store_transition *, size_t, bool,
                                      size_t *, struct error *);
enum store_result sqlite_verb_record(struct store *, struct str, struct str, struct error *);
enum store_result sqlite_verb_vote(struct store *, const struct store_ballot *, bool *,
                                   struct error *);
enum store_result sqlite_verb_void_approval(struct store *, int64_t, struct str, struct str,
                                            struct error *);
enum store_result sqlite_verb_see_policies(struct store *, const struct store_policy_seen *, size_t,
                                           size_t *, struct error *);
struct sqlite_approval {
    struct str plan_hash; // ptr NULL: nothing was ever asked
    struct str ask, votes;
    int64_t expires_ms;
    int need;
    bool decided, yes, consumed;
};
bool sqlite_load_approval(struct sqlite_store *store, int64_t id, struct sqlite_approval *ret,
                          struct error *err);
/* Writes into the lock file that the log is to be at least one leaf longer than it is now: what is
 * consumed has its leaf in the same commit. */
bool sqlite_anchor(struct sqlite_store *store, struct error *err);
/* Writes the whole lock file, and waits for the disk. */
bool sqlite_set_anchor(struct sqlite_store *store, uint64_t anchor, struct error *err);
#define SQLITE_OWNER_FORMAT "%10ld\n" // of the lock file's first line, a pid; always as long
#define SQLITE_OWNER_SIZE 11
enum store_result sqlite_verb_approval(struct store *, int64_t, struct arena *,
                                       struct store_approval *, struct error *);
enum store_result sqlite_verb_guards(struct store *, const struct store_guard_query *,
                                     struct arena *, struct store_guards *, struct error *);
enum store_result sqlite_verb_breaker_set(struct store *, struct str, int64_t, struct str,
                                          struct error *);
enum store_result sqlite_verb_plan_tasks(struct store *, const struct store_task_plan *, size_t,
                                         struct error *);
enum store_result sqlite_verb_take_task(struct store *, struct str, int64_t, struct arena *,
                                        struct store_task *, int64_t *, struct error *);
enum store_result sqlite_verb_end_task(struct store *, const struct store_task *,
                                       const struct store_task_end *, struct error *);
enum store_result sqlite_verb_get_task(struct store *, struct str, struct arena *,
                                       struct store_task *, struct error *);
enum store_result sqlite_verb_counted(struct store *, struct str, struct str, int64_t,
                                      struct error *);
enum store_result sqlite_verb_rollout_set(struct store *, const struct store_rollout_change *,
                                          struct error *);
enum store_result sqlite_verb_policies(struct store *, struct arena *, struct store_policy **,
                                       size_t *, struct error *);
enum store_result sqlite_verb_set_note(struct store *, const struct store_note *, struct str,
                                       struct str, struct error *);
enum store_result sqlite_verb_get_notes(struct store *, struct store_note *, size_t, struct arena *,
                                        struct error *);
enum store_result sqlite_verb_list_notes(struct store *, struct str, struct arena *,
                                         struct store_note **, size_t *, struct error *);
enum store_result sqlite_verb_list(struct store *, const struct store_filter *, struct arena *,
                                   struct remediation **, size_t *, struct error *);
enum store_result sqlite_verb_counts(struct store *, int64_t *, struct error *);
enum store_result sqlite_verb_leaves(struct store *, int64_t, int64_t, size_t, struct arena *,
                                     struct store_leaf **, size_t *, struct error *);
enum store_result sqlite_verb_checkpoint(struct store *, struct store_checkpoint *, struct error *);
/* Inside a transaction. */
bool sqlite_put_notices(struct sqlite_store *store, int64_t remediation,
                        const struct store_notice *notices, size_t count, int64_t now,
                        struct error *err);
enum store_result sqlite_verb_tell(struct store *, int64_t, const struct store_notice *, size_t,
                                   struct error *);
enum store_result sqlite_verb_take_notices(struct store *, int64_t, struct arena *,
                                           struct store_sending *, struct error *);
enum store_result sqlite_verb_give_notices(struct store *, const struct store_sending *, int64_t,
                                           const struct store_sent *, size_t, struct error *);
enum store_result sqlite_verb_notices(struct store *, const struct store_notice_filter *,
                                      struct arena *, struct store_notice_row **, size_t *,
                                      struct error *);

#endif
