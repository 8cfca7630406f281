// SPDX-License-Identifier: Apache-2.0
/* Builder to immutable set: which condition each rule waits for, the lists that follow from it, and
 * the tree of paths. The index of each field is index.c's.
 *
 * A rule waits for its rarest condition, the one whose alternatives the fewest rules share: only
 * when that becomes true are its others looked at. Conditions that are mostly true (anything-but,
 * exists false) are waited for only if a rule has no other. */
#include "pattern/index_internal.h"

#include "base/hash.h"

#include <stdlib.h>

static int compare_tags(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* set.tags, and for each rule its position there. */
static bool compile_tags(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    uint32_t *tags = compiler_array(c, b->rule_count, sizeof *tags), count = 0;
    bool sorted = true;
    if (!tags)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        tags[i] = b->rules[i].tag;
        sorted &= i == 0 || tags[i - 1] <= tags[i];
    }
    if (!sorted)
        qsort(tags, b->rule_count, sizeof *tags, compare_tags);
    for (uint32_t i = 0; i < b->rule_count; i++)
        if (!count || tags[count - 1] != tags[i])
            tags[count++] = tags[i];
    c->set->tags = tags;
    c->set->tag_count = count;
    return true;
}

static uint32_t tag_position(const struct pattern_set *set, uint32_t tag, uint32_t guess)
{
    if (guess < set->tag_count && set->tags[guess] == tag)
        return guess;
    uint32_t low = 0, high = set->tag_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->tags[middle] < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- what a condition costs to wait for ---- */

static const uint64_t kind_costs[] = {
    [ATOM_STRING] = 1,
    [ATOM_NUMBER_TEXT] = 1,
    [ATOM_PREFIX] = 4,
    [ATOM_SUFFIX] = 4,
    [ATOM_FOLD] = 16,
    [ATOM_FOLD_PREFIX] = 32,
    [ATOM_FOLD_SUFFIX] = 32,
    [ATOM_WILDCARD] = 64,
    [ATOM_NUMBER] = 1,
    [ATOM_RANGE] = 32,
    [ATOM_IP] = 16,
    [ATOM_CIDR] = 64,
    [ATOM_TRUE] = 8,
    [ATOM_FALSE] = 8,
    [ATOM_NULL] = 4,
    [ATOM_EXISTS] = 64,
    [ATOM_ABSENT] = (uint64_t)1 << 50,
    [ATOM_BUT] = (uint64_t)1 << 40,
};

static bool compile_costs(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    uint32_t *uses = c->uses = compiler_temp(c, b->condition_set.count, sizeof *uses);
    uint64_t *atom_uses = compiler_temp(c, b->atom_set.count, sizeof *atom_uses);
    c->costs = compiler_temp(c, b->condition_set.count, sizeof *c->costs);
    if (!uses || !atom_uses || !c->costs)
        return false;
    for (uint32_t i = 0; i < b->condition_list_count; i++)
        uses[c->condition_lists[i]]++;
    for (uint32_t i = 0; i < b->condition_set.count; i++)
        for (uint32_t j = 0; j < c->built[i].count; j++)
            atom_uses[b->atom_lists[c->built[i].first + j]] += uses[i];
    for (uint32_t i = 0; i < b->condition_set.count; i++) {
        for (uint32_t j = 0; j < c->built[i].count; j++) {
            uint32_t atom = b->atom_lists[c->built[i].first + j];
            c->costs[i] += atom_uses[atom] * kind_costs[b->atoms[atom].kind];
        }
    }
    return true;
}

/* The builder's conditions side by side with those that share their first atom, so that what one
 * value makes true lies together; and its lists of them, in the new numbers. */
static bool order_conditions(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    uint32_t count = b->condition_set.count;
    struct span *spans = compiler_temp(c, b->atom_set.count, sizeof *spans);
    uint32_t *numbers = compiler_temp(c, count, sizeof *numbers);
    c->built = compiler_temp(c, count, sizeof *c->built);
    c->condition_lists = compiler_temp(c, b->condition_list_count, sizeof *c->condition_lists);
    if (!spans || !numbers || !c->built || !c->condition_lists)
        return false;
    for (uint32_t i = 0; i < count; i++)
        spans[b->atom_lists[b->conditions[i].first]].end++;
    compiler_lay_out(spans, b->atom_set.count);
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = spans[b->atom_lists[b->conditions[i].first]].end++;
        c->built[numbers[i]] = b->conditions[i];
    }
    for (uint32_t i = 0; i < b->condition_list_count; i++)
        c->condition_lists[i] = numbers[b->condition_lists[i]];
    return true;
}

