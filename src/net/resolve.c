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

/* ---- which addresses are public ---- */

/* What IANA's registries of special-purpose addresses keep out of the public Internet. */
static const struct {
    uint32_t network;
    unsigned bits;
} special_v4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
    {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};

static bool is_public_v4(uint32_t ip)
{
    for (size_t i = 0; i < sizeof special_v4 / sizeof *special_v4; i++)
        if ((ip ^ special_v4[i].network) >> (32 - special_v4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t word_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* 2000::/3 without documentation, benchmarking and Teredo; 6to4 and NAT64 count as what they hold.
 */
static bool is_public_v6(const unsigned char *b)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (memcmp(b, mapped, sizeof mapped) == 0 || memcmp(b, nat64, sizeof nat64) == 0)
        return is_public_v4(word_at(b + 12));
    if (b[0] == 0x20 && b[1] == 0x02)
        return is_public_v4(word_at(b + 2));
    if (word_at(b) == 0x20010db8 || (b[0] == 0x20 && b[1] == 0x01 && b[2] < 2))
        return false;
    return (b[0] & 0xe0) == 0x20;
}

bool address_is_public(const struct address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->bytes.ss_family == AF_INET) {
        memcpy(&v4, &address->bytes, sizeof v4);
        return is_public_v4(ntohl(v4.sin_addr.s_addr));
    }
    memcpy(&v6, &address->bytes, sizeof v6);
    return address->bytes.ss_family == AF_INET6 && is_public_v6(v6.sin6_addr.s6_addr);
}
