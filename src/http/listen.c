// SPDX-License-Identifier: Apache-2.0
/* Listening sockets of our own making, so that an address in use is told apart from any other
 * failure, and the socket in the state folder is never open to others, not even for a moment. */
#include "http/listen_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* "127.0.0.1:8787" or "[::1]:8787" in its two parts. */
static bool split_address(const char *address, char *host, size_t host_size, char *port,
                          size_t port_size, struct error *err)
{
    struct str all = str_from(address);
    const char *colon = strrchr(address, ':');
    struct str name = colon ? str_sub(all, 0, (size_t)(colon - address)) : (struct str){0};
    int64_t number = -1;
    if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = str_sub(name, 1, name.len - 2);
    else if (str_find_byte(name, ':') != SIZE_MAX)
        name.len = 0;
    if (name.len == 0 || name.len >= host_size || !str_to_int64(str_from(colon + 1), &number) ||
        number < 0 || number > 65535) {
        error_set(err, "H0010", "`%s` is not an address to listen on", address);
        return error_hint(err, "like 127.0.0.1:8787 or [::1]:8787");
    }
    snprintf(host, host_size, "%.*s", STR_FMT(name));
    snprintf(port, port_size, "%d", (int)number);
    return true;
}

static bool listen_failed(const char *address, struct error *err)
{
    if (errno == EADDRINUSE) {
        error_set(err, "H0011", "%s is in use by another program", address);
        return error_hint(err,
                          "--listen ADDRESS:PORT names another one, --listen none does without");
    }
    return error_set(err, "H0012", "cannot listen on %s: %s", address, strerror(errno));
}

static void format_address(int fd, char *ret, size_t size)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char host[INET6_ADDRSTRLEN] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return;
    if (at.ss_family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&at;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(ret, size, "[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    } else {
        struct sockaddr_in *four = (struct sockaddr_in *)&at;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(ret, size, "%s:%u", host, (unsigned)ntohs(four->sin_port));
    }
}

int listen_tcp(const char *address, char *ret_address, size_t size, struct error *err)
{
    char host[256], port[8];
    struct addrinfo *found = NULL;
    struct addrinfo want = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                            .ai_socktype = SOCK_STREAM};
    if (!split_address(address, host, sizeof host, port, sizeof port, err))
        return -1;
    if (getaddrinfo(host, port, &want, &found) != 0) {
        error_set(err, "H0010", "`%s` is not an address to listen on", address);
        error_hint(err, "a number like 127.0.0.1:8787 or [::1]:8787, not a name");
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    if (!ok)
        listen_failed(address, err);
    freeaddrinfo(found);
    if (ok) {
        format_address(fd, ret_address, size);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) {
        error_set(err, "H0014", "the path of the socket is longer than %zu bytes: %s",
                  sizeof at.sun_path - 1, path);
        error_hint(err, "--state DIR or RECTIFY_STATE name a shorter one");
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(path); // whoever owns the store owns the socket: this one is left over
    bool ok = fd >= 0 && fchmod(fd, 0600) == 0 && // the file is born with the socket's mode
              bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && chmod(path, 0600) == 0 &&
              listen(fd, BACKLOG) == 0;
    if (ok)
        return fd;
    listen_failed(path, err);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool listen_peer(int fd, unsigned *ret_uid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    *ret_uid = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid();
}
