// SPDX-License-Identifier: Apache-2.0
/* JMESPath: from text to tokens to a tree, by precedence climbing.
 *
 *   a.b[0] || c   ──►   OR(SUB(SUB(a, b), [0]), c)
 *
 * A projection takes what follows it, up to a weaker operator, as its right side. */
#include "aws/jmespath_internal.h"

#include "value/json.h"

enum token_kind {
    T_END,
    T_NAME,
    T_QUOTED,
    T_LITERAL,
    T_RBRACKET,
    T_RPAREN,
    T_COMMA,
    T_RBRACE,
    T_NUMBER,
    T_CURRENT,
    T_REFERENCE,
    T_COLON,
    T_PIPE,
    T_OR,
    T_AND,
    T_COMPARE,
    T_FLATTEN,
    T_STAR,
    T_FILTER,
    T_DOT,
    T_NOT,
    T_LBRACE,
    T_LBRACKET,
    T_LPAREN,
};

/* How strongly each token binds to its left, by token_kind. */
static const unsigned char binding[] = {
    [T_PIPE] = 1,    [T_OR] = 2,      [T_AND] = 3,       [T_COMPARE] = 5,
    [T_FLATTEN] = 9, [T_STAR] = 20,   [T_FILTER] = 21,   [T_DOT] = 40,
    [T_NOT] = 45,    [T_LBRACE] = 50, [T_LBRACKET] = 55, [T_LPAREN] = 60,
};
#define PROJECTION_STOP 10

struct token {
    enum token_kind kind;
    enum comparator comparator;
    size_t at;
    struct str text;
    struct value value;
    int64_t number;
};

struct parser {
    struct str source;
    struct arena *arena;
    struct error *err;
    struct token *tokens;
    size_t count, cap, next;
    unsigned depth;
};

typedef const struct aws_jmespath node;

static const node current_node = {.kind = NODE_CURRENT};

static void *complain(struct parser *p, size_t at, const char *what)
{
    error_set(p->err, "A0330", "JMESPath: %s", what);
    error_place(p->err, "", p->source, at, 1);
    return NULL;
}

/* ---- tokens ---- */

