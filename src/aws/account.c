// SPDX-License-Identifier: Apache-2.0
/* How many calls an account bears: on the wire at once, and begun within a second. An account that
 * hangs or throttles so takes no more than its share of the connections, the others go on. What
 * does not find room within a second is to be tried again later (A0343). Any thread. */
#include "aws/client_internal.h"

#include <stdlib.h>
#include <time.h>

struct account {
    int on_wire;
    double tokens; // calls that may begin now
    int64_t filled_ms;
};

struct aws_account_calls {
    pthread_mutex_t mutex; // of all
    pthread_cond_t left;   // a call has come back
    struct arena arena;
    struct map accounts; // id -> struct account
};

struct aws_account_calls *aws_account_calls_create(void)
{
    struct aws_account_calls *calls = calloc(1, sizeof *calls);
    pthread_condattr_t monotonic;
    if (!calls)
        return NULL;
    calls->accounts.arena = &calls->arena;
    pthread_mutex_init(&calls->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&calls->left, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return calls;
}

void aws_account_calls_destroy(struct aws_account_calls *calls)
{
    if (!calls)
        return;
    pthread_mutex_destroy(&calls->mutex);
    pthread_cond_destroy(&calls->left);
    arena_finish(&calls->arena);
    free(calls);
}

static bool is_counted(const struct aws_call *call)
{
    return call->account.len && (call->access.at_once > 0 || call->access.per_second > 0);
}

/* Under the mutex. NULL: out of memory, or of room. */
static struct account *find(struct aws_account_calls *calls, struct str id, bool make)
{
    struct account *account = map_get(&calls->accounts, id);
    if (account || !make || calls->accounts.count >= AWS_ACCOUNTS_MAX)
        return account;
    struct str key = str_copy(&calls->arena, id);
    account = key.ptr ? ARENA_NEW(&calls->arena, struct account) : NULL;
    return account && map_set(&calls->accounts, key, account) ? account : NULL;
}

/* Under the mutex: 0 = there is room; else after how many ms there may be. */
static int64_t no_room_ms(struct account *account, const struct aws_access *access, int64_t now_ms)
{
    double rate = access->per_second;
    if (access->at_once > 0 && account->on_wire >= access->at_once)
        return AWS_HOLD_MS;
    if (rate <= 0)
        return 0;
    account->tokens += (double)(now_ms - account->filled_ms) * rate / 1000;
    if (account->filled_ms == 0 || account->tokens > rate)
        account->tokens = rate;
    account->filled_ms = now_ms;
    return account->tokens >= 1 ? 0 : (int64_t)((1 - account->tokens) * 1000 / rate) + 1;
}

static void wait_ms(struct aws_account_calls *calls, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&calls->left, &calls->mutex, &until);
}

bool aws_account_enter(struct aws_client *client, const struct aws_call *call, int64_t deadline_ms,
                       int64_t *ret_retry_ms)
{
    struct aws_account_calls *calls = client->accounts;
    int64_t began_ms = clock_steady_ms(client->world.clock), now_ms = began_ms;
    *ret_retry_ms = AWS_HOLD_MS;
    if (!is_counted(call))
        return true;
    pthread_mutex_lock(&calls->mutex);
    struct account *account = find(calls, call->account, true);
    bool entered = false;
    while (account && !entered) {
        int64_t wait = no_room_ms(account, &call->access, now_ms);
        int64_t left = began_ms + AWS_HOLD_MS - now_ms;
        left = deadline_ms - now_ms < left ? deadline_ms - now_ms : left;
        if (wait && left <= 0) {
            *ret_retry_ms = wait;
            break;
        }
        entered = wait == 0;
        if (!entered)
            wait_ms(calls, wait < left ? wait : left);
        now_ms = clock_steady_ms(client->world.clock);
    }
    if (entered) {
        account->on_wire++;
        account->tokens -= 1;
    }
    pthread_mutex_unlock(&calls->mutex);
    return entered;
}

void aws_account_leave(struct aws_client *client, const struct aws_call *call)
{
    struct aws_account_calls *calls = client->accounts;
    if (!is_counted(call))
        return;
    pthread_mutex_lock(&calls->mutex);
    struct account *account = find(calls, call->account, false);
    if (account)
        account->on_wire--;
    pthread_cond_signal(&calls->left);
    pthread_mutex_unlock(&calls->mutex);
}
