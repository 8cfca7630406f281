// SPDX-License-Identifier: Apache-2.0
/* Replay: weeks of CloudTrail history through the policies' detection, offline, on all cores. It
 * answers "what would have matched", per policy, account, actor and day, and, against another
 * policy set, what matches more and what less. No store, no call to AWS: detection is detect/'s,
 * the same code that the daemon runs, so failed calls never match and policies that are off in an
 * account do not either. Nothing is decided: a match says which resource would have been looked at.
 *
 * Work is cut by file, and within a large plain file where a line ends one object and the next
 * begins one, so that threads share it. Copies of one event (CloudTrail delivers some twice) count
 * once. An event that cannot match is not parsed; whether it is otherwise well formed is then not
 * looked at. Errors Y0xxx. */
#ifndef RECTIFY_REPLAY_REPLAY_H
#define RECTIFY_REPLAY_REPLAY_H

#include "detect/detect.h"

struct replay_progress {
    uint64_t bytes, bytes_total; // as stored; total 0 = not known (standard input)
    uint64_t events, matches;
};

struct replay_options {
    const struct policy_set *policies;
    const struct policy_set *against; // NULL = none
    const char *const *paths;         // files, folders, "-" for standard input
    size_t path_count;
    const struct detect_scope *scope; // NULL = any account
    unsigned threads;                 // 0 = one a core
    int64_t now_ms;                   // wall clock, what `now` is for expressions under `detect`
    /* Called by the calling thread about ten times a second. NULL = never. */
    void (*progress)(void *ctx, const struct replay_progress *progress);
    void *progress_ctx;
};

/* Counts of one policy over all history. With `against`: `matches` are the new set's, `before` the
 * old one's, `more` those only the new set has, `less` those only the old one has. */
struct replay_policy {
    struct str name;
    uint64_t matches, before, more, less;
    uint64_t resources; // distinct ones that `matches` name
    bool is_new, is_gone;
};

struct replay_row { // one policy, account, actor and day with at least one match
    struct str policy, account, actor, day;
    uint64_t matches, before;
};

struct replay_result {
    uint64_t files, files_passed_over; // by their name no event files, or digests
    uint64_t bytes, events;            // of events, unpacked
    uint64_t bad;                      // pieces that are no acceptable event
    uint64_t unnamed;                  // matches that named no usable resource
    struct error first_bad;            // when bad or unnamed
    struct replay_policy *policies;    // by name
    size_t policy_count;
    struct replay_row *rows; // by policy, account, actor, day
    size_t row_count;
};

/* Everything in `ret` is in `arena`. False: a path cannot be read, memory or a limit ran out. */
bool replay_run(const struct replay_options *options, struct arena *arena,
                struct replay_result *ret, struct error *err) __attribute__((warn_unused_result));

#endif
