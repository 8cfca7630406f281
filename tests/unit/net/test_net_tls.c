// SPDX-License-Identifier: Apache-2.0
/* TLS and proxies of the HTTP client, against servers inside the test whose certificates it makes
 * itself. */
#include "../cmocka_all.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/net_internal.h"
#include "stub.h"

/* ---- a server that speaks TLS, one connection at a time ---- */

struct tls_server {
    SSL_CTX *ctx;
    int listener, port;
    pthread_t thread;
    char ca_file[64];
    atomic_int requests, resumed, handshakes;
    int answers; // requests answered on one connection before it is closed
};

static EVP_PKEY *make_key(void)
{
    return EVP_EC_gen("P-256");
}

/* A certificate that signs itself, for this name or address. */
static X509 *make_certificate(EVP_PKEY *key, const char *alternative, long lives_s)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
    X509_gmtime_adj(X509_getm_notBefore(x), -86400);
    X509_gmtime_adj(X509_getm_notAfter(x), lives_s);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static void write_certificate(X509 *x, char path[64])
{
    snprintf(path, 64, "/tmp/rectify-tls-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_int_equal(PEM_write_X509(file, x), 1);
    fclose(file);
}

static void answer_requests(struct tls_server *server, SSL *ssl)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    for (int i = 0; i < server->answers && SSL_read(ssl, request, sizeof(request)) > 0; i++) {
        atomic_fetch_add(&server->requests, 1);
        SSL_write(ssl, answer, sizeof(answer) - 1);
    }
    SSL_shutdown(ssl);
}

