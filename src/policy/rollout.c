// SPDX-License-Identifier: Apache-2.0
/* guard.rollout: in which steps a policy's repairs reach all resources, and what has to stay well
 * meanwhile. */
#include "policy/policy_internal.h"

#define REFUSE(...) (yaml_error(__VA_ARGS__), false)
#define STEPS_MAX 32
#define WATCHES_MAX 8

int policy_percent(const struct yaml *node, int fallback, bool *ok)
{
    if (!node)
        return fallback;
    struct str text = node->kind == YAML_SCALAR ? node->text : (struct str){0};
    int number = 0;
    bool good = text.len >= 2 && text.len <= 4 && text.ptr[text.len - 1] == '%';
    for (size_t i = 0; good && i + 1 < text.len; i++) {
        good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        number = number * 10 + (text.ptr[i] - '0');
    }
    if (good && number <= 100)
        return number;
    yaml_error(node, "P0108", "e.g. 5%", "not a share of 0%% to 100%%");
    *ok = false;
    return fallback;
}

static bool read_step(const struct yaml *node, struct policy_stage *ret)
{
    bool ok = true;
    *ret =
        (struct policy_stage){.text = arena_printf(node->file->arena, "%.*s", STR_FMT(node->text))};
    if (node->kind == YAML_MAP) {
        const struct yaml *accounts = yaml_get(node, "accounts");
        static const char *const keys[] = {"accounts"};
        ret->kind = STAGE_ACCOUNTS;
        ret->text = "accounts";
        if (!yaml_check_keys(node, keys, 1) || !accounts || accounts->kind == YAML_SCALAR)
            return REFUSE(node, "P0150", "e.g. {accounts: {env: dev}}",
                          "such a step names accounts: ids, or attributes");
        return yaml_value(accounts, &ret->accounts);
    }
    if (node->text.len && node->text.ptr[node->text.len - 1] == '%') {
        ret->kind = STAGE_SHARE;
        ret->number = policy_percent(node, 0, &ok) * 10000;
    } else {
        ret->kind = STAGE_SEATS;
        ret->number = policy_count(node, 0, &ok);
    }
    if (ok && ret->number == 0)
        return REFUSE(node, "P0150", "e.g. [1, 5%, 25%, 100%]", "a step of nothing");
    return ok;
}

/* Each step reaches further than the ones of its kind before it; the last reaches all. */
static bool check_order(const struct yaml *list, const struct policy_rollout *r)
{
    int seats = 0, share = 0;
    for (size_t i = 0; i < r->stage_count; i++) {
        const struct policy_stage *s = &r->stages[i];
        int *last = s->kind == STAGE_SEATS ? &seats : s->kind == STAGE_SHARE ? &share : NULL;
        if (last && s->number <= *last)
            return REFUSE(list->items[i], "P0150", NULL,
                          "this step reaches no further than the ones before it");
        if (last)
            *last = s->number;
    }
    return share == 1000000 ||
           REFUSE(list, "P0150", "end with 100%", "the last step has to reach all: 100%%");
}

static bool read_steps(const struct yaml *list, struct policy_rollout *r)
{
    bool ok = true;
    if (list->kind != YAML_LIST || list->count == 0 || list->count > STEPS_MAX)
        return REFUSE(list, "P0150", "e.g. [1, 5%, 25%, 100%]",
                      "`steps` is a list of 1 to %d steps", STEPS_MAX);
    r->stages = ARENA_ARRAY(list->file->arena, struct policy_stage, list->count);
    for (size_t i = 0; r->stages && i < list->count; i++)
        ok = read_step(list->items[i], &r->stages[r->stage_count++]) && ok;
    return ok && r->stages && check_order(list, r);
}

static const struct policy_stage default_stages[] = {
    {.kind = STAGE_SEATS, .number = 1, .text = "1"},
    {.kind = STAGE_SHARE, .number = 50000, .text = "5%"},
    {.kind = STAGE_SHARE, .number = 100000, .text = "10%"},
    {.kind = STAGE_SHARE, .number = 250000, .text = "25%"},
    {.kind = STAGE_SHARE, .number = 500000, .text = "50%"},
    {.kind = STAGE_SHARE, .number = 1000000, .text = "100%"},
};

