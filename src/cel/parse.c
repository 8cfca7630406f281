// SPDX-License-Identifier: Apache-2.0
/* Tokens to a syntax tree: recursive descent, one function a rule of the grammar (langdef.md,
 * "Syntax"):
 *
 *   expr     or ('?' or ':' expr)?          or    and ('||' and)*        and   relation ('&&' ...)*
 *   relation calc (op relation)*            calc  unary (op calc)*       unary '!'* or '-'* member
 *   member   primary ('.' name | '.' name '(' list ')' | '[' expr ']')*
 *   primary  name | name '(' list ')' | '(' expr ')' | list | map | message | literal
 *
 * After a mistake parsing goes on as a generated LL parser does (Parr, "The Definitive ANTLR 4
 * Reference", 9.3), so that one run shows several mistakes, and the same ones as elsewhere:
 *
 *   - a surplus token before one that fits is dropped, a missing one before one that fits is made
 * up;
 *   - else the rule ends, and tokens are skipped up to one that may follow any rule that is open;
 *   - until a token fits again nothing more is reported (`recovering`).
 *
 * For this each call of a rule leaves a frame with the tokens that may come after it (TOK_END: the
 * calling rule may end there). */
#include "cel/cel_internal.h"

#define RECOVERIES_MAX 30

/* Sets of tokens, as bits. */
#define T(kind) ((uint64_t)1 << (kind))
#define TOK_END ((uint64_t)1 << 63)
#define FIRST_OF_LITERAL                                                                           \
    (T(TOK_INT) | T(TOK_UINT) | T(TOK_FLOAT) | T(TOK_STRING) | T(TOK_BYTES) | T(TOK_TRUE) |        \
     T(TOK_FALSE) | T(TOK_NULL) | T(TOK_MINUS))
#define FIRST_OF_MEMBER                                                                            \
    (FIRST_OF_LITERAL | T(TOK_IDENT) | T(TOK_DOT) | T(TOK_LPAREN) | T(TOK_LBRACKET) | T(TOK_LBRACE))
#define FIRST_OF_EXPR (FIRST_OF_MEMBER | T(TOK_NOT))
#define FIRST_OF_ENTRY (FIRST_OF_EXPR | T(TOK_QUESTION))
#define FIRST_OF_NAME (T(TOK_IDENT) | T(TOK_ESC_IDENT))
#define FIRST_OF_FIELD (FIRST_OF_NAME | T(TOK_QUESTION))
#define AFTER_PRIMARY (T(TOK_DOT) | T(TOK_LBRACKET) | TOK_END)
#define CALC_OPERATORS (T(TOK_STAR) | T(TOK_SLASH) | T(TOK_PERCENT) | T(TOK_PLUS) | T(TOK_MINUS))
#define RELATION_OPERATORS                                                                         \
    (T(TOK_LT) | T(TOK_LE) | T(TOK_GE) | T(TOK_GT) | T(TOK_EQ) | T(TOK_NE) | T(TOK_IN))

/* Where a rule may find a mistake. At a place where one was found already nothing has been skipped
 * since: then at least one token is. */
enum place {
    AT_END,
    AT_COLON_OF_CONDITION,
    AT_UNARY,
    AT_NOT,
    AT_MINUS,
    AT_SUFFIX,
    AT_INDEX,
    AT_INDEX_END,
    AT_PRIMARY,
    AT_NAME,
    AT_CALL,
    AT_CALL_END,
    AT_PAREN_END,
    AT_LIST,
    AT_LIST_COMMA,
    AT_LIST_END,
    AT_MAP,
    AT_MAP_COMMA,
    AT_MAP_END,
    AT_STRUCT,
    AT_STRUCT_COMMA,
    AT_STRUCT_END,
    AT_ENTRY,
    AT_FIELD,
    AT_MAP_COLON,
    AT_FIELD_COLON,
    AT_FIELD_NAME,
    AT_LITERAL,
};

struct frame {
    uint64_t follow;
    const struct frame *up;
};

/* Calls a rule, behind which the tokens of `follow_` may come. */
#define CALL(p, follow_, rule)                                                                     \
    ({                                                                                             \
        struct frame frame_ = {(follow_), (p)->frame};                                             \
        (p)->frame = &frame_;                                                                      \
        __auto_type result_ = (rule);                                                              \
        (p)->frame = frame_.up;                                                                    \
        result_;                                                                                   \
    })

