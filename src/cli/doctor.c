// SPDX-License-Identifier: Apache-2.0
/* doctor: everything that rectify depends on, one line each: ok, warn or fail, and what to do. It
 * changes nothing and calls STS only, for our own credentials and for each role of an assignment.
 */
#include "cli/cli.h"
#include "cli/desk.h"
#include "cli/doctor_internal.h"
#include "notify/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#define FREE_BYTES_MIN (256ull << 20)

enum health { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL };
static const char *const health_names[] = {"ok", "warn", "fail"};

struct doctor {
    const struct cli_options *options;
    struct arena arena;
    struct value_builder found;
    bool failed;
    struct aws_models *models;
    struct policy_set *policies;
};

/* `fix` NULL = nothing to do. */
__attribute__((format(printf, 5, 6))) static void say(struct doctor *d, enum health health,
                                                      const char *what, const char *fix,
                                                      const char *format, ...)
{
    char detail[700];
    va_list args;
    struct value_builder one = {.arena = &d->arena};
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    value_set(&one, "check", value_string(str_copy(&d->arena, str_from(what))));
    value_set(&one, "health", value_cstr(health_names[health]));
    value_set(&one, "detail", value_string(str_copy(&d->arena, str_from(detail))));
    if (fix)
        value_set(&one, "fix", value_string(str_copy(&d->arena, str_from(fix))));
    value_push(&d->found, value_finish_map(&one));
    d->failed = d->failed || health == HEALTH_FAIL;
}

static void say_error(struct doctor *d, const char *what, const char *fix, const struct error *err)
{
    say(d, HEALTH_FAIL, what, err->hint[0] ? err->hint : fix, "%s", err->message);
}

static void check_models(struct doctor *d)
{
    struct error err;
    d->models = cli_open_models(d->options, &err);
    if (!d->models) {
        say_error(d, "models", "./dev build makes them", &err);
        return;
    }
    struct str source = aws_models_source(d->models);
    say(d, HEALTH_OK, "models", NULL, "%.*s", STR_FMT(source.len ? source : STR("unknown source")));
}

static void check_policies(struct doctor *d)
{
    struct error_list errors = {.arena = &d->arena};
    const char *env = getenv("RECTIFY_POLICIES");
    struct policy_options load = {d->options->policies ? d->options->policies : env,
                                  d->options->config, d->models};
    if (!load.dir) {
        say(d, HEALTH_WARN, "policies", "--policies DIR or RECTIFY_POLICIES name the folder",
            "no folder of policies was given");
        return;
    }
    if (!d->models)
        return;
    d->policies = policy_set_load(&load, &errors);
    if (!d->policies) {
        say(d, HEALTH_FAIL, "policies", "`rectify validate` shows all of them with their places",
            "%zu errors, the first: %s", errors.count,
            errors.count ? errors.items[0]->message : "out of memory");
        return;
    }
    say(d, HEALTH_OK, "policies", NULL, "%zu in %s", policy_set_count(d->policies), load.dir);
}

static void check_state(struct doctor *d)
{
    char dir[3900];
    struct stat info;
    struct statvfs space;
    struct error err;
    if (!cli_state_path(d->options, dir, sizeof dir)) {
        say_error(d, "state", NULL, (error_set(&err, "L0001", "the path is too long"), &err));
    } else if (stat(dir, &info) != 0) {
        say(d, errno == ENOENT ? HEALTH_OK : HEALTH_FAIL, "state", NULL, "%s: %s", dir,
            errno == ENOENT ? "not there yet; the first run makes it" : strerror(errno));
    } else if (access(dir, W_OK | X_OK) != 0) {
        say(d, HEALTH_FAIL, "state", "give it to the user that runs rectify", "%s: %s", dir,
            strerror(errno));
    } else if (info.st_mode & 077) {
        say(d, HEALTH_WARN, "state", "chmod 700 it", "others may look into %s", dir);
    } else if (statvfs(dir, &space) == 0 &&
               (unsigned long long)space.f_bavail * space.f_frsize < FREE_BYTES_MIN) {
        say(d, HEALTH_WARN, "state", "make room: a full disk stops all work",
            "%s has less than 256 MiB left", dir);
    } else {
        say(d, HEALTH_OK, "state", NULL, "%s", dir);
    }
}

