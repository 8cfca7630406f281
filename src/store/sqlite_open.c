// SPDX-License-Identifier: Apache-2.0
/* Opening and closing: the lock file, the connection's settings, the schema, the checks of the
 * head.
 *
 * The connection is in WAL mode with locking_mode=EXCLUSIVE: no shared memory file, no lock calls,
 * and no second connection of any process can read, write or checkpoint (docs/decisions/0002). The
 * lock file is what other rectify processes see, because it can name the owner. */
#include "store/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ensure.h"
#include "base/log.h"

/* Small pieces of memory that statements take and give back: the 45 prepared ones keep some 200. */
#define LOOKASIDE_BYTES 512
#define LOOKASIDE_SLOTS 600
#define APPLICATION_ID 0x52656374 // "Rect", in the file's header
#define TAIL_CHECKED 1024u        // leaves re-hashed into the smallest peak at open, at most

const struct store_backend sqlite_backend;

/* ---- the lock file ---- */

/* The lock file: the owner's pid, and how long the log has to be (sqlite_anchor()). */
static void read_lock(const struct sqlite_store *store, long *ret_pid, uint64_t *ret_anchor)
{
    char text[64] = {0};
    char *rest = text;
    *ret_pid = 0;
    *ret_anchor = 0;
    if (pread(store->lock_fd, text, sizeof text - 1, 0) <= 0)
        return;
    *ret_pid = strtol(text, &rest, 10);
    if (*rest == '\n')
        *ret_anchor = strtoull(rest + 1, NULL, 10);
}

static bool owned_by_another(struct sqlite_store *store, struct error *err)
{
    long pid;
    uint64_t ignored;
    read_lock(store, &pid, &ignored);
    if (pid)
        error_set(err, "S0001", "%s is in use by process %ld", store->path, pid);
    else
        error_set(err, "S0001", "%s is in use by another process", store->path);
    return error_hint(err,
                      "ask that process (rectify's commands do so through its socket), or stop it");
}

/* Who owns it is for people, and need not outlive the power; what stands behind it is not touched.
 * False: there is no line of that length yet. */
static bool write_owner(const struct sqlite_store *store)
{
    char old[SQLITE_OWNER_SIZE] = {0}, owner[32];
    int len = snprintf(owner, sizeof owner, SQLITE_OWNER_FORMAT, (long)getpid());
    return pread(store->lock_fd, old, sizeof old, 0) == SQLITE_OWNER_SIZE &&
           memchr(old, '\n', sizeof old) == old + sizeof old - 1 && len == SQLITE_OWNER_SIZE &&
           pwrite(store->lock_fd, owner, SQLITE_OWNER_SIZE, 0) == SQLITE_OWNER_SIZE;
}

static bool open_lock(struct sqlite_store *store, struct error *err)
{
    char name[4096];
    long ignored;
    if (snprintf(name, sizeof name, "%s.lock", store->path) >= (int)sizeof name)
        return error_set(err, "S0002", "the store's path is too long");
    store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0) {
        bool unwritable = errno == EACCES || errno == EROFS || errno == ENOSPC || errno == EPERM;
        error_set(err, unwritable ? "S0004" : "S0002", "cannot open %s: %s", name, strerror(errno));
        return error_hint(err, errno == ENOENT ? "make the folder first"
                                               : "rectify needs to write in that folder");
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return owned_by_another(store, err);
    read_lock(store, &ignored, &store->anchor);
    return write_owner(store) || sqlite_set_anchor(store, store->anchor, err);
}

/* ---- the connection ---- */

static bool exec(struct sqlite_store *store, const char *sql, struct error *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    return sql_error(store, err);
}

/* One number out of a statement that gives one. */
static bool query_number(struct sqlite_store *store, const char *sql, int64_t *ret,
                         struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    bool ok =
        sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) == SQLITE_OK || sql_error(store, err);
    ok = ok && sql_row(store, stmt, &row, err);
    if (ok)
        *ret = row ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return ok;
}

/* What opening itself writes need not wait for the disk: it is there with the first that does, or
 * done again by the next to open. From end_leases() on every commit waits (synchronous = FULL). */
