// SPDX-License-Identifier: Apache-2.0
/* Where this machine keeps the certificates of the authorities that it trusts. Any thread. */
#ifndef RECTIFY_BASE_AUTHORITIES_H
#define RECTIFY_BASE_AUTHORITIES_H

/* The file with all of them (PEM): the first place of Debian's, Red Hat's and Amazon Linux's,
 * SUSE's and Alpine's that can be read; Debian's when none can. Static. */
const char *authorities_file(void);

#endif
