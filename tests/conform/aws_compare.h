// SPDX-License-Identifier: Apache-2.0
/* How the programs that read cases of requests and answers compare: values with tagged JSON, XML in
 * canonical form, forms as sets of pairs. */
#ifndef RECTIFY_TESTS_CONFORM_AWS_COMPARE_H
#define RECTIFY_TESTS_CONFORM_AWS_COMPARE_H

#include "aws/aws_internal.h"
#include "value/value.h"

/* JSON with the tags {"$blob": base64} and {"$ts": RFC 3339} to an input. */
struct value compare_untag(struct arena *arena, struct value v);
/* Is the output what the (tagged) JSON says? Timestamps may be epoch seconds, blobs text. On false
 * `where` has the path. */
bool compare_output(struct value got, struct value want, struct buf *where);

enum compare_body { COMPARE_EXACT, COMPARE_JSON, COMPARE_XML, COMPARE_FORM, COMPARE_CBOR };
bool compare_bodies(struct arena *arena, enum compare_body how, struct str got, struct str want);
enum compare_body compare_body_of(const struct aws_operation *op);
/* Path and query, the query's pairs in any order. */
bool compare_uri(struct arena *arena, struct str got_path, struct str got_query, struct str want);
/* Header values: spaces behind commas do not count; with `json`, both are base64 of JSON. */
bool compare_header(struct arena *arena, struct str got, struct str want, bool json);

#endif
