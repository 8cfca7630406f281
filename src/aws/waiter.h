// SPDX-License-Identifier: Apache-2.0
/* What the models' waiters say: after an answer, is the state reached, failed for good, or to be
 * asked for again? Waiting itself is the caller's: a row, not a thread.
 *
 * Source: botocore's waiter model version 2 (matchers path, pathAll, pathAny, status, error). */
#ifndef RECTIFY_AWS_WAITER_H
#define RECTIFY_AWS_WAITER_H

#include "aws/aws.h"

enum aws_wait {
    AWS_WAIT_REACHED,
    AWS_WAIT_FAILED, // a state from which it will not be reached
    AWS_WAIT_ERROR,  // an error that no acceptor takes: botocore gives up
    AWS_WAIT_AGAIN,  // after `delay_s`, if attempts are left
};

struct aws_waiter {
    struct str operation; // name within the service
    int64_t delay_s, attempts_max;
    struct value acceptors;
};

/* A waiter of the operation's service that asks this operation. A0329 with "did you mean" when
 * there is none. */
bool aws_waiter_find(const struct aws_operation *operation, struct str name, struct aws_waiter *ret,
                     struct error *err) __attribute__((warn_unused_result));
/* The names of the waiters that ask this operation, in `arena`. */
bool aws_waiter_list(const struct aws_operation *operation, struct arena *arena, struct str **ret,
                     size_t *ret_count) __attribute__((warn_unused_result));
/* Of its document. A0329 when malformed. */
bool aws_waiter_read(struct value document, struct aws_waiter *ret, struct error *err)
    __attribute__((warn_unused_result));

/* An answer as waiters see it: an output, or a service's error. */
struct aws_waited {
    struct value output;
    struct str error; // the service's code, empty = none
    int status;
};
/* Does this acceptor take the answer? */
bool aws_acceptor_matches(struct value acceptor, const struct aws_waited *answer,
                          struct arena *arena);
enum aws_wait aws_waiter_judge(const struct aws_waiter *waiter, const struct aws_waited *answer,
                               struct arena *arena);

#endif
