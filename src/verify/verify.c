// SPDX-License-Identifier: Apache-2.0
/* See verify.h. The pauses follow the EC2 guide's advice for eventual consistency. */
#include "verify/verify.h"

enum verify_result verify_compare(enum verdict verdict, struct str fingerprint_now,
                                  struct str fingerprint_before)
{
    switch (verdict) {
    case VERDICT_COMPLIANT:
        return VERIFY_HELD;
    case VERDICT_GONE:
        return VERIFY_GONE;
    case VERDICT_UNREAD:
        return VERIFY_UNREAD;
    case VERDICT_VIOLATION:
        break;
    }
    return str_eq(fingerprint_now, fingerprint_before) ? VERIFY_STALE : VERIFY_FOREIGN;
}

const char *verify_result_name(enum verify_result result)
{
    static const char *const names[] = {"held", "stale", "foreign", "gone", "unread"};
    return names[result];
}

int64_t verify_pause_ms(int attempt)
{
    int64_t pause = 2000;
    if (attempt <= 0)
        return 0;
    while (--attempt > 0 && pause < 60000)
        pause *= 2;
    return pause < 60000 ? pause : 60000;
}
