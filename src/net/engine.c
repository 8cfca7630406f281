// SPDX-License-Identifier: Apache-2.0
/* libcurl's side of the HTTP client: easy handles used again, epoll, and what became of a request.
 *
 * All of it runs on the thread that drives. The line between "not sent" and "unknown" is the
 * pre-request callback: libcurl calls it when the connection stands and before it writes a byte. It
 * calls it a second time when a kept connection turned out dead and it would repeat the request by
 * itself: allowed for GET and HEAD only, because the first may have been carried out. */
#include "net/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"

/* Flags beside epoll's events in `watched`. */
#define WATCH_OURS (1u << 31)   // a connection: on_close() tells when it ends
#define WATCH_PARKED (1u << 30) // libcurl does not wait for it now
#define WATCH_EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT))

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- what libcurl asks of us ---- */

static bool reserve_watched(struct engine *engine, int fd)
{
    if ((size_t)fd < engine->watched_count)
        return true;
    size_t count = ((size_t)fd + 64) * 2;
    uint32_t *watched = realloc(engine->watched, count * sizeof(*watched));
    if (!watched)
        return false;
    memset(watched + engine->watched_count, 0, (count - engine->watched_count) * sizeof(*watched));
    engine->watched = watched;
    engine->watched_count = count;
    return true;
}

static void unwatch(struct engine *engine, int fd)
{
    if (engine->watched[fd] & WATCH_EVENTS)
        epoll_ctl(engine->epoll, EPOLL_CTL_DEL, fd, NULL);
    engine->watched[fd] &= WATCH_OURS;
}

/* Connections stay in epoll between two requests ("parked"): the next one mostly wants the same
 * events. libcurl's other descriptors, which it closes behind our back, do not. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    (void)easy, (void)unused;
    struct engine *engine = &((struct net *)ctx)->engine;
    if (!reserve_watched(engine, fd))
        return -1;
    uint32_t *watched = &engine->watched[fd];
    if (what == CURL_POLL_REMOVE) {
        if (*watched & WATCH_OURS)
            *watched |= WATCH_PARKED;
        else
            unwatch(engine, fd);
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                      (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    uint32_t old = *watched & WATCH_EVENTS;
    *watched = (*watched & WATCH_OURS) | events;
    if (old == events)
        return 0;
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(engine->epoll, old ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct net *net = ctx;
    net->engine.timer_due_us = timeout_ms < 0 ? -1 : timeout_ms ? now_us() + timeout_ms * 1000 : 0;
    return 0;
}

/* Close on exec: a credential process must not inherit connections. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct engine *engine = &((struct net *)ctx)->engine;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0 && !reserve_watched(engine, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    if (fd >= 0)
        engine->watched[fd] = WATCH_OURS;
    return fd;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct engine *engine = &((struct net *)ctx)->engine;
    if ((size_t)fd < engine->watched_count)
        engine->watched[fd] = 0;
    return close(fd);
}

static bool repeatable(const struct exchange *exchange)
{
    return strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
}

static int on_prereq(void *ctx, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    (void)peer_ip, (void)own_ip, (void)peer_port, (void)own_port;
    struct exchange *exchange = ctx;
    const struct net_request *request = exchange->request;
    if (exchange->gate_passes > 0 && !repeatable(exchange))
        return CURL_PREREQFUNC_ABORT;
    struct net_answer *answer = exchange->answer;
    if (request->gate &&
        !request->gate(request->gate_ctx, answer->reason, sizeof(answer->reason))) {
        exchange->gated = true;
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->gate_passes++;
    return CURL_PREREQFUNC_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    size_t bytes = size * count;
    if (bytes > LIMIT_ANSWER_BYTES - exchange->body.len) {
        exchange->too_large = true;
        return 0;
    }
    buf_add(&exchange->body, data, bytes);
    exchange->no_memory |= exchange->body.failed;
    return exchange->body.failed ? 0 : bytes;
}

static bool add_header(struct exchange *exchange, struct str name, struct str value)
{
    if (exchange->list_count == exchange->list_cap) {
        size_t cap = exchange->list_cap ? exchange->list_cap * 2 : 16;
        struct net_header *list =
            arena_grow(exchange->arena, exchange->list, exchange->list_cap * sizeof(*list),
                       cap * sizeof(*list));
        if (!list)
            return false;
        exchange->list = list;
        exchange->list_cap = cap;
    }
    char *text = arena_alloc_raw(exchange->arena, name.len + value.len + 1, 1);
    if (!text)
        return false;
    memcpy(text, name.ptr, name.len);
    if (value.len)
        memcpy(text + name.len, value.ptr, value.len);
    exchange->list[exchange->list_count++] =
        (struct net_header){{text, name.len}, {text + name.len, value.len}};
    return true;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    struct str line = {data, size * count};
    exchange->header_bytes += line.len;
    if (exchange->header_bytes > NET_HEADER_BYTES) {
        exchange->too_large = true;
        return 0;
    }
    if (str_starts(line, STR("HTTP/")))
        exchange->list_count = 0; // what came before was an interim answer
    size_t colon = str_find_byte(line, ':');
    if (colon == SIZE_MAX || colon == 0)
        return line.len;
    struct str value = str_trim(str_sub(line, colon + 1, SIZE_MAX));
    if (!add_header(exchange, str_sub(line, 0, colon), value)) {
        exchange->no_memory = true;
        return 0;
    }
    return line.len;
}

/* ---- handles ---- */

