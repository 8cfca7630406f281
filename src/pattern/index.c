// SPDX-License-Identifier: Apache-2.0
/* The tree of paths, and for each field the tables that leaf.c looks values up in. Everything here
 * is linear in the number of atoms (times a logarithm where they are sorted). */
#include "pattern/index_internal.h"

#include <stdlib.h>

void *compiler_array(struct compiler *c, size_t count, size_t size)
{
    return arena_alloc_array(&c->set->arena, count, size);
}

void *compiler_temp(struct compiler *c, size_t count, size_t size)
{
    return arena_alloc_array(&c->temp, count, size);
}

uint32_t compiler_lay_out(struct span *spans, uint32_t count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = spans[i].end;
        spans[i] = (struct span){total, total};
        total += size;
    }
    return total;
}

/* ---- tables ---- */

uint64_t table_hash_long(const char *ptr, size_t len)
{
    uint64_t h = len;
    for (size_t i = 8; i + 8 < len; i += 8) {
        unsigned __int128 product = (unsigned __int128)(load8(ptr + i) ^ h) * 0xE7037ED1A0B428DBu;
        h = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    return h;
}

bool table_init(struct arena *arena, struct table *table, size_t count)
{
    uint32_t size = 2;
    while (size < count * 2)
        size *= 2;
    table->slots = arena_alloc_array(arena, size, sizeof *table->slots);
    if (!table->slots)
        return false;
    for (uint32_t i = 0; i < size; i++)
        table->slots[i].value = NONE;
    table->mask = size - 1;
    return true;
}

void table_add(struct table *table, struct str s, uint32_t value)
{
    struct table_key key = table_key(s.ptr, s.len);
    uint32_t at = (uint32_t)key.hash & table->mask;
    while (table->slots[at].value != NONE)
        at = (at + 1) & table->mask;
    table->slots[at] = (struct table_slot){key.head, key.tail, s.ptr, (uint32_t)s.len, value};
    table->count++;
}

/* ---- the tree of paths ---- */

struct tree_edge {
    struct str name;
    uint32_t parent;
};

struct tree {
    struct tree_edge *edges; // of node n+1 at n
    uint32_t *slots;         // edge + 1
    uint32_t mask, count;
};

static uint32_t tree_child(struct tree *tree, uint32_t parent, struct str name)
{
    uint64_t hash = table_key(name.ptr, name.len).hash ^ parent * 0x9E3779B97F4A7C15u;
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & tree->mask;
    for (; tree->slots[at]; at = (at + 1) & tree->mask) {
        const struct tree_edge *edge = &tree->edges[tree->slots[at] - 1];
        if (edge->parent == parent && str_eq(edge->name, name))
            return tree->slots[at];
    }
    tree->edges[tree->count] = (struct tree_edge){name, parent};
    tree->slots[at] = ++tree->count;
    return tree->count;
}

/* Puts a node's child at the place of its bit, or behind all others and into that one's chain. */
static void place_child(struct child *children, uint64_t names, uint32_t *overflow,
                        const struct tree_edge *edge, const struct node *node)
{
    unsigned bit = name_bit(edge->name.ptr, edge->name.len);
    struct table_key key = table_key(edge->name.ptr, edge->name.len);
    struct child child = {.head = key.head,
                          .tail = key.tail,
                          .name = edge->name.ptr,
                          .node = node,
                          .len = (uint32_t)edge->name.len};
    uint32_t at = (uint32_t)__builtin_popcountll(names & (((uint64_t)1 << bit) - 1));
    if (children[at].name) {
        child.next = children[at].next;
        children[at].next = *overflow;
        at = (*overflow)++;
    }
    children[at] = child;
}

/* The table of a node with many children. */
static bool index_children(struct compiler *c, struct node *node, uint32_t count)
{
    struct table *table = compiler_array(c, 1, sizeof *table);
    if (!table || !table_init(&c->set->arena, table, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        table_add(table, (struct str){node->children[i].name, node->children[i].len}, i);
    node->table = table;
    return true;
}

static bool lay_out_nodes(struct compiler *c, const struct tree *tree, struct node *nodes)
{
    uint32_t count = tree->count + 1;
    struct span *spans = compiler_temp(c, count, sizeof *spans);
    struct child *children = compiler_array(c, tree->count, sizeof *children);
    if (!spans || !children)
        return false;
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct tree_edge *edge = &tree->edges[i];
        nodes[edge->parent].names |= (uint64_t)1 << name_bit(edge->name.ptr, edge->name.len);
        spans[edge->parent].end++;
    }
    compiler_lay_out(spans, count);
    for (uint32_t i = 0; i < count; i++) {
        nodes[i].children = children + spans[i].first;
        spans[i].end = (uint32_t)__builtin_popcountll(nodes[i].names); // the first of the others
    }
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct tree_edge *edge = &tree->edges[i];
        struct node *parent = &nodes[edge->parent];
        place_child(children + spans[edge->parent].first, parent->names, &spans[edge->parent].end,
                    edge, &nodes[i + 1]);
        if (nodes[i + 1].names)
            parent->deep |= (uint64_t)1 << (edge->name.len < 63 ? edge->name.len : 63);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t own = spans[i].end; // places taken from the node's first
        if (own > CHILDREN_MAX && !index_children(c, &nodes[i], own))
            return false;
    }
    return true;
}

bool index_paths(struct compiler *c)
{
    struct pattern_set *set = c->set;
    struct tree tree = {.mask = 15};
    size_t steps = 0;
    for (uint32_t i = 0; i < set->field_count; i++) {
        steps++;
        for (size_t j = 0; j < c->fields[i].path.len; j++)
            steps += c->fields[i].path.ptr[j] == '.';
    }
    while (tree.mask < steps * 2)
        tree.mask = tree.mask * 2 + 1;
    tree.edges = compiler_temp(c, steps, sizeof *tree.edges);
    tree.slots = compiler_temp(c, (size_t)tree.mask + 1, sizeof *tree.slots);
    uint32_t *ends = compiler_temp(c, set->field_count, sizeof *ends);
    if (!tree.edges || !tree.slots || !ends)
        return false;
    for (uint32_t i = 0; i < set->field_count; i++) {
        struct str rest = c->fields[i].path;
        do
            ends[i] = tree_child(&tree, ends[i], str_cut(&rest, '.'));
        while (rest.ptr);
    }
    struct node *nodes = compiler_array(c, (size_t)tree.count + 1, sizeof *nodes);
    if (!nodes)
        return false;
    for (uint32_t i = 0; i <= tree.count; i++)
        nodes[i].field = NONE;
    for (uint32_t i = 0; i < set->field_count; i++)
        nodes[ends[i]].field = i;
    set->nodes = nodes;
    set->node_count = tree.count + 1;
    return lay_out_nodes(c, &tree, nodes);
}

/* ---- prefixes and suffixes ---- */

struct affix {
    struct str key;
    uint32_t atom;
};

static int compare_affixes(const void *a, const void *b)
{
    const struct affix *x = a, *y = b;
    return str_compare(x->key, y->key);
}

/* `keys` in forward order; those of suffixes are reversed. */
static bool index_affixes(struct compiler *c, struct affix *list, uint32_t count,
                          struct affixes *ret)
{
    struct str *keys = compiler_array(c, count, sizeof *keys);
    uint64_t *heads = compiler_array(c, count, sizeof *heads);
    uint32_t *atoms = compiler_array(c, count, sizeof *atoms);
    uint32_t *parents = compiler_array(c, count, sizeof *parents);
    if (!keys || !heads || !atoms || !parents)
        return false;
    qsort(list, count, sizeof *list, compare_affixes);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = list[i].key;
        atoms[i] = list[i].atom;
        heads[i] = __builtin_bswap64(load_short(keys[i].ptr, keys[i].len < 8 ? keys[i].len : 0) |
                                     (keys[i].len >= 8 ? load8(keys[i].ptr) : 0));
        /* The key before, or one of its parents, is the longest that this one begins with. */
        uint32_t parent = i ? i - 1 : NONE;
        while (parent != NONE && !str_starts(keys[i], keys[parent]))
            parent = parents[parent];
        parents[i] = parent;
    }
    *ret = (struct affixes){keys, heads, atoms, parents, count};
    return true;
}

