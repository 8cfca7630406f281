// SPDX-License-Identifier: Apache-2.0
/* What is due, one row after the other on the caller's thread. A row is claimed only to be walked
 * on at once, so that none is held when the time is up. */
#include "engine/engine.h"

#include "base/fault.h"

#include <time.h>

#define SOON_MS 2000       // what is due within this is waited for
#define BEGIN_LEFT_MS 1000 // nothing is begun with less time left than this

int64_t engine_deadline(const struct engine *engine, int64_t within_ms)
{
    int64_t at = clock_steady_ms(engine->clock) + within_ms, end = engine->deadline_ms;
    return end && end < at ? end : at;
}

bool engine_has_time(const struct engine *engine, int64_t ms)
{
    return !engine->deadline_ms || clock_steady_ms(engine->clock) + ms <= engine->deadline_ms;
}

bool engine_is_late(const struct engine *engine)
{
    return !engine_has_time(engine, BEGIN_LEFT_MS);
}

/* How long until the next row is due; less than 0: it is not waited for. */
static int64_t wait_for(const struct engine *engine, int64_t next_due_ms)
{
    int64_t wait_ms =
        next_due_ms == INT64_MAX ? INT64_MAX : next_due_ms - clock_wall_ms(engine->clock);
    int64_t left_ms = engine->deadline_ms
                          ? engine->deadline_ms - clock_steady_ms(engine->clock) - BEGIN_LEFT_MS
                          : SOON_MS;
    if (wait_ms > SOON_MS || wait_ms > left_ms)
        return -1;
    return wait_ms < 1 ? 1 : wait_ms;
}

static bool work(struct engine *engine, struct engine_worked *ret, struct error *err)
{
    struct arena scratch ARENA_AUTO = {0};
    int64_t ignored;
    if (!engine_tend(engine, 0, &ignored, err))
        return false;
    while (!engine_is_late(engine)) {
        struct store_claim claim;
        size_t count = 0;
        if (store_claim(engine->store, 1, fault_ms("RECTIFY_LEASE_MS", ENGINE_LEASE_MS),
                        fault_ms("RECTIFY_GRACE_MS", ENGINE_GRACE_MS), &claim, &count,
                        &ret->next_due_ms, err) != STORE_OK)
            return false;
        if (count) {
            if (!engine_step(engine, &claim, &scratch, err))
                return false;
            ret->steps++;
            continue;
        }
        int64_t wait_ms = wait_for(engine, ret->next_due_ms);
        if (wait_ms < 0)
            break;
        nanosleep(&(struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000}, NULL);
    }
    return store_flush(engine->store, err) == STORE_OK;
}

/* After a failure nobody holds what was leased, and it would wait for its lease's end. */
bool engine_work(struct engine *engine, struct engine_worked *ret, struct error *err)
{
    *ret = (struct engine_worked){.next_due_ms = INT64_MAX};
    if (engine->leases_in_doubt && store_end_leases(engine->store, NULL, 0, err) != STORE_OK)
        return false;
    bool ok = work(engine, ret, err);
    engine->leases_in_doubt = !ok;
    return ok;
}

bool engine_work_tasks(struct engine *engine, struct engine_house *house, size_t *ret_count,
                       struct error *err)
{
    int64_t next_due_ms = 0;
    *ret_count = 0;
    if (engine_is_late(engine))
        return true;
    engine_keep_house(engine, house);
    while (!engine_is_late(engine)) {
        if (!engine_run_task(engine, &next_due_ms, err))
            return false;
        if (next_due_ms != 0)
            break;
        ++*ret_count;
    }
    return true;
}
