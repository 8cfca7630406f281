// SPDX-License-Identifier: Apache-2.0
/* Any text as a configuration file, or behind a zero byte as a credentials file, is read or is an
 * error with a line. */
#include "aws/config.h"

#include <stdint.h>

#include "base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {.size_max = 64u << 20};
    struct aws_config config;
    struct error err = {0};
    struct str second = {(const char *)data, size};
    struct str first = str_cut(&second, '\0');
    if (aws_config_parse(first, "config", second, "credentials", &arena, &config, &err)) {
        (void)aws_config_get(&config, "region");
        (void)aws_config_nested(aws_config_get(&config, "s3"), "addressing_style");
    } else {
        ENSURE(err.code && err.line > 0);
    }
    arena_finish(&arena);
    return 0;
}
