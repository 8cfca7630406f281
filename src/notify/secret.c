// SPDX-License-Identifier: Apache-2.0
/* Secrets out of files and the environment, at each use: a changed one counts at once. */
#include "notify/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/limits.h"

static bool read_file(struct str path, struct arena *arena, struct str *ret, struct error *err)
{
    char text[LIMIT_SECRET_BYTES + 2];
    struct str name = str_copy(arena, path);
    int fd = name.ptr ? open(name.ptr, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text) : -1;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (len < 0)
        return error_set(err, "W0001", "the secret in %.*s cannot be read: %s", STR_FMT(path),
                         strerror(why));
    *ret = str_copy(arena, (struct str){text, (size_t)len});
    hash_wipe(text, sizeof text);
    return ret->ptr || error_set(err, "W0001", "out of memory reading a secret");
}

bool secret_read(struct secret secret, struct arena *arena, struct str *ret, struct error *err)
{
    struct str text, name = str_copy(arena, secret.env);
    if (secret.file.len) {
        if (!read_file(secret.file, arena, &text, err))
            return false;
    } else {
        const char *value = secret.env.len && name.ptr ? getenv(name.ptr) : NULL;
        if (!value)
            return error_set(err, "W0001", "the environment has no %.*s", STR_FMT(secret.env));
        text = str_from(value);
    }
    text = str_trim(text);
    if (text.len == 0 || text.len > LIMIT_SECRET_BYTES)
        return error_set(err, "W0002", "the secret in %.*s%.*s %s", STR_FMT(secret.file),
                         STR_FMT(secret.env), text.len ? "is longer than 4,096 bytes" : "is empty");
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ')
            return error_set(err, "W0002", "the secret in %.*s%.*s has more than one line",
                             STR_FMT(secret.file), STR_FMT(secret.env));
    *ret = text;
    return true;
}
