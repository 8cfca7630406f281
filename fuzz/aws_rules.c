// SPDX-License-Identifier: Apache-2.0
/* Any JSON as a rule set, with its own "params" member as parameters, resolves or is an error with
 * a code. */
#include "aws/endpoint.h"

#include <stdint.h>

#include "base/ensure.h"
#include "value/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char partitions[] =
        "{\"partitions\": [{\"id\": \"aws\", \"regionRegex\": \"^(us|eu)\\\\-\\\\w+\\\\-\\\\d+$\", "
        "\"regions\": {}, \"outputs\": {\"dnsSuffix\": \"amazonaws.com\"}}]}";
    struct arena arena = {.size_max = 64u << 20};
    struct value rules, places;
    struct error err = {0};
    struct aws_endpoint endpoint;
    ENSURE(json_parse(&arena, str_from(partitions), &places, &err));
    if (json_parse(&arena, (struct str){(const char *)data, size}, &rules, &err)) {
        const struct value *params = value_get(rules, STR("params"));
        struct value none = {.kind = VALUE_MAP};
        bool ok =
            aws_endpoint_evaluate(rules, places, params ? *params : none, &arena, &endpoint, &err);
        ENSURE(ok || err.code);
    }
    arena_finish(&arena);
    return 0;
}
