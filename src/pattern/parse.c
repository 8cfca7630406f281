// SPDX-License-Identifier: Apache-2.0
/* One pattern's text to leaves and branches.
 *
 * $or is multiplied out while reading, as event-ruler does: what is read applies to every branch so
 * far, and a path written twice keeps what was written last. A pattern that is refused this way is
 * read again with $or as an ordinary field name; only if that fails too is it refused, with the
 * first reading's error. */
#include "pattern/pattern_internal.h"

#include <stdio.h>
#include <math.h>

#include "value/number.h"

struct parser {
    struct json_scan scan;
    struct arena *arena;
    struct pattern_source *source;
    struct error *err;
    struct str path; // of the object being read; in `path_bytes`
    char *path_bytes;
    size_t at, end;   // the next byte, the next of scan.ends
    unsigned depth;   // of the path
    unsigned nesting; // of objects, those of $or counted twice as JSON does
    uint32_t branch_cap;
    bool plain_or; // $or is an ordinary name
    bool saw_or;
    unsigned ors; // $or around it
};

static bool parse_object(struct parser *p, bool in_or);

static bool fail(struct parser *p, size_t at, const char *code, const char *what)
{
    error_set(p->err, code, "%s", what);
    error_place(p->err, "", p->scan.text, at, 1);
    return false;
}

static bool malformed(struct parser *p, const char *what)
{
    return fail(p, p->at, "G0101", what);
}

static bool no_memory(struct parser *p)
{
    return fail(p, p->at, "G0112", "out of memory");
}

/* ---- tokens ---- */

static char peek(struct parser *p)
{
    p->at = json_skip_space(p->scan.text, p->at);
    return p->at < p->scan.text.len ? p->scan.text.ptr[p->at] : '\0';
}

static bool read_string(struct parser *p, struct str *ret)
{
    while (p->scan.ends[p->end] <= p->at)
        p->end++;
    size_t start = p->at + 1, end = p->scan.ends[p->end++];
    struct str raw = str_sub(p->scan.text, start, end - start);
    p->at = end + 1;
    if (json_has_escape(&p->scan, start, end)) {
        char *text = arena_alloc_raw(p->arena, raw.len, 1);
        if (!text)
            return no_memory(p);
        raw = (struct str){text, json_unescape(raw, text)};
    }
    *ret = raw;
    return true;
}

static bool expect_string(struct parser *p, const char *what, struct str *ret)
{
    return peek(p) == '"' ? read_string(p, ret) : fail(p, p->at, "G0106", what);
}

/* A key and its colon. */
static bool read_key(struct parser *p, struct str *ret)
{
    if (peek(p) != '"')
        return malformed(p, "malformed JSON: expected a key in double quotes");
    if (!read_string(p, ret))
        return false;
    if (peek(p) != ':')
        return malformed(p, "malformed JSON: expected :");
    p->at++;
    peek(p);
    return true;
}

/* Behind an item: true = another follows, the cursor on it; false = closed, or *failed. */
static bool next_item(struct parser *p, char close, bool *failed)
{
    char c = peek(p);
    if (c == ',') {
        p->at++;
        c = peek(p);
        *failed = c == close || c == '\0';
        if (*failed)
            malformed(p, "malformed JSON: expected another item behind the comma");
        return !*failed;
    }
    *failed = c != close;
    if (*failed)
        malformed(p, close == '}' ? "malformed JSON: expected , or }"
                                  : "malformed JSON: expected , or ]");
    else
        p->at++;
    return false;
}

static bool read_number(struct parser *p, struct str *ret, double *ret_value)
{
    size_t end = json_number_end(p->scan.text, p->at);
    if (!end)
        return malformed(p, "malformed JSON: bad number");
    *ret = str_sub(p->scan.text, p->at, end - p->at);
    *ret_value = number_parse(*ret);
    p->at = end;
    return true;
}

