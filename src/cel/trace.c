// SPDX-License-Identifier: Apache-2.0
#include "cel/cel_internal.h"
struct value ev_trace(struct cel_cx *cx, const struct node *n)
{
    return n->a->eval(cx, n->a);
}
