// SPDX-License-Identifier: Apache-2.0
/* iam.txt as the build packs it (tools/text_to_c.py). */
#ifndef RECTIFY_POLICY_IAM_INTERNAL_H
#define RECTIFY_POLICY_IAM_INTERNAL_H

#include <stddef.h>

struct policy_iam_section {
    const char *title; // the prefix of the service's actions; "": what stands before all sections
    const unsigned char *bytes;
    size_t packed, size;
};
extern const struct policy_iam_section policy_iam[]; // sorted by title
extern const size_t policy_iam_count;

#endif