static void *serve(void *arg)
{
    struct tls_server *server = arg;
    for (int fd; (fd = accept(server->listener, NULL, NULL)) >= 0;) {
        SSL *ssl = SSL_new(server->ctx);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1) {
            atomic_fetch_add(&server->handshakes, 1);
            atomic_fetch_add(&server->resumed, SSL_session_reused(ssl));
            answer_requests(server, ssl);
        }
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

static void start_server(struct tls_server *server, const char *alternative, long lives_s,
                         int version_max)
{
    *server = (struct tls_server){.answers = 1};
    EVP_PKEY *key = make_key();
    X509 *x = make_certificate(key, alternative, lives_s);
    write_certificate(x, server->ca_file);
    server->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(server->ctx, 0);
    SSL_CTX_set_min_proto_version(server->ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server->ctx, version_max);
    assert_int_equal(SSL_CTX_use_certificate(server->ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->ctx, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    getsockname(server->listener, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop_server(struct tls_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->ctx);
    unlink(server->ca_file);
}

static struct net *open_net(const char *ca_file)
{
    struct net_options options = {.clock = clock_system(), .ca_file = ca_file};
    struct error err;
    struct net *net = net_create(&options, &err);
    assert_non_null(net);
    return net;
}

static struct net_answer ask(struct net *net, struct arena *arena, const char *method,
                             const char *url)
{
    struct net_request request = {.method = str_from(method),
                                  .url = str_from(url),
                                  .deadline_ms = clock_steady_ms(clock_system()) + 5000};
    struct net_answer answer;
    net_request(net, &request, arena, &answer);
    return answer;
}

/* One request to a server of that certificate, trusting `ca_file` (NULL: its own). */
static struct net_answer try_tls(const char *alternative, long lives_s, int version_max,
                                 const char *host, const char *ca_file, int *ret_requests)
{
    struct arena arena ARENA_AUTO = {0};
    struct tls_server server;
    char url[128];
    start_server(&server, alternative, lives_s, version_max);
    struct net *net = open_net(ca_file ? ca_file : server.ca_file);
    snprintf(url, sizeof(url), "https://%s:%d/x", host, server.port);
    struct net_answer answer = ask(net, &arena, "POST", url);
    answer.body = (struct str){0}; // was in the arena
    answer.headers = NULL;
    net_destroy(net);
    stop_server(&server);
    *ret_requests = server.requests;
    return answer;
}

static void test_tls__a_good_certificate_passes_by_name_and_by_address(void **state)
{
    (void)state;
    int requests;
    assert_int_equal(
        try_tls("IP:127.0.0.1", 3600, TLS1_3_VERSION, "127.0.0.1", NULL, &requests).outcome,
        NET_ANSWERED);
    assert_int_equal(requests, 1);
    assert_int_equal(
        try_tls("DNS:localhost", 3600, TLS1_2_VERSION, "localhost", NULL, &requests).outcome,
        NET_ANSWERED);
    assert_int_equal(requests, 1);
}

static void test_tls__bad_certificates_and_versions_get_no_request(void **state)
{
    (void)state;
    static const struct {
        const char *name, *alternative, *host, *ca_file, *words;
        long lives_s;
        int version_max;
    } cases[] = {
        {"another name", "DNS:example.com", "localhost", NULL, "ostname", 3600, TLS1_3_VERSION},
        {"a name for an address", "DNS:localhost", "127.0.0.1", NULL, "IP address", 3600,
         TLS1_3_VERSION},
        {"another address", "IP:127.0.0.2", "127.0.0.1", NULL, "IP address", 3600, TLS1_3_VERSION},
        {"a part of a name", "DNS:loc*", "localhost", NULL, "ostname", 3600, TLS1_3_VERSION},
        {"expired", "IP:127.0.0.1", "127.0.0.1", NULL, "expired", -60, TLS1_3_VERSION},
        {"nobody knows it", "IP:127.0.0.1", "127.0.0.1", "/etc/ssl/certs/ca-certificates.crt",
         "self-signed", 3600, TLS1_3_VERSION},
        {"too old a version", "IP:127.0.0.1", "127.0.0.1", NULL, "", 3600, TLS1_1_VERSION},
        {"no certificates", "IP:127.0.0.1", "127.0.0.1", "/nonexistent/ca", "cannot be loaded",
         3600, TLS1_3_VERSION},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int requests;
        struct net_answer answer =
            try_tls(cases[i].alternative, cases[i].lives_s, cases[i].version_max, cases[i].host,
                    cases[i].ca_file, &requests);
        if (answer.outcome != NET_NOT_SENT || requests != 0 ||
            !strstr(answer.reason, cases[i].words))
            fail_msg("%s: outcome %d, %d requests, %s", cases[i].name, (int)answer.outcome,
                     requests, answer.reason);
    }
}

/* ---- one file of many certificates ---- */

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

/* A certificate of that subject, signed by `issuer` (NULL: by itself). */
static X509 *issue(EVP_PKEY *key, const char *subject, X509 *issuer, EVP_PKEY *issuer_key,
                   const char *constraints)
{
    X509 *x = make_certificate(key, "IP:127.0.0.1", 3600);
    X509_NAME *name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0);
    X509_set_subject_name(x, name);
    X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name);
    X509_NAME_free(name);
    const struct {
        int nid;
        const char *value;
    } extensions[] = {{NID_basic_constraints, constraints},
                      {NID_subject_key_identifier, "hash"},
                      {NID_authority_key_identifier, "keyid:always"}};
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : x, x, NULL, NULL, 0);
    for (size_t i = 0; i < 3; i++) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, &context, extensions[i].nid, extensions[i].value);
        assert_int_equal(X509_add_ext(x, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return x;
}

/* A server whose certificate comes from an intermediate one of a root. */
struct chain {
    struct tls_server server;
    EVP_PKEY *keys[3];
    X509 *root, *intermediate, *leaf;
    char file[64]; // the bundle; what tests write into it
};

static void chain_start(struct chain *chain)
{
    start_server(&chain->server, "IP:127.0.0.1", 3600, TLS1_3_VERSION);
    for (int i = 0; i < 3; i++)
        chain->keys[i] = make_key();
    chain->root = issue(chain->keys[0], "Root of  Trust", NULL, NULL, "critical,CA:TRUE");
    chain->intermediate =
        issue(chain->keys[1], "In Between", chain->root, chain->keys[0], "critical,CA:TRUE");
    chain->leaf = issue(chain->keys[2], "Leaf", chain->intermediate, chain->keys[1], "CA:FALSE");
    SSL_CTX *ctx = chain->server.ctx; // nobody has connected yet
    assert_int_equal(SSL_CTX_use_certificate(ctx, chain->leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, chain->keys[2]), 1);
    assert_int_equal(SSL_CTX_add1_chain_cert(ctx, chain->intermediate), 1);
    write_certificate(chain->root, chain->file);
}

static void chain_stop(struct chain *chain)
{
    stop_server(&chain->server);
    unlink(chain->file);
    X509_free(chain->root);
    X509_free(chain->intermediate);
    X509_free(chain->leaf);
    for (int i = 0; i < 3; i++)
        EVP_PKEY_free(chain->keys[i]);
}

/* The outcome of one request with the bundle as it is. */
static enum net_outcome chain_try(struct chain *chain, char reason[256])
{
    struct arena arena ARENA_AUTO = {0};
    char url[64];
    int before = chain->server.requests;
    struct net *net = open_net(chain->file);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", chain->server.port);
    struct net_answer answer = ask(net, &arena, "POST", url);
    snprintf(reason, 256, "%s", answer.reason);
    net_destroy(net);
    assert_int_equal(chain->server.requests - before, answer.outcome == NET_ANSWERED);
    return answer.outcome;
}

/* Writes the file anew: the system's certificates, then these. */
static void write_bundle(const char *path, bool system, X509 *const *list, size_t count)
{
    FILE *out = fopen(path, "w"), *in = system ? fopen(SYSTEM_BUNDLE, "r") : NULL;
    assert_non_null(out);
    for (int c; in && (c = fgetc(in)) != EOF;)
        fputc(c, out);
    if (in)
        fclose(in);
    fputs("# a comment\n\n", out);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(PEM_write_X509(out, list[i]), 1);
    fclose(out);
}

static void write_text(const char *path, const char *text, size_t size)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, size, out), size);
    fclose(out);
}

