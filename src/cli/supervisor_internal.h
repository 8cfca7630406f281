// SPDX-License-Identifier: Apache-2.0
/* What the daemon tells the service manager that started it: systemd's notify protocol
 * (sd_notify(3), "Notes") by hand, a datagram to the Unix socket in NOTIFY_SOCKET. Without one
 * nothing is sent. One thread. */
#ifndef RECTIFY_CLI_SUPERVISOR_INTERNAL_H
#define RECTIFY_CLI_SUPERVISOR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* "READY=1\nSTATUS=...". False: nobody asked, or nobody listens. */
bool supervisor_tell(const char *text);
/* How often a sign of life is due: half of what the manager waits for (WATCHDOG_USEC, when
 * WATCHDOG_PID is this process or not given). 0 = none is wanted. */
int64_t supervisor_watchdog_ms(void);

#endif
