// SPDX-License-Identifier: Apache-2.0
#include "cel/cel_internal.h"
static const struct cel_function functions[] = {{"x", "", "", 0, 0}};
const struct cel_group group_cloud = {"cloud", false, OVERLOADS(functions)};
