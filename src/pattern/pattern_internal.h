// SPDX-License-Identifier: Apache-2.0
/* What the files of this folder share. From text to match:
 *
 *   parse.c    one pattern's text ─► leaves and branches ($or multiplied out)
 *   build.c    leaves ─► fields, atoms, conditions, each distinct one once (the builder)
 *   compile.c  builder ─► pattern_set: postings, path tree, one index a field
 *   match.c    one event: scanned,
 *   walk.c     ... walked along the path tree: what is found are its leaves
 *   leaf.c     which atoms of its field each makes true; these make conditions true
 *   decide.c   conditions ─► rules ─► tags
 *   arrays.c   ... where elements of arrays must agree
 *
 * index.c makes compile.c's path tree and field indexes; address.c and fold.c know IP addresses and
 * letter case; explain.c tells people.
 *
 * Words: a field is a dotted path. An atom is one alternative of a field ({"prefix":"x"}). A
 * condition is a field with its list of alternatives. A rule is one branch of a pattern: conditions
 * that must all hold. A leaf is one scalar of an event at a field. */
#ifndef RECTIFY_PATTERN_PATTERN_INTERNAL_H
#define RECTIFY_PATTERN_PATTERN_INTERNAL_H

#include "base/limits.h"
#include "pattern/pattern.h"
#include "value/json_scan.h"

#define NONE UINT32_MAX
#define WILDCARD_STAR '\xFF' // stands for * in an operand: no byte of UTF-8

/* Operands: STRING to WILDCARD hold text; NUMBER the double's bits, zero without sign; RANGE two
 * struct ordered ends, both inclusive; IP and CIDR struct address; BUT the ids of atoms. */
enum atom_kind {
    ATOM_STRING,
    ATOM_NUMBER_TEXT, // a number that is no exact double: the same spelling only
    ATOM_PREFIX,
    ATOM_SUFFIX,
    ATOM_FOLD, // equals-ignore-case
    ATOM_FOLD_PREFIX,
    ATOM_FOLD_SUFFIX,
    ATOM_WILDCARD,
    ATOM_NUMBER,
    ATOM_RANGE,
    ATOM_IP,
    ATOM_CIDR,
    ATOM_TRUE,
    ATOM_FALSE,
    ATOM_NULL,
    ATOM_EXISTS,
    ATOM_ABSENT,
    ATOM_BUT, // true of a leaf if none of its atoms is
};

enum leaf_kind { LEAF_STRING, LEAF_NUMBER, LEAF_TRUE, LEAF_FALSE, LEAF_NULL };

/* An IP address, or a block with its length; IPv4 in the first four bytes. No padding: compared and
 * hashed as bytes. */
struct address {
    uint8_t version; // 4 or 6
    uint8_t bits;    // of a block's prefix; 0 for an address
    uint8_t bytes[16];
};
/* Java's literals, as event-ruler reads them: leading zeros are decimal, ::ffff:0:0/96 is IPv4. */
bool address_parse(struct str text, struct address *ret) __attribute__((warn_unused_result));
/* "10.0.0.0/8"; the base need not be aligned. False = not a block. */
bool address_parse_block(struct str text, struct address *ret) __attribute__((warn_unused_result));
struct address address_mask(struct address address, unsigned bits);
unsigned __int128 address_number(const struct address *address);

