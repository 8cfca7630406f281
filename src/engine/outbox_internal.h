// SPDX-License-Identifier: Apache-2.0
/* One turn of sending, for threads and for simulators. */
#ifndef RECTIFY_ENGINE_OUTBOX_INTERNAL_H
#define RECTIFY_ENGINE_OUTBOX_INTERNAL_H

#include "engine/engine.h"

enum outbox_turn { OUTBOX_IDLE, OUTBOX_SENT, OUTBOX_FAILED };
/* Takes a channel, sends one message, gives it back. OUTBOX_IDLE: nothing was due, the next is at
 * *ret_next_ms. OUTBOX_FAILED: the store did, err is set. */
enum outbox_turn outbox_turn(struct engine *engine, const struct notify *notify,
                             struct arena *scratch, int64_t *ret_next_ms, struct error *err);

#endif
