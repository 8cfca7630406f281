// SPDX-License-Identifier: Apache-2.0
/* One request: checked, written out, sent over a pooled or a new connection, and what became of it.
 *
 * The line between "not sent" and "unknown" is the first byte of the request that the socket took:
 * the gate is asked directly before it. */
#include "net/net_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"

#define GATE_FRESH_MS 10  // how old the gate's yes may be when the first byte is handed over
#define GATE_TRIES_MAX 10 // of a gate that is always slower

/* ---- the pool ---- */

static void add(struct connections *list, struct connection *connection)
{
    connection->prev = list->last;
    connection->next = NULL;
    *(list->last ? &list->last->next : &list->first) = connection;
    list->last = connection;
    list->count++;
}

static void take_out(struct connections *list, struct connection *connection)
{
    *(connection->prev ? &connection->prev->next : &list->first) = connection->next;
    *(connection->next ? &connection->next->prev : &list->last) = connection->prev;
    connection->prev = connection->next = NULL;
    list->count--;
}

/* The newest idle connection to the target, or NULL. It is busy from here on. */
static struct connection *pool_take(struct net *net, const struct target *target)
{
    pthread_mutex_lock(&net->lock);
    struct connection *found = net->idle.last;
    while (found && (found->key_hash != target->key_hash || strcmp(found->key, target->key) != 0))
        found = found->prev;
    if (found) {
        take_out(&net->idle, found);
        add(&net->busy, found);
    }
    pthread_mutex_unlock(&net->lock);
    return found;
}

/* Keeps a connection; those that are too old or too many go. */
static void pool_put(struct net *net, struct connection *connection)
{
    connection->kept = true;
    connection->idle_from_ms = clock_steady_ms(net->clock);
    pthread_mutex_lock(&net->lock);
    take_out(&net->busy, connection);
    add(&net->idle, connection);
    struct connection *old = net->idle.first;
    bool surplus = net->idle.count > NET_IDLE_CONNECTIONS ||
                   connection->idle_from_ms - old->idle_from_ms > NET_IDLE_MS;
    if (surplus) {
        take_out(&net->idle, old);
        add(&net->busy, old);
    }
    pthread_mutex_unlock(&net->lock);
    if (surplus)
        connection_close(old);
}

/* ---- beginning and end ---- */

struct net *net_create(const struct net_options *options, struct error *err)
{
    struct net *net = calloc(1, sizeof(*net));
    const char *ca_file = options->ca_file ? options->ca_file : getenv("AWS_CA_BUNDLE");
    bool named = ca_file && *ca_file;
    if (net && named)
        net->ca_file = strdup(ca_file);
    if (!net || (named && !net->ca_file)) {
        free(net);
        error_set(err, "N0001", "out of memory for the HTTP client");
        return NULL;
    }
    net->clock = options->clock;
    proxies_read(&net->proxies);
    pthread_mutex_init(&net->lock, NULL);
    pthread_mutex_init(&net->tls_lock, NULL);
    pthread_cond_init(&net->all_gone, NULL);
    return net;
}

void net_stop(struct net *net)
{
    pthread_mutex_lock(&net->lock);
    net->stopping = true;
    for (struct connection *busy = net->busy.first; busy; busy = busy->next)
        shutdown(busy->fd, SHUT_RDWR);
    pthread_mutex_unlock(&net->lock);
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    net_stop(net);
    pthread_mutex_lock(&net->lock);
    while (net->active > 0)
        pthread_cond_wait(&net->all_gone, &net->lock);
    while (net->idle.first) {
        struct connection *idle = net->idle.first;
        take_out(&net->idle, idle);
        add(&net->busy, idle);
        pthread_mutex_unlock(&net->lock);
        connection_close(idle);
        pthread_mutex_lock(&net->lock);
    }
    pthread_mutex_unlock(&net->lock);
    tls_finish(net);
    pthread_cond_destroy(&net->all_gone);
    pthread_mutex_destroy(&net->tls_lock);
    pthread_mutex_destroy(&net->lock);
    proxies_free(&net->proxies);
    free(net->ca_file);
    free(net);
}

/* ---- the bytes of a request ---- */

static bool has_line_break(struct str s)
{
    return s.len &&
           (memchr(s.ptr, '\r', s.len) || memchr(s.ptr, '\n', s.len) || memchr(s.ptr, '\0', s.len));
}

static bool refuse(struct net_answer *ret, const char *why)
{
    ret->outcome = NET_NOT_SENT;
    snprintf(ret->reason, sizeof(ret->reason), "%s", why);
    return false;
}

static void add_line(struct buf *out, struct str name, struct str value)
{
    buf_add_str(out, name);
    buf_add(out, ": ", value.len ? 2 : 1);
    buf_add_str(out, value);
    buf_add(out, "\r\n", 2);
}

