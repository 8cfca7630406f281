// SPDX-License-Identifier: Apache-2.0
/* EventBridge event patterns: many patterns compiled into one immutable set, one pass over an event
 * finds all that match.
 *
 *   struct pattern_builder *builder = pattern_builder_create();
 *   pattern_builder_add(builder, STR("{\"source\":[\"aws.s3\"]}"), 7, &err);
 *   struct pattern_set *set = pattern_builder_finish(builder, &err);
 *   struct pattern_scratch *scratch = pattern_scratch_create(set);     // one a thread
 *   pattern_match(set, event, NULL, scratch, &tags, &count, &err);     // tags = {7}
 *
 * The grammar is EventBridge's as AWS's own matcher (event-ruler) runs it: exact values, prefix,
 * suffix, equals-ignore-case (alone and inside prefix and suffix), wildcard, numeric, cidr, exists,
 * anything-but in all its forms, exactly, $or, dotted or nested keys, array consistency. Where that
 * matcher and AWS's documents differ the matcher is followed; where it has defects, this one does
 * what is right (docs/patterns.md, tests/unit/pattern/test_quirks.c):
 *   - the answer for a pattern never depends on which other patterns are in the set;
 *   - a bare number never matches a cidr, quotes are never part of a value, characters above U+FFFF
 *     and titlecase letters match themselves under equals-ignore-case, an empty key is a key;
 *   - text behind the event or the pattern, and lone surrogates, are refused;
 *   - nothing is ever looked up in the DNS.
 * Limits: PATTERN_PATHS_MAX paths in a pattern, PATTERN_BRANCHES_MAX combinations of $or,
 * LIMIT_EVENT_BYTES and LIMIT_JSON_DEPTH for events (and patterns).
 *
 * Threads: a builder belongs to one thread; a set may be used by any number at once; a scratch
 * belongs to one thread at a time and to the set it was made for.
 *
 * Errors of patterns (placed by line and column inside the pattern):
 *   G0101 not a JSON object      G0102 field is neither object nor array   G0103 empty object or
 * list G0104 list inside a list     G0105 unknown operator                    G0106 wrong operand
 *   G0107 wildcard's syntax      G0108 number that is no exact double      G0109 not a CIDR block
 *   G0110 $or is misused         G0111 over a limit                        G0112 out of memory
 * Errors of events:
 *   G0201 malformed JSON         G0202 not a JSON object   G0203 not UTF-8   G0204 too deep
 *   G0205 over LIMIT_EVENT_BYTES G0206 duplicate key       G0207 arrays too entangled to decide */
#ifndef RECTIFY_PATTERN_PATTERN_H
#define RECTIFY_PATTERN_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#define PATTERN_PATHS_MAX 256u     // distinct fields of one pattern
#define PATTERN_BRANCHES_MAX 1000u // combinations that the $or of one pattern multiply to

#define PATTERN_ERROR_DUPLICATE_KEY "G0206"

struct pattern_builder;
struct pattern_set;
struct pattern_scratch;

enum pattern_duplicates {
    PATTERN_DUPLICATES_ALL, // every value of a key that occurs twice counts, as event-ruler has it
    PATTERN_DUPLICATES_REFUSE, // an event with a duplicate key anywhere is refused with G0206
};

struct pattern_options {
    enum pattern_duplicates duplicate_keys;
    /* Stop reading once every field that any pattern names was seen. Faster, but errors and
     * duplicate keys behind that point go unseen. Off = the whole event is validated. */
    bool early_stop;
};

/* NULL when out of memory. Destroying accepts NULL. */
struct pattern_builder *pattern_builder_create(void);
void pattern_builder_destroy(struct pattern_builder *builder);

/* Adds the event pattern `json` (copied). `tag` is handed back on a match: any number, and several
 * patterns may share one. A refused pattern leaves the builder as it was. Cost: linear in the text,
 * times the combinations of $or. */
bool pattern_builder_add(struct pattern_builder *builder, struct str json, uint32_t tag,
                         struct error *err) __attribute__((warn_unused_result));

/* The immutable set of all patterns added so far; the builder may be destroyed, or added to and
 * finished again. NULL on failure. An empty builder gives a set that validates and never matches.
 */
struct pattern_set *pattern_builder_finish(struct pattern_builder *builder, struct error *err)
    __attribute__((warn_unused_result));
void pattern_set_destroy(struct pattern_set *set);
/* Bytes that the set takes. */
size_t pattern_set_size(const struct pattern_set *set);

/* Working memory of one thread, everything pattern_match() will ever need (about 75 MB of address
 * space, of which only what events touch becomes memory). NULL when out of memory. */
struct pattern_scratch *pattern_scratch_create(const struct pattern_set *set);
void pattern_scratch_destroy(struct pattern_scratch *scratch);

/* Matches one event, a JSON object. `options` NULL = defaults. *ret_tags: the tags of all patterns
 * that match, ascending, distinct, borrowed from the scratch until its next use. False = the event
 * is not acceptable (err says why and where); the outputs are then untouched. No allocation, no
 * recursion. */
bool pattern_match(const struct pattern_set *set, struct str event,
                   const struct pattern_options *options, struct pattern_scratch *scratch,
                   const uint32_t **ret_tags, size_t *ret_count, struct error *err)
    __attribute__((warn_unused_result));

/* Why one pattern does or does not match one event. */
struct pattern_condition {
    struct str path;    // "detail.eventName"
    struct str wanted;  // the alternatives as the pattern has them: ["RunInstances",{"prefix":"x"}]
    struct str found;   // the values there as the event has them: "a",5 ; empty = nothing there
    size_t found_count; // how many
    bool holds;         // some value satisfies it (or its absence does)
    unsigned line, column; // of `wanted` in the pattern
};
struct pattern_branch {
    struct pattern_condition *conditions; // in the order in which the matcher decides
    size_t count;
    bool matches;
    bool arrays; // every condition holds by itself, but not within the same elements of arrays
};
struct pattern_explanation {
    struct pattern_branch *branches; // one for each combination of $or, one without
    size_t count;
    bool matches;
};
/* Everything in `ret` is allocated in `arena` or borrowed from pattern and event. Slow path, for
 * people: errors are those of adding and matching. */
bool pattern_explain(struct arena *arena, struct str pattern, struct str event,
                     struct pattern_explanation *ret, struct error *err)
    __attribute__((warn_unused_result));

#endif
