// SPDX-License-Identifier: Apache-2.0
/* Identities and where they come from: counting, refreshing ahead of expiry, proving the account.
 *
 *   life left:  > 15 min          10 to 15 min                      < 10 min
 *               used as it is     one caller refreshes, the others  everybody waits for the
 * refresh; go on with what there is          its failure is theirs, unless the old one still lives
 *
 * Secrets are in one block of memory per identity, wiped with its last reference. */
#include <stdio.h>
#include <stdlib.h>

#include "aws/client_internal.h"
#include "base/ensure.h"
#include "base/hash.h"

/* ---- identities ---- */

static struct str pack(char **at, struct str s)
{
    struct str copy = {*at, s.len};
    if (s.len)
        memcpy(*at, s.ptr, s.len);
    (*at)[s.len] = '\0';
    *at += s.len + 1;
    return copy;
}

struct aws_identity *aws_identity_create(const struct aws_credentials *credentials)
{
    size_t size = sizeof(struct aws_identity) + credentials->access_key.len +
                  credentials->secret_key.len + credentials->token.len + credentials->account.len +
                  4;
    struct aws_identity *identity = calloc(1, size);
    if (!identity)
        return NULL;
    char *at = (char *)(identity + 1);
    identity->size = size;
    identity->references = 1;
    identity->credentials.access_key = pack(&at, credentials->access_key);
    identity->credentials.secret_key = pack(&at, credentials->secret_key);
    identity->credentials.token = pack(&at, credentials->token);
    identity->credentials.account = pack(&at, credentials->account);
    identity->credentials.expires_ms = credentials->expires_ms;
    pthread_mutex_init(&identity->account_lock, NULL);
    return identity;
}

struct aws_identity *aws_identity_hold(struct aws_identity *identity)
{
    if (identity)
        atomic_fetch_add_explicit(&identity->references, 1, memory_order_relaxed);
    return identity;
}