/* Only looked into: no table is made, nothing is repaired. */
static void check_store(struct doctor *d)
{
    char dir[3900], path[4096];
    struct stat info;
    struct error err;
    const char *where = cli_store_said(d->options);
    bool server = where && store_is_server(where);
    if (!where && cli_state_path(d->options, dir, sizeof dir)) {
        snprintf(path, sizeof path, "%s/rectify.db", dir);
        where = path;
    }
    const char *what = server ? "the PostgreSQL server" : where; // an address may hold a password
    if (!where || (!server && stat(where, &info) != 0 && errno == ENOENT)) {
        say(d, HEALTH_OK, "store", NULL, "%s: not there yet; the first run makes it",
            where ? where : "rectify.db");
        return;
    }
    struct store *store = store_open_to_look(where, clock_system(), &err);
    if (store)
        say(d, HEALTH_OK, "store", NULL, "%s can be read", what);
    else if (err.code && strcmp(err.code, "S0001") == 0)
        say(d, HEALTH_OK, "store", NULL, "%s", err.message);
    else
        say_error(d, "store", "`rectify audit verify` says more", &err);
    store_close(store);
}

/* As a Lambda function: what is kept has to outlive the environment, for as many as run at once. */
static void check_lambda(struct doctor *d)
{
    const char *function = getenv("AWS_LAMBDA_FUNCTION_NAME");
    const char *store = cli_store_said(d->options);
    if (!function || !function[0])
        return;
    if (!store)
        say(d, HEALTH_FAIL, "lambda",
            "RECTIFY_STORE: postgres://..., or a file on a mounted file system (EFS)",
            "nothing says where %s keeps its state: it does not start", function);
    else if (store_is_server(store))
        say(d, HEALTH_OK, "lambda", NULL, "%s keeps its state on a PostgreSQL server", function);
    else if (cli_store_is_lost(store))
        say(d, HEALTH_FAIL, "lambda",
            "RECTIFY_STORE: postgres://..., or a file on a mounted file system (EFS)",
            "%s keeps its state in %s, which is lost together with each environment", function,
            store);
    else
        say(d, HEALTH_WARN, "lambda",
            "reserved concurrency 1, which is not looked at here; or PostgreSQL",
            "%s keeps its state in a file: one invocation at a time", function);
}

static void say_source(struct doctor *d, struct value source)
{
    const struct value *events = value_get(source, STR("events"));
    const struct value *expect = value_get(source, STR("expect_ms"));
    struct str state = value_path_str(source, "state"), reason = value_path_str(source, "reason");
    struct str last = value_path_str(source, "last_event");
    struct str held = value_path_str(source, "held_back");
    char what[100];
    snprintf(what, sizeof what, "source %.*s", STR_FMT(value_path_str(source, "name")));
    if (str_is(state, "failing"))
        say(d, HEALTH_FAIL, what, "`rectify explain T0010`", "%.*s", STR_FMT(reason));
    else if (str_is(state, "silent"))
        say(d, HEALTH_WARN, what,
            "look at what feeds it: the EventBridge rule, the trail, the queue's policy",
            "silent for longer than the %lld s that are expected; last event: %.*s",
            (long long)(expect ? expect->i / 1000 : 0), STR_FMT(last.len ? last : STR("never")));
    else if (held.len)
        say(d, HEALTH_WARN, what, NULL, "waits: %.*s", STR_FMT(held));
    else
        say(d, HEALTH_OK, what, NULL, "%lld events; last event: %.*s",
            (long long)(events ? events->i : 0), STR_FMT(last.len ? last : STR("never")));
}

