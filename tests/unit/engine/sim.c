// SPDX-License-Identifier: Apache-2.0
/* See sim.h. */
#include "sim.h"

#include <stdio.h>

static uint64_t next_random(struct sim *sim)
{
    sim->random += 0x9E3779B97F4A7C15u;
    uint64_t z = sim->random;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

unsigned sim_below(struct sim *sim, unsigned n)
{
    return n ? (unsigned)(next_random(sim) % n) : 0;
}

static int64_t sim_wall(void *ctx)
{
    return ((struct sim *)ctx)->wall_ms;
}

static int64_t sim_steady(void *ctx)
{
    return ((struct sim *)ctx)->steady_ms;
}

static void sim_bytes(void *ctx, void *bytes, size_t size)
{
    unsigned char *p = bytes;
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)next_random(ctx);
}

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.random = seed, .wall_ms = 1800000000000, .steady_ms = 1000};
    sim->clock = (struct clock){sim_wall, sim_steady, sim_bytes, sim};
    for (int i = 0; i < SIM_BUCKETS; i++) {
        snprintf(sim->buckets[i].name, sizeof sim->buckets[i].name, "bucket-%d", i);
        sim->buckets[i].exists = true;
        sim_set_tags(sim, i, NULL, 0);
    }
}

void sim_finish(struct sim *sim)
{
    arena_finish(&sim->arena);
}

static void push_version(struct sim *sim, struct sim_bucket *b, struct value tags)
{
    if (b->versions == SIM_HISTORY) {
        memmove(&b->history[0], &b->history[1], (SIM_HISTORY - 1) * sizeof b->history[0]);
        b->versions--;
    }
    b->history[b->versions++] = (struct sim_version){sim->wall_ms, tags};
}

void sim_set_tags(struct sim *sim, int bucket, const char *const *pairs, size_t count)
{
    struct value_builder list = {.arena = &sim->arena};
    for (size_t i = 0; i < count; i++) {
        struct value_builder tag = {.arena = &sim->arena};
        value_set(&tag, "Key", value_cstr(pairs[2 * i]));
        value_set(&tag, "Value", value_cstr(pairs[2 * i + 1]));
        value_push(&list, value_finish_map(&tag));
    }
    push_version(sim, &sim->buckets[bucket], value_finish_list(&list));
}

struct value sim_tags(const struct sim *sim, int bucket)
{
    const struct sim_bucket *b = &sim->buckets[bucket];
    return b->history[b->versions - 1].tags;
}

bool sim_has_tag(const struct sim *sim, int bucket, const char *key)
{
    struct value tags = sim_tags(sim, bucket);
    for (uint32_t i = 0; i < tags.len; i++)
        if (str_is(value_path_str(tags.items[i], "Key"), key))
            return true;
    return false;
}

/* What a lagging replica says: the newest version that is at least `lag` old, or the first. */
static struct value replica_tags(struct sim *sim, const struct sim_bucket *b)
{
    int64_t lag = sim->lag_max_ms ? sim_below(sim, (unsigned)sim->lag_max_ms + 1) : 0;
    for (int i = b->versions - 1; i > 0; i--)
        if (b->history[i].at_ms <= sim->wall_ms - lag)
            return b->history[i].tags;
    return b->history[0].tags;
}

static void answer(struct aws_answer *ret, enum aws_outcome outcome, const char *code)
{
    *ret = (struct aws_answer){.outcome = outcome,
                               .code = str_from(code),
                               .message = str_from(code),
                               .request_id = STR("SIM")};
}

static void read_tags(struct sim *sim, struct sim_bucket *b, struct arena *arena,
                      struct aws_answer *ret)
{
    struct value tags = replica_tags(sim, b);
    struct value_builder out = {.arena = arena};
    sim->reads++;
    if (sim->denied) {
        answer(ret, AWS_REFUSED, "AccessDenied");
    } else if (tags.len == 0) {
        answer(ret, AWS_REFUSED, "NoSuchTagSet");
    } else {
        answer(ret, AWS_OK, "");
        struct value copy;
        if (value_copy(arena, tags, &copy))
            value_set(&out, "TagSet", copy);
        ret->output = value_finish_map(&out);
    }
}

