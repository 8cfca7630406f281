// SPDX-License-Identifier: Apache-2.0
/* aws_call: the right identity, its account proven, one request, and at most one more of the same
 * when the first was certainly not carried out and the reason is gone: the clock's offset
 * corrected, the bucket's region learnt, the endpoint discovered anew, credentials renewed. The
 * gate is asked before each. */
#include "aws/client_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static void fail(struct aws_answer *ret, struct arena *arena, const struct error *err)
{
    aws_answer_fail(ret, AWS_NOT_SENT, arena, err);
}

/* ---- identity ---- */

/* ARN of the role: as given, or a name in the call's account. */
static bool role_arn(struct aws_client *client, const struct aws_call *call, struct str region,
                     struct arena *arena, struct str *ret, struct error *err)
{
    struct str role = call->access.role;
    struct value partitions;
    if (!aws_client_partitions(client, &partitions, err))
        return false;
    struct str partition = value_path_str(aws_partition_of(partitions, region, arena), "name");
    if (str_starts(role, STR("arn:"))) {
        struct str rest = role;
        (void)str_cut(&rest, ':');
        struct str its_partition = str_cut(&rest, ':');
        for (int i = 0; i < 2; i++)
            (void)str_cut(&rest, ':');
        if (call->account.len && !str_eq(str_cut(&rest, ':'), call->account))
            return error_set(err, "A0301", "the role %.*s is not in account %.*s", STR_FMT(role),
                             STR_FMT(call->account));
        if (call->account.len && !str_eq(its_partition, partition))
            return error_set(err, "A0301", "the role %.*s is not in the partition %.*s of %.*s",
                             STR_FMT(role), STR_FMT(partition), STR_FMT(region));
        *ret = role;
        return true;
    }
    if (call->account.len != 12)
        return error_set(err, "A0304", "the role %.*s needs an account of twelve digits",
                         STR_FMT(role));
    const char *arn = arena_printf(arena, "arn:%.*s:iam::%.*s:role/%.*s", STR_FMT(partition),
                                   STR_FMT(call->account), STR_FMT(role));
    *ret = str_from(arn);
    return arn || error_set(err, "A0304", "out of memory");
}

/* Under the lock. What a source refers to lives as long as the client. */
static struct aws_source *add_source(struct aws_client *client, struct aws_source *base,
                                     struct str arn, struct str external_id, struct str way)
{
    struct str kept = str_copy(&client->roles_arena, way);
    struct aws_source *source = kept.ptr ? aws_source_create(client) : NULL;
    if (!source)
        return NULL;
    source->base = base;
    source->role_arn = str_copy(&client->roles_arena, arn);
    source->external_id = str_copy(&client->roles_arena, external_id);
    if (!source->role_arn.ptr || !source->external_id.ptr ||
        !map_set(&client->roles, kept, source)) {
        aws_source_destroy(source);
        return NULL;
    }
    source->next = client->all_roles;
    client->all_roles = source;
    return source;
}

/* One link of a chain of roles; `way` names all of it up to here. */
static struct aws_source *role_source(struct aws_client *client, struct aws_source *base,
                                      struct str arn, struct str external_id, struct str way,
                                      struct error *err)
{
    pthread_mutex_lock(&client->roles_lock);
    struct aws_source *source = map_get(&client->roles, way);
    bool full = client->roles.count >= AWS_ROLES_MAX;
    if (!source && !full)
        source = add_source(client, base, arn, external_id, way);
    pthread_mutex_unlock(&client->roles_lock);
    if (!source)
        error_set(err, "A0304", full ? "more than %d roles are in use" : "out of memory (%d)",
                  AWS_ROLES_MAX);
    return source;
}

/* The source at the end of the call's chain of roles. */
static struct aws_source *call_source(struct aws_client *client, const struct aws_call *call,
                                      struct str region, struct arena *arena, struct error *err)
{
    const struct aws_access *access = &call->access;
    struct aws_source *source = client->chain;
    struct buf way = {.arena = arena};
    struct str arn;
    if (!access->role.len)
        return source;
    for (size_t i = 0; source && i < access->via_count; i++) {
        buf_printf(&way, "%.*s\n", STR_FMT(access->via[i]));
        source = role_source(client, source, access->via[i], (struct str){0}, buf_str(&way), err);
    }
    if (!source || !role_arn(client, call, region, arena, &arn, err))
        return NULL;
    buf_printf(&way, "%.*s %.*s", STR_FMT(arn), STR_FMT(access->external_id));
    struct str whole = buf_str(&way);
    if (!whole.ptr) {
        error_set(err, "A0304", "out of memory");
        return NULL;
    }
    return role_source(client, source, arn, access->external_id, whole, err);
}

