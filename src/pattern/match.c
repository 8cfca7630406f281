// SPDX-License-Identifier: Apache-2.0
/* One event against a set, from its text to tags, and the working memory for it. */
#include "pattern/walk_internal.h"

#include "base/ensure.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LEAVES_MAX (LIMIT_EVENT_BYTES / 2 + 1)   // "[1,1,...": two bytes each
#define ELEMENTS_MAX (LIMIT_EVENT_BYTES / 2 + 2) // "[[]]": two bytes each; [0] is none

#define EPOCH_MAX (UINT32_MAX - 1) // even

bool walk_refuse(const struct pattern_scratch *s, size_t at, const char *code, const char *what,
                 struct error *err)
{
    error_set(err, code, "%s", what);
    error_place(err, "", s->scan.text, at, 1);
    return false;
}

static bool scan_event(struct pattern_scratch *s, struct error *err)
{
    size_t at;
    enum json_scan_error error = s->scan_text(&s->scan, &at);
    if (!error)
        return true;
    bool utf8 = error == JSON_SCAN_UTF8 || error == JSON_SCAN_SURROGATE;
    return walk_refuse(s, at, utf8 ? "G0203" : "G0201", json_scan_message(error), err);
}

static bool read_event(struct pattern_scratch *s, const struct pattern_options *options,
                       struct error *err)
{
    struct str text = s->scan.text;
    if (text.len > LIMIT_EVENT_BYTES)
        return walk_refuse(s, 0, "G0205", "the event is longer than 1 MiB", err);
    if (!scan_event(s, err))
        return false;
    size_t at = json_skip_space(text, 0);
    if (at == text.len || text.ptr[at] != '{')
        return walk_refuse(s, at, at == text.len ? "G0201" : "G0202", "an event is a JSON object",
                           err);
    while (text.len && json_skip_space(text, text.len - 1) == text.len)
        text.len--;
    if (text.ptr[text.len - 1] != '}')
        return walk_refuse(s, text.len - 1, "G0201",
                           "malformed JSON: the event does not end with }", err);
    return s->walk(s, text, at, options, err);
}

static void forget(struct pattern_scratch *s)
{
    const struct pattern_set *set = s->set;
    memset(s->fields, 0, set->field_count * sizeof *s->fields);
    memset(s->stamps, 0, ((size_t)set->condition_count + 1) * sizeof *s->stamps);
    memset(s->link_stamps, 0, set->link_count * sizeof *s->link_stamps);
    memset(s->buts, 0, set->atom_count * sizeof *s->buts);
    memset(s->keys, 0, KEYS_TABLE * sizeof *s->keys);
    s->epoch = 0;
}

static void start(struct pattern_scratch *s, struct str event)
{
    if (s->epoch == EPOCH_MAX)
        forget(s);
    s->epoch += 2;
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
    ENSURE(s->set == set);
    start(s, event);
    if (!read_event(s, options, err))
        return false;
    leaf_evaluate_all(s);
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
           allocate(s, &s->stamps, (size_t)set->condition_count + 1, sizeof *s->stamps) &&
           allocate(s, &s->link_stamps, set->link_count, sizeof *s->link_stamps) &&
           allocate(s, &s->fired, (size_t)set->condition_count + 1, sizeof *s->fired) &&
           allocate(s, &s->candidates, (size_t)set->rule_count + 1, sizeof *s->candidates) &&
           allocate(s, &s->buts, set->atom_count, sizeof *s->buts) &&
           allocate(s, &s->failed, set->atom_count, sizeof *s->failed) &&
           allocate(s, &s->wildcard_stamps, set->wildcard_count, sizeof *s->wildcard_stamps) &&
           allocate(s, &s->result, words, sizeof *s->result) &&
           allocate(s, &s->summary, words / 64 + 1, sizeof *s->summary) &&
           allocate(s, &s->exclude, words, sizeof *s->exclude) &&
           allocate(s, &s->denied, words, sizeof *s->denied) &&
           allocate(s, &s->tags, set->tag_count, sizeof *s->tags);
}

struct pattern_scratch *pattern_scratch_create(const struct pattern_set *set)
{
    struct pattern_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->set = set;
    s->scan_text = json_scan;
    s->walk = walk_fastest();
    if (allocate_all(s))
        return s;
    pattern_scratch_destroy(s);
    return NULL;
}

void pattern_scratch_use_portable(struct pattern_scratch *s)
{
    s->scan_text = json_scan_plain;
    s->walk = walk_event;
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
