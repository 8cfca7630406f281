// SPDX-License-Identifier: Apache-2.0
/* YAML 1.2 as a small tree with positions: what libfyaml reads, without its anchors and types. */
#ifndef RECTIFY_POLICY_YAML_INTERNAL_H
#define RECTIFY_POLICY_YAML_INTERNAL_H

#include "base/error.h"
#include "cel/cel.h"
#include "value/value.h"

/* Compiled expressions of a policy set: what they hold outside of the arena goes with the set. */
struct yaml_programs {
    const struct cel_program **items;
    size_t count, cap;
};

struct yaml_file {
    struct str path, text;
    struct error_list *errors;
    struct arena *arena;
    struct yaml_programs *programs; // of the set that the file belongs to
};

enum yaml_style { YAML_PLAIN, YAML_SINGLE_QUOTED, YAML_DOUBLE_QUOTED, YAML_BLOCK };
enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    enum yaml_style style; // of a scalar
    struct str text;       // scalar's content
    struct str tag;        // "" = none
    size_t offset;         // where its content starts in the file
    struct yaml **keys;    // map: scalars
    struct yaml **items;
    size_t count;
    const struct yaml_file *file;
};

/* NULL when the text is not good YAML (errors are appended). Aliases, anchors' merge keys,
 * duplicate keys, non-scalar keys and depth over LIMIT_JSON_DEPTH are errors. */
struct yaml *yaml_read(const struct yaml_file *file);
/* The item under `key`, or NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);
/* Reports at a node. */
void yaml_error(const struct yaml *node, const char *code, const char *hint, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
/* Every key of `map` must be one of `names`; others are reported with "did you mean". False when
 * `map` is not a map (reported) or has such keys. */
bool yaml_check_keys(const struct yaml *map, const char *const *names, size_t count);
/* Plain data by the core schema (null, bool, int, float, string). */
bool yaml_value(const struct yaml *node, struct value *ret);
/* Where an expression in this scalar stands in the file. The context lives in the arena. */
struct cel_origin yaml_origin(const struct yaml *scalar, struct str expression);

#endif
