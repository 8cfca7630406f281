// SPDX-License-Identifier: Apache-2.0
/* Evaluation: one small function for each kind of node. A failure travels up as a value of the kind
 * CEL_FAILED, its story in cx->fail, until `&&`, `||`, a loop or a condition absorbs it or the
 * program ends. Nothing here calls malloc; each node takes its cost, loops and text functions look
 * whether the budget is used up. One cel_cx a thread; nodes and programs are shared and constant.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "cel/cel_internal.h"

#define EVAL(cx, node) ((node)->eval((cx), (node)))
#define FAILED(v) ((v).kind == CEL_FAILED)

/* ---- failures ---- */

static struct value fail_at(struct cel_cx *cx, const struct node *n, enum fail_what what,
                            const char *code)
{
    cx->fail = (struct cel_fail){.what = what, .code = code, .pos = n->pos, .end = n->end};
    return cx_failed();
}

struct value cx_fail(struct cel_cx *cx, const char *code, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    const char *copy = arena_copy(cx->arena, text, size);
    cx->fail = (struct cel_fail){
        .what = FAIL_TEXT, .code = code, .text = copy ? copy : "out of memory", .end = UINT32_MAX};
    return cx_failed();
}

struct value cx_fail_memory(struct cel_cx *cx)
{
    cx->fail = (struct cel_fail){.what = FAIL_MEMORY, .code = "C0302", .end = UINT32_MAX};
    return cx_failed();
}

struct value cx_fail_cost(struct cel_cx *cx)
{
    cx->fail = (struct cel_fail){.what = FAIL_COST, .code = "C0301", .end = UINT32_MAX};
    return cx_failed();
}

/* Gives a failure of a function the place of its call. */
static struct value placed(struct cel_cx *cx, const struct node *n, struct value v)
{
    if (FAILED(v) && cx->fail.end == UINT32_MAX) {
        cx->fail.pos = n->pos;
        cx->fail.end = n->end;
    }
    return v;
}

void *cx_alloc(struct cel_cx *cx, size_t size)
{
    if (size > cx->bytes)
        return NULL;
    void *memory = arena_alloc_raw(cx->arena, size, 16);
    if (memory)
        cx->bytes -= size;
    return memory;
}

static void weigh(struct value v, uint64_t limit, uint64_t *cost)
{
    bool text = v.kind == VALUE_STRING || v.kind == VALUE_BYTES;
    *cost += 1 + (text ? v.len / 10 : 0);
    if (v.kind == VALUE_OPTIONAL && v.opaque)
        weigh(*(const struct value *)v.opaque, limit, cost);
    for (uint32_t i = 0; v.kind == VALUE_LIST && i < v.len && *cost <= limit; i++)
        weigh(v.items[i], limit, cost);
    for (uint32_t i = 0; v.kind == VALUE_MAP && i < v.len && *cost <= limit; i++) {
        weigh(v.pairs[i].key, limit, cost);
        weigh(v.pairs[i].value, limit, cost);
    }
}

bool cx_charge_deep(struct cel_cx *cx, struct value v)
{
    uint64_t cost = 0;
    weigh(v, cx->cost > 0 ? (uint64_t)cx->cost : 0, &cost);
    return cx_charge(cx, cost);
}

struct value cx_string(struct cel_cx *cx, struct buf *buf)
{
    struct str text = buf_str(buf);
    if (buf->failed || text.len > cx->bytes || text.len > UINT32_MAX)
        return cx_fail_memory(cx);
    cx->bytes -= text.len;
    if (!cx_charge_text(cx, text.len))
        return cx_fail_cost(cx);
    return value_string(text);
}

struct value cx_optional(struct cel_cx *cx, struct value v)
{
    struct value *held = cx_alloc(cx, sizeof *held);
    if (!held)
        return cx_fail_memory(cx);
    *held = v;
    return (struct value){.kind = VALUE_OPTIONAL, .opaque = held};
}

static struct value not_bool(struct cel_cx *cx, const struct node *n, struct value v)
{
    fail_at(cx, n, FAIL_BOOL, "C0208");
    cx->fail.a = v;
    return cx_failed();
}

/* ---- constants and names ---- */

struct value ev_const(struct cel_cx *cx, const struct node *n)
{
    (void)cx;
    return n->constant;
}