static void test_bundle__a_chain_is_verified_by_one_of_many(void **state)
{
    (void)state;
    struct chain chain;
    char reason[256];
    chain_start(&chain);
    X509 *others[] = {chain.leaf, chain.intermediate, chain.root};
    EVP_PKEY *key = make_key();
    /* Of the root's name, but another; once more in other spelling, which X.500 holds equal. */
    X509 *same_name = issue(key, "Root of  Trust", NULL, NULL, "critical,CA:TRUE");
    X509 *spelled = issue(key, " root OF trust ", NULL, NULL, "critical,CA:TRUE");
    assert_int_equal(chain_try(&chain, reason), NET_ANSWERED); // the root alone
    write_bundle(chain.file, true, &chain.root, 1);
    assert_int_equal(chain_try(&chain, reason), NET_ANSWERED);
    for (int i = 0; i < 2; i++) { // the right one before and behind its namesakes
        X509 *first[] = {chain.root, same_name, spelled},
             *last[] = {spelled, same_name, chain.root};
        write_bundle(chain.file, true, i ? first : last, 3);
        assert_int_equal(chain_try(&chain, reason), NET_ANSWERED);
    }
    write_bundle(chain.file, true, NULL, 0);
    assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
    assert_non_null(strstr(reason, "certificate is not good: unable to get"));
    write_bundle(chain.file, false, (X509 *[]){same_name, spelled}, 2);
    assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
    assert_non_null(strstr(reason, "certificate is not good"));
    write_bundle(chain.file, false, others, 2); // trust begins at a root only
    assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
    assert_non_null(strstr(reason, "certificate is not good: unable to get"));
    X509_free(same_name);
    X509_free(spelled);
    EVP_PKEY_free(key);
    chain_stop(&chain);
}

static void test_bundle__a_root_that_may_not_vouch_for_servers_does_not(void **state)
{
    (void)state;
    struct chain chain;
    char reason[256];
    chain_start(&chain);
    for (int refuse = 0; refuse < 2; refuse++) {
        ASN1_OBJECT *use = OBJ_nid2obj(NID_server_auth);
        X509_trust_clear(chain.root);
        X509_reject_clear(chain.root);
        (void)(refuse ? X509_add1_reject_object(chain.root, use)
                      : X509_add1_trust_object(chain.root, use));
        FILE *out = fopen(chain.file, "w");
        assert_int_equal(PEM_write_X509_AUX(out, chain.root), 1); // TRUSTED CERTIFICATE
        fclose(out);
        assert_int_equal(chain_try(&chain, reason), refuse ? NET_NOT_SENT : NET_ANSWERED);
    }
    assert_non_null(strstr(reason, "rejected"));
    chain_stop(&chain);
}

/* The root, its bytes changed. `inside`: a part of it is replaced by zeros, the frame stays. */
static void write_broken_root(struct chain *chain)
{
    unsigned char *der = NULL;
    int size = i2d_X509(chain->root, &der);
    assert_true(size > 200);
    memset(der + size - 150, 0,
           60); // behind the subject: the public key's or the signature's frame
    FILE *out = fopen(chain->file, "w");
    assert_true(PEM_write(out, PEM_STRING_X509, "", der, size) > 0);
    fclose(out);
    OPENSSL_free(der);
}

