// SPDX-License-Identifier: Apache-2.0
/* rectify as AWS Lambda's runtime: invocations are taken from the runtime API one after the other,
 * all on the caller's thread, as between two of them the process is frozen.
 *
 *   next ─► open the store ─► accept ─► work on what is due ─► close the store ─► response or error
 *
 * An invocation brings an event (EventBridge's envelope, a CloudTrail record, a file of them), a
 * batch of SQS messages, or a schedule's tick, which brings nothing, wakes what is due and does the
 * scans that are. It is answered only when what it brought is durable; of a batch exactly the
 * messages that are not are named (ReportBatchItemFailures). What is left when the time is nearly
 * over stays due in the store for the next invocation.
 *
 * The runtime API is "Using the Lambda runtime API for custom runtimes" (2018-06-01) of AWS's
 * documentation. It is always spoken to directly, never through a proxy. Errors B0xxx. */
#ifndef RECTIFY_LAMBDA_LAMBDA_H
#define RECTIFY_LAMBDA_LAMBDA_H

#include "engine/sources.h"
#include "net/net.h"

struct lambda_runtime {  // all of it borrowed
    const char *address; // AWS_LAMBDA_RUNTIME_API: host:port
    struct net *net;
    const struct clock *clock;
};

struct lambda_host {                // what invocations are worked on with; borrowed
    struct engine *engine;          // its store is set between open and close only
    struct engine_sources *sources; // of that engine
    const struct notify *notify;    // by which people are told
    struct engine_house *house;     // zeroed at the start
    /* Nothing is held while the process is frozen: no lock, no lease, no connection to a database.
     */
    bool (*open)(void *ctx, struct error *err);
    void (*close)(void *ctx);
    void *ctx;
};

/* Serves until the runtime API is gone, or answers what only a new process can mend. Always false:
 * the reason is in `err` (B0001 it cannot be reached, B0002 it refuses, B0003 what it says is not
 * understood). */
bool lambda_serve(const struct lambda_runtime *runtime, const struct lambda_host *host,
                  struct error *err);
/* Says that invocations cannot be served, and why; the process has to end then. False: it could not
 * be said. */
bool lambda_cannot_start(const struct lambda_runtime *runtime, const struct error *why);

#endif