static void set_constant_options(struct net *net, struct net_slot *slot)
{
    CURL *easy = slot->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CAINFO, net->ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, NET_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "rectify");
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, NET_READ_BYTES);
    curl_easy_setopt(easy, CURLOPT_SHARE, net->engine.share);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->error);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, net);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, net);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
}

static struct net_slot *take_slot(struct net *net)
{
    struct net_slot *slot = net->engine.idle;
    if (slot) {
        net->engine.idle = slot->next;
        return slot;
    }
    slot = calloc(1, sizeof(*slot));
    if (!slot)
        return NULL;
    slot->easy = curl_easy_init();
    if (!slot->easy) {
        free(slot);
        return NULL;
    }
    set_constant_options(net, slot);
    return slot;
}

/* The body and the method. libcurl's own words for them decide whether Content-Length is sent. */
static void set_method(struct net_slot *slot, const struct exchange *exchange)
{
    CURL *easy = slot->easy;
    struct str body = exchange->request->body;
    bool get = strcmp(exchange->method, "GET") == 0, head = strcmp(exchange->method, "HEAD") == 0;
    bool post = strcmp(exchange->method, "POST") == 0, put = strcmp(exchange->method, "PUT") == 0;
    if (head) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (body.len || post || put || strcmp(exchange->method, "PATCH") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.len ? body.ptr : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    bool custom = !head && !post && !(get && !body.len);
    if (custom || slot->custom_method)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, custom ? exchange->method : NULL);
    slot->custom_method = custom;
}

static bool fail_start(struct exchange *exchange, const char *why)
{
    exchange->answer->outcome = NET_NOT_SENT;
    snprintf(exchange->answer->reason, sizeof(exchange->answer->reason), "%s", why);
    return false;
}

bool engine_start(struct net *net, struct exchange *exchange)
{
    const struct net_request *request = exchange->request;
    int64_t left_ms = request->deadline_ms - clock_steady_ms(net->clock);
    if (left_ms <= 0)
        return fail_start(exchange, "the deadline was over before the request was sent");
    if (!net->engine.multi && !engine_open(net))
        return fail_start(exchange, "the HTTP library could not be started");
    struct net_slot *slot = take_slot(net);
    if (!slot)
        return fail_start(exchange, "out of memory");
    CURL *easy = slot->easy;
    exchange->slot = slot;
    slot->error[0] = '\0';
    set_method(slot, exchange);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
    if (exchange->unix_socket || slot->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, exchange->unix_socket);
    slot->unix_socket = exchange->unix_socket != NULL;
    int64_t connect_ms =
        request->connect_timeout_ms > 0 ? request->connect_timeout_ms : NET_CONNECT_TIMEOUT_MS;
    left_ms = left_ms < INT_MAX ? left_ms : INT_MAX;
    connect_ms = connect_ms < left_ms ? connect_ms : left_ms;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    if (curl_easy_setopt(easy, CURLOPT_URL, exchange->url) == CURLE_OK &&
        curl_multi_add_handle(net->engine.multi, easy) == CURLM_OK)
        return true;
    engine_drop(net, exchange);
    return fail_start(exchange, "out of memory");
}

void engine_drop(struct net *net, struct exchange *exchange)
{
    struct net_slot *slot = exchange->slot;
    curl_multi_remove_handle(net->engine.multi, slot->easy);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, NULL);
    exchange->slot = NULL;
    slot->next = net->engine.idle;
    net->engine.idle = slot;
}

/* ---- what became of it ---- */

static enum net_outcome outcome_of(const struct exchange *exchange, CURLcode code)
{
    if (exchange->gated)
        return exchange->gate_passes ? NET_UNKNOWN : NET_GATED;
    if (exchange->too_large)
        return NET_TOO_LARGE;
    if (code == CURLE_OK && !exchange->no_memory)
        return NET_ANSWERED;
    return exchange->gate_passes ? NET_UNKNOWN : NET_NOT_SENT;
}

