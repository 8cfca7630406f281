// SPDX-License-Identifier: Apache-2.0
/* What paginators of the models say, apart from who calls: taking tokens out of an answer, putting
 * them into the next input, joining results. The pages themselves are aws_call_pages()'s. */
#ifndef RECTIFY_AWS_PAGES_H
#define RECTIFY_AWS_PAGES_H

#include "aws/aws_internal.h"
#include "aws/jmespath.h"

struct aws_pager;

/* `paginator` is the model's entry. A0326: malformed. What it points to lives as long as arena and
 * paginator. */
struct aws_pager *aws_pager_create(struct value paginator, struct arena *arena, struct error *err)
    __attribute__((warn_unused_result));
/* Input of the next page: `input` with the last page's tokens. `input` itself for the first. */
struct value aws_pager_input(const struct aws_pager *pager, struct value input,
                             struct arena *arena);
/* Reads a page: joins its results, takes its tokens. *ret_more: is there another? A0327: the same
 * token twice. */
bool aws_pager_take(struct aws_pager *pager, struct value output, struct arena *arena,
                    bool *ret_more, struct error *err) __attribute__((warn_unused_result));
/* The first page with the result lists of all. */
struct value aws_pager_result(const struct aws_pager *pager);

#endif
