// SPDX-License-Identifier: Apache-2.0
/* Tokens to a syntax tree: recursive descent, one function a grammar rule (langdef.md, "Syntax").
 *
 * After a mistake parsing goes on, as a generated LL parser does, so that one run shows several: a
 * surplus token before one that fits is dropped; otherwise tokens are skipped up to one that may
 * follow an expression, and nothing more is reported until a token fits again (`recovering`). */
#include "cel/cel_internal.h"

#define RECOVERIES_MAX 30

static struct ast *parse_or_ternary(struct parser *p);
static struct ast *parse_unary(struct parser *p);

/* ---- tokens ---- */

static void advance(struct parser *p)
{
    p->previous = p->token;
    if (p->have_ahead) {
        p->token = p->ahead;
        p->have_ahead = false;
    } else {
        p->token = lex_next(p->report, &p->at);
    }
}

static struct token peek(struct parser *p)
{
    if (!p->have_ahead) {
        p->ahead = lex_next(p->report, &p->at);
        p->have_ahead = true;
    }
    return p->ahead;
}

static bool accept(struct parser *p, enum token_kind kind)
{
    if (p->token.kind != kind || p->failed)
        return false;
    p->recovering = false;
    advance(p);
    return true;
}

static struct str token_text(struct parser *p, struct token token)
{
    return token.kind == TOK_EOF ? STR("<EOF>")
                                 : str_sub(p->source, token.start, token.end - token.start);
}

static void syntax_error(struct parser *p, const char *expected)
{
    if (p->recovering || p->failed)
        return;
    report_error(p->report, "C0001", p->token.start, p->token.end, NULL,
                 "Syntax error: unexpected '%.*s', expected %s", STR_FMT(token_text(p, p->token)),
                 expected);
    p->recovering = true;
    if (++p->recoveries > RECOVERIES_MAX)
        p->failed = true;
}

static bool starts_expression(enum token_kind kind)
{
    switch (kind) {
    case TOK_IDENT:
    case TOK_INT:
    case TOK_UINT:
    case TOK_FLOAT:
    case TOK_STRING:
    case TOK_BYTES:
    case TOK_TRUE:
    case TOK_FALSE:
    case TOK_NULL:
    case TOK_LBRACKET:
    case TOK_LBRACE:
    case TOK_LPAREN:
    case TOK_DOT:
    case TOK_MINUS:
    case TOK_NOT:
        return true;
    default:
        return false;
    }
}

/* May follow a whole expression in some open context: where skipping stops. */
static bool may_follow(struct parser *p, enum token_kind kind)
{
    switch (kind) {
    case TOK_RBRACKET:
        return p->open_brackets > 0;
    case TOK_RBRACE:
        return p->open_braces > 0;
    case TOK_RPAREN:
        return p->open_parens > 0;
    case TOK_COMMA:
        return p->open_brackets + p->open_braces + p->open_parens > 0;
    case TOK_ESC_IDENT:
        return false;
    default:
        return !starts_expression(kind) || kind == TOK_LBRACKET || kind == TOK_DOT ||
               kind == TOK_MINUS;
    }
}

static void skip_to_follow(struct parser *p)
{
    if (p->recovered_at == p->token.start + 1 && p->token.kind != TOK_EOF)
        advance(p); // stopped here before without getting further
    while (p->token.kind != TOK_EOF && !may_follow(p, p->token.kind))
        advance(p);
    p->recovered_at = p->token.start + 1;
}

/* `kind` must come now. A surplus token before it is dropped. */
static bool expect(struct parser *p, enum token_kind kind, const char *expected)
{
    if (accept(p, kind))
        return true;
    if (p->failed)
        return false;
    syntax_error(p, expected);
    if (p->token.kind != TOK_EOF && peek(p).kind == kind) {
        advance(p);
        return accept(p, kind);
    }
    skip_to_follow(p);
    return accept(p, kind);
}

/* ---- nodes ---- */

