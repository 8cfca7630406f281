// SPDX-License-Identifier: Apache-2.0
/* What plan and apply share: the plan's document.
 *
 *   {"format": "rectify-plan/1", "created", "expires", "expires_ms", "entries": [...], "summary",
 *    "hash": SHA-256 of the canonical JSON of all the rest}
 *
 * An entry is what engine_preview() says of one policy and one resource, or {policy, resource,
 * error}. Canonical JSON, so that the same plan is the same file. One thread. */
#ifndef RECTIFY_CLI_PLAN_INTERNAL_H
#define RECTIFY_CLI_PLAN_INTERNAL_H

#include "cli/desk.h"
#include "cli/running_internal.h"

#define PLAN_FORMAT "rectify-plan/1"

/* What a command asks previews and repairs of: an engine of its own, whose store is the desk's or,
 * where the daemon owns it, none. 0, or the exit code; what went wrong has been printed. */
int plan_open(struct running *r, struct desk *desk, const struct cli_options *options);
void plan_close(struct running *r, struct desk *desk);

/* Would something be done, now or once somebody says yes or a guard lets it? */
bool plan_entry_acts(struct value entry);
/* For people. */
void plan_print(struct buf *out, struct value document);
/* One entry of it. */
void plan_print_entry(struct buf *out, struct value entry);
/* The document without its hash, hashed. */
bool plan_hash(struct value document, struct arena *arena, char ret[65]);

#endif
