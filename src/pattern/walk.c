// SPDX-License-Identifier: Apache-2.0
/* Walks one event once, validating all of it, along the tree of paths: below what no pattern names
 * only the grammar is checked. What the patterns name becomes leaves.
 *
 * Invariant of the walk: the event's last byte that is not white space is `}`, so as long as no
 * bracket closes, the byte behind what was read exists. White space is looked for only where the
 * byte that must come next does not. */
#include "pattern/walk_internal.h"

#ifdef __AVX2__ // this file is compiled twice
#define walk_event walk_event_avx2
#endif

#define INLINE static inline __attribute__((always_inline))

struct frame {
    const struct node *node; // of the paths; NULL: nothing here is named
    uint32_t element;        // innermost element around its content
    uint32_t array;          // of an array: itself; of an object: its number, for duplicate keys
    uint32_t own_element;    // element that this container is, or 0
    char close;              // ] or }
};

struct walker {
    struct pattern_scratch *s;
    struct str text;   // the event, without white space at the end
    uint32_t key_mask; // of the table of keys, 0 = do not look for duplicates
    uint32_t objects;
    struct error *err;
    struct frame frames[LIMIT_JSON_DEPTH + 1];
};

/* Where the walk is: the next byte, the end of the next string. Held in registers: functions that
 * are not inlined take its parts by value. */
struct cursor {
    const char *p; // the event
    size_t at;
    const uint32_t *end;
};
struct place {
    size_t at;
    const uint32_t *end;
};

static __attribute__((noinline, cold)) bool fail(struct walker *w, size_t at, const char *code,
                                                 const char *what)
{
    return walk_refuse(w->s, at, code, what, w->err);
}

static __attribute__((noinline, cold)) bool malformed(struct walker *w, size_t at, const char *what)
{
    error_set(w->err, "G0201", "malformed JSON: %s", what);
    error_place(w->err, "", w->s->scan.text, at, 1);
    return false;
}

/* A bracket was the last byte, and there is a container around it. */
static __attribute__((noinline, cold)) bool not_closed(struct walker *w, size_t at)
{
    return malformed(w, at, "the object is not closed");
}

static __attribute__((noinline)) size_t behind_space(const struct walker *w, size_t at)
{
    return json_skip_space(w->text, at);
}

/* Is there white space at the cursor? Then it is skipped. */
INLINE bool skip_space(const struct walker *w, struct cursor *c)
{
    if ((unsigned char)c->p[c->at] > ' ')
        return false;
    size_t start = c->at;
    c->at = behind_space(w, start);
    return c->at > start;
}

/* Is `byte` next, perhaps behind white space? */
INLINE bool at_byte(const struct walker *w, struct cursor *c, char byte)
{
    return __builtin_expect(c->p[c->at] == byte, 1) || (skip_space(w, c) && c->p[c->at] == byte);
}

/* ---- what nothing names ---- */

/* The next end that is behind the cursor: the token's there. */
INLINE size_t token_end(struct cursor *c)
{
    while (__builtin_expect(*c->end <= c->at, 0))
        c->end++;
    return *c->end;
}

/* A number at the cursor that is not plain; its end, or 0. */
static __attribute__((noinline)) size_t odd_number(struct walker *w, size_t at)
{
    size_t end = json_number_end(w->text, at);
    if (!end)
        malformed(w, at, "bad number");
    return end;
}

INLINE bool skip_number(struct walker *w, struct cursor *c, unsigned *ret_point)
{
    size_t end = token_end(c);
    *ret_point = json_plain_number(w->text, c->at, end);
    if (__builtin_expect(*ret_point != 0, 1)) {
        c->at = end;
        c->end++;
        return true;
    }
    c->at = odd_number(w, c->at);
    return c->at != 0;
}

INLINE bool skip_literal(struct walker *w, struct cursor *c)
{
    size_t end = json_literal_end(w->text, c->at);
    if (!end)
        return malformed(w, c->at, "expected a value");
    c->at = end;
    c->end += *c->end == end;
    return true;
}

INLINE bool starts_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-';
}

