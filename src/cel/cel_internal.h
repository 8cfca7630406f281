// SPDX-License-Identifier: Apache-2.0
/* What the files of cel/ share. The way of an expression:
 *
 *   text ─lex─► tokens ─parse, macro─► ast ─check─► typed ast ─plan─► nodes ─eval─► value or
 * failure
 *
 * Nodes are a tree of small functions ("planned tree"): each knows its children and is specialised
 * for what the checker and constant folding found out about them (cel/plan.c). */
#ifndef RECTIFY_CEL_CEL_INTERNAL_H
#define RECTIFY_CEL_CEL_INTERNAL_H

#include "base/limits.h"
#include "cel/cel.h"
#include "cel/regex.h"

/* ---- types (type.c) ---- */

enum type_kind {
    CT_DYN,
    CT_ERROR, // of an expression that already has an error; fits everything
    CT_NULL,
    CT_BOOL,
    CT_INT,
    CT_UINT,
    CT_DOUBLE,
    CT_STRING,
    CT_BYTES,
    CT_TIMESTAMP,
    CT_DURATION,
    CT_LIST,     // params[0]
    CT_MAP,      // params[0], params[1]
    CT_TYPE,     // params[0]
    CT_OPTIONAL, // params[0]
    CT_OPAQUE,   // name, params
    CT_WRAPPER,  // params[0] or null
    CT_RECORD,   // name, fields
    CT_PARAM,    // a type variable, number `id`
};

struct cel_type {
    uint8_t kind;
    uint8_t count;
    uint16_t aux; // CT_OPAQUE: enum opaque_kind of its values
    uint32_t id;
    struct str name;
    const struct cel_type *const *params;
    const struct cel_field *fields;
    size_t field_count;
    const struct cel_type *(*lookup)(const void *ctx, struct str name);
    struct str (*names)(const void *ctx, size_t position);
    const void *ctx;
};

enum opaque_kind { OPAQUE_OTHER, OPAQUE_IP, OPAQUE_CIDR };

/* Types that the tables of functions name. T_A, T_B are type variables. */
extern const struct cel_type T_DYN, T_ERROR, T_NULL, T_BOOL, T_INT, T_UINT, T_DOUBLE, T_STRING,
    T_BYTES, T_TIMESTAMP, T_DURATION, T_IP, T_CIDR, T_A, T_B, T_TYPE, T_OPTIONAL, T_LIST_DYN,
    T_MAP_DYN, T_LIST_A, T_MAP_AB, T_OPTIONAL_A, T_OPTIONAL_B, T_LIST_STRING, T_LIST_INT,
    T_OPTIONAL_STRING, T_MAP_STRING_DYN, T_LIST_LIST_A, T_LIST_MAP, T_OPTIONAL_LIST_A,
    T_OPTIONAL_MAP_AB, T_MAP_STRING_STRING, T_LIST_LIST_INT, T_LIST_CIDR, T_LIST_B, T_TYPE_A,
    T_LIST_OPTIONAL_A, T_LIST_UINT, T_LIST_DOUBLE, T_LIST_BOOL, T_LIST_BYTES, T_LIST_TIMESTAMP,
    T_LIST_DURATION;

struct cel_type *type_make(struct arena *arena, enum type_kind kind, const struct cel_type *a,
                           const struct cel_type *b);
const struct cel_type *type_field(const struct cel_type *record, struct str name);
/* A "did you mean" for a field, in the arena, or NULL. */
const char *type_field_nearest(struct arena *arena, const struct cel_type *record, struct str name);
/* The type that a name such as `int` or `google.protobuf.Timestamp` denotes, or NULL. */
const struct cel_type *type_named(struct str name);
/* The name under which type() gives the type at run time. */
const char *type_run_time_name(const struct cel_type *type);
static inline bool type_is_dyn(const struct cel_type *t)
{
    return t->kind == CT_DYN || t->kind == CT_ERROR;
}

/* ---- the syntax tree ---- */