static bool open_connection(struct sqlite_store *store, bool in_memory, struct error *err)
{
    if (!in_memory) { // made by us, so that nobody else may read it
        int fd = open(store->path, O_RDWR | (store->to_look ? 0 : O_CREAT) | O_CLOEXEC, 0600);
        if (fd < 0)
            return error_set(err, errno == EISDIR || errno == ENOENT ? "S0002" : "S0004",
                             "cannot open %s: %s", store->path, strerror(errno));
        close(fd);
    }
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(store->path, &store->db, flags, NULL) != SQLITE_OK) {
        if (!store->db)
            return error_set(err, "S0002", "cannot open %s: out of memory", store->path);
        return sql_error(store, err);
    }
    sqlite3_extended_result_codes(store->db, 0);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_BYTES, LOOKASIDE_SLOTS);
    sqlite3_busy_timeout(store->db, 5000);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return exec(store,
                "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON;"
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 2000;"
                "PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY",
                err);
}

/* ---- the schema ---- */

/* Applies the steps that lead from `version` to ours, in one transaction; 0 is an empty file. */
static bool make_schema(struct sqlite_store *store, int64_t version, struct error *err)
{
    char sql[128];
    bool ok = exec(store, "BEGIN IMMEDIATE", err);
    for (const struct sqlite_step *step = sqlite_steps; ok && step->sql; step++) {
        if (step->from != version)
            continue;
        ok = exec(store, step->sql, err);
        version = step->to;
    }
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d",
             SQLITE_SCHEMA_VERSION, APPLICATION_ID);
    ENSURE(!ok || version == SQLITE_SCHEMA_VERSION);
    return ok && exec(store, sql, err) && exec(store, "COMMIT", err);
}

/* Is there a step that begins at this version? */
static bool is_known(int64_t version)
{
    for (const struct sqlite_step *step = sqlite_steps; step->sql; step++)
        if (step->from == version)
            return true;
    return version == SQLITE_SCHEMA_VERSION;
}

static bool ensure_schema(struct sqlite_store *store, struct error *err)
{
    int64_t version, tables, application;
    if (!query_number(store, "PRAGMA user_version", &version, err) ||
        !query_number(store, "PRAGMA application_id", &application, err) ||
        !query_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err))
        return false;
    if (version > SQLITE_SCHEMA_VERSION) {
        error_set(err, "S0005",
                  "%s was written by a newer rectify (its schema is %" PRId64
                  ", this one knows %d)",
                  store->path, version, SQLITE_SCHEMA_VERSION);
        return error_hint(err, "use that version, or another file");
    }
    if (tables == 0 && !store->to_look)
        return make_schema(store, 0, err);
    if (application != APPLICATION_ID)
        return error_set(err, "S0002", "%s is a database, but not one of rectify's", store->path);
    if (!is_known(version) || (store->to_look && version < SQLITE_SCHEMA_VERSION))
        return error_set(err, "S0005", "%s has the schema of an older version: %lld, here %d",
                         store->path, (long long)version, SQLITE_SCHEMA_VERSION);
    return version == SQLITE_SCHEMA_VERSION || make_schema(store, version, err);
}

/* ---- the head of the log ---- */

static bool damaged(struct sqlite_store *store, const char *what, struct error *err)
{
    error_set(err, "S0003", "%s is damaged: %s", store->path, what);
    return error_hint(err, "`rectify audit verify` on a copy says where; restore a backup");
}

