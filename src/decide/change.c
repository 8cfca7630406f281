// SPDX-License-Identifier: Apache-2.0
/* How much of what is there a planned call changes, and what environment its tags claim. Both only
 * ever grow with what somebody adds to the resource. See decide_internal.h. */
#include "decide/decide_internal.h"

#define STEPS_MAX 1000000 // comparisons; past it the change counts as the largest

struct comparing {
    struct value reads;
    bool takes; // the call takes away what it lists
    int steps;
};

static bool step(struct comparing *c, uint64_t count)
{
    c->steps = count < (uint64_t)(STEPS_MAX - c->steps) ? c->steps + (int)count : STEPS_MAX;
    return c->steps < STEPS_MAX;
}

static bool contains(struct value list, struct value wanted)
{
    for (uint32_t i = 0; i < list.len; i++)
        if (value_equal(list.items[i], wanted))
            return true;
    return false;
}

/* What of `there` is not in `planned`: entries of a list, or one where they are scalars. */
static int lost(struct comparing *c, struct value planned, struct value there)
{
    int count = 0;
    if (there.kind != planned.kind && (there.kind == VALUE_LIST || planned.kind == VALUE_LIST))
        return 0;
    if (there.kind != VALUE_LIST)
        return !value_equal(there, planned);
    if (!step(c, (uint64_t)there.len * (planned.len + 1)))
        return DECIDE_CHANGED_MAX;
    for (uint32_t i = 0; i < there.len; i++)
        count += !contains(planned, there.items[i]);
    return count;
}

/* The most that is lost of what stands under this name anywhere among the reads. */
static int lost_anywhere(struct comparing *c, struct str name, struct value planned,
                         struct value at)
{
    int most = 0;
    if (!step(c, at.len + 1u))
        return DECIDE_CHANGED_MAX;
    for (uint32_t i = 0; at.kind == VALUE_MAP && i < at.len; i++) {
        struct value inner = at.pairs[i].value;
        bool here = str_eq(value_str(at.pairs[i].key), name) && inner.kind != VALUE_MAP;
        int n = here ? lost(c, planned, inner) : 0;
        int deeper = lost_anywhere(c, name, planned, inner);
        most = n > most ? n : most;
        most = deeper > most ? deeper : most;
    }
    for (uint32_t i = 0; at.kind == VALUE_LIST && i < at.len; i++) {
        int n = lost_anywhere(c, name, planned, at.items[i]);
        most = n > most ? n : most;
    }
    return most;
}

static int64_t changed(struct comparing *c, struct value with)
{
    int64_t sum = 0;
    for (uint32_t i = 0; with.kind == VALUE_MAP && i < with.len; i++) {
        struct value v = with.pairs[i].value;
        if (v.kind == VALUE_MAP)
            sum += changed(c, v);
        else if (v.kind == VALUE_LIST && c->takes)
            sum += v.len;
        else
            sum += lost_anywhere(c, value_str(with.pairs[i].key), v, c->reads);
    }
    return sum;
}

int decide_changed(struct value planned, enum call_class class, struct value reads)
{
    const struct value *with = value_get(planned, STR("with"));
    bool takes = class == CLASS_RESTRICTIVE || class >= CLASS_DELETE;
    struct comparing c = {reads, takes, 0};
    int64_t sum = with ? changed(&c, *with) : 0;
    return sum < DECIDE_CHANGED_MAX && c.steps < STEPS_MAX ? (int)sum : DECIDE_CHANGED_MAX;
}

/* ---- tags ---- */

static bool names_environment(struct str key)
{
    static const char *const names[] = {"env", "environment", "stage"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq_nocase(key, str_from(names[i])))
            return true;
    return false;
}

static const struct value *member(struct value map, const char *a, const char *b, const char *c)
{
    const struct value *found = value_get(map, str_from(a));
    found = found ? found : value_get(map, str_from(b));
    return found ? found : value_get(map, str_from(c));
}

/* Only a tag that names a stricter one than `*best` counts. */
static void consider(struct value v, struct arena *arena, const char **best)
{
    const char *word = v.kind == VALUE_STRING && v.len < 100
                           ? arena_printf(arena, "%.*s", STR_FMT(value_str(v)))
                           : NULL;
    if (word && decide_environment_points(word) > (*best ? decide_environment_points(*best) : -1))
        *best = word;
}

static void look(struct value at, struct arena *arena, int *steps, const char **best)
{
    *steps += 1 + (int)at.len;
    if (at.kind != VALUE_MAP && at.kind != VALUE_LIST)
        return;
    if (*steps >= STEPS_MAX) { // not all of it was seen
        *best = "too many tags to look through";
        return;
    }
    if (at.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < at.len; i++)
            look(at.items[i], arena, steps, best);
        return;
    }
    const struct value *key = member(at, "Key", "key", "TagKey");
    const struct value *value = member(at, "Value", "value", "TagValue");
    if (key && value && names_environment(value_str(*key)))
        consider(*value, arena, best);
    for (uint32_t i = 0; i < at.len; i++) {
        if (names_environment(value_str(at.pairs[i].key)))
            consider(at.pairs[i].value, arena, best);
        look(at.pairs[i].value, arena, steps, best);
    }
}

const char *decide_tagged_environment(struct value reads, struct arena *arena)
{
    const char *best = NULL;
    int steps = 0;
    look(reads, arena, &steps, &best);
    return best;
}
