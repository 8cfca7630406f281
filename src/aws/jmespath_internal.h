// SPDX-License-Identifier: Apache-2.0
/* The syntax tree of a JMESPath expression, and how its two halves call each other. */
#ifndef RECTIFY_AWS_JMESPATH_INTERNAL_H
#define RECTIFY_AWS_JMESPATH_INTERNAL_H

#include "aws/jmespath.h"

#define JMESPATH_DEPTH_MAX 200

enum node_kind {
    NODE_CURRENT,
    NODE_FIELD,   // text
    NODE_LITERAL, // value
    NODE_INDEX,   // number, of the input
    NODE_SLICE,   // part[3]
    NODE_SUB,     // left, then right of its result; a pipe too
    NODE_PROJECT_LIST,
    NODE_PROJECT_VALUES,
    NODE_FILTER, // left[?child]right
    NODE_FLATTEN,
    NODE_LIST, // children
    NODE_HASH, // children, names
    NODE_OR,
    NODE_AND,
    NODE_NOT,
    NODE_COMPARE,   // comparator
    NODE_CALL,      // text, children
    NODE_REFERENCE, // &left
};

enum comparator { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };

struct aws_jmespath {
    enum node_kind kind;
    enum comparator comparator;
    struct str text;
    struct value value;
    int64_t number;
    bool has_part[3];
    int64_t part[3];
    const struct aws_jmespath *left, *right, *child;
    const struct aws_jmespath **children;
    struct str *names;
    size_t child_count;
};

struct evaluator {
    struct arena *arena;
    struct error *err;
};

/* An argument of a function: a value, or an expression that is not evaluated. */
struct argument {
    struct value value;
    const struct aws_jmespath *reference; // NULL = a value
};

bool jmespath_node(struct evaluator *e, const struct aws_jmespath *node, struct value input,
                   struct value *ret);
bool jmespath_call(struct evaluator *e, struct str name, const struct argument *args, size_t count,
                   struct value *ret);
bool jmespath_is_true(struct value v);
bool jmespath_is_number(struct value v);
double jmespath_double(struct value v);

#endif