enum ast_kind {
    AST_CONST,  // constant
    AST_IDENT,  // name
    AST_SELECT, // target.name; `optional` for .?, `test` under has()
    AST_CALL,   // name(args) or target.name(args): target is then args[0] and `member` is set
    AST_LIST,   // args
    AST_MAP,    // args: key, value, key, value...
    AST_STRUCT, // name{...}: field names in `fields`, values in args
    AST_AND,    // args, two or more
    AST_OR,
    AST_COND, // args: condition, then, else
    AST_LOOP, // a comprehension; see enum loop_kind
    AST_BIND, // args: value, body; variable `vars[0]`
};

enum loop_kind {
    LOOP_ALL,
    LOOP_EXISTS,
    LOOP_EXISTS_ONE,
    LOOP_MAP,           // args: range, filter or NULL, element
    LOOP_FILTER,        // args: range, condition
    LOOP_TRANSFORM_MAP, // args: range, filter or NULL, value
    LOOP_TRANSFORM_MAP_ENTRY,
    LOOP_OPT_MAP, // args: optional, element
    LOOP_OPT_FLAT_MAP,
    LOOP_SORT_BY, // args: list, key
};

struct ast {
    uint8_t kind, loop;
    bool optional;       // .?  [?]
    bool optional_entry; // ?element or ?key: value
    bool test, member, rooted, parenthesised;
    bool escaped;        // AST_SELECT: the name stood in back quotes
    bool resolved;       // AST_SELECT that is a qualified name: like AST_IDENT
    uint32_t pos;        // byte offset that errors point at
    uint32_t start, end; // the text it came from
    uint32_t count;      // of args
    uint32_t depth;      // nesting below
    struct str name;
    struct value constant;
    struct ast *target; // AST_SELECT
    struct ast **args;
    struct str vars[2]; // loops: iteration variables; [1] empty for one
    struct str *fields; // AST_STRUCT
    uint32_t *field_pos;

    const struct cel_type *type; // set by check
    enum {
        NAME_UNKNOWN,
        NAME_SLOT,
        NAME_LOCAL,
        NAME_TYPE,
        NAME_NULL,
    } name_kind;
    unsigned slot;                         // NAME_SLOT, NAME_LOCAL
    const struct cel_type *named;          // NAME_TYPE
    const struct message *message;         // AST_STRUCT; NULL: a record
    const struct cel_overload **overloads; // AST_CALL: candidates
    uint32_t overload_count;
    bool function_known; // a function of that name exists
};

/* ---- reporting while compiling (report.c) ---- */

struct report {
    struct arena *arena;
    struct str source;
    const struct cel_origin *origin;
    struct error_list *errors;
    struct arena_error_item *items;
    size_t count, cap;
};

/* Adds an error at bytes [pos, end) of the source; in order of position when flushed. */
void report_error(struct report *report, const char *code, uint32_t pos, uint32_t end,
                  const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));
void report_flush(struct report *report);
/* Places `err` at [pos, end) of the source, in the user's file. */
void origin_place(struct error *err, const struct cel_origin *origin, struct str source,
                  uint32_t pos, uint32_t end);

/* ---- lexing (lex.c) ---- */

enum token_kind {
    TOK_EOF,
    TOK_IDENT,
    TOK_ESC_IDENT,
    TOK_INT,
    TOK_UINT,
    TOK_FLOAT,
    TOK_STRING,
    TOK_BYTES,
    TOK_TRUE,
    TOK_FALSE,
    TOK_NULL,
    TOK_IN,
    TOK_EQ,
    TOK_NE,
    TOK_LT,
    TOK_LE,
    TOK_GE,
    TOK_GT,
    TOK_AND,
    TOK_OR,
    TOK_LBRACKET,
    TOK_RBRACKET,
    TOK_LBRACE,
    TOK_RBRACE,
    TOK_LPAREN,
    TOK_RPAREN,
    TOK_DOT,
    TOK_COMMA,
    TOK_MINUS,
    TOK_NOT,
    TOK_QUESTION,
    TOK_COLON,
    TOK_PLUS,
    TOK_STAR,
    TOK_SLASH,
    TOK_PERCENT,
};

