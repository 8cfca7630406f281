// SPDX-License-Identifier: Apache-2.0
/* TLS over a connection's socket: OpenSSL with its own I/O replaced by ours, so that deadlines and
 * stops hold inside it and no signal comes of a closed peer. Peers are always verified: chain, name
 * or address, TLS 1.2 at least. Whom they may be vouched for by: certificates.c. */
#include "net/net_internal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

/* ---- our I/O under OpenSSL's ---- */

static BIO_METHOD *bio_method;
static int connection_index; // of SSL's extra data: the connection

static int bio_write(BIO *bio, const char *data, int size)
{
    return (int)socket_send(BIO_get_data(bio), data, (size_t)size);
}

static int bio_read(BIO *bio, char *data, int size)
{
    return (int)socket_receive(BIO_get_data(bio), data, (size_t)size);
}

static long bio_ctrl(BIO *bio, int command, long number, void *data)
{
    (void)bio, (void)number, (void)data;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rectify");
    connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (!bio_method)
        return;
    BIO_meth_set_write(bio_method, bio_write);
    BIO_meth_set_read(bio_method, bio_read);
    BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* ---- sessions ---- */

static struct tls_session *session_of(struct net *net, const struct connection *connection)
{
    return &net->sessions[connection->key_hash % NET_SESSIONS];
}

/* A ticket has come: the next handshake with the same peer is short. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct connection *connection = SSL_get_ex_data(ssl, connection_index);
    struct net *net = connection->net;
    char *key = strdup(connection->key);
    if (!key)
        return 0;
    pthread_mutex_lock(&net->tls_lock);
    struct tls_session *kept = session_of(net, connection);
    SSL_SESSION_free(kept->session);
    free(kept->key);
    kept->key = key;
    kept->session = session;
    pthread_mutex_unlock(&net->tls_lock);
    return 1; // ours now
}

static void offer_session(struct connection *connection)
{
    struct net *net = connection->net;
    pthread_mutex_lock(&net->tls_lock);
    struct tls_session *kept = session_of(net, connection);
    if (kept->key && strcmp(kept->key, connection->key) == 0)
        SSL_set_session(connection->ssl, kept->session);
    pthread_mutex_unlock(&net->tls_lock);
}

/* ---- the context ---- */

static SSL_CTX *make_context(struct net *net, char reason[256])
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    snprintf(reason, 256, "TLS: out of memory");
    if (!ctx)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols) - 1) == 0 &&
        certificates_load(ctx, net->ca_file, reason))
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static SSL_CTX *context(struct net *net, char reason[256])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    pthread_mutex_lock(&net->tls_lock);
    if (!net->tls && bio_method)
        net->tls = make_context(net, reason);
    SSL_CTX *ctx = net->tls;
    pthread_mutex_unlock(&net->tls_lock);
    return ctx;
}

void tls_finish(struct net *net)
{
    for (size_t i = 0; i < NET_SESSIONS; i++) {
        SSL_SESSION_free(net->sessions[i].session);
        free(net->sessions[i].key);
    }
    SSL_CTX_free(net->tls);
}

/* ---- a connection ---- */

static bool set_peer(SSL *ssl, struct str host)
{
    char name[256];
    unsigned char number[sizeof(struct in6_addr)];
    if (host.len >= sizeof(name))
        return false;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    if (inet_pton(AF_INET, name, number) == 1 || inet_pton(AF_INET6, name, number) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool attach(struct connection *connection, SSL_CTX *ctx, struct str host)
{
    BIO *bio = BIO_new(bio_method);
    connection->ssl = SSL_new(ctx);
    if (!bio || !connection->ssl) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(connection->ssl, bio, bio);
    return SSL_set_ex_data(connection->ssl, connection_index, connection) == 1 &&
           set_peer(connection->ssl, host);
}

static void explain(const struct connection *connection, char reason[256])
{
    long verified = connection->ssl ? SSL_get_verify_result(connection->ssl) : X509_V_OK;
    unsigned long code = ERR_peek_last_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    if (verified != X509_V_OK)
        snprintf(reason, 256, "the server's certificate is not good: %s",
                 X509_verify_cert_error_string(verified));
    else if (connection->failure)
        snprintf(reason, 256, "TLS: %s", connection->failure);
    else
        snprintf(reason, 256, "TLS: %s", why ? why : "the server closed the connection");
}

bool tls_start(struct connection *connection, struct str host, char reason[256])
{
    ERR_clear_error();
    SSL_CTX *ctx = context(connection->net, reason);
    if (!ctx)
        return false;
    if (!attach(connection, ctx, host)) {
        explain(connection, reason);
        return false;
    }
    offer_session(connection);
    if (SSL_connect(connection->ssl) == 1)
        return true;
    explain(connection, reason);
    return false;
}

ssize_t tls_receive(struct connection *connection, void *data, size_t size)
{
    size_t got = 0;
    ERR_clear_error();
    if (SSL_read_ex(connection->ssl, data, size, &got) == 1)
        return (ssize_t)got;
    int error = SSL_get_error(connection->ssl, 0);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (!connection->failure)
        connection->failure = "the connection was cut";
    return -1;
}

bool tls_send(struct connection *connection, const void *data, size_t size)
{
    size_t sent = 0;
    ERR_clear_error();
    if (size == 0 || SSL_write_ex(connection->ssl, data, size, &sent) == 1)
        return true;
    if (!connection->failure)
        connection->failure = "the connection was cut";
    return false;
}
