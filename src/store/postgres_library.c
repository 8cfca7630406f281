// SPDX-License-Identifier: Apache-2.0
/* Loads libpq and finds the few functions that the backend calls. With it come TLS, Kerberos and
 * LDAP libraries that no start with SQLite should pay for. */
#include "store/postgres_internal.h"

#include <dlfcn.h>

#define LIBRARY "libpq.so.5"

static bool find(void *library, const char *name, void **ret, struct error *err)
{
    *ret = dlsym(library, name);
    return *ret || error_set(err, "S0002", "%s has no %s", LIBRARY, name);
}

static bool load(struct postgres_library *ret, struct error *err)
{
    struct postgres_library pq;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        error_set(err, "S0002", "a PostgreSQL store needs libpq: %s", dlerror());
        return error_hint(err, "on Debian: apt-get install libpq5");
    }
    bool ok = true;
#define POSTGRES_FIND(name) ok = ok && find(library, "PQ" #name, (void **)&pq.name, err);
    POSTGRES_FUNCTIONS(POSTGRES_FIND)
#undef POSTGRES_FIND
    dlclose(library); // RTLD_NODELETE keeps it
    if (ok)
        *ret = pq;
    return ok;
}

const struct postgres_library *postgres_load(struct error *err)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct postgres_library library; // filled once, then only read
    static bool loaded;
    pthread_mutex_lock(&mutex);
    loaded = loaded || load(&library, err);
    bool ok = loaded;
    pthread_mutex_unlock(&mutex);
    return ok ? &library : NULL;
}
