// SPDX-License-Identifier: Apache-2.0
/* bench_aws MODELS URL [CALLS [THREADS]]: what one call costs, client side, against a server with
 * canned answers: s3:GetBucketTagging, the account proven once. Prints CPU a call, calls a second,
 * peak RSS.
 *
 *   stub 9911 &   bench_aws build/models http://127.0.0.1:9911 20000 1     the client's own cost
 *   stub 9912 -w 20 &   bench_aws build/models http://127.0.0.1:9912 6400 64     64 in flight */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "aws/aws.h"

#define THREADS_MAX 256

struct bench {
    struct aws_client *client;
    const struct aws_operation *operation;
    const char *url;
    int calls;
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

static void *work(void *arg)
{
    struct bench *bench = arg;
    struct arena arena = {0};
    for (int i; (i = atomic_fetch_add(&bench->next, 1)) < bench->calls;) {
        char bucket[32];
        snprintf(bucket, sizeof(bucket), "bad-%05d", i);
        struct value_builder input = {.arena = &arena};
        value_set(&input, "Bucket", value_cstr(bucket));
        struct aws_call call = {.operation = bench->operation,
                                .input = value_finish_map(&input),
                                .account = STR("123456789012")};
        struct aws_answer answer;
        aws_call(bench->client, &call, &arena, &answer);
        if (answer.outcome != AWS_OK && atomic_fetch_add(&bench->failed, 1) == 0)
            printf("failed: %.*s %.*s\n", STR_FMT(answer.code), STR_FMT(answer.message));
        arena_reset(&arena);
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

static void report(struct bench *bench, int threads, double cpu, int64_t took_ms)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%d calls, %d in flight: %.1f us CPU a call, %.0f calls/s, %ld KiB peak, %d failed\n",
           bench->calls, threads, cpu / bench->calls,
           bench->calls * 1000.0 / (double)(took_ms ? took_ms : 1), usage.ru_maxrss, bench->failed);
}

int main(int argc, char **argv)
{
    struct error err;
    struct bench bench = {.url = argc > 2 ? argv[2] : NULL,
                          .calls = argc > 3 ? atoi(argv[3]) : 20000};
    int threads = argc > 4 ? atoi(argv[4]) : 1;
    if (argc < 3 || threads < 1 || threads > THREADS_MAX) {
        printf("usage: %s MODELS URL [CALLS [THREADS]]\n", argv[0]);
        return 2;
    }
    struct net_options net_options = {.clock = clock_system()};
    struct net *net = net_create(&net_options, &err);
    struct aws_models *models = net ? aws_models_open(argv[1], &err) : NULL;
    struct aws_client_options options = {.models = models,
                                         .net = net,
                                         .clock = clock_system(),
                                         .env = lookup,
                                         .env_ctx = &bench,
                                         .in_flight_max = threads};
    bench.client = models ? aws_client_create(&options, &err) : NULL;
    bench.operation =
        bench.client ? aws_operation_find(models, STR("s3:GetBucketTagging"), &err) : NULL;
    if (!bench.operation) {
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
    report(&bench, threads, cpu_us() - cpu, clock_steady_ms(clock_system()) - start_ms);
    aws_client_destroy(bench.client);
    aws_models_close(models);
    net_destroy(net);
    return bench.failed ? 1 : 0;
}
