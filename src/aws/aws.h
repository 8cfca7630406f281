// SPDX-License-Identifier: Apache-2.0
/* Any operation of any AWS service, from the service models, without a line written for one.
 *
 * A call is one attempt: it answers, or says what is known and when to try again. Nothing here
 * waits for more than the call's own deadline, retries, or guesses. Input and output are `struct
 * value` in the service's own member names; blobs are VALUE_BYTES, timestamps VALUE_TIMESTAMP.
 *
 * Models: immutable after loading, shared by threads; a service is loaded at its first use.
 * Errors carry codes A0xxx. */
#ifndef RECTIFY_AWS_AWS_H
#define RECTIFY_AWS_AWS_H

#include "base/clock.h"
#include "base/error.h"
#include "net/net.h"
#include "value/value.h"

struct aws_models;    // the model pack: every service's shapes, paginators, endpoint rules
struct aws_operation; // one operation, immutable, lives as long as the models
struct aws_shape;

/* ---- models ---- */

/* Opens a pack (made by aws_models_pack) or a botocore data folder. Cheap: no service is read yet.
 */
struct aws_models *aws_models_open(const char *dir, struct error *err)
    __attribute__((warn_unused_result));
void aws_models_close(struct aws_models *models);
/* Where they come from: "botocore 1.43.11", or empty when it cannot be told. Thread-safe. */
struct str aws_models_source(struct aws_models *models);
/* Names of all services, sorted, or (with `service`) of its operations in the model's order. The
 * names live as long as the models; the array is in `arena` or lives as long. Thread-safe. */
bool aws_models_list(struct aws_models *models, struct str service, struct arena *arena,
                     struct str **ret, size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));
/* Turns a botocore data folder (plain or gzip files, newest API version of each service) into a
 * pack: SERVICE.json.zst without documentation, index.json, partitions.json. Makes `out_dir`. */
bool aws_models_pack(const char *data_dir, const char *out_dir, struct error *err)
    __attribute__((warn_unused_result));
/* `name` is "service:Operation" as policies have it: botocore's service name, the operation's own
 * name. NULL with "did you mean" when there is none. Thread-safe. */
const struct aws_operation *aws_operation_find(struct aws_models *models, struct str name,
                                               struct error *err)
    __attribute__((warn_unused_result));
struct str aws_operation_name(const struct aws_operation *op);                // "PutBucketTagging"
struct str aws_operation_service(const struct aws_operation *op);             // "s3"
const struct aws_shape *aws_operation_input(const struct aws_operation *op);  // NULL: takes none
const struct aws_shape *aws_operation_output(const struct aws_operation *op); // NULL: gives none
/* The member to fill with a client token (idempotencyToken trait), or empty. */
struct str aws_operation_token(const struct aws_operation *op);
/* For people: "PUT /{Bucket}?tagging (rest-xml)"; the service as documentation links name it
 * ("s3-2006-03-01"); the codes of the modeled errors, separated by spaces. */
struct str aws_operation_http(const struct aws_operation *op, struct arena *arena);
struct str aws_operation_service_uid(const struct aws_operation *op);
struct str aws_operation_errors(const struct aws_operation *op, struct arena *arena);
/* By its method or name: it only reads. */
bool aws_operation_is_read(const struct aws_operation *op);
/* The operation's paginator, if it has one (aws_pages_next uses it). */
bool aws_operation_is_paged(const struct aws_operation *op);

enum aws_shape_kind {
    AWS_STRUCTURE,
    AWS_LIST,
    AWS_MAP,
    AWS_STRING,
    AWS_INTEGER,
    AWS_LONG,
    AWS_FLOAT,
    AWS_DOUBLE,
    AWS_BOOLEAN,
    AWS_BLOB,
    AWS_TIMESTAMP,
};
enum aws_shape_kind aws_shape_kind(const struct aws_shape *shape);
struct str aws_shape_name(const struct aws_shape *shape);
/* Structures: members in the model's order. */
size_t aws_shape_member_count(const struct aws_shape *shape);
struct str aws_shape_member_name(const struct aws_shape *shape, size_t i);
const struct aws_shape *aws_shape_member(const struct aws_shape *shape, size_t i);
bool aws_shape_member_required(const struct aws_shape *shape, size_t i);
/* Lists and maps. */
const struct aws_shape *aws_shape_item(const struct aws_shape *shape); // list item, map value
const struct aws_shape *aws_shape_key(const struct aws_shape *shape);
bool aws_shape_is_document(const struct aws_shape *shape);     // any JSON
struct value aws_shape_choices(const struct aws_shape *shape); // strings: a list of values, or null

/* Checks an input completely: unknown members ("did you mean"), missing ones, kinds, enums,
 * lengths, ranges; every finding is appended with its path. Values of kind VALUE_OPAQUE with aux
 * AWS_HOLE stand for "filled at run time": accepted anywhere, which is how policies are checked
 * when they are loaded. */
#define AWS_HOLE 0xA05
bool aws_input_check(const struct aws_operation *op, struct value input, struct error_list *errors)
    __attribute__((warn_unused_result));

/* ---- calling ---- */

enum aws_outcome {
    AWS_OK,        // the service did it; `output` is set
    AWS_REFUSED,   // the service said no: `code`, `message`; it will say so again
    AWS_THROTTLED, // it said later: `retry_after_ms` (0 = unknown); nothing was done
    AWS_FAILED,    // 5xx, or an answer that cannot be read: maybe done (`sent`), try again later
    AWS_UNKNOWN,   // sent, no answer: a time-out or a cut connection; maybe done
    AWS_NOT_SENT,  // certainly not done: no connection, no credentials, gate closed, deadline over
};

