// SPDX-License-Identifier: Apache-2.0
/* The cases were made from one botocore; the models that are here may be another's. Rule sets that
 * changed in between cannot pass: their failing cases are counted as skipped, by service. */
#ifndef RECTIFY_TESTS_CONFORM_AWS_VERSIONS_H
#define RECTIFY_TESTS_CONFORM_AWS_VERSIONS_H

#include "aws/aws.h"
#include "conform_file.h"

#define CASES_SOURCE "botocore 1.43.67"

/* Rule sets that differ between 1.43.11 and 1.43.67 (compared with botocore's own evaluator). */
static const char *const changed_services[] = {
    "acm", "dynamodb", "geo-routes", "iam", "organizations", "sesv2", "signin", "servicediscovery"};

/* Turns the failure just counted into a skip if the version explains it. */
static inline void excuse_version(struct conform_result *result, unsigned failed_before,
                                  struct aws_models *models, struct str service)
{
    if (result->failed == failed_before || !models ||
        str_is(aws_models_source(models), CASES_SOURCE))
        return;
    for (size_t i = 0; i < sizeof(changed_services) / sizeof(changed_services[0]); i++) {
        if (!str_is(service, changed_services[i]))
            continue;
        result->failed = failed_before;
        result->skipped++;
        printf("  (counted as skipped: the rules of %s changed between the versions)\n",
               changed_services[i]);
    }
}

#endif
