// SPDX-License-Identifier: Apache-2.0
/* Asks the store's owner, be it this process or the daemon. See desk.h. */
#include "cli/desk.h"

#include "value/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 60000 // verifying a long log takes a while
#define START_MS 2000   // a daemon that owns the store may not listen yet
#define RETRY_MS 50

bool desk_socket_path(const struct cli_options *options, char *ret, size_t size, struct error *err)
{
    char dir[3900];
    if (!cli_state_dir(options, dir, sizeof dir, err))
        return false;
    snprintf(ret, size, "%s/rectify.sock", dir);
    return true;
}

bool desk_open(struct desk *desk, const struct cli_options *options, struct error *err)
{
    *desk = (struct desk){0};
    if (!desk_socket_path(options, desk->socket, sizeof desk->socket, err))
        return false;
    desk->store = cli_open_store(options, err);
    if (desk->store) {
        desk->engine = (struct engine){.store = desk->store, .clock = clock_system()};
        desk->api.engine = &desk->engine;
        desk->api.verify = cli_verify_log;
        return true;
    }
    if (!str_is(str_from(err->code), "S0001"))
        return false;
    if (access(desk->socket, F_OK) != 0)
        return error_hint(err, "it is no daemon that could be asked; wait until it has ended");
    return desk_open_daemon(desk, options, err);
}

static bool load_rules(struct desk *desk, const struct cli_options *options, struct error *err)
{
    desk->models = cli_open_models(options, err);
    struct policy_set *policies = desk->models ? cli_load_policies(options, desk->models) : NULL;
    if (desk->models && !policies) {
        error_set(err, "L0022", "without the policies nobody can tell who may decide");
        return error_hint(err, "--policies DIR or RECTIFY_POLICIES: what `rectify run` goes by");
    }
    desk->rules = policies ? engine_rules_create(policies, err) : NULL;
    desk->engine.rules = desk->rules;
    return desk->rules != NULL;
}

bool desk_open_to_decide(struct desk *desk, const struct cli_options *options, struct error *err)
{
    return desk_open(desk, options, err) && (!desk->store || load_rules(desk, options, err));
}

bool desk_open_daemon(struct desk *desk, const struct cli_options *options, struct error *err)
{
    struct net_options net = {.clock = clock_system()};
    *desk = (struct desk){0};
    if (!desk_socket_path(options, desk->socket, sizeof desk->socket, err))
        return false;
    desk->net = net_create(&net, err);
    return desk->net != NULL;
}

void desk_close(struct desk *desk)
{
    net_destroy(desk->net);
    store_close(desk->store);
    engine_rules_destroy(desk->rules);
    aws_models_close(desk->models);
    *desk = (struct desk){0};
}

/* ---- over the socket ---- */

static void add_encoded(struct buf *out, struct str s)
{
    static const char plain[] = "-._~";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c && strchr(plain, c)))
            buf_add_byte(out, s.ptr[i]);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static struct str question_url(const struct desk_question *question, struct arena *arena)
{
    struct buf out = {.arena = arena};
    char before = '?';
    buf_printf(&out, "http://rectify%s", question->path);
    for (size_t i = 0; i < question->param_count; i++) {
        if (question->params[i].value.len == 0)
            continue;
        buf_add_byte(&out, before);
        buf_add_str(&out, question->params[i].name);
        buf_add_byte(&out, '=');
        add_encoded(&out, question->params[i].value);
        before = '&';
    }
    return buf_str(&out);
}

static bool ask_daemon(struct desk *desk, const struct desk_question *question, struct arena *arena,
                       struct http_answer *ret, struct error *err)
{
    static const struct net_header type = {{"Content-Type", 12}, {"application/json", 16}};
    int64_t began = clock_steady_ms(clock_system());
    struct net_answer answer;
    struct net_request request = {.method = str_from(question->method),
                                  .url = question_url(question, arena),
                                  .headers = &type,
                                  .header_count = question->body.len ? 1 : 0,
                                  .body = question->body,
                                  .deadline_ms = began + ANSWER_MS,
                                  .unix_socket = str_from(desk->socket)};
    for (;;) {
        net_request(desk->net, &request, arena, &answer);
        if (answer.outcome != NET_NOT_SENT || clock_steady_ms(clock_system()) > began + START_MS)
            break;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
    if (answer.outcome != NET_ANSWERED) {
        error_set(err, "L0009", "the daemon does not answer on %s: %s", desk->socket,
                  answer.reason);
        return error_hint(err, "is `rectify run` with the same --state still running?");
    }
    *ret = (struct http_answer){.status = answer.status, .body = answer.body};
    return true;
}

static void ask_self(struct desk *desk, const struct desk_question *question, struct arena *arena,
                     struct http_answer *ret)
{
    struct http_request request = {.method = str_from(question->method),
                                   .path = str_from(question->path),
                                   .body = question->body,
                                   .access = HTTP_SOCKET,
                                   .uid = getuid()};
    for (size_t i = 0; i < question->param_count && request.param_count < LIMIT_HTTP_PARAMETERS;
         i++)
        request.params[request.param_count++] = question->params[i];
    http_respond(&desk->api, &request, arena, ret);
}

bool desk_ask(struct desk *desk, const struct desk_question *question, struct arena *arena,
              struct value *ret, struct error *err)
{
    struct http_answer answer;
    struct value body;
    if (desk->store)
        ask_self(desk, question, arena, &answer);
    else if (!ask_daemon(desk, question, arena, &answer, err))
        return false;
    if (!json_parse(arena, answer.body, &body, err))
        return error_context(err, "the answer with status %d", answer.status);
    if (answer.status < 300) {
        *ret = body;
        return true;
    }
    struct str code = str_copy(arena, value_path_str(body, "error.code"));
    error_set(err, code.len ? code.ptr : "L0009", "%.*s",
              STR_FMT(value_path_str(body, "error.message")));
    struct str hint = value_path_str(body, "error.hint");
    return hint.len ? error_hint(err, "%.*s", STR_FMT(hint)) : false;
}

bool desk_get(struct desk *desk, struct arena *arena, struct value *ret, struct error *err,
              const char *path, ...)
{
    char text[200];
    va_list args;
    va_start(args, path);
    vsnprintf(text, sizeof text, path, args);
    va_end(args);
    struct desk_question question = {.method = "GET", .path = text};
    return desk_ask(desk, &question, arena, ret, err);
}