static bool compile_conditions(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    uint32_t *lists = compiler_array(c, b->atom_list_count, sizeof *lists);
    c->conditions = compiler_array(c, b->condition_set.count, sizeof *c->conditions);
    if (!lists || !c->conditions)
        return false;
    if (b->atom_list_count)
        memcpy(lists, b->atom_lists, b->atom_list_count * sizeof *lists);
    for (uint32_t i = 0; i < b->condition_set.count; i++) {
        const struct built_condition *from = &c->built[i];
        struct condition *to = &c->conditions[i];
        to->field = from->field;
        to->atoms = (struct span){from->first, from->first + from->count};
        for (uint32_t j = to->atoms.first; j < to->atoms.end; j++)
            to->flags |= b->atoms[lists[j]].kind == ATOM_BUT      ? (uint8_t)CONDITION_BUT
                         : b->atoms[lists[j]].kind == ATOM_ABSENT ? (uint8_t)CONDITION_ABSENT
                                                                  : 0;
    }
    c->set->atom_lists = lists;
    c->set->conditions = c->conditions;
    c->set->condition_count = b->condition_set.count;
    return true;
}

/* ---- rules, and where each waits ---- */

#define SHARED_BY_MANY 4 // a fourth of all rules

static uint32_t first_condition(const struct compiler *c, const struct built_rule *rule)
{
    const uint32_t *list = c->condition_lists + rule->first;
    uint32_t best = list[0];
    for (uint32_t i = 1; i < rule->count; i++)
        if (c->costs[list[i]] < c->costs[best])
            best = list[i];
    return best;
}

/* Besides `place` the rarest condition that is found by one look-up, if few rules share it; or
 * condition_count. */
static uint32_t needed_condition(const struct compiler *c, const struct built_rule *rule,
                                 uint32_t place)
{
    const struct pattern_builder *b = c->builder;
    uint32_t best = c->set->condition_count, least = b->rule_count / SHARED_BY_MANY;
    for (uint32_t i = 0; i < rule->count; i++) {
        uint32_t id = c->condition_lists[rule->first + i], first = c->built[id].first;
        bool string = c->built[id].count == 1 && b->atoms[b->atom_lists[first]].kind == ATOM_STRING;
        if (!b->in_order && place != NONE && id != place && string && c->uses[id] < least) {
            best = id;
            least = c->uses[id];
        }
    }
    return best;
}

/* The one anything-but that a rule consists of, or NONE. */
static uint32_t only_but(const struct compiler *c, const struct built_rule *rule)
{
    const struct pattern_builder *b = c->builder;
    const struct built_condition *condition = &c->built[c->condition_lists[rule->first]];
    uint32_t atom = b->atom_lists[condition->first];
    bool single = rule->count == 1 && condition->count == 1;
    return single && b->atoms[atom].kind == ATOM_BUT ? atom : NONE;
}

/* Places: one a condition, then one a field (present), then the one for always. */
static uint32_t waiting_place(const struct compiler *c, const struct built_rule *rule)
{
    uint32_t first = first_condition(c, rule);
    const struct condition *condition = &c->conditions[first];
    if (condition->flags & CONDITION_ABSENT || c->builder->in_order)
        return c->set->condition_count + c->set->field_count;
    if (condition->flags & CONDITION_BUT)
        return c->set->condition_count + condition->field;
    return first;
}

/* The field that must be absent, if a rule consists of that and of the one condition that it waits
 * for, or waits always; or NONE. */
static uint32_t only_absence(const struct compiler *c, const struct built_rule *rule,
                             uint32_t place)
{
    const uint32_t *list = c->condition_lists + rule->first;
    if (rule->count != (place < c->set->condition_count ? 2 : 1))
        return NONE;
    const struct condition *condition = &c->conditions[list[list[0] == place]];
    bool single = condition->atoms.end - condition->atoms.first == 1;
    return single && condition->flags & CONDITION_ABSENT ? condition->field : NONE;
}

