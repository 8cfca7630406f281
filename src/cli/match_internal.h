// SPDX-License-Identifier: Apache-2.0
/* What match.c (what is asked) and match_stream.c (events going through) share. */
#ifndef RECTIFY_CLI_MATCH_INTERNAL_H
#define RECTIFY_CLI_MATCH_INTERNAL_H

#include "cli/cli.h"
#include "pattern/pattern.h"

enum { MATCH_SOME = 0, MATCH_NONE = 1, MATCH_ERROR = 2 }; // exit codes, as grep's

/* Tag of the pattern that only CloudTrail's records match: they may have to be wrapped. */
#define MATCH_RECORD UINT32_MAX

struct match_job {
    const struct pattern_set *set; // tags: positions in `names`, and MATCH_RECORD
    const struct str *names;       // NULL: one pattern without a name, events are printed
    size_t name_count;             // patterns
    bool invert, count;
    unsigned threads; // 0: everything in the calling one
    const char *file; // for messages, "" = standard input
    bool progress;    // a line on standard error now and then
};

struct match_totals {
    uint64_t events, selected, refused;
    uint64_t *by_name; // matches of each pattern, name_count of them
};

/* Matches every event of `fd`, printing to standard output in their order and complaining on
 * standard error. Adds to *totals. False: memory or threads ran out. */
bool match_stream(const struct match_job *job, int fd, struct match_totals *totals,
                  struct error *err) __attribute__((warn_unused_result));

/* One event as match_stream() matches it: wrapped if it is a record. */
bool match_event(const struct pattern_set *set, struct pattern_scratch *scratch, struct str text,
                 struct arena *arena, struct str *ret_text, const uint32_t **ret_tags,
                 size_t *ret_count, struct error *err) __attribute__((warn_unused_result));

#endif
