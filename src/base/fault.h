// SPDX-License-Identifier: Apache-2.0
/* Named points at which a test kills the process, as a power cut would. In release builds
 * (RECTIFY_FAULTS not defined) nothing of it is left.
 *
 * RECTIFY_FAULT="calling.written" kills at the first pass of that point, "calling.written:3" at the
 * third. The points are `<state>.write` (before a transition into the state is given to the store),
 * `<state>.written` (behind it), `send` (in the gate, the request is signed) and `sent`. */
#ifndef RECTIFY_BASE_FAULT_H
#define RECTIFY_BASE_FAULT_H

#ifdef RECTIFY_FAULTS
void fault_point(const char *subject, const char *moment); // moment may be ""
#else
static inline void fault_point(const char *subject, const char *moment)
{
    (void)subject;
    (void)moment;
}
#endif

#endif
