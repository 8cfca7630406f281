// SPDX-License-Identifier: Apache-2.0
/* What compile.c and index.c share while a set is being made. */
#ifndef RECTIFY_PATTERN_INDEX_INTERNAL_H
#define RECTIFY_PATTERN_INDEX_INTERNAL_H

#include "pattern/builder_internal.h"

/* A rule that matches unless a field is there. */
struct absence {
    uint32_t field, place, rule;
};

struct compiler {
    const struct pattern_builder *builder;
    struct pattern_set *set;
    struct arena temp;
    struct built_condition *built; // the builder's, in the set's order
    uint32_t *condition_lists;     // of the builder's rules, in the set's numbers
    /* the set's, still writable */
    struct field *fields;
    struct atom *atoms;
    struct condition *conditions;
    uint32_t *uses;             // of each condition, by rules
    uint64_t *costs;            // of waiting for each condition
    uint32_t *rule_tags;        // of the builder's rules, positions in set.tags
    struct span *default_words; // by place, in set.words
    struct absence *absences;   // rules that match by default
    uint32_t absence_count;
    struct link *links;
    uint32_t *link_slots; // link + 1, by hash
    uint32_t link_mask, link_count;
};

/* Zeroed arrays that stay with the set, and such as go when it is made. NULL = out of memory. */
void *compiler_array(struct compiler *c, size_t count, size_t size);
void *compiler_temp(struct compiler *c, size_t count, size_t size);
/* Spans whose `end` holds a count become [first, first) in a row, to be filled by end++. Returns
 * the total. */
uint32_t compiler_lay_out(struct span *spans, uint32_t count);

/* The tree of paths; then what each field needs to evaluate a leaf. */
bool index_paths(struct compiler *c) __attribute__((warn_unused_result));
bool index_fields(struct compiler *c) __attribute__((warn_unused_result));

#endif
