// SPDX-License-Identifier: Apache-2.0
/* The daemon's door: one table of routes, answered from the store, over a TCP address (loopback by
 * default) and over a Unix socket in the state folder.
 *
 *   curl ──TCP, bearer token──► server ─┐
 *   rectify list ──Unix socket────────► server ─► http_respond() ─► store, engine
 *   rectify list, no daemon there ──────────────► http_respond() ─► store
 *
 * http_respond() is a plain function, so that a command that owns the store itself asks it directly
 * and sees the same JSON. Who may ask what is a column of the table: on TCP everything but health
 * wants the token, and decisions by people come only over the Unix socket, whose peer the kernel
 * names (same user or root). The server is libmicrohttpd, loaded on first use: commands that never
 * serve do not pay for it. A thread a connection, at most LIMIT_HTTP_CONNECTIONS.
 *
 * Errors are {"error": {"code", "message", "hint"}} with a fitting status. Codes H0xxx. */
#ifndef RECTIFY_HTTP_HTTP_H
#define RECTIFY_HTTP_HTTP_H

#include "base/limits.h"
#include "engine/sources.h"

/* ---- routes ---- */

/* What answers stand on; all of it borrowed, only `workers` may change while a server runs (so that
 * a port in use is found before anything is worked on). */
struct http_api {
    struct engine *engine;          // store and clock; a rollback needs no more of it either
    struct engine_sources *sources; // NULL = takes no events
    /* Woken when something became due; NULL = nobody to wake. */
    struct engine_workers *_Atomic workers;
    /* GET /audit/verify: {good, leaves, root, problem}. */
    bool (*verify)(struct store *store, struct arena *arena, struct value *ret, struct error *err);
};

struct http_param { // decoded
    struct str name, value;
};

enum http_access {
    HTTP_OPEN,   // anybody: health
    HTTP_TOKEN,  // the bearer token, or the Unix socket
    HTTP_SOCKET, // the Unix socket only: people decide as themselves
};

struct http_request {
    struct str method, path; // "GET", "/remediations/r12"
    struct http_param params[LIMIT_HTTP_PARAMETERS];
    size_t param_count;
    struct str body;
    struct approve_header headers[8]; // of those that approve_headers names
    size_t header_count;
    enum http_access access; // what the asker has shown: one that may reach such routes
    unsigned uid;            // of the asker, where access is HTTP_SOCKET
};

struct http_answer {
    int status;
    struct str body;   // JSON
    const char *allow; // methods that the path takes, when status is 405; else NULL
};

struct http_route {
    const char *method, *path; // ID in a path stands for a remediation's id, NAME for any name
    enum http_access access;
    const char *help;
    bool (*run)(const struct http_api *api, const struct http_request *request, int64_t id,
                struct arena *arena, int *ret_status, struct value *ret, struct error *err);
};
/* The table; ends with a NULL method. */
extern const struct http_route http_routes[];

/* May this asker reach that route at all? False: `ret` is the refusal (404, 405, 401, 403). Looks
 * at method, path and access only, so a server asks before it reads the body. */
bool http_allowed(const struct http_request *request, struct arena *arena, struct http_answer *ret);
/* The whole answer, in `arena`. Any thread. POST /events answers 202 only when all is durable. */
void http_respond(const struct http_api *api, const struct http_request *request,
                  struct arena *arena, struct http_answer *ret);

/* ---- server ---- */

struct http_options {
    const char *listen; // "127.0.0.1:8787", "[::1]:8787", port 0 = any free one; NULL = no TCP
    const char *socket; // path of the Unix socket; a stale one is replaced; NULL = none
    struct str token;   // empty = routes that want one are refused on TCP
};

struct http_server;
/* H0010 not an address, H0011 in use, H0012 cannot listen, H0013 libmicrohttpd is not there, H0014
 * the socket's path is too long. `api` and the token are borrowed until stopped. */
struct http_server *http_server_start(const struct http_api *api,
                                      const struct http_options *options, struct error *err)
    __attribute__((warn_unused_result));
/* "127.0.0.1:8787" with the port in effect; "" without TCP. */
const char *http_server_address(const struct http_server *server);
/* Takes no new connections, lets requests that have begun finish (at most 10 s), removes the
 * socket. NULL is allowed. */
void http_server_stop(struct http_server *server);

/* A token fit for use: 16 to 512 printable bytes without spaces (H0015). */
bool http_token_check(struct str token, struct error *err) __attribute__((warn_unused_result));

#endif
