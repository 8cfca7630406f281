// SPDX-License-Identifier: Apache-2.0
/* Who is told of what: the notices that a transition carries, and those that come without one.
 *
 *   notify: [{to: ops, on: [healed]}]   of the policy  ─┐
 *   channels: {ops: {on: [failed]}}     of rectify.yaml ─┴─► one notice a channel, in the
 *                                                            transition's own transaction
 *
 * So nothing is told that did not happen. What is held again and again is told once. */
#include "engine/step_internal.h"

#include "base/limits.h"
#include "value/json.h"

#include <stdio.h>

/* What entering a state tells. */
static const struct {
    enum state state;
    enum telling telling;
} tellings[] = {
    {STATE_OBSERVED, TELLING_OBSERVED},
    {STATE_ASKING, TELLING_ASKED},
    {STATE_HELD, TELLING_HELD},
    {STATE_HEALED, TELLING_HEALED},
    {STATE_NEEDS_PERSON, TELLING_FAILED},
    {STATE_UNCONFIRMED, TELLING_FAILED},
    {STATE_ROLLED_BACK, TELLING_ROLLED_BACK},
    {STATE_DENIED, TELLING_DENIED},
    {STATE_EXPIRED, TELLING_EXPIRED},
};

/* ---- bodies ---- */

/* Words in the names of members that hold secrets. */
static bool is_secret_name(struct str name)
{
    static const char *const words[] = {"password",   "secret",    "credential", "privatekey",
                                        "passphrase", "authtoken", "accesskey"};
    char lower[128];
    size_t len = 0;
    for (size_t i = 0; i < name.len && len < sizeof lower - 1; i++)
        lower[len++] =
            (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_find((struct str){lower, len}, str_from(words[i])) != SIZE_MAX)
            return true;
    return false;
}

/* A copy without what looks like a secret. */
static struct value masked(struct value v, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    if (v.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < v.len; i++)
            value_push(&out, masked(v.items[i], arena));
        return value_finish_list(&out);
    }
    if (v.kind != VALUE_MAP)
        return v;
    for (uint32_t i = 0; i < v.len; i++) {
        struct str name = value_str(v.pairs[i].key);
        bool hide = is_secret_name(name) && v.pairs[i].value.kind == VALUE_STRING;
        value_set_str(&out, name, hide ? value_cstr("***") : masked(v.pairs[i].value, arena));
    }
    return value_finish_map(&out);
}

static struct value resource_value(struct str key, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    struct resource r;
    value_set(&out, "key", value_string(key));
    if (resource_parse(key, &r)) {
        value_set(&out, "account", value_string(r.account));
        value_set(&out, "region", value_string(r.region));
        value_set(&out, "type", value_string(r.type));
        value_set(&out, "id", value_string(r.id));
    }
    return value_finish_map(&out);
}

/* call and with of each planned call; `with` is left out where all would be too much. */
static struct value calls_value(struct value plan, bool whole, struct arena *arena)
{
    struct value_builder list = {.arena = arena};
    for (uint32_t i = 0; plan.kind == VALUE_LIST && i < plan.len; i++) {
        struct value_builder one = {.arena = arena};
        const struct value *with = value_get(plan.items[i], STR("with"));
        value_set(&one, "call", value_string(value_path_str(plan.items[i], "call")));
        if (with && whole)
            value_set(&one, "with", masked(*with, arena));
        value_push(&list, value_finish_map(&one));
    }
    return value_finish_list(&list);
}

/* What a notice tells has the state before and after in it: {"sealed": text} where that is sealed.
 */
static bool seal_body(const struct engine *engine, struct store_notice *notice, struct arena *arena,
                      struct error *err)
{
    struct value_builder out = {.arena = arena};
    struct buf text = {.arena = arena};
    struct str context = STR_JOIN(arena, STR("notice "), notice->thread), sealed;
    if (!notice->body.ptr || !context.ptr)
        return error_set(err, "E0003", "out of memory");
    if (!engine->seal)
        return true;
    if (!seal_close(engine->seal, engine->clock, context, notice->body, arena, &sealed, err))
        return false;
    value_set(&out, "sealed", value_string(sealed));
    json_write(&text, value_finish_map(&out), JSON_COMPACT);
    notice->body = buf_str(&text);
    return notice->body.ptr || error_set(err, "E0003", "out of memory");
}

bool engine_open_notice(const struct engine *engine, const struct store_notice *notice,
                        struct arena *arena, struct value *ret, struct error *err)
{
    struct str text = str_copy(arena, notice->body);
    struct str context = STR_JOIN(arena, STR("notice "), notice->thread);
    if (!text.ptr || !context.ptr)
        return error_set(err, "E0003", "out of memory");
    if (!json_parse(arena, text, ret, err))
        return false;
    struct str sealed = value_path_str(*ret, "sealed");
    return !sealed.len || (seal_open(engine->seal, context, sealed, arena, &text, err) &&
                           json_parse(arena, text, ret, err));
}