static struct ast *parse_expr(struct parser *p);
static struct ast *parse_member(struct parser *p);

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

static bool is_at(const struct parser *p, uint64_t tokens)
{
    return T(p->token.kind) & tokens;
}

/* The current token fits: errors are reported again. */
static void take(struct parser *p)
{
    p->recovering = false;
    p->error_at = 0;
    p->error_places = 0;
    advance(p);
}

static bool accept(struct parser *p, enum token_kind kind)
{
    if (p->token.kind != kind || p->failed)
        return false;
    take(p);
    return true;
}

static struct str token_text(struct parser *p, struct token token)
{
    return token.kind == TOK_EOF ? STR("<EOF>")
                                 : str_sub(p->source, token.start, token.end - token.start);
}

/* ---- mistakes ---- */

static void syntax_error(struct parser *p, struct token token, const char *expected)
{
    if (p->recovering || p->failed)
        return;
    report_error(p->report, "C0001", token.start, token.end, NULL,
                 "Syntax error: unexpected '%.*s', expected %s", STR_FMT(token_text(p, token)),
                 expected);
    p->recovering = true;
}

/* The tokens that may come behind the frames, as far as rules may end. */
static uint64_t in_context(const struct parser *p, uint64_t tokens)
{
    const struct frame *frame = p->frame;
    for (; tokens & TOK_END && frame; frame = frame->up)
        tokens = (tokens & ~TOK_END) | frame->follow;
    return tokens & TOK_END ? tokens | T(TOK_EOF) : tokens;
}

/* Ends the rule: skips up to a token that may follow one of those that are open. */
static void recover(struct parser *p, enum place place)
{
    uint64_t follow = T(TOK_EOF);
    if (++p->recoveries > RECOVERIES_MAX)
        p->failed = true;
    if (p->error_at == p->token.start + 1 && p->error_places & T(place) && p->token.kind != TOK_EOF)
        advance(p);
    p->error_at = p->token.start + 1;
    p->error_places |= T(place);
    for (const struct frame *frame = p->frame; frame; frame = frame->up)
        follow |= frame->follow;
    while (!is_at(p, follow) && p->token.kind != TOK_EOF)
        advance(p);
}

/* A mistake at `token`, which may lie ahead. The rule must end. */
static void give_up(struct parser *p, struct token token, enum place place, const char *expected)
{
    syntax_error(p, token, expected);
    recover(p, place);
}

/* One of `tokens` must come. A surplus token before it is dropped. False: the rule must end. */
static bool expect_any(struct parser *p, uint64_t tokens, enum place place, const char *expected)
{
    if (p->recovering || is_at(p, tokens))
        return !p->failed;
    if (p->token.kind != TOK_EOF && T(peek(p).kind) & tokens && !p->failed) {
        syntax_error(p, p->token, expected);
        take(p);
        return true;
    }
    give_up(p, p->token, place, expected);
    return false;
}

/* `kind` must come, and is taken. A surplus token before it is dropped; where one of `after` is
 * next it is made up. False: the rule must end. */
static bool expect(struct parser *p, enum token_kind kind, uint64_t after, enum place place,
                   const char *expected)
{
    if (accept(p, kind))
        return true;
    if (p->failed)
        return false;
    if (p->token.kind != TOK_EOF && peek(p).kind == kind) {
        syntax_error(p, p->token, expected);
        advance(p);
        take(p);
        return true;
    }
    if (is_at(p, in_context(p, after))) {
        syntax_error(p, p->token, expected);
        return true;
    }
    give_up(p, p->token, place, expected);
    return false;
}

