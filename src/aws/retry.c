// SPDX-License-Identifier: Apache-2.0
/* When a call may be made again, as the SDKs have it.
 *
 *   standard   at most AWS_MAX_ATTEMPTS tries; pauses grow; a retry costs tokens of a bucket that
 *              successes fill again, so that a service in trouble is not asked three times as often
 *   adaptive   besides: after the first throttling the rate of sending follows a cubic curve below
 *              what the service took (RFC 8312's shape), measured in half seconds
 *
 * Callers that wait for seconds by themselves take tokens with the call (aws_retry_pay).
 *
 * One bucket and one rate for each (role, region, service). Source: the "Retry behavior" page of
 * the AWS SDKs and Tools Reference Guide. Any thread. */
#include "aws/client_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ATTEMPTS_DEFAULT 3
#define TOKENS_MAX 500
#define COST_RETRY 5
#define COST_TIMEOUT 10
#define PAUSE_MAX_MS 20000
#define RATE_SMOOTHING 0.8
#define RATE_BUCKET_S 0.5
#define RATE_MIN 0.5
#define CUBIC_SCALE 0.4
#define CUBIC_BETA 0.7

/* Of the adaptive mode. Times in seconds of the steady clock. */
struct pace {
    bool enabled;
    double measured, last_bucket; // what is sent a second
    double count;
    double top, zero_point, failed_at; // the cubic curve
    double fill_rate, capacity_max, capacity, filled_at;
};

struct aws_retry_scope {
    pthread_mutex_t lock;
    int tokens;
    int64_t probed_ms; // steady clock: when the empty bucket last let a try through
    struct pace pace;
    struct aws_retry_scope *next;
    char key[]; // "role region service"
};

/* ---- scopes ---- */

static struct aws_retry_scope *create_scope(struct str key, double now_s)
{
    struct aws_retry_scope *scope = calloc(1, sizeof(*scope) + key.len + 1);
    if (!scope)
        return NULL;
    memcpy(scope->key, key.ptr, key.len);
    pthread_mutex_init(&scope->lock, NULL);
    scope->tokens = TOKENS_MAX;
    scope->pace.last_bucket = floor(now_s / RATE_BUCKET_S) * RATE_BUCKET_S;
    scope->pace.failed_at = scope->pace.filled_at = now_s;
    return scope;
}

static double now_s(const struct aws_client *client)
{
    return (double)clock_steady_ms(client->world.clock) / 1000;
}

/* NULL when memory runs out: then nothing is held back. */
static struct aws_retry_scope *scope_of(struct aws_client *client, const struct aws_call *call)
{
    char text[700];
    struct str region = call->region.len ? call->region : client->region;
    int len = snprintf(text, sizeof(text), "%.*s %.*s %.*s %.*s", STR_FMT(call->account),
                       STR_FMT(call->access.role), STR_FMT(region),
                       STR_FMT(call->operation->service->name));
    if (len < 0 || len >= (int)sizeof(text))
        return NULL;
    struct str key = {text, (size_t)len};
    pthread_mutex_lock(&client->retry_lock);
    struct aws_retry_scope *scope = map_get(&client->retry_scopes, key);
    if (!scope && client->retry_scopes.count < AWS_ENDPOINTS_MAX) {
        scope = create_scope(key, now_s(client));
        struct str kept = scope ? (struct str){scope->key, key.len} : key;
        if (scope && map_set(&client->retry_scopes, kept, scope)) {
            scope->next = client->all_retry_scopes;
            client->all_retry_scopes = scope;
        } else if (scope) {
            pthread_mutex_destroy(&scope->lock);
            free(scope);
            scope = NULL;
        }
    }
    pthread_mutex_unlock(&client->retry_lock);
    return scope;
}

void aws_retry_finish(struct aws_client *client)
{
    for (struct aws_retry_scope *scope = client->all_retry_scopes, *next; scope; scope = next) {
        next = scope->next;
        pthread_mutex_destroy(&scope->lock);
        free(scope);
    }
}