struct aws_answer {
    enum aws_outcome outcome;
    struct value output; // AWS_OK; in the caller's arena
    struct str code;     // the service's error code ("NoSuchTagSet"), or ours ("A0301") if NOT_SENT
    struct str message;  // for people, one line, without secrets
    struct str request_id;  // as the service gave it, else empty
    int http_status;        // 0 = none
    int64_t retry_after_ms; // wanted pause, 0 = unknown
    bool gate_closed;       // AWS_NOT_SENT because `gate` said no; message is the gate's
    bool clock_skewed;      // refused for the signature's time; the client has corrected its offset
};

struct aws_credentials {
    struct str access_key, secret_key, token; // token may be empty
    int64_t expires_ms;                       // wall clock; INT64_MAX = never
    struct str account;                       // the account they belong to, empty = not known yet
};

struct aws_client;

struct aws_client_options {
    struct aws_models *models;
    struct net *net;
    const struct clock *clock;
    /* Environment and files every AWS tool uses; NULL = getenv. For tests. */
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
    int in_flight_max; // calls on the wire at once, 0 = 64
    /* What the sessions of assumed roles are called, so that CloudTrail tells whose calls they are:
     * letters, digits and +=,.@-, at most 64; empty = "rectify". */
    struct str session;
};

/* Reads configuration (region, endpoints, retry mode) and prepares the credential chain without
 * resolving it. Thread-safe afterwards. */
struct aws_client *aws_client_create(const struct aws_client_options *options, struct error *err)
    __attribute__((warn_unused_result));
void aws_client_destroy(struct aws_client *client);
/* AWS_REGION, AWS_DEFAULT_REGION or the profile's; empty when none is configured. */
struct str aws_client_region(const struct aws_client *client);

/* As whom a call is made, and how many such calls there may be in its account. */
struct aws_access {
    struct str role;        // ARN, or a name in the call's account; empty = the base credentials
    const struct str *via;  // ARNs of the roles that are assumed before it, in this order
    size_t via_count;       // at most AWS_VIA_MAX
    struct str external_id; // said to `role` when it is assumed; empty = none
    int at_once;            // calls of the account on the wire; 0 = any number
    int per_second;         // calls of the account begun within a second; 0 = any number
};
#define AWS_VIA_MAX 8

struct aws_call {
    const struct aws_operation *operation;
    struct value input; // a map; a missing idempotency token must have been filled by the caller
    struct str region;  // empty = the client's
    struct aws_access access;
    /* Rule 9: the account whose credentials must be used; the call is not sent when they are
     * another's. The credentials' account is established by STS GetCallerIdentity once per
     * credential set and cached. Empty = unchecked (only for GetCallerIdentity itself and `rectify
     * aws`). */
    struct str account;
    int64_t deadline_ms; // steady clock; 0 = now + 30 s
    unsigned attempt;    // which try this is, 0 = the first; aws_retry_next() counts
    int retry_cost;      // aws_retry_next()'s; 0 and not the first try: aws_call() itself takes it
    /* Asked after signing, on the sending thread directly before the bytes leave: kill switch,
     * lease epoch, deadline. False = do not send (reason, a NUL-terminated string, goes into
     * `message`). Must be quick and may not call back into the client. NULL = always. */
    bool (*gate)(void *ctx, char *reason, size_t reason_size);
    void *gate_ctx;
};

/* One attempt, blocking until it answers or the deadline. `ret` is always set. */
void aws_call(struct aws_client *client, const struct aws_call *call, struct arena *arena,
              struct aws_answer *ret);

/* Should the call be made again after this answer, and after which pause? By the SDKs' rules:
 * AWS_RETRY_MODE (standard, adaptive), AWS_MAX_ATTEMPTS, a bucket of tokens for each role, region
 * and service. What may have been done is repeated only when that is harmless: reads, and inputs
 * with their client token. Waiting is the caller's.
 *
 * Who keeps due times of its own (the engine) sets only `attempt`. Then aws_call() takes the
 * tokens, and with an empty bucket gives AWS_THROTTLED with code A0325 and a pause; one such try of
 * a bucket is let through every 20 s, or nothing would ever fill it again. In adaptive mode
 * aws_call() also holds back what would be throttled: less than a second it waits, more is A0325
 * too. A LimitExceededException is throttling twice; the third is the quota that it is elsewhere,
 * and AWS_REFUSED. */
bool aws_retry_next(struct aws_client *client, struct aws_call *call,
                    const struct aws_answer *answer, int64_t *ret_pause_ms)
    __attribute__((warn_unused_result));

/* What engine, decide, act and verify call, so that a simulator can stand in for the cloud. */
struct aws_caller {
    void (*call)(void *ctx, const struct aws_call *call, struct arena *arena,
                 struct aws_answer *ret);
    void *ctx;
};
struct aws_caller aws_client_caller(struct aws_client *client);

/* ---- showing ---- */

/* What aws_call() would send, signed at this moment. The session token is shown as "***". */
struct aws_draft {
    struct str method, url;
    const struct net_header *headers;
    size_t header_count;
    struct str body;
};
bool aws_call_draft(struct aws_client *client, const struct aws_call *call, struct arena *arena,
                    struct aws_draft *ret, struct error *err) __attribute__((warn_unused_result));
/* A URL by which anybody may make this call for `expires_s` seconds (at most 604,800). A0315: the
 * request has a body. */
bool aws_call_presign(struct aws_client *client, const struct aws_call *call, int64_t expires_s,
                      struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- paging ---- */

/* All pages of a read through `caller`: the output of the first with the result lists of the others
 * appended, page cap LIMIT_PAGES, the same token twice is an error (AWS_FAILED). An operation
 * without a paginator is called once. */
void aws_call_pages(struct aws_caller caller, const struct aws_call *call, struct arena *arena,
                    struct aws_answer *ret);

#endif
