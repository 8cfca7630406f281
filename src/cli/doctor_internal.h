// SPDX-License-Identifier: Apache-2.0
/* doctor's larger looks, which have files of their own. One thread. */
#ifndef RECTIFY_CLI_DOCTOR_INTERNAL_H
#define RECTIFY_CLI_DOCTOR_INTERNAL_H

#include "policy/policy.h"

struct doctor_look {
    struct arena *arena;
    const struct policy_set *policies;
    struct aws_models *models;
    struct aws_client *client;
    struct str region;
    /* A line: what was looked at, what to do when it is not ok (`fix`, or NULL), what was seen. */
    void (*say)(void *ctx, bool ok, const char *what, const char *fix, const char *detail);
    void *ctx;
};
/* One line for each account that rectify.yaml lists, one for the organisation. */
void doctor_look_at_accounts(const struct doctor_look *look);

#endif