struct value ev_local(struct cel_cx *cx, const struct node *n)
{
    return cx->locals[n->slot];
}

/* The variable of a cel.bind(), whose value may have failed: then using it fails. */
struct value ev_bound(struct cel_cx *cx, const struct node *n)
{
    struct value v = cx->locals[n->slot];
    if (FAILED(v))
        cx->fail = *(const struct cel_fail *)v.opaque;
    return v;
}

static struct value unset(struct cel_cx *cx, const struct node *n)
{
    fail_at(cx, n, FAIL_UNSET, "C0207");
    cx->fail.name = n->name;
    return cx_failed();
}

/* A variable; `variable` is its own node, for the place when it has no value. */
static inline struct value read_slot(struct cel_cx *cx, uint32_t slot, const struct node *variable)
{
    cx->cost--;
    struct value v = cx->slots[slot];
    return __builtin_expect(v.kind == CEL_UNSET, 0) ? unset(cx, variable) : v;
}

struct value ev_slot(struct cel_cx *cx, const struct node *n)
{
    return read_slot(cx, n->slot, n);
}

/* Both operands. False: `*a` is the failure of one. */
static inline bool operands(struct cel_cx *cx, const struct node *n, struct value *a,
                            struct value *b)
{
    *a = EVAL(cx, n->a);
    if (FAILED(*a))
        return false;
    *b = EVAL(cx, n->b);
    if (!FAILED(*b))
        return true;
    *a = *b;
    return false;
}

struct value ev_undeclared(struct cel_cx *cx, const struct node *n)
{
    return placed(cx, n, cx_fail(cx, "C0209", "undeclared reference to '%.*s'", STR_FMT(n->name)));
}

/* ---- fields ---- */

/* Same bytes? Short texts are compared by two loads that overlap. */
static inline bool same_bytes(const char *a, const char *b, uint32_t len)
{
    if (len >= 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y)
            return false;
        if (len > 16)
            return memcmp(a + 8, b + 8, len - 8) == 0;
        memcpy(&x, a + len - 8, 8);
        memcpy(&y, b + len - 8, 8);
        return x == y;
    }
    if (len >= 4) {
        uint32_t x, y, z, w;
        memcpy(&x, a, 4);
        memcpy(&y, b, 4);
        memcpy(&z, a + len - 4, 4);
        memcpy(&w, b + len - 4, 4);
        return x == y && z == w;
    }
    return len == 0 || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
}

static inline bool same_string(struct value a, struct value b)
{
    return a.len == b.len && (a.str == b.str || same_bytes(a.str, b.str, a.len));
}

/* The value under the node's constant key. */
static inline const struct value *field_of(struct value map, const struct node *n)
{
    if (map.flags & VALUE_INDEXED)
        return value_get_hashed(map, n->constant, n->hash);
    for (uint32_t i = 0; i < map.len; i++) {
        const struct value_pair *pair = &map.pairs[i];
        if (pair->key.kind == VALUE_STRING && same_string(pair->key, n->constant))
            // cppcheck-suppress returnDanglingLifetime ; what a map points to outlives it
            return &pair->value;
    }
    return NULL;
}

static struct value no_key(struct cel_cx *cx, const struct node *n, struct value map,
                           struct value key)
{
    fail_at(cx, n, FAIL_KEY, "C0202");
    cx->fail.a = key;
    cx->fail.b = map;
    return cx_failed();
}

static struct value no_field(struct cel_cx *cx, const struct node *n, struct value v)
{
    fail_at(cx, n, FAIL_SELECT, "C0201");
    cx->fail.a = v;
    cx->fail.name = value_str(n->constant);
    return cx_failed();
}

/* optional.field: an optional again, none when anything is missing. */
static struct value select_of_optional(struct cel_cx *cx, const struct node *n, struct value v)
{
    const struct value *held = v.opaque;
    if (!held)
        return v;
    if (held->kind == VALUE_OPTIONAL)
        return select_of_optional(cx, n, *held);
    if (held->kind != VALUE_MAP)
        return no_field(cx, n, *held);
    const struct value *field = field_of(*held, n);
    return field ? placed(cx, n, cx_optional(cx, *field)) : value_optional_none();
}

