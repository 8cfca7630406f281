// SPDX-License-Identifier: Apache-2.0
/* What evaluating a program may cost, before it runs: an upper bound under an assumption about the
 * data. Assumed is that no list, map or text of a variable has more than `size` entries or bytes
 * and, where parts of it are compared or written out as a whole, none of them more than `size`
 * parts; and that a number that makes a list (lists.range) is at most `size`. Results of functions
 * and loops are bounded from their operands.
 *
 * For each value is kept how large it can be, how large anything in it can be, and what going
 * through it costs; types make that tighter. Everything saturates at UINT64_MAX. The bounds follow
 * the charges of eval.c, loop.c and the functions; a test of random expressions holds them against
 * what evaluating took. Constant; any thread. */
#include "cel/cel_internal.h"

#include "base/ensure.h"

#define LOCALS_MAX (2 * LIMIT_EXPRESSION_DEPTH + 2)
#define NUMBER_TEXT 40      // bytes of the longest number, time or address as text
#define FORMATTED_TEXT 1500 // the same when format() was told how many digits
#define ENCODED_TEXT 70     // bytes of JSON for one part

struct bound_of {
    uint64_t size;  // entries, or bytes
    uint64_t inner; // the largest size of anything in it
    uint64_t top;   // units for going through it: entries, or a tenth of the bytes
    uint64_t deep;  // units for going through all that is in it
    uint64_t part;  // the same for anything in it
};

struct estimate {
    uint64_t size; // assumed
    struct bound_of locals[LOCALS_MAX];
    struct cost_peak *peak;
};