static void explain(struct exchange *exchange, CURLcode code)
{
    struct net_answer *answer = exchange->answer;
    if (answer->outcome == NET_ANSWERED || answer->outcome == NET_GATED)
        return;
    const char *why = exchange->slot->error[0] ? exchange->slot->error : curl_easy_strerror(code);
    if (answer->outcome == NET_TOO_LARGE)
        snprintf(answer->reason, sizeof(answer->reason), "the answer is larger than %u bytes",
                 LIMIT_ANSWER_BYTES);
    else if (exchange->no_memory)
        snprintf(answer->reason, sizeof(answer->reason), "out of memory for the answer");
    else if (code == CURLE_ABORTED_BY_CALLBACK && !exchange->gated)
        snprintf(answer->reason, sizeof(answer->reason),
                 "the kept connection was cut while the request was under way");
    else if (!exchange->gated)
        snprintf(answer->reason, sizeof(answer->reason), "%s", why);
}

static void complete(struct net *net, struct exchange *exchange, CURLcode code)
{
    struct net_answer *answer = exchange->answer;
    answer->outcome = outcome_of(exchange, code);
    if (answer->outcome == NET_ANSWERED) {
        long status = 0;
        curl_easy_getinfo(exchange->slot->easy, CURLINFO_RESPONSE_CODE, &status);
        answer->status = (int)status;
        answer->headers = exchange->list;
        answer->header_count = exchange->list_count;
        answer->body = (struct str){exchange->body.ptr, exchange->body.len};
    }
    explain(exchange, code);
    engine_drop(net, exchange);
    net_finished(net, exchange);
}

static void reap(struct net *net)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(net->engine.multi, &left));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        char *exchange = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        complete(net, (struct exchange *)(void *)exchange, code);
    }
}

/* ---- waiting ---- */

static int wait_ms(const struct engine *engine, bool may_sleep)
{
    if (!may_sleep || engine->timer_due_us == 0)
        return 0;
    if (engine->timer_due_us < 0)
        return -1;
    int64_t left_us = engine->timer_due_us - now_us();
    return left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
}

static void handle_event(struct net *net, const struct epoll_event *event)
{
    struct engine *engine = &net->engine;
    int fd = event->data.fd, running = 0;
    if (fd == net->wake) {
        uint64_t count;
        ssize_t got = read(fd, &count, sizeof(count));
        (void)got;
        return;
    }
    int what = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    /* A parked connection that its peer closed would ring for ever; libcurl finds out at its next
     * use. */
    if ((size_t)fd < engine->watched_count && engine->watched[fd] & WATCH_PARKED) {
        unwatch(engine, fd);
        return;
    }
    curl_multi_socket_action(engine->multi, fd, what, &running);
}

void engine_turn(struct net *net, bool may_sleep)
{
    struct engine *engine = &net->engine;
    struct epoll_event events[64];
    int running = 0;
    if (engine->timer_due_us == 0) { // just added, or libcurl wants to go on at once
        engine->timer_due_us = -1;
        curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        reap(net);
        return;
    }
    int count = epoll_wait(engine->epoll, events, 64, wait_ms(engine, may_sleep));
    for (int i = 0; i < count; i++)
        handle_event(net, &events[i]);
    if (engine->timer_due_us > 0 && engine->timer_due_us <= now_us()) {
        engine->timer_due_us = -1;
        curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    reap(net);
}

/* ---- beginning and end ---- */

static void start_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void set_multi_options(struct net *net)
{
    CURLM *multi = net->engine.multi;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, net);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, net);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, net->connections_per_host_max);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, NET_IDLE_CONNECTIONS);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

bool engine_open(struct net *net)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_library);
    struct engine *engine = &net->engine;
    engine->timer_due_us = -1;
    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    engine->multi = curl_multi_init();
    engine->share = curl_share_init();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = net->wake};
    if (engine->epoll < 0 || !engine->multi || !engine->share ||
        epoll_ctl(engine->epoll, EPOLL_CTL_ADD, net->wake, &event) != 0) {
        engine_close(net);
        return false;
    }
    /* No lock functions: one thread drives at a time. */
    curl_share_setopt(engine->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    set_multi_options(net);
    return true;
}

void engine_close(struct net *net)
{
    struct engine *engine = &net->engine;
    for (struct net_slot *slot = engine->idle, *next; slot; slot = next) {
        next = slot->next;
        curl_easy_cleanup(slot->easy);
        free(slot);
    }
    if (engine->multi)
        curl_multi_cleanup(engine->multi);
    if (engine->share)
        curl_share_cleanup(engine->share);
    if (engine->epoll >= 0)
        close(engine->epoll);
    free(engine->watched);
    *engine = (struct engine){.epoll = -1};
}