static struct value body_value(const struct step *s, enum telling word, const char *reason,
                               bool whole)
{
    struct arena *arena = s->arena;
    struct value_builder out = {.arena = arena}, risk = {.arena = arena};
    char id[REMEDIATION_ID_SIZE];
    const struct value *plan = step_detail(s, DETAIL_PLAN),
                       *reads = s->has_finding ? &s->finding.reads : NULL;
    const struct value *message = step_detail(s, DETAIL_MESSAGE);
    const struct value *score = value_path(s->r.detail, "decision.score");
    const struct value *parts = value_path(s->r.detail, "decision.risk");
    remediation_id_format(s->r.id, id);
    value_set(&out, "word", value_cstr(telling_word(word)));
    value_set(&out, "id", value_string(str_copy(arena, str_from(id))));
    value_set(&out, "at", value_int(clock_wall_ms(s->engine->clock)));
    value_set(&out, "policy", value_string(s->r.policy));
    value_set(&out, "title", value_string(s->policy ? s->policy->title : (struct str){0}));
    value_set(&out, "severity",
              value_cstr(severity_name(s->policy ? s->policy->severity : SEVERITY_MEDIUM)));
    value_set(&out, "resource", resource_value(s->r.resource, arena));
    value_set(&out, "message", message ? *message : value_cstr(""));
    value_set(&out, "reason", value_cstr(reason ? reason : ""));
    value_set(&out, "actor", value_string(value_path_str(s->r.detail, "event.actor")));
    value_set(&out, "calls", calls_value(plan ? *plan : value_null(), whole, arena));
    if (plan && reads && whole)
        value_set(&out, "changes",
                  decide_changes(masked(*reads, arena), calls_value(*plan, true, arena),
                                 s->subject.resource.id, arena));
    if (score)
        value_set(&risk, "score", *score);
    if (parts)
        value_set(&risk, "parts", *parts);
    value_set(&out, "risk", value_finish_map(&risk));
    return value_finish_map(&out);
}

/* The text, bounded: first what it would call loses its inputs. */
static struct str body_text(const struct step *s, enum telling word, const char *reason)
{
    for (int whole = 1; whole >= 0; whole--) {
        struct buf out = {.arena = s->arena};
        json_write(&out, body_value(s, word, reason, whole), JSON_COMPACT);
        struct str text = buf_str(&out);
        if (text.len <= LIMIT_NOTICE_BYTES || !whole)
            return text;
    }
    return (struct str){0};
}

/* ---- questions ---- */

/* Everything that a person decides by, and what makes an answer one to this question. */
static struct str question_text(const struct step *s, const struct step_change *c, bool open)
{
    const struct value *approval = step_detail(s, DETAIL_APPROVAL);
    const char *why = c->reason ? c->reason : "";
    struct buf text = {.arena = s->arena};
    for (int whole = 1; whole >= 0; whole--) {
        struct value_builder out = {.arena = s->arena};
        struct value base = body_value(s, TELLING_ASKED, why, whole);
        for (uint32_t i = 0; i < base.len; i++)
            value_set_str(&out, value_str(base.pairs[i].key), base.pairs[i].value);
        value_set(&out, "state", value_cstr(state_name(c->to)));
        value_set(&out, "ask", value_string(value_path_str(*approval, "ask")));
        if (open) {
            value_set(&out, "plan_hash", value_cstr(c->ask_hash));
            value_set(&out, "expires", value_int(c->ask_expires_ms));
            value_set(&out, "need", value_int(c->ask_need));
        } else {
            value_set(&out, "word", value_cstr(state_name(c->to)));
        }
        const char *heading =
            open ? arena_printf(s->arena, "Approve a repair? %.*s", STR_FMT(s->r.policy))
                 : arena_printf(s->arena, "%s: %s", state_name(c->to), why);
        value_set(&out, "heading", value_cstr(heading));
        text = (struct buf){.arena = s->arena};
        json_write(&text, value_finish_map(&out), JSON_COMPACT);
        if (text.len <= LIMIT_NOTICE_BYTES)
            break;
    }
    return buf_str(&text);
}

/* A question goes to its channels when it is opened, and what became of it when it is left and when
 * all is over. */
static void add_question(struct step *s, const struct step_change *c, struct store_notice *list,
                         size_t *count)
{
    const struct value *approval = step_detail(s, DETAIL_APPROVAL);
    bool open = c->ask_hash != NULL;
    bool left = (s->r.state == STATE_ASKING && c->to != STATE_ASKING) || state_is_terminal(c->to);
    const struct value *via = approval ? value_get(*approval, STR("via")) : NULL;
    if ((!open && !left) || !via || via->kind != VALUE_LIST || !via->len)
        return;
    char id[REMEDIATION_ID_SIZE];
    remediation_id_format(s->r.id, id);
    struct str kind = open ? STR("ask") : state_is_terminal(c->to) ? STR("close") : STR("update");
    struct str body = question_text(s, c, open);
    struct str thread =
        STR_JOIN(s->arena, STR("ask "), str_from(id), STR(" "), value_path_str(*approval, "ask"));
    for (uint32_t i = 0; i < via->len && *count < STORE_NOTICES_MAX; i++)
        list[(*count)++] = (struct store_notice){value_str(via->items[i]), kind, thread, body, 0};
}

