// SPDX-License-Identifier: Apache-2.0
/* The PostgreSQL backend's inside.
 *
 *   caller ──verb──► a connection borrowed from the pool ──► one function of the schema ──► COMMIT
 *   sequencer's thread ──► head's row locked ──► leaves get their positions, the tree grows
 *
 * Any number of processes share one database. Nothing about remediations is kept in memory: a row's
 * lock, its version and its epoch are the only coordination, and time is the database's. Without a
 * connection every verb fails, store_owns() says no, and so nothing is called. */
#ifndef RECTIFY_STORE_POSTGRES_INTERNAL_H
#define RECTIFY_STORE_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>

#include "store/postgres_statements.h"
#include "store/store_internal.h"

#define POSTGRES_SCHEMA_VERSION 7
#define POSTGRES_LINKS_MAX 12      // connections of one process
#define POSTGRES_ANSWER_MS 35000   // more than the server's own statement_timeout
#define POSTGRES_CONNECT_MS 10000  // for one attempt to connect
#define POSTGRES_PATIENCE_MS 3000  // how long a verb waits for a lost database before it fails
#define POSTGRES_BACKOFF_MIN_MS 50 // between attempts to connect, doubling
#define POSTGRES_BACKOFF_MAX_MS 2000
#define POSTGRES_AGAIN_MAX 5       // times a transaction is run again after a deadlock
#define POSTGRES_SEQUENCE_MS 100   // how long a leaf gathers company before it is sequenced
#define POSTGRES_SEQUENCE_MAX 5000 // leaves of one sequencing transaction
#define POSTGRES_IDLE_MS 5000      // how often leaves of processes that died are looked for
#define POSTGRES_PURGE_MS 60000

/* The functions of libpq that we call, found when first used: a start without PostgreSQL neither
 * loads nor needs the library. */
#define POSTGRES_FUNCTIONS(X)                                                                      \
    X(clear)                                                                                       \
    X(conninfoFree)                                                                                \
    X(conninfoParse)                                                                               \
    X(connectPoll)                                                                                 \
    X(connectStartParams)                                                                          \
    X(consumeInput)                                                                                \
    X(errorMessage)                                                                                \
    X(finish)                                                                                      \
    X(getResult)                                                                                   \
    X(getisnull)                                                                                   \
    X(getlength)                                                                                   \
    X(getvalue)                                                                                    \
    X(isBusy)                                                                                      \
    X(ntuples)                                                                                     \
    X(resultErrorField)                                                                            \
    X(resultStatus)                                                                                \
    X(sendPrepare)                                                                                 \
    X(sendQuery)                                                                                   \
    X(sendQueryPrepared)                                                                           \
    X(setErrorVerbosity)                                                                           \
    X(setNoticeProcessor)                                                                          \
    X(socket)                                                                                      \
    X(status)                                                                                      \
    X(transactionStatus)

struct postgres_library {
#define POSTGRES_MEMBER(name) __typeof__(&PQ##name) name;
    POSTGRES_FUNCTIONS(POSTGRES_MEMBER)
#undef POSTGRES_MEMBER
};
/* S0002 when the library or a function of it is not there. Lives for ever. */
const struct postgres_library *postgres_load(struct error *err) __attribute__((warn_unused_result));

struct postgres_link {
    struct postgres_link *next; // idle
    PGconn *conn;
    uint64_t prepared; // a bit for each statement
};

struct postgres_store {
    struct store base;
    const struct clock *clock;
    const struct postgres_library *pq;
    bool to_look;    // nothing is checked, nothing is written
    char *url;       // holds a password, perhaps: never shown
    char *options;   // of the connection: the user's, then ours
    bool verify_tls; // nothing was said about TLS, and the server is not on this machine
    char label[200]; // "database x at y", for messages

    pthread_mutex_t mutex; // everything in this paragraph
    pthread_cond_t wake;   // a link came back, or an attempt to connect ended
    struct postgres_link *idle;
    int links, links_max;
    bool connecting;
    bool opened; // once it worked: from then on a lost connection is waited for
    char claimed_after[STORE_WHOSE_SIZE]; // the account up to which shares were handed out
    int64_t retry_at_ms;                  // steady; not before then is connecting tried again
    int64_t backoff_ms;
    struct error unreachable; // why the last attempt failed
    int64_t instance;         // number of this process, 0 = it has not claimed yet

    pthread_mutex_t sequencer_mutex; // everything in this paragraph
    pthread_cond_t sequencer_wake;
    pthread_t sequencer;
    bool sequencer_started, unsequenced, closing;
};

