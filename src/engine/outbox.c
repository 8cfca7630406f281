// SPDX-License-Identifier: Apache-2.0
/* What waits in the outbox goes out: threads that take a channel, send what is due on it, and give
 * it back with what became of it. One message a turn, so that a service's rate is kept by when the
 * channel is free again, and what gathers meanwhile goes together. At least once: what was sent
 * before a crash may be sent again, under the same key.
 *
 *   take ──► still true? ──► send ──► sent | due again, later and later | given up after a day */
#include "engine/outbox_internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 4
#define LEASE_MS 60000 // of a channel; longer than a message takes
#define SOON_MS 2000   // what is due within this is waited for where there are no threads
#define IDLE_MS 250    // how often it is looked when nothing is due
#define AGAIN_MIN_MS 2000
#define AGAIN_MAX_MS 900000

/* How long a channel rests between two messages, by its kind: what the services bear. */
static const int rest_ms[] = {[CHANNEL_SLACK] = 1100,
                              [CHANNEL_JIRA] = 300,
                              [CHANNEL_WEBHOOK] = 0,
                              [CHANNEL_SNS] = 50,
                              [CHANNEL_PAGERDUTY] = 500};

struct engine_notifier {
    struct engine *engine;
    const struct notify *notify;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping;
    int count, busy;
    pthread_t threads[THREADS_MAX];
};

/* ---- questions ---- */

#define LOOK_EVERY_MS 30000 // how often an open question is looked at where nobody tells us
#define LOOK_FIRST_MS 2000  // after it was made: a hint may have come before we knew its key

/* Is this very question still open? */
static bool is_open(struct engine *engine, const struct store_notice_row *row,
                    const struct notice *notice, struct arena *arena)
{
    struct store_approval approval;
    struct error err;
    enum store_result got = store_approval(engine->store, row->remediation, arena, &approval, &err);
    if (got == STORE_ERROR)
        return true; // not known: then it is tried again anyway
    return got == STORE_OK && !approval.decided && !approval.consumed &&
           str_eq(approval.ask, value_path_str(notice->body, "ask")) &&
           approval.expires_ms > clock_wall_ms(engine->clock);
}

/* What Jira itself says of the issue is the answer; a webhook only makes us look sooner. */
static void look(struct engine *engine, const struct notify *notify, const struct channel *channel,
                 const struct store_notice_row *row, const struct notice *notice,
                 struct arena *arena, struct notify_result *result)
{
    struct jira_status status;
    struct error err;
    bool decided;
    if (!notify_jira_look(notify, channel, notice->reference, arena, &status, result) ||
        (!status.yes && !status.no) || status.at_ms < row->created_ms - 60000)
        return;
    struct engine_answer answer = {.id = row->remediation,
                                   .ask = value_path_str(notice->body, "ask"),
                                   .plan_hash = value_path_str(notice->body, "plan_hash"),
                                   .yes = status.yes,
                                   .identity = STR_JOIN(arena, STR("jira:"), status.by),
                                   .channel = channel->name,
                                   .reason =
                                       status.comment.len ? status.comment : STR("moved in Jira")};
    if (engine_answer(engine, &answer, arena, &decided, &err))
        return;
    log_line(LOG_WARN, "%.*s in Jira does not count: %s", STR_FMT(notice->reference), err.message);
    snprintf(result->error, sizeof result->error, "%.200s", err.message);
}

/* A question that is over is not asked any more; one that waits in Jira is looked at. True: that
 * was all. */
static bool handle_question(struct engine *engine, const struct notify *notify,
                            const struct channel *channel, const struct store_notice_row *row,
                            const struct notice *notice, struct arena *arena,
                            struct notify_result *result)
{
    if (str_is(notice->kind, "nudge")) // it made what is before it due, and that was all
        return true;
    if (!str_is(notice->kind, "ask"))
        return false;
    if (!is_open(engine, row, notice, arena))
        return true;
    if (channel->kind != CHANNEL_JIRA || !notice->reference.len)
        return false;
    look(engine, notify, channel, row, notice, arena, result);
    return true;
}

/* An issue that was made, or looked at, is looked at again. */
static bool goes_on(struct engine *engine, const struct channel *channel,
                    const struct store_notice_row *row, const struct notice *notice,
                    struct arena *arena)
{
    return channel && channel->kind == CHANNEL_JIRA && str_is(notice->kind, "ask") &&
           is_open(engine, row, notice, arena);
}

/* ---- one turn ---- */

static const struct channel *find_channel(const struct policy_set *set, struct str name)
{
    size_t count;
    const struct channel *all = policy_set_channels(set, &count);
    for (size_t i = 0; i < count; i++)
        if (str_eq(all[i].name, name))
            return &all[i];
    return NULL;
}

