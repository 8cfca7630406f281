// SPDX-License-Identifier: Apache-2.0
/* Names to addresses within a deadline. The C library's resolver cannot be interrupted, so it works
 * on a thread of its own that is left behind when it takes too long; addresses need none. */
#include "net/net_internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RESOLVE_TICK_MS 100 // how soon a stop is noticed

/* Shared by who asks and who looks up; the last one to leave frees it. */
struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    int references;
    bool done;
    int error;
    size_t count;
    struct address addresses[NET_ADDRESSES];
    char host[256], port[6];
};

static void release(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->lock);
    bool last = --lookup->references == 0;
    pthread_mutex_unlock(&lookup->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&lookup->lock);
    pthread_cond_destroy(&lookup->done_changed);
    free(lookup);
}

static void *look_up(void *arg)
{
    struct lookup *lookup = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    int error = getaddrinfo(lookup->host, lookup->port, &hints, &list);
    pthread_mutex_lock(&lookup->lock);
    lookup->error = error;
    for (struct addrinfo *i = list; i && lookup->count < NET_ADDRESSES; i = i->ai_next) {
        if (i->ai_addrlen > sizeof(struct sockaddr_storage))
            continue;
        struct address *address = &lookup->addresses[lookup->count++];
        memcpy(&address->bytes, i->ai_addr, i->ai_addrlen);
        address->size = i->ai_addrlen;
    }
    lookup->done = true;
    pthread_cond_signal(&lookup->done_changed);
    pthread_mutex_unlock(&lookup->lock);
    if (list)
        freeaddrinfo(list);
    release(lookup);
    return NULL;
}

/* "127.0.0.1" and "::1" need no resolver. */
static bool parse_numeric(struct str host, const char *port, struct address *ret)
{
    char text[INET6_ADDRSTRLEN];
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    uint16_t number = htons((uint16_t)atoi(port));
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = number};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = number};
    *ret = (struct address){0};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&ret->bytes, &v4, sizeof(v4));
        ret->size = sizeof(v4);
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(&ret->bytes, &v6, sizeof(v6));
        ret->size = sizeof(v6);
    }
    return ret->size != 0;
}

static struct lookup *start(struct str host, const char *port)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup)
        return NULL;
    snprintf(lookup->host, sizeof(lookup->host), "%.*s", STR_FMT(host));
    snprintf(lookup->port, sizeof(lookup->port), "%s", port);
    lookup->references = 2;
    pthread_mutex_init(&lookup->lock, NULL);
    pthread_cond_init(&lookup->done_changed, NULL);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    int error = pthread_create(&thread, &attributes, look_up, lookup);
    pthread_attr_destroy(&attributes);
    if (error == 0)
        return lookup;
    lookup->references = 1;
    release(lookup);
    return NULL;
}

static bool wait_for(struct net *net, struct lookup *lookup, int64_t deadline_ms)
{
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->done && !net->stopping) {
        int64_t left_ms = deadline_ms - clock_steady_ms(net->clock);
        if (left_ms <= 0)
            break;
        left_ms = left_ms < RESOLVE_TICK_MS ? left_ms : RESOLVE_TICK_MS;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += left_ms * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_clockwait(&lookup->done_changed, &lookup->lock, CLOCK_MONOTONIC, &until);
    }
    bool done = lookup->done;
    pthread_mutex_unlock(&lookup->lock);
    return done;
}

size_t resolve(struct net *net, struct str host, const char *port, int64_t deadline_ms,
               struct address *ret, char reason[256])
{
    if (parse_numeric(host, port, ret))
        return 1;
    struct lookup *lookup = start(host, port);
    if (!lookup) {
        snprintf(reason, 256, "out of memory for looking up a name");
        return 0;
    }
    size_t count = 0;
    if (!wait_for(net, lookup, deadline_ms)) {
        snprintf(reason, 256, "the name %.*s could not be looked up in time",
                 host.len < 120 ? (int)host.len : 120, host.ptr);
    } else if (lookup->error != 0 || lookup->count == 0) {
        snprintf(reason, 256, "no address for %.*s: %s", host.len < 120 ? (int)host.len : 120,
                 host.ptr, lookup->error ? gai_strerror(lookup->error) : "none is listed");
    } else {
        count = lookup->count;
        memcpy(ret, lookup->addresses, count * sizeof(*ret));
    }
    release(lookup);
    return count;
}