static bool read_head(struct sqlite_store *store, struct sha256 *ret_root, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    bool ok = sqlite3_prepare_v2(store->db,
                                 "SELECT size, peaks, at_ms, wall_ms, instance, root "
                                 "FROM head",
                                 -1, &stmt, NULL) == SQLITE_OK ||
              sql_error(store, err);
    ok = ok && sql_row(store, stmt, &row, err) && (row || damaged(store, "it has no head", err));
    if (ok) {
        int64_t size = sqlite3_column_int64(stmt, 0);
        size_t count = size < 0 ? SIZE_MAX : tree_peak_count((uint64_t)size);
        size_t bytes = (size_t)sqlite3_column_bytes(stmt, 1);
        ok = (count <= TREE_PATH_MAX && bytes == count * HASH_SHA256_SIZE &&
              sqlite3_column_bytes(stmt, 5) == HASH_SHA256_SIZE) ||
             damaged(store, "the log's head has another size than it says", err);
        if (ok) {
            store->tree.size = (uint64_t)size;
            if (bytes)
                memcpy(store->tree.peaks, sqlite3_column_blob(stmt, 1), bytes);
            store->committed_ms = sqlite3_column_int64(stmt, 2);
            store->wall_max = sqlite3_column_int64(stmt, 3);
            store->instance = sqlite3_column_int64(stmt, 4) + 1;
            memcpy(ret_root->bytes, sqlite3_column_blob(stmt, 5), HASH_SHA256_SIZE);
        }
    }
    sqlite3_finalize(stmt);
    return ok;
}

/* Re-derives the rightmost peak from its leaves, where it is small; the whole log is `audit
 * verify`'s. */
static bool check_tail(struct sqlite_store *store, struct error *err)
{
    uint64_t size = store->tree.size, width = size & (0 - size);
    struct tree tail = {0};
    if (size == 0 || width > TAIL_CHECKED)
        return true;
    sqlite3_stmt *stmt = sql_get(store, STATEMENT_LEAVES, err);
    if (!stmt)
        return false;
    sqlite3_bind_int64(stmt, 1, (int64_t)(size - width));
    sqlite3_bind_int64(stmt, 2, (int64_t)width);
    bool row, ok;
    while ((ok = sql_row(store, stmt, &row, err)) && row)
        tree_append(&tail, tree_hash_leaf(sql_text(stmt, 1)));
    sqlite3_reset(stmt);
    return ok &&
           ((tail.size == width &&
             tree_hash_equal(tail.peaks[0], store->tree.peaks[tree_peak_count(size) - 1])) ||
            damaged(store, "the last audit records are not those that its head was made of", err));
}

static bool load_counts(struct sqlite_store *store, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    bool ok = sqlite3_prepare_v2(store->db, "SELECT state, count FROM state_count", -1, &stmt,
                                 NULL) == SQLITE_OK ||
              sql_error(store, err);
    while (ok && (ok = sql_row(store, stmt, &row, err)) && row) {
        enum state state;
        if (state_parse(sql_text(stmt, 0), &state))
            store->counts[state] = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    return ok;
}

/* Nobody owned the file: every lease in it belonged to a process that is dead by now, so that it
 * signed nothing after this moment, nor after its lease's own end. The earlier of the two is where
 * the grace of calling, unknown and undoing rows starts (released_ms). */
static bool end_leases(struct sqlite_store *store, struct error *err)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "UPDATE remediation SET released_ms = min(lease_end_ms, %" PRId64
             "), lease_end_ms = 0 "
             "WHERE active = 1 AND lease_end_ms > 0",
             clock_wall_ms(store->clock));
    char instance[96];
    snprintf(instance, sizeof instance, "UPDATE head SET instance = %" PRId64, store->instance);
    return exec(store, "BEGIN IMMEDIATE", err) && exec(store, sql, err) &&
           exec(store, instance, err) && exec(store, "UPDATE channel SET free_ms = 0", err) &&
           exec(store, "COMMIT; PRAGMA synchronous = FULL", err);
}

/* An older copy of the file came back: what was approved in it may have been carried out since. */
static bool void_if_restored(struct sqlite_store *store, struct error *err)
{
    if (store->anchor <= store->tree.size)
        return true;
    log_line(LOG_WARN, "%s is an older copy of itself: what was approved in it is asked again",
             store->path);
    return exec(store,
                "BEGIN IMMEDIATE; UPDATE remediation SET due_ms = 0 WHERE state = 'asking';"
                "UPDATE approval SET consumed = 1; COMMIT",
                err) &&
           sqlite_set_anchor(store, store->tree.size, err);
}

