// SPDX-License-Identifier: Apache-2.0
/* The parts of `rectify aws`. */
#ifndef RECTIFY_CLI_AWS_INTERNAL_H
#define RECTIFY_CLI_AWS_INTERNAL_H

#include "aws/aws.h"
#include "cli/cli.h"

/* An input out of arguments: JSON objects, and Name=value, where Name may be a path (`A.B`) and the
 * value is read as the model's kind says: text, a number, true or false, JSON for what is nested,
 * or items separated by commas. Later ones win. */
bool aws_read_input(const struct aws_operation *op, const char *const *args, size_t count,
                    struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* The input with a fresh client token under that name. */
struct value aws_with_token(struct arena *arena, struct value input, struct str name);

int cli_aws_list(const struct cli_options *options);
int cli_aws_describe(const struct cli_options *options);

#endif