struct ast *ast_new(struct parser *p, enum ast_kind kind, uint32_t pos, uint32_t start)
{
    struct ast *ast = ARENA_NEW(p->arena, struct ast);
    if (!ast) {
        p->failed = true;
        return NULL;
    }
    ast->kind = (uint8_t)kind;
    ast->pos = pos;
    ast->start = start;
    ast->end = p->previous.end;
    ast->depth = 1;
    return ast;
}

static void too_deep(struct parser *p, uint32_t pos)
{
    if (p->failed)
        return;
    p->failed = true;
    report_error(p->report, "C0005", pos, pos, "split the expression with `let` or cel.bind()",
                 "expression is nested deeper than %u (LIMIT_EXPRESSION_DEPTH)", p->depth_max);
}

static struct ast *deepen(struct parser *p, struct ast *ast, uint32_t below)
{
    if (!ast)
        return NULL;
    if (below + 1 > ast->depth)
        ast->depth = below + 1;
    if (ast->depth > p->depth_max) {
        too_deep(p, ast->pos);
        return NULL;
    }
    return ast;
}

static struct ast *set_args(struct parser *p, struct ast *ast, struct ast **args, uint32_t count)
{
    if (!ast)
        return NULL;
    ast->args = args;
    ast->count = count;
    uint32_t below = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!args[i])
            return NULL;
        if (args[i]->depth > below)
            below = args[i]->depth;
    }
    return deepen(p, ast, below);
}

struct ast *ast_call(struct parser *p, const char *name, uint32_t pos, uint32_t start, uint32_t end,
                     struct ast **args, uint32_t count)
{
    struct ast *ast = ast_new(p, AST_CALL, pos, start);
    if (!ast)
        return NULL;
    ast->name = str_from(name);
    ast->end = end;
    return set_args(p, ast, args, count);
}

static struct ast *call_of(struct parser *p, const char *name, struct token op, struct ast *a,
                           struct ast *b)
{
    struct ast **args = ARENA_ARRAY(p->arena, struct ast *, 2);
    if (!args || !a || (op.kind != TOK_NOT && op.kind != TOK_MINUS && !b))
        return NULL;
    args[0] = a;
    args[1] = b;
    uint32_t start = b && a->start < op.start ? a->start : op.start;
    return ast_call(p, name, op.start, start, p->previous.end, args, b ? 2 : 1);
}

/* A growing array of arguments. */
struct ast_list {
    struct ast **items;
    uint32_t count, cap;
};

