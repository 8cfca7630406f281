// SPDX-License-Identifier: Apache-2.0
/* Where the two halves of aws/ meet: what is known of a service, an operation and a shape, and the
 * way from an input to the parts of an HTTP request and from an HTTP answer to an output.
 *
 *   aws_models ──► aws_service ──► aws_operation ──► aws_shape ◄── aws_ref (a use of a shape:
 *                                                       │            member, list item, map value)
 *                                                       └──► aws_ref, ...
 *
 * A ref carries the traits of the use laid over those of the shape, as the models define it.
 * Everything here is immutable once aws_operation_find() has returned it, and lives as long as the
 * models. */
#ifndef RECTIFY_AWS_AWS_INTERNAL_H
#define RECTIFY_AWS_AWS_INTERNAL_H

#include "aws/aws.h"
#include "base/map.h"
#include "base/str.h"

#include <stdatomic.h>

enum aws_protocol {
    AWS_PROTOCOL_JSON,
    AWS_PROTOCOL_REST_JSON,
    AWS_PROTOCOL_REST_XML,
    AWS_PROTOCOL_CBOR,
    AWS_PROTOCOL_QUERY,
    AWS_PROTOCOL_EC2,
};

enum aws_auth {
    AWS_AUTH_SIGV4,
    AWS_AUTH_SIGV4_UNSIGNED_BODY, // signed with x-amz-content-sha256: UNSIGNED-PAYLOAD
    AWS_AUTH_NONE,
    AWS_AUTH_BEARER,
};

enum aws_location {
    AWS_IN_BODY,
    AWS_IN_URI,
    AWS_IN_QUERY,
    AWS_IN_HEADER,
    AWS_IN_HEADERS, // a map; `wire` is the prefix of the header names
    AWS_IN_STATUS,
};

enum aws_time_format {
    AWS_TIME_DEFAULT, // the protocol's and location's own
    AWS_TIME_ISO8601,
    AWS_TIME_RFC822,
    AWS_TIME_UNIX,
};

/* A definition of the model, parsed when it is first needed. */
struct aws_definition {
    struct str name, text; // text: its JSON; empty when it came parsed
    struct value parsed;   // null = not yet
};
struct aws_definitions {
    struct aws_definition *list; // in the model's order
    size_t count;
    struct map by_name;
};

struct aws_service {
    struct aws_models *models;
    struct str name;            // botocore's folder: "s3", "ec2"
    struct str service_id;      // "Elastic Load Balancing v2" (AWS_ENDPOINT_URL_<ID>)
    struct str endpoint_prefix; // "monitoring"
    struct str signing_name;    // endpoint_prefix unless the model has its own
    struct str api_version, target_prefix, json_version;
    struct str xml_namespace; // rest-xml: for bodies without one of their own
    enum aws_protocol protocol;
    enum aws_auth auth;
    bool query_compatible;        // awsQueryCompatible
    struct value metadata;        // the model's metadata, whole
    struct value signing_regions; // by partition and region where it is another; null = none
    struct value client_contexts; // clientContextParams, null = none
    struct value paginators;      // operation -> paginator
    struct value waiters;         // name -> waiter
    struct value exceptions;      // names of error shapes; null = look at every shape

    /* Guarded by the models' lock while it grows. */
    struct arena arena;
    struct aws_definitions shape_definitions, operation_definitions;
    struct map shapes;            // name -> struct aws_shape
    struct map operations;        // name -> struct aws_operation
    struct aws_shape *unresolved; // shells still to be filled
    struct map errors;            // error code or name -> struct aws_shape
    bool broken;                  // an operation's shapes could not be made: the model is damaged
    struct aws_definition endpoint_rules; // for aws_service_endpoint_rules() alone
    atomic_bool endpoint_rules_parsed;    // they never change from here on
};

/* One use of a shape. */
struct aws_ref {
    struct str name;       // the member's name in inputs and outputs; empty for items and keys
    struct str wire;       // locationName; ptr NULL = none, the name is used
    struct str query_name; // ec2's queryName; ptr NULL = none
    const struct aws_shape *shape;
    enum aws_location location;
    enum aws_time_format time_format;
    bool required, flattened, xml_attribute, json_value, host_label, event_stream, token;
    bool streaming;
    struct str xml_namespace, xml_prefix; // ptr NULL = none
    struct str context_param;             // endpoint parameter that takes this value, ptr NULL
    struct str result_wrapper;            // query outputs
};

struct aws_shape {
    struct str name;
    enum aws_shape_kind kind;
    const struct aws_service *service;
    bool document; // any JSON
    bool is_union; // exactly one member
    /* Structures. */
    const struct aws_ref *members;
    size_t member_count;
    struct map by_name, by_wire;   // filled only when there are many members
    const struct aws_ref *payload; // the member that is the body, NULL = none
    /* Lists and maps. */
    const struct aws_ref *item, *key;
    /* Checks; null = none. */
    struct value min, max, choices; // numbers; a list of strings
    /* Errors. */
    bool exception, retryable, throttling;
    struct str error_code; // as it is on the wire
    int error_status;      // 0 = unknown
    struct aws_ref own;    // the shape's own traits, as the base that refs are laid over
    struct value model;    // its definition
    struct aws_shape *next_unresolved;
};

