// SPDX-License-Identifier: Apache-2.0
/* libmicrohttpd, loaded on first use and never unloaded: with it come TLS libraries that no command
 * but the daemon should pay for. */
#ifndef RECTIFY_HTTP_MHD_INTERNAL_H
#define RECTIFY_HTTP_MHD_INTERNAL_H

#include <microhttpd.h>

#include "base/error.h"

#define MHD_FUNCTIONS(X)                                                                           \
    X(start_daemon)                                                                                \
    X(quiesce_daemon)                                                                              \
    X(stop_daemon)                                                                                 \
    X(create_response_from_buffer)                                                                 \
    X(add_response_header)                                                                         \
    X(queue_response)                                                                              \
    X(destroy_response)                                                                            \
    X(lookup_connection_value)                                                                     \
    X(get_connection_values)                                                                       \
    X(get_connection_info)

struct mhd {
    void *library;
#define MHD_MEMBER(name) __typeof__(&MHD_##name) name;
    MHD_FUNCTIONS(MHD_MEMBER)
#undef MHD_MEMBER
};

/* H0013 when the library or a function of it is not there. */
bool mhd_load(struct mhd *ret, struct error *err) __attribute__((warn_unused_result));

#endif