/* ---- numeric ranges ---- */

struct sorted_range {
    struct range range;
    uint32_t atom;
};

static int compare_ranges(const void *a, const void *b)
{
    const struct sorted_range *x = a, *y = b;
    return (x->range.low > y->range.low) - (x->range.low < y->range.low);
}

static bool index_ranges(struct compiler *c, struct sorted_range *list, uint32_t count,
                         struct ranges *ret)
{
    uint64_t *low = compiler_array(c, count, sizeof *low),
             *high = compiler_array(c, count, sizeof *high);
    uint32_t *atoms = compiler_array(c, count, sizeof *atoms);
    if (!low || !high || !atoms)
        return false;
    qsort(list, count, sizeof *list, compare_ranges);
    for (uint32_t i = 0; i < count; i++) {
        low[i] = list[i].range.low;
        high[i] = list[i].range.high;
        atoms[i] = list[i].atom;
    }
    *ret = (struct ranges){.low = low, .high = high, .atoms = atoms, .count = count};
    const uint64_t *below = high;
    while (count > 1 && ret->levels < RANGE_LEVELS) {
        uint32_t groups = (count + RANGE_FAN - 1) / RANGE_FAN;
        uint64_t *greatest = compiler_array(c, groups, sizeof *greatest);
        if (!greatest)
            return false;
        for (uint32_t i = 0; i < count; i++)
            if (below[i] > greatest[i / RANGE_FAN])
                greatest[i / RANGE_FAN] = below[i];
        ret->greatest[ret->levels++] = greatest;
        below = greatest;
        count = groups;
    }
    return true;
}

