// SPDX-License-Identifier: Apache-2.0
/* Walks one event once, validating all of it, along the tree of paths: below what no pattern names
 * only the grammar is checked. What the patterns name becomes leaves.
 *
 * Invariant of the walk: the event's last byte that is not white space is `}`, so as long as no
 * bracket closes, the byte behind what was read exists. */
#include "pattern/pattern_internal.h"

#include "base/ensure.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LEAVES_MAX (LIMIT_EVENT_BYTES / 2 + 1)   // "[1,1,...": two bytes each
#define ELEMENTS_MAX (LIMIT_EVENT_BYTES / 2 + 2) // "[[]]": two bytes each; [0] is none
#define KEYS_TABLE ((size_t)1 << 20)             // slots: twice the most strings of an event

struct frame {
    uint32_t node;        // of the paths; NONE: nothing here is named
    uint32_t element;     // innermost element around its content
    uint32_t array;       // of an array: itself; of an object: its number, for duplicate keys
    uint32_t own_element; // element that this container is, or 0
    bool is_array;
};

struct walker {
    struct pattern_scratch *s;
    unsigned depth;
    uint32_t objects;
    struct error *err;
    struct frame frames[LIMIT_JSON_DEPTH + 1];
};

/* Where the walk is. Apart from the walker so that it stays in registers. */
struct cursor {
    const char *p; // the event, without white space at the end
    size_t len, at;
    const uint32_t *end; // of the next string
};

#define INLINE static inline __attribute__((always_inline))

static __attribute__((noinline, cold)) bool fail(struct walker *w, size_t at, const char *code,
                                                 const char *what)
{
    error_set(w->err, code, "%s", what);
    error_place(w->err, "", w->s->scan.text, at, 1);
    return false;
}

static __attribute__((noinline, cold)) bool malformed(struct walker *w, size_t at, const char *what)
{
    error_set(w->err, "G0201", "malformed JSON: %s", what);
    error_place(w->err, "", w->s->scan.text, at, 1);
    return false;
}

INLINE void skip_space(struct cursor *c)
{
    if ((unsigned char)c->p[c->at] <= ' ')
        c->at = json_skip_space((struct str){c->p, c->len}, c->at);
}

/* ---- what nothing names ---- */

INLINE void skip_string(struct cursor *c)
{
    c->at = *c->end++ + 1;
}

INLINE bool skip_scalar(struct walker *w, struct cursor *c)
{
    char first = c->p[c->at];
    size_t end;
    if (first == '"') {
        skip_string(c);
        return true;
    }
    if (first == '-' || (first >= '0' && first <= '9')) {
        end = json_number_end((struct str){c->p, c->len}, c->at);
        if (!end)
            return malformed(w, c->at, "bad number");
    } else {
        end = json_literal_end((struct str){c->p, c->len}, c->at);
        if (!end)
            return malformed(w, c->at, "expected a value");
    }
    c->at = end;
    return true;
}

INLINE bool skip_key(struct walker *w, struct cursor *c)
{
    if (c->p[c->at] != '"')
        return malformed(w, c->at, "expected a key in double quotes");
    skip_string(c);
    skip_space(c);
    if (c->p[c->at] != ':')
        return malformed(w, c->at, "expected :");
    c->at++;
    skip_space(c);
    return true;
}

/* Checks the object or array at the cursor and all that is in it. One bit a level: is it an array?
 */
static bool skip_container(struct walker *w, struct cursor *outside)
{
    struct cursor copy = *outside, *c = &copy;
    uint64_t arrays = 0;
    unsigned depth = w->depth;
    const unsigned outer = depth;
    for (;;) {
        /* At a value. */
        char first = c->p[c->at];
        if (first == '{' || first == '[') {
            if (depth == LIMIT_JSON_DEPTH)
                return fail(w, c->at, "G0204", "nested deeper than 64");
            arrays = arrays << 1 | (first == '[');
            depth++;
            c->at++;
            skip_space(c);
            if (c->p[c->at] != first + 2) {
                if (first == '{' && !skip_key(w, c))
                    return false;
                continue;
            }
        } else if (skip_scalar(w, c)) {
            skip_space(c);
        } else {
            return false;
        }
        /* Behind a value, or at the bracket that closes an empty container. */
        while (c->p[c->at] == (arrays & 1 ? ']' : '}')) {
            c->at++;
            arrays >>= 1;
            if (--depth == outer) {
                *outside = copy;
                return true;
            }
            if (c->at >= c->len)
                return malformed(w, c->at, "the object is not closed");
            skip_space(c);
        }
        if (c->p[c->at] != ',')
            return malformed(w, c->at, arrays & 1 ? "expected , or ]" : "expected , or }");
        c->at++;
        skip_space(c);
        if (!(arrays & 1) && !skip_key(w, c))
            return false;
    }
}

