// SPDX-License-Identifier: Apache-2.0
/* Policies for the tests of policy, detect and decide: from a text, or the library in policies/. */
#ifndef RECTIFY_TESTS_POLICY_FIXTURE_H
#define RECTIFY_TESTS_POLICY_FIXTURE_H

#include "policy/policy.h"

/* The build's model pack, opened once a program. */
struct aws_models *fixture_models(void);
void fixture_finish(void);

/* One policy file (and rectify.yaml, unless NULL) in a folder of its own. NULL: errors has why. */
struct policy_set *fixture_load(const char *policy, const char *config, struct error_list *errors);
/* policies/ of the source tree under `config`. Fails the test when it does not load. */
struct policy_set *fixture_library(const char *config);
/* A policy to vary: its text with `from` replaced by `to` (both NULL = as it is). In the arena. */
const char *fixture_policy(struct arena *arena, const char *from, const char *to);
/* Errors as people see them. */
const char *fixture_errors(struct arena *arena, const struct error_list *errors);

#endif
