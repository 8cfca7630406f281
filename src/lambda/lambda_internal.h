// SPDX-License-Identifier: Apache-2.0
/* What the files of lambda/ share. */
#ifndef RECTIFY_LAMBDA_LAMBDA_INTERNAL_H
#define RECTIFY_LAMBDA_LAMBDA_INTERNAL_H

#include "lambda/lambda.h"
#include "value/value.h"

enum invocation_kind {
    INVOCATION_EVENTS,   // anything else: whatever the intake makes of it
    INVOCATION_QUEUE,    // a batch of SQS messages
    INVOCATION_SCHEDULE, // the tick of a rule or of EventBridge Scheduler
};
struct invocation {
    enum invocation_kind kind;
    struct str text;       // as it came
    struct value messages; // of a batch: a list of maps with messageId and body
};
/* Never fails: what is no JSON is for the intake to set aside. */
void invocation_read(struct str text, struct arena *arena, struct invocation *ret);

/* Accepts what it brought and works until nothing is due or the engine's deadline is near. True:
 * `ret` is the answer, JSON. False: nothing of it is durable, or for a schedule, the work failed.
 */
bool invocation_run(const struct lambda_host *host, const struct invocation *invocation,
                    struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));

#endif
