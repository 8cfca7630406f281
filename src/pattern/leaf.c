// SPDX-License-Identifier: Apache-2.0
/* One leaf against the atoms of its field. Each distinct atom is decided once a leaf, whatever
 * number of rules share it, and only those that are true cost more than the look-up that finds
 * them. */
#include "pattern/pattern_internal.h"

#include "value/number.h"

/* ---- what follows from a true atom ---- */

static void exclude(struct pattern_scratch *s, uint32_t but)
{
    struct but_state *state = &s->buts[but];
    if (state->epoch != s->epoch) {
        *state = (struct but_state){.epoch = s->epoch, .leaf = NONE};
        s->failed[s->failed_count++] = but;
    }
    if (state->leaf == s->leaf)
        return;
    state->leaf = s->leaf;
    state->fails++;
    s->fields[s->set->atoms[but].field].failed = true;
}

/* Of an atom from which several things follow. */
static __attribute__((noinline)) void fire_many(struct pattern_scratch *s, const struct atom *atom)
{
    const uint32_t *postings = s->set->postings, epoch = s->epoch;
    uint32_t *stamps = s->stamps, *fired = s->fired, count = s->fired_count;
    for (uint32_t i = atom->conditions.first; i < atom->conditions.end; i++) {
        uint32_t condition = postings[i] & ~CONDITION_WAITED;
        fired[count] = condition;
        count += (stamps[condition] != epoch) & (condition != postings[i]);
        stamps[condition] = epoch;
    }
    s->fired_count = count;
    for (uint32_t i = atom->excludes.first; i < atom->excludes.end; i++)
        exclude(s, postings[i]);
}

static inline void fire(struct pattern_scratch *s, uint32_t id)
{
    uint32_t outcome = s->set->outcomes[id], condition = outcome & ~CONDITION_WAITED;
    if (__builtin_expect((outcome & OUTCOME_TAG) != 0, 0)) {
        if (outcome == OUTCOME_MANY)
            fire_many(s, &s->set->atoms[id]);
        else
            set_tag(s, outcome & ~OUTCOME_TAG);
        return;
    }
    s->fired[s->fired_count] = condition;
    s->fired_count += (s->stamps[condition] != s->epoch) & (condition != outcome);
    s->stamps[condition] = s->epoch;
}

/* Does nothing follow from an atom's being true of other leaves as well? */
static bool fires_once(const struct pattern_set *set, uint32_t id)
{
    struct span excludes = set->atoms[id].excludes;
    return set->outcomes[id] != OUTCOME_MANY || excludes.first == excludes.end;
}

/* ---- strings ---- */

static inline char byte_at(struct str s, size_t i, bool back)
{
    return back ? s.ptr[s.len - 1 - i] : s.ptr[i];
}

/* First eight bytes (or last, backwards) as a number in the order of the texts. */
static uint64_t head_of(struct str s, bool back)
{
    if (s.len < 8) {
        uint64_t head = 0;
        for (size_t i = 0; i < s.len; i++)
            head |= (uint64_t)(unsigned char)byte_at(s, i, back) << (56 - 8 * i);
        return head;
    }
    return back ? load8(s.ptr + s.len - 8) : __builtin_bswap64(load8(s.ptr));
}

static size_t common_length(struct str key, struct str s, bool back)
{
    size_t limit = key.len < s.len ? key.len : s.len, n = 0;
    while (n < limit && key.ptr[n] == byte_at(s, n, back))
        n++;
    return n;
}

/* Is key (forward) at most s (in its direction)? */
static bool at_most(struct str key, struct str s, bool back)
{
    size_t n = common_length(key, s, back);
    if (n == key.len)
        return true;
    return n < s.len && (unsigned char)key.ptr[n] < (unsigned char)byte_at(s, n, back);
}

/* Calls `found` with each atom whose key `s` begins with. */
static inline void each_affix(const struct affixes *affixes, struct str s, bool back,
                              void (*found)(struct pattern_scratch *, uint32_t, struct str),
                              struct pattern_scratch *scratch, struct str original)
{
    uint32_t low = 0, high = affixes->count;
    uint64_t head = head_of(s, back);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        bool below = affixes->heads[middle] != head ? affixes->heads[middle] < head
                                                    : at_most(affixes->keys[middle], s, back);
        if (below)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return;
    size_t common = common_length(affixes->keys[low - 1], s, back);
    for (uint32_t at = low - 1; at != NONE; at = affixes->parents[at])
        if (affixes->keys[at].len <= common)
            found(scratch, affixes->atoms[at], original);
}