static bool push(struct parser *p, struct ast_list *list, struct ast *ast)
{
    if (list->count == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 4;
        struct ast **items =
            arena_grow(p->arena, list->items, list->cap * sizeof *items, cap * sizeof *items);
        if (!items) {
            p->failed = true;
            return false;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = ast;
    return true;
}

/* ---- names ---- */

static bool is_reserved(struct str name)
{
    static const char *const words[] = {
        "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
        "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(name, words[i]))
            return true;
    return false;
}

/* A field's name, maybe in back quotes. */
static bool parse_field_name(struct parser *p, struct str *ret, bool *ret_escaped)
{
    struct token token = p->token;
    *ret_escaped = token.kind == TOK_ESC_IDENT;
    if (*ret_escaped && accept(p, TOK_ESC_IDENT)) {
        if (p->options->core_only)
            report_error(p->report, "C0001", token.start, token.end, NULL,
                         "unsupported syntax: '`'");
        *ret = str_sub(p->source, token.start + 1, token.end - token.start - 2);
        return true;
    }
    if (!expect(p, TOK_IDENT, "a field name"))
        return false;
    *ret = token_text(p, p->previous);
    return true;
}

static void refuse_optional(struct parser *p, struct token token, uint32_t pos, const char *syntax)
{
    if (p->options->core_only && !p->muted)
        report_error(p->report, "C0001", pos, token.end, NULL, "unsupported syntax '%s'", syntax);
}

static bool accept_optional(struct parser *p, uint32_t pos, const char *syntax)
{
    struct token token = p->token;
    if (!accept(p, TOK_QUESTION))
        return false;
    refuse_optional(p, token, pos, syntax);
    return true;
}

/* ---- primaries ---- */

/* expression, expression, ... up to (not including) `close`. */
static void parse_list(struct parser *p, struct ast_list *list, enum token_kind close,
                       bool optional_entries)
{
    while (!p->failed && p->token.kind != close) {
        bool optional = optional_entries && accept_optional(p, p->token.start, "?");
        struct ast *item = parse_or_ternary(p);
        if (item)
            item->optional_entry = optional;
        if (!push(p, list, item) || !accept(p, TOK_COMMA))
            break;
        if (!optional_entries && p->token.kind == close) { // arguments: no trailing comma
            syntax_error(p, "an expression");
            break;
        }
    }
}

static struct ast *parse_list_literal(struct parser *p)
{
    struct token open = p->token;
    struct ast_list list = {0};
    accept(p, TOK_LBRACKET);
    p->open_brackets++;
    if (p->token.kind == TOK_COMMA && peek(p).kind == TOK_RBRACKET)
        accept(p, TOK_COMMA);
    else
        parse_list(p, &list, TOK_RBRACKET, true);
    bool closed = expect(p, TOK_RBRACKET, "']'");
    p->open_brackets--;
    struct ast *ast = ast_new(p, AST_LIST, open.start, open.start);
    return closed ? set_args(p, ast, list.items, list.count) : NULL;
}

/* The value of an entry; of an optional one that is refused already nothing more is refused. */
static struct ast *parse_entry_value(struct parser *p, bool optional)
{
    bool muted = p->muted;
    p->muted |= optional;
    struct ast *value = parse_or_ternary(p);
    p->muted = muted;
    return value;
}

static struct ast *parse_map_literal(struct parser *p)
{
    struct token open = p->token;
    struct ast_list list = {0};
    accept(p, TOK_LBRACE);
    p->open_braces++;
    if (p->token.kind == TOK_COMMA && peek(p).kind == TOK_RBRACE)
        accept(p, TOK_COMMA);
    while (!p->failed && p->token.kind != TOK_RBRACE) {
        bool optional = accept_optional(p, p->token.start, "?");
        struct ast *key = parse_or_ternary(p);
        bool colon = expect(p, TOK_COLON, "':'");
        struct ast *value = colon ? parse_entry_value(p, optional) : NULL;
        if (key)
            key->optional_entry = optional;
        if (!push(p, &list, key) || !push(p, &list, value) || !accept(p, TOK_COMMA))
            break;
    }
    bool closed = expect(p, TOK_RBRACE, "'}'");
    p->open_braces--;
    struct ast *ast = ast_new(p, AST_MAP, open.start, open.start);
    return closed ? set_args(p, ast, list.items, list.count) : NULL;
}

/* The dotted name of a chain of selects, or an empty view. */
static struct str dotted_name(struct parser *p, const struct ast *ast)
{
    if (ast->kind == AST_IDENT)
        return ast->rooted ? (struct str){arena_printf(p->arena, ".%.*s", STR_FMT(ast->name)),
                                          ast->name.len + 1}
                           : ast->name;
    struct str head = dotted_name(p, ast->target);
    const char *text = arena_printf(p->arena, "%.*s.%.*s", STR_FMT(head), STR_FMT(ast->name));
    return str_from(text);
}

static bool is_name_chain(const struct ast *ast)
{
    for (; ast && ast->kind == AST_SELECT; ast = ast->target)
        if (ast->optional || ast->test)
            return false;
    return ast && ast->kind == AST_IDENT;
}

struct field_list {
    struct str *names;
    uint32_t *pos;
    struct ast_list values;
};

static bool parse_struct_field(struct parser *p, struct field_list *list)
{
    struct str name;
    struct token mark = p->token;
    bool escaped, optional = accept(p, TOK_QUESTION);
    uint32_t index = list->values.count;
    if (p->token.kind != TOK_IDENT && p->token.kind != TOK_ESC_IDENT) {
        syntax_error(p, "a field name or '}'");
        if (peek(p).kind != TOK_IDENT) {
            skip_to_follow(p);
            return false;
        }
        advance(p);
    }
    if (!parse_field_name(p, &name, &escaped))
        return false;
    if (optional)
        refuse_optional(p, mark, mark.start, "?");
    struct token colon = p->token;
    if (!expect(p, TOK_COLON, "':'"))
        return false;
    struct ast *value = parse_entry_value(p, optional);
    if (value)
        value->optional_entry = optional;
    list->names = arena_grow(p->arena, list->names, index * sizeof *list->names,
                             (index + 1) * sizeof *list->names);
    list->pos =
        arena_grow(p->arena, list->pos, index * sizeof *list->pos, (index + 1) * sizeof *list->pos);
    if (!list->names || !list->pos || !push(p, &list->values, value))
        return false;
    list->names[index] = name;
    list->pos[index] = colon.start;
    return true;
}

static struct ast *parse_struct(struct parser *p, struct ast *name)
{
    struct token open = p->token;
    struct field_list list = {0};
    accept(p, TOK_LBRACE);
    p->open_braces++;
    if (p->token.kind == TOK_COMMA && peek(p).kind == TOK_RBRACE)
        accept(p, TOK_COMMA);
    while (!p->failed && p->token.kind != TOK_RBRACE)
        if (!parse_struct_field(p, &list) || !accept(p, TOK_COMMA))
            break;
    bool closed = expect(p, TOK_RBRACE, "'}'");
    p->open_braces--;
    struct ast *ast = ast_new(p, AST_STRUCT, open.start, name->start);
    if (!ast || !closed)
        return NULL;
    ast->name = dotted_name(p, name);
    ast->fields = list.names;
    ast->field_pos = list.pos;
    return set_args(p, ast, list.values.items, list.values.count);
}

/* "(" arguments ")" behind a function's name; the receiver, if any, becomes args[0]. */
static struct ast *parse_call(struct parser *p, struct str name, struct ast *receiver,
                              uint32_t start)
{
    struct token open = p->token;
    struct ast_list list = {0};
    accept(p, TOK_LPAREN);
    p->open_parens++;
    if (receiver)
        push(p, &list, receiver);
    parse_list(p, &list, TOK_RPAREN, false);
    bool closed = expect(p, TOK_RPAREN, "')'");
    p->open_parens--;
    struct ast *ast = ast_new(p, AST_CALL, open.start, start);
    if (!ast || !closed)
        return NULL;
    ast->name = name;
    ast->member = receiver != NULL;
    if (!set_args(p, ast, list.items, list.count))
        return NULL;
    bool failed = false;
    struct ast *expanded = macro_expand(p, ast, &failed);
    return failed ? NULL : deepen(p, expanded, 0);
}

static struct ast *parse_name(struct parser *p)
{
    uint32_t start = p->token.start;
    bool rooted = accept(p, TOK_DOT);
    if (!expect(p, TOK_IDENT, "a name"))
        return NULL;
    struct token token = p->previous;
    struct str name = token_text(p, token);
    bool reserved = is_reserved(name);
    if (reserved)
        report_error(p->report, "C0003", token.start, token.end, NULL, "reserved identifier: %.*s",
                     STR_FMT(name));
    struct ast *ast = ast_new(p, AST_IDENT, token.start, start);
    if (!ast)
        return NULL;
    ast->name = name;
    ast->rooted = rooted;
    if (p->token.kind == TOK_LPAREN) {
        struct ast *call = parse_call(p, rooted ? dotted_name(p, ast) : name, NULL, start);
        return reserved ? NULL : call;
    }
    return reserved ? NULL : ast;
}

static struct ast *parse_literal(struct parser *p)
{
    uint32_t start = p->token.start;
    bool negative = accept(p, TOK_MINUS);
    struct token token = p->token;
    accept(p, token.kind);
    struct ast *ast = ast_new(p, AST_CONST, start, start);
    return ast && lex_literal(p->report, token, negative, &ast->constant) ? ast : NULL;
}

static struct ast *parse_parenthesised(struct parser *p)
{
    struct token open = p->token;
    accept(p, TOK_LPAREN);
    p->open_parens++;
    struct ast *ast = parse_or_ternary(p);
    bool closed = expect(p, TOK_RPAREN, "')'");
    p->open_parens--;
    if (!ast || !closed)
        return NULL;
    ast->start = open.start;
    ast->end = p->previous.end;
    ast->parenthesised = true;
    return ast;
}

/* A minus right before a number belongs to it, so that the least int can be written. */
static bool minus_of_literal(struct parser *p)
{
    enum token_kind next = peek(p).kind;
    return next == TOK_INT || next == TOK_FLOAT;
}

static struct ast *parse_primary(struct parser *p)
{
    switch (p->token.kind) {
    case TOK_DOT:
    case TOK_IDENT:
        return parse_name(p);
    case TOK_LPAREN:
        return parse_parenthesised(p);
    case TOK_LBRACKET:
        return parse_list_literal(p);
    case TOK_LBRACE:
        return parse_map_literal(p);
    case TOK_MINUS:
        if (minus_of_literal(p))
            return parse_literal(p);
        break;
    case TOK_INT:
    case TOK_UINT:
    case TOK_FLOAT:
    case TOK_STRING:
    case TOK_BYTES:
    case TOK_TRUE:
    case TOK_FALSE:
    case TOK_NULL:
        return parse_literal(p);
    default:
        break;
    }
    bool reported = p->recovering;
    syntax_error(p, "an expression");
    if (!reported && p->token.kind != TOK_EOF && p->token.kind != TOK_MINUS &&
        p->token.kind != TOK_QUESTION && starts_expression(peek(p).kind)) {
        advance(p); // surplus
        p->recovering = false;
        return parse_unary(p);
    }
    skip_to_follow(p);
    return NULL;
}

/* ---- operators ---- */

static struct ast *parse_select(struct parser *p, struct ast *target)
{
    struct token dot = p->token;
    accept(p, TOK_DOT);
    bool optional = accept_optional(p, dot.start, ".?"), escaped;
    struct str name;
    uint32_t start = target ? target->start : dot.start;
    if (!parse_field_name(p, &name, &escaped))
        return NULL;
    if (p->token.kind == TOK_LPAREN && !optional && !escaped) {
        struct ast *nothing = target ? target : ast_new(p, AST_CONST, dot.start, dot.start);
        struct ast *call = parse_call(p, name, nothing, start);
        return target ? call : NULL;
    }
    struct ast *ast = ast_new(p, AST_SELECT, dot.start, start);
    if (!ast || !target)
        return NULL;
    ast->target = target;
    ast->name = name;
    ast->optional = optional;
    ast->escaped = escaped;
    return deepen(p, ast, target->depth);
}

static struct ast *parse_index(struct parser *p, struct ast *target)
{
    struct token open = p->token;
    accept(p, TOK_LBRACKET);
    bool optional = accept_optional(p, open.start, "[?");
    p->open_brackets++;
    struct ast *index = parse_or_ternary(p);
    bool closed = expect(p, TOK_RBRACKET, "']'");
    p->open_brackets--;
    return closed ? call_of(p, optional ? "_[?_]" : "_[_]", open, target, index) : NULL;
}

static struct ast *parse_member(struct parser *p)
{
    struct ast *ast = parse_primary(p);
    while (!p->failed) {
        if (p->token.kind == TOK_DOT)
            ast = parse_select(p, ast);
        else if (p->token.kind == TOK_LBRACKET)
            ast = parse_index(p, ast);
        else if (p->token.kind == TOK_LBRACE && ast && !ast->parenthesised && is_name_chain(ast))
            ast = parse_struct(p, ast);
        else
            break;
    }
    return p->failed ? NULL : ast;
}

static struct ast *parse_unary(struct parser *p)
{
    struct token op = p->token;
    unsigned count = 0;
    if (op.kind == TOK_NOT) {
        while (accept(p, TOK_NOT))
            count++;
    } else if (op.kind == TOK_MINUS) { // of several none belongs to a literal
        while (!p->failed && p->token.kind == TOK_MINUS && (count || !minus_of_literal(p))) {
            accept(p, TOK_MINUS);
            count++;
        }
    }
    struct ast *ast = parse_member(p);
    if (count % 2 == 0)
        return ast;
    return call_of(p, op.kind == TOK_NOT ? "!_" : "-_", op, ast, NULL);
}

/* Binary operators by precedence, loosest first. */
static const struct {
    enum token_kind token;
    unsigned level;
    const char *name;
} binary[] = {
    {TOK_LT, 0, "_<_"},    {TOK_LE, 0, "_<=_"},  {TOK_GE, 0, "_>=_"},   {TOK_GT, 0, "_>_"},
    {TOK_EQ, 0, "_==_"},   {TOK_NE, 0, "_!=_"},  {TOK_IN, 0, "@in"},    {TOK_PLUS, 1, "_+_"},
    {TOK_MINUS, 1, "_-_"}, {TOK_STAR, 2, "_*_"}, {TOK_SLASH, 2, "_/_"}, {TOK_PERCENT, 2, "_%_"},
};

static const char *binary_operator(enum token_kind token, unsigned level)
{
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
        if (binary[i].token == token && binary[i].level == level)
            return binary[i].name;
    return NULL;
}

static struct ast *parse_binary(struct parser *p, unsigned level)
{
    if (level > 2)
        return parse_unary(p);
    struct ast *left = parse_binary(p, level + 1);
    const char *name;
    while (!p->failed && (name = binary_operator(p->token.kind, level))) {
        struct token op = p->token;
        accept(p, op.kind);
        struct ast *right = parse_binary(p, level + 1);
        left = left && right ? call_of(p, name, op, left, right) : NULL;
    }
    return p->failed ? NULL : left;
}

/* a && b && c is one node; so is a || b || c. */
static struct ast *parse_chain(struct parser *p, enum token_kind token)
{
    struct ast *first = token == TOK_OR ? parse_chain(p, TOK_AND) : parse_binary(p, 0);
    if (p->token.kind != token)
        return first;
    struct ast_list list = {0};
    uint32_t pos = p->token.start, start = first ? first->start : p->token.start;
    push(p, &list, first);
    while (accept(p, token))
        push(p, &list, token == TOK_OR ? parse_chain(p, TOK_AND) : parse_binary(p, 0));
    struct ast *ast = ast_new(p, token == TOK_OR ? AST_OR : AST_AND, pos, start);
    return set_args(p, ast, list.items, list.count);
}

static struct ast *parse_ternary(struct parser *p)
{
    struct ast *condition = parse_chain(p, TOK_OR);
    struct token op = p->token;
    if (!accept(p, TOK_QUESTION))
        return condition;
    struct ast **args = ARENA_ARRAY(p->arena, struct ast *, 3);
    struct ast *then = parse_chain(p, TOK_OR);
    bool colon = expect(p, TOK_COLON, "':'");
    struct ast *otherwise = colon ? parse_or_ternary(p) : NULL;
    struct ast *ast = ast_new(p, AST_COND, op.start, condition ? condition->start : op.start);
    if (!args || !ast)
        return NULL;
    args[0] = condition;
    args[1] = then;
    args[2] = otherwise;
    return set_args(p, ast, args, 3);
}

/* An expression, within the bound on nesting. */
static struct ast *parse_or_ternary(struct parser *p)
{
    if (p->failed)
        return NULL;
    if (p->nesting >= p->depth_max) {
        too_deep(p, p->token.start);
        return NULL;
    }
    p->nesting++;
    struct ast *ast = parse_ternary(p);
    p->nesting--;
    return p->failed ? NULL : ast;
}

struct ast *parse_expression(struct arena *arena, struct report *report,
                             const struct cel_options *options, struct str source)
{
    struct parser p = {.arena = arena, .report = report, .source = source, .options = options};
    p.depth_max = options->depth_max ? options->depth_max : LIMIT_EXPRESSION_DEPTH;
    advance(&p);
    struct ast *ast = parse_or_ternary(&p);
    if (!p.failed && p.token.kind != TOK_EOF) {
        syntax_error(&p, "the end of the expression");
        while (p.token.kind != TOK_EOF)
            advance(&p);
    }
    if (!ast && report->count == 0)
        report_error(report, "C0303", 0, 0, NULL, "out of memory");
    return report->count ? NULL : ast;
}