/* ---- postgres_link.c: connections, and one statement on them ---- */

#define POSTGRES_ARGS_MAX 32
/* Parameters of a statement, in its order. `failed`: out of memory. */
struct postgres_args {
    struct arena arena;
    int count;
    const char *values[POSTGRES_ARGS_MAX];
    int lengths[POSTGRES_ARGS_MAX];
    bool failed;
};
#define POSTGRES_ARGS_AUTO __attribute__((cleanup(postgres_args_finish)))
void postgres_args_finish(struct postgres_args *args);
void postgres_add_int(struct postgres_args *args, int64_t number); // bigint
void postgres_add_bool(struct postgres_args *args, bool b);
/* PostgreSQL has no text with NUL in it: such a byte becomes U+FFFD. */
void postgres_add_text(struct postgres_args *args, struct str text);
void postgres_add_bytes(struct postgres_args *args, struct str bytes);

/* An array under construction. */
struct postgres_array {
    struct buf bytes;
    uint32_t count;
};
enum { POSTGRES_BYTEA = 17, POSTGRES_INT8 = 20, POSTGRES_INT4 = 23, POSTGRES_TEXT = 25 }; // OIDs
struct postgres_array postgres_array(struct postgres_args *args, uint32_t type);
void postgres_push_int4(struct postgres_array *array, int number);
void postgres_push_int8(struct postgres_array *array, int64_t number);
void postgres_push_text(struct postgres_array *array, struct str text);
void postgres_push_bytes(struct postgres_array *array, struct str bytes);
void postgres_add_array(struct postgres_args *args, struct postgres_array *array);

/* Rows of an answer. */
struct postgres_rows {
    const struct postgres_library *pq;
    PGresult *result;
    int count;
};
#define POSTGRES_ROWS_AUTO __attribute__((cleanup(postgres_rows_finish)))
void postgres_rows_finish(struct postgres_rows *rows);
bool postgres_is_null(const struct postgres_rows *rows, int row, int column);
int64_t postgres_int(const struct postgres_rows *rows, int row, int column);    // bool, int4, int8
struct str postgres_str(const struct postgres_rows *rows, int row, int column); // borrowed
struct str postgres_copy(const struct postgres_rows *rows, int row, int column,
                         struct arena *arena);

/* A connection for the caller alone. S0007. */
struct postgres_link *postgres_borrow(struct postgres_store *store, struct error *err)
    __attribute__((warn_unused_result));
/* Rolls back what is open; a broken connection is closed. */
void postgres_give_back(struct postgres_store *store, struct postgres_link *link);
/* One statement on a borrowed connection. `ret` may be NULL. */
bool postgres_run(struct postgres_store *store, struct postgres_link *link,
                  enum postgres_statement which, const struct postgres_args *args,
                  struct postgres_rows *ret, struct error *err) __attribute__((warn_unused_result));
/* One statement that is a transaction, on any connection; again after a deadlock, and a READ after
 * a lost connection. */
