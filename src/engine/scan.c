// SPDX-License-Identifier: Apache-2.0
/* What exists, without an event: each policy's own list of resources becomes rows as if events had
 * named them, and goes through the same reading, guards and limits. What could not be listed in
 * full starts nothing: a part says nothing about the whole, and the next scan lists again.
 *
 *   policy x account x region ─► decide_scan (all pages) ─► ids ─► keys ─► store_accept, 256 at
 * once */
#include "engine/engine.h"

#include "base/log.h"
#include "decide/decide.h"
#include "value/json.h"

#include <pthread.h>
#include <stdlib.h>

#define SCAN_BATCH 256
#define SCAN_THREADS 8

struct scanning {
    struct engine *engine;
    const struct policy_set *policies;
    const struct engine_place *place;
    struct engine_scanned *scanned;
    struct policy_assignment assignment;
    struct resource resource; // without its id
    int64_t started_ms;
    struct arena *arena; // of one list
    struct store_match matches[SCAN_BATCH];
    struct store_event events[SCAN_BATCH];
    size_t count;
};

/* ---- where ---- */

static bool is_wanted(const struct policy *policy, const struct engine_scan_options *options)
{
    return policy->scan.resources &&
           (options->policy.len == 0 || str_glob(options->policy, policy->name));
}

struct placing {
    struct arena *arena;
    struct engine_place *list;
    size_t count, cap;
};

static bool add_place(struct placing *p, struct engine_place place)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        struct engine_place *grown =
            arena_grow(p->arena, p->list, p->cap * sizeof *grown, cap * sizeof *grown);
        if (!grown)
            return false;
        p->list = grown;
        p->cap = cap;
    }
    p->list[p->count++] = place;
    return true;
}

static bool add_account(struct placing *p, const struct engine *engine,
                        const struct policy_set *policies,
                        const struct engine_scan_options *options,
                        const struct policy_account *account)
{
    const struct str *regions = options->region_count ? options->regions : account->regions;
    size_t count = options->region_count ? options->region_count : account->region_count;
    if (count == 0 && engine->region.len) {
        regions = &engine->region;
        count = 1;
    }
    for (size_t i = 0; i < policy_set_count(policies); i++) {
        const struct policy *policy = policy_set_at(policies, i);
        if (!is_wanted(policy, options) ||
            policy_set_assign(policies, policy, account->id, p->arena).mode == MODE_OFF)
            continue;
        for (size_t r = 0; r < count && (r == 0 || !policy->global); r++)
            if (!add_place(p, (struct engine_place){policy, account->id, regions[r]}))
                return false;
    }
    return true;
}

/* Every account that is known, or the one that is wanted; where none is known, our own. */
bool engine_places(struct engine *engine, const struct policy_set *policies,
                   const struct engine_scan_options *options, struct arena *arena,
                   struct engine_place **ret, size_t *ret_count, struct error *err)
{
    struct placing p = {.arena = arena};
    struct policy_account *accounts, only = {.id = options->account};
    size_t count, wanted = 0;
    bool ok = policy_set_accounts(policies, arena, &accounts, &count);
    for (size_t i = 0; ok && i < count; i++) {
        if (options->account.len && !str_eq(accounts[i].id, options->account))
            continue;
        wanted++;
        ok = add_account(&p, engine, policies, options, &accounts[i]);
    }
    if (ok && wanted == 0) { // rectify.yaml says nothing of it
        size_t regions;
        only.regions = policy_set_regions(policies, &regions);
        only.region_count = regions;
        if (!only.id.len && !engine_own_account(engine, arena, &only.id, err))
            return false;
        ok = add_account(&p, engine, policies, options, &only);
    }
    *ret = p.list;
    *ret_count = p.count;
    return ok || error_set(err, "E0007", "out of memory");
}

/* ---- one list ---- */

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
    const struct policy *policy = s->place->policy;
    struct resource resource = s->resource;
    struct str key;
    struct error why;
    resource.id = value_str(id);
    if (id.kind != VALUE_STRING || !resource_key(&resource, s->arena, &key, &why)) {
        s->scanned->unusable++;
        return true;
    }
    const char *event = arena_printf(s->arena, "scan %lld %.*s %.*s", (long long)s->started_ms,
                                     STR_FMT(policy->name), STR_FMT(key));
    if (!event)
        return error_set(err, "E0007", "out of memory");
    s->matches[s->count] = (struct store_match){.policy = policy->name,
                                                .policy_hash = str_from(policy->hash),
                                                .resource = key,
                                                .region = s->place->region,
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
    struct str place = STR_JOIN(s->arena, s->place->account, STR(" "), s->resource.region);
    if (!place.ptr)
        return error_set(err, "E0007", "out of memory");
    return store_counted(s->engine->store, s->place->policy->name, place, (int64_t)count, err) ==
           STORE_OK;
}

