// SPDX-License-Identifier: Apache-2.0
/* Array consistency: may the leaves that satisfy a rule's conditions be picked so that no array is
 * at two of its elements at once?
 *
 *   {"a":[{"x":1,"y":2},{"x":3,"y":4}]}   a.x is 1 and a.y is 4: no; a.x is 1 and a.y is 2: yes
 *
 * Conditions are decided in UTF-16 order of their paths, as event-ruler does, which can be seen in
 * one place: "exists": false is held against the elements chosen by the paths before it. Where it
 * fails, the search goes back to the latest condition whose choice was in the way, not merely to
 * the one before (conflict-directed backjumping: Prosser, 1993), and leaves of elements that were
 * not chosen are jumped over. Steps are counted over the whole event. */
#include "pattern/pattern_internal.h"

#define CONDITION_WORDS (PATTERN_PATHS_MAX / 64)

/* A set of levels: positions of conditions in the order of their paths. */
struct levels {
    uint64_t words[CONDITION_WORDS];
};

struct level {
    uint32_t condition;
    uint32_t next;  // next leaf to look at, in leaf_order
    uint32_t trail; // arrays held before this level chose
    struct levels conflicts;
};

struct solver {
    struct pattern_scratch *s;
    struct level levels[PATTERN_PATHS_MAX];
    uint32_t trail[PATTERN_PATHS_MAX * LIMIT_JSON_DEPTH]; // arrays held
    uint32_t count, trail_count;
};

/* Leaves by field, those of one field in the order of the event. */
static void order_leaves(struct pattern_scratch *s)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < s->field_seen_count; i++) {
        uint32_t field = s->field_seen[i];
        s->field_first[field] = total;
        total += s->fields[field].leaves;
    }
    for (uint32_t i = 0; i < s->leaf_count; i++)
        s->leaf_order[s->field_first[s->leaves[i].field]++] = i;
    for (uint32_t i = 0; i < s->field_seen_count; i++)
        s->field_first[s->field_seen[i]] -= s->fields[s->field_seen[i]].leaves;
    s->ordered = true;
}

struct span leaves_of_field(struct pattern_scratch *s, uint32_t field)
{
    if (s->fields[field].epoch != s->epoch)
        return (struct span){0, 0};
    if (!s->ordered)
        order_leaves(s);
    return (struct span){s->field_first[field], s->field_first[field] + s->fields[field].leaves};
}

