// SPDX-License-Identifier: Apache-2.0
/* CEL, the Common Expression Language (github.com/google/cel-spec, doc/langdef.md), without
 * protobuf: parse, check against declared types, compile once, evaluate many times.
 *
 *   struct cel_env *env = cel_env_create(&arena, NULL);
 *   cel_env_add_variable(env, STR("tags"), cel_type_list(&arena, cel_type_dyn()), &slot, &err);
 *   program = cel_compile(env, &arena, source, cel_type_of(VALUE_BOOL), NULL, &errors);
 *   cel_eval(program, slots, &budget, &step_arena, &result, &err);
 *
 * Types, environments and programs live in the arena given at their creation; once built they are
 * immutable and any number of threads may use them at once. Evaluation allocates from the given
 * arena only (never malloc, but when that arena needs a new block) and its result borrows from the
 * slots, the program and that arena. One exception: a regular expression that is no constant is
 * compiled when it is first met; a program keeps the first sixteen such patterns, further ones are
 * compiled (malloc, and 100 units of cost as always) for each call.
 *
 * An error is an outcome of its own: cel_eval() gives a value or an error, never a "false" that was
 * an error. Errors carry a code, the message with the values involved and the position of the
 * sub-expression in the user's file; cel_error_codes() lists the codes:
 *   C00xx parsing, C01xx checking, C02xx evaluating, C03xx limits.
 *
 * Limits (base/limits.h): LIMIT_EXPRESSION_CODE_POINTS, LIMIT_EXPRESSION_DEPTH, and for each
 * evaluation LIMIT_EXPRESSION_COST units (about one a node evaluated, one for ten bytes of text
 * read) besides the caller's budget. */
#ifndef RECTIFY_CEL_CEL_H
#define RECTIFY_CEL_CEL_H

#include "base/error.h"
#include "value/value.h"

/* ---- types ---- */

struct cel_type;

const struct cel_type *cel_type_dyn(void);
/* null, bool, int, uint, double, string, bytes, timestamp, duration; list and map of dyn; type;
 * optional of dyn. Any other kind gives dyn. */
const struct cel_type *cel_type_of(enum value_kind simple_kind);
/* These give dyn when memory runs out, which only makes checking laxer. */
const struct cel_type *cel_type_list(struct arena *arena, const struct cel_type *item);
const struct cel_type *cel_type_map(struct arena *arena, const struct cel_type *key,
                                    const struct cel_type *value);
const struct cel_type *cel_type_optional(struct arena *arena, const struct cel_type *value);
/* What a list holds; dyn for any other type. */
const struct cel_type *cel_type_item(const struct cel_type *list);
/* net.IP and net.CIDR. */
const struct cel_type *cel_type_ip(void);
const struct cel_type *cel_type_cidr(void);

/* A record, such as a structure of an AWS service: known field names, each with its type. Its
 * values are maps with string keys. Selecting a field that it does not know is a check error with
 * "did you mean"; one that it knows but the value lacks is a run-time error unless has() or `.?`
 * asked. Shapes may be recursive: create the record, use it in other types, give it its fields
 * later (or through `lookup`, asked for one name at a time and thread-safe). */
struct cel_field {
    struct str name;
    const struct cel_type *type;
};
struct cel_type *cel_type_record(struct arena *arena, struct str name);
/* `fields` is borrowed. */
void cel_type_record_fields(struct cel_type *record, const struct cel_field *fields, size_t count);
/* `lookup` gives the type of a field or NULL; `names` gives the name at a position or an empty view
 * past the last (for "did you mean"; may be NULL). Either replaces the other way of giving fields.
 */
void cel_type_record_lookup(struct cel_type *record,
                            const struct cel_type *(*lookup)(const void *ctx, struct str name),
                            struct str (*names)(const void *ctx, size_t position), const void *ctx);

/* "list(map(string, dyn))", in the arena; "dyn" when memory runs out. */
const char *cel_type_text(struct arena *arena, const struct cel_type *type);
bool cel_type_equal(const struct cel_type *a, const struct cel_type *b);

/* ---- environment ---- */

struct cel_env;

