// SPDX-License-Identifier: Apache-2.0
/* Who may decide. */
#ifndef RECTIFY_ENGINE_PEOPLE_INTERNAL_H
#define RECTIFY_ENGINE_PEOPLE_INTERNAL_H

#include "engine/engine.h"

struct people_verdict {
    struct str person; // the name that is the same on every channel
    const char *code;  // NULL: they may
    const char *why;   // else, for people
};
/* False: the store failed. */
bool people_may(struct engine *engine, const struct remediation *r, struct str identity,
                struct arena *arena, struct people_verdict *ret, struct error *err);
const struct person *people_find(const struct policy_set *set, struct str identity);

#endif