/* What the daemon hears. */
static void ask_for_sources(struct doctor *d)
{
    struct desk desk;
    struct error err;
    struct value answer;
    if (!desk_open_daemon(&desk, d->options, &err))
        return;
    bool ok = desk_get(&desk, &d->arena, &answer, &err, "/sources");
    const struct value *list = ok ? value_get(answer, STR("sources")) : NULL;
    for (uint32_t i = 0; list && i < list->len; i++)
        if (!str_is(value_path_str(list->items[i], "type"), "file"))
            say_source(d, list->items[i]);
    if (!ok)
        say_error(d, "sources", NULL, &err);
    desk_close(&desk);
}

static void check_daemon(struct doctor *d)
{
    char dir[3900];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!cli_state_path(d->options, dir, sizeof dir))
        return;
    int len = snprintf(address.sun_path, sizeof address.sun_path, "%s/rectify.sock", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool runs = fd >= 0 && len > 0 && (size_t)len < sizeof address.sun_path &&
                connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    say(d, HEALTH_OK, "daemon", NULL, "%s", runs ? "runs" : "does not run here");
    if (runs)
        ask_for_sources(d);
}

static void check_kill_switch(struct doctor *d)
{
    char path[4096];
    struct stat info;
    cli_kill_switch(d->options, d->policies, path, sizeof path);
    if (stat(path, &info) == 0)
        say(d, HEALTH_WARN, "kill switch", "remove the file when work may go on",
            "%s exists: nothing is changed", path);
    else if (errno == ENOENT)
        say(d, HEALTH_OK, "kill switch", NULL, "%s is not there", path);
    else
        say(d, HEALTH_FAIL, "kill switch", "make its folder readable",
            "%s cannot be looked for, so nothing is changed: %s", path, strerror(errno));
}

/* A key of KMS is opened when work starts, not here. */
static bool leave_wrapped(void *ctx, struct str arn, struct str wrapped,
                          unsigned char ret[SEAL_KEY_SIZE], struct error *err)
{
    (void)arn, (void)wrapped, (void)err;
    *(bool *)ctx = true;
    memset(ret, 0, SEAL_KEY_SIZE);
    return true;
}

static void check_state_key(struct doctor *d)
{
    struct str path = cli_state_key(d->policies);
    struct seal_keys keys = {0};
    struct error err;
    bool wrapped = false;
    const char *name = arena_printf(&d->arena, "%.*s", STR_FMT(path));
    if (!path.len)
        say(d, HEALTH_WARN, "state key", "`rectify key FILE`, and state_key: FILE in rectify.yaml",
            "none: what is kept of resources for undoing is kept in clear");
    else if (!name || !seal_keys_load(name, leave_wrapped, &wrapped, &keys, &err))
        say_error(d, "state key", "`rectify key FILE` makes one", &err);
    else
        say(d, HEALTH_OK, "state key", NULL, "%zu in %s%s", keys.count, name,
            wrapped ? ", held by KMS" : "");
    seal_keys_wipe(&keys);
}

static void say_identity(struct doctor *d, const struct aws_answer *answer)
{
    struct str account = value_path_str(answer->output, "Account");
    if (answer->outcome == AWS_OK)
        say(d, HEALTH_OK, "credentials", NULL, "%.*s in account %.*s",
            STR_FMT(value_path_str(answer->output, "Arn")), STR_FMT(account));
    else
        say(d, HEALTH_FAIL, "credentials",
            answer->clock_skewed ? "set the clock (chrony, systemd-timesyncd)"
                                 : "they come from where every AWS tool looks: AWS_PROFILE, "
                                   "AWS_ACCESS_KEY_ID, the instance's or the container's role",
            "%.*s: %.*s", STR_FMT(answer->code), STR_FMT(answer->message));
    struct policy_assignment assigned;
    size_t acting = 0;
    for (size_t i = 0; d->policies && account.len && i < policy_set_count(d->policies); i++) {
        assigned =
            policy_set_assign(d->policies, policy_set_at(d->policies, i), account, &d->arena);
        acting += assigned.mode > MODE_OBSERVE;
    }
    if (d->policies && account.len && acting == 0)
        say(d, HEALTH_WARN, "assignments", "rectify.yaml beside the policies says where they act",
            "no policy may act in account %.*s: all only observe", STR_FMT(account));
    else if (d->policies && account.len)
        say(d, HEALTH_OK, "assignments", NULL, "%zu policies may act in account %.*s", acting,
            STR_FMT(account));
}

