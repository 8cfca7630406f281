// SPDX-License-Identifier: Apache-2.0
/* Where a call goes: the endpoint rule sets of the service models, evaluated.
 *
 * Source: the endpoint rules specification of Smithy (rules engine 1.0: rules of kind endpoint,
 * error and tree, and the standard and AWS functions) and botocore's partitions.json. Any thread.
 */
#ifndef RECTIFY_AWS_ENDPOINT_H
#define RECTIFY_AWS_ENDPOINT_H

#include "aws/aws.h"

struct aws_endpoint {
    struct str url; // "https://iam.amazonaws.com", perhaps with a path, no slash at its end
    struct value properties; // a map; "authSchemes" and others
    struct value headers;    // a map from name to a list of strings
};

/* Evaluates `rules` (a rule set document) with `params` (a map; those missing take their defaults).
 * A0310: the rules say it is an error (their message); A0311: no rule fits, or the rule set is
 * malformed, or memory ran out. */
bool aws_endpoint_evaluate(struct value rules, struct value partitions, struct value params,
                           struct arena *arena, struct aws_endpoint *ret, struct error *err)
    __attribute__((warn_unused_result));

/* The partition of a region ("aws", "aws-cn", ...); its outputs as a map with "name". */
struct value aws_partition_of(struct value partitions, struct str region, struct arena *arena);

/* One function of the rule language; null = unset. For the evaluator and tests. */
struct value aws_endpoint_function(struct str name, const struct value *argv, size_t argc,
                                   struct value partitions, struct arena *arena, bool *ret_known);
/* getAttr's path: "a.b[0]". */
struct value aws_endpoint_attribute(struct value v, struct str path);

#endif
