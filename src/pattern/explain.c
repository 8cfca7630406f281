// SPDX-License-Identifier: Apache-2.0
/* Why a pattern does or does not match an event, condition by condition. It compiles and matches
 * like everybody else and then asks the scratch what was found. */
#include "pattern/builder_internal.h"

#include "value/json.h"

struct explainer {
    struct arena *arena;
    struct pattern_source source;
    struct pattern_set *set;
    struct pattern_scratch *scratch;
};

static struct str found_values(const struct explainer *x, uint32_t field, size_t *ret_count)
{
    struct buf out = {.arena = x->arena};
    size_t count = 0;
    for (uint32_t i = 0; i < x->scratch->leaf_count; i++) {
        const struct leaf *leaf = &x->scratch->leaves[i];
        if (leaf->field != field)
            continue;
        if (count++)
            buf_add_byte(&out, ',');
        if (leaf->kind == LEAF_STRING)
            json_write_string(&out, (struct str){leaf->ptr, leaf->len});
        else
            buf_add(&out, leaf->ptr, leaf->len);
    }
    *ret_count = count;
    return buf_str(&out);
}

static bool holds_alone(const struct explainer *x, const struct condition *condition, size_t found)
{
    const struct pattern_set *set = x->set;
    if (condition->flags & CONDITION_ABSENT && found == 0)
        return true;
    for (uint32_t i = 0; i < x->scratch->leaf_count; i++)
        for (uint32_t j = condition->atoms.first; j < condition->atoms.end; j++)
            if (x->scratch->leaves[i].field == condition->field &&
                leaf_satisfies(set, set->atom_lists[j], &x->scratch->leaves[i]))
                return true;
    return false;
}

/* The condition of `rule` on the path of `leaf`. */
static const struct condition *condition_of(const struct explainer *x, const struct rule *rule,
                                            const struct source_leaf *leaf)
{
    const struct pattern_set *set = x->set;
    for (uint32_t link = rule->link; link != NONE; link = set->links[link].before) {
        const struct condition *condition =
            &set->conditions[set->links[link].condition & ~CONDITION_SPECIAL];
        if (str_eq(set->fields[condition->field].path, x->source.paths[leaf->path]))
            return condition;
    }
    return NULL;
}

static bool explain_condition(const struct explainer *x, const struct rule *rule,
                              const struct source_leaf *leaf, struct pattern_condition *ret)
{
    struct error place = {0};
    const struct condition *condition = condition_of(x, rule, leaf);
    if (!condition)
        return false;
    error_place(&place, "", x->source.text, leaf->offset, 1);
    ret->path = str_copy(x->arena, x->source.paths[leaf->path]);
    ret->wanted = str_sub(x->source.text, leaf->offset, leaf->length);
    ret->found = found_values(x, condition->field, &ret->found_count);
    ret->holds = holds_alone(x, condition, ret->found_count);
    ret->line = place.line;
    ret->column = place.column;
    return ret->path.ptr && ret->found.ptr;
}

static uint32_t rank_of(const struct explainer *x, const struct rule *rule,
                        const struct source_leaf *leaf)
{
    const struct condition *condition = condition_of(x, rule, leaf);
    return condition ? x->set->fields[condition->field].rank : 0;
}

static bool explain_branch(const struct explainer *x, uint32_t number, struct pattern_branch *ret)
{
    const struct pattern_source *source = &x->source;
    const struct rule *rule = &x->set->rules[number];
    const uint32_t *row = source->branches + (size_t)number * PATTERN_PATHS_MAX;
    const struct source_leaf *leaves[PATTERN_PATHS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < source->path_count; i++) {
        if (row[i] == NONE)
            continue;
        const struct source_leaf *leaf = &source->leaves[row[i]];
        uint32_t at = count++;
        for (; at > 0 && rank_of(x, rule, leaves[at - 1]) > rank_of(x, rule, leaf); at--)
            leaves[at] = leaves[at - 1];
        leaves[at] = leaf;
    }
    ret->conditions = ARENA_ARRAY(x->arena, struct pattern_condition, count);
    if (!ret->conditions)
        return false;
    ret->count = count;
    ret->matches = rule_holds(x->scratch, rule, NONE) == ARRAYS_YES;
    ret->arrays = !ret->matches;
    for (uint32_t i = 0; i < count; i++) {
        if (!explain_condition(x, rule, leaves[i], &ret->conditions[i]))
            return false;
        ret->conditions[i].holds |= ret->matches;
        ret->arrays &= ret->conditions[i].holds;
    }
    return true;
}

static bool explain_all(struct explainer *x, struct pattern_explanation *ret, struct error *err)
{
    struct pattern_explanation all = {.count = x->source.branch_count};
    all.branches = ARENA_ARRAY(x->arena, struct pattern_branch, all.count);
    bool ok = all.branches != NULL;
    for (uint32_t i = 0; ok && i < all.count; i++) {
        ok = explain_branch(x, i, &all.branches[i]);
        all.matches |= all.branches[i].matches;
    }
    if (!ok)
        return error_set(err, "G0112", "out of memory");
    *ret = all;
    return true;
}

static bool compile_source(struct explainer *x, struct error *err)
{
    struct pattern_builder *builder = pattern_builder_create();
    if (builder)
        builder->in_order = true;
    if (builder && builder_add_source(builder, &x->source, 0))
        x->set = pattern_builder_finish(builder, err);
    else
        error_set(err, "G0112", "out of memory");
    pattern_builder_destroy(builder);
    return x->set != NULL;
}

bool pattern_explain(struct arena *arena, struct str pattern, struct str event,
                     struct pattern_explanation *ret, struct error *err)
{
    struct explainer x = {.arena = arena};
    const uint32_t *tags;
    size_t count;
    if (!pattern_parse(arena, pattern, &x.source, err) || !compile_source(&x, err))
        return false;
    x.scratch = pattern_scratch_create(x.set);
    bool ok = x.scratch != NULL || error_set(err, "G0112", "out of memory");
    ok = ok && pattern_match(x.set, event, NULL, x.scratch, &tags, &count, err) &&
         explain_all(&x, ret, err);
    pattern_scratch_destroy(x.scratch);
    pattern_set_destroy(x.set);
    return ok;
}
