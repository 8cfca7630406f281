// SPDX-License-Identifier: Apache-2.0
/* The members of a JSON object as pieces of its text, without reading what is in them: for those
 * who need a few of the outermost and the rest as it is.
 *
 *   struct json_members members;
 *   if (json_members_begin(&members, text, arena))
 *       while (json_members_next(&members)) ... members.name, members.value
 *
 * The text should be known to be JSON, an object; of any other text some members may come, but
 * nothing is read behind its end. One thread. */
#ifndef RECTIFY_VALUE_JSON_MEMBER_H
#define RECTIFY_VALUE_JSON_MEMBER_H

#include "value/json_scan.h"

struct json_members {
    struct str name;  // decoded; borrowed from the text or the arena
    struct str value; // as it stands in the text
    struct json_scan scan;
    struct arena *arena;
    size_t at;
    const uint32_t *end; // the next of scan.ends
};

/* False: out of memory, or not an object. */
bool json_members_begin(struct json_members *members, struct str text, struct arena *arena)
    __attribute__((warn_unused_result));
bool json_members_next(struct json_members *members) __attribute__((warn_unused_result));
/* The content of a string value, decoded; a NULL pointer for any other value. */
struct str json_members_string(const struct json_members *members);

#endif
