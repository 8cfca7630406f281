// SPDX-License-Identifier: Apache-2.0
/* A server inside the test: a free port of loopback (or a Unix socket), one thread a connection,
 * and a function that answers each request as badly as the test wants. */
#ifndef RECTIFY_TESTS_NET_STUB_H
#define RECTIFY_TESTS_NET_STUB_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/str.h"

struct stub;

struct stub_request {
    struct stub *stub;
    int fd;
    unsigned number; // of this request at the server, from 1
    struct str head; // request line and headers, with the empty line
    struct str body;
};

/* Answers on request->fd. False closes the connection. */
typedef bool stub_answer(void *ctx, const struct stub_request *request);

struct stub *stub_start(stub_answer *answer, void *ctx);
struct stub *stub_start_unix(const char *path, stub_answer *answer, void *ctx);
void stub_stop(struct stub *stub);
int stub_port(const struct stub *stub);
unsigned stub_requests(const struct stub *stub);
unsigned stub_connections(const struct stub *stub);

/* Value of a request's header, or empty. */
struct str stub_header(const struct stub_request *request, const char *name);
/* Writes a whole answer with Content-Length. `extra` is header lines with line ends, or "". */
bool stub_reply(const struct stub_request *request, int status, const char *extra, struct str body);
/* Writes bytes; false when the peer is gone. */
bool stub_write(int fd, const void *data, size_t size);

#endif