static void found_affix(struct pattern_scratch *s, uint32_t atom, struct str value)
{
    (void)value;
    fire(s, atom);
}

static void found_fold_prefix(struct pattern_scratch *s, uint32_t atom, struct str value)
{
    if (fold_prefix(s->set->atoms[atom].operand, value))
        fire(s, atom);
}

static void found_fold_suffix(struct pattern_scratch *s, uint32_t atom, struct str value)
{
    if (fold_suffix(s->set->atoms[atom].operand, value))
        fire(s, atom);
}

static __attribute__((noinline)) void evaluate_folds(struct pattern_scratch *s,
                                                     const struct indexes *in, struct str value)
{
    bool ascii = fold_ascii(value, s->folded);
    struct str folded = {s->folded, ascii ? value.len : fold_text(value, s->folded)};
    if (in->folds.count) {
        struct table_key key = table_key(folded.ptr, folded.len);
        const struct table_slot *slot;
        for (uint32_t at = (uint32_t)key.hash;
             (slot = &in->folds.slots[at & in->folds.mask])->value != NONE; at++)
            if (slot->head == key.head && slot->len == folded.len &&
                memcmp(slot->key, folded.ptr, folded.len) == 0 &&
                ((ascii && str_eq(s->set->atoms[slot->value].operand, folded)) ||
                 fold_equal(s->set->atoms[slot->value].operand, value)))
                fire(s, slot->value);
    }
    if (in->fold_prefixes.count)
        each_affix(&in->fold_prefixes, folded, false, found_fold_prefix, s, value);
    if (in->fold_suffixes.count)
        each_affix(&in->fold_suffixes, folded, true, found_fold_suffix, s, value);
}