/* ---- whom ---- */

/* Channels that are told this word, and the one of that name (`also`, may be empty): each once. */
static size_t receivers(const struct policy_set *set, const struct policy *policy,
                        enum telling word, struct str also, const struct channel **ret)
{
    size_t channels, count = 0;
    const struct channel *all = policy_set_channels(set, &channels);
    const struct channel *named =
        policy && also.len ? policy_set_channel(set, also, policy->owner) : NULL;
    for (size_t i = 0; i < channels; i++) {
        bool told = (all[i].on >> word & 1) || &all[i] == named;
        for (size_t k = 0; policy && !told && k < policy->notify_count; k++)
            told = policy->notify[k].on >> word & 1 &&
                   policy_set_channel(set, policy->notify[k].to, policy->owner) == &all[i];
        if (told)
            ret[count++] = &all[i];
    }
    return count;
}

static struct store_notice tell_notice(const struct channel *channel, struct str thread,
                                       struct str body)
{
    return (struct store_notice){channel->name, STR("tell"), thread, body, 0};
}

/* Is it the same as what was told last? Holding is decided again and again. */
static bool was_told(struct step *s, enum telling word)
{
    const struct value *told = step_detail(s, "told");
    bool again = told && str_is(value_str(*told), telling_word(word));
    if (!again)
        step_set_detail(s, "told", value_cstr(telling_word(word)));
    return again && word == TELLING_HELD;
}

static void add_notices(struct step *s, enum telling word, const char *reason,
                        struct store_notice *list, size_t *count)
{
    const struct channel *to[LIMIT_CHANNELS];
    bool grace = word == TELLING_HELD && s->grace_begins && s->policy;
    size_t receiver_count = receivers(s->set->policies, s->policy, word,
                                      grace ? s->policy->grace_notify : (struct str){0}, to);
    if (!receiver_count || was_told(s, word))
        return;
    struct str body = body_text(s, word, reason);
    struct str thread = STR_JOIN(s->arena, s->r.policy, STR(" "), s->r.resource);
    for (size_t i = 0; i < receiver_count && *count < STORE_NOTICES_MAX; i++)
        list[(*count)++] = tell_notice(to[i], thread, body);
}

bool step_tell(struct step *s, const struct step_change *c, struct store_transition *t)
{
    size_t channels;
    (void)policy_set_channels(s->set->policies, &channels);
    if (!channels)
        return true;
    struct store_notice *list = ARENA_ARRAY(s->arena, struct store_notice, STORE_NOTICES_MAX);
    size_t count = 0;
    for (size_t i = 0; list && i < sizeof tellings / sizeof *tellings; i++)
        if (tellings[i].state == c->to && s->r.state != c->to)
            add_notices(s, tellings[i].telling, c->reason, list, &count);
    if (list)
        add_question(s, c, list, &count);
    if (list && s->page)
        add_notices(s, TELLING_PAGE, s->page, list, &count);
    s->page = NULL;
    for (size_t i = 0; i < count; i++)
        if (!seal_body(s->engine, &list[i], s->arena, s->err))
            return false;
    t->notices = list;
    t->notice_count = count;
    return list || error_set(s->err, "E0003", "out of memory");
}

void step_page(struct step *s, const char *why)
{
    s->page = why;
}

/* ---- without a transition ---- */

static bool tell(struct engine *engine, const struct policy_set *policies,
                 const struct engine_telling *what, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_notice list[LIMIT_CHANNELS];
    const struct channel *to[LIMIT_CHANNELS];
    const struct policy *policy = policy_set_find(policies, what->policy);
    size_t count = receivers(policies, policy, what->word, (struct str){0}, to);
    struct value_builder body = {.arena = &arena};
    struct buf text = {.arena = &arena};
    char id[REMEDIATION_ID_SIZE] = "";
    if (!count)
        return true;
    if (what->remediation)
        remediation_id_format(what->remediation, id);
    value_set(&body, "word", value_cstr(telling_word(what->word)));
    value_set(&body, "id", value_cstr(id));
    value_set(&body, "at", value_int(clock_wall_ms(engine->clock)));
    value_set(&body, "policy", value_string(what->policy));
    value_set(&body, "severity",
              value_cstr(severity_name(policy ? policy->severity : SEVERITY_HIGH)));
    value_set(&body, "resource", resource_value(what->resource, &arena));
    value_set(&body, "message", value_string(str_sub(what->text, 0, 4096)));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    struct str thread = STR_JOIN(&arena, what->policy, STR(" "), what->resource);
    for (size_t i = 0; i < count; i++)
        list[i] = tell_notice(to[i], thread, buf_str(&text));
    for (size_t i = 0; i < count; i++)
        if (!seal_body(engine, &list[i], &arena, err))
            return false;
    return store_tell(engine->store, what->remediation, list, count, err) == STORE_OK;
}

bool engine_tell(struct engine *engine, const struct engine_telling *what, struct error *err)
{
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool ok = tell(engine, set->policies, what, err);
    engine_rules_release(set);
    return ok;
}
