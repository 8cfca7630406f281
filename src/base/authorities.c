// SPDX-License-Identifier: Apache-2.0
/* See authorities.h. */
#include "base/authorities.h"

#include <stddef.h>
#include <unistd.h>

const char *authorities_file(void)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine
        "/etc/pki/tls/certs/ca-bundle.crt",                  // Red Hat, Amazon Linux
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // what that links to
        "/etc/ssl/ca-bundle.pem",                            // SUSE
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return places[0];
}
