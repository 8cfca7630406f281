// SPDX-License-Identifier: Apache-2.0
/* What is done at intervals: each policy's scan in each account and region, and the list of the
 * organisation's accounts. The store knows when each is due, so that a restart neither forgets one
 * nor does all at once, and several processes on one store do each once.
 *
 *   rules ──plan──► task rows ──take──► engine_run_task ──► scan, discovery ──► due again
 *
 * When a scan is due comes from the hash of its name: the same in every process and after every
 * restart, and spread over the interval. */
#include "engine/engine.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LEASE_MS 900000         // of one task
#define FIRST_WITHIN_MS 3600000 // how late a scan that never ran may begin
#define PLAN_EVERY_MS 3600000
#define RECALL_EVERY_MS 60000
#define SLEEP_MAX_MS 5000
#define PLAN_BATCH 500

/* ---- when ---- */

/* The first moment behind `from` that belongs to the name. */
static int64_t slot_after(struct str name, int64_t every_ms, int64_t from)
{
    struct sha256 hash = hash_sha256(name.ptr, name.len);
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | hash.bytes[i];
    int64_t phase = (int64_t)(number % (uint64_t)every_ms);
    int64_t since = (from - phase) % every_ms;
    return from + every_ms - (since < 0 ? since + every_ms : since);
}

int64_t engine_scan_due(struct str name, int64_t every_ms, int64_t now, bool ran)
{
    if (ran) // half an interval at least lies between two
        return slot_after(name, every_ms, now + every_ms / 2);
    int64_t within = every_ms < FIRST_WITHIN_MS ? every_ms : FIRST_WITHIN_MS;
    return slot_after(name, within, now);
}

int64_t engine_due_again(const struct engine *engine, int64_t every_ms)
{
    int64_t pause = every_ms < ENGINE_AGAIN_MS ? every_ms : ENGINE_AGAIN_MS;
    if (engine_is_late(engine)) {
        log_line(LOG_WARN, "a list did not end in the time that was left, and begins anew");
        pause = 0;
    }
    return clock_wall_ms(engine->clock) + pause;
}

/* ---- planning ---- */

struct planning {
    struct engine *engine;
    struct arena *arena;
    struct store_task_plan list[PLAN_BATCH];
    size_t count;
};

static bool flush(struct planning *p, struct error *err)
{
    bool ok =
        p->count == 0 || store_plan_tasks(p->engine->store, p->list, p->count, err) == STORE_OK;
    p->count = 0;
    return ok;
}

static struct str place_name(const struct engine_place *place, struct arena *arena)
{
    return str_from(arena_printf(arena, ENGINE_SCAN "%.*s/%.*s/%.*s", STR_FMT(place->policy->name),
                                 STR_FMT(place->account), STR_FMT(place->region)));
}

static bool plan_place(struct planning *p, const struct engine_place *place, int64_t now,
                       struct error *err)
{
    int64_t every = place->policy->scan.every_ms;
    struct str name = place_name(place, p->arena);
    if (!name.ptr)
        return error_set(err, "E0007", "out of memory");
    p->list[p->count++] = (struct store_task_plan){name, engine_scan_due(name, every, now, false),
                                                   now + every + every / 2};
    return p->count < PLAN_BATCH || flush(p, err);
}