/* A rule that matches by default. Its owner is who adds the tag: the field whose anything-but it
 * is; behind all fields the place where those wait that need a field to be absent. */
struct default_rule {
    uint32_t owner, tag, rule;
    uint32_t atom, field; // the anything-but; the field that must be absent; or NONE
};

static int compare_default_rules(const void *a, const void *b)
{
    const struct default_rule *x = a, *y = b;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

static uint32_t find_default_rules(const struct compiler *c, const uint32_t *places,
                                   struct default_rule *found)
{
    const struct pattern_builder *b = c->builder;
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        uint32_t atom = only_but(c, &b->rules[i]);
        uint32_t field = only_absence(c, &b->rules[i], places[i]);
        uint32_t owner = atom != NONE ? b->atoms[atom].field : c->set->field_count + places[i];
        if (atom != NONE || field != NONE)
            found[count++] = (struct default_rule){owner, c->rule_tags[i], i, atom, field};
    }
    if (count)
        qsort(found, count, sizeof *found, compare_default_rules);
    return count;
}

/* Is there already what can be taken back once only: the atom's tag, or for an absence the tag,
 * whoever owns it? Then the rule is tried like any other. */
static bool is_taken(const struct compiler *c, const struct default_rule *rule, uint64_t *taken)
{
    uint64_t bit = (uint64_t)1 << rule->tag % 64, *word = &taken[rule->tag / 64];
    if (rule->atom != NONE)
        return c->atoms[rule->atom].but_tag != NONE;
    if (*word & bit)
        return true;
    *word |= bit;
    return false;
}

/* Rules of one single anything-but, and rules that only need a field to be absent, match by
 * default: words of tags, from which failures are taken. `places` of the rules that are handled so
 * becomes NONE. */
static bool compile_defaults(struct compiler *c, uint32_t *places)
{
    struct pattern_set *set = c->set;
    struct default_rule *found = compiler_temp(c, c->builder->rule_count, sizeof *found);
    uint64_t *taken = compiler_temp(c, set->tag_count / 64 + 1, sizeof *taken);
    if (!found || !taken)
        return false;
    uint32_t count = find_default_rules(c, places, found), used = 0;
    struct word *words = compiler_array(c, count, sizeof *words);
    if (!words)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct default_rule *rule = &found[i], *before = i ? &found[i - 1] : NULL;
        bool same_owner = before && before->owner == rule->owner, absence = rule->field != NONE;
        if ((same_owner && before->tag == rule->tag) || is_taken(c, rule, taken))
            continue;
        struct span *span = absence ? &c->default_words[rule->owner - set->field_count]
                                    : &c->fields[rule->owner].defaults;
        if (span->end == 0)
            *span = (struct span){used, used};
        if (span->first == used || words[used - 1].at != rule->tag / 64)
            words[used++] = (struct word){rule->tag / 64, 0};
        words[used - 1].bits |= (uint64_t)1 << rule->tag % 64;
        span->end = used;
        if (absence)
            c->absences[c->absence_count++] =
                (struct absence){rule->field, places[rule->rule], rule->rule};
        else
            c->atoms[rule->atom].but_tag = rule->tag;
        places[rule->rule] = NONE;
    }
    set->words = words;
    set->has_absences = c->absence_count > 0;
    return true;
}

/* ---- what is late ---- */

/* The indexes that hold the parts of an anything-but. */
static unsigned needs_of_but(const struct pattern_builder *b, const struct built_atom *but)
{
    const uint32_t *parts = (const uint32_t *)(const void *)but->operand.ptr;
    unsigned needs = 0;
    for (size_t i = 0; i < but->operand.len / sizeof *parts; i++)
        needs |= index_need(b->atoms[parts[i]].kind);
    return needs;
}

/* What is looked up at once: whatever some rule waits for, or its default is taken back by. And an
 * anything-but with parts of several kinds, since it counts the leaves that fail. `waiting`: how
 * many rules at each place. */
