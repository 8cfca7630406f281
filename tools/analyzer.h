// SPDX-License-Identifier: Apache-2.0
/* Included first where the analyzer reads a file: error_set and its like return false, always,
 * which it cannot know of another translation unit, and without which every `return error_set(...)`
 * is taken for a success that left its outputs unset. */
#include "base/error.h"

#define error_set(...) (error_set(__VA_ARGS__), false)
#define error_context(...) (error_context(__VA_ARGS__), false)
#define error_hint(...) (error_hint(__VA_ARGS__), false)