/* A string at the cursor; returns where its closing quote is. */
INLINE size_t skip_string(struct cursor *c)
{
    size_t end = token_end(c);
    c->at = end + 1;
    c->end++;
    return end;
}

/* A key at the cursor, and its colon. */
INLINE bool skip_key(struct walker *w, struct cursor *c)
{
    if (!at_byte(w, c, '"'))
        return malformed(w, c->at, "expected a key in double quotes");
    skip_string(c);
    if (!at_byte(w, c, ':'))
        return malformed(w, c->at, "expected :");
    c->at++;
    return true;
}

/* Checks the object or array at the cursor and all that is in it; returns the place behind it, at 0
 * after an error. `depth`: containers around it. One bit a level: is it an array? */
static struct place skip_container(struct walker *w, struct place place, unsigned depth)
{
    static const struct place error = {0};
    struct cursor here = {w->text.ptr, place.at, place.end}, *c = &here;
    const unsigned outer = depth;
    uint64_t arrays = 0;
    for (;;) {
        /* At a value. */
        char first = c->p[c->at];
        if (first == '"') {
            skip_string(c);
        } else if (starts_number(first)) {
            unsigned point;
            if (!skip_number(w, c, &point))
                return error;
        } else if (first == '{' || first == '[') {
            if (depth == LIMIT_JSON_DEPTH)
                return (void)fail(w, c->at, "G0204", "nested deeper than 64"), error;
            arrays = arrays << 1 | (first == '[');
            depth++;
            c->at++;
            if (first == '{' && c->p[c->at] == '"') {
                if (!skip_key(w, c))
                    return error;
                continue;
            }
            if (!at_byte(w, c, (char)(first + 2))) {
                if (first == '{' && !skip_key(w, c))
                    return error;
                continue;
            }
        } else if (skip_space(w, c)) {
            continue;
        } else if (!skip_literal(w, c)) {
            return error;
        }
        /* Behind a value, or at the bracket that closes an empty container. */
        for (;;) {
            char next = c->p[c->at];
            if (next == ',')
                break;
            if (next == (arrays & 1 ? ']' : '}')) {
                c->at++;
                arrays >>= 1;
                if (--depth == outer)
                    return (struct place){c->at, c->end};
                if (c->at >= w->text.len)
                    return (void)not_closed(w, c->at), error;
            } else if (!skip_space(w, c)) {
                const char *what = arrays & 1 ? "expected , or ]" : "expected , or }";
                return (void)malformed(w, c->at, what), error;
            }
        }
        c->at++;
        if (!(arrays & 1) && !skip_key(w, c))
            return error;
    }
}

/* ---- keys ---- */

#define NAME_SHORT 32

/* The middle of a name of at most NAME_SHORT bytes whose ends and length are equal. */
INLINE bool same_middle(const char *a, const char *b, size_t len)
{
    return len <= 16 ||
           (load8(a + 8) == load8(b + 8) && load8(a + len - 16) == load8(b + len - 16));
}

INLINE bool is_name(const struct child *child, struct str name, uint64_t head, uint64_t tail)
{
    return child->head == head && child->tail == tail && child->len == name.len &&
           same_middle(child->name, name.ptr, name.len);
}

/* `child`: the first of its name's bit. For a name that is long, or one of many. */
static __attribute__((noinline)) const struct node *
find_child_slowly(const struct node *node, struct str name, const struct child *child)
{
    if (node->table) {
        uint32_t at = table_get(node->table, name.ptr, name.len);
        return at == NONE ? NULL : node->children[at].node;
    }
    while (!str_eq((struct str){child->name, child->len}, name)) {
        if (!child->next)
            return NULL;
        child = node->children + child->next;
    }
    return child->node;
}

/* The child of this name, whose bit some child has. Calls nothing but at its end, so that it needs
 * no stack. */
