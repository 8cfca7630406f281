// SPDX-License-Identifier: Apache-2.0
/* libmicrohttpd around http_respond(): who asks, how much they may send, and for how long.
 *
 * A request that is refused before its body (route, access, size) has its body read and dropped, so
 * that the asker sees the answer and not a broken connection; only when the body is far too large,
 * or the asker waits for "100 Continue", is it answered at once. One thread a connection; the
 * server's own fields do not change while it runs, except the count of requests under way. */
#include "http/http.h"

#include "base/hash.h"
#include "base/log.h"
#include "http/listen_internal.h"
#include "http/mhd_internal.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_SECONDS 15u            // a connection without a byte
#define DROP_BYTES_MAX (16u << 20)  // of a body that is not wanted
#define STOP_MS 10000               // for requests under way when we end
#define STACK_BYTES (1024u * 1024u) // expressions of policies run on it

struct door { // one listening socket
    struct http_server *server;
    bool is_socket;
    int fd;
    struct MHD_Daemon *daemon;
};

struct http_server {
    const struct http_api *api;
    struct mhd mhd;
    struct sha256 token; // its hash: comparing takes the same time whatever was sent
    bool has_token;
    char address[64], path[128];
    struct door tcp, socket;
    atomic_int under_way;
};

struct exchange { // one request
    struct arena arena;
    struct http_request request;
    struct buf body;
    struct http_answer answer; // status 0 = not yet
    size_t received;
    int64_t until_ms;
};

bool http_token_check(struct str token, struct error *err)
{
    bool ok = token.len >= 16 && token.len <= 512;
    for (size_t i = 0; ok && i < token.len; i++)
        ok = token.ptr[i] > ' ' && token.ptr[i] <= '~';
    if (ok)
        return true;
    error_set(err, "H0015", "the token wants 16 to 512 printable characters without spaces");
    return error_hint(err, "make one: openssl rand -hex 32");
}

static void log_mhd(void *ctx, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void log_mhd(void *ctx, const char *format, va_list args)
{
    char line[512];
    (void)ctx;
    vsnprintf(line, sizeof line, format, args);
    log_line(LOG_DEBUG, "http: %s", line);
}

/* ---- who asks ---- */

static bool token_is_good(const struct http_server *server, struct MHD_Connection *connection)
{
    const char *header =
        server->mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    struct str given = str_from(header);
    if (!server->has_token || !str_eq_nocase(str_sub(given, 0, 7), STR("bearer ")))
        return false;
    given = str_trim(str_sub(given, 7, SIZE_MAX));
    struct sha256 hash = hash_sha256(given.ptr, given.len);
    return hash_equal_secret((struct str){(const char *)hash.bytes, sizeof hash.bytes},
                             (struct str){(const char *)server->token.bytes, sizeof hash.bytes});
}

static void identify(const struct door *door, struct MHD_Connection *connection,
                     struct http_request *request)
{
    const struct http_server *server = door->server;
    request->access = HTTP_OPEN;
    if (!door->is_socket) {
        request->access = token_is_good(server, connection) ? HTTP_TOKEN : HTTP_OPEN;
        return;
    }
    const union MHD_ConnectionInfo *info =
        server->mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info && listen_peer(info->connect_fd, &request->uid))
        request->access = HTTP_SOCKET;
}

/* ---- one request ---- */

static enum MHD_Result add_param(void *ctx, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct exchange *e = ctx;
    (void)kind;
    if (e->request.param_count == LIMIT_HTTP_PARAMETERS)
        return MHD_NO;
    e->request.params[e->request.param_count++] =
        (struct http_param){str_from(key), str_from(value)};
    return MHD_YES;
}

static void refuse_size(struct exchange *e)
{
    e->answer = (struct http_answer){
        .status = 413,
        .body = STR(
            "{\"error\":{\"code\":\"H0006\",\"message\":\"the body is larger than 1 MiB\"}}\n")};
}

static enum MHD_Result queue(const struct http_server *server, struct MHD_Connection *connection,
                             const struct http_answer *answer)
{
    struct MHD_Response *response = server->mhd.create_response_from_buffer(
        answer->body.len, (void *)(uintptr_t)answer->body.ptr, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    server->mhd.add_response_header(response, "Content-Type", "application/json");
    server->mhd.add_response_header(response, "Cache-Control", "no-store");
    server->mhd.add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->allow)
        server->mhd.add_response_header(response, "Allow", answer->allow);
    if (answer->status == 401)
        server->mhd.add_response_header(response, "WWW-Authenticate", "Bearer realm=\"rectify\"");
    if (answer->status == 503)
        server->mhd.add_response_header(response, "Retry-After", "1");
    enum MHD_Result queued =
        server->mhd.queue_response(connection, (unsigned)answer->status, response);
    server->mhd.destroy_response(response);
    return queued;
}

