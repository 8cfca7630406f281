// SPDX-License-Identifier: Apache-2.0
#include "base/ensure.h"

#include <stdio.h>
#include <stdlib.h>

void ensure_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "rectify: invariant broken at %s:%d: %s\n", file, line, condition);
    abort();
}
