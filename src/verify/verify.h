// SPDX-License-Identifier: Apache-2.0
/* What reading back shows. A stale read-back is never a reason to undo. */
#ifndef RECTIFY_VERIFY_VERIFY_H
#define RECTIFY_VERIFY_VERIFY_H

#include "model/model.h"

enum verify_result {
    VERIFY_HELD,    // the policy is obeyed
    VERIFY_STALE,   // still exactly what was there before: not arrived yet, or without effect
    VERIFY_FOREIGN, // neither what was before nor obeying: another writer, or half an effect
    VERIFY_GONE,    // the resource does not exist any more
    VERIFY_UNREAD,
};
enum verify_result verify_compare(enum verdict verdict, struct str fingerprint_now,
                                  struct str fingerprint_before);
const char *verify_result_name(enum verify_result result);
/* Pause before reading back for the nth time (0 = first): at once, then 2 s, doubling, at most 60
 * s. */
int64_t verify_pause_ms(int attempt);

#endif
