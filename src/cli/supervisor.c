// SPDX-License-Identifier: Apache-2.0
/* See supervisor_internal.h. */
#include "cli/supervisor_internal.h"

#include "base/str.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool supervisor_tell(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return false;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') // Linux's abstract names begin with a NUL
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(fd);
    return sent == (ssize_t)strlen(text);
}

int64_t supervisor_watchdog_ms(void)
{
    int64_t usec, pid;
    const char *for_pid = getenv("WATCHDOG_PID");
    if (!str_to_int64(str_from(getenv("WATCHDOG_USEC")), &usec) || usec <= 0)
        return 0;
    if (for_pid && (!str_to_int64(str_from(for_pid), &pid) || pid != getpid()))
        return 0;
    return usec / 2000 > 0 ? usec / 2000 : 1;
}