static bool check_account(struct aws_client *client, const struct aws_call *call,
                          struct aws_identity *identity, struct str region, struct error *err)
{
    char account[16];
    if (!call->account.len)
        return true;
    if (!aws_identity_prove(client, identity, region, account, err))
        return false;
    if (str_is(call->account, account))
        return true;
    error_set(err, "A0301", "the credentials belong to account %s, the call is for account %.*s",
              account, STR_FMT(call->account));
    return error_hint(err, "configure a role in account %.*s, or other credentials",
                      STR_FMT(call->account));
}

/* ---- one try ---- */

struct attempt {
    struct aws_client *client;
    struct aws_call *call; // aws_call()'s own copy
    struct str region;
    struct aws_source *source; // NULL = unsigned
    struct aws_identity *identity;
    int64_t deadline_ms;
};

bool aws_call_identify(struct aws_client *client, const struct aws_call *call, struct str region,
                       struct arena *arena, struct aws_source **ret_source,
                       struct aws_identity **ret_identity, struct error *err)
{
    *ret_source = NULL;
    *ret_identity = NULL;
    if (call->operation->auth == AWS_AUTH_NONE && !call->access.role.len && !call->account.len)
        return true;
    struct aws_source *source = call_source(client, call, region, arena, err);
    if (!source)
        return false;
    *ret_source = source;
    *ret_identity = aws_source_get(source, err);
    return *ret_identity && check_account(client, call, *ret_identity, region, err);
}

static void try_once(struct attempt *attempt, struct arena *arena, struct aws_answer *ret,
                     struct aws_hint *hint)
{
    struct error err;
    *hint = (struct aws_hint){0};
    if (!aws_call_identify(attempt->client, attempt->call, attempt->region, arena, &attempt->source,
                           &attempt->identity, &err)) {
        fail(ret, arena, &err);
        return;
    }
    if (clock_steady_ms(attempt->client->world.clock) >= attempt->deadline_ms) {
        error_set(&err, "A0321", "the deadline was over before the request was sent");
        fail(ret, arena, &err);
        return;
    }
    struct aws_sending sending = {.operation = attempt->call->operation,
                                  .input = attempt->call->input,
                                  .region = attempt->region,
                                  .credentials =
                                      attempt->identity ? &attempt->identity->credentials : NULL,
                                  .deadline_ms = attempt->deadline_ms,
                                  .attempt = attempt->call->attempt,
                                  .gate = attempt->call->gate,
                                  .gate_ctx = attempt->call->gate_ctx};
    bool refused;
    if (!aws_discover(attempt->client, &sending, arena, &refused, &err)) {
        fail(ret, arena, &err);
        if (refused) // it will say so again: not a reason to wait
            ret->outcome = AWS_REFUSED;
        return;
    }
    aws_send(attempt->client, &sending, arena, ret, hint);
    if (hint->moved)
        aws_discover_forget(attempt->client, &sending, arena);
}

/* ---- S3: where buckets are ---- */

static struct str bucket_of(const struct aws_call *call)
{
    if (!str_is(call->operation->service->name, "s3"))
        return (struct str){0};
    const struct value *bucket = value_get(call->input, STR("Bucket"));
    return bucket ? value_str(*bucket) : (struct str){0};
}

static struct str known_region(struct aws_client *client, struct str bucket)
{
    pthread_rwlock_rdlock(&client->endpoint_lock);
    const struct str *region = bucket.len ? map_get(&client->bucket_regions, bucket) : NULL;
    struct str found = region ? *region : (struct str){0};
    pthread_rwlock_unlock(&client->endpoint_lock);
    return found; // lives as long as the client
}

static void learn_region(struct aws_client *client, struct str bucket, struct str region)
{
    pthread_rwlock_wrlock(&client->endpoint_lock);
    struct arena *arena = &client->endpoint_arena;
    struct str *kept =
        client->bucket_regions.count < AWS_ENDPOINTS_MAX ? ARENA_NEW(arena, struct str) : NULL;
    if (kept) {
        *kept = str_copy(arena, region);
        struct str key = str_copy(arena, bucket);
        bool ok = kept->ptr && key.ptr && map_set(&client->bucket_regions, key, kept);
        (void)ok; // not learnt is only slower
    }
    pthread_rwlock_unlock(&client->endpoint_lock);
}

/* ---- the call ---- */

/* Is the same request worth sending once more, now? */
static bool again(struct attempt *attempt, const struct aws_hint *hint)
{
    if (hint->bucket_region.len && !str_eq(hint->bucket_region, attempt->region)) {
        struct str bucket = bucket_of(attempt->call);
        if (bucket.len)
            learn_region(attempt->client, bucket, hint->bucket_region);
        attempt->region = hint->bucket_region;
        return true;
    }
    if (hint->expired && attempt->source &&
        attempt->identity->credentials.expires_ms != INT64_MAX) {
        aws_source_expire(attempt->source, attempt->identity);
        return true;
    }
    return hint->skewed || hint->moved;
}

