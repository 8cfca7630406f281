// SPDX-License-Identifier: Apache-2.0
/* The table of routes, who may reach which, and how an answer becomes JSON. The routes themselves
 * are in look.c and change.c. Any thread; no state. */
#include "http/http.h"

#include "base/ensure.h"
#include "http/routes_internal.h"
#include "value/json.h"

#include <stdarg.h>
#include <stdio.h>

const struct http_route http_routes[] = {
    {"GET", "/routes", HTTP_OPEN, "this table", http_get_routes},
    {"GET", "/livez", HTTP_OPEN, "200 while the process serves", http_get_livez},
    {"GET", "/readyz", HTTP_OPEN, "200 while the store can be read, else 503", http_get_readyz},
    {"POST", "/events", HTTP_TOKEN,
     "events in any form that `rectify run --events` takes; 202 once they are durable",
     http_post_events},
    {"GET", "/sources", HTTP_TOKEN, "where events come from, and when each was heard last",
     http_get_sources},
    {"GET", "/remediations", HTTP_TOKEN,
     "newest first; policy, resource (a glob), account, state, active, before, limit",
     http_get_remediations},
    {"GET", "/remediations/ID", HTTP_TOKEN, "one of them, with all that it has gathered",
     http_get_remediation},
    {"GET", "/remediations/ID/records", HTTP_TOKEN, "its audit records; from, limit",
     http_get_remediation_records},
    {"POST", "/remediations/ID/approve", HTTP_SOCKET, "say yes: {by, reason}", http_post_approve},
    {"POST", "/remediations/ID/deny", HTTP_SOCKET, "say no: {by, reason}", http_post_deny},
    {"POST", "/remediations/ID/rollback", HTTP_SOCKET, "take back what it changed: {by}",
     http_post_rollback},
    {"GET", "/policies", HTTP_TOKEN, "the state of each policy that was paused or has a rollout",
     http_get_policies},
    {"POST", "/policies/NAME/pause", HTTP_SOCKET, "nothing of it is repaired: {by, reason}",
     http_post_policy_pause},
    {"POST", "/policies/NAME/resume", HTTP_SOCKET,
     "its step begins again, share and growth are waived for a day: {by, reason}",
     http_post_policy_resume},
    {"POST", "/policies/NAME/promote", HTTP_SOCKET, "to the next step: {by, reason}",
     http_post_policy_promote},
    {"GET", "/approvals", HTTP_TOKEN, "what waits for a person, with who has said what",
     http_get_approvals},
    {"POST", "/channels/NAME", HTTP_OPEN,
     "what a channel of rectify.yaml sends: signed clicks and webhooks", http_post_channel},
    {"GET", "/notices", HTTP_TOKEN, "what people are told, newest first; state, of, before, limit",
     http_get_notices},
    {"POST", "/remediations/ID/clear", HTTP_SOCKET,
     "its resource rests no longer, nor is frozen: {by, reason}", http_post_clear},
    {"GET", "/freezes", HTTP_TOKEN, "what people have frozen", http_get_freezes},
    {"POST", "/freeze", HTTP_SOCKET,
     "change nothing in an account, or anywhere: {account, by, reason}", http_post_freeze},
    {"POST", "/unfreeze", HTTP_SOCKET, "end it: {account, by, reason}", http_post_unfreeze},
    {"POST", "/plan", HTTP_SOCKET,
     "what would be done now: {policy, policy_hash, resource, region}, or to take back a repair "
     "{takes_back: its number}; nothing is",
     http_post_plan},
    {"POST", "/apply", HTTP_SOCKET,
     "do what a plan said, if all is as it was: {planned, expires_ms, by}", http_post_apply},
    {"GET", "/audit/records", HTTP_TOKEN, "the whole log; from, limit", http_get_audit_records},
    {"GET", "/audit/verify", HTTP_TOKEN, "recompute the log and hold it against its tree head",
     http_get_audit_verify},
    {NULL, NULL, HTTP_SOCKET, NULL, NULL},
};

struct str http_param(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (str_is(request->params[i].name, name))
            return request->params[i].value;
    return (struct str){0};
}

bool http_refuse(int *ret_status, int status, struct error *err, const char *code,
                 const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    *ret_status = status;
    return error_set(err, code, "%s", message);
}

bool http_store_failed(enum store_result got, int64_t id, int *ret_status, struct error *err)
{
    ENSURE(got != STORE_OK);
    if (got == STORE_ABSENT)
        return http_refuse(ret_status, 404, err, "H0020", "there is no remediation r%lld",
                           (long long)id);
    *ret_status = 503; // err says why; asking again may help
    return false;
}

/* Does the path fit? *ret_id is what stands for ID; 0 = the route has none. */
static bool path_fits(const char *pattern, struct str path, int64_t *ret_id)
{
    struct str want = str_from(pattern);
    *ret_id = 0;
    while (want.len && path.len) {
        struct str one = str_cut(&want, '/'), given = str_cut(&path, '/');
        if (str_is(one, "ID")) {
            if (!remediation_id_parse(given, ret_id))
                return false;
        } else if (str_is(one, "NAME")) { // http_path_name() has it
            if (!given.len)
                return false;
        } else if (!str_eq(one, given)) {
            return false;
        }
    }
    return want.len == 0 && path.len == 0;
}