static inline uint32_t load4(const char *p)
{
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

/* str_find() for short texts. */
static size_t find_piece(struct str s, struct str piece)
{
    if (piece.len < 4)
        return str_find(s, piece);
    uint32_t head = load4(piece.ptr);
    for (size_t i = 0; i + piece.len <= s.len; i++)
        if (load4(s.ptr + i) == head && memcmp(s.ptr + i, piece.ptr, piece.len) == 0)
            return i;
    return SIZE_MAX;
}

bool wildcard_matches(struct str operand, struct str s)
{
    struct str rest = operand, piece = str_cut(&rest, WILDCARD_STAR);
    if (!rest.ptr)
        return str_eq(operand, s);
    if (!str_starts(s, piece))
        return false;
    s = str_sub(s, piece.len, SIZE_MAX);
    for (;;) {
        piece = str_cut(&rest, WILDCARD_STAR);
        if (!rest.ptr)
            return str_ends(s, piece);
        size_t at = find_piece(s, piece);
        if (at == SIZE_MAX)
            return false;
        s = str_sub(s, at + piece.len, SIZE_MAX);
    }
}

/* The gram stands at `at` of the value. */
static void check_wildcards(struct pattern_scratch *s, const struct wildcards *wildcards,
                            const struct grams *grams, uint32_t gram, size_t at, struct str value)
{
    uint32_t slot = gram * 0x9E3779B1u & grams->slot_mask;
    while (grams->slots[slot].uses.end && grams->slots[slot].gram != gram)
        slot = (slot + 1) & grams->slot_mask;
    struct span span = grams->slots[slot].uses;
    for (uint32_t i = span.first; i < span.end; i++) {
        const struct gram_use *use = &grams->uses[i];
        if (at < use->offset || !str_starts(str_sub(value, at - use->offset, SIZE_MAX), use->piece))
            continue;
        uint32_t *stamp = &s->wildcard_stamps[wildcards->stamp_first + use->wildcard];
        if (*stamp == s->wildcard_epoch)
            continue;
        *stamp = s->wildcard_epoch;
        if (wildcard_matches(wildcards->items[use->wildcard].operand, value))
            fire(s, wildcards->items[use->wildcard].atom);
    }
}

static inline bool gram_may_occur(const struct grams *grams, uint32_t gram)
{
    uint32_t bit = gram * 0x9E3779B1u >> grams->bitmap_shift;
    return grams->bitmap[bit / 64] >> bit % 64 & 1;
}

/* Grams at the positions of `value` from `at` to before `end`, four bytes of which can be read. */
static void look_for_grams(struct pattern_scratch *s, const struct wildcards *wildcards,
                           const struct grams *from, size_t at, size_t end, struct str value)
{
    const struct grams grams = *from; // in registers
    for (; at < end; at++) {
        uint32_t gram = load4(value.ptr + at) & grams.mask;
        if (__builtin_expect(gram_may_occur(&grams, gram), 0))
            check_wildcards(s, wildcards, from, gram, at, value);
    }
}

static __attribute__((noinline)) void
evaluate_wildcards(struct pattern_scratch *s, const struct wildcards *wildcards, struct str value)
{
    s->wildcard_epoch++;
    for (uint32_t i = 0; i < wildcards->gram_count; i++) {
        const struct grams *grams = &wildcards->grams[i];
        if (value.len < grams->length)
            continue;
        size_t end = grams->at_start ? 1 : value.len - grams->length + 1;
        size_t readable = value.len < 4 ? 0 : value.len - 3;
        look_for_grams(s, wildcards, grams, 0, end < readable ? end : readable, value);
        for (size_t at = readable; at < end; at++) {
            char padded[4] = {0};
            memcpy(padded, value.ptr + at, grams->length);
            uint32_t gram = load4(padded);
            if (gram_may_occur(grams, gram))
                check_wildcards(s, wildcards, grams, gram, at, value);
        }
    }
}

static void evaluate_blocks(struct pattern_scratch *s, const struct blocks *blocks,
                            unsigned __int128 address)
{
    uint32_t low = 0, high = blocks->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (blocks->first[middle] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t at = low ? low - 1 : NONE; at != NONE; at = blocks->parents[at])
        if (address <= blocks->last[at])
            fire(s, blocks->atoms[at]);
}

static __attribute__((noinline)) void evaluate_address(struct pattern_scratch *s,
                                                       const struct indexes *in, struct str value)
{
    struct address address;
    if (!address_parse(value, &address))
        return;
    uint32_t atom = table_get(&in->addresses, (const char *)&address, sizeof address);
    if (atom != NONE)
        fire(s, atom);
    evaluate_blocks(s, &in->blocks[address.version == 6], address_number(&address));
}

/* All but exact strings. */
static __attribute__((noinline)) void evaluate_beyond_string(struct pattern_scratch *s,
                                                             const struct indexes *in,
                                                             unsigned needs, struct str value)
{
    if (needs & NEEDS_PREFIX)
        each_affix(&in->prefixes, value, false, found_affix, s, value);
    if (needs & NEEDS_SUFFIX)
        each_affix(&in->suffixes, value, true, found_affix, s, value);
    if (needs & NEEDS_FOLD)
        evaluate_folds(s, in, value);
    if (needs & NEEDS_WILDCARD)
        evaluate_wildcards(s, &in->wildcards, value);
    if (needs & NEEDS_ADDRESS)
        evaluate_address(s, in, value);
}

static inline void evaluate_string(struct pattern_scratch *s, const struct field *field,
                                   unsigned needs, struct str value)
{
    if (needs & NEEDS_STRING) {
        uint32_t atom = table_find(field->strings.slots, field->strings.mask, value.ptr, value.len);
        if (atom != NONE)
            fire(s, atom);
    }
    if (needs & NEEDS_BEYOND_STRING)
        evaluate_beyond_string(s, field->indexes, needs, value);
}

/* ---- numbers ---- */

struct number_leaf {
    struct number_parts parts;
    double value;
    uint64_t key;
    enum { UNKNOWN, EXACT, INEXACT } exact;
};

/* Comparable only if the text is the double's own: asked for when something would match. */
static bool is_exact(struct number_leaf *number)
{
    if (number->exact == UNKNOWN)
        number->exact = number_parts_are_shortest(&number->parts, number->value) ? EXACT : INEXACT;
    return number->exact == EXACT;
}

/* One bit each of up to RANGE_FAN values: is it at least `key`? */
static inline uint32_t at_least(const uint64_t *values, uint32_t count, uint64_t key)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < count; i++)
        bits |= (uint32_t)(values[i] >= key) << i;
    return bits;
}

