// SPDX-License-Identifier: Apache-2.0
/* bench_aws MODELS URL [EVENTS [THREADS [CALLS]]]: what calls cost, client side, against a server
 * with canned answers. An event is what a remediation does on the wire: s3:GetBucketTagging, and
 * (CALLS 2, the default) s3:PutBucketTagging with one tag more. The account is proven once. Prints
 * one line of JSON: CPU an event in us, wall seconds, events a second, peak RSS in KiB, failures.
 * bench_aws MODELS SERVICE:OPERATION: how long the first use of a service's model takes, in us.
 * bench/aws.py runs both. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "aws/aws.h"

#define THREADS_MAX 256

struct bench {
    struct aws_client *client;
    const struct aws_operation *get, *put;
    const char *url;
    int events, calls;
    atomic_int next, failed;
};

static const char *lookup(void *ctx, const char *name)
{
    static const struct {
        const char *name, *value;
    } fixed[] = {{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
                 {"AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
                 {"AWS_REGION", "us-east-1"}};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (strcmp(name, fixed[i].name) == 0)
            return fixed[i].value;
    }
    return strcmp(name, "AWS_ENDPOINT_URL") == 0 ? ((struct bench *)ctx)->url : NULL;
}

static struct value string_map(struct arena *arena, const char *a, const char *b, struct value v)
{
    struct value_builder map = {.arena = arena};
    value_set(&map, a, value_cstr(b));
    if (v.kind != VALUE_NULL)
        value_set(&map, "Value", v);
    return value_finish_map(&map);
}

/* The tags that were read and one more. */
static struct value union_of(struct arena *arena, struct value output)
{
    struct value_builder list = {.arena = arena}, tagging = {.arena = arena};
    const struct value *tags = value_get(output, STR("TagSet"));
    for (uint32_t i = 0; tags && i < tags->len; i++)
        value_push(&list, tags->items[i]);
    value_push(&list, string_map(arena, "Key", "cost-center", value_cstr("unassigned")));
    value_set(&tagging, "TagSet", value_finish_list(&list));
    return value_finish_map(&tagging);
}

static bool call(struct bench *bench, const struct aws_operation *op, struct value input,
                 struct arena *arena, struct aws_answer *ret)
{
    struct aws_call call = {.operation = op, .input = input, .account = STR("123456789012")};
    aws_call(bench->client, &call, arena, ret);
    if (ret->outcome == AWS_OK)
        return true;
    if (atomic_fetch_add(&bench->failed, 1) == 0)
        fprintf(stderr, "failed: %.*s %.*s\n", STR_FMT(ret->code), STR_FMT(ret->message));
    return false;
}

static void *work(void *arg)
{
    struct bench *bench = arg;
    struct arena arena = {0};
    for (int i; (i = atomic_fetch_add(&bench->next, 1)) < bench->events; arena_reset(&arena)) {
        char bucket[32];
        snprintf(bucket, sizeof(bucket), "bad-%05d", i);
        struct value_builder input = {.arena = &arena};
        value_set(&input, "Bucket", value_cstr(bucket));
        struct aws_answer answer;
        if (!call(bench, bench->get, value_finish_map(&input), &arena, &answer) || bench->calls < 2)
            continue;
        value_set(&input, "Tagging", union_of(&arena, answer.output));
        call(bench, bench->put, value_finish_map(&input), &arena, &answer);
    }
    arena_finish(&arena);
    return NULL;
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* ru_maxrss would count who started us, too. */
static long peak_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

static void report(const struct bench *bench, double cpu, int64_t took_ms)
{
    double wall_s = (double)(took_ms ? took_ms : 1) / 1000;
    printf("{\"cpu_us\": %.2f, \"wall_s\": %.3f, \"events_s\": %.0f, \"peak_kib\": %ld, "
           "\"failed\": %d}\n",
           cpu / bench->events, wall_s, bench->events / wall_s, peak_kib(), bench->failed);
}

static bool prepare(struct bench *bench, struct aws_models *models, struct net *net, int threads,
                    struct error *err)
{
    struct aws_client_options options = {.models = models,
                                         .net = net,
                                         .clock = clock_system(),
                                         .env = lookup,
                                         .env_ctx = bench,
                                         .in_flight_max = threads};
    bench->client = aws_client_create(&options, err);
    if (!bench->client)
        return false;
    bench->get = aws_operation_find(models, STR("s3:GetBucketTagging"), err);
    bench->put = bench->get ? aws_operation_find(models, STR("s3:PutBucketTagging"), err) : NULL;
    return bench->put != NULL;
}

static int option(int argc, char **argv, int i, int fallback)
{
    return argc > i ? atoi(argv[i]) : fallback;
}

static int first_use(const char *dir, const char *name)
{
    struct error err;
    struct timespec start, end;
    struct aws_models *models = aws_models_open(dir, &err);
    clock_gettime(CLOCK_MONOTONIC, &start);
    bool ok = models && aws_operation_find(models, str_from(name), &err);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (ok)
        printf("%.1f\n", (double)(end.tv_sec - start.tv_sec) * 1e6 +
                             (double)(end.tv_nsec - start.tv_nsec) / 1e3);
    else
        printf("%s\n", err.message);
    aws_models_close(models);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct error err;
    if (argc == 3 && !strstr(argv[2], "://"))
        return first_use(argv[1], argv[2]);
    struct bench bench = {.url = argc > 2 ? argv[2] : NULL,
                          .events = option(argc, argv, 3, 20000),
                          .calls = option(argc, argv, 5, 2)};
    int threads = option(argc, argv, 4, 1);
    if (argc < 3 || threads < 1 || threads > THREADS_MAX || bench.events < 1) {
        printf("usage: %s MODELS URL [EVENTS [THREADS [CALLS]]], or MODELS SERVICE:OPERATION\n",
               argv[0]);
        return 2;
    }
    struct net_options net_options = {.clock = clock_system()};
    struct net *net = net_create(&net_options, &err);
    struct aws_models *models = net ? aws_models_open(argv[1], &err) : NULL;
    if (!models || !prepare(&bench, models, net, threads, &err)) {
        printf("%s\n", err.message);
        return 1;
    }
    pthread_t ids[THREADS_MAX];
    double cpu = cpu_us();
    int64_t start_ms = clock_steady_ms(clock_system());
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, work, &bench) != 0)
            return 1;
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    report(&bench, cpu_us() - cpu, clock_steady_ms(clock_system()) - start_ms);
    aws_client_destroy(bench.client);
    aws_models_close(models);
    net_destroy(net);
    return bench.failed ? 1 : 0;
}
