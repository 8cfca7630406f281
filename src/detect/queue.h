// SPDX-License-Identifier: Apache-2.0
/* An SQS queue as a source, and what its messages hold. Each function makes one call and blocks
 * until it is answered; none repeats one, waits, or holds anything between calls: that is the
 * engine's (engine/sources.h). Any thread. Errors T0xxx.
 *
 * Source: Amazon SQS Developer Guide (long polling, visibility timeout, batch actions); S3's "Event
 * message structure"; CloudTrail's "Configuring Amazon SNS notifications"; SNS's message formats.
 */
#ifndef RECTIFY_DETECT_QUEUE_H
#define RECTIFY_DETECT_QUEUE_H

#include "policy/policy.h"

/* ---- the queue ---- */

struct detect_queue {
    const struct policy_source *source; // of type sqs
    const struct aws_operation *receive, *remove, *extend;
};
/* `source` is borrowed. False: the models do not know SQS. */
bool detect_queue_open(struct detect_queue *ret, const struct policy_source *source,
                       struct aws_models *models, struct error *err)
    __attribute__((warn_unused_result));

#define DETECT_MESSAGES_MAX 10 // of one receive, and of a batch; SQS's own bound

struct detect_message {
    struct str id, handle, body;
    int receives; // how often it was handed out, with this time
};
/* Waits up to `wait_s` seconds for messages, which nobody else then sees for `visible_s`. What they
 * point to is in `arena`. *ret_count is 0 unless the answer is AWS_OK. */
void detect_queue_receive(const struct detect_queue *queue, struct aws_caller caller, int wait_s,
                          int visible_s, int64_t deadline_ms, struct arena *arena,
                          struct detect_message ret[DETECT_MESSAGES_MAX], size_t *ret_count,
                          struct aws_answer *ret_answer);
/* `done[i]` is set for each that is gone from the queue. At most DETECT_MESSAGES_MAX. */
void detect_queue_remove(const struct detect_queue *queue, struct aws_caller caller,
                         const struct detect_message *messages, size_t count, struct arena *arena,
                         bool *done, struct aws_answer *ret_answer);
/* Nobody else sees them for `visible_s` from now on. */
void detect_queue_extend(const struct detect_queue *queue, struct aws_caller caller,
                         const struct detect_message *messages, size_t count, int visible_s,
                         struct arena *arena, struct aws_answer *ret_answer);
/* Why a call did not do it: T0010, for people. Returns false. */
bool detect_queue_failed(const struct aws_answer *answer, const char *what, struct error *err);

/* ---- messages ---- */

struct detect_file { // an object in S3
    struct str bucket, key;
};

enum detect_content_kind {
    CONTENT_EVENTS,  // in any form that detect_reader takes, or nothing usable at all
    CONTENT_FILES,   // the announcement of files
    CONTENT_NOTHING, // S3's test message, and announcements of what is no new object
};
struct detect_content {
    enum detect_content_kind kind;
    struct str events;
    const struct detect_file *files;
    size_t file_count;
};
/* What a message holds: an EventBridge envelope, CloudTrail records, S3's announcement of objects,
 * CloudTrail's own, EventBridge's "Object Created" of one of the source's buckets (of any other it
 * is an event); each of them bare or as SNS wraps it. Points into `body` or `arena`. False: out of
 * memory, or more than LIMIT_ANNOUNCED_FILES (T0011). */
bool detect_content_read(struct str body, const struct policy_source *source, struct arena *arena,
                         struct detect_content *ret, struct error *err)
    __attribute__((warn_unused_result));
/* May the source announce files of this bucket? */
bool detect_bucket_listed(const struct policy_source *source, struct str bucket);

#endif