static void test_bundle__broken_files_load_nothing(void **state)
{
    (void)state;
    struct chain chain;
    char reason[256], text[8192];
    chain_start(&chain);
    FILE *file = fopen(chain.file, "r");
    size_t size = fread(text, 1, sizeof(text), file);
    fclose(file);
    write_text(chain.file, text, size);
    assert_int_equal(chain_try(&chain, reason), NET_ANSWERED); // whole, it is good
    write_broken_root(&chain);
    assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
    assert_non_null(strstr(reason, "certificate is not good"));
    static const char no_certificate[] =
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    static const char no_base64[] =
        "-----BEGIN CERTIFICATE-----\n$$$$\n-----END CERTIFICATE-----\n";
    const struct {
        const char *text;
        size_t size;
        const char *words;
    } cases[] = {
        {text, size / 2, "ends within a certificate"},
        {text, size - 2, "ends within a certificate"},
        {"", 0, "there is no certificate"},
        {"-----BEGIN PRIVATE KEY-----\n", 28, "there is no certificate"},
        {no_certificate, sizeof(no_certificate) - 1, "certificate 1 of the file is broken"},
        {no_base64, sizeof(no_base64) - 1, "certificate 1 of the file is broken"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text(chain.file, cases[i].text, cases[i].size);
        assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
        if (!strstr(reason, cases[i].words) || !strstr(reason, chain.file))
            fail_msg("case %zu: %s", i, reason);
    }
    unlink(chain.file);
    assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
    assert_non_null(strstr(reason, "No such file"));
    chain_stop(&chain);
}

static void test_bundle__a_file_has_a_largest_size(void **state)
{
    (void)state;
    struct chain chain;
    char reason[256];
    chain_start(&chain);
    FILE *file = fopen(chain.file, "a");
    long size = ftell(file);
    for (; size < LIMIT_CERTIFICATES_BYTES; size++)
        fputc('\n', file);
    fclose(file);
    assert_int_equal(chain_try(&chain, reason), NET_ANSWERED);
    file = fopen(chain.file, "a");
    fputc('\n', file);
    fclose(file);
    assert_int_equal(chain_try(&chain, reason), NET_NOT_SENT);
    assert_non_null(strstr(reason, "larger than 4 MiB"));
    chain_stop(&chain);
}

static void test_tls__the_second_handshake_is_a_short_one(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_server server;
        char url[128];
        start_server(&server, "IP:127.0.0.1", 3600, version);
        struct net *net = open_net(server.ca_file);
        snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
        for (int i = 0; i < 3; i++)
            assert_int_equal(ask(net, &arena, "GET", url).outcome, NET_ANSWERED);
        assert_int_equal(server.handshakes, 3);
        assert_int_equal(server.resumed, 2);
        net_destroy(net);
        stop_server(&server);
    }
}

static void test_tls__a_kept_connection_serves_many(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct tls_server server;
    char url[128];
    start_server(&server, "IP:127.0.0.1", 3600, TLS1_3_VERSION);
    server.answers = 10;
    struct net *net = open_net(server.ca_file);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(net, &arena, "POST", url).outcome, NET_ANSWERED);
    assert_int_equal(server.handshakes, 1);
    net_destroy(net);
    stop_server(&server);
}

/* ---- proxies ---- */

struct seen {
    char line[256], authorization[128];
};

static bool proxy_answer(void *ctx, const struct stub_request *request)
{
    struct seen *seen = ctx;
    struct str head = request->head, line = str_cut(&head, '\r');
    snprintf(seen->line, sizeof(seen->line), "%.*s", STR_FMT(line));
    struct str authorization = stub_header(request, "proxy-authorization");
    snprintf(seen->authorization, sizeof(seen->authorization), "%.*s", STR_FMT(authorization));
    bool tunnel = str_starts(line, STR("CONNECT "));
    return stub_reply(request, tunnel ? 403 : 200, "", STR("by proxy"));
}