static __attribute__((noinline)) struct value select_other(struct cel_cx *cx, const struct node *n,
                                                           struct value v)
{
    if (FAILED(v))
        return v;
    if (v.kind == VALUE_OPTIONAL)
        return select_of_optional(cx, n, v);
    return v.kind == VALUE_MAP ? no_key(cx, n, v, n->constant) : no_field(cx, n, v);
}

static inline struct value select_from(struct cel_cx *cx, const struct node *n, struct value v)
{
    cx->cost--;
    if (__builtin_expect(v.kind == VALUE_MAP, 1)) {
        const struct value *field = field_of(v, n);
        if (__builtin_expect(field != NULL, 1))
            return *field;
    }
    return select_other(cx, n, v);
}

struct value ev_select(struct cel_cx *cx, const struct node *n)
{
    return select_from(cx, n, EVAL(cx, n->a));
}

struct value ev_select_local(struct cel_cx *cx, const struct node *n)
{
    return select_from(cx, n, cx->locals[n->slot]);
}

struct value ev_select_slot(struct cel_cx *cx, const struct node *n)
{
    return select_from(cx, n, read_slot(cx, n->slot, n->a));
}

/* Several fields in a row from `v` on: args are the nodes of the steps. */
static inline struct value walk(struct cel_cx *cx, const struct node *n, struct value v)
{
    cx->cost -= n->count;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct node *step = n->args[i];
        const struct value *field = v.kind == VALUE_MAP ? field_of(v, step) : NULL;
        if (__builtin_expect(field != NULL, 1)) {
            v = *field;
            continue;
        }
        v = select_other(cx, step, v);
        if (FAILED(v))
            break;
    }
    return v;
}

struct value ev_path_local(struct cel_cx *cx, const struct node *n)
{
    return walk(cx, n, cx->locals[n->slot]);
}

struct value ev_path_slot(struct cel_cx *cx, const struct node *n)
{
    return walk(cx, n, read_slot(cx, n->slot, n->c));
}

struct value ev_select_optional(struct cel_cx *cx, const struct node *n)
{
    struct value v = EVAL(cx, n->a);
    cx->cost--;
    if (FAILED(v))
        return v;
    if (v.kind == VALUE_OPTIONAL)
        return select_of_optional(cx, n, v);
    if (v.kind != VALUE_MAP)
        return no_field(cx, n, v);
    const struct value *field = field_of(v, n);
    return field ? placed(cx, n, cx_optional(cx, *field)) : value_optional_none();
}

static inline struct value has_field(struct cel_cx *cx, const struct node *n, struct value v)
{
    cx->cost--;
    while (v.kind == VALUE_OPTIONAL) {
        if (!v.opaque)
            return value_bool(false);
        v = *(const struct value *)v.opaque;
    }
    if (__builtin_expect(v.kind == VALUE_MAP, 1))
        return value_bool(field_of(v, n) != NULL);
    return FAILED(v) ? v : no_field(cx, n, v);
}

struct value ev_has(struct cel_cx *cx, const struct node *n)
{
    return has_field(cx, n, EVAL(cx, n->a));
}

/* has() of a path on a variable of the environment. */
struct value ev_has_path(struct cel_cx *cx, const struct node *n)
{
    return has_field(cx, n, walk(cx, n, read_slot(cx, n->slot, n->c)));
}

/* has(a.b) && has(a.b.c) && has(a.b.c.d) in one walk. Node b is the same conjunction unjoined,
 * asked whenever something else than a missing field is met behind the first `slot2` steps. */
struct value ev_has_chain(struct cel_cx *cx, const struct node *n)
{
    struct value v = cx->slots[n->slot];
    for (uint32_t i = 0; i < n->count; i++) {
        if (__builtin_expect(v.kind != VALUE_MAP, 0))
            return EVAL(cx, n->b);
        const struct value *field = field_of(v, n->args[i]);
        if (!field && i >= n->slot2) {
            cx->cost -= i + 1;
            return value_bool(false);
        }
        if (!field)
            return EVAL(cx, n->b);
        v = *field;
    }
    cx->cost -= n->count;
    return value_bool(true);
}

/* ---- indexes ---- */

