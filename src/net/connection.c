// SPDX-License-Identifier: Apache-2.0
/* One connection: a socket that blocks with a time limit, and TLS over it. Belongs to one thread.
 *
 * The socket's own limit is NET_TICK_MS, or what is left until the deadline when that is less; it
 * is set anew only when the last one would sleep too long, so most requests set none. */
#include "net/net_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/hash.h"

/* ---- the socket ---- */

/* False: the deadline is over, or somebody stops us. */
static bool limit_wait(struct connection *connection)
{
    int64_t left_ms = connection->deadline_ms - clock_steady_ms(connection->net->clock);
    if (connection->net->stopping || left_ms <= 0) {
        connection->timed_out = true;
        connection->failure = "no whole answer within the deadline";
        return false;
    }
    int wanted_ms = left_ms < NET_TICK_MS ? (int)left_ms : NET_TICK_MS;
    if (connection->timeout_ms == NET_TICK_MS && wanted_ms == NET_TICK_MS)
        return true;
    struct timeval limit = {.tv_sec = wanted_ms / 1000, .tv_usec = wanted_ms % 1000 * 1000};
    if (setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0) {
        connection->failure = "the socket takes no time limit";
        return false;
    }
    connection->timeout_ms = wanted_ms;
    return true;
}

/* After a failed call: is it worth trying again? */
static bool go_on(struct connection *connection)
{
    if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)
        return true;
    connection->failure = errno == ECONNRESET || errno == EPIPE
                              ? "the connection was reset by the server"
                              : "the connection failed";
    return false;
}

ssize_t socket_send(struct connection *connection, const void *data, size_t size)
{
    while (limit_wait(connection)) {
        ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
        if (sent > 0) {
            connection->sent += (size_t)sent;
            return sent;
        }
        if (!go_on(connection))
            break;
    }
    return -1;
}

ssize_t socket_receive(struct connection *connection, void *data, size_t size)
{
    while (limit_wait(connection)) {
        ssize_t got = recv(connection->fd, data, size, 0);
        if (got >= 0)
            return got;
        if (!go_on(connection))
            break;
    }
    return -1;
}

