// SPDX-License-Identifier: Apache-2.0
/* What the files of replay/ share. */
#ifndef RECTIFY_REPLAY_REPLAY_INTERNAL_H
#define RECTIFY_REPLAY_REPLAY_INTERNAL_H

#include "replay/replay.h"

/* ---- what there is to do (work.c) ---- */

#define REPLAY_PART_BYTES (2u << 20) // a large plain file is cut into such parts

struct replay_unit { // a file, or a part of one
    const char *path;
    uint64_t from, to; // bytes as stored; the parts of a file do not overlap
    bool is_part;
};

struct replay_work {
    struct arena arena;
    struct replay_unit *units;
    size_t count, cap;
    uint64_t files, passed_over, bytes;
};

/* Finds the files of `paths`. `work` is zeroed; finish it whatever the answer. */
bool replay_work_find(struct replay_work *work, const char *const *paths, size_t count,
                      struct error *err) __attribute__((warn_unused_result));
void replay_work_finish(struct replay_work *work);

/* A thread's bytes of one part. Zeroed is valid; free(ptr) when done. */
struct replay_bytes {
    char *ptr;
    size_t cap;
};
/* The text that belongs to a part: from the first boundary in it to the first behind it. Empty when
 * no boundary is in it. */
bool replay_read_part(const struct replay_unit *unit, struct replay_bytes *bytes,
                      struct str *ret_text, struct error *err) __attribute__((warn_unused_result));
/* Position of the first line that begins an object right behind a line that ended one, at or behind
 * `from`, or SIZE_MAX. Between such lines no object of well-formed JSON is open: a comma would be
 * needed, and a string holds no line break. */
size_t replay_boundary(struct str text, size_t from);

/* ---- what was found (tally.c) ---- */

enum replay_side { REPLAY_NOW = 1, REPLAY_BEFORE = 2 };

struct replay_tally;
/* At most `max` distinct matches. Any number of threads may add. */
struct replay_tally *replay_tally_create(size_t max);
void replay_tally_destroy(struct replay_tally *tally);
struct replay_match {
    enum replay_side side;
    struct str policy, account, actor, day;
    struct str event_key, resource;
};
/* *ret_fresh: not seen before on this side. */
bool replay_tally_add(struct replay_tally *tally, const struct replay_match *match, bool *ret_fresh,
                      struct error *err) __attribute__((warn_unused_result));
/* Fills the policies (those named before, with or without a match) and rows. */
bool replay_tally_name(struct replay_tally *tally, struct str policy, enum replay_side side)
    __attribute__((warn_unused_result));
bool replay_tally_result(struct replay_tally *tally, struct arena *arena, struct replay_result *ret)
    __attribute__((warn_unused_result));

#endif
