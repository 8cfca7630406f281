// SPDX-License-Identifier: Apache-2.0
/* All policies' triggers are one pattern set; a match evaluates its policy's expression for the
 * resource's id. What the event says of its account counts, never the caller's identity. See
 * detect.h. */
#include "detect/detect_internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "pattern/pattern.h"
#include "value/json.h"

#include <inttypes.h>
#include <stdlib.h>

struct trigger {
    const struct policy *policy;
    const struct policy_trigger *trigger;
};

struct detector {
    const struct policy_set *policies;
    struct pattern_set *patterns;
    struct sieve *sieve;
    struct trigger *triggers; // by tag
    size_t count;
};

struct detect_scratch {
    struct pattern_scratch *patterns;
};

static bool add_all(struct detector *d, struct pattern_builder *builder, struct error *err)
{
    for (size_t i = 0; i < policy_set_count(d->policies); i++) {
        const struct policy *policy = policy_set_at(d->policies, i);
        for (size_t k = 0; k < policy->trigger_count; k++) {
            d->triggers[d->count] = (struct trigger){policy, &policy->triggers[k]};
            if (!pattern_builder_add(builder, policy->triggers[k].pattern, (uint32_t)d->count++,
                                     err))
                return error_context(err, "policy %.*s", STR_FMT(policy->name));
            if (!sieve_add(d->sieve, policy->triggers[k].pattern))
                return error_set(err, "T0005", "out of memory");
        }
    }
    return true;
}

struct detector *detector_create(const struct policy_set *policies, struct error *err)
{
    struct detector *d = calloc(1, sizeof *d);
    struct pattern_builder *builder = pattern_builder_create();
    size_t count = 0;
    for (size_t i = 0; i < policy_set_count(policies); i++)
        count += policy_set_at(policies, i)->trigger_count;
    if (d && builder) {
        d->policies = policies;
        d->triggers = calloc(count + 1, sizeof *d->triggers);
        d->sieve = sieve_create();
        if (!d->triggers || !d->sieve)
            error_set(err, "T0005", "out of memory");
        else if (add_all(d, builder, err))
            d->patterns = pattern_builder_finish(builder, err);
    } else {
        error_set(err, "T0005", "out of memory");
    }
    pattern_builder_destroy(builder);
    if (!d || !d->patterns) {
        detector_destroy(d);
        return NULL;
    }
    return d;
}

void detector_destroy(struct detector *d)
{
    if (!d)
        return;
    pattern_set_destroy(d->patterns);
    sieve_destroy(d->sieve);
    free(d->triggers);
    free(d);
}

bool detect_may_match(const struct detector *detector, struct str text)
{
    return sieve_may_match(detector->sieve, text);
}

struct detect_scratch *detect_scratch_create(const struct detector *detector)
{
    struct detect_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return NULL;
    scratch->patterns = pattern_scratch_create(detector->patterns);
    if (!scratch->patterns) {
        free(scratch);
        return NULL;
    }
    return scratch;
}

void detect_scratch_destroy(struct detect_scratch *scratch)
{
    if (!scratch)
        return;
    pattern_scratch_destroy(scratch->patterns);
    free(scratch);
}

/* *text and *event become the envelope's. */
static bool unwrap(struct str *text, struct value *event, struct arena *arena, struct error *err)
{
    if (text->len > LIMIT_EVENT_BYTES)
        return error_set(err, "T0004", "an event is larger than 1 MiB");
    if (!json_parse(arena, *text, event, err))
        return false;
    if (event->kind != VALUE_MAP)
        return error_set(err, "T0002", "not an event: expected a JSON object");
    if (value_get(*event, STR("detail")) && value_get(*event, STR("source")))
        return true;
    if (!value_get(*event, STR("eventName")) || !value_get(*event, STR("eventSource")))
        return error_set(err, "T0006",
                         "neither an EventBridge envelope (source, detail) nor a CloudTrail record "
                         "(eventSource, eventName)");
    return detect_wrap(*text, arena, text, err) && json_parse(arena, *text, event, err);
}