/* A number as an operand: it must be exactly a double, or comparing would lie. */
static bool read_operand_number(struct parser *p, double *ret)
{
    struct str text;
    size_t at = p->at;
    char c = peek(p);
    if (c != '-' && (c < '0' || c > '9'))
        return fail(p, p->at, "G0106", "expected a number");
    if (!read_number(p, &text, ret))
        return false;
    if (number_is_shortest(text, *ret))
        return true;
    fail(p, at, "G0108", "the number is not exact");
    return error_hint(p->err,
                      "numbers are compared as IEEE doubles: at most 15 digits are always safe");
}

/* ---- growing arrays of the source ---- */

static void *grow(struct parser *p, void *array, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    uint32_t more = *cap ? *cap * 2 : 16;
    void *grown = arena_grow(p->arena, array, *cap * size, more * size);
    if (grown)
        *cap = more;
    else
        no_memory(p);
    return grown;
}

static bool add_alternative(struct parser *p, enum atom_kind kind, struct str operand)
{
    struct pattern_source *s = p->source;
    struct alternative *grown =
        grow(p, s->alternatives, s->alternative_count, &s->alternative_cap, sizeof *grown);
    if (!grown)
        return false;
    s->alternatives = grown;
    s->alternatives[s->alternative_count++] =
        (struct alternative){.kind = kind, .operand = operand};
    return true;
}

static bool add_bytes(struct parser *p, enum atom_kind kind, const void *bytes, size_t size)
{
    char *copy = arena_alloc_raw(p->arena, size, 8);
    if (!copy)
        return no_memory(p);
    memcpy(copy, bytes, size);
    return add_alternative(p, kind, (struct str){copy, size});
}

static bool add_number(struct parser *p, double d)
{
    uint64_t key = ordered_double(d);
    return add_bytes(p, ATOM_NUMBER, &key, sizeof key);
}

/* ---- operators ---- */

static bool is_fold(enum atom_kind kind)
{
    return kind == ATOM_FOLD || kind == ATOM_FOLD_PREFIX || kind == ATOM_FOLD_SUFFIX;
}

static bool read_word(struct parser *p, enum atom_kind kind)
{
    struct str s;
    if (!expect_string(p, "expected a string", &s))
        return false;
    /* ASCII that differs in case only means the same and becomes the same atom. */
    if (is_fold(kind) && fold_is_ascii(s)) {
        char *out = arena_alloc_raw(p->arena, s.len, 1);
        if (!out)
            return no_memory(p);
        s = (struct str){out, fold_text(s, out)};
    }
    return add_alternative(p, kind, s);
}

static bool read_nonempty(struct parser *p, enum atom_kind kind)
{
    struct str s;
    size_t at = p->at;
    if (!expect_string(p, "expected a string", &s))
        return false;
    return s.len ? add_alternative(p, kind, s) : fail(p, at, "G0106", "must not be empty here");
}

/* Escapes resolved, `*` as WILDCARD_STAR; then the simplest operator that means the same. */
static bool read_wildcard(struct parser *p, enum atom_kind kind)
{
    struct str s;
    size_t start = peek(p) == '"' ? p->at : 0, used = 0, stars = 0;
    if (!expect_string(p, "expected a string", &s))
        return false;
    char *out = arena_alloc_raw(p->arena, s.len, 1);
    if (!out)
        return no_memory(p);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\\') {
            if (++i == s.len || (s.ptr[i] != '*' && s.ptr[i] != '\\'))
                return fail(p, start, "G0107", "in a wildcard \\ may only stand before * or \\");
            c = s.ptr[i];
        } else if (c == '*') {
            if (used && out[used - 1] == WILDCARD_STAR)
                return fail(p, start, "G0107", "two * in a row in a wildcard");
            c = WILDCARD_STAR;
            stars++;
        }
        out[used++] = c;
    }
    struct str operand = {out, used};
    if (stars == 0)
        kind = ATOM_STRING;
    else if (stars == 1 && out[used - 1] == WILDCARD_STAR) {
        kind = ATOM_PREFIX;
        operand.len--;
    } else if (stars == 1 && out[0] == WILDCARD_STAR) {
        kind = ATOM_SUFFIX;
        operand = str_sub(operand, 1, SIZE_MAX);
    }
    return add_alternative(p, kind, operand);
}

