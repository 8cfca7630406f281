// SPDX-License-Identifier: Apache-2.0
/* The builder's side of a set: every distinct field, atom and condition once, in the order in which
 * they first came. Shared by build.c, compile.c and explain.c. */
#ifndef RECTIFY_PATTERN_BUILDER_INTERNAL_H
#define RECTIFY_PATTERN_BUILDER_INTERNAL_H

#include "pattern/pattern_internal.h"

/* Numbers of distinct things by their hash. */
struct distinct {
    uint32_t *slots;  // number + 1, 0 = free
    uint64_t *hashes; // by number
    uint32_t mask, count, cap;
};

struct built_atom {
    struct str operand;
    uint32_t field;
    enum atom_kind kind;
};
struct built_condition {
    uint32_t field, first, count; // atoms, in atom_lists, ascending
    uint32_t uses;                // rules
};
struct built_rule {
    uint32_t first, count; // conditions, in condition_lists
    uint32_t tag;
};

struct pattern_builder {
    struct arena arena; // operands and paths
    struct arena temp;  // of the pattern being added
    struct distinct field_set, atom_set, condition_set;
    struct str *fields;
    struct built_atom *atoms;
    struct built_condition *conditions;
    struct built_rule *rules;
    uint32_t *atom_lists, *condition_lists;
    uint32_t field_cap, atom_cap, condition_cap, rule_cap, atom_list_cap, condition_list_cap;
    uint32_t rule_count, atom_list_count, condition_list_count;
    bool in_order; // rules of the set are those of the builder, none optimized (explain.c)
};

/* The conditions of the leaves of a parsed pattern, and its rules, added. */
bool builder_add_source(struct pattern_builder *b, const struct pattern_source *source,
                        uint32_t tag) __attribute__((warn_unused_result));

#endif