static bool is_letter(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Position behind the closing `quote`, or SIZE_MAX. `at` is behind the opening one. */
static size_t find_end(struct str s, size_t at, char quote)
{
    for (; at < s.len; at++) {
        if (s.ptr[at] == '\\')
            at++;
        else if (s.ptr[at] == quote)
            return at + 1;
    }
    return SIZE_MAX;
}

/* Takes the backslash from before `quote`; 'raw strings' also from before a backslash. */
static struct str unescape(struct parser *p, struct str s, char quote, bool backslash)
{
    struct buf out = {.arena = p->arena};
    buf_reserve(&out, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        char next = i + 1 < s.len ? s.ptr[i + 1] : '\0';
        if (s.ptr[i] == '\\' && (next == quote || (backslash && next == '\\')))
            i++;
        buf_add_byte(&out, s.ptr[i]);
    }
    return buf_str(&out);
}

static bool read_json(struct parser *p, struct str text, struct value *ret)
{
    struct error ignored;
    return json_parse(p->arena, text, ret, &ignored);
}

static bool lex_literal(struct parser *p, size_t at, struct str inside, struct token *token)
{
    struct str text = str_trim(unescape(p, inside, '`', false));
    token->kind = T_LITERAL;
    if (read_json(p, text, &token->value))
        return true;
    /* The old form: a string without its quotes. */
    const char *quoted = arena_printf(p->arena, "\"%.*s\"", STR_FMT(text));
    bool bare = text.len && !strchr("\"[{", text.ptr[0]);
    if (bare && quoted && read_json(p, str_from(quoted), &token->value))
        return true;
    complain(p, at, "the literal between ` is not JSON");
    return false;
}

static bool lex_quoted(struct parser *p, size_t at, size_t *ret_end, struct token *token)
{
    char quote = p->source.ptr[at];
    size_t end = find_end(p->source, at + 1, quote);
    if (end == SIZE_MAX) {
        complain(p, at, "the quote is not closed");
        return false;
    }
    *ret_end = end;
    struct str inside = str_sub(p->source, at + 1, end - at - 2);
    if (quote == '`')
        return lex_literal(p, at, inside, token);
    if (quote == '\'') {
        token->kind = T_LITERAL;
        token->value = value_string(unescape(p, inside, '\'', true));
        return true;
    }
    struct value v;
    token->kind = T_QUOTED;
    if (!read_json(p, str_sub(p->source, at, end - at), &v)) {
        complain(p, at, "the quoted name is not a JSON string");
        return false;
    }
    token->text = value_str(v);
    return true;
}

static bool lex_number(struct parser *p, size_t at, size_t *ret_end, struct token *token)
{
    size_t end = at + 1;
    while (end < p->source.len && is_digit(p->source.ptr[end]))
        end++;
    token->kind = T_NUMBER;
    *ret_end = end;
    if (str_to_int64(str_sub(p->source, at, end - at), &token->number))
        return true;
    complain(p, at, "the number is malformed or too large");
    return false;
}

static const struct {
    char text[3];
    enum token_kind kind;
    enum comparator comparator;
} operators[] = {
    {"[]", T_FLATTEN, 0},
    {"[?", T_FILTER, 0},
    {"||", T_OR, 0},
    {"&&", T_AND, 0},
    {"==", T_COMPARE, COMPARE_EQ},
    {"!=", T_COMPARE, COMPARE_NE},
    {"<=", T_COMPARE, COMPARE_LE},
    {">=", T_COMPARE, COMPARE_GE},
    {"<", T_COMPARE, COMPARE_LT},
    {">", T_COMPARE, COMPARE_GT},
    {".", T_DOT, 0},
    {"*", T_STAR, 0},
    {"]", T_RBRACKET, 0},
    {",", T_COMMA, 0},
    {":", T_COLON, 0},
    {"@", T_CURRENT, 0},
    {"(", T_LPAREN, 0},
    {")", T_RPAREN, 0},
    {"{", T_LBRACE, 0},
    {"}", T_RBRACE, 0},
    {"[", T_LBRACKET, 0},
    {"|", T_PIPE, 0},
    {"&", T_REFERENCE, 0},
    {"!", T_NOT, 0},
};

static bool lex_operator(struct parser *p, size_t at, size_t *ret_end, struct token *token)
{
    struct str rest = str_sub(p->source, at, SIZE_MAX);
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        struct str text = str_from(operators[i].text);
        if (!str_starts(rest, text))
            continue;
        token->kind = operators[i].kind;
        token->comparator = operators[i].comparator;
        *ret_end = at + text.len;
        return true;
    }
    complain(p, at, "this character means nothing here");
    return false;
}

static bool lex_one(struct parser *p, size_t at, size_t *ret_end, struct token *token)
{
    char c = p->source.ptr[at];
    if (c == '"' || c == '\'' || c == '`')
        return lex_quoted(p, at, ret_end, token);
    if (c == '-' || is_digit(c))
        return lex_number(p, at, ret_end, token);
    if (!is_letter(c))
        return lex_operator(p, at, ret_end, token);
    size_t end = at;
    while (end < p->source.len && (is_letter(p->source.ptr[end]) || is_digit(p->source.ptr[end])))
        end++;
    token->kind = T_NAME;
    token->text = str_sub(p->source, at, end - at);
    *ret_end = end;
    return true;
}

static bool push_token(struct parser *p, struct token token)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct token *grown =
            arena_grow(p->arena, p->tokens, p->cap * sizeof(token), cap * sizeof(token));
        if (!grown)
            return complain(p, token.at, "out of memory") != NULL;
        p->tokens = grown;
        p->cap = cap;
    }
    p->tokens[p->count++] = token;
    return true;
}

static bool lex(struct parser *p)
{
    size_t at = 0;
    while (at < p->source.len) {
        char c = p->source.ptr[at];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            at++;
            continue;
        }
        struct token token = {.at = at};
        if (!lex_one(p, at, &at, &token) || !push_token(p, token))
            return false;
    }
    /* Two ends, so that looking one token ahead needs no test. */
    for (int i = 0; i < 2; i++) {
        if (!push_token(p, (struct token){.kind = T_END, .at = at}))
            return false;
    }
    return true;
}

/* ---- the tree ---- */

static node *expression(struct parser *p, unsigned strength);

static const struct token *peek(const struct parser *p)
{
    return &p->tokens[p->next];
}

static enum token_kind kind_ahead(const struct parser *p, size_t ahead)
{
    size_t at = p->next + ahead;
    return at < p->count ? p->tokens[at].kind : T_END;
}