/* prefix and suffix: a string or {"equals-ignore-case": string}. */
static bool read_affix(struct parser *p, enum atom_kind kind)
{
    struct str name;
    bool failed;
    if (peek(p) != '{')
        return read_word(p, kind);
    size_t at = p->at++;
    if (peek(p) == '}' || !read_key(p, &name))
        return fail(p, at, "G0106", "expected a string or {\"equals-ignore-case\": string}");
    if (!str_is(name, "equals-ignore-case"))
        return fail(p, at, "G0106",
                    "only equals-ignore-case may stand inside of prefix and suffix");
    if (!read_word(p, kind == ATOM_PREFIX ? ATOM_FOLD_PREFIX : ATOM_FOLD_SUFFIX))
        return false;
    if (next_item(p, '}', &failed))
        return fail(p, p->at, "G0106", "one operator in an object only");
    return !failed;
}

static bool read_exists(struct parser *p, enum atom_kind kind)
{
    (void)kind;
    size_t end = peek(p) == 't' || peek(p) == 'f' ? json_literal_end(p->scan.text, p->at) : 0;
    if (!end)
        return fail(p, p->at, "G0106", "exists takes true or false");
    bool yes = p->scan.text.ptr[p->at] == 't';
    p->at = end;
    return add_alternative(p, yes ? ATOM_EXISTS : ATOM_ABSENT, (struct str){0});
}

static bool read_cidr(struct parser *p, enum atom_kind kind)
{
    struct str s;
    struct address block;
    size_t at = peek(p) == '"' ? p->at : 0;
    if (!expect_string(p, "cidr takes a string", &s))
        return false;
    if (!address_parse_block(s, &block)) {
        fail(p, at, "G0109",
             "not a CIDR block: an IP address, a slash, 0 to 31 (IPv4) or 0 to 127 (IPv6)");
        return error_hint(p->err, "write a single host as a plain string");
    }
    return add_bytes(p, kind, &block, sizeof block);
}

/* Sets the end of `range` that `op number` bounds. */
static bool bound(struct str op, double d, struct range *range)
{
    uint64_t key = ordered_double(d);
    if (str_is(op, ">"))
        range->low = key + 1;
    else if (str_is(op, ">="))
        range->low = key;
    else if (str_is(op, "<"))
        range->high = key - 1;
    else if (str_is(op, "<="))
        range->high = key;
    else
        return false;
    return true;
}

static bool read_numeric(struct parser *p, enum atom_kind kind)
{
    struct range range = {0, UINT64_MAX};
    struct str ops[2] = {{0}};
    double numbers[2] = {0};
    unsigned count = 0;
    bool failed = false;
    size_t at = p->at;
    if (peek(p) != '[')
        return fail(p, at, "G0106", "numeric takes a list: [\">\", 5] or [\">\", 0, \"<=\", 5]");
    p->at++;
    do {
        if (count == 2)
            return fail(p, p->at, "G0106", "numeric takes at most two comparisons");
        if (!expect_string(p, "expected one of = < <= > >=", &ops[count]))
            return false;
        if (!next_item(p, ']', &failed))
            return failed ? false : fail(p, at, "G0106", "a number must follow the comparison");
        if (!read_operand_number(p, &numbers[count]))
            return false;
        count++;
    } while (next_item(p, ']', &failed));
    if (failed)
        return false;
    if (str_is(ops[0], "="))
        return count == 1 ? add_number(p, numbers[0])
                          : fail(p, at, "G0106", "= stands alone in numeric");
    if (!bound(ops[0], numbers[0], &range) || (count == 2 && !bound(ops[1], numbers[1], &range)))
        return fail(p, at, "G0106", "expected one of = < <= > >=");
    if (count == 2 && (ops[0].ptr[0] != '>' || ops[1].ptr[0] != '<' || numbers[0] >= numbers[1]))
        return fail(p, at, "G0106",
                    "a range is > or >= a smaller number, then < or <= a greater one");
    return add_bytes(p, kind, &range, sizeof range);
}

