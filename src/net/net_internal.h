// SPDX-License-Identifier: Apache-2.0
/* The two halves of net/: net.c decides whose thread drives, engine.c speaks to libcurl.
 *
 * A caller that finds nobody driving drives the multi handle itself: its own exchange and those of
 * all who join meanwhile, who sleep. When its own is over it passes the wheel to a sleeper, or
 * leaves it lying. So a lone request costs no switch of threads and 64 cost one each. */
#ifndef RECTIFY_NET_NET_INTERNAL_H
#define RECTIFY_NET_NET_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/net.h"

#define NET_CONNECT_TIMEOUT_MS 3100
#define NET_HEADER_BYTES (256u << 10) // all headers of an answer, interim ones included
#define NET_IDLE_CONNECTIONS 256L     // kept alive in all
#define NET_READ_BYTES 4096L          // of one read; most answers are smaller
#define NET_IDLE_S 60L                // a connection idle for longer is not used again

enum turn { TURN_SLEEP, TURN_DRIVE, TURN_OVER };

/* An easy handle that is used again and again, its constant options set once. */
struct net_slot {
    CURL *easy;
    char error[CURL_ERROR_SIZE];
    bool unix_socket, custom_method; // options that the last use left behind
    struct net_slot *next;
};

/* One request on its way; lives on its caller's stack. */
struct exchange {
    struct net *net;
    const struct net_request *request;
    struct net_answer *answer;
    struct exchange *prev, *next; // in the queue or among the running
    atomic_int turn;              // enum turn; a futex
    struct net_slot *slot;        // while running

    const char *url, *method, *unix_socket;
    struct curl_slist *headers;

    struct arena *arena;
    struct buf body;
    struct net_header *list;
    size_t list_count, list_cap, header_bytes;
    unsigned gate_passes; // how often a request may have begun to leave
    bool gated, too_large, no_memory, finished;
};

struct exchanges {
    struct exchange *first, *last;
};

/* What the driver owns. */
struct engine {
    CURLM *multi;
    CURLSH *share; // TLS sessions
    int epoll;
    int64_t timer_due_us; // CLOCK_MONOTONIC, -1 = none
    uint32_t *watched;    // by descriptor: the events that epoll watches, 0 = not in it
    size_t watched_count;
    struct net_slot *idle;
};

struct net {
    const struct clock *clock;
    char *ca_file;
    long connections_per_host_max;
    int wake; // eventfd, watched by epoll

    pthread_mutex_t lock;
    pthread_cond_t all_gone; // active has become 0
    struct exchanges queue;  // submitted, not started
    struct exchanges running;
    unsigned active; // callers inside net_request()
    bool driven;     // somebody drives
    bool asleep;     // ... and sleeps in epoll_wait
    bool stopping;

    struct engine engine; // the driver's
};

void exchanges_add(struct exchanges *list, struct exchange *exchange);
void exchanges_remove(struct exchanges *list, struct exchange *exchange);

/* Driver only. */
bool engine_open(struct net *net);
void engine_close(struct net *net);
/* Begins an exchange; false (answer set) when it could not. */
bool engine_start(struct net *net, struct exchange *exchange);
/* Waits for events (at most until the next timer) and handles them. */
void engine_turn(struct net *net, bool may_sleep);
/* Takes an exchange out, unfinished. */
void engine_drop(struct net *net, struct exchange *exchange);
/* Called by the engine for each exchange that is over, answer set. */
void net_finished(struct net *net, struct exchange *exchange);

#endif
