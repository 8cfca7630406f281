// SPDX-License-Identifier: Apache-2.0
/* What the store costs: a compliant event (accept, claim, get, one awaited-by-nobody transition,
 * terminal) and a repaired one (guards, intent, calling, verifying, healed on top), with 1, 8 and
 * 64 threads.
 *
 *   store_bench [FOLDER] [EVENTS]      default: a new folder under TMPDIR, 20000
 *
 * With RECTIFY_BENCH_POSTGRES=postgres://... (an empty database) the same follows against that
 * server; the CPU is then this process's alone, without the server's.
 *
 * The last line is 64 threads that heal with two pretended calls of 30 ms in each repair.
 * Prints events and transitions a second, and CPU (user + sys) microseconds an event and a
 * transition. Single: each thread takes one row at a time and waits where the engine waits. Bulk:
 * accepts of 500. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define BULK 500
#define DETAIL                                                                                     \
    "{\"event\":{\"id\":\"6f1b2c3d-0000-4000-8000-1234567890ab\",\"name\":\"s3:CreateBucket\","    \
    "\"time\":\"2026-01-02T03:04:05Z\",\"source\":\"aws.s3\",\"actor\":"                           \
    "\"arn:aws:sts::123456789012:assumed-role/deploy/jane\",\"ip\":\"198.51.100.7\"},"             \
    "\"mode\":\"enforce\"}"
#define DETAIL_DECIDED                                                                             \
    "{\"event\":{\"id\":\"6f1b2c3d-0000-4000-8000-1234567890ab\",\"name\":\"s3:CreateBucket\"},"   \
    "\"mode\":\"enforce\",\"reads\":{\"tagging\":{\"TagSet\":[{\"Key\":\"team\",\"Value\":"        \
    "\"payments\"}]}},\"fingerprint\":"                                                            \
    "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\",\"decision\":"           \
    "{\"verdict\":\"violation\",\"action\":\"act\",\"reasons\":[\"no cost-center tag\"]},"         \
    "\"plan\":[{\"call\":\"s3:PutBucketTagging\",\"with\":{\"Bucket\":\"b\",\"Tagging\":"          \
    "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"payments\"},{\"Key\":\"cost-center\",\"Value\":"   \
    "\"unassigned\"}]}}}]}"
#define RECORD                                                                                     \
    "{\"call\":\"s3:GetBucketTagging\",\"request_id\":\"ABCDEF0123456789\",\"verdict\":\"x\"}"

struct bench {
    struct store *store;
    atomic_long transitions, events;
    bool repaired;
    unsigned pace_us; // a pretended call's time
};

static void must(enum store_result result, const struct error *err)
{
    if (result == STORE_OK)
        return;
    fprintf(stderr, "store_bench: result %d: %s\n", result, err->message);
    exit(1);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void accept_all(struct store *store, const char *run, long count)
{
    static char keys[BULK][64], resources[BULK][160];
    static struct store_match matches[BULK];
    static struct store_event events[BULK];
    struct error err;
    for (long at = 0; at < count; at += BULK) {
        size_t n = 0;
        for (; n < BULK && at + (long)n < count; n++) {
            snprintf(keys[n], sizeof keys[n], "6f1b2c3d-%s-%08ld", run, at + (long)n);
            snprintf(resources[n], sizeof resources[n],
                     "aws/123456789012/eu-west-1/AWS::S3::Bucket/%s-bucket-%ld", run, at + (long)n);
            matches[n] = (struct store_match){
                STR("s3-cost-center-tag"),
                STR("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
                str_from(resources[n]),
                STR("eu-west-1"),
                0,
                STR(DETAIL)};
            events[n] =
                (struct store_event){str_from(keys[n]), STR("s3:CreateBucket"), &matches[n], 1};
        }
        must(store_accept(store, events, n, NULL, &err), &err);
    }
}

static void advance(struct bench *b, struct store_transition *t, enum state to, bool wait)
{
    struct error err;
    t->to = to;
    t->keep_lease = !state_is_terminal(to);
    must(store_advance(b->store, t, wait, &err), &err);
    t->version++;
    t->detail = t->approval_hash; // empty: unchanged
    t->lock = false;
    atomic_fetch_add_explicit(&b->transitions, 1, memory_order_relaxed);
}

static void heal(struct bench *b, struct store_transition *t, const struct remediation *r)
{
    static const struct breaker_rule rule = {3, 50, 20, 86400000, 60000};
    const struct permit permits[] = {
        {STR("policy bench"), STR("123456789012"), 1000, -1, rule}, // as many keys as one call has
        {STR("policy bench 123456789012"), r->resource, 0, 0, rule},
        {STR("account 123456789012"), r->resource, 1000, -1, {0}},
        {STR("fleet"), STR("bench 123456789012"), 1000, 0, rule},
        {STR("call 123456789012 eu-west-1 s3:PutBucketTagging"), r->resource, 0, 0, rule}};
    struct store_guard_query query = {r->policy, r->policy_hash, r->resource, permits, 5};
    struct store_guards guards;
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    must(store_guards(b->store, &query, &arena, &guards, &err), &err);
    t->lock = true;
    t->permits = permits;
    t->permit_count = 5;
    t->detail = STR(DETAIL_DECIDED);
    advance(b, t, STATE_INTENT, true);
    t->permit_count = 0;
    advance(b, t, STATE_CALLING, true);
    if (b->pace_us)
        usleep(b->pace_us);
    advance(b, t, STATE_VERIFYING, false);
    t->outcome = OUTCOME_GOOD;
    t->detail = STR(DETAIL_DECIDED);
    advance(b, t, STATE_HEALED, false);
}

static void *work(void *arg)
{
    struct bench *b = arg;
    struct arena arena = {0};
    struct error err;
    for (;;) {
        struct store_claim claim;
        struct remediation r;
        size_t count;
        int64_t next;
        must(store_claim(b->store, 1, 60000, 900000, &claim, &count, &next, &err), &err);
        if (count == 0)
            break;
        must(store_get(b->store, claim.id, &arena, &r, &err), &err);
        struct store_transition t = {.id = r.id,
                                     .version = r.version,
                                     .epoch = claim.epoch,
                                     .reason = STR("read: no cost-center tag"),
                                     .record = STR(RECORD)};
        advance(b, &t, STATE_READING, false);
        if (b->pace_us)
            usleep(b->pace_us);
        if (b->repaired)
            heal(b, &t, &r);
        else
            advance(b, &t, STATE_COMPLIANT, false);
        atomic_fetch_add_explicit(&b->events, 1, memory_order_relaxed);
        arena_reset(&arena);
    }
    arena_finish(&arena);
    return NULL;
}

static void run(struct store *store, bool repaired, int threads, long count, unsigned pace_us)
{
    struct bench b = {.store = store, .repaired = repaired, .pace_us = pace_us};
    pthread_t ids[64];
    char name[32];
    struct error err;
    snprintf(name, sizeof name, "%c%d%s", repaired ? 'r' : 'c', threads, pace_us ? "p" : "");
    double start = seconds(), cpu = cpu_seconds();
    accept_all(store, name, count);
    double accepted = cpu_seconds() - cpu;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, &b) != 0)
            exit(1);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    must(store_flush(store, &err), &err);
    double wall = seconds() - start;
    cpu = cpu_seconds() - cpu;
    printf("%-9s %3d threads: %7.0f events/s %8.0f transitions/s  cpu/event %6.1f us "
           "(accept %4.1f)  cpu/transition %5.1f us\n",
           pace_us    ? "paced"
           : repaired ? "repaired"
                      : "compliant",
           threads, (double)b.events / wall, (double)b.transitions / wall,
           cpu * 1e6 / (double)b.events, accepted * 1e6 / (double)b.events,
           (cpu - accepted) * 1e6 / (double)b.transitions);
}

static int bench(const char *where, long count)
{
    static const int threads[] = {1, 8, 64};
    struct error err;
    struct store *store = store_open(where, clock_system(), &err);
    if (!store) {
        fprintf(stderr, "store_bench: %s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        if (getenv("ONLY") && atoi(getenv("ONLY")) != threads[i])
            continue;
        run(store, false, threads[i], count, 0);
        run(store, true, threads[i], count, 0);
    }
    run(store, true, 64, count, 30000);
    double start = seconds();
    store_close(store);
    printf("close: %.1f ms\n", (seconds() - start) * 1e3);
    start = seconds();
    store = store_open(where, clock_system(), &err);
    printf("open with %ld events behind it: %.2f ms\n", count * 7, (seconds() - start) * 1e3);
    store_close(store);
    return 0;
}

int main(int argc, char **argv)
{
    char folder[512], path[600];
    const char *root = getenv("TMPDIR"), *server = getenv("RECTIFY_BENCH_POSTGRES");
    snprintf(folder, sizeof folder, "%s/store-bench-XXXXXX", root ? root : "/tmp");
    if (argc > 1)
        snprintf(folder, sizeof folder, "%s", argv[1]);
    else if (!mkdtemp(folder))
        return 1;
    long count = argc > 2 ? atol(argv[2]) : 20000;
    snprintf(path, sizeof path, "%s/bench.db", folder);
    int status = bench(path, count);
    if (!server)
        return status;
    printf("PostgreSQL:\n");
    return bench(server, count) || status;
}