bool engine_plan_tasks(struct engine *engine, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct engine_set *set = engine_rules_hold(engine->rules);
    const struct policy_organization *organization = policy_set_organization(set->policies);
    struct engine_scan_options all = {0};
    struct engine_place *places = NULL;
    size_t count = 0, wanted = 0;
    int64_t now = clock_wall_ms(engine->clock);
    struct planning *p = calloc(1, sizeof *p);
    bool ok = p || error_set(err, "E0007", "out of memory");
    if (ok) {
        p->engine = engine;
        p->arena = &arena;
        if (organization)
            p->list[p->count++] = (struct store_task_plan){STR(ENGINE_ORGANIZATION), now,
                                                           now + organization->every_ms};
    }
    for (size_t i = 0; i < policy_set_count(set->policies); i++)
        wanted += policy_set_at(set->policies, i)->scan.every_ms > 0;
    if (ok && wanted)
        ok = engine_places(engine, set->policies, &all, &arena, &places, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        if (places[i].policy->scan.every_ms > 0)
            ok = plan_place(p, &places[i], now, err);
    ok = ok && flush(p, err);
    free(p);
    engine_rules_release(set);
    return ok;
}

/* ---- running ---- */

/* The place that a task's name names, if it is still to be scanned. */
static bool find_place(const struct policy_set *policies, struct str name, struct engine_place *ret,
                       struct arena *arena)
{
    struct str rest = str_sub(name, sizeof ENGINE_SCAN - 1, SIZE_MAX);
    struct str policy = rest;
    for (int slashes = 0; policy.len && slashes < 2;) // of the end: names may have their own
        slashes += policy.ptr[--policy.len] == '/';
    struct str place = str_sub(rest, policy.len + 1, SIZE_MAX);
    ret->account = str_cut(&place, '/');
    ret->region = place;
    ret->policy = policy_set_find(policies, policy);
    return ret->policy && ret->policy->scan.resources && ret->policy->scan.every_ms > 0 &&
           policy_set_assign(policies, ret->policy, ret->account, arena).mode != MODE_OFF;
}

static bool scan_task(struct engine *engine, struct engine_set *set, const struct store_task *task,
                      struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct engine_place place;
    struct engine_scanned scanned;
    struct store_task_end end = {0};
    if (!find_place(set->policies, task->name, &place, &arena))
        return store_end_task(engine->store, task, &end, err) != STORE_ERROR;
    if (!engine_scan_place(engine, set->policies, &place, &scanned, err))
        return false; // the store fails: due again when the lease is over
    int64_t every = place.policy->scan.every_ms;
    end.failed = scanned.unread > 0;
    end.due_ms = end.failed
                     ? engine_due_again(engine, every)
                     : engine_scan_due(task->name, every, clock_wall_ms(engine->clock), true);
    const char *note = end.failed ? arena_printf(&arena, "%s", scanned.why.message)
                                  : arena_printf(&arena, "%zu resources", scanned.resources);
    end.note = note ? str_from(note) : (struct str){0};
    return store_end_task(engine->store, task, &end, err) != STORE_ERROR;
}

bool engine_run_task(struct engine *engine, int64_t *ret_next_due_ms, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct store_task task;
    struct error why;
    enum store_result got = store_take_task(engine->store, (struct str){0}, LEASE_MS, &arena, &task,
                                            ret_next_due_ms, err);
    if (got != STORE_OK)
        return got == STORE_ABSENT;
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool ok = true;
    *ret_next_due_ms = 0;
    if (str_is(task.name, ENGINE_ORGANIZATION))
        (void)!engine_discover_task(engine, set->policies, &task, &why); // has been said
    else if (str_starts(task.name, STR(ENGINE_SCAN)))
        ok = scan_task(engine, set, &task, err);
    else // of another version of rectify
        ok = store_end_task(
                 engine->store, &task,
                 &(struct store_task_end){.due_ms = clock_wall_ms(engine->clock) + PLAN_EVERY_MS},
                 err) != STORE_ERROR;
    engine_rules_release(set);
    return ok;
}

void engine_keep_house(struct engine *engine, struct engine_house *house)
{
    struct error err;
    int64_t now = clock_steady_ms(engine->clock), ran = house->ran_ms;
    struct engine_set *set = engine_rules_hold(engine->rules);
    bool fresh = set->number != house->planned_number;
    if (fresh)
        ran = 0; // a new set knows nothing yet
    if (fresh || now - house->recalled_ms >= RECALL_EVERY_MS) {
        house->recalled_ms = now;
        if (!engine_recall_accounts(engine, set->policies, &ran, &err))
            log_line(LOG_WARN, "%s", err.message);
    }
    bool due = fresh || ran != house->ran_ms || now - house->planned_ms >= PLAN_EVERY_MS;
    house->ran_ms = ran;
    uint64_t number = set->number;
    engine_rules_release(set);
    if (!due)
        return;
    house->planned_ms = now;
    house->planned_number = number;
    if (!engine_plan_tasks(engine, &err)) {
        log_line(LOG_WARN, "scans cannot be planned: %s", err.message);
        house->planned_ms = now - PLAN_EVERY_MS + RECALL_EVERY_MS; // again in a minute
    }
}

/* ---- threads ---- */

#define THREADS 4 // so many tasks at once: what a long stop made due comes back in turn

struct engine_schedule {
    struct engine *engine;
    struct engine_workers *workers;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping, failing;
    struct engine_house house;
    bool keeper; // somebody plans
    pthread_t threads[THREADS];
    int count;
};

static void rest(struct engine_schedule *s, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    if (!s->stopping)
        pthread_cond_timedwait(&s->wake, &s->mutex, &until);
}

static void *run(void *arg)
{
    struct engine_schedule *s = arg;
    pthread_mutex_lock(&s->mutex);
    while (!s->stopping) {
        bool keep = !s->keeper;
        s->keeper = true;
        pthread_mutex_unlock(&s->mutex);
        if (keep) {
            engine_keep_house(s->engine, &s->house);
            pthread_mutex_lock(&s->mutex);
            s->keeper = false;
            pthread_mutex_unlock(&s->mutex);
        }
        struct error err;
        int64_t next_due = INT64_MAX;
        bool ok = engine_run_task(s->engine, &next_due, &err);
        if (ok && next_due == 0)
            engine_workers_wake(s->workers);
        int64_t wait = next_due - clock_wall_ms(s->engine->clock);
        pthread_mutex_lock(&s->mutex);
        if (!ok && !s->failing)
            log_line(LOG_ERROR, "tasks cannot be taken or ended: %s", err.message);
        s->failing = !ok;
        if (!ok || next_due != 0)
            rest(s, !ok || wait > SLEEP_MAX_MS ? SLEEP_MAX_MS : wait < 1 ? 1 : wait);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

struct engine_schedule *engine_schedule_start(struct engine *engine, struct engine_workers *workers,
                                              struct error *err)
{
    struct engine_schedule *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    if (!s) {
        error_set(err, "E0003", "out of memory");
        return NULL;
    }
    s->engine = engine;
    s->workers = workers;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    while (s->count < THREADS && pthread_create(&s->threads[s->count], NULL, run, s) == 0)
        s->count++;
    if (s->count == 0) {
        error_set(err, "E0004", "cannot start threads");
        engine_schedule_stop(s);
        return NULL;
    }
    return s;
}

void engine_schedule_wake(struct engine_schedule *s)
{
    pthread_mutex_lock(&s->mutex);
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

void engine_schedule_stop(struct engine_schedule *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mutex);
    for (int i = 0; i < s->count; i++)
        pthread_join(s->threads[i], NULL);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->wake);
    free(s);
}
