// SPDX-License-Identifier: Apache-2.0
/* Sockets to listen on. Both functions give a descriptor (owned by the caller) or -1. */
#ifndef RECTIFY_HTTP_LISTEN_INTERNAL_H
#define RECTIFY_HTTP_LISTEN_INTERNAL_H

#include "base/error.h"

/* Numeric addresses only. `ret_address` says the one in effect. H0010, H0011, H0012. */
int listen_tcp(const char *address, char *ret_address, size_t size, struct error *err);
/* Mode 0600; replaces what is at `path`. H0012, H0014. */
int listen_unix(const char *path, struct error *err);
/* Who is at the other end of a connection to a Unix socket: true for our own user and root. */
bool listen_peer(int fd, unsigned *ret_uid);

#endif