/* A list position from any kind of number; false when it is none. */
static bool position_of(struct value index, uint64_t *ret)
{
    if (index.kind == VALUE_INT || index.kind == VALUE_UINT)
        *ret = index.kind == VALUE_INT && index.i < 0 ? UINT64_MAX : index.u;
    else if (index.kind == VALUE_DOUBLE && index.d == floor(index.d) && fabs(index.d) < 9e15)
        *ret = index.d < 0 ? UINT64_MAX : (uint64_t)index.d;
    else
        return false;
    return true;
}

static struct value bad_operands(struct cel_cx *cx, const struct node *n, struct value a,
                                 struct value b)
{
    fail_at(cx, n, FAIL_OVERLOAD, "C0201");
    cx->fail.name = n->name;
    cx->fail.count = 2;
    cx->fail.types[0] = cel_value_type_name(a);
    cx->fail.types[1] = cel_value_type_name(b);
    return cx_failed();
}

/* The element, or NULL with `*ret_failure` saying what is wrong (missing: FAIL_KEY, FAIL_INDEX). */
static const struct value *element(struct cel_cx *cx, const struct node *n, struct value v,
                                   struct value index, bool *ret_missing)
{
    uint64_t position;
    const struct value *found = NULL;
    *ret_missing = true;
    if (v.kind == VALUE_MAP && index.kind <= VALUE_STRING && index.kind != VALUE_NULL) {
        found = cel_map_get(v, index);
        if (!found)
            no_key(cx, n, v, index);
    } else if (v.kind == VALUE_LIST && position_of(index, &position)) {
        found = position < v.len ? &v.items[position] : NULL;
        if (!found) {
            fail_at(cx, n, FAIL_INDEX, "C0203");
            cx->fail.a = index;
            cx->fail.b = v;
        }
    } else {
        *ret_missing = false;
        bad_operands(cx, n, v, index);
    }
    return found;
}

static struct value index_as_optional(struct cel_cx *cx, const struct node *n, struct value v,
                                      struct value index)
{
    bool missing;
    while (v.kind == VALUE_OPTIONAL) {
        if (!v.opaque)
            return v;
        v = *(const struct value *)v.opaque;
    }
    const struct value *found = element(cx, n, v, index, &missing);
    if (found)
        return placed(cx, n, cx_optional(cx, *found));
    return missing ? value_optional_none() : cx_failed();
}

struct value ev_index(struct cel_cx *cx, const struct node *n)
{
    struct value v, index;
    if (!operands(cx, n, &v, &index))
        return v;
    cx->cost--;
    if (v.kind == VALUE_OPTIONAL)
        return index_as_optional(cx, n, v, index);
    bool missing;
    const struct value *found = element(cx, n, v, index, &missing);
    return found ? *found : cx_failed();
}

struct value ev_index_optional(struct cel_cx *cx, const struct node *n)
{
    struct value v, index;
    if (!operands(cx, n, &v, &index))
        return v;
    cx->cost--;
    return index_as_optional(cx, n, v, index);
}

/* ---- calls ---- */

static bool case_fits(const struct call_case *call, const struct value *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(call->kinds[i] >> (args[i].kind & 15) & 1) ||
            (call->opaque[i] && call->opaque[i] != args[i].aux))
            return false;
    return true;
}

static struct value no_case(struct cel_cx *cx, const struct node *n, const struct value *args)
{
    fail_at(cx, n, FAIL_OVERLOAD, "C0201");
    cx->fail.name = n->name;
    cx->fail.count = n->count;
    for (uint32_t i = 0; i < n->count; i++)
        cx->fail.types[i] = cel_value_type_name(args[i]);
    return cx_failed();
}

struct value ev_call(struct cel_cx *cx, const struct node *n)
{
    struct value args[CEL_ARGS_MAX] UNINITIALISED;
    for (uint32_t i = 0; i < n->count; i++) {
        args[i] = EVAL(cx, n->args[i]);
        if (FAILED(args[i]))
            return args[i];
    }
    cx->cost--;
    cx->regex = n->extra;
    for (uint32_t i = 0; i < n->case_count; i++)
        if (case_fits(&n->cases[i], args, n->count))
            return placed(cx, n, n->cases[i].fn(cx, args, n->count));
    return no_case(cx, n, args);
}

