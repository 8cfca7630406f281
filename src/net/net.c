// SPDX-License-Identifier: Apache-2.0
/* The callers' side of the HTTP client: checking a request, and whose thread drives.
 *
 * Invariant: `driven` says whether a thread drives; only that thread touches `engine` and
 * `running`. Whoever leaves the wheel passes it on while anything is queued or running. */
#include "net/net_internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ensure.h"

static void futex_wait(atomic_int *word, int while_value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_value, NULL, NULL, 0);
}

static void futex_wake(atomic_int *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void exchanges_add(struct exchanges *list, struct exchange *exchange)
{
    exchange->prev = list->last;
    exchange->next = NULL;
    if (list->last)
        list->last->next = exchange;
    else
        list->first = exchange;
    list->last = exchange;
}

void exchanges_remove(struct exchanges *list, struct exchange *exchange)
{
    if (exchange->prev)
        exchange->prev->next = exchange->next;
    else
        list->first = exchange->next;
    if (exchange->next)
        exchange->next->prev = exchange->prev;
    else
        list->last = exchange->prev;
    exchange->prev = exchange->next = NULL;
}

static const char *ca_default(void)
{
    const char *path = getenv("AWS_CA_BUNDLE");
    return path && *path ? path : "/etc/ssl/certs/ca-certificates.crt";
}

struct net *net_create(const struct net_options *options, struct error *err)
{
    struct net *net = calloc(1, sizeof(*net));
    if (net)
        net->ca_file = strdup(options->ca_file ? options->ca_file : ca_default());
    if (!net || !net->ca_file) {
        free(net);
        error_set(err, "N0001", "out of memory for the HTTP client");
        return NULL;
    }
    net->clock = options->clock;
    net->connections_per_host_max =
        options->connections_per_host_max > 0 ? options->connections_per_host_max : 128;
    net->engine.epoll = -1;
    net->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (net->wake < 0) {
        error_set(err, "N0002", "no descriptor for the HTTP client: %s", strerror(errno));
        error_hint(err, "raise the limit of open files (ulimit -n)");
        free(net->ca_file);
        free(net);
        return NULL;
    }
    pthread_mutex_init(&net->lock, NULL);
    pthread_cond_init(&net->all_gone, NULL);
    return net;
}

static void wake_driver(struct net *net)
{
    uint64_t one = 1;
    ssize_t written = write(net->wake, &one, sizeof(one));
    (void)written; // full means that it is awake already
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    pthread_mutex_lock(&net->lock);
    net->stopping = true;
    wake_driver(net);
    while (net->active > 0)
        pthread_cond_wait(&net->all_gone, &net->lock);
    pthread_mutex_unlock(&net->lock);
    engine_close(net);
    close(net->wake);
    pthread_cond_destroy(&net->all_gone);
    pthread_mutex_destroy(&net->lock);
    free(net->ca_file);
    free(net);
}

/* Caller holds the lock. */
static void finish_locked(struct exchange *exchange)
{
    exchange->finished = true;
    atomic_store_explicit(&exchange->turn, TURN_OVER, memory_order_release);
}

void net_finished(struct net *net, struct exchange *exchange)
{
    pthread_mutex_lock(&net->lock);
    exchanges_remove(&net->running, exchange);
    finish_locked(exchange);
    /* Woken under the lock: its caller takes it before it returns, so the exchange still exists. */
    futex_wake(&exchange->turn);
    pthread_mutex_unlock(&net->lock);
}

static void cancel_all(struct net *net)
{
    for (struct exchange *exchange; (exchange = net->running.first);) {
        engine_drop(net, exchange);
        exchange->answer->outcome = NET_CANCELLED;
        snprintf(exchange->answer->reason, sizeof(exchange->answer->reason),
                 "cancelled: the client is shutting down");
        net_finished(net, exchange);
    }
}

/* Moves what is queued to the running. True if the driver should stop everything. */
static bool take_queue(struct net *net, struct exchange **ret_first)
{
    pthread_mutex_lock(&net->lock);
    net->asleep = false;
    *ret_first = net->queue.first;
    net->queue = (struct exchanges){0};
    bool stop = net->stopping;
    pthread_mutex_unlock(&net->lock);
    return stop;
}

static void start_all(struct net *net, struct exchange *first)
{
    for (struct exchange *exchange = first, *next; exchange; exchange = next) {
        next = exchange->next;
        exchanges_add(&net->running, exchange);
        if (!engine_start(net, exchange))
            net_finished(net, exchange);
    }
}

/* May the driver sleep? Submitters ring the bell from here on. */
static bool announce_sleep(struct net *net)
{
    pthread_mutex_lock(&net->lock);
    bool may = !net->queue.first && !net->stopping;
    net->asleep = may;
    pthread_mutex_unlock(&net->lock);
    return may;
}

/* Passes the wheel to somebody who is still waiting, or leaves it. */
static void pass_wheel(struct net *net)
{
    pthread_mutex_lock(&net->lock);
    net->asleep = false;
    struct exchange *next = net->running.last ? net->running.last : net->queue.last;
    if (next) {
        atomic_store_explicit(&next->turn, TURN_DRIVE, memory_order_release);
        futex_wake(&next->turn);
    } else {
        net->driven = false;
    }
    pthread_mutex_unlock(&net->lock);
}

static void drive(struct net *net, struct exchange *own)
{
    while (!own->finished) {
        struct exchange *first = NULL;
        bool stop = take_queue(net, &first);
        start_all(net, first);
        if (stop)
            cancel_all(net);
        if (own->finished)
            break;
        engine_turn(net, announce_sleep(net));
    }
    pass_wheel(net);
}

static void run(struct net *net, struct exchange *exchange)
{
    pthread_mutex_lock(&net->lock);
    if (net->stopping) {
        exchange->answer->outcome = NET_CANCELLED;
        pthread_mutex_unlock(&net->lock);
        return;
    }
    net->active++;
    exchanges_add(&net->queue, exchange);
    bool mine = !net->driven;
    net->driven = true;
    bool ring = !mine && net->asleep;
    net->asleep = net->asleep && !ring;
    pthread_mutex_unlock(&net->lock);
    if (ring)
        wake_driver(net);

    int turn = mine ? TURN_DRIVE : TURN_SLEEP;
    while (turn == TURN_SLEEP) {
        futex_wait(&exchange->turn, TURN_SLEEP);
        turn = atomic_load_explicit(&exchange->turn, memory_order_acquire);
    }
    if (turn == TURN_DRIVE)
        drive(net, exchange);

    pthread_mutex_lock(&net->lock);
    if (--net->active == 0 && net->stopping)
        pthread_cond_broadcast(&net->all_gone);
    pthread_mutex_unlock(&net->lock);
}

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

/* libcurl's spelling of a header: "Name: value", or "Name;" for an empty value. */
static char *header_line(struct arena *arena, const struct net_header *header)
{
    size_t size = header->name.len + header->value.len + 3;
    char *line = arena_alloc_raw(arena, size, 1);
    if (!line)
        return NULL;
    char *at = mempcpy(line, header->name.ptr, header->name.len);
    if (header->value.len == 0) {
        memcpy(at, ";", 2);
        return line;
    }
    at = mempcpy(at, ": ", 2);
    at = mempcpy(at, header->value.ptr, header->value.len);
    *at = '\0';
    return line;
}

static bool prepare_headers(struct exchange *exchange)
{
    const struct net_request *request = exchange->request;
    struct curl_slist *nodes =
        ARENA_ARRAY(exchange->arena, struct curl_slist, request->header_count + 2);
    if (!nodes)
        return refuse(exchange->answer, "out of memory");
    /* libcurl would wait for "100 Continue" and invent a form's content type. */
    static char no_expect[] = "Expect:", no_type[] = "Content-Type:";
    size_t count = 0;
    nodes[count++].data = no_expect;
    bool has_type = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct net_header *header = &request->headers[i];
        if (header->name.len == 0 || has_line_break(header->name) || has_line_break(header->value))
            return refuse(exchange->answer, "a header holds a line break or has no name");
        has_type |= str_eq_nocase(header->name, STR("content-type"));
        nodes[count].data = header_line(exchange->arena, header);
        if (!nodes[count++].data)
            return refuse(exchange->answer, "out of memory");
    }
    if (!has_type)
        nodes[count++].data = no_type;
    for (size_t i = 0; i + 1 < count; i++)
        nodes[i].next = &nodes[i + 1];
    exchange->headers = nodes;
    return true;
}

