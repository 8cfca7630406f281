// SPDX-License-Identifier: Apache-2.0
/* The risk engine, first form: the class of each call gives points, their sum the score. What an
 * attacker can write never lowers it. See decide.h. */
#include "decide/decide_internal.h"

/* The class of a call by its verb; words that remove or end something weigh most. */
static const struct {
    const char *glob, *class;
    int points;
} classes[] = {
    {"Terminate*", "destructive", 60},
    {"Delete*Tag*", "overwrite", 20},
    {"Delete*", "delete", 50},
    {"Revoke*", "restrictive", 30},
    {"Remove*", "restrictive", 30},
    {"Detach*", "restrictive", 30},
    {"Stop*", "restrictive", 40},
    {"Disable*", "restrictive", 40},
    {"Put*Tagging", "additive", 5},
    {"Tag*", "additive", 5},
    {"Enable*", "additive", 5},
    {"Authorize*", "additive", 10},
    {"Create*", "additive", 10},
    {"Put*", "overwrite", 20},
    {"Update*", "overwrite", 20},
    {"Modify*", "overwrite", 20},
    {"*", "overwrite", 30},
};

void decide_guard_risk(struct deciding *d)
{
    struct value_builder parts = {.arena = d->arena};
    for (uint32_t i = 0; i < d->plan.len; i++) {
        struct str name = value_path_str(d->plan.items[i], "call");
        str_cut(&name, ':');
        for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
            if (!str_glob(str_from(classes[k].glob), name))
                continue;
            const struct value *old =
                value_get(value_finish_map(&parts), str_from(classes[k].class));
            int points = old && old->i > classes[k].points ? (int)old->i : classes[k].points;
            value_set(&parts, classes[k].class, value_int(points));
            break;
        }
    }
    d->decision->risk = value_finish_map(&parts);
    for (uint32_t i = 0; i < d->decision->risk.len; i++)
        d->decision->score += (int)d->decision->risk.pairs[i].value.i;
    if (d->decision->score >= 50 && !d->guards->by_hand)
        decide_tighten(d, DECIDE_ASK, "risk: the repair deletes or ends something");
    for (size_t i = 0; i < d->subject->policy->step_count; i++)
        if (d->subject->policy->steps[i].undo_none.len && !d->guards->by_hand)
            decide_tighten(d, DECIDE_ASK, "a step of the repair has no undo");
}
