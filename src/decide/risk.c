// SPDX-License-Identifier: Apache-2.0
/* The risk engine: six parts, each with its points and its reason; their sum picks act, ask or
 * skip. It sees only what was gathered. The author and the resource's tags can only add; nothing
 * that an attacker writes takes points away. See decide.h and docs/decisions/0050. */
#include "decide/decide_internal.h"

#include <stdio.h>

/* Points of each class, by its number. */
static const int class_points[CLASS_COUNT] = {[CLASS_ADDITIVE] = 5,
                                              [CLASS_RESTRICTIVE] = 20,
                                              [CLASS_OVERWRITE] = 20,
                                              [CLASS_DELETE] = 50,
                                              [CLASS_DESTRUCTIVE] = 75};

#define PRODUCTION_POINTS 10
#define NO_UNDO_POINTS 20
#define RECORD_GOOD_ENOUGH 5 // good results from which on a policy is no longer new

int decide_environment_points(const char *environment)
{
    static const struct {
        const char *glob;
        int points;
    } words[] = {{"dev*", 0}, {"test*", 0}, {"sandbox*", 0}, {"qa*", 0},      {"ci", 0},
                 {"lab", 0},  {"stag*", 5}, {"uat", 5},      {"preprod*", 5}, {"pre-prod*", 5}};
    char lower[32];
    size_t len = environment ? strlen(environment) : sizeof lower;
    if (len >= sizeof lower)
        return PRODUCTION_POINTS;
    for (size_t i = 0; i <= len; i++)
        lower[i] = environment[i] >= 'A' && environment[i] <= 'Z' ? (char)(environment[i] + 32)
                                                                  : environment[i];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_glob(str_from(words[i].glob), str_from(lower)))
            return words[i].points;
    return PRODUCTION_POINTS;
}

struct part {
    int points;
    const char *why;
};

static struct part part_class(struct deciding *d)
{
    struct value calls = d->in->calls;
    enum call_class worst = CLASS_ADDITIVE, class;
    struct str name = STR("nothing");
    for (uint32_t i = 0; i < calls.len; i++) {
        if (!call_class_parse(value_path_str(calls.items[i], "class"), &class))
            class = CLASS_DESTRUCTIVE;
        if (i == 0 || class > worst) {
            worst = class;
            name = value_path_str(calls.items[i], "call");
        }
    }
    if (calls.len == 0)
        return (struct part){0, "no call is planned"};
    return (struct part){class_points[worst], arena_printf(d->arena, "%.*s is %s", STR_FMT(name),
                                                           call_class_name(worst))};
}

static struct part part_environment(struct deciding *d)
{
    const struct decide_settings *p = &d->in->settings;
    int of_account = decide_environment_points(p->environment);
    int of_tag = p->tagged ? decide_environment_points(p->tagged) : 0;
    if (of_tag > of_account)
        return (struct part){of_tag,
                             arena_printf(d->arena, "a tag of the resource says %s", p->tagged)};
    if (!p->environment)
        return (struct part){of_account, "nothing says what the account is for: production"};
    return (struct part){of_account, arena_printf(d->arena, "the account is %s", p->environment)};
}

static struct part part_size(struct deciding *d)
{
    static const struct {
        int64_t up_to;
        int points;
    } steps[] = {{0, 0}, {5, 5}, {20, 10}, {INT64_MAX, 20}};
    struct value calls = d->in->calls;
    int64_t changed = 0;
    for (uint32_t i = 0; i < calls.len; i++) {
        const struct value *n = value_get(calls.items[i], STR("changed"));
        changed += n && n->kind == VALUE_INT && n->i >= 0 && n->i <= DECIDE_CHANGED_MAX
                       ? n->i
                       : DECIDE_CHANGED_MAX;
    }
    int64_t size = changed + (calls.len > 1 ? calls.len - 1 : 0);
    size_t at = 0;
    while (size > steps[at].up_to)
        at++;
    if (changed >= DECIDE_CHANGED_MAX)
        return (struct part){steps[at].points, "what is there is too much to be compared"};
    return (struct part){steps[at].points,
                         arena_printf(d->arena, "%lld entr%s of what is there change%s, %u call%s",
                                      (long long)changed, changed == 1 ? "y" : "ies",
                                      changed == 1 ? "s" : "", calls.len,
                                      calls.len == 1 ? "" : "s")};
}

static struct part part_undo(struct deciding *d)
{
    return d->in->settings.no_undo ? (struct part){NO_UNDO_POINTS, "a step has no undo"}
                                   : (struct part){0, "every step can be taken back"};
}

/* Bad results are counted, not their share: good ones are for anybody to make. */
static struct part part_record(struct deciding *d)
{
    int bad = d->in->guards.past_bad, good = d->in->guards.past_total - bad;
    if (bad >= 2)
        return (struct part){20, arena_printf(d->arena, "%d of its last repairs failed", bad)};
    if (bad == 1)
        return (struct part){10, "one of its last repairs failed"};
    if (good < RECORD_GOOD_ENOUGH)
        return (struct part){5, arena_printf(d->arena, "the policy is new: %d good repairs so far",
                                             good > 0 ? good : 0)};
    return (struct part){0, "its last repairs were good"};
}

static struct part part_author(struct deciding *d)
{
    int points = d->in->settings.risk;
    return points > 0 ? (struct part){points, "the policy's author adds it"}
                      : (struct part){0, "the policy's author adds nothing"};
}

static const struct {
    const char *name;
    struct part (*points)(struct deciding *d);
} parts[] = {{"class", part_class},   {"environment", part_environment},
             {"size", part_size},     {"irreversibility", part_undo},
             {"record", part_record}, {"author", part_author}};

static int people_for(int score)
{
    return score >= DECIDE_SCORE_TWO ? 2 : score >= DECIDE_SCORE_ASK ? 1 : 0;
}

void decide_guard_risk(struct deciding *d)
{
    struct value_builder list = {.arena = d->arena};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct value_builder one = {.arena = d->arena};
        struct part part = parts[i].points(d);
        value_set(&one, "part", value_cstr(parts[i].name));
        value_set(&one, "points", value_int(part.points));
        value_set(&one, "why", value_cstr(part.why));
        value_push(&list, value_finish_map(&one));
        d->decision->score += part.points;
    }
    d->decision->risk = value_finish_list(&list);
    int score = d->decision->score, people = people_for(score);
    if (score >= DECIDE_SCORE_SKIP)
        decide_tighten(d, DECIDE_SKIP,
                       arena_printf(d->arena,
                                    "risk %d, %d and more: no program makes such a change", score,
                                    DECIDE_SCORE_SKIP));
    else if (people && !d->in->guards.by_hand)
        decide_ask(d, people,
                   arena_printf(d->arena, "risk %d, %d and more: %s", score,
                                people == 2 ? DECIDE_SCORE_TWO : DECIDE_SCORE_ASK,
                                people == 2 ? "two people decide" : "a person decides"));
    if (d->in->settings.no_undo && !d->in->guards.by_hand)
        decide_ask(d, 1, "a step of the repair has no undo");
}