static bool choose_needs(struct compiler *c, const struct span *waiting, const uint32_t *needed)
{
    const struct pattern_builder *b = c->builder;
    bool *is_needed = compiler_temp(c, (size_t)c->set->condition_count + 1, sizeof *is_needed);
    if (!is_needed)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++)
        is_needed[needed[i]] = true;
    for (uint32_t i = 0; i < c->set->condition_count; i++) {
        const struct condition *condition = &c->conditions[i];
        if (waiting[i].end == 0 && c->default_words[i].end == 0 && !is_needed[i])
            continue;
        for (uint32_t j = condition->atoms.first; j < condition->atoms.end; j++)
            c->fields[condition->field].needs |=
                (uint8_t)index_need(b->atoms[b->atom_lists[j]].kind);
    }
    for (uint32_t i = 0; i < b->atom_set.count; i++) {
        unsigned needs = b->atoms[i].kind == ATOM_BUT ? needs_of_but(b, &b->atoms[i]) : 0;
        if (c->atoms[i].but_tag != NONE || (needs & (needs - 1)) != 0)
            c->fields[b->atoms[i].field].needs |= (uint8_t)needs;
    }
    return true;
}

/* And all that is not, and which conditions that concerns. */
static void mark_late(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    for (uint32_t i = 0; i < c->set->condition_count; i++) {
        struct condition *condition = &c->conditions[i];
        struct field *field = &c->fields[condition->field];
        unsigned needs = 0;
        size_t count = 0;
        for (uint32_t j = condition->atoms.first; j < condition->atoms.end; j++) {
            const struct built_atom *atom = &b->atoms[b->atom_lists[j]];
            bool but = atom->kind == ATOM_BUT;
            count += but ? atom->operand.len / sizeof(uint32_t) : 1;
            needs |= but ? needs_of_but(b, atom) : index_need(atom->kind);
        }
        condition->late = (uint8_t)(needs & ~(unsigned)field->needs);
        field->late |= condition->late;
        if (count > CONDITION_ATOMS_FEW)
            condition->flags |= CONDITION_LONG;
    }
}

/* ---- chains of conditions ---- */

/* The link for `condition` behind `before`: each distinct one once. */
static uint32_t add_link(struct compiler *c, uint32_t before, uint32_t condition)
{
    uint64_t hash = ((uint64_t)before << 32 | condition) * 0x9E3779B97F4A7C15u;
    uint32_t at = (uint32_t)(hash >> 32) & c->link_mask;
    for (; c->link_slots[at]; at = (at + 1) & c->link_mask) {
        const struct link *link = &c->links[c->link_slots[at] - 1];
        if (link->before == before && link->condition == condition)
            return c->link_slots[at] - 1;
    }
    c->links[c->link_count] = (struct link){before, condition};
    c->link_slots[at] = ++c->link_count;
    return c->link_count - 1;
}

static bool is_special(const struct condition *condition)
{
    return condition->flags & (CONDITION_BUT | CONDITION_ABSENT) || condition->late;
}

/* The chain of all conditions of a rule but two: what most rules have comes first. */
static uint32_t add_chain(struct compiler *c, const struct built_rule *rule, uint32_t place,
                          uint32_t needs)
{
    const uint32_t *list = c->condition_lists + rule->first;
    uint32_t order[PATTERN_PATHS_MAX], count = 0, link = NONE;
    for (uint32_t i = 0; i < rule->count; i++) {
        if (list[i] == place || list[i] == needs)
            continue;
        uint32_t at = count++;
        for (; at > 0 && (c->uses[order[at - 1]] < c->uses[list[i]] ||
                          (c->uses[order[at - 1]] == c->uses[list[i]] && order[at - 1] > list[i]));
             at--)
            order[at] = order[at - 1];
        order[at] = list[i];
    }
    for (uint32_t i = 0; i < count; i++)
        link = add_link(c, link,
                        order[i] | (is_special(&c->conditions[order[i]]) ? CONDITION_SPECIAL : 0));
    return link;
}