/* How expressions of an environment are read. Zeroed = everything the language has, checked. */
struct cel_options {
    struct str container; // names are looked up in this namespace first ("a.b")
    unsigned depth_max;   // 0 = LIMIT_EXPRESSION_DEPTH
    uint64_t cost_max; // refuse (C0304) what may cost more when lists have LIMIT_EXPRESSION_ITEMS
                       // items, see cel_program_cost(); 0 = accept
    bool unchecked;    // skip the type checker: mistakes are run-time errors
    bool core_only;    // the standard's core: no extensions, no optional syntax
    bool
        literals_at_run_time; // do not refuse bad constant patterns, timestamps, ... when compiling
};

/* `parent` (borrowed, may be NULL) provides its variables first; it must be complete by then. NULL
 * when memory runs out. */
struct cel_env *cel_env_create(struct arena *arena, const struct cel_env *parent)
    __attribute__((warn_unused_result));
/* Inherited by children created afterwards. */
void cel_env_set_options(struct cel_env *env, struct cel_options options);
/* Declares a variable ("name" or "dotted.name"), hiding a parent's of the same name. Slots are
 * dense: 0..cel_env_slots()-1, the parent's first. False: C0110 (twice in this environment, or a
 * name that cannot be one), C0303 (memory). */
bool cel_env_add_variable(struct cel_env *env, struct str name, const struct cel_type *type,
                          unsigned *ret_slot, struct error *err)
    __attribute__((warn_unused_result));
/* Makes a record one that expressions may build: `name{field: value}` gives a map, its fields
 * checked. */
bool cel_env_add_record(struct cel_env *env, const struct cel_type *record, struct error *err)
    __attribute__((warn_unused_result));
unsigned cel_env_slots(const struct cel_env *env);
/* The slot of a variable by name. False when there is none. */
bool cel_env_find(const struct cel_env *env, struct str name, unsigned *ret_slot)
    __attribute__((warn_unused_result));

/* ---- compiling ---- */

struct cel_program;

/* Maps offsets in the expression to the user's file, for an expression inside a YAML scalar (plain,
 * quoted, block). Borrowed as long as the program. NULL: the expression is the file "<input>".
 * `offset` NULL: the expression is a part of `file_text` that starts at (size_t)ctx. */
struct cel_origin {
    const char *file;
    struct str file_text;
    size_t (*offset)(const void *ctx, size_t source_offset);
    const void *ctx;
};

/* Parses, checks and compiles. NULL on failure with every error appended to `errors`. `source` is
 * borrowed as long as the program. `want`: NULL, or the type that the result must have. The program
 * lives in `arena`, but for its regular expressions, which cel_program_finish() gives back. */
const struct cel_program *cel_compile(const struct cel_env *env, struct arena *arena,
                                      struct str source, const struct cel_type *want,
                                      const struct cel_origin *origin, struct error_list *errors)
    __attribute__((warn_unused_result));
/* Frees what is not in the arena (compiled regular expressions). NULL is fine. */
void cel_program_finish(const struct cel_program *program);

const struct cel_type *cel_program_type(const struct cel_program *program);
struct str cel_program_source(const struct cel_program *program);
/* Does it read this variable? */
bool cel_program_uses(const struct cel_program *program, unsigned slot);
/* The value, when the whole expression is a constant; else NULL. */
const struct value *cel_program_constant(const struct cel_program *program);
/* Upper bound of one evaluation's cost when no list, map or text of a variable has more than `size`
 * entries or bytes, no part of one more than `size` parts in all, and no number that makes a list
 * is greater; UINT64_MAX when it overflows. */
uint64_t cel_program_cost(const struct cel_program *program, uint64_t size);

/* What it reads, as static paths: a variable and the constant field names (or constant string
 * indexes) that follow, up to the first dynamic step. `tagging.TagSet.exists(...)` reads
 * {slot of tagging, "TagSet"}. Without duplicates; a path may be a prefix of another. */
struct cel_path {
    unsigned slot;
    const struct str *fields;
    size_t count;
    bool named; // every use asks whether it is one of constants that stand there (`==`, `in`), and
                // holds only if so: no `!`, `?:`, call or loop around it
};
const struct cel_path *cel_program_paths(const struct cel_program *program, size_t *ret_count);

/* ---- evaluating ---- */