/* Up to RANGE_FAN ranges, all at once. */
static void evaluate_few_ranges(struct pattern_scratch *s, struct field_state *state,
                                const struct ranges *ranges, struct number_leaf *number)
{
    uint32_t bits = at_least(ranges->high, ranges->count, number->key) & ~(uint32_t)state->settled;
    bits &= ~at_least(ranges->low, ranges->count, number->key + 1);
    for (; bits && is_exact(number); bits &= bits - 1) {
        uint32_t atom = ranges->atoms[__builtin_ctz(bits)];
        fire(s, atom);
        if (fires_once(s->set, atom))
            state->settled |= (uint16_t)(bits & -bits);
    }
}

/* Those of one group of level `level` (0: of ranges) that are among the first `limit`, which begin
 * at or below the number. */
static void visit_ranges(struct pattern_scratch *s, const struct ranges *ranges, uint32_t level,
                         uint32_t group, uint32_t limit, struct number_leaf *number)
{
    const uint64_t *values = level ? ranges->greatest[level - 1] : ranges->high;
    uint32_t first = group * RANGE_FAN, count = ((limit - 1) >> level * RANGE_FAN_BITS) + 1 - first;
    uint32_t bits = at_least(values + first, count < RANGE_FAN ? count : RANGE_FAN, number->key);
    for (; bits && level; bits &= bits - 1)
        visit_ranges(s, ranges, level - 1, first + (uint32_t)__builtin_ctz(bits), limit, number);
    for (; bits && is_exact(number); bits &= bits - 1)
        fire(s, ranges->atoms[first + (uint32_t)__builtin_ctz(bits)]);
}

static void evaluate_ranges(struct pattern_scratch *s, const struct ranges *ranges,
                            struct number_leaf *number)
{
    uint32_t low = 0, high = ranges->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ranges->low[middle] <= number->key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low)
        visit_ranges(s, ranges, ranges->levels - 1, 0, low, number);
}

static __attribute__((noinline)) void evaluate_number(struct pattern_scratch *s,
                                                      const struct leaf *leaf, unsigned needs)
{
    const struct indexes *in = s->set->fields[leaf->field].indexes;
    struct str text = {leaf->ptr, leaf->len};
    if (needs & NEEDS_NUMBER_TEXT) {
        uint32_t atom = table_get(&in->number_texts, text.ptr, text.len);
        if (atom != NONE)
            fire(s, atom);
    }
    if (!(needs & NEEDS_NUMBER))
        return;
    struct number_leaf number = {.exact = UNKNOWN};
    number.value = number_parse_parts(text, leaf->point, &number.parts);
    number.key = ordered_double(number.value);
    if (in->numbers.count) {
        uint32_t atom = table_get(&in->numbers, (const char *)&number.key, sizeof number.key);
        if (atom != NONE && is_exact(&number))
            fire(s, atom);
    }
    if (in->ranges.count <= RANGE_FAN)
        evaluate_few_ranges(s, &s->fields[leaf->field], &in->ranges, &number);
    else
        evaluate_ranges(s, &in->ranges, &number);
}

/* ---- leaves ---- */

static inline void evaluate(struct pattern_scratch *s, const struct leaf *leaf, unsigned needs)
{
    if (leaf->kind == LEAF_STRING)
        evaluate_string(s, &s->set->fields[leaf->field], needs, (struct str){leaf->ptr, leaf->len});
    else if (leaf->kind == LEAF_NUMBER && needs & (NEEDS_NUMBER | NEEDS_NUMBER_TEXT))
        evaluate_number(s, leaf, needs);
}

void leaf_evaluate_all(struct pattern_scratch *s)
{
    for (s->leaf = 0; s->leaf < s->leaf_count; s->leaf++) {
        const struct leaf *leaf = &s->leaves[s->leaf];
        const struct field *field = &s->set->fields[leaf->field];
        struct field_state *state = &s->fields[leaf->field];
        if (state->first == s->leaf && field->kinds[0] != NONE)
            fire(s, field->kinds[0]);
        if (leaf->element)
            state->in_array = s->in_array = true;
        if (leaf->kind > LEAF_NUMBER && field->kinds[leaf->kind] != NONE)
            fire(s, field->kinds[leaf->kind]);
        evaluate(s, leaf, field->needs);
    }
}

