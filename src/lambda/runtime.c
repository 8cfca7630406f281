// SPDX-License-Identifier: Apache-2.0
/* The runtime API: next, response, error, init/error.
 *
 * An answer whose fate is not known (the connection was cut) is given again: the API takes one for
 * an invocation and refuses the second (403). What only a new process can mend (5xx, an API that is
 * gone) ends the loop; nothing is lost by it, as all that was accepted is in the store. */
#include "lambda/lambda_internal.h"

#include "base/fault.h"
#include "base/log.h"
#include "value/json.h"

#include <stdlib.h>
#include <time.h>

#define TRIES_MAX 3      // of one request to the runtime API
#define TRY_PAUSE_MS 100 // before the second; doubles
#define ANSWER_MS 5000   // for the API to take an answer
#define RESERVE_MS 1500  // of an invocation's time, to commit and to answer
#define TIME_UNKNOWN_MS                                                                            \
    3000                   // Lambda's default, for an invocation that does not say how long it has
#define TIME_MAX_MS 900000 // the longest that Lambda gives

struct api {
    const struct lambda_runtime *runtime;
    struct arena *arena; // of one invocation
    struct net_answer answer;
};

/* ---- speaking ---- */

static bool is_success(const struct api *api)
{
    return api->answer.outcome == NET_ANSWERED && api->answer.status / 100 == 2;
}

/* One request, again where the connection failed. False: the API cannot be reached. */
static bool ask(struct api *api, struct str method, const char *path, int64_t within_ms,
                struct str error_type, struct str body, struct error *err)
{
    const struct clock *clock = api->runtime->clock;
    struct net_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("Lambda-Runtime-Function-Error-Type"), error_type},
    };
    char *url =
        arena_printf(api->arena, "http://%s/2018-06-01/runtime/%s", api->runtime->address, path);
    for (int try = 1; url; try++) {
        struct net_request request = {.method = method,
                                      .url = str_from(url),
                                      .headers = headers,
                                      .header_count = error_type.len ? 2 : 1,
                                      .body = body,
                                      .direct = true,
                                      .deadline_ms = within_ms ? clock_steady_ms(clock) + within_ms
                                                               : INT64_MAX};
        net_request(api->runtime->net, &request, api->arena, &api->answer);
        if (api->answer.outcome == NET_ANSWERED || api->answer.outcome == NET_TOO_LARGE)
            return true;
        if (try == TRIES_MAX)
            return error_set(err, "B0001", "the runtime API at %s: %s: %s", api->runtime->address,
                             path, api->answer.reason);
        nanosleep(&(struct timespec){.tv_nsec = (long)try * TRY_PAUSE_MS * 1000000}, NULL);
    }
    return error_set(err, "B0004", "out of memory");
}

static bool refused(const struct api *api, const char *path, struct error *err)
{
    return error_set(err, "B0002", "the runtime API answered %d to %s: %.*s", api->answer.status,
                     path, STR_FMT(str_sub(api->answer.body, 0, 200)));
}

static struct str error_body(struct arena *arena, const struct error *why)
{
    struct value_builder out = {.arena = arena};
    struct buf text = {.arena = arena};
    const char *message =
        arena_printf(arena, "%s%s%s", why->message, why->hint[0] ? "; " : "", why->hint);
    value_set(&out, "errorMessage", value_cstr(message ? message : why->message));
    value_set(&out, "errorType", value_cstr(why->code));
    value_set(&out, "stackTrace", value_list(NULL, 0));
    json_write(&text, value_finish_map(&out), JSON_COMPACT);
    return buf_str(&text);
}

bool lambda_cannot_start(const struct lambda_runtime *runtime, const struct error *why)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct api api = {.runtime = runtime, .arena = &arena};
    if (ask(&api, STR("POST"), "init/error", ANSWER_MS, STR("Runtime.CannotStart"),
            error_body(&arena, why), &err) &&
        is_success(&api))
        return true;
    log_line(LOG_ERROR, "Lambda was not told that rectify cannot start: %s",
             api.answer.outcome == NET_ANSWERED ? "it refused" : err.message);
    return false;
}

/* ---- one invocation ---- */

struct taken { // what next gave
    struct str id, body;
    int64_t deadline_ms; // steady clock
};

/* Only what may stand in a path. */
static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return id.len > 0 && id.len <= 128;
}

