// SPDX-License-Identifier: Apache-2.0
/* The route that shows the state of policies: paused, or how far a rollout is. Any thread. */
#include "http/routes_internal.h"

static struct value policy_json(const struct http_api *api, const struct store_policy *p,
                                struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    const struct rollout *r = &p->rollout;
    struct engine_set *set = engine_rules_hold(api->engine->rules);
    const struct policy *policy = engine_set_find(set, p->policy);
    size_t stages = policy ? policy->rollout.stage_count : 0;
    value_set(&out, "policy", value_string(p->policy));
    value_set(&out, "state", value_cstr(rollout_state_name(r->state)));
    value_set(&out, "step", value_int(r->stage + 1));
    if (stages) {
        value_set(&out, "steps", value_int((int64_t)stages));
        if ((size_t)r->stage < stages)
            value_set(
                &out, "reaches",
                value_string(str_copy(arena, str_from(policy->rollout.stages[r->stage].text))));
    }
    value_set(&out, "since", http_time_text(arena, r->since_ms));
    value_set(&out, "good", value_int(r->good));
    value_set(&out, "seats", value_int(r->seats));
    if (r->waived_ms)
        value_set(&out, "waived_until", http_time_text(arena, r->waived_ms));
    value_set(&out, "by", value_string(r->by));
    value_set(&out, "reason", value_string(r->reason));
    value_set(&out, "hash", value_string(r->hash));
    engine_rules_release(set);
    return value_finish_map(&out);
}

ROUTE(http_get_policies)
{
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    struct store_policy *rows;
    size_t count;
    (void)request;
    (void)id;
    enum store_result got = store_policies(api->engine->store, arena, &rows, &count, err);
    if (got != STORE_OK)
        return http_store_failed(got, 0, ret_status, err);
    for (size_t i = 0; i < count; i++)
        value_push(&list, policy_json(api, &rows[i], arena));
    value_set(&out, "policies", value_finish_list(&list));
    *ret = value_finish_map(&out);
    return true;
}