static void test_proxy__requests_go_where_the_environment_says(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct seen seen = {0};
    struct stub *stub = stub_start(proxy_answer, &seen);
    char proxy[128];
    snprintf(proxy, sizeof(proxy), "http://user:pass@127.0.0.1:%d", stub_port(stub));
    setenv("http_proxy", proxy, 1);
    setenv("HTTPS_PROXY", proxy, 1);
    setenv("no_proxy", "example.org, .internal,127.0.0.9", 1);
    struct net *net = open_net(NULL);
    struct net_answer answer = ask(net, &arena, "GET", "http://example.com/a?b=%20");
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_true(str_is(answer.body, "by proxy"));
    assert_string_equal(seen.line, "GET http://example.com/a?b=%20 HTTP/1.1");
    assert_string_equal(seen.authorization, "Basic dXNlcjpwYXNz");
    answer = ask(net, &arena, "GET", "https://example.com/a");
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    assert_non_null(strstr(answer.reason, "the proxy refuses the connection with status 403"));
    assert_string_equal(seen.line, "CONNECT example.com:443 HTTP/1.1");
    assert_string_equal(seen.authorization, "Basic dXNlcjpwYXNz");
    unsigned before = stub_requests(stub);
    assert_int_equal(ask(net, &arena, "GET", "http://127.0.0.9:1/").outcome, NET_NOT_SENT);
    assert_int_equal(stub_requests(stub), before);
    net_destroy(net);
    setenv("http_proxy", "socks5://127.0.0.1:1", 1);
    net = open_net(NULL);
    answer = ask(net, &arena, "GET", "http://example.com/");
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    assert_non_null(strstr(answer.reason, "not an http:// proxy"));
    net_destroy(net);
    unsetenv("http_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("no_proxy");
    stub_stop(stub);
}

static void test_proxy__the_machines_own_servers_are_asked_directly(void **state)
{
    (void)state;
    static char proxy[] = "http://127.0.0.1:1";
    static const struct {
        const char *url;
        bool through;
    } cases[] = {{"http://169.254.169.254/latest", false},
                 {"http://169.254.170.2/x", false},
                 {"http://[fd00:ec2::254]/", false},
                 {"http://[fd00:ec3::1]/", true},
                 {"http://169.253.1.1/", true},
                 {"http://example.com:8080", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxies proxies = {.http = proxy};
        struct net_request request = {.method = STR("GET"), .url = str_from(cases[i].url)};
        struct target target;
        char reason[256];
        assert_true(target_parse(&proxies, &request, &target, reason));
        assert_int_equal(target.through_proxy, cases[i].through);
    }
}

/* A proxy that carries bytes to a TLS server. */
struct carrier {
    int listener, port, to;
    pthread_t thread;
};

static void *copy(void *arg)
{
    int *fds = arg;
    char bytes[4096];
    for (ssize_t got; (got = recv(fds[0], bytes, sizeof(bytes), 0)) > 0;)
        if (!stub_write(fds[1], bytes, (size_t)got))
            break;
    shutdown(fds[1], SHUT_RDWR);
    return NULL;
}

static void *carry(void *arg)
{
    struct carrier *carrier = arg;
    char head[1024];
    int client = accept(carrier->listener, NULL, NULL);
    assert_true(recv(client, head, sizeof(head), 0) > 0);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)carrier->to),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(server, (struct sockaddr *)&address, sizeof(address)), 0);
    static const char yes[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    stub_write(client, yes, sizeof(yes) - 1);
    int there[2] = {client, server}, back[2] = {server, client};
    pthread_t other;
    pthread_create(&other, NULL, copy, back);
    copy(there);
    pthread_join(other, NULL);
    close(client);
    close(server);
    return NULL;
}

static void test_proxy__tls_goes_through_a_tunnel_and_is_verified(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct tls_server server;
    start_server(&server, "DNS:example.com", 3600, TLS1_3_VERSION);
    struct carrier carrier = {.listener = socket(AF_INET, SOCK_STREAM, 0), .to = server.port};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(carrier.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(carrier.listener, 4), 0);
    getsockname(carrier.listener, (struct sockaddr *)&address, &size);
    pthread_create(&carrier.thread, NULL, carry, &carrier);
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "127.0.0.1:%d", ntohs(address.sin_port));
    setenv("https_proxy", proxy, 1);
    struct net *net = open_net(server.ca_file);
    struct net_answer answer = ask(net, &arena, "POST", "https://example.com/");
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_int_equal(server.requests, 1);
    net_destroy(net);
    unsetenv("https_proxy");
    pthread_join(carrier.thread, NULL);
    close(carrier.listener);
    stop_server(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls__a_good_certificate_passes_by_name_and_by_address),
        cmocka_unit_test(test_tls__bad_certificates_and_versions_get_no_request),
        cmocka_unit_test(test_bundle__a_chain_is_verified_by_one_of_many),
        cmocka_unit_test(test_bundle__a_root_that_may_not_vouch_for_servers_does_not),
        cmocka_unit_test(test_bundle__broken_files_load_nothing),
        cmocka_unit_test(test_bundle__a_file_has_a_largest_size),
        cmocka_unit_test(test_tls__the_second_handshake_is_a_short_one),
        cmocka_unit_test(test_tls__a_kept_connection_serves_many),
        cmocka_unit_test(test_proxy__requests_go_where_the_environment_says),
        cmocka_unit_test(test_proxy__the_machines_own_servers_are_asked_directly),
        cmocka_unit_test(test_proxy__tls_goes_through_a_tunnel_and_is_verified),
    };
    return cmocka_run_group_tests_name("net_tls", tests, NULL, NULL);
}