struct aws_operation {
    const struct aws_service *service;
    struct str name;
    struct str method, uri;               // "PUT", "/{Bucket}?tagging"
    struct str host_prefix;               // "{AccountId}." or empty
    const struct aws_ref *input, *output; // NULL = none
    enum aws_auth auth;
    struct value static_contexts;    // name -> {"value": ...}, null = none
    struct value operation_contexts; // name -> {"path": JMESPath}, null = none
    const struct value *paginator;   // NULL = none
    bool checksum_required;          // httpChecksumRequired or httpChecksum.requestChecksumRequired
    struct str checksum_member;      // httpChecksum.requestAlgorithmMember, empty = none
    bool gzip;                       // requestcompression: a large body goes compressed
    struct str token;                // the idempotency token's member, empty = none
    bool endpoint_discovery, endpoint_discovery_required;
    const struct aws_shape *const *errors;
    size_t error_count;
    struct value model; // its definition
};

/* ---- models ---- */

/* The document partitions.json. */
bool aws_models_partitions(struct aws_models *models, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The rule set document, null = none; parsed when it is first asked for. Thread-safe. */
bool aws_service_endpoint_rules(const struct aws_service *service, struct value *ret,
                                struct error *err) __attribute__((warn_unused_result));
/* The region for which requests are signed where the rules do not say. */
struct str aws_service_signing_region(const struct aws_service *service, struct str partition,
                                      struct str region);
/* The service of that name, loaded; NULL with "did you mean". Thread-safe. */
const struct aws_service *aws_service_find(struct aws_models *models, struct str name,
                                           struct error *err) __attribute__((warn_unused_result));
/* The ref of a structure's member, or NULL. */
const struct aws_ref *aws_shape_find(const struct aws_shape *shape, struct str name);

/* ---- requests ---- */

struct aws_http_request {
    struct str method;
    struct str path;   // encoded, without query: "/my-bucket/a%20b"
    struct str query;  // encoded, without '?': "tagging&x-id=PutObject"; empty = none
    size_t bucket_len; // S3: bytes of `path` ("/my-bucket") that the endpoint rules place instead
    struct str host_prefix;     // expanded: "123456789012.", empty = none
    struct net_header *headers; // Content-Type and what the model says; room for `header_cap`
    size_t header_count, header_cap;
    struct str body;
    bool body_is_stream; // the body is a streaming blob
};

/* A0155: a header has a name that is none, or a line break (send.c). */
bool aws_request_check(const struct aws_operation *op, const struct aws_http_request *request,
                       struct error *err) __attribute__((warn_unused_result));
/* Adds a header in the arena (at most once each: a second one replaces the first). False when
 * memory runs out. */
bool aws_request_set_header(struct arena *arena, struct aws_http_request *request, struct str name,
                            struct str value) __attribute__((warn_unused_result));

/* A body of so many bytes is compressed where the model has `requestcompression`; botocore's
 * default for request_min_compression_size_bytes. */
#define AWS_GZIP_BYTES_MIN 10240u

/* The request of `input` (a map, or null for none) before endpoint, checksum and signature. The
 * input is customised first (user data, ids, encoding-type). Unknown members, wrong kinds and
 * missing path members are errors: A0150 to A0159. What `ret` points to is in `arena` or `input`.
 */
bool aws_serialize(const struct aws_operation *op, struct value input, struct arena *arena,
                   struct aws_http_request *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- answers ---- */

struct aws_http_answer {
    int status;
    const struct net_header *headers;
    size_t header_count;
    struct str body;
};

struct aws_service_error {
    struct str code;       // never empty: the status as text when the answer has none
    struct str message;    // may be empty, one line
    struct str type;       // "Sender", "Receiver" or empty
    struct str request_id; // may be empty
    struct value members;  // the modeled error's own members; an empty map when there are none
    const struct aws_shape *shape; // the modeled error, NULL = not modeled
    bool retryable, throttling;    // as modeled
};

/* Is this a success answer? False for status 300 and more and for an S3 answer of 200 that carries
 * an <Error>: then aws_parse_error() reads it. */
bool aws_answer_is_ok(const struct aws_operation *op, const struct aws_http_answer *answer);
/* Output of a success answer. An unreadable one is A0180. Strings may borrow from the answer. */
bool aws_parse_answer(const struct aws_operation *op, const struct aws_http_answer *answer,
                      struct arena *arena, struct value *ret_output, struct error *err)
    __attribute__((warn_unused_result));
/* Always sets `ret`, whatever the body is. */
void aws_parse_error(const struct aws_operation *op, const struct aws_http_answer *answer,
                     struct arena *arena, struct aws_service_error *ret);
/* Request id of any answer: x-amzn-requestid, x-amz-request-id, or the body's; empty = none. */
struct str aws_answer_request_id(const struct aws_http_answer *answer);

/* Percent-encodes all but unreserved characters and those in `keep`. */
void aws_percent_encode(struct buf *out, struct str text, const char *keep);

#endif
