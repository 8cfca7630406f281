/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RECTIFY_BENCH_PATTERN_SIMDJSON_H
#define RECTIFY_BENCH_PATTERN_SIMDJSON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
/* Parses each text (32 readable bytes behind it) into a DOM; how many were objects. */
size_t simdjson_parse_all(const char *const *texts, const size_t *lengths, size_t count);
const char *simdjson_implementation(void);
/* "haswell" is its AVX2 code. False: not on this machine. */
bool simdjson_choose(const char *name);
#ifdef __cplusplus
}
#endif

#endif
