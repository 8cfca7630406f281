// SPDX-License-Identifier: Apache-2.0
/* run without --events: the daemon. The server listens before anything is worked on, so that a port
 * in use changes nothing; at the end what brings events stops first, then the steps that run are
 * finished. Signals
 * are blocked in all threads and waited for here. */
#include "cli/desk.h"
#include "cli/running_internal.h"
#include "cli/supervisor_internal.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_DEFAULT "127.0.0.1:8787"
#define TOKEN_FILE_BYTES 1024

static bool read_token_file(const char *path, char *ret, size_t size, struct error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, ret, size - 1) : -1;
    if (len < 0)
        error_set(err, "L0011", "cannot read the token file %s: %s", path, strerror(errno));
    else if (fstat(fd, &info) == 0 && (info.st_mode & S_IROTH))
        log_line(LOG_WARN, "everybody on this machine may read the token in %s", path);
    if (fd >= 0)
        close(fd);
    ret[len > 0 ? len : 0] = '\0';
    return len >= 0;
}

/* --token-file, else RECTIFY_TOKEN, which is then taken out of the environment; else none. */
static bool read_token(const struct cli_options *options, char *buf, size_t size, struct str *ret,
                       struct error *err)
{
    const char *env = getenv("RECTIFY_TOKEN");
    buf[0] = '\0';
    if (options->token_file) {
        if (!read_token_file(options->token_file, buf, size, err))
            return false;
    } else if (env) {
        size_t len = strnlen(env, size - 1);
        memcpy(buf, env, len);
        buf[len] = '\0';
    }
    unsetenv("RECTIFY_TOKEN");
    *ret = str_trim(str_from(buf));
    if (ret->len == 0 && !options->token_file && !env)
        return true;
    if (http_token_check(*ret, err))
        return true;
    return error_context(err, "%s", options->token_file ? options->token_file : "RECTIFY_TOKEN");
}

static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ret, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Waits for the end; meanwhile reloads when asked to, and the service manager hears that the
 * store's writer still answers. A store that fails is said so elsewhere and is no reason to be
 * started again; one that hangs is. */
static void wait_for_end(struct running *r, struct engine_schedule *schedule,
                         const sigset_t *signals)
{
    struct error err;
    int64_t ms = supervisor_watchdog_ms();
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    int number;
    while ((number = ms ? sigtimedwait(signals, NULL, &pause) : sigwaitinfo(signals, NULL)) < 0 ||
           number == SIGHUP) {
        if (number == SIGHUP) {
            running_reload(r, schedule);
            continue;
        }
        if (errno != EAGAIN || !ms)
            continue;
        if (store_flush(r->store, &err) != STORE_OK)
            log_line(LOG_WARN, "%s", err.message);
        supervisor_tell("WATCHDOG=1");
    }
    supervisor_tell("STOPPING=1\nSTATUS=finishing the steps that run");
    log_line(LOG_INFO, "%s: finishing the steps that run", strsignal(number));
}

static size_t count_policies(const struct running *r)
{
    struct engine_set *set = engine_rules_hold(r->rules);
    size_t count = policy_set_count(set->policies);
    engine_rules_release(set);
    return count;
}

static void say_ready(const struct running *r)
{
    char text[100];
    snprintf(text, sizeof text, "READY=1\nSTATUS=%zu policies", count_policies(r));
    supervisor_tell(text);
}

static void say_where(const struct running *r, const struct http_server *server, const char *socket,
                      bool has_token)
{
    const char *tcp = http_server_address(server);
    log_line(LOG_INFO, "%zu policies; listening on %s%s%s", count_policies(r), socket,
             tcp[0] ? " and http://" : "", tcp);
    for (size_t i = 0; i < r->source_count; i++)
        if (r->source_list[i].type == SOURCE_SQS)
            log_line(LOG_INFO, "source %.*s: %.*s", STR_FMT(r->source_list[i].name),
                     STR_FMT(r->source_list[i].queue));
    if (tcp[0] && !has_token)
        log_line(LOG_WARN, "no token: events are taken over the socket only (--token-file)");
    if (tcp[0] && !str_starts(str_from(tcp), STR("127.")) &&
        !str_starts(str_from(tcp), STR("[::1]")))
        log_line(LOG_WARN, "others can reach %s, and without TLS they can read the token", tcp);
}

static int serve(struct running *r, const sigset_t *signals, struct str token)
{
    struct error err;
    char socket[4096];
    const char *listen = r->options->listen ? r->options->listen : LISTEN_DEFAULT;
    struct http_api api = {.engine = &r->engine, .sources = r->sources, .verify = cli_verify_log};
    struct http_options options = {strcmp(listen, "none") == 0 ? NULL : listen, socket, token};
    if (!desk_socket_path(r->options, socket, sizeof socket, &err))
        return cli_fail(&err);
    struct http_server *server = http_server_start(&api, &options, &err);
    if (!server)
        return cli_fail(&err);
    struct engine_notifier *notifier = running_notifier(r, &err);
    struct engine_workers *workers = notifier ? running_workers(r, &err) : NULL;
    struct engine_schedule *schedule =
        workers ? engine_schedule_start(&r->engine, workers, &err) : NULL;
    int code = schedule ? CLI_OK : cli_fail(&err);
    if (schedule) {
        api.workers = workers;
        if (!engine_sources_start(r->sources, workers, &err)) {
            code = cli_fail(&err);
        } else {
            say_where(r, server, socket, token.len > 0);
            say_ready(r);
            wait_for_end(r, schedule, signals);
        }
    }
    http_server_stop(server);
    engine_sources_stop(r->sources);
    engine_schedule_stop(schedule);
    engine_workers_stop(workers);
    engine_notifier_stop(notifier);
    return code;
}

int cli_daemon(const struct cli_options *options)
{
    struct running r = {0};
    struct error err;
    struct str token = {0};
    char secret[TOKEN_FILE_BYTES];
    sigset_t signals;
    if (!read_token(options, secret, sizeof secret, &token, &err))
        return cli_fail(&err);
    block_signals(&signals);
    int code = running_prepare(&r, options);
    if (code == 0)
        code = running_prepare_sources(&r, options->queue);
    if (code == 0)
        code = serve(&r, &signals, token);
    if (code == 0)
        log_line(LOG_INFO, "ended");
    running_finish(&r);
    hash_wipe(secret, sizeof secret);
    return code;
}
