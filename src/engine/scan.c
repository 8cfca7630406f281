// SPDX-License-Identifier: Apache-2.0
/* What exists, without an event: each policy's own list of resources becomes rows as if events had
 * named them, and goes through the same reading, guards and limits. What could not be listed in
 * full starts nothing: a part says nothing about the whole, and the next scan lists again.
 *
 *   policy x region ─► decide_scan (all pages) ─► ids ─► keys ─► store_accept, 256 at once */
#include "engine/engine.h"

#include "base/log.h"
#include "decide/decide.h"
#include "value/json.h"

#include <stdlib.h>

#define SCAN_BATCH 256

struct scanning {
    struct engine *engine;
    const struct engine_scan_options *options;
    struct engine_scanned *scanned;
    const struct policy *policy;
    struct policy_assignment assignment;
    struct str region;
    int64_t started_ms;
    struct arena *arena; // of one list
    struct store_match matches[SCAN_BATCH];
    struct store_event events[SCAN_BATCH];
    size_t count;
};

static bool flush(struct scanning *s, struct error *err)
{
    bool ok =
        s->count == 0 || store_accept(s->engine->store, s->events, s->count, NULL, err) == STORE_OK;
    s->count = 0;
    return ok;
}

/* As in an event's place: where the row comes from. */
static struct str detail_text(struct scanning *s)
{
    struct value_builder event = {.arena = s->arena}, detail = {.arena = s->arena};
    struct buf text = {.arena = s->arena};
    char when[CLOCK_TEXT_SIZE];
    clock_format(s->started_ms, when);
    value_set(&event, "id", value_cstr("scan"));
    value_set(&event, "name", value_cstr("scan"));
    value_set(&event, "time", value_string(str_copy(s->arena, str_from(when))));
    value_set(&detail, DETAIL_EVENT, value_finish_map(&event));
    value_set(&detail, DETAIL_MODE, value_cstr(mode_name(s->assignment.mode)));
    json_write(&text, value_finish_map(&detail), JSON_COMPACT);
    return buf_str(&text);
}

static bool add(struct scanning *s, struct value id, struct str detail, struct error *err)
{
    struct resource resource = {.partition = resource_partition(s->region),
                                .account = s->options->account,
                                .region = s->policy->global ? STR("global") : s->region,
                                .type = s->policy->resource_type,
                                .id = value_str(id)};
    struct str key;
    struct error why;
    if (id.kind != VALUE_STRING || !resource_key(&resource, s->arena, &key, &why)) {
        s->scanned->unusable++;
        return true;
    }
    const char *event = arena_printf(s->arena, "scan %lld %.*s %.*s", (long long)s->started_ms,
                                     STR_FMT(s->policy->name), STR_FMT(key));
    if (!event)
        return error_set(err, "E0007", "out of memory");
    s->matches[s->count] = (struct store_match){.policy = s->policy->name,
                                                .policy_hash = str_from(s->policy->hash),
                                                .resource = key,
                                                .region = s->region,
                                                .due_ms = s->started_ms,
                                                .detail = detail};
    s->events[s->count] = (struct store_event){.key = str_from(event),
                                               .name = STR("scan"),
                                               .matches = &s->matches[s->count],
                                               .match_count = 1};
    s->scanned->resources++;
    return ++s->count < SCAN_BATCH || flush(s, err);
}

/* All that exists in this place was listed: a share of it can be told. */
static bool note_count(struct scanning *s, size_t count, struct error *err)
{
    struct str place = STR_JOIN(s->arena, s->options->account, STR(" "),
                                s->policy->global ? STR("global") : s->region);
    if (!place.ptr)
        return error_set(err, "E0007", "out of memory");
    return store_counted(s->engine->store, s->policy->name, place, (int64_t)count, err) == STORE_OK;
}

static bool scan_place(struct scanning *s, struct error *err)
{
    struct decide_finding finding;
    struct value ids;
    struct decide_subject subject = {
        .policy = s->policy,
        .assignment = &s->assignment,
        .resource = {.partition = resource_partition(s->region),
                     .account = s->options->account,
                     .region = s->policy->global ? STR("global") : s->region,
                     .type = s->policy->resource_type},
        .region = s->region,
        .account = policy_set_account(s->engine->policies, s->options->account, s->arena),
        .now_ms = s->started_ms,
        .caller = s->engine->caller,
    };
    decide_scan(&subject, s->arena, &finding, &ids);
    s->scanned->lists++;
    if (finding.verdict == VERDICT_UNREAD) {
        if (s->scanned->unread++ == 0)
            error_set(&s->scanned->why, "E0010", "%.*s in %.*s: %.*s", STR_FMT(s->policy->name),
                      STR_FMT(s->region), STR_FMT(finding.reason));
        log_line(LOG_WARN, "scan: %.*s in %.*s cannot be listed: %.*s", STR_FMT(s->policy->name),
                 STR_FMT(s->region), STR_FMT(finding.reason));
        return true;
    }
    struct str detail = detail_text(s);
    if (!detail.ptr)
        return error_set(err, "E0007", "out of memory");
    for (uint32_t i = 0; i < ids.len; i++)
        if (!add(s, ids.items[i], detail, err))
            return false;
    return flush(s, err) && note_count(s, ids.len, err);
}

bool engine_scan(struct engine *engine, const struct engine_scan_options *options,
                 struct engine_scanned *ret, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct scanning *s = calloc(1, sizeof *s);
    bool ok = s != NULL || error_set(err, "E0007", "out of memory");
    *ret = (struct engine_scanned){0};
    for (size_t i = 0; ok && i < policy_set_count(engine->policies); i++) {
        const struct policy *policy = policy_set_at(engine->policies, i);
        if (!policy->scan.resources ||
            (options->policy.len && !str_glob(options->policy, policy->name)))
            continue;
        ret->policies++;
        for (size_t r = 0; ok && r < (policy->global ? 1 : options->region_count); r++) {
            arena_reset(&arena);
            *s = (struct scanning){.engine = engine,
                                   .options = options,
                                   .scanned = ret,
                                   .policy = policy,
                                   .region = options->regions[r],
                                   .started_ms = clock_wall_ms(engine->clock),
                                   .arena = &arena};
            s->assignment = policy_set_assign(engine->policies, policy, options->account, &arena);
            ok = s->assignment.mode == MODE_OFF || scan_place(s, err);
        }
    }
    free(s);
    return ok;
}