static bool take_slot(struct aws_client *client, int64_t deadline_ms)
{
    if (sem_trywait(&client->slots) == 0)
        return true;
    int64_t left_ms = deadline_ms - clock_steady_ms(client->world.clock);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (left_ms > 0 ? left_ms % 1000 : 0) * 1000000;
    until.tv_sec += (left_ms > 0 ? left_ms / 1000 : 0) + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    int result;
    do
        result = sem_clockwait(&client->slots, CLOCK_MONOTONIC, &until);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Among the calls of the account first, so that those that wait for it keep nobody else out. False:
 * the answer is set. */
static bool take_place(const struct attempt *attempt, struct arena *arena, struct aws_answer *ret)
{
    struct error err;
    int64_t retry_ms;
    if (!aws_account_enter(attempt->client, attempt->call, attempt->deadline_ms, &retry_ms)) {
        error_set(&err, "A0343", "held back: account %.*s has as many calls as it may",
                  STR_FMT(attempt->call->account));
        aws_answer_fail(ret, AWS_THROTTLED, arena, &err);
        ret->retry_after_ms = retry_ms;
        return false;
    }
    if (take_slot(attempt->client, attempt->deadline_ms))
        return true;
    aws_account_leave(attempt->client, attempt->call);
    error_set(&err, "A0321", "the deadline was over while other calls were on the wire");
    fail(ret, arena, &err);
    return false;
}

static void leave_place(const struct attempt *attempt)
{
    sem_post(&attempt->client->slots);
    aws_account_leave(attempt->client, attempt->call);
}

static bool held_back(struct arena *arena, int64_t wait_ms, const char *why, struct aws_answer *ret)
{
    struct error err;
    error_set(&err, "A0325", "held back: %s", why);
    aws_answer_fail(ret, AWS_THROTTLED, arena, &err);
    ret->retry_after_ms = wait_ms;
    return true;
}

/* False when it may go. True, answer set: a retry for which the bucket has no tokens, or in
 * adaptive mode a call that would have to wait too long. */
static bool hold_back(struct attempt *attempt, struct arena *arena, struct aws_answer *ret)
{
    struct aws_client *client = attempt->client;
    int64_t unpaid_ms = aws_retry_pay(client, attempt->call);
    if (unpaid_ms)
        return held_back(arena, unpaid_ms, "too many calls like this one have failed", ret);
    for (int64_t wait_ms; (wait_ms = aws_retry_hold(client, attempt->call)) > 0;) {
        if (wait_ms > AWS_HOLD_MS ||
            clock_steady_ms(client->world.clock) + wait_ms >= attempt->deadline_ms) {
            return held_back(arena, wait_ms, "the service has throttled calls like this one", ret);
        }
        struct timespec pause = {.tv_nsec = wait_ms % 1000 * 1000000, .tv_sec = wait_ms / 1000};
        nanosleep(&pause, NULL);
    }
    return false;
}

void aws_call(struct aws_client *client, const struct aws_call *call, struct arena *arena,
              struct aws_answer *ret)
{
    *ret = (struct aws_answer){.outcome = AWS_NOT_SENT};
    struct aws_call own = *call;
    struct attempt attempt = {.client = client,
                              .call = &own,
                              .region = call->region.len ? call->region : client->region,
                              .deadline_ms = call->deadline_ms};
    if (!attempt.deadline_ms)
        attempt.deadline_ms = clock_steady_ms(client->world.clock) + AWS_CALL_DEADLINE_MS;
    struct str learnt = known_region(client, bucket_of(call));
    if (learnt.len)
        attempt.region = learnt;
    if (!take_place(&attempt, arena, ret))
        return;
    if (hold_back(&attempt, arena, ret)) {
        leave_place(&attempt);
        return;
    }
    struct aws_hint hint;
    try_once(&attempt, arena, ret, &hint);
    bool skewed = ret->clock_skewed;
    if (ret->outcome != AWS_OK && again(&attempt, &hint)) {
        aws_identity_release(attempt.identity);
        attempt.identity = NULL;
        try_once(&attempt, arena, ret, &hint);
        ret->clock_skewed |= skewed;
    }
    aws_identity_release(attempt.identity);
    leave_place(&attempt);
    aws_retry_observe(client, &own, ret);
}

static void call_client(void *ctx, const struct aws_call *call, struct arena *arena,
                        struct aws_answer *ret)
{
    aws_call(ctx, call, arena, ret);
}

struct aws_caller aws_client_caller(struct aws_client *client)
{
    return (struct aws_caller){call_client, client};
}