static bool read_notice(const struct engine *engine, const struct store_notice_row *row,
                        struct arena *arena, struct notice *ret, struct error *err)
{
    *ret = (struct notice){
        .key = str_from(arena_printf(arena, "rectify-%lld-%lld", (long long)row->created_ms,
                                     (long long)row->id)),
        .kind = row->notice.kind,
        .reference = row->reference,
        .attempts = row->attempts};
    return engine_open_notice(engine, &row->notice, arena, &ret->body, err);
}

/* The next attempt: 2 s, 4 s, ... 15 min, and up to a quarter more, so that many do not meet. */
static int64_t again_ms(const struct clock *clock, int attempts)
{
    int64_t pause = AGAIN_MIN_MS;
    unsigned char random;
    while (attempts-- > 0 && pause < AGAIN_MAX_MS)
        pause *= 2;
    pause = pause < AGAIN_MAX_MS ? pause : AGAIN_MAX_MS;
    clock_random(clock, &random, 1);
    return pause + pause * random / 1024;
}

static struct store_sent judge(struct engine *engine, const struct store_notice_row *row,
                               const struct notify_result *result)
{
    int64_t now = clock_wall_ms(engine->clock);
    int64_t pause = again_ms(engine->clock, row->attempts);
    struct store_sent sent = {.id = row->id,
                              .state = NOTICE_SENT,
                              .reference = result->reference,
                              .error = str_from(result->error)};
    if (result->outcome == NOTIFY_SENT)
        return sent;
    bool late = now - row->created_ms > (int64_t)LIMIT_NOTICE_SECONDS * 1000;
    sent.failed = true;
    sent.state = late || result->outcome == NOTIFY_NEVER ? NOTICE_GIVEN_UP : NOTICE_WAITS;
    sent.due_ms = now + (pause > result->after_ms ? pause : result->after_ms);
    log_line(sent.state == NOTICE_WAITS ? LOG_WARN : LOG_ERROR, "notice %lld to %.*s %s: %s",
             (long long)row->id, STR_FMT(row->notice.channel),
             sent.state == NOTICE_WAITS ? "is tried again" : "is given up", result->error);
    return sent;
}

/* Sends the first of what was taken, and those that go with it. */
static void send_some(struct engine *engine, const struct policy_set *policies,
                      const struct notify *notify, const struct store_sending *sending,
                      struct arena *arena, struct store_sent *sent, size_t *ret_count,
                      int64_t *ret_free_ms)
{
    const struct channel *channel = find_channel(policies, sending->channel);
    struct notice notices[STORE_SENDING_MAX];
    struct notify_result result = {.outcome = NOTIFY_SENT};
    struct error unread = {0};
    size_t count = 0;
    *ret_free_ms = clock_wall_ms(engine->clock);
    while (count < sending->count &&
           read_notice(engine, &sending->rows[count], arena, &notices[count], &unread))
        count++;
    if (!channel) {
        result.outcome = NOTIFY_LATER;
        snprintf(result.error, sizeof result.error, "rectify.yaml has no such channel");
        count = sending->count ? 1 : 0;
    } else if (count == 0) {
        result.outcome = str_is(str_from(unread.code), "K0005") ? NOTIFY_LATER : NOTIFY_NEVER;
        snprintf(result.error, sizeof result.error, "what it tells cannot be read: %.200s",
                 unread.message);
        count = sending->count ? 1 : 0;
    } else {
        count = notify_group(channel, notices, count);
        if (!handle_question(engine, notify, channel, &sending->rows[0], &notices[0], arena,
                             &result))
            notify_send(notify, channel, notices, count, arena, &result);
        *ret_free_ms =
            clock_wall_ms(engine->clock) +
            (result.after_ms > rest_ms[channel->kind] ? result.after_ms : rest_ms[channel->kind]);
    }
    for (size_t i = 0; i < count; i++)
        sent[i] = judge(engine, &sending->rows[i], &result);
    if (count && sent[0].state == NOTICE_SENT &&
        goes_on(engine, channel, &sending->rows[0], &notices[0], arena)) {
        sent[0].state = NOTICE_WAITS;
        sent[0].due_ms = clock_wall_ms(engine->clock) +
                         (sending->rows[0].reference.len ? LOOK_EVERY_MS : LOOK_FIRST_MS);
    }
    *ret_count = count;
}