static const struct token *take(struct parser *p)
{
    const struct token *token = &p->tokens[p->next];
    if (token->kind != T_END)
        p->next++;
    return token;
}

static bool expect(struct parser *p, enum token_kind kind, const char *what)
{
    if (kind_ahead(p, 0) != kind)
        return complain(p, peek(p)->at, what) != NULL;
    take(p);
    return true;
}

static struct aws_jmespath *make(struct parser *p, enum node_kind kind, node *left, node *right)
{
    struct aws_jmespath *made = ARENA_NEW(p->arena, struct aws_jmespath);
    if (!made)
        return complain(p, 0, "out of memory");
    *made = (struct aws_jmespath){.kind = kind, .left = left, .right = right};
    return made;
}

static node *field(struct parser *p, struct str name)
{
    struct aws_jmespath *made = make(p, NODE_FIELD, NULL, NULL);
    if (made)
        made->text = name;
    return made;
}

struct children {
    const struct aws_jmespath **nodes;
    struct str *names;
    size_t count, cap;
};

static bool add_child(struct parser *p, struct children *list, struct str name, node *child)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        const struct aws_jmespath **nodes = ARENA_ARRAY(p->arena, const struct aws_jmespath *, cap);
        struct str *names = ARENA_ARRAY(p->arena, struct str, cap);
        if (!nodes || !names)
            return complain(p, 0, "out of memory") != NULL;
        if (list->count) {
            memcpy(nodes, list->nodes, list->count * sizeof(*nodes));
            memcpy(names, list->names, list->count * sizeof(*names));
        }
        list->nodes = nodes;
        list->names = names;
        list->cap = cap;
    }
    list->nodes[list->count] = child;
    list->names[list->count++] = name;
    return true;
}

static node *with_children(struct parser *p, enum node_kind kind, const struct children *list)
{
    struct aws_jmespath *made = make(p, kind, NULL, NULL);
    if (!made)
        return NULL;
    made->children = list->nodes;
    made->names = list->names;
    made->child_count = list->count;
    return made;
}

/* [a, b] behind the bracket. */
static node *multi_list(struct parser *p)
{
    struct children list = {0};
    for (;;) {
        node *child = expression(p, 0);
        if (!child || !add_child(p, &list, (struct str){0}, child))
            return NULL;
        if (kind_ahead(p, 0) == T_RBRACKET)
            break;
        if (!expect(p, T_COMMA, "expected `,` or `]`"))
            return NULL;
    }
    take(p);
    return with_children(p, NODE_LIST, &list);
}

/* {a: b, c: d} behind the brace. */
static node *multi_hash(struct parser *p)
{
    struct children list = {0};
    for (;;) {
        const struct token *key = peek(p);
        if (key->kind != T_NAME && key->kind != T_QUOTED)
            return complain(p, key->at, "expected a name");
        take(p);
        if (!expect(p, T_COLON, "expected `:`"))
            return NULL;
        node *child = expression(p, 0);
        if (!child || !add_child(p, &list, key->text, child))
            return NULL;
        if (kind_ahead(p, 0) == T_RBRACE)
            break;
        if (!expect(p, T_COMMA, "expected `,` or `}`"))
            return NULL;
    }
    take(p);
    return with_children(p, NODE_HASH, &list);
}

static node *dot_right(struct parser *p, unsigned strength)
{
    switch (kind_ahead(p, 0)) {
    case T_NAME:
    case T_QUOTED:
    case T_STAR:
        return expression(p, strength);
    case T_LBRACKET:
        take(p);
        return multi_list(p);
    case T_LBRACE:
        take(p);
        return multi_hash(p);
    default:
        return complain(p, peek(p)->at, "expected a name, `*`, `[` or `{` behind `.`");
    }
}

static node *projection_right(struct parser *p, unsigned strength)
{
    enum token_kind kind = kind_ahead(p, 0);
    if (binding[kind] < PROJECTION_STOP)
        return &current_node;
    if (kind == T_LBRACKET || kind == T_FILTER)
        return expression(p, strength);
    if (kind == T_DOT) {
        take(p);
        return dot_right(p, strength);
    }
    return complain(p, peek(p)->at, "this cannot follow a projection");
}

