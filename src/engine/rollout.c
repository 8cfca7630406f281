// SPDX-License-Identifier: Apache-2.0
/* Rollouts go on by themselves: a stage that has lasted, has its good verifies and whose watches
 * are well leads to the next; one that is not there in time, or whose watch turns or cannot be
 * read, pauses its policy. Any process may do it at any time: each change is conditional on the
 * stage that it was decided on. */
#include "engine/engine.h"

#include "base/log.h"
#include "value/json.h"

#define WATCH_EVERY_MS 60000
#define WATCH_DEADLINE_MS 10000

struct tending {
    struct engine *engine;
    const struct engine_set *set;
    const struct policy *policy;
    const struct rollout *rollout;
    int64_t now_ms;
    struct arena *arena;
    struct error *err;
};

/* ---- watches: NULL = well, else what is wrong ---- */

static const char *alarm_state(struct tending *t, const struct policy_watch *w,
                               const struct value *alarms)
{
    if (!alarms || alarms->kind != VALUE_LIST || alarms->len != 1)
        return arena_printf(t->arena, "there is not one alarm %.*s", STR_FMT(w->alarm));
    struct str state = value_path_str(alarms->items[0], "StateValue");
    return str_is(state, "OK")
               ? NULL
               : arena_printf(t->arena, "alarm %.*s is %.*s", STR_FMT(w->alarm), STR_FMT(state));
}

static const char *watch_alarm(struct tending *t, const struct policy_watch *w)
{
    struct engine *e = t->engine;
    struct value_builder input = {.arena = t->arena}, names = {.arena = t->arena};
    struct aws_answer answer;
    struct error why;
    struct policy_assignment assignment =
        policy_set_assign(t->set->policies, t->policy, w->account, t->arena);
    value_push(&names, value_string(w->alarm));
    value_set(&input, "AlarmNames", value_finish_list(&names));
    struct aws_call call = {
        .operation = aws_operation_find(e->models, STR("cloudwatch:DescribeAlarms"), &why),
        .input = value_finish_map(&input),
        .region = w->region,
        .access = assignment.read,
        .account = w->account,
        .deadline_ms = clock_steady_ms(e->clock) + WATCH_DEADLINE_MS};
    if (!call.operation)
        return arena_printf(t->arena, "an alarm cannot be read: %s", why.message);
    aws_call_pages(e->caller, &call, t->arena, &answer);
    if (answer.outcome != AWS_OK)
        return arena_printf(t->arena, "alarm %.*s cannot be read: %.*s", STR_FMT(w->alarm),
                            STR_FMT(answer.message));
    return alarm_state(t, w, value_get(answer.output, STR("MetricAlarms")));
}

static struct str query_url(struct tending *t, const struct policy_watch *w)
{
    static const char plain[] = "-._~";
    struct buf out = {.arena = t->arena};
    struct str base = w->url;
    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    buf_add_str(&out, base);
    buf_add_cstr(&out, "/api/v1/query?query=");
    for (size_t i = 0; i < w->query.len; i++) {
        unsigned char c = (unsigned char)w->query.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c && strchr(plain, c)))
            buf_add_byte(&out, (char)c);
        else
            buf_printf(&out, "%%%02X", c);
    }
    return buf_str(&out);
}

/* The text of the one number in an answer to an instant query: [time, "1"] of a scalar, or of the
 * one sample of a vector. Empty: there is not one. */
static struct str one_number(struct value answer)
{
    const struct value *result = value_path(answer, "data.result");
    struct str kind = value_path_str(answer, "data.resultType");
    if (!str_is(value_path_str(answer, "status"), "success") || !result ||
        result->kind != VALUE_LIST)
        return (struct str){0};
    const struct value *pair = result;
    if (str_is(kind, "vector"))
        pair = result->len == 1 ? value_get(result->items[0], STR("value")) : NULL;
    else if (!str_is(kind, "scalar"))
        pair = NULL;
    return pair && pair->kind == VALUE_LIST && pair->len == 2 ? value_str(pair->items[1])
                                                              : (struct str){0};
}

/* A number that is not zero? "NaN" and the infinities are none. */
static bool is_number(struct str text, bool *ret_zero)
{
    bool digits = false;
    *ret_zero = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool digit = c >= '0' && c <= '9';
        if (c == 'e' || c == 'E')
            break;
        if (!digit && c != '.' && !(c == '-' && i == 0))
            return false;
        digits |= digit;
        *ret_zero = *ret_zero && (!digit || c == '0');
    }
    return digits;
}