/* One item or a list of them, each through `read`. */
static bool read_list_of(struct parser *p, bool (*read)(struct parser *, enum atom_kind),
                         enum atom_kind kind)
{
    bool failed;
    if (peek(p) != '[')
        return read(p, kind);
    size_t at = p->at++;
    if (peek(p) == ']')
        return fail(p, at, "G0103", "the list is empty");
    do {
        if (!read(p, kind))
            return false;
    } while (next_item(p, ']', &failed));
    return !failed;
}

static bool read_but_number(struct parser *p, enum atom_kind kind)
{
    double d;
    (void)kind;
    return read_operand_number(p, &d) && add_number(p, d);
}

static bool read_but_operator(struct parser *p)
{
    static const struct {
        const char *name;
        enum atom_kind kind;
        bool (*read)(struct parser *, enum atom_kind);
    } operators[] = {{"prefix", ATOM_PREFIX, read_nonempty},
                     {"suffix", ATOM_SUFFIX, read_nonempty},
                     {"equals-ignore-case", ATOM_FOLD, read_word},
                     {"wildcard", ATOM_WILDCARD, read_wildcard}};
    struct str name;
    bool failed;
    size_t at = p->at++;
    if (peek(p) == '}')
        return fail(p, at, "G0103", "the object is empty");
    if (!read_key(p, &name))
        return false;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!str_is(name, operators[i].name))
            continue;
        if (!read_list_of(p, operators[i].read, operators[i].kind))
            return false;
        if (next_item(p, '}', &failed))
            return fail(p, p->at, "G0106", "one operator in an object only");
        return !failed;
    }
    return fail(
        p, at, "G0105",
        "inside of anything-but only prefix, suffix, equals-ignore-case and wildcard may stand");
}

static bool read_but(struct parser *p, enum atom_kind kind)
{
    struct pattern_source *s = p->source;
    uint32_t first = s->alternative_count;
    char c = peek(p), item = c;
    if (c == '[') {
        size_t inside = json_skip_space(p->scan.text, p->at + 1);
        item = inside < p->scan.text.len ? p->scan.text.ptr[inside] : '\0';
    }
    bool ok = c == '{'      ? read_but_operator(p)
              : item == '"' ? read_list_of(p, read_word, ATOM_STRING)
              : item == '-' || (item >= '0' && item <= '9') ? read_list_of(p, read_but_number, kind)
              : item == ']'
                  ? fail(p, p->at, "G0103", "the list is empty")
                  : fail(p, p->at, "G0106",
                         "anything-but takes strings, or numbers, or one operator in braces");
    if (!ok)
        return false;
    /* Its own atoms go behind it. */
    uint32_t count = s->alternative_count - first;
    if (!add_alternative(p, ATOM_BUT, (struct str){0}))
        return false;
    s->alternatives[s->alternative_count - 1].first = first;
    s->alternatives[s->alternative_count - 1].count = count;
    return true;
}

static const struct {
    const char *name;
    enum atom_kind kind;
    bool (*read)(struct parser *, enum atom_kind);
} operators[] = {
    {"prefix", ATOM_PREFIX, read_affix},   {"suffix", ATOM_SUFFIX, read_affix},
    {"anything-but", ATOM_BUT, read_but},  {"equals-ignore-case", ATOM_FOLD, read_word},
    {"exists", ATOM_EXISTS, read_exists},  {"wildcard", ATOM_WILDCARD, read_wildcard},
    {"numeric", ATOM_RANGE, read_numeric}, {"cidr", ATOM_CIDR, read_cidr},
    {"exactly", ATOM_STRING, read_word},
};
#define OPERATORS (sizeof operators / sizeof *operators)