static void ask_who_we_are(struct doctor *d, struct aws_client *client)
{
    struct error err;
    struct aws_answer answer;
    struct value_builder nothing = {.arena = &d->arena};
    struct str region = aws_client_region(client);
    if (region.len)
        say(d, HEALTH_OK, "region", NULL, "%.*s", STR_FMT(region));
    else
        say(d, HEALTH_WARN, "region", "set AWS_REGION or the profile's region",
            "none is configured; events say theirs");
    const struct aws_operation *op =
        aws_operation_find(d->models, STR("sts:GetCallerIdentity"), &err);
    if (!op) {
        say_error(d, "credentials", NULL, &err);
        return;
    }
    struct aws_call call = {.operation = op,
                            .input = value_finish_map(&nothing),
                            .region = region.len ? region : STR("us-east-1")};
    aws_call(client, &call, &d->arena, &answer);
    say_identity(d, &answer);
}

/* Can the queue be asked, and how much waits in it? */
static void check_queue(struct doctor *d, struct aws_client *client,
                        const struct policy_source *source)
{
    struct error err;
    struct aws_answer answer;
    struct value_builder input = {.arena = &d->arena}, names = {.arena = &d->arena};
    const struct aws_operation *op =
        aws_operation_find(d->models, STR("sqs:GetQueueAttributes"), &err);
    char what[100];
    snprintf(what, sizeof what, "queue %.*s", STR_FMT(source->name));
    if (!op) {
        say_error(d, what, NULL, &err);
        return;
    }
    value_push(&names, value_cstr("ApproximateNumberOfMessages"));
    value_set(&input, "QueueUrl", value_string(source->queue));
    value_set(&input, "AttributeNames", value_finish_list(&names));
    struct aws_call call = {.operation = op,
                            .input = value_finish_map(&input),
                            .region = source->region,
                            .access = {.role = source->role}};
    aws_call(client, &call, &d->arena, &answer);
    struct str waiting = value_path_str(answer.output, "Attributes.ApproximateNumberOfMessages");
    if (answer.outcome == AWS_OK)
        say(d, HEALTH_OK, what, NULL, "%.*s messages wait", STR_FMT(waiting));
    else if (str_starts(answer.code, STR("AccessDenied")))
        say(d, HEALTH_WARN, what, "allow sqs:GetQueueAttributes, if this is to be known", "%.*s",
            STR_FMT(answer.message));
    else
        say(d, HEALTH_FAIL, what, "is the queue's URL right, and its region?", "%.*s: %.*s",
            STR_FMT(answer.code), STR_FMT(answer.message));
}

static void say_account(void *ctx, bool ok, const char *what, const char *fix, const char *detail)
{
    say(ctx, ok ? HEALTH_OK : HEALTH_FAIL, what, ok ? NULL : fix, "%s", detail);
}

static void check_accounts(struct doctor *d, struct aws_client *client)
{
    struct str region = aws_client_region(client);
    struct doctor_look look = {.arena = &d->arena,
                               .policies = d->policies,
                               .models = d->models,
                               .client = client,
                               .region = region.len ? region : STR("us-east-1"),
                               .say = say_account,
                               .ctx = d};
    if (d->policies)
        doctor_look_at_accounts(&look);
}