/* Shared by all evaluations of one step; taken from, never given back. */
struct cel_budget {
    uint64_t cost_left; // start with LIMIT_EVENT_COST
    size_t bytes_left;  // memory that evaluations may take from the arena
};
static inline struct cel_budget cel_budget_default(void)
{
    return (struct cel_budget){10000000u, (size_t)64 << 20};
}

/* The slot of a variable that has no value: reading it is error C0207, which names it. */
#define CEL_UNSET 0xFE
static inline struct value cel_unset(void)
{
    return (struct value){.kind = CEL_UNSET};
}

/* Evaluates with one value a slot. True: *ret is set. False: err is. `budget` may be NULL (the
 * default one then). */
bool cel_eval(const struct cel_program *program, const struct value *slots,
              struct cel_budget *budget, struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- tracing ---- */

enum cel_trace_outcome {
    CEL_TRACE_VALUE,
    CEL_TRACE_FAILED,  // `text` says why
    CEL_TRACE_SKIPPED, // not evaluated: another operand had decided
    CEL_TRACE_TURN,    // a turn of a loop: `text` is the variable, `value` what it held
    CEL_TRACE_TYPE,    // of cel_program_types(): `text` is the type
};

/* One sub-expression, in the order of evaluation, parents before their parts. */
struct cel_trace_step {
    unsigned depth;      // 0 = the whole expression
    uint32_t start, end; // bytes of the program's source
    enum cel_trace_outcome outcome;
    struct value value;
    const char *text;
};

/* At most CEL_TRACE_STEPS are kept; `dropped` counts the others. */
#define CEL_TRACE_STEPS 2000
struct cel_trace {
    struct str source;
    struct cel_trace_step *steps;
    size_t count, dropped;
};

/* cel_eval() that also tells what each sub-expression gave. Slower; the steps live in `arena`. */
bool cel_eval_trace(const struct cel_program *program, const struct value *slots,
                    struct cel_budget *budget, struct arena *arena, struct cel_trace *trace,
                    struct value *ret, struct error *err) __attribute__((warn_unused_result));
/* What the checker found each sub-expression to be, in the same form. False: memory ran out. */
bool cel_program_types(const struct cel_program *program, struct arena *arena,
                       struct cel_trace *ret) __attribute__((warn_unused_result));
/* The steps as a tree, a line each: "├─ t.Key == \"a\"  = false", "├─ t.Key  : string". */
void cel_trace_print(struct buf *out, const struct cel_trace *trace);

/* ---- values of CEL's own kinds ---- */

/* The value as CEL prints it: strings quoted, maps {"a": 1}, timestamps timestamp("..."). Cut after
 * `max` bytes with "..." (0 = no bound). */
void cel_value_print(struct buf *out, struct value v, size_t max);
/* Seconds east of UTC of a zone ("UTC", "+05:30", "Europe/Berlin") at a time. False: no such zone.
 */
bool cel_zone_offset(struct str zone, int64_t seconds, int64_t *ret_offset)
    __attribute__((warn_unused_result));
/* "int", "list", "google.protobuf.Timestamp", "net.IP", ...: what type(v) prints. */
const char *cel_value_type_name(struct value v);
/* The value as plain data, for JSON and for an API's input: optionals become their value or null,
 * IP and CIDR and types become strings. Copies only what it has to change. False: memory ran out,
 * or the value has more than four million parts. */
bool cel_value_plain(struct arena *arena, struct value v, struct value *ret)
    __attribute__((warn_unused_result));

/* ---- errors ---- */

/* As CEL's users know it:
 *   ERROR: file:line:column: message
 *    | the line
 *    | ....^
 * and " = help: ..." when there is a hint. */
void cel_error_print(struct buf *out, const struct error *err);

struct cel_error_code {
    const char *code, *meaning, *next; // what happened; what to do about it
};
const struct cel_error_code *cel_error_codes(size_t *ret_count);

/* ---- functions, for documentation and `explain` ---- */

struct cel_function_help {
    const char *name;    // "contains", "math.greatest", "+"
    const char *group;   // "strings"
    const char *help;    // one or two sentences
    const char *example; // an expression that is true; NULL: what a macro becomes, not for people
};
/* The functions and macros in the order of the table. False past the last. */
bool cel_function_at(size_t position, struct cel_function_help *ret);
/* Overloads as text, one a line: "string.contains(string) -> bool". A and B are any type. */
void cel_function_overloads(struct buf *out, size_t position);

#endif