void leaf_evaluate_late(struct pattern_scratch *s, uint32_t id, unsigned needs)
{
    struct field_state *state = &s->fields[id];
    struct span span = {0, 1};
    if (state->leaves > 1)
        span = leaves_of_field(s, id);
    state->late |= (uint8_t)needs;
    for (uint32_t i = span.first; i < span.end; i++) {
        s->leaf = state->leaves > 1 ? s->leaf_order[i] : state->first;
        evaluate(s, &s->leaves[s->leaf], needs);
    }
}

/* ---- one atom, one leaf: for arrays and explanations ---- */

static bool string_satisfies(const struct atom *atom, struct str value)
{
    struct address wanted, address;
    switch ((enum atom_kind)atom->kind) {
    case ATOM_STRING:
        return str_eq(atom->operand, value);
    case ATOM_PREFIX:
        return str_starts(value, atom->operand);
    case ATOM_SUFFIX:
        return str_ends(value, atom->operand);
    case ATOM_FOLD:
        return fold_equal(atom->operand, value);
    case ATOM_FOLD_PREFIX:
        return fold_prefix(atom->operand, value);
    case ATOM_FOLD_SUFFIX:
        return fold_suffix(atom->operand, value);
    case ATOM_WILDCARD:
        return wildcard_matches(atom->operand, value);
    case ATOM_IP:
    case ATOM_CIDR:
        memcpy(&wanted, atom->operand.ptr, sizeof wanted);
        if (!address_parse(value, &address) || address.version != wanted.version)
            return false;
        if (atom->kind == ATOM_CIDR)
            address = address_mask(address, wanted.bits);
        return memcmp(&address, &wanted, sizeof wanted) == 0;
    default:
        return false;
    }
}

static bool number_satisfies(const struct atom *atom, struct str text)
{
    struct range range;
    if (atom->kind == ATOM_NUMBER_TEXT)
        return str_eq(atom->operand, text);
    if (atom->kind != ATOM_NUMBER && atom->kind != ATOM_RANGE)
        return false;
    double d = number_parse(text);
    uint64_t key = ordered_double(d);
    if (atom->kind == ATOM_NUMBER) {
        memcpy(&range.low, atom->operand.ptr, sizeof range.low);
        range.high = range.low;
    } else {
        memcpy(&range, atom->operand.ptr, sizeof range);
    }
    return range.low <= key && key <= range.high && number_is_shortest(text, d);
}

bool leaf_satisfies(const struct pattern_set *set, uint32_t id, const struct leaf *leaf)
{
    const struct atom *atom = &set->atoms[id];
    struct str text = {leaf->ptr, leaf->len};
    switch ((enum atom_kind)atom->kind) {
    case ATOM_EXISTS:
        return true;
    case ATOM_TRUE:
        return leaf->kind == LEAF_TRUE;
    case ATOM_FALSE:
        return leaf->kind == LEAF_FALSE;
    case ATOM_NULL:
        return leaf->kind == LEAF_NULL;
    case ATOM_BUT: {
        const uint32_t *parts = (const uint32_t *)(const void *)atom->operand.ptr;
        /* Parts are never anything-buts themselves, so this goes one level deep. */
        for (size_t i = 0; i < atom->operand.len / sizeof *parts; i++)
            if (leaf_satisfies(set, parts[i], leaf))
                return false;
        return true;
    }
    default:
        return leaf->kind == LEAF_STRING   ? string_satisfies(atom, text)
               : leaf->kind == LEAF_NUMBER ? number_satisfies(atom, text)
                                           : false;
    }
}

bool condition_takes(const struct pattern_set *set, const struct condition *condition,
                     const struct leaf *leaf)
{
    for (uint32_t i = condition->atoms.first; i < condition->atoms.end; i++)
        if (leaf_satisfies(set, set->atom_lists[i], leaf))
            return true;
    return false;
}
