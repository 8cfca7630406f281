// SPDX-License-Identifier: Apache-2.0
#include "aws/jmespath.h"
bool aws_jmespath_search(struct str expression, struct value input, struct arena *arena,
                         struct value *ret, struct error *err)
{
    (void)expression, (void)input, (void)arena, (void)ret;
    return error_set(err, "A0335", "not yet");
}