static const char *watch_query(struct tending *t, const struct policy_watch *w)
{
    struct net_answer answer;
    struct value body;
    struct error why;
    bool zero;
    struct net_request request = {.method = STR("GET"),
                                  .url = query_url(t, w),
                                  .deadline_ms =
                                      clock_steady_ms(t->engine->clock) + WATCH_DEADLINE_MS};
    if (!t->engine->net || !request.url.ptr)
        return "Prometheus cannot be asked here";
    net_request(t->engine->net, &request, t->arena, &answer);
    if (answer.outcome != NET_ANSWERED || answer.status != 200)
        return arena_printf(t->arena, "%.*s cannot be read: %s", STR_FMT(w->url),
                            answer.outcome == NET_ANSWERED ? "it refuses the query"
                                                           : answer.reason);
    struct str number =
        json_parse(t->arena, answer.body, &body, &why) ? one_number(body) : (struct str){0};
    if (!is_number(number, &zero))
        return arena_printf(t->arena, "%.*s did not answer with one number", STR_FMT(w->url));
    return zero ? arena_printf(t->arena, "the query at %.*s is 0", STR_FMT(w->url)) : NULL;
}

static const char *watch_all(struct tending *t)
{
    const struct policy_rollout *r = &t->policy->rollout;
    for (size_t i = 0; i < r->watch_count; i++) {
        const struct policy_watch *w = &r->watches[i];
        const char *wrong = w->alarm.len ? watch_alarm(t, w) : watch_query(t, w);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* ---- a stage ---- */

static bool change(struct tending *t, enum rollout_do what, const char *reason)
{
    struct store_rollout_change c = {.what = what,
                                     .policy = t->policy->name,
                                     .hash = str_from(t->policy->hash),
                                     .stage = t->rollout->stage,
                                     .staged = true,
                                     .undo = what == ROLLOUT_PAUSE && t->policy->rollout.undo,
                                     .by = STR(STORE_ITSELF),
                                     .reason = str_from(reason)};
    return store_rollout_set(t->engine->store, &c, t->err) != STORE_ERROR;
}

static bool pause(struct tending *t, const char *reason)
{
    struct engine_telling what = {
        .word = TELLING_PAGE, .policy = t->policy->name, .text = str_from(reason)};
    log_line(LOG_WARN, "policy %.*s is paused: %s", STR_FMT(t->policy->name), reason);
    return change(t, ROLLOUT_PAUSE, reason) && engine_tell(t->engine, &what, t->err);
}

static int sample_of(const struct policy_rollout *r, int stage)
{
    const struct policy_stage *s = &r->stages[stage];
    return s->kind == STAGE_SEATS && s->number < r->sample ? s->number : r->sample;
}

static void note_next(int64_t *next_ms, int64_t at_ms)
{
    if (at_ms < *next_ms)
        *next_ms = at_ms;
}

static bool tend(struct tending *t, int64_t last_ms, int64_t *ret_next_ms)
{
    const struct policy_rollout *r = &t->policy->rollout;
    int stage = t->rollout->stage;
    if (stage < 0 || (size_t)stage >= r->stage_count)
        return true;
    int64_t baked_ms = t->rollout->since_ms + r->bake_ms;
    int64_t over_ms = t->rollout->since_ms + r->within_ms;
    bool sampled = t->rollout->good >= sample_of(r, stage);
    bool ready = sampled && t->now_ms >= baked_ms;
    bool watching = ready || t->now_ms / WATCH_EVERY_MS != last_ms / WATCH_EVERY_MS;
    const char *wrong = r->watch_count && watching ? watch_all(t) : NULL;
    note_next(ret_next_ms, sampled ? baked_ms : over_ms);
    if (r->watch_count)
        note_next(ret_next_ms, (t->now_ms / WATCH_EVERY_MS + 1) * WATCH_EVERY_MS);
    if (wrong)
        return pause(t, wrong);
    if (ready)
        return change(t, (size_t)stage + 1 == r->stage_count ? ROLLOUT_FINISH : ROLLOUT_PROMOTE,
                      "the step's repairs were verified");
    if (t->now_ms >= over_ms)
        return pause(t,
                     arena_printf(t->arena, "step %d has %d good repairs of the %d that it needs",
                                  stage + 1, t->rollout->good, sample_of(r, stage)));
    return true;
}

bool engine_tend(struct engine *engine, int64_t last_ms, int64_t *ret_next_ms, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_policy *list;
    size_t count;
    *ret_next_ms = INT64_MAX;
    if (store_policies(engine->store, &arena, &list, &count, err) != STORE_OK)
        return false;
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        const struct policy *policy = engine_set_find(set, list[i].policy);
        struct tending t = {engine, set, policy, &list[i].rollout, clock_wall_ms(engine->clock),
                            &arena, err};
        if (policy && list[i].rollout.state == ROLLOUT_RUNNING &&
            str_is(list[i].rollout.hash, policy->hash))
            ok = tend(&t, last_ms, ret_next_ms);
    }
    engine_rules_release(set);
    return ok;
}