static void write_tags(struct sim *sim, struct sim_bucket *b, struct value tags,
                       struct aws_answer *ret)
{
    struct value copy;
    if (sim->write_refused || b->refuses) {
        answer(ret, AWS_REFUSED, "AccessDenied");
        return;
    }
    b->writes++;
    if (sim->ignored_percent && sim_below(sim, 100) < sim->ignored_percent) {
        answer(ret, AWS_OK, "");
        return;
    }
    b->effects += !value_equal(b->history[b->versions - 1].tags, tags);
    if (value_copy(&sim->arena, tags, &copy))
        push_version(sim, b, copy);
    answer(ret, AWS_OK, "");
}

static void read_database(const struct sim *sim, struct arena *arena, struct aws_answer *ret)
{
    struct value_builder list = {.arena = arena}, item = {.arena = arena}, out = {.arena = arena};
    if (!sim->database) {
        answer(ret, AWS_REFUSED, "AccessDenied");
        return;
    }
    if (!sim->database[0]) {
        answer(ret, AWS_REFUSED, "DBInstanceNotFound");
        return;
    }
    value_set(&item, "DBInstanceStatus", value_cstr(sim->database));
    value_push(&list, value_finish_map(&item));
    value_set(&out, "DBInstances", value_finish_list(&list));
    *ret = (struct aws_answer){.outcome = AWS_OK, .output = value_finish_map(&out)};
}

static void simulate(void *ctx, const struct aws_call *call, struct arena *arena,
                     struct aws_answer *ret)
{
    struct sim *sim = ctx;
    struct str name = aws_operation_name(call->operation);
    struct str bucket = value_path_str(call->input, "Bucket");
    bool write = !str_starts(name, STR("Get")) && !str_starts(name, STR("Describe"));
    struct sim_bucket *b = NULL;
    char reason[128] = "";
    sim->calls++;
    sim->attempt = call->attempt;
    sim->wall_ms += 5;
    sim->steady_ms += 5;
    for (int i = 0; i < SIM_BUCKETS; i++)
        if (str_is(bucket, sim->buckets[i].name))
            b = &sim->buckets[sim->bucket = i];
    if (sim->on_call)
        sim->on_call(sim->on_call_ctx, sim, write, true);
    if (call->gate && !call->gate(call->gate_ctx, reason, sizeof reason)) {
        answer(ret, AWS_NOT_SENT, "gate");
        ret->gate_closed = true;
        return;
    }
    unsigned dice = sim_below(sim, 100);
    if (dice < sim->not_sent_percent) {
        answer(ret, AWS_NOT_SENT, "connection refused");
        return;
    }
    if ((dice -= sim->not_sent_percent) < sim->throttle_percent) {
        answer(ret, AWS_THROTTLED, "SlowDown");
        ret->retry_after_ms = sim->retry_after_ms;
        return;
    }
    if ((dice -= sim->throttle_percent) < sim->fail_percent) {
        answer(ret, AWS_FAILED, "InternalError");
        return;
    }
    if (str_is(name, "DescribeDBInstances"))
        read_database(sim, arena, ret);
    else if (!b || !b->exists)
        answer(ret, AWS_REFUSED, "NoSuchBucket");
    else if (str_is(name, "GetBucketTagging"))
        read_tags(sim, b, arena, ret);
    else if (str_is(name, "PutBucketTagging"))
        write_tags(sim, b, *value_path(call->input, "Tagging.TagSet"), ret);
    else if (str_is(name, "DeleteBucketTagging"))
        write_tags(sim, b, value_list(NULL, 0), ret);
    else
        answer(ret, AWS_REFUSED, "NotImplemented");
    if (sim->on_call)
        sim->on_call(sim->on_call_ctx, sim, write, false);
    if (write && ret->outcome == AWS_OK && sim_below(sim, 100) < sim->lost_percent)
        answer(ret, AWS_UNKNOWN, "timeout");
}

struct aws_caller sim_caller(struct sim *sim)
{
    return (struct aws_caller){simulate, sim};
}