/* optional.or(other), optional.orValue(other): the other is looked at only when it is needed. */
static inline struct value alternative(struct cel_cx *cx, const struct node *n, bool value)
{
    struct value v = EVAL(cx, n->args[0]);
    if (FAILED(v))
        return v;
    cx->cost--;
    if (v.kind == VALUE_OPTIONAL && v.opaque)
        return value ? *(const struct value *)v.opaque : v;
    struct value other = EVAL(cx, n->args[1]);
    if (FAILED(other))
        return other;
    if (v.kind != VALUE_OPTIONAL || (!value && other.kind != VALUE_OPTIONAL))
        return no_case(cx, n, (struct value[]){v, other});
    return other;
}

struct value ev_or_optional(struct cel_cx *cx, const struct node *n)
{
    return alternative(cx, n, false);
}

struct value ev_or_value(struct cel_cx *cx, const struct node *n)
{
    return alternative(cx, n, true);
}

struct value ev_unknown_call(struct cel_cx *cx, const struct node *n)
{
    return placed(cx, n, cx_fail(cx, "C0209", "unbound function: %.*s()", STR_FMT(n->name)));
}

/* ---- logic ---- */

struct value ev_not(struct cel_cx *cx, const struct node *n)
{
    struct value v = EVAL(cx, n->a);
    cx->cost--;
    if (__builtin_expect(v.kind == VALUE_BOOL, 1))
        return value_bool(!v.b);
    return FAILED(v) ? v : not_bool(cx, n->a, v);
}

/* Goes on behind a failed operand: another may decide. */
static __attribute__((noinline)) struct value
logic_failed(struct cel_cx *cx, const struct node *n, uint32_t at, struct value v, bool decides)
{
    if (!FAILED(v))
        not_bool(cx, n->args[at], v);
    struct cel_fail first = cx->fail;
    for (at++; at < n->count; at++) {
        v = EVAL(cx, n->args[at]);
        if (v.kind == VALUE_BOOL && v.b == decides)
            return v;
    }
    cx->fail = first;
    return cx_failed();
}

static inline struct value logic(struct cel_cx *cx, const struct node *n, bool decides)
{
    for (uint32_t i = 0; i < n->count; i++) {
        struct value v = EVAL(cx, n->args[i]);
        if (__builtin_expect(v.kind != VALUE_BOOL, 0))
            return logic_failed(cx, n, i, v, decides);
        if (v.b == decides)
            return v;
    }
    return value_bool(!decides);
}

struct value ev_and(struct cel_cx *cx, const struct node *n)
{
    return logic(cx, n, false);
}

struct value ev_or(struct cel_cx *cx, const struct node *n)
{
    return logic(cx, n, true);
}

struct value ev_condition(struct cel_cx *cx, const struct node *n)
{
    struct value v = EVAL(cx, n->a);
    if (FAILED(v))
        return v;
    if (v.kind != VALUE_BOOL)
        return not_bool(cx, n->a, v);
    return v.b ? EVAL(cx, n->b) : EVAL(cx, n->c);
}

/* ---- comparing ---- */

struct value ev_equal(struct cel_cx *cx, const struct node *n)
{
    struct value a, b;
    if (!operands(cx, n, &a, &b))
        return a;
    uint64_t work = 1;
    bool equal = cel_equal_work(a, b, &work);
    if (!cx_charge(cx, work))
        return placed(cx, n, cx_fail_cost(cx));
    return value_bool(equal != n->negated);
}

/* One side is a constant string. */
static inline struct value equals_string(struct cel_cx *cx, const struct node *n, struct value v)
{
    cx->cost--;
    if (__builtin_expect(v.kind == VALUE_STRING, 1))
        return value_bool(same_string(v, n->constant) != n->negated);
    return FAILED(v) ? v : value_bool(n->negated);
}

struct value ev_equal_string(struct cel_cx *cx, const struct node *n)
{
    return equals_string(cx, n, EVAL(cx, n->a));
}

/* variable.field == "constant", the commonest of all expressions, without a call below. */
struct value ev_equal_string_slot(struct cel_cx *cx, const struct node *n)
{
    return equals_string(cx, n, select_from(cx, n->a, read_slot(cx, n->a->slot, n->a->a)));
}