static bool is_listed(const struct str *list, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(list[i], name))
            return true;
    return count == 0;
}

static bool check_scope(struct value event, const struct detect_scope *scope, struct error *err)
{
    struct str account = value_path_str(event, "account");
    struct str region = value_path_str(event, "region");
    if (!is_listed(scope->accounts, scope->account_count, account))
        return error_set(err, "T0007", "this source may not speak for account \"%.*s\"",
                         STR_FMT(account));
    if (!is_listed(scope->regions, scope->region_count, region))
        return error_set(err, "T0007", "this source may not speak for region \"%.*s\"",
                         STR_FMT(region));
    return true;
}

/* An event without any id is known by its content, so that two of them are not taken for one. */
static struct str content_key(struct str text, struct arena *arena)
{
    char hex[65];
    struct sha256 hash = hash_sha256(text.ptr, text.len);
    hash_hex(hash.bytes, sizeof hash.bytes, hex);
    return str_copy(arena, str_from(hex));
}

static void keep(struct value event, struct str text, struct arena *arena,
                 struct detect_result *ret)
{
    struct value_builder out = {.arena = arena};
    struct str id = value_path_str(event, "detail.eventID");
    struct str source = value_path_str(event, "detail.eventSource");
    struct str name = value_path_str(event, "detail.eventName");
    if (id.len == 0)
        id = value_path_str(event, "id");
    if (id.len == 0)
        id = content_key(text, arena);
    if (source.len == 0)
        source = str_sub(value_path_str(event, "source"), 4, SIZE_MAX);
    if (name.len == 0)
        name = value_path_str(event, "detail-type");
    struct str service = str_cut(&source, '.');
    ret->key = id;
    ret->name = str_from(arena_printf(arena, "%.*s:%.*s", STR_FMT(service), STR_FMT(name)));
    value_set(&out, "id", value_string(id));
    value_set(&out, "name", value_string(ret->name));
    value_set(&out, "time", value_string(value_path_str(event, "time")));
    value_set(&out, "actor", value_string(value_path_str(event, "detail.userIdentity.arn")));
    value_set(&out, "ip", value_string(value_path_str(event, "detail.sourceIPAddress")));
    ret->request_id = value_path_str(event, "detail.requestID");
    value_set(&out, "request_id", value_string(ret->request_id));
    ret->event = value_finish_map(&out);
}

struct matching {
    const struct detector *detector;
    struct value event;
    int64_t now_ms;
    struct arena *arena;
    struct detect_result *ret;
    size_t cap;
    bool failed; // out of memory
};

static void note(struct matching *m, const struct policy *policy, const char *why)
{
    struct detect_result *r = m->ret;
    struct str *notes = arena_grow(m->arena, r->notes, r->note_count * sizeof *r->notes,
                                   (r->note_count + 1) * sizeof *r->notes);
    const char *text = arena_printf(m->arena, "%.*s: %s", STR_FMT(policy->name), why);
    m->failed = m->failed || !notes || !text;
    if (m->failed)
        return;
    r->notes = notes;
    r->notes[r->note_count++] = str_from(text);
}

static void add_match(struct matching *m, const struct policy *policy, struct str id)
{
    struct str region = value_path_str(m->event, "region");
    struct resource resource = {.partition = resource_partition(region),
                                .account = value_path_str(m->event, "account"),
                                .region = policy->global ? STR("global") : region,
                                .type = policy->resource_type,
                                .id = id};
    struct error err;
    struct str key;
    if (resource.account.len == 0) {
        note(m, policy, "the event does not say whose it is: no account, no recipientAccountId");
        return;
    }
    if (!resource_key(&resource, m->arena, &key, &err)) {
        note(m, policy, err.message);
        return;
    }
    for (size_t i = 0; i < m->ret->match_count; i++)
        if (m->ret->matches[i].policy == policy && str_eq(m->ret->matches[i].resource, key))
            return;
    struct policy_assignment assignment =
        policy_set_assign(m->detector->policies, policy, resource.account, m->arena);
    if (assignment.mode == MODE_OFF)
        return;
    if (m->ret->match_count == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 4;
        struct detect_match *matches =
            arena_grow(m->arena, m->ret->matches, m->cap * sizeof *matches, cap * sizeof *matches);
        m->failed = m->failed || !matches;
        if (m->failed)
            return;
        m->ret->matches = matches;
        m->cap = cap;
    }
    m->ret->matches[m->ret->match_count++] = (struct detect_match){policy, assignment, key, region};
}