static bool load(struct sqlite_store *store, struct error *err)
{
    struct sha256 root = {0};
    int64_t next;
    if (!read_head(store, &root, err) || !load_counts(store, err))
        return false;
    if (store->to_look) {
        store->tree_committed = store->tree;
        store->root_committed = root;
        return true;
    }
    if (!query_number(store, "SELECT coalesce(max(position) + 1, 0) FROM record", &next, err))
        return false;
    if ((uint64_t)next != store->tree.size)
        return damaged(store, "the audit log is not as long as its head says", err);
    if (!tree_hash_equal(tree_root(&store->tree), root))
        return damaged(store, "the log's head does not give its own root", err);
    if (!check_tail(store, err) || !end_leases(store, err) || !void_if_restored(store, err))
        return false;
    store->tree_committed = store->tree;
    store->root_committed = root;
    memcpy(store->counts_committed, store->counts, sizeof store->counts);
    return true;
}

/* ---- open, close ---- */

static void finish(struct sqlite_store *store)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    if (store->lock_fd >= 0)
        close(
            store->lock_fd); // the lock goes with it; the file stays, or a third process could race
    arena_finish(&store->scratch);
    free(store->leases.slots);
    pthread_mutex_destroy(&store->leases.mutex);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->flusher_wake);
    free(store->path);
    free(store);
}

static void verb_close(struct store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct error ignored;
    sqlite_stop_flusher(store);
    (void)sqlite_verb_flush(base, &ignored);
    finish(store);
}

/* Before SQLite's first use in the process, else without effect: counting every allocation costs a
 * mutex each. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct store *sqlite_open(const char *path, const struct clock *clock, bool to_look,
                          struct error *err)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    bool in_memory = strcmp(path, ":memory:") == 0;
    pthread_once(&configured, configure);
    struct sqlite_store *store = calloc(1, sizeof *store);
    if (!store || !(store->path = strdup(path))) {
        free(store);
        error_set(err, "S0002", "cannot open %s: out of memory", path);
        return NULL;
    }
    store->base.backend = &sqlite_backend;
    store->clock = clock;
    store->to_look = to_look;
    store->lock_fd = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->flusher_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_mutex_init(&store->leases.mutex, NULL);
    if ((!in_memory && !open_lock(store, err)) || !open_connection(store, in_memory, err) ||
        !ensure_schema(store, err) || !load(store, err)) {
        finish(store);
        return NULL;
    }
    return &store->base;
}

const struct store_backend sqlite_backend = {
    .close = verb_close,
    .accept = sqlite_verb_accept,
    .create = sqlite_verb_create,
    .claim = sqlite_verb_claim,
    .end_leases = sqlite_verb_end_leases,
    .get = sqlite_verb_get,
    .owns = sqlite_verb_owns,
    .advance = sqlite_verb_advance,
    .flush = sqlite_verb_flush,
    .record = sqlite_verb_record,
    .vote = sqlite_verb_vote,
    .void_approval = sqlite_verb_void_approval,
    .see_policies = sqlite_verb_see_policies,
    .approval = sqlite_verb_approval,
    .guards = sqlite_verb_guards,
    .breaker_set = sqlite_verb_breaker_set,
    .plan_tasks = sqlite_verb_plan_tasks,
    .take_task = sqlite_verb_take_task,
    .end_task = sqlite_verb_end_task,
    .get_task = sqlite_verb_get_task,
    .counted = sqlite_verb_counted,
    .rollout_set = sqlite_verb_rollout_set,
    .policies = sqlite_verb_policies,
    .set_note = sqlite_verb_set_note,
    .get_notes = sqlite_verb_get_notes,
    .list_notes = sqlite_verb_list_notes,
    .list = sqlite_verb_list,
    .counts = sqlite_verb_counts,
    .leaves = sqlite_verb_leaves,
    .checkpoint = sqlite_verb_checkpoint,
    .tell = sqlite_verb_tell,
    .take_notices = sqlite_verb_take_notices,
    .give_notices = sqlite_verb_give_notices,
    .notices = sqlite_verb_notices,
};