struct value ev_equal_string_local(struct cel_cx *cx, const struct node *n)
{
    return equals_string(cx, n, select_from(cx, n->a, cx->locals[n->a->slot]));
}

struct value ev_equal_int(struct cel_cx *cx, const struct node *n)
{
    struct value v = EVAL(cx, n->a);
    cx->cost--;
    if (__builtin_expect(v.kind == VALUE_INT, 1))
        return value_bool((v.i == n->constant.i) != n->negated);
    return FAILED(v) ? v : value_bool(cel_equal(v, n->constant) != n->negated);
}

struct value ev_compare(struct cel_cx *cx, const struct node *n)
{
    struct value a, b;
    if (!operands(cx, n, &a, &b))
        return a;
    cx->cost--;
    if (__builtin_expect(a.kind == VALUE_INT && b.kind == VALUE_INT, 1))
        return value_bool(n->slot >> ((a.i > b.i) - (a.i < b.i) + 1) & 1);
    int order = cel_compare(a, b);
    if (order == 2)
        return bad_operands(cx, n, a, b);
    if (order == 3) // NaN is neither less nor more than anything (IEEE 754)
        return value_bool(false);
    return value_bool(n->slot >> (order + 1) & 1);
}

struct value ev_in(struct cel_cx *cx, const struct node *n)
{
    struct value item, in;
    if (!operands(cx, n, &item, &in))
        return item;
    cx->cost--;
    if (in.kind == VALUE_MAP)
        return value_bool(cel_map_get(in, item) != NULL);
    if (in.kind != VALUE_LIST)
        return bad_operands(cx, n, item, in);
    uint64_t work = 0;
    bool found = cel_in_list(item, in, &work);
    return cx_charge(cx, work) ? value_bool(found) : placed(cx, n, cx_fail_cost(cx));
}

/* In a constant list of strings, which is a map here. */
struct value ev_in_set(struct cel_cx *cx, const struct node *n)
{
    struct value item = EVAL(cx, n->a);
    cx->cost--;
    if (item.kind == VALUE_STRING)
        return value_bool(value_get_key(n->constant, item) != NULL);
    return FAILED(item) ? item : value_bool(false);
}

/* text.matches(constant pattern) */
struct value ev_matches(struct cel_cx *cx, const struct node *n)
{
    struct value text = EVAL(cx, n->a);
    if (FAILED(text))
        return text;
    if (text.kind != VALUE_STRING)
        return no_case(cx, n, (struct value[]){text, n->constant});
    if (!cx_charge(cx, (text.len / 10 + 1) * (n->constant.len / 4 + 1)))
        return placed(cx, n, cx_fail_cost(cx));
    return value_bool(regex_matches(n->extra, text.str, text.len));
}

/* ---- literals ---- */

/* An entry `?e`: its value, or nothing (`*ret_skip`). */
static struct value optional_entry(struct cel_cx *cx, const struct node *n, struct value v,
                                   bool *ret_skip)
{
    if (v.kind != VALUE_OPTIONAL) {
        const struct node *at = n;
        placed(cx, at,
               cx_fail(cx, "C0201", "a `?` entry must be an optional value, not %s",
                       cel_value_type_name(v)));
        return cx_failed();
    }
    *ret_skip = v.opaque == NULL;
    return v.opaque ? *(const struct value *)v.opaque : v;
}

struct value ev_list(struct cel_cx *cx, const struct node *n)
{
    struct value *items = cx_alloc(cx, n->count * sizeof *items);
    if (!items)
        return placed(cx, n, cx_fail_memory(cx));
    cx->cost -= 10;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct value v = EVAL(cx, n->args[i]);
        bool skip = false;
        if (!FAILED(v) && n->ast->args[i]->optional_entry)
            v = optional_entry(cx, n->args[i], v, &skip);
        if (FAILED(v))
            return v;
        if (!skip)
            items[count++] = v;
    }
    return value_list(items, count);
}

static bool is_key(struct value v)
{
    return v.kind == VALUE_BOOL || v.kind == VALUE_INT || v.kind == VALUE_UINT ||
           v.kind == VALUE_STRING;
}