static void run_trigger(struct matching *m, const struct trigger *t)
{
    struct value slots[POLICY_SLOTS_COMMON + 1], ids;
    struct cel_budget budget = cel_budget_default();
    struct error err;
    struct str account = value_path_str(m->event, "account");
    for (size_t i = 0; i < POLICY_SLOTS_COMMON; i++)
        slots[i] = cel_unset();
    slots[POLICY_SLOT_ACCOUNT] = policy_set_account(m->detector->policies, account, m->arena);
    slots[POLICY_SLOT_REGION] = value_string(value_path_str(m->event, "region"));
    slots[POLICY_SLOT_PARAMS] = t->policy->params;
    slots[POLICY_SLOT_NOW] = (struct value){.kind = VALUE_TIMESTAMP, .i = m->now_ms / 1000};
    slots[POLICY_SLOT_EVENT] = m->event;
    if (!cel_eval(t->trigger->resources, slots, &budget, m->arena, &ids, &err)) {
        note(m, t->policy, err.message);
        return;
    }
    struct value one = ids;
    if (ids.kind == VALUE_STRING)
        ids = value_list(&one, 1);
    if (ids.kind != VALUE_LIST) {
        note(m, t->policy, "the expression gave neither a string nor a list of strings");
        return;
    }
    for (uint32_t i = 0; i < ids.len; i++) {
        if (ids.items[i].kind == VALUE_STRING)
            add_match(m, t->policy, value_str(ids.items[i]));
        else
            note(m, t->policy, "the expression gave something that is not a string");
    }
}

/* Nobody who repeats an event's id for other resources makes the first or the second vanish: what
 * the key adds to the id depends on the set of resources alone, in any order. */
static struct str redelivery_key(const struct detect_result *r, struct arena *arena)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->match_count; i++) {
        bool seen = false;
        for (size_t k = 0; !seen && k < i; k++)
            seen = str_eq(r->matches[k].resource, r->matches[i].resource);
        if (seen)
            continue;
        struct sha256 hash = hash_sha256(r->matches[i].resource.ptr, r->matches[i].resource.len);
        uint64_t part;
        memcpy(&part, hash.bytes, sizeof part);
        sum += part;
    }
    if (r->match_count == 0)
        return r->key;
    return str_from(arena_printf(arena, "%.*s/%016" PRIx64, STR_FMT(r->key), sum));
}

bool detect_event(const struct detector *detector, struct detect_scratch *scratch, struct str text,
                  const struct detect_scope *scope, int64_t now_ms, struct arena *arena,
                  struct detect_result *ret, struct error *err)
{
    static const struct detect_scope any = {0};
    struct value event;
    struct detect_result result = {0};
    const uint32_t *tags;
    size_t count;
    struct pattern_options options = {.duplicate_keys = PATTERN_DUPLICATES_REFUSE};
    if (!unwrap(&text, &event, arena, err) || !check_scope(event, scope ? scope : &any, err) ||
        !pattern_match(detector->patterns, text, &options, scratch->patterns, &tags, &count, err))
        return false;
    keep(event, text, arena, &result);
    struct matching m = {detector, event, now_ms, arena, &result, 0};
    for (size_t i = 0; i < count; i++)
        run_trigger(&m, &detector->triggers[tags[i]]);
    result.key = redelivery_key(&result, arena);
    if (m.failed || !result.key.ptr)
        return error_set(err, "T0005", "out of memory");
    *ret = result;
    return true;
}