static __attribute__((noinline)) const struct node *find_child(const struct node *node,
                                                               struct str name, unsigned bit)
{
    uint64_t before = ((uint64_t)1 << bit) - 1, head, tail;
    const struct child *child = node->children + __builtin_popcountll(node->names & before);
    if (__builtin_expect(node->table != NULL || name.len > NAME_SHORT, 0))
        return find_child_slowly(node, name, child);
    if (__builtin_expect(name.len >= 8, 1)) {
        head = load8(name.ptr);
        tail = load8(name.ptr + name.len - 8);
    } else {
        head = tail = load_short(name.ptr, name.len);
    }
    while (!is_name(child, name, head, tail)) {
        if (!child->next)
            return NULL;
        child = node->children + child->next;
    }
    return child->node;
}

/* A key with a dot behind the name of a child that has children is several steps. */
static __attribute__((noinline)) const struct node *find_dotted(const struct node *node,
                                                                struct str key)
{
    do {
        struct str name = str_cut(&key, '.');
        unsigned bit = name_bit(name.ptr, name.len);
        node = node->names >> bit & 1 ? find_child(node, name, bit) : NULL;
    } while (key.ptr && node);
    return key.ptr ? NULL : node;
}

INLINE bool is_dotted(const struct node *node, struct str key)
{
    uint64_t lengths = node->deep;
    if (key.len <= 63)
        lengths &= ((uint64_t)1 << key.len) - 1;
    for (; lengths; lengths &= lengths - 1) {
        size_t at = (size_t)__builtin_ctzll(lengths);
        if (key.ptr[at] == '.' || at == 63)
            return true;
    }
    return false;
}

/* The node below `node` for a key, or NULL. */
INLINE const struct node *step(const struct node *node, struct str key)
{
    const struct node *child = NULL;
    unsigned bit = key_bit(key.ptr, key.len);
    if (node->names >> bit & 1)
        child = find_child(node, key, bit);
    if (!child && __builtin_expect(is_dotted(node, key), 0))
        return find_dotted(node, key);
    return child;
}

static __attribute__((noinline)) struct str decoded(struct walker *w, struct str raw)
{
    char *out = w->s->text + w->s->text_used;
    size_t len = json_unescape(raw, out);
    w->s->text_used += len;
    return (struct str){out, len};
}

/* A string's content: as it is, or decoded into the scratch. */
INLINE struct str content(struct walker *w, size_t start, size_t end)
{
    struct str raw = {w->text.ptr + start, end - start};
    return json_has_escape(&w->s->scan, start, end) ? decoded(w, raw) : raw;
}

/* One table for all objects of the event, of a size that fits it. */
static bool is_new_key(struct walker *w, uint32_t object, struct str key)
{
    struct pattern_scratch *s = w->s;
    uint64_t hash = table_key(key.ptr, key.len).hash ^ s->set->seed;
    hash = (hash + object) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    for (uint32_t at = (uint32_t)hash & w->key_mask;; at = (at + 1) & w->key_mask) {
        struct key_slot *slot = &s->keys[at];
        if (slot->epoch != s->epoch) {
            *slot = (struct key_slot){hash, key.ptr, (uint32_t)key.len, object, s->epoch};
            return true;
        }
        if (slot->hash == hash && slot->object == object &&
            str_eq((struct str){slot->ptr, slot->len}, key))
            return false;
    }
}

/* ---- the walk ---- */

/* What follows is called for what is named, or seldom, and not inlined: so the walk itself, which
 * mostly runs over strings that nothing names, keeps its few variables in registers. */
#define APART static __attribute__((noinline))

INLINE void add_leaf(struct walker *w, const struct frame *frame, const struct node *node,
                     enum leaf_kind kind, struct str text, unsigned point)
{
    struct pattern_scratch *s = w->s;
    uint32_t field = node->field, element = frame->element;
    if (field == NONE)
        return;
    struct field_state *state = &s->fields[field];
    if (state->epoch != s->epoch) {
        *state = (struct field_state){.epoch = s->epoch, .first = s->leaf_count};
        s->field_seen[s->field_seen_count++] = field;
        s->unseen--;
    }
    state->leaves++;
    s->leaves[s->leaf_count++] =
        (struct leaf){text.ptr, (uint32_t)text.len, field, element, (uint8_t)kind, (uint8_t)point};
}