struct value ev_map(struct cel_cx *cx, const struct node *n)
{
    struct value_pair *pairs = cx_alloc(cx, n->count / 2 * sizeof *pairs * 2);
    size_t count = 0, duplicate = SIZE_MAX;
    if (!pairs)
        return placed(cx, n, cx_fail_memory(cx));
    cx->cost -= 30;
    for (uint32_t i = 0; i < n->count; i += 2) {
        struct value key = EVAL(cx, n->args[i]);
        struct value v = FAILED(key) ? key : EVAL(cx, n->args[i + 1]);
        bool skip = false;
        if (!FAILED(v) && n->ast->args[i]->optional_entry)
            v = optional_entry(cx, n->args[i + 1], v, &skip);
        if (FAILED(v))
            return v;
        if (!is_key(key))
            return placed(
                cx, n->args[i],
                cx_fail(cx, "C0204", "unsupported key type: %s", cel_value_type_name(key)));
        if (!skip)
            pairs[count++] = (struct value_pair){key, v};
    }
    struct value map;
    if (value_map(cx->arena, pairs, count, &map, &duplicate))
        return map;
    if (duplicate == SIZE_MAX)
        return placed(cx, n, cx_fail_memory(cx));
    struct buf text = {.arena = cx->arena};
    cel_value_print(&text, pairs[duplicate].key, 80);
    return placed(cx, n, cx_fail(cx, "C0204", "repeated key: %.*s", STR_FMT(buf_str(&text))));
}

struct value ev_bind(struct cel_cx *cx, const struct node *n)
{
    struct value v = EVAL(cx, n->a);
    if (FAILED(v)) {
        struct cel_fail *kept = cx_alloc(cx, sizeof *kept);
        if (!kept)
            return v;
        *kept = cx->fail;
        v.opaque = kept;
    }
    cx->locals[n->slot] = v;
    cx->cost--;
    return EVAL(cx, n->b);
}

/* ---- the whole ---- */

#define LOCALS_ON_STACK 16

static bool finish(const struct cel_program *program, struct cel_cx *cx, struct value v,
                   struct value *ret, struct error *err)
{
    if (!FAILED(v) && cx->cost < 0)
        v = placed(cx, program->root, cx_fail_cost(cx));
    if (!FAILED(v)) {
        *ret = v;
        return true;
    }
    if (err)
        fail_describe(&cx->fail, program, cx->arena, err);
    return false;
}

static inline __attribute__((always_inline)) bool run(const struct cel_program *program,
                                                      struct cel_cx *cx, struct cel_budget *budget,
                                                      struct value *ret, struct error *err)
{
    struct value locals[LOCALS_ON_STACK] UNINITIALISED;
    struct cel_budget unshared;
    if (!budget) {
        unshared = cel_budget_default();
        budget = &unshared;
    }
    cx->locals = locals;
    cx->program = program;
    cx->bytes = budget->bytes_left;
    cx->cost_given =
        budget->cost_left < LIMIT_EXPRESSION_COST ? budget->cost_left : LIMIT_EXPRESSION_COST;
    cx->cost = (int64_t)cx->cost_given;
    if (program->locals_max > LOCALS_ON_STACK) {
        cx->locals = cx_alloc(cx, program->locals_max * sizeof *locals);
        if (!cx->locals)
            return finish(program, cx, placed(cx, program->root, cx_fail_memory(cx)), ret, err);
    }
    struct value v = EVAL(cx, program->root);
    uint64_t used = cx->cost_given - (uint64_t)cx->cost;
    budget->cost_left = used < budget->cost_left ? budget->cost_left - used : 0;
    budget->bytes_left = cx->bytes;
    return finish(program, cx, v, ret, err);
}

bool cel_eval(const struct cel_program *program, const struct value *slots,
              struct cel_budget *budget, struct arena *arena, struct value *ret, struct error *err)
{
    struct cel_cx cx UNINITIALISED;
    cx.slots = slots;
    cx.arena = arena;
    cx.tracer = NULL;
    return run(program, &cx, budget, ret, err);
}

bool eval_traced(const struct cel_program *program, const struct value *slots,
                 struct cel_budget *budget, struct arena *arena, struct tracer *tracer,
                 struct value *ret, struct error *err)
{
    struct cel_cx cx UNINITIALISED;
    cx.slots = slots;
    cx.arena = arena;
    cx.tracer = tracer;
    return run(program, &cx, budget, ret, err);
}
