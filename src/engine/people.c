// SPDX-License-Identifier: Apache-2.0
/* May this person decide on this remediation? Asked when they say yes or no, and again of every yes
 * before it is acted on, by what rectify.yaml says then.
 *
 *   identity ──people──► person ──► may they? ──► vote (one a person, first decision wins)
 *
 * Without `people` in rectify.yaml only the command line decides: whoever may use the state folder.
 */
#include "engine/people_internal.h"

#include "value/json.h"

#define EVENTS_MAX 1000u // of one remediation that are looked through for who caused them

const struct person *people_find(const struct policy_set *set, struct str identity)
{
    size_t count = 0;
    bool said;
    const struct person *all = set ? policy_set_people(set, &count, &said) : NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].id_count; k++)
            if (str_eq(all[i].ids[k], identity))
                return &all[i];
    return NULL;
}

/* Is it one of the ARNs of this person, or does it end in their name (a user, a session)? */
static bool is_of(const struct person *person, struct str arn)
{
    struct str rest = arn, last = {0};
    for (size_t i = 0; i < person->aws_count; i++)
        if (str_glob(person->aws[i], arn))
            return true;
    while (rest.len)
        last = str_cut(&rest, '/');
    struct str before_at = last;
    before_at = str_cut(&before_at, '@');
    return last.len &&
           (str_eq_nocase(last, person->name) || str_eq_nocase(before_at, person->name));
}

/* Any event of the remediation counts, not only the newest: who caused it must not be forgotten
 * because somebody else came by. */
static bool has_caused(struct engine *engine, const struct remediation *r,
                       const struct person *person, struct arena *arena, bool *ret,
                       struct error *err)
{
    struct store_leaf *leaves;
    size_t count;
    *ret = is_of(person, value_path_str(r->detail, "event.actor"));
    enum store_result got =
        store_leaves(engine->store, r->id, 0, EVENTS_MAX, arena, &leaves, &count, err);
    for (size_t i = 0; got == STORE_OK && !*ret && i < count; i++) {
        struct value leaf;
        struct error ignored;
        if (str_find(leaves[i].text, STR("\"kind\":\"event\"")) != SIZE_MAX &&
            json_parse(arena, leaves[i].text, &leaf, &ignored))
            *ret = is_of(person, value_path_str(leaf, "body.detail.event.actor"));
    }
    return got == STORE_OK;
}

static bool approves(const struct person *person, struct str policy)
{
    for (size_t i = 0; i < person->approve_count; i++)
        if (str_glob(person->approves[i], policy))
            return true;
    return false;
}

static bool may(struct engine *engine, const struct engine_set *set, const struct remediation *r,
                struct str identity, struct arena *arena, struct people_verdict *ret,
                struct error *err)
{
    size_t count;
    bool said = false, caused = false;
    if (!set) {
        *ret = (struct people_verdict){{0}, "E0039", "no policies are loaded that say who may"};
        return true;
    }
    (void)policy_set_people(set->policies, &count, &said);
    *ret = (struct people_verdict){.person = identity};
    if (!said) {
        if (!str_starts(identity, STR("unix:")))
            *ret = (struct people_verdict){{0}, "E0031", "rectify.yaml has no `people`"};
        return true;
    }
    const struct person *person = people_find(set->policies, identity);
    if (!person) {
        *ret = (struct people_verdict){{0}, "E0031", "they are nobody of `people`"};
        return true;
    }
    ret->person = str_copy(arena, person->name); // outlives the set
    if (!approves(person, r->policy)) {
        ret->code = "E0032";
        ret->why = "they may not decide on this policy";
        return true;
    }
    if (!has_caused(engine, r, person, arena, &caused, err))
        return false;
    if (caused) {
        ret->code = "E0033";
        ret->why = "their own action caused it";
    }
    return true;
}

bool people_may(struct engine *engine, const struct remediation *r, struct str identity,
                struct arena *arena, struct people_verdict *ret, struct error *err)
{
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool ok = may(engine, set, r, identity, arena, ret, err);
    engine_rules_release(set);
    return ok;
}

/* ---- saying yes or no ---- */

static bool was_asked_on(const struct store_approval *approval, struct str channel)
{
    if (str_is(channel, ENGINE_COMMAND_LINE))
        return true;
    for (uint32_t i = 0; approval->via.kind == VALUE_LIST && i < approval->via.len; i++)
        if (str_eq(value_str(approval->via.items[i]), channel))
            return true;
    return false;
}

static bool refused(enum store_result got, int64_t id, struct error *err)
{
    switch (got) {
    case STORE_ABSENT:
        return error_set(err, "E0034", "r%lld does not ask for anything", (long long)id);
    case STORE_CONFLICT:
        return error_set(err, "E0035",
                         "r%lld was decided before, or you have voted; the first counts",
                         (long long)id);
    case STORE_VOID:
        return error_set(err, "E0036", "what r%lld asked is over: expired, or another plan by now",
                         (long long)id);
    default:
        return false; // the store's error
    }
}

bool engine_answer(struct engine *engine, const struct engine_answer *answer, struct arena *arena,
                   bool *ret_decided, struct error *err)
{
    struct remediation r;
    struct store_approval approval;
    struct people_verdict verdict;
    enum store_result got = store_get(engine->store, answer->id, arena, &r, err);
    if (got == STORE_OK)
        got = store_approval(engine->store, answer->id, arena, &approval, err);
    if (got != STORE_OK)
        return refused(got, answer->id, err);
    if (!was_asked_on(&approval, answer->channel))
        return error_set(err, "E0037", "r%lld was not asked on %.*s", (long long)answer->id,
                         STR_FMT(answer->channel));
    if (!people_may(engine, &r, answer->identity, arena, &verdict, err))
        return false;
    if (verdict.code)
        return error_set(err, verdict.code, "%.*s cannot decide on r%lld: %s",
                         STR_FMT(answer->identity), (long long)answer->id, verdict.why);
    struct store_ballot ballot = {
        .id = answer->id,
        .plan_hash = answer->plan_hash.len ? answer->plan_hash : approval.plan_hash,
        .ask = answer->ask.len ? answer->ask : approval.ask,
        .yes = answer->yes,
        .person = str_eq(verdict.person, answer->identity) && answer->name.len ? answer->name
                                                                               : verdict.person,
        .identity = answer->identity,
        .channel = answer->channel,
        .reason = answer->reason};
    got = store_vote(engine->store, &ballot, ret_decided, err);
    return got == STORE_OK || refused(got, answer->id, err);
}