void engine_list_place(struct engine *engine, const struct policy_set *policies,
                       const struct engine_place *place, struct arena *arena,
                       struct resource *ret_resource, struct decide_finding *ret,
                       struct value *ret_ids)
{
    struct policy_assignment assignment =
        policy_set_assign(policies, place->policy, place->account, arena);
    *ret_resource =
        (struct resource){.partition = resource_partition(place->region),
                          .account = place->account,
                          .region = place->policy->global ? STR("global") : place->region,
                          .type = place->policy->resource_type};
    struct decide_subject subject = {
        .policy = place->policy,
        .assignment = &assignment,
        .resource = *ret_resource,
        .region = place->region,
        .account = policy_set_account(policies, place->account, arena),
        .now_ms = clock_wall_ms(engine->clock),
        .deadline_ms = engine->deadline_ms,
        .caller = engine->caller,
    };
    decide_scan(&subject, arena, ret, ret_ids);
}

static bool scan_place(struct scanning *s, struct error *err)
{
    struct decide_finding finding;
    struct value ids;
    const struct engine_place *place = s->place;
    engine_list_place(s->engine, s->policies, place, s->arena, &s->resource, &finding, &ids);
    s->scanned->lists++;
    if (finding.verdict == VERDICT_UNREAD) {
        if (s->scanned->unread++ == 0)
            error_set(&s->scanned->why, "E0010", "%.*s in %.*s of %.*s: %.*s",
                      STR_FMT(place->policy->name), STR_FMT(place->region), STR_FMT(place->account),
                      STR_FMT(finding.reason));
        log_line(LOG_WARN, "scan: %.*s in %.*s of %.*s cannot be listed: %.*s",
                 STR_FMT(place->policy->name), STR_FMT(place->region), STR_FMT(place->account),
                 STR_FMT(finding.reason));
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

bool engine_scan_place(struct engine *engine, const struct policy_set *policies,
                       const struct engine_place *place, struct engine_scanned *ret,
                       struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct scanning *s = calloc(1, sizeof *s);
    *ret = (struct engine_scanned){0};
    if (!s)
        return error_set(err, "E0007", "out of memory");
    *s = (struct scanning){.engine = engine,
                           .policies = policies,
                           .place = place,
                           .scanned = ret,
                           .assignment =
                               policy_set_assign(policies, place->policy, place->account, &arena),
                           .started_ms = clock_wall_ms(engine->clock),
                           .arena = &arena};
    bool ok = s->assignment.mode == MODE_OFF || scan_place(s, err);
    free(s);
    return ok;
}

/* ---- all lists, some at a time ---- */

struct crowd {
    struct engine *engine;
    const struct engine_scan_options *options;
    const struct policy_set *policies;
    const struct engine_place *places;
    pthread_mutex_t mutex; // of all below
    size_t count, next, done;
    struct engine_scanned *scanned;
    struct error failure;
    bool failed;
};

static void add_up(struct engine_scanned *all, const struct engine_scanned *one)
{
    if (all->unread == 0 && one->unread)
        all->why = one->why;
    all->lists += one->lists;
    all->resources += one->resources;
    all->unread += one->unread;
    all->unusable += one->unusable;
}

static void *scan_some(void *arg)
{
    struct crowd *c = arg;
    pthread_mutex_lock(&c->mutex);
    while (c->next < c->count && !c->failed) {
        const struct engine_place *place = &c->places[c->next++];
        struct engine_scanned one;
        struct error err;
        pthread_mutex_unlock(&c->mutex);
        bool ok = engine_scan_place(c->engine, c->policies, place, &one, &err);
        pthread_mutex_lock(&c->mutex);
        add_up(c->scanned, &one);
        c->done++;
        if (!ok && !c->failed)
            c->failure = err;
        c->failed |= !ok;
        if (c->options->progress)
            c->options->progress(c->options->progress_ctx, c->done, c->count,
                                 c->scanned->resources);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

static void count_policies(struct crowd *c)
{
    for (size_t i = 0; i < policy_set_count(c->policies); i++)
        c->scanned->policies += is_wanted(policy_set_at(c->policies, i), c->options);
    for (size_t i = 0; i < c->count; i++) // they stand together by account
        c->scanned->accounts += i == 0 || !str_eq(c->places[i].account, c->places[i - 1].account);
}

bool engine_scan(struct engine *engine, const struct engine_scan_options *options,
                 struct engine_scanned *ret, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct engine_set *set = engine_rules_hold(engine->rules);
    struct engine_place *places;
    pthread_t threads[SCAN_THREADS];
    size_t started = 0;
    struct crowd c = {.engine = engine,
                      .options = options,
                      .policies = set->policies,
                      .mutex = PTHREAD_MUTEX_INITIALIZER,
                      .scanned = ret};
    *ret = (struct engine_scanned){0};
    bool ok = engine_places(engine, set->policies, options, &arena, &places, &c.count, err);
    if (ok) {
        c.places = places;
        count_policies(&c);
        while (started + 1 < SCAN_THREADS && started + 1 < c.count &&
               pthread_create(&threads[started], NULL, scan_some, &c) == 0)
            started++;
        scan_some(&c);
        for (size_t i = 0; i < started; i++)
            pthread_join(threads[i], NULL);
        if (c.failed)
            *err = c.failure;
        ok = !c.failed;
    }
    engine_rules_release(set);
    return ok;
}
