// SPDX-License-Identifier: Apache-2.0
/* Reads the JSON forms in which CEL's conformance vectors write types and values. */
#ifndef RECTIFY_TESTS_CONFORM_CEL_VECTORS_H
#define RECTIFY_TESTS_CONFORM_CEL_VECTORS_H

#include "cel/cel.h"

/* A type of cel.json ({"kind": "list", "elem": ...}) or of cel-errors.json ({"listType": ...}). */
const struct cel_type *vector_type(struct arena *arena, struct value json);
/* A value of cel.json. False: it needs protobuf. */
bool vector_value(struct arena *arena, struct value json, struct value *ret);
/* Declares the variables and functions of a test. */
bool vector_declare(struct cel_env *env, struct arena *arena, struct value test);

#endif