/* ---- wildcards ---- */

/* The bytes by which a wildcard is found. */
struct chosen_gram {
    struct gram_use use;
    uint32_t gram, length;
    bool at_start;
};

static uint32_t gram_of(const char *p, uint32_t length)
{
    uint32_t gram = 0;
    memcpy(&gram, p, length);
    return gram;
}

static uint32_t gram_hash(uint32_t gram)
{
    return gram * 0x9E3779B1u;
}

#define GRAM_COUNTS 65536u

/* How often each gram of four occurs among the wildcards, roughly: hashed. */
static void count_grams(const struct wildcard *items, uint32_t count, uint32_t *counts)
{
    for (uint32_t i = 0; i < count; i++)
        for (size_t j = 0; j + GRAM_MAX <= items[i].operand.len; j++)
            counts[gram_hash(gram_of(items[i].operand.ptr + j, GRAM_MAX)) / GRAM_COUNTS]++;
}

/* The rarest gram of its longest possible length. A short piece at the start beats one elsewhere.
 */
static struct chosen_gram choose_gram(struct str operand, const uint32_t *counts)
{
    struct chosen_gram best = {0};
    uint32_t best_count = UINT32_MAX;
    struct str rest = operand;
    for (bool start = true; rest.ptr; start = false) {
        struct str piece = str_cut(&rest, WILDCARD_STAR);
        uint32_t length = piece.len < GRAM_MAX ? (uint32_t)piece.len : GRAM_MAX;
        for (size_t i = 0; length && i + length <= piece.len; i++) {
            uint32_t gram = gram_of(piece.ptr + i, length);
            uint32_t count = length == GRAM_MAX ? counts[gram_hash(gram) / GRAM_COUNTS] : 0;
            if (length > best.length || (length == best.length && count < best_count)) {
                best = (struct chosen_gram){{piece, (uint32_t)i, 0}, gram, length, start && i == 0};
                best_count = count;
            }
        }
    }
    return best;
}

static int compare_grams(const void *a, const void *b)
{
    const struct chosen_gram *x = a, *y = b;
    if (x->at_start != y->at_start)
        return x->at_start - y->at_start;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->gram > y->gram) - (x->gram < y->gram);
}