bool postgres_call(struct postgres_store *store, enum postgres_statement which,
                   const struct postgres_args *args, struct postgres_rows *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Several statements in one text, for the schema. */
bool postgres_script(struct postgres_store *store, struct postgres_link *link, const char *text,
                     struct error *err) __attribute__((warn_unused_result));
void postgres_links_finish(struct postgres_store *store);

/* ---- postgres_error.c ---- */
/* Sets err from an SQLSTATE ("" = none known) and what the server or the library said. */
bool postgres_error(const struct postgres_store *store, const char *state, const char *said,
                    struct error *err);
/* Did a transaction fail only because of others at the same time? */
bool postgres_is_retryable(const char *state);
/* The SQLSTATE in a verbose message of a failed attempt to connect, or "". */
void postgres_state_of(const char *said, char ret[6]);

/* ---- postgres_sequencer.c ---- */
/* Something was written that has a leaf. */
void postgres_note_leaf(struct postgres_store *store);
/* All leaves that are there get their positions. `wait` false: unless another process is at it.
 * `force`: commits even if there is none, so that all that was committed before is durable. */
bool postgres_sequence(struct postgres_store *store, bool wait, bool force, struct error *err)
    __attribute__((warn_unused_result));
void postgres_stop_sequencer(struct postgres_store *store);

/* ---- the verbs ---- */
extern const struct store_backend postgres_backend;
int64_t postgres_host_ms(const struct postgres_store *store);
/* S0003 when the store was opened to be looked at. */
bool postgres_may_write(const struct postgres_store *store, struct error *err);
/* What stands in a leaf when `body` makes it too long; empty when it cannot. */
struct str postgres_cut(struct arena *arena, struct str body);

enum store_result postgres_verb_accept(struct store *, const struct store_event *, size_t, bool *,
                                       struct error *);
enum store_result postgres_verb_create(struct store *, enum remediation_kind,
                                       const struct store_match *, struct str, int64_t *,
                                       struct error *);
enum store_result postgres_verb_end_leases(struct store *, const struct store_claim *, size_t,
                                           struct error *);
enum store_result postgres_verb_claim(struct store *, size_t, int64_t, int64_t,
                                      struct store_claim *, size_t *, int64_t *, struct error *);
bool postgres_verb_owns(struct store *, int64_t, int64_t);
enum store_result postgres_verb_get(struct store *, int64_t, struct arena *, struct remediation *,
                                    struct error *);
enum store_result postgres_verb_advance(struct store *, const struct store_transition *, size_t,
                                        bool, size_t *, struct error *);
enum store_result postgres_verb_flush(struct store *, struct error *);
enum store_result postgres_verb_record(struct store *, struct str, struct str, struct error *);
enum store_result postgres_verb_vote(struct store *, const struct store_ballot *, bool *,
                                     struct error *);
enum store_result postgres_verb_void_approval(struct store *, int64_t, struct str, struct str,
                                              struct error *);
enum store_result postgres_verb_see_policies(struct store *, const struct store_policy_seen *,
                                             size_t, size_t *, struct error *);
enum store_result postgres_verb_approval(struct store *, int64_t, struct arena *,
                                         struct store_approval *, struct error *);
/* ---- postgres_permits.c ---- */
/* Nine arguments: the permits and the cohort of the one transition that has any. */
void postgres_add_permits(struct postgres_args *args, const struct store_transition *list,
                          size_t count);
enum store_result postgres_verb_guards(struct store *, const struct store_guard_query *,
                                       struct arena *, struct store_guards *, struct error *);
enum store_result postgres_verb_breaker_set(struct store *, struct str, int64_t, struct str,
                                            struct error *);
enum store_result postgres_verb_plan_tasks(struct store *, const struct store_task_plan *, size_t,
                                           struct error *);
enum store_result postgres_verb_take_task(struct store *, struct str, int64_t, struct arena *,
                                          struct store_task *, int64_t *, struct error *);
enum store_result postgres_verb_end_task(struct store *, const struct store_task *,
                                         const struct store_task_end *, struct error *);
enum store_result postgres_verb_get_task(struct store *, struct str, struct arena *,
                                         struct store_task *, struct error *);
enum store_result postgres_verb_counted(struct store *, struct str, struct str, int64_t,
                                        struct error *);
enum store_result postgres_verb_rollout_set(struct store *, const struct store_rollout_change *,
                                            struct error *);
enum store_result postgres_verb_policies(struct store *, struct arena *, struct store_policy **,
                                         size_t *, struct error *);
enum store_result postgres_verb_set_note(struct store *, const struct store_note *, struct str,
                                         struct str, struct error *);
enum store_result postgres_verb_get_notes(struct store *, struct store_note *, size_t,
                                          struct arena *, struct error *);
enum store_result postgres_verb_list_notes(struct store *, struct str, struct arena *,
                                           struct store_note **, size_t *, struct error *);
enum store_result postgres_verb_list(struct store *, const struct store_filter *, struct arena *,
                                     struct remediation **, size_t *, struct error *);
enum store_result postgres_verb_counts(struct store *, int64_t *, struct error *);
enum store_result postgres_verb_leaves(struct store *, int64_t, int64_t, size_t, struct arena *,
                                       struct store_leaf **, size_t *, struct error *);
enum store_result postgres_verb_checkpoint(struct store *, struct store_checkpoint *,
                                           struct error *);

/* ---- postgres_outbox.c ---- */
void postgres_add_notices(struct postgres_args *args, const struct store_notice *notices,
                          size_t count); // five arrays
enum store_result postgres_verb_tell(struct store *, int64_t, const struct store_notice *, size_t,
                                     struct error *);
enum store_result postgres_verb_take_notices(struct store *, int64_t, struct arena *,
                                             struct store_sending *, struct error *);
enum store_result postgres_verb_give_notices(struct store *, const struct store_sending *, int64_t,
                                             const struct store_sent *, size_t, struct error *);
enum store_result postgres_verb_notices(struct store *, const struct store_notice_filter *,
                                        struct arena *, struct store_notice_row **, size_t *,
                                        struct error *);

#endif
