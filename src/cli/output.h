// SPDX-License-Identifier: Apache-2.0
/* Values for people and programs: JSON, YAML, a table. */
#ifndef RECTIFY_CLI_OUTPUT_H
#define RECTIFY_CLI_OUTPUT_H

#include "base/str.h"
#include "value/value.h"

enum output_format { OUTPUT_JSON, OUTPUT_YAML, OUTPUT_TABLE };

/* "json", "yaml", "table", or NULL for the first. False: none of them. */
bool output_format_parse(const char *text, enum output_format *ret)
    __attribute__((warn_unused_result));
/* Appends the value, with a line end. Control characters in tables are escaped. */
void output_write(struct buf *out, struct value v, enum output_format format);

#endif
