// SPDX-License-Identifier: Apache-2.0
/* The test's own server: blocking sockets, a thread for accepting and one for each connection. */
#include "stub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ensure.h"

#define STUB_CONNECTIONS_MAX 1024

struct stub {
    stub_answer *answer;
    void *ctx;
    int listener, port;
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_t threads[STUB_CONNECTIONS_MAX];
    int fds[STUB_CONNECTIONS_MAX];
    atomic_uint connections, requests;
};

struct stub_connection {
    struct stub *stub;
    unsigned index;
    int fd;
    char *data;
    size_t len, cap;
};

bool stub_write(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

struct str stub_header(const struct stub_request *request, const char *name)
{
    struct str rest = request->head;
    while (rest.len) {
        struct str line = str_cut(&rest, '\n');
        struct str key = str_cut(&line, ':');
        if (str_eq_nocase(key, str_from(name)))
            return str_trim(line);
    }
    return (struct str){0};
}

bool stub_reply(const struct stub_request *request, int status, const char *extra, struct str body)
{
    char head[2048];
    int size = snprintf(head, sizeof(head), "HTTP/1.1 %d Text\r\n%sContent-Length: %zu\r\n\r\n",
                        status, extra, body.len);
    char *all = malloc((size_t)size + body.len + 1);
    ENSURE(all);
    memcpy(all, head, (size_t)size);
    if (body.len)
        memcpy(all + size, body.ptr, body.len);
    bool ok = stub_write(request->fd, all, (size_t)size + body.len);
    free(all);
    return ok;
}

static bool receive(struct stub_connection *connection)
{
    if (connection->cap - connection->len < 65536) {
        connection->cap = connection->cap * 2 + 131072;
        connection->data = realloc(connection->data, connection->cap);
        ENSURE(connection->data);
    }
    ssize_t got = recv(connection->fd, connection->data + connection->len,
                       connection->cap - connection->len, 0);
    if (got <= 0)
        return false;
    connection->len += (size_t)got;
    return true;
}

/* Answers the first whole request in the buffer. -1: close, 0: more bytes needed, 1: one answered.
 */
static int answer_one(struct stub_connection *connection)
{
    struct str all = {connection->data, connection->len};
    size_t end = str_find(all, STR("\r\n\r\n"));
    if (connection->len == 0 || end == SIZE_MAX)
        return 0;
    struct stub_request request = {
        .stub = connection->stub, .fd = connection->fd, .head = {connection->data, end + 4}};
    int64_t body = 0;
    struct str length = stub_header(&request, "content-length");
    if (length.len)
        ENSURE(str_to_int64(length, &body));
    if (connection->len < end + 4 + (size_t)body)
        return 0;
    request.body = (struct str){connection->data + end + 4, (size_t)body};
    request.number = atomic_fetch_add(&connection->stub->requests, 1) + 1;
    if (!connection->stub->answer(connection->stub->ctx, &request))
        return -1;
    size_t used = end + 4 + (size_t)body;
    memmove(connection->data, connection->data + used, connection->len - used);
    connection->len -= used;
    return 1;
}

static void *serve(void *arg)
{
    struct stub_connection *connection = arg;
    int state = 0;
    while (state >= 0 && receive(connection)) {
        while ((state = answer_one(connection)) > 0)
            ;
    }
    pthread_mutex_lock(&connection->stub->lock);
    connection->stub->fds[connection->index] = -1;
    close(connection->fd);
    pthread_mutex_unlock(&connection->stub->lock);
    free(connection->data);
    free(connection);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct stub *stub = arg;
    for (;;) {
        int fd = accept(stub->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        unsigned index = stub->connections;
        ENSURE(index < STUB_CONNECTIONS_MAX);
        struct stub_connection *connection = calloc(1, sizeof(*connection));
        ENSURE(connection);
        *connection = (struct stub_connection){.stub = stub, .index = index, .fd = fd};
        pthread_mutex_lock(&stub->lock);
        stub->fds[index] = fd;
        pthread_mutex_unlock(&stub->lock);
        ENSURE(pthread_create(&stub->threads[index], NULL, serve, connection) == 0);
        atomic_fetch_add(&stub->connections, 1);
    }
}

static struct stub *start(int listener, int port, stub_answer *answer, void *ctx)
{
    struct stub *stub = calloc(1, sizeof(*stub));
    ENSURE(stub && listener >= 0);
    stub->answer = answer;
    stub->ctx = ctx;
    stub->listener = listener;
    stub->port = port;
    pthread_mutex_init(&stub->lock, NULL);
    ENSURE(listen(listener, 512) == 0);
    ENSURE(pthread_create(&stub->acceptor, NULL, accept_all, stub) == 0);
    return stub;
}

struct stub *stub_start(stub_answer *answer, void *ctx)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    ENSURE(bind(listener, (struct sockaddr *)&address, size) == 0);
    ENSURE(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    return start(listener, ntohs(address.sin_port), answer, ctx);
}

struct stub *stub_start_unix(const char *path, stub_answer *answer, void *ctx)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    ENSURE(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    return start(listener, 0, answer, ctx);
}

void stub_stop(struct stub *stub)
{
    shutdown(stub->listener, SHUT_RDWR);
    close(stub->listener);
    pthread_join(stub->acceptor, NULL);
    pthread_mutex_lock(&stub->lock);
    for (unsigned i = 0; i < stub->connections; i++) {
        if (stub->fds[i] >= 0)
            shutdown(stub->fds[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&stub->lock);
    for (unsigned i = 0; i < stub->connections; i++)
        pthread_join(stub->threads[i], NULL);
    pthread_mutex_destroy(&stub->lock);
    free(stub);
}

int stub_port(const struct stub *stub)
{
    return stub->port;
}

unsigned stub_requests(const struct stub *stub)
{
    return stub->requests;
}

unsigned stub_connections(const struct stub *stub)
{
    return stub->connections;
}