static bool start_links(struct compiler *c)
{
    c->link_mask = 15;
    while (c->link_mask < 2 * (uint64_t)c->builder->condition_list_count)
        c->link_mask = c->link_mask * 2 + 1;
    c->link_slots = compiler_temp(c, (size_t)c->link_mask + 1, sizeof *c->link_slots);
    c->links = compiler_temp(c, c->builder->condition_list_count, sizeof *c->links);
    return c->link_slots && c->links;
}

static bool keep_links(struct compiler *c)
{
    struct link *links = compiler_array(c, c->link_count, sizeof *links);
    if (!links)
        return false;
    if (c->link_count)
        memcpy(links, c->links, c->link_count * sizeof *links);
    c->set->links = links;
    c->set->link_count = c->link_count;
    return true;
}

/* ---- the rules of each place ---- */

/* Rules that need a field to be absent, by field: tried where the field stands in an array. */
static void lay_out_absences(struct compiler *c, struct rule *rules, uint32_t used)
{
    for (uint32_t i = 0; i < c->absence_count; i++)
        c->fields[c->absences[i].field].absences.end++;
    for (uint32_t i = 0; i < c->set->field_count; i++) {
        uint32_t count = c->fields[i].absences.end;
        c->fields[i].absences = (struct span){used, used};
        used += count;
    }
    for (uint32_t i = 0; i < c->absence_count; i++) {
        uint32_t rule = c->absences[i].rule;
        rules[c->fields[c->absences[i].field].absences.end++] =
            (struct rule){c->set->condition_count,
                          add_chain(c, &c->builder->rules[rule], NONE, NONE), c->rule_tags[rule]};
    }
}

/* Lays the rules out by place; in front of each place's the tags that match there by default. */
static bool lay_out_rules(struct compiler *c, const uint32_t *places, const uint32_t *needs,
                          struct span *spans, uint32_t place_count)
{
    const struct pattern_builder *b = c->builder;
    uint32_t defaults = 0;
    for (uint32_t i = 0; i < place_count; i++)
        defaults += c->default_words[i].end > 0;
    for (uint32_t i = 0; i < place_count; i++)
        spans[i].end += c->default_words[i].end > 0;
    uint32_t used = compiler_lay_out(spans, place_count);
    struct span *word_spans = compiler_array(c, defaults, sizeof *word_spans);
    struct rule *rules = compiler_array(c, (size_t)used + c->absence_count, sizeof *rules);
    if (!word_spans || !rules || !start_links(c))
        return false;
    defaults = 0;
    for (uint32_t i = 0; i < place_count; i++) {
        if (c->default_words[i].end == 0)
            continue;
        word_spans[defaults] = c->default_words[i];
        rules[spans[i].end++] =
            (struct rule){c->set->condition_count, RULE_OF_DEFAULTS, defaults++};
    }
    for (uint32_t i = 0; i < b->rule_count; i++)
        if (places[i] != NONE)
            rules[spans[places[i]].end++] = (struct rule){needs[i], places[i], i};
    for (uint32_t i = 0; i < used; i++) { // in this order, so that links of one place lie together
        uint32_t number = rules[i].tag;
        if (rules[i].link == RULE_OF_DEFAULTS)
            continue;
        rules[i].link = add_chain(c, &b->rules[number], rules[i].link, rules[i].needs);
        rules[i].tag = c->rule_tags[number];
    }
    lay_out_absences(c, rules, used);
    c->set->rules = rules;
    c->set->rule_count = used + c->absence_count;
    c->set->word_spans = word_spans;
    return keep_links(c);
}

/* Chooses where each rule waits, and from that what is looked up at once; then lays out. */
static bool place_rules(struct compiler *c, struct span *spans, uint32_t place_count)
{
    const struct pattern_builder *b = c->builder;
    uint32_t *places = compiler_temp(c, b->rule_count, sizeof *places);
    uint32_t *needs = compiler_temp(c, b->rule_count, sizeof *needs);
    if (!places || !needs)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++)
        places[i] = waiting_place(c, &b->rules[i]);
    if (!b->in_order && !compile_defaults(c, places))
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        needs[i] = needed_condition(c, &b->rules[i], places[i]);
        if (places[i] != NONE)
            spans[places[i]].end++;
    }
    if (!choose_needs(c, spans, needs))
        return false;
    mark_late(c);
    return lay_out_rules(c, places, needs, spans, place_count);
}

