// SPDX-License-Identifier: Apache-2.0
/* Events in, matches out. An event is a hint, never a proof: it says which resource to look at.
 *
 * detect_reader cuts a stream (bare CloudTrail records, {"Records": [...]}, EventBridge envelopes,
 * one or many, JSON lines or not, plain, gzip or zstd) into single events; detect_event() puts a
 * bare record into its envelope, matches it against all policies in one pass and names the
 * resources. Errors T0xxx. */
#ifndef RECTIFY_DETECT_DETECT_H
#define RECTIFY_DETECT_DETECT_H

#include "policy/policy.h"

/* ---- cutting a stream into events ---- */

struct detect_reader;
/* Reads from a descriptor (borrowed). */
struct detect_reader *detect_reader_create(int fd, struct error *err)
    __attribute__((warn_unused_result));
/* Reads a text that is not packed (borrowed, never copied). */
struct detect_reader *detect_reader_create_text(struct str text, struct error *err)
    __attribute__((warn_unused_result));
void detect_reader_destroy(struct detect_reader *reader);
enum detect_read { DETECT_READ_EVENT, DETECT_READ_END, DETECT_READ_BAD };
/* The next event's text, borrowed until the next call. BAD: this piece is no event (err says why,
 * by position in the stream); reading goes on behind it. */
enum detect_read detect_reader_next(struct detect_reader *reader, struct str *ret_text,
                                    struct error *err) __attribute__((warn_unused_result));

/* Bytes taken from the descriptor so far, packed as they may be; 0 for a text. */
uint64_t detect_reader_taken(const struct detect_reader *reader);
/* Is nothing but white space left of what has been read, so that the next event has to be waited
 * for? */
bool detect_reader_must_wait(const struct detect_reader *reader);

/* A bare CloudTrail record (eventSource, eventName) becomes the text of an envelope around it, in
 * `arena`; an envelope, or anything else, stays what it is. `text` is known to be JSON, an object;
 * of duplicate keys the last one counts. False: out of memory. */
bool detect_wrap(struct str text, struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- matching ---- */

struct detector; // immutable, shared by threads
struct detector *detector_create(const struct policy_set *policies, struct error *err)
    __attribute__((warn_unused_result));
void detector_destroy(struct detector *detector);

/* False: detect_event() would find no match in this text, whatever it is (it may be no event at
 * all). True: it may. Reads the text at several GB/s; for those who only want matches. */
bool detect_may_match(const struct detector *detector, struct str text);

struct detect_scope { // which accounts and regions a source may speak for
    const struct str *accounts;
    size_t account_count; // 0 = any
    const struct str *regions;
    size_t region_count; // 0 = any
};

struct detect_match {
    const struct policy *policy;
    struct policy_assignment assignment;
    struct str resource; // canonical key
    struct str region;
};

struct detect_result {
    struct str key;        // exact-redelivery key: the event's id and the resources that it names
    struct str name;       // "s3:CreateBucket"
    struct str request_id; // of the API call; may be empty
    struct value event;    // {id, name, time, source, actor, ip}: what is kept of it
    struct detect_match *matches;
    size_t match_count;
    struct str *notes; // one a match that named no usable resource: why
    size_t note_count;
};

struct detect_scratch; // one a thread
struct detect_scratch *detect_scratch_create(const struct detector *detector);
void detect_scratch_destroy(struct detect_scratch *scratch);

/* False: not an acceptable event (malformed, too large, unknown envelope, foreign account or
 * region); to be quarantined with `err`. Policies that are off in the event's account do not match.
 */
bool detect_event(const struct detector *detector, struct detect_scratch *scratch, struct str text,
                  const struct detect_scope *scope, int64_t now_ms, struct arena *arena,
                  struct detect_result *ret, struct error *err) __attribute__((warn_unused_result));

#endif
