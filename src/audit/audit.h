// SPDX-License-Identifier: Apache-2.0
/* The audit log, looked at from outside: is it what its head says, and what would a third party
 * keep?
 *
 * The store writes a leaf with every transition and keeps the tree's head with every commit
 * (store/store.h, tree/tree.h). Here the whole log is read again, every hash recomputed, and the
 * tree compared with the stored head and, if there is one, with a checkpoint kept elsewhere. What
 * only that can show: a log whose end was cut off, or replaced, together with its head. Any thread.
 */
#ifndef RECTIFY_AUDIT_AUDIT_H
#define RECTIFY_AUDIT_AUDIT_H

#include "store/store.h"

struct audit_result {
    bool good;
    int64_t size;       // leaves of the log
    struct sha256 root; // recomputed over them
    int64_t first_bad;  // index of the first leaf that is wrong, missing or not covered; -1 = the
                       // leaves agree among themselves, but are not those of the head or checkpoint
    char problem[256]; // one line for people, "" when good
};

/* `done` of `total` leaves are checked; called every few thousand. */
typedef void (*audit_progress)(void *ctx, int64_t done, int64_t total);

/* Reads the durable log and compares. `earlier` (may be NULL): a checkpoint of this log taken
 * before. What is written meanwhile is not looked at. False only when the store could not be read;
 * a log that was tampered with is a result, not an error. Cost: one hash a leaf and one a node. */
bool audit_verify(struct store *store, const struct store_checkpoint *earlier,
                  audit_progress progress, void *ctx, struct audit_result *ret, struct error *err)
    __attribute__((warn_unused_result));

/* The body of a C2SP tlog-checkpoint: origin, size and base64 root, a line each. Unsigned. `origin`
 * has no line break. */
struct str audit_checkpoint_text(struct str origin, const struct store_checkpoint *checkpoint,
                                 struct arena *arena);
/* Reads such a text (further lines, which a signed one has, are ignored); origin is borrowed.
 * U0001. */
bool audit_checkpoint_parse(struct str text, struct str *ret_origin, struct store_checkpoint *ret,
                            struct error *err) __attribute__((warn_unused_result));

/* One line a leaf, in order from leaf `from`, without line break:
 * {"hash":"<hex>","index":n,"leaf":{...}}. Stops when `write` returns false. */
typedef bool (*audit_write)(void *ctx, struct str line);
bool audit_export(struct store *store, int64_t from, audit_write write, void *ctx,
                  struct error *err) __attribute__((warn_unused_result));

#endif