/* Doubles as unsigned integers in the same order; -0 is 0. */
static inline uint64_t ordered_double(double d)
{
    uint64_t bits;
    d += 0.0;
    memcpy(&bits, &d, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}
struct range {
    uint64_t low, high; // ordered_double(), both inclusive
};

/* ---- fold.c: equals-ignore-case ---- */

/* Text in which every spelling that any pattern takes for the same is the same. Room: 3 * s.len.
 * Returns the length. */
size_t fold_text(struct str s, char *out);
bool fold_is_ascii(struct str s);
/* The lower case of what is ASCII only; false: it is not, and `out` (s.len bytes) is of no use. */
bool fold_ascii(struct str s, char *out);
/* Does each character of `pattern` match as itself, its lower or its upper case? `prefix`: more of
 * `s` may follow. `suffix`: more may come before. */
bool fold_equal(struct str pattern, struct str s);
bool fold_prefix(struct str pattern, struct str s);
bool fold_suffix(struct str pattern, struct str s);

/* ---- parse.c ---- */

struct alternative {
    enum atom_kind kind;
    struct str operand;
    uint32_t first, count; // BUT: its alternatives, in pattern_source.alternatives
};
struct source_leaf {
    uint32_t path; // in pattern_source.paths
    uint32_t first, count;
    size_t offset, length; // of the list in the text
};
struct pattern_source {
    struct arena *arena; // everything here; may be reset afterwards
    struct str text;
    struct str *paths;
    struct alternative *alternatives;
    struct source_leaf *leaves;
    uint32_t *branches; // path_count positions of leaves each, NONE = not in this branch
    uint32_t path_count, path_cap, alternative_count, alternative_cap, leaf_count, leaf_cap;
    uint32_t branch_count;
};
bool pattern_parse(struct arena *arena, struct str text, struct pattern_source *ret,
                   struct error *err) __attribute__((warn_unused_result));

/* ---- tables ---- */

/* From strings to numbers, open addressing, read-only once compiled. */
struct table_slot {
    uint64_t head, tail; // first and last eight bytes
    const char *key;
    uint32_t len, value; // value NONE = free
};
struct table {
    struct table_slot *slots;
    uint32_t mask; // count of slots - 1
    uint32_t count;
};

/* ---- the compiled set ---- */

struct span {
    uint32_t first, end;
};

/* Strings sorted, so that all prefixes of a value are the last one not above it and its parents. */
struct affixes {
    const struct str *keys;
    const uint64_t *heads; // first eight bytes, big-endian
    const uint32_t *atoms;
    const uint32_t *parents; // longest other key that is a prefix of this one, or NONE
    uint32_t count;
};

/* One value's ranges: sorted by low end, with the greatest high end of each group of RANGE_FAN.
 * Where they are that few together, the field's numbers are among them, as ranges of one point. */
#define RANGE_FAN_BITS 4
#define RANGE_FAN (1u << RANGE_FAN_BITS)
#define RANGE_LEVELS 8
struct ranges {
    const uint64_t *low, *high;
    const uint32_t *atoms;
    const uint64_t *greatest[RANGE_LEVELS]; // [0] of the ranges, [n] of the groups of [n-1]
    uint32_t count, levels;
};

/* CIDR blocks of one version of IP, sorted. Blocks contain each other or are disjoint, so all that
 * contain an address are the last one not above it and its parents. */
struct blocks {
    const unsigned __int128 *first, *last; // addresses, as numbers whose highest bit comes first
    const uint32_t *atoms, *parents;       // closest block around, or NONE
    uint32_t count;
};

/* Wildcards are found by a few bytes that must be in the value, then checked. */
#define GRAM_MAX 4
struct wildcard {
    struct str operand;
    uint32_t atom;
};
struct gram_use {
    struct str piece; // between stars, of which the gram is a part
    uint32_t offset;  // of the gram in it
    uint32_t wildcard;
};
struct gram_slot {
    uint32_t gram;
    struct span uses; // in grams.uses; first == end: free
};
struct grams {
    uint64_t *bitmap;
    struct gram_slot *slots;
    const struct gram_use *uses;                    // by gram
    uint32_t bitmap_shift, slot_mask, length, mask; // mask: of the gram's bytes
    bool at_start;                                  // looked for at the value's start only
};
struct wildcards {
    const struct wildcard *items;
    const struct grams *grams;
    uint32_t count, gram_count;
    uint32_t stamp_first; // in the scratch's wildcard stamps
};

/* Which indexes a leaf has to be looked up in. */
enum field_needs {
    NEEDS_STRING = 1,
    NEEDS_PREFIX = 2,
    NEEDS_SUFFIX = 4,
    NEEDS_FOLD = 8,
    NEEDS_WILDCARD = 16,
    NEEDS_ADDRESS = 32,
    NEEDS_NUMBER_TEXT = 64,
    NEEDS_NUMBER = 128,
};
#define NEEDS_BEYOND_STRING                                                                        \
    (NEEDS_PREFIX | NEEDS_SUFFIX | NEEDS_FOLD | NEEDS_WILDCARD | NEEDS_ADDRESS)
/* By kind of atom; 0: none, found without an index. */
unsigned index_need(enum atom_kind kind);

/* What most fields have not. */
struct indexes {
    struct table numbers, number_texts, addresses, folds;
    struct blocks blocks[2]; // IPv4, IPv6
    struct affixes prefixes, suffixes, fold_prefixes, fold_suffixes;
    struct ranges ranges;
    struct wildcards wildcards;
};

/* Some rule waits for what is looked up at once; what only tells whether rules that other fields
 * have chosen do match is late: looked up when such a rule asks, which seldom happens. */
struct field {
    struct str path;
    uint32_t rank;       // in the order in which arrays are decided: UTF-16 order of paths
    uint8_t needs, late; // enum field_needs
    bool decides;        // something follows from its having a leaf: one of the spans below
    struct table strings;
    const struct indexes *indexes;
    uint32_t kinds[5];    // atom of true, false, null by enum leaf_kind; [0]: exists; NONE = none
    struct span present;  // rules to try when the field has a leaf, in set.rules
    struct span defaults; // words of tags that match unless one of their atoms fails, set.words
    struct span absences; // rules that match by default unless the field has a leaf, in set.rules
};

struct atom {
    uint8_t kind;
    uint32_t field;
    struct str operand;
    struct span conditions; // that it makes true, in set.postings
    struct span excludes;   // BUT atoms that it makes fail, in set.postings
    uint32_t but_tag;       // BUT: its bit among the defaults, or NONE
};

enum condition_flags {
    CONDITION_BUT = 1,
    CONDITION_ABSENT = 2,
    CONDITION_LONG = 4, // more atoms than are compared one by one
};
#define CONDITION_ATOMS_FEW 16u

struct condition {
    uint32_t field;
    uint8_t flags, late; // enum condition_flags; enum field_needs of its atoms that are late
    struct span atoms;   // in set.atom_lists
    struct span waiting; // rules to try when it becomes true, in set.rules
};

/* A condition in a link: this bit says that whether it holds must be worked out unless it is marked
 * already. A condition in the postings of an atom: rules are waiting for it. */
#define CONDITION_SPECIAL ((uint32_t)1 << 31)
#define CONDITION_WAITED ((uint32_t)1 << 31)

/* What follows from an atom that is true, where it is one thing: a condition, as in the postings;
 * or with this bit the tag of a rule that has no other condition than that. */
#define OUTCOME_TAG ((uint32_t)1 << 30)
#define OUTCOME_MANY NONE // see struct atom

/* A rule waits for its rarest condition, and needs another that is found at once and seldom true,
 * if it has one: rules that differ in these are told apart without a branch. The rest is a chain,
 * from the condition that most rules have to the rarest; rules share the beginnings of their chains
 * and what is known of a link is known to all.
 *
 *   NONE ◄─ detail-type ◄─ errorCode: absent      waits for eventName: [a,b], needs source: s3
 *                     ▲  ▲                        waits for eventName: [b],   needs source: sns
 *                     │  └──── userAgent: *cli*   waits for eventName: [b],   needs source: s3
 *                     └──────────────────────     waits for eventName: [c],   needs source: s3
 */
struct link {
    uint32_t before; // a link that must hold as well, or NONE
    uint32_t condition;
};

struct rule {
    uint32_t needs; // condition, not special; set.condition_count, which is always true, if none
    uint32_t link;  // that must hold, or NONE; RULE_OF_DEFAULTS: the tags of set.word_spans[tag]
    uint32_t tag;   // position in set.tags
};
#define RULE_OF_DEFAULTS (UINT32_MAX - 1)

/* A rule of which two conditions hold. */
struct candidate {
    uint32_t rule, place; // the condition that it waited for, or NONE
};

struct word {
    uint32_t at;
    uint64_t bits;
};

/* Children of a node of the tree of paths, in the order of name_bit() of their names: the first of
 * each bit, so that the bits below in node.names say where it is; then the others. */
struct child {
    uint64_t head, tail; // of the name, as in tables
    const char *name;
    const struct node *node;
    uint32_t len;
    uint32_t next; // another one of the same bit, among the node's; 0 = there is none
};
#define CHILDREN_MAX 32 // more are looked up in a table
struct node {
    const struct child *children;
    const struct table *table; // of positions in `children`; NULL: these are few
    uint64_t names;            // name_bit() of each child's name
    uint64_t deep;  // bit n: a child that has children has a name of n bytes; 63: or more
    uint32_t field; // or NONE
};

/* A few bits of a name in double quotes, to rule most others out. */
static inline unsigned key_bit(const char *name, size_t len)
{
    size_t last = len - 1; // before an empty name stands a quote, and behind it
    return ((unsigned)len + (unsigned char)name[0] * 5u + (unsigned char)name[last] * 3u) & 63;
}

/* The same of a name without quotes around. */
static inline unsigned name_bit(const char *name, size_t len)
{
    return len ? key_bit(name, len) : '"' * (5 + 3) & 63;
}

struct pattern_set {
    struct arena arena;
    const uint32_t *tags;
    const struct node *nodes; // [0] is the root
    const struct field *fields;
    const struct atom *atoms;
    const struct condition *conditions;
    const struct rule *rules;
    const struct link *links;
    const uint32_t *outcomes; // by atom
    const uint32_t *postings, *atom_lists;
    const struct word *words;
    const struct span *word_spans;
    struct span always; // rules to try with every event
    bool has_absences;
    uint32_t tag_count, node_count, field_count, atom_count, condition_count, rule_count,
        link_count;
    uint32_t wildcard_count;
    uint64_t seed; // of the table of keys, which an event's author must not know
};

/* ---- matching ---- */

struct leaf {
    const char *ptr;
    uint32_t len;
    uint32_t field;
    uint32_t element; // innermost element of an array around it, 0 = none
    uint8_t kind;
    uint8_t point; // of a number: json_plain_number()
};
/* An object or array inside an array. Its leaves are [first, end) of the event's. */
struct element {
    uint32_t parent, array;
    uint32_t first, end;
};
struct array {
    uint32_t first, end; // leaves
    uint32_t chosen;     // element that the solver holds to, 0 = none
    uint32_t level;      // which of its conditions chose it
};
struct field_state {
    uint32_t epoch, leaves;
    uint32_t first;                // leaf
    bool in_array : 1, failed : 1; // some leaf is in an array; some BUT atom failed
    uint8_t asked : 6; // how often a condition of the only leaf was worked out by itself
    uint8_t late;      // what of the field's `late` was looked up
    uint16_t settled;  // which of its few ranges need no second look
};
#define STAMP_FALSE 1u
#define LATE_ASKS_MAX 8 // then the indexes are asked
struct but_state {
    uint32_t epoch, leaf, fails; // last leaf that failed, how many did
};

struct scratch_block {
    void *memory;
    size_t size;
    bool mapped;
};

struct pattern_scratch {
    const struct pattern_set *set;
    struct scratch_block blocks[24]; // all that the pointers below point into
    uint32_t block_count;
    uint32_t epoch; // even
    uint32_t leaf_count, element_count, array_count, fired_count, unseen;
    uint32_t leaf; // that is being evaluated
    size_t text_used;
    bool in_array;
    /* the fastest that this machine has, or the portable ones: pattern_scratch_use_portable() */
    enum json_scan_error (*scan_text)(struct json_scan *, size_t *);
    bool (*walk)(struct pattern_scratch *, struct str, size_t, const struct pattern_options *,
                 struct error *);
    struct json_scan scan;
    struct leaf *leaves;
    struct element *elements;
    struct array *arrays;
    struct field_state *fields;
    uint32_t *field_seen; // fields with a leaf, in order of appearance
    uint32_t field_seen_count;
    uint32_t *stamps; // of conditions: the event's epoch, or the next number if worked out as false
    uint32_t *link_stamps;
    uint32_t *fired; // conditions that became true and have rules
    struct candidate *candidates;
    struct but_state *buts;
    uint32_t *failed, failed_count; // anything-buts that failed some leaf
    uint32_t *wildcard_stamps, wildcard_epoch;
    uint64_t *result, *summary;
    uint64_t *exclude; // tags that failed, of the field whose defaults are being added
    uint64_t *denied;  // tags of rules whose absent field is there
    uint32_t *tags;
    char *text, *folded;
    /* of the arrays' solver */
    uint32_t *field_first; // leaves by field, made when first needed
    uint32_t *leaf_order;
    bool ordered;
    uint64_t steps;
    /* of duplicate keys */
    struct key_slot *keys;
};

struct key_slot {
    uint64_t hash;
    const char *ptr;
    uint32_t len, object, epoch;
};

/* For tests that compare: from now on no instructions that only some machines have. */
void pattern_scratch_use_portable(struct pattern_scratch *scratch);

static inline void set_tag(struct pattern_scratch *s, uint32_t tag)
{
    s->result[tag / 64] |= (uint64_t)1 << tag % 64;
    s->summary[tag / 4096] |= (uint64_t)1 << tag / 64 % 64;
}

/* Table look-up; `s` may end where readable memory ends. */
uint64_t table_hash_long(const char *ptr, size_t len);
static inline uint64_t load8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}
static inline uint64_t load_short(const char *p, size_t len)
{
    /* Of fewer than eight bytes, without reading past them. */
    uint64_t word = 0;
    if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + len - 4, 4);
        word = low | (uint64_t)high << (8 * (len - 4));
    } else if (len) {
        word = (uint64_t)(unsigned char)p[0] |
               (uint64_t)(unsigned char)p[len / 2] << 8 * (len / 2) |
               (uint64_t)(unsigned char)p[len - 1] << 8 * (len - 1);
    }
    return word;
}
struct table_key {
    uint64_t head, tail, hash;
};
static inline struct table_key table_key(const char *ptr, size_t len)
{
    struct table_key key;
    if (len >= 8) {
        key.head = load8(ptr);
        key.tail = load8(ptr + len - 8);
    } else {
        key.head = key.tail = load_short(ptr, len);
    }
    uint64_t h = (key.head ^ len * 0x9E3779B97F4A7C15u) * 0xFF51AFD7ED558CCDu;
    h = (h ^ h >> 32 ^ key.tail) * 0xC4CEB9FE1A85EC53u;
    key.hash = h ^ h >> 29;
    if (len > 16)
        key.hash ^= table_hash_long(ptr, len);
    return key;
}
static inline uint32_t table_find(const struct table_slot *slots, uint32_t mask, const char *ptr,
                                  size_t len)
{
    struct table_key key = table_key(ptr, len);
    for (uint32_t at = (uint32_t)key.hash & mask;; at = (at + 1) & mask) {
        const struct table_slot *slot = &slots[at];
        if (slot->value == NONE)
            return NONE;
        if (slot->head == key.head && slot->tail == key.tail && slot->len == len &&
            (len <= 16 || memcmp(slot->key + 8, ptr + 8, len - 16) == 0))
            return slot->value;
    }
}
static inline uint32_t table_get(const struct table *table, const char *ptr, size_t len)
{
    return table->count ? table_find(table->slots, table->mask, ptr, len) : NONE;
}
/* Room for `count` keys; then add each, all distinct. */
bool table_init(struct arena *arena, struct table *table, size_t count)
    __attribute__((warn_unused_result));
