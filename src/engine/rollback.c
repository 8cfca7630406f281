// SPDX-License-Identifier: Apache-2.0
/* A person asks for a repair to be taken back: a new remediation through all guards. */
#include "engine/engine.h"

#include "value/json.h"

static int64_t count_of(const struct remediation *r, const char *what)
{
    const struct value *counts = value_get(r->detail, STR(DETAIL_COUNTS));
    const struct value *n = counts ? value_get(*counts, str_from(what)) : NULL;
    return n && n->kind == VALUE_INT && n->i > 0 ? n->i : 0;
}

size_t engine_steps_done(const struct remediation *r)
{
    const struct value *plan = value_get(r->detail, STR(DETAIL_PLAN));
    size_t done = (size_t)(count_of(r, "done") + (count_of(r, "maybe") > 0));
    size_t all = plan && plan->kind == VALUE_LIST ? plan->len : 0;
    return done < all ? done : all;
}

bool engine_find_repair(struct engine *engine, int64_t id, struct arena *arena,
                        struct remediation *ret, struct error *err)
{
    struct remediation old;
    enum store_result got = store_get(engine->store, id, arena, &old, err);
    if (got == STORE_ABSENT)
        return error_set(err, "E0005", "there is no remediation r%lld", (long long)id);
    if (got != STORE_OK)
        return false;
    bool changed = state_is_terminal(old.state) && old.state != STATE_ROLLED_BACK &&
                   engine_steps_done(&old) > 0;
    if (old.kind == REMEDIATION_REPAIR && changed && count_of(&old, "earlier")) {
        error_set(
            err, "S0102",
            "r%lld was decided again after it had changed something; its first plan is only in "
            "the record",
            (long long)id);
        return error_hint(err, "`rectify audit show` has it; take it back by hand");
    }
    if (old.kind != REMEDIATION_REPAIR || !changed)
        return error_set(err, "S0101", "r%lld is %s: there is nothing to take back", (long long)id,
                         state_name(old.state));
    *ret = old;
    return true;
}

bool engine_rollback(struct engine *engine, int64_t id, struct str by, int64_t *ret_id,
                     struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct remediation old;
    if (!engine_find_repair(engine, id, &arena, &old, err))
        return false;
    struct value_builder detail = {.arena = &arena}, record = {.arena = &arena};
    struct buf detail_text = {.arena = &arena}, record_text = {.arena = &arena};
    const struct value *event = value_get(old.detail, STR(DETAIL_EVENT));
    if (event)
        value_set(&detail, DETAIL_EVENT, *event);
    value_set(&detail, DETAIL_PARENT, value_int(id));
    value_set(&record, "asked_by", value_string(by));
    value_set(&record, DETAIL_PARENT, value_int(id));
    json_write(&detail_text, value_finish_map(&detail), JSON_COMPACT);
    json_write(&record_text, value_finish_map(&record), JSON_CANONICAL);
    struct store_match match = {old.policy,
                                old.policy_hash,
                                old.resource,
                                old.region,
                                clock_wall_ms(engine->clock),
                                buf_str(&detail_text)};
    enum store_result got = store_create(engine->store, REMEDIATION_ROLLBACK, &match,
                                         buf_str(&record_text), ret_id, err);
    if (got == STORE_CONFLICT)
        return error_set(err, "E0006", "a rollback of that resource is already under way (r%lld)",
                         (long long)*ret_id);
    return got == STORE_OK;
}
