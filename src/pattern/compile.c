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
    [ATOM_FOLD] = 1,
    [ATOM_FOLD_PREFIX] = 4,
    [ATOM_FOLD_SUFFIX] = 4,
    [ATOM_WILDCARD] = 8,
    [ATOM_NUMBER] = 1,
    [ATOM_RANGE] = 16,
    [ATOM_IP] = 1,
    [ATOM_CIDR] = 16,
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
    uint32_t *uses = compiler_temp(c, b->condition_set.count, sizeof *uses);
    uint64_t *atom_uses = compiler_temp(c, b->atom_set.count, sizeof *atom_uses);
    c->costs = compiler_temp(c, b->condition_set.count, sizeof *c->costs);
    if (!uses || !atom_uses || !c->costs)
        return false;
    for (uint32_t i = 0; i < b->condition_list_count; i++)
        uses[b->condition_lists[i]]++;
    for (uint32_t i = 0; i < b->condition_set.count; i++)
        for (uint32_t j = 0; j < b->conditions[i].count; j++)
            atom_uses[b->atom_lists[b->conditions[i].first + j]] += uses[i];
    for (uint32_t i = 0; i < b->condition_set.count; i++) {
        for (uint32_t j = 0; j < b->conditions[i].count; j++) {
            uint32_t atom = b->atom_lists[b->conditions[i].first + j];
            c->costs[i] += atom_uses[atom] * kind_costs[b->atoms[atom].kind];
        }
    }
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
        const struct built_condition *from = &b->conditions[i];
        struct condition *to = &c->conditions[i];
        to->field = from->field;
        to->atoms = (struct span){from->first, from->first + from->count};
        for (uint32_t j = to->atoms.first; j < to->atoms.end; j++)
            to->flags |= b->atoms[lists[j]].kind == ATOM_BUT      ? CONDITION_BUT
                         : b->atoms[lists[j]].kind == ATOM_ABSENT ? CONDITION_ABSENT
                                                                  : 0;
    }
    c->set->atom_lists = lists;
    c->set->conditions = c->conditions;
    c->set->condition_count = b->condition_set.count;
    return true;
}

/* ---- rules, and where each waits ---- */

/* A rule on its way into its group. */
struct waiting {
    uint32_t place, second, rule;
};

static uint32_t first_condition(const struct compiler *c, const struct built_rule *rule)
{
    const uint32_t *list = c->builder->condition_lists + rule->first;
    uint32_t best = list[0];
    for (uint32_t i = 1; i < rule->count; i++)
        if (c->costs[list[i]] < c->costs[best])
            best = list[i];
    return best;
}

/* The one anything-but that a rule consists of, or NONE. */
static uint32_t only_but(const struct compiler *c, const struct built_rule *rule)
{
    const struct pattern_builder *b = c->builder;
    const struct built_condition *condition = &b->conditions[b->condition_lists[rule->first]];
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

struct but_rule {
    uint32_t field, tag, atom, rule;
};

static int compare_but_rules(const void *a, const void *b)
{
    const struct but_rule *x = a, *y = b;
    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

/* Rules of one single anything-but match by default: a word of tags a field, from which failures
 * are taken. `places` of the rules that are handled so becomes NONE. */
static bool compile_defaults(struct compiler *c, uint32_t *places)
{
    struct pattern_set *set = c->set;
    uint32_t count = 0;
    const struct pattern_builder *b = c->builder;
    struct but_rule *found = compiler_temp(c, b->rule_count, sizeof *found);
    if (!found)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        uint32_t atom = only_but(c, &b->rules[i]);
        if (atom != NONE)
            found[count++] = (struct but_rule){b->atoms[atom].field, c->rule_tags[i], atom, i};
    }
    struct word *words = compiler_array(c, count, sizeof *words);
    if (!words)
        return false;
    if (count)
        qsort(found, count, sizeof *found, compare_but_rules);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct but_rule *but = &found[i], *before = i ? &found[i - 1] : NULL;
        struct field *field = &c->fields[but->field];
        bool same_field = before && before->field == but->field;
        /* A tag or an atom that is there already: that rule is tried like any other. */
        if ((same_field && before->tag == but->tag) || c->atoms[but->atom].but_tag != NONE)
            continue;
        if (field->defaults.end == 0)
            field->defaults = (struct span){used, used};
        if (field->defaults.first == used || words[used - 1].at != but->tag / 64)
            words[used++] = (struct word){but->tag / 64, 0};
        words[used - 1].bits |= (uint64_t)1 << but->tag % 64;
        field->defaults.end = used;
        c->atoms[but->atom].but_tag = but->tag;
        places[but->rule] = NONE;
    }
    set->words = words;
    return true;
}

/* Lays the rules out by place: `waiting` is filled in that order, spans say from where to where. */
static bool sort_by_place(struct compiler *c, struct waiting *waiting, struct span *spans,
                          uint32_t place_count)
{
    const struct pattern_builder *b = c->builder;
    uint32_t *places = compiler_temp(c, b->rule_count, sizeof *places);
    if (!places)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++)
        places[i] = waiting_place(c, &b->rules[i]);
    if (!b->in_order && !compile_defaults(c, places))
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++)
        if (places[i] != NONE)
            spans[places[i]].end++;
    compiler_lay_out(spans, place_count);
    for (uint32_t i = 0; i < b->rule_count; i++)
        if (places[i] != NONE)
            waiting[spans[places[i]].end++] = (struct waiting){places[i], NONE, i};
    return true;
}

static int compare_waiting(const void *a, const void *b)
{
    const struct waiting *x = a, *y = b;
    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    return (x->rule > y->rule) - (x->rule < y->rule);
}