static bool use_default_steps(struct arena *arena, struct policy_rollout *r)
{
    r->stage_count = sizeof default_stages / sizeof *default_stages;
    r->stages = ARENA_ARRAY(arena, struct policy_stage, r->stage_count);
    if (r->stages)
        memcpy(r->stages, default_stages, sizeof default_stages);
    return r->stages != NULL;
}

static bool read_watch(const struct yaml *node, struct policy_watch *w)
{
    bool ok = policy_check_keys(node, POLICY_WATCH);
    w->alarm = policy_text(yaml_get(node, "alarm"), "", &ok);
    w->account = policy_text(yaml_get(node, "account"), "", &ok);
    w->region = policy_text(yaml_get(node, "region"), "", &ok);
    w->url = policy_text(yaml_get(node, "prometheus"), "", &ok);
    w->query = policy_text(yaml_get(node, "query"), "", &ok);
    bool alarm = w->alarm.len && w->account.len == 12 && w->region.len && !w->url.len;
    bool query = !w->alarm.len && w->query.len &&
                 (str_starts(w->url, STR("http://")) || str_starts(w->url, STR("https://")));
    if (ok && alarm == query)
        return REFUSE(node, "P0151",
                      "e.g. {alarm: NAME, account: \"111122223333\", region: eu-west-1}",
                      "a watch is an alarm with account and region, or prometheus with query");
    return ok;
}

static bool read_watches(const struct yaml *list, struct policy_rollout *r)
{
    bool ok = true;
    if (!list)
        return true;
    if (list->kind != YAML_LIST || list->count > WATCHES_MAX)
        return REFUSE(list, "P0151", NULL, "`watch` is a list of at most %d", WATCHES_MAX);
    r->watches = ARENA_ARRAY(list->file->arena, struct policy_watch, list->count + 1);
    for (size_t i = 0; r->watches && i < list->count; i++)
        ok = read_watch(list->items[i], &r->watches[r->watch_count++]) && ok;
    return ok && r->watches;
}

/* What cannot, or must not, be taken back by itself is not taken back by a stage either. */
static bool check_undo(const struct yaml *node, const struct policy *policy)
{
    bool ok = true;
    for (size_t i = 0; i < policy->step_count; i++)
        if (policy->steps[i].closes_hole || policy->steps[i].undo_none.len)
            ok = REFUSE(node, "P0122", "write `else: pause`",
                        "`else: undo` is refused: step %zu closes a hole or has no undo", i + 1);
    return ok;
}

bool policy_rollout_compile(const struct yaml *node, struct policy *policy)
{
    struct policy_rollout *r = &policy->rollout;
    if (!node)
        return true;
    bool ok = policy_check_keys(node, POLICY_ROLLOUT);
    const struct yaml *steps = yaml_get(node, "steps"), *otherwise = yaml_get(node, "else");
    ok = (steps ? read_steps(steps, r) : use_default_steps(node->file->arena, r)) && ok;
    r->bake_ms = policy_duration(yaml_get(node, "bake"), POLICY_DEFAULT_ROLLOUT_BAKE, &ok);
    r->sample = policy_count(yaml_get(node, "sample"), POLICY_DEFAULT_ROLLOUT_SAMPLE, &ok);
    r->within_ms = policy_duration(yaml_get(node, "within"), POLICY_DEFAULT_ROLLOUT_WITHIN, &ok);
    struct str word = policy_text(otherwise, "pause", &ok);
    r->undo = str_is(word, "undo");
    if (!r->undo && !str_is(word, "pause"))
        ok = REFUSE(otherwise, "P0108", "pause or undo", "not a way to go on");
    if (r->undo)
        ok = check_undo(otherwise, policy) && ok;
    return read_watches(yaml_get(node, "watch"), r) && ok;
}
