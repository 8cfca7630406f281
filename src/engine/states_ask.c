// SPDX-License-Identifier: Apache-2.0
/* asking: a question is opened for exactly this plan, and what was said to it is looked at again
 * before it is acted on. */
#include "engine/people_internal.h"
#include "engine/step_internal.h"

#include "base/hash.h"
#include "value/json.h"

#include <stdio.h>

/* As many as the policy wants, or as the risk of the decision does. */
static int people_needed(const struct step *s)
{
    const struct value *people = value_path(s->r.detail, DETAIL_DECISION ".people");
    int wanted = people && people->kind == VALUE_INT ? (int)people->i : 1;
    return wanted > s->policy->approval_need ? wanted : s->policy->approval_need;
}

/* ---- is there a yes that counts? ---- */

/* Does every yes still come from somebody who may decide, and are they as many as are needed? Sets
 * `why` when not. */
static bool check_votes(struct step *s, const struct store_approval *approval, const char **why)
{
    struct str seen[8] = {{0}};
    size_t count = 0;
    *why = NULL;
    for (uint32_t i = 0; approval->votes.kind == VALUE_LIST && i < approval->votes.len; i++) {
        struct people_verdict verdict;
        struct str identity = value_path_str(approval->votes.items[i], "identity");
        if (!people_may(s->engine, &s->r, identity, s->arena, &verdict, s->err))
            return false;
        if (verdict.code) {
            *why = arena_printf(s->arena, "%.*s approved, and %s", STR_FMT(identity), verdict.why);
            return true;
        }
        bool again = false;
        for (size_t k = 0; k < count; k++)
            again |= str_eq(seen[k], verdict.person);
        if (!again && count < sizeof seen / sizeof *seen)
            seen[count++] = verdict.person;
    }
    int need = approval->need > people_needed(s) ? approval->need : people_needed(s);
    if ((int)count < need)
        *why = "fewer people approved than are needed";
    return true;
}

bool step_is_approved(struct step *s, const char *hash, bool *ret)
{
    struct store_approval approval;
    const char *why = NULL;
    *ret = false;
    enum store_result got = store_approval(s->engine->store, s->r.id, s->arena, &approval, s->err);
    if (got == STORE_ERROR)
        return false;
    if (got != STORE_OK || !approval.decided || !approval.yes || approval.consumed ||
        !str_is(approval.plan_hash, hash) || approval.expires_ms <= s->subject.now_ms)
        return true;
    if (!check_votes(s, &approval, &why))
        return false;
    *ret = why == NULL;
    return !why || store_void_approval(s->engine->store, s->r.id, approval.ask, str_from(why),
                                       s->err) != STORE_ERROR;
}

/* ---- asking ---- */

/* No two questions have the same: it is made of the plan, when it is over, and chance. */
static bool make_ask(struct step *s, const char *hash, int64_t expires_ms, char ret[33])
{
    unsigned char random[16];
    clock_random(s->engine->clock, random, sizeof random);
    const char *text = arena_printf(s->arena, "%s %lld", hash, (long long)expires_ms);
    struct str pieces[] = {str_from(text), {(const char *)random, sizeof random}};
    struct sha256 whole = hash_sha256_pieces(pieces, 2);
    hash_hex(whole.bytes, 16, ret);
    return text != NULL;
}

/* The channels of `via` on which people may answer. */
static struct value via_of(struct step *s)
{
    struct value_builder list = {.arena = s->arena};
    for (size_t i = 0; i < s->policy->via_count; i++) {
        const struct channel *channel =
            policy_set_channel(s->set->policies, s->policy->via[i], s->policy->owner);
        if (channel && channel->may_decide)
            value_push(&list, value_string(channel->name));
    }
    return value_finish_list(&list);
}

bool step_ask(struct step *s, const char *hash, const char *reason, struct value record)
{
    int64_t expires_ms = s->subject.now_ms + s->policy->approval_expires_ms;
    char *ask = arena_alloc(s->arena, 33);
    struct value via = via_of(s);
    struct value_builder approval = {.arena = s->arena};
    struct buf text = {.arena = s->arena};
    json_write(&text, via, JSON_COMPACT);
    if (!ask || !make_ask(s, hash, expires_ms, ask) || text.failed)
        return error_set(s->err, "E0003", "out of memory");
    value_set(&approval, "ask", value_cstr(ask));
    value_set(&approval, "expires", value_int(expires_ms));
    value_set(&approval, "need", value_int(people_needed(s)));
    value_set(&approval, "via", via);
    step_set_detail(s, DETAIL_APPROVAL, value_finish_map(&approval));
    return step_to(s, &(struct step_change){.to = STATE_ASKING,
                                            .wait_ms = s->policy->approval_expires_ms,
                                            .reason = reason,
                                            .record = record,
                                            .ask_hash = hash,
                                            .ask_id = ask,
                                            .ask_via = buf_str(&text).ptr,
                                            .ask_need = people_needed(s),
                                            .ask_expires_ms = expires_ms});
}

bool state_asking(struct step *s)
{
    struct store_approval approval;
    enum store_result got = store_approval(s->engine->store, s->r.id, s->arena, &approval, s->err);
    if (got == STORE_ERROR)
        return false;
    if (got == STORE_OK && approval.consumed)
        return step_to(s, &(struct step_change){.to = STATE_READING,
                                                .later = true,
                                                .reason = "what was asked is void; decided again"});
    if (got == STORE_OK && approval.decided && !approval.yes)
        return step_to(s,
                       &(struct step_change){
                           .to = STATE_DENIED,
                           .reason = arena_printf(s->arena, "denied by %.*s: %.*s",
                                                  STR_FMT(approval.by), STR_FMT(approval.reason))});
    if (got == STORE_OK && approval.decided)
        return step_to(s, &(struct step_change){
                              .to = STATE_READING,
                              .later = true,
                              .reason = arena_printf(s->arena, "approved by %.*s; read again",
                                                     STR_FMT(approval.by))});
    if (got != STORE_OK || approval.expires_ms <= s->subject.now_ms)
        return step_to(
            s, &(struct step_change){.to = STATE_EXPIRED,
                                     .reason = "nobody answered in time; nothing was done"});
    return step_to(s, &(struct step_change){.to = STATE_ASKING,
                                            .reason = "waits for a person",
                                            .wait_ms = approval.expires_ms - s->subject.now_ms});
}