static void check_cloud(struct doctor *d)
{
    struct error err;
    struct net_options options = {.clock = clock_system()};
    if (!d->models)
        return;
    struct net *net = net_create(&options, &err);
    struct aws_client_options client_options = {
        .models = d->models, .net = net, .clock = clock_system()};
    struct aws_client *client = net ? aws_client_create(&client_options, &err) : NULL;
    size_t count = 0;
    const struct policy_source *sources =
        d->policies ? policy_set_sources(d->policies, &count) : NULL;
    if (client) {
        ask_who_we_are(d, client);
        check_accounts(d, client);
    }
    for (size_t i = 0; client && i < count; i++)
        if (sources[i].type == SOURCE_SQS)
            check_queue(d, client, &sources[i]);
    if (!client) {
        say_error(d, "cloud", "see the AWS configuration files", &err);
    }
    aws_client_destroy(client);
    net_destroy(net);
}

static void check_token(struct doctor *d)
{
    const char *env = getenv("RECTIFY_TOKEN");
    if (d->options->token_file && access(d->options->token_file, R_OK) != 0)
        say(d, HEALTH_FAIL, "token", "name a file that can be read", "%s: %s",
            d->options->token_file, strerror(errno));
    else if (d->options->token_file || (env && env[0]))
        say(d, HEALTH_OK, "token", NULL, "events are taken over HTTP");
    else
        say(d, HEALTH_WARN, "token", "--token-file FILE or RECTIFY_TOKEN",
            "none: the daemon takes events over its Unix socket only");
}

/* A line a channel: is its secret there, does the service know us? */
static void check_channels(struct doctor *d)
{
    struct error err;
    size_t count = 0;
    const struct channel *all = d->policies ? policy_set_channels(d->policies, &count) : NULL;
    struct net_options options = {.clock = clock_system()};
    struct net *net = count ? net_create(&options, &err) : NULL;
    struct notify notify = {.net = net, .clock = clock_system()};
    for (size_t i = 0; net && i < count; i++) {
        struct arena secrets = {0};
        if (notify_check(&notify, &all[i], &secrets, &err))
            say(d, HEALTH_OK, "channel", NULL, "%.*s (%s)%s", STR_FMT(all[i].name),
                channel_kind_name(all[i].kind),
                all[i].may_decide ? ", people may answer on it" : "");
        else
            say(d, HEALTH_FAIL, "channel", "operate.md has what a channel needs", "%.*s: %s",
                STR_FMT(all[i].name), err.message);
        arena_wipe(&secrets);
    }
    net_destroy(net);
}

static void print(struct doctor *d)
{
    struct value found = value_finish_list(&d->found);
    struct buf out = {.arena = &d->arena};
    if (d->options->json) {
        cli_print_json(&d->arena, found);
        return;
    }
    for (uint32_t i = 0; i < found.len; i++) {
        struct str fix = value_path_str(found.items[i], "fix");
        buf_printf(&out, "%-5.*s %-12.*s ", STR_FMT(value_path_str(found.items[i], "health")),
                   STR_FMT(value_path_str(found.items[i], "check")));
        buf_add_visible(&out, value_path_str(found.items[i], "detail"));
        if (fix.len)
            buf_printf(&out, "\n%19s%.*s", "-> ", STR_FMT(fix));
        buf_add_byte(&out, '\n');
    }
    cli_print(&out);
}

int cli_doctor(const struct cli_options *options)
{
    struct doctor d = {.options = options};
    d.found.arena = &d.arena;
    check_models(&d);
    check_policies(&d);
    check_state(&d);
    check_store(&d);
    check_lambda(&d);
    check_daemon(&d);
    check_kill_switch(&d);
    check_state_key(&d);
    check_token(&d);
    check_channels(&d);
    check_cloud(&d);
    print(&d);
    int code = d.failed ? CLI_FAILED : CLI_OK;
    policy_set_destroy(d.policies);
    aws_models_close(d.models);
    arena_finish(&d.arena);
    return code;
}
