// SPDX-License-Identifier: Apache-2.0
/* The sequencer: leaves that transitions left behind get their positions in the log, and the tree
 * grows. Whoever has locked head's row is the only one in the whole fleet; the lock is the lease,
 * and it ends with the transaction or with its connection. Each process that writes has a thread
 * that tries, soon after it wrote, and now and then for what a dead process left.
 *
 *   leaf 41, 42, 44 (43 is not committed) ─► record n, n+1, n+2      43 gets its position later
 *
 * Leaves of one remediation keep their order: its row is locked while each gets its number. */
#include "store/postgres_internal.h"

#include <time.h>

#include "base/log.h"
#include "tree/tree.h"

struct batch {
    struct tree tree;
    struct sha256 root;
    struct postgres_args args; // of the SEQUENCE statement, until it is sent
    int64_t count;
};

static bool read_head(struct postgres_store *store, const struct postgres_rows *rows,
                      struct tree *ret, struct error *err)
{
    int64_t size = postgres_int(rows, 0, 0);
    struct str peaks = postgres_str(rows, 0, 1);
    size_t count = size < 0 ? SIZE_MAX : tree_peak_count((uint64_t)size);
    *ret = (struct tree){.size = (uint64_t)size};
    if (count > TREE_PATH_MAX || peaks.len != count * HASH_SHA256_SIZE)
        return error_set(err, "S0003",
                         "%s is damaged: the log's head has another size than it says",
                         store->label);
    memcpy(ret->peaks, peaks.ptr, peaks.len);
    return true;
}

/* The next leaves, hashed into the tree; their ids and the new head become the arguments. */
static bool gather(struct postgres_store *store, struct postgres_link *link, struct batch *batch,
                   struct error *err)
{
    POSTGRES_ARGS_AUTO struct postgres_args limit = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    int64_t from = (int64_t)batch->tree.size;
    postgres_add_int(&limit, POSTGRES_SEQUENCE_MAX);
    if (!postgres_run(store, link, POSTGRES_LEAF_BATCH, &limit, &rows, err))
        return false;
    struct postgres_array ids = postgres_array(&batch->args, POSTGRES_INT8);
    for (int i = 0; i < rows.count; i++) {
        struct str bytes = postgres_str(&rows, i, 1);
        struct sha256 hash = {0};
        if (bytes.len != sizeof hash.bytes)
            return error_set(err, "S0003", "%s is damaged: a leaf's hash has %zu bytes",
                             store->label, bytes.len);
        memcpy(hash.bytes, bytes.ptr, sizeof hash.bytes);
        tree_append(&batch->tree, hash);
        postgres_push_int8(&ids, postgres_int(&rows, i, 0));
    }
    batch->count = rows.count;
    batch->root = tree_root(&batch->tree);
    size_t peaks = tree_peak_count(batch->tree.size) * HASH_SHA256_SIZE;
    postgres_add_int(&batch->args, postgres_host_ms(store));
    postgres_add_int(&batch->args, from);
    postgres_add_array(&batch->args, &ids);
    postgres_add_bytes(&batch->args, (struct str){(char *)batch->root.bytes, HASH_SHA256_SIZE});
    postgres_add_bytes(&batch->args, (struct str){(char *)batch->tree.peaks, peaks});
    return true;
}

static bool move_batch(struct postgres_store *store, struct postgres_link *link,
                       struct batch *batch, bool force, struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows moved = {0};
    if (!gather(store, link, batch, err))
        return false;
    if (batch->count == 0 && !force)
        return true;
    if (!postgres_run(store, link, POSTGRES_SEQUENCE, &batch->args, &moved, err))
        return false;
    if (postgres_int(&moved, 0, 0) != batch->count)
        return error_set(err, "S0003", "%s: leaves were taken away while they were sequenced",
                         store->label);
    return postgres_run(store, link, POSTGRES_COMMIT, NULL, NULL, err);
}