static bool compile_rules(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    struct pattern_set *set = c->set;
    uint32_t place_count = set->condition_count + set->field_count + 1, guess = 0;
    struct span *spans = compiler_temp(c, place_count, sizeof *spans);
    c->rule_tags = compiler_temp(c, b->rule_count, sizeof *c->rule_tags);
    c->default_words = compiler_temp(c, place_count, sizeof *c->default_words);
    c->absences = compiler_temp(c, b->rule_count, sizeof *c->absences);
    if (!spans || !c->rule_tags || !c->default_words || !c->absences)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        c->rule_tags[i] = tag_position(set, b->rules[i].tag, guess);
        guess = c->rule_tags[i] + 1;
    }
    if (!place_rules(c, spans, place_count))
        return false;
    for (uint32_t i = 0; i < set->condition_count; i++)
        c->conditions[i].waiting = spans[i];
    for (uint32_t i = 0; i < set->field_count; i++) {
        struct field *field = &c->fields[i];
        field->present = spans[set->condition_count + i];
        field->decides = field->present.first < field->present.end ||
                         field->defaults.first < field->defaults.end;
    }
    set->always = spans[place_count - 1];
    return true;
}

/* ---- atoms, and what follows from each ---- */

static bool is_waited(const struct condition *condition)
{
    return condition->waiting.first < condition->waiting.end;
}

static bool compile_postings(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    uint32_t atoms = b->atom_set.count;
    struct span *to_conditions = compiler_temp(c, atoms, sizeof *to_conditions);
    struct span *to_buts = compiler_temp(c, atoms, sizeof *to_buts);
    size_t total = b->atom_list_count;
    if (!to_conditions || !to_buts)
        return false;
    for (uint32_t i = 0; i < b->atom_list_count; i++)
        to_conditions[b->atom_lists[i]].end++;
    for (uint32_t i = 0; i < atoms; i++) {
        if (b->atoms[i].kind != ATOM_BUT)
            continue;
        const uint32_t *parts = (const uint32_t *)(const void *)b->atoms[i].operand.ptr;
        for (size_t j = 0; j < b->atoms[i].operand.len / sizeof *parts; j++, total++)
            to_buts[parts[j]].end++;
    }
    uint32_t *postings = compiler_array(c, total, sizeof *postings);
    if (!postings)
        return false;
    compiler_lay_out(to_conditions, atoms);
    compiler_lay_out(to_buts, atoms);
    for (uint32_t i = 0; i < b->condition_set.count; i++)
        for (uint32_t j = 0; j < c->built[i].count; j++)
            postings[to_conditions[b->atom_lists[c->built[i].first + j]].end++] =
                i | (is_waited(&c->conditions[i]) ? CONDITION_WAITED : 0);
    for (uint32_t i = 0; i < atoms; i++) {
        to_buts[i].first += b->atom_list_count;
        to_buts[i].end += b->atom_list_count;
    }
    for (uint32_t i = 0; i < atoms; i++) {
        if (b->atoms[i].kind != ATOM_BUT)
            continue;
        const uint32_t *parts = (const uint32_t *)(const void *)b->atoms[i].operand.ptr;
        for (size_t j = 0; j < b->atoms[i].operand.len / sizeof *parts; j++)
            postings[to_buts[parts[j]].end++] = i;
    }
    for (uint32_t i = 0; i < atoms; i++) {
        c->atoms[i].conditions = to_conditions[i];
        c->atoms[i].excludes = to_buts[i];
    }
    c->set->postings = postings;
    return true;
}

/* The tag of the one rule that consists of this one condition, or NONE. */
static uint32_t only_tag(const struct compiler *c, uint32_t id)
{
    if (c->uses[id] != 1 || !is_waited(&c->conditions[id]))
        return NONE;
    const struct rule *rule = &c->set->rules[c->conditions[id].waiting.first];
    return rule->needs == c->set->condition_count && rule->link == NONE ? rule->tag : NONE;
}