struct token {
    enum token_kind kind;
    uint32_t start, end; // byte offsets
};

/* The next token at `*at`; skips white space, comments and, reporting them, unknown characters. */
struct token lex_next(struct report *report, uint32_t *at);
/* The value of a literal token, escapes resolved. False: reported. `negative`: a minus precedes. */
bool lex_literal(struct report *report, struct token token, bool negative, struct value *ret);

/* ---- parsing (parse.c, macro.c) ---- */

struct frame;

struct parser {
    struct arena *arena;
    struct report *report;
    struct str source;
    const struct cel_options *options;
    struct token token, previous;
    uint32_t at; // where lexing goes on
    struct token ahead;
    bool have_ahead;
    const struct frame *frame; // of the rules that are open
    unsigned nesting, depth_max;
    unsigned recoveries;
    uint32_t error_at;     // where skipping stopped last, plus one; 0 since a token fitted
    uint64_t error_places; // the places that were the reason
    bool recovering;       // an error was reported and no token has fitted since
    bool muted;            // optional syntax is refused only once
    bool failed;           // give up: depth, memory, too many errors
};

struct ast *parse_expression(struct arena *arena, struct report *report,
                             const struct cel_options *options, struct str source);
struct ast *ast_new(struct parser *p, enum ast_kind kind, uint32_t pos, uint32_t start);
struct ast *ast_call(struct parser *p, const char *name, uint32_t pos, uint32_t start, uint32_t end,
                     struct ast **args, uint32_t count);
/* The macro that this call is, or the call itself; NULL when memory ran out or (reported) wrong. */
struct ast *macro_expand(struct parser *p, struct ast *call, bool *ret_failed);

/* ---- environment (env.c) ---- */

struct cel_variable {
    struct str name;
    const struct cel_type *type;
    unsigned slot;
    struct cel_variable *next;
};

/* A function that is declared for checking only; see cel_env_declare(). */
struct cel_declared {
    struct str name;
    struct cel_overload *overloads;
    unsigned count;
    struct cel_declared *next;
};

struct cel_env {
    struct arena *arena;
    const struct cel_env *parent;
    struct cel_options options;
    struct cel_variable *variables; // newest first
    unsigned first_slot, count;
    struct cel_declared *declared;
    struct cel_record *records;
};

/* A record that may be built by name{field: value}. */
struct cel_record {
    const struct cel_type *type;
    struct cel_record *next;
};

const struct cel_type *env_record(const struct cel_env *env, struct str name);

const struct cel_variable *env_variable(const struct cel_env *env, struct str name);

/* ---- functions (table.c, fn_*.c) ---- */

struct cel_cx;

/* A built-in: gives a value or cx_fail(...). Arguments have the kinds its overload declares. */
typedef struct value (*cel_fn)(struct cel_cx *cx, const struct value *args, unsigned count);

#define CEL_ARGS_MAX 5

struct cel_overload {
    const struct cel_type *result;
    const struct cel_type *args[CEL_ARGS_MAX];
    uint8_t count;
    bool member; // args[0] is the receiver
    cel_fn fn;
};

struct cel_function {
    const char *name;
    const char *help;
    const char *example; // an expression that is true; NULL for operators and macros of the core
    const struct cel_overload *overloads;
    unsigned count;
    const char *forms; // macros, which have no overloads: the ways to write them, one a line
};

struct cel_group {
    const char *name;
    bool core; // part of the standard, not of an extension
    const struct cel_function *functions;
    unsigned count;
};

/* Rows of the tables: a function, and one with a receiver. */
#define F(fn_, result_, ...)                                                                       \
    {                                                                                              \
        .fn = (fn_), .result = (result_), .args = {__VA_ARGS__},                                   \
        .count = sizeof((const struct cel_type *[]){__VA_ARGS__}) / sizeof(void *)                 \
    }