enum outbox_turn outbox_turn(struct engine *engine, const struct notify *notify,
                             struct arena *scratch, int64_t *ret_next_ms, struct error *err)
{
    struct store_sending sending;
    struct store_sent sent[STORE_SENDING_MAX];
    size_t count;
    int64_t free_ms;
    arena_reset(scratch);
    if (store_take_notices(engine->store, LEASE_MS, scratch, &sending, err) != STORE_OK)
        return OUTBOX_FAILED;
    *ret_next_ms = sending.next_due_ms;
    if (!sending.channel.len)
        return OUTBOX_IDLE;
    struct engine_set *set = engine_rules_hold(engine->rules);
    send_some(engine, set->policies, notify, &sending, scratch, sent, &count, &free_ms);
    engine_rules_release(set);
    enum store_result got = store_give_notices(engine->store, &sending, free_ms, sent, count, err);
    return got == STORE_ERROR ? OUTBOX_FAILED : OUTBOX_SENT;
}

bool engine_send(struct engine *engine, const struct notify *notify, struct error *err)
{
    struct arena scratch = {0};
    enum outbox_turn turn = OUTBOX_SENT;
    const struct clock *clock = engine->clock;
    while (turn == OUTBOX_SENT || turn == OUTBOX_IDLE) {
        int64_t next_ms;
        if (clock_steady_ms(clock) + NOTIFY_DEADLINE_MS > engine->deadline_ms)
            break;
        turn = outbox_turn(engine, notify, &scratch, &next_ms, err);
        if (turn != OUTBOX_IDLE)
            continue;
        int64_t wait_ms = next_ms - clock_wall_ms(clock);
        if (wait_ms > SOON_MS || wait_ms <= 0) // the latter: another worker is at it
            break;
        nanosleep(&(struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000}, NULL);
    }
    arena_wipe(&scratch);
    return turn != OUTBOX_FAILED;
}

/* ---- threads ---- */

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static size_t channels_of(struct engine *engine)
{
    size_t count;
    struct engine_set *set = engine_rules_hold(engine->rules);
    (void)policy_set_channels(set->policies, &count);
    engine_rules_release(set);
    return count;
}

static void *work(void *arg)
{
    struct engine_notifier *n = arg;
    struct arena scratch = {0};
    pthread_mutex_lock(&n->mutex);
    while (!n->stopping) {
        struct error err;
        int64_t next;
        n->busy++;
        pthread_mutex_unlock(&n->mutex);
        enum outbox_turn turn = OUTBOX_IDLE;
        if (channels_of(n->engine)) // rules with channels may come at any time
            turn = outbox_turn(n->engine, n->notify, &scratch, &next, &err);
        pthread_mutex_lock(&n->mutex);
        n->busy--;
        struct timespec until = in_ms(turn == OUTBOX_FAILED ? 4 * IDLE_MS : IDLE_MS);
        if (turn != OUTBOX_SENT && !n->stopping)
            pthread_cond_timedwait(&n->wake, &n->mutex, &until);
    }
    pthread_mutex_unlock(&n->mutex);
    arena_wipe(&scratch);
    return NULL;
}

struct engine_notifier *engine_notifier_start(struct engine *engine, const struct notify *notify,
                                              struct error *err)
{
    struct engine_notifier *n = calloc(1, sizeof *n);
    pthread_condattr_t monotonic;
    size_t channels = channels_of(engine);
    if (!n) {
        error_set(err, "E0003", "out of memory");
        return NULL;
    }
    n->engine = engine;
    n->notify = notify;
    pthread_mutex_init(&n->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&n->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_lock(&n->mutex);
    while (n->count < THREADS_MAX && n->count < (int)(channels ? channels : 1) &&
           pthread_create(&n->threads[n->count], NULL, work, n) == 0)
        n->count++;
    pthread_mutex_unlock(&n->mutex);
    if (n->count)
        return n;
    error_set(err, "E0004", "cannot start threads");
    engine_notifier_stop(n);
    return NULL;
}

void engine_notifier_drain(struct engine_notifier *n, int64_t patience_ms)
{
    struct store_notice_filter filter = {.state = NOTICE_WAITS, .limit = 1000};
    int64_t until = clock_steady_ms(n->engine->clock) + patience_ms;
    while (channels_of(n->engine) && clock_steady_ms(n->engine->clock) < until) {
        struct arena arena ARENA_AUTO = {0};
        struct store_notice_row *rows;
        struct error err;
        size_t count, fresh = 0;
        if (store_notices(n->engine->store, &filter, &arena, &rows, &count, &err) != STORE_OK)
            return;
        for (size_t i = 0; i < count; i++)
            fresh += rows[i].attempts == 0 && rows[i].reference.len == 0;
        if (!fresh)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

void engine_notifier_stop(struct engine_notifier *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->mutex);
    n->stopping = true;
    pthread_cond_broadcast(&n->wake);
    pthread_mutex_unlock(&n->mutex);
    for (int i = 0; i < n->count; i++)
        pthread_join(n->threads[i], NULL);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->mutex);
    free(n);
}
