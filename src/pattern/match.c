// SPDX-License-Identifier: Apache-2.0
/* Walks one event once, validating all of it, along the tree of paths: below what no pattern names
 * only the grammar is checked. What the patterns name becomes leaves.
 *
 * Invariant of the walk: the event's last byte that is not white space is `}`, so as long as no
 * bracket closes, the byte behind what was read exists. */
#include "pattern/pattern_internal.h"

#include "base/ensure.h"

#include <stdlib.h>

#define LEAVES_MAX (LIMIT_EVENT_BYTES / 2 + 1)   // "[1,1,...": two bytes each
#define ELEMENTS_MAX (LIMIT_EVENT_BYTES / 2 + 2) // "[[]]": two bytes each; [0] is none
#define KEYS_TABLE ((size_t)1 << 20)             // slots: twice the most strings of an event

struct frame {
    uint32_t node;    // of the paths; NONE: nothing here is named
    uint32_t element; // innermost element around its content
    uint32_t array;   // of an array: itself; of an object: its number, for duplicate keys
    uint32_t own_element; // element that this container is, or 0
    bool is_array;
};

struct walker {
    struct pattern_scratch *s;
    struct str text; // without white space at the end
    const uint32_t *end; // of the next string
    size_t at;
    unsigned depth;
    uint32_t objects;
    struct error *err;
    struct frame frames[LIMIT_JSON_DEPTH + 1];
};

#define INLINE static inline __attribute__((always_inline))

static __attribute__((noinline, cold)) bool fail(struct walker *w, size_t at, const char *code,
                                                 const char *what)
{
    error_set(w->err, code, "%s", what);
    error_place(w->err, "", w->s->scan.text, at, 1);
    return false;
}

static __attribute__((noinline, cold)) bool malformed(struct walker *w, const char *what)
{
    error_set(w->err, "G0201", "malformed JSON: %s", what);
    error_place(w->err, "", w->s->scan.text, w->at, 1);
    return false;
}

INLINE void skip_space(struct walker *w)
{
    if ((unsigned char)w->text.ptr[w->at] <= ' ')
        w->at = json_skip_space(w->text, w->at);
}

/* ---- what nothing names ---- */

INLINE void skip_string(struct walker *w)
{
    w->at = *w->end++ + 1;
}

INLINE bool skip_scalar(struct walker *w)
{
    char c = w->text.ptr[w->at];
    size_t end;
    if (c == '"') {
        skip_string(w);
        return true;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        end = json_number_end(w->text, w->at);
        if (!end)
            return malformed(w, "bad number");
    } else {
        end = json_literal_end(w->text, w->at);
        if (!end)
            return malformed(w, "expected a value");
    }
    w->at = end;
    return true;
}

INLINE bool skip_key(struct walker *w)
{
    if (w->text.ptr[w->at] != '"')
        return malformed(w, "expected a key in double quotes");
    skip_string(w);
    skip_space(w);
    if (w->text.ptr[w->at] != ':')
        return malformed(w, "expected :");
    w->at++;
    skip_space(w);
    return true;
}

/* Checks the object or array at the cursor and all that is in it. One bit a level: is it an array? */
static bool skip_container(struct walker *w)
{
    uint64_t arrays = 0;
    unsigned depth = w->depth;
    const unsigned outer = depth;
    for (;;) {
        /* At a value. */
        char c = w->text.ptr[w->at];
        if (c == '{' || c == '[') {
            if (depth == LIMIT_JSON_DEPTH)
                return fail(w, w->at, "G0204", "nested deeper than 64");
            arrays = arrays << 1 | (c == '[');
            depth++;
            w->at++;
            skip_space(w);
            if (w->text.ptr[w->at] != c + 2) {
                if (c == '{' && !skip_key(w))
                    return false;
                continue;
            }
        } else if (skip_scalar(w)) {
            skip_space(w);
        } else {
            return false;
        }
        /* Behind a value, or at the bracket that closes an empty container. */
        while (w->text.ptr[w->at] == (arrays & 1 ? ']' : '}')) {
            w->at++;
            arrays >>= 1;
            if (--depth == outer)
                return true;
            if (w->at >= w->text.len)
                return malformed(w, "the object is not closed");
            skip_space(w);
        }
        if (w->text.ptr[w->at] != ',')
            return malformed(w, arrays & 1 ? "expected , or ]" : "expected , or }");
        w->at++;
        skip_space(w);
        if (!(arrays & 1) && !skip_key(w))
            return false;
    }
}

/* ---- keys ---- */

static bool has_dot(const char *p, size_t len)
{
    const uint64_t ones = 0x0101010101010101u, dots = ones * '.';
    if (len < 8) {
        uint64_t x = load_short(p, len) ^ dots;
        return ((x - ones) & ~x & ones << 7 & (((uint64_t)1 << 8 * len) - 1)) != 0;
    }
    uint64_t found = 0;
    for (size_t i = 0; i + 8 < len; i += 8) {
        uint64_t x = load8(p + i) ^ dots;
        found |= (x - ones) & ~x;
    }
    uint64_t x = load8(p + len - 8) ^ dots;
    return ((found | ((x - ones) & ~x)) & ones << 7) != 0;
}

