// SPDX-License-Identifier: Apache-2.0
/* AWS Signature Version 4: headers and presigned queries.
 *
 * Source: "Signature Version 4 signing process" (AWS General Reference) and the S3 API reference's
 * "Authenticating Requests". Everything is given; nothing is read from anywhere. Any thread. */
#ifndef RECTIFY_AWS_SIGN_H
#define RECTIFY_AWS_SIGN_H

#include "aws/aws.h"

/* Signing keys, one for each (credentials, day, region, service); wiped when they go. Any thread.
 */
struct aws_key_cache;
struct aws_key_cache *aws_key_cache_create(void);
void aws_key_cache_destroy(struct aws_key_cache *cache);

#define AWS_SIGN_DATE_SIZE 17 // "20150830T123600Z" and NUL
void aws_sign_date(int64_t wall_ms, char ret[AWS_SIGN_DATE_SIZE]);

struct aws_sign_input {
    struct str method;
    struct str path;  // as it is sent: percent-encoded, begins with '/' (empty counts as "/")
    struct str query; // as it is sent, without '?'
    /* All that are sent, with Host, X-Amz-Date and X-Amz-Security-Token among them; those that
     * proxies may change are left out of the signature. */
    const struct net_header *headers;
    size_t header_count;
    struct str payload_hash; // hex SHA-256 of the body, or "UNSIGNED-PAYLOAD"
    const struct aws_credentials *credentials;
    const char *date; // AWS_SIGN_DATE_SIZE
    struct str region, service;
    bool normalize_path;        // all services but S3
    bool double_encode_path;    // all services but S3
    struct aws_key_cache *keys; // NULL = none
};

struct aws_signature {
    struct str canonical_request, string_to_sign;
    struct str scope;          // "20150830/us-east-1/iam/aws4_request"
    struct str signed_headers; // "host;x-amz-date"
    char signature[65];
    struct str authorization; // the header's value
    struct str query;         // presigned: the whole query to send
};

/* For the Authorization header. False when memory runs out. */
bool aws_sign_headers(const struct aws_sign_input *input, struct arena *arena,
                      struct aws_signature *ret) __attribute__((warn_unused_result));
/* For the query: adds X-Amz-* parameters (the token too, unless `token_unsigned`) and the
 * signature. `headers` are then without date and token. */
bool aws_sign_query(const struct aws_sign_input *input, int64_t expires_s, bool token_unsigned,
                    struct arena *arena, struct aws_signature *ret)
    __attribute__((warn_unused_result));

/* The hash of an empty body. */
#define AWS_SHA256_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define AWS_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

#endif
