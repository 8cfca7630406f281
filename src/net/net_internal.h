// SPDX-License-Identifier: Apache-2.0
/* The parts of net/.
 *
 *   net_request ──► target ──► pool ──┬──────────────► send ──► answer ──► pool
 *   (net.c)         (target.c)        └► connection ─┘         (answer.c)
 *                                        (connection.c: resolve.c, tls.c, certificates.c)
 *
 * A connection belongs to one thread while it is out of the pool; sockets block, with a time limit
 * that is never longer than the deadline. Whoever wants to stop a thread shuts its socket down. */
#ifndef RECTIFY_NET_NET_INTERNAL_H
#define RECTIFY_NET_NET_INTERNAL_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "net/net.h"

#define NET_CONNECT_TIMEOUT_MS 3100
#define NET_HEAD_BYTES (256u << 10) // all headers of an answer, interim ones included
#define NET_IDLE_CONNECTIONS 256u   // kept alive in all
#define NET_IDLE_MS 60000           // a connection idle for longer is not used again
#define NET_READ_BYTES 4096u        // of the first read; most answers are smaller
#define NET_TICK_MS 1000            // longest sleep of a socket before the deadline is looked at
#define NET_ADDRESSES 16u           // of a name that are tried
#define NET_SESSIONS 64u            // TLS sessions that are remembered

/* Where a request goes. Views into the request's URL and the environment. */
struct target {
    bool tls, through_proxy; // through_proxy: the connection is to a proxy
    bool public_only;
    struct str host;      // without brackets
    struct str authority; // host and port as in the URL
    struct str path;      // with query, begins with '/'
    char port[6];
    char key[600]; // everything that makes connections interchangeable
    uint64_t key_hash;
    struct str connect_host; // the proxy or the host
    char connect_port[6];
    struct str proxy_user; // "user:password" as in the proxy's URL, empty = none
    struct str unix_socket;
};

/* Proxies of the environment, read once. */
struct proxies {
    char *http, *https, *all, *none;
};
void proxies_read(struct proxies *proxies);
void proxies_free(struct proxies *proxies);
/* Parses the URL, chooses the proxy. False with a reason: the address is malformed. */
bool target_parse(const struct proxies *proxies, const struct net_request *request,
                  struct target *ret, char reason[256]);

struct address {
    struct sockaddr_storage bytes;
    socklen_t size;
};

struct connection {
    struct net *net;
    int fd;
    SSL *ssl; // NULL = plain
    char *key;
    uint64_t key_hash;
    int64_t deadline_ms;  // of what is under way
    int64_t idle_from_ms; // when it was put into the pool
    int timeout_ms;       // the socket's own limit, as set
    size_t sent;          // bytes of the request that left
    bool kept;            // has carried a request before
    const char *failure;  // why the last I/O failed; NULL = the peer closed
    bool timed_out;
    struct connection *prev, *next; // in the pool or among the busy
};

struct connections {
    struct connection *first, *last;
    unsigned count;
};

struct tls_session {
    char *key;
    SSL_SESSION *session;
};

struct net {
    const struct clock *clock;
    char *ca_file; // NULL = the system's
    struct proxies proxies;
    atomic_bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t all_gone; // active has become 0
    unsigned active;         // callers inside net_request()
    struct connections idle; // newest last
    struct connections busy;

    pthread_mutex_t tls_lock;
    SSL_CTX *tls; // made at the first https request
    struct tls_session sessions[NET_SESSIONS];
};

/* ---- connection.c ---- */

/* A new connection that stands, TLS included, or NULL with a reason. */
struct connection *connection_open(struct net *net, const struct target *target,
                                   int64_t deadline_ms, char reason[256]);
void connection_close(struct connection *connection);
/* Sends all. False: `failure`. */
bool connection_send(struct connection *connection, const void *data, size_t size);
/* At least one byte; 0: the peer closed; -1: `failure`. */
ssize_t connection_receive(struct connection *connection, void *data, size_t size);
/* What the socket itself does, under TLS too. */
ssize_t socket_send(struct connection *connection, const void *data, size_t size);
ssize_t socket_receive(struct connection *connection, void *data, size_t size);
/* Has the peer closed it, or sent what nobody asked for? */
bool connection_is_stale(const struct connection *connection);

/* ---- resolve.c ---- */

/* The addresses of a name, at most NET_ADDRESSES. 0 with a reason: none, or not in time. */
size_t resolve(struct net *net, struct str host, const char *port, int64_t deadline_ms,
               struct address *ret, char reason[256]);

/* Is it an address of the public Internet? */
bool address_is_public(const struct address *address);

/* ---- tls.c ---- */

/* The handshake. False with a reason. */
bool tls_start(struct connection *connection, struct str host, char reason[256]);
ssize_t tls_receive(struct connection *connection, void *data, size_t size);
bool tls_send(struct connection *connection, const void *data, size_t size);
void tls_finish(struct net *net);

/* ---- certificates.c ---- */

/* Sets whom peers are vouched for by: `path` is a folder or a file, NULL = the system's. False with
 * a reason that names it. */
bool certificates_load(SSL_CTX *ctx, const char *path, char reason[256]);

/* ---- answer.c ---- */

enum answer_result {
    ANSWER_WHOLE,
    ANSWER_NONE,      // the connection ended before a byte came
    ANSWER_BROKEN,    // it ended in between, or took too long
    ANSWER_GARBLED,   // not HTTP
    ANSWER_TOO_LARGE, // over a limit
    ANSWER_NO_MEMORY,
};

/* Where the bytes come from: a connection, or a fuzzer. As connection_receive(). */
struct answer_source {
    ssize_t (*receive)(void *ctx, void *data, size_t size);
    void *ctx;
};
/* Reads one answer. `ret_keep`: the connection can carry another request. `no_body`: the request
 * was HEAD or CONNECT. Interim answers (1xx) are skipped. */
enum answer_result answer_read(struct answer_source source, bool no_body, struct arena *arena,
                               struct net_answer *ret, bool *ret_keep);

#endif