#define M(fn_, result_, ...)                                                                       \
    {                                                                                              \
        .fn = (fn_), .result = (result_), .args = {__VA_ARGS__}, .member = true,                   \
        .count = sizeof((const struct cel_type *[]){__VA_ARGS__}) / sizeof(void *)                 \
    }
#define OVERLOADS(array) (array), sizeof(array) / sizeof *(array)

extern const struct cel_group group_core, group_logic, group_strings, group_math, group_optionals,
    group_lists, group_sets, group_encoders, group_network, group_regex, group_cloud, group_iam,
    group_macros;
const struct cel_group *const *function_groups(unsigned *ret_count);
/* Appends the overloads of `name`, member or not, to a new array in the arena. */
unsigned function_find(const struct cel_env *env, struct arena *arena, struct str name, bool member,
                       const struct cel_overload ***ret, bool *ret_known);
/* "+" of "_+_", "in" of "@in"; NULL when it is no operator. */
const char *operator_symbol(struct str name);
/* Nearest name of a function for "did you mean", or NULL. */
const char *function_nearest(const struct cel_env *env, struct str name, bool member);

/* Declares a function by its types only: for checking, calling it fails. */
bool cel_env_declare(struct cel_env *env, struct str name, const struct cel_overload *overload);

/* ---- well-known messages (message.c) ---- */

#define MESSAGE_FIELDS_MAX 6
struct message {
    struct str name;
    const struct cel_type *type; // of what building it gives
    enum value_kind kind;
    struct {
        const char *name;
        const struct cel_type *type;
    } fields[MESSAGE_FIELDS_MAX];
};
const struct message *message_find(struct str name);
const struct cel_type *message_field(const struct message *message, struct str name);

/* ---- checking (check.c, infer.c) ---- */

struct infer {
    struct arena *arena;
    const struct cel_type **bound; // by variable id; NULL = free
    uint32_t count, cap;
    struct infer_saved *trail; // what was bound before, for going back
    uint32_t trail_count, trail_cap;
};

const struct cel_type *infer_fresh(struct infer *infer);
/* Replaces bound variables; free ones become dyn when `close`. */
const struct cel_type *infer_apply(struct infer *infer, const struct cel_type *t, bool close);
bool infer_assignable(struct infer *infer, const struct cel_type *to, const struct cel_type *from);
bool infer_assignable_all(struct infer *infer, const struct cel_type *const *to,
                          const struct cel_type *const *from, uint32_t count);
const struct cel_type *infer_general(const struct cel_type *a, const struct cel_type *b);
/* The type of a literal's elements after one more of type `next` (`so_far` NULL at first). */
const struct cel_type *infer_join(struct infer *infer, const struct cel_type *so_far,
                                  const struct cel_type *next);
#define LETTERS_MAX 8
/* T_A, T_B (ids UINT32_MAX, UINT32_MAX - 1, ...) of a table replaced by variables of this call's.
 */
const struct cel_type *infer_instance(struct infer *infer, const struct cel_type *t,
                                      const struct cel_type *letters[LETTERS_MAX]);

/* Fills in types, name resolution and overload candidates. `locals_max`: how many local variables
 * live at once. */
bool check_expression(const struct cel_env *env, struct arena *arena, struct report *report,
                      struct ast *root, const struct cel_type *want, unsigned *ret_locals_max);

/* ---- estimating (cost.c) ---- */

/* The most expensive loop. */
struct cost_peak {
    uint64_t cost;
    uint32_t pos, end;
};
/* cel_program_cost() of a checked tree; `ret_peak` may be NULL, and is left alone without loops. */
uint64_t cost_estimate(const struct ast *ast, uint64_t size, struct cost_peak *ret_peak);

/* ---- planning and evaluating ---- */

/* A failed evaluation travels as a value of this kind, its story in cx->fail. */
#define CEL_FAILED 0xFF

struct node;

