// SPDX-License-Identifier: Apache-2.0
/* What has to stand in AWS for a set of policies: the IAM policies of the read and the act role,
 * the EventBridge rules, and both with queue, function, logs and alarms as CloudFormation or
 * Terraform. Computed from the policies' calls and triggers, offline; deterministic and sorted.
 *
 * Least privilege: the read role may make the calls of `decide.read` and `detect.scan.read`, the
 * act role those of the steps and their undos; each only on the kinds of resources that the action
 * works on, in the account and region where these are given. Facts of IAM are policy/iam.h's; an
 * operation that it does not know is an error, never a guess. Errors J0xxx. */
#ifndef RECTIFY_GENERATE_GENERATE_H
#define RECTIFY_GENERATE_GENERATE_H

#include "policy/policy.h"

enum generate_role { GENERATE_READ = 1, GENERATE_ACT = 2 };

struct generate_options {
    const struct policy_set *policies;
    struct str account; // empty = any; given, rectify.yaml says which policies run and act there
    struct str region;  // empty = any
    struct str hub; // for a stack: the account that rectify runs in, in `region`, where the stack
                    // is a member's; empty = the stack is the hub's
};

/* EventBridge's default quotas (AWS's documentation of 2026; both can be raised). */
#define GENERATE_PATTERN_BYTES 2048u
#define GENERATE_RULES_MAX 300u // of one event bus

/* The policy document of one role, or of both in one (READ | ACT). */
bool generate_iam(const struct generate_options *options, unsigned roles, struct arena *arena,
                  struct value *ret, struct error *err) __attribute__((warn_unused_result));

struct generate_rule {
    struct str name; // "rectify-s3", "rectify-s3-2", "rectify-POLICY"
    struct str description;
    struct value pattern;
};
/* The triggers of all policies, merged by service; each pattern within GENERATE_PATTERN_BYTES. */
bool generate_rules(const struct generate_options *options, struct arena *arena,
                    struct generate_rule **ret, size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));

/* The hub's stack has rules, queue, function and roles. A member's has rules that send events to
 * the hub's bus (any account and region may be a member's: the stack is its own), and the roles
 * that the hub's function assumes. */
bool generate_cloudformation(const struct generate_options *options, struct arena *arena,
                             struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* HCL as `terraform fmt` would write it. */
bool generate_terraform(const struct generate_options *options, struct arena *arena,
                        struct buf *out, struct error *err) __attribute__((warn_unused_result));

#endif