void aws_identity_release(struct aws_identity *identity)
{
    if (!identity || atomic_fetch_sub_explicit(&identity->references, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&identity->account_lock);
    hash_wipe(identity, identity->size);
    free(identity);
}

/* ---- sources ---- */

struct aws_source *aws_source_create(struct aws_client *client)
{
    struct aws_source *source = calloc(1, sizeof(*source));
    if (!source)
        return NULL;
    source->client = client;
    pthread_mutex_init(&source->lock, NULL);
    pthread_cond_init(&source->changed, NULL);
    return source;
}

void aws_source_destroy(struct aws_source *source)
{
    if (!source)
        return;
    aws_identity_release(source->current);
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

static int64_t life_left(const struct aws_source *source)
{
    if (!source->current)
        return INT64_MIN;
    int64_t expires_ms = source->current->credentials.expires_ms;
    return expires_ms == INT64_MAX ? INT64_MAX
                                   : expires_ms - clock_wall_ms(source->client->world.clock);
}

static struct aws_identity *fetch(struct aws_source *source, struct error *err)
{
    struct arena arena = {0};
    struct aws_credentials made = {.expires_ms = INT64_MAX};
    struct aws_identity *identity = NULL;
    bool ok = source->base ? aws_role_fetch(source, &arena, &made, err)
                           : aws_chain_fetch(source->client, &arena, &made, err);
    if (ok) {
        identity = aws_identity_create(&made);
        if (!identity)
            error_set(err, "A0303", "out of memory for credentials");
        else if (source->base)
            snprintf(identity->account, sizeof(identity->account), "%.*s", STR_FMT(made.account));
    }
    arena_wipe(&arena);
    return identity;
}

/* Holds the lock on entry and exit, not in between. */
static void refresh(struct aws_source *source)
{
    struct error err;
    source->busy = true;
    pthread_mutex_unlock(&source->lock);
    struct aws_identity *fresh = fetch(source, &err);
    pthread_mutex_lock(&source->lock);
    source->busy = false;
    if (fresh) {
        aws_identity_release(source->current);
        source->current = fresh;
        source->failed_ms = 0;
    } else {
        source->failure = err;
        source->failed_ms = clock_steady_ms(source->client->world.clock);
    }
    pthread_cond_broadcast(&source->changed);
}

static bool failed_lately(const struct aws_source *source)
{
    return source->failed_ms &&
           clock_steady_ms(source->client->world.clock) - source->failed_ms < AWS_REFRESH_PAUSE_MS;
}

struct aws_identity *aws_source_get(struct aws_source *source, struct error *err)
{
    pthread_mutex_lock(&source->lock);
    for (;;) {
        int64_t left = life_left(source);
        bool alive = left > 0;
        if (left > AWS_REFRESH_ADVISORY_MS || (alive && failed_lately(source)) ||
            (alive && source->busy && left > AWS_REFRESH_MANDATORY_MS))
            break;
        if (source->busy) {
            pthread_cond_wait(&source->changed, &source->lock);
            continue;
        }
        if (failed_lately(source))
            break;
        refresh(source);
        /* Short-lived ones are used although they are "due" at once. */
        if (life_left(source) > 0)
            break;
        if (!failed_lately(source)) {
            error_set(&source->failure, "A0303",
                      "the credentials that were fetched have expired "
                      "already");
            source->failed_ms = clock_steady_ms(source->client->world.clock);
        }
    }
    struct aws_identity *identity =
        life_left(source) > 0 ? aws_identity_hold(source->current) : NULL;
    if (!identity && err)
        *err = source->failure;
    pthread_mutex_unlock(&source->lock);
    return identity;
}

void aws_source_expire(struct aws_source *source, struct aws_identity *identity)
{
    pthread_mutex_lock(&source->lock);
    if (source->current == identity && !source->busy) {
        aws_identity_release(source->current);
        source->current = NULL;
        source->failed_ms = 0;
    }
    pthread_mutex_unlock(&source->lock);
}

/* ---- whose are they ---- */

static bool ask_account(struct aws_client *client, const struct aws_credentials *credentials,
                        struct str region, char ret[16], struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    const struct aws_operation *op =
        aws_operation_find(client->models, STR("sts:GetCallerIdentity"), err);
    if (!op)
        return false;
    struct aws_sending sending = {.operation = op,
                                  .input = {.kind = VALUE_MAP},
                                  .region = region,
                                  .credentials = credentials,
                                  .deadline_ms =
                                      clock_steady_ms(client->world.clock) + AWS_STS_DEADLINE_MS};
    struct aws_answer answer;
    struct aws_hint hint;
    aws_send(client, &sending, &arena, &answer, &hint);
    if (answer.outcome != AWS_OK && hint.skewed)
        aws_send(client, &sending, &arena, &answer, NULL);
    struct str account = value_path_str(answer.output, "Account");
    if (answer.outcome != AWS_OK || account.len != 12)
        return error_set(err, "A0305",
                         "the account of the credentials could not be established: %.*s %.*s",
                         STR_FMT(answer.code), STR_FMT(answer.message));
    memcpy(ret, account.ptr, 12);
    ret[12] = '\0';
    return true;
}

bool aws_identity_prove(struct aws_client *client, struct aws_identity *identity, struct str region,
                        char ret_account[16], struct error *err)
{
    /* Whoever comes meanwhile waits for the one answer. */
    pthread_mutex_lock(&identity->account_lock);
    int64_t now_ms = clock_steady_ms(client->world.clock);
    bool failed = identity->account_failed_ms && now_ms - identity->account_failed_ms < 1000;
    if (!identity->account[0] && !failed) {
        char account[16];
        if (ask_account(client, &identity->credentials, region, account,
                        &identity->account_error)) {
            memcpy(identity->account, account, sizeof(account));
            identity->account_failed_ms = 0;
        } else {
            identity->account_failed_ms = clock_steady_ms(client->world.clock);
        }
    }
    bool ok = identity->account[0] != '\0';
    if (ok)
        memcpy(ret_account, identity->account, 16);
    else if (err)
        *err = identity->account_error;
    pthread_mutex_unlock(&identity->account_lock);
    return ok;
}
