// SPDX-License-Identifier: Apache-2.0
/* HTTP client: one thread at a time owns one curl_multi, callers block on it. The owner is one of
 * the callers (net_internal.h says how it changes hands), so a lone request costs no switch of
 * threads. Connections are kept per host, TLS 1.2 or newer is always verified, no redirects,
 * answers bounded by LIMIT_ANSWER_BYTES, one total deadline. Any thread may call. libcurl starts at
 * the first request. A kept connection that proves dead is replaced and the request sent again for
 * GET and HEAD only. Errors: N0001 out of memory, N0002 no descriptors. */
#ifndef RECTIFY_NET_NET_H
#define RECTIFY_NET_NET_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

struct net;

struct net_options {
    const struct clock *clock;
    int connections_per_host_max; // 0 = 128
    const char *ca_file;          // NULL = AWS_CA_BUNDLE, else the system's bundle
};

struct net *net_create(const struct net_options *options, struct error *err)
    __attribute__((warn_unused_result));
void net_destroy(struct net *net); // waits for running requests, which end as NET_CANCELLED

struct net_header {
    struct str name, value;
};

struct net_request {
    struct str method;
    struct str url; // sent as is (no path normalisation)
    const struct net_header *headers;
    size_t header_count;
    struct str body;
    int64_t deadline_ms;        // steady clock
    int64_t connect_timeout_ms; // 0 = 3,100
    struct str unix_socket;     // path of a Unix socket to speak to instead, empty = none
    /* Asked on the owner's thread when the connection stands and before the first byte is written
     * (CURLOPT_PREREQFUNCTION). False = the request ends as NET_GATED with `gate_reason`. */
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
