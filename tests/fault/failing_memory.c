// SPDX-License-Identifier: Apache-2.0
/* Preloaded into a program: from the allocation with the number FAIL_AT on (1 is the first),
 * FAIL_FOR of them find no memory. At a normal end the number of all goes to the file FAIL_COUNT.
 * What libfyaml needs to read a document is left alone and not counted: it follows pointers to
 * memory that it did not get. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_long allocations;
static long first, last; // those that fail; 0 = none
static _Thread_local bool spared;

static long number_in(const char *variable, long otherwise)
{
    const char *text = getenv(variable);
    return text ? strtol(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
    atomic_store(&allocations, 0);
    last = number_in("FAIL_AT", 0) + number_in("FAIL_FOR", 1) - 1;
    first = number_in("FAIL_AT", 0);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAIL_COUNT");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (file < 0)
        return;
    dprintf(file, "%ld\n", atomic_load(&allocations));
    close(file);
}

static bool fails(void)
{
    if (spared)
        return false;
    long number = atomic_fetch_add(&allocations, 1) + 1;
    if (first == 0 || number < first || number > last)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    *ret = memory;
    return 0;
}

typedef void *document_builder(const void *config, const char *text, size_t size);
document_builder fy_document_build_from_string;

void *fy_document_build_from_string(const void *config, const char *text, size_t size)
{
    document_builder *real = (document_builder *)dlsym(RTLD_NEXT, "fy_document_build_from_string");
    spared = true;
    void *document = real(config, text, size);
    spared = false;
    return document;
}
