// SPDX-License-Identifier: Apache-2.0
/* From true conditions to tags. Rules are looked at only where one of their conditions, the rarest,
 * came true; those made of what is true by default have lists of their own. */
#include "pattern/pattern_internal.h"

/* Some leaf passes an anything-but unless all of them failed. */
static bool but_holds(const struct pattern_scratch *s, uint32_t atom,
                      const struct field_state *state)
{
    const struct but_state *but = &s->buts[atom];
    return state->epoch == s->epoch && (but->epoch != s->epoch || but->fails < state->leaves);
}

/* Works out a condition of a field that has leaves. */
static bool work_out(struct pattern_scratch *s, const struct condition *condition, uint32_t id)
{
    const struct pattern_set *set = s->set;
    struct field_state *state = &s->fields[condition->field];
    unsigned late = condition->late & ~(unsigned)state->late;
    if (late & ~(unsigned)NEEDS_STRING && state->leaves == 1 && state->asked < LATE_ASKS_MAX &&
        !(condition->flags & CONDITION_LONG)) {
        state->asked++;
        return condition_takes(set, condition, &s->leaves[state->first]);
    }
    if (late)
        leaf_evaluate_late(s, condition->field, late);
    if (s->stamps[id] == s->epoch)
        return true;
    for (uint32_t i = condition->atoms.first;
         condition->flags & CONDITION_BUT && i < condition->atoms.end; i++)
        if (set->atoms[set->atom_lists[i]].kind == ATOM_BUT &&
            but_holds(s, set->atom_lists[i], state))
            return true;
    return false;
}

/* Of a condition that is not marked true and may be nevertheless; marks what comes out. With arrays
 * an absence depends on the elements chosen, which arrays.c decides: here it may hold. */
static __attribute__((noinline)) bool special_holds(struct pattern_scratch *s, uint32_t id)
{
    const struct condition *condition = &s->set->conditions[id];
    const struct field_state *state = &s->fields[condition->field];
    if (s->stamps[id] == s->epoch + STAMP_FALSE)
        return false;
    bool seen = state->epoch == s->epoch;
    bool holds = (condition->flags & CONDITION_ABSENT && (!seen || state->in_array)) ||
                 (seen && work_out(s, condition, id));
    s->stamps[id] = s->epoch + (holds ? 0 : STAMP_FALSE);
    return holds;
}

/* `linked` as it stands in a link. */
static inline bool condition_holds(struct pattern_scratch *s, uint32_t linked)
{
    uint32_t id = linked & ~CONDITION_SPECIAL;
    return s->stamps[id] == s->epoch || (linked != id && special_holds(s, id));
}

/* Is the link marked? */
static inline bool is_known(const struct pattern_scratch *s, uint32_t id, bool *ret_holds)
{
    uint32_t stamp = id == NONE ? 0 : s->link_stamps[id] - s->epoch;
    *ret_holds = stamp == 0;
    return stamp <= STAMP_FALSE;
}

/* Works out a link behind one that does, or does not, hold. */
static inline bool work_out_link(struct pattern_scratch *s, uint32_t id, bool before)
{
    bool holds = before && condition_holds(s, s->set->links[id].condition);
    s->link_stamps[id] = s->epoch + (holds ? 0 : STAMP_FALSE);
    return holds;
}

/* The same for a chain, from the first link that is not marked. */
static __attribute__((noinline)) bool work_out_chain(struct pattern_scratch *s, uint32_t id)
{
    uint32_t chain[PATTERN_PATHS_MAX] __attribute__((uninitialized)), count = 0;
    bool holds;
    for (; !is_known(s, id, &holds); id = s->set->links[id].before)
        chain[count++] = id;
    while (count > 0)
        holds = work_out_link(s, chain[--count], holds);
    return holds;
}

static inline bool link_holds(struct pattern_scratch *s, uint32_t id)
{
    bool holds;
    if (is_known(s, id, &holds))
        return holds;
    if (is_known(s, s->set->links[id].before, &holds))
        return work_out_link(s, id, holds);
    return work_out_chain(s, id);
}

/* Can its leaves and those of another condition stand in different elements of one array? Twice
 * alone, if it may be an absence. */
static unsigned count_in_arrays(const struct pattern_scratch *s, uint32_t linked)
{
    const struct condition *condition = &s->set->conditions[linked & ~CONDITION_SPECIAL];
    const struct field_state *state = &s->fields[condition->field];
    if (state->epoch != s->epoch || !state->in_array)
        return 0;
    return condition->flags & CONDITION_ABSENT ? 2 : 1;
}

static bool needs_arrays(const struct pattern_scratch *s, const struct rule *rule, uint32_t place)
{
    const struct pattern_set *set = s->set;
    unsigned in_arrays = place == NONE ? 0 : count_in_arrays(s, place);
    if (rule->needs < set->condition_count)
        in_arrays += count_in_arrays(s, rule->needs);
    for (uint32_t link = rule->link; link != NONE; link = set->links[link].before)
        in_arrays += count_in_arrays(s, set->links[link].condition);
    return in_arrays > 1;
}

