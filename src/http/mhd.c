// SPDX-License-Identifier: Apache-2.0
/* Loads libmicrohttpd and finds the few functions that the server calls. */
#include "http/mhd_internal.h"

#include <dlfcn.h>

#define LIBRARY "libmicrohttpd.so.12"

static bool find(void *library, const char *name, void **ret, struct error *err)
{
    *ret = dlsym(library, name);
    return *ret || error_set(err, "H0013", "%s has no %s", LIBRARY, name);
}

bool mhd_load(struct mhd *ret, struct error *err)
{
    struct mhd mhd = {.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)};
    if (!mhd.library) {
        error_set(err, "H0013", "the daemon needs libmicrohttpd: %s", dlerror());
        return error_hint(err, "on Debian: apt-get install libmicrohttpd12");
    }
    bool ok = true;
#define MHD_FIND(name) ok = ok && find(mhd.library, "MHD_" #name, (void **)&mhd.name, err);
    MHD_FUNCTIONS(MHD_FIND)
#undef MHD_FIND
    dlclose(mhd.library); // RTLD_NODELETE keeps it
    if (ok)
        *ret = mhd;
    return ok;
}