/* First position in [first, end) of leaf_order whose leaf is not before `leaf`. */
static uint32_t seek(const struct pattern_scratch *s, uint32_t first, uint32_t end, uint32_t leaf)
{
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (s->leaf_order[middle] < leaf)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* The outermost element around the leaf whose array is held at another, or 0. */
static uint32_t conflicting_element(const struct pattern_scratch *s, const struct leaf *leaf)
{
    uint32_t found = 0;
    for (uint32_t e = leaf->element; e; e = s->elements[e].parent) {
        uint32_t chosen = s->arrays[s->elements[e].array].chosen;
        if (chosen && chosen != e)
            found = e;
    }
    return found;
}

/* The next position, from `at`, of a leaf that agrees with the arrays held; `end` when there is
 * none. `conflicts` gains the levels that were in the way. */
static uint32_t next_consistent(struct pattern_scratch *s, uint32_t at, uint32_t end,
                                struct levels *conflicts)
{
    while (at < end) {
        uint32_t leaf = s->leaf_order[at], element = conflicting_element(s, &s->leaves[leaf]);
        s->steps++;
        if (!element)
            return at;
        const struct array *array = &s->arrays[s->elements[element].array];
        if (conflicts)
            conflicts->words[array->level / 64] |= (uint64_t)1 << array->level % 64;
        uint32_t chosen_first = s->elements[array->chosen].first;
        at = seek(s, at + 1, end, leaf < chosen_first ? chosen_first : array->end);
    }
    return end;
}

static void hold(struct solver *solver, uint32_t level, const struct leaf *leaf)
{
    struct pattern_scratch *s = solver->s;
    for (uint32_t e = leaf->element; e; e = s->elements[e].parent) {
        struct array *array = &s->arrays[s->elements[e].array];
        if (array->chosen)
            continue;
        array->chosen = e;
        array->level = level;
        solver->trail[solver->trail_count++] = s->elements[e].array;
    }
}

static void release(struct solver *solver, uint32_t trail)
{
    while (solver->trail_count > trail)
        solver->s->arrays[solver->trail[--solver->trail_count]].chosen = 0;
}

static void all_before(struct levels *levels, uint32_t level)
{
    for (uint32_t i = 0; i < level; i++)
        levels->words[i / 64] |= (uint64_t)1 << i % 64;
}

/* Chooses the level's next leaf (or its absence). False = there is none left. */
static bool choose(struct solver *solver, uint32_t number)
{
    struct pattern_scratch *s = solver->s;
    struct level *level = &solver->levels[number];
    const struct condition *condition = &s->set->conditions[level->condition];
    struct span leaves = leaves_of_field(s, condition->field);
    bool fresh = level->next == leaves.first;
    while ((level->next = next_consistent(s, level->next, leaves.end, &level->conflicts)) <
           leaves.end) {
        const struct leaf *leaf = &s->leaves[s->leaf_order[level->next++]];
        if (condition_takes(s->set, condition, leaf)) {
            hold(solver, number, leaf);
            return true;
        }
    }
    level->next = leaves.end + 1;
    if (!fresh || !(condition->flags & CONDITION_ABSENT))
        return false;
    /* Absent if no leaf at all agrees with what is held; else any level before may have caused it.
     */
    if (next_consistent(s, leaves.first, leaves.end, NULL) == leaves.end)
        return true;
    all_before(&level->conflicts, number);
    return false;
}

/* The last level of the set below `level`, or NONE. */
static uint32_t last_level(const struct levels *levels, uint32_t level)
{
    for (uint32_t i = level; i > 0; i--)
        if (levels->words[(i - 1) / 64] >> (i - 1) % 64 & 1)
            return i - 1;
    return NONE;
}

static void enter(struct solver *solver, uint32_t number)
{
    struct level *level = &solver->levels[number];
    const struct condition *condition = &solver->s->set->conditions[level->condition];
    level->next = leaves_of_field(solver->s, condition->field).first;
    level->trail = solver->trail_count;
    level->conflicts = (struct levels){0};
}

static enum array_answer search(struct solver *solver)
{
    uint32_t at = 0;
    enter(solver, 0);
    for (;;) {
        struct level *level = &solver->levels[at];
        if (solver->s->steps > ARRAY_STEPS_MAX)
            return ARRAYS_ENTANGLED;
        solver->s->steps++;
        release(solver, level->trail);
        if (choose(solver, at)) {
            if (++at == solver->count)
                return ARRAYS_YES;
            enter(solver, at);
            continue;
        }
        uint32_t back = last_level(&level->conflicts, at);
        if (back == NONE)
            return ARRAYS_NO;
        struct levels *merged = &solver->levels[back].conflicts;
        for (unsigned i = 0; i < CONDITION_WORDS; i++)
            merged->words[i] |= level->conflicts.words[i];
        merged->words[back / 64] &= ~((uint64_t)1 << back % 64);
        at = back;
    }
}

/* One more condition, in the order of paths. */
static void add_level(struct solver *solver, uint32_t condition)
{
    const struct pattern_set *set = solver->s->set;
    uint32_t at = solver->count++, rank = set->fields[set->conditions[condition].field].rank;
    for (; at > 0; at--) {
        uint32_t other = solver->levels[at - 1].condition;
        if (set->fields[set->conditions[other].field].rank <= rank)
            break;
        solver->levels[at].condition = other;
    }
    solver->levels[at].condition = condition;
}

enum array_answer arrays_solve(struct pattern_scratch *s, const struct rule *rule, uint32_t place)
{
    struct solver solver __attribute__((uninitialized));
    solver.s = s;
    solver.count = solver.trail_count = 0;
    if (place != NONE)
        add_level(&solver, place);
    if (rule->needs < s->set->condition_count)
        add_level(&solver, rule->needs);
    for (uint32_t link = rule->link; link != NONE; link = s->set->links[link].before)
        add_level(&solver, s->set->links[link].condition & ~CONDITION_SPECIAL);
    enum array_answer answer = search(&solver);
    release(&solver, 0);
    return answer;
}