static bool unknown_operator(struct parser *p, size_t at, struct str name)
{
    const char *names[OPERATORS];
    for (size_t i = 0; i < OPERATORS; i++)
        names[i] = operators[i].name;
    error_set(p->err, "G0105", "unknown operator \"%.*s\"", STR_FMT(name));
    error_place(p->err, "", p->scan.text, at, (unsigned)name.len + 2);
    const char *near = str_nearest(name, names, OPERATORS);
    if (near)
        error_hint(p->err, "did you mean \"%s\"?", near);
    else
        error_hint(p->err,
                   "operators are prefix, suffix, anything-but, equals-ignore-case, exists, "
                   "wildcard, numeric and cidr");
    return false;
}

static bool read_operator(struct parser *p)
{
    struct str name;
    bool failed;
    size_t start = p->at++;
    if (peek(p) == '}')
        return fail(p, start, "G0103", "the object is empty: expected an operator");
    size_t at = p->at;
    if (!read_key(p, &name))
        return false;
    for (size_t i = 0; i < OPERATORS; i++) {
        if (!str_is(name, operators[i].name))
            continue;
        if (!operators[i].read(p, operators[i].kind))
            return false;
        if (next_item(p, '}', &failed))
            return fail(p, p->at, "G0106", "one operator in an object only");
        return !failed;
    }
    return unknown_operator(p, at, name);
}

static bool read_plain_number(struct parser *p)
{
    struct str text;
    double d;
    if (!read_number(p, &text, &d))
        return false;
    return number_is_shortest(text, d) ? add_number(p, d)
                                       : add_alternative(p, ATOM_NUMBER_TEXT, text);
}

static bool read_plain_string(struct parser *p)
{
    struct str s;
    struct address address;
    if (!read_string(p, &s))
        return false;
    return address_parse(s, &address) ? add_bytes(p, ATOM_IP, &address, sizeof address)
                                      : add_alternative(p, ATOM_STRING, s);
}

/* Positions in the source of the alternatives that stand in the list itself are [first, end), apart
 * from those that an anything-but took for itself. */
static bool read_alternative(struct parser *p)
{
    switch (peek(p)) {
    case '"':
        return read_plain_string(p);
    case '{':
        return read_operator(p);
    case '[':
        return fail(p, p->at, "G0104", "a list inside of a list of alternatives");
    case 't':
    case 'f':
    case 'n':
        break;
    default:
        return read_plain_number(p);
    }
    char c = p->scan.text.ptr[p->at];
    size_t end = json_literal_end(p->scan.text, p->at);
    if (!end)
        return malformed(p, "malformed JSON: expected a value");
    p->at = end;
    return add_alternative(p,
                           c == 't'   ? ATOM_TRUE
                           : c == 'f' ? ATOM_FALSE
                                      : ATOM_NULL,
                           (struct str){0});
}

/* ---- fields and branches ---- */

static bool find_path(struct parser *p, size_t at, uint32_t *ret)
{
    struct pattern_source *s = p->source;
    for (uint32_t i = 0; i < s->path_count; i++) {
        if (str_eq(s->paths[i], p->path)) {
            *ret = i;
            return true;
        }
    }
    if (s->path_count == PATTERN_PATHS_MAX)
        return fail(p, at, "G0111", "more than 256 fields in one pattern");
    struct str *grown = grow(p, s->paths, s->path_count, &s->path_cap, sizeof *grown);
    if (!grown)
        return false;
    s->paths = grown;
    struct str copy = str_copy(p->arena, p->path);
    if (!copy.ptr)
        return no_memory(p);
    *ret = s->path_count;
    s->paths[s->path_count++] = copy;
    return true;
}

static uint32_t *branch_row(const struct pattern_source *s, uint32_t branch)
{
    return s->branches + (size_t)branch * PATTERN_PATHS_MAX;
}

