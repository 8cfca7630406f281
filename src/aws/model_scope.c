// SPDX-License-Identifier: Apache-2.0
/* For which region requests are signed where the endpoint rules do not say: the older
 * endpoints.json knows (global services, and endpoints whose scope is another region than their
 * name). What is kept of it for a service:  {"aws": {"*": "us-east-1", "fips-us-west-2":
 * "us-west-2"}}, by partition and region, "*" being every other region; regions that sign for
 * themselves left out. */
#include "aws/model_internal.h"

static struct value child(struct value map, struct str key)
{
    const struct value *v = value_get(map, key);
    return v ? *v : value_null();
}

/* The scope of one endpoint of a service, or its name. */
static struct str scope_of(struct value endpoints, struct str name, struct value defaults)
{
    struct value scope = child(child(endpoints, name), STR("credentialScope"));
    struct str region = value_path_str(scope, "region");
    if (!region.len)
        region = value_path_str(defaults, "credentialScope.region");
    return region.len ? region : name;
}

static struct value regions_of(struct arena *arena, struct value service)
{
    struct value_builder out = {.arena = arena};
    struct value endpoints = child(service, STR("endpoints"));
    struct value defaults = child(service, STR("defaults"));
    struct value regional = child(service, STR("isRegionalized"));
    struct str whole = value_path_str(service, "partitionEndpoint");
    for (uint32_t i = 0; endpoints.kind == VALUE_MAP && i < endpoints.len; i++) {
        struct str name = value_str(endpoints.pairs[i].key);
        struct str scope = scope_of(endpoints, name, defaults);
        if (!str_eq(scope, name))
            value_set_str(&out, name, value_string(scope));
    }
    if (whole.len && regional.kind == VALUE_BOOL && !regional.b) {
        value_set(&out, "*", value_string(scope_of(endpoints, whole, defaults)));
        /* Regions with an endpoint of their own are not "every other". */
        for (uint32_t i = 0; endpoints.kind == VALUE_MAP && i < endpoints.len; i++) {
            struct str name = value_str(endpoints.pairs[i].key);
            value_set_str(&out, name, value_string(scope_of(endpoints, name, defaults)));
        }
    }
    return value_finish_map(&out);
}

struct value model_signing_regions(struct arena *arena, struct value endpoints, struct str prefix)
{
    struct value_builder out = {.arena = arena};
    struct value partitions = child(endpoints, STR("partitions"));
    for (uint32_t i = 0; partitions.kind == VALUE_LIST && i < partitions.len; i++) {
        struct value partition = partitions.items[i];
        struct value regions = regions_of(arena, child(child(partition, STR("services")), prefix));
        if (regions.kind == VALUE_MAP && regions.len)
            value_set_str(&out, value_path_str(partition, "partition"), regions);
    }
    return value_finish_map(&out);
}

struct str aws_service_signing_region(const struct aws_service *service, struct str partition,
                                      struct str region)
{
    struct value regions = child(service->signing_regions, partition);
    struct value scope = child(regions, region);
    if (scope.kind != VALUE_STRING)
        scope = child(regions, STR("*"));
    return scope.kind == VALUE_STRING ? value_str(scope) : region;
}