/* One transaction. *ret_more: perhaps there are others. */
static bool sequence_some(struct postgres_store *store, bool wait, bool force, bool *ret_more,
                          struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows head = {0};
    struct batch batch = {0};
    struct postgres_link *link = postgres_borrow(store, err);
    *ret_more = false;
    if (!link)
        return false;
    bool ok =
        postgres_run(store, link, POSTGRES_BEGIN, NULL, NULL, err) &&
        postgres_run(store, link, wait ? POSTGRES_HEAD_WAIT : POSTGRES_HEAD_TRY, NULL, &head, err);
    if (ok && head.count) {
        ok = read_head(store, &head, &batch.tree, err) &&
             move_batch(store, link, &batch, force, err);
        *ret_more = batch.count == POSTGRES_SEQUENCE_MAX;
    } else if (ok && wait) {
        ok = error_set(err, "S0003", "%s is damaged: the log has no head", store->label);
    }
    postgres_give_back(store, link); // rolls back what is not committed
    postgres_args_finish(&batch.args);
    return ok;
}

static bool any_leaf(struct postgres_store *store, bool *ret, struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    if (!postgres_call(store, POSTGRES_UNSEQUENCED, NULL, &rows, err))
        return false;
    *ret = rows.count > 0;
    return true;
}

bool postgres_sequence(struct postgres_store *store, bool wait, bool force, struct error *err)
{
    bool more = true;
    if (!force && !any_leaf(store, &more, err))
        return false;
    while (more)
        if (!sequence_some(store, wait, force, &more, err))
            return false;
    return true;
}

/* ---- the thread ---- */

static void purge(struct postgres_store *store)
{
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    struct error err;
    postgres_add_int(&args, postgres_host_ms(store));
    postgres_add_int(&args, STORE_KEY_KEPT_MS);
    if (!postgres_call(store, POSTGRES_PURGE, &args, NULL, &err))
        log_line(LOG_WARN, "old events were not forgotten: %s", err.message);
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Under the mutex, which is let go meanwhile. */
static void sequence_once(struct postgres_store *store, bool *said)
{
    struct error err;
    store->unsequenced = false;
    pthread_mutex_unlock(&store->sequencer_mutex);
    bool ok = postgres_sequence(store, false, false, &err);
    bool left = true; // also when another is at it, who may die
    if (ok)
        ok = any_leaf(store, &left, &err);
    if (!ok && !*said)
        log_line(LOG_ERROR, "records wait for their place in the log: %s", err.message);
    *said = !ok;
    pthread_mutex_lock(&store->sequencer_mutex);
    store->unsequenced = store->unsequenced || left;
}

static void *sequencer(void *arg)
{
    struct postgres_store *store = arg;
    struct timespec due_purge = in_ms(POSTGRES_PURGE_MS);
    bool said = false;
    pthread_mutex_lock(&store->sequencer_mutex);
    while (!store->closing) {
        struct timespec now = in_ms(0);
        struct timespec until = in_ms(store->unsequenced ? POSTGRES_SEQUENCE_MS : POSTGRES_IDLE_MS);
        bool hurry = store->unsequenced;
        while (!store->closing && hurry == store->unsequenced &&
               pthread_cond_timedwait(&store->sequencer_wake, &store->sequencer_mutex, &until) == 0)
            continue;
        if (store->closing || (!hurry && store->unsequenced))
            continue; // written just now: gathers company first
        sequence_once(store, &said);
        if (now.tv_sec >= due_purge.tv_sec) {
            due_purge = in_ms(POSTGRES_PURGE_MS);
            pthread_mutex_unlock(&store->sequencer_mutex);
            purge(store);
            pthread_mutex_lock(&store->sequencer_mutex);
        }
    }
    pthread_mutex_unlock(&store->sequencer_mutex);
    return NULL;
}

void postgres_note_leaf(struct postgres_store *store)
{
    pthread_mutex_lock(&store->sequencer_mutex);
    if (!store->sequencer_started)
        store->sequencer_started =
            pthread_create(&store->sequencer, NULL, sequencer, store) == 0; // else: the next tries
    if (!store->unsequenced)
        pthread_cond_signal(&store->sequencer_wake);
    store->unsequenced = true;
    pthread_mutex_unlock(&store->sequencer_mutex);
}

void postgres_stop_sequencer(struct postgres_store *store)
{
    struct error ignored;
    pthread_mutex_lock(&store->sequencer_mutex);
    store->closing = true;
    bool started = store->sequencer_started, left = store->unsequenced;
    pthread_cond_signal(&store->sequencer_wake);
    pthread_mutex_unlock(&store->sequencer_mutex);
    if (!started)
        return;
    pthread_join(store->sequencer, NULL);
    if (left && !postgres_sequence(store, false, false, &ignored))
        log_line(LOG_WARN, "the last records get their place in the log from the next process");
}
