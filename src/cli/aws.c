// SPDX-License-Identifier: Apache-2.0
/* rectify aws: any operation of any AWS service, by hand. No store is needed; what writes asks the
 * kill switch directly before it leaves. */
#include "cli/aws_internal.h"

#include "aws/jmespath.h"
#include "aws/waiter.h"
#include "cli/output.h"
#include "value/json.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PRESIGN_SECONDS 3600
#define TIMEOUT_S 60 // of one call with its retries

/* Everything one command works with. */
struct session {
    const struct cli_options *options;
    struct arena arena;
    struct aws_models *models;
    struct net *net;
    struct aws_client *client;
    enum output_format format;
    char kill_switch[4096];
    struct aws_call call;
};

static void session_close(struct session *s)
{
    aws_client_destroy(s->client);
    net_destroy(s->net);
    aws_models_close(s->models);
    arena_finish(&s->arena);
}

/* ---- the kill switch ---- */

static bool kill_switch_is_off(void *ctx, char *reason, size_t size)
{
    const struct session *s = ctx;
    if (access(s->kill_switch, F_OK) != 0)
        return true;
    snprintf(reason, size, "the kill switch is set (%.200s)", s->kill_switch);
    return false;
}

static void guard(struct session *s)
{
    const struct aws_operation *op = s->call.operation;
    if (policy_read_allowed(aws_operation_service(op), aws_operation_name(op)))
        return;
    cli_kill_switch(s->options, NULL, s->kill_switch, sizeof(s->kill_switch));
    s->call.gate = kill_switch_is_off;
    s->call.gate_ctx = s;
}

/* ---- calling ---- */

static void pause_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0)
        ;
}

/* One call, tried again as the SDKs would. Also what pages are read with. */
static void call_again(void *ctx, const struct aws_call *call, struct arena *arena,
                       struct aws_answer *ret)
{
    struct session *s = ctx;
    struct aws_call one = *call;
    int64_t pause;
    int64_t timeout_s = s->options->timeout ? s->options->timeout : TIMEOUT_S;
    one.deadline_ms = clock_steady_ms(clock_system()) + timeout_s * 1000;
    for (;;) {
        aws_call(s->client, &one, arena, ret);
        if (!aws_retry_next(s->client, &one, ret, &pause) ||
            clock_steady_ms(clock_system()) + pause >= one.deadline_ms)
            return;
        pause_ms(pause);
    }
}

static const char *outcome_text(enum aws_outcome outcome)
{
    static const char *const texts[] = {
        [AWS_OK] = "done",
        [AWS_REFUSED] = "refused",
        [AWS_THROTTLED] = "throttled",
        [AWS_FAILED] = "failed, perhaps done",
        [AWS_UNKNOWN] = "no answer, perhaps done",
        [AWS_NOT_SENT] = "not sent",
    };
    return texts[outcome];
}

static int report_failure(const struct session *s, const struct aws_answer *answer)
{
    const struct aws_operation *op = s->call.operation;
    fprintf(stderr, "rectify: %.*s:%.*s %s: %.*s", STR_FMT(aws_operation_service(op)),
            STR_FMT(aws_operation_name(op)), outcome_text(answer->outcome), STR_FMT(answer->code));
    if (answer->message.len)
        fprintf(stderr, ": %.*s", STR_FMT(answer->message));
    if (answer->http_status)
        fprintf(stderr, " (HTTP %d", answer->http_status);
    if (answer->http_status && answer->request_id.len)
        fprintf(stderr, ", request %.*s", STR_FMT(answer->request_id));
    fputs(answer->http_status ? ")\n" : "\n", stderr);
    return CLI_FAILED;
}

static int print_output(struct session *s, struct value output)
{
    struct error err;
    struct buf out = {.arena = &s->arena};
    if (output.kind == VALUE_NULL)
        output = (struct value){.kind = VALUE_MAP};
    if (s->options->query &&
        !aws_jmespath_search(str_from(s->options->query), output, &s->arena, &output, &err)) {
        error_context(&err, "--query");
        return cli_fail(&err);
    }
    output_write(&out, output, s->format);
    cli_print(&out);
    return CLI_OK;
}

static int call_once(struct session *s)
{
    struct aws_answer answer;
    struct aws_caller caller = {call_again, s};
    if (s->options->all_pages)
        aws_call_pages(caller, &s->call, &s->arena, &answer);
    else
        call_again(s, &s->call, &s->arena, &answer);
    return answer.outcome == AWS_OK ? print_output(s, answer.output) : report_failure(s, &answer);
}

