// SPDX-License-Identifier: Apache-2.0
/* The cases were made from one botocore; the models that are here may be another's. A case whose
 * service has other endpoint rules here than there cannot be held against it: when it fails it is
 * counted as skipped. Rules are compared by what they say, not by version. */
#ifndef RECTIFY_TESTS_CONFORM_AWS_VERSIONS_H
#define RECTIFY_TESTS_CONFORM_AWS_VERSIONS_H

#include "aws/aws_internal.h"
#include "base/hash.h"
#include "conform_file.h"
#include "value/json.h"

static const struct {
    const char *service, *hash;
} rules_of_cases[] = {
#include "aws_rules_table.h"
};

static inline void rules_hash(const struct aws_service *service, char ret[17])
{
    struct arena arena ARENA_AUTO = {0};
    struct buf text = {.arena = &arena};
    struct value rules = value_null();
    struct error ignored;
    (void)!aws_service_endpoint_rules(service, &rules, &ignored);
    json_write(&text, rules, JSON_CANONICAL);
    json_write(&text, service->signing_regions, JSON_CANONICAL);
    struct sha256 sum = hash_sha256(text.ptr, text.len);
    hash_hex(&sum, 8, ret);
}

/* Turns the failure just counted into a skip if the service has other rules. */
static inline void excuse_version(struct conform_result *result, unsigned failed_before,
                                  struct aws_models *models, struct str service)
{
    const struct aws_service *found =
        result->failed > failed_before && models ? aws_service_find(models, service, NULL) : NULL;
    char hash[17];
    if (!found)
        return;
    rules_hash(found, hash);
    for (size_t i = 0; i < sizeof(rules_of_cases) / sizeof(rules_of_cases[0]); i++) {
        if (str_is(service, rules_of_cases[i].service) && strcmp(hash, rules_of_cases[i].hash) == 0)
            return;
    }
    result->failed = failed_before;
    result->skipped++;
    printf("skip %.*s: the models here have other rules than the vectors\n", STR_FMT(service));
}

#endif