enum fail_what {
    FAIL_TEXT,     // `text`
    FAIL_KEY,      // no key `a` in map `b`
    FAIL_INDEX,    // index `a` outside list `b`
    FAIL_OVERLOAD, // `name` applied to `types`
    FAIL_SELECT,   // field `name` of `a`, which is no map
    FAIL_BOOL,     // `a` where a bool must be
    FAIL_UNSET,    // variable `name` has no value
    FAIL_COST,
    FAIL_MEMORY,
};

struct cel_fail {
    enum fail_what what;
    const char *code;
    uint32_t pos, end;
    struct str name;
    const char *text;
    struct value a, b;
    unsigned count;
    const char *types[CEL_ARGS_MAX];
};

struct cel_cx {
    const struct value *slots;
    struct value *locals;
    int64_t cost; // units left; negative = over
    uint64_t cost_given;
    size_t bytes; // left
    struct arena *arena;
    const struct cel_program *program;
    const struct regex *regex; // the constant pattern of the call being made, compiled; or NULL
    struct tracer *tracer;
    struct cel_fail fail;
};

typedef struct value (*node_fn)(struct cel_cx *cx, const struct node *node);

struct node {
    node_fn eval; // the first cache line is what the hot nodes read
    const struct node *a, *b, *c;
    struct value constant; // of a constant; the constant side of a comparison; the key of a select
    uint64_t hash;         // of that key
    uint32_t slot, slot2;  // variables
    const struct node **args;
    uint32_t count, case_count;
    const struct call_case *cases;
    struct str name;
    const void *extra; // a regex, a set
    const struct ast *ast;
    uint32_t pos, end;
    uint8_t loop, width; // width: how many variables a loop has
    bool negated;        // != and existing instead of missing
};

/* One overload with what its arguments' kinds may be, as bits. */
struct call_case {
    cel_fn fn;
    uint16_t kinds[CEL_ARGS_MAX];
    uint8_t opaque[CEL_ARGS_MAX];
};

struct cel_program {
    const struct node *root;
    const struct ast *ast;
    const struct cel_env *env;
    const struct cel_type *type;
    struct str source;
    struct cel_origin origin;
    bool has_origin;
    unsigned locals_max;
    uint64_t *slots_used; // bits
    unsigned slot_count;
    struct cel_path *paths;
    size_t path_count;
    struct regex_list *regexes;
    struct pattern_cache *patterns; // those met at run time; the one part that changes, by itself
};

/* A local variable in scope; `lazy`: a cel.bind()'s, whose value may have failed. */
struct bound {
    unsigned local;
    bool lazy;
    const struct bound *outer;
};

struct planner {
    const struct bound *bound;
    struct arena *arena;
    struct report *report;
    struct cel_program *program;
    const struct cel_env *env;
    bool traced; // no fusing, no folding, every node wrapped
    bool failed;
};

/* The nodes of a checked tree; NULL when memory ran out or a literal is bad (reported). */
const struct node *plan_tree(struct planner *planner, const struct ast *ast);

/* ---- for functions (eval.c) ---- */