static node *project(struct parser *p, enum node_kind kind, node *left, unsigned strength)
{
    node *right = left ? projection_right(p, strength) : NULL;
    return right ? make(p, kind, left, right) : NULL;
}

static node *slice(struct parser *p, node *left)
{
    struct aws_jmespath *made = make(p, NODE_SLICE, NULL, NULL);
    int part = 0;
    while (made && kind_ahead(p, 0) != T_RBRACKET) {
        const struct token *token = take(p);
        if (token->kind == T_COLON && part < 2) {
            part++;
        } else if (token->kind == T_NUMBER && !made->has_part[part]) {
            made->has_part[part] = true;
            made->part[part] = token->number;
        } else {
            return complain(p, token->at, "the slice is malformed");
        }
    }
    take(p);
    node *sub = made ? make(p, NODE_SUB, left, made) : NULL;
    return project(p, NODE_PROJECT_LIST, sub, binding[T_STAR]);
}

/* [0], [1:2] behind the bracket. */
static node *index_or_slice(struct parser *p, node *left)
{
    if (kind_ahead(p, 0) == T_COLON || kind_ahead(p, 1) == T_COLON)
        return slice(p, left);
    struct aws_jmespath *made = make(p, NODE_INDEX, NULL, NULL);
    if (!made)
        return NULL;
    made->number = take(p)->number;
    if (!expect(p, T_RBRACKET, "expected `]`"))
        return NULL;
    return make(p, NODE_SUB, left, made);
}

static bool is_index(const struct parser *p)
{
    return kind_ahead(p, 0) == T_NUMBER || kind_ahead(p, 0) == T_COLON;
}

static node *filter(struct parser *p, node *left)
{
    node *condition = expression(p, 0);
    if (!condition || !expect(p, T_RBRACKET, "expected `]`"))
        return NULL;
    node *right =
        kind_ahead(p, 0) == T_FLATTEN ? &current_node : projection_right(p, binding[T_FILTER]);
    struct aws_jmespath *made = right ? make(p, NODE_FILTER, left, right) : NULL;
    if (made)
        made->child = condition;
    return made;
}

static node *flatten(struct parser *p, node *left)
{
    return project(p, NODE_PROJECT_LIST, make(p, NODE_FLATTEN, left, NULL), binding[T_FLATTEN]);
}

static node *begin_bracket(struct parser *p)
{
    if (is_index(p))
        return index_or_slice(p, &current_node);
    if (kind_ahead(p, 0) == T_STAR && kind_ahead(p, 1) == T_RBRACKET) {
        take(p);
        take(p);
        return project(p, NODE_PROJECT_LIST, &current_node, binding[T_STAR]);
    }
    return multi_list(p);
}

static node *parenthesised(struct parser *p)
{
    node *inner = expression(p, 0);
    return inner && expect(p, T_RPAREN, "expected `)`") ? inner : NULL;
}

static node *unary(struct parser *p, enum node_kind kind, unsigned strength)
{
    node *inner = expression(p, strength);
    return inner ? make(p, kind, inner, NULL) : NULL;
}

static node *star(struct parser *p)
{
    if (kind_ahead(p, 0) == T_RBRACKET)
        return make(p, NODE_PROJECT_VALUES, &current_node, &current_node);
    return project(p, NODE_PROJECT_VALUES, &current_node, binding[T_STAR]);
}

static node *literal(struct parser *p, struct value v)
{
    struct aws_jmespath *made = make(p, NODE_LITERAL, NULL, NULL);
    if (made)
        made->value = v;
    return made;
}

/* What an expression may begin with. */
static node *prefix(struct parser *p)
{
    const struct token *token = take(p);
    switch (token->kind) {
    case T_LITERAL:
        return literal(p, token->value);
    case T_NAME:
        return field(p, token->text);
    case T_QUOTED:
        if (kind_ahead(p, 0) == T_LPAREN)
            return complain(p, token->at, "a function's name is not quoted");
        return field(p, token->text);
    case T_STAR:
        return star(p);
    case T_FILTER:
        return filter(p, &current_node);
    case T_LBRACE:
        return multi_hash(p);
    case T_LPAREN:
        return parenthesised(p);
    case T_FLATTEN:
        return flatten(p, &current_node);
    case T_NOT:
        return unary(p, NODE_NOT, binding[T_NOT]);
    case T_LBRACKET:
        return begin_bracket(p);
    case T_CURRENT:
        return &current_node;
    case T_REFERENCE:
        return unary(p, NODE_REFERENCE, 0);
    default:
        return complain(p, token->at,
                        token->kind == T_END ? "the expression ends too early"
                                             : "an expression cannot begin with this");
    }
}