static bool parse_leaf(struct parser *p)
{
    struct pattern_source *s = p->source;
    struct source_leaf leaf = {.offset = p->at, .first = s->alternative_count};
    bool failed;
    if (!find_path(p, p->at, &leaf.path))
        return false;
    p->at++;
    if (peek(p) == ']')
        return fail(p, leaf.offset, "G0103", "the list of alternatives is empty");
    do {
        if (!read_alternative(p))
            return false;
    } while (next_item(p, ']', &failed));
    if (failed)
        return false;
    leaf.count = s->alternative_count - leaf.first;
    leaf.length = p->at - leaf.offset;
    struct source_leaf *grown = grow(p, s->leaves, s->leaf_count, &s->leaf_cap, sizeof *grown);
    if (!grown)
        return false;
    s->leaves = grown;
    for (uint32_t i = 0; i < s->branch_count; i++)
        branch_row(s, i)[leaf.path] = s->leaf_count;
    s->leaves[s->leaf_count++] = leaf;
    return true;
}

/* Appends copies of `count` branches at `from` (which may be NULL: one empty branch). */
static bool add_branches(struct parser *p, const uint32_t *from, uint32_t count, size_t at)
{
    struct pattern_source *s = p->source;
    const size_t row = PATTERN_PATHS_MAX * sizeof *s->branches;
    if (count > PATTERN_BRANCHES_MAX - s->branch_count)
        return fail(p, at, "G0111", "$or multiplies to more than 1000 combinations");
    if (s->branch_count + count > p->branch_cap) {
        uint32_t cap = p->branch_cap ? p->branch_cap : 1;
        while (cap < s->branch_count + count)
            cap *= 2;
        uint32_t *grown = arena_grow(p->arena, s->branches, p->branch_cap * row, cap * row);
        if (!grown)
            return no_memory(p);
        s->branches = grown;
        p->branch_cap = cap;
    }
    if (from)
        memcpy(branch_row(s, s->branch_count), from, count * row);
    else
        memset(branch_row(s, s->branch_count), 0xFF, row);
    s->branch_count += count;
    return true;
}

static bool parse_or(struct parser *p)
{
    struct pattern_source *s = p->source;
    const uint32_t *before = s->branches;
    uint32_t before_count = s->branch_count, alternatives = 0;
    uint32_t *done = NULL, done_count = 0, done_cap = 0;
    bool failed;
    size_t start = p->at++;
    if (peek(p) == ']')
        return fail(p, start, "G0110", "$or is empty");
    do {
        if (peek(p) != '{')
            return fail(p, p->at, "G0110", "every alternative of $or is an object");
        /* This alternative works on its own copy of the branches so far. */
        s->branches = NULL;
        s->branch_count = p->branch_cap = 0;
        size_t at = p->at;
        p->ors++;
        if (!add_branches(p, before, before_count, at) || !parse_object(p, true))
            return false;
        p->ors--;
        uint32_t *rows = s->branches, count = s->branch_count;
        s->branches = done;
        s->branch_count = done_count;
        p->branch_cap = done_cap;
        if (!add_branches(p, rows, count, at))
            return false;
        done = s->branches;
        done_count = s->branch_count;
        done_cap = p->branch_cap;
        alternatives++;
    } while (next_item(p, ']', &failed));
    if (failed)
        return false;
    return alternatives >= 2 || fail(p, start, "G0110", "$or takes at least two alternatives");
}

static bool is_reserved(struct str name)
{
    static const char *const others[] = {"=",
                                         "<",
                                         "<=",
                                         ">",
                                         ">=",
                                         "regex",
                                         "not-wildcard",
                                         "not-equals-ignore-case",
                                         "in-date-range"};
    for (size_t i = 0; i < OPERATORS; i++)
        if (str_is(name, operators[i].name))
            return true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (str_is(name, others[i]))
            return true;
    return str_starts(name, STR("date-")) || str_starts(name, STR("ip-address-"));
}