bool aws_retry_configure(struct aws_client *client, struct str mode, struct str attempts,
                         struct error *err)
{
    int64_t number = ATTEMPTS_DEFAULT;
    if (attempts.len && (!str_to_int64(attempts, &number) || number < 1 || number > 100))
        return error_set(err, "A0316",
                         "AWS_MAX_ATTEMPTS (max_attempts) is `%.*s`: a number from 1 "
                         "to 100 is needed",
                         STR_FMT(attempts));
    /* "legacy" is what older tools call their default; the standard mode stands in. */
    bool known = !mode.len || str_eq_nocase(mode, STR("standard")) ||
                 str_eq_nocase(mode, STR("adaptive")) || str_eq_nocase(mode, STR("legacy"));
    if (!known)
        return error_set(err, "A0316",
                         "AWS_RETRY_MODE (retry_mode) is `%.*s`: standard or "
                         "adaptive is needed",
                         STR_FMT(mode));
    client->adaptive = str_eq_nocase(mode, STR("adaptive"));
    client->attempts_max = (unsigned)number;
    return true;
}

/* ---- the adaptive rate ---- */

static void refill(struct pace *pace, double at)
{
    if (at > pace->filled_at) {
        pace->capacity += (at - pace->filled_at) * pace->fill_rate;
        pace->capacity = fmin(pace->capacity, pace->capacity_max);
        pace->filled_at = at;
    }
}

static void set_rate(struct pace *pace, double rate, double at)
{
    refill(pace, at);
    pace->fill_rate = fmax(rate, RATE_MIN);
    pace->capacity_max = fmax(rate, 1);
    pace->capacity = fmin(pace->capacity, pace->capacity_max);
}

static void measure(struct pace *pace, double at)
{
    double bucket = floor(at / RATE_BUCKET_S) * RATE_BUCKET_S;
    pace->count++;
    if (bucket <= pace->last_bucket)
        return;
    double rate = pace->count / (bucket - pace->last_bucket);
    pace->measured = rate * RATE_SMOOTHING + pace->measured * (1 - RATE_SMOOTHING);
    pace->count = 0;
    pace->last_bucket = bucket;
}

static void follow(struct pace *pace, bool throttled, double at)
{
    double rate;
    measure(pace, at);
    if (throttled) {
        double used = pace->enabled ? fmin(pace->measured, pace->fill_rate) : pace->measured;
        pace->top = used;
        pace->zero_point = cbrt(used * (1 - CUBIC_BETA) / CUBIC_SCALE);
        pace->failed_at = at;
        pace->enabled = true;
        rate = used * CUBIC_BETA;
    } else {
        double since = at - pace->failed_at - pace->zero_point;
        rate = CUBIC_SCALE * since * since * since + pace->top;
    }
    set_rate(pace, fmin(rate, 2 * pace->measured), at);
}

int64_t aws_retry_hold(struct aws_client *client, const struct aws_call *call)
{
    if (!client->adaptive)
        return 0;
    struct aws_retry_scope *scope = scope_of(client, call);
    if (!scope)
        return 0;
    double at = now_s(client);
    int64_t wait_ms = 0;
    pthread_mutex_lock(&scope->lock);
    struct pace *pace = &scope->pace;
    if (pace->enabled) {
        refill(pace, at);
        if (pace->capacity >= 1)
            pace->capacity--;
        else
            wait_ms = (int64_t)ceil((1 - pace->capacity) / pace->fill_rate * 1000);
    }
    pthread_mutex_unlock(&scope->lock);
    return wait_ms;
}

void aws_retry_observe(struct aws_client *client, const struct aws_call *call,
                       const struct aws_answer *answer)
{
    bool good = answer->outcome == AWS_OK || answer->outcome == AWS_REFUSED;
    /* A bucket that nothing was taken from is full: most calls need no lock here. */
    if (!client->adaptive && (!good || !atomic_load(&client->retried)))
        return;
    struct aws_retry_scope *scope = scope_of(client, call);
    if (!scope)
        return;
    pthread_mutex_lock(&scope->lock);
    if (good) {
        int back = scope->tokens + (call->retry_cost ? call->retry_cost : 1);
        scope->tokens = back < TOKENS_MAX ? back : TOKENS_MAX;
    }
    if (client->adaptive && answer->http_status)
        follow(&scope->pace, answer->outcome == AWS_THROTTLED, now_s(client));
    pthread_mutex_unlock(&scope->lock);
}