INLINE uint32_t step(const struct node *node, struct str name)
{
    if (!(node->lengths >> (name.len < 63 ? name.len : 63) & 1))
        return NONE;
    return table_find(node->slots, node->mask, name.ptr, name.len);
}

/* The node below `node` for a key, which may be several steps with dots between. */
INLINE uint32_t find_child(const struct pattern_set *set, uint32_t node, struct str key)
{
    uint32_t child = step(&set->nodes[node], key);
    if (child != NONE || !set->nodes[node].lengths || !has_dot(key.ptr, key.len))
        return child;
    child = node;
    do
        child = step(&set->nodes[child], str_cut(&key, '.'));
    while (key.ptr && child != NONE);
    return child;
}

/* A string's content: as it is, or decoded into the scratch. */
INLINE struct str content(struct walker *w, size_t start, size_t end)
{
    struct str raw = {w->text.ptr + start, end - start};
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

INLINE void add_leaf(struct walker *w, const struct frame *frame, uint32_t node, uint8_t kind,
                     struct str text)
{
    struct pattern_scratch *s = w->s;
    uint32_t field = s->set->nodes[node].field;
    if (field == NONE)
        return;
    struct leaf *leaf = &s->leaves[s->leaf_count];
    *leaf = (struct leaf){text.ptr, (uint32_t)text.len, field, frame->element, kind};
    leaf_evaluate(s, leaf);
    s->leaf_count++;
}

/* A scalar at the cursor, below `node` of `frame`. */
INLINE bool read_scalar(struct walker *w, const struct frame *frame, uint32_t node)
{
    size_t start = w->at;
    char c = w->text.ptr[start];
    if (node == NONE)
        return skip_scalar(w);
    if (c == '"') {
        size_t end = *w->end;
        skip_string(w);
        add_leaf(w, frame, node, LEAF_STRING, content(w, start + 1, end));
        return true;
    }
    if (!skip_scalar(w))
        return false;
    uint8_t kind = c == 't' ? LEAF_TRUE : c == 'f' ? LEAF_FALSE : c == 'n' ? LEAF_NULL : LEAF_NUMBER;
    add_leaf(w, frame, node, kind, (struct str){w->text.ptr + start, w->at - start});
    return true;
}

/* Enters the container at the cursor. */
INLINE bool open_container(struct walker *w, uint32_t node)
{
    struct pattern_scratch *s = w->s;
    const struct frame *outer = &w->frames[w->depth];
    bool is_array = w->text.ptr[w->at] == '[';
    if (w->depth == LIMIT_JSON_DEPTH)
        return fail(w, w->at, "G0204", "nested deeper than 64");
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
    w->at++;
    skip_space(w);
    return true;
}

INLINE void close_container(struct walker *w)
{
    struct pattern_scratch *s = w->s;
    const struct frame *frame = &w->frames[w->depth--];
    if (frame->is_array && frame->node != NONE)
        s->arrays[frame->array].end = s->leaf_count;
    if (frame->own_element)
        s->elements[frame->own_element].end = s->leaf_count;
    w->at++;
}

/* The key at the cursor and its colon; *ret = the node that it leads to. */
INLINE bool read_key(struct walker *w, const struct frame *frame, uint32_t key_mask, uint32_t *ret)
{
    if (w->text.ptr[w->at] != '"')
        return malformed(w, "expected a key in double quotes");
    size_t start = w->at, end = *w->end;
    *ret = NONE;
    if (frame->node != NONE || key_mask) {
        struct str key = content(w, start + 1, end);
        if (frame->node != NONE)
            *ret = find_child(w->s->set, frame->node, key);
        if (key_mask && !is_new_key(w, frame->array, key, key_mask))
            return fail(w, start, "G0206", "a key occurs twice in one object");
    }
    skip_string(w);
    skip_space(w);
    if (w->text.ptr[w->at] != ':')
        return malformed(w, "expected :");
    w->at++;
    skip_space(w);
    return true;
}

static bool no_array_open(const struct walker *w)
{
    for (unsigned i = 1; i <= w->depth; i++)
        if (w->frames[i].is_array)
            return false;
    return true;
}

/* From the root's brace to behind its end. `key_mask`: of the table of keys, 0 = do not look for
 * duplicates. */
INLINE bool walk(struct walker *w, const uint32_t key_mask, const bool early_stop)
{
    uint32_t node = 0;
    w->frames[0] = (struct frame){.node = 0};
    for (;;) {
        /* At a value, below `node`. */
        const struct frame *frame = &w->frames[w->depth];
        char c = w->text.ptr[w->at];
        if (c == '{' || c == '[') {
            if (node == NONE && !key_mask) {
                if (!skip_container(w))
                    return false;
            } else {
                if (!open_container(w, node))
                    return false;
                frame = &w->frames[w->depth];
                if (w->text.ptr[w->at] != c + 2) {
                    if (c == '{' && !read_key(w, frame, key_mask, &node))
                        return false;
                    continue;
                }
                close_container(w);
                frame--;
            }
            if (w->depth == 0)
                return true;
            if (w->at >= w->text.len)
                return malformed(w, "the object is not closed");
        } else if (!read_scalar(w, frame, node)) {
            return false;
        } else if (early_stop && w->s->unseen == 0 && no_array_open(w)) {
            w->at = w->text.len;
            return true;
        }
        skip_space(w);
        while (w->text.ptr[w->at] == (frame->is_array ? ']' : '}')) {
            close_container(w);
            frame--;
            if (w->depth == 0)
                return true;
            if (w->at >= w->text.len)
                return malformed(w, "the object is not closed");
            skip_space(w);
        }
        if (w->text.ptr[w->at] != ',')
            return malformed(w, frame->is_array ? "expected , or ]" : "expected , or }");
        w->at++;
        skip_space(w);
        node = frame->node;
        if (!frame->is_array && !read_key(w, frame, key_mask, &node))
            return false;
    }
}

static bool walk_plain(struct walker *w)
{
    return walk(w, 0, false);
}

static bool walk_early(struct walker *w)
{
    return walk(w, 0, true);
}

static bool walk_keys(struct walker *w, bool early_stop)
{
    uint32_t mask = 63;
    while (mask < 2 * w->s->scan.end_count)
        mask = mask * 2 + 1;
    return walk(w, mask, early_stop);
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
    w->at = json_skip_space(text, 0);
    if (w->at == text.len || text.ptr[w->at] != '{')
        return fail(w, w->at, w->at == text.len ? "G0201" : "G0202", "an event is a JSON object");
    while (text.len && json_skip_space(text, text.len - 1) == text.len)
        text.len--;
    w->text = text;
    w->end = s->scan.ends;
    if (text.ptr[text.len - 1] != '}')
        return fail(w, text.len - 1, "G0201", "malformed JSON: the event does not end with }");
    bool early = options && options->early_stop;
    bool ok = options && options->duplicate_keys == PATTERN_DUPLICATES_REFUSE ? walk_keys(w, early)
              : early                                                          ? walk_early(w)
                                                                               : walk_plain(w);
    if (ok && w->at < text.len)
        return malformed(w, "text after the event");
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
    w.at = 0;
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

static bool allocate(void *ret, size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    memcpy(ret, &memory, sizeof memory);
    return memory != NULL;
}

/* calloc of what is large gives pages that are nobody's until they are touched. */
static bool allocate_all(struct pattern_scratch *s)
{
    const struct pattern_set *set = s->set;
    size_t words = set->tag_count / 64 + 1;
    return allocate(&s->scan.ends, JSON_SCAN_ENDS(LIMIT_EVENT_BYTES), sizeof *s->scan.ends) &&
           allocate(&s->scan.escapes, JSON_SCAN_ESCAPES(LIMIT_EVENT_BYTES),
                    sizeof *s->scan.escapes) &&
           allocate(&s->leaves, LEAVES_MAX, sizeof *s->leaves) &&
           allocate(&s->elements, ELEMENTS_MAX, sizeof *s->elements) &&
           allocate(&s->arrays, ELEMENTS_MAX, sizeof *s->arrays) &&
           allocate(&s->leaf_order, LEAVES_MAX, sizeof *s->leaf_order) &&
           allocate(&s->keys, KEYS_TABLE, sizeof *s->keys) &&
           allocate(&s->text, LIMIT_EVENT_BYTES, 1) &&
           allocate(&s->folded, (size_t)3 * LIMIT_EVENT_BYTES, 1) &&
           allocate(&s->fields, set->field_count, sizeof *s->fields) &&
           allocate(&s->field_seen, set->field_count, sizeof *s->field_seen) &&
           allocate(&s->field_first, set->field_count, sizeof *s->field_first) &&
           allocate(&s->stamps, set->condition_count, sizeof *s->stamps) &&
           allocate(&s->fired, set->condition_count, sizeof *s->fired) &&
           allocate(&s->buts, set->atom_count, sizeof *s->buts) &&
           allocate(&s->failed, set->atom_count, sizeof *s->failed) &&
           allocate(&s->wildcard_stamps, set->wildcard_count, sizeof *s->wildcard_stamps) &&
           allocate(&s->result, words, sizeof *s->result) &&
           allocate(&s->summary, words / 64 + 1, sizeof *s->summary) &&
           allocate(&s->exclude, words, sizeof *s->exclude) &&
           allocate(&s->tags, set->tag_count, sizeof *s->tags);
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
    void *const all[] = {s->scan.ends, s->scan.escapes, s->leaves,     s->elements, s->arrays,
                         s->leaf_order,  s->keys,         s->text,       s->folded,   s->fields,
                         s->field_seen,  s->field_first,  s->stamps,     s->fired,    s->buts,
                         s->failed,      s->wildcard_stamps, s->result,  s->summary,  s->exclude,
                         s->tags};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(s);
}