/* The value of key `name`, at the cursor. */
static bool parse_field(struct parser *p, struct str name, size_t at)
{
    struct str outer = p->path;
    bool is_or = str_is(name, "$or");
    p->saw_or |= is_or;
    if (is_or && !p->plain_or) {
        return peek(p) == '[' ? parse_or(p)
                              : fail(p, p->at, "G0110", "$or takes a list of objects");
    }
    if (p->ors && is_reserved(name))
        return fail(p, at, "G0110", "a field inside of $or must not have the name of an operator");
    /* The path grows in place: a text's keys are never longer together than the text. */
    struct str path = {p->path_bytes, outer.len};
    if (p->depth > 1)
        p->path_bytes[path.len++] = '.';
    memcpy(p->path_bytes + path.len, name.ptr, name.len);
    path.len += name.len;
    p->path = path;
    bool ok;
    switch (p->at < p->scan.text.len ? p->scan.text.ptr[p->at] : '\0') {
    case '{':
        ok = parse_object(p, false);
        break;
    case '[':
        ok = parse_leaf(p);
        break;
    default:
        ok = fail(p, p->at, "G0102", "a field takes an object, or a list of alternatives");
        if (p->at < p->scan.text.len)
            error_hint(p->err, "put the value into a list: [...]");
    }
    p->path = outer;
    return ok;
}

static bool parse_object(struct parser *p, bool in_or)
{
    struct str name;
    bool failed;
    size_t start = p->at++;
    unsigned outer = p->depth, nesting = p->nesting;
    p->nesting += in_or ? 2 : 1;
    if (p->nesting > LIMIT_JSON_DEPTH)
        return fail(p, start, "G0111", "nested deeper than 64");
    if (peek(p) == '}')
        return fail(p, start, "G0103", "the object is empty");
    /* Alternatives of $or stand at their parent's path. */
    p->depth = in_or ? outer : outer + 1;
    do {
        peek(p);
        size_t at = p->at;
        if (!read_key(p, &name) || !parse_field(p, name, at))
            return false;
    } while (next_item(p, '}', &failed));
    p->depth = outer;
    p->nesting = nesting;
    return !failed;
}

static bool parse_text(struct parser *p)
{
    struct pattern_source *s = p->source;
    p->at = p->end = 0;
    p->depth = p->nesting = p->ors = p->branch_cap = 0;
    p->path = (struct str){p->path_bytes, 0};
    *s = (struct pattern_source){.arena = p->arena, .text = p->scan.text};
    if (peek(p) != '{')
        return malformed(p, "an event pattern is a JSON object");
    if (!add_branches(p, NULL, 1, 0) || !parse_object(p, false))
        return false;
    peek(p);
    return p->at == p->scan.text.len || malformed(p, "malformed JSON: text after the pattern");
}

bool pattern_parse(struct arena *arena, struct str text, struct pattern_source *ret,
                   struct error *err)
{
    struct parser p = {.scan.text = text, .arena = arena, .source = ret, .err = err};
    if (text.len > LIMIT_EVENT_BYTES)
        return fail(&p, 0, "G0111", "a pattern is at most 1 MiB long");
    p.scan.ends = arena_alloc_raw(arena, JSON_SCAN_ENDS(text.len) * sizeof(uint32_t), 8);
    p.scan.escapes = arena_alloc_raw(arena, JSON_SCAN_ESCAPES(text.len) * sizeof(uint64_t), 8);
    p.path_bytes = arena_alloc_raw(arena, text.len + 1, 1);
    if (!p.scan.ends || !p.scan.escapes || !p.path_bytes)
        return no_memory(&p);
    enum json_scan_error error = json_scan(&p.scan, &p.at);
    if (error)
        return malformed(&p, json_scan_message(error));
    if (parse_text(&p))
        return true;
    if (!p.saw_or)
        return false;
    p.plain_or = true;
    p.err = NULL;
    return parse_text(&p);
}
