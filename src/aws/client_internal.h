// SPDX-License-Identifier: Apache-2.0
/* The caller's half of aws/: what a client is made of.
 *
 *   aws_call ──► source (chain or role) ──► identity ──► aws_send ──► answer
 *   (call.c)     (source.c, credentials*.c)              (send.c: serialise, endpoint, sign, HTTP,
 * parse)
 *
 * Credential providers use aws_send() themselves, with whatever identity they have. */
#ifndef RECTIFY_AWS_CLIENT_INTERNAL_H
#define RECTIFY_AWS_CLIENT_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "aws/aws_internal.h"
#include "aws/config.h"
#include "aws/endpoint.h"
#include "aws/sign.h"

#define AWS_CALL_DEADLINE_MS 30000      // of a call that names none
#define AWS_STS_DEADLINE_MS 10000       // of one request made for credentials
#define AWS_REFRESH_ADVISORY_MS 900000  // left life at which one caller refreshes, others go on
#define AWS_REFRESH_MANDATORY_MS 600000 // ... at which everybody waits for it
#define AWS_REFRESH_PAUSE_MS 5000       // between two attempts that failed
#define AWS_HOLD_MS 1000                // longest wait inside a call, of the adaptive mode
#define AWS_SKEW_MS 300000              // difference of clocks that is worth correcting
#define AWS_ENDPOINTS_MAX 4096          // resolved endpoints that are remembered
#define AWS_ROLES_MAX 65536             // roles that one client assumes
#define AWS_ACCOUNTS_MAX 65536          // accounts whose calls are counted

/* A set of credentials, immutable and counted; wiped when it goes. */
struct aws_identity {
    atomic_uint references;
    struct aws_credentials credentials;
    pthread_mutex_t account_lock;
    char account[16];          // proven by STS, empty = not yet
    int64_t account_failed_ms; // steady clock, when proving failed last; 0 = did not
    struct error account_error;
    size_t size; // of the whole block
};
struct aws_identity *aws_identity_create(const struct aws_credentials *credentials);
struct aws_identity *aws_identity_hold(struct aws_identity *identity);
void aws_identity_release(struct aws_identity *identity);

/* Where identities come from: the client's chain, or one role, assumed with the credentials of
 * another source. A chain of roles is a chain of sources; what they share they assume once. */
struct aws_source {
    struct aws_client *client;
    struct aws_source *base; // NULL = this is the client's chain
    struct str role_arn, external_id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct aws_identity *current;
    bool busy;         // somebody refreshes
    int64_t failed_ms; // steady clock, 0 = the last refresh did not fail
    struct error failure;
    struct aws_source *next;
};

struct aws_source *aws_source_create(struct aws_client *client);
void aws_source_destroy(struct aws_source *source);
/* A valid identity (the caller releases it), refreshed when it is due. Errors A0302, A0303, A0304.
 */
struct aws_identity *aws_source_get(struct aws_source *source, struct error *err)
    __attribute__((warn_unused_result));
/* The service says that this identity has expired: fetch anew next time. */
void aws_source_expire(struct aws_source *source, struct aws_identity *identity);
/* Fetches; blocks. Chain and role. */
bool aws_chain_fetch(struct aws_client *client, struct arena *arena, struct aws_credentials *ret,
                     struct error *err) __attribute__((warn_unused_result));
bool aws_role_fetch(const struct aws_source *source, struct arena *arena,
                    struct aws_credentials *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The account that STS says these credentials belong to. A0305 when it cannot be told. */
bool aws_identity_prove(struct aws_client *client, struct aws_identity *identity, struct str region,
                        char ret_account[16], struct error *err)
    __attribute__((warn_unused_result));

struct aws_resolved {
    struct str scheme, host, path; // host with port if not the default; path without last '/'
    struct str signing_region, signing_name;
    bool double_encode, unsupported_auth, no_auth;
    struct value headers; // of the rules: name -> list
};

struct aws_endpoint_entry;

struct aws_client {
    struct aws_world world;
    struct aws_models *models;
    struct arena arena; // what lives as long as the client; not used after creation
    struct aws_config config;
    struct str region;
    bool fips, dual_stack, ignore_endpoints, no_host_prefix, s3_path_style, checksum_md5;
    bool discover_optional; // AWS_ENABLE_ENDPOINT_DISCOVERY

    struct aws_key_cache *keys;
    _Atomic int64_t clock_offset_ms; // the services' clock minus ours
    sem_t slots;                     // calls on the wire

    pthread_rwlock_t endpoint_lock;
    struct arena endpoint_arena;
    struct map endpoints;      // key -> struct aws_resolved
    struct map bucket_regions; // S3 bucket -> struct str, learnt from redirects
    struct map discovered;     // "key region service" -> struct aws_discovered (discover.c)
    pthread_mutex_t partitions_lock;
    bool partitions_loaded;
    struct value partitions;

    bool adaptive; // AWS_RETRY_MODE
    unsigned attempts_max;
    atomic_bool retried; // something was taken from a bucket
    pthread_mutex_t retry_lock;
    struct arena retry_arena;
    struct map retry_scopes; // "role region service" -> struct aws_retry_scope
    struct aws_retry_scope *all_retry_scopes;

    struct aws_source *chain;
    struct str session; // of assumed roles
    pthread_mutex_t roles_lock;
    struct arena roles_arena;
    struct map roles; // the way to a role, as text -> struct aws_source
    struct aws_source *all_roles;

    struct aws_account_calls *accounts; // account.c
};

/* aws_client_create() in a world of the caller's. */
struct aws_client *aws_client_create_in(struct aws_models *models, const struct aws_world *world,
                                        int in_flight_max, struct error *err)
    __attribute__((warn_unused_result));
bool aws_client_partitions(struct aws_client *client, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));

