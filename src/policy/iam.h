// SPDX-License-Identifier: Apache-2.0
/* What is known of IAM's actions: which ones an operation needs, their access level, and the kinds
 * of resources that they work on. One table, iam.txt, made from AWS's Service Authorization
 * Reference by tools/make_iam_table.py; a section a service, unpacked when it is asked for. What is
 * not in it is not known, and never guessed. Any thread. */
#ifndef RECTIFY_POLICY_IAM_H
#define RECTIFY_POLICY_IAM_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

/* The actions that an operation needs ("s3:ListBuckets" gives "s3:ListAllMyBuckets"), at most 4.
 * Errors J0001 (memory), J0002 (not known). */
bool policy_iam_actions(struct str operation, struct arena *arena, struct str **ret,
                        size_t *ret_count, struct error *err) __attribute__((warn_unused_result));
/* The ARN formats of the resources that an action works on; count 0 = it takes none. False: memory.
 */
bool policy_iam_resources(struct str action, struct arena *arena, struct str **ret,
                          size_t *ret_count) __attribute__((warn_unused_result));
/* The access levels of all actions that an operation needs, "W" or "RW" (R read, L list, W write, T
 * tagging, P permissions management); empty: not known. False: memory. */
#define POLICY_IAM_LEVELS_SIZE 5
bool policy_iam_levels(struct str operation, char ret[POLICY_IAM_LEVELS_SIZE])
    __attribute__((warn_unused_result));

#endif