static int wait_for(struct session *s)
{
    struct error err;
    struct aws_waiter waiter;
    struct aws_answer answer = {0};
    if (!aws_waiter_find(s->call.operation, str_from(s->options->wait), &waiter, &err))
        return cli_fail(&err);
    for (int64_t i = 0; i < waiter.attempts_max; i++) {
        if (i)
            pause_ms(waiter.delay_s * 1000);
        call_again(s, &s->call, &s->arena, &answer);
        bool answered = answer.outcome == AWS_OK || answer.outcome == AWS_REFUSED;
        if (!answered && answer.outcome != AWS_THROTTLED && !answer.http_status)
            return report_failure(s, &answer);
        struct aws_waited waited = {answer.output, answer.code, answer.http_status};
        if (answer.outcome == AWS_OK)
            waited.error = (struct str){0};
        enum aws_wait verdict = aws_waiter_judge(&waiter, &waited, &s->arena);
        if (verdict == AWS_WAIT_REACHED)
            return answer.outcome == AWS_OK ? print_output(s, answer.output) : CLI_OK;
        if (verdict != AWS_WAIT_AGAIN) {
            fprintf(stderr, "rectify: %s will not be reached\n", s->options->wait);
            return answer.outcome == AWS_OK ? CLI_FAILED : report_failure(s, &answer);
        }
    }
    fprintf(stderr, "rectify: %s was not reached after %lld attempts\n", s->options->wait,
            (long long)waiter.attempts_max);
    return CLI_WAITING;
}

/* ---- showing ---- */

static int dry_run(struct session *s)
{
    struct error err;
    struct aws_draft draft;
    struct buf out = {.arena = &s->arena};
    if (!aws_call_draft(s->client, &s->call, &s->arena, &draft, &err))
        return cli_fail(&err);
    buf_printf(&out, "%.*s %.*s\n", STR_FMT(draft.method), STR_FMT(draft.url));
    for (size_t i = 0; i < draft.header_count; i++)
        buf_printf(&out, "%.*s: %.*s\n", STR_FMT(draft.headers[i].name),
                   STR_FMT(draft.headers[i].value));
    buf_add_byte(&out, '\n');
    buf_add_str(&out, draft.body);
    if (draft.body.len)
        buf_add_byte(&out, '\n');
    cli_print(&out);
    return CLI_OK;
}

static int presign(struct session *s)
{
    struct error err;
    struct str url;
    if (!aws_call_presign(s->client, &s->call, PRESIGN_SECONDS, &s->arena, &url, &err))
        return cli_fail(&err);
    printf("%.*s\n", STR_FMT(url));
    return CLI_OK;
}

/* ---- the command ---- */

static bool open_client(struct session *s, struct error *err)
{
    struct net_options net = {.clock = clock_system()};
    s->net = net_create(&net, err);
    if (!s->net)
        return false;
    struct aws_client_options client = {
        .models = s->models, .net = s->net, .clock = clock_system(), .in_flight_max = 1};
    s->client = aws_client_create(&client, err);
    return s->client != NULL;
}

static int check_input(struct session *s, struct error *err)
{
    struct error_list errors = {.arena = &s->arena};
    const struct cli_options *o = s->options;
    if (!aws_read_input(s->call.operation, o->args + 1, (size_t)o->arg_count - 1, &s->arena,
                        &s->call.input, err))
        return cli_fail(err);
    struct str token = aws_operation_token(s->call.operation);
    if (token.len && !value_get(s->call.input, token))
        s->call.input = aws_with_token(&s->arena, s->call.input, token);
    return aws_input_check(s->call.operation, s->call.input, &errors) ? 0 : cli_fail_list(&errors);
}

static int run(struct session *s)
{
    const struct cli_options *o = s->options;
    struct error err;
    if (!output_format_parse(o->output, &s->format))
        return cli_usage("-o wants json, yaml or table");
    if (o->arg_count == 0)
        return cli_usage("say which operation: rectify aws s3:GetBucketTagging Bucket=NAME");
    s->models = cli_open_models(o, &err);
    s->call.operation =
        s->models ? aws_operation_find(s->models, str_from(o->args[0]), &err) : NULL;
    if (!s->call.operation)
        return cli_fail(&err);
    int code = check_input(s, &err);
    if (code)
        return code;
    if (!open_client(s, &err))
        return cli_fail(&err);
    s->call.region = str_from(o->region);
    s->call.access.role = str_from(o->role);
    s->call.account = str_from(o->account);
    guard(s);
    return o->dry_run ? dry_run(s) : o->presign ? presign(s) : o->wait ? wait_for(s) : call_once(s);
}

int cli_aws(const struct cli_options *options)
{
    if (options->list)
        return cli_aws_list(options);
    if (options->describe)
        return cli_aws_describe(options);
    struct session s = {.options = options};
    int code = run(&s);
    session_close(&s);
    return code;
}