/* One table for wildcards whose grams have the same length and place. */
static bool index_grams(struct compiler *c, const struct chosen_gram *list, uint32_t count,
                        struct grams *ret)
{
    uint32_t bits = 10, slots = 4;
    while (bits < 31 && (uint64_t)1 << bits < (uint64_t)count * 32)
        bits++;
    while (slots < count * 2)
        slots *= 2;
    struct gram_use *uses = compiler_array(c, count, sizeof *uses);
    *ret = (struct grams){.bitmap = compiler_array(c, (size_t)1 << (bits - 6), sizeof(uint64_t)),
                          .slots = compiler_array(c, slots, sizeof *ret->slots),
                          .uses = uses,
                          .bitmap_shift = 32 - bits,
                          .slot_mask = slots - 1,
                          .length = list[0].length,
                          .mask = (uint32_t)(((uint64_t)1 << 8 * list[0].length) - 1),
                          .at_start = list[0].at_start};
    if (!ret->bitmap || !ret->slots || !uses)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uses[i] = list[i].use;
        uint32_t hash = gram_hash(list[i].gram), bit = hash >> ret->bitmap_shift, at = hash;
        ret->bitmap[bit / 64] |= (uint64_t)1 << bit % 64;
        for (at &= ret->slot_mask; ret->slots[at].uses.end && ret->slots[at].gram != list[i].gram;)
            at = (at + 1) & ret->slot_mask;
        if (ret->slots[at].uses.end == 0)
            ret->slots[at] = (struct gram_slot){list[i].gram, {i, i}};
        ret->slots[at].uses.end = i + 1;
    }
    return true;
}

static bool index_wildcards(struct compiler *c, struct wildcard *items, uint32_t count,
                            struct wildcards *ret)
{
    uint32_t *counts = compiler_temp(c, GRAM_COUNTS, sizeof *counts);
    struct chosen_gram *list = compiler_temp(c, count, sizeof *list);
    struct grams *grams = compiler_array(c, (size_t)2 * (GRAM_MAX + 1), sizeof *grams);
    if (!counts || !list || !grams)
        return false;
    *ret = (struct wildcards){items, grams, count, 0, c->set->wildcard_count};
    c->set->wildcard_count += count;
    count_grams(items, count, counts);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = choose_gram(items[i].operand, counts);
        list[i].use.wildcard = i;
        list[i].at_start |= list[i].length == 0; // a lone "*" cannot come here, but costs nothing
    }
    qsort(list, count, sizeof *list, compare_grams);
    for (uint32_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && list[end].length == list[i].length &&
                          list[end].at_start == list[i].at_start;)
            end++;
        if (!index_grams(c, list + i, end - i, &grams[ret->gram_count++]))
            return false;
    }
    return true;
}

/* ---- one field ---- */

/* A field's atoms by kind. */
struct field_atoms {
    const uint32_t *by_kind;
    struct span spans[ATOM_BUT + 1];
};

static bool index_table(struct compiler *c, const struct field_atoms *atoms, enum atom_kind kind,
                        struct table *table)
{
    struct span span = atoms->spans[kind];
    if (span.first == span.end)
        return true;
    if (!table_init(&c->set->arena, table, span.end - span.first))
        return false;
    for (uint32_t i = span.first; i < span.end; i++)
        table_add(table, c->atoms[atoms->by_kind[i]].operand, atoms->by_kind[i]);
    return true;
}

static bool folded_copy(struct compiler *c, struct str *s)
{
    char *out = arena_alloc_raw(&c->set->arena, 3 * s->len, 1);
    if (!out)
        return false;
    *s = (struct str){out, fold_text(*s, out)};
    return true;
}

static bool reversed_copy(struct compiler *c, struct str *s)
{
    char *out = arena_alloc_raw(&c->set->arena, s->len, 1);
    if (!out)
        return false;
    for (size_t i = 0; i < s->len; i++)
        out[i] = s->ptr[s->len - 1 - i];
    s->ptr = out;
    return true;
}

static bool index_affix_kind(struct compiler *c, const struct field_atoms *atoms,
                             enum atom_kind kind, struct affixes *ret)
{
    struct span span = atoms->spans[kind];
    uint32_t count = span.end - span.first;
    if (!count)
        return true;
    struct affix *list = compiler_temp(c, count, sizeof *list);
    if (!list)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        list[i].atom = atoms->by_kind[span.first + i];
        list[i].key = c->atoms[list[i].atom].operand;
        if ((kind == ATOM_FOLD_PREFIX || kind == ATOM_FOLD_SUFFIX) && !folded_copy(c, &list[i].key))
            return false;
        if ((kind == ATOM_SUFFIX || kind == ATOM_FOLD_SUFFIX) && !reversed_copy(c, &list[i].key))
            return false;
    }
    return index_affixes(c, list, count, ret);
}