/* The string whose content is [start, end). */
APART void add_string(struct walker *w, const struct frame *frame, const struct node *node,
                      size_t start, size_t end)
{
    add_leaf(w, frame, node, LEAF_STRING, content(w, start, end), 0);
}

/* The number or literal that begins with `first` at the place, below `node` (or NULL) of `frame`;
 * returns the place behind it, at 0 after an error. */
APART struct place read_word(struct walker *w, struct place place, const struct frame *frame,
                             const struct node *node)
{
    struct cursor here = {w->text.ptr, place.at, place.end}, *c = &here;
    char first = c->p[c->at];
    bool number = starts_number(first);
    unsigned point = 0;
    if (number ? !skip_number(w, c, &point) : !skip_literal(w, c))
        return (struct place){0};
    enum leaf_kind kind = number         ? LEAF_NUMBER
                          : first == 't' ? LEAF_TRUE
                          : first == 'f' ? LEAF_FALSE
                                         : LEAF_NULL;
    if (node)
        add_leaf(w, frame, node, kind, (struct str){c->p + place.at, c->at - place.at}, point);
    return (struct place){c->at, c->end};
}

/* The frame of the container that begins with `first`, below `node` of `outer`. */
APART void open_container(struct walker *w, struct frame *outer, const struct node *node,
                          char first)
{
    struct pattern_scratch *s = w->s;
    struct frame *frame = outer + 1;
    frame->node = node;
    frame->element = outer->element;
    frame->own_element = 0;
    frame->close = (char)(first + 2);
    if (node && outer->close == ']') {
        frame->own_element = frame->element = ++s->element_count;
        s->elements[frame->element] =
            (struct element){outer->element, outer->array, s->leaf_count, 0};
    }
    if (first == '{') {
        frame->array = w->objects++;
    } else if (node) {
        frame->array = s->array_count++;
        s->arrays[frame->array] = (struct array){.first = s->leaf_count};
    }
}

APART void close_container(struct walker *w, const struct frame *frame)
{
    struct pattern_scratch *s = w->s;
    if (frame->close == ']' && frame->node)
        s->arrays[frame->array].end = s->leaf_count;
    if (frame->own_element)
        s->elements[frame->own_element].end = s->leaf_count;
}

/* The key at the cursor and its colon; *ret = the node that it leads to. */
INLINE bool read_key(struct walker *w, struct cursor *c, const struct frame *frame,
                     const bool unique, const struct node **ret)
{
    if (!at_byte(w, c, '"'))
        return malformed(w, c->at, "expected a key in double quotes");
    size_t start = c->at, end = skip_string(c);
    if (!at_byte(w, c, ':'))
        return malformed(w, c->at, "expected :");
    c->at++;
    *ret = NULL;
    if (!frame->node && !unique)
        return true;
    struct str key = content(w, start + 1, end);
    if (frame->node)
        *ret = step(frame->node, key);
    if (unique && !is_new_key(w, frame->array, key))
        return fail(w, start, "G0206", "a key occurs twice in one object");
    return true;
}

static bool no_array_open(const struct walker *w, const struct frame *innermost)
{
    for (const struct frame *frame = w->frames + 1; frame <= innermost; frame++)
        if (frame->close == ']')
            return false;
    return true;
}

/* Can nothing in the container that begins with `first` at `node` become a leaf? */
INLINE bool is_unnamed(const struct node *node, char first)
{
    return !node || (first == '{' && !node->names);
}

/* May the rest of the event be left unread? */
INLINE bool saw_enough(const struct walker *w, const struct frame *frame)
{
    return w->s->unseen == 0 && no_array_open(w, frame);
}

enum stop { AT_VALUE, BEHIND_VALUE, REFUSED };

/* Reads members as long as their values are strings, from the key at the cursor: most of an event.
 * Where it stops at a value, that is below *ret. */
