// SPDX-License-Identifier: Apache-2.0
/* What the files of decide/ share. */
#ifndef RECTIFY_DECIDE_DECIDE_INTERNAL_H
#define RECTIFY_DECIDE_DECIDE_INTERNAL_H

#include "decide/decide.h"

/* The input with ExpectedBucketOwner set to the resource's account, where the operation has that
 * member and the policy has not filled it: S3's own check that a bucket of this name is still ours.
 */
struct value decide_fill_owner(const struct aws_operation *op, struct value input,
                               struct str account, struct arena *arena);

#endif