static inline enum array_answer holds(struct pattern_scratch *s, const struct rule *rule,
                                      uint32_t place)
{
    if (!link_holds(s, rule->link))
        return ARRAYS_NO;
    return s->in_array && needs_arrays(s, rule, place) ? arrays_solve(s, rule, place) : ARRAYS_YES;
}

enum array_answer rule_holds(struct pattern_scratch *s, const struct rule *rule, uint32_t place)
{
    return s->stamps[rule->needs] == s->epoch ? holds(s, rule, place) : ARRAYS_NO;
}

/* False: too many steps. */
static inline bool try_rule(struct pattern_scratch *s, const struct rule *rule, uint32_t place)
{
    enum array_answer answer = holds(s, rule, place);
    if (answer == ARRAYS_YES)
        set_tag(s, rule->tag);
    return answer != ARRAYS_ENTANGLED;
}

/* Tags that match by default. */
static void add_words(struct pattern_scratch *s, struct span words, const uint64_t *but)
{
    for (uint32_t i = words.first; i < words.end; i++) {
        const struct word *word = &s->set->words[i];
        s->result[word->at] |= word->bits & ~but[word->at];
        s->summary[word->at / 64] |= (uint64_t)1 << word->at % 64;
    }
}

/* Rules that wait for `place`, which is true (NONE: for nothing that is one condition), behind the
 * candidates. Returns how many there are. */
static inline uint32_t add_candidates(struct pattern_scratch *s, struct span span, uint32_t place,
                                      uint32_t count)
{
    const uint32_t *stamps = s->stamps, epoch = s->epoch;
    const struct rule *rules = s->set->rules;
    struct candidate *candidates = s->candidates;
    for (uint32_t i = span.first; i < span.end; i++) {
        candidates[count] = (struct candidate){i, place};
        count += stamps[rules[i].needs] == epoch;
    }
    return count;
}

static bool try_candidates(struct pattern_scratch *s, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct rule *rule = &s->set->rules[s->candidates[i].rule];
        if (rule->link == RULE_OF_DEFAULTS)
            add_words(s, s->set->word_spans[rule->tag], s->denied);
        else if (!try_rule(s, rule, s->candidates[i].place))
            return false;
    }
    return true;
}

/* Marks or unmarks the tags of the field's failed anything-buts. */
static void mark_failed(struct pattern_scratch *s, uint32_t field, bool mark)
{
    const struct pattern_set *set = s->set;
    for (uint32_t i = 0; i < s->failed_count; i++) {
        const struct atom *atom = &set->atoms[s->failed[i]];
        if (atom->field != field || atom->but_tag == NONE ||
            but_holds(s, s->failed[i], &s->fields[field]))
            continue;
        uint64_t bit = (uint64_t)1 << atom->but_tag % 64;
        s->exclude[atom->but_tag / 64] = mark ? s->exclude[atom->but_tag / 64] | bit : 0;
    }
}

static void add_defaults(struct pattern_scratch *s, uint32_t id)
{
    const struct field *field = &s->set->fields[id];
    bool failed = s->fields[id].failed;
    if (failed)
        mark_failed(s, id, true);
    add_words(s, field->defaults, s->exclude);
    if (failed)
        mark_failed(s, id, false);
}

/* Rules that match by default unless a field has a leaf: for the fields that have, the defaults are
 * denied (or no longer). A field in an array may be absent from the element chosen: such rules are
 * tried like any other. */
static bool deny_absences(struct pattern_scratch *s, bool deny)
{
    for (uint32_t i = 0; i < s->field_seen_count; i++) {
        struct span span = s->set->fields[s->field_seen[i]].absences;
        bool in_array = s->fields[s->field_seen[i]].in_array;
        for (uint32_t j = span.first; j < span.end; j++) {
            const struct rule *rule = &s->set->rules[j];
            uint64_t bit = (uint64_t)1 << rule->tag % 64;
            s->denied[rule->tag / 64] = deny ? s->denied[rule->tag / 64] | bit : 0;
            if (deny && in_array && !try_rule(s, rule, NONE))
                return false;
        }
    }
    return true;
}

bool decide_rules(struct pattern_scratch *s, struct error *err)
{
    const struct pattern_set *set = s->set;
    s->stamps[set->condition_count] = s->epoch;
    bool ok = !set->has_absences || deny_absences(s, true);
    uint32_t count = add_candidates(s, set->always, NONE, 0);
    for (uint32_t i = 0; i < s->field_seen_count; i++) {
        const struct field *field = &set->fields[s->field_seen[i]];
        if (!field->decides)
            continue;
        add_defaults(s, s->field_seen[i]);
        count = add_candidates(s, field->present, NONE, count);
    }
    for (uint32_t i = 0; i < s->fired_count; i++)
        count = add_candidates(s, set->conditions[s->fired[i]].waiting, s->fired[i], count);
    ok = ok && try_candidates(s, count);
    if (set->has_absences)
        (void)deny_absences(s, false);
    if (ok)
        return true;
    error_set(err, "G0207", "the event's arrays are too entangled to be matched");
    return error_hint(err, "a pattern names fields in several arrays with very many elements each");
}