INLINE enum stop read_members(struct walker *w, struct cursor *c, const struct frame *frame,
                              const bool unique, const bool early_stop, const struct node **ret)
{
    for (;;) {
        if (!read_key(w, c, frame, unique, ret))
            return REFUSED;
        if (c->p[c->at] != '"')
            return AT_VALUE;
        size_t start = c->at + 1, end = skip_string(c);
        if (*ret)
            add_string(w, frame, *ret, start, end);
        if (c->p[c->at] != ',' || c->p[c->at + 1] != '"' || (early_stop && saw_enough(w, frame)))
            return BEHIND_VALUE;
        c->at++;
    }
}

/* From the root's brace, at `at`; returns the position behind its end, 0 after an error. `unique`:
 * keys must be. */
INLINE size_t walk(struct walker *w, size_t at, const bool unique, const bool early_stop)
{
    struct cursor here = {w->text.ptr, at, w->s->scan.ends}, *c = &here;
    struct frame *frame = w->frames;
    const struct node *node = w->s->set->nodes;
    enum stop stop = AT_VALUE;
    frame->node = node;
    frame->element = frame->own_element = 0;
    frame->close = 0;
    for (;;) {
        char first = c->p[c->at];
        if (stop == BEHIND_VALUE) {
            ;
        } else if (first == '"') {
            size_t start = c->at + 1, end = skip_string(c);
            if (node)
                add_string(w, frame, node, start, end);
        } else if (skip_space(w, c)) {
            continue;
        } else if ((first == '{' || first == '[') && (unique || !is_unnamed(node, first))) {
            if (frame == w->frames + LIMIT_JSON_DEPTH)
                return fail(w, c->at, "G0204", "nested deeper than 64");
            open_container(w, frame++, node, first);
            c->at++;
            if (!at_byte(w, c, frame->close)) {
                if (first == '[')
                    continue;
                stop = read_members(w, c, frame, unique, early_stop, &node);
                if (stop == REFUSED)
                    return 0;
                continue;
            }
        } else {
            struct place place = {c->at, c->end};
            place = first == '{' || first == '['
                        ? skip_container(w, place, (unsigned)(frame - w->frames))
                        : read_word(w, place, frame, node);
            if (place.at == 0 || !frame->close)
                return place.at;
            if (place.at >= w->text.len)
                return not_closed(w, place.at);
            c->at = place.at;
            c->end = place.end;
        }
        if (early_stop && saw_enough(w, frame))
            return w->text.len;
        /* Behind a value, or at the bracket that closes an empty container. */
        for (char next; (next = c->p[c->at]) != ',';) {
            if (next == frame->close) {
                close_container(w, frame--);
                c->at++;
                if (!frame->close)
                    return c->at;
                if (c->at >= w->text.len)
                    return not_closed(w, c->at);
            } else if (!skip_space(w, c)) {
                return malformed(w, c->at,
                                 frame->close == ']' ? "expected , or ]" : "expected , or }");
            }
        }
        c->at++;
        node = frame->node;
        stop = AT_VALUE;
        if (frame->close == '}')
            stop = read_members(w, c, frame, unique, early_stop, &node);
        if (stop == REFUSED)
            return 0;
    }
}

APART size_t walk_plain(struct walker *w, size_t at)
{
    return walk(w, at, false, false);
}

APART size_t walk_early(struct walker *w, size_t at)
{
    return walk(w, at, false, true);
}

APART size_t walk_unique(struct walker *w, size_t at, bool early_stop)
{
    w->key_mask = 63;
    while (w->key_mask < 2 * w->s->scan.end_count)
        w->key_mask = w->key_mask * 2 + 1;
    return walk(w, at, true, early_stop);
}

bool walk_event(struct pattern_scratch *s, struct str text, size_t at,
                const struct pattern_options *options, struct error *err)
{
    struct walker w __attribute__((uninitialized));
    w.s = s;
    w.text = text;
    w.objects = 0;
    w.err = err;
    bool early = options && options->early_stop;
    at = options && options->duplicate_keys == PATTERN_DUPLICATES_REFUSE
             ? walk_unique(&w, at, early)
         : early ? walk_early(&w, at)
                 : walk_plain(&w, at);
    if (at && at < text.len)
        return malformed(&w, json_skip_space(text, at), "text after the event");
    return at != 0;
}