static node *call(struct parser *p, node *left, size_t at)
{
    bool adjacent = left->kind == NODE_FIELD && p->tokens[p->next - 2].kind == T_NAME;
    if (!adjacent)
        return complain(p, at, "only a name can be called");
    struct children list = {0};
    while (kind_ahead(p, 0) != T_RPAREN) {
        node *argument = expression(p, 0);
        if (!argument || !add_child(p, &list, (struct str){0}, argument))
            return NULL;
        if (kind_ahead(p, 0) == T_RPAREN)
            break;
        if (!expect(p, T_COMMA, "expected `,` or `)`"))
            return NULL;
        if (kind_ahead(p, 0) == T_RPAREN)
            return complain(p, peek(p)->at, "an argument is missing");
    }
    take(p);
    struct aws_jmespath *made = (struct aws_jmespath *)with_children(p, NODE_CALL, &list);
    if (made)
        made->text = left->text;
    return made;
}

static node *binary(struct parser *p, enum node_kind kind, node *left, const struct token *token)
{
    node *right = expression(p, binding[token->kind]);
    struct aws_jmespath *made = right ? make(p, kind, left, right) : NULL;
    if (made)
        made->comparator = token->comparator;
    return made;
}

static node *dot(struct parser *p, node *left)
{
    if (kind_ahead(p, 0) == T_STAR) {
        take(p);
        return project(p, NODE_PROJECT_VALUES, left, binding[T_DOT]);
    }
    node *right = dot_right(p, binding[T_DOT]);
    return right ? make(p, NODE_SUB, left, right) : NULL;
}

static node *bracket(struct parser *p, node *left)
{
    if (is_index(p))
        return index_or_slice(p, left);
    if (!expect(p, T_STAR, "expected a number, `*` or `:`") ||
        !expect(p, T_RBRACKET, "expected `]`"))
        return NULL;
    return project(p, NODE_PROJECT_LIST, left, binding[T_STAR]);
}

/* What may follow an expression. */
static node *infix(struct parser *p, node *left)
{
    const struct token *token = take(p);
    switch (token->kind) {
    case T_DOT:
        return dot(p, left);
    case T_PIPE:
        return binary(p, NODE_SUB, left, token);
    case T_OR:
        return binary(p, NODE_OR, left, token);
    case T_AND:
        return binary(p, NODE_AND, left, token);
    case T_COMPARE:
        return binary(p, NODE_COMPARE, left, token);
    case T_LPAREN:
        return call(p, left, token->at);
    case T_FILTER:
        return filter(p, left);
    case T_FLATTEN:
        return flatten(p, left);
    case T_LBRACKET:
        return bracket(p, left);
    default:
        return complain(p, token->at, "this cannot follow here");
    }
}

static node *expression(struct parser *p, unsigned strength)
{
    if (++p->depth > JMESPATH_DEPTH_MAX)
        return complain(p, peek(p)->at, "the expression is nested too deeply");
    node *left = prefix(p);
    unsigned links = 0;
    while (left && strength < binding[kind_ahead(p, 0)]) {
        /* Each link nests the tree once more to the left, which the evaluator walks. */
        if (++links > JMESPATH_DEPTH_MAX)
            return complain(p, peek(p)->at, "the expression is nested too deeply");
        left = infix(p, left);
    }
    p->depth--;
    return left;
}

const struct aws_jmespath *aws_jmespath_compile(struct str source, struct arena *arena,
                                                struct error *err)
{
    struct error unused = {0};
    struct parser p = {.source = source, .arena = arena, .err = err ? err : &unused};
    if (!lex(&p))
        return NULL;
    node *tree = expression(&p, 0);
    if (tree && kind_ahead(&p, 0) != T_END)
        return complain(&p, peek(&p)->at, "the expression should end here");
    return tree;
}

bool aws_jmespath_search(struct str source, struct value input, struct arena *arena,
                         struct value *ret, struct error *err)
{
    const struct aws_jmespath *tree = aws_jmespath_compile(source, arena, err);
    return tree && aws_jmespath_evaluate(tree, input, arena, ret, err);
}
