// SPDX-License-Identifier: Apache-2.0
/* See fault.h. */
#include "base/fault.h"

#ifdef RECTIFY_FAULTS
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fault_point(const char *subject, const char *moment)
{
    static atomic_int passed;
    char name[64];
    const char *wanted = getenv("RECTIFY_FAULT");
    if (!wanted)
        return;
    snprintf(name, sizeof name, "%s%s%s", subject, moment[0] ? "." : "", moment);
    for (char *p = name; *p; p++)
        if (*p == ' ')
            *p = '-';
    size_t len = strlen(name);
    if (strncmp(wanted, name, len) != 0 || (wanted[len] && wanted[len] != ':'))
        return;
    int pass = wanted[len] ? atoi(wanted + len + 1) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == pass)
        raise(SIGKILL);
}
#endif