static bool check(const struct net_request *request, struct net_answer *ret)
{
    if (has_line_break(request->url) || has_line_break(request->method) || !request->method.len ||
        str_find_byte(request->method, ' ') != SIZE_MAX)
        return refuse(ret, "the address or the method is malformed");
    for (size_t i = 0; i < request->header_count; i++) {
        const struct net_header *header = &request->headers[i];
        if (header->name.len == 0 || has_line_break(header->name) || has_line_break(header->value))
            return refuse(ret, "a header holds a line break or has no name");
    }
    return true;
}

static bool wants_length(const struct net_request *request)
{
    return request->body.len || str_is(request->method, "POST") || str_is(request->method, "PUT") ||
           str_is(request->method, "PATCH");
}

static void add_start(struct buf *out, const struct net_request *request,
                      const struct target *target)
{
    buf_add_str(out, request->method);
    buf_add(out, " ", 1);
    if (target->through_proxy && !target->tls) {
        buf_add(out, "http://", 7);
        buf_add_str(out, target->authority);
    }
    if (target->path.len == 0 || target->path.ptr[0] != '/')
        buf_add_byte(out, '/');
    buf_add_str(out, target->path);
    buf_add(out, " HTTP/1.1\r\n", 11);
}

/* Head and body in one piece: one system call, one segment for most. */
static struct str write_request(const struct net_request *request, const struct target *target,
                                struct arena *arena)
{
    struct buf out = {.arena = arena};
    bool host = false, agent = false, accept = false, length = false;
    buf_reserve(&out, 2048 + request->body.len);
    add_start(&out, request, target);
    for (size_t i = 0; i < request->header_count; i++) {
        struct str name = request->headers[i].name;
        host |= str_eq_nocase(name, STR("host"));
        agent |= str_eq_nocase(name, STR("user-agent"));
        accept |= str_eq_nocase(name, STR("accept"));
        length |= str_eq_nocase(name, STR("content-length"));
    }
    if (!host)
        add_line(&out, STR("Host"), target->authority);
    for (size_t i = 0; i < request->header_count; i++)
        add_line(&out, request->headers[i].name, request->headers[i].value);
    if (!agent)
        add_line(&out, STR("User-Agent"), STR("rectify"));
    if (!accept)
        add_line(&out, STR("Accept"), STR("*/*"));
    if (!length && wants_length(request))
        buf_printf(&out, "Content-Length: %zu\r\n", request->body.len);
    if (target->through_proxy && !target->tls && target->proxy_user.len)
        add_line(&out, STR("Proxy-Authorization"),
                 str_from(arena_printf(arena, "Basic %.*s",
                                       STR_FMT(hash_base64(arena, target->proxy_user)))));
    buf_add(&out, "\r\n", 2);
    buf_add_str(&out, request->body);
    return buf_str(&out);
}

/* ---- sending ---- */

struct exchange {
    struct net *net;
    const struct net_request *request;
    const struct target *target;
    struct str bytes;
    struct arena *arena;
    struct net_answer *answer;
    unsigned sent_times; // how often the request may have begun to leave
};

enum step { OVER, ANOTHER_CONNECTION };

static ssize_t receive(void *ctx, void *data, size_t size)
{
    return connection_receive(ctx, data, size);
}

static bool repeatable(const struct exchange *exchange)
{
    return str_is(exchange->request->method, "GET") || str_is(exchange->request->method, "HEAD");
}

static void end(struct exchange *exchange, enum net_outcome outcome, const char *why)
{
    struct net_answer *answer = exchange->answer;
    if (exchange->net->stopping && outcome != NET_ANSWERED && outcome != NET_GATED) {
        outcome = NET_CANCELLED;
        why = "the request was cancelled";
    }
    answer->outcome = outcome;
    if (why)
        snprintf(answer->reason, sizeof(answer->reason), "%s", why);
}

/* An answer that is old when it comes (the machine was paused in between) is asked for again. */
static bool pass_gate(struct exchange *exchange)
{
    const struct net_request *request = exchange->request;
    struct net_answer *answer = exchange->answer;
    const struct clock *clock = exchange->net->clock;
    bool open = true;
    for (int tries = 0; request->gate && open; tries++) {
        int64_t asked_ms = clock_steady_ms(clock);
        open = request->gate(request->gate_ctx, answer->reason, sizeof(answer->reason));
        if (open && clock_steady_ms(clock) - asked_ms <= GATE_FRESH_MS)
            break;
        if (open && tries == GATE_TRIES_MAX) {
            snprintf(answer->reason, sizeof(answer->reason), "the gate takes too long to answer");
            open = false;
        }
    }
    if (open)
        return true;
    /* Its first sending may have been carried out. */
    end(exchange, exchange->sent_times ? NET_UNKNOWN : NET_GATED, NULL);
    return false;
}

static void judge(struct exchange *exchange, const struct connection *connection,
                  enum answer_result result)
{
    char reason[64];
    const char *failure =
        connection->failure ? connection->failure : "the server closed the connection";
    switch (result) {
    case ANSWER_WHOLE:
        end(exchange, NET_ANSWERED, NULL);
        return;
    case ANSWER_TOO_LARGE:
        snprintf(reason, sizeof(reason), "the answer is larger than %u bytes", LIMIT_ANSWER_BYTES);
        end(exchange, NET_TOO_LARGE, reason);
        return;
    case ANSWER_GARBLED:
        end(exchange, NET_UNKNOWN, "what came back is not HTTP");
        return;
    case ANSWER_NO_MEMORY:
        end(exchange, NET_UNKNOWN, "out of memory for the answer");
        return;
    case ANSWER_NONE:
    case ANSWER_BROKEN:
        end(exchange, NET_UNKNOWN, failure);
        return;
    }
}

