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

/* Every tag among what was read, in the forms in which AWS's services write them: {Key, Value} and
 * {key: value}; any member of a map may be the latter. False: there was more than can be looked
 * through. */
static bool each_tag(struct value at, int *steps,
                     void (*tell)(void *ctx, struct str key, struct value value), void *ctx)
{
    bool ok = true;
    *steps += 1;
    if (at.kind != VALUE_MAP && at.kind != VALUE_LIST)
        return true;
    if (*steps + (int64_t)at.len >= STEPS_MAX)
        return false;
    for (uint32_t i = 0; ok && at.kind == VALUE_LIST && i < at.len; i++)
        ok = each_tag(at.items[i], steps, tell, ctx);
    if (at.kind == VALUE_LIST)
        return ok;
    const struct value *key = member(at, "Key", "key", "TagKey");
    const struct value *value = member(at, "Value", "value", "TagValue");
    if (key && value)
        tell(ctx, value_str(*key), *value);
    for (uint32_t i = 0; ok && i < at.len; i++) {
        tell(ctx, value_str(at.pairs[i].key), at.pairs[i].value);
        ok = each_tag(at.pairs[i].value, steps, tell, ctx);
    }
    return ok;
}

struct environments {
    struct arena *arena;
    const char *best;
};

static void consider_tag(void *ctx, struct str key, struct value value)
{
    struct environments *e = ctx;
    if (names_environment(key))
        consider(value, e->arena, &e->best);
}

const char *decide_tagged_environment(struct value reads, struct arena *arena)
{
    struct environments e = {.arena = arena};
    int steps = 0;
    return each_tag(reads, &steps, consider_tag, &e) ? e.best : "too many tags to look through";
}

struct owned {
    const struct decide_subject *subject;
    struct arena *arena;
    const char *tag;
};

static void consider_owner(void *ctx, struct str key, struct value value)
{
    struct owned *o = ctx;
    struct str v = value_str(value);
    if (o->tag || value.kind != VALUE_STRING || key.len + v.len > 1000)
        return;
    const char *whole = arena_printf(o->arena, "%.*s=%.*s", STR_FMT(key), STR_FMT(v));
    for (size_t i = 0; whole && i < o->subject->iac_tag_count; i++) {
        struct str glob = o->subject->iac_tags[i];
        bool with_value = str_find(glob, STR("=")) != SIZE_MAX;
        if (str_glob(glob, with_value ? str_from(whole) : key))
            o->tag = whole;
    }
}

const char *decide_iac_tag(const struct decide_subject *subject, struct value reads,
                           struct arena *arena)
{
    struct owned o = {.subject = subject, .arena = arena};
    int steps = 0;
    if (subject->iac_tag_count && !each_tag(reads, &steps, consider_owner, &o) && !o.tag)
        o.tag = "too many tags to look through";
    return o.tag;
}