static bool prepare(struct exchange *exchange)
{
    const struct net_request *request = exchange->request;
    if (has_line_break(request->url) || has_line_break(request->method) || !request->url.len ||
        !request->method.len)
        return refuse(exchange->answer, "the address or the method is malformed");
    exchange->url = str_copy(exchange->arena, request->url).ptr;
    exchange->method = str_copy(exchange->arena, request->method).ptr;
    if (request->unix_socket.len)
        exchange->unix_socket = str_copy(exchange->arena, request->unix_socket).ptr;
    if (!exchange->url || !exchange->method || (request->unix_socket.len && !exchange->unix_socket))
        return refuse(exchange->answer, "out of memory");
    return prepare_headers(exchange);
}

void net_request(struct net *net, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret)
{
    *ret = (struct net_answer){.outcome = NET_NOT_SENT};
    struct exchange exchange = {
        .net = net, .request = request, .answer = ret, .arena = arena, .body = {.arena = arena}};
    if (prepare(&exchange))
        run(net, &exchange);
    if (ret->outcome != NET_ANSWERED && !ret->reason[0])
        snprintf(ret->reason, sizeof(ret->reason), "the request was cancelled");
}

struct str net_answer_header(const struct net_answer *answer, struct str name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (str_eq_nocase(answer->headers[i].name, name))
            return answer->headers[i].value;
    }
    return (struct str){0};
}