/* For each rule that waits at one place the condition that the fewest others there need: what is
 * true whenever the place's own condition is (source, then eventSource) tells nothing. `counts` is
 * all zero, before and after. */
static void choose_seconds(const struct compiler *c, struct waiting *waiting, uint32_t count,
                           uint32_t *counts)
{
    const struct pattern_builder *b = c->builder;
    for (uint32_t i = 0; i < count; i++) {
        const struct built_rule *rule = &b->rules[waiting[i].rule];
        for (uint32_t j = 0; j < rule->count; j++)
            counts[b->condition_lists[rule->first + j]]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct built_rule *rule = &b->rules[waiting[i].rule];
        uint32_t best = NONE;
        for (uint32_t j = 0; j < rule->count; j++) {
            uint32_t id = b->condition_lists[rule->first + j];
            if (id != waiting[i].place &&
                (best == NONE || counts[id] < counts[best] ||
                 (counts[id] == counts[best] && c->costs[id] < c->costs[best])))
                best = id;
        }
        waiting[i].second = best;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct built_rule *rule = &b->rules[waiting[i].rule];
        for (uint32_t j = 0; j < rule->count; j++)
            counts[b->condition_lists[rule->first + j]] = 0;
    }
    if (count > 1)
        qsort(waiting, count, sizeof *waiting, compare_waiting);
}

static uint32_t listed(const struct compiler *c, uint32_t id)
{
    return id == NONE ? NONE : id | (c->conditions[id].flags ? CONDITION_SPECIAL : 0);
}

/* The rule's conditions, those last that its place and its group have settled already. */
static void place_rule(struct compiler *c, const struct waiting *waiting, uint32_t *lists,
                       uint32_t *used, struct rule *ret)
{
    const struct built_rule *from = &c->builder->rules[waiting->rule];
    const uint32_t *list = c->builder->condition_lists + from->first;
    uint32_t first = *used, last = first + from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        if (list[i] == waiting->place || list[i] == waiting->second)
            lists[--last] = listed(c, list[i]);
        else
            lists[first++] = listed(c, list[i]);
    }
    *ret = (struct rule){{*used, *used + from->count}, c->rule_tags[waiting->rule]};
    *used += from->count;
}

static bool compile_groups(struct compiler *c, struct waiting *waiting, const struct span *spans,
                           uint32_t place_count, struct span *ret_groups)
{
    struct pattern_set *set = c->set;
    uint32_t rules_used = 0, lists_used = 0, groups_used = 0;
    uint32_t total = place_count ? spans[place_count - 1].end : 0;
    uint32_t *counts = compiler_temp(c, set->condition_count, sizeof *counts);
    uint32_t *lists = compiler_array(c, c->builder->condition_list_count, sizeof *lists);
    struct rule *rules = compiler_array(c, total, sizeof *rules);
    struct group *groups = compiler_array(c, total, sizeof *groups);
    if (!counts || !lists || !rules || !groups)
        return false;
    for (uint32_t place = 0; place < place_count; place++) {
        struct span span = spans[place];
        ret_groups[place] = (struct span){groups_used, groups_used};
        if (!c->builder->in_order)
            choose_seconds(c, waiting + span.first, span.end - span.first, counts);
        for (uint32_t i = span.first; i < span.end; i++) {
            if (i == span.first || waiting[i].second != waiting[i - 1].second)
                groups[groups_used++] =
                    (struct group){listed(c, waiting[i].second), {rules_used, rules_used}};
            place_rule(c, &waiting[i], lists, &lists_used, &rules[rules_used++]);
            groups[groups_used - 1].rules.end = rules_used;
        }
        ret_groups[place].end = groups_used;
    }
    set->rules = rules;
    set->rule_count = total;
    set->groups = groups;
    set->condition_lists = lists;
    return true;
}

static bool compile_rules(struct compiler *c)
{
    const struct pattern_builder *b = c->builder;
    struct pattern_set *set = c->set;
    uint32_t place_count = set->condition_count + set->field_count + 1, guess = 0;
    struct waiting *waiting = compiler_temp(c, b->rule_count, sizeof *waiting);
    struct span *spans = compiler_temp(c, place_count, sizeof *spans);
    struct span *groups = compiler_temp(c, place_count, sizeof *groups);
    c->rule_tags = compiler_temp(c, b->rule_count, sizeof *c->rule_tags);
    if (!waiting || !spans || !groups || !c->rule_tags)
        return false;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        c->rule_tags[i] = tag_position(set, b->rules[i].tag, guess);
        guess = c->rule_tags[i] + 1;
    }
    if (!sort_by_place(c, waiting, spans, place_count) ||
        !compile_groups(c, waiting, spans, place_count, groups))
        return false;
    for (uint32_t i = 0; i < set->condition_count; i++)
        c->conditions[i].groups = groups[i];
    for (uint32_t i = 0; i < set->field_count; i++) {
        struct field *field = &c->fields[i];
        field->present = groups[set->condition_count + i];
        field->decides = field->present.first < field->present.end ||
                         field->defaults.first < field->defaults.end;
    }
    set->always = groups[place_count - 1];
    return true;
}

/* ---- atoms, and what follows from each ---- */

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
        for (uint32_t j = 0; j < b->conditions[i].count; j++)
            postings[to_conditions[b->atom_lists[b->conditions[i].first + j]].end++] = i;
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
    return compile_postings(c);
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
    return compile_fields(c) && compile_atoms(c) && compile_conditions(c) && compile_tags(c) &&
           compile_costs(c) && compile_rules(c) && index_paths(c) && index_fields(c);
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