/* Different operands may fold to the same text: each has its own slot under it. */
static bool index_folds(struct compiler *c, const struct field_atoms *atoms, struct table *table)
{
    struct span span = atoms->spans[ATOM_FOLD];
    if (span.first == span.end)
        return true;
    if (!table_init(&c->set->arena, table, span.end - span.first))
        return false;
    for (uint32_t i = span.first; i < span.end; i++) {
        struct str key = c->atoms[atoms->by_kind[i]].operand;
        if (!folded_copy(c, &key))
            return false;
        table_add(table, key, atoms->by_kind[i]);
    }
    return true;
}

static uint32_t count_of(const struct field_atoms *atoms, enum atom_kind kind)
{
    return atoms->spans[kind].end - atoms->spans[kind].first;
}

/* Behind the others of the list, of which there are `count`; returns how many there are then. */
static uint32_t add_ranges(struct compiler *c, const struct field_atoms *atoms, enum atom_kind kind,
                           struct sorted_range *list, uint32_t count)
{
    for (uint32_t i = atoms->spans[kind].first; i < atoms->spans[kind].end; i++) {
        struct sorted_range *range = &list[count++];
        range->atom = atoms->by_kind[i];
        const char *ends = c->atoms[range->atom].operand.ptr;
        memcpy(&range->range.low, ends, sizeof range->range.low);
        memcpy(&range->range.high, ends + (kind == ATOM_RANGE ? sizeof range->range.low : 0),
               sizeof range->range.high);
    }
    return count;
}

static bool index_numbers(struct compiler *c, const struct field_atoms *atoms, struct indexes *ret)
{
    uint32_t numbers = count_of(atoms, ATOM_NUMBER), ranges = count_of(atoms, ATOM_RANGE);
    struct sorted_range *list = compiler_temp(c, (size_t)numbers + ranges, sizeof *list);
    if (!list)
        return false;
    uint32_t count = add_ranges(c, atoms, ATOM_RANGE, list, 0);
    if (numbers + ranges <= RANGE_FAN)
        count = add_ranges(c, atoms, ATOM_NUMBER, list, count);
    else if (!index_table(c, atoms, ATOM_NUMBER, &ret->numbers))
        return false;
    return count == 0 || index_ranges(c, list, count, &ret->ranges);
}

static bool index_wildcard_kind(struct compiler *c, const struct field_atoms *atoms,
                                struct wildcards *ret)
{
    struct span span = atoms->spans[ATOM_WILDCARD];
    uint32_t count = span.end - span.first;
    if (!count)
        return true;
    struct wildcard *items = compiler_array(c, count, sizeof *items);
    if (!items)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t atom = atoms->by_kind[span.first + i];
        items[i] = (struct wildcard){c->atoms[atom].operand, atom};
    }
    return index_wildcards(c, items, count, ret);
}

struct sorted_block {
    unsigned __int128 first, last;
    uint32_t atom;
    uint8_t version;
};

/* The wider of two that begin together comes first. */
static int compare_blocks(const void *a, const void *b)
{
    const struct sorted_block *x = a, *y = b;
    if (x->version != y->version)
        return x->version - y->version;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->last < y->last) - (x->last > y->last);
}

static bool lay_out_blocks(struct compiler *c, const struct sorted_block *list, uint32_t count,
                           struct blocks *ret)
{
    unsigned __int128 *first = compiler_array(c, count, sizeof *first);
    unsigned __int128 *last = compiler_array(c, count, sizeof *last);
    uint32_t *atoms = compiler_array(c, count, sizeof *atoms);
    uint32_t *parents = compiler_array(c, count, sizeof *parents);
    if (!first || !last || !atoms || !parents)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        first[i] = list[i].first;
        last[i] = list[i].last;
        atoms[i] = list[i].atom;
        uint32_t parent = i ? i - 1 : NONE;
        while (parent != NONE && last[parent] < first[i])
            parent = parents[parent];
        parents[i] = parent;
    }
    *ret = (struct blocks){first, last, atoms, parents, count};
    return true;
}

static bool index_blocks(struct compiler *c, const struct field_atoms *atoms, struct blocks *ret)
{
    struct span span = atoms->spans[ATOM_CIDR];
    uint32_t count = span.end - span.first, ipv4 = 0;
    struct sorted_block *list = compiler_temp(c, count, sizeof *list);
    if (!list)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct address block;
        list[i].atom = atoms->by_kind[span.first + i];
        memcpy(&block, c->atoms[list[i].atom].operand.ptr, sizeof block);
        list[i].version = block.version;
        list[i].first = address_number(&block);
        list[i].last = list[i].first | ~(unsigned __int128)0 >> block.bits;
        ipv4 += block.version == 4;
    }
    if (count)
        qsort(list, count, sizeof *list, compare_blocks);
    return count == 0 || (lay_out_blocks(c, list, ipv4, &ret[0]) &&
                          lay_out_blocks(c, list + ipv4, count - ipv4, &ret[1]));
}

