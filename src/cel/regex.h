// SPDX-License-Identifier: Apache-2.0
/* Regular expressions in RE2's syntax (github.com/google/re2/wiki/Syntax), linear in the text. */
#ifndef RECTIFY_CEL_REGEX_H
#define RECTIFY_CEL_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex;
#define REGEX_GROUPS_MAX 10

/* NULL: `ret_message` says why. */
struct regex *regex_create(const char *pattern, size_t len, char *ret_message, size_t size);
void regex_destroy(const struct regex *regex);
/* Anywhere in the text. */
bool regex_matches(const struct regex *regex, const char *text, size_t len);
/* The first match at or after `from`: byte spans [start, end) of groups 0..group_max-1, -1 where a
 * group took no part; at most REGEX_GROUPS_MAX groups. */
bool regex_find(const struct regex *regex, const char *text, size_t len, size_t from,
                ptrdiff_t *ret_spans, int group_max);
/* How many groups the pattern has besides the whole. */
int regex_groups(const struct regex *regex);

#ifdef __cplusplus
}
#endif
#endif
