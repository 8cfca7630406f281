// SPDX-License-Identifier: Apache-2.0
/* HTTP/1.1 client: a caller sends and waits on its own thread, with a connection of its own out of
 * a common pool, so a request costs one send and one receive and no switch of threads. Connections
 * are kept per host, TLS 1.2 or newer is always verified, no redirects, answers bounded by
 * LIMIT_ANSWER_BYTES, one total deadline. Any thread may call. OpenSSL's TLS half and the
 * certificates are loaded at the first https request. A kept connection that proves dead is
 * replaced; a request that may have begun to leave is sent again for GET and HEAD only.
 * Proxies: http_proxy, https_proxy (or HTTPS_PROXY), all_proxy, no_proxy as curl reads them,
 * http:// proxies only, never for link-local addresses. Errors: N0001 out of memory. */
#ifndef RECTIFY_NET_NET_H
#define RECTIFY_NET_NET_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

struct net;

struct net_options {
    const struct clock *clock;
    const char *ca_file; // file or folder; NULL = AWS_CA_BUNDLE, else the system's
};

struct net *net_create(const struct net_options *options, struct error *err)
    __attribute__((warn_unused_result));
/* Running requests, and all that come from here on, end as NET_CANCELLED. */
void net_stop(struct net *net);
void net_destroy(struct net *net); // stops it and waits for running requests

struct net_header {
    struct str name, value;
};

struct net_request {
    struct str method;
    struct str url; // http or https; sent as is (no path normalisation)
    const struct net_header *headers;
    size_t header_count;
    struct str body;
    int64_t deadline_ms;        // steady clock
    int64_t connect_timeout_ms; // name, connection, TLS; 0 = 3,100
    struct str unix_socket;     // path of a Unix socket to speak to instead, empty = none
    bool direct;                // never through a proxy: the peer is this machine's own
    /* Only to an address of the public Internet: every other one that the name has is passed over
     * (loopback, private, link-local, metadata, multicast). Through a proxy it is the proxy's
     * matter. */
    bool public_only;
    /* Asked on the caller's thread when the connection stands and before the first byte is written.
     * False = the request ends as NET_GATED with `gate_reason`. A yes that took longer than 10 ms
     * is asked for again: the process may have been stopped since. */
    bool (*gate)(void *ctx, char *reason, size_t reason_size);
    void *gate_ctx;
};

enum net_outcome {
    NET_ANSWERED,  // status, headers, body are set
    NET_NOT_SENT,  // no connection, name, TLS: not a byte of the request left
    NET_GATED,     // the gate said no
    NET_UNKNOWN,   // bytes left, no whole answer came
    NET_TOO_LARGE, // the answer is over the limit (the request was processed)
    NET_CANCELLED,
};

struct net_answer {
    enum net_outcome outcome;
    int status;
    const struct net_header *headers; // names as received
    size_t header_count;
    struct str body;
    char reason[256]; // for people, when not NET_ANSWERED
};

/* Blocks until answered or over. `ret` is always set; what it points to is in `arena`. */
void net_request(struct net *net, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret);
/* Value of a header, case-insensitively; empty when missing. */
struct str net_answer_header(const struct net_answer *answer, struct str name);

#endif
