// SPDX-License-Identifier: Apache-2.0
/* JMESPath, complete: queries over values, as paginators, waiters and --query use them.
 *
 * Source: the JMESPath specification (jmespath.org) and its compliance suite. An expression
 * compiles into an arena and is immutable; any number of threads may evaluate it. */
#ifndef RECTIFY_AWS_JMESPATH_H
#define RECTIFY_AWS_JMESPATH_H

#include "base/error.h"
#include "value/value.h"

struct aws_jmespath;

/* A0330: syntax, placed by column in the expression. */
const struct aws_jmespath *aws_jmespath_compile(struct str expression, struct arena *arena,
                                                struct error *err)
    __attribute__((warn_unused_result));
/* A0331: wrong kind of argument; A0332: wrong number of them; A0333: no such function; A0334: a
 * slice's step is 0; A0335: out of memory, or nested too deeply. The result borrows from `input`.
 */
bool aws_jmespath_evaluate(const struct aws_jmespath *expression, struct value input,
                           struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Both at once. */
bool aws_jmespath_search(struct str expression, struct value input, struct arena *arena,
                         struct value *ret, struct error *err) __attribute__((warn_unused_result));

#endif