/* ---- again? ---- */

/* May it be made twice? Reads, and what carries a client token. */
static bool is_repeatable(const struct aws_call *call)
{
    const struct aws_operation *op = call->operation;
    if (op->token.len && value_get(call->input, op->token))
        return true;
    return aws_operation_is_read(op);
}

bool aws_operation_is_read(const struct aws_operation *op)
{
    static const struct str verbs[] = {{"Get", 3},      {"List", 4},   {"Describe", 8},
                                       {"Head", 4},     {"Search", 6}, {"Lookup", 6},
                                       {"BatchGet", 8}, {"Query", 5},  {"Scan", 4}};
    bool rest = op->service->protocol == AWS_PROTOCOL_REST_JSON ||
                op->service->protocol == AWS_PROTOCOL_REST_XML;
    if (rest && (str_is(op->method, "GET") || str_is(op->method, "HEAD")))
        return true;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        size_t len = verbs[i].len;
        if (str_starts(op->name, verbs[i]) && op->name.len > len && op->name.ptr[len] >= 'A' &&
            op->name.ptr[len] <= 'Z')
            return !rest;
    }
    return false;
}

/* Tokens for one more try; 0 when there are too few. */
static int take_tokens(struct aws_retry_scope *scope, int cost)
{
    if (!scope)
        return cost;
    pthread_mutex_lock(&scope->lock);
    bool enough = scope->tokens >= cost;
    if (enough)
        scope->tokens -= cost;
    pthread_mutex_unlock(&scope->lock);
    return enough ? cost : 0;
}

int64_t aws_retry_pay(struct aws_client *client, struct aws_call *call)
{
    if (call->attempt == 0 || call->retry_cost)
        return 0;
    int64_t now = clock_steady_ms(client->world.clock), wait_ms = 0;
    atomic_store(&client->retried, true);
    struct aws_retry_scope *scope = scope_of(client, call);
    call->retry_cost = take_tokens(scope, COST_RETRY);
    if (call->retry_cost)
        return 0;
    pthread_mutex_lock(&scope->lock);
    if (!scope->probed_ms || now - scope->probed_ms >= PAUSE_MAX_MS)
        scope->probed_ms = now;
    else
        wait_ms = PAUSE_MAX_MS - (now - scope->probed_ms);
    pthread_mutex_unlock(&scope->lock);
    call->retry_cost = wait_ms ? 0 : COST_RETRY; // its success gives the bucket the first tokens
    return wait_ms;
}

bool aws_retry_next(struct aws_client *client, struct aws_call *call,
                    const struct aws_answer *answer, int64_t *ret_pause_ms)
{
    bool nothing_done = answer->outcome == AWS_THROTTLED ||
                        (answer->outcome == AWS_NOT_SENT && str_is(answer->code, "A0322"));
    bool maybe_done = answer->outcome == AWS_FAILED || answer->outcome == AWS_UNKNOWN;
    if (call->attempt + 1 >= client->attempts_max ||
        !(nothing_done || (maybe_done && is_repeatable(call))))
        return false;
    int cost = answer->outcome == AWS_UNKNOWN || answer->outcome == AWS_NOT_SENT ? COST_TIMEOUT
                                                                                 : COST_RETRY;
    atomic_store(&client->retried, true);
    cost = take_tokens(scope_of(client, call), cost);
    if (!cost)
        return false;
    uint32_t random;
    clock_random(client->world.clock, &random, sizeof(random));
    int64_t longest_ms = call->attempt < 5 ? INT64_C(1000) << call->attempt : PAUSE_MAX_MS;
    longest_ms = longest_ms < PAUSE_MAX_MS ? longest_ms : PAUSE_MAX_MS;
    int64_t pause_ms = (int64_t)((double)random / UINT32_MAX * (double)longest_ms);
    *ret_pause_ms = pause_ms > answer->retry_after_ms ? pause_ms : answer->retry_after_ms;
    call->attempt++;
    call->retry_cost = cost;
    return true;
}
