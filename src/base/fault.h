// SPDX-License-Identifier: Apache-2.0
/* Named points at which a test kills or stops the process, as a power cut or a paused machine
 * would, or does something of its own. In release builds (RECTIFY_FAULTS not defined) nothing of it
 * is left.
 *
 * RECTIFY_FAULT="calling.written" kills at the first pass of that point, "calling.written:3" at the
 * third, "calling.written:3:stop" stops it there (SIGSTOP) instead. The points are `<state>.write`
 * (before a transition into the state is given to the store), `<state>.written` (behind it), `send`
 * (in the gate: the request is signed, nothing has been asked), `gate` (it has answered, nothing is
 * sent) and `sent`. */
#ifndef RECTIFY_BASE_FAULT_H
#define RECTIFY_BASE_FAULT_H

#include <stdint.h>

#ifdef RECTIFY_FAULTS
void fault_point(const char *subject, const char *moment); // moment may be ""
/* Called at each point, by the thread that passes it. NULL takes it away. Not while threads run. */
void fault_set_hook(void (*hook)(void *ctx, const char *subject, const char *moment), void *ctx);
/* A time that a test may shorten: the variable's value in ms, else `normal`. */
int64_t fault_ms(const char *variable, int64_t normal);
#else
static inline void fault_point(const char *subject, const char *moment)
{
    (void)subject;
    (void)moment;
}
static inline int64_t fault_ms(const char *variable, int64_t normal)
{
    (void)variable;
    return normal;
}
#endif

#endif
