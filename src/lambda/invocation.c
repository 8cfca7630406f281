// SPDX-License-Identifier: Apache-2.0
/* What an invocation brings, and what is answered. */
#include "lambda/lambda_internal.h"

#include "base/fault.h"
#include "base/log.h"
#include "value/json.h"

static bool is_queue(struct value list)
{
    for (uint32_t i = 0; list.kind == VALUE_LIST && i < list.len; i++) {
        const struct value *body = value_get(list.items[i], STR("body"));
        if (!str_is(value_path_str(list.items[i], "eventSource"), "aws:sqs") ||
            value_path_str(list.items[i], "messageId").len == 0 || !body ||
            body->kind != VALUE_STRING)
            return false;
    }
    return list.kind == VALUE_LIST && list.len > 0;
}

static bool is_tick(struct value event)
{
    struct str source = value_path_str(event, "source");
    return str_is(value_path_str(event, "detail-type"), "Scheduled Event") &&
           (str_is(source, "aws.events") || str_is(source, "aws.scheduler"));
}

void invocation_read(struct str text, struct arena *arena, struct invocation *ret)
{
    struct value event;
    *ret = (struct invocation){.text = text};
    if (!json_parse(arena, text, &event, NULL) || event.kind != VALUE_MAP)
        return;
    const struct value *records = value_get(event, STR("Records"));
    if (records && is_queue(*records)) {
        ret->kind = INVOCATION_QUEUE;
        ret->messages = *records;
    } else if (is_tick(event)) {
        ret->kind = INVOCATION_SCHEDULE;
    }
}

/* ---- accepting ---- */

struct accepted {
    struct engine_taken taken; // of all together
    struct value_builder failures;
    size_t failed;
};

static void name_failure(struct accepted *ret, struct str id)
{
    struct value_builder item = {.arena = ret->failures.arena};
    log_line(LOG_ERROR, "message %.*s is not durable and comes again", STR_FMT(id));
    value_set(&item, "itemIdentifier", value_string(id));
    value_push(&ret->failures, value_finish_map(&item));
    ret->failed++;
}

static int receives_of(struct value message)
{
    int64_t n;
    struct str text = value_path_str(message, "attributes.ApproximateReceiveCount");
    return str_to_int64(text, &n) && n > 0 && n < INT32_MAX ? (int)n : 1;
}

/* Ten at a time, as from a queue that is polled. False: none is durable. */
static bool accept_batch(const struct lambda_host *host, struct value messages,
                         struct accepted *ret, struct error *err)
{
    for (uint32_t i = 0; i < messages.len;) {
        struct detect_message some[DETECT_MESSAGES_MAX];
        bool done[DETECT_MESSAGES_MAX];
        struct engine_taken taken;
        size_t count = 0;
        for (; i < messages.len && count < DETECT_MESSAGES_MAX; i++)
            some[count++] =
                (struct detect_message){.id = value_path_str(messages.items[i], "messageId"),
                                        .body = value_path_str(messages.items[i], "body"),
                                        .receives = receives_of(messages.items[i])};
        engine_sources_take_messages(host->sources, some, count, done, &taken);
        engine_taken_add(&ret->taken, &taken);
        for (size_t k = 0; k < count; k++)
            if (!done[k])
                name_failure(ret, some[k].id);
    }
    return ret->failed < messages.len ||
           error_set(err, "E0013", "the store cannot keep what the queue has brought");
}

static bool accept(const struct lambda_host *host, const struct invocation *invocation,
                   struct accepted *ret, struct error *err)
{
    switch (invocation->kind) {
    case INVOCATION_SCHEDULE:
        return true;
    case INVOCATION_QUEUE:
        return accept_batch(host, invocation->messages, ret, err);
    case INVOCATION_EVENTS:
        break;
    }
    return engine_sources_take_text(host->sources, invocation->text, &ret->taken, err);
}

/* ---- answering ---- */

static struct value taken_value(const struct engine_taken *taken, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "events", value_int((int64_t)taken->events));
    value_set(&out, "matches", value_int((int64_t)taken->matches));
    value_set(&out, "redelivered", value_int((int64_t)taken->duplicates));
    value_set(&out, "setAside", value_int((int64_t)taken->bad));
    if (taken->bad)
        value_set(&out, "setAsideWhy", value_cstr(taken->why.message));
    return value_finish_map(&out);
}

/* What is due goes before what a tick's scans find. */
static bool work(const struct lambda_host *host, bool tick, struct engine_worked *ret,
                 size_t *ret_tasks, struct error *err)
{
    struct engine_worked found;
    *ret_tasks = 0;
    if (!engine_work(host->engine, ret, err))
        return false;
    if (!tick)
        return true;
    if (!engine_work_tasks(host->engine, host->house, ret_tasks, err))
        return false;
    if (*ret_tasks == 0)
        return true;
    if (!engine_work(host->engine, &found, err))
        return false;
    found.steps += ret->steps;
    *ret = found;
    return true;
}

bool invocation_run(const struct lambda_host *host, const struct invocation *invocation,
                    struct arena *arena, struct str *ret, struct error *err)
{
    struct accepted accepted = {.failures.arena = arena};
    struct engine_worked worked;
    size_t tasks;
    struct value_builder answer = {.arena = arena};
    struct buf text = {.arena = arena};
    if (!accept(host, invocation, &accepted, err))
        return false;
    fault_point("lambda", "accepted");
    bool tick = invocation->kind == INVOCATION_SCHEDULE;
    if (!work(host, tick, &worked, &tasks, err)) {
        if (tick)
            return false;
        log_line(LOG_ERROR, "the work rests until the next invocation: %s: %s", err->code,
                 err->message); // what was brought is durable all the same
    } else if (!engine_send(host->engine, host->notify, err)) {
        log_line(LOG_ERROR, "what people are told waits for the next invocation: %s: %s", err->code,
                 err->message);
    }
    if (invocation->kind == INVOCATION_QUEUE)
        value_set(&answer, "batchItemFailures", value_finish_list(&accepted.failures));
    if (tick)
        value_set(&answer, "scans", value_int((int64_t)tasks));
    else
        value_set(&answer, "taken", taken_value(&accepted.taken, arena));
    value_set(&answer, "steps", value_int((int64_t)worked.steps));
    json_write(&text, value_finish_map(&answer), JSON_COMPACT);
    *ret = buf_str(&text);
    return ret->ptr || error_set(err, "B0004", "out of memory");
}
