// SPDX-License-Identifier: Apache-2.0
/* What intake needs of others: a scratch of the detector for each call, and a place to remember who
 * made a resource. */
#ifndef RECTIFY_ENGINE_RULES_INTERNAL_H
#define RECTIFY_ENGINE_RULES_INTERNAL_H

#include "engine/engine.h"

/* For one thread at a time; NULL when out of memory. The set is held meanwhile. */
struct detect_scratch *rules_borrow_scratch(struct engine_set *set);
void rules_return_scratch(struct engine_set *set, struct detect_scratch *scratch);

/* When `event` ("s3:CreateBucket") makes it and an exemption of the policy rests on its name; the
 * note is durable when it returns. */
bool engine_note_maker(struct engine *engine, const struct policy *policy, struct str resource,
                       struct str event, struct str actor, struct arena *arena, struct error *err)
    __attribute__((warn_unused_result));

#endif