/* Behind a prefix operator: one of `tokens` must come; others are skipped. */
static void expect_operand(struct parser *p, uint64_t tokens)
{
    if (p->recovering || is_at(p, tokens))
        return;
    syntax_error(p, p->token, "an expression");
    for (const struct frame *frame = p->frame; frame; frame = frame->up)
        tokens |= frame->follow;
    while (!is_at(p, tokens) && p->token.kind != TOK_EOF)
        advance(p);
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

/* Stands for what could not be read, so that what is around it can be looked at. */
static struct ast *missing(struct parser *p)
{
    struct ast *ast = ast_new(p, AST_CONST, p->token.start, p->token.start);
    if (ast)
        ast->constant = value_cstr("");
    return p->failed ? NULL : ast;
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
    if (!expect_any(p, FIRST_OF_NAME, AT_FIELD_NAME, "a field name"))
        return false;
    struct token token = p->token;
    *ret_escaped = token.kind == TOK_ESC_IDENT;
    if (!is_at(p, FIRST_OF_NAME)) {
        give_up(p, token, AT_FIELD_NAME, "a field name");
        return false;
    }
    take(p);
    *ret = token_text(p, token);
    if (!*ret_escaped)
        return true;
    if (p->options->core_only)
        report_error(p->report, "C0001", token.start, token.end, NULL, "unsupported syntax: '`'");
    *ret = str_sub(p->source, token.start + 1, token.end - token.start - 2);
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

/* expression, expression, ... */
static bool parse_arguments(struct parser *p, struct ast_list *list)
{
    do {
        struct ast *item = CALL(p, T(TOK_COMMA) | TOK_END, parse_expr(p));
        if (!push(p, list, item))
            return false;
    } while (accept(p, TOK_COMMA));
    return true;
}

/* ?expression */
static struct ast *parse_entry(struct parser *p, bool *ret_optional)
{
    *ret_optional = false;
    if (!expect_any(p, FIRST_OF_ENTRY, AT_ENTRY, "an expression"))
        return NULL;
    *ret_optional = accept_optional(p, p->token.start, "?");
    return CALL(p, TOK_END, parse_expr(p));
}

/* A comma behind which another entry comes (and not the end of the list). */
static bool accept_comma(struct parser *p, uint64_t first)
{
    return p->token.kind == TOK_COMMA && T(peek(p).kind) & first && accept(p, TOK_COMMA);
}

static bool parse_items(struct parser *p, struct ast_list *list)
{
    do {
        bool optional = false;
        struct ast *item = CALL(p, T(TOK_COMMA) | TOK_END, parse_entry(p, &optional));
        if (item)
            item->optional_entry = optional;
        if (!push(p, list, item))
            return false;
    } while (accept_comma(p, FIRST_OF_ENTRY));
    return true;
}

static struct ast *parse_list_literal(struct parser *p)
{
    struct token open = p->token;
    struct ast_list list = {0};
    uint64_t end = T(TOK_COMMA) | T(TOK_RBRACKET);
    take(p);
    bool on = expect_any(p, FIRST_OF_ENTRY | end, AT_LIST, "an expression");
    if (on && is_at(p, FIRST_OF_ENTRY))
        CALL(p, end, parse_items(p, &list));
    if (on && expect_any(p, end, AT_LIST_COMMA, "']'")) {
        accept(p, TOK_COMMA);
        (void)expect(p, TOK_RBRACKET, TOK_END, AT_LIST_END, "']'");
    }
    return set_args(p, ast_new(p, AST_LIST, open.start, open.start), list.items, list.count);
}

/* The value of an entry; of an optional one that is refused already nothing more is refused. */
static struct ast *parse_entry_value(struct parser *p, bool optional)
{
    bool muted = p->muted;
    p->muted |= optional;
    struct ast *value = CALL(p, T(TOK_COMMA) | TOK_END, parse_expr(p));
    p->muted = muted;
    return value;
}

/* key: value, ... False: the rule ended before its time. */
static bool parse_map_entries(struct parser *p, struct ast_list *list)
{
    do {
        bool optional = false;
        struct ast *key = CALL(p, T(TOK_COLON), parse_entry(p, &optional));
        if (!expect(p, TOK_COLON, FIRST_OF_EXPR, AT_MAP_COLON, "':'"))
            return false;
        struct ast *value = parse_entry_value(p, optional);
        if (key)
            key->optional_entry = optional;
        if (!push(p, list, key) || !push(p, list, value))
            return false;
    } while (accept_comma(p, FIRST_OF_ENTRY));
    return true;
}

static struct ast *parse_map_literal(struct parser *p)
{
    struct token open = p->token;
    struct ast_list list = {0};
    uint64_t end = T(TOK_COMMA) | T(TOK_RBRACE);
    take(p);
    bool on = expect_any(p, FIRST_OF_ENTRY | end, AT_MAP, "an expression");
    if (on && is_at(p, FIRST_OF_ENTRY))
        CALL(p, end, parse_map_entries(p, &list));
    if (on && expect_any(p, end, AT_MAP_COMMA, "'}'")) {
        accept(p, TOK_COMMA);
        (void)expect(p, TOK_RBRACE, TOK_END, AT_MAP_END, "'}'");
    }
    return set_args(p, ast_new(p, AST_MAP, open.start, open.start), list.items, list.count);
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

/* ?name */
static bool parse_field(struct parser *p, struct str *ret)
{
    struct token mark = p->token;
    bool escaped;
    if (!expect_any(p, FIRST_OF_FIELD, AT_FIELD, "a field name or '}'"))
        return false;
    bool optional = accept(p, TOK_QUESTION);
    bool named = CALL(p, TOK_END, parse_field_name(p, ret, &escaped));
    if (optional && named)
        refuse_optional(p, mark, mark.start, "?");
    return named;
}

/* name: value, ... False: the rule ended before its time. */
static bool parse_fields(struct parser *p, struct field_list *list)
{
    do {
        struct str name = {0};
        uint32_t index = list->values.count;
        bool optional = p->token.kind == TOK_QUESTION;
        bool named = CALL(p, T(TOK_COLON), parse_field(p, &name));
        struct token colon = p->token;
        if (!expect(p, TOK_COLON, FIRST_OF_EXPR, AT_FIELD_COLON, "':'"))
            return false;
        struct ast *value = parse_entry_value(p, optional);
        if (value)
            value->optional_entry = optional;
        list->names = arena_grow(p->arena, list->names, index * sizeof *list->names,
                                 (index + 1) * sizeof *list->names);
        list->pos = arena_grow(p->arena, list->pos, index * sizeof *list->pos,
                               (index + 1) * sizeof *list->pos);
        if (!list->names || !list->pos || !push(p, &list->values, named ? value : NULL))
            return false;
        list->names[index] = name;
        list->pos[index] = colon.start;
    } while (accept_comma(p, FIRST_OF_FIELD));
    return true;
}

static struct ast *parse_struct(struct parser *p, struct ast *name)
{
    struct token open = p->token;
    struct field_list list = {0};
    uint64_t end = T(TOK_COMMA) | T(TOK_RBRACE);
    take(p);
    bool on = expect_any(p, FIRST_OF_FIELD | end, AT_STRUCT, "a field name or '}'");
    if (on && is_at(p, FIRST_OF_FIELD))
        CALL(p, end, parse_fields(p, &list));
    if (on && expect_any(p, end, AT_STRUCT_COMMA, "'}'")) {
        accept(p, TOK_COMMA);
        (void)expect(p, TOK_RBRACE, TOK_END, AT_STRUCT_END, "'}'");
    }
    struct ast *ast = ast_new(p, AST_STRUCT, open.start, name->start);
    if (!ast)
        return NULL;
    ast->name = dotted_name(p, name);
    ast->fields = list.names;
    ast->field_pos = list.pos;
    return set_args(p, ast, list.values.items, list.values.count);
}

/* "(" arguments ")" behind a function's name; the receiver, if any, becomes args[0]. `*ret_ended`:
 * the rule must end. What was read of the call is looked at all the same. */
static struct ast *parse_call(struct parser *p, struct str name, struct ast *receiver,
                              uint32_t start, bool *ret_ended)
{
    struct token open = p->token;
    struct ast_list list = {0};
    take(p);
    if (receiver)
        push(p, &list, receiver);
    *ret_ended = !expect_any(p, FIRST_OF_EXPR | T(TOK_RPAREN), AT_CALL, "an expression");
    if (*ret_ended)
        return NULL;
    if (is_at(p, FIRST_OF_EXPR))
        CALL(p, T(TOK_RPAREN), parse_arguments(p, &list));
    *ret_ended = !expect(p, TOK_RPAREN, receiver ? AFTER_PRIMARY : TOK_END, AT_CALL_END, "')'");
    struct ast *ast = ast_new(p, AST_CALL, open.start, start);
    if (!ast)
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
    if (p->token.kind == TOK_DOT && peek(p).kind != TOK_IDENT) {
        give_up(p, peek(p), AT_PRIMARY, "a name");
        return NULL;
    }
    bool rooted = accept(p, TOK_DOT), ended;
    struct token token = p->token;
    struct str name = token_text(p, token);
    take(p);
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
        struct ast *call = parse_call(p, rooted ? dotted_name(p, ast) : name, NULL, start, &ended);
        return reserved ? NULL : call;
    }
    return reserved ? NULL : ast;
}

/* A minus right before a number belongs to it, so that the least int can be written. */
static bool minus_of_literal(struct parser *p)
{
    enum token_kind next = peek(p).kind;
    return next == TOK_INT || next == TOK_FLOAT;
}

static struct ast *parse_literal(struct parser *p)
{
    uint32_t start = p->token.start;
    if (p->token.kind == TOK_MINUS && !minus_of_literal(p)) {
        give_up(p, peek(p), AT_LITERAL, "a number");
        return NULL;
    }
    bool negative = accept(p, TOK_MINUS);
    struct token token = p->token;
    accept(p, token.kind);
    struct ast *ast = ast_new(p, AST_CONST, start, start);
    return ast && lex_literal(p->report, token, negative, &ast->constant) ? ast : NULL;
}

static struct ast *parse_parenthesised(struct parser *p)
{
    struct token open = p->token;
    take(p);
    struct ast *ast = CALL(p, T(TOK_RPAREN), parse_expr(p));
    if (!expect(p, TOK_RPAREN, TOK_END, AT_PAREN_END, "')'") || !ast)
        return NULL;
    ast->start = open.start;
    ast->end = p->previous.end;
    ast->parenthesised = true;
    return ast;
}

static struct ast *parse_primary(struct parser *p)
{
    if (!expect_any(p, FIRST_OF_MEMBER, AT_PRIMARY, "an expression"))
        return NULL;
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
    default:
        if (is_at(p, FIRST_OF_LITERAL))
            return CALL(p, TOK_END, parse_literal(p));
        give_up(p, p->token, AT_PRIMARY, "an expression");
        return NULL;
    }
}

/* ---- operators ---- */

/* .name, .?name, .name(...). False: the rule must end. */
static bool parse_select(struct parser *p, struct ast **target)
{
    struct token dot = p->token;
    struct str name = {0};
    bool escaped = false, ended = false;
    if (!(T(peek(p).kind) & FIRST_OF_FIELD)) {
        give_up(p, peek(p), AT_SUFFIX, "a field name");
        return false;
    }
    struct ast *of = *target;
    *target = NULL;
    take(p);
    bool optional = accept_optional(p, dot.start, ".?");
    uint32_t start = of ? of->start : dot.start;
    if (!CALL(p, AFTER_PRIMARY, parse_field_name(p, &name, &escaped)))
        return true;
    if (p->token.kind == TOK_LPAREN && !optional && !escaped) {
        struct ast *receiver = of ? of : ast_new(p, AST_CONST, dot.start, dot.start);
        struct ast *call = parse_call(p, name, receiver, start, &ended);
        *target = of ? call : NULL;
        return !ended;
    }
    struct ast *ast = ast_new(p, AST_SELECT, dot.start, start);
    if (!ast || !of)
        return true;
    ast->target = of;
    ast->name = name;
    ast->optional = optional;
    ast->escaped = escaped;
    *target = deepen(p, ast, of->depth);
    return true;
}

/* [expression], [?expression]. False: the rule must end. */
static bool parse_index(struct parser *p, struct ast **target)
{
    struct token open = p->token;
    take(p);
    struct ast *of = *target;
    *target = NULL;
    if (!expect_any(p, FIRST_OF_ENTRY, AT_INDEX, "an expression"))
        return false;
    bool optional = accept_optional(p, open.start, "[?");
    struct ast *index = CALL(p, T(TOK_RBRACKET), parse_expr(p));
    bool closed = expect(p, TOK_RBRACKET, AFTER_PRIMARY, AT_INDEX_END, "']'");
    *target = call_of(p, optional ? "_[?_]" : "_[_]", open, of, index);
    return closed;
}

static struct ast *parse_member(struct parser *p)
{
    struct ast *ast = CALL(p, AFTER_PRIMARY, parse_primary(p));
    bool on = true;
    while (on && !p->failed) {
        if (p->token.kind == TOK_DOT)
            on = parse_select(p, &ast);
        else if (p->token.kind == TOK_LBRACKET)
            on = parse_index(p, &ast);
        else if (p->token.kind == TOK_LBRACE && ast && !ast->parenthesised && is_name_chain(ast))
            ast = CALL(p, AFTER_PRIMARY, parse_struct(p, ast));
        else
            break;
    }
    return p->failed ? NULL : ast;
}

/* Behind "-": does another one follow that is an operator too? Of several none belongs to a
 * literal. */
static bool another_minus(struct parser *p, bool *ret_ended)
{
    *ret_ended = false;
    if (p->token.kind != TOK_MINUS)
        return false;
    *ret_ended = !(T(peek(p).kind) & FIRST_OF_MEMBER);
    if (*ret_ended)
        give_up(p, peek(p), AT_MINUS, "an expression");
    return !*ret_ended;
}

static struct ast *parse_unary(struct parser *p)
{
    if (!expect_any(p, FIRST_OF_EXPR, AT_UNARY, "an expression"))
        return missing(p);
    struct token op = p->token;
    unsigned count = 0;
    bool ended = false;
    if (!is_at(p, FIRST_OF_EXPR)) {
        give_up(p, op, AT_UNARY, "an expression");
        return missing(p);
    }
    while (op.kind == TOK_NOT && accept(p, TOK_NOT)) {
        count++;
        expect_operand(p, FIRST_OF_EXPR);
    }
    if (op.kind == TOK_MINUS && !minus_of_literal(p)) {
        if (!(T(peek(p).kind) & FIRST_OF_MEMBER)) {
            give_up(p, peek(p), AT_UNARY, "an expression");
            return missing(p);
        }
        do {
            accept(p, TOK_MINUS);
            count++;
            expect_operand(p, FIRST_OF_MEMBER);
        } while (another_minus(p, &ended) && !p->failed);
        if (ended)
            return missing(p);
    }
    struct ast *ast = CALL(p, TOK_END, parse_member(p));
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

/* calc and relation: operators of one precedence, and tighter ones in their operands. */
static struct ast *parse_binary(struct parser *p, unsigned level)
{
    uint64_t follow = (level ? CALC_OPERATORS : RELATION_OPERATORS) | TOK_END;
    if (level > 2)
        return parse_unary(p);
    struct ast *left = CALL(p, follow, parse_binary(p, level + 1));
    const char *name;
    while (!p->failed && (name = binary_operator(p->token.kind, level))) {
        struct token op = p->token;
        take(p);
        struct ast *right = CALL(p, follow, parse_binary(p, level + 1));
        left = left && right ? call_of(p, name, op, left, right) : NULL;
    }
    return p->failed ? NULL : left;
}

/* a && b && c is one node; so is a || b || c. */
static struct ast *parse_chain(struct parser *p, enum token_kind token)
{
    uint64_t follow = T(token) | TOK_END;
#define OPERAND (token == TOK_OR ? parse_chain(p, TOK_AND) : parse_binary(p, 0))
    struct ast *first = CALL(p, follow, OPERAND);
    if (p->token.kind != token)
        return first;
    struct ast_list list = {0};
    uint32_t pos = p->token.start, start = first ? first->start : p->token.start;
    push(p, &list, first);
    while (accept(p, token))
        push(p, &list, CALL(p, follow, OPERAND));
#undef OPERAND
    struct ast *ast = ast_new(p, token == TOK_OR ? AST_OR : AST_AND, pos, start);
    return set_args(p, ast, list.items, list.count);
}

static struct ast *parse_ternary(struct parser *p)
{
    struct ast *condition = CALL(p, T(TOK_QUESTION) | TOK_END, parse_chain(p, TOK_OR));
    struct token op = p->token;
    if (!accept(p, TOK_QUESTION))
        return condition;
    struct ast **args = ARENA_ARRAY(p->arena, struct ast *, 3);
    struct ast *then = CALL(p, T(TOK_COLON), parse_chain(p, TOK_OR));
    bool colon = expect(p, TOK_COLON, FIRST_OF_EXPR, AT_COLON_OF_CONDITION, "':'");
    struct ast *otherwise = colon ? CALL(p, TOK_END, parse_expr(p)) : missing(p);
    struct ast *ast = ast_new(p, AST_COND, op.start, condition ? condition->start : op.start);
    if (!args || !ast)
        return NULL;
    args[0] = condition;
    args[1] = then;
    args[2] = otherwise;
    return set_args(p, ast, args, 3);
}

/* An expression, within the bound on nesting. */
static struct ast *parse_expr(struct parser *p)
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
    struct ast *ast = CALL(&p, T(TOK_EOF), parse_expr(&p));
    if (!p.failed)
        (void)expect(&p, TOK_EOF, 0, AT_END, "the end of the expression");
    if (!ast && report->count == 0)
        report_error(report, "C0303", 0, 0, NULL, "out of memory");
    return report->count ? NULL : ast;
}
