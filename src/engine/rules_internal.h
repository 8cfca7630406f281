// SPDX-License-Identifier: Apache-2.0
/* What intake needs of a set of rules: a scratch of its detector for each call. */
#ifndef RECTIFY_ENGINE_RULES_INTERNAL_H
#define RECTIFY_ENGINE_RULES_INTERNAL_H

#include "engine/engine.h"

/* For one thread at a time; NULL when out of memory. The set is held meanwhile. */
struct detect_scratch *rules_borrow_scratch(struct engine_set *set);
void rules_return_scratch(struct engine_set *set, struct detect_scratch *scratch);

#endif