/* ---- keys ---- */

INLINE uint32_t step(const struct node *node, struct str name)
{
    if (!(node->names >> name_bit(name.ptr, name.len) & 1))
        return NONE;
    return table_find(node->slots, node->mask, name.ptr, name.len);
}

/* A key with dots is several steps. */
static __attribute__((noinline)) uint32_t find_dotted(const struct pattern_set *set, uint32_t node,
                                                      struct str key)
{
    do
        node = step(&set->nodes[node], str_cut(&key, '.'));
    while (key.ptr && node != NONE);
    return key.ptr ? NONE : node;
}

/* The node below `node` for a key. */
INLINE uint32_t find_child(const struct pattern_set *set, uint32_t node, struct str key)
{
    const struct node *from = &set->nodes[node];
    uint32_t child = step(from, key);
    if (child != NONE)
        return child;
    /* A dot matters only behind the name of a child that has children itself. */
    uint64_t lengths = from->deep & (((uint64_t)1 << (key.len < 63 ? key.len : 63)) - 1);
    for (; lengths; lengths &= lengths - 1)
        if (key.ptr[__builtin_ctzll(lengths)] == '.')
            return find_dotted(set, node, key);
    return from->deep >> 63 && key.len > 63 ? find_dotted(set, node, key) : NONE;
}

/* A string's content: as it is, or decoded into the scratch. */
INLINE struct str content(struct walker *w, const struct cursor *c, size_t start, size_t end)
{
    struct str raw = {c->p + start, end - start};
    if (!json_has_escape(&w->s->scan, start, end))
        return raw;
    char *out = w->s->text + w->s->text_used;
    raw.len = json_unescape(raw, out);
    raw.ptr = out;
    w->s->text_used += raw.len;
    return raw;
}