struct priced {
    uint64_t cost;
    struct bound_of value;
};

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t mul(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct priced price(struct estimate *e, const struct ast *ast);

/* A number, bool, time: no parts. */
static struct bound_of scalar(void)
{
    return (struct bound_of){1, 1, 1, 1, 1};
}

static struct bound_of text(uint64_t size)
{
    return (struct bound_of){size, size, size / 10 + 1, size / 10 + 1, 1};
}

/* A list or map whose parts are at most `inner` large and take `part` units each. */
static struct bound_of list(uint64_t size, uint64_t inner, uint64_t part)
{
    return (struct bound_of){size, inner, size, mul(size, add(part, 1)), part};
}

static bool is_text(const struct cel_type *type)
{
    return type->kind == CT_STRING || type->kind == CT_BYTES;
}

static bool is_scalar(const struct cel_type *type)
{
    return (type->kind >= CT_NULL && type->kind <= CT_DOUBLE) || type->kind == CT_TIMESTAMP ||
           type->kind == CT_DURATION || type->kind == CT_TYPE ||
           (type->kind == CT_OPAQUE && type->aux != OPAQUE_OTHER);
}

/* What is known of any value of the type. */
static struct bound_of narrowed(struct bound_of bound, const struct cel_type *type)
{
    if (!type)
        return bound;
    if (is_scalar(type))
        return scalar();
    return is_text(type) ? text(bound.size) : bound;
}

/* A variable. */
static struct bound_of input(const struct estimate *e, const struct cel_type *type)
{
    uint64_t n = e->size, part = n;
    if (type->kind == CT_LIST && is_text(type->params[0]))
        part = n / 10 + 1;
    else if (type->kind == CT_LIST && is_scalar(type->params[0]))
        part = 1;
    return narrowed(list(n, n, part), type);
}

/* Anything in the value: a field, an item. */
static struct bound_of part_of(struct bound_of whole)
{
    return (struct bound_of){whole.inner, whole.inner, max(whole.inner, 1), max(whole.part, 1),
                             whole.part};
}

static struct bound_of either(struct bound_of a, struct bound_of b)
{
    return (struct bound_of){max(a.size, b.size), max(a.inner, b.inner), max(a.top, b.top),
                             max(a.deep, b.deep), max(a.part, b.part)};
}

static struct bound_of both(struct bound_of a, struct bound_of b)
{
    return (struct bound_of){add(a.size, b.size), max(a.inner, b.inner), add(a.top, b.top),
                             add(a.deep, b.deep), max(a.part, b.part)};
}

/* ---- calls ---- */

enum shape { // of a function's result
    SHAPE_SCALAR,
    SHAPE_SUM,     // as large as the arguments together: the default
    SHAPE_PART,    // something in an argument
    SHAPE_TEXT,    // a text or number as text
    SHAPE_FORMAT,  // the text of all arguments' parts
    SHAPE_JSON,    // the same as JSON
    SHAPE_JOIN,    // items of a list with text between
    SHAPE_REPLACE, // between any two characters of the first
    SHAPE_PIECES,  // the first in pieces
    SHAPE_OPEN,    // a document that is read from a text
    SHAPE_RANGE,   // as many as a number says
};

enum charge {
    CHARGE_TOP, // goes through the arguments: the default
    CHARGE_ONE,
    CHARGE_DEEP,   // goes through all that is in them
    CHARGE_EQUAL,  // through both until they differ
    CHARGE_IN,     // through the second, comparing
    CHARGE_ALL,    // compares all of one with all of the other
    CHARGE_SEARCH, // for each tenth of the first the whole second
    CHARGE_MATCH,  // a regular expression that may have to be compiled, and what each match takes
    CHARGE_SORT,
    CHARGE_POLICY, // 20 for each statement
};

static const struct {
    const char *name;
    enum shape shape;
    enum charge charge;
} functions[] = {
    {"_[_]", SHAPE_PART, CHARGE_ONE},
    {"_[?_]", SHAPE_PART, CHARGE_ONE},
    {"_==_", SHAPE_SCALAR, CHARGE_EQUAL},
    {"_!=_", SHAPE_SCALAR, CHARGE_EQUAL},
    {"_<_", SHAPE_SCALAR, CHARGE_ONE},
    {"_<=_", SHAPE_SCALAR, CHARGE_ONE},
    {"_>_", SHAPE_SCALAR, CHARGE_ONE},
    {"_>=_", SHAPE_SCALAR, CHARGE_ONE},
    {"_-_", SHAPE_SCALAR, CHARGE_ONE},
    {"_*_", SHAPE_SCALAR, CHARGE_ONE},
    {"_/_", SHAPE_SCALAR, CHARGE_ONE},
    {"_%_", SHAPE_SCALAR, CHARGE_ONE},
    {"-_", SHAPE_SCALAR, CHARGE_ONE},
    {"!_", SHAPE_SCALAR, CHARGE_ONE},
    {"@in", SHAPE_SCALAR, CHARGE_IN},
    {"contains", SHAPE_SCALAR, CHARGE_SEARCH},
    {"indexOf", SHAPE_SCALAR, CHARGE_SEARCH},
    {"lastIndexOf", SHAPE_SCALAR, CHARGE_SEARCH},
    {"glob", SHAPE_SCALAR, CHARGE_SEARCH},
    {"matches", SHAPE_SCALAR, CHARGE_MATCH},
    {"regex.replace", SHAPE_REPLACE, CHARGE_MATCH},
    {"regex.extract", SHAPE_SUM, CHARGE_MATCH},
    {"regex.extractAll", SHAPE_PIECES, CHARGE_MATCH},
    {"replace", SHAPE_REPLACE, CHARGE_MATCH},
    {"split", SHAPE_PIECES, CHARGE_MATCH},
    {"join", SHAPE_JOIN, CHARGE_TOP},
    {"format", SHAPE_FORMAT, CHARGE_DEEP},
    {"string", SHAPE_TEXT, CHARGE_TOP},
    {"strings.quote", SHAPE_TEXT, CHARGE_TOP},
    {"base64.encode", SHAPE_TEXT, CHARGE_TOP},
    {"json.encode", SHAPE_JSON, CHARGE_DEEP},
    {"json.decode", SHAPE_OPEN, CHARGE_DEEP},
    {"lists.range", SHAPE_RANGE, CHARGE_TOP},
    {"flatten", SHAPE_OPEN, CHARGE_DEEP},
    {"sort", SHAPE_SUM, CHARGE_SORT},
    {"distinct", SHAPE_SUM, CHARGE_ALL},
    {"without", SHAPE_SUM, CHARGE_ALL},
    {"sets.contains", SHAPE_SCALAR, CHARGE_ALL},
    {"sets.equivalent", SHAPE_SCALAR, CHARGE_ALL},
    {"sets.intersects", SHAPE_SCALAR, CHARGE_ALL},
    {"ports.remainder", SHAPE_PIECES, CHARGE_ALL},
    {"key", SHAPE_PART, CHARGE_TOP},
    {"arn", SHAPE_OPEN, CHARGE_TOP},
    {"iam.policy", SHAPE_OPEN, CHARGE_POLICY},
    {"iam.statements", SHAPE_OPEN, CHARGE_POLICY},
    {"statements", SHAPE_OPEN, CHARGE_POLICY},
    {"iam.allowsPublic", SHAPE_SCALAR, CHARGE_POLICY},
    {"allowsPublic", SHAPE_SCALAR, CHARGE_POLICY},
    {"iam.actions", SHAPE_OPEN, CHARGE_POLICY},
    {"iam.resources", SHAPE_OPEN, CHARGE_POLICY},
    {"iam.principals", SHAPE_OPEN, CHARGE_POLICY},
    {"iam.withStatements", SHAPE_OPEN, CHARGE_POLICY},
    {"withStatements", SHAPE_OPEN, CHARGE_POLICY},
};

static struct bound_of replaced(struct bound_of first, struct bound_of others)
{
    uint64_t each = mul(add(others.size, 1), add(first.size, 1)); // groups of the match in it
    return text(mul(add(first.size, 2), add(each, 1)));
}

static struct bound_of result_of(const struct estimate *e, enum shape shape, struct bound_of first,
                                 struct bound_of others)
{
    struct bound_of all = both(first, others);
    uint64_t parts = add(all.deep, 20);
    switch (shape) {
    case SHAPE_SCALAR:
        return scalar();
    case SHAPE_SUM:
        return all;
    case SHAPE_PART:
        return part_of(all);
    case SHAPE_TEXT:
        return text(add(mul(first.size, 2), NUMBER_TEXT));
    case SHAPE_FORMAT:
        return text(add(first.size, mul(parts, FORMATTED_TEXT)));
    case SHAPE_JSON:
        return text(mul(parts, ENCODED_TEXT));
    case SHAPE_JOIN:
        return text(add(mul(first.deep, 10), mul(add(first.size, 1), others.size)));
    case SHAPE_REPLACE:
        return replaced(first, others);
    case SHAPE_PIECES:
        return list(add(all.size, 1), max(first.size, 2), max(first.top, 3));
    case SHAPE_OPEN:
        return list(mul(parts, 10), mul(parts, 10), mul(parts, 2));
    case SHAPE_RANGE:
        return list(e->size, 1, 1);
    }
    return all;
}

static uint64_t charge_of(enum charge charge, struct bound_of first, struct bound_of others)
{
    struct bound_of all = both(first, others);
    uint64_t search = mul(first.size / 10 + 1, others.size / 4 + 1);
    switch (charge) {
    case CHARGE_TOP:
        return add(all.top, 2);
    case CHARGE_ONE:
        return 1;
    case CHARGE_DEEP:
        return add(mul(all.deep, 2), 4);
    case CHARGE_EQUAL:
        return add(min(first.deep, others.deep), 2);
    case CHARGE_IN:
        return add(min(mul(others.size, add(first.deep, 1)), add(others.deep, others.size)), 2);
    case CHARGE_ALL:
        return add(mul(add(all.size, 1), add(mul(all.deep, 2), 4)), 4);
    case CHARGE_SEARCH:
        return add(search, 2);
    case CHARGE_MATCH:
        return add(add(search, 104), mul(add(first.size, 2), 11 + others.size / 10));
    case CHARGE_SORT:
        return add(mul(first.size, 9), 2);
    case CHARGE_POLICY:
        return add(mul(add(all.deep, all.size), 22), 22);
    }
    return UINT64_MAX;
}

/* The position in the table; its length for a function that is not there. */
static size_t function_entry(struct str name)
{
    size_t i = 0;
    while (i < sizeof functions / sizeof *functions && !str_is(name, functions[i].name))
        i++;
    return i;
}

static struct priced price_call(struct estimate *e, const struct ast *ast)
{
    struct bound_of first = {0}, others = {0};
    uint64_t cost = 1;
    for (uint32_t i = 0; i < ast->count; i++) {
        struct priced arg = price(e, ast->args[i]);
        cost = add(cost, arg.cost);
        if (i == 0)
            first = arg.value;
        else
            others = both(others, arg.value);
    }
    size_t entry = function_entry(ast->name);
    bool known = entry < sizeof functions / sizeof *functions;
    struct bound_of result =
        result_of(e, known ? functions[entry].shape : SHAPE_SUM, first, others);
    cost = add(cost, charge_of(known ? functions[entry].charge : CHARGE_TOP, first, others));
    if (known && functions[entry].shape != SHAPE_PART) // text that is made is charged too
        cost = add(cost, ast->type && is_text(ast->type) ? result.top : 0);
    return (struct priced){cost, result};
}

/* ---- literals and loops ---- */

static struct priced price_literal(struct estimate *e, const struct ast *ast)
{
    struct priced result = {ast->kind == AST_LIST ? 10 : 30, list(ast->count, 0, 0)};
    for (uint32_t i = 0; i < ast->count; i++) {
        struct priced item = price(e, ast->args[i]);
        result.cost = add(result.cost, item.cost);
        result.value.inner = max(result.value.inner, max(item.value.size, item.value.inner));
        result.value.part = max(result.value.part, item.value.deep);
        result.value.deep = add(result.value.deep, add(item.value.deep, 1));
    }
    return result;
}

static struct bound_of loop_result(const struct ast *loop, struct bound_of range,
                                   struct bound_of body)
{
    uint64_t turns = range.size;
    struct bound_of many = list(turns, max(body.size, body.inner), add(body.deep, 1));
    switch ((enum loop_kind)loop->loop) {
    case LOOP_ALL:
    case LOOP_EXISTS:
    case LOOP_EXISTS_ONE:
        return scalar();
    case LOOP_FILTER:
    case LOOP_SORT_BY:
        return range;
    case LOOP_MAP:
        return many;
    case LOOP_TRANSFORM_MAP:
        many.inner = max(many.inner, range.inner);
        many.part = max(many.part, range.part);
        many.deep = add(many.deep, range.deep);
        return many;
    case LOOP_TRANSFORM_MAP_ENTRY:
        return list(mul(turns, body.size), many.inner, many.part);
    case LOOP_OPT_MAP:
    case LOOP_OPT_FLAT_MAP:
        return body;
    }
    return many;
}

static void set_local(struct estimate *e, unsigned local, struct bound_of value)
{
    ENSURE(local < LOCALS_MAX);
    e->locals[local] = value;
}

static struct priced price_loop(struct estimate *e, const struct ast *loop)
{
    struct priced range = price(e, loop->args[0]);
    bool once = loop->loop == LOOP_OPT_MAP || loop->loop == LOOP_OPT_FLAT_MAP;
    struct bound_of item = once ? range.value : part_of(range.value);
    set_local(e, loop->slot, item);
    if (loop->vars[1].len)
        set_local(e, loop->slot + 1, item);
    struct priced filter = loop->args[1] ? price(e, loop->args[1]) : (struct priced){0};
    struct priced body = price(e, loop->args[2]);
    struct bound_of result = loop_result(loop, range.value, body.value);
    uint64_t turn = add(add(filter.cost, body.cost), loop->loop == LOOP_SORT_BY ? 10 : 3);
    uint64_t cost = add(range.cost, add(once ? turn : mul(turn, range.value.size), 2));
    if (loop->loop == LOOP_TRANSFORM_MAP_ENTRY)
        cost = add(cost, result.size);
    if (e->peak && cost > e->peak->cost)
        *e->peak = (struct cost_peak){cost, loop->pos, loop->end};
    return (struct priced){cost, result};
}

static struct priced price_name(struct estimate *e, const struct ast *ast)
{
    if (ast->name_kind == NAME_LOCAL && ast->slot < LOCALS_MAX)
        return (struct priced){1, e->locals[ast->slot]};
    bool slot = ast->name_kind == NAME_SLOT && ast->type;
    return (struct priced){1, slot ? input(e, ast->type) : scalar()};
}

static struct priced price_bind(struct estimate *e, const struct ast *ast)
{
    struct priced value = price(e, ast->args[0]);
    set_local(e, ast->slot, value.value);
    struct priced body = price(e, ast->args[1]);
    return (struct priced){add(add(value.cost, body.cost), 1), body.value};
}

static struct priced price_all(struct estimate *e, const struct ast *ast)
{
    struct priced result = {1, scalar()};
    for (uint32_t i = 0; i < ast->count; i++)
        result.cost = add(result.cost, price(e, ast->args[i]).cost);
    return result;
}

static struct priced price_constant(struct value v)
{
    bool bytes = v.kind == VALUE_STRING || v.kind == VALUE_BYTES;
    return (struct priced){0, bytes ? text(v.len) : scalar()};
}

static struct priced price_kind(struct estimate *e, const struct ast *ast)
{
    struct priced a, b;
    switch ((enum ast_kind)ast->kind) {
    case AST_CONST:
        return price_constant(ast->constant);
    case AST_IDENT:
        return price_name(e, ast);
    case AST_SELECT:
        if (ast->resolved)
            return price_name(e, ast);
        a = price(e, ast->target);
        return (struct priced){add(a.cost, 1), ast->test ? scalar() : part_of(a.value)};
    case AST_CALL:
        return price_call(e, ast);
    case AST_LIST:
    case AST_MAP:
    case AST_STRUCT:
        return price_literal(e, ast);
    case AST_AND:
    case AST_OR:
        return price_all(e, ast);
    case AST_COND:
        a = price(e, ast->args[1]);
        b = price(e, ast->args[2]);
        return (struct priced){add(price(e, ast->args[0]).cost, max(a.cost, b.cost)),
                               either(a.value, b.value)};
    case AST_LOOP:
        return price_loop(e, ast);
    case AST_BIND:
        return price_bind(e, ast);
    }
    return (struct priced){UINT64_MAX, input(e, &T_DYN)};
}

static struct priced price(struct estimate *e, const struct ast *ast)
{
    struct priced result = price_kind(e, ast);
    result.value = narrowed(result.value, ast->type);
    return result;
}

uint64_t cost_estimate(const struct ast *ast, uint64_t size, struct cost_peak *ret_peak)
{
    struct estimate e = {.size = size, .peak = ret_peak};
    return price(&e, ast).cost;
}

uint64_t cel_program_cost(const struct cel_program *program, uint64_t size)
{
    return cost_estimate(program->ast, size, NULL);
}