void table_add(struct table *table, struct str key, uint32_t value);

/* leaf.c: marks what the event's leaves make true. */
void leaf_evaluate_all(struct pattern_scratch *scratch);
/* The same for what is late, or a part of it, and all leaves of the field, which has some. */
void leaf_evaluate_late(struct pattern_scratch *scratch, uint32_t field, unsigned needs);
/* Slow path: is this one atom true of this one leaf? Not for ABSENT. */
bool leaf_satisfies(const struct pattern_set *set, uint32_t atom, const struct leaf *leaf);
bool condition_takes(const struct pattern_set *set, const struct condition *condition,
                     const struct leaf *leaf);
bool wildcard_matches(struct str operand, struct str s);

/* May leaves be chosen so that no array stands at two elements? ENTANGLED: too many steps. */
enum array_answer { ARRAYS_NO, ARRAYS_YES, ARRAYS_ENTANGLED };

/* decide.c: from what is marked to the result bits. False: G0207. */
bool decide_rules(struct pattern_scratch *scratch, struct error *err);
/* One rule of the event that was matched last, which waits for `place`, a condition, or NONE. */
enum array_answer rule_holds(struct pattern_scratch *scratch, const struct rule *rule,
                             uint32_t place);

/* arrays.c: leaves by field, in scratch.leaf_order; where those of one are. */
struct span leaves_of_field(struct pattern_scratch *scratch, uint32_t field);
/* For a rule all of whose conditions hold by themselves. */
enum array_answer arrays_solve(struct pattern_scratch *scratch, const struct rule *rule,
                               uint32_t place);
/* Steps of one event's searches before it is refused (G0207). */
#define ARRAY_STEPS_MAX 16000000u

#endif