static int64_t deadline(const struct api *api)
{
    const struct clock *clock = api->runtime->clock;
    int64_t wall_ms, left_ms = TIME_UNKNOWN_MS;
    struct str said = net_answer_header(&api->answer, STR("Lambda-Runtime-Deadline-Ms"));
    if (str_to_int64(said, &wall_ms) && wall_ms > 0)
        left_ms = wall_ms - clock_wall_ms(clock);
    left_ms = left_ms < 0 ? 0 : left_ms > TIME_MAX_MS ? TIME_MAX_MS : left_ms;
    return clock_steady_ms(clock) + left_ms;
}

static bool next(struct api *api, struct taken *ret, struct error *err)
{
    static const char path[] = "invocation/next";
    if (!ask(api, STR("GET"), path, 0, (struct str){0}, (struct str){0}, err))
        return false;
    if (api->answer.outcome == NET_TOO_LARGE)
        return error_set(err, "B0003", "an invocation is too large: %s", api->answer.reason);
    if (!is_success(api))
        return refused(api, path, err);
    *ret = (struct taken){net_answer_header(&api->answer, STR("Lambda-Runtime-Aws-Request-Id")),
                          api->answer.body, deadline(api)};
    if (!is_id(ret->id))
        return error_set(err, "B0003", "an invocation has no usable request id: `%.*s`",
                         STR_FMT(str_sub(ret->id, 0, 64)));
    log_set_request(arena_printf(api->arena, "%.*s", STR_FMT(ret->id)));
    const char *trace =
        arena_printf(api->arena, "%.*s",
                     STR_FMT(net_answer_header(&api->answer, STR("Lambda-Runtime-Trace-Id"))));
    if (trace && trace[0])
        setenv("_X_AMZN_TRACE_ID", trace, 1); // no other thread runs
    else
        unsetenv("_X_AMZN_TRACE_ID");
    return true;
}

/* Gives the answer, or the error, of an invocation. False: the process has to end. */
static bool give(struct api *api, struct str id, const char *what, struct str error_type,
                 struct str body, struct error *err)
{
    const char *path = arena_printf(api->arena, "invocation/%.*s/%s", STR_FMT(id), what);
    if (!path || !body.ptr)
        return error_set(err, "B0004", "out of memory");
    if (!ask(api, STR("POST"), path, ANSWER_MS, error_type, body, err))
        return false;
    int status = api->answer.status;
    if (status / 100 == 5)
        return refused(api, path, err);
    if (!is_success(api) && status != 413) // over before it was answered, or answered already
        log_line(LOG_WARN, "the runtime API answered %d to %s", status, path);
    return true;
}

static bool run(const struct lambda_host *host, const struct taken *taken, struct arena *arena,
                struct str *ret, struct error *err)
{
    struct invocation invocation;
    host->engine->deadline_ms = taken->deadline_ms - RESERVE_MS;
    invocation_read(taken->body, arena, &invocation);
    if (!host->open(host->ctx, err))
        return false;
    bool ok = invocation_run(host, &invocation, arena, ret, err);
    host->close(host->ctx);
    return ok;
}

static bool serve_one(struct api *api, const struct lambda_host *host, struct error *err)
{
    struct taken taken = {0};
    struct error why;
    struct str answer;
    if (!next(api, &taken, err))
        return false;
    if (!run(host, &taken, api->arena, &answer, &why)) {
        log_line(LOG_ERROR, "invocation %.*s: %s: %s", STR_FMT(taken.id), why.code, why.message);
        return give(api, taken.id, "error", STR("Function.NotDurable"),
                    error_body(api->arena, &why), err);
    }
    fault_point("lambda", "answer");
    if (!give(api, taken.id, "response", (struct str){0}, answer, err))
        return false;
    if (api->answer.status != 413)
        return true;
    error_set(&why, "B0005", "the answer of %zu bytes is too large for Lambda", answer.len);
    log_line(LOG_ERROR, "invocation %.*s: %s", STR_FMT(taken.id), why.message);
    return give(api, taken.id, "error", STR("Function.AnswerTooLarge"),
                error_body(api->arena, &why), err);
}

bool lambda_serve(const struct lambda_runtime *runtime, const struct lambda_host *host,
                  struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct api api = {.runtime = runtime, .arena = &arena};
    while (serve_one(&api, host, err))
        arena_reset(&arena);
    return false;
}
