// SPDX-License-Identifier: Apache-2.0
/* The table of defaults as data. See defaults.h. */
#include "policy/defaults.h"

const struct policy_default_row policy_defaults[] = {
#define ROW(name, key, value, unit, source) {key, unit, source, value},
    POLICY_DEFAULTS(ROW)
#undef ROW
};
const size_t policy_default_count = sizeof policy_defaults / sizeof *policy_defaults;
