// SPDX-License-Identifier: Apache-2.0
/* See fault.h. */
#include "base/fault.h"

#ifdef RECTIFY_FAULTS
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*hook)(void *ctx, const char *subject, const char *moment);
static void *hook_ctx;

void fault_set_hook(void (*new_hook)(void *ctx, const char *subject, const char *moment), void *ctx)
{
    hook = new_hook;
    hook_ctx = ctx;
}

int64_t fault_ms(const char *variable, int64_t normal)
{
    const char *text = getenv(variable);
    return text ? strtoll(text, NULL, 10) : normal;
}

void fault_point(const char *subject, const char *moment)
{
    static atomic_int passed;
    char name[64];
    const char *wanted = getenv("RECTIFY_FAULT");
    if (hook)
        hook(hook_ctx, subject, moment);
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
    if (atomic_fetch_add(&passed, 1) + 1 != pass)
        return;
    raise(strstr(wanted, ":stop") ? SIGSTOP : SIGKILL); // to this thread, for the whole process
}
#endif
