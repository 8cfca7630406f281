// SPDX-License-Identifier: Apache-2.0
/* ENSURE(condition): an invariant, checked in every build. The condition has no side effects.
 * A false one is a defect in rectify itself: it is printed and the process aborts, which the
 * journal is made to survive. Input from outside is validated with errors, never with this. */
#ifndef RECTIFY_BASE_ENSURE_H
#define RECTIFY_BASE_ENSURE_H

_Noreturn void ensure_failed(const char *condition, const char *file, int line);

#define ENSURE(condition) ((condition) ? (void)0 : ensure_failed(#condition, __FILE__, __LINE__))

#endif