struct str http_path_name(const struct http_request *request)
{
    struct str path = request->path;
    str_cut(&path, '/');
    str_cut(&path, '/');
    return str_cut(&path, '/');
}

static void answer_with(struct arena *arena, int status, struct value v, struct http_answer *ret)
{
    struct buf out = {.arena = arena};
    json_write(&out, v, JSON_COMPACT);
    buf_add_byte(&out, '\n');
    *ret = (struct http_answer){.status = status, .body = buf_str(&out)};
    if (out.failed)
        *ret = (struct http_answer){
            503, STR("{\"error\":{\"code\":\"H0021\",\"message\":\"out of memory\"}}\n"), NULL};
}

static void answer_error(struct arena *arena, int status, const struct error *err,
                         struct http_answer *ret)
{
    struct value_builder inner = {.arena = arena}, outer = {.arena = arena};
    value_set(&inner, "code", value_cstr(err->code));
    value_set(&inner, "message", value_cstr(err->message));
    if (err->line) {
        value_set(&inner, "line", value_int(err->line));
        value_set(&inner, "column", value_int(err->column));
    }
    if (err->hint[0])
        value_set(&inner, "hint", value_cstr(err->hint));
    value_set(&outer, "error", value_finish_map(&inner));
    answer_with(arena, status, value_finish_map(&outer), ret);
}

/* The route, or NULL with the answer. */
static const struct http_route *find_route(const struct http_request *request, struct arena *arena,
                                           int64_t *ret_id, struct http_answer *ret)
{
    struct error err;
    struct buf allow = {.arena = arena};
    struct str method = str_is(request->method, "HEAD") ? STR("GET") : request->method;
    for (const struct http_route *r = http_routes; r->method; r++) {
        if (!path_fits(r->path, request->path, ret_id))
            continue;
        if (str_is(method, r->method))
            return r;
        buf_printf(&allow, "%s%s", allow.len ? ", " : "", r->method);
    }
    if (allow.len == 0) {
        error_set(&err, "H0001", "there is nothing at %.*s",
                  STR_FMT(str_sub(request->path, 0, 200)));
        error_hint(&err, "GET /routes lists what there is");
        answer_error(arena, 404, &err, ret);
        return NULL;
    }
    struct str methods = buf_str(&allow);
    error_set(&err, "H0002", "%.*s takes %.*s only", STR_FMT(str_sub(request->path, 0, 200)),
              STR_FMT(methods));
    answer_error(arena, 405, &err, ret);
    ret->allow = methods.ptr;
    return NULL;
}

static bool check_access(const struct http_route *route, const struct http_request *request,
                         struct arena *arena, struct http_answer *ret)
{
    struct error err;
    if (request->access >= route->access)
        return true;
    if (route->access == HTTP_SOCKET) {
        error_set(&err, "H0003", "a person decides over the Unix socket only");
        error_hint(&err,
                   "use the command line on the daemon's machine: rectify approve, deny, rollback");
        answer_error(arena, 403, &err, ret);
    } else {
        error_set(&err, "H0004", "this wants the daemon's bearer token");
        error_hint(&err, "Authorization: Bearer TOKEN, as set by --token-file or RECTIFY_TOKEN");
        answer_error(arena, 401, &err, ret);
    }
    return false;
}

bool http_allowed(const struct http_request *request, struct arena *arena, struct http_answer *ret)
{
    int64_t id;
    const struct http_route *route = find_route(request, arena, &id, ret);
    return route && check_access(route, request, arena, ret);
}

void http_respond(const struct http_api *api, const struct http_request *request,
                  struct arena *arena, struct http_answer *ret)
{
    struct error err = {0};
    struct value v = value_null();
    int status = 200;
    int64_t id;
    const struct http_route *route = find_route(request, arena, &id, ret);
    if (!route || !check_access(route, request, arena, ret))
        return;
    if (route->run(api, request, id, arena, &status, &v, &err)) {
        answer_with(arena, status, v, ret);
        return;
    }
    ENSURE(status >= 400);
    if (!err.code)
        error_set(&err, "H0005", "the store gave no answer that fits");
    answer_error(arena, status, &err, ret);
}

ROUTE(http_get_routes)
{
    static const char *const access_names[] = {"open", "token", "socket"};
    struct value_builder list = {.arena = arena}, out = {.arena = arena};
    (void)api, (void)request, (void)id, (void)ret_status, (void)err;
    for (const struct http_route *r = http_routes; r->method; r++) {
        struct value_builder one = {.arena = arena};
        value_set(&one, "method", value_cstr(r->method));
        value_set(&one, "path", value_cstr(r->path));
        value_set(&one, "access", value_cstr(access_names[r->access]));
        value_set(&one, "help", value_cstr(r->help));
        value_push(&list, value_finish_map(&one));
    }
    value_set(&out, "routes", value_finish_list(&list));
    *ret = value_finish_map(&out);
    return true;
}