static enum step use_connection(struct exchange *exchange, struct connection *connection)
{
    bool kept = connection->kept, keep = false;
    if (!pass_gate(exchange)) {
        pool_put(exchange->net, connection);
        return OVER;
    }
    connection->sent = 0;
    bool sent = connection_send(connection, exchange->bytes.ptr, exchange->bytes.len);
    exchange->sent_times += connection->sent > 0;
    enum answer_result result = ANSWER_NONE;
    /* Even to a request that was not taken whole there may be an answer. */
    if (sent || (connection->sent > 0 && !connection->timed_out)) {
        struct answer_source source = {receive, connection};
        bool head = str_is(exchange->request->method, "HEAD");
        result = answer_read(source, head, exchange->arena, exchange->answer, &keep);
    }
    bool dead = kept && result == ANSWER_NONE && !connection->timed_out;
    if (dead && !exchange->net->stopping && (connection->sent == 0 || repeatable(exchange))) {
        connection_close(connection);
        return ANOTHER_CONNECTION;
    }
    if (connection->sent == 0)
        end(exchange, NET_NOT_SENT, connection->failure);
    else
        judge(exchange, connection, result);
    if (result == ANSWER_WHOLE && keep && sent && !exchange->net->stopping)
        pool_put(exchange->net, connection);
    else
        connection_close(connection);
    return OVER;
}

/* A connection of the pool that looks alive, or NULL. */
static struct connection *kept_connection(struct exchange *exchange)
{
    struct net *net = exchange->net;
    for (struct connection *c; (c = pool_take(net, exchange->target));) {
        c->deadline_ms = exchange->request->deadline_ms;
        c->failure = NULL;
        c->timed_out = false;
        if (clock_steady_ms(net->clock) - c->idle_from_ms < NET_IDLE_MS && !connection_is_stale(c))
            return c;
        connection_close(c);
    }
    return NULL;
}

static struct connection *new_connection(struct exchange *exchange)
{
    const struct net_request *request = exchange->request;
    int64_t limit_ms =
        request->connect_timeout_ms > 0 ? request->connect_timeout_ms : NET_CONNECT_TIMEOUT_MS;
    int64_t until_ms = clock_steady_ms(exchange->net->clock) + limit_ms;
    until_ms = until_ms < request->deadline_ms ? until_ms : request->deadline_ms;
    struct connection *connection =
        connection_open(exchange->net, exchange->target, until_ms, exchange->answer->reason);
    if (connection)
        connection->deadline_ms = request->deadline_ms;
    else
        end(exchange, exchange->sent_times ? NET_UNKNOWN : NET_NOT_SENT, NULL);
    return connection;
}

static void exchange_run(struct exchange *exchange)
{
    enum step step = ANOTHER_CONNECTION;
    while (step == ANOTHER_CONNECTION) {
        struct connection *connection = kept_connection(exchange);
        if (!connection)
            connection = new_connection(exchange);
        step = connection ? use_connection(exchange, connection) : OVER;
    }
}

static bool enter(struct net *net)
{
    pthread_mutex_lock(&net->lock);
    bool open = !net->stopping;
    net->active += open;
    pthread_mutex_unlock(&net->lock);
    return open;
}

static void leave(struct net *net)
{
    pthread_mutex_lock(&net->lock);
    if (--net->active == 0 && net->stopping)
        pthread_cond_broadcast(&net->all_gone);
    pthread_mutex_unlock(&net->lock);
}

void net_request(struct net *net, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret)
{
    *ret = (struct net_answer){.outcome = NET_NOT_SENT};
    struct target target;
    if (!check(request, ret) || !target_parse(&net->proxies, request, &target, ret->reason))
        return;
    if (request->deadline_ms <= clock_steady_ms(net->clock)) {
        refuse(ret, "the deadline was over before the request was sent");
        return;
    }
    struct exchange exchange = {.net = net,
                                .request = request,
                                .target = &target,
                                .bytes = write_request(request, &target, arena),
                                .arena = arena,
                                .answer = ret};
    if (!exchange.bytes.ptr) {
        refuse(ret, "out of memory");
        return;
    }
    if (enter(net)) {
        exchange_run(&exchange);
        leave(net);
    } else {
        end(&exchange, NET_CANCELLED, NULL);
    }
    if (ret->outcome != NET_ANSWERED && !ret->reason[0])
        snprintf(ret->reason, sizeof(ret->reason), "no reason is known");
}

struct str net_answer_header(const struct net_answer *answer, struct str name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (str_eq_nocase(answer->headers[i].name, name))
            return answer->headers[i].value;
    }
    return (struct str){0};
}