/* One request. Everything is given; credentials NULL = not signed. */
struct aws_sending {
    const struct aws_operation *operation;
    struct value input;
    struct str region;
    struct str host; // what aws_discover() found; empty = the endpoint's
    const struct aws_credentials *credentials;
    int64_t deadline_ms;
    unsigned attempt;
    bool (*gate)(void *ctx, char *reason, size_t reason_size);
    void *gate_ctx;
};
/* `ret_hint` (may be NULL): what would make the same request succeed. */
struct aws_hint {
    struct str bucket_region; // send it there
    bool skewed;              // the offset of the clock has been corrected
    bool expired;             // other credentials are needed
    bool moved;               // the host that was discovered is not it
};
void aws_send(struct aws_client *client, const struct aws_sending *sending, struct arena *arena,
              struct aws_answer *ret, struct aws_hint *ret_hint);
/* Everything up to the bytes: for --dry-run and the goldens. */
struct aws_prepared {
    struct aws_http_request request; // headers complete and signed
    struct str url;
    struct aws_signature signature;
};
bool aws_prepare(struct aws_client *client, const struct aws_sending *sending, int64_t wall_ms,
                 struct arena *arena, struct aws_prepared *ret, struct error *err)
    __attribute__((warn_unused_result));

/* A URL that carries the signature: for GET and whatever has no body, forms as a query. */
struct aws_presigning {
    int64_t wall_ms, expires_s;
    struct str extra; // more of the query, encoded; empty = nothing
};
bool aws_presign(struct aws_client *client, const struct aws_sending *sending,
                 const struct aws_presigning *how, struct arena *arena, struct str *ret,
                 struct error *err) __attribute__((warn_unused_result));
/* The input as it is sent: copies from another region get their presigned URL (copy.c). */
bool aws_copy_input(struct aws_client *client, const struct aws_sending *sending, int64_t wall_ms,
                    struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Who makes the call, its account proven where the call names one (call.c). The caller releases
 * the identity; both are NULL for calls that are not signed. */
bool aws_call_identify(struct aws_client *client, const struct aws_call *call, struct str region,
                       struct arena *arena, struct aws_source **ret_source,
                       struct aws_identity **ret_identity, struct error *err)
    __attribute__((warn_unused_result));

/* ---- account.c: how many calls an account bears ---- */

struct aws_account_calls *aws_account_calls_create(void);
void aws_account_calls_destroy(struct aws_account_calls *calls);
/* Counts the call in; waits until the account has room for it, at most AWS_HOLD_MS and not beyond
 * the deadline. False: there was none; *ret_retry_ms says when to try again. */
bool aws_account_enter(struct aws_client *client, const struct aws_call *call, int64_t deadline_ms,
                       int64_t *ret_retry_ms) __attribute__((warn_unused_result));
void aws_account_leave(struct aws_client *client, const struct aws_call *call);

/* ---- retry.c ---- */

bool aws_retry_configure(struct aws_client *client, struct str mode, struct str attempts,
                         struct error *err) __attribute__((warn_unused_result));
void aws_retry_finish(struct aws_client *client);
/* Adaptive mode: how long this call must wait; 0 = it may go, and has been counted. */
int64_t aws_retry_hold(struct aws_client *client, const struct aws_call *call);
/* A try that is not the first and that nobody has paid for: takes its tokens and sets its cost. 0,
 * or after how many ms it may be tried. */
int64_t aws_retry_pay(struct aws_client *client, struct aws_call *call);
void aws_retry_observe(struct aws_client *client, const struct aws_call *call,
                       const struct aws_answer *answer);

/* Sets `sending->host` where the service says where it is to be called (discover.c); may ask it.
 * A0344: it must be asked and gave no answer; `ret_refused`: it said no, and will say so again. */
bool aws_discover(struct aws_client *client, struct aws_sending *sending, struct arena *arena,
                  bool *ret_refused, struct error *err) __attribute__((warn_unused_result));
/* The host was wrong: the next call asks again. */
void aws_discover_forget(struct aws_client *client, const struct aws_sending *sending,
                         struct arena *arena);

/* Where a request goes (endpoint.c). `input` for the members that the rules ask. */
bool aws_client_endpoint(struct aws_client *client, const struct aws_operation *op,
                         struct value input, struct str region, struct arena *arena,
                         struct aws_resolved *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The configured endpoint of a service, or empty. */
struct str aws_client_endpoint_url(struct aws_client *client, const struct aws_service *service,
                                   struct arena *arena);
/* The same rules with these parameters, uncached: for the conformance suites. */
bool aws_resolve_url(const struct aws_service *service, const struct aws_endpoint *endpoint,
                     struct str region, struct arena *arena, struct aws_resolved *ret,
                     struct error *err) __attribute__((warn_unused_result));

/* Sets code and message. */
void aws_answer_fail(struct aws_answer *ret, enum aws_outcome outcome, struct arena *arena,
                     const struct error *err);

#endif