bool connection_send(struct connection *connection, const void *data, size_t size)
{
    if (connection->ssl)
        return tls_send(connection, data, size);
    for (const char *at = data; size > 0;) {
        ssize_t sent = socket_send(connection, at, size);
        if (sent < 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

ssize_t connection_receive(struct connection *connection, void *data, size_t size)
{
    return connection->ssl ? tls_receive(connection, data, size)
                           : socket_receive(connection, data, size);
}

bool connection_is_stale(const struct connection *connection)
{
    char byte;
    ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* ---- opening ---- */

/* The pool's list of busy ones is how a stop reaches us, so a socket is in it from its birth. */
static void enlist(struct connection *connection, bool busy)
{
    struct net *net = connection->net;
    struct connections *list = &net->busy;
    pthread_mutex_lock(&net->lock);
    if (busy) {
        connection->prev = list->last;
        *(list->last ? &list->last->next : &list->first) = connection;
        list->last = connection;
        list->count++;
    } else {
        *(connection->prev ? &connection->prev->next : &list->first) = connection->next;
        *(connection->next ? &connection->next->prev : &list->last) = connection->prev;
        connection->prev = connection->next = NULL;
        list->count--;
    }
    pthread_mutex_unlock(&net->lock);
}

static void close_socket(struct connection *connection)
{
    enlist(connection, false);
    close(connection->fd);
    connection->fd = -1;
}

/* One address, within `until_ms`. */
static bool try_address(struct connection *connection, const struct address *address,
                        int64_t until_ms)
{
    int family = address->bytes.ss_family, one = 1;
    connection->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        return false;
    enlist(connection, true);
    if (family != AF_UNIX) {
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(connection->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    int64_t left_ms = until_ms - clock_steady_ms(connection->net->clock);
    struct timeval limit = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    connection->timeout_ms = 0;
    if (left_ms > 0 && !connection->net->stopping &&
        setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(connection->fd, (const struct sockaddr *)&address->bytes, address->size) == 0)
        return true;
    if (errno == EINPROGRESS || errno == EAGAIN || left_ms <= 0)
        errno = ETIMEDOUT;
    int kept = errno;
    close_socket(connection);
    errno = kept;
    return false;
}

static bool connect_unix(struct connection *connection, struct str path, char reason[256])
{
    struct address address = {.size = sizeof(struct sockaddr_un)};
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    if (path.len < sizeof(unix_address.sun_path)) {
        memcpy(unix_address.sun_path, path.ptr, path.len);
        memcpy(&address.bytes, &unix_address, sizeof(unix_address));
        if (try_address(connection, &address, connection->deadline_ms))
            return true;
    } else {
        errno = ENAMETOOLONG;
    }
    snprintf(reason, 256, "no connection to %.150s: %s", path.ptr, strerror(errno));
    return false;
}

/* Each address has its share of the time that is left. */
static bool connect_tcp(struct connection *connection, const struct target *target,
                        char reason[256])
{
    struct net *net = connection->net;
    struct address addresses[NET_ADDRESSES];
    size_t count = resolve(net, target->connect_host, target->connect_port, connection->deadline_ms,
                           addresses, reason);
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t now_ms = clock_steady_ms(net->clock);
        int64_t share_ms = (connection->deadline_ms - now_ms) / (int64_t)(count - i);
        if (target->public_only && !target->through_proxy && !address_is_public(&addresses[i])) {
            errno = EACCES;
            continue;
        }
        if (try_address(connection, &addresses[i], now_ms + share_ms))
            return true;
    }
    snprintf(reason, 256, "no connection to %.*s port %s: %s",
             target->connect_host.len < 120 ? (int)target->connect_host.len : 120,
             target->connect_host.ptr, target->connect_port,
             errno == EACCES && target->public_only ? "its address is not a public one"
                                                    : strerror(errno));
    return false;
}

/* ---- through a proxy ---- */

static ssize_t receive_plain(void *ctx, void *data, size_t size)
{
    return socket_receive(ctx, data, size);
}

/* A tunnel to the target, for TLS. */
static bool open_tunnel(struct connection *connection, const struct target *target,
                        char reason[256])
{
    struct arena arena ARENA_AUTO = {0};
    struct buf out = {.arena = &arena};
    bool v6 = str_find_byte(target->host, ':') != SIZE_MAX;
    const char *name = arena_printf(&arena, "%s%.*s%s:%s", v6 ? "[" : "", STR_FMT(target->host),
                                    v6 ? "]" : "", target->port);
    buf_printf(&out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", name, name);
    if (target->proxy_user.len)
        buf_printf(&out, "Proxy-Authorization: Basic %.*s\r\n",
                   STR_FMT(hash_base64(&arena, target->proxy_user)));
    buf_add_cstr(&out, "\r\n");
    struct str request = buf_str(&out);
    struct net_answer answer = {0};
    struct answer_source source = {receive_plain, connection};
    bool keep = false;
    bool ok = name && request.ptr && connection_send(connection, request.ptr, request.len) &&
              answer_read(source, true, &arena, &answer, &keep) == ANSWER_WHOLE;
    hash_wipe(out.ptr, out.len);
    if (!ok)
        snprintf(reason, 256, "the proxy does not answer: %s",
                 connection->failure ? connection->failure : "it closed the connection");
    else if (answer.status / 100 != 2)
        snprintf(reason, 256, "the proxy refuses the connection with status %d", answer.status);
    return ok && answer.status / 100 == 2;
}

struct connection *connection_open(struct net *net, const struct target *target,
                                   int64_t deadline_ms, char reason[256])
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection)
        connection->key = strdup(target->key);
    if (!connection || !connection->key) {
        free(connection);
        snprintf(reason, 256, "out of memory for a connection");
        return NULL;
    }
    connection->net = net;
    connection->fd = -1;
    connection->key_hash = target->key_hash;
    connection->deadline_ms = deadline_ms;
    bool ok = target->unix_socket.len ? connect_unix(connection, target->unix_socket, reason)
                                      : connect_tcp(connection, target, reason);
    if (ok && target->through_proxy && target->tls)
        ok = open_tunnel(connection, target, reason);
    if (ok && target->tls)
        ok = tls_start(connection, target->host, reason);
    if (ok)
        return connection;
    connection_close(connection);
    return NULL;
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->fd >= 0)
        close_socket(connection);
    if (connection->ssl && !connection->failure) // else OpenSSL spoils the session for the next one
        SSL_set_shutdown(connection->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(connection->ssl);
    free(connection->key);
    free(connection);
}