static void index_single(const struct field_atoms *atoms, enum atom_kind kind, uint32_t *ret)
{
    if (atoms->spans[kind].first < atoms->spans[kind].end)
        *ret = atoms->by_kind[atoms->spans[kind].first];
}

unsigned index_need(enum atom_kind kind)
{
    static const uint8_t needs[ATOM_BUT + 1] = {
        [ATOM_STRING] = NEEDS_STRING,    [ATOM_NUMBER_TEXT] = NEEDS_NUMBER_TEXT,
        [ATOM_PREFIX] = NEEDS_PREFIX,    [ATOM_SUFFIX] = NEEDS_SUFFIX,
        [ATOM_FOLD] = NEEDS_FOLD,        [ATOM_FOLD_PREFIX] = NEEDS_FOLD,
        [ATOM_FOLD_SUFFIX] = NEEDS_FOLD, [ATOM_WILDCARD] = NEEDS_WILDCARD,
        [ATOM_NUMBER] = NEEDS_NUMBER,    [ATOM_RANGE] = NEEDS_NUMBER,
        [ATOM_IP] = NEEDS_ADDRESS,       [ATOM_CIDR] = NEEDS_ADDRESS,
    };
    return needs[kind];
}

static bool index_field(struct compiler *c, const struct field_atoms *atoms, struct field *field)
{
    index_single(atoms, ATOM_EXISTS, &field->kinds[0]);
    index_single(atoms, ATOM_TRUE, &field->kinds[LEAF_TRUE]);
    index_single(atoms, ATOM_FALSE, &field->kinds[LEAF_FALSE]);
    index_single(atoms, ATOM_NULL, &field->kinds[LEAF_NULL]);
    if (!index_table(c, atoms, ATOM_STRING, &field->strings))
        return false;
    if (((field->needs | field->late) & ~(unsigned)NEEDS_STRING) == 0)
        return true;
    struct indexes *in = compiler_array(c, 1, sizeof *in);
    field->indexes = in;
    return in && index_numbers(c, atoms, in) &&
           index_table(c, atoms, ATOM_NUMBER_TEXT, &in->number_texts) &&
           index_table(c, atoms, ATOM_IP, &in->addresses) && index_blocks(c, atoms, in->blocks) &&
           index_affix_kind(c, atoms, ATOM_PREFIX, &in->prefixes) &&
           index_affix_kind(c, atoms, ATOM_SUFFIX, &in->suffixes) &&
           index_affix_kind(c, atoms, ATOM_FOLD_PREFIX, &in->fold_prefixes) &&
           index_affix_kind(c, atoms, ATOM_FOLD_SUFFIX, &in->fold_suffixes) &&
           index_folds(c, atoms, &in->folds) && index_wildcard_kind(c, atoms, &in->wildcards);
}

bool index_fields(struct compiler *c)
{
    const uint32_t kinds = ATOM_BUT + 1, places = c->set->field_count * kinds;
    struct span *spans = compiler_temp(c, places, sizeof *spans);
    uint32_t *by_kind = compiler_temp(c, c->set->atom_count, sizeof *by_kind);
    if (!spans || !by_kind)
        return false;
    for (uint32_t i = 0; i < c->set->atom_count; i++)
        spans[c->atoms[i].field * kinds + c->atoms[i].kind].end++;
    compiler_lay_out(spans, places);
    for (uint32_t i = 0; i < c->set->atom_count; i++)
        by_kind[spans[c->atoms[i].field * kinds + c->atoms[i].kind].end++] = i;
    for (uint32_t i = 0; i < c->set->field_count; i++) {
        struct field_atoms atoms = {.by_kind = by_kind};
        memcpy(atoms.spans, spans + (size_t)i * kinds, sizeof atoms.spans);
        if (!index_field(c, &atoms, &c->fields[i]))
            return false;
    }
    return true;
}