/* One table for all objects of the event, of a size that fits it. */
static bool is_new_key(struct walker *w, uint32_t object, struct str key, uint32_t mask)
{
    struct pattern_scratch *s = w->s;
    uint64_t hash = table_key(key.ptr, key.len).hash ^ s->set->seed;
    hash = (hash + object) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
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

INLINE void add_leaf(struct walker *w, const struct frame *frame, uint32_t node,
                     enum leaf_kind kind, struct str text)
{
    struct pattern_scratch *s = w->s;
    uint32_t field = s->set->nodes[node].field, element = frame->element;
    if (field == NONE)
        return;
    s->leaves[s->leaf_count] =
        (struct leaf){text.ptr, (uint32_t)text.len, field, element, (uint8_t)kind};
    leaf_evaluate(s, field, kind, text, element != 0);
    s->leaf_count++;
}

/* A scalar at the cursor, below `node` of `frame`. */
INLINE bool read_scalar(struct walker *w, struct cursor *c, const struct frame *frame,
                        uint32_t node)
{
    size_t start = c->at;
    char first = c->p[start];
    if (node == NONE)
        return skip_scalar(w, c);
    if (first == '"') {
        size_t end = *c->end;
        skip_string(c);
        add_leaf(w, frame, node, LEAF_STRING, content(w, c, start + 1, end));
        return true;
    }
    if (!skip_scalar(w, c))
        return false;
    enum leaf_kind kind = first == 't'   ? LEAF_TRUE
                          : first == 'f' ? LEAF_FALSE
                          : first == 'n' ? LEAF_NULL
                                         : LEAF_NUMBER;
    add_leaf(w, frame, node, kind, (struct str){c->p + start, c->at - start});
    return true;
}

/* Enters the container at the cursor. */
INLINE bool open_container(struct walker *w, struct cursor *c, uint32_t node)
{
    struct pattern_scratch *s = w->s;
    const struct frame *outer = &w->frames[w->depth];
    bool is_array = c->p[c->at] == '[';
    if (w->depth == LIMIT_JSON_DEPTH)
        return fail(w, c->at, "G0204", "nested deeper than 64");
    struct frame frame = {.node = node, .element = outer->element, .is_array = is_array};
    if (node != NONE && outer->is_array) {
        frame.own_element = frame.element = ++s->element_count;
        s->elements[frame.element] =
            (struct element){outer->element, outer->array, s->leaf_count, 0};
    }
    if (is_array && node != NONE) {
        frame.array = s->array_count++;
        s->arrays[frame.array] = (struct array){.first = s->leaf_count};
    } else if (!is_array) {
        frame.array = w->objects++;
    }
    w->frames[++w->depth] = frame;
    c->at++;
    skip_space(c);
    return true;
}

INLINE void close_container(struct walker *w, struct cursor *c)
{
    struct pattern_scratch *s = w->s;
    const struct frame *frame = &w->frames[w->depth--];
    if (frame->is_array && frame->node != NONE)
        s->arrays[frame->array].end = s->leaf_count;
    if (frame->own_element)
        s->elements[frame->own_element].end = s->leaf_count;
    c->at++;
}

/* The key at the cursor and its colon; *ret = the node that it leads to. */
INLINE bool read_key(struct walker *w, struct cursor *c, const struct frame *frame,
                     uint32_t key_mask, uint32_t *ret)
{
    if (c->p[c->at] != '"')
        return malformed(w, c->at, "expected a key in double quotes");
    size_t start = c->at, end = *c->end;
    *ret = NONE;
    if (frame->node != NONE || key_mask) {
        struct str key = content(w, c, start + 1, end);
        if (frame->node != NONE)
            *ret = find_child(w->s->set, frame->node, key);
        if (key_mask && !is_new_key(w, frame->array, key, key_mask))
            return fail(w, start, "G0206", "a key occurs twice in one object");
    }
    skip_string(c);
    skip_space(c);
    if (c->p[c->at] != ':')
        return malformed(w, c->at, "expected :");
    c->at++;
    skip_space(c);
    return true;
}

static bool no_array_open(const struct walker *w)
{
    for (unsigned i = 1; i <= w->depth; i++)
        if (w->frames[i].is_array)
            return false;
    return true;
}

INLINE bool walked(size_t *at, const struct cursor *c)
{
    *at = c->at;
    return true;
}

/* From the root's brace to behind its end. `key_mask`: of the table of keys, 0 = do not look for
 * duplicates. */
INLINE bool walk(struct walker *w, struct str text, size_t *at, const uint32_t key_mask,
                 const bool early_stop)
{
    struct cursor here = {text.ptr, text.len, *at, w->s->scan.ends}, *c = &here;
    uint32_t node = 0;
    w->frames[0] = (struct frame){.node = 0};
    for (;;) {
        /* At a value, below `node`. */
        const struct frame *frame = &w->frames[w->depth];
        char first = c->p[c->at];
        if (first == '{' || first == '[') {
            if (!key_mask && (node == NONE || (first == '{' && !w->s->set->nodes[node].names))) {
                struct cursor there = here;
                if (!skip_container(w, &there))
                    return false;
                here = there;
            } else {
                if (!open_container(w, c, node))
                    return false;
                frame = &w->frames[w->depth];
                if (c->p[c->at] != first + 2) {
                    if (first == '{' && !read_key(w, c, frame, key_mask, &node))
                        return false;
                    continue;
                }
                close_container(w, c);
                frame--;
            }
            if (w->depth == 0)
                return walked(at, c);
            if (c->at >= c->len)
                return malformed(w, c->at, "the object is not closed");
        } else if (!read_scalar(w, c, frame, node)) {
            return false;
        } else if (early_stop && w->s->unseen == 0 && no_array_open(w)) {
            *at = c->len;
            return true;
        }
        skip_space(c);
        while (c->p[c->at] == (frame->is_array ? ']' : '}')) {
            close_container(w, c);
            frame--;
            if (w->depth == 0)
                return walked(at, c);
            if (c->at >= c->len)
                return malformed(w, c->at, "the object is not closed");
            skip_space(c);
        }
        if (c->p[c->at] != ',')
            return malformed(w, c->at, frame->is_array ? "expected , or ]" : "expected , or }");
        c->at++;
        skip_space(c);
        node = frame->node;
        if (!frame->is_array && !read_key(w, c, frame, key_mask, &node))
            return false;
    }
}

static bool walk_plain(struct walker *w, struct str text, size_t *at)
{
    return walk(w, text, at, 0, false);
}

static bool walk_early(struct walker *w, struct str text, size_t *at)
{
    return walk(w, text, at, 0, true);
}

static bool walk_keys(struct walker *w, struct str text, size_t *at, bool early_stop)
{
    uint32_t mask = 63;
    while (mask < 2 * w->s->scan.end_count)
        mask = mask * 2 + 1;
    return walk(w, text, at, mask, early_stop);
}

static bool scan_event(struct walker *w)
{
    struct pattern_scratch *s = w->s;
    size_t at;
    enum json_scan_error error = json_scan(&s->scan, &at);
    if (!error)
        return true;
    bool utf8 = error == JSON_SCAN_UTF8 || error == JSON_SCAN_SURROGATE;
    return fail(w, at, utf8 ? "G0203" : "G0201", json_scan_message(error));
}

static bool read_event(struct walker *w, const struct pattern_options *options)
{
    struct pattern_scratch *s = w->s;
    struct str text = s->scan.text;
    if (text.len > LIMIT_EVENT_BYTES)
        return fail(w, 0, "G0205", "the event is longer than 1 MiB");
    if (!scan_event(w))
        return false;
    size_t at = json_skip_space(text, 0);
    if (at == text.len || text.ptr[at] != '{')
        return fail(w, at, at == text.len ? "G0201" : "G0202", "an event is a JSON object");
    while (text.len && json_skip_space(text, text.len - 1) == text.len)
        text.len--;
    if (text.ptr[text.len - 1] != '}')
        return fail(w, text.len - 1, "G0201", "malformed JSON: the event does not end with }");
    bool early = options && options->early_stop;
    bool ok = options && options->duplicate_keys == PATTERN_DUPLICATES_REFUSE
                  ? walk_keys(w, text, &at, early)
              : early ? walk_early(w, text, &at)
                      : walk_plain(w, text, &at);
    if (ok && at < text.len)
        return malformed(w, json_skip_space(text, at), "text after the event");
    return ok;
}

static void forget(struct pattern_scratch *s)
{
    const struct pattern_set *set = s->set;
    memset(s->fields, 0, set->field_count * sizeof *s->fields);
    memset(s->stamps, 0, set->condition_count * sizeof *s->stamps);
    memset(s->buts, 0, set->atom_count * sizeof *s->buts);
    memset(s->keys, 0, KEYS_TABLE * sizeof *s->keys);
    s->epoch = 0;
}

static void start(struct pattern_scratch *s, struct str event)
{
    if (s->epoch == UINT32_MAX)
        forget(s);
    s->epoch++;
    if (s->wildcard_epoch > UINT32_MAX - LEAVES_MAX) {
        memset(s->wildcard_stamps, 0, s->set->wildcard_count * sizeof *s->wildcard_stamps);
        s->wildcard_epoch = 0;
    }
    s->leaf_count = s->element_count = s->array_count = s->fired_count = s->failed_count = 0;
    s->field_seen_count = 0;
    s->unseen = s->set->field_count;
    s->text_used = 0;
    s->in_array = s->ordered = false;
    s->steps = 0;
    s->scan.text = event;
}

/* Moves the result's bits to tags, clearing them. */
static size_t collect_tags(struct pattern_scratch *s)
{
    const uint32_t *tags = s->set->tags;
    size_t count = 0;
    for (uint32_t i = 0; i <= s->set->tag_count / 4096; i++) {
        for (uint64_t words = s->summary[i]; words; words &= words - 1) {
            uint32_t word = i * 64 + (uint32_t)__builtin_ctzll(words);
            uint64_t bits = s->result[word];
            s->result[word] = 0;
            if (bits == UINT64_MAX) {
                memcpy(s->tags + count, tags + (size_t)word * 64, 64 * sizeof *tags);
                count += 64;
                continue;
            }
            for (; bits; bits &= bits - 1)
                s->tags[count++] = tags[word * 64 + (uint32_t)__builtin_ctzll(bits)];
        }
        s->summary[i] = 0;
    }
    return count;
}

bool pattern_match(const struct pattern_set *set, struct str event,
                   const struct pattern_options *options, struct pattern_scratch *s,
                   const uint32_t **ret_tags, size_t *ret_count, struct error *err)
{
    struct walker w __attribute__((uninitialized));
    ENSURE(s->set == set);
    start(s, event);
    w.s = s;
    w.err = err;
    w.depth = 0;
    w.objects = 0;
    if (!read_event(&w, options))
        return false;
    bool ok = decide_rules(s, err);
    size_t count = collect_tags(s);
    if (!ok)
        return false;
    *ret_tags = s->tags;
    *ret_count = count;
    return true;
}

/* ---- working memory ---- */

#define MAP_FROM ((size_t)64 << 10)
#define STAGGER ((size_t)9 * 64)

/* Zeroed. What is large is mapped, so that pages nobody touches are never made (calloc would clear
 * what it got back from an earlier scratch); the parts begin at different places of their pages, so
 * that their first bytes, the busiest, do not all compete for the same lines of the cache. */
static bool allocate(struct pattern_scratch *s, void *ret, size_t count, size_t size)
{
    struct scratch_block *block = &s->blocks[s->block_count];
    ENSURE(s->block_count < sizeof s->blocks / sizeof *s->blocks);
    size_t shift = s->block_count * STAGGER;
    block->size = (count ? count : 1) * size + shift;
    block->mapped = block->size >= MAP_FROM;
    block->memory = block->mapped ? mmap(NULL, block->size, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                                  : calloc(1, block->size);
    if (!block->memory || block->memory == MAP_FAILED)
        return false;
    s->block_count++;
    char *start = (char *)block->memory + shift;
    memcpy(ret, &start, sizeof start);
    return true;
}

static bool allocate_all(struct pattern_scratch *s)
{
    const struct pattern_set *set = s->set;
    size_t words = set->tag_count / 64 + 1;
    return allocate(s, &s->scan.ends, JSON_SCAN_ENDS(LIMIT_EVENT_BYTES), sizeof *s->scan.ends) &&
           allocate(s, &s->scan.escapes, JSON_SCAN_ESCAPES(LIMIT_EVENT_BYTES),
                    sizeof *s->scan.escapes) &&
           allocate(s, &s->leaves, LEAVES_MAX, sizeof *s->leaves) &&
           allocate(s, &s->elements, ELEMENTS_MAX, sizeof *s->elements) &&
           allocate(s, &s->arrays, ELEMENTS_MAX, sizeof *s->arrays) &&
           allocate(s, &s->leaf_order, LEAVES_MAX, sizeof *s->leaf_order) &&
           allocate(s, &s->keys, KEYS_TABLE, sizeof *s->keys) &&
           allocate(s, &s->text, LIMIT_EVENT_BYTES, 1) &&
           allocate(s, &s->folded, (size_t)3 * LIMIT_EVENT_BYTES, 1) &&
           allocate(s, &s->fields, set->field_count, sizeof *s->fields) &&
           allocate(s, &s->field_seen, set->field_count, sizeof *s->field_seen) &&
           allocate(s, &s->field_first, set->field_count, sizeof *s->field_first) &&
           allocate(s, &s->stamps, set->condition_count, sizeof *s->stamps) &&
           allocate(s, &s->fired, set->condition_count, sizeof *s->fired) &&
           allocate(s, &s->buts, set->atom_count, sizeof *s->buts) &&
           allocate(s, &s->failed, set->atom_count, sizeof *s->failed) &&
           allocate(s, &s->wildcard_stamps, set->wildcard_count, sizeof *s->wildcard_stamps) &&
           allocate(s, &s->result, words, sizeof *s->result) &&
           allocate(s, &s->summary, words / 64 + 1, sizeof *s->summary) &&
           allocate(s, &s->exclude, words, sizeof *s->exclude) &&
           allocate(s, &s->tags, set->tag_count, sizeof *s->tags);
}

struct pattern_scratch *pattern_scratch_create(const struct pattern_set *set)
{
    struct pattern_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->set = set;
    if (allocate_all(s))
        return s;
    pattern_scratch_destroy(s);
    return NULL;
}

void pattern_scratch_destroy(struct pattern_scratch *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->block_count; i++) {
        if (s->blocks[i].mapped)
            munmap(s->blocks[i].memory, s->blocks[i].size);
        else
            free(s->blocks[i].memory);
    }
    free(s);
}