/* The head has come: route, access and size are known before the body is read. */
static enum MHD_Result begin(const struct door *door, struct MHD_Connection *connection,
                             struct exchange *e, const char *path, const char *method)
{
    const struct mhd *mhd = &door->server->mhd;
    const char *length =
        mhd->lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    const char *expect = mhd->lookup_connection_value(connection, MHD_HEADER_KIND, "Expect");
    int64_t bytes = 0;
    e->until_ms = clock_steady_ms(clock_system()) + LIMIT_HTTP_SECONDS * 1000;
    e->body.arena = &e->arena;
    e->request.method = str_copy(&e->arena, str_from(method));
    e->request.path = str_copy(&e->arena, str_from(path));
    identify(door, connection, &e->request);
    for (const char *const *name = approve_headers; *name; name++) {
        const char *value = mhd->lookup_connection_value(connection, MHD_HEADER_KIND, *name);
        if (value)
            e->request.headers[e->request.header_count++] =
                (struct approve_header){str_from(*name), str_copy(&e->arena, str_from(value))};
    }
    mhd->get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_param, e);
    if (length && !str_to_int64(str_from(length), &bytes))
        bytes = INT64_MAX;
    if (http_allowed(&e->request, &e->arena, &e->answer) && bytes > (int64_t)LIMIT_EVENT_BYTES)
        refuse_size(e);
    if (e->answer.status && (expect || bytes > (int64_t)DROP_BYTES_MAX))
        return queue(door->server, connection, &e->answer);
    return MHD_YES;
}

static enum MHD_Result receive(struct exchange *e, const char *data, size_t size)
{
    e->received += size;
    if (e->received > DROP_BYTES_MAX || clock_steady_ms(clock_system()) > e->until_ms)
        return MHD_NO; // closes the connection
    if (e->answer.status == 0 && e->received > LIMIT_EVENT_BYTES)
        refuse_size(e);
    if (e->answer.status == 0)
        buf_add(&e->body, data, size);
    return MHD_YES;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **connection_ctx)
{
    struct door *door = ctx;
    struct exchange *e = *connection_ctx;
    (void)version;
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e)
            return MHD_NO;
        *connection_ctx = e;
        atomic_fetch_add(&door->server->under_way, 1);
        return begin(door, connection, e, path, method);
    }
    if (*upload_size) {
        size_t size = *upload_size;
        *upload_size = 0;
        return receive(e, upload, size);
    }
    if (e->answer.status == 0) {
        e->request.body = buf_str(&e->body);
        if (e->body.failed)
            return MHD_NO;
        http_respond(door->server->api, &e->request, &e->arena, &e->answer);
    }
    return queue(door->server, connection, &e->answer);
}

static void completed(void *ctx, struct MHD_Connection *connection, void **connection_ctx,
                      enum MHD_RequestTerminationCode why)
{
    struct door *door = ctx;
    struct exchange *e = *connection_ctx;
    (void)connection, (void)why;
    if (!e)
        return;
    arena_finish(&e->arena);
    free(e);
    *connection_ctx = NULL;
    atomic_fetch_sub(&door->server->under_way, 1);
}

/* ---- start and stop ---- */

static bool open_door(struct http_server *server, struct door *door, struct error *err)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    door->server = server;
    door->daemon = server->mhd.start_daemon(
        flags, 0, NULL, NULL, handle, door, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
        MHD_OPTION_LISTEN_SOCKET, door->fd, MHD_OPTION_CONNECTION_LIMIT, LIMIT_HTTP_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)LIMIT_HTTP_HEAD_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
        MHD_OPTION_NOTIFY_COMPLETED, completed, door, MHD_OPTION_END);
    if (door->daemon)
        return true;
    door->fd = -1; // it closes what it was given
    return error_set(err, "H0012", "the HTTP server does not start");
}

struct http_server *http_server_start(const struct http_api *api,
                                      const struct http_options *options, struct error *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        error_set(err, "H0021", "out of memory");
        return NULL;
    }
    server->api = api;
    server->tcp.fd = server->socket.fd = -1;
    server->socket.is_socket = true;
    server->has_token = options->token.len > 0;
    server->token = hash_sha256(options->token.ptr, options->token.len);
    bool ok = mhd_load(&server->mhd, err);
    if (ok && options->listen) {
        server->tcp.fd = listen_tcp(options->listen, server->address, sizeof server->address, err);
        ok = server->tcp.fd >= 0;
    }
    if (ok && options->socket) {
        server->socket.fd = listen_unix(options->socket, err);
        ok = server->socket.fd >= 0;
        if (ok)
            snprintf(server->path, sizeof server->path, "%s", options->socket);
    }
    ok = ok && (server->tcp.fd < 0 || open_door(server, &server->tcp, err)) &&
         (server->socket.fd < 0 || open_door(server, &server->socket, err));
    if (ok)
        return server;
    http_server_stop(server);
    return NULL;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

/* From here on nobody is let in. */
static void shut_door(struct http_server *server, struct door *door)
{
    if (door->daemon)
        server->mhd.quiesce_daemon(door->daemon); // the descriptor is ours again
    if (door->fd >= 0)
        shutdown(door->fd, SHUT_RDWR);
}

static void remove_door(struct http_server *server, struct door *door)
{
    if (door->daemon)
        server->mhd.stop_daemon(door->daemon);
    if (door->fd >= 0)
        close(door->fd);
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    shut_door(server, &server->tcp);
    shut_door(server, &server->socket);
    if (server->path[0])
        unlink(server->path);
    int64_t until = clock_steady_ms(clock_system()) + STOP_MS;
    while (atomic_load(&server->under_way) > 0 && clock_steady_ms(clock_system()) < until)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    remove_door(server, &server->tcp);
    remove_door(server, &server->socket);
    free(server);
}