static uint32_t outcome_of(const struct compiler *c, const struct atom *atom)
{
    if (atom->conditions.end - atom->conditions.first != 1 ||
        atom->excludes.first < atom->excludes.end)
        return OUTCOME_MANY;
    uint32_t posting = c->set->postings[atom->conditions.first];
    uint32_t tag = only_tag(c, posting & ~CONDITION_WAITED);
    return tag == NONE ? posting : tag | OUTCOME_TAG;
}

static bool compile_outcomes(struct compiler *c)
{
    uint32_t *outcomes = compiler_array(c, c->set->atom_count, sizeof *outcomes);
    if (!outcomes)
        return false;
    for (uint32_t i = 0; i < c->set->atom_count; i++)
        outcomes[i] = outcome_of(c, &c->atoms[i]);
    c->set->outcomes = outcomes;
    return true;
}

static bool compile_atoms(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    c->atoms = compiler_array(c, b->atom_set.count, sizeof *c->atoms);
    if (!c->atoms)
        return false;
    for (uint32_t i = 0; i < b->atom_set.count; i++) {
        const struct built_atom *from = &b->atoms[i];
        struct str operand = from->operand;
        char *copy =
            arena_alloc_raw(&c->set->arena, operand.len, from->kind >= ATOM_NUMBER ? 8 : 1);
        if (!copy)
            return false;
        if (operand.len)
            memcpy(copy, operand.ptr, operand.len);
        c->atoms[i] = (struct atom){.kind = (uint8_t)from->kind,
                                    .field = from->field,
                                    .operand = {copy, operand.len},
                                    .but_tag = NONE};
    }
    c->set->atoms = c->atoms;
    c->set->atom_count = b->atom_set.count;
    return true;
}

/* ---- fields ---- */

/* UTF-16 orders characters above U+FFFF before U+E000; UTF-8 does not. */
static int utf16_byte(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0xF0 ? byte - 2 : byte >= 0xEE ? byte + 0x20 : byte;
}

static int compare_paths(const void *a, const void *b)
{
    const struct field *x = *(const struct field *const *)a, *y = *(const struct field *const *)b;
    size_t common = x->path.len < y->path.len ? x->path.len : y->path.len;
    for (size_t i = 0; i < common; i++)
        if (x->path.ptr[i] != y->path.ptr[i])
            return utf16_byte(x->path.ptr[i]) - utf16_byte(y->path.ptr[i]);
    return (x->path.len > y->path.len) - (x->path.len < y->path.len);
}

static bool compile_fields(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    uint32_t count = b->field_set.count;
    struct field **order = compiler_temp(c, count, sizeof *order);
    c->fields = compiler_array(c, count, sizeof *c->fields);
    if (!order || !c->fields)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        c->fields[i].path = str_copy(&c->set->arena, b->fields[i]);
        if (!c->fields[i].path.ptr)
            return false;
        memset(c->fields[i].kinds, 0xFF, sizeof c->fields[i].kinds);
        order[i] = &c->fields[i];
    }
    if (count)
        qsort(order, count, sizeof *order, compare_paths);
    for (uint32_t i = 0; i < count; i++)
        order[i]->rank = i;
    c->set->fields = c->fields;
    c->set->field_count = count;
    return true;
}

/* ---- everything ---- */

static bool compile_all(struct compiler *c)
{
    return compile_fields(c) && compile_atoms(c) && order_conditions(c) && compile_conditions(c) &&
           compile_tags(c) && compile_costs(c) && compile_rules(c) && compile_postings(c) &&
           compile_outcomes(c) && index_paths(c) && index_fields(c);
}

struct pattern_set *pattern_builder_finish(struct pattern_builder *b, struct error *err)
{
    struct pattern_set *set = calloc(1, sizeof *set);
    struct compiler c = {.builder = b, .set = set};
    if (set)
        set->seed = hash_bytes(&set, sizeof set, 0);
    bool ok = set && compile_all(&c);
    arena_finish(&c.temp);
    if (ok)
        return set;
    pattern_set_destroy(set);
    error_set(err, "G0112", "out of memory");
    return NULL;
}

void pattern_set_destroy(struct pattern_set *set)
{
    if (!set)
        return;
    arena_finish(&set->arena);
    free(set);
}

size_t pattern_set_size(const struct pattern_set *set)
{
    return sizeof *set + set->arena.used;
}