static inline struct value cx_failed(void)
{
    return (struct value){.kind = CEL_FAILED};
}
/* Fails with a message in printf's form. */
struct value cx_fail(struct cel_cx *cx, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
struct value cx_fail_memory(struct cel_cx *cx) __attribute__((cold));
struct value cx_fail_cost(struct cel_cx *cx) __attribute__((cold));
/* Memory for a result: NULL (fail with cx_fail_memory) when the budget is used up. Not zeroed. */
void *cx_alloc(struct cel_cx *cx, size_t size);
/* Takes units off the budget: false when it is used up (fail with cx_fail_cost). */
static inline bool cx_charge(struct cel_cx *cx, uint64_t units)
{
    cx->cost -= (int64_t)(units > INT64_MAX / 4 ? INT64_MAX / 4 : units);
    return cx->cost >= 0;
}
/* Charges for going through `bytes` of text. */
static inline bool cx_charge_text(struct cel_cx *cx, size_t bytes)
{
    return cx_charge(cx, bytes / 10 + 1);
}
/* Charges for going through all of a value: parts, and text as above. Values may share parts, so
 * that a small one can be long to go through. */
bool cx_charge_deep(struct cel_cx *cx, struct value v);
/* A string in the arena that a buf built, charged to the budget. */
struct value cx_string(struct cel_cx *cx, struct buf *buf);
struct value cx_optional(struct cel_cx *cx, struct value v);
static inline struct value value_optional_none(void)
{
    return (struct value){.kind = VALUE_OPTIONAL};
}
static inline struct value value_type_named(const char *name)
{
    return (struct value){.kind = VALUE_TYPE, .opaque = name};
}
/* Fills err from the failure. */
void fail_describe(const struct cel_fail *fail, const struct cel_program *program,
                   struct arena *arena, struct error *err);

/* Equality and order of the language: numbers by value whatever their kinds. */
bool cel_equal(struct value a, struct value b);
/* -1, 0, 1; 2 = not comparable (kinds), 3 = unordered (NaN). */
int cel_compare(struct value a, struct value b);
const struct value *cel_map_get(struct value map, struct value key);
/* Adds to `work` what it looked at. */
bool cel_in_list(struct value item, struct value list, uint64_t *work);

/* Large locals that are always written before they are read: not zeroed on entry. */
#define UNINITIALISED __attribute__((uninitialized))

/* Equality that adds to `work` what it looked at. */
bool cel_equal_work(struct value a, struct value b, uint64_t *work);

/* The evaluators that plan.c chooses from (eval.c, loop.c). */
struct value ev_const(struct cel_cx *cx, const struct node *n);
struct value ev_local(struct cel_cx *cx, const struct node *n);
struct value ev_bound(struct cel_cx *cx, const struct node *n);
struct value ev_slot(struct cel_cx *cx, const struct node *n);
struct value ev_undeclared(struct cel_cx *cx, const struct node *n);
struct value ev_select(struct cel_cx *cx, const struct node *n);
struct value ev_select_local(struct cel_cx *cx, const struct node *n);
struct value ev_select_slot(struct cel_cx *cx, const struct node *n);
struct value ev_path_local(struct cel_cx *cx, const struct node *n);
struct value ev_path_slot(struct cel_cx *cx, const struct node *n);
struct value ev_select_optional(struct cel_cx *cx, const struct node *n);
struct value ev_has(struct cel_cx *cx, const struct node *n);
struct value ev_has_path(struct cel_cx *cx, const struct node *n);
struct value ev_has_chain(struct cel_cx *cx, const struct node *n);
struct value ev_index(struct cel_cx *cx, const struct node *n);
struct value ev_index_optional(struct cel_cx *cx, const struct node *n);
struct value ev_call(struct cel_cx *cx, const struct node *n);
struct value ev_or_optional(struct cel_cx *cx, const struct node *n);
struct value ev_or_value(struct cel_cx *cx, const struct node *n);
struct value ev_unknown_call(struct cel_cx *cx, const struct node *n);
struct value ev_not(struct cel_cx *cx, const struct node *n);
struct value ev_and(struct cel_cx *cx, const struct node *n);
struct value ev_or(struct cel_cx *cx, const struct node *n);
struct value ev_condition(struct cel_cx *cx, const struct node *n);
struct value ev_equal(struct cel_cx *cx, const struct node *n);
struct value ev_equal_string(struct cel_cx *cx, const struct node *n);
struct value ev_equal_string_slot(struct cel_cx *cx, const struct node *n);
struct value ev_equal_string_local(struct cel_cx *cx, const struct node *n);
struct value ev_equal_int(struct cel_cx *cx, const struct node *n);
struct value ev_compare(struct cel_cx *cx, const struct node *n);
struct value ev_in(struct cel_cx *cx, const struct node *n);
struct value ev_in_set(struct cel_cx *cx, const struct node *n);
struct value ev_list(struct cel_cx *cx, const struct node *n);
struct value ev_map(struct cel_cx *cx, const struct node *n);
struct value ev_bind(struct cel_cx *cx, const struct node *n);
struct value ev_matches(struct cel_cx *cx, const struct node *n);
struct value ev_message(struct cel_cx *cx, const struct node *n);
struct value ev_trace(struct cel_cx *cx, const struct node *n);
struct value ev_trace_turn(struct cel_cx *cx, const struct node *n);
node_fn loop_evaluator(enum loop_kind loop);
/* Pairs of (sort key, item) to a list of the items in the keys' order; stable. */
struct value sort_by_keys(struct cel_cx *cx, struct value_pair *pairs, size_t count);
/* cel_eval() with every sub-expression told to `tracer`; the program's nodes are traced ones. */
bool eval_traced(const struct cel_program *program, const struct value *slots,
                 struct cel_budget *budget, struct arena *arena, struct tracer *tracer,
                 struct value *ret, struct error *err);
/* Comparisons by bit: which of less, equal, greater (1, 2, 4) make node `slot` true. */
enum { COMPARE_LT = 1, COMPARE_EQ = 2, COMPARE_GT = 4 };

/* One plan's result for constant folding and examples: true when it gave a value. */
bool plan_run(const struct cel_program *program, const struct node *node, struct arena *arena,
              struct value *ret, struct error *err);

/* Patterns known at run time only, by program (fn_regex.c). */
#define CEL_PATTERNS_KEPT 16
struct pattern_cache *pattern_cache_create(struct arena *arena);
void pattern_cache_finish(struct pattern_cache *cache);
/* The compiled pattern of the call being made. NULL: failed. `ret_owned`: destroy it afterwards. */
const struct regex *regex_of_call(struct cel_cx *cx, struct str text, struct str pattern,
                                  bool *ret_owned) __attribute__((warn_unused_result));
struct value fn_matches(struct cel_cx *cx, const struct value *args, unsigned count);

struct value fn_format(struct cel_cx *cx, const struct value *args, unsigned count);

/* ---- opaque values (fn_net.c) ---- */

struct cel_ip {
    uint8_t family; // 4 or 6
    uint8_t prefix; // CIDR only
    uint8_t bytes[16];
};
#define DOUBLE_TEXT_SIZE 40
/* The shortest digits that read back as the same double. */
size_t double_print(double d, char ret[DOUBLE_TEXT_SIZE]);

#define CEL_IP_TEXT_SIZE 64
/* A network, or an address as a network of one. */
bool net_parse(struct str text, struct cel_ip *ret);
size_t ip_print(const struct cel_ip *ip, bool cidr, char ret[CEL_IP_TEXT_SIZE]);

/* ---- time (time.c) ---- */

#define TIME_SECONDS_MIN (-62135596800)
#define TIME_SECONDS_MAX 253402300799
bool time_parse(struct str text, int64_t *ret_seconds, uint32_t *ret_nanos);
bool duration_parse(struct str text, int64_t *ret_nanos);
#define TIME_TEXT_SIZE 48
size_t time_print(int64_t seconds, uint32_t nanos, char ret[TIME_TEXT_SIZE]);
size_t duration_print(int64_t nanos, char ret[TIME_TEXT_SIZE]);
/* Seconds east of UTC of a zone ("UTC", "+05:30", "Europe/Berlin") at a time. */
bool zone_offset(struct str zone, int64_t seconds, int64_t *ret_offset);

/* Regexes of a program, to be freed by cel_program_finish(). */
struct regex_list {
    struct regex *regex;
    struct regex_list *next;
};

/* UTF-8 helpers (utf8.c). */
size_t utf8_count(struct str s);
/* Byte offset of code point `index`; s.len when index is the count; SIZE_MAX past it. */
size_t utf8_offset(struct str s, size_t index);
/* Decodes one code point at *at (valid UTF-8) and moves on. */
uint32_t utf8_next(struct str s, size_t *at);
size_t utf8_encode(uint32_t c, char ret[4]);

#endif
