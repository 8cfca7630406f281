// SPDX-License-Identifier: Apache-2.0
/* Any text as a JMESPath expression compiles or is an error with a code; what compiles is evaluated
 * on a document with every kind of value, within a bound of memory. */
#include "aws/jmespath.h"

#include <stdint.h>

#include "base/ensure.h"
#include "value/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char document[] = "{\"a\": [1, 2.5, {\"b\": null, \"c\": [[\"x\"], "
                                   "\"\\u00fc\"]}], \"d\": \"text\", \"e\": true,"
                                   " \"f\": {\"g\": 1, \"h\": {\"i\": []}}}";
    struct arena arena = {.size_max = 64u << 20};
    struct value input, ret;
    struct error err = {0};
    ENSURE(json_parse(&arena, str_from(document), &input, &err));
    bool ok =
        aws_jmespath_search((struct str){(const char *)data, size}, input, &arena, &ret, &err);
    ENSURE(ok || err.code);
    arena_finish(&arena);
    return 0;
}
