// SPDX-License-Identifier: Apache-2.0
/* From true conditions to tags. Rules are looked at only where one of their conditions, the rarest,
 * came true; those made of what is true by default have lists of their own. */
#include "pattern/pattern_internal.h"

static void set_tag(struct pattern_scratch *s, uint32_t tag)
{
    s->result[tag / 64] |= (uint64_t)1 << tag % 64;
    s->summary[tag / 4096] |= (uint64_t)1 << tag / 64 % 64;
}

/* Some leaf passes an anything-but unless all of them failed. */
static bool but_holds(const struct pattern_scratch *s, uint32_t atom,
                      const struct field_state *state)
{
    const struct but_state *but = &s->buts[atom];
    return state->epoch == s->epoch && (but->epoch != s->epoch || but->fails < state->leaves);
}

/* Of a condition with anything-but or exists false in it, none of whose other atoms is true. With
 * arrays an absence depends on the elements chosen, which arrays.c decides: here it may hold. */
static bool special_holds(const struct pattern_scratch *s, uint32_t id)
{
    const struct pattern_set *set = s->set;
    const struct condition *condition = &set->conditions[id];
    const struct field_state *state = &s->fields[condition->field];
    if (condition->flags & CONDITION_ABSENT && (state->epoch != s->epoch || state->in_array))
        return true;
    if (!(condition->flags & CONDITION_BUT))
        return false;
    for (uint32_t i = condition->atoms.first; i < condition->atoms.end; i++)
        if (set->atoms[set->atom_lists[i]].kind == ATOM_BUT &&
            but_holds(s, set->atom_lists[i], state))
            return true;
    return false;
}

/* `listed` as it stands in a list of conditions. */
static inline bool condition_holds(const struct pattern_scratch *s, uint32_t listed)
{
    uint32_t id = listed & ~CONDITION_SPECIAL;
    return s->stamps[id] == s->epoch || (listed != id && special_holds(s, id));
}

/* Can the leaves of two of its fields stand in different elements of one array? */
static bool needs_arrays(const struct pattern_scratch *s, const struct rule *rule)
{
    unsigned in_arrays = 0;
    for (uint32_t i = rule->conditions.first; i < rule->conditions.end; i++) {
        const struct condition *condition =
            &s->set->conditions[s->set->condition_lists[i] & ~CONDITION_SPECIAL];
        const struct field_state *state = &s->fields[condition->field];
        if (state->epoch == s->epoch && state->in_array) {
            in_arrays++;
            if (condition->flags & CONDITION_ABSENT)
                return true;
        }
    }
    return in_arrays > 1;
}

enum array_answer rule_holds(struct pattern_scratch *s, const struct rule *rule)
{
    const struct pattern_set *set = s->set;
    for (uint32_t i = rule->conditions.first; i < rule->conditions.end; i++)
        if (!condition_holds(s, set->condition_lists[i]))
            return ARRAYS_NO;
    return s->in_array && needs_arrays(s, rule) ? arrays_solve(s, rule) : ARRAYS_YES;
}

/* False: too many steps. */
static bool try_group(struct pattern_scratch *s, const struct group *group)
{
    for (uint32_t i = group->rules.first; i < group->rules.end; i++) {
        const struct rule *rule = &s->set->rules[i];
        enum array_answer answer = rule_holds(s, rule);
        if (answer == ARRAYS_YES)
            set_tag(s, rule->tag);
        else if (answer == ARRAYS_ENTANGLED)
            return false;
    }
    return true;
}

static bool try_groups(struct pattern_scratch *s, struct span span)
{
    for (uint32_t i = span.first; i < span.end; i++) {
        const struct group *group = &s->set->groups[i];
        if (group->condition != NONE && !condition_holds(s, group->condition))
            continue;
        if (!try_group(s, group))
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
    for (uint32_t i = field->defaults.first; i < field->defaults.end; i++) {
        const struct word *word = &s->set->words[i];
        s->result[word->at] |= word->bits & ~s->exclude[word->at];
        s->summary[word->at / 64] |= (uint64_t)1 << word->at % 64;
    }
    if (failed)
        mark_failed(s, id, false);
}

bool decide_rules(struct pattern_scratch *s, struct error *err)
{
    const struct pattern_set *set = s->set;
    bool ok = try_groups(s, set->always);
    for (uint32_t i = 0; ok && i < s->field_seen_count; i++) {
        uint32_t field = s->field_seen[i];
        if (!set->fields[field].decides)
            continue;
        add_defaults(s, field);
        ok = try_groups(s, set->fields[field].present);
    }
    for (uint32_t i = 0; ok && i < s->fired_count; i++)
        ok = try_groups(s, set->conditions[s->fired[i]].groups);
    if (ok)
        return true;
    error_set(err, "G0207", "the event's arrays are too entangled to be matched");
    return error_hint(err, "a pattern names fields in several arrays with very many elements each");
}
